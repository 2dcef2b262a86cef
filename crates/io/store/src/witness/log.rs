//! The log, for workers and for threads that have no port.

use super::anchors::AnchorStates;
use super::chores::{Chore, Chores};
use super::grown::GrownLog;
use super::missing::Watched;
use super::ports::{PortState, Ports, WitnessPort};
use super::sequencer::{Parts, Sequencer, Step};
use super::tail::LogTail;
use crate::FileError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sx_engine::Time;
use sx_witness::Checkpoint;

/// How a log behaves.
#[derive(Clone, Debug)]
pub struct WitnessOptions {
    /// The name of this exchange, in every record.
    pub node: Box<str>,
    /// A segment that has reached so many bytes is closed and another begun.
    pub segment_bytes_max: u64,
    /// How many bytes may wait to be written; records beyond are refused, unless nothing else waits.
    pub buffer_bytes_max: usize,
    /// How long after a write began the next may begin for somebody who waits: what comes meanwhile shares it. Up to three
    /// times as long where that brings 16 records.
    pub gather: Duration,
    /// How long a record for which nobody waits may wait for company.
    pub delay_max: Duration,
    /// A checkpoint is signed when there are so many records since the last,
    pub checkpoint_records: u64,
    /// or when there is any, and the last is so long ago.
    pub checkpoint_interval: Duration,
    /// How long a closed segment is kept; its index stays. `None`: for ever.
    pub keep: Option<Duration>,
    /// How many bytes of closed segments are kept.
    pub keep_bytes: u64,
    /// After how long a write that was refused is tried again.
    pub retry: Duration,
    /// The log counts as failing when a write takes so long, until it is done.
    pub stall: Duration,
}

impl Default for WitnessOptions {
    /// Segments of 64 MiB; 16 MiB may wait; a write a millisecond for those who wait, else every 20 ms; a checkpoint every
    /// 4,096 records or 10 s; everything is kept.
    fn default() -> Self {
        Self {
            node: "strowger".into(),
            segment_bytes_max: 64 << 20,
            buffer_bytes_max: 16 << 20,
            gather: Duration::from_millis(1),
            delay_max: Duration::from_millis(20),
            checkpoint_records: 4096,
            checkpoint_interval: Duration::from_secs(10),
            keep: None,
            keep_bytes: u64::MAX,
            retry: Duration::from_millis(250),
            stall: Duration::from_secs(2),
        }
    }
}

/// What a log has counted since it was opened.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each field is the metric of that name")]
pub struct WitnessCounters {
    pub records: AtomicU64,
    pub bytes: AtomicU64,
    pub commits: AtomicU64,
    pub commit_failures: AtomicU64,
    pub commit_nanos: AtomicU64,
    pub stalls: AtomicU64,
    pub checkpoints: AtomicU64,
    pub refused: AtomicU64,
    pub batches_refused: AtomicU64,
    pub waiting_bytes: AtomicU64,
    pub room_misses: AtomicU64,
    pub segments: AtomicU64,
    pub retired: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Why records were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// So much waits to be written, the disk being full or gone, that these are refused.
    #[error("{bytes_max} bytes wait to be written already; the records are refused")]
    Full {
        /// The limit.
        bytes_max: usize,
    },
    /// The log was closed.
    #[error("the witness log is closed")]
    Closed,
}

/// What opening a log has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Records that were there.
    pub records: u64,
    /// Bytes behind them that were no record, and were cut: no acknowledged record is among them.
    pub cut_bytes: u64,
    /// Segments whose index had to be written anew.
    pub indexed: u64,
    /// Closed segments that are not there although no record has retired them.
    pub missing: u64,
    /// When the last record was made, unless it is in a segment before the last.
    pub last: Option<Time>,
}

/// How far a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WitnessStatus {
    /// Records it has taken.
    pub records: u64,
    /// So many of them are on the disk.
    pub durable: u64,
    /// Does the disk refuse to be written to, does it not answer, or is a segment gone from its folder?
    pub failing: bool,
    /// So many records the last checkpoint covers, with itself; 0 when there is none.
    pub checkpoint_records: u64,
    /// When that was signed; `None` before the first of this run.
    pub checkpoint_at: Option<Time>,
}

/// The log, for as many threads as want it.
#[derive(Clone)]
pub struct WitnessLog {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    sequencer: Mutex<Sequencer>,
    /// How many records are durable.
    pub(crate) durable: AtomicU64,
    pub(crate) failing: AtomicBool,
    /// A segment is not under its name any more: what is written there nobody will find.
    pub(crate) misplaced: AtomicBool,
    /// The segments that are looked after.
    pub(crate) watched: Mutex<Vec<Watched>>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) counters: Arc<WitnessCounters>,
}

impl WitnessLog {
    /// The log on these parts; `now` is when it begins to count.
    pub(crate) fn over(parts: Parts, now: Time, ports: Arc<Ports>, chores: Chores) -> Self {
        let sequencer = Sequencer::new(parts, now, chores);
        let shared = Shared {
            durable: AtomicU64::new(sequencer.chain.size()),
            sequencer: Mutex::new(sequencer),
            failing: AtomicBool::new(false),
            misplaced: AtomicBool::new(false),
            watched: Mutex::default(),
            ports,
            counters: Arc::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A port for a worker.
    ///
    /// # Errors
    /// When the system has no event left.
    pub fn port(&self) -> std::io::Result<WitnessPort> {
        WitnessPort::open(&self.shared)
    }

    /// What has been counted.
    pub fn counters(&self) -> Arc<WitnessCounters> {
        self.shared.counters.clone()
    }

    /// How many records are durable.
    pub fn durable(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// Does the disk refuse to be written to, does it not answer, or is a segment gone from its folder?
    pub fn is_failing(&self) -> bool {
        self.shared.is_failing()
    }

    /// [`is_failing`](Self::is_failing), asked by somebody who does not write: also when every thread that writes is held by the disk.
    pub fn look(&self, now: Time) -> bool {
        self.shared.lock().watch(now, &self.shared);
        self.is_failing()
    }

    /// How far it is.
    pub fn status(&self) -> WitnessStatus {
        let sequencer = self.shared.lock();
        // Until the first checkpoint of this run its time is not known, only what the last one covers.
        let signed = self.shared.counters.checkpoints.load(Ordering::Relaxed) > 0;
        WitnessStatus {
            records: sequencer.chain.size(),
            durable: self.durable(),
            failing: self.is_failing(),
            checkpoint_records: sequencer.covered,
            checkpoint_at: signed.then_some(sequencer.checkpoint_at),
        }
    }

    /// The last checkpoint that is on the disk, of those signed since the log was opened.
    pub fn last_checkpoint(&self) -> Option<Checkpoint> {
        self.shared.lock().last_checkpoint.clone()
    }

    /// Notes for readers that witnesses have cosigned a checkpoint; the lines are theirs, without newlines.
    pub fn note_cosignatures(&self, checkpoint: &Checkpoint, cosignatures: &[&str]) {
        let lines: Vec<String> = cosignatures.iter().map(|line| (*line).to_owned()).collect();
        self.shared.lock().chores.push(Chore::checkpoint(&checkpoint.note, &lines));
    }

    /// The log's tree as its files have it, for proofs.
    pub fn grown(&self) -> GrownLog {
        let folder = self.shared.lock().folder.clone();
        GrownLog::of(folder)
    }

    /// Its records as they are written, from this one on.
    pub fn tail(&self, record: u64) -> LogTail {
        LogTail::from(&self.shared.lock().folder, record)
    }

    /// What is known of the places where its checkpoints are shown.
    ///
    /// # Errors
    /// When the file of it is there and cannot be read.
    pub fn anchor_states(&self) -> Result<AnchorStates, FileError> {
        let folder = self.shared.lock().folder.clone();
        AnchorStates::open(&folder)
    }
}

impl Shared {
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire) || self.misplaced.load(Ordering::Acquire)
    }

    /// Finishes what is done and begins what is due. The disk is asked without the lock, for it may take its time.
    pub(crate) fn step(&self, now: Time, waits: bool, port: &Arc<PortState>) -> Option<Time> {
        let step = self.lock().step(now, waits, self, port);
        match step {
            Step::Wait(due) => due,
            Step::HandOver(ready) => {
                let over = ready.hand_over();
                self.lock().handed_over(now, over, self)
            }
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Sequencer> {
        // A thread that panics ends the process; what it leaves behind is never written.
        self.sequencer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for WitnessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WitnessLog").field("durable", &self.durable()).finish_non_exhaustive()
    }
}
