//! Samples in, samples out: G.711, tones, DTMF, and listening for what is to be heard.
//!
//! Everything here is linear 16-bit PCM at 8,000 samples a second. Levels are in dBm0, where a full-scale sine is
//! [`FULL_SCALE_DBM0`]. This crate deliberately knows no packet, no payload type and no time other than the number of
//! samples.
//!
//! There is no loop: what keeps state ([`Tone`], [`DtmfDetector`]) is fed or drained by the sample.
//!
//! ```
//! use sx_codec::{Law, Tone, hears};
//! let tone: Vec<i16> = Tone::new(440.0, -10.0).take(1_600).collect();
//! let mut coded = Vec::new();
//! Law::Mu.encode(&tone, &mut coded);
//! let mut decoded = Vec::new();
//! Law::Mu.decode(&coded, &mut decoded);
//! assert!(hears(&decoded, 440.0) && !hears(&decoded, 880.0));
//! ```

mod dtmf;
mod dtmf_detector;
mod g711;
mod spectrum;
mod tone;

pub use dtmf::{Digit, DtmfTone, dtmf_sequence};
pub use dtmf_detector::{Detection, DtmfDetector};
pub use g711::Law;
pub use spectrum::{Heard, hears, level_dbm0, listen};
pub use tone::Tone;

/// Samples a second.
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
