//! Witness logs of small segments, as an exchange leaves them.

#![allow(dead_code, reason = "not every file of tests needs all of it")]

use crate::bed::{Bed, Run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sx_engine::Time;
use sx_store::{DataFolder, WitnessLog, WitnessOptions};
use sx_types::{CallId, TraceId};
use sx_witness::{Draft, Facts, Kind, SigningKey};

/// 2026-11-20 at noon.
const NOON: u64 = 1_795_176_000_000_000_000;
const SECOND: u64 = 1_000_000_000;
pub const PATIENCE: Duration = Duration::from_secs(10);

pub fn time(second: u64) -> Time {
    Time::from_nanos(NOON + second * SECOND)
}

pub fn call(number: u64) -> CallId {
    CallId::new(NOON / 1_000_000, number.into())
}

pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed("example.org/log", [number; 32]).expect("a key")
}

/// A log of small segments, with a record a second, three of each call. A segment may grow to twice its size while the next one
/// is prepared.
pub fn open_log(data: &Path, node: &str, count: u64) -> WitnessLog {
    let folder = DataFolder::open(data).expect("nobody has it");
    let options = WitnessOptions {
        node: node.into(),
        segment_bytes_max: 3_000,
        checkpoint_records: 10,
        gather: Duration::ZERO,
        ..WitnessOptions::default()
    };
    let (log, _) = WitnessLog::open(&folder, key(7), options, time(0)).expect("a log");
    for number in 0..count {
        let facts = Facts::new().with("number", number);
        let facts = if number == 3 { facts.with("sip_call_id", SIP_CALL_ID).with("rule", "no bob") } else { facts };
        let draft = Draft {
            actor: "user:alice",
            subject: if number == 5 { "a\u{1b}[2J,\"b" } else { "+49301234567" },
            outcome: "answered",
            call: Some(call(number / 3)),
            trace: Some(TraceId::from(call(number / 6))),
            facts,
            ..Draft::new(time(number), Kind::Connected)
        };
        assert!(log.record(&draft, time(number), PATIENCE));
    }
    log
}

/// The caller's Call-ID in the first record of the second call.
pub const SIP_CALL_ID: &str = "a-call@\"host\"";

/// A data folder whose log was closed in order, and where the log is.
pub fn closed_log() -> (Bed, PathBuf) {
    let bed = Bed::new();
    let log = open_log(&bed.data(), "north", 60);
    assert!(log.close(time(60), PATIENCE));
    drop(log);
    let folder = bed.data().join("witness");
    (bed, folder)
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

pub fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let numbered = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 26);
    let mut segments: Vec<PathBuf> =
        entries.filter(numbered).filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    segments.sort();
    segments
}

pub fn public(number: u8) -> String {
    key(number).verifying_key().to_string()
}

pub fn verify(bed: &Bed, more: &[&str]) -> Run {
    let key = public(7);
    bed.run(&[&["witness", "verify", "--key", &key], more].concat())
}

pub fn json_of(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

pub fn json(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}
