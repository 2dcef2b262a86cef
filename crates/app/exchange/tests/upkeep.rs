//! What the exchange does by itself: probes of trunks, registrations with providers; and what an operator asks.

mod driver;

use driver::{Bench, FAILOVER, Manner, Scripted, named, probed, value, with_probes};
use std::time::Duration;
use sx_call::Command;
use sx_exchange::Input;
use sx_sip::message::{HeaderName, Message, Method};

/// Calls from the west, says which trunk was asked, and hangs up.
fn called(bench: &mut Bench) -> Vec<&'static str> {
    let before = ["east", "south"].map(|name| bench.requests(name, Method::Invite).len());
    let session = bench.dial("west", "sip:0123@192.0.2.1");
    let after = ["east", "south"].map(|name| bench.requests(name, Method::Invite).len());
    bench.hang_up("west", session);
    ["east", "south"].into_iter().enumerate().filter(|(at, _)| after[*at] > before[*at]).map(|(_, name)| name).collect()
}

#[test]
fn a_trunk_that_refuses_its_probe_is_passed_over_until_it_recovers() {
    let mut bench = probed();
    bench.pass_s(5);
    assert_eq!(bench.requests("east", Method::Options).len(), 1);
    assert_eq!(called(&mut bench), ["east"]);
    bench.who("east").script.push_back(Scripted { status: 503, headers: Vec::new() });
    bench.pass_s(60);
    assert_eq!(bench.health, [("east".to_owned(), false)]);
    assert_eq!(called(&mut bench), ["south"]);
    bench.pass_s(60);
    assert_eq!(bench.health.last(), Some(&("east".to_owned(), true)));
    assert_eq!(called(&mut bench), ["east"]);
    assert_eq!(bench.workers[0].calls(), 0);
    assert_eq!(bench.ended().len(), 3);
}

#[test]
fn a_trunk_that_says_nothing_is_passed_over_until_it_recovers() {
    let mut bench = probed();
    bench.who("east").manner = Manner::Dead;
    bench.pass_s(40);
    assert_eq!(bench.health, [("east".to_owned(), false)]);
    assert_eq!(called(&mut bench), ["south"]);
    bench.who("east").manner = Manner::Answers;
    bench.pass_s(60);
    assert_eq!(bench.health.last(), Some(&("east".to_owned(), true)));
    assert_eq!(called(&mut bench), ["east"]);
}

#[test]
fn any_other_answer_to_a_probe_shows_that_the_trunk_lives() {
    let mut bench = probed();
    for status in [404, 405, 481, 500] {
        bench.who("east").script.push_back(Scripted { status, headers: Vec::new() });
    }
    bench.pass_s(250);
    assert!(bench.requests("east", Method::Options).len() >= 4);
    assert!(bench.health.is_empty(), "{:?}", bench.health);
}

/// A provider to register with.
const PROVIDER: &str = r#"
[exchange]
domains = ["example.org"]
[[trunk]]
name = "provider"
addresses = ["sip:192.0.2.40"]
options_interval_s = 0
username = "us"
password = { env = "PROVIDER_PASSWORD" }
register = { registrar = "sip:192.0.2.40", aor = "sip:us@provider.example", expires_s = 600 }
"#;

fn challenge() -> Scripted {
    let value = "Digest realm=\"provider\", nonce=\"abc\", qop=\"auth\", algorithm=SHA-256";
    Scripted { status: 401, headers: vec![("WWW-Authenticate", value.to_owned())] }
}

fn granted(expires_s: u32) -> Scripted {
    let value = format!("<sip:us@192.0.2.1:5060>;expires={expires_s}");
    Scripted { status: 200, headers: vec![("Contact", value)] }
}

fn with_provider(script: &[Scripted]) -> Bench {
    let mut bench = Bench::new(PROVIDER);
    bench.peer("provider", "192.0.2.40:5060", Manner::Answers);
    bench.who("provider").script.extend(script.iter().cloned());
    bench
}

fn seq(message: &Message<bytes::Bytes>) -> u32 {
    value(message, HeaderName::CSeq).split(' ').next().and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn the_exchange_registers_with_a_provider_and_refreshes_in_time() {
    let mut bench = with_provider(&[challenge(), granted(200), granted(200), challenge(), granted(200)]);
    bench.pass_s(1);
    let sent = bench.requests("provider", Method::Register);
    assert_eq!(sent.len(), 2);
    assert_eq!(named(&sent[0], "Authorization"), "");
    assert!(named(&sent[1], "Authorization").contains("username=\"us\""));
    assert_eq!(value(&sent[0], HeaderName::To), "<sip:us@provider.example>");
    assert_eq!(value(&sent[0], HeaderName::Contact), "<sip:us@192.0.2.1:5060>");
    assert_eq!(value(&sent[0], HeaderName::Expires), "600");
    assert_eq!(bench.registered, [("provider".to_owned(), 200)]);
    // Nine tenths of what was granted.
    bench.pass(Duration::from_secs(178));
    assert_eq!(bench.requests("provider", Method::Register).len(), 2);
    bench.pass_s(2);
    assert_eq!(bench.requests("provider", Method::Register).len(), 3);
    bench.pass_s(181);
    let sent = bench.requests("provider", Method::Register);
    assert_eq!(sent.len(), 5);
    assert!(sent.windows(2).all(|pair| seq(&pair[0]) < seq(&pair[1])), "each has a number of its own");
    assert!(sent.iter().all(|m| value(m, HeaderName::CallId) == value(&sent[0], HeaderName::CallId)));
    assert_eq!(bench.registered.len(), 3);
}

/// A proxy on the way asks as well, and its nonce is too old.
#[test]
fn no_number_of_a_registration_is_used_twice_however_many_challenges_it_meets() {
    let proxy = |nonce: &str, stale: bool| {
        let value = format!("Digest realm=\"proxy\", nonce=\"{nonce}\", qop=\"auth\", stale={stale}");
        Scripted { status: 407, headers: vec![("Proxy-Authenticate", value)] }
    };
    let script = [proxy("a", false), challenge(), proxy("b", true), granted(200), granted(200)];
    let mut bench = with_provider(&script);
    bench.pass_s(200);
    let sent = bench.requests("provider", Method::Register);
    assert_eq!(sent.iter().map(seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5], "{}", bench.ladder());
}

#[test]
fn of_several_contacts_our_own_says_when_the_registration_ends() {
    let contacts = "<sip:us@198.51.100.9:5060>;expires=60, <sip:us@192.0.2.1:5060>;expires=500".to_owned();
    let mut bench = with_provider(&[Scripted { status: 200, headers: vec![("Contact", contacts)] }]);
    bench.pass_s(440);
    assert_eq!(bench.requests("provider", Method::Register).len(), 1);
    bench.pass_s(20);
    assert_eq!(bench.requests("provider", Method::Register).len(), 2);
}

#[test]
fn a_provider_that_wants_a_longer_interval_is_asked_for_it() {
    let brief = |least: &str| Scripted { status: 423, headers: vec![("Min-Expires", least.to_owned())] };
    let mut bench = with_provider(&[brief("1800"), granted(1800)]);
    bench.pass_s(2);
    let sent = bench.requests("provider", Method::Register);
    let asked: Vec<String> = sent.iter().map(|m| value(m, HeaderName::Expires)).collect();
    assert_eq!(asked, ["600", "1800"]);
    assert_eq!(bench.registered.last(), Some(&("provider".to_owned(), 200)));
    // One that only says no is not asked at once for ever.
    let mut bench = with_provider(&[brief("1800"), brief("1800"), brief("1800")]);
    bench.pass_s(20);
    assert_eq!(bench.requests("provider", Method::Register).len(), 2);
}

#[test]
fn a_provider_that_wants_ever_longer_intervals_is_asked_a_few_times_and_then_later() {
    let brief = |least: u32| Scripted { status: 423, headers: vec![("Min-Expires", least.to_string())] };
    let script: Vec<Scripted> = (601..700).map(brief).collect();
    let mut bench = with_provider(&script);
    for (passed_s, sent) in [(2, 4), (30, 8), (30, 12)] {
        bench.pass_s(passed_s);
        assert_eq!(bench.requests("provider", Method::Register).len(), sent, "{}", bench.ladder());
    }
    // What it said last is what it is asked for.
    let last = bench.requests("provider", Method::Register).pop().expect("one at least");
    assert_eq!(value(&last, HeaderName::Expires), "611");
}

#[test]
fn a_registration_that_fails_is_tried_again() {
    let mut bench = with_provider(&[Scripted { status: 503, headers: Vec::new() }, granted(600)]);
    bench.pass_s(1);
    assert_eq!(bench.registered, [("provider".to_owned(), 503)]);
    bench.pass_s(30);
    assert_eq!(bench.registered.last(), Some(&("provider".to_owned(), 200)));
}

#[test]
fn a_wrong_password_is_not_tried_for_ever_at_once() {
    let mut bench = with_provider(&[challenge(), challenge(), challenge(), challenge()]);
    bench.pass_s(1);
    assert_eq!(bench.requests("provider", Method::Register).len(), 2);
    assert_eq!(bench.registered, [("provider".to_owned(), 401)]);
}

fn options(bench: &mut Bench) -> u16 {
    bench.act("west", |peer, now| {
        let spec = peer.request(Method::Options, "sip:192.0.2.1", Vec::new());
        peer.agent.request(now, 1, spec);
    });
    bench.who("west").replies.pop().expect("an answer").0
}

#[test]
fn a_drain_refuses_new_calls_and_leaves_the_others_alone() {
    let mut bench = probed();
    let standing = bench.dial("west", "sip:0123@192.0.2.1");
    assert_eq!(options(&mut bench), 200);
    bench.tell(0, Input::Command(Command::Drain));
    bench.dial("west", "sip:0124@192.0.2.1");
    assert_eq!(bench.statuses("west", "INVITE"), [180, 200, 503]);
    assert_eq!(options(&mut bench), 503);
    bench.pass_s(600);
    assert_eq!(bench.workers[0].calls(), 1);
    bench.act("west", |peer, now| {
        let offer = peer.describe("sendonly");
        peer.agent.offer(now, standing, Some(offer));
    });
    bench.pass_s(1);
    assert_eq!(bench.statuses("west", "INVITE").last(), Some(&200));
    bench.hang_up("west", standing);
    bench.tell(0, Input::Command(Command::Undrain));
    assert_eq!((options(&mut bench), called(&mut bench)), (200, vec!["east"]));
    assert_eq!(bench.ended().len(), 2);
    assert_eq!(bench.workers[0].calls(), 0);
}

#[test]
fn an_operator_ends_a_call() {
    let mut bench = probed();
    bench.dial("west", "sip:0123@192.0.2.1");
    let call = bench.workers[0].list().next().expect("a call").call;
    bench.tell(
        0,
        Input::Command(Command::Hangup { call, cause: sx_types::Cause::NORMAL, by: sx_call::Ender::Operator }),
    );
    assert_eq!(bench.requests("west", Method::Bye).len(), 1);
    assert_eq!(bench.requests("east", Method::Bye).len(), 1);
    assert_eq!((bench.workers[0].calls(), bench.ended().len()), (0, 1));
    assert!(bench.open.is_empty(), "ports are left open: {:?}", bench.open);
    bench.assert_over(1);
}

#[test]
fn an_exchange_that_stops_hangs_every_call_up() {
    let mut bench = probed();
    bench.dial("west", "sip:0123@192.0.2.1");
    bench.dial("west", "sip:0124@192.0.2.1");
    bench.pass_s(10);
    bench.tell(0, Input::Command(Command::Clear { cause: sx_types::Cause::TEMPORARY_FAILURE }));
    assert_eq!(bench.requests("west", Method::Bye).len(), 2);
    assert_eq!(bench.requests("east", Method::Bye).len(), 2);
    assert!(bench.ended().iter().all(|cdr| cdr.end - cdr.answer.expect("it was answered") >= 9_900_000_000));
    bench.assert_over(2);
}

#[test]
fn every_worker_learns_that_a_trunk_does_not_answer() {
    let mut bench = Bench::with_workers(&with_probes(), 2);
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    bench.peer("south", "192.0.2.30:5060", Manner::Answers);
    bench.lands_on = 1;
    bench.who("east").script.push_back(Scripted { status: 503, headers: Vec::new() });
    bench.pass_s(5);
    assert_eq!(bench.requests("east", Method::Options).len(), 1, "one worker probes for all");
    assert_eq!(called(&mut bench), ["south"]);
    bench.pass_s(60);
    assert_eq!(called(&mut bench), ["east"]);
    let told = [("east".to_owned(), false), ("east".to_owned(), true)];
    assert_eq!(bench.health, told, "the operator is told once, not by each worker");
}

#[test]
fn a_trunk_that_is_no_longer_probed_is_told_to_have_recovered_once() {
    let mut bench = Bench::with_workers(&with_probes(), 3);
    bench.peer("east", "192.0.2.20:5060", Manner::Dead);
    bench.pass_s(50);
    bench.reload(&with_probes().replace("options_interval_s = 60", "options_interval_s = 0"));
    assert_eq!(bench.health, [("east".to_owned(), false), ("east".to_owned(), true)]);
}

/// The configuration with its first trunk put last.
fn in_another_order() -> String {
    let probed = with_probes();
    let (head, routes) = probed.split_at(probed.find("[[route]]").expect("a route"));
    let mut parts: Vec<&str> = head.split("[[trunk]]").collect();
    let exchange = parts.remove(0);
    parts.rotate_left(1);
    format!("{exchange}[[trunk]]{}{routes}", parts.join("[[trunk]]"))
}

#[test]
fn a_probe_under_way_counts_for_its_trunk_though_the_configuration_changes() {
    let mut bench = probed();
    bench.who("east").manner = Manner::Dead;
    bench.pass_s(5);
    assert_eq!(bench.requests("east", Method::Options).len(), 4, "the probe and its repetitions");
    bench.reload(&in_another_order());
    bench.pass_s(40);
    assert_eq!(bench.health, [("east".to_owned(), false)]);
    assert_eq!(called(&mut bench), ["south"]);
    bench.who("east").manner = Manner::Answers;
    bench.pass_s(60);
    assert_eq!(called(&mut bench), ["east"]);
}

#[test]
fn a_trunk_that_is_no_longer_probed_is_taken_for_healthy() {
    let mut bench = probed();
    bench.who("east").script.push_back(Scripted { status: 503, headers: Vec::new() });
    bench.pass_s(5);
    assert_eq!(called(&mut bench), ["south"]);
    bench.reload(FAILOVER);
    assert_eq!(called(&mut bench), ["east"]);
}

#[test]
fn a_request_beyond_the_limit_of_transactions_is_answered_503() {
    // One fits: that of an INVITE. Challenges and registrations leave none behind.
    let mut bench = Bench::with_settings(driver::USERS_ONLY, |settings| settings.transactions_max = 1);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Rings);
    let ringing = bench.dial("alice", "sip:bob@example.org");
    let server_transactions = |bench: &Bench| {
        let worker = &bench.workers[0];
        worker.publish();
        worker.counts().server_transactions.load(std::sync::atomic::Ordering::Relaxed)
    };
    assert_eq!((server_transactions(&bench), bench.workers[0].calls()), (1, 1), "{}", bench.ladder());
    assert_eq!(bench.register("alice", "alice", driver::PASSWORD), 503);
    let refused = bench.received("alice").pop().expect("an answer");
    assert_eq!(value(&refused, HeaderName::RetryAfter), "10");
    bench.dial("alice", "sip:bob@example.org");
    assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&503));
    assert_eq!((server_transactions(&bench), bench.workers[0].calls()), (1, 1), "what is refused takes no room");
    let overload = sx_exchange::REFUSALS.iter().find(|(_, label)| *label == "overload").expect("it is counted").0;
    let refused = &bench.workers[0].counts().refused[overload as usize];
    assert_eq!(refused.load(std::sync::atomic::Ordering::Relaxed), 2);
    // What belongs to the call is let through: its transactions end it.
    bench.hang_up("alice", ringing);
    bench.pass_s(40);
    assert_eq!(bench.register("alice", "alice", driver::PASSWORD), 200);
    bench.assert_over(1);
}
