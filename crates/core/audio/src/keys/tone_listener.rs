//! Keys that are heard in sound.

use super::Key;
use std::time::Duration;
use sx_codec::{Decoder, Digit, DtmfDetector, Format, Resampler, SAMPLE_HZ};

/// Listens to sound of any rate for the tones of keys.
#[derive(Debug)]
pub(crate) struct ToneListener {
    detector: DtmfDetector,
    /// The rate of what is heard, and the way from there.
    resampler: (u32, Option<Resampler>),
    narrow: Vec<i16>,
    /// Samples that were listened to.
    heard: u64,
    /// What sounds, and since when.
    sounding: Option<(Digit, u64)>,
    /// For what nobody else decodes.
    decoder: Option<Decoder>,
    decoded: Vec<i16>,
}

/// A digit is certain so many samples after it began, on the average.
const CERTAIN_AFTER: u64 = 270;
/// Its end is known so many samples after it.
const ENDED_BEFORE: u64 = 160;
/// What is listened to at a time: 10 ms.
const BLOCK: usize = 80;

impl ToneListener {
    pub(crate) fn new() -> Self {
        Self {
            detector: DtmfDetector::new(),
            resampler: (SAMPLE_HZ, None),
            narrow: Vec::new(),
            heard: 0,
            sounding: None,
            decoder: None,
            decoded: Vec::new(),
        }
    }

    /// Does a key sound?
    pub(crate) fn is_sounding(&self) -> bool {
        self.sounding.is_some()
    }

    /// Or may one? The sound is to be silent then.
    pub(crate) fn suspects(&self) -> bool {
        self.detector.suspects()
    }

    /// Hears samples; tells of keys that are over.
    pub(crate) fn hear(&mut self, samples: &[i16], sample_hz: u32, mut tell: impl FnMut(Key)) {
        if self.resampler.0 != sample_hz {
            self.resampler = (sample_hz, Resampler::new(sample_hz, SAMPLE_HZ));
        }
        self.narrow.clear();
        match &mut self.resampler.1 {
            Some(resampler) => resampler.process(samples, &mut self.narrow),
            None => self.narrow.extend_from_slice(samples),
        }
        for block in self.narrow.chunks(BLOCK) {
            // At most one can become certain in a block.
            let detected = self.detector.hear(block).last();
            self.heard += block.len() as u64;
            let sounds = self.detector.sounding();
            if let Some((digit, since)) =
                self.sounding.filter(|(digit, _)| sounds != Some(*digit) || detected.is_some())
            {
                tell(key_of(digit, self.heard.saturating_sub(since + ENDED_BEFORE)));
                self.sounding = None;
            }
            if let Some(detection) = detected {
                self.sounding = Some((detection.digit, detection.at.saturating_sub(CERTAIN_AFTER)));
            }
        }
    }

    /// Hears a payload that nobody else decodes.
    pub(crate) fn hear_payload(&mut self, format: Format, payload: &[u8], tell: impl FnMut(Key)) {
        if self.decoder.as_ref().is_none_or(|decoder| decoder.format() != format) {
            self.decoder = Some(Decoder::new(format));
        }
        let Some(decoder) = &mut self.decoder else { return };
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        if decoder.decode(payload, &mut decoded).is_ok() {
            self.hear(&decoded, format.sample_hz(), tell);
        }
        self.decoded = decoded;
    }

    /// Nothing comes any more: what sounds is over.
    pub(crate) fn stop(&mut self, tell: impl FnOnce(Key)) {
        if let Some((digit, since)) = self.sounding.take() {
            tell(key_of(digit, self.heard.saturating_sub(since)));
        }
        (self.detector, self.heard) = (DtmfDetector::new(), 0);
    }
}

fn key_of(digit: Digit, samples: u64) -> Key {
    Key::new(digit.key(), Duration::from_millis(samples * 1_000 / u64::from(SAMPLE_HZ)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_codec::{DtmfTone, dtmf_sequence};

    fn digits(keys: &str) -> impl Iterator<Item = Digit> {
        keys.chars().filter_map(Digit::from_key)
    }

    fn hear(samples: &[i16], sample_hz: u32, at_a_time: usize) -> Vec<(char, u16)> {
        let (mut ear, mut keys) = (ToneListener::new(), Vec::new());
        for packet in samples.chunks(at_a_time) {
            ear.hear(packet, sample_hz, |key| keys.push((key.key, key.duration_ms)));
        }
        ear.stop(|key| keys.push((key.key, key.duration_ms)));
        keys
    }

    #[test]
    fn keys_are_heard_at_any_rate_with_their_length() {
        let mut samples = Vec::new();
        let (tone, pause) = (Duration::from_millis(100), Duration::from_millis(60));
        dtmf_sequence(digits("0123456789*#ABCD"), tone, pause, -10.0, &mut samples);
        for sample_hz in [8_000, 16_000, 48_000] {
            let mut wide = Vec::new();
            match Resampler::new(8_000, sample_hz) {
                Some(mut up) => up.process(&samples, &mut wide),
                None => wide.extend(&samples),
            }
            let heard = hear(&wide, sample_hz, sample_hz as usize / 50);
            assert_eq!(heard.iter().map(|(key, _)| *key).collect::<String>(), "0123456789*#ABCD", "{sample_hz}");
            assert!(heard.iter().all(|(_, ms)| (80..=120).contains(ms)), "{sample_hz}: {heard:?}");
        }
    }

    #[test]
    fn a_key_that_sounds_to_the_end_is_over_with_it() {
        let samples: Vec<i16> = DtmfTone::new(Digit::from_key('7').expect("a key"), -10.0, -10.0).take(1_600).collect();
        let heard = hear(&samples, 8_000, 160);
        assert!(matches!(heard[..], [('7', 180..=220)]), "{heard:?}");
    }
}
