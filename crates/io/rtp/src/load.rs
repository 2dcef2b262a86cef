//! How busy a packet thread is, and whether it waits for packets to gather.
//!
//! To be woken for each packet costs about as much as to relay it, and more where packets are protected, since they come
//! further apart. A thread that has time to spare pays it, so that nobody waits; one that has little left does not.

use crate::sys::GATHERED;
use std::time::Duration;
use sx_engine::Time;

/// What a thread has had and received until it looked at the clock last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    looked: Time,
    processor: Duration,
    received: u64,
    level: Level,
    /// How long it takes until enough packets have come together.
    enough: Duration,
}

/// How busy a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// It has had less than a quarter of its processor.
    Idle,
    /// Less than half.
    Busy,
    /// More.
    Loaded,
}

impl Load {
    /// From this moment on, of a thread that has had nothing yet.
    pub(crate) fn new(now: Time) -> Self {
        let (processor, enough) = (Duration::ZERO, Duration::ZERO);
        Self { looked: now, processor, received: 0, level: Level::Idle, enough }
    }

    /// Looks at what the thread has had of its processor and received in all. Gives what it has had since the last look.
    pub(crate) fn look(&mut self, now: Time, processor: Duration, received: u64) -> Duration {
        let (passed, had) = (now.since(self.looked), processor.saturating_sub(self.processor));
        let packets = u32::try_from(received.saturating_sub(self.received)).unwrap_or(u32::MAX);
        // Gathering takes something off, which is not to end it.
        let reached = |level: Level, share: Duration| had > if self.level >= level { share * 3 / 4 } else { share };
        self.level = match () {
            () if reached(Level::Loaded, passed / 2) => Level::Loaded,
            () if reached(Level::Busy, passed / 4) => Level::Busy,
            () => Level::Idle,
        };
        self.enough = passed * GATHERED as u32 / packets.max(1);
        (self.looked, self.processor, self.received) = (now, processor, received);
        had
    }

    /// How long packets may wait for others, of so long at most; `None`: none need wait, there is time for each.
    pub(crate) fn gathering(&self, longest: Duration) -> Option<Duration> {
        let longest = match self.level {
            Level::Idle => Duration::ZERO,
            Level::Busy => longest / 4,
            Level::Loaded => longest,
        };
        Some(longest.min(self.enough)).filter(|longest| !longest.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busier_the_longer_packets_gather_until_it_is_a_good_deal_less_so() {
        let (mut now, mut processor, mut received) = (Time::ZERO, Duration::ZERO, 0);
        let mut load = Load::new(now);
        // 64 packets in 100 ms, and a hundred and ten thousand times as many.
        for (percent, packets, expected_us) in [
            (24, 64, None),
            (26, 64, Some(250)),
            (20, 64, Some(250)),
            (18, 64, None),
            (49, 64, Some(250)),
            (51, 64, Some(1_000)),
            (40, 6_400, Some(1_000)),
            (38, 640_000, Some(10)),
            (37, 0, Some(250)),
            (0, 64, None),
            (99, 64, Some(1_000)),
        ] {
            let had = Duration::from_millis(percent);
            now = now + Duration::from_millis(100);
            (processor, received) = (processor + had, received + packets);
            assert_eq!(load.look(now, processor, received), had);
            let gathering = load.gathering(Duration::from_millis(1));
            assert_eq!(gathering, expected_us.map(Duration::from_micros), "{percent} %");
            assert_eq!(load.gathering(Duration::ZERO), None);
        }
    }
}
