//! AES in Galois/counter mode: the transforms of RFC 7714.

use super::SrtpError;
use super::packet::{Place, RTCP_CLEAR};
use super::suite::ESRTCP_WORD;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

/// The only length of a tag.
//= https://www.rfc-editor.org/rfc/rfc7714#section-13.2
pub(super) const TAG: usize = 16;

const NONCE: usize = 12;

/// The session keys of RTP or of RTCP.
pub(super) struct AesGcm {
    key: LessSafeKey,
    salt: [u8; NONCE],
}

impl AesGcm {
    pub(super) fn new(key: &[u8], salt: [u8; NONCE]) -> Self {
        let algorithm = if key.len() == AES_256_GCM.key_len() { &AES_256_GCM } else { &AES_128_GCM };
        // Refused are other lengths only.
        let key = UnboundKey::new(algorithm, key).expect("16 or 32 bytes are an AES key");
        Self { key: LessSafeKey::new(key), salt }
    }

    /// Protects the packet that is the first `len` bytes of the buffer; behind it is room for tag and identifier.
    //= https://www.rfc-editor.org/rfc/rfc7714#section-8.2
    // The header is associated data; the identifier follows the tag and is not authenticated.
    pub(super) fn seal_rtp(&self, buffer: &mut [u8], len: usize, clear: usize, place: Place, mki: &[u8]) -> usize {
        let (packet, trailer) = buffer.split_at_mut(len);
        let (header, payload) = packet.split_at_mut(clear);
        let tag = self.seal(place, header, payload);
        trailer[..TAG].copy_from_slice(tag.as_ref());
        trailer[TAG..][..mki.len()].copy_from_slice(mki);
        len + TAG + mki.len()
    }

    /// Opens a packet, behind which are a tag and `mki` bytes of an identifier. On an error its payload is lost.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        clear: usize,
        place: Place,
        mki: usize,
    ) -> Result<usize, SrtpError> {
        let end = packet.len() - mki;
        let (header, payload) = packet[..end].split_at_mut(clear);
        self.open(place, header, payload)?;
        Ok(end - TAG)
    }

    //= https://www.rfc-editor.org/rfc/rfc7714#section-9.2
    // The first eight bytes and the word with the index are associated data; the word stands behind the tag.
    pub(super) fn seal_rtcp(&self, buffer: &mut [u8], len: usize, word: u32, place: Place, mki: &[u8]) -> usize {
        let word = word.to_be_bytes();
        let (packet, trailer) = buffer.split_at_mut(len);
        let (header, body) = packet.split_at_mut(RTCP_CLEAR);
        let tag = self.seal(place, &associated(header, word), body);
        trailer[..TAG].copy_from_slice(tag.as_ref());
        trailer[TAG..][..ESRTCP_WORD].copy_from_slice(&word);
        trailer[TAG + ESRTCP_WORD..][..mki.len()].copy_from_slice(mki);
        len + TAG + ESRTCP_WORD + mki.len()
    }

    /// Opens a packet, behind which are a tag, the word and `mki` bytes of an identifier. On an error its body is
    /// lost.
    pub(super) fn open_rtcp(&self, packet: &mut [u8], word: u32, place: Place, mki: usize) -> Result<usize, SrtpError> {
        let end = packet.len() - mki - ESRTCP_WORD;
        let word = word.to_be_bytes();
        let (header, body) = packet[..end].split_at_mut(RTCP_CLEAR);
        self.open(place, &associated(header, word), body)?;
        Ok(end - TAG)
    }

    /// The same for a packet whose E bit says that it is not encrypted. On an error it is as it was.
    //= https://www.rfc-editor.org/rfc/rfc7714#section-9.3
    // The whole packet and the word are associated data, and nothing is enciphered.
    pub(super) fn open_clear_rtcp(
        &self,
        packet: &mut [u8],
        word: u32,
        place: Place,
        mki: usize,
    ) -> Result<usize, SrtpError> {
        let len = packet.len() - mki - ESRTCP_WORD - TAG;
        let (data, trailer) = packet.split_at_mut(len + ESRTCP_WORD);
        // The word is brought to where the packet ends, and what stood there is put back afterwards.
        let mut tag = [0; TAG];
        tag[..ESRTCP_WORD].copy_from_slice(&data[len..]);
        tag[ESRTCP_WORD..].copy_from_slice(&trailer[..TAG - ESRTCP_WORD]);
        data[len..].copy_from_slice(&word.to_be_bytes());
        let opened = self.open(place, data, &mut tag.clone());
        data[len..].copy_from_slice(&tag[..ESRTCP_WORD]);
        opened.map(|()| len)
    }

    fn seal(&self, place: Place, associated: &[u8], bytes: &mut [u8]) -> Tag {
        let sealed = self.key.seal_in_place_separate_tag(self.nonce(place), Aad::from(associated), bytes);
        // Refused are 2^36 bytes and more.
        sealed.expect("AES-GCM takes the bytes of a packet")
    }

    fn open(&self, place: Place, associated: &[u8], bytes: &mut [u8]) -> Result<(), SrtpError> {
        let opened = self.key.open_in_place(self.nonce(place), Aad::from(associated), bytes);
        opened.map(drop).map_err(|_| SrtpError::NotAuthentic)
    }

    //= https://www.rfc-editor.org/rfc/rfc7714#section-8.1
    // Two bytes of zero, the SSRC, the rollover counter and the sequence number, to which the salt is added.
    //= https://www.rfc-editor.org/rfc/rfc7714#section-9.1
    // For RTCP the SSRC is followed by two bytes of zero, a bit of zero and the index.
    fn nonce(&self, place: Place) -> Nonce {
        let mut nonce = self.salt;
        let ssrc = place.ssrc.0.to_be_bytes();
        let [_, _, index @ ..] = place.index.to_be_bytes();
        for (byte, counted) in nonce[2..].iter_mut().zip(ssrc.into_iter().chain(index)) {
            *byte ^= counted;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

fn associated(header: &[u8], word: [u8; ESRTCP_WORD]) -> [u8; RTCP_CLEAR + ESRTCP_WORD] {
    let mut data = [0; RTCP_CLEAR + ESRTCP_WORD];
    data[..RTCP_CLEAR].copy_from_slice(header);
    data[RTCP_CLEAR..].copy_from_slice(&word);
    data
}
