//! Comfort noise: what is heard while the other side says nothing and sends nothing.

/// The coefficients of the spectrum that are heeded; more are passed over, as they may be.
//= https://www.rfc-editor.org/rfc/rfc3389#section-3.2
const ORDER_MAX: usize = 12;
/// Levels are 0 to -127 dBov.
const LEVEL_MAX: u8 = 127;
/// A little less than what would make the filter ring for ever.
const REFLECTION_MAX: f32 = 0.98;

/// A generator of noise with the level, and the spectrum, of comfort noise payloads (RFC 3389), at any rate.
///
/// ```
/// use sx_codec::ComfortNoise;
/// let mut noise = ComfortNoise::new(1);
/// noise.handle_payload(&[40]);
/// let mut samples = Vec::new();
/// noise.generate(8_000, &mut samples);
/// // 0 dBov is a square wave of full scale, which has 6.15 dBm0.
/// assert!((sx_codec::level_dbm0(&samples) - (6.15 - 40.0)).abs() < 0.5);
/// ```
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    state: u32,
    /// The amplitude of white noise that the filter gives the level.
    amplitude: f32,
    reflections: [f32; ORDER_MAX],
    /// Backward errors of the lattice.
    backward: [f32; ORDER_MAX + 1],
    order: usize,
}

impl ComfortNoise {
    /// Silence, until a payload arrives. The same seed gives the same noise.
    pub fn new(seed: u32) -> Self {
        Self {
            // The generator stays at zero for ever if it begins there.
            state: seed | 1,
            amplitude: 0.0,
            reflections: [0.0; ORDER_MAX],
            backward: [0.0; ORDER_MAX + 1],
            order: 0,
        }
    }

    /// Goes on with the level and the spectrum of a payload. An empty one changes nothing.
    //= https://www.rfc-editor.org/rfc/rfc3389#section-3
    pub fn handle_payload(&mut self, payload: &[u8]) {
        let Some((level, coefficients)) = payload.split_first() else { return };
        // The uppermost bit is always 0, and is not looked at.
        let power = 32_768f32.powi(2) * 10f32.powf(-f32::from(level & LEVEL_MAX) / 10.0);
        self.order = coefficients.len().min(ORDER_MAX);
        self.reflections = [0.0; ORDER_MAX];
        // An all-pole lattice gives out the power that it takes in, divided by this product.
        let mut lost = 1.0;
        for (reflection, coefficient) in self.reflections.iter_mut().zip(coefficients) {
            let value = 258.0 * (f32::from(*coefficient) - 127.0) / 32_768.0;
            *reflection = value.clamp(-REFLECTION_MAX, REFLECTION_MAX);
            lost *= 1.0 - *reflection * *reflection;
        }
        // Evenly distributed noise has a third of the power of its peak.
        self.amplitude = (3.0 * power * lost).sqrt();
    }

    /// Appends so many samples.
    pub fn generate(&mut self, samples: usize, out: &mut Vec<i16>) {
        out.extend((0..samples).map(|_| self.advance()));
    }

    fn advance(&mut self) -> i16 {
        let mut forward = self.white() * self.amplitude;
        for i in (0..self.order).rev() {
            let reflection = self.reflections[i];
            forward -= reflection * self.backward[i];
            self.backward[i + 1] = self.backward[i] + reflection * forward;
        }
        self.backward[0] = forward;
        forward.round() as i16
    }

    /// From -1 to 1. Marsaglia's xorshift with 32 bits: nobody is to be surprised by it.
    fn white(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state.cast_signed() as f32 / 2_147_483_648.0
    }
}

/// The payload that describes the noise in these samples by its level alone; silence is -127 dBov.
pub fn comfort_noise_payload(samples: &[i16]) -> [u8; 1] {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let dbov = 10.0 * (sum / samples.len().max(1) as f64 / 32_768f64.powi(2)).log10();
    // A conversion to an integer saturates, also from minus infinity.
    [((-dbov).round() as u8).min(LEVEL_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tone, level_dbm0, listen};

    fn noise(payload: &[u8]) -> Vec<i16> {
        let mut noise = ComfortNoise::new(7);
        noise.handle_payload(payload);
        let mut samples = Vec::new();
        noise.generate(16_000, &mut samples);
        samples
    }

    #[test]
    fn noise_has_the_level_it_was_told() {
        for level in [10, 30, 50, 70] {
            let off = |spectrum: &[u8]| {
                let samples = noise(&[&[level], spectrum].concat());
                level_dbm0(&samples) - (6.15 - f64::from(level))
            };
            for spectrum in [&[][..], &[200], &[40, 180, 127, 90]] {
                let off = off(spectrum);
                assert!(off.abs() < 1.0, "{level} {spectrum:?}: {off}");
            }
            // Coefficients that no noise has make it fainter, never louder.
            for spectrum in [[0; 30], [255; 30]] {
                assert!(off(&spectrum) < 1.0);
            }
        }
        assert_eq!(level_dbm0(&noise(&[127])), f64::NEG_INFINITY);
        assert_eq!(level_dbm0(&noise(&[])), f64::NEG_INFINITY);
    }

    /// The first coefficient is below zero when neighbours are alike, as the codecs in use have it.
    #[test]
    fn the_spectrum_is_that_of_the_coefficients() {
        let at = |payload: &[u8]| listen(&noise(payload), [300.0, 3_700.0]).map(|heard| heard.dbm0);
        let [low, high] = at(&[30]);
        assert!((low - high).abs() < 3.0, "white: {low} {high}");
        let [low, high] = at(&[30, 20]);
        assert!(low > high + 14.0, "low: {low} {high}");
        let [low, high] = at(&[30, 234]);
        assert!(high > low + 14.0, "high: {low} {high}");
    }

    #[test]
    fn what_is_measured_is_what_is_generated() {
        for level in [20, 45, 60] {
            let [measured] = comfort_noise_payload(&noise(&[level]));
            assert!(measured.abs_diff(level) <= 1, "{measured} {level}");
        }
        let sine: Vec<i16> = Tone::new(1_000.0, crate::FULL_SCALE_DBM0).take(8_000).collect();
        assert_eq!(comfort_noise_payload(&sine), [3]);
        assert_eq!([comfort_noise_payload(&[]), comfort_noise_payload(&[0; 160])], [[127]; 2]);
    }

    #[test]
    fn a_new_payload_changes_the_level_and_noise_is_no_tone() {
        let mut noise = ComfortNoise::new(0);
        let mut samples = Vec::new();
        noise.handle_payload(&[70]);
        noise.generate(8_000, &mut samples);
        noise.handle_payload(&[30]);
        noise.generate(8_000, &mut samples);
        let rise = level_dbm0(&samples[8_000..]) - level_dbm0(&samples[..8_000]);
        assert!((rise - 40.0).abs() < 1.0, "{rise}");
        assert!((1..40).all(|step| !crate::hears(&samples[8_000..], 100.0 * f64::from(step))));
    }
}
