//! What is known of the places where checkpoints are shown: one file, written whole.

use super::files::write_whole;
use crate::FileError;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use sx_engine::Time;

/// The last checkpoint that a place has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchored {
    /// How many records it covers.
    pub size: u64,
    /// When the log signed it, in seconds since 1970.
    pub signed_s: u64,
    /// When it was taken, in seconds since 1970.
    pub taken_s: u64,
}

/// What each place has taken, by the name it is known under. Whoever changes the file gains nothing: a place
/// remembers for itself what it was shown, and says so.
#[derive(Debug)]
pub struct AnchorStates {
    path: PathBuf,
    taken: BTreeMap<String, Anchored>,
}

const FILE: &str = "anchors.json";

impl AnchorStates {
    /// Reads the file in this folder; there need be none.
    ///
    /// # Errors
    /// When it cannot be read. What is not in its form is passed over with a warning: a place says itself where to go on.
    pub(crate) fn open(folder: &Path) -> Result<Self, FileError> {
        let path = folder.join(FILE);
        let taken = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "what was anchored is not known any more");
                BTreeMap::new()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(FileError::at("read", &path)(error)),
        };
        Ok(Self { path, taken })
    }

    /// What this place has taken last.
    pub fn of(&self, place: &str) -> Option<Anchored> {
        self.taken.get(place).copied()
    }

    /// Remembers what a place has taken.
    ///
    /// # Errors
    /// When it cannot be written; it is remembered in memory all the same.
    pub fn set(&mut self, place: &str, anchored: Anchored) -> Result<(), FileError> {
        self.taken.insert(place.to_owned(), anchored);
        let text =
            serde_json::to_vec(&self.taken).map_err(io::Error::from).map_err(FileError::at("write", &self.path))?;
        write_whole(&self.path, &text)
    }
}

impl Anchored {
    /// Of a checkpoint of so many records, signed and taken at these times.
    pub fn new(size: u64, signed: Time, taken: Time) -> Self {
        Self { size, signed_s: signed.as_secs(), taken_s: taken.as_secs() }
    }
}
