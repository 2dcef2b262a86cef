//! The resolver against a small name server on the loopback interface.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use sx_net::resolve::{Question, ResolveError, Resolved, Resolver, ResolverConfig};
use sx_types::Transport;

const A: u16 = 1;
const SRV: u16 = 33;
const NAPTR: u16 = 35;

/// A record's name, type and data.
type Zone = Vec<(&'static str, u16, Vec<u8>)>;

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|l| !l.is_empty());
    let mut bytes: Vec<u8> =
        labels.flat_map(|label| [&[u8::try_from(label.len()).expect("short")], label.as_bytes()].concat()).collect();
    bytes.push(0);
    bytes
}

fn srv(priority: u16, port: u16, target: &str) -> Vec<u8> {
    [priority.to_be_bytes().to_vec(), vec![0, 0], port.to_be_bytes().to_vec(), name(target)].concat()
}

fn naptr(order: u16, service: &str, replacement: &str) -> Vec<u8> {
    let string = |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    [order.to_be_bytes().to_vec(), vec![0, 1], string("s"), string(service), string(""), name(replacement)].concat()
}

/// Answers every question from the zone, with NXDOMAIN for a name that is not in it.
fn serve(zone: Zone) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("bound");
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let end = 12 + buffer[12..length].iter().position(|byte| *byte == 0).expect("a name") + 5;
            let question = &buffer[12..end];
            let (asked, kind) = question.split_at(question.len() - 4);
            let asked = asked.to_ascii_lowercase();
            let kind = u16::from_be_bytes([kind[0], kind[1]]);
            let known = zone.iter().any(|(owner, ..)| name(owner) == asked);
            let found: Vec<_> = zone.iter().filter(|(owner, k, _)| name(owner) == asked && *k == kind).collect();
            let mut answer = buffer[..2].to_vec();
            answer.extend([0x85, if known { 0x80 } else { 0x83 }, 0, 1, 0]);
            answer.push(u8::try_from(found.len()).expect("few"));
            answer.extend([0, 0, 0, 0]);
            answer.extend(question);
            for (_, kind, data) in found {
                answer.extend([0xc0, 12]);
                answer.extend(kind.to_be_bytes());
                answer.extend([0, 1, 0, 0, 0, 60]);
                answer.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
                answer.extend(data);
            }
            socket.send_to(&answer, from).expect("answers");
        }
    });
    address
}

fn config(name_server: SocketAddr) -> ResolverConfig {
    ResolverConfig {
        name_servers: vec![name_server],
        lookup_timeout: Duration::from_secs(5),
        question_timeout: Duration::from_secs(20),
        ..ResolverConfig::default()
    }
}

fn ask(resolver: &Resolver, host: &str) -> Resolved {
    let (sender, inbox) = mpsc::channel();
    let question = Question { host: host.into(), port: None, transport: None, secure: false };
    resolver.resolve(42, question, move |resolved| sender.send(resolved).expect("somebody waits"));
    inbox.recv_timeout(Duration::from_secs(30)).expect("always an answer")
}

#[test]
fn naptr_srv_and_addresses_are_followed() {
    let server = serve(vec![
        ("example.com", NAPTR, naptr(20, "SIP+D2U", "_sip._udp.example.com")),
        ("example.com", NAPTR, naptr(10, "SIP+D2T", "_sip._tcp.example.com")),
        ("_sip._tcp.example.com", SRV, srv(2, 5070, "two.example.com")),
        ("_sip._tcp.example.com", SRV, srv(1, 5060, "one.example.com")),
        ("one.example.com", A, vec![192, 0, 2, 1]),
        ("two.example.com", A, vec![192, 0, 2, 2]),
        ("plain.example.com", A, vec![192, 0, 2, 3]),
    ]);
    let resolver = Resolver::start(config(server)).expect("starts");
    let at = |address: &str| address.parse::<SocketAddr>().expect("an address");
    let both = vec![(Transport::Tcp, at("192.0.2.1:5060")), (Transport::Tcp, at("192.0.2.2:5070"))];
    assert_eq!(ask(&resolver, "example.com"), Resolved { query_id: 42, result: Ok(both) });
    assert_eq!(ask(&resolver, "plain.example.com").result, Ok(vec![(Transport::Udp, at("192.0.2.3:5060"))]));
    assert_eq!(ask(&resolver, "nobody.example.com").result, Err(ResolveError::NotFound));
    assert_eq!(ask(&resolver, &"x".repeat(70)).result, Err(ResolveError::InvalidName));
}

#[test]
fn a_silent_name_server_is_a_timeout_and_too_many_questions_are_refused() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let config = ResolverConfig {
        question_timeout: Duration::from_millis(300),
        questions_max: 1,
        ..config(silent.local_addr().expect("bound"))
    };
    let resolver = Resolver::start(config).expect("starts");
    let (sender, inbox) = mpsc::channel();
    for query_id in 0..10 {
        let sender = sender.clone();
        let question = Question { host: "a.example".into(), port: Some(5060), transport: None, secure: false };
        resolver.resolve(query_id, question, move |resolved| sender.send(resolved).expect("somebody waits"));
    }
    let mut results: Vec<_> =
        (0..10).map(|_| inbox.recv_timeout(Duration::from_secs(30)).expect("always an answer")).collect();
    results.sort_by_key(|resolved| resolved.query_id);
    assert_eq!(results[0].result, Err(ResolveError::Timeout));
    assert_eq!(results[9].result, Err(ResolveError::Overloaded));
}

#[test]
fn a_question_that_is_open_when_the_resolver_stops_is_answered() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let resolver = Resolver::start(config(silent.local_addr().expect("bound"))).expect("starts");
    let (sender, inbox) = mpsc::channel();
    let question = Question { host: "a.example".into(), port: None, transport: None, secure: false };
    resolver.resolve(1, question, move |resolved| sender.send(resolved).expect("somebody waits"));
    drop(resolver);
    let resolved = inbox.recv_timeout(Duration::from_secs(30)).expect("always an answer");
    assert_eq!(resolved.result, Err(ResolveError::Stopped));
}
