//! The indexes of a log that is opened, as their files have them or, where a file does not fit its segment, as the segment gives them.

use super::WitnessError;
use super::aside::{INDEX, set_aside};
use super::links::{entries_of, last_hash};
use crate::FileError;
use crate::witness::files::{self, INDEX_ENTRY_BYTES, Numbered};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use sx_witness::{Hash, IndexEntry};

pub(super) struct Indexes {
    files: Vec<Numbered>,
    /// What is to stand in the files of these segments instead.
    anew: BTreeMap<u64, Vec<IndexEntry>>,
}

const ENTRY_BYTES: u64 = INDEX_ENTRY_BYTES as u64;

impl Indexes {
    /// Those of the folder. One that has not an entry for each record of its segment is made anew, but not written yet.
    pub(super) fn of(folder: &Path, segments: &[Numbered]) -> Result<Self, WitnessError> {
        let mut indexes = Self { files: files::list(folder, files::INDEX)?, anew: BTreeMap::new() };
        let last = segments.last().map_or(u64::MAX, |segment| segment.first);
        for Numbered { first, path } in indexes.files.iter().filter(|index| index.first < last) {
            let bytes = fs::metadata(path).map_err(FileError::at("read", path))?.len();
            let (entries, rest) = (bytes / ENTRY_BYTES, bytes % ENTRY_BYTES);
            match closed(segments).find(|(segment, _)| segment.first == *first) {
                Some((segment, next)) if rest > 0 || first.saturating_add(entries) != next.first => {
                    indexes.anew.insert(*first, entries_from(segment, next)?);
                }
                None if rest > 0 => {
                    return Err(WitnessError::Broken { record: first.saturating_add(entries), path: path.clone() });
                }
                _ => {}
            }
        }
        Ok(indexes)
    }

    /// Compares each that has a record from this one on with its segment, and makes anew what does not fit; true when there is
    /// something new to it.
    pub(super) fn compare(&mut self, segments: &[Numbered], from: u64) -> Result<bool, WitnessError> {
        let before = self.anew.len();
        for (segment, next) in closed(segments).filter(|(_, next)| next.first > from) {
            let Some(index) = self.files.iter().find(|index| index.first == segment.first) else { continue };
            let entries = entries_from(segment, next)?;
            if files::read_index(&index.path)? != entries {
                self.anew.insert(segment.first, entries);
            }
        }
        Ok(self.anew.len() > before)
    }

    /// Writes what was made anew, and keeps what stood there.
    pub(super) fn write(self, folder: &Path) -> Result<u64, FileError> {
        for (first, entries) in &self.anew {
            let path = files::path_of(folder, *first, files::INDEX);
            let wrong = fs::read(&path).map_err(FileError::at("read", &path))?;
            tracing::warn!(path = %path.display(), "an index of the witness log did not fit its segment, and is made again from it");
            set_aside(&path, &INDEX, &wrong)?;
            files::write_index(folder, *first, entries)?;
        }
        Ok(self.anew.len() as u64)
    }

    /// Those of the records before this one.
    pub(super) fn before(&self, record: u64) -> &[Numbered] {
        &self.files[..self.files.partition_point(|index| index.first < record)]
    }

    pub(super) fn entries(&self, index: &Numbered) -> Result<Vec<IndexEntry>, FileError> {
        self.anew.get(&index.first).map_or_else(|| files::read_index(&index.path), |entries| Ok(entries.clone()))
    }

    /// The hash of the last record in an index; `None` when it is empty.
    pub(super) fn last_hash(&self, index: &Numbered) -> Result<Option<Hash>, FileError> {
        match self.anew.get(&index.first) {
            Some(entries) => Ok(entries.last().map(|entry| entry.hash)),
            None => last_hash(&index.path).map_err(FileError::at("read", &index.path)),
        }
    }
}

/// The segments that are closed, each with the one behind it.
fn closed(segments: &[Numbered]) -> impl Iterator<Item = (&Numbered, &Numbered)> {
    segments.iter().zip(segments.iter().skip(1))
}

fn entries_from(segment: &Numbered, next: &Numbered) -> Result<Vec<IndexEntry>, WitnessError> {
    let bytes = fs::read(&segment.path).map_err(FileError::at("read", &segment.path))?;
    Ok(entries_of(segment, next.first, &bytes)?.0)
}
