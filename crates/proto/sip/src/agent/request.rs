//! Requests outside of any session: OPTIONS to a trunk, REGISTER to a provider, a MESSAGE that is passed on.

use super::{Agent, AgentEvent, Core};
use crate::challenges::Challenges;
use crate::dialog::via;
use crate::digest::Credentials;
use crate::message::{HeaderName, Message, Method, OwnedMessage, Writer};
use crate::transaction::ClientRequest;
use bytes::Bytes;
use std::sync::Arc;
use sx_engine::{Arena, Key, Time};
use sx_types::Destination;

/// Names a request outside of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Key);

/// A request to send.
#[derive(Clone, Debug)]
pub struct OutgoingRequest {
    /// Where it goes: each is tried in turn when the one before cannot be reached. At least one.
    pub to: Vec<Destination>,
    /// The method.
    pub method: Method,
    /// The request URI.
    pub uri: Box<str>,
    /// The value of From, without tag.
    pub from: Box<str>,
    /// The value of To.
    pub to_value: Box<str>,
    /// The Call-ID: of a REGISTER, always the same.
    pub call_id: Box<str>,
    /// The CSeq number.
    pub seq: u32,
    /// Routes to travel first.
    pub routes: Vec<Box<str>>,
    /// Further headers.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Max-Forwards.
    pub hops: u8,
    /// The body and its type.
    pub body: Option<(Box<str>, Bytes)>,
    /// What challenges are answered with.
    pub credentials: Option<Arc<Credentials>>,
}

#[derive(Debug)]
struct Pending {
    owner: u64,
    spec: OutgoingRequest,
    tag: u64,
    destination: usize,
    challenges: Challenges,
}

impl Pending {
    fn done(&self, response: Option<Box<OwnedMessage>>, status: u16) -> AgentEvent {
        AgentEvent::Response { owner: self.owner, response, status, seq: self.spec.seq }
    }
}

/// The owner of a transaction is a session's key or, with this bit, a request's.
const REQUEST: u64 = 1 << 63;

pub(super) fn is_request(owner: u64) -> bool {
    owner & REQUEST != 0
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    pending: Arena<Pending>,
}

impl Agent {
    /// Sends a request; its final response comes as [`AgentEvent::Response`] for the owner.
    pub fn request(&mut self, now: Time, owner: u64, spec: OutgoingRequest) {
        if spec.to.is_empty() {
            self.core.events.push_back(AgentEvent::Response { owner, response: None, status: 503, seq: spec.seq });
            return;
        }
        let tag = self.core.rng.u64();
        let pending = Pending { owner, spec, tag, destination: 0, challenges: Challenges::default() };
        let key = self.requests.pending.insert(pending);
        self.requests.send(&mut self.core, now, key);
    }
}

impl Requests {
    fn send(&mut self, core: &mut Core, now: Time, key: Key) {
        let Some(pending) = self.pending.get(key) else { return };
        let spec = &pending.spec;
        let to = spec.to[pending.destination].clone();
        let request = ClientRequest { to: to.clone(), method: spec.method, owner: key.as_u64() | REQUEST };
        let (locals, agent) = (&core.locals, &core.config.user_agent);
        core.transactions.request(request, now, |branch| {
            let mut writer = Writer::request(spec.method.name(), &spec.uri);
            via(&mut writer, &to, branch, locals);
            writer.header(HeaderName::MaxForwards, format_args!("{}", spec.hops));
            for route in &spec.routes {
                writer.header(HeaderName::Route, format_args!("{route}"));
            }
            writer.header(HeaderName::From, format_args!("{};tag={:x}", spec.from, pending.tag));
            writer.header(HeaderName::To, format_args!("{}", spec.to_value));
            writer.header(HeaderName::CallId, format_args!("{}", spec.call_id));
            writer.header(HeaderName::CSeq, format_args!("{} {}", spec.seq, spec.method));
            pending.challenges.write(&mut writer);
            for (name, value) in &spec.headers {
                writer.raw_header(name.as_bytes(), value.as_bytes());
            }
            writer.header(HeaderName::UserAgent, format_args!("{agent}"));
            writer.finish(spec.body.as_ref().map(|(content_type, body)| (&**content_type, &body[..])))
        });
    }

    pub(super) fn receive_response<B: AsRef<[u8]>>(
        &mut self,
        core: &mut Core,
        now: Time,
        owner: u64,
        response: &Message<B>,
    ) {
        let key = Key::from_u64(owner & !REQUEST);
        let status = response.status().unwrap_or_default();
        let Some(pending) = self.pending.get_mut(key).filter(|_| status >= 200) else { return };
        if matches!(status, 401 | 407) {
            let OutgoingRequest { credentials, method, uri, .. } = &pending.spec;
            if pending.challenges.answer(&mut core.rng, credentials.as_deref(), response, *method, uri) {
                pending.spec.seq += 1;
                self.send(core, now, key);
                return;
            }
        }
        if status == 503 && self.next_destination(core, now, key) {
            return;
        }
        if let Some(pending) = self.pending.remove(key) {
            core.events.push_back(pending.done(Some(Box::new(response.detach())), status));
        }
    }

    pub(super) fn failed(&mut self, core: &mut Core, now: Time, owner: u64, status: u16) {
        let key = Key::from_u64(owner & !REQUEST);
        if !self.next_destination(core, now, key)
            && let Some(pending) = self.pending.remove(key)
        {
            core.events.push_back(pending.done(None, status));
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.3
    fn next_destination(&mut self, core: &mut Core, now: Time, key: Key) -> bool {
        let Some(pending) = self.pending.get_mut(key) else { return false };
        if pending.destination + 1 >= pending.spec.to.len() {
            return false;
        }
        pending.destination += 1;
        // What one server asked for says nothing to the next, which may have a challenge of its own.
        pending.challenges = Challenges::default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
        // Each REGISTER has a number of its own, for the one before may have arrived all the same.
        pending.spec.seq += 1;
        self.send(core, now, key);
        true
    }
}
