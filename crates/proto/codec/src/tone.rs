//! A sine that can be changed without a click.

use crate::{SAMPLE_HZ, amplitude_from_dbm0};
use std::f64::consts::TAU;

/// A sine of endless length, an iterator of samples. Its phase is continuous, also over a change of frequency or level.
#[derive(Clone, Debug)]
pub struct Tone {
    /// In radians, 0 to 2π.
    phase: f64,
    step: f64,
    amplitude: f64,
}

impl Tone {
    /// A sine of so many Hz (below 4,000) at a level in dBm0 (full scale is [`FULL_SCALE_DBM0`](crate::FULL_SCALE_DBM0);
    /// beyond it the sine is clipped), which begins at zero.
    pub fn new(hz: f64, dbm0: f64) -> Self {
        Self { phase: 0.0, step: step(hz), amplitude: amplitude_from_dbm0(dbm0) }
    }

    /// Goes on with another frequency in Hz and another level in dBm0.
    pub fn change(&mut self, hz: f64, dbm0: f64) {
        self.step = step(hz);
        self.amplitude = amplitude_from_dbm0(dbm0);
    }

    /// Overwrites `samples` with what comes next.
    pub fn fill(&mut self, samples: &mut [i16]) {
        samples.fill_with(|| round(self.advance()));
    }

    /// The next sample before it is rounded and clipped.
    pub(crate) fn advance(&mut self) -> f64 {
        let sample = self.phase.sin() * self.amplitude;
        self.phase = (self.phase + self.step) % TAU;
        sample
    }
}

impl Iterator for Tone {
    type Item = i16;

    fn next(&mut self) -> Option<i16> {
        Some(round(self.advance()))
    }
}

/// The nearest sample; what exceeds the range is clipped.
pub(crate) fn round(sample: f64) -> i16 {
    sample.round() as i16
}

fn step(hz: f64) -> f64 {
    TAU * hz / f64::from(SAMPLE_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FULL_SCALE_DBM0, level_dbm0};

    #[test]
    fn a_tone_has_the_level_it_was_given() {
        for dbm0 in [0.0, -10.0, -30.0] {
            let samples: Vec<_> = Tone::new(1_004.0, dbm0).take(8_000).collect();
            assert!((level_dbm0(&samples) - dbm0).abs() < 0.05);
        }
        let peak = Tone::new(100.0, FULL_SCALE_DBM0).take(80).max();
        assert_eq!(peak, Some(i16::MAX));
    }

    #[test]
    fn a_change_of_frequency_does_not_click() {
        let mut tone = Tone::new(440.0, 0.0);
        let mut samples = vec![0; 1_003];
        tone.fill(&mut samples);
        tone.change(480.0, 0.0);
        samples.extend(tone.take(1_000));
        // No step is larger than the steepest of a 480 Hz sine of this amplitude.
        let steepest = amplitude_from_dbm0(0.0) * step(480.0) + 1.0;
        let steps = samples.windows(2).map(|pair| f64::from(pair[1]) - f64::from(pair[0]));
        assert!(steps.map(f64::abs).all(|step| step <= steepest));
    }
}
