//! When what was written must have reached the disk itself.

use super::segment::SegmentFile;
use super::{JournalCounters, add};
use crate::background::Background;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
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

type Files = Vec<Arc<dyn SegmentFile>>;

/// Carries the policy out.
pub(crate) enum Syncer {
    Never,
    EveryCommit,
    Background {
        /// The files written to since the last sync, in the order they were first written to.
        written: Arc<Mutex<Files>>,
        /// Dropped with the journal, after a last sync.
        _thread: Background,
    },
}

impl Syncer {
    pub(crate) fn new(policy: SyncPolicy, counters: &Arc<JournalCounters>) -> io::Result<Self> {
        let SyncPolicy::Interval(interval) = policy else {
            return Ok(if policy == SyncPolicy::Never { Self::Never } else { Self::EveryCommit });
        };
        let written = Arc::new(Mutex::new(Files::new()));
        let (shared, counters) = (Arc::clone(&written), Arc::clone(counters));
        let thread = Background::spawn("sx-store-sync", interval, move |_| {
            let files = std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
            for file in files {
                if let Err(error) = sync(&*file, &counters) {
                    tracing::error!(%error, "a journal cannot be synced to the disk");
                }
            }
        })?;
        Ok(Self::Background { written, _thread: thread })
    }

    /// `file` has been written to.
    pub(crate) fn wrote(&self, file: &Arc<dyn SegmentFile>, counters: &JournalCounters) -> io::Result<()> {
        match self {
            Self::Never => Ok(()),
            Self::EveryCommit => sync(&**file, counters),
            Self::Background { written, .. } => {
                let mut files = written.lock().unwrap_or_else(PoisonError::into_inner);
                if !files.iter().any(|known| Arc::ptr_eq(known, file)) {
                    files.push(Arc::clone(file));
                }
                Ok(())
            }
        }
    }
}

fn sync(file: &dyn SegmentFile, counters: &JournalCounters) -> io::Result<()> {
    let result = file.sync();
    add(if result.is_ok() { &counters.syncs } else { &counters.sync_failures }, 1);
    result
}
