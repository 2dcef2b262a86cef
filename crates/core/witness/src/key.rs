//! Ed25519 keys in the text forms of C2SP signed notes.

use crate::base64;
use crate::hash::{Hash, hex_value};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use std::fmt;
use std::str::FromStr;

/// What a signature was made for; its byte takes part in the key's hash, so that one is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Signs notes.
    Note = 0x01,
    /// Signs, with the time, what another has signed.
    Cosignature = 0x04,
}

/// The text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A name is empty, too long, or has a space, a plus sign or a control character in it.
    #[error("a key's name has 1 to 255 bytes, none of them a space, a plus sign or a control character")]
    Name,
    /// Parts are missing, or are no hexadecimal digits or no base 64.
    #[error("a key is written as its name, 8 hexadecimal digits and base 64, with plus signs between")]
    Form,
    /// It is of a kind that is not known here.
    #[error("the key is not an Ed25519 key")]
    Algorithm,
    /// The digits do not belong to this name and key: something was mistyped.
    #[error("the 8 hexadecimal digits of the key do not belong to it")]
    Digits,
}

/// The public half: who has it can check what was signed.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    name: Box<str>,
    purpose: Purpose,
    key: [u8; 32],
}

/// The secret half. [`Display`](fmt::Display) writes it out, for the file that keeps it; `Debug` does not.
pub struct SigningKey {
    public: VerifyingKey,
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

const PRIVATE: &str = "PRIVATE+KEY+";
const NAME_BYTES_MAX: usize = 255;

impl VerifyingKey {
    /// Reads `name+hash+base64`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, purpose, key, id) = parse_parts(text)?;
        let public = Self { name: name.into(), purpose, key };
        if public.id(purpose) == id { Ok(public) } else { Err(KeyError::Digits) }
    }

    /// Whose it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The 32 bytes of RFC 8032.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.key
    }

    /// Does it say of itself that it signs logs, and not what others have signed?
    pub fn is_of_log(&self) -> bool {
        self.purpose == Purpose::Note
    }

    /// The same key as it is written for those who check its cosignatures.
    //= https://c2sp.org/tlog-cosignature#format
    // Its kind is 0x04, in the id as well.
    pub fn as_cosigner(&self) -> Self {
        Self { purpose: Purpose::Cosignature, ..self.clone() }
    }

    /// The number that a signature names its key by.
    pub(crate) fn id(&self, purpose: Purpose) -> u32 {
        let mut bytes = Vec::with_capacity(self.name.len() + 34);
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(&[b'\n', purpose as u8]);
        bytes.extend_from_slice(&self.key);
        let [a, b, c, d, ..] = Hash::of(&bytes).0;
        u32::from_be_bytes([a, b, c, d])
    }

    /// Its name and id, which is how a signature names it.
    pub(crate) fn short(&self) -> Box<str> {
        format!("{}+{:08x}", self.name, self.id(self.purpose)).into()
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    //= https://www.rfc-editor.org/rfc/rfc8032#section-5.1.7
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.key).verify(message, signature).is_ok()
    }
}

impl SigningKey {
    /// The key of this name that comes of 32 random bytes.
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        check_name(name)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Algorithm)?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Algorithm)?;
        Ok(Self { public: VerifyingKey { name: name.into(), purpose: Purpose::Note, key }, seed, pair })
    }

    /// Reads `PRIVATE+KEY+name+hash+base64`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let rest = text.strip_prefix(PRIVATE).ok_or(KeyError::Form)?;
        let (name, purpose, seed, id) = parse_parts(rest)?;
        let mut key = Self::from_seed(name, seed)?;
        key.public.purpose = purpose;
        if key.public.id(purpose) == id { Ok(key) } else { Err(KeyError::Digits) }
    }

    /// Whose it is.
    pub fn name(&self) -> &str {
        &self.public.name
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.public.clone()
    }

    pub(crate) fn id(&self, purpose: Purpose) -> u32 {
        self.public.id(purpose)
    }

    //= https://www.rfc-editor.org/rfc/rfc8032#section-5.1.6
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

/// Name, purpose, 32 bytes and number.
fn parse_parts(text: &str) -> Result<(&str, Purpose, [u8; 32], u32), KeyError> {
    let (name, rest) = text.split_once('+').ok_or(KeyError::Form)?;
    let (digits, key) = rest.split_once('+').ok_or(KeyError::Form)?;
    check_name(name)?;
    let id = hex_value(digits.as_bytes()).filter(|_| digits.len() == 8).ok_or(KeyError::Form)?;
    let bytes = base64::decode(key).ok_or(KeyError::Form)?;
    let (purpose, key) = match bytes.split_first() {
        Some((0x01, key)) => (Purpose::Note, key),
        Some((0x04, key)) => (Purpose::Cosignature, key),
        _ => return Err(KeyError::Algorithm),
    };
    let key = key.try_into().map_err(|_| KeyError::Algorithm)?;
    Ok((name, purpose, key, id as u32))
}

pub(crate) fn check_name(name: &str) -> Result<(), KeyError> {
    let wrong = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(wrong) { Err(KeyError::Name) } else { Ok(()) }
}

fn write_parts(f: &mut fmt::Formatter<'_>, public: &VerifyingKey, bytes: &[u8; 32]) -> fmt::Result {
    let key = base64::encode(&[&[public.purpose as u8], bytes.as_slice()].concat());
    write!(f, "{}+{:08x}+{key}", public.name, public.id(public.purpose))
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl FromStr for SigningKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parts(f, self, &self.key)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

impl fmt::Display for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PRIVATE)?;
        write_parts(f, &self.public, &self.seed)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, secret)", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key = SigningKey::from_seed("exchange.example/log", [7; 32]).expect("a good name");
        let public = key.verifying_key();
        assert_eq!(public.to_string().parse(), Ok(public.clone()));
        assert_eq!(key.to_string().parse::<SigningKey>().map(|key| key.verifying_key()), Ok(public));
        assert!(!format!("{key:?}").contains(&base64::encode(&[&[1], [7; 32].as_slice()].concat())));
    }

    #[test]
    fn the_key_of_a_cosigner_is_the_same_under_another_id() {
        let key = SigningKey::from_seed("exchange.example/log", [7; 32]).expect("a good name").verifying_key();
        let cosigner: VerifyingKey = key.as_cosigner().to_string().parse().expect("a key");
        assert_eq!((cosigner.name(), cosigner.bytes()), (key.name(), key.bytes()));
        assert_ne!(cosigner.to_string(), key.to_string());
        assert!(key.is_of_log() && !cosigner.is_of_log());
    }

    #[test]
    fn what_is_no_key_is_refused_by_name() {
        let text = SigningKey::from_seed("a", [7; 32]).expect("a good name").verifying_key().to_string();
        let check = |text: &str, expected| assert_eq!(text.parse::<VerifyingKey>(), Err(expected), "{text}");
        check(&text.replacen('a', "b", 1), KeyError::Digits);
        check(&text.replacen('a', "", 1), KeyError::Name);
        check(&text[..text.len() - 1], KeyError::Form);
        check("a", KeyError::Form);
        check("a+12345678+AQ==", KeyError::Algorithm);
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb", &"a".repeat(256)] {
            assert_eq!(SigningKey::from_seed(name, [7; 32]).err(), Some(KeyError::Name), "{name}");
        }
    }
}
