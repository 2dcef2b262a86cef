//! The parties of a call that is to be recorded are told before it is, or asked; and are reminded.

mod driver;

use driver::{A, B, C, World, add_council, alice, answer, bob, carol, definition, offer, sdp};
use std::time::Duration;
use sx_call::{Note, RecordingNote, RecordingPhase, RecordingRules, Settings, Telling};
use sx_leg::{Bounds, LegEvent};
use sx_media::{KeyWay, MediaEvent, PlayOutcome, PortId, RecordingSide};
use sx_route::MediaMode;
use sx_types::{Consent, LegId};

const CALLER: RecordingSide = RecordingSide::Caller;
const CALLED: RecordingSide = RecordingSide::Called;

/// Telephone events, which each party offers and takes.
fn with_events(description: &str) -> String {
    format!("{}a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n", description.replace("AVP 0", "AVP 0 101"))
}

fn world_with(required: bool, change: impl FnOnce(&mut Telling)) -> World {
    let mut telling = Telling { announcement: Some("told.wav".into()), ..Telling::default() };
    change(&mut telling);
    let recording = Some(RecordingRules { required, telling });
    World::with(definition(MediaMode::Relay), Settings { recording, ..Settings::default() })
}

/// A and B are connected, and are to be recorded on this ground.
fn begin(world: &mut World, consent: Consent) {
    world.incoming_with(A, "300", Some(&with_events(&alice())), |incoming| {
        incoming.bounds = Bounds { record: Some(consent), ..Bounds::default() };
    });
    world.rings(B).answers(B, Some(answer(&with_events(&bob()))));
}

fn begun(consent: Consent) -> World {
    let mut world = world_with(true, |_| {});
    begin(&mut world, consent);
    world
}

/// What each port's peer hears, and whether it does over and over again.
fn hears(world: &World) -> Vec<(u64, &str, bool)> {
    let mut all: Vec<_> =
        world.playing.iter().map(|(port, playing)| (port.0 & 0xff, &*playing.sound, playing.repeats)).collect();
    all.sort_unstable();
    all
}

const BOTH_TOLD: [(u64, &str, bool); 2] = [(0, "told.wav", false), (1, "told.wav", false)];
const BOTH_ASKED: [(u64, &str, bool); 2] = [(0, "told.wav", true), (1, "told.wav", true)];

fn port(world: &World, number: u64) -> PortId {
    *world.ports.iter().find(|port| port.0 & 0xff == number).expect("a port")
}

fn heard(world: &mut World, number: u64, heard: PlayOutcome) {
    let port = port(world, number);
    let Some(playing) = world.playing.remove(&port) else { panic!("nothing is played there") };
    world.media(MediaEvent::Played { port, number: playing.number, heard });
}

fn presses(world: &mut World, number: u64, key: char) {
    let port = port(world, number);
    world.media(MediaEvent::Pressed { port, key, duration_ms: 100 });
}

fn notes(world: &World) -> Vec<RecordingNote> {
    let of_recordings = |note: &Note| match note {
        Note::Recording { what, .. } => Some(*what),
        _ => None,
    };
    world.notes.iter().filter_map(of_recordings).collect()
}

fn phase(world: &World) -> Option<RecordingPhase> {
    world.calls.summary(world.only_call()).expect("it is there").recording
}

fn told(leg: LegId, by: RecordingSide) -> RecordingNote {
    RecordingNote::Told { leg, by }
}

#[test]
fn both_are_told_before_anything_is_recorded() {
    let mut world = begun(Consent::Announced);
    assert_eq!((hears(&world), phase(&world)), (BOTH_TOLD.to_vec(), Some(RecordingPhase::Asking)));
    heard(&mut world, 0, PlayOutcome::Whole);
    assert!(world.recorded.is_empty() && world.tapped.is_empty(), "one of them has not heard all of it");
    heard(&mut world, 1, PlayOutcome::Whole);
    assert_eq!((&*world.recorded, world.tapped.len()), (&["0 begin (announced)".to_owned()][..], 2));
    assert_eq!((phase(&world), world.playing.len(), world.patched.len()), (Some(RecordingPhase::Going), 0, 2));
    let expected = [told(A, CALLER), told(B, CALLED), RecordingNote::Begun(Consent::Announced)];
    assert_eq!(notes(&world), expected);
    world.ends(B, 0).let_end();
    assert_eq!(world.recorded.len(), 2);
}

#[test]
fn who_hangs_up_while_it_is_told_is_not_recorded() {
    let mut world = begun(Consent::Announced);
    world.ends(A, 0).let_end();
    assert!(world.recorded.is_empty() && notes(&world).is_empty() && world.calls.is_empty());
}

#[test]
fn other_grounds_and_an_exchange_without_an_announcement_tell_nobody() {
    for consent in [Consent::OneParty, Consent::Agreed, Consent::Law] {
        let world = begun(consent);
        assert!(world.playing.is_empty() && world.recorded.len() == 1, "{consent}");
    }
    let mut world = world_with(true, |telling| telling.announcement = None);
    begin(&mut world, Consent::Announced);
    assert!(world.playing.is_empty() && world.recorded.len() == 1);
}

#[test]
fn a_call_whose_parties_cannot_be_told_ends_when_it_has_to_be_recorded() {
    let mut world = begun(Consent::Announced);
    world.forget_lines();
    heard(&mut world, 0, PlayOutcome::Nothing);
    assert_eq!(notes(&world), [RecordingNote::Failed]);
    world.let_end();
    assert_eq!(world.the_record().cause, sx_types::Cause::TEMPORARY_FAILURE);
    let mut world = world_with(false, |_| {});
    begin(&mut world, Consent::Announced);
    heard(&mut world, 0, PlayOutcome::Nothing);
    assert_eq!((phase(&world), world.recorded.len()), (Some(RecordingPhase::Failed), 0));
    assert!(world.patched.len() == 2, "they talk");
}

#[test]
fn a_change_of_the_session_has_the_announcement_go_on() {
    let mut world = begun(Consent::Announced);
    world.offers(A, Some(&alice().replace("AVP 0", "AVP 8"))).accepts(B, answer(&bob().replace("AVP 0", "AVP 8")));
    assert_eq!(hears(&world), BOTH_TOLD);
    assert_eq!(world.playing[&port(&world, 0)].to[0].codec, sx_types::Codec::Pcma);
}

#[test]
fn who_comes_by_a_transfer_is_told_and_not_heard_until_then() {
    let mut world = begun(Consent::Announced);
    heard(&mut world, 0, PlayOutcome::Whole);
    heard(&mut world, 1, PlayOutcome::Whole);
    world.transfer(B, "301", None).answers(C, Some(offer(&carol()))).accepts(A, answer(&alice()));
    assert_eq!(hears(&world), [(2, "told.wav", false)]);
    assert_eq!(world.tapped.keys().map(|port| port.0 & 0xff).collect::<Vec<_>>(), [0]);
    heard(&mut world, 2, PlayOutcome::Whole);
    assert_eq!((world.tapped.len(), world.recorded.len()), (2, 1));
    assert_eq!(notes(&world).last(), Some(&told(C, CALLED)));
}

#[test]
fn each_is_asked_and_agrees_by_a_key_that_nobody_else_hears() {
    let mut world = begun(Consent::Asked);
    assert_eq!(hears(&world), BOTH_ASKED);
    assert!(world.conversions.values().all(|way| way.keys.to == KeyWay::Told) && world.conversions.len() == 2);
    world.forget_lines();
    presses(&mut world, 0, '7');
    presses(&mut world, 0, '1');
    // The other one by a message of signalling.
    assert!(world.recorded.is_empty());
    world.event(B, LegEvent::Digit { digit: '1', duration_ms: 100 });
    world.expect(&[]);
    assert_eq!((&*world.recorded, world.tapped.len()), (&["0 begin (asked)".to_owned()][..], 2));
    let agreed = |leg, by| RecordingNote::Agreed { leg, by };
    assert_eq!(notes(&world), [agreed(A, CALLER), agreed(B, CALLED), RecordingNote::Begun(Consent::Asked)]);
    assert!(world.conversions.is_empty(), "keys pass as before");
    presses(&mut world, 0, '2');
    assert_eq!(phase(&world), Some(RecordingPhase::Going), "nobody is asked any more");
}

#[test]
fn who_has_no_events_is_heard_to_press_tones_for_as_long_as_it_is_asked() {
    let mut world = world_with(true, |_| {});
    world.incoming_with(A, "300", Some(&alice()), |incoming| {
        incoming.bounds = Bounds { record: Some(Consent::Asked), ..Bounds::default() };
    });
    world.rings(B).answers(B, Some(answer(&bob())));
    assert!(world.conversions.values().all(|way| way.keys.heard_in_band) && world.conversions.len() == 2);
    presses(&mut world, 0, '1');
    presses(&mut world, 1, '1');
    assert!(phase(&world) == Some(RecordingPhase::Going) && world.conversions.is_empty());
}

#[test]
fn who_has_no_sound_is_asked_when_it_has_some() {
    let mut world = world_with(true, |_| {});
    world.incoming_with(A, "300", Some(&with_events(&alice())), |incoming| {
        incoming.bounds = Bounds { record: Some(Consent::Asked), ..Bounds::default() };
    });
    let without = with_events(&bob()).replace("m=audio 5000", "m=audio 0");
    world.rings(B).answers(B, Some(answer(&without)));
    assert_eq!(hears(&world), [], "there is nothing to be heard, or recorded");
    world.offers(B, Some(&with_events(&bob()))).accepts(A, answer(&with_events(&alice())));
    assert_eq!((hears(&world), world.tapped.len()), (BOTH_ASKED.to_vec(), 0), "it is asked before it is heard");
    let agreed =
        |world: &World| notes(world).iter().filter(|note| matches!(note, RecordingNote::Agreed { .. })).count();
    presses(&mut world, 0, '1');
    assert_eq!((agreed(&world), world.playing.len()), (1, 2));
    presses(&mut world, 1, '1');
    assert_eq!((agreed(&world), world.playing.len(), world.tapped.len()), (2, 0, 2));
}

#[test]
fn who_refuses_by_a_key_or_by_silence_is_not_recorded() {
    for by_key in [true, false] {
        let mut world = world_with(false, |_| {});
        begin(&mut world, Consent::Asked);
        presses(&mut world, 0, '1');
        match by_key {
            true => presses(&mut world, 1, '2'),
            false => _ = world.after(Duration::from_secs(31)),
        }
        assert_eq!((phase(&world), world.recorded.len(), world.tapped.len()), (Some(RecordingPhase::Refused), 0, 0));
        let refusal = match by_key {
            true => RecordingNote::Refused { leg: B, by: CALLED },
            false => RecordingNote::Unanswered { leg: B, by: CALLED },
        };
        assert_eq!(notes(&world), [RecordingNote::Agreed { leg: A, by: CALLER }, refusal]);
        assert_eq!((world.patched.len(), world.conversions.len()), (2, 0), "they talk");
        // They are not asked again when something changes.
        world.offers(A, Some(&sdp("192.0.2.1", 4000, "sendonly")));
        world.accepts(B, answer(&sdp("192.0.2.2", 5000, "recvonly")));
        assert_eq!((world.recorded.len(), notes(&world).len()), (0, 2));
    }
}

#[test]
fn a_call_that_has_to_be_recorded_ends_with_a_refusal() {
    let mut world = begun(Consent::Asked);
    presses(&mut world, 0, '2');
    world.let_end();
    assert!(world.recorded.is_empty() && world.calls.is_empty());
    assert_eq!(world.the_record().cause, sx_types::Cause::REJECTED);
}

#[test]
fn a_tone_reminds_them_while_they_are_recorded() {
    let mut world = world_with(true, |telling| telling.beep = Some(Duration::from_secs(15)));
    begin(&mut world, Consent::Agreed);
    let beeps = [(0, "tone:recorded", false), (1, "tone:recorded", false)];
    assert_eq!(hears(&world), beeps, "at the beginning");
    for _ in 0..3 {
        heard(&mut world, 0, PlayOutcome::Whole);
        heard(&mut world, 1, PlayOutcome::Whole);
        world.after(Duration::from_secs(13));
        assert!(world.playing.is_empty());
        world.after(Duration::from_secs(2));
        assert_eq!(hears(&world), beeps);
    }
    let call = world.only_call();
    world.playing.clear();
    world.command(sx_call::Command::Record { call, change: sx_call::RecordingChange::Pause });
    world.after(Duration::from_secs(60));
    assert!(world.playing.is_empty(), "nothing is recorded now");
    assert_eq!(notes(&world), [RecordingNote::Begun(Consent::Agreed), RecordingNote::Paused]);
}

#[test]
fn who_is_recorded_by_the_law_is_not_reminded() {
    let mut world = world_with(true, |telling| telling.beep = Some(Duration::from_secs(15)));
    begin(&mut world, Consent::Law);
    world.after(Duration::from_secs(60));
    assert!(world.playing.is_empty() && world.recorded.len() == 1);
}

/// A dials a room, and is to be recorded on this ground, if any.
fn dials_a_room(required: bool, record: Option<Consent>) -> World {
    let mut definition = definition(MediaMode::Relay);
    add_council(&mut definition);
    let telling = Telling { announcement: Some("told.wav".into()), ..Telling::default() };
    let recording = Some(RecordingRules { required, telling });
    let mut world = World::with(definition, Settings { recording, ..Settings::default() });
    world.incoming_with(A, "500", Some(&alice()), |incoming| {
        incoming.bounds = Bounds { record, ..Bounds::default() };
    });
    world
}

#[test]
fn who_dials_a_room_is_told_and_then_comes_in() {
    let mut world = dials_a_room(true, Some(Consent::Announced));
    assert_eq!((hears(&world), world.attending.len()), (vec![BOTH_TOLD[0]], 0));
    // The session changes while it is told: it does not come in by that.
    world.offers(A, Some(&sdp("192.0.2.1", 4002, "sendrecv")));
    assert_eq!((hears(&world), world.attending.len(), world.recorded.len()), (vec![BOTH_TOLD[0]], 0, 0));
    heard(&mut world, 0, PlayOutcome::Whole);
    assert_eq!((world.attending.len(), world.tapped.len(), world.recorded.len()), (1, 1, 1));
    assert_eq!(notes(&world), [told(A, CALLER), RecordingNote::Begun(Consent::Announced)]);
    world.offers(A, Some(&sdp("192.0.2.1", 4004, "sendrecv")));
    assert_eq!((world.playing.len(), world.attending.len()), (0, 1), "it is told once");
    world.ends(A, 0);
    assert_eq!(world.recorded.len(), 2);
}

#[test]
fn who_cannot_be_told_comes_into_no_room_that_has_to_be_recorded() {
    let mut world = dials_a_room(true, Some(Consent::Announced));
    heard(&mut world, 0, PlayOutcome::Nothing);
    assert_eq!((notes(&world), world.attending.len()), (vec![RecordingNote::Failed], 0));
    world.let_end();
    let mut world = dials_a_room(false, Some(Consent::Announced));
    heard(&mut world, 0, PlayOutcome::Nothing);
    assert_eq!((world.recorded.len(), world.attending.len()), (0, 1), "it comes in, and is not recorded");
}

#[test]
fn an_announcement_that_does_not_end_lets_a_member_in_unrecorded() {
    let mut world = dials_a_room(false, Some(Consent::Announced));
    world.after(Duration::from_secs(611));
    assert_eq!((world.recorded.len(), world.attending.len()), (0, 1));
    assert_eq!(notes(&world), [RecordingNote::Unanswered { leg: A, by: CALLER }]);
}

#[test]
fn nobody_is_asked_before_it_comes_into_a_room() {
    let mut world = dials_a_room(true, Some(Consent::Asked));
    assert!(world.attending.is_empty() && world.playing.is_empty() && world.recorded.is_empty());
    world.let_end();
    let world = dials_a_room(false, Some(Consent::Asked));
    assert_eq!((world.attending.len(), world.playing.len(), world.recorded.len()), (1, 0, 0));
}

#[test]
fn a_member_of_whom_a_recording_is_begun_leaves_the_room_while_it_is_told() {
    let mut world = dials_a_room(true, None);
    assert_eq!(world.attending.len(), 1);
    let (call, change) = (world.only_call(), sx_call::RecordingChange::Start(Consent::Announced));
    world.command(sx_call::Command::Record { call, change });
    assert_eq!((hears(&world), world.attending.len()), (vec![BOTH_TOLD[0]], 0));
    heard(&mut world, 0, PlayOutcome::Whole);
    assert_eq!((world.attending.len(), world.recorded.len()), (1, 1));
}
