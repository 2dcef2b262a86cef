//! Descriptions of one party rewritten for the other, and where each party is.

use proptest::prelude::*;
use sx_media::{
    Direction, Latch, MediaError, MediaKind, Opened, PortId, Profile, SessionVersion, TrafficClass, agreed_codec,
    agreed_sound, allow_codecs, check_offer, check_streams, relay_answer, relay_description, remote, streams,
    try_remote,
};
use sx_sdp::{Description, ParseError};
use sx_types::{Codec, PayloadType};

const VERSION: SessionVersion = SessionVersion { session: 99, version: 4 };

/// A party at 10.0.0.5, behind its `o=`, `s=`, session `c=` and `t=`.
fn party(rest: &str) -> String {
    format!("v=0\r\no=alice 7 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\n{rest}")
}

/// The same description as sent by us from 198.51.100.1.
fn ours(rest: &str) -> String {
    format!("v=0\r\no=- 99 4 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\n{rest}")
}

fn opened(port: u16) -> Option<Opened> {
    let at = |port: u16| ([198, 51, 100, 1], port).into();
    Some(Opened { port: PortId(port.into()), rtp: at(port), rtcp: at(port + 1) })
}

#[track_caller]
fn check_relay(rest: &str, ports: &[Option<Opened>], expected: &str) {
    let text = relay_description(party(rest).as_bytes(), ports, VERSION).expect("well formed");
    assert_eq!(String::from_utf8_lossy(&text), ours(expected));
}

#[track_caller]
fn check_answer(offer: &str, answer: &str, ports: &[Option<Opened>], expected: &str) {
    let text = relay_answer(party(answer).as_bytes(), party(offer).as_bytes(), ports, VERSION).expect("well formed");
    assert_eq!(String::from_utf8_lossy(&text), ours(expected));
}

#[test]
fn nothing_of_the_party_s_addresses_is_passed_on() {
    let rest = "a=ice-lite\r\na=group:BUNDLE a\r\nm=audio 4000 RTP/AVP 0 101\r\nc=IN IP4 10.0.0.6\r\n\
        a=rtcp:4003 IN IP4 10.0.0.6\r\na=candidate:1 1 UDP 1 10.0.0.6 4000 typ host\r\na=rtpmap:101 telephone-event/8000\r\n\
        m=video 0 RTP/AVP 31\r\nc=IN IP4 10.0.0.7\r\na=rtcp:4005 IN IP4 10.0.0.7\r\nm=image 4006 udptl t38\r\n";
    let expected = "m=audio 20000 RTP/AVP 0 101\r\nc=IN IP4 198.51.100.1\r\na=rtcp:20001 IN IP4 198.51.100.1\r\n\
        a=rtpmap:101 telephone-event/8000\r\nm=video 0 RTP/AVP 31\r\nc=IN IP4 198.51.100.1\r\nm=image 0 udptl t38\r\n";
    check_relay(rest, &[opened(20000), opened(20002)], expected);
}

#[test]
fn nothing_of_the_party_s_machine_is_passed_on() {
    let head = "v=0\r\no=alice 7 1 IN IP4 10.0.0.5\r\ns=pbx.inside.example\r\nc=IN IP4 10.0.0.5\r\nt=0 0\r\na=tool:pbx 1.2\r\n";
    let rest = "m=audio 4000 RTP/AVP 0\r\na=ssrc:1 cname:alice@pbx.inside.example\r\na=x-flags:10.0.0.5\r\n\
        m=message 7000 TCP/MSRP *\r\na=path:msrp://pbx.inside.example:7000/x;tcp\r\n";
    let text = relay_description(format!("{head}{rest}").as_bytes(), &[opened(20000)], VERSION).expect("well formed");
    let expected = "m=audio 20000 RTP/AVP 0\r\na=ssrc:1 cname:99-0\r\nm=message 0 TCP/MSRP *\r\n";
    assert_eq!(String::from_utf8_lossy(&text), ours(expected));
    let again = SessionVersion { version: 5, ..VERSION };
    let again = relay_description(format!("{head}{rest}").as_bytes(), &[opened(20000)], again).expect("well formed");
    assert!(String::from_utf8_lossy(&again).contains("cname:99-0\r\n"), "a source keeps its name");
}

#[test]
fn a_session_without_ports_hides_the_party_all_the_same() {
    let text = relay_description(party("m=audio 4000 RTP/AVP 0\r\n").as_bytes(), &[], VERSION).expect("well formed");
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("m=audio 0 RTP/AVP 0\r\n") && !text.contains("10.0.0.5"), "{text}");
}

#[test]
fn rtcp_on_another_port_than_the_next_is_said() {
    let ports = opened(20000).map(|opened| Opened { rtcp: ([198, 51, 100, 1], 30000).into(), ..opened });
    check_relay("m=audio 4000 RTP/AVP 0\r\n", &[ports], "m=audio 20000 RTP/AVP 0\r\na=rtcp:30000\r\n");
}

#[test]
fn rtcp_on_the_port_of_rtp_stays_on_it() {
    let rest = |port| format!("m=audio {port} RTP/AVP 0\r\na=rtcp-mux\r\na=rtcp:{port}\r\n");
    check_relay(&rest(4000), &[opened(20000)], &rest(20000));
}

#[test]
fn rtcp_mux_is_answered_as_it_was_offered() {
    let (plain, mux) = ("m=audio 4000 RTP/AVP 0\r\n", "m=audio 4000 RTP/AVP 0\r\na=rtcp:4001\r\na=rtcp-mux\r\n");
    let ports = [opened(20000)];
    check_answer(plain, plain, &ports, "m=audio 20000 RTP/AVP 0\r\n");
    check_answer(plain, mux, &ports, "m=audio 20000 RTP/AVP 0\r\na=rtcp:20001\r\n");
    check_answer(mux, plain, &ports, "m=audio 20000 RTP/AVP 0\r\na=rtcp-mux\r\n");
    check_answer(mux, mux, &ports, "m=audio 20000 RTP/AVP 0\r\na=rtcp-mux\r\n");
    let only = "m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n";
    check_relay(only, &ports, "m=audio 20000 RTP/AVP 0\r\na=rtcp-mux\r\n");
}

#[test]
fn an_answer_has_the_shape_of_its_offer() {
    let offer = "m=audio 4000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\nm=video 4004 RTP/AVP 32\r\n";
    let ports = [opened(20000), opened(20002), opened(20004)];
    let two = "m=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\n";
    check_answer(offer, two, &ports, "m=audio 20000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\nm=video 0 RTP/AVP 32\r\n");
    let more = relay_answer(party(offer).as_bytes(), party(two).as_bytes(), &ports, VERSION);
    assert_eq!(more, Err(MediaError::TooManyAnswered { answered: 3, offered: 2 }));
}

#[test]
fn hold_by_an_address_of_zeros_becomes_a_direction() {
    let held = "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n";
    let line = |direction| format!("m=audio 20000 RTP/AVP 0\r\nc=IN IP4 198.51.100.1\r\na={direction}\r\n");
    let ports = [opened(20000)];
    check_relay(held, &ports, &line("sendonly"));
    check_relay(&format!("{held}a=recvonly\r\n"), &ports, &line("inactive"));
    check_answer("m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n", held, &ports, &line("inactive"));
    check_answer("m=audio 4000 RTP/AVP 0\r\n", held, &ports, &line("sendonly"));
}

#[test]
fn hold_by_direction_is_passed_on_as_it_is() {
    //= https://www.rfc-editor.org/rfc/rfc4317#section-3.1
    //= type=test
    for direction in ["sendonly", "recvonly", "inactive", "sendrecv"] {
        let line = |port| format!("m=audio {port} RTP/AVP 0\r\na={direction}\r\n");
        check_relay(&line(4000), &[opened(20000)], &line(20000));
    }
}

#[test]
fn a_party_on_ipv4_is_described_to_one_on_ipv6() {
    let v6 = Opened {
        port: PortId(1),
        rtp: "[2001:db8::1]:20000".parse().expect("an address"),
        rtcp: "[2001:db8::1]:20001".parse().expect("an address"),
    };
    let text = relay_description(party("m=audio 4000 RTP/AVP 0\r\n").as_bytes(), &[Some(v6)], VERSION);
    let expected =
        "v=0\r\no=- 99 4 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0\r\n";
    assert_eq!(text.expect("well formed"), expected);
}

#[test]
fn the_peer_of_a_port_is_where_its_description_says() {
    let check = |rest: &str, rtp: &str, rtcp: &str, receives: bool, sends: bool| {
        let remote = remote(party(rest).as_bytes(), 0, Latch::Port).expect("an address");
        assert_eq!((remote.rtp.to_string(), remote.rtcp.to_string()), (rtp.to_owned(), rtcp.to_owned()), "{rest:?}");
        assert_eq!((remote.receives, remote.sends, remote.latch), (receives, sends, Latch::Port), "{rest:?}");
    };
    check("m=audio 4000 RTP/AVP 0\r\n", "10.0.0.5:4000", "10.0.0.5:4001", true, true);
    check("m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n", "10.0.0.5:4000", "10.0.0.5:4000", true, true);
    check("m=audio 4000 RTP/AVP 0\r\na=rtcp:9\r\na=sendonly\r\n", "10.0.0.5:4000", "10.0.0.5:9", false, true);
    check("m=audio 4000 RTP/AVP 0\r\na=recvonly\r\n", "10.0.0.5:4000", "10.0.0.5:4001", true, false);
    check("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", "0.0.0.0:4000", "0.0.0.0:4001", false, false);
    check("m=audio 65535 RTP/AVP 0\r\nc=IN IP6 ::1\r\n", "[::1]:65535", "[::1]:65535", true, true);
}

#[test]
fn the_sound_of_a_party_is_likely_the_first_codec_that_both_have() {
    let opus = "a=rtpmap:96 opus/48000/2\r\n";
    let check = |told: &str, said: &str, expected: Option<Codec>| {
        let found = agreed_sound(party(told).as_bytes(), party(said).as_bytes(), 0);
        assert_eq!(found, expected, "told {told:?}, said {said:?}");
    };
    let offer = format!("m=audio 4000 RTP/AVP 96 8 0 101\r\n{opus}a=rtpmap:101 telephone-event/8000\r\n");
    check("m=audio 5000 RTP/AVP 0 8\r\n", &offer, Some(Codec::Pcma));
    check(&offer.replace("96", "111"), &offer, Some(Codec::Opus));
    check("m=audio 5000 RTP/AVP 18\r\n", &offer, None);
    check("m=audio 0 RTP/AVP 0\r\n", "m=audio 0 RTP/AVP 0\r\n", None);
    check("m=video 5000 RTP/AVP 34\r\n", "m=video 4000 RTP/AVP 34\r\n", None);
    // As long as nothing was told, it is what the party likes best.
    let codec = |rest: &str| remote(party(rest).as_bytes(), 0, Latch::Port).and_then(|remote| remote.codec);
    assert_eq!(codec(&offer), Some(Codec::Opus));
    assert_eq!(codec("m=audio 4000 RTP/AVP 13 101 18\r\na=rtpmap:101 telephone-event/8000\r\n"), Some(Codec::G729));
    assert_eq!(codec("m=video 4000 RTP/AVP 97\r\na=rtpmap:97 VP8/90000\r\n"), None);
}

#[test]
fn who_lists_voip_metrics_wants_them_of_a_stream_or_of_all() {
    let wants = |text: &str| remote(text.as_bytes(), 0, Latch::Port).map(|remote| remote.wants_metrics);
    let audio = "m=audio 4000 RTP/AVP 0\r\n";
    assert_eq!(wants(&party(audio)), Some(false));
    assert_eq!(wants(&party(&format!("{audio}a=rtcp-xr:rcvr-rtt=all:1500 voip-metrics\r\n"))), Some(true));
    assert_eq!(wants(&party(&format!("a=rtcp-xr:voip-metrics\r\n{audio}"))), Some(true));
    // What a stream says goes before what the session says.
    assert_eq!(wants(&party(&format!("a=rtcp-xr:voip-metrics\r\n{audio}a=rtcp-xr:pkt-loss-rle\r\n"))), Some(false));
}

#[test]
fn a_stream_without_a_usable_address_has_no_peer_and_says_why() {
    let check = |text: &str, stream: usize, expected: MediaError| {
        let nat = Latch::Nat([203, 0, 113, 9].into());
        assert_eq!(try_remote(text.as_bytes(), stream, nat), Err(expected), "{text:?}");
        assert_eq!(remote(text.as_bytes(), stream, nat), None);
    };
    check(&party("m=audio 0 RTP/AVP 0\r\n"), 0, MediaError::Refused { stream: 0 });
    check(&party("m=audio 4000 RTP/AVP 0\r\n"), 1, MediaError::NoSuchStream { stream: 1 });
    let by_name = party("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 host.example.com\r\n");
    check(&by_name, 0, MediaError::AddressNotNumeric { stream: 0 });
    assert_eq!(streams(by_name.as_bytes()).expect("well formed")[0].address, None);
    let without = "v=0\r\no=- 1 1 IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\n";
    check(without, 0, MediaError::NoAddress { stream: 0 });
    check("hello", 0, MediaError::Description(ParseError::NotALine { line: 1 }));
}

#[test]
fn an_offer_has_a_stream_that_can_be_relayed_and_all_of_rtp_can() {
    let check = |rest: &str, expected: Result<(), MediaError>| {
        assert_eq!(check_offer(party(rest).as_bytes()), expected, "{rest:?}");
    };
    check("m=audio 4000 RTP/AVP 0\r\nm=image 4004 udptl t38\r\n", Ok(()));
    check("m=audio 0 RTP/AVP 0\r\n", Ok(()));
    check("", Ok(()));
    check("m=audio 4000 TCP/TLS/RTP/SAVP 0\r\n", Err(MediaError::NothingRelayed));
    check("m=audio 0 RTP/AVP 0\r\nm=image 4004 udptl t38\r\n", Err(MediaError::NothingRelayed));
    for (rest, wrong) in [
        ("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 999.9.9.9\r\n", MediaError::AddressNotNumeric { stream: 0 }),
        ("m=audio 4000 RTP/AVP 200 abc\r\n", MediaError::NoPayloadType { stream: 0 }),
    ] {
        check(rest, Err(wrong));
        assert_eq!(check_streams(party(rest).as_bytes()), Err(wrong), "nor is it an answer");
    }
    assert_eq!(check_streams(party("m=image 4004 udptl t38\r\n").as_bytes()), Ok(()));
}

#[test]
fn streams_are_summed_up() {
    let text = party(
        "m=audio 4000 RTP/SAVP 8 96 101\r\na=rtpmap:96 speex/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n\
         a=rtcp-mux\r\nm=video 0 RTP/AVP 31\r\nc=IN IP6 2001:db8::5\r\nm=image 4004 udptl t38\r\n",
    );
    let streams = streams(text.as_bytes()).expect("well formed");
    let [audio, video, fax] = streams.as_slice() else { panic!("three streams") };
    assert_eq!((audio.kind, audio.port, audio.rejected, audio.ipv6), (MediaKind::Audio, 4000, false, false));
    assert_eq!((audio.direction, audio.held, audio.rtcp_mux), (Direction::SendOnly, true, true));
    assert_eq!(
        (audio.profile, audio.is_secure(), audio.traffic_class()),
        (Profile::SecureRtp, true, TrafficClass::Audio)
    );
    let codecs: Vec<_> = audio.codecs.iter().map(|codec| (codec.payload_type, codec.codec)).collect();
    let expected =
        [(PayloadType(8), Some(Codec::Pcma)), (PayloadType(96), None), (PayloadType(101), Some(Codec::TelephoneEvent))];
    assert_eq!(codecs, expected);
    assert_eq!((video.kind, video.rejected, video.ipv6, video.address), (MediaKind::Video, true, true, None));
    assert_eq!(video.traffic_class(), TrafficClass::Video);
    assert_eq!((fax.kind, fax.profile, fax.codecs.len()), (MediaKind::Image, Profile::Other, 0));
}

#[test]
fn the_agreed_codec_is_the_first_that_carries_sound() {
    let check = |rest: &str, expected: Option<Codec>| {
        assert_eq!(agreed_codec(party(rest).as_bytes()), expected, "{rest:?}");
    };
    check("m=audio 4000 RTP/AVP 101 13 8 0\r\na=rtpmap:101 telephone-event/8000\r\n", Some(Codec::Pcma));
    check("m=audio 0 RTP/AVP 0\r\nm=video 4000 RTP/AVP 31\r\nm=audio 4002 RTP/AVP 9\r\n", Some(Codec::G722));
    check("m=audio 0 RTP/AVP 0\r\n", None);
    check("m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n", None);
    check("nonsense\r\n", None);
}

#[test]
fn the_version_that_follows_is_of_the_same_session() {
    assert_eq!(VERSION.next(), SessionVersion { session: 99, version: 5 });
}

fn any_description() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "m=(audio|video|image) [0-9]{1,4} (RTP/AVP|RTP/SAVP|udptl)( [0-9]{1,3}){1,4}",
        "a=(rtcp:10\\.0\\.0\\.5|rtcp:[0-9]{1,4}( IN IP4 10\\.0\\.0\\.5)?|rtcp-mux|sendonly|inactive|mid:x)",
        "a=(candidate|ice-ufrag|remote-candidates):1 1 UDP 1 10\\.0\\.0\\.5 4000",
        "c=IN IP4 (10\\.0\\.0\\.5|0\\.0\\.0\\.0)",
    ];
    proptest::collection::vec(line, 0..20)
        .prop_map(|lines| party(&lines.iter().map(|line| format!("{line}\r\n")).collect::<String>()))
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (streams(&bytes), agreed_codec(&bytes), remote(&bytes, 0, Latch::Exact));
        let _ = (relay_description(&bytes, &[opened(2)], VERSION), relay_answer(&bytes, &bytes, &[], VERSION));
    }

    #[test]
    fn what_is_relayed_has_our_addresses_and_only_live_streams(text in any_description(), ports in 0usize..20) {
        let ports: Vec<_> = (0..ports).map(|port| opened(20_000 + 2 * port as u16)).collect();
        let relayed = relay_description(text.as_bytes(), &ports, VERSION).expect("well formed");
        prop_assert!(!String::from_utf8_lossy(&relayed).contains("10.0.0.5"));
        let (before, after) = (streams(text.as_bytes()).expect("well formed"), streams(&relayed).expect("well formed"));
        prop_assert_eq!(before.len(), after.len());
        for (stream, (before, after)) in before.iter().zip(&after).enumerate() {
            let port = ports.get(stream).copied().flatten().filter(|_| !before.rejected);
            prop_assert_eq!(after.address, port.map(|opened| opened.rtp));
            prop_assert_eq!(&after.codecs, &before.codecs);
            prop_assert!(after.held == before.held || after.rejected);
        }
    }

    #[test]
    fn a_relayed_answer_fits_its_offer(offer in any_description(), answer in any_description()) {
        let ports: Vec<_> = (0..20).map(|port| opened(20_000 + 2 * port)).collect();
        let Ok(relayed) = relay_answer(answer.as_bytes(), offer.as_bytes(), &ports, VERSION) else { return Ok(()) };
        let (relayed, offer) = (Description::parse(&relayed).expect("well formed"), Description::parse(offer.as_bytes()).expect("well formed"));
        prop_assert_eq!(relayed.media().len(), offer.media().len());
        for (answered, asked) in relayed.media().zip(offer.media()) {
            prop_assert!(answered.is_rejected() || !asked.is_rejected());
            prop_assert!(answered.is_rejected() || answered.rtcp_mux() == asked.rtcp_mux());
        }
    }
}

#[test]
fn codecs_that_are_not_allowed_go_and_a_stream_without_any_is_refused() {
    let check = |rest: &str, expected: Result<&str, MediaError>| {
        let text = allow_codecs(&party(rest).into(), &[Codec::Pcma, Codec::TelephoneEvent]);
        let text = text.map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(text, expected.map(party));
    };
    check(
        "m=audio 4 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\nm=video 6 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n",
        Ok(
            "m=audio 4 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n",
        ),
    );
    check("m=audio 4 RTP/AVP 8\r\n", Ok("m=audio 4 RTP/AVP 8\r\n"));
    check("m=image 4 udptl t38\r\n", Ok("m=image 4 udptl t38\r\n"));
    check("m=audio 0 RTP/AVP 0\r\n", Ok("m=audio 0 RTP/AVP 0\r\n"));
    check("m=audio 4 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n", Err(MediaError::NothingAllowed));
}
