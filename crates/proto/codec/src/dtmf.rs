//! The sixteen keys of a telephone and the two tones of each.

use crate::SAMPLE_HZ;
use crate::tone::{Tone, round};
use std::fmt;
use std::time::Duration;

/// The frequencies of the rows, in Hz.
// ITU-T Q.23.
pub(crate) const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
/// The frequencies of the columns, in Hz.
pub(crate) const HIGH: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

/// The keys row by row.
const KEYS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// A key of a telephone: its row and its column, 0 to 3.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digit {
    row: u8,
    column: u8,
}

/// The two tones of a digit, of endless length: an iterator of samples.
#[derive(Clone, Debug)]
pub struct DtmfTone {
    low: Tone,
    high: Tone,
}

impl Digit {
    /// The digit of a key: `0`–`9`, `*`, `#`, `A`–`D` in either case.
    pub fn from_key(key: char) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        let at = KEYS.as_flattened().iter().position(|known| *known == key)?;
        Some(Self { row: at as u8 / 4, column: at as u8 % 4 })
    }

    /// The digit in a row and a column; only the lower two bits of each count.
    pub(crate) fn at(row: usize, column: usize) -> Self {
        Self { row: row as u8 & 3, column: column as u8 & 3 }
    }

    /// The key of the digit.
    pub fn key(self) -> char {
        KEYS[usize::from(self.row & 3)][usize::from(self.column & 3)]
    }

    /// The two frequencies of the digit in Hz, the lower one first.
    pub fn frequencies(self) -> (f64, f64) {
        (LOW[usize::from(self.row & 3)], HIGH[usize::from(self.column & 3)])
    }
}

impl DtmfTone {
    /// The tones of a digit, each at its own level in dBm0. Usual are -8 to -10; together they must stay below full
    /// scale or be clipped.
    pub fn new(digit: Digit, low_dbm0: f64, high_dbm0: f64) -> Self {
        let (low, high) = digit.frequencies();
        Self { low: Tone::new(low, low_dbm0), high: Tone::new(high, high_dbm0) }
    }
}

impl Iterator for DtmfTone {
    type Item = i16;

    fn next(&mut self) -> Option<i16> {
        Some(round(self.low.advance() + self.high.advance()))
    }
}

/// Appends digits to `out`: each so long, followed by a pause, both tones at the same level in dBm0.
pub fn dtmf_sequence(
    digits: impl IntoIterator<Item = Digit>,
    tone: Duration,
    pause: Duration,
    dbm0: f64,
    out: &mut Vec<i16>,
) {
    for digit in digits {
        out.extend(DtmfTone::new(digit, dbm0, dbm0).take(samples_in(tone)));
        out.resize(out.len() + samples_in(pause), 0);
    }
}

fn samples_in(duration: Duration) -> usize {
    (duration.as_nanos() * u128::from(SAMPLE_HZ) / 1_000_000_000) as usize
}

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key())
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen;

    #[test]
    fn each_key_has_the_two_frequencies_of_q_23() {
        for (key, low, high) in
            [('1', 697.0, 1_209.0), ('5', 770.0, 1_336.0), ('#', 941.0, 1_477.0), ('d', 941.0, 1_633.0)]
        {
            let digit = Digit::from_key(key).expect("a key");
            assert_eq!((digit.key(), digit.frequencies()), (key.to_ascii_uppercase(), (low, high)));
            let samples: Vec<_> = DtmfTone::new(digit, -10.0, -8.0).take(800).collect();
            let heard = listen(&samples, [low, high]);
            assert!((heard[0].dbm0 + 10.0).abs() < 0.3 && (heard[1].dbm0 + 8.0).abs() < 0.3, "{heard:?}");
        }
        assert_eq!(Digit::from_key('E'), None);
    }
}
