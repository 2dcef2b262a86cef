//! Requests and responses between this client and this server, and datagrams that are neither.

use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};
use sx_stun::{
    Answered, Class, Fingerprint, Message, MessageWriter, Method, NotAnswered, ParseError, ResponseError,
    TransactionId, attribute, binding_request, binding_response, is_stun, read_binding_response,
};

const TRANSACTION: TransactionId = TransactionId(*b"transaction!");
const HEADER: [u8; 20] = *b"\x00\x01\x00\x00\x21\x12\xa4\x42transaction!";

fn with_attributes(attributes: &[u8]) -> Vec<u8> {
    let mut datagram = HEADER.to_vec();
    datagram[3] = attributes.len() as u8;
    datagram.extend_from_slice(attributes);
    datagram
}

#[track_caller]
fn refused(datagram: &[u8], expected: ParseError) {
    assert_eq!(Message::parse(datagram), Err(expected));
}

#[test]
fn the_first_byte_and_the_cookie_tell_stun_from_others() {
    assert!(is_stun(&HEADER));
    for first in 4..=255 {
        let mut datagram = HEADER;
        datagram[0] = first;
        assert!(!is_stun(&datagram), "{first}");
    }
    let mut classic = HEADER;
    classic[4] = 0;
    assert!(!is_stun(&classic));
    assert!(!is_stun(&HEADER[..19]));
}

#[test]
fn lengths_that_lie_are_refused() {
    assert!(Message::parse(&HEADER).is_ok());
    refused(&with_attributes(&[0x80, 0x22, 0, 1, 0, 0, 0, 0])[..24], ParseError::Length);
    refused(&with_attributes(&[0x80, 0x22]), ParseError::Length);
    refused(&with_attributes(&[0x80, 0x22, 0, 1]), ParseError::Attribute);
    refused(&with_attributes(&[0x80, 0x22, 0xff, 0xff, 0, 0, 0, 0]), ParseError::Attribute);
}

#[test]
fn only_binding_requests_are_answered() {
    let mapped = SocketAddr::from(([192, 0, 2, 1], 1));
    for (class, method) in [
        (Class::Indication, Method::BINDING),
        (Class::Success, Method::BINDING),
        (Class::Error, Method::BINDING),
        (Class::Request, Method(3)),
    ] {
        let (mut datagram, mut out) = (Vec::new(), Vec::new());
        MessageWriter::new(class, method, TRANSACTION, &mut datagram).fingerprint();
        let message = Message::parse(&datagram).expect("own message");
        assert_eq!((message.class(), message.method()), (class, method));
        assert_eq!(binding_response(&message, mapped, &mut out), Err(NotAnswered::NotABindingRequest));
        assert!(out.is_empty());
    }
}

#[test]
fn a_refusal_lists_no_more_than_sixteen_attributes() {
    let attributes: Vec<u8> = (0..40).flat_map(|n| [0x7f, n, 0, 0]).collect();
    let datagram = with_attributes(&attributes);
    let mut out = Vec::new();
    let answered =
        binding_response(&Message::parse(&datagram).expect("valid"), SocketAddr::from(([1, 2, 3, 4], 5)), &mut out);
    assert_eq!(answered, Ok(Answered::UnknownAttributes));
    let response = Message::parse(&out).expect("own message");
    let listed = response.attribute(attribute::UNKNOWN_ATTRIBUTES).expect("a list");
    assert_eq!((listed.len(), &listed[..4]), (32, &[0x7f, 0, 0x7f, 1][..]));
}

#[test]
fn an_old_server_may_give_the_address_in_clear() {
    let mut datagram = with_attributes(&[0, 1, 0, 8, 0, 1, 0x13, 0xc4, 192, 0, 2, 7]);
    datagram[0] = 1;
    assert_eq!(read_binding_response(&datagram, TRANSACTION), Ok(SocketAddr::from(([192, 0, 2, 7], 5060))));
}

#[test]
fn a_response_without_a_readable_address_is_an_error() {
    for (attributes, expected) in [
        (&[][..], ResponseError::NoAddress),
        (&[0, 0x20, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0], ResponseError::NoAddress),
        (&[0, 0x20, 0, 4, 0, 1, 0, 0], ResponseError::NoAddress),
        (&[0x7f, 0, 0, 0], ResponseError::UnknownRequired(0x7f00)),
    ] {
        let mut datagram = with_attributes(attributes);
        datagram[0] = 1;
        assert_eq!(read_binding_response(&datagram, TRANSACTION), Err(expected));
    }
}

#[test]
fn a_message_may_follow_other_bytes_in_the_buffer() {
    let mut out = b"abc".to_vec();
    binding_request(TRANSACTION, &mut out);
    assert_eq!(Message::parse(&out[3..]).map(|message| message.fingerprint()), Ok(Fingerprint::Valid));
}

fn touch(datagram: &[u8]) {
    let Ok(message) = Message::parse(datagram) else { return };
    message.attributes().for_each(drop);
    let _ = (message.software(), message.error_code(), message.mapped_address(), message.fingerprint());
    let _ = read_binding_response(datagram, message.transaction());
    let _ = binding_response(&message, SocketAddr::from(([1, 2, 3, 4], 5)), &mut Vec::new());
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64), class in 0..4u8) {
        touch(&bytes);
        let mut datagram = with_attributes(&bytes);
        datagram[0] = class >> 1;
        datagram[1] |= (class & 1) << 4;
        touch(&datagram);
        let aligned = bytes.len() / 4 * 4;
        touch(&with_attributes(&bytes[..aligned]));
    }

    #[test]
    fn what_is_written_is_read(
        transaction: [u8; 12], ip: IpAddr, port: u16, software in "\\PC{0,300}", method in 0..0x100u16,
    ) {
        let transaction = TransactionId(transaction);
        let mapped = SocketAddr::new(ip, port);
        let mut out = Vec::new();
        MessageWriter::new(Class::Success, Method(method), transaction, &mut out)
            .software(&software)
            .xor_mapped_address(mapped)
            .error_code(487, "Role Conflict")
            .fingerprint();
        let message = Message::parse(&out).expect("own message");
        prop_assert_eq!(message.transaction(), transaction);
        prop_assert_eq!(message.method(), Method(method));
        prop_assert_eq!(message.mapped_address(), Some(mapped));
        prop_assert!(message.software().is_some_and(|read| read.len() <= 509 && software.starts_with(read)));
        prop_assert_eq!(message.error_code(), Some((487, "Role Conflict")));
        prop_assert_eq!(message.fingerprint(), Fingerprint::Valid);
    }
}
