//! What a call asks of a leg.

use crate::{Address, Identity, Media, ProgressKind, Source, Warning};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use sx_types::{Cause, Flow};

/// What a leg is to do. A command that no longer fits the leg's state (it crossed an ending) is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegCommand {
    /// Make an outgoing leg.
    Dial(Box<Dial>),
    /// Tell the caller how far it got.
    Progress {
        /// How far.
        kind: ProgressKind,
        /// Early media, or nothing.
        media: Option<Media>,
    },
    /// Answer an incoming leg.
    Answer {
        /// Our description: an answer, or an offer when the caller made none.
        media: Option<Media>,
        /// Headers that are passed on from the other leg as they are.
        headers: Vec<Header>,
    },
    /// Refuse an incoming leg.
    Reject(Rejection),
    /// Confirm an answered leg, or an accepted offer, that waits for our answer.
    Confirm {
        /// The answer to the peer's offer.
        media: Media,
    },
    /// Change the session.
    Offer {
        /// The offer; `None` asks the peer to make one.
        media: Option<Bytes>,
    },
    /// Accept the change the peer has asked for.
    AnswerOffer {
        /// The answer, or the offer when the peer asked us to make one.
        media: Media,
    },
    /// Refuse the change the peer has asked for; the session stands as it was.
    RefuseOffer {
        /// Why.
        cause: Cause,
        /// The protocol's own status when the other leg speaks the same protocol, else 0.
        status: u16,
        /// A sentence for people that says whose fault it was (SIP `Warning`); empty for none.
        warning: Box<str>,
        /// What the other party has said of its own refusal.
        told: Vec<Warning>,
    },
    /// Tell the party that asked for a transfer how it goes. A status of 200 or more ends the reports.
    TransferProgress {
        /// A SIP status: 100, 180, 200, 486 …
        status: u16,
    },
    /// Press a key on the party's line, by signalling.
    Digit {
        /// One of `0`-`9`, `*`, `#`, `A`-`D`.
        digit: char,
        /// For how long, in milliseconds.
        duration_ms: u16,
    },
    /// Pass on information for the party's application (SIP INFO).
    Info {
        /// The media type of the body.
        content_type: Box<str>,
        /// The body.
        body: Bytes,
    },
    /// End the leg, whatever its state: cancel, refuse or hang up.
    Hangup {
        /// Why.
        cause: Cause,
    },
}

/// A new outgoing leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Where to.
    pub target: Target,
    /// Whom the called party is to see as calling.
    pub from: Identity,
    /// Whom the caller dialled, after the dial plan (SIP `To`).
    pub to: Address,
    /// The offer; `None` lets the called party make it.
    pub offer: Option<Bytes>,
    /// Headers that are passed on from the other leg as they are.
    pub headers: Vec<Header>,
    /// How many exchanges may still pass it on.
    pub hops_left: u8,
}

/// Where an outgoing leg goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// A trunk, by its configured name, and the number or user asked of it.
    Trunk {
        /// The trunk's name.
        trunk: Arc<str>,
        /// The number as the trunk wants it.
        user: Box<str>,
    },
    /// One place where a user is registered.
    Contact {
        /// The contact's URI as it was registered.
        uri: Box<str>,
        /// The proxies on the way (SIP `Path`), nearest first.
        path: Vec<Box<str>>,
        /// The flow the registration came along, when the contact is to be reached by it.
        flow: Option<Flow>,
    },
    /// Any address, looked up by the rules of its protocol.
    Uri(Box<str>),
    /// The place of a party in a call that another worker has.
    Place {
        /// The name that its protocol gives it (the value of SIP `Replaces`).
        dialog: Box<str>,
        /// Who asks for it; `None` for nobody who may.
        by: Option<Source>,
    },
}

/// The refusal of an incoming leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub cause: Cause,
    /// The protocol's own status when the other leg spoke the same protocol, else 0.
    pub status: u16,
    /// A sentence for people that says whose fault it was (SIP `Warning`); empty for none.
    pub warning: Box<str>,
    /// What the other party has said of its own refusal.
    pub told: Vec<Warning>,
    /// Seconds after which it is worth another try; 0 for none.
    pub retry_after_s: u32,
}

/// A header that passes through the exchange as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub name: Box<str>,
    /// Its value, one line.
    pub value: Box<str>,
}
