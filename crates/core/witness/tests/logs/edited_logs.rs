//! Writes logs and what was done to them into a folder, so that another verifier can be compared with this one:
//! `edited_logs DIR COUNT [SEED]` makes `DIR/00000/` and so on. In each, `witness/` is the log; `expected` says `honest` or
//! `tampered`, `edit` what was done; `key` and `witness_key` are what the auditor knows, and `anchor`, if there is
//! one, is a checkpoint that the auditor has kept.

#![allow(dead_code, reason = "the tests use more of the generator")]

#[path = "mod.rs"]
mod logs;

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use sx_engine::Rng;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &String| text.parse::<u64>().map_err(|error| Error::new(ErrorKind::InvalidInput, error));
    let (Some(folder), Some(count)) = (arguments.first(), arguments.get(1)) else {
        return Err(Error::new(ErrorKind::InvalidInput, "edited_logs DIR COUNT [SEED]"));
    };
    let first = arguments.get(2).map_or(Ok(0), number)?;
    for case in 0..number(count)? {
        write(&PathBuf::from(folder).join(format!("{case:05}")), first + case)?;
    }
    Ok(())
}

/// Every other log was tampered with.
fn write(folder: &Path, seed: u64) -> Result<()> {
    let mut case = logs::honest(seed);
    if seed % 2 == 1 {
        logs::edit::tamper(&mut case, &mut Rng::from_number(seed ^ 1));
    }
    fs::create_dir_all(folder.join("witness"))?;
    for (name, bytes) in &case.folder {
        fs::write(folder.join("witness").join(name), bytes)?;
    }
    let expected = if case.edit.is_some() { "tampered\n" } else { "honest\n" };
    fs::write(folder.join("expected"), expected)?;
    fs::write(folder.join("edit"), format!("{}\n", case.edit.unwrap_or("nothing")))?;
    fs::write(folder.join("key"), format!("{}\n", case.key))?;
    fs::write(folder.join("witness_key"), format!("{}\n", case.witness))?;
    match &case.anchor {
        Some(anchor) => fs::write(folder.join("anchor"), &anchor.note),
        None => Ok(()),
    }
}
