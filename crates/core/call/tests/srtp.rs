//! SRTP on the sides of a call, each with keys of its own.

mod driver;

use bytes::Bytes;
use driver::{A, B, World, alice, answer, bob, print, shaking};
use sx_call::{NotAdmitted, Note, Settings};
use sx_leg::LegEvent;
use sx_media::{Handshake, HandshakeFault, Keys, Means, MediaEvent, StreamKeys};
use sx_route::MediaMode;
use sx_types::{DtlsRole, SrtpKeying, SrtpPolicy};

const KEY: &str = "AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const OTHER: &str = "AES_CM_128_HMAC_SHA1_80 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj";

/// Users by one policy, trunk one by another.
fn world(users: SrtpPolicy, trunk: SrtpPolicy) -> World {
    let mut definition = driver::definition(MediaMode::Relay);
    definition.users.access.srtp = users;
    definition.trunks[0].access.srtp = trunk;
    World::with(definition, Settings::default())
}

/// The description with SRTP only, by these keys.
fn secure(description: &str, keys: &[(u32, &str)]) -> String {
    let keys: String = keys.iter().map(|(tag, key)| format!("a=crypto:{tag} {key}\r\n")).collect();
    format!("{}{keys}", description.replace("RTP/AVP", "RTP/SAVP"))
}

fn text(told: &Bytes) -> &str {
    std::str::from_utf8(told).expect("UTF-8")
}

fn cryptos(told: &Bytes) -> Vec<&str> {
    text(told).lines().filter_map(|line| line.strip_prefix("a=crypto:")).collect()
}

/// What the ports with these indices have for keys.
fn keys(world: &World, index: u64) -> Option<&StreamKeys> {
    let found = world.keys.iter().find(|(port, _)| port.0 & 0xff == index);
    match found.expect("the port knows its peer").1.as_deref()? {
        Keys::Described(keys) => Some(keys),
        Keys::Handshake(_) => panic!("a handshake"),
    }
}

#[test]
fn a_caller_with_srtp_talks_with_one_who_has_none() {
    let mut world = world(SrtpPolicy::Accept, SrtpPolicy::Accept);
    world.incoming(A, "300", Some(&secure(&alice(), &[(4, KEY)]))).forget_lines();
    assert!(text(&world.told[&B]).contains("RTP/AVP 0") && cryptos(&world.told[&B]).is_empty());
    world.answers(B, Some(answer(&bob())));
    assert!(text(&world.told[&A]).contains("RTP/SAVP 0"));
    let told = cryptos(&world.told[&A]);
    assert!(told.len() == 1 && told[0].starts_with("4 AES_CM_128_HMAC_SHA1_80 inline:"), "{told:?}");
    let agreed = keys(&world, 0).expect("keys");
    assert!(KEY.ends_with(&agreed.theirs.to_inline()) && told[0].ends_with(&agreed.ours.to_inline()));
    assert_eq!(keys(&world, 1), None);
}

#[test]
fn a_trunk_with_srtp_is_called_by_one_who_has_none() {
    let mut world = world(SrtpPolicy::Accept, SrtpPolicy::Required);
    world.incoming(A, "300", Some(&alice())).forget_lines();
    let told = world.told[&B].clone();
    assert!(text(&told).contains("RTP/SAVP 0"));
    assert_eq!(cryptos(&told).len(), 4);
    world.answers(B, Some(answer(&secure(&bob(), &[(3, KEY)])))).expect(&["a answer answer:10.0.0.1:20000 sendrecv"]);
    assert!(text(&world.told[&A]).contains("RTP/AVP 0") && cryptos(&world.told[&A]).is_empty());
    let agreed = keys(&world, 1).expect("keys");
    assert!(cryptos(&told)[2].ends_with(&agreed.ours.to_inline()) && KEY.ends_with(&agreed.theirs.to_inline()));
    assert_eq!(keys(&world, 0), None);
}

#[test]
fn who_is_offered_keys_and_does_not_know_how_answers_in_the_clear() {
    let mut world = world(SrtpPolicy::Accept, SrtpPolicy::Optional);
    world.incoming(A, "300", Some(&alice()));
    assert!(text(&world.told[&B]).contains("RTP/AVP 0") && cryptos(&world.told[&B]).len() == 4);
    world.answers(B, Some(answer(&bob())));
    assert_eq!((keys(&world, 0), keys(&world, 1)), (None, None));
}

#[test]
fn a_key_that_has_an_identifier_is_answered_by_one_without() {
    let mut world = world(SrtpPolicy::Accept, SrtpPolicy::Accept);
    let named = format!("{KEY}|2^20|1:4");
    world.incoming(A, "300", Some(&secure(&alice(), &[(1, &named)]))).answers(B, Some(answer(&bob())));
    assert_eq!(keys(&world, 0).expect("keys").mki_bytes, 4);
    assert!(!cryptos(&world.told[&A])[0].contains('|'));
}

#[test]
fn a_caller_without_a_key_that_it_needs_calls_nobody() {
    for (policy, offer) in [
        (SrtpPolicy::Required, alice()),
        (SrtpPolicy::Off, secure(&alice(), &[(1, KEY)])),
        (SrtpPolicy::Accept, secure(&alice(), &[(1, "F8_128_HMAC_SHA1_80 inline:AAAA")])),
        (SrtpPolicy::Accept, secure(&alice(), &[])),
    ] {
        let mut world = world(policy, SrtpPolicy::Accept);
        world.incoming(A, "300", Some(&offer)).expect(&["a reject 0 88"]);
        assert_eq!(world.warnings.len(), 1, "{policy:?}");
        let why = world.notes.iter().find_map(|note| match note {
            Note::NotAdmitted { why, .. } => Some(*why),
            _ => None,
        });
        assert_eq!(why, Some(NotAdmitted::NoKeys), "{policy:?}");
    }
}

/// Past the exchange nobody would protect it: the other side would have the keys, or talk in the clear.
#[test]
fn what_has_to_be_protected_passes_through_the_exchange_though_the_other_side_has_direct() {
    let mut definition = driver::definition(MediaMode::Relay);
    definition.users.access.srtp = SrtpPolicy::Required;
    definition.trunks[0].access.mode = MediaMode::Direct;
    let mut world = World::with(definition, Settings::default());
    world.incoming(A, "300", Some(&secure(&alice(), &[(1, KEY)])));
    assert!(text(&world.told[&B]).contains("RTP/AVP 0") && cryptos(&world.told[&B]).is_empty());
    world.answers(B, Some(answer(&bob())));
    assert!(text(&world.told[&A]).contains("RTP/SAVP 0") && keys(&world, 0).is_some());
    assert_eq!(keys(&world, 1), None);
}

#[test]
fn an_answer_by_a_key_that_was_not_offered_is_in_vain() {
    for wrong in [secure(&bob(), &[(9, KEY)]), bob(), secure(&bob(), &[])] {
        let mut world = world(SrtpPolicy::Accept, SrtpPolicy::Required);
        world.incoming(A, "300", Some(&alice())).forget_lines();
        world.answers(B, Some(answer(&wrong)));
        assert!(world.lines.contains(&"out0 hangup 88".to_owned()), "{:?}", world.lines);
        assert!(world.keys.values().all(Option::is_none));
        assert_eq!(
            world.warnings,
            [
                "the called trunk has answered without a codec that it was offered, without a key of SRTP that fits, or without an address that can be used"
            ]
        );
    }
}

/// Hold and resume change no key of ours; a new one of the party's is taken.
#[test]
fn a_change_of_the_session_keeps_our_keys() {
    let mut world = world(SrtpPolicy::Accept, SrtpPolicy::Required);
    world.incoming(A, "300", Some(&secure(&alice(), &[(1, KEY)])));
    world.answers(B, Some(answer(&secure(&bob(), &[(3, KEY)]))));
    let before = [keys(&world, 0).cloned(), keys(&world, 1).cloned()];
    let held = secure(&alice().replace("sendrecv", "sendonly"), &[(7, OTHER)]);
    world.offers(A, Some(&held)).forget_lines();
    assert!(text(&world.told[&B]).contains("RTP/SAVP 0") && text(&world.told[&B]).contains("sendonly"));
    let resumed = secure(&bob().replace("sendrecv", "recvonly"), &[(3, KEY)]);
    world.accepts(B, answer(&resumed));
    assert!(cryptos(&world.told[&A])[0].starts_with("7 AES_CM_128_HMAC_SHA1_80"));
    let after = [keys(&world, 0).cloned(), keys(&world, 1).cloned()];
    assert_eq!(after[1], before[1]);
    let [before, after] = [&before[0], &after[0]].map(|keys| keys.as_ref().expect("keys"));
    assert_eq!(after.ours, before.ours);
    assert!(OTHER.ends_with(&after.theirs.to_inline()) && after.theirs != before.theirs);
}

#[test]
fn a_change_to_what_cannot_be_protected_is_refused_and_changes_nothing() {
    let mut world = world(SrtpPolicy::Required, SrtpPolicy::Accept);
    world.incoming(A, "300", Some(&secure(&alice(), &[(1, KEY)]))).answers(B, Some(answer(&bob()))).forget_lines();
    world.offers(A, Some(&alice())).expect(&["a refuse-offer 488 88"]);
    let offered = LegEvent::Offered { media: Some(bob().into()) };
    world.event(B, offered);
    assert!(text(&world.told[&A]).contains("RTP/SAVP 0"));
}

/// Users by handshakes, and trunk one by handshakes as well or by keys in descriptions.
fn handshaking(trunk: SrtpKeying) -> World {
    let mut definition = driver::definition(MediaMode::Relay);
    definition.trunks[0].access.srtp = SrtpPolicy::Required;
    definition.trunks[0].access.srtp_keying = trunk;
    let means = Means { certificate: Some(print(0xee)), ..Means::default() };
    World::with(definition, Settings { means, ..Settings::default() })
}

/// What the port with this index is to do.
fn handshake(world: &World, index: u64) -> Handshake {
    match world.keys.iter().find(|(port, _)| port.0 & 0xff == index).and_then(|(_, keys)| keys.as_deref()) {
        Some(Keys::Handshake(handshake)) => handshake.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_side_has_a_handshake_of_its_own() {
    let mut world = handshaking(SrtpKeying::Dtls);
    world.incoming(A, "300", Some(&shaking(&alice(), 1, "actpass"))).forget_lines();
    let told = text(&world.told[&B]).to_owned();
    assert!(told.contains("UDP/TLS/RTP/SAVP 0") && told.contains(&format!("a=fingerprint:{}", print(0xee))), "{told}");
    assert!(told.contains("a=setup:actpass") && !told.contains(&print(1).to_string()));
    world.answers(B, Some(answer(&shaking(&bob(), 2, "active"))));
    assert!(
        text(&world.told[&A]).contains("a=setup:passive") && !text(&world.told[&A]).contains(&print(2).to_string())
    );
    for (index, certificate) in [(0, 1), (1, 2)] {
        let handshake = handshake(&world, index);
        assert_eq!((handshake.role, handshake.peer), (DtlsRole::Server, vec![print(certificate)]));
    }
}

#[test]
fn a_handshake_on_one_side_and_keys_in_descriptions_on_the_other() {
    let mut world = handshaking(SrtpKeying::Sdes);
    world.incoming(A, "300", Some(&shaking(&alice(), 1, "passive"))).forget_lines();
    assert!(text(&world.told[&B]).contains("RTP/SAVP 0") && cryptos(&world.told[&B]).len() == 4);
    world.answers(B, Some(answer(&secure(&bob(), &[(3, KEY)]))));
    assert!(text(&world.told[&A]).contains("a=setup:active") && cryptos(&world.told[&A]).is_empty());
    assert_eq!(handshake(&world, 0).role, DtlsRole::Client);
    assert!(KEY.ends_with(&keys(&world, 1).expect("keys").theirs.to_inline()));
}

#[test]
fn hold_keeps_the_handshake_and_another_certificate_makes_another() {
    let mut world = handshaking(SrtpKeying::Dtls);
    world.incoming(A, "300", Some(&shaking(&alice(), 1, "actpass")));
    world.answers(B, Some(answer(&shaking(&bob(), 2, "active"))));
    let before = [handshake(&world, 0), handshake(&world, 1)];
    let held = shaking(&alice().replace("sendrecv", "sendonly"), 1, "actpass");
    world.offers(A, Some(&held));
    world.accepts(B, answer(&shaking(&bob().replace("sendrecv", "recvonly"), 2, "active")));
    assert_eq!([handshake(&world, 0), handshake(&world, 1)], before);
    world.offers(A, Some(&shaking(&alice(), 3, "actpass")));
    world.accepts(B, answer(&shaking(&bob(), 2, "active")));
    assert_eq!((handshake(&world, 0).peer, handshake(&world, 1)), (vec![print(3)], before[1].clone()));
}

#[test]
fn a_call_whose_handshake_fails_ends_and_says_why() {
    for fault in [HandshakeFault::Certificate, HandshakeFault::Late] {
        let mut world = handshaking(SrtpKeying::Dtls);
        world.incoming(A, "300", Some(&shaking(&alice(), 1, "actpass")));
        world.answers(B, Some(answer(&shaking(&bob(), 2, "active")))).forget_lines();
        let port = *world.keys.keys().next().expect("a port");
        world.media(MediaEvent::HandshakeFailed { port, fault });
        for leg in ["a hangup 88", "out0 hangup 88"] {
            assert!(world.lines.contains(&leg.to_owned()), "{:?}", world.lines);
        }
    }
}

#[test]
fn a_call_ends_when_it_is_not_known_how_far_its_keys_are_used() {
    let mut world = handshaking(SrtpKeying::Dtls);
    world.incoming(A, "300", Some(&shaking(&alice(), 1, "actpass")));
    world.answers(B, Some(answer(&shaking(&bob(), 2, "active")))).forget_lines();
    let port = *world.keys.keys().next().expect("a port");
    world.media(MediaEvent::KeysLost { port });
    for leg in ["a hangup 88", "out0 hangup 88"] {
        assert!(world.lines.contains(&leg.to_owned()), "{:?}", world.lines);
    }
}

/// Its media would have passed us by, and nobody asked for its keys, but that the other side has to be protected.
#[test]
fn a_caller_whose_keys_nobody_can_use_is_refused_before_anybody_rings_though_it_has_direct() {
    let mut definition = driver::definition(MediaMode::Relay);
    definition.users.access.mode = MediaMode::Direct;
    definition.trunks[0].access.srtp = SrtpPolicy::Required;
    let mut world = World::with(definition, Settings::default());
    let unknown = secure(&alice(), &[(1, "F8_128_HMAC_SHA1_80 inline:AAAA")]);
    world.incoming(A, "300", Some(&unknown)).expect(&["a reject 0 88"]);
    assert_eq!(world.warnings, ["no key of stream 0 can be used"]);
    world.the_record();
    assert!(world.ports.is_empty());
}

#[test]
fn a_change_by_a_key_that_cannot_be_used_is_refused_with_the_reason_and_told_of_so_often() {
    for mode in [MediaMode::Relay, MediaMode::Direct] {
        let mut definition = driver::definition(MediaMode::Relay);
        definition.users.access.mode = mode;
        definition.trunks[0].access.srtp = SrtpPolicy::Required;
        let mut world = World::with(definition, Settings::default());
        world.incoming(A, "300", Some(&alice())).answers(B, Some(answer(&secure(&bob(), &[(3, KEY)])))).forget_lines();
        for _ in 0..40 {
            world.offers(A, Some(&secure(&alice(), &[])));
        }
        assert!(world.lines.iter().all(|line| line.starts_with("a refuse-offer") && line.ends_with(" 88")), "{mode:?}");
        assert_eq!(world.lines.len(), 40);
        assert_eq!(world.warnings, vec!["no key of stream 0 can be used"; 40]);
        let told = world.notes.iter().filter(|note| matches!(note, Note::ChangeRefused { .. }));
        assert_eq!(told.count(), 16);
        world.forget_lines().ends(A, 0);
        world.the_record();
    }
}
