//! How long something takes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The upper bound of the first bucket is two to the power of this: 64 ns.
const FIRST_POWER: u32 = 6;
/// And of the last: about a second.
const LAST_POWER: u32 = 30;
/// Buckets with an upper bound.
const BUCKETS: usize = (LAST_POWER - FIRST_POWER + 1) as usize;

/// How often something took how long, on cache lines of its own. One thread observes; others read at any time, without
/// making it wait, and may see an observation in one number before they see it in another.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct LatencyHistogram {
    buckets: [AtomicU64; BUCKETS],
    longer: AtomicU64,
    sum_ns: AtomicU64,
}

impl LatencyHistogram {
    /// The upper bounds of the buckets in ns, the bound itself included: 64 ns, each twice the one before, to about a second.
    pub const BOUNDS_NS: [u64; BUCKETS] = {
        let mut bounds = [0; BUCKETS];
        let mut place = 0;
        while place < BUCKETS {
            bounds[place] = 1 << (FIRST_POWER + place as u32);
            place += 1;
        }
        bounds
    };

    /// Something took so long.
    #[inline]
    pub fn observe(&self, ns: u64) {
        // The power of two that is not less.
        let power = u64::BITS - ns.saturating_sub(1).leading_zeros();
        let bucket = self.buckets.get(power.saturating_sub(FIRST_POWER) as usize).unwrap_or(&self.longer);
        add(bucket, 1);
        add(&self.sum_ns, ns);
    }

    /// For each of [`BOUNDS_NS`](Self::BOUNDS_NS), how often it took no longer, and at last how often altogether: buckets as
    /// metrics have them.
    pub fn cumulative(&self) -> ([u64; BUCKETS], u64) {
        let mut sum = 0;
        let at_most = std::array::from_fn(|place| {
            sum += self.buckets[place].load(Relaxed);
            sum
        });
        (at_most, sum + self.longer.load(Relaxed))
    }

    /// How long all took together, in ns.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns.load(Relaxed)
    }
}

fn add(counter: &AtomicU64, count: u64) {
    // Only one thread writes: no read-modify-write instruction is needed.
    counter.store(counter.load(Relaxed).wrapping_add(count), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_is_in_the_smallest_bucket_that_holds_it() {
        let check = |ns: u64, expected: Option<u64>| {
            let histogram = LatencyHistogram::default();
            histogram.observe(ns);
            let (at_most, all) = histogram.cumulative();
            let place = at_most.iter().position(|count| *count == 1);
            assert_eq!(place.map(|place| LatencyHistogram::BOUNDS_NS[place]), expected, "{ns}");
            assert_eq!((all, histogram.sum_ns()), (1, ns));
        };
        check(0, Some(64));
        check(1, Some(64));
        check(64, Some(64));
        check(65, Some(128));
        check(1 << 30, Some(1 << 30));
        check((1 << 30) + 1, None);
        check(u64::MAX, None);
    }
}
