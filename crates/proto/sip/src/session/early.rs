//! The calling side: from the INVITE to its final response.

use super::outgoing::Outgoing;
use super::{Description, Ended, EndedBy, Phase, Session, SessionEvent, description_of, q850_of};
use crate::agent::Core;
use crate::dialog::RequestPart;
use crate::digest::Credentials;
use crate::message::{HeaderName, Message, Method, NameAddr, Writer, elements};
use crate::transaction::{ClientId, ClientRequest};
use bytes::Bytes;
use sx_engine::Time;

/// An INVITE of ours that has no final response.
#[derive(Debug)]
pub(crate) struct Calling {
    pub client: ClientId,
    pub seq: u32,
    pub spec: Outgoing,
    /// Which of the destinations is being tried.
    pub destination: usize,
    /// The authorization header to send, once we were challenged.
    pub authorization: Option<(HeaderName, String)>,
    /// It was cancelled, and its owner was told that it is over.
    pub cancelled: bool,
    /// The last RSeq seen of each early dialog, by remote tag.
    pub acknowledged: Vec<(Box<str>, u32)>,
    /// Session-Expires and Min-SE, in seconds.
    pub interval: (u32, u32),
}

/// The most early dialogs one INVITE may have.
const EARLY_MAX: usize = 32;

impl Session {
    pub(super) fn is_calling(&self, client: ClientId) -> bool {
        match &self.phase {
            Phase::Outgoing(calling) => calling.client == client,
            // A 2xx that comes again, or from another branch.
            Phase::Established { .. } | Phase::Confirming { .. } | Phase::Closing => !self.change.is_sent(client),
            _ => false,
        }
    }

    pub(super) fn receive_invite_response<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        response: &Message<B>,
    ) {
        let status = response.status().unwrap_or_default();
        match (&mut self.phase, status) {
            (Phase::Outgoing(_), 100) => {}
            (Phase::Outgoing(calling), 101..=199) if !calling.cancelled => self.receive_progress(core, now, response),
            (Phase::Outgoing(_), 200..=299) => self.receive_answer(core, now, response),
            (Phase::Outgoing(_), 300..) => self.receive_refusal(core, now, response),
            (_, 200..=299) => self.receive_answer_again(core, now, response),
            _ => {}
        }
    }

    fn receive_progress<B: AsRef<[u8]>>(&mut self, core: &mut Core, now: Time, response: &Message<B>) {
        self.learn(response);
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
            Some((_, last)) if rseq == *last + 1 => *last = rseq,
            // One that comes again is discarded: its PRACK is a transaction, and repeats itself. Another PRACK would
            // acknowledge nothing and be refused.
            Some(_) => return false,
            None if full => return false,
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
        let seq = calling.seq;
        if calling.cancelled {
            // The answer crossed our CANCEL.
            self.acknowledge(core, seq, None);
            self.send(core, now, Method::Bye, &|_| {}, None);
            self.phase = Phase::Closing;
            return;
        }
        let body = description_of(response);
        self.local_description.clone_from(&calling.spec.offer);
        let description = if calling.spec.offer.is_some() {
            self.acknowledge(core, seq, None);
            body.map(Description::Answer)
        } else {
            self.phase = Phase::Confirming { seq };
            body.map(Description::Offer)
        };
        if description.is_none() && calling.spec.offer.is_none() {
            self.acknowledge(core, seq, None);
        }
        self.refresh.agreed(response);
        self.refresh.start(core, self.id, now);
        self.emit(core, SessionEvent::Answered { description, response: Box::new(response.detach()) });
    }

    /// A 2xx after the first: the same again wants its ACK again; one from another branch is hung up.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
    fn receive_answer_again<B: AsRef<[u8]>>(&mut self, core: &mut Core, now: Time, response: &Message<B>) {
        let tag = response.value(HeaderName::To).and_then(|to| NameAddr::parse(to).ok()?.tag());
        let seq = response.number(HeaderName::CSeq).unwrap_or_default();
        if tag == self.dialog.remote_tag() {
            if let Phase::Established { ack } = &mut self.phase {
                let kept = std::mem::take(ack);
                let body = kept.body.clone().filter(|_| kept.seq == seq);
                self.acknowledge(core, seq, body);
                self.phase = Phase::Established { ack: kept };
            }
            return;
        }
        let mut other = self.dialog.clone();
        other.take_response(response, &core.locals);
        let ours = std::mem::replace(&mut self.dialog, other);
        let phase = std::mem::replace(&mut self.phase, Phase::Gone);
        self.acknowledge(core, seq, None);
        let part =
            RequestPart { method: Method::Bye, seq: self.dialog.next_seq(), hops: 70, headers: None, body: None };
        // Nobody waits for its outcome: the session is the first branch's.
        let request = ClientRequest { to: self.dialog.to.clone(), method: Method::Bye, owner: 0 };
        let (dialog, locals) = (&self.dialog, &core.locals);
        core.transactions.request(request, now, |branch| dialog.request(&part, branch, locals));
        (self.dialog, self.phase) = (ours, phase);
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
        if (300..=399).contains(&status) {
            let contacts = contacts_of(response);
            if !contacts.is_empty() {
                self.emit(core, SessionEvent::Redirected { contacts });
            }
        }
        self.finish_outgoing(core, Ended { status, q850: q850_of(response), by: EndedBy::Peer });
    }

    fn finish_outgoing(&mut self, core: &mut Core, ended: Ended) {
        if matches!(&self.phase, Phase::Outgoing(calling) if calling.cancelled) {
            self.phase = Phase::Gone;
        } else {
            self.end(core, ended);
        }
    }

    /// The INVITE got no final response.
    pub(super) fn outgoing_failed(&mut self, core: &mut Core, now: Time, status: u16) {
        if !self.next_destination(core, now) {
            self.finish_outgoing(core, Ended { status, q850: None, by: EndedBy::Failure });
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
        self.dialog.to = calling.spec.to[calling.destination].clone();
        if let Some(uri) = calling.spec.uris.get(calling.destination) {
            calling.spec.uri = uri.clone();
            self.dialog.target = uri.clone();
        }
        self.invite(core, now);
        true
    }

    pub(super) fn cancel(&mut self, core: &mut Core, now: Time, q850: Option<u8>) {
        let Phase::Outgoing(calling) = &mut self.phase else { return };
        if calling.cancelled {
            return;
        }
        calling.cancelled = true;
        core.transactions.cancel(calling.client, now);
        self.emit(core, SessionEvent::Ended(Ended { status: 487, q850, by: EndedBy::Us }));
    }

    /// Sends the INVITE, the first time or once more.
    pub(super) fn invite(&mut self, core: &mut Core, now: Time) {
        let seq = self.dialog.next_seq();
        let request = ClientRequest { to: self.dialog.to.clone(), method: Method::Invite, owner: self.id.0.as_u64() };
        let (dialog, Phase::Outgoing(calling)) = (&self.dialog, &mut self.phase) else { return };
        let (locals, config) = (&core.locals, &core.config);
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
                if self.authorization.is_some() {
                    return false;
                }
                self.authorization =
                    authorize(core, self.spec.credentials.as_deref(), response, Method::Invite, &self.spec.uri);
                self.authorization.is_some()
            }
            422 => {
                //= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
                let Some(minimum) = response.number(HeaderName::MinSe).filter(|min| *min > self.interval.1) else {
                    return false;
                };
                self.interval = (self.interval.0.max(minimum), minimum);
                true
            }
            _ => false,
        }
    }
}

/// The header that answers the challenge of a 401 or 407.
pub(crate) fn authorize<B: AsRef<[u8]>>(
    core: &mut Core,
    credentials: Option<&Credentials>,
    response: &Message<B>,
    method: Method,
    uri: &str,
) -> Option<(HeaderName, String)> {
    let (challenge, answer) = match response.status() {
        Some(401) => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
        _ => (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization),
    };
    let chosen = Credentials::choose(response.values(challenge))?;
    let cnonce = format!("{:016x}", core.rng.u64());
    Some((answer, credentials?.answer(&chosen, method.name(), uri, 1, &cnonce)?))
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
