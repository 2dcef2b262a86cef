//! Whether what `strowger witness trace` and `export` have shown is what the log vouches for.

use super::super::output::printable;
use crate::cli::progress::watched;
use std::process::ExitCode;
use sx_store::{WitnessFolder, WitnessFound};
use sx_witness::Verdict;

/// So many problems are said; a log that was written anew has many, and `verify` says all.
const SAID_MAX: usize = 10;

/// Holds what was found in each of these logs against its chain and what it has signed. What is wrong goes to standard error.
pub(super) fn vouch(folders: &[WitnessFolder], found: &[WitnessFound]) -> anyhow::Result<ExitCode> {
    let mut holds = true;
    for (folder, found) in folders.iter().zip(found) {
        if let Some(verdict) = check(folder, found)? {
            tell(folder, &verdict);
            holds = false;
        }
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(folder: &WitnessFolder, found: &WitnessFound) -> anyhow::Result<Option<Verdict>> {
    let key = folder.key().inspect_err(|error| {
        tell!("warning: {error}: signatures are held against the key that the log names itself, which anybody may have made");
    });
    Ok(watched("check", |progress| folder.check_found(key.as_ref().ok(), found, progress))?)
}

fn tell(folder: &WitnessFolder, verdict: &Verdict) {
    for problem in verdict.problems.iter().take(SAID_MAX) {
        tell!("problem: {}", printable(&problem.to_string()));
    }
    let more = verdict.problems.len().saturating_sub(SAID_MAX) as u64 + verdict.more_problems;
    if more > 0 {
        tell!("problem: {more} more");
    }
    let folder = folder.path().display();
    tell!(
        "strowger: the log in {folder} was changed, and with it perhaps what is shown; strowger witness verify says more"
    );
}
