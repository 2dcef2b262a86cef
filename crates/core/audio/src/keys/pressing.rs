//! Keys that are pressed in a stream of ours, one after the other, at the pace of a clock.
//!
//! ```text
//!           a key waits                 its last packet               the pause is over
//!   Idle ─────────────► Events, Tones ─────────────────► Pause ────────────────────────► Idle
//! ```

use super::Key;
use crate::recoder::Recoder;
use crate::sending::Sending;
use std::collections::VecDeque;
use std::time::Duration;
use sx_codec::{Digit, DtmfTone, SAMPLE_HZ};
use sx_engine::Time;
use sx_media::{Coding, KEYS_WAITING_MAX};
use sx_rtp::{Event, EventPacket, EventSender};

/// A key lasts between these: less is not heard by everybody, and nobody presses one for longer.
const KEY_MIN: Duration = Duration::from_millis(60);
const KEY_MAX: Duration = Duration::from_secs(5);
/// Between the end of a key and what follows it; the last reports of an event are sent meanwhile.
const PAUSE: Duration = Duration::from_millis(60);
/// A tone is sent in pieces of this length.
const PIECE: Duration = Duration::from_millis(20);
/// Who comes late is given so much at a time, and the rest when it asks again.
const STEPS_MAX: usize = 16;
/// How loud an event is said to be, and each of the two tones of a key is, in dBm0.
const VOLUME: u8 = 10;
const TONE_DBM0: f64 = -10.0;

/// How the receiver hears keys.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum As {
    Events(Coding),
    Tones,
}

#[derive(Debug, Default)]
pub(crate) struct Pressing {
    waiting: VecDeque<Key>,
    state: State,
    dropped: u64,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Events(Box<Series>),
    Tones(Box<Tones>),
    /// The stream stands still until then.
    Pause(Time),
}

/// An event that is being reported.
#[derive(Debug)]
struct Series {
    begun: Time,
    coding: Coding,
    /// Where it begins.
    at: u64,
    next: EventPacket,
    rest: EventSender,
}

/// A tone, and the pause behind it.
#[derive(Debug)]
struct Tones {
    tone: DtmfTone,
    tone_left: usize,
    pieces_left: u32,
    next: Time,
}

impl Pressing {
    /// Is there a key that is not over? Then there is nothing else in the stream.
    pub(crate) fn is_active(&self) -> bool {
        !matches!(self.state, State::Idle) || !self.waiting.is_empty()
    }

    /// Keys for which there was no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A key is pressed, after those that wait.
    pub(crate) fn push(&mut self, key: Key) {
        if self.waiting.len() >= KEYS_WAITING_MAX || Event::from_key(key.key).is_none() {
            self.dropped += 1;
        } else {
            self.waiting.push_back(key);
        }
    }

    /// Nobody can hear them.
    pub(crate) fn clear(&mut self) {
        self.dropped += self.waiting.len() as u64;
        (self.waiting, self.state) = (VecDeque::new(), State::Idle);
    }

    /// When the next packet is due. A key that waits begins at once.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Idle => (!self.waiting.is_empty()).then_some(Time::ZERO),
            State::Events(series) => Some(series.begun + series.next.offset),
            State::Tones(tones) => Some(tones.next),
            State::Pause(until) => Some(*until),
        }
    }

    /// Sends what is due. True: the last key is over.
    pub(crate) fn advance(&mut self, now: Time, how: As, sending: &mut Sending, recoder: &mut Option<Recoder>) -> bool {
        let was_active = self.is_active();
        for _ in 0..STEPS_MAX {
            if self.poll_timeout().is_none_or(|due| due > now) {
                break;
            }
            self.state = match std::mem::take(&mut self.state) {
                State::Idle => match self.waiting.pop_front() {
                    Some(key) => begin(now, key, how, sending, recoder),
                    None => State::Idle,
                },
                State::Events(series) => series.send(sending),
                State::Tones(tones) => tones.send(sending, recoder),
                State::Pause(_) => State::Idle,
            };
        }
        was_active && !self.is_active()
    }
}

fn begin(now: Time, key: Key, how: As, sending: &mut Sending, recoder: &mut Option<Recoder>) -> State {
    let (Some(event), Some(digit)) = (Event::from_key(key.key), Digit::from_key(key.key)) else { return State::Idle };
    let duration = Duration::from_millis(key.duration_ms.into()).clamp(KEY_MIN, KEY_MAX);
    if let Some(recoder) = recoder {
        recoder.flush(sending);
    }
    let at = sending.position_now();
    match (how, recoder) {
        (As::Events(coding), _) => {
            let mut rest = EventSender::new(event, VOLUME, duration, at as u32, coding.clock_hz);
            // A series has a first packet, whatever it is of.
            let Some(next) = rest.next() else { return State::Idle };
            State::Events(Box::new(Series { begun: now, coding, at, next, rest }))
        }
        (As::Tones, Some(recoder)) => {
            recoder.pending_at = at;
            sending.pause();
            let pieces = |duration: Duration| duration.as_nanos().div_ceil(PIECE.as_nanos()) as u32;
            let tone_left = (duration.as_nanos() * u128::from(SAMPLE_HZ) / 1_000_000_000) as usize;
            let tone = DtmfTone::new(digit, TONE_DBM0, TONE_DBM0);
            let pieces_left = pieces(duration) + pieces(PAUSE);
            State::Tones(Box::new(Tones { tone, tone_left, pieces_left, next: now }))
        }
        (As::Tones, None) => State::Idle,
    }
}

impl Series {
    fn send(mut self: Box<Self>, sending: &mut Sending) -> State {
        let EventPacket { marker, timestamp, payload, .. } = self.next;
        // Segments are further on by less than a timestamp goes round.
        let at = self.at + u64::from(timestamp.wrapping_sub(self.at as u32));
        sending.beside(self.coding.payload_type, at, marker, &payload.to_bytes());
        match self.rest.next() {
            Some(next) => {
                self.next = next;
                State::Events(self)
            }
            None => {
                let ticks = u64::from(self.rest.duration_ticks());
                let lasted = Duration::from_nanos(ticks * 1_000_000_000 / u64::from(self.coding.clock_hz.max(1)));
                sending.reach(self.at + ticks * u64::from(sending.clock_hz()) / u64::from(self.coding.clock_hz.max(1)));
                sending.pause();
                State::Pause(self.begun + lasted + PAUSE)
            }
        }
    }
}

impl Tones {
    fn send(mut self: Box<Self>, sending: &mut Sending, recoder: &mut Option<Recoder>) -> State {
        let (Some(recoder), 1..) = (recoder, self.pieces_left) else {
            sending.pause();
            return State::Idle;
        };
        let piece = (PIECE.as_nanos() * u128::from(SAMPLE_HZ) / 1_000_000_000) as usize;
        let of_tone = self.tone_left.min(piece);
        recoder.set_rate(SAMPLE_HZ);
        recoder.decoded.clear();
        recoder.decoded.extend(self.tone.by_ref().take(of_tone));
        recoder.decoded.resize(piece, 0);
        recoder.take_decoded(sending);
        self.tone_left -= of_tone;
        self.pieces_left -= 1;
        self.next = self.next + PIECE;
        State::Tones(self)
    }
}
