//! What a call is, all of it. Everything but timers and what waits for a moment is serialisable.

use crate::alarm::Set;
use crate::control::Control;
use crate::failure::Failure;
use crate::keys::{Pace, Signalling};
pub(crate) use crate::port::{Port, PortState};
use crate::recording::Recording;
use crate::slots::Key;
use crate::{Cdr, Ender, QueryId, Wish};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use sx_leg::{Address, Bounds, EndedBy, Header, Identity, LegEvent, ProgressKind, Source, Target, Warning};
use sx_media::{Keyring, SessionVersion};
use sx_route::{Access, Announcement, Failover, MediaMode, Planned, Reason, Stage, Way};
use sx_types::{Codec, LegId, SrtpPolicy};

/// A call and what surrounds it in this engine.
#[derive(Debug)]
pub(crate) struct Call {
    pub key: Key,
    pub body: Body,
    pub state: State,
    pub alarms: SmallVec<[Set; 4]>,
    /// Events of legs that wait until ports are open or the session's change is over, oldest first.
    pub waiting: VecDeque<(LegId, LegEvent)>,
    /// What the first of them waits for.
    pub blocked: Option<Block>,
}

/// What an event waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Ports that are being opened.
    Ports,
    /// What must be written down before it.
    Record,
    /// The end of a change of the session.
    Negotiation,
}

/// What a call is in whatever state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Body {
    /// 40 bits that the ids of its ports carry.
    pub unique: u64,
    pub cdr: Cdr,
    /// The record's end has been written.
    pub recorded: bool,
    /// Passed on to outgoing legs.
    pub headers: Vec<Header>,
    pub hops_left: u8,
    /// What it is bound to, and so is everybody who joins it.
    pub bounds: Bounds,
    /// Every port that has not said it is closed.
    pub ports: SmallVec<[Port; 4]>,
    /// Its recording, from the first one on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Box<Recording>>,
    /// Its place in a room, from the moment it is taken until the call ends, or the announcement it hears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Legs that were told to end and have not said they did.
    pub leaving: SmallVec<[Leaving; 2]>,
    /// Incoming legs that may not be answered yet, since that they were let in is not written down. A call that has any
    /// is not taken elsewhere.
    #[serde(skip)]
    pub unwritten: SmallVec<[LegId; 1]>,
    /// Keys that were pressed lately.
    #[serde(skip)]
    pub pace: Pace,
    /// How many changes of the session were refused and told of.
    #[serde(skip)]
    pub changes_refused: u8,
    /// Wishes that were granted, and of which that is not written down.
    #[serde(skip)]
    pub unwritten_wishes: SmallVec<[QueryId; 1]>,
}

/// Where a party is that the exchange speaks to by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub at: Stop,
    /// What may be spoken there, best first, when the place was taken.
    pub codecs: Arc<[Codec]>,
    /// Its place among the record's attempts.
    pub attempt: Option<u16>,
    /// What is said there is for nobody.
    #[serde(default)]
    pub muted: bool,
    /// The sound that is heard there when it comes in, instead of the place's own.
    #[serde(default)]
    pub arrival: Option<Arc<str>>,
}

/// What the exchange has there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Stop {
    /// A place among the members of this room.
    Room(Arc<str>),
    /// An announcement.
    Announcement {
        told: Announcement,
        /// The party hears it.
        begun: bool,
    },
    /// A sound that it hears over and over again, until somebody else has answered.
    Waiting(Arc<str>),
}

/// A leg that was told to end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Leaving {
    pub leg: LegId,
    /// The trunk whose channel it uses until it has ended.
    pub trunk: Option<Arc<str>>,
}

/// Whose side of the record a party is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    Caller,
    Called,
}

impl Role {
    /// Who ended a call when the leg of the party with this role ended so.
    pub(crate) fn ender(self, by: EndedBy) -> Ender {
        match (by, self) {
            (EndedBy::Peer, Self::Caller) => Ender::Caller,
            (EndedBy::Peer, Self::Called) => Ender::Called,
            (EndedBy::Exchange, _) => Ender::Exchange,
            (EndedBy::Failure, _) => Ender::Failure,
        }
    }
}

/// A party of the call: a leg and what was said on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Party {
    pub leg: LegId,
    pub role: Role,
    /// Who it is when it asks for something to be routed; `None` for somebody outside, who may ask for nothing.
    pub source: Option<Source>,
    /// Who it is to others.
    pub identity: Identity,
    pub access: Access,
    /// What it was let in, or called, under.
    pub bounds: Bounds,
    /// Where its signalling comes from, when it is behind a NAT.
    pub nat: Option<IpAddr>,
    /// The trunk whose channel it uses.
    pub trunk: Option<Arc<str>>,
    /// Its place among the record's attempts.
    pub attempt: Option<u16>,
    /// Its description as it last gave it.
    #[serde(with = "crate::text::option")]
    pub said: Option<Bytes>,
    /// The description we last gave it, and what that was made from.
    pub told: Option<Told>,
    /// The session that our descriptions to it belong to, and how many different ones there were.
    pub session: SessionVersion,
    /// The keys that it is given.
    pub keys: Keyring,
    /// What is known of whether it takes the keys of a telephone by signalling.
    #[serde(default)]
    pub signalling: Signalling,
    /// What it has said of a refusal that follows.
    #[serde(default)]
    pub warned: Vec<Warning>,
    /// What somebody who looks after the call wants of it.
    #[serde(default, skip_serializing_if = "Control::is_none")]
    pub control: Control,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    #[serde(with = "crate::text")]
    pub from: Bytes,
    /// The offer that it answers, where it has keys or a codec of that.
    #[serde(default, with = "crate::text::option")]
    pub asked: Option<Bytes>,
    #[serde(with = "crate::text")]
    pub text: Bytes,
}

/// Where a call stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum State {
    /// A caller waits, targets ring.
    Ringing(Box<Ringing>),
    /// Two parties are connected.
    Talking(Box<Talking>),
    /// The transferor has left before the target has answered.
    Moving(Box<Moving>),
    /// A room calls, targets ring.
    Inviting(Box<Inviting>),
    /// A party is being connected with another one.
    Joining(Box<Joining>),
    /// One party is in a room, or was answered to hear an announcement.
    Attending(Box<Attending>),
    /// Every leg was told to end, every port to close.
    Ending,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ringing {
    pub caller: Party,
    pub hunt: Hunt,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Talking {
    pub parties: [Party; 2],
    pub negotiation: Negotiation,
    pub transfer: Option<Transfer>,
}

/// A blind transfer whose target rings while the two parties are still connected.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    /// The index of the party that leaves.
    pub asker: usize,
    /// It has asked for it, and is told how it goes.
    #[serde(default = "yes")]
    pub asked: bool,
    pub hunt: Hunt,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Moving {
    pub remaining: Party,
    pub hunt: Hunt,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Inviting {
    /// The room, which has no leg.
    pub host: Party,
    pub hunt: Hunt,
    /// Who is called when somebody has answered, to talk to them.
    #[serde(default)]
    pub onward: Option<Address>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Joining {
    /// The party that stays.
    pub remaining: Party,
    /// The party that comes.
    pub joins: Party,
    /// The party that goes when the two are connected.
    pub leaves: Option<Leaver>,
    /// How the one that comes is given its answer.
    pub reply: Reply,
    pub step: JoinStep,
    /// How often the offer has met one from the other side.
    pub glares: u8,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attending {
    pub member: Party,
    /// It was made an offer that it has not answered.
    pub owes: bool,
    /// It comes from another party, and how far that has got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
}

/// How far somebody has got in coming from another party into a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// Its ports are being opened.
    Opening,
    /// It was made an offer of the room's, which has met one of its own so many times.
    Offered { glares: u8 },
}

impl Attending {
    pub(crate) fn new(member: Party, owes: bool) -> Self {
        Self { member, owes, entry: None }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Leaver {
    pub party: Party,
    /// It has asked for the transfer and is told how it goes.
    pub asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It has answered, or accepted an offer, and waits for `Confirm`.
    Confirm,
    /// It has come in and waits for `Answer`.
    Answer,
}

/// How far two parties have got in being connected.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum JoinStep {
    /// The one that comes was asked for an offer.
    AskingJoins,
    /// Ports are being opened for this offer of the one that comes.
    Opening {
        #[serde(with = "crate::text")]
        offer: Bytes,
    },
    /// The one that stays has been given this offer of the one that comes.
    Offering {
        #[serde(with = "crate::text")]
        offer: Bytes,
    },
    /// The one that stays was asked for an offer.
    AskingRemaining,
}

/// How far a change of the session between two parties has got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Negotiation {
    /// None is going on.
    Idle,
    /// The party with this index has asked; the other was asked in turn.
    Asked {
        by: usize,
        #[serde(with = "crate::text::option")]
        offer: Option<Bytes>,
    },
    /// The party with this index was given the offer it wanted made, this one; it owes an answer.
    Confirming {
        by: usize,
        #[serde(with = "crate::text")]
        offer: Bytes,
    },
}

/// The search for somebody who answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hunt {
    /// What is still to be tried.
    pub stages: VecDeque<Stage>,
    /// After which causes of the present stage the next one is tried.
    pub failover: Failover,
    /// Users whose place has been asked for.
    pub locating: SmallVec<[Locating; 1]>,
    /// Addresses that somebody wants to be called, and that it was asked about.
    pub asking: SmallVec<[Asking; 1]>,
    pub branches: SmallVec<[Branch; 1]>,
    /// What is best told to the caller of all that has failed.
    pub failure: Option<Failure>,
    /// The same of the present stage alone.
    pub stage_failure: Option<Failure>,
    /// Everything that was tried, so that redirections do not go in circles.
    pub asked: SmallVec<[(Way, Address); 1]>,
    pub tried: u8,
    pub redirects: u8,
    /// The branch whose early media the caller hears.
    pub early: Option<LegId>,
    /// The last progress that was passed on, and whose it was.
    pub told: Option<(ProgressKind, LegId)>,
    /// The new party is to make the offer.
    pub offerless: bool,
    /// The caller is to come into the room that it has a place in, or to hear an announcement.
    #[serde(default)]
    pub enters: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Locating {
    pub query: QueryId,
    pub planned: Planned,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asking {
    pub query: QueryId,
    pub wish: Wish,
}

/// A target that is being tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Branch {
    pub party: Party,
    pub state: BranchState,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum BranchState {
    /// Its ports are being opened; this is whom to dial then.
    Opening { target: Target, reason: Reason },
    /// It was dialled.
    Dialled,
    /// It rings.
    Ringing,
    /// It has come in by itself to take the place of a target, and its ports are being opened.
    Taking,
    /// It has said where to go instead, and is about to end.
    Redirected,
}

impl Hunt {
    pub(crate) fn new(stages: VecDeque<Stage>, offerless: bool) -> Self {
        Self {
            stages,
            failover: Failover::Table,
            locating: SmallVec::new(),
            asking: SmallVec::new(),
            branches: SmallVec::new(),
            failure: None,
            stage_failure: None,
            asked: SmallVec::new(),
            tried: 0,
            redirects: 0,
            early: None,
            told: None,
            offerless,
            enters: false,
        }
    }

    /// Has a leg come in by itself to take the place of a target?
    pub(crate) fn is_taking(&self, leg: LegId) -> bool {
        let found = self.branches.iter().find(|branch| branch.party.leg == leg);
        found.is_some_and(|branch| matches!(branch.state, BranchState::Taking))
    }

    pub(crate) fn branch(&self, leg: LegId) -> Option<usize> {
        self.branches.iter().position(|branch| branch.party.leg == leg)
    }
}

impl State {
    /// Who is in a room, or hears an announcement.
    pub(crate) fn member(&self) -> Option<&Party> {
        match self {
            Self::Attending(attending) => Some(&attending.member),
            _ => None,
        }
    }
}

impl Talking {
    pub(crate) fn index_of(&self, leg: LegId) -> Option<usize> {
        self.parties.iter().position(|party| party.leg == leg)
    }
}

/// What snapshots of older versions have meant.
fn yes() -> bool {
    true
}

/// Does the media between two parties pass through us?
pub(crate) fn relayed(one: &Party, other: &Party) -> bool {
    let required = |party: &Party| party.access.srtp == SrtpPolicy::Required;
    let may_be = |party: &Party| party.access.mode == MediaMode::Relay;
    // A room's sound is made here.
    if one.is_room() || other.is_room() {
        return true;
    }
    // What has to be protected is protected here or not at all, whatever the other party would be spared.
    // So is what has to be recorded.
    let recorded = |party: &Party| party.bounds.record.is_some();
    required(one) || required(other) || recorded(one) || recorded(other) || (may_be(one) && may_be(other))
}
