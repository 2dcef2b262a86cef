//! What comes of ballots.

use proptest::prelude::*;
use std::time::Duration;
use sx_council::{COOLING_OFF, CastError, Choice, Elector, Outcome, Tally, Vote};
use sx_engine::Time;

const NOW: Time = Time::from_secs(1_800_000_000);
const CLOSES: Time = Time::from_secs(1_800_000_600);

/// A vote of so many, the first of whom has a veto, that cast these ballots.
fn vote(electors: usize, ballots: &[Choice]) -> Vote {
    let elector = |number: usize| Elector { id: format!("g{number}").into(), veto: number == 0 };
    let mut vote = Vote::new((0..electors).map(elector), CLOSES);
    for (number, choice) in ballots.iter().enumerate() {
        vote.cast(&format!("g{number}"), *choice, NOW).expect("it counts");
    }
    vote
}

fn ballots(veto: bool, approve: usize, reject: usize, abstain: usize) -> Vec<Choice> {
    let first = veto.then_some(Choice::Veto);
    let others = [(Choice::Approve, approve), (Choice::Reject, reject), (Choice::Abstain, abstain)];
    let others = others.into_iter().flat_map(|(choice, count)| std::iter::repeat_n(choice, count));
    first.into_iter().chain(others).collect()
}

#[track_caller]
fn outcome(veto: bool, counts: [usize; 3], expected: Outcome) {
    let cast = ballots(veto, counts[0], counts[1], counts[2]);
    assert_eq!(vote(cast.len(), &cast).outcome(NOW), expected);
}

#[test]
fn three_of_four_have_to_want_it() {
    outcome(false, [3, 1, 0], Outcome::Approved);
    outcome(false, [3, 1, 8], Outcome::Approved);
    outcome(false, [74, 26, 0], Outcome::Rejected);
    outcome(false, [75, 25, 0], Outcome::Approved);
    outcome(false, [0, 0, 5], Outcome::Rejected);
}

#[test]
fn a_veto_lets_rest_what_nearly_all_want_and_is_a_no_otherwise() {
    let resting = Outcome::CoolingOff { until: NOW + COOLING_OFF };
    outcome(true, [11, 0, 0], resting);
    outcome(true, [96, 4, 0], resting);
    outcome(true, [95, 5, 0], Outcome::Approved);
    outcome(true, [3, 0, 8], resting);
    outcome(true, [75, 25, 0], Outcome::Rejected);
    let rested = vote(12, &ballots(true, 11, 0, 0));
    let ends = NOW + COOLING_OFF;
    assert_eq!(rested.outcome(ends), Outcome::Approved);
    assert_eq!(rested.outcome(Time::from_nanos(ends.as_nanos() - 1)), resting);
    assert_eq!(COOLING_OFF, Duration::from_secs(14 * 86_400));
}

#[test]
fn it_is_open_until_all_have_voted_or_the_time_is_over_and_half_have_to_vote() {
    let half = vote(4, &ballots(false, 2, 0, 0));
    assert_eq!((half.outcome(NOW), half.outcome(CLOSES)), (Outcome::Open, Outcome::Approved));
    let fewer = vote(5, &ballots(false, 2, 0, 0));
    assert_eq!(fewer.outcome(CLOSES), Outcome::NoQuorum);
    assert_eq!(vote(0, &[]).outcome(CLOSES), Outcome::NoQuorum);
    let all = vote(2, &ballots(false, 1, 0, 1));
    assert_eq!(all.outcome(NOW), Outcome::Approved);
    assert_eq!(all.tally(), Tally { electors: 2, approve: 1, reject: 0, abstain: 1, veto: 0 });
}

#[test]
fn a_ballot_that_may_not_be_cast_changes_nothing() {
    let mut one = vote(3, &[Choice::Approve]);
    let before = one.tally();
    for (who, choice, now, why) in [
        ("g9", Choice::Approve, NOW, CastError::NoElector),
        ("g0", Choice::Reject, NOW, CastError::Cast),
        ("g1", Choice::Veto, NOW, CastError::NoVeto),
        ("g1", Choice::Approve, CLOSES, CastError::Closed),
    ] {
        assert_eq!(one.cast(who, choice, now), Err(why));
        assert_eq!(one.tally(), before);
    }
}

proptest! {
    #[test]
    fn a_further_yes_in_the_place_of_a_no_never_makes_it_less_wanted(approve in 0..30usize, reject in 1..30usize, abstain in 0..5usize) {
        let outcome = |approve: usize, reject: usize| {
            let cast = ballots(false, approve, reject, abstain);
            vote(cast.len(), &cast).outcome(NOW)
        };
        let (before, after) = (outcome(approve, reject), outcome(approve + 1, reject - 1));
        prop_assert!(before != Outcome::Approved || after == Outcome::Approved);
    }
}
