//! When nothing can be written: the disk refuses, or does not answer. It is said once, and once more when it is over.

use super::blocks::Blocks;
use super::flight::Flight;
use super::log::{AppendError, Shared, add};
use super::sequencer::{Sequencer, State};
use crate::FileError;
use std::sync::atomic::Ordering;
use sx_engine::Time;
use sx_witness::{Batch, Draft, Facts, Kind};

impl Sequencer {
    /// Does what is under way take too long? Says when to look again.
    pub(crate) fn watch(&mut self, now: Time, shared: &Shared) -> Option<Time> {
        let since = match &self.state {
            State::HandingOver | State::Writing(_) => self.pace.begun(),
            State::Held { since } => *since,
            State::Idle | State::Refused { .. } => return None,
        };
        if self.stalled {
            return None;
        }
        let limit = since + self.options.stall;
        if now < limit {
            return Some(limit);
        }
        self.stalled = true;
        add(&shared.counters.stalls, 1);
        let error = FileError::at("write", &self.segment.path)(std::io::ErrorKind::TimedOut.into());
        self.fail(since, &error, shared);
        None
    }

    /// The disk takes nothing: all is kept, and tried again.
    pub(super) fn refused(
        &mut self,
        now: Time,
        error: &FileError,
        again: Option<(Blocks, Flight)>,
        shared: &Shared,
    ) -> Time {
        add(&shared.counters.commit_failures, 1);
        self.fail(now, error, shared);
        self.refusal = Some(error.copy());
        let at = now + self.options.retry;
        self.state = State::Refused { again, at };
        at
    }

    /// Nothing can be written since then: said once, however often it is tried. A silence that no record tells of yet, for there
    /// was no room for one, goes on.
    fn fail(&mut self, since: Time, error: &FileError, shared: &Shared) {
        self.failing_since.get_or_insert(since);
        if !shared.failing.swap(true, Ordering::AcqRel) {
            tracing::error!(%error, "the witness log cannot be written; new calls are refused until it can");
            shared.ports.raise_all();
        }
    }

    /// What the disk has said last, if it has refused what is to be written.
    pub(super) fn refusal(&self) -> Option<FileError> {
        self.refusal.as_ref().map(FileError::copy)
    }

    /// Something was written: if nothing could be for a while, a record says so.
    pub(super) fn resumed(&mut self, now: Time, shared: &Shared) {
        let Some(since) = self.failing_since.take() else { return };
        self.refusal = None;
        let refused = shared.counters.refused.load(Ordering::Relaxed);
        if shared.failing.swap(false, Ordering::AcqRel) {
            tracing::info!("the witness log is written again");
            shared.ports.raise_all();
        }
        let silent_ms = i64::try_from(now.since(since).as_millis()).unwrap_or(i64::MAX);
        let facts = Facts::new().with("silent_ms", silent_ms).with("refused", refused as i64);
        let draft =
            Draft { outcome: "resumed", reason: "the disk could not be written", facts, ..Draft::new(now, Kind::Log) };
        let mut batch = Batch::default();
        self.renderer.render(&draft, &mut batch);
        // Where so much waits again that it finds no room, the next write says it.
        if let Err(AppendError::Full { .. }) = self.append(now, &mut batch, shared) {
            self.failing_since = Some(since);
        }
    }
}
