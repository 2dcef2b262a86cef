//! MAPPED-ADDRESS and XOR-MAPPED-ADDRESS.

use crate::message::{MAGIC_COOKIE, TransactionId};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const IPV4: u8 = 1;
const IPV6: u8 = 2;

/// Reads an address in clear.
//= https://www.rfc-editor.org/rfc/rfc8489#section-14.1
pub(crate) fn read(value: &[u8]) -> Option<SocketAddr> {
    let (&[_, family, port_high, port_low], address) = value.split_first_chunk()?;
    let ip = match family {
        IPV4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
        IPV6 => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes([port_high, port_low])))
}

/// Reads a masked address.
pub(crate) fn read_xor(value: &[u8], transaction: TransactionId) -> Option<SocketAddr> {
    read(value).map(|address| mask(address, transaction))
}

/// Appends a masked address.
pub(crate) fn write_xor(address: SocketAddr, transaction: TransactionId, out: &mut Vec<u8>) {
    let masked = mask(address, transaction);
    let (family, port) = (if masked.is_ipv4() { IPV4 } else { IPV6 }, masked.port().to_be_bytes());
    out.extend_from_slice(&[0, family, port[0], port[1]]);
    match masked.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}

/// The length of an address attribute's value in bytes.
pub(crate) fn len(address: SocketAddr) -> u16 {
    if address.is_ipv4() { 8 } else { 20 }
}

/// Masks an address, or unmasks it.
//= https://www.rfc-editor.org/rfc/rfc8489#section-14.2
// The port with the upper half of the magic cookie, an IPv4 address with the cookie, an IPv6 address with the cookie
// and the transaction id.
fn mask(address: SocketAddr, transaction: TransactionId) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() ^ MAGIC_COOKIE)),
        IpAddr::V6(ip) => {
            let key = u128::from(MAGIC_COOKIE) << 96 | transaction.as_u96();
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() ^ key))
        }
    };
    SocketAddr::new(ip, address.port() ^ (MAGIC_COOKIE >> 16) as u16)
}
