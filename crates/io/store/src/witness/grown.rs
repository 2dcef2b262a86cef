//! The log's tree, for proofs that it has only grown: hashes from the indexes of closed segments, and from the lines of
//! those that have none yet.
//!
//! What is kept in memory is a hash for each full block of records and one for each record behind the last index, so that a proof
//! over a hundred million records neither holds nor hashes them all again.

use super::files::{self, INDEX_ENTRY_BYTES};
use crate::FileError;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use sx_witness::{Checkpoint, ConsistencyProof, Frontier, Hash, consistency_ranges, leaf_hash, node_hash, range_split};

/// Reads the tree of a log that may be written at the same time.
#[derive(Debug)]
pub struct GrownLog {
    folder: PathBuf,
    /// The roots of the full blocks from the beginning.
    blocks: Vec<Hash>,
    /// The segment without an index that was read last.
    open: OpenSegment,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Records that the log has signed are not there.
    #[error("record {record} of the witness log cannot be found")]
    Missing {
        /// The first of them.
        record: u64,
    },
    /// The records are not those that were signed: the files were changed.
    #[error("the {size} records on the disk are not those that the log has signed")]
    Changed {
        /// How many records the checkpoint covers.
        size: u64,
    },
}

#[derive(Debug, Default)]
struct OpenSegment {
    first: u64,
    /// Where the next line begins.
    offset: u64,
    leaves: Vec<Hash>,
}

/// Leaves of a block whose root is kept: 4,096 of 32 bytes become one.
const BLOCK_LEAVES: u64 = 4096;

impl GrownLog {
    pub(crate) fn of(folder: PathBuf) -> Self {
        Self { folder, blocks: Vec::new(), open: OpenSegment::default() }
    }

    /// The proof that the log of this checkpoint begins with the first `old` records.
    ///
    /// # Errors
    /// When the files cannot be read, or do not hold what the checkpoint has signed.
    pub fn prove(&mut self, old: u64, checkpoint: &Checkpoint) -> Result<ConsistencyProof, ProveError> {
        let size = checkpoint.size;
        self.fill(size)?;
        if self.root_of_all(size)? != checkpoint.root {
            // What was kept may be what is wrong; next time it is read anew.
            *self = Self::of(std::mem::take(&mut self.folder));
            return Err(ProveError::Changed { size });
        }
        let path = consistency_ranges(old, size).into_iter().map(|(from, to)| self.root(from, to));
        let path = path.collect::<Result<_, _>>()?;
        Ok(ConsistencyProof { old, path, checkpoint: checkpoint.clone() })
    }

    /// Hashes the blocks that have become full.
    fn fill(&mut self, size: u64) -> Result<(), ProveError> {
        while (self.blocks.len() as u64 + 1) * BLOCK_LEAVES <= size {
            let from = self.blocks.len() as u64 * BLOCK_LEAVES;
            let block = root_of(&self.leaves(from, from + BLOCK_LEAVES)?);
            self.blocks.push(block);
        }
        Ok(())
    }

    fn root_of_all(&mut self, size: u64) -> Result<Hash, ProveError> {
        if size == 0 { Ok(Frontier::new().root()) } else { self.root(0, size) }
    }

    /// The root of the leaves `from..to`, which is a part that the tree is split into.
    fn root(&mut self, from: u64, to: u64) -> Result<Hash, ProveError> {
        match to - from {
            BLOCK_LEAVES => Ok(self.blocks[(from / BLOCK_LEAVES) as usize]),
            count if count < BLOCK_LEAVES => Ok(root_of(&self.leaves(from, to)?)),
            count => {
                let middle = from + range_split(count);
                Ok(node_hash(&self.root(from, middle)?, &self.root(middle, to)?))
            }
        }
    }

    /// The leaves `from..to`, from whatever files have them.
    fn leaves(&mut self, from: u64, to: u64) -> Result<Vec<Hash>, ProveError> {
        let mut leaves = Vec::with_capacity((to - from) as usize);
        let firsts = self.firsts()?;
        while from + (leaves.len() as u64) < to {
            let next = from + leaves.len() as u64;
            let missing = ProveError::Missing { record: next };
            let Some(first) = firsts.range(..=next).next_back() else { return Err(missing) };
            let before = leaves.len();
            if !self.read_index(*first, next, to, &mut leaves)? {
                self.read_lines(*first, next, to, &mut leaves)?;
            }
            if leaves.len() == before {
                return Err(missing);
            }
        }
        Ok(leaves)
    }

    /// The numbers of the first records of all segments, those included of which only the index is left.
    fn firsts(&self) -> Result<BTreeSet<u64>, FileError> {
        let mut firsts = BTreeSet::new();
        for extension in [files::SEGMENT, files::INDEX] {
            firsts.extend(files::list(&self.folder, extension)?.iter().map(|file| file.first));
        }
        Ok(firsts)
    }

    /// Adds what the index of a segment has of `from..to`; false when there is none.
    fn read_index(&self, first: u64, from: u64, to: u64, leaves: &mut Vec<Hash>) -> Result<bool, FileError> {
        let path = files::path_of(&self.folder, first, files::INDEX);
        let mut file = match files::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(FileError::at("read", &path)(error)),
        };
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start((from - first) * INDEX_ENTRY_BYTES as u64))
            .and_then(|_| file.take((to - from) * INDEX_ENTRY_BYTES as u64).read_to_end(&mut bytes))
            .map_err(FileError::at("read", &path))?;
        let entries = bytes.chunks_exact(INDEX_ENTRY_BYTES).filter_map(files::entry_of);
        leaves.extend(entries.map(|entry| leaf_hash(&entry.hash)));
        Ok(true)
    }

    /// Adds what the lines of a segment have of `from..to`.
    fn read_lines(&mut self, first: u64, from: u64, to: u64, leaves: &mut Vec<Hash>) -> Result<(), FileError> {
        if self.open.first != first {
            self.open = OpenSegment { first, ..OpenSegment::default() };
        }
        if first + (self.open.leaves.len() as u64) < to {
            self.open.read_on(&files::path_of(&self.folder, first, files::SEGMENT))?;
        }
        let known = self.open.leaves.len();
        let (from, to) = ((from - first) as usize, (to - first) as usize);
        leaves.extend_from_slice(&self.open.leaves[from.min(known)..to.min(known)]);
        Ok(())
    }
}

impl OpenSegment {
    /// Reads the whole lines that have come since.
    fn read_on(&mut self, path: &Path) -> Result<(), FileError> {
        match files::open(path) {
            Ok(file) => self.read_from(file).map_err(FileError::at("read", path)),
            // It was closed, indexed and removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(FileError::at("read", path)(error)),
        }
    }

    fn read_from(&mut self, mut file: File) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.offset))?;
        let mut lines = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
            // What has no newline is half a line, or room: zeros.
            let Some(record) = line.strip_suffix(b"\n") else { return Ok(()) };
            self.leaves.push(leaf_hash(&Hash::of(record)));
            self.offset += line.len() as u64;
        }
    }
}

/// A record and its newline.
const LINE_BYTES_MAX: u64 = sx_witness::RECORD_BYTES_MAX as u64 + 1;

fn root_of(leaves: &[Hash]) -> Hash {
    let mut tree = Frontier::new();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree.root()
}

#[cfg(test)]
mod tests;
