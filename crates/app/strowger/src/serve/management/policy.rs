//! The policy in force, and what it would say.

use super::Operators;
use serde_json::{Value, json};
use sx_config::ConfigError;
use sx_guard::{Explanation, Rule, Step};
use sx_http::{ApiAnswer, ApiProblem, FieldProblem, Place};

impl Operators {
    pub(super) fn policy(&self) -> ApiAnswer {
        let policy = self.live.tables().policy.clone();
        ApiAnswer::Json(json!({
            "version": policy.version(),
            "hash": policy.full_hash(),
            "rules": policy.rules().iter().map(rule).collect::<Vec<_>>(),
            "identities": policy.identities(),
        }))
    }

    /// Nothing is counted, so that whoever asks what would be uses nothing up.
    pub(super) fn explain(&self, facts: &Value) -> Result<ApiAnswer, ApiProblem> {
        let request = sx_config::read_facts(&facts.to_string())
            .map_err(|errors| ApiProblem::invalid(errors.iter().map(fault).collect()))?;
        let policy = self.live.tables().policy.clone();
        Ok(ApiAnswer::Json(explained(&policy.explain(&request.as_request()))))
    }
}

fn fault(error: &ConfigError) -> FieldProblem {
    let field = if error.key.is_empty() { "facts".to_owned() } else { format!("facts.{}", error.key) };
    FieldProblem { field, place: Place::Body, detail: error.problem.to_string() }
}

fn rule(rule: &Rule) -> Value {
    json!({
        "name": &*rule.name,
        "then": rule.then.word(),
        "status": rule.status,
        "reason": rule.reason.as_deref(),
        "obligations": (!rule.obligations.is_empty()).then(|| rule.obligations.to_string()),
    })
}

fn explained(explanation: &Explanation) -> Value {
    let outcome = explanation.outcome();
    let reason = outcome.reason().map(|reason| {
        json!({
            "kind": reason.kind.word(),
            "status": sx_exchange::status_of(reason),
            "sentence": &*reason.sentence,
            "retry_after_s": reason.retry_after_s,
        })
    });
    json!({
        "policy_version": explanation.version(),
        "outcome": outcome.word(),
        "decided_by": explanation.rule(),
        "gate": explanation.gate().map(sx_guard::Gate::word),
        "reason": reason,
        "obligations": outcome.obligations().map(ToString::to_string),
        "steps": explanation.steps().iter().map(step).collect::<Vec<_>>(),
        "text": explanation.to_string(),
    })
}

fn step(step: &Step) -> Value {
    let read = |fact: &sx_guard::Fact| json!({ "name": fact.name, "value": fact.value, "wanted": fact.wanted, "holds": fact.holds });
    json!({
        "part": step.part.to_string(),
        "said": step.said.words(),
        "read": step.read.iter().map(read).collect::<Vec<_>>(),
    })
}
