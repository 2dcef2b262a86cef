//! When a mixing thread mixes.

use std::time::Duration;
use sx_audio::FRAME_MS;
use sx_engine::Time;

/// How long a tick is.
pub(crate) const TICK: Duration = Duration::from_millis(FRAME_MS as u64);

/// So many late ticks are made up for: what receivers hold back is about as long.
const CATCH_UP_TICKS: u64 = 4;

/// Ticks at fixed times, however late each of them is carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    next: Time,
}

/// A tick whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// When it should have been.
    pub(crate) at: Time,
    /// So many before it are left out.
    pub(crate) missed: u64,
}

impl Schedule {
    /// The first tick is a whole one from now.
    pub(crate) fn begin(now: Time) -> Self {
        Self { next: now + TICK }
    }

    /// How long it is until the next tick.
    pub(crate) fn rest(&self, now: Time) -> Duration {
        self.next.since(now)
    }

    /// The next tick, if its time has come. More may be due.
    pub(crate) fn poll(&mut self, now: Time) -> Option<Due> {
        if now < self.next {
            return None;
        }
        let late = u64::try_from(now.since(self.next).as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX);
        let missed = if late > CATCH_UP_TICKS { late } else { 0 };
        let at = self.next + TICK * u32::try_from(missed).unwrap_or(u32::MAX);
        self.next = at + TICK;
        Some(Due { at, missed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_800_000_000);

    /// Ticks that are due when it is so many milliseconds after the beginning.
    fn check(schedule: &mut Schedule, now_ms: u64, expected: &[(u64, u64)]) {
        let now = START + Duration::from_millis(now_ms);
        let due = std::iter::from_fn(|| schedule.poll(now));
        let due: Vec<_> = due.map(|Due { at, missed }| (at.since(START).as_millis() as u64, missed)).collect();
        assert_eq!(due, expected, "at {now_ms} ms");
    }

    #[test]
    fn ticks_keep_to_their_times_and_are_made_up_for_as_long_as_they_are_of_use() {
        let mut schedule = Schedule::begin(START);
        check(&mut schedule, 19, &[]);
        check(&mut schedule, 33, &[(20, 0)]);
        assert_eq!(schedule.rest(START + Duration::from_millis(33)), Duration::from_millis(7));
        check(&mut schedule, 45, &[(40, 0)]);
        check(&mut schedule, 145, &[(60, 0), (80, 0), (100, 0), (120, 0), (140, 0)]);
        assert_eq!(schedule.rest(START + Duration::from_millis(300)), Duration::ZERO);
        check(&mut schedule, 275, &[(260, 5)]);
        check(&mut schedule, 279, &[]);
        check(&mut schedule, 3_600_280, &[(3_600_280, 180_000)]);
    }
}
