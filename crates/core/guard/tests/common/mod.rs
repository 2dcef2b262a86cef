//! A request and policies to begin with.
#![allow(dead_code, reason = "each test takes what it needs")]

use sx_guard::{
    Action, Authentication, Conditions, Definition, Entry, Gate, Obligations, Outcome, Policy, PolicyHash, ReasonKind,
    Request, Rule, Source, Status, Then,
};
use sx_types::{Codec, Transport};

/// A call of alice's that is good in every way.
pub fn request() -> Request<'static> {
    Request {
        action: Action::Call,
        source: Source::User,
        identity: "alice@example.com",
        address: "192.0.2.7".parse().expect("an address"),
        transport: Transport::Udp,
        country: None,
        organisation: "",
        authenticated: Authentication::DigestSha256,
        subject: "100@example.com",
        codecs: &[],
        other_codecs: &[],
        score_milli: 0,
        recent: 0,
        calls: 0,
        hour_utc: 12,
        weekday: 0,
        escalation: None,
    }
}

pub fn policy(definition: Definition) -> Policy {
    Policy::build(definition, PolicyHash::of(b"a test")).expect("a definition that fits together")
}

/// The built-in policy, and these codecs for everybody.
pub fn codec_rule(allowed: &[Codec]) -> Policy {
    let mut definition = Definition::built_in();
    definition.codec.allowed = Some(allowed.to_vec());
    policy(definition)
}

pub fn registered(identity: &str, status: Status, class: &str) -> Entry {
    Entry { identity: identity.into(), status, key: None, class: class.into(), organisation: "".into() }
}

pub fn rule(name: &str, when: Conditions, then: Then) -> Rule {
    Rule { name: name.into(), when, then, status: None, reason: None, obligations: Obligations::default() }
}

/// The refusal's kind and Retry-After, and the gate.
pub fn refusal(policy: &Policy, request: &Request<'_>) -> Option<(ReasonKind, u32, Option<Gate>)> {
    let decision = policy.decide(request);
    decision.outcome.reason().map(|reason| (reason.kind, reason.retry_after_s, decision.gate))
}

#[track_caller]
pub fn check_refused(policy: &Policy, request: &Request<'_>, kind: ReasonKind, gate: Gate) {
    let found = refusal(policy, request).map(|(kind, _, gate)| (kind, gate));
    assert_eq!(found, Some((kind, Some(gate))));
}

#[track_caller]
pub fn check_approved(policy: &Policy, request: &Request<'_>) {
    assert_eq!(policy.decide(request).outcome, Outcome::Approve);
}
