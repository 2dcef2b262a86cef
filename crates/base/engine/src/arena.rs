//! Values by a key that goes stale when they are gone.

/// Names a value of one [`Arena`]. A key outlives its value harmlessly: it then names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// Both parts in one number, never zero.
    pub fn as_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The key that [`as_u64`](Self::as_u64) gave this number; any other number names nothing.
    pub fn from_u64(number: u64) -> Self {
        Self { index: number as u32, generation: (number >> 32) as u32 }
    }

    /// The position in the arena, small and used again.
    pub fn index(self) -> u32 {
        self.index
    }
}

#[derive(Clone, Debug)]
enum Slot<T> {
    Free { next: u32, generation: u32 },
    Used { generation: u32, value: T },
}

const NIL: u32 = u32::MAX;

/// A growing table whose slots are used again, each time under another generation.
///
/// ```
/// use sx_engine::Arena;
/// let mut arena = Arena::default();
/// let key = arena.insert("dialog");
/// assert_eq!(arena.remove(key), Some("dialog"));
/// let other = arena.insert("another");
/// assert_eq!((arena.get(key), arena.get(other)), (None, Some(&"another")));
/// ```
#[derive(Clone, Debug)]
pub struct Arena<T> {
    slots: Slots<T>,
    free: u32,
    len: usize,
}

/// Slots in pieces of one size: growing copies none of them, and nobody waits while megabytes are moved.
#[derive(Clone, Debug)]
struct Slots<T> {
    pieces: Vec<Vec<Slot<T>>>,
    len: usize,
}

/// Slots in a piece; a power of two.
const PIECE: usize = 256;

impl<T> Slots<T> {
    fn get(&self, index: usize) -> Option<&Slot<T>> {
        self.pieces.get(index / PIECE)?.get(index % PIECE)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Slot<T>> {
        self.pieces.get_mut(index / PIECE)?.get_mut(index % PIECE)
    }

    fn push(&mut self, slot: Slot<T>) {
        if self.len.is_multiple_of(PIECE) {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        self.len += 1;
        if let Some(last) = self.pieces.last_mut() {
            last.push(slot);
        }
    }
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { slots: Slots { pieces: Vec::new(), len: 0 }, free: NIL, len: 0 }
    }
}

impl<T> Arena<T> {
    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps a value.
    pub fn insert(&mut self, value: T) -> Key {
        self.insert_with(|_| value)
    }

    /// Keeps the value that `make` makes when told its key.
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        self.len += 1;
        if let Some(slot) = self.slots.get_mut(self.free as usize)
            && let Slot::Free { next, generation } = *slot
        {
            let key = Key { index: self.free, generation };
            self.free = next;
            *slot = Slot::Used { generation, value: make(key) };
            return key;
        }
        let index = u32::try_from(self.slots.len).expect("fewer than 2^32 values: they would not fit in memory");
        let key = Key { index, generation: 1 };
        self.slots.push(Slot::Used { generation: 1, value: make(key) });
        key
    }

    /// The value of a key.
    pub fn get(&self, key: Key) -> Option<&T> {
        match self.slots.get(key.index as usize) {
            Some(Slot::Used { generation, value }) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.slots.get_mut(key.index as usize) {
            Some(Slot::Used { generation, value }) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// Takes a value out; its key names nothing from now on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        // A generation of zero would make the smallest key equal to the number 0, which means "nobody".
        let generation = key.generation.checked_add(1).unwrap_or(1);
        let freed = Slot::Free { next: self.free, generation };
        let slot = self.slots.get_mut(key.index as usize).map(|slot| std::mem::replace(slot, freed))?;
        self.free = key.index;
        self.len -= 1;
        match slot {
            Slot::Used { value, .. } => Some(value),
            Slot::Free { .. } => None,
        }
    }

    /// Every value with its key.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.pieces.iter().flatten().enumerate().filter_map(|(index, slot)| match slot {
            Slot::Used { generation, value } => Some((Key { index: index as u32, generation: *generation }, value)),
            Slot::Free { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_the_trip_through_a_number_and_goes_stale() {
        let mut arena = Arena::default();
        let keys: Vec<Key> = (0..10).map(|n| arena.insert(n)).collect();
        assert_eq!(arena.remove(keys[3]), Some(3));
        assert_eq!(arena.remove(keys[3]), None);
        let again = arena.insert_with(|key| i32::try_from(key.index()).unwrap_or_default());
        assert_eq!((again.index(), arena.get(again), arena.get(keys[3])), (3, Some(&3), None));
        assert!(keys.iter().all(|key| Key::from_u64(key.as_u64()) == *key && key.as_u64() != 0));
        assert_eq!((arena.len(), arena.iter().count()), (10, 10));
        assert_eq!(arena.get(Key::from_u64(0)), None);
    }

    #[test]
    fn values_stay_where_they_are_while_the_arena_grows() {
        let mut arena = Arena::default();
        let keys: Vec<Key> = (0..3 * PIECE).map(|n| arena.insert(n)).collect();
        let place: *const usize = arena.get(keys[7]).unwrap();
        (0..10 * PIECE).for_each(|n| _ = arena.insert(n));
        assert_eq!(place, arena.get(keys[7]).unwrap() as *const usize);
        assert!(keys.iter().enumerate().all(|(n, key)| arena.get(*key) == Some(&n)));
        assert!(arena.iter().map(|(key, _)| key.index()).eq(0..13 * PIECE as u32));
    }
}
