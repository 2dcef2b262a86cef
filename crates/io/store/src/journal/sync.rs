//! When what was written must have reached the disk itself, and what becomes of it when the disk refuses.
//!
//! A sync that fails says that something was lost, and the next one need not say it again: the kernel has told, and
//! perhaps forgotten what it could not write. So what was written since the last good sync is written once more, with
//! the bytes that the file still shows, before it is synced again. Until that goes well every commit fails. Where the file
//! does not show records any more they are gone: every commit fails until the journal is opened anew.

use super::frame::whole_frames;
use super::segment::SegmentFile;
use super::{HEADER, JournalCounters, add, write_all_at};
use crate::background::Background;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When a journal calls `fdatasync`. What `commit` has written survives the death of the process whatever the
/// policy; the policy decides what a power failure can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Never: the kernel writes back when it likes, usually within 30 seconds.
    Never,
    /// Before each `commit` returns.
    EveryCommit,
    /// Every so often, on a thread of its own; `commit` never waits for it.
    Interval(Duration),
}

/// Carries the policy out.
pub(crate) struct Syncer {
    policy: SyncPolicy,
    unsynced: Arc<Unsynced>,
    /// When a commit that waits for the disk was refused by it last.
    refused: Option<Instant>,
    pause: Duration,
    /// Dropped with the journal, after a last sync.
    _thread: Option<Background>,
}

/// What was written and has perhaps not reached the disk.
#[derive(Default)]
struct Unsynced {
    /// In the order they were first written to.
    parts: Mutex<Vec<Part>>,
    /// The system's number for why the last sync failed; 0: it did not.
    failed: AtomicI32,
}

/// Part of a file.
struct Part {
    file: Arc<dyn SegmentFile>,
    /// Of the folder, which was opened when it was the first with something to sync: there is one at a time.
    is_folder: bool,
    from: u64,
    to: u64,
    /// A sync of it has failed: it must be written again.
    doubtful: bool,
    /// It could not be written again, since the file shows other bytes, and that has been logged.
    gone: bool,
}

impl Syncer {
    pub(crate) fn new(policy: SyncPolicy, counters: &Arc<JournalCounters>) -> io::Result<Self> {
        let unsynced = Arc::<Unsynced>::default();
        let thread = match policy {
            SyncPolicy::Never | SyncPolicy::EveryCommit => None,
            SyncPolicy::Interval(interval) => {
                let (shared, counters) = (Arc::clone(&unsynced), Arc::clone(counters));
                Some(Background::spawn("sx-store-sync", interval, move |_| shared.sync(&counters))?)
            }
        };
        Ok(Self { policy, unsynced, refused: None, pause: RETRY_PAUSE, _thread: thread })
    }

    /// These bytes of `file` have been written.
    pub(crate) fn wrote(&self, file: &Arc<dyn SegmentFile>, from: u64, to: u64) {
        if self.policy != SyncPolicy::Never {
            let file = Arc::clone(file);
            self.unsynced.add(Part { file, is_folder: false, from, to, doubtful: false, gone: false });
        }
    }

    /// The name of a new file in `folder` must reach the disk as well.
    pub(crate) fn named(&self, folder: &Path) {
        if self.policy == SyncPolicy::Never || self.unsynced.locked().iter().any(|part| part.is_folder) {
            return;
        }
        if let Ok(folder) = File::open(folder) {
            let file = Arc::new(folder);
            self.unsynced.add(Part { file, is_folder: true, from: 0, to: 0, doubtful: false, gone: false });
        }
    }

    /// The next commit tries again at once what the disk has refused.
    pub(crate) fn hasten(&mut self) {
        self.pause = Duration::ZERO;
    }

    /// What is to be on the disk by now, as the policy has it, is there; the error of the disk otherwise.
    pub(crate) fn settle(&mut self, counters: &JournalCounters) -> io::Result<()> {
        let rests = self.refused.is_some_and(|refused| refused.elapsed() < self.pause);
        if self.policy == SyncPolicy::EveryCommit && !rests {
            self.unsynced.sync(counters);
            self.refused = (self.unsynced.failed.load(Ordering::Acquire) != 0).then(Instant::now);
        }
        match self.unsynced.failed.load(Ordering::Acquire) {
            0 => Ok(()),
            number => Err(io::Error::from_raw_os_error(number)),
        }
    }
}

impl Unsynced {
    fn locked(&self) -> MutexGuard<'_, Vec<Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more part, or more of one that is there.
    fn add(&self, part: Part) {
        let mut parts = self.locked();
        match parts.iter_mut().find(|known| known.is_same(&part)) {
            Some(known) => {
                (known.from, known.to) = (known.from.min(part.from), known.to.max(part.to));
                known.doubtful |= part.doubtful;
                known.gone |= part.gone;
            }
            None => parts.push(part),
        }
    }

    /// Syncs everything, without keeping the writer waiting for the disk.
    fn sync(&self, counters: &JournalCounters) {
        let parts = std::mem::take(&mut *self.locked());
        let mut failed = None;
        for mut part in parts {
            match part.sync() {
                Ok(()) => add(&counters.syncs, 1),
                Err(error) => {
                    add(&counters.sync_failures, 1);
                    part.doubtful = true;
                    self.add(part);
                    failed = Some(error);
                }
            }
        }
        let number =
            failed.as_ref().map_or(0, |error| error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error()));
        let before = self.failed.swap(number, Ordering::AcqRel);
        match failed {
            Some(error) if before == 0 => tracing::error!(%error, "a journal cannot be synced to the disk"),
            None if before != 0 => tracing::info!("what could not be synced to the disk was written again"),
            _ => {}
        }
    }
}

impl Part {
    fn is_same(&self, other: &Self) -> bool {
        (self.is_folder && other.is_folder) || Arc::ptr_eq(&self.file, &other.file)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.doubtful {
            self.write_again()?;
        }
        self.file.sync()
    }

    /// Writes what the file shows where it shows it, as long as that is what was written: pages that could not be written
    /// count as clean, and when the kernel has given them to somebody else the file shows what the disk has.
    fn write_again(&mut self) -> io::Result<()> {
        let result = self.rewrite();
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::InvalidData
            && !std::mem::replace(&mut self.gone, true)
        {
            let (from, to) = (self.from, self.to);
            tracing::error!(
                from,
                to,
                "records that the disk has not taken are gone; their journal fails until a start"
            );
        }
        result
    }

    fn rewrite(&self) -> io::Result<()> {
        let (mut buffer, mut at) = (vec![0; LOT_BYTES], self.from);
        while at < self.to {
            let wanted = buffer.len().min(usize::try_from(self.to - at).unwrap_or(usize::MAX));
            let read = &mut buffer[..wanted];
            read_exact_at(&*self.file, read, at)?;
            let header = if at == 0 { HEADER.len().min(wanted) } else { 0 };
            let whole = if read[..header] == HEADER[..header] { whole_frames(&read[header..]) } else { None };
            let (bytes, next) = whole.ok_or(io::ErrorKind::InvalidData)?;
            write_all_at(&*self.file, &read[..header + bytes], at)?;
            at += (header + bytes) as u64;
            if header + bytes < wanted && at + next as u64 > self.to {
                return Err(io::ErrorKind::InvalidData.into());
            }
            buffer.resize(LOT_BYTES.max(next), 0);
        }
        Ok(())
    }
}

fn read_exact_at(file: &dyn SegmentFile, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.read_at(bytes, at) {
            // The file is shorter than what was written to it.
            Ok(0) => return Err(io::ErrorKind::InvalidData.into()),
            Ok(read) => {
                bytes = &mut bytes[read..];
                at += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A disk that has refused is asked again after so long: each time all that is doubtful is written again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// So many bytes are written again at a time, more where a record is longer.
const LOT_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::append_frame;

    #[test]
    fn only_whole_and_intact_records_are_written_again() {
        let mut bytes = HEADER.to_vec();
        for length in [10, LOT_BYTES - 26, 0, 3 * LOT_BYTES, 100, LOT_BYTES] {
            append_frame(&mut bytes, &vec![length as u8; length]);
        }
        let check = |shown: &[u8], expected: Result<(), io::ErrorKind>| {
            let file = tempfile::tempfile().expect("a file");
            SegmentFile::write_at(&file, shown, 0).expect("written");
            let file: Arc<dyn SegmentFile> = Arc::new(file);
            for from in [0, HEADER.len() as u64] {
                let (file, to) = (Arc::clone(&file), bytes.len() as u64);
                let mut part = Part { file, is_folder: false, from, to, doubtful: true, gone: false };
                assert_eq!(part.sync().map_err(|error| error.kind()), expected, "{from}");
            }
        };
        check(&bytes, Ok(()));
        let gone = Err(io::ErrorKind::InvalidData);
        for index in [HEADER.len() + 1, HEADER.len() + 4, HEADER.len() + 9, 3 * LOT_BYTES, bytes.len() - 1] {
            let mut spoilt = bytes.clone();
            spoilt[index] ^= 1;
            check(&spoilt, gone);
            check(&bytes[..index], gone);
        }
    }

    /// A disk that refuses.
    struct Refusing;

    impl SegmentFile for Refusing {
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
            Ok(0)
        }
        fn write_at(&self, bytes: &[u8], _: u64) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn sync(&self) -> io::Result<()> {
            Err(rustix::io::Errno::IO.into())
        }
    }

    #[test]
    fn a_disk_that_refuses_is_asked_again_after_a_pause() {
        let counters = Arc::<JournalCounters>::default();
        let mut syncer = Syncer::new(SyncPolicy::EveryCommit, &counters).expect("no thread");
        // Longer than any test.
        syncer.pause = Duration::from_secs(86_400);
        let file: Arc<dyn SegmentFile> = Arc::new(Refusing);
        let failures = || counters.sync_failures.load(Ordering::Relaxed);
        for _ in 0..3 {
            syncer.wrote(&file, 0, 20);
            assert!(syncer.settle(&counters).is_err());
            assert_eq!(failures(), 1);
        }
        syncer.hasten();
        assert!(syncer.settle(&counters).is_err());
        assert_eq!(failures(), 2);
    }

    #[test]
    fn a_folder_is_open_once_however_many_names_wait() {
        let dir = tempfile::tempdir().expect("a folder");
        let counters = Arc::<JournalCounters>::default();
        let mut syncer = Syncer::new(SyncPolicy::EveryCommit, &counters).expect("no thread");
        for _ in 0..3 {
            syncer.named(dir.path());
        }
        assert_eq!(syncer.unsynced.locked().len(), 1);
        syncer.settle(&counters).expect("it is synced");
        assert!(syncer.unsynced.locked().is_empty(), "and closed");
    }
}
