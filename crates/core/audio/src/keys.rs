//! Keys that are pressed on telephones: heard, relayed between clocks, pressed in a stream of ours.

mod listening;
mod pressing;
mod relayed;
mod tone_listener;

pub(crate) use listening::Listening;
pub(crate) use pressing::{As, Pressing};
pub(crate) use relayed::Relayed;

use std::fmt;
use std::time::Duration;

/// A key and how long it was pressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// One of `0`-`9`, `*`, `#`, `A`-`D`.
    pub key: char,
    /// For how long, in milliseconds.
    pub duration_ms: u16,
}

impl Key {
    pub(crate) fn new(key: char, duration: Duration) -> Self {
        Self { key, duration_ms: u16::try_from(duration.as_millis()).unwrap_or(u16::MAX) }
    }
}

/// Without the key: it may be a digit of somebody's card.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("duration_ms", &self.duration_ms).finish_non_exhaustive()
    }
}
