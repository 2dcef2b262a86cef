//! When what was written must have reached the disk itself, and what becomes of it when the disk refuses.
//!
//! A sync that fails says that something was lost, and the next one need not say it again: the kernel has told, and
//! perhaps forgotten what it could not write, so that the file may show what the disk has. So what was written since the
//! last good sync is kept in memory, and written once more before it is synced again. Until that goes well every commit
//! fails.

use super::segment::SegmentFile;
use super::{JournalCounters, add, write_all_at};
use crate::background::Background;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
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
    /// Of all parts, those that are being synced included.
    bytes: AtomicUsize,
    /// The system's number for why the last sync failed; 0: it did not.
    failed: AtomicI32,
}

/// Part of a file.
struct Part {
    file: Arc<dyn SegmentFile>,
    /// Of the folder, which was opened when it was the first with something to sync: there is one at a time.
    is_folder: bool,
    from: u64,
    /// What was written there.
    bytes: Vec<u8>,
    /// A sync of it has failed: it must be written again.
    doubtful: bool,
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

    /// These bytes have been written at the end of `file`, which is at `from`.
    pub(crate) fn wrote(&self, file: &Arc<dyn SegmentFile>, from: u64, bytes: &[u8]) {
        if self.policy != SyncPolicy::Never {
            self.unsynced.bytes.fetch_add(bytes.len(), Ordering::AcqRel);
            self.unsynced.append(file, from, bytes);
        }
    }

    /// How many bytes wait to reach the disk.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.unsynced.bytes.load(Ordering::Acquire)
    }

    /// The name of a new file in `folder` must reach the disk as well.
    pub(crate) fn named(&self, folder: &Path) {
        if self.policy == SyncPolicy::Never || self.unsynced.locked().iter().any(|part| part.is_folder) {
            return;
        }
        if let Ok(folder) = File::open(folder) {
            let file = Arc::new(folder);
            self.unsynced.locked().push(Part { file, is_folder: true, from: 0, bytes: Vec::new(), doubtful: false });
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

    /// More of a file, which is written from its beginning to its end.
    fn append(&self, file: &Arc<dyn SegmentFile>, from: u64, bytes: &[u8]) {
        let mut parts = self.locked();
        match parts.iter_mut().find(|known| !known.is_folder && Arc::ptr_eq(&known.file, file)) {
            Some(known) => known.bytes.extend_from_slice(bytes),
            None => parts.push(Part {
                file: Arc::clone(file),
                is_folder: false,
                from,
                bytes: bytes.to_vec(),
                doubtful: false,
            }),
        }
    }

    /// Takes back a part that could not be synced, before what has been written behind it since.
    fn take_back(&self, mut part: Part) {
        part.doubtful = true;
        let mut parts = self.locked();
        match parts.iter_mut().find(|known| known.is_same(&part)) {
            Some(later) => {
                part.bytes.append(&mut later.bytes);
                *later = part;
            }
            None => parts.push(part),
        }
    }

    /// Syncs everything, without keeping the writer waiting for the disk.
    fn sync(&self, counters: &JournalCounters) {
        let parts = std::mem::take(&mut *self.locked());
        let mut failed = None;
        for part in parts {
            match part.sync() {
                Ok(()) => {
                    add(&counters.syncs, 1);
                    self.bytes.fetch_sub(part.bytes.len(), Ordering::AcqRel);
                }
                Err(error) => {
                    add(&counters.sync_failures, 1);
                    self.take_back(part);
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

    fn sync(&self) -> io::Result<()> {
        if self.doubtful {
            write_all_at(&*self.file, &self.bytes, self.from)?;
        }
        self.file.sync()
    }
}

/// A disk that has refused is asked again after so long: each time all that is doubtful is written again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that refuses.
    struct Refusing;

    impl SegmentFile for Refusing {
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
            syncer.wrote(&file, 0, &[0; 20]);
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
