//! What counts as one source.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many leading bits of an address say who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// Of an IPv4 address; 1 to 32.
    pub ipv4_bits: u8,
    /// Of an IPv6 address; 1 to 128. A subscriber has a network of 64 bits and as many addresses in it as it likes.
    pub ipv6_bits: u8,
}

impl Default for Prefixes {
    /// Each IPv4 address, each IPv6 network of 64 bits.
    fn default() -> Self {
        Self { ipv4_bits: 32, ipv6_bits: 64 }
    }
}

/// An address, or the network that its owner can choose addresses from: what is limited, scored and banned as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    address: Masked,
    prefix_bits: u8,
}

/// An address without the bits that do not count; an IPv4 address in IPv6 clothes. In halves, which need no more room
/// than they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Masked {
    high: u64,
    low: u64,
}

impl Source {
    /// The source that the address belongs to. An IPv4 address that came in IPv6 clothes is an IPv4 address.
    pub fn of(address: IpAddr, prefixes: &Prefixes) -> Self {
        let (number, prefix_bits, longest) = match address.to_canonical() {
            IpAddr::V4(v4) => (u128::from(v4.to_ipv6_mapped()), prefixes.ipv4_bits, 32),
            IpAddr::V6(v6) => (u128::from(v6), prefixes.ipv6_bits, 128),
        };
        let prefix_bits = prefix_bits.clamp(1, longest);
        let kept = number & u128::MAX << (longest - prefix_bits);
        Self { address: Masked { high: (kept >> 64) as u64, low: kept as u64 }, prefix_bits }
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.address.ip()
    }

    /// How many leading bits its addresses share.
    pub fn prefix_bits(self) -> u8 {
        self.prefix_bits
    }

    pub(crate) fn masked(self) -> Masked {
        self.address
    }
}

impl Masked {
    fn ip(self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from(u128::from(self.high) << 64 | u128::from(self.low))).to_canonical()
    }

    /// The source again that it was taken from.
    pub(crate) fn source(self, prefixes: &Prefixes) -> Source {
        Source::of(self.ip(), prefixes)
    }
}

impl fmt::Display for Source {
    /// `192.0.2.1`, or `2001:db8::/64` when it is a network.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address();
        let longest = if address.is_ipv4() { Ipv4Addr::BITS } else { Ipv6Addr::BITS };
        write!(f, "{address}")?;
        if u32::from(self.prefix_bits) == longest { Ok(()) } else { write!(f, "/{}", self.prefix_bits) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_source_that_its_prefix_says() {
        let check = |prefixes: Prefixes, address: &str, expected: &str| {
            let source = Source::of(address.parse().expect(address), &prefixes);
            assert_eq!(source.to_string(), expected, "{address}");
            assert_eq!(source.masked().source(&prefixes), source, "{address}");
        };
        check(Prefixes::default(), "192.0.2.77", "192.0.2.77");
        check(Prefixes::default(), "::ffff:192.0.2.77", "192.0.2.77");
        check(Prefixes::default(), "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
        let wide = Prefixes { ipv4_bits: 24, ipv6_bits: 48 };
        check(wide, "192.0.2.77", "192.0.2.0/24");
        check(wide, "2001:db8:1:2:3:4:5:6", "2001:db8:1::/48");
        check(Prefixes { ipv4_bits: 0, ipv6_bits: 255 }, "2001:db8::1", "2001:db8::1");
        check(Prefixes { ipv4_bits: 0, ipv6_bits: 255 }, "192.0.2.77", "128.0.0.0/1");
    }

    #[test]
    fn addresses_of_a_subscribers_network_are_one_source() {
        let of = |address: &str| Source::of(address.parse().expect(address), &Prefixes::default());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
