//! The loops over samples. Each is simple enough for the compiler to make vector instructions of it.

/// What is measured of a frame as it comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Measure {
    /// The mean of the samples.
    pub(crate) mean: f32,
    /// The mean of their squares without the mean's own.
    pub(crate) variance: f32,
    /// The largest magnitude.
    pub(crate) peak: f32,
}

/// One plain loop for each figure, in integers, whose order the compiler is free to change.
pub(crate) fn measure(samples: &[i16]) -> Measure {
    let sum: i32 = samples.iter().map(|sample| i32::from(*sample)).sum();
    let least = samples.iter().copied().fold(0, i16::min);
    let greatest = samples.iter().copied().fold(0, i16::max);
    let square = |sample: i16| (i32::from(sample) * i32::from(sample)) as u32;
    // Two squares fit into 32 bits.
    let (pairs, rest) = samples.as_chunks::<2>();
    let squares: u64 = pairs.iter().map(|[a, b]| u64::from(square(*a) + square(*b))).sum();
    let squares = squares + rest.iter().map(|sample| u64::from(square(*sample))).sum::<u64>();
    let len = samples.len().max(1) as f32;
    let mean = sum as f32 / len;
    let variance = (squares as f32 / len - mean * mean).max(0.0);
    Measure { mean, variance, peak: f32::from(greatest).max(-f32::from(least)) }
}

/// From one value to another over the first samples, and the other one from there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ramp {
    pub(crate) from: f32,
    pub(crate) to: f32,
    /// Samples on the way.
    pub(crate) samples: usize,
}

impl Ramp {
    fn at(&self, i: usize) -> f32 {
        self.from + (self.to - self.from) * ((i + 1) as f32 / self.samples as f32)
    }
}

/// Overwrites a row with samples, without their constant part (which drifts over the frame), at a gain.
pub(crate) fn place(row: &mut [f32], samples: &[i16], constant: (f32, f32), gain: Ramp) {
    for (slot, sample) in row.iter_mut().zip(samples) {
        *slot = f32::from(*sample);
    }
    if constant != (0.0, 0.0) {
        let step = (constant.1 - constant.0) / row.len() as f32;
        for (i, slot) in row.iter_mut().enumerate() {
            *slot -= constant.0 + step * i as f32;
        }
    }
    let steady = if gain.from == gain.to {
        row
    } else {
        let (ramped, steady) = row.split_at_mut(gain.samples);
        for (i, slot) in ramped.iter_mut().enumerate() {
            *slot *= gain.at(i);
        }
        steady
    };
    if gain.to != 1.0 {
        for slot in steady {
            *slot *= gain.to;
        }
    }
}

/// Overwrites a row with a value that dies away, where a stream has broken off at this value.
pub(crate) fn tail(row: &mut [f32], value: f32, samples: usize) {
    row.fill(0.0);
    let ramp = Ramp { from: value, to: 0.0, samples };
    for (i, slot) in row[..samples].iter_mut().enumerate() {
        *slot = ramp.at(i);
    }
}

pub(crate) fn add(sum: &mut [f32], row: &[f32]) {
    for (slot, sample) in sum.iter_mut().zip(row) {
        *slot += sample;
    }
}

pub(crate) fn subtract(sum: &mut [f32], row: &[f32]) {
    for (slot, sample) in sum.iter_mut().zip(row) {
        *slot -= sample;
    }
}

/// Adds a row at a gain that changes.
pub(crate) fn add_ramped(sum: &mut [f32], row: &[f32], gain: Ramp) {
    let (sum_ramped, sum_steady) = sum.split_at_mut(gain.samples);
    let (row_ramped, row_steady) = row.split_at(gain.samples);
    for (i, (slot, sample)) in sum_ramped.iter_mut().zip(row_ramped).enumerate() {
        *slot += sample * gain.at(i);
    }
    if gain.to != 0.0 {
        for (slot, sample) in sum_steady.iter_mut().zip(row_steady) {
            *slot += sample * gain.to;
        }
    }
}

/// Side by side, as many as two vectors hold.
const LANES: usize = 8;

/// The largest magnitude.
pub(crate) fn peak(samples: &[f32]) -> f32 {
    let mut peaks = [0f32; LANES];
    let (chunks, rest) = samples.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            // `f32::max` heeds what is not a number, which takes thrice the instructions.
            let magnitude = chunk[i].abs();
            peaks[i] = if magnitude > peaks[i] { magnitude } else { peaks[i] };
        }
    }
    peaks.into_iter().chain(rest.iter().map(|sample| sample.abs())).fold(0.0, f32::max)
}

/// Multiplies by a gain that goes in a straight line from one value to another.
pub(crate) fn scale(samples: &mut [f32], from: f32, to: f32) {
    let step = (to - from) / samples.len() as f32;
    for (i, sample) in samples.iter_mut().enumerate() {
        *sample *= from + step * i as f32;
    }
}

/// The nearest samples; what exceeds the range is clipped.
pub(crate) fn round(samples: &[f32], out: &mut [i16]) {
    for (slot, sample) in out.iter_mut().zip(samples) {
        let clipped = if *sample > 32_767.0 { 32_767.0 } else { *sample };
        let clipped = if clipped < -32_768.0 { -32_768.0 } else { clipped };
        // A conversion with `as` has to deal with what does not fit. Beside so large a number there is no room for
        // fractions: the sum is rounded, and its lowest bits are the integer.
        *slot = (clipped + 12_582_912.0).to_bits() as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rounding_is_to_the_nearest_and_clips() {
        let samples = [0.0, 0.4, -0.4, 0.6, -0.6, 1_234.4, -1_234.6, 32_767.0, 32_767.4, 1e9, -32_768.0, -40_000.0];
        let mut out = [0; 12];
        round(&samples, &mut out);
        assert_eq!(out, [0, 0, 0, 1, -1, 1_234, -1_235, 32_767, 32_767, 32_767, -32_768, -32_768]);
    }

    #[test]
    fn a_frame_is_measured_without_its_constant_part() {
        let square: Vec<i16> = (0..163).map(|i| if i % 2 == 0 { 1_100 } else { -900 }).collect();
        let measure = measure(&square);
        assert!((measure.mean - 100.0).abs() < 7.0 && (measure.variance - 1e6).abs() < 200.0, "{measure:?}");
        assert_eq!(measure.peak, 1_100.0);
        assert_eq!(super::measure(&[0, i16::MIN, 0]).peak, 32_768.0);
        assert_eq!(super::measure(&[]), Measure::default());
    }

    proptest! {
        #[test]
        fn measures_are_those_of_a_plain_loop(samples in proptest::collection::vec(any::<i16>(), 1..400)) {
            let measured = measure(&samples);
            let len = samples.len() as f64;
            let mean = samples.iter().map(|sample| f64::from(*sample)).sum::<f64>() / len;
            let variance = samples.iter().map(|sample| (f64::from(*sample) - mean).powi(2)).sum::<f64>() / len;
            let peak = samples.iter().map(|sample| f64::from(*sample).abs()).fold(0.0, f64::max);
            prop_assert!((f64::from(measured.mean) - mean).abs() < 0.01);
            prop_assert!((f64::from(measured.variance) - variance).abs() < 1e-4 * (variance + mean * mean) + 1.0);
            prop_assert_eq!(f64::from(measured.peak), peak);
            let floats: Vec<f32> = samples.iter().map(|sample| f32::from(*sample)).collect();
            prop_assert_eq!(f64::from(super::peak(&floats)), peak);
            let mut out = vec![0; samples.len()];
            round(&floats, &mut out);
            prop_assert_eq!(out, samples);
        }
    }
}
