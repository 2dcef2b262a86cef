//! What is planned for which call, table by table.

use std::sync::Arc;
use sx_leg::{Address, Source};
use sx_route::{
    Access, Definition, Destination, DestinationKind, DomainFilter, Facts, Fork, Match, Plan, Room, Rule, SourceFilter,
    TableError, Tables, Trunk, TrunkFacts, Way, plan,
};
use sx_types::{Cause, Codec, RoomSounds};

fn rule(name: &str, matches: Match, to: &str) -> Rule {
    Rule {
        name: name.into(),
        source: SourceFilter::Any,
        domain: DomainFilter::Ours,
        matches,
        strip: 0,
        prepend: "".into(),
        destinations: vec![trunk_to(to, 1, 1)],
        fork: Fork::Serial,
        ring_ms_max: None,
    }
}

fn trunk_to(name: &str, priority: u16, weight: u16) -> Destination {
    Destination { kind: DestinationKind::Trunk(name.into()), priority, weight, user: None }
}

fn exact(text: &str) -> Match {
    Match::Exact(text.into())
}

fn prefix(text: &str) -> Match {
    Match::Prefix(text.into())
}

fn pattern(text: &str) -> Match {
    Match::Pattern(text.parse().expect(text))
}

fn tables(rules: Vec<Rule>, trunks: &[&str]) -> Tables {
    let trunks = trunks.iter().map(|name| Trunk::new(name)).collect();
    let definition =
        Definition { domains: vec!["pbx".into(), "10.0.0.1".into()], trunks, rules, ..Definition::default() };
    Tables::build(definition).expect("a sound definition")
}

fn user() -> Source {
    Source::User(Address::new("alice", "pbx"))
}

fn planned(tables: &Tables, source: &Source, to: &Address, random: u64) -> Plan {
    plan(tables, &Facts { source, to, trunks: &[], random })
}

/// The ways of a plan in a line: `,` between those of a stage, `;` between stages.
fn ways(plan: &Plan) -> String {
    let Plan::Ring(route) = plan else {
        let Plan::Refuse(refusal) = plan else { return String::new() };
        return format!("refused {}", refusal.cause.0);
    };
    let stage = |stage: &sx_route::Stage| {
        let way = |way: &sx_route::Planned| match &way.way {
            Way::Trunk(name) => format!("{name}/{}", way.to.user),
            Way::User => format!("user {}", way.to),
            Way::Room(room) => format!("room {room}"),
            Way::Announcement(told) => format!("announcement {}", told.sound),
            Way::Uri(uri) => uri.to_string(),
        };
        stage.ways.iter().map(way).collect::<Vec<_>>().join(",")
    };
    route.stages.iter().map(stage).collect::<Vec<_>>().join(";")
}

#[test]
fn the_most_specific_rule_wins_whatever_the_order() {
    let rules = vec![
        rule("all", prefix(""), "all"),
        rule("pattern", pattern("XXXX"), "pattern"),
        rule("49", prefix("49"), "49"),
        rule("493", prefix("493"), "493"),
        rule("4930 exactly", exact("4930"), "exact"),
        rule("narrow", pattern("[45]9[1-3]X"), "narrow"),
        rule("more", pattern("8X."), "more"),
        rule("any", pattern("8X!"), "any"),
        rule("second", exact("7"), "second"),
        rule("too late", exact("7"), "all"),
    ];
    let tables = tables(rules, &["all", "pattern", "49", "493", "exact", "narrow", "more", "any", "second"]);
    for (number, expected) in [
        ("4930", "exact/4930"),
        ("4931", "493/4931"),
        ("4950", "49/4950"),
        ("5920", "narrow/5920"),
        ("1234", "pattern/1234"),
        ("12345", "all/12345"),
        ("812", "more/812"),
        ("81", "any/81"),
        ("7", "second/7"),
        ("alice", "all/alice"),
    ] {
        let plan = planned(&tables, &user(), &Address::new(number, "pbx"), 0);
        assert_eq!(ways(&plan), expected, "{number}");
    }
}

#[test]
fn rules_take_calls_from_their_sources_only() {
    let from = |name, source| Rule { source, ..rule(name, prefix("1"), name) };
    let rules = vec![
        from("any", SourceFilter::Any),
        from("users", SourceFilter::Users),
        from("carrier", SourceFilter::Trunks(vec!["carrier".into()])),
    ];
    let tables = tables(rules, &["any", "users", "carrier"]);
    for (source, expected) in [
        (user(), "users/12"),
        (Source::Exchange, "users/12"),
        (Source::Trunk("carrier".into()), "carrier/12"),
        (Source::Trunk("other".into()), "any/12"),
    ] {
        assert_eq!(ways(&planned(&tables, &source, &Address::new("12", "pbx"), 0)), expected);
    }
}

#[test]
fn domains_are_ours_or_need_a_rule() {
    let outside = |name, domain, scheme: &str| Rule {
        domain,
        destinations: vec![Destination {
            kind: DestinationKind::Dialled { scheme: scheme.into() },
            priority: 1,
            weight: 1,
            user: None,
        }],
        source: SourceFilter::Users,
        ..rule(name, prefix(""), "")
    };
    let closed = tables(Vec::new(), &[]);
    assert_eq!(ways(&planned(&closed, &user(), &Address::new("bob", "elsewhere"), 0)), "refused 57");
    let open = tables(vec![outside("partner", DomainFilter::Elsewhere, "sip")], &[]);
    for (source, to, expected) in [
        (user(), ("bob", "pbx"), "user bob@pbx"),
        (user(), ("bob", "10.0.0.1"), "user bob@10.0.0.1"),
        (user(), ("bob", "partner"), "sip:bob@partner"),
        (user(), ("b b", "partner"), "sip:b%20b@partner"),
        (user(), ("", "pbx"), "refused 28"),
        // What a trunk writes there is its own affair.
        (Source::Trunk("x".into()), ("bob", "elsewhere"), "user bob@pbx"),
    ] {
        assert_eq!(ways(&planned(&open, &source, &Address::new(to.0, to.1), 0)), expected, "{to:?}");
    }
}

#[test]
fn a_number_is_stripped_and_prepended() {
    let rewriting = Rule { strip: 1, prepend: "+49".into(), ..rule("national", pattern("0Z."), "carrier") };
    let tables = tables(vec![rewriting], &["carrier"]);
    assert_eq!(ways(&planned(&tables, &user(), &Address::new("030123", "pbx"), 0)), "carrier/+4930123");
}

#[test]
fn destinations_come_by_priority_and_within_it_by_weight_or_together() {
    let destinations = vec![trunk_to("last", 9, 1), trunk_to("one", 1, 3), trunk_to("two", 1, 1)];
    let serial =
        tables(vec![Rule { destinations: destinations.clone(), ..rule("r", prefix(""), "") }], &["one", "two", "last"]);
    let to = Address::new("1", "pbx");
    let mut first = 0;
    for random in 0..4000 {
        let plan = ways(&planned(&serial, &user(), &to, random));
        assert!(plan == "one/1;two/1;last/1" || plan == "two/1;one/1;last/1", "{plan}");
        first += usize::from(plan.starts_with("one"));
    }
    assert!((2850..3150).contains(&first), "3 of 4 calls: {first} of 4000");
    let parallel = Rule { destinations, fork: Fork::Parallel, ..rule("r", prefix(""), "") };
    let parallel = tables(vec![parallel], &["one", "two", "last"]);
    assert_eq!(ways(&planned(&parallel, &user(), &to, 0)), "one/1,two/1;last/1");
}

#[test]
fn weightless_destinations_come_last_and_in_their_order() {
    let destinations = vec![trunk_to("spare", 1, 0), trunk_to("spare2", 1, 0), trunk_to("one", 1, 5)];
    let tables = tables(vec![Rule { destinations, ..rule("r", prefix(""), "") }], &["spare", "spare2", "one"]);
    for random in 0..100 {
        let plan = ways(&planned(&tables, &user(), &Address::new("1", "pbx"), random));
        assert_eq!(plan, "one/1;spare/1;spare2/1");
    }
}

#[test]
fn trunks_of_no_use_are_skipped_and_the_refusal_says_why() {
    let limited = |name: &str| Trunk { calls_max: 2, calls_per_s_max: 5, ..Trunk::new(name) };
    let off = Trunk { calls_max: 0, ..Trunk::new("off") };
    let rules =
        vec![Rule { destinations: vec![trunk_to("off", 1, 1), trunk_to("one", 2, 1)], ..rule("r", prefix(""), "") }];
    let definition =
        Definition { domains: vec!["pbx".into()], trunks: vec![off, limited("one")], rules, ..Definition::default() };
    let tables = Tables::build(definition).expect("sound");
    let idle = TrunkFacts { active: 0, begun_this_second: 0, healthy: true };
    let check = |facts: TrunkFacts, expected: &str, sentence: &str| {
        let to = Address::new("1", "pbx");
        let trunks = [idle, facts];
        let plan = plan(&tables, &Facts { source: &user(), to: &to, trunks: &trunks, random: 0 });
        assert_eq!(ways(&plan), expected);
        if let Plan::Refuse(refusal) = plan {
            assert!(
                refusal.sentence.contains(sentence) && refusal.sentence.contains("off has all its channels in use")
            );
            assert!(refusal.retry && refusal.cause == Cause::CONGESTION, "one of them may have room again");
        }
    };
    check(idle, "one/1", "");
    check(TrunkFacts { active: 2, ..idle }, "refused 42", "one has all its channels in use");
    check(TrunkFacts { begun_this_second: 5, ..idle }, "refused 42", "one has had its calls for this second");
    let down = TrunkFacts { healthy: false, ..idle };
    check(TrunkFacts { active: 2, ..down }, "refused 42", "one does not answer");
    // It may have come back since it was probed; a few calls are enough to find out.
    check(down, "one/1", "");
    check(TrunkFacts { begun_this_second: 2, ..down }, "refused 42", "one does not answer");
}

#[test]
fn a_trunk_that_does_not_answer_its_probes_is_tried_when_nothing_is_better() {
    let destinations = vec![trunk_to("one", 1, 1), trunk_to("two", 2, 1)];
    let tables = tables(vec![Rule { destinations, ..rule("r", prefix(""), "") }], &["one", "two"]);
    let up = TrunkFacts { active: 0, begun_this_second: 0, healthy: true };
    let down = TrunkFacts { healthy: false, ..up };
    let to = Address::new("1", "pbx");
    for (trunks, expected) in [([down, up], "two/1"), ([up, down], "one/1"), ([down, down], "one/1;two/1")] {
        let plan = plan(&tables, &Facts { source: &user(), to: &to, trunks: &trunks, random: 0 });
        assert_eq!(ways(&plan), expected);
        let Plan::Ring(route) = plan else { panic!("a way") };
        let reason = route.stages[0].ways[0].reason.to_string();
        assert_eq!(reason.contains("nothing is better"), expected.contains(';'), "{reason}");
    }
}

#[test]
fn a_definition_that_does_not_fit_together_names_everything_that_does_not() {
    let rules = vec![
        rule("ghost", prefix("1"), "nobody"),
        Rule { destinations: Vec::new(), ..rule("nowhere", prefix("2"), "") },
        Rule { strip: 2, ..rule("greedy", prefix("3"), "one") },
        Rule { source: SourceFilter::Trunks(vec!["other".into()]), ..rule("from", prefix("4"), "one") },
    ];
    let trunks = vec![Trunk::new("one"), Trunk::new("one")];
    let errors = Tables::build(Definition { trunks, rules, ..Definition::default() }).expect_err("nothing fits");
    assert_eq!(
        errors,
        [
            TableError::TrunkTwice("one".into()),
            TableError::UnknownTrunk { rule: "ghost".into(), trunk: "nobody".into() },
            TableError::NoDestination("nowhere".into()),
            TableError::StripsTooMuch { rule: "greedy".into(), strip: 2, shortest: 1 },
            TableError::UnknownTrunk { rule: "from".into(), trunk: "other".into() },
        ]
    );
}

#[test]
fn a_plan_is_one_serialisable_value_and_explains_itself() {
    let tables = tables(vec![rule("all", prefix(""), "one")], &["one"]);
    let plan = planned(&tables, &user(), &Address::new("1", "pbx"), 0);
    let text = serde_json::to_string(&plan).expect("serialisable");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("and back"), plan);
    let Plan::Ring(route) = plan else { panic!("a way") };
    assert_eq!(route.stages[0].ways[0].reason.to_string(), "rule all: alone at priority 1");
    assert_eq!(tables.access(&user()), &Access::default());
}

#[test]
fn a_hundred_thousand_prefixes_are_told_apart() {
    let rules = (0..100_000).map(|n| rule("r", prefix(&format!("{n:05}")), "one")).collect();
    let tables = tables(rules, &["one"]);
    for number in ["00000", "4711999", "99999"] {
        assert_eq!(ways(&planned(&tables, &user(), &Address::new(number, "pbx"), 0)), format!("one/{number}"));
    }
    assert_eq!(ways(&planned(&tables, &user(), &Address::new("471", "pbx"), 0)), "user 471@pbx");
}

#[test]
fn a_rule_may_say_how_long_it_rings_and_a_destination_whom_it_asks_for() {
    let mut ruled = rule("r", prefix("0"), "one");
    ruled.ring_ms_max = Some(7_000);
    ruled.destinations[0].user = Some("tech-{user}".into());
    let (tables, to) = (tables(vec![ruled], &["one"]), Address::new("012", "pbx"));
    let Plan::Ring(route) = plan(&tables, &Facts { source: &user(), to: &to, trunks: &[], random: 0 }) else {
        panic!("refused")
    };
    assert_eq!((route.stages[0].ring_ms_max, &*route.stages[0].ways[0].to.user), (7_000, "tech-012"));
}

fn room(name: &str) -> Room {
    Room {
        name: name.into(),
        members_max: 2,
        codecs: Arc::from([]),
        sounds: Default::default(),
        members: Arc::default(),
    }
}

fn to_room(name: &str) -> Rule {
    let kind = DestinationKind::Room(name.into());
    let destinations = vec![Destination { kind, priority: 1, weight: 1, user: None }];
    Rule { destinations, ..rule(name, exact("5000"), "none") }
}

#[test]
fn a_rule_leads_into_a_room() {
    let definition = Definition {
        domains: vec!["pbx".into()],
        rooms: vec![room("council")],
        rules: vec![to_room("council")],
        ..Definition::default()
    };
    let tables = Tables::build(definition).expect("a sound definition");
    assert_eq!(ways(&planned(&tables, &user(), &Address::new("5000", "pbx"), 0)), "room council");
}

#[test]
fn rooms_that_do_not_fit_together_are_all_named() {
    let rooms = vec![room("council"), room("council")];
    let definition = Definition { rooms, rules: vec![to_room("board")], ..Definition::default() };
    let errors = Tables::build(definition).expect_err("two mistakes");
    let unknown = TableError::UnknownRoom { rule: "board".into(), room: "board".into() };
    assert_eq!(errors, [TableError::RoomTwice("council".into()), unknown]);
}

#[test]
fn who_is_in_a_room_is_known_to_tables_that_follow() {
    let tables = |rooms: &[&str]| {
        let rooms = rooms.iter().map(|name| room(name)).collect();
        Tables::build(Definition { rooms, ..Definition::default() }).expect("a sound definition")
    };
    let first = tables(&["council", "board"]);
    assert!(first.members("council").is_some_and(|members| members.occupy(2)));
    let second = tables(&[]).following(&first);
    assert_eq!(second.members("council").map(|members| members.count()), Some(1), "it is gone, and somebody is in it");
    let third = tables(&["council"]).following(&tables(&[]).following(&second));
    assert_eq!(third.members("council").map(|members| members.count()), Some(1));
    assert!(third.members("board").is_none(), "nobody was in it, and nobody can be");
}

#[test]
fn users_dial_a_room_by_its_name_where_nobody_else_has_it() {
    let (name, sounds, members) = ("council".into(), RoomSounds::default(), Arc::default());
    let room = Room { name, members_max: 3, codecs: [Codec::Pcmu].into(), sounds, members };
    let definition = Definition {
        domains: vec!["pbx".into()],
        trunks: vec![Trunk::new("one")],
        rooms: vec![room],
        rules: vec![rule("taken", exact("7"), "one")],
        ..Definition::default()
    };
    let tables = Tables::build(definition).expect("a sound definition");
    for (source, to, expected) in [
        (user(), "council", "user council@pbx;room council"),
        (user(), "annex", "user annex@pbx"),
        (Source::Trunk("one".into()), "council", "user council@pbx"),
        (Source::Exchange, "council", "user council@pbx"),
    ] {
        let plan = planned(&tables, &source, &Address::new(to, "pbx"), 0);
        assert_eq!(ways(&plan), expected);
        let Plan::Ring(route) = plan else { continue };
        let tried = |cause: u8| route.stages[0].failover.allows(Cause(cause));
        assert!(route.stages.len() == 1 || tried(1) && !tried(20), "only where there is no such user");
    }
}
