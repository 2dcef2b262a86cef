//! The witness log on disks that are well, torn, sick and full.

use super::blocks::Blocks;
use super::disk::{Disk, Event, disk_for, threaded};
use super::files;
use super::log::{AppendError, WitnessLog, WitnessOptions};
use super::ports::WitnessPort;
use super::recover::WitnessError;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use sx_engine::Time;
use sx_witness::{Batch, Draft, Facts, Hash, Kind, Line, Renderer, SigningKey};
use tempfile::tempdir;

mod held;
mod rotation;
mod tail;

const NOW: Time = Time::from_secs(1_800_000_000);
const LATER: Time = Time::from_secs(1_800_000_001);

fn key() -> SigningKey {
    SigningKey::from_seed("example.org/test", [7; 32]).expect("a key")
}

fn options() -> WitnessOptions {
    WitnessOptions { node: "test".into(), gather: Duration::ZERO, ..WitnessOptions::default() }
}

fn open_on(folder: &Path, disk: Box<dyn Disk>, options: WitnessOptions) -> Result<WitnessLog, WitnessError> {
    WitnessLog::open_on(folder, disk, key(), options, NOW).map(|(log, _)| log)
}

fn open(folder: &Path) -> WitnessLog {
    open_on(folder, disk_for(folder).expect("a disk"), options()).expect("a log")
}

fn batch_of(count: usize, text: &str) -> Batch {
    let (mut renderer, mut batch) = (Renderer::new("test"), Batch::default());
    for number in 0..count {
        let facts = Facts::new().with("number", number as i64);
        renderer.render(&Draft { subject: text, facts, ..Draft::new(NOW, Kind::Trying) }, &mut batch);
    }
    batch
}

/// Appends, and waits until all is on the disk.
fn write(port: &WitnessPort, count: usize) -> u64 {
    let size = port.append(NOW, &mut batch_of(count, "somebody")).expect("room");
    wait_for(port, size);
    size
}

/// Takes turns until so many records are on the disk.
fn wait_for(port: &WitnessPort, size: u64) {
    for turn in 0..20_000_u64 {
        if port.durable() >= size {
            return;
        }
        port.step(LATER + Duration::from_millis(turn), true);
        port.event().wait_for(Some(Duration::from_millis(1))).expect("an event");
    }
    panic!("{size} records do not become durable");
}

/// Every record of the log, chained.
fn records(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut previous = Hash::ZERO;
    for segment in files::list(folder, files::SEGMENT).expect("a folder") {
        let bytes = fs::read(&segment.path).expect("a segment");
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        assert_eq!(segment.first, lines.len() as u64, "a segment is named by its first record");
        for text in bytes[..end].split_inclusive(|byte| *byte == b'\n') {
            let text = text.strip_suffix(b"\n").expect("a whole line");
            let line = Line::parse(text).expect("a record");
            assert_eq!((line.seq(), line.prev_hash()), (lines.len() as u64, previous));
            previous = Hash::of(text);
            lines.push(String::from_utf8(text.to_vec()).expect("text"));
        }
    }
    lines
}

/// The record that a run has just begun with, behind which its checkpoint stands.
fn run_of(records: &[String]) -> &str {
    let [.., run, checkpoint] = records else { panic!("too few records") };
    assert!(checkpoint.contains("\"kind\":\"checkpoint\""), "{checkpoint}");
    run
}

#[test]
fn what_was_durable_is_there_again_on_either_kind_of_disk() {
    for threads in [false, true] {
        let dir = tempdir().expect("a folder");
        let disk = if threads { threaded() } else { disk_for(dir.path()) }.expect("a disk");
        let log = open_on(dir.path(), disk, options()).expect("a log");
        let port = log.port().expect("a port");
        let size = write(&port, 300);
        assert_eq!(write(&port, 1), size + 1);
        drop((port, log));
        assert_eq!(records(dir.path()).len() as u64, size + 1);
        let log = open(dir.path());
        assert_eq!(log.durable(), size + 3, "and one that says that the log was opened again, signed");
        assert!(run_of(&records(dir.path())).contains("started after a crash"));
        assert!(log.close(NOW, Duration::from_secs(5)));
        drop(log);
        drop(open(dir.path()));
        assert!(run_of(&records(dir.path())).contains("\"reason\":\"started\""));
    }
}

/// A disk that takes so many bytes of what it is given, then loses power.
struct Torn {
    inner: Box<dyn Disk>,
    left: Arc<AtomicU64>,
}

impl Disk for Torn {
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
        let left = self.left.load(Ordering::Relaxed);
        if blocks.bytes().len() as u64 <= left {
            self.left.fetch_sub(blocks.bytes().len() as u64, Ordering::Relaxed);
            return self.inner.begin(file, blocks, offset, event);
        }
        self.left.store(0, Ordering::Relaxed);
        // The test looks at this file afterwards, whatever the page cache does with it.
        let written = file.write_all_at(&blocks.bytes()[..left as usize], offset);
        drop(written);
        Err((io::Error::other("no power"), blocks))
    }
    fn poll(&mut self) -> Option<(io::Result<()>, Blocks)> {
        self.inner.poll()
    }
}

#[test]
fn a_commit_that_power_cuts_at_any_byte_loses_nothing_that_was_acknowledged() {
    let step = if cfg!(debug_assertions) { 97 } else { 1 };
    // 40 records of about 150 bytes each: a commit of two blocks.
    for cut in (0..8192).step_by(step) {
        let dir = tempdir().expect("a folder");
        let left = Arc::new(AtomicU64::new(u64::MAX / 2));
        let torn = Torn { inner: threaded().expect("a disk"), left: left.clone() };
        let log = open_on(dir.path(), Box::new(torn), options()).expect("a log");
        let port = log.port().expect("a port");
        let acknowledged = write(&port, 10);
        left.store(cut, Ordering::Relaxed);
        port.append(NOW, &mut batch_of(40, "lost")).expect("room");
        port.step(LATER, true);
        assert!(port.is_failing());
        drop((port, log));
        let log = open(dir.path());
        let there = records(dir.path());
        assert!(there.len() as u64 > acknowledged, "cut at {cut}");
        assert!(run_of(&there).contains("\"outcome\":\"resumed\""));
        assert_eq!(log.durable(), there.len() as u64);
    }
}

/// A disk that refuses while it is told to.
struct Sick {
    inner: Box<dyn Disk>,
    refuses: Arc<AtomicBool>,
    /// Writes come to their end and have failed.
    late: Arc<AtomicBool>,
    failed: Arc<Mutex<Option<Blocks>>>,
}

impl Disk for Sick {
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
        if !self.refuses.load(Ordering::Relaxed) {
            return self.inner.begin(file, blocks, offset, event);
        }
        if self.late.load(Ordering::Relaxed) {
            *self.failed.lock().expect("whole") = Some(blocks);
            return Ok(());
        }
        Err((io::ErrorKind::StorageFull.into(), blocks))
    }
    fn poll(&mut self) -> Option<(io::Result<()>, Blocks)> {
        let failed = self.failed.lock().expect("whole").take();
        failed.map(|blocks| (Err(io::ErrorKind::ReadOnlyFilesystem.into()), blocks)).or_else(|| self.inner.poll())
    }
}

#[test]
fn a_start_on_a_disk_that_refuses_says_what_the_disk_has_said() {
    for late in [false, true] {
        let dir = tempdir().expect("a folder");
        let sick = Sick {
            inner: disk_for(dir.path()).expect("a disk"),
            refuses: Arc::new(AtomicBool::new(true)),
            late: Arc::new(AtomicBool::new(late)),
            failed: Arc::default(),
        };
        let refused =
            WitnessLog::open_within(Duration::from_millis(300), dir.path(), Box::new(sick), key(), options(), NOW);
        let Err(WitnessError::File(error)) = refused.map(drop) else { panic!("nothing can be written") };
        let expected = if late { io::ErrorKind::ReadOnlyFilesystem } else { io::ErrorKind::StorageFull };
        assert_eq!(error.error.kind(), expected, "{error}");
    }
}

#[test]
fn a_disk_that_refuses_loses_nothing_and_is_written_again_by_itself() {
    for late in [false, true] {
        let dir = tempdir().expect("a folder");
        let refuses = Arc::new(AtomicBool::new(false));
        let sick = Sick {
            inner: disk_for(dir.path()).expect("a disk"),
            refuses: refuses.clone(),
            late: Arc::new(AtomicBool::new(late)),
            failed: Arc::default(),
        };
        let log = open_on(dir.path(), Box::new(sick), options()).expect("a log");
        let port = log.port().expect("a port");
        write(&port, 5);
        refuses.store(true, Ordering::Relaxed);
        let size = port.append(NOW, &mut batch_of(7, "held")).expect("room");
        port.step(LATER, true);
        port.step(LATER, true);
        assert!(port.is_failing() && port.durable() < size);
        let more = port.append(NOW, &mut batch_of(2, "held")).expect("room");
        refuses.store(false, Ordering::Relaxed);
        wait_for(&port, more);
        assert!(!port.is_failing());
        write(&port, 1);
        drop((port, log));
        let there = records(dir.path());
        assert!(there.iter().any(|record| record.contains("the disk could not be written")), "it says what happened");
        assert_eq!(there.iter().filter(|record| record.contains("held")).count(), 9);
    }
}

#[test]
fn a_disk_that_refuses_again_is_failing_though_so_much_waits_that_the_first_time_is_not_recorded_yet() {
    let dir = tempdir().expect("a folder");
    let refuses = Arc::new(AtomicBool::new(false));
    let sick = Sick {
        inner: disk_for(dir.path()).expect("a disk"),
        refuses: refuses.clone(),
        late: Arc::default(),
        failed: Arc::default(),
    };
    let options = WitnessOptions { buffer_bytes_max: 4_000, ..options() };
    let log = open_on(dir.path(), Box::new(sick), options).expect("a log");
    let port = log.port().expect("a port");
    refuses.store(true, Ordering::Relaxed);
    let size = port.append(NOW, &mut batch_of(1, "held")).expect("room");
    port.step(LATER, true);
    assert!(port.is_failing());
    // More waits behind that than the buffer holds.
    let all = port.append(NOW, &mut batch_of(100, "held")).expect("room, since nothing else waits");
    refuses.store(false, Ordering::Relaxed);
    let again = LATER + Duration::from_secs(1);
    port.step(again, true);
    for _ in 0..20_000 {
        if port.durable() >= size {
            break;
        }
        port.event().wait_for(Some(Duration::from_millis(1))).expect("an event");
        port.finish(again);
    }
    assert!(port.durable() == size && !port.is_failing(), "the disk has taken what it had refused");
    refuses.store(true, Ordering::Relaxed);
    port.step(again, true);
    assert!(port.is_failing(), "it refuses again");
    refuses.store(false, Ordering::Relaxed);
    wait_for(&port, all + 1);
    drop((port, log));
    let there = records(dir.path());
    let said = there.iter().filter(|record| record.contains("the disk could not be written"));
    assert_eq!(said.count(), 1, "both are said, as one");
}

#[test]
fn a_buffer_that_is_full_refuses_and_keeps_the_batch_until_nothing_else_waits() {
    let dir = tempdir().expect("a folder");
    let disk = disk_for(dir.path()).expect("a disk");
    let log = open_on(dir.path(), disk, WitnessOptions { buffer_bytes_max: 4_000, ..options() }).expect("a log");
    let port = log.port().expect("a port");
    let first = port.append(NOW, &mut batch_of(1, "first")).expect("room");
    let mut batch = batch_of(100, "many");
    assert!(batch.bytes() > 8_000);
    assert_eq!(port.append(NOW, &mut batch), Err(AppendError::Full { bytes_max: 4_000 }));
    assert_eq!(batch.len(), 100);
    assert_eq!(log.counters().batches_refused.load(Ordering::Relaxed), 1);
    wait_for(&port, first);
    // However large it is, it need not wait for ever.
    let size = port.append(NOW, &mut batch).expect("room, since nothing else waits");
    wait_for(&port, size);
}

#[test]
fn segments_are_closed_indexed_and_retired_and_the_log_goes_on_behind_them() {
    let dir = tempdir().expect("a folder");
    let small = WitnessOptions { segment_bytes_max: 20_000, keep_bytes: 50_000, checkpoint_records: 50, ..options() };
    let disk = disk_for(dir.path()).expect("a disk");
    let log = open_on(dir.path(), disk, small.clone()).expect("a log");
    let port = log.port().expect("a port");
    let mut size = 0;
    for _ in 0..60 {
        size = write(&port, 20);
    }
    drop((port, log));
    let segments = files::list(dir.path(), files::SEGMENT).expect("segments");
    let indexes = files::list(dir.path(), files::INDEX).expect("indexes");
    assert!(indexes.len() > segments.len() && segments[0].first > 0, "{segments:?} {indexes:?}");
    let indexed: usize = indexes.iter().map(|index| files::read_index(&index.path).expect("an index").len()).sum();
    assert_eq!(indexed as u64, segments.last().expect("the last").first, "an entry for each record that is closed");
    let checkpoints = fs::read_to_string(dir.path().join(files::CHECKPOINTS)).expect("checkpoints");
    assert!(checkpoints.lines().count() > 10);
    let log = open_on(dir.path(), disk_for(dir.path()).expect("a disk"), small).expect("the log again");
    assert!(log.durable() > size);
}

#[test]
fn a_log_that_has_lost_a_signed_record_is_not_gone_on_with() {
    let dir = tempdir().expect("a folder");
    let log = open(dir.path());
    let port = log.port().expect("a port");
    write(&port, 50);
    assert!(log.close(NOW, Duration::from_secs(5)));
    drop((port, log));
    let path = files::path_of(dir.path(), 0, files::SEGMENT);
    let bytes = fs::read(&path).expect("a segment");
    fs::write(&path, &bytes[..2_000]).expect("cut");
    let refused = open_on(dir.path(), disk_for(dir.path()).expect("a disk"), options());
    assert!(matches!(refused, Err(WitnessError::Damaged { .. })), "{refused:?}");
    let mut changed = bytes;
    let at = changed.windows(8).position(|window| window == b"somebody").expect("a subject");
    changed[at] = b'S';
    fs::write(&path, changed).expect("changed");
    let refused = open_on(dir.path(), disk_for(dir.path()).expect("a disk"), options());
    assert!(matches!(refused, Err(WitnessError::Broken { record: 2, .. })), "{refused:?}");
}

#[test]
fn a_log_of_another_key_is_not_gone_on_with() {
    let dir = tempdir().expect("a folder");
    drop(open(dir.path()));
    let other = SigningKey::from_seed("example.org/test", [8; 32]).expect("a key");
    let refused = WitnessLog::open_on(dir.path(), disk_for(dir.path()).expect("a disk"), other, options(), NOW);
    assert!(matches!(refused, Err(WitnessError::OtherKey { .. })));
}

#[test]
fn a_log_says_how_far_it_is() {
    let dir = tempdir().expect("a folder");
    let log = open(dir.path());
    let port = log.port().expect("a port");
    let size = write(&port, 5);
    let status = log.status();
    assert_eq!((status.records, status.durable, status.failing), (size, size, false));
    assert!(log.close(LATER, Duration::from_secs(5)));
    let closed = log.status();
    assert_eq!((closed.checkpoint_records, closed.durable), (closed.records, closed.records));
    assert_eq!(closed.checkpoint_at, Some(LATER));
    drop((port, log));
    let again = open(dir.path()).status();
    assert_eq!((again.checkpoint_records, again.checkpoint_at), (again.records, Some(NOW)), "it is signed at once");
    assert_eq!(again.records, closed.records + 2);
}
