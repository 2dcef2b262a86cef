//! Packets against datagrams that were written by hand, and against everything else.

use proptest::prelude::*;
use std::net::SocketAddr;
use sx_hep::{CORRELATION_BYTES_MAX, DATAGRAM_BYTES_MAX, DecodeError, Packet, TCP, UDP, decode, encode};

/// Made by hand from the table of chunk types.
const V4: &[u8] = b"HEP3\x00\x85\
    \x00\x00\x00\x01\x00\x07\x02\
    \x00\x00\x00\x02\x00\x07\x11\
    \x00\x00\x00\x03\x00\x0a\xc0\x00\x02\x01\
    \x00\x00\x00\x04\x00\x0a\xc6\x33\x64\x07\
    \x00\x00\x00\x07\x00\x08\x13\xc4\
    \x00\x00\x00\x08\x00\x08\x13\xd8\
    \x00\x00\x00\x09\x00\x0a\x6b\x00\x1a\x40\
    \x00\x00\x00\x0a\x00\x0a\x00\x01\xe2\x40\
    \x00\x00\x00\x0b\x00\x07\x01\
    \x00\x00\x00\x0c\x00\x0a\x00\x00\x07\xd1\
    \x00\x00\x00\x0e\x00\x0b\x6d\x79\x48\x65\x70\
    \x00\x00\x00\x11\x00\x0a\x61\x40\x62\x63\
    \x00\x00\x00\x0f\x00\x13SIP/2.0 200 \x0d";

const V6: &[u8] = b"HEP3\x00\x7b\
    \x00\x00\x00\x01\x00\x07\x0a\
    \x00\x00\x00\x02\x00\x07\x06\
    \x00\x00\x00\x05\x00\x16\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\
    \x00\x00\x00\x06\x00\x16\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\
    \x00\x00\x00\x07\x00\x08\x13\xc5\
    \x00\x00\x00\x08\x00\x08\xff\xff\
    \x00\x00\x00\x09\x00\x0a\x00\x00\x00\x00\
    \x00\x00\x00\x0a\x00\x0a\x00\x00\x00\x00\
    \x00\x00\x00\x0b\x00\x07\x01\
    \x00\x00\x00\x0c\x00\x0a\x00\x00\x00\x00\
    \x00\x00\x00\x0f\x00\x06";

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn v4() -> Packet<'static> {
    Packet {
        source: address("192.0.2.1:5060"),
        destination: address("198.51.100.7:5080"),
        transport: UDP,
        time_nanos: 1_795_168_832_123_456_000,
        capture_id: 2001,
        password: Some("myHep"),
        correlation: "a@bc",
        payload: b"SIP/2.0 200 \r",
    }
}

fn v6() -> Packet<'static> {
    Packet {
        source: address("[2001:db8::1]:5061"),
        destination: address("[2001:db8::2]:65535"),
        transport: TCP,
        time_nanos: 0,
        capture_id: 0,
        password: None,
        correlation: "",
        payload: b"",
    }
}

fn encoded(packet: &Packet<'_>) -> Vec<u8> {
    let mut datagram = Vec::new();
    encode(packet, &mut datagram);
    datagram
}

#[test]
fn packets_are_written_and_read_as_by_hand() {
    for (packet, datagram) in [(v4(), V4), (v6(), V6)] {
        assert_eq!(encoded(&packet), datagram);
        assert_eq!(decode(datagram), Ok(packet));
    }
}

#[test]
fn a_packet_is_appended() {
    let mut datagrams = V6.to_vec();
    encode(&v4(), &mut datagrams);
    assert_eq!(datagrams, [V6, V4].concat());
    assert_eq!(decode(&datagrams), Ok(v6()), "what is behind the stated length is passed over");
}

#[test]
fn a_packet_has_one_family() {
    let mapped = Packet { source: address("[::ffff:192.0.2.1]:5060"), ..v4() };
    assert_eq!(encoded(&mapped), V4, "both are IPv4 in truth");
    let mixed = Packet { destination: address("[2001:db8::2]:5060"), ..v4() };
    let datagram = encoded(&mixed);
    assert_eq!(decode(&datagram), Ok(Packet { source: address("[::ffff:192.0.2.1]:5060"), ..mixed }));
}

#[test]
fn what_is_too_long_is_cut() {
    let long = vec![b'x'; 70_000];
    let name = "ä".repeat(CORRELATION_BYTES_MAX);
    let datagram = encoded(&Packet { payload: &long, correlation: &name, password: Some(&name), ..v4() });
    assert_eq!(datagram.len(), DATAGRAM_BYTES_MAX);
    let packet = decode(&datagram).expect("a packet");
    assert_eq!(packet.correlation, &name[..CORRELATION_BYTES_MAX]);
    assert_eq!(packet.password, Some(&name[..254]), "characters stay whole");
    assert!(packet.payload.len() > 64_000);
}

#[test]
fn chunks_of_others_are_passed_over() {
    let mut datagram = V4.to_vec();
    datagram.extend_from_slice(b"\x00\x00\x00\x12\x00\x08\x00\x05");
    datagram.extend_from_slice(b"\x00\x2a\x00\x0f\x00\x07!");
    let length = datagram.len() as u16;
    datagram[4..6].copy_from_slice(&length.to_be_bytes());
    assert_eq!(decode(&datagram), Ok(v4()));
}

/// The datagram without the chunk at `range`, its length put right.
fn without(datagram: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
    let mut datagram = datagram.to_vec();
    datagram.drain(range);
    let length = datagram.len() as u16;
    datagram[4..6].copy_from_slice(&length.to_be_bytes());
    datagram
}

/// The datagram with one byte changed.
fn with(datagram: &[u8], index: usize, byte: u8) -> Vec<u8> {
    let mut datagram = datagram.to_vec();
    datagram[index] = byte;
    datagram
}

#[test]
fn faults_are_named() {
    let check = |datagram: &[u8], expected| assert_eq!(decode(datagram), Err(expected), "{datagram:02x?}");
    check(b"", DecodeError::NotHep3);
    check(b"HEP2\x00\x06", DecodeError::NotHep3);
    check(b"HEP3\x00", DecodeError::TooShort);
    check(b"HEP3\x00\x05", DecodeError::BadLength);
    check(b"HEP3\x00\x06", DecodeError::Missing(1));
    check(b"HEP3\x00\x09\x00\x00\x00", DecodeError::TooShort);
    check(b"HEP3\x00\x0c\x00\x00\x00\x01\x00\x05", DecodeError::BadLength);
    check(b"HEP3\x00\x0c\x00\x00\x00\x01\x00\x06", DecodeError::BadValue(1));
    check(&V4[..V4.len() - 1], DecodeError::TooShort);
    check(&with(V4, 12, 3), DecodeError::UnknownFamily(3));
    check(&with(V4, 12, 10), DecodeError::Missing(5));
    check(&with(V4, 82, 5), DecodeError::NotSip(5));
    check(&with(V4, 99, 0xff), DecodeError::NotText(14));
    check(&with(V4, 117, 16), DecodeError::Compressed);
    check(&without(V4, 20..30), DecodeError::Missing(3));
    check(&without(V4, 114..V4.len()), DecodeError::Missing(15));
}

#[test]
fn the_password_is_not_shown() {
    assert!(!format!("{:?}", v4()).contains("myHep"));
}

proptest! {
    #[test]
    fn no_datagram_panics(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&datagram);
        let _ = decode(&[b"HEP3\x00\xc8", datagram.as_slice()].concat());
    }

    #[test]
    fn a_damaged_packet_does_not_panic(index in 0..V4.len(), byte: u8, length in 0..=V4.len()) {
        let _ = decode(&with(V4, index, byte)[..length]);
    }

    #[test]
    fn what_is_written_is_read(
        source: SocketAddr, port: u16, micros in 0..u64::from(u32::MAX) * 1_000_000, capture_id: u32,
        password: Option<String>, correlation: String, payload: Vec<u8>,
    ) {
        let source = SocketAddr::new(source.ip().to_canonical(), source.port());
        let packet = Packet {
            source,
            destination: SocketAddr::new(source.ip(), port),
            transport: UDP,
            time_nanos: micros * 1_000,
            capture_id,
            password: password.as_deref(),
            correlation: &correlation,
            payload: &payload,
        };
        let datagram = encoded(&packet);
        prop_assert_eq!(decode(&datagram), Ok(packet));
    }
}
