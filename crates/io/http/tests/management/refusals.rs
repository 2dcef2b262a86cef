//! Every way in which a request is refused before or by the exchange.

use crate::exchange::{ask, asked, loopback, say, started, started_with};
use std::net::TcpListener;
use std::sync::Arc;
use sx_http::{ApiConfig, ApiRefusal, ApiServer, AuthenticationFailed, Role, StartError};

const NO_TOKEN: &str = "Bearer realm=\"strowger\"";
const WRONG_TOKEN: &str = "Bearer realm=\"strowger\", error=\"invalid_token\"";

#[test]
fn a_token_that_opens_nothing_hears_the_same_whatever_the_reason() {
    let (server, _exchange) = started();
    let bodies = ["sxt_unknown", "sxt_expired", "sxt_revoked", "~not~ours~", "="].map(|token| {
        let answer = ask(&server, token, "GET", "/version", "", "");
        answer.is_problem(401, "invalid-token");
        assert_eq!(answer.header("www-authenticate"), Some(WRONG_TOKEN));
        answer.body
    });
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[test]
fn a_request_without_a_token_is_told_how_to_show_one_and_not_counted() {
    let (server, exchange) = started();
    for _ in 0..30 {
        let answer = ask(&server, "", "GET", "/version", "", "");
        answer.is_problem(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), Some(NO_TOKEN));
    }
    assert_eq!(exchange.authenticated.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(asked(&server, Role::Viewer, "GET", "/version", "").status, 200);
}

#[test]
fn what_is_no_bearer_token_opens_nothing() {
    let long = format!("Bearer {}", "a".repeat(257));
    let wrong = ["Basic YTpi", "Bearer", "Bearer ", "bearer a b", "Bearersxt_viewer", "Bearer sxt_\u{e9}", &long];
    for value in wrong {
        let (server, exchange) = started();
        let lines = format!("Authorization: {value}\r\n");
        ask(&server, "", "GET", "/version", &lines, "").is_problem(401, "invalid-token");
        assert_eq!(exchange.authenticated.load(std::sync::atomic::Ordering::Relaxed), 0, "{value}");
    }
    let (server, _exchange) = started();
    let answer = ask(&server, "sxt_viewer", "GET", "/version", "Authorization: Bearer sxt_operator\r\n", "");
    answer.is_problem(400, "two-tokens");
    //= https://www.rfc-editor.org/rfc/rfc9110#section-11.1
    // The name of a scheme is case-insensitive.
    assert_eq!(ask(&server, "", "GET", "/version", "Authorization: bEARER sxt_viewer\r\n", "").status, 200);
    // Not in the address, where logs and histories keep it.
    let answer = ask(&server, "", "GET", "/version?access_token=sxt_viewer", "", "");
    answer.is_problem(401, "unauthenticated");
}

#[test]
fn what_is_not_there_is_said_to_those_with_a_token_only() {
    let (server, _exchange) = started();
    for path in ["", "/", "/calls/", "/calls/a/b", "/sources/192.0.2.1/bans", "/openapi.json/", "/%2e%2e/calls"] {
        asked(&server, Role::Administrator, "GET", path, "").is_problem(404, "not-found");
        ask(&server, "", "GET", path, "", "").is_problem(401, "unauthenticated");
    }
    for path in ["/healthz", "/metrics", "/api/v2/calls"] {
        let text = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer sxt_administrator\r\n\r\n"
        );
        say(&server, text.as_bytes()).is_problem(404, "not-found");
    }
}

#[test]
fn a_method_that_is_not_there_is_told_which_are() {
    let (server, exchange) = started();
    for (method, path, allow) in [
        ("POST", "/trunks", "GET, HEAD"),
        ("PUT", "/calls/a", "GET, HEAD, DELETE"),
        ("GET", "/drain", "PUT, DELETE"),
        ("OPTIONS", "/drain", "PUT, DELETE"),
        ("PATCH", "/tokens", "GET, HEAD, POST"),
        ("get", "/calls", "GET, HEAD, POST"),
        ("BREW", "/openapi.json", "GET, HEAD"),
    ] {
        let answer = asked(&server, Role::Administrator, method, path, "");
        answer.is_problem(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    assert_eq!(exchange.asked(), []);
}

#[test]
fn a_request_says_once_whom_it_means() {
    let (server, exchange) = started();
    let with = |version: &str, hosts: &str| {
        let lines = "Connection: close\r\nAuthorization: Bearer sxt_viewer";
        say(&server, format!("GET /api/v1/version HTTP/{version}\r\n{hosts}{lines}\r\n\r\n").as_bytes())
    };
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    //= type=test
    for hosts in ["", "Host: x\r\nHost: x\r\n"] {
        with("1.1", hosts).is_problem(400, "malformed-request");
    }
    assert_eq!(exchange.asked(), []);
    assert_eq!(with("1.0", "").status, 200);
}

#[test]
fn a_head_request_is_answered_without_a_body() {
    let (server, _exchange) = started();
    for path in ["/version", "/openapi.json"] {
        let answer = asked(&server, Role::Viewer, "HEAD", path, "");
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    }
}

#[test]
fn what_the_exchange_refuses_is_passed_on() {
    let (server, _exchange) = started();
    asked(&server, Role::Viewer, "GET", "/calls/gone", "").is_problem(404, "not-found");
    asked(&server, Role::Operator, "DELETE", "/calls/ending", "").is_problem(409, "conflict");
    let later = asked(&server, Role::Viewer, "GET", "/calls/later", "");
    later.is_problem(503, "unavailable");
    assert!(later.header("retry-after").is_some(), "{later:?}");
    assert_eq!(later.json()["instance"], "/api/v1/calls/later");
    assert_eq!(later.json()["detail"], "the worker is busy");
    // A problem that says it is none.
    asked(&server, Role::Viewer, "GET", "/calls/odd", "").is_problem(500, "odd");
}

#[test]
fn a_panic_behind_the_server_is_an_answer_and_not_its_end() {
    let (server, _exchange) = started();
    for _ in 0..20 {
        asked(&server, Role::Viewer, "GET", "/calls/broken", "").is_problem(500, "internal");
        ask(&server, "sxt_broken", "GET", "/calls", "", "").is_problem(500, "internal");
    }
    assert_eq!(asked(&server, Role::Viewer, "GET", "/calls", "").status, 200);
}

#[test]
fn tokens_that_cannot_be_looked_up_are_our_fault_and_not_counted() {
    let (server, _exchange) = started();
    for _ in 0..20 {
        let answer = ask(&server, "sxt_unavailable", "GET", "/calls", "", "");
        answer.is_problem(503, "unavailable");
        assert!(!answer.body.contains("disk"), "{answer:?}");
    }
    assert_eq!(asked(&server, Role::Viewer, "GET", "/calls", "").status, 200);
}

#[test]
fn every_answer_is_kept_from_caches_and_from_guessing() {
    let (server, _exchange) = started();
    for (token, path) in [
        ("sxt_viewer", "/calls"),
        ("sxt_viewer", "/tokens"),
        ("", "/calls"),
        ("", "/openapi.json"),
        ("sxt_viewer", "/x"),
    ] {
        let answer = ask(&server, token, "GET", path, "", "");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn tokens_are_not_shown_to_a_network_unless_that_is_wanted() {
    let everywhere = "0.0.0.0:0".parse().expect("an address");
    let refused = ApiServer::start(ApiConfig::new(everywhere), Arc::default() as Arc<crate::exchange::Exchange>);
    let error = refused.expect_err("no TLS");
    assert!(matches!(error, StartError::PlainText { .. }), "{error}");
    assert!(error.to_string().starts_with("the management server cannot listen at 0.0.0.0:0: "), "{error}");
    let (server, _exchange) = started_with(|config| {
        config.listen = everywhere;
        config.plain_text_beyond_loopback = true;
    });
    server.stop();
}

#[test]
fn a_port_in_use_is_said_so() {
    let taken = TcpListener::bind(loopback()).expect("a free port");
    let address = taken.local_addr().expect("its address");
    let refused = ApiServer::start(ApiConfig::new(address), Arc::default() as Arc<crate::exchange::Exchange>);
    assert!(matches!(refused, Err(StartError::InUse { .. })), "{refused:?}");
}

#[test]
fn whoever_shows_no_good_token_is_told_with_the_address_and_what_was_asked() {
    let (server, exchange) = started_with(|config| config.failures_per_minute = 2);
    // Of wrong tokens no more than an address may show.
    for token in ["", "sxt_expired", "sxt_unavailable", "sxt_guess", "sxt_another", "sxt_another"] {
        ask(&server, token, "GET", "/calls?limit=7", "", "");
    }
    ask(&server, "", "BREW", "/%2e%2e/calls", "", "");
    let peer = server.local_addr().ip();
    let expired = AuthenticationFailed::Expired { id: "0a1b2c3d4e5f".into() };
    // Each is told on a thread of its own, so that their order may be another.
    let mut failed = exchange.failed(4);
    failed.sort_by_key(|(_, failed, asked)| format!("{failed} {asked}"));
    let expected = [
        (AuthenticationFailed::Unknown, "GET /api/v1/calls"),
        (AuthenticationFailed::Missing, "BREW /api/v1/%2e%2e/calls"),
        (AuthenticationFailed::Missing, "GET /api/v1/calls"),
        (expired, "GET /api/v1/calls"),
    ];
    assert_eq!(failed, expected.map(|(failed, asked)| (peer, failed, asked.to_owned())));
    assert_eq!(exchange.authenticated.load(std::sync::atomic::Ordering::Relaxed), 5, "each is looked up");
    server.stop();
}

#[test]
fn whoever_is_refused_is_counted_with_the_reason_and_nobody_else_is() {
    let (server, exchange) = started_with(|config| {
        config.failures_per_minute = 2;
        config.requests_per_minute = 1;
    });
    assert_eq!(asked(&server, Role::Viewer, "GET", "/version", "").status, 200);
    assert_eq!(asked(&server, Role::Viewer, "GET", "/version", "").status, 429);
    assert_eq!(asked(&server, Role::Operator, "POST", "/config/reload", "").status, 403);
    assert_eq!(ask(&server, "", "GET", "/version", "Origin: https://elsewhere.example\r\n", "").status, 403);
    assert_eq!(ask(&server, "", "GET", "/version", "", "").status, 401);
    assert_eq!(ask(&server, "sxt_unavailable", "GET", "/version", "", "").status, 503);
    for status in [401, 401, 429] {
        assert_eq!(ask(&server, "sxt_nobody", "GET", "/version", "", "").status, status);
    }
    let refused = exchange.refused.lock().expect("not poisoned").clone();
    let [rate, failures, unauthorized, forbidden, origin] = ApiRefusal::ALL;
    assert_eq!(refused, [rate, forbidden, origin, unauthorized, unauthorized, unauthorized, failures]);
}
