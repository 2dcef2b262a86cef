//! `strowger witness prove`, `check-proof` and `consistency`.

use super::super::output;
use super::audit::{checkpoint_json, counted, read_checkpoint};
use super::keys::{of_log, of_nothing};
use super::{CannotRead, Key, Output, Setting, read_file, wrong_usage};
use crate::cli::progress::watched;
use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use sx_store::{FiledCheckpoint, WitnessFolder};
use sx_witness::{Checkpoint, ConsistencyProof, Hash, InclusionProof, leaf_hash, verify_inclusion};

/// A state of the log.
#[derive(Clone, Debug)]
pub(crate) enum Position {
    /// When it had so many records.
    Size(u64),
    /// A checkpoint that was kept.
    File(PathBuf),
}

impl FromStr for Position {
    type Err = Infallible;

    /// What is no number is a file.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::File(text.into()), Self::Size))
    }
}

/// `strowger witness prove`.
pub(super) fn prove(
    folder: &WitnessFolder,
    record: u64,
    size: Option<u64>,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let bytes = folder.record(record)?;
    let checkpoints = folder.checkpoints()?;
    let filed = match size {
        Some(size) => of_size(&checkpoints, size)?,
        None => checkpoints.last().context("the log has signed no checkpoint yet")?,
    };
    let checkpoint = filed.cosigned();
    let size = checkpoint.size;
    if record >= size {
        let covers = checkpoints.iter().map(|filed| filed.checkpoint.size).find(|size| record < *size);
        let what = match covers {
            Some(covers) => format!("that of {} does", counted(covers, "record")),
            None => "wait for the next one".to_owned(),
        };
        bail!("the checkpoint of {} does not cover record {record}; {what}", counted(size, "record"));
    }
    let path = watched("prove", |progress| folder.leaves(progress)?.inclusion(size, record))?;
    let holds = verify_inclusion(size, record, leaf_hash(&Hash::of(&bytes)), &path, checkpoint.root);
    ensure!(holds, "record {record} is not what was signed; `strowger witness verify` says more");
    output.text(&InclusionProof { index: record, record: bytes, path, checkpoint }.to_string())
}

fn of_size(checkpoints: &[FiledCheckpoint], size: u64) -> anyhow::Result<&FiledCheckpoint> {
    let sizes = |filed: &FiledCheckpoint| filed.checkpoint.size;
    checkpoints.binary_search_by_key(&size, sizes).map(|at| &checkpoints[at]).map_err(|at| {
        let near: Vec<String> = checkpoints[at.saturating_sub(NEAR)..checkpoints.len().min(at + NEAR)]
            .iter()
            .map(|filed| filed.checkpoint.size.to_string())
            .collect();
        let near = match near.split_last() {
            None => "it has none at all in checkpoints.jsonl".to_owned(),
            Some((only, [])) => format!("the only one is of {only}"),
            Some((last, others)) => format!("the nearest are of {} and {last}", others.join(", ")),
        };
        anyhow::anyhow!("the log has signed no checkpoint of {}; {near}", counted(size, "record"))
    })
}

/// So many checkpoints are named that are smaller than what was asked for, and so many that are larger.
const NEAR: usize = 2;

/// `strowger witness check-proof`.
pub(super) fn check(setting: &Setting<'_>, file: &Path, key: &Key) -> anyhow::Result<ExitCode> {
    let text = read_file(file)?;
    let key = of_nothing(key, setting)?;
    let proof = InclusionProof::parse(&text)
        .map_err(|error| anyhow::anyhow!("{} holds no proof of a record: {error}", file.display()))?;
    proof.verify(&key).map_err(|error| anyhow::anyhow!("the proof does not hold: {error}"))?;
    let record = String::from_utf8(proof.record).context("the record of the proof is no text")?;
    let checkpoint = &proof.checkpoint;
    if setting.json {
        let read: serde_json::Value = serde_json::from_str(&record).context("the record of the proof is no JSON")?;
        let checkpoint = checkpoint_json(checkpoint);
        return output::json_line(
            &json!({ "result": "ok", "index": proof.index, "record": read, "checkpoint": checkpoint }),
        );
    }
    let when = checkpoint.time.map(|time| format!(", signed at {time}")).unwrap_or_default();
    let (index, size, name) = (proof.index, counted(checkpoint.size, "record"), key.name());
    tell!("the proof holds: record {index} of the log {name}, in its checkpoint of {size}{when}");
    output::text(&format!("{record}\n"))
}

/// `strowger witness consistency`.
pub(super) fn consistency(
    folder: &WitnessFolder,
    old: &Position,
    new: &Position,
    key: &Key,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let key = of_log(key, folder)?;
    let signed = |path: &Path| -> anyhow::Result<Checkpoint> {
        let checkpoint = read_checkpoint(path)?;
        checkpoint.verify(&key).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        Ok(checkpoint)
    };
    let checkpoint = match new {
        Position::Size(size) => of_size(&folder.checkpoints()?, *size)?.cosigned(),
        Position::File(path) => signed(path)?,
    };
    let kept = match old {
        Position::Size(_) => None,
        Position::File(path) => Some(signed(path)?),
    };
    let old = match (old, &kept) {
        (Position::Size(size), _) => *size,
        (_, Some(kept)) => kept.size,
        (Position::File(path), None) => {
            return Err(CannotRead { path: path.clone(), problem: "it holds no checkpoint".to_owned() }.into());
        }
    };
    if old > checkpoint.size {
        let new = checkpoint.size;
        return Err(wrong_usage(format!("a log grows: {old} records cannot come before {new}")));
    }
    let (old_root, path) = watched("prove", |progress| -> anyhow::Result<_> {
        let leaves = folder.leaves(progress)?;
        let root = kept.map_or_else(|| leaves.root(old), |kept| Ok(kept.root))?;
        Ok((root, leaves.consistency(old, checkpoint.size)?))
    })?;
    let proof = ConsistencyProof { old, path, checkpoint };
    proof.verify(old_root, &key).map_err(|error| {
        anyhow::anyhow!("the log has not only grown: {error}; `strowger witness verify` with an anchor says more")
    })?;
    tell!("the log has only grown from {old} to {}", counted(proof.checkpoint.size, "record"));
    output.text(&proof.to_string())
}
