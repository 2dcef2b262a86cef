//! Changes of a session that stands, transfers, and a session that goes on elsewhere.

mod wire;

use bytes::Bytes;
use std::time::Duration;
use sx_sip::agent::AgentConfig;
use sx_sip::session::{Description, Ended, EndedBy, SessionEvent};
use sx_testkit::Conditions;
use wire::{Alone, BOB, Manner, Pair, agent_with, in_dialog, our_tag, request, respond, value};

const A_WHILE: Duration = Duration::from_millis(100);

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn a_change_without_an_offer_is_offered_to_and_answered_in_the_ack() {
    let (mut pair, alice, bob) = Pair::established();
    let skip = pair.network.trace().packets().len();
    let now = pair.now();
    pair.alice.agent.offer(now, alice, None);
    pair.pass(A_WHILE);
    assert!(matches!(pair.bob.events[..], [SessionEvent::Offered { description: None }]));
    let now = pair.now();
    pair.bob.agent.answer_offer(now, bob, bytes("bob's offer"));
    pair.pass(A_WHILE);
    assert!(
        matches!(&pair.alice.events[..], [SessionEvent::OfferAccepted { description: Some(Description::Offer(sdp)) }] if sdp == "bob's offer"),
        "{:?}",
        pair.alice.events
    );
    assert_eq!(pair.lines(skip), ["a> INVITE", "b> 200"], "the ACK waits for the answer");
    pair.alice.agent.confirm(alice, bytes("alice's answer"));
    pair.pass(A_WHILE);
    assert!(
        matches!(&pair.bob.events[1..], [SessionEvent::OfferConfirmed { description: Some(Description::Answer(sdp)) }] if sdp == "alice's answer"),
        "{:?}",
        pair.bob.events
    );
}

#[test]
fn an_offer_in_an_update_before_the_answer_is_taken_when_the_first_exchange_is_done() {
    let mut pair = Pair::new(1, Manner::Silent, Conditions::PERFECT);
    let alice = pair.alice.dial(pair.now());
    pair.pass(A_WHILE);
    let (now, bob) = (pair.now(), pair.bob.invited[0]);
    pair.bob.agent.progress(now, bob, 183, Some(bytes("early")));
    pair.pass(A_WHILE);
    pair.forget();
    let now = pair.now();
    pair.alice.agent.offer(now, alice, Some(bytes("changed early")));
    pair.pass(A_WHILE);
    assert!(
        matches!(&pair.bob.events[..], [SessionEvent::Offered { description: Some(sdp) }] if sdp == "changed early"),
        "{:?}\n{}",
        pair.bob.events,
        pair.ladder()
    );
    let now = pair.now();
    pair.bob.agent.answer_offer(now, bob, bytes("agreed"));
    pair.pass(A_WHILE);
    assert!(
        matches!(&pair.alice.events[..], [SessionEvent::OfferAccepted { description: Some(Description::Answer(sdp)) }] if sdp == "agreed")
    );
    let now = pair.now();
    pair.bob.agent.answer(now, bob, None, &[]);
    pair.pass(A_WHILE);
    assert!(
        matches!(pair.alice.events[1..], [SessionEvent::Answered { description: None, .. }]),
        "{:?}",
        pair.alice.events
    );
    assert!(matches!(pair.bob.events[1..], [SessionEvent::Confirmed { .. }]));
}

#[test]
fn an_update_that_offers_before_the_first_offer_is_answered_is_500() {
    let mut alone = Alone::new();
    let session =
        alone.invited(BOB, &request("INVITE", "1", 1, "Contact: <sip:bob@192.0.2.2>\r\nAllow: UPDATE\r\n", "offer"));
    alone.agent.progress(alone.now, session, 180, None);
    let tag = our_tag(&alone.sent_one());
    alone.receive(&in_dialog("UPDATE", "2", 2, &tag, "", "another offer"));
    let answer = alone.sent_one();
    assert_eq!((answer.status(), &*value(&answer, sx_sip::message::HeaderName::RetryAfter)), (Some(500), "5"));
    assert!(alone.events().is_empty());
}

#[test]
fn a_second_refer_waits_for_the_end_of_the_first() {
    let (mut pair, alice, bob) = Pair::established();
    let skip = pair.network.trace().packets().len();
    for target in ["sip:carol@example.org", "sip:dave@example.org"] {
        let now = pair.now();
        pair.alice.agent.refer(now, alice, target);
        pair.pass(A_WHILE);
    }
    let refers: Vec<_> = pair
        .bob
        .events
        .iter()
        .filter_map(|e| if let SessionEvent::Refer(r) = e { Some(&*r.to) } else { None })
        .collect();
    assert_eq!(refers, ["sip:carol@example.org"]);
    assert_eq!(pair.lines(skip), ["a> REFER", "b> 202", "a> REFER", "b> 491"]);
    assert!(matches!(pair.alice.events[..], [SessionEvent::Report { status: 491 }]), "{:?}", pair.alice.events);
    let now = pair.now();
    pair.bob.agent.report(now, bob, 200);
    pair.pass(A_WHILE);
    let now = pair.now();
    pair.alice.agent.refer(now, alice, "sip:dave@example.org");
    pair.pass(A_WHILE);
    let refers = pair.bob.events.iter().filter(|e| matches!(e, SessionEvent::Refer(_))).count();
    assert_eq!(refers, 2);
}

#[test]
fn a_call_hung_up_before_its_answer_is_ended_with_487() {
    let mut alone = Alone::new();
    let session = alone.invited(BOB, &request("INVITE", "1", 1, "Contact: <sip:bob@192.0.2.2>\r\n", "offer"));
    alone.agent.progress(alone.now, session, 180, None);
    let tag = our_tag(&alone.sent_one());
    alone.receive(&in_dialog("BYE", "2", 2, &tag, "Reason: Q.850;cause=16\r\n", ""));
    let sent = alone.sent();
    let told: Vec<_> = sent.iter().map(|(_, m)| (m.status(), value(m, sx_sip::message::HeaderName::CSeq))).collect();
    assert_eq!(told, [(Some(200), "2 BYE".to_owned()), (Some(487), "1 INVITE".to_owned())]);
    assert!(sent.iter().all(|(_, m)| our_tag(m) == tag));
    assert!(matches!(alone.events()[..], [SessionEvent::Ended(Ended { q850: Some(16), by: EndedBy::Peer, .. })]));
    alone.pass(Duration::from_secs(60));
    assert_eq!((alone.agent.sessions(), alone.agent.transactions()), (0, (0, 0)));
}

#[test]
fn a_session_goes_on_from_a_snapshot_with_the_same_numbers_and_route() {
    let (mut pair, alice, bob) = Pair::established();
    for _ in 0..2 {
        let now = pair.now();
        pair.alice.agent.offer(now, alice, Some(bytes("change")));
        pair.pass(A_WHILE);
        let now = pair.now();
        pair.bob.agent.answer_offer(now, bob, bytes("changed"));
        pair.pass(A_WHILE);
    }
    pair.forget();
    let snapshot = pair.alice.agent.snapshot(alice).expect("established");
    assert_eq!(snapshot.dialog.local_seq, 3);
    pair.alice.agent = agent_with(wire::ALICE, 99, AgentConfig::default());
    let now = pair.now();
    let alice = pair.alice.agent.restore(now, 1, snapshot.clone(), None);
    assert_eq!(pair.alice.agent.snapshot(alice).as_ref(), Some(&snapshot), "nothing is lost on the way");
    // Bob finds the session by the tag that the old process gave.
    pair.bob.agent.offer(now, bob, Some(bytes("from bob")));
    pair.pass(A_WHILE);
    assert!(matches!(&pair.alice.events[..], [SessionEvent::Offered { description: Some(sdp) }] if sdp == "from bob"));
    let now = pair.now();
    pair.alice.agent.answer_offer(now, alice, bytes("yes"));
    pair.pass(A_WHILE);
    let now = pair.now();
    pair.alice.agent.hangup(now, alice, None);
    pair.pass(Duration::from_secs(100));
    assert_eq!((pair.alice.ends().len(), pair.bob.ends().len()), (1, 1));
    pair.assert_nothing_left("restored");
}

#[test]
fn there_is_no_snapshot_of_a_session_that_is_changing() {
    let (mut pair, alice, bob) = Pair::established();
    let now = pair.now();
    pair.alice.agent.offer(now, alice, Some(bytes("change")));
    assert!(pair.alice.agent.snapshot(alice).is_none());
    pair.pass(A_WHILE);
    assert!(pair.bob.agent.snapshot(bob).is_none());
}

#[test]
fn a_change_that_is_challenged_is_sent_once_more_with_credentials() {
    let mut alone = Alone::new();
    let mut spec = wire::outgoing(&mut alone.agent);
    spec.credentials = Some(wire::credentials());
    let session = alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    alone.receive(&respond(&invite, 200, "b", "Contact: <sip:bob@192.0.2.2>\r\n", "answer"));
    alone.sent();
    alone.agent.offer(alone.now, session, Some(bytes("change")));
    let change = alone.sent_one();
    let challenge = "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n";
    alone.receive(&respond(&change, 407, "b", challenge, ""));
    let sent = alone.sent();
    assert_eq!(wire::labels(&sent), ["ACK", "INVITE"]);
    assert!(value(&sent[1].1, sx_sip::message::HeaderName::ProxyAuthorization).contains("algorithm=SHA-256"));
    alone.receive(&respond(&sent[1].1, 407, "b", challenge, ""));
    assert_eq!(wire::labels(&alone.sent()), ["ACK"], "not a third time");
    assert!(matches!(alone.events().last(), Some(SessionEvent::OfferRefused { status: 407 })));
}
