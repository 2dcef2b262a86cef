//! Does a definition fit together?

use crate::definition::{Conditions, Definition, Entry, Obligations, Rule, Then};
use crate::error::{Place, PolicyError, PolicyProblem};
use crate::facts::SourceKind;
use crate::reading::SOURCE_AT;
use crate::rules::taken_bits;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// How many rules a policy may have: each is compared with all before it.
pub const RULES_MAX: usize = 5_000;
/// Beyond so many values of a condition, one that covers another is only found when it is written alike.
const COMPARED_MAX: usize = 64;

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
    for (index, inner) in scopes.iter().enumerate() {
        let wrong = if inner.bits & SOURCES == 0 {
            Some(PolicyProblem::TrunkOfNoTrunk)
        } else {
            (0..index).find_map(|earlier| clash(&rules[earlier], &rules[index], &scopes[earlier], inner))
        };
        if let Some(problem) = wrong {
            errors.push(PolicyError { place: Place::Rule(index), key: "when", problem });
        }
    }
}

fn clash(earlier: &Rule, later: &Rule, outer: &Scope<'_>, inner: &Scope<'_>) -> Option<PolicyProblem> {
    if !outer.covers(inner) {
        return None;
    }
    if earlier.then != later.then && inner.covers(outer) {
        return Some(PolicyProblem::Contradicts(earlier.name.clone()));
    }
    (earlier.then != Then::Conditional).then(|| PolicyProblem::Covered(earlier.name.clone()))
}

/// What it takes of the facts that have few values. What comes from a trunk of some name comes from a trunk.
fn bits_of(when: &Conditions) -> u64 {
    let from_trunk = 1 << (SOURCE_AT + SourceKind::Trunk as u32);
    let taken = taken_bits(when);
    if when.trunk.is_empty() { taken } else { taken & (!SOURCES | from_trunk) }
}

/// The bits of all kinds of source.
const SOURCES: u64 = ((1 << SourceKind::ALL.len()) - 1) << SOURCE_AT;

/// What a rule takes, so that two can be compared.
struct Scope<'r> {
    bits: u64,
    score_min: u32,
    when: &'r Conditions,
    /// The values of each condition that is a list of texts or the like, in lower case and sorted.
    lists: [Vec<String>; 8],
}

impl<'r> Scope<'r> {
    fn of(when: &'r Conditions) -> Self {
        fn texts<T: ToString>(values: &[T]) -> Vec<String> {
            let mut texts: Vec<String> = values.iter().map(|value| value.to_string().to_ascii_lowercase()).collect();
            texts.sort_unstable();
            texts
        }
        let lists = [
            texts(&when.trunk),
            texts(&when.class),
            texts(&when.organisation),
            texts(&when.country),
            texts(&when.dialled),
            texts(&when.dialled_prefix),
            texts(&when.identity),
            texts(&when.network),
        ];
        Self { bits: bits_of(when), score_min: when.score_min.unwrap_or(0), when, lists }
    }

    /// Is everything that the other takes taken by this one?
    fn covers(&self, other: &Self) -> bool {
        other.bits & !self.bits == 0
            && self.score_min <= other.score_min
            && (0..self.lists.len()).all(|which| self.lists[which].is_empty() || self.covers_in(which, other))
    }

    /// Is each value that the other takes of a condition taken by this one, which has that condition?
    fn covers_in(&self, which: usize, other: &Self) -> bool {
        let (ours, theirs) = (&self.lists[which], &other.lists[which]);
        let alike = || theirs.iter().all(|value| ours.binary_search(value).is_ok());
        let near = ours.len() <= COMPARED_MAX && theirs.len() <= COMPARED_MAX;
        let wider = || match which {
            DIALLED => theirs.iter().all(|dialled| ours.iter().any(|user| is_user_of(user, dialled))),
            IDENTITY => all_any(&other.when.identity, &self.when.identity, |theirs, ours| ours.covers(theirs)),
            NETWORK => all_any(&other.when.network, &self.when.network, |theirs, ours| ours.covers(*theirs)),
            _ => false,
        };
        // Whoever dials one of these numbers, or one that begins so, dials one that begins as ours do.
        let begin_so = |dialled: &[String]| !dialled.is_empty() && dialled.iter().all(|one| begins_with_one(one, ours));
        if which == DIALLED_PREFIX {
            return begin_so(theirs) || begin_so(&other.lists[DIALLED]);
        }
        !theirs.is_empty() && (alike() || (near && wider()))
    }
}

/// The place of each list.
const DIALLED: usize = 4;
const DIALLED_PREFIX: usize = 5;
const IDENTITY: usize = 6;
const NETWORK: usize = 7;

/// Does the text begin with one of these, which are sorted?
fn begins_with_one(text: &str, prefixes: &[String]) -> bool {
    let starts = (0..=text.len()).filter_map(|end| text.get(..end));
    starts.into_iter().any(|start| prefixes.binary_search_by(|prefix| (**prefix).cmp(start)).is_ok())
}

/// Is it this user's address in some domain, or what was dialled itself?
fn is_user_of(user: &str, dialled: &str) -> bool {
    user == dialled || dialled.split('@').next() == Some(user)
}

fn all_any<T>(theirs: &[T], ours: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    theirs.iter().all(|their| ours.iter().any(|our| covers(their, our)))
}
