//! From one rate to another: 8, 16, 24 and 48 kHz.

use std::f64::consts::PI;

/// Taps of the filter for each sample of the lower of both rates. The transition from 0.9 of its Nyquist frequency to all
/// of it takes so many at the attenuation that `KAISER` gives.
const TAPS: usize = 92;
/// The shape of the window: about 70 dB of attenuation.
const KAISER: f64 = 7.0;
/// Where the middle of the transition lies, as a share of the lower Nyquist frequency.
const CUTOFF: f64 = 0.95;

/// A stream of samples at one rate becomes one at another.
///
/// Up to 0.9 of the lower Nyquist frequency everything passes within 0.1 dB; what would be folded back from above it is
/// at least 65 dB down. The delay is [`delay_samples`](Self::delay_samples), about 46 samples of the lower rate: 5.7 ms
/// when that is 8 kHz, 2.9 ms when it is 16 kHz, nothing when both rates are the same.
///
/// ```
/// use sx_codec::{Resampler, Tone, hears};
/// let mut up = Resampler::new(8_000, 48_000).expect("rates that it knows");
/// let mut down = Resampler::new(48_000, 8_000).expect("rates that it knows");
/// let (mut wide, mut narrow) = (Vec::new(), Vec::new());
/// for frame in Tone::new(440.0, -10.0).take(1_600).collect::<Vec<_>>().chunks(160) {
///     wide.clear();
///     up.process(frame, &mut wide);
///     assert_eq!(wide.len(), 960);
///     down.process(&wide, &mut narrow);
/// }
/// assert!(narrow.len() == 1_600 && hears(&narrow, 440.0));
/// ```
#[derive(Clone, Debug)]
pub struct Resampler {
    /// Steps of the rate that is a multiple of both: `up` for each sample that comes in, `down` for each that goes out.
    up: usize,
    down: usize,
    /// The filter, cut into `up` phases of `len` taps, each the latest sample last; empty when the rates are the same.
    phases: Vec<f32>,
    len: usize,
    /// The last `len - 1` samples that came in, and those of the call that goes on.
    history: Vec<f32>,
    /// Steps from the oldest sample whose turn is not over to the next that goes out.
    place: usize,
}

impl Resampler {
    /// Rates in Hz; `None` unless both are 8,000, 16,000, 24,000 or 48,000.
    pub fn new(from_hz: u32, to_hz: u32) -> Option<Self> {
        let known = |hz| matches!(hz, 8_000 | 16_000 | 24_000 | 48_000);
        if !known(from_hz) || !known(to_hz) {
            return None;
        }
        let divisor = greatest_common_divisor(from_hz, to_hz);
        let (up, down) = ((to_hz / divisor) as usize, (from_hz / divisor) as usize);
        if up == down {
            return Some(Self { up, down, phases: Vec::new(), len: 1, history: Vec::new(), place: 0 });
        }
        let len = (TAPS * up.max(down)).div_ceil(up);
        let phases = phases(up, len, up.max(down));
        let mut history = Vec::with_capacity(len + 48 * 200);
        history.resize(len - 1, 0.0);
        Some(Self { up, down, phases, len, history, place: 0 })
    }

    /// How long after a sample came in it is in the middle of what goes out, in samples that go out.
    pub fn delay_samples(&self) -> f64 {
        if self.phases.is_empty() { 0.0 } else { (self.up * self.len - 1) as f64 / 2.0 / self.down as f64 }
    }

    /// Forgets what came in, as if there had been silence: for a stream that goes on after a pause.
    pub fn reset(&mut self) {
        self.history.fill(0.0);
        self.place = 0;
    }

    /// Takes samples at the one rate and appends those at the other. Where the rates are multiples, and so many samples
    /// came in that none is left over, as many come out as last equally long; else one more or less.
    pub fn process(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        if self.phases.is_empty() {
            return out.extend_from_slice(samples);
        }
        self.history.extend(samples.iter().map(|sample| f32::from(*sample)));
        let end = samples.len() * self.up;
        while self.place < end {
            let (sample, phase) = (self.place / self.up, self.place % self.up);
            let taps = &self.phases[phase * self.len..(phase + 1) * self.len];
            out.push(product(taps, &self.history[sample..sample + self.len]).round() as i16);
            self.place += self.down;
        }
        self.place -= end;
        self.history.drain(..samples.len());
    }
}

/// The sum of products, in eight sums side by side, as vector instructions do it.
fn product(taps: &[f32], samples: &[f32]) -> f32 {
    let (taps, samples) = (taps.chunks_exact(8), samples.chunks_exact(8));
    let rest: f32 = taps.remainder().iter().zip(samples.remainder()).map(|(tap, sample)| tap * sample).sum();
    let mut sums = [0.0; 8];
    for (taps, samples) in taps.zip(samples) {
        for i in 0..8 {
            sums[i] += taps[i] * samples[i];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// A windowed sinc for `up` times the rate that comes in, whose cutoff is that of the lower rate; `longest` steps are a
/// sample of the lower rate.
fn phases(up: usize, len: usize, longest: usize) -> Vec<f32> {
    let taps = up * len;
    let middle = (taps - 1) as f64 / 2.0;
    let tap = |i: usize| {
        let distance = (i as f64 - middle) / longest as f64;
        let x = PI * CUTOFF * distance;
        let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
        let window = bessel(KAISER * (1.0 - ((i as f64 - middle) / (middle + 0.5)).powi(2)).max(0.0).sqrt());
        sinc * window / bessel(KAISER)
    };
    let all: Vec<f64> = (0..taps).map(tap).collect();
    let mut phases = Vec::with_capacity(taps);
    for phase in 0..up {
        // The latest sample meets the first tap of its phase, so that it stands last here. Each phase lets a constant
        // through as it is.
        let sum: f64 = all[phase..].iter().step_by(up).sum();
        phases.extend((0..len).rev().map(|i| (all[phase + i * up] / sum) as f32));
    }
    phases
}

/// The modified Bessel function of the first kind, order 0.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];
    const AMPLITUDE: f64 = 10_000.0;

    fn sine(hz: f64, rate: u32, samples: usize) -> Vec<i16> {
        (0..samples).map(|i| ((TAU * hz * i as f64 / f64::from(rate)).sin() * AMPLITUDE).round() as i16).collect()
    }

    /// Resamples 0.15 s of a sine, and gives what comes out once the filter is full.
    fn resampled(hz: f64, from: u32, to: u32) -> Vec<i16> {
        let mut out = Vec::new();
        Resampler::new(from, to).expect("known rates").process(&sine(hz, from, from as usize * 3 / 20), &mut out);
        out.split_off(to as usize / 20)
    }

    /// The sine of this frequency that fits best, and what is left without it: both as dB of the sine that came in.
    fn fitted(samples: &[i16], hz: f64, rate: u32) -> (f64, f64) {
        let angle = |i: usize| TAU * hz * i as f64 / f64::from(rate);
        let pairs = || samples.iter().enumerate().map(|(i, sample)| (angle(i), f64::from(*sample)));
        let (mut cc, mut cs, mut ss, mut cy, mut sy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (angle, y) in pairs() {
            let (s, c) = angle.sin_cos();
            (cc, cs, ss, cy, sy) = (cc + c * c, cs + c * s, ss + s * s, cy + c * y, sy + s * y);
        }
        let determinant = cc * ss - cs * cs;
        let (a, b) = ((cy * ss - sy * cs) / determinant, (sy * cc - cy * cs) / determinant);
        let rest: f64 = pairs().map(|(angle, y)| (y - a * angle.cos() - b * angle.sin()).powi(2)).sum();
        let db = |power: f64| 10.0 * (power / (AMPLITUDE * AMPLITUDE / 2.0)).log10();
        (db((a * a + b * b) / 2.0), db(rest / samples.len() as f64))
    }

    fn pairs() -> impl Iterator<Item = (u32, u32)> {
        RATES.into_iter().flat_map(|from| RATES.into_iter().filter(move |to| *to != from).map(move |to| (from, to)))
    }

    /// A sweep by steps: what passes has its level, and nothing else (image or alias) comes with it.
    #[test]
    fn what_is_below_passes_within_a_tenth_of_a_db_and_without_images() {
        for (from, to) in pairs() {
            let nyquist = f64::from(from.min(to)) / 2.0;
            for step in 1..=18 {
                let hz = nyquist * 0.05 * f64::from(step);
                let (level, rest) = fitted(&resampled(hz, from, to), hz, to);
                assert!(level.abs() < 0.1, "{from} to {to}: {level:.2} dB at {hz}");
                assert!(rest < -65.0, "{from} to {to}: images of {hz} at {rest:.1} dB");
            }
        }
    }

    #[test]
    fn what_is_above_is_gone_before_it_is_folded_back() {
        for (from, to) in pairs().filter(|(from, to)| from > to) {
            let nyquist = f64::from(to) / 2.0;
            let room = f64::from(from) / 2.0 - nyquist;
            for step in 0..=20 {
                let hz = nyquist * 1.001 + room * 0.99 * f64::from(step) / 20.0;
                let left = crate::level_dbm0(&resampled(hz, from, to)) - crate::level_dbm0(&sine(hz, from, 4_800));
                assert!(left < -65.0, "{from} to {to}: {left:.1} dB left of {hz}");
            }
        }
    }

    #[test]
    fn a_pulse_comes_out_after_the_delay_that_is_stated() {
        for (from, to) in pairs() {
            let mut resampler = Resampler::new(from, to).expect("known rates");
            let stated = resampler.delay_samples();
            let mut out = Vec::new();
            // Broad enough to be seen at the lower rate.
            let width = (from / to.min(from)) as usize * 4;
            let mut pulse = vec![0; from as usize / 10];
            pulse[..width].fill(10_000);
            resampler.process(&pulse, &mut out);
            let sum: f64 = out.iter().map(|sample| f64::from(*sample)).sum();
            let centre: f64 =
                out.iter().enumerate().map(|(i, sample)| i as f64 * f64::from(*sample)).sum::<f64>() / sum;
            let begun = (width - 1) as f64 / 2.0 * f64::from(to) / f64::from(from);
            assert!((centre - begun - stated).abs() < 0.5, "{from} to {to}: {} for {stated}", centre - begun);
            assert!(stated / f64::from(to) < 0.006, "{from} to {to}: {stated}");
        }
    }

    #[test]
    fn after_a_reset_it_is_as_new() {
        for (from, to) in pairs() {
            let mut resampler = Resampler::new(from, to).expect("known rates");
            // A sample that is left over, so that the place is not where it began.
            resampler.process(&sine(440.0, from, from as usize / 50 + 1), &mut Vec::new());
            resampler.reset();
            let (mut after, mut new) = (Vec::new(), Vec::new());
            resampler.process(&sine(1_000.0, from, 480), &mut after);
            Resampler::new(from, to).expect("known rates").process(&sine(1_000.0, from, 480), &mut new);
            assert_eq!(after, new, "{from} to {to}");
        }
    }

    #[test]
    fn full_scale_is_clipped_and_other_rates_are_unknown() {
        let square: Vec<i16> = (0..4_800).map(|i| if i / 60 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let mut out = Vec::new();
        Resampler::new(48_000, 8_000).expect("known rates").process(&square, &mut out);
        assert!(out.contains(&i16::MAX) && out.contains(&i16::MIN));
        assert!(Resampler::new(8_000, 44_100).is_none() && Resampler::new(32_000, 8_000).is_none());
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_stream_is_cut(
            samples in proptest::collection::vec(any::<i16>(), 0..400),
            cuts in proptest::collection::vec(1..50usize, 1..20),
            from in 0..4usize,
            to in 0..4usize,
        ) {
            let new = || Resampler::new(RATES[from], RATES[to]).expect("known rates");
            let (mut whole, mut parts) = (Vec::new(), Vec::new());
            new().process(&samples, &mut whole);
            let mut resampler = new();
            let (mut rest, mut cuts) = (&samples[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (part, others) = rest.split_at(rest.len().min(*cuts.next().expect("endless")));
                resampler.process(part, &mut parts);
                rest = others;
            }
            prop_assert_eq!(&parts, &whole);
            let exact = samples.len() as f64 * f64::from(RATES[to]) / f64::from(RATES[from]);
            prop_assert_eq!(parts.len(), exact.ceil() as usize);
        }
    }
}
