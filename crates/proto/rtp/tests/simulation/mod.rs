//! A mixer that plays what has become of a stream, and what it is like to listen to it.

use std::collections::BTreeSet;
use std::time::Duration;
use sx_engine::Time;
use sx_rtp::{Content, Frame, Header, JitterBuffer, JitterConfig, JitterStats, Ssrc};
use sx_testkit::{Arrived, Journeys};
use sx_types::PayloadType;

pub const CLOCK_HZ: u32 = 8_000;
pub const START: Time = Time::from_secs(1_800_000_000);
/// The mixer needs sound so often. Its ticks are not those of the sender.
const TICK: Duration = Duration::from_millis(20);
const PHASE: Duration = Duration::from_millis(7);

/// What was heard.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// The packets played, in the order in which they were.
    pub played: Vec<Played>,
    /// Frames made up.
    pub concealed: u64,
    /// Packets that came, and were not played because they came too late.
    pub late: u64,
    /// Packets left out so that the delay shrinks.
    pub left_out: u64,
    /// Packets that came, without copies.
    pub came: u64,
}

/// A packet that was played. Times are from the beginning of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Played {
    pub sent: Duration,
    pub came: Duration,
    pub at: Duration,
}

/// The header of a packet. Numbers and timestamps begin a little before their end, so that they wrap.
pub fn header(arrived: &Arrived) -> Header {
    let ticks = (arrived.sent.as_nanos() * u128::from(CLOCK_HZ) / 1_000_000_000) as u32;
    Header {
        marker: arrived.first,
        payload_type: PayloadType(0),
        sequence: 65_000_u16.wrapping_add(arrived.number as u16),
        timestamp: ticks.wrapping_sub(80_000),
        ssrc: Ssrc(7),
    }
}

/// Plays packets of `every` through a jitter buffer, of which a mixer takes what it needs each 20 ms. `watch` sees what the
/// buffer says of itself after each tick.
pub fn play(journeys: &Journeys, every: Duration, mut watch: impl FnMut(Duration, JitterStats)) -> Heard {
    let mut buffer = JitterBuffer::new(JitterConfig::new(CLOCK_HZ));
    let mut heard = Heard { came: came(journeys), ..Heard::default() };
    let mut arrivals = journeys.arrived.iter().peekable();
    let mut came_at = vec![(Duration::ZERO, Duration::ZERO); journeys.sent as usize];
    let end = journeys.arrived.last().map_or(Duration::ZERO, |last| last.at) + TICK * 20;
    let (mut tick, mut sounded) = (PHASE, PHASE);
    while tick < end {
        while let Some(arrived) = arrivals.next_if(|arrived| arrived.at <= tick) {
            buffer.handle_packet(START + arrived.at, header(arrived), Content::Speech, &arrived.number.to_be_bytes());
            let first = &mut came_at[arrived.number as usize];
            if first.1.is_zero() {
                *first = (arrived.sent, arrived.at);
            }
        }
        // What has been taken sounds until then.
        sounded = sounded.max(tick);
        while sounded < tick + TICK {
            match buffer.take(START + sounded) {
                Some(Frame::Payload(payload)) => {
                    let number = u32::from_be_bytes(payload.bytes.try_into().expect("four bytes"));
                    let (sent, came) = came_at[number as usize];
                    heard.played.push(Played { sent, came, at: sounded });
                    sounded += every;
                }
                Some(Frame::Gap(gap)) => sounded += gap.duration,
                Some(Frame::Surplus(_)) => {}
                None => break,
            }
        }
        watch(tick, buffer.stats());
        tick += TICK;
    }
    let stats = buffer.stats();
    (heard.concealed, heard.late, heard.left_out) = (stats.concealed, stats.late, stats.surplus);
    heard
}

/// Plays packets of 20 ms after a fixed delay: the first is held back for that long, and each 20 ms the next has its turn.
/// When nothing at all has waited for ten turns, the next packet is a first one again.
pub fn play_fixed(journeys: &Journeys, delay: Duration) -> Heard {
    let mut heard = Heard { came: came(journeys), ..Heard::default() };
    let mut arrivals = journeys.arrived.iter().peekable();
    let mut waiting = std::collections::BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut turn: Option<(u32, Duration)> = None;
    let mut dry = 0;
    loop {
        let until = turn.map_or(Duration::MAX, |(_, due)| due);
        if let Some(arrived) = arrivals.next_if(|arrived| arrived.at <= until) {
            match turn {
                Some((next, _)) if arrived.number < next => heard.late += u64::from(seen.insert(arrived.number)),
                Some(_) => drop(waiting.entry(arrived.number).or_insert(*arrived)),
                None if seen.contains(&arrived.number) => {}
                None => {
                    turn = Some((arrived.number, arrived.at + delay));
                    waiting.insert(arrived.number, *arrived);
                }
            }
            continue;
        }
        let Some((next, due)) = turn else { return heard };
        dry = if waiting.is_empty() { dry + 1 } else { 0 };
        if dry > 10 {
            heard.concealed -= 10;
            turn = None;
            dry = 0;
            continue;
        }
        match waiting.remove(&next) {
            Some(Arrived { number, sent, at: came, .. }) => {
                seen.insert(number);
                heard.played.push(Played { sent, came, at: due });
            }
            None => heard.concealed += 1,
        }
        turn = Some((next + 1, due + TICK));
    }
}

impl Heard {
    /// The share of what is heard that was made up.
    pub fn concealed_share(&self) -> f64 {
        self.concealed as f64 / (self.concealed as f64 + self.played.len() as f64).max(1.0)
    }

    /// The share of the packets that came too late.
    pub fn late_share(&self) -> f64 {
        self.late as f64 / (self.came as f64).max(1.0)
    }

    /// What the buffer adds to the way of a packet, in ms: so large a share of packets waits no longer.
    pub fn waits(&self, share: f64) -> f64 {
        quantile(self.played.iter().map(|played| millis(played.at) - millis(played.came)).collect(), share)
    }

    /// The jitter of what is played, in ms: its mean and the most that it ever was.
    pub fn jitter(&self) -> (f64, f64) {
        jitter(self.played.iter().map(|played| (played.sent, played.at)))
    }
}

/// The jitter of what arrives, in ms: its mean and the most that it ever was.
pub fn jitter_of_network(journeys: &Journeys) -> (f64, f64) {
    jitter(journeys.arrived.iter().map(|arrived| (arrived.sent, arrived.at)))
}

/// The share of packets that never came.
pub fn lost_share(journeys: &Journeys) -> f64 {
    1.0 - came(journeys) as f64 / f64::from(journeys.sent.max(1))
}

fn came(journeys: &Journeys) -> u64 {
    journeys.arrived.iter().map(|arrived| arrived.number).collect::<BTreeSet<_>>().len() as u64
}

//= https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1
fn jitter(packets: impl Iterator<Item = (Duration, Duration)>) -> (f64, f64) {
    let (mut jitter, mut before, mut sum, mut most, mut count) = (0.0, None, 0.0, 0.0_f64, 0.0_f64);
    for (sent, at) in packets {
        let transit = millis(at) - millis(sent);
        if let Some(before) = before.replace(transit) {
            let difference: f64 = transit - before;
            jitter += (difference.abs() - jitter) / 16.0;
        }
        sum += jitter;
        most = most.max(jitter);
        count += 1.0;
    }
    (sum / count.max(1.0), most)
}

fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share) as usize).copied().unwrap_or(0.0)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
