//! What a record may be about.

use std::fmt;
use std::str::FromStr;

/// The text names no kind of record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no kind of record is called {0:?}")]
pub struct UnknownKind(pub Box<str>);

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $text:literal,)+) => {
        /// What a record is about. The list is closed: a log with another kind is of another version of the format.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $kind),+
        }

        impl Kind {
            /// Every one, in the order of their declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$kind),+];

            /// Its name in a record.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $text),+
                }
            }

            pub(crate) fn named(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$kind),)+
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// The log itself: begun, resumed, key changed, retired, clock jumped.
    Log = "log",
    /// A signed statement about all records before it.
    Checkpoint = "checkpoint",
    /// Configuration was read or changed.
    Config = "config",
    /// A policy was loaded or has decided.
    Policy = "policy",
    /// A call or a registration was admitted or not.
    Admission = "admission",
    /// Something was refused for reasons of security.
    SecurityRejected = "security_rejected",
    /// A call came in.
    Invite = "invite",
    /// A way is being tried.
    Trying = "trying",
    /// The other side rings.
    Ringing = "ringing",
    /// A call was answered.
    Connected = "connected",
    /// Two legs hear each other.
    BridgeEstablished = "bridge_established",
    /// Two legs could not be joined.
    BridgeFailed = "bridge_failed",
    /// A call was refused.
    Rejected = "rejected",
    /// A call has ended.
    Terminated = "terminated",
    /// A call was passed on.
    Transferred = "transferred",
    /// A device has registered.
    Registered = "registered",
    /// A registration has ended.
    Unregistered = "unregistered",
    /// How many there were of what is not recorded one by one: refusals beyond a limit, records that were lost.
    Summary = "summary",
    /// Somebody told the exchange to do something.
    Command = "command",
    /// Where something was heard from.
    Source = "source",
    /// A hash of something kept elsewhere.
    Evidence = "evidence",
    /// Somebody agreed to something, or took it back.
    Consent = "consent",
    /// A recording began, paused or ended.
    Recording = "recording",
    /// A node took over for another.
    Failover = "failover",
    /// A vote of the council: opened, a ballot, what has come of it.
    Vote = "vote",
    /// What has become of the escalation of a hazard: who was rung, who has answered, how it ended.
    Escalation = "escalation",
    /// A key was handed out.
    KeyGranted = "key_granted",
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::named(text).ok_or_else(|| UnknownKind(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_it_is_written() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("Log".parse::<Kind>(), Err(UnknownKind("Log".into())));
    }
}
