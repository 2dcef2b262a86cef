//! The plan: which destinations ring, in which order, and why.

use crate::dialled::{counts_as_ours, home_domain, rewrite, rule_for};
use crate::tables::{CheckedDestination, CheckedKind, CheckedRule};
use crate::{Access, Announcement, Failover, Fork, Tables, Trunk, TrunkId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use sx_leg::{Address, Bounds, Source};
use sx_types::Cause;

/// What is known of one call when it is routed.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Where it comes from.
    pub source: &'a Source,
    /// Whom the caller dialled.
    pub to: &'a Address,
    /// What is known of each trunk, in the order of [`Tables::trunks`]; one that is missing is idle and healthy.
    pub trunks: &'a [TrunkFacts],
    /// Any number: it decides between weights.
    pub random: u64,
}

/// What is known of one trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkFacts {
    /// Calls on it now.
    pub active: u32,
    /// Calls begun on it in this second.
    pub begun_this_second: u32,
    /// It answers its probes, or is not probed.
    pub healthy: bool,
}

/// How a call goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Plan {
    /// By ringing these.
    Ring(Route),
    /// Not at all.
    Refuse(Refusal),
}

/// The ways there are, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Tried one after the other, as far as the causes allow; at least one.
    pub stages: Vec<Stage>,
    /// Destinations the rule names that are of no use now.
    pub skipped: Vec<Skipped>,
}

/// Destinations that ring at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// They; at least one.
    pub ways: Vec<Planned>,
    /// How long they ring, in milliseconds.
    pub ring_ms_max: u32,
    /// After which causes the next stage is tried.
    pub failover: Failover,
}

/// One destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// What it is.
    pub way: Way,
    /// The address asked for there, after the dial plan.
    pub to: Address,
    /// How its media is reached.
    pub access: Access,
    /// Why it stands in this place.
    pub reason: Reason,
    /// What whoever is called there is bound to. A plan binds nobody: whoever asks for one adds what it was allowed under.
    pub bounds: Bounds,
}

/// The kinds of way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// A trunk; it is asked for the user of [`Planned::to`].
    Trunk(Arc<str>),
    /// Wherever the user [`Planned::to`] is registered.
    User,
    /// A room: the exchange answers by itself.
    Room(Arc<str>),
    /// An announcement: the caller is told something.
    Announcement(Announcement),
    /// A URI.
    Uri(Box<str>),
}

/// Why a destination stands in its place. Prints as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule; `None` when no rule was needed.
    pub rule: Option<Arc<str>>,
    /// What put it there.
    pub why: Why,
}

/// What put a destination in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The address is in one of our domains and no rule takes it.
    OurDomain,
    /// The address is in one of our domains, no rule takes it, and a room has this name.
    OurRoom,
    /// It is the only one of its priority.
    Priority(u16),
    /// It was drawn by weight among those of its priority.
    Weight {
        /// The priority.
        priority: u16,
        /// Its weight.
        weight: u16,
    },
    /// It rings together with the others of its priority.
    Together(u16),
    /// It does not answer its probes, and no way of the rule is better.
    LastResort(u16),
    /// A target that was tried has named it.
    Redirected,
    /// Somebody who transfers a call has named it.
    Transferred,
}

impl Reason {
    /// The same rule, for a destination that a target has named.
    #[must_use]
    pub fn redirected(self) -> Self {
        Self { why: Why::Redirected, ..self }
    }

    /// The reason of a destination that somebody who transfers a call has named.
    pub fn transferred() -> Self {
        Self { rule: None, why: Why::Transferred }
    }
}

/// A destination that is of no use now. Prints as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The trunk.
    pub trunk: Arc<str>,
    /// Why.
    pub reason: SkipReason,
}

/// Why a trunk is of no use now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SkipReason {
    /// It does not answer its probes.
    Unhealthy,
    /// All its channels are in use.
    Full,
    /// It has been given as many calls as it takes in one second.
    TooFast,
}

/// No way at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why, in the exchange's own word.
    pub cause: Cause,
    /// Why, in a sentence.
    pub sentence: Box<str>,
    /// Another try may do better after a while.
    pub retry: bool,
}

/// Plans one call.
pub fn plan(tables: &Tables, facts: &Facts<'_>) -> Plan {
    if let Some(rule) = rule_for(tables, facts) {
        return by_rule(tables, facts, rule);
    }
    let ours = counts_as_ours(tables, facts);
    if !ours {
        let sentence = format!("{} is not one of our domains and no route leads there", facts.to.domain);
        return refuse(Cause(57), sentence, false);
    }
    if facts.to.user.is_empty() {
        return refuse(Cause(28), "the dialled address names no user".to_owned(), false);
    }
    let way = Planned {
        way: Way::User,
        to: Address { user: facts.to.user.clone(), domain: home_domain(tables, facts.to, ours) },
        access: tables.users.access.clone(),
        reason: Reason { rule: None, why: Why::OurDomain },
        bounds: Bounds::default(),
    };
    let ring_ms_max = tables.users.ring_ms_max;
    let room = tables.room(&facts.to.user).filter(|_| matches!(facts.source, Source::User(_)));
    let stages = match room {
        None => vec![Stage { ways: vec![way], ring_ms_max, failover: Failover::Table }],
        // Whoever has a user's name goes before whatever else has it.
        Some(room) => {
            let reason = Reason { rule: None, why: Why::OurRoom };
            let entry = Planned { way: Way::Room(room.name.clone()), reason, ..way.clone() };
            let failover = Failover::Causes([Cause::UNALLOCATED].into());
            vec![
                Stage { ways: vec![way], ring_ms_max, failover },
                Stage { ways: vec![entry], ring_ms_max, failover: Failover::Table },
            ]
        }
    };
    Plan::Ring(Route { stages, skipped: Vec::new() })
}

fn by_rule(tables: &Tables, facts: &Facts<'_>, rule: &CheckedRule) -> Plan {
    let route = stages(tables, facts, rule, false);
    if !route.stages.is_empty() {
        return Plan::Ring(route);
    }
    // A trunk that was believed not to answer may do so by now; the caller has nothing to lose.
    let last = stages(tables, facts, rule, true);
    if last.stages.is_empty() { refuse_all(rule, &route.skipped) } else { Plan::Ring(last) }
}

/// What a rule has to try, and what not. In the last resort, where there is nothing else, trunks need not answer probes.
fn stages(tables: &Tables, facts: &Facts<'_>, rule: &CheckedRule, last_resort: bool) -> Route {
    let to = rewrite(tables, &rule.rule, facts.to, counts_as_ours(tables, facts));
    let mut route = Route { stages: Vec::with_capacity(rule.destinations.len()), skipped: Vec::new() };
    let mut chance = facts.random;
    for group in rule.destinations.chunk_by(|a, b| a.priority == b.priority) {
        let mut usable: Vec<&CheckedDestination> = group
            .iter()
            .filter(|destination| match out_of_use(tables, facts, &destination.kind, last_resort) {
                None => true,
                Some(skipped) => {
                    route.skipped.push(skipped);
                    false
                }
            })
            .collect();
        if usable.is_empty() {
            continue;
        }
        if rule.rule.fork == Fork::Parallel {
            route.stages.push(together(tables, rule, &to, &usable, last_resort));
            continue;
        }
        let alone = usable.len() == 1;
        while !usable.is_empty() {
            let destination = usable.remove(draw(&usable, &mut chance));
            let CheckedDestination { kind, priority, weight, .. } = destination;
            let why = match (last_resort, alone) {
                (true, _) => Why::LastResort(*priority),
                (false, true) => Why::Priority(*priority),
                (false, false) => Why::Weight { priority: *priority, weight: *weight },
            };
            let (ring_ms_max, failover) = patience(tables, rule, kind);
            let ways = vec![planned(tables, rule, &to, destination, why)];
            route.stages.push(Stage { ways, ring_ms_max, failover });
        }
    }
    route
}

fn together(
    tables: &Tables,
    rule: &CheckedRule,
    to: &Address,
    usable: &[&CheckedDestination],
    last_resort: bool,
) -> Stage {
    let why = if last_resort { Why::LastResort } else { Why::Together }(usable[0].priority);
    let ways = usable.iter().map(|destination| planned(tables, rule, to, destination, why)).collect();
    let (ring_ms_max, failover) = usable
        .iter()
        .map(|destination| patience(tables, rule, &destination.kind))
        .max_by_key(|(ring_ms_max, _)| *ring_ms_max)
        .unwrap_or((tables.users.ring_ms_max, Failover::Table));
    Stage { ways, ring_ms_max, failover }
}

fn planned(tables: &Tables, rule: &CheckedRule, to: &Address, destination: &CheckedDestination, why: Why) -> Planned {
    let mut to = to.clone();
    if let Some(template) = &destination.user {
        to.user = template.replace("{user}", &to.user).into();
    }
    let (way, access) = match &destination.kind {
        CheckedKind::Trunk(id) => {
            let trunk = trunk(tables, *id);
            (Way::Trunk(trunk.name.clone()), &trunk.access)
        }
        CheckedKind::Users => (Way::User, &tables.users.access),
        CheckedKind::Room(room) => (Way::Room(room.clone()), &tables.users.access),
        CheckedKind::Announcement(told) => (Way::Announcement(told.clone()), &tables.users.access),
        CheckedKind::Uri(uri) => (Way::Uri(uri.clone()), &tables.users.access),
        CheckedKind::Dialled { scheme } => (Way::Uri(uri(scheme, &to)), &tables.users.access),
    };
    let reason = Reason { rule: Some(rule.rule.name.clone()), why };
    Planned { way, to, access: access.clone(), reason, bounds: Bounds::default() }
}

/// The URI of an address; characters that URIs reserve are escaped.
//= https://www.rfc-editor.org/rfc/rfc3986#section-2.1
fn uri(scheme: &str, to: &Address) -> Box<str> {
    let mut uri = format!("{scheme}:");
    for byte in to.user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~+*".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri.push_str(if to.user.is_empty() { "" } else { "@" });
    uri.push_str(&to.domain);
    uri.into()
}

/// How long a destination rings, and after what the next one is tried.
fn patience(tables: &Tables, rule: &CheckedRule, kind: &CheckedKind) -> (u32, Failover) {
    let (ring_ms_max, failover) = match kind {
        CheckedKind::Trunk(id) => {
            let trunk = trunk(tables, *id);
            (trunk.ring_ms_max, trunk.failover.clone())
        }
        // When it is over, or cannot be heard, the next is tried.
        CheckedKind::Announcement(told) => {
            let causes = [told.cause, Cause::INCOMPATIBLE, Cause::NO_RESOURCE, Cause::TIMER_EXPIRY];
            return (ANNOUNCED_MS_MAX, Failover::Causes(causes.into()));
        }
        CheckedKind::Users | CheckedKind::Room(_) | CheckedKind::Uri(_) | CheckedKind::Dialled { .. } => {
            (tables.users.ring_ms_max, Failover::Table)
        }
    };
    (rule.rule.ring_ms_max.unwrap_or(ring_ms_max), failover)
}

/// How long an announcement may last, whatever the rule says of ringing: longer than any sound is.
const ANNOUNCED_MS_MAX: u32 = 11 * 60_000;

/// Why a destination is of no use now; `None` when it is.
fn out_of_use(tables: &Tables, facts: &Facts<'_>, kind: &CheckedKind, last_resort: bool) -> Option<Skipped> {
    let CheckedKind::Trunk(id) = kind else { return None };
    let trunk = trunk(tables, *id);
    let idle = TrunkFacts { active: 0, begun_this_second: 0, healthy: true };
    let known = facts.trunks.get(usize::from(id.0)).copied().unwrap_or(idle);
    let reason = if !(known.healthy || last_resort) {
        SkipReason::Unhealthy
    } else if known.active >= trunk.calls_max {
        SkipReason::Full
    } else if known.begun_this_second >= per_s_max(trunk, known.healthy) {
        SkipReason::TooFast
    } else {
        return None;
    };
    Some(Skipped { trunk: trunk.name.clone(), reason })
}

/// How many calls a second a trunk is sent. One that does not answer its probes keeps each caller waiting, and holds a call
/// of the exchange meanwhile: a few are enough to find out that it is back.
fn per_s_max(trunk: &Trunk, healthy: bool) -> u32 {
    const TO_ONE_THAT_IS_DOWN: u32 = 2;
    if healthy { trunk.calls_per_s_max } else { trunk.calls_per_s_max.min(TO_ONE_THAT_IS_DOWN) }
}

/// The index of one of the destinations, each as likely as its weight says.
fn draw(usable: &[&CheckedDestination], chance: &mut u64) -> usize {
    let total: u64 = usable.iter().map(|destination| u64::from(destination.weight)).sum();
    // A step of splitmix64, so that each draw of one plan is independent of the one before.
    *chance = chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *chance;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let mut point = ((u128::from(mixed) * u128::from(total)) >> 64) as u64;
    for (index, destination) in usable.iter().enumerate() {
        let weight = u64::from(destination.weight);
        if point < weight {
            return index;
        }
        point -= weight;
    }
    // Only when all weights are 0: the order they were written in.
    0
}

fn refuse_all(rule: &CheckedRule, skipped: &[Skipped]) -> Plan {
    let name = &rule.rule.name;
    let busy = skipped.iter().any(|s| matches!(s.reason, SkipReason::Full | SkipReason::TooFast));
    let reasons = skipped.iter().map(Skipped::to_string).collect::<Vec<_>>().join("; ");
    let cause = if busy { Cause::CONGESTION } else { Cause::OUT_OF_ORDER };
    refuse(cause, format!("no way of rule {name} is of use: {reasons}"), busy)
}

fn refuse(cause: Cause, sentence: String, retry: bool) -> Plan {
    Plan::Refuse(Refusal { cause, sentence: sentence.into(), retry })
}

/// The trunk that a checked rule names.
fn trunk(tables: &Tables, id: TrunkId) -> &Trunk {
    // Rules hold only ids that `Tables::build` has found in this very table.
    &tables.trunks[usize::from(id.0)]
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rule) = &self.rule {
            write!(f, "rule {rule}: ")?;
        }
        match self.why {
            Why::OurDomain => f.write_str("the domain is ours and no rule takes the address"),
            Why::OurRoom => f.write_str("the domain is ours and a room has this name"),
            Why::Priority(priority) => write!(f, "alone at priority {priority}"),
            Why::Weight { priority, weight } => write!(f, "drawn with weight {weight} at priority {priority}"),
            Why::LastResort(priority) => {
                write!(f, "nothing is better than a trunk that does not answer its probes, at priority {priority}")
            }
            Why::Redirected => f.write_str("a target that was tried has named it"),
            Why::Transferred => f.write_str("the party that transfers the call has named it"),
            Why::Together(priority) => write!(f, "together with the others at priority {priority}"),
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            SkipReason::Unhealthy => "does not answer",
            SkipReason::Full => "has all its channels in use",
            SkipReason::TooFast => "has had its calls for this second",
        };
        write!(f, "trunk {} {reason}", self.trunk)
    }
}
