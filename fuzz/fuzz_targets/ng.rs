//! Messages of the NG control protocol: read, written in both notations and read again, cut out of a stream.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_ng::{Answer, Frame, Message, Notation, Request, Value};

fuzz_target!(|bytes: &[u8]| {
    let framed = Message::length_in(bytes);
    let Ok(message) = Message::parse(bytes) else { return };
    if let Ok(Frame::Whole(length)) = framed {
        assert!(length <= bytes.len());
        assert_eq!(Message::length_in(&bytes[..length]), framed);
    }
    assert_eq!(Message::cookie_of(bytes), Some(message.cookie));
    let _ = Request::read(&message.dictionary);
    let written =
        Answer::ok().with("value", Value::Dictionary(message.dictionary.clone())).write(b"c", Notation::Bencode);
    // What it is wrapped in adds a level and two values.
    if let Ok(read) = Message::parse(&written) {
        assert_eq!(read.dictionary.get("value"), Some(&Value::Dictionary(message.dictionary.clone())));
    }
    let written = Answer::ok().with("value", Value::Dictionary(message.dictionary.clone())).write(b"c", Notation::Json);
    if let Ok(read) = Message::parse(&written) {
        // JSON has no bytes that are no UTF-8: what was read of it is read again.
        let again = Answer::ok().with_all(read.dictionary.clone()).write(b"c", Notation::Json);
        assert!(Message::parse(&again).is_ok());
    }
});
