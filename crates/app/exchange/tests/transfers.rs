//! Transfers between users.

mod driver;

use driver::{Bench, Manner, USERS_ONLY, body, value};
use sx_call::Note;
use sx_sip::message::{HeaderName, Method};
use sx_sip::session::SessionId;

fn three_users() -> Bench {
    let mut bench = Bench::new(USERS_ONLY);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench.phone("carol", "192.0.2.13:5060", Manner::Answers);
    bench
}

fn transferred(bench: &Bench) -> usize {
    bench.notes.iter().filter(|note| matches!(note, Note::Transferred { .. })).count()
}

/// The last description each of the two was sent names a port that leads to the other.
fn assert_connected(bench: &mut Bench, one: &str, other: &str) {
    let mut port_of = |name: &str| {
        let described = bench.received(name).into_iter().rfind(|m| !m.body().is_empty() && body(m).starts_with("v=0"));
        bench.port_named(&body(&described.expect("a description")))
    };
    let (facing_one, facing_other) = (port_of(one), port_of(other));
    assert_eq!(bench.patch_of(facing_one), Some(facing_other), "{one} is heard by {other}\n{}", bench.ladder());
    assert_eq!(bench.patch_of(facing_other), Some(facing_one), "{other} is heard by {one}\n{}", bench.ladder());
    let remote = bench.remote_of(facing_other).map(|remote| remote.rtp);
    assert_eq!(remote, Some(bench.who(other).media()));
}

fn refer(bench: &mut Bench, name: &str, session: SessionId, to: &str) {
    bench.act(name, |peer, now| peer.agent.refer(now, session, to));
    bench.pass_s(1);
}

#[test]
fn the_caller_sends_the_called_party_to_another() {
    let mut bench = three_users();
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    refer(&mut bench, "alice", session, "sip:carol@example.org");
    assert_eq!(bench.statuses("alice", "REFER"), [202]);
    assert_eq!(bench.who("alice").reports().last(), Some(&200), "{}", bench.ladder());
    assert_eq!(bench.requests("carol", Method::Invite).len(), 1);
    assert_eq!(transferred(&bench), 1);
    assert_connected(&mut bench, "bob", "carol");
    let of_carol = bench.who("carol").invited[0];
    bench.hang_up("carol", of_carol);
    assert_eq!(bench.requests("bob", Method::Bye).len(), 1);
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

#[test]
fn the_called_party_sends_the_caller_to_another() {
    let mut bench = three_users();
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let of_bob = bench.who("bob").invited[0];
    refer(&mut bench, "bob", of_bob, "sip:carol@example.org");
    assert_eq!(bench.who("bob").reports().last(), Some(&200), "{}", bench.ladder());
    assert_connected(&mut bench, "alice", "carol");
    bench.hang_up("alice", session);
    bench.hang_up("bob", of_bob);
    bench.assert_over(1);
}

#[test]
fn a_transfer_that_fails_leaves_the_parties_connected() {
    let mut bench = three_users();
    bench.who("carol").manner = Manner::Refuses(486);
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    refer(&mut bench, "alice", session, "sip:carol@example.org");
    assert_eq!(bench.who("alice").reports().last(), Some(&486), "{}", bench.ladder());
    assert_connected(&mut bench, "alice", "bob");
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

/// Alice talks to Bob, then to Carol, and sends Bob into the place she has with Carol.
#[test]
fn an_attended_transfer_joins_the_two_others() {
    let mut bench = three_users();
    let with_bob = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    let with_carol = bench.dial("alice", "sip:carol@example.org");
    bench.pass_s(1);
    let answer = bench
        .received("alice")
        .into_iter()
        .rfind(|m| m.status() == Some(200) && value(m, HeaderName::CSeq).ends_with("INVITE"));
    let answer = answer.expect("carol has answered");
    let tag = |name| value(&answer, name).split(";tag=").nth(1).expect("a tag").to_owned();
    let call_id = value(&answer, HeaderName::CallId).replace('@', "%40");
    let to = format!(
        "sip:carol@example.org?Replaces={call_id}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
        tag(HeaderName::To),
        tag(HeaderName::From)
    );
    refer(&mut bench, "alice", with_bob, &to);
    assert_eq!(bench.statuses("alice", "REFER"), [202]);
    assert_eq!(bench.who("alice").reports().last(), Some(&200), "{}", bench.ladder());
    // The first invitation, then one for an offer and nothing more: what is done to join them is done once.
    assert_eq!(bench.requests("carol", Method::Invite).len(), 2, "{}", bench.ladder());
    assert_connected(&mut bench, "bob", "carol");
    let of_bob = bench.who("bob").invited[0];
    bench.hang_up("bob", of_bob);
    assert_eq!(bench.requests("carol", Method::Bye).len(), 1);
    bench.hang_up("alice", with_bob);
    bench.hang_up("alice", with_carol);
    bench.assert_over(2);
}

#[test]
fn an_invite_with_replaces_takes_the_place_of_the_party_it_names() {
    let mut bench = three_users();
    let of_alice = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    // Carol takes over from Alice: she names the dialog the exchange has with Alice.
    let answer = bench.received("alice").into_iter().rfind(|m| m.status() == Some(200)).expect("an answer");
    let tag = |name| value(&answer, name).split(";tag=").nth(1).expect("a tag").to_owned();
    let replaces = format!(
        "{};to-tag={};from-tag={}",
        value(&answer, HeaderName::CallId),
        tag(HeaderName::To),
        tag(HeaderName::From)
    );
    let of_carol = bench.dial_with("carol", "sip:bob@example.org", |spec| {
        spec.headers = vec![("Replaces".into(), replaces.into()), ("Require".into(), "replaces".into())];
    });
    bench.pass_s(1);
    assert_eq!(bench.statuses("carol", "INVITE").last(), Some(&200), "{}", bench.ladder());
    assert_eq!(bench.requests("alice", Method::Bye).len(), 1, "{}", bench.ladder());
    assert_connected(&mut bench, "bob", "carol");
    bench.hang_up("carol", of_carol);
    bench.hang_up("alice", of_alice);
    bench.assert_over(1);
}

#[test]
fn a_transfer_to_our_own_address_is_one_to_us() {
    let mut bench = three_users();
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    refer(&mut bench, "alice", session, "sip:carol@192.0.2.1:5060;transport=udp");
    assert_eq!(bench.who("alice").reports().last(), Some(&200), "{}", bench.ladder());
    assert_connected(&mut bench, "bob", "carol");
    bench.hang_up("alice", session);
    let of_carol = bench.who("carol").invited[0];
    bench.hang_up("carol", of_carol);
    bench.assert_over(1);
}

#[test]
fn a_transfer_elsewhere_goes_to_the_port_and_transport_it_names() {
    let config =
        format!("{USERS_ONLY}[[route]]\nname = \"elsewhere\"\nfrom_users = true\nto = [{{ dialled = true }}]\n");
    let mut bench = Bench::new(&config);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    bench.peer("far", "192.0.2.77:5099", Manner::Answers);
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    refer(&mut bench, "alice", session, "sip:anna@192.0.2.77:5099;transport=udp");
    let invite = bench.requests("far", Method::Invite).remove(0);
    assert_eq!(driver::uri(&invite), "sip:anna@192.0.2.77:5099;transport=udp");
    bench.hang_up("alice", session);
    let of_far = bench.who("far").invited[0];
    bench.hang_up("far", of_far);
    bench.assert_over(1);
}
