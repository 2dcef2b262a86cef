//! SIP, SIPS and tel URIs, borrowed from the text.

use super::token::{HOST, Params, SCHEME, USER, all_of, decimal, may_be_uri};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme<'a>,
    /// The user part as written, escapes kept, without password; for `tel:` the number. Empty when there is none.
    pub user: &'a str,
    /// The password, a thing nobody should send.
    pub password: Option<&'a str>,
    /// The host; empty for `tel:` and for a scheme the exchange does not know.
    pub host: Host<'a>,
    /// The port when one is given.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'a>,
    /// What follows the question mark.
    pub headers: &'a str,
    /// The whole text.
    pub text: &'a str,
}

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme<'a> {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Another, in the text as written.
    Other(&'a str),
}

/// The host of a URI or a Via: a name, or an address. An IPv6 address is written in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a>(pub &'a str);

/// The text is no URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// There is no scheme.
    #[error("the URI has no scheme")]
    Scheme,
    /// The host is empty or has a character that no host has.
    #[error("the URI's host is malformed")]
    Host,
    /// The port is not a number up to 65535.
    #[error("the URI's port is not a number up to 65535")]
    Port,
    /// The user part has a character that must be escaped, or a broken escape.
    #[error("the URI's user part is malformed")]
    User,
    /// White space, a control character or a bracket stands in it, or it is not UTF-8.
    #[error("the URI has a character that no URI has")]
    Character,
    /// There are header fields where none may stand.
    #[error("the URI has header fields where none may stand")]
    Headers,
}

impl<'a> Uri<'a> {
    /// Reads a URI.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, UriError> {
        let text = std::str::from_utf8(bytes).map_err(|_| UriError::Character)?;
        if !may_be_uri(bytes) {
            return Err(UriError::Character);
        }
        let (name, rest) = split_at(text, b':').ok_or(UriError::Scheme)?;
        if name.is_empty() || !all_of(name.as_bytes(), SCHEME) {
            return Err(UriError::Scheme);
        }
        let scheme = match name {
            _ if name.eq_ignore_ascii_case("sip") => Scheme::Sip,
            _ if name.eq_ignore_ascii_case("sips") => Scheme::Sips,
            _ if name.eq_ignore_ascii_case("tel") => Scheme::Tel,
            _ => Scheme::Other(name),
        };
        let empty = Self {
            scheme,
            user: "",
            password: None,
            host: Host(""),
            port: None,
            params: Params::default(),
            headers: "",
            text,
        };
        match scheme {
            Scheme::Sip | Scheme::Sips => Self::parse_sip(empty, rest),
            Scheme::Tel => Self::parse_tel(empty, rest),
            Scheme::Other(_) => Ok(empty),
        }
    }

    fn parse_tel(mut uri: Self, rest: &'a str) -> Result<Self, UriError> {
        let end = memchr::memchr(b';', rest.as_bytes()).unwrap_or(rest.len());
        uri.user = &rest[..end];
        uri.params = Params(&rest.as_bytes()[end..]);
        let visual = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'+' | b'-' | b'.' | b'(' | b')' | b'*' | b'#');
        if uri.user.is_empty() || !uri.user.bytes().all(visual) { Err(UriError::User) } else { Ok(uri) }
    }

    fn parse_sip(mut uri: Self, rest: &'a str) -> Result<Self, UriError> {
        // An @ may stand in headers, but not unescaped in a host; the user part may itself hold ; and ?.
        let hostpart = match split_at(rest, b'@') {
            Some((userinfo, hostpart)) => {
                let (user, password) = match split_at(userinfo, b':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (userinfo, None),
                };
                if user.is_empty() || !all_of(user.as_bytes(), USER) || !escapes_are_whole(user) {
                    return Err(UriError::User);
                }
                (uri.user, uri.password) = (user, password);
                hostpart
            }
            None => rest,
        };
        let host_end = memchr::memchr2(b';', b'?', hostpart.as_bytes()).unwrap_or(hostpart.len());
        (uri.host, uri.port) = parse_hostport(&hostpart[..host_end])?;
        let tail = &hostpart[host_end..];
        let question = memchr::memchr(b'?', tail.as_bytes()).unwrap_or(tail.len());
        uri.params = Params(&tail.as_bytes()[..question]);
        uri.headers = tail.get(question + 1..).unwrap_or_default();
        Ok(uri)
    }

    /// The user part with its escapes undone.
    pub fn user_unescaped(&self) -> Cow<'a, str> {
        unescape(self.user)
    }

    /// The value of a parameter; `None` when it is absent or has none.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.params.value(name)
    }
}

/// What stands before and after the first of these ASCII characters.
fn split_at(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = memchr::memchr(byte, text.as_bytes())?;
    Some((&text[..at], &text[at + 1..]))
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(crate) fn parse_hostport(text: &str) -> Result<(Host<'_>, Option<u16>), UriError> {
    let host_end = if text.starts_with('[') {
        memchr::memchr(b']', text.as_bytes()).ok_or(UriError::Host)? + 1
    } else {
        memchr::memchr(b':', text.as_bytes()).unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(host_end);
    let valid = if let Some(inner) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        parse_ipv6(inner).is_some()
    } else {
        !host.is_empty() && all_of(host.as_bytes(), HOST)
    };
    if !valid {
        return Err(UriError::Host);
    }
    let port = match rest.strip_prefix(':') {
        Some(digits) => {
            let number = decimal(digits.as_bytes()).ok_or(UriError::Port)?;
            Some(u16::try_from(number).map_err(|_| UriError::Port)?)
        }
        None if rest.is_empty() => None,
        None => return Err(UriError::Host),
    };
    Ok((Host(host), port))
}

/// Reads an IPv6 address without its brackets.
//= https://www.rfc-editor.org/rfc/rfc5118#section-4.10
// The grammar of RFC 3261 makes three colons of two before an IPv4 address; both forms must be taken.
fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| {
        let (head, tail) = text.split_once(":::")?;
        tail.parse::<Ipv4Addr>().ok()?;
        format!("{head}::{tail}").parse().ok()
    })
}

fn escapes_are_whole(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'%', bytes)
        .all(|at| bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

/// Undoes `%41`; a broken escape, or one that makes the text other than UTF-8, leaves the text as it is.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') || !escapes_are_whole(text) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let digits = &text[at + 1..at + 3];
            out.push(u8::from_str_radix(digits, 16).unwrap_or(b'?'));
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Escapes what must not stand in the user part of a SIP URI.
pub fn escape_user(text: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b);
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
        }
    }
    Cow::Owned(out)
}

impl<'a> Host<'a> {
    /// The address, when the host is one.
    pub fn ip(self) -> Option<IpAddr> {
        match self.0.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) => parse_ipv6(inner).map(IpAddr::V6),
            None => self.0.parse().ok(),
        }
    }

    /// The text as written.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_gives_its_parts() {
        let uri =
            Uri::parse(b"sips:alice;day=tuesday:pw@[2001:db8::1]:5070;transport=tcp;lr?Subject=a%20b").expect("valid");
        assert_eq!((uri.scheme, uri.user, uri.password), (Scheme::Sips, "alice;day=tuesday", Some("pw")));
        assert_eq!((uri.host.as_str(), uri.port), ("[2001:db8::1]", Some(5070)));
        assert_eq!(uri.host.ip(), Some("2001:db8::1".parse().expect("an address")));
        assert_eq!((uri.param("Transport"), uri.params.has("lr"), uri.headers), (Some("tcp"), true, "Subject=a%20b"));
        let tel = Uri::parse(b"tel:+1-201-555-0123;phone-context=x").expect("valid");
        assert_eq!((tel.scheme, tel.user), (Scheme::Tel, "+1-201-555-0123"));
        assert_eq!(Uri::parse(b"http://x/").expect("any scheme").scheme, Scheme::Other("http"));
    }

    #[test]
    fn what_is_no_uri_is_refused_for_its_reason() {
        for (text, error) in [
            (&b"alice@example.org"[..], UriError::Scheme),
            (b"sip:", UriError::Host),
            (b"sip:a b@example.org", UriError::Character),
            (b"sip:a@exa mple.org", UriError::Character),
            (b"sip:@example.org", UriError::User),
            (b"sip:a%4@example.org", UriError::User),
            (b"sip:a@example.org:70000", UriError::Port),
            (b"sip:a@[::g]", UriError::Host),
            (b"sip:a@host:5060x", UriError::Port),
            (b"sip:\xff@host", UriError::Character),
            (b"tel:", UriError::User),
        ] {
            assert_eq!(Uri::parse(text), Err(error), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn three_colons_before_an_ipv4_address_are_two_and_nowhere_else() {
        for (host, expected) in [
            ("[2001:db8::192.0.2.1]", Some("2001:db8::192.0.2.1")),
            ("[2001:db8:::192.0.2.1]", Some("2001:db8::192.0.2.1")),
            ("[:::192.0.2.1]", Some("::192.0.2.1")),
            ("[2001:db8:::10]", None),
            ("[2001:db8::::192.0.2.1]", None),
            ("[2001::db8:::192.0.2.1]", None),
        ] {
            let address = parse_hostport(host).ok().and_then(|(host, _)| host.ip());
            assert_eq!(address, expected.map(|text| text.parse().expect("an address")), "{host}");
        }
    }

    #[test]
    fn escaping_and_unescaping_are_inverse() {
        for text in ["alice", "a b@c", "ü", "100%", "+1#2"] {
            assert_eq!(unescape(&escape_user(text)), text);
        }
        assert_eq!(unescape("%zz"), "%zz");
        assert_eq!(unescape("%ff"), "%ff");
    }
}
