//! A log's folder as auditors read it: verified, searched, and proved from, without the exchange and beside one that writes.
//!
//! ```text
//!  checkpoints.jsonl ──► Verification ◄── in order ── SegmentCheck, a segment each, on every core ◄── segments
//!  indexes ──► Leaves ──► proofs                                Search ──► records of a call, of a time
//! ```
//!
//! Nothing here writes into the folder, which may lie on a medium that cannot be written to. What the exchange does meanwhile is
//! expected: a segment that grows, one that is closed, one that goes because it was kept for long enough.

mod checked;
mod leaves;
mod lines;
mod order;
mod search;
#[cfg(test)]
mod tests;
mod verify;

pub use leaves::Leaves;
pub use search::{Found, RecordId, Search};

use super::files::{self, INDEX_ENTRY_BYTES, Numbered};
use super::keys::{KeyError, read_verifying_key};
use super::recover::FOLDER;
use crate::{FileError, SharedFolder};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use sx_witness::{Checkpoint, VerifyingKey, parse_checkpoint_line};

/// Why a log cannot be read. What is wrong with a log that can be read is no error but a verdict.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The folder is not there.
    #[error("there is no folder {}; name that of a witness log, or of a copy of one", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder is none of a log.
    #[error("there is no witness log in {}: no file there is named as a segment or an index is", folder.display())]
    NoLog {
        /// The folder.
        folder: PathBuf,
    },
    /// The log is not that long.
    #[error("there is no record {record}: the log has {size} record{}", if *size == 1 { "" } else { "s" })]
    NotThere {
        /// The record asked for.
        record: u64,
        /// How many there are.
        size: u64,
    },
    /// The record was retired.
    #[error("record {record} is not there any more: only the index of its segment is")]
    Retired {
        /// The record asked for.
        record: u64,
    },
    /// Neither a segment nor an index has it.
    #[error("no file of the log has record {record}; `strowger witness verify` says more")]
    Gap {
        /// The first record that is missing.
        record: u64,
    },
    /// Something else stands in its place.
    #[error("what stands in the place of record {record} is not that record; `strowger witness verify` says more")]
    Wrong {
        /// The record asked for.
        record: u64,
    },
    /// Segments were removed again and again meanwhile.
    #[error("segments of the log went while they were read; try again, or with a copy of the folder")]
    Moving,
    /// The search had a deadline, which is over.
    #[error("the log is too long to be searched in that time")]
    OutOfTime,
}

/// How far a reader is, in bytes; others may look on.
#[derive(Debug, Default)]
pub struct ReadProgress {
    total: AtomicU64,
    done: AtomicU64,
}

/// A log's folder.
#[derive(Clone, Debug)]
pub struct WitnessFolder {
    path: PathBuf,
}

/// A part of the log: the records from one number to the next part's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// The number of its first record.
    pub first: u64,
    /// The segment, while it is there.
    pub segment: Option<PathBuf>,
    /// How many bytes the segment's file has, room for more included.
    pub bytes: u64,
    /// The index, once the segment is closed.
    pub index: Option<PathBuf>,
    /// How many records the index has.
    pub indexed: u64,
}

/// A checkpoint in `checkpoints.jsonl`, with all cosignatures it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiledCheckpoint {
    /// What the log has signed.
    pub checkpoint: Checkpoint,
    /// Signature lines of witnesses, without their newlines.
    pub cosignatures: Vec<String>,
}

impl SharedFolder {
    /// The witness log in the data folder, to be read.
    ///
    /// # Errors
    /// When there is none.
    pub fn witness(&self) -> Result<WitnessFolder, ReadError> {
        WitnessFolder::open(&WitnessFolder::of_data(self.path()))
    }
}

impl WitnessFolder {
    /// Where a log lies in a data folder.
    pub fn of_data(data: &Path) -> PathBuf {
        data.join(FOLDER)
    }

    /// The log in this folder, which no data folder need be around.
    ///
    /// # Errors
    /// When it cannot be read or holds no log.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let folder = Self { path: path.to_owned() };
        if path.is_file() || matches!(path.try_exists(), Ok(false)) {
            return Err(ReadError::NoFolder { folder: folder.path });
        }
        if folder.parts()?.is_empty() {
            return Err(ReadError::NoLog { folder: folder.path });
        }
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the verifier key lies that the writer has left beside its log. What it proves it proves to nobody who does not
    /// trust whoever may write into the folder.
    pub fn key_path(&self) -> PathBuf {
        self.path.join(files::PUBLIC_KEY)
    }

    /// That key.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn key(&self) -> Result<VerifyingKey, KeyError> {
        read_verifying_key(&self.key_path())
    }

    /// The parts of the log, in the order of their records.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn parts(&self) -> Result<Vec<LogPart>, FileError> {
        let mut parts: BTreeMap<u64, LogPart> = BTreeMap::new();
        let empty = |first| LogPart { first, segment: None, bytes: 0, index: None, indexed: 0 };
        // Indexes last: one whose segment goes meanwhile is listed with it, or by itself.
        for Numbered { first, path } in files::list(&self.path, files::SEGMENT)? {
            if let Some(bytes) = length(&path)? {
                let part = parts.entry(first).or_insert_with(|| empty(first));
                (part.segment, part.bytes) = (Some(path), bytes);
            }
        }
        for Numbered { first, path } in files::list(&self.path, files::INDEX)? {
            let bytes = length(&path)?.unwrap_or(0);
            let part = parts.entry(first).or_insert_with(|| empty(first));
            (part.index, part.indexed) = (Some(path), bytes / INDEX_ENTRY_BYTES as u64);
        }
        Ok(parts.into_values().collect())
    }

    /// The checkpoints that readers were told of, by size; what is no checkpoint is passed over, and is for
    /// [`verify`](Self::verify) to name.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<FiledCheckpoint>, FileError> {
        let bytes = read_if_there(&self.path.join(files::CHECKPOINTS))?.unwrap_or_default();
        let mut filed: BTreeMap<u64, FiledCheckpoint> = BTreeMap::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            let Some((note, more)) = std::str::from_utf8(line).ok().and_then(parse_checkpoint_line) else { continue };
            let Ok(checkpoint) = Checkpoint::parse(&note) else { continue };
            let size = checkpoint.size;
            let entry = filed.entry(size).or_insert(FiledCheckpoint { checkpoint, cosignatures: Vec::new() });
            let new = more.into_iter().filter(|line| !entry.cosignatures.contains(line)).collect::<Vec<_>>();
            entry.cosignatures.extend(new);
        }
        Ok(filed.into_values().collect())
    }
}

impl FiledCheckpoint {
    /// The checkpoint with its cosignatures below the log's own signature, as one note.
    pub fn cosigned(&self) -> Checkpoint {
        let lines = self.cosignatures.iter().flat_map(|line| [line.as_str(), "\n"]);
        let note: String = std::iter::once(self.checkpoint.note.as_str()).chain(lines).collect();
        // So many cosignatures that the note would be too long for any reader are left out.
        Checkpoint::parse(&note).unwrap_or_else(|_| self.checkpoint.clone())
    }
}

impl ReadProgress {
    /// What part has been read, from 0 to 1.
    pub fn part(&self) -> f64 {
        let total = self.total.load(Ordering::Relaxed);
        if total == 0 { 0.0 } else { (self.done.load(Ordering::Relaxed) as f64 / total as f64).min(1.0) }
    }

    /// How many bytes have been read.
    pub fn bytes(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// So many bytes will be read.
    pub fn begin(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
    }

    /// So many more were read.
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The bytes of a file that may not be there.
fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match files::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::at("read", path)(error)),
    }
}

/// How long a file is that may have gone since it was listed. A link that leads nowhere has not gone: it cannot be read.
fn length(path: &Path) -> Result<Option<u64>, FileError> {
    match fs::metadata(path) {
        Ok(about) => Ok(Some(about.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => Ok(None),
        Err(error) => Err(FileError::at("read", path)(error)),
    }
}

/// Is it that the file has gone since it was listed?
fn has_gone(error: &FileError) -> bool {
    error.error.kind() == io::ErrorKind::NotFound
}
