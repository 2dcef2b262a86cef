//! What operators are told of escalations.

use super::{Escalation, Phase, Rejection, RungOutcome};
use crate::worker::Worker;
use serde_json::{Map, Value};
use std::sync::Arc;
use sx_engine::Time;
use sx_types::{CallId, Cause, TraceId};

/// An escalation, as it is now.
#[derive(Clone, Debug)]
pub struct EscalationReport {
    /// What it is called, and its story.
    pub id: TraceId,
    /// `held`, `shared`, `ringing`, `connected`, `no_expert`, `ended` or `rejected`.
    pub state: &'static str,
    /// Who has made the message.
    pub sender: Box<str>,
    /// Who has brought it.
    pub actor: Box<str>,
    /// What kind of hazard it tells of, and how bad it is.
    pub hazard: Option<(&'static str, &'static str)>,
    /// `escalate`, `hold` or `share`, and why.
    pub route: (&'static str, &'static str),
    /// How sure the agent is.
    pub confidence: Option<f64>,
    /// What is said, without what it says of persons.
    pub content: Map<String, Value>,
    /// How much that was.
    pub redacted: u32,
    /// By what the agent traces it.
    pub if_trace: Option<Box<str>>,
    /// The room that experts are fetched to.
    pub room: Option<Arc<str>>,
    /// When it came.
    pub began: Time,
    /// When an expert was in the room.
    pub connected: Option<Time>,
    /// When it was over.
    pub ended: Option<Time>,
    /// The call of the expert who is in the room.
    pub call: Option<CallId>,
    /// Who was rung, in that order.
    pub rung: Vec<AttemptReport>,
    /// Who knows about it and is not rung, and why.
    pub passed_over: Vec<(Box<str>, &'static str)>,
    /// Why it was refused.
    pub rejection: Option<Rejection>,
}

/// Somebody who was rung.
#[derive(Clone, Debug)]
pub struct AttemptReport {
    /// Who.
    pub expert: Box<str>,
    /// Where.
    pub address: Box<str>,
    /// By which call.
    pub call: CallId,
    /// When.
    pub began: Time,
    /// `trying`, `ringing`, `answered` or `failed`.
    pub outcome: &'static str,
    /// Why nobody has answered.
    pub cause: Option<Cause>,
}

impl Worker {
    /// The escalations, the newest first, at most so many; and how many there are.
    pub fn escalations(&self, max: usize) -> (usize, Vec<EscalationReport>) {
        let all = &self.escalations;
        let mut newest: Vec<&Escalation> = all.running.values().chain(&all.kept).collect();
        newest.sort_by_key(|escalation| std::cmp::Reverse((escalation.began, escalation.id.as_u128())));
        let total = newest.len();
        (total, newest.into_iter().take(max).map(report).collect())
    }

    /// One of them.
    pub fn escalation(&self, id: TraceId) -> Option<EscalationReport> {
        self.escalations.find(id).map(report)
    }

    /// How many are under way.
    pub fn escalations_running(&self) -> usize {
        self.escalations.running.len()
    }
}

fn report(escalation: &Escalation) -> EscalationReport {
    let message = &escalation.message;
    let (state, call, rejection) = match &escalation.phase {
        Phase::Held => ("held", None, None),
        Phase::Shared => ("shared", None, None),
        Phase::Ringing => ("ringing", None, None),
        Phase::Connected(call) => ("connected", Some(*call), None),
        Phase::NoExpert => ("no_expert", None, None),
        Phase::Ended => ("ended", None, None),
        Phase::Rejected(rejection) => ("rejected", None, Some(Rejection::clone(rejection))),
    };
    EscalationReport {
        id: escalation.id,
        state,
        sender: message.sender.clone(),
        actor: escalation.actor.clone(),
        hazard: message.hazard.as_ref().map(|hazard| (hazard.kind.word(), hazard.severity.word())),
        route: (escalation.routed.route.word(), escalation.routed.reason.sentence()),
        confidence: message.confidence(),
        content: message.content.clone(),
        redacted: escalation.redacted,
        if_trace: message.trace.clone(),
        room: escalation.room.clone(),
        began: escalation.began,
        connected: escalation.connected,
        ended: escalation.ended,
        call,
        rung: escalation.rung.iter().map(attempt).collect(),
        passed_over: escalation.passed_over.clone(),
        rejection,
    }
}

fn attempt(rung: &super::Rung) -> AttemptReport {
    let (outcome, cause) = match rung.outcome {
        RungOutcome::Trying => ("trying", None),
        RungOutcome::Ringing => ("ringing", None),
        RungOutcome::Answered => ("answered", None),
        RungOutcome::Failed(cause) => ("failed", Some(cause)),
    };
    let (expert, address) = (rung.expert.clone(), rung.address.clone());
    AttemptReport { expert, address, call: rung.call, began: rung.began, outcome, cause }
}
