//! Samples in, samples out: codecs, loss, rates, comfort noise, tones, DTMF, and listening for what is to be heard.
//!
//! Samples are linear 16-bit PCM in one channel. Each codec has its rate ([`Format::sample_hz`]); a [`Resampler`] goes from
//! one to another. Tones, DTMF and listening are at 8,000 samples a second ([`SAMPLE_HZ`]). Levels are in dBm0, where a
//! full-scale sine is [`FULL_SCALE_DBM0`]. This crate deliberately knows no packet, no payload type and no time other than
//! the number of samples.
//!
//! | [`Format`] | samples a second | RTP clock | bytes for 20 ms | delay of the decoder |
//! | --- | --- | --- | --- | --- |
//! | `G711` | 8,000 | 8,000 | 160 | 3.75 ms |
//! | `G722` | 16,000 | 8,000 | 160 | 3.75 ms |
//! | `L16` | 8,000, 16,000, 48,000 | the same | 320, 640, 1,920 | 3.75 ms |
//! | `Opus` (feature `opus`) | 48,000 | 48,000 | as many as it takes | none |
//!
//! There is no loop: what keeps state ([`Encoder`], [`Decoder`], [`Resampler`], [`ComfortNoise`], [`Tone`],
//! [`DtmfDetector`]) is fed or drained by the sample, appends to the caller's buffer, and allocates nothing once the
//! buffers have grown to a frame. From one codec to another, with a frame that got lost:
//!
//! ```
//! use sx_codec::{Decoder, Encoder, Format, Law, Resampler, Tone, hears};
//! let mut phone = Encoder::new(Format::G711(Law::A));
//! let mut from_phone = Decoder::new(Format::G711(Law::A));
//! let mut up = Resampler::new(8_000, 16_000).expect("rates that it knows");
//! let mut to_desk = Encoder::new(Format::G722);
//! let mut desk = Decoder::new(Format::G722);
//! let mut down = Resampler::new(16_000, 8_000).expect("rates that it knows");
//!
//! let said: Vec<i16> = Tone::new(440.0, -10.0).take(3_200).collect();
//! let mut heard = Vec::new();
//! for (number, frame) in said.chunks(160).enumerate() {
//!     let (mut payload, mut narrow, mut wide) = (Vec::new(), Vec::new(), Vec::new());
//!     phone.encode(frame, &mut payload)?;
//!     match number {
//!         7 => from_phone.conceal(160, &mut narrow),
//!         _ => from_phone.decode(&payload, &mut narrow)?,
//!     }
//!     up.process(&narrow, &mut wide);
//!     let mut sent = Vec::new();
//!     to_desk.encode(&wide, &mut sent)?;
//!     let mut played = Vec::new();
//!     desk.decode(&sent, &mut played)?;
//!     down.process(&played, &mut heard);
//! }
//! assert!(heard.len() == said.len() && hears(&heard, 440.0) && !hears(&heard, 880.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod coder;
mod comfort_noise;
mod concealment;
mod dtmf;
mod dtmf_detector;
mod format;
mod g711;
mod g722;
mod l16;
#[cfg(feature = "opus")]
mod opus;
mod resampler;
mod spectrum;
mod tone;

pub use coder::{Decoder, Encoder};
pub use comfort_noise::{ComfortNoise, comfort_noise_payload};
pub use concealment::Concealment;
pub use dtmf::{Digit, DtmfTone, dtmf_sequence};
pub use dtmf_detector::{Detection, DtmfDetector};
#[cfg(feature = "opus")]
pub use format::OpusRate;
pub use format::{DecodeError, EncodeError, Format, L16Rate};
pub use g711::Law;
pub use g722::{G722Decoder, G722Encoder};
#[cfg(feature = "opus")]
pub use opus::{OpusDecoder, OpusEncoder, OpusSettings};
pub use resampler::Resampler;
pub use spectrum::{Heard, hears, level_dbm0, listen};
pub use tone::Tone;

/// Samples a second of tones, DTMF, listening and G.711.
pub const SAMPLE_HZ: u32 = 8_000;

/// The level of a sine that just reaches the largest 16-bit sample: the overload point of A-law, which µ-law passes by
/// 0.03 dB.
// ITU-T G.711, table 5: the theoretical load capacity is +3.14 dBm0 for A-law and +3.17 dBm0 for µ-law.
#[expect(clippy::approx_constant, reason = "a level that has nothing to do with the circle")]
pub const FULL_SCALE_DBM0: f64 = 3.14;

/// The amplitude of a sine at a level.
pub(crate) fn amplitude_from_dbm0(dbm0: f64) -> f64 {
    32_768.0 * 10f64.powf((dbm0 - FULL_SCALE_DBM0) / 20.0)
}

/// The level of a mean square of samples; minus infinity for silence.
pub(crate) fn dbm0_from_power(mean_square: f64) -> f64 {
    // A full-scale sine has half the square of its peak.
    10.0 * (mean_square / (32_768.0 * 32_768.0 / 2.0)).log10() + FULL_SCALE_DBM0
}
