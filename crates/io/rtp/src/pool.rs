//! Which pairs of port numbers of one address are free, in use, or resting. Time comes in with each call.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;
use sx_engine::{Rng, Time};

/// The pairs of one local address, named by their even number.
///
/// ```text
///  free ──take──► in use ──release──► quarantine ──time──► free (last in the queue)
///                   └──set_aside (taken by another program)──┘
/// ```
#[derive(Debug)]
pub(crate) struct Pool {
    free: VecDeque<u16>,
    /// When each rests until, in that order: the quarantine is the same for all.
    resting: VecDeque<(Time, u16)>,
    quarantine: Duration,
    in_use: usize,
}

impl Pool {
    /// All pairs of the range, shuffled: nobody outside is to know which number comes next.
    pub(crate) fn new(ports: &RangeInclusive<u16>, quarantine: Duration, rng: &mut Rng) -> Self {
        let mut free: VecDeque<u16> = pairs(ports).collect();
        for last in (1..free.len()).rev() {
            free.swap(last, rng.below(last as u64 + 1) as usize);
        }
        Self { free, resting: VecDeque::new(), quarantine, in_use: 0 }
    }

    /// The pair that has been free the longest; `None` when none is.
    pub(crate) fn take(&mut self, now: Time) -> Option<u16> {
        while let Some((_, number)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            self.free.push_back(number);
        }
        let number = self.free.pop_front()?;
        self.in_use += 1;
        Some(number)
    }

    /// This pair, for a call that has used it elsewhere: that it rests here does not matter, for its peer is the same.
    /// `false` when it is in use or not in the range.
    pub(crate) fn take_number(&mut self, number: u16) -> bool {
        let free = self.free.iter().position(|free| *free == number).and_then(|at| self.free.remove(at)).is_some();
        let resting = self.resting.iter().position(|(_, resting)| *resting == number);
        let taken = free || resting.and_then(|at| self.resting.remove(at)).is_some();
        self.in_use += usize::from(taken);
        taken
    }

    /// A pair is no longer used here: its numbers rest from now on.
    pub(crate) fn release(&mut self, now: Time, number: u16) {
        self.in_use = self.in_use.saturating_sub(1);
        self.resting.push_back((now + self.quarantine, number));
    }

    /// A pair that was taken turned out to be held by another program: it is tried again after the same time.
    pub(crate) fn set_aside(&mut self, now: Time, number: u16) {
        self.release(now, number);
    }

    /// How many pairs there are in all.
    pub(crate) fn len(&self) -> usize {
        self.free.len() + self.resting.len() + self.in_use
    }

    /// How many pairs are in use and resting, in this order.
    pub(crate) fn in_use_and_resting(&self) -> (usize, usize) {
        (self.in_use, self.resting.len())
    }
}

/// The even numbers of a range whose successor is in it too.
//= https://www.rfc-editor.org/rfc/rfc3550#section-11
// RTP SHOULD use an even destination port number and the corresponding RTCP stream SHOULD use the next higher (odd)
// destination port number.
pub(crate) fn pairs(ports: &RangeInclusive<u16>) -> impl Iterator<Item = u16> + use<> {
    let last = *ports.end();
    ports.clone().filter(move |number| number % 2 == 0 && *number != 0 && *number < last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(ports: RangeInclusive<u16>) -> Pool {
        Pool::new(&ports, Duration::from_secs(10), &mut Rng::from_number(1))
    }

    #[test]
    fn pairs_are_even_and_whole() {
        let check = |range: RangeInclusive<u16>, expected: &[u16]| {
            assert_eq!(pairs(&range).collect::<Vec<_>>(), expected, "{range:?}");
        };
        check(10_000..=10_003, &[10_000, 10_002]);
        check(10_001..=10_004, &[10_002]);
        check(10_000..=10_000, &[]);
        check(0..=3, &[2]);
        check(65_534..=65_535, &[65_534]);
        check(RangeInclusive::new(9, 3), &[]);
    }

    #[test]
    fn an_exhausted_pool_gives_nothing_until_the_quarantine_is_over() {
        let mut pool = pool(10_000..=10_003);
        let first = pool.take(Time::ZERO).unwrap();
        let second = pool.take(Time::ZERO).unwrap();
        assert_ne!(first, second);
        assert_eq!(pool.take(Time::ZERO), None);
        pool.release(Time::from_secs(1), second);
        assert_eq!(pool.take(Time::from_millis(10_999)), None);
        assert_eq!(pool.in_use_and_resting(), (1, 1));
        assert_eq!(pool.take(Time::from_secs(11)), Some(second));
        assert_eq!(pool.in_use_and_resting(), (2, 0));
    }

    #[test]
    fn the_pair_that_rested_longest_comes_first() {
        let mut pool = pool(10_000..=10_199);
        let taken: Vec<u16> = std::iter::from_fn(|| pool.take(Time::ZERO)).collect();
        assert_eq!(taken.len(), 100);
        assert!(!taken.is_sorted(), "the numbers come in a predictable order");
        for number in &taken {
            pool.release(Time::ZERO, *number);
        }
        let again: Vec<u16> = std::iter::from_fn(|| pool.take(Time::from_secs(10))).collect();
        assert_eq!(again, taken);
    }

    #[test]
    fn a_pair_that_is_asked_for_is_given_once_even_from_its_rest() {
        let mut pool = pool(10_000..=10_003);
        assert!(pool.take_number(10_002));
        assert!(!pool.take_number(10_002) && !pool.take_number(10_004));
        pool.release(Time::ZERO, 10_002);
        assert!(pool.take_number(10_002));
        assert_eq!((pool.take(Time::ZERO), pool.take(Time::ZERO)), (Some(10_000), None));
        assert_eq!((pool.len(), pool.in_use_and_resting()), (2, (2, 0)));
    }

    #[test]
    fn a_pair_held_by_another_program_is_tried_again_later() {
        let mut pool = pool(10_000..=10_001);
        let number = pool.take(Time::ZERO).unwrap();
        pool.set_aside(Time::ZERO, number);
        assert_eq!(pool.take(Time::from_secs(9)), None);
        assert_eq!(pool.take(Time::from_secs(10)), Some(number));
        assert_eq!(pool.len(), 1);
    }
}
