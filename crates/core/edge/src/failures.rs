//! Accounts that somebody guesses the password of.

use crate::sliding::Recent;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use sx_engine::Time;

/// When an account is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimits {
    /// So many failures, held between 1 and 255,
    pub failures_max: u32,
    /// within this time
    pub window: Duration,
    /// block the account for so long.
    pub ban: Duration,
}

/// The failures of one account, over all workers. Too many within a while block it, wherever they came from: a guesser with
/// many addresses never fails too often from one of them.
///
/// Whoever knows the name of an account can have it blocked, and its owner with it; that is the price, and `ban` is how
/// long it is paid. The right credentials forgive nothing, for the owner shows them all day while others guess: whoever
/// drives this knows where the owner comes from, and lets him in. Guesses land on any worker: so those share what they
/// count, and a guess that is judged after the answer to the last one that may fail finds the account blocked.
#[derive(Debug, Default)]
pub struct Failures {
    recent: AtomicU64,
    blocked_until_ms: AtomicU64,
}

impl Failures {
    /// Is nobody let in on this account now, whatever the credentials?
    pub fn is_blocked(&self, now: Time) -> bool {
        self.blocked_until_ms.load(Relaxed) > now.as_millis()
    }

    /// When the account is open again; `None` when it is.
    pub fn blocked_until(&self, now: Time) -> Option<Time> {
        let until = Time::from_millis(self.blocked_until_ms.load(Relaxed));
        (until > now).then_some(until)
    }

    /// Wrong credentials were shown for the account. `true` when it is blocked from now on.
    pub fn failed(&self, now: Time, limits: &FailureLimits) -> bool {
        if self.is_blocked(now) {
            return false;
        }
        let part = part(now, limits);
        let failures_max = limits.failures_max.clamp(1, 255);
        let failed = |word: u64| {
            let mut recent = Recent::unpacked(word);
            recent.add(part);
            recent
        };
        // What leads to a block is settled with it, by the one worker that sees it through.
        let next = |word| {
            let recent = failed(word);
            Some(if recent.count(part) >= failures_max { Recent::default().packed() } else { recent.packed() })
        };
        let before = self.recent.fetch_update(Relaxed, Relaxed, next).unwrap_or_default();
        let begins = failed(before).count(part) >= failures_max;
        if begins {
            self.blocked_until_ms.fetch_max((now + limits.ban).as_millis(), Relaxed);
        }
        begins
    }

    /// How many failures count against the account now.
    pub fn count(&self, now: Time, limits: &FailureLimits) -> u32 {
        Recent::unpacked(self.recent.load(Relaxed)).count(part(now, limits))
    }
}

fn part(now: Time, limits: &FailureLimits) -> u16 {
    let window_ms = u64::try_from(limits.window.as_millis()).unwrap_or(u64::MAX);
    (now.as_millis() / Recent::part_ms(window_ms)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::scope;

    const LIMITS: FailureLimits =
        FailureLimits { failures_max: 5, window: Duration::from_secs(300), ban: Duration::from_secs(600) };

    fn fail(failures: &Failures, at: u64) -> bool {
        failures.failed(Time::from_secs(at), &LIMITS)
    }

    #[test]
    fn the_fifth_failure_within_the_time_blocks_the_account_once() {
        let failures = Failures::default();
        let began = [10_000, 10_070, 10_140, 10_210, 10_299].map(|at| fail(&failures, at));
        assert_eq!(began, [false, false, false, false, true]);
        // Whoever goes on guessing does not make it longer.
        assert!((0..20).all(|n| !fail(&failures, 10_299 + n)));
        let is_blocked = |at: u64| failures.is_blocked(Time::from_secs(at));
        assert_eq!([is_blocked(10_299), is_blocked(10_898), is_blocked(10_899)], [true, true, false]);
        assert_eq!(failures.blocked_until(Time::from_secs(10_299)), Some(Time::from_secs(10_899)));
        assert_eq!(failures.blocked_until(Time::from_secs(10_899)), None);
    }

    #[test]
    fn failures_that_are_far_apart_block_nothing() {
        let failures = Failures::default();
        assert!((0..100).all(|n| !fail(&failures, 10_000 + 100 * n)));
        assert_eq!(failures.count(Time::from_secs(19_900), &LIMITS), 4);
    }

    #[test]
    fn after_a_block_the_count_begins_anew() {
        let failures = Failures::default();
        assert_eq!([0, 1, 2, 3, 4].map(|n| fail(&failures, 10_000 + n)), [false, false, false, false, true]);
        assert_eq!([0, 1, 2, 3, 4].map(|n| fail(&failures, 10_604 + n)), [false, false, false, false, true]);
    }

    #[test]
    fn workers_that_count_at_once_lose_no_failure_and_block_once() {
        let failures = Failures::default();
        let limits = FailureLimits { failures_max: 200, ..LIMITS };
        let begun = scope(|scope| {
            let worker = || (0..100).filter(|_| failures.failed(Time::from_secs(10_000), &limits)).count();
            let workers = [scope.spawn(worker), scope.spawn(worker)];
            workers.map(|worker| worker.join().expect("a worker")).iter().sum::<usize>()
        });
        assert_eq!(begun, 1);
        assert!(failures.is_blocked(Time::from_secs(10_000)));
    }
}
