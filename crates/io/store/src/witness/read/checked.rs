//! Whether what a search has found is what the log vouches for.
//!
//! ```text
//!  segments that it depends on ── read ──────────────┐
//!  all others ── their indexes, their first lines ───┴──► chain, roots of signed checkpoints ──► good, or all is verified
//! ```

use super::order::in_order;
use super::verify::{Checked, check, merge};
use super::{Found, LogPart, ReadError, ReadProgress, WitnessFolder, has_gone, read_if_there};
use crate::witness::files::{self, INDEX_ENTRY_BYTES};
use memchr::memmem;
use std::collections::{BTreeMap, BTreeSet};
use sx_witness::{Hash, IndexEntry, Options, Verdict, Verification, VerifyingKey};

/// What there is of one part of the log.
enum Looked {
    /// It is read as for a verification.
    Read(Checked),
    /// The hashes of its records; its first line, if it is there, has the first of them.
    Hashes(Vec<Hash>),
    /// It is not as it was written, or has gone meanwhile.
    Doubtful,
}

impl WitnessFolder {
    /// Verifies the segments that something found depends on, and holds them against the indexes of all others and what the log
    /// has signed. When that does not hold, all of the log is verified, so that it is said what is wrong; `None` when nothing is.
    ///
    /// What stands in other segments is not looked at, nor are the cosignatures of witnesses. Where nobody has the key, all of the log
    /// is held against the key that it names itself.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn check_found(
        &self,
        key: Option<&VerifyingKey>,
        found: &Found,
        progress: &ReadProgress,
    ) -> Result<Option<Verdict>, ReadError> {
        let verdict = match key {
            Some(key) if self.holds(key, found, progress)? => return Ok(None),
            Some(key) => self.verify(key, &Options::default(), progress)?,
            None => self.verify_as(|| Verification::without_key(Options::default()), progress)?,
        };
        Ok((!verdict.is_honest()).then_some(verdict))
    }

    fn holds(&self, key: &VerifyingKey, found: &Found, progress: &ReadProgress) -> Result<bool, ReadError> {
        let filed = read_if_there(&self.path().join(files::CHECKPOINTS))?.unwrap_or_default();
        let parts = self.parts()?;
        let last = parts.iter().rposition(|part| part.segment.is_some());
        let is_read = |at: usize| {
            let LogPart { first, segment, index, .. } = &parts[at];
            segment.is_some() && (index.is_none() || Some(at) == last || found.segments.contains(first))
        };
        let Some(lines) = covering(&filed, &parts, &found.segments) else { return Ok(false) };
        let mut verification = Verification::of_parts(key.clone());
        verification.checkpoints_file(&lines);
        progress.begin((0..parts.len()).filter(|at| is_read(*at)).map(|at| parts[at].bytes).sum());
        let work = |at: usize| match is_read(at) {
            true => check(&parts[at], Some(at) == last, progress).map(Looked::Read),
            false => look(&parts[at]),
        };
        let mut outcome = Ok(true);
        in_order(parts.len(), None, work, |at, looked| {
            outcome = looked.map(|looked| match looked {
                Looked::Read(checked) => merge(&mut verification, parts[at].first, checked),
                Looked::Hashes(hashes) => {
                    verification.unread(parts[at].first, &hashes);
                    true
                }
                Looked::Doubtful => false,
            });
            matches!(outcome, Ok(true))
        });
        let verdict = outcome?.then(|| verification.finish());
        // Where nothing has signed, only a look at all of it can say whether anything has.
        Ok(verdict.is_some_and(|verdict| verdict.is_honest() && (verdict.checkpoints > 0 || !lines.is_empty())))
    }
}

/// The lines of `checkpoints.jsonl` that vouch for these segments: of the first checkpoint that covers each of them, and of the last of
/// all. `None` when there is none for a segment behind which the log goes on: it stands among records that are not read.
fn covering(filed: &[u8], parts: &[LogPart], segments: &BTreeSet<u64>) -> Option<Vec<u8>> {
    let lines = filed.split_inclusive(|byte| *byte == b'\n');
    let known: BTreeMap<u64, &[u8]> = lines.filter_map(|line| Some((size_of(line)?, line))).collect();
    let ends = parts.iter().zip(parts.iter().skip(1));
    let ends = ends.filter(|(part, _)| segments.contains(&part.first)).map(|(_, next)| next.first);
    let covering: Option<BTreeSet<u64>> = ends.map(|end| Some(*known.range(end..).next()?.0)).collect();
    let last = known.keys().next_back().copied();
    let sizes: BTreeSet<u64> = covering?.into_iter().chain(last).collect();
    Some(sizes.iter().filter_map(|size| known.get(size)).flat_map(|line| line.iter().copied()).collect())
}

/// The size in a line that is as it must be; of what is not so, the verification of the line says it.
fn size_of(line: &[u8]) -> Option<u64> {
    let note = memmem::find(line, b"\"note\":\"")?;
    let size = note + memmem::find(&line[note..], b"\\n")? + 2;
    let digits = line[size..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&line[size..size + digits]).ok()?.parse().ok()
}

/// A part of which only the index is read, and the line that told of which time it is.
fn look(part: &LogPart) -> Result<Looked, ReadError> {
    let Some(bytes) = part.index.as_deref().map(read_if_there).transpose()?.flatten() else {
        return Ok(Looked::Doubtful);
    };
    let (entries, rest) = bytes.as_chunks::<INDEX_ENTRY_BYTES>();
    let hashes: Vec<Hash> = entries.iter().map(|entry| IndexEntry::from_bytes(entry).hash).collect();
    let first = match part.segment.as_deref().map(files::first_line) {
        Some(Err(error)) if has_gone(&error) => return Ok(Looked::Doubtful),
        Some(line) => Some(line?.map(|line| Hash::of(&line))),
        None => None,
    };
    let fits = first.is_none_or(|first| first.as_ref() == hashes.first());
    Ok(if fits && rest.is_empty() && !hashes.is_empty() { Looked::Hashes(hashes) } else { Looked::Doubtful })
}
