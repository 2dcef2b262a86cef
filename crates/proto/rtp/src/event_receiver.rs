//! Telephone events as they are heard: each once, whatever is repeated or lost.
//!
//! ```text
//!           first report of an event               end report, silence, another event
//!   Quiet ───────────── Began ──────────► Sounding ───────────── Ended ─────────────► Quiet
//! ```

use crate::event::{Event, EventPayload};
use crate::packet::{Packet, Ssrc};
use std::collections::VecDeque;
use std::time::Duration;
use sx_engine::{Engine, Time};

/// Reports read from one packet; what a peer packs beyond them is left out.
const REPORTS_MAX: usize = 4;
/// Reports that are older than the last event by no more than this are stragglers; older ones are a sender that has
/// begun to count anew.
const STRAGGLER_SECS: u32 = 2;
/// The longest duration that one segment of an event can state, in ticks.
const SEGMENT_MAX: u16 = 0xffff;

/// Hears the events of one stream. Feed it the packets whose payload type was negotiated for `telephone-event`.
#[derive(Clone, Debug)]
pub struct EventReceiver {
    clock_hz: u32,
    silence: Duration,
    ssrc: Option<Ssrc>,
    state: State,
    outputs: VecDeque<EventOutput>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// No event; the last segment that was heard began at this timestamp.
    Quiet { last: Option<u32> },
    /// An event goes on.
    Sounding(Sounding),
}

#[derive(Clone, Copy, Debug)]
struct Sounding {
    event: Event,
    /// The timestamp at which the current segment began, and its longest reported duration in ticks.
    segment: u32,
    duration: u16,
    /// Ticks of the segments before it.
    before: u64,
    heard: Time,
}

/// What was heard. Each event begins once and ends once, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOutput {
    /// An event begins: count the digit now.
    Began {
        /// Which.
        event: Event,
    },
    /// The event is over.
    Ended {
        /// Which.
        event: Event,
        /// How long it lasted, as far as it was reported.
        duration: Duration,
        /// Its end was reported; else it was concluded from silence or from what came next.
        reported: bool,
    },
}

impl EventReceiver {
    /// Silence after which an event is over although its end was never reported, unless told otherwise: ten updates.
    pub const SILENCE: Duration = Duration::from_millis(200);

    /// Nothing heard yet, on a stream whose timestamps tick `clock_hz` times a second; an event is over after so much
    /// `silence` even without its end report.
    pub fn new(clock_hz: u32, silence: Duration) -> Self {
        Self { clock_hz, silence, ssrc: None, state: State::Quiet { last: None }, outputs: VecDeque::new() }
    }

    fn handle_report(&mut self, now: Time, timestamp: u32, report: EventPayload) {
        //= https://www.rfc-editor.org/rfc/rfc4733#section-2.3.5
        // Zero is for events that are states; others report a duration or are ignored.
        if report.duration == 0 {
            return;
        }
        match &mut self.state {
            State::Sounding(sounding) if sounding.continues(timestamp, report.event) => {
                sounding.update(now, timestamp, report);
            }
            State::Sounding(Sounding { segment: last, .. }) | State::Quiet { last: Some(last) }
                if is_straggler(*last, timestamp, self.clock_hz) =>
            {
                return;
            }
            State::Sounding(_) | State::Quiet { .. } => self.begin(now, timestamp, report),
        }
        if report.end {
            self.end(true);
        }
    }

    fn begin(&mut self, now: Time, timestamp: u32, report: EventPayload) {
        self.end(false);
        let EventPayload { event, duration, .. } = report;
        self.outputs.push_back(EventOutput::Began { event });
        self.state = State::Sounding(Sounding { event, segment: timestamp, duration, before: 0, heard: now });
    }

    fn end(&mut self, reported: bool) {
        let State::Sounding(sounding) = self.state else { return };
        let ticks = sounding.before + u64::from(sounding.duration);
        let nanos = ticks.saturating_mul(1_000_000_000).checked_div(u64::from(self.clock_hz));
        let duration = Duration::from_nanos(nanos.unwrap_or(0));
        self.outputs.push_back(EventOutput::Ended { event: sounding.event, duration, reported });
        self.state = State::Quiet { last: Some(sounding.segment) };
    }
}

impl Engine for EventReceiver {
    type Input<'a> = Packet<'a>;
    type Output = EventOutput;

    fn handle_input(&mut self, now: Time, packet: Packet<'_>) {
        if self.ssrc.replace(packet.ssrc()) != Some(packet.ssrc()) {
            // Another source counts time from elsewhere, so nothing of it compares with what was.
            self.end(false);
            self.state = State::Quiet { last: None };
        }
        let mut timestamp = packet.timestamp();
        for report in EventPayload::parse_all(packet.payload()).take(REPORTS_MAX) {
            self.handle_report(now, timestamp, report);
            timestamp = timestamp.wrapping_add(u32::from(report.duration));
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.end(false);
        }
    }

    fn poll_output(&mut self) -> Option<EventOutput> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Sounding(sounding) => Some(sounding.heard + self.silence),
            State::Quiet { .. } => None,
        }
    }
}

impl Sounding {
    /// Does a report belong to this event: to its current segment, or to the one that begins where that ends?
    //= https://www.rfc-editor.org/rfc/rfc4733#section-2.5.1.3
    fn continues(&self, timestamp: u32, event: Event) -> bool {
        event == self.event && [0, u32::from(SEGMENT_MAX)].contains(&timestamp.wrapping_sub(self.segment))
    }

    fn update(&mut self, now: Time, timestamp: u32, report: EventPayload) {
        self.heard = now;
        if timestamp == self.segment {
            // Updates that overtake each other never shorten an event.
            self.duration = self.duration.max(report.duration);
        } else {
            self.before += u64::from(SEGMENT_MAX);
            self.segment = timestamp;
            self.duration = report.duration;
        }
    }
}

/// Is a report about the event at `last`, which is over or goes on as another, or about one before it?
fn is_straggler(last: u32, timestamp: u32, clock_hz: u32) -> bool {
    last.wrapping_sub(timestamp) <= clock_hz.saturating_mul(STRAGGLER_SECS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_sender::{EventPacket, EventSender};
    use crate::packet::Header;
    use proptest::prelude::*;
    use sx_types::PayloadType;

    const START: Time = Time::from_secs(1_000);

    fn series(key: char, millis: u64, timestamp: u32) -> Vec<EventPacket> {
        let event = Event::from_key(key).expect("a key");
        EventSender::new(event, 10, Duration::from_millis(millis), timestamp, 8_000).collect()
    }

    fn hear(receiver: &mut EventReceiver, now: Time, ssrc: u32, timestamp: u32, payload: &[u8]) {
        let (payload_type, ssrc) = (PayloadType(101), Ssrc(ssrc));
        let mut datagram = Vec::new();
        Header { marker: false, payload_type, sequence: 0, timestamp, ssrc }.write(payload, &mut datagram);
        receiver.handle_input(now, Packet::parse(&datagram).expect("own packet"));
    }

    fn hear_all<'a>(receiver: &mut EventReceiver, packets: impl IntoIterator<Item = &'a EventPacket>) {
        for packet in packets {
            hear(receiver, START + packet.offset, 1, packet.timestamp, &packet.payload.to_bytes());
        }
    }

    fn heard(receiver: &mut EventReceiver) -> String {
        let mut text = String::new();
        while let Some(output) = receiver.poll_output() {
            text += &match output {
                EventOutput::Began { event } => format!("{event} "),
                EventOutput::Ended { event, duration, reported: true } => {
                    format!("/{event} {}ms ", duration.as_millis())
                }
                EventOutput::Ended { event, duration, reported: false } => {
                    format!("/{event} {}ms? ", duration.as_millis())
                }
            };
        }
        text.trim_end().to_owned()
    }

    /// Hears one digit 5 of 100 ms from the packets with these numbers of its series of seven.
    #[track_caller]
    fn check(numbers: &[usize], expected: &str) {
        let packets = series('5', 100, 4_000);
        let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
        hear_all(&mut receiver, numbers.iter().map(|n| &packets[*n]));
        receiver.handle_timeout(START + Duration::from_secs(1));
        assert_eq!(heard(&mut receiver), expected);
        assert_eq!(receiver.poll_timeout(), None);
    }

    #[test]
    fn a_digit_is_heard_once_whatever_is_repeated_or_lost() {
        check(&[0, 1, 2, 3, 4, 5, 6], "5 /5 100ms");
        check(&[0, 0, 1, 1, 4, 4], "5 /5 100ms");
        check(&[6], "5 /5 100ms");
        check(&[4, 0, 1], "5 /5 100ms");
        check(&[2, 1, 3, 4], "5 /5 100ms");
        check(&[0, 1, 2], "5 /5 60ms?");
        check(&[], "");
    }

    #[test]
    fn silence_ends_an_event_at_the_time_announced() {
        let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
        hear_all(&mut receiver, &series('5', 100, 4_000)[..2]);
        let due = receiver.poll_timeout().expect("an event goes on");
        assert_eq!(due, START + Duration::from_millis(220));
        receiver.handle_timeout(due - Duration::from_nanos(1));
        assert_eq!(heard(&mut receiver), "5");
        receiver.handle_timeout(due);
        assert_eq!(heard(&mut receiver), "/5 40ms?");
        hear_all(&mut receiver, &series('5', 100, 4_000)[4..]);
        assert_eq!(heard(&mut receiver), "", "the late end is of an event that was told already");
    }

    #[test]
    fn the_same_digit_pressed_twice_is_two_digits() {
        let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
        hear_all(&mut receiver, &series('5', 100, 4_000));
        hear_all(&mut receiver, &series('5', 100, 5_600));
        assert_eq!(heard(&mut receiver), "5 /5 100ms 5 /5 100ms");
    }

    #[test]
    fn the_next_digit_ends_one_whose_end_was_lost_and_stragglers_change_nothing() {
        let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
        let first = series('1', 60, u32::MAX - 100);
        hear_all(&mut receiver, &first[..2]);
        hear_all(&mut receiver, &series('2', 60, 1_500)[..2]);
        hear_all(&mut receiver, &first);
        hear_all(&mut receiver, &series('2', 60, 1_500));
        assert_eq!(heard(&mut receiver), "1 /1 40ms? 2 /2 60ms");
    }

    #[test]
    fn segments_of_a_long_event_are_one_event() {
        let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
        let packets = series('9', 20_000, 7);
        hear_all(&mut receiver, packets.iter().filter(|packet| packet.payload.duration != 0xffff));
        assert_eq!(heard(&mut receiver), "9 /9 20000ms");
    }

    #[test]
    fn several_events_in_one_packet_are_all_heard() {
        let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
        let report = |event| EventPayload { event: Event(event), end: true, volume: 0, duration: 400 }.to_bytes();
        hear(&mut receiver, START, 1, 0, &[report(1), report(1), report(2)].concat());
        hear(&mut receiver, START, 1, 0, &[report(1), report(1), report(2)].concat());
        assert_eq!(heard(&mut receiver), "1 /1 50ms 1 /1 50ms 2 /2 50ms");
    }

    #[test]
    fn another_source_begins_anew() {
        let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
        let report = EventPayload { event: Event(1), end: false, volume: 0, duration: 160 }.to_bytes();
        hear(&mut receiver, START, 1, 4_000, &report);
        hear(&mut receiver, START, 2, 4_000, &report);
        assert_eq!(heard(&mut receiver), "1 /1 20ms? 1");
    }

    #[test]
    fn a_report_of_no_duration_is_ignored() {
        let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
        hear(&mut receiver, START, 1, 0, &[1, 0x80, 0, 0]);
        hear(&mut receiver, START, 1, 0, &[1, 0x80, 1]);
        assert_eq!(heard(&mut receiver), "");
    }

    proptest! {
        #[test]
        fn a_digit_is_heard_exactly_once_when_any_packet_of_it_arrives(
            arrivals in proptest::collection::vec(0..7usize, 1..20),
        ) {
            let packets = series('7', 100, u32::MAX - 10);
            let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
            hear_all(&mut receiver, arrivals.iter().map(|n| &packets[*n]));
            receiver.handle_timeout(START + Duration::from_secs(1));
            let began = std::iter::from_fn(|| receiver.poll_output())
                .filter(|output| matches!(output, EventOutput::Began { .. }))
                .count();
            prop_assert_eq!(began, 1);
        }

        #[test]
        fn beginnings_and_ends_alternate_whatever_comes(
            packets in proptest::collection::vec((0..3u32, any::<u16>(), any::<[u8; 8]>()), 0..60),
        ) {
            let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
            let mut sounding = None;
            for (ssrc, timestamp, payload) in packets {
                hear(&mut receiver, START, ssrc, u32::from(timestamp), &payload);
                while let Some(output) = receiver.poll_output() {
                    match output {
                        EventOutput::Began { event } => prop_assert_eq!(sounding.replace(event), None),
                        EventOutput::Ended { event, .. } => prop_assert_eq!(sounding.take(), Some(event)),
                    }
                }
            }
        }
    }
}
