//! What the owner of a session hears of it.

use super::Refer;
use crate::message::OwnedMessage;
use bytes::Bytes;

/// A session description and its role.
//= https://www.rfc-editor.org/rfc/rfc3264#section-4
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Description {
    /// The sender proposes.
    Offer(Bytes),
    /// The sender answers.
    Answer(Bytes),
}

impl Description {
    /// The text.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Offer(bytes) | Self::Answer(bytes) => bytes,
        }
    }
}

/// What a session's peer has done.
#[derive(Clone, Debug)]
pub enum SessionEvent {
    /// A provisional response other than 100.
    Progress {
        /// Its status, 180 to 199.
        status: u16,
        /// The description it carries.
        description: Option<Description>,
    },
    /// A 2xx. It was acknowledged already, unless the description is an offer, which waits for `confirm`.
    Answered {
        /// The description it carries.
        description: Option<Description>,
        /// The response.
        response: Box<OwnedMessage>,
    },
    /// The ACK for our 2xx.
    Confirmed {
        /// The answer it carries.
        description: Option<Description>,
    },
    /// A re-INVITE or UPDATE; waits for `answer_offer` or `refuse_offer`.
    Offered {
        /// The offer; `None` asks us for one.
        description: Option<Bytes>,
    },
    /// Our re-INVITE or UPDATE was accepted. An offer in it waits for `confirm`.
    OfferAccepted {
        /// The description it carries.
        description: Option<Description>,
    },
    /// Our re-INVITE or UPDATE was refused.
    OfferRefused {
        /// With this status.
        status: u16,
    },
    /// The ACK for our 2xx to a re-INVITE that asked for an offer.
    OfferConfirmed {
        /// The answer it carries.
        description: Option<Description>,
    },
    /// A REFER; it was accepted, and waits for `report`.
    Refer(Refer),
    /// A NOTIFY on a REFER of ours.
    Report {
        /// The status in its body.
        status: u16,
    },
    /// An INFO; it was answered.
    Info {
        /// The media type of its body.
        content_type: Box<str>,
        /// Its body.
        body: Bytes,
    },
    /// A refusal says why; `Ended` or `OfferRefused` follows.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.43
    Warned {
        /// The codes and the texts of its `Warning` headers, as far as they are in their form, and no more than a few.
        warnings: Vec<(u16, Box<str>)>,
    },
    /// A 3xx; `Ended` follows.
    Redirected {
        /// The URIs of its Contacts, best first.
        contacts: Vec<Box<str>>,
    },
    /// The session is over. Nothing follows.
    Ended(Ended),
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The final status; of a session that was hung up, 0.
    pub status: u16,
    /// The Q.850 cause of the Reason header, when there was one.
    //= https://www.rfc-editor.org/rfc/rfc3326#section-2
    pub q850: Option<u8>,
    /// By whom.
    pub by: EndedBy,
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The peer.
    Peer,
    /// We, because we were told to.
    Us,
    /// Nobody: no answer, no ACK, no refresh, or no way to send.
    Failure,
}
