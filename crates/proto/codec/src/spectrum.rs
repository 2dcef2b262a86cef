//! Listening: how loud is it, and which frequencies are in it. Made for tests that assert what is to be heard.

use crate::{SAMPLE_HZ, dbm0_from_power};
use std::f64::consts::TAU;

/// Samples in a window: 40 ms, in which tones 50 Hz apart are told from each other.
const WINDOW: usize = 320;
/// Each window begins half a window after the one before, so that no sample is passed over.
const HOP: usize = WINDOW / 2;
/// A frequency is heard when it carries at least this share of the power …
const HEARD_SHARE: f64 = 0.1;
/// … and is at least this loud, in dBm0: above what G.711 makes of silence.
const HEARD_DBM0: f64 = -45.0;

/// What there is of one frequency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// The frequency in Hz.
    pub hz: f64,
    /// Its level in dBm0, averaged over all of the samples; minus infinity for none.
    pub dbm0: f64,
    /// Its share of the power of all there is to be heard: 0 to 1, and 1 for a pure tone of this frequency.
    pub share: f64,
}

/// The power of one frequency in a block: the mean square of the sine that fits best. Goertzel's algorithm.
pub(crate) fn goertzel(samples: impl ExactSizeIterator<Item = f64>, hz: f64) -> f64 {
    let len = samples.len() as f64;
    let coefficient = 2.0 * (TAU * hz / f64::from(SAMPLE_HZ)).cos();
    let (a, b) = samples.fold((0.0, 0.0), |(a, b), sample| (sample + coefficient * a - b, a));
    // The squared magnitude of the transform; a sine of amplitude A gives (A·len/2)².
    2.0 * (a * a + b * b - coefficient * a * b) / (len * len)
}

/// The level of the samples in dBm0, whatever they are; minus infinity for silence and for no samples.
pub fn level_dbm0(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    dbm0_from_power(sum / samples.len().max(1) as f64)
}

/// What there is of each of these frequencies (in Hz, 0 to 4,000). Frequencies less than 50 Hz apart are not told from
/// each other. Fewer than 40 ms of samples are taken to be followed by silence.
pub fn listen<const N: usize>(samples: &[i16], frequencies: [f64; N]) -> [Heard; N] {
    let mut powers = [0.0; N];
    let mut total = 0.0;
    let mut windows = 0.0;
    let last = samples.len().saturating_sub(WINDOW);
    for start in (0..=last).step_by(HOP) {
        let window = windowed(&samples[start..samples.len().min(start + WINDOW)]);
        total += window.iter().map(|sample| sample * sample).sum::<f64>() / WINDOW as f64;
        for (power, hz) in powers.iter_mut().zip(frequencies) {
            *power += goertzel(window.iter().copied(), hz);
        }
        windows += 1.0;
    }
    std::array::from_fn(|i| Heard {
        hz: frequencies[i],
        // Hann's window takes half of a sine's amplitude (a quarter of its power, as seen by the transform) …
        dbm0: dbm0_from_power(powers[i] * 4.0 / windows),
        // … and three eighths are left of the power of anything.
        share: if total > 0.0 { (powers[i] * 4.0 * 3.0 / 8.0 / total).min(1.0) } else { 0.0 },
    })
}

/// Is this frequency (in Hz) to be heard: at least a tenth of the power, and not fainter than -45 dBm0?
pub fn hears(samples: &[i16], hz: f64) -> bool {
    let [heard] = listen(samples, [hz]);
    heard.share >= HEARD_SHARE && heard.dbm0 >= HEARD_DBM0
}

/// The samples under Hann's window, without which a loud tone would leak into all frequencies.
fn windowed(samples: &[i16]) -> [f64; WINDOW] {
    let mut window = [0.0; WINDOW];
    for (i, (slot, sample)) in window.iter_mut().zip(samples).enumerate() {
        *slot = f64::from(*sample) * (0.5 - 0.5 * (TAU * i as f64 / WINDOW as f64).cos());
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Law, Tone};
    use proptest::prelude::*;

    fn tone(hz: f64, dbm0: f64, samples: usize) -> Vec<i16> {
        Tone::new(hz, dbm0).take(samples).collect()
    }

    #[test]
    fn a_tone_is_heard_and_its_octave_is_not() {
        for dbm0 in [0.0, -10.0, -30.0] {
            for law in [Law::A, Law::Mu] {
                let mut codes = Vec::new();
                law.encode(&tone(440.0, dbm0, 1_600), &mut codes);
                let mut samples = Vec::new();
                law.decode(&codes, &mut samples);
                assert!(hears(&samples, 440.0), "{law:?} {dbm0}");
                assert!(!hears(&samples, 880.0) && !hears(&samples, 350.0), "{law:?} {dbm0}");
            }
        }
    }

    #[test]
    fn levels_and_shares_are_those_of_the_mixture() {
        let mixed: Vec<i16> =
            Tone::new(440.0, -10.0).zip(Tone::new(1_000.0, -16.0)).map(|(a, b)| a + b).take(8_000).collect();
        let [low, high, none] = listen(&mixed, [440.0, 1_000.0, 2_000.0]);
        assert!((low.dbm0 + 10.0).abs() < 0.1 && (high.dbm0 + 16.0).abs() < 0.1, "{low:?} {high:?}");
        assert!((low.share - 0.8).abs() < 0.01 && (high.share - 0.2).abs() < 0.01, "{low:?} {high:?}");
        assert!(none.share < 1e-4, "{none:?}");
    }

    #[test]
    fn silence_and_nothing_have_no_frequency() {
        for samples in [vec![], vec![0; 8_000], vec![8; 8_000]] {
            assert!(!hears(&samples, 440.0));
        }
        assert_eq!(level_dbm0(&[]), f64::NEG_INFINITY);
    }

    #[test]
    fn a_tone_with_lost_packets_is_still_heard() {
        let mut samples = tone(440.0, -10.0, 8_000);
        for packet in samples.chunks_mut(160).step_by(5) {
            packet.fill(0);
        }
        // Where packets are cut out and not replaced by silence, the phase leaps.
        let cut: Vec<i16> = tone(440.0, -10.0, 8_000).chunks(160).step_by(2).flatten().copied().collect();
        for samples in [samples, cut] {
            assert!(hears(&samples, 440.0) && !hears(&samples, 880.0));
        }
    }

    #[test]
    fn one_packet_is_enough() {
        let samples = tone(440.0, -10.0, 160);
        assert!(hears(&samples, 440.0) && !hears(&samples, 880.0));
    }

    proptest! {
        #[test]
        fn shares_are_shares(samples: Vec<i16>, hz in 0.0..4_000.0f64) {
            let [heard] = listen(&samples, [hz]);
            prop_assert!((0.0..=1.0).contains(&heard.share), "{:?}", heard);
        }
    }
}
