//! The crypto suites: their names, their numbers and the lengths that follow from them.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// How packets are enciphered and authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suite {
    /// AES-128 in counter mode, HMAC-SHA1 with a tag of 80 bits.
    AesCm128HmacSha1_80,
    /// The same with a tag of 32 bits for RTP; RTCP keeps the one of 80.
    AesCm128HmacSha1_32,
    /// AES-128 in Galois/counter mode, with a tag of 128 bits.
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode, with a tag of 128 bits.
    AeadAes256Gcm,
}

/// The word with the SRTCP index and the E bit.
pub(super) const ESRTCP_WORD: usize = 4;

impl Suite {
    /// All of them, the strongest first.
    pub const ALL: [Self; 4] =
        [Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32];

    /// Their names in `a=crypto`, in the same order.
    pub const NAMES: [&'static str; 4] =
        ["AEAD_AES_256_GCM", "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"];

    /// The suite that an `a=crypto` attribute names.
    //= https://www.rfc-editor.org/rfc/rfc4568#section-4
    // The values of the attribute's fields are case-insensitive unless something else is said of them.
    pub fn from_sdp_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.sdp_name().eq_ignore_ascii_case(name))
    }

    /// Its name in `a=crypto`.
    //= https://www.rfc-editor.org/rfc/rfc4568#section-6.2
    //= https://www.rfc-editor.org/rfc/rfc7714#section-14.1
    pub fn sdp_name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The suite of a DTLS-SRTP protection profile.
    pub fn from_dtls_profile(profile: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.dtls_profile() == profile)
    }

    /// Its protection profile in DTLS's `use_srtp`.
    //= https://www.rfc-editor.org/rfc/rfc5764#section-4.1.2
    //= https://www.rfc-editor.org/rfc/rfc7714#section-14.2
    pub fn dtls_profile(self) -> u16 {
        match self {
            Self::AesCm128HmacSha1_80 => 0x0001,
            Self::AesCm128HmacSha1_32 => 0x0002,
            Self::AeadAes128Gcm => 0x0007,
            Self::AeadAes256Gcm => 0x0008,
        }
    }

    /// The bytes of a master key, which are those of a session encryption key.
    pub fn key_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// The bytes of a master salt, which are those of a session salt.
    pub fn salt_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// What DTLS must export: two keys and two salts.
    //= https://www.rfc-editor.org/rfc/rfc5764#section-4.2
    pub fn dtls_export_bytes(self) -> usize {
        2 * (self.key_bytes() + self.salt_bytes())
    }

    /// How much longer an RTP packet becomes, a master key identifier not counted.
    pub fn rtp_overhead(self) -> usize {
        self.rtp_tag_bytes()
    }

    /// How much longer an RTCP packet becomes, a master key identifier not counted.
    pub fn rtcp_overhead(self) -> usize {
        ESRTCP_WORD + self.rtcp_tag_bytes()
    }

    pub(super) fn rtp_tag_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 => 10,
            Self::AesCm128HmacSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// The tag of 80 bits stays, whatever RTP's is.
    //= https://www.rfc-editor.org/rfc/rfc4568#section-6.2.2
    pub(super) fn rtcp_tag_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 10,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }
}

impl Serialize for Suite {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.sdp_name())
    }
}

impl<'de> Deserialize<'de> for Suite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        Self::from_sdp_name(&name).ok_or_else(|| D::Error::custom("no crypto suite that is known here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_the_registries() {
        let expected = [
            (Suite::AesCm128HmacSha1_80, "AES_CM_128_HMAC_SHA1_80", 1),
            (Suite::AesCm128HmacSha1_32, "AES_CM_128_HMAC_SHA1_32", 2),
            (Suite::AeadAes128Gcm, "AEAD_AES_128_GCM", 7),
            (Suite::AeadAes256Gcm, "AEAD_AES_256_GCM", 8),
        ];
        for (suite, name, profile) in expected {
            assert_eq!((suite.sdp_name(), suite.dtls_profile()), (name, profile));
            assert_eq!(Suite::from_sdp_name(name), Some(suite));
            assert_eq!(Suite::from_sdp_name(&name.to_lowercase()), Some(suite));
            assert_eq!(Suite::from_dtls_profile(profile), Some(suite));
        }
        for unknown in ["", "AES_CM_128_HMAC_SHA1_8", "F8_128_HMAC_SHA1_80", " AEAD_AES_128_GCM"] {
            assert_eq!(Suite::from_sdp_name(unknown), None);
        }
        for unknown in [0, 3, 5, 6, 9, 0x0100] {
            assert_eq!(Suite::from_dtls_profile(unknown), None);
        }
    }

    #[test]
    fn the_short_tag_is_that_of_rtp_alone() {
        let overheads = Suite::ALL.map(|suite| (suite.rtp_overhead(), suite.rtcp_overhead()));
        assert_eq!(overheads, [(16, 20), (16, 20), (10, 14), (4, 14)]);
        assert_eq!(Suite::ALL.map(Suite::dtls_export_bytes), [88, 56, 60, 60]);
        assert_eq!(Suite::ALL.map(Suite::sdp_name), Suite::NAMES);
    }
}
