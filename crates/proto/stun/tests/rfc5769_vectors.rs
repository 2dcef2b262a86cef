//! The sample messages of RFC 5769, as a server and a client would meet them.

use sx_stun::{
    Answered, Class, Fingerprint, Message, Method, NotAnswered, ParseError, ResponseError, TransactionId, attribute,
    binding_response, is_stun, read_binding_response,
};

const TRANSACTION: TransactionId =
    TransactionId([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);

//= https://www.rfc-editor.org/rfc/rfc5769#section-2.1
//= type=test
const REQUEST: &str = "
    00010058 2112a442 b7e7a701 bc34d686 fa87dfae
    80220010 5354554e 20746573 7420636c 69656e74
    00240004 6e0001ff
    80290008 932ff9b1 51263b36
    00060009 6576746a 3a683676 59202020
    00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
    80280004 e57a3bcf";

//= https://www.rfc-editor.org/rfc/rfc5769#section-2.2
//= type=test
const RESPONSE_IPV4: &str = "
    0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
    8022000b 74657374 20766563 746f7220
    00200008 0001a147 e112a643
    00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
    80280004 c07d4c96";

//= https://www.rfc-editor.org/rfc/rfc5769#section-2.3
//= type=test
const RESPONSE_IPV6: &str = "
    01010048 2112a442 b7e7a701 bc34d686 fa87dfae
    8022000b 74657374 20766563 746f7220
    00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
    00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
    80280004 c8fb0b4c";

//= https://www.rfc-editor.org/rfc/rfc5769#section-2.4
//= type=test
const REQUEST_LONG_TERM: &str = "
    00010060 2112a442 78ad3433 c6ad72c0 29da412e
    00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
    0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
    0014000b 6578616d 706c652e 6f726700
    00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn the_sample_request_is_read() {
    let datagram = bytes(REQUEST);
    assert!(is_stun(&datagram));
    let message = Message::parse(&datagram).expect("valid");
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.transaction(), TRANSACTION);
    assert_eq!(message.software(), Some("STUN test client"));
    assert_eq!(message.attribute(attribute::USERNAME), Some(&b"evtj:h6vY"[..]));
    assert!(message.has_message_integrity());
    assert_eq!(message.fingerprint(), Fingerprint::Valid);
    assert!(message.unknown_required().eq([0x0024]), "PRIORITY is of ICE");
}

#[test]
fn the_sample_responses_are_read() {
    for (hex, address) in
        [(RESPONSE_IPV4, "192.0.2.1:32853"), (RESPONSE_IPV6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")]
    {
        let datagram = bytes(hex);
        let message = Message::parse(&datagram).expect("valid");
        assert_eq!((message.class(), message.software()), (Class::Success, Some("test vector")));
        assert_eq!(message.fingerprint(), Fingerprint::Valid);
        assert_eq!(read_binding_response(&datagram, TRANSACTION), Ok(address.parse().expect("an address")));
        assert_eq!(read_binding_response(&datagram, TransactionId([0; 12])), Err(ResponseError::NotOurs));
    }
}

#[test]
fn a_request_with_credentials_and_without_fingerprint_is_answered() {
    let datagram = bytes(REQUEST_LONG_TERM);
    let message = Message::parse(&datagram).expect("valid");
    assert_eq!((message.fingerprint(), message.has_message_integrity()), (Fingerprint::Absent, true));
    let mut out = Vec::new();
    let mapped = "192.0.2.1:32853".parse().expect("an address");
    assert_eq!(binding_response(&message, mapped, &mut out), Ok(Answered::Mapped));
    let response = Message::parse(&out).expect("own message");
    assert_eq!(response.fingerprint(), Fingerprint::Absent);
    assert_eq!(response.mapped_address(), Some(mapped));
}

#[test]
fn a_request_that_insists_on_ice_is_refused_with_420() {
    let datagram = bytes(REQUEST);
    let mut out = Vec::new();
    let mapped = "192.0.2.1:32853".parse().expect("an address");
    let answered = binding_response(&Message::parse(&datagram).expect("valid"), mapped, &mut out);
    assert_eq!(answered, Ok(Answered::UnknownAttributes));
    let response = Message::parse(&out).expect("own message");
    assert_eq!((response.class(), response.error_code()), (Class::Error, Some((420, "Unknown Attribute"))));
    assert_eq!(response.attribute(attribute::UNKNOWN_ATTRIBUTES), Some(&[0x00, 0x24][..]));
    assert_eq!(response.fingerprint(), Fingerprint::Valid);
    assert_eq!(read_binding_response(&out, TRANSACTION), Err(ResponseError::Refused(420)));
}

#[test]
fn a_damaged_message_is_not_answered() {
    let mut datagram = bytes(REQUEST);
    datagram[30] ^= 1;
    let message = Message::parse(&datagram).expect("its lengths are whole");
    assert_eq!(message.fingerprint(), Fingerprint::Invalid);
    let mut out = Vec::new();
    let mapped = "192.0.2.1:32853".parse().expect("an address");
    assert_eq!(binding_response(&message, mapped, &mut out), Err(NotAnswered::Fingerprint));
    assert!(out.is_empty());
}

#[test]
fn an_attribute_after_message_integrity_is_not_looked_at() {
    let mut datagram = bytes(REQUEST_LONG_TERM);
    datagram[3] += 4;
    datagram.extend_from_slice(&[0x7f, 0xff, 0, 0]);
    let message = Message::parse(&datagram).expect("valid");
    assert_eq!(message.unknown_required().next(), None);
    assert_eq!(message.attribute(0x7fff), None);
}

#[test]
fn a_message_cut_anywhere_is_refused() {
    let datagram = bytes(REQUEST);
    for len in 0..datagram.len() {
        let expected = if len < 20 { ParseError::NotStun } else { ParseError::Length };
        assert_eq!(Message::parse(&datagram[..len]), Err(expected), "{len}");
    }
}
