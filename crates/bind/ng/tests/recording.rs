//! Recordings of calls, as proxies ask for them.

mod driver;

use driver::{PCMU, World, sdp, text};
use sx_bind_ng::{RecordingNote, RecordingRules, RecordingState, Settings};
use sx_media::{MediaEvent, RecordingCommand, RecordingId, RecordingSide};
use sx_types::{Codec, Consent};

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";
const NOT_RECORDED: &str = "This media engine is not configured to record calls: [recording] and ng.recording_consent";

fn engine() -> World {
    let codecs = [Codec::Pcmu, Codec::Pcma].into();
    let recording = Some(RecordingRules { consent: Consent::Agreed, codecs });
    World::with(Settings { recording, ..Settings::default() })
}

fn call(world: &mut World) {
    world.offer(&sdp(A, PCMU), &[]);
    world.answer(&sdp(B, PCMU), &[]);
}

fn ask(world: &mut World, command: &str) -> driver::Answered {
    world.ask(command, &[("call-id", text("x"))])
}

/// What was written down of recordings, as words.
fn written(world: &World) -> Vec<&'static str> {
    let word = |note: &RecordingNote| match note.what {
        RecordingState::Begun { .. } => "begun",
        RecordingState::Paused => "paused",
        RecordingState::Resumed => "resumed",
        RecordingState::Ended => "ended",
        RecordingState::Failed => "failed",
    };
    world.notes.iter().map(word).collect()
}

/// What has become of recordings, as words.
fn story(world: &World) -> Vec<&'static str> {
    let word = |command: &RecordingCommand| match command {
        RecordingCommand::Begin(_) => "begin",
        RecordingCommand::Pause => "pause",
        RecordingCommand::Resume => "resume",
        RecordingCommand::End => "end",
    };
    world.records.iter().map(|(_, command)| word(command)).collect()
}

fn sides(world: &World) -> Vec<RecordingSide> {
    world.taps.values().map(|tap| tap.side).collect()
}

#[test]
fn a_call_is_recorded_from_when_it_is_asked_for_to_its_deletion() {
    let mut world = engine();
    call(&mut world);
    let answered = ask(&mut world, "start recording");
    answered.ok();
    let Some((id, RecordingCommand::Begin(terms))) = world.records.first() else { panic!("it begins") };
    assert_eq!((terms.number, terms.consent, terms.signalled_as.as_deref()), (0, Consent::Agreed, Some("x")));
    assert_eq!(answered.text("recording"), format!("{}-0", terms.call), "as its files are named");
    assert_eq!(sides(&world).len(), 2);
    let caller = world.taps.iter().find(|(_, tap)| tap.side == RecordingSide::Caller).expect("it is heard");
    assert_eq!(world.remotes[caller.0].0.rtp.ip().to_string(), A);
    assert!(world.taps.values().all(|tap| tap.recording == *id && tap.from[0].codec == Codec::Pcmu));
    ask(&mut world, "start recording").ok();
    assert_eq!(story(&world), ["begin"], "it is recorded already");
    world.ask("delete", &[("call-id", text("x")), ("from-tag", text("a"))]);
    assert_eq!((story(&world), world.taps.len()), (vec!["begin", "end"], 0), "not during the delay");
}

#[test]
fn a_recording_that_is_asked_for_before_the_answer_begins_with_it() {
    let mut world = engine();
    world.offer(&sdp(A, PCMU), &[]);
    ask(&mut world, "start recording").ok();
    assert!(world.records.is_empty() && world.taps.is_empty());
    world.answer(&sdp(B, PCMU), &[]);
    assert_eq!((story(&world), world.taps.len()), (vec!["begin"], 2));
    let mut world = engine();
    world.offer(&sdp(A, PCMU), &[("record-call", text("yes"))]);
    world.answer(&sdp(B, PCMU), &[]);
    assert_eq!((story(&world), world.taps.len()), (vec!["begin"], 2), "an offer may ask for it");
    ask(&mut world, "stop recording").ok();
    world.offer(&sdp(A, PCMU), &[("record-call", text("yes")), ("to-tag", text("b"))]);
    world.answer(&sdp(B, PCMU), &[]);
    assert_eq!(story(&world), ["begin", "end"], "it asks once: what a proxy has ended stays so");
}

#[test]
fn a_recording_is_paused_and_goes_on_and_ends() {
    let mut world = engine();
    call(&mut world);
    assert_eq!(ask(&mut world, "pause recording").error(), "This call is not recorded");
    ask(&mut world, "stop recording").ok();
    ask(&mut world, "start recording").ok();
    ask(&mut world, "pause recording").ok();
    ask(&mut world, "pause recording").ok();
    ask(&mut world, "start recording").ok();
    world.ask("stop recording", &[("call-id", text("x")), ("pause", text("yes"))]).ok();
    ask(&mut world, "stop recording").ok();
    assert_eq!((story(&world), world.taps.len()), (vec!["begin", "pause", "resume", "pause", "end"], 0));
    assert_eq!(written(&world), ["begun", "paused", "resumed", "paused", "ended"]);
    let begun = RecordingState::Begun { consent: Consent::Agreed, signalled_as: "x".into() };
    assert_eq!((world.notes[0].number, &world.notes[0].what), (0, &begun));
    ask(&mut world, "start recording").ok();
    let Some((id, RecordingCommand::Begin(terms))) = world.records.last() else { panic!("it begins again") };
    assert_eq!((terms.number, *id == world.records[0].0), (1, false), "as another one");
}

#[test]
fn who_is_heard_follows_the_call() {
    let mut world = engine();
    call(&mut world);
    ask(&mut world, "start recording").ok();
    let before = world.taps.clone();
    let pcma = "m=audio 40000 RTP/AVP 8\r\n";
    world.offer(&sdp(A, pcma), &[("to-tag", text("b"))]);
    world.answer(&sdp(B, pcma), &[]);
    assert!(before.keys().eq(world.taps.keys()), "at the same ports");
    assert!(world.taps.values().all(|tap| tap.from[0].codec == Codec::Pcma), "in another codec");
    assert_eq!(story(&world), ["begin"]);
    // Another branch is answered, and its parties are heard.
    world.offer(&sdp(A, PCMU), &[("via-branch", text("2"))]);
    world.branch_answers(&sdp("192.0.2.3", PCMU), "2", "c").ok();
    assert!(world.taps.len() == 2 && before.keys().all(|port| !world.taps.contains_key(port)));
    assert_eq!(story(&world), ["begin"]);
}

#[test]
fn a_recording_that_fails_may_be_begun_anew() {
    let mut world = engine();
    call(&mut world);
    ask(&mut world, "start recording").ok();
    let recording = world.records[0].0;
    let another = RecordingId(recording.0 + 7);
    world.tell_of(MediaEvent::RecordingEnded { recording: another, complete: false });
    assert_eq!(world.taps.len(), 2, "that was another one");
    world.tell_of(MediaEvent::RecordingEnded { recording, complete: false });
    assert!(world.taps.is_empty());
    assert_eq!(written(&world), ["begun", "failed"]);
    ask(&mut world, "start recording").ok();
    assert_eq!(world.taps.len(), 2);
}

#[test]
fn what_cannot_be_recorded_is_refused_with_a_reason() {
    let mut world = engine();
    call(&mut world);
    let named = [("call-id", text("x")), ("output-destination", text("/tmp/x.wav"))];
    assert_eq!(world.ask("start recording", &named).error(), "This media engine names its recordings by itself");
    for command in ["start recording", "stop recording", "pause recording"] {
        assert_eq!(world.ask(command, &[("call-id", text("nobody"))]).error(), "Unknown call-id");
        assert_eq!(world.ask(command, &[]).error(), "No call-id in message");
    }
    let mut world = engine();
    world.offer(&sdp(A, "m=audio 40000 RTP/AVP 18\r\n"), &[]);
    world.answer(&sdp(B, "m=audio 40000 RTP/AVP 18\r\n"), &[]);
    let reason = "This media engine cannot decode what the participants say";
    assert_eq!(ask(&mut world, "start recording").error(), reason);
    let mut world = World::new();
    world.offer(&sdp(A, PCMU), &[("record-call", text("yes"))]);
    world.answer(&sdp(B, PCMU), &[("record-call", text("yes"))]);
    for command in ["start recording", "pause recording"] {
        assert_eq!(ask(&mut world, command).error(), NOT_RECORDED);
    }
    assert!(world.records.is_empty() && world.taps.is_empty());
}
