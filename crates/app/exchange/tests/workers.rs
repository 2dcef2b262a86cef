//! Several workers at one address.

mod driver;

use driver::{Bench, Manner, USERS_ONLY};
use sx_sip::message::Method;
use sx_sip::session::SessionId;

/// Users whose calls begin on worker 0.
fn two_workers() -> Bench {
    let mut bench = Bench::with_workers(USERS_ONLY, 2);
    for (name, own) in [("alice", "192.0.2.11:5060"), ("bob", "192.0.2.12:5060"), ("carol", "192.0.2.13:5060")] {
        bench.phone(name, own, Manner::Answers);
    }
    bench.passed_on.clear();
    bench
}

/// How many messages of signalling one worker has passed to another since this was asked last.
fn passed_on(bench: &mut Bench) -> usize {
    let passed = std::mem::take(&mut bench.passed_on);
    passed.iter().filter(|what| what.ends_with("Message")).count()
}

fn hold(bench: &mut Bench, name: &str, session: SessionId) {
    bench.act(name, |peer, now| {
        let offer = peer.describe("sendonly");
        peer.agent.offer(now, session, Some(offer));
    });
    bench.pass_s(1);
}

/// Wherever a message lands, the user is registered and found.
#[test]
fn a_user_is_registered_wherever_its_requests_land() {
    for lands_on in [0, 1] {
        let mut bench = Bench::with_workers(USERS_ONLY, 2);
        bench.lands_on = lands_on;
        for (name, own) in [("alice", "192.0.2.11:5060"), ("bob", "192.0.2.12:5060"), ("carol", "192.0.2.13:5060")] {
            bench.phone(name, own, Manner::Answers);
            assert_eq!(bench.statuses(name, "REGISTER"), [401, 200], "{name}");
        }
        for called in ["bob", "carol"] {
            let session = bench.dial("alice", &format!("sip:{called}@example.org"));
            assert_eq!(bench.requests(called, Method::Invite).len(), 1, "{called}\n{}", bench.ladder());
            bench.hang_up("alice", session);
        }
        bench.assert_over(2);
    }
}

/// Each where it came in, though another worker has it in the end.
#[test]
fn a_message_that_is_passed_on_is_counted_once() {
    let mut bench = two_workers();
    bench.lands_on = 1;
    let before = bench.lines.len();
    let count = |bench: &Bench| -> u64 {
        let counts = bench.workers.iter().map(sx_exchange::Worker::counts);
        counts.map(|counts| counts.messages_received.load(std::sync::atomic::Ordering::Relaxed)).sum()
    };
    let counted = count(&bench);
    assert_eq!(bench.register("alice", "alice", driver::PASSWORD), 200);
    assert_eq!(bench.register("bob", "bob", driver::PASSWORD), 200);
    assert_eq!(bench.register("carol", "carol", driver::PASSWORD), 200);
    assert!(passed_on(&mut bench) > 0);
    let exchange = driver::address(driver::EXCHANGE);
    let came = bench.lines[before..].iter().filter(|line| line.to == exchange).count();
    assert_eq!(count(&bench) - counted, came as u64);
}

/// With enough names both workers keep some of them.
#[test]
fn users_are_spread_over_the_workers() {
    let mut bench = Bench::with_workers(USERS_ONLY, 2);
    for (at, name) in driver::USERS.into_iter().enumerate() {
        bench.phone(name, &format!("192.0.2.{}:5060", 11 + at), Manner::Answers);
    }
    let kept = bench.workers.iter().map(|worker| {
        worker.publish();
        worker.counts().bindings.load(std::sync::atomic::Ordering::Relaxed)
    });
    let kept: Vec<u64> = kept.collect();
    assert_eq!(kept.iter().sum::<u64>(), 4);
    assert!(kept.iter().all(|kept| *kept > 0), "{kept:?}");
}

#[test]
fn what_lands_on_the_wrong_worker_is_passed_on_once() {
    let mut bench = two_workers();
    let session = bench.dial("alice", "sip:bob@example.org");
    assert_eq!(passed_on(&mut bench), 0);
    let of_bob = bench.who("bob").invited[0];
    bench.lands_on = 1;
    hold(&mut bench, "alice", session);
    // The re-INVITE, Bob's answer to it, Alice's ACK.
    assert_eq!(passed_on(&mut bench), 3, "{}", bench.ladder());
    hold(&mut bench, "bob", of_bob);
    assert_eq!(passed_on(&mut bench), 3, "{}", bench.ladder());
    bench.hang_up("bob", of_bob);
    assert_eq!(passed_on(&mut bench), 2, "{}", bench.ladder());
    assert_eq!(bench.requests("alice", Method::Bye).len(), 1);
    bench.assert_over(1);
}

#[test]
fn a_call_whose_answers_all_land_elsewhere_is_set_up() {
    let mut bench = two_workers();
    bench.who("bob").manner = Manner::Rings;
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.lands_on = 1;
    let of_bob = bench.who("bob").invited[0];
    bench.act("bob", |peer, now| {
        let answer = peer.describe("sendrecv");
        peer.agent.answer(now, of_bob, Some(answer), &[]);
    });
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 180, 200], "{}", bench.ladder());
    bench.pass_s(40);
    assert_eq!(bench.workers[0].calls(), 1);
    assert_eq!(bench.workers[1].calls(), 0);
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

#[test]
fn a_message_finds_its_user_wherever_it_lands() {
    for (lands_on, user) in [(0, "bob"), (1, "bob"), (0, "carol"), (1, "carol")] {
        let mut bench = two_workers();
        bench.lands_on = lands_on;
        bench.act("alice", |peer, now| {
            let mut spec = peer.request(Method::Message, &format!("sip:{user}@example.org"), Vec::new());
            spec.body = Some(("text/plain".into(), bytes::Bytes::from_static(b"hello")));
            peer.agent.request(now, 1, spec);
        });
        let status = bench.who("alice").replies.last().map(|reply| reply.0);
        assert_eq!(status, Some(200), "{user} by worker {lands_on}\n{}", bench.ladder());
    }
}
