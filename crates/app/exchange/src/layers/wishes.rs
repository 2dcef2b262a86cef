//! A transfer and a redirection have somebody called in the course of a call: the policy decides about that as it does about
//! a call that whoever wants it had made itself.

use super::guard::{Admitted, Asked, NotAdmitted, Who};
use super::tally::Asker;
use crate::witnessing::UNWITNESSED;
use crate::worker::Worker;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use sx_call::{Admission, Input as CallInput, QueryId, Wish, WishKind};
use sx_engine::{Engine, Time};
use sx_guard::{Action, Authentication, AuthenticationKind};
use sx_leg::{Address, Source};
use sx_sip::digest::Algorithm;
use sx_types::{CallId, Destination, LegId, LinkId, Transport};
use sx_witness::{Draft, Kind};

/// What is known of the party of a leg, for what it may ask in the course of its call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartyFacts {
    pub(crate) address: IpAddr,
    pub(crate) transport: Transport,
    pub(crate) authenticated: Authentication,
}

/// The same, as a snapshot has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartySnapshot {
    leg: LegId,
    address: IpAddr,
    transport: Transport,
    authenticated: Box<str>,
}

impl Worker {
    /// Decides about each address that somebody in a call wants to have called.
    pub(crate) fn admit_wish(&mut self, now: Time, query: QueryId, call: CallId, wish: &Wish) {
        let admissions = wish.to.iter().map(|to| self.admit_target(now, call, wish, to)).collect();
        self.calls.handle_input(now, CallInput::Admitted { query, admissions });
        self.witness.await_wish(query);
    }

    fn admit_target(&mut self, now: Time, call: CallId, wish: &Wish, to: &Address) -> Admission {
        let facts = self.facts_of_party(wish);
        let PartyFacts { address, transport, authenticated } = facts;
        let score_milli = self.layers.sources.score_milli(now, self.source_of(address));
        let who = Who { source: &wish.source, authenticated, address, transport, score_milli };
        let subject = to.to_string();
        match self.judge(now, &who, Asked::without_media(Action::Call, &subject)) {
            Ok(admitted) if self.witness_wish(now, call, wish, &subject, &admitted) => {
                Admission::Granted(admitted.bounds(&self.settings.recordable))
            }
            // Nobody could account for it.
            Ok(_) => Admission::Refused { status: 503, sentence: UNWITNESSED.into() },
            Err(refused) => {
                let (status, sentence) = (refused.status, refused.sentence.clone());
                self.witness_refused_wish(now, call, &who, wish, &subject, *refused);
                Admission::Refused { status, sentence }
            }
        }
    }

    /// Of a party that nothing is remembered of, no more is assumed than is certain.
    fn facts_of_party(&self, wish: &Wish) -> PartyFacts {
        let unknown = || PartyFacts {
            address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            transport: Transport::Udp,
            authenticated: match wish.source {
                Source::Trunk(_) | Source::Exchange => Authentication::Trunk,
                Source::User(_) => Authentication::Nothing,
            },
        };
        self.parties.get(&wish.leg).copied().unwrap_or_else(unknown)
    }

    /// `false`: the record is lost.
    fn witness_wish(&mut self, now: Time, call: CallId, wish: &Wish, subject: &str, admitted: &Admitted) -> bool {
        let actor = crate::witnessing::name_of(&wish.source);
        let facts = admitted.facts().with("by", word_of(wish.kind)).with("leg", wish.leg.to_string());
        self.witness.record_or_lose(&Draft {
            actor: &actor,
            subject,
            outcome: admitted.outcome,
            call: Some(call),
            trace: Some(self.escalations.trace_of(call)),
            policy_version: &admitted.policy,
            facts,
            ..Draft::new(now, Kind::Admission)
        })
    }

    fn witness_refused_wish(
        &mut self,
        now: Time,
        call: CallId,
        who: &Who<'_>,
        wish: &Wish,
        subject: &str,
        refused: NotAdmitted,
    ) {
        self.layers.counts.refuse(refused.layer);
        self.counts.refuse(refused.refusal);
        let asker = Asker::by(who.authenticated);
        if !self.layers.tally.records(now, self.source_of(who.address), asker, refused.layer) {
            return super::counts::add(&self.layers.counts.summed);
        }
        let source = who.address.to_string();
        let facts = refused
            .facts
            .with("layer", refused.layer.as_str())
            .with("source", source.as_str())
            .with("transport", who.transport.to_string())
            .with("status", i64::from(refused.status))
            .with("by", word_of(wish.kind))
            .with("leg", wish.leg.to_string());
        let facts = if refused.rule.is_empty() { facts } else { facts.with("rule", &*refused.rule) };
        let tables = self.tables.clone();
        self.witness.record(&Draft {
            actor: &refused.actor,
            subject,
            outcome: "reject",
            reason: refused.reason,
            call: Some(call),
            trace: Some(self.escalations.trace_of(call)),
            policy_version: tables.policy.version(),
            facts,
            ..Draft::new(now, Kind::Admission)
        });
    }

    /// What is known of whoever is called: a trunk by where it is, a user by having registered from there.
    pub(crate) fn remember_called(&mut self, leg: LegId, to: Option<&Destination>, dialled: &Dialled<'_>) {
        let (address, transport, link) = match to {
            Some(Destination::Flow(flow)) => (flow.remote.ip(), flow.transport, Some(flow.link)),
            Some(Destination::Address { transport, remote, .. }) => (remote.ip(), *transport, None),
            None => return,
        };
        let authenticated = match dialled {
            Dialled::Trunk => Authentication::Trunk,
            Dialled::User(user) => self.registered_by(user, link),
            Dialled::Elsewhere => return,
        };
        self.parties.insert(leg, PartyFacts { address, transport, authenticated });
    }

    /// What a registration has proved at least: by the weakest digest that is taken, unless the connection has a certificate.
    fn registered_by(&self, user: &Address, link: Option<LinkId>) -> Authentication {
        let certified = link.and_then(|link| self.certificates.get(&link));
        if certified.is_some_and(|users| users.include(&user.user, &user.domain)) {
            return Authentication::Certificate;
        }
        match self.tables.algorithms.contains(&Algorithm::Md5) {
            true => Authentication::DigestMd5,
            false => Authentication::DigestSha256,
        }
    }

    /// What is known of the parties of a call, for a snapshot.
    pub(crate) fn parties_of(&self, legs: &[LegId]) -> Vec<PartySnapshot> {
        let known = legs.iter().filter_map(|leg| Some((*leg, self.parties.get(leg)?)));
        known
            .map(|(leg, facts)| PartySnapshot {
                leg,
                address: facts.address,
                transport: facts.transport,
                authenticated: facts.authenticated.kind().word().into(),
            })
            .collect()
    }

    pub(crate) fn restore_party(&mut self, party: &PartySnapshot) {
        let kind = AuthenticationKind::ALL.into_iter().find(|kind| kind.word() == &*party.authenticated);
        let authenticated = match kind {
            Some(AuthenticationKind::Trunk) => Authentication::Trunk,
            Some(AuthenticationKind::DigestMd5) => Authentication::DigestMd5,
            Some(AuthenticationKind::DigestSha256) => Authentication::DigestSha256,
            Some(AuthenticationKind::Certificate) => Authentication::Certificate,
            Some(AuthenticationKind::Nothing | AuthenticationKind::Signature) | None => Authentication::Nothing,
        };
        let (address, transport) = (party.address, party.transport);
        self.parties.insert(party.leg, PartyFacts { address, transport, authenticated });
    }
}

/// Whom an outgoing leg goes to.
pub(crate) enum Dialled<'a> {
    Trunk,
    User(&'a Address),
    /// Somebody who may ask for nothing.
    Elsewhere,
}

fn word_of(kind: WishKind) -> &'static str {
    match kind {
        WishKind::Transfer => "transfer",
        WishKind::Redirection => "redirection",
    }
}
