//! Takes in what earlier runs have left behind, before this run writes anything.

use super::fold::{Database, Fold, FoldError, is_damaged};
use super::{CdrCounters, CdrError};
use crate::FileError;
use crate::journal::{Replay, add, list, remove, set_aside};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What was found of earlier runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// What was read from their journals.
    pub replay: Replay,
    /// Calls that were alive when the process died; each has a record with cause 41 now.
    pub calls_cut_off: u64,
}

/// Folds every journal under `dir`, ends the calls that nobody has any more, and removes the segments. Gives the
/// segment each journal goes on with.
pub(super) fn recover(
    dir: &Path,
    database: &mut Database,
    counters: &CdrCounters,
) -> Result<(Recovery, HashMap<String, u32>), CdrError> {
    let mut recovery = Recovery::default();
    let (mut folds, mut used) = (Vec::new(), Vec::<(PathBuf, bool)>::new());
    for (name, journal) in journals(dir)? {
        let mut fold = database.fold(&name, journal.clone())?;
        let mut next = fold.segment.max(1);
        for segment in list(&journal)? {
            let unreadable = if segment.sequence >= fold.segment {
                fold.skip_to(segment.sequence);
                replay(&mut fold, database, &mut recovery.replay, counters)?;
                fold.is_unreadable()
            } else {
                // It is folded, and the process has died before it was removed or set aside; which of them it was to be
                // is read from the segment again. Set aside any earlier, calls that are open in it would be forgotten.
                is_damaged(&segment.path)?
            };
            next = next.max(segment.sequence + 1);
            used.push((segment.path, unreadable));
        }
        folds.push((name, fold, next));
    }
    // All journals ended with the one process, since a worker takes the whole process with it: at the time of the last
    // record in any of them, which may be long after the last one in the journal of a call.
    let end = folds.iter().map(|(_, fold, _)| fold.last_at).max().unwrap_or(0);
    let transaction = database.begin()?;
    for (_, fold, next) in &mut folds {
        recovery.calls_cut_off += fold.cut_off(&transaction, end, *next)?;
    }
    transaction.commit()?;
    for (path, unreadable) in &used {
        if *unreadable {
            set_aside(path)?;
            add(&counters.segments_set_aside, 1);
        } else {
            remove(path)?;
        }
    }
    add(&counters.calls_cut_off, recovery.calls_cut_off);
    Ok((recovery, folds.into_iter().map(|(name, _, next)| (name, next)).collect()))
}

fn replay(
    fold: &mut Fold,
    database: &mut Database,
    replay: &mut Replay,
    counters: &CdrCounters,
) -> Result<(), FoldError> {
    replay.segments += 1;
    loop {
        let batch = fold.batch(database, u64::MAX)?;
        replay.records += batch.records;
        replay.damaged += batch.damaged;
        add(&counters.journal.damaged, batch.damaged);
        if batch.more {
            continue;
        }
        if let Some(torn) = batch.torn {
            add(&counters.journal.torn_tails, 1);
            tracing::warn!(path = %torn.path.display(), torn.offset, torn.lost_bytes, "a journal has a torn tail");
            replay.torn.push(torn);
        }
        return Ok(());
    }
}

/// The journals in `dir`, by name.
fn journals(dir: &Path) -> Result<Vec<(String, PathBuf)>, FileError> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(dir).map_err(FileError::at("read the folder", dir))? {
        let path = entry.map_err(FileError::at("read the folder", dir))?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str())
            && path.is_dir()
        {
            journals.push((name.to_owned(), path));
        }
    }
    journals.sort();
    Ok(journals)
}
