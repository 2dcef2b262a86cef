//! How much one identity asks for, and how many calls it has, over all workers.
//!
//! Limits hold for the exchange, and a request lands on any worker: so those share what they count, and each number is
//! compared and changed in one step. That keeps a limit exactly and waits for nobody.

use crate::sliding::{Moment, Sliding};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use sx_engine::Time;

/// A limit was reached; when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many; again in {seconds} s")]
pub struct RetryAfter {
    /// Until there is room, when no more is taken; at least one.
    pub seconds: u32,
}

/// What one identity has taken within a window that slides along with time, and its calls. Whoever knows the identity on
/// any worker shares it.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct IdentityLoad {
    /// The number of the running window in the upper 24 bits, then 20 bits for what was taken in it, and 20 for what was in
    /// the one before.
    taken: AtomicU64,
    window_ms: AtomicU32,
    calls: AtomicU32,
}

/// One of the calls that an identity may have; given back when it is dropped.
#[derive(Debug)]
pub struct CallPermit(Arc<IdentityLoad>);

impl IdentityLoad {
    /// How many were taken within the window.
    pub fn count(&self, now: Time, window: Duration) -> u32 {
        let moment = moment(now, window);
        self.known(&moment).0.count(&moment)
    }

    /// May one more be taken, when there may be `limit` within `window`? Asking takes nothing.
    ///
    /// # Errors
    /// When to try again.
    pub fn ask(&self, now: Time, limit: u32, window: Duration) -> Result<(), RetryAfter> {
        let moment = moment(now, window);
        room(&self.known(&moment).0, &moment, limit)
    }

    /// Takes one more, unless there are `limit` within `window` already. The count begins anew when the window is another
    /// than before.
    ///
    /// # Errors
    /// When to try again.
    pub fn take(&self, now: Time, limit: u32, window: Duration) -> Result<(), RetryAfter> {
        let moment = moment(now, window);
        let window_ms = moment.window_ms as u32;
        if self.window_ms.swap(window_ms, Relaxed) != window_ms {
            self.taken.store(0, Relaxed);
        }
        loop {
            let (mut taken, word) = self.known(&moment);
            room(&taken, &moment, limit)?;
            taken.add();
            if self.taken.compare_exchange_weak(word, packed(&taken), Relaxed, Relaxed).is_ok() {
                return Ok(());
            }
        }
    }

    /// Its calls at the moment.
    pub fn calls(&self) -> u32 {
        self.calls.load(Relaxed)
    }

    /// One call more, unless it has `calls_max` already.
    pub fn begin_call(self: &Arc<Self>, calls_max: u32) -> Option<CallPermit> {
        let begun = self.calls.fetch_update(Relaxed, Relaxed, |calls| (calls < calls_max).then(|| calls + 1));
        begun.is_ok().then(|| CallPermit(self.clone()))
    }

    /// What is known at the moment, and the word that says so.
    fn known(&self, moment: &Moment) -> (Sliding, u64) {
        let word = self.taken.load(Relaxed);
        if self.window_ms.load(Relaxed) != moment.window_ms as u32 {
            return (Sliding::begun(moment.window), word);
        }
        (unpacked(word, moment), word)
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Relaxed);
    }
}

fn room(taken: &Sliding, moment: &Moment, limit: u32) -> Result<(), RetryAfter> {
    if taken.count(moment) < limit {
        return Ok(());
    }
    let seconds = taken.wait_ms(moment, limit).div_ceil(1000);
    Err(RetryAfter { seconds: u32::try_from(seconds).unwrap_or(u32::MAX) })
}

const COUNT_BITS: u32 = 20;
const COUNT_MAX: u32 = (1 << COUNT_BITS) - 1;
const WINDOW_BITS: u32 = 64 - 2 * COUNT_BITS;
const WINDOW_MASK: u32 = (1 << WINDOW_BITS) - 1;
/// So many windows the clock of another worker may be ahead; what seems further ahead is long ago.
const AHEAD_MAX: u32 = 2;

fn packed(taken: &Sliding) -> u64 {
    let count = |count: u32| u64::from(count.min(COUNT_MAX));
    u64::from(taken.window & WINDOW_MASK) << (2 * COUNT_BITS) | count(taken.now) << COUNT_BITS | count(taken.before)
}

/// What the word says at the moment. Another worker may have seen the next window begin already: then that goes on.
fn unpacked(word: u64, moment: &Moment) -> Sliding {
    let count = |at: u32| (word >> at) as u32 & COUNT_MAX;
    let age = moment.window.wrapping_sub((word >> (2 * COUNT_BITS)) as u32) & WINDOW_MASK;
    let (now, before) = (count(COUNT_BITS), count(0));
    if (now, before) == (0, 0) {
        return Sliding::begun(moment.window);
    }
    let ahead = age > WINDOW_MASK - AHEAD_MAX;
    let window = if ahead { moment.window + (WINDOW_MASK - age + 1) } else { moment.window.saturating_sub(age) };
    let mut taken = Sliding { window, now, before };
    taken.advance(moment.window);
    taken
}

/// Windows are at least a second long, so that their numbers fit 32 bits.
fn moment(now: Time, window: Duration) -> Moment {
    let window_ms = u32::try_from(window.as_millis()).unwrap_or(u32::MAX).max(1000);
    Moment::new(now.as_millis(), window_ms.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn asking_takes_nothing() {
        let (load, now) = (IdentityLoad::default(), Time::from_secs(6_000));
        for _ in 0..10 {
            assert_eq!(load.ask(now, 1, MINUTE), Ok(()));
        }
        assert_eq!((load.take(now, 1, MINUTE), load.count(now, MINUTE)), (Ok(()), 1));
        // A limit that is lowered holds at once.
        assert!(load.ask(now, 1, MINUTE).is_err() && load.take(now, 1, MINUTE).is_err());
        assert_eq!((load.take(now, 2, MINUTE), load.count(now, MINUTE)), (Ok(()), 2));
    }

    #[test]
    fn a_limit_of_nothing_is_never_open() {
        let load = IdentityLoad::default();
        assert_eq!(load.take(Time::from_secs(6_000), 0, MINUTE), Err(RetryAfter { seconds: 60 }));
    }

    #[test]
    fn a_window_of_another_length_begins_anew() {
        let (load, now) = (IdentityLoad::default(), Time::from_secs(6_000));
        assert_eq!((load.take(now, 1, MINUTE), load.take(now, 1, 2 * MINUTE)), (Ok(()), Ok(())));
        assert_eq!((load.count(now, 2 * MINUTE), load.count(now, MINUTE)), (1, 0));
    }

    #[test]
    fn a_worker_that_is_late_counts_in_the_window_of_the_others() {
        let load = IdentityLoad::default();
        assert_eq!(load.take(Time::from_secs(6_060), 2, MINUTE), Ok(()));
        assert_eq!(load.take(Time::from_millis(6_059_999), 2, MINUTE), Ok(()));
        assert_eq!(load.count(Time::from_secs(6_060), MINUTE), 2);
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let second = Duration::from_secs(1);
        for later in [3, 1 << 22, 1 << 23, (1 << 24) - 9] {
            let load = IdentityLoad::default();
            assert_eq!(load.take(Time::from_secs(6_000), 1, second), Ok(()));
            let then = Time::from_secs(6_000 + later) + Duration::from_millis(1);
            assert_eq!((load.count(then, second), load.take(then, 1, second)), (0, Ok(())), "{later}");
        }
    }

    #[test]
    fn calls_are_given_back_when_they_are_over() {
        let load = Arc::new(IdentityLoad::default());
        let permits = [load.begin_call(2), load.begin_call(2), load.begin_call(2)];
        assert_eq!((permits.iter().flatten().count(), load.calls()), (2, 2));
        drop(permits);
        assert_eq!(load.calls(), 0);
    }

    #[test]
    fn workers_that_race_keep_the_limits() {
        let load = Arc::new(IdentityLoad::default());
        let now = Time::from_secs(6_000);
        let (taken, begun) = std::thread::scope(|scope| {
            let worker = || {
                let taken = (0..5_000).filter(|_| load.take(now, 1_000, MINUTE).is_ok()).count();
                let permits: Vec<_> = (0..5_000).filter_map(|_| load.begin_call(1_000)).collect();
                (taken, permits)
            };
            let workers = [scope.spawn(worker), scope.spawn(worker), scope.spawn(worker)];
            let done: Vec<_> = workers.map(|worker| worker.join().expect("it only counts")).into();
            (done.iter().map(|one| one.0).sum::<usize>(), done.iter().map(|one| one.1.len()).sum::<usize>())
        });
        assert_eq!((taken, begun, load.calls()), (1_000, 1_000, 0));
    }

    proptest! {
        #[test]
        fn counts_as_a_list_of_all_times_would(
            steps in prop::collection::vec(0u64..9_000, 1..300), limit in 1u32..20, seconds in 1u64..20,
        ) {
            let window = Duration::from_secs(seconds);
            let (load, mut times) = (IdentityLoad::default(), Vec::new());
            let mut now_ms = 1_700_000_000_000;
            for step in steps {
                now_ms += step;
                let now = Time::from_millis(now_ms);
                let window_ms = seconds * 1000;
                let begun = now_ms / window_ms * window_ms;
                let within = |from: u64, to: u64| times.iter().filter(|time| (from..to).contains(*time)).count() as u64;
                let before = within(begun - window_ms, begun) * (begun + window_ms - now_ms) / window_ms;
                let expected = (within(begun, u64::MAX) + before) as u32;
                prop_assert_eq!(load.count(now, window), expected);
                match load.take(now, limit, window) {
                    Ok(()) => {
                        prop_assert!(expected < limit);
                        times.push(now_ms);
                    }
                    Err(again) => {
                        prop_assert!(expected >= limit);
                        let then = now + Duration::from_secs(again.seconds.into());
                        prop_assert_eq!(load.ask(then, limit, window), Ok(()));
                        prop_assert!(u64::from(again.seconds) <= 2 * seconds);
                    }
                }
            }
        }
    }
}
