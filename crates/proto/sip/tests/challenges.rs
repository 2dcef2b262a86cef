//! What a challenge has an agent do: try once more, with what was asked for, and never for ever; and what a second INVITE of
//! one call takes from the first.

mod wire;

use bytes::Bytes;
use std::time::Duration;
use sx_sip::agent::{AgentConfig, AgentEvent, OutgoingRequest};
use sx_sip::message::{HeaderName, Method, OwnedMessage};
use sx_sip::session::{SessionEvent, SessionId};
use sx_types::{Destination, Flow, Transport};
use wire::{ALICE, Alone, BOB, agent_with, flow, in_dialog, labels, our_tag, request, respond, value};

const CONTACT: &str = "Contact: <sip:bob@192.0.2.2>\r\n";
const PROXY: &str = "Proxy-Authenticate: Digest realm=\"p\", nonce=\"n\", qop=\"auth\"\r\n";
const SERVER: &str = "WWW-Authenticate: Digest realm=\"s\", nonce=\"n\", qop=\"auth\"\r\n";
const STALE: &str = "Proxy-Authenticate: Digest realm=\"p\", nonce=\"m\", qop=\"auth\", stale=true\r\n";

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn dialled() -> (Alone, SessionId, OwnedMessage) {
    let mut alone = Alone::new();
    let mut spec = wire::outgoing(&mut alone.agent);
    spec.credentials = Some(wire::credentials());
    let session = alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    (alone, session, invite)
}

fn established() -> (Alone, SessionId, OwnedMessage) {
    let (mut alone, session, invite) = dialled();
    alone.receive(&respond(&invite, 200, "b", CONTACT, "answer"));
    alone.sent();
    alone.events();
    (alone, session, invite)
}

/// Challenges the one request that was sent, and gives the next one.
#[track_caller]
fn challenged(alone: &mut Alone, status: u16, challenge: &str) -> OwnedMessage {
    let first = alone.sent_one();
    alone.receive(&respond(&first, status, "b", challenge, ""));
    let again = alone.sent_one();
    assert_eq!(again.method(), first.method());
    assert_ne!(value(&again, HeaderName::CSeq), value(&first, HeaderName::CSeq));
    assert_eq!(again.body(), first.body());
    alone.receive(&respond(&again, status, "b", challenge, ""));
    assert!(alone.sent().is_empty(), "not a third time");
    again
}

#[test]
fn each_request_of_a_dialog_answers_a_challenge_once() {
    let (mut alone, session, _) = established();
    alone.agent.info(alone.now, session, "application/dtmf", b"5");
    let info = challenged(&mut alone, 407, PROXY);
    assert!(value(&info, HeaderName::ProxyAuthorization).contains("uri=\"sip:bob@192.0.2.2\""));
    assert_eq!(value(&info, HeaderName::ContentType), "application/dtmf");
    alone.agent.refer(alone.now, session, "sip:carol@example.org");
    let refer = challenged(&mut alone, 401, SERVER);
    assert_eq!(value(&refer, HeaderName::ReferTo), "<sip:carol@example.org>");
    assert!(!value(&refer, HeaderName::Authorization).is_empty());
    alone.events();
    alone.agent.hangup(alone.now, session, Some(16));
    let bye = challenged(&mut alone, 407, PROXY);
    assert!(value(&bye, HeaderName::Reason).starts_with("Q.850;cause=16"));
    alone.pass(Duration::from_secs(100));
    assert_eq!((alone.agent.sessions(), alone.agent.transactions()), (0, (0, 0)));
}

#[test]
fn a_prack_answers_a_challenge() {
    let (mut alone, _, invite) = dialled();
    alone.receive(&respond(&invite, 183, "b", &format!("{CONTACT}Require: 100rel\r\nRSeq: 7\r\n"), ""));
    let prack = challenged(&mut alone, 407, PROXY);
    assert_eq!(value(&prack, HeaderName::RAck), "7 1 INVITE");
}

#[test]
fn both_kinds_of_challenge_are_answered_and_the_ack_carries_the_answers() {
    let (mut alone, session, invite) = dialled();
    alone.receive(&respond(&invite, 407, "b", PROXY, ""));
    let second = alone.sent().remove(1).1;
    alone.receive(&respond(&second, 401, "b", SERVER, ""));
    let third = alone.sent().remove(1).1;
    let given = |message: &OwnedMessage| {
        [HeaderName::Authorization, HeaderName::ProxyAuthorization].map(|name| value(message, name))
    };
    assert!(given(&third).iter().all(|value| !value.is_empty()));
    let answer = respond(&third, 200, "b", CONTACT, "answer");
    for _ in 0..2 {
        alone.receive(&answer);
        assert_eq!(given(&alone.sent_one()), given(&third));
    }
    alone.agent.offer(alone.now, session, Some(bytes("change")));
    let change = alone.sent_one();
    alone.receive(&respond(&change, 407, "b", PROXY, ""));
    let change = alone.sent().remove(1).1;
    alone.receive(&respond(&change, 200, "b", CONTACT, "changed"));
    assert_eq!(given(&alone.sent_one()), given(&change));
}

#[test]
fn a_nonce_that_is_always_stale_is_renewed_once() {
    let (mut alone, _, mut invite) = dialled();
    for expected in [&["ACK", "INVITE"][..], &["ACK", "INVITE"], &["ACK"]] {
        alone.receive(&respond(&invite, 407, "b", STALE, ""));
        let sent = alone.sent();
        assert_eq!(labels(&sent), expected);
        invite = sent.into_iter().next_back().expect("one at least").1;
    }
    assert!(matches!(alone.events()[..], [SessionEvent::Ended(_)]));
}

/// A REGISTER with credentials.
fn register(alone: &mut Alone) -> OutgoingRequest {
    OutgoingRequest {
        to: vec![Destination::Flow(flow(BOB))],
        method: Method::Register,
        uri: "sip:example.org".into(),
        from: "<sip:alice@example.org>".into(),
        to_value: "<sip:alice@example.org>".into(),
        call_id: alone.agent.call_id(),
        seq: 1,
        routes: Vec::new(),
        headers: Vec::new(),
        hops: 70,
        body: None,
        credentials: Some(wire::credentials()),
    }
}

#[test]
fn a_request_whose_nonce_is_always_stale_is_given_up() {
    let mut alone = Alone::new();
    let spec = register(&mut alone);
    alone.agent.request(alone.now, 1, spec);
    for _ in 0..3 {
        let sent = alone.sent_one();
        alone.receive(&respond(&sent, 407, "b", STALE, ""));
    }
    assert!(alone.sent().is_empty());
    assert!(matches!(alone.agent.poll_event(), Some(AgentEvent::Response { status: 407, .. })));
}

#[test]
fn the_next_address_may_have_a_challenge_of_its_own() {
    let mut alone = Alone::new();
    let mut spec = wire::outgoing(&mut alone.agent);
    spec.credentials = Some(wire::credentials());
    spec.to.push(Destination::Flow(flow("192.0.2.3:5060")));
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let mut invite = alone.sent_one();
    for (status, lines, authorized) in [(407, PROXY, true), (503, "", false), (407, PROXY, true)] {
        alone.receive(&respond(&invite, status, "b", lines, ""));
        let sent = alone.sent();
        assert_eq!(labels(&sent), ["ACK", "INVITE"], "after {status}");
        invite = sent.into_iter().next_back().expect("an INVITE").1;
        assert_eq!(!value(&invite, HeaderName::ProxyAuthorization).is_empty(), authorized, "after {status}");
    }
}

#[test]
fn the_next_registrar_may_have_a_challenge_of_its_own() {
    let mut alone = Alone::new();
    let mut spec = register(&mut alone);
    spec.to.push(Destination::Flow(flow("192.0.2.3:5060")));
    alone.agent.request(alone.now, 1, spec);
    for (status, lines) in [(401, SERVER), (503, ""), (401, SERVER)] {
        let sent = alone.sent_one();
        alone.receive(&respond(&sent, status, "b", lines, ""));
    }
    let last = alone.sent_one();
    assert!(!value(&last, HeaderName::Authorization).is_empty());
    assert_eq!(value(&last, HeaderName::CSeq), "4 REGISTER", "each has a number of its own");
    alone.receive(&respond(&last, 200, "b", "", ""));
    assert!(matches!(alone.agent.poll_event(), Some(AgentEvent::Response { status: 200, seq: 4, .. })));
}

#[test]
fn an_interval_that_is_never_long_enough_is_raised_a_few_times() {
    let (mut alone, _, mut invite) = dialled();
    let mut invites = 1;
    for least in 2_000..2_020 {
        alone.receive(&respond(&invite, 422, "b", &format!("Min-SE: {least}\r\n"), ""));
        let mut sent = alone.sent();
        if labels(&sent) != ["ACK", "INVITE"] {
            break;
        }
        invite = sent.remove(1).1;
        invites += 1;
    }
    assert_eq!(invites, 4);
    assert!(matches!(alone.events()[..], [SessionEvent::Ended(_)]));
}

#[test]
fn a_second_invite_takes_nothing_from_the_dialog_of_the_first() {
    let mut alone = Alone::new();
    let mut spec = wire::outgoing(&mut alone.agent);
    spec.routes = vec!["<sip:192.0.2.9;lr>".into()];
    let tcp = Flow { transport: Transport::Tcp, ..flow("192.0.2.3:5060") };
    spec.to.push(Destination::Flow(tcp));
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let first = alone.sent_one();
    let lines =
        "Contact: <sip:gateway@198.51.100.1>\r\nRecord-Route: <sip:198.51.100.2;lr>\r\nRequire: 100rel\r\nRSeq: 1\r\n";
    alone.receive(&respond(&first, 183, "b", lines, ""));
    assert_eq!(labels(&alone.sent()), ["PRACK"]);
    alone.receive(&respond(&first, 503, "b", "", ""));
    let second = alone.sent().remove(1).1;
    assert_eq!(second.request_uri(), first.request_uri());
    for name in [HeaderName::To, HeaderName::From, HeaderName::Route] {
        assert_eq!(value(&second, name), value(&first, name));
    }
    assert_eq!(value(&first, HeaderName::Contact), "<sip:alice@192.0.2.1:5060>");
    assert!(value(&second, HeaderName::Contact).contains(";transport=tcp"), "{}", value(&second, HeaderName::Contact));
    // A new dialog counts its reliable responses anew.
    alone.receive(&respond(&second, 183, "b", "Contact: <sip:x@192.0.2.3>\r\nRequire: 100rel\r\nRSeq: 1\r\n", ""));
    assert_eq!(labels(&alone.sent()), ["PRACK"]);
}

/// An INVITE that requires reliable responses has been told that it rings: with our tag and the number of the response.
fn ringing_reliably() -> (Alone, SessionId, String, String) {
    let mut alone = Alone::new();
    let lines = format!("{CONTACT}Require: 100rel\r\n");
    let session = alone.invited(BOB, &request("INVITE", "1", 1, &lines, "offer"));
    alone.agent.progress(alone.now, session, 180, None);
    let ringing = alone.sent_one();
    let (tag, rseq) = (our_tag(&ringing), value(&ringing, HeaderName::RSeq));
    (alone, session, tag.to_string(), rseq.to_string())
}

#[test]
fn a_prack_that_comes_after_the_answer_is_taken_once() {
    let (mut alone, session, tag, rseq) = ringing_reliably();
    alone.agent.answer(alone.now, session, Some(bytes("answer")), &[]);
    alone.receive(&in_dialog("ACK", "2", 1, &tag, "", ""));
    alone.sent();
    for (seq, rack, status) in [(2, format!("{rseq} 9 INVITE"), "481"), (3, format!("{rseq} 1 INVITE"), "200")] {
        alone.receive(&in_dialog("PRACK", &format!("p{seq}"), seq, &tag, &format!("RAck: {rack}\r\n"), ""));
        assert_eq!(labels(&alone.sent()), [status], "{rack}");
    }
    alone.receive(&in_dialog("PRACK", "p4", 4, &tag, &format!("RAck: {rseq} 1 INVITE\r\n"), ""));
    assert_eq!(labels(&alone.sent()), ["481"]);
}

#[test]
fn a_prack_for_another_request_acknowledges_nothing() {
    let (mut alone, _, tag, rseq) = ringing_reliably();
    alone.receive(&in_dialog("PRACK", "p", 2, &tag, &format!("RAck: {rseq} 2 INVITE\r\n"), ""));
    assert_eq!(labels(&alone.sent()), ["481"]);
}

#[test]
fn a_session_that_went_elsewhere_still_answers_challenges() {
    let (alone, session, _) = established();
    let snapshot = alone.agent.snapshot(session).expect("established");
    let mut elsewhere = Alone { agent: agent_with(ALICE, 99, AgentConfig::default()), now: alone.now, session: None };
    let session = elsewhere.agent.restore(elsewhere.now, 1, snapshot, Some(wire::credentials()));
    elsewhere.agent.hangup(elsewhere.now, session, None);
    let bye = challenged(&mut elsewhere, 407, PROXY);
    assert!(value(&bye, HeaderName::ProxyAuthorization).contains("username=\"alice\""));
}
