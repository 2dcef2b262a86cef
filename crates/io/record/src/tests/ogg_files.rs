//! Ogg/Opus files, read by a reader that shares nothing with the writer but the decoder.

use super::{check_files, record, settings};
use crate::{Container, Layout, Party, RecordingSettings, SampleRate, Tracks};
use std::fs;
use sx_codec::{Decoder, Format, Resampler, Tone, hears};

const OPUS: Container = Container::OggOpus { bit_rate: 32_000, complexity: 0 };

pub(super) struct Page {
    pub(super) begins: bool,
    pub(super) ends: bool,
    granule: u64,
    packets: Vec<Vec<u8>>,
}

/// The pages of a file that has nothing else, each with its check sum and its number. No packet is longer than a page.
//= https://www.rfc-editor.org/rfc/rfc3533#section-6
pub(super) fn read_pages(mut bytes: &[u8]) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    while !bytes.is_empty() {
        assert!(bytes.starts_with(b"OggS\0"), "page {}", pages.len());
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let table = &bytes[27..27 + usize::from(bytes[26])];
        let body = 27 + table.len();
        let end = body + table.iter().map(|len| usize::from(*len)).sum::<usize>();
        let mut unchecked = bytes[..end].to_vec();
        unchecked[22..26].fill(0);
        assert_eq!((word(22), word(18)), (checksum(&unchecked), pages.len() as u32));
        let (mut packets, mut packet, mut at) = (Vec::new(), Vec::new(), body);
        for len in table {
            packet.extend_from_slice(&bytes[at..at + usize::from(*len)]);
            at += usize::from(*len);
            if *len < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        assert!(packet.is_empty() && bytes[5] & 1 == 0, "a packet goes on over pages");
        let granule = u64::from(word(6)) | u64::from(word(10)) << 32;
        pages.push(Page { begins: bytes[5] & 2 != 0, ends: bytes[5] & 4 != 0, granule, packets });
        bytes = &bytes[end..];
    }
    pages
}

/// The CRC of Ogg, a bit at a time.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 })
    })
}

/// Samples that a file counts for each that is decoded here.
const STEP: usize = 3;

/// The channels of a file, as a player hears them: without what is to be skipped, and cut where the stream ends.
fn decode(bytes: &[u8], channels: usize) -> Vec<Vec<i16>> {
    let pages = read_pages(bytes);
    let head = &pages[0].packets[0];
    assert!(pages[0].begins && head.starts_with(b"OpusHead\x01") && usize::from(head[9]) == channels);
    assert!(pages[1].packets[0].starts_with(b"OpusTags"));
    let pre_skip = usize::from(u16::from_le_bytes([head[10], head[11]]));
    let mut decoders: Vec<_> = (0..channels).map(|_| Decoder::new(Format::Opus(sx_codec::OpusRate::Hz16000))).collect();
    let mut heard = vec![Vec::new(); channels];
    let mut samples = 0;
    for (number, page) in pages.iter().enumerate().skip(2) {
        assert!(page.packets.len() <= 51, "a page has more than a second");
        for packet in &page.packets {
            let mut rest = &packet[..];
            for (channel, decoder) in decoders.iter_mut().enumerate() {
                let own = if channel + 1 < channels { delimited(&mut rest) } else { rest.to_vec() };
                decoder.decode(&own, &mut heard[channel]).expect("a packet of Opus");
            }
            samples += 960;
        }
        let is_last = number + 1 == pages.len();
        assert_eq!(page.ends, is_last);
        assert!(page.granule == samples || is_last && samples - page.granule < 960, "{} {samples}", page.granule);
    }
    let end = pages[pages.len() - 1].granule as usize;
    heard.into_iter().map(|channel| channel[pre_skip / STEP..end / STEP].to_vec()).collect()
}

/// The first packet of two, without the length inside.
fn delimited(rest: &mut &[u8]) -> Vec<u8> {
    let (toc, first) = (rest[0], usize::from(rest[1]));
    let (len, begin) = if first < 252 { (first, 2) } else { (first + 4 * usize::from(rest[2]), 3) };
    let packet = [&[toc][..], &rest[begin..begin + len]].concat();
    *rest = &rest[begin + len..];
    packet
}

/// A tone at 8 kHz as long as there are frames of 20 ms, at another rate.
fn tone(hz: f64, frames: usize, rate: SampleRate) -> Vec<i16> {
    let mut samples = Vec::new();
    let mut resampler = Resampler::new(8_000, rate.hz()).expect("rates that it knows");
    resampler.process(&Tone::new(hz, -12.0).take(frames * 160).collect::<Vec<_>>(), &mut samples);
    samples
}

/// A second that rises from 300 to 3,000 Hz.
fn sweep(rate: SampleRate) -> Vec<i16> {
    let phase = |second: f64| std::f64::consts::TAU * (300.0 * second + 1_350.0 * second * second);
    (0..rate.hz()).map(|at| (8_000.0 * phase(f64::from(at) / f64::from(rate.hz())).sin()) as i16).collect()
}

fn at_8_khz(samples: &[i16]) -> Vec<i16> {
    let mut out = Vec::new();
    Resampler::new(16_000, 8_000).expect("rates that it knows").process(samples, &mut out);
    out
}

fn record_tones(settings: RecordingSettings, frames: usize) -> crate::Outcome {
    let (rate, frame) = (settings.rate, settings.rate.hz() as usize / 50);
    let (a, b) = (tone(440.0, frames, rate), tone(1_000.0, frames, rate));
    record(settings, |handle| {
        for (number, (a, b)) in a.chunks(frame).zip(b.chunks(frame)).enumerate() {
            handle.push(Party::Caller, (number * frame) as u64, a);
            handle.push(Party::Callee, (number * frame) as u64, b);
        }
    })
}

#[test]
fn what_was_said_is_heard_in_its_channel_and_as_long() {
    for (layout, rate) in [
        (Layout::Mixed, SampleRate::Hz8000),
        (Layout::Stereo, SampleRate::Hz8000),
        (Layout::Stereo, SampleRate::Hz48000),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = RecordingSettings { rate, ..settings(folder.path(), Tracks::Together(layout), OPUS) };
        let outcome = record_tones(settings, 130);
        assert!(outcome.error.is_none() && outcome.duration_ms == 2_600, "{outcome:?}");
        check_files(folder.path(), &outcome);
        let channels = if layout == Layout::Mixed { 1 } else { 2 };
        let heard = decode(&fs::read(folder.path().join("call.opus")).expect("it is there"), channels);
        for (number, channel) in heard.iter().enumerate() {
            assert_eq!(channel.len(), 2_600 * 16);
            let narrow = at_8_khz(channel);
            let wanted = [layout == Layout::Mixed || number == 0, layout == Layout::Mixed || number == 1];
            assert_eq!([hears(&narrow, 440.0), hears(&narrow, 1_000.0)], wanted, "{layout:?} {rate:?} {number}");
        }
    }
}

#[test]
fn what_was_said_is_heard_at_its_time() {
    for rate in [SampleRate::Hz8000, SampleRate::Hz16000, SampleRate::Hz48000] {
        let folder = tempfile::tempdir().expect("a folder");
        let together = settings(folder.path(), Tracks::Together(Layout::Mixed), OPUS);
        // A second of silence, and from then on what is like itself at one time only.
        let said = [vec![0; rate.hz() as usize], sweep(rate)].concat();
        record(RecordingSettings { rate, ..together }, |handle| {
            for (number, frame) in said.chunks(960).enumerate() {
                handle.push(Party::Caller, (number * 960) as u64, frame);
            }
        });
        let heard = &decode(&fs::read(folder.path().join("call.opus")).expect("it is there"), 1)[0];
        let mut original = Vec::new();
        Resampler::new(rate.hz(), 16_000).expect("rates that it knows").process(&said, &mut original);
        let delay = Resampler::new(rate.hz(), 16_000).expect("rates that it knows").delay_samples().round() as i64;
        let lag = best_lag(&original[delay as usize..], heard);
        assert!(lag.abs() <= 1, "{rate:?}: heard {lag} samples late");
    }
}

/// By how many samples the second is behind the first, where both are most alike.
fn best_lag(first: &[i16], second: &[i16]) -> i64 {
    let alike = |lag: i64| -> i64 {
        (16_000_i64..24_000).map(|at| i64::from(first[at as usize]) * i64::from(second[(at + lag) as usize])).sum()
    };
    (-400..400).max_by_key(|lag| alike(*lag)).expect("a range that is not empty")
}
