//! Once the buffers have grown to a frame, nothing is allocated.

use std::time::Duration;
use sx_codec::{ComfortNoise, Decoder, Encoder, Format, L16Rate, Law, Resampler, Tone};
use sx_testkit::{CountingAllocator, allocations};

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

#[test]
fn a_call_allocates_nothing_once_it_is_warm() {
    let formats = [
        Format::G711(Law::Mu),
        Format::G722,
        Format::L16(L16Rate::Hz48000),
        #[cfg(feature = "opus")]
        Format::Opus(sx_codec::OpusRate::Hz16000),
    ];
    for format in formats {
        let frame = format.frame_samples(Duration::from_millis(20));
        let said: Vec<i16> = Tone::new(440.0, -10.0).take(frame).collect();
        let (mut encoder, mut decoder) = (Encoder::new(format), Decoder::new(format));
        let mut rate = Resampler::new(format.sample_hz(), 24_000).expect("known rates");
        let mut noise = ComfortNoise::new(1);
        let (mut payload, mut heard, mut other) = (Vec::new(), Vec::new(), Vec::new());
        let mut before = 0;
        for number in 0..100 {
            if number == 20 {
                before = allocations();
            }
            payload.clear();
            heard.clear();
            other.clear();
            encoder.encode(&said, &mut payload).expect("a frame");
            match number % 5 {
                3 => decoder.conceal(frame, &mut heard),
                4 => decoder.recover(&payload, frame, &mut heard),
                _ => decoder.decode(&payload, &mut heard).expect("a payload"),
            }
            rate.process(&heard, &mut other);
            noise.handle_payload(&[40, 120]);
            noise.generate(frame, &mut other);
        }
        assert!(before > 0, "the count counts");
        assert_eq!(allocations() - before, 0, "{format:?}");
    }
}
