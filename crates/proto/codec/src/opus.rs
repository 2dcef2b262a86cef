//! Opus in one channel, coded at 8 or 16 kHz and decoded at 16.
//!
//! Whatever another sends is decoded, two channels being mixed into one, up to 8 kHz, which is all that telephones have: a
//! decoder that makes no more than is wanted spares the filters behind it. What is sent is wideband as well: the encoder of
//! opus-rs 0.1.40 for more than that (hybrid) takes twice the bits it is given, and divides by zero when it is to make
//! copies of frames.
//!
//! Two libraries do the work, one or the other: opus-rs, in Rust, and, with the feature `libopus`, the reference library,
//! which is faster and wants a compiler for C and cmake.

#[cfg(feature = "libopus")]
mod libopus;
#[cfg(not(feature = "libopus"))]
mod portable;

use crate::{DecodeError, EncodeError, Format, OpusRate, level_dbm0};
#[cfg(feature = "libopus")]
use libopus as library;
#[cfg(not(feature = "libopus"))]
use portable as library;

/// The longest packet that is made.
pub(crate) const PACKET_MAX: usize = 1_276;
/// The longest that is decoded: what fits into a datagram.
const PACKET_DECODED_MAX: usize = 1_500;
/// The longest packet lasts so many milliseconds.
const PACKET_MS_MAX: usize = 120;
/// What is lost can be concealed in multiples of 2.5 ms, and is at 20 ms at a time: so many a second.
const CONCEALED_STEPS: usize = 400;
const CONCEALED_FRAMES: usize = 50;

/// How an [`Encoder::Opus`](crate::Encoder::Opus) is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusSettings {
    /// Samples a second of what goes in, and so the bandwidth; 16,000 unless told otherwise.
    pub rate: OpusRate,
    /// Bits a second, 6,000 to 64,000; 24,000 unless told otherwise.
    pub bit_rate: u32,
    /// From 0 to 10: the more, the better it sounds and the longer it takes. 5 unless told otherwise.
    pub complexity: u8,
    /// Puts a coarse copy of each frame into the next packet, from which it can be had again
    /// ([`Decoder::recover`](crate::Decoder::recover)). Off unless told otherwise.
    pub fec: bool,
    /// Percent of packets that are expected to be lost, which the copies are made for. 5 unless told otherwise.
    pub loss_percent: u8,
    /// Sends nothing while there is next to nothing to be heard (below -60 dBm0 for 200 ms), but for a frame each 400 ms.
    /// Off unless told otherwise.
    pub dtx: bool,
}

impl Default for OpusSettings {
    fn default() -> Self {
        Self { rate: OpusRate::default(), bit_rate: 24_000, complexity: 5, fec: false, loss_percent: 5, dtx: false }
    }
}

impl OpusSettings {
    fn bits(&self) -> i32 {
        self.bit_rate.clamp(6_000, 64_000).cast_signed()
    }

    fn complexity(&self) -> i32 {
        self.complexity.min(10).into()
    }

    fn expected_loss(&self) -> i32 {
        if self.fec { self.loss_percent.min(100).into() } else { 0 }
    }
}

/// From samples to packets.
pub struct OpusEncoder {
    encoder: library::Encoder,
    rate: OpusRate,
    pause: Option<Pause>,
}

/// When nothing is sent: no more than the level is looked at.
#[derive(Clone, Debug)]
struct Pause {
    /// Samples of a second.
    second: usize,
    /// Samples since something was to be heard.
    quiet: usize,
    /// Samples since a packet was made.
    unsent: usize,
}

/// From packets to samples.
pub struct OpusDecoder {
    decoder: library::Decoder,
    rate: OpusRate,
    samples: Vec<f32>,
}

impl OpusEncoder {
    pub(crate) fn new(settings: OpusSettings) -> Self {
        let pause = settings.dtx.then(|| Pause { second: settings.rate.hz() as usize, quiet: 0, unsent: 0 });
        Self { encoder: library::Encoder::new(&settings), rate: settings.rate, pause }
    }

    pub(crate) fn rate(&self) -> OpusRate {
        self.rate
    }

    /// Appends the packet of a frame, or nothing when nothing is to be sent.
    pub(crate) fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !Format::Opus(self.rate).is_frame(samples.len()) {
            return Err(EncodeError::FrameLength { samples: samples.len() });
        }
        if self.pause.as_mut().is_some_and(|pause| pause.goes_on(samples)) {
            return Ok(());
        }
        let begin = out.len();
        out.resize(begin + PACKET_MAX, 0);
        let encoded = self.encoder.encode(samples, &mut out[begin..]);
        out.truncate(begin + encoded.unwrap_or(0));
        // A packet without a byte is none: it would be taken for a pause.
        encoded.filter(|length| *length > 0).map(|_| ()).ok_or(EncodeError::Library)
    }
}

impl Pause {
    const QUIET_DBM0: f64 = -60.0;

    /// Is nothing sent of this frame?
    fn goes_on(&mut self, samples: &[i16]) -> bool {
        self.quiet = if level_dbm0(samples) < Self::QUIET_DBM0 { self.quiet + samples.len() } else { 0 };
        self.unsent += samples.len();
        let is_silent = self.quiet > self.second / 5 && self.unsent < self.second * 2 / 5;
        if !is_silent {
            self.unsent = 0;
        }
        is_silent
    }
}

impl OpusDecoder {
    pub(crate) fn new() -> Self {
        let rate = OpusRate::Hz16000;
        Self {
            decoder: library::Decoder::new(rate),
            rate,
            samples: vec![0.0; rate.hz() as usize * PACKET_MS_MAX / 1_000],
        }
    }

    /// The same for all: at 8 kHz the decoder of opus-rs 0.1.40 folds what is above 4 kHz back into what is below.
    pub(crate) fn rate(&self) -> OpusRate {
        self.rate
    }

    /// Samples of one of so many parts of a second.
    fn part(&self, parts: usize) -> usize {
        self.rate.hz() as usize / parts
    }

    pub(crate) fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> Result<(), DecodeError> {
        if packet.len() > PACKET_DECODED_MAX {
            return Err(DecodeError::TooLong);
        }
        if packet.is_empty() {
            return Err(DecodeError::Malformed);
        }
        let decoded = self.decoder.decode(packet, &mut self.samples);
        self.hand_out(decoded.ok_or(DecodeError::Malformed)?, out);
        Ok(())
    }

    /// Appends so many samples in place of what was lost; what is not a multiple of 2.5 ms ends in silence.
    pub(crate) fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        let end = out.len() + samples;
        let (least, frame) = (self.part(CONCEALED_STEPS), self.part(CONCEALED_FRAMES));
        while out.len() + least <= end {
            let step = (end - out.len()).min(frame) / least * least;
            match self.decoder.conceal(&mut self.samples[..step]) {
                Some(made_up) if made_up > 0 => self.hand_out(made_up.min(step), out),
                _ => break,
            }
        }
        out.resize(end, 0);
    }

    /// Appends so many samples in place of the packet before `next`, from the copy that it may hold.
    pub(crate) fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<i16>) {
        let can = (1..=PACKET_DECODED_MAX).contains(&next.len())
            && samples > 0
            && samples.is_multiple_of(self.part(CONCEALED_STEPS));
        if !can || samples > self.part(CONCEALED_FRAMES) * 3 {
            return self.conceal(samples, out);
        }
        match self.decoder.recover(next, &mut self.samples[..samples]) {
            Some(found) if found == samples => self.hand_out(found, out),
            _ => self.conceal(samples, out),
        }
    }

    fn hand_out(&self, samples: usize, out: &mut Vec<i16>) {
        // What exceeds the range is clipped by the conversion.
        out.extend(self.samples[..samples].iter().map(|sample| (sample * 32_768.0).round() as i16));
    }
}

impl std::fmt::Debug for OpusEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpusEncoder").field("pause", &self.pause).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpusDecoder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_refuses_is_no_pause() {
        // 60 ms at 8 kHz are 30 ms at 16 kHz, which no packet has.
        let encoder = library::Encoder::new(&OpusSettings { rate: OpusRate::Hz16000, ..OpusSettings::default() });
        let mut encoder = OpusEncoder { encoder, rate: OpusRate::Hz8000, pause: None };
        let mut out = vec![7];
        assert_eq!(encoder.encode(&[0; 480], &mut out), Err(EncodeError::Library));
        assert_eq!(out, [7], "nothing is appended");
        assert_eq!(encoder.encode(&[0; 320], &mut out), Ok(()), "the next frame does");
        assert!(out.len() > 1);
    }
}
