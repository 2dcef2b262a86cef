//! The fourth layer: what every request must be, and who sends it.

use crate::driver::{Bench, Manner, PASSWORD, USERS_ONLY, authorization, named};
use crate::said::{ALICE, banned, bench_with, refusal, register_rejected, rejected, request, status, with};
use serde_json::{Value, json};
use sx_exchange::WhyRefused;
use sx_sip::message::OwnedMessage;

#[test]
fn what_is_no_message_is_dropped() {
    let mut bench = bench_with("");
    assert!(bench.send_raw("alice", "INVITE\r\n\r\n").is_empty());
    let refused = json!({ "kind": "security_rejected", "outcome": "dropped", "reason": "malformed",
        "facts": { "layer": "identity", "source": ALICE, "transport": "udp", "bytes": 10 } });
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

#[test]
fn a_malformed_message_that_nobody_can_be_answered_is_dropped() {
    let mut bench = bench_with("");
    let from_nowhere = request("OPTIONS", "").replace("Via: SIP/2.0/UDP 192.0.2.11;branch=z9hG4bKx\r\n", "");
    assert!(bench.send_raw("alice", &from_nowhere).is_empty());
    let refused = json!({ "kind": "security_rejected", "outcome": "dropped", "reason": "malformed",
        "facts": { "layer": "identity", "source": ALICE, "transport": "udp", "bytes": from_nowhere.len(),
            "defect": "no Via header" } });
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

/// Sends a request that is refused by itself, and holds the whole record against this.
fn check(text: &str, answer: u16, reason: &str, more: &Value) {
    let mut bench = bench_with("");
    assert_eq!(status(&bench.send_raw("alice", text)), Some(answer), "{text}");
    let method = text.split(' ').next().expect("a method");
    let facts = with(refusal("identity", method, answer), more);
    assert_eq!(bench.recorded("security_rejected"), [&rejected(reason, &facts)], "{text}");
}

#[test]
fn a_malformed_request_is_refused_with_what_is_wrong() {
    let other_method = request("OPTIONS", "").replace("1 OPTIONS", "1 INFO");
    check(&other_method, 400, "malformed", &json!({ "defect": "the CSeq names another method" }));
    let future = request("OPTIONS", "").replacen("SIP/2.0", "SIP/3.0", 1);
    check(&future, 505, "malformed", &json!({ "defect": "version not supported" }));
}

#[test]
fn a_message_whose_body_has_no_type_is_refused() {
    let mut bench = Bench::new(&format!("{USERS_ONLY}[danger]\nunauthenticated_calls = true\n"));
    bench.peer("alice", ALICE, Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    let text = request("MESSAGE", "").replace("Content-Length: 0\r\n\r\n", "Content-Length: 5\r\n\r\nhello");
    assert_eq!(status(&bench.send_raw("alice", &text)), Some(400));
    let refused = rejected("malformed", &refusal("identity", "MESSAGE", 400));
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

/// Bob wants to be registered for too short a time, from alice's address: the answer.
fn registered_too_briefly(bench: &mut Bench) -> OwnedMessage {
    let register = |more: &str| {
        request("REGISTER", more)
            .replacen("sip:bob@example.org", "sip:example.org", 1)
            .replace("alice@example.org", "bob@example.org")
            .replace("Content-Length", "Contact: <sip:bob@192.0.2.11>\r\nContent-Length")
    };
    let challenge = bench.send_raw("alice", &register("")).pop().expect("a challenge");
    let credentials = authorization(&challenge, "bob", "REGISTER", "sip:example.org");
    let brief = register(&format!("Authorization: {credentials}\r\nExpires: 1\r\n"));
    let answer = bench.send_raw("alice", &brief).pop().expect("an answer");
    assert_eq!(answer.status(), Some(423), "{brief}");
    answer
}

#[test]
fn a_registration_that_cannot_be_is_refused_with_who_wanted_it() {
    let mut bench = bench_with("");
    let answer = registered_too_briefly(&mut bench);
    assert_eq!(named(&answer, "Warning"), "399 strowger \"the lifetime is too short\"");
    let mut refused = rejected("interval-too-brief", &refusal("identity", "REGISTER", 423));
    refused["actor"] = json!("bob@example.org");
    refused["subject"] = json!("sip:example.org");
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

#[test]
fn what_a_user_is_refused_is_hidden_by_no_flood_of_strangers() {
    let mut bench = Bench::with_settings(USERS_ONLY, |settings| settings.layers.records.per_second = 2);
    bench.peer("alice", ALICE, Manner::Answers);
    for (name, own) in [("first", "192.0.2.91:5060"), ("second", "192.0.2.92:5060"), ("third", "192.0.2.93:5060")] {
        bench.peer(name, own, Manner::Silent);
        assert_eq!(status(&bench.send_raw(name, &request("NOTIFY", ""))), Some(481));
    }
    assert_eq!(bench.recorded("security_rejected").len(), 2, "there is no room for more strangers");
    registered_too_briefly(&mut bench);
    assert_eq!(bench.last_recorded("security_rejected")["reason"], "interval-too-brief");
    refused_for(&mut bench, WhyRefused::OtherUser);
    assert_eq!(bench.last_recorded("security_rejected")["reason"], "other-user");
    assert_eq!(bench.register("alice", "bob", "guessed"), 403);
    assert_eq!(bench.recorded("security_rejected").len(), 4, "whoever has proved nothing is a stranger");
}

#[test]
fn a_request_that_has_gone_round_is_refused() {
    let looped = request("OPTIONS", "").replace("Max-Forwards: 70", "Max-Forwards: 0");
    check(&looped, 483, "too-many-hops", &json!({}));
}

#[test]
fn a_request_for_what_is_no_telephone_is_refused() {
    let mut bench = bench_with("");
    let page = request("OPTIONS", "").replacen("sip:bob@example.org", "http://example.org/", 1);
    assert_eq!(status(&bench.send_raw("alice", &page)), Some(416));
    let facts = refusal("identity", "OPTIONS", 416);
    let refused = with(rejected("scheme", &facts), &json!({ "subject": "http://example.org/" }));
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

#[test]
fn a_request_that_needs_what_is_not_done_here_is_refused() {
    let unknown = json!({ "unsupported": "foo" });
    check(&request("OPTIONS", "Proxy-Require: foo\r\n"), 420, "bad-extension", &unknown);
    check(&request("OPTIONS", "Require: foo, path\r\n"), 420, "bad-extension", &unknown);
}

#[test]
fn a_registration_elsewhere_is_refused() {
    let elsewhere = request("REGISTER", "").replace("To: <sip:bob@example.org>", "To: <sip:bob@example.net>");
    check(&elsewhere, 404, "unknown-domain", &json!({}));
}

#[test]
fn where_all_answers_are_taken_a_request_is_told_to_come_back() {
    let mut bench = Bench::with_settings(USERS_ONLY, |settings| settings.transactions_max = 0);
    bench.peer("alice", ALICE, Manner::Answers);
    let answers = bench.send_raw("alice", &request("OPTIONS", ""));
    assert_eq!((status(&answers), named(&answers[0], "Retry-After").as_str()), (Some(503), "10"));
    let refused = rejected("overload", &refusal("identity", "OPTIONS", 503));
    assert_eq!(bench.recorded("security_rejected"), [&refused]);
}

const AS_ALICE: (&str, &str) = ("alice", ALICE);

/// Asks to be challenged, and says how the exchange answers credentials that were changed like this, sent twice.
fn registered_twice(bench: &mut Bench, uri: &str, change: impl Fn(String) -> String) -> [Option<u16>; 2] {
    let text = request("REGISTER", "").replacen("sip:bob@example.org", "sip:example.org", 1);
    let text = text.replace("Call-ID: one", "Call-ID: registration-of-alice").replace("sip:alice@", "sip:bob@");
    let challenge = bench.send_raw("alice", &text).remove(0);
    let line = change(authorization(&challenge, "bob", "REGISTER", uri));
    let text = text.replace("Content-Length", &format!("Authorization: {line}\r\nContent-Length"));
    [(); 2].map(|()| status(&bench.send_raw("alice", &text)))
}

/// Has credentials refused for this reason: what is to be recorded.
fn refused_for(bench: &mut Bench, why: WhyRefused) -> Value {
    let (reason, status, actor) = match why {
        WhyRefused::UnknownUser => {
            assert_eq!(bench.register("alice", "nobody", PASSWORD), 403);
            ("unknown-user", 403, "nobody")
        }
        WhyRefused::WrongPassword => {
            assert_eq!(bench.register("alice", "bob", "guessed"), 403);
            ("wrong-password", 403, "bob")
        }
        WhyRefused::OtherRequest => {
            assert_eq!(registered_twice(bench, "sip:example.net", |line| line)[0], Some(403));
            ("other-request", 403, "bob")
        }
        WhyRefused::Unprotected => {
            let without = |line: String| line.replace(", qop=auth", "");
            assert_eq!(registered_twice(bench, "sip:example.org", without)[0], Some(403));
            ("unprotected", 403, "bob")
        }
        WhyRefused::UsedBefore => {
            assert_eq!(registered_twice(bench, "sip:example.org", |line| line), [Some(200), Some(401)]);
            ("replayed", 401, "bob")
        }
        WhyRefused::OtherUser => {
            bench.act("alice", |peer, now| {
                let spec = peer.registration("bob", "alice", PASSWORD, 60);
                peer.agent.request(now, 1, spec);
            });
            assert_eq!(bench.who("alice").replies.pop().map(|(status, _)| status), Some(403));
            ("other-user", 403, "alice@example.org")
        }
        WhyRefused::Blocked => {
            bench.peer("stranger", "192.0.2.99:5060", Manner::Answers);
            for _ in 0..6 {
                assert_eq!(bench.register("stranger", "bob", "guessed"), 403);
            }
            assert_eq!(bench.register("alice", "bob", PASSWORD), 403);
            ("account-blocked", 403, "bob")
        }
    };
    register_rejected("identity", reason, status, actor, AS_ALICE)
}

#[test]
fn credentials_that_are_refused_are_recorded_with_what_is_wrong_with_them() {
    for why in [
        WhyRefused::UnknownUser,
        WhyRefused::WrongPassword,
        WhyRefused::OtherRequest,
        WhyRefused::Unprotected,
        WhyRefused::UsedBefore,
        WhyRefused::OtherUser,
        WhyRefused::Blocked,
    ] {
        let mut bench = bench_with("");
        let expected = refused_for(&mut bench, why);
        assert_eq!(bench.last_recorded("security_rejected"), expected, "{why}");
        assert_eq!(bench.refused.last().map(|told| told.why), Some(why));
    }
}

#[test]
fn wrong_passwords_ban_the_source_and_block_the_account() {
    let mut bench = bench_with("");
    for _ in 0..6 {
        assert_eq!(bench.register("alice", "bob", "guessed"), 403);
    }
    let wrong = register_rejected("identity", "wrong-password", 403, "bob", AS_ALICE);
    assert_eq!(bench.recorded("security_rejected"), [&wrong; 5], "of one source so many are recorded in a minute");
    let source = banned("192.0.2.11", "banned", "failures", "source_rate", 300);
    let account = banned("bob@example.org", "blocked", "failures", "identity", 300);
    assert_eq!(bench.recorded("source"), [&source, &account]);
    assert!(bench.send_raw("alice", &request("OPTIONS", "")).is_empty(), "the source is banned");
    let stranger = ("stranger", "192.0.2.99:5060");
    bench.peer(stranger.0, stranger.1, Manner::Answers);
    assert_eq!(bench.register("stranger", "bob", PASSWORD), 403, "the account is blocked, whoever knows its password");
    let blocked = register_rejected("identity", "account-blocked", 403, "bob", stranger);
    assert_eq!(bench.last_recorded("security_rejected"), blocked);
    bench.pass_s(301);
    assert_eq!(bench.register("stranger", "bob", PASSWORD), 200);
}

#[test]
fn a_telephone_that_is_in_use_is_not_kept_out_by_others_guesses() {
    let mut bench = bench_with("");
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    for _ in 0..6 {
        bench.register("alice", "bob", "guessed");
    }
    assert_eq!(bench.register("bob", "bob", PASSWORD), 200);
}
