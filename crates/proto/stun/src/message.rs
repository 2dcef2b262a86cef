//! A STUN message, validated and borrowed.

use crate::{address, attribute, fingerprint};
use std::net::SocketAddr;
use thiserror::Error;

/// The length of the header in bytes.
pub(crate) const HEADER: usize = 20;
/// What tells STUN since RFC 5389 from everything else.
pub(crate) const MAGIC_COOKIE: u32 = 0x2112_a442;
/// FINGERPRINT with its header.
pub(crate) const FINGERPRINT_LEN: usize = 8;

/// The number by which a response finds its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// A message whose header, length and attribute lengths have been validated; borrows the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    class: Class,
    method: Method,
    transaction: TransactionId,
    datagram: &'a [u8],
    attributes: &'a [u8],
}

/// What a message is to its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// Answers.
    Success,
    /// Refuses.
    Error,
}

/// What a message is about: up to 0xff. Larger ones would begin with a byte that is not STUN's on a shared port.
//= https://www.rfc-editor.org/rfc/rfc8489#section-18.2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(pub u16);

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its registered type; below 0x8000 it must be understood.
    pub kind: u16,
    /// Its value without padding.
    pub value: &'a [u8],
}

/// The attributes of a message in their order, without those that a receiver must not look at.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    /// MESSAGE-INTEGRITY in one of its forms has been passed.
    sealed: bool,
}

/// What the CRC of a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// There is none.
    Absent,
    /// It is right.
    Valid,
    /// It is wrong, or not the last attribute: the datagram is damaged or not STUN.
    Invalid,
}

/// Why a datagram is not a STUN message. All of it is the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// No header, no magic cookie, or the first two bits are not zero.
    #[error("not STUN")]
    NotStun,
    /// The length in the header is not that of the datagram, or not whole words.
    #[error("length does not match the datagram")]
    Length,
    /// An attribute exceeds the message.
    #[error("attribute exceeds the message")]
    Attribute,
}

/// Is this datagram STUN, rather than RTP, RTCP or SIP on the same port? Looks at the header only.
//= https://www.rfc-editor.org/rfc/rfc7983#section-7
// A first byte of 0 to 3 is STUN; the magic cookie makes sure.
#[inline]
pub fn is_stun(datagram: &[u8]) -> bool {
    matches!(datagram.first_chunk::<HEADER>(), Some([0..=3, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..]))
}

impl Method {
    /// The method that asks for the reflexive address.
    pub const BINDING: Self = Self(1);
}

impl TransactionId {
    /// The 96 bits in the lower part of the number.
    pub(crate) fn as_u96(self) -> u128 {
        self.0.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }
}

impl<'a> Message<'a> {
    /// Validates a datagram that is one message: header, length and the length of each attribute.
    //= https://www.rfc-editor.org/rfc/rfc8489#section-6.3
    // The first two bits are zero, the cookie is right, the length is sensible.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        if !is_stun(datagram) {
            return Err(ParseError::NotStun);
        }
        let (header, attributes) = datagram.split_first_chunk::<HEADER>().ok_or(ParseError::NotStun)?;
        let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if len != attributes.len() || !len.is_multiple_of(4) {
            return Err(ParseError::Length);
        }
        let mut rest = attributes;
        while !rest.is_empty() {
            (_, rest) = split_attribute(rest).ok_or(ParseError::Attribute)?;
        }
        let (class, method) = split_type(u16::from_be_bytes([header[0], header[1]]));
        let mut transaction = TransactionId([0; 12]);
        transaction.0.copy_from_slice(&header[8..]);
        Ok(Self { class, method, transaction, datagram, attributes })
    }

    /// What the message is to its method.
    pub fn class(&self) -> Class {
        self.class
    }

    /// What the message is about.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The number by which a response finds its request.
    pub fn transaction(&self) -> TransactionId {
        self.transaction
    }

    /// The attributes in their order, as far as a receiver may look at them.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes { rest: self.attributes, sealed: false }
    }

    /// The value of the first attribute of a type.
    //= https://www.rfc-editor.org/rfc/rfc8489#section-14
    // Of attributes that appear more than once only the first is looked at.
    pub fn attribute(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }

    /// The reflexive address: XOR-MAPPED-ADDRESS, or else the MAPPED-ADDRESS of an old server.
    pub fn mapped_address(&self) -> Option<SocketAddr> {
        match self.attribute(attribute::XOR_MAPPED_ADDRESS) {
            Some(value) => address::read_xor(value, self.transaction),
            None => self.attribute(attribute::MAPPED_ADDRESS).and_then(address::read),
        }
    }

    /// What the sender says it runs, when that is UTF-8.
    pub fn software(&self) -> Option<&'a str> {
        self.attribute(attribute::SOFTWARE).and_then(|value| str::from_utf8(value).ok())
    }

    /// The code (300 to 699) and the reason phrase of an error response.
    //= https://www.rfc-editor.org/rfc/rfc8489#section-14.8
    pub fn error_code(&self) -> Option<(u16, &'a str)> {
        let (&[_, _, class, number], reason) = self.attribute(attribute::ERROR_CODE)?.split_first_chunk()?;
        let class = u16::from(class & 7);
        let is_valid = (3..=6).contains(&class) && number < 100;
        is_valid.then(|| (class * 100 + u16::from(number), str::from_utf8(reason).unwrap_or_default()))
    }

    /// Does the message bear a MESSAGE-INTEGRITY, of either kind? It is not checked.
    pub fn has_message_integrity(&self) -> bool {
        self.attributes().any(|attribute| is_integrity(attribute.kind))
    }

    /// What the CRC of the message says.
    //= https://www.rfc-editor.org/rfc/rfc8489#section-14.7
    pub fn fingerprint(&self) -> Fingerprint {
        let Some(value) = self.attribute(attribute::FINGERPRINT) else { return Fingerprint::Absent };
        let covered = self.datagram.len() - FINGERPRINT_LEN;
        let is_last = self.datagram[covered..].starts_with(&attribute::FINGERPRINT.to_be_bytes());
        let expected = fingerprint::fingerprint(&self.datagram[..covered]).to_be_bytes();
        if is_last && value == expected { Fingerprint::Valid } else { Fingerprint::Invalid }
    }

    /// The types that this crate does not know and that must be understood, in their order.
    pub fn unknown_required(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.attributes().map(|attribute| attribute.kind).filter(|kind| *kind < 0x8000 && !is_known(*kind))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    //= https://www.rfc-editor.org/rfc/rfc8489#section-14.5
    // After MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT are looked at: nothing vouches for others.
    fn next(&mut self) -> Option<Attribute<'a>> {
        loop {
            let (attribute, rest) = split_attribute(self.rest)?;
            self.rest = rest;
            let trailer = [attribute::MESSAGE_INTEGRITY_SHA256, attribute::FINGERPRINT].contains(&attribute.kind);
            if !self.sealed || trailer {
                self.sealed |= is_integrity(attribute.kind);
                return Some(attribute);
            }
        }
    }
}

/// The first attribute and what follows its padding.
//= https://www.rfc-editor.org/rfc/rfc8489#section-14
fn split_attribute(bytes: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let (&[kind_high, kind_low, len_high, len_low], rest) = bytes.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    let (padded, rest) = rest.split_at_checked(len.next_multiple_of(4))?;
    Some((Attribute { kind: u16::from_be_bytes([kind_high, kind_low]), value: &padded[..len] }, rest))
}

/// The two bits of the class stand among the twelve of the method.
//= https://www.rfc-editor.org/rfc/rfc8489#section-5
fn split_type(bits: u16) -> (Class, Method) {
    let class = match bits & 0x0110 {
        0x0000 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    };
    (class, Method(bits & 0x000f | (bits & 0x00e0) >> 1 | (bits & 0x3e00) >> 2))
}

/// The message type of a class and a method of at most twelve bits.
pub(crate) fn join_type(class: Class, method: Method) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    class | method.0 & 0x000f | (method.0 & 0x0070) << 1 | (method.0 & 0x0f80) << 2
}

fn is_integrity(kind: u16) -> bool {
    matches!(kind, attribute::MESSAGE_INTEGRITY | attribute::MESSAGE_INTEGRITY_SHA256)
}

fn is_known(kind: u16) -> bool {
    matches!(
        kind,
        attribute::MAPPED_ADDRESS
            | attribute::USERNAME
            | attribute::MESSAGE_INTEGRITY
            | attribute::ERROR_CODE
            | attribute::UNKNOWN_ATTRIBUTES
            | attribute::REALM
            | attribute::NONCE
            | attribute::MESSAGE_INTEGRITY_SHA256
            | attribute::PASSWORD_ALGORITHM
            | attribute::USERHASH
            | attribute::XOR_MAPPED_ADDRESS
    )
}
