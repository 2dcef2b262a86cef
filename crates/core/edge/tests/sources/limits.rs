//! How much a source may send, and how often it may fail.

use crate::{Edge, REGISTER, alice, edge, source};
use std::time::Duration;
use sx_edge::{Arrival, Ban, Observation, SourceLimits, Why};

#[test]
fn a_stranger_that_sends_too_fast_is_refused_once_and_then_not_answered() {
    let mut edge = edge();
    let arrivals: Vec<Arrival> = (0..33).map(|_| edge.arrived(alice())).collect();
    assert!(arrivals[..30].iter().all(|arrival| *arrival == Arrival::Pass));
    let dropped = Arrival::Dropped(Why::Rate);
    assert_eq!(arrivals[30..], [Arrival::Refuse { retry_after_s: 300 }, dropped, dropped]);
    assert_eq!(edge.arrived(source("192.0.2.2")), Arrival::Pass);
}

#[test]
fn a_ban_ends_when_it_was_said_to() {
    let mut edge = edge();
    while edge.arrived(alice()) == Arrival::Pass {}
    edge.wait(299);
    assert_eq!(edge.arrived(alice()), Arrival::Dropped(Why::Rate));
    edge.wait(1);
    assert_eq!((edge.arrived(alice()), edge.is_banned(alice())), (Arrival::Pass, None));
}

#[test]
fn a_ban_that_is_shorter_than_the_window_forgives_what_led_to_it() {
    let mut edge = Edge::new(SourceLimits { ban: Duration::from_millis(1_500), ..SourceLimits::default() });
    while edge.arrived(alice()) == Arrival::Pass {}
    edge.wait(2);
    assert_eq!(edge.arrived(alice()), Arrival::Pass);
}

#[test]
fn what_came_at_the_end_of_a_window_counts_in_the_next() {
    let mut edge = edge();
    edge.wait(9);
    assert!((0..30).all(|_| edge.arrived(alice()) == Arrival::Pass));
    edge.wait(2);
    // Nine tenths of the window before still count.
    assert!((0..3).all(|_| edge.arrived(alice()) == Arrival::Pass));
    assert_eq!(edge.arrived(alice()), Arrival::Refuse { retry_after_s: 300 });
}

#[test]
fn whoever_has_authenticated_may_send_more_for_an_hour() {
    let mut edge = edge();
    edge.observe(alice(), Observation::Authenticated);
    assert!((0..600).all(|_| edge.arrived(alice()) == Arrival::Pass));
    assert_eq!(edge.arrived(alice()), Arrival::Refuse { retry_after_s: 300 });

    edge.wait(3_550);
    assert!((0..31).all(|_| edge.arrived(alice()) == Arrival::Pass));
    edge.wait(51);
    let arrivals: Vec<Arrival> = (0..31).map(|_| edge.arrived(alice())).collect();
    assert_eq!(arrivals[30], Arrival::Refuse { retry_after_s: 300 });
}

#[test]
fn five_wrong_passwords_within_the_time_begin_a_ban() {
    let mut edge = edge();
    edge.observe(alice(), Observation::Authenticated);
    for _ in 0..4 {
        assert_eq!(edge.observe(alice(), Observation::Failed), None);
        edge.wait(74);
    }
    let expected = Ban { source: alice(), until: edge.now + Duration::from_secs(300), why: Why::Failures };
    assert_eq!(edge.observe(alice(), Observation::Failed), Some(expected));
    assert_eq!(edge.observe(alice(), Observation::Failed), None);
    assert_eq!(edge.arrived(alice()), Arrival::Dropped(Why::Failures));
    edge.wait(300);
    // The count begins anew: a slip is not a ban.
    assert_eq!((edge.arrived(alice()), edge.observe(alice(), Observation::Failed)), (Arrival::Pass, None));
}

#[test]
fn wrong_passwords_now_and_then_begin_none() {
    let mut edge = edge();
    for _ in 0..200 {
        assert_eq!(edge.hear(alice(), &[REGISTER, Observation::Failed]), Arrival::Pass);
        edge.wait(95);
    }
}

#[test]
fn a_scanner_is_banned_at_once() {
    let mut edge = edge();
    edge.arrived(alice());
    let ban = edge.observe(alice(), Observation::Scanner).expect("a ban");
    assert_eq!((ban.why, ban.until), (Why::Scanner, edge.now + Duration::from_secs(300)));
    assert_eq!(edge.arrived(alice()), Arrival::Dropped(Why::Scanner));
}

#[test]
fn an_authentication_of_yesterday_does_not_come_back() {
    // The second of it is kept in 16 bits, which come round again after 65,536 seconds.
    for pause in [65_546, 962, 10] {
        let mut edge = edge();
        edge.observe(alice(), Observation::Authenticated);
        let begun = edge.now;
        while edge.now.since(begun).as_secs() < 65_546 {
            edge.wait(pause.min(65_546 - edge.now.since(begun).as_secs()));
            edge.arrived(alice());
        }
        assert!(!edge.sources.explain(edge.now, alice()).expect("it was heard").authenticated, "{pause}");
    }
}
