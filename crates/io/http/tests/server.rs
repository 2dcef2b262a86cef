//! The server, asked over loopback.

use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
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

/// A connection of the loopback address 127.0.0.`host`.
fn connect_from(server: &HttpServer, host: u8) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let own = SocketAddr::from(([127, 0, 0, host], 0));
    socket.bind(&own.into()).expect("a loopback address");
    socket.connect(&server.local_addr().into()).expect("a connection");
    socket.into()
}

fn connect_and_ask(server: &HttpServer, host: u8) -> TcpStream {
    let mut stream = connect_from(server, host);
    // Whoever has too many is closed, which may be noticed here already.
    let _ = write!(stream, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    stream
}

#[test]
fn the_connection_beyond_the_limit_takes_the_place_of_the_stillest() {
    let (server, _exchange) = started();
    let hosts = (1..=8).flat_map(|host| [host; 8]);
    let mut connections: Vec<TcpStream> = hosts.map(|host| connect_and_ask(&server, host)).collect();
    let mut byte = [0];
    for stream in &mut connections {
        stream.read_exact(&mut byte).expect("an answer");
    }
    let mut last = connect_and_ask(&server, 9);
    last.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    last.read_exact(&mut byte).expect("an answer");
    let mut first = connections.swap_remove(0);
    first.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let ended = first.read_to_end(&mut Vec::new());
    assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "it is closed");
    let mut newest = connections.pop().expect("another");
    write!(newest, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is open");
    newest.read_exact(&mut byte).expect("an answer");
}

#[test]
fn one_address_that_says_nothing_does_not_keep_others_out() {
    let (server, _exchange) = started();
    let silent: Vec<TcpStream> = (0..64).map(|_| connect_from(&server, 1)).collect();
    let mut other = connect_and_ask(&server, 2);
    other.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let mut byte = [0];
    other.read_exact(&mut byte).expect("an answer");
    // The silent ones are told at once that there are too many of them, except for those that have a place.
    let open = |mut stream: &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    assert_eq!(silent.iter().filter(|stream| open(stream)).count(), 8);
    // A place that is left is another's.
    drop(silent);
    let answered = |_: &u8| {
        let mut stream = connect_and_ask(&server, 1);
        stream.read_exact(&mut [0]).is_ok()
    };
    assert!((0..100).any(|attempt| answered(&attempt)));
}

#[test]
fn half_a_request_is_closed_after_ten_seconds() {
    let (server, _exchange) = started();
    let begun = Instant::now();
    let mut stream = connect_from(&server, 1);
    write!(stream, "GET /healthz HTTP/1.1\r\nHo").expect("sent");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("it is closed");
    assert!((9..20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
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
