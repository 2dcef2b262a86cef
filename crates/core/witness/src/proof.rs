//! Proofs as text, to be sent to somebody who has nothing but the log's key.

use crate::base64;
use crate::checkpoint::{Checkpoint, NoteError, SignatureError, parse_hash, parse_size};
use crate::hash::Hash;
use crate::key::VerifyingKey;
use crate::render::RECORD_BYTES_MAX;
use crate::tree::{leaf_hash, verify_consistency, verify_inclusion};
use std::fmt;
use std::str::FromStr;

/// That one record is in the log: the record, its way to the root, and a signed checkpoint. Its text is a C2SP tlog-proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The record's number.
    pub index: u64,
    /// The canonical record, without a newline.
    pub record: Vec<u8>,
    /// The hashes beside its way to the root, lowest first.
    pub path: Vec<Hash>,
    /// What it is proved against.
    pub checkpoint: Checkpoint,
}

/// That a log has only grown since it had an old size. Its text is the body of a C2SP `add-checkpoint` request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// How many records there were.
    pub old: u64,
    /// The hashes that lead from the old root to the new one.
    pub path: Vec<Hash>,
    /// What the log has signed since.
    pub checkpoint: Checkpoint,
}

/// A proof that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The text does not have the form of a proof.
    #[error("line {0} of the proof is not in its form")]
    Form(usize),
    /// The checkpoint in it has not.
    #[error("the checkpoint of the proof is none: {0}")]
    Note(#[from] NoteError),
    /// More hashes than any tree is high.
    #[error("a proof has at most {HASHES_MAX} hashes")]
    TooLong,
    /// The checkpoint is not signed as it must be.
    #[error("the checkpoint of the proof does not hold: {0}")]
    Signature(#[from] SignatureError),
    /// The hashes lead elsewhere.
    #[error("the hashes of the proof do not lead to the root of its checkpoint")]
    Path,
}

/// The most hashes in a proof.
pub const HASHES_MAX: usize = 63;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

impl InclusionProof {
    /// Reads the text of a proof and checks nothing but its form.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let mut lines = Lines::of(text);
        if lines.next()? != HEADER {
            return Err(lines.fault());
        }
        let extra = lines.next()?.strip_prefix("extra ").ok_or(lines.fault())?;
        if extra.len() > RECORD_BYTES_MAX.div_ceil(3) * 4 {
            return Err(lines.fault());
        }
        let record = base64::decode(extra).ok_or(lines.fault())?;
        let index = lines.next()?.strip_prefix("index ").and_then(parse_size).ok_or(lines.fault())?;
        let path = lines.hashes()?;
        Ok(Self { index, record, path, checkpoint: Checkpoint::parse(lines.rest)? })
    }

    /// Is the record in the log that this key signs for?
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), ProofError> {
        self.checkpoint.verify(key)?;
        let leaf = leaf_hash(&Hash::of(&self.record));
        let Checkpoint { size, root, .. } = self.checkpoint;
        if verify_inclusion(size, self.index, leaf, &self.path, root) { Ok(()) } else { Err(ProofError::Path) }
    }
}

impl ConsistencyProof {
    /// Reads the text of a proof and checks nothing but its form.
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let mut lines = Lines::of(text);
        let old = lines.next()?.strip_prefix("old ").and_then(parse_size).ok_or(lines.fault())?;
        let path = lines.hashes()?;
        Ok(Self { old, path, checkpoint: Checkpoint::parse(lines.rest)? })
    }

    /// Has the log that this key signs for only grown since it had this root?
    pub fn verify(&self, old_root: Hash, key: &VerifyingKey) -> Result<(), ProofError> {
        self.checkpoint.verify(key)?;
        let Checkpoint { size, root, .. } = self.checkpoint;
        if verify_consistency(self.old, size, old_root, root, &self.path) { Ok(()) } else { Err(ProofError::Path) }
    }
}

/// Lines of a text, counted.
struct Lines<'a> {
    rest: &'a str,
    count: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: text, count: 0 }
    }

    fn next(&mut self) -> Result<&'a str, ProofError> {
        self.count += 1;
        let (line, rest) = self.rest.split_once('\n').ok_or(self.fault())?;
        self.rest = rest;
        Ok(line)
    }

    /// The hashes up to the blank line.
    fn hashes(&mut self) -> Result<Vec<Hash>, ProofError> {
        let mut hashes = Vec::new();
        loop {
            let line = self.next()?;
            if line.is_empty() {
                return Ok(hashes);
            }
            if hashes.len() == HASHES_MAX {
                return Err(ProofError::TooLong);
            }
            hashes.push(parse_hash(line).ok_or(self.fault())?);
        }
    }

    /// The line last read is wrong.
    fn fault(&self) -> ProofError {
        ProofError::Form(self.count)
    }
}

fn write_path(f: &mut fmt::Formatter<'_>, path: &[Hash], checkpoint: &Checkpoint) -> fmt::Result {
    path.iter().try_for_each(|hash| writeln!(f, "{}", base64::encode(&hash.0)))?;
    write!(f, "\n{}", checkpoint.note)
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\nextra {}\nindex {}", base64::encode(&self.record), self.index)?;
        write_path(f, &self.path, &self.checkpoint)
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        write_path(f, &self.path, &self.checkpoint)
    }
}

impl FromStr for InclusionProof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        Self::parse(text)
    }
}

impl FromStr for ConsistencyProof {
    type Err = ProofError;

    fn from_str(text: &str) -> Result<Self, ProofError> {
        Self::parse(text)
    }
}
