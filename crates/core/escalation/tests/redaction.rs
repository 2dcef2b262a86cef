//! Nothing about persons is left in what a message says in words of its own, and nothing else is touched.

use sx_escalation::redact_message;
use sx_ifmessage::IfMessage;
use sx_pii::PiiKind;

#[test]
fn personal_data_is_blotted_out_wherever_it_stands() {
    let text = br#"{"id": "m-1", "timestamp": "2026-11-23T10:00:00Z", "level": 2, "source": "jane@example.org",
        "destination": "IF.guard", "traceId": "+49 30 1234567", "payload": {
            "text": "ring +49 30 1234567, order 4711", "nested": [{"card": 4111111111111111}, true, null, 7],
            "hazard": {"type": "safety", "severity": "critical", "rationale": "her SSN is 536-22-1234", "auto_escalate": true},
            "bob@example.org": "a name"}}"#;
    let mut message = IfMessage::read(text).expect("a message");
    let before = message.clone();
    let done = redact_message(&mut message);
    let each: Vec<(PiiKind, u32)> = done.each().collect();
    assert_eq!(each, [(PiiKind::Ssn, 1), (PiiKind::Email, 1), (PiiKind::Phone, 1), (PiiKind::Card, 1)]);
    assert_eq!(done.total(), 4);
    assert_eq!(message.hazard.as_ref().map(|hazard| &*hazard.rationale), Some("her SSN is [REDACTED:SSN]"));
    assert_eq!(message.content["text"], "ring [REDACTED:PHONE], order 4711");
    assert_eq!(message.content["nested"], serde_json::json!([{"card": "[REDACTED:CARD]"}, true, null, 7]));
    assert_eq!(message.content["[REDACTED:EMAIL]"], "a name");
    let named = |message: IfMessage| (message.receivers, message.sender, message.trace);
    assert_eq!(named(message), named(before), "whom it is from and for, and its trace, are no words");
}
