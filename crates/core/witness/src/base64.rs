//! Base 64, strictly: one text for each sequence of bytes and no other.
//!
//! The standard alphabet, with all of its padding, and bits that no byte has are zero.
//= https://www.rfc-editor.org/rfc/rfc4648#section-3.5

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The bytes as base 64 with padding.
pub fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// The bytes that a text stands for; `None` when it is not what [`encode`] writes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_rfc_hold() {
        //= https://www.rfc-editor.org/rfc/rfc4648#section-10
        //= type=test
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        for wrong in ["Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 8", "Zm8\n", "é8=="] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
