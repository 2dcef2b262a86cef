//! A log is gone on with only if it is ours: the first record of the new run is signed, and all before it with it.

use super::WitnessError;
use crate::witness::{ReadError, ReadProgress, WitnessFolder};
use std::path::Path;
use sx_witness::{Checkpoint, Options, VerifyingKey};

/// How many records of the log we have signed before, with the checkpoint itself. Of those behind, which nobody but the log's
/// owner and whoever can write there may have made, the first record of the new run says how many there are.
pub(super) fn check(
    folder: &Path,
    key: &VerifyingKey,
    filed: Option<&Checkpoint>,
    size: u64,
) -> Result<u64, WitnessError> {
    if let Some(filed) = filed {
        // Its record comes right behind what it covers.
        return Ok((filed.size + 1).min(size));
    }
    // The first record is signed in the write that it is in; where that was torn it may be alone.
    if size <= 1 {
        return Ok(0);
    }
    // The process was killed before the first line of checkpoints.jsonl, or that file is gone.
    let refuse = |why: String| WitnessError::NotOurs { folder: folder.to_owned(), why };
    let verified = WitnessFolder::open(folder)
        .and_then(|log| log.verify(key, &Options::default(), &ReadProgress::default()))
        .map_err(|error| match error {
            ReadError::File(error) => WitnessError::File(error),
            error => refuse(error.to_string()),
        })?;
    if let Some(problem) = verified.problems.first() {
        return Err(refuse(problem.to_string()));
    }
    Ok(verified.last_signed.map_or(0, |checkpoint| checkpoint.size + 1).min(size))
}
