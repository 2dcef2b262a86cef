//! The secret of a token: what it looks like and what is kept of it.

use sha2::{Digest as _, Sha256};
use std::fmt;

/// Random bytes that a token is made of: its public name and its secret.
pub const TOKEN_RANDOM_BYTES: usize = ID_BYTES + SECRET_BYTES;

const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;
/// What a secret begins with, so that one that was left lying about can be found and told what it is.
const PREFIX: &str = "sxt_";
/// The digits of the secret: 32 bytes in base64 without padding.
const DIGITS: usize = 43;
//= https://www.rfc-editor.org/rfc/rfc4648#section-5
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What is kept of a secret. It needs no salt and no slow function: 32 random bytes cannot be guessed.
pub(super) type Hash = [u8; 32];

/// What the bearer of a token shows.
pub struct TokenSecret(String);

impl TokenSecret {
    /// The text, to be given to the one who asked for it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    /// It opens the door, so it is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret")
    }
}

/// The public name and the secret that random bytes make.
pub(super) fn of(random: &[u8; TOKEN_RANDOM_BYTES]) -> (String, TokenSecret) {
    let (id, secret) = random.split_at(ID_BYTES);
    let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
    (id, TokenSecret(format!("{PREFIX}{}", base64url(secret))))
}

/// Can it be a secret at all?
pub(super) fn is_secret(text: &str) -> bool {
    text.strip_prefix(PREFIX)
        .is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|digit| ALPHABET.contains(&digit)))
}

pub(super) fn hash_of(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// Are they the same? It takes the same time wherever they differ.
pub(super) fn same(one: &Hash, other: &Hash) -> bool {
    let different = one.iter().zip(other).fold(0, |different, (a, b)| std::hint::black_box(different | (a ^ b)));
    std::hint::black_box(different) == 0
}

/// Base64 in the alphabet for URLs, without padding.
fn base64url(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for piece in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, index| bits << 8 | u32::from(piece.get(index).copied().unwrap_or(0)));
        for digit in 0..=piece.len() {
            let six = bits >> (18 - 6 * digit) & 0x3f;
            text.push(char::from(ALPHABET[six as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        //= https://www.rfc-editor.org/rfc/rfc4648#section-10
        //= type=test
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64url(bytes.as_bytes()), text);
        }
        assert_eq!(base64url(&[0xfb, 0xef, 0xff]), "--__");
    }

    #[test]
    fn a_secret_is_told_by_its_shape() {
        let (id, secret) = of(&[0xab; TOKEN_RANDOM_BYTES]);
        assert_eq!(id, "abababababab");
        assert!(is_secret(secret.as_str()), "{}", secret.as_str());
        let good = secret.as_str();
        for bad in ["", "sxt_", &good[4..], &good[..46], &format!("{good}A"), &good.replace('q', "+"), "sxt_ä"] {
            assert!(!is_secret(bad), "{bad}");
        }
    }

    #[test]
    fn hashes_are_the_same_only_in_every_bit() {
        let hash = hash_of("a");
        assert!(same(&hash, &hash));
        for bit in 0..256 {
            let mut other = hash;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!same(&hash, &other));
        }
    }
}
