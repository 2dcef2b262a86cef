//! Timers as data: a hierarchical wheel with a tick of one millisecond.

use crate::Time;

/// Eight levels of six bits reach 2^48 milliseconds, past the last `Time` there is.
const LEVELS: usize = 8;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const NIL: u32 = u32::MAX;

/// Names a timer that was set, so that it can be cancelled. A name outlives its timer harmlessly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    index: u32,
    generation: u32,
}

impl TimerId {
    /// Names no timer; cancelling it does nothing.
    pub const NONE: Self = Self { index: NIL, generation: 0 };
}

#[derive(Clone, Debug)]
struct Node<T> {
    /// Milliseconds since the epoch.
    due: u64,
    generation: u32,
    next: u32,
    previous: u32,
    /// The list the node is in: `level * SLOTS + slot`, or `NIL` when free.
    list: u32,
    value: Option<T>,
}

/// Timers that carry a `T`. Setting, cancelling and expiring take constant time; a timer never comes early
/// and comes at most one millisecond late.
///
/// ```
/// use sx_engine::{Time, Wheel};
/// let mut wheel = Wheel::new(Time::ZERO);
/// let id = wheel.set(Time::from_millis(500), "T1");
/// wheel.set(Time::from_millis(32_000), "timer B");
/// wheel.cancel(id);
/// assert_eq!(wheel.expire(Time::from_millis(31_999)), None);
/// assert_eq!(wheel.expire(Time::from_millis(32_000)), Some("timer B"));
/// ```
#[derive(Clone, Debug)]
pub struct Wheel<T> {
    nodes: Vec<Node<T>>,
    free: u32,
    heads: Vec<u32>,
    occupied: [u64; LEVELS],
    /// Everything due before this millisecond has been handed out or sits in `ready`.
    cursor: u64,
    ready: u32,
    len: usize,
}

/// The list index of timers that are due and wait to be handed out.
const READY: u32 = (LEVELS * SLOTS) as u32;

impl<T> Wheel<T> {
    /// An empty wheel whose first tick is at `now`.
    pub fn new(now: Time) -> Self {
        Self {
            nodes: Vec::new(),
            free: NIL,
            heads: vec![NIL; LEVELS * SLOTS],
            occupied: [0; LEVELS],
            cursor: now.as_millis(),
            ready: NIL,
            len: 0,
        }
    }

    /// How many timers are set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is no timer set?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets a timer. One that is already past comes with the next [`expire`](Self::expire).
    pub fn set(&mut self, at: Time, value: T) -> TimerId {
        // Rounded up to the next whole millisecond, so that a timer never comes early.
        let due = at.as_nanos().div_ceil(1_000_000);
        let index = self.allocate(due, value);
        self.place(index);
        self.len += 1;
        TimerId { index, generation: self.nodes[index as usize].generation }
    }

    /// Takes a timer away; `None` when it has come already or was never set.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        let node = self.nodes.get(id.index as usize)?;
        if node.generation != id.generation || node.value.is_none() {
            return None;
        }
        self.unlink(id.index);
        self.release(id.index)
    }

    /// The next timer that is due at `now`, or `None` when there is none. Call it until it returns `None`.
    pub fn expire(&mut self, now: Time) -> Option<T> {
        if self.ready == NIL {
            self.advance(now.as_millis());
        }
        let index = self.ready;
        if index == NIL {
            return None;
        }
        self.unlink(index);
        self.release(index)
    }

    /// When [`expire`](Self::expire) should be called next: exact for timers within 64 ms, else the time by which
    /// the wheel must turn. Never later than the earliest timer.
    pub fn next_expiry(&self) -> Option<Time> {
        if self.ready != NIL {
            return Some(Time::from_millis(self.cursor));
        }
        (0..LEVELS).filter_map(|level| self.next_slot_start(level)).min().map(Time::from_millis)
    }

    /// The start of the next occupied slot of a level, in milliseconds, not before the cursor.
    fn next_slot_start(&self, level: usize) -> Option<u64> {
        let occupied = self.occupied[level];
        if occupied == 0 {
            return None;
        }
        let shift = SLOT_BITS * level as u32;
        let current = self.cursor >> shift;
        let ahead = occupied.rotate_right((current & (SLOTS as u64 - 1)) as u32).trailing_zeros();
        Some(((current + u64::from(ahead)) << shift).max(self.cursor))
    }

    fn allocate(&mut self, due: u64, value: T) -> u32 {
        if self.free == NIL {
            let index = u32::try_from(self.nodes.len()).expect("fewer than 2^32 timers: they would not fit in memory");
            self.nodes.push(Node { due, generation: 0, next: NIL, previous: NIL, list: NIL, value: Some(value) });
            return index;
        }
        let index = self.free;
        let node = &mut self.nodes[index as usize];
        self.free = node.next;
        node.due = due;
        node.value = Some(value);
        index
    }

    fn release(&mut self, index: u32) -> Option<T> {
        let free = self.free;
        let node = &mut self.nodes[index as usize];
        node.generation = node.generation.wrapping_add(1);
        node.next = free;
        self.free = index;
        self.len -= 1;
        node.value.take()
    }

    /// Links a node into the list its due time belongs to, seen from the cursor.
    fn place(&mut self, index: u32) {
        let due = self.nodes[index as usize].due;
        let list = if due <= self.cursor {
            READY
        } else {
            let distance = due ^ self.cursor;
            let level = (63 - distance.leading_zeros()) / SLOT_BITS;
            let slot = (due >> (SLOT_BITS * level)) & (SLOTS as u64 - 1);
            self.occupied[level as usize] |= 1 << slot;
            level * SLOTS as u32 + slot as u32
        };
        let head = if list == READY { self.ready } else { self.heads[list as usize] };
        let node = &mut self.nodes[index as usize];
        node.list = list;
        node.previous = NIL;
        node.next = head;
        if head != NIL {
            self.nodes[head as usize].previous = index;
        }
        self.set_head(list, index);
    }

    fn set_head(&mut self, list: u32, index: u32) {
        if list == READY {
            self.ready = index;
            return;
        }
        self.heads[list as usize] = index;
        if index == NIL {
            self.occupied[list as usize / SLOTS] &= !(1 << (list as usize % SLOTS));
        }
    }

    fn unlink(&mut self, index: u32) {
        let node = &self.nodes[index as usize];
        let (list, next, previous) = (node.list, node.next, node.previous);
        if next != NIL {
            self.nodes[next as usize].previous = previous;
        }
        if previous == NIL {
            self.set_head(list, next);
        } else {
            self.nodes[previous as usize].next = next;
        }
    }

    /// Turns the wheel up to `now`, moving what is due into `ready` and stopping at the first slot that yields any.
    fn advance(&mut self, now: u64) {
        while self.ready == NIL {
            let Some((start, level)) = (0..LEVELS)
                .filter_map(|l| Some((self.next_slot_start(l)?, l)))
                .min_by_key(|(start, level)| (*start, LEVELS - level))
            else {
                self.cursor = self.cursor.max(now);
                return;
            };
            if start > now {
                self.cursor = self.cursor.max(now);
                return;
            }
            self.cursor = start;
            let slot = (start >> (SLOT_BITS * level as u32)) & (SLOTS as u64 - 1);
            self.cascade(level * SLOTS + slot as usize);
        }
    }

    /// Takes a slot's nodes out and links each anew, nearer.
    fn cascade(&mut self, list: usize) {
        let mut index = self.heads[list];
        self.set_head(list as u32, NIL);
        while index != NIL {
            let next = self.nodes[index as usize].next;
            self.place(index);
            index = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    fn drain(wheel: &mut Wheel<u64>, now: u64) -> Vec<u64> {
        let mut due: Vec<u64> = std::iter::from_fn(|| wheel.expire(Time::from_millis(now))).collect();
        due.sort_unstable();
        due
    }

    #[test]
    fn agrees_with_a_sorted_list_over_random_timers() {
        for seed in 0..50 {
            let mut rng = Rng::from_number(seed);
            let start = 1_795_000_000_000 + rng.below(1 << 40);
            let mut wheel = Wheel::new(Time::from_millis(start));
            let mut model: Vec<(u64, TimerId)> = Vec::new();
            let mut now = start;
            for _ in 0..400 {
                for _ in 0..rng.below(4) {
                    let span = 1 << rng.below(36);
                    let due = now + rng.below(span);
                    model.push((due, wheel.set(Time::from_millis(due), due)));
                }
                if !model.is_empty() && rng.below(3) == 0 {
                    let (due, id) = model.swap_remove(rng.below(model.len() as u64) as usize);
                    assert_eq!(wheel.cancel(id), Some(due));
                    assert_eq!(wheel.cancel(id), None);
                }
                let earliest = model.iter().map(|(due, _)| *due).min();
                let next = wheel.next_expiry().map(Time::as_millis);
                assert_eq!(earliest.is_some(), next.is_some());
                assert!(next <= earliest.map(|due| due.max(now)), "seed {seed}: {next:?} after {earliest:?}");
                let step = 1 << rng.below(30);
                now += rng.below(step);
                let mut expected: Vec<u64> = model.iter().map(|(due, _)| *due).filter(|due| *due <= now).collect();
                expected.sort_unstable();
                model.retain(|(due, _)| *due > now);
                assert_eq!(drain(&mut wheel, now), expected, "seed {seed}");
                assert_eq!(wheel.len(), model.len());
            }
        }
    }

    #[test]
    fn a_timer_beyond_the_wheel_still_comes() {
        let mut wheel = Wheel::new(Time::ZERO);
        let year = 365 * 86_400_000;
        wheel.set(Time::from_millis(30 * year), 1);
        assert_eq!(drain(&mut wheel, 30 * year - 1), []);
        assert_eq!(drain(&mut wheel, 30 * year), [1]);
    }

    #[test]
    fn never_early_by_a_fraction_of_a_millisecond() {
        let mut wheel = Wheel::new(Time::ZERO);
        wheel.set(Time::from_nanos(1_500_000), 7);
        assert_eq!(wheel.expire(Time::from_nanos(1_999_999)), None);
        assert_eq!(wheel.expire(Time::from_millis(2)), Some(7));
    }
}
