//! The verbs of an agent about sessions.

use super::{Agent, Core};
use crate::digest::Credentials;
use crate::message::{CSeq, HeaderName, Message, Method, Params, Writer};
use crate::session::{Outgoing, Phase, Replaces, SDP, Session, SessionId, SessionSnapshot, description};
use crate::transaction::{Reply, ServerId};
use bytes::Bytes;
use std::sync::Arc;
use sx_engine::Time;
use sx_types::Flow;

/// An INVITE was not made into a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// There are as many sessions as there may be; answered with 503.
    #[error("too many sessions")]
    TooMany,
    /// The session interval is too small; answered with 422.
    #[error("session interval too small")]
    IntervalTooSmall,
    /// An extension is required that we do not have; answered with 420.
    #[error("an extension is required that is not supported")]
    BadExtension,
    /// Its body is none that we understand; answered with 415.
    #[error("the body is not understood")]
    UnsupportedBody,
    /// The caller takes no session description in answer; answered with 406.
    #[error("no session description is acceptable")]
    NotAcceptable,
}

impl AcceptError {
    /// The status that it was answered with.
    pub fn status(self) -> u16 {
        match self {
            Self::TooMany => 503,
            Self::IntervalTooSmall => 422,
            Self::BadExtension => 420,
            Self::UnsupportedBody => 415,
            Self::NotAcceptable => 406,
        }
    }
}

/// An INVITE was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// There are as many sessions as there may be.
    #[error("too many sessions")]
    TooMany,
    /// Whoever asks for it names no destination.
    #[error("no destination")]
    NoDestination,
}

/// The dialog that a Replaces header names is not one to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceError {
    /// There is no such dialog, or it is early and the peer's: 481.
    #[error("there is no such dialog to replace")]
    NoMatch,
    /// It is answered, and only an early one was to be replaced: 486.
    #[error("the dialog is answered already")]
    Answered,
    /// It is over: 603.
    #[error("the dialog is over")]
    Terminated,
}

impl ReplaceError {
    /// The status that refuses the INVITE.
    //= https://www.rfc-editor.org/rfc/rfc3891#section-3
    pub fn status(self) -> u16 {
        match self {
            Self::NoMatch => 481,
            Self::Answered => 486,
            Self::Terminated => 603,
        }
    }
}

impl Agent {
    /// Makes an INVITE that [`receive`](Self::receive) handed back into a session.
    ///
    /// # Errors
    /// Why it cannot be one; it has been answered.
    pub fn accept<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        invite: &Message<B>,
        owner: u64,
    ) -> Result<SessionId, AcceptError> {
        if self.sessions.len() >= self.core.config.sessions_max {
            let headers = |writer: &mut Writer| {
                writer.header(HeaderName::RetryAfter, format_args!("{}", 10));
            };
            self.reply(flow, invite, Reply { status: 503, headers: Some(&headers), ..Reply::default() });
            return Err(AcceptError::TooMany);
        }
        if let Some(minimum) = Session::interval_too_small(&self.core.config, invite) {
            let headers = |writer: &mut Writer| {
                writer.header(HeaderName::MinSe, format_args!("{minimum}"));
            };
            self.reply(flow, invite, Reply { status: 422, headers: Some(&headers), ..Reply::default() });
            return Err(AcceptError::IntervalTooSmall);
        }
        if let Some(unknown) = unsupported(invite) {
            let headers = |writer: &mut Writer| {
                writer.header_bytes(HeaderName::Unsupported, &unknown);
            };
            self.reply(flow, invite, Reply { status: 420, headers: Some(&headers), ..Reply::default() });
            return Err(AcceptError::BadExtension);
        }
        if let Some(error) = unreadable(invite) {
            let headers = |writer: &mut Writer| {
                writer.header(HeaderName::Accept, format_args!("{SDP}"));
                writer.raw_header(b"Accept-Encoding", b"identity");
            };
            self.reply(flow, invite, Reply { status: error.status(), headers: Some(&headers), ..Reply::default() });
            return Err(error);
        }
        let server = self.core.transactions.open(flow, invite, 0, now);
        let core = &mut self.core;
        let key = self.sessions.insert_with(|key| Session::incoming(SessionId(key), owner, core, flow, server, invite));
        let tag = self.core.local_tag(SessionId(key));
        self.core.transactions.own(server, key.as_u64(), &tag);
        Ok(SessionId(key))
    }

    /// Makes a call.
    ///
    /// # Errors
    /// Why nothing was sent.
    pub fn dial(&mut self, now: Time, owner: u64, spec: Outgoing) -> Result<SessionId, DialError> {
        if self.sessions.len() >= self.core.config.sessions_max {
            return Err(DialError::TooMany);
        }
        if spec.to.is_empty() {
            return Err(DialError::NoDestination);
        }
        let core = &mut self.core;
        let key = self.sessions.insert_with(|key| Session::outgoing(SessionId(key), owner, core, now, spec));
        Ok(SessionId(key))
    }

    /// Sends a provisional response.
    pub fn progress(&mut self, now: Time, id: SessionId, status: u16, description: Option<Bytes>) {
        self.with(id, |session, core| session.progress(core, now, status, description));
    }

    /// Answers a call.
    pub fn answer(&mut self, now: Time, id: SessionId, description: Option<Bytes>, headers: &[(Box<str>, Box<str>)]) {
        self.with(id, |session, core| session.answer(core, now, description, headers));
    }

    /// Refuses a call.
    pub fn reject(&mut self, now: Time, id: SessionId, status: u16, reason: &str, headers: &dyn Fn(&mut Writer)) {
        self.with(id, |session, core| session.reject(core, now, status, reason, headers));
    }

    /// Confirms an answer or an accepted change that was an offer.
    pub fn confirm(&mut self, id: SessionId, description: Bytes) {
        self.with(id, |session, core| session.confirm(core, description));
    }

    /// Proposes a change; `None` asks the peer for an offer.
    pub fn offer(&mut self, now: Time, id: SessionId, offer: Option<Bytes>) {
        self.with(id, |session, core| session.offer(core, now, offer));
    }

    /// Accepts the peer's change.
    pub fn answer_offer(&mut self, now: Time, id: SessionId, description: Bytes) {
        self.with(id, |session, core| session.answer_offer(core, now, description));
    }

    /// Refuses the peer's change.
    pub fn refuse_offer(&mut self, now: Time, id: SessionId, status: u16, headers: &dyn Fn(&mut Writer)) {
        self.with(id, |session, core| session.refuse_offer(core, now, status, headers));
    }

    /// Hangs up, cancels or refuses, whatever the state.
    pub fn hangup(&mut self, now: Time, id: SessionId, q850: Option<u8>) {
        self.with(id, |session, core| session.hangup(core, now, q850));
    }

    /// Reports how a transfer goes that the peer asked for.
    pub fn report(&mut self, now: Time, id: SessionId, status: u16) {
        self.with(id, |session, core| session.report(core, now, status));
    }

    /// Asks the peer to call somebody else.
    pub fn refer(&mut self, now: Time, id: SessionId, to: &str) {
        self.with(id, |session, core| session.refer(core, now, to));
    }

    /// Sends an INFO.
    pub fn info(&mut self, now: Time, id: SessionId, content_type: &str, body: &[u8]) {
        self.with(id, |session, core| session.info(core, now, content_type, body));
    }

    /// The session a Replaces header names, and its owner.
    ///
    /// # Errors
    /// Why its place cannot be taken, with the status that says so.
    //= https://www.rfc-editor.org/rfc/rfc3891#section-3
    pub fn session_replaced(&self, replaces: &Replaces) -> Result<(SessionId, u64), ReplaceError> {
        let tag = &replaces.to_tag;
        let id = self.core.session_of_tag(tag).or_else(|| self.restored.get(tag).copied());
        let session = id.and_then(|id| self.sessions.get(id.0)).filter(|session| session.is_named_by(replaces));
        let session = session.ok_or(ReplaceError::NoMatch)?;
        match &session.phase {
            //= https://www.rfc-editor.org/rfc/rfc3891#section-3
            // An early dialog is replaced only by the side that initiated it.
            Phase::Incoming(_) => Err(ReplaceError::NoMatch),
            Phase::Closing | Phase::Gone => Err(ReplaceError::Terminated),
            Phase::Outgoing(calling) if calling.cancelled => Err(ReplaceError::Terminated),
            Phase::Outgoing(_) => Ok((session.id, session.owner)),
            Phase::Answered(_) | Phase::Confirming { .. } | Phase::Established { .. } if replaces.early_only => {
                Err(ReplaceError::Answered)
            }
            Phase::Answered(_) | Phase::Confirming { .. } | Phase::Established { .. } => {
                Ok((session.id, session.owner))
            }
        }
    }

    /// An established session as a value.
    pub fn snapshot(&self, id: SessionId) -> Option<SessionSnapshot> {
        self.sessions.get(id.0)?.snapshot()
    }

    /// Goes on with a session that was begun elsewhere. Challenges are answered with `credentials`.
    pub fn restore(
        &mut self,
        now: Time,
        owner: u64,
        snapshot: SessionSnapshot,
        credentials: Option<Arc<Credentials>>,
    ) -> SessionId {
        let core = &mut self.core;
        let tag: Box<str> = snapshot.dialog.local_tag().unwrap_or_default().into();
        let restored = |key| Session::restore(SessionId(key), owner, core, now, snapshot, credentials);
        let key = self.sessions.insert_with(restored);
        self.restored.insert(tag, SessionId(key));
        SessionId(key)
    }
}

impl Session {
    /// Has a Replaces header the names of this dialog, or of an early one of our INVITE?
    fn is_named_by(&self, replaces: &Replaces) -> bool {
        let from_tag = &*replaces.from_tag;
        let tagged = match &self.phase {
            Phase::Outgoing(calling) => calling.tags.iter().any(|tag| **tag == *from_tag),
            _ => self.dialog.remote_tag() == Some(from_tag),
        };
        tagged && self.dialog.call_id == replaces.call_id
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.phase, Phase::Gone)
    }

    /// A request within the dialog, its transaction opened.
    pub(crate) fn receive_request<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        method: Method,
        request: &Message<B>,
    ) {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-15
        // What its owner was told is over hears nothing more.
        if self.is_over() && method != Method::Bye {
            core.transactions.respond(server, &Reply { status: 481, ..Reply::default() }, now);
            return;
        }
        let number =
            request.value(HeaderName::CSeq).and_then(|value| CSeq::parse(value).ok()).map_or(0, |cseq| cseq.number);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
        if self.dialog.remote_seq.is_some_and(|last| number < last) {
            core.transactions.respond(server, &Reply { status: 500, ..Reply::default() }, now);
            return;
        }
        self.dialog.remote_seq = Some(number);
        if let Some(unknown) = unsupported(request) {
            let headers = |writer: &mut Writer| {
                writer.header_bytes(HeaderName::Unsupported, &unknown);
            };
            core.transactions.respond(server, &Reply { status: 420, headers: Some(&headers), ..Reply::default() }, now);
            return;
        }
        match method {
            Method::Bye => self.receive_bye(core, now, server, request),
            Method::Invite | Method::Update => self.receive_change(core, now, server, method, request),
            Method::Prack => self.receive_prack(core, now, server, request),
            Method::Refer => self.receive_refer(core, now, server, request),
            Method::Notify => self.receive_notify(core, now, server, request),
            Method::Info => self.receive_info(core, now, server, request),
            Method::Options | Method::Message => {
                let allow = core.config.allow;
                let headers = |writer: &mut Writer| {
                    writer.header(HeaderName::Allow, format_args!("{allow}"));
                };
                core.transactions.respond(
                    server,
                    &Reply { status: 200, headers: Some(&headers), ..Reply::default() },
                    now,
                );
            }
            _ => {
                let allow = core.config.allow;
                let headers = |writer: &mut Writer| {
                    writer.header(HeaderName::Allow, format_args!("{allow}"));
                };
                core.transactions.respond(
                    server,
                    &Reply { status: 405, headers: Some(&headers), ..Reply::default() },
                    now,
                );
            }
        }
    }

    fn receive_info<B: AsRef<[u8]>>(&mut self, core: &mut Core, now: Time, server: ServerId, request: &Message<B>) {
        core.transactions.respond(server, &Reply { status: 200, ..Reply::default() }, now);
        if let Some(content_type) = request.text(HeaderName::ContentType) {
            let body = Bytes::copy_from_slice(request.body());
            self.emit(core, crate::session::SessionEvent::Info { content_type: content_type.into(), body });
        }
    }
}

/// The extensions a request requires that we do not have, as a list; `None` when there is none.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
fn unsupported<B: AsRef<[u8]>>(request: &Message<B>) -> Option<Vec<u8>> {
    let known = |token: &[u8]| ["100rel", "replaces", "timer"].iter().any(|k| token.eq_ignore_ascii_case(k.as_bytes()));
    let unknown: Vec<&[u8]> = request.elements(HeaderName::Require).filter(|token| !known(token)).collect();
    (!unknown.is_empty()).then(|| unknown.join(&b", "[..]))
}

/// Why we cannot make an offer and an answer of an INVITE's body, or of what its sender accepts.
fn unreadable<B: AsRef<[u8]>>(invite: &Message<B>) -> Option<AcceptError> {
    let optional = |value: &[u8]| Params(value).value("handling").is_some_and(|v| v.eq_ignore_ascii_case("optional"));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.3
    // A body that is not optional must be understood.
    let encoded = invite.elements(HeaderName::ContentEncoding).any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let foreign = encoded || description(invite).is_none();
    if foreign && !invite.body().is_empty() && !invite.value(HeaderName::ContentDisposition).is_some_and(optional) {
        return Some(AcceptError::UnsupportedBody);
    }
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.1
    // Without Accept, session descriptions are accepted.
    let sdp = |range: &[u8]| {
        let range = range.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        [SDP, "application/*", "*/*"].iter().any(|known| range.eq_ignore_ascii_case(known.as_bytes()))
            || range.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/"))
    };
    let says = invite.value(HeaderName::Accept).is_some();
    (says && !invite.elements(HeaderName::Accept).any(sdp)).then_some(AcceptError::NotAcceptable)
}
