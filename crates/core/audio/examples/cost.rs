//! What coding costs on this machine: microseconds of processor for a second of sound, coded and decoded in packets of 20 ms.
//! `cargo run --release -p sx-audio --features opus --example cost`
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "an example that measures and prints")]

use std::time::{Duration, Instant};
use sx_codec::{Decoder, Encoder, Format, Resampler, Tone};
use sx_types::Codec;

const SECONDS: usize = 30;

fn main() {
    println!("{:6} {:>9} {:>9}", "codec", "encode", "decode");
    for codec in Codec::ALL {
        let Some(format) = Format::from_codec(codec, codec.clock_hz()) else { continue };
        let mut up = Resampler::new(8_000, format.sample_hz()).expect("rates that are known");
        let voice: Vec<i16> =
            Tone::new(310.0, -20.0).zip(Tone::new(1_170.0, -25.0)).take(8_000 * SECONDS).map(|(a, b)| a + b).collect();
        let mut samples = Vec::new();
        up.process(&voice, &mut samples);
        let (mut encoder, mut decoder) = (Encoder::new(format), Decoder::new(format));
        let begun = Instant::now();
        let frames = samples.chunks_exact(format.frame_samples(Duration::from_millis(20)));
        let payloads: Vec<Vec<u8>> = frames
            .map(|frame| {
                let mut payload = Vec::new();
                encoder.encode(frame, &mut payload).expect("20 ms is a frame");
                payload
            })
            .collect();
        let encoded = begun.elapsed();
        let begun = Instant::now();
        let mut heard = Vec::new();
        for payload in &payloads {
            heard.clear();
            decoder.decode(payload, &mut heard).expect("well-formed");
        }
        let per_second = |time: Duration| time.as_micros() / SECONDS as u128;
        println!("{:6} {:>6} µs {:>6} µs", codec.name(), per_second(encoded), per_second(begun.elapsed()));
    }
}
