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
    gathering: Option<Duration>,
}

impl Load {
    /// From this moment on, of a thread that has had nothing yet.
    pub(crate) fn new(now: Time) -> Self {
        Self { looked: now, processor: Duration::ZERO, received: 0, gathering: None }
    }

    /// Looks at what the thread has had of its processor and received in all. Gives what it has had since the last look.
    pub(crate) fn look(&mut self, now: Time, processor: Duration, received: u64) -> Duration {
        let (passed, had) = (now.since(self.looked), processor.saturating_sub(self.processor));
        let packets = u32::try_from(received.saturating_sub(self.received)).unwrap_or(u32::MAX);
        // Gathering takes a fifth off, which is not to end it.
        let enough = if self.gathering.is_some() { passed * 3 / 8 } else { passed / 2 };
        self.gathering = (had > enough).then(|| passed * GATHERED as u32 / packets.max(1));
        (self.looked, self.processor, self.received) = (now, processor, received);
        had
    }

    /// How long it takes until enough packets have come together; `None`: it has so much time left that none need wait.
    pub(crate) fn gathering(&self) -> Option<Duration> {
        self.gathering
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_busy_gathers_until_it_is_a_good_deal_less_so() {
        let (mut now, mut processor, mut received) = (Time::ZERO, Duration::ZERO, 0);
        let mut load = Load::new(now);
        // 64 packets in 100 ms, and a hundred times as many.
        for (percent, packets, expected) in [
            (49, 64, None),
            (51, 64, Some(100)),
            (40, 6_400, Some(1)),
            (38, 0, Some(6_400)),
            (37, 64, None),
            (45, 64, None),
            (99, 64, Some(100)),
        ] {
            let had = Duration::from_millis(percent);
            now = now + Duration::from_millis(100);
            (processor, received) = (processor + had, received + packets);
            assert_eq!(load.look(now, processor, received), had);
            assert_eq!(load.gathering(), expected.map(Duration::from_millis), "{percent} %");
        }
    }
}
