//! A table of fixed size for what strangers choose the keys of.
//!
//! ```text
//!  keyed hash ──► set ──► 8 tags, one word ──► slots whose tag is the key's ──► the key itself
//! ```
//!
//! A key can only be in one set of eight slots, so that a look-up touches a word of tags and, nearly always, one slot;
//! and what is least worth keeping is looked for among eight. The hash is keyed: nobody can aim for a set.

use siphasher::sip::SipHasher13;
use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// Slots of a set, as many as a word has bytes.
const WAYS: usize = 8;
/// A one in each byte.
const ONES: u64 = u64::from_ne_bytes([1; WAYS]);
/// The highest bit of each byte.
const HIGH_BITS: u64 = ONES << 7;

/// What is remembered about so many keys and no more. All its memory is taken when it is made.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    /// A byte of each key's hash, eight to a set; zero where the slot is empty.
    tags: Box<[u64]>,
    slots: Box<[Slot<K, V>]>,
    hash_key: (u64, u64),
    len: usize,
    evictions: u64,
}

/// On a cache line of its own when it is not longer than one.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Slot<K, V>(Option<(K, V)>);

impl<K: Hash + Eq + Clone, V> Table<K, V> {
    /// Room for `capacity` keys, rounded up to whole sets.
    pub(crate) fn new(capacity: usize, key: [u8; 16]) -> Self {
        let sets = capacity.div_ceil(WAYS).max(1);
        let (first, second) = key.split_at(8);
        let half = |bytes: &[u8]| bytes.iter().fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
        Self {
            tags: vec![0; sets].into(),
            slots: (0..sets * WAYS).map(|_| Slot(None)).collect(),
            hash_key: (half(first), half(second)),
            len: 0,
            evictions: 0,
        }
    }

    /// Keys that are remembered.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Keys that can be remembered.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Keys that were forgotten for others.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }

    /// All that is remembered. Looks at every slot: for people, not for messages.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.slots.iter().filter_map(|slot| slot.0.as_ref())
    }

    /// What is remembered in these slots, of those that there are.
    pub(crate) fn among(&self, slots: Range<usize>) -> impl Iterator<Item = &(K, V)> {
        let end = slots.end.min(self.slots.len());
        self.slots[slots.start.min(end)..end].iter().filter_map(|slot| slot.0.as_ref())
    }

    /// What is remembered of the key.
    pub(crate) fn find<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let slot = self.slot_of(key, self.place_of(key))?;
        self.slots[slot].0.as_ref().map(|(_, value)| value)
    }

    /// What is remembered of the key, to be changed.
    pub(crate) fn find_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let slot = self.slot_of(key, self.place_of(key))?;
        self.slots[slot].0.as_mut().map(|(_, value)| value)
    }

    /// What is remembered of the key, and `fresh` if that is nothing; a full set forgets what is worth least.
    #[inline]
    pub(crate) fn entry(&mut self, key: &K, fresh: impl FnOnce() -> V, worth: impl Fn(&V) -> u64) -> &mut V {
        let place = self.place_of(key);
        let slot = match self.slot_of(key, place) {
            Some(slot) => slot,
            None => self.clear_slot(place, worth),
        };
        &mut self.slots[slot].0.get_or_insert_with(|| (key.clone(), fresh())).1
    }

    /// The set that the key belongs to and its tag there.
    fn place_of<Q: Hash + ?Sized>(&self, key: &Q) -> (usize, u8) {
        let mut hasher = SipHasher13::new_with_keys(self.hash_key.0, self.hash_key.1);
        key.hash(&mut hasher);
        let hash = hasher.finish();
        // The upper half of the product is below the number of sets, whatever that is; the lowest bits, which decide
        // least of it, are the tag.
        let set = ((u128::from(hash) * self.tags.len() as u128) >> 64) as usize;
        (set, (hash as u8).max(1))
    }

    #[inline]
    fn slot_of<Q: Eq + ?Sized>(&self, key: &Q, (set, tag): (usize, u8)) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        let mut ways = bytes_that_are(self.tags[set], tag);
        while ways != 0 {
            let slot = set * WAYS + (ways.trailing_zeros() / 8) as usize;
            if self.slots[slot].0.as_ref().is_some_and(|(held, _)| held.borrow() == key) {
                return Some(slot);
            }
            ways &= ways - 1;
        }
        None
    }

    /// An empty slot of the set, marked with the tag.
    #[cold]
    fn clear_slot(&mut self, (set, tag): (usize, u8), worth: impl Fn(&V) -> u64) -> usize {
        let slots = set * WAYS..(set + 1) * WAYS;
        let worth_of = |slot: &usize| self.slots[*slot].0.as_ref().map(|(_, value)| worth(value));
        // An empty slot is worth less than any other, since `None` is less than any `Some`.
        let slot = slots.min_by_key(worth_of).unwrap_or(set * WAYS);
        match self.slots[slot].0.take() {
            Some(_) => self.evictions += 1,
            None => self.len += 1,
        }
        let way = slot % WAYS;
        self.tags[set] = self.tags[set] & !tag_in_way(u8::MAX, way) | tag_in_way(tag, way);
        slot
    }
}

fn tag_in_way(tag: u8, way: usize) -> u64 {
    u64::from(tag) << (8 * way)
}

/// The highest bit of each byte of the word that has the value. Above such a byte another may be marked that has not:
/// who asks compares the keys anyway.
fn bytes_that_are(word: u64, value: u8) -> u64 {
    let zero_where_equal = word ^ (u64::from(value) * ONES);
    zero_where_equal.wrapping_sub(ONES) & !zero_where_equal & HIGH_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found() {
        let mut table = Table::new(64, [7; 16]);
        for key in 0..20u32 {
            *table.entry(&key, || 0u64, |_| 0) = u64::from(key) + 100;
        }
        let kept: Vec<u32> = (0..20).filter(|key| table.find(key).is_some()).collect();
        assert_eq!(kept.len(), table.len());
        assert!(kept.iter().all(|key| table.find(key) == Some(&(u64::from(*key) + 100))));
        assert_eq!((table.find(&99), table.iter().count()), (None, kept.len()));
        assert_eq!(table.among(0..40).chain(table.among(40..1_000)).count(), kept.len());
        assert_eq!(table.among(64..128).count(), 0);
    }

    #[test]
    fn a_full_set_forgets_what_is_worth_least() {
        let mut table = Table::new(WAYS, [7; 16]);
        for key in 0..WAYS as u64 {
            table.entry(&key, || key + 10, |worth| *worth);
        }
        table.entry(&99, || 99, |worth| *worth);
        assert_eq!((table.find(&0), table.find(&99)), (None, Some(&99)));
        assert_eq!((table.len(), table.capacity(), table.evictions()), (WAYS, WAYS, 1));
    }

    #[test]
    fn bytes_of_a_value_are_found() {
        assert_eq!(bytes_that_are(0x1112_0314_1516_1718, 3), 0x80 << 40);
        assert_eq!(bytes_that_are(0, 3), 0);
    }
}
