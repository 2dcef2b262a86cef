//! Rules, made cheap to try: most are ruled out by one comparison of two words.

use crate::definition::{Conditions, Rule};
use crate::names::{Names, Prefixes};
use crate::reading::{ACTION_AT, AUTHENTICATED_AT, HOUR_AT, Reading, SOURCE_AT, TRANSPORT_AT, WEEKDAY_AT};
use crate::value::{Country, IdentityPattern};
use smallvec::SmallVec;
use std::ops::Range;
use sx_types::Network;

/// Every text that some rule names.
#[derive(Debug, Default)]
pub(crate) struct RuleNames {
    pub(crate) trunks: Names,
    pub(crate) identities: Names,
    pub(crate) domains: Names,
    pub(crate) classes: Names,
    pub(crate) organisations: Names,
    pub(crate) dialled: Names,
    pub(crate) prefixes: Prefixes,
}

/// The rules, laid out one after the other: what rules most of them out stands together.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    rules: Vec<Quick>,
    tests: Vec<Test>,
}

/// What is tried first of a rule, and where its other conditions are.
#[derive(Debug)]
struct Quick {
    /// The bits that it takes.
    taken: u64,
    score_min: u32,
    tests: Range<u32>,
}

/// Numbers of names; most conditions have few.
type Numbers = SmallVec<[u32; 4]>;

/// A condition that no bit stands for.
#[derive(Debug)]
enum Test {
    Trunk(Numbers),
    Class(Numbers),
    Organisation(Numbers),
    /// Exact ones.
    Identity(Numbers),
    /// Exact ones, or all of these domains.
    IdentityOrDomain(Box<(Numbers, Numbers)>),
    Dialled(Numbers),
    /// Ranges of prefixes, from the first until before the second.
    Prefix(SmallVec<[(u32, u32); 2]>),
    Country(SmallVec<[Country; 8]>),
    Network(Box<[Network]>),
}

impl RuleNames {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let conditions = || rules.iter().map(|rule| &rule.when);
        let identities = || conditions().flat_map(|when| &when.identity);
        Self {
            trunks: Names::new(conditions().flat_map(|when| &when.trunk).map(|name| &**name)),
            identities: Names::new(identities().filter_map(exact)),
            domains: Names::new(identities().filter_map(domain)),
            classes: Names::new(conditions().flat_map(|when| &when.class).map(|name| &**name)),
            organisations: Names::new(conditions().flat_map(|when| &when.organisation).map(|name| &**name)),
            dialled: Names::new(conditions().flat_map(|when| &when.dialled).map(|name| &**name)),
            prefixes: Prefixes::new(conditions().flat_map(|when| &when.dialled_prefix).map(|name| &**name)),
        }
    }
}

fn exact(pattern: &IdentityPattern) -> Option<&str> {
    match pattern {
        IdentityPattern::Exact(identity) => Some(identity),
        IdentityPattern::Domain(_) => None,
    }
}

fn domain(pattern: &IdentityPattern) -> Option<&str> {
    match pattern {
        IdentityPattern::Domain(domain) => Some(domain),
        IdentityPattern::Exact(_) => None,
    }
}

/// The bits of requests that the rule takes; those of a condition that it does not have are all set.
pub(crate) fn taken_bits(when: &Conditions) -> u64 {
    let hours = when.hours.iter().fold(0u64, |bits, hours| bits | u64::from(hours.bits()));
    let group = |at: u32, length: usize, places: u64| {
        let places = if places == 0 { (1 << length) - 1 } else { places };
        places << at
    };
    group(ACTION_AT, 10, places(when.action.iter().map(|action| *action as u32)))
        | group(SOURCE_AT, 4, places(when.source.iter().map(|source| *source as u32)))
        | group(TRANSPORT_AT, 5, places(when.transport.iter().map(|transport| *transport as u32)))
        | group(AUTHENTICATED_AT, 6, places(when.authenticated.iter().map(|kind| *kind as u32)))
        | group(WEEKDAY_AT, 7, places(when.weekdays.iter().map(|day| *day as u32)))
        | group(HOUR_AT, 24, hours)
}

fn places(places: impl Iterator<Item = u32>) -> u64 {
    places.fold(0, |bits, place| bits | 1 << place)
}

impl Matcher {
    pub(crate) fn new(rules: &[Rule], names: &RuleNames) -> Self {
        let mut matcher = Self::default();
        for rule in rules {
            let first = matcher.tests.len() as u32;
            add_tests(&rule.when, names, &mut matcher.tests);
            let tests = first..matcher.tests.len() as u32;
            let score_min = rule.when.score_min.unwrap_or(0);
            matcher.rules.push(Quick { taken: taken_bits(&rule.when), score_min, tests });
        }
        matcher
    }

    /// For each rule in its order: does it match?
    pub(crate) fn tried<'m>(&'m self, reading: &'m Reading<'_, '_>) -> impl Iterator<Item = bool> + 'm {
        self.rules.iter().map(|quick| {
            reading.bits & !quick.taken == 0
                && reading.request.score_milli >= quick.score_min
                && self.tests[quick.tests.start as usize..quick.tests.end as usize]
                    .iter()
                    .all(|test| test.holds(reading))
        })
    }
}

/// The conditions of one rule, the cheap ones first.
fn add_tests(when: &Conditions, names: &RuleNames, tests: &mut Vec<Test>) {
    let numbers = |table: &Names, texts: &[Box<str>]| table.numbers(texts.iter().map(|text| &**text));
    let mut add = |given: bool, test: Test| {
        if given {
            tests.push(test);
        }
    };
    add(!when.trunk.is_empty(), Test::Trunk(numbers(&names.trunks, &when.trunk)));
    add(!when.class.is_empty(), Test::Class(numbers(&names.classes, &when.class)));
    add(!when.organisation.is_empty(), Test::Organisation(numbers(&names.organisations, &when.organisation)));
    add(!when.country.is_empty(), Test::Country(when.country.iter().copied().collect()));
    add(!when.dialled.is_empty(), Test::Dialled(numbers(&names.dialled, &when.dialled)));
    let ranges = when.dialled_prefix.iter().filter_map(|prefix| names.prefixes.covered(prefix)).collect();
    add(!when.dialled_prefix.is_empty(), Test::Prefix(ranges));
    let exact = names.identities.numbers(when.identity.iter().filter_map(exact));
    let domains = names.domains.numbers(when.identity.iter().filter_map(domain));
    let identity =
        if domains.is_empty() { Test::Identity(exact) } else { Test::IdentityOrDomain(Box::new((exact, domains))) };
    add(!when.identity.is_empty(), identity);
    add(!when.network.is_empty(), Test::Network(when.network.clone().into()));
}

impl Test {
    fn holds(&self, reading: &Reading<'_, '_>) -> bool {
        let among = |numbers: &Numbers, number: Option<u32>| number.is_some_and(|number| numbers.contains(&number));
        match self {
            Self::Trunk(numbers) => among(numbers, reading.trunk),
            Self::Class(numbers) => among(numbers, reading.class_number),
            Self::Organisation(numbers) => among(numbers, reading.organisation_number),
            Self::Identity(numbers) => among(numbers, reading.identity),
            Self::IdentityOrDomain(both) => among(&both.0, reading.identity) || among(&both.1, reading.domain),
            Self::Dialled(numbers) => reading.dialled.iter().any(|number| among(numbers, *number)),
            Self::Prefix(ranges) => {
                reading.prefix.is_some_and(|prefix| ranges.iter().any(|(from, to)| (*from..*to).contains(&prefix)))
            }
            Self::Country(countries) => reading.request.country.is_some_and(|is| countries.contains(&Country(is))),
            Self::Network(networks) => networks.iter().any(|network| network.contains(reading.address)),
        }
    }
}
