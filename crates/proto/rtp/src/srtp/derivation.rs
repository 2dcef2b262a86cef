//! Session keys from a master key: AES in counter mode as a pseudo-random function.

use super::suite::Suite;
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

/// What a session key is for, as it enters the derivation.
//= https://www.rfc-editor.org/rfc/rfc3711#section-4.3
#[derive(Clone, Copy)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// Derives the session keys of one master key.
pub(super) struct Derivation {
    cipher: EncryptingKey,
    /// The master salt in the upper 112 bits.
    salt: u128,
}

impl Derivation {
    /// The lengths are those of a suite.
    pub(super) fn new(master_key: &[u8], master_salt: &[u8]) -> Self {
        Self { cipher: counter_mode(master_key), salt: salt_block(master_salt) }
    }

    /// Fills `key` with the key of this label. The key derivation rate is zero, so that each is derived once.
    //= https://www.rfc-editor.org/rfc/rfc3711#section-4.3.1
    // x = label * 2^48 XOR master_salt, as the derivation rate of zero makes index DIV rate zero.
    //= https://www.rfc-editor.org/rfc/rfc3711#section-4.3.3
    // The function's output is the key stream that begins at the counter x * 2^16.
    pub(super) fn derive(&self, label: Label, key: &mut [u8]) {
        key.fill(0);
        apply(&self.cipher, self.salt ^ (label as u128) << 64, key);
    }
}

/// A key of 16 or 32 bytes for the counter mode.
pub(super) fn counter_mode(key: &[u8]) -> EncryptingKey {
    let algorithm = if key.len() == Suite::AeadAes256Gcm.key_bytes() { &AES_256 } else { &AES_128 };
    // Refused are other lengths only.
    UnboundCipherKey::new(algorithm, key).and_then(EncryptingKey::ctr).expect("16 or 32 bytes are an AES key")
}

/// A salt at the upper end of a counter block. Those of AES-GCM have 96 bits and are filled up to 112 at the right.
//= https://www.rfc-editor.org/rfc/rfc7714#section-11
pub(super) fn salt_block(salt: &[u8]) -> u128 {
    let mut block = [0; 16];
    block[..salt.len()].copy_from_slice(salt);
    u128::from_be_bytes(block)
}

/// Adds the key stream that begins at a counter.
pub(super) fn apply(cipher: &EncryptingKey, counter: u128, bytes: &mut [u8]) {
    let context = EncryptionContext::Iv128(FixedLength::from(counter.to_be_bytes()));
    // The counter mode takes any number of bytes, and its context is a block.
    cipher.less_safe_encrypt(bytes, context).expect("AES in counter mode takes any bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::hex;

    fn check(label: Label, expected: &str) {
        let derivation =
            Derivation::new(&hex("E1F97A0D3E018BE0D64FA32C06DE4139"), &hex("0EC675AD498AFEEBB6960B3AABE6"));
        let expected = hex(expected);
        let mut key = vec![0xff; expected.len()];
        derivation.derive(label, &mut key);
        assert_eq!(key, expected);
    }

    #[test]
    fn session_keys_are_those_of_the_rfc() {
        //= https://www.rfc-editor.org/rfc/rfc3711#appendix-B.3
        //= type=test
        check(Label::RtpEncryption, "C61E7A93744F39EE10734AFE3FF7A087");
        check(Label::RtpSalt, "30CBBC08863D8C85D49DB34A9AE1");
        check(
            Label::RtpAuthentication,
            "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE\
             E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25\
             6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2",
        );
    }

    #[test]
    fn session_keys_of_rtcp_are_those_that_others_derive() {
        // Not in the RFC; several implementations agree on them.
        check(Label::RtcpEncryption, "4C1AA45A81F73D61C800BBB00FBB1EAA");
        check(Label::RtcpAuthentication, "8D54534FEB49AE8E7993A6BD0B844FC323A93DFD");
        check(Label::RtcpSalt, "9581C7AD87B3E530BF3E4454A8B3");
    }

    #[test]
    fn the_key_stream_is_that_of_the_rfc() {
        //= https://www.rfc-editor.org/rfc/rfc3711#appendix-B.2
        //= type=test
        let cipher = counter_mode(&hex("2B7E151628AED2A6ABF7158809CF4F3C"));
        let mut stream = vec![0; 0xff02 * 16];
        apply(&cipher, salt_block(&hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")), &mut stream);
        let blocks = [
            (0x0000, "E03EAD0935C95E80E166B16DD92B4EB4"),
            (0x0001, "D23513162B02D0F72A43A2FE4A5F97AB"),
            (0x0002, "41E95B3BB0A2E8DD477901E4FCA894C0"),
            (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
            (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
            (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
        ];
        for (block, expected) in blocks {
            assert_eq!(stream[block * 16..][..16], hex(expected), "block {block:#x}");
        }
    }
}
