//! Who is in front, when several speak.
//!
//! After I. Volfin and I. Cohen, "Dominant speaker identification for multipoint videoconferencing", Computer Speech and
//! Language 27 (2013): speech activity is scored over an immediate, a medium and a long time, and somebody takes the
//! place of the dominant speaker when it is more active in all three. So a cough does not, a short "yes" does not, and
//! whoever pauses for breath keeps the place. As conference bridges do, levels stand in for the paper's sub-bands.

use crate::level::SILENCE_DBOV;
use crate::rate::FRAME_MS;

/// Frames between decisions.
pub(crate) const DECISION_FRAMES: u32 = 300 / FRAME_MS as u32;

/// Steps of a level, in the place of sub-bands, each of so many dB.
const STEPS: u32 = 13;
const STEP_DB: f32 = 10.0;
/// A frame with more steps than this counts for the medium time: at least 47 dB below overload.
const MEDIUM_THRESHOLD: u8 = 7;
/// Frames in a block of the medium time, and how many must count for it to count for the long time.
const BLOCK: usize = 5;
const LONG_THRESHOLD: u32 = 4;
/// Blocks in the long time, which is a second.
const BLOCKS: usize = 10;
/// How the score of each time grows with what counts, and how far the newcomer must be ahead.
const IMMEDIATE: Weight = Weight { of: STEPS, rate: 0.78, lead: 3.0 };
const MEDIUM: Weight = Weight { of: BLOCK as u32, rate: 24.0, lead: 2.0 };
const LONG: Weight = Weight { of: BLOCKS as u32, rate: 47.0, lead: 0.0 };
/// The least score: its logarithm is taken.
const SCORE_MIN: f64 = 1e-10;
/// Frames in which the least level is looked for. What is not above that by a step is noise …
const FLOOR_FRAMES: u32 = 15_000 / FRAME_MS as u32;
/// … and so is what is not above this level by a step, the noise of a telephone line.
const LINE_DBOV: f32 = -65.0;

struct Weight {
    /// The most that can count.
    of: u32,
    /// The rate of the exponential distribution of what counts without speech.
    rate: f64,
    lead: f64,
}

impl Weight {
    /// The logarithm of how much likelier it is with speech, where each counts as often as not, than without.
    fn score(&self, count: u32) -> f64 {
        let ways: f64 = (0..count).map(|i| (f64::from(self.of - i) / f64::from(i + 1)).ln()).sum();
        let speech = ways + f64::from(self.of) * 0.5f64.ln();
        (speech - self.rate.ln() + self.rate * f64::from(count)).max(SCORE_MIN)
    }
}

/// How active somebody was in the three times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scores {
    immediate: f64,
    medium: f64,
    long: f64,
}

impl Scores {
    /// By how much these are ahead in the medium time, if they are far enough ahead in all.
    pub(crate) fn lead(&self, dominant: &Self) -> Option<f64> {
        let medium = (self.medium / dominant.medium).ln();
        let ahead = (self.immediate / dominant.immediate).ln() > IMMEDIATE.lead
            && medium > MEDIUM.lead
            && (self.long / dominant.long).ln() > LONG.lead;
        ahead.then_some(medium)
    }

    /// What decides among those that speak while nobody is dominant.
    pub(crate) fn sum(&self) -> f64 {
        self.immediate + self.medium + self.long
    }
}

/// The steps of a member's latest frames.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    steps: [u8; BLOCK * BLOCKS],
    /// Where the next one goes; the oldest stands there.
    next: usize,
    /// The least level above silence in the window before and in this one, in dB, and frames left in this one.
    floors: (f32, f32),
    left: u32,
}

impl Activity {
    pub(crate) const fn new() -> Self {
        Self { steps: [0; BLOCK * BLOCKS], next: 0, floors: (0.0, f32::INFINITY), left: FLOOR_FRAMES }
    }

    /// A frame's level in dBov.
    pub(crate) fn advance(&mut self, dbov: f32) {
        let level = dbov - SILENCE_DBOV;
        self.floors.1 = self.floors.1.min(level);
        self.left -= 1;
        if self.left == 0 {
            self.floors = (self.floors.1, f32::INFINITY);
            self.left = FLOOR_FRAMES;
        }
        let floor = self.floors.0.min(self.floors.1).max(LINE_DBOV - SILENCE_DBOV);
        let noise = level < floor + STEP_DB;
        self.steps[self.next] = if noise { 0 } else { (level / STEP_DB) as u8 };
        self.next = (self.next + 1) % self.steps.len();
    }

    pub(crate) fn scores(&self) -> Scores {
        let len = self.steps.len();
        let age = |age: usize| self.steps[(self.next + len - 1 - age) % len];
        let block = |block: usize| {
            (block * BLOCK..(block + 1) * BLOCK).filter(|frame| age(*frame) > MEDIUM_THRESHOLD).count() as u32
        };
        let blocks = (0..BLOCKS).filter(|number| block(*number) > LONG_THRESHOLD).count() as u32;
        Scores {
            immediate: IMMEDIATE.score(u32::from(age(0))),
            medium: MEDIUM.score(block(0)),
            long: LONG.score(blocks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advance(activity: &mut Activity, dbov: f32, frames: usize) {
        for _ in 0..frames {
            activity.advance(dbov);
        }
    }

    fn after(levels: &[(f32, usize)]) -> Scores {
        let mut activity = Activity::new();
        for (dbov, frames) in levels {
            advance(&mut activity, *dbov, *frames);
        }
        activity.scores()
    }

    const QUIET: f32 = -75.0;
    const SPEECH: f32 = -25.0;

    #[test]
    fn scores_are_those_of_the_formula() {
        // ln C(13,9) + 13 ln 0.5 - ln 0.78 + 0.78 * 9, by hand.
        assert!((IMMEDIATE.score(9) - 4.829).abs() < 0.01, "{}", IMMEDIATE.score(9));
        assert!((MEDIUM.score(5) - 113.356).abs() < 0.01, "{}", MEDIUM.score(5));
        assert_eq!(LONG.score(0), SCORE_MIN);
    }

    #[test]
    fn whoever_goes_on_speaking_takes_the_place_of_whoever_has_stopped() {
        let stopped = after(&[(QUIET, 50), (SPEECH, 100), (QUIET, 40)]);
        assert!(after(&[(QUIET, 150), (SPEECH, 40)]).lead(&stopped).is_some());
    }

    #[test]
    fn a_cough_or_a_word_against_a_speaker_changes_nothing() {
        let speaks = after(&[(QUIET, 50), (SPEECH, 100)]);
        let pauses = after(&[(QUIET, 50), (SPEECH, 100), (QUIET, 6)]);
        for other in [after(&[(QUIET, 147), (-10.0, 3)]), after(&[(QUIET, 140), (-10.0, 10)])] {
            assert!(other.lead(&speaks).is_none() && other.lead(&pauses).is_none());
        }
        assert!(speaks.lead(&speaks).is_none(), "two who speak at once");
    }

    #[test]
    fn steady_noise_is_not_active_however_loud() {
        let mut activity = Activity::new();
        advance(&mut activity, -40.0, 2 * FLOOR_FRAMES as usize);
        assert_eq!(activity.scores(), Activity::new().scores());
        advance(&mut activity, SPEECH, 50);
        assert!(activity.scores().lead(&Activity::new().scores()).is_some());
    }
}
