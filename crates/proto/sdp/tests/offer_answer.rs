//! Offers, and answers to the offers of the RFCs.

use sx_sdp::{AnswerError, Description, Direction, OurFormat, Ours, answer, offer};
use sx_types::{Codec, PayloadType};

fn ours() -> Ours {
    Ours {
        session: 42,
        version: 1,
        rtp: "192.0.2.7:49920".parse().expect("an address"),
        formats: vec![OurFormat::PCMU, OurFormat::PCMA, OurFormat::TELEPHONE_EVENT],
        direction: Direction::SendRecv,
        ptime_ms: 20,
    }
}

fn answered(text: &str, ours: &Ours) -> String {
    let offer = Description::parse(text.as_bytes()).expect("well formed");
    let answered = answer(&offer, ours).expect("something in common");
    String::from_utf8(answered.text).expect("text")
}

fn media_part(text: &str) -> &str {
    &text[text.find("m=").expect("a stream")..]
}

#[test]
fn an_offer_names_each_format() {
    let text = String::from_utf8(offer(&ours())).expect("text");
    let expected = "v=0\r\no=- 42 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
        m=audio 49920 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";
    assert_eq!(text, expected);
}

#[test]
fn the_basic_exchange_of_rfc_3264_refuses_the_video() {
    //= https://www.rfc-editor.org/rfc/rfc3264#section-10.1
    //= type=test
    let alice = "v=0\r\no=alice 2890844526 2890844526 IN IP4 host.anywhere.com\r\ns=\r\nc=IN IP4 host.anywhere.com\r\n\
        t=0 0\r\nm=audio 49170 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\nm=video 51372 RTP/AVP 31\r\n\
        a=rtpmap:31 H261/90000\r\nm=video 53000 RTP/AVP 32\r\na=rtpmap:32 MPV/90000\r\n";
    let text = answered(alice, &ours());
    let expected = "m=audio 49920 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n\
        m=video 0 RTP/AVP 31\r\nm=video 0 RTP/AVP 32\r\n";
    assert_eq!(media_part(&text), expected);
}

#[test]
fn one_of_n_codecs_of_rfc_4317_keeps_the_order_of_the_offer() {
    //= https://www.rfc-editor.org/rfc/rfc4317#section-2.1
    //= type=test
    let alice = "v=0\r\no=alice 2890844526 2890844526 IN IP4 host.atlanta.example.com\r\ns=\r\n\
        c=IN IP4 host.atlanta.example.com\r\nt=0 0\r\nm=audio 49170 RTP/AVP 97 8 0\r\na=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:8 PCMA/8000\r\na=rtpmap:97 iLBC/8000\r\nm=video 51372 RTP/AVP 31 32\r\na=rtpmap:31 H261/90000\r\n\
        a=rtpmap:32 MPV/90000\r\n";
    let text = answered(alice, &ours());
    assert!(media_part(&text).starts_with("m=audio 49920 RTP/AVP 8 0\r\n"), "{text}");
    assert!(text.ends_with("m=video 0 RTP/AVP 31 32\r\n"), "{text}");
}

#[test]
fn the_second_audio_stream_is_taken_when_the_first_cannot_be() {
    //= https://www.rfc-editor.org/rfc/rfc4317#section-2.4
    //= type=test
    let alice = "v=0\r\no=alice 1 1 IN IP4 192.0.2.1\r\ns=\r\nc=IN IP4 192.0.2.1\r\nt=3 4\r\n\
        m=audio 49170 RTP/AVP 97\r\na=rtpmap:97 iLBC/8000\r\nm=audio 49172 RTP/AVP 0 98\r\n\
        a=rtpmap:98 telephone-event/8000\r\nm=audio 49174 RTP/AVP 0\r\n";
    let offer = Description::parse(alice.as_bytes()).expect("well formed");
    let answered = answer(&offer, &ours()).expect("something in common");
    let chosen = answered.chosen.expect("a stream");
    assert_eq!((chosen.stream, chosen.codec, chosen.payload_type), (1, Codec::Pcmu, PayloadType(0)));
    assert_eq!(chosen.telephone_event, Some(PayloadType(98)));
    assert_eq!(chosen.rtp, Some("192.0.2.1:49172".parse().expect("an address")));
    let text = String::from_utf8(answered.text).expect("text");
    assert!(text.contains("\r\nt=3 4\r\n"));
    let expected = "m=audio 0 RTP/AVP 97\r\nm=audio 49920 RTP/AVP 0 98\r\na=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:98 telephone-event/8000\r\na=fmtp:98 0-15\r\na=ptime:20\r\na=sendrecv\r\nm=audio 0 RTP/AVP 0\r\n";
    assert_eq!(media_part(&text), expected);
}

#[test]
fn the_direction_mirrors_the_offer_within_our_own() {
    //= https://www.rfc-editor.org/rfc/rfc3264#section-6.1
    //= type=test
    let check = |offered: &str, own: Direction, expected: &str| {
        let alice = format!(
            "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na={offered}\r\n"
        );
        let text = answered(&alice, &Ours { direction: own, ..ours() });
        assert!(text.ends_with(&format!("a={expected}\r\n")), "{offered} {own:?}: {text}");
    };
    check("sendrecv", Direction::SendRecv, "sendrecv");
    check("sendonly", Direction::SendRecv, "recvonly");
    check("recvonly", Direction::SendRecv, "sendonly");
    check("inactive", Direction::SendRecv, "inactive");
    check("sendrecv", Direction::SendOnly, "sendonly");
    check("sendonly", Direction::SendOnly, "inactive");
}

#[test]
fn nothing_in_common_is_no_answer() {
    let check = |media: &str| {
        let alice = format!("v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}");
        let offer = Description::parse(alice.as_bytes()).expect("well formed");
        assert_eq!(answer(&offer, &ours()), Err(AnswerError::NothingInCommon), "{media:?}");
    };
    check("m=video 4000 RTP/AVP 31\r\n");
    check("m=audio 0 RTP/AVP 0\r\n");
    check("m=audio 4000 RTP/SAVP 0\r\n");
    check("m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n");
    check("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/16000\r\n");
}

#[test]
fn an_offer_without_streams_is_answered_without_streams() {
    let text = answered("v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n", &ours());
    assert!(!text.contains("m="), "{text}");
}
