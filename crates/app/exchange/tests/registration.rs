//! Users and their registrations.

mod driver;

use driver::{Bench, Manner, PASSWORD, USERS_ONLY, text, value};
use sx_exchange::Input;
use sx_sip::message::{HeaderName, Message, Method};
use sx_sip::registrar::Change;
use sx_types::Transport;

fn with_alice(config: &str) -> Bench {
    let mut bench = Bench::new(config);
    bench.peer("alice", "192.0.2.11:5060", Manner::Answers);
    bench
}

/// The last REGISTER a peer has sent.
fn last_register(bench: &mut Bench, name: &str) -> String {
    let from = bench.who(name).address;
    let sent =
        bench.lines.iter().rev().find(|line| line.from == from && line.message().method() == Some(Method::Register));
    sent.expect("a REGISTER").text()
}

/// The same message in a transaction of its own.
fn again(text: &str, number: u32) -> String {
    text.replacen("branch=z9hG4bK", &format!("branch=z9hG4bKagain{number}"), 1)
}

#[test]
fn a_user_registers_with_either_algorithm_and_the_binding_is_to_be_kept() {
    for algorithm in ["SHA-256", "MD5"] {
        let mut bench = with_alice(&format!("{USERS_ONLY}[registrar]\nalgorithms = [\"{algorithm}\"]\n"));
        assert_eq!(bench.register("alice", "alice", PASSWORD), 200, "{algorithm}");
        assert_eq!(bench.statuses("alice", "REGISTER"), [401, 200], "{algorithm}");
        assert!(last_register(&mut bench, "alice").contains(&format!("algorithm={algorithm}")));
        let Some(Change::Put { aor, record }) = bench.bindings.last() else { panic!("nothing is kept") };
        assert_eq!((&**aor, record.0.len()), ("alice@example.org", 1));
    }
}

#[test]
fn both_algorithms_are_offered_the_stronger_one_first() {
    let mut bench = with_alice(USERS_ONLY);
    bench.register("alice", "alice", PASSWORD);
    let challenge = bench.received("alice").remove(0);
    let offered: Vec<&[u8]> = challenge.values(HeaderName::WwwAuthenticate).collect();
    assert_eq!(offered.len(), 2);
    assert!(String::from_utf8_lossy(offered[0]).contains("SHA-256"));
    assert!(last_register(&mut bench, "alice").contains("algorithm=SHA-256"));
}

/// An answer without what differs from one transaction to the next.
fn comparable(message: &Message<bytes::Bytes>) -> String {
    let text = text(message);
    let kept = |line: &&str| !["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
    text.lines().filter(kept).collect::<Vec<_>>().join("\n")
}

#[test]
fn nobody_can_tell_a_wrong_password_from_an_unknown_user() {
    let mut bench = with_alice(USERS_ONLY);
    assert_eq!(bench.register("alice", "alice", "guessed"), 403);
    let wrong = comparable(bench.received("alice").last().expect("an answer"));
    assert_eq!(bench.register("alice", "mallory", PASSWORD), 403);
    let unknown = comparable(bench.received("alice").last().expect("an answer"));
    assert_eq!(wrong, unknown);
    assert!(bench.bindings.is_empty());
}

#[test]
fn credentials_that_come_again_are_challenged_as_stale() {
    let mut bench = with_alice(USERS_ONLY);
    bench.register("alice", "alice", PASSWORD);
    let replayed = again(&last_register(&mut bench, "alice"), 1);
    let answers = bench.send_raw("alice", &replayed);
    assert_eq!(answers[0].status(), Some(401));
    assert!(value(&answers[0], HeaderName::WwwAuthenticate).contains("stale=true"));
}

#[test]
fn nobody_registers_for_another() {
    let mut bench = with_alice(USERS_ONLY);
    bench.act("alice", |peer, now| {
        let spec = peer.registration("bob", "alice", PASSWORD, 3_600);
        peer.agent.request(now, 1, spec);
    });
    assert_eq!(bench.who("alice").replies.pop().map(|reply| reply.0), Some(403));
    assert!(bench.bindings.is_empty());
}

#[test]
fn a_lifetime_that_is_too_short_is_refused_with_the_shortest() {
    let mut bench = with_alice(USERS_ONLY);
    bench.act("alice", |peer, now| peer.register(now, "alice", PASSWORD, 10));
    let (status, text) = bench.who("alice").replies.pop().expect("an answer");
    assert_eq!(status, 423);
    assert!(text.contains("Min-Expires: 60"), "{text}");
}

#[test]
fn a_domain_that_is_not_ours_is_not_found() {
    let mut bench = with_alice(USERS_ONLY);
    bench.act("alice", |peer, now| {
        let mut spec = peer.registration("alice", "alice", PASSWORD, 3_600);
        spec.to_value = "<sip:alice@example.net>".into();
        peer.agent.request(now, 1, spec);
    });
    assert_eq!(bench.who("alice").replies.pop().map(|reply| reply.0), Some(404));
}

/// Many a telephone knows its server by the address alone.
#[test]
fn a_telephone_that_knows_our_address_only_registers_its_user_in_the_main_domain() {
    let mut bench = with_alice(USERS_ONLY);
    for reloaded in [false, true] {
        if reloaded {
            bench.reload(&format!("{USERS_ONLY}drain_s = 7\n"));
        }
        bench.act("alice", |peer, now| {
            let mut spec = peer.registration("alice", "alice", PASSWORD, 3_600);
            spec.uri = "sip:192.0.2.1".into();
            spec.to_value = "<sip:alice@192.0.2.1>".into();
            spec.from = spec.to_value.clone();
            peer.agent.request(now, 1, spec);
        });
        assert_eq!(bench.who("alice").replies.pop().map(|reply| reply.0), Some(200));
        assert!(matches!(bench.bindings.last(), Some(Change::Put { aor, .. }) if &**aor == "alice@example.org"));
    }
    bench.phone("bob", "192.0.2.12:5060", Manner::Silent);
    let session = bench.dial("bob", "sip:alice@192.0.2.1");
    assert_eq!(bench.statuses("bob", "INVITE"), [407, 180, 200]);
    bench.hang_up("bob", session);
    bench.assert_over(1);
}

#[test]
fn a_registration_that_is_taken_back_is_forgotten() {
    let mut bench = with_alice(USERS_ONLY);
    bench.register("alice", "alice", PASSWORD);
    bench.act("alice", |peer, now| peer.register(now, "alice", PASSWORD, 0));
    assert_eq!(bench.who("alice").replies.pop().map(|reply| reply.0), Some(200));
    assert!(matches!(bench.bindings.last(), Some(Change::Delete { aor }) if &**aor == "alice@example.org"));
}

#[test]
fn a_registration_whose_time_is_over_is_forgotten() {
    let mut bench = with_alice(USERS_ONLY);
    bench.act("alice", |peer, now| peer.register(now, "alice", PASSWORD, 60));
    bench.pass_s(200);
    assert!(matches!(bench.bindings.last(), Some(Change::Delete { .. })), "{:?}", bench.bindings);
}

#[test]
fn a_binding_outlives_a_restart() {
    let mut bench = with_alice(USERS_ONLY);
    bench.register("alice", "alice", PASSWORD);
    let Some(Change::Put { aor, record }) = bench.bindings.pop() else { panic!("nothing is kept") };
    bench.workers[0] = driver::worker(bench.now, 0, 1, &bench.tables.clone(), 555);
    bench.tell(0, Input::Restore { aor: &aor, record });
    bench.peer("bob", "192.0.2.12:5060", Manner::Silent);
    let session = bench.dial("bob", "sip:alice@example.org");
    assert_eq!(bench.statuses("bob", "INVITE"), [407, 180, 200]);
    bench.hang_up("bob", session);
    bench.assert_over(1);
}

/// What was told of refused authentications: who, how, why.
fn told(bench: &Bench) -> Vec<(&str, &str, &str, String)> {
    let of = |refused: &sx_exchange::RefusedAuthentication| refused.why.to_string();
    bench.refused.iter().map(|r| (&*r.user, &*r.method, &*r.sip_call_id, of(r))).collect()
}

#[test]
fn a_refused_authentication_is_told_with_its_source_and_reason() {
    let mut bench = with_alice(USERS_ONLY);
    assert_eq!(bench.register("alice", "alice", "guessed"), 403);
    assert_eq!(bench.register("alice", "mallory", PASSWORD), 403);
    bench.act("alice", |peer, now| {
        let spec = peer.registration("bob", "alice", PASSWORD, 3_600);
        peer.agent.request(now, 1, spec);
    });
    let id = "registration-of-alice";
    assert_eq!(
        told(&bench),
        [
            ("alice", "REGISTER", id, "wrong password".to_owned()),
            ("mallory", "REGISTER", id, "unknown user".to_owned()),
            ("alice@example.org", "REGISTER", id, "registers another user".to_owned()),
        ]
    );
    assert!(
        bench
            .refused
            .iter()
            .all(|r| (r.flow.remote, r.flow.transport) == (driver::address("192.0.2.11:5060"), Transport::Udp))
    );
}

#[test]
fn credentials_that_come_again_are_told() {
    let mut bench = with_alice(USERS_ONLY);
    bench.register("alice", "alice", PASSWORD);
    assert_eq!(told(&bench), [], "a challenge is no refusal");
    let replayed = again(&last_register(&mut bench, "alice"), 1);
    bench.send_raw("alice", &replayed);
    assert_eq!(told(&bench), [("alice", "REGISTER", "registration-of-alice", "used before".to_owned())]);
}

#[test]
fn a_call_with_a_wrong_password_is_told() {
    let mut bench = with_alice(USERS_ONLY);
    bench.who("alice").credentials = Some(driver::credentials("alice", "guessed"));
    bench.dial("alice", "sip:bob@example.org");
    let [(user, method, _, why)] = &told(&bench)[..] else { panic!("{:?}", bench.refused) };
    assert_eq!((*user, *method, &**why), ("alice", "INVITE", "wrong password"));
}

#[test]
fn of_a_flood_of_wrong_passwords_some_are_told_and_the_rest_is_summed_up() {
    // From a trunk's address, which no layer bans.
    let trunk = "[[trunk]]\nname = \"site\"\nsources = [\"192.0.2.11\"]\n";
    let mut bench = with_alice(&format!("{USERS_ONLY}{trunk}"));
    bench.register("alice", "alice", "guessed");
    let guess = last_register(&mut bench, "alice");
    for number in 0..1_000 {
        bench.send_raw("alice", &again(&guess, number));
    }
    assert_eq!((bench.refused.len(), bench.suppressed.len()), (5, 0));
    bench.pass_s(61);
    assert_eq!(bench.suppressed, [(Some(driver::address("192.0.2.11:5060").ip()), 996)]);
    bench.pass_s(600);
    assert_eq!(bench.suppressed.len(), 1, "quiet minutes have no sum");
    bench.register("alice", "alice", "guessed");
    assert_eq!(bench.refused.len(), 6, "another minute, another share");
}
