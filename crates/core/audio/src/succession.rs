//! What a party is sent by those whose turn it is, one after the other, as one stream: one source, numbers without a gap,
//! timestamps that go on with time.
//!
//! ```text
//!  a party's packets ──► pass: as they came ───────────────┐
//!                         │ something else was sent        ├──► the same source, the next number
//!  a sound, a room, ──────┴► set_sent                      │
//!  a transcoder           └──► pass: renumbered ───────────┘
//! ```
//!
//! As long as nothing else is sent a party's packets keep every byte. Whoever goes on with the stream takes over its source, and
//! from then on packets that are passed on are renumbered. Under SRTP that is what keeps the count of the numbers' rounds right
//! on both sides, and no number of a source may come twice there: what is older than the turn that it belongs to is dropped.

use crate::sending::{Sent, ticks};
use std::time::Duration;
use sx_engine::Time;
use sx_media::StreamMemory;
use sx_rtp::{Header, Packet, Ssrc, Step, Translated};

/// A stream to a party, by whoever sends it.
///
/// ```
/// use std::time::Duration;
/// use sx_audio::Succession;
/// use sx_engine::Time;
/// use sx_rtp::{Header, Packet, Ssrc};
/// use sx_types::PayloadType;
///
/// let mut succession = Succession::new();
/// let mut send = |at_ms, from: u64, ssrc, sequence, timestamp| {
///     let (marker, payload_type) = (false, PayloadType(8));
///     let mut packet = Vec::new();
///     Header { marker, payload_type, sequence, timestamp, ssrc: Ssrc(ssrc) }.write(&[0xd5; 160], &mut packet);
///     assert!(succession.pass(Time::from_millis(at_ms), from, &mut packet));
///     Packet::parse(&packet).map(|packet| packet.header())
/// };
/// let first = send(20, 1, 7, 500, 160)?;
/// assert_eq!((first.ssrc, first.sequence), (Ssrc(7), 500));
/// // The party is connected with another one.
/// let second = send(60, 2, 9, 4_000, 99_000)?;
/// assert_eq!((second.ssrc, second.sequence, second.timestamp, second.marker), (Ssrc(7), 501, 160 + 320, true));
/// # Ok::<(), sx_rtp::PacketError>(())
/// ```
#[derive(Debug)]
pub struct Succession {
    sent: Option<Sent>,
    /// Whose packets are passed on, since something else was sent.
    passing: Option<Passing>,
    /// There was more than one who sent.
    is_joined: bool,
    clock_hz: u32,
}

/// A turn of packets that are passed on.
#[derive(Debug)]
struct Passing {
    /// Who sends them.
    from: u64,
    known: Translated,
    /// The highest number that has come, and how far that is from the first.
    highest: u16,
    since_first: u64,
}

/// Where a packet belongs in its turn.
enum Place {
    /// It is the furthest.
    Ahead(u16),
    Late,
    BeforeTheFirst,
    /// It begins another turn.
    Anew,
}

impl Default for Succession {
    fn default() -> Self {
        Self::new()
    }
}

impl Succession {
    /// A stream of which nothing was sent yet.
    pub fn new() -> Self {
        Self { sent: None, passing: None, is_joined: false, clock_hz: 8_000 }
    }

    /// Timestamps likely tick so often.
    pub fn set_clock(&mut self, clock_hz: u32) {
        self.clock_hz = clock_hz.max(1);
    }

    /// A packet of RTP from somebody is about to be sent. It is made one of the stream. False: it is not to be sent.
    pub fn pass(&mut self, now: Time, from: u64, datagram: &mut [u8]) -> bool {
        let Ok(packet) = Packet::parse(datagram) else { return false };
        let (header, octets) = (packet.header(), packet.payload().len() as u32);
        let place = self.place(from, &header);
        let (is_first, is_late) = (matches!(place, Place::Anew), matches!(place, Place::Late));
        match place {
            Place::BeforeTheFirst => return false,
            Place::Late => {}
            Place::Ahead(step) => self.advance(step),
            Place::Anew => self.begin(now, from, &header),
        }
        let Some(Passing { known, .. }) = &self.passing else { return false };
        let sequence = header.sequence.wrapping_add(known.sequence);
        let timestamp = header.timestamp.wrapping_add(known.timestamp);
        let marker = header.marker || is_first && self.is_joined;
        let header = Header { marker, sequence, timestamp, ssrc: known.to, ..header };
        if !known.is_identity() || self.is_joined {
            header.write_over(datagram);
        }
        self.count((now, octets), &header, is_first, is_late);
        true
    }

    /// Packets go nowhere, as while the party is on hold: whoever comes next goes on with the numbers.
    pub fn withhold(&mut self) {
        if self.is_joined {
            self.passing = None;
        }
    }

    /// What somebody else has sent of the stream.
    pub fn set_sent(&mut self, sent: Option<Sent>) {
        let Some(sent) = sent else { return };
        if self.sent.is_none_or(|before| (before.ssrc, before.sequence) != (sent.ssrc, sent.sequence)) {
            self.passing = None;
            self.is_joined = true;
            self.sent = Some(sent);
        }
    }

    /// What was sent of the stream, by whomever.
    pub fn sent(&self) -> Option<Sent> {
        self.sent
    }

    /// Under what the packets of somebody are known that are passed on; `None` when it is not its turn.
    pub fn translated(&self, from: u64) -> Option<Translated> {
        self.passing.as_ref().filter(|passing| passing.from == from).map(|passing| passing.known)
    }

    /// What whoever goes on with the stream in another process has to know.
    pub fn remember(&self) -> Option<StreamMemory> {
        let Sent { ssrc, packets, octets, timestamp, at, clock_hz, sequence } = self.sent?;
        let (ssrc, at_ns) = (ssrc.0, at.as_nanos());
        Some(StreamMemory { ssrc, sequence, timestamp, at_ns, clock_hz, packets, octets }).filter(|_| self.is_joined)
    }

    /// Goes on with what another process has sent. It may have sent more since it has said so.
    pub fn resume(&mut self, memory: &StreamMemory) {
        let StreamMemory { ssrc, sequence, timestamp, at_ns, clock_hz, packets, octets } = *memory;
        let sequence = sequence.wrapping_add(PACKETS_MISSED_MAX);
        let (ssrc, at) = (Ssrc(ssrc), Time::from_nanos(at_ns));
        self.passing = None;
        self.is_joined = true;
        self.sent = Some(Sent { ssrc, packets, octets, timestamp, at, clock_hz: clock_hz.max(1), sequence });
    }

    fn place(&self, from: u64, header: &Header) -> Place {
        let Some(passing) = self.passing.as_ref().filter(|passing| passing.is_of(from, header)) else {
            return Place::Anew;
        };
        match Step::between(passing.highest, header.sequence) {
            Step::Ahead(step) => Place::Ahead(step),
            Step::Late(back) if u64::from(back) <= passing.since_first => Place::Late,
            // As long as nothing was renumbered nothing else has its number.
            Step::Late(_) if !self.is_joined => Place::Late,
            Step::Late(_) => Place::BeforeTheFirst,
            Step::Leap => Place::Anew,
        }
    }

    fn advance(&mut self, step: u16) {
        if let Some(passing) = &mut self.passing {
            passing.highest = passing.highest.wrapping_add(step);
            passing.since_first += u64::from(step);
        }
    }

    /// Somebody's turn begins.
    fn begin(&mut self, now: Time, from: u64, header: &Header) {
        self.is_joined |= self.passing.as_ref().is_some_and(|passing| passing.from != from);
        let known = match self.sent.filter(|_| self.is_joined) {
            Some(sent) => {
                let since = ticks(now, sent.at, self.clock_hz).max(u64::from(self.clock_hz) / PACKETS_PER_S);
                Translated {
                    from: header.ssrc,
                    to: sent.ssrc,
                    sequence: sent.sequence.wrapping_sub(header.sequence),
                    timestamp: sent.timestamp.wrapping_add(since as u32).wrapping_sub(header.timestamp),
                }
            }
            None => Translated { from: header.ssrc, to: header.ssrc, sequence: 0, timestamp: 0 },
        };
        self.passing = Some(Passing { from, known, highest: header.sequence, since_first: 0 });
    }

    fn count(&mut self, (now, octets): (Time, u32), header: &Header, is_first: bool, is_late: bool) {
        let next = header.sequence.wrapping_add(1);
        let (ssrc, clock_hz) = (header.ssrc, self.clock_hz);
        let timestamp = header.timestamp;
        let new = Sent { ssrc, packets: 0, octets: 0, timestamp, at: now, clock_hz, sequence: next };
        let sent = match &mut self.sent {
            Some(sent) if sent.ssrc == ssrc => sent,
            place => place.insert(new),
        };
        sent.packets = sent.packets.wrapping_add(1);
        sent.octets = sent.octets.wrapping_add(octets);
        if !is_late {
            sent.sequence = next;
            // The timestamp of an event stands still, and its packets come at other times.
            if is_first || header.timestamp.wrapping_sub(sent.timestamp).cast_signed() > 0 {
                (sent.timestamp, sent.at, sent.clock_hz) = (header.timestamp, now, clock_hz);
            }
        }
    }
}

impl Passing {
    fn is_of(&self, from: u64, header: &Header) -> bool {
        self.from == from && self.known.from == header.ssrc
    }
}

/// Packets a second: what follows comes after one, at least.
const PACKETS_PER_S: u64 = 50;

/// Packets that another process may have sent since it has said how far it was: ten seconds.
const PACKETS_MISSED_MAX: u16 = (PACKETS_PER_S * PATIENCE.as_secs()) as u16;
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
