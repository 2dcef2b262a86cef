//! Codecs that a trunk may not use.

mod driver;

use driver::{A, B, World, answer, sdp};
use sx_call::{NotAdmitted, Note, Settings};
use sx_leg::LegEvent;
use sx_route::MediaMode;
use sx_types::{Codec, LegId};

/// Trunk one may use nothing but PCMA, and has one channel.
fn world() -> World {
    let mut definition = driver::definition(MediaMode::Relay);
    definition.trunks[0].access.codecs = [Codec::Pcma].into();
    definition.trunks[0].calls_max = 1;
    World::with(definition, Settings::default())
}

/// A offers PCMA and G.729, and trunk one is asked.
fn called() -> World {
    let mut world = world();
    world.incoming(A, "300", Some(&with("8 18"))).expect(&["out0 dial one/300 10.0.0.1:20002 sendrecv"]);
    world
}

fn with(payload_types: &str) -> String {
    sdp("192.0.2.2", 5000, "sendrecv").replace("RTP/AVP 0", &format!("RTP/AVP {payload_types}"))
}

#[test]
fn who_answers_in_a_codec_that_nobody_has_offered_is_hung_up() {
    let mut world = World::new(MediaMode::Relay);
    world.incoming(A, "300", Some(&with("0"))).forget_lines();
    world.answers(B, Some(answer(&with("3")))).expect(&["out0 hangup 88", "a reject 488 88"]);
    world.the_record();
    // Nor may a change be answered so.
    let mut world = World::new(MediaMode::Relay);
    world.incoming(A, "300", Some(&with("0"))).answers(B, Some(answer(&with("0"))));
    world.offers(A, Some(&with("0 8"))).forget_lines();
    world.accepts(B, answer(&with("18"))).expect(&["a refuse-offer 488 88"]);
}

#[test]
fn who_offers_nothing_that_can_be_relayed_calls_nobody_and_changes_nothing() {
    let fax = with("0").replace("m=audio 5000 RTP/AVP 0", "m=image 5000 udptl t38");
    let nowhere = with("0").replace("192.0.2.2", "999.9.9.9");
    for offer in [&fax, &nowhere, &with("200")] {
        let mut world = World::new(MediaMode::Relay);
        world.incoming(A, "300", Some(offer)).expect(&["a reject 0 88"]);
        let why = |note: &Note| matches!(note, Note::NotAdmitted { why: NotAdmitted::NoStream, .. });
        assert!(world.notes.iter().any(why) && world.ports.is_empty());
    }
    // Whoever calls a fax goes on with sound.
    let mut world = World::new(MediaMode::Relay);
    world.incoming(A, "300", Some(&with("0"))).answers(B, Some(answer(&with("0")))).forget_lines();
    world.offers(B, Some(&fax)).expect(&["out0 refuse-offer 488 88"]);
    // Past the exchange it is for the other party to say.
    let mut world = World::direct();
    world.incoming(A, "300", Some(&fax));
    assert!(!world.notes.iter().any(|note| matches!(note, Note::NotAdmitted { .. })));
}

#[test]
fn early_media_in_a_forbidden_codec_is_no_media() {
    let mut world = called();
    world.early(B, &with("18")).expect(&["a progress SessionProgress nothing"]);
    world.answers(B, None).expect(&["out0 hangup 88", "a reject 0 88"]);
    world.the_record();
    // Where the answer says what is allowed, it stands.
    let mut world = called();
    world.early(B, &with("18")).answers(B, Some(answer(&with("8")))).ends(B, 0);
    world.expect(&["a progress SessionProgress nothing", "a answer answer:10.0.0.1:20000 sendrecv", "a hangup 16"]);
    assert_eq!(world.the_record().codec, Some(Codec::Pcma));
}

#[test]
fn a_change_that_is_answered_in_a_forbidden_codec_is_refused() {
    let mut world = called();
    world.answers(B, Some(answer(&with("8")))).offers(A, Some(&with("8 18"))).forget_lines();
    world.accepts(B, answer(&with("18"))).expect(&["a refuse-offer 488 65"]);
    // Whoever has asked is told why, and it is written down.
    let why = world.warnings.last().cloned().unwrap_or_default();
    assert!(why.contains("codec"), "{why}");
    let is_told =
        |note: &&Note| matches!(note, Note::ChangeRefused { leg, sentence, .. } if *leg == A && **sentence == *why);
    assert_eq!(world.notes.iter().filter(is_told).count(), 1);
    // One asked for in an offer of theirs is without an answer, as if it had brought none.
    world.offers(B, None).accepts(A, driver::offer(&with("8 18"))).forget_lines();
    world.event(B, LegEvent::OfferConfirmed { media: Some(answer(&with("18"))) });
    world.expect(&["a hangup 88", "out0 hangup 88"]);
    world.the_record();
}

#[test]
fn who_offers_nothing_that_is_allowed_when_asked_for_an_offer_is_hung_up() {
    let mut world = called();
    world.answers(B, Some(answer(&with("8")))).offers(A, None).forget_lines();
    world.accepts(B, driver::offer(&with("18"))).expect(&["a hangup 88", "out0 hangup 88"]);
    world.the_record();
}

#[test]
fn a_trunk_that_answers_in_a_forbidden_codec_has_its_channel_until_it_has_ended() {
    let mut world = called();
    world.answers(B, Some(answer(&with("18")))).expect(&["out0 hangup 65", "a reject 488 65"]);
    world.incoming(LegId(2), "300", Some(&with("8"))).expect(&["b reject 0 42"]);
    world.let_end().incoming(LegId(3), "300", Some(&with("8"))).expect(&["out1 dial one/300 10.0.0.1:20002 sendrecv"]);
    world.ends(LegId(3), 487);
    assert_eq!(world.all_records().len(), 3);
}

fn bound(codecs: &[Codec]) -> impl FnOnce(&mut sx_leg::Incoming) {
    let bounds = sx_leg::Bounds { codecs: Some(codecs.into()), talk_max: None, record: None };
    |incoming| incoming.bounds = bounds
}

/// Of two lists that have nothing in common nothing is left, and not anything.
#[test]
fn what_a_trunk_may_not_use_and_what_its_call_may_not_use_leave_nothing() {
    let mut world = world();
    world.incoming_with(A, "300", Some(&with("0 8")), |incoming| {
        incoming.source = sx_leg::Source::Trunk("one".into());
        bound(&[Codec::Pcmu])(incoming);
    });
    world.expect(&["a reject 0 65"]);
}

#[test]
fn a_call_is_bound_for_its_life_whoever_offers() {
    let mut world = World::new(MediaMode::Relay);
    world.incoming_with(A, "300", Some(&with("0 8")), bound(&[Codec::Pcma]));
    world.answers(B, Some(answer(&with("8")))).forget_lines();
    world.offers(A, Some(&with("0"))).expect(&["a refuse-offer 488 65"]);
    world.offers(B, Some(&with("0"))).expect(&["out0 refuse-offer 488 65"]);
    world.offers(B, None).accepts(A, driver::offer(&with("0 8"))).forget_lines();
    world.event(B, LegEvent::OfferConfirmed { media: Some(answer(&with("8"))) }).ends(A, 0);
    world.the_record();
}

#[test]
fn whoever_comes_by_a_transfer_is_bound_as_the_call_is() {
    let mut world = World::new(MediaMode::Relay);
    world.incoming_with(A, "300", Some(&with("8")), bound(&[Codec::Pcma]));
    world.answers(B, Some(answer(&with("8")))).transfer(A, "301", None).forget_lines();
    world.answers(driver::C, Some(driver::offer(&with("0")))).expect(&["out1 hangup 65", "a transfer-progress 488"]);
    world.ends(A, 0);
    world.the_record();
}
