//! Transactions in virtual time.

use super::*;
use crate::message::HeaderName;
use crate::message::Method;
use std::net::SocketAddr;
use sx_types::{Flow, LinkId, Transport};

fn flow(transport: Transport) -> Flow {
    let remote: SocketAddr = "192.0.2.1:5060".parse().expect("an address");
    Flow { worker: 0, link: LinkId(1), transport, remote }
}

fn layer() -> Transactions {
    Transactions::new(Time::ZERO, 3, Timers::default(), Rng::from_number(1))
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn request(method: &str, branch: &str) -> String {
    format!(
        "{method} sip:b@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5062;rport;branch={branch}\r\nFrom: <sip:a@x>;tag=1\r\n\
         To: <sip:b@x>\r\nCall-ID: c1\r\nCSeq: 7 {method}\r\nRecord-Route: <sip:p;lr>\r\nContent-Length: 0\r\n\r\n"
    )
}

fn sent(layer: &mut Transactions) -> Vec<String> {
    std::iter::from_fn(|| layer.poll_transmit()).map(|t| String::from_utf8_lossy(&t.bytes).into_owned()).collect()
}

fn receive(layer: &mut Transactions, text: &str, transport: Transport, now: Time) -> RequestMatch {
    let message = Message::parse(text.as_bytes()).expect("well formed");
    layer.receive_request(flow(transport), &message, now)
}

fn open(layer: &mut Transactions, text: &str, transport: Transport) -> ServerId {
    let message = Message::parse(text.as_bytes()).expect("well formed");
    assert_eq!(layer.receive_request(flow(transport), &message, at(0)), RequestMatch::New);
    layer.open(flow(transport), &message, 42, at(0))
}

/// Runs the timers up to `until` and returns when what was sent.
fn run(layer: &mut Transactions, until: u64) -> Vec<(u64, String)> {
    let mut trace = Vec::new();
    while let Some(next) = layer.poll_timeout().filter(|next| next.as_millis() <= until) {
        layer.handle_timeout(next);
        trace.extend(sent(layer).into_iter().map(|text| (next.as_millis(), text)));
    }
    trace
}

fn invite(layer: &mut Transactions, transport: Transport, method: Method) -> (ClientId, String) {
    let request = ClientRequest { to: Destination::Flow(flow(transport)), method, owner: 9 };
    let id = layer.request(request, at(0), |branch| {
        let text = format!(
            "{method} sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch={branch}\r\nRoute: <sip:r;lr>\r\nFrom: <sip:a@x>;tag=1\r\n\
             To: <sip:b@h>\r\nCall-ID: c9\r\nCSeq: 5 {method}\r\n\r\n"
        );
        Bytes::from(text.into_bytes())
    });
    let first = sent(layer).remove(0);
    (id, first)
}

fn response(layer: &mut Transactions, status: u16, request: &str, now: Time) -> Option<ResponseMatch> {
    let request = Message::parse(request.as_bytes()).expect("well formed");
    let reply_tag = if status > 100 { "77" } else { "" };
    let (_, bytes) = reply(flow(Transport::Udp), &request, Reply { status, to_tag: reply_tag, ..Reply::default() });
    let message = Message::parse(bytes).expect("well formed");
    layer.receive_response(&message, now)
}

/// The next event is the failure of this transaction, with the request it sent.
#[track_caller]
fn assert_failed(layer: &mut Transactions, id: ClientId, of: u64, why: Failure) {
    match layer.poll_event() {
        Some(TransactionEvent::Failed { client, owner, request, failure }) => {
            assert_eq!((client, owner, failure, request.is_empty()), (id, of, why, false));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_invite_is_told_trying_only_when_nothing_else_was_sent_in_200_ms() {
    let mut layer = layer();
    open(&mut layer, &request("INVITE", "z9hG4bKa"), Transport::Udp);
    let trace = run(&mut layer, 10_000);
    assert_eq!(trace.len(), 1);
    assert_eq!((trace[0].0, trace[0].1.starts_with("SIP/2.0 100 Trying\r\n")), (200, true));
    let id = open(&mut layer, &request("INVITE", "z9hG4bKb"), Transport::Udp);
    layer.respond(id, &Reply { status: 180, to_tag: "t", ..Reply::default() }, at(10_010));
    let ringing = sent(&mut layer).remove(0);
    assert!(ringing.contains("To: <sip:b@x>;tag=t\r\n") && ringing.contains("Record-Route: <sip:p;lr>\r\n"));
    assert!(ringing.contains(";branch=z9hG4bKb;received=192.0.2.1;rport=5060\r\n"), "{ringing}");
    assert_eq!(run(&mut layer, 60_000), []);
}

#[test]
fn a_refusal_is_repeated_until_the_ack_comes_and_then_silence() {
    let mut layer = layer();
    let text = request("INVITE", "z9hG4bKa");
    let id = open(&mut layer, &text, Transport::Udp);
    layer.respond(id, &Reply { status: 486, to_tag: "t", ..Reply::default() }, at(0));
    assert_eq!(sent(&mut layer).len(), 1);
    let times: Vec<u64> = run(&mut layer, 8_000).into_iter().map(|(time, _)| time).collect();
    assert_eq!(times, [500, 1500, 3500, 7500]);
    assert_eq!(receive(&mut layer, &request("ACK", "z9hG4bKa"), Transport::Udp, at(8_000)), RequestMatch::Absorbed);
    assert_eq!(run(&mut layer, 12_999), []);
    assert_eq!(layer.len(), (0, 1));
    run(&mut layer, 13_100);
    assert!(layer.is_empty());
}

#[test]
fn after_a_2xx_the_invite_is_absorbed_and_the_ack_goes_to_the_dialog() {
    let mut layer = layer();
    let text = request("INVITE", "z9hG4bKa");
    let id = open(&mut layer, &text, Transport::Udp);
    let answer = layer.respond(id, &Reply { status: 200, to_tag: "t", ..Reply::default() }, at(0));
    assert!(answer.is_some_and(|transmit| transmit.bytes.starts_with(b"SIP/2.0 200")));
    sent(&mut layer);
    assert_eq!(receive(&mut layer, &text, Transport::Udp, at(100)), RequestMatch::Absorbed);
    assert_eq!(sent(&mut layer), Vec::<String>::new());
    assert_eq!(receive(&mut layer, &request("ACK", "z9hG4bKother"), Transport::Udp, at(100)), RequestMatch::Ack);
    assert!(layer.respond(id, &Reply { status: 486, ..Reply::default() }, at(200)).is_none());
    run(&mut layer, 33_000);
    assert!(layer.is_empty());
}

#[test]
fn a_repeated_request_gets_the_same_response_again_for_32_seconds() {
    let mut layer = layer();
    let text = request("OPTIONS", "z9hG4bKa");
    let id = open(&mut layer, &text, Transport::Udp);
    assert_eq!(receive(&mut layer, &text, Transport::Udp, at(1)), RequestMatch::Absorbed);
    assert_eq!(sent(&mut layer), Vec::<String>::new());
    layer.respond(id, &Reply { status: 200, ..Reply::default() }, at(2));
    let first = sent(&mut layer);
    assert_eq!(receive(&mut layer, &text, Transport::Udp, at(31_000)), RequestMatch::Absorbed);
    assert_eq!(sent(&mut layer), first);
    run(&mut layer, 33_000);
    assert_eq!(receive(&mut layer, &text, Transport::Udp, at(33_001)), RequestMatch::New);
}

#[test]
fn over_a_reliable_transport_nothing_lingers() {
    let mut layer = layer();
    let id = open(&mut layer, &request("BYE", "z9hG4bKa"), Transport::Tcp);
    layer.respond(id, &Reply { status: 200, ..Reply::default() }, at(0));
    assert!(layer.is_empty());
    sent(&mut layer);
    let (_, first) = invite(&mut layer, Transport::Tls, Method::Options);
    assert!(response(&mut layer, 200, &first, at(5)).is_some());
    assert!(layer.is_empty());
}

#[test]
fn a_cancel_is_answered_and_reported_to_the_owner_of_its_invite() {
    let mut layer = layer();
    let id = open(&mut layer, &request("INVITE", "z9hG4bKa"), Transport::Udp);
    let cancel = request("CANCEL", "z9hG4bKa");
    let reported = receive(&mut layer, &cancel, Transport::Udp, at(1));
    assert_eq!(reported, RequestMatch::Cancel { server: id, owner: 42 });
    assert!(sent(&mut layer)[0].starts_with("SIP/2.0 200 OK\r\n"));
    assert_eq!(receive(&mut layer, &request("CANCEL", "z9hG4bKno"), Transport::Udp, at(1)), RequestMatch::Absorbed);
    assert!(sent(&mut layer)[0].starts_with("SIP/2.0 481 "));
}

#[test]
fn an_invite_nobody_answers_is_sent_seven_times_and_fails_after_32_seconds() {
    let mut layer = layer();
    let (client, _) = invite(&mut layer, Transport::Udp, Method::Invite);
    let times: Vec<u64> = run(&mut layer, 100_000).into_iter().map(|(time, _)| time).collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_failed(&mut layer, client, 9, Failure::Timeout);
    assert!(layer.is_empty());
}

#[test]
fn another_request_is_repeated_at_most_every_four_seconds() {
    let mut layer = layer();
    let (_, first) = invite(&mut layer, Transport::Udp, Method::Bye);
    let times: Vec<u64> = run(&mut layer, 12_000).into_iter().map(|(time, _)| time).collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 11_500]);
    assert!(response(&mut layer, 200, &first, at(12_000)).is_some());
    assert!(response(&mut layer, 200, &first, at(12_001)).is_none());
    assert_eq!(run(&mut layer, 50_000), []);
    assert!(layer.is_empty());
}

#[test]
fn a_refused_invite_is_acknowledged_each_time_the_refusal_comes() {
    let mut layer = layer();
    let (_, first) = invite(&mut layer, Transport::Udp, Method::Invite);
    assert!(response(&mut layer, 486, &first, at(10)).is_some());
    let ack = sent(&mut layer).remove(0);
    let (a, i) = (Message::parse(ack.as_bytes()).expect("ACK"), Message::parse(first.as_bytes()).expect("INVITE"));
    assert_eq!((a.method(), a.request_uri()), (Some(Method::Ack), i.request_uri()));
    for name in [HeaderName::Via, HeaderName::From, HeaderName::CallId, HeaderName::Route] {
        assert_eq!(a.value(name), i.value(name));
    }
    assert_eq!(a.value(HeaderName::To), Some(&b"<sip:b@h>;tag=77"[..]));
    assert!(response(&mut layer, 486, &first, at(20)).is_none());
    assert_eq!(sent(&mut layer), [ack]);
    run(&mut layer, 33_000);
    assert!(layer.is_empty());
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut layer = layer();
    let (id, first) = invite(&mut layer, Transport::Udp, Method::Invite);
    layer.cancel(id, "", at(1));
    assert_eq!(sent(&mut layer), Vec::<String>::new());
    assert!(response(&mut layer, 180, &first, at(100)).is_some());
    let cancel = sent(&mut layer).remove(0);
    assert!(cancel.starts_with("CANCEL sip:b@h SIP/2.0\r\n") && cancel.contains("CSeq: 5 CANCEL\r\n"));
    assert!(response(&mut layer, 200, &cancel, at(101)).is_some_and(|m| m.method == Method::Cancel));
    assert!(response(&mut layer, 487, &first, at(102)).is_some());
    assert!(sent(&mut layer)[0].starts_with("ACK "));
    run(&mut layer, 40_000);
    assert!(layer.is_empty());
    assert_eq!(layer.poll_event(), None);
}

#[test]
fn a_forged_or_foreign_response_finds_no_transaction() {
    let mut layer = layer();
    let (_, first) = invite(&mut layer, Transport::Udp, Method::Invite);
    for (from, to) in [
        ("z9hG4bK-3", "z9hG4bK-4"),
        ("z9hG4bK-3.", "z9hG4bK-3.f"),
        ("CSeq: 5 INVITE", "CSeq: 5 BYE"),
        ("branch=z9hG4bK", "branch="),
    ] {
        assert!(response(&mut layer, 200, &first.replace(from, to), at(1)).is_none(), "{from}");
    }
    assert_eq!(layer.counts().responses_stray, 4);
    assert!(response(&mut layer, 200, &first, at(1)).is_some());
}

#[test]
fn a_message_that_could_not_be_sent_fails_its_transaction_once() {
    let mut layer = layer();
    let request = ClientRequest { to: Destination::Flow(flow(Transport::Tcp)), method: Method::Options, owner: 5 };
    let client = layer.request(request, at(0), |_| Bytes::from_static(b"OPTIONS sip:x SIP/2.0\r\n\r\n"));
    let ticket = layer.poll_transmit().expect("sent").ticket;
    layer.handle_send_failed(ticket);
    layer.handle_send_failed(ticket);
    assert_failed(&mut layer, client, 5, Failure::Transport);
    assert_eq!(layer.poll_event(), None);
    assert!(layer.is_empty());
}

#[test]
fn the_refusal_of_what_nobody_answered_has_a_tag() {
    for (method, own, expected) in [("MESSAGE", "", None), ("INVITE", "ours", Some("ours"))] {
        let mut layer = layer();
        let id = open(&mut layer, &request(method, "z9hG4bKu"), Transport::Udp);
        layer.own(id, 42, own);
        let wait = layer.timers.unanswered.max(layer.timers.timeout()).as_millis() as u64;
        let trace = run(&mut layer, wait + 100);
        let (_, refusal) = trace.iter().find(|(_, text)| text.starts_with("SIP/2.0 504")).expect("a refusal");
        let to = refusal.lines().find(|line| line.starts_with("To:")).expect("a To");
        let tag = to.split(";tag=").nth(1).expect("a tag");
        assert!(expected.is_none_or(|expected| tag == expected) && !tag.is_empty(), "{to}");
    }
}
