//! Requests that are sent again with the same key.

use crate::exchange::{Answer, ask, started};
use sx_http::ApiServer;

fn post(server: &ApiServer, role: &str, key: &str, body: &str) -> Answer {
    ask(server, &format!("sxt_{role}"), "POST", "/rooms/council/members", &format!("Idempotency-Key: {key}\r\n"), body)
}

#[test]
fn a_request_that_is_sent_again_takes_effect_once() {
    let (server, exchange) = started();
    let first = post(&server, "operator", "k-1", r#"{"to":"300"}"#);
    let again = post(&server, "operator", "k-1", r#"{"to":"300"}"#);
    assert_eq!((first.status, again.status, &first.body), (201, 201, &again.body));
    assert_eq!((again.header("location"), exchange.asked().len()), (first.header("location"), 1));
    post(&server, "operator", "k-1", r#"{"to":"301"}"#).is_problem(422, "key-reused");
    assert_eq!(post(&server, "administrator", "k-1", r#"{"to":"301"}"#).status, 201, "another token has other keys");
    assert_eq!(post(&server, "operator", "k-2", r#"{"to":"300"}"#).status, 201);
    assert_eq!(exchange.asked().len(), 2);
    // What is wrong with a request is no answer of the exchange.
    post(&server, "operator", "k-3", "{}").is_problem(422, "invalid-fields");
    assert_eq!(post(&server, "operator", "k-3", r#"{"to":"300"}"#).status, 201);
}

#[test]
fn a_key_that_is_none_is_refused_and_nothing_is_done() {
    let (server, exchange) = started();
    for lines in
        ["Idempotency-Key: \r\n", "Idempotency-Key: a\r\nIdempotency-Key: b\r\n", "Idempotency-Key: \u{e9}\r\n"]
    {
        let answer = ask(&server, "sxt_operator", "POST", "/rooms/council/members", lines, r#"{"to":"300"}"#);
        answer.is_problem(400, "bad-key");
    }
    let long = format!("Idempotency-Key: {}\r\n", "k".repeat(256));
    ask(&server, "sxt_operator", "POST", "/rooms/council/members", &long, r#"{"to":"300"}"#).is_problem(400, "bad-key");
    assert_eq!(exchange.asked(), []);
    // Where twice is as once anyway nobody looks at it.
    assert_eq!(ask(&server, "sxt_operator", "DELETE", "/calls/a", &long, "").status, 204);
}
