//! What the packet threads relay, over real sockets on the loopback interface.

mod driver;

use driver::{Call, Phone, Relay, config, id, numbers, receive, rtcp, rtp};
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;
use sx_io_rtp::RtpConfig;
use sx_media::{Latch, MediaEvent, Remote};

#[test]
fn rtp_is_relayed_both_ways_with_its_content_unchanged() {
    let call = Call::new(Latch::Exact);
    call.check_both_ways();
    let so_far = call.ports.map(|port| call.relay.count(port));
    let stats = call.ports.map(|port| call.relay.close(port));
    assert_eq!(so_far, stats, "asked before the end");
    for stats in stats {
        assert_eq!((stats.packets_received, stats.bytes_received), (40, 40 * 172));
        assert_eq!((stats.packets_sent, stats.bytes_sent), (40, 40 * 172));
        assert_eq!((stats.packets_lost, stats.rejected_source, stats.send_errors), (0, 0, 0));
        assert_eq!(stats.last_payload_type, 8);
    }
    let totals = call.relay.threads.totals();
    assert_eq!((totals.opened, totals.closed, totals.packets_received, totals.packets_sent), (2, 2, 80, 80));
}

#[test]
fn a_burst_longer_than_a_batch_stays_in_order() {
    let call = Call::new(Latch::Exact);
    for sequence in 0..100 {
        call.phones[0].rtp.send_to(&rtp(sequence), call.opened[0].rtp).unwrap();
    }
    for sequence in 0..100 {
        assert_eq!(receive(&call.phones[1].rtp).0, rtp(sequence));
    }
}

#[test]
fn ports_of_two_calls_on_different_threads_are_relayed() {
    let call = Call::between([id(1, 0), id(2, 0)], Latch::Port);
    call.check_both_ways();
    call.relay.close(call.ports[1]);
    call.phones[0].rtp.send_to(&rtp(1), call.opened[0].rtp).unwrap();
    let late = Phone::new();
    let port = id(4, 0);
    call.relay.open(port);
    call.relay.set_remote(port, late.remote(Latch::Exact));
    call.relay.patch(call.ports[0], Some(port));
    call.relay.settle(&[port, call.ports[0]]);
    call.phones[0].rtp.send_to(&rtp(2), call.opened[0].rtp).unwrap();
    let mut arrived = receive(&late.rtp).0;
    if arrived == rtp(1) {
        arrived = receive(&late.rtp).0;
    }
    assert_eq!(arrived, rtp(2), "patched to a third port after a transfer");
}

#[test]
fn a_patch_to_nowhere_relays_nothing_and_still_counts() {
    let call = Call::new(Latch::Exact);
    call.relay.patch(call.ports[0], None);
    call.relay.settle(&call.ports);
    call.phones[0].rtp.send_to(&rtp(1), call.opened[0].rtp).unwrap();
    call.check_relayed(&call.phones[1].rtp, 1, &rtp(9));
    // Both ports share a thread, but not the order in which it serves them: the patch back waits for the packet.
    while call.relay.threads.totals().packets_received < 2 {
        std::thread::yield_now();
    }
    call.relay.patch(call.ports[0], Some(call.ports[1]));
    call.relay.settle(&call.ports);
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
    assert_eq!(call.relay.close(call.ports[0]).packets_received, 2);
}

#[test]
fn a_peer_on_hold_is_sent_nothing() {
    let call = Call::new(Latch::Exact);
    call.set_remote(1, Remote { receives: false, ..call.phones[1].remote(Latch::Exact) });
    call.phones[0].rtp.send_to(&rtp(1), call.opened[0].rtp).unwrap();
    while call.relay.threads.totals().packets_received < 1 {
        std::thread::yield_now();
    }
    call.set_remote(1, call.phones[1].remote(Latch::Exact));
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
}

#[test]
fn rtcp_uses_the_odd_numbers() {
    let call = Call::new(Latch::Exact);
    for opened in call.opened {
        assert_eq!(opened.rtp.port() % 2, 0);
        assert_eq!(opened.rtcp, SocketAddr::new(opened.rtp.ip(), opened.rtp.port() + 1));
    }
    call.phones[0].rtcp.send_to(&rtcp(), call.opened[0].rtcp).unwrap();
    assert_eq!(receive(&call.phones[1].rtcp), (rtcp(), call.opened[1].rtcp));
    let stats = call.relay.close(call.ports[0]);
    assert_eq!((stats.rtcp_received, stats.packets_received), (1, 0));
    assert_eq!(call.relay.threads.totals().rtcp_sent, 1);
}

#[test]
fn a_muxing_peer_talks_to_one_that_does_not_mux() {
    let call = Call::new(Latch::Exact);
    call.set_remote(0, call.phones[0].muxing(Latch::Exact));
    call.phones[0].rtp.send_to(&rtcp(), call.opened[0].rtp).unwrap();
    assert_eq!(receive(&call.phones[1].rtcp), (rtcp(), call.opened[1].rtcp), "from the odd number to its RTCP port");
    call.phones[1].rtcp.send_to(&rtcp(), call.opened[1].rtcp).unwrap();
    assert_eq!(receive(&call.phones[0].rtp), (rtcp(), call.opened[0].rtp), "from the even number to its only port");
}

#[test]
fn a_peer_that_is_gone_harms_nobody() {
    let mut call = Call::new(Latch::Exact);
    call.check_both_ways();
    call.phones[1] = Phone::new();
    for sequence in 0..50 {
        call.phones[0].rtp.send_to(&rtp(sequence), call.opened[0].rtp).unwrap();
    }
    while call.relay.threads.totals().packets_received < 80 + 50 {
        std::thread::yield_now();
    }
    call.set_remote(1, call.phones[1].remote(Latch::Exact));
    call.check_both_ways();
}

#[test]
fn a_silent_peer_is_told_once() {
    let relay = Relay::start(&RtpConfig { silence_timeout: Duration::from_millis(150), ..config(numbers(8)) });
    let (port, other) = (id(1, 0), id(1, 1));
    relay.open(port);
    relay.open(other);
    let phone = Phone::new();
    relay.set_remote(port, phone.remote(Latch::Exact));
    assert_eq!(relay.event(), MediaEvent::Silent { port });
    relay.set_remote(other, phone.remote(Latch::Exact));
    assert_eq!(relay.event(), MediaEvent::Silent { port: other }, "and not the first port once more");
    assert_eq!(relay.threads.totals().silences, 2);
}

#[test]
fn ipv6_is_relayed_to_ipv4() {
    let call = Call::new(Latch::Exact);
    let phone = Phone::at(Ipv6Addr::LOCALHOST.into());
    let port = id(1, 2);
    let MediaEvent::Opened(opened) = call.relay.open_on(port, true) else { panic!("no IPv6 port") };
    assert_eq!(opened.rtp.ip(), Ipv6Addr::LOCALHOST);
    call.relay.set_remote(port, phone.remote(Latch::Nat(Ipv6Addr::LOCALHOST.into())));
    call.relay.patch_both(port, call.ports[1]);
    call.relay.settle(&[port]);
    phone.rtp.send_to(&rtp(1), opened.rtp).unwrap();
    assert_eq!(receive(&call.phones[1].rtp), (rtp(1), call.opened[1].rtp));
    call.phones[1].rtp.send_to(&rtp(2), call.opened[1].rtp).unwrap();
    assert_eq!(receive(&phone.rtp), (rtp(2), opened.rtp));
}

#[test]
fn closing_tells_loss_and_jitter() {
    let call = Call::new(Latch::Exact);
    for sequence in [1, 2, 5, 6, 9] {
        call.check_relayed(&call.phones[0].rtp, 0, &rtp(sequence));
    }
    let stats = call.relay.close(call.ports[0]);
    assert_eq!((stats.packets_received, stats.packets_lost), (5, 4));
    assert!(stats.jitter_us > 1_000, "timestamps of 160 ms came at once: {} µs", stats.jitter_us);
}
