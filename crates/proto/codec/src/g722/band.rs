//! What adapts in a band: the step of the quantizer and the predictor of the next sample, in the same way on both sides.

use super::saturate;

/// Mantissas of a power of two, an octave in 32 steps.
// ITU-T G.722, table 21: the inverse of the logarithm.
const ILB: [i32; 32] = [
    2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774, 2_834,
    2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
];

/// One band's state.
#[derive(Clone, Debug)]
pub(super) struct Band {
    /// The logarithm of the step (NB), at most `log_max`.
    log: i32,
    log_max: i32,
    /// What the logarithm counts from, in octaves (8 or 10).
    octaves: i32,
    /// DET.
    step: i32,
    /// The two poles of the predictor (its A) and the last two samples they see (RLT), newest first.
    poles: [i32; 2],
    reconstructed: [i32; 2],
    /// The sums of zeros and differences (PLT), of which the signs count.
    partial: [i32; 2],
    /// The six zeros (the B of the Recommendation) and the last six differences (DLT), newest first.
    zeros: [i32; 6],
    differences: [i32; 6],
    /// What the zeros foresee (SZ), and all of it (S).
    from_zeros: i32,
    predicted: i32,
}

impl Band {
    pub(super) fn lower() -> Self {
        Self::new(32, 18_432, 8)
    }

    pub(super) fn higher() -> Self {
        Self::new(8, 22_528, 10)
    }

    fn new(step: i32, log_max: i32, octaves: i32) -> Self {
        Self {
            log: 0,
            log_max,
            octaves,
            step,
            poles: [0; 2],
            reconstructed: [0; 2],
            partial: [0; 2],
            zeros: [0; 6],
            differences: [0; 6],
            from_zeros: 0,
            predicted: 0,
        }
    }

    /// The sample that is foreseen.
    pub(super) fn predicted(&self) -> i32 {
        self.predicted
    }

    /// The scale of the quantizer.
    pub(super) fn step(&self) -> i32 {
        self.step
    }

    /// Goes on by a sample, of whose difference the quantizer has said `quantized` (in steps) and `weight`.
    pub(super) fn adapt(&mut self, quantized: i32, weight: i32) {
        let difference = (self.step * quantized) >> 15;
        self.scale(weight);
        let reconstructed = saturate(self.predicted + difference);
        let partial = saturate(self.from_zeros + difference);
        self.adapt_poles(partial);
        self.adapt_zeros(difference);
        self.partial = [partial, self.partial[0]];
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        self.predict();
    }

    /// Blocks LOGSCL and SCALEL, LOGSCH and SCALEH.
    fn scale(&mut self, weight: i32) {
        self.log = (((self.log * 127) >> 7) + weight).clamp(0, self.log_max);
        let mantissa = ILB[((self.log >> 6) & 31) as usize];
        let shift = self.octaves - (self.log >> 11);
        self.step = if shift < 0 { mantissa << -shift } else { mantissa >> shift } << 2;
    }

    /// Blocks UPPOL2 and UPPOL1.
    fn adapt_poles(&mut self, partial: i32) {
        let same = |other: i32| (partial < 0) == (other < 0);
        let quadrupled = saturate(self.poles[0] << 2);
        let towards = if same(self.partial[0]) { (-quadrupled).min(32_767) } else { quadrupled };
        let kick = if same(self.partial[1]) { 128 } else { -128 };
        let second = ((towards >> 7) + kick + ((self.poles[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        let kick = if same(self.partial[0]) { 192 } else { -192 };
        let bound = 15_360 - second;
        let first = (kick + ((self.poles[0] * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [first, second];
    }

    /// Block UPZERO.
    fn adapt_zeros(&mut self, difference: i32) {
        let kick = if difference == 0 { 0 } else { 128 };
        for (zero, past) in self.zeros.iter_mut().zip(self.differences) {
            let towards = if (past < 0) == (difference < 0) { kick } else { -kick };
            *zero = saturate(towards + ((*zero * 32_640) >> 15));
        }
    }

    /// Blocks FILTEP, FILTEZ and PREDIC.
    fn predict(&mut self) {
        let tap = |coefficient: i32, value: i32| (coefficient * saturate(value * 2)) >> 15;
        let from_poles =
            saturate(tap(self.poles[0], self.reconstructed[0]) + tap(self.poles[1], self.reconstructed[1]));
        let taps = self.zeros.iter().zip(self.differences).rev();
        self.from_zeros = taps.fold(0, |sum, (zero, past)| saturate(sum + tap(*zero, past)));
        self.predicted = saturate(from_poles + self.from_zeros);
    }
}
