//! The layers stand in one order for everything that asks for an answer, and each refusal is named in a record.

mod driver;

use driver::{Bench, Manner, TRUNKS, USERS_ONLY};
use serde_json::{Value, json};
use std::cell::Cell;
use sx_edge::Layer;
use sx_sip::message::OwnedMessage;

const ALICE: &str = "192.0.2.11:5060";
const WEST: &str = "192.0.2.10:5060";

/// A request of somebody at this host.
fn request_from(host: &str, method: &str, uri: &str, more: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host};branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.org>;tag=a\r\nTo: <{uri}>\r\nCall-ID: one\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:a@{host}>\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

fn request(method: &str, more: &str) -> String {
    request_from("192.0.2.11", method, "sip:bob@example.org", more)
}

fn from_west(method: &str, uri: &str, more: &str) -> String {
    request_from("192.0.2.10", method, uri, more)
}

fn with_body(request: &str, kind: &str, body: &str) -> String {
    let length = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    request.replace("Content-Length: 0\r\n\r\n", &length)
}

fn stranger(config: &str) -> Bench {
    let mut bench = Bench::new(&format!("{USERS_ONLY}{config}"));
    bench.peer("alice", ALICE, Manner::Answers);
    bench
}

fn status(answers: &[OwnedMessage]) -> Option<u16> {
    answers.last().and_then(OwnedMessage::status)
}

const COUNCIL: &str = "[edge]\nonly_organisations = true\n[[organisation]]\nname = \"council\"\n\
                       networks = [\"198.51.100.0/24\"]\n";

fn malformed(method: &str) -> String {
    request(method, "").replace("CSeq: 1 ", "CSeq: 1 X")
}

fn without_to(method: &str) -> String {
    request(method, "").replace("To: <sip:bob@example.org>\r\n", "")
}

fn stray(method: &str) -> String {
    request(method, "").replace("To: <sip:bob@example.org>", "To: <sip:bob@example.org>;tag=nobody")
}

#[test]
fn who_may_not_come_from_there_is_told_nothing_else() {
    for text in [malformed("INVITE"), stray("BYE"), stray("INVITE"), request("NOTIFY", "")] {
        let mut bench = stranger(COUNCIL);
        assert_eq!(status(&bench.send_raw("alice", &text)), Some(403), "{text}");
        let refused = bench.last_recorded("security_rejected");
        assert_eq!((&refused["reason"], &refused["facts"]["layer"]), (&json!("not-in-network"), &json!("network")));
    }
}

#[test]
fn a_scanner_is_never_answered_whatever_it_sends() {
    let scan = |text: String| text.replace("Max-Forwards", "User-Agent: friendly-scanner\r\nMax-Forwards");
    for text in [without_to("OPTIONS"), malformed("OPTIONS"), stray("BYE"), request("NOTIFY", "")] {
        let mut bench = stranger("");
        assert!(bench.send_raw("alice", &scan(text.clone())).is_empty(), "{text}");
        assert_eq!(bench.last_recorded("security_rejected")["reason"], "scanner");
    }
}

#[test]
fn what_is_malformed_is_in_a_record_with_its_answer_and_its_defect() {
    let mut bench = stranger("");
    let answers = bench.send_raw("alice", &malformed("INVITE"));
    assert_eq!(status(&answers), Some(400));
    let record = bench.last_recorded("security_rejected");
    let defect = record["facts"]["defect"].as_str().expect("a defect").to_owned();
    let told = String::from_utf8_lossy(answers[0].bytes()).into_owned();
    assert!(told.contains(&format!("Warning: 399 strowger \"{}\"", defect.replace('"', "'"))), "{defect}: {told}");
    let facts = json!({ "layer": "identity", "source": ALICE, "transport": "udp", "method": "INVITE",
        "sip_call_id": "one", "status": 400, "defect": defect });
    let expected = json!({ "kind": "security_rejected", "subject": "sip:bob@example.org", "outcome": "reject",
        "reason": "malformed", "facts": facts });
    assert_eq!(record, expected);
    // Nobody waits for an answer to an ACK: that it was dropped is said, and why.
    assert!(bench.send_raw("alice", &malformed("ACK")).is_empty());
    let record = bench.last_recorded("security_rejected");
    assert_eq!((&record["outcome"], &record["facts"]["defect"]), (&json!("dropped"), &json!(defect)));
}

/// The last refusal has this reason, and all that is needed to find its request.
#[track_caller]
fn assert_named(bench: &Bench, method: &str, status: u16, reason: &str) {
    let kinds = ["security_rejected", "admission", "rejected"];
    let record = bench.log.records.iter().rfind(|record| kinds.iter().any(|kind| record["kind"] == **kind));
    let record = record.unwrap_or_else(|| panic!("{method} {status}: no record"));
    let facts = &record["facts"];
    assert_eq!(
        (&record["outcome"], &record["reason"], &facts["status"], &facts["method"], &facts["sip_call_id"]),
        (&json!("reject"), &json!(reason), &json!(status), &json!(method), &json!("one")),
        "{record}"
    );
}

#[test]
fn each_refusal_is_named() {
    for (method, more, answer, reason) in [
        ("FROBNICATE", "", 405, "method-not-allowed"),
        ("SUBSCRIBE", "Event: presence\r\n", 489, "unknown-event"),
        ("NOTIFY", "", 481, "no-dialog"),
        ("OPTIONS", "Require: magic\r\n", 420, "bad-extension"),
        ("OPTIONS", "Proxy-Require: magic\r\n", 420, "bad-extension"),
    ] {
        let mut bench = stranger("");
        assert_eq!(status(&bench.send_raw("alice", &request(method, more))), Some(answer), "{method}");
        assert_named(&bench, method, answer, reason);
    }
    let mut bench = stranger("");
    assert_eq!(status(&bench.send_raw("alice", &stray("BYE"))), Some(481));
    assert_named(&bench, "BYE", 481, "no-dialog");
    let mut bench = Bench::with_settings(USERS_ONLY, |settings| settings.transactions_max = 0);
    bench.peer("alice", ALICE, Manner::Answers);
    assert_eq!(status(&bench.send_raw("alice", &request("OPTIONS", ""))), Some(503));
    assert_named(&bench, "OPTIONS", 503, "overload");
}

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 0\r\n";

#[test]
fn each_refusal_of_somebody_known_is_named_with_who_it_is() {
    let invite = |more: &str| with_body(&from_west("INVITE", "sip:07@192.0.2.1", more), "application/sdp", OFFER);
    let replaces = "Replaces: no;to-tag=such;from-tag=dialog\r\n";
    for (text, answer, reason) in [
        (invite("Require: magic\r\n"), 420, "bad-extension"),
        (invite("Accept: text/plain\r\n"), 406, "not-acceptable"),
        (invite("Session-Expires: 30\r\nSupported: timer\r\n"), 422, "session-interval"),
        (invite(replaces), 481, "nothing-to-replace"),
        (with_body(&from_west("INVITE", "sip:07@192.0.2.1", ""), "text/plain", "hello"), 415, "body"),
        (from_west("MESSAGE", "sip:nobody@example.org", ""), 404, "unknown-user"),
        (from_west("MESSAGE", "sip:bob@example.org", ""), 480, "not-registered"),
    ] {
        let mut bench = Bench::two_trunks(TRUNKS, Manner::Answers);
        assert_eq!(status(&bench.send_raw("west", &text)), Some(answer), "{text}\n{}", bench.ladder());
        assert_named(&bench, text.split(' ').next().unwrap_or_default(), answer, reason);
        assert_eq!(bench.last_recorded("security_rejected")["actor"], "trunk west");
    }
}

#[test]
fn a_request_that_comes_by_two_ways_is_named() {
    let mut bench = Bench::two_trunks(TRUNKS, Manner::Rings);
    let invite = with_body(&from_west("INVITE", "sip:07@192.0.2.1", ""), "application/sdp", OFFER);
    bench.send_raw("west", &invite);
    let again = invite.replace("z9hG4bKINVITE", "z9hG4bKother");
    assert_eq!(status(&bench.send_raw("west", &again)), Some(482), "{}", bench.ladder());
    assert_named(&bench, "INVITE", 482, "merged");
}

#[test]
fn what_the_calls_refuse_is_named() {
    let west = TRUNKS.replacen("sources = [", "codecs_allowed = [\"PCMA\"]\nsources = [", 1);
    let mut bench = Bench::two_trunks(&west, Manner::Answers);
    let invite = with_body(&from_west("INVITE", "sip:07@192.0.2.1", ""), "application/sdp", OFFER);
    assert_eq!(status(&bench.send_raw("west", &invite)), Some(488), "{}", bench.ladder());
    assert_named(&bench, "INVITE", 488, "no codec is offered that is allowed");
    let mut bench = Bench::with_settings(TRUNKS, |settings| settings.calls.calls_max = 0);
    bench.peer("west", WEST, Manner::Answers);
    assert_eq!(status(&bench.send_raw("west", &invite)), Some(503), "{}", bench.ladder());
    assert_named(&bench, "INVITE", 503, "the exchange has as many calls as it takes");
}

#[test]
fn what_the_calls_refuse_is_recorded_within_bounds() {
    let mut bench = Bench::with_settings(TRUNKS, |settings| settings.calls.calls_max = 0);
    bench.peer("west", WEST, Manner::Answers);
    for number in 0..50 {
        let text = with_body(&from_west("INVITE", "sip:07@192.0.2.1", ""), "application/sdp", OFFER);
        let text = text.replace("z9hG4bKINVITE", &format!("z9hG4bK{number}"));
        bench.send_raw("west", &text.replace("Call-ID: one", &format!("Call-ID: {number}")));
    }
    assert_eq!(bench.recorded("rejected").len(), 5);
    bench.pass_s(11);
    assert_eq!(bench.last_recorded("summary")["facts"]["guard"], 45);
}

#[test]
fn a_call_and_a_message_are_recorded_with_what_was_known() {
    let mut bench = Bench::two_trunks(TRUNKS, Manner::Answers);
    let long = "x".repeat(300);
    let invite = with_body(&from_west("INVITE", "sip:07@192.0.2.1", ""), "application/sdp", OFFER);
    bench.send_raw("west", &invite.replace("Call-ID: one", &format!("Call-ID: {long}")));
    let cut: Value = long[..128].into();
    assert_eq!(bench.last_recorded("invite")["facts"]["sip_call_id"], cut);
    let admission = bench.last_recorded("admission");
    let facts = &admission["facts"];
    assert_eq!((&facts["trunk"], &facts["transport"], &facts["sip_call_id"]), (&json!("west"), &json!("udp"), &cut));
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench.send_raw("west", &from_west("MESSAGE", "sip:bob@example.org", ""));
    let admission = bench.last_recorded("admission");
    let facts = &admission["facts"];
    assert_eq!((&admission["actor"], &admission["subject"]), (&json!("trunk west"), &json!("bob@example.org")));
    assert_eq!(
        (&admission["outcome"], &facts["method"], &facts["trunk"]),
        (&json!("approve"), &json!("MESSAGE"), &json!("west"))
    );
}

thread_local! {
    static NANOS: Cell<u64> = const { Cell::new(0) };
}

/// Each look at this clock takes a microsecond.
fn ticking() -> u64 {
    NANOS.with(|nanos| {
        nanos.set(nanos.get() + 1_000);
        nanos.get()
    })
}

fn looked_at() -> u64 {
    NANOS.with(Cell::get) / 1_000
}

/// Requests that a layer let pass, that it refused, and whose time it took.
fn counted(bench: &Bench, layer: Layer) -> (u64, u64, u64) {
    let counts = bench.workers[0].layer_counts();
    (counts.passed(layer), counts.refused(layer), counts.latency(layer).cumulative().1)
}

#[test]
fn a_layer_counts_what_it_has_let_pass_and_times_what_it_refuses_too() {
    let mut bench = Bench::with_settings(TRUNKS, |settings| settings.layers.nanos = ticking);
    bench.peer("alice", ALICE, Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    // bob was challenged, and then was known.
    assert_eq!(counted(&bench, Layer::Identity), (1, 0, 1));
    assert_eq!(counted(&bench, Layer::IdentityRate), (1, 0, 1));
    assert_eq!(counted(&bench, Layer::Guard), (1, 0, 1));
    bench.register("alice", "alice", "guessed");
    assert_eq!(counted(&bench, Layer::Identity), (1, 1, 1), "one in sixteen is timed");
    for number in 0..28 {
        bench.send_raw("alice", &request("FROBNICATE", "").replace("FROBNICATE;", &number.to_string()));
    }
    assert_eq!(counted(&bench, Layer::Identity), (1, 29, 2));
    assert_eq!(counted(&bench, Layer::Transport).0, counted(&bench, Layer::Network).0);
}

#[test]
fn to_time_the_layers_costs_two_looks_at_the_clock_for_each_and_that_seldom() {
    let mut bench = Bench::with_settings(TRUNKS, |settings| settings.layers.nanos = ticking);
    bench.peer("west", WEST, Manner::Silent);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    let before = looked_at();
    for number in 0..160 {
        bench.dial("west", &format!("sip:07{number}@192.0.2.1"));
    }
    let layers_of_a_trunk = 6;
    assert_eq!(looked_at() - before, 160 / 16 * 2 * layers_of_a_trunk);
}
