//! Calls over networks that lose, reorder and duplicate, and over ones that do so to one message.

mod wire;

use bytes::Bytes;
use std::time::Duration;
use sx_sip::session::{Ended, EndedBy, SessionEvent};
use sx_testkit::Conditions;
use wire::{Manner, Pair};

const CLEAN: Conditions = Conditions::PERFECT.delay(Duration::from_millis(20));

/// One call: dialled, answered, hung up by the side the seed says, and forgotten.
fn call(seed: u64, conditions: Conditions) -> Pair {
    let manner = if seed.is_multiple_of(2) { Manner::Answers } else { Manner::EarlyMedia };
    let mut pair = Pair::new(seed, manner, conditions);
    let alice = pair.alice.dial(pair.now());
    pair.pass(Duration::from_secs(31));
    let context = format!("seed {seed}");
    assert!(pair.alice.has(|e| matches!(e, SessionEvent::Answered { .. })), "{context}\n{}", pair.ladder());
    assert!(pair.bob.has(|e| matches!(e, SessionEvent::Confirmed { .. })), "{context}\n{}", pair.ladder());
    assert_eq!(pair.bob.invited.len(), 1, "{context}");
    let now = pair.now();
    if seed.is_multiple_of(3) {
        let bob = pair.bob.invited[0];
        pair.bob.agent.hangup(now, bob, Some(16));
    } else {
        pair.alice.agent.hangup(now, alice, Some(16));
    }
    pair.pass(Duration::from_secs(200));
    pair
}

#[test]
fn with_a_fifth_lost_and_reordered_and_doubled_every_call_is_set_up_and_torn_down_once() {
    let conditions = Conditions::PERFECT
        .loss(0.2)
        .duplicate(0.2)
        .delay(Duration::from_millis(10))
        .jitter(Duration::from_millis(300));
    for seed in 0..200 {
        let pair = call(seed, conditions);
        let context = format!("seed {seed}");
        let by_bob = seed.is_multiple_of(3);
        let by = |us| if us { EndedBy::Us } else { EndedBy::Peer };
        let ends = |ended: &[Ended]| ended.iter().map(|e| (e.status, e.q850, e.by)).collect::<Vec<_>>();
        assert_eq!(ends(&pair.alice.ends()), [(0, Some(16), by(!by_bob))], "{context}\n{}", pair.ladder());
        assert_eq!(ends(&pair.bob.ends()), [(0, Some(16), by(by_bob))], "{context}\n{}", pair.ladder());
        pair.assert_nothing_left(&context);
    }
}

#[test]
fn a_call_abandoned_at_any_moment_on_a_bad_network_ends_once_on_each_side() {
    let conditions = Conditions::PERFECT
        .loss(0.2)
        .duplicate(0.2)
        .delay(Duration::from_millis(10))
        .jitter(Duration::from_millis(300));
    for seed in 0..200 {
        let manner = [Manner::Silent, Manner::Answers, Manner::EarlyMedia][seed as usize % 3];
        let mut pair = Pair::new(seed, manner, conditions);
        let alice = pair.alice.dial(pair.now());
        pair.pass(Duration::from_millis(seed * 13));
        let now = pair.now();
        pair.alice.agent.hangup(now, alice, None);
        pair.pass(Duration::from_secs(300));
        let context = format!("seed {seed}");
        assert_eq!(pair.alice.ends().len(), 1, "{context}\n{}", pair.ladder());
        assert_eq!(pair.bob.ends().len(), pair.bob.invited.len(), "{context}\n{}", pair.ladder());
        pair.assert_nothing_left(&context);
    }
}

#[test]
fn an_answer_nobody_acknowledges_is_repeated_and_then_hung_up_after_32_seconds() {
    let mut pair = Pair::new(1, Manner::Answers, CLEAN);
    pair.alice.dial(pair.now());
    pair.network.link("alice", "bob", CLEAN);
    // The INVITE goes through; nothing that Alice sends after it does.
    pair.pass(Duration::from_millis(5));
    pair.network.link("alice", "bob", Conditions::CUT);
    let answered = pair.now();
    pair.pass(Duration::from_secs(33));
    let answers = pair.lines(0).iter().filter(|line| *line == "b> 200").count();
    assert_eq!(answers, 11, "at 0, 0.5, 1.5, 3.5, 7.5 and then each 4 s up to 31.5 s\n{}", pair.ladder());
    let acks = pair.lines(0).iter().filter(|line| *line == "a> ACK").count();
    assert_eq!(acks, 11, "each one is acknowledged");
    assert!(matches!(pair.bob.ends()[..], [Ended { status: 408, by: EndedBy::Failure, .. }]));
    let bye = pair.network.trace().packets().iter().find(|p| p.datagram.bytes.starts_with(b"BYE")).expect("a BYE");
    let after = bye.sent.since(answered);
    assert!(after >= Duration::from_secs(32) && after < Duration::from_millis(32_100), "{after:?}");
    assert!(matches!(pair.alice.ends()[..], [Ended { by: EndedBy::Peer, .. }]));
    pair.pass(Duration::from_secs(100));
    pair.assert_nothing_left("unacknowledged");
}

#[test]
fn a_repeated_answer_is_acknowledged_again_with_the_same_ack() {
    let mut pair = Pair::new(1, Manner::Answers, CLEAN);
    pair.alice.dial(pair.now());
    pair.pass(Duration::from_millis(30));
    pair.network.link("alice", "bob", Conditions::CUT);
    pair.pass(Duration::from_millis(400));
    pair.network.link("alice", "bob", CLEAN);
    pair.pass(Duration::from_secs(10));
    let acks: Vec<_> = pair.network.trace().packets().iter().filter(|p| p.datagram.bytes.starts_with(b"ACK")).collect();
    assert_eq!(acks.len(), 2, "{}", pair.ladder());
    let body_and_seq = |packet: &sx_testkit::Packet| {
        let message = sx_sip::message::Message::parse(packet.datagram.bytes.clone()).expect("ours");
        (wire::value(&message, sx_sip::message::HeaderName::CSeq), message.body().to_vec())
    };
    assert_eq!(body_and_seq(acks[0]), body_and_seq(acks[1]));
    let confirmed = pair.bob.events.iter().filter(|e| matches!(e, SessionEvent::Confirmed { .. })).count();
    assert_eq!(confirmed, 1);
}

#[test]
fn a_lost_prack_is_sent_again_and_the_answer_waits_for_it() {
    let mut pair = Pair::new(1, Manner::EarlyMedia, CLEAN);
    pair.alice.dial(pair.now());
    pair.pass(Duration::from_millis(30));
    pair.network.link("alice", "bob", Conditions::CUT);
    pair.pass(Duration::from_secs(2));
    assert!(pair.alice.has(|e| matches!(e, SessionEvent::Progress { status: 183, .. })));
    assert!(!pair.alice.has(|e| matches!(e, SessionEvent::Answered { .. })), "{}", pair.ladder());
    assert!(pair.lines(0).iter().filter(|line| *line == "a> PRACK").count() > 1);
    pair.network.link("alice", "bob", CLEAN);
    pair.pass(Duration::from_secs(5));
    assert!(pair.alice.has(|e| matches!(e, SessionEvent::Answered { .. })), "{}", pair.ladder());
    let heard = pair.alice.events.iter().filter(|e| matches!(e, SessionEvent::Progress { .. })).count();
    assert_eq!(heard, 1, "a 183 that came again is acknowledged and not heard twice");
}

#[test]
fn a_reliable_response_nobody_acknowledges_ends_the_call_with_504() {
    let mut pair = Pair::new(1, Manner::EarlyMedia, CLEAN);
    pair.alice.dial(pair.now());
    pair.pass(Duration::from_millis(5));
    pair.network.link("alice", "bob", Conditions::CUT);
    pair.pass(Duration::from_secs(33));
    assert!(matches!(pair.bob.ends()[..], [Ended { status: 504, by: EndedBy::Failure, .. }]));
    pair.pass(Duration::from_secs(200));
    assert_eq!(pair.alice.ends().len(), 1);
    pair.assert_nothing_left("no PRACK came");
}

#[test]
fn a_cancel_that_crosses_the_answer_hangs_up_what_was_answered() {
    let mut pair = Pair::new(1, Manner::Silent, CLEAN);
    let alice = pair.alice.dial(pair.now());
    pair.pass(Duration::from_millis(30));
    let (now, bob) = (pair.now(), pair.bob.invited[0]);
    pair.bob.agent.progress(now, bob, 180, None);
    pair.pass(Duration::from_millis(50));
    let now = pair.now();
    pair.bob.agent.answer(now, bob, Some(Bytes::from_static(b"answer")), &[]);
    pair.alice.agent.hangup(now, alice, None);
    pair.pass(Duration::from_secs(1));
    let lines = pair.lines(2);
    assert_eq!(lines, ["a> CANCEL", "b> 200", "b> 200", "a> ACK", "a> BYE", "b> 200"], "{}", pair.ladder());
    assert!(matches!(pair.alice.ends()[..], [Ended { status: 487, by: EndedBy::Us, .. }]));
    assert!(matches!(pair.bob.ends()[..], [Ended { by: EndedBy::Peer, .. }]));
    pair.pass(Duration::from_secs(100));
    pair.assert_nothing_left("crossing");
}
