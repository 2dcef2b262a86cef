//! Messages, people and an exchange to begin with.

use crate::driver::{Bench, Manner};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use sx_council::Guardian;
use sx_exchange::{Escalate, EscalationReport, Input, People};
use sx_expert::{Expert, Standing};
use sx_ifmessage::IfMessage;
use sx_media::MediaCommand;
use sx_sip::message::Method;
use sx_types::{TraceId, Transport};

pub const COUNCIL: &str = "[exchange]\ndomains = [\"example.org\"]\n[[room]]\nname = \"council\"\nmembers_max = 5\n\
    [[route]]\nname = \"conference\"\nexact = \"5000\"\nto = [{ room = \"council\" }]\n\
    [escalation]\nroom = \"council\"\n";

pub const SENDER: &str = "IF.guard.safety";

pub fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key")
}

pub fn public(seed: u8) -> [u8; 32] {
    key(seed).public_key().as_ref().try_into().expect("32 bytes")
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A message about a valve, that is good in every way.
pub fn valve(sequence: u64) -> Map<String, Value> {
    let message = json!({
        "id": format!("m-{sequence}"), "timestamp": "2027-01-15T08:00:00Z", "level": 2, "source": SENDER,
        "destination": "council", "traceId": "t-7", "version": "2.1", "performative": "escalate",
        "conversation_id": "if://conversation/valve-7", "sequence_num": sequence, "citation_ids": [],
        "payload": {
            "text": "valve 7 is open, call jane@example.org",
            "hazard": {"type": "safety", "severity": "critical", "rationale": "a leak", "auto_escalate": true},
        },
    });
    message.as_object().expect("an object").clone()
}

pub fn signed(mut message: Map<String, Value>, seed: u8) -> IfMessage {
    let canonical = sx_ifmessage::canonical(&message).expect("a canonical form");
    let fields: Vec<String> = message.keys().cloned().collect();
    let signature = json!({
        "algorithm": "ed25519", "public_key": hex(&public(seed)),
        "signature_bytes": hex(key(seed).sign(&canonical).as_ref()), "signed_fields": fields,
    });
    message.insert("signature".into(), signature);
    read(&message)
}

pub fn read(message: &Map<String, Value>) -> IfMessage {
    let text = serde_json::to_vec(message).expect("JSON");
    match IfMessage::read(&text) {
        Ok(message) => message,
        Err(error) => panic!("{error}"),
    }
}

pub fn expert(id: &str, level: u8) -> Expert {
    let mut expert = Expert::new(id, id);
    expert.addresses = vec![id.into()];
    expert.knows("safety", level);
    expert
}

pub fn guardian(id: &str) -> Guardian {
    Guardian { id: id.into(), role: "safety".into(), organisation: "acme".into(), ..Guardian::default() }
}

pub fn people(experts: Vec<Expert>, standing: Standing) -> Arc<People> {
    Arc::new(People::new(experts, [(guardian(SENDER), standing, Some(public(7)))]))
}

/// Alice is in the room; bob, carol and dave are the experts, best first, and do so with calls.
pub fn council(manners: [Manner; 3], config: &str) -> Bench {
    council_of(Bench::new(config), manners)
}

/// The same in this exchange.
pub fn council_of(mut bench: Bench, manners: [Manner; 3]) -> Bench {
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    let phones = [("bob", "192.0.2.12:5060"), ("carol", "192.0.2.13:5060"), ("dave", "192.0.2.14:5060")];
    for ((name, address), manner) in phones.into_iter().zip(manners) {
        // What is dead could not register.
        bench.phone(name, address, Manner::Silent);
        bench.who(name).manner = manner;
    }
    bench.dial("alice", "sip:5000@example.org");
    let experts = vec![expert("bob", 3), expert("carol", 2), expert("dave", 1)];
    bench.tell(0, Input::People(people(experts, Standing::Active)));
    bench
}

pub fn escalate_from(bench: &mut Bench, message: IfMessage, from: [u8; 4]) -> EscalationReport {
    let id = TraceId::from_u128(u128::from(bench.log.records.len() as u64 + 1));
    let asked = Escalate::new(id, message, (from.into(), Transport::Tcp), "token anna");
    bench.tell(0, Input::Escalate(Box::new(asked)));
    bench.workers[0].escalation(id).expect("it is told about")
}

pub fn escalate(bench: &mut Bench, message: IfMessage) -> EscalationReport {
    escalate_from(bench, message, [127, 0, 0, 1])
}

pub fn now(bench: &Bench, report: &EscalationReport) -> EscalationReport {
    bench.workers[0].escalation(report.id).expect("it is told about")
}

pub fn rung(report: &EscalationReport) -> Vec<(&str, &'static str)> {
    report.rung.iter().map(|attempt| (&*attempt.expert, attempt.outcome)).collect()
}

pub fn invitations(bench: &mut Bench, name: &str) -> usize {
    bench.requests(name, Method::Invite).len()
}

pub fn attending(bench: &Bench) -> usize {
    let mut ports = Vec::new();
    for command in &bench.media {
        match command {
            MediaCommand::Attend { port, attendance } => {
                ports.retain(|known| known != port);
                ports.extend(attendance.as_ref().map(|_| *port));
            }
            MediaCommand::Close { port } => ports.retain(|known| known != port),
            _ => {}
        }
    }
    ports.len()
}

pub const ALL_ANSWER: [Manner; 3] = [Manner::Answers, Manner::Answers, Manner::Answers];
