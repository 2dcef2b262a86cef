//! The server, asked over loopback.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use sx_http::{Component, HttpServer, MetricsText, StartError, Status};

/// An exchange whose store may be made ready or not.
#[derive(Default)]
struct Exchange {
    store_ready: AtomicBool,
}

impl Status for Exchange {
    fn ready(&self) -> Vec<Component> {
        let ready = self.store_ready.load(Ordering::Relaxed);
        let detail = if ready { "open" } else { "still replaying" };
        vec![
            Component { name: "sip".into(), ready: true, detail: "2 listeners".into() },
            Component { name: "store".into(), ready, detail: detail.into() },
        ]
    }

    fn metrics(&self, out: &mut MetricsText) {
        out.gauge("strowger_calls", "", "Calls at the moment.").sample(&[], 3u32);
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

fn ask(server: &HttpServer, method: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect(server.local_addr()).expect("a connection");
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

fn started() -> (HttpServer, Arc<Exchange>) {
    let exchange = Arc::new(Exchange::default());
    (HttpServer::start(loopback(), exchange.clone()).expect("a free port"), exchange)
}

#[test]
fn readiness_names_the_component_that_is_not() {
    let (server, exchange) = started();
    assert_eq!(ask(&server, "GET", "/healthz").status, 200);
    let answer = ask(&server, "GET", "/readyz");
    assert_eq!(answer.status, 503);
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(body["ready"], false);
    assert_eq!(body["components"][1]["name"], "store");
    assert_eq!(body["components"][1]["detail"], "still replaying");
    exchange.store_ready.store(true, Ordering::Relaxed);
    assert_eq!(ask(&server, "GET", "/readyz").status, 200);
}

#[test]
fn a_started_exchange_stays_started_when_a_component_fails() {
    let (server, exchange) = started();
    assert_eq!(ask(&server, "GET", "/startupz").status, 503);
    exchange.store_ready.store(true, Ordering::Relaxed);
    assert_eq!(ask(&server, "GET", "/startupz").status, 200);
    exchange.store_ready.store(false, Ordering::Relaxed);
    assert_eq!(ask(&server, "GET", "/startupz").status, 200);
    assert_eq!(ask(&server, "GET", "/readyz").status, 503);
}

#[test]
fn metrics_are_openmetrics() {
    let (server, _exchange) = started();
    let answer = ask(&server, "GET", "/metrics");
    assert_eq!(answer.status, 200);
    assert!(
        answer.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{}",
        answer.head
    );
    assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
    assert!(answer.body.contains("strowger_calls 3\n") && answer.body.ends_with("# EOF\n"), "{}", answer.body);
}

#[test]
fn what_is_not_there_is_answered_with_a_problem_document() {
    let (server, _exchange) = started();
    for (method, path, status, title) in [
        ("GET", "/", 404, "Not Found"),
        ("GET", "/metrics/", 404, "Not Found"),
        ("POST", "/api/v1/drain", 404, "Not Found"),
        ("POST", "/metrics", 405, "Method Not Allowed"),
        ("DELETE", "/readyz?x=1", 405, "Method Not Allowed"),
    ] {
        let answer = ask(&server, method, path);
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.head.contains("content-type: application/problem+json"), "{}", answer.head);
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(body["type"], "about:blank");
        assert_eq!(body["title"], title);
        assert_eq!(body["status"], status);
        assert_eq!(body["instance"], path.split('?').next().expect("a path"));
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6
        assert_eq!(answer.head.contains("allow: get,head"), status == 405, "{}", answer.head);
    }
}

#[test]
fn a_head_request_has_no_body() {
    let (server, _exchange) = started();
    let answer = ask(&server, "HEAD", "/metrics");
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
}

#[test]
fn a_port_in_use_is_said_so() {
    let taken = TcpListener::bind(loopback()).expect("a free port");
    let address = taken.local_addr().expect("its address");
    let error = HttpServer::start(address, Arc::new(Exchange::default())).expect_err("taken");
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!("the status server cannot listen at {address}: another process listens at this address")
    );
    let elsewhere = "192.0.2.1:0".parse().expect("an address");
    let error = HttpServer::start(elsewhere, Arc::new(Exchange::default())).expect_err("not ours");
    assert!(matches!(error, StartError::NoSuchAddress { .. }), "{error}");
}

#[test]
fn a_stopped_server_frees_its_port_even_with_a_silent_connection() {
    let (server, _exchange) = started();
    let address = server.local_addr();
    let _silent = TcpStream::connect(address).expect("a connection");
    server.stop();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_connection_beyond_the_limit_waits_for_another_to_end() {
    const CONNECTIONS_MAX: usize = 64;
    let (server, _exchange) = started();
    let mut connections: Vec<TcpStream> = (0..=CONNECTIONS_MAX).map(|_| connect_and_ask(&server)).collect();
    let mut last = connections.pop().expect("the last");
    let mut byte = [0];
    for stream in &mut connections {
        stream.read_exact(&mut byte).expect("an answer");
    }
    last.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    assert_eq!(last.read(&mut byte).expect_err("no answer yet").kind(), ErrorKind::WouldBlock);
    connections.pop();
    last.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    last.read_exact(&mut byte).expect("an answer");
}

fn connect_and_ask(server: &HttpServer) -> TcpStream {
    let mut stream = TcpStream::connect(server.local_addr()).expect("a connection");
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    stream
}

/// A status whose counting fails.
struct Broken;

impl Status for Broken {
    fn ready(&self) -> Vec<Component> {
        Vec::new()
    }

    fn metrics(&self, _: &mut MetricsText) {
        panic!("a counter is broken");
    }
}

#[test]
fn a_panic_while_counting_ends_one_connection_only() {
    let server = HttpServer::start(loopback(), Arc::new(Broken)).expect("a free port");
    let mut stream = TcpStream::connect(server.local_addr()).expect("a connection");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut nothing = String::new();
    // Closed or reset: either way there is no answer.
    let _ = stream.read_to_string(&mut nothing);
    assert_eq!(nothing, "");
    assert_eq!(ask(&server, "GET", "/readyz").status, 200);
}
