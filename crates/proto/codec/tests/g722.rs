//! G.722: what comes back is what went in, and hostile bytes do no harm.

use proptest::prelude::*;
use sx_codec::{Decoder, EncodeError, Encoder, Format, Tone, hears, level_dbm0};

/// Coded, decoded, without the delay: 22 samples of the filters and those of the concealment.
fn round_trip(samples: &[i16]) -> Vec<i16> {
    let (mut encoder, mut decoder) = (Encoder::new(Format::G722), Decoder::new(Format::G722));
    let mut heard = Vec::new();
    for frame in samples.chunks(320) {
        let mut payload = Vec::new();
        encoder.encode(frame, &mut payload).expect("an even number");
        assert_eq!(payload.len(), frame.len() / 2);
        decoder.decode(&payload, &mut heard).expect("a frame");
    }
    assert_eq!(heard.len(), samples.len());
    heard.split_off(22 + decoder.delay_samples())
}

/// A tone at 16 kHz: taken for 8 kHz it has half the frequency.
fn tone(hz: f64, dbm0: f64) -> Vec<i16> {
    Tone::new(hz / 2.0, dbm0).take(16_000).collect()
}

fn signal_to_noise_db(samples: &[i16], heard: &[i16]) -> f64 {
    let noise: f64 = samples.iter().zip(heard).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    let signal: f64 = samples.iter().take(heard.len()).map(|sample| f64::from(*sample).powi(2)).sum();
    10.0 * (signal / noise).log10()
}

#[test]
fn tones_of_both_bands_come_back() {
    for (hz, least_db) in [(300.0, 35.0), (1_000.0, 35.0), (3_000.0, 30.0), (5_000.0, 13.0), (6_500.0, 13.0)] {
        let said = tone(hz, -10.0);
        let heard = round_trip(&said);
        assert!(hears(&heard, hz / 2.0) && !hears(&heard, hz / 4.0), "{hz}");
        assert!((level_dbm0(&heard) + 10.0).abs() < 0.3, "{hz}: {}", level_dbm0(&heard));
        let found = signal_to_noise_db(&said[4_000..], &heard[4_000..]);
        assert!(found > least_db, "{hz}: {found}");
    }
}

#[test]
fn silence_stays_next_to_silence() {
    assert!(level_dbm0(&round_trip(&[0; 3_200])) < -70.0);
}

#[test]
fn full_scale_does_not_wrap_around() {
    let heard = round_trip(&tone(500.0, 3.1));
    let steepest = heard.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
    assert!(steepest < Some(15_000), "{steepest:?}");
    let square: Vec<i16> = (0..3_200).map(|i| if i / 8 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    assert!(level_dbm0(&round_trip(&square)) > 0.0);
}

#[test]
fn an_odd_number_of_samples_is_no_frame() {
    let mut payload = Vec::new();
    let refused = Encoder::new(Format::G722).encode(&[0; 321], &mut payload);
    assert_eq!((refused, payload.len()), (Err(EncodeError::FrameLength { samples: 321 }), 0));
}

proptest! {
    #[test]
    fn any_bytes_are_sound(payload in proptest::collection::vec(any::<u8>(), 0..1_600)) {
        let mut heard = Vec::new();
        Decoder::new(Format::G722).decode(&payload, &mut heard).expect("no more than 200 ms");
        prop_assert_eq!(heard.len(), payload.len() * 2);
    }

    #[test]
    fn any_samples_are_coded(samples in proptest::collection::vec(any::<i16>(), 0..1_600)) {
        let even = &samples[..samples.len() / 2 * 2];
        let mut payload = Vec::new();
        Encoder::new(Format::G722).encode(even, &mut payload).expect("an even number");
        prop_assert_eq!(payload.len(), even.len() / 2);
    }
}
