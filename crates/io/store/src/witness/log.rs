//! The log, for workers and for threads that have no port.

use super::anchors::AnchorStates;
use super::chores::{Chore, Chores};
use super::disk::Event;
use super::files;
use super::grown::GrownLog;
use super::ports::{PortState, Ports};
use super::sequencer::{Parts, Sequencer};
use crate::FileError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sx_engine::Time;
use sx_witness::{Batch, Checkpoint, Draft, Kind};

/// How a log behaves.
#[derive(Clone, Debug)]
pub struct WitnessOptions {
    /// The name of this exchange, in every record.
    pub node: Box<str>,
    /// A segment that has reached so many bytes is closed and another begun.
    pub segment_bytes_max: u64,
    /// How many bytes may wait to be written; records beyond are refused.
    pub buffer_bytes_max: usize,
    /// How long after a write began the next may begin for somebody who waits: what comes meanwhile shares it.
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
    pub checkpoints: AtomicU64,
    pub refused: AtomicU64,
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
}

/// How far a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WitnessStatus {
    /// Records it has taken.
    pub records: u64,
    /// So many of them are on the disk.
    pub durable: u64,
    /// Does the disk refuse to be written to?
    pub failing: bool,
    /// So many records the last checkpoint covers, with itself; 0 when there is none.
    pub checkpoint_records: u64,
    /// When that was signed; `None`: before this process began.
    pub checkpoint_at: Option<Time>,
}

/// The log, for as many threads as want it.
#[derive(Clone)]
pub struct WitnessLog {
    pub(crate) shared: Arc<Shared>,
}

/// A worker's way to the log: with an event that says when something has become durable.
pub struct WitnessPort {
    shared: Arc<Shared>,
    state: Arc<PortState>,
}

pub(crate) struct Shared {
    sequencer: Mutex<Sequencer>,
    /// How many records are durable.
    pub(crate) durable: AtomicU64,
    pub(crate) failing: AtomicBool,
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
        Ok(WitnessPort { shared: self.shared.clone(), state: self.shared.ports.open()? })
    }

    /// What has been counted.
    pub fn counters(&self) -> Arc<WitnessCounters> {
        self.shared.counters.clone()
    }

    /// How many records are durable.
    pub fn durable(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// Does the disk refuse to be written to?
    pub fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Acquire)
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
        let line = files::checkpoint_line(&checkpoint.note, cosignatures);
        self.shared.lock().chores.push(Chore::Checkpoint { line });
    }

    /// The log's tree as its files have it, for proofs.
    pub fn grown(&self) -> GrownLog {
        GrownLog::of(self.shared.lock().folder.clone())
    }

    /// What is known of the places where its checkpoints are shown.
    ///
    /// # Errors
    /// When the file of it is there and cannot be read.
    pub fn anchor_states(&self) -> Result<AnchorStates, FileError> {
        AnchorStates::open(&self.shared.lock().folder)
    }

    /// Writes one record of a thread that has no port, and waits until it is durable, but no longer than `patience`.
    /// False: it is not durable yet; it may become so.
    pub fn record(&self, draft: &Draft<'_>, now: Time, patience: Duration) -> bool {
        let Ok(port) = self.port_for_one() else { return false };
        let mut sequencer = self.shared.lock();
        let mut batch = Batch::default();
        sequencer.renderer.render(draft, &mut batch);
        let Ok(size) = sequencer.append(now, &mut batch, &self.shared) else { return false };
        let begun = std::time::Instant::now();
        loop {
            let at = now + begun.elapsed();
            sequencer.step(at, true, &self.shared, &port);
            if self.durable() >= size {
                return true;
            }
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            drop(sequencer);
            port.event.wait_for(Some(left.min(ROUND))).ok();
            sequencer = self.shared.lock();
        }
    }

    fn port_for_one(&self) -> std::io::Result<Arc<PortState>> {
        Ok(Arc::new(PortState { event: Event::open()?, waiting: AtomicBool::new(true) }))
    }

    /// Signs all there is, and waits until that is durable, but no longer than `patience`.
    pub fn sign(&self, now: Time, patience: Duration) -> bool {
        self.shared.lock().checkpoint_now(now, &self.shared.counters);
        self.drain(now, patience)
    }

    /// Writes what waits and a last checkpoint, and waits until all is durable, but no longer than `patience`.
    pub fn close(&self, now: Time, patience: Duration) -> bool {
        let draft = Draft { outcome: "closed", ..Draft::new(now, Kind::Log) };
        let closed = self.record(&draft, now, patience);
        self.shared.lock().checkpoint_now(now, &self.shared.counters);
        let durable = closed && self.drain(now, patience);
        // What was room for more is given back.
        self.shared.lock().segment.give_room_back();
        durable
    }

    fn drain(&self, now: Time, patience: Duration) -> bool {
        let Ok(port) = self.port_for_one() else { return false };
        let begun = std::time::Instant::now();
        loop {
            let size = {
                let mut sequencer = self.shared.lock();
                sequencer.step(now + begun.elapsed(), true, &self.shared, &port);
                sequencer.chain.size()
            };
            if self.durable() >= size {
                return true;
            }
            if begun.elapsed() > patience {
                return false;
            }
            port.event.wait_for(Some(ROUND)).ok();
        }
    }
}

/// Another thread's write may be the one that is waited for, and only that thread hears of its end.
const ROUND: Duration = Duration::from_millis(1);

impl WitnessPort {
    /// Raised when something may have become durable; to be waited for as a socket is, by edges.
    pub fn event(&self) -> &Event {
        &self.state.event
    }

    /// Appends records, which leaves the batch empty. They are durable when [`durable`](Self::durable) has reached the
    /// number that comes back.
    ///
    /// # Errors
    /// When too much waits already; nothing is appended then, and the batch keeps its records.
    pub fn append(&self, now: Time, batch: &mut Batch) -> Result<u64, AppendError> {
        self.shared.lock().append(now, batch, &self.shared)
    }

    /// Finishes what is done and begins what is due; `waits` when something of this worker's waits to be durable. Says
    /// when to come again, if nothing happens before.
    pub fn step(&self, now: Time, waits: bool) -> Option<Time> {
        self.state.waiting.store(waits, Ordering::Relaxed);
        self.shared.lock().step(now, waits, &self.shared, &self.state)
    }

    /// How many records are durable.
    pub fn durable(&self) -> u64 {
        self.shared.durable.load(Ordering::Acquire)
    }

    /// Does the disk refuse to be written to?
    pub fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Acquire)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Sequencer> {
        // A thread that panics ends the process; what it leaves behind is never written.
        self.sequencer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for WitnessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WitnessLog").field("durable", &self.durable()).finish_non_exhaustive()
    }
}
