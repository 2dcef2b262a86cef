//! Calls that are set up, answered and ended, with descriptions that pass as they are.

mod driver;

use driver::{A, B, C, D, World, answer, offer};
use std::time::Duration;
use sx_call::{CallRecord, Command, Ender, Found, Input, NotAdmitted, Note, Settings};
use sx_leg::{Address, LegEvent, Source};
use sx_route::MediaMode;
use sx_types::{Cause, LegId};

fn direct() -> World {
    World::new(MediaMode::Direct)
}

/// A and B are connected.
fn connected() -> World {
    let mut world = direct();
    world.incoming(A, "300", Some("OA")).answers(B, Some(answer("AB"))).forget_lines();
    world
}

#[test]
fn ringing_and_answer_are_passed_on_in_their_order_and_the_record_says_when() {
    let mut world = direct();
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
            CallRecord::Alive { .. } => "alive",
        })
        .collect();
    assert_eq!(kinds, ["begun", "answered", "alive", "ended"], "it lasted a minute");
}

#[test]
fn the_called_party_may_hang_up_too() {
    let mut world = connected();
    world.ends(B, 0).expect(&["a hangup 16"]);
    assert_eq!(world.the_record().ended_by, Ender::Called);
}

#[test]
fn a_caller_who_gives_up_cancels_what_rings() {
    let mut world = direct();
    world.incoming(A, "200", Some("OA")).rings(B).forget_lines();
    world.ends(A, 487).expect(&["out0 hangup 16", "out1 hangup 16"]);
    let cdr = world.the_record();
    assert_eq!((cdr.status, cdr.answer), (487, None));
}

#[test]
fn every_telephone_of_a_user_rings_and_the_first_answer_cancels_the_others() {
    let mut world = direct();
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
        let mut world = direct();
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
    let mut world = direct();
    world.incoming(A, "bob", Some("OA")).forget_lines();
    world.after(Duration::from_secs(6)).expect(&["a reject 0 41"]);
    world.the_record();
}

#[test]
fn the_next_trunk_is_tried_after_a_cause_that_allows_it_and_only_then() {
    let check = |status: u16, expected: &[&str]| {
        let mut world = direct();
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
    let mut world = direct();
    world.incoming(A, "100", Some("OA")).forget_lines();
    world.after(Duration::from_secs(19)).expect(&[]);
    world.after(Duration::from_secs(2)).expect(&["out0 hangup 102", "out1 dial two/100 OA"]);
    world.rings(C).forget_lines();
    world.after(Duration::from_secs(20)).expect(&["out1 hangup 19", "a reject 0 19"]);
    world.the_record();
}

#[test]
fn six_hundred_ends_the_search_at_once() {
    let mut world = direct();
    world.incoming(A, "200", Some("OA")).forget_lines();
    world.ends(B, 603).expect(&["out1 hangup 16", "a reject 603 21"]);
    world.the_record();
}

#[test]
fn of_several_failures_the_best_is_told_with_its_status() {
    let mut world = direct();
    world.incoming(A, "200", Some("OA")).forget_lines();
    world.ends(B, 503).ends(C, 486).expect(&["a reject 486 17"]);
    assert_eq!(world.the_record().status, 486);
}

#[test]
fn a_redirection_is_followed_and_not_without_end() {
    let mut world = direct();
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
    let mut world = direct();
    world.incoming(A, "300", Some("OA")).forget_lines();
    redirects(&mut world, B, &["300"]).expect(&["a reject 0 25"]);
    world.the_record();
}

#[test]
fn a_redirection_that_is_refused_leaves_the_next_way_to_be_tried() {
    let mut world = direct();
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

#[test]
fn no_more_targets_are_tried_than_are_allowed() {
    let mut world =
        World::with(driver::definition(MediaMode::Direct), Settings { targets_max: 2, ..Settings::default() });
    world.incoming(A, "bob", Some("OA")).forget_lines();
    world.found(&["sip:1", "sip:2", "sip:3"]).expect(&["out0 dial sip:1 OA", "out1 dial sip:2 OA"]);
}

#[test]
fn early_media_is_passed_on_and_stands_when_the_answer_brings_none() {
    let mut world = direct();
    world.incoming(A, "300", Some("OA")).forget_lines();
    world.early(B, "EB").expect(&["a progress SessionProgress answer:EB"]);
    world.answers(B, None).expect(&["a answer answer:EB"]);
}

#[test]
fn the_caller_hears_one_target_at_a_time() {
    let mut world = direct();
    world.incoming(A, "200", Some("OA")).forget_lines();
    world.early(B, "EB").early(C, "EC").expect(&["a progress SessionProgress answer:EB"]);
    world.answers(C, None).expect(&["out0 hangup 26", "a answer answer:EC"]);
}

#[test]
fn a_caller_without_an_offer_answers_the_called_partys() {
    let mut world = direct();
    world.incoming(A, "300", None).expect(&["out0 dial one/300 nothing"]);
    world.answers(B, Some(offer("OB"))).expect(&["a answer offer:OB"]);
    world.event(A, LegEvent::Confirmed { media: Some(answer("AA")) }).expect(&["out0 confirm answer:AA"]);
    world.ends(A, 0).expect(&["out0 hangup 16"]);
    world.the_record();
}

#[test]
fn a_caller_who_owes_an_answer_and_brings_none_is_hung_up() {
    let mut world = direct();
    world.incoming(A, "300", None).answers(B, Some(offer("OB"))).forget_lines();
    world.event(A, LegEvent::Confirmed { media: None }).expect(&["a hangup 88", "out0 hangup 88"]);
    world.the_record();
}

#[test]
fn a_call_that_has_passed_too_many_exchanges_is_483() {
    let mut world = direct();
    world.incoming_with(A, "300", Some("OA"), |incoming| incoming.hops_left = 0).expect(&["a reject 483 25"]);
    assert_eq!(world.the_record().status, 483);
}

#[test]
fn a_foreign_domain_is_refused() {
    let mut world = direct();
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
fn an_unhealthy_trunk_is_not_tried() {
    let mut world = direct();
    world.input(Input::TrunkHealth { trunk: "one", healthy: false });
    world.incoming(A, "100", Some("OA")).expect(&["out0 dial two/100 OA"]);
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

#[test]
fn hold_and_resume_pass_through() {
    let mut world = connected();
    world.offers(A, Some("HOLD")).expect(&["out0 offer HOLD"]);
    world.accepts(B, answer("HELD")).expect(&["a answer-offer answer:HELD"]);
    world.offers(B, Some("OTHER")).expect(&["a offer OTHER"]);
    world.event(A, LegEvent::OfferRefused { cause: Cause::INCOMPATIBLE, status: 488 });
    world.expect(&["out0 refuse-offer 488 88"]);
}

#[test]
fn an_offer_that_meets_another_is_491() {
    let mut world = connected();
    world.offers(A, Some("ONE")).offers(B, Some("TWO")).expect(&["out0 offer ONE", "out0 refuse-offer 491 31"]);
    world.event(B, LegEvent::OfferRefused { cause: Cause(31), status: 491 }).expect(&["a refuse-offer 491 31"]);
    world.offers(B, Some("TWO")).expect(&["a offer TWO"]);
}

#[test]
fn a_change_asked_for_without_an_offer_is_offered_by_the_other() {
    let mut world = connected();
    world.offers(A, None).expect(&["out0 offer nothing"]);
    world.accepts(B, offer("OB")).expect(&["a answer-offer offer:OB"]);
    world.event(A, LegEvent::OfferConfirmed { media: Some(answer("AA")) }).expect(&["out0 confirm answer:AA"]);
    world.offers(B, Some("NEXT")).expect(&["a offer NEXT"]);
}

#[test]
fn an_offer_that_is_not_answered_is_refused_in_the_end() {
    let mut world = connected();
    world.offers(A, Some("ONE")).forget_lines();
    world.after(Duration::from_secs(41)).expect(&["a refuse-offer 0 102"]);
}

#[test]
fn keys_and_information_pass_through() {
    let mut world = connected();
    world.event(A, LegEvent::Digit { digit: '5', duration_ms: 100 }).expect(&["out0 digit 5"]);
    let body = driver::text("x");
    world.event(B, LegEvent::Info { content_type: "text/plain".into(), body }).expect(&["a info text/plain"]);
}

#[test]
fn a_call_does_not_last_for_ever() {
    let mut world = connected();
    world.after(Duration::from_secs(4 * 3600 - 1)).expect(&[]);
    world.after(Duration::from_secs(2)).expect(&["a hangup 102", "out0 hangup 102"]);
    assert_eq!(world.the_record().ended_by, Ender::Timer);
}

#[test]
fn an_operator_ends_a_call_wherever_it_stands() {
    let mut world = direct();
    world.incoming(A, "300", Some("OA")).forget_lines();
    let call = world.only_call();
    world.command(Command::Hangup { call, cause: Cause::NORMAL }).expect(&["out0 hangup 16", "a reject 0 16"]);
    world.the_record();
    let mut world = connected();
    let call = world.only_call();
    world.command(Command::Hangup { call, cause: Cause::NORMAL }).expect(&["a hangup 16", "out0 hangup 16"]);
    world.the_record();
}

#[test]
fn legs_that_never_end_are_forgotten_in_the_end() {
    let mut world = connected();
    world.ends(A, 0).after(Duration::from_secs(71));
    assert!(world.calls.is_empty());
}

#[test]
fn what_a_leg_says_out_of_turn_is_noted_and_changes_nothing() {
    let mut world = connected();
    world.event(A, LegEvent::Redirected { targets: Vec::new() }).answers(B, None);
    world.event(LegId(99), LegEvent::Offered { media: None });
    world.event(B, LegEvent::OfferAccepted { media: None }).expect(&[]);
    let unexpected = world.notes.iter().filter(|note| matches!(note, Note::Unexpected { .. })).count();
    assert_eq!(unexpected, 3);
    world.ends(B, 0).expect(&["a hangup 16"]);
    world.the_record();
}
