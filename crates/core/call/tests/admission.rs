//! Calls that are not taken, or not let out, and what is told of it.

mod driver;

use driver::{A, B, C, D, World, answer};
use std::time::Duration;
use sx_call::{Command, NotAdmitted, Note, Settings};
use sx_leg::{Address, Source};
use sx_route::MediaMode;
use sx_types::LegId;

#[test]
fn a_call_that_has_passed_too_many_exchanges_is_483() {
    let mut world = World::direct();
    world.incoming_with(A, "300", Some("OA"), |incoming| incoming.hops_left = 0).expect(&["a reject 483 25"]);
    assert_eq!(world.the_record().status, 483);
}

#[test]
fn a_foreign_domain_is_refused() {
    let mut world = World::direct();
    world.incoming_with(A, "x", Some("OA"), |incoming| incoming.to = Address::new("x", "elsewhere"));
    world.expect(&["a reject 0 57"]);
    assert_eq!(world.the_record().status, 403);
}

#[test]
fn a_full_exchange_and_one_that_drains_take_no_new_calls() {
    let mut world =
        World::with(driver::definition(MediaMode::Direct), Settings { calls_max: 1, ..Settings::default() });
    world.incoming(A, "300", Some("OA")).forget_lines();
    world.incoming(LegId(2), "300", Some("OA")).expect(&["b reject 503 42"]);
    assert!(matches!(world.notes.last(), Some(Note::NotAdmitted { why: NotAdmitted::Full, .. })));
    world.let_end().ends(A, 487).let_end();
    world.command(Command::Drain).forget_lines();
    world.incoming(LegId(3), "300", Some("OA")).expect(&["c reject 503 41"]);
    world.command(Command::Undrain).let_end();
    world.incoming(LegId(4), "300", Some("OA")).expect(&["out1 dial one/300 OA"]);
}

#[test]
fn what_comes_from_a_trunk_counts_among_its_calls_of_the_second() {
    let mut definition = driver::definition(MediaMode::Direct);
    definition.trunks[0].calls_per_s_max = 2;
    let mut world = World::with(definition, Settings::default());
    let from_one = |incoming: &mut sx_leg::Incoming| incoming.source = Source::Trunk("one".into());
    let leg = LegId;
    world.incoming_with(A, "bob", Some("OA"), from_one).incoming_with(leg(2), "bob", Some("OA"), from_one);
    world.forget_lines();
    world.incoming_with(leg(3), "bob", Some("OA"), from_one).expect(&["c reject 503 42"]);
    assert!(matches!(world.notes.last(), Some(Note::NotAdmitted { why: NotAdmitted::TrunkTooFast, .. })));
    world.incoming(leg(4), "300", Some("OA")).expect(&["d reject 0 42"]);
    world.after(Duration::from_secs(1)).incoming(leg(5), "300", Some("OA")).expect(&["out0 dial one/300 OA"]);
}

/// Two calls are planned while the second trunk has a channel; the first trunk fails both.
#[test]
fn a_trunk_that_has_filled_up_since_a_call_was_planned_is_not_given_more() {
    let mut definition = driver::definition(MediaMode::Direct);
    definition.trunks[1].calls_max = 1;
    let mut world = World::with(definition, Settings::default());
    world.incoming(A, "100", Some("OA")).incoming(LegId(2), "100", Some("OA")).forget_lines();
    world.ends(B, 503).expect(&["out2 dial two/100 OA"]);
    world.ends(C, 503).expect(&["b reject 503 41"]);
    world.ends(D, 486).let_end();
    assert_eq!(world.all_records().len(), 2);
}

#[test]
fn a_stranger_is_told_the_kind_of_failure_and_not_how_we_are_set_up() {
    let mut definition = driver::definition(MediaMode::Direct);
    definition.trunks[0].calls_max = 0;
    for (source, expected) in [
        (Source::Trunk("two".into()), "Switching equipment congestion"),
        (
            Source::User(Address::new("alice", "pbx")),
            "no way of rule single is of use: trunk one has all its channels in use",
        ),
    ] {
        let mut world = World::with(definition.clone(), Settings::default());
        world.incoming_with(A, "300", Some("OA"), |incoming| incoming.source = source);
        assert_eq!(world.warnings, [expected]);
        let ended = world.notes.iter().find_map(|note| match note {
            Note::Ended { sentence, .. } => Some(sentence.to_string()),
            _ => None,
        });
        assert!(ended.expect("an end").contains("trunk one"), "the log has it all");
    }
}

#[test]
fn a_trunks_channels_are_counted_both_ways_and_given_back() {
    let mut definition = driver::definition(MediaMode::Direct);
    definition.trunks[0].calls_max = 1;
    let mut world = World::with(definition, Settings::default());
    let from_one = |incoming: &mut sx_leg::Incoming| incoming.source = Source::Trunk("one".into());
    world.incoming(A, "300", Some("OA")).answers(B, Some(answer("AB"))).forget_lines();
    let (b, c, d) = (LegId(2), LegId(3), LegId(4));
    world.incoming(b, "300", Some("OA")).expect(&["b reject 0 42"]);
    world.incoming_with(c, "bob", Some("OA"), from_one).expect(&["c reject 503 42"]);
    world.ends(A, 0).forget_lines();
    world.incoming(d, "300", Some("OA")).expect(&["d reject 0 42"]);
    world.let_end().forget_lines();
    world.incoming(LegId(5), "300", Some("OA")).expect(&["out1 dial one/300 OA"]);
}

#[test]
fn what_other_workers_have_on_a_trunk_counts() {
    let mut definition = driver::definition(MediaMode::Direct);
    definition.trunks[0].calls_max = 5;
    let load = definition.trunks[0].load.clone();
    let mut world = World::with(definition, Settings::default());
    (0..5).for_each(|_| assert!(load.occupy(5)));
    world.incoming(A, "100", Some("OA")).expect(&["out0 dial two/100 OA"]);
}
