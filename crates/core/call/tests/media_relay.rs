//! Media that passes through ports of ours.

mod driver;

use driver::{A, B, C, Threads, World, alice, answer, bob, offer, sdp};
use std::time::Duration;
use sx_call::{Found, Input, Settings};
use sx_leg::{LegEvent, Target};
use sx_media::{Latch, MediaEvent, PortId};
use sx_route::{LatchMode, MediaMode};
use sx_types::Cause;

fn relay() -> World {
    World::new(MediaMode::Relay)
}

/// Both ways between the ports with these indices.
#[track_caller]
fn assert_patched(world: &World, one: u64, other: u64) {
    let index = |port: &PortId| port.0 & 0xff;
    let pairs: Vec<_> = world.patched.iter().map(|(from, to)| (index(from), index(to))).collect();
    assert_eq!(pairs, [(one, other), (other, one)]);
}

fn remote_of(world: &World, index: u64) -> String {
    let found = world.remotes.iter().find(|(port, _)| port.0 & 0xff == index);
    found.map(|(_, remote)| remote.rtp.to_string()).unwrap_or_default()
}

#[test]
fn each_party_is_told_ports_of_ours_and_media_flows_both_ways() {
    let mut world = relay();
    world.incoming(A, "300", Some(&alice())).expect(&["out0 dial one/300 10.0.0.1:20002 sendrecv"]);
    world.answers(B, Some(answer(&bob()))).expect(&["a answer answer:10.0.0.1:20000 sendrecv"]);
    assert_patched(&world, 0, 1);
    assert_eq!((remote_of(&world, 0), remote_of(&world, 1)), ("192.0.2.1:4000".into(), "192.0.2.2:5000".into()));
    world.ends(B, 0).expect(&["a hangup 16"]);
    let cdr = world.the_record();
    assert_eq!(cdr.codec, Some(sx_types::Codec::Pcmu));
    assert_eq!(cdr.caller_media.map(|stats| stats.packets_received), Some(1000));
    assert_eq!(cdr.called_media.map(|stats| stats.packets_received), Some(1001));
}

#[test]
fn a_contact_without_a_flow_is_faced_where_its_address_or_its_proxys_leads() {
    let settings = Settings { host_in: |uri| uri.strip_prefix("at:")?.parse().ok(), ..Settings::default() };
    let mut world = World::with(driver::definition(MediaMode::Relay), settings);
    world.incoming(A, "bob", Some(&alice()));
    let contact = |uri: &str, path: &[&str]| {
        let path = path.iter().map(|hop| (*hop).into()).collect();
        Target::Contact { uri: uri.into(), path, flow: None }
    };
    let contacts = vec![contact("at:192.0.2.2", &[]), contact("at:10.0.0.9", &["at:192.0.2.3"]), contact("bob", &[])];
    let (query, _) = world.queries.pop().expect("somebody was looked for");
    world.input(Input::Located { query, found: Found::Contacts(contacts) });
    let faced: Vec<_> = world.faced.iter().map(|host| host.map(|host| host.to_string())).collect();
    let known = |host: &str| Some(host.to_owned());
    assert_eq!(faced, [None, known("192.0.2.2"), known("192.0.2.3"), None]);
}

#[test]
fn a_port_is_named_by_worker_call_and_index() {
    let mut world =
        World::with(driver::definition(MediaMode::Relay), Settings { worker: 0xabc, ..Settings::default() });
    world.incoming(A, "300", Some(&alice()));
    assert!(world.ports.iter().all(|port| port.0 >> 48 == 0xabc));
    assert_eq!(world.ports[0].0 >> 8, world.ports[1].0 >> 8);
    assert_ne!(world.ports[0], world.ports[1]);
}

#[test]
fn early_media_flows_before_the_answer_and_the_losers_ports_are_closed() {
    let mut world = relay();
    world.incoming(A, "200", Some(&alice())).forget_lines();
    world.early(C, &bob()).expect(&["a progress SessionProgress answer:10.0.0.1:20000 sendrecv"]);
    assert_patched(&world, 0, 2);
    world.answers(B, Some(answer(&sdp("192.0.2.3", 6000, "sendrecv"))));
    assert_patched(&world, 0, 1);
    assert_eq!(world.ports.len(), 2);
    world.ends(A, 0);
    world.the_record();
}

#[test]
fn an_answer_that_repeats_the_early_one_is_told_in_the_same_words() {
    let mut world = relay();
    world.incoming(A, "300", Some(&alice())).early(B, &bob()).forget_lines();
    world.answers(B, Some(answer(&bob()))).expect(&["a answer answer:10.0.0.1:20000 sendrecv"]);
}

#[test]
fn a_party_behind_a_nat_is_believed_by_where_its_signalling_comes_from() {
    let mut world = relay();
    let (ours, theirs) = ("203.0.113.1".parse().expect("ip"), "203.0.113.2".parse().expect("ip"));
    world.input(Input::Nat { leg: A, address: ours });
    world.incoming(A, "300", Some(&alice())).input(Input::Nat { leg: B, address: theirs });
    world.answers(B, Some(answer(&bob())));
    assert_eq!(latches(&world), [Latch::Nat(ours), Latch::Nat(theirs)]);
}

/// The latches of the ports, the caller's first.
fn latches(world: &World) -> Vec<Latch> {
    world.remotes.values().map(|remote| remote.latch).collect()
}

/// Nobody has said that they are behind a NAT: their private addresses do.
#[test]
fn a_private_address_that_is_not_where_the_signalling_comes_from_is_not_believed_alone() {
    let (ours, theirs) = ("203.0.113.1".parse().expect("ip"), "203.0.113.2".parse().expect("ip"));
    for (latch, said, expected) in [
        (LatchMode::Nat, "192.168.1.20", [Latch::Nat(ours), Latch::Nat(theirs)]),
        (LatchMode::Nat, "100.64.0.1", [Latch::Nat(ours), Latch::Nat(theirs)]),
        (LatchMode::Nat, "192.0.2.1", [Latch::Port, Latch::Port]),
        (LatchMode::Port, "192.168.1.20", [Latch::Port, Latch::Port]),
        (LatchMode::Exact, "192.168.1.20", [Latch::Exact, Latch::Exact]),
    ] {
        let mut definition = driver::definition(MediaMode::Relay);
        definition.users.access.latch = latch;
        (definition.trunks[0].access.latch, definition.trunks[0].access.host) = (latch, Some(theirs));
        let mut world = World::with(definition, Settings::default());
        let alice = sdp(said, 4000, "sendrecv");
        world.incoming_with(A, "300", Some(&alice), |incoming| incoming.host = Some(ours));
        world.answers(B, Some(answer(&sdp(said, 5000, "sendrecv"))));
        assert_eq!(latches(&world), expected, "{latch:?} {said}");
        // Where packets go until there is one to learn from, nobody knows better than the party.
        assert_eq!(remote_of(&world, 0), format!("{said}:4000"));
        assert_patched(&world, 0, 1);
        // On hold and back again it is the same peer, so that what was learnt stays.
        world.offers(A, Some(&sdp(said, 4000, "sendonly"))).accepts(B, answer(&sdp(said, 5000, "recvonly")));
        assert_eq!(latches(&world), expected, "{latch:?} {said}");
        world.ends(A, 0);
        world.the_record();
    }
}

#[test]
fn each_stream_is_latched_by_its_own_address() {
    let mut world = relay();
    let host = "203.0.113.1".parse().expect("ip");
    let public = "m=audio 4002 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n";
    let alice = format!("{}{public}", sdp("10.0.0.7", 4000, "sendrecv"));
    world.incoming_with(A, "300", Some(&alice), |incoming| incoming.host = Some(host));
    world.answers(B, Some(answer(&format!("{}m=audio 5002 RTP/AVP 0\r\n", bob()))));
    assert_eq!((remote_of(&world, 0), remote_of(&world, 1)), ("10.0.0.7:4000".into(), "192.0.2.1:4002".into()));
    assert_eq!(latches(&world)[..2], [Latch::Nat(host), Latch::Port]);
}

#[test]
fn hold_reaches_the_ports_when_it_is_accepted() {
    let mut world = relay();
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob()))).forget_lines();
    world.offers(A, Some(&sdp("192.0.2.1", 4000, "sendonly"))).expect(&["out0 offer 10.0.0.1:20002 sendonly"]);
    world.accepts(B, answer(&sdp("192.0.2.2", 5000, "recvonly")));
    world.expect(&["a answer-offer answer:10.0.0.1:20000 recvonly"]);
    let directions: Vec<_> = world.remotes.values().map(|remote| (remote.receives, remote.sends)).collect();
    assert_eq!(directions, [(false, true), (true, false)]);
}

#[test]
fn a_stream_that_is_added_gets_ports_before_it_is_offered() {
    let mut world = relay();
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob()))).forget_lines();
    let two = format!("{}m=audio 4002 RTP/AVP 0\r\n", alice());
    world.offers(A, Some(&two)).expect(&["out0 offer 10.0.0.1:20002,20006 sendrecv"]);
    let refused = format!("{}m=audio 0 RTP/AVP 0\r\n", bob());
    world.accepts(B, answer(&refused)).expect(&["a answer-offer answer:10.0.0.1:20000,0 sendrecv"]);
    world.ends(A, 0);
    world.the_record();
}

#[test]
fn the_called_partys_offer_waits_for_ports_on_both_sides() {
    let mut world = relay();
    world.incoming(A, "300", None).expect(&["out0 dial one/300 nothing"]);
    world.answers(B, Some(offer(&bob()))).expect(&["a answer offer:10.0.0.1:20000 sendrecv"]);
    world.event(A, LegEvent::Confirmed { media: Some(answer(&alice())) });
    world.expect(&["out0 confirm answer:10.0.0.1:20002 sendrecv"]);
    assert_patched(&world, 0, 1);
    world.ends(A, 0);
    world.the_record();
}

#[test]
fn without_a_port_the_call_is_refused_with_503() {
    let mut world = relay();
    world.threads = Threads::Fail;
    world.incoming(A, "300", Some(&alice())).expect(&["a reject 503 47"]);
    assert!(
        world
            .the_record()
            .attempts
            .iter()
            .all(|attempt| attempt.cause == Cause::NO_RESOURCE || attempt.cause == Cause::NORMAL)
    );
}

#[test]
fn packet_threads_that_say_nothing_are_not_waited_for() {
    let mut world = relay();
    world.threads = Threads::Silent;
    world.incoming(A, "300", Some(&alice())).expect(&[]);
    world.after(Duration::from_millis(2500)).expect(&["a reject 503 47"]);
    assert_eq!(world.records.len(), 1, "the record waits for the ports");
    world.after(Duration::from_secs(1));
    world.the_record();
}

#[test]
fn where_there_is_no_address_of_its_family_a_party_is_told_so_and_not_that_there_is_no_room() {
    let mut world = World::with(driver::definition(MediaMode::Relay), Settings::default());
    world.threads = Threads::Silent;
    world.incoming(A, "300", Some(&alice())).forget_lines();
    let (port, _) = world.asked[0];
    let error = sx_media::OpenError::NoInterface;
    world.media(MediaEvent::OpenFailed { port, error }).expect(&["a reject 488 88"]);
}

#[test]
fn a_target_whose_ports_are_not_open_when_its_time_is_up_is_not_hung_up() {
    let settings = Settings { port_wait: Duration::from_secs(60), ..Settings::default() };
    let mut world = World::with(driver::definition(MediaMode::Relay), settings);
    world.threads = Threads::Silent;
    world.incoming(A, "300", Some(&alice())).after(Duration::from_secs(21)).expect(&["a reject 0 102"]);
    world.after(Duration::from_secs(1));
    world.the_record();
}

#[test]
fn a_port_that_fails_after_it_was_given_up_keeps_the_record_from_nothing() {
    let settings = Settings { close_wait: Duration::from_secs(60), ..Settings::default() };
    let mut world = World::with(driver::definition(MediaMode::Relay), settings);
    world.threads = Threads::Silent;
    world.incoming(A, "300", Some(&alice())).after(Duration::from_millis(2500)).forget_lines();
    for (port, _) in world.asked.clone() {
        world.media(MediaEvent::OpenFailed { port, error: sx_media::OpenError::PoolExhausted }).expect(&[]);
    }
    assert_eq!(world.records.len(), 2, "the record waits for nothing");
    world.the_record();
}

#[test]
fn an_added_stream_gets_a_port_of_the_family_of_the_party_it_faces() {
    let mut definition = driver::definition(MediaMode::Relay);
    definition.trunks[0].access.ipv6 = true;
    let mut world = World::with(definition, Settings::default());
    let bob = bob().replace("IP4", "IP6").replace("192.0.2.2", "2001:db8::2");
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob))).forget_lines();
    world.offers(A, Some(&format!("{}m=audio 4002 RTP/AVP 0\r\n", alice())));
    let families: Vec<bool> = world.asked.iter().map(|(_, ipv6)| *ipv6).collect();
    assert_eq!(families, [false, true, false, true]);
}

#[test]
fn who_makes_the_offer_says_the_family() {
    let mut world = relay();
    let bob = bob().replace("IP4", "IP6").replace("192.0.2.2", "2001:db8::2");
    world.incoming(A, "300", None).answers(B, Some(offer(&bob)));
    assert_eq!(world.asked.iter().map(|(_, ipv6)| *ipv6).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_change_that_needs_a_port_is_refused_when_there_is_none() {
    let mut world = relay();
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob()))).forget_lines();
    world.threads = Threads::Fail;
    let two = format!("{}m=audio 4002 RTP/AVP 0\r\n", alice());
    world.offers(A, Some(&two)).expect(&["a refuse-offer 503 47"]);
    world.offers(B, Some(&bob())).expect(&["a offer 10.0.0.1:20000 sendrecv"]);
    world.ends(A, 0);
    world.the_record();
}

#[test]
fn a_party_that_is_not_heard_ends_the_call() {
    let mut world = relay();
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob()))).forget_lines();
    let port = world.ports[0];
    world.media(MediaEvent::Silent { port }).expect(&["a hangup 41", "out0 hangup 41"]);
    assert_eq!(world.the_record().ended_by, sx_call::Ender::Timer);
}

#[test]
fn a_description_that_cannot_be_read_is_refused() {
    let mut world = relay();
    world.incoming(A, "300", Some("what?")).expect(&["a reject 0 95"]);
    assert_eq!(world.the_record().status, 400);
}

#[test]
fn a_description_with_too_many_streams_is_refused() {
    let mut world = relay();
    let many = format!("{}{}", alice(), "m=audio 4002 RTP/AVP 0\r\n".repeat(8));
    world.incoming(A, "300", Some(&many)).expect(&["a reject 0 88"]);
    assert!(world.ports.is_empty());
}

#[test]
fn an_answer_that_cannot_be_read_ends_the_attempt() {
    let mut world = relay();
    world.incoming(A, "300", Some(&alice())).forget_lines();
    world.answers(B, Some(answer("what?"))).expect(&["out0 hangup 88", "a reject 0 88"]);
    world.the_record();
}

/// The caller has said where its media is, and would wait for ever to hear where the other's is.
#[test]
fn who_answers_without_a_description_is_hung_up_and_the_caller_is_told() {
    for mode in [MediaMode::Relay, MediaMode::Direct] {
        let mut world = World::new(mode);
        world.incoming(A, "300", Some(&alice())).rings(B).forget_lines();
        world.answers(B, None).expect(&["out0 hangup 88", "a reject 0 88"]);
        assert_eq!(world.the_record().answer, None);
    }
}
