//! Whoever wants somebody called in the course of a call is asked for first.

mod driver;

use driver::{A, B, C, World, alice, answer, bob, carol, offer};
use std::time::Duration;
use sx_call::{Admission, Settings};
use sx_leg::{Address, Bounds, LegEvent, Source};
use sx_route::MediaMode;
use sx_types::{Codec, LegId};

/// A and B are connected.
fn connected(mode: MediaMode) -> World {
    let mut world = World::new(mode);
    world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&bob()))).forget_lines();
    world
}

fn redirects<'w>(world: &'w mut World, leg: LegId, to: &[&str]) -> &'w mut World {
    let targets = to.iter().map(|to| Address::new(to, "pbx")).collect();
    world.event(leg, LegEvent::Redirected { targets }).ends(leg, 302)
}

#[test]
fn a_transfer_that_is_refused_leaves_the_parties_as_they_were() {
    let mut world = connected(MediaMode::Relay);
    world.admission = Admission::Refused { status: 603, sentence: "not for you".into() };
    world.transfer(A, "301", None).expect(&["a transfer-progress 603"]);
    world.offers(A, Some(&alice())).expect(&["out0 offer 10.0.0.1:20002 sendrecv"]);
    world.ends(A, 0);
    assert_eq!(world.the_record().attempts.len(), 1);
}

#[test]
fn the_transferor_need_not_wait_for_whether_it_may() {
    let mut world = connected(MediaMode::Relay);
    world.answers_wishes = false;
    world.transfer(A, "301", None).ends(A, 0).expect(&[]);
    world.admit().expect(&["out1 dial one/301 nothing"]);
    world.ends(C, 486).expect(&["out0 hangup 17"]);
    world.the_record();
}

#[test]
fn what_a_transfer_is_bound_to_binds_the_call() {
    let mut world = connected(MediaMode::Relay);
    let bounds = Bounds { codecs: Some([Codec::Pcma].into()), talk_max: Some(Duration::from_secs(30)), record: None };
    world.admission = Admission::Granted(bounds);
    world.transfer(A, "301", None).forget_lines();
    let pcma = |text: &str| text.replace("RTP/AVP 0", "RTP/AVP 8");
    world.answers(C, Some(offer(&pcma(&carol())))).accepts(B, answer(&pcma(&bob()))).let_end().forget_lines();
    world.offers(B, Some(&bob())).expect(&["out0 refuse-offer 0 65"]);
    world.offers(C, Some(&carol())).expect(&["out1 refuse-offer 488 65"]);
    world.after(Duration::from_secs(29)).expect(&[]);
    world.after(Duration::from_secs(2)).expect(&["out0 hangup 102", "out1 hangup 102"]);
    world.the_record();
}

fn refusing(status: u16) -> Admission {
    Admission::Refused { status, sentence: "not for you".into() }
}

#[test]
fn a_redirection_that_is_refused_is_an_attempt_that_has_failed() {
    let mut world = World::direct();
    world.admission = refusing(603);
    world.incoming(A, "bob", Some("OA")).found(&["sip:bob@192.0.2.9"]).forget_lines();
    redirects(&mut world, B, &["301", "302"]).expect(&["a reject 0 57"]);
    // Asked at once for all, in the name of who redirects.
    let wish = world.wishes.pop().expect("somebody was asked");
    assert_eq!(wish.to, [Address::new("301", "pbx"), Address::new("302", "pbx")]);
    assert_eq!((wish.leg, wish.source), (B, Source::User(Address::new("bob", "pbx"))));
    assert_eq!(world.the_record().attempts.len(), 1);
}

#[test]
fn a_redirection_waits_for_its_answer_no_longer_than_is_bearable() {
    let mut world = World::direct();
    world.answers_wishes = false;
    world.incoming(A, "300", Some("OA")).forget_lines();
    redirects(&mut world, B, &["301"]).expect(&[]);
    world.after(Settings::default().locate_wait).expect(&["a reject 0 41"]);
    world.the_record();
}
