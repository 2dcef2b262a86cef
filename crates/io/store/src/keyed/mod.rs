//! A log of puts and deletes that can be replayed into what is there: for state that lives in the memory of its
//! owner and must outlive the process, as the bindings of registrations do.
//!
//! ```text
//!  put, delete ──► journal: segments 5, 6, 7 (growing)
//!                              └──┬──┘
//!  snapshot 4 ──────── compaction ┘──► snapshot 6      (snapshot 4, segments 5 and 6 are removed)
//! ```
//!
//! The writer keeps no keys in memory. The thread that compacts reads files and writes files; it does so when the
//! closed segments have grown as large as the last snapshot, so the work stays in proportion to what is written.

mod compact;
#[cfg(test)]
mod tests;

use crate::background::{Background, Turn};
use crate::folder::create_folder;
use crate::journal::{AppendError, CommitError, Journal, JournalCounters, JournalError, JournalOptions, Replay, add};
use crate::{DataFolder, FileError};
use compact::Compaction;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fs::File;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is seen whether there is enough to compact.
const COMPACT_INTERVAL: Duration = Duration::from_secs(1);

/// What a record does; its first byte.
const PUT: u8 = 1;
const DELETE: u8 = 2;
/// Ends a snapshot: one without it was not written to its end.
const END: u8 = 3;

/// What a log has counted since it was opened.
#[derive(Debug, Default)]
pub struct KeyedCounters {
    /// The journal's own.
    pub journal: Arc<JournalCounters>,
    /// Snapshots written.
    pub compactions: AtomicU64,
    /// Snapshots that could not be written; it is tried again.
    pub compaction_failures: AtomicU64,
}

/// Why a put or a delete was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The value has no JSON form.
    #[error("the value cannot be written as JSON: {0}")]
    Value(#[from] serde_json::Error),
    /// The journal did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// What a log held when it was opened: the keys, in order, with their values.
pub type Entries<V> = Vec<(String, V)>;

/// The writing end of the log. One thread owns it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = std::env::temp_dir().join(format!("sx-store-doc-keyed-{}", std::process::id()));
/// use sx_store::{JournalOptions, KeyedLog};
/// let (mut log, _) = KeyedLog::<u32>::open(&dir, &JournalOptions::default())?;
/// log.put("anna@example.org", &1)?;
/// log.put("bert@example.org", &2)?;
/// log.delete("anna@example.org")?;
/// log.commit()?;
/// drop(log);
///
/// let (_, entries) = KeyedLog::<u32>::open(&dir, &JournalOptions::default())?;
/// assert_eq!(entries, [("bert@example.org".to_owned(), 2)]);
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
pub struct KeyedLog<V> {
    journal: Journal,
    compaction: Arc<Mutex<Compaction>>,
    counters: Arc<KeyedCounters>,
    _thread: Background,
    _lock: Option<Arc<File>>,
    _value: PhantomData<fn(V) -> V>,
}

impl DataFolder {
    /// Opens the log in the folder `name` of the data folder, as [`KeyedLog::open`] does.
    ///
    /// # Errors
    /// As [`KeyedLog::open`].
    pub fn keyed<V: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        options: &JournalOptions,
    ) -> Result<(KeyedLog<V>, Entries<V>), JournalError> {
        let (mut log, entries) = KeyedLog::open(&self.path().join(name), options)?;
        log._lock = Some(self.lock());
        Ok((log, entries))
    }
}

impl<V: Serialize + DeserializeOwned> KeyedLog<V> {
    /// Opens the log in `dir`, which no other process may have open, and gives what it holds. A torn tail is cut
    /// off; a value that is not a `V` (any more) is left out, counted and logged.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read.
    pub fn open(dir: &Path, options: &JournalOptions) -> Result<(Self, Entries<V>), JournalError> {
        create_folder(dir)?;
        let counters = Arc::new(KeyedCounters::default());
        let mut replay = Replay::default();
        let mut map = HashMap::<String, Vec<u8>>::new();
        let next = compact::replay(dir, &counters.journal, &mut replay, |record| apply(&mut map, record))?;
        let entries = decode(map, &counters.journal);
        let journal = Journal::begin(dir, next, options, Arc::clone(&counters.journal))?;
        let progress = Arc::clone(journal.progress());
        let compaction = Arc::new(Mutex::new(Compaction::new(dir, progress, options.segment_bytes_max)));
        let (shared, counted) = (Arc::clone(&compaction), Arc::clone(&counters));
        let thread = Background::spawn("sx-store-compact", COMPACT_INTERVAL, move |turn| {
            // The process is ending: what is left to compact will be there at the next start.
            if turn == Turn::Next {
                turn_of(&shared, &counted, false);
            }
        })
        .map_err(FileError::at("start the thread that compacts", dir))?;
        let log = Self { journal, compaction, counters, _thread: thread, _lock: None, _value: PhantomData };
        Ok((log, entries))
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// When the value has no JSON form, is too long, or too much waits to be written already.
    pub fn put(&mut self, key: &str, value: &V) -> Result<(), PutError> {
        let appended = self.journal.append_with(|buffer| {
            head(buffer, PUT, key);
            serde_json::to_writer(buffer, value)
        })?;
        Ok(appended?)
    }

    /// Removes a key, whether or not it is there.
    ///
    /// # Errors
    /// When too much waits to be written already.
    pub fn delete(&mut self, key: &str) -> Result<(), PutError> {
        let appended = self.journal.append_with(|buffer| {
            head(buffer, DELETE, key);
            Ok::<(), serde_json::Error>(())
        })?;
        Ok(appended?)
    }

    /// Writes what was put and deleted, in one write.
    ///
    /// # Errors
    /// As [`Journal::commit`]: what was not written waits for the next commit.
    pub fn commit(&mut self) -> Result<(), CommitError> {
        self.journal.commit()
    }

    /// Rewrites the closed segments into a snapshot now, on this thread, however small they are.
    pub fn compact(&self) {
        turn_of(&self.compaction, &self.counters, true);
    }

    /// What was counted.
    pub fn counters(&self) -> &Arc<KeyedCounters> {
        &self.counters
    }
}

fn turn_of(compaction: &Mutex<Compaction>, counters: &KeyedCounters, however_small: bool) {
    // A compaction that panicked has left files that the next one overwrites.
    let mut compaction = compaction.lock().unwrap_or_else(PoisonError::into_inner);
    match compaction.turn(however_small) {
        Ok(true) => {
            compaction.failing = false;
            add(&counters.compactions, 1);
        }
        Ok(false) => {}
        Err(error) => {
            add(&counters.compaction_failures, 1);
            if !std::mem::replace(&mut compaction.failing, true) {
                tracing::error!(%error, "a log is not compacted for now");
            }
        }
    }
}

/// Begins a record: what it does, the key with its length in 32 bits. The value, as JSON, is the rest.
fn head(buffer: &mut Vec<u8>, does: u8, key: &str) {
    buffer.push(does);
    // A key that is longer than 32 bits can say makes a record that is too long, and is refused for it.
    buffer.extend_from_slice(&(key.len() as u32).to_le_bytes());
    buffer.extend_from_slice(key.as_bytes());
}

/// What a record does, its key and its value.
fn parse(record: &[u8]) -> Option<(u8, &str, &[u8])> {
    let (&does, rest) = record.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (key, value) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((does, std::str::from_utf8(key).ok()?, value))
}

fn apply(map: &mut HashMap<String, Vec<u8>>, record: &[u8]) {
    match parse(record) {
        Some((PUT, key, value)) => match map.get_mut(key) {
            Some(known) => {
                known.clear();
                known.extend_from_slice(value);
            }
            None => drop(map.insert(key.to_owned(), value.to_vec())),
        },
        Some((DELETE, key, _)) => drop(map.remove(key)),
        _ => {}
    }
}

fn decode<V: DeserializeOwned>(map: HashMap<String, Vec<u8>>, counters: &JournalCounters) -> Entries<V> {
    let mut entries = Vec::with_capacity(map.len());
    for (key, value) in map {
        match serde_json::from_slice(&value) {
            Ok(value) => entries.push((key, value)),
            Err(error) => {
                add(&counters.damaged, 1);
                tracing::error!(%error, "an entry of a log is not what it should be and was left out");
            }
        }
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    entries
}
