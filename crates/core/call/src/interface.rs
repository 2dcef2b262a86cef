//! What goes into the call engine and what comes out of it.

use crate::command::Command;
use crate::recording::RecordingNote;
use crate::{CallRecord, Ender};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use sx_leg::{Address, Bounds, LegCommand, LegEvent, Source, Target};
use sx_media::{MediaCommand, MediaEvent};
use sx_route::{Reason, Tables};
use sx_types::{CallId, Cause, LegId, TraceId};

/// What the world did.
#[derive(Debug)]
pub enum Input<'a> {
    /// A leg's protocol says that something has happened. The ids of incoming legs are chosen by the adapter, with
    /// the uppermost bit clear; those of outgoing legs came with [`LegCommand::Dial`] and have it set.
    Leg {
        /// The leg.
        leg: LegId,
        /// What has happened.
        event: LegEvent,
    },
    /// The party of a leg is behind a NAT, and its signalling comes from this address. To be told before the first
    /// event of the leg that carries a description; without it the party counts as behind one when it wants its media at a
    /// private address that its signalling does not come from.
    Nat {
        /// The leg, known already or about to come.
        leg: LegId,
        /// Where its signalling comes from.
        address: IpAddr,
    },
    /// A packet thread tells something about a port.
    Media(MediaEvent),
    /// The answer to [`Output::Locate`].
    Located {
        /// The question.
        query: QueryId,
        /// What was found.
        found: Found,
    },
    /// The answer to [`Output::Admit`].
    Admitted {
        /// The question.
        query: QueryId,
        /// For each address asked about, in the order given.
        admissions: Vec<Admission>,
    },
    /// What accounts for the admissions of a wish is on the disk. Nobody who was granted is connected before, where
    /// [`Settings::answer_wait`](crate::Settings::answer_wait) says so.
    WishWritten {
        /// The question.
        query: QueryId,
    },
    /// The configuration has changed. Calls that are planned keep their plan.
    Tables(Arc<Tables>),
    /// A trunk has begun or ceased to answer its probes. Every trunk is healthy until this says otherwise.
    TrunkHealth {
        /// The trunk's configured name.
        trunk: &'a str,
        /// Does it answer?
        healthy: bool,
    },
    /// What must be written down before this leg is answered is on the disk. Each incoming leg of which something is to be
    /// answered waits for it where [`Settings::answer_wait`](crate::Settings::answer_wait) says so.
    Written {
        /// The incoming leg.
        leg: LegId,
    },
    /// Somebody who operates the exchange wants something.
    Command(Command),
}

/// The name of a question. Unique within the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QueryId(pub u64);

/// Where a user was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The user exists and is registered at these places, which ring together; at none when the list is empty.
    Contacts(Vec<Target>),
    /// There is no such user.
    Unknown,
    /// The question could not be answered.
    Failed,
}

/// Somebody in a call wants others to be called in its course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The leg that says so.
    pub leg: LegId,
    /// Who that is.
    pub source: Source,
    /// Whom it wants called; at least one.
    pub to: Vec<Address>,
    /// In whose place.
    pub kind: WishKind,
}

/// What somebody wants others to be called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WishKind {
    /// To take its own place in a call that stands.
    Transfer,
    /// To be called instead of it.
    Redirection,
}

/// May somebody have an address called?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes; whoever is called there is bound to this.
    Granted(Bounds),
    /// No.
    Refused {
        /// The status that whoever asks for a transfer is told.
        status: u16,
        /// And the sentence.
        sentence: Box<str>,
    },
}

/// What the driver must carry out, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A leg is to do something. An outgoing leg begins with [`LegCommand::Dial`].
    Leg {
        /// The leg.
        leg: LegId,
        /// What it is to do.
        command: LegCommand,
    },
    /// A packet thread is to do something.
    Media(MediaCommand),
    /// Where is this user registered? To be answered by [`Input::Located`], within [`Settings::locate_wait`](crate::Settings::locate_wait).
    Locate {
        /// The question.
        query: QueryId,
        /// The user.
        address: Address,
    },
    /// May this party have others called? To be answered by [`Input::Admitted`], within
    /// [`Settings::locate_wait`](crate::Settings::locate_wait). Nothing is planned before.
    Admit {
        /// The question.
        query: QueryId,
        /// The call.
        call: CallId,
        /// Who wants whom to be called.
        wish: Wish,
    },
    /// To be written down. Whatever follows for the same call waits until it is on disk, where the shell wants that.
    Record(CallRecord),
    /// To be counted and logged.
    Note(Note),
}

/// Something worth counting and logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A call was admitted.
    Begun {
        /// The call.
        call: CallId,
        /// The story it belongs to.
        trace: TraceId,
        /// The caller's leg.
        leg: LegId,
        /// Where it came from.
        source: Source,
        /// Who the caller is, as far as that is known.
        caller: Address,
        /// Whom the caller dialled.
        dialled: Address,
    },
    /// A call was not even admitted; no record is made of it.
    NotAdmitted {
        /// The caller's leg.
        leg: LegId,
        /// Where it came from.
        source: Source,
        /// Whom the caller dialled.
        dialled: Address,
        /// Why not.
        why: NotAdmitted,
    },
    /// A target is tried.
    Dialled {
        /// The call.
        call: CallId,
        /// The outgoing leg; the caller's own where the target is a room.
        leg: LegId,
        /// The trunk, when it is one.
        trunk: Option<Arc<str>>,
        /// Why this target.
        reason: Reason,
    },
    /// A target rings.
    Ringing {
        /// The call.
        call: CallId,
        /// The outgoing leg.
        leg: LegId,
    },
    /// An attempt has failed.
    AttemptFailed {
        /// The call.
        call: CallId,
        /// The outgoing leg; the caller's own where the target is a room.
        leg: LegId,
        /// Why.
        cause: Cause,
        /// The protocol's own status, 0 for none.
        status: u16,
    },
    /// A call was answered.
    Answered {
        /// The call.
        call: CallId,
        /// The leg that answered; the caller's own where the exchange did.
        leg: LegId,
        /// How long that took.
        after: Duration,
        /// The room that the caller is in now, where it is one.
        room: Option<Arc<str>>,
    },
    /// A party was connected elsewhere.
    Transferred {
        /// The call.
        call: CallId,
        /// The leg that stays.
        stays: LegId,
        /// The leg that joins it.
        joins: LegId,
    },
    /// A transfer has failed; the parties are connected as they were.
    TransferFailed {
        /// The call.
        call: CallId,
        /// The status told to the party that asked.
        status: u16,
    },
    /// A change of the session that a party asked for was refused by the exchange; the session stands as it was.
    ChangeRefused {
        /// The call.
        call: CallId,
        /// The leg of the party that asked.
        leg: LegId,
        /// Why.
        cause: Cause,
        /// The same in a sentence.
        sentence: Box<str>,
    },
    /// Something has become of the recording of a call.
    Recording {
        /// The call.
        call: CallId,
        /// Which of its recordings, from 0.
        number: u8,
        /// What.
        what: RecordingNote,
    },
    /// A call is over.
    Ended {
        /// The call.
        call: CallId,
        /// Why.
        cause: Cause,
        /// The final status towards the caller.
        status: u16,
        /// By whom.
        by: Ender,
        /// Why, in a sentence, when the exchange ended it.
        sentence: Box<str>,
        /// How long the parties talked; zero when it was not answered.
        talked: Duration,
    },
    /// A key was pressed faster than anybody can press them, and told to nobody.
    KeyDropped {
        /// The call.
        call: CallId,
    },
    /// A leg told of something that its call did not expect, and that was ignored.
    Unexpected {
        /// The leg.
        leg: LegId,
        /// What it told.
        event: &'static str,
    },
}

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// There are as many calls as [`Settings::calls_max`](crate::Settings::calls_max) allows.
    Full,
    /// The exchange takes no new calls.
    Draining,
    /// The trunk it came from has all its channels in use.
    TrunkFull,
    /// The trunk it came from has had its calls for this second.
    TrunkTooFast,
    /// It offers no codec that is allowed where it comes from.
    NoCodec,
    /// It offers no key of SRTP that can be used, or none where there has to be one.
    NoKeys,
    /// It offers no stream that can be relayed: none is RTP over UDP, or an address or a payload type is none.
    NoStream,
    /// It was to take a place that it may not have, or cannot; refused with this status.
    NoPlace {
        /// The status.
        status: u16,
    },
}

impl NotAdmitted {
    /// The status that the caller is told.
    pub fn status(self) -> u16 {
        match self {
            Self::Full | Self::Draining | Self::TrunkFull | Self::TrunkTooFast => 503,
            Self::NoCodec | Self::NoKeys | Self::NoStream => 488,
            Self::NoPlace { status } => status,
        }
    }
}
