//! What a leg tells its call.

use crate::{Address, Bounds, Header, Identity, Media, ProgressKind};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use sx_types::{Cause, LegId};

/// What a leg's protocol says has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegEvent {
    /// A party wants to call. The leg waits for progress, an answer or a rejection.
    Incoming(Box<Incoming>),
    /// An outgoing leg gets somewhere.
    Progress(Progress),
    /// An outgoing leg was answered. When `media` is an offer (the dial had none), the leg waits for
    /// [`LegCommand::Confirm`](crate::LegCommand::Confirm) with the answer; otherwise it has confirmed itself.
    Answered(Answer),
    /// The peer of an incoming leg has confirmed our answer; it brings the media answer when ours was an offer.
    Confirmed {
        /// The answer to the offer that our answer carried.
        media: Option<Media>,
    },
    /// The peer wants to change the session. The leg waits for `AnswerOffer` or `RefuseOffer`.
    Offered {
        /// The offer; `None` when the peer asks us to make one, which is then sent with `AnswerOffer`.
        media: Option<Bytes>,
    },
    /// The peer has accepted our `Offer`. An offer here answers an `Offer` without description; the leg then waits
    /// for `Confirm`.
    OfferAccepted {
        /// Its answer, or its offer.
        media: Option<Media>,
    },
    /// The peer has refused our `Offer`; the session stands as it was.
    OfferRefused {
        /// Why.
        cause: Cause,
        /// The protocol's own status, to be passed on as it is between legs of one protocol.
        status: u16,
        /// What was wrong with its answer, where it has agreed and we cannot; empty where it has refused.
        sentence: Box<str>,
    },
    /// The peer has confirmed a session change it had asked for without a description, bringing the answer.
    OfferConfirmed {
        /// The answer to the offer that our `AnswerOffer` carried.
        media: Option<Media>,
    },
    /// The peer asks that the other party be connected elsewhere. The leg waits for `TransferProgress`.
    TransferAsked(Box<TransferRequest>),
    /// The peer pressed a key, told by signalling.
    Digit {
        /// One of `0`-`9`, `*`, `#`, `A`-`D`.
        digit: char,
        /// For how long, in milliseconds.
        duration_ms: u16,
    },
    /// The peer sent information for the other party's application (SIP INFO).
    Info {
        /// The media type of the body.
        content_type: Box<str>,
        /// The body.
        body: Bytes,
    },
    /// The peer refuses, and says why in words of its own (SIP `Warning`); `Ended` or `OfferRefused` follows.
    Warned {
        /// What it says, [`WARNINGS_MAX`] at most.
        warnings: Vec<Warning>,
    },
    /// An outgoing leg was told to go elsewhere (SIP 3xx); the leg is over and `Ended` follows.
    Redirected {
        /// Whom to ask instead, best first. These are wishes: whoever hears them asks the dial plan.
        targets: Vec<Address>,
    },
    /// The leg is over. Nothing follows.
    Ended(Ended),
}

/// So many warnings of a peer are passed on.
pub const WARNINGS_MAX: usize = 3;
/// No text of a warning is longer.
pub const WARNING_CHARS_MAX: usize = 128;

/// What a peer says of its refusal, to be passed on to the other party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What kind of reason it is (RFC 3261, section 20.43): 300 to 399.
    pub code: u16,
    /// For people; without control characters, of [`WARNING_CHARS_MAX`] characters at most.
    pub text: Box<str>,
}

/// A new incoming leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Who calls.
    pub from: Identity,
    /// Whom they dialled.
    pub to: Address,
    /// What the exchange knows of where the call comes from.
    pub source: Source,
    /// The host its signalling comes from: what it is told of our addresses is the one that faces there.
    pub host: Option<IpAddr>,
    /// The offer; `None` when the caller wants the called party to make it.
    pub offer: Option<Bytes>,
    /// This leg takes the place of that one, whose call it joins (SIP `Replaces`).
    pub replaces: Option<LegId>,
    /// Who asks for that place, when the leg comes from another worker on behalf of somebody there.
    pub on_behalf_of: Option<Source>,
    /// Headers that are passed on to the other leg as they are.
    pub headers: Vec<Header>,
    /// The caller lets only so many exchanges pass it on (SIP `Max-Forwards`).
    pub hops_left: u8,
    /// Does it say that it takes information by signalling (SIP INFO)? `None`: it does not say.
    pub takes_info: Option<bool>,
    /// What its call is bound to.
    pub bounds: Bounds,
}

/// Where a call comes from, as the edge has established it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// A registered user who has authenticated.
    User(Address),
    /// A trunk, by its configured name.
    Trunk(Arc<str>),
    /// Somebody within the exchange itself: an operator, an API, a prompt.
    Exchange,
}

/// An outgoing leg gets somewhere before it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How far.
    pub kind: ProgressKind,
    /// Early media, or nothing.
    pub media: Option<Media>,
}

/// An outgoing leg was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The called party's description; `None` when it was complete before.
    pub media: Option<Media>,
    /// Headers that are passed on to the other leg as they are.
    pub headers: Vec<Header>,
    /// Does the called party say that it takes information by signalling (SIP INFO)? `None`: it does not say.
    pub takes_info: Option<bool>,
}

/// The party whose place is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// This leg.
    Leg(LegId),
    /// One of a call that another worker has, by the name that its protocol gives it (the value of SIP `Replaces`).
    Elsewhere(Box<str>),
}

/// A party asks that the other party of its call be connected elsewhere (SIP `REFER`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferRequest {
    /// Where to.
    pub to: Address,
    /// Whose place is to be taken, when the transferor has talked to the target already.
    pub replaces: Option<Replaced>,
    /// Who says so, as given.
    pub referred_by: Option<Box<str>>,
}

/// How a leg ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Why.
    pub cause: Cause,
    /// The protocol's own status (a SIP final status), 0 when there was none; passed on as it is between legs of
    /// one protocol.
    pub status: u16,
    /// By whom.
    pub by: EndedBy,
}

/// Who ended a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndedBy {
    /// The party on the leg hung up, cancelled or refused.
    Peer,
    /// The exchange, because it was told to.
    Exchange,
    /// Nobody: it could not be reached or went silent.
    Failure,
}
