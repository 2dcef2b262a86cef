//! All rules that can match a number, found in one walk over its characters.

use std::collections::BTreeMap;
use std::ops::Range;

/// A trie over bytes, laid out flat: each node's edges and rules are a range of one shared array. With 100,000
/// prefixes a look-up touches as many nodes as the number has digits.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
    edges: Vec<(u8, u32)>,
    /// Ranks of rules, ascending within a node.
    rules: Vec<u32>,
}

#[derive(Debug)]
struct Node {
    edges: Range<u32>,
    rules: Range<u32>,
}

#[derive(Default)]
struct Growing {
    children: BTreeMap<u8, usize>,
    rules: Vec<u32>,
}

impl Trie {
    /// Keys in the order of their ranks: the first has rank 0.
    pub(crate) fn build<'a>(keys: impl Iterator<Item = &'a str>) -> Self {
        let mut growing = vec![Growing::default()];
        for (rank, key) in keys.enumerate() {
            let mut at = 0;
            for byte in key.bytes() {
                let next = growing.len();
                let child = *growing[at].children.entry(byte).or_insert(next);
                if child == next {
                    growing.push(Growing::default());
                }
                at = child;
            }
            growing[at].rules.push(rank as u32);
        }
        let mut trie = Self { nodes: Vec::with_capacity(growing.len()), edges: Vec::new(), rules: Vec::new() };
        for node in growing {
            let (edges, rules) = (trie.edges.len() as u32, trie.rules.len() as u32);
            trie.edges.extend(node.children.into_iter().map(|(byte, child)| (byte, child as u32)));
            trie.rules.extend(node.rules);
            trie.nodes.push(Node { edges: edges..trie.edges.len() as u32, rules: rules..trie.rules.len() as u32 });
        }
        trie
    }

    /// The lowest rank, among the rules whose key begins `text`, that `accepts` takes.
    pub(crate) fn best(&self, text: &str, mut accepts: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut best = None;
        let mut node = &self.nodes[0];
        let mut bytes = text.bytes();
        loop {
            let ranks = &self.rules[node.rules.start as usize..node.rules.end as usize];
            let found = ranks.iter().copied().take_while(|rank| best.is_none_or(|b| *rank < b)).find(|r| accepts(*r));
            best = found.or(best);
            let edges = &self.edges[node.edges.start as usize..node.edges.end as usize];
            let next = bytes.next().and_then(|byte| edges.iter().find(|(edge, _)| *edge == byte));
            match next {
                Some((_, child)) => node = &self.nodes[*child as usize],
                None => return best,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_linear_search_finds(keys in prop::collection::vec("[0-3]{0,5}", 0..40), text in "[0-3]{0,7}") {
            let trie = Trie::build(keys.iter().map(String::as_str));
            let expected = keys.iter().position(|key| text.starts_with(key.as_str())).map(|rank| rank as u32);
            prop_assert_eq!(trie.best(&text, |_| true), expected);
        }
    }
}
