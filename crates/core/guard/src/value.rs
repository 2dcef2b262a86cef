//! Values of conditions and of the registry.

use std::fmt;
use std::str::FromStr;

/// The text does not say such a value; holds what would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("allowed: {0}")]
pub struct NotAllowed(pub &'static str);

/// Hours of the day in UTC, `08-18`: from 08:00 until before 18:00. `22-06` goes over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hours {
    from: u8,
    to: u8,
}

/// Which identities: `user@domain`, the name of a trunk, or `*@domain`. The case of letters does not count.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityPattern {
    /// This one, in lower case.
    Exact(Box<str>),
    /// Every one of this domain, in lower case.
    Domain(Box<str>),
}

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; 32]);

/// A country by its two capitals (ISO 3166-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country(pub [u8; 2]);

impl Hours {
    /// What is allowed, in words.
    pub const SHAPE: &str = "hours of the day in UTC as \"08-18\", from 00 to 24 and not the same twice";

    /// A bit for each of its hours, the lowest for midnight.
    pub(crate) fn bits(self) -> u32 {
        let inside = |hour: &u8| {
            if self.from < self.to {
                (self.from..self.to).contains(hour)
            } else {
                *hour >= self.from || *hour < self.to
            }
        };
        (0..24u8).filter(inside).fold(0, |bits, hour| bits | 1 << hour)
    }
}

impl FromStr for Hours {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        const WANTED: NotAllowed = NotAllowed(Hours::SHAPE);
        let hour = |digits: &str, latest: u8| {
            let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u8>().ok().filter(|hour| two && *hour <= latest)
        };
        let (from, to) = text.split_once('-').ok_or(WANTED)?;
        let (from, to) = (hour(from, 23).ok_or(WANTED)?, hour(to, 24).ok_or(WANTED)?);
        if from == to { Err(WANTED) } else { Ok(Self { from, to }) }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.from, self.to)
    }
}

impl IdentityPattern {
    /// What is allowed, in words.
    pub const SHAPE: &str = "user@domain, the name of a trunk, or *@domain";

    /// Is the identity one of these?
    pub fn accepts(&self, identity: &str) -> bool {
        match self {
            Self::Exact(exact) => exact.eq_ignore_ascii_case(identity),
            Self::Domain(domain) => domain_of(identity).is_some_and(|of| domain.eq_ignore_ascii_case(of)),
        }
    }

    /// Is each identity of the other pattern one of these?
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Exact(identity) => self.accepts(identity),
            Self::Domain(_) => self == other,
        }
    }
}

/// What stands after the last `@`.
pub(crate) fn domain_of(identity: &str) -> Option<&str> {
    identity.rsplit_once('@').map(|(_, domain)| domain)
}

impl FromStr for IdentityPattern {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        const WANTED: NotAllowed = NotAllowed(IdentityPattern::SHAPE);
        let lower = text.to_ascii_lowercase();
        let pattern = match lower.strip_prefix("*@") {
            Some(domain) => Self::Domain(domain.into()),
            None => Self::Exact(lower.as_str().into()),
        };
        let rest = lower.strip_prefix("*@").unwrap_or(&lower);
        if rest.is_empty() || rest.contains('*') { Err(WANTED) } else { Ok(pattern) }
    }
}

impl fmt::Display for IdentityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(identity) => f.write_str(identity),
            Self::Domain(domain) => write!(f, "*@{domain}"),
        }
    }
}

impl PublicKey {
    /// What is allowed, in words.
    pub const SHAPE: &str =
        "an Ed25519 public key: 32 bytes in hexadecimal or base64, with \"ed25519:\" in front or not";
}

impl FromStr for PublicKey {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let bare = text.strip_prefix("ed25519:").unwrap_or(text).trim();
        hexadecimal(bare).or_else(|| base64(bare)).map(Self).ok_or(NotAllowed(Self::SHAPE))
    }
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        let digits = &text[place * 2..place * 2 + 2];
        *byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
    }
    Some(bytes)
}

/// Both alphabets, with padding or without.
//= https://www.rfc-editor.org/rfc/rfc4648#section-5
fn base64(text: &str) -> Option<[u8; 32]> {
    const DIGITS: usize = 43;
    let digits = text.strip_suffix('=').unwrap_or(text);
    if digits.len() != DIGITS {
        return None;
    }
    let (mut bytes, mut filled) = ([0u8; 32], 0);
    let (mut waiting, mut bits) = (0u32, 0u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        waiting = (waiting << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(filled)? = (waiting >> bits) as u8;
            waiting &= (1 << bits) - 1;
            filled += 1;
        }
    }
    // Two bits are left over; a key whose spelling sets them would have a second spelling.
    (waiting == 0 && filled == bytes.len()).then_some(bytes)
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl Country {
    /// What is allowed, in words.
    pub const SHAPE: &str = "a country in two capitals, as \"DE\"";
}

impl FromStr for Country {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([*a, *b])),
            _ => Err(NotAllowed(Self::SHAPE)),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Anything may come in as a fact; only letters are shown.
        self.0.iter().try_for_each(|byte| write!(f, "{}", if byte.is_ascii_graphic() { *byte as char } else { '?' }))
    }
}
