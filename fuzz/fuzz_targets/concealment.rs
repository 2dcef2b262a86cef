//! Frames that arrive and frames that are lost, of any codec but Opus and of any length: as many samples come out as went
//! in. The first byte is the codec; then come a byte for the length, one for the fate, and the payload.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_codec::{Decoder, Format, L16Rate, Law};

const FORMATS: [Format; 6] = [
    Format::G711(Law::A),
    Format::G711(Law::Mu),
    Format::G722,
    Format::L16(L16Rate::Hz8000),
    Format::L16(L16Rate::Hz16000),
    Format::L16(L16Rate::Hz48000),
];

fuzz_target!(|input: &[u8]| {
    let Some((format, mut rest)) = input.split_first() else { return };
    let format = FORMATS[usize::from(*format) % FORMATS.len()];
    let mut decoder = Decoder::new(format);
    let (mut heard, mut expected) = (Vec::new(), 0);
    for _ in 0..100 {
        let Some((&[len, fate], tail)) = rest.split_first_chunk() else { return };
        if fate & 1 == 1 {
            let samples = usize::from(len) * 8 + usize::from(fate >> 1);
            decoder.conceal(samples, &mut heard);
            expected += samples;
            rest = tail;
            continue;
        }
        let (payload, tail) = tail.split_at(tail.len().min(usize::from(len)));
        rest = tail;
        if decoder.decode(payload, &mut heard).is_ok() {
            expected += payload.len() * 16 / format.payload_len(16);
        }
        assert_eq!(heard.len(), expected);
    }
});
