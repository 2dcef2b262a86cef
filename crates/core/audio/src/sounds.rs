//! The sounds that can be played, by name: read once, and shared by all who hear them.

use crate::indication::{Country, Indication, IndicationTone, round_samples};
use crate::wav::Recorded;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use sx_codec::SAMPLE_HZ;

/// What the name of a tone begins with; all else is the name of a file.
pub const TONE: &str = "tone:";

/// The sounds that there are.
#[derive(Clone, Debug, Default)]
pub struct Sounds {
    country: Country,
    recorded: BTreeMap<Arc<str>, Arc<Recorded>>,
}

/// A sound.
#[derive(Clone, Debug)]
pub enum Sound {
    /// One that was recorded.
    Recorded(Arc<Recorded>),
    /// One that is generated.
    Tone(Indication, Country),
}

impl Sounds {
    /// The tones of a country, and nothing that was recorded.
    pub fn new(country: Country) -> Self {
        Self { country, recorded: BTreeMap::new() }
    }

    /// Takes a recorded one in.
    pub fn insert(&mut self, name: Arc<str>, recorded: Recorded) {
        self.recorded.insert(name, Arc::new(recorded));
    }

    /// The sound of a name: of a tone, as `tone:busy`, or of what was recorded.
    pub fn find(&self, name: &str) -> Option<Sound> {
        match name.strip_prefix(TONE) {
            Some(tone) => Indication::from_name(tone).map(|tone| Sound::Tone(tone, self.country)),
            None => self.recorded.get(name).cloned().map(Sound::Recorded),
        }
    }

    /// The names of all of them, in their order, with how long each lasts when it is played once; `None`: a tone, which says
    /// the same until something happens.
    pub fn names(&self) -> impl Iterator<Item = (Arc<str>, Option<Duration>)> {
        let recorded = self.recorded.iter().map(|(name, recorded)| (name.clone(), Some(recorded.lasts())));
        let tones = Indication::ALL.into_iter().map(|tone| (format!("{TONE}{}", tone.name()).into(), None));
        recorded.chain(tones)
    }

    /// How many were recorded, and the bytes they take.
    pub fn recorded(&self) -> (usize, usize) {
        let bytes = self.recorded.values().map(|recorded| size_of_val(&*recorded.samples)).sum();
        (self.recorded.len(), bytes)
    }
}

/// A tone that says the same until something happens is played for so long, when it is played once.
pub const TONE_SECONDS: u32 = 10;

/// A sound that is being played.
#[derive(Debug)]
pub(crate) enum Voice {
    Recorded { recorded: Arc<Recorded>, at: usize, repeats: bool },
    Tone { tone: IndicationTone, left: Option<u64> },
}

impl Voice {
    /// From its beginning; over and over again if it repeats.
    pub(crate) fn new(sound: &Sound, repeats: bool) -> Self {
        match sound {
            Sound::Recorded(recorded) => Self::Recorded { recorded: recorded.clone(), at: 0, repeats },
            Sound::Tone(indication, country) => {
                let whole = match indication.is_short() {
                    true => round_samples(*indication, *country),
                    false => u64::from(TONE_SECONDS * SAMPLE_HZ),
                };
                Self::Tone { tone: IndicationTone::new(*indication, *country), left: (!repeats).then_some(whole) }
            }
        }
    }

    pub(crate) fn sample_hz(&self) -> u32 {
        match self {
            Self::Recorded { recorded, .. } => recorded.sample_hz,
            Self::Tone { .. } => SAMPLE_HZ,
        }
    }

    /// Appends the next samples, fewer when the sound ends before.
    pub(crate) fn take(&mut self, count: usize, out: &mut Vec<i16>) {
        match self {
            Self::Tone { tone, left } => {
                let most = left.map_or(count, |left| count.min(usize::try_from(left).unwrap_or(count)));
                out.extend(tone.take(most));
                if let Some(left) = left {
                    *left -= most as u64;
                }
            }
            Self::Recorded { recorded, at, repeats } => {
                let samples = &recorded.samples;
                let mut missing = count;
                while missing > 0 && !samples.is_empty() {
                    let end = samples.len().min(*at + missing);
                    out.extend_from_slice(&samples[*at..end]);
                    missing -= end - *at;
                    *at = end;
                    if *at < samples.len() || !*repeats {
                        break;
                    }
                    *at = 0;
                }
            }
        }
    }

    /// Has all of it been taken?
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Recorded { recorded, at, repeats } => {
                recorded.samples.is_empty() || (!repeats && *at >= recorded.samples.len())
            }
            Self::Tone { left, .. } => *left == Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sounds() -> Sounds {
        let mut sounds = Sounds::new(Country::France);
        sounds.insert("three.wav".into(), Recorded { sample_hz: 16_000, samples: [1, 2, 3].into(), is_cut: false });
        sounds
    }

    fn taken(voice: &mut Voice, count: usize) -> Vec<i16> {
        let mut samples = Vec::new();
        voice.take(count, &mut samples);
        samples
    }

    #[test]
    fn a_name_is_of_a_tone_or_of_what_was_recorded() {
        let sounds = sounds();
        assert!(matches!(sounds.find("tone:busy"), Some(Sound::Tone(Indication::Busy, Country::France))));
        assert!(matches!(sounds.find("three.wav"), Some(Sound::Recorded(_))));
        assert!(["tone:", "tone:howler", "four.wav", ""].iter().all(|name| sounds.find(name).is_none()));
        assert_eq!(sounds.recorded(), (1, 6));
    }

    #[test]
    fn the_names_of_all_are_told_with_how_long_they_last() {
        let mut sounds = sounds();
        for name in ["long.wav", "b.wav", "z.wav", "a.wav"] {
            sounds.insert(name.into(), Recorded { sample_hz: 8_000, samples: vec![0; 4_000].into(), is_cut: false });
        }
        let in_order: Vec<_> = sounds.names().take(5).map(|(name, _)| name).collect();
        assert_eq!(in_order, ["a.wav", "b.wav", "long.wav", "three.wav", "z.wav"].map(Arc::from));
        let names: BTreeMap<_, _> = sounds.names().collect();
        assert_eq!(names.len(), 5 + Indication::ALL.len());
        assert_eq!((names["long.wav"], names["tone:busy"]), (Some(Duration::from_millis(500)), None));
        assert!(names.keys().all(|name| sounds.find(name).is_some()));
    }

    #[test]
    fn what_was_recorded_is_played_once_or_without_end() {
        let sound = sounds().find("three.wav").expect("it is there");
        let mut once = Voice::new(&sound, false);
        assert_eq!((taken(&mut once, 2), once.is_over()), (vec![1, 2], false));
        assert_eq!((taken(&mut once, 2), once.is_over()), (vec![3], true));
        assert!(taken(&mut once, 2).is_empty());
        let mut again = Voice::new(&sound, true);
        assert_eq!((taken(&mut again, 7), again.is_over()), (vec![1, 2, 3, 1, 2, 3, 1], false));
        assert_eq!(taken(&mut again, 2), [2, 3]);
        let nothing = Sound::Recorded(Arc::new(Recorded { sample_hz: 8_000, samples: Box::default(), is_cut: false }));
        let mut nothing = Voice::new(&nothing, true);
        assert!(nothing.is_over() && taken(&mut nothing, 5).is_empty());
    }

    #[test]
    fn a_tone_is_played_for_its_round_or_for_a_while() {
        let samples = |name: &str, repeats| {
            let mut voice = Voice::new(&sounds().find(name).expect("a tone"), repeats);
            taken(&mut voice, 100_000).len()
        };
        assert_eq!(samples("tone:beep", false), 300 * 8);
        assert_eq!(samples("tone:special-information", false), 1_990 * 8);
        assert_eq!(samples("tone:busy", false), 80_000);
        assert_eq!(samples("tone:busy", true), 100_000);
    }
}
