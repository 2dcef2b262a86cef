//! G.722 at 64 kbit/s: samples at 16 kHz, split into two bands, each coded by differences that adapt.
//!
//! Written from ITU-T G.722, whose names for blocks and tables are kept. All is integer arithmetic that saturates at 16
//! bits, so that every implementation has the same bits. Mode 1 only: no data beside the sound.

use band::Band;

mod band;

/// The filter that splits and joins the bands, every other coefficient; the others are the same backwards.
// ITU-T G.722, table 11.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3_876, -805, 362, -156, 53, -11];
/// Samples that the filter looks back upon.
const QMF_LEN: usize = 24;
/// What a band's sample is limited to: 15 bits.
const BAND_MAX: i32 = 16_383;

/// Decision levels of the lower band's quantizer; the last two are never reached.
// ITU-T G.722, table 14.
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121, 1_219,
    1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
];
/// What the lower band's 6 bits mean.
// ITU-T G.722, table 16: QQ6 with the codes of table 17.
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232, -9_360,
    -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008, -3_576, -3_168, -2_776, -2_400, -2_032,
    -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576,
    7_856, 7_192, 6_576, 6_000, 5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040,
    728, 432, 136, -432, -136,
];
/// What the upper four of them mean to the predictor, which must not depend on the others.
const QM4: [i32; 16] =
    [0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288, 4_240, 2_584, 1_200, 0];
/// What the higher band's two bits mean.
const QM2: [i32; 4] = [-7_408, -1_616, 7_408, 1_616];
/// How each code moves the logarithm of the step, lower and higher band.
const W4: [i32; 16] = [-60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60];
const W2: [i32; 4] = [798, -214, 798, -214];
/// The only decision level of the higher band's quantizer.
const Q2: i32 = 564;

/// From samples at 16 kHz to bytes, one for two samples.
#[derive(Clone, Debug)]
pub struct G722Encoder {
    qmf: [i32; QMF_LEN],
    lower: Band,
    higher: Band,
}

/// From bytes to samples at 16 kHz, two for each byte.
#[derive(Clone, Debug)]
pub struct G722Decoder {
    qmf: [i32; QMF_LEN],
    lower: Band,
    higher: Band,
}

impl G722Encoder {
    pub(crate) fn new() -> Self {
        Self { qmf: [0; QMF_LEN], lower: Band::lower(), higher: Band::higher() }
    }

    /// Appends a byte for each pair of samples; an odd one at the end is left out.
    pub(crate) fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.extend(samples.chunks_exact(2).map(|pair| self.encode_pair(pair[0], pair[1])));
    }

    fn encode_pair(&mut self, first: i16, second: i16) -> u8 {
        push(&mut self.qmf, i32::from(first), i32::from(second));
        let (even, odd) = filter(&self.qmf);
        let lower = quantize_lower(saturate(limit((odd + even) >> 14) - self.lower.predicted()), self.lower.step());
        let higher = quantize_higher(saturate(limit((odd - even) >> 14) - self.higher.predicted()), self.higher.step());
        adapt(&mut self.lower, &mut self.higher, lower, higher);
        ((higher << 6) | lower) as u8
    }
}

impl G722Decoder {
    pub(crate) fn new() -> Self {
        Self { qmf: [0; QMF_LEN], lower: Band::lower(), higher: Band::higher() }
    }

    /// Appends two samples for each byte.
    pub(crate) fn decode(&mut self, codes: &[u8], out: &mut Vec<i16>) {
        out.extend(codes.iter().flat_map(|code| self.decode_one(*code)));
    }

    fn decode_one(&mut self, code: u8) -> [i16; 2] {
        let (lower, higher) = (usize::from(code & 0x3f), usize::from(code >> 6));
        let lower_sample = limit(self.lower.predicted() + ((self.lower.step() * QM6[lower]) >> 15));
        let higher_sample = limit(self.higher.predicted() + ((self.higher.step() * QM2[higher]) >> 15));
        adapt(&mut self.lower, &mut self.higher, lower, higher);
        push(&mut self.qmf, lower_sample + higher_sample, lower_sample - higher_sample);
        let (even, odd) = filter(&self.qmf);
        [saturate(odd >> 11) as i16, saturate(even >> 11) as i16]
    }
}

/// Both bands learn from what both sides of the line know of the sample.
fn adapt(lower: &mut Band, higher: &mut Band, lower_code: usize, higher_code: usize) {
    let coarse = lower_code >> 2;
    lower.adapt(QM4[coarse], W4[coarse]);
    higher.adapt(QM2[higher_code], W2[higher_code]);
}

/// Blocks QUANTL and the assignment of codes: six bits, of which the smallest differences have the largest.
fn quantize_lower(difference: i32, step: i32) -> usize {
    let magnitude = if difference >= 0 { difference } else { !difference };
    let level = 1 + Q6[1..].iter().take_while(|level| magnitude >= (**level * step) >> 12).count();
    match (difference >= 0, level) {
        (true, level) => 62 - level,
        (false, level @ 1..=2) => 64 - level,
        (false, level) => 34 - level,
    }
}

/// Block QUANTH: two bits.
fn quantize_higher(difference: i32, step: i32) -> usize {
    let magnitude = if difference >= 0 { difference } else { !difference };
    let is_large = magnitude >= (Q2 * step) >> 12;
    usize::from(!is_large) + if difference >= 0 { 2 } else { 0 }
}

fn push(history: &mut [i32; QMF_LEN], first: i32, second: i32) {
    history.copy_within(2.., 0);
    history[QMF_LEN - 2] = first;
    history[QMF_LEN - 1] = second;
}

/// The two halves of the filter: over the samples with even places, and over those with odd ones.
fn filter(history: &[i32; QMF_LEN]) -> (i32, i32) {
    let (mut even, mut odd) = (0, 0);
    for (i, pair) in history.chunks_exact(2).enumerate() {
        even += pair[0] * QMF[i];
        odd += pair[1] * QMF[11 - i];
    }
    (even, odd)
}

fn limit(sample: i32) -> i32 {
    sample.clamp(-BAND_MAX - 1, BAND_MAX)
}

fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}
