//! What the guard says.

use crate::definition::Obligations;
use crate::facts::worded;
use std::borrow::Cow;
use sx_types::Codec;

/// What the guard says to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'p> {
    /// Yes, yes but, or no.
    pub outcome: Outcome<'p>,
    /// Who decided: the rule, or the word of the gate, or [`Decision::NOBODY`].
    pub rule: &'p str,
    /// The gate, when it was one.
    pub gate: Option<Gate>,
    /// What the codec gate compared, when it refused or bound the approval to codecs.
    pub(crate) codecs: Option<Box<CodecLists>>,
}

/// Yes, yes but, or no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'p> {
    /// Yes. The caller then counts it for the rate.
    Approve,
    /// Yes, bound to something. The caller then counts it for the rate.
    Conditional(Obligations),
    /// No.
    Reject(Reason<'p>),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason<'p> {
    /// For programs.
    pub kind: ReasonKind,
    /// The status that the rule wants, when it says one.
    pub status: Option<u16>,
    /// For people.
    pub sentence: Cow<'p, str>,
    /// After how many seconds another try makes sense; 0 when none does.
    pub retry_after_s: u32,
}

/// What the codec gate compared. Nothing was offered when the first two are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecLists {
    /// What was offered and the exchange knows.
    pub offered: Box<[Codec]>,
    /// What else was offered.
    pub others: Box<[Box<str>]>,
    /// What the policy allows.
    pub allowed: Box<[Codec]>,
}

worded! {
    /// The gates, in the order in which they are passed. Rules are asked after identity.
    pub enum Gate {
        /// Has whoever asks shown enough of who they are?
        Authenticity = "authenticity",
        /// Is the identity in good standing?
        Identity = "identity",
        /// Is what is said about persons blotted out? Of escalations.
        Pii = "pii",
        /// Is there an expert who knows about it, is approved, and whom whoever asks may have rung? Of escalations.
        Specialisation = "specialisation",
        /// Is any codec left that may be used?
        Codec = "codec",
        /// Does whoever asks take no more than their share? Of escalations.
        Fairness = "fairness",
        /// Are there not too many requests and calls? Last, so that only what passes everything else is counted.
        Rate = "rate",
    }
}

worded! {
    /// Why not, for programs.
    pub enum ReasonKind {
        /// They have not shown who they are, or not in a way that is good enough here.
        NotAuthenticated = "not-authenticated",
        /// The signature is wrong.
        BadSignature = "bad-signature",
        /// The signature is too old, or from the future.
        Stale = "stale",
        /// The signature was used before.
        Replayed = "replayed",
        /// The signature was made with another key than the registered one.
        KeyMismatch = "key-mismatch",
        /// The registry does not have the identity.
        Unlisted = "unlisted",
        /// The identity is suspended.
        Suspended = "suspended",
        /// The identity is revoked.
        Revoked = "revoked",
        /// What is said about persons is to stay, and it is no emergency.
        UnredactedPii = "unredacted-pii",
        /// No expert knows about it.
        NoSpecialist = "no-specialist",
        /// Those who know about it are not approved.
        ExpertNotApproved = "expert-not-approved",
        /// Those who know about it are not to be rung by whoever asks, or from there.
        BadSource = "bad-source",
        /// There is no bandwidth left for whoever asks.
        BandwidthExceeded = "bandwidth-exceeded",
        /// The room is full.
        RoomFull = "room-full",
        /// No codec is left.
        CodecNotAllowed = "codec-not-allowed",
        /// Too many requests.
        RateExceeded = "rate-exceeded",
        /// Too many calls at a time.
        TooManyCalls = "too-many-calls",
        /// A rule says so.
        Rule = "rule",
    }
}

impl Decision<'_> {
    /// The name in [`rule`](Self::rule) of an approval that no rule and no gate has said anything to.
    pub const NOBODY: &'static str = "default";

    /// What the codec gate compared, when it refused or bound the approval to codecs.
    pub fn codecs(&self) -> Option<&CodecLists> {
        self.codecs.as_deref()
    }

    /// Is it yes, bound or not?
    pub fn is_approved(&self) -> bool {
        !matches!(self.outcome, Outcome::Reject(_))
    }
}

impl Reason<'static> {
    pub(crate) fn new(kind: ReasonKind, sentence: &'static str) -> Self {
        Self { kind, status: None, sentence: Cow::Borrowed(sentence), retry_after_s: 0 }
    }

    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: u32::try_from(seconds).unwrap_or(u32::MAX), ..self }
    }
}

impl Outcome<'_> {
    /// `approve`, `conditional` or `reject`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Conditional(_) => "conditional",
            Self::Reject(_) => "reject",
        }
    }

    /// Why not, when it is no.
    pub fn reason(&self) -> Option<&Reason<'_>> {
        match self {
            Self::Reject(reason) => Some(reason),
            _ => None,
        }
    }

    /// What it is bound to, when it is bound.
    pub fn obligations(&self) -> Option<&Obligations> {
        match self {
            Self::Conditional(obligations) => Some(obligations),
            _ => None,
        }
    }
}
