//! One segment after the other.

use super::*;
use crate::witness::disk::Opener;

const SMALL: u64 = 20_000;

fn small() -> WitnessOptions {
    WitnessOptions { segment_bytes_max: SMALL, ..options() }
}

/// A disk on which no file can be made, or none can be filled, while it is told so.
struct Short {
    inner: Box<dyn Disk>,
    full: Arc<AtomicBool>,
}

impl Disk for Short {
    fn open(&mut self, path: &Path) -> io::Result<Arc<File>> {
        self.inner.open(path)
    }
    fn opener(&self) -> Opener {
        let (opener, full) = (self.inner.opener(), self.full.clone());
        Arc::new(move |path| {
            let file = opener(path)?;
            // The file is there, and takes not a byte.
            if full.load(Ordering::Relaxed) { File::options().write(true).open("/dev/full") } else { Ok(file) }
        })
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
        self.inner.poll()
    }
}

#[test]
fn a_next_segment_that_finds_no_room_leaves_no_file_and_this_one_goes_on_for_a_while() {
    let dir = tempdir().expect("a folder");
    let full = Arc::new(AtomicBool::new(true));
    let short = Short { inner: disk_for(dir.path()).expect("a disk"), full: full.clone() };
    let log = open_on(dir.path(), Box::new(short), small()).expect("a log");
    let port = log.port().expect("a port");
    let (mut size, mut turn) = (port.durable(), 0_u64);
    while !port.is_failing() {
        turn += 1;
        if port.durable() == size {
            size = port.append(NOW, &mut batch_of(10, "somebody")).expect("room");
        }
        port.step(LATER + Duration::from_millis(20 * turn), true);
        port.event().wait_for(Some(Duration::from_millis(1))).expect("an event");
        assert!(turn < 20_000, "a disk that is full is never noticed");
    }
    let segments = files::list(dir.path(), files::SEGMENT).expect("segments");
    assert_eq!(segments.len(), 1, "{segments:?}");
    let written = records(dir.path()).iter().map(|record| record.len() as u64 + 1).sum::<u64>();
    assert!((2 * SMALL..2 * SMALL + 4_000).contains(&written), "{written}");
    full.store(false, Ordering::Relaxed);
    for turn in 0..20_000_u64 {
        port.step(LATER + Duration::from_secs(3600) + Duration::from_millis(20 * turn), true);
        port.event().wait_for(Some(Duration::from_millis(1))).expect("an event");
        if port.durable() >= size && !port.is_failing() {
            break;
        }
    }
    assert!(!port.is_failing());
    drop((port, log));
    records(dir.path());
    let segments = files::list(dir.path(), files::SEGMENT).expect("segments");
    let indexes = files::list(dir.path(), files::INDEX).expect("indexes");
    assert_eq!((segments.len(), indexes.len()), (2, 1), "{segments:?} {indexes:?}");
}

#[test]
fn a_segment_that_is_old_ends_where_segments_are_not_kept_for_ever() {
    let day = Duration::from_secs(86_400);
    let dir = tempdir().expect("a folder");
    let keep = WitnessOptions { keep: Some(2 * day), ..options() };
    let log = open_on(dir.path(), disk_for(dir.path()).expect("a disk"), keep.clone()).expect("a log");
    let port = log.port().expect("a port");
    let size = write(&port, 5);
    let segments = || files::list(dir.path(), files::SEGMENT).expect("segments");
    let turns = |from: Time, until: &dyn Fn() -> bool| {
        for turn in 0..20_000_u64 {
            port.step(from + Duration::from_millis(turn), false);
            if until() {
                return;
            }
            port.event().wait_for(Some(Duration::from_millis(1))).expect("an event");
        }
        panic!("it does not come to that: {:?}", segments());
    };
    // Nobody writes anything, and the segment ends all the same.
    turns(NOW + day, &|| files::path_of(dir.path(), 0, files::INDEX).exists());
    assert!(segments()[1].first >= size && segments()[0].path.exists());
    // When its time is over it goes, without a restart and without another full segment.
    turns(NOW + 3 * day + Duration::from_secs(3700), &|| segments()[0].first >= size);
    drop((port, log));
    assert!(files::path_of(dir.path(), 0, files::INDEX).exists());
    let retired = fs::read_to_string(&segments()[0].path).expect("the segment after it");
    assert!(retired.contains("\"outcome\":\"retired\""));
}

#[test]
fn a_segment_whose_time_is_over_goes_when_the_log_is_opened() {
    let dir = tempdir().expect("a folder");
    let log = open_on(dir.path(), disk_for(dir.path()).expect("a disk"), small()).expect("a log");
    let port = log.port().expect("a port");
    while files::list(dir.path(), files::INDEX).expect("indexes").is_empty() {
        write(&port, 20);
    }
    drop((port, log));
    let year = Duration::from_secs(365 * 86_400);
    let keep = WitnessOptions { keep: Some(Duration::from_secs(86_400)), ..small() };
    let disk = disk_for(dir.path()).expect("a disk");
    // Files of this test are as old as the clock of this machine says.
    let later = Time::from_secs(4_000_000_000) + year;
    let (log, _) = WitnessLog::open_on(dir.path(), disk, key(), keep, later).expect("the log again");
    assert!(log.sign(later, Duration::from_secs(5)));
    drop(log);
    let segments = files::list(dir.path(), files::SEGMENT).expect("segments");
    assert!(segments[0].first > 0, "{segments:?}");
}

#[test]
fn a_segment_that_has_its_name_and_no_record_is_gone_on_with_though_the_one_before_has_no_index() {
    let dir = tempdir().expect("a folder");
    let log = open(dir.path());
    let port = log.port().expect("a port");
    let size = write(&port, 5);
    drop((port, log));
    // Power fails between the name of the next segment and its first record.
    fs::write(files::path_of(dir.path(), size, files::SEGMENT), vec![0; 1 << 20]).expect("a segment");
    let log = open(dir.path());
    assert!(log.durable() > size);
    drop(log);
    assert!(records(dir.path()).len() as u64 > size);
}

#[test]
fn an_index_that_could_not_be_written_is_written_later() {
    let dir = tempdir().expect("a folder");
    let log = open_on(dir.path(), disk_for(dir.path()).expect("a disk"), small()).expect("a log");
    let port = log.port().expect("a port");
    // It is written under this name first.
    let in_the_way = files::path_of(dir.path(), 0, "tmp");
    fs::create_dir(&in_the_way).expect("a folder in the way");
    while log.counters().segments.load(Ordering::Relaxed) == 0 {
        write(&port, 20);
    }
    // The line of this checkpoint, the second, comes behind the index.
    assert!(log.sign(LATER, Duration::from_secs(5)));
    let told =
        || fs::read(dir.path().join(files::CHECKPOINTS)).is_ok_and(|lines| lines.split(|b| *b == b'\n').count() > 2);
    for _ in 0..20_000 {
        if told() {
            break;
        }
        port.event().wait_for(Some(Duration::from_millis(1))).expect("an event");
    }
    let index = files::path_of(dir.path(), 0, files::INDEX);
    assert!(told() && !index.exists());
    fs::remove_dir(&in_the_way).expect("removed");
    drop((port, log));
    let next = files::list(dir.path(), files::SEGMENT).expect("segments")[1].first;
    assert_eq!(files::read_index(&index).expect("an index").len() as u64, next);
}

/// Writes until the segment that is being written is another one.
fn turn(log: &WitnessLog, port: &WitnessPort) {
    let before = log.counters().segments.load(Ordering::Relaxed);
    while log.counters().segments.load(Ordering::Relaxed) == before {
        write(port, 20);
    }
}

#[test]
fn a_segment_that_somebody_took_away_is_failing_until_it_is_back_however_many_came_after_it() {
    for looked in [true, false] {
        let dir = tempdir().expect("a folder");
        let log = open_on(dir.path(), disk_for(dir.path()).expect("a disk"), small()).expect("a log");
        let port = log.port().expect("a port");
        write(&port, 5);
        log.look_for_segment();
        let (segment, aside) = (files::path_of(dir.path(), 0, files::SEGMENT), dir.path().join("aside"));
        fs::rename(&segment, &aside).expect("moved");
        if looked {
            log.look_for_segment();
            assert!(log.is_failing());
        }
        for _ in 0..2 {
            turn(&log, &port);
            log.look_for_segment();
            assert!(log.is_failing() && port.is_failing(), "the next one is there, and the first is not");
        }
        fs::rename(&aside, &segment).expect("moved back");
        log.look_for_segment();
        assert!(!log.is_failing() && !port.is_failing());
    }
}

#[test]
fn a_segment_that_somebody_took_away_is_not_missed_when_its_time_is_over() {
    let dir = tempdir().expect("a folder");
    let keep = WitnessOptions { keep_bytes: 2 * SMALL, ..small() };
    let log = open_on(dir.path(), disk_for(dir.path()).expect("a disk"), keep).expect("a log");
    let port = log.port().expect("a port");
    fs::rename(files::path_of(dir.path(), 0, files::SEGMENT), dir.path().join("aside")).expect("moved");
    log.look_for_segment();
    assert!(log.is_failing());
    for _ in 0..4 {
        turn(&log, &port);
    }
    write(&port, 1);
    log.look_for_segment();
    assert!(!log.is_failing(), "a record says that it was to go");
}
