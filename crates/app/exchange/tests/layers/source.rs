//! The first layer: who sends too much, and who calls itself a scanner.

use crate::driver::{Bench, START, USERS_ONLY, authorization};
use crate::said::{banned, bench_with, refusal, rejected, request, status, with};
use serde_json::json;
use sx_config::Config;
use sx_sip::message::OwnedMessage;
use sx_types::Transport;

#[test]
fn a_source_that_asks_too_often_is_told_once_then_banned_and_forgiven_in_time() {
    let mut bench = bench_with("");
    let answers: Vec<_> = (0..40).map(|_| status(&bench.send_raw("alice", &request("OPTIONS", "")))).collect();
    // Whoever asks nothing but what a scanner asks has to say who it is after a while.
    assert!(answers[..20].iter().all(|answer| *answer == Some(200)), "{answers:?}");
    let suspicious = answers.iter().position(|answer| *answer == Some(401)).expect("it is asked");
    assert!(answers[..suspicious].iter().all(|answer| *answer == Some(200)), "{answers:?}");
    assert!(answers[suspicious..30].iter().all(|answer| *answer == Some(401)), "{answers:?}");
    assert_eq!((answers[30], &answers[31..]), (Some(503), &[None; 9][..]));
    assert_eq!(bench.recorded("source"), [&banned("192.0.2.11", "banned", "rate", "source_rate", 300)]);
    let refused = rejected("rate", &refusal("source_rate", "OPTIONS", 503));
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
    bench.pass_s(11);
    let since_ms = START.as_millis();
    let summed = json!({ "kind": "summary", "outcome": "reject", "facts": { "source_rate": 9, "since_ms": since_ms } });
    assert_eq!(bench.recorded("summary"), [&summed]);
    bench.pass_s(300);
    assert_eq!(status(&bench.send_raw("alice", &request("OPTIONS", ""))), Some(200));
}

#[test]
fn where_calls_of_ours_go_may_hang_up_as_many_as_it_likes() {
    // Calls may end there at any rate, although none may begin there.
    let trunk = |address: &str| {
        format!("[[trunk]]\nname = \"carrier\"\naddresses = [\"sip:{address}\"]\noptions_interval_s = 10\n")
    };
    let stray = request("BYE", "").replace("To: <sip:bob@example.org>", "To: <sip:bob@example.org>;tag=x");
    let answers = |bench: &mut Bench, count: usize| -> Vec<Option<u16>> {
        (0..count).map(|_| status(&bench.send_raw("alice", &stray))).collect()
    };
    let mut bench = bench_with(&trunk("192.0.2.11:5070"));
    assert_eq!(answers(&mut bench, 1_000), [Some(481); 1_000]);
    // Where it is named, it is as somebody who has authenticated, once the name was looked up.
    let mut bench = bench_with(&trunk("carrier.example"));
    bench
        .names
        .insert("carrier.example".into(), vec![(Transport::Udp, crate::said::ALICE.parse().expect("an address"))]);
    bench.pass_s(11);
    assert_eq!(answers(&mut bench, 500), [Some(481); 500]);
    assert!(answers(&mut bench, 200).contains(&None), "but not as a trunk");
    let mut bench = bench_with("");
    assert!(answers(&mut bench, 40).contains(&None));
}

#[test]
fn a_suspicious_source_is_told_nothing_before_it_has_said_who_it_is() {
    let (mut bench, challenge) = bench_with_suspicion();
    assert_eq!(status(&bench.send_raw("alice", &request("SUBSCRIBE", ""))), Some(401));
    let credentials = authorization(&challenge, "bob", "OPTIONS", "sip:example.org");
    let known = request("OPTIONS", &format!("Authorization: {credentials}\r\n"));
    let known = known.replacen("sip:bob@example.org", "sip:example.org", 1);
    assert_eq!(status(&bench.send_raw("alice", &known)), Some(200), "{known}");
}

/// An exchange to which alice's address is suspicious, and the challenge that says so.
fn bench_with_suspicion() -> (Bench, OwnedMessage) {
    let mut bench = bench_with("");
    let asked = (0..30).map(|_| bench.send_raw("alice", &request("OPTIONS", "")));
    let challenge = asked.filter_map(|mut answers| answers.pop()).find(|answer| answer.status() == Some(401));
    (bench, challenge.expect("it is asked"))
}

#[test]
fn a_suspicious_source_is_told_of_no_mistake_before_it_has_said_who_it_is() {
    let used_up = |method: &str| request(method, "").replace("Max-Forwards: 70", "Max-Forwards: 0");
    let stray =
        |method: &str| request(method, "").replace("To: <sip:bob@example.org>", "To: <sip:bob@example.org>;tag=x");
    for (text, answer) in [
        (used_up("OPTIONS"), 401),
        (used_up("INVITE"), 407),
        (request("OPTIONS", "Proxy-Require: foo\r\n"), 401),
        (request("OPTIONS", "Require: foo\r\n"), 401),
        (request("MESSAGE", "Require: foo\r\n"), 407),
        (request("OPTIONS", "").replacen("sip:bob@example.org", "http://example.org/", 1), 401),
        (request("REGISTER", "").replace("To: <sip:bob@example.org>", "To: <sip:bob@example.net>"), 401),
        (stray("BYE"), 401),
        (stray("INVITE"), 407),
    ] {
        let (mut bench, _) = bench_with_suspicion();
        assert_eq!(status(&bench.send_raw("alice", &text)), Some(answer), "{text}");
        assert!(bench.recorded("security_rejected").is_empty(), "{text}");
    }
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
    //= type=test
    // Nobody can answer a challenge with an ACK or a CANCEL.
    let (mut bench, challenge) = bench_with_suspicion();
    assert_eq!(status(&bench.send_raw("alice", &request("CANCEL", ""))), Some(481));
    // Nor can anybody read one to what is malformed.
    let malformed = request("OPTIONS", "").replace("1 OPTIONS", "1 INFO");
    assert_eq!(status(&bench.send_raw("alice", &malformed)), Some(400));
    let credentials = authorization(&challenge, "bob", "OPTIONS", "sip:example.org");
    let known =
        used_up("OPTIONS").replace("Content-Length", &format!("Authorization: {credentials}\r\nContent-Length"));
    let known = known.replacen("sip:bob@example.org", "sip:example.org", 1);
    assert_eq!(status(&bench.send_raw("alice", &known)), Some(483), "{known}");
}

#[test]
fn a_scanner_that_sends_too_fast_is_not_told_so() {
    let mut bench = bench_with("");
    (0..30).for_each(|_| drop(bench.send_raw("alice", &request("OPTIONS", ""))));
    assert!(bench.send_raw("alice", &request("OPTIONS", "User-Agent: friendly-scanner\r\n")).is_empty());
    let refused = rejected("rate", &refusal("source_rate", "OPTIONS", 0));
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

#[test]
fn a_scanner_is_never_answered() {
    let mut bench = bench_with("");
    let scan = request("REGISTER", "User-Agent: friendly-scanner\r\n");
    assert!(bench.send_raw("alice", &scan).is_empty());
    let facts = with(refusal("source_rate", "REGISTER", 0), &json!({ "scanner": "friendly-scanner" }));
    assert_eq!(bench.recorded("security_rejected"), [&rejected("scanner", &facts)]);
    assert_eq!(bench.recorded("source"), [&banned("192.0.2.11", "banned", "scanner", "source_rate", 300)]);
    assert!(bench.send_raw("alice", &request("OPTIONS", "")).is_empty(), "it is banned");
}

#[test]
fn what_was_only_counted_is_written_down_when_the_exchange_ends() {
    let mut bench = bench_with("");
    (0..40).for_each(|_| drop(bench.send_raw("alice", &request("OPTIONS", ""))));
    assert!(bench.recorded("summary").is_empty());
    bench.finish();
    let summed =
        json!({ "kind": "summary", "outcome": "reject", "facts": { "source_rate": 9, "since_ms": START.as_millis() } });
    assert_eq!(bench.recorded("summary"), [&summed]);
}

#[test]
fn a_source_of_junk_is_banned_for_its_score() {
    let mut bench = bench_with("");
    for _ in 0..10 {
        assert!(bench.send_raw("alice", "INVITE\r\n\r\n").is_empty());
    }
    assert_eq!(bench.recorded("source"), [&banned("192.0.2.11", "banned", "score", "source_rate", 60)]);
}

#[test]
fn the_configuration_of_the_layers_is_read() {
    let config =
        Config::from_text(&format!("{USERS_ONLY}[edge]\nrequests_max = 7\nscore_max_percent = 55\n")).expect("good");
    assert_eq!((config.edge.requests_max, config.edge.score_max_milli), (7, 550));
}
