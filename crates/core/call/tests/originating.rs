//! The exchange calls two, and has them talk.

mod driver;

use driver::{B, C, World, answer, bob, carol, definition, offer};
use std::time::Duration;
use sx_call::{Command, Ender, NotAdmitted, Note, Originate, Phase, Settings};
use sx_leg::{Address, Bounds};
use sx_route::MediaMode;
use sx_types::{CallId, Cause, Codec};

const CALL: u128 = 7;

fn call() -> CallId {
    CallId::new(1, CALL)
}

fn originate(world: &mut World) -> &mut World {
    let (from, to) = (Address::new("300", "pbx"), Address::new("301", "pbx"));
    let originate = Originate { call: call(), trace: call().into(), from, to, bounds: Bounds::default() };
    world.command(Command::Originate(Box::new(originate)))
}

fn world_in(mode: MediaMode) -> World {
    let settings = Settings { announced_in: [Codec::Pcmu].into(), ..Settings::default() };
    World::with(definition(mode), settings)
}

fn world() -> World {
    world_in(MediaMode::Relay)
}

#[test]
fn the_second_is_called_when_the_first_has_answered_and_then_they_talk() {
    let mut world = world();
    originate(&mut world).expect(&["out0 dial one/300 10.0.0.1:20000 sendrecv"]);
    assert_eq!(world.calls.summary(call()).map(|call| call.phase), Some(Phase::Ringing));
    world.rings(B).answers(B, Some(answer(&bob()))).expect(&["out1 dial one/301 nothing"]);
    let heard: Vec<_> = world.playing.values().map(|playing| (&*playing.sound, playing.repeats)).collect();
    assert_eq!(heard, [("tone:ringback", true)]);
    world.rings(C).expect(&[]);
    world.answers(C, Some(offer(&carol()))).forget_lines();
    world.accepts(B, answer(&bob())).forget_lines();
    assert_eq!(world.calls.summary(call()).map(|call| call.phase), Some(Phase::Talking));
    world.after(Duration::from_secs(10)).ends(C, 0).expect(&["out0 hangup 16"]);
    let cdr = world.the_record();
    assert_eq!((&*cdr.caller.user, &*cdr.dialled.user, cdr.attempts.len()), ("300", "301", 2));
    assert_eq!((cdr.ended_by, cdr.end - cdr.answer.expect("answered")), (Ender::Called, 10_000_000_000));
}

#[test]
fn its_ports_are_closed_when_the_media_of_the_two_passes_us_by() {
    let mut world = world_in(MediaMode::Direct);
    originate(&mut world).answers(B, Some(answer(&bob()))).answers(C, Some(offer("OC"))).forget_lines();
    world.accepts(B, answer("AB")).expect(&["out1 confirm answer:AB"]);
    assert!(world.ports.is_empty());
    world.ends(B, 0);
    world.the_record();
}

#[test]
fn who_has_answered_is_hung_up_when_the_second_does_not() {
    let mut world = world();
    originate(&mut world).answers(B, Some(answer(&bob()))).forget_lines();
    world.ends(C, 486).expect(&["out0 hangup 17"]);
    assert_eq!(world.the_record().cause, Cause::USER_BUSY);
    assert!(world.playing.is_empty());
    // The first may have gone before.
    let mut world = self::world();
    originate(&mut world).answers(B, Some(answer(&bob()))).ends(B, 0).expect(&[
        "out0 dial one/300 10.0.0.1:20000 sendrecv",
        "out1 dial one/301 nothing",
        "out1 hangup 16",
    ]);
    world.the_record();
}

#[test]
fn nobody_else_is_called_when_the_first_does_not_answer() {
    let mut world = world();
    originate(&mut world).ends(B, 486);
    let cdr = world.the_record();
    assert_eq!((cdr.attempts.len(), cdr.answer, cdr.cause), (1, None, Cause::USER_BUSY));
    let mut world = self::world();
    world.command(Command::Drain);
    originate(&mut world).expect(&[]);
    assert!(world.notes.iter().any(|note| matches!(note, Note::NotAdmitted { why: NotAdmitted::Draining, .. })));
}
