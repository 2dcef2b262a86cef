//! One port, on an injected clock.

use super::*;
use std::net::IpAddr;

const RTP_8: [u8; 12] = [0x80, 8, 0, 1, 0, 0, 0, 3, 0, 0, 0, 4];
const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 4];
const NOISE: [u8; 4] = [0, 1, 2, 3];

const PEER: &str = "192.0.2.1:4000";
const PEER_RTCP: &str = "192.0.2.1:4001";
const PEER_ELSEWHERE: &str = "192.0.2.1:5000";
const NAT: &str = "203.0.113.9:6000";
const STRANGER: &str = "198.51.100.66:4000";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn remote(latch: Latch) -> Remote {
    Remote {
        rtp: address(PEER),
        rtcp: address(PEER_RTCP),
        latch,
        receives: true,
        sends: true,
        wants_metrics: false,
        codec: None,
    }
}

fn nat() -> Latch {
    Latch::Nat(address(NAT).ip())
}

fn port(remote: Remote) -> Port {
    let mut port = Port::new();
    port.set_remote(Time::ZERO, remote);
    port
}

/// What becomes of packets that come one after the other.
fn check(latch: Latch, packets: &[(Channel, &str, &[u8], Verdict)]) -> Port {
    let mut port = port(remote(latch));
    for (index, (channel, from, bytes, expected)) in packets.iter().enumerate() {
        let verdict = receive(&mut port, Time::ZERO, *channel, address(from), bytes);
        assert_eq!(verdict, *expected, "packet {index} from {from} with {latch:?}");
    }
    port
}

fn receive(port: &mut Port, now: Time, channel: Channel, from: SocketAddr, bytes: &[u8]) -> Verdict {
    port.receive(now, channel, from, &mut bytes.to_vec()).0
}

#[test]
fn a_port_that_knows_no_peer_believes_nobody() {
    let mut port = Port::new();
    assert_eq!(receive(&mut port, Time::ZERO, Channel::Rtp, address(PEER), &RTP_8), Verdict::WrongSource);
    assert_eq!(port.stats().rejected_source, 1);
    assert_eq!(port.stats().last_payload_type, 255);
    assert_eq!(port.poll_destinations(), None);
}

#[test]
fn an_exact_latch_believes_the_negotiated_addresses_only() {
    use Channel::{Rtcp, Rtp};
    check(
        Latch::Exact,
        &[
            (Rtp, PEER_ELSEWHERE, &RTP_8, Verdict::WrongSource),
            (Rtp, PEER, &RTP_8, Verdict::Rtp),
            (Rtp, STRANGER, &RTP_8, Verdict::WrongSource),
            (Rtcp, PEER_RTCP, &RTCP, Verdict::Rtcp),
            (Rtcp, PEER_ELSEWHERE, &RTCP, Verdict::WrongSource),
            (Rtp, PEER, &RTCP, Verdict::WrongSource),
        ],
    );
}

#[test]
fn a_port_latch_is_fixed_by_the_first_valid_rtp_packet() {
    use Channel::{Rtcp, Rtp};
    let mut port = check(
        Latch::Port,
        &[
            (Rtp, STRANGER, &RTP_8, Verdict::WrongSource),
            (Rtp, PEER_ELSEWHERE, &NOISE, Verdict::Malformed),
            (Rtcp, PEER_ELSEWHERE, &RTCP, Verdict::WrongSource),
            (Rtp, PEER_ELSEWHERE, &RTP_8, Verdict::Rtp),
            (Rtp, PEER, &RTP_8, Verdict::WrongSource),
            (Rtp, PEER, &NOISE, Verdict::WrongSource),
            (Rtcp, PEER, &RTCP, Verdict::Rtcp),
            (Rtcp, STRANGER, &RTCP, Verdict::WrongSource),
            (Rtcp, PEER, &RTP_8, Verdict::Malformed),
        ],
    );
    let destinations = port.poll_destinations().unwrap();
    assert_eq!(destinations.rtp, Some(address(PEER_ELSEWHERE)));
    assert_eq!(destinations.rtcp, Some(address(PEER)));
    let stats = port.stats();
    assert_eq!((stats.rejected_source, stats.rejected_format), (5, 2));
    assert_eq!((stats.packets_received, stats.bytes_received, stats.rtcp_received), (1, 12, 1));
    assert_eq!(stats.last_payload_type, 8);
}

#[test]
fn a_peer_that_sends_from_elsewhere_than_it_receives_teaches_nothing() {
    let port = check(
        Latch::Host,
        &[
            (Channel::Rtp, PEER_ELSEWHERE, &RTP_8, Verdict::Rtp),
            (Channel::Rtp, PEER, &RTP_8, Verdict::Rtp),
            (Channel::Rtcp, PEER_ELSEWHERE, &RTCP, Verdict::Rtcp),
            (Channel::Rtp, STRANGER, &RTP_8, Verdict::WrongSource),
            (Channel::Rtcp, STRANGER, &RTCP, Verdict::WrongSource),
        ],
    );
    let destinations = port.peer.as_ref().map(Peer::destinations).expect("a peer");
    assert_eq!((destinations.rtp, destinations.rtcp), (Some(address(PEER)), Some(address(PEER_RTCP))));
}

#[test]
fn behind_a_nat_the_first_packet_from_where_the_signalling_comes_from_fixes_the_address() {
    use Channel::{Rtcp, Rtp};
    let mut port = check(
        nat(),
        &[
            (Rtp, STRANGER, &RTP_8, Verdict::WrongSource),
            (Rtp, NAT, &NOISE, Verdict::Malformed),
            (Rtp, NAT, &RTP_8, Verdict::Rtp),
            (Rtp, "203.0.113.9:6002", &RTP_8, Verdict::WrongSource),
            (Rtp, PEER, &RTP_8, Verdict::WrongSource),
            (Rtp, STRANGER, &RTP_8, Verdict::WrongSource),
            (Rtcp, STRANGER, &RTCP, Verdict::WrongSource),
            (Rtcp, PEER_RTCP, &RTCP, Verdict::WrongSource),
            (Rtcp, "203.0.113.9:6001", &RTCP, Verdict::Rtcp),
        ],
    );
    let destinations = port.poll_destinations().unwrap();
    assert_eq!(destinations.rtp, Some(address(NAT)));
    assert_eq!(destinations.rtcp, Some(address("203.0.113.9:6001")));
    assert_eq!(port.stats().rejected_source, 6);
}

/// Both may be within the same network, whose addresses mean something to us after all.
#[test]
fn behind_a_nat_the_first_packet_from_the_negotiated_address_fixes_it_as_well() {
    use Channel::{Rtcp, Rtp};
    let mut port = check(
        nat(),
        &[
            (Rtp, STRANGER, &RTP_8, Verdict::WrongSource),
            (Rtp, PEER_ELSEWHERE, &RTP_8, Verdict::Rtp),
            (Rtp, NAT, &RTP_8, Verdict::WrongSource),
            (Rtcp, NAT, &RTCP, Verdict::WrongSource),
            (Rtcp, PEER_RTCP, &RTCP, Verdict::Rtcp),
        ],
    );
    let destinations = port.poll_destinations().unwrap();
    assert_eq!(destinations.rtp, Some(address(PEER_ELSEWHERE)));
    assert_eq!(destinations.rtcp, Some(address(PEER_RTCP)));
    assert_eq!(port.stats().rejected_source, 3);
}

#[test]
fn packets_go_to_the_negotiated_address_until_one_is_latched() {
    let mut port = port(remote(Latch::Port));
    let before = Destinations { rtp: Some(address(PEER)), rtcp: Some(address(PEER_RTCP)), mux: false };
    assert_eq!(port.poll_destinations(), Some(before));
    assert_eq!(port.poll_destinations(), None, "told once");
    receive(&mut port, Time::ZERO, Channel::Rtp, address(PEER_ELSEWHERE), &RTP_8);
    assert_eq!(port.poll_destinations(), Some(Destinations { rtp: Some(address(PEER_ELSEWHERE)), ..before }));
    receive(&mut port, Time::ZERO, Channel::Rtp, address(PEER_ELSEWHERE), &RTP_8);
    assert_eq!(port.poll_destinations(), None);
}

#[test]
fn a_muxing_peer_gets_rtcp_where_it_gets_rtp() {
    let mut port = port(Remote { rtcp: address(PEER), ..remote(Latch::Port) });
    assert_eq!(receive(&mut port, Time::ZERO, Channel::Rtp, address(PEER), &RTCP), Verdict::Rtcp);
    assert_eq!(receive(&mut port, Time::ZERO, Channel::Rtp, address(PEER_ELSEWHERE), &RTP_8), Verdict::Rtp);
    let latched = Some(address(PEER_ELSEWHERE));
    assert_eq!(port.poll_destinations(), Some(Destinations { rtp: latched, rtcp: latched, mux: true }));
}

#[test]
fn the_same_remote_keeps_the_latch_and_another_one_loses_it() {
    let mut port = check(nat(), &[(Channel::Rtp, NAT, &RTP_8, Verdict::Rtp)]);
    port.set_remote(Time::ZERO, Remote { receives: false, ..remote(nat()) });
    assert_eq!(port.poll_destinations(), Some(Destinations::default()), "nothing is sent to a peer on hold");
    port.set_remote(Time::ZERO, remote(nat()));
    assert_eq!(port.poll_destinations().unwrap().rtp, Some(address(NAT)));
    let moved = address("192.0.2.50:7000");
    port.set_remote(Time::ZERO, Remote { rtp: moved, ..remote(Latch::Exact) });
    assert_eq!(port.poll_destinations().unwrap().rtp, Some(moved));
    assert_eq!(receive(&mut port, Time::ZERO, Channel::Rtp, address(NAT), &RTP_8), Verdict::WrongSource);
    assert_eq!(receive(&mut port, Time::ZERO, Channel::Rtp, moved, &RTP_8), Verdict::Rtp);
}

#[test]
fn nothing_is_sent_to_an_address_that_is_not_one_hosts() {
    for text in ["0.0.0.0:4000", "192.0.2.1:0", "224.0.0.1:4000", "[::]:4000", "[ff02::1]:4000"] {
        let mut port = port(Remote { rtp: address(text), rtcp: address(text), ..remote(Latch::Port) });
        let nowhere = Destinations { mux: true, ..Destinations::default() };
        assert_eq!(port.poll_destinations(), Some(nowhere), "{text}");
    }
}

#[test]
fn the_scope_of_a_link_local_address_is_not_compared() {
    let remote = Remote { rtp: address("[fe80::1]:4000"), ..remote(Latch::Exact) };
    assert_eq!(receive(&mut port(remote), Time::ZERO, Channel::Rtp, address("[fe80::1%4]:4000"), &RTP_8), Verdict::Rtp);
}

const TIMEOUT: Duration = Duration::from_secs(30);

fn silent_at(port: &mut Port, seconds: u64) -> bool {
    port.poll_silence(Time::from_secs(seconds), TIMEOUT)
}

#[test]
fn silence_is_told_once_until_packets_resume() {
    let mut port = port(remote(Latch::Exact));
    assert!(!silent_at(&mut port, 29));
    assert!(silent_at(&mut port, 30));
    assert!(!silent_at(&mut port, 90));
    receive(&mut port, Time::from_secs(100), Channel::Rtp, address(STRANGER), &RTP_8);
    assert!(!silent_at(&mut port, 200), "a stranger's packet is no sign of the peer");
    receive(&mut port, Time::from_secs(200), Channel::Rtcp, address(PEER_RTCP), &RTCP);
    assert!(!silent_at(&mut port, 229));
    assert!(silent_at(&mut port, 230));
}

#[test]
fn a_peer_that_should_not_send_is_not_silent() {
    let mut port = port(Remote { sends: false, ..remote(Latch::Exact) });
    assert!(!silent_at(&mut port, 1000));
    port.set_remote(Time::from_secs(1000), remote(Latch::Exact));
    assert!(!silent_at(&mut port, 1029), "it is expected only since then");
    port.set_remote(Time::from_secs(1029), remote(Latch::Exact));
    assert!(silent_at(&mut port, 1030), "the same remote again does not start the time anew");
}

#[test]
fn ipv6_addresses_latch_like_ipv4_ones() {
    let remote = Remote {
        rtp: address("[2001:db8::1]:4000"),
        rtcp: address("[2001:db8::1]:4001"),
        ..remote(Latch::Nat("2001:db8::9".parse::<IpAddr>().unwrap()))
    };
    let mut port = port(remote);
    let mut verdict = |from| receive(&mut port, Time::ZERO, Channel::Rtp, address(from), &RTP_8);
    assert_eq!(verdict("[2001:db8::66]:4000"), Verdict::WrongSource);
    assert_eq!(verdict("[2001:db8::9]:77"), Verdict::Rtp);
    assert_eq!(verdict("[2001:db8::1]:4000"), Verdict::WrongSource);
    assert_eq!(port.poll_destinations().unwrap().rtp, Some(address("[2001:db8::9]:77")));
}
