//! Typed header values: addresses, Via, CSeq, RAck.

use super::token::{Params, TOKEN, all_of, decimal, find_outside, is_space, is_token, trim, unquote};
use super::uri::{Host, Uri, UriError, parse_hostport};
use super::{Method, unescape};
use std::borrow::Cow;

/// A header value does not follow its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The URI in it is malformed.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// An angle bracket or a quote does not close.
    #[error("a bracket or a quote does not close")]
    Unclosed,
    /// A number is missing, malformed or too large.
    #[error("a number is missing, malformed or too large")]
    Number,
    /// A part is missing or malformed.
    #[error("a part is missing or malformed")]
    Malformed,
}

/// A name and an address: the value of From, To, Contact, Route and their like.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.10
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name without quotes; empty when there is none.
    pub display: &'a [u8],
    /// The URI.
    pub uri: Uri<'a>,
    /// The parameters of the header (not of the URI).
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one element.
    pub fn parse(element: &'a [u8]) -> Result<Self, ValueError> {
        let open = find_outside(element, b'<');
        if open == element.len() {
            // Without brackets, what follows a semicolon belongs to the header.
            let end = memchr::memchr(b';', element).unwrap_or(element.len());
            let uri = Uri::parse(trim(&element[..end]))?;
            if !uri.headers.is_empty() || memchr::memchr(b'?', trim(&element[..end])).is_some() {
                return Err(UriError::Headers.into());
            }
            return Ok(Self { display: &[], uri, params: Params(&element[end..]) });
        }
        let close = open + memchr::memchr(b'>', &element[open..]).ok_or(ValueError::Unclosed)?;
        let display = Self::parse_display(trim(&element[..open]))?;
        let params = trim(&element[close + 1..]);
        if !params.is_empty() && params[0] != b';' {
            return Err(ValueError::Malformed);
        }
        // The escapes of LWS around the URI within brackets are not allowed, and tolerated.
        Ok(Self { display, uri: Uri::parse(trim(&element[open + 1..close]))?, params: Params(params) })
    }

    fn parse_display(display: &[u8]) -> Result<&[u8], ValueError> {
        match display {
            [b'"', .., b'"'] if display.len() > 1 => Ok(unquote(display)),
            [b'"', ..] => Err(ValueError::Unclosed),
            _ if display.iter().all(|b| is_token(*b) || is_space(*b) || *b >= 0x80) => Ok(display),
            _ => Err(ValueError::Malformed),
        }
    }

    /// The display name as text, bytes that are not UTF-8 replaced, escapes undone.
    pub fn display_text(&self) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(self.display);
        if text.contains('\\') { Cow::Owned(text.replace("\\\"", "\"").replace("\\\\", "\\")) } else { text }
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&'a str> {
        self.params.value("tag")
    }

    /// The user of the URI with its escapes undone.
    pub fn user(&self) -> Cow<'a, str> {
        unescape(self.uri.user)
    }
}

/// The topmost element of a Via header, or another.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.42
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport as written: `UDP`, `TLS` …
    pub transport: &'a str,
    /// The host the sender says it is.
    pub host: Host<'a>,
    /// The port it says, when it says one.
    pub port: Option<u16>,
    /// The `branch` parameter; empty when there is none.
    pub branch: &'a str,
    /// The parameters.
    pub params: Params<'a>,
}

/// What the branch of a sender that follows RFC 3261 begins with.
pub const MAGIC_COOKIE: &str = "z9hG4bK";

impl<'a> Via<'a> {
    /// Reads one element.
    pub fn parse(element: &'a [u8]) -> Result<Self, ValueError> {
        let semicolon = memchr::memchr(b';', element).unwrap_or(element.len());
        let (head, params) = (trim(&element[..semicolon]), Params(&element[semicolon..]));
        if let Some(via) = Self::parse_compact(head, params) {
            return Ok(via);
        }
        let space = head.iter().rposition(|b| is_space(*b)).ok_or(ValueError::Malformed)?;
        let (protocol, sent_by) = (trim(&head[..space]), &head[space + 1..]);
        // White space may stand around each slash and, oddly, around the colon of the port.
        let (protocol, sent_by) = match head.iter().rposition(|b| *b == b':') {
            Some(colon) if !head.ends_with(b"]") && trim(&head[colon + 1..]).iter().all(u8::is_ascii_digit) => {
                Self::split_spaced(head, colon).unwrap_or((protocol, sent_by))
            }
            _ => (protocol, sent_by),
        };
        let transport = Self::parse_protocol(protocol)?;
        let text = std::str::from_utf8(sent_by).map_err(|_| ValueError::Malformed)?;
        let compact: Option<(Host<'a>, Option<u16>)> = parse_hostport(text).ok();
        let (host, port) = match compact {
            Some(parts) => parts,
            None => Self::parse_spaced_hostport(text)?,
        };
        Ok(Self { transport, host, port, branch: params.value("branch").unwrap_or_default(), params })
    }

    /// Reads what nearly every sender writes: one space, and none elsewhere.
    fn parse_compact(head: &'a [u8], params: Params<'a>) -> Option<Self> {
        let rest = head.strip_prefix(b"SIP/2.0/")?;
        let space = memchr::memchr(b' ', rest)?;
        let (transport, sent_by) = (&rest[..space], std::str::from_utf8(&rest[space + 1..]).ok()?);
        if transport.is_empty() || !all_of(transport, TOKEN) {
            return None;
        }
        let (transport, (host, port)) = (std::str::from_utf8(transport).ok()?, parse_hostport(sent_by).ok()?);
        Some(Self { transport, host, port, branch: params.value("branch").unwrap_or_default(), params })
    }

    fn split_spaced(head: &[u8], colon: usize) -> Option<(&[u8], &[u8])> {
        let host = trim(&head[..colon]);
        let space = host.iter().rposition(|b| is_space(*b))?;
        Some((trim(&host[..space]), &head[space + 1..]))
    }

    fn parse_spaced_hostport(text: &'a str) -> Result<(Host<'a>, Option<u16>), ValueError> {
        let (host, port) = text.rsplit_once(':').ok_or(ValueError::Malformed)?;
        let (host, None) = parse_hostport(host.trim())? else { return Err(ValueError::Malformed) };
        let port = decimal(port.trim().as_bytes()).and_then(|p| u16::try_from(p).ok()).ok_or(ValueError::Number)?;
        Ok((host, Some(port)))
    }

    fn parse_protocol(protocol: &[u8]) -> Result<&str, ValueError> {
        let mut parts = protocol.splitn(3, |b| *b == b'/').map(trim);
        let (name, version, transport) = (parts.next(), parts.next(), parts.next());
        let transport = transport.ok_or(ValueError::Malformed)?;
        let known = name.is_some_and(|n| n.eq_ignore_ascii_case(b"SIP")) && version == Some(b"2.0");
        if !known || transport.is_empty() || !transport.iter().all(|b| is_token(*b)) {
            return Err(ValueError::Malformed);
        }
        std::str::from_utf8(transport).map_err(|_| ValueError::Malformed)
    }

    /// Does the sender follow RFC 3261, so that the branch alone names the transaction? The cookie alone names none.
    //= https://www.rfc-editor.org/rfc/rfc4475#section-3.2.1
    pub fn has_magic_cookie(&self) -> bool {
        let head = self.branch.get(..MAGIC_COOKIE.len());
        self.branch.len() > MAGIC_COOKIE.len() && head.is_some_and(|head| head.eq_ignore_ascii_case(MAGIC_COOKIE))
    }
}

/// The value of CSeq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The number, below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method,
    /// The method as written.
    pub method_text: &'a [u8],
}

impl<'a> CSeq<'a> {
    /// Reads the value.
    pub fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let space = value.iter().position(|b| is_space(*b)).ok_or(ValueError::Malformed)?;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.5
        let number = decimal(&value[..space]).filter(|n| *n < 1 << 31).ok_or(ValueError::Number)?;
        let method_text = trim(&value[space..]);
        if method_text.is_empty() || !method_text.iter().all(|b| is_token(*b)) {
            return Err(ValueError::Malformed);
        }
        Ok(Self { number, method: Method::from_bytes(method_text), method_text })
    }
}

/// The value of RAck: which reliable provisional response is acknowledged.
//= https://www.rfc-editor.org/rfc/rfc3262#section-7.2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck {
    /// The response's RSeq.
    pub rseq: u32,
    /// The CSeq number of the request it answers.
    pub cseq: u32,
}

impl RAck {
    /// Reads the value.
    pub fn parse(value: &[u8]) -> Result<Self, ValueError> {
        let mut parts = value.split(|b| is_space(*b)).filter(|part| !part.is_empty());
        let mut number = || parts.next().and_then(decimal).ok_or(ValueError::Number);
        Ok(Self { rseq: number()?, cseq: number()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_many_ways() {
        for (text, display, user, tag) in [
            (&b"\"A. G. Bell\" <sip:agb@bell.example>;tag=a48s"[..], &b"A. G. Bell"[..], "agb", Some("a48s")),
            (b"Anonymous <sip:c8oq@anon.example>;tag=h", b"Anonymous", "c8oq", Some("h")),
            (b"sip:+12125551212@phone.example;tag=887s", b"", "+12125551212", Some("887s")),
            (b"<sip:a@x>", b"", "a", None),
            (b"M\xfcller <sip:m@x>", b"M\xfcller", "m", None),
            (b"\"<sip:evil@x>\" <sip:good@x>", b"<sip:evil@x>", "good", None),
        ] {
            let address = NameAddr::parse(text).expect("valid");
            assert_eq!((address.display, address.uri.user, address.tag()), (display, user, tag));
        }
        for (text, error) in [
            (&b"\"A <sip:a@x>"[..], ValueError::Uri(UriError::Character)),
            (b"<sip:a@x", ValueError::Unclosed),
            (b"sip:a@x?h=v", ValueError::Uri(UriError::Headers)),
            (b"Bell, Alexander <sip:a@x>", ValueError::Malformed),
        ] {
            assert_eq!(NameAddr::parse(text).err(), Some(error));
        }
    }

    #[test]
    fn a_via_may_have_white_space_in_odd_places() {
        for text in [
            &b"SIP/2.0/UDP erlang.example:5060;branch=z9hG4bK87"[..],
            b"SIP / 2.0 / UDP erlang.example : 5060 ; branch = z9hG4bK87",
            b"SIP/2.0/UDP erlang.example: 5060;branch=z9hG4bK87",
        ] {
            let via = Via::parse(text).expect("valid");
            assert_eq!((via.transport, via.host.as_str(), via.port), ("UDP", "erlang.example", Some(5060)));
            assert_eq!((via.branch, via.has_magic_cookie()), ("z9hG4bK87", true));
        }
        let six = Via::parse(b"SIP/2.0/TCP [2001:db8::9:1];branch=x").expect("valid");
        assert_eq!((six.host.as_str(), six.port, six.has_magic_cookie()), ("[2001:db8::9:1]", None, false));
        let six = Via::parse(b"SIP/2.0/TCP [2001:db8::9:1]:5062").expect("valid");
        assert_eq!((six.host.as_str(), six.port, six.branch), ("[2001:db8::9:1]", Some(5062), ""));
        let bare = Via::parse(b"SIP/2.0/UDP h;branch=z9hG4bK").expect("valid");
        assert!(!bare.has_magic_cookie(), "the cookie alone names no transaction");
        for bad in [&b"SIP/2.0/UDP"[..], b"SIP/3.0/UDP h", b"SIP/2.0/UDP h:99999", b"SIP/2.0/UDP h:1:2", b";;;;;"] {
            assert!(Via::parse(bad).is_err());
        }
    }

    #[test]
    fn cseq_numbers_stay_below_two_to_the_31st() {
        assert_eq!(CSeq::parse(b"0009 INVITE").map(|c| (c.number, c.method)), Ok((9, Method::Invite)));
        assert_eq!(CSeq::parse(b"2147483648 INVITE"), Err(ValueError::Number));
        assert_eq!(CSeq::parse(b"36893488147419103232 REGISTER"), Err(ValueError::Number));
        assert_eq!(RAck::parse(b"776656 1 INVITE"), Ok(RAck { rseq: 776_656, cseq: 1 }));
    }
}
