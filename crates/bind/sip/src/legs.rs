//! The sessions of a worker, by leg.

use crate::headers::HeaderRules;
use crate::identity::{IdentityRules, called_address, name_addr};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::time::Duration;
use sx_engine::Time;
use sx_leg::{Address, Bounds, Dial, Ended, EndedBy, Incoming, LegEvent, Source};
use sx_sip::agent::{AcceptError, Agent, AgentEvent};
use sx_sip::digest::Credentials;
use sx_sip::message::{HeaderName, Message, Uri};
use sx_sip::session::{Outgoing, ReliablePolicy, Replaces, SessionId, SessionSnapshot};
use sx_sip::transaction::Reply;
use sx_types::{Cause, Destination, Flow, LegId};

/// What holds for all legs to and from one party: a trunk, or the registered users.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Header fields.
    pub headers: HeaderRules,
    /// Identities.
    pub identity: IdentityRules,
    /// Reliable provisional responses.
    pub reliable: ReliablePolicy,
    /// Is a session timer offered?
    pub session_timer: bool,
    /// What its challenges are answered with.
    pub credentials: Option<Arc<Credentials>>,
    /// Is early media passed to the caller?
    pub early_media: bool,
}

/// Where an outgoing leg goes, looked up.
#[derive(Clone, Debug)]
pub struct DialTo {
    /// The addresses to try in turn.
    pub to: Vec<Destination>,
    /// The request URI at each of them, as many as there are addresses.
    pub uris: Vec<Box<str>>,
    /// Routes to travel first.
    pub routes: Vec<Box<str>>,
    /// The dialog whose place the leg is to take where it goes: the value of Replaces.
    pub replaces: Option<Box<str>>,
    /// What holds for the party.
    pub rules: Arc<Rules>,
    /// The domain to show where an identity has none.
    pub domain: Box<str>,
    /// For how long each of the addresses may say nothing at all; `None`: as long as SIP has it.
    pub silence_max: Option<Duration>,
}

/// An INVITE that became a leg.
#[derive(Debug)]
pub struct Accepted {
    /// The leg.
    pub leg: LegId,
    /// What the call is told of it.
    pub incoming: Incoming,
}

/// An INVITE did not become a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IncomingError {
    /// The agent has refused it.
    #[error(transparent)]
    Refused(#[from] AcceptError),
    /// It is to replace a dialog that cannot be; answered with 400, 481, 486 or 603.
    #[error("there is no dialog that it can replace")]
    NothingToReplace {
        /// The answer.
        status: u16,
    },
}

impl IncomingError {
    /// The status that it was answered with.
    pub fn status(self) -> u16 {
        match self {
            Self::Refused(error) => error.status(),
            Self::NothingToReplace { status } => status,
        }
    }
}

/// A leg as a value that another process can go on with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LegSnapshot {
    /// The leg.
    pub leg: LegId,
    /// Its session.
    pub session: SessionSnapshot,
}

/// The hasher of ids, which are different numbers already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        // Spread, for the map takes its buckets from the low bits and its tags from the high ones.
        self.0 = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Ids from here on are those of outgoing legs.
const OUTGOING: u64 = 1 << 63;

#[derive(Debug)]
pub(crate) struct Bound {
    pub session: SessionId,
    pub rules: Arc<Rules>,
    /// Early media that was kept from the caller, to be given with the answer.
    pub early: Option<sx_leg::Media>,
}

/// The SIP legs of one worker.
#[derive(Debug)]
pub struct SipLegs {
    pub(crate) agent: Agent,
    pub(crate) legs: HashMap<LegId, Bound, BuildHasherDefault<IdHasher>>,
    next: u64,
}

impl SipLegs {
    /// No legs yet. Ids of incoming legs begin at `first` and have the uppermost bit clear.
    pub fn new(agent: Agent, first: LegId) -> Self {
        Self { agent, legs: HashMap::default(), next: first.0 }
    }

    /// The agent, for what is no leg: requests outside of a session, transmissions, timers.
    pub fn agent(&mut self) -> &mut Agent {
        &mut self.agent
    }

    /// The agent, to be looked at.
    pub fn agent_ref(&self) -> &Agent {
        &self.agent
    }

    /// How many legs there are.
    pub fn len(&self) -> usize {
        self.legs.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// Makes an admitted INVITE a leg. A user's address is the one that has authenticated, whatever From says.
    ///
    /// # Errors
    /// Why it is none; it has been answered.
    pub fn incoming<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        invite: &Message<B>,
        source: Source,
        rules: &Arc<Rules>,
    ) -> Result<Accepted, IncomingError> {
        let replaces = match self.replaced_by(invite) {
            Ok(replaces) => replaces,
            Err(status) => {
                self.agent.reply(flow, invite, Reply { status, ..Reply::default() });
                return Err(IncomingError::NothingToReplace { status });
            }
        };
        let leg = LegId(self.next);
        let session = self.agent.accept(now, flow, invite, leg.0)?;
        self.next += 1;
        self.legs.insert(leg, Bound { session, rules: rules.clone(), early: None });
        let mut from = rules.identity.read(invite);
        if let Source::User(user) = &source {
            from.address = user.clone();
            from.asserted = Some(user.clone());
        }
        let to = Uri::parse(invite.request_uri()).map(|uri| called_address(&uri)).unwrap_or_default();
        let offer = sx_sip::session::description(invite);
        let hops = invite.number(HeaderName::MaxForwards).unwrap_or(70);
        let incoming = Incoming {
            from,
            to,
            source,
            host: Some(flow.remote.ip()),
            offer,
            replaces,
            on_behalf_of: None,
            takes_info: takes_info(invite),
            headers: rules.headers.taken_from(invite),
            hops_left: u8::try_from(hops).unwrap_or(u8::MAX),
            bounds: Bounds::default(),
        };
        Ok(Accepted { leg, incoming })
    }

    /// The leg whose place an INVITE is to take, or the status that refuses it.
    //= https://www.rfc-editor.org/rfc/rfc3891#section-3
    // More than one Replaces, or one that cannot be read, is 400.
    fn replaced_by<B: AsRef<[u8]>>(&self, invite: &Message<B>) -> Result<Option<LegId>, u16> {
        let mut values = invite.values(HeaderName::Replaces);
        let Some(value) = values.next() else { return Ok(None) };
        let only = std::str::from_utf8(value).ok().filter(|_| values.next().is_none());
        let replaces = only.and_then(Replaces::parse).ok_or(400_u16)?;
        match self.agent.session_replaced(&replaces) {
            Ok((_, owner)) => Ok(Some(LegId(owner))),
            Err(error) => Err(error.status()),
        }
    }

    /// Makes an outgoing leg. `Some` when that was not possible.
    pub fn dial(&mut self, now: Time, leg: LegId, dial: Dial, to: DialTo) -> Option<LegEvent> {
        let (from, mut headers) = to.rules.identity.write(&dial.from, &to.domain);
        headers.retain(|(name, _)| !to.rules.headers.sets(name));
        headers.extend(to.rules.headers.written_to(&dial.headers));
        headers.extend(to.replaces.map(|dialog| ("Replaces".into(), dialog)));
        let domain = if dial.to.domain.is_empty() { &to.domain } else { &dial.to.domain };
        let spec = Outgoing {
            uri: to.uris.first().cloned().unwrap_or_default(),
            uris: to.uris,
            from,
            to_value: name_addr("", &dial.to.user, domain).into(),
            contact_user: to.rules.identity.contact_user(&dial.from).into(),
            call_id: self.agent.call_id(),
            routes: to.routes,
            offer: dial.offer,
            headers,
            hops: dial.hops_left,
            credentials: to.rules.credentials.clone(),
            reliable: to.rules.reliable,
            session_timer: to.rules.session_timer,
            silence_max: to.silence_max,
            to: to.to,
        };
        match self.agent.dial(now, leg.0, spec) {
            Ok(session) => {
                self.legs.insert(leg, Bound { session, rules: to.rules, early: None });
                None
            }
            Err(_) => Some(LegEvent::Ended(Ended { cause: Cause::NO_RESOURCE, status: 503, by: EndedBy::Failure })),
        }
    }

    /// The next thing that happened: on a leg, or to a request outside of a session. What a peer names to be called
    /// gets its domain from `domain_of`.
    pub fn poll_event(&mut self, domain_of: DomainOf<'_>) -> Option<Polled> {
        loop {
            match self.agent.poll_event()? {
                AgentEvent::Response { owner, response, status, seq } => {
                    return Some(Polled::Response { owner, response, status, seq });
                }
                AgentEvent::Session { owner, event, .. } => {
                    let leg = LegId(owner);
                    if let Some(event) = self.translate(leg, event, domain_of) {
                        return Some(Polled::Leg { leg, event });
                    }
                }
            }
        }
    }

    /// An established leg as a value.
    pub fn snapshot(&self, leg: LegId) -> Option<LegSnapshot> {
        let bound = self.legs.get(&leg)?;
        Some(LegSnapshot { leg, session: self.agent.snapshot(bound.session)? })
    }

    /// Forgets a leg that goes on elsewhere: its peer hears nothing of it.
    pub fn forget(&mut self, leg: LegId) {
        if let Some(bound) = self.legs.remove(&leg) {
            self.agent.forget(bound.session);
        }
    }

    /// Goes on with a leg that was begun elsewhere, by the rules of its party here.
    pub fn restore(&mut self, now: Time, snapshot: LegSnapshot, rules: Arc<Rules>) {
        // Legs to come must have other ids. Those of outgoing legs are none of ours.
        if snapshot.leg.0 < OUTGOING {
            self.next = self.next.max(snapshot.leg.0 + 1);
        }
        let session = self.agent.restore(now, snapshot.leg.0, snapshot.session, rules.credentials.clone());
        self.legs.insert(snapshot.leg, Bound { session, rules, early: None });
    }
}

/// Does the sender of a message say that it knows INFO?
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.5
// The absence of an Allow header field says nothing.
pub(crate) fn takes_info<B: AsRef<[u8]>>(message: &Message<B>) -> Option<bool> {
    message.value(HeaderName::Allow).map(|_| message.lists(HeaderName::Allow, "INFO"))
}

/// What [`SipLegs::poll_event`] gives.
#[derive(Debug)]
pub enum Polled {
    /// Something happened on a leg.
    Leg {
        /// The leg.
        leg: LegId,
        /// What.
        event: LegEvent,
    },
    /// A request outside of a session has its final response.
    Response {
        /// Whom it was made for.
        owner: u64,
        /// The response; `None` when there was none.
        response: Option<Box<sx_sip::message::OwnedMessage>>,
        /// Its status, else 408 or 503.
        status: u16,
        /// The CSeq number it was sent with last.
        seq: u32,
    },
}

/// The domain of a URI that is to be called, as the dial plan knows it: ours where it names one of our addresses.
pub type DomainOf<'a> = &'a dyn Fn(&Uri<'_>) -> Box<str>;

/// The address that a URI names to be called.
pub fn address(uri: &str, domain_of: DomainOf<'_>) -> Option<Address> {
    let uri = Uri::parse(uri.as_bytes()).ok()?;
    let address = called_address(&uri);
    // A telephone number has no domain.
    let domain = if address.domain.is_empty() { Box::default() } else { domain_of(&uri) };
    Some(Address { domain, ..address })
}
