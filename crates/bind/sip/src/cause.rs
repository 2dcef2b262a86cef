//! SIP status and Q.850 cause of an ending. The table itself is [`sx_types::CAUSES`].

use sx_leg::{Ended, EndedBy};
use sx_sip::session;
use sx_types::Cause;

/// What a session's ending means for the leg: the cause of a Reason header goes before the one the status stands for.
pub(crate) fn ended(ended: session::Ended) -> Ended {
    let by = match ended.by {
        session::EndedBy::Peer => EndedBy::Peer,
        session::EndedBy::Us => EndedBy::Exchange,
        session::EndedBy::Failure => EndedBy::Failure,
    };
    let told = ended.q850.map(Cause);
    let cause = match ended.status {
        0 => told.unwrap_or(Cause::NORMAL),
        status => told.unwrap_or_else(|| Cause::from_sip_status(status)),
    };
    Ended { cause, status: ended.status, by }
}

/// The status of a refusal: the other leg's own, when it spoke SIP, else what the cause stands for.
pub(crate) fn status(cause: Cause, status: u16) -> u16 {
    if (300..=699).contains(&status) { status } else { cause.sip_status() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_goes_before_the_status() {
        let make = |status, q850| ended(session::Ended { status, q850, by: session::EndedBy::Peer }).cause;
        assert_eq!(make(486, None), Cause::USER_BUSY);
        assert_eq!(make(503, Some(34)), Cause(34));
        assert_eq!(make(0, None), Cause::NORMAL);
        assert_eq!(status(Cause::USER_BUSY, 0), 486);
        assert_eq!(status(Cause::USER_BUSY, 600), 600);
    }
}
