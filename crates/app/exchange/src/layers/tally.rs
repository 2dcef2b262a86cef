//! Which refusals are recorded one by one: so many of a source in a minute, and so many in a second altogether. All others
//! are counted, by layer, and one record says how many there were.

use std::collections::BTreeMap;
use std::time::Duration;
use sx_edge::{Layer, Source};
use sx_engine::Time;

/// How many refusals are recorded one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimits {
    /// In a second, of one worker.
    pub per_second: u32,
    /// Of one source in a minute.
    pub per_source: u32,
    /// Sources that are told apart in a minute.
    pub sources_max: usize,
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self { per_second: 100, per_source: 5, sources_max: 4_096 }
    }
}

/// What was recorded of late, and what was only counted.
#[derive(Debug)]
pub(crate) struct Tally {
    limits: RecordLimits,
    second: Time,
    in_second: u32,
    minute: Time,
    sources: BTreeMap<Source, u32>,
    /// Since when refusals are counted, and how many each layer has had.
    summed: Option<(Time, [u64; Layer::ALL.len()])>,
}

/// How often there is a sum.
const SUM: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

impl Tally {
    pub(crate) fn new(limits: RecordLimits) -> Self {
        Self { limits, second: Time::ZERO, in_second: 0, minute: Time::ZERO, sources: BTreeMap::new(), summed: None }
    }

    /// Is this refusal recorded by itself? If not, it is counted.
    pub(crate) fn records(&mut self, now: Time, source: Source, layer: Layer) -> bool {
        if self.has_room(now, source) {
            return true;
        }
        self.count(now, layer);
        false
    }

    /// Is a ban recorded by itself, of which a source has one in a while? If not, it is counted.
    pub(crate) fn records_ban(&mut self, now: Time, layer: Layer) -> bool {
        let has_room = self.has_room_now(now);
        if has_room {
            self.in_second += 1;
        } else {
            self.count(now, layer);
        }
        has_room
    }

    /// Counts one that nobody asks about.
    pub(crate) fn count(&mut self, now: Time, layer: Layer) {
        let (_, sums) = self.summed.get_or_insert((now, [0; Layer::ALL.len()]));
        sums[layer.index()] += 1;
    }

    fn has_room(&mut self, now: Time, source: Source) -> bool {
        if !self.has_room_now(now) {
            return false;
        }
        if now >= self.minute + MINUTE {
            self.minute = now;
            self.sources.clear();
        }
        if !self.sources.contains_key(&source) && self.sources.len() >= self.limits.sources_max {
            return false;
        }
        let of_source = self.sources.entry(source).or_default();
        if *of_source >= self.limits.per_source {
            return false;
        }
        *of_source += 1;
        self.in_second += 1;
        true
    }

    fn has_room_now(&mut self, now: Time) -> bool {
        if now >= self.second + SECOND {
            (self.second, self.in_second) = (now, 0);
        }
        self.in_second < self.limits.per_second
    }

    /// When the next sum is due.
    pub(crate) fn timeout(&self) -> Option<Time> {
        self.summed.as_ref().map(|(since, _)| *since + SUM)
    }

    /// The sum, when it is due: since when, and how many of each layer.
    pub(crate) fn sum(&mut self, now: Time) -> Option<(Time, [u64; Layer::ALL.len()])> {
        self.summed.take_if(|(since, _)| *since + SUM <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};
    use sx_edge::Prefixes;

    fn source(address: impl Into<IpAddr>) -> Source {
        Source::of(address.into(), &Prefixes::default())
    }

    #[test]
    fn a_flood_is_recorded_within_bounds_and_counted_beyond() {
        let limits = RecordLimits::default();
        let mut tally = Tally::new(limits);
        let now = Time::from_secs(1_800_000_000);
        let address = |number: u32| source(Ipv4Addr::from_bits(number));
        let recorded = (0..10_000).filter(|number| tally.records(now, address(number % 50), Layer::Identity)).count();
        assert_eq!(recorded, limits.per_second as usize);
        assert_eq!(tally.sum(now), None);
        let (since, sums) = tally.sum(now + SUM).expect("a sum");
        assert_eq!(
            (since, sums[Layer::Identity.index()] as usize + recorded),
            (now, 10_000),
            "each is one or the other"
        );
        let later = now + SUM;
        let of_one = (0..20).filter(|_| tally.records(later, address(77), Layer::Guard)).count();
        assert_eq!(of_one, limits.per_source as usize);
    }

    #[test]
    fn a_subscriber_s_ipv6_network_takes_one_place() {
        let limits = RecordLimits { sources_max: 2, ..RecordLimits::default() };
        let mut tally = Tally::new(limits);
        let now = Time::from_secs(1_800_000_000);
        let within = |number: u128| source(std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | number));
        let recorded = (0..50).filter(|number| tally.records(now, within(*number), Layer::Identity)).count();
        assert_eq!(recorded, limits.per_source as usize);
        assert!(tally.records(now, within(1 << 64), Layer::Identity), "there is room for another");
    }
}
