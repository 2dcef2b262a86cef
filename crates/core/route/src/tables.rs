//! The immutable tables that routing reads.

use crate::Announcement;
use crate::definition::{
    Access, DefaultsForUsers, Definition, DestinationKind, DomainFilter, Rule, SourceFilter, Trunk,
};
use crate::load::{Occupancy, TrunkLoad};
use crate::room::Room;
use crate::trie::Trie;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use sx_leg::Source;

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
    /// Two rooms have one name.
    #[error("two rooms are named {0}")]
    RoomTwice(Arc<str>),
    /// A rule names a room that there is not.
    #[error("rule {rule}: there is no room {room}")]
    UnknownRoom {
        /// The rule.
        rule: Arc<str>,
        /// The name it gives.
        room: Arc<str>,
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
}

/// The tables, built once from configuration and never changed.
#[derive(Debug)]
pub struct Tables {
    pub(crate) domains: HashSet<Box<str>, Named>,
    pub(crate) home: Box<str>,
    pub(crate) trunks: Vec<Trunk>,
    pub(crate) rooms: Vec<Room>,
    /// Who is in rooms that are in these tables no more.
    pub(crate) rooms_departed: BTreeMap<Arc<str>, Arc<Occupancy>>,
    pub(crate) rules: Vec<CheckedRule>,
    pub(crate) trie: Trie,
    pub(crate) users: DefaultsForUsers,
    names: TrunkNames,
    /// The calls on trunks that are in these tables no more: they may come back before those calls end.
    departed: BTreeMap<Arc<str>, Arc<TrunkLoad>>,
}

/// Names of the configuration, which nobody aims at a hash: the hasher needs no seed.
type Named = BuildHasherDefault<DefaultHasher>;

type TrunkNames = HashMap<Arc<str>, TrunkId, Named>;

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
    pub user: Option<Box<str>>,
}

#[derive(Debug)]
pub(crate) enum CheckedKind {
    Trunk(TrunkId),
    Users,
    Room(Arc<str>),
    Announcement(Announcement),
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
        let rooms = name_rooms(&definition.rooms, &mut errors);
        let mut rules: Vec<(Vec<u8>, CheckedRule)> =
            definition.rules.into_iter().map(|rule| check_rule(rule, &names, &rooms, &mut errors)).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        // Stable, so that rules that are equally specific keep the order they were written in.
        rules.sort_by(|(a, _), (b, _)| a.cmp(b));
        let rules: Vec<CheckedRule> = rules.into_iter().map(|(_, rule)| rule).collect();
        let trie = Trie::build(rules.iter().map(|checked| checked.rule.matches.literal_start()));
        let home = definition.domains.first().cloned().unwrap_or_default();
        let domains = definition.domains.into_iter().collect();
        Ok(Self {
            domains,
            home,
            trunks: definition.trunks,
            rooms: definition.rooms,
            rooms_departed: BTreeMap::new(),
            rules,
            trie,
            users: definition.users,
            names,
            departed: BTreeMap::new(),
        })
    }

    /// These tables instead of `before`: with the calls that are on the trunks and in the rooms.
    #[must_use]
    pub fn following(mut self, before: &Self) -> Self {
        for trunk in &mut self.trunks {
            if let Some(load) = before.load(&trunk.name) {
                trunk.load = load.clone();
            }
        }
        // A worker that has the old tables yet may put a call on any trunk of theirs.
        let trunks = before.trunks.iter().map(|trunk| (&trunk.name, &trunk.load));
        let departed = before.departed.iter().filter(|(_, load)| load.active() > 0).chain(trunks);
        let gone = departed.filter(|(name, _)| !self.names.contains_key(*name));
        self.departed = gone.map(|(name, load)| (name.clone(), load.clone())).collect();
        self.follow_rooms(before);
        self
    }

    /// The calls on a trunk that is in these tables, or was in those before.
    pub fn load(&self, name: &str) -> Option<&Arc<TrunkLoad>> {
        let present = self.trunk_id(name).and_then(|id| self.trunk(id)).map(|trunk| &trunk.load);
        present.or_else(|| self.departed.get(name))
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

fn name_trunks(trunks: &[Trunk], errors: &mut Vec<TableError>) -> TrunkNames {
    let mut names = TrunkNames::default();
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

fn name_rooms(rooms: &[Room], errors: &mut Vec<TableError>) -> BTreeSet<Arc<str>> {
    let mut names = BTreeSet::new();
    for room in rooms.iter().filter(|room| !names.insert(room.name.clone())) {
        errors.push(TableError::RoomTwice(room.name.clone()));
    }
    names
}

fn check_rule(
    rule: Rule,
    names: &TrunkNames,
    rooms: &BTreeSet<Arc<str>>,
    errors: &mut Vec<TableError>,
) -> (Vec<u8>, CheckedRule) {
    let name = rule.name.clone();
    let shortest = rule.matches.shortest();
    if rule.destinations.is_empty() {
        errors.push(TableError::NoDestination(name.clone()));
    }
    if usize::from(rule.strip) > shortest {
        errors.push(TableError::StripsTooMuch { rule: name.clone(), strip: rule.strip, shortest });
    }
    for destination in &rule.destinations {
        if let DestinationKind::Room(room) = &destination.kind
            && !rooms.contains(room)
        {
            errors.push(TableError::UnknownRoom { rule: name.clone(), room: room.clone() });
        }
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
                DestinationKind::Room(room) => CheckedKind::Room(room.clone()),
                DestinationKind::Announcement(announcement) => CheckedKind::Announcement(announcement.clone()),
                DestinationKind::Uri(uri) => CheckedKind::Uri(uri.clone()),
                DestinationKind::Dialled { scheme } => CheckedKind::Dialled { scheme: scheme.clone() },
            },
            priority: destination.priority,
            weight: destination.weight,
            user: destination.user.clone(),
        })
        .collect();
    destinations.sort_by_key(|destination| destination.priority);
    let mut key = rule.matches.specificity();
    key.push(match rule.domain {
        DomainFilter::Elsewhere => 0,
        DomainFilter::Ours => 1,
    });
    key.push(match sources {
        CheckedSources::Trunks(_) => 0,
        CheckedSources::Users => 1,
        CheckedSources::Any => 2,
    });
    (key, CheckedRule { rule, sources, destinations })
}
