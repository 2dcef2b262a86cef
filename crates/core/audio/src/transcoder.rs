//! One direction of a stream, packet by packet.

mod keys;

use crate::keys::{Listening, Pressing, Relayed};
use crate::recoder::Recoder;
use crate::route::{Arriving, NotConvertible, Route, coded_from, routes};
use crate::sending::{Sending, Sent};
use crate::source::{Place, Source};
use crate::timeline::Timeline;
use std::time::Duration;
use sx_codec::{Decoder, Format, comfort_noise_payload};
use sx_engine::{Rng, Time};
use sx_media::{Coding, Conversion, KeyWay, SoundRule};
use sx_rtp::{Compound, Header, Packet, ReportBlock, RtcpPacket, Ssrc};
use sx_types::{Codec, PayloadType};

/// What became of the packets that came in: each is counted in one of these, but for `concealed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Decoded and coded anew.
    pub transcoded: u64,
    /// Sound that both sides have, and that passed as it was.
    pub passed: u64,
    /// Telephone events.
    pub events: u64,
    /// Comfort noise.
    pub noise: u64,
    /// Could not be decoded; something was made up in their place.
    pub undecodable: u64,
    /// Late, or twice: dropped.
    pub late: u64,
    /// Of another source, or leaping, and not believed: dropped.
    pub strange: u64,
    /// Of a payload type that was not negotiated, empty, or no RTP: dropped.
    pub unexpected: u64,
    /// Sound beside keys, which are heard in its place, or that is not to be heard: dropped.
    pub muted: u64,
    /// Holes that were filled.
    pub concealed: u64,
    /// Keys, more than anybody can press: dropped.
    pub keys_dropped: u64,
}

impl Stats {
    /// All packets that have come in.
    pub fn packets(&self) -> u64 {
        let Self { transcoded, passed, events, noise, undecodable, late, strange, unexpected, muted, .. } = *self;
        transcoded + passed + events + noise + undecodable + late + strange + unexpected + muted
    }
}

/// Packets of one format in, packets of another out.
#[derive(Debug)]
pub struct Transcoder {
    arriving: Vec<Arriving>,
    source: Source,
    timeline: Timeline,
    /// Where the next sound belongs, as far as what came before says.
    expected: Option<i64>,
    /// Packets that were lost since there was sound.
    lost: u32,
    /// How the receiver is told of keys, and the events that it takes.
    keys: KeyWay,
    events: Vec<Coding>,
    /// What the receiver hears of the sound.
    sound: SoundRule,
    relayed: Relayed,
    listening: Listening,
    pressing: Pressing,
    recoder: Option<Recoder>,
    sending: Sending,
    stats: Stats,
}

impl Transcoder {
    /// A stream that is sent by the source `ssrc`.
    ///
    /// # Errors
    /// [`NotConvertible`] when something would have to be coded that cannot be.
    pub fn new(conversion: &Conversion, ssrc: Ssrc, rng: &mut Rng) -> Result<Self, NotConvertible> {
        let coded = coded_from(conversion);
        let arriving = routes(conversion, coded.as_ref())?;
        let clock_hz = coded.map_or(8_000, |coded| coded.coding.clock_hz);
        let recoder = coded.map(|coded| Recoder::new(coded, conversion, rng.u32()));
        let is_event = |coding: &&Coding| coding.codec == Codec::TelephoneEvent;
        Ok(Self {
            arriving,
            source: Source::default(),
            timeline: Timeline::default(),
            expected: None,
            lost: 0,
            keys: conversion.keys.to,
            events: conversion.to.iter().filter(is_event).copied().collect(),
            sound: conversion.sound,
            relayed: Relayed::default(),
            listening: Listening::new(conversion.keys.heard_in_band),
            pressing: Pressing::default(),
            recoder,
            sending: Sending::new(ssrc, clock_hz, rng),
            stats: Stats::default(),
        })
    }

    /// What it sends follows what the party was sent before, in the name of the same source.
    pub fn resume(&mut self, now: Time, sent: &Sent) {
        self.sending.resume(now, sent);
    }

    /// A packet of RTP has arrived. [`poll_packet`](Self::poll_packet) gives what is to be sent for it, until the next comes.
    pub fn handle_packet(&mut self, now: Time, datagram: &[u8]) {
        self.sending.begin(now);
        let Ok(packet) = Packet::parse(datagram) else {
            self.stats.unexpected += 1;
            return;
        };
        let header = packet.header();
        let known = self.arriving.iter().position(|arriving| arriving.payload_type == header.payload_type);
        let index = known.filter(|_| !packet.payload().is_empty());
        // Also what is dropped has a place, and is not lost.
        let is_sound =
            index.is_some_and(|index| matches!(self.arriving[index].route, Route::Pass(..) | Route::Code(..)));
        // Who begins with what nobody has negotiated is counted by the clock of what was: there is some, else nothing could be
        // converted.
        let clock_hz = self.arriving.get(index.unwrap_or(0)).map_or(8_000, |arriving| arriving.clock_hz);
        match self.source.place(now, &header, clock_hz, is_sound) {
            Place::Late => self.stats.late += 1,
            Place::Strange => self.stats.strange += 1,
            place => {
                match place {
                    Place::Next { lost } => self.lost = self.lost.saturating_add(lost.into()),
                    _ => self.begin_anew(),
                }
                match index {
                    Some(index) => self.route(now, index, packet),
                    None => self.stats.unexpected += 1,
                }
            }
        }
        self.advance_keys(now);
    }

    /// The next packet that is to be sent.
    pub fn poll_packet(&mut self) -> Option<&[u8]> {
        self.sending.poll()
    }

    /// RTCP of the sender has arrived: its reports say when it has sent what.
    pub fn handle_rtcp(&mut self, now: Time, datagram: &[u8]) {
        let Ok(compound) = Compound::parse(datagram) else { return };
        for packet in compound.packets() {
            if let RtcpPacket::SenderReport(report) = packet {
                self.source.handle_sender_report(now, report.ssrc, &report.info);
            }
        }
    }

    /// What the sender is to be told of its stream; begins a new interval for the fraction lost.
    pub fn report(&mut self, now: Time) -> Option<ReportBlock> {
        self.source.report(now)
    }

    /// What was sent; `None` when nothing was.
    pub fn sent(&self) -> Option<Sent> {
        self.sending.sent()
    }

    /// What became of what came in.
    pub fn stats(&self) -> Stats {
        Stats { keys_dropped: self.listening.dropped() + self.pressing.dropped(), ..self.stats }
    }

    /// Packets that are missing, since this was last asked, because their sound could not be encoded.
    pub fn take_encode_errors(&mut self) -> u64 {
        self.sending.take_encode_errors()
    }

    /// Nothing that came before says where something belongs: what is left of it goes out, and nothing is expected.
    fn begin_anew(&mut self) {
        self.flush();
        self.timeline.forget();
        (self.expected, self.lost) = (None, 0);
        self.relayed.forget();
        for arriving in &mut self.arriving {
            if let Route::Code(_, decoder) = &mut arriving.route {
                *decoder = None;
            }
        }
    }

    fn route(&mut self, now: Time, index: usize, packet: Packet<'_>) {
        let (header, payload) = (&packet.header(), packet.payload());
        let in_hz = self.arriving[index].clock_hz;
        let is_beside_keys = !matches!(self.arriving[index].route, Route::Event | Route::Key);
        if is_beside_keys && (self.pressing.is_active() || self.is_withheld(index)) {
            self.stats.muted += 1;
            (self.lost, self.expected) = (0, None);
            return;
        }
        match &mut self.arriving[index].route {
            Route::Pass(payload_type, format) => {
                let (payload_type, format) = (*payload_type, *format);
                if let Some(format) = format {
                    self.listening.handle_payload(now, format, payload);
                }
                self.pass(payload_type, header, in_hz, payload);
            }
            Route::Event => self.pass_event(header, in_hz, payload),
            Route::Key => self.hear_event(now, in_hz, packet),
            Route::Noise(coding) => {
                let coding = *coding;
                self.stats.noise += 1;
                let at = self.place_beside(header, in_hz);
                self.sending.beside(coding.payload_type, at, false, payload);
                self.sending.pause();
            }
            Route::NoiseAsSound => {
                self.stats.noise += 1;
                self.sound_noise(header, in_hz, payload);
            }
            Route::Code(format, decoder) => {
                let format = *format;
                let mut decoder = decoder.take().unwrap_or_else(|| Box::new(Decoder::new(format)));
                self.code(now, &mut decoder, header, in_hz, payload);
                if let Route::Code(_, place) = &mut self.arriving[index].route {
                    *place = Some(decoder);
                }
            }
        }
    }

    /// Is nothing of this to be heard? Where silence is, noise would tell of what there is in its place.
    fn is_withheld(&self, index: usize) -> bool {
        match self.sound {
            SoundRule::Heard => false,
            SoundRule::Silent => matches!(self.arriving[index].route, Route::Noise(_) | Route::NoiseAsSound),
            SoundRule::Withheld => true,
        }
    }

    /// Sound that both sides have.
    fn pass(&mut self, payload_type: PayloadType, header: &Header, hz: u32, payload: &[u8]) {
        self.flush();
        let position = self.position(header.timestamp, hz, hz);
        let at = self.timeline.out(position).max(self.sending.end());
        self.skip_lost();
        if self.listening.silences() {
            self.stats.muted += 1;
            self.sending.pause();
            return;
        }
        self.stats.passed += 1;
        self.sending.sound(payload_type, at, 0, header.marker, payload);
        self.expected = None;
    }

    /// Where something beside the sound goes that ends what there was of it.
    fn place_beside(&mut self, header: &Header, in_hz: u32) -> u64 {
        self.flush();
        let out_hz = self.out_hz(in_hz);
        let position = self.position(header.timestamp, in_hz, out_hz);
        self.skip_lost();
        self.expected = None;
        self.timeline.out(position).max(self.sending.end())
    }

    /// Comfort noise for somebody who takes none: a packet of sound.
    fn sound_noise(&mut self, header: &Header, in_hz: u32, payload: &[u8]) {
        let at = self.place_beside(header, in_hz);
        let Some(recoder) = &mut self.recoder else { return };
        recoder.send_noise(payload, at, &mut self.sending);
        self.sending.pause();
    }

    /// Sound that is decoded and coded anew.
    fn code(&mut self, now: Time, decoder: &mut Decoder, header: &Header, in_hz: u32, payload: &[u8]) {
        let out_hz = self.out_hz(in_hz);
        let position = self.position(header.timestamp, in_hz, out_hz);
        self.bridge(decoder, position, header.timestamp, payload);
        let Some(recoder) = &mut self.recoder else { return };
        match recoder.decode(decoder, payload) {
            Ok(()) => self.stats.transcoded += 1,
            Err(_) => self.stats.undecodable += 1,
        }
        self.listening.handle_samples(now, &recoder.decoded, decoder.format().sample_hz());
        if self.listening.silences() || self.sound == SoundRule::Silent {
            // The key is told in another way.
            recoder.decoded.fill(0);
        }
        let held = decoder.format().rtp_ticks(recoder.decoded.len());
        self.expected = Some(self.timeline.position() + held as i64);
        match recoder.silence.filter(|_| is_discontinuous(decoder.format(), payload)) {
            Some(silence) => {
                let level = comfort_noise_payload(&recoder.decoded);
                recoder.flush(&mut self.sending);
                let at = self.timeline.out(self.timeline.position()).max(self.sending.end());
                self.sending.beside(silence.payload_type, at, false, &level);
                self.sending.pause();
                // What comes next is after a pause.
                self.expected = None;
            }
            None => recoder.take_decoded(&mut self.sending),
        }
    }

    /// Deals with what is between the sound that was there and that at a position.
    fn bridge(&mut self, decoder: &mut Decoder, position: i64, timestamp: u32, payload: &[u8]) {
        let Some(recoder) = &mut self.recoder else { return };
        recoder.set_rate(decoder.format().sample_hz());
        let in_hz = decoder.format().rtp_clock_hz();
        let lost = std::mem::take(&mut self.lost);
        let hole = self.expected.map(|expected| position - expected);
        let filled = i64::from(in_hz) * CONCEALED_MAX.as_millis() as i64 / 1_000;
        match hole {
            Some(0) => {}
            Some(hole) if hole > 0 && hole <= filled && lost > 0 => {
                self.stats.concealed += 1;
                recoder.fill(decoder, ticks_to_samples(hole, in_hz, decoder.format()), payload);
            }
            // What overlaps a little with what was there follows it, and so does all after it.
            Some(hole) if hole < 0 && hole >= -i64::from(in_hz) / OVERLAP_SHARE => {
                recoder.pending_at = recoder.pending_at.max(self.sending.end());
                self.timeline.anchor(timestamp, recoder.pending_end());
            }
            // A sender whose timestamps have gone back has begun again.
            Some(hole) if hole < 0 => {
                recoder.flush(&mut self.sending);
                recoder.pending_at = self.sending.position_now();
                self.timeline.anchor(timestamp, recoder.pending_at);
                self.sending.pause();
            }
            _ => {
                recoder.flush(&mut self.sending);
                let at = self.timeline.out(position).max(self.sending.end());
                let missed = (at - self.sending.end()) / recoder.frame_ticks().max(1);
                let missed = if hole.is_some() { missed } else { lost.into() };
                if lost > 0 {
                    self.sending.skip(missed.min(SKIPPED_MAX) as u16);
                }
                self.sending.pause();
                recoder.pending_at = at;
            }
        }
    }

    /// Where a timestamp is, in ticks since something began. When that cannot be said it begins here, and now.
    fn position(&mut self, timestamp: u32, in_hz: u32, out_hz: u32) -> i64 {
        if let Some(position) = self.timeline.advance(timestamp, in_hz, out_hz) {
            return position;
        }
        self.flush();
        self.sending.set_clock(out_hz);
        self.expected = None;
        self.timeline.begin(timestamp, (in_hz, out_hz), self.sending.position_now());
        0
    }

    fn out_hz(&self, in_hz: u32) -> u32 {
        self.recoder.as_ref().map_or(in_hz, Recoder::clock_hz)
    }

    /// Packets that were lost are missing in what goes out.
    fn skip_lost(&mut self) {
        let lost = std::mem::take(&mut self.lost);
        self.sending.skip(u64::from(lost).min(SKIPPED_MAX) as u16);
    }

    fn flush(&mut self) {
        if let Some(recoder) = &mut self.recoder {
            recoder.flush(&mut self.sending);
        }
    }
}

/// Is this a payload that says no more than that the pause goes on?
//= https://www.rfc-editor.org/rfc/rfc7587#section-3.1.3
fn is_discontinuous(format: Format, payload: &[u8]) -> bool {
    let opus = Format::from_codec(Codec::Opus, Codec::Opus.clock_hz());
    let is_opus = opus.is_some_and(|opus| std::mem::discriminant(&opus) == std::mem::discriminant(&format));
    is_opus && payload.len() <= 2
}

fn ticks_to_samples(ticks: i64, clock_hz: u32, format: Format) -> usize {
    (ticks.unsigned_abs() * u64::from(format.sample_hz()) / u64::from(clock_hz.max(1))) as usize
}

/// A hole that is longer stays one: nothing that could be made up would be like what was said.
const CONCEALED_MAX: Duration = Duration::from_millis(60);

/// An overlap of up to a fifth of a second is one of clocks that are not in step.
const OVERLAP_SHARE: i64 = 5;

/// More missing packets than this are a new beginning to a receiver.
const SKIPPED_MAX: u64 = 1_000;
