//! How far apart writes begin for those who wait: each costs the same, however many records share it.

use std::time::Duration;
use sx_engine::Time;

/// A write of so many records waits for no more.
const COMPANY: usize = 16;
/// For them it waits so many times as long as it would otherwise.
const PATIENCE: u32 = 3;

/// When the last write began, and how fast records come.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Time,
    per_second: u64,
}

impl Pace {
    /// Nothing has been written.
    pub(super) fn new() -> Self {
        Self { begun: Time::ZERO, per_second: 0 }
    }

    /// When the last write began.
    pub(super) fn begun(&self) -> Time {
        self.begun
    }

    /// A write begins, with so many records.
    pub(super) fn begins(&mut self, now: Time, records: usize) {
        let nanos = u64::try_from(now.since(self.begun).as_nanos()).unwrap_or(u64::MAX).max(1);
        let now_per_second = (records as u64).saturating_mul(1_000_000_000) / nanos;
        self.per_second = (self.per_second.saturating_mul(3).saturating_add(now_per_second)) / 4;
        self.begun = now;
    }

    /// When the next may begin while so many records wait: after `gather`, or later where enough of them come to be worth it.
    pub(super) fn next(&self, gather: Duration, waiting: usize) -> Time {
        let patience = gather * PATIENCE;
        let comes = u128::from(self.per_second) * patience.as_nanos() / 1_000_000_000;
        let is_worth_it = waiting < COMPANY && comes >= COMPANY as u128;
        self.begun + if is_worth_it { patience } else { gather }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATHER: Duration = Duration::from_millis(1);

    /// How far apart writes come to be when so many records arrive each millisecond and are waited for.
    fn apart(per_ms: usize) -> Duration {
        let (mut pace, mut waiting, mut last, mut between) = (Pace::new(), 0, Time::ZERO, Duration::ZERO);
        for tenth in 0..2_000_u64 {
            let now = Time::from_secs(10) + Duration::from_micros(tenth * 100);
            waiting += usize::from(tenth % 10 == 0) * per_ms;
            if waiting > 0 && now >= pace.next(GATHER, waiting) {
                pace.begins(now, waiting);
                (between, last, waiting) = (now.since(last), now, 0);
            }
        }
        between
    }

    #[test]
    fn a_write_waits_for_company_where_that_comes() {
        assert_eq!(apart(2), GATHER, "hardly any would come");
        assert_eq!(apart(7), 3 * GATHER, "16 come in three times as long");
        assert_eq!(apart(10), 2 * GATHER, "or sooner");
        assert_eq!(apart(40), GATHER, "enough are there at once");
    }
}
