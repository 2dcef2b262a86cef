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
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), anchor: Time::ZERO + wall }
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.anchor + self.started.elapsed()
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
