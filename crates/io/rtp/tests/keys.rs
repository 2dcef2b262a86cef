//! Keys between telephones that tell them in different ways, over real sockets.

mod driver;

use driver::voice::{Voice, coding};
use driver::{Call, receive};
use std::time::{Duration, Instant};
use sx_codec::{Digit, DtmfDetector, DtmfTone, Format, Law};
use sx_engine::{Engine, Time};
use sx_media::{Attendance, Coding, Conversion, KeyRules, KeyWay, Latch, MediaCommand, MediaEvent, Playing, SoundRule};
use sx_rtp::{Event, EventOutput, EventReceiver, EventSender, Header, Packet, Ssrc};
use sx_types::{Codec, PayloadType};

const ALL: &str = "0123456789*#ABCD";
const EVENTS: u8 = 101;

fn events() -> Coding {
    coding(EVENTS, Codec::TelephoneEvent)
}

/// The first telephone speaks µ-law and takes events; the other takes this.
fn call(takes: &[Coding], keys: KeyRules) -> Call {
    let call = Call::new(Latch::Exact);
    let first = [coding(0, Codec::Pcmu), events()];
    for ((from, sent), (to, taken), keys) in [
        ((call.ports[0], &first[..]), (call.ports[1], takes), keys),
        ((call.ports[1], takes), (call.ports[0], &first[..]), KeyRules::default()),
    ] {
        let conversion = Conversion {
            from: sent.to_vec(),
            to: taken.to_vec(),
            ptime_ms: 20,
            keys,
            anew: false,
            sound: SoundRule::Heard,
        };
        call.relay.threads.send(MediaCommand::Patch { from, to: Some(to), conversion: Some(Box::new(conversion)) });
    }
    call.relay.settle(&call.ports);
    call
}

/// The first telephone presses a key, as events.
fn press(call: &Call, sequence: &mut u16, timestamp: u32, key: char) {
    let event = Event::from_key(key).unwrap();
    for packet in EventSender::new(event, 10, Duration::from_millis(80), timestamp, 8_000) {
        let mut datagram = Vec::new();
        let (payload_type, marker) = (PayloadType(EVENTS), packet.marker);
        Header { marker, payload_type, sequence: *sequence, timestamp, ssrc: Ssrc(7) }
            .write(&packet.payload.to_bytes(), &mut datagram);
        call.phones[0].rtp.send_to(&datagram, call.opened[0].rtp).unwrap();
        *sequence += 1;
    }
}

fn pressed(call: &Call) -> char {
    match call.relay.event() {
        MediaEvent::Pressed { port, key, duration_ms: 80 } if port == call.ports[0] => key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_of_who_takes_none_in_the_stream_are_told_each_once_in_order() {
    let call = call(&[coding(0, Codec::Pcmu)], KeyRules { to: KeyWay::Told, ..KeyRules::default() });
    let (mut sequence, mut timestamp) = (0, 0);
    for key in ALL.chars() {
        press(&call, &mut sequence, timestamp, key);
        timestamp += 1_600;
    }
    let told: String = ALL.chars().map(|_| pressed(&call)).collect();
    assert_eq!(told, ALL);
    // The sound that comes behind them is the first that the other one hears.
    let mut voice = Voice::new(Format::G711(Law::Mu), 0);
    (0..sequence).for_each(|_| drop(voice.says(&[0; 160])));
    call.phones[0].rtp.send_to(&voice.says(&[0; 160]), call.opened[0].rtp).unwrap();
    assert_eq!(Packet::parse(&receive(&call.phones[1].rtp).0).unwrap().payload_type(), PayloadType(0));
    let totals = call.relay.threads.totals();
    assert_eq!((totals.keys_told, totals.keys_dropped), (16, 0));
}

/// Its packets are not repeated, and silence tells that it is over: the thread has a clock for it.
#[test]
fn a_key_whose_end_is_lost_is_told_although_nothing_comes() {
    let call = call(&[coding(0, Codec::Pcmu)], KeyRules { to: KeyWay::Told, ..KeyRules::default() });
    let mut datagram = Vec::new();
    let header = Header { marker: true, payload_type: PayloadType(EVENTS), sequence: 1, timestamp: 0, ssrc: Ssrc(7) };
    header.write(&[5, 10, 2, 128], &mut datagram);
    call.phones[0].rtp.send_to(&datagram, call.opened[0].rtp).unwrap();
    assert_eq!(pressed(&call), '5');
}

#[test]
fn a_flood_of_keys_is_dropped_and_counted() {
    let call = call(&[coding(0, Codec::Pcmu)], KeyRules { to: KeyWay::Told, ..KeyRules::default() });
    let (mut sequence, mut timestamp) = (0, 0);
    for _ in 0..60 {
        press(&call, &mut sequence, timestamp, '1');
        timestamp += 1_600;
    }
    // What is sent behind them is known to come behind them.
    let mut voice = Voice::new(Format::G711(Law::Mu), 0);
    (0..sequence).for_each(|_| drop(voice.says(&[0; 160])));
    call.phones[0].rtp.send_to(&voice.says(&[0; 160]), call.opened[0].rtp).unwrap();
    receive(&call.phones[1].rtp);
    let totals = call.relay.threads.totals();
    // A slow machine may take more than one second for it.
    assert!(totals.keys_dropped > 0 && totals.keys_told + totals.keys_dropped == 60, "{totals:?}");
}

/// Presses keys as signalling does, while the first telephone says nothing.
fn press_by_signalling(call: &Call) {
    for key in ALL.chars() {
        call.relay.threads.send(MediaCommand::Press { port: call.ports[0], key, duration_ms: 60 });
    }
}

#[test]
fn pressed_keys_are_events_in_the_stream_that_goes_on() {
    let call = call(&[coding(0, Codec::Pcmu), events()], KeyRules::default());
    let mut voice = Voice::new(Format::G711(Law::Mu), 0);
    // Until somebody presses a key, every byte passes as it is.
    let said = voice.says(&[100; 160]);
    call.phones[0].rtp.send_to(&said, call.opened[0].rtp).unwrap();
    assert_eq!(receive(&call.phones[1].rtp).0, said);
    let began = Instant::now();
    press_by_signalling(&call);
    let (mut keys, mut ends, mut last) = (String::new(), 0, None::<Header>);
    let mut receiver = EventReceiver::new(8_000, EventReceiver::SILENCE);
    while ends < 3 * ALL.len() {
        let (datagram, from) = receive(&call.phones[1].rtp);
        let packet = Packet::parse(&datagram).unwrap();
        let header = packet.header();
        assert_eq!((packet.payload_type(), from), (PayloadType(EVENTS), call.opened[1].rtp));
        if let Some(before) = last.replace(header) {
            assert_eq!((header.sequence, header.ssrc), (before.sequence.wrapping_add(1), before.ssrc));
        }
        ends += usize::from(packet.payload()[1] & 0x80 != 0);
        receiver.handle_input(Time::from_secs(1), packet);
        while let Some(output) = receiver.poll_output() {
            if let EventOutput::Began { event } = output {
                keys.extend(event.key());
            }
        }
    }
    assert_eq!(keys, ALL);
    // Each lasts for 60 ms, and so does the pause behind it.
    assert!(began.elapsed() >= Duration::from_millis(15 * 120), "{:?}", began.elapsed());
    // The pause behind the last key may go on: what is said in it is not heard.
    let socket = &call.phones[1].rtp;
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = [0; 400];
    let goes_on = loop {
        call.phones[0].rtp.send_to(&voice.says(&[100; 160]), call.opened[0].rtp).unwrap();
        if let Ok((length, _)) = socket.recv_from(&mut buffer) {
            break Packet::parse(&buffer[..length]).unwrap().header();
        }
        assert!(began.elapsed() < driver::PATIENCE);
    };
    assert_eq!(goes_on.payload_type, PayloadType(0));
    assert_eq!(Some(goes_on.ssrc), last.map(|last| last.ssrc));
}

#[test]
fn pressed_keys_are_tones_for_who_takes_no_events() {
    let call = call(&[coding(8, Codec::Pcma)], KeyRules { to: KeyWay::Tones, ..KeyRules::default() });
    press_by_signalling(&call);
    let (mut voice, mut heard) = (Voice::new(Format::G711(Law::A), 8), Vec::new());
    // 60 ms of tone, and as much of silence: six packets a key.
    for _ in 0..6 * ALL.len() {
        voice.hears(&receive(&call.phones[1].rtp).0, &mut heard);
    }
    let keys: String = DtmfDetector::new().hear(&heard).map(|detection| detection.digit.key()).collect();
    assert_eq!(keys, ALL);
}

#[test]
fn keys_of_who_is_in_a_room_are_told_each_once_in_order() {
    let call = Call::new(Latch::Exact);
    for (place, port) in call.ports.into_iter().enumerate() {
        let codings = vec![coding(0, Codec::Pcmu), events()];
        // One that nobody hears is heard by the exchange.
        let (from, to, muted) = (codings.clone(), codings, place == 0);
        let attendance = Attendance {
            room: "8000".into(),
            from,
            to,
            ptime_ms: 20,
            muted,
            keys_in_band: false,
            sounds: Default::default(),
        };
        call.relay.threads.send(MediaCommand::Attend { port, attendance: Some(Box::new(attendance)) });
    }
    call.relay.settle(&call.ports);
    let (mut sequence, mut timestamp, mut told) = (0, 0, String::new());
    for key in ALL.chars() {
        press(&call, &mut sequence, timestamp, key);
        timestamp += 1_600;
        told.push(pressed(&call));
    }
    assert_eq!(told, ALL);
    // What the other member is sent is sound.
    for _ in 0..5 {
        assert_eq!(Packet::parse(&receive(&call.phones[1].rtp).0).unwrap().payload_type(), PayloadType(0));
    }
}

/// The other hears an announcement meanwhile, in which nothing of the keys is to be heard.
#[test]
fn keys_are_told_while_the_other_one_is_played_to() {
    let call = call(&[coding(0, Codec::Pcmu), events()], KeyRules { to: KeyWay::Told, ..KeyRules::default() });
    let to = vec![coding(0, Codec::Pcmu)];
    let playing = Playing { sound: "tone:dial".into(), repeats: true, to, ptime_ms: 20, number: 1 };
    call.relay.threads.send(MediaCommand::Play { port: call.ports[1], playing: Some(Box::new(playing)) });
    call.relay.settle(&call.ports);
    let (mut sequence, mut timestamp, mut told) = (0, 0, String::new());
    for key in ALL.chars() {
        press(&call, &mut sequence, timestamp, key);
        timestamp += 1_600;
        told.push(pressed(&call));
    }
    assert_eq!(told, ALL);
    let mut last = None::<u16>;
    for _ in 0..20 {
        let header = Packet::parse(&receive(&call.phones[1].rtp).0).unwrap().header();
        assert_eq!(header.payload_type, PayloadType(0), "sound, and no events");
        assert!(last.is_none_or(|before| header.sequence == before.wrapping_add(1)), "one stream");
        last = Some(header.sequence);
    }
}

#[test]
fn keys_that_are_tones_are_told_while_the_other_one_is_played_to() {
    let rules = KeyRules { heard_in_band: true, to: KeyWay::Told };
    let call = call(&[coding(0, Codec::Pcmu)], rules);
    let to = vec![coding(0, Codec::Pcmu)];
    let playing = Playing { sound: "tone:dial".into(), repeats: true, to, ptime_ms: 20, number: 1 };
    call.relay.threads.send(MediaCommand::Play { port: call.ports[1], playing: Some(Box::new(playing)) });
    call.relay.settle(&call.ports);
    let one = DtmfTone::new(Digit::from_key('1').unwrap(), -10.0, -8.0);
    let samples: Vec<i16> = one.take(800).chain(std::iter::repeat_n(0, 800)).collect();
    for (number, frame) in (0..).zip(samples.chunks_exact(160)) {
        let (mut payload, mut datagram) = (Vec::new(), Vec::new());
        Law::Mu.encode(frame, &mut payload);
        let (payload_type, timestamp) = (PayloadType(0), 160 * u32::from(number));
        Header { marker: number == 0, payload_type, sequence: number, timestamp, ssrc: Ssrc(7) }
            .write(&payload, &mut datagram);
        call.phones[0].rtp.send_to(&datagram, call.opened[0].rtp).unwrap();
    }
    match call.relay.event() {
        MediaEvent::Pressed { port, key: '1', .. } if port == call.ports[0] => {}
        other => panic!("{other:?}"),
    }
}

/// A call that was told of a key may let the parties hear each other: the end of the key comes three times.
#[test]
fn the_rest_of_a_key_that_was_told_does_not_pass_when_everything_does() {
    let other = [coding(0, Codec::Pcmu), events()];
    let call = call(&other, KeyRules { to: KeyWay::Told, ..KeyRules::default() });
    let event = Event::from_key('1').unwrap();
    let packets: Vec<_> = EventSender::new(event, 10, Duration::from_millis(80), 0, 8_000).collect();
    let (all_but_two, rest) = packets.split_at(packets.len() - 2);
    let mut sequence = 0;
    let mut send = |packets: &[sx_rtp::EventPacket]| {
        for packet in packets {
            let (mut datagram, payload_type) = (Vec::new(), PayloadType(EVENTS));
            Header { marker: packet.marker, payload_type, sequence, timestamp: packet.timestamp, ssrc: Ssrc(7) }
                .write(&packet.payload.to_bytes(), &mut datagram);
            call.phones[0].rtp.send_to(&datagram, call.opened[0].rtp).unwrap();
            sequence += 1;
        }
    };
    send(all_but_two);
    assert_eq!(pressed(&call), '1');
    let (from, to) = (call.ports[0], Some(call.ports[1]));
    call.relay.threads.send(MediaCommand::Patch { from, to, conversion: None });
    call.relay.settle(&call.ports);
    send(rest);
    // Another key is none of it.
    let next: Vec<_> = EventSender::new(event, 10, Duration::from_millis(80), 1_600, 8_000).take(1).collect();
    send(&next);
    let first = receive(&call.phones[1].rtp).0;
    assert_eq!(Packet::parse(&first).unwrap().timestamp(), 1_600);
}
