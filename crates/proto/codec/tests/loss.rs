//! What is heard when frames are lost.

use proptest::prelude::*;
use sx_codec::{DecodeError, Decoder, Encoder, Format, L16Rate, Law, Tone, hears, level_dbm0};

const FORMATS: [Format; 6] = [
    Format::G711(Law::A),
    Format::G711(Law::Mu),
    Format::G722,
    Format::L16(L16Rate::Hz8000),
    Format::L16(L16Rate::Hz16000),
    Format::L16(L16Rate::Hz48000),
];

/// A tone at the rate of a format, whatever that is.
fn tone(format: Format, hz: f64, millis: usize) -> Vec<i16> {
    let scale = f64::from(format.sample_hz()) / 8_000.0;
    Tone::new(hz / scale, -10.0).take(format.sample_hz() as usize / 1_000 * millis).collect()
}

/// What is heard of samples when the frames of 20 ms are lost that `is_lost` names.
fn heard(format: Format, samples: &[i16], is_lost: impl Fn(usize) -> bool) -> Vec<i16> {
    let (mut encoder, mut decoder) = (Encoder::new(format), Decoder::new(format));
    let mut out = Vec::new();
    for (number, frame) in samples.chunks(format.sample_hz() as usize / 50).enumerate() {
        let mut payload = Vec::new();
        encoder.encode(frame, &mut payload).expect("a frame");
        match is_lost(number) {
            true => decoder.conceal(frame.len(), &mut out),
            false => decoder.decode(&payload, &mut out).expect("a payload"),
        }
    }
    assert_eq!(out.len(), samples.len(), "as long as what was said");
    out
}

fn millis(format: Format, samples: &[i16], from: usize, to: usize) -> &[i16] {
    let each = format.sample_hz() as usize / 1_000;
    &samples[from * each..to * each]
}

#[test]
fn without_loss_g711_is_what_was_coded_after_the_delay() {
    for law in [Law::A, Law::Mu] {
        let said = tone(Format::G711(law), 440.0, 200);
        let out = heard(Format::G711(law), &said, |_| false);
        assert!(out[..30].iter().all(|sample| *sample == 0));
        let expected: Vec<i16> = said.iter().map(|sample| law.expand(law.compress(*sample))).collect();
        assert_eq!(out[30..], expected[..expected.len() - 30]);
    }
}

#[test]
fn l16_is_big_endian_and_exact() {
    let (mut encoder, mut decoder) =
        (Encoder::new(Format::L16(L16Rate::Hz8000)), Decoder::new(Format::L16(L16Rate::Hz8000)));
    let mut payload = Vec::new();
    encoder.encode(&[0x1234, -2], &mut payload).expect("a frame");
    assert_eq!(payload, [0x12, 0x34, 0xff, 0xfe]);
    let mut out = Vec::new();
    decoder.decode(&payload, &mut out).expect("whole samples");
    decoder.decode(&[0; 60], &mut out).expect("whole samples");
    assert_eq!(out[30..], [0x1234, -2]);
    assert_eq!(decoder.decode(&[1, 2, 3], &mut out), Err(DecodeError::Cut));
}

/// A lost frame of a voiced sound is filled by its period: the same level, the same frequency, no leap.
#[test]
fn a_lost_frame_of_a_steady_sound_is_not_heard() {
    for format in FORMATS {
        let said = tone(format, 150.0, 400);
        let whole = heard(format, &said, |_| false);
        let with_loss = heard(format, &said, |number| number == 9);
        let (lost, kept) = (millis(format, &with_loss, 180, 205), millis(format, &whole, 180, 205));
        assert_ne!(lost, kept, "{format:?}: made up");
        let off = level_dbm0(lost) - level_dbm0(kept);
        assert!(off.abs() < 1.5, "{format:?}: {off} dB");
        let difference: Vec<i16> = lost.iter().zip(kept).map(|(a, b)| a - b).collect();
        let error = level_dbm0(&difference) - level_dbm0(kept);
        // Silence instead would give 0 dB.
        assert!(error < -15.0, "{format:?}: {error} dB");
        let steepest =
            |samples: &[i16]| samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
        let (found, usual) = (steepest(&with_loss), steepest(millis(format, &whole, 100, 400)));
        // G.722's predictor goes on from before the loss, and needs a few samples to catch up.
        let factor = if format == Format::G722 { 4 } else { 2 };
        assert!(
            found.zip(usual).is_some_and(|(found, usual)| found < usual * factor),
            "{format:?}: {found:?} {usual:?}"
        );
    }
}

#[test]
fn one_frame_in_ten_may_be_lost() {
    for format in FORMATS {
        let scale = f64::from(format.sample_hz()) / 8_000.0;
        let out = heard(format, &tone(format, 440.0, 1_000), |number| number % 10 == 9);
        assert!(hears(&out, 440.0 / scale) && !hears(&out, 880.0 / scale), "{format:?}");
        assert!((level_dbm0(&out) + 10.0).abs() < 1.0, "{format:?}: {}", level_dbm0(&out));
    }
}

#[test]
fn what_is_made_up_fades_and_is_silent_after_60_ms() {
    for format in FORMATS {
        let out = heard(format, &tone(format, 200.0, 400), |number| (10..18).contains(&number));
        let level = |from, to| level_dbm0(millis(format, &out, from, to));
        // Three milliseconds and three quarters late.
        let fading = [level(204, 214), level(214, 224), level(224, 234), level(234, 244), level(244, 254)];
        assert!(fading.windows(2).all(|pair| pair[1] < pair[0] - 0.5), "{format:?}: {fading:?}");
        assert!((fading[0] + 10.0).abs() < 1.0, "{format:?}: {fading:?}");
        assert_eq!(level(265, 360), f64::NEG_INFINITY, "{format:?}");
        // G.722 has to learn its steps anew.
        assert!((level(380, 400) + 10.0).abs() < 1.5, "{format:?}: {}", level(380, 400));
    }
}

#[test]
fn a_loss_before_anything_was_heard_is_silence() {
    for format in FORMATS {
        let mut out = Vec::new();
        Decoder::new(format).conceal(3_000, &mut out);
        assert!(out.len() == 3_000 && out.iter().all(|sample| *sample == 0), "{format:?}");
    }
}

#[test]
fn what_is_longer_than_200_ms_is_refused() {
    for format in FORMATS {
        let mut out = Vec::new();
        let longest = format.payload_len(format.sample_hz() as usize / 5);
        assert_eq!(Decoder::new(format).decode(&vec![0; longest], &mut out), Ok(()));
        let before = out.len();
        assert_eq!(Decoder::new(format).decode(&vec![0; longest + 1], &mut out), Err(DecodeError::TooLong));
        assert_eq!(out.len(), before);
    }
}

proptest! {
    /// Whatever arrives and is lost, in frames of any length: as many samples come out as went in.
    #[test]
    fn any_stream_with_any_loss(
        format in proptest::sample::select(&FORMATS[..]),
        frames in proptest::collection::vec((any::<bool>(), 0..1_000usize, any::<u8>()), 0..40),
    ) {
        let mut decoder = Decoder::new(format);
        let (mut out, mut expected) = (Vec::new(), 0);
        for (is_lost, samples, byte) in frames {
            let samples = samples / 2 * 2;
            match is_lost {
                true => decoder.conceal(samples, &mut out),
                false => decoder.decode(&vec![byte; format.payload_len(samples)], &mut out).expect("not too long"),
            }
            expected += samples;
            prop_assert_eq!(out.len(), expected);
        }
    }
}
