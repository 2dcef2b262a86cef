//! How much each identity asks for.

use crate::sliding::{Moment, Sliding};
use crate::table::Table;
use std::borrow::Borrow;
use std::hash::Hash;
use std::time::Duration;
use sx_engine::Time;

/// A limit was reached; when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many; again in {seconds} s")]
pub struct RetryAfter {
    /// Until there is room, when no more is taken; at least one.
    pub seconds: u32,
}

/// What each key has taken within a window that slides along with time. Remembers so many keys and no more: the one that
/// took last the longest ago is forgotten, and has all of its limit again.
///
/// Asking takes nothing, so that a permit is used up only when everything else has agreed as well.
#[derive(Debug)]
pub struct Windows<K> {
    table: Table<K, Taken>,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    window_ms: u32,
    taken: Sliding,
}

impl<K: Hash + Eq + Clone> Windows<K> {
    /// Room for so many keys, rounded up to eight. The key is the seed of the hash.
    pub fn new(capacity: usize, key: [u8; 16]) -> Self {
        Self { table: Table::new(capacity, key) }
    }

    /// May the key take one more, when it may take `limit` within `window`?
    pub fn ask<Q: Hash + Eq + ?Sized>(&self, now: Time, key: &Q, limit: u32, window: Duration) -> Result<(), RetryAfter>
    where
        K: Borrow<Q>,
    {
        let window_ms = window_ms(window);
        let moment = Moment::new(now.as_millis(), window_ms.into());
        let taken = match self.table.find(key) {
            Some(known) => known.aged(&moment).taken,
            None => Sliding::default(),
        };
        if taken.count(&moment) < limit {
            return Ok(());
        }
        let seconds = taken.wait_ms(&moment, limit).div_ceil(1000);
        Err(RetryAfter { seconds: u32::try_from(seconds).unwrap_or(u32::MAX) })
    }

    /// The key takes one. Its count begins anew when the window is another than before.
    pub fn consume(&mut self, now: Time, key: &K, window: Duration) {
        let window_ms = window_ms(window);
        let moment = Moment::new(now.as_millis(), window_ms.into());
        let fresh = || Taken { window_ms, taken: Sliding::default() };
        let known = self.table.entry(key, fresh, Taken::begun_ms);
        *known = known.aged(&moment);
        known.taken.add();
    }

    /// How many the key has taken within its window.
    pub fn count<Q: Hash + Eq + ?Sized>(&self, now: Time, key: &Q) -> u32
    where
        K: Borrow<Q>,
    {
        self.table.find(key).map_or(0, |known| {
            let moment = Moment::new(now.as_millis(), known.window_ms.into());
            known.aged(&moment).taken.count(&moment)
        })
    }

    /// Keys that are remembered.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Is none remembered?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys that can be remembered.
    pub fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// Keys that were forgotten for others.
    pub fn evictions(&self) -> u64 {
        self.table.evictions()
    }
}

impl Taken {
    fn aged(self, moment: &Moment) -> Self {
        // Never cut: it was made of 32 bits.
        let window_ms = moment.window_ms as u32;
        let mut taken = if window_ms == self.window_ms { self.taken } else { Sliding::default() };
        taken.advance(moment.window);
        Self { window_ms, taken }
    }

    /// When the last window began in which something was taken.
    fn begun_ms(&self) -> u64 {
        u64::from(self.taken.window) * u64::from(self.window_ms)
    }
}

/// At least a second, so that numbers of windows fit 32 bits.
fn window_ms(window: Duration) -> u32 {
    u32::try_from(window.as_millis()).unwrap_or(u32::MAX).max(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn asking_takes_nothing() {
        let (mut windows, now) = (Windows::new(64, [1; 16]), Time::from_secs(6_000));
        for _ in 0..10 {
            assert_eq!(windows.ask(now, &"alice", 1, MINUTE), Ok(()));
        }
        assert_eq!((windows.count(now, &"alice"), windows.len()), (0, 0));
        windows.consume(now, &"alice", MINUTE);
        assert_eq!(windows.count(now, &"alice"), 1);
        // A limit that is lowered holds at once; another's is its own.
        assert!(windows.ask(now, &"alice", 1, MINUTE).is_err());
        assert_eq!((windows.ask(now, &"alice", 2, MINUTE), windows.ask(now, &"bob", 1, MINUTE)), (Ok(()), Ok(())));
    }

    #[test]
    fn a_limit_of_nothing_is_never_open() {
        let windows = Windows::<&str>::new(64, [1; 16]);
        assert_eq!(windows.ask(Time::from_secs(6_000), &"alice", 0, MINUTE), Err(RetryAfter { seconds: 60 }));
    }

    #[test]
    fn whoever_took_last_the_longest_ago_is_forgotten() {
        let mut windows = Windows::new(8, [1; 16]);
        for n in 0..9u64 {
            windows.consume(Time::from_secs(6_000 + 60 * n), &n, Duration::from_secs(600));
        }
        let now = Time::from_secs(6_500);
        assert_eq!((windows.count(now, &0), windows.count(now, &8)), (0, 1));
        assert_eq!((windows.len(), windows.capacity(), windows.evictions()), (8, 8, 1));
    }

    #[test]
    fn a_name_is_found_by_its_letters() {
        let (mut windows, now) = (Windows::<std::sync::Arc<str>>::new(64, [1; 16]), Time::from_secs(6_000));
        windows.consume(now, &"alice".into(), MINUTE);
        assert_eq!((windows.count(now, "alice"), windows.ask(now, "alice", 1, MINUTE).is_ok()), (1, false));
    }

    #[test]
    fn a_window_of_another_length_begins_anew() {
        let (mut windows, now) = (Windows::new(8, [1; 16]), Time::from_secs(6_000));
        windows.consume(now, &1, MINUTE);
        assert_eq!(windows.ask(now, &1, 1, 2 * MINUTE), Ok(()));
        windows.consume(now, &1, 2 * MINUTE);
        assert_eq!(windows.count(now, &1), 1);
    }

    proptest! {
        #[test]
        fn counts_as_a_list_of_all_times_would(
            steps in prop::collection::vec((0u64..9_000, 0u8..3), 1..300), limit in 1u32..20, seconds in 1u64..20,
        ) {
            let window = Duration::from_secs(seconds);
            let mut windows = Windows::new(4_096, [3; 16]);
            let mut taken: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
            let mut now_ms = 1_700_000_000_000;
            for (step, key) in steps {
                now_ms += step;
                let (now, times) = (Time::from_millis(now_ms), taken.entry(key).or_default());
                let window_ms = seconds * 1000;
                let begun = now_ms / window_ms * window_ms;
                let within = |from: u64, to: u64| times.iter().filter(|time| (from..to).contains(time)).count() as u64;
                let before = within(begun - window_ms, begun) * (begun + window_ms - now_ms) / window_ms;
                let expected = (within(begun, u64::MAX) + before) as u32;
                prop_assert_eq!(windows.count(now, &key), expected);
                match windows.ask(now, &key, limit, window) {
                    Ok(()) => {
                        prop_assert!(expected < limit);
                        windows.consume(now, &key, window);
                        times.push(now_ms);
                    }
                    Err(again) => {
                        prop_assert!(expected >= limit);
                        let then = now + Duration::from_secs(again.seconds.into());
                        prop_assert_eq!(windows.ask(then, &key, limit, window), Ok(()));
                        prop_assert!(u64::from(again.seconds) <= 2 * seconds);
                    }
                }
            }
        }
    }
}
