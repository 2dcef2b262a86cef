//! Globally routable URIs of a user's devices (RFC 5627), made and read without being stored.
//!
//! A public one shows the address of record and the instance. A temporary one shows nothing: its user part is the
//! encryption of which user and which registration is meant. It holds as long as the device registers under the same
//! Call-ID, and there is a new one for each REGISTER, because the CSeq number goes into it.

use super::binding::{Binding, split_aor};
use crate::message::escape_user;
use siphasher::sip::SipHasher13;
use std::fmt::{self, Write as _};
use std::hash::Hasher as _;

/// What a GRUU of ours leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gruu<'a> {
    /// The address of record.
    pub aor: &'a str,
    /// The instance id: of the user's contacts, those with this one are meant.
    pub instance: &'a str,
}

/// Keys of everything that is hashed.
#[derive(Clone, Copy)]
pub(super) struct Keys(pub u64, pub u64);

impl fmt::Debug for Keys {
    /// Whoever knows them can make hashes collide and read temporary GRUUs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// What the user part of a temporary GRUU begins with.
const PREFIX: &str = "tgruu.";
/// Four rounds of a Luby-Rackoff network make a strong permutation out of a keyed hash.
const ROUNDS: u64 = 4;

/// What a temporary GRUU tells to who has the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    /// The hash of the address of record.
    pub user: u64,
    /// Which of the user's registrations.
    pub registration: u32,
}

impl Keys {
    /// The hash of a piece of text; different uses of the same text do not meet.
    pub fn hash(self, purpose: u64, text: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.0 ^ purpose, self.1);
        hasher.write(text);
        hasher.finish()
    }

    fn round(self, number: u64, half: u64) -> u64 {
        self.hash(0x6772_7575 ^ number << 32, &half.to_be_bytes())
    }

    fn registration(self, binding: &Binding) -> u32 {
        self.hash(binding.call, binding.instance().as_bytes()) as u32
    }

    fn seal(self, user: u64, rest: u64) -> (u64, u64) {
        (0..ROUNDS).fold((user, rest), |(left, right), number| (right, left ^ self.round(number, right)))
    }

    fn open(self, left: u64, right: u64) -> (u64, u64) {
        (0..ROUNDS).rev().fold((left, right), |(left, right), number| (right ^ self.round(number, left), left))
    }

    /// The registration that a temporary GRUU's user part means; `None` when it is none of ours.
    pub fn read_temporary(self, user: &str) -> Option<Meaning> {
        let digits = user.strip_prefix(PREFIX)?;
        if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')) {
            return None;
        }
        let half = |range| u64::from_str_radix(&digits[range], 16).ok();
        let (user, rest) = self.open(half(0..16)?, half(16..32)?);
        Some(Meaning { user, registration: (rest >> 32) as u32 })
    }

    /// Is this the registration that is meant?
    pub fn means(self, meaning: Meaning, binding: &Binding) -> bool {
        !binding.instance().is_empty() && meaning.registration == self.registration(binding)
    }

    /// Writes both GRUUs as parameters of a Contact.
    pub fn write(self, out: &mut String, aor: &str, user_hash: u64, binding: &Binding) {
        let (user, domain) = split_aor(aor);
        let _ = write!(out, ";pub-gruu=\"sip:{}@{domain};gr=", escape_user(user));
        escape_param(out, binding.instance());
        let rest = u64::from(self.registration(binding)) << 32 | u64::from(binding.cseq);
        let (left, right) = self.seal(user_hash, rest);
        let _ = write!(out, "\";temp-gruu=\"sip:{PREFIX}{left:016x}{right:016x}@{domain};gr\"");
    }
}

/// Escapes what must not stand in the value of a URI's parameter.
//= https://www.rfc-editor.org/rfc/rfc3261#section-25.1
fn escape_param(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_keys_only() {
        let keys = Keys(1, 2);
        for (user, rest) in [(0, 0), (u64::MAX, 1), (0x0123_4567_89ab_cdef, u64::MAX)] {
            let (left, right) = keys.seal(user, rest);
            assert_eq!(keys.open(left, right), (user, rest));
            assert_ne!(Keys(1, 3).open(left, right), (user, rest));
            assert_ne!((left, right), (user, rest));
        }
    }

    #[test]
    fn what_is_no_temporary_gruu_is_not_read() {
        for user in [
            "alice",
            "tgruu.",
            "tgruu.0123",
            "tgruu.0123456789abcdef0123456789ABCDEF",
            "tgruu.+123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(Keys(1, 2).read_temporary(user), None, "{user}");
        }
        assert!(Keys(1, 2).read_temporary("tgruu.0123456789abcdef0123456789abcdef").is_some());
    }
}
