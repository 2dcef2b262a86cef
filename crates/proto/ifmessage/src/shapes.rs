//! The members that each shape has.

use crate::message::TTL_S;
use crate::read::{Faults, Fields, Form, TEXT_CHARS_MAX};
use crate::signature::Signature;
use crate::{
    Domain, Hazard, HazardKind, IfMessage, Performative, Priority, Problem, ReadError, Scope, Severity, Shape,
};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;
use sx_engine::Time;

pub(crate) fn read(object: &Map<String, Value>) -> Result<IfMessage, ReadError> {
    let faults = Faults::default();
    let fields = Fields::new(object, "", &faults);
    let message = match shape_of(object) {
        Shape::SpeechAct => speech_act(&fields, object),
        shape => envelope(shape, &fields, object),
    };
    fields.end();
    match (message, faults.into_all()) {
        (Some(message), faults) if faults.is_empty() => Ok(message),
        (_, faults) => Err(ReadError::Fields(faults)),
    }
}

/// Whoever writes a part of a shape means all of it, so that it is told what is missing.
fn shape_of(object: &Map<String, Value>) -> Shape {
    let has_any = |names: &[&str]| names.iter().any(|name| object.contains_key(*name));
    let is_newer = object.get("version").and_then(Value::as_str) == Some("2.1");
    match () {
        () if has_any(&["sender", "receiver", "content"]) => Shape::SpeechAct,
        () if is_newer
            || has_any(&["performative", "conversation_id", "sequence_num", "citation_ids", "signature"]) =>
        {
            Shape::Envelope
        }
        () => Shape::Plain,
    }
}

fn envelope(shape: Shape, fields: &Fields<'_>, object: &Map<String, Value>) -> Option<IfMessage> {
    let id = fields.need("id").and_then(|value| fields.text("id", value, NAME_CHARS_MAX));
    let timestamp = fields.need("timestamp").and_then(|value| time(fields, value));
    let level = fields.need("level").and_then(|value| fields.integer("level", value, 1, 2));
    let sender = fields.need("source").and_then(|value| fields.text("source", value, NAME_CHARS_MAX));
    let receiver = fields.need("destination").and_then(|value| fields.text("destination", value, NAME_CHARS_MAX));
    let payload = fields.need("payload").and_then(|value| fields.object("payload", value));
    let trace = fields.find("traceId").and_then(|value| fields.text("traceId", value, NAME_CHARS_MAX));
    let versions: Form = match shape {
        Shape::Plain => ("version 1.0", |text| text == "1.0"),
        Shape::Envelope | Shape::SpeechAct => ("version 2.1", |text| text == "2.1"),
    };
    if let Some(version) = fields.find("version") {
        fields.formed("version", version, versions);
    }
    let hazard = payload.and_then(|payload| hazard_of_payload(fields, payload));
    let mut message = IfMessage {
        shape,
        id: id.map(Box::from),
        sender: sender.unwrap_or_default().into(),
        receivers: receiver.map(Box::from).into_iter().collect(),
        timestamp: timestamp.unwrap_or(Time::ZERO),
        ttl_s: TTL_S,
        performative: None,
        conversation: None,
        sequence: None,
        nonce: None,
        trace: trace.map(Box::from),
        topic: None,
        scope: None,
        hazard,
        citations: Vec::new(),
        content: payload.cloned().unwrap_or_default(),
        signature: None,
    };
    if shape == Shape::Envelope {
        message.performative = fields.find("performative").and_then(|value| performative(fields, value));
        let conversation = fields.find("conversation_id");
        let conversation = conversation.and_then(|value| fields.text("conversation_id", value, NAME_CHARS_MAX));
        message.conversation = conversation.map(Box::from);
        message.sequence = fields.find("sequence_num").and_then(|value| sequence(fields, value));
        message.citations = citations(fields);
        message.signature = fields.find("signature").and_then(|value| Signature::read(fields, value, object));
    }
    let is_whole = id.is_some() && timestamp.is_some() && level.is_some() && sender.is_some() && receiver.is_some();
    (is_whole && payload.is_some()).then_some(message)
}

fn speech_act(fields: &Fields<'_>, object: &Map<String, Value>) -> Option<IfMessage> {
    let performative = fields.need("performative").and_then(|value| performative(fields, value));
    let sender = fields.need("sender").and_then(|value| fields.formed("sender", value, AGENT));
    let receivers = fields.need("receiver").map(|value| receivers(fields, value)).unwrap_or_default();
    let conversation = fields.need("conversation_id");
    let conversation = conversation.and_then(|value| fields.formed("conversation_id", value, CONVERSATION));
    let content = fields.need("content").and_then(|value| fields.object("content", value));
    if let Some(content) = content {
        confidence(&fields.of(content, "content"));
    }
    let timestamp = fields.need("timestamp").and_then(|value| time(fields, value));
    let sequence = fields.need("sequence_num").and_then(|value| sequence(fields, value));
    let nonce = fields.need("nonce").and_then(|value| fields.formed("nonce", value, NONCE));
    let ttl_s = fields.need("ttl").and_then(|value| fields.integer("ttl", value, 1, TTL_S_MAX));
    let scope = fields.need("scope").and_then(|value| scope(fields, value));
    let signature = fields.need("signature").and_then(|value| Signature::read(fields, value, object));
    let topic = fields.find("topic").and_then(|value| fields.formed("topic", value, TOPIC));
    let trace = fields.find("trace_id").and_then(|value| fields.formed("trace_id", value, TRACE));
    let hazard = fields.find("hazard").and_then(|value| hazard(&fields.within("hazard", value)?));
    let citations = citations(fields);
    // Read for their form alone: nothing here depends on them.
    fields.find("protocol").and_then(|value| fields.text("protocol", value, NAME_CHARS_MAX));
    fields.find("topic_hash").and_then(|value| fields.formed("topic_hash", value, TOPIC_HASH));
    if let Some(value) = fields.find("provenance") {
        provenance(fields, value);
    }
    let is_whole = performative.is_some() && !receivers.is_empty() && sequence.is_some() && scope.is_some();
    Some(IfMessage {
        shape: Shape::SpeechAct,
        id: None,
        sender: sender?.into(),
        receivers,
        timestamp: timestamp?,
        ttl_s: ttl_s? as u32,
        performative,
        conversation: Some(conversation?.into()),
        sequence,
        nonce: Some(nonce?.into()),
        trace: trace.map(Box::from),
        topic: topic.map(Box::from),
        scope,
        hazard,
        citations,
        content: content?.clone(),
        signature: Some(signature?),
    })
    .filter(|_| is_whole)
}

/// A day that is past the epoch.
//= https://www.rfc-editor.org/rfc/rfc3339#section-5.6
fn time(fields: &Fields<'_>, value: &Value) -> Option<Time> {
    let text = fields.text("timestamp", value, NAME_CHARS_MAX)?;
    let is_written = text.as_bytes().get(10).is_some_and(|byte| matches!(byte, b'T' | b't')) && !text.contains('[');
    let read: Option<Timestamp> = text.parse().ok().filter(|_| is_written);
    let since = read.and_then(|read| u64::try_from(read.as_millisecond()).ok());
    if since.is_none() {
        fields.fault("timestamp", Problem::Form("a date and time of RFC 3339"));
    }
    since.map(|ms| Time::ZERO + Duration::from_millis(ms))
}

fn performative(fields: &Fields<'_>, value: &Value) -> Option<Performative> {
    fields.word("performative", value, &Performative::WORDS, Performative::from_word)
}

fn sequence(fields: &Fields<'_>, value: &Value) -> Option<u64> {
    fields.integer("sequence_num", value, 1, (1 << 53) - 1)
}

fn citations(fields: &Fields<'_>) -> Vec<Box<str>> {
    fields.find("citation_ids").map(|value| fields.texts("citation_ids", value, 0, CITATION)).unwrap_or_default()
}

/// One agent or several.
fn receivers(fields: &Fields<'_>, value: &Value) -> Vec<Box<str>> {
    match value {
        Value::Array(_) => fields.texts("receiver", value, 1, AGENT),
        one => fields.formed("receiver", one, AGENT).map(Box::from).into_iter().collect(),
    }
}

fn scope(fields: &Fields<'_>, value: &Value) -> Option<Scope> {
    let scope = fields.within("scope", value)?;
    let named = |name| scope.need(name).and_then(|value| scope.text(name, value, NAME_CHARS_MAX));
    let (mission, workflow) = (named("mission_id"), named("workflow"));
    let domain = scope.need("domain").and_then(|value| scope.word("domain", value, &Domain::WORDS, Domain::from_word));
    let priority = match scope.find("priority") {
        Some(value) => scope.word("priority", value, &Priority::WORDS, Priority::from_word),
        None => Some(Priority::Medium),
    };
    scope.end();
    Some(Scope { mission: mission?.into(), workflow: workflow?.into(), domain: domain?, priority: priority? })
}

fn hazard_of_payload(fields: &Fields<'_>, payload: &Map<String, Value>) -> Option<Hazard> {
    // Whatever else is in it is for whoever receives it.
    let payload = fields.of(payload, "payload");
    confidence(&payload);
    let value = payload.find("hazard")?;
    hazard(&payload.within("hazard", value)?)
}

/// How sure the agent is, where it says so.
fn confidence(content: &Fields<'_>) {
    if let Some(value) = content.find("confidence") {
        content.share("confidence", value);
    }
}

fn hazard(hazard: &Fields<'_>) -> Option<Hazard> {
    let kind =
        hazard.need("type").and_then(|value| hazard.word("type", value, &HazardKind::WORDS, HazardKind::from_word));
    let severity =
        hazard.need("severity").and_then(|value| hazard.word("severity", value, &Severity::WORDS, Severity::from_word));
    let rationale = hazard.find("rationale").and_then(|value| hazard.text("rationale", value, RATIONALE_CHARS_MAX));
    let auto_escalate = hazard.find("auto_escalate").and_then(|value| hazard.flag("auto_escalate", value));
    let overridden = hazard.find("threshold_override").and_then(|value| hazard.within("threshold_override", value));
    let original_confidence = overridden.and_then(|overridden| {
        let confidence = overridden.find("original_confidence");
        let confidence = confidence.and_then(|value| overridden.share("original_confidence", value));
        overridden.find("reason").and_then(|value| overridden.text("reason", value, RATIONALE_CHARS_MAX));
        overridden.end();
        confidence
    });
    hazard.end();
    Some(Hazard {
        kind: kind?,
        severity: severity?,
        rationale: rationale.unwrap_or_default().into(),
        auto_escalate: auto_escalate.unwrap_or_default(),
        original_confidence,
    })
}

fn provenance(fields: &Fields<'_>, value: &Value) {
    let Some(provenance) = fields.within("provenance", value) else { return };
    for name in ["commit", "version", "model"] {
        provenance.find(name).and_then(|value| provenance.text(name, value, NAME_CHARS_MAX));
    }
    if provenance.find("cost_usd").is_some_and(|value| value.as_f64().is_none_or(|cost| cost < 0.0)) {
        provenance.fault("cost_usd", Problem::Type("a number that is not negative"));
    }
    provenance.find("tokens_used").and_then(|value| provenance.integer("tokens_used", value, 0, (1 << 53) - 1));
    provenance.end();
}

/// Characters of a name, and of what is said for people.
const NAME_CHARS_MAX: usize = 255;
const RATIONALE_CHARS_MAX: usize = 4 * TEXT_CHARS_MAX;
/// A message is good for an hour at most.
const TTL_S_MAX: u64 = 3_600;

const AGENT: Form = ("an agent (if://agent/…)", |text| has_rest(text, "if://agent/"));
const CONVERSATION: Form = ("a conversation (if://conversation/…)", |text| has_rest(text, "if://conversation/"));
const TOPIC: Form = ("a topic (if://topic/…)", |text| has_rest(text, "if://topic/"));
const CITATION: Form =
    ("a citation (if://citation/… or cit:…)", |text| has_rest(text, "if://citation/") || has_rest(text, "cit:"));
const NONCE: Form = ("24 hexadecimal digits in small letters", |text| text.len() == 24 && is_hex(text));
const TRACE: Form = ("12 hexadecimal digits in small letters", |text| text.len() == 12 && is_hex(text));
const TOPIC_HASH: Form = ("sha256: and 64 hexadecimal digits", |text| {
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && is_hex(digits))
});

fn has_rest(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty())
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
