//! An INVITE that somebody on the way has forked: ours, with an early dialog for each branch, and one that comes to us twice.

mod wire;

use bytes::Bytes;
use std::time::Duration;
use sx_sip::agent::Disposition;
use sx_sip::message::{HeaderName, Method, OwnedMessage};
use sx_sip::session::{Ended, EndedBy, Replaces, SessionEvent, SessionId};
use sx_types::{Cause, Destination};
use wire::{Alone, BOB, flow, labels, our_tag, outgoing, request, respond, value};

const CONTACT: &str = "Contact: <sip:bob@192.0.2.2:5060>\r\n";

/// An INVITE whose two branches ring reliably, and the PRACK that each was sent.
fn forked() -> (Alone, SessionId, OwnedMessage, [OwnedMessage; 2]) {
    let mut alone = Alone::new();
    let mut spec = outgoing(&mut alone.agent);
    spec.session_timer = false;
    spec.credentials = Some(wire::credentials());
    let session = alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    let pracks = ["first", "second"].map(|tag| {
        let lines = format!("{CONTACT}Allow: INVITE, PRACK, UPDATE\r\nRequire: 100rel\r\nRSeq: 7\r\n");
        alone.receive(&respond(&invite, 183, tag, &lines, ""));
        let prack = alone.sent_one();
        assert_eq!((prack.method(), &*our_tag(&prack)), (Some(Method::Prack), tag));
        prack
    });
    (alone, session, invite, pracks)
}

/// The second branch has won, and the session stands.
fn assert_stands(mut alone: Alone, session: SessionId) {
    alone.pass(Duration::from_secs(100));
    assert_eq!(labels(&alone.sent()).iter().filter(|label| *label == "BYE").count(), 0);
    assert!(!alone.events().iter().any(|event| matches!(event, SessionEvent::Ended(_))));
    alone.agent.hangup(alone.now, session, None);
    let bye = alone.sent_one();
    assert_eq!((bye.method(), &*our_tag(&bye)), (Some(Method::Bye), "second"));
}

#[test]
fn an_early_dialog_that_loses_does_not_end_the_one_that_wins() {
    for status in [Some(481), Some(408), Some(407), None] {
        let (mut alone, session, invite, [first, second]) = forked();
        alone.receive(&respond(&second, 200, "", "", ""));
        alone.receive(&respond(&invite, 200, "second", CONTACT, "answer"));
        assert_eq!(labels(&alone.sent()), ["ACK"]);
        if let Some(status) = status {
            // A challenge is none that the other branch could answer.
            let challenge = "Proxy-Authenticate: Digest realm=\"p\", nonce=\"n\", qop=\"auth\"\r\n";
            alone.receive(&respond(&first, status, "", challenge, ""));
            assert!(alone.sent().is_empty(), "{status}");
        }
        assert_stands(alone, session);
    }
}

#[test]
fn a_change_of_an_early_dialog_that_loses_is_refused_and_no_more() {
    for answered in [true, false] {
        let (mut alone, session, invite, pracks) = forked();
        for prack in &pracks {
            alone.receive(&respond(prack, 200, "", "", ""));
        }
        // It goes to the branch that was heard last.
        let lines = format!("{CONTACT}Require: 100rel\r\nRSeq: 8\r\n");
        alone.receive(&respond(&invite, 183, "first", &lines, ""));
        let prack = alone.sent_one();
        alone.receive(&respond(&prack, 200, "", "", ""));
        alone.agent.offer(alone.now, session, Some(Bytes::from_static(b"change")));
        let update = alone.sent_one();
        assert_eq!((update.method(), &*our_tag(&update)), (Some(Method::Update), "first"));
        alone.receive(&respond(&invite, 200, "second", CONTACT, "answer"));
        alone.sent();
        alone.events();
        if answered {
            alone.receive(&respond(&update, 481, "", "", ""));
        } else {
            alone.pass(Duration::from_secs(40));
            alone.sent();
        }
        assert!(matches!(alone.events()[..], [SessionEvent::OfferRefused { .. }]));
        // The next one is not kept waiting for it.
        alone.agent.offer(alone.now, session, Some(Bytes::from_static(b"change")));
        let change = alone.sent_one();
        assert_eq!((change.method(), &*our_tag(&change)), (Some(Method::Invite), "second"));
        alone.receive(&respond(&change, 200, "", CONTACT, "changed"));
        alone.sent();
        assert_stands(alone, session);
    }
}

#[test]
fn a_winner_that_knows_nothing_of_its_early_dialog_ends_the_call() {
    let (mut alone, _, invite, [_, second]) = forked();
    alone.receive(&respond(&invite, 200, "second", CONTACT, "answer"));
    alone.sent();
    alone.receive(&respond(&second, 481, "", "", ""));
    assert_eq!(labels(&alone.sent()), ["BYE"]);
    assert!(value(&second, HeaderName::RAck).starts_with('7'));
}

#[test]
fn a_fork_to_two_users_of_ours_is_two_calls() {
    let mut alone = Alone::new();
    let to_alice = request("INVITE", "one", 1, CONTACT, "offer");
    let to_bob = request("INVITE", "two", 1, CONTACT, "offer").replacen("sip:alice@192", "sip:bob@192", 1);
    alone.invited(BOB, &to_alice);
    alone.invited(BOB, &to_bob);
    assert!(alone.sent().is_empty());
    // Each of them by another way is one too many.
    for again in [to_alice.replacen("one", "three", 1), to_bob.replacen("two", "four", 1)] {
        assert_eq!(alone.receive(&again), Disposition::Merged);
        assert_eq!(labels(&alone.sent()), ["482"]);
    }
}

/// It rang at the first address, and not at the one that did not answer in time.
#[test]
fn an_early_dialog_of_an_address_that_failed_is_forgotten() {
    let mut alone = Alone::new();
    let mut spec = outgoing(&mut alone.agent);
    spec.to.push(Destination::Flow(flow("192.0.2.3:5060")));
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let first = alone.sent_one();
    alone.receive(&respond(&first, 180, "first", CONTACT, ""));
    let call_id = value(&first, HeaderName::CallId);
    let from_tag = value(&first, HeaderName::From).split(";tag=").nth(1).expect("a tag").to_owned();
    let replaces = Replaces::parse(&format!("{call_id};to-tag={from_tag};from-tag=first")).expect("it can be read");
    assert!(alone.agent.session_replaced(&replaces).is_ok());
    alone.receive(&respond(&first, 503, "first", "", ""));
    let second = alone.sent().remove(1).1;
    assert!(alone.agent.session_replaced(&replaces).is_err(), "its early dialog is over");
    alone.receive(&respond(&second, 100, "", "", ""));
    alone.events();
    alone.pass(Duration::from_secs(181));
    let ended = Ended { status: 408, q850: Some(Cause::TIMER_EXPIRY.0), by: EndedBy::Failure };
    assert!(matches!(alone.events()[..], [SessionEvent::Ended(end)] if end == ended));
}

/// A call to two addresses, the first of which says nothing, with the INVITE that each was sent.
fn given_up() -> (Alone, SessionId, [OwnedMessage; 2]) {
    let mut alone = Alone::new();
    let mut spec = outgoing(&mut alone.agent);
    spec.to = vec![Destination::Flow(flow(BOB)), Destination::Flow(flow("192.0.2.3:5060"))];
    spec.silence_max = Some(Duration::from_secs(4));
    let session = alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let first = alone.sent_one();
    alone.pass(Duration::from_secs(4));
    let (_, second) = alone.sent().pop().expect("the next address is asked");
    assert_ne!(value(&first, HeaderName::CSeq), value(&second, HeaderName::CSeq));
    (alone, session, [first, second])
}

#[test]
fn who_answers_when_another_has_been_asked_instead_is_hung_up() {
    let (mut alone, session, [first, second]) = given_up();
    alone.receive(&respond(&first, 200, "late", CONTACT, "answer"));
    let sent = alone.sent();
    assert_eq!(labels(&sent), ["ACK", "BYE"]);
    let hung_up: Vec<OwnedMessage> = sent.into_iter().map(|(_, message)| message).collect();
    assert!(hung_up.iter().all(|message| our_tag(message) == "late"));
    assert_eq!(
        value(&hung_up[0], HeaderName::CSeq).split(' ').next(),
        value(&first, HeaderName::CSeq).split(' ').next()
    );
    alone.receive(&respond(&hung_up[1], 200, "", "", ""));
    // The call goes on with the one that is asked now.
    assert!(alone.events().is_empty());
    alone.receive(&respond(&second, 200, "second", CONTACT, "answer"));
    assert_eq!(labels(&alone.sent()), ["ACK"]);
    assert!(matches!(alone.events()[..], [SessionEvent::Answered { .. }]));
    assert_stands(alone, session);
}
