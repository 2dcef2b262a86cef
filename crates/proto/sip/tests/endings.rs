//! What meets the end of a session, or a peer that never comes to one: nothing is left waiting, nothing comes twice.

mod wire;

use bytes::Bytes;
use std::time::Duration;
use sx_sip::message::{HeaderName, Message, OwnedMessage};
use sx_sip::session::{Ended, EndedBy, SessionEvent, SessionId};
use sx_types::{Flow, Transport};
use wire::{ALICE, Alone, BOB, address, flow, in_dialog, label, labels, our_tag, request, respond, value};

const CONTACT: &str = "Contact: <sip:bob@192.0.2.2>\r\n";

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// A call that came and was answered: the agent, the session and our tag.
fn called() -> (Alone, SessionId, String) {
    let mut alone = Alone::new();
    let session = alone.invited(BOB, &request("INVITE", "1", 1, CONTACT, "offer"));
    alone.agent.answer(alone.now, session, Some(bytes("answer")), &[]);
    let tag = our_tag(&alone.sent_one());
    alone.receive(&in_dialog("ACK", "2", 1, &tag, "", ""));
    alone.events();
    (alone, session, tag)
}

/// A call that was made and answered with these further lines.
fn calling(lines: &str) -> (Alone, SessionId, OwnedMessage) {
    let mut alone = Alone::new();
    let spec = wire::outgoing(&mut alone.agent);
    let session = alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    alone.receive(&respond(&invite, 200, "b", &format!("{CONTACT}{lines}"), "answer"));
    assert_eq!(labels(&alone.sent()), ["ACK"]);
    alone.events();
    (alone, session, invite)
}

/// A request from Bob in a call that we made.
fn from_bob(invite: &OwnedMessage, method: &str, seq: u32, body: &str) -> String {
    let typed = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:alice@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK-bob{method}{seq}\r\n\
         Max-Forwards: 70\r\nFrom: {};tag=b\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {seq} {method}\r\n{CONTACT}{typed}\
         Content-Length: {}\r\n\r\n{body}",
        value(invite, HeaderName::To),
        value(invite, HeaderName::From),
        value(invite, HeaderName::CallId),
        body.len(),
    )
}

#[track_caller]
fn assert_nothing_left(alone: &mut Alone) {
    alone.pass(Duration::from_secs(100));
    assert_eq!((alone.agent.sessions(), alone.agent.transactions()), (0, (0, 0)));
}

fn ends(events: &[SessionEvent]) -> usize {
    events.iter().filter(|event| matches!(event, SessionEvent::Ended(_))).count()
}

#[test]
fn a_change_that_waits_when_its_sender_hangs_up_is_told_487() {
    let (mut alone, _, tag) = called();
    alone.receive(&in_dialog("INVITE", "3", 2, &tag, "", "change"));
    alone.receive(&in_dialog("BYE", "4", 3, &tag, "", ""));
    assert_eq!(labels(&alone.sent()), ["200", "487"]);
    assert!(matches!(alone.events()[..], [SessionEvent::Offered { .. }, SessionEvent::Ended(_)]));
    assert_nothing_left(&mut alone);
}

#[test]
fn a_change_that_waits_when_we_hang_up_is_told_487() {
    let (mut alone, session, tag) = called();
    alone.receive(&in_dialog("INVITE", "3", 2, &tag, "", "change"));
    alone.agent.hangup(alone.now, session, None);
    assert_eq!(labels(&alone.sent()), ["BYE", "487"]);
    assert_nothing_left(&mut alone);
}

#[test]
fn a_change_that_comes_after_we_hung_up_is_told_481_and_nobody_hears_of_it() {
    let (mut alone, session, tag) = called();
    alone.agent.hangup(alone.now, session, None);
    assert_eq!(labels(&alone.sent()), ["BYE"]);
    alone.receive(&in_dialog("INVITE", "3", 2, &tag, "", "change"));
    alone.receive(&in_dialog("INFO", "4", 3, &tag, "", "x"));
    assert_eq!(labels(&alone.sent()), ["481", "481"]);
    assert!(matches!(alone.events()[..], [SessionEvent::Ended(_)]));
    assert_nothing_left(&mut alone);
}

#[test]
fn a_change_nobody_answers_is_refused_and_the_session_goes_on() {
    let (mut alone, session, tag) = called();
    alone.receive(&in_dialog("INVITE", "3", 2, &tag, "", "change"));
    alone.pass(Duration::from_secs(3_601));
    assert_eq!(labels(&alone.sent())[..2], ["100", "504"]);
    alone.pass(Duration::from_secs(40));
    assert_eq!((alone.agent.sessions(), alone.agent.transactions()), (1, (0, 0)));
    alone.sent();
    alone.agent.answer_offer(alone.now, session, bytes("too late"));
    assert!(alone.sent().is_empty());
    alone.receive(&in_dialog("INVITE", "5", 3, &tag, "", "again"));
    assert!(matches!(alone.events()[..], [SessionEvent::Offered { .. }, SessionEvent::Offered { .. }]));
}

#[test]
fn a_call_nobody_answers_ends_one_day() {
    let mut alone = Alone::new();
    alone.invited(BOB, &request("INVITE", "1", 1, CONTACT, "offer"));
    alone.pass(Duration::from_secs(3_601));
    assert!(matches!(alone.events()[..], [SessionEvent::Ended(Ended { status: 504, by: EndedBy::Failure, .. })]));
    assert_nothing_left(&mut alone);
}

#[test]
fn an_update_without_an_offer_leaves_our_change_alone() {
    let (mut alone, session, invite) = calling("Allow: UPDATE\r\n");
    alone.agent.offer(alone.now, session, Some(bytes("change")));
    let change = alone.sent_one();
    alone.receive(&from_bob(&invite, "UPDATE", 1, ""));
    assert_eq!(labels(&alone.sent()), ["200"]);
    alone.receive(&respond(&change, 200, "b", CONTACT, "changed"));
    assert_eq!(labels(&alone.sent()), ["ACK"]);
    assert!(matches!(alone.events()[..], [SessionEvent::OfferAccepted { .. }]));
}

#[test]
fn a_session_that_ended_does_not_rise_when_its_change_is_accepted() {
    let (mut alone, session, _) = calling("");
    alone.agent.offer(alone.now, session, Some(bytes("change")));
    let change = alone.sent_one();
    alone.agent.hangup(alone.now, session, None);
    assert_eq!(labels(&alone.sent()), ["BYE"]);
    let accepted = respond(&change, 200, "b", CONTACT, "changed");
    alone.receive(&accepted);
    alone.receive(&accepted);
    let sent = alone.sent();
    assert_eq!(labels(&sent), ["ACK", "ACK"], "its sender repeats it until then");
    assert_eq!(value(&sent[1].1, HeaderName::CSeq), value(&change, HeaderName::CSeq).replace("INVITE", "ACK"));
    alone.agent.hangup(alone.now, session, None);
    assert!(alone.sent().is_empty());
    assert_eq!(ends(&alone.events()), 1);
    assert_nothing_left(&mut alone);
}

#[test]
fn a_repeated_2xx_with_an_offer_is_acknowledged_with_the_answer_and_not_before() {
    let (mut alone, session, _) = calling("");
    alone.agent.offer(alone.now, session, None);
    let change = alone.sent_one();
    let accepted = respond(&change, 200, "b", CONTACT, "bob's offer");
    alone.receive(&accepted);
    alone.receive(&accepted);
    assert!(alone.sent().is_empty());
    alone.agent.confirm(session, bytes("our answer"));
    assert_eq!(alone.sent_one().body(), b"our answer");
}

#[test]
fn a_callee_that_hangs_up_before_it_answers_has_its_invite_cancelled() {
    let mut alone = Alone::new();
    let spec = wire::outgoing(&mut alone.agent);
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    let ringing = "Require: 100rel\r\nRSeq: 1\r\n";
    alone.receive(&respond(&invite, 180, "b", &format!("{CONTACT}{ringing}"), ""));
    alone.sent();
    alone.events();
    alone.receive(&from_bob(&invite, "BYE", 1, ""));
    assert_eq!(labels(&alone.sent()), ["200", "CANCEL"]);
    assert!(matches!(alone.events()[..], [SessionEvent::Ended(Ended { by: EndedBy::Peer, .. })]));
    alone.receive(&respond(&invite, 487, "b", "", ""));
    assert_nothing_left(&mut alone);
    assert!(alone.events().is_empty());
}

#[test]
fn a_change_that_only_got_100_is_cancelled_when_its_session_ends() {
    let (mut alone, session, _) = calling("");
    alone.agent.offer(alone.now, session, Some(bytes("change")));
    let change = alone.sent_one();
    alone.receive(&respond(&change, 100, "b", "", ""));
    alone.agent.hangup(alone.now, session, None);
    assert_eq!(labels(&alone.sent()), ["BYE", "CANCEL"]);
    assert_nothing_left(&mut alone);
}

#[test]
fn who_gave_up_a_call_is_not_told_that_it_is_redirected() {
    let mut alone = Alone::new();
    let spec = wire::outgoing(&mut alone.agent);
    let session = alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    alone.agent.hangup(alone.now, session, None);
    assert_eq!(ends(&alone.events()), 1);
    // The 302 was on its way already.
    alone.receive(&respond(&invite, 302, "b", "Contact: <sip:carol@192.0.2.3>\r\n", ""));
    assert_eq!(labels(&alone.sent()), ["ACK"]);
    assert!(alone.events().is_empty(), "nothing follows the end");
    assert_nothing_left(&mut alone);
}

#[test]
fn a_call_that_rings_for_ever_is_cancelled_however_often_it_says_so() {
    let mut alone = Alone::new();
    let spec = wire::outgoing(&mut alone.agent);
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    for _ in 0..4 {
        alone.receive(&respond(&invite, 180, "b", CONTACT, ""));
        alone.pass(Duration::from_secs(50));
    }
    assert!(labels(&alone.sent()).contains(&"CANCEL".to_owned()));
    alone.pass(Duration::from_secs(40));
    assert!(matches!(alone.events().last(), Some(SessionEvent::Ended(Ended { status: 408, .. }))));
    assert_nothing_left(&mut alone);
}

#[test]
fn an_answer_is_repeated_over_a_connection_too() {
    let mut alone = Alone::new();
    let tcp = Flow { transport: Transport::Tcp, ..flow(BOB) };
    let text = request("INVITE", "1", 1, CONTACT, "offer").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    let message = Message::parse(text.as_bytes()).expect("it parses");
    alone.agent.receive(alone.now, tcp, &message);
    let session = alone.agent.accept(alone.now, tcp, &message, 1).expect("accepted");
    alone.agent.answer(alone.now, session, Some(bytes("answer")), &[]);
    alone.pass(Duration::from_millis(1_600));
    assert_eq!(labels(&alone.sent()), ["200", "200", "200"]);
}

#[test]
fn an_ack_for_another_invite_acknowledges_nothing() {
    let mut alone = Alone::new();
    let session = alone.invited(BOB, &request("INVITE", "1", 1, CONTACT, "offer"));
    alone.agent.answer(alone.now, session, Some(bytes("answer")), &[]);
    let tag = our_tag(&alone.sent_one());
    alone.receive(&in_dialog("ACK", "2", 7, &tag, "", ""));
    assert!(alone.events().is_empty());
    alone.receive(&in_dialog("ACK", "3", 1, &tag, "", ""));
    assert!(matches!(alone.events()[..], [SessionEvent::Confirmed { .. }]));
    alone.receive(&in_dialog("INVITE", "4", 2, &tag, "", ""));
    alone.agent.answer_offer(alone.now, session, bytes("our offer"));
    alone.events();
    alone.receive(&in_dialog("ACK", "5", 1, &tag, "", "for another"));
    assert!(alone.events().is_empty());
    alone.receive(&in_dialog("ACK", "6", 2, &tag, "", "answer"));
    assert!(matches!(alone.events()[..], [SessionEvent::OfferConfirmed { .. }]));
}

#[test]
fn a_change_that_is_cancelled_is_over_and_our_answer_does_not_reach_the_next_one() {
    let (mut alone, session, tag) = called();
    alone.receive(&in_dialog("INVITE", "3", 2, &tag, "", "change"));
    alone.receive(&in_dialog("CANCEL", "3", 2, &tag, "", ""));
    assert_eq!(labels(&alone.sent()), ["200", "487"]);
    alone.receive(&in_dialog("ACK", "3", 2, &tag, "", ""));
    alone.receive(&in_dialog("INVITE", "4", 3, &tag, "", "another"));
    assert_eq!(labels(&alone.sent()), ["500"], "until its owner has heard of it");
    alone.agent.answer_offer(alone.now, session, bytes("answer to the first"));
    assert!(alone.sent().is_empty());
    alone.receive(&in_dialog("INVITE", "5", 4, &tag, "", "another"));
    alone.agent.answer_offer(alone.now, session, bytes("answer"));
    assert_eq!(alone.sent_one().body(), b"answer");
}

#[test]
fn an_rseq_that_cannot_be_is_not_acknowledged() {
    let mut alone = Alone::new();
    let spec = wire::outgoing(&mut alone.agent);
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    for rseq in ["0", "2147483648", "4294967295", "4294967295"] {
        alone.receive(&respond(&invite, 183, "b", &format!("{CONTACT}Require: 100rel\r\nRSeq: {rseq}\r\n"), ""));
        assert!(alone.sent().is_empty(), "{rseq}");
    }
    alone.receive(&respond(&invite, 183, "b", &format!("{CONTACT}Require: 100rel\r\nRSeq: 2147483647\r\n"), ""));
    assert_eq!(label(&alone.sent_one()), "PRACK");
}

#[test]
fn a_refresh_that_meets_a_change_is_sent_again_soon() {
    let (mut alone, _, _) = calling("Allow: UPDATE\r\nSession-Expires: 1800;refresher=uac\r\n");
    alone.pass(Duration::from_millis(900_200));
    let refresh = alone.sent_one();
    alone.receive(&respond(&refresh, 491, "b", "", ""));
    alone.pass(Duration::from_millis(30_200));
    assert_eq!(labels(&alone.sent()), ["UPDATE"]);
}

#[test]
fn a_refresh_that_is_due_while_a_change_is_under_way_is_sent_soon_after() {
    let (mut alone, session, _) = calling("Allow: UPDATE\r\nSession-Expires: 1800;refresher=uac\r\n");
    alone.pass(Duration::from_secs(890));
    alone.agent.offer(alone.now, session, Some(bytes("change")));
    let change = alone.sent_one();
    alone.receive(&respond(&change, 100, "b", "", ""));
    alone.pass(Duration::from_secs(20));
    alone.receive(&respond(&change, 488, "b", "", ""));
    assert_eq!(labels(&alone.sent()), ["ACK"]);
    alone.pass(Duration::from_millis(20_200));
    assert_eq!(labels(&alone.sent()), ["UPDATE"]);
}

#[test]
fn an_interval_is_not_made_shorter_than_the_caller_takes() {
    let mut alone = Alone::new();
    let lines = format!("{CONTACT}Supported: timer\r\nSession-Expires: 3600\r\nMin-SE: 2400\r\n");
    let session = alone.invited(BOB, &request("INVITE", "1", 1, &lines, "offer"));
    alone.agent.answer(alone.now, session, Some(bytes("answer")), &[]);
    assert_eq!(value(&alone.sent_one(), HeaderName::SessionExpires), "2400;refresher=uac");
}

#[test]
fn the_answer_to_a_cancel_has_the_tag_of_its_invites_answers() {
    let mut alone = Alone::new();
    alone.invited(BOB, &request("INVITE", "1", 1, CONTACT, "offer"));
    alone.receive(&request("CANCEL", "1", 1, "", ""));
    let sent = alone.sent();
    assert_eq!(labels(&sent), ["200", "487"]);
    assert_eq!(our_tag(&sent[0].1), our_tag(&sent[1].1));
    alone.receive(&request("CANCEL", "nothing", 1, "", ""));
    assert!(!our_tag(&alone.sent_one()).is_empty());
    alone.receive(&request("OPTIONS", "9", 1, "Max-Forwards: many\r\n", "").replace("Max-Forwards: 70\r\n", ""));
    let refused = alone.sent_one();
    assert_eq!(refused.status(), Some(400));
    assert!(!our_tag(&refused).is_empty());
}

#[test]
fn a_question_mark_in_a_user_part_does_not_cut_the_target_of_a_transfer() {
    let (mut alone, _, tag) = called();
    for (seq, target) in [(2, "<sip:a?b@example.org?Subject=x>"), (3, "<sip:c@example.org>")] {
        alone.receive(&in_dialog("REFER", &seq.to_string(), seq, &tag, &format!("Refer-To: {target}\r\n"), ""));
    }
    let events = alone.events();
    assert!(matches!(&events[..], [SessionEvent::Refer(refer)] if &*refer.to == "sip:a?b@example.org"), "{events:?}");
}

#[test]
fn a_contact_that_names_no_host_is_behind_a_nat_and_nothing_is_sent_there() {
    for contact in ["0.0.0.0", "255.255.255.255", "224.0.1.75", "[::]", "[::ffff:10.0.0.1]", "[ff02::1]"] {
        let mut alone = Alone::new();
        let text = request("INVITE", "1", 1, &format!("Contact: <sip:bob@{contact}>\r\n"), "offer");
        let message = Message::parse(text.as_bytes()).expect("it parses");
        assert!(sx_sip::dialog::is_behind_nat(&message, flow(BOB)), "{contact}");
        let session = alone.invited(BOB, &text);
        alone.agent.answer(alone.now, session, Some(bytes("answer")), &[]);
        let tag = our_tag(&alone.sent_one());
        alone.receive(&in_dialog("ACK", "2", 1, &tag, "", ""));
        alone.agent.hangup(alone.now, session, None);
        let sent = alone.sent();
        assert_eq!(sent[0].0, address(BOB), "{contact}");
        assert_ne!(sent[0].0, address(ALICE));
    }
}
