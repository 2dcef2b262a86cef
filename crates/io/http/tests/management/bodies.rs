//! Bodies, queries and paths that are not what they should be, and all that is wrong with them at once.

use crate::exchange::{Answer, ask, asked, connected, say, started, started_with};
use proptest::prelude::*;
use std::io::{Read as _, Write as _};
use sx_http::{ApiBody, CALL_BYTES_MAX, ROUTES, Role, Route, parse_body};

const BAN: &str = r#"{"seconds":60,"reason":"scans"}"#;

#[test]
fn all_fields_that_are_at_fault_are_named_at_once() {
    let (server, exchange) = started();
    let check = |method: &str, path: &str, body: &str, faults: &[&str]| {
        let answer = asked(&server, Role::Administrator, method, path, body);
        answer.is_problem(422, "invalid-fields");
        let mut found = answer.faults();
        found.sort();
        assert_eq!(found, faults, "{method} {path} {body}");
    };
    let all = ["body reason", "body seconds", "body until", "path address", "query dry"];
    check("PUT", "/sources/host.example/ban?dry=1", r#"{"seconds":0,"reason":"","until":1}"#, &all);
    check("PUT", "/sources/192.0.2.1/ban", "{}", &["body reason", "body seconds"]);
    check("PUT", "/sources/192.0.2.1/ban", r#"{"seconds":null,"reason":null}"#, &["body reason", "body seconds"]);
    for seconds in ["-1", "0", "1.5", "1e3", "31536001", "\"60\"", "true", "[]", "99999999999999999999"] {
        let body = format!(r#"{{"seconds":{seconds},"reason":"scans"}}"#);
        check("PUT", "/sources/192.0.2.1/ban", &body, &["body seconds"]);
    }
    for reason in ["1", "\"\"", "\"a\\nb\"", "{}", &format!("\"{}\"", "x".repeat(257))] {
        let body = format!(r#"{{"seconds":60,"reason":{reason}}}"#);
        check("PUT", "/sources/192.0.2.1/ban", &body, &["body reason"]);
    }
    let twice = r#"{"seconds":60,"reason":"scans","seconds":61}"#;
    check("PUT", "/sources/192.0.2.1/ban", twice, &["body seconds"]);
    check("POST", "/tokens", r#"{"name":"a","role":"root","expires_s":0}"#, &["body expires_s", "body role"]);
    check("POST", "/tokens", "{}", &["body name", "body role"]);
    check("POST", "/policy/explain", r#"{"facts":[1]}"#, &["body facts"]);
    check("GET", "/calls?limit=0", "", &["query limit"]);
    check("GET", "/calls?limit=1001&limit=2&a=b", "", &["query a", "query limit", "query limit"]);
    check("GET", "/sources?banned=yes&limit=%zz", "", &["query banned", "query limit"]);
    check("DELETE", "/calls/a?cause=128", "", &["query cause"]);
    check("GET", "/calls/%00", "", &["path id"]);
    check("GET", "/calls/%ff", "", &["path id"]);
    check("GET", "/sources/192.0.2.256", "", &["path address"]);
    check("POST", "/config/reload", "{}", &["body body"]);
    check("PUT", "/drain", BAN, &["body body"]);
    check("PUT", "/drain?now=true", "", &["query now"]);
    assert_eq!(exchange.asked(), []);
}

#[test]
fn a_fault_says_what_would_be_right() {
    let (server, _exchange) = started();
    let answer = asked(&server, Role::Viewer, "GET", "/calls?limit=many", "");
    assert_eq!(answer.json()["errors"][0]["detail"], "must be a whole number from 1 to 1000");
    // Which of the two was meant is not guessed, and they are not said to be unknown.
    let twice = r#"{"seconds":60,"reason":"scans","seconds":61}"#;
    let answer = asked(&server, Role::Operator, "PUT", "/sources/192.0.2.1/ban", twice);
    assert_eq!(answer.json()["errors"][0]["detail"], "is given twice");
}

#[test]
fn a_body_that_is_not_json_is_said_where_and_not_repeated() {
    let (server, exchange) = started();
    let deep = format!(r#"{{"facts":{}"#, "[".repeat(10_000));
    for body in ["{", "seconds=60", r#"{"seconds":60,}"#, "{\"seconds\":secret}", "\u{feff}{}", "{} {}", "NaN", &deep] {
        let answer = asked(&server, Role::Administrator, "POST", "/policy/explain", body);
        answer.is_problem(400, "malformed-json");
        assert!(!answer.body.contains("secret"), "{answer:?}");
    }
    for body in ["[]", "null", "\"text\"", "7"] {
        asked(&server, Role::Administrator, "POST", "/tokens", body).is_problem(422, "invalid-fields");
    }
    let answer = asked(&server, Role::Administrator, "POST", "/tokens", "");
    answer.is_problem(400, "malformed-json");
    assert_eq!(exchange.asked(), []);
}

#[test]
fn a_body_of_another_type_is_refused() {
    let (server, exchange) = started();
    for lines in [
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/json-patch+json\r\n",
        "X-Content-Type: application/json\r\n",
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
    ] {
        let answer = ask(&server, "sxt_operator", "PUT", "/sources/192.0.2.1/ban", lines, BAN);
        answer.is_problem(415, "not-json");
        assert_eq!(answer.header("accept"), Some("application/json"));
    }
    assert_eq!(exchange.asked(), []);
    let lines = "Content-Type: Application/JSON; charset=utf-8\r\n";
    assert_eq!(ask(&server, "sxt_operator", "PUT", "/sources/192.0.2.1/ban", lines, BAN).status, 204);
}

#[test]
fn a_body_may_be_as_long_as_is_said_and_no_longer() {
    let (server, exchange) = started_with(|config| config.body_bytes_max = 1000);
    let padded = |length: usize| format!("{BAN}{}", " ".repeat(length - BAN.len()));
    let put = |body: &str| asked(&server, Role::Operator, "PUT", "/sources/192.0.2.1/ban", body);
    assert_eq!(put(&padded(1000)).status, 204);
    put(&padded(1001)).is_problem(413, "body-too-large");
    assert_eq!(exchange.asked().len(), 1);

    let head = "PUT /api/v1/sources/192.0.2.1/ban HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Authorization: Bearer sxt_operator\r\nContent-Type: application/json\r\n";
    // One that is announced is refused before it comes.
    say(&server, format!("{head}Content-Length: 1000000000000\r\n\r\n").as_bytes()).is_problem(413, "body-too-large");
    // One that is not is refused where it goes beyond.
    let pieces = format!("{:x}\r\n{}\r\n", 600, " ".repeat(600)).repeat(2);
    say(&server, format!("{head}Transfer-Encoding: chunked\r\n\r\n{pieces}").as_bytes())
        .is_problem(413, "body-too-large");
    let pieces = format!("{:x}\r\n{BAN}\r\n0\r\n\r\n", BAN.len());
    assert_eq!(say(&server, format!("{head}Transfer-Encoding: chunked\r\n\r\n{pieces}").as_bytes()).status, 204);
    say(&server, format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n").as_bytes())
        .is_problem(400, "malformed-body");
}

#[test]
fn who_may_not_need_not_send_the_body() {
    let (server, _exchange) = started();
    let text = "PUT /api/v1/sources/192.0.2.1/ban HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Authorization: Bearer sxt_viewer\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n";
    say(&server, text.as_bytes()).is_problem(403, "insufficient-scope");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_long() {
    let (server, exchange) = started_with(|config| config.timeout_s = 1);
    let mut stream = connected(&server);
    let head = "PUT /api/v1/sources/192.0.2.1/ban HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sxt_operator\r\n\
        Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).expect("sent");
    // The connection ends with the answer, or this would wait for more.
    let answer = Answer::read(&mut stream);
    answer.is_problem(408, "body-too-slow");
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(exchange.asked(), []);
}

#[test]
fn a_body_that_breaks_off_asks_for_nothing() {
    let (server, exchange) = started();
    let mut stream = connected(&server);
    let head = "PUT /api/v1/sources/192.0.2.1/ban HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sxt_operator\r\n\
        Content-Type: application/json\r\nContent-Length: 100\r\n\r\n";
    stream.write_all(format!("{head}{BAN}").as_bytes()).expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("an end");
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    assert_eq!(exchange.asked(), []);
}

#[test]
fn a_body_is_read_without_a_server() {
    let body = parse_body(Route::Ban, BAN.as_bytes()).expect("a ban");
    assert_eq!(body, ApiBody::Ban { seconds: 60, reason: "scans".into() });
    assert_eq!(parse_body(Route::Drain, b""), Ok(ApiBody::Nothing));
    assert_eq!(parse_body(Route::Drain, b" ").expect_err("a body").status, 422);
    assert_eq!(parse_body(Route::CreateToken, b"").expect_err("no body").status, 400);
}

proptest! {
    #[test]
    fn no_bytes_are_more_than_a_body_or_a_problem(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for row in &ROUTES {
            if let Err(problem) = parse_body(row.route, &bytes) {
                prop_assert!(problem.status == 400 || problem.status == 422);
            }
        }
    }

    #[test]
    fn no_json_is_more_than_a_body_or_a_problem(
        members in proptest::collection::vec(
            ("seconds|reason|facts|name|role|expires_s|worker|snapshot|[a-z]{0,3}", "[1-9][0-9]{0,19}|-?0|\"[a-zé]{0,70}\"|null|\\{\\}|\\[1\\]"),
            0..6,
        ),
    ) {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        for row in &ROUTES {
            match parse_body(row.route, format!("{{{}}}", members.join(",")).as_bytes()) {
                Ok(ApiBody::Ban { seconds, reason }) => prop_assert!(seconds > 0 && !reason.is_empty()),
                Ok(ApiBody::Token { name, expires_s, .. }) => {
                    prop_assert!((1..=64).contains(&name.len()) && expires_s != Some(0));
                }
                Ok(ApiBody::Member { to }) => prop_assert!((1..=512).contains(&to.len())),
                Ok(ApiBody::Parties { from, to }) => {
                    prop_assert!([from, to].iter().all(|text| (1..=512).contains(&text.len())));
                }
                Ok(ApiBody::Facts(value) | ApiBody::Call { snapshot: value, .. }) => prop_assert!(value.is_object()),
                Ok(ApiBody::Hash(_)) => {}
                Ok(ApiBody::Link { to, seconds }) => prop_assert!(!to.is_empty() && seconds != Some(0)),
                Ok(ApiBody::Question { question, seconds }) => prop_assert!(!question.is_empty() && seconds >= 60),
                Ok(ApiBody::Ballot(ballot)) => prop_assert!(!ballot.guardian.is_empty() && !ballot.signature.is_empty()),
                // Whoever carries it out reads it.
                Ok(ApiBody::Message(_)) => {}
                Ok(ApiBody::Nothing) => prop_assert!(false, "a body was taken for none"),
                Err(problem) => prop_assert_eq!(problem.status, 422),
            }
        }
    }
}

/// Its descriptions may be as long as messages are.
#[test]
fn a_call_may_be_longer_than_all_else() {
    let (server, exchange) = started();
    let call = |bytes: usize| {
        let body = format!(r#"{{"worker":0,"snapshot":{{"said":"{}"}}}}"#, "x".repeat(bytes));
        (body.len(), body)
    };
    let (around, _) = call(0);
    let post = |path: &str, body: &str| asked(&server, Role::Administrator, "POST", path, body);
    assert_eq!(post("/imports", &call(CALL_BYTES_MAX - around).1).status, 204);
    post("/imports", &call(CALL_BYTES_MAX - around + 1).1).is_problem(413, "body-too-large");
    post("/policy/explain", &call(65_536).1).is_problem(413, "body-too-large");
    assert_eq!(exchange.asked().len(), 1);
    let (server, _exchange) = started_with(|config| config.call_bytes_max = 1_000);
    asked(&server, Role::Administrator, "POST", "/imports", &call(1_000).1).is_problem(413, "body-too-large");
}
