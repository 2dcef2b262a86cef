//! What the witness log says, for the demonstration to show: why somebody was kept out, a call's whole story, and whether
//! the log is whole.

use super::setup::Setup;
use super::{PATIENCE, report::Report};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use sx_store::{ReadProgress, RecordId, WitnessFolder, WitnessSearch};
use sx_types::CallId;
use sx_witness::{Options, Verdict};

/// Reads the log of the exchange that runs.
pub struct Story {
    folder: PathBuf,
}

impl Story {
    pub fn of(setup: &Setup) -> anyhow::Result<Self> {
        Ok(Self { folder: WitnessFolder::of_data(&setup.data) })
    }

    /// Why the last request from this source was refused, as soon as the log says so.
    pub fn last(&self, source: &str, kind: &str) -> anyhow::Result<String> {
        let begun = Instant::now();
        loop {
            let refused = |record: &Value| record["kind"] == kind && record["facts"]["source"] == source;
            if let Some(record) = self.of_call(None)?.into_iter().rev().find(refused) {
                return Ok(in_words(&record));
            }
            ensure!(begun.elapsed() < PATIENCE, "the witness log says nothing of {source}");
            crate::serve::pause(Duration::from_millis(20));
        }
    }

    /// The whole story of a trace.
    pub fn tell_trace(&self, report: Report<'_>, trace: &str) -> anyhow::Result<()> {
        let told = report.check("trace", || {
            let of_it = |record: &Value| record["trace_id"] == trace;
            let told: Vec<Value> = self.of_call(None)?.into_iter().filter(of_it).collect();
            ensure!(told.iter().any(|record| record["outcome"] == "connected"), "the trace has no expert");
            Ok((told, format!("the hazard's story, `strowger witness trace {trace}`:")))
        })?;
        told.iter().for_each(|record| report.say(&line_of(record)));
        Ok(())
    }

    /// Every record of a call; of all, when none is named.
    fn of_call(&self, call: Option<CallId>) -> anyhow::Result<Vec<Value>> {
        let mut records = Vec::new();
        let search = WitnessSearch { ids: call.map(|call| vec![RecordId::Call(call)]), ..WitnessSearch::default() };
        WitnessFolder::open(&self.folder)?.search(&search, &ReadProgress::default(), |lines| {
            let lines = lines.split(|byte| *byte == b'\n');
            records.extend(lines.filter_map(|line| serde_json::from_slice(line).ok()));
            true
        })?;
        Ok(records)
    }
}

/// As `layer 6 (guard): rule codec, reason codec-not-allowed, offered G722, allowed PCMA PCMU`.
fn in_words(record: &Value) -> String {
    let facts = &record["facts"];
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    let layer = text(&facts["layer"]);
    let number = sx_edge::Layer::ALL.iter().find(|each| each.as_str() == layer).map_or(0, |each| *each as u8);
    let mut words = format!("layer {number} ({layer}): {}", text(&record["reason"]));
    for name in ["rule", "scanner", "offered", "allowed"] {
        if !facts[name].is_null() {
            words.push_str(&format!(", {name} {}", text(&facts[name])));
        }
    }
    let number = record["seq"].as_u64().unwrap_or_default();
    words.push_str(&format!(" (record {number})"));
    words
}

/// Tells the story of the call of this run, and whether the log that tells it is whole; then what a verifier says of a copy
/// in which one byte is another.
pub fn tell(setup: &Setup, report: Report<'_>) -> anyhow::Result<()> {
    let story = Story::of(setup)?;
    let call = report.check("witness", || {
        let invited = |record: &Value| record["kind"] == "bridge_established";
        let answered = story.of_call(None)?.into_iter().rev().find(invited).context("no call was answered")?;
        let call: CallId = answered["call_id"].as_str().unwrap_or_default().parse()?;
        let told = story.of_call(Some(call))?;
        ensure!(told.last().is_some_and(|record| record["kind"] == "terminated"), "the call's story has no end");
        Ok((told, format!("the call's story, `strowger witness trace {call}`:")))
    })?;
    for record in &call {
        report.say(&line_of(record));
    }
    report.check("verify", || {
        let verdict = story.verdict(&story.folder)?;
        ensure!(verdict.is_honest(), "the log is not whole: {}", first_problem(&verdict));
        let signed = verdict.last_signed.as_ref().map_or(0, |checkpoint| checkpoint.size);
        ensure!(signed + 1 >= verdict.records, "only {signed} of {} records are signed", verdict.records);
        Ok(((), format!("ok: {} records, {} checkpoints", verdict.records, verdict.checkpoints)))
    })?;
    report.check("forged", || {
        let copy = setup.data.join("witness-forged");
        let number = forge(&story.folder, &copy)?;
        let verdict = story.verdict(&copy)?;
        std::fs::remove_dir_all(&copy)?;
        let problem = first_problem(&verdict);
        ensure!(!verdict.is_honest(), "a byte was flipped in record {number} and nobody noticed");
        ensure!(problem.contains(&format!("record {number} ")), "the byte was flipped in record {number}: {problem}");
        Ok(((), format!("one byte of record {number} flipped in a copy: {problem}")))
    })
}

impl Story {
    fn verdict(&self, folder: &Path) -> anyhow::Result<Verdict> {
        let key = WitnessFolder::open(&self.folder)?.key()?;
        Ok(WitnessFolder::open(folder)?.verify(&key, &Options::default(), &ReadProgress::default())?)
    }
}

fn first_problem(verdict: &Verdict) -> String {
    verdict.problems.first().map(ToString::to_string).unwrap_or_default()
}

/// Copies a log, and changes a letter in a record in the middle of its first segment. Gives the record's number.
fn forge(folder: &Path, copy: &Path) -> anyhow::Result<usize> {
    std::fs::create_dir_all(copy)?;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        std::fs::copy(&path, copy.join(path.file_name().context("a file without a name")?))?;
    }
    let parts = WitnessFolder::open(copy)?.parts()?;
    let first = parts.first().and_then(|part| part.segment.clone()).context("the log has no segment")?;
    let mut bytes = std::fs::read(&first)?;
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    let begins: Vec<usize> = std::iter::once(0).chain(memchr_lines(&bytes)).collect();
    let number = lines / 2;
    let at = bytes[begins[number]..].windows(8).position(|window| window == b"\"time\":\"");
    let at = begins[number] + at.context("a record without a time")? + b"\"time\":\"20".len();
    bytes[at] = if bytes[at] == b'9' { b'8' } else { bytes[at] + 1 };
    std::fs::write(&first, bytes)?;
    Ok(number)
}

/// Where lines begin, but for the first.
fn memchr_lines(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1)
}

/// As `  12:00:00.123456  admission  approve  alice@localhost -> bob@localhost  rule default`.
fn line_of(record: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let time = text(&record["time"]);
    let time = time.split_once('T').map_or("", |(_, time)| time).trim_end_matches('Z').to_owned();
    let who =
        [&record["actor"], &record["subject"]].map(text).join(if record["subject"].is_null() { "" } else { " -> " });
    let more =
        ["rule", "by", "trunk"].iter().filter_map(|name| Some(format!("{name} {}", record["facts"][*name].as_str()?)));
    let words = [text(&record["outcome"]), who, text(&record["reason"])].into_iter().chain(more);
    let words: Vec<String> = words.filter(|word| !word.is_empty() && word != "trunk ").collect();
    format!("    {time}  {:<18}  {}", text(&record["kind"]), words.join(", "))
}
