//! The record says who ended the call.

mod driver;

use driver::{A, B, C, World, answer, offer};
use std::time::Duration;
use sx_call::{Command, Ender, Found, Input, Note};
use sx_leg::{Ended, EndedBy, LegEvent};
use sx_media::MediaEvent;
use sx_route::MediaMode;
use sx_types::{Cause, LegId};

/// A's second leg, in a call of its own.
const E: LegId = LegId(2);

/// The call rings at B.
fn ringing() -> World {
    let mut world = World::new(MediaMode::Direct);
    world.incoming(A, "300", Some("OA")).rings(B);
    world
}

/// A and B are connected.
fn connected() -> World {
    let mut world = ringing();
    world.answers(B, Some(answer("AB")));
    world
}

#[track_caller]
fn check(mut world: World, expected: Ender) {
    let cdr = world.the_record();
    assert_eq!(cdr.ended_by, expected, "{cdr:?}");
    let noted = world.notes.iter().find_map(|note| if let Note::Ended { by, .. } = note { Some(*by) } else { None });
    assert_eq!(noted, Some(expected), "the log says the same");
}

/// Ends a leg as its transport, or its protocol, ends it.
fn fails(world: &mut World, leg: LegId) {
    let ended = Ended { cause: Cause::TEMPORARY_FAILURE, status: 0, by: EndedBy::Failure };
    world.event(leg, LegEvent::Ended(ended));
}

#[test]
fn the_party_that_hangs_up() {
    for (leg, expected) in [(A, Ender::Caller), (B, Ender::Called)] {
        let mut world = connected();
        world.ends(leg, 0);
        check(world, expected);
    }
}

#[test]
fn the_caller_that_gives_up() {
    let mut world = ringing();
    world.ends(A, 487);
    check(world, Ender::Caller);
}

#[test]
fn the_called_party_that_refuses() {
    for status in [486, 603] {
        let mut world = ringing();
        world.ends(B, status);
        check(world, Ender::Called);
    }
}

#[test]
fn the_exchange_when_there_is_no_such_user() {
    let mut world = World::new(MediaMode::Direct);
    world.incoming(A, "999", Some("OA"));
    let (query, _) = world.queries.pop().expect("the user is looked for");
    world.input(Input::Located { query, found: Found::Unknown });
    check(world, Ender::Exchange);
}

#[test]
fn an_operator_by_ending_the_call_or_all_of_them() {
    for begin in [ringing, connected] {
        let mut world = begin();
        let call = world.only_call();
        world.command(Command::Hangup { call, cause: Cause::NORMAL, by: Ender::Operator });
        check(world, Ender::Operator);
        let mut world = begin();
        world.command(Command::Clear { cause: Cause::TEMPORARY_FAILURE });
        check(world, Ender::Operator);
    }
}

#[test]
fn a_timer_when_nobody_answers() {
    let mut world = ringing();
    world.after(Duration::from_secs(21));
    check(world, Ender::Timer);
}

#[test]
fn a_timer_when_the_call_has_lasted_as_long_as_it_may() {
    let mut world = connected();
    world.after(Duration::from_secs(4 * 3600 + 1));
    check(world, Ender::Timer);
}

#[test]
fn a_timer_when_a_party_owes_an_answer() {
    let mut world = World::new(MediaMode::Direct);
    world.incoming(A, "300", None).answers(B, Some(offer("OB"))).after(Duration::from_secs(41));
    check(world, Ender::Timer);
}

#[test]
fn a_timer_when_a_party_is_silent() {
    let mut world = World::new(MediaMode::Relay);
    let said = driver::sdp("192.0.2.1", 4000, "sendrecv");
    world.incoming(A, "300", Some(&said)).answers(B, Some(answer(&said)));
    let port = world.ports[1];
    world.media(MediaEvent::Silent { port });
    check(world, Ender::Timer);
}

#[test]
fn nobody_when_a_party_cannot_be_reached() {
    for leg in [A, B] {
        let mut world = connected();
        fails(&mut world, leg);
        check(world, Ender::Failure);
    }
    let mut world = ringing();
    fails(&mut world, B);
    check(world, Ender::Failure);
}

/// Who has come in the place of the called party counts as it; the one that asked for the transfer has not ended it.
#[test]
fn the_target_of_a_transfer_that_hangs_up() {
    for (asker, stays) in [(A, B), (B, A)] {
        let mut definition = driver::definition(MediaMode::Direct);
        definition.trunks[0].access.transfers = true;
        for (leaves_last, expected) in
            [(C, Ender::Called), (stays, if stays == A { Ender::Caller } else { Ender::Called })]
        {
            let mut world = World::with(definition.clone(), sx_call::Settings::default());
            world.incoming(A, "300", Some("OA")).answers(B, Some(answer("AB")));
            world.transfer(asker, "301", None).answers(C, Some(offer("OC"))).accepts(stays, answer("A2"));
            world.let_end().ends(leaves_last, 0);
            check(world, expected);
        }
    }
}

/// In an attended transfer the transferor's second call ends because it goes.
#[test]
fn the_transferor_whose_second_call_is_over() {
    let mut world = connected();
    world.incoming(E, "300", Some("OE")).answers(C, Some(answer("AC")));
    world.transfer(A, "301", Some(E));
    let by = world.notes.iter().find_map(|note| if let Note::Ended { by, .. } = note { Some(*by) } else { None });
    assert_eq!(by, Some(Ender::Caller));
}
