//! One segment after the other: when the next begins, and when the oldest may go.

use super::chores::Chore;
use super::files;
use super::log::{Shared, add};
use super::next::Stage;
use super::segment::{Closed, FIRST_ROOM, Segment};
use super::sequencer::Sequencer;
use crate::FileError;
use std::path::Path;
use std::time::Duration;
use sx_engine::Time;
use sx_witness::{Batch, Draft, Facts, Kind};

/// How often the log looks whether segments were kept for long enough.
const HOUR: Duration = Duration::from_secs(3600);
/// Where segments go when they were kept for long enough, one is closed at this age, so that it may go.
const AGE_MAX: Duration = Duration::from_secs(86_400);

impl Sequencer {
    /// Begins the next segment when this one is full or old enough, as far as that has come. False while nothing may be
    /// written: the next one is about to get its name.
    pub(super) fn rotate_if_due(&mut self, now: Time, shared: &Shared) -> Result<bool, FileError> {
        let bytes_max = self.options.segment_bytes_max;
        if self.segment.end < bytes_max && !self.is_old(now) {
            if self.segment.end >= bytes_max / 2 && matches!(*self.next.stage(), Stage::Unmade) {
                self.make_next(now);
            }
            return Ok(true);
        }
        // While the next one is not there this one goes on, within bounds.
        let goes_on = self.segment.end < bytes_max.saturating_mul(2);
        let next = self.next.clone();
        let mut stage = next.stage();
        match std::mem::take(&mut *stage) {
            Stage::Unmade => {
                drop(stage);
                self.make_next(now);
                Ok(goes_on)
            }
            Stage::Making => {
                *stage = Stage::Making;
                Ok(goes_on)
            }
            Stage::MakingFailed(error) => {
                if self.next_again.is_none() {
                    tracing::warn!(%error, "the next segment of the witness log cannot be prepared; this one goes on");
                }
                self.next_again = Some(now + self.options.retry);
                if goes_on { Ok(true) } else { Err(error) }
            }
            Stage::Made(blank) => {
                *stage = Stage::Naming(blank);
                let path = files::path_of(&self.folder, self.segment.next(), files::SEGMENT);
                self.chores.push(Chore::Name { next: self.next.clone(), path });
                Ok(false)
            }
            Stage::NamingFailed(blank, error) => {
                *stage = Stage::Made(blank);
                Err(error)
            }
            Stage::Naming(blank) => {
                *stage = Stage::Naming(blank);
                Ok(false)
            }
            Stage::Named(blank, path) => {
                drop(stage);
                let next = Segment::begin(blank, path, self.segment.next());
                self.turn_to(now, next, shared);
                Ok(true)
            }
        }
    }

    /// Does the segment end for its age, though it is not full?
    pub(super) fn is_old(&self, now: Time) -> bool {
        let age_max = self.options.keep.map(|keep| keep.min(AGE_MAX));
        let begun = self.segment.begun.filter(|_| !self.segment.index.is_empty());
        age_max.zip(begun).is_some_and(|(age_max, begun)| begun + age_max <= now)
    }

    fn make_next(&mut self, now: Time) {
        if self.next_again.is_some_and(|again| again > now) {
            return;
        }
        if let Some(disk) = &self.disk {
            *self.next.stage() = Stage::Making;
            self.chores.push(Chore::Make { next: self.next.clone(), opener: disk.opener() });
        }
    }

    /// Closes the segment; what waits is written into this one.
    fn turn_to(&mut self, now: Time, next: Segment, shared: &Shared) {
        let Segment { path, first, end, index, room, .. } = std::mem::replace(&mut self.segment, next);
        room.give_up();
        self.closed.push(Closed { first, records: index.len() as u64, bytes: end, at: now, path: path.clone() });
        self.chores.push(Chore::Close { path, first, bytes: end, entries: index });
        add(&shared.counters.segments, 1);
        self.growth = (self.growth / 2).max(FIRST_ROOM);
        self.next_again = None;
        self.retire(now, shared);
    }

    /// Is this segment one that is still to be there?
    pub(super) fn keeps(&self, path: &Path) -> bool {
        let retiring = self.retiring.iter().map(|(_, closed)| closed);
        self.segment.path == path || self.closed.iter().chain(retiring).any(|closed| closed.path == path)
    }

    /// What time brings about, whether or not anything is written.
    pub(super) fn keep_house(&mut self, now: Time, shared: &Shared) {
        if now >= self.house_at {
            self.house_at = now + HOUR;
            self.retire(now, shared);
        }
    }

    /// Lets segments go that were kept for long enough: a record says so first.
    fn retire(&mut self, now: Time, shared: &Shared) {
        let mut bytes: u64 = self.closed.iter().map(|closed| closed.bytes).sum();
        let too_old = |at: Time| self.options.keep.is_some_and(|keep| at + keep <= now);
        let mut last = 0;
        while last < self.closed.len() && (bytes > self.options.keep_bytes || too_old(self.closed[last].at)) {
            bytes -= self.closed[last].bytes;
            last += 1;
        }
        let gone: Vec<Closed> = self.closed.drain(..last).collect();
        let Some(to) = gone.last() else { return };
        // All that is gone, for the record that said so of the earlier ones may be gone as well.
        let facts = Facts::new().with("first", 0).with("last", (to.first + to.records - 1) as i64);
        let draft = Draft { outcome: "retired", facts, ..Draft::new(now, Kind::Log) };
        let mut batch = Batch::default();
        self.renderer.render(&draft, &mut batch);
        if self.append(now, &mut batch, shared).is_err() {
            self.closed.splice(..0, gone);
            return;
        }
        // Signed before anything goes: nobody else could have written that it may.
        self.checkpoint_now(now, &shared.counters);
        add(&shared.counters.retired, gone.iter().map(|closed| closed.records).sum());
        let size = self.chain.size();
        self.retiring.extend(gone.into_iter().map(|closed| (size, closed)));
    }
}
