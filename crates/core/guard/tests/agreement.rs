//! A decision is what a slow and simple reading of the rules gives, and an explanation tells the same.

mod common;

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use sx_guard::{
    Action, Authentication, AuthenticationKind, Conditions, Definition, Entry, Hours, Obligations, Outcome, Part,
    PerAction, Policy, PolicyHash, Rate, Request, Rule, Said, SignatureFacts, Source, SourceKind, Status, Then,
    Unlisted, Weekday,
};
use sx_types::{Codec, Transport};

/// Facts that own their texts.
#[derive(Clone, Debug)]
struct Facts {
    source: u8,
    texts: [String; 4],
    numbers: (u8, u8, u8, u8, u32, u32, u32),
    address: u8,
    country: Option<[u8; 2]>,
    signature: Option<(bool, i64, bool, bool)>,
    codecs: Vec<Codec>,
}

impl Facts {
    fn request(&self) -> Request<'_> {
        let (action, transport, hour_utc, weekday, score_milli, recent, calls) = self.numbers;
        let [identity, trunk, organisation, subject] = &self.texts;
        let authenticated = match self.signature {
            Some((key_matches, age_s, nonce_seen, verifies)) => {
                Authentication::Signature(SignatureFacts { key_matches, age_s, nonce_seen, verifies })
            }
            None => [Authentication::Nothing, Authentication::Trunk, Authentication::DigestSha256]
                [usize::from(self.source % 3)],
        };
        Request {
            action: Action::ALL[usize::from(action) % 10],
            source: match self.source % 4 {
                0 => Source::Trunk(trunk),
                1 => Source::User,
                2 => Source::Anonymous,
                _ => Source::Exchange,
            },
            identity,
            address: IpAddr::V4(Ipv4Addr::new(10, 0, self.address, 1)),
            transport: Transport::ALL[usize::from(transport) % 5],
            country: self.country,
            organisation,
            authenticated,
            subject,
            codecs: &self.codecs,
            other_codecs: &[],
            score_milli,
            recent,
            calls,
            hour_utc,
            weekday,
            escalation: None,
        }
    }
}

fn some<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = Vec<T>> + use<T> {
    prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(prop::sample::select(values.to_vec()), 1..3)]
}

fn boxes(texts: &[&str]) -> Vec<Box<str>> {
    texts.iter().map(|text| Box::from(*text)).collect()
}

const IDENTITIES: [&str; 6] = ["a@x", "A@X", "b@y", "c", "carrier", ""];

fn facts() -> impl Strategy<Value = Facts> {
    let text = |texts: &'static [&'static str]| prop::sample::select(texts).prop_map(str::to_owned);
    let texts = [
        text(&IDENTITIES).boxed(),
        text(&["carrier", "other", ""]).boxed(),
        text(&["", "acme", "ACME"]).boxed(),
        prop_oneof![text(&["1", "12@x", "+49", "", "@", "ä1"]), "\\PC{0,6}"].boxed(),
    ];
    let number = || 0u32..12;
    (
        any::<u8>(),
        texts,
        (any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>(), 0u32..3, number(), number()),
        0u8..4,
        prop::option::of(prop::sample::select(vec![*b"DE", *b"FR", [0, 255]])),
        prop::option::of((any::<bool>(), prop_oneof![Just(0i64), any::<i64>()], any::<bool>(), any::<bool>())),
        prop::collection::vec(prop::sample::select(Codec::ALL.to_vec()), 0..4),
    )
        .prop_map(|(source, texts, numbers, address, country, signature, codecs)| Facts {
            source,
            texts,
            numbers,
            address,
            country,
            signature,
            codecs,
        })
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let parsed = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a pattern")).collect::<Vec<_>>();
    let networks = ["10.0.0.0/24", "10.0.0.0/22", "::/0"].map(|text| text.parse().expect("a network"));
    let hours = ["22-06", "08-18"].map(|text| text.parse::<Hours>().expect("hours"));
    (
        (some(&Action::ALL), some(&SourceKind::ALL), some(&Transport::ALL), some(&AuthenticationKind::ALL)),
        (some(&boxes(&["carrier", "X"])), some(&boxes(&["user", "Expert"])), some(&boxes(&["Acme"]))),
        (
            some(&parsed(&["a@x", "*@y", "carrier"])),
            some(&boxes(&["1", "12@X"])),
            some(&boxes(&["1", "12", "+4", "ä"])),
        ),
        (some(&["DE".parse().expect("a country")]), some(&networks), some(&hours), some(&Weekday::ALL)),
        prop::option::of(1u32..3),
    )
        .prop_map(|(few, names, whom, places, score_min)| Conditions {
            action: few.0,
            source: few.1,
            transport: few.2,
            authenticated: few.3,
            trunk: names.0,
            class: names.1,
            organisation: names.2,
            identity: whom.0,
            dialled: whom.1,
            dialled_prefix: whom.2,
            country: places.0,
            network: places.1,
            hours: places.2,
            weekdays: places.3,
            score_min,
        })
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let then = prop::sample::select(Then::ALL.to_vec());
    let codecs = prop::option::of(some(&Codec::ALL).prop_map(Vec::into_boxed_slice));
    prop::collection::vec((conditions(), then, codecs, prop::option::of(1u32..5)), 0..8).prop_map(|rules| {
        let rule = |(index, (when, then, codecs, limit_s)): (usize, (_, Then, _, _))| {
            let record = then == Then::Conditional;
            let obligations = Obligations { record, codecs, limit_s, ..Obligations::default() };
            let obligations = if then == Then::Reject { Obligations::default() } else { obligations };
            Rule { obligations, ..common::rule(&index.to_string(), when, then) }
        };
        rules.into_iter().enumerate().map(rule).collect()
    })
}

fn definition() -> impl Strategy<Value = Definition> {
    let status = prop::sample::select(vec![Status::Active, Status::Active, Status::Suspended]);
    let allowed = prop::option::of(some(&Codec::ALL));
    (rules(), status, allowed, prop::option::of(0u32..12), any::<bool>(), any::<bool>()).prop_map(
        |(rules, status, allowed, limit, strict, reject)| {
            let mut definition = if strict { Definition::default() } else { Definition::built_in() };
            let entry = |identity: &str, class: &str| Entry {
                organisation: "acme".into(),
                ..common::registered(identity, status, class)
            };
            definition.registry = vec![entry("a@x", "expert"), entry("carrier", "")];
            definition.rules = rules;
            definition.codec.allowed = allowed;
            definition.rate.users = Rate { limit: limit.unwrap_or(u32::MAX), calls_max: 9, ..Rate::UNLIMITED };
            definition.identity.unlisted[Action::Call] = if reject { Unlisted::Reject } else { Unlisted::Approve };
            definition
        },
    )
}

/// A policy; of rules that do not fit together, those that no error names.
fn built(mut definition: Definition) -> Policy {
    let wrong: Vec<sx_guard::Place> = definition.check().iter().map(|error| error.place).collect();
    let mut index = 0;
    definition.rules.retain(|_| {
        index += 1;
        !wrong.contains(&sx_guard::Place::Rule(index - 1))
    });
    Policy::build(definition, PolicyHash::of(b"")).expect("nothing is wrong with the others")
}

/// The rules as anybody would read them: does this one match?
fn matches(when: &Conditions, request: &Request<'_>, policy: &Policy) -> bool {
    fn any_of<T>(values: &[T], holds: impl Fn(&T) -> bool) -> bool {
        values.is_empty() || values.iter().any(holds)
    }
    let entry = policy.registered(request.identity).filter(|_| request.source != Source::Anonymous);
    let kind = request.source.kind();
    let class = entry.map(|entry| &*entry.class).filter(|class| !class.is_empty()).unwrap_or(kind.word());
    let class = class.to_lowercase();
    let own = entry.map_or("", |entry| &entry.organisation);
    let organisation = if request.organisation.is_empty() { own } else { request.organisation };
    let lower = |text: &str| text.to_ascii_lowercase();
    let subject = lower(request.subject);
    let user = subject.split('@').next().unwrap_or_default();
    any_of(&when.action, |action| *action == request.action)
        && any_of(&when.source, |source| *source == kind)
        && any_of(&when.trunk, |name| matches!(request.source, Source::Trunk(trunk) if lower(trunk) == lower(name)))
        && any_of(&when.identity, |pattern| pattern.accepts(request.identity))
        && any_of(&when.class, |name| lower(name) == class)
        && any_of(&when.organisation, |name| lower(name) == lower(organisation))
        && any_of(&when.dialled, |number| lower(number) == subject || lower(number) == user)
        && any_of(&when.dialled_prefix, |prefix| subject.starts_with(&lower(prefix)))
        && any_of(&when.country, |country| Some(country.0) == request.country)
        && any_of(&when.network, |network| network.contains(request.address))
        && any_of(&when.transport, |transport| *transport == request.transport)
        && any_of(&when.authenticated, |kind| *kind == request.authenticated.kind())
        && any_of(&when.hours, |hours| match hours.to_string().as_str() {
            "22-06" => !(6..22).contains(&(request.hour_utc % 24)),
            _ => (8..18).contains(&(request.hour_utc % 24)),
        })
        && any_of(&when.weekdays, |day| *day as u8 == request.weekday % 7)
        && when.score_min.is_none_or(|min| request.score_milli >= min)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_explanation_tells_what_was_decided(definition in definition(), facts in facts()) {
        let policy = built(definition);
        let request = facts.request();
        let decision = policy.decide(&request);
        let explanation = policy.explain(&request);
        prop_assert_eq!(explanation.outcome(), &decision.outcome);
        prop_assert_eq!((explanation.rule(), explanation.gate()), (decision.rule, decision.gate));
        prop_assert_eq!(explanation.codecs(), decision.codecs());
        prop_assert_eq!(explanation.steps().len(), 4 + policy.rules().len());
        let told = explanation.to_string();
        prop_assert!(told.contains(decision.outcome.word()), "{}", told);
        // What was read is why it was said.
        for step in explanation.steps() {
            let holds = step.read.iter().all(|fact| fact.holds);
            match (&step.part, step.said) {
                (Part::Rule(_), Said::NoMatch) => prop_assert!(!holds, "{}", told),
                (Part::Rule(_), Said::NotAsked) => prop_assert!(step.read.is_empty(), "{}", told),
                (Part::Rule(_), _) => prop_assert!(holds, "{}", told),
                (Part::Gate(sx_guard::Gate::Codec), _) => {}
                (Part::Gate(_), Said::Refused) => prop_assert!(!holds, "{}", told),
                (Part::Gate(_), Said::Passed) => prop_assert!(holds, "{}", told),
                (Part::Gate(_), _) => {}
            }
        }
    }

    #[test]
    fn the_rules_are_those_that_a_simple_reading_finds(rules in rules(), facts in facts()) {
        let mut definition = Definition { rules, ..Definition::built_in() };
        definition.authenticity.accepts = PerAction::all(&AuthenticationKind::ALL.to_vec());
        let policy = built(definition);
        let request = Request { authenticated: Authentication::Nothing, ..facts.request() };
        let explanation = policy.explain(&request);
        let mut decided = false;
        for (step, rule) in explanation.steps()[2..].iter().zip(policy.rules()) {
            let expected = match rule.then {
                _ if decided => Said::NotAsked,
                _ if !matches(&rule.when, &request, &policy) => Said::NoMatch,
                Then::Approve => Said::Approved,
                Then::Conditional => Said::Obliged,
                Then::Reject => Said::Refused,
            };
            prop_assert_eq!(step.said, expected, "{}", explanation);
            decided |= matches!(expected, Said::Approved | Said::Refused);
        }
    }

    #[test]
    fn what_binds_a_call_has_something_of_what_was_offered(definition in definition(), facts in facts()) {
        let policy = built(definition);
        let request = facts.request();
        if let Outcome::Conditional(obligations) = policy.decide(&request).outcome
            && let Some(codecs) = obligations.codecs
        {
            let media = sx_guard::CodecGate::ACTIONS.contains(&request.action);
            prop_assert!(!codecs.is_empty() || (request.codecs.is_empty() && !media));
            let some = request.codecs.iter().any(|codec| codecs.contains(codec));
            prop_assert!(some || request.codecs.is_empty());
        }
    }
}
