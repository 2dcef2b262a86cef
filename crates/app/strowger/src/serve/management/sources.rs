//! Where traffic comes from, and who is not let in.
//!
//! Each worker remembers what came to itself: the numbers of one source are added up, and the worst is told of the rest.

use super::Operators;
use super::change::Change;
use crate::serve::asking::{Answered, Asked};
use crate::serve::bans::{TooMany, Written};
use crate::serve::clock::wall;
use crate::serve::mailbox::Mail;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use sx_edge::{Ban, Source, SourceReport, Why};
use sx_exchange::Operation;
use sx_http::{ApiAnswer, ApiProblem, Caller};

/// What all workers together know.
type Known = BTreeMap<Source, SourceReport>;

/// So many sources are kept while parts of what workers know come in; those that are shown last are left out.
const KNOWN_MAX: usize = 65_536;

impl Operators {
    pub(super) fn sources(&self, banned_only: bool, limit: u32) -> Result<ApiAnswer, ApiProblem> {
        let max = limit as usize;
        let (mut known, mut from) = (BTreeMap::new(), Some(0));
        // Part by part, so that no worker is held up.
        while let Some(at) = from {
            from = self.learn(Asked::Sources { banned_only, from: at }, &mut known)?;
            forget_least(&mut known, KNOWN_MAX);
        }
        let mut known: Vec<&SourceReport> = known.values().collect();
        known.sort_by_key(|report| place_of(report));
        let shown: Vec<Value> = known.into_iter().take(max).map(shown).collect();
        Ok(ApiAnswer::Json(json!({ "sources": shown })))
    }

    pub(super) fn source(&self, address: IpAddr) -> Result<ApiAnswer, ApiProblem> {
        let mut known = BTreeMap::new();
        self.learn(Asked::Source(address), &mut known)?;
        let report = known.values().next();
        let report = report.ok_or_else(|| ApiProblem::not_found("nothing is known of this source"))?;
        Ok(ApiAnswer::Json(shown(report)))
    }

    /// Adds what all workers together know, and says where the next part of it begins.
    fn learn(&self, asked: Asked, known: &mut Known) -> Result<Option<usize>, ApiProblem> {
        let mut from = None;
        for (_, answer) in self.ask(asked)? {
            let Answered::Sources(reports, next) = answer else { continue };
            from = from.max(next);
            for report in reports {
                known.entry(report.source).and_modify(|there| *there = together(there, &report)).or_insert(report);
            }
        }
        Ok(from)
    }

    pub(super) fn ban(
        &self,
        caller: &Caller,
        address: IpAddr,
        seconds: u64,
        reason: &str,
    ) -> Result<ApiAnswer, ApiProblem> {
        let subject = address.to_string();
        let change = Change { reason, ..Change::new("ban", &subject).with("seconds", seconds) };
        self.change(caller, &change, || {
            if let Some(trunk) = self.live.tables().trunk_at(address) {
                let detail = format!("the address is one of the trunk {}, which is never banned", trunk.config.name);
                return Err(ApiProblem::conflict(detail));
            }
            let duration = Duration::from_secs(seconds);
            let written = self.in_one_order(|| {
                let written = self.live.bans.ban(wall(), address, duration)?;
                let until = self.clock.now() + duration;
                self.workers.tell_all(|| Mail::Operation(Operation::Ban { address, until }));
                Ok(written)
            });
            let written = written.map_err(|too_many: TooMany| ApiProblem::conflict(too_many.to_string()))?;
            Ok(self.told_and(written))
        })
    }

    pub(super) fn unban(&self, caller: &Caller, address: IpAddr) -> Result<ApiAnswer, ApiProblem> {
        let subject = address.to_string();
        self.change(caller, &Change::new("unban", &subject), || {
            let written = self.in_one_order(|| {
                let written = self.live.bans.unban(address);
                self.workers.tell_all(|| Mail::Operation(Operation::Unban { address }));
                written
            });
            Ok(self.told_and(written))
        })
    }

    /// It is in force; is it also written down for the next start?
    fn told_and(&self, written: Written) -> ApiAnswer {
        match written {
            Written::Now => self.told(),
            Written::Later => ApiAnswer::Accepted,
        }
    }
}

/// What two workers know of one source.
fn together(one: &SourceReport, other: &SourceReport) -> SourceReport {
    let worse = if one.score.total_milli() < other.score.total_milli() { other } else { one };
    SourceReport {
        source: one.source,
        authenticated: one.authenticated || other.authenticated,
        rate: one.rate.max(other.rate),
        limit: one.limit.max(other.limit),
        messages: one.messages + other.messages,
        malformed: one.malformed + other.malformed,
        requests: one.requests + other.requests,
        calls: one.calls + other.calls,
        probes: one.probes + other.probes,
        numbers: one.numbers.max(other.numbers),
        challenges: one.challenges + other.challenges,
        failures: one.failures + other.failures,
        ban: one.ban.into_iter().chain(other.ban).max_by_key(|ban| (tells(ban), ban.until)),
        score: worse.score,
    }
}

/// In what order sources are shown.
fn place_of(report: &SourceReport) -> (bool, Reverse<u32>) {
    (report.ban.is_none(), Reverse(report.messages))
}

/// Keeps half of so many, those that are shown first, when there are more.
fn forget_least(known: &mut Known, max: usize) {
    if known.len() <= max {
        return;
    }
    let mut kept: Vec<SourceReport> = std::mem::take(known).into_values().collect();
    kept.sort_by_key(place_of);
    kept.truncate(max / 2);
    known.extend(kept.into_iter().map(|report| (report.source, report)));
}

/// Of several reasons for one ban, the one that says most: not that another worker has banned it.
fn tells(ban: &Ban) -> u8 {
    match ban.why {
        Why::Operator => 2,
        Why::Elsewhere => 0,
        _ => 1,
    }
}

fn shown(report: &SourceReport) -> Value {
    let score = &report.score;
    json!({
        "source": report.source.to_string(),
        "banned": report.ban.map(|ban| json!({ "until": ban.until.to_string(), "why": ban.why.as_str() })),
        "authenticated": report.authenticated,
        "rate": report.rate,
        "rate_max": report.limit,
        "messages": report.messages,
        "malformed": report.malformed,
        "requests": report.requests,
        "calls": report.calls,
        "probes": report.probes,
        "numbers": report.numbers,
        "challenges": report.challenges,
        "failures": report.failures,
        "score_milli": score.total_milli(),
        "score": {
            "rate": score.rate,
            "malformed": score.malformed,
            "failures": score.failures,
            "challenges": score.challenges,
            "methods": score.methods,
            "numbers": score.numbers,
            "scanner": score.scanner,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::operators_at;
    use super::*;
    use crate::serve::bans::Bans;
    use crate::serve::clock::Clock;
    use sx_edge::{Prefixes, ScoreParts};
    use sx_engine::Time;
    use sx_store::DataFolder;

    fn report(messages: u32, ban: Option<(u64, Why)>) -> SourceReport {
        let source = Source::of("192.0.2.1".parse().expect("an address"), &Prefixes::default());
        SourceReport {
            source,
            authenticated: false,
            rate: messages,
            limit: 30,
            messages,
            malformed: 0,
            requests: messages,
            calls: 0,
            probes: 0,
            numbers: 0,
            challenges: 0,
            failures: 1,
            ban: ban.map(|(until, why)| Ban { source, until: Time::from_secs(until), why }),
            score: ScoreParts { rate: messages, ..ScoreParts::default() },
        }
    }

    #[test]
    fn of_more_sources_than_are_kept_those_that_are_shown_last_are_left_out() {
        let mut known = Known::new();
        for number in 0..10u8 {
            let source = Source::of([192, 0, 2, number].into(), &Prefixes::default());
            let ban = (number == 3).then_some((100, Why::Rate));
            known.insert(source, SourceReport { source, ..report(number.into(), ban) });
        }
        forget_least(&mut known, 10);
        assert_eq!(known.len(), 10);
        forget_least(&mut known, 8);
        let kept: Vec<u32> = known.values().map(|report| report.messages).collect();
        assert_eq!(kept, [3, 7, 8, 9]);
    }

    #[test]
    fn a_ban_outlives_a_process_that_does_not_know_that_the_clock_was_set() {
        let folder = tempfile::tempdir().expect("a folder");
        let operators = operators_at(folder.path(), Clock::showing(wall() - Duration::from_secs(3_600)));
        let caller = Caller { name: "anna".into(), role: sx_http::Role::Operator, id: "0a1b2c3d4e5f".into() };
        let address = [192, 0, 2, 1].into();
        operators.ban(&caller, address, 600, "").expect("it is banned");
        drop(operators);
        let data = DataFolder::open(folder.path()).expect("a folder");
        let bans = Bans::open(&data, Prefixes::default(), 262_144, wall()).expect("they open");
        let standing = bans.standing(Time::ZERO, wall());
        assert!(matches!(standing[..], [(ip, until)] if ip == address && until > Time::from_secs(500)), "{standing:?}");
    }

    #[test]
    fn what_two_workers_know_of_a_source_is_one_story() {
        let both = together(&report(3, Some((100, Why::Elsewhere))), &report(4, Some((90, Why::Rate))));
        assert_eq!((both.messages, both.failures, both.rate, both.score.rate), (7, 2, 4, 4));
        assert_eq!(both.ban.map(|ban| ban.why), Some(Why::Rate), "who has banned it knows why");
        let both = together(&report(1, Some((10, Why::Operator))), &report(1, Some((90, Why::Rate))));
        assert_eq!(both.ban.map(|ban| ban.why), Some(Why::Operator));
        assert_eq!(together(&report(1, None), &report(1, None)).ban, None);
    }
}
