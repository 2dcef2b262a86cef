//! From a datagram to a packet.

use crate::{
    CHUNK_HEADER_BYTES, FAMILY_V4, FAMILY_V6, HEADER_BYTES, MAGIC, PROTOCOL_SIP, Packet, VENDOR_GENERIC, chunk,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Why a datagram is no packet. All of it is the fault of whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It does not begin with `HEP3`.
    #[error("not HEP version 3")]
    NotHep3,
    /// It says that it is longer than it is, or a chunk does.
    #[error("a length points past the end")]
    TooShort,
    /// A chunk says that it is shorter than its own header, or everything does.
    #[error("a length does not count its own header")]
    BadLength,
    /// A chunk of this type has a value of a length that the type cannot have.
    #[error("the value of chunk {0} has another length than its type")]
    BadValue(u16),
    /// The password or the correlation is no UTF-8.
    #[error("the value of chunk {0} is not text")]
    NotText(u16),
    /// The family of addresses is neither IPv4 nor IPv6.
    #[error("unknown address family {0}")]
    UnknownFamily(u8),
    /// What was copied is not SIP.
    #[error("protocol type {0} is not SIP")]
    NotSip(u8),
    /// The copy is compressed, which is not read here.
    #[error("the payload is compressed")]
    Compressed,
    /// A chunk of this type must be there and is not.
    #[error("chunk {0} is missing")]
    Missing(u16),
}

/// Reads one datagram. Chunks that are not known, and what comes behind the stated length, are passed over; of two
/// chunks of one type the last counts.
///
/// # Errors
/// [`DecodeError`] when it is no HEP, or a copy of something else than SIP, or lacks what a copy needs: family,
/// transport, addresses, ports, time, protocol type and payload.
pub fn decode(datagram: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let rest = datagram.strip_prefix(MAGIC).ok_or(DecodeError::NotHep3)?;
    let length = usize::from(u16::from_be_bytes(*rest.first_chunk().ok_or(DecodeError::TooShort)?));
    if length < HEADER_BYTES {
        return Err(DecodeError::BadLength);
    }
    let mut chunks = datagram.get(HEADER_BYTES..length).ok_or(DecodeError::TooShort)?;
    let mut found = Found::default();
    while !chunks.is_empty() {
        let [v1, v2, k1, k2, l1, l2] = *chunks.first_chunk().ok_or(DecodeError::TooShort)?;
        let length = usize::from(u16::from_be_bytes([l1, l2]));
        if length < CHUNK_HEADER_BYTES {
            return Err(DecodeError::BadLength);
        }
        let value = chunks.get(CHUNK_HEADER_BYTES..length).ok_or(DecodeError::TooShort)?;
        chunks = &chunks[length..];
        if u16::from_be_bytes([v1, v2]) == VENDOR_GENERIC {
            found.take(u16::from_be_bytes([k1, k2]), value)?;
        }
    }
    found.finish()
}

/// What the chunks up to now have said.
#[derive(Default)]
struct Found<'a> {
    family: Option<u8>,
    transport: Option<u8>,
    source_v4: Option<Ipv4Addr>,
    destination_v4: Option<Ipv4Addr>,
    source_v6: Option<Ipv6Addr>,
    destination_v6: Option<Ipv6Addr>,
    source_port: Option<u16>,
    destination_port: Option<u16>,
    seconds: Option<u32>,
    microseconds: Option<u32>,
    protocol_type: Option<u8>,
    capture_id: u32,
    password: Option<&'a str>,
    correlation: &'a str,
    payload: Option<&'a [u8]>,
    compressed: bool,
}

impl<'a> Found<'a> {
    fn take(&mut self, kind: u16, value: &'a [u8]) -> Result<(), DecodeError> {
        match kind {
            chunk::FAMILY => self.family = Some(u8::from_be_bytes(exact(kind, value)?)),
            chunk::TRANSPORT => self.transport = Some(u8::from_be_bytes(exact(kind, value)?)),
            chunk::SOURCE_V4 => self.source_v4 = Some(exact::<4>(kind, value)?.into()),
            chunk::DESTINATION_V4 => self.destination_v4 = Some(exact::<4>(kind, value)?.into()),
            chunk::SOURCE_V6 => self.source_v6 = Some(exact::<16>(kind, value)?.into()),
            chunk::DESTINATION_V6 => self.destination_v6 = Some(exact::<16>(kind, value)?.into()),
            chunk::SOURCE_PORT => self.source_port = Some(u16::from_be_bytes(exact(kind, value)?)),
            chunk::DESTINATION_PORT => self.destination_port = Some(u16::from_be_bytes(exact(kind, value)?)),
            chunk::SECONDS => self.seconds = Some(u32::from_be_bytes(exact(kind, value)?)),
            chunk::MICROSECONDS => self.microseconds = Some(u32::from_be_bytes(exact(kind, value)?)),
            chunk::PROTOCOL_TYPE => self.protocol_type = Some(u8::from_be_bytes(exact(kind, value)?)),
            chunk::CAPTURE_ID => self.capture_id = u32::from_be_bytes(exact(kind, value)?),
            chunk::PASSWORD => self.password = Some(text(kind, value)?),
            chunk::CORRELATION => self.correlation = text(kind, value)?,
            chunk::PAYLOAD => self.payload = Some(value),
            chunk::COMPRESSED_PAYLOAD => self.compressed = true,
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Packet<'a>, DecodeError> {
        let there = |value: Option<IpAddr>, kind| value.ok_or(DecodeError::Missing(kind));
        let (source, destination) = match self.family.ok_or(DecodeError::Missing(chunk::FAMILY))? {
            FAMILY_V4 => (
                there(self.source_v4.map(IpAddr::V4), chunk::SOURCE_V4)?,
                there(self.destination_v4.map(IpAddr::V4), chunk::DESTINATION_V4)?,
            ),
            FAMILY_V6 => (
                there(self.source_v6.map(IpAddr::V6), chunk::SOURCE_V6)?,
                there(self.destination_v6.map(IpAddr::V6), chunk::DESTINATION_V6)?,
            ),
            other => return Err(DecodeError::UnknownFamily(other)),
        };
        let source_port = self.source_port.ok_or(DecodeError::Missing(chunk::SOURCE_PORT))?;
        let destination_port = self.destination_port.ok_or(DecodeError::Missing(chunk::DESTINATION_PORT))?;
        let seconds = self.seconds.ok_or(DecodeError::Missing(chunk::SECONDS))?;
        let microseconds = self.microseconds.ok_or(DecodeError::Missing(chunk::MICROSECONDS))?;
        match self.protocol_type.ok_or(DecodeError::Missing(chunk::PROTOCOL_TYPE))? {
            PROTOCOL_SIP => {}
            other => return Err(DecodeError::NotSip(other)),
        }
        let payload = match self.payload {
            Some(payload) => payload,
            None if self.compressed => return Err(DecodeError::Compressed),
            None => return Err(DecodeError::Missing(chunk::PAYLOAD)),
        };
        Ok(Packet {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
            transport: self.transport.ok_or(DecodeError::Missing(chunk::TRANSPORT))?,
            // The largest of both numbers together stay far below the range.
            time_nanos: u64::from(seconds) * 1_000_000_000 + u64::from(microseconds) * 1_000,
            capture_id: self.capture_id,
            password: self.password,
            correlation: self.correlation,
            payload,
        })
    }
}

fn exact<const N: usize>(kind: u16, value: &[u8]) -> Result<[u8; N], DecodeError> {
    value.try_into().map_err(|_| DecodeError::BadValue(kind))
}

fn text(kind: u16, value: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(value).map_err(|_| DecodeError::NotText(kind))
}
