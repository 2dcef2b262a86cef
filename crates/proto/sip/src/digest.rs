//! Digest authentication (RFC 7616 as RFC 8760 brings it to SIP): both sides, MD5 and SHA-256, `qop=auth`.
//!
//! The server side keeps no nonce: each one carries its serial number, its time and a keyed hash over both and over the
//! source that it was given to: nobody can show wrong credentials in the name of a source whose challenges he does not
//! read. What is kept is a ring with the highest `nc` seen for each of the latest serial numbers, so that memory is
//! fixed; a nonce that has fallen out of the ring is stale and its client is challenged again.

use crate::message::{Scheme, Uri, elements, is_space, quotes_are_whole, trim, unquote};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::fmt::Write as _;
use std::hash::Hasher;
use std::net::IpAddr;
use std::time::Duration;
use sx_engine::{Rng, Time};

/// The hash of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// MD5: weak, and what most telephones speak.
    Md5,
    /// SHA-256, to be preferred.
    Sha256,
}

/// H(user:realm:password): what a registrar keeps in place of a password. 16 bytes of MD5 or 32 of SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ha1 {
    algorithm: Algorithm,
    bytes: [u8; 32],
}

/// The value of an `Authorization`, `Proxy-Authorization`, `WWW-Authenticate` or `Proxy-Authenticate` header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the parameter of that name, without quotes")]
pub struct DigestParams<'a> {
    pub username: &'a str,
    pub realm: &'a str,
    pub nonce: &'a str,
    pub uri: &'a str,
    pub response: &'a str,
    pub cnonce: &'a str,
    pub nc: &'a str,
    pub qop: &'a str,
    pub algorithm: &'a str,
    pub opaque: &'a str,
    pub stale: bool,
}

/// The header is no digest header, or a parameter stands twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Another scheme than `Digest`.
    #[error("not a Digest header")]
    Scheme,
    /// A parameter is not UTF-8, stands twice, or has a quote where none may stand.
    #[error("a parameter is malformed or repeated")]
    Parameter,
    /// A parameter that must be there is missing.
    #[error("a mandatory parameter is missing")]
    Missing,
}

impl Algorithm {
    /// The token: `MD5`, `SHA-256`.
    pub fn token(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// The algorithm with this token; MD5 when it is empty.
    pub fn from_token(token: &str) -> Option<Self> {
        match token {
            "" => Some(Self::Md5),
            _ if token.eq_ignore_ascii_case("MD5") => Some(Self::Md5),
            _ if token.eq_ignore_ascii_case("SHA-256") => Some(Self::Sha256),
            _ => None,
        }
    }

    fn hash_hex(self, parts: &[&[u8]], out: &mut [u8; 64]) -> usize {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut bytes = [0u8; 32];
        let length = self.hash(parts, &mut bytes);
        for (pair, byte) in out.chunks_exact_mut(2).zip(&bytes[..length]) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        length * 2
    }

    /// The hash of the parts joined by colons.
    fn hash(self, parts: &[&[u8]], out: &mut [u8; 32]) -> usize {
        fn feed<H: md5::Digest>(parts: &[&[u8]]) -> H {
            let mut hasher = H::new();
            for (position, part) in parts.iter().enumerate() {
                if position > 0 {
                    hasher.update(b":");
                }
                hasher.update(part);
            }
            hasher
        }
        match self {
            Self::Md5 => {
                out[..16].copy_from_slice(&feed::<Md5>(parts).finalize());
                16
            }
            Self::Sha256 => {
                out.copy_from_slice(&feed::<Sha256>(parts).finalize());
                32
            }
        }
    }
}

impl std::fmt::Debug for Ha1 {
    /// As good as a password: never shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ha1({})", self.algorithm.token())
    }
}

impl Ha1 {
    /// Computes it from the password.
    pub fn new(algorithm: Algorithm, user: &str, realm: &str, password: &str) -> Self {
        let mut bytes = [0; 32];
        algorithm.hash(&[user.as_bytes(), realm.as_bytes(), password.as_bytes()], &mut bytes);
        Self { algorithm, bytes }
    }

    /// The MD5 hash that was kept.
    pub fn from_md5(hash: [u8; 16]) -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&hash);
        Self { algorithm: Algorithm::Md5, bytes }
    }

    /// The SHA-256 hash that was kept.
    pub fn from_sha256(bytes: [u8; 32]) -> Self {
        Self { algorithm: Algorithm::Sha256, bytes }
    }

    /// What no password has, for users that do not exist: to compare with it is as much work as with a user's.
    pub fn of_nobody(algorithm: Algorithm) -> Self {
        Self { algorithm, bytes: [0; 32] }
    }

    /// The hash: 16 or 32 bytes.
    pub fn bytes(&self) -> &[u8] {
        match self.algorithm {
            Algorithm::Md5 => &self.bytes[..16],
            Algorithm::Sha256 => &self.bytes,
        }
    }

    /// The digest over a request, in hexadecimal.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.4.1
    fn response(&self, params: &DigestParams<'_>, method: &[u8], out: &mut [u8; 64]) -> usize {
        let (mut ha1, mut ha2) = ([0u8; 64], [0u8; 64]);
        let mut length = 0;
        for (pair, byte) in ha1.chunks_exact_mut(2).zip(self.bytes()) {
            pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
            pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
            length += 2;
        }
        let ha2_length = self.algorithm.hash_hex(&[method, params.uri.as_bytes()], &mut ha2);
        let (ha1, ha2) = (&ha1[..length], &ha2[..ha2_length]);
        let (nonce, nc) = (params.nonce.as_bytes(), params.nc.as_bytes());
        if params.qop.is_empty() {
            self.algorithm.hash_hex(&[ha1, nonce, ha2], out)
        } else {
            let parts = [ha1, nonce, nc, params.cnonce.as_bytes(), params.qop.as_bytes(), ha2];
            self.algorithm.hash_hex(&parts, out)
        }
    }

    /// Does the `response` of these credentials follow from this HA1? Takes the same time whatever differs.
    pub fn verifies(&self, credentials: &DigestParams<'_>, method: &[u8]) -> bool {
        let mut expected = [0; 64];
        let length = self.response(credentials, method, &mut expected);
        let given = credentials.response.as_bytes();
        given.len() == length
            && given.iter().zip(&expected[..length]).fold(0, |acc, (a, b)| acc | (a.to_ascii_lowercase() ^ b)) == 0
    }
}

impl<'a> DigestParams<'a> {
    /// Reads the header's value.
    pub fn parse(value: &'a [u8]) -> Result<Self, DigestError> {
        let space = value.iter().position(|b| is_space(*b)).ok_or(DigestError::Scheme)?;
        if !value[..space].eq_ignore_ascii_case(b"Digest") {
            return Err(DigestError::Scheme);
        }
        let mut params = Self::default();
        let mut seen = 0u16;
        for element in elements(&value[space..]) {
            let equals = memchr::memchr(b'=', element).unwrap_or(element.len());
            let name = trim(&element[..equals]);
            let raw = trim(element.get(equals + 1..).unwrap_or_default());
            if !quotes_are_whole(raw) {
                return Err(DigestError::Parameter);
            }
            let text = std::str::from_utf8(unquote(raw)).map_err(|_| DigestError::Parameter)?;
            let slot = match name {
                n if n.eq_ignore_ascii_case(b"username") => Some((&mut params.username, 0)),
                n if n.eq_ignore_ascii_case(b"realm") => Some((&mut params.realm, 1)),
                n if n.eq_ignore_ascii_case(b"nonce") => Some((&mut params.nonce, 2)),
                n if n.eq_ignore_ascii_case(b"uri") => Some((&mut params.uri, 3)),
                n if n.eq_ignore_ascii_case(b"response") => Some((&mut params.response, 4)),
                n if n.eq_ignore_ascii_case(b"cnonce") => Some((&mut params.cnonce, 5)),
                n if n.eq_ignore_ascii_case(b"nc") => Some((&mut params.nc, 6)),
                n if n.eq_ignore_ascii_case(b"qop") => Some((&mut params.qop, 7)),
                n if n.eq_ignore_ascii_case(b"algorithm") => Some((&mut params.algorithm, 8)),
                n if n.eq_ignore_ascii_case(b"opaque") => Some((&mut params.opaque, 9)),
                n if n.eq_ignore_ascii_case(b"stale") => {
                    params.stale = text.eq_ignore_ascii_case("true");
                    None
                }
                _ => None,
            };
            if let Some((field, bit)) = slot {
                if seen & 1 << bit != 0 {
                    return Err(DigestError::Parameter);
                }
                seen |= 1 << bit;
                *field = text;
            }
        }
        if params.realm.is_empty() || params.nonce.is_empty() { Err(DigestError::Missing) } else { Ok(params) }
    }

    /// Was this computed for a request with this request URI? What names the one who is called must agree; parameters
    /// and a port that only one of them has may differ, as they do where a client writes the one of them shorter.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.4.6
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
    pub fn is_for(&self, request_uri: &[u8]) -> bool {
        let (Ok(named), Ok(asked)) = (Uri::parse(self.uri.as_bytes()), Uri::parse(request_uri)) else { return false };
        match (named.scheme, asked.scheme) {
            (Scheme::Sip | Scheme::Sips, Scheme::Sip | Scheme::Sips) => {
                let ports = named.port.zip(asked.port);
                named.user_unescaped() == asked.user_unescaped()
                    && named.host.as_str().eq_ignore_ascii_case(asked.host.as_str())
                    && ports.is_none_or(|(named, asked)| named == asked)
            }
            //= https://www.rfc-editor.org/rfc/rfc3966#section-4
            // Visual separators say nothing.
            (Scheme::Tel, Scheme::Tel) => {
                let digits = |uri: &Uri<'_>| uri.user.replace(['-', '.', '(', ')'], "").to_ascii_lowercase();
                digits(&named) == digits(&asked)
            }
            _ => named.text == asked.text,
        }
    }

    /// The algorithm, when it is one of ours.
    pub fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::from_token(self.algorithm)
    }

    /// Does a challenge offer `auth` protection?
    pub fn offers_auth(&self) -> bool {
        self.qop.split(',').any(|token| token.trim().eq_ignore_ascii_case("auth"))
    }
}

/// What a client answers challenges with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: Box<str>,
    /// The password.
    pub password: Box<str>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.username)
    }
}

impl Credentials {
    /// The value of the `Authorization` header that answers a challenge; `None` when its algorithm is not one of ours.
    pub fn answer(
        &self,
        challenge: &DigestParams<'_>,
        method: &str,
        uri: &str,
        nc: u32,
        cnonce: &str,
    ) -> Option<String> {
        let algorithm = challenge.algorithm()?;
        let nc = format!("{nc:08x}");
        let auth = challenge.offers_auth();
        let filled = DigestParams {
            username: &self.username,
            uri,
            qop: if auth { "auth" } else { "" },
            nc: &nc,
            cnonce,
            ..challenge.clone()
        };
        let mut response = [0; 64];
        let ha1 = Ha1::new(algorithm, &self.username, challenge.realm, &self.password);
        let length = ha1.response(&filled, method.as_bytes(), &mut response);
        let response = std::str::from_utf8(&response[..length]).unwrap_or_default();
        let mut text = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\", algorithm={}",
            self.username,
            challenge.realm,
            challenge.nonce,
            algorithm.token()
        );
        if auth {
            let _ = write!(text, ", qop=auth, nc={nc}, cnonce=\"{cnonce}\"");
        }
        if !challenge.opaque.is_empty() {
            let _ = write!(text, ", opaque=\"{}\"", challenge.opaque);
        }
        Some(text)
    }

    /// Of several challenges, the one to answer: the strongest algorithm both sides have.
    //= https://www.rfc-editor.org/rfc/rfc8760#section-2.4
    pub fn choose<'a>(challenges: impl Iterator<Item = &'a [u8]>) -> Option<DigestParams<'a>> {
        challenges
            .filter_map(|value| DigestParams::parse(value).ok())
            .filter(|c| c.algorithm().is_some())
            .reduce(|best, next| if next.algorithm() > best.algorithm() { next } else { best })
    }
}

/// What a nonce and its `nc` are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceVerdict {
    /// Ours, young, and this `nc` was not seen before.
    Fresh,
    /// Ours once, but too old or out of the ring: challenge again with `stale=true`.
    Stale,
    /// Ours, and this `nc` was seen before.
    Replayed,
    /// Not ours, or not given to this source.
    Forged,
}

/// Issues and judges nonces in fixed memory.
#[derive(Debug)]
pub struct Nonces {
    key: (u64, u64),
    lifetime: Duration,
    serial: u64,
    /// For each serial number modulo the length: its low half, and the highest `nc` seen.
    ring: Vec<(u32, u32)>,
}

impl Nonces {
    /// Nonces that live for `lifetime`, of which the latest `remembered` may be used; 8 bytes each.
    pub fn new(lifetime: Duration, remembered: usize, rng: &mut Rng) -> Self {
        Self { key: (rng.u64(), rng.u64()), lifetime, serial: 0, ring: vec![(0, 0); remembered.max(1)] }
    }

    /// A nonce nobody has seen, for the source with this address. Where a source is a network, the address is its first one.
    pub fn issue(&mut self, now: Time, source: IpAddr) -> String {
        self.serial += 1;
        let slot = (self.serial % self.ring.len() as u64) as usize;
        self.ring[slot] = (self.serial as u32, 0);
        let millis = now.as_millis();
        format!("{:x}.{millis:x}.{:032x}", self.serial, self.seal(self.serial, millis, source))
    }

    /// Judges a nonce that came with `nc`, which is remembered when the verdict is fresh. Call it only for credentials that
    /// verify, so that nobody else can use a nonce up.
    pub fn judge(&mut self, nonce: &str, nc: u32, now: Time, source: IpAddr) -> NonceVerdict {
        let Some((serial, millis)) = self.open(nonce, source) else { return NonceVerdict::Forged };
        let Some(slot) = self.slot_of(serial, millis, now) else { return NonceVerdict::Stale };
        if nc <= self.ring[slot].1 {
            return NonceVerdict::Replayed;
        }
        self.ring[slot].1 = nc;
        NonceVerdict::Fresh
    }

    /// May credentials for this nonce be judged: is it ours, given to this source, and not too old? Whatever is wrong with
    /// them otherwise, they are to be challenged again.
    pub fn is_usable(&self, nonce: &str, now: Time, source: IpAddr) -> bool {
        self.open(nonce, source).is_some_and(|(serial, millis)| self.slot_of(serial, millis, now).is_some())
    }

    /// Where the use of a nonce is remembered; `None` when it is too old or fell out of the ring.
    fn slot_of(&self, serial: u64, millis: u64, now: Time) -> Option<usize> {
        let slot = (serial % self.ring.len() as u64) as usize;
        let is_young = now.since(Time::from_millis(millis)) <= self.lifetime;
        (is_young && self.ring[slot].0 == serial as u32).then_some(slot)
    }

    fn open(&self, nonce: &str, source: IpAddr) -> Option<(u64, u64)> {
        let mut parts = nonce.split('.');
        let serial = u64::from_str_radix(parts.next()?, 16).ok()?;
        let millis = u64::from_str_radix(parts.next()?, 16).ok()?;
        let seal = u128::from_str_radix(parts.next()?, 16).ok()?;
        (parts.next().is_none() && seal == self.seal(serial, millis, source)).then_some((serial, millis))
    }

    fn seal(&self, serial: u64, millis: u64, source: IpAddr) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write_u64(serial);
        hasher.write_u64(millis);
        hasher.write(&match source {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        });
        hasher.finish128().as_u128()
    }
}

/// The value of a `WWW-Authenticate` or `Proxy-Authenticate` header.
pub fn challenge(realm: &str, nonce: &str, algorithm: Algorithm, stale: bool) -> String {
    let stale = if stale { ", stale=true" } else { "" };
    format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={}, qop=\"auth\"{stale}", algorithm.token())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    /// The example of RFC 7616, section 3.9.1, with both algorithms.
    #[test]
    fn the_rfcs_example_verifies() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let header = format!(
                "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
                 cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"{response}\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let params = DigestParams::parse(header.as_bytes()).expect("well formed");
            let algorithm = params.algorithm().expect("known");
            let ha1 = Ha1::new(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
            assert!(ha1.verifies(&params, b"GET"));
            assert!(!ha1.verifies(&params, b"PUT"));
            assert!(
                !Ha1::new(algorithm, "Mufasa", "http-auth@example.org", "circle of life").verifies(&params, b"GET")
            );
        }
    }

    /// The algorithm is all that the time depends on.
    #[test]
    fn an_unknown_user_is_as_much_work_as_a_known_one() {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            let (nobody, user) = (Ha1::of_nobody(algorithm), Ha1::new(algorithm, "alice", "example.org", "wonder"));
            assert_eq!((nobody.algorithm, nobody.bytes().len()), (algorithm, user.bytes().len()));
            let mut response = [0; 64];
            let params = DigestParams { uri: "sip:example.org", nonce: "n", qop: "auth", ..DigestParams::default() };
            let lengths = [&nobody, &user].map(|ha1| ha1.response(&params, b"REGISTER", &mut response));
            assert_eq!(lengths[0], lengths[1]);
        }
    }

    #[test]
    fn what_a_client_answers_a_server_accepts_once() {
        let mut nonces = Nonces::new(Duration::from_secs(300), 1 << 10, &mut Rng::from_number(1));
        let now = Time::from_secs(1_000_000);
        let nonce = nonces.issue(now, SOURCE);
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            let offered = challenge("example.org", &nonce, algorithm, true);
            let offered = DigestParams::parse(offered.as_bytes()).expect("ours");
            assert!(offered.stale && offered.offers_auth());
            let credentials = Credentials { username: "alice".into(), password: "wonder".into() };
            let answer =
                credentials.answer(&offered, "REGISTER", "sip:example.org", 1, "abc").expect("known algorithm");
            let given = DigestParams::parse(answer.as_bytes()).expect("ours");
            assert!(Ha1::new(algorithm, "alice", "example.org", "wonder").verifies(&given, b"REGISTER"));
        }
        assert_eq!(nonces.judge(&nonce, 1, now, SOURCE), NonceVerdict::Fresh);
        assert_eq!(nonces.judge(&nonce, 1, now, SOURCE), NonceVerdict::Replayed);
        assert_eq!(nonces.judge(&nonce, 2, now, SOURCE), NonceVerdict::Fresh);
        assert_eq!(nonces.judge(&nonce, 3, now + Duration::from_secs(301), SOURCE), NonceVerdict::Stale);
        assert_eq!(nonces.judge(&nonce.replace('.', "0."), 3, now, SOURCE), NonceVerdict::Forged);
    }

    #[test]
    fn credentials_are_for_the_request_uri_they_were_computed_for() {
        let check = |named: &str, asked: &str, same: bool| {
            let params = DigestParams { uri: named, ..DigestParams::default() };
            assert_eq!(params.is_for(asked.as_bytes()), same, "{named} for {asked}");
        };
        check("sip:bob@example.org", "sip:bob@Example.ORG;transport=tcp", true);
        check("sip:b%6fb@example.org:5060", "sip:bob@example.org", true);
        check("sips:bob@example.org", "sip:bob@example.org", true);
        check("tel:+1-201-555", "tel:+1201555", true);
        check("sip:bob@example.org", "sip:00900123@example.org", false);
        check("sip:bob@example.org", "sip:Bob@example.org", false);
        check("sip:example.org", "sip:bob@example.org", false);
        check("sip:bob@example.com", "sip:bob@example.org", false);
        check("sip:bob@example.org:5060", "sip:bob@example.org:5070", false);
        check("tel:+1201555", "tel:+1201556", false);
        check("", "sip:bob@example.org", false);
    }

    #[test]
    fn a_nonce_that_fell_out_of_the_ring_is_stale() {
        let mut nonces = Nonces::new(Duration::from_secs(300), 4, &mut Rng::from_number(1));
        let first = nonces.issue(Time::ZERO, SOURCE);
        (0..4).for_each(|_| drop(nonces.issue(Time::ZERO, SOURCE)));
        assert_eq!(nonces.judge(&first, 1, Time::ZERO, SOURCE), NonceVerdict::Stale);
    }

    #[test]
    fn a_nonce_is_good_for_the_source_it_was_given_to_and_not_for_ever() {
        let mut nonces = Nonces::new(Duration::from_secs(300), 4, &mut Rng::from_number(1));
        let now = Time::from_secs(1_000_000);
        let nonce = nonces.issue(now, SOURCE);
        let other: IpAddr = [192, 0, 2, 2].into();
        assert!(nonces.is_usable(&nonce, now, SOURCE) && !nonces.is_usable(&nonce, now, other));
        assert_eq!(nonces.judge(&nonce, 1, now, other), NonceVerdict::Forged);
        assert_eq!(nonces.judge(&nonce, 1, now, SOURCE), NonceVerdict::Fresh);
        assert!(nonces.is_usable(&nonce, now, SOURCE), "whoever uses it twice is told so");
        assert!(!nonces.is_usable(&nonce, now + Duration::from_secs(301), SOURCE));
        (0..4).for_each(|_| drop(nonces.issue(now, other)));
        assert!(!nonces.is_usable(&nonce, now, SOURCE));
    }

    #[test]
    fn the_strongest_challenge_is_answered() {
        let (weak, strong) =
            (challenge("r", "n1", Algorithm::Md5, false), challenge("r", "n2", Algorithm::Sha256, false));
        let unknown = &b"Digest realm=\"r\", nonce=\"n3\", algorithm=SHA-512-256"[..];
        let all = [unknown, weak.as_bytes(), strong.as_bytes(), b"Basic realm=\"r\""];
        assert_eq!(Credentials::choose(all.into_iter()).map(|c| c.nonce), Some("n2"));
    }

    #[test]
    fn a_header_that_repeats_a_parameter_is_refused() {
        for (text, error) in [
            (&b"Basic dXNlcg=="[..], DigestError::Scheme),
            (b"Digest", DigestError::Scheme),
            (b"Digest realm=\"a\", realm=\"b\", nonce=\"c\"", DigestError::Parameter),
            (b"Digest realm=\"a\"", DigestError::Missing),
            (b"Digest realm=\"a\"b\", nonce=\"c\"", DigestError::Parameter),
            (b"Digest realm=\"a\", nonce=+c\\\\\"", DigestError::Parameter),
            (b"Digest realm=\"a\", nonce=\"c\\\"", DigestError::Parameter),
            (b"Digest realm=\"\xff\", nonce=\"c\"", DigestError::Parameter),
        ] {
            assert_eq!(DigestParams::parse(text), Err(error));
        }
    }
}
