//! Which of several failures the caller is told.

use crate::Ender;
use crate::ports::Undeliverable;
use crate::state::{Party, Role};
use serde::{Deserialize, Serialize};
use sx_leg::{Ended, EndedBy, LegCommand, Rejection, Source, Warning};
use sx_media::OpenError;
use sx_types::Cause;

/// Why an attempt, or the whole search, has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub cause: Cause,
    /// The protocol's own status, 0 when there was none.
    pub status: u16,
    /// A sentence for people; empty for none.
    pub sentence: Box<str>,
    /// The sentence tells how we are set up, which is for our own users and the log.
    pub internal: bool,
    /// Who it was.
    pub by: Ender,
    /// What the party that has refused said of it.
    #[serde(default)]
    pub told: Vec<Warning>,
    /// Seconds after which another try may do better; 0 for none.
    pub retry_after_s: u32,
}

impl Failure {
    pub(crate) fn new(cause: Cause, sentence: &str) -> Self {
        Self {
            cause,
            status: 0,
            sentence: sentence.into(),
            internal: false,
            by: Ender::Exchange,
            told: Vec::new(),
            retry_after_s: 0,
        }
    }

    /// What the dial plan, or the state of a trunk, has forbidden.
    pub(crate) fn of_plan(cause: Cause, sentence: &str) -> Self {
        Self { internal: true, ..Self::new(cause, sentence) }
    }

    /// Something was waited for and has not come in time.
    pub(crate) fn of_timer(cause: Cause, sentence: &str) -> Self {
        Self { by: Ender::Timer, ..Self::new(cause, sentence) }
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The end of a party's leg.
    pub(crate) fn of(role: Role, ended: &Ended) -> Self {
        let status = match ended.status {
            // A challenge is meant for us, and without its header of no use to the caller: to whom it is a refusal.
            401 | 407 => 403,
            // Where to go instead was said to us; a caller who is told 3xx without it cannot go there.
            300..=399 => 0,
            status => status,
        };
        Self { status, by: role.ender(ended.by), ..Self::new(ended.cause, "") }
    }

    /// The failure of a target, in a sentence that says whose fault it was.
    pub(crate) fn of_target(party: &Party, ended: &Ended) -> Self {
        let who = match &party.source {
            Some(Source::Trunk(_)) => "the called trunk",
            Some(Source::User(_) | Source::Exchange) => "the called user's telephone",
            None => "the called address",
        };
        let sentence = match (ended.by, ended.status) {
            (EndedBy::Peer, 0) => format!("{who} has ended the call"),
            (EndedBy::Peer, status) => format!("{who} answered {status}"),
            (EndedBy::Failure, 408) => format!("{who} has not answered in time"),
            (EndedBy::Failure, _) => format!("{who} could not be reached"),
            (EndedBy::Exchange, 488) if ended.cause == Cause::INCOMPATIBLE => {
                format!(
                    "{who} has answered without a codec that it was offered, without a key of SRTP that fits, or without an \
                     address that can be used"
                )
            }
            (EndedBy::Exchange, 488) => format!("{who} has answered without a codec that is allowed"),
            (EndedBy::Exchange, _) => String::new(),
        };
        let told = if ended.by == EndedBy::Peer { party.warned.clone() } else { Vec::new() };
        Self { sentence: sentence.into(), told, ..Self::of(party.role, ended) }
    }

    /// The status that tells the caller, one way or another.
    pub(crate) fn status_or_mapped(&self) -> u16 {
        if self.status == 0 { self.cause.sip_status() } else { self.status }
    }

    /// It speaks for every place where the called party is (6xx): nothing else need be tried.
    pub(crate) fn is_global(&self) -> bool {
        self.status >= 600
    }

    /// The better one to tell the caller.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    // A 6xx wins; else the lowest class does, and within 4xx one that tells the caller how to do better.
    pub(crate) fn better(one: Option<Self>, other: Self) -> Self {
        match one {
            Some(one) if one.rank() <= other.rank() => one,
            _ => other,
        }
    }

    fn rank(&self) -> u16 {
        let status = self.status_or_mapped();
        match status {
            600.. => 0,
            415 | 420 | 484 => 400,
            // Somebody is there and cannot take the call; that says more than that somewhere else nobody was.
            486 => 401,
            408 | 480 => 403,
            400..=499 => 402,
            // A 503 of one target does not mean that we are of no use.
            503 => 501,
            _ => status / 100 * 100,
        }
    }

    /// The command that refuses a change of the session for this reason.
    pub(crate) fn refused_offer(&self) -> LegCommand {
        let (warning, told) = (self.sentence.clone(), self.told.clone());
        LegCommand::RefuseOffer { cause: self.cause, status: self.status, warning, told }
    }

    /// A media port could not be had.
    pub(crate) fn portless(error: OpenError) -> Self {
        match error {
            OpenError::NoInterface => {
                let sentence = "the exchange has no media address of the family that the party has";
                Self::new(Cause::INCOMPATIBLE, sentence).with_status(488)
            }
            OpenError::PoolExhausted | OpenError::NumberTaken | OpenError::System => {
                Self::new(Cause::NO_RESOURCE, "the exchange has no media port to give").with_status(503)
            }
        }
    }

    pub(crate) fn rejection(&self) -> Rejection {
        Rejection {
            cause: self.cause,
            status: self.status,
            warning: self.sentence.clone(),
            told: self.told.clone(),
            retry_after_s: self.retry_after_s,
        }
    }
}

impl From<Undeliverable> for Failure {
    fn from(error: Undeliverable) -> Self {
        Self::new(error.cause(), &error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_several_final_responses_is_told() {
        let check = |statuses: &[u16], expected: u16| {
            let best = statuses.iter().fold(None, |best, status| {
                let cause = Cause::from_sip_status(*status);
                let ended = Ended { cause, status: *status, by: EndedBy::Peer };
                Some(Failure::better(best, Failure::of(Role::Called, &ended)))
            });
            assert_eq!(best.map(|failure| failure.status_or_mapped()), Some(expected), "{statuses:?}");
        };
        check(&[486], 486);
        check(&[503, 486], 486);
        check(&[486, 603], 603);
        check(&[404, 500], 404);
        check(&[500, 404, 484], 484);
        check(&[480, 486], 486);
        check(&[408, 404], 404);
        check(&[404, 415, 486], 415);
        check(&[503, 500], 500);
        check(&[503, 503], 503);
        check(&[401, 503], 403);
        check(&[302], 410);
    }
}
