//! What the exchange does with trunks by itself: it probes them with OPTIONS, and registers where a provider wants that.

use crate::counts::Counts;
use crate::dialing::{Then, question_of};
use crate::interface::{Output, Unresolved};
use crate::tables::Tables;
use crate::trunk_health::{Heard, Probes};
use crate::worker::Worker;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use sx_engine::Time;
use sx_sip::agent::OutgoingRequest;
use sx_sip::message::{HeaderName, Method, NameAddr, OwnedMessage, Uri, elements};
use sx_types::Transport;

/// The owner of a probe has this bit and the trunk's number.
pub(crate) const PROBE: u64 = 1 << 61;
/// The owner of a registration has this bit and the trunk's number.
pub(crate) const REGISTRATION: u64 = 1 << 62;

/// A failed registration is tried again after so long.
const REGISTER_AGAIN: Duration = Duration::from_secs(30);

/// How often in a row a registrar may ask for a longer lifetime and is asked again at once.
const RAISED_MAX: u8 = 3;

/// What is known of a trunk.
#[derive(Debug)]
pub(crate) struct TrunkState {
    /// Stays when the configuration changes; the trunk's place in the tables may not.
    pub(crate) number: u64,
    name: Arc<str>,
    /// It lives, or not; `None` until it has been found out.
    pub(crate) health: Option<bool>,
    pub(crate) is_probed: bool,
    pub(crate) probe_at: Option<Time>,
    pub(crate) probing: bool,
    pub(crate) probes: Probes,
    pub(crate) heard: Heard,
    register_at: Option<Time>,
    call_id: Box<str>,
    seq: u32,
    /// The contact that was registered last, without brackets.
    contact: Box<str>,
    /// The shortest lifetime its registrar has said it takes.
    expires_min: Duration,
    /// How often in a row it has said so.
    raised: u8,
    /// Its host names that do not resolve, of which the operator knows. There are no more than its configuration has.
    unresolved: BTreeSet<Box<str>>,
}

impl TrunkState {
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// It is called as if nothing were the matter: a trunk is not known to be down.
    pub(crate) fn is_healthy(&self) -> bool {
        self.health != Some(false)
    }
}

impl Worker {
    /// Takes over new tables: what is known of a trunk that stays is kept.
    pub(crate) fn take_trunks(&mut self, now: Time, tables: &Tables) {
        let mut old = std::mem::take(&mut self.trunks);
        let mut recovered = Vec::new();
        for (place, trunk) in tables.trunks.iter().enumerate() {
            let config = &trunk.config;
            let known = old.iter().position(|state| state.name == config.name).map(|at| old.swap_remove(at));
            // The first worker speaks for all.
            let speaks = self.settings.worker == 0;
            // Spread over the first seconds, so that a hundred trunks are not probed at once.
            let soon = now + Duration::from_millis(100 + 37 * place as u64 % 5_000);
            let (number, call_id) = (self.next_owner(), self.legs.agent().call_id());
            let mut state = known.unwrap_or(TrunkState {
                number,
                name: config.name.clone(),
                health: None,
                is_probed: false,
                probe_at: None,
                probing: false,
                probes: Probes::default(),
                heard: Heard::default(),
                register_at: None,
                call_id,
                seq: 0,
                contact: "".into(),
                expires_min: Duration::ZERO,
                raised: 0,
                unresolved: BTreeSet::new(),
            });
            state.unresolved.clear();
            state.is_probed = config.options_interval.is_some();
            if speaks && config.options_interval.is_some() && state.probe_at.is_none() {
                state.probe_at = Some(soon);
            }
            if config.options_interval.is_none() {
                state.probe_at = None;
                state.probes = Probes::default();
                // Nothing would ever tell that it has recovered.
                if state.health == Some(false) {
                    recovered.push(state.name.clone());
                }
            }
            if speaks && config.register.is_some() && state.register_at.is_none() {
                state.register_at = Some(soon);
            }
            self.trunks.push(state);
        }
        recovered.iter().for_each(|name| self.trunk_is(now, name, true));
        self.ask_of_trunks();
        self.count_trunks();
    }

    pub(crate) fn count_trunks(&self) {
        Counts::set(&self.counts.trunks_healthy, self.trunks.iter().filter(|trunk| trunk.is_healthy()).count());
    }

    /// When a trunk wants something done.
    pub(crate) fn trunk_timeout(&self) -> Option<Time> {
        self.trunks.iter().flat_map(|trunk| trunk.probe_at.into_iter().chain(trunk.register_at)).min()
    }

    /// Does what is due.
    pub(crate) fn trunks_due(&mut self, now: Time) {
        let tables = self.tables.clone();
        for place in 0..self.trunks.len() {
            let Some(table) = tables.trunks.get(place) else { continue };
            if self.trunks[place].probe_at.is_some_and(|at| at <= now) {
                let interval = table.config.options_interval.unwrap_or(REGISTER_AGAIN);
                self.trunks[place].probe_at = Some(now + interval);
                if !self.trunks[place].probing {
                    self.probe(now, place, table);
                }
            }
            if self.trunks[place].register_at.is_some_and(|at| at <= now) {
                self.trunks[place].register_at = None;
                self.register_with(now, place, table);
            }
        }
    }

    fn probe(&mut self, now: Time, place: usize, table: &crate::TrunkTable) {
        let Some(first) = table.config.addresses.first() else { return };
        self.trunks[place].probing = true;
        self.trunks[place].probes.sent = Some(now);
        let uri = first.uri.to_string();
        let domain = self.tables.domains.first().cloned().unwrap_or_default();
        let request = OutgoingRequest {
            to: Vec::new(),
            method: Method::Options,
            from: format!("<sip:{domain}>").into(),
            to_value: format!("<{uri}>").into(),
            uri: uri.into(),
            call_id: self.legs.agent().call_id(),
            seq: 1,
            routes: Vec::new(),
            headers: vec![("Accept".into(), "application/sdp".into())],
            hops: 70,
            body: None,
            credentials: table.rules.credentials.clone(),
        };
        let questions = table.config.addresses.iter().map(|address| question_of(&address.uri)).collect();
        let owner = PROBE | self.trunks[place].number;
        self.look_up(now, questions, Then::Request { owner, request: Box::new(request) });
    }

    /// A name was looked up on behalf of a trunk. That it leads nowhere is told before what follows from it.
    pub(crate) fn trunk_resolved(&mut self, name: &str, host: &str, unresolved: Option<Unresolved>) {
        let Some(trunk) = self.trunks.iter_mut().find(|trunk| *trunk.name == *name) else { return };
        match unresolved {
            None => drop(trunk.unresolved.remove(host)),
            Some(why) if trunk.unresolved.insert(host.into()) => {
                let (trunk, host) = (trunk.name.clone(), host.into());
                self.outputs.push_back(Output::TrunkUnresolved { trunk, host, why });
            }
            Some(_) => {}
        }
    }

    /// The trunk that a request of ours is for.
    pub(crate) fn trunk_of_owner(&self, owner: u64) -> Option<Arc<str>> {
        let number = owner & !(PROBE | REGISTRATION);
        let is_its = |trunk: &&TrunkState| number != owner && trunk.number == number;
        self.trunks.iter().find(is_its).map(|trunk| trunk.name.clone())
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
    fn register_with(&mut self, now: Time, place: usize, table: &crate::TrunkTable) {
        let Some(registration) = &table.config.register else { return };
        let state = &mut self.trunks[place];
        state.seq += 1;
        let (owner, call_id, seq) = (REGISTRATION | state.number, state.call_id.clone(), state.seq);
        let expires = registration.expires.max(state.expires_min);
        let question = question_of(&registration.registrar);
        let transport = Transport::of_uri(question.transport, question.secure);
        let remote = question.host.parse().unwrap_or(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        let sent_by = self.legs.agent_ref().locals().sent_by(transport, None, remote);
        let user = registration.aor.user.as_deref().unwrap_or_default();
        let contact = format!("sip:{user}@{sent_by}{}", transport.uri_parameter());
        self.trunks[place].contact = contact.as_str().into();
        let aor = format!("<{}>", registration.aor);
        let request = OutgoingRequest {
            to: Vec::new(),
            method: Method::Register,
            uri: registration.registrar.to_string().into(),
            from: aor.clone().into(),
            to_value: aor.into(),
            call_id,
            seq,
            routes: Vec::new(),
            headers: vec![
                ("Contact".into(), format!("<{contact}>").into()),
                ("Expires".into(), expires.as_secs().to_string().into()),
            ],
            hops: 70,
            body: None,
            credentials: table.rules.credentials.clone(),
        };
        self.look_up(now, vec![question], Then::Request { owner, request: Box::new(request) });
    }

    /// The numbers up to this one are used up: answers to challenges have some of their own.
    pub(crate) fn registration_used(&mut self, owner: u64, seq: u32) {
        let of_owner = |trunk: &&mut TrunkState| owner == REGISTRATION | trunk.number;
        if let Some(trunk) = self.trunks.iter_mut().find(of_owner) {
            trunk.seq = trunk.seq.max(seq);
        }
    }

    /// A provider has answered our registration.
    pub(crate) fn registration_done(&mut self, now: Time, owner: u64, response: Option<&OwnedMessage>, status: u16) {
        let number = owner & !REGISTRATION;
        let Some(place) = self.trunks.iter().position(|trunk| trunk.number == number) else { return };
        let asked = self.tables.trunks.get(place).and_then(|table| table.config.register.as_ref()).map(|r| r.expires);
        let (Some(trunk), Some(asked)) = (self.trunks.get_mut(place), asked) else { return };
        let asked = asked.max(trunk.expires_min);
        let wait = match (status, response) {
            (200..=299, Some(response)) => {
                let granted = granted(response, &trunk.contact).unwrap_or(asked);
                (granted * 9 / 10).max(Duration::from_secs(1))
            }
            //= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.8
            // 423: asked again, for at least what Min-Expires says; not for ever at once, when that is more each time.
            (423, Some(response)) => match response.number(HeaderName::MinExpires).map(u64::from) {
                Some(least) if Duration::from_secs(least) > asked => {
                    trunk.expires_min = Duration::from_secs(least);
                    if trunk.raised < RAISED_MAX { Duration::ZERO } else { REGISTER_AGAIN }
                }
                _ => REGISTER_AGAIN,
            },
            _ => REGISTER_AGAIN,
        };
        trunk.raised = if wait.is_zero() { trunk.raised + 1 } else { 0 };
        trunk.register_at = Some(now + wait);
        let trunk = trunk.name.clone();
        self.outputs.push_back(Output::Registered { trunk, status });
    }
}

/// For how long a provider has registered us. It lists whatever else is registered for the address too.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.4
fn granted(response: &OwnedMessage, contact: &str) -> Option<Duration> {
    let contacts: Vec<NameAddr<'_>> = response
        .values(HeaderName::Contact)
        .flat_map(elements)
        .filter_map(|element| NameAddr::parse(element).ok())
        .collect();
    let own = Uri::parse(contact.as_bytes()).ok();
    let is_own = |listed: &&NameAddr<'_>| own.as_ref().is_some_and(|own| is_same_place(own, &listed.uri));
    let seconds = |contact: &NameAddr<'_>| contact.params.value("expires")?.parse::<u32>().ok();
    // One that writes our contact in its own way: then the earliest of all there are.
    let granted = match contacts.iter().find(is_own) {
        Some(own) => seconds(own),
        None => contacts.iter().filter_map(seconds).min(),
    };
    granted.or_else(|| response.number(HeaderName::Expires)).map(|s| Duration::from_secs(u64::from(s)))
}

fn is_same_place(one: &Uri<'_>, other: &Uri<'_>) -> bool {
    let host = |uri: &Uri<'_>| uri.host.as_str().to_ascii_lowercase();
    one.user_unescaped() == other.user_unescaped()
        && host(one) == host(other)
        && one.port.unwrap_or(5060) == other.port.unwrap_or(5060)
}
