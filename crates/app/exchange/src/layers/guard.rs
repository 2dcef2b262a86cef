//! The fifth to the seventh layer: the rate of the identity, the guard, the witness. Asked for each new request, and for
//! each address that somebody in a call wants to have called.

use super::refusal::{Answer, RefusedBy, sip_call_id};
use crate::counts::Refusal;
use crate::interface::Came;
use crate::obligations::{Recordings, unmet};
use crate::tables::Tables;
use crate::witnessing::{UNWITNESSED, name_of};
use crate::worker::Worker;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use sx_edge::{CallPermit, IdentityLoad, Layer, RetryAfter};
use sx_engine::Time;
use sx_guard::{Action, Authentication, Decision, Obligations, Rate, Reason, ReasonKind, Request, Source as Asker};
use sx_leg::{Bounds, Source};
use sx_sip::message::Message;
use sx_types::{Codec, Consent, Transport};
use sx_witness::{Facts, Value};

/// Who asks, and how that is known.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    pub(crate) source: Source,
    pub(crate) authenticated: Authentication,
}

/// Who asks, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) source: &'a Source,
    pub(crate) authenticated: Authentication,
    pub(crate) address: IpAddr,
    pub(crate) transport: Transport,
    /// How suspicious where it comes from is.
    pub(crate) score_milli: u32,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) action: Action,
    /// Whom, or what.
    pub(crate) subject: &'a str,
    pub(crate) codecs: &'a [Codec],
    /// The names of what else was offered.
    pub(crate) other_codecs: &'a [Box<str>],
    /// Whoever asks has one call more when it is let in.
    pub(crate) begins_call: bool,
}

/// What the guard has decided of what may go on.
#[derive(Debug)]
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
    /// What the call takes of those that whoever has asked may have.
    pub(crate) permit: Option<CallPermit>,
}

/// Why it may not.
#[derive(Debug)]
pub(crate) struct NotAdmitted {
    pub(crate) layer: Layer,
    /// For programs.
    pub(crate) reason: &'static str,
    pub(crate) status: u16,
    pub(crate) sentence: Box<str>,
    pub(crate) retry_after_s: u32,
    pub(crate) refusal: Refusal,
    /// Who has asked.
    pub(crate) actor: Box<str>,
    /// The rule or gate that has decided.
    pub(crate) rule: Box<str>,
    pub(crate) facts: Facts<'static>,
}

impl<'a> Asked<'a> {
    /// Something that brings no media.
    pub(crate) fn without_media(action: Action, subject: &'a str) -> Self {
        Self { action, subject, codecs: &[], other_codecs: &[], begins_call: false }
    }
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
            if obliged.record {
                facts.push("record", obliged.consent.map_or("", Consent::word));
            }
            if let Some(limit_s) = obliged.limit_s {
                facts.push("limit_s", i64::from(limit_s));
            }
        }
        facts
    }

    /// What a call that is let in so is bound to. `recordable`: in what it can be spoken to be recorded.
    pub(crate) fn bounds(&self, recordable: &Arc<[Codec]>) -> Bounds {
        let Some(obliged) = &self.obligations else { return Bounds::default() };
        let talk_max = obliged.limit_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let codecs = obliged.codecs.as_deref().map(Arc::from);
        // Who gave no ground is no reason not to record: a policy is checked for one before.
        let record = obliged.record.then(|| obliged.consent.unwrap_or(Consent::Law));
        let mut bounds = Bounds { codecs, talk_max, record };
        if record.is_some() {
            bounds.add(&Bounds { codecs: Some(recordable.clone()), ..Bounds::default() });
        }
        bounds
    }
}

impl Worker {
    /// Does the policy allow what a request asks for, and can it be written down? Refuses it otherwise.
    pub(crate) fn decide<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        came: &Came,
        request: &Message<B>,
        asked: Asked<'_>,
        identified: &Identified,
    ) -> Option<Admitted> {
        let Identified { source, authenticated } = identified;
        let (address, transport) = (came.flow.remote.ip(), came.flow.transport);
        let score_milli = self.score_of(now, came);
        let who = Who { source, authenticated: *authenticated, address, transport, score_milli };
        match self.judge(now, &who, asked) {
            Ok(admitted) => Some(Admitted { sip_call_id: sip_call_id(request), ..admitted }),
            Err(refused) => {
                let NotAdmitted { layer, reason, status, refusal, retry_after_s, .. } = *refused;
                let answer = match retry_after_s {
                    0 => Answer::status(status, &refused.sentence),
                    seconds => Answer::later(status, &refused.sentence, seconds),
                };
                let by = RefusedBy::new(layer, reason, answer, refusal);
                let by = by.of(super::Asker::by(*authenticated), &refused.actor);
                let rule = Some(&*refused.rule).filter(|rule| !rule.is_empty());
                self.refuse(now, came.flow, request, RefusedBy { rule, facts: refused.facts, ..by });
                None
            }
        }
    }

    /// Does the policy allow it, and can it be written down?
    pub(crate) fn judge(&mut self, now: Time, who: &Who<'_>, asked: Asked<'_>) -> Result<Admitted, Box<NotAdmitted>> {
        let tables = self.tables.clone();
        let name = name_of_asker(who.source);
        let mut request = self.request_of(now, &tables, who, &name, asked);
        let timing = self.layers.begin(Layer::IdentityRate);
        let rate = tables.policy.rate_for(&request);
        let load = self.load_of(&request.source, &name);
        if let Some(load) = &load {
            request.recent = load.count(now, rate.window);
            // What is asked in the course of a call begins no other.
            request.calls = if asked.begins_call { load.calls() } else { 0 };
        }
        self.layers.end(timing);
        let refused = |request: &Request<'_>, decided: &Decision<'_>| {
            let again = load.as_ref().and_then(|load| load.ask(now, rate.limit, rate.window).err());
            Box::new(refused_as_decided(request, decided, again))
        };
        let timing = self.layers.begin(Layer::Guard);
        let decided = tables.policy.decide(&request);
        self.layers.end(timing);
        if !decided.is_approved() {
            let refused = refused(&request, &decided);
            if refused.layer == Layer::Guard {
                self.layers.counts.pass(Layer::IdentityRate);
            }
            return Err(refused);
        }
        let obligations = decided.outcome.obligations().cloned();
        if obligations
            .as_ref()
            .is_some_and(|bound| !unmet(bound, Recordings::by(self.settings.calls.recording.as_ref())).is_empty())
        {
            let sentence = "the policy asks for what this exchange cannot do";
            let refused = NotAdmitted::new(Layer::Guard, "obligation", 403, sentence, Refusal::Forbidden);
            return Err(Box::new(NotAdmitted { actor: (&*name).into(), rule: decided.rule.into(), ..refused }));
        }
        let permit = match taken(now, load.as_ref(), &rate, asked.begins_call) {
            Ok(permit) => permit,
            // Another worker was faster: what it has let in is counted now.
            Err(full) => {
                full.say_in(&mut request, &rate);
                return Err(refused(&request, &tables.policy.decide(&request)));
            }
        };
        self.layers.counts.pass(Layer::IdentityRate);
        self.layers.counts.pass(Layer::Guard);
        let timing = self.layers.begin(Layer::Witness);
        let is_failing = self.witness.is_failing();
        self.layers.end_with(timing, !is_failing);
        if is_failing {
            let refused = NotAdmitted::new(Layer::Witness, "unwritable", 503, UNWITNESSED, Refusal::Unwitnessed);
            return Err(Box::new(NotAdmitted { retry_after_s: 10, actor: (&*name).into(), ..refused }));
        }
        Ok(Admitted {
            outcome: decided.outcome.word(),
            rule: decided.rule.into(),
            policy: tables.policy.version().into(),
            authenticated: who.authenticated.kind().word(),
            obligations,
            address: who.address,
            transport: who.transport,
            country: request.country,
            organisation: request.organisation.into(),
            trunk: match who.source {
                Source::Trunk(name) => Some(name.clone()),
                Source::User(_) | Source::Exchange => None,
            },
            sip_call_id: None,
            permit,
        })
    }

    /// What is known, but for what whoever asks has asked for of late.
    fn request_of<'r>(
        &self,
        now: Time,
        tables: &'r Tables,
        who: &Who<'r>,
        name: &'r str,
        asked: Asked<'r>,
    ) -> Request<'r> {
        let wall_s = self.wall(now).as_secs();
        let source = asker_of(who);
        // What nobody has proved gives no organisation.
        let organisation = tables.organisation_of(name).filter(|_| source != Asker::Anonymous);
        Request {
            action: asked.action,
            source,
            identity: name,
            address: who.address,
            transport: who.transport,
            country: tables.countries.as_ref().and_then(|countries| countries.country_of(who.address)),
            organisation: organisation.unwrap_or_default(),
            authenticated: who.authenticated,
            subject: asked.subject,
            codecs: asked.codecs,
            other_codecs: asked.other_codecs,
            score_milli: who.score_milli,
            recent: 0,
            calls: 0,
            hour_utc: (wall_s / 3600 % 24) as u8,
            // The first of January 1970 was a Thursday.
            weekday: ((wall_s / 86_400 + 3) % 7) as u8,
            escalation: None,
        }
    }

    /// What whoever asks has asked for of late, and its calls. What the exchange itself begins is not counted.
    fn load_of(&mut self, source: &Asker<'_>, name: &str) -> Option<Arc<IdentityLoad>> {
        match source {
            Asker::Trunk(trunk) => self.tables.trunk(trunk).map(|trunk| trunk.load.clone()),
            Asker::User => Some(self.directory.load(name).cloned().unwrap_or_else(|| self.layers.unproved(name))),
            Asker::Anonymous => Some(self.layers.unproved(name)),
            Asker::Exchange => None,
        }
    }
}

impl NotAdmitted {
    fn new(layer: Layer, reason: &'static str, status: u16, sentence: &str, refusal: Refusal) -> Self {
        let (actor, rule) = ("".into(), "".into());
        let sentence = sentence.into();
        Self { layer, reason, status, sentence, retry_after_s: 0, refusal, actor, rule, facts: Facts::new() }
    }
}

/// What whoever asks has too much of.
pub(crate) enum Full {
    Requests,
    Calls,
}

impl Full {
    /// Says so in the facts of the request, for the policy to decide again.
    pub(crate) fn say_in(&self, request: &mut Request<'_>, rate: &Rate) {
        match self {
            Self::Requests => request.recent = rate.limit,
            Self::Calls => request.calls = rate.calls_max,
        }
    }
}

/// Counts what is let in, in one step with the question whether there is room.
pub(crate) fn taken(
    now: Time,
    load: Option<&Arc<IdentityLoad>>,
    rate: &Rate,
    begins_call: bool,
) -> Result<Option<CallPermit>, Full> {
    let Some(load) = load else { return Ok(None) };
    let permit = match begins_call {
        true => Some(load.begin_call(rate.calls_max).ok_or(Full::Calls)?),
        false => None,
    };
    if rate.limit != u32::MAX {
        load.take(now, rate.limit, rate.window).map_err(|_| Full::Requests)?;
    }
    Ok(permit)
}

/// `again`: when there is room for another request, if there is none now.
fn refused_as_decided(asked: &Request<'_>, decided: &Decision<'_>, again: Option<RetryAfter>) -> NotAdmitted {
    let Some(reason) = decided.outcome.reason() else {
        // The rate gate refuses whoever has as much as it may; were it not so, nobody would be let in either.
        return NotAdmitted::new(Layer::IdentityRate, "rate-exceeded", 429, "", Refusal::TooFast);
    };
    let is_rate = matches!(reason.kind, ReasonKind::RateExceeded | ReasonKind::TooManyCalls);
    let (layer, refusal) = match reason.kind {
        _ if is_rate => (Layer::IdentityRate, Refusal::TooFast),
        ReasonKind::CodecNotAllowed => (Layer::Guard, Refusal::NotAcceptable),
        _ => (Layer::Guard, Refusal::Forbidden),
    };
    let mut facts = Facts::new()
        .with("authenticated", asked.authenticated.kind().word())
        .with("recent", i64::from(asked.recent))
        .with("calls", i64::from(asked.calls))
        .with("score_milli", i64::from(asked.score_milli));
    if let Some(lists) = decided.codecs() {
        let names = lists.offered.iter().map(|codec| Value::from(codec.name()));
        let others = lists.others.iter().map(|name| Value::from(name.to_string()));
        facts.push("offered", Value::List(names.chain(others).collect()));
        facts.push("allowed", names_of(&lists.allowed));
    }
    let refused = NotAdmitted::new(layer, reason.kind.word(), status_of(reason), &reason.sentence, refusal);
    let retry_after_s = match (reason.kind, again) {
        (ReasonKind::RateExceeded, Some(again)) => again.seconds,
        _ => reason.retry_after_s,
    };
    let (actor, rule) = (asked.identity.into(), decided.rule.into());
    NotAdmitted { retry_after_s, actor, rule, facts, ..refused }
}

/// The status of a refusal by the policy, for whoever has asked by SIP.
pub fn status_of(reason: &Reason<'_>) -> u16 {
    match reason.kind {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.26
        ReasonKind::CodecNotAllowed => 488,
        // SIP has none of its own for what there is too much of; HTTP's is taken.
        //= https://www.rfc-editor.org/rfc/rfc6585#section-4
        ReasonKind::RateExceeded | ReasonKind::TooManyCalls => 429,
        ReasonKind::Rule => reason.status.unwrap_or(403),
        ReasonKind::NoSpecialist => 404,
        ReasonKind::RoomFull => 486,
        ReasonKind::BandwidthExceeded => 503,
        ReasonKind::NotAuthenticated
        | ReasonKind::UnredactedPii
        | ReasonKind::ExpertNotApproved
        | ReasonKind::BadSource
        | ReasonKind::BadSignature
        | ReasonKind::Stale
        | ReasonKind::Replayed
        | ReasonKind::KeyMismatch
        | ReasonKind::Unlisted
        | ReasonKind::Suspended
        | ReasonKind::Revoked => 403,
    }
}

fn names_of(codecs: &[Codec]) -> Value<'static> {
    Value::List(codecs.iter().map(|codec| Value::from(codec.name())).collect())
}

/// Whoever says that it is a user of ours and has not shown it is nobody in particular.
fn asker_of<'a>(who: &Who<'a>) -> Asker<'a> {
    match (who.source, who.authenticated) {
        (Source::Trunk(name), _) => Asker::Trunk(name),
        (Source::Exchange, _) => Asker::Exchange,
        (Source::User(_), Authentication::Nothing) => Asker::Anonymous,
        (Source::User(_), _) => Asker::User,
    }
}

fn name_of_asker(source: &Source) -> std::borrow::Cow<'_, str> {
    match source {
        Source::Trunk(name) => (&**name).into(),
        other => name_of(other).into(),
    }
}
