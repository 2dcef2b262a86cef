//! What is read out of descriptions, the examples of the RFCs among them.

use sx_sdp::{Description, Direction, Host, Limits, MediaKind, ParseError, Profile};
use sx_types::{Codec, PayloadType};

/// RFC 8866, section 5 (and RFC 4566 before it).
const SEMINAR: &str = "v=0\r\no=jdoe 2890844526 2890842807 IN IP4 10.47.16.5\r\ns=SDP Seminar\r\n\
    i=A Seminar on the session description protocol\r\nu=http://www.example.com/seminars/sdp.pdf\r\n\
    e=j.doe@example.com (Jane Doe)\r\nc=IN IP4 224.2.17.12/127\r\nt=2873397496 2873404696\r\na=recvonly\r\n\
    m=audio 49170 RTP/AVP 0\r\nm=video 51372 RTP/AVP 99\r\na=rtpmap:99 h263-1998/90000\r\n";

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

fn with_head(rest: &str) -> String {
    format!("{HEAD}{rest}")
}

#[test]
fn the_seminar_of_rfc_8866_reads() {
    let description = Description::parse(SEMINAR.as_bytes()).expect("an example of the RFC");
    let origin = description.origin();
    assert_eq!((origin.username, origin.session), (&b"jdoe"[..], &b"2890844526"[..]));
    assert_eq!(origin.version_number(), Some(2_890_842_807));
    assert_eq!(origin.host.ip(), Some([10, 47, 16, 5].into()));
    assert_eq!(description.connection().and_then(|c| c.host.ip()), Some([224, 2, 17, 12].into()));
    assert_eq!(description.direction(), Some(Direction::RecvOnly));
    let media: Vec<_> = description.media().collect();
    assert_eq!((media[0].kind(), media[0].port(), media[0].port_count()), (MediaKind::Audio, 49170, 1));
    assert_eq!((media[1].kind(), media[1].port()), (MediaKind::Video, 51372));
    assert_eq!(media[0].direction(), Direction::RecvOnly);
    let video: Vec<_> = media[1].codecs().collect();
    assert_eq!((video[0].codec, video[0].encoding, video[0].clock_hz), (None, &b"h263-1998"[..], 90_000));
}

#[test]
fn static_types_need_no_rtpmap_and_an_rtpmap_wins() {
    let text = with_head(
        "m=audio 4000 RTP/AVP 8 0 18 96 101 x 999\r\na=rtpmap:96 OPUS/48000/2\r\na=fmtp:96 useinbandfec=1\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=rtpmap:18 L16/8000\r\n",
    );
    let description = Description::parse(text.as_bytes()).expect("well formed");
    let audio = description.media_at(0).expect("one stream");
    let codecs: Vec<_> = audio.codecs().map(|format| (format.payload_type.0, format.codec, format.channels)).collect();
    let expected = [
        (8, Some(Codec::Pcma), 1),
        (0, Some(Codec::Pcmu), 1),
        (18, Some(Codec::L16), 1),
        (96, Some(Codec::Opus), 2),
        (101, Some(Codec::TelephoneEvent), 1),
    ];
    assert_eq!(codecs, expected);
    assert_eq!(audio.fmtp(PayloadType(96)), Some(&b"useinbandfec=1"[..]));
    assert_eq!(audio.fmtp(PayloadType(8)), None);
    assert_eq!(audio.formats().count(), 7);
}

#[test]
fn direction_comes_from_the_section_then_the_session_then_is_both_ways() {
    let check = |session: &str, media: &str, expected: Direction| {
        let text = format!("{HEAD}{session}m=audio 4000 RTP/AVP 0\r\n{media}");
        let description = Description::parse(text.as_bytes()).expect("well formed");
        let audio = description.media_at(0).expect("one stream");
        assert_eq!(audio.direction(), expected, "{session:?} {media:?}");
        assert_eq!(audio.is_held(), !expected.receives());
    };
    check("", "", Direction::SendRecv);
    check("a=sendonly\r\n", "", Direction::SendOnly);
    check("a=sendonly\r\n", "a=inactive\r\n", Direction::Inactive);
    check("a=inactive\r\n", "a=sendrecv\r\n", Direction::SendRecv);
    check("", "a=recvonly \r\n", Direction::RecvOnly);
    check("", "a=recvonlyx\r\n", Direction::SendRecv);
}

#[test]
fn an_address_of_zeros_is_hold() {
    for zeros in ["IN IP4 0.0.0.0", "IN IP6 ::"] {
        let text = with_head(&format!("m=audio 4000 RTP/AVP 0\r\nc={zeros}\r\n"));
        let description = Description::parse(text.as_bytes()).expect("well formed");
        assert!(description.media_at(0).expect("one stream").is_held(), "{zeros}");
    }
}

#[test]
fn rtcp_goes_where_the_description_says() {
    let check = |lines: &str, expected: &str| {
        let text = with_head(&format!("m=audio 4000 RTP/AVP 0\r\n{lines}"));
        let description = Description::parse(text.as_bytes()).expect("well formed");
        let address = description.media_at(0).expect("one stream").rtcp_address();
        assert_eq!(address, Some(expected.parse().expect("an address")), "{lines:?}");
    };
    check("", "192.0.2.1:4001");
    check("a=rtcp:53020\r\n", "192.0.2.1:53020");
    check("a=rtcp:53020 IN IP4 126.16.64.4\r\n", "126.16.64.4:53020");
    check("a=rtcp:53020 IN IP6 2001:db8::1\r\n", "[2001:db8::1]:53020");
    check("a=rtcp:53020\r\na=rtcp-mux\r\n", "192.0.2.1:4000");
    check("c=IN IP6 2001:db8::2\r\n", "[2001:db8::2]:4001");
    check("a=rtcp:99999\r\n", "192.0.2.1:4001");
}

#[test]
fn addresses_by_name_are_names() {
    let text = with_head("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 host.example.com\r\n");
    let description = Description::parse(text.as_bytes()).expect("well formed");
    let audio = description.media_at(0).expect("one stream");
    assert_eq!(audio.connection().map(|c| c.host), Some(Host::Name(b"host.example.com")));
    assert_eq!((audio.rtp_address(), audio.rtcp_address()), (None, None));
}

#[test]
fn profiles_and_keys_are_told_apart() {
    let check = |protocol: &str, profile: Profile, secure: bool| {
        let text = with_head(&format!("m=audio 4000 {protocol} 0\r\n"));
        let description = Description::parse(text.as_bytes()).expect("well formed");
        let media = description.media_at(0).expect("one stream");
        assert_eq!((media.profile(), media.profile().is_secure()), (profile, secure), "{protocol}");
    };
    check("RTP/AVP", Profile::Rtp, false);
    check("rtp/avpf", Profile::Rtp, false);
    check("RTP/SAVP", Profile::SecureRtp, true);
    check("UDP/TLS/RTP/SAVPF", Profile::DtlsRtp, true);
    check("udptl", Profile::Other, false);

    let text = with_head(
        "a=fingerprint:sha-256 AA\r\na=ice-ufrag:x\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n\
         a=ptime:30\r\nm=audio 5000/2 RTP/AVP 0\r\n",
    );
    let description = Description::parse(text.as_bytes()).expect("well formed");
    let media: Vec<_> = description.media().collect();
    assert!(media[0].has_crypto() && media[0].has_fingerprint() && media[0].has_ice());
    assert_eq!((media[0].ptime_ms(), media[1].ptime_ms()), (Some(30), None));
    assert_eq!((media[1].has_crypto(), media[1].port_count()), (false, 2));
}

#[test]
fn untidy_descriptions_are_read() {
    for text in [
        "v=0\no=- 1 1 IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.1",
        "v=0\r\n\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nX=what\r\nm=audio  4000  RTP/AVP  0 \r\n\r\n\0",
        "v=0 \no=My Phone 1 1 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\na=\nm=audio 4000 RTP/AVP 0\na=\r",
    ] {
        let description = Description::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let audio = description.media_at(0).expect("one stream");
        assert_eq!(audio.rtp_address(), Some("192.0.2.1:4000".parse().expect("an address")), "{text:?}");
    }
    assert!(Description::parse(b"v=0\no=- 1 1 IN IP4 192.0.2.1\na=x:\xff\xfe\n").is_ok());
    assert!(Description::parse(b"v=0\no=- 1 1 IN IP4 192.0.2.1\nm=audio 0 RTP/AVP\n").is_ok());
}

#[test]
fn what_is_no_description_is_named() {
    let check = |text: &str, expected: ParseError| {
        assert_eq!(Description::parse(text.as_bytes()).err(), Some(expected), "{text:?}");
    };
    check("", ParseError::Version { line: 1 });
    check("\r\n\r\n", ParseError::Version { line: 1 });
    check("v=1\r\n", ParseError::Version { line: 1 });
    check("o=- 1 1 IN IP4 x\r\nv=0\r\n", ParseError::Version { line: 1 });
    check("v=0\r\nv=0\r\n", ParseError::Version { line: 2 });
    check("v=0\r\ns=-\r\n", ParseError::NoOrigin);
    check("v=0\r\no=- 1 1 IN IP4\r\n", ParseError::Origin { line: 2 });
    check("v=0\r\no=- 1 1 IN IP4 x\r\no=- 1 1 IN IP4 x\r\n", ParseError::Origin { line: 3 });
    check(&with_head("c=IN IP4\r\n"), ParseError::Connection { line: 6 });
    check(&with_head("m=audio\r\n"), ParseError::Media { line: 6 });
    check(&with_head("m=audio 65536 RTP/AVP 0\r\n"), ParseError::Media { line: 6 });
    check(&with_head("m=audio -1 RTP/AVP 0\r\n"), ParseError::Media { line: 6 });
    check(&with_head("m=audio 4000 RTP/AVP\r\n"), ParseError::Media { line: 6 });
    check(&with_head("no line\r\n"), ParseError::NotALine { line: 6 });
    check(&with_head(" a=x\r\n"), ParseError::NotALine { line: 6 });
    check(&with_head("a=x\ra=y\r\n"), ParseError::ForbiddenByte { line: 6 });
    check(&with_head("a=x\0\r\n"), ParseError::ForbiddenByte { line: 6 });
}

#[test]
fn every_limit_holds() {
    let limits = Limits { bytes: 500, lines: 12, media: 2, formats: 3 };
    let check = |rest: &str, expected: Option<ParseError>| {
        assert_eq!(Description::parse_within(with_head(rest).as_bytes(), &limits).err(), expected, "{rest:?}");
    };
    check(&"a=x\r\n".repeat(7), None);
    check(&"a=x\r\n".repeat(8), Some(ParseError::TooManyLines { limit: 12 }));
    check(&"\r\n".repeat(8), Some(ParseError::TooManyLines { limit: 12 }));
    check(&"m=audio 1 RTP/AVP 0\r\n".repeat(2), None);
    check(&"m=audio 1 RTP/AVP 0\r\n".repeat(3), Some(ParseError::TooManyMedia { limit: 2 }));
    check("m=audio 1 RTP/AVP 0 1 2\r\n", None);
    check("m=audio 1 RTP/AVP 0 1 2 3\r\n", Some(ParseError::TooManyFormats { line: 6, limit: 3 }));
    check(&format!("a={}\r\n", "x".repeat(500)), Some(ParseError::TooLong { limit: 500 }));
}

#[test]
fn the_default_limits_are_those_documented() {
    let expected = Limits { bytes: 65_536, lines: 1_000, media: 64, formats: 128 };
    assert_eq!(Limits::default(), expected);
}
