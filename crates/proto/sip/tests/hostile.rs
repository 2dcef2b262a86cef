//! What a stranger may send: nothing of it panics, hangs or is taken for what it is not.

mod wire;

use proptest::prelude::*;
use std::fmt::Write as _;
use sx_sip::agent::Disposition;
use sx_sip::digest::DigestParams;
use sx_sip::message::{
    CSeq, Defect, HeaderName, Message, Method, NameAddr, Params, ParseError, RAck, Uri, UriError, ValueError, Via,
    Writer,
};
use wire::{Alone, BOB, flow, request};

const GOOD: &str = "INVITE sip:bob@example.org SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1;rport\r\n\
    Max-Forwards: 70\r\n\
    From: \"Bob, \\\"B\\\"\" <sip:bob@example.org>;tag=b\r\n\
    To: <sip:alice@example.org>\r\n\
    Call-ID: 1@192.0.2.2\r\n\
    CSeq: 1 INVITE\r\n\
    Contact: <sip:bob@192.0.2.2>\r\n\
    Subject: lunch\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 5\r\n\r\n\
    offer";

/// What is to become of bytes.
#[derive(Debug, PartialEq)]
enum Verdict {
    Dropped(ParseError),
    Refused(Defect),
    Taken,
}

use Verdict::{Dropped, Refused, Taken};

fn judge(bytes: &[u8]) -> Verdict {
    match Message::parse(bytes) {
        Err(error) => Dropped(error),
        Ok(message) => {
            let mut alone = Alone::new();
            let disposition = alone.agent.receive(alone.now, flow(BOB), &message);
            match message.check() {
                Err(defect) => {
                    assert_eq!(disposition, Disposition::Malformed(defect));
                    Refused(defect)
                }
                Ok(()) => Taken,
            }
        }
    }
}

#[track_caller]
fn check(bytes: impl AsRef<[u8]>, expected: &Verdict) {
    let bytes = bytes.as_ref();
    let told = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]);
    assert_eq!(judge(bytes), *expected, "{told}");
}

fn with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

fn malformed(name: HeaderName, error: ValueError) -> Verdict {
    Refused(Defect::Malformed(name, error))
}

#[test]
fn each_hostile_first_line_has_its_verdict() {
    let uri = |error| Refused(Defect::RequestUri(error));
    check(GOOD, &Taken);
    check("", &Dropped(ParseError::Empty));
    check("\r\n\r\n\r\n", &Dropped(ParseError::Empty));
    check([0u8; 1_500], &Dropped(ParseError::Truncated));
    check((0..=255).collect::<Vec<u8>>(), &Dropped(ParseError::StartLine));
    check(b"\x16\x03\x01\x02\x00\x01\x00\n", &Dropped(ParseError::StartLine));
    check("GET / HTTP/1.1\r\nHost: x\r\n\r\n", &Dropped(ParseError::StartLine));
    check(vec![b'a'; (1 << 20) + 1], &Dropped(ParseError::TooLong));
    check(with("SIP/2.0\r\n", "SIP/2.1\r\n"), &Refused(Defect::Version));
    check(with("SIP/2.0\r\n", "SIP/\r\n"), &Refused(Defect::Version));
    check(with("sip:bob@example.org", ""), &Dropped(ParseError::StartLine));
    check(with("sip:bob@example.org", "bob"), &uri(UriError::Scheme));
    check(with("sip:bob@example.org", "sip:b\0b@example.org"), &uri(UriError::Character));
    check(with("sip:bob@example.org", "sip:bob@[2001:db8::1"), &uri(UriError::Host));
    check(with("sip:bob@example.org", "sip:bob@example.org:99999999999"), &uri(UriError::Port));
    check("SIP/2.0 99 X\r\n\r\n", &Dropped(ParseError::StartLine));
    check("SIP/2.0 700 X\r\n\r\n", &Dropped(ParseError::StartLine));
    check("SIP/2.0 -20 X\r\n\r\n", &Dropped(ParseError::StartLine));
}

#[test]
fn each_hostile_line_and_length_has_its_verdict() {
    check(with("Subject: lunch", "Subject"), &Dropped(ParseError::HeaderLine));
    check(with("Subject: lunch", ": lunch"), &Dropped(ParseError::HeaderLine));
    check(with("Subject: lunch", "Sub ject: lunch"), &Dropped(ParseError::HeaderLine));
    check(with("Subject: lunch", "Sub\0ject: lunch"), &Dropped(ParseError::HeaderLine));
    check(with("Subject: lunch", "Subject: a\0b\0"), &Taken);
    check(with("Subject: lunch", "Subject:"), &Taken);
    check(GOOD.replace("\r\n", "\n"), &Taken);
    check(GOOD.replace("\r\n", "\r"), &Dropped(ParseError::Truncated));
    check(with("SIP/2.0\r\nVia", "SIP/2.0\r\n folded\r\nVia"), &Dropped(ParseError::HeaderLine));
    check(with("Length: 5", "Length: 6"), &Refused(Defect::BodyTruncated));
    check(with("Length: 5", "Length: 4294967295"), &Refused(Defect::BodyTruncated));
    for length in ["-5", "5 5", "5,5", "0x5", "99999999999999999999", "", "five", "+5"] {
        check(with("Length: 5", &format!("Length: {length}")), &Refused(Defect::ContentLength));
    }
    check(with("Subject: lunch", "l: 3"), &Refused(Defect::ContentLength));
    check(with("Subject: lunch", "l: 5"), &Taken);
    check(with("Subject: lunch", "l: 05"), &Taken);
}

#[test]
fn each_mandatory_header_that_is_absent_or_doubled_or_broken_has_its_verdict() {
    use HeaderName as Name;
    for (name, line) in [
        (Name::Via, "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1;rport\r\n"),
        (Name::From, "From: \"Bob, \\\"B\\\"\" <sip:bob@example.org>;tag=b\r\n"),
        (Name::To, "To: <sip:alice@example.org>\r\n"),
        (Name::CallId, "Call-ID: 1@192.0.2.2\r\n"),
        (Name::CSeq, "CSeq: 1 INVITE\r\n"),
    ] {
        check(with(line, ""), &Refused(Defect::Missing(name)));
        let twice = if name == Name::Via { Taken } else { Refused(Defect::Repeated(name)) };
        check(with(line, &line.repeat(2)), &twice);
    }
    check(
        with("Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1;rport", "Via: ,,,"),
        &Refused(Defect::Missing(Name::Via)),
    );
    check(
        with("SIP/2.0/UDP 192.0.2.2:5060", "SIP/2.0/UDP 192.0.2.2:5060:1"),
        &malformed(Name::Via, ValueError::Malformed),
    );
    check(with("1@192.0.2.2", "1@192.0.2.2 x"), &malformed(Name::CallId, ValueError::Malformed));
    check(with("1 INVITE", "1"), &malformed(Name::CSeq, ValueError::Malformed));
    check(with("1 INVITE", "-1 INVITE"), &malformed(Name::CSeq, ValueError::Number));
    check(with("1 INVITE", "2147483648 INVITE"), &malformed(Name::CSeq, ValueError::Number));
    check(with("1 INVITE", "1 invite"), &Refused(Defect::MethodMismatch));
    for hops in ["256", "-1", "many", ""] {
        check(with("Forwards: 70", &format!("Forwards: {hops}")), &malformed(Name::MaxForwards, ValueError::Number));
    }
}

#[test]
fn quotes_and_brackets_that_nest_or_do_not_close_have_their_verdict() {
    use HeaderName as Name;
    check(with("<sip:alice@example.org>", "<sip:alice@example.org"), &malformed(Name::To, ValueError::Unclosed));
    check(with("<sip:alice@example.org>", "\"\\\"\\\\\\\"\\\"\" <sip:alice@example.org>"), &Taken);
    check(
        with("<sip:alice@example.org>", "\"a\\\" <sip:alice@example.org>"),
        &malformed(Name::To, ValueError::Uri(UriError::Character)),
    );
    check(with("<sip:alice@example.org>", "\"a\" \"b\" <sip:alice@example.org>"), &Taken);
    check(with("<sip:alice@example.org>", &"<".repeat(1_000)), &malformed(Name::To, ValueError::Unclosed));
    check(
        with("<sip:alice@example.org>", &"\"".repeat(1_001)),
        &malformed(Name::To, ValueError::Uri(UriError::Character)),
    );
    check(with("<sip:alice@example.org>", ">sip:alice@example.org<"), &malformed(Name::To, ValueError::Unclosed));
}

#[test]
fn there_may_be_512_headers_and_not_one_more() {
    let lines = GOOD.split("\r\n\r\n").next().expect("a head").matches("\r\n").count();
    let filled = |more: usize| with("Subject: lunch\r\n", &"Subject: lunch\r\n".repeat(more));
    check(filled(512 - lines + 1), &Taken);
    check(filled(513 - lines + 1), &Dropped(ParseError::TooManyHeaders));
}

#[test]
fn a_message_cut_anywhere_is_dropped_or_refused() {
    let head = GOOD.find("\r\n\r\n").expect("a head") + 4;
    for end in 0..GOOD.len() {
        let expected = match end {
            0 => Dropped(ParseError::Empty),
            _ if end < head => Dropped(ParseError::Truncated),
            _ => Refused(Defect::BodyTruncated),
        };
        check(&GOOD[..end], &expected);
    }
}

#[test]
fn a_byte_that_is_not_utf8_costs_its_header_its_text_and_nothing_else() {
    let mut bytes = GOOD.as_bytes().to_vec();
    let at = GOOD.find("lunch").expect("the subject");
    bytes[at + 1] = 0xfc;
    check(&bytes, &Taken);
    let message = Message::parse(&bytes[..]).expect("it parses");
    assert_eq!((message.text(HeaderName::Subject), message.value(HeaderName::Subject)), (None, Some(&b"l\xfcnch"[..])));
    assert_eq!(message.text(HeaderName::CallId), Some("1@192.0.2.2"));
    // The same in a display name, which answers repeat byte by byte.
    let mut latin = GOOD.replace("\"Bob, \\\"B\\\"\"", "\"B?b\"").into_bytes();
    let unknown = latin.iter().position(|byte| *byte == b'?').expect("the name");
    latin[unknown] = 0xf6;
    let mut alone = Alone::new();
    assert_eq!(alone.receive_from(BOB, &latin), Disposition::Request);
    let message = Message::parse(&latin[..]).expect("it parses");
    let session = alone.agent.accept(alone.now, flow(BOB), &message, 1).expect("accepted");
    alone.agent.progress(alone.now, session, 180, None);
    assert_eq!(alone.sent_one().value(HeaderName::From), message.value(HeaderName::From));
}

#[test]
fn thousands_of_vias_are_answered_once_and_in_time() {
    let mut vias = String::new();
    for hop in 0..20_000 {
        let _ = write!(vias, "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{hop}, ");
    }
    let text = with("Via: SIP/2.0/UDP", &format!("Via: {vias}SIP/2.0/UDP"));
    check(&text, &Taken);
    let broken = text.replacen("z9hG4bK19999,", "z9hG4bK19999;\"", 1);
    assert!(matches!(judge(broken.as_bytes()), Taken | Refused(_)));
    let lines = with("Via: SIP", &format!("{}Via: SIP", "Via: SIP/2.0/UDP h;branch=z9hG4bK2\r\n".repeat(480)));
    check(lines, &Taken);
}

#[test]
fn malformed_requests_are_answered_and_malformed_acks_and_responses_are_not() {
    let answer = |text: String| {
        let mut alone = Alone::new();
        alone.receive(&text);
        alone.sent().iter().map(|(_, message)| message.status()).collect::<Vec<_>>()
    };
    assert_eq!(answer(with("CSeq: 1 INVITE", "CSeq: x")), [Some(400)]);
    assert_eq!(answer(GOOD.replace("INVITE", "ACK").replace("1 ACK", "x")), []);
    assert_eq!(
        answer(GOOD.replace("INVITE sip:bob@example.org SIP/2.0", "SIP/2.0 200 OK").replace("1 INVITE", "x")),
        []
    );
}

/// Reads all there is to read.
fn read(message: &Message<&[u8]>) {
    for header in message.headers() {
        let _ = (NameAddr::parse(header.value), Via::parse(header.value), CSeq::parse(header.value));
        let _ = (RAck::parse(header.value), Uri::parse(header.value), DigestParams::parse(header.value));
        let _ = (message.number(header.name), message.text(header.name), message.lists(header.name, "x"));
        let params = Params(header.value);
        let _ = (params.iter().count(), params.value("tag"), message.elements(header.name).count());
        if let Ok(address) = NameAddr::parse(header.value) {
            let _ = (address.display_text(), address.user(), address.tag(), address.uri.host.ip());
        }
    }
    let _ = (message.body(), message.start_line(), message.detach(), sx_sip::session::description(message));
}

/// Lets an agent take bytes, make a session where it can, and time pass.
fn take(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    read(&message);
    let mut alone = Alone::new();
    let disposition = alone.agent.receive(alone.now, flow(BOB), &message);
    assert_eq!(matches!(disposition, Disposition::Malformed(_)), message.check().is_err());
    if disposition == Disposition::Request
        && message.method() == Some(Method::Invite)
        && let Ok(session) = alone.agent.accept(alone.now, flow(BOB), &message, 1)
    {
        alone.agent.progress(alone.now, session, 183, Some(bytes::Bytes::from_static(b"early")));
        alone.agent.answer(alone.now, session, None, &[]);
    }
    let _ = alone.sent();
    alone.pass(std::time::Duration::from_secs(200));
    for (_, message) in alone.sent() {
        message.check().unwrap_or_else(|defect| panic!("we sent {defect}: {message:?}"));
    }
    assert_eq!(alone.agent.sessions(), 0, "nobody acknowledged, so nothing stays");
}

/// A valid message with some of its bytes replaced, inserted or left out.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(b"\r\n \t:;,<>\"\\@=?%[]\0\xff0a/".to_vec());
    let byte = prop_oneof![3 => special, 1 => any::<u8>()];
    let edit = (any::<prop::sample::Index>(), byte, 0..3u8);
    let seeds = vec![
        GOOD.to_owned(),
        request("BYE", "9", 2, "Require: timer\r\n", ""),
        request("REFER", "9", 2, "Refer-To: <sip:c@x?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db>\r\n", ""),
        GOOD.replace("INVITE sip:bob@example.org SIP/2.0", "SIP/2.0 183 Session Progress"),
    ];
    (prop::sample::select(seeds), prop::collection::vec(edit, 1..12)).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (at, byte, kind) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_message_never_panics_nor_leaves_anything(bytes in mutated()) {
        take(&bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        take(&bytes);
        let mut bytes = bytes;
        bytes.splice(0..0, b"INVITE sip:a@b SIP/2.0\r\n".iter().copied());
        bytes.extend_from_slice(b"\r\n\r\n");
        take(&bytes);
    }

    #[test]
    fn what_is_written_reads_back_the_same(
        method in "[A-Z]{1,12}",
        uri in "sip:[a-z0-9%41+]{1,10}@[a-z0-9.-]{1,20}",
        headers in prop::collection::vec(("[A-Za-z0-9-]{1,40}", prop::collection::vec(any::<u8>(), 0..60)), 0..40),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut writer = Writer::request(&method, &uri);
        let mut expected = Vec::new();
        for (name, value) in &headers {
            // Content-Length is written by `finish`, and two that differ are refused.
            if HeaderName::from_bytes(name.as_bytes()) == HeaderName::ContentLength {
                continue;
            }
            writer.raw_header(name.as_bytes(), value);
            let clean: Vec<u8> = value.iter().map(|b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { *b }).collect();
            let kept = clean.iter().position(|b| !matches!(b, b' ' | b'\t')).map_or(&[][..], |start| {
                let end = clean.iter().rposition(|b| !matches!(b, b' ' | b'\t')).expect("not empty");
                &clean[start..=end]
            });
            expected.push((name.as_bytes().to_vec(), kept.to_vec()));
        }
        let message = Message::parse(writer.finish(Some(("x/y", &body)))).expect("what is written, parses");
        prop_assert_eq!(message.method_text(), method.as_bytes());
        prop_assert_eq!(message.request_uri(), uri.as_bytes());
        prop_assert_eq!(message.body(), &body[..]);
        let found: Vec<_> = message.headers().map(|h| (h.text.to_vec(), h.value.to_vec())).collect();
        prop_assert_eq!(&found[..expected.len()], &expected[..]);
    }
}

#[test]
fn a_stray_carriage_return_before_a_name_is_no_part_of_it() {
    let text = with("Subject: lunch", "\rSubject: lunch");
    let message = Message::parse(text.as_bytes()).expect("it parses");
    let names: Vec<_> = message.headers().map(|header| header.text).collect();
    assert!(names.contains(&&b"Subject"[..]), "{names:?}");
}
