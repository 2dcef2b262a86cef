//! Closed segments that are gone: those that a record has retired should be, others should not.

use crate::FileError;
use crate::witness::files::{self, INDEX_ENTRY_BYTES, Numbered};
use memchr::memmem;
use std::fs;
use std::path::Path;
use sx_witness::{Kind, Line};

/// Names the segments that are missing while their indexes are there, unless a record has retired them, and says how many they are. The
/// log goes on without them: what it has signed is known from the indexes, and its calls do not need them.
pub(super) fn tell(folder: &Path, segments: &[Numbered]) -> Result<u64, FileError> {
    let is_there = |first: u64| segments.binary_search_by_key(&first, |segment| segment.first).is_ok();
    let indexes = files::list(folder, files::INDEX)?;
    let mut gone = indexes.iter().filter(|index| !is_there(index.first)).peekable();
    if gone.peek().is_none() {
        return Ok(0);
    }
    let retired = retired_before(segments)?;
    let mut missing = 0;
    for Numbered { first, path } in gone {
        let bytes = fs::metadata(path).map_err(FileError::at("read", path))?.len();
        let end = first.saturating_add(bytes / INDEX_ENTRY_BYTES as u64);
        if end <= retired {
            continue;
        }
        missing += 1;
        if missing <= NAMED_MAX {
            tracing::error!(
                path = %files::path_of(folder, *first, files::SEGMENT).display(),
                first,
                last = end.saturating_sub(1),
                "a segment of the witness log is missing though no record has retired it; put it back"
            );
        }
    }
    if missing > NAMED_MAX {
        tracing::error!(more = missing - NAMED_MAX, "more segments of the witness log are missing");
    }
    Ok(missing)
}

/// So many are named.
const NAMED_MAX: u64 = 20;

/// The records before this one were retired, as the last record has it that retires any: it names all that is gone.
fn retired_before(segments: &[Numbered]) -> Result<u64, FileError> {
    for segment in segments.iter().rev() {
        let bytes = fs::read(&segment.path).map_err(FileError::at("read", &segment.path))?;
        for at in memmem::rfind_iter(&bytes, b"\"outcome\":\"retired\"") {
            let start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |at| at + 1);
            let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
            let Ok(line) = Line::parse(&bytes[start..end]) else { continue };
            if let (Kind::Log, Some(last)) = (line.kind(), line.facts()["last"].as_u64()) {
                return Ok(last.saturating_add(1));
            }
        }
    }
    Ok(0)
}
