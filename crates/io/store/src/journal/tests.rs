//! The journal, torn and full disks.

use super::*;
use std::fs::{self, File};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64};
use tempfile::{TempDir, tempdir};

const OPTIONS: JournalOptions =
    JournalOptions { segment_bytes_max: 1 << 20, buffer_bytes_max: 1 << 16, sync: SyncPolicy::Never };

const FRAME: usize = frame::FRAME_BYTES;

fn open(dir: &Path, options: &JournalOptions) -> (Journal, Replay, Vec<Vec<u8>>) {
    let mut records = Vec::new();
    let (journal, replay) =
        Journal::open(dir, options, |record| records.push(record.to_vec())).expect("the journal opens");
    (journal, replay, records)
}

/// A journal with these records, closed, and the path of its only segment.
fn written(records: &[&[u8]]) -> (TempDir, PathBuf) {
    let dir = tempdir().expect("a folder");
    let (mut journal, ..) = open(dir.path(), &OPTIONS);
    for record in records {
        journal.append(record).expect("room");
        journal.commit().expect("a commit");
    }
    drop(journal);
    let path = path_of(dir.path(), 1);
    (dir, path)
}

#[test]
fn what_was_committed_is_replayed_in_order_over_several_runs() {
    let dir = tempdir().expect("a folder");
    for run in 0..4_u8 {
        let (mut journal, replay, records) = open(dir.path(), &OPTIONS);
        assert_eq!(records, (0..run).map(|run| vec![run; 5]).collect::<Vec<_>>());
        assert_eq!((replay.records, replay.torn.len(), replay.damaged), (u64::from(run), 0, 0));
        journal.append(&[run; 5]).expect("room");
        journal.commit().expect("a commit");
    }
}

#[test]
fn a_torn_tail_is_cut_at_every_byte_and_costs_one_record() {
    // The first record ends at 8 + 8 + 5.
    let records: [&[u8]; 3] = [b"first", b"second", b"the last one"];
    let whole = fs::read(written(&records).1).expect("the segment");
    let last = whole.len() - FRAME - records[2].len();
    for length in 0..whole.len() {
        let (dir, path) = written(&records);
        fs::write(&path, &whole[..length]).expect("a cut");
        let (_, replay, found) = open(dir.path(), &OPTIONS);
        let good = match length {
            0..21 => 0,
            _ if length < last => 1,
            _ => 2,
        };
        assert_eq!(found, records[..good], "cut at {length}");
        let whole_frames = [0, HEADER.len(), HEADER.len() + FRAME + 5, last].contains(&length);
        assert_eq!(replay.torn.is_empty(), whole_frames, "cut at {length}: {replay:?}");
        // What was cut once is not torn any more.
        let (_, replay, again) = open(dir.path(), &OPTIONS);
        assert_eq!((again, replay.torn), (found, Vec::new()), "cut at {length}");
    }
}

#[test]
fn a_last_record_with_any_bit_wrong_is_cut() {
    let records: [&[u8]; 2] = [b"good", b"spoilt"];
    let whole = fs::read(written(&records).1).expect("the segment");
    let last = whole.len() - FRAME - 6;
    for index in last..whole.len() {
        for bit in 0..8 {
            let (dir, path) = written(&records);
            let mut bytes = whole.clone();
            bytes[index] ^= 1 << bit;
            fs::write(&path, bytes).expect("damage");
            let (_, replay, found) = open(dir.path(), &OPTIONS);
            assert_eq!(found, [b"good"], "byte {index}, bit {bit}");
            assert_eq!(replay.torn[0].offset, last as u64, "byte {index}, bit {bit}");
        }
    }
}

#[test]
fn a_spoilt_record_between_good_ones_costs_only_itself() {
    let (dir, path) = written(&[b"one", b"two", b"three"]);
    let mut bytes = fs::read(&path).expect("the segment");
    bytes[HEADER.len() + FRAME + 3 + FRAME] ^= 1;
    fs::write(&path, bytes).expect("damage");
    let (_, replay, found) = open(dir.path(), &OPTIONS);
    assert_eq!(found, [&b"one"[..], b"three"]);
    assert_eq!((replay.damaged, replay.torn.len()), (1, 0));
}

#[test]
fn zeros_behind_the_last_record_are_no_records() {
    let (dir, path) = written(&[b"one"]);
    let mut bytes = fs::read(&path).expect("the segment");
    let good = bytes.len();
    bytes.resize(good + 4096, 0);
    fs::write(&path, bytes).expect("zeros");
    let (_, replay, found) = open(dir.path(), &OPTIONS);
    assert_eq!(found, [b"one"]);
    assert_eq!((replay.torn[0].offset, replay.torn[0].lost_bytes), (good as u64, 4096));
}

#[test]
fn a_file_that_is_no_segment_is_refused_and_left_alone() {
    let (dir, path) = written(&[b"one"]);
    for foreign in [&b"something else"[..], b"sxlog\x02\r\nfrom the future"] {
        fs::write(&path, foreign).expect("a foreign file");
        let result = Journal::open(dir.path(), &OPTIONS, |_| {});
        assert!(matches!(result, Err(JournalError::Read(ReadError::Foreign { .. }))));
        assert_eq!(fs::read(&path).expect("the file"), foreign);
    }
}

#[test]
fn a_full_segment_is_followed_by_another() {
    let dir = tempdir().expect("a folder");
    let options = JournalOptions { segment_bytes_max: 100, ..OPTIONS };
    let (mut journal, ..) = open(dir.path(), &options);
    for number in 0..50_u8 {
        journal.append(&[number; 10]).expect("room");
        journal.commit().expect("a commit");
    }
    let segments = list(dir.path()).expect("segments");
    // 8 bytes of header and five records of 18 fill 98 bytes.
    assert_eq!(segments.len(), 10);
    assert!(segments.iter().all(|segment| fs::metadata(&segment.path).expect("a file").len() == 98));
    drop(journal);
    let (_, _, records) = open(dir.path(), &options);
    assert_eq!(records, (0..50).map(|number| vec![number; 10]).collect::<Vec<_>>());
}

#[test]
fn records_too_long_or_too_many_are_refused() {
    let dir = tempdir().expect("a folder");
    let options = JournalOptions { buffer_bytes_max: 4 << 20, ..OPTIONS };
    let (mut journal, ..) = open(dir.path(), &options);
    let bytes = RECORD_BYTES_MAX + 1;
    assert_eq!(journal.append(&vec![0; bytes]), Err(AppendError::TooLong { bytes }));
    let longest = vec![7; RECORD_BYTES_MAX];
    for _ in 0..3 {
        journal.append(&longest).expect("room");
    }
    assert_eq!(journal.append(&longest), Err(AppendError::BufferFull { bytes_max: 4 << 20 }));
    assert_eq!(journal.counters().refused.load(Ordering::Relaxed), 1);
    drop(journal);
    assert_eq!(open(dir.path(), &options).2.len(), 3);
}

/// A file on a disk with so many bytes left.
struct NearlyFull {
    file: File,
    left: Arc<AtomicI64>,
    cannot_cut: bool,
}

impl SegmentFile for NearlyFull {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        let take = bytes.len().min(usize::try_from(left).unwrap_or(0));
        if take == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.left.fetch_sub(take as i64, Ordering::Relaxed);
        SegmentFile::write_at(&self.file, &bytes[..take], offset)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        if self.cannot_cut { Err(io::ErrorKind::Other.into()) } else { self.file.set_len(length) }
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

fn check_full_disk(left_at_first: i64, cannot_cut: bool) {
    let dir = tempdir().expect("a folder");
    let options = JournalOptions { segment_bytes_max: 120, ..OPTIONS };
    let (mut journal, ..) = open(dir.path(), &options);
    let left = Arc::new(AtomicI64::new(left_at_first));
    let shared = Arc::clone(&left);
    journal.create = Box::new(move |path| {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        Ok(Arc::new(NearlyFull { file, left: Arc::clone(&shared), cannot_cut }))
    });
    let mut committed = 0;
    for number in 0..12_u8 {
        journal.append(&[number; 10]).expect("room in the buffer");
        if journal.commit().is_ok() {
            committed = number + 1;
        }
        // Whatever happens, what was committed is readable, and nothing else unless the file cannot be cut.
        let mut readable = Vec::new();
        for segment in list(dir.path()).expect("segments") {
            let mut reader = FrameReader::open(&segment.path, 0, u64::MAX).expect("a segment");
            while let Some(record) = reader.next().expect("a record") {
                readable.push(record.to_vec());
            }
            assert!(cannot_cut || reader.torn_tail().is_none(), "{left_at_first} bytes left");
        }
        assert!(readable.len() >= committed.into(), "{left_at_first} bytes left");
        assert!(cannot_cut || readable.len() == usize::from(committed), "{left_at_first} bytes left");
        assert!(readable.iter().zip(0..).all(|(record, number)| *record == [number; 10]));
    }
    assert!(committed < 12 && journal.counters().commit_failures.load(Ordering::Relaxed) > 0);
    assert_eq!(journal.waiting(), u64::from(12 - committed));
    left.store(1 << 20, Ordering::Relaxed);
    journal.commit().expect("there is space again");
    drop(journal);
    let (_, replay, records) = open(dir.path(), &options);
    assert_eq!(records, (0..12).map(|number| vec![number; 10]).collect::<Vec<_>>(), "{left_at_first} bytes left");
    assert_eq!((replay.torn.len(), replay.damaged), (0, 0), "{left_at_first} bytes left");
}

#[test]
fn a_full_disk_loses_nothing_and_damages_nothing() {
    for left in 0..180 {
        check_full_disk(left, false);
        check_full_disk(left, true);
    }
}

#[test]
fn a_full_disk_fills_the_buffer_and_no_more() {
    let dir = tempdir().expect("a folder");
    let options = JournalOptions { buffer_bytes_max: 1000, ..OPTIONS };
    let (mut journal, ..) = open(dir.path(), &options);
    journal.create = Box::new(|_| Err(io::ErrorKind::StorageFull.into()));
    let refused = (0..100).filter(|_| journal.append(&[1; 92]).is_err()).count();
    assert_eq!(refused, 91);
    let error = journal.commit().expect_err("the disk is full");
    assert!(error.to_string().contains("free space"), "{error}");
    assert!(error.to_string().contains("00000001.log"), "{error}");
}

/// A file on a disk that loses what it is to sync, and says so once.
struct Forgetful {
    file: File,
    /// The kernel's memory loses it, too: what is read is what is on the disk.
    everywhere: bool,
    /// What has reached the disk.
    disk: Arc<Mutex<Vec<u8>>>,
    /// What has been written and not synced: where, and what.
    cache: Mutex<Vec<(usize, Vec<u8>)>>,
    fails: Arc<AtomicBool>,
}

impl SegmentFile for Forgetful {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.cache.lock().expect("not poisoned").push((offset as usize, bytes.to_vec()));
        SegmentFile::write_at(&self.file, bytes, offset)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
    fn sync(&self) -> io::Result<()> {
        let written = std::mem::take(&mut *self.cache.lock().expect("not poisoned"));
        let mut disk = self.disk.lock().expect("not poisoned");
        if self.fails.load(Ordering::Relaxed) && !written.is_empty() {
            if self.everywhere {
                let length = self.file.metadata()?.len();
                self.file.set_len(0)?;
                self.file.set_len(length)?;
                SegmentFile::write_at(&self.file, &disk, 0)?;
            }
            return Err(rustix::io::Errno::IO.into());
        }
        for (offset, bytes) in written {
            let end = disk.len().max(offset + bytes.len());
            disk.resize(end, 0);
            disk[offset..offset + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(())
    }
}

/// A journal in such files, what is on their disk, and whether it fails.
fn forgetful(dir: &Path, sync: SyncPolicy, everywhere: bool) -> (Journal, Arc<Mutex<Vec<u8>>>, Arc<AtomicBool>) {
    let (mut journal, ..) = open(dir, &JournalOptions { sync, ..OPTIONS });
    journal.syncer.hasten();
    let (disk, fails) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<AtomicBool>::default());
    let (of_file, also) = (Arc::clone(&disk), Arc::clone(&fails));
    journal.create = Box::new(move |path| {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        let (disk, fails) = (Arc::clone(&of_file), Arc::clone(&also));
        Ok(Arc::new(Forgetful { file, everywhere, disk, cache: Mutex::default(), fails }))
    });
    (journal, disk, fails)
}

#[test]
fn what_a_sync_has_lost_is_written_again_before_anything_counts_as_written() {
    let dir = tempdir().expect("a folder");
    let (mut journal, disk, fails) = forgetful(dir.path(), SyncPolicy::EveryCommit, false);
    journal.append(b"one").expect("room");
    journal.commit().expect("a commit");
    fails.store(true, Ordering::Relaxed);
    for record in [b"two", b"and"] {
        journal.append(record).expect("room");
        assert!(matches!(journal.commit(), Err(CommitError::Sync(_))));
    }
    assert!(matches!(journal.commit(), Err(CommitError::Sync(_))), "nothing new is written, and the old is not there");
    fails.store(false, Ordering::Relaxed);
    journal.commit().expect("the disk works again");
    assert_eq!(journal.counters().sync_failures.load(Ordering::Relaxed), 3);
    drop(journal);
    let path = list(dir.path()).expect("segments").remove(0).path;
    assert_eq!(*disk.lock().expect("not poisoned"), fs::read(path).expect("a segment"), "the disk has all of it");
    assert_eq!(open(dir.path(), &OPTIONS).2, [b"one", b"two", b"and"]);
}

#[test]
fn what_the_kernel_has_forgotten_as_well_is_written_again() {
    let dir = tempdir().expect("a folder");
    let (mut journal, disk, fails) = forgetful(dir.path(), SyncPolicy::EveryCommit, true);
    journal.append(b"one").expect("room");
    journal.commit().expect("a commit");
    fails.store(true, Ordering::Relaxed);
    for record in [b"two", b"and"] {
        journal.append(record).expect("room");
        assert!(matches!(journal.commit(), Err(CommitError::Sync(_))));
    }
    fails.store(false, Ordering::Relaxed);
    journal.commit().expect("the disk works again");
    drop(journal);
    let path = list(dir.path()).expect("segments").remove(0).path;
    assert_eq!(*disk.lock().expect("not poisoned"), fs::read(path).expect("a segment"), "the disk has all of it");
    assert_eq!(open(dir.path(), &OPTIONS).2, [b"one", b"two", b"and"]);
}

#[test]
fn a_disk_that_syncs_nothing_fills_two_buffers_and_no_more() {
    let dir = tempdir().expect("a folder");
    let (mut journal, _disk, fails) = forgetful(dir.path(), SyncPolicy::EveryCommit, true);
    journal.options.buffer_bytes_max = 1000;
    fails.store(true, Ordering::Relaxed);
    // A header of 8 bytes and nine records of 100 wait to be synced; nine wait to be written.
    let mut taken = Vec::new();
    for number in 0..100_u8 {
        taken.extend(journal.append(&[number; 92]).is_ok().then_some(number));
        assert!(journal.commit().is_err());
    }
    assert_eq!(taken, (0..18).collect::<Vec<_>>());
    assert_eq!((journal.syncer.waiting_bytes(), journal.waiting()), (908, 9));
    fails.store(false, Ordering::Relaxed);
    journal.commit().expect("the disk works again");
    assert_eq!((journal.syncer.waiting_bytes(), journal.waiting()), (0, 0));
    drop(journal);
    assert_eq!(open(dir.path(), &OPTIONS).2, (0..18).map(|number| vec![number; 92]).collect::<Vec<_>>());
}

#[test]
fn a_commit_hears_of_a_sync_that_has_failed_behind_its_back() {
    let dir = tempdir().expect("a folder");
    let (mut journal, disk, fails) = forgetful(dir.path(), SyncPolicy::Interval(Duration::from_millis(1)), false);
    let until = |journal: &mut Journal, well: bool| {
        let begun = std::time::Instant::now();
        while journal.commit().is_ok() != well {
            assert!(begun.elapsed() < Duration::from_secs(30), "the thread takes its turns");
            std::thread::yield_now();
        }
    };
    fails.store(true, Ordering::Relaxed);
    journal.append(b"one").expect("room");
    until(&mut journal, false);
    fails.store(false, Ordering::Relaxed);
    until(&mut journal, true);
    drop(journal);
    let path = list(dir.path()).expect("segments").remove(0).path;
    assert_eq!(*disk.lock().expect("not poisoned"), fs::read(path).expect("a segment"));
}

#[test]
fn every_policy_syncs_as_it_says() {
    for (sync, expected) in [(SyncPolicy::Never, 0..=0), (SyncPolicy::EveryCommit, 3..=4)] {
        check_syncs(sync, &expected);
    }
    // A day never passes in a test; what is left is synced when the journal is closed.
    check_syncs(SyncPolicy::Interval(Duration::from_secs(86_400)), &(2..=2));
}

fn check_syncs(sync: SyncPolicy, expected: &std::ops::RangeInclusive<u64>) {
    let dir = tempdir().expect("a folder");
    let (mut journal, ..) = open(dir.path(), &JournalOptions { sync, ..OPTIONS });
    let counters = Arc::clone(journal.counters());
    for _ in 0..3 {
        journal.append(b"record").expect("room");
        journal.commit().expect("a commit");
        journal.commit().expect("nothing to do");
    }
    drop(journal);
    let syncs = counters.syncs.load(Ordering::Relaxed);
    assert!(expected.contains(&syncs), "{sync:?} has synced {syncs} times");
    assert_eq!(counters.records.load(Ordering::Relaxed), 3);
}

proptest::proptest! {
    /// Whatever stands in a file, reading it ends and gives only what has a valid frame.
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let dir = tempdir().expect("a folder");
        let path = path_of(dir.path(), 1);
        fs::write(&path, [&HEADER[..], &bytes].concat()).expect("a file");
        let (_, replay, records) = open(dir.path(), &OPTIONS);
        let good: usize = records.iter().map(|record| FRAME + record.len()).sum();
        let lost: u64 = replay.torn.iter().map(|torn| torn.lost_bytes).sum();
        proptest::prop_assert!(good as u64 + lost <= bytes.len() as u64);
    }
}
