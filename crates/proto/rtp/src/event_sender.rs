//! The series of packets that reports one event.

use crate::event::{Event, EventPayload};
use std::time::Duration;

/// How often the end of an event is reported, so that it survives loss.
//= https://www.rfc-editor.org/rfc/rfc4733#section-2.5.1.4
const END_REPORTS: u8 = 3;

/// The longest duration that one segment can state, in ticks.
const SEGMENT_MAX: u32 = 0xffff;

/// Yields the packets of one event in order. It knows no clock: each packet says how long after the first one it is
/// to be sent.
///
/// ```
/// use std::time::Duration;
/// use sx_rtp::{Event, EventSender};
/// let digit = Event::from_key('5').expect("a key");
/// let packets: Vec<_> = EventSender::new(digit, 10, Duration::from_millis(100), 4_000, 8_000).collect();
/// assert_eq!(packets.len(), 4 + 3);
/// assert!(packets[0].marker && packets.iter().all(|packet| packet.timestamp == 4_000));
/// assert_eq!(packets[6].payload.duration, 800);
/// ```
#[derive(Clone, Debug)]
pub struct EventSender {
    event: Event,
    volume: u8,
    interval: Duration,
    interval_ticks: u32,
    total: u32,
    /// The timestamp at which the current segment began, and the ticks of the event before it.
    segment: u32,
    segment_start: u32,
    sent: Sent,
}

/// How far the series has got.
#[derive(Clone, Copy, Debug)]
enum Sent {
    /// So many intervals of the event have been reported.
    Updates(u32),
    /// The end has been reported so often, for the first time after so many intervals.
    Ends { reports: u8, intervals: u32 },
}

/// One packet of the series. The sequence number and the source are the stream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPacket {
    /// How long after the first packet of the series this one is to be sent.
    pub offset: Duration,
    /// The marker bit: set on the first packet.
    pub marker: bool,
    /// When the event, or this segment of it, began, in ticks of the RTP timestamp.
    pub timestamp: u32,
    /// The report.
    pub payload: EventPayload,
}

impl EventSender {
    /// The interval between updates: that of the audio the event takes the place of.
    pub const INTERVAL: Duration = Duration::from_millis(20);

    /// The series for an event that begins at `timestamp` and lasts `duration` (at least one tick), with a `volume` in
    /// dBm0 without its sign, on a stream whose timestamps tick `clock_hz` times a second.
    pub fn new(event: Event, volume: u8, duration: Duration, timestamp: u32, clock_hz: u32) -> Self {
        Self {
            event,
            volume,
            interval: Self::INTERVAL,
            interval_ticks: ticks(Self::INTERVAL, clock_hz),
            total: ticks(duration, clock_hz),
            segment: timestamp,
            segment_start: 0,
            sent: Sent::Updates(0),
        }
    }

    /// Ticks of the RTP timestamp from the start of the event to its end: audio that follows begins no earlier.
    pub fn duration_ticks(&self) -> u32 {
        self.total
    }

    /// A report after so many intervals: each states the event up to the end of the interval that begins with it.
    fn update(&mut self, intervals: u32) -> EventPacket {
        let elapsed = self.interval_ticks.saturating_mul(intervals + 1).min(self.total);
        let in_segment = elapsed - self.segment_start;
        let overflows = in_segment > SEGMENT_MAX;
        let end = elapsed == self.total && !overflows;
        let packet = self.packet(intervals, in_segment.min(SEGMENT_MAX), end);
        if overflows {
            //= https://www.rfc-editor.org/rfc/rfc4733#section-2.5.1.3
            // The full segment is reported without the end bit; the next begins where it ended, and its first report
            // follows at once.
            self.segment = self.segment.wrapping_add(SEGMENT_MAX);
            self.segment_start += SEGMENT_MAX;
        } else {
            self.sent = if end { Sent::Ends { reports: 1, intervals } } else { Sent::Updates(intervals + 1) };
        }
        packet
    }

    fn packet(&self, intervals: u32, duration: u32, end: bool) -> EventPacket {
        EventPacket {
            offset: self.interval.saturating_mul(intervals),
            marker: intervals == 0 && self.segment_start == 0,
            timestamp: self.segment,
            // At most SEGMENT_MAX by the callers' arithmetic.
            payload: EventPayload { event: self.event, end, volume: self.volume, duration: duration as u16 },
        }
    }
}

impl Iterator for EventSender {
    type Item = EventPacket;

    fn next(&mut self) -> Option<EventPacket> {
        match self.sent {
            Sent::Updates(intervals) => Some(self.update(intervals)),
            Sent::Ends { reports, .. } if reports >= END_REPORTS => None,
            Sent::Ends { reports, intervals } => {
                self.sent = Sent::Ends { reports: reports + 1, intervals };
                let mut packet = self.packet(intervals + u32::from(reports), self.total - self.segment_start, true);
                packet.marker = false;
                Some(packet)
            }
        }
    }
}

/// At least one tick, so that every series moves on and no report is of nothing.
fn ticks(duration: Duration, clock_hz: u32) -> u32 {
    let ticks = duration.as_nanos() * u128::from(clock_hz) / 1_000_000_000;
    u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn series(millis: u64) -> Vec<EventPacket> {
        EventSender::new(Event(5), 10, Duration::from_millis(millis), u32::MAX, 8_000).collect()
    }

    #[test]
    fn a_digit_is_a_marked_start_updates_each_20_ms_and_three_ends() {
        let packets = series(100);
        let facts = packets.iter().map(|p| (p.offset.as_millis(), p.marker, p.payload.end, p.payload.duration));
        let expected = [
            (0, true, false, 160),
            (20, false, false, 320),
            (40, false, false, 480),
            (60, false, false, 640),
            (80, false, true, 800),
            (100, false, true, 800),
            (120, false, true, 800),
        ];
        assert!(facts.eq(expected), "{packets:?}");
        assert!(packets.iter().all(|p| p.timestamp == u32::MAX && p.payload.volume == 10));
    }

    #[test]
    fn an_event_shorter_than_an_interval_has_a_marked_first_end() {
        for millis in [0, 1, 20] {
            let packets = series(millis);
            assert_eq!(packets.iter().map(|p| p.marker).collect::<Vec<_>>(), [true, false, false]);
            assert!(packets.iter().all(|p| p.payload.end && p.payload.duration > 0));
        }
    }

    #[test]
    fn a_long_event_is_cut_into_segments_that_join() {
        let packets = series(20_000);
        let starts: Vec<_> = packets.iter().map(|p| p.timestamp).collect();
        let (second, third) = (u32::MAX.wrapping_add(0xffff), u32::MAX.wrapping_add(2 * 0xffff));
        assert!(starts.contains(&u32::MAX) && starts.contains(&second));
        assert_eq!(starts.last(), Some(&third));
        let full = packets.iter().filter(|p| p.payload.duration == 0xffff);
        assert!(full.map(|p| (p.timestamp, p.payload.end)).eq([(u32::MAX, false), (second, false)]));
        let last = packets.last().expect("packets");
        assert_eq!(u32::from(last.payload.duration) + 2 * 0xffff, 160_000);
        assert_eq!(packets.iter().filter(|p| p.marker).count(), 1);
        assert_eq!(packets.iter().filter(|p| p.payload.end).count(), 3);
    }

    proptest! {
        #[test]
        fn every_series_ends(millis in 0..60_000u64, clock_hz in 0..96_000u32, timestamp: u32) {
            let packets: Vec<_> =
                EventSender::new(Event(1), 0, Duration::from_millis(millis), timestamp, clock_hz).take(10_000).collect();
            prop_assert!(packets.len() < 10_000);
            prop_assert!(packets.iter().rev().take(3).all(|p| p.payload.end));
            prop_assert!(packets.is_sorted_by_key(|p| p.offset));
        }
    }
}
