//! Hazards that agents tell of: who is rung for them, who joins the council's room, and what is refused.

mod driver;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use driver::{Bench, Manner, named};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use sx_council::Guardian;
use sx_exchange::{Escalate, EscalationReport, Input, Operation, People};
use sx_expert::{Expert, Standing};
use sx_guard::{Definition, Policy, PolicyHash};
use sx_ifmessage::IfMessage;
use sx_media::MediaCommand;
use sx_sip::message::Method;
use sx_types::{TraceId, Transport};

const COUNCIL: &str = "[exchange]\ndomains = [\"example.org\"]\n[[room]]\nname = \"council\"\nmembers_max = 5\n\
    [[route]]\nname = \"conference\"\nexact = \"5000\"\nto = [{ room = \"council\" }]\n\
    [escalation]\nroom = \"council\"\n";
const SENDER: &str = "IF.guard.safety";

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key")
}

fn public(seed: u8) -> [u8; 32] {
    key(seed).public_key().as_ref().try_into().expect("32 bytes")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A message about a valve, that is good in every way.
fn valve(sequence: u64) -> Map<String, Value> {
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

fn signed(mut message: Map<String, Value>, seed: u8) -> IfMessage {
    let canonical = sx_ifmessage::canonical(&message).expect("a canonical form");
    let fields: Vec<String> = message.keys().cloned().collect();
    let signature = json!({
        "algorithm": "ed25519", "public_key": hex(&public(seed)),
        "signature_bytes": hex(key(seed).sign(&canonical).as_ref()), "signed_fields": fields,
    });
    message.insert("signature".into(), signature);
    read(&message)
}

fn read(message: &Map<String, Value>) -> IfMessage {
    let text = serde_json::to_vec(message).expect("JSON");
    match IfMessage::read(&text) {
        Ok(message) => message,
        Err(error) => panic!("{error}"),
    }
}

fn expert(id: &str, level: u8) -> Expert {
    let mut expert = Expert::new(id, id);
    expert.addresses = vec![id.into()];
    expert.knows("safety", level);
    expert
}

fn guardian(id: &str) -> Guardian {
    Guardian { id: id.into(), role: "safety".into(), organisation: "acme".into(), ..Guardian::default() }
}

fn people(experts: Vec<Expert>, standing: Standing) -> Arc<People> {
    Arc::new(People::new(experts, [(guardian(SENDER), standing, Some(public(7)))]))
}

/// Alice is in the room; bob, carol and dave are the experts, best first, and do so with calls.
fn council(manners: [Manner; 3], config: &str) -> Bench {
    let mut bench = Bench::new(config);
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

fn escalate_from(bench: &mut Bench, message: IfMessage, from: [u8; 4]) -> EscalationReport {
    let id = TraceId::from_u128(u128::from(bench.log.records.len() as u64 + 1));
    let asked = Escalate::new(id, message, (from.into(), Transport::Tcp), "token anna");
    bench.tell(0, Input::Escalate(Box::new(asked)));
    bench.workers[0].escalation(id).expect("it is told about")
}

fn escalate(bench: &mut Bench, message: IfMessage) -> EscalationReport {
    escalate_from(bench, message, [127, 0, 0, 1])
}

fn now(bench: &Bench, report: &EscalationReport) -> EscalationReport {
    bench.workers[0].escalation(report.id).expect("it is told about")
}

fn rung(report: &EscalationReport) -> Vec<(&str, &'static str)> {
    report.rung.iter().map(|attempt| (&*attempt.expert, attempt.outcome)).collect()
}

fn invitations(bench: &mut Bench, name: &str) -> usize {
    bench.requests(name, Method::Invite).len()
}

fn attending(bench: &Bench) -> usize {
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

const ALL_ANSWER: [Manner; 3] = [Manner::Answers, Manner::Answers, Manner::Answers];

#[test]
fn the_best_expert_is_rung_and_joins_the_room() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!((report.state, rung(&report)), ("connected", vec![("bob", "answered")]), "{}", bench.ladder());
    assert_eq!(attending(&bench), 2, "alice and bob");
    assert_eq!([invitations(&mut bench, "carol"), invitations(&mut bench, "dave")], [0, 0]);
    let invitation = bench.requests("bob", Method::Invite).remove(0);
    let told = ["X-IF-Trace-ID", "X-IF-Hazard", "X-IF-Source", "X-IF-Bridge-Mode", "X-IF-Authenticated-User"]
        .map(|name| named(&invitation, name));
    assert_eq!(told, ["t-7", "safety", SENDER, "room", SENDER]);
    let from = driver::value(&invitation, sx_sip::message::HeaderName::From);
    assert!(from.starts_with("\"safety hazard, critical\" <sip:council@example.org>"), "{from}");
    let session = bench.who("bob").invited[0];
    bench.hang_up("bob", session);
    let report = now(&bench, &report);
    assert_eq!((report.state, attending(&bench), bench.workers[0].escalations_running()), ("ended", 1, 0));
    let session = bench.who("alice").dialled[0];
    bench.hang_up("alice", session);
    bench.assert_over(2);
}

#[test]
fn what_was_decided_and_done_is_on_record_in_one_story_without_personal_data() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!(report.content["text"], "valve 7 is open, call [REDACTED:EMAIL]");
    let session = bench.who("bob").invited[0];
    bench.hang_up("bob", session);
    let trace = report.id.to_string();
    let story: Vec<&Value> = bench.log.records.iter().filter(|record| record["trace_id"] == trace).collect();
    let told: Vec<String> =
        story.iter().map(|record| format!("{} {}", record["kind"], record["outcome"]).replace('"', "")).collect();
    assert_eq!(
        told,
        [
            "admission approve",
            "escalation rings",
            "invite null",
            "trying null",
            "ringing null",
            "connected null",
            "bridge_established null",
            "escalation connected",
            "terminated null",
            "escalation ended"
        ],
        "{story:#?}"
    );
    let facts = &story[0]["facts"];
    assert_eq!(
        [&facts["hazard"], &facts["route"], &facts["redacted_email"], &facts["brought_by"], &facts["if_trace"]],
        [&json!("safety"), &json!("escalate"), &json!(1), &json!("token anna"), &json!("t-7")]
    );
    assert_eq!((&facts["authenticated"], &story[0]["actor"]), (&json!("signature"), &json!(SENDER)));
    assert_eq!((&story[7]["facts"]["expert"], &story[7]["facts"]["set_up_ms"]), (&json!("bob"), &json!(0)));
    assert!(!bench.log.records.iter().any(|record| record.to_string().contains("jane@")), "nobody sees it");
}

#[test]
fn the_next_best_is_rung_when_one_is_busy_or_does_not_answer() {
    let mut bench = council([Manner::Rings, Manner::Refuses(486), Manner::Answers], COUNCIL);
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!((report.state, rung(&report)), ("ringing", vec![("bob", "ringing")]));
    bench.pass_s(29);
    assert_eq!(invitations(&mut bench, "carol"), 0);
    bench.pass_s(2);
    let report = now(&bench, &report);
    assert_eq!(rung(&report), [("bob", "failed"), ("carol", "failed"), ("dave", "answered")], "{}", bench.ladder());
    assert_eq!(report.rung[1].cause.map(|cause| cause.0), Some(17));
    let given_up = &bench.ended()[0];
    assert_eq!((given_up.ended_by, given_up.cause.0), (sx_call::Ender::Timer, 19), "nobody has hung up");
    assert_eq!((report.state, attending(&bench)), ("connected", 2));
}

#[test]
fn an_escalation_that_nobody_answers_is_over_and_leaves_nothing() {
    let mut bench = council([Manner::Rings, Manner::Refuses(603), Manner::Dead], COUNCIL);
    let report = escalate(&mut bench, signed(valve(1), 7));
    bench.pass_s(120);
    let report = now(&bench, &report);
    assert_eq!(report.state, "no_expert", "{}", bench.ladder());
    assert_eq!(rung(&report), [("bob", "failed"), ("carol", "failed"), ("dave", "failed")]);
    assert_eq!((attending(&bench), bench.workers[0].escalations_running(), bench.workers[0].calls()), (1, 0, 1));
    let told = bench.last_recorded("escalation");
    assert_eq!((&told["outcome"], &told["facts"]["tried"]), (&json!("no_expert"), &json!(3)));
}

#[test]
fn several_ring_at_once_and_the_first_who_answers_is_it() {
    let config = format!("{COUNCIL}order = \"parallel\"\nparallel_max = 2\n");
    let mut bench = council([Manner::Rings, Manner::Answers, Manner::Answers], &config);
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!((report.state, rung(&report)), ("connected", vec![("bob", "failed"), ("carol", "answered")]));
    assert_eq!(bench.requests("bob", Method::Cancel).len(), 1, "{}", bench.ladder());
    assert_eq!(invitations(&mut bench, "dave"), 0);
    let all = council(ALL_ANSWER, &config);
    let mut bench = all;
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!((report.state, attending(&bench)), ("connected", 2), "one of the two who answer is hung up");
    assert_eq!(bench.workers[0].calls(), 2);
}

#[test]
fn whoever_is_not_registered_is_not_rung() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    bench.act("bob", |bob, now| bob.register(now, "bob", driver::PASSWORD, 0));
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!(rung(&report), [("carol", "answered")]);
    assert_eq!(report.passed_over, [("bob".into(), "cannot be reached")]);
}

#[test]
fn an_operator_ends_it_while_it_rings_and_while_they_talk() {
    let mut bench = council([Manner::Rings, Manner::Answers, Manner::Answers], COUNCIL);
    for (sequence, manner) in [(1, Manner::Rings), (2, Manner::Answers)] {
        bench.who("bob").manner = manner;
        let report = escalate(&mut bench, signed(valve(sequence), 7));
        assert_eq!(attending(&bench), if sequence == 1 { 1 } else { 2 });
        bench.tell(0, Input::Operation(Operation::EndEscalation { id: report.id, by: "token anna".into() }));
        bench.pass_s(5);
        assert_eq!((now(&bench, &report).state, attending(&bench), bench.workers[0].calls()), ("ended", 1, 1));
        assert_eq!(bench.workers[0].escalations_running(), 0);
    }
}

#[test]
fn an_expert_whose_call_is_cut_off_is_rung_again_and_then_the_next() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let report = escalate(&mut bench, signed(valve(1), 7));
    assert_eq!(rung(&report), [("bob", "answered")]);
    // Nothing comes from there any more; the timer of the session finds that out.
    bench.who("bob").manner = Manner::Dead;
    for _ in 0..60 {
        bench.pass_s(60);
    }
    let report = now(&bench, &report);
    assert_eq!(
        rung(&report)[..3],
        [("bob", "answered"), ("bob", "failed"), ("carol", "answered")],
        "{}",
        bench.ladder()
    );
    assert!(bench.recorded("escalation").iter().any(|record| record["outcome"] == "cut_off"));
    let config = format!("{COUNCIL}rering = \"never\"\n");
    let mut bench = council(ALL_ANSWER, &config);
    let report = escalate(&mut bench, signed(valve(1), 7));
    bench.who("bob").manner = Manner::Dead;
    for _ in 0..60 {
        bench.pass_s(60);
    }
    let report = now(&bench, &report);
    assert_eq!((report.state, rung(&report)), ("ended", vec![("bob", "answered")]));
}

#[test]
fn who_is_sure_is_shared_and_who_is_not_quite_is_held() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    for (sequence, confidence, state) in
        [(1, 0.9, "shared"), (2, 0.5, "held"), (3, 0.25, "held"), (4, 0.1, "connected")]
    {
        let mut message = valve(sequence);
        message["payload"]["hazard"]["auto_escalate"] = json!(false);
        message["payload"]["confidence"] = json!(confidence);
        let report = escalate(&mut bench, signed(message, 7));
        assert_eq!(report.state, state, "{confidence}");
    }
    assert_eq!(invitations(&mut bench, "bob"), 1);
}

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

/// A MESSAGE of an agent that is known by its address.
fn by_sip(headers: &str, media_type: &str, body: &[u8]) -> String {
    format!(
        "MESSAGE sip:council@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK{branch}\r\n\
         From: <sip:agent@192.0.2.20>;tag=1\r\nTo: <sip:council@example.org>\r\nCall-ID: {branch}\r\nCSeq: 1 MESSAGE\r\n\
         Max-Forwards: 70\r\n{headers}Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n{body}",
        branch = headers.len() * 100_000 + body.iter().map(|byte| usize::from(*byte)).sum::<usize>(),
        length = body.len(),
        body = String::from_utf8_lossy(body),
    )
}

fn with_agent(workers: u16) -> Bench {
    let trunk = "[[trunk]]\nname = \"agents\"\naddresses = [\"sip:192.0.2.20:5060\"]\nsources = [\"192.0.2.20\"]\n";
    let mut bench = Bench::with_workers(&format!("{COUNCIL}{trunk}"), workers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench.peer("agent", "192.0.2.20:5060", Manner::Silent);
    for worker in 0..bench.workers.len() {
        bench.tell(worker, Input::People(people(vec![expert("bob", 3)], Standing::Active)));
    }
    bench
}

fn bytes_of(message: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(message).expect("JSON")
}

fn signed_bytes(message: &Map<String, Value>, seed: u8) -> Vec<u8> {
    let mut message = message.clone();
    let canonical = sx_ifmessage::canonical(&message).expect("a canonical form");
    let fields: Vec<String> = message.keys().cloned().collect();
    message.insert(
        "signature".into(),
        json!({"algorithm": "ed25519", "public_key": hex(&public(seed)), "signed_fields": fields,
            "signature_bytes": hex(key(seed).sign(&canonical).as_ref())}),
    );
    bytes_of(&message)
}

const HEADERS: &str = "X-IF-Trace-ID: t-7\r\nX-IF-Hazard: safety\r\n";

#[test]
fn a_message_by_sip_is_decided_about_as_one_by_http() {
    for workers in [1, 3] {
        let mut bench = with_agent(workers);
        let answer = bench.send_raw("agent", &by_sip(HEADERS, "application/json", &signed_bytes(&valve(1), 7)));
        let answer = answer.last().unwrap_or_else(|| panic!("{}", bench.ladder()));
        assert_eq!(
            (answer.status(), named(answer, "X-IF-Trace-ID").as_str()),
            (Some(202), "t-7"),
            "{}",
            bench.ladder()
        );
        let id: TraceId = named(answer, "X-IF-Escalation").parse().expect("an id");
        let report = bench.workers.iter().find_map(|worker| worker.escalation(id)).expect("it is told about");
        assert_eq!(
            (report.state, &*report.actor, rung(&report)),
            ("connected", "trunk agents", vec![("bob", "answered")])
        );
        // The same once more is a replay.
        let again = by_sip(&format!("{HEADERS}Subject: again\r\n"), "application/json", &signed_bytes(&valve(1), 7));
        let answer = bench.send_raw("agent", &again);
        let answer = answer.last().expect("an answer");
        assert_eq!(answer.status(), Some(403));
        assert!(driver::value(answer, sx_sip::message::HeaderName::Warning).contains("and 1 was here before"));
    }
}

#[test]
fn the_signature_may_stand_in_a_header() {
    let mut bench = with_agent(1);
    let body = valve(1);
    let signature = |seed| hex(key(seed).sign(&sx_ifmessage::canonical(&body).expect("a form")).as_ref());
    let mut status = |seed| {
        let headers =
            format!("{HEADERS}X-IF-Signature: {}\r\nSubject: {}\r\n", signature(seed), "x".repeat(seed.into()));
        let answer = bench.send_raw("agent", &by_sip(&headers, "application/json", &bytes_of(&body)));
        let answer = answer.last().expect("an answer");
        (answer.status(), driver::value(answer, sx_sip::message::HeaderName::Warning))
    };
    assert_eq!(status(8), (Some(403), "399 strowger \"the signature is wrong\"".to_owned()));
    assert_eq!(status(7), (Some(202), String::new()));
}

#[test]
fn what_is_wrong_with_a_message_by_sip_is_told_by_a_warning() {
    let mut bench = with_agent(1);
    let body = signed_bytes(&valve(1), 7);
    let mut refused = |headers: &str, media_type: &str, body: &[u8], status: u16, warning: &str| {
        let answer = bench.send_raw("agent", &by_sip(headers, media_type, body));
        let answer = answer.last().expect("an answer");
        let told = driver::value(answer, sx_sip::message::HeaderName::Warning);
        assert_eq!(answer.status(), Some(status), "{told}");
        assert!(told.contains(warning), "{told}");
        assert_eq!(bench.recorded("escalation").len(), 0, "nobody is rung");
    };
    let json = "application/json";
    refused("X-IF-Hazard: safety\r\n", json, &body, 400, "X-IF-Trace-ID is missing");
    refused("X-IF-Trace-ID: t-7\r\n", json, &body, 400, "X-IF-Hazard is missing");
    refused("X-IF-Trace-ID: t-7\r\nX-IF-Hazard: fire\r\n", json, &body, 400, "X-IF-Hazard is none of legal, safety");
    refused("X-IF-Trace-ID: t-8\r\nX-IF-Hazard: safety\r\n", json, &body, 400, "different traces");
    refused("X-IF-Trace-ID: t-7\r\nX-IF-Hazard: legal\r\n", json, &body, 400, "different hazards");
    refused(&format!("{HEADERS}X-IF-Signature: 12\r\n"), json, &body, 400, "X-IF-Signature has 128 hexadecimal digits");
    refused(HEADERS, "text/plain", &body, 415, "application/json");
    refused(HEADERS, json, b"{}", 400, "/id is missing");
    refused(HEADERS, json, &bytes_of(&valve(1)), 403, "has not shown who they are");
}

#[test]
fn a_message_without_a_hazard_that_a_human_is_to_decide_about_rings_nobody() {
    let mut bench = council(ALL_ANSWER, COUNCIL);
    let mut message = valve(1);
    message["payload"].as_object_mut().expect("an object").remove("hazard");
    let rejection = escalate(&mut bench, signed(message, 7)).rejection.expect("it is refused");
    assert_eq!((rejection.reason, rejection.status), ("no-hazard", 422));
}
