//! The clock of the process.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
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
