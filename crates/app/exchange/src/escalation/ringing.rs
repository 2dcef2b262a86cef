//! Experts are rung, one or several at a time, until one answers or the list ends.

use super::deciding::RINGS_WINDOW;
use super::{Escalation, EvidenceLinks, Phase, Rung, RungOutcome};
use crate::worker::Worker;
use sx_call::{Command, Ender, Input as CallInput, Invite, Note};
use sx_config::{Rering, RingOrder};
use sx_engine::{Engine as _, Time};
use sx_escalation::{Attempt, Candidate, Search};
use sx_expert::{Expert, Ranking};
use sx_leg::{Address, Header, Identity};
use sx_sip::message::Uri;
use sx_types::{CallId, Cause, TraceId};
use sx_witness::{Draft, Facts, Kind};

/// So many times at most an expert whose call was cut off is rung again.
const RERINGS_MAX: usize = 3;

impl Worker {
    /// Has the best experts rung.
    pub(super) fn begin_ringing(&mut self, now: Time, mut escalation: Escalation, ranking: &Ranking) {
        let people = self.people.clone();
        let rules = &self.tables.escalation.config;
        let lanes = if rules.order == RingOrder::Serial { 1 } else { rules.parallel_max };
        // What is kept of each is little, but not for every expert of every escalation.
        let candidates =
            ranking.best.iter().take(rules.experts_max).map(|ranked| candidate(&people.experts()[ranked.index]));
        escalation.search = Search::new(candidates, lanes);
        escalation.passed_over = ranking
            .passed_over
            .iter()
            .take(rules.experts_max)
            .map(|(place, why)| (people.experts()[*place].id.clone(), why.sentence()))
            .collect();
        let id = escalation.id;
        self.escalations.running.insert(id, escalation);
        self.ring_on(now, id);
    }

    /// Rings whom the search wants rung now; ends it when nobody is left.
    fn ring_on(&mut self, now: Time, id: TraceId) {
        loop {
            let Some(escalation) = self.escalations.running.get_mut(&id) else { return };
            if escalation.phase != Phase::Ringing {
                return;
            }
            let Some(attempt) = escalation.search.poll() else { break };
            self.ring(now, id, &attempt);
        }
        let is_over = self.escalations.running.get(&id).is_some_and(|escalation| escalation.search.is_over());
        if is_over && let Some(mut escalation) = self.escalations.running.remove(&id) {
            escalation.phase = Phase::NoExpert;
            let tried = i64::try_from(escalation.rung.len()).unwrap_or(i64::MAX);
            let facts = Facts::new().with("tried", tried);
            self.witness_escalation(now, &escalation, "no_expert", "nobody has answered", facts, None);
            self.escalation_over(now, escalation);
        }
    }

    /// Rings an expert, unless that is too often or they are busy.
    fn ring(&mut self, now: Time, id: TraceId, attempt: &Attempt) {
        let (people, tables, wall) = (self.people.clone(), self.tables.clone(), self.wall(now));
        let Some(escalation) = self.escalations.running.get_mut(&id) else { return };
        let rules = &tables.escalation.config;
        let permit = people.place_of(&attempt.expert).and_then(|place| {
            let rung = people.rung(place);
            let permit = rung.begin_call(people.experts()[place].calls_max)?;
            rung.take(now, rules.rings_per_minute, RINGS_WINDOW).ok().map(|()| permit)
        });
        let (Some(permit), Some(room)) = (permit, escalation.room.clone()) else {
            return escalation.search.failed(&attempt.expert);
        };
        let hazard = escalation.message.hazard.as_ref().map_or("", |hazard| hazard.kind.word());
        let call = CallId::new(now.as_millis(), self.rng.u128());
        let to = callee(&attempt.address, &tables);
        let is_ours = self.directory.find(&format!("{}@{}", to.user, to.domain)).is_some();
        let links = self.settings.links.clone().filter(|_| is_ours);
        let evidence = links.and_then(|links| evidence_header(&*links, id, &attempt.expert, wall));
        let domain = tables.domains.first().map_or("localhost", |domain| domain);
        let bounds = escalation.admitted.as_ref().map(|admitted| admitted.bounds(&self.settings.recordable));
        let invite = Invite {
            call,
            trace: id,
            room: room.clone(),
            from: Identity { address: Address::new(&room, domain), display: shown(escalation), ..Identity::default() },
            to,
            headers: headers(escalation).into_iter().chain(evidence).collect(),
            bounds: bounds.unwrap_or_default(),
            arrival: rules.announcement(hazard).cloned(),
        };
        escalation.permits.insert(call, permit);
        escalation.deadlines.insert(call, now + rules.ring_timeout);
        let (expert, address) = (attempt.expert.clone(), attempt.address.clone());
        escalation.rung.push(Rung { expert, address, call, began: now, outcome: RungOutcome::Trying });
        self.escalations.by_call.insert(call, id);
        let facts =
            Facts::new().with("expert", attempt.expert.to_string()).with("address", attempt.address.to_string());
        self.witness.record(&Draft {
            actor: "exchange",
            subject: "escalation",
            outcome: "rings",
            call: Some(call),
            trace: Some(id),
            facts,
            ..Draft::new(now, Kind::Escalation)
        });
        self.calls.handle_input(now, CallInput::Command(Command::Invite(Box::new(invite))));
        // What could not be begun says nothing more of itself.
        if self.calls.summary(call).is_none() {
            self.rung_in_vain(now, call, Cause::NO_RESOURCE);
        }
    }

    /// A call has something to tell.
    pub(crate) fn escalation_heard(&mut self, now: Time, note: &Note) {
        match note {
            Note::Ringing { call, .. } => {
                if let Some(rung) = self.escalations.rung_mut(*call)
                    && rung.outcome == RungOutcome::Trying
                {
                    rung.outcome = RungOutcome::Ringing;
                }
            }
            Note::Answered { call, .. } => self.expert_answered(now, *call),
            Note::Ended { call, cause, by, .. } => self.expert_call_ended(now, *call, *cause, *by),
            _ => {}
        }
    }

    fn expert_answered(&mut self, now: Time, call: CallId) {
        let Some(id) = self.escalations.by_call.get(&call).copied() else { return };
        let Some(escalation) = self.escalations.running.get_mut(&id) else { return };
        escalation.deadlines.remove(&call);
        let Some(rung) = escalation.rung.iter_mut().find(|rung| rung.call == call) else { return };
        if escalation.phase != Phase::Ringing {
            // Two have answered at once, and one was first.
            return self.hang_up_expert(now, call, Cause::NORMAL, Ender::Exchange);
        }
        rung.outcome = RungOutcome::Answered;
        let expert = rung.expert.clone();
        escalation.phase = Phase::Connected(call);
        escalation.connected = Some(now);
        escalation.search.answered(&expert);
        let others: Vec<CallId> = escalation.deadlines.keys().copied().collect();
        let set_up_ms = i64::try_from(now.since(escalation.began).as_millis()).unwrap_or(i64::MAX);
        let room = escalation.room.as_deref().unwrap_or_default().to_owned();
        let facts = Facts::new().with("expert", expert.to_string()).with("room", room).with("set_up_ms", set_up_ms);
        self.witness.record(&Draft {
            actor: &expert,
            subject: "escalation",
            outcome: "connected",
            call: Some(call),
            trace: Some(id),
            facts,
            ..Draft::new(now, Kind::Escalation)
        });
        self.counts.count_escalation(&Phase::Connected(call));
        self.tell_of_evidence(now, id, call);
        others.into_iter().for_each(|other| self.hang_up_expert(now, other, Cause::NON_SELECTED, Ender::Exchange));
    }

    fn expert_call_ended(&mut self, now: Time, call: CallId, cause: Cause, by: Ender) {
        let Some(id) = self.escalations.by_call.get(&call).copied() else { return };
        let Some(escalation) = self.escalations.running.get(&id) else {
            self.escalations.by_call.remove(&call);
            return;
        };
        if escalation.phase != Phase::Connected(call) {
            return self.rung_in_vain(now, call, cause);
        }
        self.escalations.by_call.remove(&call);
        let Some(mut escalation) = self.escalations.running.remove(&id) else { return };
        escalation.permits.remove(&call);
        let rung = escalation.rung.iter_mut().find(|rung| rung.call == call);
        let expert = rung.map(|rung| rung.expert.clone()).unwrap_or_default();
        let facts = Facts::new().with("expert", expert.to_string()).with("cause", i64::from(cause.0));
        if self.is_wanted_back(&escalation, &expert, by) {
            self.witness_escalation(now, &escalation, "cut_off", "the expert's call was cut off", facts, Some(call));
            escalation.phase = Phase::Ringing;
            escalation.search.resume(self.candidates_again(now, &escalation, &expert));
            self.escalations.running.insert(id, escalation);
            return self.ring_on(now, id);
        }
        escalation.phase = Phase::Ended;
        self.witness_escalation(now, &escalation, "ended", cause.text(), facts, Some(call));
        self.escalation_over(now, escalation);
    }

    /// Whom to ring when the call of `expert` was cut off: them, and then the best of now, of whom many were busy or away when
    /// the search began. Those who have been rung in vain come last.
    fn candidates_again(&self, now: Time, escalation: &Escalation, expert: &str) -> Vec<Candidate> {
        let Some(admitted) = &escalation.admitted else { return Vec::new() };
        let ranking = self.ranked(now, &escalation.message, admitted.address);
        let experts = self.people.experts();
        let others = || ranking.best.iter().map(|ranked| &experts[ranked.index]).filter(|other| *other.id != *expert);
        let in_vain = |other: &Expert| escalation.rung.iter().any(|rung| rung.expert == other.id);
        let first = self.people.place_of(expert).map(|place| &experts[place]);
        let untried = others().filter(|other| !in_vain(other));
        let again = first.into_iter().chain(untried).chain(others().filter(|other| in_vain(other)));
        again.take(self.tables.escalation.config.experts_max + 1).map(candidate).collect()
    }

    /// Is an expert rung again whose call has ended so?
    fn is_wanted_back(&self, escalation: &Escalation, expert: &str, by: Ender) -> bool {
        let has_limit =
            escalation.admitted.as_ref().and_then(|admitted| admitted.obligations.as_ref()?.limit_s).is_some();
        let is_cut_off = by == Ender::Failure || (by == Ender::Timer && !has_limit);
        let answered = |rung: &&Rung| rung.outcome == RungOutcome::Answered && *rung.expert == *expert;
        self.tables.escalation.config.rering == Rering::CutOff
            && is_cut_off
            && !self.draining
            && escalation.rung.iter().filter(answered).count() <= RERINGS_MAX
    }

    /// Nobody has answered there, or it was not wanted any more.
    fn rung_in_vain(&mut self, now: Time, call: CallId, cause: Cause) {
        let Some(id) = self.escalations.by_call.remove(&call) else { return };
        let Some(escalation) = self.escalations.running.get_mut(&id) else { return };
        escalation.permits.remove(&call);
        escalation.deadlines.remove(&call);
        if let Some(rung) = escalation.rung.iter_mut().find(|rung| rung.call == call) {
            rung.outcome = RungOutcome::Failed(cause);
            let expert = rung.expert.clone();
            escalation.search.failed(&expert);
        }
        self.ring_on(now, id);
    }

    fn hang_up_expert(&mut self, now: Time, call: CallId, cause: Cause, by: Ender) {
        self.calls.handle_input(now, CallInput::Command(Command::Hangup { call, cause, by }));
    }

    /// Gives up those who have rung for too long.
    pub(crate) fn escalations_due(&mut self, now: Time) {
        let due = |escalation: &Escalation| {
            let due = escalation.deadlines.iter().filter(|(_, deadline)| **deadline <= now);
            due.map(|(call, _)| *call).collect::<Vec<_>>()
        };
        let due: Vec<CallId> = self.escalations.running.values().flat_map(due).collect();
        for call in due {
            if let Some(id) = self.escalations.by_call.get(&call)
                && let Some(escalation) = self.escalations.running.get_mut(id)
            {
                escalation.deadlines.remove(&call);
            }
            self.hang_up_expert(now, call, Cause::NO_ANSWER, Ender::Timer);
        }
    }

    /// Ends an escalation: whoever rings or is in the room for it is hung up.
    pub(crate) fn end_escalation(&mut self, now: Time, id: TraceId, by: &str) {
        let Some(mut escalation) = self.escalations.running.remove(&id) else { return };
        escalation.phase = Phase::Ended;
        let calls: Vec<CallId> = escalation.permits.keys().copied().collect();
        escalation.permits.clear();
        escalation.deadlines.clear();
        let facts = Facts::new().with("by", by.to_owned());
        self.witness_escalation(now, &escalation, "ended", "an operator has ended it", facts, None);
        self.escalation_over(now, escalation);
        calls.into_iter().for_each(|call| self.hang_up_expert(now, call, Cause::NORMAL, Ender::Operator));
    }

    fn witness_escalation(
        &mut self,
        now: Time,
        escalation: &Escalation,
        outcome: &str,
        reason: &str,
        facts: Facts<'_>,
        call: Option<CallId>,
    ) {
        self.witness.record(&Draft {
            actor: &escalation.message.sender,
            subject: "escalation",
            outcome,
            reason,
            call,
            trace: Some(escalation.id),
            facts,
            ..Draft::new(now, Kind::Escalation)
        });
    }

    /// Can an expert be called at any of their addresses? A user of ours can who is registered; of whom else we do not know.
    pub(super) fn is_reachable(&self, expert: &Expert) -> bool {
        expert.addresses.iter().any(|address| {
            let address = callee(address, &self.tables).to_string();
            self.directory.is_registered(&address).unwrap_or(true)
        })
    }
}

impl super::Escalations {
    fn rung_mut(&mut self, call: CallId) -> Option<&mut Rung> {
        let escalation = self.running.get_mut(self.by_call.get(&call)?)?;
        escalation.rung.iter_mut().find(|rung| rung.call == call)
    }
}

fn candidate(expert: &Expert) -> Candidate {
    Candidate { expert: expert.id.clone(), addresses: expert.addresses.clone() }
}

/// Whom an address means: a user or a number without a domain is one of ours.
pub(super) fn callee(text: &str, tables: &crate::Tables) -> Address {
    let has_scheme = |uri: &Uri<'_>| !uri.user.is_empty() && text.contains(':');
    if let Some(uri) = Uri::parse(text.as_bytes()).ok().filter(has_scheme) {
        let domain = tables.dialled_domain(&uri);
        return Address::new(&uri.user_unescaped(), &domain);
    }
    let ours = tables.domains.first().map_or("localhost", |domain| domain);
    let (user, host) = text.rsplit_once('@').unwrap_or((text, ours));
    let domain = tables.domain_of_host(host).map_or_else(|| host.to_ascii_lowercase(), str::to_owned);
    Address::new(user, &domain)
}

/// What the telephone of an expert shows while it rings.
pub(super) fn shown(escalation: &Escalation) -> Box<str> {
    let hazard = escalation.message.hazard.as_ref();
    hazard.map_or_else(Default::default, |hazard| format!("{} hazard, {}", hazard.kind, hazard.severity).into())
}

/// Where the evidence is. Only telephones of ours are told: what others are told passes who knows whom.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.9
fn evidence_header(links: &dyn EvidenceLinks, escalation: TraceId, expert: &str, wall: Time) -> Option<Header> {
    let link = links.link(escalation, expert, wall)?;
    Some(Header { name: "Call-Info".into(), value: format!("<{link}>;purpose=info").into() })
}

/// What the telephone of an expert is told of what it rings for.
fn headers(escalation: &Escalation) -> Vec<Header> {
    let message = &escalation.message;
    let trace = message.trace.as_deref().map_or_else(|| escalation.id.to_string(), str::to_owned);
    let hazard = message.hazard.as_ref().map_or("", |hazard| hazard.kind.word());
    let line = |text: &str| text.chars().filter(|c| !c.is_control()).collect::<String>();
    let header = |name: &str, value: &str| Header { name: name.into(), value: line(value).into() };
    vec![
        header("X-IF-Trace-ID", &trace),
        header("X-IF-Hazard", hazard),
        header("X-IF-Source", &message.sender),
        header("X-IF-Bridge-Mode", "room"),
        header("X-IF-Authenticated-User", &message.sender),
    ]
}
