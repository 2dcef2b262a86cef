//! The fifth and the sixth layer: the rates and the policy.

use crate::driver::Bench;
use crate::said::{ALICE, bench_under, policy, with};
use serde_json::{Value, json};
use sx_exchange::Input;
use sx_guard::ReasonKind;

/// The whole record of the last refusal of a call of alice's; her Call-ID and the policy's version are left out.
fn refused_call(bench: &Bench, kind: &str) -> Value {
    let mut record = bench.last_recorded(kind);
    let facts = record["facts"].as_object_mut().expect("facts");
    assert!(facts.remove("sip_call_id").is_some_and(|id| id.is_string()));
    let members = record.as_object_mut().expect("an object");
    let version = members.remove("policy_version");
    assert_eq!(version.is_some(), kind == "admission");
    record
}

/// What such a record says, but for what the gate adds.
fn call_refused(kind: &str, reason: &str, layer: &str, rule: &str, status: u16, more: &Value) -> Value {
    let facts = json!({ "layer": layer, "rule": rule, "status": status, "source": ALICE, "transport": "udp",
        "method": "INVITE", "authenticated": "digest-sha256", "recent": 0, "calls": 0, "score_milli": 3 });
    json!({ "kind": kind, "actor": "alice@example.org", "subject": "sip:bob@example.org", "outcome": "reject",
        "reason": reason, "facts": with(facts, more) })
}

const RATE: (&str, &str, &str) = ("security_rejected", "identity_rate", "rate");
const IDENTITY: (&str, &str, &str) = ("admission", "guard", "identity");

/// A policy under which alice's second call, while the first stands, is refused for this; and the record of that, but for
/// her Call-ID and the policy's version.
fn refused_for(kind: ReasonKind) -> Option<(&'static str, Value)> {
    let alice_is = |status| match status {
        ReasonKind::Suspended => "[[identity]]\nidentity = \"alice@example.org\"\nstatus = \"suspended\"\n",
        _ => "[[identity]]\nidentity = \"alice@example.org\"\nstatus = \"revoked\"\n",
    };
    let (policy, (record, layer, rule), status, more) = match kind {
        ReasonKind::NotAuthenticated => {
            let gate = ("admission", "guard", "authenticity");
            ("[gate.authenticity]\ncall = [\"certificate\"]\n", gate, 403, json!({}))
        }
        ReasonKind::Unlisted => ("[gate.identity]\nunlisted = \"reject\"\n", IDENTITY, 403, json!({})),
        ReasonKind::Suspended | ReasonKind::Revoked => (alice_is(kind), IDENTITY, 403, json!({})),
        ReasonKind::CodecNotAllowed => {
            let lists = json!({ "allowed": ["G722", "telephone-event", "CN"], "offered": ["PCMU"] });
            ("[gate.codec]\nallowed = [\"G722\"]\n", ("admission", "guard", "codec"), 488, lists)
        }
        ReasonKind::RateExceeded => ("[gate.rate]\nlimit = 1\n", RATE, 429, json!({})),
        ReasonKind::TooManyCalls => ("[gate.rate]\ncalls_max = 1\n", RATE, 429, json!({})),
        ReasonKind::Rule => {
            let rule = "[[rule]]\nname = \"no bob\"\nwhen = { dialled = \"bob\", action = \"call\" }\nthen = \"reject\"\n\
                        status = 603\nreason = \"bob wants to be left alone\"\n";
            (rule, ("admission", "guard", "no bob"), 603, json!({}))
        }
        // No telephone signs what it asks for,
        ReasonKind::BadSignature | ReasonKind::Stale | ReasonKind::Replayed | ReasonKind::KeyMismatch => return None,
        // and no call is an escalation.
        ReasonKind::UnredactedPii
        | ReasonKind::NoSpecialist
        | ReasonKind::ExpertNotApproved
        | ReasonKind::BadSource
        | ReasonKind::BandwidthExceeded
        | ReasonKind::RoomFull => return None,
    };
    let facts = with(json!({ "calls": 1, "recent": 1, "score_milli": 6 }), &more);
    Some((policy, call_refused(record, kind.word(), layer, rule, status, &facts)))
}

#[test]
fn each_gate_and_each_rule_refuses_with_a_record_that_says_why() {
    for (kind, (text, expected)) in ReasonKind::ALL.into_iter().filter_map(|kind| Some((kind, refused_for(kind)?))) {
        let mut bench = bench_under("[gate.rate]\nlimit = 60\n");
        bench.dial("alice", "sip:bob@example.org");
        bench.pass_s(1);
        bench.follow_policy(policy(text));
        bench.dial("alice", "sip:bob@example.org");
        bench.pass_s(1);
        let record = expected["kind"].as_str().expect("a kind");
        assert_eq!(refused_call(&bench, record), expected, "{kind}");
        let status = expected["facts"]["status"].as_u64();
        assert_eq!(bench.statuses("alice", "INVITE").last().map(|last| u64::from(*last)), status, "{kind}");
        let version = bench.last_recorded(record)["policy_version"].clone();
        let expected = if record == "admission" { json!(bench.tables.policy.version()) } else { Value::Null };
        assert_eq!(version, expected, "{kind}");
        assert_eq!(bench.recorded("invite").len(), 1, "{kind}: no call begins");
    }
}

#[test]
fn a_caller_is_told_the_sentence_of_the_rule() {
    let (text, _) = refused_for(ReasonKind::Rule).expect("a policy");
    let mut bench = bench_under(text);
    bench.dial("alice", "sip:bob@example.org");
    let told = bench.lines.iter().any(|line| line.text().contains("399 strowger \"bob wants to be left alone\""));
    assert!(told, "{}", bench.ladder());
}

#[test]
fn an_identity_that_calls_too_often_is_told_when_to_try_again() {
    let mut bench = bench_under("[gate.rate]\nlimit = 2\nwindow_s = 60\n");
    for _ in 0..3 {
        let session = bench.dial("alice", "sip:bob@example.org");
        bench.pass_s(1);
        bench.hang_up("alice", session);
        bench.pass_s(1);
    }
    let facts = json!({ "recent": 2, "score_milli": 10 });
    let expected = call_refused("security_rejected", "rate-exceeded", "identity_rate", "rate", 429, &facts);
    assert_eq!(bench.recorded("security_rejected").len(), 1);
    assert_eq!(refused_call(&bench, "security_rejected"), expected);
    let told = bench.lines.iter().any(|line| line.text().contains("Retry-After: 57\r\n"));
    assert!(told, "{}", bench.ladder());
    bench.pass_s(120);
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(bench.recorded("connected").len(), 3);
}

#[test]
fn the_hours_of_a_policy_follow_a_wall_clock_that_was_set() {
    let mut bench = bench_under("");
    let hour = bench.now.as_secs() / 3600 % 24;
    let (from, to) = ((hour + 2) % 24, (hour + 3) % 24);
    // An hour from now is neither; two hours are, wherever in the hour the test begins.
    bench.follow_policy(policy(&format!(
        "[[rule]]\nname = \"closed\"\nwhen = {{ hours = [\"{from:02}-{to:02}\"] }}\nthen = \"reject\"\n"
    )));
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(bench.recorded("invite").len(), 1);
    bench.tell(0, Input::WallClock { ahead_ms: 2 * 3_600_000 });
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(bench.recorded("invite").len(), 1, "it is closed by the clock on the wall");
    assert_eq!(bench.last_recorded("admission")["facts"]["rule"], "closed");
    bench.tell(0, Input::WallClock { ahead_ms: -24 * 3_600_000 });
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(bench.recorded("invite").len(), 2, "and open at the same hour of the day before");
}

#[test]
fn what_the_exchange_cannot_do_is_no_reason_to_let_a_call_in() {
    for obligation in ["record = true, consent = \"law\"", "announce = \"this is recorded\"", "bandwidth_kbps = 64"] {
        let mut bench = bench_under(&format!(
            "[[rule]]\nname = \"bound\"\nwhen = {{ action = \"call\" }}\nthen = \"conditional\"\n\
             obligations = {{ {obligation} }}\n"
        ));
        bench.dial("alice", "sip:bob@example.org");
        bench.pass_s(1);
        let facts = json!({ "layer": "guard", "rule": "bound", "status": 403, "source": ALICE, "transport": "udp",
            "method": "INVITE" });
        let expected = json!({ "kind": "admission", "actor": "alice@example.org", "subject": "sip:bob@example.org",
            "outcome": "reject", "reason": "obligation", "facts": facts });
        assert_eq!(refused_call(&bench, "admission"), expected, "{obligation}");
        assert_eq!(bench.last_recorded("admission")["policy_version"], bench.tables.policy.version());
        assert_eq!(bench.recorded("invite").len(), 0);
    }
}

#[test]
fn a_limit_that_the_policy_sets_ends_the_call() {
    let rule = "[[rule]]\nname = \"short\"\nthen = \"conditional\"\nobligations = { limit_s = 30 }\n";
    let mut bench = bench_under(rule);
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(5);
    assert_eq!(bench.last_recorded("admission")["facts"]["limit_s"], 30);
    assert_eq!(bench.recorded("terminated").len(), 0);
    bench.pass_s(31);
    assert_eq!(bench.last_recorded("terminated")["facts"]["by"], "timer");
}
