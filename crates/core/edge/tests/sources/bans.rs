//! Bans by others, and their end.

use crate::{alice, edge, source};
use std::time::Duration;
use sx_edge::{Arrival, Observation, Why};
use sx_engine::Time;

#[test]
fn an_operators_ban_holds_whatever_others_say() {
    let mut edge = edge();
    let (now, soon, late) = (edge.now, edge.now + Duration::from_secs(60), edge.now + Duration::from_secs(600));
    edge.observe(alice(), Observation::Authenticated);
    assert!(edge.sources.ban(now, alice(), soon, Why::Operator));
    assert!(!edge.sources.ban(now, alice(), late, Why::Elsewhere));
    let all: Vec<_> = edge.sources.banned(now).collect();
    assert_eq!(all, [(alice(), soon, Why::Operator)]);
    edge.wait(60);
    assert_eq!((edge.arrived(alice()), edge.sources.banned(edge.now).count()), (Arrival::Pass, 0));
}

#[test]
fn a_ban_from_elsewhere_makes_none_shorter() {
    let mut edge = edge();
    let (soon, late) = (edge.now + Duration::from_secs(60), edge.now + Duration::from_secs(600));
    assert!(edge.sources.ban(edge.now, alice(), late, Why::Failures));
    assert!(!edge.sources.ban(edge.now, alice(), soon, Why::Elsewhere));
    assert_eq!(edge.sources.ban_of(edge.now, alice()).map(|ban| ban.until), Some(late));
}

#[test]
fn who_is_pardoned_begins_anew() {
    let mut edge = edge();
    while edge.arrived(alice()) == Arrival::Pass {}
    assert!(edge.sources.unban(alice()));
    assert!((0..30).all(|_| edge.arrived(alice()) == Arrival::Pass));
    assert!(!edge.sources.unban(alice()) && !edge.sources.unban(source("192.0.2.2")));
}

#[test]
fn a_ban_that_has_ended_cannot_be_lifted() {
    let mut edge = edge();
    while edge.arrived(alice()) == Arrival::Pass {}
    edge.wait(300);
    edge.arrived(source("192.0.2.2"));
    assert!(!edge.sources.unban(alice()));
}

#[test]
fn a_ban_ends_on_a_whole_second_and_not_before_it_should() {
    let mut edge = edge();
    let until = edge.now + Duration::from_millis(1_001);
    edge.sources.ban(edge.now, alice(), until, Why::Operator);
    let expected = edge.now + Duration::from_secs(2);
    assert_eq!(edge.sources.ban_of(edge.now, alice()).map(|ban| ban.until), Some(expected));
    edge.sources.ban(edge.now, alice(), Time::from_nanos(u64::MAX), Why::Operator);
    edge.wait(1_000_000_000);
    assert_eq!(edge.arrived(alice()), Arrival::Dropped(Why::Operator));
}

#[test]
fn the_addresses_of_an_ipv6_network_are_banned_together() {
    let mut edge = edge();
    for n in 0..31u32 {
        edge.arrived(source(&format!("2001:db8:1:2::{n:x}")));
    }
    assert_eq!(edge.arrived(source("2001:db8:1:2:ffff::1")), Arrival::Dropped(Why::Rate));
    assert_eq!(edge.arrived(source("2001:db8:1:3::1")), Arrival::Pass);
    assert_eq!(
        edge.sources.banned(edge.now).next().map(|(from, ..)| from.to_string()).as_deref(),
        Some("2001:db8:1:2::/64")
    );
}

#[test]
fn all_that_is_known_is_what_is_known_of_each() {
    let mut edge = edge();
    edge.hear(alice(), &[Observation::Malformed]);
    assert!(edge.sources.ban(edge.now, source("192.0.2.99"), edge.now + Duration::from_secs(60), Why::Operator));
    let mut known: Vec<_> = edge.sources.known(edge.now).collect();
    known.sort_by_key(|report| report.source);
    let mut expected = [alice(), source("192.0.2.99")];
    expected.sort();
    let each = expected.map(|source| edge.sources.explain(edge.now, source).expect("it is known"));
    assert_eq!(known, each);
}
