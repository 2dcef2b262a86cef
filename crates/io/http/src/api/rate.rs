//! How often somebody may ask: a bucket a token, and one an address for tokens that open nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use sx_edge::{Prefixes, Source};

/// Buckets in a table. Beyond them those make room that little was taken from, which matter least.
const BUCKETS_MAX: usize = 4096;
const MINUTE: Duration = Duration::from_secs(60);

/// Buckets by key. Each holds what may be asked in a minute and fills again over a minute.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    per_minute: u32,
    levels: HashMap<K, Level>,
}

/// How far a bucket was emptied, and when that was so.
#[derive(Clone, Copy, Debug)]
struct Level {
    taken: f64,
    at: Instant,
}

impl<K: std::hash::Hash + Eq + Clone> Buckets<K> {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute.max(1), levels: HashMap::new() }
    }

    /// Takes one.
    ///
    /// # Errors
    /// When there is none: after how many seconds there will be one.
    pub(crate) fn take(&mut self, key: &K, now: Instant) -> Result<(), u64> {
        self.look(key, now)?;
        if self.levels.len() >= BUCKETS_MAX && !self.levels.contains_key(key) {
            self.make_room(now);
        }
        let taken = self.taken(key, now) + 1.0;
        self.levels.insert(key.clone(), Level { taken, at: now });
        Ok(())
    }

    /// Is there one?
    ///
    /// # Errors
    /// When there is none: after how many seconds there will be one.
    fn look(&self, key: &K, now: Instant) -> Result<(), u64> {
        let short = self.taken(key, now) + 1.0 - f64::from(self.per_minute);
        if short <= 0.0 {
            return Ok(());
        }
        let seconds = (short * MINUTE.as_secs_f64() / f64::from(self.per_minute)).ceil();
        // Between 1 and 60: no more than all can be missing.
        Err(seconds as u64)
    }

    fn taken(&self, key: &K, now: Instant) -> f64 {
        self.levels.get(key).map_or(0.0, |level| self.taken_now(*level, now))
    }

    fn taken_now(&self, level: Level, now: Instant) -> f64 {
        let filled = now.saturating_duration_since(level.at).as_secs_f64() * f64::from(self.per_minute);
        (level.taken - filled / MINUTE.as_secs_f64()).max(0.0)
    }

    /// Forgets the buckets that little was taken from: about half of them, and at least one.
    fn make_room(&mut self, now: Instant) {
        let mut taken: Vec<f64> = self.levels.values().map(|level| self.taken_now(*level, now)).collect();
        let middle = taken.len() / 2;
        let bound = *taken.select_nth_unstable_by(middle, f64::total_cmp).1;
        let levels = std::mem::take(&mut self.levels);
        self.levels = levels.into_iter().filter(|(_, level)| self.taken_now(*level, now) > bound).collect();
    }
}

/// Whom an address counts as: an IPv6 host has a whole /64 to choose from.
pub(crate) fn counted_as(address: IpAddr) -> IpAddr {
    Source::of(address, &Prefixes::default()).address()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_a_minute_has_and_fills_again() {
        let mut buckets = Buckets::new(60);
        let start = Instant::now();
        for _ in 0..60 {
            assert_eq!(buckets.take(&"a", start), Ok(()));
        }
        assert_eq!(buckets.take(&"a", start), Err(1));
        assert_eq!(buckets.take(&"b", start), Ok(()), "another bucket is another");
        let later = start + Duration::from_secs(2);
        assert_eq!([(); 3].map(|()| buckets.take(&"a", later)), [Ok(()), Ok(()), Err(1)]);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| buckets.take(&"a", much_later).is_ok()).count(), 60);
    }

    #[test]
    fn the_time_to_wait_is_the_time_until_there_is_one() {
        let mut buckets = Buckets::new(10);
        let start = Instant::now();
        for _ in 0..10 {
            buckets.take(&0, start).expect("a full bucket");
        }
        let wait = buckets.look(&0, start).expect_err("an empty bucket");
        assert_eq!(wait, 6);
        assert_eq!(buckets.look(&0, start + Duration::from_secs(wait - 1)), Err(1));
        assert_eq!(buckets.look(&0, start + Duration::from_secs(wait)), Ok(()));
    }

    #[test]
    fn strangers_without_number_do_not_make_the_one_who_guesses_forgotten() {
        let mut buckets = Buckets::new(10);
        let now = Instant::now();
        for _ in 0..10 {
            buckets.take(&0, now).expect("a full bucket");
        }
        for stranger in 1..100_000 {
            buckets.take(&stranger, now).expect("a bucket of its own");
            assert!(buckets.levels.len() <= BUCKETS_MAX);
        }
        assert!(buckets.look(&0, now).is_err());
    }

    #[test]
    fn a_network_counts_as_one_host() {
        let counted = |address: &str| counted_as(address.parse().expect("an address")).to_string();
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(counted("192.0.2.1"), "192.0.2.1");
    }
}
