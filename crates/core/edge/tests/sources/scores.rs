//! Who is suspicious, for how long, and what follows.

use crate::{Edge, INVITE, OPTIONS, REGISTER, alice, edge, source};
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

#[test]
fn challenges_of_the_last_minute_count_and_older_ones_do_not() {
    let mut edge = edge();
    // The epoch's minutes: this one is half over.
    edge.wait(10);
    for _ in 0..20 {
        edge.observe(alice(), Observation::Challenged);
    }
    let challenges = |edge: &Edge, seconds: u64| {
        edge.sources.explain(edge.now + Duration::from_secs(seconds), alice()).map(|report| report.challenges)
    };
    assert_eq!([challenges(&edge, 0), challenges(&edge, 29), challenges(&edge, 60)], [Some(20), Some(20), Some(10)]);
    // And not after 256 minutes either, when the number of the minute is the same again.
    assert_eq!([challenges(&edge, 90), challenges(&edge, 60 * 256)], [Some(0), Some(0)]);
}

#[test]
fn numbers_dialled_are_forgotten_by_and_by() {
    let mut edge = edge();
    for n in 0..64u64 {
        edge.observe(alice(), Observation::Dialled(n << 58));
    }
    let numbers = |edge: &Edge, windows: u64| {
        edge.sources.explain(edge.now + Duration::from_secs(10 * windows), alice()).map(|report| report.numbers)
    };
    assert_eq!([0, 1, 2, 6, 7].map(|windows| numbers(&edge, windows)), [311, 44, 18, 1, 0].map(Some));
}

#[test]
fn a_few_requests_are_no_sign_of_anything() {
    let parts = |requests: u64, authenticated: bool| {
        let mut edge = edge();
        if authenticated {
            edge.observe(alice(), Observation::Authenticated);
        }
        for n in 0..requests {
            edge.observe(alice(), OPTIONS);
            edge.observe(source("192.0.2.2"), INVITE);
            edge.observe(source("192.0.2.2"), Observation::Dialled(n << 58));
        }
        let part = |from| edge.sources.explain(edge.now, from).expect("it was heard").score;
        (part(alice()).methods, part(source("192.0.2.2")).numbers)
    };
    assert_eq!([parts(7, false), parts(8, false), parts(8, true)], [(0, 0), (500, 500), (0, 500)]);
}

#[test]
fn neither_methods_nor_numbers_say_anything_of_whoever_has_authenticated() {
    let mut edge = edge();
    edge.observe(alice(), Observation::Authenticated);
    for n in 0..20u64 {
        edge.observe(alice(), INVITE);
        edge.observe(alice(), Observation::Dialled(n << 58));
    }
    assert_eq!(edge.score(alice()), 0);
}
