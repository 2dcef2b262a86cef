//! The one call a telephone has: what is done to it, and what its session tells.
//!
//! ```text
//!  Ringing ──answer──► Answered ──ACK──► Established ──► none
//!  Calling ──2xx───────────────────────► Established ──► none
//! ```

use crate::event::{DtmfMode, PhoneEvent};
use crate::media::{Media, key};
use crate::negotiation::Negotiation;
use crate::run::{Run, warning_of};
use crate::source::KEY;
use bytes::Bytes;
use std::io;
use sx_engine::Time;
use sx_sip::message::{HeaderName, Message, Params, Uri, escape_user, reason_phrase};
use sx_sip::session::{
    Description, Ended, EndedBy, Outgoing, ReliablePolicy, SessionEvent, SessionId,
};
use sx_types::Cause;

/// A call.
pub(crate) struct Call {
    /// Whom the agent names in its events.
    pub owner: u64,
    pub session: SessionId,
    pub call_id: Box<str>,
    pub stage: Stage,
    pub negotiation: Negotiation,
    pub media: Media,
    /// What the last refusal or hang-up said about itself.
    pub refusal: Option<Refusal>,
    /// Our own hold or resume waits for its answer.
    pub changing: bool,
}

pub(crate) enum Stage {
    Calling,
    /// Our answer is ready, if there was an offer, and given at its time, if by itself.
    Ringing { answer: Option<Bytes>, at: Option<Time> },
    Answered,
    Established,
}

/// What a message said of why.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// 0 of a request.
    status: u16,
    reason: String,
    warning: Option<String>,
}

impl Call {
    pub fn poll_timeout(&self, now: Time) -> Time {
        let media = self.media.poll_timeout(now);
        match self.stage {
            Stage::Ringing { at: Some(at), .. } => media.min(at),
            _ => media,
        }
    }
}

impl Run {
    pub(crate) fn dial(&mut self, number: &str) {
        if self.call.is_some() {
            tracing::warn!("a telephone with one line does not call twice");
            return;
        }
        let Some(uri) = self.uri_of(number) else { return self.refused(400, "The address is malformed") };
        let (mut negotiation, media) = match self.open_media() {
            Ok(opened) => opened,
            Err(error) => return self.refused(503, &format!("No socket for sound: {error}")),
        };
        let (owner, call_id) = (self.next_owner(), self.agent.call_id());
        let spec = Outgoing {
            to: vec![self.server.clone()],
            uri: uri.as_str().into(),
            from: self.from_value(),
            to_value: format!("<{uri}>").into(),
            contact_user: escape_user(&self.config.user).into(),
            call_id: call_id.clone(),
            routes: Vec::new(),
            offer: Some(negotiation.offer()),
            headers: Vec::new(),
            hops: 70,
            credentials: self.credentials.clone(),
            reliable: ReliablePolicy::Supported,
            session_timer: true,
        };
        match self.agent.dial(self.now, owner, spec) {
            Ok(session) => {
                let stage = Stage::Calling;
                self.begin_call(Call {
                    owner,
                    session,
                    call_id,
                    stage,
                    negotiation,
                    media,
                    refusal: None,
                    changing: false,
                });
            }
            Err(error) => self.refused(503, &error.to_string()),
        }
    }

    pub(crate) fn answer(&mut self) {
        let Some(call) = &mut self.call else { return };
        let Stage::Ringing { answer, .. } = &mut call.stage else { return };
        // Without an offer we make one, which the ACK answers.
        let description = answer.take().unwrap_or_else(|| call.negotiation.offer());
        call.stage = Stage::Answered;
        let agreed = call.media.agreed().copied();
        self.agent.answer(self.now, call.session, Some(description), &[]);
        if let Some(agreed) = agreed {
            self.shared.emit(PhoneEvent::Answered { codec: agreed.codec() });
        }
    }

    pub(crate) fn reject(&mut self, status: u16) {
        let Some(call) = &self.call else { return };
        if let Stage::Ringing { .. } = call.stage {
            self.agent.reject(self.now, call.session, status.clamp(300, 699), "", &|_| {});
        }
    }

    pub(crate) fn hangup(&mut self) {
        if let Some(call) = &self.call {
            self.agent.hangup(self.now, call.session, Some(Cause::NORMAL.0));
        }
    }

    pub(crate) fn press(&mut self, keys: &str, mode: DtmfMode) {
        let Some(call) = &mut self.call else { return };
        for character in keys.chars() {
            let Some((event, digit)) = key(character) else { continue };
            match mode {
                DtmfMode::Info => {
                    let body = format!("Signal={}\r\nDuration={}\r\n", digit.key(), KEY.as_millis());
                    self.agent.info(self.now, call.session, "application/dtmf-relay", body.as_bytes());
                }
                DtmfMode::Rtp if call.media.press(event) => {}
                DtmfMode::Rtp => self.source.press(digit),
            }
        }
    }

    pub(crate) fn hold(&mut self, hold: bool) {
        let Some(call) = &mut self.call else { return };
        if call.changing || call.negotiation.holds() == hold || !matches!(call.stage, Stage::Established) {
            return;
        }
        call.changing = true;
        call.negotiation.hold(hold);
        let offer = call.negotiation.offer();
        self.agent.offer(self.now, call.session, Some(offer));
    }

    pub(crate) fn transfer(&mut self, number: &str) {
        let uri = self.uri_of(number);
        if let (Some(call), Some(uri)) = (&self.call, uri) {
            self.agent.refer(self.now, call.session, &uri);
        }
    }

    /// A call that answers by itself has rung long enough.
    pub(crate) fn call_timeout(&mut self) {
        if let Some(Call { stage: Stage::Ringing { at: Some(at), .. }, .. }) = &self.call
            && *at <= self.now
        {
            self.answer();
        }
    }

    pub(crate) fn begin_call(&mut self, call: Call) {
        self.source.rewind();
        self.shared.begin_hearing();
        self.call = Some(call);
    }

    /// The call we have gives way to another that names it.
    pub(crate) fn replace_call(&mut self) {
        if let Some(call) = self.call.take() {
            self.agent.hangup(self.now, call.session, None);
            self.close_call(call);
            self.shared.emit(PhoneEvent::Ended { status: 0, reason: "replaced".into(), by_peer: true });
        }
    }

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
            SessionEvent::Redirected { .. } => {}
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
            self.agent.refuse_offer(self.now, call.session, 488);
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
        let warning = said.as_ref().and_then(|said| said.warning.clone());
        let reason = said.map(|said| said.reason).filter(|reason| !reason.is_empty()).unwrap_or_else(text);
        let was_refused = matches!(call.stage, Stage::Calling) && by != EndedBy::Us;
        self.close_call(call);
        self.shared.emit(if was_refused {
            PhoneEvent::Refused { status, reason, warning }
        } else {
            PhoneEvent::Ended { status, reason, by_peer: by == EndedBy::Peer }
        });
    }

    fn close_call(&mut self, mut call: Call) {
        // What has come until now is heard.
        self.hear(&mut call);
        call.media.close(self.now);
        self.shared.count(call.media.stats());
        self.flush_recording();
    }

    /// A call that did not even begin.
    fn refused(&mut self, status: u16, reason: &str) {
        self.shared.emit(PhoneEvent::Refused { status, reason: reason.to_owned(), warning: None });
    }

    pub(crate) fn open_media(&mut self) -> io::Result<(Negotiation, Media)> {
        let media = Media::open(self.local_ip, self.now, &mut self.rng)?;
        let negotiation = Negotiation::new(self.rng.u64(), media.address(), &self.config.codecs);
        Ok((negotiation, media))
    }

    /// `1002`, `1002@example.com` or a whole URI as a URI; `None` when it is none.
    fn uri_of(&self, number: &str) -> Option<String> {
        let number = number.trim();
        let has_scheme = ["sip:", "sips:", "tel:"].iter().any(|scheme| number.starts_with(scheme));
        let uri = match number {
            _ if has_scheme => number.to_owned(),
            _ if number.contains('@') => format!("sip:{number}"),
            _ => format!("sip:{}@{}", escape_user(number), self.config.domain),
        };
        let may_stand = |b: u8| b.is_ascii_graphic() && !b"<>\"".contains(&b);
        (!number.is_empty() && uri.bytes().all(may_stand) && Uri::parse(uri.as_bytes()).is_ok()).then_some(uri)
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
            assert_eq!(key_of_info(content_type, &Bytes::from_static(body.as_bytes())), expected, "{content_type} {body}");
        }
    }
}
