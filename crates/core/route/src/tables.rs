//! The immutable tables that routing reads, and what they are built from.

use crate::trie::Trie;
use crate::{Pattern, PatternError};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use sx_leg::Source;
use sx_types::Cause;

/// Everything that routing needs to be told, already validated value by value; [`Tables::build`] checks that it
/// fits together.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// Our own domains and addresses, in lower case. The first is the one that users from elsewhere are looked up in.
    pub domains: Vec<Box<str>>,
    /// The trunks.
    pub trunks: Vec<Trunk>,
    /// The dial plan; the order matters only between rules that are equally specific.
    pub rules: Vec<Rule>,
    /// What holds for registered users, and for addresses outside that no trunk stands for.
    pub users: DefaultsForUsers,
}

/// What holds for legs to and from registered users and outside addresses.
#[derive(Clone, Debug)]
pub struct DefaultsForUsers {
    /// How long a user's telephones ring, in milliseconds.
    pub ring_ms_max: u32,
    /// How their media is reached.
    pub access: Access,
}

/// A trunk, as far as routing is concerned.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its configured name.
    pub name: Arc<str>,
    /// Calls at the same time, both directions together; `u32::MAX` for no limit.
    pub calls_max: u32,
    /// New calls to it in one second; `u32::MAX` for no limit.
    pub calls_per_s_max: u32,
    /// After which causes the next way is tried.
    pub failover: Failover,
    /// How long to wait for an answer before the attempt counts as failed, in milliseconds.
    pub ring_ms_max: u32,
    /// Switched on by the operator.
    pub enabled: bool,
    /// How its media is reached.
    pub access: Access,
}

/// How the media of a party is reached, and what the party may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Through us or past us. A call is direct when either of its parties is.
    pub mode: MediaMode,
    /// The configured media interface that faces the party.
    pub interface: Arc<str>,
    /// The party is spoken to over IPv6 when it has not made an offer that says otherwise.
    pub ipv6: bool,
    /// The party may ask that calls be transferred.
    pub transfers: bool,
}

/// Does media pass through the exchange?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaMode {
    /// It does: ports are opened and descriptions rewritten.
    #[default]
    Relay,
    /// It does not: descriptions pass as they are.
    Direct,
}

/// After which causes the next way is tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failover {
    /// After those that the cause table marks.
    #[default]
    Table,
    /// After these and no others.
    Causes(Arc<[Cause]>),
}

/// One rule of the dial plan.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, for explanations.
    pub name: Arc<str>,
    /// For calls from whom.
    pub source: SourceFilter,
    /// For which domains.
    pub domain: DomainFilter,
    /// For which users or numbers.
    pub matches: Match,
    /// How many characters to take off the front.
    pub strip: u8,
    /// What to put in front then.
    pub prepend: Box<str>,
    /// Where to.
    pub destinations: Vec<Destination>,
    /// Are destinations of one priority tried one after the other or all at once?
    pub fork: Fork,
}

/// From whom a rule takes calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SourceFilter {
    /// From anybody.
    #[default]
    Any,
    /// From users who have authenticated, and from the exchange itself.
    Users,
    /// From these trunks.
    Trunks(Vec<Arc<str>>),
}

/// For which domains a rule takes calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DomainFilter {
    /// For ours. Whatever a trunk sends counts as ours: the domain it writes is its own affair.
    #[default]
    Ours,
    /// For this one, in lower case.
    Named(Box<str>),
    /// For every domain there is.
    Any,
}

/// For which users or numbers a rule takes calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// For exactly this one.
    Exact(Box<str>),
    /// For all that begin so; the empty prefix takes everything.
    Prefix(Box<str>),
    /// For all of this shape.
    Pattern(Pattern),
}

/// Where a rule sends a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Where.
    pub kind: DestinationKind,
    /// Lower is tried earlier.
    pub priority: u16,
    /// The share of calls among destinations of one priority; 0 gets calls only when the others cannot.
    pub weight: u16,
}

/// The kinds of destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationKind {
    /// This trunk.
    Trunk(Arc<str>),
    /// The registered user of the address, after the rewriting.
    Users,
    /// This URI, whatever was dialled.
    Uri(Box<str>),
    /// The dialled address itself, looked up by the rules of its protocol: for domains that are not ours.
    Dialled {
        /// The scheme of the URI that is made of it, such as `sip`.
        scheme: Box<str>,
    },
}

/// One after the other or all at once?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fork {
    /// One after the other, in an order drawn by weight.
    #[default]
    Serial,
    /// All at once.
    Parallel,
}

/// The place of a trunk in the tables, and so of its facts in [`Facts::trunks`](crate::Facts::trunks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrunkId(pub u16);

/// Why a definition does not fit together. The configuration is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Two trunks have one name.
    #[error("two trunks are named {0}")]
    TrunkTwice(Arc<str>),
    /// More trunks than there are numbers for them.
    #[error("more than 65535 trunks")]
    TooManyTrunks,
    /// A rule names a trunk that there is not.
    #[error("rule {rule}: there is no trunk {trunk}")]
    UnknownTrunk {
        /// The rule.
        rule: Arc<str>,
        /// The name it gives.
        trunk: Arc<str>,
    },
    /// A rule leads nowhere.
    #[error("rule {0} has no destination")]
    NoDestination(Arc<str>),
    /// A rule strips more than its match is sure to have.
    #[error("rule {rule}: strip = {strip} is more than the {shortest} characters that its match is sure to have")]
    StripsTooMuch {
        /// The rule.
        rule: Arc<str>,
        /// What it strips.
        strip: u8,
        /// The fewest characters that match.
        shortest: usize,
    },
    /// A rule's match is no pattern.
    #[error("rule {rule}: {error}")]
    Pattern {
        /// The rule.
        rule: Arc<str>,
        /// What is wrong with it.
        error: PatternError,
    },
}

/// The tables, built once from configuration and never changed.
#[derive(Debug)]
pub struct Tables {
    pub(crate) domains: HashSet<Box<str>>,
    pub(crate) home: Box<str>,
    pub(crate) trunks: Vec<Trunk>,
    pub(crate) rules: Vec<CheckedRule>,
    pub(crate) trie: Trie,
    pub(crate) users: DefaultsForUsers,
    names: HashMap<Arc<str>, TrunkId>,
}

/// A rule whose trunks have been looked up. Rules are kept most specific first: a rule's index is its rank.
#[derive(Debug)]
pub(crate) struct CheckedRule {
    pub rule: Rule,
    pub sources: CheckedSources,
    /// Sorted by priority.
    pub destinations: Vec<CheckedDestination>,
}

#[derive(Debug)]
pub(crate) enum CheckedSources {
    Any,
    Users,
    Trunks(Vec<Arc<str>>),
}

#[derive(Debug)]
pub(crate) struct CheckedDestination {
    pub kind: CheckedKind,
    pub priority: u16,
    pub weight: u16,
}

#[derive(Debug)]
pub(crate) enum CheckedKind {
    Trunk(TrunkId),
    Users,
    Uri(Box<str>),
    Dialled { scheme: Box<str> },
}

impl Tables {
    /// Builds the tables.
    ///
    /// # Errors
    /// Everything that does not fit together, all at once.
    pub fn build(definition: Definition) -> Result<Self, Vec<TableError>> {
        let mut errors = Vec::new();
        let names = name_trunks(&definition.trunks, &mut errors);
        let mut rules: Vec<(Vec<u8>, CheckedRule)> =
            definition.rules.into_iter().map(|rule| check_rule(rule, &names, &mut errors)).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        // Stable, so that rules that are equally specific keep the order they were written in.
        rules.sort_by(|(a, _), (b, _)| a.cmp(b));
        let rules: Vec<CheckedRule> = rules.into_iter().map(|(_, rule)| rule).collect();
        let trie = Trie::build(rules.iter().map(|checked| checked.rule.matches.literal_start()));
        let home = definition.domains.first().cloned().unwrap_or_default();
        let domains = definition.domains.into_iter().collect();
        Ok(Self { domains, home, trunks: definition.trunks, rules, trie, users: definition.users, names })
    }

    /// The trunks, in the order of their ids.
    pub fn trunks(&self) -> &[Trunk] {
        &self.trunks
    }

    /// The trunk of this name.
    pub fn trunk_id(&self, name: &str) -> Option<TrunkId> {
        self.names.get(name).copied()
    }

    /// The trunk with this id.
    pub fn trunk(&self, id: TrunkId) -> Option<&Trunk> {
        self.trunks.get(usize::from(id.0))
    }

    /// Is the domain one of ours?
    pub fn is_ours(&self, domain: &str) -> bool {
        self.domains.contains(domain)
    }

    /// How the media of a calling party is reached; that of a trunk that is gone, as users' is.
    pub fn access(&self, source: &Source) -> &Access {
        let trunk = match source {
            Source::Trunk(name) => self.trunk_id(name).and_then(|id| self.trunk(id)),
            Source::User(_) | Source::Exchange => None,
        };
        trunk.map_or(&self.users.access, |trunk| &trunk.access)
    }
}

impl Default for DefaultsForUsers {
    fn default() -> Self {
        Self { ring_ms_max: 60_000, access: Access::default() }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self { mode: MediaMode::Relay, interface: Arc::from("default"), ipv6: false, transfers: true }
    }
}

impl Trunk {
    /// A trunk that is switched on and has no limits: 60 s to answer, media relayed, no transfers.
    pub fn new(name: &str) -> Self {
        Self {
            name: Arc::from(name),
            calls_max: u32::MAX,
            calls_per_s_max: u32::MAX,
            failover: Failover::Table,
            ring_ms_max: 60_000,
            enabled: true,
            access: Access { transfers: false, ..Access::default() },
        }
    }
}

impl Failover {
    /// Is the next way tried after this cause?
    pub fn allows(&self, cause: Cause) -> bool {
        match self {
            Self::Table => cause.try_next(),
            Self::Causes(causes) => causes.contains(&cause),
        }
    }
}

impl Match {
    /// The text that everything it matches begins with.
    fn literal_start(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
            Self::Pattern(pattern) => pattern.literal_start(),
        }
    }

    /// The fewest characters of anything it matches.
    fn shortest(&self) -> usize {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text.chars().count(),
            Self::Pattern(pattern) => pattern.shortest(),
        }
    }

    /// How many values each position takes, then how it ends: the smaller of two keys is the more specific match.
    fn specificity(&self) -> Vec<u8> {
        match self {
            Self::Exact(text) => text.chars().map(|_| 1).chain([ENDS_THERE]).collect(),
            Self::Prefix(text) => text.chars().map(|_| 1).chain([ENDS_ANYHOW]).collect(),
            Self::Pattern(pattern) => pattern.specificity(),
        }
    }

    pub(crate) fn accepts(&self, user: &str) -> bool {
        match self {
            Self::Exact(text) => **text == *user,
            Self::Prefix(text) => user.starts_with(&**text),
            Self::Pattern(pattern) => pattern.accepts(user),
        }
    }
}

fn name_trunks(trunks: &[Trunk], errors: &mut Vec<TableError>) -> HashMap<Arc<str>, TrunkId> {
    let mut names = HashMap::new();
    for (index, trunk) in trunks.iter().enumerate() {
        let Ok(id) = u16::try_from(index) else {
            errors.push(TableError::TooManyTrunks);
            break;
        };
        if names.insert(trunk.name.clone(), TrunkId(id)).is_some() {
            errors.push(TableError::TrunkTwice(trunk.name.clone()));
        }
    }
    names
}

fn check_rule(rule: Rule, names: &HashMap<Arc<str>, TrunkId>, errors: &mut Vec<TableError>) -> (Vec<u8>, CheckedRule) {
    let name = rule.name.clone();
    let shortest = rule.matches.shortest();
    if rule.destinations.is_empty() {
        errors.push(TableError::NoDestination(name.clone()));
    }
    if usize::from(rule.strip) > shortest {
        errors.push(TableError::StripsTooMuch { rule: name.clone(), strip: rule.strip, shortest });
    }
    let mut look_up = |trunk: &Arc<str>| match names.get(trunk) {
        Some(id) => *id,
        None => {
            errors.push(TableError::UnknownTrunk { rule: name.clone(), trunk: trunk.clone() });
            TrunkId(0)
        }
    };
    let sources = match &rule.source {
        SourceFilter::Any => CheckedSources::Any,
        SourceFilter::Users => CheckedSources::Users,
        SourceFilter::Trunks(trunks) => {
            trunks.iter().for_each(|trunk| _ = look_up(trunk));
            CheckedSources::Trunks(trunks.clone())
        }
    };
    let mut destinations: Vec<CheckedDestination> = rule
        .destinations
        .iter()
        .map(|destination| CheckedDestination {
            kind: match &destination.kind {
                DestinationKind::Trunk(trunk) => CheckedKind::Trunk(look_up(trunk)),
                DestinationKind::Users => CheckedKind::Users,
                DestinationKind::Uri(uri) => CheckedKind::Uri(uri.clone()),
                DestinationKind::Dialled { scheme } => CheckedKind::Dialled { scheme: scheme.clone() },
            },
            priority: destination.priority,
            weight: destination.weight,
        })
        .collect();
    destinations.sort_by_key(|destination| destination.priority);
    let mut key = rule.matches.specificity();
    key.push(match rule.domain {
        DomainFilter::Named(_) => 0,
        DomainFilter::Ours => 1,
        DomainFilter::Any => 2,
    });
    key.push(match sources {
        CheckedSources::Trunks(_) => 0,
        CheckedSources::Users => 1,
        CheckedSources::Any => 2,
    });
    (key, CheckedRule { rule, sources, destinations })
}

/// The last byte of a specificity key: nothing may follow.
pub(crate) const ENDS_THERE: u8 = 0;
/// The last byte of a specificity key: at least one more character follows.
pub(crate) const ENDS_WITH_MORE: u8 = 254;
/// The last byte of a specificity key: anything or nothing follows.
pub(crate) const ENDS_ANYHOW: u8 = 255;
