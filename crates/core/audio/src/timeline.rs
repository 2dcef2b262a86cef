//! From timestamps that come in to positions of what goes out, whatever both clocks are.

/// Where timestamps belong. Positions that come in are ticks since something began, and may go back.
#[derive(Debug, Default)]
pub(crate) struct Timeline(Option<Running>);

#[derive(Clone, Copy, Debug)]
struct Running {
    in_hz: u32,
    out_hz: u32,
    /// The last timestamp, and where it is.
    timestamp: u32,
    position: i64,
    /// Where position 0 is in what goes out.
    begin: u64,
}

impl Timeline {
    /// Nothing is known of where timestamps belong.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// This timestamp is position 0, and goes to this position.
    pub(crate) fn begin(&mut self, timestamp: u32, (in_hz, out_hz): (u32, u32), begin: u64) {
        self.0 = Some(Running { in_hz, out_hz, timestamp, position: 0, begin });
    }

    /// As [`begin`](Self::begin), with the clocks as they were.
    pub(crate) fn anchor(&mut self, timestamp: u32, begin: u64) {
        if let Some(running) = &mut self.0 {
            *running = Running { timestamp, position: 0, begin, ..*running };
        }
    }

    /// The position of a timestamp, which is the last from now on; `None` when it cannot be told, since the clock is
    /// another, or it leaps.
    pub(crate) fn advance(&mut self, timestamp: u32, in_hz: u32, out_hz: u32) -> Option<i64> {
        let running = self.0.as_mut().filter(|running| (running.in_hz, running.out_hz) == (in_hz, out_hz))?;
        let step = i64::from(timestamp.wrapping_sub(running.timestamp).cast_signed());
        if step.unsigned_abs() > u64::from(in_hz) * LEAP_S {
            return None;
        }
        running.position += step;
        running.timestamp = timestamp;
        Some(running.position)
    }

    /// The same for a timestamp that is not the last from now on.
    pub(crate) fn glance(&self, timestamp: u32, in_hz: u32) -> Option<i64> {
        let mut copy = Self(self.0);
        let out_hz = self.0?.out_hz;
        copy.advance(timestamp, in_hz, out_hz)
    }

    /// The last position.
    pub(crate) fn position(&self) -> i64 {
        self.0.map_or(0, |running| running.position)
    }

    /// Where a position goes; nothing goes before the beginning.
    pub(crate) fn out(&self, position: i64) -> u64 {
        let Some(running) = self.0 else { return 0 };
        let ticks =
            u128::from(position.max(0).unsigned_abs()) * u128::from(running.out_hz) / u128::from(running.in_hz.max(1));
        running.begin + ticks as u64
    }
}

/// A pause that is longer is a new beginning.
const LEAP_S: u64 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_the_other_clock_across_the_wrap() {
        let mut timeline = Timeline::default();
        assert_eq!(timeline.advance(7, 8_000, 48_000), None);
        timeline.begin(u32::MAX - 159, (8_000, 48_000), 5_000);
        let position = timeline.advance(160, 8_000, 48_000).expect("it is near");
        assert_eq!((position, timeline.out(position)), (320, 5_000 + 1_920));
        assert_eq!(timeline.glance(0, 8_000), Some(160));
        assert_eq!(timeline.advance(160, 8_000, 8_000), None, "another clock");
        assert_eq!(timeline.advance(160 + 8_000 * 4_000, 8_000, 48_000), None, "a leap");
        assert_eq!(timeline.out(-5), 5_000);
    }

    /// An hour of timestamps at 8 kHz, three times around.
    #[test]
    fn long_streams_stay_in_step() {
        let mut timeline = Timeline::default();
        timeline.begin(0, (48_000, 8_000), 0);
        let mut position = 0;
        for step in 1..=20_000_u32 {
            position = timeline.advance(step.wrapping_mul(960_000), 48_000, 8_000).expect("it is near");
        }
        assert_eq!(timeline.out(position), 20_000 * 160_000);
    }
}
