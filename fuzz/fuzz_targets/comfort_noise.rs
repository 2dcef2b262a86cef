//! Comfort noise: payloads, each behind a byte for its length. Whatever they say, the noise is no louder than it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_codec::{ComfortNoise, level_dbm0};

fuzz_target!(|input: &[u8]| {
    let mut noise = ComfortNoise::new(1);
    let mut samples = Vec::new();
    let mut rest = input;
    while let Some((len, tail)) = rest.split_first() {
        let (payload, tail) = tail.split_at(tail.len().min(usize::from(*len % 32)));
        rest = tail;
        noise.handle_payload(payload);
        samples.clear();
        noise.generate(400, &mut samples);
        assert_eq!(samples.len(), 400);
    }
    // Alone, and not after another that was louder.
    let mut noise = ComfortNoise::new(7);
    noise.handle_payload(input);
    samples.clear();
    noise.generate(4_000, &mut samples);
    let most = input.first().map_or(f64::NEG_INFINITY, |level| 6.15 - f64::from(level & 0x7f));
    // A narrow spectrum wavers, and the faintest noise is rounded.
    assert!(level_dbm0(&samples) <= (most + 12.0).max(-75.0) || samples.iter().all(|sample| *sample == 0));
});
