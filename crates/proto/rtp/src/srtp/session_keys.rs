//! The session keys of a master key, and the transforms that use them.

use super::SrtpError;
use super::aes_cm::{AUTHENTICATION_KEY, AesCm};
use super::aes_gcm::AesGcm;
use super::derivation::{Derivation, Label};
use super::master_key::{KeyError, MasterKey};
use super::packet::{Place, RTCP_CLEAR};
use super::suite::{ESRTCP_WORD, Suite};
use zeroize::Zeroizing;

/// The session keys of RTP and of RTCP.
pub(super) struct SessionKeys {
    suite: Suite,
    transforms: Transforms,
}

#[expect(clippy::large_enum_variant, reason = "there is one of them for each direction of a call's media")]
enum Transforms {
    AesCm { rtp: AesCm, rtcp: AesCm },
    AesGcm { rtp: AesGcm, rtcp: AesGcm },
}

/// In an SRTCP packet's last word: the packet is encrypted.
pub(super) const ENCRYPTED: u32 = 1 << 31;

impl SessionKeys {
    pub(super) fn derive(suite: Suite, master: &MasterKey) -> Result<Self, KeyError> {
        let (key, salt) = master.split(suite)?;
        let derivation = Derivation::new(key, salt);
        let transforms = match suite {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => Transforms::AesCm {
                rtp: aes_cm(&derivation, RTP_LABELS, suite.rtp_tag_bytes()),
                rtcp: aes_cm(&derivation, RTCP_LABELS, suite.rtcp_tag_bytes()),
            },
            Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => Transforms::AesGcm {
                rtp: aes_gcm(&derivation, RTP_LABELS, suite.key_bytes()),
                rtcp: aes_gcm(&derivation, RTCP_LABELS, suite.key_bytes()),
            },
        };
        Ok(Self { suite, transforms })
    }

    /// Does a packet that is refused lose its bytes, so that nobody can try another key or index on it?
    pub(super) fn refusal_destroys(&self) -> bool {
        matches!(self.transforms, Transforms::AesGcm { .. })
    }

    /// Protects the packet that is the first `len` bytes of the buffer and says how long it is then. The caller has
    /// seen to it that there is room behind it.
    pub(super) fn seal_rtp(&self, buffer: &mut [u8], len: usize, clear: usize, place: Place, mki: &[u8]) -> usize {
        match &self.transforms {
            Transforms::AesCm { rtp, .. } => rtp.seal_rtp(buffer, len, clear, place, mki),
            Transforms::AesGcm { rtp, .. } => rtp.seal_rtp(buffer, len, clear, place, mki),
        }
    }

    /// Opens a packet and says how long it is then.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        clear: usize,
        place: Place,
        mki: usize,
    ) -> Result<usize, SrtpError> {
        if packet.len() < clear + self.suite.rtp_overhead() + mki {
            return Err(SrtpError::TooShort);
        }
        match &self.transforms {
            Transforms::AesCm { rtp, .. } => rtp.open_rtp(packet, clear, place, mki),
            Transforms::AesGcm { rtp, .. } => rtp.open_rtp(packet, clear, place, mki),
        }
    }

    /// As [`seal_rtp`](Self::seal_rtp).
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], len: usize, place: Place, mki: &[u8]) -> usize {
        // The caller counts 31 bits.
        let word = ENCRYPTED | place.index as u32;
        match &self.transforms {
            Transforms::AesCm { rtcp, .. } => rtcp.seal_rtcp(buffer, len, word, place, mki),
            Transforms::AesGcm { rtcp, .. } => rtcp.seal_rtcp(buffer, len, word, place, mki),
        }
    }

    /// The last word of an SRTCP packet: the E bit and the index.
    pub(super) fn esrtcp_word(&self, packet: &[u8], mki: usize) -> Result<u32, SrtpError> {
        if packet.len() < RTCP_CLEAR + self.suite.rtcp_overhead() + mki {
            return Err(SrtpError::TooShort);
        }
        let behind = match &self.transforms {
            Transforms::AesCm { .. } => self.suite.rtcp_tag_bytes() + mki,
            Transforms::AesGcm { .. } => mki,
        };
        let word = packet[..packet.len() - behind].last_chunk::<ESRTCP_WORD>().ok_or(SrtpError::TooShort)?;
        Ok(u32::from_be_bytes(*word))
    }

    /// Opens a packet whose last word [`esrtcp_word`](Self::esrtcp_word) has found, and says how long it is then.
    pub(super) fn open_rtcp(&self, packet: &mut [u8], word: u32, place: Place, mki: usize) -> Result<usize, SrtpError> {
        match (&self.transforms, word & ENCRYPTED != 0) {
            (Transforms::AesCm { rtcp, .. }, encrypted) => rtcp.open_rtcp(packet, encrypted, place, mki),
            (Transforms::AesGcm { rtcp, .. }, true) => rtcp.open_rtcp(packet, word, place, mki),
            (Transforms::AesGcm { rtcp, .. }, false) => rtcp.open_clear_rtcp(packet, word, place, mki),
        }
    }

    /// Session keys as they are, for the vectors that begin with them.
    #[cfg(test)]
    pub(super) fn of_gcm(suite: Suite, key: &[u8], salt: [u8; 12]) -> Self {
        let transforms = Transforms::AesGcm { rtp: AesGcm::new(key, salt), rtcp: AesGcm::new(key, salt) };
        Self { suite, transforms }
    }
}

#[derive(Clone, Copy)]
struct Labels {
    encryption: Label,
    authentication: Label,
    salt: Label,
}

const RTP_LABELS: Labels =
    Labels { encryption: Label::RtpEncryption, authentication: Label::RtpAuthentication, salt: Label::RtpSalt };
const RTCP_LABELS: Labels =
    Labels { encryption: Label::RtcpEncryption, authentication: Label::RtcpAuthentication, salt: Label::RtcpSalt };

fn aes_cm(derivation: &Derivation, labels: Labels, tag_bytes: usize) -> AesCm {
    let (mut key, mut salt) = (Zeroizing::new([0; 16]), Zeroizing::new([0; 14]));
    let mut authentication = Zeroizing::new([0; AUTHENTICATION_KEY]);
    derivation.derive(labels.encryption, &mut *key);
    derivation.derive(labels.salt, &mut *salt);
    derivation.derive(labels.authentication, &mut *authentication);
    AesCm::new(&*key, &*salt, &authentication, tag_bytes)
}

fn aes_gcm(derivation: &Derivation, labels: Labels, key_bytes: usize) -> AesGcm {
    let (mut key, mut salt) = (Zeroizing::new([0; 32]), [0; 12]);
    derivation.derive(labels.encryption, &mut key[..key_bytes]);
    derivation.derive(labels.salt, &mut salt);
    AesGcm::new(&key[..key_bytes], salt)
}
