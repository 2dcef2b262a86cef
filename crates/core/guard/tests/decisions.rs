//! What each gate and the rules say to which facts.

mod common;

use common::{check_approved, check_refused, policy, refusal, registered, request, rule};
use std::time::Duration;
use sx_guard::{
    Action, Authentication, AuthenticationKind, AuthenticityException, Conditions, Decision, Definition, Gate,
    IdentityPattern, Obligations, Outcome, Policy, ReasonKind, Request, SignatureFacts, Source, SourceKind, Status,
    Then, Unlisted,
};
use sx_types::{Codec, Consent};

fn signed(facts: SignatureFacts) -> Request<'static> {
    Request { authenticated: Authentication::Signature(facts), ..request() }
}

const GOOD: SignatureFacts = SignatureFacts { key_matches: true, age_s: 0, nonce_seen: false, verifies: true };

#[test]
fn the_built_in_policy_lets_everything_pass_but_escalations_that_nobody_has_signed() {
    let policy = Policy::default();
    for action in Action::ALL {
        for source in [Source::Trunk("carrier"), Source::User, Source::Anonymous, Source::Exchange] {
            let request = Request {
                action,
                source,
                authenticated: Authentication::Nothing,
                recent: 1_000_000,
                calls: 1_000_000,
                codecs: &[Codec::L16],
                ..request()
            };
            if action == Action::Escalation && source != Source::Exchange {
                check_refused(&policy, &request, ReasonKind::NotAuthenticated, Gate::Authenticity);
                check_approved(&policy, &Request { authenticated: Authentication::Signature(GOOD), ..request });
                continue;
            }
            let decision = policy.decide(&request);
            assert_eq!((decision.outcome, decision.rule, decision.gate), (Outcome::Approve, Decision::NOBODY, None));
        }
    }
    assert_eq!(policy.version().len(), 16);
    assert!(policy.full_hash().len() == 64 && policy.full_hash().starts_with(policy.version()));
}

#[test]
fn who_has_shown_nothing_is_refused_unless_it_is_the_exchange() {
    let policy = policy(Definition::default());
    let nobody = Request { source: Source::Anonymous, authenticated: Authentication::Nothing, ..request() };
    check_refused(&policy, &nobody, ReasonKind::NotAuthenticated, Gate::Authenticity);
    check_approved(&policy, &Request { source: Source::Exchange, ..nobody });
    check_approved(&policy, &request());
}

#[test]
fn an_exception_holds_for_its_actions_and_sources_only() {
    let mut definition = Definition::default();
    definition.authenticity.exceptions = vec![AuthenticityException {
        actions: vec![Action::Export, Action::Evidence],
        sources: vec![SourceKind::User],
        accepts: vec![AuthenticationKind::Certificate],
    }];
    let policy = policy(definition);
    check_approved(&policy, &request());
    let export = Request { action: Action::Export, ..request() };
    check_refused(&policy, &export, ReasonKind::NotAuthenticated, Gate::Authenticity);
    check_approved(&policy, &Request { authenticated: Authentication::Certificate, ..export });
    let trunk = Source::Trunk("carrier");
    check_approved(&policy, &Request { source: trunk, authenticated: Authentication::Trunk, ..export });
}

#[test]
fn an_empty_list_of_ways_closes_an_action() {
    let mut definition = Definition::default();
    definition.authenticity.accepts[Action::Message] = Vec::new();
    let policy = policy(definition);
    for authenticated in [Authentication::Nothing, Authentication::Certificate, Authentication::Signature(GOOD)] {
        let message = Request { action: Action::Message, authenticated, ..request() };
        check_refused(&policy, &message, ReasonKind::NotAuthenticated, Gate::Authenticity);
    }
}

#[test]
fn a_signature_must_be_of_the_key_right_young_and_new() {
    let policy = policy(Definition::default());
    for (facts, expected) in [
        (GOOD, None),
        (SignatureFacts { age_s: 300, ..GOOD }, None),
        (SignatureFacts { age_s: -300, ..GOOD }, None),
        (SignatureFacts { age_s: 301, ..GOOD }, Some(ReasonKind::Stale)),
        (SignatureFacts { age_s: -301, ..GOOD }, Some(ReasonKind::Stale)),
        (SignatureFacts { age_s: i64::MIN, ..GOOD }, Some(ReasonKind::Stale)),
        (SignatureFacts { key_matches: false, ..GOOD }, Some(ReasonKind::KeyMismatch)),
        (SignatureFacts { key_matches: false, verifies: false, ..GOOD }, Some(ReasonKind::KeyMismatch)),
        (SignatureFacts { verifies: false, age_s: 900, ..GOOD }, Some(ReasonKind::BadSignature)),
        (SignatureFacts { nonce_seen: true, ..GOOD }, Some(ReasonKind::Replayed)),
        (SignatureFacts { nonce_seen: true, age_s: 301, ..GOOD }, Some(ReasonKind::Stale)),
    ] {
        assert_eq!(refusal(&policy, &signed(facts)).map(|(kind, ..)| kind), expected, "{facts:?}");
    }
}

#[test]
fn the_age_of_signatures_is_the_policys() {
    let mut definition = Definition::default();
    definition.authenticity.signature_age_max = Duration::from_secs(5);
    let policy = policy(definition);
    check_approved(&policy, &signed(SignatureFacts { age_s: -5, ..GOOD }));
    let old = signed(SignatureFacts { age_s: 6, ..GOOD });
    check_refused(&policy, &old, ReasonKind::Stale, Gate::Authenticity);
}

#[test]
fn bad_standing_is_refused_in_whatever_case_and_whoever_claims_it() {
    let policy = policy(Definition {
        registry: vec![
            registered("Alice@Example.com", Status::Suspended, "user"),
            registered("carrier", Status::Revoked, "trunk"),
        ],
        ..Definition::built_in()
    });
    for identity in ["alice@example.com", "ALICE@EXAMPLE.COM"] {
        for source in [Source::User, Source::Anonymous] {
            let request = Request { identity, source, ..request() };
            check_refused(&policy, &request, ReasonKind::Suspended, Gate::Identity);
        }
    }
    let trunk = Request { identity: "carrier", source: Source::Trunk("carrier"), ..request() };
    check_refused(&policy, &trunk, ReasonKind::Revoked, Gate::Identity);
    check_approved(&policy, &Request { identity: "bob@example.com", ..request() });
}

#[test]
fn the_unlisted_are_refused_for_the_actions_that_say_so() {
    let mut definition =
        Definition { registry: vec![registered("a@x", Status::Active, "user")], ..Definition::built_in() };
    definition.identity.unlisted[Action::Evidence] = Unlisted::Reject;
    let policy = policy(definition);
    let unlisted = Request { action: Action::Evidence, identity: "b@x", ..request() };
    check_refused(&policy, &unlisted, ReasonKind::Unlisted, Gate::Identity);
    check_approved(&policy, &Request { action: Action::Call, ..unlisted });
    check_approved(&policy, &Request { identity: "A@x", ..unlisted });
    check_approved(&policy, &Request { source: Source::Trunk("b"), ..unlisted });
    // Nobody has proved that they are a@x.
    let claimed = Request { identity: "a@x", source: Source::Anonymous, ..unlisted };
    check_refused(&policy, &claimed, ReasonKind::Unlisted, Gate::Identity);
}

#[test]
fn the_first_rule_that_decides_decides() {
    let when = |prefix: &str| Conditions { dialled_prefix: vec![prefix.into()], ..Conditions::default() };
    let mut refuse = rule("no premium", when("0900"), Then::Reject);
    refuse.status = Some(603);
    refuse.reason = Some("not for you".into());
    let policy = policy(Definition {
        rules: vec![
            rule("the good one", when("090055"), Then::Approve),
            refuse,
            rule("nothing else", Conditions::default(), Then::Reject),
        ],
        ..Definition::built_in()
    });
    let decide = |subject: &'static str| policy.decide(&Request { subject, ..request() });
    let good = decide("0900551@example.com");
    assert_eq!((good.outcome, good.rule, good.gate), (Outcome::Approve, "the good one", None));
    let premium = decide("0900661");
    let reason = premium.outcome.reason().expect("a refusal");
    assert_eq!((reason.kind, reason.status, &*reason.sentence), (ReasonKind::Rule, Some(603), "not for you"));
    let other = decide("100");
    let reason = other.outcome.reason().expect("a refusal");
    assert_eq!((other.rule, reason.status), ("nothing else", None));
    assert_eq!(reason.sentence, "the rule nothing else refuses it");
}

#[test]
fn conditional_rules_add_up_and_the_next_is_asked() {
    let conditional = |name, source, obligations| {
        let when = Conditions { source: vec![source, SourceKind::User], ..Conditions::default() };
        sx_guard::Rule { obligations, ..rule(name, when, Then::Conditional) }
    };
    let first = Obligations {
        record: true,
        consent: Some(Consent::Law),
        limit_s: Some(60),
        announce: Some("one".into()),
        ..Obligations::default()
    };
    let second = Obligations {
        limit_s: Some(30),
        announce: Some("two".into()),
        bandwidth_kbps: Some(64),
        codecs: Some([Codec::Pcma, Codec::Opus].into()),
        ..Obligations::default()
    };
    let policy = policy(Definition {
        rules: vec![
            conditional("one", SourceKind::Trunk, first.clone()),
            conditional("two", SourceKind::Anonymous, second),
        ],
        ..Definition::built_in()
    });
    let codecs = [Codec::Opus, Codec::Pcmu, Codec::TelephoneEvent];
    let decision = policy.decide(&Request { codecs: &codecs, ..request() });
    let expected = Obligations {
        record: true,
        consent: Some(Consent::Law),
        limit_s: Some(30),
        announce: Some("one".into()),
        bandwidth_kbps: Some(64),
        codecs: Some([Codec::Pcma, Codec::Opus, Codec::TelephoneEvent, Codec::ComfortNoise].into()),
    };
    assert_eq!((decision.outcome, decision.rule), (Outcome::Conditional(expected), "two"));
    let trunk = Request { source: Source::Trunk("t"), codecs: &codecs, ..request() };
    assert_eq!(policy.decide(&trunk).outcome, Outcome::Conditional(first));
}

#[test]
fn a_refusal_after_a_conditional_rule_has_no_obligations() {
    let mut record = rule("record", Conditions::default(), Then::Conditional);
    record.obligations.record = true;
    record.obligations.consent = Some(Consent::Law);
    let when = Conditions { source: vec![SourceKind::User], ..Conditions::default() };
    let rules = vec![record, rule("no users", when, Then::Reject)];
    let policy = policy(Definition { rules, ..Definition::built_in() });
    assert_eq!(refusal(&policy, &request()), Some((ReasonKind::Rule, 0, None)));
}

#[test]
fn each_condition_takes_its_values_and_nothing_else() {
    let base = Request {
        source: Source::Trunk("carrier"),
        identity: "alice@example.com",
        organisation: "acme",
        subject: "+49301@example.com",
        country: Some(*b"DE"),
        score_milli: 500,
        hour_utc: 23,
        weekday: 6,
        escalation: None,
        ..request()
    };
    let check = |name: &str, when: Conditions, expected: bool| {
        let policy = policy(Definition { rules: vec![rule("r", when, Then::Reject)], ..Definition::built_in() });
        assert_eq!(!policy.decide(&base).is_approved(), expected, "{name}");
    };
    let c = Conditions::default;
    let texts = |texts: &[&str]| texts.iter().map(|text| Box::from(*text)).collect::<Vec<_>>();
    check("action", Conditions { action: vec![Action::Message, Action::Call], ..c() }, true);
    check("action", Conditions { action: vec![Action::Message], ..c() }, false);
    check("source", Conditions { source: vec![SourceKind::User], ..c() }, false);
    check("trunk", Conditions { trunk: texts(&["x", "Carrier"]), ..c() }, true);
    check("trunk", Conditions { trunk: texts(&["x"]), ..c() }, false);
    for (pattern, expected) in
        [("ALICE@example.com", true), ("*@Example.com", true), ("bob@example.com", false), ("*@other.example", false)]
    {
        let identity: Vec<IdentityPattern> = vec![pattern.parse().expect("a pattern")];
        check(pattern, Conditions { identity, ..c() }, expected);
    }
    check("class", Conditions { class: texts(&["trunk"]), ..c() }, true);
    check("class", Conditions { class: texts(&["user"]), ..c() }, false);
    check("organisation", Conditions { organisation: texts(&["ACME"]), ..c() }, true);
    check("organisation", Conditions { organisation: texts(&["acm"]), ..c() }, false);
    for (dialled, expected) in [("+49301", true), ("+49301@example.com", true), ("+4930", false), ("+49301@x", false)] {
        check(dialled, Conditions { dialled: texts(&["1", dialled]), ..c() }, expected);
    }
    for (prefix, expected) in [("+49", true), ("+4930", true), ("+49301@", true), ("49", false), ("+493012", false)] {
        check(prefix, Conditions { dialled_prefix: texts(&["00", "+4", prefix][2..]), ..c() }, expected);
    }
    check("country", Conditions { country: vec!["DE".parse().expect("a country")], ..c() }, true);
    check("country", Conditions { country: vec!["FR".parse().expect("a country")], ..c() }, false);
    for (network, expected) in [("192.0.2.0/24", true), ("0.0.0.0/0", true), ("192.0.2.7", true), ("::/0", false)] {
        check(network, Conditions { network: vec![network.parse().expect("a network")], ..c() }, expected);
    }
    for (hours, expected) in [("22-06", true), ("00-24", true), ("23-24", true), ("00-23", false), ("06-22", false)] {
        check(hours, Conditions { hours: vec![hours.parse().expect("hours")], ..c() }, expected);
    }
    check("weekdays", Conditions { weekdays: vec![sx_guard::Weekday::Sunday], ..c() }, true);
    check("weekdays", Conditions { weekdays: vec![sx_guard::Weekday::Monday], ..c() }, false);
    check("authenticated", Conditions { authenticated: vec![AuthenticationKind::DigestSha256], ..c() }, true);
    check("authenticated", Conditions { authenticated: vec![AuthenticationKind::Trunk], ..c() }, false);
    check("transport", Conditions { transport: vec![sx_types::Transport::Udp], ..c() }, true);
    check("transport", Conditions { transport: vec![sx_types::Transport::Tls], ..c() }, false);
    check("score", Conditions { score_min: Some(500), ..c() }, true);
    check("score", Conditions { score_min: Some(501), ..c() }, false);
    let both = Conditions { score_min: Some(500), trunk: texts(&["x"]), ..c() };
    check("both", both, false);
}

#[test]
fn an_unknown_country_is_none_of_those_named() {
    let when = Conditions { country: vec!["DE".parse().expect("a country")], ..Conditions::default() };
    let policy = policy(Definition { rules: vec![rule("r", when, Then::Reject)], ..Definition::built_in() });
    check_approved(&policy, &Request { country: None, ..request() });
}

#[test]
fn class_and_organisation_come_from_the_registry() {
    let when = Conditions { class: vec!["expert".into()], organisation: vec!["acme".into()], ..Conditions::default() };
    let mut entry = registered("a@x", Status::Active, "Expert");
    entry.organisation = "ACME".into();
    let rules = vec![rule("experts", when, Then::Reject)];
    let policy = policy(Definition { registry: vec![entry], rules, ..Definition::built_in() });
    let expert = Request { identity: "a@x", ..request() };
    assert_eq!(policy.decide(&expert).rule, "experts");
    assert!(policy.decide(&Request { organisation: "other", ..expert }).is_approved());
    // What nobody has proved gives no class.
    assert!(policy.decide(&Request { source: Source::Anonymous, ..expert }).is_approved());
}

#[test]
fn an_entry_without_a_class_leaves_the_class_of_the_source() {
    let when = |class: &str| Conditions { class: vec![class.into()], ..Conditions::default() };
    let policy = policy(Definition {
        registry: vec![registered("carrier", Status::Active, "")],
        rules: vec![rule("trunks", when("trunk"), Then::Reject), rule("users", when("user"), Then::Reject)],
        ..Definition::built_in()
    });
    let decide = |source| policy.decide(&Request { identity: "carrier", source, ..request() });
    assert_eq!(decide(Source::Trunk("carrier")).rule, "trunks");
    assert_eq!(decide(Source::User).rule, "users");
}

#[test]
fn an_explanation_reads_line_by_line() {
    let night = Conditions {
        dialled_prefix: vec!["0900".into(), "+49900".into()],
        hours: vec!["20-08".parse().expect("hours")],
        ..Conditions::default()
    };
    let mut record = rule("record", Conditions::default(), Then::Conditional);
    record.obligations =
        Obligations { record: true, consent: Some(Consent::Law), limit_s: Some(60), ..Obligations::default() };
    let mut definition = Definition {
        rules: vec![rule("night", night, Then::Reject), record],
        registry: vec![registered("alice@example.com", Status::Active, "expert")],
        ..Definition::default()
    };
    definition.codec.allowed = Some(vec![Codec::Pcma]);
    let policy = policy(definition);
    let codecs = [Codec::Opus, Codec::Pcma];
    let day = Request { subject: "0900123", codecs: &codecs, recent: 2, ..request() };
    assert_eq!(policy.explain(&day).to_string(), DAY);
    let told = policy.explain(&Request { hour_utc: 20, ..day }).to_string();
    assert!(told.contains("rule night refuses\n    hours is 20, as wanted: 20-08\n"), "{told}");
    assert!(told.ends_with("reject: the rule night refuses it (rule night; policy a82639b6f8c3a6e5)"), "{told}");
}

const DAY: &str = "gate authenticity lets it pass
    action is call
    source is user
    authenticated is digest-sha256, as wanted: one of trunk, digest-md5, digest-sha256, certificate, signature
gate identity lets it pass
    identity is alice@example.com
    status is active, as wanted: active or unlisted
rule night does not match
    hours is 12; wanted: 20-08
    dialled_prefix is 0900123, as wanted: one of 0900, +49900
rule record matches and adds obligations
gate codec lets it pass with the codecs named below
    codecs is opus, PCMA; wanted: PCMA
gate rate lets it pass
    class is expert
    recent is 2, as wanted: fewer than 10 in 60 s
    calls is 0
codecs: opus, PCMA offered, PCMA, telephone-event, CN allowed
conditional: only with PCMA, telephone-event, CN, recorded (law), for at most 60 s (rule record; policy a82639b6f8c3a6e5)";
