//! How one segment follows the other: by their names, their indexes and the links between their records.

use super::WitnessError;
use super::indexes::Indexes;
use crate::FileError;
use crate::witness::files::{self, INDEX_ENTRY_BYTES, Numbered};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use sx_witness::{Hash, IndexEntry, Line};

/// Does the first record of each segment name the hash of the record before it, as the index of that has it?
pub(super) fn check_links(indexes: &Indexes, segments: &[Numbered]) -> Result<(), WitnessError> {
    for segment in segments {
        let expected = match indexes.before(segment.first).last() {
            _ if segment.first == 0 => Some(Hash::ZERO),
            Some(index) => indexes.last_hash(index)?,
            // What is not there is named when the tree is made.
            None => continue,
        };
        let named = first_link(segment)?;
        if named.is_some_and(|named| Some(named) != expected) {
            return Err(WitnessError::Broken { record: segment.first, path: segment.path.clone() });
        }
    }
    Ok(())
}

/// The hash that the first record names; `None` when there is none, of which others say what it means.
fn first_link(segment: &Numbered) -> Result<Option<Hash>, FileError> {
    let line = files::first_line(&segment.path)?;
    Ok(line.and_then(|line| Line::parse(&line).ok().map(|line| line.prev_hash())))
}

/// The last hash of an index; `None` when it is empty.
pub(super) fn last_hash(index: &Path) -> std::io::Result<Option<Hash>> {
    let mut file = File::open(index)?;
    let entries = file.metadata()?.len() / INDEX_ENTRY_BYTES as u64;
    let Some(before) = entries.checked_sub(1) else { return Ok(None) };
    file.seek(SeekFrom::Start(before * INDEX_ENTRY_BYTES as u64))?;
    let mut entry = [0; INDEX_ENTRY_BYTES];
    file.read_exact(&mut entry)?;
    Ok(Some(IndexEntry::from_bytes(&entry).hash))
}

/// Writes the indexes of closed segments that have none: the process died before it came to that. What is no record gets none.
pub(super) fn index_missing(folder: &Path, segments: &[Numbered]) -> Result<u64, WitnessError> {
    let mut written = 0;
    for (segment, next) in segments.iter().zip(segments.iter().skip(1)) {
        if files::path_of(folder, segment.first, files::INDEX).exists() {
            continue;
        }
        let bytes = fs::read(&segment.path).map_err(FileError::at("read", &segment.path))?;
        let (entries, end) = entries_of(segment, next.first, &bytes)?;
        files::write_index(folder, segment.first, &entries)?;
        let file =
            fs::OpenOptions::new().write(true).open(&segment.path).map_err(FileError::at("open", &segment.path))?;
        file.set_len(end as u64).and_then(|()| file.sync_all()).map_err(FileError::at("cut", &segment.path))?;
        written += 1;
    }
    Ok(written)
}

/// The entries of a closed segment, and where its lines end: all records up to the next segment must be there, each must name the
/// one before it, and only room may stand behind them.
pub(super) fn entries_of(
    segment: &Numbered,
    next: u64,
    bytes: &[u8],
) -> Result<(Vec<IndexEntry>, usize), WitnessError> {
    let (mut entries, mut at): (Vec<IndexEntry>, usize) = (Vec::new(), 0);
    for record in segment.first..next {
        let broken = |record| WitnessError::Broken { record, path: segment.path.clone() };
        let length = memchr::memchr(b'\n', &bytes[at..]).ok_or_else(|| broken(record))?;
        let text = &bytes[at..at + length];
        let line = Line::parse(text).map_err(|_| broken(record))?;
        if line.seq() != record {
            return Err(broken(record));
        }
        if entries.last().is_some_and(|before| before.hash != line.prev_hash()) {
            return Err(broken(record - 1));
        }
        entries.push(IndexEntry { offset: at as u64, hash: Hash::of(text) });
        at += length + 1;
    }
    if bytes[at..].iter().any(|byte| *byte != 0) {
        return Err(WitnessError::Broken { record: next, path: segment.path.clone() });
    }
    Ok((entries, at))
}
