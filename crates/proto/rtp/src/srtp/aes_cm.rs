//! AES in counter mode and HMAC-SHA1: the transforms that RFC 3711 itself defines.

use super::SrtpError;
use super::derivation::{apply, counter_mode, salt_block};
use super::packet::{Place, RTCP_CLEAR};
use super::suite::ESRTCP_WORD;
use aws_lc_rs::cipher::EncryptingKey;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

/// The bytes of a session authentication key.
//= https://www.rfc-editor.org/rfc/rfc3711#section-5.2
pub(super) const AUTHENTICATION_KEY: usize = 20;
/// The bytes of a block of SHA-1.
const BLOCK: usize = 64;

/// The session keys of RTP or of RTCP.
pub(super) struct AesCm {
    cipher: EncryptingKey,
    salt: u128,
    /// A tenth of what aws-lc keeps for the same: a packet thread has one for each way of each call, and finds it in no cache.
    authentication: Hmac<Sha1>,
    tag_bytes: usize,
}

impl AesCm {
    pub(super) fn new(key: &[u8], salt: &[u8], authentication: &[u8; AUTHENTICATION_KEY], tag_bytes: usize) -> Self {
        Self { cipher: counter_mode(key), salt: salt_block(salt), authentication: keyed(authentication), tag_bytes }
    }

    /// Protects the packet that is the first `len` bytes of the buffer; behind it is room for identifier and tag.
    //= https://www.rfc-editor.org/rfc/rfc3711#section-4.2
    // What is authenticated is the packet and the rollover counter; the identifier is not.
    pub(super) fn seal_rtp(&self, buffer: &mut [u8], len: usize, clear: usize, place: Place, mki: &[u8]) -> usize {
        let (packet, trailer) = buffer.split_at_mut(len);
        self.crypt(&mut packet[clear..], place);
        self.write_trailer(trailer, mki, self.mac(packet, &rollover_counter(place)));
        len + mki.len() + self.tag_bytes
    }

    /// Opens a packet, behind which are `mki` bytes of an identifier and a tag. On an error it is as it was.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        clear: usize,
        place: Place,
        mki: usize,
    ) -> Result<usize, SrtpError> {
        let len = packet.len() - mki - self.tag_bytes;
        let (packet, trailer) = packet.split_at_mut(len);
        self.verify(packet, &rollover_counter(place), &trailer[mki..])?;
        self.crypt(&mut packet[clear..], place);
        Ok(len)
    }

    //= https://www.rfc-editor.org/rfc/rfc3711#section-3.4
    // The word with the index is authenticated and stands before the identifier and the tag.
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], len: usize, word: u32, place: Place, mki: &[u8]) -> usize {
        self.crypt(&mut buffer[RTCP_CLEAR..len], place);
        let authenticated = len + ESRTCP_WORD;
        buffer[len..authenticated].copy_from_slice(&word.to_be_bytes());
        let (packet, trailer) = buffer.split_at_mut(authenticated);
        self.write_trailer(trailer, mki, self.mac(packet, &[]));
        authenticated + mki.len() + self.tag_bytes
    }

    /// Opens a packet, behind which are the word, `mki` bytes of an identifier and a tag. On an error it is as it was.
    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        encrypted: bool,
        place: Place,
        mki: usize,
    ) -> Result<usize, SrtpError> {
        let authenticated = packet.len() - mki - self.tag_bytes;
        let (packet, trailer) = packet.split_at_mut(authenticated);
        self.verify(packet, &[], &trailer[mki..])?;
        let len = authenticated - ESRTCP_WORD;
        if encrypted {
            self.crypt(&mut packet[RTCP_CLEAR..len], place);
        }
        Ok(len)
    }

    //= https://www.rfc-editor.org/rfc/rfc3711#section-4.1.1
    // IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16)
    fn crypt(&self, bytes: &mut [u8], place: Place) {
        let counter = self.salt ^ u128::from(place.ssrc.0) << 64 ^ u128::from(place.index) << 16;
        apply(&self.cipher, counter, bytes);
    }

    fn mac(&self, packet: &[u8], rollover_counter: &[u8]) -> Hmac<Sha1> {
        self.authentication.clone().chain_update(packet).chain_update(rollover_counter)
    }

    fn verify(&self, packet: &[u8], rollover_counter: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
        debug_assert_eq!(tag.len(), self.tag_bytes, "less is guessed sooner");
        self.mac(packet, rollover_counter).verify_truncated_left(tag).map_err(|_| SrtpError::NotAuthentic)
    }

    fn write_trailer(&self, trailer: &mut [u8], mki: &[u8], mac: Hmac<Sha1>) {
        let tag = mac.finalize().into_bytes();
        trailer[..mki.len()].copy_from_slice(mki);
        trailer[mki.len()..][..self.tag_bytes].copy_from_slice(&tag[..self.tag_bytes]);
    }
}

//= https://www.rfc-editor.org/rfc/rfc2104#section-2
// A key is filled up with zeros to the block of the hash function.
fn keyed(authentication: &[u8; AUTHENTICATION_KEY]) -> Hmac<Sha1> {
    let mut block = Zeroizing::new([0; BLOCK]);
    block[..AUTHENTICATION_KEY].copy_from_slice(authentication);
    Hmac::new((&*block).into())
}

fn rollover_counter(place: Place) -> [u8; 4] {
    ((place.index >> 16) as u32).to_be_bytes()
}
