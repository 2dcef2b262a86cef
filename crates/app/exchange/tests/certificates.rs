//! Users who are known by the certificate that their connection was opened with.

mod driver;

use driver::{Bench, Manner, USERS_ONLY, address, sdp};
use serde_json::json;
use std::sync::Arc;
use sx_exchange::{Directory, Input};
use sx_types::{Flow, LinkId, Transport};

const ALICE: &str = "192.0.2.11:40000";
const LINK: LinkId = LinkId(77);

/// An exchange to which alice's telephone has connected over TLS, with a certificate that names these URIs.
fn bench(workers: u16, uris: &[&str]) -> Bench {
    let mut bench = Bench::with_workers(USERS_ONLY, workers);
    let identities = uris.iter().map(|uri| (*uri).into()).collect();
    bench.tell(0, Input::Opened { link: LINK, identities });
    bench
}

/// Sends a request along a connection of the first worker, and says with what it was answered first and last.
fn send_along(bench: &mut Bench, link: LinkId, text: &str) -> Vec<u16> {
    let before = bench.lines.len();
    let flow = Flow { worker: 0, link, transport: Transport::Tls, remote: address(ALICE) };
    bench.tell(0, Input::Message { flow, bytes: text.as_bytes() });
    let answers = bench.lines[before..].iter().filter(|line| line.to == address(ALICE));
    answers.filter_map(|line| line.message().status()).collect()
}

fn send(bench: &mut Bench, text: &str) -> Vec<u16> {
    send_along(bench, LINK, text)
}

fn register(user: &str) -> String {
    let name = user.replace('@', ".");
    format!(
        "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.11;branch=z9hG4bKr{name}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}>;tag=a\r\nTo: <sip:{user}>\r\nCall-ID: r{user}\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:phone@192.0.2.11:40000;transport=tls>\r\nContent-Length: 0\r\n\r\n"
    )
}

fn invite(from: &str) -> String {
    let name = from.replace('@', ".");
    let body = sdp(address(ALICE), 4_000, 1, "sendrecv");
    format!(
        "INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.11;branch=z9hG4bKi{name}\r\nMax-Forwards: 70\r\n\
         From: <sip:{from}>;tag=a\r\nTo: <sip:bob@example.org>\r\nCall-ID: i{from}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:phone@192.0.2.11:40000;transport=tls>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_user_whom_the_certificate_names_needs_no_password() {
    let mut bench = bench(1, &["sip:example.org", "sip:alice@example.org"]);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    assert_eq!(send(&mut bench, &register("alice@example.org")), [200]);
    let statuses = send(&mut bench, &invite("alice@example.org"));
    assert_eq!(statuses.last(), Some(&200), "{statuses:?}\n{}", bench.ladder());
    let admitted = bench.last_recorded("admission");
    assert_eq!((&admitted["actor"], &admitted["outcome"]), (&json!("alice@example.org"), &json!("approve")));
    assert_eq!(admitted["facts"]["authenticated"], "certificate");
}

#[test]
fn a_policy_that_wants_certificates_is_content_with_one() {
    let mut bench = bench(1, &["sips:alice@EXAMPLE.org"]);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    let policy = "[gate.authenticity]\ncall = [\"certificate\"]\n";
    let (definition, hash) = sx_config::read_policy_text(policy).expect("a policy");
    bench.follow_policy(Arc::new(sx_guard::Policy::build(definition, hash).expect("a policy")));
    assert_eq!(send(&mut bench, &invite("alice@example.org")).last(), Some(&200), "{}", bench.ladder());
}

#[test]
fn whom_the_certificate_does_not_name_is_asked_for_a_password() {
    for uris in [
        &["sip:bob@example.org"][..],
        &["sip:Alice@example.org"],
        &["sip:alice@example.com"],
        &["sip:alice@example.org:5061"],
        &["sip:example.org", "mailto:alice@example.org"],
        &[],
    ] {
        let mut bench = bench(1, uris);
        assert_eq!(send(&mut bench, &register("alice@example.org")), [401], "{uris:?}");
        assert_eq!(send(&mut bench, &invite("alice@example.org")), [407], "{uris:?}");
    }
}

#[test]
fn nobody_speaks_for_another_by_a_certificate_of_its_own() {
    let mut bench = bench(1, &["sip:alice@example.org"]);
    assert_eq!(send(&mut bench, &register("bob@example.org")), [401]);
    assert_eq!(send(&mut bench, &invite("bob@example.org")), [407]);
    // Who registers bob says so in To, whoever is in From.
    let for_bob = register("alice@example.org").replace("To: <sip:alice", "To: <sip:bob");
    assert_eq!(send(&mut bench, &for_bob), [401]);
}

#[test]
fn a_certificate_speaks_for_its_own_connection_until_that_is_closed() {
    let mut bench = bench(1, &["sip:alice@example.org"]);
    assert_eq!(send_along(&mut bench, LinkId(78), &register("alice@example.org")), [401]);
    bench.peer("alice", "192.0.2.11:5060", Manner::Silent);
    assert_eq!(
        bench.send_raw("alice", &register("alice@example.org"))[0].status(),
        Some(401),
        "another way from there"
    );
    assert_ne!(send(&mut bench, &invite("alice@example.org")), [407]);
    bench.tell(0, Input::Closed { link: LINK });
    assert_eq!(send(&mut bench, &register("alice@example.org")), [401]);
}

#[test]
fn a_certificate_makes_nobody_a_user() {
    let mut bench = bench(1, &["sip:mallory@example.org", "sip:alice@example.org"]);
    assert_eq!(send(&mut bench, &register("mallory@example.org")), [401]);
    bench.tell(0, Input::Directory(Arc::new(Directory::default())));
    assert_eq!(send(&mut bench, &register("alice@example.org")), [401], "alice was removed");
}

#[test]
fn what_a_certificate_says_goes_along_to_the_worker_that_keeps_the_user() {
    for workers in 1..=4 {
        for user in driver::USERS.map(|name| format!("{name}@example.org")) {
            let mut bench = bench(workers, &[&format!("sip:{user}")]);
            let is_passed_on = sx_exchange::keeper_of(&user, workers) != 0;
            assert_eq!(send(&mut bench, &register(&user)), [200], "{user} of {workers}");
            assert_eq!(bench.passed_on.iter().any(|line| line.contains("Message")), is_passed_on);
        }
    }
}
