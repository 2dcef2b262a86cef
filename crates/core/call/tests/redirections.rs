//! Called parties that answer with the address of another.

mod driver;

use driver::{A, B, C, D, World};
use sx_call::Settings;
use sx_leg::{Address, LegEvent};
use sx_route::MediaMode;
use sx_types::LegId;

#[test]
fn a_redirection_is_followed_and_not_without_end() {
    let mut world = World::direct();
    world.incoming(A, "300", Some("OA")).forget_lines();
    let mut leg = B;
    for turn in 1..=5 {
        redirects(&mut world, leg, &[&format!("30{turn}")]);
        leg.0 += 1;
        assert_eq!(std::mem::take(&mut world.lines), [format!("out{turn} dial one/30{turn} OA")]);
    }
    redirects(&mut world, leg, &["306"]).expect(&["a reject 0 25"]);
    assert_eq!(world.the_record().attempts.len(), 6);
}

fn redirects<'w>(world: &'w mut World, leg: LegId, to: &[&str]) -> &'w mut World {
    let address = |to: &&str| to.split_once('@').map_or(Address::new(to, "pbx"), |(user, at)| Address::new(user, at));
    world.event(leg, LegEvent::Redirected { targets: to.iter().map(address).collect() }).ends(leg, 302)
}

/// Only users may call 9; only trunk two may call 8.
fn with_rights() -> sx_route::Definition {
    let mut definition = driver::definition(MediaMode::Direct);
    let rule = |prefix: &str, source| sx_route::Rule {
        matches: sx_route::Match::Prefix(prefix.into()),
        source,
        ..definition.rules[2].clone()
    };
    let more =
        [rule("9", sx_route::SourceFilter::Users), rule("8", sx_route::SourceFilter::Trunks(vec!["two".into()]))];
    definition.rules.extend(more);
    definition
}

#[test]
fn a_redirection_reaches_only_what_the_one_who_redirects_may_call() {
    let check = |dialled: &str, to: &str, expected: &[&str]| {
        let mut world = World::with(with_rights(), Settings::default());
        world.incoming(A, dialled, Some("OA"));
        if !world.queries.is_empty() {
            world.found(&["sip:bob@192.0.2.9"]);
        }
        world.forget_lines();
        redirects(&mut world, B, &[to]).expect(expected);
    };
    // A trunk: neither what only users may call, nor what only another trunk may.
    check("300", "301", &["out1 dial one/301 OA"]);
    check("300", "901", &["locate 901@pbx"]);
    check("300", "801", &["locate 801@pbx"]);
    // A user of ours: what users may call, and no host of its own choice.
    check("bob", "901", &["out1 dial one/901 OA"]);
    check("bob", "bob@evil.example", &["a reject 0 57"]);
    check("bob", "901@evil.example:5070;transport=tcp", &["a reject 0 57"]);
}

#[test]
fn a_redirection_in_a_circle_is_an_attempt_that_failed() {
    let mut world = World::direct();
    world.incoming(A, "300", Some("OA")).forget_lines();
    redirects(&mut world, B, &["300"]).expect(&["a reject 0 25"]);
    world.the_record();
}

#[test]
fn a_redirection_that_is_refused_leaves_the_next_way_to_be_tried() {
    let mut world = World::direct();
    world.incoming(A, "100", Some("OA")).forget_lines();
    // Of two addresses one is refused: the other rings, and what its route names after it is tried after it.
    redirects(&mut world, B, &["", "101"]).expect(&["out1 dial one/101 OA"]);
    world.ends(C, 503).expect(&["out2 dial two/101 OA"]);
    world.ends(D, 503).expect(&["out3 dial two/100 OA"]);
}

#[test]
fn somebody_outside_redirects_nothing() {
    let mut definition = driver::definition(MediaMode::Direct);
    definition.rules[2].destinations[0].kind = sx_route::DestinationKind::Uri("sip:voice@192.0.2.40".into());
    let mut world = World::with(definition, Settings::default());
    world.incoming(A, "300", Some("OA")).expect(&["out0 dial sip:voice@192.0.2.40 OA"]);
    redirects(&mut world, B, &["100"]).expect(&["a reject 0 57"]);
    world.the_record();
}
