//! What can be done to a source by whoever forges its address.

use crate::{Edge, INVITE, OPTIONS, REGISTER, alice, edge};
use std::time::Duration;
use sx_edge::{Arrival, Observation, Why};

/// The worst that can be sent in somebody's name without a password, in every mixture, below the limit of messages.
fn junk(edge: &mut Edge) {
    for n in 0..5_000u32 {
        let forged: &[Observation] = match n % 7 {
            0..3 => &[Observation::Malformed],
            3 => &[REGISTER, Observation::Scanner],
            4 => &[OPTIONS],
            5 => &[INVITE, Observation::Dialled(0), Observation::Challenged],
            _ => &[REGISTER, Observation::Challenged],
        };
        edge.hear(alice(), forged);
        edge.now = edge.now + Duration::from_millis(20);
        assert_eq!(edge.is_banned(alice()), None, "after {n}");
    }
}

#[test]
fn junk_in_the_name_of_an_honest_source_has_it_challenged_and_never_banned() {
    let mut edge = edge();
    edge.observe(alice(), Observation::Authenticated);
    junk(&mut edge);
    assert_eq!(edge.hear(alice(), &[INVITE, Observation::Authenticated]), Arrival::Challenge);
    // And it is as before once that is over.
    edge.wait(120);
    assert_eq!(edge.arrived(alice()), Arrival::Pass);
}

#[test]
fn another_worker_that_has_seen_only_junk_does_not_have_it_banned() {
    let mut edge = edge();
    edge.observe(alice(), Observation::Authenticated);
    let until = edge.now + Duration::from_secs(60);
    assert!(!edge.sources.ban(edge.now, alice(), until, Why::Elsewhere));
    assert_eq!(edge.arrived(alice()), Arrival::Pass);
    assert!(edge.sources.ban(edge.now, alice(), until, Why::Failures));
    assert_eq!(edge.arrived(alice()), Arrival::Dropped(Why::Failures));
}

#[test]
fn a_stranger_is_not_protected_so() {
    let mut edge = edge();
    while edge.is_banned(alice()).is_none() {
        edge.hear(alice(), &[Observation::Malformed]);
    }
    assert_eq!(edge.is_banned(alice()), Some(Why::Score));
}
