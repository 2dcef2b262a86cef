//! Who is suspicious, for how long, and what follows.

use crate::{INVITE, OPTIONS, REGISTER, alice, edge, source};
use std::time::Duration;
use sx_edge::{Arrival, Observation, Why};

#[test]
fn one_torn_datagram_does_no_harm_and_junk_alone_is_banned_for_a_minute() {
    let mut edge = edge();
    edge.hear(alice(), &[Observation::Malformed]);
    assert!(edge.score(alice()) < 50);
    for _ in 0..8 {
        assert_eq!(edge.hear(alice(), &[Observation::Malformed]), Arrival::Pass);
    }
    edge.arrived(alice());
    let ban = edge.observe(alice(), Observation::Malformed).expect("the tenth of ten");
    assert_eq!((ban.why, ban.until), (Why::Score, edge.now + Duration::from_secs(60)));
    edge.wait(60);
    assert_eq!((edge.arrived(alice()), edge.score(alice())), (Arrival::Pass, 13));
}

#[test]
fn whoever_never_answers_a_challenge_is_banned_for_a_while() {
    let mut edge = edge();
    let mut heard = 0;
    while edge.is_banned(alice()).is_none() {
        edge.hear(alice(), &[REGISTER, Observation::Challenged]);
        edge.wait(1);
        heard += 1;
    }
    assert_eq!((edge.is_banned(alice()), heard), (Some(Why::Score), 25));
}

#[test]
fn telephones_behind_one_address_that_begin_at_once_are_served() {
    let mut edge = edge();
    for _ in 0..20 {
        assert!(matches!(edge.hear(alice(), &[REGISTER, Observation::Challenged]), Arrival::Pass | Arrival::Challenge));
    }
    for _ in 0..20 {
        let answered = edge.hear(alice(), &[REGISTER, Observation::Authenticated]);
        assert!(matches!(answered, Arrival::Pass | Arrival::Challenge));
    }
    assert!(edge.score(alice()) < 100);
}

#[test]
fn challenges_that_are_answered_do_not_count() {
    let mut edge = edge();
    for _ in 0..1_000 {
        assert_eq!(edge.hear(alice(), &[INVITE, Observation::Challenged]), Arrival::Pass);
        assert_eq!(edge.hear(alice(), &[INVITE, Observation::Authenticated]), Arrival::Pass);
        edge.wait(1);
    }
    assert_eq!(edge.sources.explain(edge.now, alice()).expect("known").score.challenges, 0);
}

#[test]
fn a_stranger_that_only_probes_is_asked_who_it_is() {
    let mut edge = edge();
    let arrivals: Vec<Arrival> = (0..30).map(|_| edge.hear(alice(), &[OPTIONS])).collect();
    assert_eq!((arrivals[20], arrivals[29]), (Arrival::Pass, Arrival::Challenge));
    assert_eq!(edge.is_banned(alice()), None);
    // A probe now and then is what monitors do.
    let monitor = source("192.0.2.2");
    for _ in 0..100 {
        assert_eq!(edge.hear(monitor, &[OPTIONS]), Arrival::Pass);
        edge.wait(2);
    }
}

#[test]
fn a_stranger_that_dials_one_number_after_the_other_is_asked_who_it_is() {
    let dial = |numbers: u64| {
        let mut edge = edge();
        let mut last = Arrival::Pass;
        for n in 0..28u64 {
            let number = (n % numbers).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            last = edge.hear(alice(), &[INVITE, Observation::Dialled(number)]);
        }
        last
    };
    assert_eq!((dial(28), dial(2)), (Arrival::Challenge, Arrival::Pass));
}

#[test]
fn a_carrier_that_has_authenticated_may_dial_what_it_likes() {
    let mut edge = edge();
    edge.observe(alice(), Observation::Authenticated);
    for n in 0..3_000u64 {
        let number = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        assert_eq!(edge.hear(alice(), &[INVITE, Observation::Dialled(number)]), Arrival::Pass);
        edge.now = edge.now + Duration::from_millis(20);
    }
}

#[test]
fn what_is_over_is_forgiven_in_time() {
    let mut edge = edge();
    for _ in 0..25 {
        edge.hear(alice(), &[OPTIONS]);
    }
    let mut last = edge.score(alice());
    assert!(last > 800);
    for _ in 0..5 {
        edge.wait(10);
        assert!(edge.score(alice()) <= last);
        last = edge.score(alice());
    }
    edge.wait(20);
    assert_eq!(edge.score(alice()), 0);
}
