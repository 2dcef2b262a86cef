//! Keys of SRTP in a description (`a=crypto`, RFC 4568).

use crate::parse::{number, words};
use std::fmt;
use thiserror::Error;

/// One `a=crypto` attribute: a suite and a key that the party who wrote it sends with. `Debug` does not show the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Crypto<'a> {
    /// Which of the attributes of an offer an answer means.
    pub tag: u32,
    /// The crypto suite, as written.
    pub suite: &'a str,
    /// The master key and its salt, as written: base 64.
    pub key: &'a str,
    /// How many packets it may protect, when that is said.
    pub lifetime: Option<u64>,
    /// The identifier that each packet carries, when there is one.
    pub mki: Option<Mki>,
}

/// A master key identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mki {
    /// Its value. What does not fit is not read: nobody has that many keys.
    pub value: u64,
    /// The bytes that it takes up in a packet, 1 to 128.
    pub bytes: u8,
}

/// Why an `a=crypto` attribute cannot be used; one that cannot is to be passed over, as if it were not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CryptoError {
    /// It does not have a tag of one to nine digits, a suite and a key.
    #[error("not a tag, a crypto suite and a key")]
    Form,
    /// The key comes by another method than `inline`.
    #[error("the key is not inline")]
    Method,
    /// It has more than one key.
    #[error("more than one key")]
    Keys,
    /// The lifetime is no number, is zero, or is longer than any key may live.
    #[error("not a lifetime of a key")]
    Lifetime,
    /// The identifier is not a number and its length.
    #[error("not a master key identifier")]
    Mki,
    /// It has a session parameter that changes what packets look like, or one that nobody here knows.
    #[error("a session parameter that is not supported")]
    Parameter,
}

/// The longest life of a key.
//= https://www.rfc-editor.org/rfc/rfc3711#section-9.2
const LIFETIME_MAX: u64 = 1 << 48;
/// A window of this many packets is the least that there is.
//= https://www.rfc-editor.org/rfc/rfc4568#section-6.3.6
const WINDOW_MIN: u32 = 64;

impl<'a> Crypto<'a> {
    /// Reads the value of an `a=crypto` attribute.
    //= https://www.rfc-editor.org/rfc/rfc4568#section-9.1
    // A tag, a suite and keys, then session parameters, with blanks between.
    pub fn parse(value: &'a [u8]) -> Result<Self, CryptoError> {
        let mut fields = words(value);
        let mut next = || fields.next().ok_or(CryptoError::Form);
        let (tag, suite, keys) = (next()?, next()?, next()?);
        let tag = number(tag).filter(|_| tag.len() <= 9).ok_or(CryptoError::Form)?;
        let suite = text(suite).filter(|suite| suite.bytes().all(is_of_suite)).ok_or(CryptoError::Form)?;
        let keys = text(keys).ok_or(CryptoError::Form)?;
        if keys.contains(';') {
            return Err(CryptoError::Keys);
        }
        let (method, info) = keys.split_once(':').ok_or(CryptoError::Form)?;
        if !method.eq_ignore_ascii_case("inline") {
            return Err(CryptoError::Method);
        }
        fields.try_for_each(check_parameter)?;
        Self::read_inline(tag, suite, info)
    }

    /// Writes the value of an `a=crypto` attribute.
    pub fn write(&self) -> String {
        let mut value = format!("{} {} inline:{}", self.tag, self.suite, self.key);
        match self.lifetime {
            Some(packets) if packets.is_power_of_two() => value += &format!("|2^{}", packets.trailing_zeros()),
            Some(packets) => value += &format!("|{packets}"),
            None => {}
        }
        if let Some(mki) = self.mki {
            value += &format!("|{}:{}", mki.value, mki.bytes);
        }
        value
    }

    /// A lifetime and an identifier may follow the key, each for itself; only the identifier has a colon.
    //= https://www.rfc-editor.org/rfc/rfc4568#section-6.1
    fn read_inline(tag: u32, suite: &'a str, info: &'a str) -> Result<Self, CryptoError> {
        let mut parts = info.split('|');
        let key =
            parts.next().filter(|key| !key.is_empty() && key.bytes().all(is_of_base_64)).ok_or(CryptoError::Form)?;
        let mut crypto = Self { tag, suite, key, lifetime: None, mki: None };
        for part in parts {
            if crypto.mki.is_some() {
                return Err(CryptoError::Form);
            }
            match part.split_once(':') {
                Some((value, bytes)) => crypto.mki = Some(Mki::parse(value, bytes).ok_or(CryptoError::Mki)?),
                None if crypto.lifetime.is_some() => return Err(CryptoError::Form),
                None => crypto.lifetime = Some(lifetime(part).ok_or(CryptoError::Lifetime)?),
            }
        }
        Ok(crypto)
    }
}

impl fmt::Debug for Crypto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tag, suite, lifetime, mki, .. } = self;
        let mut shown = f.debug_struct("Crypto");
        shown
            .field("tag", tag)
            .field("suite", suite)
            .field("lifetime", lifetime)
            .field("mki", mki)
            .finish_non_exhaustive()
    }
}

impl Mki {
    fn parse(value: &str, bytes: &str) -> Option<Self> {
        let bytes = number(bytes.as_bytes()).filter(|bytes| (1..=128).contains(bytes))? as u8;
        let value = digits(value)?;
        let fits = bytes >= 8 || value < 1 << (8 * u32::from(bytes));
        fits.then_some(Self { value, bytes })
    }

    /// The identifier as packets carry it: the highest byte first.
    pub fn to_bytes(self) -> Vec<u8> {
        let value = self.value.to_be_bytes();
        let bytes = usize::from(self.bytes);
        let mut carried = vec![0; bytes.saturating_sub(value.len())];
        carried.extend_from_slice(&value[value.len().saturating_sub(bytes)..]);
        carried
    }
}

/// A number of packets, or a power of two.
fn lifetime(text: &str) -> Option<u64> {
    let packets = match text.strip_prefix("2^") {
        Some(power) => 1_u64.checked_shl(number(power.as_bytes())?)?,
        None => digits(text)?,
    };
    (1..=LIFETIME_MAX).contains(&packets).then_some(packets)
}

/// Refuses what would have to be done otherwise: ciphers or tags left out, other derivations, forward error correction.
//= https://www.rfc-editor.org/rfc/rfc4568#section-6.3
// A parameter that is not known makes the attribute unusable, unless it begins with a minus; the size of a replay window
// is a hint.
fn check_parameter(parameter: &[u8]) -> Result<(), CryptoError> {
    let parameter = text(parameter).ok_or(CryptoError::Parameter)?;
    let is_window = |(name, size): (&str, &str)| {
        name.eq_ignore_ascii_case("WSH") && number(size.as_bytes()).is_some_and(|size| size >= WINDOW_MIN)
    };
    let harmless =
        parameter.len() > 1 && parameter.starts_with('-') || parameter.split_once('=').is_some_and(is_window);
    if harmless { Ok(()) } else { Err(CryptoError::Parameter) }
}

/// Visible characters of ASCII.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// Digits only, no sign.
fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

fn is_of_suite(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_of_base_64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    fn read(value: &str) -> Result<Crypto<'_>, CryptoError> {
        Crypto::parse(value.as_bytes())
    }

    #[test]
    fn the_parts_stand_where_the_rfc_has_them() {
        //= https://www.rfc-editor.org/rfc/rfc4568#section-6.1
        //= type=test
        let plain = Crypto { tag: 1, suite: "AES_CM_128_HMAC_SHA1_80", key: KEY, lifetime: None, mki: None };
        let mki = Some(Mki { value: 1, bytes: 4 });
        for (more, expected) in [
            ("", plain),
            ("|2^20", Crypto { lifetime: Some(1 << 20), ..plain }),
            ("|2^20|1:4", Crypto { lifetime: Some(1 << 20), mki, ..plain }),
            ("|1:4", Crypto { mki, ..plain }),
            ("|1048575", Crypto { lifetime: Some(1_048_575), ..plain }),
            ("|2^48", Crypto { lifetime: Some(1 << 48), ..plain }),
        ] {
            let value = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{more}");
            assert_eq!(read(&value), Ok(expected));
            assert_eq!(expected.write(), value);
        }
        let untidy = format!(" 000000001  AES_CM_128_HMAC_SHA1_80\tINLINE:{KEY}  WSH=64 -NEW=x wsh=1024 ");
        assert_eq!(read(&untidy), Ok(plain));
    }

    #[test]
    fn what_is_not_understood_whole_is_refused() {
        let suite = "AEAD_AES_128_GCM";
        for (value, expected) in [
            (String::new(), CryptoError::Form),
            (format!("1 {suite}"), CryptoError::Form),
            (format!("x {suite} inline:{KEY}"), CryptoError::Form),
            (format!("+1 {suite} inline:{KEY}"), CryptoError::Form),
            (format!("1000000000 {suite} inline:{KEY}"), CryptoError::Form),
            (format!("1 AEAD-AES inline:{KEY}"), CryptoError::Form),
            (format!("1 {suite} inline:"), CryptoError::Form),
            (format!("1 {suite} inline:a-b"), CryptoError::Form),
            (format!("1 {suite} {KEY}"), CryptoError::Form),
            (format!("1 {suite} uri:{KEY}"), CryptoError::Method),
            (format!("1 {suite} inline:{KEY};inline:{KEY}"), CryptoError::Keys),
            (format!("1 {suite} inline:{KEY}|"), CryptoError::Lifetime),
            (format!("1 {suite} inline:{KEY}|0"), CryptoError::Lifetime),
            (format!("1 {suite} inline:{KEY}|2^49"), CryptoError::Lifetime),
            (format!("1 {suite} inline:{KEY}|2^64"), CryptoError::Lifetime),
            (format!("1 {suite} inline:{KEY}|3^4"), CryptoError::Lifetime),
            (format!("1 {suite} inline:{KEY}|2^20|2^20"), CryptoError::Form),
            (format!("1 {suite} inline:{KEY}|1:4|2^20"), CryptoError::Form),
            (format!("1 {suite} inline:{KEY}|1:4|1:4"), CryptoError::Form),
            (format!("1 {suite} inline:{KEY}|1:0"), CryptoError::Mki),
            (format!("1 {suite} inline:{KEY}|1:129"), CryptoError::Mki),
            (format!("1 {suite} inline:{KEY}|256:1"), CryptoError::Mki),
            (format!("1 {suite} inline:{KEY}|:1"), CryptoError::Mki),
            (format!("1 {suite} inline:{KEY} UNENCRYPTED_SRTP"), CryptoError::Parameter),
            (format!("1 {suite} inline:{KEY} UNENCRYPTED_SRTCP"), CryptoError::Parameter),
            (format!("1 {suite} inline:{KEY} UNAUTHENTICATED_SRTP"), CryptoError::Parameter),
            (format!("1 {suite} inline:{KEY} KDR=1"), CryptoError::Parameter),
            (format!("1 {suite} inline:{KEY} WSH=63"), CryptoError::Parameter),
            (format!("1 {suite} inline:{KEY} -"), CryptoError::Parameter),
            (format!("1 {suite} inline:{KEY} NEW"), CryptoError::Parameter),
        ] {
            assert_eq!(read(&value), Err(expected), "{value}");
        }
    }

    #[test]
    fn an_identifier_is_written_into_its_bytes() {
        for (value, bytes, expected) in [
            (1, 1, &[1][..]),
            (0x0102, 4, &[0, 0, 1, 2]),
            (u64::MAX, 8, &[0xff; 8]),
            (7, 10, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 7]),
        ] {
            assert_eq!(Mki { value, bytes }.to_bytes(), expected);
        }
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let value = format!("1 AEAD_AES_128_GCM inline:{KEY}|1:4");
        let shown = format!("{:?}", read(&value));
        assert!(shown.contains("AEAD_AES_128_GCM") && !shown.contains(&KEY[..8]), "{shown}");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(
            tag in 0..1_000_000_000_u32,
            lifetime in proptest::option::of(1..=LIFETIME_MAX),
            mki in proptest::option::of((any::<u64>(), 8..=128_u8)),
        ) {
            let mki = mki.map(|(value, bytes)| Mki { value, bytes });
            let crypto = Crypto { tag, suite: "AEAD_AES_256_GCM", key: KEY, lifetime, mki };
            let written = crypto.write();
            prop_assert_eq!(read(&written), Ok(crypto));
        }

        #[test]
        fn any_text_is_survived(value in "[ -~]{0,80}", more in "(|[|:^;= ]|[0-9])*") {
            for value in [value.clone(), format!("1 AEAD_AES_128_GCM inline:{KEY}{more}"), format!("{value} {more}")] {
                if let Ok(crypto) = read(&value) {
                    let written = crypto.write();
                    prop_assert_eq!(read(&written), Ok(crypto));
                }
            }
        }
    }
}
