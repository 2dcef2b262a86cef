//! Origins, connections and the address of RTCP.

use crate::parse::{port, word};
use std::net::IpAddr;

/// Who made a session and which version of its description this is (`o=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The user's login, or `-`.
    pub username: &'a [u8],
    /// The session: decimal digits, which need not fit into any integer.
    pub session: &'a [u8],
    /// The version of its description: decimal digits.
    pub version: &'a [u8],
    /// The machine that made it.
    pub host: Host<'a>,
}

/// Where media is to be sent (`c=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// The address, without the time to live and the count of a multicast one.
    pub host: Host<'a>,
}

/// An address, by number or by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An IP address.
    Ip(IpAddr),
    /// A domain name, or the address of a network that is not the Internet, as written.
    Name(&'a [u8]),
}

/// Where RTCP is to be sent when not to the port above that of RTP (`a=rtcp`, RFC 3605).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcpAttribute<'a> {
    /// The port.
    pub port: u16,
    /// The address, when it is not that of the connection.
    pub host: Option<Host<'a>>,
}

impl<'a> Origin<'a> {
    /// Reads the value of an `o=` line. The fields are counted from the end, since some peers write a user name with
    /// blanks in it.
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let (rest, address) = last_word(value)?;
        let (rest, _address_type) = last_word(rest)?;
        let (rest, _network) = last_word(rest)?;
        let (rest, version) = last_word(rest)?;
        let (username, session) = last_word(rest)?;
        let username = username.trim_ascii();
        (!username.is_empty()).then(|| Self { username, session, version, host: Host::parse(address) })
    }

    /// The version as a number, when it is one.
    pub fn version_number(&self) -> Option<u64> {
        std::str::from_utf8(self.version).ok()?.parse().ok()
    }
}

impl<'a> Connection<'a> {
    /// Reads the value of a `c=` line.
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let (network, rest) = word(value);
        let (_address_type, rest) = word(rest);
        let (address, _) = word(rest);
        if address.is_empty() {
            return None;
        }
        //= https://www.rfc-editor.org/rfc/rfc8866#section-5.7
        // A multicast address may carry a time to live and a count behind slashes.
        let end = memchr::memchr(b'/', address).unwrap_or(address.len());
        let address = &address[..end];
        let host = if network.eq_ignore_ascii_case(b"IN") { Host::parse(address) } else { Host::Name(address) };
        Some(Self { host })
    }

    /// Is this the address that says "send nothing" (`0.0.0.0`, or `::`)?
    //= https://www.rfc-editor.org/rfc/rfc3264#section-8.4
    pub fn is_unspecified(&self) -> bool {
        matches!(self.host, Host::Ip(ip) if ip.is_unspecified())
    }
}

impl<'a> Host<'a> {
    pub(crate) fn parse(text: &'a [u8]) -> Self {
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        number.map_or(Self::Name(text), Self::Ip)
    }

    /// The IP address, when it is known by number.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }
}

impl<'a> RtcpAttribute<'a> {
    /// Reads the value of an `a=rtcp` attribute.
    //= https://www.rfc-editor.org/rfc/rfc3605#section-2.1
    pub(crate) fn parse(value: &'a [u8]) -> Option<Self> {
        let (digits, rest) = word(value);
        let host = Connection::parse(rest).map(|connection| connection.host);
        Some(Self { port: port(digits)?, host })
    }
}

/// What comes before the last word, and that word.
fn last_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_end();
    let at = text.iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1);
    (at < text.len()).then(|| text.split_at(at))
}
