//! A policy that contradicts itself is refused, and everything that does not fit is said at once.

mod common;

use common::{registered, rule};
use sx_guard::{
    Action, Conditions, Definition, Obligations, Place, Policy, PolicyError, PolicyHash, PolicyProblem, PublicKey,
    Rate, Rule, SourceKind, Status, Then, Weekday,
};
use sx_types::{Consent, Transport};

fn errors(definition: Definition) -> Vec<PolicyError> {
    Policy::build(definition, PolicyHash::of(b"")).err().unwrap_or_default()
}

#[track_caller]
fn check(rules: Vec<Rule>, expected: &[&str]) {
    let found: Vec<String> =
        errors(Definition { rules, ..Definition::default() }).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

fn dialled(prefixes: &[&str]) -> Conditions {
    let dialled_prefix = prefixes.iter().map(|prefix| Box::from(*prefix)).collect();
    Conditions { dialled_prefix, ..Conditions::default() }
}

fn number(dialled: &[&str]) -> Conditions {
    let dialled = dialled.iter().map(|number| Box::from(*number)).collect();
    Conditions { dialled, ..Conditions::default() }
}

fn from(networks: &[&str]) -> Conditions {
    let network = networks.iter().map(|network| network.parse().expect("a network")).collect();
    Conditions { network, ..Conditions::default() }
}

fn of(identities: &[&str]) -> Conditions {
    let identity = identities.iter().map(|identity| identity.parse().expect("a pattern")).collect();
    Conditions { identity, ..Conditions::default() }
}

fn recorded(name: &str, when: Conditions) -> Rule {
    let obligations = Obligations { record: true, consent: Some(Consent::Law), ..Obligations::default() };
    Rule { obligations, ..rule(name, when, Then::Conditional) }
}

#[test]
fn two_rules_of_one_name_are_refused() {
    check(
        vec![rule("a", dialled(&["1"]), Then::Approve), rule("a", dialled(&["2"]), Then::Approve)],
        &["rule 2: another rule is named a"],
    );
}

#[test]
fn the_same_conditions_with_another_outcome_are_refused() {
    let two = |then| vec![rule("a", dialled(&["1", "2"]), Then::Approve), rule("b", dialled(&["2", "1"]), then)];
    check(two(Then::Reject), &["rule 2: the same conditions as rule a, and another outcome"]);
    check(two(Then::Approve), &["rule 2: can never match: rule a decides everything that it would take"]);
    check(
        vec![recorded("a", dialled(&["1"])), rule("b", dialled(&["1"]), Then::Reject)],
        &["rule 2: the same conditions as rule a, and another outcome"],
    );
    check(vec![recorded("a", dialled(&["1"])), recorded("b", dialled(&["1"]))], &[]);
}

#[test]
fn a_rule_that_can_never_match_is_refused() {
    let covered = |outer: Conditions, inner: Conditions| {
        check(
            vec![rule("outer", outer.clone(), Then::Reject), rule("inner", inner.clone(), Then::Approve)],
            &["rule 2: can never match: rule outer decides everything that it would take"],
        );
        // The other way round both are of use.
        check(vec![rule("inner", inner.clone(), Then::Approve), rule("outer", outer.clone(), Then::Reject)], &[]);
        // What only adds obligations covers nothing.
        check(vec![recorded("outer", outer), rule("inner", inner, Then::Approve)], &[]);
    };
    covered(Conditions::default(), dialled(&["1"]));
    covered(dialled(&["1", "2"]), dialled(&["11", "2"]));
    covered(from(&["10.0.0.0/8", "::/0"]), from(&["10.1.0.0/16", "2001:db8::/32"]));
    covered(of(&["*@Example.com"]), of(&["alice@example.COM"]));
    // What is dialled begins as it begins, and in whatever domain it is it is dialled.
    covered(dialled(&["0900"]), number(&["0900123", "0900"]));
    covered(dialled(&["0900"]), Conditions { dialled: number(&["09001"]).dialled, ..dialled(&["1"]) });
    covered(number(&["100", "200"]), number(&["100@Example.com", "200"]));
    let trunk = Conditions { trunk: vec!["carrier".into()], ..Conditions::default() };
    let trunks = Conditions { source: vec![SourceKind::Trunk], ..Conditions::default() };
    covered(trunks, trunk);
    covered(
        Conditions { action: vec![Action::Call, Action::Message], ..Conditions::default() },
        Conditions { action: vec![Action::Call], score_min: Some(1), ..dialled(&["1"]) },
    );
    covered(
        Conditions { hours: vec!["20-08".parse().expect("hours")], ..Conditions::default() },
        Conditions { hours: vec!["22-06".parse().expect("hours")], ..Conditions::default() },
    );
    covered(
        Conditions { score_min: Some(300), ..Conditions::default() },
        Conditions { score_min: Some(301), ..Conditions::default() },
    );
}

#[test]
fn rules_that_meet_without_covering_each_other_are_fine() {
    for (first, second) in [
        (dialled(&["11"]), dialled(&["1"])),
        (dialled(&["1", "2"]), dialled(&["1", "3"])),
        (from(&["10.0.0.0/8"]), from(&["::/0"])),
        (of(&["a@x"]), of(&["*@x"])),
        (dialled(&["1"]), from(&["10.0.0.0/8"])),
        (dialled(&["0900"]), number(&["0900123", "0800"])),
        (number(&["0900"]), dialled(&["0900"])),
        (number(&["100@a.example"]), number(&["100"])),
        (
            Conditions { trunk: vec!["carrier".into()], ..Conditions::default() },
            Conditions { source: vec![SourceKind::Trunk], ..dialled(&["1"]) },
        ),
        (
            Conditions { source: vec![SourceKind::User], ..dialled(&["1"]) },
            Conditions { source: vec![SourceKind::Trunk], ..dialled(&["1"]) },
        ),
    ] {
        check(vec![rule("a", first, Then::Reject), rule("b", second, Then::Approve)], &[]);
    }
}

#[test]
fn what_does_not_go_with_an_outcome_is_refused() {
    let mut approve = rule("a", dialled(&["1"]), Then::Approve);
    approve.status = Some(403);
    approve.reason = Some("why".into());
    let mut reject = rule("b", dialled(&["2"]), Then::Reject);
    reject.obligations.record = true;
    reject.status = Some(302);
    check(
        vec![approve, reject, rule("c", dialled(&["3"]), Then::Conditional)],
        &[
            "rule 1: only a rule with then = \"reject\" has a status",
            "rule 1: only a rule with then = \"reject\" has a reason",
            "rule 2: a rule with then = \"reject\" has no obligations",
            "rule 2: 302 is not the status of a refusal; allowed: 400 to 699",
            "rule 3: a rule with then = \"conditional\" needs obligations",
        ],
    );
}

#[test]
fn what_is_recorded_has_a_ground_and_a_ground_has_a_recording() {
    let mut groundless = recorded("a", dialled(&["1"]));
    groundless.obligations.consent = None;
    let mut idle = recorded("b", dialled(&["2"]));
    idle.obligations.record = false;
    let ground = "a rule that has calls recorded says on what ground: consent = \"one-party\", \"announced\", \"agreed\" or \"law\"";
    check(
        vec![groundless, idle, recorded("c", dialled(&["3"]))],
        &[&format!("rule 1: {ground}"), "rule 2: there is consent to a recording, and no record = true"],
    );
}

#[test]
fn one_identity_has_one_key_however_they_are_spelt() {
    let hex = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";
    let base64 = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
    let key = |text: &str| text.parse::<PublicKey>().expect(text);
    assert_eq!(key(hex), key(base64));
    assert_eq!(key(&format!("ed25519:{}", hex.to_uppercase())), key(base64.trim_end_matches('=')));
    for bad in ["", "ed25519:", &hex[1..], &format!("+{}", &hex[1..]), &base64[1..], &base64.replace("yA=", "yB=")] {
        assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
    }
    let entry = |identity: &str, text: &str| sx_guard::Entry {
        key: Some(key(text)),
        ..registered(identity, Status::Active, "expert")
    };
    let registry = vec![entry("a@x", hex), entry("b@x", base64), registered("A@X", Status::Active, "user")];
    let found = errors(Definition { registry, ..Definition::default() });
    let key_twice = PolicyProblem::KeyTwice("a@x".into());
    let identity_twice = PolicyProblem::IdentityTwice("A@X".into());
    assert_eq!(
        found,
        [
            PolicyError { place: Place::Identity(1), key: "key", problem: key_twice },
            PolicyError { place: Place::Identity(2), key: "identity", problem: identity_twice },
        ]
    );
}

#[test]
fn everything_that_does_not_fit_is_said_at_once() {
    let mut definition = Definition {
        rules: vec![rule("a", dialled(&["1"]), Then::Approve), rule("a", dialled(&["1"]), Then::Approve)],
        ..Definition::default()
    };
    definition.codec.trunks = vec![("c".into(), Vec::new()), ("C".into(), Vec::new())];
    definition.codec.classes = definition.codec.trunks.clone();
    definition.rate.trunks = vec![("c".into(), Rate::UNLIMITED), ("C".into(), Rate::UNLIMITED)];
    definition.rate.classes = definition.rate.trunks.clone();
    definition.rate.identities = definition.rate.trunks.clone();
    let places: Vec<Place> = errors(definition).iter().map(|error| error.place).collect();
    assert_eq!(
        places,
        [
            Place::Rule(1),
            Place::Rule(1),
            Place::CodecClass(1),
            Place::CodecTrunk(1),
            Place::RateClass(1),
            Place::RateTrunk(1),
            Place::RateIdentity(1),
        ]
    );
}

/// Conditions that no other number has.
fn apart(n: usize) -> Conditions {
    let hour = n % 24;
    Conditions {
        hours: vec![format!("{hour:02}-{:02}", hour + 1).parse().expect("hours")],
        weekdays: vec![Weekday::ALL[n / 24 % 7]],
        action: vec![Action::ALL[n / 24 / 7 % 10]],
        transport: vec![Transport::ALL[n / 24 / 7 / 10 % 5]],
        ..Conditions::default()
    }
}

#[test]
fn more_rules_than_can_be_compared_are_refused() {
    let rules = (0..5_001).map(|n| rule(&n.to_string(), apart(n), Then::Approve)).collect();
    check(rules, &["rule 5001: more than 5000 rules"]);
}

#[test]
fn that_there_are_too_many_rules_hides_nothing_else() {
    let when = |n: usize| apart(if n == 7 { 6 } else { n });
    let name = |n: usize| if n == 5_002 { 0 } else { n };
    let rules = (0..5_003).map(|n| rule(&name(n).to_string(), when(n), Then::Approve)).collect();
    check(
        rules,
        &[
            "rule 5001: more than 5000 rules",
            "rule 5003: another rule is named 0",
            "rule 8: can never match: rule 6 decides everything that it would take",
        ],
    );
}

#[test]
fn a_rule_that_wants_a_trunk_and_another_source_contradicts_itself() {
    let when =
        |source: SourceKind| Conditions { source: vec![source], trunk: vec!["t9".into()], ..Conditions::default() };
    check(
        vec![rule("all", dialled(&["1"]), Then::Reject), rule("a", when(SourceKind::User), Then::Approve)],
        &["rule 2: can never match: what comes from a trunk has source = \"trunk\""],
    );
    check(vec![rule("a", when(SourceKind::Trunk), Then::Approve)], &[]);
}

#[test]
fn two_thousand_rules_and_a_hundred_thousand_identities_are_held_against_each_other() {
    let rules = (0..2_000).map(|n| {
        let when = Conditions { score_min: Some(1 + n % 999), ..dialled(&[&format!("{n}x"), &format!("y{n}x")]) };
        rule(&n.to_string(), when, if n % 2 == 0 { Then::Reject } else { Then::Approve })
    });
    let registry = (0..100_000).map(|n| registered(&format!("user-{n}@x"), Status::Active, "")).collect();
    let definition = Definition { rules: rules.collect(), registry, ..Definition::default() };
    assert_eq!(definition.check(), []);
    let policy = Policy::build(definition, PolicyHash::of(b"")).expect("nothing is wrong");
    assert_eq!(policy.identities(), 100_000);
    assert!(policy.registered("USER-99999@X").is_some() && policy.registered("user-100000@x").is_none());
}

#[test]
fn a_policy_can_be_shared_by_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Policy>();
}
