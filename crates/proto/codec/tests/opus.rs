//! Opus: what comes back is what went in, with and without loss.
#![cfg(feature = "opus")]

use proptest::prelude::*;
use sx_codec::{DecodeError, Decoder, Encoder, Format, OpusRate, OpusSettings, Resampler, Tone, hears, level_dbm0};

/// What a listener at 8 kHz hears.
fn narrow(samples: &[i16]) -> Vec<i16> {
    let mut out = Vec::new();
    Resampler::new(16_000, 8_000).expect("known rates").process(samples, &mut out);
    out
}

fn tone(hz: f64, dbm0: f64, millis: usize) -> Vec<i16> {
    let mut out = Vec::new();
    let samples: Vec<i16> = Tone::new(hz, dbm0).take(millis * 8).collect();
    Resampler::new(8_000, 16_000).expect("known rates").process(&samples, &mut out);
    out
}

fn packets(settings: OpusSettings, samples: &[i16], frame: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::opus(settings);
    let encode = |frame: &[i16]| {
        let mut packet = Vec::new();
        encoder.encode(frame, &mut packet).expect("a frame");
        packet
    };
    samples.chunks_exact(frame).map(encode).collect()
}

#[test]
fn a_tone_comes_back_in_every_frame_length() {
    let said = tone(440.0, -10.0, 600);
    for frame in [160, 320, 640, 960] {
        let mut decoder = Decoder::new(Format::Opus(OpusRate::Hz16000));
        let mut out = Vec::new();
        for packet in packets(OpusSettings::default(), &said, frame) {
            let before = out.len();
            decoder.decode(&packet, &mut out).expect("a packet");
            assert_eq!(out.len() - before, frame);
        }
        let heard = narrow(&out);
        assert!(hears(&heard, 440.0) && !hears(&heard, 880.0), "{frame}");
        let level = level_dbm0(&heard[800..]);
        assert!((level + 10.0).abs() < 1.5, "{frame}: {level}");
    }
    for frame in [0, 40, 80, 480, 320 + 1, 1_920] {
        assert!(Encoder::new(Format::Opus(OpusRate::Hz16000)).encode(&vec![0; frame], &mut Vec::new()).is_err());
    }
}

#[test]
fn the_bit_rate_is_heeded() {
    let said = tone(440.0, -10.0, 2_000);
    let rate = |bit_rate| {
        let settings = OpusSettings { bit_rate, ..OpusSettings::default() };
        packets(settings, &said, 320).iter().map(Vec::len).sum::<usize>() * 8 / 2
    };
    let (low, high) = (rate(12_000), rate(64_000));
    assert!((6_000..16_000).contains(&low) && (30_000..70_000).contains(&high), "{low} {high}");
}

#[test]
fn a_lost_frame_is_concealed_and_a_long_loss_fades() {
    let said = tone(440.0, -10.0, 600);
    let mut decoder = Decoder::new(Format::Opus(OpusRate::Hz16000));
    let mut out = Vec::new();
    for (number, packet) in packets(OpusSettings::default(), &said, 320).iter().enumerate() {
        match number % 6 {
            5 => decoder.conceal(320, &mut out),
            _ => decoder.decode(packet, &mut out).expect("a packet"),
        }
    }
    assert!(out.len() == said.len() && hears(&narrow(&out), 440.0));
    let lost = &out[5 * 320 + 80..6 * 320];
    assert!(level_dbm0(lost) > -20.0, "{}", level_dbm0(lost));
    out.clear();
    // Of which 30 samples are no multiple of 2.5 ms.
    decoder.conceal(16_030, &mut out);
    assert_eq!(out.len(), 16_030);
    assert!(level_dbm0(&out[14_000..]) < -40.0, "{}", level_dbm0(&out[14_000..]));
}

/// A sound that changes with each frame, so that it cannot be foreseen: only the copy can tell which it was.
#[test]
fn a_lost_frame_is_recovered_from_the_copy_in_the_next() {
    let steps = [500.0, 700.0, 900.0, 1_100.0];
    let mut sine = Tone::new(500.0, -10.0);
    let mut said = Vec::new();
    for number in 0..40 {
        sine.change(steps[number / 2 % 4], -10.0);
        said.extend(sine.by_ref().take(160));
    }
    let mut wide = Vec::new();
    Resampler::new(8_000, 16_000).expect("known rates").process(&said, &mut wide);
    let recovered = |fec: bool| {
        let settings = OpusSettings { fec, loss_percent: 30, bit_rate: 32_000, ..OpusSettings::default() };
        let packets = packets(settings, &wide, 320);
        let (mut decoder, mut out) = (Decoder::new(Format::Opus(OpusRate::Hz16000)), Vec::new());
        for (number, packet) in packets.iter().enumerate() {
            match packets.get(number + 1) {
                // The first frame of a new tone.
                Some(next) if number % 4 == 2 => decoder.recover(next, 320, &mut out),
                _ => decoder.decode(packet, &mut out).expect("a packet"),
            }
        }
        let whole = {
            let (mut decoder, mut out) = (Decoder::new(Format::Opus(OpusRate::Hz16000)), Vec::new());
            packets.iter().for_each(|packet| decoder.decode(packet, &mut out).expect("a packet"));
            out
        };
        let noise: Vec<i16> = narrow(&out).iter().zip(narrow(&whole)).map(|(a, b)| a.saturating_sub(b)).collect();
        level_dbm0(&whole) - level_dbm0(&noise)
    };
    let (with, without) = (recovered(true), recovered(false));
    assert!(with > without + 3.0, "{with} {without}");
}

#[test]
fn nothing_is_sent_in_a_pause_but_a_frame_now_and_then() {
    let settings = OpusSettings { dtx: true, ..OpusSettings::default() };
    let said = [tone(440.0, -10.0, 400), vec![0; 32_000], tone(440.0, -10.0, 400)].concat();
    let packets = packets(settings, &said, 320);
    let sent = |frames: std::ops::Range<usize>| packets[frames].iter().filter(|packet| !packet.is_empty()).count();
    assert_eq!(sent(0..30), 30, "speech, and 200 ms after it");
    assert!((3..=6).contains(&sent(32..119)), "the pause: {}", sent(32..119));
    assert_eq!(sent(121..140), 19, "speech again");
}

#[test]
fn what_is_no_packet_is_refused_and_the_next_is_decoded() {
    let (mut decoder, mut out) = (Decoder::new(Format::Opus(OpusRate::Hz16000)), Vec::new());
    // Nothing; two frames of unequal length; no frames at all; more than a datagram.
    for (packet, expected) in [
        (&[][..], DecodeError::Malformed),
        (&[0x01, 0x00][..], DecodeError::Malformed),
        (&[0x03, 0x00][..], DecodeError::Malformed),
        (&[0x78; 1_501][..], DecodeError::TooLong),
    ] {
        assert_eq!((decoder.decode(packet, &mut out), out.len()), (Err(expected), 0));
    }
    for packet in packets(OpusSettings::default(), &tone(440.0, -10.0, 400), 320) {
        decoder.decode(&packet, &mut out).expect("a packet");
    }
    assert!(hears(&narrow(&out), 440.0));
}

/// Where the other side has 4 kHz, no more than those are coded.
#[test]
fn narrowband_is_coded_and_decoded_as_all_else_is() {
    let said: Vec<i16> = Tone::new(440.0, -10.0).take(4_800).collect();
    let narrowband = Format::Opus(OpusRate::Hz8000);
    let settings = OpusSettings { rate: OpusRate::Hz8000, fec: true, dtx: true, ..OpusSettings::default() };
    let packets = packets(settings, &said, 160);
    let (mut decoder, mut out) = (Decoder::new(narrowband), Vec::new());
    for (number, packet) in packets.iter().enumerate() {
        match packets.get(number + 1) {
            Some(next) if number == 15 => decoder.recover(next, 320, &mut out),
            _ => decoder.decode(packet, &mut out).expect("a packet"),
        }
    }
    let heard = narrow(&out);
    let level = level_dbm0(&heard[800..2_400]);
    assert!(heard.len() == said.len() && hears(&heard, 440.0) && (level + 10.0).abs() < 1.5, "{level}");
    assert_eq!(decoder.format(), Format::Opus(OpusRate::Hz16000));
    assert_eq!(Encoder::opus(settings).format(), narrowband);
    assert_eq!((narrowband.rtp_ticks(160), narrowband.rtp_clock_hz()), (960, 48_000));
    assert!([80, 160, 320, 480].iter().all(|samples| narrowband.is_frame(*samples)) && !narrowband.is_frame(960));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_packets_do_no_harm(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..10)) {
        let (mut decoder, mut out) = (Decoder::new(Format::Opus(OpusRate::Hz16000)), Vec::new());
        for packet in &packets {
            let before = out.len();
            match decoder.decode(packet, &mut out) {
                Ok(()) => prop_assert!(out.len() - before <= 1_920),
                Err(_) => prop_assert_eq!(out.len(), before),
            }
            decoder.recover(packet, 320, &mut out);
        }
    }
}
