//! Opus: packets that arrive, get lost and are recovered, and samples that are encoded. The codec is another's, and has
//! unsafe code. The first byte says how the encoder is set; then come packets, each behind a byte for its length and one
//! for its fate.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_codec::{Decoder, Encoder, Format, OpusRate, OpusSettings};

/// The longest packet is 120 ms.
const SAMPLES_MAX: usize = 1_920;

fn decode(mut input: &[u8]) {
    let mut decoder = Decoder::new(Format::Opus(OpusRate::Hz16000));
    let mut heard = Vec::new();
    for _ in 0..40 {
        let Some((&[len, fate], rest)) = input.split_first_chunk() else { return };
        let (packet, rest) = rest.split_at(rest.len().min(usize::from(len)));
        input = rest;
        heard.clear();
        match fate {
            0..16 => decoder.conceal(usize::from(fate) * 100, &mut heard),
            16..32 => decoder.recover(packet, usize::from(fate - 16) * 80, &mut heard),
            _ => match decoder.decode(packet, &mut heard) {
                Ok(()) => assert!(heard.len() <= SAMPLES_MAX),
                Err(_) => assert!(heard.is_empty()),
            },
        }
    }
}

fn encode(how: u8, input: &[u8]) {
    let settings = OpusSettings {
        rate: if input.len().is_multiple_of(2) { OpusRate::Hz16000 } else { OpusRate::Hz8000 },
        bit_rate: [6_000, 12_000, 24_000, 64_000][usize::from(how & 3)],
        complexity: [0, 5, 10, 255][usize::from((how >> 2) & 3)],
        fec: how & 0x10 != 0,
        loss_percent: how,
        dtx: how & 0x20 != 0,
    };
    let step = 16_000 / settings.rate.hz() as usize;
    let frame = [160, 320, 640, 960][usize::from(how >> 6)] / step;
    let mut encoder = Encoder::opus(settings);
    let samples: Vec<i16> = input.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    // Each sample twice, so that not all of it is above what is encoded.
    let samples: Vec<i16> = samples.iter().flat_map(|sample| [*sample; 2]).take(SAMPLES_MAX * 4).collect();
    let mut decoder = Decoder::new(Format::Opus(OpusRate::Hz16000));
    let mut heard = Vec::new();
    for frame in samples.chunks_exact(frame) {
        let mut packet = Vec::new();
        encoder.encode(frame, &mut packet).expect("a frame");
        assert!(settings.dtx || !packet.is_empty());
        if !packet.is_empty() {
            heard.clear();
            decoder.decode(&packet, &mut heard).expect("own packet");
            assert_eq!(heard.len(), frame.len() * step);
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((how, rest)) = input.split_first() else { return };
    decode(rest);
    encode(*how, rest);
});
