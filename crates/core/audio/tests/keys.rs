//! Keys between parties that tell them in different ways: each once, in order, and nothing else is heard meanwhile.

mod driver;

use driver::{Out, Stream, coding, conversion, of_type};
use std::time::Duration;
use sx_audio::{Conference, Conversion, Key, MemberId};
use sx_codec::{Decoder, Digit, DtmfDetector, Encoder, Format, Law, dtmf_sequence};
use sx_engine::{Engine, Rng, Time};
use sx_media::{Attendance, Coding, KeyRules, KeyWay};
use sx_rtp::{Event, EventOutput, EventReceiver, EventSender, Header, Packet, Ssrc};
use sx_types::{Codec, PayloadType};

const ALL: &str = "0123456789*#ABCD";
const TONE: f64 = 600.0;

fn events(payload_type: u8, clock_hz: u32) -> Coding {
    Coding { clock_hz, ..coding(payload_type, Codec::TelephoneEvent) }
}

fn stream(from: &[Coding], to: &[Coding], heard_in_band: bool, way: KeyWay) -> Stream {
    let keys = KeyRules { heard_in_band, to: way };
    Stream::new(&Conversion { keys, ..conversion(from, to, 20) })
}

/// Sends keys as events at a clock, 100 ms each.
fn presses(stream: &mut Stream, keys: &str, payload_type: u8, clock_hz: u32) {
    for key in keys.chars() {
        let event = Event::from_key(key).expect("a key");
        let header = of_type(stream.next_header(0), payload_type);
        let series: Vec<_> =
            EventSender::new(event, 10, Duration::from_millis(100), header.timestamp, clock_hz).collect();
        for (number, packet) in (0_u16..).zip(&series) {
            let sequence = header.sequence.wrapping_add(number);
            let header = Header { sequence, marker: packet.marker, ..header };
            stream.send_payload(header, &packet.payload.to_bytes());
        }
        // The driver's clock of sound goes on by what the events took: 140 ms.
        let ticks = stream.sound_hz() * 14 / 100;
        stream.skip(series.len() as u16, ticks).tone(TONE, 2);
    }
}

/// The events that a listener hears, and how long each was.
fn heard(packets: &[Out], payload_type: u8, clock_hz: u32) -> (String, Vec<u128>) {
    let mut receiver = EventReceiver::new(clock_hz, EventReceiver::SILENCE);
    let (mut keys, mut lengths) = (String::new(), Vec::new());
    for out in packets.iter().filter(|out| out.payload_type == payload_type) {
        let mut datagram = Vec::new();
        let (sequence, timestamp) = (out.sequence, out.timestamp);
        let payload_type = PayloadType(payload_type);
        Header { marker: out.marker, payload_type, sequence, timestamp, ssrc: Ssrc(1) }
            .write(&out.payload, &mut datagram);
        receiver.handle_input(Time::from_secs(1), Packet::parse(&datagram).expect("RTP"));
        while let Some(output) = receiver.poll_output() {
            match output {
                EventOutput::Began { event } => keys.extend(event.key()),
                EventOutput::Ended { duration, reported, .. } => {
                    assert!(reported, "its end was told");
                    lengths.push(duration.as_millis());
                }
            }
        }
    }
    (keys, lengths)
}

fn told(stream: &mut Stream) -> String {
    let mut keys = String::new();
    while let Some(Key { key, duration_ms }) = stream.transcoder.poll_key() {
        assert!((80..=120).contains(&duration_ms), "{duration_ms} ms");
        keys.push(key);
    }
    keys
}

/// Sequence numbers go up by one, timestamps never go back, and nothing comes of another source.
#[track_caller]
fn check_order(packets: &[Out]) {
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) < u32::MAX / 2, "{pair:?}");
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
    }
}

#[test]
fn events_become_events_at_the_clock_of_the_receiver() {
    for from in [coding(0, Codec::Pcmu), coding(9, Codec::G722)] {
        for (in_hz, out_hz) in [(8_000, 48_000), (48_000, 8_000), (8_000, 16_000), (16_000, 48_000), (8_000, 8_000)] {
            let to = [coding(8, Codec::Pcma), events(110, out_hz)];
            let mut stream = stream(&[from, events(101, in_hz)], &to, false, KeyWay::Events);
            stream.tone(TONE, 5);
            presses(&mut stream, ALL, 101, in_hz);
            let packets = stream.packets();
            let (keys, lengths) = heard(&packets, 110, out_hz);
            assert_eq!(keys, ALL, "{in_hz} to {out_hz}");
            assert!(lengths.iter().all(|ms| (99..=101).contains(ms)), "{in_hz} to {out_hz}: {lengths:?}");
            let ends = packets.iter().filter(|out| out.payload_type == 110 && out.payload[1] & 0x80 != 0).count();
            let begins = packets.iter().filter(|out| out.payload_type == 110 && out.marker).count();
            assert_eq!((ends, begins), (3 * 16, 16));
            check_order(&packets);
        }
    }
}

/// Of several that the receiver takes, events have the clock of the sound that it hears.
#[cfg(feature = "opus")]
#[test]
fn events_have_the_clock_of_the_sound_beside_them() {
    let to = [coding(111, Codec::Opus), coding(8, Codec::Pcma), events(110, 48_000), events(101, 8_000)];
    let check = |from: Coding, expected: u8| {
        let mut stream = stream(&[from, events(101, 8_000)], &to, false, KeyWay::Events);
        stream.tone(TONE, 5);
        presses(&mut stream, "5", 101, 8_000);
        let types =
            stream.packets().into_iter().map(|out| out.payload_type).filter(|number| *number > 100 && *number != 111);
        assert!(types.clone().all(|number| number == expected) && types.count() == 7, "{from:?}");
    };
    check(coding(8, Codec::Pcma), 101);
    check(coding(0, Codec::Pcmu), 110);
}

#[test]
fn events_that_are_not_for_the_receiver_are_told_each_once() {
    for clock_hz in [8_000, 48_000] {
        let from = [coding(0, Codec::Pcmu), events(101, clock_hz)];
        let mut stream = stream(&from, &[coding(0, Codec::Pcmu), events(101, 8_000)], false, KeyWay::Told);
        stream.tone(TONE, 5);
        presses(&mut stream, ALL, 101, clock_hz);
        assert_eq!(told(&mut stream), ALL);
        let packets = stream.packets();
        assert!(packets.iter().all(|out| out.payload_type == 0), "sound goes on, events do not");
        check_order(&packets);
        assert_eq!(stream.transcoder.stats().keys_dropped, 0);
    }
}

#[test]
fn an_event_whose_end_is_lost_is_told_when_nothing_comes() {
    let from = [coding(0, Codec::Pcmu), events(101, 8_000)];
    let mut stream = stream(&from, &[coding(0, Codec::Pcmu)], false, KeyWay::Told);
    let header = of_type(stream.next_header(0), 101);
    stream.send_payload(header, &[7, 10, 3, 32]);
    assert_eq!(stream.transcoder.poll_key(), None);
    let due = stream.transcoder.poll_timeout().expect("an event goes on");
    assert_eq!(due.since(stream.now()), EventReceiver::SILENCE);
    stream.transcoder.handle_timeout(due);
    assert_eq!(stream.transcoder.poll_key(), Some(Key { key: '7', duration_ms: 100 }));
    assert_eq!(stream.transcoder.poll_timeout(), None);
}

/// What a listener with this detector hears of sound.
fn hears_keys(stream: &Stream) -> String {
    let heard = stream.heard();
    DtmfDetector::new().hear(&heard).map(|detection| detection.digit.key()).collect()
}

#[test]
fn events_become_tones_in_the_sound() {
    for to in [coding(8, Codec::Pcma), coding(9, Codec::G722), coding(0, Codec::Pcmu)] {
        let from = [coding(0, Codec::Pcmu), events(101, 8_000)];
        let mut stream = stream(&from, &[to], false, KeyWay::Tones);
        stream.tone(TONE, 5);
        presses(&mut stream, "19", 101, 8_000);
        // Each tone lasts as long as its key, after it.
        stream.run(Duration::from_millis(600));
        presses(&mut stream, "*D", 101, 8_000);
        stream.run(Duration::from_millis(600));
        stream.tone(TONE, 5);
        assert_eq!(hears_keys(&stream), "19*D", "{to:?}");
        check_order(&stream.packets());
        assert!(stream.transcoder.stats().muted > 0, "nothing is beside a tone");
        assert_eq!(stream.transcoder.poll_key(), None);
    }
}

#[test]
fn pressed_keys_are_events_in_the_stream_at_the_pace_of_a_clock() {
    for clock_hz in [8_000, 48_000] {
        let to = [coding(8, Codec::Pcma), events(110, clock_hz)];
        let mut stream = stream(&[coding(0, Codec::Pcmu)], &to, false, KeyWay::Events);
        stream.tone(TONE, 5);
        for key in ALL.chars() {
            stream.press(key, 100);
        }
        stream.run(Duration::from_millis(16 * 160));
        stream.tone(TONE, 5);
        let packets = stream.packets();
        let (keys, lengths) = heard(&packets, 110, clock_hz);
        assert_eq!((keys.as_str(), lengths), (ALL, vec![100; 16]));
        check_order(&packets);
        let of_key = |out: &&Out| out.payload_type == 110;
        assert_eq!(packets.iter().filter(of_key).filter(|out| out.marker).count(), 16);
        assert_eq!(packets.iter().filter(of_key).filter(|out| out.payload[1] & 0x80 != 0).count(), 48);
        // Each begins where it does by the clock, however many were before: 100 ms and a pause of 60. The first follows the sound.
        let begins: Vec<u32> =
            packets.iter().filter(of_key).filter(|out| out.marker).map(|out| out.timestamp).collect();
        assert!(begins[1..].windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 1_280), "{begins:?}");
        let after = packets.iter().rev().find(|out| out.payload_type == 8).expect("sound");
        let last_key = packets.iter().rev().find(of_key).expect("a key");
        let since = after.timestamp.wrapping_sub(last_key.timestamp);
        assert!((800..8_000).contains(&since), "sound goes on where the last key was over: {since}");
        assert!(
            packets.iter().skip_while(|out| out.sequence != last_key.sequence).nth(1).is_some_and(|out| out.marker)
        );
    }
}

/// A key of 100 ms has a packet each 20 ms, and its end three times.
#[test]
fn packets_of_a_pressed_key_leave_when_they_are_due() {
    let to = [coding(8, Codec::Pcma), events(110, 8_000)];
    let mut stream = stream(&[coding(0, Codec::Pcmu)], &to, false, KeyWay::Events);
    stream.press('5', 100);
    let begun = stream.now();
    let mut at = vec![0; stream.packets().len()];
    while let Some(due) = stream.transcoder.poll_timeout() {
        stream.run(due.since(stream.now()));
        at.resize(stream.packets().len(), due.since(begun).as_millis());
    }
    assert_eq!(at, [0, 20, 40, 60, 80, 100, 120]);
}

#[test]
fn pressed_keys_are_tones_for_who_takes_no_events() {
    let mut stream = stream(&[coding(0, Codec::Pcmu)], &[coding(0, Codec::Pcmu)], false, KeyWay::Tones);
    stream.tone(TONE, 5);
    ALL.chars().for_each(|key| stream.press(key, 80));
    stream.run(Duration::from_millis(16 * 140 + 20));
    stream.tone(TONE, 5);
    assert_eq!(hears_keys(&stream), ALL);
    check_order(&stream.packets());
}

/// Sends keys as tones, 100 ms each.
fn sounds(stream: &mut Stream, keys: &str) {
    let mut samples = Vec::new();
    let (tone, pause) = (Duration::from_millis(100), Duration::from_millis(100));
    dtmf_sequence(keys.chars().filter_map(Digit::from_key), tone, pause, -10.0, &mut samples);
    stream.says(&samples);
}

#[test]
fn tones_are_heard_told_once_and_are_silent() {
    let wide = [(coding(9, Codec::G722), coding(8, Codec::Pcma)), (coding(0, Codec::Pcmu), coding(8, Codec::Pcma))];
    let passing = [(coding(0, Codec::Pcmu), coding(0, Codec::Pcmu))];
    for (from, to) in wide.into_iter().chain(passing) {
        let mut stream = stream(&[from], &[to], true, KeyWay::Told);
        stream.tone(TONE, 5);
        sounds(&mut stream, ALL);
        assert_eq!(told(&mut stream), ALL, "{from:?} to {to:?}");
        assert_eq!(hears_keys(&stream), "", "{from:?} to {to:?}");
        check_order(&stream.packets());
    }
}

#[test]
fn tones_become_events() {
    let to = [coding(8, Codec::Pcma), events(110, 8_000)];
    let mut stream = stream(&[coding(0, Codec::Pcmu)], &to, true, KeyWay::Events);
    stream.tone(TONE, 5);
    for key in ["1", "2", "2", "#"] {
        sounds(&mut stream, key);
        stream.run(Duration::from_millis(200));
    }
    assert_eq!(heard(&stream.packets(), 110, 8_000).0, "122#");
    assert_eq!(hears_keys_of(&stream, 8), "");
    check_order(&stream.packets());
}

fn hears_keys_of(stream: &Stream, payload_type: u8) -> String {
    let mut decoder = Decoder::new(Format::G711(Law::A));
    let mut samples = Vec::new();
    for out in stream.packets().iter().filter(|out| out.payload_type == payload_type) {
        decoder.decode(&out.payload, &mut samples).expect("well-formed");
    }
    DtmfDetector::new().hear(&samples).map(|detection| detection.digit.key()).collect()
}

/// Nobody who has not asked for it has sound listened to.
#[test]
fn tones_pass_as_sound_where_nobody_listens() {
    let mut stream = stream(&[coding(0, Codec::Pcmu)], &[coding(8, Codec::Pcma)], false, KeyWay::Told);
    sounds(&mut stream, "42");
    assert_eq!((told(&mut stream).as_str(), hears_keys(&stream).as_str()), ("", "42"));
}

#[test]
fn keys_beyond_what_can_wait_are_counted_and_dropped() {
    let to = [coding(8, Codec::Pcma), events(110, 8_000)];
    let mut stream = stream(&[coding(0, Codec::Pcmu)], &to, false, KeyWay::Events);
    for _ in 0..100 {
        stream.press('1', 100);
    }
    stream.press('x', 100);
    stream.run(Duration::from_secs(33 * 160 / 1_000 + 1));
    assert_eq!(heard(&stream.packets(), 110, 8_000).0.len(), 33);
    assert_eq!(stream.transcoder.stats().keys_dropped, 68);
}

#[test]
fn a_key_in_packets_of_10_ms_is_heard_as_well() {
    let mut stream = stream(&[coding(0, Codec::Pcmu)], &[coding(8, Codec::Pcma)], true, KeyWay::Told);
    let mut samples = Vec::new();
    let tone = Duration::from_millis(100);
    dtmf_sequence(Digit::from_key('8'), tone, tone, -10.0, &mut samples);
    let mut encoder = Encoder::new(Format::G711(Law::Mu));
    for frame in samples.chunks(80) {
        let mut payload = Vec::new();
        encoder.encode(frame, &mut payload).expect("10 ms is a frame");
        let header = stream.next_header(80);
        stream.send_payload(header, &payload);
    }
    assert_eq!(told(&mut stream), "8");
}

/// A member of a room presses all keys as tones, the others listen. What was told, and what the others have heard.
fn pressed_in_a_room(keys_in_band: bool) -> (String, Vec<i16>) {
    let format = Format::G711(Law::A);
    let codings = vec![coding(8, Codec::Pcma)];
    let mut room = Conference::new(3);
    let (mut rng, mut now) = (Rng::from_number(3), Time::from_secs(1_800_000_000));
    for (id, keys_in_band) in [(1, keys_in_band), (2, false)] {
        let (from, to) = (codings.clone(), codings.clone());
        let attendance = Attendance {
            room: "r".into(),
            from,
            to,
            ptime_ms: 20,
            muted: false,
            keys_in_band,
            sounds: Default::default(),
        };
        room.attend(now, (MemberId(id), Ssrc(id as u32)), &attendance, &mut rng).expect("there is a place");
    }
    let (mut samples, length) = (Vec::new(), Duration::from_millis(100));
    dtmf_sequence(ALL.chars().filter_map(Digit::from_key), length, length, -10.0, &mut samples);
    samples.resize(samples.len() + 4_000, 0);
    let (mut encoder, mut decoder) = (Encoder::new(format), Decoder::new(format));
    let (mut told, mut heard) = (String::new(), Vec::new());
    for (sequence, samples) in (0_u16..).zip(samples.chunks_exact(160)) {
        let (mut payload, mut packet) = (Vec::new(), Vec::new());
        encoder.encode(samples, &mut payload).expect("20 ms");
        let (payload_type, timestamp) = (PayloadType(8), u32::from(sequence) * 160);
        Header { marker: false, payload_type, sequence, timestamp, ssrc: Ssrc(7) }.write(&payload, &mut packet);
        room.handle_packet(now, MemberId(1), &packet);
        now = now + Duration::from_millis(20);
        room.mix(now);
        while let Some(Key { key, duration_ms }) = room.poll_key(now, MemberId(1)) {
            assert!((80..=120).contains(&duration_ms), "{duration_ms} ms");
            told.push(key);
        }
        while let Some(packet) = room.poll_packet(MemberId(2)) {
            let packet = Packet::parse(packet).expect("RTP");
            decoder.decode(packet.payload(), &mut heard).expect("A-law");
        }
    }
    (told, heard)
}

#[test]
fn tones_of_a_member_of_a_room_are_told_as_keys_and_heard_by_nobody() {
    let (told, heard) = pressed_in_a_room(true);
    assert_eq!(told, ALL);
    assert_eq!(DtmfDetector::new().hear(&heard).count(), 0);
    // Of a member that has not said so they are sound.
    let (told, heard) = pressed_in_a_room(false);
    let heard: String = DtmfDetector::new().hear(&heard).map(|detection| detection.digit.key()).collect();
    assert_eq!((&*told, &*heard), ("", ALL));
}
