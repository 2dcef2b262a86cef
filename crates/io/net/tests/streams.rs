//! TCP: framing, keep-alives, limits, reuse and failure of connections.

mod bed;

use bed::{Bed, Event, connect, message, write};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use sx_net::{CloseReason, NetLimits, SendFailure};
use sx_sip::frame::FrameError;
use sx_types::{Destination, Ticket, Transport};

fn bed(limits: NetLimits) -> Bed {
    Bed::new(&[Transport::Tcp], limits, None)
}

/// A peer that accepts, without waiting in reads.
fn accept(listener: &TcpListener) -> TcpStream {
    let (peer, _) = listener.accept().expect("a connection");
    peer.set_nonblocking(true).expect("a socket");
    peer
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

#[test]
fn split_and_merged_messages_come_out_whole() {
    let mut bed = bed(NetLimits::default());
    let mut peer = connect(bed.address(Transport::Tcp));
    let (first, second, third) = (message("INVITE", "v=0"), message("ACK", ""), message("BYE", "x"));
    write(&mut peer, format!("{first}{second}{}", &third[..20]));
    bed.until_messages(&[&first, &second]);
    for byte in third.as_bytes()[20..].chunks(1) {
        write(&mut peer, byte);
        bed.turn();
    }
    bed.until_messages(&[&first, &second, &third]);
    drop(peer);
    assert_eq!(bed.until_closed(), CloseReason::Peer);
    assert!(matches!(bed.seen[0], Event::Opened(_, None)));
}

#[test]
fn a_message_and_the_end_in_one_go_are_both_reported() {
    let mut bed = bed(NetLimits::default());
    let mut peer = connect(bed.address(Transport::Tcp));
    write(&mut peer, message("BYE", ""));
    drop(peer);
    assert_eq!(bed.until_closed(), CloseReason::Peer);
    assert_eq!(bed.messages(), [message("BYE", "")]);
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
//= type=test
#[test]
fn a_double_crlf_is_answered_with_a_single_one() {
    let mut bed = bed(NetLimits { keep_alives_per_10s_max: 5, ..NetLimits::default() });
    let mut peer = connect(bed.address(Transport::Tcp));
    write(&mut peer, "\r\n\r\n");
    assert_eq!(bed.read(&mut peer, 2), b"\r\n");
    write(&mut peer, "\r\n\r\n".repeat(6));
    assert_eq!(bed.until_closed(), CloseReason::KeepAliveFlood);
    assert_eq!(bed.net.counters().keep_alives_crlf.value(), 5);
}

#[test]
fn a_slow_sender_is_cut_however_it_trickles() {
    let mut bed = bed(NetLimits::default());
    let mut peer = connect(bed.address(Transport::Tcp));
    for _ in 0..9 {
        write(&mut peer, "A");
        bed.until("the byte", |bed| bed.net.counters().bytes_in.value() > 0);
        bed.now = bed.now + Duration::from_millis(1_200);
    }
    assert_eq!(bed.until_closed(), CloseReason::SlowSender);
    assert_eq!(bed.net.counters().closed_slow_sender.value(), 1);
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let mut bed = bed(NetLimits::default());
    let mut busy = connect(bed.address(Transport::Tcp));
    let _idle = connect(bed.address(Transport::Tcp));
    bed.until("both", |bed| bed.opened().len() == 2);
    for round in 1..=3 {
        bed.now = bed.now + Duration::from_secs(250);
        write(&mut busy, message("OPTIONS", ""));
        bed.until("the message", |bed| bed.messages().len() == round);
    }
    assert_eq!(bed.until_closed(), CloseReason::Idle);
    bed.turn();
    assert_eq!(bed.closed().len(), 1);
}

#[test]
fn what_is_no_sip_or_too_long_closes_the_connection() {
    let limits = NetLimits { message_bytes_max: 1_000, ..NetLimits::default() };
    for (bytes, expected) in [
        (message("INVITE", &"x".repeat(2_000)), FrameError::MessageTooLong { length: 2_048, max: 1_000 }),
        ("BYE sip:a SIP/2.0\r\n\r\n".into(), FrameError::ContentLengthMissing),
        ("\u{16}\u{3}\u{1}".into(), FrameError::NotSip { byte: 0x16 }),
    ] {
        let mut bed = bed(limits);
        let mut peer = connect(bed.address(Transport::Tcp));
        write(&mut peer, bytes);
        assert_eq!(bed.until_closed(), CloseReason::Malformed(expected));
        assert_eq!(bed.net.counters().closed_malformed.value(), 1);
        let too_long = matches!(expected, FrameError::MessageTooLong { .. });
        assert_eq!(bed.net.counters().dropped_too_long.value(), u64::from(too_long));
    }
}

/// An owner makes durable what a turn has brought before it flushes, and an answer must not get ahead of that.
#[test]
fn a_connection_that_ends_writes_nothing_before_the_flush() {
    let mut bed = bed(NetLimits::default());
    let mut peer = connect(bed.address(Transport::Tcp));
    bed.until("the connection", |bed| bed.opened().len() == 1);
    let flow = bed.opened()[0];
    write(&mut peer, message("REGISTER", "") + "\u{16}\u{3}\u{1}");
    let mut closed = false;
    while !closed {
        bed.now = bed.net.wait(bed.now, Some(Duration::from_millis(5))).expect("waits");
        loop {
            let came = match bed.net.poll_event() {
                Some(sx_net::NetEvent::Message { .. }) => true,
                Some(sx_net::NetEvent::Closed { .. }) => {
                    closed = true;
                    continue;
                }
                Some(_) => false,
                None => break,
            };
            if came {
                bed.net.send(&Destination::Flow(flow), None, "answer".into(), Ticket(1));
            }
        }
    }
    let mut buffer = [0; 16];
    let early = peer.read(&mut buffer).expect_err("nothing was written yet");
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    assert!(!bed.net.is_flushed());
    bed.net.flush();
    assert_eq!(bed.read(&mut peer, 7), b"answer");
}

#[test]
fn an_ack_waits_for_what_is_said_next_but_not_without_end() {
    let mut bed = bed(NetLimits::default());
    let mut peer = connect(bed.address(Transport::Tcp));
    peer.set_nonblocking(true).expect("a socket");
    bed.until("the connection", |bed| bed.opened().len() == 1);
    let to = Destination::Flow(bed.opened()[0]);
    let said = |bed: &mut Bed, method: &str| bed.net.send(&to, None, message(method, "").into(), Ticket(1));
    said(&mut bed, "ACK");
    bed.net.end_turn();
    assert_eq!(peer.read(&mut [0; 16]).expect_err("it waits").kind(), std::io::ErrorKind::WouldBlock);
    said(&mut bed, "BYE");
    bed.net.end_turn();
    let both = message("ACK", "") + &message("BYE", "");
    assert_eq!(bed.read(&mut peer, both.len()), both.as_bytes());
    let answer = message("ACK", "v=0");
    bed.net.send(&to, None, answer.clone().into(), Ticket(1));
    bed.net.end_turn();
    assert!(bed.net.is_flushed(), "an answer to an offer does not wait");
    assert_eq!(bed.read(&mut peer, answer.len()), answer.as_bytes());
    // Nothing comes and nothing is said: the next wait sends it.
    said(&mut bed, "ACK");
    bed.now = bed.net.wait(bed.now, Some(Duration::ZERO)).expect("waits");
    assert!(bed.net.is_flushed());
    // Something comes: the end of that turn sends it.
    said(&mut bed, "ACK");
    bed.net.waker().wake();
    bed.now = bed.net.wait(bed.now, None).expect("waits");
    assert!(!bed.net.is_flushed());
    bed.net.end_turn();
    assert!(bed.net.is_flushed());
}

#[test]
fn our_address_on_a_connection_is_that_of_the_connection() {
    let mut bed = bed(NetLimits::default());
    let peer = connect(bed.address(Transport::Tcp));
    bed.until("the connection", |bed| bed.opened().len() == 1);
    let accepted = Destination::Flow(bed.opened()[0]);
    assert_eq!(bed.net.local_address_towards(&accepted), peer.peer_addr().ok());
    // The one that we begin has a port of its own.
    let other = listener();
    let remote = other.local_addr().expect("bound");
    bed.send_to(Transport::Tcp, remote, None, "x", 0);
    let to = Destination::Address { transport: Transport::Tcp, remote, name: None };
    let local = bed.net.local_address_towards(&to);
    let (_, seen) = other.accept().expect("it connects");
    assert_eq!(local, Some(seen));
}

#[test]
fn connections_are_limited_in_all_and_per_address() {
    let limits = NetLimits { connections_max: 250, connections_per_address_max: 220, ..NetLimits::default() };
    let mut bed = bed(limits);
    let to = bed.address(Transport::Tcp);
    let mut peers: Vec<_> = (0..240).map(|_| connect(to)).collect();
    bed.until("the refusals", |bed| bed.net.counters().refused_per_address.value() == 20);
    assert_eq!(bed.net.counters().connections_open.value(), 220);
    // Those who were served first are served still.
    write(&mut peers[0], message("BYE", ""));
    bed.until_messages(&[&message("BYE", "")]);
    peers.clear();
    bed.until("all gone", |bed| bed.net.counters().connections_open.value() == 0);
    let _again = connect(to);
    bed.until("a new one", |bed| bed.net.counters().connections_accepted.value() == 221);
}

#[test]
fn too_many_connections_in_all_are_refused_in_both_directions() {
    let mut bed = bed(NetLimits { connections_max: 1, ..NetLimits::default() });
    let _first = connect(bed.address(Transport::Tcp));
    let _second = connect(bed.address(Transport::Tcp));
    bed.until("a refusal", |bed| bed.net.counters().refused_total.value() == 1);
    let there = listener().local_addr().expect("bound");
    bed.send_to(Transport::Tcp, there, None, "x", 1);
    assert_eq!(bed.until_failed(1), SendFailure::TooManyConnections);
}

#[test]
fn a_connection_to_an_address_is_opened_once_and_reused() {
    let mut bed = bed(NetLimits::default());
    let listener = listener();
    let there = listener.local_addr().expect("bound");
    let (first, second) = (message("INVITE", "1"), message("INVITE", "2"));
    bed.send_to(Transport::Tcp, there, None, &first, 1);
    // A name is of no account where no certificate carries it.
    bed.send_to(Transport::Tcp, there, Some("b"), &second, 2);
    let mut peer = accept(&listener);
    let both = format!("{first}{second}");
    assert_eq!(bed.read(&mut peer, both.len()), both.as_bytes());
    bed.until("opened", |bed| !bed.opened().is_empty());
    // And back along the same flow.
    write(&mut peer, message("BYE", ""));
    bed.until_messages(&[&message("BYE", "")]);
    let counters = bed.net.counters();
    assert_eq!((counters.connections_opened.value(), counters.stream_messages_out.value()), (1, 2));
    let flow = bed.opened()[0];
    bed.net.close(&flow);
    assert_eq!(bed.until_closed(), CloseReason::Us);
    bed.net.send(&Destination::Flow(flow), None, "x".into(), Ticket(3));
    assert_eq!(bed.until_failed(3), SendFailure::FlowGone);
}

#[test]
fn an_accepted_connection_serves_for_its_peer_address() {
    let mut bed = bed(NetLimits::default());
    let mut peer = connect(bed.address(Transport::Tcp));
    bed.until("opened", |bed| !bed.opened().is_empty());
    bed.send_to(Transport::Tcp, peer.local_addr().expect("bound"), None, &message("NOTIFY", ""), 1);
    assert_eq!(bed.read(&mut peer, message("NOTIFY", "").len()), message("NOTIFY", "").as_bytes());
}

#[test]
fn a_refused_connection_fails_every_queued_message() {
    let mut bed = bed(NetLimits::default());
    let gone = listener().local_addr().expect("bound");
    for ticket in [0, 1, 2] {
        bed.send_to(Transport::Tcp, gone, None, "x", ticket);
    }
    assert_eq!(bed.until_failed(1), SendFailure::Refused);
    assert_eq!(bed.until_failed(2), SendFailure::Refused);
    assert_eq!(bed.seen.len(), 2, "nobody asks for ticket zero: {:?}", bed.seen);
    assert_eq!(bed.net.counters().connections_failed.value(), 1);
}

#[test]
fn a_connection_that_does_not_come_about_in_time_fails() {
    let mut bed = Bed::new(&[Transport::Tcp], NetLimits::default(), Some(bed::build(&trusting())));
    // It accepts and then says nothing, so that TLS never gets anywhere.
    let silent = listener();
    bed.send_to(Transport::Tls, silent.local_addr().expect("bound"), Some("b"), "x", 1);
    bed.turn();
    bed.now = bed.now + Duration::from_secs(11);
    assert_eq!(bed.until_failed(1), SendFailure::TimedOut);
}

fn trusting() -> sx_net::tls::TlsSettings {
    let authority = bed::Authority::new();
    authority.settings(authority.sign(&["a"]))
}

#[test]
fn a_peer_that_takes_nothing_is_refused_more_and_then_cut() {
    let mut bed = bed(NetLimits { send_queue_bytes_max: 100_000, ..NetLimits::default() });
    let mut peer = connect(bed.address(Transport::Tcp));
    bed.until("opened", |bed| !bed.opened().is_empty());
    let flow = bed.opened()[0];
    let mut ticket = 0;
    while !bed.seen.iter().any(|event| matches!(event, Event::SendFailed(_, _, SendFailure::QueueFull))) {
        ticket += 1;
        assert!(ticket < 5_000, "the kernel takes everything");
        bed.net.send(&Destination::Flow(flow), None, message("NOTIFY", &"x".repeat(50_000)).into(), Ticket(ticket));
        bed.turn();
    }
    bed.now = bed.now + Duration::from_secs(11);
    assert_eq!(bed.until_closed(), CloseReason::SendStalled);
    let failed = bed
        .seen
        .iter()
        .filter(|event| matches!(event, Event::SendFailed(_, _, SendFailure::Closed(CloseReason::SendStalled))));
    assert!(failed.count() >= 1, "what waited is reported");
    let mut rest = Vec::new();
    peer.set_nonblocking(false).expect("a socket");
    peer.read_to_end(&mut rest).ok();
    assert!(rest.len() > 100_000);
}
