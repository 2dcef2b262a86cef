//! How a worker is, written by its thread and read by probes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use sx_engine::Time;

/// How one worker is.
#[derive(Debug)]
pub struct Vitals {
    /// When it took a turn last, in nanoseconds of the process's time.
    turned: AtomicU64,
    storing: AtomicBool,
    witnessing: AtomicBool,
    draining: AtomicBool,
}

/// A worker takes a turn twice a second even when nothing comes. One that has taken none for so long is stuck.
const STUCK: Duration = Duration::from_secs(10);

impl Vitals {
    /// Those of a worker that begins now.
    pub fn new(now: Time) -> Self {
        Self {
            turned: AtomicU64::new(now.as_nanos()),
            storing: AtomicBool::new(true),
            witnessing: AtomicBool::new(true),
            draining: AtomicBool::new(false),
        }
    }

    /// It takes turns.
    pub fn turn(&self, now: Time) {
        self.turned.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Has it taken a turn lately?
    pub fn turns(&self, now: Time) -> bool {
        now.since(Time::from_nanos(self.turned.load(Ordering::Relaxed))) < STUCK
    }

    /// Its journals can be written, or they cannot: no new call is taken then.
    pub fn set_storing(&self, storing: bool) {
        self.storing.store(storing, Ordering::Relaxed);
    }

    /// Can its journals be written?
    pub fn storing(&self) -> bool {
        self.storing.load(Ordering::Relaxed)
    }

    /// The witness log can be written, or it cannot: no new call is taken then.
    pub fn set_witnessing(&self, witnessing: bool) {
        self.witnessing.store(witnessing, Ordering::Relaxed);
    }

    /// Can the witness log be written?
    pub fn witnessing(&self) -> bool {
        self.witnessing.load(Ordering::Relaxed)
    }

    /// An operator has told it to take no new calls, or to take them again.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    /// Has an operator told it to take no new calls?
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
