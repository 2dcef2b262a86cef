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

/// Fields that belong to one hop or one dialog. No rule can pass them: they would be wrong on the other side.
const NEVER: [HeaderName; 26] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::Contact,
    HeaderName::Route,
    HeaderName::RecordRoute,
    HeaderName::MaxForwards,
    HeaderName::ContentLength,
    HeaderName::ContentType,
    HeaderName::Authorization,
    HeaderName::ProxyAuthorization,
    HeaderName::WwwAuthenticate,
    HeaderName::ProxyAuthenticate,
    HeaderName::Require,
    HeaderName::ProxyRequire,
    HeaderName::Supported,
    HeaderName::Allow,
    HeaderName::SessionExpires,
    HeaderName::MinSe,
    HeaderName::RSeq,
    HeaderName::RAck,
    HeaderName::Replaces,
    HeaderName::Path,
    HeaderName::ServiceRoute,
];

/// The most fields that pass in one message.
const PASSED_MAX: usize = 32;

impl HeaderRules {
    /// The rules of a party of whom nothing is said.
    pub fn usual() -> Self {
        Self { pass: PASSED_BY_DEFAULT.iter().map(|name| (*name).into()).collect(), ..Self::default() }
    }

    /// Does a field with this name pass?
    pub fn passes(&self, name: &[u8]) -> bool {
        let is = |pattern: &str| matches_name(pattern, name);
        self.pass.iter().any(|p| is(p))
            && !self.remove.iter().any(|p| is(p))
            && !NEVER.contains(&HeaderName::from_bytes(name))
    }

    /// The fields of a party's message that pass.
    pub fn taken_from<B: AsRef<[u8]>>(&self, message: &Message<B>) -> Vec<Header> {
        if self.pass.is_empty() {
            return Vec::new();
        }
        let passing = message.headers().filter(|header| self.passes(header.text)).take(PASSED_MAX);
        passing
            .filter_map(|header| {
                let value = std::str::from_utf8(header.value).ok()?;
                Some(Header { name: std::str::from_utf8(header.text).ok()?.into(), value: value.into() })
            })
            .collect()
    }

    /// The fields to write into a message to the party, of those that came from the other one.
    pub fn written_to(&self, headers: &[Header]) -> Vec<(Box<str>, Box<str>)> {
        let is_set = |name: &str| self.set.iter().any(|(set, _)| set.eq_ignore_ascii_case(name));
        let kept = headers.iter().filter(|header| self.passes(header.name.as_bytes()) && !is_set(&header.name));
        kept.map(|header| (header.name.clone(), header.value.clone())).chain(self.set.iter().cloned()).collect()
    }
}

fn matches_name(pattern: &str, name: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(head) => name.len() >= head.len() && name[..head.len()].eq_ignore_ascii_case(head.as_bytes()),
        None => name.eq_ignore_ascii_case(pattern.as_bytes()),
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
        let header = |name: &str, value: &str| Header { name: name.into(), value: value.into() };
        let written = rules.written_to(&[header("X-A", "1"), header("X-Site", "a"), header("X-Secret", "s")]);
        assert_eq!(written, [("X-A".into(), "1".into()), ("X-Site".into(), "b".into())]);
    }
}
