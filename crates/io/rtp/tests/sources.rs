//! Whose packets are taken: those of the peer that was negotiated, and of nobody else.

mod driver;

use driver::{Call, Phone, rtp};
use std::net::Ipv4Addr;
use sx_media::{Latch, Remote};

#[test]
fn a_packet_injected_from_another_address_is_dropped_and_counted() {
    for latch in [Latch::Exact, Latch::Port] {
        let call = Call::new(latch);
        call.check_relayed(&call.phones[0].rtp, 0, &rtp(1));
        let stranger = Phone::new();
        stranger.rtp.send_to(&rtp(666), call.opened[0].rtp).unwrap();
        call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
        let stats = call.relay.close(call.ports[0]);
        assert_eq!((stats.rejected_source, stats.packets_received), (1, 2), "{latch:?}");
    }
}

#[test]
fn what_is_neither_rtp_nor_rtcp_is_dropped_and_counted() {
    let call = Call::new(Latch::Exact);
    let too_long = [rtp(1), vec![0; 3000]].concat();
    for noise in [&[][..], &[0x80], &[0; 20], b"OPTIONS sip:a@b SIP/2.0\r\n", &too_long] {
        call.phones[0].rtp.send_to(noise, call.opened[0].rtp).unwrap();
    }
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
    assert_eq!(call.relay.close(call.ports[0]).rejected_format, 5);
}

#[test]
fn a_peer_behind_a_nat_is_sent_to_where_its_packets_come_from() {
    let call = Call::new(Latch::Exact);
    let behind = Remote {
        rtp: "192.0.2.1:4000".parse().unwrap(),
        rtcp: "192.0.2.1:4001".parse().unwrap(),
        ..call.phones[1].remote(Latch::Nat(Ipv4Addr::LOCALHOST.into()))
    };
    call.set_remote(1, behind);
    call.check_relayed(&call.phones[1].rtp, 1, &rtp(1));
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
    let stranger = Phone::new();
    stranger.rtp.send_to(&rtp(666), call.opened[1].rtp).unwrap();
    call.check_relayed(&call.phones[1].rtp, 1, &rtp(3));
    call.set_remote(1, behind);
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(4));
    assert_eq!(call.relay.close(call.ports[1]).rejected_source, 1);
}

/// Where a peer behind a NAT has said it wants its media, where its signalling comes from, and who is neither.
const SAID: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SIGNALLING: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

/// What a third host sends is dropped and counted, before the peer is heard and after; whichever of the two the peer
/// is heard from first has the port from then on.
#[test]
fn behind_a_nat_whichever_of_both_addresses_is_heard_first_is_the_peer_and_nobody_else() {
    for (peer, other) in [(SAID, SIGNALLING), (SIGNALLING, SAID)] {
        let mut call = Call::new(Latch::Exact);
        let [said, attacker, other] = [SAID, ATTACKER, other].map(|ip| Phone::at(ip.into()));
        call.phones[1] = Phone::at(peer.into());
        call.set_remote(1, said.remote(Latch::Nat(SIGNALLING.into())));
        let drops = |stranger: &Phone, dropped: u64| {
            stranger.rtp.send_to(&rtp(666), call.opened[1].rtp).unwrap();
            while call.relay.threads.totals().rejected_source < dropped {
                std::thread::yield_now();
            }
        };
        drops(&attacker, 1);
        // The first packet that arrives is the peer's, and the way back leads to where it came from.
        call.check_relayed(&call.phones[1].rtp, 1, &rtp(1));
        call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
        drops(&attacker, 2);
        drops(&other, 3);
        call.check_relayed(&call.phones[1].rtp, 1, &rtp(3));
        call.check_relayed(&call.phones[0].rtp, 0, &rtp(4));
        let stats = call.relay.close(call.ports[1]);
        assert_eq!((stats.rejected_source, stats.packets_received), (3, 2), "heard from {peer}");
    }
}

#[test]
fn a_changed_remote_latches_again() {
    let mut call = Call::new(Latch::Port);
    call.check_both_ways();
    let old = std::mem::replace(&mut call.phones[0], Phone::new());
    call.set_remote(0, call.phones[0].remote(Latch::Port));
    call.check_relayed(&call.phones[1].rtp, 1, &rtp(1));
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(2));
    old.rtp.send_to(&rtp(3), call.opened[0].rtp).unwrap();
    call.check_relayed(&call.phones[0].rtp, 0, &rtp(4));
    assert_eq!(call.relay.close(call.ports[0]).rejected_source, 1);
}
