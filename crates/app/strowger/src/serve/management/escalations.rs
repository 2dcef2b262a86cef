//! Escalations: messages of agents come in here, and operators see what has become of them.

use super::change::{Change, actor};
use super::rooms::random;
use super::{Operators, PATIENCE, late};
use crate::serve::asking::{Answered, Asked};
use crate::serve::mailbox::Mail;
use crate::signer::hex;
use serde_json::{Value, json};
use std::net::IpAddr;
use sx_engine::Time;
use sx_exchange::{AttemptReport, Escalate, EscalationReport, Operation, Rejection, keeper_of};
use sx_http::{ApiAnswer, ApiProblem, BASE, Caller, FieldProblem, Place, ProblemMore};
use sx_ifmessage::{IfMessage, ReadError, SCHEMAS};
use sx_types::{CallId, TraceId, Transport};
use sx_witness::{Draft, Facts, Kind};

impl Operators {
    /// Decides about a message. It is on the disk that it came before anybody is rung, and so is what could not be read.
    pub(super) fn escalate(&self, caller: &Caller, message: &[u8], from: IpAddr) -> Result<ApiAnswer, ApiProblem> {
        let id = TraceId::from(CallId::new(self.clock.now().as_millis(), random()));
        let read = IfMessage::read(message);
        let sender = read.as_ref().map_or("a message that cannot be read", |message| &*message.sender).to_owned();
        let change = Change::new("escalate", &sender).with("from", from.to_string());
        let change = Change { trace: Some(id), ..change };
        self.change(caller, &change, || {
            let message = read.map_err(|error| unreadable(&error))?;
            let worker = keeper_of(&message.sender, u16::try_from(self.workers.len()).unwrap_or(u16::MAX));
            let asked = Escalate::new(id, message, (from, Transport::Tcp), &actor(caller));
            self.workers.tell(worker, Mail::Escalate(Box::new(asked)));
            let answer = self.workers.ask_one(worker, Asked::Escalation(id), PATIENCE).map_err(late)?;
            let Answered::Escalations(_, found) = answer else { return Err(forgotten()) };
            let report = found.into_iter().next().ok_or_else(forgotten)?;
            match &report.rejection {
                Some(rejection) => Err(refused(id, rejection)),
                None => {
                    let body = self.shown(&report);
                    self.witness_ndi(&report, &body["ndi"]);
                    Ok(ApiAnswer::Created { location: format!("{BASE}/escalations/{id}"), body })
                }
            }
        })
    }

    pub(super) fn escalations(&self, limit: u32) -> Result<ApiAnswer, ApiProblem> {
        let max = limit as usize;
        let (mut total, mut reports) = (0, Vec::new());
        for (_, answer) in self.ask(Asked::Escalations(max))? {
            if let Answered::Escalations(count, some) = answer {
                total += count;
                reports.extend(some);
            }
        }
        reports.sort_by_key(|report| std::cmp::Reverse((report.began, report.id.as_u128())));
        reports.truncate(max);
        let reports: Vec<Value> = reports.iter().map(|report| self.shown(report)).collect();
        Ok(ApiAnswer::Json(json!({ "total": total, "escalations": reports })))
    }

    pub(super) fn escalation(&self, id: &str) -> Result<ApiAnswer, ApiProblem> {
        self.found(id).map(|(_, report)| ApiAnswer::Json(self.shown(&report)))
    }

    pub(super) fn end_escalation(&self, caller: &Caller, id: &str) -> Result<ApiAnswer, ApiProblem> {
        let found = self.found(id);
        let trace = found.as_ref().ok().map(|(_, report)| report.id);
        self.change(caller, &Change { trace, ..Change::new("end_escalation", id) }, || {
            let (worker, report) = found?;
            if report.ended.is_some() {
                return Err(ApiProblem::conflict("the escalation is over already"));
            }
            let by = actor(caller).into();
            self.workers.tell(worker, Mail::Operation(Operation::EndEscalation { id: report.id, by }));
            Ok(self.told())
        })
    }

    /// An escalation, and whether the source of video that it names is there.
    fn shown(&self, report: &EscalationReport) -> Value {
        let mut document = shown(report);
        document["ndi"] = self.ndi_of(report);
        document
    }

    /// Whether the source that is named was there when the escalation came is on record.
    fn witness_ndi(&self, report: &EscalationReport, ndi: &Value) {
        let Some((stream, state)) = ndi["stream"].as_str().zip(ndi["state"].as_str()) else { return };
        let draft = Draft {
            actor: "exchange",
            subject: "ndi",
            outcome: state,
            trace: Some(report.id),
            facts: Facts::new().with("stream", stream),
            ..Draft::new(self.clock.now(), Kind::Escalation)
        };
        if !self.log.record(&draft, self.clock.now(), PATIENCE) {
            tracing::error!("whether a source of video was there is not in the witness log");
        }
    }

    /// Which worker has it, and how it is.
    pub(super) fn found(&self, id: &str) -> Result<(u16, EscalationReport), ApiProblem> {
        let nowhere =
            || ApiProblem::not_found("there is no such escalation, or it is forgotten: the witness log has it");
        let id: TraceId = id.parse().map_err(|_| nowhere())?;
        let answers = self.ask(Asked::Escalation(id))?;
        let found = answers.into_iter().find_map(|(worker, answer)| match answer {
            Answered::Escalations(_, reports) => reports.into_iter().next().map(|report| (worker, report)),
            _ => None,
        });
        found.ok_or_else(nowhere)
    }

    pub(super) fn experts(&self, limit: u32) -> ApiAnswer {
        let people = self.live.people();
        let experts = people.experts().iter().take(limit as usize).map(|expert| {
            let knows = expert.skills.iter().map(|skill| json!({ "subject": &*skill.subject, "level": skill.level }));
            json!({
                "id": &*expert.id,
                "name": &*expert.name,
                "organisation": &*expert.organisation,
                "standing": expert.standing.word(),
                "proved": expert.proved,
                "specialisations": knows.collect::<Vec<_>>(),
                "languages": expert.languages.iter().map(|tag| &**tag).collect::<Vec<_>>(),
                "at_work": expert.is_at_work(crate::serve::clock::wall()),
            })
        });
        ApiAnswer::Json(json!({ "total": people.experts().len(), "experts": experts.collect::<Vec<_>>() }))
    }

    pub(super) fn guardians(&self, limit: u32) -> ApiAnswer {
        let people = self.live.people();
        let guardians = people.guardians().take(limit as usize).map(|known| {
            json!({
                "id": known.guardian.id,
                "role": known.guardian.role,
                "description": known.guardian.description,
                "standing": known.standing.word(),
                "veto": known.guardian.veto,
                "bandwidth_kbps": known.guardian.bandwidth_kbps,
                "public_key": known.key.map(|key| hex(&key)),
            })
        });
        ApiAnswer::Json(json!({ "total": people.guardians().count(), "guardians": guardians.collect::<Vec<_>>() }))
    }
}

/// The JSON Schema of a shape of messages.
pub(super) fn schema(name: &str) -> Result<ApiAnswer, ApiProblem> {
    let found = SCHEMAS.iter().find(|schema| schema.name == name);
    let read = found.and_then(|schema| serde_json::from_str(schema.text).ok());
    read.map(ApiAnswer::Json).ok_or_else(|| {
        let names: Vec<&str> = SCHEMAS.iter().map(|schema| schema.name).collect();
        ApiProblem::not_found(format!("there is no such schema; there are {}", names.join(", ")))
    })
}

/// What is wrong with a message, each field by its JSON pointer.
fn unreadable(error: &ReadError) -> ApiProblem {
    let problem = |kind, title, detail: String| ApiProblem::new(400, kind, title, detail);
    match error {
        ReadError::Fields(faults) => {
            let field = |fault: &sx_ifmessage::Fault| FieldProblem {
                field: fault.pointer.to_string(),
                place: Place::Body,
                detail: fault.problem.to_string(),
            };
            let fields = faults.iter().map(field).collect();
            ApiProblem { fields, ..problem("bad-message", "The message is not one", error.to_string()) }
        }
        ReadError::TooLong { .. } | ReadError::Json(_) => {
            problem("bad-message", "The message is not one", error.to_string())
        }
    }
}

fn refused(id: TraceId, rejection: &Rejection) -> ApiProblem {
    let (kind, title) = match rejection.layer {
        "admission" => ("not-admitted", "Not admitted"),
        _ => ("security-rejected", "Refused for reasons of security"),
    };
    let problem = ApiProblem::new(rejection.status, kind, title, &*rejection.sentence);
    let members = vec![
        ("escalation", id.to_string()),
        ("layer", rejection.layer.to_owned()),
        ("rule", rejection.rule.to_string()),
        ("reason", rejection.reason.to_owned()),
    ];
    let more = ProblemMore { members, retry_after_s: rejection.retry_after_s };
    ApiProblem { more: Some(Box::new(more)), ..problem }
}

fn forgotten() -> ApiProblem {
    ApiProblem::unavailable("so many escalations were decided about that this one is forgotten; the witness log has it")
}

fn shown(report: &EscalationReport) -> Value {
    let time = |time: Option<Time>| time.map(|time| time.to_string());
    let answered = report.rung.iter().rev().find(|attempt| attempt.outcome == "answered");
    json!({
        "id": report.id.to_string(),
        "trace_id": report.id.to_string(),
        "if_trace": report.if_trace.as_deref(),
        "state": report.state,
        "sender": &*report.sender,
        "brought_by": &*report.actor,
        "hazard": report.hazard.map(|(kind, severity)| json!({ "type": kind, "severity": severity })),
        "route": report.route.0,
        "because": report.route.1,
        "confidence": report.confidence,
        "content": report.content,
        "redacted": report.redacted,
        "room": report.room.as_deref(),
        "began": report.began.to_string(),
        "connected": time(report.connected),
        "ended": time(report.ended),
        "expert": answered.map(|attempt| &*attempt.expert),
        "call_id": report.call.map(|call| call.to_string()),
        "tried": report.rung.iter().map(attempt).collect::<Vec<_>>(),
        "passed_over": report.passed_over.iter().map(|(expert, why)| json!({ "expert": &**expert, "why": why })).collect::<Vec<_>>(),
        "rejection": report.rejection.as_ref().map(|rejection| json!({
            "layer": rejection.layer,
            "rule": &*rejection.rule,
            "reason": rejection.reason,
            "detail": &*rejection.sentence,
        })),
    })
}

fn attempt(attempt: &AttemptReport) -> Value {
    json!({
        "expert": &*attempt.expert,
        "address": &*attempt.address,
        "call_id": attempt.call.to_string(),
        "began": attempt.began.to_string(),
        "outcome": attempt.outcome,
        "cause": attempt.cause.map(|cause| cause.0),
    })
}
