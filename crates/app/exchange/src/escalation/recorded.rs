//! What is written down of a message, before anything follows from it.

use super::deciding::{Approved, Refused};
use super::{Escalate, Escalation};
use crate::worker::Worker;
use serde_json::Value as Json;
use sx_engine::Time;
use sx_guard::{Authentication, Request, Status};
use sx_ifmessage::IfMessage;
use sx_witness::{Draft, Facts, Kind};

impl Worker {
    pub(super) fn witness_escalation_refused(&mut self, now: Time, asked: &Escalate, refused: &Refused) {
        let rejection = &refused.rejection;
        let kind = if rejection.layer == "admission" { Kind::Rejected } else { Kind::SecurityRejected };
        let facts = facts_of_message(asked)
            .with("layer", rejection.layer)
            .with("rule", &*rejection.rule)
            .with("kind", rejection.reason)
            .with("status", i64::from(rejection.status))
            .and(refused.facts.clone());
        let tables = self.tables.clone();
        self.witness.record(&Draft {
            actor: &asked.message.sender,
            subject: "escalation",
            outcome: "reject",
            reason: &rejection.sentence,
            trace: Some(asked.id),
            policy_version: tables.policy.version(),
            facts,
            ..Draft::new(now, kind)
        });
    }

    /// Writes down why a message was let in. `false`: that is lost, and nothing may follow from it.
    pub(super) fn witness_escalation_admitted(
        &mut self,
        now: Time,
        asked: &Escalate,
        escalation: &Escalation,
        approved: &Approved,
    ) -> bool {
        let admitted = &approved.admitted;
        let facts = facts_of_message(asked)
            .with("route", escalation.routed.route.word())
            .with("because", escalation.routed.reason.sentence())
            .with("experts", i64::try_from(approved.ranking.best.len()).unwrap_or(i64::MAX))
            .and(admitted.facts());
        self.witness.record_or_lose(&Draft {
            actor: &asked.message.sender,
            subject: "escalation",
            outcome: admitted.outcome,
            trace: Some(asked.id),
            policy_version: &admitted.policy,
            facts,
            ..Draft::new(now, Kind::Admission)
        })
    }
}

/// What a message says of itself: personal data is in it that is to stay,
pub(super) const DECLARES: &str = "contains_pii";
/// and has to.
pub(super) const OVERRIDES: &str = "pii_override";
/// It is one.
const EMERGENCY: &str = "emergency";

pub(super) fn says(message: &IfMessage, name: &str) -> bool {
    message.content.get(name).and_then(Json::as_bool).unwrap_or(false)
}

pub(super) fn is_emergency(message: &IfMessage) -> bool {
    let priority = message.content.get("priority").and_then(Json::as_str).unwrap_or_default();
    says(message, EMERGENCY) || priority.eq_ignore_ascii_case(EMERGENCY)
}

/// What a record says of a message.
fn facts_of_message(asked: &Escalate) -> Facts<'static> {
    let message = &asked.message;
    let mut facts = Facts::new().with("brought_by", asked.actor.to_string()).with("from", asked.from.to_string());
    if let Some(hazard) = &message.hazard {
        facts.push("hazard", hazard.kind.word());
        facts.push("severity", hazard.severity.word());
    }
    if let Some(confidence) = message.confidence() {
        facts.push("confidence_milli", (confidence * 1_000.0).round() as i64);
    }
    let flags = [(EMERGENCY, is_emergency(message)), (DECLARES, says(message, DECLARES))];
    for (name, is_so) in flags.into_iter().chain([(OVERRIDES, says(message, OVERRIDES))]) {
        if is_so {
            facts.push(name, true);
        }
    }
    if let Some(trace) = &message.trace {
        facts.push("if_trace", trace.to_string());
    }
    if let Some(id) = &message.id {
        facts.push("message", id.to_string());
    }
    for (kind, count) in asked.redactions.each() {
        facts.push(
            match kind {
                sx_pii::PiiKind::Ssn => "redacted_ssn",
                sx_pii::PiiKind::Email => "redacted_email",
                sx_pii::PiiKind::Phone => "redacted_phone",
                sx_pii::PiiKind::Card => "redacted_card",
                sx_pii::PiiKind::Ip => "redacted_ip",
            },
            i64::from(count),
        );
    }
    facts
}

pub(super) fn facts_of_request(request: &Request<'_>) -> Facts<'static> {
    let mut facts = Facts::new().with("authenticated", request.authenticated.kind().word());
    if let Authentication::Signature(signature) = request.authenticated {
        facts.push("key_matches", signature.key_matches);
        facts.push("verifies", signature.verifies);
        facts.push("age_s", signature.age_s);
    }
    if let Some(escalation) = &request.escalation {
        facts.push("standing", escalation.standing.map_or("unlisted", Status::word));
    }
    facts.push("recent", i64::from(request.recent));
    facts.push("calls", i64::from(request.calls));
    facts
}
