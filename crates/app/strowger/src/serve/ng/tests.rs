//! A whole exchange as a media engine: what proxies ask by UDP and TCP, and packets between the ports they are told.

use crate::serve::Exchange;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;
use sx_config::Config;
use sx_ng::{Message, Value};

/// Nothing but a media engine.
fn start(data: &Path, more: &str) -> Exchange {
    let text = format!(
        "[exchange]\ndata = {data:?}\nworkers = 1\n[sip]\nlisten = []\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [api]\nlisten = \"127.0.0.1:0\"\n[media]\ninterfaces = [{{ name = \"lo\", bind = [\"127.0.0.1\"] }}]\nthreads = 1\n\
         [ng]\nlisten_udp = \"127.0.0.1:0\"\nlisten_tcp = \"127.0.0.1:0\"\n{more}"
    );
    Exchange::start(Config::from_text_with_env(&text, Vec::new()).expect("a good configuration")).expect("starts")
}

fn client() -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("it is set");
    client
}

/// A value of the answer to a request.
fn ask(client: &UdpSocket, to: SocketAddr, request: &str, key: &str) -> String {
    client.send_to(request.as_bytes(), to).expect("sent");
    let mut buffer = [0; 65_535];
    let (length, _) = client.recv_from(&mut buffer).expect("an answer");
    let message = Message::parse(&buffer[..length]).expect("a message");
    let value = message.dictionary.get(key).and_then(Value::as_bytes).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

/// A party's offer or answer, passed on: the port that the other party is told.
fn pass(proxy: &UdpSocket, engine: SocketAddr, command: &str, party: &UdpSocket) -> SocketAddr {
    let port = party.local_addr().expect("bound").port();
    let sdp = format!(
        "v=0\\r\\no=- 1 1 IN IP4 127.0.0.1\\r\\ns=-\\r\\nc=IN IP4 127.0.0.1\\r\\nt=0 0\\r\\nm=audio {port} RTP/AVP 0\\r\\n"
    );
    let request =
        format!(r#"{command} {{"command":"{command}","call-id":"x","from-tag":"a","to-tag":"b","sdp":"{sdp}"}}"#);
    let told = ask(proxy, engine, &request, "sdp");
    let number = told.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()).expect("a port");
    format!("127.0.0.1:{number}").parse().expect("an address")
}

#[test]
fn packets_go_between_the_ports_that_a_proxy_has_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let exchange = start(folder.path(), "");
    let engine = exchange.ng_addresses().0.expect("it listens");
    let (proxy, alice, bob) = (client(), client(), client());
    let faces_bob = pass(&proxy, engine, "offer", &alice);
    let faces_alice = pass(&proxy, engine, "answer", &bob);
    let packet = |number: u8| [&[0x80, 0, 0, number, 0, 0, 0, 0, 1, 2, 3, 4][..], &[number; 160]].concat();
    for (number, from, to, hears, arrives_from) in
        [(1, &alice, faces_alice, &bob, faces_bob), (2, &bob, faces_bob, &alice, faces_alice)]
    {
        let mut buffer = [0; 1_500];
        hears.set_read_timeout(Some(Duration::from_millis(100))).expect("it is set");
        // The answer may overtake what the packet thread is told: as in a stream, a packet follows.
        let (length, sender) = (0..100)
            .find_map(|_| {
                from.send_to(&packet(number), to).expect("sent");
                hears.recv_from(&mut buffer).ok()
            })
            .expect("the packet");
        assert_eq!((&buffer[..length], sender), (&packet(number)[..], arrives_from));
    }
    let delete = r#"d {"command":"delete","call-id":"x","from-tag":"a","delete-delay":0}"#;
    assert_eq!(ask(&proxy, engine, delete, "result"), "ok");
    exchange.stop();
}

#[test]
fn an_exchange_that_is_drained_refuses_new_calls_and_counts_those_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let exchange = start(folder.path(), "");
    let engine = exchange.ng_addresses().0.expect("it listens");
    let (proxy, alice) = (client(), client());
    pass(&proxy, engine, "offer", &alice);
    exchange.drain();
    assert_eq!(exchange.calls(), 1);
    let sdp = r"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    let offer = format!(r#"2 {{"command":"offer","call-id":"y","from-tag":"a","sdp":"{sdp}"}}"#);
    assert_eq!(ask(&proxy, engine, &offer, "error-reason"), "Parallel session limit reached");
    exchange.clear();
    // What is asked as the call ends may still be answered for it; each time under a cookie of its own.
    let is_unknown = |turn: usize| {
        let query = format!(r#"q{turn} {{"command":"query","call-id":"x"}}"#);
        ask(&proxy, engine, &query, "error-reason") == "Unknown call-id"
    };
    assert!((0..1_000).any(is_unknown));
    exchange.stop();
}

#[test]
fn requests_come_along_a_connection_in_any_pieces() {
    let folder = tempfile::tempdir().expect("a folder");
    let exchange = start(folder.path(), "");
    let mut stream = TcpStream::connect(exchange.ng_addresses().1.expect("it listens")).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("it is set");
    let requests = b"1 d7:command4:pinge2 {\"command\":\"ping\"}3 d7:command4:pinge";
    for piece in [&requests[..5], &requests[5..30], &requests[30..]] {
        stream.write_all(piece).expect("sent");
    }
    let expected = b"1 d6:result4:ponge2 {\"result\":\"pong\"}3 d6:result4:ponge";
    let mut answers = vec![0; expected.len()];
    stream.read_exact(&mut answers).expect("three answers");
    assert_eq!(answers, expected);
    exchange.stop();
}

#[test]
fn whoever_is_not_allowed_is_not_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let exchange = start(folder.path(), "allow = [\"192.0.2.1\"]\n");
    let (udp, tcp) = exchange.ng_addresses();
    client().send_to(b"1 d7:command4:pinge", udp.expect("it listens")).expect("sent");
    let mut stream = TcpStream::connect(tcp.expect("it listens")).expect("connected");
    let mut nothing = Vec::new();
    // The connection is closed behind the datagram, unread.
    stream.read_to_end(&mut nothing).expect("closed");
    assert!(nothing.is_empty());
    exchange.stop();
}
