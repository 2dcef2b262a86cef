//! Accounts that somebody guesses the password of.

use crate::sliding::Recent;
use crate::table::Table;
use std::borrow::Borrow;
use std::hash::Hash;
use std::time::Duration;
use sx_engine::Time;

/// Failures of each account. Too many within a while block it, wherever they came from: a guesser with many addresses
/// never fails too often from one of them.
///
/// Whoever knows the name of an account can have it blocked, and its owner with it; that is the price, and `ban` is how
/// long it is paid. The right credentials forgive nothing, for the owner shows them all day while others guess: whoever
/// drives this knows where the owner comes from, and lets him in. So many accounts are remembered and no more: first those
/// are forgotten that are not blocked, the one whose last failure is longest ago before others.
#[derive(Debug)]
pub struct Failures<K> {
    failures_max: u32,
    part_ms: u64,
    ban: Duration,
    table: Table<K, Account>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    recent: Recent,
    failed_ms: u64,
    blocked_until: Time,
}

impl<K: Hash + Eq + Clone> Failures<K> {
    /// `failures_max` failures, held between 1 and 255, within `failures_window` block an account for `ban`. Room for so
    /// many accounts, rounded up to eight. The key is the seed of the hash.
    pub fn new(failures_max: u32, failures_window: Duration, ban: Duration, capacity: usize, key: [u8; 16]) -> Self {
        let window_ms = u64::try_from(failures_window.as_millis()).unwrap_or(u64::MAX);
        Self {
            failures_max: failures_max.clamp(1, 255),
            part_ms: Recent::part_ms(window_ms),
            ban,
            table: Table::new(capacity, key),
        }
    }

    /// Is nobody let in on this account now, whatever the credentials?
    pub fn is_blocked<Q: Hash + Eq + ?Sized>(&self, now: Time, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.blocked_until(now, key).is_some()
    }

    /// When the account is open again; `None` when it is.
    pub fn blocked_until<Q: Hash + Eq + ?Sized>(&self, now: Time, key: &Q) -> Option<Time>
    where
        K: Borrow<Q>,
    {
        self.table.find(key).map(|account| account.blocked_until).filter(|until| *until > now)
    }

    /// Wrong credentials were shown for the account. `true` when it is blocked from now on.
    pub fn failed(&mut self, now: Time, key: &K) -> bool {
        let part = self.part(now);
        let account = self.table.entry(key, Account::default, Account::worth);
        if account.blocked_until > now {
            return false;
        }
        account.recent.add(part);
        account.failed_ms = now.as_millis();
        let begins = account.recent.count(part) >= self.failures_max;
        if begins {
            *account = Account { blocked_until: now + self.ban, failed_ms: account.failed_ms, ..Account::default() };
        }
        begins
    }

    /// Blocks the account until then, unless it is blocked for longer.
    pub fn block(&mut self, now: Time, key: &K, until: Time) {
        let account = self.table.entry(key, Account::default, Account::worth);
        if account.blocked_until < until {
            *account = Account { blocked_until: until, failed_ms: now.as_millis(), ..Account::default() };
        }
    }

    /// How many failures count against the account now.
    pub fn count<Q: Hash + Eq + ?Sized>(&self, now: Time, key: &Q) -> u32
    where
        K: Borrow<Q>,
    {
        self.table.find(key).map_or(0, |account| account.recent.count(self.part(now)))
    }

    /// Accounts that are remembered.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Is none remembered?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Accounts that can be remembered.
    pub fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// Accounts that were forgotten for others.
    pub fn evictions(&self) -> u64 {
        self.table.evictions()
    }

    fn part(&self, now: Time) -> u16 {
        (now.as_millis() / self.part_ms) as u16
    }
}

impl Account {
    /// When it last mattered. A block that stands ends later than anything has failed.
    fn worth(&self) -> u64 {
        self.failed_ms.max(self.blocked_until.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);
    const BAN: Duration = Duration::from_secs(600);

    fn failures() -> Failures<&'static str> {
        Failures::new(5, WINDOW, BAN, 64, [1; 16])
    }

    fn fail(failures: &mut Failures<&'static str>, at: u64) -> bool {
        failures.failed(Time::from_secs(at), &"alice")
    }

    #[test]
    fn the_fifth_failure_within_the_time_blocks_the_account_once() {
        let mut failures = failures();
        let began = [10_000, 10_070, 10_140, 10_210, 10_299].map(|at| fail(&mut failures, at));
        assert_eq!(began, [false, false, false, false, true]);
        // Whoever goes on guessing does not make it longer.
        assert!((0..20).all(|n| !fail(&mut failures, 10_299 + n)));
        let is_blocked = |at: u64| failures.is_blocked(Time::from_secs(at), &"alice");
        assert_eq!([is_blocked(10_299), is_blocked(10_898), is_blocked(10_899)], [true, true, false]);
        assert!(!failures.is_blocked(Time::from_secs(10_299), &"bob"));
        assert_eq!(failures.blocked_until(Time::from_secs(10_299), &"alice"), Some(Time::from_secs(10_899)));
    }

    #[test]
    fn failures_that_are_far_apart_block_nothing() {
        let mut failures = failures();
        assert!((0..100).all(|n| !fail(&mut failures, 10_000 + 100 * n)));
    }

    #[test]
    fn after_a_block_the_count_begins_anew() {
        let mut failures = failures();
        assert_eq!([0, 1, 2, 3, 4].map(|n| fail(&mut failures, 10_000 + n)), [false, false, false, false, true]);
        assert_eq!([0, 1, 2, 3, 4].map(|n| fail(&mut failures, 10_604 + n)), [false, false, false, false, true]);
    }

    #[test]
    fn a_block_that_another_has_begun_holds_and_is_made_no_shorter() {
        let mut failures = failures();
        let at = Time::from_secs;
        assert!((0..4).all(|n| !fail(&mut failures, 10_000 + n)));
        failures.block(at(10_004), &"alice", at(10_600));
        failures.block(at(10_005), &"alice", at(10_500));
        assert_eq!(failures.blocked_until(at(10_006), &"alice"), Some(at(10_600)));
        assert_eq!(failures.count(at(10_600), &"alice"), 0, "what led to it is settled");
    }

    #[test]
    fn blocked_accounts_are_not_forgotten_for_others() {
        let mut failures = Failures::new(5, WINDOW, BAN, 64, [1; 16]);
        let now = Time::from_secs(10_000);
        assert!((0..5).map(|_| failures.failed(now, &0)).eq([false, false, false, false, true]));
        for account in 1..10_000u32 {
            failures.failed(now, &account);
        }
        assert!(failures.is_blocked(now, &0));
        assert!((failures.len(), failures.capacity()) == (64, 64) && failures.evictions() == 9_936);
    }
}
