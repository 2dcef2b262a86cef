//! Identifiers of calls, legs and traces.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One conversation the exchange is responsible for. A UUID version 7: sorts by the time it was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CallId(u128);

/// The id that crosses every log line, record, metric exemplar and CDR of one story; several calls may share it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TraceId(u128);

/// One party's side of a call. Unique within the worker that made it, for as long as that worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LegId(pub u64);

/// The text is not 32 hexadecimal digits, with or without the hyphens of a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseIdError;

impl CallId {
    /// Makes a version 7 UUID from the time in milliseconds since the Unix epoch and 74 random bits.
    //= https://www.rfc-editor.org/rfc/rfc9562#section-5.7
    pub fn new(unix_ms: u64, random: u128) -> Self {
        let time = u128::from(unix_ms & 0xffff_ffff_ffff) << 80;
        let rand_a = (random >> 64 & 0xfff) << 64;
        let rand_b = random & 0x3fff_ffff_ffff_ffff;
        Self(time | 0x7 << 76 | rand_a | 0b10 << 62 | rand_b)
    }

    /// The 128 bits.
    pub fn as_u128(self) -> u128 {
        self.0
    }

    /// The identifier with these 128 bits.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// Milliseconds since the Unix epoch at which the id was made.
    pub fn unix_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }
}

impl TraceId {
    /// The trace with these 128 bits.
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits.
    pub fn as_u128(self) -> u128 {
        self.0
    }
}

impl From<CallId> for TraceId {
    /// A call that nobody asked to join to another story starts a trace of its own.
    fn from(call: CallId) -> Self {
        Self(call.0)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            v >> 96,
            v >> 80 & 0xffff,
            v >> 64 & 0xffff,
            v >> 48 & 0xffff,
            v & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not 32 hexadecimal digits")
    }
}

impl std::error::Error for ParseIdError {}

fn parse_hex128(text: &str) -> Result<u128, ParseIdError> {
    let mut value = 0u128;
    let mut digits = 0;
    for c in text.chars().filter(|c| *c != '-') {
        let digit = c.to_digit(16).ok_or(ParseIdError)?;
        value = value << 4 | u128::from(digit);
        digits += 1;
        if digits > 32 {
            return Err(ParseIdError);
        }
    }
    if digits == 32 { Ok(value) } else { Err(ParseIdError) }
}

macro_rules! text_forms {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex128(text).map(Self)
            }
        }
        impl TryFrom<String> for $name {
            type Error = ParseIdError;
            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}
text_forms!(CallId);
text_forms!(TraceId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_id_is_a_version_7_uuid_that_sorts_by_time() {
        let early = CallId::new(1_700_000_000_000, u128::MAX);
        let late = CallId::new(1_700_000_000_001, 0);
        assert!(early < late);
        assert_eq!(late.unix_ms(), 1_700_000_000_001);
        let text = early.to_string();
        assert_eq!((text.len(), &text[14..15]), (36, "7"));
        assert!("89ab".contains(&text[19..20]));
        assert_eq!(text.parse::<CallId>(), Ok(early));
    }

    #[test]
    fn a_trace_id_is_32_digits() {
        let trace = TraceId::from_u128(1);
        assert_eq!(trace.to_string().parse::<TraceId>(), Ok(trace));
        assert_eq!("12".parse::<TraceId>(), Err(ParseIdError));
        assert_eq!("zz".repeat(16).parse::<TraceId>(), Err(ParseIdError));
    }
}
