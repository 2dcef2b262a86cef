//! How the witness log is, and what it has of one story.

use super::Operators;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use sx_http::{ApiAnswer, ApiProblem};
use sx_store::{ReadProgress, RecordId, WitnessFolder, WitnessReadError, WitnessSearch};
use sx_types::TraceId;
use tracing::{error, warn};

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
        let _turn = self.searches.begin().ok_or_else(|| {
            let detail = "the witness log is being searched for somebody else; try again in a moment";
            ApiProblem::new(429, "search-under-way", "One search at a time", detail)
        })?;
        let deadline = Instant::now() + TIME_MAX;
        let found = in_background(|| trace_of(&self.witness_folder, trace, limit as usize, deadline));
        let records = found.map_err(|error| match error {
            WitnessReadError::OutOfTime => ApiProblem::unavailable(
                "the witness log is too long to be searched in the time of a request; `strowger witness trace` can",
            ),
            error => {
                error!(%error, "the witness log could not be read");
                ApiProblem::unavailable("the witness log cannot be read at the moment")
            }
        })?;
        if records.is_empty() {
            return Err(nothing());
        }
        Ok(ApiAnswer::Json(json!({ "trace_id": trace.to_string(), "records": records })))
    }
}

/// How long a search may take: less than its asker waits.
const TIME_MAX: Duration = Duration::from_secs(8);
/// Calls come first.
const NICENESS: i32 = 10;

/// Searches of the log: one at a time, since each reads all of it.
#[derive(Debug, Default)]
pub struct Searches(AtomicBool);

/// The search that is under way, until it is dropped.
pub struct Turn<'a>(&'a AtomicBool);

impl Searches {
    /// Begins one, unless another is under way.
    fn begin(&self) -> Option<Turn<'_>> {
        (!self.0.swap(true, Ordering::AcqRel)).then_some(Turn(&self.0))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Works on a thread that gives way to others, and so do the threads that it starts. A thread never becomes more urgent
/// again, so that it is one of its own.
fn in_background<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let at_rest = || {
        if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
            warn!(%error, "a search of the witness log is as urgent as calls are");
        }
        work()
    };
    thread::scope(|scope| match scope.spawn(at_rest).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// The records of a story that are on the disk, oldest first and at most `max`.
fn trace_of(folder: &Path, trace: TraceId, max: usize, deadline: Instant) -> Result<Vec<Value>, WitnessReadError> {
    let mut found: Vec<Value> = Vec::new();
    let half = thread::available_parallelism().map_or(1, usize::from) / 2;
    let search = WitnessSearch {
        ids: Some(vec![RecordId::Trace(trace)]),
        threads_max: Some(half),
        deadline: Some(deadline),
        ..WitnessSearch::default()
    };
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
            let deadline = Instant::now() + TIME_MAX;
            let found = trace_of(folder.path(), ours.parse().expect("an id"), max, deadline).expect("it is read");
            found.iter().map(|record| record["seq"].as_u64().expect("a number")).collect()
        };
        assert_eq!(seqs(10), [0, 2, 3]);
        assert_eq!(seqs(2), [0, 2]);
    }

    #[test]
    fn a_search_whose_time_is_over_ends_and_there_is_one_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let ours = "00000000000000000000000000000abc";
        std::fs::write(folder.path().join("00000000000000000000.jsonl"), record(0, ours)).expect("a file");
        let late = trace_of(folder.path(), ours.parse().expect("an id"), 10, Instant::now());
        assert!(matches!(late, Err(WitnessReadError::OutOfTime)), "{late:?}");

        let searches = Searches::default();
        let turn = searches.begin().expect("nobody searches");
        assert!(searches.begin().is_none(), "one at a time");
        drop(turn);
        assert!(searches.begin().is_some());
    }

    #[test]
    fn a_search_and_the_threads_it_starts_give_way_to_others() {
        let niceness = || rustix::process::getpriority_process(None).expect("a priority");
        let ours = niceness();
        let (search, its_thread) =
            in_background(|| (niceness(), thread::scope(|scope| scope.spawn(niceness).join().expect("no panic"))));
        assert_eq!((search, its_thread), (NICENESS.max(ours), NICENESS.max(ours)));
        assert_eq!(niceness(), ours);
    }
}
