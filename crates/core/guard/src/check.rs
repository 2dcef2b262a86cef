//! Does a definition fit together?

use crate::definition::{Definition, Entry, Obligations, Rule, Then};
use crate::error::{Place, PolicyError, PolicyProblem};
use crate::scope::{Scope, Wider};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// How many rules a policy may have: each is compared with those before it that have a value in common with it.
pub const RULES_MAX: usize = 5_000;

/// Names of the file, which nobody aims at a hash: the hasher needs no seed.
type Seen<K> = HashMap<K, usize, BuildHasherDefault<std::hash::DefaultHasher>>;

/// Everything that does not fit together.
pub(crate) fn check(definition: &Definition) -> Vec<PolicyError> {
    let mut errors = Vec::new();
    check_registry(&definition.registry, &mut errors);
    for (index, rule) in definition.rules.iter().enumerate() {
        check_rule(index, rule, &mut errors);
    }
    compare_rules(&definition.rules, &mut errors);
    let (codec, rate) = (&definition.codec, &definition.rate);
    check_names(&codec.classes, Place::CodecClass, &mut errors);
    check_names(&codec.trunks, Place::CodecTrunk, &mut errors);
    check_names(&rate.classes, Place::RateClass, &mut errors);
    check_names(&rate.trunks, Place::RateTrunk, &mut errors);
    check_names(&rate.identities, Place::RateIdentity, &mut errors);
    errors
}

/// One identity, one key; however either is spelt.
fn check_registry(registry: &[Entry], errors: &mut Vec<PolicyError>) {
    let (mut identities, mut keys) = (Seen::default(), Seen::default());
    for (index, entry) in registry.iter().enumerate() {
        let place = Place::Identity(index);
        // One that could not be read has no name to be the same as another's.
        let named = !entry.identity.is_empty();
        if named && identities.insert(entry.identity.to_ascii_lowercase(), index).is_some() {
            let problem = PolicyProblem::IdentityTwice(entry.identity.clone());
            errors.push(PolicyError { place, key: "identity", problem });
        }
        if let Some(first) = entry.key.and_then(|key| keys.insert(key, index)) {
            let problem = PolicyProblem::KeyTwice(registry[first].identity.clone());
            errors.push(PolicyError { place, key: "key", problem });
        }
    }
}

fn check_names<T>(entries: &[(Box<str>, T)], place: fn(usize) -> Place, errors: &mut Vec<PolicyError>) {
    let mut seen = Seen::default();
    for (index, (name, _)) in entries.iter().enumerate() {
        if seen.insert(name.to_ascii_lowercase(), index).is_some() {
            let problem = PolicyProblem::NameTwice(name.clone());
            errors.push(PolicyError { place: place(index), key: "name", problem });
        }
    }
}

fn check_rule(index: usize, rule: &Rule, errors: &mut Vec<PolicyError>) {
    let mut refuse = |wrong: bool, key, problem| {
        if wrong {
            errors.push(PolicyError { place: Place::Rule(index), key, problem });
        }
    };
    let rejects = rule.then == Then::Reject;
    let obliges = !rule.obligations.is_empty();
    refuse(!rejects && rule.status.is_some(), "status", PolicyProblem::StatusWithoutRefusal);
    refuse(!rejects && rule.reason.is_some(), "reason", PolicyProblem::ReasonWithoutRefusal);
    refuse(rejects && obliges, "obligations", PolicyProblem::RefusalWithObligations);
    refuse(rule.then == Then::Conditional && !obliges, "obligations", PolicyProblem::NoObligations);
    let Obligations { record, consent, .. } = &rule.obligations;
    refuse(!rejects && *record && consent.is_none(), "obligations.consent", PolicyProblem::RecordWithoutConsent);
    refuse(!rejects && !record && consent.is_some(), "obligations.consent", PolicyProblem::ConsentWithoutRecord);
    let status = rule.status.unwrap_or(400);
    refuse(rejects && !(400..700).contains(&status), "status", PolicyProblem::NotARefusal(status));
}

/// Each rule against those before it. Of what is wrong with one, the first is said. Beyond as many as may be, only names are.
fn compare_rules(rules: &[Rule], errors: &mut Vec<PolicyError>) {
    if rules.len() > RULES_MAX {
        let problem = PolicyProblem::TooManyRules(RULES_MAX);
        errors.push(PolicyError { place: Place::Rule(RULES_MAX), key: "", problem });
    }
    let mut names = Seen::default();
    for (index, rule) in rules.iter().enumerate() {
        if names.insert(rule.name.clone(), index).is_some() {
            let problem = PolicyProblem::RuleTwice(rule.name.clone());
            errors.push(PolicyError { place: Place::Rule(index), key: "name", problem });
        }
    }
    let scopes: Vec<Scope<'_>> = rules.iter().take(RULES_MAX).map(|rule| Scope::of(&rule.when)).collect();
    let mut wider = Wider::default();
    for (index, inner) in scopes.iter().enumerate() {
        let wrong = if inner.takes_nothing() {
            Some(PolicyProblem::TrunkOfNoTrunk)
        } else {
            let earlier = wider.than(inner);
            earlier.into_iter().find_map(|earlier| clash(&rules[earlier], &rules[index], &scopes[earlier], inner))
        };
        wider.add(index, inner);
        if let Some(problem) = wrong {
            errors.push(PolicyError { place: Place::Rule(index), key: "when", problem });
        }
    }
}

fn clash(earlier: &Rule, later: &Rule, outer: &Scope<'_>, inner: &Scope<'_>) -> Option<PolicyProblem> {
    // Both say what a request is bound to, and that adds up.
    let both_bind = earlier.then == Then::Conditional && later.then == Then::Conditional;
    if both_bind || !outer.covers(inner) {
        return None;
    }
    if earlier.then != later.then && inner.covers(outer) {
        return Some(PolicyProblem::Contradicts(earlier.name.clone()));
    }
    (earlier.then != Then::Conditional).then(|| PolicyProblem::Covered(earlier.name.clone()))
}
