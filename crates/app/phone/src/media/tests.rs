//! Two ends on the loopback interface, in virtual time: what is sent has come when it is looked for.

use super::*;
use crate::config::AudioSource;
use sx_codec::{Law, hears};

const START: Time = Time::from_secs(1_795_219_199);
const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

struct End {
    media: Media,
    source: Source,
    heard: Vec<i16>,
    keys: String,
}

fn end(seed: u64, hz: f64) -> End {
    let media = Media::open(IP, START, &mut Rng::from_number(seed), Duration::from_millis(40)).expect("sockets");
    let source = Source::open(&AudioSource::Tone(vec![(hz, -10.0)])).expect("opens");
    End { media, source, heard: Vec::new(), keys: String::new() }
}

fn agreed(remote: SocketAddr, telephone_event: Option<u8>) -> Agreed {
    Agreed {
        law: Law::Mu,
        payload_type: PayloadType(0),
        telephone_event: telephone_event.map(PayloadType),
        remote: Some(remote),
        sends: true,
        receives: true,
        held_by_peer: false,
    }
}

fn pair(telephone_event: Option<u8>) -> [End; 2] {
    let mut ends = [end(1, 440.0), end(2, 1_000.0)];
    let addresses = [ends[0].media.address(), ends[1].media.address()];
    ends[0].media.change(START, agreed(addresses[1], telephone_event), false);
    ends[1].media.change(START, agreed(addresses[0], telephone_event), false);
    ends
}

/// Turns both ends each 5 ms from one time after the start to another.
fn run(ends: &mut [End], from_ms: u64, to_ms: u64) {
    for ms in (from_ms..to_ms).step_by(5) {
        for end in &mut *ends {
            let turn = end.media.turn(START + Duration::from_millis(ms), &mut end.source);
            end.heard.extend(turn.samples);
            end.keys.extend(turn.keys);
        }
    }
}

#[test]
fn a_packet_leaves_each_20_ms_and_is_played_40_ms_later() {
    let mut ends = pair(None);
    run(&mut ends, 0, 1_000);
    for (end, own, other) in [(&ends[0], 440.0, 1_000.0), (&ends[1], 1_000.0, 440.0)] {
        assert!(hears(&end.heard, other) && !hears(&end.heard, own));
        assert!((47..=48).contains(&(end.heard.len() / FRAME_SAMPLES)), "{}", end.heard.len());
        let stats = end.media.stats();
        assert_eq!((stats.packets_sent, stats.packets_lost), (50, 0));
    }
}

#[test]
fn a_frame_that_is_lost_is_made_up() {
    let agreed = agreed(SocketAddr::new(IP, 9), None);
    let mut receiving = Receiving::new(Duration::from_millis(40));
    let mut turn = Turn::default();
    let tone: Vec<i16> = sx_codec::Tone::new(400.0, -10.0).take(50 * FRAME_SAMPLES).collect();
    for (number, frame) in tone.chunks(FRAME_SAMPLES).enumerate() {
        let now = START + FRAME * number as u32;
        let (mut payload, mut datagram) = (Vec::new(), Vec::new());
        agreed.law.encode(frame, &mut payload);
        let (sequence, timestamp) = (number as u16, (number * FRAME_SAMPLES) as u32);
        let header = Header { marker: false, payload_type: PayloadType(0), sequence, timestamp, ssrc: Ssrc(1) };
        header.write(&payload, &mut datagram);
        if number != 30 {
            receiving.take(now, &agreed, SocketAddr::new(IP, 9), Packet::parse(&datagram).expect("own packet"));
        }
        receiving.play(now, &agreed, &mut turn);
    }
    let stats = receiving.buffer.stats();
    assert_eq!((stats.received, stats.concealed, stats.late), (49, 1, 0));
    // The tone goes on through the gap: at no time is there silence.
    for frame in turn.samples[FRAME_SAMPLES..].chunks_exact(FRAME_SAMPLES) {
        assert!(frame.iter().any(|sample| sample.unsigned_abs() > 5_000));
    }
}

#[test]
fn who_was_asleep_leaves_frames_out() {
    let mut ends = pair(None);
    run(&mut ends, 0, 20);
    run(&mut ends, 10_000, 10_005);
    assert!(ends[0].media.stats().packets_sent <= 3);
}

#[test]
fn keys_are_heard_as_events_where_these_are_agreed() {
    let mut ends = pair(Some(96));
    for key in "19#".chars() {
        assert!(ends[0].media.press(Event::from_key(key).expect("a key")));
    }
    run(&mut ends, 0, 1_500);
    assert_eq!((&*ends[1].keys, &*ends[0].keys), ("19#", ""));
    let tone = &ends[1].heard[ends[1].heard.len() - 1_600..];
    assert!(hears(tone, 440.0));
}

#[test]
fn keys_are_heard_as_tones_where_there_are_no_events() {
    let mut ends = pair(None);
    assert!(!ends[0].media.press(Event(1)));
    for digit in "19#".chars().filter_map(Digit::from_key) {
        ends[0].source.press(digit);
    }
    run(&mut ends, 0, 1_500);
    assert_eq!(ends[1].keys, "19#");
}

#[test]
fn who_is_muted_sends_silence() {
    let mut ends = pair(None);
    let remote = ends[1].media.address();
    ends[0].media.change(START, agreed(remote, None), true);
    run(&mut ends, 0, 500);
    assert!(ends[1].heard.len() > 3_000 && ends[1].heard.iter().all(|sample| sample.unsigned_abs() < 16));
}

#[test]
fn a_stranger_is_not_heard_while_the_other_party_speaks() {
    let mut ends = pair(None);
    let mut stranger = end(3, 2_000.0);
    stranger.media.change(START, agreed(ends[0].media.address(), None), false);
    let mut all = ends.iter_mut().collect::<Vec<_>>();
    all.push(&mut stranger);
    for ms in (0..1_000).step_by(5) {
        for end in &mut all {
            let turn = end.media.turn(START + Duration::from_millis(ms), &mut end.source);
            end.heard.extend(turn.samples);
        }
    }
    assert!(hears(&ends[0].heard, 1_000.0) && !hears(&ends[0].heard, 2_000.0));
}

#[test]
fn who_sends_from_elsewhere_is_heard_from_the_first_packet() {
    let mut ends = pair(None);
    // As with an exchange that names one of its addresses and sends from another.
    let elsewhere = SocketAddr::new(IP, 9);
    ends[0].media.change(START, agreed(elsewhere, None), false);
    run(&mut ends[1..], 0, 1_000);
    run(&mut ends[..1], 0, 1_000);
    let (sent, stats) = (ends[1].media.stats().packets_sent, ends[0].media.stats());
    assert_eq!((sent, stats.packets_received, stats.packets_lost), (50, 50, 0));
}

#[test]
fn a_new_source_adds_to_what_was_counted() {
    let mut ends = pair(None);
    run(&mut ends, 0, 1_000);
    let before = ends[0].media.stats().packets_received;
    ends[1].media.sending.ssrc = Ssrc(7);
    run(&mut ends, 1_000, 2_000);
    assert_eq!(ends[0].media.stats().packets_received, before + 50);
}

#[test]
fn reports_are_sent_each_5_s_and_say_goodbye() {
    let mut ends = pair(None);
    let (observer, mut buffer) = (UdpSocket::bind((IP, 0)).expect("a socket"), [0; 500]);
    observer.set_nonblocking(true).expect("a socket");
    // The observer stands where the reports of the first end go.
    let remote = observer.local_addr().expect("bound");
    let rtp = SocketAddr::new(IP, remote.port() - 1);
    ends[0].media.change(START, agreed(rtp, None), false);
    run(&mut ends[..1], 0, 8_000);
    ends[0].media.close(START + Duration::from_secs(8));
    let mut reports = Vec::new();
    while let Ok(length) = observer.recv(&mut buffer) {
        let compound = Compound::parse(&buffer[..length]).expect("whole");
        let kinds = compound.packets().map(|packet| match packet {
            RtcpPacket::SenderReport(report) => ('S', report.info.packet_count),
            RtcpPacket::Bye(_) => ('B', 0),
            _ => ('d', 0),
        });
        reports.push(kinds.collect::<Vec<_>>());
    }
    assert_eq!(reports[..2], [vec![('S', 126), ('d', 0)], vec![('S', 376), ('d', 0)]]);
    assert_eq!(reports[2..], [vec![('S', 400), ('d', 0), ('B', 0)]]);
}

#[test]
fn rubbish_is_no_sound() {
    let mut ends = pair(Some(101));
    let socket = UdpSocket::bind((IP, 0)).expect("a socket");
    let to = ends[0].media.address();
    for bytes in [&[][..], &[0x80], &[0xff; 2_048], &[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]] {
        socket.send_to(bytes, to).expect("sends");
        socket.send_to(bytes, SocketAddr::new(IP, to.port() + 1)).expect("sends");
    }
    run(&mut ends[..1], 0, 200);
    assert!(ends[0].heard.is_empty() && ends[0].keys.is_empty());
}
