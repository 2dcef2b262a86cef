//! From a packet to a datagram.

use crate::{
    CHUNK_HEADER_BYTES, CORRELATION_BYTES_MAX, DATAGRAM_BYTES_MAX, FAMILY_V4, FAMILY_V6, HEADER_BYTES, MAGIC,
    PASSWORD_BYTES_MAX, PROTOCOL_SIP, Packet, VENDOR_GENERIC, chunk,
};
use std::net::{IpAddr, Ipv6Addr};

/// Appends the packet to `datagram`, as at most [`DATAGRAM_BYTES_MAX`] bytes.
///
/// IPv4 addresses that are written as IPv6 (`::ffff:192.0.2.1`) are told as IPv4. Where only one of the two is IPv4,
/// both are told as IPv6, since a packet has one family.
pub fn encode(packet: &Packet<'_>, datagram: &mut Vec<u8>) {
    let start = datagram.len();
    datagram.extend_from_slice(MAGIC);
    // The length of everything, which is known at the end.
    datagram.extend_from_slice(&[0, 0]);
    write_addresses(packet, datagram);
    let seconds = u32::try_from(packet.time_nanos / 1_000_000_000).unwrap_or(u32::MAX);
    let microseconds = (packet.time_nanos % 1_000_000_000 / 1_000) as u32;
    write_chunk(datagram, chunk::SECONDS, &seconds.to_be_bytes());
    write_chunk(datagram, chunk::MICROSECONDS, &microseconds.to_be_bytes());
    write_chunk(datagram, chunk::PROTOCOL_TYPE, &[PROTOCOL_SIP]);
    write_chunk(datagram, chunk::CAPTURE_ID, &packet.capture_id.to_be_bytes());
    if let Some(password) = packet.password {
        write_chunk(datagram, chunk::PASSWORD, cut(password, PASSWORD_BYTES_MAX).as_bytes());
    }
    if !packet.correlation.is_empty() {
        write_chunk(datagram, chunk::CORRELATION, cut(packet.correlation, CORRELATION_BYTES_MAX).as_bytes());
    }
    // All before the message is below 2,000 bytes, so that there is always room for the most of it.
    let room = DATAGRAM_BYTES_MAX - (datagram.len() - start) - CHUNK_HEADER_BYTES;
    write_chunk(datagram, chunk::PAYLOAD, &packet.payload[..packet.payload.len().min(room)]);
    let length = (datagram.len() - start) as u16;
    datagram[start + MAGIC.len()..start + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
}

fn write_addresses(packet: &Packet<'_>, datagram: &mut Vec<u8>) {
    match (packet.source.ip().to_canonical(), packet.destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            write_chunk(datagram, chunk::FAMILY, &[FAMILY_V4]);
            write_chunk(datagram, chunk::TRANSPORT, &[packet.transport]);
            write_chunk(datagram, chunk::SOURCE_V4, &source.octets());
            write_chunk(datagram, chunk::DESTINATION_V4, &destination.octets());
        }
        (source, destination) => {
            write_chunk(datagram, chunk::FAMILY, &[FAMILY_V6]);
            write_chunk(datagram, chunk::TRANSPORT, &[packet.transport]);
            write_chunk(datagram, chunk::SOURCE_V6, &as_v6(source).octets());
            write_chunk(datagram, chunk::DESTINATION_V6, &as_v6(destination).octets());
        }
    }
    write_chunk(datagram, chunk::SOURCE_PORT, &packet.source.port().to_be_bytes());
    write_chunk(datagram, chunk::DESTINATION_PORT, &packet.destination.port().to_be_bytes());
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// Every value given here is shorter than a datagram, so that its length fits two bytes.
fn write_chunk(datagram: &mut Vec<u8>, kind: u16, value: &[u8]) {
    datagram.extend_from_slice(&VENDOR_GENERIC.to_be_bytes());
    datagram.extend_from_slice(&kind.to_be_bytes());
    datagram.extend_from_slice(&((CHUNK_HEADER_BYTES + value.len()) as u16).to_be_bytes());
    datagram.extend_from_slice(value);
}

/// The beginning of the text, at most so many bytes and whole characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
