//! `strowger witness verify` and `status`.

use super::super::output::{self, printable};
use super::keys::{of_log, said_key};
use super::{CannotRead, Setting, VerifyArgs, read_file, write_file};
use crate::cli::progress::watched;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sx_store::WitnessFolder;
use sx_witness::{Checkpoint, Cosigner, Options, Verdict};

/// `strowger witness verify`.
pub(super) fn verify(setting: &Setting<'_>, args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let usual = args.dir.is_none();
    let folder = setting.open(args.dir)?;
    let key = of_log(&args.key, &folder)?;
    let anchors = args.anchor.iter().map(|path| read_checkpoint(path)).collect::<Result<Vec<_>, _>>()?;
    for (anchor, path) in anchors.iter().zip(&args.anchor) {
        // The log may have changed its key since; what was kept was checked when it was kept.
        if anchor.verify(&key).is_err() {
            tell!("warning: the anchor {} is not signed by the key given; only its root is compared", path.display());
        }
    }
    let mut witnesses = args.witness.iter().map(|said| said_key(said)).collect::<Result<Vec<_>, _>>()?;
    let of_peers = if usual { setting.peers()? } else { Vec::new() };
    let others: Vec<_> = of_peers.into_iter().filter(|peer| !witnesses.contains(peer)).collect();
    witnesses.extend(others);
    let options = Options { anchors, expect_size: args.expect_size, witnesses };
    let verdict = watched("verify", |progress| folder.verify(&key, &options, progress))?;
    if let (Some(path), Some(signed), true) = (&args.output, &verdict.last_signed, verdict.is_honest()) {
        write_file(path, &signed.note)?;
    }
    if setting.json {
        output::json_line(&as_json(&verdict))?
    } else {
        output::text(&in_words(&verdict)?)?
    };
    Ok(if verdict.is_honest() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A checkpoint that somebody has kept.
pub(super) fn read_checkpoint(path: &Path) -> Result<Checkpoint, CannotRead> {
    let text = read_file(path)?;
    Checkpoint::parse(&text).map_err(|error| CannotRead { path: path.to_owned(), problem: error.to_string() })
}

fn in_words(verdict: &Verdict) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for problem in &verdict.problems {
        writeln!(text, "problem: {}", printable(&problem.to_string()))?;
    }
    if verdict.more_problems > 0 {
        writeln!(text, "problem: {} more", verdict.more_problems)?;
    }
    for notice in &verdict.notices {
        writeln!(text, "notice: {}", printable(&notice.to_string()))?;
    }
    if verdict.more_notices > 0 {
        writeln!(text, "notice: {} more", verdict.more_notices)?;
    }
    let problems = verdict.problems.len() as u64 + verdict.more_problems;
    let result = match problems {
        0 if verdict.is_torn() => {
            format!("torn, {} at its end not acknowledged or lost", counted(verdict.torn_bytes, "byte"))
        }
        0 => "ok".to_owned(),
        _ => format!("NOT ok, {}", counted(problems, "problem")),
    };
    let (records, checkpoints) = (counted(verdict.records, "record"), counted(verdict.checkpoints, "checkpoint"));
    write!(text, "verify: {result}, {records}, {checkpoints}, ")?;
    match &verdict.last_signed {
        Some(signed) => write!(text, "the last covers {}{}, ", covered(signed.size), signed_at(signed))?,
        None => write!(text, "none of which holds, ")?,
    }
    writeln!(text, "{} not signed yet", counted(verdict.unsigned_tail, "record"))?;
    text.push_str(&shown(verdict)?);
    Ok(text)
}

/// What others have seen of the log, as far as its files say.
fn shown(verdict: &Verdict) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    match verdict.cosigned {
        0 => text.push_str("cosigned: no checkpoint"),
        count => write!(text, "cosigned: {count} of {}", counted(verdict.checkpoints.max(count), "checkpoint"))?,
    }
    for Cosigner { name, is_known, checkpoints, last } in &verdict.cosigners {
        let verified = if *is_known { "" } else { ", not verified without its key (--witness)" };
        write!(text, "; {checkpoints} by {}, the last covers {}{verified}", printable(name), covered(*last))?;
    }
    for (place, size) in &verdict.anchored {
        write!(text, "\nanchored: at {}, at least {}", printable(place), covered(*size))?;
    }
    text.push('\n');
    Ok(text)
}

/// `1 record`, `2 records`.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn covered(size: u64) -> String {
    match size {
        0 => "no record".to_owned(),
        1 => "record 0".to_owned(),
        _ => format!("records 0 to {}", size - 1),
    }
}

fn signed_at(checkpoint: &Checkpoint) -> String {
    checkpoint.time.map(|time| format!(" and was signed at {time}")).unwrap_or_default()
}

fn as_json(verdict: &Verdict) -> serde_json::Value {
    let problems = verdict.problems.iter().map(|problem| {
        // Those about the whole log have no record.
        let record = Some(problem.record()).filter(|record| *record != u64::MAX);
        json!({ "record": record, "problem": problem.to_string() })
    });
    json!({
        "result": match (verdict.is_honest(), verdict.is_torn()) {
            (_, true) => "torn",
            (true, false) => "ok",
            (false, false) => "problems",
        },
        "records": verdict.records,
        "first": verdict.first,
        "checkpoints": verdict.checkpoints,
        "last_checkpoint": verdict.last_signed.as_ref().map(checkpoint_json),
        "unsigned": verdict.unsigned_tail,
        "torn_bytes": verdict.torn_bytes,
        "cosigned": verdict.cosigned,
        "cosigners": verdict.cosigners.iter().map(cosigner_json).collect::<Vec<_>>(),
        "anchored": verdict.anchored.iter().map(|(place, size)| json!({ "place": place, "size": size })).collect::<Vec<_>>(),
        "problems": problems.collect::<Vec<_>>(),
        "more_problems": verdict.more_problems,
        "notices": verdict.notices.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "more_notices": verdict.more_notices,
    })
}

fn cosigner_json(cosigner: &Cosigner) -> serde_json::Value {
    let Cosigner { name, is_known, checkpoints, last } = cosigner;
    json!({ "name": name, "verified": is_known, "checkpoints": checkpoints, "last": last })
}

pub(super) fn checkpoint_json(checkpoint: &Checkpoint) -> serde_json::Value {
    json!({
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "time": checkpoint.time.map(|time| time.to_string()),
        "note": checkpoint.note,
    })
}

/// What is in a log's folder.
struct Status {
    folder: PathBuf,
    key: Option<String>,
    segments: usize,
    bytes: u64,
    first: Option<u64>,
    records: u64,
    checkpoints: usize,
    last: Option<Checkpoint>,
}

/// `strowger witness status`.
pub(super) fn status(setting: &Setting<'_>, dir: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let status = Status::of(&setting.open(dir)?)?;
    if setting.json { output::json_line(&status.as_json()) } else { output::text(&status.in_words()?) }
}

impl Status {
    fn of(folder: &WitnessFolder) -> anyhow::Result<Self> {
        let parts = folder.parts()?;
        let present = || parts.iter().filter(|part| part.segment.is_some());
        let mut checkpoints = folder.checkpoints()?;
        Ok(Self {
            folder: folder.path().to_owned(),
            key: folder.key().ok().map(|key| key.to_string()),
            segments: present().count(),
            bytes: present().map(|part| part.bytes).sum(),
            first: present().next().map(|part| part.first),
            records: watched("read", |progress| folder.leaves(progress))?.size(),
            checkpoints: checkpoints.len(),
            last: checkpoints.pop().map(|filed| filed.checkpoint),
        })
    }

    fn unsigned(&self) -> u64 {
        self.records.saturating_sub(self.last.as_ref().map_or(0, |last| last.size + 1))
    }

    fn in_words(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let last = self.last.as_ref().map(|last| format!("{}{}", covered(last.size), signed_at(last)));
        for (name, value) in [
            ("folder", self.folder.display().to_string()),
            ("key", self.key.clone().unwrap_or_else(|| "none beside the log".to_owned())),
            ("records", self.records.to_string()),
            (
                "from",
                self.first.map_or_else(|| "none is there any more".to_owned(), |first| format!("record {first} on")),
            ),
            ("segments", format!("{}, {:.1} MiB", self.segments, self.bytes as f64 / (1 << 20) as f64)),
            ("checkpoints", self.checkpoints.to_string()),
            ("last", last.unwrap_or_else(|| "-".to_owned())),
            ("unsigned", counted(self.unsigned(), "record")),
        ] {
            writeln!(text, "{name:<12} {}", printable(&value))?;
        }
        text.push_str("nothing was verified; strowger witness verify does\n");
        Ok(text)
    }

    fn as_json(&self) -> serde_json::Value {
        json!({
            "folder": self.folder,
            "key": self.key,
            "records": self.records,
            "first": self.first,
            "segments": self.segments,
            "bytes": self.bytes,
            "checkpoints": self.checkpoints,
            "last_checkpoint": self.last.as_ref().map(checkpoint_json),
            "unsigned": self.unsigned(),
        })
    }
}
