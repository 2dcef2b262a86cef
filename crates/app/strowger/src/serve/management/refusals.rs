//! Tokens that opened nothing, or not what was asked with them, written down within bounds: whoever guesses from many
//! addresses must not fill the disk.

use super::change::actor;
use super::{Operators, locked};
use std::net::IpAddr;
use std::time::Duration;
use sx_engine::Time;
use sx_http::{AuthenticationFailed, Caller, Forbidden};
use sx_witness::{Draft, Facts, Kind};
use tracing::error;

/// Records of one kind a minute; what is beyond is only counted, and told with the next record of the kind.
const RECORDS_PER_MINUTE: u32 = 60;
/// How long a record may take. Nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of a path, in a record.
const PATH_CHARS_MAX: usize = 256;

/// What is refused, kind by kind: a flood of the one, which needs no token, hides nothing of another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusals {
    /// Without a token.
    missing: Budget,
    /// With one that opens nothing.
    wrong: Budget,
    /// With one whose role is too low.
    forbidden: Budget,
}

/// How many were written down in this minute, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Budget {
    minute: u64,
    written: u32,
    suppressed: u32,
}

/// The budget of a kind.
type Of = fn(&mut Refusals) -> &mut Budget;

impl Budget {
    /// Is one that comes now to be written down? If so, how many were not since the last.
    fn next(&mut self, now: Time) -> Option<u32> {
        let minute = now.as_secs() / 60;
        if minute != self.minute {
            (self.minute, self.written) = (minute, 0);
        }
        if self.written >= RECORDS_PER_MINUTE {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }

    /// So many could not be written down after all.
    fn untold(&mut self, refused: u32) {
        self.suppressed = self.suppressed.saturating_add(refused);
    }
}

impl Operators {
    pub(super) fn record_failed(&self, peer: IpAddr, failed: &AuthenticationFailed) {
        let (reason, id) = match failed {
            AuthenticationFailed::Missing => {
                return self.record_refusal(|refusals| &mut refusals.missing, "", peer, "no-token", Facts::new());
            }
            AuthenticationFailed::Unknown => ("unknown-token", ""),
            AuthenticationFailed::Expired { id } => ("expired-token", id.as_str()),
            AuthenticationFailed::Revoked { id } => ("revoked-token", id.as_str()),
            AuthenticationFailed::Role { id } => ("unknown-role", id.as_str()),
            // The fault is ours, and the client's token may be good.
            AuthenticationFailed::Unavailable { .. } => return,
        };
        let actor = if id.is_empty() { String::new() } else { format!("token ({id})") };
        self.record_refusal(|refusals| &mut refusals.wrong, &actor, peer, reason, Facts::new());
    }

    pub(super) fn record_forbidden(&self, peer: IpAddr, caller: &Caller, asked: &Forbidden) {
        let path: String = asked.path.chars().take(PATH_CHARS_MAX).collect();
        let facts = Facts::new()
            .with("request", format!("{} {path}", asked.verb.as_str()))
            .with("role", caller.role.as_str())
            .with("role_needed", asked.role.as_str());
        self.record_refusal(|refusals| &mut refusals.forbidden, &actor(caller), peer, "insufficient-scope", facts);
    }

    fn record_refusal(&self, of: Of, actor: &str, peer: IpAddr, reason: &str, facts: Facts<'_>) {
        let now = self.clock.now();
        let Some(suppressed) = of(&mut locked(&self.refusals)).next(now) else { return };
        let subject = peer.to_string();
        let mut facts = facts.with("layer", "api");
        if suppressed > 0 {
            facts.push("suppressed", suppressed);
        }
        let draft = Draft {
            actor,
            subject: &subject,
            outcome: "refused",
            reason,
            facts,
            ..Draft::new(now, Kind::SecurityRejected)
        };
        if !self.log.record(&draft, now, PATIENCE) {
            error!("a refused token is not in the witness log");
            of(&mut locked(&self.refusals)).untold(suppressed + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_guesses_is_told_by_its_number() {
        let mut refusals = Budget::default();
        let written = (0..100).filter(|_| refusals.next(Time::from_secs(600)).is_some()).count();
        assert_eq!(written, RECORDS_PER_MINUTE as usize);
        assert_eq!(refusals.next(Time::from_secs(660)), Some(40));
        assert_eq!(refusals.next(Time::from_secs(661)), Some(0));
        refusals.untold(1);
        assert_eq!(refusals.next(Time::from_secs(662)), Some(1), "what was not written is told with the next");
    }
}
