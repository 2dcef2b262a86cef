//! Calls that are bound to be recorded are, from their answer to their end, whoever comes and goes.

mod driver;

use driver::{A, B, C, World, add_council, alice, answer, bob, carol, definition, offer, sdp};
use std::time::Duration;
use sx_call::{
    CallSnapshot, Command, Ender, Note, RecordingChange, RecordingNote, RecordingPhase, RecordingRules, Settings,
};
use sx_leg::Bounds;
use sx_media::{MediaEvent, PortId, RecordingId, RecordingSide};
use sx_route::MediaMode;
use sx_types::{Codec, Consent, LegId};

fn settings(required: bool) -> Settings {
    Settings { recording: Some(RecordingRules { required, ..RecordingRules::default() }), ..Settings::default() }
}

fn world_of(mode: MediaMode, required: bool) -> World {
    World::with(definition(mode), settings(required))
}

/// A calls, and the call is to be recorded.
fn calls(world: &mut World, to: &str) {
    world.incoming_with(A, to, Some(&alice()), |incoming| {
        incoming.bounds = Bounds { record: Some(Consent::Announced), ..Bounds::default() };
    });
}

/// A and B talk, and are recorded.
fn recorded() -> World {
    let mut world = world_of(MediaMode::Relay, true);
    calls(&mut world, "300");
    world.rings(B).answers(B, Some(answer(&bob())));
    world
}

/// A and B talk, and nobody has said that they are to be recorded.
fn unrecorded() -> World {
    let mut world = world_of(MediaMode::Relay, true);
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob())));
    world
}

/// The last byte of the ports that are heard, and whose side each is.
fn heard(world: &World) -> Vec<(u64, RecordingSide)> {
    world.tapped.iter().map(|(port, tap)| (port.0 & 0xff, tap.side)).collect()
}

const BOTH: [(u64, RecordingSide); 2] = [(0, RecordingSide::Caller), (1, RecordingSide::Called)];

fn notes(world: &World) -> Vec<RecordingNote> {
    let of_recordings = |note: &Note| match note {
        Note::Recording { what, .. } => Some(*what),
        _ => None,
    };
    world.notes.iter().filter_map(of_recordings).collect()
}

fn change(world: &mut World, change: RecordingChange) {
    let call = world.only_call();
    world.command(Command::Record { call, change });
}

fn phase(world: &World) -> Option<RecordingPhase> {
    world.calls.summary(world.only_call()).expect("it is there").recording
}

/// The first recording of the only call.
fn id_of(world: &World) -> RecordingId {
    RecordingId(world.ports[0].0 & !0xff)
}

#[test]
fn a_call_is_recorded_from_its_answer_to_its_end() {
    let mut world = world_of(MediaMode::Relay, true);
    calls(&mut world, "300");
    world.rings(B).early(B, &bob());
    assert!(world.recorded.is_empty() && world.tapped.is_empty(), "nobody has answered");
    world.answers(B, Some(answer(&bob())));
    assert_eq!(world.recorded, ["0 begin (announced)"]);
    assert_eq!(heard(&world), BOTH);
    let codecs: Vec<_> = world.tapped.values().flat_map(|tap| &tap.from).map(|coding| coding.codec).collect();
    assert_eq!(codecs, [Codec::Pcmu; 2]);
    assert_eq!(phase(&world), Some(RecordingPhase::Going));
    world.after(Duration::from_secs(60)).ends(B, 0).let_end();
    assert_eq!(world.recorded, ["0 begin (announced)", "0 end"]);
    assert!(world.tapped.is_empty() && world.calls.is_empty());
    assert_eq!(notes(&world), [RecordingNote::Begun(Consent::Announced), RecordingNote::Ended]);
}

#[test]
fn a_call_that_nobody_has_recorded_is_not() {
    let mut world = unrecorded();
    world.offers(A, Some(&sdp("192.0.2.1", 4000, "sendonly"))).accepts(B, answer(&bob())).ends(B, 0);
    assert!(world.recorded.is_empty() && world.tapped.is_empty() && notes(&world).is_empty());
}

#[test]
fn what_is_recorded_passes_through_the_exchange_whatever_is_configured() {
    let mut world = world_of(MediaMode::Direct, true);
    calls(&mut world, "300");
    world.answers(B, Some(answer(&bob())));
    assert_eq!((world.recorded.len(), heard(&world).len(), world.patched.len()), (1, 2, 2));
}

#[test]
fn hold_and_another_codec_stay_on_the_same_recording() {
    let mut world = recorded();
    world.offers(A, Some(&sdp("192.0.2.1", 4000, "sendonly")));
    world.accepts(B, answer(&sdp("192.0.2.2", 5000, "recvonly")));
    assert_eq!(heard(&world), BOTH, "what is sent on hold is heard as well");
    let alaw = alice().replace("AVP 0", "AVP 8");
    world.offers(A, Some(&alaw)).accepts(B, answer(&bob().replace("AVP 0", "AVP 8")));
    assert_eq!(world.recorded, ["0 begin (announced)"]);
    let codecs: Vec<_> = world.tapped.values().flat_map(|tap| &tap.from).map(|coding| coding.codec).collect();
    assert_eq!(codecs, [Codec::Pcma; 2]);
}

#[test]
fn who_comes_by_a_transfer_takes_the_side_of_who_has_left() {
    // B transfers A to C, and then A transfers C to D.
    let mut world = recorded();
    world.transfer(B, "301", None).answers(C, Some(offer(&carol())));
    assert_eq!(heard(&world), BOTH, "they talk on until then");
    world.accepts(A, answer(&alice()));
    assert_eq!(heard(&world), [(0, RecordingSide::Caller), (2, RecordingSide::Called)]);
    world.let_end();
    world.transfer(A, "302", None).answers(driver::D, Some(offer(&bob()))).accepts(C, answer(&carol()));
    let (c, d) = (heard(&world)[0], heard(&world)[1]);
    let sides = [(1, RecordingSide::Caller), (2, RecordingSide::Called)];
    assert_eq!([c, d], sides, "who comes is on the caller's side, who has come before stays");
    assert_eq!(world.recorded, ["0 begin (announced)"]);
}

#[test]
fn a_transferor_that_has_left_leaves_who_stays_on_the_recording() {
    let mut world = recorded();
    world.transfer(B, "301", None).ends(B, 0);
    assert_eq!(heard(&world), [(0, RecordingSide::Caller)]);
    world.answers(C, Some(offer(&carol()))).accepts(A, answer(&alice()));
    assert_eq!(heard(&world).len(), 2);
    assert_eq!(world.recorded, ["0 begin (announced)"]);
}

#[test]
fn a_member_of_a_room_is_recorded_by_what_it_says() {
    let mut definition = definition(MediaMode::Relay);
    add_council(&mut definition);
    let mut world = World::with(definition, settings(true));
    calls(&mut world, "500");
    assert_eq!(world.recorded, ["0 begin (announced)"]);
    assert_eq!((heard(&world), world.attending.len()), (vec![BOTH[0]], 1));
    world.ends(A, 0);
    assert_eq!(world.recorded, ["0 begin (announced)", "0 end"]);
}

#[test]
fn an_operator_pauses_and_resumes_and_cannot_end_what_a_call_is_bound_to() {
    let mut world = recorded();
    change(&mut world, RecordingChange::Resume);
    change(&mut world, RecordingChange::Stop);
    change(&mut world, RecordingChange::Start(Consent::Law));
    assert_eq!(world.recorded.len(), 1, "nothing of that can be done");
    change(&mut world, RecordingChange::Pause);
    change(&mut world, RecordingChange::Pause);
    assert_eq!(phase(&world), Some(RecordingPhase::Paused));
    change(&mut world, RecordingChange::Resume);
    assert_eq!(world.recorded, ["0 begin (announced)", "0 pause", "0 resume"]);
    assert_eq!(heard(&world), BOTH);
    assert_eq!(notes(&world)[1..], [RecordingNote::Paused, RecordingNote::Resumed]);
}

#[test]
fn an_operator_starts_and_stops_what_a_call_is_not_bound_to() {
    let mut world = unrecorded();
    change(&mut world, RecordingChange::Pause);
    assert_eq!(phase(&world), None);
    change(&mut world, RecordingChange::Start(Consent::Agreed));
    assert_eq!(heard(&world), BOTH);
    change(&mut world, RecordingChange::Stop);
    assert!(world.tapped.is_empty());
    change(&mut world, RecordingChange::Start(Consent::Law));
    world.ends(A, 0);
    assert_eq!(world.recorded, ["0 begin (agreed)", "0 end", "1 begin (law)", "1 end"]);
}

#[test]
fn a_call_that_has_to_be_recorded_ends_when_it_cannot_be() {
    let mut world = recorded();
    let recording = id_of(&world);
    world.media(MediaEvent::RecordingEnded { recording, complete: false });
    assert!(world.tapped.is_empty());
    let ended = world.notes.iter().any(|note| matches!(note, Note::Ended { by: Ender::Exchange, .. }));
    assert!(ended && notes(&world).last() == Some(&RecordingNote::Failed));
    world.let_end();
    assert!(world.calls.is_empty());
}

#[test]
fn a_call_that_may_go_on_without_does_and_is_not_begun_again() {
    let mut world = world_of(MediaMode::Relay, false);
    calls(&mut world, "300");
    world.answers(B, Some(answer(&bob())));
    let recording = id_of(&world);
    world.media(MediaEvent::RecordingEnded { recording: RecordingId(recording.0 + 1), complete: false });
    assert_eq!(phase(&world), Some(RecordingPhase::Going), "that was another one");
    world.media(MediaEvent::RecordingEnded { recording, complete: false });
    assert_eq!(phase(&world), Some(RecordingPhase::Failed));
    world.offers(A, Some(&alice())).accepts(B, answer(&bob()));
    assert!(world.tapped.is_empty() && world.patched.len() == 2);
    assert_eq!(world.recorded, ["0 begin (announced)", "0 end"]);
}

#[test]
fn the_end_of_a_recording_that_was_ended_is_no_news() {
    let mut world = recorded();
    let recording = id_of(&world);
    world.ends(A, 0).media(MediaEvent::RecordingEnded { recording, complete: true });
    assert_eq!(notes(&world).last(), Some(&RecordingNote::Ended));
}

fn moved(world: &mut World, settings: Settings) -> World {
    let snapshot = world.export().expect("nothing is waited for");
    let text = serde_json::to_string(&snapshot).expect("a snapshot is serialisable");
    let snapshot: CallSnapshot = serde_json::from_str(&text).expect("and back");
    let settings = Settings { worker: 9, first_outgoing_leg: LegId(B.0 + 100), ..settings };
    let mut other = World::with(definition(MediaMode::Relay), settings);
    other.now = world.now;
    other.calls.import(world.now, snapshot).expect("there is room");
    other.drain();
    let call = world.only_call();
    assert!(world.calls.forget(call));
    world.drain();
    other
}

#[test]
fn a_call_that_goes_on_elsewhere_is_recorded_there_from_then_on() {
    let mut world = recorded();
    change(&mut world, RecordingChange::Pause);
    let mut other = moved(&mut world, settings(true));
    assert_eq!(world.recorded.last().map(String::as_str), Some("0 end"));
    assert_eq!(other.recorded, ["1 begin (announced)", "1 pause"]);
    assert_eq!(heard(&other), BOTH);
    assert!(other.tapped.keys().all(|PortId(id)| id >> 48 == 9));
    change(&mut other, RecordingChange::Resume);
    other.ends(A, 0);
    assert_eq!(other.recorded[2..], ["1 resume", "1 end"]);
}

#[test]
fn a_call_that_comes_to_where_nothing_is_recorded_ends() {
    let mut other = moved(&mut recorded(), Settings::default());
    other.let_end();
    assert!(other.recorded.is_empty() && other.calls.is_empty());
}
