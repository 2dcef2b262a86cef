//! Trunks that fail, and what is tried and told then.

mod driver;

use driver::{Bench, FAILOVER, Manner, TRUNKS, named, text, uri, value, with_reserve};
use std::time::Duration;
use sx_call::Note;
use sx_sip::message::{HeaderName, Method};

#[test]
fn when_the_first_trunk_cannot_the_second_is_tried() {
    let mut bench = Bench::two_trunks(FAILOVER, Manner::Refuses(503));
    bench.peer("south", "192.0.2.30:5060", Manner::Answers);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    assert_eq!(bench.statuses("west", "INVITE"), [180, 200]);
    let failed = bench.notes.iter().filter(|note| matches!(note, Note::AttemptFailed { status: 503, .. }));
    assert_eq!(failed.count(), 1);
    bench.hang_up("west", session);
    bench.assert_over(1);
    let attempts: Vec<(&str, u16)> = bench.ended()[0].attempts.iter().map(|a| (&*a.target, a.status)).collect();
    assert_eq!(attempts.iter().map(|(target, _)| *target).collect::<Vec<_>>(), ["trunk:east", "trunk:south"]);
    assert_eq!(attempts[0].1, 503);
}

#[test]
fn a_trunk_that_says_nothing_is_given_up_for_the_second() {
    let mut bench = Bench::two_trunks(FAILOVER, Manner::Dead);
    bench.peer("south", "192.0.2.30:5060", Manner::Answers);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass(Duration::from_secs(33));
    assert_eq!(bench.statuses("west", "INVITE"), [180, 200]);
    bench.hang_up("west", session);
    bench.assert_over(1);
}

#[test]
fn a_busy_called_party_is_not_tried_elsewhere() {
    let mut bench = Bench::two_trunks(FAILOVER, Manner::Refuses(486));
    bench.peer("south", "192.0.2.30:5060", Manner::Answers);
    bench.dial("west", "sip:0123@192.0.2.1");
    assert_eq!(bench.statuses("west", "INVITE"), [486]);
    assert!(bench.received("south").is_empty());
    bench.assert_over(1);
}

#[test]
fn when_all_fail_the_caller_is_told_why() {
    let mut bench = Bench::two_trunks(FAILOVER, Manner::Refuses(503));
    bench.peer("south", "192.0.2.30:5060", Manner::Refuses(500));
    bench.dial("west", "sip:0123@192.0.2.1");
    let refusal = bench.received("west").into_iter().find(|m| m.status().is_some_and(|s| s >= 300));
    let refusal = refusal.expect("a refusal");
    assert_eq!(refusal.status(), Some(500), "a 503 of one target does not mean that we are of no use");
    assert!(value(&refusal, HeaderName::Reason).starts_with("Q.850;cause="), "{}", text(&refusal));
    bench.assert_over(1);
    assert_eq!(bench.ended()[0].attempts.len(), 2);
    assert_eq!(Some(bench.ended()[0].status), refusal.status());
}

#[test]
fn when_every_trunk_fails_the_best_cause_is_told_and_whose_fault_it_was() {
    for (south, status, reason, warning) in [
        (Manner::Refuses(500), 500, "Q.850;cause=41", "the called trunk answered 500"),
        (Manner::Refuses(486), 486, "Q.850;cause=17", "the called trunk answered 486"),
        (Manner::Dead, 408, "Q.850;cause=", "the called trunk has not answered in time"),
    ] {
        let mut bench = Bench::two_trunks(&with_reserve(), Manner::Refuses(503));
        bench.peer("south", "192.0.2.30:5060", south);
        bench.dial("west", "sip:0123@192.0.2.1");
        bench.pass_s(40);
        let told = bench.received("west").into_iter().rfind(|m| m.status().is_some_and(|s| s >= 300)).expect("told");
        assert_eq!(told.status(), Some(status), "{}", bench.ladder());
        assert!(value(&told, HeaderName::Reason).starts_with(reason), "{}", text(&told));
        assert_eq!(named(&told, "Warning"), format!("399 strowger \"{warning}\""));
    }
}

#[test]
fn each_address_of_a_trunk_is_asked_in_its_own_name() {
    let addresses = "addresses = [\"sip:192.0.2.20:5070\", \"sip:192.0.2.30:5080;transport=udp\"]";
    let config = TRUNKS.replace("addresses = [\"sip:192.0.2.20\"]", addresses);
    let mut bench = Bench::new(&config);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5070", Manner::Dead);
    bench.peer("spare", "192.0.2.30:5080", Manner::Answers);
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass_s(33);
    assert_eq!(uri(&bench.requests("east", Method::Invite)[0]), "sip:+49123@192.0.2.20:5070");
    assert_eq!(uri(&bench.requests("spare", Method::Invite)[0]), "sip:+49123@192.0.2.30:5080");
    bench.hang_up("west", session);
    bench.assert_over(1);
}
