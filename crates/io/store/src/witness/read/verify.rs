//! Verifying a folder on every core.

use super::lines::pieces;
use super::order::in_order;
use super::{LogPart, ReadError, ReadProgress, WitnessFolder, has_gone, read_if_there};
use crate::FileError;
use crate::witness::files::{self, INDEX_ENTRY_BYTES};
use std::path::Path;
use std::thread;
use std::time::Duration;
use sx_witness::{Hash, IndexEntry, Options, SegmentCheck, SegmentReport, Verdict, Verification, VerifyingKey};

/// What one part of the log has shown.
pub(super) enum Checked {
    /// Its lines, and its index if there is one.
    Segment(Box<SegmentReport>, Option<Vec<u8>>),
    /// Only its index is there.
    Index(Vec<u8>),
    /// It has gone since it was listed.
    Gone,
}

/// So often the folder is looked at again when something goes from it meanwhile, and the end of a log that is written to.
const TRIES: u32 = 5;
/// A write that is under way is done after this.
const WRITE_MAX: Duration = Duration::from_millis(20);

impl WitnessFolder {
    /// Verifies the log: its segments on as many threads as there are cores, put together in their order. Memory is bounded by the
    /// size of a few segments' indexes, however long the log is.
    ///
    /// # Errors
    /// When it cannot be read; all that is wrong with what was read stands in the verdict.
    pub fn verify(&self, key: &VerifyingKey, options: &Options, progress: &ReadProgress) -> Result<Verdict, ReadError> {
        self.verify_as(|| Verification::new(key.clone(), options.clone()), progress)
    }

    /// The same as this verification has it.
    pub(super) fn verify_as(
        &self,
        verification: impl Fn() -> Verification,
        progress: &ReadProgress,
    ) -> Result<Verdict, ReadError> {
        for _ in 0..TRIES {
            if let Some(verdict) = self.verify_once(verification(), progress)? {
                return Ok(verdict);
            }
        }
        Err(ReadError::Moving)
    }

    /// `None` when a segment has gone since it was listed: the record that retired it may be younger than the list.
    fn verify_once(
        &self,
        mut verification: Verification,
        progress: &ReadProgress,
    ) -> Result<Option<Verdict>, ReadError> {
        // Before the segments, so that no checkpoint is younger than the records that are looked at.
        if let Some(bytes) = read_if_there(&self.path().join(files::CHECKPOINTS))? {
            verification.checkpoints_file(&bytes);
        }
        let key_file = read_if_there(&self.key_path())?;
        let parts = self.parts()?;
        progress.begin(parts.iter().map(|part| part.bytes).sum());
        let last = parts.iter().rposition(|part| part.segment.is_some());
        let mut outcome = Ok(true);
        let work = |at: usize| check(&parts[at], Some(at) == last, progress);
        in_order(parts.len(), None, work, |at, checked| {
            outcome = checked.map(|checked| merge(&mut verification, parts[at].first, checked));
            matches!(outcome, Ok(true))
        });
        if !outcome? {
            return Ok(None);
        }
        if let Some(text) = key_file {
            verification.key_file(&String::from_utf8_lossy(&text));
        }
        Ok(Some(verification.finish()))
    }
}

/// False when it is to be begun anew.
pub(super) fn merge(verification: &mut Verification, first: u64, checked: Checked) -> bool {
    match checked {
        Checked::Gone => return false,
        Checked::Segment(report, index) => {
            verification.take(*report);
            if let Some(bytes) = index {
                verification.index_file(first, &bytes);
            }
        }
        Checked::Index(bytes) => {
            let entries = bytes.as_chunks::<INDEX_ENTRY_BYTES>().0;
            let hashes: Vec<Hash> = entries.iter().map(|entry| IndexEntry::from_bytes(entry).hash).collect();
            // An index that ends within an entry is none: it counts for one more than it has.
            let count = bytes.len().div_ceil(INDEX_ENTRY_BYTES).max(1) as u64;
            verification.missing(first, count, &hashes);
        }
    }
    true
}

pub(super) fn check(part: &LogPart, is_last: bool, progress: &ReadProgress) -> Result<Checked, ReadError> {
    let index = part.index.as_deref().map(read_if_there).transpose()?.flatten();
    let Some(path) = &part.segment else { return Ok(index.map_or(Checked::Gone, Checked::Index)) };
    let report =
        if is_last { check_last(path, part.first, progress) } else { check_closed(path, part.first, progress) };
    match report {
        Ok(report) => Ok(Checked::Segment(Box::new(report), index)),
        Err(error) if has_gone(&error) => Ok(Checked::Gone),
        Err(error) => Err(error.into()),
    }
}

fn check_closed(path: &Path, first: u64, progress: &ReadProgress) -> Result<SegmentReport, FileError> {
    let mut check = SegmentCheck::new(first, false);
    pieces(path, progress, |piece| check.feed(piece))?;
    Ok(check.finish())
}

/// The last segment may be written to. A write that is caught halfway looks like an edit (blocks reach the file in any order), but
/// not a moment later; so what looks like one is looked at again.
fn check_last(path: &Path, first: u64, progress: &ReadProgress) -> Result<SegmentReport, FileError> {
    for _ in 1..TRIES {
        let mut check = SegmentCheck::new(first, true);
        let mut end = End::default();
        let before = progress.bytes();
        pieces(path, progress, |piece| {
            check.feed(piece);
            end.see(piece);
        })?;
        if end.is_settled() {
            return Ok(check.finish());
        }
        progress.done.store(before, std::sync::atomic::Ordering::Relaxed);
        thread::park_timeout(WRITE_MAX);
    }
    let mut check = SegmentCheck::new(first, true);
    pieces(path, progress, |piece| check.feed(piece))?;
    Ok(check.finish())
}

/// How the file that is written to ends.
#[derive(Default)]
struct End {
    /// The last byte that is not zero.
    last: u8,
    /// Zero bytes have come,
    zeros: bool,
    /// and something behind them.
    torn: bool,
}

impl End {
    fn see(&mut self, piece: &[u8]) {
        let written = piece.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        if written > 0 {
            self.torn |= self.zeros || memchr::memchr(0, &piece[..written]).is_some();
            self.last = piece[written - 1];
        }
        self.zeros |= written < piece.len();
    }

    /// Does it end with a line's end, or in nothing, and has no hole?
    fn is_settled(&self) -> bool {
        !self.torn && matches!(self.last, 0 | b'\n')
    }
}
