//! What has one cause is said once: another key than the log's, a segment in the place of another; and what would be said of each
//! record is bounded.

use sx_engine::Time;
use sx_witness::{
    Batch, Chain, Draft, Facts, KEYS_MAX, Kind, Notice, Options, PLACES_MAX, Problem, RETIRED_MAX, Renderer,
    SegmentCheck, SigningKey, Verdict, Verification, VerifyingKey, checkpoint_line,
};

const TIME: Time = Time::from_secs(1_795_000_000);
const PLACE: &str = "https://w.example/witness";

/// A log of segments, each of which ends in a checkpoint.
struct Log {
    segments: Vec<(u64, Vec<u8>)>,
    filed: String,
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed("exchange.example/log", [number; 32]).expect("a good name")
}

fn public(number: u8) -> VerifyingKey {
    key(number).verifying_key()
}

fn of_the_log<'a>(outcome: &'a str, facts: Facts<'a>) -> Draft<'a> {
    Draft { subject: PLACE, outcome, facts, ..Draft::new(TIME, Kind::Log) }
}

/// The first segment begins the log; behind that each has these records. The key is another one behind segment `changes`.
fn log(segments: usize, changes: usize, drafts: &[Draft<'_>]) -> Log {
    let (mut renderer, mut chain) = (Renderer::new("node-1"), Chain::new());
    let mut log = Log { segments: Vec::new(), filed: String::new() };
    let named = |number| Facts::new().with("format", 1).with("key", public(number).to_string());
    for number in 0..segments {
        let mut batch = Batch::default();
        if number == 0 {
            renderer.render(&of_the_log("begun", named(1)), &mut batch);
        }
        drafts.iter().for_each(|draft| renderer.render(draft, &mut batch));
        if number == changes {
            renderer.render(&of_the_log("key_changed", named(2)), &mut batch);
        }
        let (first, mut bytes) = (chain.size(), Vec::new());
        chain.append(&batch, &mut bytes, &mut Vec::new());
        let signer = key(if number > changes { 2 } else { 1 });
        let checkpoint = chain.checkpoint(TIME, "node-1", &signer, &mut bytes, &mut Vec::new());
        log.filed += &format!("{}\n", checkpoint_line(&checkpoint.note, &[]));
        log.segments.push((first, bytes));
    }
    log
}

/// A log of one key, with a few records of calls in each segment.
fn plain(segments: usize) -> Log {
    log(segments, usize::MAX, &[Draft::new(TIME, Kind::Invite), Draft::new(TIME, Kind::Trying)])
}

impl Log {
    fn verify(&self, mut verification: Verification) -> Verdict {
        verification.checkpoints_file(self.filed.as_bytes());
        for (number, (first, bytes)) in self.segments.iter().enumerate() {
            let mut check = SegmentCheck::new(*first, number + 1 == self.segments.len());
            check.feed(bytes);
            verification.take(check.finish());
        }
        verification.key_file(&format!("{}\n", public(1)));
        verification.finish()
    }

    fn verify_with(&self, key: VerifyingKey) -> Verdict {
        self.verify(Verification::new(key, Options::default()))
    }

    fn first(&self, segment: usize) -> u64 {
        self.segments[segment].0
    }

    /// Copies a segment over another, which keeps its name.
    fn copy(&mut self, from: usize, to: usize) {
        self.segments[to].1 = self.segments[from].1.clone();
    }
}

#[test]
fn another_key_than_the_logs_is_one_problem() {
    let verdict = plain(120).verify_with(public(9));
    let (given, signer) = ("exchange.example/log+", "exchange.example/log+");
    let said: Vec<String> = verdict.problems.iter().map(ToString::to_string).collect();
    assert!(matches!(&verdict.problems[..], [Problem::OtherKey { record: 0, .. }]), "{said:?}");
    assert!(said[0].starts_with(&format!("the key given, {given}")), "{said:?}");
    assert!(said[0].contains(&format!("is not the one that signed the log: record 0 names {signer}")), "{said:?}");
    assert_eq!((verdict.more_problems, verdict.checkpoints, verdict.last_signed), (0, 0, None));
    assert_eq!(verdict.unsigned_tail, verdict.records);
}

#[test]
fn with_another_key_what_is_wrong_besides_is_found() {
    let mut log = plain(4);
    let text = String::from_utf8(log.segments[2].1.clone()).expect("JSON is UTF-8");
    log.segments[2].1 = text.replacen("node-1", "node-2", 1).into_bytes();
    let (record, problems) = (log.first(2), log.verify_with(public(9)).problems);
    assert!(
        matches!(&problems[..], [Problem::OtherKey { .. }, Problem::Changed { record: changed, .. }] if *changed == record),
        "{problems:?}"
    );
}

#[test]
fn a_key_that_was_changed_in_record_0_accuses_no_checkpoint() {
    let mut log = plain(120);
    let text = String::from_utf8(log.segments[0].1.clone()).expect("JSON is UTF-8");
    log.segments[0].1 = text.replacen(&public(1).to_string(), &public(9).to_string(), 1).into_bytes();
    let problems = log.verify_with(public(1)).problems;
    assert!(
        matches!(
            &problems[..],
            [Problem::BegunWithAnother { .. }, Problem::Changed { record: 0, .. }]
                | [Problem::Changed { record: 0, .. }, Problem::BegunWithAnother { .. }]
        ),
        "{problems:?}"
    );
}

#[test]
fn another_key_is_one_problem_where_record_0_is_gone() {
    let log = plain(120);
    let rest = Log { segments: log.segments[2..].to_vec(), filed: log.filed.clone() };
    let missing = |problems: &[Problem]| matches!(problems[0], Problem::SegmentMissing { first: 0, .. });
    let verdict = rest.verify_with(public(9));
    assert!(missing(&verdict.problems) && verdict.problems.len() == 1, "the key may be any then: {verdict:?}");
    // With the indexes of what is gone it is not lost, and the first checkpoint names its signer.
    let mut verification = Verification::new(public(9), Options::default());
    let hashes = |segment: usize| {
        let lines = log.segments[segment].1.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(sx_witness::Hash::of).collect::<Vec<_>>()
    };
    for segment in 0..2 {
        verification.missing(log.first(segment), hashes(segment).len() as u64, &hashes(segment));
    }
    let verdict = rest.verify(verification);
    let record = log.first(3) - 1;
    assert!(
        matches!(&verdict.problems[..], [Problem::OtherKey { record: at, .. }, Problem::NotRetired { .. }] if *at == record),
        "{:?}",
        verdict.problems
    );
}

#[test]
fn an_honest_log_without_a_key_is_honest_however_many_checkpoints_it_has() {
    for log in [plain(150), log(150, 70, &[Draft::new(TIME, Kind::Invite)])] {
        let verdict = log.verify(Verification::without_key(Options::default()));
        assert!(verdict.is_honest(), "{:?} and {} more", verdict.problems, verdict.more_problems);
        assert_eq!(verdict.checkpoints, 150);
        // So is one that begins later.
        let mut verification = Verification::without_key(Options::default());
        verification.missing(0, 0, &[]);
        let rest = Log { segments: log.segments[2..].to_vec(), filed: String::new() };
        let verdict = rest.verify(verification);
        let of_a_key = |problem: &Problem| matches!(problem, Problem::CheckpointSignature { .. } | Problem::KeyFile);
        assert!(!verdict.problems.iter().any(of_a_key), "{:?}", verdict.problems);
    }
}

#[test]
fn without_a_key_a_checkpoint_by_another_one_is_named() {
    let mut mixed = plain(3);
    let other = log(3, 0, &[Draft::new(TIME, Kind::Invite), Draft::new(TIME, Kind::Trying)]);
    mixed.segments[2] = (mixed.first(2), other.segments[2].1.clone());
    assert!(!mixed.verify(Verification::without_key(Options::default())).is_honest());
}

#[test]
fn a_segment_that_was_exchanged_for_another_is_one_problem() {
    // Also when the key was changed in what is lacking.
    for changes in [usize::MAX, 2] {
        for (from, to) in [(1, 3), (3, 1), (2, 3), (3, 2), (0, 2), (2, 0), (1, 5), (5, 1), (4, 5), (5, 4)] {
            let mut log = log(6, changes, &[Draft::new(TIME, Kind::Invite)]);
            let (first, last) = (log.first(from), log.segments.get(from + 1).map_or(u64::MAX, |next| next.0 - 1));
            log.copy(from, to);
            let problems = log.verify_with(public(1)).problems;
            let expected = |problem: &Problem| match problem {
                Problem::Exchanged { segment, first: held, last: end } => {
                    (*segment, *held) == (log.first(to), first) && (*end == last || last == u64::MAX)
                }
                _ => false,
            };
            assert!(problems.len() == 1 && expected(&problems[0]), "{from} over {to}: {problems:?}");
        }
    }
    let mut log = plain(4);
    log.copy(1, 2);
    assert_eq!(
        log.verify_with(public(1)).problems[0].to_string(),
        "segment 00000000000000000007.jsonl was exchanged for another: it holds records 4 to 6, and must begin with record 7"
    );
}

#[test]
fn two_segments_that_were_exchanged_for_each_other_are_two_problems() {
    for (one, other) in [(1, 2), (1, 4), (0, 1), (0, 5), (4, 5)] {
        let mut log = plain(6);
        let bytes = log.segments[one].1.clone();
        log.copy(other, one);
        log.segments[other].1 = bytes;
        let problems = log.verify_with(public(1)).problems;
        let named: Vec<u64> = problems.iter().map(Problem::record).collect();
        assert_eq!(named, [log.first(one), log.first(other)], "{problems:?}");
        assert!(problems.iter().all(|problem| matches!(problem, Problem::Exchanged { .. })), "{problems:?}");
    }
}

#[test]
fn a_first_line_that_was_removed_is_no_exchange() {
    for segment in 0..3 {
        let mut log = plain(3);
        let end = log.segments[segment].1.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
        drop(log.segments[segment].1.drain(..end));
        let (first, problems) = (log.first(segment), log.verify_with(public(1)).problems);
        assert!(
            matches!(&problems[..], [Problem::Missing { first: lacking, last, .. }] if (*lacking, *last) == (first, first)),
            "{problems:?}"
        );
    }
}

#[test]
fn notices_beyond_a_hundred_are_counted() {
    let told = of_the_log("anchored", Facts::new().with("size", 1).with("cosigned_by", "w.example/w1"));
    for filed in [true, false] {
        let mut log = log(130, usize::MAX, std::slice::from_ref(&told));
        if !filed {
            log.filed.clear();
        }
        let verdict = log.verify_with(public(1));
        assert!(verdict.is_honest(), "{:?}", verdict.problems);
        // The file is empty, too, which is one more.
        assert_eq!((verdict.notices.len(), verdict.more_notices), (100, if filed { 30 } else { 31 }));
    }
}

#[test]
fn what_records_name_is_bounded() {
    let keys = |count: usize| {
        let named = |number: usize| Facts::new().with("key", public(number as u8).to_string());
        (0..count).map(|number| of_the_log("key_changed", named(number))).collect::<Vec<_>>()
    };
    let retired = |count: usize| {
        let range = || Facts::new().with("first", 0).with("last", 0);
        (0..count).map(|_| of_the_log("retired", range())).collect::<Vec<_>>()
    };
    let names: Vec<String> = (0..=PLACES_MAX).map(|number| format!("https://w{number}.example/witness")).collect();
    let places = |count: usize| {
        let anchored = |name| Draft { subject: name, ..of_the_log("anchored", Facts::new().with("size", 1)) };
        names[..count].iter().map(|name| anchored(name)).collect::<Vec<_>>()
    };
    let too_many = |drafts: Vec<Draft<'_>>| {
        let problems = log(1, usize::MAX, &drafts).verify_with(public(1)).problems;
        problems.iter().filter(|problem| matches!(problem, Problem::TooMany { .. })).count()
    };
    assert_eq!((too_many(keys(KEYS_MAX)), too_many(keys(KEYS_MAX + 2))), (0, 2));
    assert_eq!((too_many(retired(RETIRED_MAX)), too_many(retired(RETIRED_MAX + 2))), (0, 2));
    assert_eq!((too_many(places(PLACES_MAX)), too_many(places(PLACES_MAX + 1))), (0, 1));
}

#[test]
fn that_a_place_had_seen_more_of_the_log_is_a_notice() {
    let refused = |facts: Facts<'static>| {
        let draft = of_the_log("anchor_failed", facts);
        let verdict = log(1, usize::MAX, &[draft]).verify_with(public(1));
        assert!(verdict.is_honest(), "the place may be wrong: {:?}", verdict.problems);
        verdict.notices
    };
    assert_eq!(refused(Facts::new().with("size", 1)), [], "it cannot be reached");
    let by = || PLACE.into();
    let ahead = refused(Facts::new().with("size", 1).with("ahead", 912));
    assert_eq!(ahead, [Notice::AnchorRefused { record: 1, by: by(), cosigned: Some(912) }]);
    let said = ahead[0].to_string();
    let begin = "record 1 says that https://w.example/witness had cosigned 912 records, more than the log had: the log was set back";
    assert!(said.starts_with(begin), "{said}");
    let other = refused(Facts::new().with("size", 1).with("other_history", true));
    assert_eq!(other, [Notice::AnchorRefused { record: 1, by: by(), cosigned: None }]);
    assert!(other[0].to_string().contains("knew another history of the log: the log was set back"), "{other:?}");
}

#[test]
fn that_nothing_is_signed_beside_the_records_is_a_notice() {
    let mut log = plain(2);
    assert_eq!(log.verify_with(public(1)).notices, []);
    log.filed.clear();
    assert_eq!(log.verify_with(public(1)).notices, [Notice::NothingFiled]);
    let end = log.segments[0].1.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    log.segments = vec![(0, log.segments[0].1[..end].to_vec())];
    let verdict = log.verify_with(public(1));
    assert_eq!((verdict.is_honest(), verdict.notices), (true, vec![Notice::NothingSigned]));
}
