//! The few facts of an X.509 certificate that an exchange asks for, read by a walk over its DER.
//!
//! Whether a certificate is to be trusted is decided by rustls; this reads what it says.

use sha2::{Digest, Sha256};
use std::fmt;
use std::net::IpAddr;
use sx_engine::Time;

/// A certificate whose holder has proven to have its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The subject alternative names, in the certificate's order.
    pub names: Vec<SubjectName>,
    /// The common name of its subject.
    pub common_name: Option<String>,
    /// The common name of who has signed it.
    pub issuer_name: Option<String>,
    /// Subject and issuer are the same.
    pub is_self_issued: bool,
    /// Is it an authority's, which signs others (`CA:TRUE`)?
    pub is_authority: bool,
    /// SHA-256 of the whole certificate.
    pub fingerprint: Fingerprint,
    /// Not valid before this.
    pub not_before: Time,
    /// Not valid after this.
    pub not_after: Time,
}

/// A subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubjectName {
    /// A domain name, possibly `*.` and a domain.
    Dns(String),
    /// A URI; `sip:example.com` names a SIP domain.
    Uri(String),
    /// An address.
    Address(IpAddr),
}

/// SHA-256 of a certificate, printed as hexadecimal pairs with colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if at == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Uri(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl PeerCertificate {
    /// Reads a certificate in DER; `None` when it is none.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).expect(SEQUENCE)?);
        let mut tbs = Der(certificate.expect(SEQUENCE)?);
        if tbs.peek() == Some(CONTEXT_0) {
            tbs.element()?;
        }
        tbs.expect(INTEGER)?;
        tbs.expect(SEQUENCE)?; // signature algorithm
        let issuer = tbs.expect(SEQUENCE)?;
        let mut validity = Der(tbs.expect(SEQUENCE)?);
        let not_before = time(validity.element()?)?;
        let not_after = time(validity.element()?)?;
        let subject = tbs.expect(SEQUENCE)?;
        tbs.expect(SEQUENCE)?; // public key
        let mut facts = Self {
            names: Vec::new(),
            common_name: common_name(subject),
            issuer_name: common_name(issuer),
            is_self_issued: subject == issuer,
            is_authority: false,
            fingerprint: Fingerprint::of(der),
            not_before,
            not_after,
        };
        while let Some((tag, content)) = tbs.element() {
            if tag == CONTEXT_3 {
                facts.read_extensions(content)?;
            }
        }
        Some(facts)
    }

    fn read_extensions(&mut self, extensions: &[u8]) -> Option<()> {
        let mut extensions = Der(Der(extensions).expect(SEQUENCE)?);
        while let Some((SEQUENCE, content)) = extensions.element() {
            let mut extension = Der(content);
            let identifier = extension.expect(OBJECT_IDENTIFIER)?;
            if extension.peek() == Some(BOOLEAN) {
                extension.element()?;
            }
            let value = Der(extension.expect(OCTET_STRING)?).expect(SEQUENCE);
            match identifier {
                SUBJECT_ALT_NAME => {
                    let mut list = Der(value?);
                    while let Some((tag, content)) = list.element() {
                        self.names.extend(subject_name(tag, content));
                    }
                }
                //= https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.9
                // FALSE is the default and not written.
                BASIC_CONSTRAINTS => {
                    self.is_authority = Der(value?).expect(BOOLEAN).is_some_and(|v| v.iter().any(|b| *b != 0));
                }
                _ => {}
            }
        }
        Some(())
    }

    /// The URIs that name a SIP user, `sip:user@domain` or `sips:`, as the certificate writes them. What else a URI may
    /// carry, such as a port, is left to who reads it.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    // What has a user part names a person and not a domain.
    pub fn sip_users(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|name| match name {
            SubjectName::Uri(uri) => {
                let (scheme, rest) = uri.split_once(':')?;
                let is_sip = scheme.eq_ignore_ascii_case("sip") || scheme.eq_ignore_ascii_case("sips");
                let names_user =
                    rest.split_once('@').is_some_and(|(user, domain)| !user.is_empty() && !domain.is_empty());
                (is_sip && names_user).then_some(uri.as_str())
            }
            _ => None,
        })
    }

    /// Does the certificate name this SIP domain, as `sip:` URI?
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    pub fn has_sip_identity(&self, domain: &str) -> bool {
        self.names.iter().any(|name| match name {
            SubjectName::Uri(uri) => uri.split_once(':').is_some_and(|(scheme, rest)| {
                // A URI with a user part names a person and no domain.
                scheme.eq_ignore_ascii_case("sip") && rest.eq_ignore_ascii_case(domain)
            }),
            _ => false,
        })
    }
}

/// The common name within a distinguished name.
fn common_name(name: &[u8]) -> Option<String> {
    let mut relative_names = Der(name);
    while let Some((SET, content)) = relative_names.element() {
        let mut attributes = Der(content);
        while let Some((SEQUENCE, content)) = attributes.element() {
            let mut attribute = Der(content);
            if attribute.expect(OBJECT_IDENTIFIER)? == COMMON_NAME {
                let (_, text) = attribute.element()?;
                return std::str::from_utf8(text).ok().map(str::to_owned);
            }
        }
    }
    None
}

fn subject_name(tag: u8, content: &[u8]) -> Option<SubjectName> {
    let text = || std::str::from_utf8(content).ok().filter(|t| t.is_ascii()).map(str::to_owned);
    match tag {
        GENERAL_NAME_DNS => text().map(SubjectName::Dns),
        GENERAL_NAME_URI => text().map(SubjectName::Uri),
        GENERAL_NAME_IP => <[u8; 4]>::try_from(content)
            .map(IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(content).map(IpAddr::from))
            .ok()
            .map(SubjectName::Address),
        _ => None,
    }
}

/// UTCTime or GeneralizedTime, both of which RFC 5280 wants with seconds and `Z`.
//= https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5
pub(super) fn time((tag, content): (u8, &[u8])) -> Option<Time> {
    let digits = content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let two = |at: usize| digits.get(at..at + 2).map(|d| u64::from(d[0] - b'0') * 10 + u64::from(d[1] - b'0'));
    let (year, rest) = match (tag, digits.len()) {
        // Two-digit years from 50 on are of the twentieth century.
        (UTC_TIME, 12) => (two(0).map(|y| if y < 50 { 2000 + y } else { 1900 + y })?, 2),
        (GENERALIZED_TIME, 14) => (two(0)? * 100 + two(2)?, 4),
        _ => return None,
    };
    let (month, day) = (two(rest)?, two(rest + 2)?);
    let seconds = two(rest + 4)? * 3600 + two(rest + 6)? * 60 + two(rest + 8)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if year < 1970 {
        return Some(Time::ZERO);
    }
    // `Time` ends in the year 2554; a certificate may say 9999 for "never".
    let year = year.min(2500);
    Some(Time::from_secs(days_since_1970(year, month, day) * 86_400 + seconds))
}

/// Days from 1970-01-01 in the Gregorian calendar; the year starts in March so that leap days come last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// What is left of a run of DER elements.
pub(super) struct Der<'a>(pub(super) &'a [u8]);

impl<'a> Der<'a> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element's tag and content.
    pub(super) fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Four bytes of length are more than any certificate has.
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The next element's content, when it has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
pub(super) const CONTEXT_0: u8 = 0xa0;
const CONTEXT_3: u8 = 0xa3;
const GENERAL_NAME_DNS: u8 = 0x82;
const GENERAL_NAME_URI: u8 = 0x86;
const GENERAL_NAME_IP: u8 = 0x87;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.29.19
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn example() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["sip.example.com".into(), "192.0.2.7".into()]).expect("names");
        params.subject_alt_names.push(SanType::URI("sip:example.com".try_into().expect("ASCII")));
        for uri in [
            "sip:Alice@example.com",
            "SIPS:bob@example.com",
            "mailto:carol@example.com",
            "sip:@example.com",
            "sip:dave@",
        ] {
            params.subject_alt_names.push(SanType::URI(uri.try_into().expect("ASCII")));
        }
        params.not_before = rcgen::date_time_ymd(2024, 2, 29);
        params.not_after = rcgen::date_time_ymd(2051, 1, 2);
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().to_vec()
    }

    #[test]
    fn names_and_dates_are_read() {
        let facts = PeerCertificate::parse(&example()).expect("a certificate");
        assert_eq!(facts.names[0], SubjectName::Dns("sip.example.com".into()));
        assert_eq!(facts.names[1], SubjectName::Address([192, 0, 2, 7].into()));
        let users: Vec<&str> = facts.sip_users().collect();
        assert_eq!(users, ["sip:Alice@example.com", "SIPS:bob@example.com"]);
        assert!(facts.has_sip_identity("Example.com") && !facts.has_sip_identity("sip.example.com"));
        assert_eq!(facts.not_before.to_string(), "2024-02-29T00:00:00.000Z");
        assert_eq!(facts.not_after.to_string(), "2051-01-02T00:00:00.000Z");
        assert_eq!(facts.fingerprint.to_string().len(), 32 * 3 - 1);
        assert!(facts.is_self_issued && !facts.is_authority);
        assert_eq!(facts.common_name, facts.issuer_name);
        assert_eq!(facts.common_name.as_deref(), Some("rcgen self signed cert"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, at: usize, flip: u8, cut in any::<usize>()) {
            let _ = PeerCertificate::parse(&bytes);
            let mut der = example();
            let at = at % der.len();
            der[at] ^= flip;
            der.truncate(cut % (der.len() + 1));
            let _ = PeerCertificate::parse(&der);
        }
    }
}
