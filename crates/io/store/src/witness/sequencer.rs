//! The sequence of records and of writes: what waits, the write that is under way, what is durable.
//!
//! ```text
//!            due                     done
//!   Idle ──────────► Writing ──────────────► Idle        (what has come meanwhile is due next)
//!    │                  │ the disk refuses
//!    └── no room ───────┴─────► Refused ──after a while──► Writing, with the same bytes
//! ```

use super::blocks::Blocks;
use super::chores::{Chore, Chores};
use super::disk::Disk;
use super::files;
use super::log::{AppendError, Shared, WitnessCounters, WitnessOptions, add};
use super::ports::PortState;
use super::segment::Segment;
use crate::FileError;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use sx_engine::Time;
use sx_witness::{Batch, Chain, Checkpoint, Draft, Facts, IndexEntry, Kind, Renderer, SigningKey};

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
    pub(crate) chores: Chores,
    state: State,
    /// Lines that no write has taken yet, and where they begin.
    out: Vec<u8>,
    out_index: Vec<IndexEntry>,
    waiting_since: Time,
    last_begun: Time,
    spare: Blocks,
    /// Checkpoints: how many records the last one covers, when it was, and those to be told once they are durable.
    pub(crate) covered: u64,
    pub(crate) checkpoint_at: Time,
    checkpoint_told: Vec<Checkpoint>,
    /// The last that is durable.
    pub(crate) last_checkpoint: Option<Checkpoint>,
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

impl Sequencer {
    pub(crate) fn new(parts: Parts, now: Time, chores: Chores) -> Self {
        let Parts { options, folder, key, chain, disk, segment, closed, covered } = parts;
        let renderer = Renderer::new(&options.node);
        Self {
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
        }
    }

    pub(crate) fn append(&mut self, now: Time, batch: &mut Batch, shared: &Shared) -> Result<u64, AppendError> {
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

    pub(crate) fn step(&mut self, now: Time, waits: bool, shared: &Shared, port: &Arc<PortState>) -> Option<Time> {
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
        let checkpoint =
            (self.chain.size() > self.covered).then(|| self.checkpoint_at + self.options.checkpoint_interval);
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
        let draft =
            Draft { outcome: "resumed", reason: "the disk could not be written", facts, ..Draft::new(now, Kind::Log) };
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
        self.retiring.extend(gone.into_iter().map(|closed| (size, closed.path)));
    }
}
