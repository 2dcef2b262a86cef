//! Writes logs and what was done to them into a folder, so that another verifier can be compared with this one:
//! `edited_logs DIR COUNT [SEED]` makes `DIR/00000/` and so on. In each, `witness/` is the log; `expected` says `honest`, `torn` or
//! `tampered`, `edit` what was done; `key` and `witness_key` are what the auditor knows, and `anchor`, if there is
//! one, is a checkpoint that the auditor has kept. `found` is what this verifier says: `honest`, `torn` or `tampered`, the number of
//! records, that of checkpoints and that of torn bytes, then each problem in a line.
//!
//! `edited_logs DIR` writes `found` alone, for each log that somebody else has put into a folder of `DIR` in the same way.

#![allow(dead_code, reason = "the tests use more of the generator")]

#[path = "mod.rs"]
mod logs;

use logs::{Case, Folder};
use std::fmt::Write as _;
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use sx_engine::Rng;
use sx_witness::{Checkpoint, VerifyingKey};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &String| text.parse::<u64>().map_err(wrong);
    let Some(folder) = arguments.first() else {
        return Err(wrong("edited_logs DIR [COUNT [SEED]]"));
    };
    let Some(count) = arguments.get(1) else {
        return fs::read_dir(folder)?.try_for_each(|case| judge(&case?.path()));
    };
    let first = arguments.get(2).map_or(Ok(0), number)?;
    for case in 0..number(count)? {
        write(&PathBuf::from(folder).join(format!("{case:05}")), first + case)?;
    }
    Ok(())
}

fn wrong(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::InvalidInput, error)
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
    let expected = match case.edit {
        Some(_) => "tampered\n",
        None if case.torn > 0 => "torn\n",
        None => "honest\n",
    };
    fs::write(folder.join("expected"), expected)?;
    fs::write(folder.join("edit"), format!("{}\n", case.edit.unwrap_or("nothing")))?;
    fs::write(folder.join("key"), format!("{}\n", case.key))?;
    fs::write(folder.join("witness_key"), format!("{}\n", case.witness))?;
    if let Some(anchor) = &case.anchor {
        fs::write(folder.join("anchor"), &anchor.note)?;
    }
    fs::write(folder.join("found"), found(&case, seed))
}

/// Judges a log that is there.
fn judge(folder: &Path) -> Result<()> {
    let key = |name: &str| VerifyingKey::parse(fs::read_to_string(folder.join(name))?.trim_end()).map_err(wrong);
    let mut files = Folder::new();
    for file in fs::read_dir(folder.join("witness"))? {
        let file = file?;
        files.insert(file.file_name().to_string_lossy().into_owned(), fs::read(file.path())?);
    }
    let anchor = match fs::read_to_string(folder.join("anchor")) {
        Ok(note) => Some(Checkpoint::parse(&note).map_err(wrong)?),
        Err(_) => None,
    };
    let (key, witness) = (key("key")?, key("witness_key")?);
    let case =
        Case { folder: files, key, witness, anchor, records: 0, signed: 0, filed: 0, first: 0, torn: 0, edit: None };
    fs::write(folder.join("found"), found(&case, 0))
}

fn found(case: &Case, seed: u64) -> String {
    let verdict = logs::verify(case, seed);
    let word = match (verdict.is_honest(), verdict.is_torn()) {
        (_, true) => "torn",
        (true, false) => "honest",
        (false, false) => "tampered",
    };
    let mut text = format!("{word}\n{} {} {}\n", verdict.records, verdict.checkpoints, verdict.torn_bytes);
    for problem in &verdict.problems {
        let _infallible = writeln!(text, "{problem}");
    }
    text
}
