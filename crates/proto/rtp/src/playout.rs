//! From packets that come when they come to one payload each 20 ms.
//!
//! ```text
//!           first packet                        nothing for `gaps_max` frames
//!   Idle ────────────────► Playing (a frame each `frame`) ────────────────────► Idle
//! ```

use std::collections::VecDeque;
use std::time::Duration;
use sx_engine::Time;

/// A packet that is older than the newest by no more than this is late; an older one is a sender that has begun anew.
const MISORDER_MAX: u16 = 100;

/// Holds packets back for a fixed delay and yields their payloads in order, a frame at a time, with gaps marked.
/// It adapts to nothing: when the sender's clock leads or trails too far, it starts over with the next packet.
#[derive(Clone, Debug)]
pub struct Playout {
    config: PlayoutConfig,
    state: State,
    stats: PlayoutStats,
}

/// How a [`Playout`] is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutConfig {
    /// How long the first packet is held back; 60 ms unless told otherwise.
    pub delay: Duration,
    /// What one packet carries; 20 ms unless told otherwise.
    pub frame: Duration,
    /// Packets held at most; one that is further ahead starts the playout over. 64 unless told otherwise.
    pub frames_max: u16,
    /// Frames without any packet waiting, after which the playout stops until the next packet. 10 unless told
    /// otherwise.
    pub gaps_max: u32,
}

/// One frame of the playout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// What the packet carried.
    Payload(Vec<u8>),
    /// The packet has not come in time.
    Gap,
}

/// What a playout has counted, in packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutStats {
    /// Payloads yielded.
    pub played: u64,
    /// Gaps yielded.
    pub gaps: u64,
    /// Dropped, because their turn was over.
    pub late: u64,
    /// Dropped, because they were there already.
    pub duplicates: u64,
    /// Dropped, because the playout started over.
    pub discarded: u64,
}

#[derive(Clone, Debug)]
enum State {
    Idle { newest: Option<u16> },
    Playing(Playing),
}

#[derive(Clone, Debug)]
struct Playing {
    /// The sequence number whose turn is at `due`.
    next: u16,
    due: Time,
    newest: u16,
    /// Gaps in a row for which nothing at all was waiting.
    dry: u32,
    /// The packets from `next` on; at most `frames_max`.
    waiting: VecDeque<Option<Vec<u8>>>,
}

impl Default for PlayoutConfig {
    fn default() -> Self {
        Self { delay: Duration::from_millis(60), frame: Duration::from_millis(20), frames_max: 64, gaps_max: 10 }
    }
}

impl Playout {
    /// Nothing to play yet.
    pub fn new(config: PlayoutConfig) -> Self {
        Self { config, state: State::Idle { newest: None }, stats: PlayoutStats::default() }
    }

    /// A packet of the stream arrived at `now`.
    pub fn handle_packet(&mut self, now: Time, sequence: u16, payload: &[u8]) {
        match &mut self.state {
            State::Idle { newest: Some(newest) } if newest.wrapping_sub(sequence) < MISORDER_MAX => {
                self.stats.late += 1;
            }
            State::Idle { .. } => self.start(now, sequence, payload),
            State::Playing(playing) => {
                let ahead = sequence.wrapping_sub(playing.next);
                if ahead < self.config.frames_max {
                    playing.newest = playing.next.wrapping_add(ahead.max(playing.newest_ahead()));
                    let is_new = playing.insert(usize::from(ahead), payload);
                    self.stats.duplicates += u64::from(!is_new);
                } else if playing.next.wrapping_sub(sequence) <= MISORDER_MAX {
                    self.stats.late += 1;
                } else {
                    self.stats.discarded += playing.waiting.iter().flatten().count() as u64;
                    self.start(now, sequence, payload);
                }
            }
        }
    }

    /// The next frame whose turn has come at `now`; ask until there is none.
    pub fn poll_frame(&mut self, now: Time) -> Option<Frame> {
        let State::Playing(playing) = &mut self.state else { return None };
        if now < playing.due {
            return None;
        }
        playing.dry = if playing.waiting.is_empty() { playing.dry + 1 } else { 0 };
        if playing.dry > self.config.gaps_max {
            self.state = State::Idle { newest: Some(playing.newest) };
            return None;
        }
        playing.due = playing.due + self.config.frame;
        playing.next = playing.next.wrapping_add(1);
        match playing.waiting.pop_front().flatten() {
            Some(payload) => {
                self.stats.played += 1;
                Some(Frame::Payload(payload))
            }
            None => {
                self.stats.gaps += 1;
                Some(Frame::Gap)
            }
        }
    }

    /// When the next frame's turn comes; `None` while there is nothing to play.
    pub fn poll_timeout(&self) -> Option<Time> {
        match &self.state {
            State::Playing(playing) => Some(playing.due),
            State::Idle { .. } => None,
        }
    }

    /// What has been counted so far.
    pub fn stats(&self) -> PlayoutStats {
        self.stats
    }

    fn start(&mut self, now: Time, sequence: u16, payload: &[u8]) {
        self.state = State::Playing(Playing {
            next: sequence,
            due: now + self.config.delay,
            newest: sequence,
            dry: 0,
            waiting: VecDeque::from([Some(payload.to_vec())]),
        });
    }
}

impl Playing {
    /// How far the newest packet is ahead of the next to play; 0 when that has been played already.
    fn newest_ahead(&self) -> u16 {
        let ahead = self.newest.wrapping_sub(self.next);
        if ahead < u16::MAX / 2 { ahead } else { 0 }
    }

    /// Puts a payload into its place; `false` when something is there already.
    fn insert(&mut self, place: usize, payload: &[u8]) -> bool {
        if self.waiting.len() <= place {
            self.waiting.resize(place + 1, None);
        }
        match &mut self.waiting[place] {
            Some(_) => false,
            empty => {
                *empty = Some(payload.to_vec());
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Time = Time::from_secs(1_000);

    fn at(millis: u64) -> Time {
        START + Duration::from_millis(millis)
    }

    /// Plays packets, each with its arrival in ms and its number, and writes down what was played: the number, or `-`.
    fn play(config: PlayoutConfig, arrivals: &[(u64, u16)]) -> (Vec<String>, PlayoutStats) {
        let mut playout = Playout::new(config);
        let mut frames = Vec::new();
        let end = arrivals.iter().map(|(millis, _)| *millis).max().unwrap_or(0) + 3_000;
        for millis in 0..end {
            for (_, number) in arrivals.iter().filter(|(arrival, _)| *arrival == millis) {
                playout.handle_packet(at(millis), *number, &number.to_be_bytes());
            }
            while let Some(frame) = playout.poll_frame(at(millis)) {
                frames.push(match frame {
                    Frame::Payload(bytes) => u16::from_be_bytes([bytes[0], bytes[1]]).to_string(),
                    Frame::Gap => "-".to_owned(),
                });
            }
        }
        (frames, playout.stats())
    }

    #[track_caller]
    fn check(arrivals: &[(u64, u16)], expected: &str) {
        let config = PlayoutConfig { gaps_max: 1, ..PlayoutConfig::default() };
        assert_eq!(play(config, arrivals).0.join(" "), expected);
    }

    #[test]
    fn payloads_come_in_order_with_gaps_marked() {
        check(&[(0, 1), (20, 2), (40, 3)], "1 2 3 -");
        check(&[(0, 1), (25, 3), (41, 2)], "1 2 3 -");
        check(&[(0, 1), (40, 3), (60, 4)], "1 - 3 4 -");
        check(&[(0, 65535), (20, 0), (20, 0), (40, 1)], "65535 0 1 -");
        check(&[(0, 1), (20, 2), (101, 3), (60, 4)], "1 2 - 4 -");
        check(&[], "");
    }

    #[test]
    fn the_first_frame_comes_after_the_delay_and_the_others_each_frame() {
        let mut playout = Playout::new(PlayoutConfig::default());
        assert_eq!(playout.poll_timeout(), None);
        playout.handle_packet(at(0), 1, b"a");
        playout.handle_packet(at(20), 2, b"b");
        assert_eq!((playout.poll_timeout(), playout.poll_frame(at(59))), (Some(at(60)), None));
        assert_eq!(playout.poll_frame(at(60)), Some(Frame::Payload(b"a".to_vec())));
        assert_eq!((playout.poll_timeout(), playout.poll_frame(at(60))), (Some(at(80)), None));
        assert_eq!(playout.poll_frame(at(80)), Some(Frame::Payload(b"b".to_vec())));
    }

    #[test]
    fn a_pause_of_the_sender_stops_the_playout_and_its_next_packet_starts_it() {
        check(&[(0, 1), (20, 2), (500, 3), (520, 4)], "1 2 - 3 4 -");
    }

    #[test]
    fn a_leap_starts_over_and_counts_what_is_thrown_away() {
        let (frames, stats) = play(PlayoutConfig::default(), &[(0, 1), (20, 2), (30, 5_000), (50, 5_001)]);
        assert_eq!(frames[..2], ["5000", "5001"]);
        assert_eq!((stats.played, stats.discarded), (2, 2));
    }

    #[test]
    fn no_more_than_the_limit_is_held() {
        let config = PlayoutConfig { frames_max: 8, ..PlayoutConfig::default() };
        let mut playout = Playout::new(config);
        for number in 0..10_000 {
            playout.handle_packet(START, number, &[0; 160]);
            let State::Playing(playing) = &playout.state else { panic!("idle") };
            assert!(playing.waiting.len() <= 8);
        }
    }

    proptest! {
        #[test]
        fn every_packet_is_played_or_accounted_for(
            arrivals in proptest::collection::vec((0..2_000u64, 0..200u16), 0..200),
        ) {
            let mut arrivals = arrivals;
            arrivals.sort_unstable();
            let (frames, stats) = play(PlayoutConfig::default(), &arrivals);
            let accounted = stats.played + stats.late + stats.duplicates + stats.discarded;
            prop_assert_eq!(accounted, arrivals.len() as u64);
            prop_assert_eq!(frames.len() as u64, stats.played + stats.gaps);
        }
    }
}
