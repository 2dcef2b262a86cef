//! Nobody is answered before it is written down that it was let in.

mod driver;

use driver::{A, B, World, alice, answer, bob, carol, definition};
use std::time::Duration;
use sx_call::{CallRecord, Input, Note, Settings};
use sx_leg::{Address, Incoming, Source};
use sx_route::MediaMode;
use sx_types::LegId;

const E: LegId = LegId(2);

fn world(mode: MediaMode) -> World {
    World::with(definition(mode), Settings { answer_wait: Some(Duration::from_secs(2)), ..Settings::default() })
}

fn written(world: &mut World, leg: LegId) -> &mut World {
    world.input(Input::Written { leg })
}

fn answers_recorded(world: &World) -> (usize, usize) {
    let records = world.records.iter().filter(|record| matches!(record, CallRecord::Answered { .. })).count();
    (records, world.notes.iter().filter(|note| matches!(note, Note::Answered { .. })).count())
}

#[test]
fn an_answer_waits_until_its_caller_is_written_down() {
    let mut world = world(MediaMode::Direct);
    world.incoming(A, "300", Some("OA")).forget_lines();
    world.rings(B).expect(&["a progress Ringing nothing"]);
    world.answers(B, Some(answer("AB"))).expect(&[]);
    assert_eq!(answers_recorded(&world), (0, 0));
    assert_eq!(world.export().map(|_| ()), None, "it is not taken elsewhere meanwhile");
    world.after(Duration::from_secs(1));
    written(&mut world, A).expect(&["a answer answer:AB"]);
    assert_eq!(answers_recorded(&world), (1, 1));
    world.after(Duration::from_secs(9)).ends(A, 0);
    let cdr = world.the_record();
    assert_eq!((cdr.answer.map(|at| at - cdr.start), cdr.end - cdr.start), (Some(1_000_000_000), 10_000_000_000));
}

#[test]
fn a_caller_who_is_written_down_while_it_rings_waits_for_nothing() {
    let mut world = world(MediaMode::Direct);
    world.incoming(A, "300", Some("OA")).forget_lines();
    written(&mut world, A).answers(B, Some(answer("AB"))).expect(&["a answer answer:AB"]);
}

#[test]
fn who_is_not_written_down_in_time_is_refused_and_was_not_answered() {
    let mut world = world(MediaMode::Direct);
    world.incoming(A, "300", Some("OA")).answers(B, Some(answer("AB"))).forget_lines();
    world.after(Duration::from_secs(2)).expect(&["out0 hangup 16", "a reject 503 41"]);
    written(&mut world, A).expect(&[]);
    assert_eq!(answers_recorded(&world), (0, 0));
    let cdr = world.the_record();
    assert_eq!((cdr.answer, cdr.status, cdr.attempts[0].answer), (None, 503, None));
}

#[test]
fn a_telephone_that_hangs_up_before_its_answer_counts_was_in_vain() {
    let mut world = world(MediaMode::Direct);
    world.incoming(A, "300", Some("OA")).answers(B, Some(answer("AB"))).forget_lines();
    world.ends(B, 0).expect(&["a reject 0 16"]);
    written(&mut world, A);
    assert_eq!(world.the_record().answer, None);
}

#[test]
fn what_comes_behind_an_answer_that_waits_is_bounded_and_keeps_its_order() {
    let mut world = world(MediaMode::Direct);
    world.incoming(A, "300", Some("OA")).answers(B, Some(answer("AB"))).forget_lines();
    for number in 0..100 {
        let digit = char::from(b'0' + number % 10);
        world.event(B, sx_leg::LegEvent::Digit { digit, duration_ms: 100 });
    }
    world.expect(&[]);
    let beyond = world.notes.iter().filter(|note| matches!(note, Note::Unexpected { .. })).count();
    assert_eq!(beyond, 100 - usize::from(Settings::default().waiting_max - 1));
    written(&mut world, A);
    let lines = std::mem::take(&mut world.lines);
    assert_eq!(&lines[..4], ["a answer answer:AB", "a digit 0", "a digit 1", "a digit 2"]);
}

fn taking(leg: LegId) -> impl FnOnce(&mut Incoming) {
    move |incoming| (incoming.replaces, incoming.source) = (Some(leg), Source::User(Address::new("bob", "pbx")))
}

/// bob's telephone rings, and another telephone of his takes the call.
fn taken() -> World {
    let mut world = world(MediaMode::Relay);
    world.incoming(A, "bob", Some(&alice()));
    written(&mut world, A).found(&["sip:bob@1"]);
    world.rings(B).incoming_with(E, "300", Some(&carol()), taking(B));
    world
}

#[test]
fn who_takes_a_call_is_written_down_first() {
    let mut world = taken();
    assert_eq!(answers_recorded(&world), (0, 0));
    written(&mut world, E);
    assert_eq!(answers_recorded(&world), (1, 1));
    world.ends(A, 0).let_end();
    assert!(world.the_record().answer.is_some());
}

#[test]
fn who_takes_a_call_and_is_not_written_down_in_time_leaves_it_ringing() {
    let mut world = taken();
    world.forget_lines();
    world.after(Duration::from_secs(2)).expect(&["b reject 503 41"]);
    world.let_end().forget_lines();
    world.answers(B, Some(sx_leg::Media::Answer(driver::text(&bob()))));
    assert_eq!(answers_recorded(&world), (1, 1), "{:?}", world.lines);
}

#[test]
fn who_takes_a_place_and_is_not_written_down_in_time_leaves_the_call_as_it_was() {
    let mut world = world(MediaMode::Direct);
    world.incoming(A, "300", Some("OA"));
    written(&mut world, A).answers(B, Some(answer("AB"))).forget_lines();
    world.incoming_with(E, "300", Some("OE"), |incoming| incoming.replaces = Some(A)).expect(&["out0 offer OE"]);
    world.accepts(B, answer("AE")).expect(&[]);
    world.after(Duration::from_secs(2)).expect(&["b reject 503 41"]);
    world.let_end().ends(A, 0);
    world.the_record();
}

#[test]
fn who_takes_a_place_is_answered_when_it_is_written_down() {
    let mut world = world(MediaMode::Direct);
    world.incoming(A, "300", Some("OA"));
    written(&mut world, A).answers(B, Some(answer("AB"))).forget_lines();
    world.incoming_with(E, "300", Some("OE"), |incoming| incoming.replaces = Some(A));
    world.accepts(B, answer("AE")).forget_lines();
    written(&mut world, E).expect(&["b answer answer:AE", "a hangup 16"]);
    world.ends(E, 0);
    world.the_record();
}

#[test]
fn nobody_is_connected_by_a_transfer_before_it_is_written_down() {
    let connected = || {
        let mut world = world(MediaMode::Direct);
        world.incoming(A, "300", Some("OA"));
        written(&mut world, A).answers(B, Some(answer("AB"))).forget_lines();
        world.writes_wishes = false;
        world.transfer(A, "301", None).answers(driver::C, Some(driver::offer("OC"))).accepts(B, answer("AB2"));
        world.expect(&["a transfer-progress 100", "out1 dial one/301 nothing", "out0 offer OC"]);
        world
    };
    let mut world = connected();
    world.write_wishes().expect(&["out1 confirm answer:AB2", "a transfer-progress 200", "a hangup 16"]);
    world.let_end().ends(B, 0);
    world.the_record();
    let mut world = connected();
    world.after(Duration::from_secs(2)).expect(&["out1 hangup 41", "a transfer-progress 503"]);
    world.ends(A, 0);
    world.the_record();
}

#[test]
fn nobody_answers_a_redirected_call_before_it_is_written_down() {
    let mut world = world(MediaMode::Direct);
    world.writes_wishes = false;
    world.incoming(A, "300", Some("OA"));
    written(&mut world, A);
    world.event(B, sx_leg::LegEvent::Redirected { targets: vec![Address::new("301", "pbx")] }).ends(B, 302);
    world.forget_lines().answers(driver::C, Some(answer("AC"))).expect(&[]);
    world.write_wishes().expect(&["a answer answer:AC"]);
    world.ends(A, 0);
    world.the_record();
}
