//! From packets that come when they come to sound without a gap: a delay that is as short as the network allows.
//!
//! ```text
//!          the first packet has waited for the target        nothing for `gaps_max` frames
//!   Idle ───────────────────────────────────────────► Playing ────────────────────────────► Idle
//! ```
//!
//! Each packet has a place on the sender's time line, which its timestamp gives it. How much longer it took than the
//! fastest packets of the last seconds goes into a histogram, and what all but one in 150 do not exceed is the target.
//! The delay itself is nothing that is set: it is how long ago the packet that is played could have been here. It grows
//! by a frame when one is made up while the time line stands still, and shrinks by one when two frames are taken at
//! once. So a sender whose clock drifts needs no care of its own: it makes the delay grow or shrink.

mod delays;
mod interface;
#[cfg(test)]
mod tests;
mod timeline;
mod waiting;

pub use interface::{Content, Frame, Gap, GapCause, JitterConfig, JitterStats, Payload};

use crate::Header;
use delays::{Floor, Histogram};
use std::time::Duration;
use sx_engine::Time;
use timeline::Timeline;
use waiting::{Packet, Waiting};

/// Holds packets back for as long as the network makes it necessary, and yields them in order, a frame at a time.
///
/// Whoever has a clock of its own, as a mixer has, asks [`take`](Self::take) when it needs sound; whoever has none lets
/// [`poll_frame`](Self::poll_frame) and [`poll_timeout`](Self::poll_timeout) give the pace. Once its buffers have grown to
/// what the stream needs it allocates nothing.
///
/// ```
/// use std::time::Duration;
/// use sx_engine::Time;
/// use sx_rtp::{Content, Frame, Header, JitterBuffer, JitterConfig, Ssrc};
/// use sx_types::PayloadType;
///
/// let mut buffer = JitterBuffer::new(JitterConfig::new(8_000));
/// let header = Header { marker: true, payload_type: PayloadType(0), sequence: 7, timestamp: 0, ssrc: Ssrc(1) };
/// let now = Time::from_secs(1_800_000_000);
/// buffer.handle_packet(now, header, Content::Speech, &[0xff; 160]);
///
/// assert_eq!(buffer.take(now + Duration::from_millis(20)), None);
/// match buffer.take(now + Duration::from_millis(40)) {
///     Some(Frame::Payload(payload)) => assert_eq!(payload.bytes.len(), 160),
///     Some(Frame::Surplus(payload)) => println!("to be decoded and thrown away: {payload:?}"),
///     Some(Frame::Gap(gap)) => println!("to be concealed, or comfort noise: {gap:?}"),
///     None => println!("nothing to play"),
/// }
/// ```
#[derive(Clone, Debug)]
pub struct JitterBuffer {
    config: JitterConfig,
    timeline: Timeline,
    waiting: Waiting,
    floor: Option<Floor>,
    delays: Histogram,
    state: State,
    /// The number whose turn is next, and for the 64 before it, from the lowest bit on, whether they have come.
    next: u64,
    came: u64,
    /// When the last packet came.
    heard: Time,
    /// A packet has come after its turn, and nothing was done about that yet.
    was_late: bool,
    /// Since when the delay has been longer than it has to be.
    surplus_since: Option<i64>,
    /// What was yielded last.
    yielded: Vec<u8>,
    stats: JitterStats,
    /// The residual jitter in 16ths of nanoseconds, and the last delay that went into it.
    jitter_x16: i64,
    transit: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Idle(Stopped),
    Playing(Playing),
}

/// What was played before.
#[derive(Clone, Copy, Debug, Default)]
struct Stopped {
    /// Where it ended on the sender's time line.
    end: i64,
    /// Gaps that were to be concealed since, of which nobody knows yet whether the sender was silent.
    unsettled: u32,
}

#[derive(Clone, Copy, Debug)]
struct Playing {
    /// When the next frame is due for who lets us give the pace.
    due: Time,
    /// The time from a frame's place to when it was played, of the last one.
    offset: i64,
    stopped: Stopped,
    /// Gaps in a row for which nothing at all was waiting.
    dry: u32,
    /// The sender has said that it is silent now.
    quiet: bool,
}

/// What is to be done with what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing is to be played yet.
    Wait,
    Gap(GapCause),
    Play {
        surplus: i64,
    },
    LeaveOut,
    /// The first packet is of no use any more.
    Drop,
    /// The first packet carries no sound.
    PassOver,
}

/// What the delay exceeds the target by, beside a frame, before a frame is left out; what is smaller may come and go.
const SLACK: i64 = 5_000_000;

impl JitterBuffer {
    /// Nothing to play yet.
    pub fn new(config: JitterConfig) -> Self {
        Self {
            config,
            timeline: Timeline::new(config.clock_hz, nanos_of(config.frame)),
            waiting: Waiting::new(config.packets_max, config.bytes_max),
            floor: None,
            delays: Histogram::new(nanos_of(config.delay_start)),
            state: State::Idle(Stopped::default()),
            next: 0,
            came: 0,
            heard: Time::ZERO,
            was_late: false,
            surplus_since: None,
            yielded: Vec::new(),
            stats: JitterStats::default(),
            jitter_x16: 0,
            transit: None,
        }
    }

    /// A packet arrived at `now`. A new source (SSRC) and a sender that begins to count anew are played after what waits.
    pub fn handle_packet(&mut self, now: Time, header: Header, content: Content, payload: &[u8]) {
        self.heard = now;
        let now = nanos(now);
        self.stats.received += 1;
        let Some(place) = self.timeline.place(now, self.floor_nanos(), &header, content) else {
            self.stats.discarded += 1;
            return;
        };
        if place.is_anew {
            self.forget_places(place.position);
        }
        if place.number < self.next && self.came_before(place.number) {
            self.stats.duplicates += 1;
            return;
        }
        if content != Content::Nothing {
            self.measure(now, now - place.position);
        }
        if place.number < self.next {
            self.remember(place.number);
            self.stats.late += 1;
            self.was_late |= content == Content::Speech;
        } else if !self.waiting.insert(place, header, content, payload) {
            self.stats.duplicates += 1;
        } else {
            while self.waiting.is_full() {
                self.drop_first();
                self.stats.discarded += 1;
            }
        }
    }

    /// The next packet is at this place, and those before have nothing to do with it: what waits is not played any more.
    fn forget_places(&mut self, position: i64) {
        while self.waiting.len() > 0 {
            self.drop_first();
            self.stats.discarded += 1;
        }
        self.state = State::Idle(Stopped { end: position, unsettled: 0 });
        (self.floor, self.transit, self.surplus_since) = (None, None, None);
        self.was_late = false;
    }

    /// The frame that begins to sound at `at`, and lasts for as long as its samples do. `None` when there is nothing to play,
    /// which lasts for as long as whoever asks wants. A consumer that has 10 ms left over asks for what begins in 10 ms.
    pub fn take(&mut self, at: Time) -> Option<Frame<'_>> {
        let step = self.next_step(at);
        self.carry_out(at, step)
    }

    /// The next frame whose turn has come at `now`; ask until there is none.
    pub fn poll_frame(&mut self, now: Time) -> Option<Frame<'_>> {
        loop {
            let due = self.poll_timeout().filter(|due| *due <= now)?;
            let waiting = self.waiting.len();
            let step = self.next_step(due);
            // Where all that was due is of no use, something else may be due a little later.
            if step != Step::Wait || self.waiting.len() == waiting {
                return self.carry_out(due, step);
            }
        }
    }

    /// When the next frame's turn comes; `None` while there is nothing to play.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Playing(playing) => Some(playing.due),
            State::Idle(_) => {
                let first = self.waiting.first()?;
                let due = first.position.saturating_add(self.floor_nanos()).saturating_add(self.target());
                // What has waited elsewhere for long would have been due before it came.
                Some(Time::from_nanos(due.try_into().unwrap_or(0)).max(self.heard))
            }
        }
    }

    /// The frame that [`poll_frame`](Self::poll_frame) has yielded was played in so much less time.
    pub fn hasten(&mut self, by: Duration) {
        if let State::Playing(playing) = &mut self.state {
            playing.due = playing.due - by;
        }
    }

    /// What has been counted and measured so far.
    pub fn stats(&self) -> JitterStats {
        let jitter = Duration::from_nanos((self.jitter_x16 / 16).try_into().unwrap_or(0));
        JitterStats { target: duration(self.target()), jitter, ..self.stats }
    }

    /// Packets that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How long it takes until a packet of the fastest kind is played: what all but a few packets do not exceed.
    fn target(&self) -> i64 {
        let (min, max) = (nanos_of(self.config.delay_min), nanos_of(self.config.delay_max));
        // The delay comes in steps of a frame, so that it may be nearly a frame longer than the target.
        self.delays.most().min(max - self.timeline.frame()).max(min)
    }

    fn floor_nanos(&self) -> i64 {
        self.floor.as_ref().map_or(0, Floor::nanos)
    }

    fn measure(&mut self, now: i64, transit: i64) {
        let leap = nanos_of(self.config.delay_max);
        let floor = self.floor.get_or_insert_with(|| Floor::new(now, transit, leap));
        floor.update(now, transit);
        self.delays.add(transit - floor.nanos());
    }

    /// What is to be yielded at `at`, when what yields nothing has been done.
    fn next_step(&mut self, at: Time) -> Step {
        loop {
            match self.step(nanos(at)) {
                Step::Drop => {
                    self.drop_first();
                    self.stats.late += 1;
                }
                Step::PassOver => self.pass_over(),
                step => return step,
            }
        }
    }

    fn carry_out(&mut self, at: Time, step: Step) -> Option<Frame<'_>> {
        match step {
            Step::Play { surplus } => self.play(at, surplus).map(Frame::Payload),
            Step::LeaveOut => self.leave_out(at).map(Frame::Surplus),
            Step::Gap(cause) => Some(Frame::Gap(self.yield_gap(at, cause))),
            Step::Wait | Step::Drop | Step::PassOver => {
                self.stop();
                None
            }
        }
    }

    /// What is to be done at `now`. Changes nothing but what it remembers of delays that are too long or too short.
    fn step(&mut self, now: i64) -> Step {
        let (floor, target, frame) = (self.floor_nanos(), self.target(), self.timeline.frame());
        let Some(first) = self.waiting.first() else { return self.dry_step() };
        let offset = now - first.position;
        let delay = offset - floor;
        let follows = first.number <= self.next || first.begins;
        let (pauses, least) = match &self.state {
            State::Idle(_) => (true, floor + target),
            State::Playing(playing) => {
                let pauses = follows && first.position - playing.stopped.end > frame / 2;
                // Who asks earlier than expected has played faster, which is good for as long as the target is kept.
                (pauses, if pauses { floor + target } else { (floor + target).min(playing.offset - frame / 2) })
            }
        };
        if offset < least {
            return match &self.state {
                State::Idle(_) => Step::Wait,
                State::Playing(_) if follows => Step::Gap(GapCause::Pause),
                State::Playing(_) => Step::Gap(GapCause::Lost),
            };
        }
        if first.content == Content::Nothing {
            return Step::PassOver;
        }
        if delay > nanos_of(self.config.delay_max) && self.waiting.len() > 1 {
            return Step::Drop;
        }
        if pauses || first.content != Content::Speech {
            self.surplus_since = None;
            return Step::Play { surplus: 0 };
        }
        self.adapt(now, delay, target)
    }

    /// A frame is to be played, in the middle of others: or would a shorter or longer delay be better?
    fn adapt(&mut self, now: i64, delay: i64, target: i64) -> Step {
        let frame = self.timeline.frame();
        let too_short = delay < nanos_of(self.config.delay_min) || self.was_late && delay < target;
        if too_short && delay + frame <= nanos_of(self.config.delay_max) {
            return Step::Gap(GapCause::Growth);
        }
        self.was_late = false;
        let surplus = delay - target;
        if surplus < frame + SLACK {
            self.surplus_since = None;
            return Step::Play { surplus: surplus.max(0) };
        }
        let since = *self.surplus_since.get_or_insert(now);
        if now - since < nanos_of(self.config.patience) || self.waiting.len() < 2 {
            return Step::Play { surplus };
        }
        self.surplus_since = None;
        Step::LeaveOut
    }

    /// Nothing waits.
    fn dry_step(&self) -> Step {
        match &self.state {
            State::Idle(_) => Step::Wait,
            State::Playing(playing) if playing.dry >= self.config.gaps_max => Step::Wait,
            State::Playing(playing) if playing.quiet => Step::Gap(GapCause::Pause),
            State::Playing(_) => Step::Gap(GapCause::Underrun),
        }
    }

    fn stop(&mut self) {
        if let State::Playing(playing) = self.state {
            self.state = State::Idle(playing.stopped);
        }
    }

    fn yield_gap(&mut self, at: Time, cause: GapCause) -> Gap<'_> {
        let frame = self.timeline.frame();
        let dry = self.waiting.len() == 0;
        match cause {
            GapCause::Pause => self.stats.paused += 1,
            GapCause::Lost | GapCause::Underrun => self.stats.concealed += 1,
            GapCause::Growth => {
                self.stats.concealed += 1;
                self.stats.grown += 1;
            }
        }
        if let State::Playing(playing) = &mut self.state {
            playing.due = at + duration(frame);
            playing.dry = if dry { playing.dry + 1 } else { 0 };
            match cause {
                GapCause::Underrun => playing.stopped.unsettled += 1,
                GapCause::Growth => playing.offset += frame,
                GapCause::Lost => playing.stopped.end += frame,
                GapCause::Pause => {}
            }
        }
        let mut next = None;
        if cause == GapCause::Lost {
            let missing = self.next;
            self.advance(missing, false);
            next = self.waiting.first().filter(|first| first.number == missing + 1);
        }
        let next = next.map(|first| (first.header.payload_type, first.bytes.as_slice()));
        Gap { cause, duration: duration(frame), next }
    }

    fn play(&mut self, at: Time, surplus: i64) -> Option<Payload<'_>> {
        let first = self.waiting.pop()?;
        let (now, frame) = (nanos(at), self.timeline.frame());
        self.settle(&first);
        let offset = now - first.position;
        self.state = State::Playing(Playing {
            due: at + duration(frame),
            offset,
            stopped: Stopped { end: first.position + frame, unsettled: 0 },
            dry: 0,
            quiet: first.content == Content::ComfortNoise,
        });
        self.stats.played += 1;
        self.stats.delay = duration(offset - self.floor_nanos());
        //= https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1
        if let Some(before) = self.transit.replace(offset) {
            self.jitter_x16 += (offset - before).abs() - self.jitter_x16 / 16;
        }
        self.advance(first.number, true);
        Some(self.yield_payload(first, surplus))
    }

    fn leave_out(&mut self, at: Time) -> Option<Payload<'_>> {
        let first = self.waiting.pop()?;
        let frame = self.timeline.frame();
        if let State::Playing(playing) = &mut self.state {
            playing.due = at;
            playing.stopped.end = first.position + frame;
            playing.offset -= frame;
        }
        self.stats.surplus += 1;
        self.advance(first.number, true);
        Some(self.yield_payload(first, 0))
    }

    fn yield_payload(&mut self, packet: Packet, surplus: i64) -> Payload<'_> {
        let Packet { header, content, bytes, .. } = packet;
        let last = std::mem::replace(&mut self.yielded, bytes);
        self.waiting.recycle(last);
        let [duration, surplus] = [self.timeline.frame(), surplus].map(duration);
        Payload { header, content, bytes: &self.yielded, duration, surplus }
    }

    fn pass_over(&mut self) {
        let Some(first) = self.waiting.pop() else { return };
        if let State::Playing(playing) = &mut self.state {
            playing.quiet = true;
            playing.dry = 0;
        }
        self.stats.silent += 1;
        self.advance(first.number, true);
        self.waiting.recycle(first.bytes);
    }

    /// Gaps that had to be concealed, since nobody could know, turn out to have been the sender's silence.
    fn settle(&mut self, first: &Packet) {
        let (State::Idle(stopped) | State::Playing(Playing { stopped, .. })) = self.state;
        let follows = first.number <= self.next || first.begins;
        if follows && first.position - stopped.end > self.timeline.frame() / 2 {
            self.stats.concealed -= u64::from(stopped.unsettled);
            self.stats.paused += u64::from(stopped.unsettled);
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.waiting.pop() {
            self.advance(first.number, true);
            self.waiting.recycle(first.bytes);
        }
    }

    /// The turn of a number, and of all before it, is over.
    fn advance(&mut self, number: u64, came: bool) {
        let steps = (number + 1).saturating_sub(self.next);
        self.came = self.came.checked_shl(steps.try_into().unwrap_or(u32::MAX)).unwrap_or(0);
        self.next = self.next.max(number + 1);
        if came {
            self.remember(number);
        }
    }

    fn remember(&mut self, number: u64) {
        self.came |= 1_u64.checked_shl((self.next - number - 1).try_into().unwrap_or(u32::MAX)).unwrap_or(0);
    }

    fn came_before(&self, number: u64) -> bool {
        let bit = (self.next - number - 1).try_into().unwrap_or(u32::MAX);
        self.came.checked_shr(bit).unwrap_or(0) & 1 == 1
    }
}

/// Nanoseconds that can be added and subtracted without a thought of overflow.
fn nanos(time: Time) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX).min(i64::MAX / 4)
}

fn nanos_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX).min(3_600_000_000_000)
}

fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.try_into().unwrap_or(0))
}
