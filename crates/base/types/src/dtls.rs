//! Who begins a DTLS handshake, where the keys of SRTP come from, and how a certificate is known.

use crate::enumerated::enumerated;
use serde::{Deserialize, Serialize};
use std::fmt;

enumerated! {
    /// Where the keys of a party's SRTP come from when the exchange is the one to say.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum SrtpKeying {
        /// They stand in descriptions (RFC 4568).
        #[default]
        Sdes,
        /// They come from a DTLS handshake on the way of the media (RFC 5763).
        Dtls,
    }
}

impl SrtpKeying {
    /// The words of configuration, in the order of [`ALL`](Self::ALL).
    pub const WORDS: [&'static str; Self::ALL.len()] = ["sdes", "dtls"];
}

/// Which side of a DTLS handshake somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsRole {
    /// It begins: `a=setup:active`.
    Client,
    /// It waits: `a=setup:passive`.
    Server,
}

enumerated! {
    /// A hash function that fingerprints of certificates are made with, the weakest first. MD5 and SHA-1 are none: nobody
    /// is to be known by them.
    //= https://www.rfc-editor.org/rfc/rfc8122#section-5
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum HashFunction {
        /// SHA-256.
        Sha256,
        /// SHA-384.
        Sha384,
        /// SHA-512.
        Sha512,
    }
}

impl HashFunction {
    /// Its name in descriptions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// How many bytes it makes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The hash of a certificate, by which a party says in its description who will be at the other end of a handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint {
    hash: HashFunction,
    bytes: Vec<u8>,
}

impl Fingerprint {
    /// Of these bytes, when the function makes so many.
    pub fn new(hash: HashFunction, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == hash.bytes()).then(|| Self { hash, bytes: bytes.to_vec() })
    }

    /// Reads the value of an `a=fingerprint`; `None` when it is malformed or of a hash function that counts for nothing.
    /// Digits of either case are taken: older peers write small ones.
    //= https://www.rfc-editor.org/rfc/rfc8122#section-5
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (name, digits) = (words.next()?, words.next()?);
        let hash = HashFunction::ALL.into_iter().find(|hash| name.eq_ignore_ascii_case(hash.name().as_bytes()))?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let octet = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        let bytes = digits.split(|byte| *byte == b':').map(octet).collect::<Option<Vec<u8>>>()?;
        Self::new(hash, &bytes).filter(|_| words.next().is_none())
    }

    /// The function it was made with.
    pub fn hash(&self) -> HashFunction {
        self.hash
    }

    /// The hash itself.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// As the value of an `a=fingerprint`.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.hash.name())?;
        for (place, byte) in self.bytes.iter().enumerate() {
            let separator = if place == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02X}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, bytes: usize) -> String {
        format!("{name} {}", vec!["4a"; bytes].join(":"))
    }

    #[test]
    fn a_fingerprint_is_written_as_it_is_read() {
        for hash in HashFunction::ALL {
            let text = of(&hash.name().to_uppercase(), hash.bytes());
            let read = Fingerprint::parse(text.as_bytes()).expect("a fingerprint");
            assert_eq!(read, Fingerprint::new(hash, &vec![0x4a; hash.bytes()]).expect("its length"));
            assert_eq!(Fingerprint::parse(read.to_string().as_bytes()), Some(read));
        }
    }

    #[test]
    fn weak_hashes_and_what_has_another_length_are_no_fingerprints() {
        for text in [
            of("sha-1", 20),
            of("md5", 16),
            of("sha-256", 31),
            of("sha-256", 33),
            of("sha-512", 48),
            of("sha-256", 32).replace(':', ""),
            of("sha-256", 32).replace("4a", "4g"),
            of("sha-256", 32) + " x",
            "sha-256".to_owned(),
            String::new(),
        ] {
            assert_eq!(Fingerprint::parse(text.as_bytes()), None, "{text}");
        }
    }
}
