//! What operators, and whoever else looks after calls, may ask of them.

use crate::Ender;
use crate::recording::RecordingChange;
use std::sync::Arc;
use sx_leg::{Address, Bounds, Header, Identity};
use sx_types::{CallId, Cause, TraceId};

/// A room is to call somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// What the call is named; no other has this name.
    pub call: CallId,
    /// The story that it is part of.
    pub trace: TraceId,
    /// The room.
    pub room: Arc<str>,
    /// Who is shown as calling.
    pub from: Identity,
    /// Whom it calls: the dial plan says how, as for users of the exchange.
    pub to: Address,
    /// Headers that whoever is called is told.
    pub headers: Vec<Header>,
    /// What it is bound to.
    pub bounds: Bounds,
    /// The sound that the room hears when whoever is called comes in, instead of the room's own.
    pub arrival: Option<Arc<str>>,
}

/// What is to become of a member of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// Nobody hears what it says, or everybody does again.
    Mute(bool),
    /// It is in this room from now on.
    Move(Arc<str>),
}

/// The exchange is to call somebody, and have them talk to somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Originate {
    /// What the call is named; no other has this name.
    pub call: CallId,
    /// The story that it is part of.
    pub trace: TraceId,
    /// Who is called first, and is shown `to` as calling: the dial plan says how, as for users of the exchange.
    pub from: Address,
    /// Who is called when the first has answered, and is shown `from`.
    pub to: Address,
    /// What it is bound to.
    pub bounds: Bounds,
}

/// Which parties of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parties {
    /// The one that the call comes from, or who has come in its place.
    Caller,
    /// The one that it goes to, or who has come in its place.
    Called,
    /// Both. Who is in a room, or was answered by the exchange, is its call's only one.
    Both,
}

/// What is to become of parties of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartyChange {
    /// It hears music and is heard by nobody, or is back.
    Hold(bool),
    /// Nobody hears what it says, or the other one does again.
    Mute(bool),
    /// It hears this sound once, in place of what it would hear. `None`: no more.
    Play(Option<Arc<str>>),
    /// It is connected with this address, and the other party is hung up when somebody answers there. Of one party.
    Transfer(Address),
    /// It is in this room from now on. A party that does not come along is hung up.
    Enter {
        /// The room.
        room: Arc<str>,
        /// What the call of the called party is named when both come.
        other: CallId,
    },
}

/// What an operator may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Have a room call somebody.
    Invite(Box<Invite>),
    /// Call somebody, and have them talk to somebody else.
    Originate(Box<Originate>),
    /// Change parties of a call that was answered.
    Parties {
        /// The call.
        call: CallId,
        /// Which of them.
        who: Parties,
        /// How.
        change: PartyChange,
    },
    /// Change a member of a room.
    Member {
        /// Its call.
        call: CallId,
        /// How.
        change: MemberChange,
    },
    /// End a call.
    Hangup {
        /// The call.
        call: CallId,
        /// Why.
        cause: Cause,
        /// By whom, as its record has it.
        by: Ender,
    },
    /// End every call: the exchange stops.
    Clear {
        /// Why.
        cause: Cause,
    },
    /// Ask the ports of a call what they know of their peers, for a snapshot of it ([`Calls::export`]).
    ///
    /// [`Calls::export`]: crate::Calls::export
    Remember {
        /// The call.
        call: CallId,
    },
    /// Ask the ports of a call what they have counted so far, for [`Calls::counts`].
    ///
    /// [`Calls::counts`]: crate::Calls::counts
    Count {
        /// The call.
        call: CallId,
    },
    /// Change the recording of a call.
    Record {
        /// The call.
        call: CallId,
        /// How.
        change: RecordingChange,
    },
    /// Take no new calls; those there are go on.
    Drain,
    /// Take new calls again.
    Undrain,
}
