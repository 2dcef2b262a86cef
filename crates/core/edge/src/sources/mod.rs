//! Who sends too fast, who sends junk, who guesses: what is remembered about sources, and what follows from it.
//!
//! ```text
//!                          ┌── excess of a window, failures, a scanner, grave score ──► banned ──┐
//!  nothing known ──► open ─┤                                                                      ├──► open
//!                          └── score above the limit: every message is Challenge ◄── it ages ────┘
//! ```
//!
//! **Spoofing.** A datagram's source can be forged. Junk that was sent in the name of an honest source must not silence it,
//! so a source that has authenticated within the hour is not banned for its score, nor for calling itself a scanner:
//! such things make it be challenged at most, which an honest telephone answers. What can still silence it: more than
//! `authenticated` messages in a window, which takes sixty forged datagrams a second, for the table cannot tell them
//! apart before they are parsed; and `failures_max` wrong credentials, which take a challenge that was given to the
//! forger or to the source itself. A ban that another worker tells of, but for wrong credentials, is taken only where the
//! source has not authenticated. A source that has not authenticated can be silenced by whoever forges its address: it loses its
//! service for `ban`, and nothing but a transport that cannot be forged (TCP, TLS) helps it.
//!
//! **Many behind one address.** Telephones behind a NAT are one source. They share its limits, and one that is
//! configured wrongly can get all of them banned by its failures.

mod record;
mod report;
mod score;

pub use report::{ScoreParts, SourceReport};

use crate::sliding::{Moment, Recent};
use crate::source::Masked;
use crate::table::Table;
use crate::{FailureLimits, Prefixes, Source};
use record::{At, Record};
use std::ops::Range;
use std::time::Duration;
use sx_engine::Time;

/// How long a source is banned whose score is too high for grave reasons.
pub const SCORE_BAN: Duration = Duration::from_secs(60);
/// How long a source counts as authenticated after it has shown the right credentials.
pub const AUTHENTICATED_FOR: Duration = Duration::from_secs(3600);
/// A window is no shorter and no longer than this, so that the numbers of windows fit.
const WINDOW_MS: (u64, u64) = (1_000, 600_000);

/// What a source may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLimits {
    /// Over how long messages are counted; held between one second and ten minutes.
    pub window: Duration,
    /// Messages within a window of a source that has not authenticated within the hour.
    pub unknown: u32,
    /// Messages within a window of a source that has.
    pub authenticated: u32,
    /// How long a ban lasts, except one for the score; rounded up to seconds.
    pub ban: Duration,
    /// Wrong credentials that begin a ban; held between 1 and 255.
    pub failures_max: u32,
    /// Within how long they do.
    pub failures_window: Duration,
    /// A source with a higher score, in thousandths, is challenged.
    pub score_max_milli: u32,
    /// How many sources are remembered.
    pub sources_max: usize,
    /// What counts as one source.
    pub prefixes: Prefixes,
}

impl Default for SourceLimits {
    /// 30 messages in 10 s, 600 once authenticated, 5 failures in 5 minutes, bans of 5 minutes, 262,144 sources.
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            unknown: 30,
            authenticated: 600,
            ban: Duration::from_secs(300),
            failures_max: 5,
            failures_window: Duration::from_secs(300),
            score_max_milli: 800,
            sources_max: 262_144,
            prefixes: Prefixes::default(),
        }
    }
}

impl SourceLimits {
    /// What holds for an account that wrong credentials are shown for, from wherever.
    pub fn failures(&self) -> FailureLimits {
        FailureLimits { failures_max: self.failures_max, window: self.failures_window, ban: self.ban }
    }
}

/// What is to become of a message that has just arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Go on with it.
    Pass,
    /// The source is suspicious: a request outside of dialogs is answered with a challenge, also where it would need
    /// none, unless it carries the right credentials.
    Challenge,
    /// It is the first too many: answered with 503, and from now on the source is banned.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-21.5.4
    Refuse {
        /// When the source may try again.
        retry_after_s: u32,
    },
    /// The source is banned: no answer, which would only serve whoever forged its address.
    Dropped(Why),
}

/// Why a source is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// It sent too fast.
    Rate,
    /// Its score was too high, mostly for malformed messages, failures and challenges that it did not answer.
    Score,
    /// It showed wrong credentials too often.
    Failures,
    /// It called itself by the name of a scanner.
    Scanner,
    /// An operator has said so.
    Operator,
    /// Another worker has banned it.
    Elsewhere,
}

/// What has been learnt from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// It could not be read.
    Malformed,
    /// It is a request.
    Request(MethodClass),
    /// It dials a number: a keyed hash of it, of which the highest bits are used.
    Dialled(u64),
    /// It was answered with a challenge.
    Challenged,
    /// It carried wrong credentials, for a nonce that was given to this source where that can be told: else whoever
    /// has got a nonce himself can fail in another's name.
    Failed,
    /// It carried the right credentials, or its sender is known otherwise: as a trunk is by its address, or as whoever
    /// answers a request of ours is, since only who has read it knows its branch. Carriers that only answer would else
    /// be held to what strangers may send.
    Authenticated,
    /// It bears the name of a scanner.
    Scanner,
    /// It answers nothing that was asked: as a message that has [arrived](Sources::arrived).
    Unasked,
}

/// Kinds of requests that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the method of that name")]
pub enum MethodClass {
    Invite,
    Register,
    Options,
    Message,
    /// Any other.
    Other,
}

/// A ban as others are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Who is banned.
    pub source: Source,
    /// When it ends.
    pub until: Time,
    /// Why.
    pub why: Why,
}

/// What is remembered about sources. One worker's own; its memory is taken when it is made and never grows.
///
/// When there are too many sources, those are forgotten that matter least: such as have neither authenticated nor been
/// banned, first the ones that have failed and sent least. Among eight that are all one or the other, the ban that
/// ends soonest goes before whom one would have to challenge again, and an operator's ban goes last.
#[derive(Debug)]
pub struct Sources {
    limits: SourceLimits,
    /// The last that was heard of the time.
    heard: At,
    table: Table<Masked, Record>,
}

impl Why {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::Rate, Self::Score, Self::Failures, Self::Scanner, Self::Operator, Self::Elsewhere];

    /// The label of a metric and the word in a record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Score => "score",
            Self::Failures => "failures",
            Self::Scanner => "scanner",
            Self::Operator => "operator",
            Self::Elsewhere => "elsewhere",
        }
    }
}

impl Sources {
    /// Room for all sources there may be. The key is the seed of the hash: who knows it can aim for collisions.
    pub fn new(limits: SourceLimits, key: [u8; 16]) -> Self {
        let limits = SourceLimits { failures_max: limits.failures_max.clamp(1, 255), ..limits };
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let window_ms = millis(limits.window).clamp(WINDOW_MS.0, WINDOW_MS.1);
        let failure_part_ms = Recent::part_ms(millis(limits.failures_window));
        Self {
            heard: At { moment: Moment::new(0, window_ms), second: 0, now_ms: 0, failure_part_ms },
            table: Table::new(limits.sources_max, key),
            limits,
        }
    }

    /// A message has arrived and is not even parsed. To be asked for each of them, once.
    #[inline]
    pub fn arrived(&mut self, now: Time, source: Source) -> Arrival {
        let at = self.at(now);
        self.heard = at;
        let limits = self.limits;
        let record = entry(&mut self.table, &at, source);
        if let Some(why) = record.banned(&at) {
            return Arrival::Dropped(why);
        }
        record.age(&at);
        record.arrived();
        let rate = record.rate(&at);
        if rate > record.limit(&at, &limits) {
            record.ban(at.second_after(limits.ban), Why::Rate);
            return Arrival::Refuse { retry_after_s: seconds(limits.ban) };
        }
        let score = score::of(record, rate, &at, &limits).total_milli();
        if score > limits.score_max_milli { Arrival::Challenge } else { Arrival::Pass }
    }

    /// A message has been looked at. `Some` when the source is banned from now on because of it.
    pub fn observe(&mut self, now: Time, source: Source, observation: Observation) -> Option<Ban> {
        let at = self.at(now);
        self.heard = at;
        let limits = self.limits;
        let record = entry(&mut self.table, &at, source);
        // What was still under way when the ban began changes nothing.
        if record.banned(&at).is_some() {
            return None;
        }
        record.age(&at);
        record.observed(&at, observation);
        let (why, length) = verdict(record, &at, &limits, observation)?;
        record.ban(at.second_after(length), why);
        record.standing_ban(&at, source)
    }

    /// Bans the source until then, rounded up to a second. `false` when that changes nothing: a ban stands that lasts longer
    /// or is an operator's, or another worker tells of it and the source has authenticated here.
    pub fn ban(&mut self, now: Time, source: Source, until: Time, why: Why) -> bool {
        let at = self.at(now);
        self.heard = at;
        let record = entry(&mut self.table, &at, source);
        record.age(&at);
        let until = at.second_at(until);
        if why != Why::Operator {
            let forged_perhaps = why == Why::Elsewhere && record.is_authenticated(&at);
            let stands =
                record.banned(&at).is_some_and(|why| why == Why::Operator) || record.banned_until(&at) >= until;
            if forged_perhaps || stands {
                return false;
            }
        }
        record.ban(until, why);
        true
    }

    /// Ends a ban, and forgets what led to it. `false` when none stood at the time that was named last.
    pub fn unban(&mut self, source: Source) -> bool {
        let at = self.heard;
        self.table.find_mut(&source.masked()).is_some_and(|record| record.pardon(&at))
    }

    /// How suspicious the source is, from 0 to 1000.
    pub fn score_milli(&self, now: Time, source: Source) -> u32 {
        let at = self.at(now);
        self.aged(&at, source).map_or(0, |record| score::of(&record, record.rate(&at), &at, &self.limits).total_milli())
    }

    /// How long ago the source has shown the right credentials; `None` when it has not, or so long ago that it no longer counts.
    pub fn authenticated_ago(&self, now: Time, source: Source) -> Option<Duration> {
        let at = self.at(now);
        let record = self.aged(&at, source).filter(|record| record.is_authenticated(&at))?;
        Some(Duration::from_secs(record.authentication_age_s(&at).into()))
    }

    /// The ban that the source is under.
    pub fn ban_of(&self, now: Time, source: Source) -> Option<Ban> {
        self.table.find(&source.masked())?.standing_ban(&self.at(now), source)
    }

    /// All that is known about the source; `None` when nothing is.
    pub fn explain(&self, now: Time, source: Source) -> Option<SourceReport> {
        let at = self.at(now);
        self.aged(&at, source).map(|record| report::of(&record, &at, &self.limits, source))
    }

    /// Who is banned, until when and why. Looks at the whole table: for people, not for messages.
    pub fn banned(&self, now: Time) -> impl Iterator<Item = (Source, Time, Why)> {
        let at = self.at(now);
        let ban = move |(address, record): &(Masked, Record)| {
            record.standing_ban(&at, address.source(&self.limits.prefixes)).map(|ban| (ban.source, ban.until, ban.why))
        };
        self.table.iter().filter_map(ban)
    }

    /// What is known about every source, in no order. Looks at as much of the table as is taken: for people, not for
    /// messages.
    pub fn known(&self, now: Time) -> impl Iterator<Item = SourceReport> {
        self.known_among(now, 0..self.capacity())
    }

    /// What is known about the sources in these places of [`capacity`](Self::capacity). A source keeps its place for as
    /// long as it is remembered.
    pub fn known_among(&self, now: Time, places: Range<usize>) -> impl Iterator<Item = SourceReport> {
        let at = self.at(now);
        self.table.among(places).map(move |(address, record)| {
            let mut record = *record;
            record.age(&at);
            report::of(&record, &at, &self.limits, address.source(&self.limits.prefixes))
        })
    }

    /// Sources that are remembered.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Is none remembered?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sources that can be remembered.
    pub fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// Sources that were forgotten for others.
    pub fn evictions(&self) -> u64 {
        self.table.evictions()
    }

    /// What the sources may do.
    pub fn limits(&self) -> &SourceLimits {
        &self.limits
    }

    fn at(&self, now: Time) -> At {
        let (now_ms, heard) = (now.as_millis(), &self.heard);
        let moment = heard.moment.moved(heard.now_ms, now_ms);
        At { moment, second: (now_ms / 1000) as u32, now_ms, failure_part_ms: heard.failure_part_ms }
    }

    fn aged(&self, at: &At, source: Source) -> Option<Record> {
        let mut record = *self.table.find(&source.masked())?;
        record.age(at);
        Some(record)
    }
}

#[inline]
fn entry<'a>(table: &'a mut Table<Masked, Record>, at: &At, source: Source) -> &'a mut Record {
    table.entry(&source.masked(), || Record::new(at), |record| record.worth(at))
}

/// Why, and for how long, what was observed begins a ban.
fn verdict(record: &Record, at: &At, limits: &SourceLimits, observation: Observation) -> Option<(Why, Duration)> {
    if observation == Observation::Failed && record.failures(at) >= limits.failures_max {
        return Some((Why::Failures, limits.ban));
    }
    if observation == Observation::Unasked && record.rate(at) > record.limit(at, limits) {
        return Some((Why::Rate, limits.ban));
    }
    if record.is_authenticated(at) {
        return None;
    }
    if observation == Observation::Scanner {
        return Some((Why::Scanner, limits.ban));
    }
    let parts = score::of(record, record.rate(at), at, limits);
    let grave = parts.total_milli() > limits.score_max_milli && parts.is_mostly_grave();
    grave.then_some((Why::Score, SCORE_BAN))
}

/// Rounded up.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}
