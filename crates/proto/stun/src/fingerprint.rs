//! The CRC-32 of FINGERPRINT.

/// Keeps the fingerprint apart from the CRC-32 of an application protocol on the same port.
const XOR: u32 = 0x5354_554e;
/// ITU-T V.42, bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;

const TABLE: [u32; 256] = table();

/// The value of FINGERPRINT over a message up to, and without, that attribute.
//= https://www.rfc-editor.org/rfc/rfc8489#section-14.7
pub(crate) fn fingerprint(message: &[u8]) -> u32 {
    !crc(u32::MAX, message) ^ XOR
}

fn crc(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |crc, byte| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)])
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc_32_holds() {
        assert_eq!(fingerprint(b"123456789") ^ XOR, 0xcbf4_3926);
    }
}
