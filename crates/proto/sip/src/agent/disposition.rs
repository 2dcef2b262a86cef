//! What becomes of a message that an agent is given.

use crate::message::{Defect, Message, Method};

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It was dealt with.
    Handled,
    /// It is a new request outside of any dialog: admit, refuse or answer it.
    Request,
    /// It is malformed, and nothing was done with it.
    Malformed(Defect),
    /// It is a request that has come by another way already, and nothing was done with it.
    Merged,
    /// It belongs to nothing here, and nothing was done with it.
    Stray,
}

impl Disposition {
    /// The status that refuses a request with which nothing was done; `None` when nobody waits for an answer, or it is
    /// dealt with, or it is for the owner to decide. The answer is left to the owner: not everybody is given one.
    pub fn status<B: AsRef<[u8]>>(self, message: &Message<B>) -> Option<u16> {
        let waits = message.method().is_some_and(|method| method != Method::Ack);
        match self {
            Self::Handled | Self::Request => None,
            Self::Malformed(defect) => defect.answered_with(message),
            Self::Merged => waits.then_some(482),
            Self::Stray => waits.then_some(481),
        }
    }
}
