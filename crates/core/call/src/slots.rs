//! Where the calls of an engine live, and how their numbers are found.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The place of a call. A key outlives its call harmlessly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// Boxes in numbered places. A box is taken out while it is worked on and put back afterwards.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    places: Vec<(u32, Place<T>)>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
enum Place<T> {
    Free,
    Out,
    In(Box<T>),
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Reserves a place; the box is then put back into it.
    pub(crate) fn reserve(&mut self) -> Key {
        self.len += 1;
        if let Some(index) = self.free.pop() {
            let place = &mut self.places[index as usize];
            place.1 = Place::Out;
            return Key { index, generation: place.0 };
        }
        self.places.push((0, Place::Out));
        // Each place holds a call; memory ends long before 2^32 of them.
        Key { index: (self.places.len() - 1) as u32, generation: 0 }
    }

    /// The box, until it is put back; `None` when its call is over or it is out already.
    pub(crate) fn take(&mut self, key: Key) -> Option<Box<T>> {
        let (generation, place) = self.places.get_mut(key.index as usize)?;
        if *generation != key.generation || !matches!(place, Place::In(_)) {
            return None;
        }
        match std::mem::replace(place, Place::Out) {
            Place::In(value) => Some(value),
            Place::Free | Place::Out => None,
        }
    }

    /// A look at the box, while it is in its place.
    pub(crate) fn peek(&self, key: Key) -> Option<&T> {
        match self.places.get(key.index as usize)? {
            (generation, Place::In(value)) if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    pub(crate) fn put_back(&mut self, key: Key, value: Box<T>) {
        self.places[key.index as usize].1 = Place::In(value);
    }

    /// Gives up a place whose box has been taken out.
    pub(crate) fn release(&mut self, key: Key) {
        let (generation, place) = &mut self.places[key.index as usize];
        *generation = generation.wrapping_add(1);
        *place = Place::Free;
        self.free.push(key.index);
        self.len -= 1;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|(_, place)| match place {
            Place::In(value) => Some(&**value),
            Place::Free | Place::Out => None,
        })
    }
}

/// A map from numbers that we or our adapters have chosen: no peer can make them collide.
pub(crate) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// One multiplication, after Knuth.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}
