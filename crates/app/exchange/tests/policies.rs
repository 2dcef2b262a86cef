//! What a policy says holds for all of a call, and whoever wants somebody called.

mod driver;

use driver::{Bench, Manner, USERS_ONLY, body};
use serde_json::{Value, json};
use std::sync::Arc;
use sx_sip::message::{Method, OwnedMessage};
use sx_sip::session::{SessionEvent, SessionId};

fn policy(text: &str) -> Arc<sx_guard::Policy> {
    let (definition, hash) = sx_config::read_policy_text(text).expect("a policy");
    Arc::new(sx_guard::Policy::build(definition, hash).expect("a policy"))
}

/// A trunk for every number that begins with 0, three telephones, and this policy.
fn bench(text: &str) -> Bench {
    let plan = "[[trunk]]\nname = \"east\"\naddresses = [\"sip:192.0.2.20\"]\nsources = [\"192.0.2.20\"]\n\
                accept_refer = true\noptions_interval_s = 0\n\
                [[route]]\nname = \"out\"\nfrom_users = true\nprefix = \"0\"\nto = [{ trunk = \"east\" }]\n";
    let mut bench = Bench::new(&format!("{USERS_ONLY}{plan}"));
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    for (name, own) in [("alice", "192.0.2.11:5060"), ("bob", "192.0.2.12:5060"), ("carol", "192.0.2.13:5060")] {
        bench.phone(name, own, Manner::Answers);
    }
    bench.follow_policy(policy(text));
    bench
}

/// A description of alice's with these payload types; 97 is AMR.
fn offering(formats: &str) -> bytes::Bytes {
    let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.11\r\ns=-\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\n";
    format!("{text}m=audio 4000 RTP/AVP {formats}\r\na=rtpmap:97 AMR/8000\r\n").into()
}

fn formats(message: &OwnedMessage) -> String {
    let body = body(message);
    let line = body.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("an audio stream");
    line.split_once(" RTP/AVP ").expect("formats").1.to_owned()
}

fn invites(bench: &mut Bench, name: &str) -> usize {
    bench.requests(name, Method::Invite).len()
}

const ONLY_PCMU: &str = "[gate.codec]\nallowed = [\"PCMU\"]\n";

#[test]
fn a_codec_that_the_exchange_does_not_know_passes_no_list() {
    let mut bench = bench(ONLY_PCMU);
    bench.dial_with("alice", "sip:bob@example.org", |spec| spec.offer = Some(offering("97 0")));
    assert_eq!(formats(&bench.requests("bob", Method::Invite)[0]), "0");
    bench.dial_with("alice", "sip:bob@example.org", |spec| spec.offer = Some(offering("97")));
    bench.pass_s(1);
    assert_eq!(invites(&mut bench, "bob"), 1, "{}", bench.ladder());
    let refused = bench.last_recorded("admission");
    assert_eq!(refused["reason"], "codec-not-allowed");
    assert_eq!(refused["facts"]["offered"], json!(["AMR"]));
    assert_eq!(refused["facts"]["allowed"], json!(["PCMU", "telephone-event", "CN"]));
}

/// A peer asks for another description; what it is told, and whether the other one heard of it.
fn changes(bench: &mut Bench, name: &str, session: SessionId, formats: &str) -> Option<u16> {
    let offer = offering(formats);
    bench.who(name).events.clear();
    bench.act(name, |peer, now| peer.agent.offer(now, session, Some(offer)));
    bench.pass_s(1);
    bench.who(name).events.iter().find_map(|(_, event)| match event {
        SessionEvent::OfferRefused { status } => Some(*status),
        SessionEvent::OfferAccepted { .. } => Some(200),
        _ => None,
    })
}

#[test]
fn a_list_that_let_all_of_the_first_offer_pass_binds_later_ones() {
    let mut bench = bench(ONLY_PCMU);
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(changes(&mut bench, "alice", session, "8 9"), Some(488), "{}", bench.ladder());
    let of_bob = bench.who("bob").invited[0];
    assert_eq!(changes(&mut bench, "bob", of_bob, "8 9"), Some(488), "{}", bench.ladder());
    assert_eq!(changes(&mut bench, "alice", session, "8 0"), Some(200), "{}", bench.ladder());
    assert_eq!(formats(&bench.requests("bob", Method::Invite)[1]), "0");
}

#[test]
fn an_offer_that_comes_in_the_answer_is_bound_too() {
    let mut bench = bench("[gate.codec]\nallowed = [\"PCMA\"]\n");
    bench.dial_with("alice", "sip:bob@example.org", |spec| spec.offer = None);
    bench.pass_s(1);
    // Bob knows PCMU alone.
    assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&488), "{}", bench.ladder());
    assert_eq!(bench.requests("bob", Method::Bye).len(), 1, "{}", bench.ladder());
}

#[test]
fn whoever_comes_by_a_transfer_is_bound_as_the_call_is() {
    let mut bench = bench(
        "[[gate.codec.class]]\nname = \"boss\"\nallowed = [\"PCMU\"]\n[[identity]]\n\
                           identity = \"alice@example.org\"\nclass = \"boss\"\n",
    );
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    // Bob is bound to nothing himself, and sends the boss elsewhere; then carol sends her back to bob.
    let of_bob = bench.who("bob").invited[0];
    bench.act("alice", |peer, now| peer.agent.refer(now, session, "sip:carol@example.org"));
    bench.pass_s(1);
    assert_eq!(bench.who("alice").reports().last(), Some(&200), "{}", bench.ladder());
    // Neither of the two that are left called as the boss.
    let of_carol = bench.who("carol").invited[0];
    assert_eq!(changes(&mut bench, "carol", of_carol, "8 9"), Some(488), "{}", bench.ladder());
    assert_eq!(changes(&mut bench, "bob", of_bob, "8 9"), Some(488), "{}", bench.ladder());
}

const NO_PREMIUM: &str = "[[rule]]\nname = \"no premium\"\nwhen = { dialled_prefix = [\"0900\"] }\nthen = \"reject\"\nreason = \"too dear\"\n";

/// The records of decisions about what somebody in a call wanted.
fn wishes(bench: &Bench) -> Vec<Value> {
    let records = bench.recorded("admission");
    let of_call = records.into_iter().filter(|record| record["facts"]["by"].is_string());
    of_call
        .map(|record| {
            json!([
                record["actor"],
                record["subject"],
                record["outcome"],
                record["facts"]["rule"],
                record["facts"]["by"]
            ])
        })
        .collect()
}

#[test]
fn nobody_is_transferred_to_whom_the_transferor_may_not_call() {
    for asker in ["alice", "bob"] {
        let mut bench = bench(NO_PREMIUM);
        let session = bench.dial("alice", "sip:bob@example.org");
        bench.pass_s(1);
        let session = if asker == "alice" { session } else { bench.who("bob").invited[0] };
        bench.act(asker, |peer, now| peer.agent.refer(now, session, "sip:0900123@example.org"));
        bench.pass_s(1);
        assert_eq!(invites(&mut bench, "east"), 0, "{}", bench.ladder());
        assert_eq!(bench.who(asker).reports().last(), Some(&403), "{}", bench.ladder());
        let actor = format!("{asker}@example.org");
        let expected = json!([actor, "0900123@example.org", "reject", "no premium", "transfer"]);
        assert_eq!(wishes(&bench), [expected]);
        // The call stands, and may be transferred elsewhere.
        bench.act(asker, |peer, now| peer.agent.refer(now, session, "sip:carol@example.org"));
        bench.pass_s(1);
        assert_eq!(bench.who(asker).reports().last(), Some(&200), "{}", bench.ladder());
        let record = bench.last_recorded("admission");
        assert_eq!((&record["outcome"], &record["facts"]["by"]), (&json!("approve"), &json!("transfer")));
        assert_eq!(record["call_id"], bench.recorded("invite")[0]["call_id"]);
    }
}

#[test]
fn nobody_is_redirected_to_whom_the_one_who_redirects_may_not_call() {
    let mut bench = bench(NO_PREMIUM);
    bench.who("bob").manner = Manner::Redirects("sip:0900123@example.org");
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(invites(&mut bench, "east"), 0, "{}", bench.ladder());
    assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&403), "{}", bench.ladder());
    let expected = json!(["bob@example.org", "0900123@example.org", "reject", "no premium", "redirection"]);
    assert_eq!(wishes(&bench), [expected]);
    bench.who("bob").manner = Manner::Redirects("sip:0123@example.org");
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!(invites(&mut bench, "east"), 1, "{}", bench.ladder());
    assert_eq!(bench.last_recorded("admission")["facts"]["authenticated"], "digest-md5", "what a registration proves");
}

#[test]
fn what_a_transfer_is_bound_to_holds_from_then_on() {
    let rule = "[[rule]]\nname = \"short\"\nwhen = { dialled_prefix = [\"0\"] }\nthen = \"conditional\"\n\
                obligations = { limit_s = 30, codecs = [\"PCMU\"] }\n";
    let mut bench = bench(rule);
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(100);
    bench.act("alice", |peer, now| peer.agent.refer(now, session, "sip:0123@example.org"));
    bench.pass_s(1);
    assert_eq!(bench.last_recorded("admission")["facts"]["limit_s"], 30);
    let of_east = bench.who("east").invited[0];
    assert_eq!(changes(&mut bench, "east", of_east, "8 9"), Some(488), "{}", bench.ladder());
    bench.pass_s(25);
    assert_eq!(bench.recorded("terminated").len(), 0);
    bench.pass_s(10);
    assert_eq!(bench.last_recorded("terminated")["facts"]["by"], "timer");
}

#[test]
fn a_transfer_that_cannot_be_written_down_connects_nobody() {
    let mut bench = bench("");
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    bench.log.waits = true;
    bench.act("alice", |peer, now| peer.agent.refer(now, session, "sip:carol@example.org"));
    bench.pass_s(1);
    assert_eq!(invites(&mut bench, "carol"), 1, "{}", bench.ladder());
    assert!(!bench.who("alice").reports().contains(&200), "{}", bench.ladder());
    bench.pass_s(10);
    assert_eq!(bench.who("alice").reports().last(), Some(&503), "{}", bench.ladder());
    bench.log.waits = false;
    bench.settle();
    bench.pass_s(1);
    bench.act("alice", |peer, now| peer.agent.refer(now, session, "sip:carol@example.org"));
    bench.pass_s(1);
    assert_eq!(bench.who("alice").reports().last(), Some(&200), "{}", bench.ladder());
    assert_eq!(invites(&mut bench, "carol"), 2, "{}", bench.ladder());
}

#[test]
fn a_redirection_that_cannot_be_written_down_is_answered_by_nobody() {
    let mut bench = bench("");
    bench.who("bob").manner = Manner::Redirects("sip:carol@example.org");
    bench.log.waits = true;
    bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    assert_eq!((invites(&mut bench, "carol"), bench.who("alice").answered()), (1, 0), "{}", bench.ladder());
    bench.log.waits = false;
    bench.settle();
    assert_eq!(bench.who("alice").answered(), 1, "{}", bench.ladder());
}

fn message(bench: &mut Bench, to: &str) -> u16 {
    bench.act("alice", |peer, now| {
        let mut spec = peer.request(Method::Message, to, Vec::new());
        spec.body = Some(("text/plain".into(), bytes::Bytes::from_static(b"hello")));
        peer.agent.request(now, 1, spec);
    });
    bench.who("alice").replies.pop().expect("an answer").0
}

#[test]
fn a_message_is_judged_by_whom_it_is_for_as_a_call_is() {
    let mut bench =
        bench("[[rule]]\nname = \"no bob\"\nwhen = { dialled = [\"bob@example.org\"] }\nthen = \"reject\"\n");
    assert_eq!(message(&mut bench, "sip:bob@example.org"), 403);
    assert_eq!(message(&mut bench, "sip:bob@192.0.2.1:5060"), 403);
    assert_eq!(message(&mut bench, "sip:carol@example.org"), 200);
}

#[test]
fn what_cannot_be_met_lets_no_message_and_no_registration_in_either() {
    let mut bench = bench(
        "[[rule]]\nname = \"recorded\"\nthen = \"conditional\"\nobligations = { record = true, consent = \"law\" }\n",
    );
    assert_eq!(message(&mut bench, "sip:bob@example.org"), 403);
    assert_eq!(bench.last_recorded("admission")["reason"], "obligation");
    assert_eq!(bench.register("alice", "alice", driver::PASSWORD), 403);
    assert_eq!(bench.last_recorded("admission")["facts"]["method"], "REGISTER");
}

#[test]
fn nobody_is_taken_for_whom_from_names() {
    let config = "[danger]\nunauthenticated_calls = true\n[[organisation]]\nname = \"council\"\n\
                  networks = [\"192.0.2.0/24\"]\nmembers = [\"alice@example.org\"]\n";
    let dial = |rule: &str| {
        let mut bench = Bench::new(&format!("{USERS_ONLY}{config}"));
        bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
        bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
        let open = "[gate.authenticity]\ncall = [\"nothing\"]\n";
        let boss = "[[identity]]\nidentity = \"alice@example.org\"\nclass = \"boss\"\n";
        let rule = format!("[[rule]]\nname = \"r\"\nwhen = {{ {rule} }}\nthen = \"reject\"\nstatus = 603\n");
        bench.follow_policy(policy(&format!("{open}{boss}{rule}")));
        bench.dial("alice", "sip:bob@example.org");
        bench.pass_s(1);
        *bench.statuses("alice", "INVITE").last().expect("an answer")
    };
    assert_eq!(dial("source = [\"anonymous\"]"), 603);
    assert_eq!(dial("source = [\"user\"]"), 200);
    assert_eq!(dial("class = [\"boss\"]"), 200);
    assert_eq!(dial("organisation = [\"council\"]"), 200);
}

/// Alice calls bob through a worker; what that comes to, and after how long she may try again.
fn call_through(bench: &mut Bench, worker: usize) -> (SessionId, u16, String) {
    bench.lands_on = worker;
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let answer = bench.received("alice").into_iter().rfind(|m| m.status().is_some()).expect("an answer");
    let status = *bench.statuses("alice", "INVITE").last().expect("a status");
    (session, status, driver::value(&answer, sx_sip::message::HeaderName::RetryAfter))
}

fn two_workers(rate: &str) -> Bench {
    let mut bench = Bench::with_workers(USERS_ONLY, 2);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench.follow_policy(policy(&format!("[gate.rate]\n{rate}")));
    bench
}

#[test]
fn what_an_identity_asks_for_is_counted_over_all_workers() {
    let mut bench = two_workers("limit = 2\nwindow_s = 60\n");
    let statuses: Vec<u16> = (0..4).map(|call| call_through(&mut bench, call % 2).1).collect();
    assert_eq!(statuses, [200, 200, 429, 429], "{}", bench.ladder());
}

#[test]
fn the_calls_of_an_identity_are_counted_over_all_workers() {
    let mut bench = two_workers("limit = 0\ncalls_max = 1\n");
    let (session, status, _) = call_through(&mut bench, 0);
    assert_eq!(status, 200);
    assert_eq!(call_through(&mut bench, 1).1, 429, "{}", bench.ladder());
    // A transfer is no call more.
    bench.lands_on = 0;
    bench.act("alice", |peer, now| peer.agent.refer(now, session, "sip:bob@example.org"));
    bench.pass_s(1);
    assert_eq!(bench.who("alice").reports().last(), Some(&200), "{}", bench.ladder());
    let of_bob = bench.who("bob").invited[0];
    bench.hang_up("bob", of_bob);
    bench.pass_s(5);
    assert_eq!(call_through(&mut bench, 1).1, 200, "{}", bench.ladder());
}

#[test]
fn who_asks_too_often_is_told_when_there_is_room() {
    // The window began 40 s ago, and what was taken in it weighs too much until half of the next has passed.
    let mut bench = two_workers("limit = 2\nwindow_s = 60\n");
    bench.pass_s(40);
    for _ in 0..2 {
        assert_eq!(call_through(&mut bench, 0).1, 200);
    }
    let (_, status, again) = call_through(&mut bench, 1);
    let again: u64 = again.parse().expect("seconds");
    assert_eq!(status, 429);
    assert_ne!(again, 60);
    bench.pass_s(again - 2);
    assert_eq!(call_through(&mut bench, 1).1, 429);
    bench.pass_s(1);
    assert_eq!(call_through(&mut bench, 1).1, 200, "{}", bench.ladder());
}

#[test]
fn the_calls_of_a_trunk_are_counted() {
    let mut bench = bench("[[gate.rate.trunk]]\nname = \"east\"\ncalls_max = 1\n");
    let session = bench.dial("east", "sip:bob@example.org");
    bench.pass_s(1);
    bench.dial("east", "sip:carol@example.org");
    bench.pass_s(1);
    assert_eq!(bench.statuses("east", "INVITE"), [180, 200, 429], "{}", bench.ladder());
    bench.hang_up("east", session);
    bench.pass_s(1);
    bench.dial("east", "sip:carol@example.org");
    bench.pass_s(1);
    assert_eq!(bench.statuses("east", "INVITE"), [180, 200, 429, 180, 200], "{}", bench.ladder());
}

#[test]
fn a_number_with_separators_is_the_number() {
    let mut bench = bench(NO_PREMIUM);
    for uri in [
        "sip:0-900-123@example.org;user=phone",
        "sip:0-900-123@example.org",
        "sip:0.(900)123@example.org",
        "sip:0-9%2000_1@example.org",
        "sip:09%C2%A0001@example.org",
    ] {
        bench.dial("alice", uri);
        bench.pass_s(1);
        assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&403), "{uri}\n{}", bench.ladder());
    }
    assert_eq!(invites(&mut bench, "east"), 0);
    bench.dial("alice", "sip:0-12.3@example.org;user=phone");
    assert!(driver::uri(&bench.requests("east", Method::Invite)[0]).starts_with("sip:0123@"), "{}", bench.ladder());
}
