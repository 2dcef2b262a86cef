//! G.722: any bytes are sound, of which twice as many samples come; any samples are coded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sx_codec::{DecodeError, Decoder, Encoder, Format};

fuzz_target!(|payload: &[u8]| {
    let (mut decoder, mut encoder) = (Decoder::new(Format::G722), Encoder::new(Format::G722));
    let mut heard = Vec::new();
    for part in payload.chunks(160) {
        decoder.decode(part, &mut heard).expect("20 ms");
    }
    assert_eq!(heard.len(), payload.len() * 2);
    // What is longer than 200 ms is no payload.
    let whole = decoder.decode(payload, &mut Vec::new());
    assert_eq!(whole, if payload.len() <= 1_600 { Ok(()) } else { Err(DecodeError::TooLong) });

    // The bytes as samples, which are louder than any voice.
    let samples: Vec<i16> = payload.chunks_exact(4).flat_map(samples_of).collect();
    let mut coded = Vec::new();
    for frame in samples.chunks(320) {
        encoder.encode(frame, &mut coded).expect("an even number");
    }
    assert_eq!(coded.len(), samples.len() / 2);
});

fn samples_of(bytes: &[u8]) -> [i16; 2] {
    [i16::from_le_bytes([bytes[0], bytes[1]]), i16::from_le_bytes([bytes[2], bytes[3]])]
}
