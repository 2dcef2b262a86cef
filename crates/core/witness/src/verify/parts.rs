//! Segments that are not there, or not read.
//!
//! Where some are not read, the others are held against all that vouches for them: the chain, and the roots that the log has signed.
//!
//! This finds out that something is wrong, at the cost of the indexes of the other segments. What it is, is for a verification of
//! all of the log to say: only that knows which keys the log has had, and what was retired.

use super::ending::Ending;
use super::problem::Place;
use super::{Options, Verification};
use crate::hash::Hash;
use crate::key::VerifyingKey;

impl Verification {
    /// Of a log some segments of which are not read.
    pub fn of_parts(key: VerifyingKey) -> Self {
        Self { unread: Some(Vec::new()), ..Self::new(key, Options::default()) }
    }

    /// Takes note of a segment of `count` records that is not there any more, with the hashes of its records from its index: fewer
    /// when the index is not whole.
    pub fn missing(&mut self, first: u64, count: u64, hashes: &[Hash]) {
        self.arrive(Some(first));
        self.place_strays();
        self.stand_at(first);
        self.gone.insert(first);
        self.next = first.saturating_add(hashes.len() as u64);
        if let Some(last) = self.next.checked_sub(1).filter(|last| *last >= first) {
            match self.absent.last_mut() {
                Some((_, end)) if end.checked_add(1) == Some(first) => *end = last,
                _ => self.absent.push((first, last)),
            }
        }
        hashes.iter().for_each(|hash| self.grow(hash));
        self.last = hashes.last().copied().or(self.last);
        // Which records it must have besides shows in the name of the next part.
        self.ending = Ending::Index { segment: first, is_cut: hashes.len() as u64 != count };
        self.last_place = Place { segment: first, line: count };
        self.entries_of = u64::MAX;
    }

    /// Takes note of records that are not read, with their hashes as an index has them.
    pub fn unread(&mut self, first: u64, hashes: &[Hash]) {
        self.arrive(Some(first));
        self.place_strays();
        self.stand_at(first);
        self.ending = Ending::Unknown;
        hashes.iter().for_each(|hash| self.grow(hash));
        let count = hashes.len() as u64;
        self.next = first.saturating_add(count);
        if let Some(last) = self.next.checked_sub(1).filter(|last| *last >= first) {
            self.unread.get_or_insert_default().push((first, last));
            self.last = hashes.last().copied();
        }
        self.last_place = Place { segment: first, line: count };
        self.entries_of = u64::MAX;
    }
}
