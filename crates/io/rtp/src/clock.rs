//! The time that every thread has.

use std::time::{Instant, SystemTime};
use sx_engine::Time;

/// Wall time when the threads were started, and what the monotonic clock has counted since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) wall: Time,
    pub(crate) started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { wall: Time::ZERO + since_epoch, started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Time {
        self.wall + self.started.elapsed()
    }
}
