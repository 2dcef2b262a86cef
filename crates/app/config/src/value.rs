//! Values that are written as text and mean more than their characters.

mod uri;

pub use uri::SipUri;

pub(crate) use uri::is_user;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// The text does not say such a value; holds what would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("allowed: {0}")]
pub struct NotAllowed(pub &'static str);

/// A host and perhaps a port: `sip.example.com`, `192.0.2.1:5070`, `[2001:db8::1]:5060`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name in lower case, or an IP address; an IPv6 address has no brackets here.
    pub host: Arc<str>,
    /// The port; `None`: that of whom it describes.
    pub port: Option<u16>,
}

/// A range of UDP ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest; even.
    pub first: u16,
    /// The highest; odd.
    pub last: u16,
}

impl FromStr for HostPort {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        const WANTED: NotAllowed = NotAllowed("a host name or IP address, and :port from 1 to 65535");
        let (host, rest) = match text.strip_prefix('[') {
            Some(inner) => {
                let (inside, rest) = inner.split_once(']').ok_or(WANTED)?;
                inside.parse::<Ipv6Addr>().map_err(|_| WANTED)?;
                (inside, rest)
            }
            None if text.parse::<Ipv6Addr>().is_ok() => (text, ""),
            None => {
                let (host, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
                if !is_host(host) {
                    return Err(WANTED);
                }
                (host, rest)
            }
        };
        let port = match rest.strip_prefix(':') {
            Some(digits) => Some(parse_port(digits).ok_or(WANTED)?),
            None if rest.is_empty() => None,
            None => return Err(WANTED),
        };
        Ok(Self { host: host.to_ascii_lowercase().into(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl HostPort {
    /// The address itself, when the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Is the text an IPv4 address or a host name (RFC 1123: letters, digits, hyphens inside, dots between)?
pub(crate) fn is_host(text: &str) -> bool {
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels = text.strip_suffix('.').unwrap_or(text);
    text.len() <= 253 && labels.split('.').all(label_ok) && !is_wrong_ipv4(labels)
}

/// A name whose last label is a number is an IPv4 address or a mistake in one.
fn is_wrong_ipv4(text: &str) -> bool {
    let last_is_number = text.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    last_is_number && text.parse::<std::net::Ipv4Addr>().is_err()
}

fn parse_port(digits: &str) -> Option<u16> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| all_digits && *port > 0)
}

impl PortRange {
    /// How many ports it has.
    pub fn len(self) -> usize {
        usize::from(self.last - self.first) + 1
    }

    /// Never: a range has at least one pair.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl FromStr for PortRange {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        const WANTED: NotAllowed = NotAllowed("\"first-last\" from 1024 to 65535, first even, last odd and greater");
        let (first, last) = text.split_once('-').ok_or(WANTED)?;
        let first = parse_port(first.trim()).ok_or(WANTED)?;
        let last = parse_port(last.trim()).ok_or(WANTED)?;
        let pairs = first % 2 == 0 && last % 2 == 1;
        if first >= 1024 && pairs && first < last { Ok(Self { first, last }) } else { Err(WANTED) }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_read_back_as_written() {
        for (text, host, port) in [
            ("sip.example.com", "sip.example.com", None),
            ("SIP.example.com:5070", "sip.example.com", Some(5070)),
            ("192.0.2.1:5060", "192.0.2.1", Some(5060)),
            ("[2001:db8::1]:5061", "2001:db8::1", Some(5061)),
            ("2001:db8::1", "2001:db8::1", None),
        ] {
            let parsed: HostPort = text.parse().expect(text);
            assert_eq!((&*parsed.host, parsed.port), (host, port), "{text}");
            assert_eq!(parsed.to_string().parse::<HostPort>(), Ok(parsed), "{text}");
        }
        for text in
            ["", ":5060", "host:", "host:0", "host:65536", "host:+1", "[::1", "[host]", "a..b", "-a", "300.1.1.1"]
        {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_range_is_made_of_pairs() {
        let range: PortRange = "20000-29999".parse().expect("a good range");
        assert_eq!((range.first, range.last, range.len()), (20000, 29999, 10000));
        for text in ["20001-29999", "20000-30000", "20000-20000", "2-3", "29998-20001", "20000", "20000-70001"] {
            assert!(text.parse::<PortRange>().is_err(), "{text}");
        }
    }
}
