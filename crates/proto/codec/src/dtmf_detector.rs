//! Hearing digits in a stream of samples, after the limits of ITU-T Q.24.
//!
//! ```text
//!                three blocks of one digit              two blocks without it
//!   listening ─────────────────────────────► sounding ──────────────────────► listening
//! ```

use crate::dtmf::{Digit, HIGH, LOW};
use crate::spectrum::goertzel;
use crate::{amplitude_from_dbm0, dbm0_from_power};

/// Samples judged at a time: 10 ms.
const BLOCK: usize = 80;
/// Blocks of one digit in a row that make it a digit. However a tone of 40 ms lies to the blocks, it fills three.
const CONFIRM: usize = 3;
/// Blocks without the digit that end it; one alone is a click.
const RELEASE: u8 = 2;
const HISTORY: usize = BLOCK * CONFIRM;

/// Each tone is at least this loud, in dBm0. Q.24 asks for operation at -25 dBm0 and for none at -29 in places.
const LEVEL_MIN_DBM0: f64 = -28.0;
/// In one block, the high tone is at most so much louder, or so much fainter, in dB …
const BLOCK_TWIST: (f64, f64) = (7.0, 12.0);
/// … and over all blocks so much. Q.24 asks for operation from +4 to -8 dB.
const TWIST: (f64, f64) = (5.0, 9.5);
/// Each tone of a pair is so much louder than the others of its group, in dB.
const PEAK_OVER_GROUP: f64 = 4.0;
/// The two tones carry at least this share of a block's power: less is speech, or a block that the tone does not fill.
const SHARE_MIN: f64 = 0.75;
/// Frequencies on both sides that must be fainter than the nominal one. A tone that is off by more than half of this
/// is nearer to one of them. Q.24 asks for operation within 1.5 % and for none beyond 3.5 %.
const NEIGHBOUR: f64 = 0.05;

/// Hears DTMF digits of at least 40 ms, with pauses of at least 40 ms between equal ones; tones of up to 24 ms are never
/// taken for digits.
///
/// ```
/// use std::time::Duration;
/// use sx_codec::{Digit, DtmfDetector, dtmf_sequence};
/// let mut samples = Vec::new();
/// let (tone, pause) = (Duration::from_millis(50), Duration::from_millis(50));
/// dtmf_sequence("42#".chars().filter_map(Digit::from_key), tone, pause, -10.0, &mut samples);
/// let heard: String = DtmfDetector::new().hear(&samples).map(|detection| detection.digit.key()).collect();
/// assert_eq!(heard, "42#");
/// ```
#[derive(Clone, Debug)]
pub struct DtmfDetector {
    /// The last blocks; the oldest first once `filled` is a whole number of blocks.
    history: [i16; HISTORY],
    /// Samples of the current block, which stands at the end of the history.
    filled: usize,
    /// Samples heard.
    heard: u64,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// So many blocks in a row were of this digit.
    Listening { candidate: Option<Digit>, blocks: usize },
    /// The digit was told; so many blocks in a row were not of it.
    Sounding { digit: Digit, misses: u8 },
}

/// A digit that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Which.
    pub digit: Digit,
    /// The sample, counted from the first that was heard, at which it was certain: 27 to 40 ms after it began.
    pub at: u64,
}

impl Default for DtmfDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl DtmfDetector {
    /// Nothing heard yet.
    pub fn new() -> Self {
        let state = State::Listening { candidate: None, blocks: 0 };
        Self { history: [0; HISTORY], filled: 0, heard: 0, state }
    }

    /// Hears samples, however many at a time, as far as the iterator is drained; yields each digit once, as soon as it
    /// is certain.
    pub fn hear<'a>(&'a mut self, samples: &'a [i16]) -> impl Iterator<Item = Detection> + 'a {
        samples.iter().filter_map(|sample| self.hear_one(*sample))
    }

    /// The digit that sounds, from when it was certain until 10 to 20 ms after its end.
    pub fn sounding(&self) -> Option<Digit> {
        match self.state {
            State::Sounding { digit, .. } => Some(digit),
            State::Listening { .. } => None,
        }
    }

    /// Does a digit sound, or what may become one? Whoever has nobody else hear digits is silent from then on: where it hears
    /// at most 30 ms at a time, what has gone out of a digit by then is too short to be heard as one.
    pub fn suspects(&self) -> bool {
        match self.state {
            State::Sounding { .. } => true,
            State::Listening { candidate, blocks } => candidate.is_some() && blocks + 1 >= CONFIRM,
        }
    }

    fn hear_one(&mut self, sample: i16) -> Option<Detection> {
        self.history[HISTORY - BLOCK + self.filled] = sample;
        self.filled += 1;
        self.heard += 1;
        if self.filled < BLOCK {
            return None;
        }
        self.filled = 0;
        let digit = self.judge_block();
        let detected = self.advance(digit);
        self.history.copy_within(BLOCK.., 0);
        detected.map(|digit| Detection { digit, at: self.heard })
    }

    fn advance(&mut self, block: Option<Digit>) -> Option<Digit> {
        let blocks = match &mut self.state {
            State::Sounding { digit, misses } if block == Some(*digit) => {
                *misses = 0;
                return None;
            }
            State::Sounding { misses, .. } if *misses + 1 < RELEASE => {
                *misses += 1;
                return None;
            }
            State::Listening { candidate, blocks } if block.is_some() && block == *candidate => *blocks + 1,
            State::Sounding { .. } | State::Listening { .. } => usize::from(block.is_some()),
        };
        match block {
            Some(digit) if blocks >= CONFIRM && self.is_precise(digit) => {
                self.state = State::Sounding { digit, misses: 0 };
                Some(digit)
            }
            candidate => {
                self.state = State::Listening { candidate, blocks };
                None
            }
        }
    }

    /// The digit that the last block may be of.
    fn judge_block(&self) -> Option<Digit> {
        let block = &self.history[HISTORY - BLOCK..];
        let total = block.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / BLOCK as f64;
        let amplitude = amplitude_from_dbm0(LEVEL_MIN_DBM0);
        let power_min = amplitude * amplitude / 2.0;
        if total < power_min {
            return None;
        }
        let (row, low) = peak(LOW.map(|hz| power(block, hz)))?;
        let (column, high) = peak(HIGH.map(|hz| power(block, hz)))?;
        let is_digit = low.min(high) >= power_min && low + high >= SHARE_MIN * total;
        (is_digit && is_within(BLOCK_TWIST, low, high)).then(|| Digit::at(row, column))
    }

    /// Are twist and frequencies of a digit within their limits over the whole history?
    fn is_precise(&self, digit: Digit) -> bool {
        let (low, high) = digit.frequencies();
        // By the block, because over the longer time a frequency that is a little off loses power.
        let blocks = |hz| self.history.chunks(BLOCK).map(|block| power(block, hz)).sum::<f64>();
        let is_nearest = |hz: f64| {
            let at = power(&self.history, hz);
            [1.0 - NEIGHBOUR, 1.0 + NEIGHBOUR].iter().all(|factor| power(&self.history, hz * factor) < at)
        };
        is_within(TWIST, blocks(low), blocks(high)) && is_nearest(low) && is_nearest(high)
    }
}

fn power(samples: &[i16], hz: f64) -> f64 {
    goertzel(samples.iter().map(|sample| f64::from(*sample)), hz)
}

/// The strongest of a group and its power, when it stands out.
fn peak(powers: [f64; 4]) -> Option<(usize, f64)> {
    let (at, strongest) = powers.into_iter().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let stands_out = |other: f64| decibels(strongest, other) >= PEAK_OVER_GROUP;
    let others = powers.into_iter().enumerate().filter(|(i, _)| *i != at);
    others.map(|(_, other)| other).all(stands_out).then_some((at, strongest))
}

/// Is the high tone neither too much louder nor too much fainter than the low one?
fn is_within((louder, fainter): (f64, f64), low: f64, high: f64) -> bool {
    (-fainter..=louder).contains(&decibels(high, low))
}

fn decibels(a: f64, b: f64) -> f64 {
    dbm0_from_power(a) - dbm0_from_power(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DtmfTone, Law, Tone, dtmf_sequence};
    use proptest::prelude::*;
    use std::time::Duration;

    const ALL: &str = "123A456B789C*0#D";

    fn digits(keys: &str) -> impl Iterator<Item = Digit> {
        keys.chars().filter_map(Digit::from_key)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn hear(samples: &[i16]) -> String {
        DtmfDetector::new().hear(samples).map(|detection| detection.digit.key()).collect()
    }

    /// Two tones of `len` samples, `lead` samples after the start, and silence after them.
    fn pair(low: (f64, f64), high: (f64, f64), lead: usize, len: usize) -> Vec<i16> {
        let tones = Tone::new(low.0, low.1).zip(Tone::new(high.0, high.1)).map(|(a, b)| a.saturating_add(b));
        let silence = std::iter::repeat_n(0, lead);
        silence.chain(tones.take(len)).chain(std::iter::repeat_n(0, 400)).collect()
    }

    /// Is every digit heard, and nothing else, however its 40 ms lie to the blocks? Or is none, ever?
    #[track_caller]
    fn check(change: impl Fn(Digit) -> ((f64, f64), (f64, f64)), len: usize, is_heard: bool) {
        for digit in digits(ALL) {
            for lead in (0..BLOCK).step_by(7) {
                let (low, high) = change(digit);
                let expected = if is_heard { digit.to_string() } else { String::new() };
                assert_eq!(hear(&pair(low, high, lead, len)), expected, "{digit} {lead} {low:?} {high:?}");
            }
        }
    }

    fn at_levels(low_dbm0: f64, high_dbm0: f64) -> impl Fn(Digit) -> ((f64, f64), (f64, f64)) {
        move |digit| ((digit.frequencies().0, low_dbm0), (digit.frequencies().1, high_dbm0))
    }

    fn off_by(low: f64, high: f64) -> impl Fn(Digit) -> ((f64, f64), (f64, f64)) {
        move |digit| ((digit.frequencies().0 * (1.0 + low), -10.0), (digit.frequencies().1 * (1.0 + high), -10.0))
    }

    #[test]
    fn tones_of_40_ms_are_heard_and_tones_of_24_ms_are_not() {
        check(at_levels(-10.0, -10.0), 320, true);
        check(at_levels(-10.0, -10.0), 192, false);
    }

    #[test]
    fn levels_from_minus_3_to_minus_25_dbm0_are_heard_and_minus_31_is_not() {
        for level in [-3.0, -25.0] {
            check(at_levels(level, level), 320, true);
        }
        check(at_levels(-31.0, -31.0), 320, false);
    }

    #[test]
    fn twist_from_plus_4_to_minus_8_db_is_heard_and_more_is_not() {
        check(at_levels(-12.0, -8.0), 320, true);
        check(at_levels(-8.0, -16.0), 320, true);
        check(at_levels(-16.0, -8.0), 320, false);
        check(at_levels(-6.0, -19.0), 320, false);
    }

    #[test]
    fn frequencies_off_by_1_5_percent_are_heard_and_by_3_5_percent_are_not() {
        for (low, high) in [(0.015, 0.015), (-0.015, 0.015), (0.015, -0.015), (-0.015, -0.015)] {
            check(off_by(low, high), 320, true);
        }
        for (low, high) in [(0.035, 0.0), (-0.035, 0.0), (0.0, 0.035), (0.0, -0.035)] {
            check(off_by(low, high), 320, false);
        }
    }

    #[test]
    fn one_tone_speech_like_mixtures_and_silence_are_no_digits() {
        for digit in digits(ALL) {
            let (low, high) = digit.frequencies();
            assert_eq!(hear(&Tone::new(low, -10.0).take(1_600).collect::<Vec<_>>()), "");
            assert_eq!(hear(&Tone::new(high, -10.0).take(1_600).collect::<Vec<_>>()), "");
            // A third tone as loud as the two: vowels have many.
            let mixture = DtmfTone::new(digit, -10.0, -10.0).zip(Tone::new(400.0, -8.0)).map(|(a, b)| a + b);
            assert_eq!(hear(&mixture.take(1_600).collect::<Vec<_>>()), "");
        }
        assert_eq!(hear(&[0; 1_600]), "");
        assert_eq!(hear(&[i16::MIN; 1_600]), "");
    }

    #[test]
    fn equal_digits_with_a_pause_of_40_ms_are_two_and_a_click_of_10_ms_splits_none() {
        let mut samples = Vec::new();
        dtmf_sequence(digits("5577"), millis(40), millis(40), -10.0, &mut samples);
        assert_eq!(hear(&samples), "5577");
        let mut clicked: Vec<i16> = DtmfTone::new(Digit::at(1, 1), -10.0, -10.0).take(1_600).collect();
        clicked[643..723].fill(0);
        assert_eq!(hear(&clicked), "5");
    }

    #[test]
    fn digits_survive_both_laws_and_noise() {
        for law in [Law::A, Law::Mu] {
            let (mut samples, mut codes, mut decoded) = (Vec::new(), Vec::new(), Vec::new());
            dtmf_sequence(digits(ALL), millis(50), millis(50), -10.0, &mut samples);
            // A multiplicative generator is noise enough; its power is 20 dB below that of one tone.
            let mut seed = 1u32;
            for sample in &mut samples {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample = sample.saturating_add((seed >> 16) as i16 / 36);
            }
            law.encode(&samples, &mut codes);
            law.decode(&codes, &mut decoded);
            assert_eq!(hear(&decoded), ALL, "{law:?}");
        }
    }

    #[test]
    fn what_has_gone_out_before_a_digit_is_suspected_is_heard_as_none() {
        for lead in 0..BLOCK {
            for packet in [80, 160, 240] {
                let samples = pair((770.0, -10.0), (1_336.0, -10.0), 800 + lead, 800);
                let (mut detector, mut gone_out) = (DtmfDetector::new(), Vec::new());
                for piece in samples.chunks(packet) {
                    detector.hear(piece).for_each(drop);
                    gone_out.extend(piece.iter().map(|sample| if detector.suspects() { 0 } else { *sample }));
                }
                assert_eq!(hear(&gone_out), "", "{lead} in packets of {packet}");
            }
        }
    }

    #[test]
    fn a_digit_is_told_27_to_40_ms_after_it_began() {
        for lead in 0..BLOCK {
            let samples = pair((697.0, -10.0), (1_209.0, -10.0), 800 + lead, 800);
            let at: Vec<_> = DtmfDetector::new().hear(&samples).map(|detection| detection.at).collect();
            let [at] = at[..] else { panic!("{at:?}") };
            let after = at - (800 + lead as u64);
            assert!((220..=320).contains(&after), "{lead} {after}");
        }
    }

    proptest! {
        #[test]
        fn what_is_dialled_is_heard_however_the_samples_are_cut(
            keys in "[0-9*#A-D]{0,12}", tone in 40..120u64, pause in 40..120u64, lead in 0..200usize, cut in 1..500usize,
        ) {
            let mut samples = vec![0; lead];
            dtmf_sequence(digits(&keys), millis(tone), millis(pause), -9.0, &mut samples);
            let mut detector = DtmfDetector::new();
            let mut heard = String::new();
            for piece in samples.chunks(cut) {
                heard.extend(detector.hear(piece).map(|detection| detection.digit.key()));
            }
            prop_assert_eq!(heard, keys);
        }
    }
}
