//! Addresses that belong together because they begin alike.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The addresses that begin with the same bits: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// The text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANetwork;

impl Network {
    /// What is allowed, in words.
    pub const SHAPE: &str = "an IP address, or address/bits with no bit set after the prefix";

    /// Is the address one of them? An IPv4 address that came in IPv6 clothes counts as IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        self.holds(address.to_canonical())
    }

    fn holds(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                shared(u32::from(ours).into(), u32::from(theirs).into(), 32 - self.prefix_bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => shared(ours.into(), theirs.into(), 128 - self.prefix_bits),
            _ => false,
        }
    }

    /// Is each address of the other network in this one?
    pub fn covers(self, other: Self) -> bool {
        let same_family = self.address.is_ipv4() == other.address.is_ipv4();
        same_family && self.prefix_bits <= other.prefix_bits && self.holds(other.address)
    }

    /// The first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many leading bits all of them share.
    pub fn prefix_bits(self) -> u8 {
        self.prefix_bits
    }
}

/// Are two addresses the same when the lowest `free` bits do not count?
fn shared(ours: u128, theirs: u128, free: u8) -> bool {
    (ours ^ theirs).checked_shr(free.into()).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let (longest, number) = match address {
            IpAddr::V4(v4) => (32, u128::from(u32::from(v4))),
            IpAddr::V6(v6) => (128, u128::from(v6)),
        };
        let prefix_bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= longest).ok_or(NotANetwork)?,
            None => longest,
        };
        let free = u32::from(longest - prefix_bits);
        let stray = number.checked_shl(128 - free).unwrap_or(0);
        if free > 0 && stray != 0 { Err(NotANetwork) } else { Ok(Self { address, prefix_bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

impl fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no IP address, nor address/bits with no bit set after the prefix")
    }
}

impl std::error::Error for NotANetwork {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_share_its_prefix() {
        let check = |network: &str, address: &str, inside: bool| {
            let parsed: Network = network.parse().expect(network);
            assert_eq!(parsed.contains(address.parse().expect(address)), inside, "{address} in {network}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.1.1.1", true);
        check("127.0.0.10", "127.0.0.10", true);
        check("127.0.0.10", "127.0.0.11", false);
        check("0.0.0.0/0", "203.0.113.1", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("::/0", "2001:db8::1", true);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        let covers =
            |outer: &str, inner: &str| outer.parse::<Network>().expect(outer).covers(inner.parse().expect(inner));
        assert!(covers("10.0.0.0/8", "10.1.0.0/16") && covers("::/0", "2001:db8::/32") && covers("::1", "::1"));
        assert!(covers("::/0", "::ffff:10.0.0.0/104") && !covers("0.0.0.0/0", "::ffff:10.0.0.0/104"));
        assert!(
            !covers("10.1.0.0/16", "10.0.0.0/8") && !covers("0.0.0.0/0", "::/0") && !covers("10.0.0.0/8", "11.0.0.0/8")
        );
        for text in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0/8", "::/129", "::1/0", "host", "10.0.0.0/"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
