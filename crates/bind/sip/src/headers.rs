//! Which header fields pass from one leg to another.

use sx_leg::Header;
use sx_sip::message::{HeaderName, Message};

/// What a party's header rules say. Names compare without case; a name that ends in `*` stands for all that begin so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderRules {
    /// What is taken from the party's messages for the other party, and what of the other party's is let through.
    pub pass: Vec<Box<str>>,
    /// What is written into messages to the party, in place of what was there.
    pub set: Vec<(Box<str>, Box<str>)>,
    /// What is kept from the party, though it is in `pass`.
    pub remove: Vec<Box<str>>,
}

/// What passes where nothing else is said: fields that tell people or applications something and no hop anything.
pub(crate) const PASSED_BY_DEFAULT: [&str; 8] =
    ["X-*", "Subject", "Alert-Info", "Call-Info", "User-to-User", "Priority", "Diversion", "History-Info"];

/// The fields with a meaning to the exchange that may pass all the same. Every other one it knows belongs to one hop or
/// one dialog, describes the body, or says who somebody is, and is written anew for each side: no rule can pass it.
const KNOWN_THAT_MAY_PASS: [HeaderName; 8] = [
    HeaderName::AcceptContact,
    HeaderName::AlertInfo,
    HeaderName::CallInfo,
    HeaderName::ContentLanguage,
    HeaderName::Date,
    HeaderName::Diversion,
    HeaderName::HistoryInfo,
    HeaderName::Subject,
];

/// Fields of one hop or one dialog that the exchange does not know by a name of its own.
const UNKNOWN_THAT_STAY: [&str; 20] = [
    "Accept-Encoding",
    "Accept-Language",
    "Authentication-Info",
    "Content-ID",
    "Flow-Timer",
    "Info-Package",
    "Join",
    "Max-Breadth",
    "P-Access-Network-Info",
    "P-Charging-Vector",
    "Proxy-Authentication-Info",
    "Recv-Info",
    "Refer-Sub",
    "Security-Client",
    "Security-Server",
    "Security-Verify",
    "SIP-ETag",
    "SIP-If-Match",
    "Target-Dialog",
    "Timestamp",
];

/// Fields that never pass, and yet may be set by hand: providers want one value of theirs there.
const SET_THOUGH_NOT_PASSED: [HeaderName; 3] =
    [HeaderName::PAssertedIdentity, HeaderName::PPreferredIdentity, HeaderName::Privacy];

fn may_pass(name: &[u8]) -> bool {
    match HeaderName::from_bytes(name) {
        HeaderName::Other => !UNKNOWN_THAT_STAY.iter().any(|stays| name.eq_ignore_ascii_case(stays.as_bytes())),
        known => KNOWN_THAT_MAY_PASS.contains(&known),
    }
}

/// May a rule set a field of this name? Those that carry the call itself are made by the exchange.
pub fn may_be_set(name: &str) -> bool {
    may_pass(name.as_bytes()) || SET_THOUGH_NOT_PASSED.contains(&HeaderName::from_bytes(name.as_bytes()))
}

/// A name in full, however it was written.
fn in_full(name: &[u8]) -> &[u8] {
    match HeaderName::from_bytes(name) {
        HeaderName::Other => name,
        known => known.name().as_bytes(),
    }
}

/// What an escalation is traced by passes on every leg, unless a rule removes it.
const OF_ESCALATIONS: &str = "X-IF-*";

/// The most fields that pass in one message.
const PASSED_MAX: usize = 32;

impl HeaderRules {
    /// The rules of a party of whom nothing is said.
    pub fn usual() -> Self {
        Self { pass: PASSED_BY_DEFAULT.iter().map(|name| (*name).into()).collect(), ..Self::default() }
    }

    /// Does a field with this name pass?
    pub fn passes(&self, name: &[u8]) -> bool {
        let full = in_full(name);
        let is = |pattern: &str| matches_name(pattern, full);
        (self.pass.iter().any(|p| is(p)) || is(OF_ESCALATIONS)) && !self.remove.iter().any(|p| is(p)) && may_pass(name)
    }

    /// Is a field of this name set to a value of its own?
    pub(crate) fn sets(&self, name: &str) -> bool {
        let full = in_full(name.as_bytes());
        self.set.iter().any(|(set, _)| in_full(set.as_bytes()).eq_ignore_ascii_case(full))
    }

    /// The fields of a party's message that pass.
    pub fn taken_from<B: AsRef<[u8]>>(&self, message: &Message<B>) -> Vec<Header> {
        let passing = message.headers().filter(|header| self.passes(header.text)).take(PASSED_MAX);
        passing
            .filter_map(|header| {
                let value = std::str::from_utf8(header.value).ok()?;
                Some(Header { name: std::str::from_utf8(in_full(header.text)).ok()?.into(), value: value.into() })
            })
            .collect()
    }

    /// The fields to write into a message to the party, of those that came from the other one.
    pub fn written_to(&self, headers: &[Header]) -> Vec<(Box<str>, Box<str>)> {
        let kept = headers.iter().filter(|header| self.passes(header.name.as_bytes()) && !self.sets(&header.name));
        kept.map(|header| (header.name.clone(), header.value.clone())).chain(self.set.iter().cloned()).collect()
    }
}

/// Does the pattern of a rule, which may be a compact form itself, stand for the name in full?
fn matches_name(pattern: &str, name: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(head) => name.len() >= head.len() && name[..head.len()].eq_ignore_ascii_case(head.as_bytes()),
        None => name.eq_ignore_ascii_case(in_full(pattern.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_pass_set_and_remove() {
        let rules = HeaderRules {
            pass: vec!["X-*".into(), "Subject".into(), "Via".into()],
            set: vec![("X-Site".into(), "b".into())],
            remove: vec!["X-Secret".into()],
        };
        for (name, passes) in
            [("x-a", true), ("SUBJECT", true), ("X-Secret", false), ("Via", false), ("Server", false), ("X", false)]
        {
            assert_eq!(rules.passes(name.as_bytes()), passes, "{name}");
        }
        let all = HeaderRules { pass: vec!["*".into()], ..HeaderRules::default() };
        for (name, passes) in [
            ("P-Asserted-Identity", false),
            ("privacy", false),
            ("User-Agent", false),
            ("Content-Encoding", false),
            ("e", false),
            ("r", false),
            ("o", false),
            ("Reason", false),
            ("Accept", false),
            ("timestamp", false),
            ("X-Any", true),
            ("s", true),
        ] {
            assert_eq!(all.passes(name.as_bytes()), passes, "{name}");
        }
        assert!(rules.passes(b"s"), "the compact form of Subject");
        assert!(may_be_set("P-Preferred-Identity") && may_be_set("X-A") && !may_be_set("k") && !may_be_set("Server"));
        let header = |name: &str, value: &str| Header { name: name.into(), value: value.into() };
        let written = rules.written_to(&[header("X-A", "1"), header("X-Site", "a"), header("X-Secret", "s")]);
        assert_eq!(written, [("X-A".into(), "1".into()), ("X-Site".into(), "b".into())]);
    }
}
