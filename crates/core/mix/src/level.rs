//! How loud a member is, and whether that is speech.

use crate::kernel::Measure;
use crate::rate::FRAME_MS;

/// The level of silence in dBov, the least that RFC 6464 can say.
pub const SILENCE_DBOV: f32 = -127.0;

/// By how much a level has to fall below the gate before it counts as quiet.
const HYSTERESIS_DB: f32 = 5.0;
/// How long the gate stays open after the last loud frame, in frames: longer than the pauses within a sentence.
const HANG_FRAMES: u32 = 400 / FRAME_MS as u32;
/// How many loud frames more than quiet ones make a speaker: a cough or a click has fewer.
const SPEECH_FRAMES: u32 = 100 / FRAME_MS as u32;
/// How fast the meter rises and falls, as shares of the way in a frame.
const RISE: f32 = 0.5;
const FALL: f32 = 0.1;
/// How fast somebody who pauses becomes less loud than others, in dB a frame: not within a sentence.
const RANK_FALL_DB: f32 = 1.0;

/// The level of a mean square in dBov: relative to a square wave of full scale, so that a sine has -3 dBov at most.
pub(crate) fn dbov(mean_square: f32) -> f32 {
    if mean_square <= 0.0 {
        return SILENCE_DBOV;
    }
    (10.0 * (mean_square / (32_768.0 * 32_768.0)).log10()).clamp(SILENCE_DBOV, 0.0)
}

/// What is known of a member's voice from its levels.
#[derive(Clone, Debug)]
pub(crate) struct Loudness {
    /// The level of the latest frame, in dBov.
    frame: f32,
    /// The level for meters, in dBov.
    meter: f32,
    /// The level for comparisons, in dBov.
    rank: f32,
    /// Frames until the gate closes; closed at 0.
    hang: u32,
    /// Loud frames more than quiet ones, up to [`SPEECH_FRAMES`].
    loud: u32,
    speaking: bool,
}

impl Loudness {
    pub(crate) const fn new() -> Self {
        Self { frame: SILENCE_DBOV, meter: SILENCE_DBOV, rank: SILENCE_DBOV, hang: 0, loud: 0, speaking: false }
    }

    /// A tick with what was measured of its frame, if one came.
    pub(crate) fn advance(&mut self, frame: Option<&Measure>, gate_dbov: f32) {
        self.frame = frame.map_or(SILENCE_DBOV, |measure| dbov(measure.variance));
        let speed = if self.frame > self.meter { RISE } else { FALL };
        self.meter += (self.frame - self.meter) * speed;
        self.rank = self.meter.max(self.rank - RANK_FALL_DB);
        let least = if self.hang > 0 { gate_dbov - HYSTERESIS_DB } else { gate_dbov };
        if frame.is_some() && self.frame >= least {
            self.hang = HANG_FRAMES;
            self.loud = (self.loud + 1).min(SPEECH_FRAMES);
        } else {
            self.hang = self.hang.saturating_sub(1);
            self.loud = self.loud.saturating_sub(1);
        }
        self.speaking = self.hang > 0 && (self.speaking || self.loud == SPEECH_FRAMES);
    }

    /// Forgets that there was speech; the meter stays.
    pub(crate) fn hush(&mut self) {
        *self = Self { hang: 0, loud: 0, speaking: false, ..*self };
    }

    /// Is the latest frame one that others should hear?
    pub(crate) const fn open(&self) -> bool {
        self.hang > 0
    }

    pub(crate) const fn speaking(&self) -> bool {
        self.speaking
    }

    pub(crate) const fn frame_dbov(&self) -> f32 {
        self.frame
    }

    pub(crate) const fn rank_dbov(&self) -> f32 {
        self.rank
    }

    pub(crate) const fn meter_dbov(&self) -> f32 {
        self.meter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(level: f32) -> Measure {
        Measure { mean: 0.0, variance: 32_768.0f32.powi(2) * 10f32.powf(level / 10.0), peak: 0.0 }
    }

    fn advance(loudness: &mut Loudness, level: f32, frames: usize) {
        for _ in 0..frames {
            loudness.advance(Some(&at(level)), -50.0);
        }
    }

    #[test]
    fn levels_are_relative_to_overload() {
        assert_eq!(dbov(32_768.0 * 32_768.0), 0.0);
        assert!((dbov(32_768.0 * 32_768.0 / 2.0) + 3.01).abs() < 0.01);
        assert_eq!((dbov(0.0), dbov(1e-9)), (SILENCE_DBOV, SILENCE_DBOV));
    }

    #[test]
    fn a_click_opens_the_gate_and_is_no_speech() {
        let mut loudness = Loudness::new();
        advance(&mut loudness, -20.0, 3);
        assert!(loudness.open() && !loudness.speaking());
        advance(&mut loudness, -80.0, 19);
        assert!(loudness.open() && !loudness.speaking());
        advance(&mut loudness, -80.0, 1);
        assert!(!loudness.open());
    }

    #[test]
    fn speech_begins_after_a_tenth_of_a_second_and_outlasts_pauses() {
        let mut loudness = Loudness::new();
        advance(&mut loudness, -30.0, 4);
        assert!(!loudness.speaking());
        advance(&mut loudness, -30.0, 1);
        assert!(loudness.speaking());
        for _ in 0..10 {
            advance(&mut loudness, -80.0, 15);
            assert!(loudness.speaking());
            advance(&mut loudness, -30.0, 2);
        }
        advance(&mut loudness, -80.0, 20);
        assert!(!loudness.speaking());
    }

    #[test]
    fn what_opens_the_gate_is_louder_than_what_keeps_it_open() {
        let mut loudness = Loudness::new();
        advance(&mut loudness, -52.0, 100);
        assert!(!loudness.open());
        advance(&mut loudness, -49.0, 5);
        advance(&mut loudness, -54.0, 100);
        assert!(loudness.open() && loudness.speaking());
        advance(&mut loudness, -56.0, 20);
        assert!(!loudness.open());
    }

    #[test]
    fn a_gate_that_is_not_there_is_open_for_each_frame_that_comes() {
        let mut loudness = Loudness::new();
        loudness.advance(Some(&at(SILENCE_DBOV)), f32::NEG_INFINITY);
        assert!(loudness.open());
        for _ in 0..20 {
            loudness.advance(None, f32::NEG_INFINITY);
        }
        assert!(!loudness.open());
    }

    #[test]
    fn the_meter_rises_faster_than_it_falls() {
        let mut loudness = Loudness::new();
        advance(&mut loudness, -20.0, 8);
        assert!((loudness.meter_dbov() + 20.0).abs() < 1.0);
        advance(&mut loudness, -100.0, 3);
        assert!(loudness.meter_dbov() > -45.0);
        advance(&mut loudness, -100.0, 50);
        assert!((loudness.meter_dbov() + 100.0).abs() < 1.0);
    }
}
