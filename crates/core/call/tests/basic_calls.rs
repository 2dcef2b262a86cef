//! Calls that are set up, answered and ended, with descriptions that pass as they are.

mod driver;

use driver::{A, B, C, World, answer, offer};
use std::time::Duration;
use sx_call::{CallRecord, Command, Ender, Note};
use sx_leg::LegEvent;
use sx_types::{Cause, LegId};

#[test]
fn ringing_and_answer_are_passed_on_in_their_order_and_the_record_says_when() {
    let mut world = World::direct();
    world.incoming(A, "300", Some("OA")).expect(&["out0 dial one/300 OA"]);
    world.after(Duration::from_secs(1)).rings(B).expect(&["a progress Ringing nothing"]);
    world.after(Duration::from_secs(2)).answers(B, Some(answer("AB"))).expect(&["a answer answer:AB"]);
    world.event(A, LegEvent::Confirmed { media: None }).expect(&[]);
    world.after(Duration::from_secs(60)).ends(A, 0).expect(&["out0 hangup 16"]);
    let cdr = world.the_record();
    let second = |n: u64| driver::START.as_nanos() + n * 1_000_000_000;
    assert_eq!((cdr.start, cdr.ring, cdr.answer, cdr.end), (second(0), Some(second(1)), Some(second(3)), second(63)));
    assert_eq!((cdr.cause, cdr.status, cdr.ended_by), (Cause::NORMAL, 200, Ender::Caller));
    assert_eq!(cdr.attempts.len(), 1);
    assert_eq!((&*cdr.attempts[0].target, cdr.attempts[0].status), ("trunk:one", 200));
    let kinds: Vec<_> = world
        .records
        .iter()
        .map(|record| match record {
            CallRecord::Begun(_) => "begun",
            CallRecord::Answered { .. } => "answered",
            CallRecord::Ended(_) => "ended",
            CallRecord::Moved { .. } => "moved",
            CallRecord::Recorded(_) => "recorded",
            CallRecord::Alive { .. } => "alive",
        })
        .collect();
    assert_eq!(kinds, ["begun", "answered", "alive", "ended"], "it lasted a minute");
}

#[test]
fn the_called_party_may_hang_up_too() {
    let mut world = World::connected();
    world.ends(B, 0).expect(&["a hangup 16"]);
    assert_eq!(world.the_record().ended_by, Ender::Called);
}

#[test]
fn a_caller_who_gives_up_cancels_what_rings() {
    let mut world = World::direct();
    world.incoming(A, "200", Some("OA")).rings(B).forget_lines();
    world.ends(A, 487).expect(&["out0 hangup 16", "out1 hangup 16"]);
    let cdr = world.the_record();
    assert_eq!((cdr.status, cdr.answer), (487, None));
}

#[test]
fn early_media_is_passed_on_and_stands_when_the_answer_brings_none() {
    let mut world = World::direct();
    world.incoming(A, "300", Some("OA")).forget_lines();
    world.early(B, "EB").expect(&["a progress SessionProgress answer:EB"]);
    world.answers(B, None).expect(&["a answer answer:EB"]);
}

#[test]
fn the_caller_hears_one_target_at_a_time() {
    let mut world = World::direct();
    world.incoming(A, "200", Some("OA")).forget_lines();
    world.early(B, "EB").early(C, "EC").expect(&["a progress SessionProgress answer:EB"]);
    world.answers(C, None).expect(&["out0 hangup 26", "a answer answer:EC"]);
}

#[test]
fn a_caller_without_an_offer_answers_the_called_partys() {
    let mut world = World::direct();
    world.incoming(A, "300", None).expect(&["out0 dial one/300 nothing"]);
    world.answers(B, Some(offer("OB"))).expect(&["a answer offer:OB"]);
    world.event(A, LegEvent::Confirmed { media: Some(answer("AA")) }).expect(&["out0 confirm answer:AA"]);
    world.ends(A, 0).expect(&["out0 hangup 16"]);
    world.the_record();
}

#[test]
fn a_caller_who_owes_an_answer_and_brings_none_is_hung_up() {
    let mut world = World::direct();
    world.incoming(A, "300", None).answers(B, Some(offer("OB"))).forget_lines();
    world.event(A, LegEvent::Confirmed { media: None }).expect(&["a hangup 88", "out0 hangup 88"]);
    world.the_record();
}

#[test]
fn a_call_does_not_last_for_ever() {
    let mut world = World::connected();
    world.after(Duration::from_secs(4 * 3600 - 1)).expect(&[]);
    world.after(Duration::from_secs(2)).expect(&["a hangup 102", "out0 hangup 102"]);
    assert_eq!(world.the_record().ended_by, Ender::Timer);
}

#[test]
fn an_operator_ends_a_call_wherever_it_stands() {
    let mut world = World::direct();
    world.incoming(A, "300", Some("OA")).forget_lines();
    let call = world.only_call();
    world
        .command(Command::Hangup { call, cause: Cause::NORMAL, by: Ender::Operator })
        .expect(&["out0 hangup 16", "a reject 0 16"]);
    world.the_record();
    let mut world = World::connected();
    let call = world.only_call();
    world
        .command(Command::Hangup { call, cause: Cause::NORMAL, by: Ender::Operator })
        .expect(&["a hangup 16", "out0 hangup 16"]);
    world.the_record();
}

#[test]
fn legs_that_never_end_are_forgotten_in_the_end() {
    let mut world = World::connected();
    world.ends(A, 0).after(Duration::from_secs(71));
    assert!(world.calls.is_empty());
}

#[test]
fn what_a_leg_says_out_of_turn_is_noted_and_changes_nothing() {
    let mut world = World::connected();
    world.event(A, LegEvent::Redirected { targets: Vec::new() }).answers(B, None);
    world.event(LegId(99), LegEvent::Offered { media: None });
    world.event(B, LegEvent::OfferAccepted { media: None }).expect(&[]);
    let unexpected = world.notes.iter().filter(|note| matches!(note, Note::Unexpected { .. })).count();
    assert_eq!(unexpected, 3);
    world.ends(B, 0).expect(&["a hangup 16"]);
    world.the_record();
}
