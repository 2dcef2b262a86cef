//! Who is put on hold hears music of ours, or what the holder sends.

mod driver;

use driver::{A, B, C, World, alice, answer, bob, definition, sdp};
use sx_call::{CallSnapshot, Settings};
use sx_media::{Direction, Playing, PortId};
use sx_route::MediaMode;
use sx_types::{Codec, HoldMusic, HoldMusicWhen, LegId};

/// The ports that face A and B have these indices.
const OF_A: u64 = 0;
const OF_B: u64 = 1;

fn music(when: HoldMusicWhen) -> HoldMusic {
    HoldMusic { sound: "music.wav".into(), when }
}

fn world_with(users: Option<HoldMusic>, trunk: Option<&HoldMusic>, transcode: &[Codec]) -> World {
    let mut definition = definition(MediaMode::Relay);
    definition.users.access.hold_music = users;
    definition.trunks.iter_mut().for_each(|each| each.access.hold_music = trunk.cloned());
    World::with(definition, Settings { transcode: transcode.into(), ..Settings::default() })
}

/// A and B talk, and both have music.
fn talking(when: HoldMusicWhen) -> World {
    let mut world = world_with(Some(music(when)), Some(&music(when)), &[]);
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob()))).forget_lines();
    world
}

fn a(direction: &str) -> String {
    sdp("192.0.2.1", 4000, direction)
}

fn b(direction: &str) -> String {
    sdp("192.0.2.2", 5000, direction)
}

/// What is played to the peer of the port with this index.
fn played(world: &World, index: u64) -> Option<&Playing> {
    let mut found = world.playing.iter().filter(|(port, _)| port.0 & 0xff == index).map(|(_, playing)| playing);
    found.next()
}

/// Is whatever is patched there heard by both, and nothing else?
fn both_hear_each_other(world: &World) -> bool {
    world.playing.is_empty() && world.patched.len() == 2
}

#[test]
fn who_is_put_on_hold_hears_music_until_the_holder_is_back() {
    let mut world = talking(HoldMusicWhen::Inactive);
    world.offers(A, Some(&a("inactive"))).expect(&["out0 offer 10.0.0.1:20002 sendonly"]);
    assert!(world.playing.is_empty(), "not before it has agreed");
    world.accepts(B, answer(&b("recvonly"))).expect(&["a answer-offer answer:10.0.0.1:20000 inactive"]);
    let playing = played(&world, OF_B).expect("music");
    assert_eq!((&*playing.sound, playing.repeats, playing.to[0].codec), ("music.wav", true, Codec::Pcmu));
    assert_eq!(played(&world, OF_A), None);
    world.offers(A, Some(&a("sendrecv"))).expect(&["out0 offer 10.0.0.1:20002 sendrecv"]);
    assert!(played(&world, OF_B).is_some(), "the music goes on until they are connected");
    world.accepts(B, answer(&b("sendrecv"))).expect(&["a answer-offer answer:10.0.0.1:20000 sendrecv"]);
    assert!(both_hear_each_other(&world));
}

#[test]
fn the_called_party_may_hold_as_well() {
    let mut world = talking(HoldMusicWhen::Inactive);
    world.offers(B, Some(&b("inactive"))).expect(&["a offer 10.0.0.1:20000 sendonly"]);
    world.accepts(A, answer(&a("recvonly"))).expect(&["out0 answer-offer answer:10.0.0.1:20002 inactive"]);
    assert!(played(&world, OF_A).is_some() && played(&world, OF_B).is_none());
    // Now both hold: nobody listens.
    world.offers(A, Some(&a("inactive"))).accepts(B, answer(&b("inactive"))).forget_lines();
    assert!(played(&world, OF_B).is_none());
    world.offers(A, Some(&a("sendrecv"))).accepts(B, answer(&b("sendrecv"))).forget_lines();
    assert!(both_hear_each_other(&world));
}

#[test]
fn hold_by_an_address_of_zeros_is_hold() {
    let mut world = talking(HoldMusicWhen::Inactive);
    let zeros = a("sendrecv").replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
    world.offers(A, Some(&zeros)).expect(&["out0 offer 10.0.0.1:20002 sendonly"]);
    world.accepts(B, answer(&b("recvonly"))).forget_lines();
    assert!(played(&world, OF_B).is_some());
}

#[test]
fn a_holder_that_sends_its_own_music_is_heard_unless_ours_is_wanted_always() {
    for (when, ours) in [(HoldMusicWhen::Inactive, false), (HoldMusicWhen::Always, true)] {
        let mut world = talking(when);
        world.offers(A, Some(&a("sendonly"))).expect(&["out0 offer 10.0.0.1:20002 sendonly"]);
        world.accepts(B, answer(&b("recvonly"))).expect(&["a answer-offer answer:10.0.0.1:20000 recvonly"]);
        assert_eq!(played(&world, OF_B).is_some(), ours, "{when:?}");
    }
}

#[test]
fn without_music_hold_is_passed_on_as_it_is() {
    let mut world = world_with(None, Some(&music(HoldMusicWhen::Always)), &[]);
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob()))).forget_lines();
    world.offers(B, Some(&b("inactive"))).expect(&["a offer 10.0.0.1:20000 inactive"]);
    world.accepts(A, answer(&a("inactive"))).expect(&["out0 answer-offer answer:10.0.0.1:20002 inactive"]);
    assert!(world.playing.is_empty(), "A has none");
}

#[test]
fn media_that_passes_us_by_has_no_music() {
    let mut definition = definition(MediaMode::Direct);
    definition.users.access.hold_music = Some(music(HoldMusicWhen::Always));
    definition.trunks[0].access.hold_music = Some(music(HoldMusicWhen::Always));
    let mut world = World::with(definition, Settings::default());
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob()))).forget_lines();
    world.offers(A, Some(&a("inactive"))).expect(&["out0 offer 192.0.2.1:4000 inactive"]);
    world.accepts(B, answer(&b("inactive")));
    assert!(world.playing.is_empty());
}

#[test]
fn the_session_of_who_hears_music_may_be_refreshed_and_it_goes_on() {
    let mut world = talking(HoldMusicWhen::Inactive);
    world.offers(A, Some(&a("inactive"))).accepts(B, answer(&b("recvonly"))).forget_lines();
    let before = played(&world, OF_B).cloned();
    assert!(before.is_some());
    world.offers(B, Some(&b("recvonly"))).expect(&["a offer 10.0.0.1:20000 recvonly"]);
    world.accepts(A, answer(&a("inactive"))).expect(&["out0 answer-offer answer:10.0.0.1:20002 sendonly"]);
    assert_eq!(played(&world, OF_B).cloned(), before, "said again it is the same, and goes on");
}

#[test]
fn who_asks_for_an_offer_and_answers_with_hold_holds() {
    let mut world = talking(HoldMusicWhen::Inactive);
    world.offers(A, None).expect(&["out0 offer nothing"]);
    world.accepts(B, sx_leg::Media::Offer(driver::text(&b("sendrecv")))).forget_lines();
    world.event(A, sx_leg::LegEvent::OfferConfirmed { media: answer(&a("inactive")).into() });
    world.expect(&["out0 confirm answer:10.0.0.1:20002 sendonly"]);
    assert!(played(&world, OF_B).is_some());
}

#[test]
fn a_codec_that_the_holder_has_not_is_what_the_music_is_coded_in() {
    let music = music(HoldMusicWhen::Inactive);
    let mut world = world_with(Some(music.clone()), Some(&music), &[Codec::Opus, Codec::Pcma, Codec::Pcmu]);
    let opus = |direction| b(direction).replace("AVP 0", "AVP 120") + "a=rtpmap:120 opus/48000/2\r\n";
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&opus("sendrecv")))).forget_lines();
    world.offers(A, Some(&a("inactive"))).accepts(B, answer(&opus("recvonly")));
    let to = &played(&world, OF_B).expect("music").to;
    assert_eq!((to[0].codec, to[0].payload_type.0), (Codec::Opus, 120));
    world.offers(A, Some(&a("sendrecv"))).accepts(B, answer(&opus("sendrecv")));
    assert!(both_hear_each_other(&world) && world.conversions.len() == 2);
}

#[test]
fn music_is_protected_as_all_else_is() {
    const KEY: &str = "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n";
    let secure = |text: String| text.replace("RTP/AVP", "RTP/SAVP") + KEY;
    let mut world = talking_with_srtp();
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&secure(bob())))).forget_lines();
    world.offers(A, Some(&a("inactive"))).expect(&["out0 offer 10.0.0.1:20002 sendonly"]);
    world.accepts(B, answer(&secure(b("recvonly")))).expect(&["a answer-offer answer:10.0.0.1:20000 inactive"]);
    assert_eq!(played(&world, OF_B).expect("music").to[0].codec, Codec::Pcmu);
    let (_, keys) = world.keys.iter().find(|(port, _)| port.0 & 0xff == OF_B).expect("the port knows its peer");
    assert!(keys.is_some());
}

fn talking_with_srtp() -> World {
    let mut definition = definition(MediaMode::Relay);
    definition.users.access.hold_music = Some(music(HoldMusicWhen::Inactive));
    definition.trunks[0].access.hold_music = Some(music(HoldMusicWhen::Inactive));
    definition.trunks[0].access.srtp = sx_types::SrtpPolicy::Required;
    World::with(definition, Settings::default())
}

#[test]
fn who_is_transferred_hears_music_until_it_is_connected_again() {
    let mut world = talking(HoldMusicWhen::Inactive);
    world.offers(B, Some(&b("inactive"))).accepts(A, answer(&a("recvonly")));
    // Users may transfer, trunks may not: A is on hold, and hears music while it asks for another.
    assert!(played(&world, OF_A).is_some());
    world.transfer(A, "301", None).admit().forget_lines();
    world.answers(C, Some(answer(&sdp("192.0.2.3", 6000, "sendrecv"))));
    world.let_end();
    let playing: Vec<PortId> = world.playing.keys().copied().collect();
    assert!(playing.iter().all(|port| world.ports.contains(port)), "no port that is closed plays");
}

#[test]
fn a_call_on_hold_that_moves_has_its_music_there() {
    let mut world = talking(HoldMusicWhen::Inactive);
    world.offers(A, Some(&a("inactive"))).accepts(B, answer(&b("recvonly"))).forget_lines();
    let text = serde_json::to_string(&world.export().expect("nothing is waited for")).expect("serialisable");
    let snapshot: CallSnapshot = serde_json::from_str(&text).expect("and back");
    let settings = Settings { worker: 9, first_outgoing_leg: LegId(B.0 + 100), ..Settings::default() };
    let mut other = World::with(definition(MediaMode::Relay), settings);
    other.now = world.now;
    other.calls.import(other.now, snapshot).expect("there is room");
    other.drain();
    assert_eq!(played(&other, OF_B).map(|playing| &*playing.sound), Some("music.wav"));
    assert!(other.playing.keys().all(|port| port.0 >> 48 == 9));
    other.offers(A, Some(&a("sendrecv"))).accepts(B, answer(&b("sendrecv"))).forget_lines();
    assert!(both_hear_each_other(&other));
    assert!(other.remotes.values().all(|remote| remote.receives && remote.sends));
    assert_eq!(Direction::SendRecv.name(), "sendrecv");
}
