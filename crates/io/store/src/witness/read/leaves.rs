//! Records by their numbers, and the tree's leaves for proofs.

use super::lines::{lines_of, whole_lines};
use super::{LogPart, ReadError, ReadProgress, WitnessFolder};
use crate::FileError;
use crate::witness::files::{self, INDEX_ENTRY_BYTES};
use std::cell::RefCell;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use sx_witness::{Frontier, Hash, IndexEntry, Line, RECORD_BYTES_MAX, consistency_proof, inclusion_proof, leaf_hash};

/// The hashes of all records of a log, as its indexes have them; those of a segment without an index are made anew. One
/// index at a time is in memory.
///
/// Nothing here is checked: a proof that comes of a wrong hash does not lead to the root that was signed.
#[derive(Debug)]
pub struct Leaves {
    spans: Vec<Span>,
    size: u64,
    held: RefCell<Held>,
}

/// The records from one number to the next span's.
#[derive(Debug)]
struct Span {
    first: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Index(PathBuf),
    Hashes(Vec<Hash>),
}

/// The index that was read last.
#[derive(Debug, Default)]
struct Held {
    first: u64,
    hashes: Vec<Hash>,
    /// What went wrong, since a leaf's hash is all that a proof asks for.
    fault: Option<ReadError>,
}

impl WitnessFolder {
    /// The hashes of all records.
    ///
    /// # Errors
    /// When the folder cannot be read, or no file has some of the records.
    pub fn leaves(&self, progress: &ReadProgress) -> Result<Leaves, ReadError> {
        let parts = self.parts()?;
        let without_index = |part: &&LogPart| part.index.is_none();
        progress.begin(parts.iter().filter(without_index).map(|part| part.bytes).sum());
        let (mut spans, mut size) = (Vec::new(), 0);
        for part in parts {
            if part.first != size {
                return Err(ReadError::Gap { record: size });
            }
            let (source, count) = match (part.index, part.segment) {
                (Some(index), _) => (Source::Index(index), part.indexed),
                (None, Some(segment)) => {
                    let hashes = hashes_of(&segment, progress)?;
                    let count = hashes.len() as u64;
                    (Source::Hashes(hashes), count)
                }
                (None, None) => continue,
            };
            spans.push(Span { first: size, source });
            size += count;
        }
        Ok(Leaves { spans, size, held: RefCell::default() })
    }

    /// A record as it stands in its segment, without its newline. It is found through the index; in a segment that has none it is
    /// counted to.
    ///
    /// # Errors
    /// When it is not there, or something else stands in its place.
    pub fn record(&self, record: u64) -> Result<Vec<u8>, ReadError> {
        let parts = self.parts()?;
        let at = parts.partition_point(|part| part.first <= record);
        let Some(part) = parts[..at].last() else { return Err(ReadError::Gap { record }) };
        let place = record - part.first;
        let line = match (&part.segment, &part.index) {
            (None, _) if place < part.indexed => return Err(ReadError::Retired { record }),
            (None, _) => None,
            (Some(segment), Some(index)) if place < part.indexed => line_by_index(segment, index, place)?,
            (Some(_), Some(_)) => None,
            (Some(segment), None) => line_by_count(segment, place)?,
        };
        let is_last = at == parts.len();
        let Some(line) = line else {
            let size = if is_last { self.leaves(&ReadProgress::default())?.size() } else { u64::MAX };
            return Err(if record >= size { ReadError::NotThere { record, size } } else { ReadError::Gap { record } });
        };
        match Line::parse(&line) {
            Ok(read) if read.seq() == record => Ok(line),
            _ => Err(ReadError::Wrong { record }),
        }
    }
}

impl Leaves {
    /// How many records there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree over the first `size` records.
    ///
    /// # Errors
    /// When an index cannot be read, or the log is shorter.
    pub fn root(&self, size: u64) -> Result<Hash, ReadError> {
        let mut tree = Frontier::new();
        (0..self.at_most(size)?).for_each(|number| tree.push(self.leaf(number)));
        self.sound(tree.root())
    }

    /// The proof that record `index` is among the first `size`.
    ///
    /// # Errors
    /// When an index cannot be read, or the log is shorter.
    pub fn inclusion(&self, size: u64, index: u64) -> Result<Vec<Hash>, ReadError> {
        let size = self.at_most(size)?;
        self.sound(inclusion_proof(size, index, |number| self.leaf(number)))
    }

    /// The proof that the first `old` records are the beginning of the first `new`.
    ///
    /// # Errors
    /// When an index cannot be read, or the log is shorter.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, ReadError> {
        let new = self.at_most(new)?;
        self.sound(consistency_proof(old, new, |number| self.leaf(number)))
    }

    fn at_most(&self, size: u64) -> Result<u64, ReadError> {
        if size > self.size { Err(ReadError::NotThere { record: size - 1, size: self.size }) } else { Ok(size) }
    }

    /// The result, if nothing went wrong while it was made.
    fn sound<T>(&self, result: T) -> Result<T, ReadError> {
        self.held.borrow_mut().fault.take().map_or(Ok(result), Err)
    }

    /// Proofs ask for leaves in ascending ranges, so each index is read a few times at most.
    fn leaf(&self, number: u64) -> Hash {
        let at = self.spans.partition_point(|span| span.first <= number);
        let Some(span) = self.spans[..at].last() else { return Hash::ZERO };
        let place = usize::try_from(number - span.first).unwrap_or(usize::MAX);
        let hash = match &span.source {
            Source::Hashes(hashes) => hashes.get(place).copied(),
            Source::Index(path) => self.held.borrow_mut().hash(span.first, path, place),
        };
        leaf_hash(&hash.unwrap_or_default())
    }
}

impl Held {
    fn hash(&mut self, first: u64, path: &Path, place: usize) -> Option<Hash> {
        if self.fault.is_some() {
            return None;
        }
        if self.first != first || self.hashes.is_empty() {
            match files::read_index(path) {
                Ok(entries) => self.hashes = entries.iter().map(|entry| entry.hash).collect(),
                Err(error) => self.fault = Some(error.into()),
            }
            self.first = first;
        }
        self.hashes.get(place).copied()
    }
}

fn hashes_of(segment: &Path, progress: &ReadProgress) -> Result<Vec<Hash>, FileError> {
    let mut hashes = Vec::new();
    whole_lines(segment, progress, |_, lines| {
        hashes.extend(lines_of(lines).map(|(_, line)| Hash::of(line)));
        true
    })?;
    Ok(hashes)
}

fn line_by_count(segment: &Path, place: u64) -> Result<Option<Vec<u8>>, FileError> {
    let (mut left, mut found) = (place, None);
    whole_lines(segment, &ReadProgress::default(), |_, lines| {
        for (_, line) in lines_of(lines) {
            if left == 0 {
                found = Some(line.to_vec());
                return false;
            }
            left -= 1;
        }
        true
    })?;
    Ok(found)
}

/// The line that an index says stands there; `None` when nothing does.
fn line_by_index(segment: &Path, index: &Path, place: u64) -> Result<Option<Vec<u8>>, FileError> {
    let mut entry = [0; INDEX_ENTRY_BYTES];
    let at = place * INDEX_ENTRY_BYTES as u64;
    files::open(index).and_then(|file| file.read_exact_at(&mut entry, at)).map_err(FileError::at("read", index))?;
    let offset = IndexEntry::from_bytes(&entry).offset;
    let file = files::open(segment).map_err(FileError::at("open", segment))?;
    let mut bytes = vec![0; RECORD_BYTES_MAX + 1];
    let mut held = 0;
    while held < bytes.len() {
        // An offset that is none of this file is that of no line.
        let more = offset.checked_add(held as u64).map_or(Ok(0), |at| file.read_at(&mut bytes[held..], at));
        match more.map_err(FileError::at("read", segment))? {
            0 => break,
            more => held += more,
        }
    }
    let end = memchr::memchr(b'\n', &bytes[..held]);
    Ok(end.map(|end| bytes[..end].to_vec()))
}
