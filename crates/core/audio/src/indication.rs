//! The tones by which an exchange tells a caller how things stand: generated, each country's own.

use sx_codec::{SAMPLE_HZ, Tone};

/// Whose tones they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Country {
    /// North America.
    #[default]
    UnitedStates,
    /// The United Kingdom.
    UnitedKingdom,
    /// Germany.
    Germany,
    /// France.
    France,
}

/// What a tone tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Indication {
    /// Dial.
    Dial,
    /// The called party's telephone rings.
    Ringback,
    /// The called party is busy.
    Busy,
    /// There is no way to the called party at the moment; also called reorder.
    Congestion,
    /// What follows is an announcement; the special information tone.
    SpecialInformation,
    /// Speak now.
    Beep,
    /// Somebody has come into a room.
    Joined,
    /// Somebody has left a room.
    Left,
    /// This call is recorded.
    Recorded,
    /// Nothing: whoever hears it takes nobody for gone.
    Silence,
}

impl Country {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::UnitedStates, Self::UnitedKingdom, Self::Germany, Self::France];

    /// Its code by ISO 3166, in lower case.
    pub fn code(self) -> &'static str {
        match self {
            Self::UnitedStates => "us",
            Self::UnitedKingdom => "gb",
            Self::Germany => "de",
            Self::France => "fr",
        }
    }

    /// The country of a code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|country| country.code() == code)
    }
}

impl Indication {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Dial,
        Self::Ringback,
        Self::Busy,
        Self::Congestion,
        Self::SpecialInformation,
        Self::Beep,
        Self::Joined,
        Self::Left,
        Self::Recorded,
        Self::Silence,
    ];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dial => "dial",
            Self::Ringback => "ringback",
            Self::Busy => "busy",
            Self::Congestion => "congestion",
            Self::SpecialInformation => "special-information",
            Self::Beep => "beep",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Recorded => "recorded",
            Self::Silence => "silence",
        }
    }

    /// The one of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|indication| indication.name() == name)
    }

    /// One round of it.
    //= https://www.itu.int/rec/T-REC-E.180/en
    // The frequencies and cadences in use are those of supplement 2; the special information tone is the same everywhere.
    fn cadence(self, country: Country) -> &'static [Part] {
        use Country::{France, Germany, UnitedKingdom, UnitedStates};
        match (self, country) {
            (Self::Dial, UnitedStates | UnitedKingdom) => const { &[on(350, 440, 1_000)] },
            (Self::Dial, Germany) => const { &[on(425, 0, 1_000)] },
            (Self::Dial, France) => const { &[on(440, 0, 1_000)] },
            (Self::Ringback, UnitedStates) => const { &[on(440, 480, 2_000), off(4_000)] },
            (Self::Ringback, UnitedKingdom) => const { &[on(400, 450, 400), off(200), on(400, 450, 400), off(2_000)] },
            (Self::Ringback, Germany) => const { &[on(425, 0, 1_000), off(4_000)] },
            (Self::Ringback, France) => const { &[on(440, 0, 1_500), off(3_500)] },
            (Self::Busy, UnitedStates) => const { &[on(480, 620, 500), off(500)] },
            (Self::Busy, UnitedKingdom) => const { &[on(400, 0, 375), off(375)] },
            (Self::Busy, Germany) => const { &[on(425, 0, 480), off(480)] },
            (Self::Busy, France) => const { &[on(440, 0, 500), off(500)] },
            (Self::Congestion, UnitedStates) => const { &[on(480, 620, 250), off(250)] },
            (Self::Congestion, UnitedKingdom) => const { &[on(400, 0, 400), off(350), on(400, 0, 225), off(525)] },
            (Self::Congestion, Germany) => const { &[on(425, 0, 240), off(240)] },
            (Self::Congestion, France) => const { &[on(440, 0, 250), off(250)] },
            (Self::SpecialInformation, _) => {
                const { &[on(950, 0, 330), on(1_400, 0, 330), on(1_800, 0, 330), off(1_000)] }
            }
            (Self::Beep, _) => const { &[on(1_000, 0, 250), off(50)] },
            (Self::Joined, _) => const { &[on(500, 0, 100), on(750, 0, 150), off(50)] },
            (Self::Left, _) => const { &[on(750, 0, 100), on(500, 0, 150), off(50)] },
            //= https://www.ecfr.gov/current/title-47/section-64.501
            // The tone that tells of a recording: 1,400 Hz, for a fifth of a second, some four times a minute.
            (Self::Recorded, _) => const { &[on(1_400, 0, 200), off(40)] },
            (Self::Silence, _) => const { &[off(1_000)] },
        }
    }

    /// Is it said once, rather than until something happens?
    pub fn is_short(self) -> bool {
        matches!(self, Self::SpecialInformation | Self::Beep | Self::Joined | Self::Left | Self::Recorded)
    }
}

/// A stretch of a cadence: two frequencies, one, or silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    /// In Hz; 0 is none.
    hz: [u16; 2],
    ms: u16,
}

const fn on(one: u16, other: u16, ms: u16) -> Part {
    Part { hz: [one, other], ms }
}

const fn off(ms: u16) -> Part {
    on(0, 0, ms)
}

impl Part {
    fn samples(self) -> u32 {
        u32::from(self.ms) * SAMPLE_HZ / 1_000
    }
}

/// A tone that goes on without end: samples at 8,000 a second.
///
/// ```
/// use sx_audio::{Country, Indication, IndicationTone};
/// let mut busy = IndicationTone::new(Indication::Busy, Country::Germany);
/// let second: Vec<i16> = busy.by_ref().take(8_000).collect();
/// assert!(sx_codec::hears(&second[..3_840], 425.0) && second[3_840..7_680].iter().all(|sample| *sample == 0));
/// ```
#[derive(Clone, Debug)]
pub struct IndicationTone {
    cadence: &'static [Part],
    tones: [Option<Tone>; 2],
    part: usize,
    /// Samples that are left of the part.
    left: u32,
}

impl IndicationTone {
    /// From its beginning.
    pub fn new(indication: Indication, country: Country) -> Self {
        let cadence = indication.cadence(country);
        let mut tone = Self { cadence, tones: [None, None], part: 0, left: 0 };
        tone.begin(0);
        tone
    }

    fn begin(&mut self, part: usize) {
        let before = self.cadence[self.part].hz;
        let Part { hz, .. } = self.cadence[part];
        self.part = part;
        self.left = self.cadence[part].samples();
        // A tone that goes on keeps its phase.
        if hz == before && self.tones.iter().any(Option::is_some) {
            return;
        }
        let dbm0 = if hz[1] == 0 { LEVEL_DBM0 } else { LEVEL_DBM0 - HALF_DB };
        self.tones = hz.map(|hz| (hz != 0).then(|| Tone::new(hz.into(), dbm0)));
    }
}

impl Iterator for IndicationTone {
    type Item = i16;

    fn next(&mut self) -> Option<i16> {
        if self.left == 0 {
            self.begin((self.part + 1) % self.cadence.len());
        }
        self.left -= 1;
        let parts = self.tones.iter_mut().flatten().filter_map(Iterator::next);
        Some(parts.fold(0, i16::saturating_add))
    }
}

/// Samples of one round of a tone.
pub(crate) fn round_samples(indication: Indication, country: Country) -> u64 {
    indication.cadence(country).iter().map(|part| u64::from(part.samples())).sum()
}

/// How loud it is in all.
//= https://www.itu.int/rec/T-REC-E.180/en
// The recommended level is -10 dBm0; between -15 and -5 is accepted.
const LEVEL_DBM0: f64 = -10.0;
/// Half of the power.
const HALF_DB: f64 = 3.01;

#[cfg(test)]
mod tests {
    use super::*;
    use sx_codec::{level_dbm0, listen};

    /// Of each part of a round: are these the frequencies that are in it, and no more than these?
    fn check(indication: Indication, country: Country, expected: &[(&[f64], usize)]) {
        let mut tone = IndicationTone::new(indication, country);
        // Once more, to see that it begins again.
        for (frequencies, ms) in expected.iter().chain(expected) {
            let part: Vec<i16> = tone.by_ref().take(ms * 8).collect();
            let what = format!("{indication:?} {country:?} {frequencies:?}");
            if frequencies.is_empty() {
                assert!(part.iter().all(|sample| *sample == 0), "{what}");
                continue;
            }
            assert!((level_dbm0(&part) + 10.0).abs() < 0.5, "{what}: {}", level_dbm0(&part));
            let share: f64 = frequencies.iter().map(|hz| listen(&part, [*hz])[0].share).sum();
            // The two of the UK's ringing lie as near to each other as can be told.
            assert!((0.85..1.4).contains(&share), "{what}: {share}");
            for hz in *frequencies {
                let alone = listen(&part, [*hz])[0].share * frequencies.len() as f64;
                assert!(alone > 0.8, "{what}: {hz} has {alone}");
            }
        }
    }

    #[test]
    fn tones_have_the_frequencies_and_cadences_of_their_country() {
        use Country::{France, Germany, UnitedKingdom, UnitedStates};
        check(Indication::Dial, UnitedStates, &[(&[350.0, 440.0], 3_000)]);
        check(Indication::Dial, UnitedKingdom, &[(&[350.0, 440.0], 3_000)]);
        check(Indication::Dial, Germany, &[(&[425.0], 3_000)]);
        check(Indication::Dial, France, &[(&[440.0], 3_000)]);
        check(Indication::Ringback, UnitedStates, &[(&[440.0, 480.0], 2_000), (&[], 4_000)]);
        let twice = [400.0, 450.0];
        check(Indication::Ringback, UnitedKingdom, &[(&twice, 400), (&[], 200), (&twice, 400), (&[], 2_000)]);
        check(Indication::Ringback, Germany, &[(&[425.0], 1_000), (&[], 4_000)]);
        check(Indication::Ringback, France, &[(&[440.0], 1_500), (&[], 3_500)]);
        check(Indication::Busy, UnitedStates, &[(&[480.0, 620.0], 500), (&[], 500)]);
        check(Indication::Busy, UnitedKingdom, &[(&[400.0], 375), (&[], 375)]);
        check(Indication::Busy, Germany, &[(&[425.0], 480), (&[], 480)]);
        check(Indication::Busy, France, &[(&[440.0], 500), (&[], 500)]);
        check(Indication::Congestion, UnitedStates, &[(&[480.0, 620.0], 250), (&[], 250)]);
        check(Indication::Congestion, UnitedKingdom, &[(&[400.0], 400), (&[], 350), (&[400.0], 225), (&[], 525)]);
        check(Indication::Congestion, Germany, &[(&[425.0], 240), (&[], 240)]);
        check(Indication::Congestion, France, &[(&[440.0], 250), (&[], 250)]);
        for country in Country::ALL {
            let parts: [(&[f64], usize); 4] = [(&[950.0], 330), (&[1_400.0], 330), (&[1_800.0], 330), (&[], 1_000)];
            check(Indication::SpecialInformation, country, &parts);
            check(Indication::Beep, country, &[(&[1_000.0], 250), (&[], 50)]);
            check(Indication::Joined, country, &[(&[500.0], 100), (&[750.0], 150), (&[], 50)]);
            check(Indication::Left, country, &[(&[750.0], 100), (&[500.0], 150), (&[], 50)]);
            check(Indication::Recorded, country, &[(&[1_400.0], 200), (&[], 40)]);
        }
    }

    #[test]
    fn a_steady_tone_does_not_click() {
        let samples: Vec<i16> = IndicationTone::new(Indication::Dial, Country::Germany).take(24_000).collect();
        let steepest = samples[..800].windows(2).map(|pair| pair[0].abs_diff(pair[1])).max();
        assert_eq!(samples.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().max(steepest), steepest);
    }

    #[test]
    fn names_lead_back() {
        for country in Country::ALL {
            assert_eq!(Country::from_code(country.code()), Some(country));
        }
        for indication in Indication::ALL {
            assert_eq!(Indication::from_name(indication.name()), Some(indication));
        }
        assert_eq!((Country::from_code("xx"), Indication::from_name("howler")), (None, None));
    }
}
