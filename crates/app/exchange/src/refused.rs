//! Who was refused for its credentials, told to the operator, however many try.
//!
//! Of each source some are told in a minute; of the rest there is one sum when the minute is over. Sources beyond those
//! that are remembered share one sum.

use crate::counts::Refusal;
use crate::interface::Output;
use crate::layers::{Answer, Asker, RefusedBy};
use crate::worker::Worker;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use sx_edge::Layer;
use sx_engine::Time;
use sx_sip::message::{HeaderName, Message, Method};
use sx_types::Flow;

/// A request that was refused for its credentials. What the peer has written is cut, and has no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAuthentication {
    /// The user, as the credentials name it.
    pub user: Box<str>,
    /// Where the request came from, and along which transport.
    pub flow: Flow,
    /// Its method.
    pub method: Box<str>,
    /// Its Call-ID, by which it is found in copies of signalling. No call has begun, so that there is no other name.
    pub sip_call_id: Box<str>,
    /// Why it was refused. Only the operator is told.
    pub why: WhyRefused,
}

/// Why credentials were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyRefused {
    /// There is no such user.
    UnknownUser,
    /// The password is not the user's, or was hashed for another realm.
    WrongPassword,
    /// They are right, and were computed for another request.
    OtherRequest,
    /// They lack the quality of protection, without which they could be used for ever, or their count.
    Unprotected,
    /// They were used before: by somebody who has listened, or because the network has repeated a request.
    UsedBefore,
    /// They are right, and belong to another user than is to be registered.
    OtherUser,
    /// They are right, and were wrong too often before.
    Blocked,
}

impl WhyRefused {
    /// The reason in a record.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown-user",
            Self::WrongPassword => "wrong-password",
            Self::OtherRequest => "other-request",
            Self::Unprotected => "unprotected",
            Self::UsedBefore => "replayed",
            Self::OtherUser => "other-user",
            Self::Blocked => "account-blocked",
        }
    }
}

impl fmt::Display for WhyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownUser => "unknown user",
            Self::WrongPassword => "wrong password",
            Self::OtherRequest => "computed for another request",
            Self::Unprotected => "without quality of protection",
            Self::UsedBefore => "used before",
            Self::OtherUser => "registers another user",
            Self::Blocked => "the account is blocked",
        })
    }
}

/// How many refused authentications are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalLimits {
    /// Of one source in a minute.
    pub per_source: u32,
    /// Sources that are told apart in a minute.
    pub sources_max: usize,
}

impl Default for RefusalLimits {
    fn default() -> Self {
        Self { per_source: 5, sources_max: 64 }
    }
}

/// What was told in the minute that runs, and what was not.
#[derive(Debug)]
pub(crate) struct RefusalLog {
    limits: RefusalLimits,
    minute: Option<Minute>,
}

#[derive(Debug)]
struct Minute {
    ends: Time,
    sources: BTreeMap<sx_edge::Source, Source>,
    /// Of sources for which there was no room.
    others: u64,
}

#[derive(Debug, Default)]
struct Source {
    told: u32,
    suppressed: u64,
}

/// What is summed up at once.
const MINUTE: Duration = Duration::from_secs(60);
/// What a peer has written is told up to so many characters.
const SHOWN_MAX: usize = 100;

impl RefusalLog {
    pub(crate) fn new(limits: RefusalLimits) -> Self {
        Self { limits, minute: None }
    }

    /// Is this one of those that are told?
    fn tells(&mut self, now: Time, source: sx_edge::Source) -> bool {
        let minute =
            self.minute.get_or_insert_with(|| Minute { ends: now + MINUTE, sources: BTreeMap::new(), others: 0 });
        if !minute.sources.contains_key(&source) && minute.sources.len() >= self.limits.sources_max {
            minute.others += 1;
            return false;
        }
        let source = minute.sources.entry(source).or_default();
        let tells = source.told < self.limits.per_source;
        if tells {
            source.told += 1;
        } else {
            source.suppressed += 1;
        }
        tells
    }

    /// When the minute is over.
    pub(crate) fn timeout(&self) -> Option<Time> {
        self.minute.as_ref().map(|minute| minute.ends)
    }

    /// The sums of a minute that is over.
    fn sums(&mut self, now: Time) -> Vec<(Option<IpAddr>, u64)> {
        let Some(minute) = self.minute.take_if(|minute| minute.ends <= now) else { return Vec::new() };
        let told_apart = minute.sources.into_iter();
        let sources = told_apart.map(|(source, Source { suppressed, .. })| (Some(source.address()), suppressed));
        sources.chain([(None, minute.others)]).filter(|(_, suppressed)| *suppressed > 0).collect()
    }
}

impl Worker {
    /// Refuses a request for its credentials, and tells the operator, unless its source has had its share. One whose
    /// credentials were used before is not refused but challenged anew: its sender may know nothing of it.
    pub(crate) fn tell_refused<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        flow: Flow,
        request: &Message<B>,
        user: &str,
        why: WhyRefused,
    ) {
        let actor = shown(user.as_bytes());
        let (answer, refusal) = match why {
            WhyRefused::UsedBefore => (Answer::Told { status: challenge_status(request) }, Refusal::Replayed),
            WhyRefused::OtherUser => (Answer::status(403, "a user may register for itself only"), Refusal::Forbidden),
            _ => (Answer::status(403, NOT_ACCEPTED), Refusal::WrongCredentials),
        };
        let refused = RefusedBy::new(Layer::Identity, why.word(), answer, refusal);
        // All others have shown nothing, whosever name they give.
        let asker = if why == WhyRefused::OtherUser { Asker::Known } else { Asker::Stranger };
        self.refuse(now, flow, request, refused.of(asker, &actor));
        if !self.refusal_log.tells(now, self.source_of(flow.remote.ip())) {
            return;
        }
        self.outputs.push_back(Output::AuthenticationRefused(Box::new(RefusedAuthentication {
            user: shown(user.as_bytes()),
            flow,
            method: shown(request.method_text()),
            sip_call_id: shown(request.value(HeaderName::CallId).unwrap_or_default()),
            why,
        })));
    }

    /// Sums up what was not told.
    pub(crate) fn refusals_due(&mut self, now: Time) {
        for (source, suppressed) in self.refusal_log.sums(now) {
            self.outputs.push_back(Output::RefusalsSuppressed { source, suppressed });
        }
    }
}

/// What everybody is told whose credentials are not accepted, whatever is wrong with them.
const NOT_ACCEPTED: &str = "these credentials are not accepted";

/// A registrar challenges with another status than whoever passes requests on.
fn challenge_status<B: AsRef<[u8]>>(request: &Message<B>) -> u16 {
    if request.method() == Some(Method::Register) { 401 } else { 407 }
}

/// As it may stand in a log: one line, and not long.
fn shown(text: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN_MAX)]);
    text.chars().take(SHOWN_MAX).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_800_000_000);

    fn source_of(address: IpAddr) -> sx_edge::Source {
        sx_edge::Source::of(address, &sx_edge::Prefixes::default())
    }

    fn v4(number: u32) -> sx_edge::Source {
        source_of(std::net::Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn a_flood_from_everywhere_is_told_within_bounds() {
        let limits = RefusalLimits::default();
        let mut log = RefusalLog::new(limits);
        let told = (0..100_000).filter(|number| log.tells(NOW, v4(number % 10_000))).count();
        assert_eq!(told, limits.sources_max * limits.per_source as usize);
        assert_eq!(log.minute.as_ref().map(|minute| minute.sources.len()), Some(limits.sources_max));
        assert_eq!(log.sums(NOW), []);
        let sums = log.sums(NOW + MINUTE);
        assert_eq!(sums.len(), limits.sources_max + 1);
        let suppressed: u64 = sums.iter().map(|(_, suppressed)| suppressed).sum();
        assert_eq!(suppressed as usize + told, 100_000, "each is told or counted");
        assert!(log.tells(NOW + MINUTE, v4(0)), "the next minute begins with nothing");
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let mut log = RefusalLog::new(RefusalLimits { per_source: 1, sources_max: 64 });
        let source = |text: &str| source_of(text.parse().expect("an address"));
        assert!(log.tells(NOW, source("2001:db8::1")));
        assert!(!log.tells(NOW, source("2001:db8::ffff:2")));
        assert!(log.tells(NOW, source("2001:db8:0:1::1")));
        assert_eq!(log.sums(NOW + MINUTE), [(Some(source("2001:db8::").address()), 1)]);
    }

    #[test]
    fn what_a_peer_has_written_stays_on_its_line() {
        assert_eq!(&*shown(b"a\r\nERROR forged"), "a??ERROR forged");
        assert_eq!(shown(&[b'x'; 100_000]).len(), SHOWN_MAX);
        assert_eq!(shown("ä".repeat(1_000).as_bytes()).chars().count(), SHOWN_MAX);
    }
}
