//! Tokens that opened nothing, or not what was asked with them, written down within bounds: whoever guesses from many
//! addresses must not fill the disk. What has no record of its own is in a sum, which is written when its minute is over and
//! when the exchange ends.

use super::change::actor;
use super::{Live, Operators, locked};
use std::net::IpAddr;
use std::time::Duration;
use sx_engine::Time;
use sx_http::{Asked, AuthenticationFailed, Caller, Forbidden, LinkRefused};
use sx_store::WitnessLog;
use sx_witness::{Draft, Facts, Kind};
use tracing::error;

/// Records of one kind a minute; what is beyond is only counted.
const RECORDS_PER_MINUTE: u32 = 60;
/// How long a record may take. Nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of a method and a path, in a record.
const REQUEST_CHARS_MAX: usize = 256;

/// What is refused, kind by kind: a flood of the one, which needs no token, hides nothing of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// Without a token.
    Missing,
    /// With one that opens nothing.
    Wrong,
    /// With one whose role is too low.
    Forbidden,
}

impl Refused {
    const ALL: [Self; 3] = [Self::Missing, Self::Wrong, Self::Forbidden];

    /// Its number in a sum.
    const fn fact(self) -> &'static str {
        match self {
            Self::Missing => "no_token",
            Self::Wrong => "wrong_token",
            Self::Forbidden => "insufficient_scope",
        }
    }
}

/// What was written down of refusals, and what was only counted.
#[derive(Debug, Default)]
pub struct Refusals {
    budgets: [Budget; Refused::ALL.len()],
    /// What has no record yet; `None` while everything has.
    sum: Option<Sum>,
}

/// How many were written down in this minute.
#[derive(Clone, Copy, Debug, Default)]
struct Budget {
    minute: u64,
    written: u32,
}

/// How many have had no record since then, kind by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sum {
    since: Time,
    counts: [u64; Refused::ALL.len()],
}

impl Refusals {
    /// Is one that comes now to be written down? If not, it is counted.
    fn records(&mut self, refused: Refused, now: Time) -> bool {
        let has_room = self.budgets[refused as usize].takes(now);
        if !has_room {
            self.count(refused, now);
        }
        has_room
    }

    /// Counts one that has no record of its own.
    fn count(&mut self, refused: Refused, now: Time) {
        let sum = self.sum.get_or_insert(Sum { since: now, counts: Default::default() });
        let count = &mut sum.counts[refused as usize];
        *count = count.saturating_add(1);
    }

    /// The sum, when its minute is over or nothing more will come.
    fn take_sum(&mut self, now: Time, ends: bool) -> Option<Sum> {
        self.sum.take_if(|sum| ends || minute(now) != minute(sum.since))
    }

    /// A sum could not be written down after all.
    fn put_back(&mut self, untold: Sum) {
        let sum = self.sum.get_or_insert(Sum { since: untold.since, counts: Default::default() });
        sum.since = untold.since;
        for (count, more) in sum.counts.iter_mut().zip(untold.counts) {
            *count = count.saturating_add(more);
        }
    }
}

impl Budget {
    fn takes(&mut self, now: Time) -> bool {
        if minute(now) != self.minute {
            *self = Self { minute: minute(now), written: 0 };
        }
        let has_room = self.written < RECORDS_PER_MINUTE;
        self.written += u32::from(has_room);
        has_room
    }
}

fn minute(time: Time) -> u64 {
    time.as_secs() / 60
}

impl Live {
    /// Writes down how many refusals have no record of their own, when their minute is over or the exchange `ends`.
    pub fn sum_refusals(&self, log: &WitnessLog, now: Time, ends: bool) {
        // While nothing can be written the sum grows, and is written when something can.
        if log.is_failing() && !ends {
            return;
        }
        let Some(sum) = locked(&self.refusals).take_sum(now, ends) else { return };
        let mut facts = Facts::new().with("layer", "api").with("since_ms", sum.since.as_millis());
        for (refused, count) in Refused::ALL.into_iter().zip(sum.counts).filter(|(_, count)| *count > 0) {
            facts.push(refused.fact(), count);
        }
        let draft = Draft { outcome: "refused", facts, ..Draft::new(now, Kind::Summary) };
        if !log.record(&draft, now, PATIENCE) {
            error!("how many requests the management API has refused is not in the witness log");
            locked(&self.refusals).put_back(sum);
        }
    }

    /// A token that opens nothing came from an address that has had its share of them.
    pub(super) fn count_guess(&self, now: Time) {
        locked(&self.refusals).count(Refused::Wrong, now);
    }
}

impl Operators {
    pub(super) fn record_failed(&self, peer: IpAddr, failed: &AuthenticationFailed, asked: &Asked) {
        let (refused, reason, id) = match failed {
            AuthenticationFailed::Missing => (Refused::Missing, "no-token", ""),
            AuthenticationFailed::Unknown => (Refused::Wrong, "unknown-token", ""),
            AuthenticationFailed::Expired { id } => (Refused::Wrong, "expired-token", id.as_str()),
            AuthenticationFailed::Revoked { id } => (Refused::Wrong, "revoked-token", id.as_str()),
            AuthenticationFailed::Role { id } => (Refused::Wrong, "unknown-role", id.as_str()),
            AuthenticationFailed::Link(LinkRefused::Forged) => (Refused::Wrong, "forged-link", ""),
            AuthenticationFailed::Link(LinkRefused::Expired) => (Refused::Wrong, "expired-link", ""),
            // The fault is ours, and the client's token may be good.
            AuthenticationFailed::Unavailable { .. } => return,
        };
        let actor = if id.is_empty() { String::new() } else { format!("token ({id})") };
        self.record_refusal(refused, &actor, peer, reason, facts_of(asked));
    }

    pub(super) fn record_forbidden(&self, peer: IpAddr, caller: &Caller, forbidden: &Forbidden) {
        let facts =
            facts_of(&forbidden.asked).with("role", caller.role.as_str()).with("role_needed", forbidden.role.as_str());
        self.record_refusal(Refused::Forbidden, &actor(caller), peer, "insufficient-scope", facts);
    }

    fn record_refusal(&self, refused: Refused, actor: &str, peer: IpAddr, reason: &str, facts: Facts<'_>) {
        let now = self.clock.now();
        if !locked(&self.live.refusals).records(refused, now) {
            return;
        }
        let subject = peer.to_string();
        let draft = Draft {
            actor,
            subject: &subject,
            outcome: "refused",
            reason,
            facts: facts.with("layer", "api"),
            ..Draft::new(now, Kind::SecurityRejected)
        };
        if !self.log.record(&draft, now, PATIENCE) {
            error!("a refused token is not in the witness log");
            locked(&self.live.refusals).count(refused, now);
        }
    }
}

fn facts_of(asked: &Asked) -> Facts<'static> {
    Facts::new().with("request", asked.to_string().chars().take(REQUEST_CHARS_MAX).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::change::tests::{operators_at, records};
    use super::*;
    use crate::serve::clock::Clock;
    use serde_json::json;

    const NOW: Time = Time::from_secs(600);

    #[test]
    fn what_is_beyond_the_records_of_a_minute_is_in_its_sum() {
        let mut refusals = Refusals::default();
        let written = (0..100).filter(|_| refusals.records(Refused::Wrong, NOW)).count();
        assert_eq!(written, RECORDS_PER_MINUTE as usize);
        assert!(refusals.records(Refused::Forbidden, NOW), "a flood of the one hides nothing of another");
        assert_eq!(refusals.take_sum(Time::from_secs(659), false), None, "the minute goes on");
        let sum = Sum { since: NOW, counts: [0, 40, 0] };
        assert_eq!(refusals.take_sum(Time::from_secs(660), false), Some(sum));
        assert_eq!(refusals.take_sum(Time::from_secs(720), true), None, "a quiet minute has no sum");
    }

    #[test]
    fn a_sum_that_could_not_be_written_is_in_the_next() {
        let mut refusals = Refusals::default();
        refusals.count(Refused::Missing, NOW);
        let sum = refusals.take_sum(NOW, true).expect("a sum");
        refusals.count(Refused::Missing, NOW + Duration::from_secs(9));
        refusals.put_back(sum);
        assert_eq!(refusals.take_sum(NOW, true), Some(Sum { since: NOW, counts: [2, 0, 0] }));
    }

    #[test]
    fn the_sum_of_a_minute_has_one_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let operators = operators_at(folder.path(), Clock::showing(NOW));
        let write = |now, ends| operators.live.sum_refusals(&operators.log, now, ends);
        let sums = || {
            let all = records(folder.path()).into_iter().filter(|record| record["kind"] == "summary");
            all.map(|record| (record["outcome"].clone(), record["facts"].clone())).collect::<Vec<_>>()
        };
        (0..3).for_each(|_| operators.live.count_guess(NOW));
        write(NOW + Duration::from_secs(59), false);
        assert_eq!(sums(), [], "the minute goes on");
        write(NOW + Duration::from_secs(60), false);
        let first = (json!("refused"), json!({ "layer": "api", "since_ms": 600_000, "wrong_token": 3 }));
        assert_eq!(sums(), std::slice::from_ref(&first));
        operators.live.count_guess(NOW + Duration::from_secs(61));
        write(NOW + Duration::from_secs(62), true);
        let last = (json!("refused"), json!({ "layer": "api", "since_ms": 661_000, "wrong_token": 1 }));
        assert_eq!(sums(), [first, last], "the end waits for no minute");
    }
}
