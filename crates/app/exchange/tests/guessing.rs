//! Passwords that are guessed: from one address, from many, wherever the requests land.

mod driver;

use driver::{Bench, Manner, PASSWORD, USERS_ONLY, credentials};
use std::time::Duration;
use sx_exchange::{Input, Operation, keeper_of};
use sx_sip::digest::DigestParams;
use sx_sip::message::HeaderName;

const GUESSERS: [(&str, &str); 6] = [
    ("first", "192.0.2.91:5060"),
    ("second", "192.0.2.92:5060"),
    ("third", "192.0.2.93:5060"),
    ("fourth", "192.0.2.94:5060"),
    ("fifth", "192.0.2.95:5060"),
    ("sixth", "192.0.2.96:5060"),
];

/// Workers of one exchange, a telephone of bob's, and those who guess.
fn bench(workers: u16) -> Bench {
    let mut bench = Bench::with_workers(USERS_ONLY, workers);
    bench.phone("carol", "192.0.2.13:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    for (name, own) in [("stranger", "192.0.2.99:5060")].into_iter().chain(GUESSERS) {
        bench.peer(name, own, Manner::Answers);
    }
    bench
}

/// Calls carol as a user with a password; the request lands on this worker. What came of it.
fn call_as(bench: &mut Bench, name: &str, user: &str, password: &str, worker: usize) -> Option<u16> {
    bench.lands_on = worker;
    let before = bench.statuses(name, "INVITE").len();
    let session = bench.dial_with(name, "sip:carol@example.org", |call| {
        call.from = format!("<sip:{user}@example.org>").into();
        call.credentials = Some(credentials(user, password));
    });
    bench.pass_s(1);
    bench.hang_up(name, session);
    bench.pass_s(1);
    bench.statuses(name, "INVITE").split_off(before).last().copied()
}

/// Who was banned or blocked, in order.
fn shut_out(bench: &Bench) -> Vec<&str> {
    bench.recorded("source").iter().filter_map(|record| record["subject"].as_str()).collect()
}

#[test]
fn a_telephone_in_use_lifts_no_block() {
    let mut bench = bench(1);
    for (name, _) in GUESSERS {
        assert_eq!(bench.register(name, "bob", "guessed"), 403);
    }
    assert_eq!(shut_out(&bench), ["bob@example.org"]);
    assert_eq!(bench.register("bob", "bob", PASSWORD), 200);
    assert_eq!(bench.register("stranger", "bob", PASSWORD), 403);
    bench.pass_s(301);
    assert_eq!(bench.register("stranger", "bob", PASSWORD), 200);
}

#[test]
fn a_telephone_that_registers_every_minute_gives_nobody_more_tries() {
    let mut bench = bench(1);
    for (name, _) in GUESSERS {
        assert_eq!(shut_out(&bench), [""; 0]);
        assert_eq!(bench.register(name, "bob", "guessed"), 403);
        bench.pass_s(40);
        assert_eq!(bench.register("bob", "bob", PASSWORD), 200);
    }
    assert_eq!(shut_out(&bench), ["bob@example.org"]);
}

#[test]
fn guesses_at_an_account_count_wherever_they_land() {
    let mut bench = bench(2);
    for (place, (name, _)) in GUESSERS.into_iter().enumerate() {
        assert_eq!(shut_out(&bench), [""; 0]);
        assert_eq!(call_as(&mut bench, name, "bob", "guessed", place % 2), Some(403));
    }
    assert_eq!(shut_out(&bench), ["bob@example.org"], "which is written down once");
    for worker in [0, 1] {
        assert_eq!(call_as(&mut bench, "stranger", "bob", PASSWORD, worker), Some(403), "worker {worker}");
    }
}

#[test]
fn guesses_of_a_source_count_wherever_they_land() {
    for known in [false, true] {
        let mut bench = bench(2);
        if known {
            assert_eq!(call_as(&mut bench, "stranger", "dave", PASSWORD, 0), Some(200));
        }
        for (place, user) in ["alice", "bob", "carol", "alice", "bob", "carol"].into_iter().enumerate() {
            assert_eq!(shut_out(&bench), [""; 0]);
            assert_eq!(call_as(&mut bench, "stranger", user, "guessed", place % 2), Some(403), "{user}");
        }
        assert_eq!(shut_out(&bench), ["192.0.2.99"], "which is written down once");
        for worker in [0, 1] {
            assert_eq!(call_as(&mut bench, "stranger", "dave", PASSWORD, worker), None, "worker {worker}");
        }
    }
}

#[test]
fn nobody_learns_a_password_while_the_account_is_blocked() {
    let answers = |password: &str| {
        let mut bench = bench(1);
        for (name, _) in GUESSERS {
            assert_eq!(bench.register(name, "bob", "guessed"), 403);
        }
        (0..8).map(|_| call_as(&mut bench, "stranger", "bob", password, 0)).collect::<Vec<_>>()
    };
    assert_eq!(answers(PASSWORD), answers("guessed"));
    assert_eq!(answers(PASSWORD)[6..], [None, None]);
}

#[test]
fn whoever_forges_an_address_has_it_neither_banned_nor_let_in() {
    let mut bench = bench(1);
    let register = |more: &str| {
        format!(
            "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n\
             From: <sip:bob@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\nCall-ID: one\r\nCSeq: 1 REGISTER\r\n{more}\
             Content-Length: 0\r\n\r\n"
        )
    };
    let challenge = bench.send_raw("stranger", &register("")).pop().expect("a challenge");
    let challenge =
        DigestParams::parse(challenge.value(HeaderName::WwwAuthenticate).expect("it")).expect("well-formed");
    let answer = |password: &str| {
        let credentials = credentials("bob", password);
        let given = credentials.answer(&challenge, "REGISTER", "sip:example.org", 1, "abc").expect("an answer");
        register(&format!("Authorization: {given}\r\n"))
    };
    for _ in 0..8 {
        assert_eq!(bench.send_raw("bob", &answer("guessed")).pop().and_then(|answer| answer.status()), Some(401));
    }
    assert_eq!(bench.send_raw("bob", &answer(PASSWORD)).pop().and_then(|answer| answer.status()), Some(401));
    assert_eq!(shut_out(&bench), [""; 0]);
    assert_eq!(bench.register("bob", "bob", PASSWORD), 200);
    assert_eq!(bench.send_raw("stranger", &answer("guessed")).pop().and_then(|answer| answer.status()), Some(403));
}

#[test]
fn a_telephone_that_one_worker_knows_is_kept_out_by_none() {
    let mut bench = bench(2);
    for (name, _) in GUESSERS {
        assert_eq!(bench.register(name, "bob", "guessed"), 403);
    }
    for worker in [0, 1] {
        assert_eq!(call_as(&mut bench, "bob", "bob", PASSWORD, worker), Some(200), "worker {worker}");
    }
}

#[test]
fn a_worker_that_has_missed_who_is_known_hears_it_when_a_message_lands_on_it() {
    let mut bench = bench(2);
    let keeper = usize::from(keeper_of("bob@example.org", 2));
    // While it has the source banned it learns nothing of it.
    let ban = Operation::Ban {
        address: "192.0.2.97".parse().expect("an address"),
        until: bench.now + Duration::from_secs(60),
    };
    bench.peer("desk", "192.0.2.97:5060", Manner::Answers);
    bench.tell(1 - keeper, Input::Operation(ban));
    bench.lands_on = keeper;
    assert_eq!(bench.register("desk", "bob", PASSWORD), 200);
    bench.pass_s(61);
    for (name, _) in GUESSERS {
        assert_eq!(bench.register(name, "bob", "guessed"), 403);
    }
    bench.lands_on = 1 - keeper;
    assert_eq!(bench.register("desk", "bob", PASSWORD), 200);
    assert_eq!(call_as(&mut bench, "desk", "bob", PASSWORD, 1 - keeper), Some(200));
}

#[test]
fn workers_tell_each_other_who_is_known_once_in_a_while() {
    let mut bench = bench(2);
    bench.lands_on = keeper_of("bob@example.org", 2).into();
    bench.passed_on.clear();
    for _ in 0..60 {
        assert_eq!(bench.register("bob", "bob", PASSWORD), 200);
        bench.pass_s(60);
    }
    let told = bench.passed_on.iter().filter(|what| what.ends_with("Observed")).count();
    assert!((1..=3).contains(&told), "{told}");
}
