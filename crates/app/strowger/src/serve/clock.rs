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

    /// A clock that shows this now.
    #[cfg(test)]
    pub fn showing(anchor: Time) -> Self {
        Self { started: Instant::now(), anchor }
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
    /// How far that is ahead of the process's own time.
    pub ahead_ms: i64,
}

/// How far the wall clock is from the process's own time, which no step of it changes, as it was told last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    ahead_ms: i64,
}

/// A smaller step is none: clocks that are corrected little by little are not set.
pub const STEP: Duration = Duration::from_secs(1);

impl Drift {
    /// Holds the wall clock against the process's time; `Some` when it was set since the last that was told.
    pub fn look(&self, now: Time, wall: Time) -> Option<Jump> {
        let (now_ms, to_ms) = (now.as_millis(), wall.as_millis());
        let ahead_ms = to_ms.cast_signed().saturating_sub(now_ms.cast_signed());
        if u128::from(ahead_ms.abs_diff(self.ahead_ms)) <= STEP.as_millis() {
            return None;
        }
        let from_ms = now_ms.saturating_add_signed(self.ahead_ms);
        Some(Jump { from_ms, to_ms, ahead_ms })
    }

    /// It is written down that the clock was set.
    pub fn told(&mut self, jump: Jump) {
        self.ahead_ms = jump.ahead_ms;
    }

    /// How far the wall clock is ahead.
    pub fn ahead_ms(&self) -> i64 {
        self.ahead_ms
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
    fn a_clock_that_was_set_is_told_until_it_is_written_down_and_one_that_drifts_is_not() {
        let at = |ms: u64| Time::ZERO + Duration::from_millis(ms);
        let mut drift = Drift::default();
        let jump = |from_ms, to_ms, ahead_ms| Some(Jump { from_ms, to_ms, ahead_ms });
        assert_eq!(drift.look(at(10_000), at(10_000)), None);
        assert_eq!(drift.look(at(11_000), at(12_000)), None, "a second is no step");
        assert_eq!(drift.look(at(12_000), at(72_000)), jump(12_000, 72_000, 60_000));
        let again = drift.look(at(13_000), at(73_000));
        assert_eq!(again, jump(13_000, 73_000, 60_000), "it could not be written down");
        drift.told(again.expect("a step"));
        assert_eq!(drift.look(at(14_000), at(74_000)), None, "it was told");
        let back = drift.look(at(14_000), at(14_500));
        assert_eq!(back, jump(74_000, 14_500, 500), "back again");
        drift.told(back.expect("a step"));
        assert_eq!(drift.look(at(15_000), at(0)), jump(15_500, 0, -15_000));
    }
}
