//! The log itself: what waits, the write that is under way, what is durable.

use super::blocks::Blocks;
use super::chores::{Chore, Chores};
use super::anchors::AnchorStates;
use super::disk::{Disk, Event};
use super::files;
use super::grown::GrownLog;
use super::ports::{PortState, Ports};
use super::segment::Segment;
use crate::FileError;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sx_engine::Time;
use sx_witness::{Batch, Chain, Checkpoint, Draft, Facts, IndexEntry, Kind, Renderer, SigningKey};

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

fn add(counter: &AtomicU64, count: u64) {
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
    durable: AtomicU64,
    failing: AtomicBool,
    ports: Arc<Ports>,
    counters: Arc<WitnessCounters>,
}

/// A write that is under way.
struct Flight {
    /// How many records are durable when it is done.
    size: u64,
    /// What it appends, in the blocks behind the tail.
    bytes: usize,
    index: Vec<IndexEntry>,
    begun: Time,
}

/// Where the writing stands.
enum State {
    /// Nothing is under way.
    Idle,
    /// The disk is at it.
    Writing(Flight),
    /// The disk has refused this, or there is no room yet to try; it is tried again at that time.
    Refused { again: Option<(Blocks, Flight)>, at: Time },
}

pub(crate) struct Sequencer {
    pub(crate) options: WitnessOptions,
    pub(crate) folder: PathBuf,
    pub(crate) key: SigningKey,
    pub(crate) chain: Chain,
    pub(crate) renderer: Renderer,
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) segment: Segment,
    pub(crate) closed: Vec<Closed>,
    chores: Chores,
    state: State,
    /// Lines that no write has taken yet, and where they begin.
    out: Vec<u8>,
    out_index: Vec<IndexEntry>,
    waiting_since: Time,
    last_begun: Time,
    spare: Blocks,
    /// Checkpoints: how many records the last one covers, when it was, and those to be told once they are durable.
    covered: u64,
    checkpoint_at: Time,
    checkpoint_told: Vec<Checkpoint>,
    /// The last that is durable.
    last_checkpoint: Option<Checkpoint>,
    /// Segments to be removed when so many records are durable.
    retiring: Vec<(u64, PathBuf)>,
    growth: u64,
    failing_since: Option<Time>,
}

/// A segment that is closed.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    pub(crate) first: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) at: Time,
    pub(crate) path: PathBuf,
}

/// The room that is made at a time at most.
const GROWTH_MAX: u64 = 64 << 20;
/// A buffer that a large commit has left is given back beyond this.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

impl WitnessLog {
    /// The log on these parts; `now` is when it begins to count.
    pub(crate) fn over(parts: Parts, now: Time, ports: Arc<Ports>, chores: Chores) -> Self {
        let Parts { options, folder, key, chain, disk, segment, closed, covered } = parts;
        let renderer = Renderer::new(&options.node);
        let size = chain.size();
        let sequencer = Sequencer {
            renderer,
            folder,
            key,
            chain,
            disk,
            segment,
            closed,
            chores,
            state: State::Idle,
            out: Vec::new(),
            out_index: Vec::new(),
            waiting_since: now,
            last_begun: Time::ZERO,
            spare: Blocks::default(),
            covered,
            checkpoint_at: now,
            checkpoint_told: Vec::new(),
            last_checkpoint: None,
            retiring: Vec::new(),
            growth: super::segment::FIRST_ROOM,
            failing_since: None,
            options,
        };
        let shared = Shared {
            sequencer: Mutex::new(sequencer),
            durable: AtomicU64::new(size),
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

    /// Writes what waits and a last checkpoint, and waits until all is durable, but no longer than `patience`.
    pub fn close(&self, now: Time, patience: Duration) -> bool {
        let draft = Draft { outcome: "closed", ..Draft::new(now, Kind::Log) };
        let closed = self.record(&draft, now, patience);
        self.shared.lock().checkpoint_now(now, &self.shared.counters);
        closed && self.drain(now, patience)
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

/// What a log is made of.
pub(crate) struct Parts {
    pub(crate) options: WitnessOptions,
    pub(crate) folder: PathBuf,
    pub(crate) key: SigningKey,
    pub(crate) chain: Chain,
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) segment: Segment,
    pub(crate) closed: Vec<Closed>,
    pub(crate) covered: u64,
}

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

impl Sequencer {
    fn append(&mut self, now: Time, batch: &mut Batch, shared: &Shared) -> Result<u64, AppendError> {
        if batch.is_empty() {
            return Ok(self.chain.size());
        }
        let bytes_max = self.options.buffer_bytes_max;
        if self.out.len() + batch.bytes() > bytes_max {
            add(&shared.counters.refused, batch.len() as u64);
            return Err(AppendError::Full { bytes_max });
        }
        if self.out.is_empty() {
            self.waiting_since = now;
        }
        self.chain.append(batch, &mut self.out, &mut self.out_index);
        add(&shared.counters.records, batch.len() as u64);
        batch.clear();
        shared.counters.waiting_bytes.store(self.out.len() as u64, Ordering::Relaxed);
        Ok(self.chain.size())
    }

    fn step(&mut self, now: Time, waits: bool, shared: &Shared, port: &Arc<PortState>) -> Option<Time> {
        if matches!(self.state, State::Writing(_))
            && let Some((result, blocks)) = self.disk.poll()
        {
            self.finished(now, result, blocks, shared, port);
        }
        match &self.state {
            State::Writing(_) => None,
            State::Refused { at, .. } if *at > now => Some(*at),
            State::Refused { .. } => self.try_again(now, shared, port),
            State::Idle => self.begin_if_due(now, waits, shared, port),
        }
    }

    /// When the next write is due at the latest, if none is under way.
    fn due(&self, now: Time, waits: bool) -> Option<Time> {
        let checkpoint = (self.chain.size() > self.covered).then(|| self.checkpoint_at + self.options.checkpoint_interval);
        let write = (!self.out.is_empty()).then(|| match waits {
            true => (self.last_begun + self.options.gather).max(now),
            false => (self.waiting_since + self.options.delay_max).max(now),
        });
        let full = (self.out.len() > self.options.buffer_bytes_max / 4).then_some(now);
        [checkpoint, write, full].into_iter().flatten().min()
    }

    fn begin_if_due(&mut self, now: Time, waits: bool, shared: &Shared, port: &Arc<PortState>) -> Option<Time> {
        let due = self.due(now, waits)?;
        if due > now {
            return Some(due);
        }
        if self.chain.size() - self.covered >= self.options.checkpoint_records
            || now >= self.checkpoint_at + self.options.checkpoint_interval
        {
            self.checkpoint_now(now, &shared.counters);
        }
        self.begin(now, shared, port)
    }

    fn begin(&mut self, now: Time, shared: &Shared, port: &Arc<PortState>) -> Option<Time> {
        if self.segment.end >= self.options.segment_bytes_max
            && let Err(error) = self.rotate(now, shared)
        {
            return Some(self.refused(now, &error, None, shared));
        }
        if !self.segment.has_room(self.out.len()) {
            add(&shared.counters.room_misses, 1);
            let failed = self.segment.room.has_failed();
            self.make_room();
            if failed {
                let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
                return Some(self.refused(now, &FileError::at("extend", &self.segment.path)(error), None, shared));
            }
            // The event comes when there is room.
            return Some(now + self.options.retry);
        }
        if self.segment.room.end() - self.segment.write_at() < self.growth / 2 {
            self.make_room();
        }
        let mut blocks = std::mem::take(&mut self.spare);
        blocks.fill(&[&self.segment.tail, &self.out]);
        let mut index = std::mem::take(&mut self.out_index);
        index.iter_mut().for_each(|entry| entry.offset += self.segment.end);
        let flight = Flight { size: self.chain.size(), bytes: self.out.len(), index, begun: now };
        self.out.clear();
        self.out.shrink_to(BUFFER_BYTES_KEPT);
        shared.counters.waiting_bytes.store(0, Ordering::Relaxed);
        self.submit(now, blocks, flight, shared, port)
    }

    fn submit(
        &mut self,
        now: Time,
        blocks: Blocks,
        flight: Flight,
        shared: &Shared,
        port: &Arc<PortState>,
    ) -> Option<Time> {
        self.last_begun = now;
        match self.disk.begin(&self.segment.file, blocks, self.segment.write_at(), &port.event) {
            Ok(()) => {
                self.state = State::Writing(flight);
                None
            }
            Err((error, blocks)) => {
                let error = FileError::at("write", &self.segment.path)(error);
                Some(self.refused(now, &error, Some((blocks, flight)), shared))
            }
        }
    }

    fn finished(
        &mut self,
        now: Time,
        result: std::io::Result<()>,
        mut blocks: Blocks,
        shared: &Shared,
        port: &Arc<PortState>,
    ) {
        let State::Writing(mut flight) = std::mem::replace(&mut self.state, State::Idle) else { return };
        if let Err(error) = result {
            let error = FileError::at("write", &self.segment.path)(error);
            self.refused(now, &error, Some((blocks, flight)), shared);
            return;
        }
        let tail = self.segment.tail.len();
        self.segment.written(&blocks.bytes()[tail..tail + flight.bytes]);
        self.segment.index.append(&mut flight.index);
        blocks.shrink(BUFFER_BYTES_KEPT);
        self.spare = blocks;
        let counters = &shared.counters;
        add(&counters.commits, 1);
        add(&counters.bytes, flight.bytes as u64);
        add(&counters.commit_nanos, u64::try_from(now.since(flight.begun).as_nanos()).unwrap_or(u64::MAX));
        shared.durable.store(flight.size, Ordering::Release);
        self.tell_durable(flight.size);
        if self.failing_since.is_some() {
            self.resumed(now, shared);
        }
        shared.ports.raise_waiting(port);
    }

    /// What was waiting for these records to be durable.
    fn tell_durable(&mut self, size: u64) {
        while self.checkpoint_told.first().is_some_and(|checkpoint| checkpoint.size < size) {
            let checkpoint = self.checkpoint_told.remove(0);
            self.chores.push(Chore::Checkpoint { line: files::checkpoint_line(&checkpoint.note, &[]) });
            self.last_checkpoint = Some(checkpoint);
        }
        while self.retiring.first().is_some_and(|(of, _)| *of <= size) {
            let (_, path) = self.retiring.remove(0);
            self.chores.push(Chore::Remove { path });
        }
    }

    /// The disk takes nothing: all is kept, and tried again.
    fn refused(&mut self, now: Time, error: &FileError, again: Option<(Blocks, Flight)>, shared: &Shared) -> Time {
        add(&shared.counters.commit_failures, 1);
        if self.failing_since.is_none() {
            tracing::error!(%error, "the witness log cannot be written; new calls are refused until it can");
            self.failing_since = Some(now);
            shared.failing.store(true, Ordering::Release);
            shared.ports.raise_all();
        }
        let at = now + self.options.retry;
        self.state = State::Refused { again, at };
        at
    }

    fn try_again(&mut self, now: Time, shared: &Shared, port: &Arc<PortState>) -> Option<Time> {
        let State::Refused { again, .. } = std::mem::replace(&mut self.state, State::Idle) else { return None };
        match again {
            Some((blocks, flight)) => self.submit(now, blocks, flight, shared, port),
            None => self.begin(now, shared, port),
        }
    }

    fn resumed(&mut self, now: Time, shared: &Shared) {
        let Some(since) = self.failing_since.take() else { return };
        let refused = shared.counters.refused.load(Ordering::Relaxed);
        tracing::info!("the witness log is written again");
        let silent_ms = i64::try_from(now.since(since).as_millis()).unwrap_or(i64::MAX);
        let facts = Facts::new().with("silent_ms", silent_ms).with("refused", refused as i64);
        let draft = Draft { outcome: "resumed", reason: "the disk could not be written", facts, ..Draft::new(now, Kind::Log) };
        let mut batch = Batch::default();
        self.renderer.render(&draft, &mut batch);
        // It finds room: what was refused before has just been written.
        let _ = self.append(now, &mut batch, shared);
        shared.failing.store(false, Ordering::Release);
        shared.ports.raise_all();
    }

    pub(crate) fn checkpoint_now(&mut self, now: Time, counters: &WitnessCounters) {
        if self.out.is_empty() {
            self.waiting_since = now;
        }
        let checkpoint = self.chain.checkpoint(now, &self.options.node, &self.key, &mut self.out, &mut self.out_index);
        self.checkpoint_at = now;
        self.covered = self.chain.size();
        add(&counters.checkpoints, 1);
        self.checkpoint_told.push(checkpoint);
    }

    fn make_room(&mut self) {
        let room = &self.segment.room;
        if room.claim_growth() {
            let to = room.end() + self.growth;
            let file = self.segment.file.clone();
            self.chores.push(Chore::MakeRoom { file, to, room: room.clone() });
            // A log that needs much is given more at a time.
            self.growth = (self.growth * 2).min(GROWTH_MAX);
        }
    }

    /// Closes the segment and begins the next, with the first record that waits.
    fn rotate(&mut self, now: Time, shared: &Shared) -> Result<(), FileError> {
        let first = self.segment.first + self.segment.index.len() as u64;
        let next = Segment::open(&mut *self.disk, &self.folder, first, 0, Vec::new(), Vec::new())?;
        let Segment { file, path, first, end, index, .. } = std::mem::replace(&mut self.segment, next);
        self.closed.push(Closed { first, records: index.len() as u64, bytes: end, at: now, path: path.clone() });
        self.chores.push(Chore::Close { file, path, first, bytes: end, entries: index });
        add(&shared.counters.segments, 1);
        self.growth = (self.growth / 2).max(super::segment::FIRST_ROOM);
        self.retire(now, shared);
        Ok(())
    }

    /// Lets segments go that were kept for long enough: a record says so first.
    fn retire(&mut self, now: Time, shared: &Shared) {
        let mut bytes: u64 = self.closed.iter().map(|closed| closed.bytes).sum();
        let too_old = |at: Time| self.options.keep.is_some_and(|keep| at + keep <= now);
        let mut last = 0;
        // The one that was closed just now may not have its index yet.
        while last + 1 < self.closed.len() && (bytes > self.options.keep_bytes || too_old(self.closed[last].at)) {
            bytes -= self.closed[last].bytes;
            last += 1;
        }
        let gone: Vec<Closed> = self.closed.drain(..last).collect();
        let (Some(from), Some(to)) = (gone.first(), gone.last()) else { return };
        let facts = Facts::new().with("first", from.first as i64).with("last", (to.first + to.records - 1) as i64);
        let draft = Draft { outcome: "retired", facts, ..Draft::new(now, Kind::Log) };
        let mut batch = Batch::default();
        self.renderer.render(&draft, &mut batch);
        if self.append(now, &mut batch, shared).is_err() {
            self.closed.splice(..0, gone);
            return;
        }
        add(&shared.counters.retired, gone.iter().map(|closed| closed.records).sum());
        let size = self.chain.size();
        self.retiring.extend(gone.into_iter().map(|closed| (size, closed.path)));
    }
}

impl std::fmt::Debug for WitnessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WitnessLog").field("durable", &self.durable()).finish_non_exhaustive()
    }
}
