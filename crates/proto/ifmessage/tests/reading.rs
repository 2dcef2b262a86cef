//! Messages of each shape, and what is wrong with others.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value, json};
use std::time::Duration;
use sx_engine::Time;
use sx_ifmessage::{HazardKind, IfMessage, Performative, ReadError, SCHEMAS, Severity, Shape, canonical};

fn v1() -> Value {
    json!({
        "id": "msg-001", "timestamp": "2026-11-23T10:00:00.250+01:00", "level": 1, "source": "IF.yologuard", "destination": "IF.guard",
        "version": "1.0", "traceId": "trace-abc",
        "payload": {"text": "valve 7 is open", "confidence": 0.15, "hazard": {"type": "safety", "severity": "high"}},
    })
}

fn envelope() -> Value {
    json!({
        "id": "escalate-001", "timestamp": "2026-11-23T10:00:00Z", "level": 2, "source": "agent-finance", "destination": "agent-legal",
        "version": "2.1", "payload": {"expert_domain": "antitrust_law"}, "performative": "request",
        "conversation_id": "epic-escalation-001", "sequence_num": 7, "citation_ids": ["if://citation/9f2b3a1e", "cit:4"],
    })
}

fn speech_act() -> Value {
    json!({
        "performative": "escalate", "sender": "if://agent/swarm-4", "receiver": ["if://agent/council", "if://agent/legal"],
        "conversation_id": "if://conversation/2026-11-23", "content": {"text": "two sources differ", "confidence": 0.9},
        "timestamp": "2026-11-23T10:00:00Z", "sequence_num": 12, "nonce": "0123456789abcdef01234567", "ttl": 60,
        "scope": {"mission_id": "m-1", "workflow": "findings", "domain": "legal"}, "topic": "if://topic/mergers",
        "trace_id": "0123456789ab", "topic_hash": format!("sha256:{}", "a".repeat(64)), "protocol": "fipa-request",
        "hazard": {"type": "legal", "severity": "critical", "rationale": "a deadline", "auto_escalate": true,
            "threshold_override": {"original_confidence": 0.8, "reason": "the law says so"}},
        "provenance": {"model": "m", "cost_usd": 0.02, "tokens_used": 900},
    })
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The message with a signature over all of it.
fn signed(mut message: Value) -> Value {
    let pair = pair();
    let members = message.as_object_mut().expect("an object");
    let signature = pair.sign(&canonical(members).expect("a canonical form"));
    let names: Vec<String> = members.keys().cloned().collect();
    members.insert(
        "signature".into(),
        json!({"algorithm": "ed25519", "public_key": hex(pair.public_key().as_ref()), "signature_bytes": hex(signature.as_ref()),
            "signed_fields": names}),
    );
    message
}

fn read(message: &Value) -> Result<IfMessage, ReadError> {
    IfMessage::read(message.to_string().as_bytes())
}

#[test]
fn each_shape_is_read() {
    let message = read(&v1()).expect("version 1.0");
    assert_eq!(
        (message.shape, message.id.as_deref(), &*message.sender),
        (Shape::Plain, Some("msg-001"), "IF.yologuard")
    );
    assert_eq!(message.timestamp, Time::ZERO + Duration::from_millis(1_795_424_400_250), "an hour less in UTC");
    assert_eq!((message.confidence(), message.ttl_s, message.auto_escalates()), (Some(0.15), 300, false));
    let hazard = message.hazard.expect("a hazard");
    assert_eq!((hazard.kind, hazard.severity), (HazardKind::Safety, Severity::High));

    let message = read(&envelope()).expect("version 2.1");
    assert_eq!(
        (message.shape, message.performative, message.sequence),
        (Shape::Envelope, Some(Performative::Request), Some(7))
    );
    assert_eq!((message.citations.len(), message.signature), (2, None));

    let message = read(&signed(speech_act())).expect("a speech act");
    assert_eq!((message.shape, message.performative), (Shape::SpeechAct, Some(Performative::Escalate)));
    assert_eq!((message.receivers.len(), message.ttl_s, message.confidence()), (2, 60, Some(0.8)));
    assert!(message.auto_escalates() && message.signature.expect("a signature").verifies());
}

#[test]
fn a_signature_covers_everything() {
    for message in [signed(envelope()), signed(speech_act())] {
        let verifies = |message: &Value| read(message).expect("well formed").signature.expect("signed").verifies();
        assert!(verifies(&message));
        let mut changed = message.clone();
        changed["sequence_num"] = json!(13);
        assert!(!verifies(&changed));
        let mut by_another = message.clone();
        by_another["signature"]["public_key"] = json!("11".repeat(32));
        assert!(!verifies(&by_another));
        // Another order and other blanks are the same message.
        let pretty = serde_json::to_vec_pretty(&message).expect("JSON");
        assert!(IfMessage::read(&pretty).expect("well formed").signature.expect("signed").verifies());
    }
    let mut message = signed(envelope());
    message["performative"] = json!("inform");
    message["signature"]["signed_fields"].as_array_mut().expect("names").retain(|name| name != "performative");
    check(&message, &["/performative is not among signature.signed_fields"]);
}

/// What is told of a message.
#[track_caller]
fn check(message: &Value, expected: &[&str]) {
    let Err(ReadError::Fields(faults)) = read(message) else { panic!("it is read, or is no JSON: {message}") };
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(told, expected, "{message}");
}

#[test]
fn every_member_that_is_needed_is_missed() {
    for message in [v1(), envelope(), signed(speech_act())] {
        let shape = read(&message).expect("well formed").shape;
        let schema = SCHEMAS.iter().find(|schema| schema.shape == shape).expect("a schema");
        let schema: Value = serde_json::from_str(schema.text).expect("JSON");
        for name in schema["required"].as_array().expect("names").iter().filter_map(Value::as_str) {
            let mut without = message.clone();
            without.as_object_mut().expect("an object").remove(name);
            let Err(ReadError::Fields(faults)) = read(&without) else { panic!("{name} is not missed") };
            assert!(
                faults.iter().any(|fault| fault.to_string() == format!("/{name} is missing")),
                "{name}: {faults:?}"
            );
        }
    }
}

#[test]
fn every_member_that_is_of_another_type_is_told() {
    for message in [v1(), envelope(), signed(speech_act())] {
        for name in message.as_object().expect("an object").keys() {
            for wrong in [json!(null), json!([[]]), json!({"": 1}), json!(-1), json!(""), json!(true)] {
                let mut changed = message.clone();
                changed[name] = wrong.clone();
                // An object may be anybody's, where nothing of it is looked at.
                let is_open = matches!(&**name, "payload" | "content") && wrong.is_object();
                match read(&changed) {
                    Err(ReadError::Fields(faults)) => {
                        let here = faults.iter().any(|fault| fault.pointer.starts_with(&format!("/{name}")));
                        assert!(here, "{name} = {wrong}: {faults:?}");
                    }
                    other => assert!(is_open && other.is_ok(), "{name} = {wrong}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_is_told_all_at_once_with_its_place() {
    let mut message = v1();
    message["payload"]["hazard"] = json!({});
    message["level"] = json!(3);
    message["surprise/~"] = json!(1);
    message["version"] = json!("3.0");
    check(
        &message,
        &[
            "/level is not within 1 to 2",
            "/version is not version 1.0",
            "/payload/hazard/type is missing",
            "/payload/hazard/severity is missing",
            "/surprise~1~0 is not known",
        ],
    );
    let mut message = speech_act();
    message["content"]["confidence"] = json!(5);
    check(&signed(message), &["/content/confidence is not within 0 to 1"]);
    let mut message = envelope();
    message["performative"] = json!("shout");
    message["timestamp"] = json!("yesterday");
    message["citation_ids"] = json!(["cit:1", "doi:2"]);
    message["signature"] =
        json!({"algorithm": "rsa", "public_key": "00", "signature_bytes": 1, "signed_fields": "all"});
    let Err(ReadError::Fields(faults)) = read(&message) else { panic!("it is read") };
    let places: Vec<&str> = faults.iter().map(|fault| &*fault.pointer).collect();
    for place in ["/performative", "/timestamp", "/citation_ids/1", "/signature/algorithm", "/signature/public_key"] {
        assert!(places.contains(&place), "{place}: {places:?}");
    }
}

#[test]
fn what_is_no_message_at_all_is_told() {
    let error = |text: &str| IfMessage::read(text.as_bytes()).expect_err("refused").to_string();
    assert!(error("[]").contains("something else stands there"));
    assert!(error("{\"id\": 1, \"id\": 2}").contains("\"id\" stands there twice"));
    assert!(error("{\"a\": {\"b\": 1, \"b\": 2}}").contains("twice"));
    assert!(error("{\"a\": 9007199254740993}").contains("beyond 2^53"));
    assert!(error("{\"a\": 1} x").contains("trailing"));
    assert!(error(&"[".repeat(1_000)).contains("recursion"));
    assert!(error(&" ".repeat(300_000)).contains("262144 is the most"));
}

#[test]
fn of_a_message_that_is_wrong_everywhere_not_all_is_told() {
    let members: Map<String, Value> = (0..1_000).map(|number| (format!("x{number}"), json!(1))).collect();
    let Err(ReadError::Fields(faults)) = read(&members.into()) else { panic!("it is read") };
    assert_eq!(faults.len(), 32);
}

#[test]
fn schemas_have_a_name_each_and_refuse_what_is_not_known() {
    for schema in SCHEMAS {
        let text: Value = serde_json::from_str(schema.text).expect("JSON");
        assert_eq!((&text["$id"], &text["additionalProperties"]), (&json!(schema.name), &json!(false)));
    }
}
