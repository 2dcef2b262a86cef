//! From packets that come when they come to a frame for each tick.

use crate::route::format_of;
use std::time::Duration;
use sx_codec::{Decoder, Format, Resampler};
use sx_engine::Time;
use sx_media::Coding;
use sx_mix::Rate;
use sx_rtp::{Content, Frame, Gap, GapCause, JitterBuffer, JitterConfig, JitterStats, Packet};
use sx_types::{Codec, PayloadType};

/// What a member sends, on its way to the mixer.
#[derive(Debug)]
pub(super) struct Playout {
    arriving: Vec<Arriving>,
    clock_hz: u32,
    buffer: JitterBuffer,
    sound: Sound,
    pub(super) counted: Counted,
}

/// What became of packets of sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Decoded.
    pub decoded: u64,
    /// Could not be decoded; something was made up in their place.
    pub undecodable: u64,
}

/// A payload type that may arrive.
#[derive(Debug)]
struct Arriving {
    payload_type: PayloadType,
    clock_hz: u32,
    content: Content,
    /// How its sound is decoded.
    format: Option<Format>,
}

/// What is decoded.
#[derive(Debug)]
struct Sound {
    rate: Rate,
    /// The one of the payload type that came last.
    decoder: Option<Box<Decoder>>,
    /// The way from its rate, when that is another.
    resampler: Option<(u32, Resampler)>,
    decoded: Vec<i16>,
    /// Samples at the member's rate that are still to be played.
    pending: Vec<i16>,
    /// So many of them, from the first on, were handed out.
    played: usize,
}

impl Playout {
    pub(super) fn new(from: &[Coding], rate: Rate) -> Self {
        let arriving: Vec<_> = from.iter().filter_map(Arriving::new).collect();
        let first = arriving.iter().find(|arriving| arriving.format.is_some());
        let clock_hz = first.map_or(8_000, |arriving| arriving.clock_hz);
        Self {
            arriving,
            clock_hz,
            buffer: JitterBuffer::new(JitterConfig::new(clock_hz)),
            sound: Sound::new(rate),
            counted: Counted::default(),
        }
    }

    /// The member may send something else from now on. What waits is played as far as it still may be sent.
    pub(super) fn set_codings(&mut self, from: &[Coding]) {
        self.arriving = from.iter().filter_map(Arriving::new).collect();
    }

    /// The frames are to have this rate from now on.
    pub(super) fn set_rate(&mut self, rate: Rate) {
        if self.sound.rate != rate {
            self.sound = Sound::new(rate);
        }
    }

    /// Nothing that has come is played any more.
    pub(super) fn clear(&mut self) {
        self.buffer = JitterBuffer::new(JitterConfig::new(self.clock_hz));
        self.sound = Sound::new(self.sound.rate);
    }

    /// Ticks a second of a payload type, and whether its timestamps say when it was sent; `None` for one that was not
    /// negotiated.
    pub(super) fn clock_of(&self, payload_type: PayloadType) -> Option<(u32, bool)> {
        let arriving = find(&self.arriving, payload_type)?;
        Some((arriving.clock_hz, arriving.format.is_some()))
    }

    /// Are telephone events meant by it?
    pub(super) fn is_event(&self, payload_type: PayloadType) -> bool {
        find(&self.arriving, payload_type).is_some_and(|arriving| arriving.content == Content::Nothing)
    }

    /// How packets are played out, as whoever sends them is told.
    pub(super) fn told(&self) -> sx_media::Playout {
        let JitterStats { received, late, discarded, duplicates, delay, .. } = self.buffer.stats();
        let delay_max = JitterConfig::new(self.clock_hz).delay_max;
        sx_media::Playout { received, discarded: late + discarded, duplicates, delay, delay_max }
    }

    /// A packet has arrived.
    pub(super) fn handle_packet(&mut self, now: Time, packet: &Packet<'_>) {
        let Some(arriving) = find(&self.arriving, packet.payload_type()) else { return };
        if arriving.format.is_some() && arriving.clock_hz != self.clock_hz {
            self.clock_hz = arriving.clock_hz;
            self.buffer = JitterBuffer::new(JitterConfig::new(self.clock_hz));
        }
        self.buffer.handle_packet(now, packet.header(), arriving.content, packet.payload());
    }

    /// The frame that begins at `at`; `None` when the member is silent.
    pub(super) fn take(&mut self, at: Time) -> Option<&mut [i16]> {
        let Self { arriving, buffer, sound, counted, .. } = self;
        let wanted = sound.rate.frame_samples();
        sound.pending.drain(..sound.played);
        sound.played = 0;
        let mut sounds = !sound.pending.is_empty();
        for _ in 0..STEPS_MAX {
            if sound.pending.len() >= wanted {
                break;
            }
            // What is left over is played first.
            match buffer.take(at + sound.pending_for()) {
                Some(Frame::Payload(payload)) => {
                    let format = find(arriving, payload.header.payload_type).and_then(|arriving| arriving.format);
                    match format.filter(|_| payload.content == Content::Speech) {
                        Some(format) => {
                            sound.decode(format, payload.bytes, payload.duration, counted);
                            sounds = true;
                        }
                        // The noise behind one voice is not to be heard in all others' ears.
                        None => sound.pause(payload.duration),
                    }
                }
                Some(Frame::Surplus(payload)) => {
                    if let Some(format) = find(arriving, payload.header.payload_type).and_then(|known| known.format) {
                        sound.decode_away(format, payload.bytes, counted);
                    }
                }
                Some(Frame::Gap(Gap { cause: GapCause::Pause, duration, .. })) => sound.pause(duration),
                Some(Frame::Gap(gap)) => sounds |= sound.conceal(arriving, &gap),
                None => break,
            }
        }
        // Silence behind what there is, when nothing follows it.
        sound.pending.resize(sound.pending.len().max(wanted), 0);
        sound.played = wanted;
        sounds.then(|| &mut sound.pending[..wanted])
    }
}

impl Arriving {
    fn new(coding: &Coding) -> Option<Self> {
        let format = format_of(coding);
        let content = match coding.codec {
            Codec::ComfortNoise => Content::ComfortNoise,
            Codec::TelephoneEvent => Content::Nothing,
            _ if format.is_some() => Content::Speech,
            _ => return None,
        };
        Some(Self { payload_type: coding.payload_type, clock_hz: coding.clock_hz, content, format })
    }
}

impl Sound {
    fn new(rate: Rate) -> Self {
        let (decoded, pending) = (Vec::new(), Vec::new());
        Self { rate, decoder: None, resampler: None, decoded, pending, played: 0 }
    }

    /// How long what is left over lasts.
    fn pending_for(&self) -> Duration {
        Duration::from_nanos(self.pending.len() as u64 * 1_000_000_000 / u64::from(self.rate.hz()))
    }

    fn decode(&mut self, format: Format, payload: &[u8], lasts: Duration, counted: &mut Counted) {
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        if let Some(decoder) = self.decoder(format) {
            match decoder.decode(payload, &mut decoded) {
                Ok(()) => counted.decoded += 1,
                Err(_) => {
                    counted.undecodable += 1;
                    decoder.conceal(format.frame_samples(lasts), &mut decoded);
                }
            }
        }
        self.play(format.sample_hz(), decoded);
    }

    /// Decodes what is left out, for the sake of what the decoder remembers.
    fn decode_away(&mut self, format: Format, payload: &[u8], counted: &mut Counted) {
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        match self.decoder(format).map(|decoder| decoder.decode(payload, &mut decoded)) {
            Some(Ok(())) => counted.decoded += 1,
            Some(Err(_)) | None => counted.undecodable += 1,
        }
        self.decoded = decoded;
    }

    /// Makes up what is missing. False when there is nothing that it could be made of.
    fn conceal(&mut self, arriving: &[Arriving], gap: &Gap<'_>) -> bool {
        let Some(decoder) = self.decoder.as_mut() else {
            self.pause(gap.duration);
            return false;
        };
        let format = decoder.format();
        let samples = format.frame_samples(gap.duration);
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        let is_of_this = |of: &PayloadType| find(arriving, *of).is_some_and(|known| known.format == Some(format));
        match gap.next.filter(|(of, _)| is_of_this(of)) {
            Some((_, next)) => decoder.recover(next, samples, &mut decoded),
            None => decoder.conceal(samples, &mut decoded),
        }
        self.play(format.sample_hz(), decoded);
        true
    }

    fn pause(&mut self, lasts: Duration) {
        let samples = lasts.as_micros() as usize * self.rate.hz() as usize / 1_000_000;
        self.pending.resize(self.pending.len() + samples, 0);
    }

    fn decoder(&mut self, format: Format) -> Option<&mut Decoder> {
        if self.decoder.as_ref().is_none_or(|decoder| decoder.format() != format) {
            self.decoder = Some(Box::new(Decoder::new(format)));
        }
        self.decoder.as_deref_mut()
    }

    /// Has what was decoded played, and takes its buffer back.
    fn play(&mut self, sample_hz: u32, decoded: Vec<i16>) {
        if sample_hz == self.rate.hz() {
            self.pending.extend_from_slice(&decoded);
        } else {
            if self.resampler.as_ref().is_none_or(|(hz, _)| *hz != sample_hz) {
                self.resampler = Resampler::new(sample_hz, self.rate.hz()).map(|resampler| (sample_hz, resampler));
            }
            if let Some((_, resampler)) = &mut self.resampler {
                resampler.process(&decoded, &mut self.pending);
            }
        }
        self.decoded = decoded;
    }
}

fn find(arriving: &[Arriving], payload_type: PayloadType) -> Option<&Arriving> {
    arriving.iter().find(|arriving| arriving.payload_type == payload_type)
}

/// What is asked of the buffer for one frame at most: each packet that waits, were all of them to be left out, and some.
const STEPS_MAX: usize = 80;
