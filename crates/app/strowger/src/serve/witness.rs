//! A worker's thread and the witness log: records go into it before the turn's messages leave, and what waits for them
//! goes on when they are on the disk.

use std::collections::VecDeque;
use sx_engine::Time;
use sx_store::WitnessPort;
use sx_witness::Batch;
use tracing::error;

/// A worker's records on their way to the disk.
pub struct WitnessShell {
    port: WitnessPort,
    /// How many of this worker's records the log has taken when its size was so many, oldest first.
    marks: VecDeque<Mark>,
    durable: u64,
    failing: bool,
    /// The log has not taken the last records.
    refused: bool,
    /// When to look again, if nothing happens before.
    due: Option<Time>,
}

struct Mark {
    made: u64,
    size: u64,
}

/// What a worker is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// So many of its records are on the disk.
    pub durable: u64,
    /// No more can be written for now.
    pub failing: bool,
}

impl WitnessShell {
    pub fn new(port: WitnessPort) -> Self {
        Self { port, marks: VecDeque::new(), durable: 0, failing: false, refused: false, due: None }
    }

    /// Hands the records of a turn over, the worker having made so many by now.
    pub fn take(&mut self, now: Time, batch: &mut Batch, made: u64) {
        if batch.is_empty() {
            return;
        }
        match self.port.append(now, batch) {
            Ok(size) => {
                self.marks.push_back(Mark { made, size });
                self.refused = false;
            }
            // They stay in the batch, which is bounded, and are offered again with those of the next turn.
            Err(error) => {
                if !self.failing && !self.refused {
                    error!(%error, "records wait outside of the witness log");
                }
                self.refused = true;
            }
        }
    }

    /// Begins and ends writes as they are due, and says what that has changed.
    pub fn step(&mut self, now: Time, waits: bool) -> Option<Progress> {
        self.due = self.port.step(now, waits);
        let size = self.port.durable();
        let before = (self.durable, self.failing);
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.size <= size) {
            self.durable = mark.made;
        }
        self.failing = self.port.is_failing();
        let progress = Progress { durable: self.durable, failing: self.failing };
        ((self.durable, self.failing) != before).then_some(progress)
    }

    /// When to come again at the latest.
    pub fn due(&self) -> Option<Time> {
        self.due
    }
}
