//! A party that is listened to for a recording: packets in, samples and their places out.
//!
//! Nobody waits for what it says, so a packet is held back for a while in which those before it may come yet. Its timestamp
//! says where it belongs on the recording, from where the first packet came: what was lost is made up or left open, a
//! pause is left open, and two parties stay in step. A sender whose clock has gone elsewhere begins anew where it is heard.

use crate::route::format_of;
use crate::source::{Place, Source};
use crate::timeline::Timeline;
use std::collections::VecDeque;
use std::time::Duration;
use sx_codec::{Decoder, Format, Resampler};
use sx_engine::Time;
use sx_media::Coding;
use sx_rtp::{Header, Packet};
use sx_types::PayloadType;

/// What one party sends, on its way into a recording.
#[derive(Debug)]
pub struct Listener {
    sample_hz: u32,
    /// Place 0.
    began: Time,
    arriving: Vec<(PayloadType, u32, Format)>,
    source: Source,
    timeline: Timeline,
    /// In the order of their numbers, as far as they are of one source.
    waiting: VecDeque<Waiting>,
    decoder: Option<Box<Decoder>>,
    resampler: Option<(u32, Resampler)>,
    decoded: Vec<i16>,
    samples: Vec<i16>,
    /// Samples of the last packet, at the rate of its codec.
    last_samples: usize,
    /// Where what was handed out last ends.
    end: u64,
    /// Packets in a row whose places were far from when they came.
    astray: u32,
    heard: ListenerStats,
}

/// What has become of packets of sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerStats {
    /// Decoded.
    pub decoded: u64,
    /// Could not be decoded; something was made up in their place.
    pub undecodable: u64,
    /// Too late, or of another source; left out.
    pub left_out: u64,
}

#[derive(Debug)]
struct Waiting {
    at: Time,
    header: Header,
    payload: Vec<u8>,
}

impl Listener {
    /// Listens to a party that may send these. Its samples have this rate, and their places count from `began`.
    pub fn new(from: &[Coding], sample_hz: u32, began: Time) -> Self {
        let mut listener = Self {
            sample_hz,
            began,
            arriving: Vec::new(),
            source: Source::default(),
            timeline: Timeline::default(),
            waiting: VecDeque::new(),
            decoder: None,
            resampler: None,
            decoded: Vec::new(),
            samples: Vec::new(),
            last_samples: 0,
            end: 0,
            astray: 0,
            heard: ListenerStats::default(),
        };
        listener.set_codings(from);
        listener
    }

    /// The party may send something else from now on. What waits is heard as far as it still may be sent.
    pub fn set_codings(&mut self, from: &[Coding]) {
        let format = |coding: &Coding| Some((coding.payload_type, coding.clock_hz, format_of(coding)?));
        self.arriving = from.iter().filter(|coding| coding.is_sound()).filter_map(format).collect();
    }

    /// What has become of its packets so far.
    pub fn heard(&self) -> ListenerStats {
        self.heard
    }

    /// A packet has arrived.
    pub fn handle_packet(&mut self, at: Time, datagram: &[u8]) {
        let Ok(packet) = Packet::parse(datagram) else { return };
        if !self.arriving.iter().any(|(known, ..)| *known == packet.payload_type()) {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            // They come faster than sound does: who waits for longest is left out.
            self.waiting.pop_front();
            self.heard.left_out += 1;
        }
        let header = packet.header();
        let follows = |before: &Waiting| {
            before.header.ssrc != header.ssrc || header.sequence.wrapping_sub(before.header.sequence) < HALF
        };
        let place = self.waiting.iter().rposition(follows).map_or(0, |before| before + 1);
        self.waiting.insert(place, Waiting { at, header, payload: packet.payload().to_vec() });
    }

    /// Hands out what has come until so long ago that nothing before it will, with its place.
    pub fn take(&mut self, now: Time, out: impl FnMut(u64, &[i16])) {
        self.take_until(|waiting| waiting.at + HOLD <= now, out);
    }

    /// Hands out all that has come.
    pub fn flush(&mut self, out: impl FnMut(u64, &[i16])) {
        self.take_until(|_| true, out);
    }

    fn take_until(&mut self, is_due: impl Fn(&Waiting) -> bool, mut out: impl FnMut(u64, &[i16])) {
        while let Some(waiting) = self.waiting.pop_front_if(|first| is_due(first)) {
            if let Some(at) = self.hear(&waiting) {
                out(at, &self.samples);
            }
        }
    }

    /// Where the samples of a packet belong, which are in `samples` then.
    fn hear(&mut self, Waiting { at, header, payload }: &Waiting) -> Option<u64> {
        let known = self.arriving.iter().find(|(known, ..)| *known == header.payload_type);
        let (_, clock_hz, format) = *known?;
        let lost = match self.source.place(*at, header, clock_hz, true) {
            Place::Next { lost } => lost,
            Place::Anew => {
                self.timeline.forget();
                0
            }
            Place::Late | Place::Strange => {
                self.heard.left_out += 1;
                return None;
            }
        };
        let place = self.place(*at, header.timestamp, clock_hz);
        self.prepare(format);
        self.samples.clear();
        let begin = self.fill(place, lost, payload);
        self.decode(format, payload);
        self.end = begin + self.samples.len() as u64;
        Some(begin)
    }

    /// Where a timestamp belongs. One that is far from when it came for long says nothing, and is put to when it came.
    fn place(&mut self, at: Time, timestamp: u32, clock_hz: u32) -> u64 {
        let hz = u64::from(self.sample_hz);
        let came = u64::try_from(at.since(self.began).as_micros() * u128::from(hz) / 1_000_000).unwrap_or(u64::MAX);
        let said =
            self.timeline.advance(timestamp, clock_hz, self.sample_hz).map(|position| self.timeline.out(position));
        let astray = said.map(|said| said.abs_diff(came));
        self.astray = if astray.is_some_and(|astray| astray * 1_000 > hz * ASTRAY_MS) { self.astray + 1 } else { 0 };
        match said {
            Some(said) if self.astray < ASTRAY_PACKETS && said.abs_diff(came) < hz * LEAP_S => said,
            _ => {
                self.astray = 0;
                self.timeline.begin(timestamp, (clock_hz, self.sample_hz), came.max(self.end));
                came.max(self.end)
            }
        }
    }

    fn prepare(&mut self, format: Format) {
        if self.decoder.as_ref().is_none_or(|decoder| decoder.format() != format) {
            self.decoder = Some(Box::new(Decoder::new(format)));
            self.last_samples = format.frame_samples(Duration::from_millis(20));
        }
        let sample_hz = format.sample_hz();
        if sample_hz == self.sample_hz {
            self.resampler = None;
        } else if self.resampler.as_ref().is_none_or(|(hz, _)| *hz != sample_hz) {
            self.resampler = Resampler::new(sample_hz, self.sample_hz).map(|resampler| (sample_hz, resampler));
        }
    }

    /// Makes up what was lost before a packet, where that is not much. Where the samples begin then.
    fn fill(&mut self, place: u64, lost: u16, next: &[u8]) -> u64 {
        // What rounding and a resampler leave between two packets is no gap.
        if place.abs_diff(self.end) * 1_000 <= u64::from(self.sample_hz) * SLACK_MS {
            return self.end;
        }
        let gap = place.saturating_sub(self.end);
        if lost == 0 || gap == 0 || gap * 1_000 > u64::from(self.sample_hz) * CONCEALED_MS {
            return place.max(self.end);
        }
        if let Some(decoder) = &mut self.decoder {
            let missing = (gap * u64::from(decoder.format().sample_hz()) / u64::from(self.sample_hz)) as usize;
            let copied = missing.min(self.last_samples);
            decoder.conceal(missing - copied, &mut self.decoded);
            decoder.recover(next, copied, &mut self.decoded);
        }
        self.resample();
        self.end
    }

    fn decode(&mut self, format: Format, payload: &[u8]) {
        let Some(decoder) = &mut self.decoder else { return };
        match decoder.decode(payload, &mut self.decoded) {
            Ok(()) => {
                self.heard.decoded += 1;
                self.last_samples = self.decoded.len();
            }
            Err(_) => {
                self.heard.undecodable += 1;
                decoder.conceal(self.last_samples.min(format.sample_hz() as usize / 10), &mut self.decoded);
            }
        }
        self.resample();
    }

    fn resample(&mut self) {
        match &mut self.resampler {
            Some((_, resampler)) => resampler.process(&self.decoded, &mut self.samples),
            None => self.samples.extend_from_slice(&self.decoded),
        }
        self.decoded.clear();
    }
}

/// What comes later than this behind what follows it is left out.
const HOLD: Duration = Duration::from_millis(100);
/// More packets than come in that time, and in the time between two looks.
const WAITING_MAX: usize = 128;
/// A number further on is one before.
const HALF: u16 = 1 << 15;
/// So far may a packet's place be from when it came, as jitter has it; and so many in a row may be further.
const ASTRAY_MS: u64 = 400;
const ASTRAY_PACKETS: u32 = 25;
/// A place that is further from when it came is none.
const LEAP_S: u64 = 5;
/// Less than this is no gap.
const SLACK_MS: u64 = 3;
/// More than this is not made up.
const CONCEALED_MS: u64 = 60;

#[cfg(test)]
mod tests;
