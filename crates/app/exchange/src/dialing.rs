//! From a call's target to addresses, request URI and rules: what has to be looked up before a leg can go out.

use crate::interface::{Output, Unresolved};
use crate::layers::Dialled;
use crate::peers::asked_by;
use crate::worker::Worker;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use sx_bind_sip::{DialTo, Rules};
use sx_call::Input as CallInput;
use sx_engine::{Engine, Time};
use sx_leg::{Dial, Ended, EndedBy, LegEvent, Source, Target};
use sx_sip::agent::{AgentConfig, OutgoingRequest};
use sx_sip::message::{NameAddr, Scheme, Uri};
use sx_sip::session::Replaces;
use sx_types::{Cause, Destination, Flow, LegId, LinkId, Transport};

/// A name to be looked up as RFC 3263 says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The host.
    pub host: String,
    /// The port, when one is given.
    pub port: Option<u16>,
    /// The transport, when one is given.
    pub transport: Option<Transport>,
    /// Only encrypted transports will do.
    pub secure: bool,
}

/// A look-up under way: the addresses found so far, the names that remain, and what waits for them.
#[derive(Debug)]
pub(crate) struct Lookup {
    found: Vec<Place>,
    remaining: VecDeque<(Question, Option<Box<str>>)>,
    /// A name could not be looked up for now.
    unknown: bool,
    then: Then,
}

/// Where to send a request, and what it asks for there when that is not the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    to: Destination,
    uri: Option<Box<str>>,
}

impl From<Destination> for Place {
    fn from(to: Destination) -> Self {
        Self { to, uri: None }
    }
}

/// What goes on when the addresses are known.
#[derive(Debug)]
pub(crate) enum Then {
    Dial(Box<Dialling>),
    Request { owner: u64, request: Box<OutgoingRequest> },
}

/// An outgoing leg that waits for its addresses.
#[derive(Debug)]
pub(crate) struct Dialling {
    leg: LegId,
    dial: Dial,
    uri: Box<str>,
    routes: Vec<Box<str>>,
    rules: Arc<Rules>,
    /// The dialog whose place it is to take.
    replaces: Option<Box<str>>,
}

impl Worker {
    /// Looks up where an outgoing leg goes, and sends it there.
    pub(crate) fn dial(&mut self, now: Time, leg: LegId, dial: Dial) {
        let tables = self.tables.clone();
        match dial.target.clone() {
            Target::Trunk { trunk, user } => {
                let Some(trunk) = tables.trunk(&trunk) else {
                    self.cannot_dial(now, leg, Cause::NO_ROUTE);
                    return;
                };
                let user = sx_sip::message::escape_user(&user).into_owned();
                // Each address is asked in its own name: what it is called at another one says nothing to it.
                let addresses = trunk.config.addresses_in_order(self.rng.u64()).into_iter();
                let questions: VecDeque<_> =
                    addresses.map(|address| (question_of(address), Some(uri_at(address, &user)))).collect();
                let Some(uri) = questions.front().and_then(|(_, uri)| uri.clone()) else {
                    self.cannot_dial(now, leg, Cause::NO_ROUTE);
                    return;
                };
                let rules = trunk.rules.clone();
                let then = Then::Dial(Box::new(Dialling { leg, dial, uri, routes: Vec::new(), rules, replaces: None }));
                self.go_on(now, Lookup { found: Vec::new(), remaining: questions, unknown: false, then });
            }
            Target::Contact { uri, path, flow } => {
                let rules = tables.users.clone();
                let routes: Vec<Box<str>> = path.iter().map(|hop| with_brackets(hop)).collect();
                let nat = flow.filter(|flow| path.is_empty() && sx_sip::dialog::is_contact_behind_nat(&uri, *flow));
                if let Some(flow) = nat.filter(|_| tables.nat_media) {
                    self.calls.handle_input(now, CallInput::Nat { leg, address: flow.remote.ip() });
                }
                let dialling = Box::new(Dialling { leg, dial, uri: uri.clone(), routes, rules, replaces: None });
                match flow {
                    // However long the request is: behind that NAT nothing else reaches the telephone.
                    //= https://www.rfc-editor.org/rfc/rfc5626#section-5.3
                    Some(flow) => self.send_dialled(now, vec![Destination::Flow(flow).into()], *dialling),
                    None => self.look_up_uri(now, path.first().unwrap_or(&uri), Then::Dial(dialling)),
                }
            }
            Target::Uri(uri) => {
                let rules = tables.users.clone();
                let dialling = Dialling { leg, dial, uri: uri.clone(), routes: Vec::new(), rules, replaces: None };
                self.look_up_uri(now, &uri, Then::Dial(Box::new(dialling)));
            }
            Target::Place { dialog, by } => self.dial_place(now, leg, dial, &dialog, by.as_ref()),
        }
    }

    /// Goes to the place of a party in a call of another worker: by no network, but from worker to worker.
    fn dial_place(&mut self, now: Time, leg: LegId, dial: Dial, place: &str, by: Option<&Source>) {
        let keeper = Replaces::parse(place).and_then(|replaces| AgentConfig::worker_of_tag(&replaces.to_tag));
        let others = |worker: &u16| *worker < self.settings.workers && *worker != self.settings.worker;
        let Some(worker) = keeper.filter(others) else {
            //= https://www.rfc-editor.org/rfc/rfc3891#section-3
            // A dialog that is not there: 481.
            let event = LegEvent::Ended(Ended { cause: Cause(81), status: 481, by: EndedBy::Failure });
            self.calls.handle_input(now, CallInput::Leg { leg, event });
            return;
        };
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, Transport::Tcp.default_port()));
        let flow = Flow { worker, link: LinkId::BETWEEN_WORKERS, transport: Transport::Tcp, remote };
        // What leads there is the dialog; a Refer-To may name a host alone, or a number alone.
        let ours = self.tables.domains.first().cloned().unwrap_or_default();
        let domain = if dial.to.domain.is_empty() { &ours } else { &dial.to.domain };
        let uri = uri_of(&dial.to.user, domain).into();
        let rules = self.tables.users.clone();
        let replaces = Some(asked_by(place, by));
        let dialling = Dialling { leg, dial, uri, routes: Vec::new(), rules, replaces };
        self.send_dialled(now, vec![Destination::Flow(flow).into()], dialling);
    }

    pub(crate) fn look_up_uri(&mut self, now: Time, uri: &str, then: Then) {
        match question_in(uri) {
            Some(question) => self.look_up(now, vec![question], then),
            None => self.fail(now, &then, Cause::NO_ROUTE),
        }
    }

    /// Looks names up, one after the other; numeric addresses need no asking.
    pub(crate) fn look_up(&mut self, now: Time, questions: Vec<Question>, then: Then) {
        let remaining = questions.into_iter().map(|question| (question, None)).collect();
        self.go_on(now, Lookup { found: Vec::new(), remaining, unknown: false, then });
    }

    fn go_on(&mut self, now: Time, mut lookup: Lookup) {
        while let Some((question, uri)) = lookup.remaining.front() {
            let Some(to) = self.without_asking(question) else {
                let question = question.clone();
                self.next_query += 1;
                let query = self.next_query;
                self.lookups.insert(query, lookup);
                self.outputs.push_back(Output::Resolve { query, question });
                return;
            };
            lookup.found.push(Place { to, uri: uri.clone() });
            lookup.remaining.pop_front();
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-21.5.4
        // No name server has said where it leads, which is no statement about the number that was dialled.
        if lookup.found.is_empty() && lookup.unknown {
            self.fail(now, &lookup.then, Cause::TEMPORARY_FAILURE);
        } else {
            self.proceed(now, lookup.found, lookup.then);
        }
    }

    fn without_asking(&self, question: &Question) -> Option<Destination> {
        // The brackets belong to the URI: no certificate carries them.
        let host = without_brackets(&question.host);
        let ip: IpAddr = host.parse().ok()?;
        let transport = Transport::of_uri(question.transport, question.secure);
        let remote = SocketAddr::new(ip, question.port.unwrap_or(transport.default_port()));
        Some(self.legs.agent_ref().locals().way_to(transport, remote, Some(host)))
    }

    /// Names were looked up.
    pub(crate) fn resolved(
        &mut self,
        now: Time,
        query: u64,
        addresses: Result<Vec<(Transport, SocketAddr)>, Unresolved>,
    ) {
        let Some(mut lookup) = self.lookups.remove(&query) else { return };
        let Some((question, uri)) = lookup.remaining.pop_front() else { return };
        lookup.unknown |= addresses == Err(Unresolved::NotNow);
        let trunk = match &lookup.then {
            Then::Dial(dialling) => match &dialling.dial.target {
                Target::Trunk { trunk, .. } => Some(trunk.clone()),
                Target::Contact { .. } | Target::Uri(_) | Target::Place { .. } => None,
            },
            Then::Request { owner, .. } => self.trunk_of_owner(*owner),
        };
        if let Some(trunk) = trunk {
            self.trunk_resolved(&trunk, &question.host, addresses.as_ref().err().copied());
            addresses.iter().flatten().for_each(|(_, remote)| self.trunk_found(now, remote.ip()));
        }
        let locals = self.legs.agent_ref().locals();
        let place = |(transport, remote)| Place {
            to: locals.way_to(transport, remote, Some(&question.host)),
            uri: uri.clone(),
        };
        lookup.found.extend(addresses.into_iter().flatten().map(place));
        self.go_on(now, lookup);
    }

    pub(crate) fn proceed(&mut self, now: Time, to: Vec<Place>, then: Then) {
        if to.is_empty() {
            self.fail(now, &then, Cause::NO_ROUTE);
            return;
        }
        match then {
            Then::Dial(dialling) => {
                let offer = dialling.dial.offer.as_ref().map_or(0, bytes::Bytes::len);
                let to = over_udp_if_small(to, offer, self.settings.udp_request_bytes_max);
                self.send_dialled(now, to, *dialling);
            }
            Then::Request { owner, request } => {
                let to = to.into_iter().map(|place| place.to).collect();
                let request = OutgoingRequest { to, ..*request };
                self.legs.agent().request(now, owner, request);
            }
        }
    }

    fn send_dialled(&mut self, now: Time, places: Vec<Place>, dialling: Dialling) {
        let Dialling { leg, dial, uri, routes, rules, replaces } = dialling;
        let dialled = match &dial.target {
            Target::Trunk { .. } => Dialled::Trunk,
            Target::Contact { .. } => Dialled::User(&dial.to),
            Target::Uri(_) | Target::Place { .. } => Dialled::Elsewhere,
        };
        self.remember_called(leg, places.first().map(|place| &place.to), &dialled);
        let domain = self.tables.domains.first().cloned().unwrap_or_default();
        let uris = places.iter().map(|place| place.uri.clone().unwrap_or_else(|| uri.clone())).collect();
        let to = places.into_iter().map(|place| place.to).collect();
        let silence_max = match &dial.target {
            Target::Trunk { trunk, .. } => {
                self.listen_to_trunk(leg, trunk);
                self.silence_max(trunk)
            }
            _ => None,
        };
        let to = DialTo { to, uris, routes, replaces, rules, domain, silence_max };
        let failed = self.legs.dial(now, leg, dial, to);
        if let Some(event) = failed {
            self.parties.remove(&leg);
            self.unheard.remove(&leg);
            self.calls.handle_input(now, CallInput::Leg { leg, event });
        }
    }

    /// A leg that still waits for its addresses is hung up: nobody is to be called when they come.
    pub(crate) fn undial(&mut self, leg: LegId) {
        self.lookups.retain(|_, lookup| !matches!(&lookup.then, Then::Dial(dialling) if dialling.leg == leg));
    }

    fn fail(&mut self, now: Time, then: &Then, cause: Cause) {
        match then {
            Then::Dial(dialling) => self.cannot_dial(now, dialling.leg, cause),
            Then::Request { owner, .. } => self.request_done(now, *owner, None, 503),
        }
    }

    fn cannot_dial(&mut self, now: Time, leg: LegId, cause: Cause) {
        let event = LegEvent::Ended(Ended { cause, status: 0, by: EndedBy::Failure });
        self.calls.handle_input(now, CallInput::Leg { leg, event });
    }
}

/// A request that would not fit into a datagram goes over TCP first.
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
fn over_udp_if_small(to: Vec<Place>, body: usize, limit: usize) -> Vec<Place> {
    // What is around the body of an INVITE of ours.
    const AROUND: usize = 700;
    if body + AROUND <= limit {
        return to;
    }
    to.into_iter()
        .flat_map(|place| match &place.to {
            Destination::Flow(flow) if !flow.transport.is_reliable() => {
                let to = Destination::Address { transport: Transport::Tcp, remote: flow.remote, name: None };
                vec![Place { to, uri: place.uri.clone() }, place]
            }
            _ => vec![place],
        })
        .collect()
}

pub(crate) fn question_of(uri: &sx_config::SipUri) -> Question {
    Question { host: uri.host.host.to_string(), port: uri.host.port, transport: uri.transport, secure: uri.secure }
}

/// What a user is asked for by at one address of a trunk.
fn uri_at(address: &sx_config::SipUri, user: &str) -> Box<str> {
    let parameter = address.transport.unwrap_or(Transport::DEFAULT).uri_parameter();
    let scheme = if address.secure { "sips" } else { "sip" };
    format!("{scheme}:{user}@{}{parameter}", address.host).into()
}

/// The host that a URI leads to, with its brackets or without, when that is a numeric address.
pub(crate) fn numeric_host(uri: &str) -> Option<IpAddr> {
    without_brackets(&question_in(uri)?.host).parse().ok()
}

pub(crate) fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Where to ask for what a URI leads to.
fn question_in(uri: &str) -> Option<Question> {
    // Of a URI without brackets the parameters would be taken for the header's.
    let bare = match uri.find('<') {
        Some(_) => NameAddr::parse(uri.as_bytes()).ok().map(|address| address.uri),
        None => Uri::parse(uri.as_bytes()).ok(),
    };
    question_of_uri(&bare?)
}

/// A SIP URI, of a user where there is one.
pub(crate) fn uri_of(user: &str, host: &str) -> String {
    let at = if user.is_empty() { "" } else { "@" };
    format!("sip:{}{at}{host}", sx_sip::message::escape_user(user))
}

fn question_of_uri(uri: &Uri<'_>) -> Option<Question> {
    let transport = uri.param("transport").map(|text| text.parse().map_err(|_| ())).transpose().ok()?;
    let host = uri.param("maddr").unwrap_or(uri.host.as_str());
    let known = matches!(uri.scheme, Scheme::Sip | Scheme::Sips) && !host.is_empty();
    known.then(|| Question { host: host.to_owned(), port: uri.port, transport, secure: uri.scheme == Scheme::Sips })
}

fn with_brackets(uri: &str) -> Box<str> {
    if uri.contains('<') { uri.into() } else { format!("<{uri}>").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_uri_is_known_when_it_is_numeric() {
        let check = |uri: &str, expected: Option<&str>| {
            assert_eq!(numeric_host(uri), expected.map(|host| host.parse().expect("an address")), "{uri}");
        };
        check("sip:bob@192.0.2.7:5070;transport=tcp", Some("192.0.2.7"));
        check("<sip:[2001:db8::7]:5061;lr>", Some("2001:db8::7"));
        check("sip:bob@example.org;maddr=192.0.2.8", Some("192.0.2.8"));
        check("sip:bob@example.org", None);
        check("tel:+4930123456", None);
        check("192.0.2.7", None);
    }
}
