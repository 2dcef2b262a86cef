//! One direction of a path between two endpoints, and what it does to datagrams.

use std::time::Duration;
use sx_engine::{Rng, Time};

/// What a link does to the datagrams it carries. Probabilities are between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    loss: f64,
    duplicate: f64,
    delay: Duration,
    jitter: Duration,
}

impl Conditions {
    /// Nothing is lost, nothing takes time.
    pub const PERFECT: Self = Self { loss: 0.0, duplicate: 0.0, delay: Duration::ZERO, jitter: Duration::ZERO };

    /// Nothing arrives.
    pub const CUT: Self = Self { loss: 1.0, ..Self::PERFECT };

    /// This share of the datagrams is lost.
    #[must_use]
    pub const fn loss(self, share: f64) -> Self {
        Self { loss: share, ..self }
    }

    /// This share of the datagrams that arrive does so twice, each copy with a delay of its own.
    #[must_use]
    pub const fn duplicate(self, share: f64) -> Self {
        Self { duplicate: share, ..self }
    }

    /// The least time a datagram takes.
    #[must_use]
    pub const fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// A datagram takes up to this much longer, drawn evenly and for each on its own, so that one sent later may
    /// arrive earlier.
    #[must_use]
    pub const fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }
}

/// A link under its [`Conditions`], with a sequence of chances of its own.
#[derive(Clone, Debug)]
pub struct Link {
    conditions: Conditions,
    rng: Rng,
}

impl Link {
    /// A link whose chances come from `rng`.
    pub fn new(conditions: Conditions, rng: Rng) -> Self {
        Self { conditions, rng }
    }

    /// Changes what the link does from now on; datagrams under way are not affected.
    pub fn set(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// When a datagram sent at `now` arrives: never (empty), once, or twice. The earlier arrival comes first.
    pub fn arrivals(&mut self, now: Time) -> Vec<Time> {
        // Each datagram draws the same number of chances whatever becomes of it, so that one lost datagram
        // does not change the fate of all that follow.
        let (lost, twice) = (self.happens(self.conditions.loss), self.happens(self.conditions.duplicate));
        let (first, second) = (self.arrival(now), self.arrival(now));
        match (lost, twice) {
            (true, _) => vec![],
            (false, false) => vec![first],
            (false, true) => vec![first.min(second), first.max(second)],
        }
    }

    fn happens(&mut self, share: f64) -> bool {
        const STEPS: u32 = 1_000_000_000;
        (self.rng.below(u64::from(STEPS)) as f64) < share * f64::from(STEPS)
    }

    fn arrival(&mut self, now: Time) -> Time {
        let span = u64::try_from(self.conditions.jitter.as_nanos()).unwrap_or(u64::MAX);
        now + self.conditions.delay + Duration::from_nanos(self.rng.below(span.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_800_000_000);

    fn link(conditions: Conditions) -> Link {
        Link::new(conditions, Rng::from_number(1))
    }

    #[track_caller]
    fn check_share(conditions: Conditions, counts: fn(&[Time]) -> bool, expected: f64) {
        let mut link = link(conditions);
        let hits = (0..20_000).filter(|_| counts(&link.arrivals(START))).count();
        let share = hits as f64 / 20_000.0;
        assert!((share - expected).abs() < 0.01, "{share} where {expected} was asked");
    }

    #[test]
    fn loses_and_duplicates_the_share_that_was_asked_for() {
        check_share(Conditions::PERFECT, |a| a.len() == 1, 1.0);
        check_share(Conditions::CUT, <[Time]>::is_empty, 1.0);
        check_share(Conditions::PERFECT.loss(0.1), <[Time]>::is_empty, 0.1);
        check_share(Conditions::PERFECT.duplicate(0.25), |a| a.len() == 2, 0.25);
        check_share(Conditions::PERFECT.loss(0.5).duplicate(0.5), |a| a.len() == 2, 0.25);
    }

    #[test]
    fn delay_is_the_least_and_jitter_the_most_on_top() {
        let (delay, jitter) = (Duration::from_millis(40), Duration::from_millis(30));
        let mut link = link(Conditions::PERFECT.delay(delay).jitter(jitter));
        let took: Vec<_> = (0..5_000).flat_map(|_| link.arrivals(START)).map(|t| t.since(START)).collect();
        let (least, most) = (took.iter().min().expect("some"), took.iter().max().expect("some"));
        assert!(*least >= delay && *least < delay + Duration::from_millis(1), "{least:?}");
        assert!(*most <= delay + jitter && *most > delay + jitter - Duration::from_millis(1), "{most:?}");
    }

    #[test]
    fn a_loss_does_not_change_the_fate_of_the_next_datagram() {
        let jittery = Conditions::PERFECT.jitter(Duration::from_millis(5));
        let (mut whole, mut lossy) = (link(jittery), link(jittery.loss(0.3)));
        for _ in 0..200 {
            let (sure, maybe) = (whole.arrivals(START), lossy.arrivals(START));
            assert!(maybe.is_empty() || maybe == sure);
        }
    }
}
