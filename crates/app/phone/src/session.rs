//! What the session of the call tells: progress, answer, changes, keys, transfer, the end.

use crate::call::{Refusal, Stage};
use crate::event::PhoneEvent;
use crate::media::key;
use crate::run::{Run, warning_of};
use bytes::Bytes;
use sx_sip::message::{HeaderName, Message, Params, reason_phrase};
use sx_sip::session::{Description, Ended, EndedBy, SessionEvent};
use sx_types::Cause;

impl Run {
    /// Remembers what a message of the call says of why; the session tells the status only.
    pub(crate) fn overhear(&mut self, message: &Message<Bytes>) {
        let status = message.status().unwrap_or(0);
        let Some(call) = &mut self.call else { return };
        if message.value(HeaderName::CallId) != Some(call.call_id.as_bytes()) {
            return;
        }
        if status >= 300 {
            let (reason, warning) = warning_of(message);
            call.refusal = Some(Refusal { status, reason, warning });
        } else if let Some(reason) = message.value(HeaderName::Reason)
            && status == 0
            && let Some(text) = Params(reason).value("text")
        {
            call.refusal = Some(Refusal { status, reason: text.to_owned(), warning: None });
        }
    }

    pub(crate) fn session_event(&mut self, owner: u64, event: SessionEvent) {
        if self.call.as_ref().is_none_or(|call| call.owner != owner) {
            return;
        }
        match event {
            SessionEvent::Progress { status, description } => self.progressed(status, description.as_ref()),
            SessionEvent::Answered { description, .. } => self.answered(description.as_ref()),
            SessionEvent::Confirmed { description } => self.confirmed(description.as_ref()),
            SessionEvent::Offered { description } => self.offered(description.as_ref()),
            SessionEvent::OfferAccepted { description } => self.change_done(description.as_ref()),
            SessionEvent::OfferConfirmed { description } => {
                self.accept_answer(description.as_ref());
            }
            SessionEvent::OfferRefused { status } => self.change_refused(status),
            SessionEvent::Refer(_) => self.decline_transfer(),
            SessionEvent::Report { status } => {
                self.shared.emit(PhoneEvent::TransferProgress(status));
                if (200..300).contains(&status) {
                    self.hangup();
                }
            }
            SessionEvent::Info { content_type, body } => {
                if let Some(key) = key_of_info(&content_type, &body) {
                    self.shared.emit(PhoneEvent::Digit(key));
                }
            }
            // What was redirected is not called again: `Ended` follows and says so.
            SessionEvent::Redirected { .. } | SessionEvent::Warned { .. } => {}
            SessionEvent::Ended(ended) => self.ended(ended),
        }
    }

    fn progressed(&mut self, status: u16, description: Option<&Description>) {
        self.shared.emit(PhoneEvent::Progress { status });
        let was_silent = self.call.as_ref().is_some_and(|call| call.media.agreed().is_none());
        if self.accept_answer(description) && was_silent {
            self.shared.emit(PhoneEvent::EarlyMedia);
        }
    }

    fn answered(&mut self, description: Option<&Description>) {
        self.accept_answer(description);
        self.establish(true);
    }

    fn confirmed(&mut self, description: Option<&Description>) {
        let was_silent = self.call.as_ref().is_some_and(|call| call.media.agreed().is_none());
        self.accept_answer(description);
        self.establish(was_silent);
    }

    /// Both sides know of the answer. `answered`: its codec is news.
    fn establish(&mut self, answered: bool) {
        let Some(call) = &mut self.call else { return };
        call.stage = Stage::Established;
        let Some(agreed) = call.media.agreed() else {
            // Answered without a description that we can use: there would be nothing to hear.
            self.agent.hangup(self.now, call.session, Some(Cause::NOT_IMPLEMENTED.0));
            return;
        };
        if answered {
            self.shared.emit(PhoneEvent::Answered { codec: agreed.codec() });
        }
        self.shared.emit(PhoneEvent::Established);
    }

    /// Takes the answer to our offer. False when there is none, or it leads to nothing.
    fn accept_answer(&mut self, description: Option<&Description>) -> bool {
        let (Some(call), Some(Description::Answer(text))) = (&mut self.call, description) else { return false };
        match call.negotiation.accept(text) {
            Ok(agreed) => {
                call.media.change(self.now, agreed, call.negotiation.holds());
                true
            }
            Err(_) => {
                tracing::warn!("the other party's answer has no codec of ours");
                false
            }
        }
    }

    /// The other party proposes a change, or asks us to.
    fn offered(&mut self, description: Option<&Bytes>) {
        let Some(call) = &mut self.call else { return };
        let Some(offer) = description else {
            let offer = call.negotiation.offer();
            self.agent.answer_offer(self.now, call.session, offer);
            return;
        };
        let Ok((answer, agreed)) = call.negotiation.answer(offer) else {
            self.agent.refuse_offer(self.now, call.session, 488, &|_| {});
            return;
        };
        let was_held = call.media.agreed().is_some_and(|before| before.held_by_peer);
        call.media.change(self.now, agreed, call.negotiation.holds());
        self.agent.answer_offer(self.now, call.session, answer);
        match (was_held, agreed.held_by_peer) {
            (false, true) => self.shared.emit(PhoneEvent::Held { by_peer: true }),
            (true, false) => self.shared.emit(PhoneEvent::Resumed { by_peer: true }),
            _ => {}
        }
    }

    fn change_done(&mut self, description: Option<&Description>) {
        self.accept_answer(description);
        let Some(call) = &mut self.call else { return };
        if std::mem::take(&mut call.changing) {
            let by_peer = false;
            let holds = call.negotiation.holds();
            self.shared.emit(if holds { PhoneEvent::Held { by_peer } } else { PhoneEvent::Resumed { by_peer } });
        }
    }

    fn change_refused(&mut self, status: u16) {
        let Some(call) = &mut self.call else { return };
        if std::mem::take(&mut call.changing) {
            let held = call.negotiation.holds();
            call.negotiation.hold(!held);
            self.shared.emit(PhoneEvent::ChangeRefused { status });
        }
    }

    /// One line cannot call somebody else while it talks.
    fn decline_transfer(&mut self) {
        if let Some(call) = &self.call {
            self.agent.report(self.now, call.session, 603);
        }
    }

    fn ended(&mut self, ended: Ended) {
        let Some(mut call) = self.call.take() else { return };
        let Ended { status, q850, by } = ended;
        let said = call.refusal.take().filter(|said| [0, status].contains(&said.status));
        let text = || q850.map_or(reason_phrase(status), |cause| Cause(cause).text()).to_owned();
        let warning = match &said {
            Some(said) => said.warning.clone(),
            None => self.why_unsent(status),
        };
        let reason = said.map(|said| said.reason).filter(|reason| !reason.is_empty()).unwrap_or_else(text);
        let was_refused = matches!(call.stage, Stage::Calling) && by != EndedBy::Us;
        self.close_call(call);
        self.shared.emit(if was_refused {
            PhoneEvent::Refused { status, reason, warning }
        } else {
            PhoneEvent::Ended { status, reason, by_peer: by == EndedBy::Peer }
        });
    }
}

/// The key in an INFO.
fn key_of_info(content_type: &str, body: &Bytes) -> Option<char> {
    let text = std::str::from_utf8(body).ok()?;
    let essence = content_type.split(';').next()?.trim().to_ascii_lowercase();
    let signal = match &*essence {
        "application/dtmf" => text.trim(),
        "application/dtmf-relay" => text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("Signal").then_some(value.trim())
        })?,
        _ => return None,
    };
    let mut characters = signal.chars();
    let (_, digit) = key(characters.next()?)?;
    characters.next().is_none().then(|| digit.key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_both_kinds_of_info() {
        for (content_type, body, expected) in [
            ("application/dtmf-relay", "Signal= 5\r\nDuration=160\r\n", Some('5')),
            ("Application/DTMF-Relay; charset=utf-8", "signal=#\n", Some('#')),
            ("application/dtmf", "d", Some('D')),
            ("application/dtmf-relay", "Duration=160", None),
            ("application/dtmf-relay", "Signal=55", None),
            ("application/sdp", "5", None),
        ] {
            assert_eq!(
                key_of_info(content_type, &Bytes::from_static(body.as_bytes())),
                expected,
                "{content_type} {body}"
            );
        }
    }
}
