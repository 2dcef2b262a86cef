//! The master key and its salt: from a session description, from DTLS, and wiped when dropped.

use super::suite::Suite;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::prelude::BASE64_STANDARD;
use base64::{DecodeSliceError, Engine as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// The longest key and salt: those of [`Suite::AeadAes256Gcm`].
const BYTES_MAX: usize = 44;

/// A master key and its master salt. `Debug` does not show them; they are wiped when dropped.
#[derive(Clone)]
pub struct MasterKey {
    /// In one place, so that no copy stays behind where the value was moved from.
    bytes: Zeroizing<Box<[u8]>>,
}

/// The two keys that a DTLS handshake yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DtlsKeys {
    /// What the client protects its packets with.
    pub client: MasterKey,
    /// What the server protects its packets with.
    pub server: MasterKey,
}

/// These bytes are no key of this suite. The fault of whoever has chosen them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not as many bytes as the suite has in its key and its salt.
    #[error("the master key and salt do not have the length that the suite demands")]
    Length,
    /// The text is not base 64.
    #[error("the master key and salt are not in base 64")]
    Base64,
    /// A master key identifier is empty or longer than 128 bytes.
    #[error("a master key identifier has 1 to 128 bytes")]
    MkiLength,
}

impl MasterKey {
    /// The master key of a suite followed by its master salt.
    pub fn from_bytes(suite: Suite, bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != suite.key_bytes() + suite.salt_bytes() {
            return Err(KeyError::Length);
        }
        Ok(Self::joined(bytes, &[]))
    }

    /// Reads the key of an `inline:` parameter, without lifetime and master key identifier. Only canonical base 64 is
    /// one: nothing around it, all of its padding, no bits left over.
    //= https://www.rfc-editor.org/rfc/rfc4568#section-6.1
    // A key whose length is not the one that its suite demands makes the attribute invalid.
    pub fn from_inline(suite: Suite, text: &str) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; BYTES_MAX.next_multiple_of(3)]);
        let len = BASE64_STANDARD.decode_slice(text, &mut *bytes).map_err(|error| match error {
            DecodeSliceError::OutputSliceTooSmall => KeyError::Length,
            DecodeSliceError::DecodeError(_) => KeyError::Base64,
        })?;
        Self::from_bytes(suite, &bytes[..len])
    }

    /// The text of an `inline:` parameter. It is as secret as the key, and nobody wipes it.
    pub fn to_inline(&self) -> String {
        BASE64_STANDARD.encode(&*self.bytes)
    }

    /// Splits what DTLS has exported under the label `EXTRACTOR-dtls_srtp`.
    //= https://www.rfc-editor.org/rfc/rfc5764#section-4.2
    // The client's key, the server's key, the client's salt, the server's salt.
    pub fn from_dtls_export(suite: Suite, material: &[u8]) -> Result<DtlsKeys, KeyError> {
        if material.len() != suite.dtls_export_bytes() {
            return Err(KeyError::Length);
        }
        let (keys, salts) = material.split_at(2 * suite.key_bytes());
        let (client_key, server_key) = keys.split_at(suite.key_bytes());
        let (client_salt, server_salt) = salts.split_at(suite.salt_bytes());
        Ok(DtlsKeys { client: Self::joined(client_key, client_salt), server: Self::joined(server_key, server_salt) })
    }

    /// The key and the salt, if their lengths are those of the suite.
    pub(super) fn split(&self, suite: Suite) -> Result<(&[u8], &[u8]), KeyError> {
        if self.bytes.len() != suite.key_bytes() + suite.salt_bytes() {
            return Err(KeyError::Length);
        }
        Ok(self.bytes.split_at(suite.key_bytes()))
    }

    fn joined(key: &[u8], salt: &[u8]) -> Self {
        let mut bytes = Zeroizing::new(vec![0; key.len() + salt.len()].into_boxed_slice());
        bytes[..key.len()].copy_from_slice(key);
        bytes[key.len()..].copy_from_slice(salt);
        Self { bytes }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// In a time that does not depend on where keys of one length differ.
impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.bytes, &other.bytes).is_ok()
    }
}

impl Eq for MasterKey {}

/// As base 64: whoever keeps the text keeps the key.
impl Serialize for MasterKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(self.to_inline()))
    }
}

impl<'de> Deserialize<'de> for MasterKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let key = Suite::ALL.into_iter().find_map(|suite| Self::from_inline(suite, &text).ok());
        key.ok_or_else(|| D::Error::custom("no master key and salt in base 64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(suite: Suite) -> Vec<u8> {
        (1..).take(suite.key_bytes() + suite.salt_bytes()).collect()
    }

    #[test]
    fn a_key_has_the_length_that_its_suite_demands() {
        for suite in Suite::ALL {
            let right = bytes(suite);
            assert!(MasterKey::from_bytes(suite, &right).is_ok());
            for wrong in [&right[1..], &[&right[..], &[0]].concat(), &[], &[7; 100]] {
                assert_eq!(MasterKey::from_bytes(suite, wrong), Err(KeyError::Length));
            }
        }
        let short = MasterKey::from_bytes(Suite::AeadAes128Gcm, &[9; 28]).expect("its length");
        assert_eq!(short.split(Suite::AesCm128HmacSha1_80), Err(KeyError::Length));
    }

    #[test]
    fn inline_keys_are_canonical_base_64() {
        for (suite, digits) in Suite::ALL.into_iter().zip([60, 40, 40, 40]) {
            let key = MasterKey::from_bytes(suite, &bytes(suite)).expect("its length");
            let text = key.to_inline();
            assert_eq!(text.len(), digits);
            assert_eq!(MasterKey::from_inline(suite, &text), Ok(key));
        }
        let suite = Suite::AesCm128HmacSha1_80;
        // The key of the example in RFC 4568, section 6.1.
        let text = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
        assert_eq!(MasterKey::from_inline(suite, text).map(|key| key.to_inline()).as_deref(), Ok(text));
        for wrong in ["", &text[..39], &text[..36], &format!("{text}AAAA"), &text.repeat(3)] {
            let expected = if wrong.len() % 4 == 0 { KeyError::Length } else { KeyError::Base64 };
            assert_eq!(MasterKey::from_inline(suite, wrong), Err(expected), "{wrong}");
        }
        for wrong in [format!(" {}", &text[1..]), format!("{}|", &text[..39]), format!("{}=", &text[..39])] {
            assert!(MasterKey::from_inline(suite, &wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn exported_material_is_both_keys_and_then_both_salts() {
        //= https://www.rfc-editor.org/rfc/rfc5764#section-4.2
        //= type=test
        let suite = Suite::AesCm128HmacSha1_80;
        let material = [[1; 16].as_slice(), &[2; 16], &[3; 14], &[4; 14]].concat();
        let keys = MasterKey::from_dtls_export(suite, &material).expect("its length");
        assert_eq!(keys.client.split(suite), Ok(([1; 16].as_slice(), [3; 14].as_slice())));
        assert_eq!(keys.server.split(suite), Ok(([2; 16].as_slice(), [4; 14].as_slice())));
        assert_eq!(MasterKey::from_dtls_export(suite, &material[1..]), Err(KeyError::Length));
    }

    #[test]
    fn debug_shows_nothing_of_the_secret() {
        let key = MasterKey::from_bytes(Suite::AeadAes128Gcm, &[0xab; 28]).expect("its length");
        assert_eq!(format!("{key:?}"), "MasterKey(..)");
    }
}
