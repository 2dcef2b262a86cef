//! Calls whose media passes through the exchange.

mod driver;

use driver::{Bench, Manner, USERS_ONLY, body, rtp_address, text, value};
use std::net::SocketAddr;
use sx_media::{Latch, MediaCommand, PortId};
use sx_sip::message::{HeaderName, Method};
use sx_sip::session::{SessionEvent, SessionId};

fn alice_and_bob(bob: Manner) -> Bench {
    let mut bench = Bench::new(USERS_ONLY);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", bob);
    bench
}

/// The description that a peer was sent last in answer to one of its requests of this method.
fn answered(bench: &mut Bench, name: &str, method: &str) -> String {
    let received = bench.received(name);
    let mut answers = received.iter().filter(|m| m.status().is_some() && value(m, HeaderName::CSeq).ends_with(method));
    body(answers.rfind(|m| !m.body().is_empty()).expect("an answer with a description"))
}

/// The ports of ours that alice and bob were told, after a call of alice's was set up.
fn ports(bench: &mut Bench) -> (PortId, PortId) {
    let to_alice = answered(bench, "alice", "INVITE");
    let to_bob = body(bench.requests("bob", Method::Invite).last().expect("an INVITE"));
    (bench.port_named(&to_alice), bench.port_named(&to_bob))
}

fn assert_relayed(bench: &mut Bench, facing_alice: PortId, facing_bob: PortId) {
    let remote = |bench: &Bench, port| bench.remote_of(port).expect("a remote").rtp;
    let (alice, bob): (SocketAddr, SocketAddr) = (bench.who("alice").media(), bench.who("bob").media());
    assert_eq!((remote(bench, facing_alice), remote(bench, facing_bob)), (alice, bob));
    assert_eq!(bench.patch_of(facing_alice), Some(facing_bob));
    assert_eq!(bench.patch_of(facing_bob), Some(facing_alice));
}

#[test]
fn both_sides_are_told_ports_of_ours_that_are_patched_together_and_closed_in_the_end() {
    let mut bench = alice_and_bob(Manner::Answers);
    let session = bench.dial("alice", "sip:bob@example.org");
    assert_eq!(bench.open.len(), 2);
    let (facing_alice, facing_bob) = ports(&mut bench);
    assert_ne!(facing_alice, facing_bob);
    assert_relayed(&mut bench, facing_alice, facing_bob);
    let codecs = [facing_alice, facing_bob].map(|port| bench.remote_of(port).and_then(|remote| remote.codec));
    assert_eq!(codecs.map(|codec| codec.map(sx_types::Codec::name)), [Some("PCMU"); 2], "by which quality is reckoned");
    bench.hang_up("alice", session);
    assert!(bench.open.is_empty());
    bench.assert_over(1);
    let cdr = bench.ended()[0];
    assert!(cdr.caller_media.is_some() && cdr.called_media.is_some());
    assert_eq!(cdr.codec.map(sx_types::Codec::name), Some("PCMU"));
}

#[test]
fn early_media_reaches_the_caller_by_a_port_of_ours() {
    let mut bench = alice_and_bob(Manner::Early);
    let session = bench.dial("alice", "sip:bob@example.org");
    assert_eq!(bench.statuses("alice", "INVITE"), [407, 183]);
    let (facing_alice, facing_bob) = ports(&mut bench);
    assert_eq!(bench.patch_of(facing_bob), Some(facing_alice));
    bench.hang_up("alice", session);
    assert_eq!(bench.requests("bob", Method::Cancel).len(), 1);
    bench.assert_over(1);
}

#[test]
fn an_invite_without_offer_is_relayed_the_other_way_round() {
    let mut bench = alice_and_bob(Manner::Answers);
    let session = bench.dial_with("alice", "sip:bob@example.org", |spec| spec.offer = None);
    let offered = answered(&mut bench, "alice", "INVITE");
    let facing_alice = bench.port_named(&offered);
    bench.act("alice", |peer, _| {
        let answer = peer.describe("sendrecv");
        peer.agent.confirm(session, answer);
    });
    let acknowledged = bench.requests("bob", Method::Ack).pop().expect("an ACK");
    let facing_bob = bench.port_named(&body(&acknowledged));
    assert_relayed(&mut bench, facing_alice, facing_bob);
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

#[test]
fn without_ports_the_call_is_refused_with_the_reason() {
    let mut bench = alice_and_bob(Manner::Answers);
    bench.no_ports = true;
    bench.dial("alice", "sip:bob@example.org");
    let refusal = bench.received("alice").pop().expect("a refusal");
    assert_eq!(refusal.status(), Some(503));
    assert!(value(&refusal, HeaderName::Warning).starts_with("399 "), "{}", text(&refusal));
    assert!(bench.requests("bob", Method::Invite).is_empty());
    bench.assert_over(1);
}

#[test]
fn media_may_pass_between_the_parties() {
    let mut bench = Bench::new(&format!("{USERS_ONLY}[media]\nmode = \"direct\"\n"));
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
    let session = bench.dial("alice", "sip:bob@example.org");
    assert_eq!(rtp_address(&answered(&mut bench, "alice", "INVITE")), bench.who("bob").media());
    assert!(bench.media.is_empty());
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

fn change(bench: &mut Bench, name: &str, session: SessionId, direction: &str) {
    bench.act(name, |peer, now| {
        let offer = peer.describe(direction);
        peer.agent.offer(now, session, Some(offer));
    });
    bench.pass_s(1);
}

#[test]
fn hold_and_resume_reach_the_other_side_and_the_ports() {
    let mut bench = alice_and_bob(Manner::Answers);
    let session = bench.dial("alice", "sip:bob@example.org");
    let (facing_alice, facing_bob) = ports(&mut bench);
    bench.pass_s(1);
    for (direction, back, alice_receives, bob_receives) in
        [("sendonly", "recvonly", false, true), ("sendrecv", "sendrecv", true, true)]
    {
        let before = bench.lines.len();
        change(&mut bench, "alice", session, direction);
        let bob = bench.who("bob").address;
        let offered = bench.lines[before..].iter().map(driver::Line::message).zip(&bench.lines[before..]);
        let offered = offered.filter(|(m, line)| line.to == bob && m.method().is_some() && !m.body().is_empty());
        let offered: Vec<String> = offered.map(|(message, _)| body(&message)).collect();
        assert_eq!(offered.len(), 1, "{}", bench.ladder());
        assert!(offered[0].contains(&format!("a={direction}")), "{}", offered[0]);
        assert_eq!(bench.port_named(&offered[0]), facing_bob);
        assert!(answered(&mut bench, "alice", "").contains(&format!("a={back}")));
        assert_eq!(bench.remote_of(facing_alice).expect("a remote").receives, alice_receives, "{direction}");
        assert_eq!(bench.remote_of(facing_bob).expect("a remote").receives, bob_receives, "{direction}");
    }
    let accepted = bench.who("alice").events.iter().filter(|(_, e)| matches!(e, SessionEvent::OfferAccepted { .. }));
    assert_eq!(accepted.count(), 2);
    assert_relayed(&mut bench, facing_alice, facing_bob);
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

#[test]
fn the_called_party_may_hold_too() {
    let mut bench = alice_and_bob(Manner::Answers);
    let session = bench.dial("alice", "sip:bob@example.org");
    let of_bob = bench.who("bob").invited[0];
    bench.pass_s(1);
    change(&mut bench, "bob", of_bob, "inactive");
    let offered = |event: &SessionEvent| matches!(event, SessionEvent::Offered { description: Some(_) });
    assert!(bench.who("alice").has(offered));
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

#[test]
fn a_change_that_the_other_side_refuses_is_refused() {
    let mut bench = alice_and_bob(Manner::Answers);
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    bench.who("bob").accepts_changes = false;
    let of_bob = bench.who("bob").invited[0];
    change(&mut bench, "alice", session, "sendonly");
    bench.act("bob", |peer, now| peer.agent.refuse_offer(now, of_bob, 488, &|_| {}));
    assert!(bench.who("alice").has(|event| matches!(event, SessionEvent::OfferRefused { status: 488 })));
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

#[test]
fn a_party_that_falls_silent_ends_the_call() {
    let mut bench = alice_and_bob(Manner::Answers);
    bench.dial("alice", "sip:bob@example.org");
    let (facing_alice, _) = ports(&mut bench);
    bench.tell(0, sx_exchange::Input::Media(sx_media::MediaEvent::Silent { port: facing_alice }));
    assert_eq!(bench.requests("alice", Method::Bye).len(), 1);
    assert_eq!(bench.requests("bob", Method::Bye).len(), 1);
    bench.assert_over(1);
}

/// A telephone with a private address is registered from another one.
fn bob_behind_a_nat(config: &str) -> Bench {
    let mut bench = Bench::new(config);
    bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
    bench.peer("bob", "192.0.2.12:5060", Manner::Answers);
    bench.act("bob", |peer, now| {
        let mut spec = peer.registration("bob", "bob", driver::PASSWORD, 3_600);
        spec.headers[0].1 = "<sip:bob@10.1.2.3:5060>".into();
        peer.agent.request(now, 1, spec);
    });
    bench
}

#[test]
fn a_telephone_behind_a_nat_is_heard_when_it_is_called() {
    let address = "192.0.2.12".parse().expect("an address");
    for (latch, expected) in [("nat", Latch::Nat(address)), ("port", Latch::Port)] {
        let mut bench = bob_behind_a_nat(&format!("{USERS_ONLY}[media]\nlatch = \"{latch}\"\n"));
        let session = bench.dial("alice", "sip:bob@example.org");
        let (facing_alice, facing_bob) = ports(&mut bench);
        assert_eq!(bench.remote_of(facing_bob).map(|remote| remote.latch), Some(expected));
        assert_eq!(bench.remote_of(facing_alice).map(|remote| remote.latch), Some(Latch::Port));
        bench.hang_up("alice", session);
        bench.assert_over(1);
    }
}

/// Its Contact says nothing of a NAT; the address in its offer does.
#[test]
fn a_caller_with_a_private_address_is_heard_from_where_its_invite_came() {
    let address = "192.0.2.11".parse().expect("an address");
    for (latch, expected) in [("nat", Latch::Nat(address)), ("port", Latch::Port), ("exact", Latch::Exact)] {
        let mut bench = Bench::new(&format!("{USERS_ONLY}[media]\nlatch = \"{latch}\"\n"));
        bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
        bench.phone("bob", "192.0.2.12:5060", Manner::Answers);
        let session = bench.dial_with("alice", "sip:bob@example.org", |spec| {
            let offer = spec.offer.take().expect("an offer");
            spec.offer = Some(String::from_utf8_lossy(&offer).replace("192.0.2.11", "10.1.2.3").into());
        });
        let (facing_alice, facing_bob) = ports(&mut bench);
        let remote = bench.remote_of(facing_alice).expect("a remote");
        assert_eq!((remote.rtp.ip().to_string(), remote.latch), ("10.1.2.3".to_owned(), expected));
        let ordinary = if latch == "exact" { Latch::Exact } else { Latch::Port };
        assert_eq!(bench.remote_of(facing_bob).map(|remote| remote.latch), Some(ordinary));
        bench.hang_up("alice", session);
        bench.assert_over(1);
    }
}

/// Behind a NAT nobody can be reached but on the way the registration came.
#[test]
fn a_long_invite_to_a_telephone_behind_a_nat_keeps_to_its_way() {
    let mut bench = bob_behind_a_nat(USERS_ONLY);
    let session = bench.dial_with("alice", "sip:bob@example.org", |spec| {
        let offer = spec.offer.take().expect("an offer");
        let long = format!("{}a=note:{}\r\n", String::from_utf8_lossy(&offer), "x".repeat(64_400));
        spec.offer = Some(long.into());
    });
    let invite = bench.requests("bob", Method::Invite).remove(0);
    assert!(value(&invite, HeaderName::Via).starts_with("SIP/2.0/UDP"), "{}", text(&invite));
    bench.hang_up("alice", session);
    bench.assert_over(1);
}

#[test]
fn where_the_media_interface_has_only_ipv6_that_is_what_everybody_is_offered() {
    for (bind, expected) in [("2001:db8::1", true), ("192.0.2.1", false), ("192.0.2.1\", \"2001:db8::1", false)] {
        let interfaces = format!("[media]\ninterfaces = [{{ name = \"default\", bind = [\"{bind}\"] }}]\n");
        let mut bench = Bench::new(&format!("{USERS_ONLY}{interfaces}"));
        bench.phone("alice", "192.0.2.11:5060", Manner::Answers);
        bench.phone("bob", "192.0.2.12:5060", Manner::Rings);
        bench.dial("alice", "sip:bob@example.org");
        let families = bench.media.iter().filter_map(|command| match command {
            MediaCommand::Open { ipv6, .. } => Some(*ipv6),
            _ => None,
        });
        // The caller has said what it wants; the called party has not yet.
        assert_eq!(families.collect::<Vec<_>>(), [false, expected], "{bind}");
    }
}

#[test]
fn a_change_that_the_exchange_refuses_is_refused_with_the_reason_and_written_down() {
    let mut bench = alice_and_bob(Manner::Answers);
    let session = bench.dial("alice", "sip:bob@example.org");
    bench.pass_s(1);
    bench.act("alice", |peer, now| {
        let offer = String::from_utf8(peer.describe("sendrecv").to_vec()).expect("text");
        peer.agent.offer(now, session, Some(offer.replace("RTP/AVP", "RTP/SAVP").into()));
    });
    let refusal = bench.received("alice").pop().expect("a refusal");
    assert_eq!(refusal.status(), Some(488));
    assert_eq!(value(&refusal, HeaderName::Warning), "399 strowger \"no key of stream 0 can be used\"");
    let record = bench.last_recorded("rejected");
    assert_eq!(record["call_id"], bench.recorded("invite")[0]["call_id"]);
    assert_eq!((&record["outcome"], &record["reason"]), (&"reject".into(), &"no key of stream 0 can be used".into()));
    assert_eq!((&record["facts"]["change"], &record["facts"]["cause"]), (&"session".into(), &88.into()));
    bench.hang_up("alice", session);
    bench.assert_over(1);
}
