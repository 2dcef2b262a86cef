//! A SIP URI as far as a configuration needs one.

use crate::value::{HostPort, NotAllowed};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use sx_types::Transport;

/// `sip:` or `sips:`, a user or none, a host, a port or none, and `;transport=` or none. Other parameters are refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipUri {
    /// It began with `sips:`.
    pub secure: bool,
    /// The part before the `@`.
    pub user: Option<Arc<str>>,
    /// Where: a name or an address; without a port it is looked up as RFC 3263 says.
    pub host: HostPort,
    /// How: as RFC 3263 says when it is not given.
    pub transport: Option<Transport>,
}

impl FromStr for SipUri {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        const WANTED: NotAllowed = NotAllowed("sip:[user@]host[:port][;transport=udp|tcp|tls|ws|wss], or sips:…");
        let (scheme, rest) = text.split_once(':').ok_or(WANTED)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "sip" => false,
            "sips" => true,
            _ => return Err(WANTED),
        };
        let (user, rest) = match rest.split_once('@') {
            Some((user, rest)) if is_user(user) => (Some(user.into()), rest),
            Some(_) => return Err(WANTED),
            None => (None, rest),
        };
        let (host, parameters) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let transport = match parameters.strip_prefix(';') {
            Some(parameter) => Some(parse_transport(parameter).ok_or(WANTED)?),
            None => None,
        };
        // UDP cannot carry what `sips:` promises.
        if secure && transport.is_some_and(|transport| !transport.is_reliable()) {
            return Err(WANTED);
        }
        Ok(Self { secure, user, host: host.parse().map_err(|_| WANTED)?, transport })
    }
}

/// Only what may stand unescaped in a user part, and escapes (RFC 3261, section 25.1).
pub(crate) fn is_user(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/%".contains(&byte))
}

fn parse_transport(parameter: &str) -> Option<Transport> {
    let (name, value) = parameter.split_once('=')?;
    if name.eq_ignore_ascii_case("transport") { value.parse().ok() } else { None }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        write!(f, "{}", self.host)?;
        self.transport.map_or(Ok(()), |transport| write!(f, ";transport={transport}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_reads_back_as_written() {
        for text in [
            "sip:example.com",
            "sip:127.0.0.1:5070;transport=tcp",
            "sips:alice@example.com:5061",
            "sip:+4930123@[2001:db8::1]:5060;transport=udp",
        ] {
            assert_eq!(text.parse::<SipUri>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_a_configuration_does_not_need_is_refused() {
        for text in [
            "",
            "example.com",
            "tel:+4930",
            "sip:",
            "sip:@host",
            "sip:a b@host",
            "sip:host;lr",
            "sip:host;transport=sctp",
            "sip:host;transport=udp;lr",
            "sips:host;transport=udp",
            "sip:host\r\nX: y",
        ] {
            assert!(text.parse::<SipUri>().is_err(), "{text}");
        }
    }
}
