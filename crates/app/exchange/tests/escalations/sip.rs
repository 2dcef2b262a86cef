//! Messages of agents that come by SIP.

use crate::driver::{self, Bench, Manner, named};
use crate::said::*;
use serde_json::{Map, Value, json};
use sx_exchange::Input;
use sx_expert::Standing;
use sx_types::TraceId;

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

/// An INVITE of an agent to the room, with what it has to tell beside its session description.
fn invite_with(headers: &str, message: &[u8]) -> String {
    let description =
        "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n";
    let body = format!(
        "--b\r\nContent-Type: application/sdp\r\n\r\n{description}\r\n--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b--\r\n",
        String::from_utf8_lossy(message)
    );
    let branch = message.iter().map(|byte| usize::from(*byte)).sum::<usize>() + headers.len();
    format!(
        "INVITE sip:5000@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK{branch}\r\n\
         From: <sip:agent@192.0.2.20>;tag=1\r\nTo: <sip:5000@example.org>\r\nCall-ID: {branch}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:agent@192.0.2.20:5060>\r\nMax-Forwards: 70\r\n{headers}Content-Type: multipart/mixed;boundary=b\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn an_agent_that_calls_the_room_may_tell_of_a_hazard_with_its_invite() {
    for workers in [1, 3] {
        let mut bench = with_agent(workers);
        let answers = bench.send_raw("agent", &invite_with(HEADERS, &signed_bytes(&valve(1), 7)));
        let last = answers.last().unwrap_or_else(|| panic!("{}", bench.ladder()));
        assert_eq!(last.status(), Some(200), "{}", bench.ladder());
        let reports: Vec<_> = bench.workers.iter().flat_map(|worker| worker.escalations(9).1).collect();
        let [report] = &reports[..] else { panic!("one: {reports:?}") };
        assert_eq!((report.state, rung(report)), ("connected", vec![("bob", "answered")]), "{}", bench.ladder());
        assert_eq!(attending(&bench), 2, "the agent and bob are in the room");
    }
}

#[test]
fn an_invite_whose_message_is_refused_is_no_call() {
    for (headers, message, status) in [
        (HEADERS, bytes_of(&valve(1)), 403),
        (HEADERS, b"{}".to_vec(), 400),
        ("X-IF-Hazard: safety\r\n", signed_bytes(&valve(1), 7), 400),
    ] {
        let mut bench = with_agent(1);
        let answers = bench.send_raw("agent", &invite_with(headers, &message));
        let last = answers.last().unwrap_or_else(|| panic!("{}", bench.ladder()));
        assert_eq!(last.status(), Some(status), "{}", bench.ladder());
        assert!(last.value(sx_sip::message::HeaderName::Warning).is_some(), "it says why");
        assert_eq!((attending(&bench), invitations(&mut bench, "bob")), (0, 0));
    }
}
