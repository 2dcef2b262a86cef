//! The called side: from the INVITE to the ACK.

use super::reliable::Reliable;
use super::{
    Abilities, Acknowledged, Answered, Change, Description, Ended, EndedBy, Phase, Refresh, SDP, Session, SessionEvent,
    SessionId, SessionTimer, cancelled_for, description_of, write_reason,
};
use crate::agent::Core;
use crate::dialog::Dialog;
use crate::message::{HeaderName, Message, Writer};
use crate::transaction::{Reply, ServerId};
use bytes::Bytes;
use sx_engine::{Time, TimerId};
use sx_types::Flow;

/// An INVITE that waits for its answer.
#[derive(Debug)]
pub(crate) struct Answering {
    pub server: ServerId,
    /// Its number.
    pub seq: u32,
    /// It came with an offer.
    pub offered: bool,
    /// Our answer to it was sent in a provisional response, reliably or not.
    pub described: Option<Bytes>,
    pub reliable: Reliable,
    /// An answer that waits for the PRACK.
    pub waiting: Option<Waiting>,
}

/// The description and the further headers of an answer.
pub(crate) type Waiting = (Option<Bytes>, Vec<(Box<str>, Box<str>)>);

impl Session {
    /// The session an INVITE begins.
    pub(crate) fn incoming<B: AsRef<[u8]>>(
        id: SessionId,
        owner: u64,
        core: &Core,
        flow: Flow,
        server: ServerId,
        invite: &Message<B>,
    ) -> Self {
        let dialog = Dialog::answering(invite, flow, &core.local_tag(id), &core.locals);
        let offered = description_of(invite).is_some();
        let seq = invite.number(HeaderName::CSeq).unwrap_or_default();
        let answering =
            Answering { server, seq, offered, described: None, reliable: Reliable::default(), waiting: None };
        let mut session = Self {
            id,
            owner,
            dialog,
            phase: Phase::Incoming(Box::new(answering)),
            change: Change::None,
            peer: Abilities::default(),
            local_description: None,
            refresh: Refresh::default(),
            refer: None,
            unacknowledged: None,
            credentials: None,
        };
        session.learn(invite);
        session.refresh.asked_by(invite);
        session
    }

    /// Sends a provisional response, reliably where the caller requires it, or supports it and there is something to hear.
    pub fn progress(&mut self, core: &mut Core, now: Time, status: u16, description: Option<Bytes>) {
        let tag = self.tag();
        let Phase::Incoming(answering) = &mut self.phase else { return };
        if self.peer.requires_reliable || self.peer.reliable && description.is_some() {
            self.progress_reliably(core, now, status, description);
            return;
        }
        if let Some(description) = &description {
            answering.described = Some(description.clone());
        }
        let (contact, allow) = (&self.dialog.contact, core.config.allow);
        let headers = |writer: &mut Writer| {
            writer.header(HeaderName::Contact, format_args!("{contact}"));
            writer.header(HeaderName::Allow, format_args!("{allow}"));
        };
        let body = description.as_deref().map(|bytes| (SDP, bytes));
        let reply = Reply { status, to_tag: &tag, headers: Some(&headers), body, ..Reply::default() };
        core.transactions.respond(answering.server, &reply, now);
    }

    /// Answers the call. Without a description, the one of an earlier provisional response is repeated.
    pub fn answer(&mut self, core: &mut Core, now: Time, description: Option<Bytes>, headers: &[(Box<str>, Box<str>)]) {
        let tag = self.tag();
        let Phase::Incoming(answering) = &mut self.phase else { return };
        //= https://www.rfc-editor.org/rfc/rfc3262#section-3
        // A 2xx waits for the PRACK of a reliable response that carried a description.
        if answering.reliable.holds_description() {
            answering.waiting = Some((description, headers.to_vec()));
            return;
        }
        let (server, seq) = (answering.server, answering.seq);
        let body = match description {
            Some(description) => Some(description),
            None if answering.reliable.delivered => None,
            None => answering.described.take(),
        };
        let offers = !answering.offered && body.is_some();
        core.wheel.cancel(answering.reliable.timer);
        self.unacknowledged = answering.reliable.awaited(seq);
        if body.is_some() {
            self.local_description.clone_from(&body);
        }
        self.refresh.accept(&core.config, self.peer.timer);
        let (contact, refresh, peer_timer) = (&self.dialog.contact, &self.refresh, self.peer.timer);
        let (allow, agent) = (core.config.allow, &core.config.user_agent);
        let all = |writer: &mut Writer| {
            writer.header(HeaderName::Contact, format_args!("{contact}"));
            writer.header(HeaderName::Allow, format_args!("{allow}"));
            writer.header(HeaderName::Supported, format_args!("{}", crate::agent::SUPPORTED));
            refresh.write_response(writer, peer_timer);
            for (name, value) in headers {
                writer.raw_header(name.as_bytes(), value.as_bytes());
            }
            writer.header(HeaderName::Server, format_args!("{agent}"));
        };
        let reply = Reply {
            status: 200,
            to_tag: &tag,
            headers: Some(&all),
            body: body.as_deref().map(|b| (SDP, b)),
            ..Reply::default()
        };
        let Some(response) = core.transactions.respond(server, &reply, now) else { return };
        let timers = core.config.timers;
        let timer = core.set_timer(now + timers.t1, self.id, SessionTimer::Answer);
        self.phase = Phase::Answered(Answered {
            seq,
            response,
            interval: timers.t1,
            give_up: now + timers.timeout(),
            timer,
            offered: offers,
            hangup: None,
        });
    }

    /// Refuses the call.
    pub fn reject(&mut self, core: &mut Core, now: Time, status: u16, reason: &str, headers: &dyn Fn(&mut Writer)) {
        let tag = self.tag();
        let Phase::Incoming(answering) = &self.phase else { return };
        let reply = Reply { status, reason, to_tag: &tag, headers: Some(headers), body: None };
        core.transactions.respond(answering.server, &reply, now);
        self.end(core, now, Ended { status, q850: None, by: EndedBy::Us });
    }

    /// The caller cancels.
    pub(crate) fn cancelled<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        cancel: &Message<B>,
    ) {
        let tag = self.tag();
        let Phase::Incoming(answering) = &self.phase else {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
            // A re-INVITE: the session goes on as it was.
            core.transactions.respond(server, &Reply { status: 487, ..Reply::default() }, now);
            self.withdraw_change(server);
            return;
        };
        let q850 = cancelled_for(cancel);
        let headers = |writer: &mut Writer| write_reason(writer, q850);
        let reply = Reply { status: 487, to_tag: &tag, headers: Some(&headers), ..Reply::default() };
        core.transactions.respond(answering.server, &reply, now);
        self.end(core, now, Ended { status: 487, q850, by: EndedBy::Peer });
    }

    /// An ACK has come: for our answer, or for our answer to a re-INVITE.
    pub(crate) fn receive_ack<B: AsRef<[u8]>>(&mut self, core: &mut Core, now: Time, ack: &Message<B>) {
        let Phase::Answered(answered) = &mut self.phase else {
            self.receive_change_ack(core, ack);
            return;
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
        // An ACK carries the number of its INVITE.
        if ack.number(HeaderName::CSeq) != Some(answered.seq) {
            return;
        }
        core.wheel.cancel(answered.timer);
        let (offered, hangup) = (answered.offered, answered.hangup.take());
        self.phase = Phase::Established { ack: Acknowledged::default() };
        let description = description_of(ack).filter(|_| offered).map(Description::Answer);
        self.emit(core, SessionEvent::Confirmed { description });
        self.refresh.start(core, self.id, now);
        if let Some(q850) = hangup {
            self.hangup(core, now, q850);
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.4
    pub(super) fn repeat_answer(&mut self, core: &mut Core, now: Time) {
        let Phase::Answered(answered) = &mut self.phase else {
            self.repeat_change_answer(core, now);
            return;
        };
        if !answered.repeat(core, now, self.id) {
            self.lost(core, now, 408);
        }
    }

    pub(super) fn tag(&self) -> String {
        self.dialog.local_tag().unwrap_or_default().to_owned()
    }
}

impl Answered {
    /// Sends the 2xx again, over a connection too: a proxy may go on over one that loses. False when the ACK was waited for
    /// long enough.
    pub(super) fn repeat(&mut self, core: &mut Core, now: Time, session: SessionId) -> bool {
        self.timer = TimerId::NONE;
        if now >= self.give_up {
            return false;
        }
        self.interval = (self.interval * 2).min(core.config.timers.t2);
        core.transactions.send(self.response.to.clone(), self.response.bytes.clone());
        self.timer = core.set_timer((now + self.interval).min(self.give_up), session, SessionTimer::Answer);
        true
    }
}
