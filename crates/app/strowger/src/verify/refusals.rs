//! What has to be refused: and that it was, by which rule and on which facts, is on record.

use super::report::Report;
use super::rounds::message;
use super::stage::Stage;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use sx_http::Verb;

/// Makes both.
pub fn run(report: &mut Report, stage: &Stage) {
    for (name, guardian, hazard, reason) in [
        ("bad source", "guardian.legal", "legal", "bad-source"),
        ("unapproved expert", "guardian.ethical", "privacy", "expert-not-approved"),
    ] {
        report.check(name, || refused(stage, guardian, hazard, reason));
    }
}

fn refused(stage: &Stage, guardian: &str, hazard: &str, reason: &str) -> anyhow::Result<((), String)> {
    let message = message(stage, guardian, hazard, None)?;
    let (status, answer) = stage.api.ask(Verb::Post, "/escalations", &message.to_string())?;
    ensure!(status == 403, "it gets {status}: {answer}");
    ensure!(answer["reason"] == reason, "the reason is {}", answer["reason"]);
    let id = answer["escalation"].as_str().context("the problem names no escalation")?;
    let mut record = Value::Null;
    stage.wait_for("it is on record", || {
        let told = stage.get(&format!("/witness/traces/{id}?limit=50"))?;
        let records = told["records"].as_array().context("there are no records")?;
        let found = records.iter().find(|record| record["kind"] == "security_rejected");
        record = found.cloned().unwrap_or_default();
        Ok(found.is_some())
    })?;
    let (rule, facts) = (&record["facts"]["rule"], &record["facts"]);
    ensure!(*rule == answer["rule"] && facts["kind"] == reason, "the record is {record}");
    ensure!(facts["experts_knowing"] == 1 && facts["experts_allowed"] == 0, "the facts are {facts}");
    let rule = rule.as_str().unwrap_or_default();
    Ok(((), format!("403 {reason}, by the gate {rule}, on record with its facts")))
}
