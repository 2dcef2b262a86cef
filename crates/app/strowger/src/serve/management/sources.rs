//! Where traffic comes from, and who is not let in.
//!
//! Each worker remembers what came to itself: the numbers of one source are added up, and the worst is told of the rest.

use super::Operators;
use super::change::Change;
use crate::serve::asking::{Answered, Asked};
use crate::serve::mailbox::Mail;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use sx_edge::{Ban, Source, SourceReport, Why};
use sx_exchange::Operation;
use sx_http::{ApiAnswer, ApiProblem, Caller};

impl Operators {
    pub(super) fn sources(&self, banned_only: bool, limit: u32) -> Result<ApiAnswer, ApiProblem> {
        let max = limit as usize;
        let known = self.known(Asked::Sources { banned_only, max })?;
        let mut known: Vec<&SourceReport> = known.values().collect();
        known.sort_by_key(|report| (report.ban.is_none(), std::cmp::Reverse(report.messages)));
        let shown: Vec<Value> = known.into_iter().take(max).map(shown).collect();
        Ok(ApiAnswer::Json(json!({ "sources": shown })))
    }

    pub(super) fn source(&self, address: IpAddr) -> Result<ApiAnswer, ApiProblem> {
        let known = self.known(Asked::Source(address))?;
        let report = known.values().next();
        let report = report.ok_or_else(|| ApiProblem::not_found("nothing is known of this source"))?;
        Ok(ApiAnswer::Json(shown(report)))
    }

    /// What all workers together know.
    fn known(&self, asked: Asked) -> Result<BTreeMap<Source, SourceReport>, ApiProblem> {
        let mut known = BTreeMap::new();
        for (_, answer) in self.ask(asked)? {
            let Answered::Sources(reports) = answer else { continue };
            for report in reports {
                known.entry(report.source).and_modify(|there| *there = together(there, &report)).or_insert(report);
            }
        }
        Ok(known)
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
            let until = self.clock.now() + Duration::from_secs(seconds);
            self.workers.tell_all(|| Mail::Operation(Operation::Ban { address, until }));
            Ok(self.told())
        })
    }

    pub(super) fn unban(&self, caller: &Caller, address: IpAddr) -> Result<ApiAnswer, ApiProblem> {
        let subject = address.to_string();
        self.change(caller, &Change::new("unban", &subject), || {
            self.workers.tell_all(|| Mail::Operation(Operation::Unban { address }));
            Ok(self.told())
        })
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
    use super::*;
    use sx_edge::{Prefixes, ScoreParts};
    use sx_engine::Time;

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
    fn what_two_workers_know_of_a_source_is_one_story() {
        let both = together(&report(3, Some((100, Why::Elsewhere))), &report(4, Some((90, Why::Rate))));
        assert_eq!((both.messages, both.failures, both.rate, both.score.rate), (7, 2, 4, 4));
        assert_eq!(both.ban.map(|ban| ban.why), Some(Why::Rate), "who has banned it knows why");
        let both = together(&report(1, Some((10, Why::Operator))), &report(1, Some((90, Why::Rate))));
        assert_eq!(both.ban.map(|ban| ban.why), Some(Why::Operator));
        assert_eq!(together(&report(1, None), &report(1, None)).ban, None);
    }
}
