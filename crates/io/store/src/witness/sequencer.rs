//! The sequence of records and of writes: what waits, the write that is under way, what is durable.
//!
//! ```text
//!            due                  the disk has it          done
//!   Idle ──────────► HandingOver ────────────────► Writing ──────► Idle    (what has come meanwhile is due next)
//!    │                    │ the disk refuses          │
//!    ├── no room ─────────┴───────────────────────────┴──► Refused ──after a while──► HandingOver, the same bytes
//!    └── room, or the next segment, is being made ──► Held ──► as from Idle
//! ```
//!
//! A write that takes too long, or takes too long to be handed over, is as good as one that was refused, until it is done.
//! Nothing here touches a file: whoever holds the lock never waits for a disk.

use super::blocks::Blocks;
use super::chores::{Chore, Chores};
use super::disk::Disk;
use super::flight::{Flight, HandedOver, Ready};
use super::log::{AppendError, Shared, WitnessCounters, WitnessOptions, add};
use super::next::Next;
use super::pace::Pace;
use super::ports::PortState;
use super::segment::{Closed, Segment};
use crate::FileError;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use sx_engine::Time;
use sx_witness::{Batch, Chain, Checkpoint, IndexEntry, Renderer, SigningKey};

/// Where the writing stands.
pub(super) enum State {
    /// Nothing is under way.
    Idle,
    /// A thread hands a write to the disk, and has the disk with it.
    HandingOver,
    /// The disk is at it.
    Writing(Flight),
    /// There is no room to write into yet, or the next segment has no name yet: the thread of chores is at it.
    Held { since: Time },
    /// The disk has refused this, or more room; it is tried again at that time.
    Refused { again: Option<(Blocks, Flight)>, at: Time },
}

/// What a thread that has come by is to do.
pub(crate) enum Step {
    /// To come again then, if nothing happens before.
    Wait(Option<Time>),
    /// To hand this over, and to say what has become of it with [`Sequencer::handed_over`].
    HandOver(Ready),
}

pub(crate) struct Sequencer {
    pub(crate) options: WitnessOptions,
    pub(crate) folder: PathBuf,
    pub(crate) key: SigningKey,
    pub(crate) chain: Chain,
    pub(crate) renderer: Renderer,
    /// Not here while a write is handed over.
    pub(super) disk: Option<Box<dyn Disk>>,
    pub(crate) segment: Segment,
    pub(crate) closed: Vec<Closed>,
    pub(crate) chores: Chores,
    pub(super) state: State,
    /// Lines that no write has taken yet, and where they begin.
    out: Vec<u8>,
    out_index: Vec<IndexEntry>,
    waiting_since: Time,
    pub(super) pace: Pace,
    spare: Blocks,
    /// Checkpoints: how many records the last one covers, when it was, and those to be told once they are durable.
    pub(crate) covered: u64,
    pub(crate) checkpoint_at: Time,
    checkpoint_told: Vec<Checkpoint>,
    /// The last that is durable.
    pub(crate) last_checkpoint: Option<Checkpoint>,
    /// Segments to be removed when so many records are durable.
    pub(super) retiring: Vec<(u64, Closed)>,
    pub(super) growth: u64,
    pub(super) next: Arc<Next>,
    /// The next segment could not be made: not before this once more.
    pub(super) next_again: Option<Time>,
    /// When to see next whether a segment was kept for long enough.
    pub(super) house_at: Time,
    /// The last record is in the log.
    pub(super) sealed: bool,
    pub(super) failing_since: Option<Time>,
    /// What the disk has said last, while it refuses.
    pub(super) refusal: Option<FileError>,
    /// The write that is under way takes too long.
    pub(super) stalled: bool,
}

/// The room that is made at a time at most.
const GROWTH_MAX: u64 = 64 << 20;
/// How soon to look at a write whose end nobody is woken for.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
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
            disk: Some(disk),
            segment,
            closed,
            chores,
            state: State::Idle,
            out: Vec::new(),
            out_index: Vec::new(),
            waiting_since: now,
            pace: Pace::new(),
            spare: Blocks::default(),
            covered,
            checkpoint_at: now,
            checkpoint_told: Vec::new(),
            last_checkpoint: None,
            retiring: Vec::new(),
            next: Arc::default(),
            next_again: None,
            house_at: now,
            sealed: false,
            growth: super::segment::FIRST_ROOM,
            failing_since: None,
            refusal: None,
            stalled: false,
            options,
        }
    }

    pub(crate) fn append(&mut self, now: Time, batch: &mut Batch, shared: &Shared) -> Result<u64, AppendError> {
        if batch.is_empty() {
            return Ok(self.chain.size());
        }
        if self.sealed {
            return Err(AppendError::Closed);
        }
        let bytes_max = self.options.buffer_bytes_max;
        // Where nothing waits any batch is taken: one that is too large would never be.
        if !self.out.is_empty() && self.out.len() + batch.bytes() > bytes_max {
            add(&shared.counters.refused, batch.len() as u64);
            add(&shared.counters.batches_refused, 1);
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

    pub(crate) fn step(&mut self, now: Time, waits: bool, shared: &Shared, port: &Arc<PortState>) -> Step {
        self.finish(now, shared, port);
        match &self.state {
            State::HandingOver | State::Writing(_) => {
                let orphaned = matches!(self.state, State::Writing(Flight { port: None, .. }));
                let look = orphaned.then_some(now + LOOK_AGAIN);
                Step::Wait(self.watch(now, shared).into_iter().chain(look).min())
            }
            State::Refused { at, .. } if *at > now => Step::Wait(Some(*at)),
            State::Refused { .. } => self.try_again(now, shared, port),
            State::Held { .. } => self.begin(now, shared, port),
            State::Idle => {
                self.keep_house(now, shared);
                if self.out.is_empty() && self.is_old(now) {
                    return self.begin(now, shared, port);
                }
                self.begin_if_due(now, waits, shared, port)
            }
        }
    }

    /// Ends the write that is under way if it is done, and begins none.
    pub(crate) fn finish(&mut self, now: Time, shared: &Shared, port: &Arc<PortState>) {
        if matches!(self.state, State::Writing(_))
            && let Some((result, blocks)) = self.disk.as_mut().and_then(|disk| disk.poll())
        {
            self.finished(now, result, blocks, shared, port);
        }
    }

    /// A thread goes that may have begun what is under way, or have meant to go on with what waits. True when the others
    /// are to be woken for it.
    pub(crate) fn left_by(&mut self, port: &Arc<PortState>) -> bool {
        if let State::Writing(flight) = &mut self.state
            && flight.port.as_ref().is_some_and(|owner| Arc::ptr_eq(owner, port))
        {
            flight.port = None;
        }
        !matches!(self.state, State::Idle) || !self.out.is_empty()
    }

    /// When the next write is due at the latest, if none is under way.
    fn due(&self, now: Time, waits: bool) -> Option<Time> {
        let checkpoint =
            (self.chain.size() > self.covered).then(|| self.checkpoint_at + self.options.checkpoint_interval);
        let write = (!self.out.is_empty()).then(|| match waits {
            true => self.pace.next(self.options.gather, self.out_index.len()).max(now),
            false => (self.waiting_since + self.options.delay_max).max(now),
        });
        let full = (self.out.len() > self.options.buffer_bytes_max / 4).then_some(now);
        [checkpoint, write, full].into_iter().flatten().min()
    }

    fn begin_if_due(&mut self, now: Time, waits: bool, shared: &Shared, port: &Arc<PortState>) -> Step {
        let due = self.due(now, waits);
        if due.is_none_or(|due| due > now) {
            return Step::Wait(due);
        }
        if self.chain.size() - self.covered >= self.options.checkpoint_records
            || now >= self.checkpoint_at + self.options.checkpoint_interval
        {
            self.checkpoint_now(now, &shared.counters);
        }
        self.begin(now, shared, port)
    }

    fn begin(&mut self, now: Time, shared: &Shared, port: &Arc<PortState>) -> Step {
        match self.rotate_if_due(now, shared) {
            Ok(true) => {}
            Ok(false) => return self.hold(now, shared),
            Err(error) => return Step::Wait(Some(self.refused(now, &error, None, shared))),
        }
        if self.out.is_empty() {
            // There was nothing but the segment to be seen to.
            self.state = State::Idle;
            self.resumed(now, shared);
            return Step::Wait(self.due(now, false));
        }
        if !self.segment.has_room(self.out.len()) {
            let failed = self.segment.room.has_failed();
            self.make_room();
            if failed {
                let error = FileError::at("extend", &self.segment.path)(std::io::ErrorKind::StorageFull.into());
                return Step::Wait(Some(self.refused(now, &error, None, shared)));
            }
            if !matches!(self.state, State::Held { .. }) {
                add(&shared.counters.room_misses, 1);
            }
            return self.hold(now, shared);
        }
        if self.segment.room.end() - self.segment.write_at() < self.growth / 2 {
            self.make_room();
        }
        self.segment.begun.get_or_insert(now);
        let mut blocks = std::mem::take(&mut self.spare);
        blocks.fill(&[&self.segment.tail, &self.out]);
        let mut index = std::mem::take(&mut self.out_index);
        index.iter_mut().for_each(|entry| entry.offset += self.segment.end);
        let (size, bytes) = (self.chain.size(), self.out.len());
        let flight = Flight { size, bytes, index, begun: now, port: None };
        self.out.clear();
        self.out.shrink_to(BUFFER_BYTES_KEPT);
        shared.counters.waiting_bytes.store(0, Ordering::Relaxed);
        self.submit(now, blocks, flight, port)
    }

    /// Nothing can be written until a chore is done. The event comes then.
    fn hold(&mut self, now: Time, shared: &Shared) -> Step {
        if !matches!(self.state, State::Held { .. }) {
            self.state = State::Held { since: now };
            self.stalled = false;
        }
        let again = now + self.options.retry;
        Step::Wait(Some(self.watch(now, shared).map_or(again, |limit| limit.min(again))))
    }

    fn submit(&mut self, now: Time, blocks: Blocks, mut flight: Flight, port: &Arc<PortState>) -> Step {
        // The disk is away only while something is handed over, and nothing is begun then.
        let Some(disk) = self.disk.take() else { return Step::Wait(None) };
        flight.port = Some(port.clone());
        self.pace.begins(now, flight.index.len());
        self.stalled = false;
        self.state = State::HandingOver;
        let (file, offset) = (self.segment.file.clone(), self.segment.write_at());
        Step::HandOver(Ready { disk, file, blocks, offset, event: port.event.clone(), flight })
    }

    /// The disk has been asked.
    pub(crate) fn handed_over(&mut self, now: Time, over: HandedOver, shared: &Shared) -> Option<Time> {
        let HandedOver { disk, flight, result } = over;
        self.disk = Some(disk);
        match result {
            Ok(()) => {
                self.state = State::Writing(flight);
                self.watch(now, shared)
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
        self.resumed(now, shared);
        shared.ports.raise_waiting(port);
    }

    /// What was waiting for these records to be durable.
    fn tell_durable(&mut self, size: u64) {
        while self.checkpoint_told.first().is_some_and(|checkpoint| checkpoint.size < size) {
            let checkpoint = self.checkpoint_told.remove(0);
            self.chores.push(Chore::checkpoint(&checkpoint.note, &[]));
            self.last_checkpoint = Some(checkpoint);
        }
        for (_, closed) in self.retiring.extract_if(.., |(of, _)| *of <= size) {
            let Closed { path, first, records, .. } = closed;
            self.chores.push(Chore::Remove { path, first, records });
        }
    }

    fn try_again(&mut self, now: Time, shared: &Shared, port: &Arc<PortState>) -> Step {
        let State::Refused { again, .. } = std::mem::replace(&mut self.state, State::Idle) else {
            return Step::Wait(None);
        };
        match again {
            Some((blocks, flight)) => self.submit(now, blocks, flight, port),
            None => self.begin(now, shared, port),
        }
    }

    pub(crate) fn checkpoint_now(&mut self, now: Time, counters: &WitnessCounters) {
        if self.sealed {
            return;
        }
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
        if let Some(disk) = &self.disk
            && room.claim_growth()
        {
            let (to, path) = (room.end() + self.growth, self.segment.path.clone());
            self.chores.push(Chore::MakeRoom { opener: disk.opener(), path, to, room: room.clone() });
            // A log that needs much is given more at a time.
            self.growth = (self.growth * 2).min(GROWTH_MAX);
        }
    }
}
