//! The one call a telephone has, and what is done to it.
//!
//! ```text
//!  Ringing ──answer──► Answered ──ACK──► Established ──► none
//!  Calling ──2xx───────────────────────► Established ──► none
//! ```

use crate::event::{DtmfMode, PhoneEvent};
use crate::media::{Media, key};
use crate::negotiation::Negotiation;
use crate::run::Run;
use crate::source::KEY;
use bytes::Bytes;
use std::io;
use sx_engine::Time;
use sx_sip::message::{Uri, escape_user};
use sx_sip::session::{Outgoing, ReliablePolicy, SessionId};
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
    Ringing {
        answer: Option<Bytes>,
        at: Option<Time>,
    },
    Answered,
    Established,
}

/// What a message said of why.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// 0 of a request.
    pub status: u16,
    pub reason: String,
    pub warning: Option<String>,
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
            uris: Vec::new(),
            to: vec![self.server.clone()],
            uri: uri.as_str().into(),
            from: self.caller(),
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
            silence_max: None,
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

    pub(crate) fn close_call(&mut self, mut call: Call) {
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
        let media = Media::open(self.local_ip, self.now, &mut self.rng, self.config.playout_delay)?;
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
