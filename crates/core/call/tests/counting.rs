//! What the media of a call is like while it lasts.

mod driver;

use driver::{A, B, World, answer, sdp};
use std::time::Duration;
use sx_call::{Command, Side};
use sx_media::{Counted, MediaEvent, PeerReport, PortId, PortStats};
use sx_route::MediaMode;
use sx_types::{CallId, Codec};

const PEER: PeerReport =
    PeerReport { loss_permille: Some(12), r_x10: None, mos_listening_x100: None, mos_conversational_x100: None };

fn established(mode: MediaMode) -> World {
    let mut world = World::new(mode);
    world.incoming(A, "300", Some(&sdp("192.0.2.1", 4000, "sendrecv"))).rings(B);
    world.answers(B, Some(answer(&sdp("192.0.2.2", 5000, "sendrecv")))).forget_lines();
    world
}

fn counts(world: &mut World, port: PortId, packets_received: u64) {
    let stats = PortStats { packets_received, ..PortStats::default() };
    world.media(MediaEvent::Counted(Counted { port, stats, peer: Some(PEER) }));
}

#[test]
fn each_port_is_asked_and_what_it_says_is_told_of_its_party() {
    let mut world = established(MediaMode::Relay);
    let call = world.only_call();
    let begun = world.now;
    let before = world.calls.counts(call, begun).expect("a call");
    assert!(!before.complete && before.streams.len() == 2 && before.streams.iter().all(|s| s.at.is_none()));
    world.command(Command::Count { call });
    let asked = world.counting.clone();
    assert_eq!(asked, world.ports);
    counts(&mut world, asked[0], 250);
    assert!(!world.calls.counts(call, begun).expect("a call").complete, "one has not answered");
    counts(&mut world, asked[1], 240);
    let counted = world.calls.counts(call, begun).expect("a call");
    assert!(counted.complete);
    let told = counted.streams.iter().map(|s| (s.side, s.stream, s.codec, s.stats.packets_received, s.peer));
    let codec = Some(Codec::Pcmu);
    let expected = [(Side::Caller, 0, codec, 250, Some(PEER)), (Side::Called, 0, codec, 240, Some(PEER))];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    // What was said before somebody asks again is no answer to that.
    let later = begun + Duration::from_secs(1);
    assert!(!world.calls.counts(call, later).expect("a call").complete);
}

#[test]
fn of_a_call_whose_media_passes_us_by_nothing_is_waited_for() {
    let mut world = established(MediaMode::Direct);
    let call = world.only_call();
    world.command(Command::Count { call });
    let counted = world.calls.counts(call, world.now).expect("a call");
    assert!(counted.complete && counted.streams.is_empty() && world.counting.is_empty());
    let nobody: CallId = "019ab2c3-d4e5-7000-8000-0123456789ab".parse().expect("an identifier");
    world.command(Command::Count { call: nobody });
    assert_eq!(world.calls.counts(nobody, world.now), None);
}
