//! What a call asks of a leg, as the session does it.

use crate::cause;
use crate::legs::SipLegs;
use sx_engine::Time;
use sx_leg::{Ended, EndedBy, LegCommand, LegEvent, ProgressKind, Rejection, WARNINGS_MAX, Warning};
use sx_sip::message::{HeaderName, Writer};
use sx_sip::session::SessionId;
use sx_types::{Cause, LegId};

impl SipLegs {
    /// Carries out any command but `Dial`, which needs [`dial`](Self::dial). `Some` is what the call is told at once.
    pub fn command(&mut self, now: Time, leg: LegId, command: LegCommand) -> Option<LegEvent> {
        let Some((session, rules)) = self.legs.get(&leg).map(|bound| (bound.session, bound.rules.clone())) else {
            let ended = match command {
                LegCommand::Dial(_) => Ended { cause: Cause::NO_RESOURCE, status: 503, by: EndedBy::Failure },
                // A leg that was never begun, or is over, ends when it is told to.
                LegCommand::Hangup { cause } => Ended { cause, status: 0, by: EndedBy::Exchange },
                _ => return None,
            };
            return Some(LegEvent::Ended(ended));
        };
        match command {
            LegCommand::Dial(_) => {}
            LegCommand::Progress { kind, media } => {
                let status = match kind {
                    ProgressKind::Ringing => 180,
                    ProgressKind::Forwarded => 181,
                    ProgressKind::Queued => 182,
                    ProgressKind::SessionProgress => 183,
                };
                self.agent.progress(now, session, status, media.map(|media| media.bytes().clone()));
            }
            LegCommand::Answer { media, headers } => {
                let headers = rules.headers.written_to(&headers);
                self.agent.answer(now, session, media.map(|media| media.bytes().clone()), &headers);
            }
            LegCommand::Reject(rejection) => self.reject(now, session, &rejection),
            LegCommand::Confirm { media } => self.agent.confirm(session, media.bytes().clone()),
            LegCommand::Offer { media } => self.agent.offer(now, session, media),
            LegCommand::AnswerOffer { media } => self.agent.answer_offer(now, session, media.bytes().clone()),
            LegCommand::RefuseOffer { cause, status, warning, told } => {
                let headers = |writer: &mut Writer| write_warnings(writer, &warning, &told);
                self.agent.refuse_offer(now, session, cause::status(cause, status), &headers);
            }
            LegCommand::TransferProgress { status } => self.agent.report(now, session, status),
            LegCommand::Digit { digit, duration_ms } => {
                let body = format!("Signal={digit}\r\nDuration={duration_ms}\r\n");
                self.agent.info(now, session, "application/dtmf-relay", body.as_bytes());
            }
            LegCommand::Info { content_type, body } => self.agent.info(now, session, &content_type, &body),
            LegCommand::Hangup { cause } => self.agent.hangup(now, session, Some(cause.0)),
        }
        None
    }

    fn reject(&mut self, now: Time, session: SessionId, rejection: &Rejection) {
        let status = cause::status(rejection.cause, rejection.status);
        let headers = |writer: &mut Writer| {
            let (value, text) = (rejection.cause.0, rejection.cause.text());
            writer.header(HeaderName::Reason, format_args!("Q.850;cause={value};text=\"{text}\""));
            write_warnings(writer, &rejection.warning, &rejection.told);
            if rejection.retry_after_s > 0 {
                writer.header(HeaderName::RetryAfter, format_args!("{}", rejection.retry_after_s));
            }
        };
        self.agent.reject(now, session, status, "", &headers);
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-20.43
// Ours comes first. What the other party has said follows under a pseudonym: whoever is behind the exchange is not shown.
fn write_warnings(writer: &mut Writer, sentence: &str, told: &[Warning]) {
    let mut write = |code: u16, agent: &str, text: &str| {
        let text = text.replace(['"', '\\'], "'").replace(char::is_control, " ");
        writer.header(HeaderName::Warning, format_args!("{code} {agent} \"{text}\""));
    };
    if !sentence.is_empty() {
        write(399, "strowger", sentence);
    }
    told.iter().take(WARNINGS_MAX).for_each(|Warning { code, text }| write(*code, "other-party", text));
}
