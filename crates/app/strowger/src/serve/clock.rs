//! The clock of the process.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use sx_engine::Time;

/// Reads the wall clock once and the monotonic clock from then on, so that a step of the wall clock changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    anchor: Time,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { started: Instant::now(), anchor: wall() }
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.anchor + self.started.elapsed()
    }
}

/// What the wall clock shows.
pub fn wall() -> Time {
    Time::ZERO + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The wall clock was set: it did not show what it should have, in milliseconds of the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// What it should have shown.
    pub from_ms: u64,
    /// What it showed.
    pub to_ms: u64,
}

/// How far the wall clock is from the process's own time, which no step of it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    ahead_ms: i64,
}

/// A smaller step is none: clocks that are corrected little by little are not set.
const STEP_MS_MIN: u64 = 1_000;

impl Drift {
    /// Holds the wall clock against the process's time; `Some` when it was set since the last that was told.
    pub fn look(&mut self, now: Time, wall: Time) -> Option<Jump> {
        let (now_ms, to_ms) = (now.as_millis(), wall.as_millis());
        let ahead_ms = to_ms.cast_signed().saturating_sub(now_ms.cast_signed());
        if ahead_ms.abs_diff(self.ahead_ms) <= STEP_MS_MIN {
            return None;
        }
        let from_ms = now_ms.saturating_add_signed(self.ahead_ms);
        self.ahead_ms = ahead_ms;
        Some(Jump { from_ms, to_ms })
    }
}

/// Nanoseconds since the process first asked: for what takes how long.
pub fn nanos() -> u64 {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(FIRST.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Lets time pass where there is nothing to wait for: a rest under load, or the rhythm of a demonstration.
#[expect(clippy::disallowed_methods, reason = "nothing tells that the time is over but the clock")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_told_once_and_one_that_drifts_is_not() {
        let at = |ms: u64| Time::ZERO + Duration::from_millis(ms);
        let mut drift = Drift::default();
        assert_eq!(drift.look(at(10_000), at(10_000)), None);
        assert_eq!(drift.look(at(11_000), at(12_000)), None, "a second is no step");
        assert_eq!(drift.look(at(12_000), at(72_000)), Some(Jump { from_ms: 12_000, to_ms: 72_000 }));
        assert_eq!(drift.look(at(13_000), at(73_000)), None, "it was told");
        assert_eq!(drift.look(at(14_000), at(14_500)), Some(Jump { from_ms: 74_000, to_ms: 14_500 }), "back again");
        assert_eq!(drift.look(at(15_000), at(0)), Some(Jump { from_ms: 15_500, to_ms: 0 }));
    }
}
