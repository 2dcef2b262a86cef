//! Logs read as auditors read them.

use super::*;
use crate::DataFolder;
use crate::witness::{WitnessLog, WitnessOptions, WitnessPort};
use std::fs;
use std::time::Duration;
use sx_engine::Time;
use sx_types::{CallId, TraceId};
use sx_witness::{
    Batch, Draft, Facts, Kind, Line, Options, Renderer, SigningKey, Verdict, leaf_hash, verify_consistency,
    verify_inclusion,
};
use tempfile::{TempDir, tempdir};

const NOON: u64 = 1_795_176_000_000_000_000;
const SECOND: u64 = 1_000_000_000;

fn key() -> SigningKey {
    SigningKey::from_seed("example.org/test", [7; 32]).expect("a key")
}

fn call(number: u64) -> CallId {
    CallId::new(NOON / 1_000_000, number.into())
}

/// The records of ten calls, each of a second after noon.
fn batch(round: u64) -> Batch {
    let (mut renderer, mut batch) = (Renderer::new("test"), Batch::default());
    for number in round * 10..round * 10 + 10 {
        let draft = Draft {
            subject: "somebody",
            call: Some(call(number)),
            trace: Some(TraceId::from(call(number / 2))),
            facts: Facts::new().with("number", number),
            ..Draft::new(Time::from_nanos(NOON + number * SECOND), Kind::Invite)
        };
        renderer.render(&draft, &mut batch);
    }
    batch
}

fn write(port: &WitnessPort, round: u64) {
    let size = port.append(Time::from_nanos(NOON), &mut batch(round)).expect("room");
    for turn in 0..20_000_u64 {
        if port.durable() >= size {
            return;
        }
        port.step(Time::from_nanos(NOON) + Duration::from_millis(turn), true);
        port.event().wait_for(Some(Duration::from_millis(1))).expect("an event");
    }
    panic!("{size} records do not become durable");
}

/// A log of several segments in a data folder of its own.
struct Bed {
    dir: TempDir,
    log: WitnessLog,
}

impl Bed {
    fn new(options: &WitnessOptions, rounds: u64) -> Self {
        let dir = tempdir().expect("a folder");
        let data = DataFolder::open(dir.path()).expect("nobody has it");
        let options = WitnessOptions { node: "test".into(), gather: Duration::ZERO, ..options.clone() };
        let (log, _) = WitnessLog::open(&data, key(), options, Time::from_nanos(NOON)).expect("a log");
        let port = log.port().expect("a port");
        (0..rounds).for_each(|round| write(&port, round));
        Self { dir, log }
    }

    fn closed(options: &WitnessOptions, rounds: u64) -> Self {
        let bed = Self::new(options, rounds);
        assert!(bed.log.close(Time::from_nanos(NOON), Duration::from_secs(5)));
        let Self { dir, log } = bed;
        drop(log);
        let data = DataFolder::open(dir.path()).expect("nobody has it");
        let (log, _) = WitnessLog::open(&data, key(), options.clone(), Time::from_nanos(NOON)).expect("the log again");
        Self { dir, log }
    }

    fn folder(&self) -> WitnessFolder {
        WitnessFolder::open(&WitnessFolder::of_data(self.dir.path())).expect("a log")
    }
}

fn small() -> WitnessOptions {
    WitnessOptions { segment_bytes_max: 20_000, checkpoint_records: 50, ..WitnessOptions::default() }
}

fn verify(folder: &WitnessFolder) -> Verdict {
    let progress = ReadProgress::default();
    folder.verify(&key().verifying_key(), &Options::default(), &progress).expect("it can be read")
}

fn lines(folder: &WitnessFolder, search: &Search) -> Vec<u64> {
    let mut numbers = Vec::new();
    let found = folder.search(search, &ReadProgress::default(), |lines| {
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        numbers.extend(lines.map(|line| Line::parse(line).expect("a record").seq()));
        true
    });
    assert_eq!(found.expect("it can be read").records, numbers.len() as u64);
    numbers
}

#[test]
fn a_log_that_is_written_to_is_verified_beside_its_writer() {
    let bed = Bed::new(&small(), 60);
    let folder = bed.folder();
    assert!(folder.parts().expect("parts").len() > 3);
    let port = bed.log.port().expect("a port");
    for round in 60..80 {
        write(&port, round);
        let verdict = verify(&folder);
        assert!(verdict.is_honest() && verdict.records >= bed.log.durable(), "{verdict:?}");
        assert!(verdict.notices.is_empty(), "{verdict:?}");
    }
}

#[test]
fn retired_segments_are_no_accusation_and_their_records_are_not_there() {
    // Few, so that the record which retires them is still there.
    let bed = Bed::closed(&WitnessOptions { keep_bytes: 50_000, ..small() }, 30);
    let folder = bed.folder();
    let verdict = verify(&folder);
    assert!(verdict.is_honest() && verdict.first > 0, "{verdict:?}");
    assert!(matches!(folder.record(0), Err(ReadError::Retired { record: 0 })));
    let leaves = folder.leaves(&ReadProgress::default()).expect("leaves");
    let signed = verdict.last_signed.expect("a checkpoint");
    assert_eq!(leaves.root(signed.size).expect("a root"), signed.root);
}

#[test]
fn a_byte_changed_anywhere_accuses_the_record_it_is_in() {
    let bed = Bed::closed(&small(), 60);
    let folder = bed.folder();
    for part in folder.parts().expect("parts") {
        let path = part.segment.expect("nothing was retired");
        let good = fs::read(&path).expect("a segment");
        let used = good.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        for at in (0..used).step_by(if cfg!(debug_assertions) { 997 } else { 211 }) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).expect("changed");
            let verdict = verify(&folder);
            let record = part.first + good[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
            let said = verdict.problems.iter().map(sx_witness::Problem::record).min();
            // A change behind the last checkpoint in the very last record has nothing that contradicts it.
            let vouched = record + 1 < verdict.records - verdict.unsigned_tail;
            assert!(said == Some(record) || !vouched, "byte {at} of {}: {verdict:?}", path.display());
        }
        fs::write(&path, &good).expect("as it was");
    }
    assert!(verify(&folder).is_honest());
}

#[test]
fn every_record_is_found_by_its_number_and_proved() {
    let bed = Bed::new(&small(), 40);
    let folder = bed.folder();
    let leaves = folder.leaves(&ReadProgress::default()).expect("leaves");
    let (size, old) = (leaves.size(), leaves.size() / 3);
    let (root, old_root) = (leaves.root(size).expect("a root"), leaves.root(old).expect("a root"));
    for record in (0..size).step_by(7) {
        let line = folder.record(record).expect("it is there");
        assert_eq!(Line::parse(&line).expect("a record").seq(), record);
        let path = leaves.inclusion(size, record).expect("a proof");
        assert!(verify_inclusion(size, record, leaf_hash(&sx_witness::Hash::of(&line)), &path, root));
    }
    let path = leaves.consistency(old, size).expect("a proof");
    assert!(verify_consistency(old, size, old_root, root, &path));
    assert!(matches!(folder.record(size + 5), Err(ReadError::NotThere { .. })));
    assert!(matches!(leaves.root(size + 1), Err(ReadError::NotThere { .. })));
}

#[test]
fn records_are_found_by_call_by_story_and_by_time() {
    let bed = Bed::new(&small(), 60);
    let folder = bed.folder();
    let all = lines(&folder, &Search::default());
    assert_eq!(all, (0..all.len() as u64).collect::<Vec<_>>());
    let ids = |ids: Vec<RecordId>| Search { ids: Some(ids), ..Search::default() };
    assert_eq!(lines(&folder, &ids(vec![RecordId::Call(call(333))])).len(), 1);
    assert_eq!(lines(&folder, &ids(vec![RecordId::Trace(call(100).into())])).len(), 2);
    let both = ids(vec![RecordId::Trace(call(100).into()), RecordId::Call(call(201)), RecordId::Call(call(7))]);
    assert_eq!(lines(&folder, &both).len(), 3, "a record that two of them name is found once");
    assert!(lines(&folder, &ids(vec![RecordId::Call(call(9_999))])).is_empty());
    let time = |second| Some(Time::from_nanos(NOON + second * SECOND));
    let ten = Search { from: time(300), to: time(310), ..Search::default() };
    assert_eq!(lines(&folder, &ten).len(), 10);
    assert!(lines(&folder, &Search { from: time(100_000), ..Search::default() }).is_empty());
}

#[test]
fn a_line_that_is_too_long_hides_no_other() {
    let dir = tempdir().expect("a folder");
    let path = dir.path().join("lines");
    for long in [10, lines::PIECE_BYTES - 5, lines::PIECE_BYTES, 3 * lines::PIECE_BYTES] {
        let mut bytes = b"one\n".to_vec();
        bytes.resize(4 + long, b'x');
        bytes.extend_from_slice(b"\ntwo\nthree\nunfinished");
        bytes.resize(bytes.len() + 5_000, 0);
        fs::write(&path, &bytes).expect("a file");
        let mut seen = Vec::new();
        lines::whole_lines(&path, &ReadProgress::default(), |offset, piece| {
            for (at, line) in lines::lines_of(piece) {
                let from = offset as usize + at;
                assert_eq!(&bytes[from..from + line.len()], line);
                seen.push(line.len());
            }
            true
        })
        .expect("it can be read");
        seen.retain(|length| *length != long);
        assert_eq!(seen, [3, 3, 5], "{long}");
    }
}

#[test]
fn a_folder_without_a_log_is_refused() {
    let dir = tempdir().expect("a folder");
    assert!(matches!(WitnessFolder::open(dir.path()), Err(ReadError::NoLog { .. })));
    assert!(matches!(WitnessFolder::open(&dir.path().join("nowhere")), Err(ReadError::NoFolder { .. })));
}
