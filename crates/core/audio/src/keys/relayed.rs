//! Telephone events on their way to somebody whose clock may be another.
//!
//! ```text
//!  48 kHz:  |─── segment: 65,535 ticks ───|─── segment ───|── end
//!   8 kHz:  |──────────── one segment, a sixth of the ticks ─ end
//! ```

use sx_media::Coding;
use sx_rtp::{Event, EventPayload};
use sx_types::PayloadType;

/// The longest duration that one segment of an event can state, in ticks.
//= https://www.rfc-editor.org/rfc/rfc4733#section-2.5.1.3
const SEGMENT_MAX: u16 = u16::MAX;

/// The event that was relayed last.
#[derive(Debug, Default)]
pub(crate) struct Relayed(Option<Going>);

#[derive(Clone, Copy, Debug)]
struct Going {
    event: Event,
    in_hz: u32,
    /// The timestamp of its segment, and the ticks of those before it.
    segment: u32,
    before: u64,
    to: Coding,
    /// Where it begins in what goes out, and how many segments of it were full there.
    at: u64,
    full: u64,
}

/// A report as the receiver is to have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) payload_type: PayloadType,
    /// Where its segment begins.
    pub(crate) at: u64,
    pub(crate) payload: EventPayload,
}

impl Relayed {
    /// What comes next has nothing to do with what was there.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// Is a report about the event that was relayed last?
    pub(crate) fn is_known(&self, timestamp: u32, event: Event) -> bool {
        self.0.is_some_and(|going| going.is_same(timestamp) || going.is_next(timestamp, event))
    }

    /// An event begins at a position of what goes out.
    pub(crate) fn begin(&mut self, event: Event, timestamp: u32, in_hz: u32, (to, at): (Coding, u64)) {
        self.0 = Some(Going { event, in_hz, segment: timestamp, before: 0, to, at, full: 0 });
    }

    /// What a report of the event becomes: itself, behind one that says that a segment is full where one is.
    pub(crate) fn relay(&mut self, timestamp: u32, report: EventPayload) -> [Option<Report>; 2] {
        let Some(going) = &mut self.0 else { return [None, None] };
        if going.is_next(timestamp, report.event) {
            going.before += u64::from(SEGMENT_MAX);
            going.segment = timestamp;
        }
        let ticks = going.before + u64::from(report.duration);
        let lasted = ticks * u64::from(going.to.clock_hz) / u64::from(going.in_hz.max(1));
        let max = u64::from(SEGMENT_MAX);
        let full = (lasted.saturating_sub(1) / max).max(going.full);
        let of_segment = |number: u64, duration: u64, end: bool| {
            let duration = u16::try_from(duration).unwrap_or(SEGMENT_MAX);
            let payload = EventPayload { duration, end, ..report };
            Some(Report { payload_type: going.to.payload_type, at: going.at + number * max, payload })
        };
        let filled = if full > going.full { of_segment(full - 1, max, false) } else { None };
        going.full = full;
        [filled, of_segment(full, lasted.saturating_sub(full * max), report.end)]
    }
}

impl Going {
    fn is_same(&self, timestamp: u32) -> bool {
        timestamp == self.segment
    }

    fn is_next(&self, timestamp: u32, event: Event) -> bool {
        event == self.event && timestamp.wrapping_sub(self.segment) == u32::from(SEGMENT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use sx_engine::{Engine, Time};
    use sx_rtp::{EventOutput, EventReceiver, EventSender, Header, Packet, Ssrc};
    use sx_types::Codec;

    /// An event of so many milliseconds, relayed from the one clock to the other, is one event, as long as before.
    fn check(in_hz: u32, out_hz: u32, millis: u64) {
        let start = u32::MAX - 300;
        let to = Coding { clock_hz: out_hz, ..Coding::new(PayloadType(96), Codec::TelephoneEvent) };
        let (mut relayed, mut heard) = (Relayed::default(), EventReceiver::new(out_hz, EventReceiver::SILENCE));
        let (mut ends, mut last) = (0, None);
        for packet in EventSender::new(Event(7), 10, Duration::from_millis(millis), start, in_hz) {
            if !relayed.is_known(packet.timestamp, packet.payload.event) {
                assert!(packet.marker, "it begins once");
                relayed.begin(packet.payload.event, packet.timestamp, in_hz, (to, 5_000));
            }
            for report in relayed.relay(packet.timestamp, packet.payload).into_iter().flatten() {
                let key = (report.at, u64::from(report.payload.duration));
                assert!(last.is_none_or(|last| last <= key), "never backwards");
                last = Some(key);
                ends += u8::from(report.payload.end);
                let (payload_type, mut datagram) = (report.payload_type, Vec::new());
                let timestamp = report.at as u32;
                let header = Header { marker: false, payload_type, sequence: 0, timestamp, ssrc: Ssrc(1) };
                header.write(&report.payload.to_bytes(), &mut datagram);
                let now = Time::from_secs(1) + packet.offset;
                heard.handle_input(now, Packet::parse(&datagram).expect("RTP"));
            }
        }
        assert_eq!(ends, 3, "{in_hz} to {out_hz}");
        assert_eq!(heard.poll_output(), Some(EventOutput::Began { event: Event(7) }));
        let Some(EventOutput::Ended { duration, reported: true, .. }) = heard.poll_output() else {
            panic!("{in_hz} to {out_hz}: no end")
        };
        assert!(duration.as_millis().abs_diff(millis.into()) <= 1, "{in_hz} to {out_hz}: {duration:?}");
        assert_eq!(heard.poll_output(), None, "{in_hz} to {out_hz}: more than one");
    }

    #[test]
    fn an_event_is_as_long_by_one_clock_as_by_another() {
        for in_hz in [8_000, 16_000, 48_000] {
            for out_hz in [8_000, 16_000, 48_000] {
                for millis in [20, 100, 1_365, 1_366, 3_000, 20_000] {
                    check(in_hz, out_hz, millis);
                }
            }
        }
    }
}
