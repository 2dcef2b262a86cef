//! Calls whose parties share no codec, or are to have others than they would agree on, as a proxy asks for it.

mod driver;

use driver::{Answered, KEY, World, list, sdp, text};
use sx_bind_ng::Settings;
use sx_media::{Coding, Conversion};
use sx_ng::{Dictionary, Value};
use sx_types::{Codec, PayloadType};

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";
const CODABLE: [Codec; 4] = [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu];

/// What a proxy says besides call, tags and description.
type Wishes<'a> = &'a [(&'a str, Value<'static>)];

fn engine() -> World {
    World::with(Settings { codable: CODABLE.into(), ..Settings::default() })
}

/// A stream of sound with these payload types, as parties in these tests use them.
fn audio(numbers: &str) -> String {
    let maps = numbers.split(' ').map(|number| {
        let encoding = match number {
            "0" => "PCMU/8000",
            "8" => "PCMA/8000",
            "9" => "G722/8000",
            "18" => "G729/8000",
            "96" | "111" => "opus/48000/2",
            "97" => "telephone-event/48000",
            "99" => "AMR/8000",
            _ => "telephone-event/8000",
        };
        format!("a=rtpmap:{number} {encoding}\r\n")
    });
    format!("m=audio 40000 RTP/AVP {numbers}\r\n{}", maps.collect::<String>())
}

/// The payload types of the first stream.
fn numbers(told: &Answered) -> String {
    let sdp = told.sdp();
    let line = sdp.lines().find(|line| line.starts_with("m=")).expect("media");
    line.splitn(4, ' ').nth(3).expect("payload types").to_owned()
}

/// `strip=all transcode=opus,PCMA` as a dictionary.
fn codec(wishes: &str) -> (&'static str, Value<'static>) {
    let mut dictionary = Dictionary::default();
    for (name, codecs) in wishes.split(' ').filter_map(|wish| wish.split_once('=')) {
        dictionary.set(name.to_owned(), list(&codecs.split(',').collect::<Vec<_>>()));
    }
    ("codec", Value::Dictionary(dictionary))
}

/// What B is told of an offer, and A of answers to it, each in a call of its own.
#[track_caller]
fn check(wishes: Wishes<'_>, offer: &str, told: &str, answers: &[(&str, &str)]) {
    for (answer, expected) in answers {
        let mut world = engine();
        let to_b = world.offer(&sdp(A, &audio(offer)), wishes);
        assert_eq!(numbers(&to_b), told, "{offer} with {wishes:?}");
        let to_a = world.answer(&sdp(B, &audio(answer)), &[]);
        assert_eq!(numbers(&to_a), *expected, "{answer} to {offer} with {wishes:?}");
    }
}

// What is expected here is what rtpengine 10.5 does, but where a comment says otherwise.

#[test]
fn transcode_adds_what_can_be_made_and_the_answer_is_mapped_back() {
    let opus = [codec("transcode=opus")];
    let answers = [("96 101", "0 101"), ("0 101", "0 101"), ("0 96 101", "0 101"), ("96 0", "0"), ("96", "0")];
    check(&opus, "0 101", "0 96 97 101", &answers);
    check(&[("flags", list(&["transcode-opus"]))], "0 101", "0 96 97 101", &answers);
    check(&[("flags", list(&["codec-transcode-opus"]))], "0 101", "0 96 97 101", &answers);
    let answers = [("96", "0"), ("9", "0"), ("8", "8"), ("96 0 8", "0 8"), ("8 0", "8 0")];
    check(&[codec("transcode=opus,G722")], "0 8 101", "0 8 96 9 97 101", &answers);
    check(&[codec("transcode=PCMA")], "96 0", "96 0 8", &[("8", "96"), ("0", "0")]);
    // Events with the clock of what is answered come back with that of what they stand beside.
    check(&opus, "0 101", "0 96 97 101", &[("96 97", "0 101")]);
    // A number that means something else is left alone.
    check(&[codec("transcode=PCMU")], "96", "96 0", &[("0", "96")]);
}

#[test]
fn what_is_offered_already_is_not_made() {
    let mut world = engine();
    assert_eq!(numbers(&world.offer(&sdp(A, &audio("0 8 101")), &[codec("transcode=PCMA")])), "0 8 101");
    world.answer(&sdp(B, &audio("8")), &[]);
    assert!(world.conversions.is_empty());
}

#[test]
fn what_is_masked_is_not_offered_and_may_be_answered() {
    check(&[codec("mask=PCMU")], "0 8 101", "8 101", &[("8 101", "8 101")]);
    // rtpengine takes out 101 with the last codec of 8 kHz; telephones that have Opus often have no other events.
    check(&[codec("mask=PCMU transcode=opus")], "0 101", "96 97 101", &[("96", "0"), ("96 101", "0 101")]);
    let flags = [("flags", list(&["codec-mask-PCMU", "codec-transcode-opus"]))];
    check(&flags, "0 101", "96 97 101", &[("96", "0")]);
    let answers = [("96", "0"), ("8 101", "8 101"), ("8 96", "8 0"), ("96 8", "0 8")];
    check(&[codec("mask=PCMU transcode=opus")], "0 8 101", "8 96 97 101", &answers);
    check(&[codec("mask=all transcode=opus")], "0 8 101", "96", &[("96", "0")]);
    check(&[codec("mask=all transcode=PCMA,opus")], "0 8 101", "8 96", &[("96", "0"), ("8", "8")]);
    check(&[codec("mask=full transcode=PCMA")], "0 8 101", "8", &[("8", "8")]);
    check(&[codec("mask=opus transcode=PCMU")], "96 101", "0 101", &[("0 101", "96 101")]);
}

#[test]
fn what_is_stripped_is_neither_offered_nor_answered() {
    check(&[codec("strip=PCMU transcode=opus")], "0 8 101", "8 96 97 101", &[("96", "8"), ("8", "8")]);
    check(&[codec("strip=all transcode=opus,PCMA")], "0 8 101", "96 8", &[("96", "8"), ("8", "8"), ("96 8", "8")]);
    // Who strips everything strips nothing of what the author may use.
    check(&[codec("strip=all transcode=opus")], "0 8 101", "96", &[("96", "0")]);
    check(&[codec("strip=full transcode=PCMA")], "0 8 101", "8", &[("8", "8")]);
    check(&[codec("strip=PCMU transcode=PCMU")], "0 8", "8 0", &[("0", "8"), ("8", "8")]);
}

#[test]
fn what_is_named_comes_back_and_in_the_order_of_the_list() {
    check(&[codec("strip=all offer=G722,PCMU")], "0 8 9 101", "9 0", &[("9 0", "9 0")]);
    check(&[codec("strip=all except=G722,PCMU")], "0 8 9 101", "0 9", &[("9 0", "9 0")]);
    check(&[codec("offer=G722,PCMU")], "0 8 9 101", "0 8 9 101", &[("9 0", "9 0")]);
    let flags = [("flags", list(&["codec-strip-all", "codec-except-PCMA", "codec-offer-PCMU"]))];
    check(&flags, "0 8 9 101", "8 0", &[("8", "8")]);
    check(&[codec("strip=all offer=G722,PCMA,PCMU")], "0 8 9", "9 8 0", &[("9", "9")]);
}

#[test]
fn what_is_accepted_or_consumed_is_answered_whatever_the_other_takes() {
    check(&[codec("accept=PCMU")], "0 8 101", "0 8 101", &[("8 101", "0 101"), ("0 101", "0 101"), ("0 8", "0")]);
    check(&[codec("accept=PCMA")], "0 8 101", "0 8 101", &[("8 101", "8 101"), ("0 101", "8 101")]);
    check(&[codec("consume=PCMA")], "8 0 101", "0 101", &[("0", "8")]);
    let always = [("flags", list(&["always-transcode"]))];
    // rtpengine answers with events too where the other has none, and sounds them; here nothing would hear them.
    check(&always, "0 8 101", "0 8 101", &[("8 101", "0 101"), ("0 8", "0"), ("0 101", "0 101")]);
    check(&[("flags", list(&["codec-accept-all"]))], "0 8", "0 8", &[("8", "0")]);
}

#[test]
fn what_cannot_be_coded_is_refused_or_left_out() {
    let mut world = engine();
    for name in ["G729", "AMR", "AMR-WB/16000/1/23850", "opus/16000", "telephone-event", "H264"] {
        let offered = world.offer(&sdp(A, &audio("0")), &[codec(&format!("transcode={name}"))]);
        let name = name.split('/').next().expect("a name");
        assert_eq!(offered.error(), format!("This media engine cannot transcode to {name}"));
    }
    let mut without = World::new();
    let offered = without.offer(&sdp(A, &audio("0")), &[codec("transcode=G722")]);
    assert_eq!(offered.error(), "This media engine cannot transcode to G722");
    assert_eq!((world.calls.calls(), without.calls.calls()), (0, 0));
    check(&[codec("transcode=opus")], "99 18 0 101", "0 96 97 101", &[("96", "0"), ("0", "0")]);
    // Of which nothing can be made is passed on as it is.
    check(&[codec("transcode=opus")], "18 101", "18 101", &[("18 101", "18 101")]);
}

#[test]
fn an_answer_in_what_was_not_offered_and_addresses_that_cannot_be_are_refused() {
    let mut world = engine();
    world.offer(&sdp(A, &audio("0 101")), &[]);
    let refused = world.answer(&sdp(B, &audio("8 101")), &[]).error();
    assert!(refused.contains("no codec in common"), "{refused}");
    assert_eq!(numbers(&world.answer(&sdp(B, &audio("0 101")), &[])), "0 101");
    let mut world = engine();
    let refused = world.offer(&sdp("999.9.9.9", &audio("0")), &[]).error();
    assert!(refused.contains("stream 0 by name"), "{refused}");
    let refused = world.offer(&sdp(A, "m=audio 40000 RTP/AVP 200\r\n"), &[]).error();
    assert!(refused.contains("no payload type"), "{refused}");
    assert_eq!(world.calls.calls(), 0);
}

fn coding(number: u8, codec: Codec) -> Coding {
    Coding::new(PayloadType(number), codec)
}

/// What packets become that come from A, and from B.
fn conversions(world: &World, to_a: &Answered, to_b: &Answered) -> [Conversion; 2] {
    [to_a, to_b].map(|told| world.conversions[&world.port(told.number())].clone())
}

#[test]
fn packets_become_what_the_other_side_takes() {
    let mut world = engine();
    let to_b = world.offer(&sdp(A, &audio("0 101")), &[codec("mask=PCMU transcode=opus")]);
    let to_a = world.answer(&sdp(B, &audio("96 101")), &[]);
    let [there, back] = conversions(&world, &to_a, &to_b);
    let keys = coding(101, Codec::TelephoneEvent);
    assert_eq!((there.from, there.to), (vec![coding(0, Codec::Pcmu), keys], vec![coding(96, Codec::Opus), keys]));
    assert_eq!((back.from[0].codec, back.to[0].codec, back.ptime_ms), (Codec::Opus, Codec::Pcmu, 20));
    let told = world.ask("query", &[("call-id", text("x"))]);
    let told = String::from_utf8_lossy(&told.0).into_owned();
    for part in ["\"codecs\":[\"PCMU/8000\",\"telephone-event/8000\"]", "\"codecs\":[\"opus/48000/2\","] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let statistics = world.ask("statistics", &[]);
    assert!(String::from_utf8_lossy(&statistics.0).contains("\"transcodedmedia\":1"));
}

#[test]
fn where_both_share_a_codec_nothing_is_coded() {
    let mut world = engine();
    world.offer(&sdp(A, &audio("0 101")), &[codec("transcode=opus")]);
    world.answer(&sdp(B, &audio("0 101")), &[]);
    assert!(world.conversions.is_empty() && world.patched.len() == 2);
}

#[test]
fn keys_and_other_codecs_go_together() {
    let mut world = engine();
    let secure = format!("{}{KEY}", audio("96 101").replace("RTP/AVP", "RTP/SAVP"));
    let more = [codec("mask=opus transcode=PCMA"), ("transport-protocol", text("RTP/AVP"))];
    let to_b = world.offer(&sdp(A, &secure), &more);
    assert_eq!((numbers(&to_b), to_b.sdp().matches("a=crypto").count()), ("8 101".into(), 0));
    let to_a = world.answer(&sdp(B, &audio("8 101")), &[]);
    assert_eq!((numbers(&to_a), to_a.sdp().matches("a=crypto").count()), ("96 101".into(), 1));
    assert!(to_a.sdp().contains(" RTP/SAVP 96"), "{}", to_a.sdp());
    let [there, back] = conversions(&world, &to_a, &to_b);
    assert_eq!((there.from[0].codec, there.to[0].codec), (Codec::Opus, Codec::Pcma));
    assert_eq!((back.from[0].codec, back.to[0].codec), (Codec::Pcma, Codec::Opus));
    assert!(world.remotes[&world.port(to_a.number())].1.is_some());
    assert!(world.remotes[&world.port(to_b.number())].1.is_none());
}

#[test]
fn how_opus_is_coded_may_be_said() {
    let mut world = engine();
    let named = "transcode=opus/48000/2/32000//useinbandfec--0;maxplaybackrate--16000/compression_level--2";
    let to_b = world.offer(&sdp(A, &audio("0")), &[codec(named)]);
    assert!(to_b.sdp().contains("a=fmtp:96 useinbandfec=0;maxplaybackrate=16000\r\n"), "{}", to_b.sdp());
    let to_a = world.answer(&sdp(B, &format!("{}a=fmtp:96 maxaveragebitrate=20000\r\n", audio("96"))), &[]);
    let opus = conversions(&world, &to_a, &to_b)[0].to[0].opus;
    assert_eq!((opus.bit_rate, opus.bit_rate_max, opus.complexity), (Some(32_000), Some(20_000), Some(2)));
    // The other way: what whoever offers is sent.
    let mut world = engine();
    let more = [codec("mask=opus transcode=PCMU set=opus/48000/2/16000")];
    let to_b = world.offer(&sdp(A, &audio("96")), &more);
    let to_a = world.answer(&sdp(B, &audio("0")), &[]);
    let opus = conversions(&world, &to_a, &to_b)[1].to[0].opus;
    assert_eq!((opus.bit_rate, opus.complexity), (Some(16_000), None));
}

#[test]
fn packets_have_the_length_that_the_proxy_wants() {
    let mut world = engine();
    let more = [("ptime", Value::Integer(40)), ("ptime-reverse", text("30"))];
    let to_b = world.offer(&sdp(A, &format!("{}a=ptime:20\r\n", audio("0 101"))), &more);
    assert_eq!(to_b.sdp().matches("a=ptime:40\r\n").count(), 1, "{}", to_b.sdp());
    let to_a = world.answer(&sdp(B, &format!("{}a=ptime:10\r\n", audio("0 101"))), &[]);
    assert_eq!(to_a.sdp().matches("a=ptime:").count(), 1);
    assert!(to_a.sdp().contains("a=ptime:30\r\n"), "{}", to_a.sdp());
    let [there, back] = conversions(&world, &to_a, &to_b);
    assert_eq!((there.ptime_ms, there.anew, back.ptime_ms, back.anew), (40, true, 30, true));
    assert!(!there.relays(PayloadType(0)) && there.relays(PayloadType(101)), "events pass");
    // What cannot be coded keeps its packets.
    let mut world = engine();
    world.offer(&sdp(A, &audio("18")), &more);
    world.answer(&sdp(B, &audio("18")), &[]);
    assert!(world.conversions.is_empty());
}

#[test]
fn an_answer_may_be_told_with_one_codec() {
    let mut world = engine();
    world.offer(&sdp(A, &audio("0 8 101")), &[]);
    let to_a = world.answer(&sdp(B, &audio("8 0 101")), &[("flags", list(&["single-codec"]))]);
    assert_eq!(numbers(&to_a), "8 101");
}

/// An offer of B within the call.
fn offer_of_b(world: &mut World, offer: &str, more: Wishes<'_>) -> Answered {
    let known = [("call-id", text("x")), ("from-tag", text("b")), ("to-tag", text("a"))];
    let all: Vec<_> =
        known.into_iter().chain([("sdp", text(&sdp(B, &audio(offer))))]).chain(more.iter().cloned()).collect();
    world.ask("offer", &all)
}

#[test]
fn a_re_offer_keeps_what_was_agreed() {
    let opus = codec("mask=PCMU transcode=opus");
    for wishes in [vec![opus.clone()], vec![]] {
        let mut world = engine();
        let to_b = world.offer(&sdp(A, &audio("0 101")), std::slice::from_ref(&opus));
        let to_a = world.answer(&sdp(B, &audio("96 101")), &[]);
        let before = conversions(&world, &to_a, &to_b);
        let again: Vec<_> = wishes.iter().cloned().chain([("to-tag", text("b"))]).collect();
        let told = numbers(&world.offer(&sdp(A, &audio("0 101")), &again));
        assert_eq!(told, if wishes.is_empty() { "0 96 97 101" } else { "96 97 101" });
        assert_eq!(numbers(&world.answer(&sdp(B, &audio("96 101")), &[])), "0 101");
        assert_eq!(conversions(&world, &to_a, &to_b)[0], before[0]);
        // B's turn, with the same wishes, which say nothing of what A can.
        assert_eq!(numbers(&offer_of_b(&mut world, "96 101", &wishes)), "96 0 101");
        let known = [("call-id", text("x")), ("from-tag", text("b")), ("to-tag", text("a"))];
        let all: Vec<_> = known.into_iter().chain([("sdp", text(&sdp(A, &audio("0 101"))))]).collect();
        assert_eq!(numbers(&world.ask("answer", &all)), "96 101");
        let [there, back] = conversions(&world, &to_a, &to_b);
        assert_eq!((there.from[0].codec, there.to[0].codec), (Codec::Pcmu, Codec::Opus));
        assert_eq!((back.from[0].codec, back.to[0].codec), (Codec::Opus, Codec::Pcmu));
    }
}

#[test]
fn a_call_that_was_never_transcoded_is_not_by_a_re_offer() {
    let mut world = engine();
    world.offer(&sdp(A, &audio("0")), &[]);
    world.answer(&sdp(B, &audio("0")), &[]);
    assert_eq!(numbers(&offer_of_b(&mut world, "96", &[])), "96");
}

#[test]
fn streams_that_are_no_sound_stay_as_they_are() {
    let video = "m=video 40010 RTP/AVP 98 99\r\na=rtpmap:98 VP8/90000\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n";
    let mut world = engine();
    let both = format!("{}{video}", audio("0"));
    let told = world.offer(&sdp(A, &both), &[codec("mask=PCMU transcode=opus")]).sdp();
    assert!(told.contains(" 98 99\r\n") && !told.contains("opus/48000/2\r\na=rtpmap:98"), "{told}");
}
