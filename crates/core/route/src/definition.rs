//! What the tables are built from.

use crate::{Announcement, Pattern, Room, TrunkLoad};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use sx_types::{Cause, Codec, Dtmf, HoldMusic, SrtpKeying, SrtpPolicy};

/// Everything that routing needs to be told, already validated value by value; [`Tables::build`](crate::Tables::build)
/// checks that it
/// fits together.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// Our own domains and addresses, in lower case. The first is the one that users from elsewhere are looked up in.
    pub domains: Vec<Box<str>>,
    /// The trunks.
    pub trunks: Vec<Trunk>,
    /// The rooms.
    pub rooms: Vec<Room>,
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
    /// The calls there are on it, in all workers.
    pub load: Arc<TrunkLoad>,
    /// After which causes the next way is tried.
    pub failover: Failover,
    /// How long to wait for an answer before the attempt counts as failed, in milliseconds.
    pub ring_ms_max: u32,
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
    /// The host of the party, as far as it is known before it is spoken to: on an interface with several addresses it
    /// is told the one that faces there.
    pub host: Option<IpAddr>,
    /// The party may ask that calls be transferred.
    pub transfers: bool,
    /// Where its media may come from.
    pub latch: LatchMode,
    /// What may be offered to the party and taken from it; empty for any.
    pub codecs: Arc<[Codec]>,
    /// Whether its media is protected.
    #[serde(default)]
    pub srtp: SrtpPolicy,
    /// Where the keys come from that it is offered.
    #[serde(default)]
    pub srtp_keying: SrtpKeying,
    /// How it tells the keys that it presses, and is told those of others.
    #[serde(default)]
    pub dtmf: Dtmf,
    /// What the party hears when it is put on hold.
    #[serde(default)]
    pub hold_music: Option<HoldMusic>,
}

/// Where the media of a party may come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LatchMode {
    /// From exactly the address and port it has said, whatever NAT it is behind.
    Exact,
    /// From the address it has said, whatever the port.
    Port,
    /// As [`LatchMode::Port`], and from a party behind a NAT also from where its signalling comes from.
    #[default]
    Nat,
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
    /// How long each destination rings, in milliseconds; `None` as long as its trunk or the users' defaults say.
    pub ring_ms_max: Option<u32>,
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
    /// For every domain but ours, also when a trunk writes it: what goes on to where it was dialled.
    Elsewhere,
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
    /// The user asked for there, with `{user}` for the one after the rule's rewriting; `None` for just that one.
    pub user: Option<Box<str>>,
}

/// The kinds of destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationKind {
    /// This trunk.
    Trunk(Arc<str>),
    /// The registered user of the address, after the rewriting.
    Users,
    /// This room of ours.
    Room(Arc<str>),
    /// This announcement.
    Announcement(Announcement),
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

impl Default for DefaultsForUsers {
    fn default() -> Self {
        Self { ring_ms_max: 60_000, access: Access::default() }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            mode: MediaMode::Relay,
            interface: Arc::from("default"),
            ipv6: false,
            host: None,
            transfers: true,
            latch: LatchMode::Nat,
            codecs: Arc::from([]),
            srtp: SrtpPolicy::Accept,
            srtp_keying: SrtpKeying::Sdes,
            dtmf: Dtmf::Auto,
            hold_music: None,
        }
    }
}

impl Trunk {
    /// A trunk that has no limits: 60 s to answer, media relayed, no transfers.
    pub fn new(name: &str) -> Self {
        Self {
            name: Arc::from(name),
            calls_max: u32::MAX,
            calls_per_s_max: u32::MAX,
            load: Arc::default(),
            failover: Failover::Table,
            ring_ms_max: 60_000,
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
    pub(crate) fn literal_start(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
            Self::Pattern(pattern) => pattern.literal_start(),
        }
    }

    /// The fewest characters of anything it matches.
    pub(crate) fn shortest(&self) -> usize {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text.chars().count(),
            Self::Pattern(pattern) => pattern.shortest(),
        }
    }

    /// How many values each position takes, then how it ends: the smaller of two keys is the more specific match.
    pub(crate) fn specificity(&self) -> Vec<u8> {
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

/// The last byte of a specificity key: nothing may follow.
pub(crate) const ENDS_THERE: u8 = 0;
/// The last byte of a specificity key: at least one more character follows.
pub(crate) const ENDS_WITH_MORE: u8 = 254;
/// The last byte of a specificity key: anything or nothing follows.
pub(crate) const ENDS_ANYHOW: u8 = 255;
