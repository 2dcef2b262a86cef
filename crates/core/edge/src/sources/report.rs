//! What is told of a source to people.

use super::record::{At, Record};
use super::{Ban, SourceLimits, score};
use crate::Source;

/// All that is known about a source, at the time of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceReport {
    /// Who it is.
    pub source: Source,
    /// Has it shown the right credentials within the hour?
    pub authenticated: bool,
    /// Messages within the last window's length.
    pub rate: u32,
    /// Messages that it may send in that.
    pub limit: u32,
    /// Messages, halved with each window; so are the next four.
    pub messages: u32,
    /// Messages that could not be read.
    pub malformed: u32,
    /// Requests.
    pub requests: u32,
    /// INVITEs.
    pub calls: u32,
    /// OPTIONS and REGISTER.
    pub probes: u32,
    /// About how many different numbers it dialled.
    pub numbers: u32,
    /// Challenges within a minute, halved with each authentication.
    pub challenges: u32,
    /// Wrong credentials within the time that they count.
    pub failures: u32,
    /// The ban that it is under.
    pub ban: Option<Ban>,
    /// What its score is made of.
    pub score: ScoreParts,
}

/// What a score is made of, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoreParts {
    /// How near it is to its limit; up to 400.
    pub rate: u32,
    /// What share of its messages cannot be read; up to 900.
    pub malformed: u32,
    /// How many wrong credentials it showed; up to 600.
    pub failures: u32,
    /// How many challenges it did not answer; up to 900.
    pub challenges: u32,
    /// Whether it only asks who is there; up to 500.
    pub methods: u32,
    /// Whether it dials one number after the other; up to 500.
    pub numbers: u32,
    /// Whether it calls itself a scanner; 900.
    pub scanner: u32,
}

impl ScoreParts {
    /// The score: the sum, at most 1000.
    pub fn total_milli(&self) -> u32 {
        self.sum().min(1000)
    }

    /// Is more than half of it what no honest source does?
    pub fn is_mostly_grave(&self) -> bool {
        (self.malformed + self.failures + self.challenges + self.scanner) * 2 > self.sum()
    }

    fn sum(&self) -> u32 {
        self.rate + self.malformed + self.failures + self.challenges + self.methods + self.numbers + self.scanner
    }
}

pub(super) fn of(record: &Record, at: &At, limits: &SourceLimits, source: Source) -> SourceReport {
    SourceReport {
        source,
        authenticated: record.is_authenticated(at),
        rate: record.rate(at),
        limit: record.limit(at, limits),
        messages: record.messages().into(),
        malformed: record.malformed().into(),
        requests: record.requests().into(),
        calls: record.calls().into(),
        probes: record.probes().into(),
        numbers: record.numbers(),
        challenges: record.challenges(at),
        failures: record.failures(at),
        ban: record.standing_ban(at, source),
        score: score::of(record, record.rate(at), at, limits),
    }
}
