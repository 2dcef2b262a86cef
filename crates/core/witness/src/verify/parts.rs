//! Some segments of a log, held against all that vouches for them: the chain, and the roots that the log has signed.
//!
//! This finds out that something is wrong, at the cost of the indexes of the other segments. What it is, is for a verification of
//! all of the log to say: only that knows which keys the log has had, and what was retired.

use super::problem::Place;
use super::{Options, Verification};
use crate::hash::Hash;
use crate::key::VerifyingKey;

impl Verification {
    /// Of a log some segments of which are not read.
    pub fn of_parts(key: VerifyingKey) -> Self {
        Self { unread: Some(Vec::new()), ..Self::new(key, Options::default()) }
    }

    /// Takes note of records that are not read, with their hashes as an index has them.
    pub fn unread(&mut self, first: u64, hashes: &[Hash]) {
        self.stand_at(first);
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
