//! Keys between parties that tell them in different ways: each once, the way its party is told.

mod driver;

use driver::{A, B, World, answer, sdp};
use std::time::Duration;
use sx_call::{Note, Settings};
use sx_leg::{Answer, LegEvent};
use sx_media::{KeyRules, KeyWay, MediaEvent, PortId};
use sx_route::MediaMode;
use sx_types::{Codec, Dtmf, LegId};

const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";

fn without(codec: u8) -> String {
    sdp("192.0.2.2", 5000, "sendrecv").replace("RTP/AVP 0", &format!("RTP/AVP {codec}"))
}

fn with_events() -> String {
    without(0).replace("RTP/AVP 0", "RTP/AVP 0 101") + EVENTS
}

/// A user, and the trunk that it calls.
struct Ways {
    user: Dtmf,
    trunk: Dtmf,
    transcode: bool,
}

const AUTO: Ways = Ways { user: Dtmf::Auto, trunk: Dtmf::Auto, transcode: true };

fn world(ways: &Ways) -> World {
    let mut definition = driver::definition(MediaMode::Relay);
    definition.users.access.dtmf = ways.user;
    definition.trunks[0].access.dtmf = ways.trunk;
    let codecs = [Codec::G722, Codec::Pcma, Codec::Pcmu];
    let transcode = if ways.transcode { codecs.into() } else { [].into() };
    World::with(definition, Settings { transcode, ..Settings::default() })
}

/// A, a user, offers this, and B, a trunk, which says this of INFO, answers with that.
fn connected(ways: &Ways, offered: &str, answered: &str, takes_info: Option<bool>) -> World {
    let mut world = world(ways);
    world.incoming(A, "300", Some(offered));
    let media = Some(answer(answered));
    world.event(B, LegEvent::Answered(Answer { media, headers: Vec::new(), takes_info })).forget_lines();
    world
}

fn signals(world: &mut World, leg: LegId, digit: char) -> &mut World {
    world.event(leg, LegEvent::Digit { digit, duration_ms: 100 })
}

/// The peer of the port of A, or of B, has pressed a key that goes no further in the stream.
fn presses(world: &mut World, port: usize, key: char) -> &mut World {
    let port = world.ports[port];
    world.media(MediaEvent::Pressed { port, key, duration_ms: 100 })
}

/// What becomes of keys from A's port, and from B's; `None` where packets pass as they are.
fn rules(world: &World) -> [Option<KeyRules>; 2] {
    [0, 1].map(|port| world.conversions.get(&world.ports[port]).map(|conversion| conversion.keys))
}

fn to(way: KeyWay) -> Option<KeyRules> {
    Some(KeyRules { to: way, heard_in_band: false })
}

fn is_told_events(world: &World, leg: LegId) -> bool {
    String::from_utf8_lossy(&world.told[&leg]).contains("telephone-event")
}

#[track_caller]
fn ends(mut world: World) {
    world.ends(A, 0);
    let record = world.the_record();
    assert!(!format!("{record:?}{:?}", world.notes).contains('#'), "no key stands in a record or a note");
}

#[test]
fn two_who_both_know_events_are_left_alone() {
    let world = connected(&AUTO, &with_events(), &with_events(), Some(true));
    assert_eq!(rules(&world), [None, None]);
}

#[test]
fn events_are_told_by_signalling_to_who_takes_none_and_knows_info() {
    let mut world = connected(&AUTO, &with_events(), &without(0), Some(true));
    assert!(is_told_events(&world, A), "what it presses is heard, whoever answers");
    assert_eq!(rules(&world)[0], to(KeyWay::Told));
    presses(&mut world, 0, '5').expect(&["out0 digit 5"]);
    presses(&mut world, 0, '#').expect(&["out0 digit #"]);
}

#[test]
fn events_become_tones_for_who_takes_none_and_knows_no_info() {
    for (codec, takes_info) in [(0, Some(false)), (8, None), (9, Some(false))] {
        let world = connected(&AUTO, &with_events(), &without(codec), takes_info);
        assert_eq!(rules(&world)[0], to(KeyWay::Tones), "{codec} {takes_info:?}");
    }
}

/// Nothing else is possible: no tone can be put into G.729 here.
#[test]
fn events_are_told_by_signalling_where_no_tone_can_be_made() {
    let offered = with_events().replace("RTP/AVP 0", "RTP/AVP 18 0");
    let world = connected(&AUTO, &offered, &without(18), None);
    assert_eq!(rules(&world)[0], to(KeyWay::Told));
}

#[test]
fn keys_by_signalling_are_pressed_in_the_stream_of_who_takes_events() {
    let mut world = connected(&AUTO, &with_events(), &with_events(), Some(true));
    signals(&mut world, A, '1').expect(&["press 0 1"]);
    signals(&mut world, B, '2').expect(&["press 1 2"]);
    assert_eq!(rules(&world), [to(KeyWay::Events), to(KeyWay::Events)], "the stream is one of ours from then on");
    // That stays so when the session changes, and where the call goes on elsewhere.
    world.offers(A, Some(&with_events().replace("sendrecv", "recvonly"))).accepts(B, answer(&with_events()));
    assert_eq!(rules(&world), [to(KeyWay::Events), to(KeyWay::Events)]);
    let snapshot = world.export().expect("a call at rest");
    let mut elsewhere = self::world(&AUTO);
    elsewhere.calls.import(elsewhere.now, snapshot).expect("room");
    elsewhere.drain();
    assert_eq!(elsewhere.conversions.values().map(|way| way.keys.to).collect::<Vec<_>>(), [KeyWay::Events; 2]);
}

#[test]
fn a_trunk_that_is_set_to_events_is_offered_them_by_who_knows_none() {
    let ways = Ways { trunk: Dtmf::Rfc4733, ..AUTO };
    let mut world = connected(&ways, &without(0), &with_events(), None);
    assert!(is_told_events(&world, B) && !is_told_events(&world, A));
    signals(&mut world, A, '5').expect(&["press 0 5"]);
    // What the trunk presses reaches the user by signalling, since that is how this one tells.
    assert_eq!(rules(&world)[1], to(KeyWay::Told));
    presses(&mut world, 1, '6').expect(&["a digit 6"]);
}

#[test]
fn keys_by_signalling_pass_by_signalling() {
    // By who has said nothing of itself …
    let mut world = connected(&AUTO, &without(0), &without(0), None);
    signals(&mut world, A, '5').expect(&["out0 digit 5"]);
    // … by who says so, and by who is set to it, whatever it takes.
    let mut world = connected(&AUTO, &without(0), &without(0), Some(true));
    signals(&mut world, A, '5').expect(&["out0 digit 5"]);
    let mut world = connected(&Ways { trunk: Dtmf::Info, ..AUTO }, &with_events(), &with_events(), Some(false));
    signals(&mut world, A, '5').expect(&["out0 digit 5"]);
    presses(&mut world, 0, '6').expect(&["out0 digit 6"]);
}

#[test]
fn keys_by_signalling_are_tones_for_who_knows_nothing_else() {
    for ways in [AUTO, Ways { trunk: Dtmf::Inband, ..AUTO }] {
        let mut world = connected(&ways, &without(0), &without(0), Some(false));
        signals(&mut world, A, '5').expect(&["press 0 5"]);
        assert_eq!(rules(&world)[0], to(KeyWay::Tones));
    }
}

#[test]
fn who_has_keys_in_its_sound_is_listened_to_where_that_is_set() {
    let ways = Ways { trunk: Dtmf::Inband, ..AUTO };
    let heard = |to| Some(KeyRules { heard_in_band: true, to });
    let world = connected(&ways, &with_events(), &without(0), None);
    assert_eq!(rules(&world), [to(KeyWay::Tones), heard(KeyWay::Events)]);
    let mut world = connected(&ways, &without(0), &without(0), Some(true));
    assert_eq!(rules(&world), [None, None], "between two of whom neither knows more the sound is left alone");
    // Until one of them turns out to know INFO.
    signals(&mut world, A, '5').expect(&["press 0 5"]);
    assert_eq!(rules(&world), [to(KeyWay::Tones), heard(KeyWay::Told)]);
    presses(&mut world, 1, '6').expect(&["a digit 6"]);
}

#[test]
fn where_nothing_is_coded_anew_events_still_find_their_way() {
    let ways = Ways { transcode: false, ..AUTO };
    let mut world = connected(&ways, &with_events(), &without(0), Some(true));
    assert_eq!(rules(&world)[0], to(KeyWay::Told));
    presses(&mut world, 0, '5').expect(&["out0 digit 5"]);
}

#[test]
fn past_us_nothing_but_signalling_is_heard() {
    let mut world = World::connected();
    signals(&mut world, A, '5').expect(&["out0 digit 5"]);
    let port = PortId(77);
    world.media(MediaEvent::Pressed { port, key: '5', duration_ms: 100 }).expect(&[]);
}

#[test]
fn a_flood_of_keys_is_dropped_and_counted() {
    let mut world = connected(&AUTO, &with_events(), &without(0), Some(true));
    (0..60).for_each(|_| _ = presses(&mut world, 0, '#'));
    (0..60).for_each(|_| _ = signals(&mut world, B, '#'));
    let dropped = world.notes.iter().filter(|note| matches!(note, Note::KeyDropped { .. })).count();
    assert_eq!((world.lines.len(), dropped), (25, 95));
    world.forget_lines().after(Duration::from_secs(1));
    presses(&mut world, 0, '#').expect(&["out0 digit #"]);
    ends(world);
}

#[test]
fn a_key_of_a_port_of_nobody_connected_is_told_to_nobody() {
    let mut world = world(&AUTO);
    world.incoming(A, "300", Some(&with_events())).forget_lines();
    presses(&mut world, 0, '5').expect(&[]);
}
