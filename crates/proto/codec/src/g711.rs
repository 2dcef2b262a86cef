//! G.711: eight bits for each sample, in two laws.
//!
//! Bit-exact with the reference implementation of ITU-T G.191: 13 (A-law) and 14 (µ-law) significant bits stand at the
//! upper end of the 16.

use sx_types::Codec;

/// A companding law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// A-law, in most of the world.
    A,
    /// µ-law, in North America and Japan.
    Mu,
}

/// What A-law inverts on the line: every other bit, so that silence has transitions.
const A_LAW_INVERTED: u8 = 0x55;
const SIGN: u8 = 0x80;
/// The offset that makes all segments of µ-law begin at powers of two, in 14-bit samples.
const MU_LAW_BIAS: u16 = 33;
/// The largest biased magnitude of µ-law.
const MU_LAW_MAX: u16 = 0x1fff;

static A_LAW: [i16; 256] = expansion(Law::A);
static MU_LAW: [i16; 256] = expansion(Law::Mu);

impl Law {
    /// The law of a codec, when it is G.711.
    pub fn from_codec(codec: Codec) -> Option<Self> {
        match codec {
            Codec::Pcma => Some(Self::A),
            Codec::Pcmu => Some(Self::Mu),
            _ => None,
        }
    }

    /// The code word of silence.
    pub const fn silence(self) -> u8 {
        match self {
            Self::A => 0xd5,
            Self::Mu => 0xff,
        }
    }

    /// The code word of a sample.
    pub fn compress(self, sample: i16) -> u8 {
        match self {
            Self::A => compress_a(sample),
            Self::Mu => compress_mu(sample),
        }
    }

    /// The sample of a code word.
    pub fn expand(self, code: u8) -> i16 {
        self.table()[usize::from(code)]
    }

    /// Appends the code words of samples.
    pub fn encode(self, samples: &[i16], out: &mut Vec<u8>) {
        match self {
            Self::A => out.extend(samples.iter().map(|sample| compress_a(*sample))),
            Self::Mu => out.extend(samples.iter().map(|sample| compress_mu(*sample))),
        }
    }

    /// Appends the samples of code words.
    pub fn decode(self, codes: &[u8], out: &mut Vec<i16>) {
        let table = self.table();
        out.extend(codes.iter().map(|code| table[usize::from(*code)]));
    }

    fn table(self) -> &'static [i16; 256] {
        match self {
            Self::A => &A_LAW,
            Self::Mu => &MU_LAW,
        }
    }
}

/// The complement instead of the negative keeps the most negative sample in range and the laws symmetric.
const fn magnitude(sample: i16) -> u16 {
    (if sample < 0 { !sample } else { sample }).cast_unsigned()
}

const fn compress_a(sample: i16) -> u8 {
    let level = magnitude(sample) >> 4;
    // The segment is the position of the leading one above the four bits that are kept as they are.
    let segment = 12u32.saturating_sub(level.leading_zeros());
    let code = if segment == 0 { level } else { (level >> (segment - 1)) - 16 + ((segment as u16) << 4) };
    let sign = if sample >= 0 { SIGN } else { 0 };
    (code as u8 | sign) ^ A_LAW_INVERTED
}

const fn expand_a(code: u8) -> i16 {
    let code = code ^ A_LAW_INVERTED;
    let (segment, steps) = ((code & 0x7f) >> 4, (code & 0x0f) as i16);
    let level = match segment {
        0 => (steps << 4) + 8,
        _ => (((steps + 16) << 4) + 8) << (segment - 1),
    };
    if code & SIGN != 0 { level } else { -level }
}

const fn compress_mu(sample: i16) -> u8 {
    let biased = (magnitude(sample) >> 2) + MU_LAW_BIAS;
    let biased = if biased > MU_LAW_MAX { MU_LAW_MAX } else { biased };
    // The bias sets bit 5 at least, so that the segment is 1 to 8.
    let segment = 11 - biased.leading_zeros();
    let steps = (biased >> segment & 0x0f) as u8;
    let code = ((8 - segment as u8) << 4) | (0x0f - steps);
    if sample >= 0 { code | SIGN } else { code }
}

const fn expand_mu(code: u8) -> i16 {
    let (segment, steps) = ((!code & 0x7f) >> 4, (!code & 0x0f) as i16);
    let step = 8i16 << segment;
    let level = (0x80 << segment) + step * steps + step / 2 - 4 * MU_LAW_BIAS as i16;
    if code & SIGN != 0 { level } else { -level }
}

const fn expansion(law: Law) -> [i16; 256] {
    let mut samples = [0; 256];
    let mut code = 0;
    while code < 256 {
        samples[code] = match law {
            Law::A => expand_a(code as u8),
            Law::Mu => expand_mu(code as u8),
        };
        code += 1;
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LAWS: [Law; 2] = [Law::A, Law::Mu];

    #[track_caller]
    fn check(law: Law, sample: i16, code: u8, expanded: i16) {
        assert_eq!((law.compress(sample), law.expand(code)), (code, expanded), "{law:?} {sample}");
    }

    /// The A-law encoder of ITU-T G.191 in its own shape: a loop that shifts.
    fn reference_a(sample: i16) -> u8 {
        let mut level = if sample < 0 { !sample >> 4 } else { sample >> 4 };
        if level > 15 {
            let mut exponent = 1;
            while level > 16 + 15 {
                level >>= 1;
                exponent += 1;
            }
            level -= 16;
            level += exponent << 4;
        }
        if sample >= 0 {
            level |= 0x80;
        }
        level as u8 ^ 0x55
    }

    /// The µ-law encoder of ITU-T G.191 in its own shape.
    fn reference_mu(sample: i16) -> u8 {
        let magnitude = i32::from(if sample < 0 { !sample } else { sample } >> 2) + 33;
        let magnitude = magnitude.min(0x1fff);
        let (mut rest, mut segment) = (magnitude >> 6, 1);
        while rest != 0 {
            segment += 1;
            rest >>= 1;
        }
        let code = (8 - segment) << 4 | (0x0f - (magnitude >> segment & 0x0f));
        code as u8 | if sample >= 0 { 0x80 } else { 0 }
    }

    #[test]
    fn every_sample_is_compressed_as_the_reference_does() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(Law::A.compress(sample), reference_a(sample), "A {sample}");
            assert_eq!(Law::Mu.compress(sample), reference_mu(sample), "Mu {sample}");
        }
    }

    #[test]
    fn every_code_word_survives_expansion_and_compression() {
        for code in 0..=255u8 {
            assert_eq!(Law::A.compress(Law::A.expand(code)), code);
            // µ-law has two zeros; a sample has only one, and it is the positive one.
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(Law::Mu.compress(Law::Mu.expand(code)), expected);
        }
    }

    #[test]
    fn known_samples_have_their_code_words() {
        check(Law::A, 0, 0xd5, 8);
        check(Law::A, -1, 0x55, -8);
        check(Law::A, i16::MAX, 0xaa, 32_256);
        check(Law::A, i16::MIN, 0x2a, -32_256);
        check(Law::A, 1_000, 0xfa, 1_008);
        check(Law::Mu, 0, 0xff, 0);
        check(Law::Mu, -8, 0x7e, -8);
        check(Law::Mu, i16::MAX, 0x80, 32_124);
        check(Law::Mu, i16::MIN, 0x00, -32_124);
        check(Law::Mu, 1_000, 0xce, 988);
    }

    /// The periodic sequences of code words that G.711 defines as a 1 kHz sine at 0 dBm0.
    #[test]
    fn the_digital_reference_sequence_is_a_sine_at_0_dbm0() {
        let a = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4];
        let mu = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e];
        for (law, sequence) in [(Law::A, a), (Law::Mu, mu)] {
            let mut samples = Vec::new();
            law.decode(&sequence.repeat(100), &mut samples);
            let level = crate::level_dbm0(&samples);
            assert!(level.abs() < 0.1, "{law:?} {level}");
            assert!(crate::hears(&samples, 1_000.0));
        }
    }

    #[test]
    fn silence_is_the_code_word_of_zero() {
        for law in LAWS {
            assert_eq!(law.compress(0), law.silence());
        }
        assert_eq!([Codec::Pcma, Codec::Pcmu, Codec::G729].map(Law::from_codec), [Some(Law::A), Some(Law::Mu), None]);
    }

    proptest! {
        #[test]
        fn slices_are_coded_sample_by_sample(samples: Vec<i16>) {
            for law in LAWS {
                let (mut codes, mut decoded) = (Vec::new(), Vec::new());
                law.encode(&samples, &mut codes);
                law.decode(&codes, &mut decoded);
                prop_assert!(decoded.iter().zip(&samples).all(|(a, b)| *a == law.expand(law.compress(*b))));
                prop_assert_eq!(decoded.len(), samples.len());
                // The widest step is 1,024: no sample is off by more than a half, but where it is clipped.
                let off = |(a, b): (&i16, &i16)| (i32::from(*a) - i32::from(*b)).abs();
                prop_assert!(decoded.iter().zip(&samples).map(off).all(|off| off <= 644));
            }
        }
    }
}
