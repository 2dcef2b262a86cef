//! Which targets of a call are tried, which at once and which one after the other, and what is told when none answers.

mod driver;

use driver::{A, B, C, World, answer};
use std::time::Duration;
use sx_call::{Found, Input, Settings};
use sx_route::MediaMode;
use sx_types::Cause;

#[test]
fn every_telephone_of_a_user_rings_and_the_first_answer_cancels_the_others() {
    let mut world = World::direct();
    world.incoming(A, "bob", Some("OA")).expect(&["locate bob@pbx"]);
    world.found(&["sip:bob@1", "sip:bob@2"]).expect(&["out0 dial sip:bob@1 OA", "out1 dial sip:bob@2 OA"]);
    world.rings(B).rings(C).expect(&["a progress Ringing nothing"]);
    world.answers(C, Some(answer("AC"))).expect(&["out0 hangup 26", "a answer answer:AC"]);
    // The cancel has crossed an answer: the adapter hangs up, the call hears nothing of it.
    world.answers(B, Some(answer("AB"))).expect(&[]);
    world.let_end().ends(A, 0).expect(&["out1 hangup 16"]);
    let cdr = world.the_record();
    assert_eq!(
        cdr.attempts.iter().map(|a| (a.cause.0, a.answer.is_some())).collect::<Vec<_>>(),
        [(26, false), (16, true)]
    );
}

#[test]
fn who_is_not_there_is_told_apart_from_who_does_not_exist() {
    let check = |found: Found, expected: &str| {
        let mut world = World::direct();
        world.incoming(A, "bob", Some("OA")).forget_lines();
        let (query, _) = world.queries.pop().expect("a question");
        world.input(Input::Located { query, found }).expect(&[expected]);
        world.the_record();
    };
    check(Found::Unknown, "a reject 0 1");
    check(Found::Contacts(Vec::new()), "a reject 0 20");
    check(Found::Failed, "a reject 0 41");
}

#[test]
fn a_registrar_that_does_not_answer_is_not_waited_for() {
    let mut world = World::direct();
    world.incoming(A, "bob", Some("OA")).forget_lines();
    world.after(Duration::from_secs(6)).expect(&["a reject 0 41"]);
    world.the_record();
}

#[test]
fn the_next_trunk_is_tried_after_a_cause_that_allows_it_and_only_then() {
    let check = |status: u16, expected: &[&str]| {
        let mut world = World::direct();
        world.incoming(A, "100", Some("OA")).forget_lines();
        world.ends(B, status).expect(expected);
    };
    check(503, &["out1 dial two/100 OA"]);
    check(500, &["out1 dial two/100 OA"]);
    check(486, &["a reject 486 17"]);
    check(404, &["a reject 404 1"]);
    check(603, &["a reject 603 21"]);
    check(401, &["a reject 403 21"]);
}

#[test]
fn a_trunk_may_have_its_own_list_of_causes() {
    let mut definition = driver::definition(MediaMode::Direct);
    definition.trunks[0].failover = sx_route::Failover::Causes([Cause::USER_BUSY].into());
    let mut world = World::with(definition, Settings::default());
    world.incoming(A, "100", Some("OA")).forget_lines();
    world.ends(B, 486).expect(&["out1 dial two/100 OA"]);
    world.ends(C, 486).expect(&["a reject 486 17"]);
    let cdr = world.the_record();
    assert_eq!(cdr.attempts.iter().map(|a| a.status).collect::<Vec<_>>(), [486, 486]);
}

#[test]
fn a_target_that_does_not_answer_is_left_after_its_time() {
    let mut world = World::direct();
    world.incoming(A, "100", Some("OA")).forget_lines();
    world.after(Duration::from_secs(19)).expect(&[]);
    world.after(Duration::from_secs(2)).expect(&["out0 hangup 102", "out1 dial two/100 OA"]);
    world.rings(C).forget_lines();
    world.after(Duration::from_secs(20)).expect(&["out1 hangup 19", "a reject 0 19"]);
    world.the_record();
}

#[test]
fn six_hundred_ends_the_search_at_once() {
    let mut world = World::direct();
    world.incoming(A, "200", Some("OA")).forget_lines();
    world.ends(B, 603).expect(&["out1 hangup 16", "a reject 603 21"]);
    world.the_record();
}

#[test]
fn of_several_failures_the_best_is_told_with_its_status() {
    let mut world = World::direct();
    world.incoming(A, "200", Some("OA")).forget_lines();
    world.ends(B, 503).ends(C, 486).expect(&["a reject 486 17"]);
    assert_eq!(world.the_record().status, 486);
}

#[test]
fn no_more_targets_are_tried_than_are_allowed() {
    let mut world =
        World::with(driver::definition(MediaMode::Direct), Settings { targets_max: 2, ..Settings::default() });
    world.incoming(A, "bob", Some("OA")).forget_lines();
    world.found(&["sip:1", "sip:2", "sip:3"]).expect(&["out0 dial sip:1 OA", "out1 dial sip:2 OA"]);
}

#[test]
fn an_unhealthy_trunk_is_not_tried() {
    let mut world = World::direct();
    world.input(Input::TrunkHealth { trunk: "one", healthy: false });
    world.incoming(A, "100", Some("OA")).expect(&["out0 dial two/100 OA"]);
}
