//! What is rendered is read again, and what was not rendered so is refused.

use super::*;
use crate::{Batch, Chain, Draft, Facts, Renderer, Value};
use proptest::prelude::*;

fn lines_of(drafts: &[Draft<'_>]) -> Vec<u8> {
    let (mut renderer, mut batch) = (Renderer::new("node-1"), Batch::default());
    drafts.iter().for_each(|draft| renderer.render(draft, &mut batch));
    let mut out = Vec::new();
    Chain::new().append(&batch, &mut out, &mut Vec::new());
    out
}

fn line_of(draft: &Draft<'_>) -> String {
    let line = String::from_utf8(lines_of(std::slice::from_ref(draft))).expect("JSON is UTF-8");
    line.strip_suffix('\n').expect("a line ends in a newline").to_owned()
}

fn bare() -> Draft<'static> {
    Draft::new(Time::from_millis(1_795_000_000_123), Kind::Connected)
}

fn facts_of(facts: Facts<'_>) -> String {
    let line = line_of(&Draft { facts, ..bare() });
    Line::parse(line.as_bytes()).expect("canonical").facts_text().expect("it has facts").to_owned()
}

#[test]
fn a_record_has_its_members_in_order_and_nothing_else() {
    let draft = Draft {
        actor: "user:alice",
        subject: "+441632960123",
        outcome: "answered",
        reason: "q850/16",
        call: Some(CallId::new(1_795_000_000_123, 5)),
        trace: Some(TraceId::from_u128(0xab)),
        policy_version: "7",
        facts: Facts::new().with("zone", "b").with("legs", 2).with("forked", false),
        ..bare()
    };
    let zeros = "0".repeat(64);
    let expected = format!(
        "{{\"actor\":\"user:alice\",\"call_id\":\"{}\",\"facts\":{{\"forked\":false,\"legs\":2,\"zone\":\"b\"}},\
         \"kind\":\"connected\",\"node\":\"node-1\",\"outcome\":\"answered\",\"policy_version\":\"7\",\"prev_hash\":\"{zeros}\",\
         \"reason\":\"q850/16\",\"seq\":0,\"subject\":\"+441632960123\",\"time\":\"2026-11-18T11:06:40.123000Z\",\
         \"trace_id\":\"000000000000000000000000000000ab\"}}",
        CallId::new(1_795_000_000_123, 5)
    );
    assert_eq!(line_of(&draft), expected);
    assert_eq!(
        line_of(&bare()),
        format!(
            "{{\"kind\":\"connected\",\"node\":\"node-1\",\"prev_hash\":\"{zeros}\",\"seq\":0,\
             \"time\":\"2026-11-18T11:06:40.123000Z\"}}"
        )
    );
}

#[test]
fn strings_are_escaped_as_in_the_example_of_the_rfc() {
    //= https://www.rfc-editor.org/rfc/rfc8785#section-3.2.2
    //= type=test
    let text = "\u{20ac}$\u{f}\nA'B\"\\\\\"/";
    assert_eq!(facts_of(Facts::new().with("string", text)), r#"{"string":"€$\u000f\nA'B\"\\\\\"/"}"#);
    assert_eq!(facts_of(Facts::new().with("b", "\u{8}\t\u{c}\r\u{7f}\u{0}")), "{\"b\":\"\\b\\t\\f\\r\u{7f}\\u0000\"}");
}

#[test]
fn names_are_sorted_as_in_the_example_of_the_rfc() {
    //= https://www.rfc-editor.org/rfc/rfc8785#section-3.2.3
    //= type=test
    let mut facts = Facts::new();
    for (number, name) in (0..).zip(["\u{20ac}", "\r", "\u{fb33}", "1", "\u{1f600}", "\u{80}", "\u{f6}"]) {
        facts.push(name, number);
    }
    let expected = "{\"\\r\":1,\"1\":3,\"\u{80}\":5,\"\u{f6}\":6,\"\u{20ac}\":0,\"\u{1f600}\":4,\"\u{fb33}\":2}";
    assert_eq!(facts_of(facts), expected);
}

#[test]
fn a_fact_named_twice_has_its_last_value() {
    assert_eq!(facts_of(Facts::new().with("a", 1).with("b", 2).with("a", 3)), r#"{"a":3,"b":2}"#);
}

#[test]
fn a_number_that_json_cannot_tell_apart_is_a_text() {
    let largest = crate::NUMBER_MAX;
    let facts = Facts::new().with("a", largest).with("b", -largest).with("c", largest + 1).with("d", u64::MAX);
    let expected = r#"{"a":9007199254740991,"b":-9007199254740991,"c":"9007199254740992","d":"18446744073709551615"}"#;
    assert_eq!(facts_of(facts), expected);
}

#[test]
fn long_texts_are_cut_and_say_so() {
    let (fits, long) = ("é".repeat(1024), "é".repeat(1025));
    let line = line_of(&Draft { actor: &fits, subject: &long, ..bare() });
    let read = Line::parse(line.as_bytes()).expect("canonical");
    assert_eq!(read.actor().as_deref(), Some(fits.as_str()));
    assert_eq!(read.subject(), Some(format!("{}…", "é".repeat(1023)).into()));
}

#[test]
fn a_record_that_would_be_too_long_keeps_all_but_its_facts() {
    let facts = Facts::new().with("list", vec!["x".repeat(1000); 66]);
    let line = line_of(&Draft { actor: "a", facts, ..bare() });
    let read = Line::parse(line.as_bytes()).expect("canonical");
    assert_eq!((read.facts_text(), read.actor().as_deref()), (Some(r#"{"cut":true}"#), Some("a")));
    // The longest there can be besides: every text full of characters with six bytes each.
    let long = "\u{1}".repeat(2000);
    let mut worst =
        Draft { actor: &long, subject: &long, outcome: &long, reason: &long, policy_version: &long, ..bare() };
    worst.facts.push("list", vec!["x".repeat(1000); 66]);
    assert!(Line::parse(line_of(&worst).as_bytes()).is_ok());
}

#[test]
fn facts_that_lie_too_deep_are_cut() {
    let mut facts = Facts::new().with("n", 1);
    for _ in 0..20 {
        facts = Facts::new().with("n", facts);
    }
    let text = facts_of(facts);
    assert_eq!((text.matches('{').count(), text.contains("…")), (DEPTH_MAX, true));
}

#[test]
fn what_is_not_canonical_is_refused_by_name() {
    let good = line_of(&Draft { actor: "a", facts: Facts::new().with("n", 1).with("t", "x"), ..bare() });
    assert!(Line::parse(good.as_bytes()).is_ok());
    let check = |from: &str, to: &str, expected: &str| {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let fault = Line::parse(text.as_bytes()).expect_err(&text).to_string();
        assert!(fault.contains(expected), "{text}: {fault}");
    };
    check("\"seq\":0", "\"seq\": 0", "seq is not in its form");
    check("{\"actor\"", " {\"actor\"", "byte 0 is not what");
    check("Z\"}", "Z\"} ", "is not what canonical JSON has");
    check("\"n\":1", "\"n\":1.0", "no canonical integer");
    check("\"n\":1", "\"n\":01", "no canonical integer");
    check("\"n\":1", "\"n\":-0", "no canonical integer");
    check("\"n\":1", "\"n\":1e3", "no canonical integer");
    check("\"n\":1", "\"n\":9007199254740992", "no canonical integer");
    check("\"n\":1", "\"n\":null", "begins a null");
    check("\"n\":1,", "\"z\":1,", "out of order");
    check("\"n\":1,", "\"t\":\"x\",", "out of order or stands twice");
    check("\"n\":1,", "\"n\":[[[[[[[[1]]]]]]]],", "deeper than");
    check("\"n\":1,", "\"n\":1,,", "is not what canonical JSON has");
    check("\"x\"", "\"\\/\"", "escape at byte");
    check("\"x\"", "\"\\u0041\"", "escape at byte");
    check("\"x\"", "\"\\u000A\"", "escape at byte");
    check("\"x\"", "\"\\u000a\"", "escape at byte");
    check("\"x\"", "\"\\u001F\"", "escape at byte");
    check("\"x\"", "\"\t\"", "is not what canonical JSON has");
    check("\"x\"", "truth", "is not what canonical JSON has");
    check("\"actor\":\"a\"", "\"author\":\"a\"", "none that a record has");
    check("\"actor\":\"a\",", "\"time\":\"a\",", "out of order");
    check("\"kind\":\"connected\",", "", "kind is missing");
    check("connected", "connect", "kind is not in its form");
    check("\"seq\":0", "\"seq\":-1", "seq is not in its form");
    check("\"seq\":0,", "", "seq is missing");
    check("2026-11", "2026-13", "time is not in its form");
    check(&"0".repeat(64), &"0".repeat(63), "prev_hash is not in its form");
    check("\"facts\"", "\"call_id\":\"0\",\"facts\"", "call_id is not in its form");
    check("Z\"}", "Z\",\"trace_id\":\"0\"}", "trace_id is not in its form");
    check("\"actor\":\"a\"", "\"actor\":1", "actor is not in its form");
    check("\"a\"", &format!("\"{}\"", "a".repeat(RECORD_BYTES_MAX)), "at most 65536");
    assert_eq!(Line::parse(b"\"\xff\"").err(), Some(Malformed::NotUtf8 { at: 1 }));
    assert_eq!(Line::parse(b"").err(), Some(Malformed::Syntax { at: 0 }));
}

fn values() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        ".{0,40}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            (inner.clone(), inner).prop_map(|(a, b)| Facts::new().with("x", a).with("a", b).into()),
        ]
    })
}

proptest! {
    #[test]
    fn a_record_is_read_as_it_was_rendered(
        texts in prop::array::uniform5(".{0,60}"),
        call in any::<Option<u128>>(),
        trace in any::<Option<u128>>(),
        nanos in any::<u64>(),
        kind in prop::sample::select(Kind::ALL.as_slice()),
        values in prop::array::uniform3(values()),
    ) {
        let [actor, subject, outcome, reason, policy_version] = &texts;
        let [a, b, c] = values;
        let facts = Facts::new().with("b", b).with("é\n", c).with("a", a);
        let (call, trace) = (call.map(CallId::from_u128), trace.map(TraceId::from_u128));
        let draft = Draft { time: Time::from_nanos(nanos), kind, actor, subject, outcome, reason, call, trace, policy_version, facts };
        let bytes = lines_of(&[bare(), draft]);
        let second = bytes.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
        let line = Line::parse(second).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        prop_assert_eq!(line.actor().map(Cow::into_owned), text(actor));
        prop_assert_eq!(line.subject().map(Cow::into_owned), text(subject));
        prop_assert_eq!(line.outcome().map(Cow::into_owned), text(outcome));
        prop_assert_eq!(line.reason().map(Cow::into_owned), text(reason));
        prop_assert_eq!(line.policy_version().map(Cow::into_owned), text(policy_version));
        prop_assert_eq!((line.call_id(), line.trace_id(), line.kind(), line.seq()), (call, trace, kind, 1));
        prop_assert_eq!(line.time(), Time::from_nanos(nanos / 1000 * 1000));
        prop_assert!(line.facts().is_object());
    }

    #[test]
    fn no_two_lines_are_the_same_record(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let good = line_of(&Draft { actor: "a\"b", facts: Facts::new().with("n", vec![1, -20]), ..bare() });
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // A line that was changed is no record, or one that says something else: never the same in another form.
        if let Ok(line) = Line::parse(&bytes) {
            let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let was: serde_json::Value = serde_json::from_str(&good).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(bytes == good.as_bytes(), value == was, "{:?}", line);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,0-9a-f\\\\u-]{0,80}") {
        let _ = Line::parse(&bytes);
        let _ = Line::parse(text.as_bytes());
        let _ = Line::parse(format!("{{\"facts\":{text}}}").as_bytes());
    }
}
