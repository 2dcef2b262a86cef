//! What a peer written by hand gets from an agent: forks, retries, routes, numbers and tags.

mod wire;

use std::time::Duration;
use sx_sip::agent::Disposition;
use sx_sip::message::{HeaderName, Method};
use sx_sip::session::{Ended, EndedBy, SessionEvent};
use sx_types::Cause;
use wire::{Alone, BOB, address, in_dialog, labels, our_tag, outgoing, request, respond, value};

const CONTACT: &str = "Contact: <sip:bob@192.0.2.2:5060>\r\n";

/// A call that Bob has answered, and our tag in it.
fn answered(invite_lines: &str, remote: &str) -> (Alone, String) {
    let mut alone = Alone::new();
    let session = alone.invited(remote, &request("INVITE", "1", 1, invite_lines, "offer"));
    alone.agent.answer(alone.now, session, Some(bytes::Bytes::from_static(b"answer")), &[]);
    let tag = our_tag(&alone.sent_one());
    alone.receive_from(remote, in_dialog("ACK", "ack", 1, &tag, "", "").as_bytes());
    assert!(matches!(alone.events()[..], [SessionEvent::Confirmed { .. }]));
    (alone, tag)
}

#[test]
fn an_invite_that_gets_no_final_response_is_cancelled_in_time() {
    for (status, cause) in [(100, Cause::TIMER_EXPIRY), (180, Cause::NO_ANSWER)] {
        let mut alone = Alone::new();
        let spec = outgoing(&mut alone.agent);
        alone.agent.dial(alone.now, 1, spec).expect("accepted");
        let invite = alone.sent_one();
        alone.pass(Duration::from_secs(1));
        alone.sent();
        let tag = if status == 100 { "" } else { "bobs" };
        alone.receive(&respond(&invite, status, tag, "", ""));
        alone.pass(Duration::from_secs(100));
        // A further one does not start the time again.
        alone.receive(&respond(&invite, status, tag, "", ""));
        alone.events();
        alone.pass(Duration::from_secs(79));
        assert_eq!(labels(&alone.sent()), Vec::<String>::new());
        alone.pass(Duration::from_secs(1));
        let cancel = alone.sent_one();
        assert_eq!(cancel.method(), Some(Method::Cancel));
        assert!(value(&cancel, HeaderName::Reason).starts_with(&format!("Q.850;cause={}", cause.0)));
        let ended = Ended { status: 408, q850: Some(cause.0), by: EndedBy::Failure };
        assert!(matches!(alone.events()[..], [SessionEvent::Ended(end)] if end == ended));
    }
}

#[test]
fn an_invite_that_is_answered_is_not_cancelled_later() {
    let mut alone = Alone::new();
    let spec = outgoing(&mut alone.agent);
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    alone.receive(&respond(&invite, 180, "bobs", "", ""));
    alone.receive(&respond(&invite, 200, "bobs", CONTACT, "answer"));
    alone.pass(Duration::from_secs(200));
    assert_eq!(labels(&alone.sent()), ["ACK"]);
}

#[test]
fn a_request_that_comes_by_two_ways_is_one_call_and_a_482() {
    let mut alone = Alone::new();
    let session = alone.invited(BOB, &request("INVITE", "one", 1, "", ""));
    alone.sent();
    let by_another_way = request("INVITE", "two", 1, "", "");
    assert_eq!(alone.receive(&by_another_way), Disposition::Merged);
    assert_eq!(labels(&alone.sent()), ["482"]);
    // The first way is none the worse for it, and another request of the same caller is another one.
    assert_eq!(alone.receive(&request("INVITE", "three", 2, "", "")), Disposition::Request);
    alone.agent.reject(alone.now, session, 486, "", &|_| {});
    assert_eq!(labels(&alone.sent()), ["486"]);
    // When the transaction is over, so is what it remembers.
    alone.pass(Duration::from_secs(40));
    alone.sent();
    assert_eq!(alone.receive(&by_another_way), Disposition::Request);
}

#[test]
fn an_answer_from_a_second_branch_is_acknowledged_and_hung_up() {
    let mut alone = Alone::new();
    let spec = outgoing(&mut alone.agent);
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    alone.receive(&respond(&invite, 200, "first", CONTACT, "answer"));
    let ack = alone.sent_one();
    assert_eq!(ack.request_uri(), b"sip:bob@192.0.2.2:5060");
    alone.receive(&respond(&invite, 200, "second", "Contact: <sip:fork@192.0.2.3:5070>\r\n", "other"));
    let sent = alone.sent();
    assert_eq!(labels(&sent), ["ACK", "BYE"]);
    for (to, message) in &sent {
        assert_eq!(message.request_uri(), b"sip:fork@192.0.2.3:5070");
        assert_eq!((*to, &*our_tag(message)), (address("192.0.2.3:5070"), "second"));
    }
    // The first branch comes again: its ACK is repeated and its call stands.
    alone.receive(&respond(&invite, 200, "first", CONTACT, "answer"));
    let again = alone.sent_one();
    assert_eq!((again.method(), &*our_tag(&again)), (Some(Method::Ack), "first"));
    assert_eq!(value(&again, HeaderName::CSeq), value(&ack, HeaderName::CSeq));
    alone.receive(&respond(&sent[1].1, 481, "second", "", ""));
    assert_eq!(alone.agent.sessions(), 1, "the answer to the second branch's BYE does not end the first");
    assert!(matches!(alone.events()[..], [SessionEvent::Answered { .. }]));
}

#[test]
fn a_second_branch_that_never_answers_its_bye_does_not_end_the_first() {
    let mut alone = Alone::new();
    let mut spec = outgoing(&mut alone.agent);
    spec.session_timer = false;
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    alone.receive(&respond(&invite, 200, "first", CONTACT, "answer"));
    alone.receive(&respond(&invite, 200, "second", CONTACT, "other"));
    alone.pass(Duration::from_secs(100));
    assert_eq!((alone.agent.sessions(), alone.agent.transactions()), (1, (0, 0)));
    assert!(matches!(alone.events()[..], [SessionEvent::Answered { .. }]));
}

#[test]
fn a_422_is_tried_again_with_the_interval_it_asks_for() {
    let mut alone = Alone::new();
    let spec = outgoing(&mut alone.agent);
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let first = alone.sent_one();
    alone.receive(&respond(&first, 422, "b", "Min-SE: 3600\r\n", ""));
    let sent = alone.sent();
    assert_eq!(labels(&sent), ["ACK", "INVITE"]);
    let second = &sent[1].1;
    assert_eq!(value(second, HeaderName::SessionExpires), "3600");
    assert_eq!((&*value(second, HeaderName::MinSe), &*value(second, HeaderName::CSeq)), ("3600", "2 INVITE"));
    alone.receive(&respond(second, 422, "b", "Min-SE: 3600\r\n", ""));
    assert_eq!(labels(&alone.sent()), ["ACK"], "the same again would be refused again");
    assert!(matches!(alone.events()[..], [SessionEvent::Ended(Ended { status: 422, by: EndedBy::Peer, .. })]));
}

#[test]
fn a_challenge_is_answered_once() {
    for (status, asks, answers) in [
        (401, "WWW-Authenticate", HeaderName::Authorization),
        (407, "Proxy-Authenticate", HeaderName::ProxyAuthorization),
    ] {
        let mut alone = Alone::new();
        let mut spec = outgoing(&mut alone.agent);
        spec.credentials = Some(wire::credentials());
        alone.agent.dial(alone.now, 1, spec).expect("accepted");
        let first = alone.sent_one();
        let challenge = format!("{asks}: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n");
        alone.receive(&respond(&first, status, "b", &challenge, ""));
        let sent = alone.sent();
        assert_eq!(labels(&sent), ["ACK", "INVITE"]);
        let second = &sent[1].1;
        assert!(value(second, answers).contains("username=\"alice\""), "{}", value(second, answers));
        assert_eq!(value(second, HeaderName::CSeq), "2 INVITE");
        assert_eq!(value(second, HeaderName::CallId), value(&first, HeaderName::CallId));
        alone.receive(&respond(second, status, "b", &challenge, ""));
        assert_eq!(labels(&alone.sent()), ["ACK"]);
        assert!(matches!(alone.events()[..], [SessionEvent::Ended(Ended { by: EndedBy::Peer, .. })]));
        alone.pass(Duration::from_secs(60));
        assert_eq!((alone.agent.sessions(), alone.agent.transactions()), (0, (0, 0)));
    }
}

#[test]
fn a_challenge_nobody_has_credentials_for_ends_the_call() {
    let mut alone = Alone::new();
    let spec = outgoing(&mut alone.agent);
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let first = alone.sent_one();
    alone.receive(&respond(&first, 407, "b", "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", ""));
    assert_eq!(labels(&alone.sent()), ["ACK"]);
    assert!(matches!(alone.events()[..], [SessionEvent::Ended(Ended { status: 407, .. })]));
}

#[test]
fn a_reliable_response_that_comes_again_or_out_of_order_is_discarded() {
    let mut alone = Alone::new();
    let spec = outgoing(&mut alone.agent);
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    let reliable = |rseq: u32| {
        let lines = format!("{CONTACT}Require: 100rel\r\nRSeq: {rseq}\r\n");
        respond(&invite, 180, "b", &lines, "")
    };
    alone.receive(&reliable(7));
    let prack = alone.sent_one();
    assert_eq!((prack.method(), &*value(&prack, HeaderName::RAck)), (Some(Method::Prack), "7 1 INVITE"));
    for rseq in [7, 9, 6] {
        alone.receive(&reliable(rseq));
        assert!(alone.sent().is_empty(), "{rseq}");
    }
    alone.receive(&reliable(8));
    assert_eq!(value(&alone.sent_one(), HeaderName::RAck), "8 1 INVITE");
    assert_eq!(alone.events().len(), 2);
}

#[test]
fn a_strict_router_gets_its_own_uri_and_the_target_as_the_last_route() {
    let routes = format!("Record-Route: <sip:192.0.2.9:5080>\r\nRecord-Route: <sip:192.0.2.8;lr>\r\n{CONTACT}");
    let (mut alone, _) = answered(&routes, BOB);
    hang_up(&mut alone);
    let (to, bye) = alone.sent().remove(0);
    assert_eq!((bye.request_uri(), to), (&b"sip:192.0.2.9:5080"[..], address("192.0.2.9:5080")));
    let routes: Vec<String> =
        bye.elements(HeaderName::Route).map(|r| String::from_utf8_lossy(r).into_owned()).collect();
    assert_eq!(routes, ["<sip:192.0.2.8;lr>", "<sip:bob@192.0.2.2:5060>"]);
}

#[test]
fn a_loose_router_stays_a_route_and_the_target_the_uri() {
    let routes = format!("Record-Route: <sip:192.0.2.8;lr>, <sip:192.0.2.9:5080;lr>\r\n{CONTACT}");
    let (mut alone, _) = answered(&routes, BOB);
    hang_up(&mut alone);
    let (to, bye) = alone.sent().remove(0);
    assert_eq!((bye.request_uri(), to), (&b"sip:bob@192.0.2.2:5060"[..], address("192.0.2.8:5060")));
    assert_eq!(bye.elements(HeaderName::Route).count(), 2);
}

#[test]
fn a_telephone_behind_a_far_nat_is_reached_where_it_sends_from() {
    let nat = "203.0.113.7:40001";
    let (mut alone, _) = answered("Contact: <sip:bob@192.168.1.20:5060>\r\n", nat);
    hang_up(&mut alone);
    let (to, bye) = alone.sent().remove(0);
    assert_eq!((to, bye.request_uri()), (address(nat), &b"sip:bob@192.168.1.20:5060"[..]));
    // One that is reachable is sent to directly.
    let (mut alone, _) = answered("Contact: <sip:bob@198.51.100.4:5066>\r\n", nat);
    hang_up(&mut alone);
    assert_eq!(alone.sent().remove(0).0, address("198.51.100.4:5066"));
}

/// Ends the only session.
fn hang_up(alone: &mut Alone) {
    alone.agent.hangup(alone.now, alone.session.expect("a session"), None);
}

#[test]
fn a_request_whose_number_is_behind_is_500_and_changes_nothing() {
    let (mut alone, tag) = answered(CONTACT, BOB);
    alone.receive(&in_dialog("INFO", "5", 5, &tag, "Content-Type: text/plain\r\n", ""));
    assert_eq!(alone.sent_one().status(), Some(200));
    alone.events();
    alone.receive(&in_dialog("BYE", "4", 4, &tag, "", ""));
    assert_eq!(alone.sent_one().status(), Some(500));
    assert!(alone.events().is_empty());
    assert_eq!(alone.agent.sessions(), 1);
    // Gaps are allowed.
    alone.receive(&in_dialog("BYE", "9", 900, &tag, "", ""));
    assert_eq!(alone.sent_one().status(), Some(200));
    assert!(matches!(alone.events()[..], [SessionEvent::Ended(_)]));
}

#[test]
fn an_extension_nobody_knows_is_420_within_a_dialog() {
    let (mut alone, tag) = answered(CONTACT, BOB);
    alone.receive(&in_dialog("INFO", "2", 2, &tag, "Require: timer, teleport\r\n", ""));
    let answer = alone.sent_one();
    assert_eq!((answer.status(), &*value(&answer, HeaderName::Unsupported)), (Some(420), "teleport"));
    assert!(alone.events().is_empty());
}

#[test]
fn wrong_tags_and_call_ids_are_481() {
    let (mut alone, tag) = answered(CONTACT, BOB);
    let good = in_dialog("BYE", "2", 2, &tag, "", "");
    let (head, last) = tag.split_at(tag.len() - 1);
    let other = if last == "0" { "1" } else { "0" };
    for wrong in [
        good.replace(&tag, &format!("{head}{other}")),
        good.replace(&tag, "nobody"),
        good.replace("tag=bobs", "tag=eves"),
        good.replace(";tag=bobs", ""),
        good.replace("a-call@", "another-call@"),
        good.replace(&tag, "0.0.00000000"),
        good.replace(&tag, "ffff.ffffffffffffffff.ffffffff"),
    ] {
        assert_eq!(alone.receive(&wrong), Disposition::Stray, "{wrong}");
        assert_eq!(alone.sent_one().status(), Some(481), "{wrong}");
    }
    assert!(alone.events().is_empty());
    assert_eq!(alone.receive(&good), Disposition::Handled);
    assert_eq!(alone.sent_one().status(), Some(200));
}

#[test]
fn an_ack_that_fits_nothing_is_not_answered() {
    let (mut alone, tag) = answered(CONTACT, BOB);
    let ack = in_dialog("ACK", "x", 1, &tag, "", "");
    for stray in [ack.replace("tag=bobs", "tag=eves"), ack.replace(&tag, "nobody")] {
        assert_eq!(alone.receive(&stray), Disposition::Stray);
    }
    assert_eq!(alone.receive(&ack), Disposition::Handled, "a late copy of the right one");
    assert!(alone.sent().is_empty() && alone.events().is_empty());
}

#[test]
fn an_interval_that_is_too_small_is_422_with_the_least() {
    let mut alone = Alone::new();
    let lines = format!("{CONTACT}Session-Expires: 30\r\nSupported: timer\r\n");
    let text = request("INVITE", "1", 1, &lines, "offer");
    let message = sx_sip::message::Message::parse(text.as_bytes()).expect("it parses");
    assert_eq!(alone.agent.receive(alone.now, wire::flow(BOB), &message), Disposition::Request);
    assert!(alone.agent.accept(alone.now, wire::flow(BOB), &message, 1).is_err());
    let answer = alone.sent_one();
    assert_eq!((answer.status(), &*value(&answer, HeaderName::MinSe)), (Some(422), "90"));
}

#[test]
fn an_invite_without_contact_is_answered_and_hung_up_along_its_path() {
    let (mut alone, _) = answered("", BOB);
    hang_up(&mut alone);
    let (to, bye) = alone.sent().remove(0);
    assert_eq!((to, bye.request_uri()), (address(BOB), &b"sip:bob@example.org"[..]));
}
