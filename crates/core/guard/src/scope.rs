//! What a rule takes, so that rules can be compared, and which of many can take all that another does.

use crate::definition::Conditions;
use crate::facts::SourceKind;
use crate::reading::SOURCE_AT;
use crate::rules::taken_bits;
use crate::value::{IdentityPattern, domain_of};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::net::IpAddr;
use sx_types::Network;

/// Beyond so many values of a condition, one that covers another is only found when it is written alike.
const COMPARED_MAX: usize = 64;

/// What a rule takes, so that two can be compared.
pub(crate) struct Scope<'r> {
    bits: u64,
    score_min: u32,
    when: &'r Conditions,
    /// The values of each condition that is a list of texts or the like, in lower case and sorted.
    lists: [Vec<String>; LISTS],
}

impl<'r> Scope<'r> {
    pub(crate) fn of(when: &'r Conditions) -> Self {
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

    /// Is it for sources of which there is none?
    pub(crate) fn takes_nothing(&self) -> bool {
        self.bits & SOURCES == 0
    }

    /// Is everything that the other takes taken by this one?
    pub(crate) fn covers(&self, other: &Self) -> bool {
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

/// The rules so far, each where one finds it that looks for those wider than another: whoever takes all that a rule takes
/// takes each of its values of a condition, so that it has one in common with it.
#[derive(Default)]
pub(crate) struct Wider<'s> {
    /// Those that take any value of each condition.
    any: Vec<usize>,
    /// Those that have this value of the condition which they are found by.
    by_value: HashMap<Value<'s>, Vec<usize>, BuildHasherDefault<std::hash::DefaultHasher>>,
    /// How many are found by each condition.
    found_by: [usize; LISTS],
}

/// A value of a condition.
#[derive(PartialEq, Eq, Hash)]
enum Value<'s> {
    Text(usize, &'s str),
    /// All identities of a domain.
    Domain(&'s str),
    /// IPv4 or not, the bits that its addresses share, how many these are.
    Network(bool, u128, u8),
}

impl<'s> Wider<'s> {
    /// Adds the rule at this place, to be found by the condition that the fewest have so far.
    pub(crate) fn add(&mut self, index: usize, scope: &'s Scope<'_>) {
        let given = (0..LISTS).filter(|which| !scope.lists[*which].is_empty());
        let shared = |which: &usize| values(*which, scope).map(|value| self.having(&value).len()).min();
        let Some(which) = given.min_by_key(shared) else { return self.any.push(index) };
        self.found_by[which] += 1;
        for value in values(which, scope) {
            self.by_value.entry(value).or_default().push(index);
        }
    }

    /// The rules that may take all that this one does, in their order; among them is each that does.
    pub(crate) fn than(&self, scope: &Scope<'_>) -> Vec<usize> {
        let mut found = self.any.clone();
        for which in (0..LISTS).filter(|which| self.found_by[*which] > 0) {
            found.extend(self.least(scope.lists[which].iter().enumerate().map(|at| wider_values(which, at, scope))));
            if which == DIALLED_PREFIX {
                found.extend(self.least(scope.lists[DIALLED].iter().map(|number| beginnings(number))));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The rules that the fewest are of: of those that have one value, or one wider, and so on for each value.
    fn least<'v>(&self, each: impl Iterator<Item = Vec<Value<'v>>>) -> Vec<usize> {
        let mut least: Option<(usize, Vec<Value<'v>>)> = None;
        for wider in each {
            let count = wider.iter().map(|value| self.having(value).len()).sum();
            if least.as_ref().is_none_or(|(fewest, _)| count < *fewest) {
                least = Some((count, wider));
            }
            if count == 0 {
                break;
            }
        }
        let wider = least.map(|(_, wider)| wider).unwrap_or_default();
        wider.iter().flat_map(|value| self.having(value)).copied().collect()
    }

    fn having<'v>(&'v self, value: &'v Value<'_>) -> &'v [usize] {
        self.by_value.get(value).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The values of a condition.
fn values<'s>(which: usize, scope: &'s Scope<'_>) -> Box<dyn Iterator<Item = Value<'s>> + 's> {
    match which {
        IDENTITY => Box::new(scope.when.identity.iter().map(identity)),
        NETWORK => Box::new(scope.when.network.iter().map(|network| shared(network, network.prefix_bits()))),
        _ => Box::new(scope.lists[which].iter().map(move |text| Value::Text(which, text))),
    }
}

/// A value of a condition and each that is wider; of how many places of a list there is one, `place` is one.
fn wider_values<'s>(which: usize, (place, text): (usize, &'s String), scope: &'s Scope<'_>) -> Vec<Value<'s>> {
    match which {
        DIALLED => {
            let user = text.split('@').next().filter(|user| user != text);
            std::iter::once(Value::Text(which, text)).chain(user.map(|user| Value::Text(which, user))).collect()
        }
        DIALLED_PREFIX => beginnings(text),
        IDENTITY => match &scope.when.identity[place] {
            exact @ IdentityPattern::Exact(text) => {
                std::iter::once(identity(exact)).chain(domain_of(text).map(Value::Domain)).collect()
            }
            domain @ IdentityPattern::Domain(_) => vec![identity(domain)],
        },
        NETWORK => {
            let network = &scope.when.network[place];
            (0..=network.prefix_bits()).map(|bits| shared(network, bits)).collect()
        }
        _ => vec![Value::Text(which, text)],
    }
}

fn identity(pattern: &IdentityPattern) -> Value<'_> {
    match pattern {
        IdentityPattern::Exact(text) => Value::Text(IDENTITY, text),
        IdentityPattern::Domain(domain) => Value::Domain(domain),
    }
}

/// Each prefix that a number begins with, and itself.
fn beginnings(number: &str) -> Vec<Value<'_>> {
    let starts = (0..=number.len()).filter_map(|end| number.get(..end));
    starts.map(|start| Value::Text(DIALLED_PREFIX, start)).collect()
}

/// The network of so many bits that a network is in.
fn shared(network: &Network, bits: u8) -> Value<'static> {
    let (is_v4, number, length) = match network.address() {
        IpAddr::V4(address) => (true, u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (false, u128::from(address), 128),
    };
    Value::Network(is_v4, number.checked_shr(length - u32::from(bits)).unwrap_or(0), bits)
}

/// What it takes of the facts that have few values. What comes from a trunk of some name comes from a trunk.
fn bits_of(when: &Conditions) -> u64 {
    let from_trunk = 1 << (SOURCE_AT + SourceKind::Trunk as u32);
    let taken = taken_bits(when);
    if when.trunk.is_empty() { taken } else { taken & (!SOURCES | from_trunk) }
}

/// The bits of all kinds of source.
const SOURCES: u64 = ((1 << SourceKind::ALL.len()) - 1) << SOURCE_AT;

/// How many conditions are lists of texts or the like.
const LISTS: usize = 8;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Conditions of a few values each, so that many cover others.
    fn drawn(seed: &mut u64) -> Conditions {
        let mut below = |n: u64| {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 33) % n
        };
        let mut some = |texts: &[&str]| -> Vec<String> {
            let count = if below(3) == 0 { 1 + below(3) } else { 0 };
            (0..count).map(|_| texts[below(texts.len() as u64) as usize].to_owned()).collect()
        };
        let boxed = |texts: Vec<String>| texts.into_iter().map(String::into_boxed_str).collect();
        Conditions {
            trunk: boxed(some(&["a", "B"])),
            dialled: boxed(some(&["0900", "0900@x", "01@x", "Bob"])),
            dialled_prefix: boxed(some(&["0", "09", "+49", "1"])),
            identity: some(&["*@x", "a@x", "b@y", "*@y"]).iter().map(|text| text.parse().expect("a pattern")).collect(),
            network: some(&["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "::/0", "2001:db8::/32", "10.1.2.3"])
                .iter()
                .map(|text| text.parse().expect("a network"))
                .collect(),
            ..Conditions::default()
        }
    }

    #[test]
    fn whatever_covers_a_rule_is_among_those_that_it_is_compared_with() {
        let mut seed = 1;
        let conditions: Vec<Conditions> = (0..1_000).map(|_| drawn(&mut seed)).collect();
        let scopes: Vec<Scope<'_>> = conditions.iter().map(Scope::of).collect();
        let (mut wider, mut covered) = (Wider::default(), 0);
        for (index, inner) in scopes.iter().enumerate() {
            let found = wider.than(inner);
            let covering = |earlier: &usize| scopes[*earlier].covers(inner);
            let expected: Vec<usize> = (0..index).filter(covering).collect();
            covered += expected.len();
            assert_eq!(found.into_iter().filter(covering).collect::<Vec<_>>(), expected, "{:?}", conditions[index]);
            wider.add(index, inner);
        }
        assert!(covered > 10_000, "{covered} only");
    }

    #[test]
    fn a_rule_is_compared_with_few_of_many_that_have_most_values_in_common() {
        const RULES: usize = 2_000;
        let numbers = |n: usize| -> Vec<Box<str>> {
            let all = (0..99).map(|common| format!("09{common:02}")).chain([format!("08{n:05}")]);
            all.map(String::into_boxed_str).collect()
        };
        let check = |of: fn(Vec<Box<str>>) -> Conditions| {
            let conditions: Vec<Conditions> = (0..RULES).map(|n| of(numbers(n))).collect();
            let scopes: Vec<Scope<'_>> = conditions.iter().map(Scope::of).collect();
            let mut wider = Wider::default();
            let mut compared = 0;
            for (index, scope) in scopes.iter().enumerate() {
                compared += wider.than(scope).len();
                wider.add(index, scope);
            }
            assert!(compared < RULES, "{compared} comparisons");
        };
        check(|dialled| Conditions { dialled, ..Conditions::default() });
        check(|dialled_prefix| Conditions { dialled_prefix, ..Conditions::default() });
        check(|dialled| Conditions { dialled, class: vec!["same".into()], ..Conditions::default() });
    }
}
