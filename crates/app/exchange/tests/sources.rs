//! What one worker learns of a source, and where its messages land.

mod driver;

use driver::{Bench, Manner, PASSWORD, USERS, USERS_ONLY};
use serde_json::json;
use sx_exchange::keeper_of;
use sx_sip::message::{HeaderName, OwnedMessage};

const WORKERS: u16 = 3;

fn bench() -> Bench {
    Bench::with_workers(USERS_ONLY, WORKERS)
}

/// A request that needs no credentials.
fn options(more: &str) -> String {
    format!(
        "OPTIONS sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.11;branch=z9hG4bKx;rport\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\nCall-ID: one\r\nCSeq: 1 OPTIONS\r\n{more}\
         Content-Length: 0\r\n\r\n"
    )
}

/// What each of so many requests is answered.
fn ask(bench: &mut Bench, name: &str, times: usize) -> Vec<Option<u16>> {
    let status = |answers: Vec<OwnedMessage>| answers.last().and_then(OwnedMessage::status);
    (0..times).map(|_| status(bench.send_raw(name, &options("")))).collect()
}

/// A worker that is not the one which keeps the user's bindings.
fn not_keeper_of(user: &str) -> usize {
    usize::from((keeper_of(&format!("{user}@example.org"), WORKERS) + 1) % WORKERS)
}

#[test]
fn whoever_has_registered_is_known_where_its_messages_land() {
    for user in USERS {
        let mut bench = bench();
        bench.lands_on = not_keeper_of(user);
        bench.phone(user, "192.0.2.11:5060", Manner::Answers);
        let answers = ask(&mut bench, user, 100);
        assert!(answers.iter().all(|status| *status == Some(200)), "{user}: {answers:?}");
    }
}

#[test]
fn telephones_behind_one_address_share_the_limit_of_those_who_are_known() {
    let mut bench = bench();
    for (at, user) in USERS.into_iter().enumerate() {
        bench.lands_on = at % usize::from(WORKERS);
        bench.phone(user, &format!("192.0.2.11:{}", 5060 + at), Manner::Answers);
    }
    for (at, user) in USERS.into_iter().enumerate() {
        bench.lands_on = at % usize::from(WORKERS);
        let answers = ask(&mut bench, user, 100);
        assert!(answers.iter().all(|status| *status == Some(200)), "{user}: {answers:?}");
    }
}

#[test]
fn what_is_sent_in_the_name_of_a_telephone_to_another_worker_does_not_silence_it() {
    for forged in [options(""), options("User-Agent: friendly-scanner\r\n"), "INVITE\r\n\r\n".to_owned()] {
        let mut bench = bench();
        let (lands_on, keeper) = (not_keeper_of("alice"), keeper_of("alice@example.org", WORKERS));
        bench.lands_on = lands_on;
        bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
        bench.lands_on = (0..usize::from(WORKERS))
            .find(|worker| *worker != lands_on && *worker != usize::from(keeper))
            .expect("a third");
        (0..2_500).for_each(|_| drop(bench.send_raw("alice", &forged)));
        assert!(bench.recorded("source").iter().any(|record| record["outcome"] == "banned"), "{forged}");
        bench.lands_on = lands_on;
        assert_eq!(ask(&mut bench, "alice", 1), [Some(200)], "{forged}");
        assert_eq!(bench.register("alice", "alice", PASSWORD), 200, "{forged}");
    }
}

/// How many of so many guesses are heard, which land anywhere and are for anybody.
fn guesses_heard(bench: &mut Bench, name: &'static str, guesses: usize) -> usize {
    for guess in 0..guesses {
        bench.lands_on = guess % usize::from(WORKERS);
        let user = USERS[guess / usize::from(WORKERS) % USERS.len()];
        bench.act(name, |peer, now| peer.register(now, user, "guessed", 3_600));
    }
    bench.statuses(name, "REGISTER").into_iter().filter(|status| *status == 403).count()
}

#[test]
fn wrong_passwords_of_a_source_are_counted_over_all_workers() {
    let mut bench = bench();
    bench.peer("guesser", "192.0.2.66:5060", Manner::Answers);
    assert_eq!(guesses_heard(&mut bench, "guesser", 20), 6);
    let bans = bench.recorded("source");
    assert_eq!(bans.len(), 1, "{bans:?}");
    assert_eq!((&bans[0]["subject"], &bans[0]["reason"]), (&json!("192.0.2.66"), &json!("failures")));
    for worker in 0..usize::from(WORKERS) {
        bench.lands_on = worker;
        assert_eq!(ask(&mut bench, "guesser", 1), [None], "worker {worker}");
    }
}

/// What is wrong was computed for a challenge that the source itself was given.
#[test]
fn whoever_is_known_guesses_no_more_often() {
    let mut bench = bench();
    bench.phone("alice", "192.0.2.66:5060", Manner::Answers);
    assert_eq!(guesses_heard(&mut bench, "alice", 20), 6);
    assert_eq!(ask(&mut bench, "alice", 1), [None]);
}

#[test]
fn a_message_that_is_passed_on_is_judged_by_what_is_known_where_it_landed() {
    let mut bench = bench();
    let rule = "[[rule]]\nname = \"suspicious\"\nwhen = { score_min = 500 }\nthen = \"reject\"\n";
    let (definition, hash) = sx_config::read_policy_text(rule).expect("a policy");
    bench.follow_policy(std::sync::Arc::new(sx_guard::Policy::build(definition, hash).expect("a policy")));
    let lands_on = not_keeper_of("alice");
    bench.lands_on = lands_on;
    bench.peer("stranger", "192.0.2.66:5060", Manner::Answers);
    ask(&mut bench, "stranger", 15);
    bench.peer("alice", "192.0.2.66:5061", Manner::Answers);
    assert_eq!(bench.register("alice", "alice", PASSWORD), 403);
    let refused = bench.last_recorded("admission");
    assert_eq!((&refused["facts"]["rule"], &refused["facts"]["method"]), (&json!("suspicious"), &json!("REGISTER")));
    // Whoever comes after it is not.
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
}

#[test]
fn what_is_malformed_counts_where_it_landed_wherever_that_is_found_out() {
    let mut bench = bench();
    bench.lands_on = not_keeper_of("alice");
    bench.peer("junk", "192.0.2.66:5060", Manner::Silent);
    // It can be read as far as the user, and no further.
    let torn = "REGISTER sip:example.org SIP/2.0\r\nTo: <sip:alice@example.org>\r\nContent-Length: 0\r\n\r\n";
    (0..12).for_each(|_| drop(bench.send_raw("junk", torn)));
    let banned = bench.last_recorded("source");
    assert_eq!((&banned["subject"], &banned["reason"]), (&json!("192.0.2.66"), &json!("score")));
    assert_eq!(ask(&mut bench, "junk", 1), [None]);
}

/// A REGISTER of bob's.
fn register(authorization: &str) -> String {
    format!(
        "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.12;branch=z9hG4bKr;rport\r\nMax-Forwards: 70\r\n\
         From: <sip:bob@example.org>;tag=b\r\nTo: <sip:bob@example.org>\r\nCall-ID: two\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:bob@192.0.2.12>\r\n{authorization}Content-Length: 0\r\n\r\n"
    )
}

/// Bob's credentials for another method than REGISTER, or for that; in answer to a challenge of this peer's.
fn credentials_of(bench: &mut Bench, name: &str, method: &str) -> String {
    let challenge = bench.send_raw(name, &register("")).pop().expect("a challenge");
    let value = driver::authorization(&challenge, "bob", method, "sip:example.org");
    format!("Authorization: {value}\r\n")
}

#[test]
fn nobody_guesses_in_another_s_name() {
    let mut bench = Bench::new(USERS_ONLY);
    bench.peer("guesser", "192.0.2.66:5060", Manner::Silent);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    let wrong = register(&credentials_of(&mut bench, "guesser", "INVITE"));
    for _ in 0..20 {
        let answers = bench.send_raw("alice", &wrong);
        assert_eq!(answers[0].status(), Some(401));
        assert!(driver::value(&answers[0], HeaderName::WwwAuthenticate).contains("stale=true"));
    }
    assert!(bench.recorded("source").is_empty() && bench.recorded("security_rejected").is_empty());
    assert_eq!(bench.register("alice", "alice", PASSWORD), 200);
    let statuses: Vec<_> = (0..7).map(|_| bench.send_raw("guesser", &wrong).pop().and_then(|a| a.status())).collect();
    assert_eq!(statuses, [Some(403), Some(403), Some(403), Some(403), Some(403), Some(403), None], "in its own");
}

#[test]
fn a_challenge_may_be_answered_from_another_port() {
    let mut bench = Bench::new(USERS_ONLY);
    bench.peer("before", "192.0.2.12:5060", Manner::Silent);
    bench.peer("after", "192.0.2.12:40000", Manner::Silent);
    let right = register(&credentials_of(&mut bench, "before", "REGISTER"));
    assert_eq!(bench.send_raw("after", &right)[0].status(), Some(200));
}

#[test]
fn credentials_for_an_old_challenge_are_never_wrong() {
    let mut bench = Bench::new(&format!("{USERS_ONLY}[registrar]\nnonce_lifetime_s = 60\n"));
    bench.peer("bob", "192.0.2.12:5060", Manner::Silent);
    let wrong = register(&credentials_of(&mut bench, "bob", "INVITE"));
    assert_eq!(bench.send_raw("bob", &wrong)[0].status(), Some(403));
    bench.pass_s(61);
    for _ in 0..7 {
        assert_eq!(bench.send_raw("bob", &wrong)[0].status(), Some(401));
    }
}

#[test]
fn a_name_that_nobody_has_is_refused_however_long_it_is() {
    let mut bench = Bench::new(USERS_ONLY);
    bench.peer("guesser", "192.0.2.66:5060", Manner::Silent);
    let named = |length: usize| "x".repeat(length);
    let mut guess = |length: usize| {
        let right = credentials_of(&mut bench, "guesser", "REGISTER");
        let wrong = right.replace("username=\"bob\"", &format!("username=\"{}\"", named(length)));
        bench.send_raw("guesser", &register(&wrong))[0].status()
    };
    assert_eq!([255, 256, 60_000].map(&mut guess), [Some(403); 3]);
    let refused = bench.recorded("security_rejected");
    assert!(refused.iter().all(|record| record["reason"] == "unknown-user"), "{refused:?}");
}

/// Wrong passwords for bob, each from another address.
fn guesses_for_bob(bench: &mut Bench, first: u8, guesses: u8) {
    for number in first..first + guesses {
        let name: &'static str = Box::leak(format!("guesser-{number}").into_boxed_str());
        bench.peer(name, &format!("198.51.100.{number}:5060"), Manner::Silent);
        assert_eq!(bench.register(name, "bob", "guessed"), 403);
    }
}

fn last_reason(bench: &Bench) -> String {
    bench.last_recorded("security_rejected")["reason"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_owner_s_telephone_gives_a_guesser_no_more_tries() {
    let mut bench = Bench::new(USERS_ONLY);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench.peer("abroad", "203.0.113.9:5060", Manner::Answers);
    for part in 0..3 {
        guesses_for_bob(&mut bench, 10 + 2 * part, 2);
        assert_eq!(bench.register("bob", "bob", PASSWORD), 200);
    }
    assert_eq!(bench.last_recorded("source")["outcome"], "blocked");
    assert_eq!(bench.register("bob", "bob", PASSWORD), 200, "where it is known, its owner is not kept out");
    guesses_for_bob(&mut bench, 30, 1);
    assert_eq!(bench.register("abroad", "bob", PASSWORD), 403, "the block stands");
    assert_eq!(last_reason(&bench), "account-blocked");
    bench.pass_s(301);
    assert_eq!(bench.register("abroad", "bob", PASSWORD), 200);
}

#[test]
fn a_flood_of_names_writes_no_more_records_than_refusals_may() {
    let mut bench = Bench::new(USERS_ONLY);
    // Each from two addresses, which are not banned for three failures.
    for name in 0..60u8 {
        for half in 1..=2u8 {
            let guesser: &'static str = Box::leak(format!("guesser-{name}-{half}").into_boxed_str());
            bench.peer(guesser, &format!("198.51.{half}.{name}:5060"), Manner::Silent);
            for _ in 0..3 {
                let right = credentials_of(&mut bench, guesser, "REGISTER");
                let long = "x".repeat(250);
                let wrong = right.replace("username=\"bob\"", &format!("username=\"{name:03}{long}\""));
                assert_eq!(bench.send_raw(guesser, &register(&wrong))[0].status(), Some(403));
            }
        }
    }
    assert_eq!(bench.recorded("source").len(), 0, "there is nothing to be blocked");
    let refused = bench.recorded("security_rejected");
    assert!(refused.iter().all(|record| record["subject"].as_str().is_some_and(|subject| subject.len() <= 256)));
    assert!((1..=100).contains(&refused.len()), "{}", refused.len());
    bench.pass_s(11);
    assert!(bench.last_recorded("summary")["facts"]["identity"].as_u64().is_some_and(|sum| sum >= 260));
}

#[test]
fn what_is_known_of_sources_is_told_part_by_part() {
    let mut bench = Bench::new(USERS_ONLY);
    for number in 1..=100u8 {
        let name: &'static str = Box::leak(format!("peer-{number}").into_boxed_str());
        bench.peer(name, &format!("198.51.100.{number}:5060"), Manner::Silent);
        ask(&mut bench, name, 1);
    }
    let (mut told, mut parts, mut from) = (Vec::new(), 0, Some(0));
    while let Some(at) = from {
        let (reports, next) = bench.workers[0].sources(bench.now, at);
        told.extend(reports.map(|report| report.source));
        (parts, from) = (parts + 1, next);
    }
    told.sort();
    told.dedup();
    assert_eq!((told.len(), parts), (100, 64));
}
