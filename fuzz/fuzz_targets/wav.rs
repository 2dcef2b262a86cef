//! A WAV file: a byte for the longest that is allowed, and the file. What is read is no more than that, and no more than there is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_audio::read_wav;

fuzz_target!(|input: &[u8]| {
    let Some((seconds_max, file)) = input.split_first() else { return };
    let Ok(recorded) = read_wav(file, u32::from(*seconds_max)) else { return };
    assert!(matches!(recorded.sample_hz, 8_000 | 16_000 | 48_000));
    assert!(!recorded.samples.is_empty() && recorded.samples.len() * 2 <= file.len());
    assert!(recorded.samples.len() <= recorded.sample_hz as usize * usize::from(*seconds_max));
});
