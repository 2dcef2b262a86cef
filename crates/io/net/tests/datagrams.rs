//! UDP: batches, keep-alives, what cannot be sent.

mod bed;

use bed::{Bed, Event};
use std::net::UdpSocket;
use std::time::Duration;
use sx_net::{Listener, Net, NetConfig, NetLimits, SendFailure};
use sx_types::{Destination, Ticket, Transport};

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    socket
}

#[test]
fn batches_are_echoed_along_their_flows() {
    const COUNT: usize = 200;
    let mut bed = Bed::new(&[Transport::Udp], NetLimits::default(), None);
    let peer = peer();
    for index in 0..COUNT {
        peer.send_to(format!("message {index}").as_bytes(), bed.address(Transport::Udp)).expect("sends");
    }
    bed.until("all datagrams", |bed| bed.seen.len() == COUNT);
    for (index, event) in std::mem::take(&mut bed.seen).into_iter().enumerate() {
        let Event::Message(flow, bytes) = event else { panic!("{event:?}") };
        assert_eq!(bytes, format!("message {index}").into_bytes());
        assert_eq!((flow.worker, flow.remote), (3, peer.local_addr().expect("bound")));
        bed.net.send(&Destination::Flow(flow), None, bytes.into(), Ticket(0));
    }
    bed.net.flush();
    let mut buffer = [0; 100];
    for index in 0..COUNT {
        let (length, from) = peer.recv_from(&mut buffer).expect("an echo");
        assert_eq!(buffer[..length], *format!("message {index}").as_bytes());
        assert_eq!(from, bed.address(Transport::Udp));
    }
    let counters = bed.net.counters();
    assert_eq!((counters.datagrams_in.value(), counters.datagrams_out.value()), (COUNT as u64, COUNT as u64));
    assert!(bed.net.is_flushed());
}

#[test]
fn crlf_keep_alives_are_answered_and_not_reported() {
    let mut bed = Bed::new(&[Transport::Udp], NetLimits::default(), None);
    let peer = peer();
    for ping in [&b"\0"[..], b"\r\n", b"\r\n\r\n", b""] {
        peer.send_to(ping, bed.address(Transport::Udp)).expect("sends");
    }
    peer.send_to(b"last", bed.address(Transport::Udp)).expect("sends");
    bed.until_messages(&["last"]);
    let mut buffer = [0; 100];
    assert_eq!(peer.recv(&mut buffer).expect("a pong"), 2);
    assert_eq!(buffer[..2], *b"\r\n");
    assert_eq!(bed.net.counters().keep_alives_crlf.value(), 3);
    assert_eq!(bed.net.counters().dropped_empty.value(), 1);
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
//= type=test
#[test]
fn a_stun_binding_request_is_answered_with_the_peer_s_address() {
    let mut bed = Bed::new(&[Transport::Udp], NetLimits::default(), None);
    let peer = peer();
    let transaction = sx_stun::TransactionId([7; 12]);
    let mut request = Vec::new();
    sx_stun::binding_request(transaction, &mut request);
    peer.send_to(&request, bed.address(Transport::Udp)).expect("sends");
    bed.until("an answer", |bed| bed.net.counters().keep_alives_stun.value() == 1);
    let mut buffer = [0; 200];
    let length = peer.recv(&mut buffer).expect("an answer");
    let mapped = sx_stun::read_binding_response(&buffer[..length], transaction);
    assert_eq!(mapped, Ok(peer.local_addr().expect("bound")));
    // A response is no request: answering it would let two servers talk for ever.
    peer.send_to(&buffer[..length], bed.address(Transport::Udp)).expect("sends");
    bed.until("the drop", |bed| bed.net.counters().dropped_stun.value() == 1);
    assert!(bed.seen.is_empty());
}

#[test]
fn a_datagram_longer_than_allowed_is_dropped_and_counted() {
    let limits = NetLimits { message_bytes_max: 1_000, ..NetLimits::default() };
    let mut bed = Bed::new(&[Transport::Udp], limits, None);
    let peer = peer();
    peer.send_to(&[b'x'; 1_001], bed.address(Transport::Udp)).expect("sends");
    peer.send_to(&[b'y'; 1_000], bed.address(Transport::Udp)).expect("sends");
    bed.until_messages(&[&"y".repeat(1_000)]);
    assert_eq!(bed.net.counters().dropped_too_long.value(), 1);
}

#[test]
fn what_cannot_be_sent_comes_back_by_its_ticket() {
    let limits = NetLimits { message_bytes_max: 1_000, send_queue_bytes_max: 140_000, ..NetLimits::default() };
    let mut bed = Bed::new(&[Transport::Udp], limits, None);
    let to = bed.address(Transport::Udp);
    bed.send_to(Transport::Udp, to, None, &"x".repeat(65_508), 1);
    assert_eq!(bed.until_failed(1), SendFailure::TooLarge);
    for ticket in 2..=4 {
        bed.send_to(Transport::Udp, to, None, &"x".repeat(65_507), ticket);
    }
    assert_eq!(bed.until_failed(4), SendFailure::QueueFull);
    bed.send_to(Transport::Udp, "[::1]:5060".parse().expect("an address"), None, "x", 5);
    assert_eq!(bed.until_failed(5), SendFailure::NoLocalSocket);
    bed.send_to(Transport::Udp, "127.0.0.1:0".parse().expect("an address"), None, "x", 6);
    assert_eq!(bed.until_failed(6), SendFailure::Io(std::io::ErrorKind::InvalidInput));
    bed.send_to(Transport::Udp, to, None, "still works", 7);
    bed.until("the datagram", |bed| bed.messages().contains(&"still works".into()));
}

#[test]
fn the_local_socket_can_be_chosen_and_ipv6_works() {
    let listeners = ["127.0.0.1:0", "127.0.0.1:0", "[::1]:0"]
        .map(|address| Listener { transport: Transport::Udp, address: address.parse().expect("an address") });
    let mut bed = Bed::open(&NetConfig { listeners: listeners.to_vec(), ..NetConfig::default() });
    let local = bed.net.local_addresses().to_vec();
    let peer = peer();
    let to = Destination::Address { transport: Transport::Udp, remote: peer.local_addr().expect("bound"), name: None };
    bed.net.send(&to, Some(local[1].2), "x".into(), Ticket(1));
    bed.net.flush();
    assert_eq!(peer.recv_from(&mut [0; 9]).expect("arrives").1, local[1].1);
    bed.send_to(Transport::Udp, local[2].1, None, "to myself", 2);
    bed.until_messages(&["to myself"]);
    let Event::Message(flow, _) = &bed.seen[0] else { panic!("a message") };
    assert_eq!((flow.remote, flow.link), (local[2].1, local[2].2));
}

#[test]
fn workers_share_a_port_and_strangers_learn_that_it_is_in_use() {
    let stranger = peer();
    let taken = stranger.local_addr().expect("bound");
    let config = |address| NetConfig {
        listeners: vec![Listener { transport: Transport::Udp, address }],
        ..NetConfig::default()
    };
    let error = Net::open(0, &config(taken), bed::START).err().expect("in use").to_string();
    assert!(error.contains(&taken.to_string()) && error.contains("in use"), "{error}");
    let first = Bed::open(&config("127.0.0.1:0".parse().expect("an address")));
    let shared = first.address(Transport::Udp);
    Net::open(1, &config(shared), bed::START).expect("SO_REUSEPORT");
    let second =
        Net::open(0, &config(shared), bed::START).err().expect("the first worker of another process").to_string();
    assert!(second.contains("in use"), "{second}");
    let error = Net::open(0, &config("192.0.2.1:5060".parse().expect("an address")), bed::START);
    assert!(error.err().expect("not ours").to_string().contains("no such address"));
}

#[test]
fn another_thread_wakes_the_loop() {
    let mut bed = Bed::new(&[Transport::Udp], NetLimits::default(), None);
    let waker = bed.net.waker();
    let thread = std::thread::spawn(move || waker.wake());
    // Without the waker this would last forever.
    bed.net.wait(bed.now, None).expect("waits");
    while bed.net.poll_event().is_some() {}
    thread.join().expect("no panic");
}
