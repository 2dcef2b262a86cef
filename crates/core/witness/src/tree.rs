//! The Merkle tree of RFC 9162 and its proofs. Its entry number n is the hash of record n.

use crate::hash::Hash;

/// What makes a leaf's hash different from a node's.
//= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.1
const LEAF: u8 = 0;
const NODE: u8 = 1;

/// The hash of the leaf for the record with this hash.
//= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.1
pub fn leaf_hash(record: &Hash) -> Hash {
    let mut bytes = [LEAF; 33];
    bytes[1..].copy_from_slice(&record.0);
    Hash::of(&bytes)
}

/// The hash of the node above two others.
//= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.1
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [NODE; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    Hash::of(&bytes)
}

/// The right edge of a tree: the roots of the full trees it is made of, largest first, which is all that a growing tree
/// must remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// A tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a leaf by its [`leaf_hash`]. Who has the hash of a record wants [`push_record`](Self::push_record).
    pub fn push(&mut self, leaf: Hash) {
        let mut root = leaf;
        // Each one bit at the end of the size is a full tree that this leaf makes twice as large.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                root = node_hash(&left, &root);
            }
        }
        self.peaks.push(root);
        self.size += 1;
    }

    /// Adds the leaf of the record with this hash.
    pub fn push_record(&mut self, record: &Hash) {
        self.push(leaf_hash(record));
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash of the whole tree.
    //= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.1
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(smallest) = peaks.next() else { return Hash::of(b"") };
        peaks.fold(*smallest, |right, left| node_hash(left, &right))
    }
}

/// The hash of the leaves `from..to`.
fn root_of(from: u64, to: u64, leaf: &impl Fn(u64) -> Hash) -> Hash {
    let mut frontier = Frontier::new();
    (from..to).for_each(|number| frontier.push(leaf(number)));
    frontier.root()
}

/// How many leaves the left part of a tree of this size has: the largest power of two below it. A tree of fewer than two
/// leaves has no parts; of it this is 1.
pub fn range_split(size: u64) -> u64 {
    1 << (63 - size.saturating_sub(1).max(1).leading_zeros())
}

/// The proof that leaf `index` is in the tree of the first `size` leaves: the hashes beside its way to the root, lowest
/// first. `leaf` gives [`leaf_hash`]es by number. Empty, and so no proof of anything, when there is no such leaf.
//= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.1
pub fn inclusion_proof(size: u64, index: u64, leaf: impl Fn(u64) -> Hash) -> Vec<Hash> {
    let mut path = Vec::new();
    if index >= size {
        return path;
    }
    let (mut from, mut to) = (0, size);
    while to - from > 1 {
        let middle = from + range_split(to - from);
        if index < middle {
            path.push(root_of(middle, to, &leaf));
            to = middle;
        } else {
            path.push(root_of(from, middle, &leaf));
            from = middle;
        }
    }
    path.reverse();
    path
}

/// The proof that the tree of the first `old` leaves is the beginning of the tree of the first `new` ones. Empty when the sizes
/// are equal, when `old` is 0, and when `old` is larger, of which there is no proof.
//= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.4.1
pub fn consistency_proof(old: u64, new: u64, leaf: impl Fn(u64) -> Hash) -> Vec<Hash> {
    consistency_ranges(old, new).into_iter().map(|(from, to)| root_of(from, to, &leaf)).collect()
}

/// The leaves `from..to` whose roots are the hashes of [`consistency_proof`], in its order: for whoever need not hash every
/// leaf again to know them.
//= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.4.1
pub fn consistency_ranges(old: u64, new: u64) -> Vec<(u64, u64)> {
    let mut path = Vec::new();
    if old == 0 || old >= new {
        return path;
    }
    let (mut from, mut to) = (0, new);
    // The old tree is known to the reader as long as nothing to its left was split off.
    let mut known = true;
    while to != old {
        let middle = from + range_split(to - from);
        if old <= middle {
            path.push((middle, to));
            to = middle;
        } else {
            path.push((from, middle));
            from = middle;
            known = false;
        }
    }
    if !known {
        path.push((from, to));
    }
    path.reverse();
    path
}

/// Does the proof lead from a [`leaf_hash`] to the root?
//= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2
pub fn verify_inclusion(size: u64, index: u64, leaf: Hash, proof: &[Hash], root: Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for beside in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(beside, &hash);
            // A node at the right edge without a neighbour moves up as it is.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Does the proof show that the tree of `new` leaves begins with the tree of `old` leaves?
//= https://www.rfc-editor.org/rfc/rfc9162#section-2.1.4.2
pub fn verify_consistency(old: u64, new: u64, old_root: Hash, new_root: Hash, proof: &[Hash]) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    // Every tree begins with the empty one.
    if old == 0 {
        return proof.is_empty() && old_root == Hash::of(b"");
    }
    // An old tree that is full is the first node of the way, and left out of the proof.
    let (first, rest) = match proof.split_first() {
        _ if old.is_power_of_two() => (old_root, proof),
        Some((first, rest)) => (*first, rest),
        None => return false,
    };
    let (mut at, mut last) = (old - 1, new - 1);
    let shift = at.trailing_ones();
    at >>= shift;
    last >>= shift;
    let (mut old_hash, mut new_hash) = (first, first);
    for beside in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(beside, &old_hash);
            new_hash = node_hash(beside, &new_hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == old_root && new_hash == new_root
}

#[cfg(test)]
mod tests;
