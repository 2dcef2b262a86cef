//! Who answers 3xx, or asks for a transfer, gets what the dial plan lets it have and no more.

mod driver;

use driver::{Bench, Manner, USERS_ONLY, named, uri};
use sx_sip::message::Method;

/// A trunk that users may call with a leading 0.
const PLAN: &str = r#"
[exchange]
domains = ["example.org"]
[[trunk]]
name = "east"
addresses = ["sip:192.0.2.20"]
sources = ["192.0.2.20"]
accept_refer = true
options_interval_s = 0
[[route]]
name = "out"
from_users = true
prefix = "0"
to = [{ trunk = "east" }]
"#;

/// The route that lets anybody be sent anywhere.
const ANYWHERE: &str =
    "[[route]]\nname = \"away\"\nfrom_users = true\nfrom_trunk = [\"east\"]\nto = [{ dialled = true }]\n";

fn bench(config: &str, east: Manner, bob: Manner) -> Bench {
    let mut bench = Bench::new(config);
    bench.peer("east", "192.0.2.20:5060", east);
    bench.peer("host", "192.0.2.30:5070", Manner::Answers);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", bob);
    bench.phone("carol", "192.0.2.13:5060", Manner::Answers);
    bench
}

#[test]
fn a_user_forwards_to_another_user_by_name_and_by_our_address() {
    for to in ["sip:carol@example.org", "sip:carol@192.0.2.1:5060"] {
        let mut bench = bench(USERS_ONLY, Manner::Silent, Manner::Redirects(to));
        bench.dial("alice", "sip:bob@example.org");
        assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&200), "{}", bench.ladder());
        assert_eq!(bench.requests("carol", Method::Invite).len(), 1);
    }
}

#[test]
fn a_user_forwards_to_a_number_that_it_may_dial_and_a_trunk_does_not() {
    let mut users = bench(PLAN, Manner::Answers, Manner::Redirects("sip:0900@example.org"));
    users.dial("alice", "sip:bob@example.org");
    assert_eq!(uri(&users.requests("east", Method::Invite)[0]), "sip:0900@192.0.2.20");
    assert_eq!(users.statuses("alice", "INVITE").last(), Some(&200));

    let mut trunk = bench(PLAN, Manner::Redirects("sip:0900@example.org"), Manner::Silent);
    trunk.dial("alice", "sip:0123@example.org");
    assert_eq!(trunk.requests("east", Method::Invite).len(), 1, "{}", trunk.ladder());
    assert_eq!(trunk.statuses("alice", "INVITE").last(), Some(&404));
}

#[test]
fn nobody_is_sent_to_a_host_that_the_dial_plan_does_not_name() {
    let elsewhere = "sip:prize@192.0.2.30:5070";
    for (dialled, east, bob) in [
        ("sip:0123@example.org", Manner::Redirects(elsewhere), Manner::Silent),
        ("sip:bob@example.org", Manner::Silent, Manner::Redirects(elsewhere)),
    ] {
        let mut barred = bench(PLAN, east, bob);
        barred.dial("alice", dialled);
        barred.pass_s(1);
        assert_eq!(barred.requests("host", Method::Invite).len(), 0, "{}", barred.ladder());
        let told = barred.received("alice").pop().expect("an answer");
        assert!(told.status().is_some_and(|status| (400..500).contains(&status)), "{}", barred.ladder());

        let mut let_go = bench(&format!("{PLAN}{ANYWHERE}"), east, bob);
        let_go.dial("alice", dialled);
        assert_eq!(uri(&let_go.requests("host", Method::Invite)[0]), elsewhere);
        assert_eq!(let_go.statuses("alice", "INVITE").last(), Some(&200));
    }
}

#[test]
fn what_a_refused_redirection_was_refused_for_is_told() {
    let mut bench = bench(PLAN, Manner::Silent, Manner::Redirects("sip:prize@192.0.2.30:5070"));
    bench.dial("alice", "sip:bob@example.org");
    let told = bench.received("alice").into_iter().rfind(|m| m.status() == Some(403)).expect("a refusal");
    assert!(named(&told, "Warning").contains("192.0.2.30:5070 is not one of our domains"), "{}", bench.ladder());
}

#[test]
fn a_transfer_reaches_only_what_the_one_who_asks_may_call() {
    for (asker, to, reported) in [
        ("alice", "sip:carol@192.0.2.1", 200),
        ("alice", "sip:0900@example.org", 200),
        ("alice", "sip:prize@192.0.2.30:5070", 403),
        ("east", "sip:carol@192.0.2.1", 200),
        ("east", "sip:0900@example.org", 404),
    ] {
        let mut bench = bench(PLAN, Manner::Answers, Manner::Silent);
        let of_alice = bench.dial("alice", "sip:0123@example.org");
        bench.pass_s(1);
        let session = if asker == "alice" { of_alice } else { bench.who("east").invited[0] };
        bench.act(asker, |peer, now| peer.agent.refer(now, session, to));
        bench.pass_s(1);
        assert_eq!(bench.who(asker).reports().last(), Some(&reported), "{asker} to {to}\n{}", bench.ladder());
        assert!(bench.requests("host", Method::Invite).is_empty());
    }
}
