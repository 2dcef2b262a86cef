//! How often a worker turns to its sockets under load.
//!
//! Waking up costs more than most messages do. A worker to which several messages will have come by then rests between
//! two turns, so that one wake-up serves them all; one that has little to do serves each at once.

use std::time::Duration;
use sx_engine::Time;

/// Decides when to rest.
#[derive(Debug)]
pub struct Pace {
    turn: Duration,
    last: Time,
    /// The interval between messages, averaged over the last turns, in nanoseconds.
    interval: u64,
}

/// Fewer messages to a turn are not worth resting for: a rest costs about what a wake-up does, and each call waits for it.
const WORTH: u32 = 3;
/// What a turn for so many costs a message hardly falls any more when they are more; waiting for those would only be felt.
const ENOUGH: u32 = 8;
/// A turn that served so many has most likely left some in the socket, which has room for a few hundred.
const MANY: u32 = 32;
const LONG: u64 = 1 << 40;

impl Pace {
    /// Turns as far apart under load as it takes until there is enough for one, but `turn` at most; zero never rests.
    pub fn new(turn: Duration) -> Self {
        Self { turn, last: Time::ZERO, interval: LONG }
    }

    /// A turn that began at `begun` and served so many messages is over at `now`: how long to rest before the next.
    /// Twice as long while there is no call: nobody waits for a registration as a caller does for the ring.
    pub fn rest(&mut self, begun: Time, now: Time, messages: u32, calls: bool) -> Option<Duration> {
        if messages == 0 || messages >= MANY {
            return None;
        }
        let since = u64::try_from(begun.since(self.last).as_nanos()).unwrap_or(LONG).min(LONG);
        self.last = begun;
        self.interval = self.interval - self.interval / 16 + since / u64::from(messages) / 16;
        let turn = if calls { self.turn } else { self.turn * 2 };
        let interval = Duration::from_nanos(self.interval);
        if interval * WORTH > turn {
            return None;
        }
        turn.min(interval * ENOUGH).checked_sub(now.since(begun)).filter(|rest| !rest.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rests_with(calls: bool, turn_us: u64, interval_us: u64, messages: u32, work_us: u64) -> Option<Duration> {
        let mut pace = Pace::new(Duration::from_micros(turn_us));
        let turn = |n: u64| Time::from_nanos(1_000_000_000 + n * interval_us * 1_000);
        let rest = |n| pace.rest(turn(n), turn(n) + Duration::from_micros(work_us), messages, calls);
        (0..500).map(rest).last().flatten()
    }

    fn rests(turn_us: u64, interval_us: u64, messages: u32, work_us: u64) -> Option<Duration> {
        rests_with(true, turn_us, interval_us, messages, work_us)
    }

    #[test]
    fn registrations_wait_longer_than_calls() {
        assert_eq!(rests_with(false, 500, 900, 3, 100), Some(Duration::from_micros(900)));
        assert_eq!(rests_with(false, 500, 1_000, 1, 100), None);
        assert_eq!(rests_with(true, 500, 900, 3, 100), None);
        assert_eq!(rests_with(false, 0, 10, 2, 5), None);
    }

    #[test]
    fn a_worker_with_more_to_do_than_a_turn_takes_never_rests() {
        assert!(rests(2_000, 1_800, 31, 100).is_some());
        assert_eq!(rests(2_000, 1_800, 32, 100), None);
    }

    #[test]
    fn the_busier_a_worker_is_the_shorter_it_rests() {
        // Eight messages of 75 µs are more than a turn; eight of 37.5 µs take 300 µs, as far as the average is exact.
        assert_eq!(rests(500, 300, 4, 100), Some(Duration::from_micros(400)));
        let rest = rests(500, 150, 4, 100).expect("it rests");
        assert!((195..=205).contains(&rest.as_micros()), "{rest:?}");
        assert_eq!(rests(500, 100, 8, 110), None);
    }

    #[test]
    fn only_a_busy_worker_rests_and_only_for_what_is_left_of_the_turn() {
        assert_eq!(rests(500, 150, 1, 100), Some(Duration::from_micros(400)));
        assert_eq!(rests(500, 500, 4, 100), Some(Duration::from_micros(400)));
        assert_eq!(rests(500, 500, 4, 600), None);
        assert_eq!(rests(500, 160, 1, 100), Some(Duration::from_micros(400)));
        assert_eq!(rests(500, 170, 1, 100), None);
        assert_eq!(rests(0, 10, 1, 5), None);
    }
}
