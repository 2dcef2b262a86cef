//! A port's place in a room: what its peer sends, on the way from the port's own thread to the one that mixes.

use crate::port::Channel;
use crate::port_sockets::PortSockets;
use crate::sys::{Chosen, Intake};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use sx_audio::{Counted, MemberId};
use sx_engine::Time;
use sx_media::Playout;

/// What both threads have of a member.
pub(crate) struct Seat {
    sockets: Arc<PortSockets>,
    /// Locked for as long as it takes to copy a packet, or to take all of them away at once.
    inbox: Mutex<Inbox>,
    /// Nobody takes anything away: there is no room.
    is_refused: AtomicBool,
    has_left: AtomicBool,
    decoded: AtomicU64,
    undecodable: AtomicU64,
    /// Packets that were not played out, and how many microseconds the jitter buffer holds.
    not_played: AtomicU64,
    held_us: AtomicU64,
}

impl Seat {
    fn new(sockets: Arc<PortSockets>) -> Self {
        Self {
            sockets,
            inbox: Mutex::default(),
            is_refused: AtomicBool::new(false),
            has_left: AtomicBool::new(false),
            decoded: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
            not_played: AtomicU64::new(0),
            held_us: AtomicU64::new(UNKNOWN),
        }
    }

    /// Who sits there: the port.
    pub(crate) fn member(&self) -> MemberId {
        MemberId(self.sockets.id().0)
    }

    pub(crate) fn sockets(&self) -> &PortSockets {
        &self.sockets
    }

    /// Packets of a batch have arrived. How many older ones had to make room.
    pub(crate) fn receive(&self, now: Time, received: &mut Intake, rtp: Chosen, rtcp: Chosen) -> u64 {
        if self.is_refused.load(Ordering::Relaxed) {
            return 0;
        }
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        for (channel, chosen) in [(Channel::Rtp, rtp), (Channel::Rtcp, rtcp)] {
            for index in chosen.indices() {
                let (_, packet) = received.batch().packet(index);
                dropped += u64::from(inbox.push(now, channel, packet));
            }
        }
        dropped
    }

    /// Takes all that has arrived away, for an inbox that is empty.
    pub(crate) fn swap(&self, empty: &mut Inbox) {
        std::mem::swap(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner), empty);
    }

    /// There is a place for it, or none.
    pub(crate) fn set_refused(&self, refused: bool) {
        self.is_refused.store(refused, Ordering::Relaxed);
    }

    /// Does it take part no more?
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Acquire) || self.sockets.is_closed()
    }

    /// How the packets of its peer are played out; `None`: they are not.
    pub(crate) fn set_playout(&self, playout: Option<Playout>) {
        let Some(Playout { discarded, duplicates, delay, .. }) = playout else { return };
        self.not_played.store(discarded + duplicates, Ordering::Relaxed);
        let held_us = u64::try_from(delay.as_micros()).unwrap_or(UNKNOWN);
        self.held_us.store(held_us, Ordering::Relaxed);
    }

    pub(crate) fn set_counted(&self, counted: Counted) {
        self.decoded.store(counted.decoded, Ordering::Relaxed);
        self.undecodable.store(counted.undecodable, Ordering::Relaxed);
    }
}

/// What a port that takes part has: when it is dropped, the member leaves.
pub(crate) struct Attending {
    room: Arc<str>,
    seat: Arc<Seat>,
}

impl Attending {
    pub(crate) fn new(room: Arc<str>, sockets: Arc<PortSockets>) -> Self {
        Self { room, seat: Arc::new(Seat::new(sockets)) }
    }

    pub(crate) fn room(&self) -> &str {
        &self.room
    }

    pub(crate) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// How what the peer sends is played out.
    pub(crate) fn played_out(&self) -> PlayedOut {
        PlayedOut::of(&self.seat)
    }

    /// Packets decoded so far, and those that could not be.
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.seat.decoded.load(Ordering::Relaxed), self.seat.undecodable.load(Ordering::Relaxed))
    }
}

impl PlayedOut {
    fn of(seat: &Seat) -> Self {
        let held = seat.held_us.load(Ordering::Relaxed);
        let held = (held != UNKNOWN).then(|| Duration::from_micros(held));
        Self { missing: seat.not_played.load(Ordering::Relaxed), held }
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        self.seat.has_left.store(true, Ordering::Release);
    }
}

/// How the packets of a peer are played out, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlayedOut {
    /// Packets that were received and not played.
    pub(crate) missing: u64,
    /// What the jitter buffer holds.
    pub(crate) held: Option<Duration>,
}

/// Nothing has been played out yet.
const UNKNOWN: u64 = u64::MAX;

/// Packets in the order in which they came, at most [`INBOX_MAX`].
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: VecDeque<Arrived>,
    /// Their buffers, when they were looked at.
    spare: Vec<Vec<u8>>,
}

/// A packet, and when it came.
struct Arrived {
    at: Time,
    channel: Channel,
    bytes: Vec<u8>,
}

impl Inbox {
    /// True when the oldest had to make room.
    pub(crate) fn push(&mut self, at: Time, channel: Channel, packet: &[u8]) -> bool {
        let oldest = if self.waiting.len() >= INBOX_MAX { self.waiting.pop_front() } else { None };
        let is_full = oldest.is_some();
        let mut bytes = oldest.map(|oldest| oldest.bytes).or_else(|| self.spare.pop()).unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(packet);
        self.waiting.push_back(Arrived { at, channel, bytes });
        is_full
    }

    /// Shows each packet, and is empty afterwards.
    pub(crate) fn drain(&mut self, mut show: impl FnMut(Time, Channel, &[u8])) {
        while let Some(Arrived { at, channel, bytes }) = self.waiting.pop_front() {
            show(at, channel, &bytes);
            self.spare.push(bytes);
        }
    }
}

/// More than comes in a tick of 20 ms from whoever sends sound, even if a network has held it back for half a second.
const INBOX_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_displaces_the_oldest() {
        let mut inbox = Inbox::default();
        for round in 0..3_u8 {
            let dropped =
                (0..40_u8).filter(|number| inbox.push(Time::from_secs(1), Channel::Rtp, &[*number, round])).count();
            assert_eq!(dropped, 40 - INBOX_MAX);
            let mut shown = Vec::new();
            inbox.drain(|_, _, packet| shown.push(packet.to_vec()));
            assert_eq!(shown, (8..40).map(|number| vec![number, round]).collect::<Vec<_>>());
            assert!(inbox.spare.len() <= INBOX_MAX);
        }
    }
}
