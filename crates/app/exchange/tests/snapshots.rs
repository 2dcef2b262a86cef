//! Calls that another process carries on.

mod driver;

use driver::{Bench, Manner, TRUNKS, USERS_ONLY, body, value};
use std::net::SocketAddr;
use sx_call::CallRecord;
use sx_exchange::ExchangeSnapshot;
use sx_media::{PortId, Remote};
use sx_sip::message::{HeaderName, Method};
use sx_sip::session::{SessionEvent, SessionId};

/// A relayed call of a minute ago.
fn established() -> (Bench, SessionId, SessionId) {
    let mut bench = Bench::new(USERS_ONLY);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    let alice = bench.dial("alice", "sip:bob@example.org");
    let bob = bench.who("bob").invited[0];
    bench.pass_s(60);
    (bench, alice, bob)
}

/// The process is replaced by another of another seed, which is told of the call as text and knows no port.
fn take_over(bench: &mut Bench) {
    let call = bench.workers[0].list().next().expect("a call").call;
    let snapshot = bench.export(call).expect("nothing is under way");
    assert_eq!(snapshot.call.ports().len(), bench.open.len());
    let text = serde_json::to_string(&snapshot).expect("it is serialisable");
    assert!(!text.contains("opensesame"), "the trunk's password is in the configuration, and nowhere else");
    let snapshot: ExchangeSnapshot = serde_json::from_str(&text).expect("and back");
    let before = media_of(bench);
    bench.replace(snapshot);
    assert_eq!(bench.workers[0].calls(), 1);
    assert_eq!(media_of(bench), before, "every port is open again, knows its peer and leads where it led");
}

/// The address, the peer and the other end of every port.
fn media_of(bench: &Bench) -> Vec<(SocketAddr, Option<Remote>, Option<SocketAddr>)> {
    let at = |port: PortId| bench.open[&port].rtp;
    let state = |port: PortId| (at(port), bench.remote_of(port), bench.patch_of(port).map(at));
    let mut ports: Vec<_> = bench.open.keys().map(|port| state(*port)).collect();
    ports.sort_by_key(|(address, ..)| *address);
    ports
}

#[test]
fn a_call_taken_over_can_be_held_from_both_sides() {
    let (mut bench, alice, bob) = established();
    let ports: Vec<_> = bench.open.keys().copied().collect();
    let invited = bench.requests("bob", Method::Invite).remove(0);
    let facing_bob = bench.port_named(&body(&invited));
    let facing_alice = bench.patch_of(facing_bob).expect("it leads to alice");
    take_over(&mut bench);
    let accepted = |event: &SessionEvent| matches!(event, SessionEvent::OfferAccepted { .. });
    bench.hold("alice", alice);
    assert!(bench.who("alice").has(accepted), "{}", bench.ladder());
    assert!(!bench.remote_of(facing_alice).expect("a remote").receives);
    assert!(bench.remote_of(facing_bob).expect("a remote").receives);
    bench.hold("bob", bob);
    assert!(bench.who("bob").has(accepted), "{}", bench.ladder());
    assert!(!bench.remote_of(facing_bob).expect("a remote").receives);
    assert_eq!(bench.open.keys().copied().collect::<Vec<_>>(), ports, "the ports stay");
    let offered = bench.received("bob").into_iter().rfind(|m| m.method().is_some() && !m.body().is_empty());
    bench.port_named(&body(&offered.expect("an offer")));
    bench.hang_up("alice", alice);
    bench.assert_over(1);
}

#[test]
fn a_call_taken_over_ends_from_either_side() {
    for caller in [true, false] {
        let (mut bench, alice, bob) = established();
        take_over(&mut bench);
        if caller {
            bench.hang_up("alice", alice);
        } else {
            bench.hang_up("bob", bob);
        }
        let (one, other) = if caller { ("alice", "bob") } else { ("bob", "alice") };
        assert_eq!(bench.statuses(one, "BYE"), [200]);
        assert_eq!(bench.requests(other, Method::Bye).len(), 1);
        bench.assert_over(1);
    }
}

#[test]
fn sequence_numbers_go_on_where_they_were() {
    let (mut bench, alice, _) = established();
    bench.hold("alice", alice);
    let number = |bench: &mut Bench| {
        let last = bench.received("bob").into_iter().rfind(|m| m.method().is_some_and(|m| m != Method::Ack));
        value(&last.expect("a request"), HeaderName::CSeq).split(' ').next().and_then(|n| n.parse::<u32>().ok())
    };
    let before = number(&mut bench);
    take_over(&mut bench);
    bench.hold("alice", alice);
    assert_eq!(number(&mut bench), before.map(|number| number + 1));
    bench.hang_up("alice", alice);
    bench.assert_over(1);
}

/// Its legs and ports have the numbers they had; those of new calls must be others.
#[test]
fn a_new_call_beside_one_taken_over_does_not_disturb_it() {
    let (mut bench, alice, _) = established();
    take_over(&mut bench);
    assert_eq!(bench.register("bob", "bob", driver::PASSWORD), 200);
    let second = bench.dial("alice", "sip:bob@example.org");
    assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&200), "{}", bench.ladder());
    assert_eq!((bench.workers[0].calls(), bench.open.len()), (2, 4));
    bench.hang_up("alice", second);
    assert_eq!((bench.workers[0].calls(), bench.open.len()), (1, 2));
    bench.hang_up("alice", alice);
    bench.assert_over(2);
}

#[test]
fn session_timers_go_on_in_a_call_taken_over() {
    let (mut bench, alice, _) = established();
    take_over(&mut bench);
    bench.pass_s(4_000);
    assert_eq!(bench.workers[0].calls(), 1, "{}", bench.ladder());
    bench.hang_up("alice", alice);
    bench.assert_over(1);
}

#[test]
fn a_call_between_trunks_can_be_taken_over() {
    let mut bench = Bench::new(TRUNKS);
    bench.peer("west", "192.0.2.10:5060", Manner::Answers);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    let west = bench.dial("west", "sip:0123@192.0.2.1");
    bench.pass_s(10);
    take_over(&mut bench);
    bench.hold("west", west);
    let east = bench.who("east").invited[0];
    bench.hang_up("east", east);
    assert_eq!(bench.requests("west", Method::Bye).len(), 1);
    bench.assert_over(1);
}

#[test]
fn a_trunks_leg_that_is_taken_over_answers_challenges() {
    let password = "sources = [\"192.0.2.20\"]\nusername = \"us\"\npassword = { env = \"PROVIDER_PASSWORD\" }\n";
    let mut bench = Bench::new(&TRUNKS.replacen("sources = [\"192.0.2.20\"]\n", password, 1));
    bench.peer("west", "192.0.2.10:5060", Manner::Answers);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    let west = bench.dial("west", "sip:0123@192.0.2.1");
    take_over(&mut bench);
    bench.who("east").manner = Manner::Dead;
    bench.hang_up("west", west);
    let bye = bench.requests("east", Method::Bye).remove(0);
    let copied = [("Via", HeaderName::Via), ("From", HeaderName::From), ("To", HeaderName::To)];
    let copied = copied.into_iter().chain([("Call-ID", HeaderName::CallId), ("CSeq", HeaderName::CSeq)]);
    let copied: String = copied.map(|(name, of)| format!("{name}: {}\r\n", value(&bye, of))).collect();
    let challenge = "Proxy-Authenticate: Digest realm=\"p\", nonce=\"n\", qop=\"auth\"\r\nContent-Length: 0\r\n\r\n";
    let answer = bench.send_raw("east", &format!("SIP/2.0 407 X\r\n{copied}{challenge}"));
    assert!(value(&answer[0], HeaderName::ProxyAuthorization).contains("username=\"us\""), "{}", bench.ladder());
}

/// Both have the ports of one machine between them, as when one process hands its calls to the next.
#[test]
fn a_call_handed_over_leaves_nothing_behind() {
    let (mut bench, alice, _) = established();
    let call = bench.workers[0].list().next().expect("a call").call;
    let snapshot = bench.export(call).expect("nothing is under way");
    let said = bench.lines.len();
    assert!(bench.workers[0].forget(call) && !bench.workers[0].forget(call));
    bench.settle();
    assert_eq!((bench.workers[0].calls(), bench.open.len()), (0, 0));
    assert!(matches!(bench.records.last(), Some(CallRecord::Moved { call: moved, .. }) if *moved == call));
    bench.workers[0].publish();
    assert_eq!(bench.workers[0].counts().legs.load(std::sync::atomic::Ordering::Relaxed), 0);
    bench.pass_s(60);
    assert_eq!(bench.lines.len(), said, "its peers hear nothing:\n{}", bench.ladder());
    let (mut other, now) = (driver::worker(bench.now, 0, 1, &bench.tables.clone(), 4_711), bench.now);
    other.import(now, snapshot).expect("there is room");
    bench.workers[0] = other;
    bench.settle();
    bench.hang_up("alice", alice);
    bench.assert_over(1);
}

#[test]
fn a_call_that_nobody_can_have_exported_is_not_forgotten() {
    // One whose session is being changed.
    let (mut bench, alice, _) = established();
    bench.who("bob").accepts_changes = false;
    bench.hold("alice", alice);
    let call = bench.workers[0].list().next().expect("a call").call;
    assert!(bench.export(call).is_none() && !bench.workers[0].forget(call));
    bench.hang_up("alice", alice);
    bench.assert_over(1);

    // One whose called side is still looked up.
    let mut bench =
        Bench::new(&TRUNKS.replace("addresses = [\"sip:192.0.2.20\"]", "addresses = [\"sip:east.example\"]"));
    bench.peer("west", "192.0.2.10:5060", Manner::Silent);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    let east = vec![(sx_types::Transport::Udp, "192.0.2.20:5060".parse().expect("an address"))];
    bench.names.insert("east.example".into(), east);
    bench.names_wait = true;
    let west = bench.dial("west", "sip:0123@192.0.2.1");
    let call = bench.workers[0].list().next().expect("a call").call;
    assert!(bench.export(call).is_none() && !bench.workers[0].forget(call));
    bench.names_come();
    assert_eq!(bench.statuses("west", "INVITE").last(), Some(&200), "{}", bench.ladder());
    bench.hang_up("west", west);
    bench.assert_over(1);
}

#[test]
fn a_call_whose_ports_are_taken_here_is_ended() {
    let (mut bench, ..) = established();
    let call = bench.workers[0].list().next().expect("a call").call;
    let snapshot = bench.export(call).expect("nothing is under way");
    bench.open.clear();
    bench.no_ports = true;
    let (mut other, now) = (driver::worker(bench.now, 0, 1, &bench.tables.clone(), 4_711), bench.now);
    other.import(now, snapshot).expect("there is room");
    bench.workers[0] = other;
    bench.pass_s(40);
    assert_eq!((bench.requests("alice", Method::Bye).len(), bench.requests("bob", Method::Bye).len()), (1, 1));
    assert_eq!(bench.workers[0].calls(), 0);
}

/// Its rules and its place among the trunk's channels come with it.
#[test]
fn a_trunks_leg_that_is_taken_over_is_still_the_trunks() {
    let mut bench = Bench::new(TRUNKS);
    bench.peer("west", "192.0.2.10:5060", Manner::Answers);
    bench.peer("east", "192.0.2.20:5060", Manner::Answers);
    bench.dial("west", "sip:0123@192.0.2.1");
    let call = bench.workers[0].list().next().expect("a call").call;
    let snapshot = bench.export(call).expect("nothing is under way");
    let trunks: Vec<_> = snapshot.call.legs().iter().map(|leg| snapshot.call.trunk_of(*leg).cloned()).collect();
    assert_eq!(trunks, [Some("west".into()), Some("east".into())]);
}

/// The one that goes on with a call has calls of its own.
#[test]
fn a_call_is_taken_over_beside_others() {
    let (mut bench, alice, _) = established();
    let call = bench.workers[0].list().next().expect("a call").call;
    let snapshot = bench.export(call).expect("nothing is under way");
    bench.workers[0].forget(call);
    bench.workers[0] = driver::worker(bench.now, 0, 1, &bench.tables.clone(), 4_711);
    bench.settle();
    bench.open.clear();
    assert_eq!(bench.register("bob", "bob", driver::PASSWORD), 200);
    let second = bench.dial("alice", "sip:bob@example.org");
    assert_eq!(bench.workers[0].calls(), 1, "{}", bench.ladder());
    let now = bench.now;
    bench.workers[0].import(now, snapshot).expect("there is room, and no leg has its numbers");
    bench.settle();
    assert_eq!((bench.workers[0].calls(), bench.open.len()), (2, 4));
    bench.hang_up("alice", alice);
    assert_eq!((bench.workers[0].calls(), bench.open.len()), (1, 2));
    bench.hang_up("alice", second);
    bench.assert_over(2);
}

#[test]
fn a_call_taken_over_twice_is_refused_the_second_time() {
    let (mut bench, alice, _) = established();
    let call = bench.workers[0].list().next().expect("a call").call;
    let snapshot = bench.export(call).expect("nothing is under way");
    let now = bench.now;
    assert!(bench.workers[0].import(now, snapshot).is_err());
    bench.hang_up("alice", alice);
    bench.assert_over(1);
}

#[test]
fn legs_that_are_not_the_calls_are_not_taken_over() {
    let (mut bench, alice, _) = established();
    let call = bench.workers[0].list().next().expect("a call").call;
    let snapshot = bench.export(call).expect("nothing is under way");
    let (mut other, now) = (driver::worker(bench.now, 0, 1, &bench.tables.clone(), 4_711), bench.now);
    let mut doubled = snapshot.clone();
    doubled.legs.push(doubled.legs[0].clone());
    let mut twice = snapshot.clone();
    twice.legs[1] = twice.legs[0].clone();
    for wrong in [doubled, twice] {
        assert!(other.import(now, wrong).is_err());
    }
    assert_eq!(other.calls(), 0);
    other.import(now, snapshot).expect("as it was exported");
    bench.hang_up("alice", alice);
    bench.assert_over(1);
}

/// What an exchange takes back by its management API: 1 MiB, also when whoever brings it writes spaces and escapes.
const TAKEN_BACK_MAX: usize = 1 << 20;

#[test]
fn the_largest_call_that_there_can_be_fits_into_what_is_taken_back() {
    let mut bench = Bench::new(USERS_ONLY);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    // As many streams as a call may have, in descriptions about as long as a message may be.
    let mut more = String::new();
    for stream in 1..8 {
        more += &format!("m=video {} RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n", 4_000 + 2 * stream);
        for line in 0..110 {
            more += &format!("a=x-of-stream-{stream}:{line:060}\r\n");
        }
    }
    for name in ["alice", "bob"] {
        bench.who(name).more = more.clone();
    }
    let alice = bench.dial("alice", "sip:bob@example.org");
    assert_eq!(bench.statuses("alice", "INVITE").last(), Some(&200), "{}", bench.ladder());
    assert_eq!(bench.open.len(), 16);
    bench.hold("alice", alice);
    let call = bench.workers[0].list().next().expect("a call").call;
    let text = serde_json::to_string(&bench.export(call).expect("nothing is under way")).expect("a value");
    let longest = text.len() + text.bytes().filter(|byte| b",:".contains(byte)).count();
    assert!((300_000..TAKEN_BACK_MAX).contains(&longest), "{longest} bytes");
    bench.replace(serde_json::from_str(&text).expect("and back"));
    bench.hang_up("alice", alice);
    bench.assert_over(1);
}
