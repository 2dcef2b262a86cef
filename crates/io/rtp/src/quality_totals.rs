//! How the sound of all peers was, for a metrics scraper.

use crate::totals::Counter;
use sx_media::QualitySample;

/// Upper bounds of [`QualityTotals::mos`].
pub const MOS_BOUNDS: [f64; 8] = [1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 4.2, 4.5];

/// Upper bounds of [`QualityTotals::round_trip`], in seconds.
pub const ROUND_TRIP_BOUNDS: [f64; 8] = [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0];

/// Upper bounds of [`QualityTotals::held`], in seconds.
pub const HELD_BOUNDS: [f64; 8] = [0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.4];

/// How the sound of peers was, by intervals of five seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QualityTotals {
    /// Mean opinion scores of conversing (ITU-T G.107).
    pub mos: Distribution,
    /// Round trips to peers and back in seconds, in intervals where they were known.
    pub round_trip: Distribution,
    /// What jitter buffers held in seconds, in intervals that were played out.
    pub held: Distribution,
}

/// How often a value was in which bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distribution {
    /// In each bucket alone, and above the last.
    pub counts: [u64; 9],
    /// The sum of all values.
    pub sum: f64,
}

/// The same while it is counted, by one thread.
#[derive(Debug, Default)]
pub(crate) struct QualityCounters {
    mos: Buckets,
    round_trip: Buckets,
    held: Buckets,
}

#[derive(Debug, Default)]
struct Buckets {
    counts: [Counter; 9],
    /// In millionths.
    sum: Counter,
}

impl QualityCounters {
    /// An interval, if there was one.
    pub(crate) fn add(&self, sample: Option<QualitySample>) {
        let Some(sample) = sample else { return };
        self.mos.add(&MOS_BOUNDS, sample.mos_conversational);
        if let Some(round_trip_ms) = sample.round_trip_ms {
            self.round_trip.add(&ROUND_TRIP_BOUNDS, round_trip_ms / 1_000.0);
        }
        if let Some(held_ms) = sample.held_ms {
            self.held.add(&HELD_BOUNDS, held_ms / 1_000.0);
        }
    }

    pub(crate) fn add_to(&self, totals: &mut QualityTotals) {
        self.mos.add_to(&mut totals.mos);
        self.round_trip.add_to(&mut totals.round_trip);
        self.held.add_to(&mut totals.held);
    }
}

impl Buckets {
    fn add(&self, bounds: &[f64; 8], value: f64) {
        let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        self.counts[bucket].add(1);
        self.sum.add((value * 1e6).round() as u64);
    }

    fn add_to(&self, total: &mut Distribution) {
        for (sum, count) in total.counts.iter_mut().zip(&self.counts) {
            *sum += count.value();
        }
        total.sum += self.sum.value() as f64 / 1e6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_engine::Time;

    #[test]
    fn each_interval_falls_into_one_bucket() {
        let counters = QualityCounters::default();
        for (mos, round_trip_ms) in [(1.0, None), (2.6, Some(40.0)), (4.41, Some(100.0)), (4.41, Some(5_000.0))] {
            counters.add(Some(QualitySample {
                at: Time::ZERO,
                loss: 0.0,
                jitter_ms: 0.0,
                round_trip_ms,
                held_ms: round_trip_ms.map(|milliseconds| milliseconds / 2.0),
                r: 93.2,
                mos_listening: 4.41,
                mos_conversational: mos,
                peer: None,
            }));
        }
        counters.add(None);
        let mut totals = QualityTotals::default();
        counters.add_to(&mut totals);
        assert_eq!(totals.mos.counts, [1, 0, 0, 1, 0, 0, 0, 2, 0]);
        assert!((totals.mos.sum - 12.42).abs() < 1e-9, "{totals:?}");
        assert_eq!(totals.round_trip.counts, [0, 1, 1, 0, 0, 0, 0, 0, 1]);
        assert!((totals.round_trip.sum - 5.14).abs() < 1e-9, "{totals:?}");
        assert_eq!(totals.held.counts, [1, 0, 0, 1, 0, 0, 0, 0, 1]);
        assert!((totals.held.sum - 2.57).abs() < 1e-9, "{totals:?}");
    }
}
