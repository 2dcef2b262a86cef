//! Calls between parties that share no codec, or do.

mod driver;

use driver::{A, B, C, D, World, answer, offer, sdp};
use sx_call::Settings;
use sx_leg::{Address, Bounds, LegEvent, Source};
use sx_media::Conversion;
use sx_route::MediaMode;
use sx_types::{Codec, LegId, PayloadType};

fn world() -> World {
    let codecs = [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu];
    World::with(driver::definition(MediaMode::Relay), Settings { transcode: codecs.into(), ..Settings::default() })
}

fn with(payload_types: &str) -> String {
    sdp("192.0.2.2", 5000, "sendrecv").replace("RTP/AVP 0", &format!("RTP/AVP {payload_types}"))
}

fn opus() -> String {
    with("120") + "a=rtpmap:120 opus/48000/2\r\n"
}

/// The payload types that a leg was told last.
#[track_caller]
fn told(world: &World, leg: LegId) -> String {
    let text = String::from_utf8_lossy(&world.told[&leg]).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("a stream").to_owned();
    line.split_once("RTP/AVP ").expect("formats").1.to_owned()
}

/// From which payload type to which, each way, by the index of the port.
fn converted(world: &World) -> Vec<(u64, u8, u8)> {
    let first = |list: &[sx_media::Coding]| list[0].payload_type.0;
    let ways = world.conversions.iter().filter(|(port, _)| world.ports.contains(port));
    ways.map(|(port, way)| (port.0 & 0xff, first(&way.from), first(&way.to))).collect()
}

/// A offers PCMA, and B answers with Opus.
fn connected() -> World {
    let mut world = world();
    world.incoming(A, "300", Some(&with("8"))).answers(B, Some(answer(&opus())));
    world
}

#[test]
fn who_shares_no_codec_is_answered_with_one_of_its_own() {
    let world = &mut world();
    world.incoming(A, "300", Some(&with("8")));
    assert_eq!(told(world, B), "8 120 9 0");
    world.answers(B, Some(answer(&opus())));
    assert_eq!(told(world, A), "8");
    assert_eq!(converted(world), [(0, 8, 120), (1, 120, 8)]);
    world.ends(A, 0);
    assert_eq!(world.the_record().codec, Some(Codec::Opus));
}

#[test]
fn who_shares_one_is_connected_without() {
    let world = &mut world();
    world.incoming(A, "300", Some(&with("8 0"))).answers(B, Some(answer(&with("0"))));
    assert_eq!((told(world, A), converted(world)), ("0".into(), Vec::new()));
    assert_eq!(world.patched.len(), 2);
    world.ends(B, 0);
    world.the_record();
}

#[test]
fn nothing_is_added_when_nothing_is_to_be_transcoded_or_media_goes_past_us() {
    let mut never = World::new(MediaMode::Relay);
    never.incoming(A, "300", Some(&with("8")));
    assert_eq!(told(&never, B), "8");
    let settings = Settings { transcode: [Codec::Pcmu].into(), ..Settings::default() };
    let mut direct = World::with(driver::definition(MediaMode::Direct), settings);
    direct.incoming(A, "300", Some(&with("8")));
    assert_eq!(told(&direct, B), "8");
}

#[test]
fn a_party_is_offered_only_what_it_and_its_call_may_use() {
    let mut definition = driver::definition(MediaMode::Relay);
    definition.trunks[0].access.codecs = [Codec::Pcmu, Codec::Opus].into();
    let settings = Settings { transcode: [Codec::Opus, Codec::Pcma, Codec::Pcmu].into(), ..Settings::default() };
    let mut world = World::with(definition, settings);
    // Without transcoding nothing would be left for this trunk.
    world.incoming(A, "300", Some(&with("8")));
    assert_eq!(told(&world, B), "120 0");
    world.answers(B, Some(answer(&with("0"))));
    assert_eq!((told(&world, A), converted(&world)), ("8".into(), vec![(0, 8, 0), (1, 0, 8)]));
    world.ends(A, 0);
    world.the_record();
    let bounds = Bounds { codecs: Some([Codec::Pcma].into()), talk_max: None, record: None };
    world.incoming_with(LegId(5), "300", Some(&with("8")), |incoming| incoming.bounds = bounds);
    assert!(world.lines.last().is_some_and(|line| line.starts_with("e reject")), "{:?}", world.lines);
}

#[test]
fn a_change_of_the_session_follows() {
    let world = &mut connected();
    // On hold: the same codecs, another direction.
    world
        .offers(A, Some(&with("8").replace("sendrecv", "sendonly")))
        .accepts(B, answer(&opus().replace("sendrecv", "recvonly")));
    assert!(String::from_utf8_lossy(&world.told[&A]).contains("a=recvonly"));
    assert_eq!(converted(world), [(0, 8, 120), (1, 120, 8)]);
    // B can do without, and asks for it.
    world.offers(B, Some(&with("8 0")));
    assert_eq!(told(world, A), "8 0 120 9");
    world.accepts(A, answer(&with("8")));
    assert_eq!((told(world, B), converted(world)), ("8".into(), Vec::new()));
    // And back again, in an offer that was asked for.
    world.offers(A, None).accepts(B, offer(&opus()));
    assert_eq!(told(world, A), "120 9 8 0");
    world.event(A, LegEvent::OfferConfirmed { media: Some(answer(&with("0"))) });
    assert_eq!((told(world, B), converted(world)), ("120".into(), vec![(0, 0, 120), (1, 120, 0)]));
    world.ends(A, 0);
    world.the_record();
}

/// Who answers may say the same bytes again, since nothing has changed for it.
#[test]
fn an_answer_that_is_repeated_is_settled_with_the_new_offer() {
    let world = &mut connected();
    world.offers(A, Some(&with("0"))).accepts(B, answer(&opus()));
    assert_eq!((told(world, A), converted(world)), ("0".into(), vec![(0, 0, 120), (1, 120, 0)]));
    world.ends(A, 0);
    world.the_record();
}

#[test]
fn who_takes_a_call_that_rings_needs_no_codec_of_its_caller() {
    const E: LegId = LegId(2);
    let world = &mut world();
    world.incoming(A, "bob", Some(&with("8"))).found(&["sip:bob@192.0.2.2"]).rings(B);
    world.incoming_with(E, "300", Some(&opus()), |incoming| {
        (incoming.replaces, incoming.source) = (Some(B), Source::User(Address::new("bob", "pbx")));
    });
    assert_eq!((told(world, A), told(world, E)), ("8".into(), "120".into()));
    assert_eq!(converted(world), [(0, 8, 120), (2, 120, 8)]);
    world.event(E, LegEvent::Confirmed { media: None }).let_end().ends(E, 0);
    world.the_record();
}

#[test]
fn early_media_of_each_who_rings_is_converted_from_its_own() {
    let world = &mut world();
    world.incoming(A, "200", Some(&with("8"))).early(C, &with("0"));
    assert_eq!((told(world, A), converted(world)), ("8".into(), vec![(0, 8, 0), (2, 0, 8)]));
    world.answers(B, Some(answer(&opus())));
    assert_eq!((told(world, A), converted(world)), ("8".into(), vec![(0, 8, 120), (1, 120, 8)]));
    world.ends(A, 0);
    world.the_record();
}

#[test]
fn whoever_a_call_is_transferred_to_is_converted_to_as_well() {
    let world = &mut connected();
    world.transfer(B, "301", None).answers(C, Some(offer(&with("9"))));
    // The one that stays has PCMA, the one that comes G.722.
    assert_eq!(told(world, A), "9 120 8 0");
    world.accepts(A, answer(&with("8")));
    assert_eq!((told(world, C), converted(world)), ("9".into(), vec![(0, 8, 9), (2, 9, 8)]));
    world.ends(A, 0);
    world.the_record();
    assert!(!world.told.contains_key(&D));
}

#[test]
fn a_call_goes_on_elsewhere_as_it_was_converted() {
    let mut world = connected();
    let text = serde_json::to_string(&world.export().expect("a call at rest")).expect("a value");
    let snapshot = serde_json::from_str(&text).expect("the same value");
    let before: Vec<Conversion> = world.conversions.values().cloned().collect();
    let mut elsewhere = self::world();
    elsewhere.calls.import(elsewhere.now, snapshot).expect("room");
    elsewhere.drain();
    assert_eq!(elsewhere.conversions.values().cloned().collect::<Vec<_>>(), before);
    assert_eq!(before[0].to[0].payload_type, PayloadType(120));
}
