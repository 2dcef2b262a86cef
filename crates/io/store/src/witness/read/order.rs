//! Work on every core, whose results are taken one after the other.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What the threads share.
struct State<T> {
    /// The piece of work that nobody has begun.
    next: usize,
    /// So many results were taken.
    taken: usize,
    done: BTreeMap<usize, T>,
    stopped: bool,
}

struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    count: usize,
    /// So many pieces may be ahead of what was taken, which bounds the results that wait.
    ahead: usize,
}

/// Does the pieces of work `0..count` on as many threads as there are cores, or on `threads_max` if that is less, and hands
/// their results to `take` in order. When `take` says false it ends early.
pub(super) fn in_order<T: Send>(
    count: usize,
    threads_max: Option<usize>,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(usize, T) -> bool,
) {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads_max.map_or(cores, |max| max.clamp(1, cores)).min(count);
    let state = State { next: 0, taken: 0, done: BTreeMap::new(), stopped: false };
    let queue = Queue { state: Mutex::new(state), changed: Condvar::new(), count, ahead: threads + 1 };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let stops = StopsOnPanic(&queue);
                while let Some(piece) = queue.claim() {
                    queue.put(piece, work(piece));
                }
                drop(stops);
            });
        }
        for piece in 0..count {
            let Some(result) = queue.wait_for(piece) else { return };
            if !take(piece, result) {
                return queue.stop();
            }
        }
    });
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece of work, once there is room for its result.
    fn claim(&self) -> Option<usize> {
        let mut state = self.lock();
        while !state.stopped && state.next < self.count && state.next >= state.taken + self.ahead {
            state = self.wait(state);
        }
        if state.stopped || state.next >= self.count {
            return None;
        }
        state.next += 1;
        Some(state.next - 1)
    }

    fn put(&self, piece: usize, result: T) {
        self.lock().done.insert(piece, result);
        self.changed.notify_all();
    }

    /// The result of a piece; `None` when a thread has panicked.
    fn wait_for(&self, piece: usize) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(result) = state.done.remove(&piece) {
                state.taken = piece + 1;
                self.changed.notify_all();
                return Some(result);
            }
            if state.stopped {
                return None;
            }
            state = self.wait(state);
        }
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// A thread that panics must not leave the others waiting for it; the panic itself goes on when they are joined.
struct StopsOnPanic<'a, T>(&'a Queue<T>);

impl<T> Drop for StopsOnPanic<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order_and_few_wait() {
        let (begun, mut taken) = (AtomicUsize::new(0), 0);
        let most = AtomicUsize::new(0);
        let work = |piece: usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            piece * piece
        };
        in_order(500, None, work, |piece, result| {
            assert_eq!((piece, result), (taken, taken * taken));
            taken += 1;
            most.fetch_max(begun.load(Ordering::SeqCst) - taken, Ordering::SeqCst);
            true
        });
        assert_eq!(taken, 500);
        let threads = thread::available_parallelism().map_or(1, usize::from);
        assert!(most.into_inner() <= threads + 1, "no more results wait than may");
    }

    #[test]
    fn whoever_has_seen_enough_ends_it() {
        let mut taken = 0;
        in_order(
            1_000_000,
            None,
            |piece| piece,
            |_, _| {
                taken += 1;
                taken < 3
            },
        );
        assert_eq!(taken, 3);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_thread_that_panics_is_not_waited_for() {
        in_order(100, None, |piece| assert!(piece != 7, "seven"), |_, ()| true);
    }
}
