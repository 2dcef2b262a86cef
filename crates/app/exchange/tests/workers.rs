//! Several workers at one address.

mod driver;

use driver::{Bench, Manner, TRUNKS, USERS_ONLY, address, sdp};
use sx_exchange::Input;
use sx_sip::message::Method;
use sx_sip::registrar::Change;
use sx_sip::session::SessionId;
use sx_types::{Flow, LinkId, Transport};

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
    let exchange = address(driver::EXCHANGE);
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
    bench.hold("alice", session);
    // The re-INVITE, Bob's answer to it, Alice's ACK.
    assert_eq!(passed_on(&mut bench), 3, "{}", bench.ladder());
    bench.hold("bob", of_bob);
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

/// Two trunks, and how many calls the one in the east takes.
fn with_limit(limit: &str) -> Bench {
    let config = TRUNKS.replacen("sources = [\"192.0.2.20\"]", &format!("sources = [\"192.0.2.20\"]\n{limit}"), 1);
    let mut bench = Bench::with_workers(&config, 2);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    bench
}

/// Dials through a worker and says what the call came to.
fn dial_through(bench: &mut Bench, worker: usize) -> (SessionId, u16) {
    bench.lands_on = worker;
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    (session, *bench.statuses("west", "INVITE").last().expect("a final status"))
}

#[test]
fn the_channels_of_a_trunk_are_counted_over_all_workers() {
    let mut bench = with_limit("calls_max = 2");
    let (first, status) = dial_through(&mut bench, 0);
    assert_eq!(status, 200);
    assert_eq!(dial_through(&mut bench, 1).1, 200);
    for worker in [0, 1] {
        assert_eq!(dial_through(&mut bench, worker).1, 503, "through worker {worker}\n{}", bench.ladder());
    }
    // So are the calls that the trunk makes.
    let from_east = bench.dial("east", "sip:7123@192.0.2.1");
    assert_eq!(bench.who("east").ends_of(from_east)[0].status, 503);
    assert_eq!(bench.requests("east", Method::Invite).len(), 2);
    bench.hang_up("west", first);
    assert_eq!(dial_through(&mut bench, 1).1, 200, "the channel that one worker gives back is free in the other");
}

#[test]
fn the_calls_a_trunk_takes_in_a_second_are_counted_over_all_workers() {
    let mut bench = with_limit("calls_per_s_max = 2");
    let statuses = [0, 1, 0, 1].map(|worker| dial_through(&mut bench, worker).1);
    assert_eq!(statuses, [200, 200, 503, 503], "{}", bench.ladder());
    bench.pass_s(1);
    assert_eq!(dial_through(&mut bench, 1).1, 200);
}

#[test]
fn a_reload_forgets_no_call_on_a_trunk() {
    let limit =
        |limit| TRUNKS.replacen("sources = [\"192.0.2.20\"]", &format!("sources = [\"192.0.2.20\"]\n{limit}"), 1);
    let mut bench = with_limit("calls_max = 2");
    let (first, _) = dial_through(&mut bench, 0);
    bench.reload(&limit("calls_max = 1"));
    assert_eq!(dial_through(&mut bench, 1).1, 503);
    bench.hang_up("west", first);
    assert_eq!(dial_through(&mut bench, 1).1, 200, "{}", bench.ladder());
}

#[test]
fn a_trunk_that_comes_back_is_as_full_as_it_was() {
    let limit = TRUNKS.replacen("sources = [\"192.0.2.20\"]", "sources = [\"192.0.2.20\"]\ncalls_max = 2", 1);
    let mut bench = with_limit("calls_max = 2");
    let (first, _) = dial_through(&mut bench, 0);
    bench.reload(USERS_ONLY);
    bench.reload(USERS_ONLY);
    bench.reload(&limit);
    let (_, answered) = dial_through(&mut bench, 0);
    assert_eq!((answered, dial_through(&mut bench, 1).1), (200, 503), "{}", bench.ladder());
    bench.hang_up("west", first);
    let answered = [dial_through(&mut bench, 1).1, dial_through(&mut bench, 0).1];
    assert_eq!(answered, [200, 503], "what left before the trunk went is given back once: {}", bench.ladder());
}

/// The branch of a CANCEL, which it shares with its INVITE, is of the caller's making and names no worker.
#[test]
fn a_cancel_finds_its_invite_wherever_it_lands() {
    for workers in [2, 3, 5] {
        for lands_on in 0..workers {
            let mut bench = Bench::with_workers(USERS_ONLY, workers);
            bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
            bench.phone("bob", "192.0.2.12:5060", Manner::Rings);
            bench.lands_on = 1;
            let session = bench.dial("alice", "sip:bob@example.org");
            bench.lands_on = lands_on.into();
            bench.hang_up("alice", session);
            assert_eq!(bench.statuses("alice", "CANCEL"), [200], "by worker {lands_on}\n{}", bench.ladder());
            assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&487), "{}", bench.ladder());
            assert_eq!(bench.requests("bob", Method::Cancel).len(), 1, "{}", bench.ladder());
            bench.assert_over(1);
        }
    }
}

/// A request from the trunk "west", over a connection.
fn from_west(method: &str, branch: &str, body: &str) -> String {
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:0123@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.10:5060;branch={branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:1@192.0.2.10>;tag=w\r\nTo: <sip:0123@192.0.2.1>\r\nCall-ID: of-west\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:1@192.0.2.10;transport=tcp>\r\n{content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn connection(worker: u16, link: u32, remote: &str) -> Flow {
    Flow { worker, link: LinkId(link), transport: Transport::Tcp, remote: address(remote) }
}

#[test]
fn a_cancel_may_come_on_another_connection() {
    let mut bench = Bench::with_workers(TRUNKS, 2);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5060", Manner::Rings);
    let offer = sdp(address("192.0.2.10:5060"), 4_000, 1, "sendrecv");
    let (first, second) = (connection(0, 7, "192.0.2.10:40001"), connection(1, 8, "192.0.2.10:40002"));
    let invite = from_west("INVITE", "z9hG4bK-1", &offer);
    bench.tell(0, Input::Message { flow: first, bytes: invite.as_bytes() });
    let cancel = from_west("CANCEL", "z9hG4bK-1", "");
    bench.tell(1, Input::Message { flow: second, bytes: cancel.as_bytes() });
    let answers = |bench: &Bench, flow: Flow| -> Vec<u16> {
        bench.lines.iter().filter(|line| line.to == flow.remote).filter_map(|line| line.message().status()).collect()
    };
    assert_eq!(answers(&bench, second), [200], "{}", bench.ladder());
    assert_eq!(answers(&bench, first), [180, 487], "{}", bench.ladder());
    assert_eq!(bench.requests("east", Method::Cancel).len(), 1);
    // One that belongs to nothing goes round once.
    bench.passed_on.clear();
    let stray = from_west("CANCEL", "z9hG4bK-2", "");
    bench.tell(1, Input::Message { flow: second, bytes: stray.as_bytes() });
    assert_eq!(answers(&bench, second), [200, 481]);
    assert_eq!(bench.passed_on, ["1->0 Message", "0->1 Send"]);
}

/// Registers Alice over a connection of a worker, with the answer to its challenge.
fn register_over(bench: &mut Bench, flow: Flow) {
    let head = |seq: u32| {
        format!(
            "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.11:5060;branch=z9hG4bK-{}-{seq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:alice@example.org>;tag=a\r\nTo: <sip:alice@example.org>\r\n\
             Call-ID: of-alice\r\nCSeq: {seq} REGISTER\r\nContact: <sip:alice@df7jal23ls0d.invalid;transport=tcp>\r\n",
            flow.link.0
        )
    };
    let answer = |bench: &Bench| bench.lines.iter().rfind(|line| line.to == flow.remote).expect("an answer").message();
    let plain = format!("{}Content-Length: 0\r\n\r\n", head(flow.link.0 * 2));
    bench.tell(flow.worker.into(), Input::Message { flow, bytes: plain.as_bytes() });
    let challenge = answer(bench);
    assert_eq!(challenge.status(), Some(401));
    let authorization = driver::authorization(&challenge, "alice", "REGISTER", "sip:example.org");
    let again = format!("{}Authorization: {authorization}\r\nContent-Length: 0\r\n\r\n", head(flow.link.0 * 2 + 1));
    bench.tell(flow.worker.into(), Input::Message { flow, bytes: again.as_bytes() });
    assert_eq!(answer(bench).status(), Some(200), "{}", bench.ladder());
}

fn bindings(bench: &Bench) -> u64 {
    let kept = |worker: &sx_exchange::Worker| {
        worker.publish();
        worker.counts().bindings.load(std::sync::atomic::Ordering::Relaxed)
    };
    bench.workers.iter().map(kept).sum()
}

#[test]
fn a_closed_connection_ends_its_bindings_in_whichever_worker_keeps_them() {
    for worker in [0, 1] {
        let mut bench = Bench::with_workers(USERS_ONLY, 2);
        let flow = connection(worker, 21 + u32::from(worker), "192.0.2.11:40001");
        register_over(&mut bench, flow);
        assert_eq!(bindings(&bench), 1);
        // A connection that has nothing to do with it.
        bench.tell(worker.into(), Input::Closed { link: LinkId(99) });
        assert_eq!(bindings(&bench), 1);
        bench.tell(worker.into(), Input::Closed { link: flow.link });
        assert_eq!(bindings(&bench), 0, "the connection was of worker {worker}");
        bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
        let session = bench.dial("bob", "sip:alice@example.org");
        assert_eq!(bench.who("bob").ends_of(session)[0].status, 480, "{}", bench.ladder());
    }
}

/// What was kept by one number of workers is handed to the keepers among another.
#[test]
fn a_binding_is_found_after_the_number_of_workers_has_changed() {
    for (before, after) in [(1, 3), (3, 1), (2, 5)] {
        let mut old = Bench::with_workers(USERS_ONLY, before);
        old.phone("bob", "192.0.2.12:5060", Manner::Answers);
        old.phone("carol", "192.0.2.13:5060", Manner::Answers);
        let mut bench = Bench::with_workers(USERS_ONLY, after);
        for change in old.bindings {
            let Change::Put { aor, record } = change else { continue };
            let keeper = sx_exchange::keeper_of(&aor, after);
            bench.tell(keeper.into(), Input::Restore { aor: &aor, record });
        }
        bench.peer("bob", "192.0.2.12:5060", Manner::Answers);
        bench.peer("carol", "192.0.2.13:5060", Manner::Answers);
        bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
        for called in ["bob", "carol"] {
            let session = bench.dial("alice", &format!("sip:{called}@example.org"));
            assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&200), "{called}\n{}", bench.ladder());
            bench.hang_up("alice", session);
        }
    }
}
