//! Base 64, strictly: one text for each sequence of bytes and no other.

//= https://www.rfc-editor.org/rfc/rfc4648#section-4
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const NO_DIGIT: u8 = 0xff;

const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 64 {
        values[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// The bytes as base 64 with padding.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// The bytes that a text stands for; `None` when it is not what [`encode`] writes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take(2).take_while(|digit| **digit == b'=').count();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for (place, chunk) in text.chunks_exact(4).enumerate() {
        let last = (place + 1) * 4 == text.len();
        let missing = if last { padding } else { 0 };
        let mut group = 0;
        for digit in &chunk[..4 - missing] {
            let value = VALUES[usize::from(*digit)];
            if value == NO_DIGIT {
                return None;
            }
            group = group << 6 | u32::from(value);
        }
        let [_, a, b, c] = (group << (6 * missing)).to_be_bytes();
        // Bits that no byte has must be zero, or two texts would stand for the same bytes.
        //= https://www.rfc-editor.org/rfc/rfc4648#section-3.5
        if (missing > 0 && c != 0) || (missing > 1 && b != 0) {
            return None;
        }
        bytes.extend_from_slice(&[a, b, c][..3 - missing]);
    }
    Some(bytes)
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
