//! An answer counts when the record that lets its call in is on the disk: before that nobody is connected, in no record.

mod driver;

use driver::{Bench, Line, Manner, TRUNKS};
use std::sync::atomic::Ordering;
use std::time::Duration;
use sx_call::{CallRecord, Note};
use sx_sip::message::Method;
use sx_witness::{Draft, Facts, Kind, Renderer};

const ALICE: &str = "192.0.2.11:5060";
const BOB: &str = "192.0.2.12:5060";

/// alice, and bob who answers.
fn two_phones() -> Bench {
    let mut bench = Bench::new(TRUNKS);
    bench.phone("alice", ALICE, Manner::Answers);
    bench.phone("bob", BOB, Manner::Answers);
    bench
}

/// The kinds of the records of the last call.
fn story(bench: &Bench) -> Vec<String> {
    let call = bench.last_recorded("invite")["call_id"].clone();
    let of = bench.log.records.iter().filter(|record| record["call_id"] == call);
    of.map(|record| record["kind"].as_str().expect("a kind").to_owned()).collect()
}

fn answered_records(bench: &Bench) -> usize {
    bench.records.iter().filter(|record| matches!(record, CallRecord::Answered { .. })).count()
}

#[test]
fn a_call_that_is_refused_because_the_disk_is_late_was_never_answered() {
    let mut bench = two_phones();
    bench.log.waits = true;
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(10);
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 180, 503], "{}", bench.ladder());
    let cdr = bench.ended()[0];
    assert_eq!((cdr.answer, cdr.status), (None, 503));
    assert!(cdr.attempts.iter().all(|attempt| attempt.answer.is_none()), "{:?}", cdr.attempts);
    assert_eq!(answered_records(&bench), 0);
    assert!(!bench.notes.iter().any(|note| matches!(note, Note::Answered { .. })));
    assert_eq!(bench.workers[0].counts().calls_answered.load(Ordering::Relaxed), 0);
    assert_eq!(story(&bench), ["invite", "admission", "trying", "ringing", "rejected"]);
    let rejected = bench.last_recorded("rejected");
    assert_eq!((&rejected["facts"]["status"], &rejected["facts"]["talked_ms"]), (&503.into(), &0.into()));
    assert_eq!(bench.requests("bob", Method::Bye).len(), 1, "{}", bench.ladder());
    bench.assert_over(1);
}

#[test]
fn a_call_is_answered_when_its_caller_is_told() {
    let mut bench = two_phones();
    bench.log.waits = true;
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(answered_records(&bench), 0, "{}", bench.ladder());
    bench.log.waits = false;
    bench.settle();
    bench.pass_s(5);
    let record = bench.last_recorded("connected");
    assert!(record["facts"]["after_ms"].as_u64().is_some_and(|ms| ms >= 1_000), "{record}");
    bench.log.waits = false;
    let session = bench.who("alice").dialled[0];
    bench.hang_up("alice", session);
    bench.pass_s(5);
    let cdr = bench.ended()[0];
    let waited = cdr.answer.expect("answered") - cdr.start;
    assert!((1_000_000_000..2_000_000_000).contains(&waited), "{waited}");
    bench.assert_over(1);
}

#[test]
fn a_caller_who_gives_up_while_the_disk_is_late_was_not_answered() {
    let mut bench = two_phones();
    bench.log.waits = true;
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    bench.hang_up("alice", session);
    bench.pass_s(1);
    bench.log.waits = false;
    bench.settle();
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 180, 487], "{}", bench.ladder());
    assert_eq!((bench.ended()[0].answer, answered_records(&bench)), (None, 0));
    bench.assert_over(1);
}

/// What waits in a worker at most.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// The worker's records fill what may wait but for so many bytes.
fn fill_but_for(bench: &mut Bench, room: usize) {
    let mut renderer = Renderer::new("x");
    let batch = bench.workers[0].witnessed();
    loop {
        let left = BATCH_BYTES_MAX.saturating_sub(batch.bytes() + room);
        if left < 300 {
            return;
        }
        let pad = "x".repeat((left - 250).min(1_000));
        let facts = Facts::new().with("pad", &*pad);
        renderer.render(&Draft { facts, ..Draft::new(driver::START, Kind::Config) }, batch);
    }
}

#[test]
fn whose_admission_finds_no_room_is_not_answered() {
    // The last record there is room for is another one each time: of the call, or of those before it.
    for room in (0..3_000).step_by(211) {
        let mut bench = Bench::two_trunks(TRUNKS, Manner::Answers);
        bench.log.takes_nothing = true;
        fill_but_for(&mut bench, room);
        bench.dial("west", "sip:07@192.0.2.1");
        bench.pass(Duration::from_millis(500));
        bench.log.takes_nothing = false;
        bench.settle();
        bench.pass_s(5);
        let is_admitted = !bench.recorded("admission").is_empty();
        assert_eq!(!bench.answered_numbers().is_empty(), is_admitted, "room for {room}\n{}", bench.ladder());
        let refused = bench.statuses("west", "INVITE").contains(&503);
        assert_eq!(refused, !is_admitted, "room for {room}\n{}", bench.ladder());
    }
}

#[test]
fn what_a_telephone_says_behind_its_answer_stays_behind_it() {
    let mut bench = two_phones();
    bench.log.waits = true;
    bench.dial("alice", "sip:bob@example.org");
    let session = bench.who("bob").invited[0];
    bench.act("bob", |bob, now| {
        let hold = bob.describe("sendonly");
        bob.agent.offer(now, session, Some(hold));
    });
    bench.pass(Duration::from_millis(300));
    assert_eq!(bench.requests("alice", Method::Invite).len(), 0, "{}", bench.ladder());
    bench.log.waits = false;
    bench.settle();
    bench.pass_s(1);
    let to_alice = |line: &&Line| line.to == driver::address(ALICE);
    let first_lines: Vec<String> = bench.lines.iter().filter(to_alice).map(Line::text).collect();
    let place = |wanted: &dyn Fn(&str) -> bool| first_lines.iter().position(|text| wanted(text));
    let answer = place(&|text| text.starts_with("SIP/2.0 200") && text.contains(" INVITE\r\n"));
    let change = place(&|text| !text.starts_with("SIP/2.0 ") && text.contains("a=sendonly"));
    assert!(answer.is_some() && change.is_some() && answer < change, "{answer:?} {change:?}\n{}", bench.ladder());
}

#[test]
fn many_calls_wait_for_one_write() {
    let mut bench = Bench::two_trunks(TRUNKS, Manner::Answers);
    bench.log.waits = true;
    for number in 0..500 {
        bench.dial("west", &format!("sip:07{number}@192.0.2.1"));
    }
    assert_eq!((bench.who("west").answered(), bench.workers[0].calls()), (0, 500));
    bench.log.waits = false;
    bench.settle();
    assert_eq!(bench.who("west").answered(), 500);
}
