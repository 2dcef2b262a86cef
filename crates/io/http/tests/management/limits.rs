//! How often, how many, how long.

use crate::exchange::{Answer, ask, asked, connected, connected_from, say, started, started_with};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Duration;
use sx_http::{ApiRefusal, Role};

#[test]
fn after_ten_wrong_tokens_of_an_address_the_others_are_told_to_wait() {
    let (server, exchange) = started();
    for attempt in 0..100 {
        let answer = ask(&server, &format!("sxt_{attempt}"), "GET", "/version", "", "");
        if attempt < 10 {
            answer.is_problem(401, "invalid-token");
        } else {
            answer.is_problem(429, "too-many-failures");
            let seconds: u64 = answer.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
            assert!((1..=6).contains(&seconds), "{seconds}");
        }
    }
    // The exchange is told of those that were refused, and of the others their number.
    let refused = exchange.refused.lock().expect("not poisoned").clone();
    assert_eq!(refused.iter().filter(|why| **why == ApiRefusal::Failures).count(), 90);
    assert_eq!(exchange.failed(10).len(), 10);
    // What was no token is not looked up.
    ask(&server, "~not~ours~\u{e9}", "GET", "/version", "", "").is_problem(429, "too-many-failures");
    assert_eq!(exchange.authenticated.load(Ordering::Relaxed), 100);
    // The description needs no token.
    assert_eq!(ask(&server, "", "GET", "/openapi.json", "", "").status, 200);
}

#[test]
fn whoever_guesses_shuts_out_nobody_with_a_good_token() {
    let (server, _exchange) = started_with(|config| config.failures_per_minute = 1);
    for status in [401, 429, 429] {
        assert_eq!(ask(&server, "sxt_guess", "GET", "/version", "", "").status, status);
        assert_eq!(asked(&server, Role::Viewer, "GET", "/version", "").status, 200);
    }
    // One that was good is as wrong as any other.
    ask(&server, "sxt_expired", "GET", "/version", "", "").is_problem(429, "too-many-failures");
    // Who shows none has guessed nothing.
    ask(&server, "", "GET", "/version", "", "").is_problem(401, "unauthenticated");
}

#[test]
fn wrong_tokens_and_right_ones_are_counted_apart() {
    let (server, _exchange) = started_with(|config| config.requests_per_minute = 1000);
    for attempt in 0..50 {
        assert_eq!(asked(&server, Role::Viewer, "GET", "/version", "").status, 200, "{attempt}");
    }
    for _ in 0..9 {
        ask(&server, "sxt_expired", "GET", "/version", "", "").is_problem(401, "invalid-token");
    }
    assert_eq!(asked(&server, Role::Viewer, "GET", "/version", "").status, 200);
}

#[test]
fn a_token_that_asks_too_often_waits_and_no_other_does() {
    let (server, exchange) = started_with(|config| config.requests_per_minute = 5);
    let statuses: Vec<u16> = (0..8).map(|_| asked(&server, Role::Viewer, "GET", "/version", "").status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
    let answer = asked(&server, Role::Viewer, "GET", "/version", "");
    answer.is_problem(429, "too-many-requests");
    let seconds: u64 = answer.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
    assert!((1..=12).contains(&seconds), "{seconds}");
    assert_eq!(asked(&server, Role::Operator, "GET", "/version", "").status, 200);
    assert_eq!(exchange.asked().len(), 6);
}

#[test]
fn an_exchange_that_does_not_answer_is_not_waited_for_long() {
    let (server, exchange) = started_with(|config| config.timeout_s = 1);
    let answer = asked(&server, Role::Viewer, "GET", "/calls/stuck", "");
    answer.is_problem(503, "unavailable");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    // The others go on meanwhile.
    assert_eq!(asked(&server, Role::Viewer, "GET", "/calls", "").status, 200);
    exchange.let_go();
}

#[test]
fn what_had_to_wait_too_long_to_begin_never_begins() {
    const WAITING_THREADS_MAX: usize = 8;
    let (server, exchange) = started_with(|config| config.timeout_s = 1);
    let mut stuck: Vec<_> = (0..WAITING_THREADS_MAX).map(|_| connected(&server)).collect();
    for stream in &mut stuck {
        write_call(stream, "stuck");
    }
    for stream in &mut stuck {
        Answer::read(stream).is_problem(503, "unavailable");
    }
    // All threads wait, so that not even the token can be looked up.
    asked(&server, Role::Operator, "PUT", "/drain", "").is_problem(503, "unavailable");
    exchange.let_go();
    // What waits is begun in the order in which it came, so this would come second.
    assert_eq!(asked(&server, Role::Viewer, "GET", "/calls", "").status, 200);
    assert_eq!(exchange.authenticated.load(Ordering::Relaxed), WAITING_THREADS_MAX + 1);
    assert_eq!(exchange.asked().len(), WAITING_THREADS_MAX + 1);
}

#[test]
fn a_request_that_waits_does_not_hold_up_others() {
    let (server, exchange) = started();
    let mut waiting = connected(&server);
    write_call(&mut waiting, "stuck");
    assert_eq!(asked(&server, Role::Viewer, "GET", "/calls", "").status, 200);
    exchange.let_go();
    assert_eq!(Answer::read(&mut waiting).status, 200);
}

fn write_call(stream: &mut TcpStream, id: &str) {
    let text = format!(
        "GET /api/v1/calls/{id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer sxt_viewer\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).expect("sent");
}

#[test]
fn headers_are_bounded_in_number_and_length() {
    let (server, _exchange) = started();
    let with = |lines: &str| ask(&server, "sxt_viewer", "GET", "/version", lines, "").status;
    // Three more are there already.
    let many = |count: usize| (0..count).map(|index| format!("X-{index}: a\r\n")).collect::<String>();
    assert_eq!(with(&many(61)), 200);
    assert_eq!(with(&many(62)), 431);
    assert_eq!(with(&format!("X: {}\r\n", "a".repeat(15_000))), 200);
    assert_eq!(with(&format!("X: {}\r\n", "a".repeat(20_000))), 431);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(20_000));
    let status = say(&server, long.as_bytes()).status;
    assert!(status == 431 || status == 414, "{status}");
}

#[test]
fn what_is_not_http_is_answered_and_closed() {
    let (server, _exchange) = started();
    for text in ["\x16\x03\x01\x02\x00\x01", "INVITE sip:a@b SIP/2.0\r\n\r\n", "GET /\r\n\r\n", "\r\n\r\n \r\n"] {
        let mut stream = connected(&server);
        stream.write_all(text.as_bytes()).expect("sent");
        let mut heard = String::new();
        let _ = stream.read_to_string(&mut heard);
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400"), "{heard}");
    }
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let (server, _exchange) = started_with(|config| config.timeout_s = 1);
    for text in ["", "GET /api/v1/version HTTP/1.1\r\nHost: x\r\nX: "] {
        let mut stream = connected(&server);
        stream.write_all(text.as_bytes()).expect("sent");
        let mut heard = String::new();
        // The time-out of the stream would be an error that is not an end.
        if let Err(error) = stream.read_to_string(&mut heard) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 408"), "{heard}");
    }
}

#[test]
fn a_connection_serves_many_requests() {
    let (server, exchange) = started();
    let mut stream = connected(&server);
    let request = "GET /api/v1/version HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sxt_viewer\r\n\r\n";
    let last = request.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{request}{request}{last}").as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answers");
    assert_eq!(text.matches("HTTP/1.1 200").count(), 3, "{text}");
    assert_eq!(exchange.asked().len(), 3);
}

#[test]
fn the_connection_beyond_the_limit_takes_the_place_of_the_stillest() {
    let (server, _exchange) = started();
    let ask = |host| {
        let mut stream = connected_from(&server, host);
        let text = "GET /api/v1/version HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sxt_viewer\r\n\r\n";
        stream.write_all(text.as_bytes()).expect("sent");
        stream
    };
    let mut streams: Vec<_> = (1..=8).flat_map(|host| [host; 8]).map(ask).collect();
    let mut byte = [0];
    for stream in &mut streams {
        stream.read_exact(&mut byte).expect("an answer");
    }
    let mut last = ask(9);
    last.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    last.read_exact(&mut byte).expect("an answer");
    let mut first = streams.swap_remove(0);
    first.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let ended = first.read_to_end(&mut Vec::new());
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
}

#[test]
fn whoever_waits_for_what_is_being_done_hears_of_it_however_many_others_come() {
    let (server, exchange) = started();
    let mut waiting = connected_from(&server, 1);
    waiting.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    write_call(&mut waiting, "stuck");
    while exchange.asked().is_empty() {
        std::thread::yield_now();
    }
    let request = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
    let others = (2..=10).flat_map(|host| [host; 8]).map(|host| {
        let mut stream = connected_from(&server, host);
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.write_all(request).expect("sent");
        stream.read_exact(&mut [0]).expect("an answer");
        stream
    });
    let others: Vec<_> = others.collect();
    exchange.let_go();
    assert_eq!(Answer::read(&mut waiting).status, 200);
    drop(others);
}

#[test]
fn a_stopped_server_frees_its_port_even_with_a_silent_connection() {
    let (server, exchange) = started();
    let address = server.local_addr();
    let _silent = connected(&server);
    let mut waiting = connected(&server);
    write_call(&mut waiting, "stuck");
    server.stop();
    assert!(TcpStream::connect(address).is_err());
    exchange.let_go();
}
