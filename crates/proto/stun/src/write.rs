//! Writing a message, attribute by attribute.

use crate::message::{Class, FINGERPRINT_LEN, HEADER, MAGIC_COOKIE, Method, TransactionId, join_type};
use crate::{address, attribute, fingerprint};
use std::net::SocketAddr;

/// Longer software names are cut.
//= https://www.rfc-editor.org/rfc/rfc8489#section-14.14
// Fewer than 128 characters, which take at most 509 bytes as RFC 8489 counts them.
const SOFTWARE_MAX: usize = 509;
/// More types than this are not listed in a refusal, so that a request cannot make its answer grow at will.
pub(crate) const UNKNOWN_MAX: usize = 16;

/// Appends one message to a buffer. Each call adds an attribute; the length in the header is kept right throughout.
#[derive(Debug)]
pub struct MessageWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Where in the buffer the message begins.
    start: usize,
    transaction: TransactionId,
}

impl<'a> MessageWriter<'a> {
    /// Begins a message without attributes at the end of `out`.
    pub fn new(class: Class, method: Method, transaction: TransactionId, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&join_type(class, method).to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
        out.extend_from_slice(&transaction.0);
        Self { out, start, transaction }
    }

    /// Adds XOR-MAPPED-ADDRESS.
    #[must_use]
    pub fn xor_mapped_address(mut self, mapped: SocketAddr) -> Self {
        self.header(attribute::XOR_MAPPED_ADDRESS, address::len(mapped));
        address::write_xor(mapped, self.transaction, self.out);
        self.end_attribute()
    }

    /// Adds SOFTWARE, cut to at most 509 bytes.
    #[must_use]
    pub fn software(self, software: &str) -> Self {
        let cut = &software[..software.floor_char_boundary(SOFTWARE_MAX)];
        self.bytes(attribute::SOFTWARE, cut.as_bytes())
    }

    /// Adds ERROR-CODE with a code from 300 to 699 and its reason phrase.
    #[must_use]
    pub fn error_code(mut self, code: u16, reason: &str) -> Self {
        let cut = &reason[..reason.floor_char_boundary(SOFTWARE_MAX)];
        self.header(attribute::ERROR_CODE, 4 + cut.len() as u16);
        self.out.extend_from_slice(&[0, 0, (code / 100) as u8 & 7, (code % 100) as u8]);
        self.out.extend_from_slice(cut.as_bytes());
        self.end_attribute()
    }

    /// Adds UNKNOWN-ATTRIBUTES with at most sixteen types.
    #[must_use]
    pub fn unknown_attributes(self, kinds: impl IntoIterator<Item = u16>) -> Self {
        let mut list = [0; UNKNOWN_MAX * 2];
        let mut len = 0;
        for (slot, kind) in list.as_chunks_mut().0.iter_mut().zip(kinds) {
            *slot = kind.to_be_bytes();
            len += 2;
        }
        self.bytes(attribute::UNKNOWN_ATTRIBUTES, &list[..len])
    }

    /// Adds FINGERPRINT, which is the last attribute.
    //= https://www.rfc-editor.org/rfc/rfc8489#section-14.7
    // The length in the header counts FINGERPRINT already when the CRC is made.
    pub fn fingerprint(mut self) {
        let covered = self.out.len();
        self.header(attribute::FINGERPRINT, 4);
        self.out.extend_from_slice(&[0; 4]);
        let written = self.end_attribute();
        let crc = fingerprint::fingerprint(&written.out[written.start..covered]);
        written.out[covered + FINGERPRINT_LEN - 4..].copy_from_slice(&crc.to_be_bytes());
    }

    fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        self.header(kind, value.len() as u16);
        self.out.extend_from_slice(value);
        self.end_attribute()
    }

    fn header(&mut self, kind: u16, len: u16) {
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out.extend_from_slice(&len.to_be_bytes());
    }

    /// Pads the attribute to a whole word and counts it in the header.
    fn end_attribute(self) -> Self {
        let end = self.start + (self.out.len() - self.start).next_multiple_of(4);
        self.out.resize(end, 0);
        // A few attributes of bounded length, far below the 64 KiB the field can state.
        let len = (end - self.start - HEADER) as u16;
        self.out[self.start + 2..self.start + 4].copy_from_slice(&len.to_be_bytes());
        self
    }
}
