//! The log for threads that are no workers: they wait until what they have written is on the disk.

use super::log::{Shared, WitnessLog};
use super::ports::WitnessPort;
use super::sequencer::Sequencer;
use std::time::{Duration, Instant};
use sx_engine::Time;
use sx_witness::{Batch, Draft, Kind};

impl WitnessLog {
    /// Writes one record, and waits until it is durable, but no longer than `patience`. False: it is not durable yet; it
    /// may become so.
    pub fn record(&self, draft: &Draft<'_>, now: Time, patience: Duration) -> bool {
        let Ok(port) = self.port() else { return false };
        let appended = {
            let mut sequencer = self.shared.lock();
            let mut batch = Batch::default();
            sequencer.renderer.render(draft, &mut batch);
            sequencer.append(now, &mut batch, &self.shared)
        };
        appended.is_ok_and(|size| port.wait_until(size, now, patience))
    }

    /// Writes the first record of a run with a checkpoint right behind it, in one write, and waits as [`record`](Self::record) does:
    /// whatever is acknowledged from now on stands behind something that is signed. What `is_unsigned` so far is signed before, so
    /// that a write that is torn leaves a log without any checkpoint only when it is the very first, and then one record at most.
    pub(super) fn begin(&self, draft: &Draft<'_>, is_unsigned: bool, now: Time, patience: Duration) -> bool {
        let Ok(port) = self.port() else { return false };
        let size = {
            let mut sequencer = self.shared.lock();
            if is_unsigned {
                sequencer.checkpoint_now(now, &self.shared.counters);
            }
            let mut batch = Batch::default();
            sequencer.renderer.render(draft, &mut batch);
            if sequencer.append(now, &mut batch, &self.shared).is_err() {
                return false;
            }
            sequencer.checkpoint_now(now, &self.shared.counters);
            sequencer.chain.size()
        };
        port.wait_until(size, now, patience)
    }

    /// Signs all there is, and waits until that is durable, but no longer than `patience`.
    pub fn sign(&self, now: Time, patience: Duration) -> bool {
        let Ok(port) = self.port() else { return false };
        let size = {
            let mut sequencer = self.shared.lock();
            sequencer.checkpoint_now(now, &self.shared.counters);
            sequencer.chain.size()
        };
        port.wait_until(size, now, patience)
    }

    /// Writes what waits, a record that says that the log ends here, and a last checkpoint, and waits until all is durable,
    /// but no longer than `patience`. Nothing is taken behind that.
    pub fn close(&self, now: Time, patience: Duration) -> bool {
        let Ok(port) = self.port() else { return false };
        let draft = Draft { outcome: "closed", ..Draft::new(now, Kind::Log) };
        let size = self.shared.lock().close(now, &draft, &self.shared);
        let durable = port.wait_until(size, now, patience);
        if durable {
            // Nothing is written any more, and the room for it is given back.
            let (file, path, end) = self.shared.lock().segment.cut_at();
            if let Err(error) = file.set_len(end) {
                tracing::warn!(%error, path = %path.display(), "the end of a segment could not be cut");
            }
        }
        durable
    }
}

impl Sequencer {
    /// The last record and the last checkpoint: nothing is taken behind them. Says how many records there are then.
    fn close(&mut self, now: Time, draft: &Draft<'_>, shared: &Shared) -> u64 {
        let mut batch = Batch::default();
        self.renderer.render(draft, &mut batch);
        // While the disk takes nothing there may be no room for it: the log has not ended in order then.
        if self.append(now, &mut batch, shared).is_ok() {
            self.checkpoint_now(now, &shared.counters);
        }
        self.sealed = true;
        self.chain.size()
    }
}

impl WitnessPort {
    /// Takes turns until so many records are durable, but no longer than `patience`.
    fn wait_until(&self, size: u64, now: Time, patience: Duration) -> bool {
        let begun = Instant::now();
        loop {
            let at = now + begun.elapsed();
            // What is done already needs nothing more to be begun.
            self.finish(at);
            if self.durable() >= size {
                return true;
            }
            let due = self.step(at, true);
            if self.durable() >= size {
                return true;
            }
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            let pause = due.map_or(left, |due| due.since(at).min(left)).min(ROUND);
            self.event().wait_for(Some(pause)).ok();
        }
    }
}

/// Nobody waits for an event longer than this without a look of its own.
const ROUND: Duration = Duration::from_millis(100);
