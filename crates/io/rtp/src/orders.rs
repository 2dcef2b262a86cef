//! Orders on their way to a thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Orders on their way to a thread. What waits is bounded by the calls the exchange has admitted.
pub(crate) struct Orders<T> {
    waiting: Mutex<Waiting<T>>,
    something: Condvar,
}

struct Waiting<T> {
    orders: VecDeque<T>,
    ended: bool,
}

impl<T> Default for Orders<T> {
    fn default() -> Self {
        let waiting = Mutex::new(Waiting { orders: VecDeque::new(), ended: false });
        Self { waiting, something: Condvar::new() }
    }
}

impl<T> Orders<T> {
    /// The order is given.
    pub(crate) fn push(&self, order: T) {
        self.locked().orders.push_back(order);
        self.something.notify_one();
    }

    /// The order is given; those before it that are of no interest any more are not.
    pub(crate) fn push_in_place(&self, order: T, is_stale: impl Fn(&T) -> bool) {
        let mut waiting = self.locked();
        waiting.orders.retain(|before| !is_stale(before));
        waiting.orders.push_back(order);
        drop(waiting);
        self.something.notify_one();
    }

    /// Takes no more.
    pub(crate) fn end(&self) {
        self.locked().ended = true;
        self.something.notify_one();
    }

    /// Waits for an order, no longer than this, and takes those that there are. False: there will be none any more.
    pub(crate) fn wait(&self, rest: Option<Duration>, taken: &mut VecDeque<T>) -> bool {
        let idle = |waiting: &mut Waiting<T>| !waiting.ended && waiting.orders.is_empty();
        let waiting = match rest {
            Some(rest) => {
                let waited = self.something.wait_timeout_while(self.locked(), rest, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.something.wait_while(self.locked(), idle).unwrap_or_else(PoisonError::into_inner),
        };
        take(waiting, taken)
    }

    /// Waits for so long, whatever orders there are, and takes them. False: there will be none any more.
    pub(crate) fn wait_out(&self, rest: Duration, taken: &mut VecDeque<T>) -> bool {
        let waited = self.something.wait_timeout_while(self.locked(), rest, |waiting| !waiting.ended);
        take(waited.unwrap_or_else(PoisonError::into_inner).0, taken)
    }

    fn locked(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take<T>(mut waiting: MutexGuard<'_, Waiting<T>>, taken: &mut VecDeque<T>) -> bool {
    std::mem::swap(&mut waiting.orders, taken);
    !waiting.ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_in_turn_without_those_that_are_stale_until_there_are_no_more() {
        let (orders, mut taken) = (Orders::default(), VecDeque::new());
        for order in [1, 2, 3] {
            orders.push(order);
        }
        orders.push_in_place(12, |before| *before == 2);
        assert!(orders.wait(None, &mut taken));
        assert_eq!(taken, [1, 3, 12]);
        taken.clear();
        assert!(orders.wait(Some(Duration::ZERO), &mut taken) && taken.is_empty());
        orders.push(4);
        assert!(orders.wait_out(Duration::ZERO, &mut taken));
        assert_eq!(taken, [4]);
        orders.end();
        assert!(!orders.wait(None, &mut taken));
        assert!(!orders.wait_out(Duration::MAX, &mut taken));
    }
}
