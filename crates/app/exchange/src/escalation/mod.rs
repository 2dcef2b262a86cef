//! Escalations: what becomes of the messages of agents that tell of hazards.
//!
//! ```text
//!  Escalate ──► new? ──► routed ──► experts ranked ──► guard ──► record ──┬─► held, shared
//!                                                                          └─► ringing ──► Invite ──► calls
//!                                                                                 ▲          │
//!                                             the next, or nobody is left ◄───────┴── Note ──┘
//! ```
//!
//! All messages of one sender are for one worker ([`keeper_of`](crate::keeper_of)), which knows the numbers and nonces that
//! were there before; the calls of an escalation are on the worker that has it.

mod deciding;
mod intake;
mod recorded;
mod report;
mod ringing;
mod telling;

pub(crate) use intake::Asking;
pub use report::{AttemptReport, EscalationReport};

use crate::layers::Admitted;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use sx_edge::CallPermit;
use sx_engine::Time;
use sx_escalation::{Freshness, FreshnessLimits, Redactions, Routed, Search, redact_message};
use sx_guard::{Authentication, SignatureFacts};
use sx_ifmessage::IfMessage;
use sx_types::{CallId, Cause, TraceId, Transport};

/// Makes links that open the evidence of an escalation.
pub trait EvidenceLinks: std::fmt::Debug + Send + Sync {
    /// One for somebody, made at this time of the wall clock; `None`: it cannot be made.
    fn link(&self, escalation: TraceId, to: &str, wall: Time) -> Option<String>;
}

/// A message of an agent, ready to be decided about.
#[derive(Debug)]
pub struct Escalate {
    /// What the escalation is called, and its story.
    pub id: TraceId,
    /// What is said; what it says of persons is blotted out.
    pub message: IfMessage,
    /// What was blotted out.
    pub redactions: Redactions,
    /// The key that it is signed with, and whether its signature is right; `None`: it is not signed.
    pub signed: Option<([u8; 32], bool)>,
    /// How whoever has brought it has shown who they are, which counts where it is not signed.
    pub otherwise: Authentication,
    /// Where it came from.
    pub from: IpAddr,
    /// What it came over.
    pub transport: Transport,
    /// Who has brought it, as records name them.
    pub actor: Box<str>,
}

impl Escalate {
    /// Looks at the signature, and then blots out what is said of persons. This takes a moment: it is done before a worker has
    /// the message.
    pub fn new(id: TraceId, mut message: IfMessage, from: (IpAddr, Transport), actor: &str) -> Self {
        let signed = message.signature.as_ref().map(|signature| (signature.public_key, signature.verifies()));
        let redactions = redact_message(&mut message);
        let otherwise = Authentication::Nothing;
        Self { id, message, redactions, signed, otherwise, from: from.0, transport: from.1, actor: actor.into() }
    }
}

/// How an escalation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is kept until somebody looks at it.
    Held,
    /// Its receivers are told.
    Shared,
    /// Experts are rung.
    Ringing,
    /// An expert is in the room, by this call.
    Connected(CallId),
    /// Nobody has answered.
    NoExpert,
    /// The expert has been in the room.
    Ended,
    /// It was refused.
    Rejected(Box<Rejection>),
}

/// Why an escalation was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What has refused it: `freshness`, `guard`, or `admission` where it is no fault of the message.
    pub layer: &'static str,
    /// The rule or gate that has decided; empty where it was neither.
    pub rule: Box<str>,
    /// For programs.
    pub reason: &'static str,
    /// For people.
    pub sentence: Box<str>,
    /// As HTTP has it.
    pub status: u16,
    /// After so many seconds another try makes sense; 0: none does.
    pub retry_after_s: u32,
}

/// Somebody was rung.
#[derive(Clone, Debug)]
pub(crate) struct Rung {
    pub(crate) expert: Box<str>,
    pub(crate) address: Box<str>,
    pub(crate) call: CallId,
    pub(crate) began: Time,
    pub(crate) outcome: RungOutcome,
}

/// What has come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RungOutcome {
    /// The call is under way, and nothing is heard of them yet.
    Trying,
    /// Their telephone rings.
    Ringing,
    /// They have answered.
    Answered,
    /// They were, or their call could not be begun; why.
    Failed(Cause),
}

/// A message, what was decided about it, and what has come of that.
#[derive(Debug)]
pub(crate) struct Escalation {
    pub(crate) id: TraceId,
    pub(crate) message: IfMessage,
    pub(crate) redacted: u32,
    pub(crate) actor: Box<str>,
    pub(crate) routed: Routed,
    pub(crate) room: Option<Arc<str>>,
    pub(crate) began: Time,
    pub(crate) connected: Option<Time>,
    pub(crate) ended: Option<Time>,
    pub(crate) phase: Phase,
    pub(crate) search: Search,
    pub(crate) rung: Vec<Rung>,
    /// Who knows about it and is not rung, and why.
    pub(crate) passed_over: Vec<(Box<str>, &'static str)>,
    pub(crate) admitted: Option<Box<Admitted>>,
    /// What whoever asks, and each expert who rings, has of the calls they may have.
    pub(crate) permits: BTreeMap<CallId, CallPermit>,
    pub(crate) permit: Option<CallPermit>,
    /// When those who ring are given up.
    pub(crate) deadlines: BTreeMap<CallId, Time>,
}

/// All that a worker has.
#[derive(Debug)]
pub(crate) struct Escalations {
    pub(crate) freshness: Freshness,
    pub(crate) running: BTreeMap<TraceId, Escalation>,
    /// Whose call it is.
    pub(crate) by_call: BTreeMap<CallId, TraceId>,
    /// Those that are over, the oldest first.
    pub(crate) kept: VecDeque<Escalation>,
}

impl Escalations {
    pub(crate) fn new(limits: FreshnessLimits) -> Self {
        Self {
            freshness: Freshness::new(limits),
            running: BTreeMap::new(),
            by_call: BTreeMap::new(),
            kept: VecDeque::new(),
        }
    }

    /// The story that a call is part of.
    pub(crate) fn trace_of(&self, call: CallId) -> TraceId {
        self.by_call.get(&call).copied().unwrap_or_else(|| call.into())
    }

    /// When the first of those who ring is given up.
    pub(crate) fn timeout(&self) -> Option<Time> {
        self.running.values().flat_map(|one| one.deadlines.values()).min().copied()
    }

    /// Keeps one that is over, as long as there is room.
    pub(crate) fn keep(&mut self, escalation: Escalation, kept_max: usize) {
        self.kept.push_back(escalation);
        while self.kept.len() > kept_max {
            self.kept.pop_front();
        }
    }

    fn find(&self, id: TraceId) -> Option<&Escalation> {
        self.running.get(&id).or_else(|| self.kept.iter().rev().find(|kept| kept.id == id))
    }
}

/// What was found out about a message before the policy is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    pub(crate) facts: Option<SignatureFacts>,
    /// Why it is none that is new, for people.
    pub(crate) stale: Option<sx_escalation::Stale>,
}
