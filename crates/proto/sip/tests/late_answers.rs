//! Answers that nobody waits for any more are acknowledged and hung up, wherever they come from and whatever has become of
//! the session meanwhile.

mod wire;

use std::net::SocketAddr;
use std::time::Duration;
use sx_sip::message::{HeaderName, OwnedMessage};
use sx_sip::session::SessionId;
use sx_types::{Destination, Transport};
use wire::{Alone, BOB, address, flow, labels, our_tag, outgoing, respond, value};

const CAROL: &str = "192.0.2.3:5060";
const CONTACT: &str = "Contact: <sip:bob@192.0.2.2:5060>\r\n";
/// A Contact that is no address.
const NAMED: &str = "Contact: <sip:bob@phone.example.org>\r\n";

fn over(transport: Transport, remote: &str) -> Destination {
    match transport {
        Transport::Udp => Destination::Flow(flow(remote)),
        _ => Destination::Address { transport, remote: address(remote), name: None },
    }
}

/// A call to Bob, who says nothing, and then to Carol, with the INVITE that each was sent.
fn given_up(transport: Transport) -> (Alone, SessionId, [OwnedMessage; 2]) {
    let mut alone = Alone::new();
    let mut spec = outgoing(&mut alone.agent);
    spec.to = vec![over(transport, BOB), over(transport, CAROL)];
    spec.uris = vec!["sip:bob@192.0.2.2:5060".into(), "sip:bob@192.0.2.3:5060".into()];
    spec.silence_max = Some(Duration::from_secs(4));
    let session = alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let first = alone.sent_one();
    alone.pass(Duration::from_secs(4));
    let (_, second) = alone.sent().pop().expect("the next address is asked");
    (alone, session, [first, second])
}

fn number(message: &OwnedMessage) -> u32 {
    message.number(HeaderName::CSeq).expect("a number")
}

/// The answer to this INVITE has been acknowledged and hung up at `at`.
fn assert_hung_up(sent: &[(SocketAddr, OwnedMessage)], invite: &OwnedMessage, tag: &str, at: &str) {
    assert_eq!(labels(sent), ["ACK", "BYE"]);
    assert!(sent.iter().all(|(to, message)| *to == address(at) && our_tag(message) == tag), "{sent:?}");
    let [(_, ack), (_, bye)] = sent else { unreachable!("two") };
    assert_eq!(number(ack), number(invite));
    assert!(number(bye) > number(invite));
    for name in [HeaderName::From, HeaderName::CallId] {
        assert_eq!(value(ack, name), value(invite, name));
        assert_eq!(value(bye, name), value(invite, name));
    }
}

#[test]
fn who_was_given_up_is_hung_up_where_its_invite_went() {
    for (transport, contact) in [(Transport::Udp, NAMED), (Transport::Tcp, CONTACT), (Transport::Tls, NAMED)] {
        let (mut alone, _, [first, _]) = given_up(transport);
        alone.receive(&respond(&first, 200, "late", contact, "answer"));
        assert_hung_up(&alone.sent(), &first, "late", BOB);
    }
}

#[test]
fn without_a_contact_the_one_that_was_given_up_is_named_as_it_was_called() {
    let (mut alone, _, [first, _]) = given_up(Transport::Udp);
    alone.receive(&respond(&first, 200, "late", "", "answer"));
    let sent = alone.sent();
    assert_hung_up(&sent, &first, "late", BOB);
    assert!(sent.iter().all(|(_, message)| message.request_uri() == b"sip:bob@192.0.2.2:5060"), "{sent:?}");
}

#[test]
fn who_was_given_up_is_hung_up_also_when_the_call_has_failed_since() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (mut alone, _, [first, second]) = given_up(transport);
        alone.receive(&respond(&second, 486, "busy", "", ""));
        assert_eq!(alone.agent.sessions(), 0);
        alone.sent();
        let answer = respond(&first, 200, "late", NAMED, "answer");
        alone.receive(&answer);
        assert_hung_up(&alone.sent(), &first, "late", BOB);
        // What comes again has its ACK again; the BYE repeats itself.
        alone.receive(&answer);
        assert_eq!(labels(&alone.sent()), ["ACK"]);
        assert_eq!(alone.agent.counts().answers_unwanted, 1);
        alone.pass(Duration::from_secs(100));
        assert_eq!(alone.agent.transactions(), (0, 0));
    }
}

#[test]
fn a_branch_that_answers_after_the_call_is_hung_up_with_its_route() {
    let mut alone = Alone::new();
    let spec = outgoing(&mut alone.agent);
    let session = alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    alone.receive(&respond(&invite, 200, "first", CONTACT, "answer"));
    alone.agent.hangup(alone.now, session, None);
    let bye = alone.sent().pop().expect("a BYE").1;
    alone.receive(&respond(&bye, 200, "", "", ""));
    assert_eq!(alone.agent.sessions(), 0);
    let routed = format!("Record-Route: <sip:{CAROL};lr>\r\n{CONTACT}");
    alone.receive(&respond(&invite, 200, "second", &routed, "answer"));
    let sent = alone.sent();
    assert_hung_up(&sent, &invite, "second", CAROL);
    assert!(sent.iter().all(|(_, message)| value(message, HeaderName::Route) == format!("<sip:{CAROL};lr>")));
    assert!(sent.iter().all(|(_, message)| message.request_uri() == b"sip:bob@192.0.2.2:5060"));
}

#[test]
fn an_answer_that_comes_after_the_invite_has_timed_out_is_hung_up() {
    let mut alone = Alone::new();
    let spec = outgoing(&mut alone.agent);
    alone.agent.dial(alone.now, 1, spec).expect("accepted");
    let invite = alone.sent_one();
    alone.pass(Duration::from_secs(40));
    assert_eq!(alone.agent.sessions(), 0);
    alone.sent();
    alone.receive(&respond(&invite, 200, "late", CONTACT, "answer"));
    assert_hung_up(&alone.sent(), &invite, "late", BOB);
    alone.pass(Duration::from_secs(100));
    assert_eq!(alone.agent.transactions(), (0, 0), "nothing is remembered for ever");
    alone.sent();
    alone.receive(&respond(&invite, 200, "late", CONTACT, "answer"));
    assert!(alone.sent().is_empty());
}

/// It could otherwise have us hang up other calls of ours, at an address that it names.
#[test]
fn nobody_has_another_dialog_hung_up() {
    let (mut alone, _, [first, second]) = given_up(Transport::Udp);
    alone.receive(&respond(&second, 486, "busy", "", ""));
    alone.sent();
    let answer = respond(&first, 200, "late", CONTACT, "answer");
    let own = value(&first, HeaderName::From).split(";tag=").nth(1).expect("a tag").to_owned();
    alone.receive(&answer.replace(&format!("tag={own}"), "tag=0.1.00000001"));
    assert!(alone.sent().is_empty());
}

#[test]
fn no_more_branches_are_hung_up_than_an_invite_may_have() {
    for ended in [false, true] {
        let (mut alone, _, [first, second]) = given_up(Transport::Tcp);
        if ended {
            alone.receive(&respond(&second, 486, "busy", "", ""));
        }
        alone.sent();
        for branch in 0..100 {
            alone.receive(&respond(&first, 200, &format!("branch{branch}"), CONTACT, "answer"));
            alone.receive(&respond(&first, 200, &format!("branch{branch}"), CONTACT, "answer"));
        }
        let sent = labels(&alone.sent());
        assert_eq!(sent.iter().filter(|label| *label == "BYE").count(), 32);
        assert_eq!(sent.iter().filter(|label| *label == "ACK").count(), 64);
    }
}
