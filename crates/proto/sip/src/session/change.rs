//! Changing a session that stands, by re-INVITE or UPDATE: what is under way, what we propose, and what happens when both do.

use super::early::body;
use super::{Acknowledged, Answered, Description, Phase, Session, SessionEvent, SessionTimer, description_of};
use crate::agent::{Core, SUPPORTED};
use crate::challenges::Challenges;
use crate::message::{HeaderName, Message, Method, Writer};
use crate::transaction::{ClientId, Reply, ResponseMatch, ServerId};
use bytes::Bytes;
use std::time::Duration;
use sx_engine::{Time, TimerId};

/// A change of the session that is under way. At most one is.
#[derive(Debug, Default)]
pub(crate) enum Change {
    #[default]
    None,
    /// Ours, on its way.
    Sent(Sent),
    /// Ours asked the peer for an offer, which came; the ACK waits for our answer.
    Confirming { seq: u32, challenges: Challenges },
    /// Ours met the peer's and is tried again later.
    Deferred { offer: Option<Bytes>, timer: TimerId },
    /// The peer's, waiting for our answer.
    Received(Received),
    /// The peer's, which it took back, or we left too long; our answer comes and goes nowhere.
    Withdrawn,
    /// The peer's re-INVITE, answered, waiting for its ACK.
    Answered(Answered),
}

#[derive(Debug)]
pub(crate) struct Sent {
    client: ClientId,
    method: Method,
    seq: u32,
    offer: Option<Bytes>,
    /// Nobody asked for it but the session timer.
    refresh: bool,
    challenges: Challenges,
}

#[derive(Debug)]
pub(crate) struct Received {
    pub server: ServerId,
    pub method: Method,
    pub seq: u32,
    /// It came with an offer.
    pub offered: bool,
}

impl Change {
    pub fn is_sent(&self, client: ClientId) -> bool {
        matches!(self, Self::Sent(sent) if sent.client == client)
    }

    /// Does the ACK for the 2xx to this INVITE wait for our answer?
    pub fn is_confirming(&self, number: u32) -> bool {
        matches!(self, Self::Confirming { seq, .. } if *seq == number)
    }

    /// Is it ours, on its way?
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Sent(_))
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    pub fn stop(&mut self, core: &mut Core) {
        match self {
            Self::Deferred { timer, .. } | Self::Answered(Answered { timer, .. }) => {
                core.wheel.cancel(*timer);
            }
            _ => {}
        }
    }
}

impl Session {
    /// Ends a change that is under way, as the session, or its early dialog, ends: nobody is left waiting.
    pub(super) fn abandon_change(&mut self, core: &mut Core, now: Time) {
        self.change.stop(core);
        match std::mem::take(&mut self.change) {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.2
            Change::Received(received) => {
                core.transactions.respond(received.server, &Reply { status: 487, ..Reply::default() }, now);
            }
            Change::Sent(sent) => core.transactions.cancel(sent.client, "", now),
            Change::Confirming { seq, challenges } => {
                self.acknowledge(core, &Acknowledged { seq, body: None, challenges });
            }
            _ => {}
        }
    }

    /// The peer's change of this transaction is over without our answer.
    pub(super) fn withdraw_change(&mut self, server: ServerId) {
        if matches!(&self.change, Change::Received(received) if received.server == server) {
            self.change = Change::Withdrawn;
        }
    }

    /// Proposes a change; `None` asks the peer for an offer.
    pub fn offer(&mut self, core: &mut Core, now: Time, offer: Option<Bytes>) {
        if self.is_over() {
            return;
        }
        let method = match &self.phase {
            Phase::Established { .. } => Method::Invite,
            //= https://www.rfc-editor.org/rfc/rfc3311#section-5.1
            Phase::Incoming(_) | Phase::Outgoing(_) | Phase::Answered(_) if self.peer.update && offer.is_some() => {
                Method::Update
            }
            _ => {
                self.emit(core, SessionEvent::OfferRefused { status: 491 });
                return;
            }
        };
        if !self.change.is_none() {
            self.emit(core, SessionEvent::OfferRefused { status: 491 });
            return;
        }
        self.send_change(core, now, method, offer, false, Challenges::default());
    }

    fn send_change(
        &mut self,
        core: &mut Core,
        now: Time,
        method: Method,
        offer: Option<Bytes>,
        refresh: bool,
        challenges: Challenges,
    ) {
        let (interval, ours) = (self.refresh.interval_s, self.refresh.ours);
        let allow = core.config.allow;
        let headers = |writer: &mut Writer| {
            writer.header(HeaderName::Allow, format_args!("{allow}"));
            writer.header(HeaderName::Supported, format_args!("{SUPPORTED}"));
            if interval > 0 {
                writer.header(
                    HeaderName::SessionExpires,
                    format_args!("{interval};refresher={}", if ours { "uac" } else { "uas" }),
                );
            }
            challenges.write(writer);
        };
        let (client, seq) = self.send(core, now, method, &headers, body(offer.as_ref()));
        self.change = Change::Sent(Sent { client, method, seq, offer, refresh, challenges });
    }

    /// Refreshes the session: by an UPDATE without a description where the peer knows UPDATE, else by a re-INVITE with the
    /// description that stands.
    pub(super) fn send_refresh(&mut self, core: &mut Core, now: Time) {
        if !self.change.is_none() {
            self.refresh.postpone(core, self.id, now);
            return;
        }
        if self.peer.update {
            self.send_change(core, now, Method::Update, None, true, Challenges::default());
        } else {
            let offer = self.local_description.clone();
            self.send_change(core, now, Method::Invite, offer, true, Challenges::default());
        }
    }

    /// A response to a re-INVITE or UPDATE of ours.
    pub(super) fn receive_change_response<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        matched: &ResponseMatch,
        response: &Message<B>,
    ) {
        let status = response.status().unwrap_or_default();
        let (client, method) = (matched.client, matched.method);
        if status < 200 || !self.change.is_sent(client) {
            return;
        }
        let Change::Sent(mut sent) = std::mem::take(&mut self.change) else { return };
        match status {
            200..=299 => self.change_accepted(core, now, sent, response),
            401 | 407 => {
                let (credentials, uri) = (self.credentials.as_deref(), &self.dialog.target);
                if sent.challenges.answer(&mut core.rng, credentials, response, method, uri) {
                    self.send_change(core, now, method, sent.offer, sent.refresh, sent.challenges);
                } else {
                    self.change_refused(core, &sent, status);
                }
            }
            491 | 500 | 503 if sent.refresh => self.refresh.postpone(core, self.id, now),
            491 => self.defer_change(core, now, sent),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
            408 | 481 if self.is_of_dialog(&matched.request) => self.lost(core, now, status),
            _ => {
                if !sent.refresh {
                    self.warned(core, response);
                }
                self.change_refused(core, &sent, status);
            }
        }
    }

    /// A change of an early dialog that is no more the session's has got no answer.
    pub(super) fn change_failed(&mut self, core: &mut Core, client: ClientId, status: u16) {
        if self.change.is_sent(client)
            && let Change::Sent(sent) = std::mem::take(&mut self.change)
        {
            self.change_refused(core, &sent, status);
        }
    }

    fn change_refused(&mut self, core: &mut Core, sent: &Sent, status: u16) {
        if !sent.refresh {
            self.emit(core, SessionEvent::OfferRefused { status });
        }
    }

    fn change_accepted<B: AsRef<[u8]>>(&mut self, core: &mut Core, now: Time, sent: Sent, response: &Message<B>) {
        self.learn(response);
        self.dialog.refresh_target(response, &core.locals);
        if self.refresh.interval_s > 0 {
            self.refresh.agreed(response);
            self.refresh.start(core, self.id, now);
        }
        let body = description_of(response);
        let asked = sent.offer.is_none() && sent.method == Method::Invite;
        if sent.method == Method::Invite {
            if asked && body.is_some() && !sent.refresh {
                self.change = Change::Confirming { seq: sent.seq, challenges: sent.challenges };
            } else {
                self.establish(core, Acknowledged { seq: sent.seq, body: None, challenges: sent.challenges });
            }
        }
        if sent.refresh {
            return;
        }
        if sent.offer.is_some() {
            self.local_description.clone_from(&sent.offer);
        }
        let description = body.map(|body| if asked { Description::Offer(body) } else { Description::Answer(body) });
        self.emit(core, SessionEvent::OfferAccepted { description });
    }

    /// Both sides offered at once: the one that owns the Call-ID waits longer.
    fn defer_change(&mut self, core: &mut Core, now: Time, sent: Sent) {
        if sent.method == Method::Update {
            self.change_refused(core, &sent, 491);
            return;
        }
        let steps = core.rng.below(200);
        let wait = if self.dialog.ours { 2_100 + steps * 10 } else { steps * 10 };
        let timer = core.set_timer(now + Duration::from_millis(wait), self.id, SessionTimer::Retry);
        self.change = Change::Deferred { offer: sent.offer, timer };
    }

    pub(super) fn retry_change(&mut self, core: &mut Core, now: Time) {
        if let Change::Deferred { offer, .. } = &mut self.change {
            let offer = offer.take();
            self.change = Change::None;
            self.offer(core, now, offer);
        }
    }

    /// Confirms an answer, or an accepted change, whose description was an offer.
    pub fn confirm(&mut self, core: &mut Core, description: Bytes) {
        let (seq, challenges) = match (&mut self.phase, &mut self.change) {
            (Phase::Confirming { seq, challenges }, _) | (_, Change::Confirming { seq, challenges }) => {
                (*seq, std::mem::take(challenges))
            }
            _ => return,
        };
        self.change = Change::None;
        self.local_description = Some(description.clone());
        self.establish(core, Acknowledged { seq, body: Some(description), challenges });
    }
}
