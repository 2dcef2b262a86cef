//! One gain for all mixes of a room, which goes down where their sum would not fit.
//!
//! It is one gain because a member goes from one mix to another, whenever it begins to speak for example, and must not
//! hear a step there. What fits passes as it is.

use crate::kernel;

/// Pieces of a frame, 2.5 ms each, between which the gain goes in straight lines.
pub(crate) const PIECES: usize = 8;

/// What a mix may reach.
const CEILING: f32 = 32_767.0;
/// How much the gain may grow in a piece: 0.1 dB, so that 6 dB take 150 ms.
const RELEASE: f32 = 1.011_58;

#[derive(Clone, Debug)]
pub(crate) struct Limiter {
    /// The gain at the end of the last frame.
    gain: f32,
}

/// The gain at the borders of the pieces.
pub(crate) type Gains = [f32; PIECES + 1];

impl Limiter {
    pub(crate) const fn new() -> Self {
        Self { gain: 1.0 }
    }

    /// Does a frame whose peak is not above this one pass as it is?
    pub(crate) fn idle(&self, peak: f32) -> bool {
        self.gain == 1.0 && peak <= CEILING
    }

    /// The gain for a frame that has these peaks in its pieces.
    ///
    /// At each border it suits the pieces on both sides, so that no sample between them is too large. Only where the
    /// first piece needs less than the last frame has ended with, something may be left to clip.
    pub(crate) fn advance(&mut self, peaks: &[f32; PIECES]) -> Gains {
        let needed =
            |piece: usize| peaks.get(piece).map_or(1.0, |peak| if *peak > CEILING { CEILING / peak } else { 1.0 });
        let mut gains = [self.gain; PIECES + 1];
        for border in 1..=PIECES {
            let suits = needed(border - 1).min(needed(border));
            gains[border] = suits.min(gains[border - 1] * RELEASE);
        }
        self.gain = gains[PIECES];
        gains
    }
}

/// Raises the peaks of a frame's pieces to those of another frame.
pub(crate) fn raise(peaks: &mut [f32; PIECES], mix: &[f32]) {
    for (peak, piece) in peaks.iter_mut().zip(mix.chunks_exact(mix.len() / PIECES)) {
        *peak = peak.max(kernel::peak(piece));
    }
}

pub(crate) fn apply(gains: &Gains, mix: &mut [f32]) {
    let samples = mix.len() / PIECES;
    for (piece, gains) in mix.chunks_exact_mut(samples).zip(gains.windows(2)) {
        if gains != [1.0, 1.0] {
            kernel::scale(piece, gains[0], gains[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limited(limiter: &mut Limiter, mix: &[f32]) -> (Gains, Vec<f32>) {
        let mut peaks = [0.0; PIECES];
        raise(&mut peaks, mix);
        let gains = limiter.advance(&peaks);
        let mut out = mix.to_vec();
        apply(&gains, &mut out);
        (gains, out)
    }

    #[test]
    fn the_gain_comes_back_slowly() {
        let mut limiter = Limiter::new();
        let (_, loud) = limited(&mut limiter, &[65_534.0; 160]);
        assert!(loud[20..].iter().all(|sample| *sample <= CEILING + 0.1));
        assert!((limiter.gain - 0.5).abs() < 1e-3 && !limiter.idle(0.0));
        let mut frames = 0;
        while !limiter.idle(0.0) {
            let (gains, _) = limited(&mut limiter, &[100.0; 160]);
            assert!(gains.windows(2).all(|pair| pair[0] <= pair[1] && pair[1] <= pair[0] * 1.012));
            frames += 1;
        }
        assert!((7..=8).contains(&frames), "{frames}");
    }

    proptest! {
        #[test]
        fn nothing_is_too_large_behind_the_first_piece(
            frames in proptest::collection::vec(proptest::collection::vec(-300_000f32..300_000.0, 160), 1..6),
        ) {
            let mut limiter = Limiter::new();
            let mut before = 1.0;
            for frame in frames {
                let (gains, out) = limited(&mut limiter, &frame);
                prop_assert_eq!(gains[0], before);
                before = gains[PIECES];
                prop_assert!(out[20..].iter().all(|sample| sample.abs() <= CEILING * 1.000_01));
            }
        }
    }
}
