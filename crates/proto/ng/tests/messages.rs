//! Messages as clients write them, and as nobody should.

use proptest::prelude::*;
use sx_ng::{
    Answer, CodecName, Command, DEPTH_MAX, DecodeError, Dictionary, Frame, Ice, MESSAGE_BYTES_MAX, Message,
    MessageError, Notation, Request, RequestError, TransportProtocol, VALUES_MAX, Value,
};

fn check_refused(bytes: &[u8], expected: MessageError) {
    assert_eq!(Message::parse(bytes), Err(expected), "{}", String::from_utf8_lossy(bytes));
}

#[test]
fn bencode_and_json_say_the_same() {
    let bencode = Message::parse(b"1_2 d7:command5:offer5:flagsl13:trust addresse12:delete delayi30ee").expect("good");
    let json = b"1_2 {\"command\": \"offer\", \"flags\" : [\"trust address\"],\n\"delete delay\": 30 }";
    let json = Message::parse(json).expect("good");
    assert_eq!((bencode.notation, json.notation), (Notation::Bencode, Notation::Json));
    assert_eq!((bencode.cookie, bencode.dictionary), (json.cookie, json.dictionary));
}

#[test]
fn what_is_no_message_is_refused_by_its_fault() {
    use DecodeError::{Incomplete, Malformed, TooDeep};
    let decode = MessageError::Dictionary;
    check_refused(b"", MessageError::NoCookie);
    check_refused(b"d7:command4:pinge", MessageError::NoCookie);
    check_refused(&[b'c'; 400], MessageError::NoCookie);
    check_refused(&[b' '; MESSAGE_BYTES_MAX + 1], MessageError::TooLong);
    check_refused(b"c ", decode(Incomplete));
    check_refused(b"c d7:command4:pin", decode(Incomplete));
    check_refused(b"c d1:ai1", decode(Incomplete));
    check_refused(b"c li1ee", decode(Malformed));
    check_refused(b"c d1:a99999999:x", decode(Malformed));
    check_refused(b"c d1:ai9999999999999999999999e", decode(Malformed));
    check_refused(b"c di1ei2ee", decode(Malformed));
    check_refused(b"c {\"a\":-}", decode(Malformed));
    check_refused(b"c {\"a\":truth}", decode(Malformed));
    check_refused(b"c {\"a\":tr", decode(Incomplete));
    let whole = b"c {\"a\":-12.5e+3,\"b\":[true,null,\"x\"]}";
    for cut in 2..whole.len() {
        check_refused(&whole[..cut], decode(Incomplete));
    }
    check_refused(b"c {\"a\" 1}", decode(Malformed));
    check_refused(b"c {\"a\":\"\\ud800\"}", decode(Malformed));
    for nested in ["l", "[", "d1:a", "{\"a\":"] {
        let text = if nested.starts_with(['l', 'd']) { "c d1:a" } else { "c {\"a\":" };
        check_refused(format!("{text}{}", nested.repeat(DEPTH_MAX + 1)).as_bytes(), decode(TooDeep));
    }
    let many = format!("c d1:al{}ee", "i1e".repeat(VALUES_MAX));
    check_refused(many.as_bytes(), decode(DecodeError::TooMany));
    let many = format!("c {{\"a\":[{}1]}}", "1,".repeat(VALUES_MAX));
    check_refused(many.as_bytes(), decode(DecodeError::TooMany));
}

#[test]
fn what_json_has_beside_whole_numbers_is_one() {
    let text = b"c {\"a\":1.9,\"b\":-2e3,\"c\":99999999999999999999,\"d\":true,\"e\":false,\"f\":null}";
    let message = Message::parse(text).expect("a message");
    let of = |key: &str| message.dictionary.get(key).and_then(Value::as_integer);
    assert_eq!(["a", "b", "c", "d", "e"].map(of), [1, -2_000, i64::MAX, 1, 0].map(Some));
    assert_eq!(message.dictionary.get("f").and_then(Value::as_bytes), Some(&b""[..]));
    assert_eq!(Message::notation_of(b"c {\"a\":"), Notation::Json);
    assert_eq!(Message::notation_of(b"c d1:a"), Notation::Bencode);
}

#[test]
fn strings_of_json_have_escapes() {
    let message = Message::parse(br#"c {"sdp":"v=0\r\n\t\"\\\/\u00e4\ud83d\ude00"}"#).expect("good");
    assert_eq!(message.dictionary.get("sdp").and_then(Value::as_bytes), Some("v=0\r\n\t\"\\/ä\u{1f600}".as_bytes()));
    let written = Answer::description(b"v=0\r\n\x01\"\\").write(b"c", Notation::Json);
    assert_eq!(written, br#"c {"result":"ok","sdp":"v=0\r\n\u0001\"\\"}"#);
    let read = Message::parse(&written).expect("own answer");
    assert_eq!(read.dictionary.get("sdp").and_then(Value::as_bytes), Some(&b"v=0\r\n\x01\"\\"[..]));
}

#[test]
fn a_stream_is_cut_into_messages() {
    let first: &[u8] = b"1 d7:command4:pinge";
    let second: &[u8] = b"\n2 {\"command\":\"ping\"}";
    let stream = [first, second].concat();
    assert_eq!(Message::length_in(&stream), Ok(Frame::Whole(first.len())));
    assert_eq!(Message::length_in(second), Ok(Frame::Whole(second.len())));
    for length in 0..first.len() {
        assert_eq!(Message::length_in(&first[..length]), Ok(Frame::Incomplete), "{length} bytes");
    }
    assert!(Message::length_in(b"1 xyz").is_err());
    let endless = [&b"1 d1:a60000:"[..], &[0; MESSAGE_BYTES_MAX]].concat();
    assert_eq!(Message::length_in(&endless[..1_000]), Ok(Frame::Incomplete));
    assert!(Message::length_in(&[b'\n'; MESSAGE_BYTES_MAX + 1]).is_err());
}

#[test]
fn what_kamailio_sends_is_understood() {
    let text = br#"7_1 {"sdp":"v=0","ICE":"remove","flags":["trust-address","asymmetric","SDES-no-NULL_HMAC_SHA1_80",
        "codec-strip-G729","something-new","always-transcode","single codec"],"ptime":"40","direction":["in","out"],"replace":["origin","session-connection"],
        "transport-protocol":"RTP/SAVPF","rtcp-mux":["offer","accept"],"call-id":"x","received-from":["IP4","192.0.2.1"],
        "from-tag":"a","media address":"192.0.2.9","codec":{"mask":["opus"],"transcode":["PCMU"]},"command":"offer"}"#;
    let message = Message::parse(text).expect("good");
    let Request { command, call_id, to_tag, options, .. } = Request::read(&message.dictionary).expect("good");
    assert_eq!((command, call_id, to_tag), (Command::Offer, Some(&b"x"[..]), None));
    assert_eq!(options.ice, Some(Ice::Remove));
    assert_eq!(options.transport, Some(TransportProtocol::Rtp { secure: true, feedback: true }));
    assert!(options.asymmetric && !options.sip_source_address && options.rtcp_mux.offer && options.rtcp_mux.accept);
    assert_eq!(options.direction, [Some(&b"in"[..]), Some(&b"out"[..])]);
    assert_eq!(options.received_from, "192.0.2.1".parse().ok());
    assert_eq!(options.media_address, "192.0.2.9".parse().ok());
    assert_eq!(options.sdes.without, [b"NULL_HMAC_SHA1_80"]);
    let names = |list: &[CodecName<'_>]| list.iter().map(|codec| codec.name.to_vec()).collect::<Vec<_>>();
    let codecs = &options.codecs;
    assert_eq!((names(&codecs.strip), names(&codecs.mask)), (vec![b"G729".to_vec()], vec![b"opus".to_vec()]));
    assert_eq!((names(&codecs.transcode), options.ptime_ms), (vec![b"PCMU".to_vec()], Some(40)));
    assert!(names(&codecs.accept) == [b"all"] && options.single_codec);
}

#[test]
fn what_is_to_be_done_has_to_be_said() {
    let read = |text: &[u8]| {
        let message = Message::parse(text).expect("good");
        Request::read(&message.dictionary).map(|request| request.command)
    };
    assert_eq!(read(b"c d3:foo3:bare"), Err(RequestError::NoCommand));
    assert_eq!(read(b"c d7:command5:wurste"), Err(RequestError::UnknownCommand));
    assert_eq!(read(b"c d7:command10:play mediae"), Ok(Command::PlayMedia));
    assert_eq!(read(b"c d7:command12:unblock-DTMFe"), Ok(Command::UnblockDtmf));
    assert_eq!(read(b"c d7:command10:stop mediae"), Ok(Command::StopMedia));
}

fn values() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![any::<i64>().prop_map(Value::Integer), ".{0,20}".prop_map(|text: String| Value::text(text))];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            prop::collection::vec((".{0,10}", inner), 0..6).prop_map(|entries| {
                let mut dictionary = Dictionary::default();
                entries.into_iter().for_each(|(key, value)| {
                    dictionary.set(key, value);
                });
                Value::Dictionary(dictionary)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in values(), json in any::<bool>()) {
        let notation = if json { Notation::Json } else { Notation::Bencode };
        let written = Answer::ok().with("value", value.clone()).write(b"cookie", notation);
        let message = Message::parse(&written).expect("own answer");
        prop_assert_eq!(message.dictionary.get("value"), Some(&value));
        prop_assert_eq!(Message::length_in(&written), Ok(Frame::Whole(written.len())));
    }

    #[test]
    fn junk_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Message::parse(&bytes), Message::length_in(&bytes), Message::cookie_of(&bytes));
    }
}
