//! What is said: silence, tones or a file, and keys that go before all of them.

use crate::config::AudioSource;
use crate::wav::{self, WavError};
use std::collections::VecDeque;
use std::time::Duration;
use sx_codec::{Digit, Tone, dtmf_sequence};

/// How long a key is pressed, and how long nothing is pressed after it.
pub(crate) const KEY: Duration = Duration::from_millis(120);
pub(crate) const KEY_PAUSE: Duration = Duration::from_millis(80);
/// The level of each of the two tones of a key, in dBm0.
const KEY_DBM0: f64 = -9.0;
/// The most samples of keys that wait: 100 keys.
const KEYS_MAX: usize = 100 * 1_600;

/// A source of endless length.
pub(crate) struct Source {
    kind: Kind,
    /// Keys as tones, which go first.
    keys: VecDeque<i16>,
}

enum Kind {
    Silence,
    Tones(Vec<Tone>),
    Wav { samples: Vec<i16>, at: usize },
}

impl Source {
    pub fn open(source: &AudioSource) -> Result<Self, WavError> {
        let kind = match source {
            AudioSource::Silence => Kind::Silence,
            AudioSource::Tone(tones) => Kind::Tones(tones.iter().map(|(hz, dbm0)| Tone::new(*hz, *dbm0)).collect()),
            AudioSource::Wav(path) => Kind::Wav { samples: wav::read(path)?, at: 0 },
        };
        Ok(Self { kind, keys: VecDeque::new() })
    }

    /// A call begins: a file from its start, and no keys of the call before.
    pub fn rewind(&mut self) {
        self.keys.clear();
        if let Kind::Wav { at, .. } = &mut self.kind {
            *at = 0;
        }
    }

    /// Presses a key as tones, when all before it have been.
    pub fn press(&mut self, digit: Digit) {
        let mut samples = Vec::new();
        dtmf_sequence([digit], KEY, KEY_PAUSE, KEY_DBM0, &mut samples);
        if self.keys.len() + samples.len() <= KEYS_MAX {
            self.keys.extend(samples);
        }
    }

    /// Overwrites `samples` with what comes next.
    pub fn fill(&mut self, samples: &mut [i16]) {
        match &mut self.kind {
            Kind::Silence => samples.fill(0),
            Kind::Tones(tones) => samples.fill_with(|| {
                let sum: i32 = tones.iter_mut().filter_map(Iterator::next).map(i32::from).sum();
                sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
            }),
            Kind::Wav { samples: all, at } => samples.fill_with(|| {
                let sample = all[*at];
                *at = (*at + 1) % all.len();
                sample
            }),
        }
        let pressed = self.keys.len().min(samples.len());
        for (sample, key) in samples.iter_mut().zip(self.keys.drain(..pressed)) {
            *sample = key;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_codec::{DtmfDetector, hears};

    #[test]
    fn several_tones_sound_at_once() {
        let mut source = Source::open(&AudioSource::Tone(vec![(350.0, -13.0), (440.0, -13.0)])).expect("opens");
        let mut samples = [0; 1_600];
        source.fill(&mut samples);
        assert!(hears(&samples, 350.0) && hears(&samples, 440.0) && !hears(&samples, 800.0));
    }

    #[test]
    fn a_key_goes_before_the_source_and_once() {
        let mut source = Source::open(&AudioSource::Tone(vec![(440.0, -13.0)])).expect("opens");
        let keys = ['1', '#'].map(|key| Digit::from_key(key).expect("a key"));
        keys.into_iter().for_each(|digit| source.press(digit));
        let mut samples = [0; 8_000];
        source.fill(&mut samples);
        let mut detector = DtmfDetector::new();
        assert!(detector.hear(&samples).map(|d| d.digit).eq(keys));
        assert!(!hears(&samples[..3_200], 440.0) && hears(&samples[3_200..], 440.0));
    }

    #[test]
    fn a_file_begins_anew_when_it_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("short.wav");
        let mut recording = wav::Recording::create(&path).expect("creates");
        recording.write(&[1, 2, 3]).expect("writes");
        recording.finish().expect("ends");
        let mut source = Source::open(&AudioSource::Wav(path)).expect("opens");
        let mut samples = [0; 4];
        source.fill(&mut samples);
        assert_eq!(samples, [1, 2, 3, 1]);
        source.rewind();
        source.fill(&mut samples);
        assert_eq!(samples, [1, 2, 3, 1]);
    }
}
