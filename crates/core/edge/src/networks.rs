//! Which network an address is in.

use std::net::IpAddr;
use sx_types::Network;

/// Values under networks; an address finds that of the smallest network it is in. Built once, then only read.
///
/// A binary trie with compressed paths, one for each family: a look-up takes as many steps as networks contain one
/// another, or as it takes to tell them apart by halves, whichever is more: about fifteen among ten thousand.
#[derive(Debug)]
pub struct Networks<T> {
    ipv4: Trie<T>,
    ipv6: Trie<T>,
    len: usize,
}

#[derive(Debug)]
struct Trie<T> {
    /// The first is the root, which has every address.
    nodes: Vec<Node<T>>,
}

#[derive(Debug)]
struct Node<T> {
    prefix: Prefix,
    value: Option<T>,
    /// Where the next bit is 0, where it is 1; zero, the root's own number, where there is none.
    children: [u32; 2],
}

/// The leading bits of an address, the highest first, whatever its family; all others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix {
    bits: u128,
    len: u8,
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self { ipv4: Trie::default(), ipv6: Trie::default(), len: 0 }
    }
}

impl<T> Networks<T> {
    /// No network yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value under a network; gives back the one that was there.
    pub fn insert(&mut self, network: Network, value: T) -> Option<T> {
        let (bits, is_ipv4) = left_aligned(network.address());
        let trie = if is_ipv4 { &mut self.ipv4 } else { &mut self.ipv6 };
        let node = trie.node_of(Prefix { bits, len: network.prefix_bits() }.cut(network.prefix_bits()));
        let before = trie.nodes[node].value.replace(value);
        self.len += usize::from(before.is_none());
        before
    }

    /// The value of the smallest network that the address is in. An IPv4 address that came in IPv6 clothes is an IPv4
    /// address.
    pub fn find(&self, address: IpAddr) -> Option<&T> {
        let (bits, is_ipv4) = left_aligned(address.to_canonical());
        if is_ipv4 { self.ipv4.find(bits) } else { self.ipv6.find(bits) }
    }

    /// How many networks there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T> FromIterator<(Network, T)> for Networks<T> {
    fn from_iter<I: IntoIterator<Item = (Network, T)>>(networks: I) -> Self {
        let mut all = Self::default();
        for (network, value) in networks {
            all.insert(network, value);
        }
        all
    }
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { nodes: vec![Node::new(Prefix { bits: 0, len: 0 })] }
    }
}

impl<T> Trie<T> {
    fn find(&self, address: u128) -> Option<&T> {
        let mut best = None;
        let mut node = &self.nodes[0];
        while node.prefix.has(address) {
            best = node.value.as_ref().or(best);
            match node.children[next_bit(address, node.prefix.len)] {
                0 => break,
                child => node = &self.nodes[child as usize],
            }
        }
        best
    }

    /// The node of the prefix, made if there is none.
    fn node_of(&mut self, prefix: Prefix) -> usize {
        let mut at = 0;
        loop {
            if self.nodes[at].prefix == prefix {
                return at;
            }
            let side = next_bit(prefix.bits, self.nodes[at].prefix.len);
            let child = self.nodes[at].children[side] as usize;
            if child == 0 {
                return self.hang(at, side, Node::new(prefix));
            }
            let common = prefix.common(self.nodes[child].prefix);
            if common == self.nodes[child].prefix {
                at = child;
                continue;
            }
            // The child goes below a new node that has what is common to both.
            let mut fork = Node::new(common);
            fork.children[next_bit(self.nodes[child].prefix.bits, common.len)] = child as u32;
            at = self.hang(at, side, fork);
        }
    }

    fn hang(&mut self, parent: usize, side: usize, node: Node<T>) -> usize {
        let number = self.nodes.len();
        self.nodes[parent].children[side] = number as u32;
        self.nodes.push(node);
        number
    }
}

impl<T> Node<T> {
    fn new(prefix: Prefix) -> Self {
        Self { prefix, value: None, children: [0; 2] }
    }
}

impl Prefix {
    /// Does the address begin so?
    fn has(self, address: u128) -> bool {
        mask(self.len) & (address ^ self.bits) == 0
    }

    /// No more than the first `len` bits.
    fn cut(self, len: u8) -> Self {
        Self { bits: self.bits & mask(len), len: self.len.min(len) }
    }

    /// What both begin with.
    fn common(self, other: Self) -> Self {
        let same = (self.bits ^ other.bits).leading_zeros() as u8;
        self.cut(same.min(self.len).min(other.len))
    }
}

/// The first `len` bits.
fn mask(len: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0)
}

/// The bit behind the first `len`; 0 behind the last.
fn next_bit(bits: u128, len: u8) -> usize {
    usize::from(bits.checked_shl(len.into()).unwrap_or(0) >> 127 == 1)
}

fn left_aligned(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, true),
        IpAddr::V6(v6) => (v6.into(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn networks(texts: &[&'static str]) -> Networks<&'static str> {
        texts.iter().map(|text| (text.parse().expect(text), *text)).collect()
    }

    #[test]
    fn the_smallest_network_wins() {
        let check = |address: &str, expected: Option<&str>| {
            let found = networks(&["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32", "fe80::/10"]);
            assert_eq!(found.find(address.parse().expect(address)).copied(), expected, "{address}");
        };
        check("10.1.2.3", Some("10.1.2.3"));
        check("::ffff:10.1.2.3", Some("10.1.2.3"));
        check("10.1.2.4", Some("10.1.0.0/16"));
        check("10.2.2.4", Some("10.0.0.0/8"));
        check("192.0.2.1", Some("0.0.0.0/0"));
        check("2001:db8:ffff::1", Some("2001:db8::/32"));
        check("2001:db9::1", None);
        check("::", None);
    }

    #[test]
    fn a_network_has_one_value() {
        let mut all = networks(&["10.0.0.0/8", "::/0"]);
        assert_eq!(all.insert("10.0.0.0/8".parse().expect("a network"), "again"), Some("10.0.0.0/8"));
        assert_eq!((all.len(), all.find([10, 0, 0, 1].into())), (2, Some(&"again")));
        assert!(Networks::<u8>::new().is_empty());
    }

    proptest! {
        #[test]
        fn finds_what_a_linear_search_finds(
            // Few different bits, so that networks contain one another.
            seeds in prop::collection::vec((any::<bool>(), 0u8..=32, 0u32..64), 0..60),
            asked in prop::collection::vec((any::<bool>(), 0u32..64), 40),
        ) {
            let spread = |is_ipv4: bool, seed: u32| -> IpAddr {
                let word = seed.reverse_bits() | seed;
                if is_ipv4 { Ipv4Addr::from(word).into() } else { Ipv6Addr::from(u128::from(word) << 96 | u128::from(seed)).into() }
            };
            let mut all = Networks::new();
            let mut linear: Vec<(Network, usize)> = Vec::new();
            for (place, (is_ipv4, bits, seed)) in seeds.into_iter().enumerate() {
                let masked = match spread(is_ipv4, seed) {
                    IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4) & u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)).into(),
                    IpAddr::V6(v6) => IpAddr::from(Ipv6Addr::from(u128::from(v6) & mask(bits))),
                };
                let network: Network = format!("{masked}/{bits}").parse().expect("masked");
                all.insert(network, place);
                linear.retain(|(other, _)| *other != network);
                linear.push((network, place));
            }
            prop_assert_eq!(all.len(), linear.len());
            for (is_ipv4, seed) in asked {
                let address = spread(is_ipv4, seed);
                let expected = linear.iter().filter(|(network, _)| network.contains(address)).max_by_key(|(n, _)| n.prefix_bits());
                prop_assert_eq!(all.find(address), expected.map(|(_, place)| place));
            }
        }
    }
}
