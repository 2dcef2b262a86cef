//! What a second of sound costs: each codec both ways, concealment, and rates.

#![expect(missing_docs, reason = "criterion makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use sx_codec::{ComfortNoise, Decoder, Encoder, Format, L16Rate, Law, Resampler, Tone};

const FRAME: Duration = Duration::from_millis(20);

/// A second of something that is neither silence nor one sine.
fn sound(rate: u32) -> Vec<i16> {
    let scale = f64::from(rate) / 8_000.0;
    let mixed = Tone::new(180.0 / scale, -14.0).zip(Tone::new(1_130.0 / scale, -20.0));
    mixed.map(|(a, b)| a + b).take(rate as usize).collect()
}

fn formats() -> Vec<(&'static str, Format)> {
    vec![
        ("G.711", Format::G711(Law::A)),
        ("G.722", Format::G722),
        ("L16 at 16 kHz", Format::L16(L16Rate::Hz16000)),
        #[cfg(feature = "opus")]
        ("Opus", Format::Opus(sx_codec::OpusRate::Hz16000)),
    ]
}

fn coding(criterion: &mut Criterion) {
    for (name, format) in formats() {
        let sound = sound(format.sample_hz());
        let frame = format.frame_samples(FRAME);
        let mut encoder = Encoder::new(format);
        let mut payloads = Vec::new();
        for frame in sound.chunks(frame) {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload).expect("a frame");
            payloads.push(payload);
        }
        let mut coded = Vec::new();
        criterion.bench_function(&format!("{name}: encode a second"), |bencher| {
            bencher.iter(|| {
                coded.clear();
                for frame in sound.chunks(frame) {
                    encoder.encode(black_box(frame), &mut coded).expect("a frame");
                }
            });
        });
        let (mut decoder, mut heard) = (Decoder::new(format), Vec::new());
        criterion.bench_function(&format!("{name}: decode a second"), |bencher| {
            bencher.iter(|| {
                heard.clear();
                for payload in &payloads {
                    decoder.decode(black_box(payload), &mut heard).expect("a payload");
                }
            });
        });
        criterion.bench_function(&format!("{name}: decode a second, each fifth frame lost"), |bencher| {
            bencher.iter(|| {
                heard.clear();
                for (number, payload) in payloads.iter().enumerate() {
                    match number % 5 {
                        4 => decoder.conceal(frame, &mut heard),
                        _ => decoder.decode(black_box(payload), &mut heard).expect("a payload"),
                    }
                }
            });
        });
    }
}

fn rates(criterion: &mut Criterion) {
    for (from, to) in [(8_000, 16_000), (16_000, 8_000), (8_000, 48_000), (48_000, 8_000), (48_000, 16_000)] {
        let (sound, mut resampler) = (sound(from), Resampler::new(from, to).expect("known rates"));
        let mut out = Vec::new();
        criterion.bench_function(&format!("a second from {from} to {to} Hz"), |bencher| {
            bencher.iter(|| {
                out.clear();
                for frame in sound.chunks(from as usize / 50) {
                    resampler.process(black_box(frame), &mut out);
                }
            });
        });
    }
}

fn noise(criterion: &mut Criterion) {
    let (mut noise, mut out) = (ComfortNoise::new(1), Vec::new());
    noise.handle_payload(&[50, 140, 60, 127, 128]);
    criterion.bench_function("a second of comfort noise at 8 kHz", |bencher| {
        bencher.iter(|| {
            out.clear();
            noise.generate(8_000, &mut out);
        });
    });
}

criterion_group!(benches, coding, rates, noise);
criterion_main!(benches);
