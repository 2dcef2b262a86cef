//! How much each identity asks for.

use crate::sliding::{Moment, Sliding};
use crate::table::Table;
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
    pub fn ask(&self, now: Time, key: &K, limit: u32, window: Duration) -> Result<(), RetryAfter> {
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
        let known = self.table.entry(key, fresh, |taken| taken.begun_ms());
        *known = known.aged(&moment);
        known.taken.add();
    }

    /// How many the key has taken within its window.
    pub fn count(&self, now: Time, key: &K) -> u32 {
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
