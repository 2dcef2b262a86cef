//! The narrow waist: what a call may hear from a leg and what it may ask of one, whatever the protocol.
//!
//! A *leg* is one party's side of a call. Protocol adapters (`bind/*`) turn their protocol into [`LegEvent`]s and
//! carry out [`LegCommand`]s; the call engine sees nothing else. This crate deliberately knows no SIP, no H.323
//! and no media engine; session descriptions pass through it as opaque bytes that say which role they have.
//!
//! The life of a leg, seen from here:
//!
//! ```text
//!  incoming:  Incoming ──► Progress* ──► Answer ──► Confirmed ──► Offered/Offer … ──► Ended
//!  outgoing:  Dial ──────► Progress* ──► Answered ─► (Confirm) ─► Offered/Offer … ──► Ended
//! ```
//!
//! Every leg ends with exactly one [`LegEvent::Ended`], also after [`LegCommand::Hangup`] or [`LegCommand::Reject`].

mod bounds;
mod command;
mod event;
mod party;

pub use bounds::Bounds;
pub use command::{Dial, Header, LegCommand, Rejection, Target};
pub use event::{
    Answer, Ended, EndedBy, Incoming, LegEvent, Progress, Replaced, Source, TransferRequest, WARNING_CHARS_MAX,
    WARNINGS_MAX, Warning,
};
pub use party::{Address, Identity, Privacy};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A session description (RFC 8866 text) and its role in the offer/answer exchange (RFC 3264).
/// Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// The sender proposes.
    Offer(Bytes),
    /// The sender answers the standing offer. In a provisional response this is early media.
    Answer(Bytes),
}

impl Media {
    /// The text of the description.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Offer(bytes) | Self::Answer(bytes) => bytes,
        }
    }

    /// The same role with another description.
    #[must_use]
    pub fn with(&self, bytes: Bytes) -> Self {
        match self {
            Self::Offer(_) => Self::Offer(bytes),
            Self::Answer(_) => Self::Answer(bytes),
        }
    }

    /// Is it an offer?
    pub fn is_offer(&self) -> bool {
        matches!(self, Self::Offer(_))
    }
}

/// How far the far end has got before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ProgressKind {
    /// The called party is alerted (SIP 180, Q.931 ALERTING).
    Ringing,
    /// The call is being forwarded (SIP 181).
    Forwarded,
    /// The call waits in a queue (SIP 182).
    Queued,
    /// Something is to be heard, or known, before the answer (SIP 183, Q.931 PROGRESS).
    SessionProgress,
}
