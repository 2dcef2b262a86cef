//! STUN messages: read whole, answered with a message that can be read, and taken for the answer to a request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use sx_stun::{Answered, Fingerprint, Message, ResponseError, binding_response, is_stun, read_binding_response};

fuzz_target!(|datagram: &[u8]| {
    let Ok(message) = Message::parse(datagram) else { return };
    assert!(is_stun(datagram));
    assert!(message.attributes().all(|attribute| attribute.value.len() <= datagram.len()));
    let _ = (message.software(), message.error_code(), message.mapped_address(), message.has_message_integrity());
    let read = read_binding_response(datagram, message.transaction());
    assert!(!matches!(read, Err(ResponseError::Parse(_))));

    let from = SocketAddr::from(([192, 0, 2, 1], 32_853));
    let mut response = Vec::new();
    match binding_response(&message, from, &mut response) {
        Ok(Answered::Mapped) => assert_eq!(read_binding_response(&response, message.transaction()), Ok(from)),
        Ok(Answered::UnknownAttributes) => {
            assert!(message.unknown_required().next().is_some());
            let refused = read_binding_response(&response, message.transaction());
            assert_eq!(refused, Err(ResponseError::Refused(420)));
        }
        Err(_) => return assert!(response.is_empty()),
    }
    let response = Message::parse(&response).expect("own response");
    assert_eq!(response.fingerprint() == Fingerprint::Valid, message.fingerprint() == Fingerprint::Valid);
});
