//! Callers whose way is an announcement hear it, and are then connected elsewhere, refused or hung up.

mod driver;

use driver::{A, B, Threads, World, alice, answer, bob, definition, sdp};
use std::sync::Arc;
use std::time::Duration;
use sx_call::{CallSnapshot, Ender, RecordingRules, Settings, Telling};
use sx_leg::Bounds;
use sx_media::{MediaEvent, PlayOutcome, Playing, PortId};
use sx_route::{
    Announcement, Definition, Destination, DestinationKind, DomainFilter, Fork, Match, MediaMode, Rule, SourceFilter,
};
use sx_types::{Cause, Codec, Consent, LegId};

/// 5… leads to an announcement before an answer, 6… to trunk one and then there, 7… there and then to trunk one, 8… to an
/// announcement that answers.
fn announcing() -> Definition {
    let mut definition = definition(MediaMode::Relay);
    let told = |answers| Announcement { sound: "closed.wav".into(), answers, cause: Cause::ABSENT };
    let early = |priority| destination(DestinationKind::Announcement(told(false)), priority);
    let trunk = |priority| destination(DestinationKind::Trunk("one".into()), priority);
    for (prefix, destinations) in [
        ("5", vec![early(1)]),
        ("6", vec![trunk(1), early(2)]),
        ("7", vec![early(1), trunk(2)]),
        ("8", vec![destination(DestinationKind::Announcement(told(true)), 1)]),
    ] {
        definition.rules.push(Rule {
            name: prefix.into(),
            source: SourceFilter::Any,
            domain: DomainFilter::Ours,
            matches: Match::Prefix(prefix.into()),
            strip: 0,
            prepend: "".into(),
            destinations,
            fork: Fork::Serial,
            ring_ms_max: Some(5_000),
        });
    }
    definition
}

fn destination(kind: DestinationKind, priority: u16) -> Destination {
    Destination { kind, priority, weight: 1, user: None }
}

fn world() -> World {
    World::with(announcing(), Settings::default())
}

/// What is played to the one who listens.
#[track_caller]
fn heard(world: &World) -> (PortId, Playing) {
    let playing: Vec<_> = world.playing.iter().map(|(port, playing)| (*port, playing.clone())).collect();
    assert_eq!(playing.len(), 1, "one listens");
    playing[0].clone()
}

fn ends(world: &mut World, of: PlayOutcome) {
    let (port, playing) = heard(world);
    world.playing.clear();
    world.media(MediaEvent::Played { port, number: playing.number, heard: of });
}

#[test]
fn an_announcement_before_an_answer_ends_in_a_refusal() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice()));
    world.expect(&["a progress SessionProgress answer:10.0.0.1:20000 sendrecv"]);
    let (_, playing) = heard(&world);
    assert_eq!((&*playing.sound, playing.repeats, playing.to[0].codec), ("closed.wav", false, Codec::Pcmu));
    assert_eq!(world.remotes.values().map(|remote| remote.rtp.to_string()).collect::<Vec<_>>(), ["192.0.2.1:4000"]);
    // It rings nowhere, so that no ringing is over.
    world.after(Duration::from_secs(30)).expect(&[]);
    ends(&mut world, PlayOutcome::Whole);
    world.expect(&["a reject 0 20"]);
    let cdr = world.the_record();
    let [attempt] = &cdr.attempts[..] else { panic!("one attempt") };
    assert_eq!((&*attempt.target, attempt.cause, attempt.answer), ("announcement:closed.wav", Cause::ABSENT, None));
    assert_eq!((cdr.answer, cdr.status, cdr.ended_by), (None, 480, Ender::Exchange));
}

#[test]
fn who_would_be_told_of_a_recording_hears_an_announcement_before_an_answer_at_once() {
    let telling = Telling { announcement: Some("told.wav".into()), ..Telling::default() };
    let recording = Some(RecordingRules { required: true, telling });
    let mut world = World::with(announcing(), Settings { recording, ..Settings::default() });
    world.incoming_with(A, "5000", Some(&alice()), |incoming| {
        incoming.bounds = Bounds { record: Some(Consent::Announced), ..Bounds::default() };
    });
    assert_eq!(&*heard(&world).1.sound, "closed.wav");
    ends(&mut world, PlayOutcome::Whole);
    world.the_record();
}

#[test]
fn the_next_destination_is_tried_when_it_is_over_or_cannot_be_made() {
    for of in [PlayOutcome::Whole, PlayOutcome::Nothing] {
        let mut world = world();
        world.incoming(A, "7000", Some(&alice())).forget_lines();
        ends(&mut world, of);
        world.expect(&["out0 dial one/7000 10.0.0.1:20002 sendrecv"]);
        world.answers(B, Some(answer(&bob()))).expect(&["a answer answer:10.0.0.1:20000 sendrecv"]);
        assert!(world.playing.is_empty() && world.patched.len() == 2);
        world.ends(A, 0);
        assert_eq!(world.the_record().attempts.len(), 2);
    }
}

#[test]
fn what_has_failed_before_is_told_at_its_end() {
    let mut world = world();
    world.incoming(A, "6000", Some(&alice())).ends(B, 503).forget_lines();
    heard(&world);
    ends(&mut world, PlayOutcome::Whole);
    world.expect(&["a reject 0 20"]);
    world.the_record();
}

#[test]
fn an_announcement_that_answers_ends_the_call() {
    let mut world = world();
    world.incoming(A, "8000", Some(&alice())).expect(&["a answer answer:10.0.0.1:20000 sendrecv"]);
    heard(&world);
    world.offers(A, Some(&sdp("192.0.2.1", 4000, "sendrecv")));
    world.expect(&["a answer-offer answer:10.0.0.1:20000 sendrecv"]);
    ends(&mut world, PlayOutcome::Whole);
    world.expect(&["a hangup 16"]);
    let cdr = world.the_record();
    assert_eq!((cdr.status, cdr.cause, cdr.codec), (200, Cause::NORMAL, Some(Codec::Pcmu)));
}

#[test]
fn a_caller_without_an_offer_is_answered_with_one_or_hears_nothing() {
    let mut world = world();
    world.incoming(A, "8000", None).forget_lines();
    assert!(world.playing.is_empty());
    world.event(A, sx_leg::LegEvent::Confirmed { media: answer(&alice()).into() });
    heard(&world);
    let mut world = self::world();
    world.incoming(A, "5000", None).expect(&["a reject 488 88"]);
    world.the_record();
}

#[test]
fn the_caller_may_leave_before_it_is_over() {
    for number in ["5000", "8000"] {
        let mut world = world();
        world.incoming(A, number, Some(&alice())).forget_lines();
        let (port, playing) = heard(&world);
        world.ends(A, if number == "5000" { 487 } else { 0 });
        assert!(world.playing.is_empty(), "its port is closed");
        world.media(MediaEvent::Played { port, number: playing.number, heard: PlayOutcome::Whole }).expect(&[]);
        assert_eq!(world.the_record().ended_by, Ender::Caller);
    }
}

#[test]
fn one_that_nobody_ends_is_ended_by_time() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice())).forget_lines();
    world.after(Duration::from_secs(12 * 60)).expect(&["a reject 0 102"]);
    assert!(world.playing.is_empty());
    world.the_record();
}

#[test]
fn who_cannot_hear_it_is_told_so() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice().replace("AVP 0", "AVP 18"))).expect(&["a reject 488 88"]);
    world.the_record();
    let mut world = self::world();
    world.threads = Threads::Fail;
    world.incoming(A, "5000", Some(&alice())).expect(&["a reject 503 47"]);
    world.the_record();
}

#[test]
fn the_end_of_another_sound_is_not_its_end() {
    let mut world = world();
    world.incoming(A, "5000", Some(&alice())).forget_lines();
    let (port, playing) = heard(&world);
    world.media(MediaEvent::Played { port, number: playing.number + 1, heard: PlayOutcome::Whole }).expect(&[]);
    world.media(MediaEvent::Played { port: PortId(port.0 + 1), number: playing.number, heard: PlayOutcome::Whole });
    world.expect(&[]);
    ends(&mut world, PlayOutcome::Whole);
    world.expect(&["a reject 0 20"]);
}

#[test]
fn one_that_is_being_made_is_made_again_elsewhere() {
    for number in ["5000", "8000"] {
        let mut world = world();
        world.incoming(A, number, Some(&alice())).forget_lines();
        let text = serde_json::to_string(&world.export().expect("nothing is waited for")).expect("serialisable");
        let snapshot: CallSnapshot = serde_json::from_str(&text).expect("and back");
        let settings = Settings { worker: 9, first_outgoing_leg: LegId(B.0 + 100), ..Settings::default() };
        let mut other = World::with(announcing(), settings);
        other.now = world.now;
        other.calls.import(other.now, snapshot).expect("there is room");
        other.drain();
        ends(&mut other, PlayOutcome::Whole);
        other.expect(&[if number == "5000" { "a reject 0 20" } else { "a hangup 16" }]);
    }
}

#[test]
fn it_is_made_in_what_the_caller_has_of_what_can_be_coded() {
    let settings = Settings { announced_in: Arc::from([Codec::Opus, Codec::Pcma]), ..Settings::default() };
    let mut world = World::with(announcing(), settings);
    let offer = alice().replace("AVP 0\r\n", "AVP 0 8 111\r\na=rtpmap:111 opus/48000/2\r\n");
    world.incoming(A, "5000", Some(&offer));
    let codecs: Vec<_> = heard(&world).1.to.iter().map(|coding| coding.codec).collect();
    assert_eq!(codecs, [Codec::Opus, Codec::Pcma]);
}
