//! Users by the hash of their address of record, users by the connection they came in by.

use super::binding::Binding;
use smallvec::SmallVec;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use sx_types::LinkId;

/// The bindings of one user. The slots lie in one growing vector and are named by their position; the table of hashes
/// beside it, which doubles and is touched all over, holds 16 bytes a user.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    heads: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    /// Which users hang on which connection.
    links: BTreeSet<(LinkId, u32)>,
    /// Bindings of all users.
    pub bindings: usize,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub aor: Box<str>,
    /// The next user whose address has the same hash.
    next: u32,
    /// Changed since it was last handed out to be kept.
    pub changed: bool,
    pub bindings: SmallVec<[Binding; 1]>,
}

const NIL: u32 = u32::MAX;

/// The keys are keyed hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Table {
    /// How many users have a binding.
    pub fn users(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// One past the highest slot.
    pub fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub fn get(&self, slot: u32) -> Option<&Entry> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Every user whose address has this hash: one, but for an accident.
    pub fn hashed(&self, hash: u64) -> impl Iterator<Item = (u32, &Entry)> {
        let mut slot = self.heads.get(&hash).copied().unwrap_or(NIL);
        std::iter::from_fn(move || {
            let entry = self.get(slot)?;
            Some((std::mem::replace(&mut slot, entry.next), entry))
        })
    }

    pub fn find(&self, hash: u64, aor: &str) -> Option<u32> {
        self.hashed(hash).find(|(_, entry)| *entry.aor == *aor).map(|(slot, _)| slot)
    }

    /// Adds a user without bindings, who is not there yet.
    pub fn insert(&mut self, hash: u64, aor: &str) -> u32 {
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        let next = self.heads.insert(hash, slot).unwrap_or(NIL);
        let entry = Some(Entry { aor: aor.into(), next, changed: false, bindings: SmallVec::new() });
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = entry,
            None => self.slots.push(entry),
        }
        slot
    }

    /// Removes a user who has no bindings left.
    pub fn remove(&mut self, hash: u64, slot: u32) -> Option<Box<str>> {
        let entry = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        let before = self.hashed_before(hash, slot);
        match before.and_then(|before| self.get_mut(before)) {
            Some(before) => before.next = entry.next,
            None if entry.next == NIL => drop(self.heads.remove(&hash)),
            None => drop(self.heads.insert(hash, entry.next)),
        }
        Some(entry.aor)
    }

    /// The user before this slot in the chain; `None` when it is the first.
    fn hashed_before(&self, hash: u64, slot: u32) -> Option<u32> {
        self.hashed(hash).find(|(_, entry)| entry.next == slot).map(|(before, _)| before)
    }

    /// Adds a binding to a user.
    pub fn bind(&mut self, slot: u32, binding: Binding) {
        let link = binding.connection();
        let Some(entry) = self.get_mut(slot) else { return };
        entry.bindings.push(binding);
        self.bindings += 1;
        self.links.extend(link.map(|link| (link, slot)));
    }

    /// Changes a binding of a user.
    pub fn rebind(&mut self, slot: u32, position: usize, change: impl FnOnce(&mut Binding)) {
        let Some(binding) = self.get_mut(slot).and_then(|entry| entry.bindings.get_mut(position)) else { return };
        let before = binding.connection();
        change(binding);
        let after = binding.connection();
        if before != after {
            self.links.extend(after.map(|link| (link, slot)));
            self.unlink(slot, before);
        }
    }

    /// Removes the bindings of a user that are not to be kept, and says how many those were.
    pub fn unbind(&mut self, slot: u32, keep: impl Fn(&Binding) -> bool) -> usize {
        let Some(entry) = self.get_mut(slot) else { return 0 };
        let mut links: SmallVec<[LinkId; 4]> = SmallVec::new();
        let before = entry.bindings.len();
        entry.bindings.retain(|binding| {
            let kept = keep(binding);
            if !kept {
                links.extend(binding.connection());
            }
            kept
        });
        let removed = before - entry.bindings.len();
        if removed > 0 {
            entry.bindings.shrink_to_fit();
        }
        self.bindings -= removed;
        for link in links {
            self.unlink(slot, Some(link));
        }
        removed
    }

    /// Forgets that a user hangs on a connection, unless another of the user's bindings does.
    fn unlink(&mut self, slot: u32, link: Option<LinkId>) {
        let hangs = |entry: &Entry| entry.bindings.iter().any(|binding| binding.connection() == link);
        if let Some(link) = link
            && !self.get(slot).is_some_and(hangs)
        {
            self.links.remove(&(link, slot));
        }
    }

    /// A user that hangs on this connection, each told once: the caller ends that.
    pub fn pop_on_link(&mut self, link: LinkId) -> Option<u32> {
        let found = self.links.range((link, 0)..=(link, u32::MAX)).next().copied()?;
        self.links.remove(&found);
        Some(found.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_whose_hashes_collide_are_told_apart() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let mut table = Table::default();
            let users = ["a@x", "b@x", "c@x"];
            let slots = users.map(|aor| table.insert(7, aor));
            for (removed, position) in order.iter().enumerate() {
                assert_eq!(table.remove(7, slots[*position]).as_deref(), Some(users[*position]));
                for (aor, slot) in users.iter().zip(slots) {
                    let gone = order[..=removed].iter().any(|p| users[*p] == *aor);
                    assert_eq!(table.find(7, aor), (!gone).then_some(slot));
                }
            }
            assert_eq!((table.users(), table.heads.len()), (0, 0));
            assert_eq!(table.insert(8, "d@x"), slots[order[2]]);
        }
    }
}
