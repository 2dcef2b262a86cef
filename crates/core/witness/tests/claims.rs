//! What is said about a log that was changed: the record, the segment and the line.

use sx_engine::Time;
use sx_witness::{
    Batch, CHECKPOINT_LINE_BYTES_MAX, Chain, Checkpoint, Cover, Draft, Facts, FiledFault, IndexEntry, Kind, NUMBER_MAX,
    Notice, Options, Place, Problem, Renderer, SegmentCheck, SigningKey, Verdict, Verification, checkpoint_line,
};

/// A log of two segments: records 0 to 6, the last a checkpoint, and 7 to 13, the last but one a checkpoint.
struct Log {
    first: Vec<String>,
    second: Vec<String>,
    /// The second segment's bytes behind its last line.
    tail: &'static [u8],
    indexes: [Vec<u8>; 2],
    checkpoints: Vec<Checkpoint>,
}

const TIME: Time = Time::from_secs(1_795_000_000);

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed("exchange.example/log", [number; 32]).expect("a good name")
}

fn log_signed_by(signer: &SigningKey) -> Log {
    let (mut renderer, mut chain) = (Renderer::new("node-1"), Chain::new());
    let mut some = |chain: &mut Chain, drafts: Vec<Draft<'_>>, out: &mut Vec<u8>, index: &mut Vec<IndexEntry>| {
        let mut batch = Batch::default();
        drafts.iter().for_each(|draft| renderer.render(draft, &mut batch));
        chain.append(&batch, out, index);
    };
    let facts = Facts::new().with("format", 1).with("key", key(1).verifying_key().to_string());
    let begun = Draft { outcome: "begun", facts, ..Draft::new(TIME, Kind::Log) };
    let plain = |actor| Draft { actor, ..Draft::new(TIME, Kind::Invite) };
    let (mut checkpoints, mut segments) = (Vec::new(), Vec::new());
    for drafts in [vec![begun, plain("a"), plain("b"), plain("c"), plain("d"), plain("e")], vec![plain("f"); 5]] {
        let (mut out, mut index) = (Vec::new(), Vec::new());
        some(&mut chain, drafts, &mut out, &mut index);
        checkpoints.push(chain.checkpoint(TIME, "node-1", signer, &mut out, &mut index));
        if checkpoints.len() == 2 {
            some(&mut chain, vec![plain("g")], &mut out, &mut index);
        }
        let lines: Vec<String> = String::from_utf8(out).expect("JSON is UTF-8").lines().map(str::to_owned).collect();
        segments.push((lines, index.into_iter().flat_map(IndexEntry::to_bytes).collect()));
    }
    let [(first, first_index), (second, second_index)] = segments.try_into().expect("two segments");
    Log { first, second, tail: b"", indexes: [first_index, second_index], checkpoints }
}

fn log() -> Log {
    log_signed_by(&key(1))
}

impl Log {
    fn verify_with(&self, options: Options) -> Verdict {
        let mut verification = Verification::new(key(1).verifying_key(), options);
        let lines = self.checkpoints.iter().map(|checkpoint| checkpoint_line(&checkpoint.note, &[]) + "\n");
        verification.checkpoints_file(lines.collect::<String>().as_bytes());
        for (first, lines, tail) in [(0, &self.first, b"".as_slice()), (7, &self.second, self.tail)] {
            let mut check = SegmentCheck::new(first, first == 7);
            lines.iter().for_each(|line| check.feed(format!("{line}\n").as_bytes()));
            check.feed(tail);
            verification.take(check.finish());
            if first == 0 {
                verification.index_file(0, &self.indexes[0]);
            }
        }
        verification.finish()
    }

    fn verify(&self) -> Verdict {
        self.verify_with(Options::default())
    }
}

#[track_caller]
fn accused(change: impl FnOnce(&mut Log), sentences: &[&str]) {
    let mut log = log();
    change(&mut log);
    let said: Vec<String> = log.verify().problems.iter().map(ToString::to_string).collect();
    assert_eq!(said, sentences);
}

#[test]
fn an_honest_log_has_no_problems() {
    let verdict = log().verify();
    assert!(verdict.is_honest(), "{:?}", verdict.problems);
    assert_eq!((verdict.records, verdict.checkpoints, verdict.first, verdict.unsigned_tail), (14, 2, 0, 1));
    assert_eq!(verdict.last_signed.map(|checkpoint| checkpoint.size), Some(12));
}

#[test]
fn a_record_that_was_changed_is_named() {
    accused(
        |log| log.first[3] = log.first[3].replace("\"c\"", "\"x\""),
        &["record 3 (00000000000000000000.jsonl, line 4) was changed: its hash is not the one that record 4 names"],
    );
    accused(
        |log| {
            let digits = log.second[1].find("prev_hash\":\"").expect("it is there") + 12;
            let other = if log.second[1].as_bytes()[digits] == b'a' { "b" } else { "a" };
            log.second[1].replace_range(digits..=digits, other);
        },
        &[
            "record 8 (00000000000000000007.jsonl, line 2) was changed: it does not name the hash of the record before, nor does the next name its hash",
        ],
    );
}

#[test]
fn a_change_at_the_end_of_a_segment_is_found_by_the_next_one() {
    accused(
        |log| log.first[6] = log.first[6].replace("node-1", "node-2"),
        &["record 6 (00000000000000000000.jsonl, line 7) was changed: its hash is not the one that record 7 names"],
    );
}

#[test]
fn a_record_that_was_removed_is_named() {
    accused(
        |log| drop(log.first.remove(2)),
        &["record 2 was removed: 00000000000000000000.jsonl, line 3 has record 3 in the place of record 2"],
    );
    accused(
        |log| drop(log.first.pop()),
        &["segment 00000000000000000000.jsonl was truncated behind line 6: record 6 is missing"],
    );
}

#[test]
fn a_record_that_was_doubled_is_named() {
    accused(
        |log| log.second.insert(2, log.second[1].clone()),
        &["record 8 is there twice: 00000000000000000007.jsonl, line 3 repeats what has been before"],
    );
}

#[test]
fn records_that_were_swapped_are_named() {
    accused(
        |log| log.first.swap(1, 4),
        &["records 1 and 4 were swapped: record 4 stands in 00000000000000000000.jsonl, line 2"],
    );
}

#[test]
fn a_line_that_is_no_record_is_named() {
    accused(
        |log| log.first[2] = log.first[2].replace("\"b\"", "\"b\" "),
        &["record 2 (00000000000000000000.jsonl, line 3) was damaged: byte 12 is not what canonical JSON has there"],
    );
}

#[test]
fn a_truncated_log_is_named() {
    accused(
        |log| log.second.truncate(3),
        &[
            "the log was truncated behind 00000000000000000007.jsonl, line 3: it has 10 records, and had at least 13 by the checkpoint in line 2 of checkpoints.jsonl, its own record \
             included; or this is a copy for which checkpoints.jsonl was read after the segments, while they were written",
        ],
    );
    let mut log = log();
    let anchors = vec![log.checkpoints.remove(1)];
    log.second.truncate(3);
    let said = log.verify_with(Options { anchors, expect_size: Some(13), ..Options::default() }).problems;
    assert!(
        matches!(said[..], [Problem::Truncated { cover: Cover::ExpectedSize, had: 13, there: 10, more: 1, .. }]),
        "{said:?}"
    );
}

#[test]
fn one_record_is_not_called_records() {
    let (at, cover) = (Place { segment: 0, line: 7 }, Cover::ExpectedSize);
    let forged = Problem::CheckpointSize { record: 6, at, says: 1 }.to_string();
    assert!(forged.ends_with("was forged: it covers 1 record"), "{forged}");
    let truncated = Problem::Truncated { cover, had: 2, there: 1, at: None, more: 0 }.to_string();
    assert!(truncated.ends_with("it has 1 record, and had at least 2 by what is known from elsewhere"), "{truncated}");
}

#[test]
fn one_cut_is_one_problem() {
    let (mut cut, whole) = (log(), log());
    cut.second.clear();
    cut.first.truncate(4);
    let lines: String = whole.checkpoints.iter().map(|one| checkpoint_line(&one.note, &[]) + "\n").collect();
    let mut verification = Verification::new(key(1).verifying_key(), Options::default());
    // Each is there once more when it is cosigned.
    verification.checkpoints_file(format!("{lines}{lines}").as_bytes());
    let mut check = SegmentCheck::new(0, true);
    cut.first.iter().for_each(|line| check.feed(format!("{line}\n").as_bytes()));
    verification.take(check.finish());
    let problems = verification.finish().problems;
    assert_eq!(
        problems,
        [Problem::Truncated {
            cover: Cover::File(2),
            had: 13,
            there: 4,
            at: Some(Place { segment: 0, line: 4 }),
            more: 1
        }]
    );
    assert!(problems[0].to_string().contains("its own record included, and 1 earlier one says so too; or"));
}

#[test]
fn a_stray_file_is_one_problem_and_counts_for_nothing() {
    for (number, bytes) in [(9_999, &b""[..]), (u64::MAX, b"{}\n{}\n"), (u64::MAX, b"no line"), (15, &[0; 600])] {
        let log = log();
        let mut verification = Verification::new(key(1).verifying_key(), Options::default());
        for (first, lines) in [(0, &log.first), (7, &log.second)] {
            let mut check = SegmentCheck::new(first, false);
            lines.iter().for_each(|line| check.feed(format!("{line}\n").as_bytes()));
            verification.take(check.finish());
        }
        let mut check = SegmentCheck::new(number, true);
        check.feed(bytes);
        verification.take(check.finish());
        let verdict = verification.finish();
        assert_eq!(verdict.problems, [Problem::Stray { segment: number, next: 14 }]);
        assert_eq!((verdict.records, verdict.unsigned_tail, verdict.torn_bytes), (14, 1, 0));
    }
    assert!(Problem::Stray { segment: 15, next: 14 }.to_string().ends_with("or was emptied and record 14 is missing"));
}

#[test]
fn records_that_are_missing_are_not_counted() {
    let (log, far) = (log(), NUMBER_MAX as u64);
    let mut verification = Verification::new(key(1).verifying_key(), Options::default());
    let stray = log.second[6].replace("\"seq\":13", &format!("\"seq\":{far}"));
    for (first, lines) in [(0, &log.first), (7, &log.second), (far, &vec![stray])] {
        let mut check = SegmentCheck::new(first, first == far);
        lines.iter().for_each(|line| check.feed(format!("{line}\n").as_bytes()));
        verification.take(check.finish());
    }
    let verdict = verification.finish();
    assert_eq!(verdict.problems, [Problem::Lost { behind: Place { segment: 7, line: 7 }, first: 14, last: far - 1 }]);
    assert_eq!((verdict.records, verdict.unsigned_tail), (15, 2));
}

#[test]
fn a_log_of_another_key_is_named() {
    let said: Vec<String> = log_signed_by(&key(2)).verify().problems.iter().map(ToString::to_string).collect();
    let expected = "the checkpoint in record 6 (00000000000000000000.jsonl, line 7) was forged: it is not signed by this key, and the key in force is exchange.example/log+";
    assert!(said.first().is_some_and(|sentence| sentence.starts_with(expected)), "{said:?}");
}

#[test]
fn a_log_that_nothing_signs_is_named() {
    let (mut renderer, mut chain) = (Renderer::new("node-1"), Chain::new());
    let (mut out, mut ends) = (Vec::new(), vec![0]);
    let begin = Facts::new().with("format", 1).with("key", key(1).verifying_key().to_string());
    for (outcome, facts) in [("begun", begin), ("resumed", Facts::new()), ("resumed", Facts::new())] {
        let mut batch = Batch::default();
        renderer.render(&Draft { outcome, facts, ..Draft::new(TIME, Kind::Log) }, &mut batch);
        chain.append(&batch, &mut out, &mut Vec::new());
        ends.push(out.len());
    }
    for (records, end) in ends.into_iter().enumerate() {
        for torn in [b"".as_slice(), b"{\"facts\":{"] {
            let mut check = SegmentCheck::new(0, true);
            check.feed(&out[..end]);
            check.feed(torn);
            let mut verification = Verification::new(key(1).verifying_key(), Options::default());
            verification.take(check.finish());
            let verdict = verification.finish();
            let expected: &[Problem] = if records > 1 { &[Problem::Unsigned] } else { &[] };
            assert_eq!(verdict.problems, expected, "{records} records");
            assert_eq!(verdict.is_torn(), records < 2 && !torn.is_empty());
        }
    }
    let sentence = "nothing in the log is signed by its key: anybody could have written it";
    assert_eq!(Problem::Unsigned.to_string(), sentence);
}

/// A log of three records: it is begun, says this of itself, and signs it.
fn log_that_says(outcome: &str, facts: Facts<'_>) -> Verdict {
    let (mut renderer, mut chain, mut batch) = (Renderer::new("node-1"), Chain::new(), Batch::default());
    let begin = Facts::new().with("format", 1).with("key", key(1).verifying_key().to_string());
    for (outcome, facts) in [("begun", begin), (outcome, facts)] {
        renderer.render(&Draft { outcome, facts, ..Draft::new(TIME, Kind::Log) }, &mut batch);
    }
    let (mut out, mut index) = (Vec::new(), Vec::new());
    chain.append(&batch, &mut out, &mut index);
    chain.checkpoint(TIME, "node-1", &key(1), &mut out, &mut index);
    let mut verification = Verification::new(key(1).verifying_key(), Options::default());
    let mut check = SegmentCheck::new(0, true);
    check.feed(&out);
    verification.take(check.finish());
    verification.finish()
}

#[test]
fn a_log_that_begins_twice_is_named() {
    let again = Facts::new().with("format", 1).with("key", key(1).verifying_key().to_string());
    let verdict = log_that_says("begun", again);
    assert!(matches!(verdict.problems[..], [Problem::Statement { record: 1, .. }]), "{:?}", verdict.problems);
    assert!(log_that_says("resumed", Facts::new().with("cut_bytes", 0)).is_honest());
}

#[test]
fn the_key_of_a_witness_does_not_become_that_of_the_log() {
    let witness = "witness.example/w1+24b5d9fe+BP0XJDhaoMdbZPt4zWAvodmR/ev3axPFjtcC6sg16fYY";
    let verdict = log_that_says("key_changed", Facts::new().with("key", witness));
    assert!(matches!(verdict.problems[..], [Problem::Statement { record: 1, .. }]), "{:?}", verdict.problems);
    assert!(log_that_says("key_changed", Facts::new().with("key", key(2).verifying_key().to_string())).is_honest());
}

#[test]
fn an_index_that_disagrees_is_named() {
    accused(
        |log| log.indexes[0][3 * 40 + 20] ^= 1,
        &["00000000000000000000.index was changed: its entry for record 3 does not fit the segment"],
    );
}

#[test]
fn an_anchor_of_another_log_is_found() {
    let other = log_signed_by(&key(1));
    let mut changed = log();
    changed.second[6] = changed.second[6].clone();
    let mut anchor = other.checkpoints[1].clone();
    anchor.root = sx_witness::Hash::ZERO;
    let said = changed.verify_with(Options { anchors: vec![anchor], ..Options::default() }).problems;
    assert_eq!(said, [Problem::Anchor { size: 12 }]);
}

#[test]
fn room_at_the_end_is_no_accusation_and_a_torn_line_is_a_notice() {
    let (mut room, mut torn) = (log(), log());
    room.tail = &[0; 70_000];
    assert!(room.verify().is_honest() && room.verify().notices.is_empty());
    torn.tail = b"{\"actor\":\"unfi\0\0\0";
    let verdict = torn.verify();
    assert!(verdict.is_honest());
    assert!(matches!(verdict.notices[..], [Notice::TornTail { bytes: 14, .. }]), "{:?}", verdict.notices);
}

#[test]
fn an_end_that_nothing_has_signed_for_more_than_a_day_is_a_notice() {
    let (mut renderer, mut chain) = (Renderer::new("node-1"), Chain::new());
    let (mut out, mut index) = (Vec::new(), Vec::new());
    let begin = Facts::new().with("format", 1).with("key", key(1).verifying_key().to_string());
    let mut put = |draft: &Draft<'_>, chain: &mut Chain, out: &mut Vec<u8>| {
        let mut batch = Batch::default();
        renderer.render(draft, &mut batch);
        chain.append(&batch, out, &mut Vec::new());
    };
    put(&Draft { outcome: "begun", facts: begin, ..Draft::new(TIME, Kind::Log) }, &mut chain, &mut out);
    let signed = chain.checkpoint(TIME, "node-1", &key(1), &mut out, &mut index);
    // Nothing came for a week, then something, a day later something more, and in the next segment a moment later again.
    let at = |seconds: u64| Time::from_nanos(TIME.as_nanos() + seconds * 1_000_000_000);
    let (week, day) = (7 * 86_400, 86_400);
    put(&Draft::new(at(week), Kind::Invite), &mut chain, &mut out);
    put(&Draft::new(at(week + day), Kind::Invite), &mut chain, &mut out);
    let (first, begins) = (std::mem::take(&mut out), chain.size());
    put(&Draft::new(at(week + day + 1), Kind::Invite), &mut chain, &mut out);
    let unsigned = chain.clone();
    chain.checkpoint(at(week + day + 1), "node-1", &key(1), &mut out, &mut index);
    let lines: Vec<&[u8]> = out.split_inclusive(|byte| *byte == b'\n').collect();
    let notices = |second: &[u8]| {
        let mut verification = Verification::new(key(1).verifying_key(), Options::default());
        verification.checkpoints_file((checkpoint_line(&signed.note, &[]) + "\n").as_bytes());
        for (number, bytes, is_last) in [(0, first.as_slice(), false), (begins, second, true)] {
            let mut check = SegmentCheck::new(number, is_last);
            check.feed(bytes);
            verification.take(check.finish());
        }
        let verdict = verification.finish();
        assert!(verdict.is_honest(), "{:?}", verdict.problems);
        verdict.notices
    };
    assert_eq!(notices(b""), []);
    assert_eq!(unsigned.size(), 5);
    assert_eq!(notices(lines[0]), [Notice::LongTail { records: 3, seconds: 86_401 }]);
    assert_eq!(notices(&out), []);
}

#[test]
fn problems_beyond_a_hundred_are_counted() {
    let mut log = log();
    log.second.splice(1..1, vec!["{}".to_owned(); 5_000]);
    let verdict = log.verify();
    assert_eq!(verdict.problems.len(), 100);
    assert!(verdict.more_problems >= 4_900, "{}", verdict.more_problems);
}

#[test]
fn a_line_of_checkpoints_that_is_too_long_is_an_accusation() {
    let log = log();
    let cosignature = |name: &str| format!("\u{2014} {name} {}", "A".repeat(100));
    let line = |count: usize, name: &str| {
        let mut cosignatures = vec![cosignature("witness"); count];
        cosignatures.push(cosignature(name));
        checkpoint_line(&log.checkpoints[0].note, &cosignatures)
    };
    let one = line(1, "w").len() - line(0, "w").len();
    let count = (CHECKPOINT_LINE_BYTES_MAX - line(0, "w").len()) / one;
    let missing = CHECKPOINT_LINE_BYTES_MAX - line(count, "w").len();
    for more in [0, 1] {
        let line = line(count, &"w".repeat(1 + missing + more));
        assert_eq!(line.len(), CHECKPOINT_LINE_BYTES_MAX + more);
        let mut verification = Verification::new(key(1).verifying_key(), Options::default());
        verification.checkpoints_file(format!("{line}\n").as_bytes());
        let problems = verification.finish().problems;
        let is_form = |problem: &Problem| matches!(problem, Problem::Filed { line: 1, fault: FiledFault::Form, .. });
        assert_eq!(problems.iter().any(is_form), more > 0, "{problems:?}");
    }
}
