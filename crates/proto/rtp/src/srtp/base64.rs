//! Base 64, strictly and for keys: into a buffer of the caller's, one text for each sequence of bytes and no other.

//= https://www.rfc-editor.org/rfc/rfc4648#section-4
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the bytes as base 64 with padding.
pub(super) fn encode(bytes: &[u8], out: &mut String) {
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[(group >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
}

/// Writes the bytes that a text stands for to the beginning of `out` and says how many they are; `None` when the text
/// is not what [`encode`] writes or stands for more bytes than fit.
pub(super) fn decode(text: &str, out: &mut [u8]) -> Option<usize> {
    let (chunks, []) = text.as_bytes().as_chunks::<4>() else { return None };
    let mut written = 0;
    for (place, chunk) in chunks.iter().enumerate() {
        let last = place + 1 == chunks.len();
        let padding = match chunk {
            [_, _, b'=', b'='] if last => 2,
            [_, _, _, b'='] if last => 1,
            _ => 0,
        };
        let digits = &chunk[..4 - padding];
        let group = digits.iter().try_fold(0, |group, digit| Some(group << 6 | value(*digit)?))? << (6 * padding);
        let [_, bytes @ ..] = u32::to_be_bytes(group);
        let (bytes, rest) = bytes.split_at(3 - padding);
        // Bits that no byte has must be zero, or two texts would stand for the same bytes.
        //= https://www.rfc-editor.org/rfc/rfc4648#section-3.5
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        out.get_mut(written..written + bytes.len())?.copy_from_slice(bytes);
        written += bytes.len();
    }
    Some(written)
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
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
            let (mut encoded, mut decoded) = (String::new(), [0; 5]);
            encode(bytes.as_bytes(), &mut encoded);
            assert_eq!(encoded, text);
            let len = decode(text, &mut decoded);
            assert_eq!(len, Some(bytes.len()));
            assert_eq!(decoded[..bytes.len()], *bytes.as_bytes());
        }
    }

    #[test]
    fn every_digit_stands_for_its_place_in_the_alphabet() {
        for (place, digit) in ALPHABET.iter().enumerate() {
            assert_eq!(value(*digit), Some(place as u32));
        }
    }

    #[test]
    fn what_is_not_written_is_not_read() {
        for wrong in
            ["Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 8", "Zm8\n", "é8==", "Zm-_", "Zm9vZm9v"]
        {
            assert_eq!(decode(wrong, &mut [0; 5]), None, "{wrong}");
        }
    }
}
