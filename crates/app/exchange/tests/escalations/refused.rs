//! What is refused, by which gate, and what is on record of it.

use crate::driver::{Bench, Manner};
use crate::said::*;
use serde_json::{Value, json};
use std::sync::Arc;
use sx_exchange::Input;
use sx_expert::{Expert, Standing};
use sx_guard::{Definition, Policy, PolicyHash};
use sx_ifmessage::IfMessage;

/// The message is refused, nobody is rung, and the record says by which rule and why.
#[track_caller]
fn refused(bench: &mut Bench, message: IfMessage, from: [u8; 4], rule: &str, kind: &str) -> Value {
    let report = escalate_from(bench, message, from);
    let rejection = report.rejection.clone().expect("it is refused");
    assert_eq!((report.state, &*rejection.rule, rejection.reason), ("rejected", rule, kind), "{}", rejection.sentence);
    assert!(report.rung.is_empty());
    let record = bench.last_recorded("security_rejected");
    assert_eq!((&record["facts"]["rule"], &record["facts"]["kind"]), (&json!(rule), &json!(kind)), "{record:#}");
    assert_eq!((&record["outcome"], &record["trace_id"]), (&json!("reject"), &json!(report.id.to_string())));
    assert_eq!(record["reason"], json!(rejection.sentence));
    record
}

#[test]
fn what_no_guardian_has_signed_is_refused() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let here = [127, 0, 0, 1];
    refused(&mut bench, read(&valve(1)), here, "authenticity", "not-authenticated");
    let record = refused(&mut bench, signed(valve(1), 8), here, "authenticity", "key-mismatch");
    assert_eq!((&record["facts"]["verifies"], &record["facts"]["key_matches"]), (&json!(true), &json!(false)));
    // What was signed is not what is said: another byte of the signature stands for that.
    let mut raw = valve(1);
    raw.insert("signature".into(), {
        let fields: Vec<String> = raw.keys().cloned().collect();
        json!({"algorithm": "ed25519", "public_key": hex(&public(7)), "signature_bytes": "00".repeat(64), "signed_fields": fields})
    });
    let record = refused(&mut bench, read(&raw), here, "authenticity", "bad-signature");
    assert_eq!(record["facts"]["verifies"], json!(false));
    assert_eq!(escalate(&mut bench, signed(valve(1), 7)).state, "connected", "none of these has used its number up");
}

#[test]
fn a_message_is_taken_once_in_its_order_and_in_time() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let here = [127, 0, 0, 1];
    escalate(&mut bench, signed(valve(5), 7));
    refused(&mut bench, signed(valve(5), 7), here, "", "replayed");
    refused(&mut bench, signed(valve(4), 7), here, "", "replayed");
    bench.pass_s(299);
    let report = escalate(&mut bench, signed(valve(6), 7));
    assert_ne!(report.state, "rejected");
    bench.pass_s(2);
    let record = refused(&mut bench, signed(valve(7), 7), here, "authenticity", "stale");
    assert_eq!(record["facts"]["age_s"], json!(301));
}

#[test]
fn a_guardian_in_bad_standing_is_refused() {
    for (standing, kind) in [(Standing::Suspended, "suspended"), (Standing::Revoked, "revoked")] {
        let mut bench = council(ALL_ANSWER, COUNCIL);
        bench.tell(0, Input::People(people(vec![expert("bob", 3)], standing)));
        let record = refused(&mut bench, signed(valve(1), 7), [127, 0, 0, 1], "identity", kind);
        assert_eq!(record["facts"]["standing"], json!(kind));
    }
}

#[test]
fn personal_data_that_is_to_stay_is_refused_but_in_an_emergency_that_overrides() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let with = |sequence: u64, more: Value| {
        let mut message = valve(sequence);
        for (name, value) in more.as_object().expect("an object") {
            message["payload"][name] = value.clone();
        }
        signed(message, 7)
    };
    let here = [127, 0, 0, 1];
    refused(&mut bench, with(1, json!({"contains_pii": true})), here, "pii", "unredacted-pii");
    refused(&mut bench, with(2, json!({"contains_pii": true, "pii_override": true})), here, "pii", "unredacted-pii");
    let urgent = json!({"contains_pii": true, "pii_override": true, "priority": "EMERGENCY"});
    let report = escalate(&mut bench, with(3, urgent));
    assert_eq!(report.state, "connected");
    let facts = bench.last_recorded("admission")["facts"].clone();
    assert_eq!(
        (&facts["emergency"], &facts["pii_override"]),
        (&json!(true), &json!(true)),
        "the override is on record"
    );
}

#[test]
fn a_bad_source_and_an_expert_who_is_not_approved_are_refused() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let mut of_acme = expert("bob", 3);
    of_acme.organisation = "acme".into();
    of_acme.networks = vec!["192.0.2.0/24".parse().expect("a network")];
    bench.tell(0, Input::People(people(vec![of_acme.clone()], Standing::Active)));
    let record = refused(&mut bench, signed(valve(1), 7), [198, 51, 100, 1], "specialisation", "bad-source");
    assert_eq!((&record["facts"]["experts_knowing"], &record["facts"]["experts_allowed"]), (&json!(1), &json!(0)));
    of_acme.organisation = "umbrella".into();
    bench.tell(0, Input::People(people(vec![of_acme.clone()], Standing::Active)));
    refused(&mut bench, signed(valve(2), 7), [192, 0, 2, 9], "specialisation", "bad-source");
    for change in [|one: &mut Expert| one.standing = Standing::Revoked, |one: &mut Expert| one.proved = false] {
        let mut one = expert("bob", 3);
        change(&mut one);
        bench.tell(0, Input::People(people(vec![one], Standing::Active)));
        let sequence = bench.log.records.len() as u64 + 10;
        refused(&mut bench, signed(valve(sequence), 7), [192, 0, 2, 9], "specialisation", "expert-not-approved");
    }
    bench.tell(0, Input::People(people(vec![], Standing::Active)));
    refused(&mut bench, signed(valve(900), 7), [192, 0, 2, 9], "specialisation", "no-specialist");
    of_acme.organisation = "ACME".into();
    bench.tell(0, Input::People(people(vec![of_acme], Standing::Active)));
    let report = escalate_from(&mut bench, signed(valve(901), 7), [192, 0, 2, 9]);
    assert_eq!(report.state, "connected");
}

#[test]
fn nobody_has_more_than_their_share() {
    let strict = || Policy::build(Definition::default(), PolicyHash::of(b"strict")).expect("a policy");
    let mut bench = council(ALL_ANSWER, COUNCIL);
    bench.follow_policy(Arc::new(strict()));
    let here = [127, 0, 0, 1];
    for sequence in 1..=3 {
        assert_eq!(escalate(&mut bench, signed(valve(sequence), 7)).state, "connected");
    }
    let record = refused(&mut bench, signed(valve(4), 7), here, "rate", "too-many-calls");
    assert_eq!(record["facts"]["calls"], json!(3));
    let mut definition = Definition::default();
    definition.fairness.guardian_kbps = 300;
    let fair = Policy::build(definition, PolicyHash::of(b"fair")).expect("a policy");
    bench.follow_policy(Arc::new(fair));
    let record = refused(&mut bench, signed(valve(5), 7), here, "fairness", "bandwidth-exceeded");
    assert_eq!(record["facts"]["kbps"], json!(320));
}

#[test]
fn a_full_room_and_experts_who_were_rung_too_often_are_refused() {
    let small = COUNCIL.replace("members_max = 5", "members_max = 2");
    let mut bench = council(ALL_ANSWER, &small);
    assert_eq!(escalate(&mut bench, signed(valve(1), 7)).state, "connected");
    let here = [127, 0, 0, 1];
    let record = refused(&mut bench, signed(valve(2), 7), here, "fairness", "room-full");
    assert_eq!(record["facts"]["members"], json!(2));
    let mut bench =
        council([Manner::Refuses(486), Manner::Answers, Manner::Answers], &format!("{COUNCIL}rings_per_minute = 2\n"));
    bench.tell(0, Input::People(people(vec![expert("bob", 3)], Standing::Active)));
    for sequence in 1..=2 {
        assert_eq!(escalate(&mut bench, signed(valve(sequence), 7)).state, "no_expert");
    }
    refused(&mut bench, signed(valve(3), 7), here, "rate", "rate-exceeded");
    bench.pass_s(61);
    assert_eq!(escalate(&mut bench, signed(valve(4), 7)).state, "no_expert", "a minute later they may be rung again");
}

#[test]
fn where_nothing_can_be_written_down_or_nobody_can_be_fetched_it_is_refused() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    bench.disk_fails(true);
    let rejection = escalate(&mut bench, signed(valve(1), 7)).rejection.expect("it is refused");
    assert_eq!((rejection.layer, rejection.reason, rejection.status), ("admission", "unwritable", 503));
    bench.disk_fails(false);
    let no_room = COUNCIL.split("[escalation]").next().expect("the rest");
    bench.reload(no_room);
    let rejection = escalate(&mut bench, signed(valve(2), 7)).rejection.expect("it is refused");
    assert_eq!((rejection.reason, rejection.status), ("no-room", 409));
    bench.reload(&format!("{COUNCIL}running_max = 1\n"));
    assert_eq!(escalate(&mut bench, signed(valve(3), 7)).state, "connected");
    let rejection = escalate(&mut bench, signed(valve(4), 7)).rejection.expect("it is refused");
    assert_eq!((rejection.reason, rejection.status, rejection.retry_after_s), ("overload", 503, 10));
}

#[test]
fn a_message_without_a_hazard_that_a_human_is_to_decide_about_rings_nobody() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let mut message = valve(1);
    message["payload"].as_object_mut().expect("an object").remove("hazard");
    let rejection = escalate(&mut bench, signed(message, 7)).rejection.expect("it is refused");
    assert_eq!((rejection.reason, rejection.status), ("no-hazard", 422));
}
