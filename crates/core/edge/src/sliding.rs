//! Counting what came within the last while, in few bytes.

/// How many came in the window that runs and in the one before it.
///
/// The window that slides along with time is taken to hold all of the running one, and as much of the one before as it
/// still reaches into, as if what came then had come evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sliding {
    /// The number of the window that runs.
    pub(crate) window: u32,
    pub(crate) now: u32,
    pub(crate) before: u32,
}

/// A point in time as a window sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The number of the window that runs.
    pub(crate) window: u32,
    /// How much of the window is still to come; 1 to `window_ms`.
    pub(crate) remaining_ms: u64,
    /// How long a window is.
    pub(crate) window_ms: u64,
}

impl Moment {
    pub(crate) fn new(now_ms: u64, window_ms: u64) -> Self {
        let window = now_ms / window_ms;
        Self { window: window as u32, remaining_ms: (window + 1) * window_ms - now_ms, window_ms }
    }

    /// The moment at `now_ms`, this one being at `then_ms`. Within a window it takes no division.
    pub(crate) fn moved(&self, then_ms: u64, now_ms: u64) -> Self {
        match (then_ms + self.remaining_ms).checked_sub(now_ms) {
            Some(remaining_ms) if (1..=self.window_ms).contains(&remaining_ms) => Self { remaining_ms, ..*self },
            _ => Self::new(now_ms, self.window_ms),
        }
    }
}

impl Sliding {
    /// Nothing yet, in that window.
    pub(crate) fn begun(window: u32) -> Self {
        Self { window, now: 0, before: 0 }
    }

    /// Goes on to the running window. Says how many windows have begun since.
    pub(crate) fn advance(&mut self, window: u32) -> u32 {
        // Time does not step back; if it did, the window that is known would go on.
        let age = if window > self.window { window - self.window } else { return 0 };
        self.before = if age == 1 { self.now } else { 0 };
        self.now = 0;
        self.window = window;
        age
    }

    /// One more, in the window that was advanced to.
    pub(crate) fn add(&mut self) {
        self.now = self.now.saturating_add(1);
    }

    /// How many came within the last window's length.
    pub(crate) fn count(&self, moment: &Moment) -> u32 {
        let carried = match self.before {
            0 => 0,
            // At most `before`, so it fits; windows are below 2^32 ms, so the product does.
            before => (u64::from(before) * moment.remaining_ms / moment.window_ms) as u32,
        };
        self.now.saturating_add(carried)
    }

    /// How long until fewer than `limit` are counted, when no more come: at least 1 ms.
    pub(crate) fn wait_ms(&self, moment: &Moment, limit: u32) -> u64 {
        let Some(others) = limit.checked_sub(1) else { return moment.window_ms };
        let elapsed = moment.window_ms - moment.remaining_ms;
        let wait = if self.now <= others {
            // What remains of the window before must weigh no more than there is room for.
            weightless_ms(moment.window_ms, self.before, others - self.now).saturating_sub(elapsed)
        } else {
            moment.remaining_ms + weightless_ms(moment.window_ms, self.now, others)
        };
        wait.max(1)
    }
}

/// How far a window must run until `before` of the one before it weigh no more than `room`.
fn weightless_ms(window_ms: u64, before: u32, room: u32) -> u64 {
    match before {
        0 => 0,
        before if before <= room => 0,
        // They weigh `room` still while their weight, rounded down, is less than one more.
        before => window_ms - ((u64::from(room) + 1) * window_ms - 1) / u64::from(before),
    }
}

/// Parts that the time is cut into by [`Recent`]: one more than the time has.
const PARTS: usize = 5;

/// A few rare things, counted so that whoever did them within the time is seen in any case: the time is cut into four
/// parts, and the running one and four before it are counted. What is as much as a quarter older may count too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recent {
    /// The number of the running part, in bytes so that no room is lost to alignment.
    part: [u8; 2],
    counts: [u8; PARTS],
}

impl Recent {
    /// How long a part is.
    pub(crate) fn part_ms(time_ms: u64) -> u64 {
        time_ms.div_ceil(PARTS as u64 - 1).max(1)
    }

    /// One more.
    pub(crate) fn add(&mut self, part: u16) {
        *self = self.aged(part);
        self.counts[0] = self.counts[0].saturating_add(1);
    }

    /// How many there were within the time.
    pub(crate) fn count(&self, part: u16) -> u32 {
        self.aged(part).counts.iter().map(|count| u32::from(*count)).sum()
    }

    /// Has nothing happened for long, or ever? May be asked without knowing the time.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts == [0; PARTS]
    }

    /// In one word, which workers can share.
    pub(crate) fn packed(&self) -> u64 {
        let ([a, b], [c, d, e, f, g]) = (self.part, self.counts);
        u64::from_le_bytes([a, b, c, d, e, f, g, 0])
    }

    /// What [`packed`](Self::packed) has made one word of.
    pub(crate) fn unpacked(word: u64) -> Self {
        let [a, b, c, d, e, f, g, _] = word.to_le_bytes();
        Self { part: [a, b], counts: [c, d, e, f, g] }
    }

    fn aged(&self, part: u16) -> Self {
        let age = part.wrapping_sub(u16::from_le_bytes(self.part));
        // Another worker, whose turn has begun later, has seen the next part begin already: then that goes on.
        if age > u16::MAX - PARTS as u16 {
            return *self;
        }
        let age = usize::from(age).min(PARTS);
        let mut counts = [0; PARTS];
        counts[age..].copy_from_slice(&self.counts[..PARTS - age]);
        Self { part: part.to_le_bytes(), counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn there_is_room_after_the_wait_and_not_before(
            now in 0u32..50, before in 0u32..50, limit in 1u32..50, remaining_ms in 1u64..=1_000,
        ) {
            let (window_ms, sliding) = (1_000, Sliding { window: 9, now, before });
            let moment = Moment { window: 9, remaining_ms, window_ms };
            let count_in = |wait_ms: u64| {
                let then = Moment::new(9 * window_ms + window_ms - remaining_ms + wait_ms, window_ms);
                let mut later = sliding;
                later.advance(then.window);
                later.count(&then)
            };
            if sliding.count(&moment) >= limit {
                let wait_ms = sliding.wait_ms(&moment, limit);
                prop_assert!(count_in(wait_ms) < limit);
                prop_assert!(count_in(wait_ms - 1) >= limit);
            }
        }

        #[test]
        fn what_a_worker_sees_a_little_late_is_counted(part: u16, late in 0u16..3, counts in 1u32..9) {
            let mut recent = Recent::default();
            (0..counts).for_each(|_| recent.add(part));
            recent.add(part.wrapping_sub(late));
            prop_assert_eq!(recent.count(part), counts + 1);
            prop_assert_eq!(recent.count(part.wrapping_sub(late)), counts + 1);
        }

        #[test]
        fn whatever_happened_within_the_time_is_counted(
            mut times in prop::collection::vec(0u64..3_000, 1..40), time_ms in 1u64..900,
        ) {
            times.sort_unstable();
            let part_ms = Recent::part_ms(time_ms);
            let mut recent = Recent::default();
            for (place, now) in times.iter().enumerate() {
                let part = (now / part_ms) as u16;
                recent.add(part);
                let within = |length: u64| times[..=place].iter().filter(|time| **time + length > *now).count() as u32;
                prop_assert!(recent.count(part) >= within(time_ms));
                prop_assert!(recent.count(part) <= within(time_ms + part_ms + 4));
                prop_assert_eq!(Recent::unpacked(recent.packed()), recent);
            }
        }
    }

    proptest! {
        #[test]
        fn a_moment_that_moves_is_the_one_it_would_be(then_ms in 0u64..9_000, now_ms in 0u64..9_000, window_ms in 1u64..3_000) {
            let (moved, new) = (Moment::new(then_ms, window_ms).moved(then_ms, now_ms), Moment::new(now_ms, window_ms));
            prop_assert_eq!((moved.window, moved.remaining_ms), (new.window, new.remaining_ms));
        }
    }

    #[test]
    fn time_that_steps_back_changes_nothing() {
        let mut sliding = Sliding { window: 9, now: 3, before: 5 };
        assert_eq!(sliding.advance(8), 0);
        assert_eq!(sliding, Sliding { window: 9, now: 3, before: 5 });
    }
}
