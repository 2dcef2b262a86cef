//! How the witness log is, and what it has of one story.

use super::Operators;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use sx_http::{ApiAnswer, ApiProblem};
use sx_types::TraceId;
use sx_witness::Line;
use tracing::error;

impl Operators {
    pub(super) fn witness_status(&self) -> ApiAnswer {
        let status = self.log.status();
        ApiAnswer::Json(json!({
            "records": status.records,
            "durable": status.durable,
            "failing": status.failing,
            "checkpoint": {
                "records": status.checkpoint_records,
                "time": status.checkpoint_at.map(|at| at.to_string()),
            },
        }))
    }

    pub(super) fn witness_trace(&self, id: &str, limit: u32) -> Result<ApiAnswer, ApiProblem> {
        let nothing = || ApiProblem::not_found("the witness log has nothing of this trace");
        let trace: TraceId = id.parse().map_err(|_| nothing())?;
        let records = trace_of(&self.witness_folder, trace, limit as usize).map_err(|error| {
            error!(%error, "the witness log could not be read");
            ApiProblem::unavailable("the witness log cannot be read at the moment")
        })?;
        if records.is_empty() {
            return Err(nothing());
        }
        Ok(ApiAnswer::Json(json!({ "trace_id": trace.to_string(), "records": records })))
    }
}

/// The longest line of a log, with its newline.
const LINE_BYTES_MAX: usize = 65_537;

/// The records of a story that are on the disk, oldest first and at most `max`: every segment in this folder is gone
/// through, from the first.
fn trace_of(folder: &Path, trace: TraceId, max: usize) -> std::io::Result<Vec<Value>> {
    let mut found = Vec::new();
    for path in segments(folder)? {
        // It may have been removed since, its time being over.
        let Ok(file) = File::open(&path) else { continue };
        of_segment(&mut BufReader::with_capacity(LINE_BYTES_MAX, file), trace, max, &mut found)?;
    }
    Ok(found)
}

/// Segments are named by 20 digits, so that their names are in the order of their records.
fn segments(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let numbered = stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
        if numbered && path.extension().is_some_and(|extension| extension == "jsonl") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn of_segment(segment: &mut impl BufRead, trace: TraceId, max: usize, found: &mut Vec<Value>) -> std::io::Result<()> {
    let mut line = Vec::new();
    while found.len() < max {
        line.clear();
        segment.read_until(b'\n', &mut line)?;
        // Behind the last record there is room for what is to come, in zeros, or a line that is being written.
        let Some(record) = line.strip_suffix(b"\n") else { break };
        let Ok(parsed) = Line::parse(record) else { continue };
        if parsed.trace_id() == Some(trace)
            && let Ok(value) = serde_json::from_slice(record)
        {
            found.push(value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: u64, trace: &str) -> String {
        let hash = "0".repeat(64);
        format!(
            "{{\"kind\":\"invite\",\"node\":\"n\",\"prev_hash\":\"{hash}\",\"seq\":{seq},\
             \"time\":\"2026-11-20T12:00:00.000000Z\",\"trace_id\":\"{trace}\"}}\n"
        )
    }

    #[test]
    fn a_story_is_read_across_segments_and_up_to_the_room_behind_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ours, theirs) = ("00000000000000000000000000000abc", "00000000000000000000000000000def");
        let first = record(0, ours) + &record(1, theirs);
        let second = record(2, ours) + &record(3, ours) + &"\0".repeat(4096);
        std::fs::write(folder.path().join("00000000000000000000.jsonl"), first).expect("a file");
        std::fs::write(folder.path().join("00000000000000000002.jsonl"), second).expect("a file");
        std::fs::write(folder.path().join("checkpoints.jsonl"), record(9, ours)).expect("a file");
        let seqs = |max| -> Vec<u64> {
            let found = trace_of(folder.path(), ours.parse().expect("an id"), max).expect("it is read");
            found.iter().map(|record| record["seq"].as_u64().expect("a number")).collect()
        };
        assert_eq!(seqs(10), [0, 2, 3]);
        assert_eq!(seqs(2), [0, 2]);
    }
}
