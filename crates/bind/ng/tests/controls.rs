//! What proxies do with the media of a call that stands: sounds, digits, and what is held back.

mod driver;

use driver::{Answered, World, list, sdp, text};
use std::sync::Arc;
use std::time::Duration;
use sx_bind_ng::{Input, Settings, SoundNames};
use sx_engine::Engine;
use sx_media::{KeyWay, PlayOutcome, PortId, SoundRule};
use sx_ng::Value;
use sx_types::Codec;

const A: &str = "192.0.2.1";
const B: &str = "192.0.2.2";
/// Sound that both have, with telephone events.
const SOUND: &str = "m=audio 40000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n";
const NO_EVENTS: &str = "m=audio 40000 RTP/AVP 0\r\n";
const G729: &str = "m=audio 40000 RTP/AVP 18\r\n";

fn sounds(names: &[(&str, Option<u64>)]) -> SoundNames {
    let named = |(name, ms): &(&str, Option<u64>)| (Arc::from(*name), ms.map(Duration::from_millis));
    Arc::new(names.iter().map(named).collect())
}

fn engine() -> World {
    let sounds = sounds(&[("hello.wav", Some(1_500)), ("tone:busy", None)]);
    World::with(Settings { codable: [Codec::Pcmu, Codec::Pcma].into(), sounds, ..Settings::default() })
}

/// A call that stands, and the ports that face A and B.
fn call(a: &str, b: &str) -> (World, [PortId; 2]) {
    let mut world = engine();
    let to_b = world.offer(&sdp(A, a), &[]).number();
    let to_a = world.answer(&sdp(B, b), &[]).number();
    let ports = [world.port(to_a), world.port(to_b)];
    (world, ports)
}

fn ask(world: &mut World, command: &str, more: &[(&str, Value<'static>)]) -> Answered {
    let mut all = vec![("call-id", text("x"))];
    all.extend(more.iter().cloned());
    world.ask(command, &all)
}

fn from(tag: &str) -> (&'static str, Value<'static>) {
    ("from-tag", text(tag))
}

fn file(name: &str) -> (&'static str, Value<'static>) {
    ("file", text(name))
}

fn all() -> (&'static str, Value<'static>) {
    ("flags", list(&["all"]))
}

/// What is refused, and how; it changes nothing.
#[track_caller]
fn refused(world: &mut World, command: &str, more: &[(&str, Value<'static>)], reason: &str) {
    let before = (world.played.clone(), world.patched.clone(), world.conversions.clone(), world.pressed.len());
    assert_eq!(ask(world, command, more).error(), reason, "{command} {more:?}");
    assert_eq!(before, (world.played.clone(), world.patched.clone(), world.conversions.clone(), world.pressed.len()));
}

#[test]
fn a_sound_is_played_to_who_is_meant_and_its_length_told() {
    let (mut world, [a, b]) = call(SOUND, SOUND);
    let answered = ask(&mut world, "play media", &[from("a"), file("hello.wav")]);
    answered.ok();
    assert_eq!(answered.integer("duration"), Some(1_500));
    let heard = world.played.get(&a).expect("A hears it");
    assert_eq!((&*heard.sound, heard.repeats, heard.to[0].codec), ("hello.wav", false, Codec::Pcmu));
    assert_eq!(world.played.len(), 1, "B does not");
    world.end_of(a, PlayOutcome::Whole);
    assert!(world.played.is_empty(), "it is over");
    ask(&mut world, "play media", &[("address", text(B)), file("hello.wav")]).ok();
    assert_eq!(world.played.keys().copied().collect::<Vec<_>>(), [b]);
    let answered = ask(&mut world, "play media", &[all(), file("tone:busy")]);
    answered.ok();
    assert_eq!(answered.integer("duration"), None, "nobody knows");
    assert!([a, b].iter().all(|port| &*world.played[port].sound == "tone:busy"));
    ask(&mut world, "stop media", &[from("b")]).ok();
    assert_eq!(world.played.keys().copied().collect::<Vec<_>>(), [a]);
    ask(&mut world, "stop media", &[all()]).ok();
    assert!(world.played.is_empty());
}

#[test]
fn a_sound_is_repeated_as_often_as_it_was_asked_for() {
    let (mut world, [a, _]) = call(SOUND, SOUND);
    ask(&mut world, "play media", &[from("a"), file("hello.wav"), ("repeat-times", Value::Integer(3))]).ok();
    for _ in 0..2 {
        world.end_of(a, PlayOutcome::Whole);
        assert!(world.played.contains_key(&a), "it begins again");
    }
    world.end_of(a, PlayOutcome::Whole);
    assert!(world.played.is_empty());
    ask(&mut world, "play media", &[from("a"), file("hello.wav"), ("repeat-times", Value::Integer(9))]).ok();
    world.end_of(a, PlayOutcome::Nothing);
    assert!(world.played.is_empty(), "what cannot be played is not tried again");
    ask(&mut world, "play media", &[from("a"), file("hello.wav"), ("repeat-times", Value::Integer(2))]).ok();
    let old = world.played[&a].number;
    ask(&mut world, "play media", &[from("a"), file("tone:busy")]).ok();
    world.tell_of(sx_media::MediaEvent::Played { port: a, number: old, heard: PlayOutcome::Whole });
    assert_eq!(&*world.played[&a].sound, "tone:busy", "the end of the one is not that of another");
}

#[test]
fn what_cannot_be_played_is_refused_with_a_reason() {
    let (mut world, _) = call(SOUND, SOUND);
    let hello = file("hello.wav");
    let check =
        |world: &mut World, more: &[(&str, Value<'static>)], reason: &str| refused(world, "play media", more, reason);
    check(&mut world, std::slice::from_ref(&hello), "No participant party specified");
    check(&mut world, &[from("z"), hello.clone()], "From-tag given, but no such tag exists");
    check(&mut world, &[("address", text("192.0.2.9")), hello.clone()], "Failed to match address to any tag");
    check(&mut world, &[("address", text("junk")), hello.clone()], "Failed to parse network address");
    check(&mut world, &[("label", text("l")), hello.clone()], "No monologue matching the given label");
    check(&mut world, &[from("a")], "No media file specified");
    let unknown = "There is no file of that name among the sounds of this media engine";
    for name in ["/etc/passwd", "../hello.wav", "./hello.wav", "hello.wav/", "HELLO.WAV", "", "tone:"] {
        check(&mut world, &[from("a"), file(name)], unknown);
    }
    let blob = "This media engine plays files of its own folder, and none from a request";
    check(&mut world, &[from("a"), ("blob", text("RIFF"))], blob);
    let database = "This media engine plays files of its own folder, and none from a database";
    check(&mut world, &[from("a"), ("db-id", Value::Integer(4))], database);
    refused(&mut world, "stop media", &[from("a")], "Not currently playing media");
    for command in ["play media", "stop media", "play DTMF", "block DTMF", "unblock media", "silence media"] {
        assert_eq!(world.ask(command, &[("call-id", text("nobody")), from("a")]).error(), "Unknown call-ID");
        assert_eq!(world.ask(command, &[from("a")]).error(), "No call-id in message");
    }
    let (mut world, _) = call(G729, G729);
    check(&mut world, &[from("a"), hello.clone()], "The participant takes no sound that this media engine can code");
    let mut world = engine();
    world.offer(&sdp(A, SOUND), &[]);
    check(&mut world, &[from("a"), hello], "The participant has agreed on no media");
}

#[test]
fn other_sounds_can_be_played_once_they_are_known() {
    let (mut world, _) = call(SOUND, SOUND);
    world.calls.handle_input(world.now, Input::Sounds(sounds(&[("new.wav", None)])));
    ask(&mut world, "play media", &[from("a"), file("new.wav")]).ok();
    assert_eq!(ask(&mut world, "play media", &[from("a"), file("hello.wav")]).text("result"), "error");
}

#[test]
fn a_sound_goes_on_over_a_change_of_the_call_and_ends_with_it() {
    let (mut world, [a, _]) = call(SOUND, SOUND);
    ask(&mut world, "play media", &[from("a"), file("hello.wav")]).ok();
    let number = world.played[&a].number;
    let pcma = "m=audio 40000 RTP/AVP 8\r\n";
    world.offer(&sdp(A, pcma), &[("to-tag", text("b"))]);
    world.answer(&sdp(B, pcma), &[]);
    assert_eq!((world.played[&a].to[0].codec, world.played[&a].number), (Codec::Pcma, number));
    // What is patched to A's port anew ends it there, and it goes on.
    ask(&mut world, "silence media", &[from("b")]).ok();
    assert_eq!(world.played[&a].number, number);
    world.ask("delete", &[("call-id", text("x")), from("a")]);
    assert!(world.played.is_empty(), "nobody hears it during the delay");
    assert!(!world.open.is_empty());
}

#[test]
fn of_a_forked_call_the_caller_hears_a_sound_where_it_was_answered_last() {
    let mut world = engine();
    for (tag, host) in [("b", B), ("c", "192.0.2.3")] {
        world.offer(&sdp(A, SOUND), &[("via-branch", text(tag))]);
        world.branch_answers(&sdp(host, SOUND), tag, tag).ok();
    }
    let again = world.branch_answers(&sdp(B, SOUND), "b", "b").number();
    ask(&mut world, "play media", &[from("a"), file("hello.wav")]).ok();
    assert_eq!(world.played.keys().copied().collect::<Vec<_>>(), [world.port(again)]);
    ask(&mut world, "play media", &[all(), file("hello.wav")]).ok();
    assert_eq!(world.played.len(), 3, "A once, B and C");
}

#[test]
fn a_digit_is_pressed_in_the_name_of_who_is_meant() {
    let (mut world, [a, b]) = call(SOUND, SOUND);
    assert!(world.conversions.is_empty(), "until then every byte passes as it is");
    ask(&mut world, "play DTMF", &[from("a"), ("code", Value::Integer(11))]).ok();
    assert_eq!(world.pressed, [(world.now, a, '#', 250)]);
    assert_eq!(world.conversions[&a].keys.to, KeyWay::Events);
    assert_eq!((world.patched[&a], world.patched[&b]), (b, a));
    ask(&mut world, "play DTMF", &[from("b"), ("digit", text("d")), ("duration", Value::Integer(20))]).ok();
    assert_eq!(world.pressed[1], (world.now, b, 'D', 100), "none is shorter");
}

#[test]
fn digits_follow_each_other_with_their_pause() {
    let (mut world, [a, b]) = call(SOUND, SOUND);
    let begun = world.now;
    let key = |code: &str, ms: i64, pause: i64| {
        [from("a"), ("code", text(code)), ("duration", Value::Integer(ms)), ("pause", Value::Integer(pause))]
    };
    ask(&mut world, "play DTMF", &key("1", 200, 300)).ok();
    ask(&mut world, "play DTMF", &key("2", 100, 100)).ok();
    ask(&mut world, "play DTMF", &key("3", 9_000, 100)).ok();
    ask(&mut world, "play DTMF", &[from("b"), ("code", text("9"))]).ok();
    world.pass(Duration::from_secs(10));
    let at = |ms: u64| begun + Duration::from_millis(ms);
    let pressed = [(at(0), a, '1', 200), (at(0), b, '9', 250), (at(500), a, '2', 100), (at(700), a, '3', 5_000)];
    assert_eq!(world.pressed, pressed);
    for number in 0..40 {
        let answered = ask(&mut world, "play DTMF", &key("1", 100, 100));
        match number {
            0..=32 => answered.ok(),
            _ => assert_eq!(answered.error(), "Too many DTMF events wait"),
        }
    }
    world.ask("delete", &[("call-id", text("x")), from("a"), ("delete-delay", Value::Integer(0))]);
    assert_eq!(world.calls.calls(), 0);
    world.pass(Duration::from_secs(10));
}

#[test]
fn a_digit_is_a_tone_for_who_takes_no_events_and_refused_where_nobody_could_hear_it() {
    let (mut world, [a, _]) = call(NO_EVENTS, NO_EVENTS);
    ask(&mut world, "play DTMF", &[from("a"), ("code", text("5"))]).ok();
    assert_eq!((world.conversions[&a].keys.to, world.pressed.len()), (KeyWay::Tones, 1));
    let code = || ("code", text("5"));
    let (mut world, _) = call(G729, G729);
    refused(&mut world, "play DTMF", &[from("a"), code()], "Sink monologue has no media capable of DTMF playback");
    let (mut world, _) = call(SOUND, SOUND);
    refused(&mut world, "play DTMF", &[from("a")], "No valid 'code' specified");
    refused(&mut world, "play DTMF", &[from("a"), ("code", Value::Integer(16))], "Out of range 'code' specified");
    refused(&mut world, "play DTMF", &[from("a"), ("code", text("x"))], "Invalid 'code' character");
    refused(&mut world, "play DTMF", &[code()], "No participant party specified");
    ask(&mut world, "play media", &[from("b"), file("hello.wav")]).ok();
    let busy = "The other participant hears a media file, and nothing else";
    refused(&mut world, "play DTMF", &[from("a"), code()], busy);
    let video = "m=video 40000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
    let (mut world, _) = call(video, video);
    refused(&mut world, "play DTMF", &[from("a"), code()], "Monologue has no media capable of DTMF injection");
}

#[test]
fn digits_of_who_is_blocked_go_nowhere_and_ours_are_heard() {
    let (mut world, [a, b]) = call(SOUND, SOUND);
    ask(&mut world, "block DTMF", &[from("a")]).ok();
    let ways = |world: &World| [a, b].map(|port| world.conversions[&port].keys.to);
    assert_eq!(ways(&world), [KeyWay::Told, KeyWay::Events]);
    assert!(!world.conversions[&a].relays(sx_types::PayloadType(101)) && world.conversions[&a].relays_sound());
    ask(&mut world, "play DTMF", &[from("a"), ("code", text("5"))]).ok();
    assert_eq!((ways(&world), world.pressed.len()), ([KeyWay::Told, KeyWay::Events], 1));
    // Nobody is told of those that come.
    world.tell_of(sx_media::MediaEvent::Pressed { port: a, key: '5', duration_ms: 100 });
    assert_eq!(world.pressed.len(), 1);
    ask(&mut world, "unblock DTMF", &[from("a")]).ok();
    assert_eq!(ways(&world), [KeyWay::Events; 2]);
}

#[test]
fn the_whole_call_is_blocked_beside_who_is_blocked_alone() {
    let (mut world, [a, b]) = call(SOUND, SOUND);
    let sound = |world: &World| [a, b].map(|port| world.conversions[&port].sound);
    ask(&mut world, "block media", &[from("b")]).ok();
    assert_eq!(sound(&world), [SoundRule::Heard, SoundRule::Withheld]);
    ask(&mut world, "block media", &[]).ok();
    assert_eq!(sound(&world), [SoundRule::Withheld; 2]);
    assert_eq!(world.conversions[&a].keys.to, KeyWay::Events, "digits pass");
    ask(&mut world, "unblock media", &[]).ok();
    assert_eq!(sound(&world), [SoundRule::Heard, SoundRule::Withheld]);
    ask(&mut world, "unblock media", &[all()]).ok();
    assert_eq!(sound(&world), [SoundRule::Heard; 2]);
    ask(&mut world, "silence media", &[("address", text(A))]).ok();
    assert_eq!(sound(&world), [SoundRule::Silent, SoundRule::Heard]);
    ask(&mut world, "block media", &[from("a")]).ok();
    assert_eq!(sound(&world), [SoundRule::Withheld, SoundRule::Heard], "less than silence is nothing");
    ask(&mut world, "unblock media", &[from("a")]).ok();
    ask(&mut world, "unsilence media", &[from("a")]).ok();
    assert_eq!(sound(&world), [SoundRule::Heard; 2]);
}

#[test]
fn what_was_blocked_before_the_answer_or_before_a_change_stays_so() {
    let mut world = engine();
    let to_b = world.offer(&sdp(A, SOUND), &[]).number();
    ask(&mut world, "block media", &[from("a")]).ok();
    let to_a = world.answer(&sdp(B, SOUND), &[]).number();
    let [a, b] = [world.port(to_a), world.port(to_b)];
    let sound = |world: &World| [a, b].map(|port| world.conversions[&port].sound);
    assert_eq!(sound(&world), [SoundRule::Withheld, SoundRule::Heard]);
    world.offer(&sdp(B, NO_EVENTS), &[from("b"), ("to-tag", text("a"))]);
    world
        .ask("answer", &[("call-id", text("x")), from("b"), ("to-tag", text("a")), ("sdp", text(&sdp(A, NO_EVENTS)))])
        .ok();
    assert_eq!(sound(&world), [SoundRule::Withheld, SoundRule::Heard]);
}

#[test]
fn what_nobody_here_can_look_into_is_blocked_whole_or_not_at_all() {
    let video = "m=video 40010 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n";
    let both = format!("{SOUND}{video}");
    let (mut world, [a, b]) = call(&both, &both);
    assert_eq!(world.patched.len(), 4);
    ask(&mut world, "block media", &[from("a")]).ok();
    assert_eq!(world.patched.len(), 3, "no picture of A goes on");
    assert_eq!((world.patched.get(&a), world.patched.get(&b)), (Some(&b), Some(&a)));
    ask(&mut world, "unblock media", &[from("a")]).ok();
    assert_eq!(world.patched.len(), 4);
    let (mut world, _) = call(G729, G729);
    let reason = "This media engine cannot code silence for the other participant";
    refused(&mut world, "silence media", &[from("a")], reason);
    ask(&mut world, "block media", &[from("a")]).ok();
    let strange = "m=audio 40000 RTP/AVP 97\r\na=rtpmap:97 wurst/8000\r\n";
    let (mut world, [a, _]) = call(strange, strange);
    let reason = "This media engine cannot look into the sound of that participant";
    refused(&mut world, "block DTMF", &[from("a")], reason);
    ask(&mut world, "block media", &[from("a")]).ok();
    assert_eq!(world.patched.get(&a), None);
}

#[test]
fn what_is_not_done_here_is_refused_as_before() {
    let (mut world, _) = call(SOUND, SOUND);
    for command in ["start forwarding", "stop forwarding", "publish", "subscribe request", "unsubscribe"] {
        let reason = "This media engine does not support that command";
        refused(&mut world, command, &[from("a")], reason);
    }
}
