//! Packets in virtual time, each with its arrival, and what is yielded each 20 ms.

mod properties;
mod senders;

use super::*;
use crate::Ssrc;
use sx_types::PayloadType;

const START: Time = Time::from_secs(1_800_000_000);
const FRAME: Duration = Duration::from_millis(20);
/// Timestamps of 20 ms.
const TICKS: u32 = 160;

fn at(millis: u64) -> Time {
    START + Duration::from_millis(millis)
}

fn header(sequence: u16, timestamp: u32) -> Header {
    Header { marker: false, payload_type: PayloadType(0), sequence, timestamp, ssrc: Ssrc(1) }
}

fn new() -> JitterBuffer {
    JitterBuffer::new(JitterConfig::new(8_000))
}

/// A buffer, its packets that are numbered as their timestamps are, and what it has yielded so far.
struct Test {
    buffer: JitterBuffer,
    heard: Vec<String>,
    now: u64,
}

impl Test {
    fn new() -> Self {
        Self { buffer: new(), heard: Vec::new(), now: 0 }
    }

    /// Asks each 20 ms, up to a time in ms and without it.
    fn until(&mut self, millis: u64) {
        while self.now < millis {
            self.ask();
            self.now += 20;
        }
    }

    fn ask(&mut self) {
        while let Some(frame) = self.buffer.take(at(self.now)) {
            let (word, again) = match frame {
                Frame::Payload(payload) => (payload.header.sequence.to_string(), false),
                Frame::Surplus(payload) => (format!("({})", payload.header.sequence), true),
                Frame::Gap(gap) => (gap_word(&gap), false),
            };
            self.heard.push(word);
            if !again {
                return;
            }
        }
        self.heard.push(".".to_owned());
    }

    /// A packet arrives at a time in ms, which is not before the last one asked for.
    fn packet(&mut self, millis: u64, sequence: u16) {
        self.stamped(millis, sequence, u32::from(sequence) * TICKS);
    }

    fn stamped(&mut self, millis: u64, sequence: u16, timestamp: u32) {
        self.until(millis);
        self.buffer.handle_packet(at(millis), header(sequence, timestamp), Content::Speech, &sequence.to_be_bytes());
    }

    fn other(&mut self, millis: u64, sequence: u16, content: Content) {
        self.until(millis);
        let timestamp = u32::from(sequence) * TICKS;
        self.buffer.handle_packet(at(millis), header(sequence, timestamp), content, &[]);
    }

    /// Packets that arrive each 20 ms.
    fn packets(&mut self, millis: u64, sequences: std::ops::Range<u16>) {
        for (n, sequence) in sequences.enumerate() {
            self.packet(millis + 20 * n as u64, sequence);
        }
    }

    #[track_caller]
    fn heard(&mut self, expected: &str) {
        assert_eq!(self.heard.join(" "), expected);
        self.heard.clear();
    }
}

/// `-` lost, `_` underrun, `+` growth, `~` pause; with what comes next, if it is there.
fn gap_word(gap: &Gap<'_>) -> String {
    assert!(gap.duration >= FRAME);
    let next = gap.next.map(|(_, bytes)| u16::from_be_bytes([bytes[0], bytes[1]]).to_string());
    let cause = match gap.cause {
        GapCause::Lost => "-",
        GapCause::Underrun => "_",
        GapCause::Growth => "+",
        GapCause::Pause => "~",
    };
    format!("{cause}{}", next.unwrap_or_default())
}

#[test]
fn payloads_come_in_order_after_the_delay_and_gaps_name_what_is_next() {
    let mut test = Test::new();
    test.packet(0, 1);
    test.packet(25, 3);
    test.packet(41, 2);
    test.packet(80, 5);
    test.packet(90, 6);
    test.until(180);
    test.heard(". . 1 2 3 -5 5 6 _");
}

#[test]
fn copies_are_played_once_before_and_after_their_turn() {
    let mut test = Test::new();
    for (millis, sequence) in [(0, 1), (1, 1), (20, 2), (40, 3), (41, 1), (60, 4), (81, 2), (82, 2)] {
        test.packet(millis, sequence);
    }
    test.until(120);
    test.heard(". . 1 2 3 4");
    assert_eq!((test.buffer.stats().duplicates, test.buffer.stats().late), (4, 0));
}

#[test]
fn who_lets_the_buffer_give_the_pace_is_told_when_frames_are_due() {
    let mut buffer = new();
    assert_eq!((buffer.poll_timeout(), buffer.poll_frame(at(0))), (None, None));
    buffer.handle_packet(at(0), header(1, 0), Content::Speech, b"a");
    buffer.handle_packet(at(20), header(2, TICKS), Content::Speech, b"b");
    assert_eq!((buffer.poll_timeout(), buffer.poll_frame(at(39))), (Some(at(40)), None));
    let bytes = |frame: Option<Frame<'_>>| match frame {
        Some(Frame::Payload(payload)) => payload.bytes.to_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(bytes(buffer.poll_frame(at(43))), b"a");
    assert_eq!((buffer.poll_timeout(), buffer.poll_frame(at(59))), (Some(at(60)), None));
    buffer.hasten(Duration::from_millis(5));
    assert_eq!(bytes(buffer.poll_frame(at(55))), b"b");
    assert_eq!(buffer.poll_timeout(), Some(at(75)));
}

#[test]
fn what_is_due_after_a_stall_is_due_when_it_comes_and_not_before() {
    let mut buffer = new();
    let mut packet = |millis, sequence: u16| {
        let header = header(sequence, u32::from(sequence) * TICKS);
        buffer.handle_packet(at(millis), header, Content::Speech, &[]);
        let mut frames = 0;
        while buffer.poll_frame(at(millis)).is_some() {
            frames += 1;
        }
        frames
    };
    let frames: u32 = (0..10).map(|sequence| packet(20 * u64::from(sequence), sequence)).sum();
    // Those that wait, and ten are made up; then there is nothing until what comes now.
    assert_eq!((frames, packet(900, 10)), (8, 2 + 10 + 1));
    let played: u32 = (11..45).map(|sequence| packet(900, sequence)).sum();
    assert!(played <= 1, "{played} frames at one time");
    assert_eq!(buffer.poll_timeout(), Some(at(920)));
}

#[test]
fn an_underrun_makes_the_delay_grow_at_once_and_loses_nothing() {
    let mut test = Test::new();
    test.packets(0, 0..10);
    let before = test.buffer.stats().delay;
    // What was sent at 200 comes at 290, with all that was sent meanwhile.
    for sequence in 10..15 {
        test.packet(290, sequence);
    }
    test.packets(300, 15..20);
    test.until(500);
    test.heard(". . 0 1 2 3 4 5 6 7 8 9 _ _ _ 10 11 12 13 14 15 16 17 18 19");
    let stats = test.buffer.stats();
    assert_eq!((before, stats.delay), (Duration::from_millis(40), Duration::from_millis(100)));
    assert_eq!((stats.late, stats.concealed), (0, 3));
}

#[test]
fn what_would_be_played_after_the_longest_delay_is_dropped() {
    let mut test = Test::new();
    test.packets(0, 0..5);
    // What was sent from 100 on comes at 390.
    for sequence in 5..20 {
        test.packet(390, sequence);
    }
    test.packets(400, 20..25);
    test.until(500);
    let stats = test.buffer.stats();
    test.heard(". . 0 1 2 3 4 _ _ _ _ _ _ _ _ _ _ . . . 13 14 15 16 17");
    assert_eq!((stats.late, stats.delay), (8, Duration::from_millis(140)));
}

#[test]
fn a_packet_after_its_turn_makes_the_delay_grow() {
    let mut test = Test::new();
    test.packets(0, 0..10);
    // Number 10 takes 70 ms, those after it overtake it.
    test.packet(220, 11);
    test.packet(240, 12);
    test.packet(260, 13);
    test.packet(270, 10);
    test.packet(280, 14);
    test.packets(300, 15..20);
    test.until(400);
    test.heard(". . 0 1 2 3 4 5 6 7 8 9 -11 11 + + 12 13 14 15");
    let stats = test.buffer.stats();
    assert_eq!((stats.late, stats.grown, stats.delay), (1, 2, Duration::from_millis(80)));
}

#[test]
fn the_delay_shrinks_by_a_frame_after_the_patience_and_not_before() {
    let mut test = Test::new();
    test.packets(0, 0..10);
    for sequence in 10..15 {
        test.packet(290, sequence);
    }
    let mut shrunk = Vec::new();
    // Long enough for the spike to be forgotten.
    for sequence in 15..2_000_u16 {
        test.packet(u64::from(sequence) * 20, sequence);
        let stats = test.buffer.stats();
        if stats.surplus > shrunk.len() as u64 {
            shrunk.push(u64::from(sequence) * 20);
        }
    }
    let stats = test.buffer.stats();
    assert_eq!((stats.concealed, stats.late), (3, 0));
    assert!(stats.delay <= Duration::from_millis(40) && stats.surplus == 3, "{stats:?}");
    assert!(shrunk.windows(2).all(|pair| pair[1] - pair[0] >= 2_000), "{shrunk:?}");
}

#[test]
fn who_hears_silence_may_take_the_next_frame_at_once() {
    let mut test = Test::new();
    test.packets(0, 0..10);
    for sequence in 10..15 {
        test.packet(290, sequence);
    }
    // Until the spike is forgotten.
    test.packets(300, 15..600);
    let (now, left_out) = (test.now, test.buffer.stats().surplus);
    let taken = |buffer: &mut JitterBuffer| match buffer.take(at(now)) {
        Some(Frame::Payload(payload)) => (payload.header.sequence, payload.surplus),
        other => panic!("{other:?}"),
    };
    let (first, surplus) = taken(&mut test.buffer);
    assert!(surplus >= FRAME, "{surplus:?}");
    let (second, left) = taken(&mut test.buffer);
    assert_eq!((second, left), (first + 1, surplus - FRAME));
    assert_eq!(test.buffer.stats().surplus, left_out);
}

#[test]
fn a_silence_is_no_loss_and_its_length_is_kept() {
    let mut test = Test::new();
    test.packets(0, 0..5);
    // Silent from 100 on; the next number has a later timestamp.
    for n in 0..5 {
        test.stamped(500 + 20 * u64::from(n), 5 + n, 500 * 8 + u32::from(n) * TICKS);
    }
    test.until(640);
    test.heard(". . 0 1 2 3 4 _ _ _ _ _ _ _ _ _ _ . . . . . . . . . . 5 6 7 8 9");
    // Nobody could know when it began, but it was none that was lost.
    let stats = test.buffer.stats();
    assert_eq!((stats.concealed, stats.paused, stats.delay), (0, 10, Duration::from_millis(40)));
}

#[test]
fn comfort_noise_is_followed_by_pauses() {
    let mut test = Test::new();
    test.packets(0, 0..3);
    test.other(60, 3, Content::ComfortNoise);
    test.stamped(300, 4, 300 * 8);
    test.until(400);
    test.heard(". . 0 1 2 3 ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ ~ 4 _ _");
    let stats = test.buffer.stats();
    assert_eq!((stats.played, stats.paused, stats.concealed), (5, 11, 2));
}

#[test]
fn a_telephone_event_takes_the_numbers_of_sound_and_is_no_loss() {
    let mut test = Test::new();
    test.packets(0, 0..3);
    for sequence in 3..6 {
        test.until(u64::from(sequence) * 20);
        // All bear the timestamp of the beginning.
        test.buffer.handle_packet(at(test.now), header(sequence, 3 * TICKS), Content::Nothing, &[]);
    }
    test.packets(120, 6..10);
    test.until(240);
    test.heard(". . 0 1 2 ~ ~ ~ 6 7 8 9");
    let stats = test.buffer.stats();
    assert_eq!((stats.silent, stats.concealed, stats.played), (3, 0, 7));
}
