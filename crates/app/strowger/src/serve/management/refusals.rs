//! Tokens that opened nothing, written down within bounds: whoever guesses from many addresses must not fill the disk.

use super::{Operators, locked};
use std::net::IpAddr;
use std::time::Duration;
use sx_engine::Time;
use sx_http::AuthenticationFailed;
use sx_witness::{Draft, Facts, Kind};
use tracing::error;

/// Records a minute; what is beyond is only counted, and told with the next record.
const RECORDS_PER_MINUTE: u32 = 60;
/// How long a record may take. Nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many were written down in this minute, and how many were not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    minute: u64,
    written: u32,
    suppressed: u32,
}

impl Refusals {
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
            AuthenticationFailed::Unknown => ("unknown-token", ""),
            AuthenticationFailed::Expired { id } => ("expired-token", id.as_str()),
            AuthenticationFailed::Revoked { id } => ("revoked-token", id.as_str()),
            AuthenticationFailed::Role { id } => ("unknown-role", id.as_str()),
            // The fault is ours, and the client's token may be good.
            AuthenticationFailed::Unavailable { .. } => return,
        };
        let now = self.clock.now();
        let Some(suppressed) = locked(&self.refusals).next(now) else { return };
        let actor = if id.is_empty() { String::new() } else { format!("token ({id})") };
        let subject = peer.to_string();
        let mut facts = Facts::new().with("layer", "api");
        if suppressed > 0 {
            facts.push("suppressed", suppressed);
        }
        let draft = Draft {
            actor: &actor,
            subject: &subject,
            outcome: "refused",
            reason,
            facts,
            ..Draft::new(now, Kind::SecurityRejected)
        };
        if !self.log.record(&draft, now, PATIENCE) {
            error!("a refused token is not in the witness log");
            locked(&self.refusals).untold(suppressed + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_guesses_is_told_by_its_number() {
        let mut refusals = Refusals::default();
        let written = (0..100).filter(|_| refusals.next(Time::from_secs(600)).is_some()).count();
        assert_eq!(written, RECORDS_PER_MINUTE as usize);
        assert_eq!(refusals.next(Time::from_secs(660)), Some(40));
        assert_eq!(refusals.next(Time::from_secs(661)), Some(0));
        refusals.untold(1);
        assert_eq!(refusals.next(Time::from_secs(662)), Some(1), "what was not written is told with the next");
    }
}
