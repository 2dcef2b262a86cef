//! Disks that keep those who write waiting, and threads that wait for each other.

use super::*;
use std::sync::mpsc;
use std::time::Instant;

/// A disk that takes a write and does not end it while it is told so.
struct Hanging {
    inner: Box<dyn Disk>,
    hangs: Arc<AtomicBool>,
}

impl Disk for Hanging {
    fn open(&mut self, path: &Path) -> io::Result<Arc<File>> {
        self.inner.open(path)
    }
    fn begin(
        &mut self,
        file: &Arc<File>,
        blocks: Blocks,
        offset: u64,
        event: &Event,
    ) -> Result<(), (io::Error, Blocks)> {
        self.inner.begin(file, blocks, offset, event)
    }
    fn poll(&mut self) -> Option<(io::Result<()>, Blocks)> {
        if self.hangs.load(Ordering::Relaxed) { None } else { self.inner.poll() }
    }
}

#[test]
fn a_disk_that_hangs_is_failing_until_the_write_ends() {
    let dir = tempdir().expect("a folder");
    let hangs = Arc::new(AtomicBool::new(false));
    let hanging = Hanging { inner: disk_for(dir.path()).expect("a disk"), hangs: hangs.clone() };
    let log = open_on(dir.path(), Box::new(hanging), options()).expect("a log");
    let (port, other) = (log.port().expect("a port"), log.port().expect("a port"));
    write(&port, 5);
    hangs.store(true, Ordering::Relaxed);
    let size = port.append(NOW, &mut batch_of(3, "held")).expect("room");
    port.step(LATER, true);
    let limit = LATER + options().stall;
    assert_eq!(other.step(LATER, true), Some(limit), "whoever waits looks again by then");
    assert!(!port.is_failing() && !log.look(limit - Duration::from_millis(1)));
    // The first to come by finds out, and those who come later change nothing.
    assert_eq!(other.step(limit, true), None);
    assert!(port.is_failing() && port.durable() < size);
    port.step(limit + Duration::from_secs(9), true);
    assert_eq!(log.counters().stalls.load(Ordering::Relaxed), 1);
    hangs.store(false, Ordering::Relaxed);
    wait_for(&port, size);
    assert!(!port.is_failing());
    write(&port, 1);
    let there = records(dir.path());
    assert!(there.iter().any(|record| record.contains("the disk could not be written")), "it says what happened");
}

#[test]
fn a_segment_that_somebody_takes_away_is_failing_until_it_is_back() {
    let dir = tempdir().expect("a folder");
    let log = open(dir.path());
    let port = log.port().expect("a port");
    write(&port, 5);
    log.look_for_segment();
    assert!(!log.is_failing());
    let segment = files::path_of(dir.path(), 0, files::SEGMENT);
    let aside = dir.path().join("aside");
    fs::rename(&segment, &aside).expect("moved");
    log.look_for_segment();
    assert!(log.is_failing() && port.is_failing() && log.status().failing);
    // Another file of its name is not it.
    fs::write(&segment, "").expect("written");
    log.look_for_segment();
    assert!(log.is_failing());
    fs::rename(&aside, &segment).expect("moved back");
    log.look_for_segment();
    assert!(!log.is_failing() && !port.is_failing());
}

/// A disk that keeps the thread that asks it, as a file system does that is frozen.
struct Frozen {
    inner: Box<dyn Disk>,
    freezes: Arc<AtomicBool>,
    /// Somebody is kept,
    kept: mpsc::Sender<()>,
    /// until this comes.
    thawed: mpsc::Receiver<()>,
}

impl Disk for Frozen {
    fn open(&mut self, path: &Path) -> io::Result<Arc<File>> {
        self.inner.open(path)
    }
    fn begin(
        &mut self,
        file: &Arc<File>,
        blocks: Blocks,
        offset: u64,
        event: &Event,
    ) -> Result<(), (io::Error, Blocks)> {
        if self.freezes.load(Ordering::Relaxed) {
            self.kept.send(()).expect("the test listens");
            self.thawed.recv().expect("the test thaws it");
        }
        self.inner.begin(file, blocks, offset, event)
    }
    fn poll(&mut self) -> Option<(io::Result<()>, Blocks)> {
        self.inner.poll()
    }
}

#[test]
fn a_disk_that_keeps_who_asks_it_keeps_nobody_else() {
    let dir = tempdir().expect("a folder");
    let freezes = Arc::new(AtomicBool::new(false));
    let ((kept, is_kept), (thaw, thawed)) = (mpsc::channel(), mpsc::channel());
    let inner = disk_for(dir.path()).expect("a disk");
    let frozen = Frozen { inner, freezes: freezes.clone(), kept, thawed };
    let log = open_on(dir.path(), Box::new(frozen), options()).expect("a log");
    let (port, other) = (log.port().expect("a port"), log.port().expect("a port"));
    write(&port, 5);
    freezes.store(true, Ordering::Relaxed);
    port.append(NOW, &mut batch_of(3, "held")).expect("room");
    let size = std::thread::scope(|scope| {
        scope.spawn(|| port.step(LATER, true));
        is_kept.recv().expect("it is kept");
        // The other one takes its turns.
        let size = other.append(LATER, &mut batch_of(2, "held")).expect("room");
        let limit = LATER + options().stall;
        assert_eq!(other.step(LATER, true), Some(limit));
        assert!(!other.is_failing());
        assert!(log.look(limit), "nobody of those who write need come by");
        assert!(other.is_failing() && log.status().failing && log.durable() < size);
        freezes.store(false, Ordering::Relaxed);
        thaw.send(()).expect("it listens");
        size
    });
    wait_for(&other, size);
    assert!(!other.is_failing());
}

/// A disk that says when a write begins, and that has come to its end only when it is told so.
struct Slow {
    inner: Box<dyn Disk>,
    begun: mpsc::Sender<()>,
    ends: Arc<AtomicBool>,
}

impl Disk for Slow {
    fn open(&mut self, path: &Path) -> io::Result<Arc<File>> {
        self.inner.open(path)
    }
    fn begin(
        &mut self,
        file: &Arc<File>,
        blocks: Blocks,
        offset: u64,
        event: &Event,
    ) -> Result<(), (io::Error, Blocks)> {
        // Nobody listens any more at the end of the test.
        let _ = self.begun.send(());
        self.inner.begin(file, blocks, offset, event)
    }
    fn poll(&mut self) -> Option<(io::Result<()>, Blocks)> {
        if self.ends.load(Ordering::Relaxed) { self.inner.poll() } else { None }
    }
}

#[test]
fn a_thread_that_goes_leaves_nobody_behind_who_is_not_woken() {
    let dir = tempdir().expect("a folder");
    let ends = Arc::new(AtomicBool::new(true));
    let (begun, begins) = mpsc::channel();
    let slow = Slow { inner: disk_for(dir.path()).expect("a disk"), begun, ends: ends.clone() };
    let log = open_on(dir.path(), Box::new(slow), options()).expect("a log");
    let port = log.port().expect("a port");
    let patience = Duration::from_secs(30);
    let opened = Instant::now();
    let now = || LATER + opened.elapsed();
    for _ in 0..20 {
        while begins.try_recv().is_ok() {}
        ends.store(false, Ordering::Relaxed);
        let size = std::thread::scope(|scope| {
            let record = scope.spawn(|| log.record(&Draft::new(NOW, Kind::Command), now(), patience));
            begins.recv().expect("a write begins");
            // A worker's record comes while the other thread's is written.
            let size = port.append(now(), &mut batch_of(1, "meanwhile")).expect("room");
            port.step(now(), true);
            ends.store(true, Ordering::Relaxed);
            assert!(record.join().expect("no panic"));
            size
        });
        let (asked, mut pause) = (Instant::now(), patience);
        while port.durable() < size {
            port.event().wait_for(Some(pause)).expect("an event");
            pause = port.step(now(), true).map_or(patience, |due| due.since(now()));
        }
        assert!(asked.elapsed() < patience / 2, "nobody has woken the worker");
    }
}

#[test]
fn a_thread_that_has_lost_its_patience_leaves_its_write_to_others() {
    let dir = tempdir().expect("a folder");
    let ends = Arc::new(AtomicBool::new(true));
    let (begun, _begins) = mpsc::channel();
    let slow = Slow { inner: disk_for(dir.path()).expect("a disk"), begun, ends: ends.clone() };
    let log = open_on(dir.path(), Box::new(slow), options()).expect("a log");
    let port = log.port().expect("a port");
    ends.store(false, Ordering::Relaxed);
    assert!(!log.record(&Draft::new(NOW, Kind::Command), LATER, Duration::ZERO));
    let size = log.status().records;
    let due = port.step(LATER, true).expect("the worker looks for itself, for nobody wakes it");
    assert!(due < LATER + Duration::from_millis(10));
    ends.store(true, Ordering::Relaxed);
    wait_for(&port, size);
}

#[test]
fn a_log_that_is_closed_takes_nothing_and_cuts_nothing_that_was_acknowledged() {
    let dir = tempdir().expect("a folder");
    let log = open(dir.path());
    let port = log.port().expect("a port");
    let (mut acknowledged, refused) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut acknowledged = 0;
            for _ in 0..100_000 {
                match port.append(NOW, &mut batch_of(3, "late")) {
                    Ok(size) => {
                        wait_for(&port, size);
                        acknowledged = size;
                    }
                    Err(error) => return (acknowledged, error),
                }
            }
            panic!("the log is never closed");
        });
        assert!(log.close(LATER, Duration::from_secs(5)));
        writer.join().expect("no panic")
    });
    assert_eq!(refused, AppendError::Closed);
    assert!(!log.record(&Draft::new(NOW, Kind::Command), LATER, Duration::ZERO));
    acknowledged = acknowledged.max(log.durable());
    drop((port, log));
    let there = records(dir.path());
    assert_eq!(there.len() as u64, acknowledged);
    assert!(there[there.len() - 2].contains("\"outcome\":\"closed\"") && there[there.len() - 1].contains("checkpoint"));
}
