//! Those who ask, and what a record says of a refusal.

use crate::driver::{Bench, Manner, TRUNKS, USERS_ONLY};
use serde_json::{Value, json};
use std::sync::Arc;
use sx_sip::message::OwnedMessage;

pub const ALICE: &str = "192.0.2.11:5060";

pub fn bench_with(config: &str) -> Bench {
    let mut bench = Bench::new(&format!("{USERS_ONLY}{config}"));
    bench.peer("alice", ALICE, Manner::Answers);
    bench
}

pub fn policy(text: &str) -> Arc<sx_guard::Policy> {
    let (definition, hash) = sx_config::read_policy_text(text).expect("a policy");
    Arc::new(sx_guard::Policy::build(definition, hash).expect("a policy"))
}

/// An exchange with telephones and trunks, and this policy.
pub fn bench_under(text: &str) -> Bench {
    let mut bench = Bench::new(TRUNKS);
    bench.follow_policy(policy(text));
    bench.phone("alice", ALICE, Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench
}

/// A request of alice's that nobody has asked for credentials yet.
pub fn request(method: &str, more: &str) -> String {
    format!(
        "{method} sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.11;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\nCall-ID: one\r\nCSeq: 1 {method}\r\n{more}\
         Content-Length: 0\r\n\r\n"
    )
}

pub fn status(answers: &[OwnedMessage]) -> Option<u16> {
    answers.last().and_then(OwnedMessage::status)
}

/// What is said of every refused request of alice's.
pub fn refusal(layer: &str, method: &str, status: u16) -> Value {
    json!({ "layer": layer, "source": ALICE, "transport": "udp", "method": method, "sip_call_id": "one", "status": status })
}

pub fn with(mut facts: Value, more: &Value) -> Value {
    let more = more.as_object().expect("an object").clone();
    facts.as_object_mut().expect("an object").extend(more);
    facts
}

/// The whole record of such a request.
pub fn rejected(reason: &str, facts: &Value) -> Value {
    json!({ "kind": "security_rejected", "subject": "sip:bob@example.org", "outcome": "reject", "reason": reason,
        "facts": facts })
}

/// The whole record of a REGISTER of the peer `name` at `source` that was refused: whoever it says it is.
pub fn register_rejected(layer: &str, reason: &str, status: u16, actor: &str, (name, source): (&str, &str)) -> Value {
    let facts = json!({ "layer": layer, "source": source, "transport": "udp", "method": "REGISTER",
        "sip_call_id": format!("registration-of-{name}"), "status": status });
    json!({ "kind": "security_rejected", "actor": actor, "subject": "sip:example.org", "outcome": "reject",
        "reason": reason, "facts": facts })
}

/// The whole record of a ban or a block.
pub fn banned(subject: &str, outcome: &str, reason: &str, layer: &str, ban_s: u32) -> Value {
    json!({ "kind": "source", "subject": subject, "outcome": outcome, "reason": reason,
        "facts": { "layer": layer, "ban_s": ban_s } })
}
