//! What goes out: numbered, stamped and counted.

use sx_codec::EncodeError;
use sx_engine::{Rng, Time};
use sx_rtp::{Header, Ssrc};
use sx_types::PayloadType;

/// Packets that have not been taken yet; more are never made of one that comes in.
const WAITING_MAX: usize = 64;

/// A stream that is sent, as far as a report needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its source.
    pub ssrc: Ssrc,
    /// Packets so far.
    pub packets: u32,
    /// Their payload, in bytes.
    pub octets: u32,
    /// The timestamp of the last of them that was sound.
    pub timestamp: u32,
    /// When that was sent.
    pub at: Time,
    /// Ticks a second of the timestamp.
    pub clock_hz: u32,
    /// The sequence number of the next packet.
    pub sequence: u16,
}

/// A stream that is sent. Positions are ticks since it began, and only go forward.
#[derive(Debug)]
pub(crate) struct Sending {
    ssrc: Ssrc,
    sequence: u16,
    /// The timestamp at position 0.
    base: u32,
    /// The position that nothing may go before.
    end: u64,
    /// The next packet comes after a pause.
    marker: bool,
    last: Option<Sent>,
    /// The furthest position of a packet, and the position of the last sound.
    last_at: u64,
    sound_at: u64,
    now: Time,
    clock_hz: u32,
    waiting: Vec<u8>,
    ends: Vec<usize>,
    taken: usize,
    /// Packets that are missing since their sound could not be encoded.
    encode_errors: u64,
}

impl Sending {
    //= https://www.rfc-editor.org/rfc/rfc3550#section-5.1
    // The first sequence number and the first timestamp should be random.
    pub(crate) fn new(ssrc: Ssrc, clock_hz: u32, rng: &mut Rng) -> Self {
        Self {
            ssrc,
            sequence: rng.u32() as u16,
            base: rng.u32(),
            end: 0,
            marker: true,
            last: None,
            last_at: 0,
            sound_at: 0,
            now: Time::ZERO,
            clock_hz,
            waiting: Vec::new(),
            ends: Vec::new(),
            taken: 0,
            encode_errors: 0,
        }
    }

    /// It goes on with what was sent before, in the name of the source that it had then. Under a key of SRTP no sequence number may come again, so that one
    /// that goes back would have nothing sent.
    pub(crate) fn resume(&mut self, now: Time, before: &Sent) {
        let since = ticks(now, before.at, self.clock_hz).max(u64::from(self.clock_hz) / 50);
        self.ssrc = before.ssrc;
        self.sequence = before.sequence;
        self.base = before.timestamp.wrapping_add(since as u32).wrapping_sub(self.end as u32);
        self.last = Some(Sent { clock_hz: self.clock_hz, ..*before });
    }

    /// Something has come in: what was not taken of the last is gone.
    pub(crate) fn begin(&mut self, now: Time) {
        self.now = now;
        self.waiting.clear();
        self.ends.clear();
        self.taken = 0;
    }

    /// From now on timestamps tick so often.
    pub(crate) fn set_clock(&mut self, clock_hz: u32) {
        self.clock_hz = clock_hz;
    }

    /// The position that nothing may go before.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The position that belongs to now, by the time since the last packet.
    pub(crate) fn position_now(&self) -> u64 {
        let since = self.last.map_or(0, |last| ticks(self.now, last.at, self.clock_hz));
        self.end.max(self.sound_at + since)
    }

    /// Ticks a second of what goes out.
    pub(crate) fn clock_hz(&self) -> u32 {
        self.clock_hz
    }

    /// Nothing may go before this position any more.
    pub(crate) fn reach(&mut self, at: u64) {
        self.end = self.end.max(at);
    }

    /// The position of the last packet.
    pub(crate) fn last_position(&self) -> u64 {
        self.last_at
    }

    /// What comes next comes after a pause.
    pub(crate) fn pause(&mut self) {
        self.marker = true;
    }

    /// So many packets are missing that the receiver is to know of.
    pub(crate) fn skip(&mut self, packets: u16) {
        self.sequence = self.sequence.wrapping_add(packets);
        if let Some(last) = &mut self.last {
            last.sequence = self.sequence;
        }
    }

    /// Time passes without a packet.
    pub(crate) fn pass(&mut self, ticks: u64) {
        self.end += ticks;
    }

    /// What has come of a frame that begins at a position and lasts for so many ticks: a packet, or none in a pause that the
    /// encoder has found, and where it has failed.
    pub(crate) fn coded(
        &mut self,
        payload_type: PayloadType,
        at: u64,
        ticks: u64,
        payload: Result<&[u8], EncodeError>,
    ) {
        match payload {
            Ok(payload) if !payload.is_empty() => return self.sound(payload_type, at, ticks, false, payload),
            Ok(_) => {}
            Err(_) => self.encode_errors += 1,
        }
        self.pass(ticks);
        self.pause();
    }

    /// How many packets are missing, since this was last asked, because their sound could not be encoded.
    pub(crate) fn take_encode_errors(&mut self) -> u64 {
        std::mem::take(&mut self.encode_errors)
    }

    /// A packet of sound that begins at a position and lasts for so many ticks.
    pub(crate) fn sound(&mut self, payload_type: PayloadType, at: u64, ticks: u64, marker: bool, payload: &[u8]) {
        let marker = std::mem::take(&mut self.marker) || marker;
        self.put(payload_type, at, marker, payload);
        if let Some(last) = &mut self.last {
            (last.timestamp, last.at, last.clock_hz) = (self.base.wrapping_add(at as u32), self.now, self.clock_hz);
            self.sound_at = at;
        }
        self.end = self.end.max(at + ticks);
    }

    /// A packet of something beside the sound.
    pub(crate) fn beside(&mut self, payload_type: PayloadType, at: u64, marker: bool, payload: &[u8]) {
        self.put(payload_type, at, marker, payload);
        self.end = self.end.max(at);
    }

    fn put(&mut self, payload_type: PayloadType, at: u64, marker: bool, payload: &[u8]) {
        if self.ends.len() >= WAITING_MAX {
            return;
        }
        let timestamp = self.base.wrapping_add(at as u32);
        let header = Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        header.write(payload, &mut self.waiting);
        self.ends.push(self.waiting.len());
        self.sequence = self.sequence.wrapping_add(1);
        self.last_at = self.last_at.max(at);
        let (at, clock_hz) = (self.now, self.clock_hz);
        let sequence = self.sequence;
        let new = Sent { ssrc: self.ssrc, packets: 0, octets: 0, timestamp, at, clock_hz, sequence };
        let last = self.last.get_or_insert(new);
        last.sequence = sequence;
        last.packets = last.packets.wrapping_add(1);
        last.octets = last.octets.wrapping_add(payload.len() as u32);
    }

    /// What was made since something has come in is not sent: its numbers are those of what comes next. So nobody misses it,
    /// and SRTP, which knows of numbers by halves of their range, does not lose count.
    pub(crate) fn withdraw(&mut self) {
        let packets = self.ends.len();
        self.sequence = self.sequence.wrapping_sub(packets as u16);
        if let Some(last) = &mut self.last {
            let octets = self.waiting.len().saturating_sub(packets * Header::LEN);
            last.packets = last.packets.wrapping_sub(packets as u32);
            last.octets = last.octets.wrapping_sub(octets as u32);
            last.sequence = self.sequence;
        }
        self.marker |= packets > 0;
        self.begin(self.now);
    }

    /// The next packet to be sent.
    pub(crate) fn poll(&mut self) -> Option<&[u8]> {
        let end = *self.ends.get(self.taken)?;
        let begin = self.taken.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.taken += 1;
        Some(&self.waiting[begin..end])
    }

    pub(crate) fn sent(&self) -> Option<Sent> {
        self.last
    }
}

/// Ticks between two moments.
pub(crate) fn ticks(now: Time, earlier: Time, clock_hz: u32) -> u64 {
    (now.since(earlier).as_nanos() * u128::from(clock_hz) / 1_000_000_000) as u64
}
