//! What is read of a packet, and what is counted of a stream, whatever its payload type.

use crate::quality::Losses;
use std::time::Duration;
use sx_engine::Time;
use sx_rtp::{BurstTracker, Burstiness, Header, Sequencing, Ssrc, is_rtcp};

/// What a datagram on a media port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Rtp(Header),
    Rtcp,
    /// Neither: STUN, DTLS, keep-alives, noise.
    Malformed,
}

impl Packet {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        if is_rtcp(bytes) {
            return if holds_first_packet(bytes) { Self::Rtcp } else { Self::Malformed };
        }
        sx_rtp::Packet::parse(bytes).map_or(Self::Malformed, |packet| Self::Rtp(packet.header()))
    }
}

/// Is the first RTCP packet whole? The others are not looked at: SRTCP encrypts them and appends its tag, and both it
/// and reduced-size RTCP are relayed like any other.
fn holds_first_packet(bytes: &[u8]) -> bool {
    let words = match bytes {
        [_, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => return false,
    };
    (words + 1) * 4 <= bytes.len()
}

/// What the packets of a peer say about their way here, over all the sources it sends in turn.
#[derive(Debug)]
pub(crate) struct Reception {
    ssrc: Ssrc,
    /// Counts sequence numbers of the present source; its clock is not used.
    sequence: sx_rtp::Reception,
    /// Of sources that have been replaced or have restarted.
    before: Counts,
    losses: Losses,
    timing: Timing,
    /// When the present source was heard first.
    begun: Option<Time>,
}

/// How the present source is received, since it began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SourceReception {
    pub(crate) ssrc: Ssrc,
    pub(crate) bursts: Burstiness,
    /// The share of packets that was lost.
    pub(crate) loss: f64,
    /// What a packet holds, on the average.
    pub(crate) packet: Duration,
}

/// Packets of all sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) expected: u64,
    pub(crate) received: u64,
    /// Duplicates make up for losses of the same source.
    pub(crate) lost: u64,
}

impl Reception {
    pub(crate) fn new() -> Self {
        Self {
            ssrc: Ssrc(0),
            sequence: sx_rtp::Reception::new(0),
            before: Counts::default(),
            losses: Losses::default(),
            timing: Timing::Unknown,
            begun: None,
        }
    }

    pub(crate) fn receive(&mut self, now: Time, header: &Header) {
        if header.ssrc != self.ssrc {
            let (before, losses) = (self.counts(), std::mem::take(&mut self.losses));
            *self = Self { ssrc: header.ssrc, before, losses: losses.of_another(), ..Self::new() };
        }
        self.begun.get_or_insert(now);
        let before = self.counts();
        let sequencing = self.sequence.handle_sequence(header.sequence);
        if sequencing == Sequencing::Restarted {
            self.before = before;
            self.timing = Timing::Unknown;
        }
        self.losses.receive(sequencing, header.sequence);
        self.timing.update(now, header);
    }

    /// Packets so far.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            expected: self.before.expected + self.sequence.expected(),
            received: self.before.received + self.sequence.received(),
            lost: self.before.lost + u64::try_from(self.sequence.lost()).unwrap_or(0),
        }
    }

    /// How losses cluster, since this was last asked.
    pub(crate) fn take_losses(&mut self) -> BurstTracker {
        self.losses.take()
    }

    /// How the present source is received; `None` before it is believed.
    pub(crate) fn heard(&self, now: Time) -> Option<SourceReception> {
        let expected = self.sequence.expected();
        let begun = self.begun.filter(|_| expected > 0)?;
        let lost = u64::try_from(self.sequence.lost()).unwrap_or(0);
        let packet = now.since(begun).div_f64(expected as f64).clamp(PACKET_MIN, PACKET_MAX);
        let loss = lost as f64 / expected as f64;
        Some(SourceReception { ssrc: self.ssrc, bursts: self.losses.bursts(), loss, packet })
    }

    /// Interarrival jitter.
    pub(crate) fn jitter(&self) -> Duration {
        match &self.timing {
            Timing::Known { jitter, .. } => jitter.jitter(),
            Timing::Unknown | Timing::Measuring { .. } => Duration::ZERO,
        }
    }
}

/// How evenly the packets of one payload type come: the one that audio or video is sent with. Others in between, as
/// comfort noise and telephone events, have timestamps of their own meaning and are passed over, unless they go on.
#[derive(Debug)]
enum Timing {
    Unknown,
    /// The rate of a dynamic payload type stands in the session description only, which is not known here.
    Measuring {
        payload_type: u8,
        since: Time,
        timestamp: u32,
    },
    /// The rate is known, and so many packets of other payload types have come in a row.
    Known {
        payload_type: u8,
        jitter: sx_rtp::Reception,
        others: u8,
    },
}

impl Timing {
    fn update(&mut self, now: Time, header: &Header) {
        match self {
            Self::Known { payload_type, jitter, others } if *payload_type == header.payload_type.0 => {
                *others = 0;
                jitter.handle_packet(now, header.sequence, header.timestamp);
            }
            Self::Known { others, .. } if *others < OTHERS_MAX => *others += 1,
            Self::Measuring { payload_type, since, timestamp } if *payload_type == header.payload_type.0 => {
                let elapsed = now.since(*since);
                if elapsed >= MEASURE {
                    let rate = nearest_rate(header.timestamp.wrapping_sub(*timestamp), elapsed);
                    *self = Self::start(now, header, rate);
                }
            }
            Self::Unknown | Self::Measuring { .. } | Self::Known { .. } => {
                *self = Self::start(now, header, static_rate(header.payload_type.0));
            }
        }
    }

    fn start(now: Time, header: &Header, rate: Option<u32>) -> Self {
        let payload_type = header.payload_type.0;
        let Some(rate) = rate else {
            return Self::Measuring { payload_type, since: now, timestamp: header.timestamp };
        };
        Self::Known { payload_type, jitter: sx_rtp::Reception::new(rate), others: 0 }
    }
}

/// The usual rate nearest to what was measured, unless that is a tenth off.
fn nearest_rate(ticks: u32, elapsed: Duration) -> Option<u32> {
    let measured = u128::from(ticks) * 1_000_000_000 / elapsed.as_nanos().max(1);
    let distance = |rate: &u32| measured.abs_diff(u128::from(*rate));
    RATES.into_iter().min_by_key(distance).filter(|rate| distance(rate) <= u128::from(*rate / 10))
}

/// The clock rates of static payload types.
//= https://www.rfc-editor.org/rfc/rfc3551#section-6
fn static_rate(payload_type: u8) -> Option<u32> {
    match payload_type {
        0 | 3..=5 | 7..=9 | 12 | 13 | 15 | 18 => Some(8000),
        6 => Some(16_000),
        10 | 11 => Some(44_100),
        16 => Some(11_025),
        17 => Some(22_050),
        14 | 25..=34 => Some(90_000),
        _ => None,
    }
}

/// Packets are of these lengths, and a sender that is silent for a while sends none.
const PACKET_MIN: Duration = Duration::from_millis(5);
const PACKET_MAX: Duration = Duration::from_millis(60);

const RATES: [u32; 7] = [8000, 16_000, 24_000, 32_000, 44_100, 48_000, 90_000];

/// How long the rate of a dynamic payload type is measured: long enough that jitter does not make 48 kHz look like 44.1.
const MEASURE: Duration = Duration::from_secs(1);

/// After so many packets of other payload types in a row, about a second, the peer has changed its codec.
const OTHERS_MAX: u8 = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::microseconds;
    use proptest::prelude::*;
    use sx_types::PayloadType;

    fn header(payload_type: u8, sequence: u16, timestamp: u32) -> Header {
        let payload_type = PayloadType(payload_type);
        Header { marker: false, payload_type, sequence, timestamp, ssrc: Ssrc(7) }
    }

    fn check(bytes: &[u8], expected: Packet) {
        assert_eq!(Packet::parse(bytes), expected, "{bytes:02x?}");
    }

    #[test]
    fn packets_are_told_apart_by_their_first_two_octets() {
        let rtp = Packet::Rtp(Header { ssrc: Ssrc(4), ..header(8, 0x0102, 3) });
        check(&[0x80, 8, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4, 55], rtp);
        check(&[0x80, 8, 1, 2, 0, 0, 0, 3, 0, 0, 0], Packet::Malformed);
        check(&[0x81, 8, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4], Packet::Malformed);
        check(&[0x81, 8, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 9], rtp);
        check(&[0x90, 8, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0xbe, 0xde, 0, 1], Packet::Malformed);
        check(&[0x90, 8, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0xbe, 0xde, 0, 1, 0, 0, 0, 0], rtp);
        check(&[0xa0, 8, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 2], rtp);
        check(&[0xa0, 8, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 3], Packet::Malformed);
        check(&[0xa0, 8, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4], Packet::Malformed);
        check(&[0x80, 200, 0, 1, 0, 0, 0, 4], Packet::Rtcp);
        check(&[0x80, 200, 0, 2, 0, 0, 0, 4], Packet::Malformed);
        check(&[0x80, 223, 0], Packet::Malformed);
        check(&[0x00, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42], Packet::Malformed);
        check(&[], Packet::Malformed);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            Packet::parse(&bytes);
        }

        #[test]
        fn no_headers_panic(
            headers in proptest::collection::vec((0_u8..128, any::<u16>(), any::<u32>(), 0_u32..3, any::<u64>()), 0..64),
        ) {
            let mut reception = Reception::new();
            for (payload_type, sequence, timestamp, ssrc, nanos) in headers {
                let header = Header { ssrc: Ssrc(ssrc), ..header(payload_type, sequence, timestamp) };
                reception.receive(Time::from_nanos(nanos), &header);
                let _ = (reception.counts(), reception.jitter());
            }
        }
    }

    fn lost(numbers: impl IntoIterator<Item = u16>) -> u64 {
        let mut reception = Reception::new();
        for (number, index) in numbers.into_iter().zip(0_u32..) {
            reception.receive(Time::from_millis(u64::from(index) * 20), &header(0, number, index * 160));
        }
        reception.counts().lost
    }

    #[test]
    fn loss_is_what_was_expected_and_did_not_come() {
        assert_eq!(lost([]), 0);
        assert_eq!(lost([4, 5, 6, 7]), 0);
        assert_eq!(lost([4, 5, 7, 10]), 3);
        assert_eq!(lost([4, 5, 7, 6]), 0, "late is not lost");
        assert_eq!(lost([4, 5, 5, 5, 7]), 0, "duplicates never make a loss negative");
        assert_eq!(lost([65_533, 65_534, 0, 1]), 1, "across the wrap");
        assert_eq!(lost((0..200_000_u32).map(|number| number as u16)), 0, "across many wraps");
        assert_eq!(lost([4, 5, 7, 30_000, 30_001, 30_003]), 2, "a restart is no loss, what was lost before it stays");
    }

    #[test]
    fn a_new_source_starts_its_own_count() {
        let mut reception = Reception::new();
        for (ssrc, sequence) in [(1, 4), (1, 5), (1, 7), (2, 900), (2, 901), (2, 903)] {
            reception.receive(Time::ZERO, &Header { ssrc: Ssrc(ssrc), ..header(0, sequence, 0) });
        }
        assert_eq!(reception.counts().lost, 2);
    }

    /// Jitter of a stream of 20 ms packets of which every other one comes 5 ms late, with `events` of another payload
    /// type at its end.
    fn jitter_us(payload_type: u8, ticks: u32, late_ms: u64, events: u16) -> u32 {
        let mut reception = Reception::new();
        let start = Time::from_secs(1_700_000_000);
        for index in 0..400_u16 {
            let late = if index % 2 == 1 { late_ms } else { 0 };
            let timestamp = (u32::from(index) * ticks).wrapping_sub(9999);
            let now = start + Duration::from_millis(u64::from(index) * 20 + late);
            reception.receive(now, &header(payload_type, index, timestamp));
        }
        for index in 400..400 + events {
            let now = start + Duration::from_millis(u64::from(index) * 20);
            reception.receive(now, &header(101, index, 64_000));
        }
        microseconds(reception.jitter())
    }

    #[test]
    fn jitter_is_told_in_time_whatever_the_clock_of_the_payload() {
        let check = |payload_type, ticks, late_ms, events, expected: std::ops::RangeInclusive<u32>| {
            let jitter = jitter_us(payload_type, ticks, late_ms, events);
            assert!(expected.contains(&jitter), "payload type {payload_type}: {jitter} µs");
        };
        check(0, 160, 0, 0, 0..=0);
        check(0, 160, 5, 0, 4700..=5100);
        check(111, 960, 0, 0, 0..=200);
        check(111, 960, 5, 0, 4700..=5100);
        check(0, 160, 5, 30, 4700..=5100);
        check(101, 0, 5, 0, 0..=0);
    }
}
