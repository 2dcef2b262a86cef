//! Parties that are connected elsewhere.

mod driver;

use driver::{A, B, C, World, alice, answer, bob, carol, offer, sdp};
use sx_call::{Note, Settings};
use sx_leg::{Address, Incoming, LegEvent, Source};
use sx_media::{MediaEvent, Opened};
use sx_route::MediaMode;
use sx_types::{Cause, LegId};

/// A second incoming leg, and the one that goes out for it.
const E: LegId = LegId(2);

/// A and B are connected.
fn connected(mode: MediaMode) -> World {
    let mut world = World::new(mode);
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob()))).forget_lines();
    world
}

/// A with B, and A's second leg with C.
fn two_calls(mode: MediaMode) -> World {
    let mut world = connected(mode);
    world.incoming(E, "300", Some(&alice())).answers(C, Some(answer(&carol()))).forget_lines();
    world
}

#[test]
fn a_blind_transfer_connects_the_one_that_stays_with_the_target() {
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).expect(&["a transfer-progress 100", "out1 dial one/301 nothing"]);
    world.rings(C).expect(&["a transfer-progress 180"]);
    world.answers(C, Some(offer(&carol()))).expect(&["out0 offer 10.0.0.1:20002 sendrecv"]);
    world.accepts(B, answer(&bob())).expect(&[
        "out1 confirm answer:10.0.0.1:20004 sendrecv",
        "a transfer-progress 200",
        "a hangup 16",
    ]);
    let pairs: Vec<_> = world.patched.iter().map(|(from, to)| (from.0 & 0xff, to.0 & 0xff)).collect();
    assert_eq!(pairs, [(1, 2), (2, 1)]);
    assert!(world.notes.iter().any(|note| matches!(note, Note::Transferred { stays: B, joins: C, .. })));
    world.let_end().ends(C, 0).expect(&["out0 hangup 16"]);
    assert_eq!(world.the_record().attempts.len(), 2);
}

#[test]
fn descriptions_of_a_direct_call_pass_as_they_are_in_a_transfer_too() {
    let mut world = World::new(MediaMode::Direct);
    world.incoming(A, "300", Some("OA")).answers(B, Some(answer("AB"))).forget_lines();
    world.transfer(A, "301", None).answers(C, Some(offer("OC"))).accepts(B, answer("AB2"));
    world.expect(&[
        "a transfer-progress 100",
        "out1 dial one/301 nothing",
        "out0 offer OC",
        "out1 confirm answer:AB2",
        "a transfer-progress 200",
        "a hangup 16",
    ]);
}

#[test]
fn a_target_that_is_busy_leaves_the_parties_as_they_were() {
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).forget_lines();
    world.ends(C, 486).expect(&["a transfer-progress 486"]);
    world.offers(A, Some(&alice())).expect(&["out0 offer 10.0.0.1:20002 sendrecv"]);
    world.ends(A, 0);
    world.the_record();
}

#[test]
fn the_transferor_need_not_wait() {
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).forget_lines();
    world.ends(A, 0).expect(&[]);
    world.rings(C).answers(C, Some(offer(&carol()))).expect(&["out0 offer 10.0.0.1:20002 sendrecv"]);
    // The port that faced the transferor is closed, and its name is free again.
    world.accepts(B, answer(&bob())).expect(&["out1 confirm answer:10.0.0.1:20000 sendrecv"]);
    world.ends(B, 0).expect(&["out1 hangup 16"]);
    world.the_record();
}

#[test]
fn what_the_one_that_stays_has_asked_the_transferor_is_refused_when_that_leaves() {
    for said in [Some(bob()), None] {
        let mut world = connected(MediaMode::Relay);
        world.transfer(A, "301", None).offers(B, said.as_deref()).forget_lines();
        world.ends(A, 0).expect(&["out0 refuse-offer 491 31"]);
        world.answers(C, Some(offer(&carol()))).expect(&["out0 offer 10.0.0.1:20002 sendrecv"]);
        world.accepts(B, answer(&bob())).expect(&["out1 confirm answer:10.0.0.1:20000 sendrecv"]);
        world.ends(B, 0).expect(&["out1 hangup 16"]);
        world.the_record();
    }
}

#[test]
fn the_offer_that_the_one_that_stays_was_asked_for_is_answered_when_the_transferor_leaves() {
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).offers(A, None).accepts(B, offer(&bob())).forget_lines();
    world.ends(A, 0).expect(&["out0 confirm answer:10.0.0.1:20002 sendrecv"]);
    world.answers(C, Some(offer(&carol()))).expect(&["out0 offer 10.0.0.1:20002 sendrecv"]);
    world.accepts(B, answer(&bob())).ends(B, 0);
    world.the_record();
    // With no answer to give, it is hung up; so it is when its offer comes after the transferor has left.
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).offers(A, None).ends(A, 0).forget_lines();
    world.accepts(B, offer(&bob())).expect(&["out1 hangup 16", "out0 hangup 88"]);
    world.the_record();
    let mut world = connected(MediaMode::Relay);
    let other = bob().replace("RTP/AVP 0", "RTP/AVP 9");
    world.transfer(A, "301", None).offers(A, None).accepts(B, offer(&other)).forget_lines();
    world.ends(A, 0).expect(&["out1 hangup 16", "out0 hangup 88"]);
    world.the_record();
}

#[test]
fn the_one_that_stays_is_hung_up_when_the_target_fails_and_the_transferor_has_left() {
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).ends(A, 0).forget_lines();
    world.ends(C, 486).expect(&["out0 hangup 17"]);
    world.the_record();
}

#[test]
fn the_one_that_was_to_stay_may_leave() {
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).forget_lines();
    world.ends(B, 0).expect(&["out1 hangup 16", "a transfer-progress 487", "a hangup 16"]);
    world.the_record();
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).answers(C, Some(offer(&carol()))).forget_lines();
    world.ends(B, 0).expect(&["out1 hangup 16", "a hangup 16"]);
    world.the_record();
}

#[test]
fn a_change_that_the_one_that_stays_refuses_ends_the_transfer() {
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).answers(C, Some(offer(&carol()))).forget_lines();
    world.event(B, LegEvent::OfferRefused { cause: Cause::INCOMPATIBLE, status: 488, sentence: Box::default() });
    world.expect(&["out1 hangup 88", "a transfer-progress 488"]);
    world.let_end().ends(A, 0).expect(&["out0 hangup 16"]);
    world.the_record();
}

#[test]
fn an_offer_that_meets_another_during_a_transfer_is_repeated() {
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).answers(C, Some(offer(&carol()))).forget_lines();
    world.offers(B, Some(&bob())).expect(&["out0 refuse-offer 491 31"]);
    world.event(B, LegEvent::OfferRefused { cause: Cause(31), status: 491, sentence: Box::default() }).expect(&[]);
    world.after(std::time::Duration::from_secs(2)).expect(&["out0 offer 10.0.0.1:20002 sendrecv"]);
}

#[test]
fn a_target_that_answers_while_the_session_changes_waits() {
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).offers(A, Some(&sdp("192.0.2.1", 4000, "sendonly"))).forget_lines();
    world.answers(C, Some(offer(&carol()))).expect(&[]);
    world.accepts(B, answer(&sdp("192.0.2.2", 5000, "recvonly")));
    world.expect(&["a answer-offer answer:10.0.0.1:20000 recvonly", "out0 offer 10.0.0.1:20002 sendrecv"]);
}

#[test]
fn who_may_not_transfer_is_403_and_who_asks_twice_is_491() {
    let mut world = connected(MediaMode::Relay);
    // The called party is a trunk, which by default may not.
    let mut definition = driver::definition(MediaMode::Relay);
    definition.trunks[0].access.transfers = false;
    let mut barred = World::with(definition, Settings::default());
    barred.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob()))).forget_lines();
    barred.transfer(B, "301", None).expect(&["out0 transfer-progress 403"]);
    world.transfer(A, "301", None).forget_lines();
    world.transfer(A, "302", None).expect(&["a transfer-progress 491"]);
}

#[test]
fn who_is_being_transferred_is_told_that_it_may_not_ask_for_the_same_now() {
    let mut world = connected(MediaMode::Relay);
    world.transfer(A, "301", None).rings(C).ends(A, 0).forget_lines();
    world.transfer(B, "302", None).expect(&["out0 transfer-progress 491"]);
}

#[test]
fn an_attended_transfer_joins_the_two_others() {
    let mut world = two_calls(MediaMode::Relay);
    world.transfer(A, "301", Some(E)).expect(&["a transfer-progress 100", "b hangup 16", "out1 offer nothing"]);
    world.accepts(C, offer(&carol())).expect(&["out0 offer 10.0.0.1:20002 sendrecv"]);
    world.accepts(B, answer(&bob())).expect(&[
        "out1 confirm answer:10.0.0.1:20004 sendrecv",
        "a transfer-progress 200",
        "a hangup 16",
    ]);
    world.let_end().ends(B, 0).expect(&["out1 hangup 16"]);
    assert_eq!(world.all_records().len(), 2);
}

#[test]
fn an_attended_transfer_to_a_leg_that_is_not_there_is_481() {
    let mut world = two_calls(MediaMode::Relay);
    world.transfer(A, "301", Some(LegId(77))).expect(&["a transfer-progress 481"]);
    world.transfer(A, "301", Some(B)).expect(&["a transfer-progress 481"]);
    world.ends(A, 0).ends(E, 0);
    assert_eq!(world.all_records().len(), 2);
}

#[test]
fn a_leg_comes_in_and_takes_the_place_of_another() {
    let mut world = connected(MediaMode::Relay);
    world.incoming_with(E, "300", Some(&carol()), |incoming| incoming.replaces = Some(A));
    world.expect(&["out0 offer 10.0.0.1:20002 sendrecv"]);
    world.accepts(B, answer(&bob())).expect(&["b answer answer:10.0.0.1:20004 sendrecv", "a hangup 16"]);
    world.let_end().ends(E, 0).expect(&["out0 hangup 16"]);
    world.the_record();
}

#[test]
fn a_leg_that_takes_a_place_without_an_offer_is_made_one() {
    let mut world = connected(MediaMode::Relay);
    world.incoming_with(E, "300", None, |incoming| incoming.replaces = Some(A)).expect(&["out0 offer nothing"]);
    world.accepts(B, offer(&bob())).expect(&["b answer offer:10.0.0.1:20004 sendrecv", "a hangup 16"]);
    world.event(E, LegEvent::Confirmed { media: Some(answer(&carol())) });
    world.expect(&["out0 confirm answer:10.0.0.1:20002 sendrecv"]);
    world.let_end().ends(E, 0);
    world.the_record();
}

#[test]
fn nobody_takes_the_place_of_somebody_else() {
    for other in [Source::User(Address::new("mallory", "pbx")), Source::Trunk("two".into()), Source::Exchange] {
        let mut world = connected(MediaMode::Relay);
        world.incoming_with(E, "300", Some(&carol()), |incoming| {
            incoming.replaces = Some(A);
            incoming.source = other;
        });
        world.expect(&["b reject 403 57"]).ends(A, 0).expect(&["out0 hangup 16"]);
        world.ended.push(E);
        world.the_record();
    }
    // Nor does a user take that of the trunk it talks to; the trunk takes its own.
    let mut world = connected(MediaMode::Relay);
    world.incoming_with(E, "300", Some(&carol()), |incoming| incoming.replaces = Some(B)).expect(&["b reject 403 57"]);
    let own = |incoming: &mut Incoming| (incoming.replaces, incoming.source) = (Some(B), Source::Trunk("one".into()));
    world.incoming_with(LegId(3), "300", Some(&carol()), own).expect(&["a offer 10.0.0.1:20000 sendrecv"]);
}

#[test]
fn nobody_sends_its_party_into_the_place_of_somebody_else() {
    let mut world = connected(MediaMode::Relay);
    let bob = |incoming: &mut Incoming| incoming.source = Source::User(Address::new("bob", "pbx"));
    world.incoming_with(E, "300", Some(&alice()), bob).answers(C, Some(answer(&carol()))).forget_lines();
    world.transfer(A, "301", Some(E)).expect(&["a transfer-progress 403"]);
    world.ends(A, 0).ends(E, 0);
    assert_eq!(world.all_records().len(), 2);
}

/// Alice calls Bob, whose telephone rings.
fn ringing() -> World {
    let mut world = World::new(MediaMode::Relay);
    world.incoming(A, "bob", Some(&alice())).found(&["sip:bob@192.0.2.2"]).rings(B).forget_lines();
    world
}

fn as_bob_in_place_of(leg: LegId) -> impl Fn(&mut Incoming) {
    move |incoming| (incoming.replaces, incoming.source) = (Some(leg), Source::User(Address::new("bob", "pbx")))
}

#[test]
fn a_leg_comes_in_and_takes_the_place_of_one_that_rings() {
    let mut world = ringing();
    world.incoming_with(E, "300", Some(&carol()), as_bob_in_place_of(B)).expect(&[
        "b answer answer:10.0.0.1:20004 sendrecv",
        "out0 hangup 26",
        "a answer answer:10.0.0.1:20000 sendrecv",
    ]);
    let pairs: Vec<_> = world.patched.iter().map(|(from, to)| (from.0 & 0xff, to.0 & 0xff)).collect();
    assert_eq!(pairs, [(0, 2), (2, 0)]);
    world.event(E, LegEvent::Confirmed { media: None });
    world.let_end().ends(E, 0).expect(&["a hangup 16"]);
    let cdr = world.the_record();
    assert_eq!(cdr.attempts.iter().map(|attempt| attempt.answer.is_some()).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn who_has_nothing_in_common_with_the_caller_leaves_the_telephone_ringing() {
    let other = carol().replace("RTP/AVP 0", "RTP/AVP 9");
    let mut world = ringing();
    world.incoming_with(E, "300", Some(&other), as_bob_in_place_of(B)).expect(&["b reject 0 88"]);
    world.incoming_with(LegId(3), "300", None, as_bob_in_place_of(B)).expect(&["c reject 0 88"]);
    world.answers(B, Some(answer(&bob()))).ends(B, 0);
    world.ended.push(LegId(3));
    world.ending.retain(|(leg, _)| *leg != LegId(3));
    world.the_record();
    // Nor is a caller's own leg, which we have not begun, one to be taken.
    let mut world = ringing();
    world.incoming_with(E, "300", Some(&carol()), |incoming| incoming.replaces = Some(A)).expect(&["b reject 481 81"]);
}

#[test]
fn a_call_is_not_taken_in_vain_for_ever() {
    let other = carol().replace("RTP/AVP 0", "RTP/AVP 9");
    let mut world = ringing();
    for leg in 2..20 {
        world.forget_lines().incoming_with(LegId(leg), "300", Some(&other), as_bob_in_place_of(B)).let_end();
    }
    world.expect(&["s reject 0 25"]);
}

#[test]
fn without_a_port_for_the_one_who_takes_it_the_telephone_rings_on() {
    let mut world = ringing();
    world.threads = driver::Threads::Fail;
    world.incoming_with(E, "300", Some(&carol()), as_bob_in_place_of(B)).expect(&["b reject 503 47"]);
    world.threads = driver::Threads::Open;
    world.answers(B, Some(answer(&bob()))).ends(B, 0);
    world.the_record();
}

#[test]
fn without_a_port_for_what_only_the_one_who_takes_it_wants_the_telephone_rings_on() {
    let mut world = ringing();
    world.threads = driver::Threads::Fail;
    let more = format!("{}m=audio 6002 RTP/AVP 0\r\nm=audio 6004 RTP/AVP 0\r\n", carol());
    world.incoming_with(E, "300", Some(&more), as_bob_in_place_of(B)).expect(&["b reject 503 47"]);
    world.threads = driver::Threads::Open;
    world.answers(B, Some(answer(&bob()))).expect(&["a answer answer:10.0.0.1:20000 sendrecv"]);
    world.ends(B, 0);
    world.the_record();
    // The call was to go past us, and the one who takes it would have it go through us.
    let mut definition = driver::definition(MediaMode::Relay);
    definition.trunks[0].access.mode = MediaMode::Direct;
    let mut world = World::with(definition, Settings::default());
    world.incoming(A, "300", Some(&alice())).expect(&["out0 dial one/300 192.0.2.1:4000 sendrecv"]);
    world.threads = driver::Threads::Fail;
    let elsewhere = |incoming: &mut Incoming| {
        (incoming.replaces, incoming.source) = (Some(B), Source::Exchange);
        incoming.on_behalf_of = Some(Source::Trunk("one".into()));
    };
    world.incoming_with(E, "300", Some(&carol()), elsewhere).expect(&["b reject 503 47"]);
    world.answers(B, Some(answer(&bob()))).expect(&["a answer answer:192.0.2.2:5000 sendrecv"]);
    world.ends(B, 0);
    world.the_record();
}

#[test]
fn a_call_that_is_taken_in_vain_when_the_telephone_has_refused_is_refused_at_once() {
    let mut world = ringing();
    world.threads = driver::Threads::Silent;
    let other = carol().replace("RTP/AVP 0", "RTP/AVP 9");
    let known = world.asked.len();
    world.incoming_with(E, "300", Some(&other), as_bob_in_place_of(B));
    world.threads = driver::Threads::Open;
    world.ends(B, 486).expect(&[]);
    for (port, _) in world.asked.split_off(known) {
        let rtp = "10.0.0.1:20010".parse().expect("an address");
        world.media(MediaEvent::Opened(Opened { port, rtp, rtcp: rtp }));
    }
    world.expect(&["b reject 0 88", "a reject 486 17"]);
    world.the_record();
}

#[test]
fn a_place_that_nobody_has_is_481() {
    let mut world = World::new(MediaMode::Relay);
    world.incoming_with(E, "300", None, |incoming| incoming.replaces = Some(A)).expect(&["b reject 481 81"]);
}
