//! Call detail records: written to a journal by the worker that has the call, folded into a database behind it.

mod encoding;
mod export;
mod fold;
mod port_numbers;
mod purge;
mod query;
mod recordings;
mod recover;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod versions;

pub use export::{CDR_ATTEMPT_COLUMNS, CDR_COLUMNS, CDR_RECORDING_COLUMNS, ExportError};
pub use fold::FoldError;
pub use purge::PurgeError;
pub use query::{CdrFilter, CdrReader};
pub use recordings::hash_text;
pub use recover::Recovery;

use crate::background::{Background, Turn};
use crate::folder::create_folder;
use crate::journal::{AppendError, CommitError, Journal, JournalCounters, JournalError, JournalOptions, Progress, add};
use crate::{DataFolder, DatabaseError, FileError, OpenDatabaseError};
use fold::{Database, Fold};
use purge::Sweep;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use sx_call::CallRecord;
use sx_engine::Time;

/// The folder of the journals in the data folder.
const FOLDER: &str = "cdr";

/// How call detail records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CdrOptions {
    /// The journals.
    pub journal: JournalOptions,
    /// How often what the journals hold is taken into the database.
    pub fold_interval: Duration,
    /// Records of calls that came longer ago are removed; `None`: they are kept for ever.
    pub keep: Option<Duration>,
}

impl Default for CdrOptions {
    /// The default journal, folded four times a second; records are kept for ever.
    fn default() -> Self {
        Self { journal: JournalOptions::default(), fold_interval: Duration::from_millis(250), keep: None }
    }
}

/// What was counted of call detail records since the process began.
#[derive(Debug, Default)]
pub struct CdrCounters {
    /// The journals of all writers.
    pub journal: Arc<JournalCounters>,
    /// Journal records taken into the database.
    pub folded: AtomicU64,
    /// Failures to do so; it is tried again.
    pub fold_failures: AtomicU64,
    /// Segments folded and removed.
    pub segments_removed: AtomicU64,
    /// Segments that could not be read to their end, and were kept as `.damaged`.
    pub segments_set_aside: AtomicU64,
    /// Calls of an earlier run that were alive when it died.
    pub calls_cut_off: AtomicU64,
    /// Calls whose records were removed because they had been kept long enough.
    pub calls_purged: AtomicU64,
}

impl CdrCounters {
    /// Journal records that wait to be taken into the database.
    pub fn fold_lag(&self) -> u64 {
        // Read in this order, since what is folded was written before.
        let folded = self.folded.load(Ordering::Acquire);
        self.journal.records.load(Ordering::Acquire).saturating_sub(folded)
    }
}

/// Why call detail records cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum CdrError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenDatabaseError),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// What earlier runs have left cannot be taken in.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// A journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The caller has asked for two writers of one name, or for a name that is no file name.
    #[error("{name:?} is no name for one more journal of call detail records")]
    Name {
        /// The name.
        name: String,
    },
}

/// Keeps call detail records: hands out writers and folds what they write. Drop the writers first, then this;
/// what is written by then is in the database.
pub struct CdrStore {
    dir: PathBuf,
    options: CdrOptions,
    counters: Arc<CdrCounters>,
    /// The segment each journal goes on with; a name is taken out when its writer is made.
    next: HashMap<String, u32>,
    names: Vec<String>,
    folding: Arc<Folding>,
    _thread: Background,
    _lock: Arc<File>,
}

impl CdrStore {
    /// Opens the store and takes in what earlier runs have left. A call that was begun and never ended gets a
    /// record with cause 41 that says it was lost with its process, and ends with the last thing that one wrote down, be it
    /// that it was alive.
    ///
    /// `now` tells the time on the clock that the records' times are of. The age of a record is told by no other: where
    /// the wall clock is set while the process runs, the two are apart by as much.
    ///
    /// # Errors
    /// When the folder or the database refuses.
    pub fn open(
        folder: &DataFolder,
        options: &CdrOptions,
        now: impl Fn() -> Time + Send + Sync + 'static,
    ) -> Result<(Self, Recovery), CdrError> {
        let dir = folder.path().join(FOLDER);
        create_folder(&dir)?;
        let path = folder.path().join(table::FILE);
        let connection = table::open(&path)?;
        let mut database = Database::new(connection, &path);
        let counters = Arc::new(CdrCounters::default());
        let (recovery, next) = recover::recover(&dir, &mut database, &counters)?;
        if recovery.calls_cut_off > 0 {
            tracing::warn!(calls = recovery.calls_cut_off, "calls were cut off when the last run ended");
        }
        let folding = Arc::new(Folding {
            arriving: Mutex::default(),
            folder: Mutex::new(Folder { database, folds: Vec::new(), failing: false, purge: Sweep::default() }),
            counters: Arc::clone(&counters),
            keep: Mutex::new(options.keep),
            now: Box::new(now),
        });
        let shared = Arc::clone(&folding);
        let thread = Background::spawn("sx-store-fold", options.fold_interval, move |_: Turn| shared.round())
            .map_err(FileError::at("start the thread that folds", &dir))?;
        let (options, names, lock) = (options.clone(), Vec::new(), folder.lock());
        Ok((Self { dir, options, counters, next, names, folding, _thread: thread, _lock: lock }, recovery))
    }

    /// A writer with a journal of its own, for one worker. `name` is a file name, the same in every run.
    ///
    /// # Errors
    /// When the journal's folder cannot be made, or the name is taken or no name.
    pub fn writer(&mut self, name: &str) -> Result<CdrWriter, CdrError> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if name.is_empty() || !plain || self.names.iter().any(|taken| taken == name) {
            return Err(CdrError::Name { name: name.to_owned() });
        }
        let dir = self.dir.join(name);
        create_folder(&dir)?;
        // Where somebody has taken the journal away, what the database knows of it is not to be held against a new one.
        let segment = match self.next.remove(name) {
            Some(next) => next,
            None => locked(&self.folding.folder).database.fold(name, dir.clone())?.last_known() + 1,
        };
        let counters = Arc::clone(&self.counters.journal);
        let journal = Journal::begin(&dir, segment, &self.options.journal, counters)?;
        let progress = Arc::clone(journal.progress());
        self.names.push(name.to_owned());
        locked(&self.folding.arriving).push((Fold::new(name, dir, segment), progress));
        Ok(CdrWriter { journal })
    }

    /// Takes into the database what the writers have committed up to now, on this thread.
    ///
    /// # Errors
    /// When the database refuses. Nothing is lost; it is tried again.
    pub fn fold(&self) -> Result<(), FoldError> {
        self.folding.turn()
    }

    /// Records of calls that came longer ago are removed from now on; `None`: none are.
    pub fn keep(&self, keep: Option<Duration>) {
        *locked(&self.folding.keep) = keep;
    }

    /// What was counted.
    pub fn counters(&self) -> &Arc<CdrCounters> {
        &self.counters
    }
}

/// Writes the records of one worker's calls. It never waits for the database.
pub struct CdrWriter {
    journal: Journal,
}

impl CdrWriter {
    /// Appends a record to what the next [`commit`](Self::commit) writes.
    ///
    /// # Errors
    /// When the record is too long or too much waits to be written already; the record is lost then.
    pub fn append(&mut self, record: &CallRecord) -> Result<(), AppendError> {
        self.journal
            .append_with(|buffer| {
                encoding::encode(record, buffer);
                Ok::<(), Infallible>(())
            })
            .unwrap_or_else(|never| match never {})
    }

    /// Writes what was appended, in one write. From then on it survives the end of the process.
    ///
    /// # Errors
    /// As [`Journal::commit`]: what was not written waits for the next commit.
    pub fn commit(&mut self) -> Result<(), CommitError> {
        self.journal.commit()
    }
}

/// What the thread that folds shares with the store.
struct Folding {
    /// Journals of new writers.
    arriving: Mutex<Vec<(Fold, Arc<Progress>)>>,
    folder: Mutex<Folder>,
    counters: Arc<CdrCounters>,
    /// How long records are kept.
    keep: Mutex<Option<Duration>>,
    now: Box<dyn Fn() -> Time + Send + Sync>,
}

struct Folder {
    database: Database,
    folds: Vec<(Fold, Arc<Progress>)>,
    failing: bool,
    purge: Sweep,
}

impl Folding {
    /// What the thread does now and then.
    fn round(&self) {
        // What has gone wrong is logged and tried again in the next round.
        drop(self.turn());
        self.purge((self.now)().as_nanos());
    }

    /// Folds every journal. One that fails does not keep the others from being folded.
    fn turn(&self) -> Result<(), FoldError> {
        let folder = &mut *locked(&self.folder);
        folder.folds.append(&mut locked(&self.arriving));
        let (database, mut result) = (&mut folder.database, Ok(()));
        folder.folds.retain_mut(|(fold, progress)| {
            fold.advance(database, progress, &self.counters).map_or_else(
                |error| {
                    result = Err(error);
                    true
                },
                |finished| !finished,
            )
        });
        match &result {
            Ok(()) if std::mem::take(&mut folder.failing) => {
                tracing::info!("the call detail records can be kept again");
            }
            Ok(()) => {}
            Err(error) => {
                add(&self.counters.fold_failures, 1);
                if !std::mem::replace(&mut folder.failing, true) {
                    tracing::error!(%error, "call detail records stay in the journal for now");
                }
            }
        }
        result
    }
}

/// A fold changes nothing until the database has taken it, so what a panic leaves behind is valid.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
