//! The chain: records get their numbers and the hashes that tie each to the one before.

use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::key::SigningKey;
use crate::render::{Batch, Mark, put_decimal, put_escaped};
use crate::stamp;
use crate::tree::Frontier;
use std::ops::Range;
use sx_engine::Time;

/// Where a line lies and what its record's hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The offset of the line in the buffer that it was appended to, counted from the beginning of that buffer. Whoever
    /// writes the buffer to a file adds the offset where it comes to lie there.
    pub offset: u64,
    /// The hash of the record.
    pub hash: Hash,
}

impl IndexEntry {
    /// How it stands in an index file.
    pub fn to_bytes(self) -> [u8; INDEX_ENTRY_BYTES] {
        let mut bytes = [0; INDEX_ENTRY_BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..].copy_from_slice(&self.hash.0);
        bytes
    }

    /// Reads it from an index file.
    pub fn from_bytes(bytes: &[u8; INDEX_ENTRY_BYTES]) -> Self {
        let (mut offset, mut hash) = ([0; 8], [0; 32]);
        offset.copy_from_slice(&bytes[..8]);
        hash.copy_from_slice(&bytes[8..]);
        Self { offset: u64::from_le_bytes(offset), hash: Hash(hash) }
    }
}

/// What an entry takes in an index file.
pub const INDEX_ENTRY_BYTES: usize = 40;

/// The end of a log: how many records it has, the last one's hash, the tree over all of them. It is small, so that a writer keeps a
/// clone until what was appended has reached the disk.
///
/// ```
/// use sx_engine::Time;
/// use sx_witness::{Batch, Chain, Draft, Kind, Line, Renderer};
///
/// let (mut renderer, mut batch) = (Renderer::new("node-1"), Batch::default());
/// renderer.render(&Draft::new(Time::ZERO, Kind::Invite), &mut batch);
/// renderer.render(&Draft::new(Time::ZERO, Kind::Ringing), &mut batch);
///
/// let (mut chain, mut out, mut index) = (Chain::new(), Vec::new(), Vec::new());
/// assert_eq!(chain.append(&batch, &mut out, &mut index), 0..2);
/// let second = out.split(|byte| *byte == b'\n').nth(1).expect("two lines");
/// assert_eq!(Line::parse(second).expect("canonical").prev_hash(), index[0].hash);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    last: Hash,
    tree: Frontier,
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Chain {
    /// Of a log without records.
    pub fn new() -> Self {
        Self { last: Hash::ZERO, tree: Frontier::new() }
    }

    /// Of a log that has `size` records, the last with the hash `last`.
    ///
    /// The tree must be over just these records; a debug build says so.
    pub fn resume(size: u64, last: Hash, tree: Frontier) -> Self {
        debug_assert_eq!(tree.size(), size, "the tree is over all records");
        Self { last, tree }
    }

    /// The number of the next record.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The hash of the last record, or [`Hash::ZERO`].
    pub fn last(&self) -> Hash {
        self.last
    }

    /// The root of the tree over all records.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Writes the lines of a batch behind what is in `out`, an entry for each behind what is in `index`, and gives their numbers.
    pub fn append(&mut self, batch: &Batch, out: &mut Vec<u8>, index: &mut Vec<IndexEntry>) -> Range<u64> {
        let first = self.size();
        out.reserve(batch.bytes.len() + batch.marks.len() * 16);
        index.reserve(batch.marks.len());
        let mut start = 0;
        for mark in &batch.marks {
            self.append_record(&batch.bytes[start..mark.end], *mark, out, index);
            start = mark.end;
        }
        first..self.size()
    }

    /// Signs the tree over all records so far and appends the record that holds the signed note.
    pub fn checkpoint(
        &mut self,
        time: Time,
        node: &str,
        key: &SigningKey,
        out: &mut Vec<u8>,
        index: &mut Vec<IndexEntry>,
    ) -> Checkpoint {
        let checkpoint = Checkpoint::sign(self.size(), self.root(), time, key);
        let mut line = b"{\"facts\":{\"note\":\"".to_vec();
        put_escaped(&mut line, &checkpoint.note);
        line.extend_from_slice(b"\"},\"kind\":\"checkpoint\",\"node\":\"");
        put_escaped(&mut line, node);
        line.extend_from_slice(b"\",\"prev_hash\":\"");
        let prev_hash = line.len() as u32;
        line.extend_from_slice(&[b'0'; 64]);
        line.extend_from_slice(b"\",\"seq\":");
        let seq = line.len() as u32;
        line.extend_from_slice(b",\"time\":\"");
        line.extend_from_slice(stamp::text_of(time).as_bytes());
        line.extend_from_slice(b"\"}\n");
        self.append_record(&line, Mark { end: line.len(), prev_hash, seq }, out, index);
        checkpoint
    }

    /// Appends one line that lacks its number, and has room for the hash of the record before.
    fn append_record(&mut self, line: &[u8], mark: Mark, out: &mut Vec<u8>, index: &mut Vec<IndexEntry>) {
        let start = out.len();
        let (front, back) = line.split_at(mark.seq as usize);
        out.extend_from_slice(front);
        put_decimal(out, self.size());
        out.extend_from_slice(back);
        let digits = start + mark.prev_hash as usize;
        out[digits..digits + 64].copy_from_slice(&self.last.digits());
        let hash = Hash::of(&out[start..out.len() - 1]);
        self.last = hash;
        self.tree.push_record(&hash);
        index.push(IndexEntry { offset: start as u64, hash });
    }
}
