//! How the witness log is, and what it has of one story.

use super::Operators;
use serde_json::{Value, json};
use std::path::Path;
use sx_http::{ApiAnswer, ApiProblem};
use sx_store::{ReadProgress, RecordId, WitnessFolder, WitnessReadError, WitnessSearch};
use sx_types::TraceId;
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

/// The records of a story that are on the disk, oldest first and at most `max`.
fn trace_of(folder: &Path, trace: TraceId, max: usize) -> Result<Vec<Value>, WitnessReadError> {
    let mut found: Vec<Value> = Vec::new();
    let search = WitnessSearch { ids: Some(vec![RecordId::Trace(trace)]), ..WitnessSearch::default() };
    WitnessFolder::open(folder)?.search(&search, &ReadProgress::default(), |lines| {
        let records = lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        found.extend(records.take(max - found.len()));
        found.len() < max
    })?;
    Ok(found)
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
