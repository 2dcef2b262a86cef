//! Packets of one format become packets of another, with what was said in them.

mod driver;

use driver::{Stream, coding, conversion, of_type};
use sx_audio::Conversion;
use sx_codec::{hears, level_dbm0};
use sx_media::SoundRule;
use sx_types::Codec;

const TONE: f64 = 600.0;

/// A tone of two seconds that has gone through is heard, nothing else is, and it is as loud as before.
fn check(from: Codec, to: Codec, ptime_ms: u16) {
    let mut stream = Stream::new(&conversion(&[coding(96, from)], &[coding(97, to)], ptime_ms));
    let sent = stream.tone(TONE, 100);
    let heard = stream.heard();
    assert!(hears(&heard[1_600..], TONE) && !hears(&heard[1_600..], 2.0 * TONE), "{from} to {to}");
    let fallen = level_dbm0(&sent[1_600..]) - level_dbm0(&heard[1_600..]);
    assert!(fallen.abs() < 1.5, "{from} to {to}: {fallen} dB");
    let (ticks, packets) = (u32::from(ptime_ms) * stream.clock_hz() / 1_000, stream.packets());
    assert_eq!(packets.len(), 2_000 / usize::from(ptime_ms), "{from} to {to} in {ptime_ms} ms");
    for (before, after) in packets.iter().zip(&packets[1..]) {
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        assert_eq!(after.timestamp, before.timestamp.wrapping_add(ticks));
        assert!(!after.marker && after.ssrc == before.ssrc);
    }
    assert!(packets[0].marker, "sound begins");
    assert_eq!(stream.transcoder.stats().transcoded, 100);
}

#[test]
fn every_codec_becomes_every_other_with_what_was_said() {
    let codecs = [Codec::Pcmu, Codec::Pcma, Codec::G722];
    for from in codecs {
        for to in codecs.into_iter().filter(|to| *to != from) {
            check(from, to, 20);
        }
    }
}

#[cfg(feature = "opus")]
#[test]
fn opus_becomes_every_other_and_every_other_opus() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722] {
        check(codec, Codec::Opus, 20);
        check(Codec::Opus, codec, 20);
    }
}

#[test]
fn packets_have_the_length_that_the_receiver_wants() {
    for ptime_ms in [10, 40] {
        check(Codec::Pcmu, Codec::Pcma, ptime_ms);
        check(Codec::Pcmu, Codec::G722, ptime_ms);
    }
    let mut stream = Stream::new(&conversion(&[coding(0, Codec::Pcmu)], &[coding(8, Codec::Pcma)], 30));
    stream.tone(TONE, 50);
    let packets = stream.packets();
    assert_eq!(packets.len(), 33, "a third of a packet waits");
    assert!(packets.iter().all(|packet| packet.payload.len() == 240));
}

#[test]
fn packets_of_a_codec_that_both_have_get_another_length() {
    let (sound, keys) = (coding(0, Codec::Pcmu), coding(101, Codec::TelephoneEvent));
    let both = [sound, keys];
    let mut stream = Stream::new(&Conversion { anew: true, ..conversion(&both, &both, 40) });
    stream.tone(TONE, 100);
    let header = of_type(stream.next_header(160), 101);
    stream.send_payload(header, &[5, 10, 0, 160]);
    let packets = stream.packets();
    assert_eq!((packets.len(), packets[0].payload.len()), (51, 320));
    assert_eq!((packets[50].payload_type, &packets[50].payload[..]), (101, &[5, 10, 0, 160][..]));
    assert!(hears(&stream.heard_until(50)[1_600..], TONE));
}

#[test]
fn silence_takes_the_place_of_sound_at_its_pace_and_keys_go_on() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722] {
        let both = [coding(0, codec), coding(13, Codec::ComfortNoise), coding(101, Codec::TelephoneEvent)];
        let mut stream = Stream::new(&Conversion { sound: SoundRule::Silent, ..conversion(&both, &both, 20) });
        stream.tone(TONE, 50);
        let header = of_type(stream.next_header(1), 13);
        stream.send_payload(header, &[40]);
        let header = of_type(stream.next_header(160), 101);
        stream.send_payload(header, &[5, 10, 0, 160]);
        let packets = stream.packets();
        let kinds: Vec<u8> = packets.iter().map(|packet| packet.payload_type).collect();
        assert_eq!((packets.len(), kinds.last()), (51, Some(&101)), "{codec:?} {:?}", stream.transcoder.stats());
        let heard = stream.heard_until(50);
        assert!(heard.len() >= 7_900 && heard.iter().all(|sample| sample.abs() <= 16), "{codec:?}");
        assert_eq!(stream.transcoder.stats().muted, 1, "noise would tell of what there is");
    }
}

#[test]
fn sound_that_is_withheld_goes_nowhere_and_keys_go_on() {
    let both = [coding(0, Codec::Pcmu), coding(13, Codec::ComfortNoise), coding(101, Codec::TelephoneEvent)];
    let mut stream = Stream::new(&Conversion { sound: SoundRule::Withheld, ..conversion(&both, &both, 20) });
    stream.tone(TONE, 50);
    let header = of_type(stream.next_header(160), 101);
    stream.send_payload(header, &[5, 10, 0, 160]);
    let packets = stream.packets();
    assert_eq!((packets.len(), packets[0].payload_type), (1, 101));
    assert_eq!(stream.transcoder.stats().muted, 50);
}

#[test]
fn a_lost_packet_is_made_up_and_a_late_one_dropped() {
    let mut stream = Stream::new(&conversion(&[coding(0, Codec::Pcmu)], &[coding(8, Codec::Pcma)], 20));
    stream.tone(TONE, 50);
    stream.lose(2).tone(TONE, 48);
    let packets = stream.packets().len();
    let again = stream.sent[70].clone();
    stream.send(&again);
    let stats = stream.transcoder.stats();
    assert_eq!((stream.packets().len(), packets), (100, 100));
    assert_eq!((stats.transcoded, stats.concealed, stats.late), (98, 1, 1));
    let packets = stream.packets();
    assert_eq!(packets[99].timestamp.wrapping_sub(packets[0].timestamp), 99 * 160, "no gap");
    assert!(hears(&stream.heard()[7_600..9_600], TONE), "the tone goes on");
}

#[test]
fn a_long_loss_stays_a_gap_and_a_pause_is_one_of_time_alone() {
    let mut stream = Stream::new(&conversion(&[coding(0, Codec::Pcmu)], &[coding(9, Codec::G722)], 20));
    stream.tone(TONE, 10);
    stream.lose(10).tone(TONE, 10);
    stream.pause(10).tone(TONE, 10);
    let packets = stream.packets();
    let step = |at: usize| {
        let (before, after) = (&packets[at - 1], &packets[at]);
        let ticks = after.timestamp.wrapping_sub(before.timestamp);
        (after.sequence.wrapping_sub(before.sequence), ticks, after.marker)
    };
    assert_eq!((packets.len(), step(9)), (30, (1, 160, false)));
    assert_eq!(step(10), (11, 11 * 160, true), "lost");
    assert_eq!(step(20), (1, 11 * 160, true), "not sent");
}

#[test]
fn what_cannot_be_decoded_is_made_up_and_counted() {
    let mut stream = Stream::new(&conversion(&[coding(0, Codec::Pcmu)], &[coding(8, Codec::Pcma)], 20));
    stream.tone(TONE, 10);
    let header = stream.next_header(160);
    stream.send_payload(header, &[0; 1_601]);
    stream.tone(TONE, 10);
    let stats = stream.transcoder.stats();
    assert_eq!((stats.transcoded, stats.undecodable, stream.packets().len()), (20, 1, 21));
}

#[test]
fn what_both_have_passes_beside_what_they_have_not() {
    let from = [coding(18, Codec::G729), coding(0, Codec::Pcmu)];
    let mut stream = Stream::new(&conversion(&from, &[coding(8, Codec::Pcma), coding(96, Codec::G729)], 20));
    stream.tone(TONE, 5);
    let header = stream.next_header(160);
    stream.send_payload(of_type(header, 18), &[7; 20]);
    stream.tone(TONE, 5);
    let types: Vec<u8> = stream.packets().iter().map(|packet| packet.payload_type).collect();
    assert_eq!(types, [8, 8, 8, 8, 8, 96, 8, 8, 8, 8, 8]);
    assert_eq!(stream.packets()[5].payload, [7; 20]);
    let times: Vec<u32> = stream.packets().iter().map(|packet| packet.timestamp).collect();
    assert!(times.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 160), "{times:?}");
}

#[test]
fn keys_pass_with_the_clock_and_the_number_of_the_receiver() {
    let mut events = coding(101, Codec::TelephoneEvent);
    let from = [coding(0, Codec::Pcmu), events];
    (events.payload_type.0, events.clock_hz) = (110, 16_000);
    let mut stream = Stream::new(&conversion(&from, &[coding(8, Codec::Pcma), events], 20));
    stream.tone(TONE, 5);
    let header = of_type(stream.next_header(0), 101);
    for (index, duration) in [160_u16, 320, 480, 480].into_iter().enumerate() {
        let end = if index == 3 { 0x80 } else { 0 };
        let [high, low] = duration.to_be_bytes();
        let sequence = header.sequence.wrapping_add(index as u16);
        stream.send_payload(sx_rtp::Header { sequence, marker: index == 0, ..header }, &[5, end | 10, high, low]);
    }
    stream.skip(4, 480).tone(TONE, 5);
    let packets = stream.packets();
    let keys = &packets[5..9];
    assert!(keys.iter().all(|key| key.payload_type == 110 && key.timestamp == keys[0].timestamp));
    assert_eq!(keys.iter().map(|key| key.marker).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(
        keys.iter().map(|key| key.payload.clone()).collect::<Vec<_>>()[1..3],
        [[5, 10, 2, 128], [5, 10, 3, 192]]
    );
    assert_eq!(keys[0].timestamp.wrapping_sub(packets[4].timestamp), 160, "where sound ended");
    assert_eq!((packets[9].timestamp.wrapping_sub(packets[4].timestamp), packets[9].marker), (160 + 480, true));
    assert_eq!(stream.transcoder.stats().events, 4);
}

#[test]
fn noise_is_noise_to_who_takes_it_and_sound_to_who_does_not() {
    let noise = coding(13, Codec::ComfortNoise);
    for (to, expected, length) in [(vec![coding(8, Codec::Pcma), noise], 13, 1), (vec![coding(8, Codec::Pcma)], 8, 160)]
    {
        let mut stream = Stream::new(&conversion(&[coding(0, Codec::Pcmu), noise], &to, 20));
        stream.tone(TONE, 5);
        let header = of_type(stream.next_header(0), 13);
        stream.send_payload(header, &[40]);
        stream.skip(1, 1_600).tone(TONE, 5);
        let packets = stream.packets();
        assert_eq!((packets[5].payload_type, packets[5].payload.len()), (expected, length));
        assert_eq!(packets[5].timestamp.wrapping_sub(packets[4].timestamp), 160);
        assert_eq!((packets[6].timestamp.wrapping_sub(packets[4].timestamp), packets[6].marker), (160 + 1_600, true));
    }
}

#[test]
fn a_new_source_goes_on_in_the_same_stream() {
    let mut stream = Stream::new(&conversion(&[coding(0, Codec::Pcmu)], &[coding(9, Codec::G722)], 20));
    stream.tone(TONE, 10);
    stream.change_source().tone(TONE, 10);
    let packets = stream.packets();
    // The first packet of a stranger is not believed.
    assert_eq!((packets.len(), stream.transcoder.stats().strange), (19, 1));
    assert!(packets.iter().all(|packet| packet.ssrc == packets[0].ssrc));
    let (before, after) = (&packets[9], &packets[10]);
    assert_eq!((after.sequence.wrapping_sub(before.sequence), after.marker), (1, true));
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 320, "as much time as has passed");
}

#[cfg(feature = "opus")]
#[test]
fn a_lost_packet_of_opus_comes_back_from_the_copy_in_the_next() {
    let with_copies = |fec, phase| {
        let mut opus = coding(96, Codec::Opus);
        opus.opus.fec = fec;
        let mut first = Stream::new(&conversion(&[coding(0, Codec::Pcmu)], &[opus], 20));
        // A tone that rises: what is repeated of the past is not what is missing.
        for step in 0..40 {
            first.tone(300.0 + 40.0 * f64::from(step), 5);
        }
        let mut second = Stream::new(&conversion(&[opus], &[coding(8, Codec::Pcma)], 20));
        let (mut whole, mut lossy) = (Vec::new(), Vec::new());
        for loses in [false, true] {
            let packets = first.sent_on.iter().enumerate();
            packets.filter(|(index, _)| !loses || index % 10 != phase).for_each(|(_, packet)| second.send(packet));
            *(if loses { &mut lossy } else { &mut whole }) = second.heard();
            second = Stream::new(&conversion(&[opus], &[coding(8, Codec::Pcma)], 20));
        }
        assert_eq!(whole.len(), lossy.len());
        let difference: f64 = whole.iter().zip(&lossy).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        difference / whole.len() as f64
    };
    // Copies are coarse: of one that holds the moment at which the tone changes may come worse than nothing.
    let all = |fec| (1..9).map(|phase| with_copies(fec, phase)).sum::<f64>();
    let (with, without) = (all(true), all(false));
    assert!(with < 0.7 * without, "{with} {without}");
}
