//! Several workers as one: which of them a message belongs to, and what they tell each other.

use crate::interface::{Output, PeerMessage};
use crate::worker::Worker;
use siphasher::sip::SipHasher13;
use std::hash::{Hash, Hasher};
use sx_call::Input as CallInput;
use sx_engine::{Engine, Time};
use sx_leg::{Address, Source};
use sx_sip::agent::AgentConfig;
use sx_sip::message::{HeaderName, Message, Method, NameAddr, Via};
use sx_sip::session::Replaces;
use sx_sip::transaction::Transactions;
use sx_types::LinkId;

/// How a message got here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrival {
    /// From the network.
    Landed,
    /// From another worker. So many others may be asked when we do not know what it is about.
    Passed { others: u16 },
}

/// The worker, of so many, that keeps the bindings of the user with this address of record (`user@domain`). The same in
/// every run.
pub fn keeper_of(aor: &str, workers: u16) -> u16 {
    let mut hasher = SipHasher13::new();
    hasher.write(aor.as_bytes());
    (hasher.finish() % u64::from(workers.max(1))) as u16
}

/// The worker, of so many, that counts how often credentials from this source were wrong, wherever its messages land.
pub(crate) fn accountant_of(source: sx_edge::Source, workers: u16) -> u16 {
    let mut hasher = SipHasher13::new();
    source.hash(&mut hasher);
    (hasher.finish() % u64::from(workers.max(1))) as u16
}

impl Worker {
    /// The worker to pass a message on to, and how many others that one may ask in turn; `None` for what stays here.
    pub(crate) fn passed_on_to<B: AsRef<[u8]>>(&self, message: &Message<B>, arrival: Arrival) -> Option<(u16, u16)> {
        let others = match arrival {
            Arrival::Landed => {
                let home = self.home_of(message);
                if home != self.settings.worker {
                    return Some((home, 0));
                }
                self.settings.workers.saturating_sub(1)
            }
            Arrival::Passed { others } => others,
        };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
        // A CANCEL finds its INVITE by the branch, which the caller has made: it names no worker. Over another connection,
        // or from another port, it lands anywhere, and goes round until somebody knows the INVITE.
        let seeks = message.method() == Some(Method::Cancel) && others > 0;
        let next = (self.settings.worker + 1) % self.settings.workers.max(1);
        (seeks && !self.legs.agent_ref().knows_invite_of(message)).then(|| (next, others - 1))
    }

    /// The worker a message belongs to: responses and requests within dialogs name it, an INVITE goes to the dialog whose
    /// place it takes, or to whoever decides about the hazard that it tells of, a REGISTER by its user, a MESSAGE by the user it is for, and whatever else is new stays where it
    /// landed.
    fn home_of<B: AsRef<[u8]>>(&self, message: &Message<B>) -> u16 {
        let here = self.settings.worker;
        let named = match message.method() {
            None => {
                let top = message.elements(HeaderName::Via).next().and_then(|via| Via::parse(via).ok());
                top.and_then(|via| Transactions::worker_of_branch(via.branch))
            }
            Some(method) => {
                let to = message.value(HeaderName::To).and_then(|to| NameAddr::parse(to).ok());
                match to.and_then(|to| to.tag()) {
                    Some(tag) => AgentConfig::worker_of_tag(tag),
                    None if method == Method::Register => {
                        to.map(|to| self.worker_of_user(&to.user(), &self.domain_of(message)))
                    }
                    None if method == Method::Message => self.keeper_of_addressee(message),
                    None if method == Method::Invite => {
                        let replaces = message.text(HeaderName::Replaces).and_then(Replaces::parse);
                        let replaced = replaces.and_then(|replaces| AgentConfig::worker_of_tag(&replaces.to_tag));
                        replaced.or_else(|| self.keeper_of_hazard(message))
                    }
                    None => None,
                }
            }
        };
        named.filter(|worker| *worker < self.settings.workers).unwrap_or(here)
    }

    /// The worker that keeps the bindings of the user in the request URI; `None` when that is no user of ours.
    fn keeper_of_addressee<B: AsRef<[u8]>>(&self, message: &Message<B>) -> Option<u16> {
        let uri = std::str::from_utf8(message.request_uri()).ok()?;
        let to = sx_bind_sip::address(uri, &|uri| self.tables.dialled_domain(uri))?;
        self.tables.is_ours(&to.domain).then(|| self.worker_of_user(&to.user, &to.domain))
    }

    /// The worker that keeps a user's bindings.
    pub(crate) fn worker_of_user(&self, user: &str, domain: &str) -> u16 {
        keeper_of(&format!("{user}@{domain}"), self.settings.workers)
    }

    pub(crate) fn receive_peer(&mut self, now: Time, message: PeerMessage) {
        match message {
            PeerMessage::Message { mut came, socket, others, bytes } => {
                let flow = came.flow;
                // All workers listen on the same addresses. Answered from our own socket, the answer cannot be overtaken by
                // what we send next in the dialog, as it could on its way through the other worker's thread.
                came.flow = socket
                    .and_then(|place| self.legs.agent_ref().locals().flow_from(place, flow.remote))
                    .unwrap_or(flow);
                self.receive(now, &came, &bytes, Arrival::Passed { others });
            }
            PeerMessage::Closed { link } => self.registrar.handle_flow_closed(link),
            PeerMessage::Send(transmit) => self.outputs.push_back(Output::Send(transmit)),
            PeerMessage::Locate { worker, query, address } => {
                let found = self.find(now, &address);
                self.outputs.push_back(Output::Peer { worker, message: PeerMessage::Located { query, found } });
            }
            PeerMessage::Located { query, found } => {
                self.calls.handle_input(now, CallInput::Located { query, found });
            }
            PeerMessage::TrunkHealth { trunk, healthy } => self.trunk_is(now, &trunk, healthy),
            PeerMessage::TrunksAsked { worker } => self.tell_of_trunks(worker),
            PeerMessage::TrunkHeard { trunk, alive } => self.trunk_heard(now, &trunk, alive),
            PeerMessage::Text { from, to, text } => self.text_user(now, from, to, text),
            PeerMessage::Escalate { worker, asked } => {
                self.escalate(now, &asked);
                let outcome = self.outcome_of(asked.id);
                let message = PeerMessage::Escalated { id: asked.id, outcome };
                self.outputs.push_back(Output::Peer { worker, message });
            }
            PeerMessage::Escalated { id, outcome } => self.answer_escalation(now, id, &outcome),
            PeerMessage::Banned { ban } => self.banned_elsewhere(now, &ban),
            PeerMessage::Observed { source, observed } => {
                observed.into_iter().for_each(|observation| self.learn(now, source, observation));
            }
        }
    }

    /// Tells all other workers.
    pub(crate) fn tell_others(&mut self, message: impl Fn() -> PeerMessage) {
        for worker in (0..self.settings.workers).filter(|worker| *worker != self.settings.worker) {
            self.outputs.push_back(Output::Peer { worker, message: message() });
        }
    }

    /// A connection is gone, and with it what hangs on it, here and where REGISTERs that came along it were passed on to.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.2
    pub(crate) fn closed(&mut self, link: LinkId) {
        self.registrar.handle_flow_closed(link);
        self.certificates.remove(&link);
        while let Some(at) = self.registered_through.range((link, 0)..=(link, u16::MAX)).next().copied() {
            self.registered_through.remove(&at);
            self.outputs.push_back(Output::Peer { worker: at.1, message: PeerMessage::Closed { link } });
        }
    }
}

/// The name of a place with who asks for it, as it goes from worker to worker.
pub(crate) fn asked_by(place: &str, by: Option<&Source>) -> Box<str> {
    let name = match by {
        Some(Source::User(user)) => format!("u{user}"),
        Some(Source::Trunk(trunk)) => format!("t{trunk}"),
        Some(Source::Exchange) | None => return place.into(),
    };
    // Every octet in two digits: whatever a name contains, it stays one token.
    let digits: String = name.bytes().map(|octet| format!("{octet:02x}")).collect();
    format!("{place};{BY}={digits}").into()
}

/// Who asks for a place, from [`asked_by`].
pub(crate) fn asker_of(replaces: &str) -> Option<Source> {
    // The last parameter is ours, whatever a peer wrote before it.
    let (_, last) = replaces.rsplit_once(';')?;
    let digits = last.strip_prefix(BY)?.strip_prefix('=')?;
    let octet = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let name = String::from_utf8((0..digits.len()).step_by(2).map(octet).collect::<Option<_>>()?).ok()?;
    match name.split_at_checked(1)? {
        ("t", trunk) => Some(Source::Trunk(trunk.into())),
        ("u", user) => user.rsplit_once('@').map(|(user, domain)| Source::User(Address::new(user, domain))),
        _ => None,
    }
}

/// The parameter of a Replaces between workers that says who asks.
const BY: &str = "by";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_a_place_is_told_to_the_other_worker() {
        let check = |source: Source| {
            let value = asked_by("id@host;to-tag=1;from-tag=2", Some(&source));
            assert_eq!(asker_of(&value), Some(source), "{value}");
            assert!(Replaces::parse(&value).is_some_and(|replaces| &*replaces.from_tag == "2"));
        };
        check(Source::User(Address::new("alice;by=tbob", "example.org")));
        check(Source::User(Address::new("a%40b", "example.org")));
        check(Source::Trunk("a trunk; with=signs\u{e9}".into()));
        assert_eq!(asker_of("id@host;to-tag=1;from-tag=2"), None);
        let forged = asked_by("id@host;by=756240682e6578;to-tag=1;from-tag=2", None);
        assert_eq!(asker_of(&forged), None, "not where a peer can write");
        assert_eq!(asker_of(&asked_by("id@host;to-tag=1;from-tag=2", Some(&Source::Exchange))), None);
    }
}
