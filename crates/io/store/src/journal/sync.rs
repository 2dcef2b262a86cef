//! When what was written must have reached the disk itself, and what becomes of it when the disk refuses.
//!
//! A sync that fails says that something was lost, and the next one need not say it again: the kernel has told, and
//! perhaps forgotten what it could not write. So what was written since the last good sync is written once more, with
//! the bytes that the file still shows, before it is synced again. Until that goes well every commit fails.

use super::segment::SegmentFile;
use super::{JournalCounters, add, write_all_at};
use crate::background::Background;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    from: u64,
    to: u64,
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
        Ok(Self { policy, unsynced, _thread: thread })
    }

    /// These bytes of `file` have been written.
    pub(crate) fn wrote(&self, file: &Arc<dyn SegmentFile>, from: u64, to: u64) {
        if self.policy != SyncPolicy::Never {
            self.unsynced.add(Part { file: Arc::clone(file), from, to, doubtful: false });
        }
    }

    /// What is to be on the disk by now, as the policy has it, is there; the error of the disk otherwise.
    pub(crate) fn settle(&self, counters: &JournalCounters) -> io::Result<()> {
        if self.policy == SyncPolicy::EveryCommit {
            self.unsynced.sync(counters);
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
        match parts.iter_mut().find(|known| Arc::ptr_eq(&known.file, &part.file)) {
            Some(known) => {
                (known.from, known.to) = (known.from.min(part.from), known.to.max(part.to));
                known.doubtful |= part.doubtful;
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
    fn sync(&mut self) -> io::Result<()> {
        if self.doubtful {
            self.write_again()?;
        }
        self.file.sync()
    }

    /// Writes what the file shows where it shows it.
    fn write_again(&self) -> io::Result<()> {
        let mut buffer = vec![0; LOT_BYTES];
        let mut at = self.from;
        while at < self.to {
            let wanted = LOT_BYTES.min(usize::try_from(self.to - at).unwrap_or(LOT_BYTES));
            let read = self.file.read_at(&mut buffer[..wanted], at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            write_all_at(&*self.file, &buffer[..read], at)?;
            at += read as u64;
        }
        Ok(())
    }
}

/// So many bytes are written again at a time.
const LOT_BYTES: usize = 64 << 10;
