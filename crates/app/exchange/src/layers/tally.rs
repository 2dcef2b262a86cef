//! Which refusals are recorded one by one: so many of a source in a minute, and so many in a second altogether; of those
//! who are known as many again. All others are counted, by layer, and one record says how many there were.

use std::collections::BTreeMap;
use std::time::Duration;
use sx_edge::{Layer, Source};
use sx_engine::Time;
use sx_guard::Authentication;

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

/// Who was refused, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Anybody.
    Stranger,
    /// A user who has authenticated, or a trunk.
    Known,
}

impl Asker {
    /// Whoever is identified so: a name that nobody has proved is a stranger's.
    pub(crate) fn by(authenticated: Authentication) -> Self {
        if authenticated == Authentication::Nothing { Self::Stranger } else { Self::Known }
    }
}

/// What was recorded of late, and what was only counted.
#[derive(Debug)]
pub(crate) struct Tally {
    limits: RecordLimits,
    /// Each has as much as the limits say, so that no flood of strangers hides what those who are known were refused.
    strangers: Budget,
    known: Budget,
    /// Since when refusals are counted, and how many each layer has had.
    summed: Option<(Time, [u64; Layer::ALL.len()])>,
}

/// What of the limits is taken.
#[derive(Debug, Default)]
struct Budget {
    second: Time,
    in_second: u32,
    minute: Time,
    sources: BTreeMap<Source, u32>,
}

/// How often there is a sum.
const SUM: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

impl Tally {
    pub(crate) fn new(limits: RecordLimits) -> Self {
        Self { limits, strangers: Budget::default(), known: Budget::default(), summed: None }
    }

    /// Is this refusal recorded by itself? If not, it is counted.
    pub(crate) fn records(&mut self, now: Time, source: Source, asker: Asker, layer: Layer) -> bool {
        let budget = match asker {
            Asker::Stranger => &mut self.strangers,
            Asker::Known => &mut self.known,
        };
        let has_room = budget.takes(now, source, &self.limits);
        if !has_room {
            self.count(now, layer);
        }
        has_room
    }

    /// Is a ban recorded by itself, of which a source has one in a while? If not, it is counted.
    pub(crate) fn records_ban(&mut self, now: Time, layer: Layer) -> bool {
        let has_room = self.strangers.has_room(now, &self.limits);
        if has_room {
            self.strangers.in_second += 1;
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

    /// When the next sum is due.
    pub(crate) fn timeout(&self) -> Option<Time> {
        self.summed.as_ref().map(|(since, _)| *since + SUM)
    }

    /// The sum, when it is due or nothing more will come: since when, and how many of each layer.
    pub(crate) fn sum(&mut self, now: Time, ends: bool) -> Option<(Time, [u64; Layer::ALL.len()])> {
        self.summed.take_if(|(since, _)| ends || *since + SUM <= now)
    }
}

impl Budget {
    fn takes(&mut self, now: Time, source: Source, limits: &RecordLimits) -> bool {
        if !self.has_room(now, limits) {
            return false;
        }
        if now >= self.minute + MINUTE {
            self.minute = now;
            self.sources.clear();
        }
        if !self.sources.contains_key(&source) && self.sources.len() >= limits.sources_max {
            return false;
        }
        let of_source = self.sources.entry(source).or_default();
        if *of_source >= limits.per_source {
            return false;
        }
        *of_source += 1;
        self.in_second += 1;
        true
    }

    fn has_room(&mut self, now: Time, limits: &RecordLimits) -> bool {
        if now >= self.second + SECOND {
            (self.second, self.in_second) = (now, 0);
        }
        self.in_second < limits.per_second
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
        let recorded = (0..10_000)
            .filter(|number| tally.records(now, address(number % 50), Asker::Stranger, Layer::Identity))
            .count();
        assert_eq!(recorded, limits.per_second as usize);
        assert_eq!(tally.sum(now, false), None);
        let (since, sums) = tally.sum(now + SUM, false).expect("a sum");
        assert_eq!(
            (since, sums[Layer::Identity.index()] as usize + recorded),
            (now, 10_000),
            "each is one or the other"
        );
        let later = now + SUM;
        let of_one = (0..20).filter(|_| tally.records(later, address(77), Asker::Stranger, Layer::Guard)).count();
        assert_eq!(of_one, limits.per_source as usize);
    }

    #[test]
    fn what_those_who_are_known_are_refused_is_not_hidden_by_a_flood() {
        let limits = RecordLimits::default();
        let mut tally = Tally::new(limits);
        let now = Time::from_secs(1_800_000_000);
        let address = |number: u32| source(Ipv4Addr::from_bits(number));
        let recorded = |tally: &mut Tally, asker: Asker, layer: Layer| {
            (0..10_000).filter(|number| tally.records(now, address(*number), asker, layer)).count()
        };
        assert_eq!(recorded(&mut tally, Asker::Stranger, Layer::Identity), limits.per_second as usize);
        assert_eq!(recorded(&mut tally, Asker::Known, Layer::Guard), limits.per_second as usize);
    }

    #[test]
    fn a_subscriber_s_ipv6_network_takes_one_place() {
        let limits = RecordLimits { sources_max: 2, ..RecordLimits::default() };
        let mut tally = Tally::new(limits);
        let now = Time::from_secs(1_800_000_000);
        let within = |number: u128| source(std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | number));
        let recorded =
            (0..50).filter(|number| tally.records(now, within(*number), Asker::Stranger, Layer::Identity)).count();
        assert_eq!(recorded, limits.per_source as usize);
        assert!(tally.records(now, within(1 << 64), Asker::Stranger, Layer::Identity), "there is room for another");
    }
}
