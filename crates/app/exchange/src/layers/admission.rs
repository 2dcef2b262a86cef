//! The layers behind the source's rate, for a new request: network, transport, identity, rate of the identity, guard, witness.

use super::refusal::{Answer, RefusedBy, sip_call_id};
use crate::counts::Refusal;
use crate::interface::Came;
use crate::witnessing::{UNWITNESSED, name_of};
use crate::worker::Worker;
use std::net::IpAddr;
use std::sync::Arc;
use sx_edge::{Layer, Refused};
use sx_engine::Time;
use sx_guard::{Action, Authentication, Decision, Obligations, Outcome, ReasonKind, Request, Source as Asker};
use sx_leg::Source;
use sx_sip::message::Message;
use sx_types::{Codec, Flow, LinkId, Transport};
use sx_witness::{Facts, Value};

/// Who asks, and how that is known.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    pub(crate) source: Source,
    pub(crate) authenticated: Authentication,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) action: Action,
    /// Whom, or what.
    pub(crate) subject: &'a str,
    pub(crate) codecs: &'a [Codec],
}

/// What the guard has decided of a request that may go on.
#[derive(Clone, Debug)]
pub(crate) struct Admitted {
    /// `approve` or `conditional`.
    pub(crate) outcome: &'static str,
    /// The rule or gate that has decided.
    pub(crate) rule: Box<str>,
    pub(crate) policy: Box<str>,
    pub(crate) authenticated: &'static str,
    pub(crate) obligations: Option<Obligations>,
    /// What was known of whoever asks, and decided about.
    pub(crate) address: IpAddr,
    pub(crate) transport: Transport,
    pub(crate) country: Option<[u8; 2]>,
    pub(crate) organisation: Box<str>,
    /// The trunk it came by.
    pub(crate) trunk: Option<Arc<str>>,
    /// The request's Call-ID.
    pub(crate) sip_call_id: Option<Box<str>>,
}

impl Admitted {
    /// Why it was let in, for a record.
    pub(crate) fn facts(&self) -> Facts<'_> {
        let mut facts = Facts::new()
            .with("rule", &*self.rule)
            .with("source", self.address.to_string())
            .with("transport", self.transport.to_string())
            .with("authenticated", self.authenticated);
        if let Some(country) = &self.country {
            facts.push("country", String::from_utf8_lossy(country));
        }
        if !self.organisation.is_empty() {
            facts.push("organisation", &*self.organisation);
        }
        if let Some(trunk) = &self.trunk {
            facts.push("trunk", &**trunk);
        }
        if let Some(sip_call_id) = &self.sip_call_id {
            facts.push("sip_call_id", &**sip_call_id);
        }
        if let Some(obliged) = &self.obligations {
            if let Some(codecs) = &obliged.codecs {
                facts.push("codecs", names_of(codecs));
            }
            if let Some(limit_s) = obliged.limit_s {
                facts.push("limit_s", i64::from(limit_s));
            }
        }
        facts
    }
}

impl Worker {
    /// The second and third layer: may anybody come from there, and over that?
    pub(crate) fn may_come_from<B: AsRef<[u8]>>(&mut self, now: Time, flow: Flow, request: &Message<B>) -> bool {
        if flow.link == LinkId::BETWEEN_WORKERS {
            return true;
        }
        let (address, tables) = (flow.remote.ip(), self.tables.clone());
        let timing = self.layers.begin(Layer::Network);
        let organisation = tables.allowlist.at(address);
        let is_known = organisation.is_some() || !tables.only_organisations || tables.trunk_at(address).is_some();
        if !is_known {
            self.refuse_network(now, flow, request, None, Refused::NotInNetwork);
        }
        self.layers.end_with(timing, is_known);
        if !is_known {
            return false;
        }
        let timing = self.layers.begin(Layer::Transport);
        let is_heard = organisation.is_none_or(|organisation| organisation.is_heard_over(flow.transport));
        if !is_heard {
            self.refuse_network(now, flow, request, None, Refused::TlsRequired);
        }
        self.layers.end_with(timing, is_heard);
        is_heard
    }

    /// Is the user one of an organisation's, and in its place?
    pub(crate) fn may_come_as<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        user: &str,
    ) -> bool {
        let tables = self.tables.clone();
        let Some(organisation) = tables.organisation_of(user) else { return true };
        match tables.allowlist.decide(flow.remote.ip(), flow.transport, Some(organisation)) {
            Ok(_) => true,
            Err(refused) => {
                self.refuse_network(now, flow, request, Some(user), refused);
                false
            }
        }
    }

    fn refuse_network<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        actor: Option<&str>,
        refused: Refused,
    ) {
        let (layer, reason, sentence) = match refused {
            Refused::NotInNetwork => (Layer::Network, "not-in-network", "requests are not taken from this network"),
            Refused::TlsRequired => (Layer::Transport, "tls-required", "TLS is required here"),
        };
        let refused = RefusedBy::new(layer, reason, Answer::status(403, sentence), Refusal::Forbidden);
        self.refuse(now, flow, request, RefusedBy { actor, ..refused });
    }

    /// Part of the fourth layer: is the country one that requests are taken from?
    pub(crate) fn may_come_from_country<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
    ) -> bool {
        let tables = self.tables.clone();
        let Some(countries) = &tables.countries else { return true };
        let country = countries.country_of(flow.remote.ip());
        if countries.lets_in(country) || tables.trunk_at(flow.remote.ip()).is_some() {
            return true;
        }
        let letters = country.map(|letters| String::from_utf8_lossy(&letters).into_owned()).unwrap_or_default();
        let facts = Facts::new().with("country", letters);
        let answer = Answer::status(403, "requests are not taken from this country");
        let refused = RefusedBy::new(Layer::Identity, "country", answer, Refusal::Forbidden);
        self.refuse(now, flow, request, RefusedBy { facts, ..refused });
        false
    }

    /// The fifth to the seventh layer: does the policy allow this, and can it be written down?
    pub(crate) fn decide<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        request: &Message<B>,
        asked: Asked<'_>,
        identified: &Identified,
    ) -> Option<Admitted> {
        let flow = came.flow;
        let Asked { action, subject, codecs } = asked;
        let tables = self.tables.clone();
        let address = flow.remote.ip();
        let name = name_of_asker(&identified.source);
        let wall_s = now.as_millis().saturating_add_signed(self.layers.wall_ahead_ms) / 1000;
        let mut asked = Request {
            action,
            source: asker_of(&identified.source),
            identity: &name,
            address,
            transport: flow.transport,
            country: tables.countries.as_ref().and_then(|countries| countries.country_of(address)),
            organisation: tables.organisation_of(&name).unwrap_or_default(),
            authenticated: identified.authenticated,
            subject,
            codecs,
            score_milli: self.score_of(now, came),
            recent: 0,
            calls: self.layers.calls.get(&*name).copied().unwrap_or_default(),
            hour_utc: (wall_s / 3600 % 24) as u8,
            // The first of January 1970 was a Thursday.
            weekday: ((wall_s / 86_400 + 3) % 7) as u8,
        };
        let timing = self.layers.begin(Layer::IdentityRate);
        let rate = tables.policy.rate_for(&asked);
        asked.recent = self.layers.rates.count(now, &*name);
        self.layers.end(timing);
        let timing = self.layers.begin(Layer::Guard);
        let decided = tables.policy.decide(&asked);
        self.layers.end(timing);
        if let Outcome::Reject(reason) = &decided.outcome {
            self.refuse_as_decided(now, flow, request, &asked, &decided, reason);
            return None;
        }
        if rate.limit != u32::MAX {
            self.layers.rates.consume(now, &name.as_ref().into(), rate.window);
        }
        self.layers.counts.pass(Layer::IdentityRate);
        self.layers.counts.pass(Layer::Guard);
        let timing = self.layers.begin(Layer::Witness);
        let is_failing = self.witness.is_failing();
        if is_failing {
            let answer = Answer::later(503, UNWITNESSED, 10);
            let refused = RefusedBy::new(Layer::Witness, "unwritable", answer, Refusal::Unwitnessed);
            self.refuse(now, flow, request, RefusedBy { actor: Some(&name), ..refused });
        }
        self.layers.end_with(timing, !is_failing);
        if is_failing {
            return None;
        }
        Some(Admitted {
            outcome: decided.outcome.word(),
            rule: decided.rule.into(),
            policy: tables.policy.version().into(),
            authenticated: identified.authenticated.kind().word(),
            obligations: decided.outcome.obligations().cloned(),
            address,
            transport: flow.transport,
            country: asked.country,
            organisation: asked.organisation.into(),
            trunk: match &identified.source {
                Source::Trunk(name) => Some(name.clone()),
                Source::User(_) | Source::Exchange => None,
            },
            sip_call_id: sip_call_id(request),
        })
    }

    fn refuse_as_decided<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        asked: &Request<'_>,
        decided: &Decision<'_>,
        reason: &sx_guard::Reason<'_>,
    ) {
        let is_rate = matches!(reason.kind, ReasonKind::RateExceeded | ReasonKind::TooManyCalls);
        let (layer, refusal) = match reason.kind {
            _ if is_rate => (Layer::IdentityRate, Refusal::TooFast),
            ReasonKind::CodecNotAllowed => (Layer::Guard, Refusal::NotAcceptable),
            _ => (Layer::Guard, Refusal::Forbidden),
        };
        if !is_rate {
            self.layers.counts.pass(Layer::IdentityRate);
        }
        let mut facts = Facts::new()
            .with("authenticated", asked.authenticated.kind().word())
            .with("recent", i64::from(asked.recent))
            .with("calls", i64::from(asked.calls))
            .with("score_milli", i64::from(asked.score_milli));
        if let Some(lists) = decided.codecs() {
            facts.push("offered", names_of(&lists.offered));
            facts.push("allowed", names_of(&lists.allowed));
        }
        let answer = match reason.retry_after_s {
            0 => Answer::status(reason.status, &reason.sentence),
            seconds => Answer::later(reason.status, &reason.sentence, seconds),
        };
        let (actor, rule) = (Some(asked.identity), Some(decided.rule).filter(|rule| !rule.is_empty()));
        let refused = RefusedBy::new(layer, reason.kind.word(), answer, refusal);
        self.refuse(now, flow, request, RefusedBy { actor, rule, facts, ..refused });
    }
}

fn names_of(codecs: &[Codec]) -> Value<'static> {
    Value::List(codecs.iter().map(|codec| Value::from(codec.name())).collect())
}

fn asker_of(source: &Source) -> Asker<'_> {
    match source {
        Source::Trunk(name) => Asker::Trunk(name),
        Source::User(_) => Asker::User,
        Source::Exchange => Asker::Exchange,
    }
}

fn name_of_asker(source: &Source) -> std::borrow::Cow<'_, str> {
    match source {
        Source::Trunk(name) => (&**name).into(),
        other => name_of(other).into(),
    }
}
