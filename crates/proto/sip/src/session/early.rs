//! The calling side: from the INVITE to its final response.

use super::outgoing::Outgoing;
use super::{
    Abilities, Acknowledged, Description, Ended, EndedBy, Phase, Session, SessionEvent, SessionTimer, cancel_reason,
    description_of, q850_of, warnings_of,
};
use crate::agent::Core;
use crate::challenges::Challenges;
use crate::dialog::contact_value;
use crate::message::{HeaderName, Message, Method, NameAddr, Writer, elements};
use crate::transaction::{ClientId, ClientRequest, ResponseMatch};
use bytes::Bytes;
use sx_engine::{Time, TimerId};
use sx_types::Cause;

/// An INVITE of ours that has no final response.
#[derive(Debug)]
pub(crate) struct Calling {
    pub client: ClientId,
    pub seq: u32,
    pub spec: Outgoing,
    /// Which of the destinations is being tried.
    pub destination: usize,
    /// What answers the challenges it met.
    pub challenges: Challenges,
    /// How often its interval was too small.
    pub raised: u8,
    /// It was cancelled, and its owner was told that it is over.
    pub cancelled: bool,
    /// A provisional response has come from where it was sent last.
    pub heard: bool,
    /// Set from the first provisional response on, or from the start where silence is not borne for long: the final one,
    /// or any, must come before it.
    pub timer: TimerId,
    /// The tags of its early dialogs.
    pub tags: Vec<Box<str>>,
    /// The last RSeq seen of each early dialog, by remote tag.
    pub acknowledged: Vec<(Box<str>, u32)>,
    /// Session-Expires and Min-SE, in seconds.
    pub interval: (u32, u32),
}

/// The most early dialogs one INVITE may have.
const EARLY_MAX: usize = 32;

/// How often one INVITE is sent again with a longer session interval.
const RAISED_MAX: u8 = 3;

impl Session {
    pub(super) fn is_calling(&self, client: ClientId) -> bool {
        match &self.phase {
            Phase::Outgoing(calling) => calling.client == client,
            // A 2xx that comes again, or from another branch.
            Phase::Established { .. } | Phase::Confirming { .. } | Phase::Closing => !self.change.is_sent(client),
            _ => false,
        }
    }

    /// Was this an INVITE to an address that another has been tried after?
    pub(super) fn has_given_up(&self, client: ClientId) -> bool {
        matches!(&self.phase, Phase::Outgoing(calling) if calling.client != client) && !self.change.is_sent(client)
    }

    /// Was this request of ours sent within the dialog as it is now? An INVITE that was forked has several early ones, and the
    /// end of those that have not won is none of the one that has.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
    pub(super) fn is_of_dialog(&self, request: &Bytes) -> bool {
        let Ok(request) = Message::parse(request) else { return false };
        let tag = request.value(HeaderName::To).and_then(|to| NameAddr::parse(to).ok()?.tag());
        tag == self.dialog.remote_tag()
    }

    pub(super) fn receive_invite_response<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        matched: &ResponseMatch,
        response: &Message<B>,
    ) {
        let status = response.status().unwrap_or_default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-16.8
        // Timer C: a provisional response ends the transaction's own timers, and this one takes their place.
        if let Phase::Outgoing(calling) = &mut self.phase
            && status < 200
            && !calling.cancelled
            && !calling.heard
        {
            calling.heard = true;
            core.wheel.cancel(calling.timer);
            calling.timer = core.set_timer(now + core.config.invite_timeout, self.id, SessionTimer::Invite);
        }
        match (&mut self.phase, status) {
            (Phase::Outgoing(_), 100) => {}
            (Phase::Outgoing(calling), 101..=199) if !calling.cancelled => self.receive_progress(core, now, response),
            (Phase::Outgoing(_), 200..=299) => self.receive_answer(core, now, response),
            (Phase::Outgoing(_), 300..) => self.receive_refusal(core, now, response),
            (_, 200..=299) => self.receive_answer_again(core, now, matched, response),
            _ => {}
        }
    }

    fn receive_progress<B: AsRef<[u8]>>(&mut self, core: &mut Core, now: Time, response: &Message<B>) {
        self.learn(response);
        self.learn_tag(response);
        let offered = self.offered();
        if let Some(rseq) = response.number(HeaderName::RSeq)
            && response.lists(HeaderName::Require, "100rel")
            && !self.prack(core, now, rseq, response)
        {
            return;
        }
        let description = description_of(response).filter(|_| offered).map(Description::Answer);
        let status = response.status().unwrap_or_default();
        self.emit(core, SessionEvent::Progress { status, description });
    }

    fn learn_tag<B: AsRef<[u8]>>(&mut self, response: &Message<B>) {
        let tag = response.value(HeaderName::To).and_then(|to| NameAddr::parse(to).ok()?.tag());
        if let (Phase::Outgoing(calling), Some(tag)) = (&mut self.phase, tag)
            && calling.tags.len() < EARLY_MAX
            && calling.tags.iter().all(|known| **known != *tag)
        {
            calling.tags.push(tag.into());
        }
    }

    fn offered(&self) -> bool {
        matches!(&self.phase, Phase::Outgoing(calling) if calling.spec.offer.is_some())
    }

    /// Acknowledges a reliable provisional response. False when it came before, or out of order.
    //= https://www.rfc-editor.org/rfc/rfc3262#section-4
    fn prack<B: AsRef<[u8]>>(&mut self, core: &mut Core, now: Time, rseq: u32, response: &Message<B>) -> bool {
        let Phase::Outgoing(calling) = &mut self.phase else { return false };
        let tag = response.value(HeaderName::To).and_then(|to| NameAddr::parse(to).ok()?.tag()).unwrap_or_default();
        let (seq, full) = (calling.seq, calling.acknowledged.len() == EARLY_MAX);
        match calling.acknowledged.iter_mut().find(|(known, _)| **known == *tag) {
            Some((_, last)) if last.checked_add(1) == Some(rseq) => *last = rseq,
            // One that comes again is discarded: its PRACK is a transaction, and repeats itself. Another PRACK would
            // acknowledge nothing and be refused.
            Some(_) => return false,
            //= https://www.rfc-editor.org/rfc/rfc3262#section-7.1
            // The first is below 2^31.
            None if full || rseq == 0 || rseq >= 1 << 31 => return false,
            None => calling.acknowledged.push((tag.into(), rseq)),
        }
        self.send_prack(core, now, rseq, seq, response);
        true
    }

    fn send_prack<B: AsRef<[u8]>>(&mut self, core: &mut Core, now: Time, rseq: u32, seq: u32, response: &Message<B>) {
        self.dialog.take_response(response, &core.locals);
        let headers = move |writer: &mut Writer| {
            writer.header(HeaderName::RAck, format_args!("{rseq} {seq} INVITE"));
        };
        self.send(core, now, Method::Prack, &headers, None);
    }

    fn receive_answer<B: AsRef<[u8]>>(&mut self, core: &mut Core, now: Time, response: &Message<B>) {
        self.learn(response);
        self.dialog.take_response(response, &core.locals);
        let Phase::Outgoing(calling) = std::mem::replace(&mut self.phase, Phase::Gone) else { return };
        let (seq, challenges) = (calling.seq, calling.challenges);
        core.wheel.cancel(calling.timer);
        if calling.cancelled {
            // The answer crossed our CANCEL.
            self.acknowledge(core, &Acknowledged { seq, body: None, challenges });
            self.send(core, now, Method::Bye, &|_| {}, None);
            self.phase = Phase::Closing;
            return;
        }
        let body = description_of(response);
        self.local_description.clone_from(&calling.spec.offer);
        let description = if calling.spec.offer.is_some() {
            self.establish(core, Acknowledged { seq, body: None, challenges });
            body.map(Description::Answer)
        } else {
            match body {
                Some(body) => {
                    self.phase = Phase::Confirming { seq, challenges };
                    Some(Description::Offer(body))
                }
                None => {
                    self.establish(core, Acknowledged { seq, body: None, challenges });
                    None
                }
            }
        };
        self.refresh.agreed(response);
        self.refresh.start(core, self.id, now);
        self.emit(core, SessionEvent::Answered { description, response: Box::new(response.detach()) });
    }

    /// A 2xx after the first: the same again wants its ACK again; one from another branch is hung up.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
    fn receive_answer_again<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        matched: &ResponseMatch,
        response: &Message<B>,
    ) {
        let tag = response.value(HeaderName::To).and_then(|to| NameAddr::parse(to).ok()?.tag());
        let seq = response.number(HeaderName::CSeq).unwrap_or_default();
        let bare = Acknowledged { seq, ..Acknowledged::default() };
        if tag == self.dialog.remote_tag() {
            match &self.phase {
                // Its ACK waits for our answer.
                Phase::Established { .. } if self.change.is_confirming(seq) => {}
                Phase::Established { ack } if ack.seq == seq => self.acknowledge(core, ack),
                Phase::Established { .. } => self.acknowledge(core, &bare),
                // We have hung up, and the peer waits for its ACK all the same.
                Phase::Closing => self.acknowledge(core, &bare),
                _ => {}
            }
            return;
        }
        let challenges = match &self.phase {
            Phase::Established { ack } if ack.seq == seq => ack.challenges.clone(),
            _ => Challenges::default(),
        };
        self.hang_up_branch(core, now, matched, response, challenges);
    }

    fn receive_refusal<B: AsRef<[u8]>>(&mut self, core: &mut Core, now: Time, response: &Message<B>) {
        let status = response.status().unwrap_or_default();
        let Phase::Outgoing(calling) = &mut self.phase else { return };
        if !calling.cancelled && calling.prepare_retry(core, status, response) {
            self.invite(core, now);
            return;
        }
        if status == 503 && self.next_destination(core, now) {
            return;
        }
        // Who gave the call up was told its end: nothing follows that.
        if (300..=399).contains(&status) && !self.is_over() {
            let contacts = contacts_of(response);
            if !contacts.is_empty() {
                self.emit(core, SessionEvent::Redirected { contacts });
            }
        }
        if !self.is_over() {
            self.warned(core, response);
        }
        self.end(core, now, Ended { status, q850: q850_of(response), by: EndedBy::Peer });
    }

    /// Tells what a refusal says of itself.
    pub(super) fn warned<B: AsRef<[u8]>>(&mut self, core: &mut Core, response: &Message<B>) {
        let warnings = warnings_of(response);
        if !warnings.is_empty() {
            self.emit(core, SessionEvent::Warned { warnings });
        }
    }

    /// The INVITE got no final response.
    pub(super) fn outgoing_failed(&mut self, core: &mut Core, now: Time, status: u16) {
        if !self.next_destination(core, now) {
            self.end(core, now, Ended { status, q850: None, by: EndedBy::Failure });
        }
    }

    /// Tries the next address of the same target.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.3
    fn next_destination(&mut self, core: &mut Core, now: Time) -> bool {
        let Phase::Outgoing(calling) = &mut self.phase else { return false };
        if calling.cancelled || calling.destination + 1 >= calling.spec.to.len() {
            return false;
        }
        calling.destination += 1;
        if let Some(uri) = calling.spec.uris.get(calling.destination) {
            calling.spec.uri = uri.clone();
        }
        // What one server asked for says nothing to the next, which may have a challenge of its own.
        calling.challenges = Challenges::default();
        self.invite(core, now);
        true
    }

    pub(super) fn cancel(&mut self, core: &mut Core, now: Time, ended: Ended) {
        let Phase::Outgoing(calling) = &mut self.phase else { return };
        if calling.cancelled {
            return;
        }
        self.abandon(core, now, ended);
    }

    /// No final response has come for too long, or none at all.
    pub(super) fn invite_late(&mut self, core: &mut Core, now: Time) {
        let Phase::Outgoing(calling) = &mut self.phase else { return };
        calling.timer = TimerId::NONE;
        if calling.cancelled {
            return;
        }
        if calling.heard {
            // Where it rang, somebody did not want to answer; where nothing did, another way may do better.
            let cause = if calling.tags.is_empty() { Cause::TIMER_EXPIRY } else { Cause::NO_ANSWER };
            return self.abandon(core, now, Ended { status: 408, q850: Some(cause.0), by: EndedBy::Failure });
        }
        // Should it speak after all, it hears CANCEL.
        core.transactions.cancel(calling.client, "", now);
        if !self.next_destination(core, now) {
            self.abandon(core, now, Ended { status: 502, q850: Some(Cause::OUT_OF_ORDER.0), by: EndedBy::Failure });
        }
    }

    /// Cancels the INVITE and says that it is over, whatever still comes back.
    fn abandon(&mut self, core: &mut Core, now: Time, ended: Ended) {
        let Phase::Outgoing(calling) = &mut self.phase else { return };
        calling.cancelled = true;
        core.wheel.cancel(calling.timer);
        core.transactions.cancel(calling.client, &cancel_reason(ended.q850), now);
        self.abandon_change(core, now);
        self.emit(core, SessionEvent::Ended(ended));
    }

    /// Sends the INVITE, the first time or once more.
    pub(super) fn invite(&mut self, core: &mut Core, now: Time) {
        if self.change.is_ours() {
            self.emit(core, SessionEvent::OfferRefused { status: 487 });
        }
        self.abandon_change(core, now);
        let seq = self.dialog.next_seq();
        let Phase::Outgoing(calling) = &mut self.phase else { return };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.5
        // It begins a dialog anew, whoever answered the one before and wherever that one went.
        let (spec, dialog) = (&calling.spec, &mut self.dialog);
        let to = spec.to[calling.destination].clone();
        let sent_by = core.locals.sent_by_towards(&to);
        (dialog.remote, dialog.target, dialog.routes) = (spec.to_value.clone(), spec.uri.clone(), spec.routes.clone());
        dialog.contact = contact_value(Some(&spec.contact_user), &sent_by, to.transport());
        dialog.to = to;
        calling.acknowledged.clear();
        calling.tags.clear();
        self.peer = Abilities::default();
        let request = ClientRequest { to: self.dialog.to.clone(), method: Method::Invite, owner: self.id.0.as_u64() };
        let (dialog, Phase::Outgoing(calling)) = (&self.dialog, &mut self.phase) else { return };
        let (locals, config) = (&core.locals, &core.config);
        core.wheel.cancel(calling.timer);
        calling.heard = false;
        calling.timer = match calling.spec.silence_max {
            Some(longest) => core.wheel.set(now + longest, (self.id, SessionTimer::Invite)),
            None => TimerId::NONE,
        };
        calling.seq = seq;
        calling.client =
            core.transactions.request(request, now, |branch| calling.write(dialog, branch, locals, config));
    }
}

impl Calling {
    /// Takes from a refusal what the next try needs: credentials, or a longer interval. False when there is no next try.
    fn prepare_retry<B: AsRef<[u8]>>(&mut self, core: &mut Core, status: u16, response: &Message<B>) -> bool {
        match status {
            401 | 407 => {
                let Outgoing { credentials, uri, .. } = &self.spec;
                self.challenges.answer(&mut core.rng, credentials.as_deref(), response, Method::Invite, uri)
            }
            422 => {
                //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
                // Each proxy on the way may have a minimum of its own; there are not many.
                let greater = response.number(HeaderName::MinSe).filter(|minimum| *minimum > self.interval.1);
                let Some(minimum) = greater.filter(|_| self.raised < RAISED_MAX) else { return false };
                self.raised += 1;
                self.interval = (self.interval.0.max(minimum), minimum);
                true
            }
            _ => false,
        }
    }
}

/// The URIs of a redirection, best first.
fn contacts_of<B: AsRef<[u8]>>(response: &Message<B>) -> Vec<Box<str>> {
    let mut found: Vec<(f32, Box<str>)> = response
        .values(HeaderName::Contact)
        .flat_map(elements)
        .filter_map(|element| NameAddr::parse(element).ok())
        .map(|contact| (contact.params.value("q").and_then(|q| q.parse().ok()).unwrap_or(1.0), contact.uri.text.into()))
        .take(EARLY_MAX)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, uri)| uri).collect()
}

/// The body of an INVITE.
pub(super) fn body(offer: Option<&Bytes>) -> Option<(&'static str, &[u8])> {
    offer.map(|offer| (super::SDP, &offer[..]))
}
