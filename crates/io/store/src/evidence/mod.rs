//! Evidence that is given with escalations: files that come in pieces, and are kept when they are whole and as they were announced.
//!
//! ```text
//!  create ──► append, append, … ──► finish ──► kept, until it is old
//!     │          └─ WrongOffset        └─ Mismatch: it is removed
//!     └─ TooLong, TooMany, NoRoom
//! ```
//!
//! In the data folder each has a folder `evidence/ESCALATION/ID/` with `content`, and `entry.json`, which says what it is. How much
//! of it has come is the length of `content`, so that an upload goes on behind a restart where it was. Of text that says something
//! about persons `redacted` is kept instead; which of the two it is `entry.json` says, so that a crash leaves no half of either.

mod entry;
mod hashing;

pub use entry::{CHUNK_BYTES, EvidenceEntry, Whole};

use crate::folder::create_folder;
use crate::witness::files::write_whole;
use crate::{DataFolder, FileError};
use entry::{from_json, to_json};
use hashing::{chunk_hashes, hash_of};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sx_engine::Time;
use sx_types::TraceId;

/// The evidence of an exchange.
#[derive(Debug)]
pub struct Evidence {
    folder: PathBuf,
    limits: EvidenceLimits,
    /// What is there, by escalation and id.
    entries: BTreeMap<(TraceId, TraceId), EvidenceEntry>,
}

/// How much evidence there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceLimits {
    /// The longest piece, in bytes.
    pub bytes_max: u64,
    /// Pieces of an escalation.
    pub pieces_max: usize,
    /// All of it together, in bytes, as it was announced.
    pub total_bytes_max: u64,
    /// What is not whole by then is removed.
    pub unfinished_for: Duration,
    /// What is whole is kept for so long.
    pub kept_for: Duration,
}

/// What is announced of a piece.
#[derive(Clone, Copy, Debug)]
pub struct NewEvidence<'a> {
    /// The escalation it is given with.
    pub escalation: TraceId,
    /// What it is called from now on.
    pub id: TraceId,
    /// The name of the file.
    pub name: &'a str,
    /// Its type, as HTTP has types.
    pub media_type: &'a str,
    /// Its bytes.
    pub length: u64,
    /// Its SHA-256, where that is announced.
    pub sha256: Option<[u8; 32]>,
    /// Who gives it, as records name them.
    pub by: &'a str,
}

/// Why evidence was not taken or is not there.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// There is none.
    #[error("there is no such evidence, or it is no longer kept")]
    Unknown,
    /// It is announced to be longer than it may be, or was longer than announced.
    #[error("evidence may have {max} bytes")]
    TooLong {
        /// How many it may have.
        max: u64,
    },
    /// The escalation has as many pieces as it may.
    #[error("an escalation may have {max} pieces of evidence")]
    TooMany {
        /// How many.
        max: usize,
    },
    /// There is as much evidence as there may be.
    #[error("there is no room for more evidence; {total} of {max} bytes are spoken for")]
    NoRoom {
        /// What is there, and what is on its way.
        total: u64,
        /// What may be.
        max: u64,
    },
    /// A piece begins where the last has not ended.
    #[error("the next byte is that at {at}")]
    WrongOffset {
        /// How many bytes have come.
        at: u64,
    },
    /// It is whole already.
    #[error("the evidence is whole already")]
    Whole,
    /// It is not all there.
    #[error("{at} of {length} bytes have come")]
    Unfinished {
        /// How many bytes have come.
        at: u64,
        /// How many there are.
        length: u64,
    },
    /// It is not what was announced, and was removed.
    #[error("the evidence has another SHA-256 than was announced")]
    Mismatch {
        /// What was announced.
        announced: [u8; 32],
        /// What it has.
        found: [u8; 32],
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The name of the folder in the data folder.
const FOLDER: &str = "evidence";
const CONTENT: &str = "content";
const REDACTED: &str = "redacted";
const ENTRY: &str = "entry.json";
/// Text that is longer is looked at by nobody, and kept as it is.
pub const TEXT_BYTES_MAX: u64 = 8 << 20;

impl Evidence {
    /// Opens what is there. What cannot be read is left alone, and said nothing of.
    ///
    /// # Errors
    /// When the folder cannot be made or looked into.
    pub fn open(data: &DataFolder, limits: EvidenceLimits) -> Result<Self, EvidenceError> {
        let folder = data.path().join(FOLDER);
        create_folder(&folder)?;
        let mut entries = BTreeMap::new();
        for escalation in folders_in(&folder)? {
            for piece in folders_in(&escalation)? {
                let Some(entry) = fs::read(piece.join(ENTRY)).ok().and_then(|text| from_json(&text)) else {
                    tracing::warn!(folder = %piece.display(), "what lies with the evidence is none");
                    continue;
                };
                if entry.whole.as_ref().is_some_and(|whole| whole.redacted > 0) {
                    remove_original(&piece);
                }
                let come = fs::metadata(piece.join(CONTENT)).map_or(0, |content| content.len());
                let offset = if entry.whole.is_some() { entry.length } else { come.min(entry.length) };
                entries.insert((entry.escalation, entry.id), EvidenceEntry { offset, ..entry });
            }
        }
        Ok(Self { folder, limits, entries })
    }

    /// From now on as much is taken as these say.
    pub fn limit(&mut self, limits: EvidenceLimits) {
        self.limits = limits;
    }

    /// How much there may be.
    pub fn limits(&self) -> &EvidenceLimits {
        &self.limits
    }

    /// A piece will come.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn create(&mut self, new: NewEvidence<'_>, now: Time) -> Result<&EvidenceEntry, EvidenceError> {
        let limits = self.limits;
        if new.length > limits.bytes_max {
            return Err(EvidenceError::TooLong { max: limits.bytes_max });
        }
        if self.list(new.escalation).count() >= limits.pieces_max {
            return Err(EvidenceError::TooMany { max: limits.pieces_max });
        }
        let total = self.total_bytes();
        if total.saturating_add(new.length) > limits.total_bytes_max {
            return Err(EvidenceError::NoRoom { total, max: limits.total_bytes_max });
        }
        let entry = EvidenceEntry {
            escalation: new.escalation,
            id: new.id,
            name: new.name.into(),
            media_type: new.media_type.into(),
            length: new.length,
            announced: new.sha256,
            by: new.by.into(),
            created: now,
            offset: 0,
            whole: None,
        };
        let place = self.place(&entry);
        create_folder(&place)?;
        let content = place.join(CONTENT);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&content)
            .map_err(FileError::at("create", &content))?;
        write_whole(&place.join(ENTRY), &to_json(&entry))?;
        Ok(self.entries.entry((new.escalation, new.id)).or_insert(entry))
    }

    /// A piece and how much of it has come.
    pub fn get(&self, escalation: TraceId, id: TraceId) -> Result<&EvidenceEntry, EvidenceError> {
        self.entries.get(&(escalation, id)).ok_or(EvidenceError::Unknown)
    }

    /// Those of an escalation, the oldest first.
    pub fn list(&self, escalation: TraceId) -> impl Iterator<Item = &EvidenceEntry> {
        let (first, last) = (TraceId::from_u128(0), TraceId::from_u128(u128::MAX));
        self.entries.range((escalation, first)..=(escalation, last)).map(|(_, entry)| entry)
    }

    /// How many pieces there are, whole or not.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// All bytes that are there or were announced.
    pub fn total_bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.length).sum()
    }

    /// The next bytes of a piece; how many have come now.
    ///
    /// # Errors
    /// When they are not the next ones, or are too many. Nothing was taken then.
    pub fn append(
        &mut self,
        escalation: TraceId,
        id: TraceId,
        offset: u64,
        bytes: &[u8],
    ) -> Result<&EvidenceEntry, EvidenceError> {
        let content = self.place(self.get(escalation, id)?).join(CONTENT);
        let entry = self.entries.get_mut(&(escalation, id)).ok_or(EvidenceError::Unknown)?;
        if entry.whole.is_some() {
            return Err(EvidenceError::Whole);
        }
        if offset != entry.offset {
            return Err(EvidenceError::WrongOffset { at: entry.offset });
        }
        let end = offset.saturating_add(bytes.len() as u64);
        if end > entry.length {
            return Err(EvidenceError::TooLong { max: entry.length });
        }
        let mut file = OpenOptions::new().append(true).open(&content).map_err(FileError::at("open", &content))?;
        if let Err(error) = file.write_all(bytes) {
            // What was written of it is taken back, so that the next try finds the file as it was.
            let _ = file.set_len(offset);
            return Err(FileError::at("write", &content)(error).into());
        }
        entry.offset = end;
        Ok(entry)
    }

    /// All of a piece has come: it is held against what was announced, and kept. Of text `redact` gives what may be kept of
    /// it, and how much was blotted out.
    ///
    /// # Errors
    /// When it is not all there, or is another; then it is gone.
    pub fn finish(
        &mut self,
        escalation: TraceId,
        id: TraceId,
        now: Time,
        redact: impl FnOnce(&str) -> (String, u32),
    ) -> Result<&EvidenceEntry, EvidenceError> {
        let entry = self.get(escalation, id)?;
        if entry.whole.is_some() {
            return Err(EvidenceError::Whole);
        }
        if entry.offset != entry.length {
            return Err(EvidenceError::Unfinished { at: entry.offset, length: entry.length });
        }
        let place = self.place(entry);
        let content = place.join(CONTENT);
        let found = hash_of(&content)?;
        if let Some(announced) = entry.announced.filter(|announced| *announced != found) {
            self.remove(escalation, id)?;
            return Err(EvidenceError::Mismatch { announced, found });
        }
        let redacted = if entry.length <= TEXT_BYTES_MAX { redact_file(&place, redact)? } else { 0 };
        let kept = place.join(kept_name(redacted));
        let file = File::open(&kept).map_err(FileError::at("open", &kept))?;
        file.sync_all().map_err(FileError::at("sync", &kept))?;
        let bytes = file.metadata().map_err(FileError::at("look at", &kept))?.len();
        let kept_sha256 = if redacted == 0 { found } else { hash_of(&kept)? };
        let chunks = chunk_hashes(&kept)?;
        let whole = Whole { sha256: found, kept_sha256, bytes, redacted, chunks, finished: now };
        let finished = EvidenceEntry { whole: Some(whole), ..entry.clone() };
        write_whole(&place.join(ENTRY), &to_json(&finished))?;
        if redacted > 0 {
            remove_original(&place);
        }
        let entry = self.entries.get_mut(&(escalation, id)).ok_or(EvidenceError::Unknown)?;
        *entry = finished;
        Ok(entry)
    }

    /// Away with a piece.
    ///
    /// # Errors
    /// When there is none, or it cannot be removed.
    pub fn remove(&mut self, escalation: TraceId, id: TraceId) -> Result<EvidenceEntry, EvidenceError> {
        let place = self.place(self.get(escalation, id)?);
        fs::remove_dir_all(&place).map_err(FileError::at("remove", &place))?;
        if let Some(above) = place.parent() {
            // That of the escalation goes with its last piece; while there are others it stays.
            let _ = fs::remove_dir(above);
        }
        self.entries.remove(&(escalation, id)).ok_or(EvidenceError::Unknown)
    }

    /// Removes what was kept for long enough, and what has not become whole in time.
    pub fn sweep(&mut self, now: Time) -> Vec<EvidenceEntry> {
        let limits = self.limits;
        let is_old = |entry: &&EvidenceEntry| match &entry.whole {
            Some(whole) => now.since(whole.finished) >= limits.kept_for,
            None => now.since(entry.created) >= limits.unfinished_for,
        };
        let old: Vec<_> = self.entries.values().filter(is_old).map(|entry| (entry.escalation, entry.id)).collect();
        let removed = old.into_iter().map(|(escalation, id)| self.remove(escalation, id));
        removed.filter_map(Result::ok).collect()
    }

    /// Where the bytes of a piece are.
    pub fn content(&self, entry: &EvidenceEntry) -> PathBuf {
        self.place(entry).join(kept_name(entry.whole.as_ref().map_or(0, |whole| whole.redacted)))
    }

    fn place(&self, entry: &EvidenceEntry) -> PathBuf {
        self.folder.join(entry.escalation.to_string()).join(entry.id.to_string())
    }
}

/// The folders in a folder.
fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let read = fs::read_dir(folder).map_err(FileError::at("look into", folder))?;
    Ok(read.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

/// The file of what is kept.
fn kept_name(redacted: u32) -> &'static str {
    if redacted == 0 { CONTENT } else { REDACTED }
}

/// Away with what something was blotted out of.
fn remove_original(place: &Path) {
    let content = place.join(CONTENT);
    match fs::remove_file(&content) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::error!(file = %content.display(), %error, "what says something about persons cannot be removed");
        }
        Ok(()) | Err(_) => {}
    }
}

/// Writes what may be kept beside what has come, where that is text that says something about persons. How much was blotted out?
fn redact_file(place: &Path, redact: impl FnOnce(&str) -> (String, u32)) -> Result<u32, FileError> {
    let content = place.join(CONTENT);
    let bytes = fs::read(&content).map_err(FileError::at("read", &content))?;
    let is_text = |text: &&str| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\x0c'));
    let Some(text) = std::str::from_utf8(&bytes).ok().filter(is_text) else { return Ok(0) };
    let (redacted, count) = redact(text);
    if count > 0 {
        write_whole(&place.join(REDACTED), redacted.as_bytes())?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests;
