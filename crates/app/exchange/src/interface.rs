//! What goes into a worker and what comes out of it.

use crate::certified::CertifiedUsers;
use crate::dialing::Question;
use crate::directory::Directory;
use crate::escalation::{Escalate, Rejection};
use crate::management::Operation;
use crate::people::People;
use crate::refused::RefusedAuthentication;
use crate::tables::Tables;
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use sx_call::{CallRecord, Command, Found, Note, QueryId};
use sx_edge::{Ban, Observation, Source};
use sx_leg::Address;
use sx_media::{MediaCommand, MediaEvent};
use sx_sip::registrar::Change;
use sx_sip::transaction::Transmit;
use sx_types::{Flow, LinkId, Ticket, TraceId, Transport};

/// What the world did.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram, or one whole message of a connection.
    Message {
        /// Where it came from.
        flow: Flow,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// A peer has opened a connection with a certificate that the authorities of clients vouch for.
    Opened {
        /// The connection.
        link: LinkId,
        /// The SIP URIs of users among the certificate's subject alternative names.
        identities: Vec<Box<str>>,
    },
    /// A connection is gone.
    Closed {
        /// The connection.
        link: LinkId,
    },
    /// A message was not sent.
    SendFailed {
        /// What it was given.
        ticket: Ticket,
    },
    /// A packet thread tells something.
    Media(MediaEvent),
    /// The answer to [`Output::Resolve`].
    Resolved {
        /// The question.
        query: u64,
        /// The addresses, best first.
        addresses: Result<Vec<(Transport, SocketAddr)>, Unresolved>,
    },
    /// The configuration has changed.
    Tables(Arc<Tables>),
    /// The users have changed.
    Directory(Arc<Directory>),
    /// The experts or the guardians have changed.
    People(Arc<People>),
    /// An agent tells of a hazard. For the worker that knows its sender ([`keeper_of`](crate::keeper_of)).
    Escalate(Box<Escalate>),
    /// The wall clock was set, which our time does not follow; the hours of a policy do.
    WallClock {
        /// How many milliseconds it is ahead of our time.
        ahead_ms: i64,
    },
    /// Another worker has something for us.
    Peer(PeerMessage),
    /// An operator wants something.
    Command(Command),
    /// An operator wants something of what is not a call.
    Operation(Operation),
    /// What has become of [`Worker::witnessed`](crate::Worker::witnessed).
    Witnessed {
        /// So many of the records that this worker has made are on the disk.
        durable: u64,
        /// No more can be written for now: nothing new may begin.
        failing: bool,
    },
    /// A binding that was kept through a restart.
    Restore {
        /// The address of record.
        aor: &'a str,
        /// What was kept.
        record: sx_sip::registrar::Record,
    },
}

/// Why a name has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// The name leads nowhere: whoever asks again hears the same.
    Nowhere,
    /// It cannot be known now; it may be later.
    NotNow,
}

/// What one worker tells another.
#[derive(Debug)]
pub enum PeerMessage {
    /// A message that landed on the wrong worker, or that one worker sends another.
    Message {
        /// Where it came from, and what is known of that.
        came: Came,
        /// The place of the listening socket it came to, when it was a datagram.
        socket: Option<usize>,
        /// How many workers are left to be asked when this one does not know what the message is about either; 0 for a
        /// message that belongs here.
        others: u16,
        /// The bytes.
        bytes: Bytes,
    },
    /// A connection is gone that a REGISTER for a user of the other worker has come along.
    Closed {
        /// The connection.
        link: LinkId,
    },
    /// A message for a link of the other worker.
    Send(Transmit),
    /// Where is this user registered?
    Locate {
        /// Who asks.
        worker: u16,
        /// The question.
        query: QueryId,
        /// The user.
        address: Address,
    },
    /// The answer.
    Located {
        /// The question.
        query: QueryId,
        /// What was found.
        found: Found,
    },
    /// A trunk has begun or ceased to answer, or is known to.
    TrunkHealth {
        /// The trunk.
        trunk: Arc<str>,
        /// Does it answer?
        healthy: bool,
    },
    /// What is known of the trunks? Answered by [`TrunkHealth`](Self::TrunkHealth) of each of which something is.
    TrunksAsked {
        /// Who asks.
        worker: u16,
    },
    /// A text for a user whom the other worker keeps.
    Text {
        /// Whom it comes from.
        from: Address,
        /// Whom it is for.
        to: Address,
        /// What it says.
        text: Box<str>,
    },
    /// A message of an agent whose sender is the other worker's.
    Escalate {
        /// Who asks.
        worker: u16,
        /// The message.
        asked: Box<Escalate>,
    },
    /// The answer.
    Escalated {
        /// The escalation.
        id: TraceId,
        /// Its state, or why it was refused.
        outcome: Result<&'static str, Box<Rejection>>,
    },
    /// What has come back first from a call to a trunk.
    TrunkHeard {
        /// The trunk.
        trunk: Arc<str>,
        /// Any word of it, or nothing at all?
        alive: bool,
    },
    /// A source is banned.
    Banned {
        /// Which, until when and why.
        ban: Ban,
    },
    /// What a message has taught about its source, for the worker that keeps account of that.
    Observed {
        /// Who sent it.
        source: Source,
        /// What was learnt, in this order.
        observed: Vec<Observation>,
    },
}

/// Where a message came from, and what is known of that. It goes with the message, also to another worker.
#[derive(Clone, Debug)]
pub struct Came {
    /// Along which flow, and so where an answer goes.
    pub flow: Flow,
    /// The worker that it landed on, which counts what its source sends.
    pub landed: u16,
    /// The users that the certificate of its connection names.
    pub certified: CertifiedUsers,
    /// Is its source so suspicious that it is told nothing before it has said who it is?
    pub suspicious: bool,
    /// The score of its source where it landed, when it was passed on from there.
    pub score_milli: Option<u32>,
}

impl Came {
    /// Nothing more is known than that it landed on this worker.
    pub fn on(worker: u16, flow: Flow) -> Self {
        Self { flow, landed: worker, certified: CertifiedUsers::default(), suspicious: false, score_milli: None }
    }
}

/// What the driver must carry out, in the order given.
#[derive(Debug)]
pub enum Output {
    /// Send a message.
    Send(Transmit),
    /// Tell a packet thread something.
    Media(MediaCommand),
    /// Write a call's record.
    Record(CallRecord),
    /// Keep, or forget, a binding.
    Binding(Change),
    /// Look a name up; answered by [`Input::Resolved`].
    Resolve {
        /// The question's number.
        query: u64,
        /// The name.
        question: Question,
    },
    /// Tell another worker something.
    Peer {
        /// Which.
        worker: u16,
        /// What.
        message: PeerMessage,
    },
    /// Log what happened to a call.
    Note(Note),
    /// Log that a trunk has begun or ceased to answer.
    TrunkHealth {
        /// The trunk.
        trunk: Arc<str>,
        /// Does it answer?
        healthy: bool,
    },
    /// Log that a trunk's host name does not resolve, so that nothing is sent there: once, until it does.
    TrunkUnresolved {
        /// The trunk.
        trunk: Arc<str>,
        /// The name.
        host: Box<str>,
        /// Why it has no addresses.
        why: Unresolved,
    },
    /// Log that a provider has answered our registration.
    Registered {
        /// The trunk.
        trunk: Arc<str>,
        /// With this status.
        status: u16,
    },
    /// Log that a request was refused for its credentials.
    AuthenticationRefused(Box<RefusedAuthentication>),
    /// Log how many more there were of a source in the last minute than were told one by one.
    RefusalsSuppressed {
        /// Its address, of IPv6 the network's with 64 bits; `None`: all for which there was no room.
        source: Option<IpAddr>,
        /// How many.
        suppressed: u64,
    },
}
