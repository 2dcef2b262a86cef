//! How many calls a trunk carries and how many are in a room, over all workers.
//!
//! This is the one thing that engines share. Such limits hold for the exchange, and a worker that asked the others
//! first would have to let every call wait for them; a counter that is compared and changed in one step keeps the limit
//! exactly. It waits for nobody, and on one thread, as in a test, it is as predictable as any other number.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

/// How many there are of something that has a limit. Tables that follow each other share it, so that a reload forgets nobody.
#[derive(Debug, Default)]
pub struct Occupancy {
    count: AtomicU32,
    locked: AtomicBool,
}

impl Occupancy {
    /// How many there are now.
    pub fn count(&self) -> u32 {
        self.count.load(Relaxed)
    }

    /// One more, unless there are `max` already. `false` when there are.
    pub fn occupy(&self, max: u32) -> bool {
        self.count.fetch_update(Relaxed, Relaxed, |count| (count < max).then(|| count + 1)).is_ok()
    }

    /// Nobody comes in by themselves while it is locked; whoever is called by those who look after it does.
    pub fn lock(&self, locked: bool) {
        self.locked.store(locked, Relaxed);
    }

    /// Is it locked?
    pub fn is_locked(&self) -> bool {
        self.locked.load(Relaxed)
    }

    /// One has left.
    pub fn give_back(&self) {
        // Below nothing there is nothing: whoever gives back twice does no harm to the limit.
        let _ = self.count.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1));
    }
}

/// The calls on one trunk. Tables that follow each other share it, so that a reload forgets no call.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct TrunkLoad {
    active: Occupancy,
    /// The second in the upper half, the calls begun in it in the lower.
    begun: AtomicU64,
}

impl TrunkLoad {
    /// Calls on the trunk now.
    pub fn active(&self) -> u32 {
        self.active.count()
    }

    /// Calls begun on it in this second of the Unix epoch.
    pub fn begun_in(&self, second: u64) -> u32 {
        let (last, begun) = halves(self.begun.load(Relaxed));
        if last == low(second) { begun } else { 0 }
    }

    /// Puts a call on the trunk unless there are `calls_max` already. `false` when there are.
    pub fn occupy(&self, calls_max: u32) -> bool {
        self.active.occupy(calls_max)
    }

    /// Begins a call in this second of the Unix epoch and puts it on the trunk, unless there are `calls_max` on it or
    /// `calls_per_s_max` were begun in the second. `false` when there are.
    pub fn begin(&self, calls_max: u32, calls_per_s_max: u32, second: u64) -> bool {
        if !self.occupy(calls_max) {
            return false;
        }
        let begun = self.begun.fetch_update(Relaxed, Relaxed, |begun| {
            // Another worker may have seen the next second begin already: its count goes on.
            let (last, count) = halves(begun);
            let (second, count) = if last >= low(second) { (last, count) } else { (low(second), 0) };
            (count < calls_per_s_max).then(|| u64::from(second) << 32 | u64::from(count + 1))
        });
        if begun.is_err() {
            self.give_back();
        }
        begun.is_ok()
    }

    /// A call has left the trunk.
    pub fn give_back(&self) {
        self.active.give_back();
    }
}

fn halves(begun: u64) -> (u32, u32) {
    ((begun >> 32) as u32, begun as u32)
}

fn low(second: u64) -> u32 {
    second as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_calls_are_taken_than_there_may_be() {
        let load = TrunkLoad::default();
        assert_eq!(
            [load.occupy(2), load.begin(2, 9, 7), load.occupy(2), load.begin(2, 9, 7)],
            [true, true, false, false]
        );
        load.give_back();
        assert_eq!((load.active(), load.occupy(2), load.occupy(2)), (1, true, false));
        for _ in 0..3 {
            load.give_back();
        }
        assert_eq!(load.active(), 0);
    }

    #[test]
    fn no_more_calls_are_begun_in_a_second_than_may_be() {
        let load = TrunkLoad::default();
        assert_eq!([load.begin(9, 2, 7), load.begin(9, 2, 7), load.begin(9, 2, 7)], [true, true, false]);
        assert_eq!((load.active(), load.begun_in(7), load.begun_in(8)), (2, 2, 0));
        assert_eq!([load.begin(9, 2, 8), load.begin(9, 2, 7), load.begin(9, 2, 8)], [true, true, false]);
        assert_eq!((load.active(), load.begun_in(8)), (4, 2));
    }

    #[test]
    fn workers_that_race_keep_the_limit() {
        let load = TrunkLoad::default();
        let taken = std::thread::scope(|scope| {
            let worker = || (0..10_000).filter(|_| load.begin(1_000, u32::MAX, 7)).count();
            let workers = [scope.spawn(worker), scope.spawn(worker), scope.spawn(worker)];
            workers.map(|worker| worker.join().expect("it only counts")).iter().sum::<usize>()
        });
        assert_eq!((taken, load.active()), (1_000, 1_000));
    }
}
