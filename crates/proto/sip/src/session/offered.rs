//! Changes of a session that its peer proposes.

use super::change::{Change, Received};
use super::{Answered, Description, Phase, SDP, Session, SessionEvent, SessionTimer, description_of};
use crate::agent::{Core, SUPPORTED};
use crate::message::{HeaderName, Message, Method, Writer};
use crate::transaction::{Reply, ServerId, Transmit};
use bytes::Bytes;
use sx_engine::Time;

impl Session {
    /// A re-INVITE or UPDATE has come.
    pub(crate) fn receive_change<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        method: Method,
        request: &Message<B>,
    ) {
        if let Some(minimum) = Self::interval_too_small(&core.config, request) {
            let headers = |writer: &mut Writer| {
                writer.header(HeaderName::MinSe, format_args!("{minimum}"));
            };
            core.transactions.respond(server, &Reply { status: 422, headers: Some(&headers), ..Reply::default() }, now);
            return;
        }
        let description = description_of(request);
        if let Some(status) = self.conflict(method, description.is_some()) {
            let headers = |writer: &mut Writer| {
                if status == 500 {
                    writer.header(HeaderName::RetryAfter, format_args!("{}", 5));
                }
            };
            core.transactions.respond(server, &Reply { status, headers: Some(&headers), ..Reply::default() }, now);
            return;
        }
        if method == Method::Update && description.is_none() {
            // It refreshes and proposes nothing: a change that is under way goes on.
            self.take_change(core, request);
            self.respond_update(core, now, server);
            return;
        }
        if let Change::Deferred { .. } = self.change {
            // The peer's change came while ours waits: theirs goes first, ours is given up.
            self.change.stop(core);
            self.emit(core, SessionEvent::OfferRefused { status: 491 });
        }
        self.take_change(core, request);
        let seq = request.number(HeaderName::CSeq).unwrap_or_default();
        self.change = Change::Received(Received { server, method, seq, offered: description.is_some() });
        self.emit(core, SessionEvent::Offered { description });
    }

    /// Takes over what every change says of its sender.
    fn take_change<B: AsRef<[u8]>>(&mut self, core: &Core, request: &Message<B>) {
        self.learn(request);
        self.dialog.refresh_target(request, &core.locals);
        self.refresh.asked_by(request);
        self.refresh.accept(&core.config, self.peer.timer);
    }

    /// The status of a change that meets one that is under way.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
    //= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
    fn conflict(&self, method: Method, offered: bool) -> Option<u16> {
        if method == Method::Update && !offered {
            let waits = |received: &Received| received.method == Method::Update;
            return matches!(&self.change, Change::Received(received) if waits(received)).then_some(500);
        }
        match (&self.phase, &self.change) {
            (Phase::Incoming(_), _) if method == Method::Invite => Some(500),
            (Phase::Incoming(answering), _) if answering.offered && answering.described.is_none() => Some(500),
            (Phase::Outgoing(_), Change::None) => (method == Method::Invite).then_some(491),
            (Phase::Answered(_) | Phase::Confirming { .. }, _) => Some(491),
            (_, Change::Sent(_) | Change::Confirming { .. }) => Some(491),
            (_, Change::Received(_) | Change::Withdrawn | Change::Answered(_)) => Some(500),
            _ => None,
        }
    }

    /// Accepts the peer's change.
    pub fn answer_offer(&mut self, core: &mut Core, now: Time, description: Bytes) {
        match std::mem::take(&mut self.change) {
            Change::Received(received) => self.respond_change(core, now, &received, description),
            Change::Withdrawn => {}
            other => self.change = other,
        }
    }

    /// Accepts an UPDATE without an offer.
    fn respond_update(&mut self, core: &mut Core, now: Time, server: ServerId) {
        if self.accept_change(core, now, server, None).is_some() {
            self.refresh.start(core, self.id, now);
        }
    }

    /// Sends the 2xx for a change.
    fn accept_change(
        &mut self,
        core: &mut Core,
        now: Time,
        server: ServerId,
        description: Option<&Bytes>,
    ) -> Option<Transmit> {
        let (contact, allow, refresh, timer) =
            (&self.dialog.contact, core.config.allow, &self.refresh, self.peer.timer);
        let headers = |writer: &mut Writer| {
            writer.header(HeaderName::Contact, format_args!("{contact}"));
            writer.header(HeaderName::Allow, format_args!("{allow}"));
            writer.header(HeaderName::Supported, format_args!("{SUPPORTED}"));
            refresh.write_response(writer, timer);
        };
        let body = description.map(|bytes| (SDP, &bytes[..]));
        let reply = Reply { status: 200, headers: Some(&headers), body, ..Reply::default() };
        core.transactions.respond(server, &reply, now)
    }

    fn respond_change(&mut self, core: &mut Core, now: Time, received: &Received, description: Bytes) {
        let Received { server, method, seq, offered } = *received;
        let Some(response) = self.accept_change(core, now, server, Some(&description)) else { return };
        self.local_description = Some(description);
        self.refresh.start(core, self.id, now);
        if method == Method::Invite {
            let timers = core.config.timers;
            let timer = core.set_timer(now + timers.t1, self.id, SessionTimer::Answer);
            let give_up = now + timers.timeout();
            let (interval, offered) = (timers.t1, !offered);
            let answered = Answered { seq, response, interval, give_up, timer, offered, hangup: None };
            self.change = Change::Answered(answered);
        }
    }

    /// Refuses the peer's change.
    pub fn refuse_offer(&mut self, core: &mut Core, now: Time, status: u16, headers: &dyn Fn(&mut Writer)) {
        if let Change::Received(received) = &self.change {
            let reply = Reply { status, headers: Some(headers), ..Reply::default() };
            core.transactions.respond(received.server, &reply, now);
            self.change = Change::None;
        } else if matches!(self.change, Change::Withdrawn) {
            self.change = Change::None;
        }
    }

    pub(super) fn receive_change_ack<B: AsRef<[u8]>>(&mut self, core: &mut Core, ack: &Message<B>) {
        if let Change::Answered(answered) = &self.change
            && ack.number(HeaderName::CSeq) == Some(answered.seq)
        {
            core.wheel.cancel(answered.timer);
            let offered = answered.offered;
            self.change = Change::None;
            if offered {
                let description = description_of(ack).map(Description::Answer);
                self.emit(core, SessionEvent::OfferConfirmed { description });
            }
        }
    }

    pub(super) fn repeat_change_answer(&mut self, core: &mut Core, now: Time) {
        if let Change::Answered(answered) = &mut self.change
            && !answered.repeat(core, now, self.id)
        {
            self.lost(core, now, 408);
        }
    }
}
