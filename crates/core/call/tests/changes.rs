//! Descriptions that change while two are connected, and what else passes between them.

mod driver;

use driver::{A, B, World, answer, offer};
use std::time::Duration;
use sx_call::Note;
use sx_leg::LegEvent;
use sx_types::Cause;

#[test]
fn hold_and_resume_pass_through() {
    let mut world = World::connected();
    world.offers(A, Some("HOLD")).expect(&["out0 offer HOLD"]);
    world.accepts(B, answer("HELD")).expect(&["a answer-offer answer:HELD"]);
    world.offers(B, Some("OTHER")).expect(&["a offer OTHER"]);
    world.event(A, LegEvent::OfferRefused { cause: Cause::INCOMPATIBLE, status: 488, sentence: Box::default() });
    world.expect(&["out0 refuse-offer 488 88"]);
    assert_eq!(world.warnings.last().map(String::as_str), Some("the other party has answered the change with 488"));
    let told = |note: &Note| matches!(note, Note::ChangeRefused { leg, .. } if *leg == B);
    assert_eq!(world.notes.iter().filter(|note| told(note)).count(), 1);
}

#[test]
fn an_offer_that_meets_another_is_491() {
    let mut world = World::connected();
    world.offers(A, Some("ONE")).offers(B, Some("TWO")).expect(&["out0 offer ONE", "out0 refuse-offer 491 31"]);
    world
        .event(B, LegEvent::OfferRefused { cause: Cause(31), status: 491, sentence: Box::default() })
        .expect(&["a refuse-offer 491 31"]);
    world.offers(B, Some("TWO")).expect(&["a offer TWO"]);
}

#[test]
fn a_change_asked_for_without_an_offer_is_offered_by_the_other() {
    let mut world = World::connected();
    world.offers(A, None).expect(&["out0 offer nothing"]);
    world.accepts(B, offer("OB")).expect(&["a answer-offer offer:OB"]);
    world.event(A, LegEvent::OfferConfirmed { media: Some(answer("AA")) }).expect(&["out0 confirm answer:AA"]);
    world.offers(B, Some("NEXT")).expect(&["a offer NEXT"]);
}

#[test]
fn an_offer_that_is_not_answered_is_refused_in_the_end() {
    let mut world = World::connected();
    world.offers(A, Some("ONE")).forget_lines();
    world.after(Duration::from_secs(41)).expect(&["a refuse-offer 0 102"]);
}

#[test]
fn keys_and_information_pass_through() {
    let mut world = World::connected();
    world.event(A, LegEvent::Digit { digit: '5', duration_ms: 100 }).expect(&["out0 digit 5"]);
    let body = driver::text("x");
    world.event(B, LegEvent::Info { content_type: "text/plain".into(), body }).expect(&["a info text/plain"]);
}
