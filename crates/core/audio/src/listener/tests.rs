//! What is heard, and where it is put.

use super::*;
use sx_codec::Encoder;
use sx_rtp::Ssrc;
use sx_types::Codec;

const BEGAN: Time = Time::from_secs(1_800_000_000);
const HZ: u32 = 8_000;

/// A sender of a tone, 20 ms a packet.
struct Sender {
    coding: Coding,
    encoder: Encoder,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    phase: usize,
}

impl Sender {
    fn new(codec: Codec, ssrc: u32) -> Self {
        let coding = Coding::new(PayloadType(96), codec);
        let encoder = Encoder::new(format_of(&coding).expect("a codec of ours"));
        Self { coding, encoder, sequence: 65_530, timestamp: u32::MAX - 400, ssrc, phase: 0 }
    }

    /// The next packet.
    fn packet(&mut self) -> Vec<u8> {
        let format = self.encoder.format();
        let samples = format.frame_samples(Duration::from_millis(20));
        let step = std::f64::consts::TAU * 400.0 / f64::from(format.sample_hz());
        let sound: Vec<i16> = (0..samples).map(|n| ((step * (self.phase + n) as f64).sin() * 8_000.0) as i16).collect();
        self.phase += samples;
        let mut payload = Vec::new();
        self.encoder.encode(&sound, &mut payload).expect("20 ms");
        let (payload_type, ssrc) = (self.coding.payload_type, Ssrc(self.ssrc));
        let header = Header { marker: false, payload_type, sequence: self.sequence, timestamp: self.timestamp, ssrc };
        let mut packet = Vec::new();
        header.write(&payload, &mut packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(format.rtp_ticks(samples) as u32);
        packet
    }
}

fn at(millis: u64) -> Time {
    BEGAN + Duration::from_millis(millis)
}

/// The line of a recording: what was handed out in its places, and where there was something.
#[derive(Default)]
struct Line {
    samples: Vec<i16>,
    is_there: Vec<bool>,
}

impl Line {
    fn put(&mut self, place: u64, samples: &[i16]) {
        let place = place as usize;
        assert!(place >= self.is_there.len(), "nothing is handed out twice");
        self.samples.resize(place, 0);
        self.is_there.resize(place, false);
        self.samples.extend_from_slice(samples);
        self.is_there.resize(place + samples.len(), true);
    }

    /// Where there is something, in milliseconds.
    fn heard(&self) -> Vec<(usize, usize)> {
        let mut heard = Vec::new();
        let mut place = 0;
        for run in self.is_there.chunk_by(|a, b| a == b) {
            if run[0] {
                heard.push((place / 8, (place + run.len()) / 8));
            }
            place += run.len();
        }
        heard
    }
}

/// Hears packets that come at these times, in milliseconds, and takes what there is each 40 ms.
fn hear(listener: &mut Listener, packets: &[(u64, Vec<u8>)]) -> Line {
    let mut line = Line::default();
    let end = packets.iter().map(|(at, _)| *at).max().unwrap_or_default();
    for tick in 0..=end / 40 + 1 {
        for (millis, packet) in packets.iter().filter(|(millis, _)| millis / 40 == tick) {
            listener.handle_packet(at(*millis), packet);
        }
        listener.take(at(tick * 40 + 40), |place, samples| line.put(place, samples));
    }
    listener.flush(|place, samples| line.put(place, samples));
    line
}

/// Is a tone of 400 Hz in these milliseconds?
fn sounds(line: &Line, from: usize, to: usize) -> bool {
    let samples = &line.samples[from * 8..to * 8];
    let (mut sine, mut cosine, mut all) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let angle = std::f64::consts::TAU * 400.0 / f64::from(HZ) * n as f64;
        let sample = f64::from(*sample);
        sine += sample * angle.sin();
        cosine += sample * angle.cos();
        all += sample * sample;
    }
    let tone = (sine * sine + cosine * cosine) * 2.0 / samples.len() as f64;
    all > 1e6 && tone > all * 0.9
}

fn check_whole(codec: Codec) {
    let mut sender = Sender::new(codec, 1);
    let mut listener = Listener::new(&[sender.coding], HZ, BEGAN);
    let packets: Vec<_> = (0..100).map(|n| (500 + n * 20, sender.packet())).collect();
    let line = hear(&mut listener, &packets);
    let heard = line.heard();
    assert!(heard.len() == 1 && heard[0].0 == 500 && heard[0].1.abs_diff(2_500) < 5, "{codec:?}: {heard:?}");
    assert!(sounds(&line, 600, 2_400), "{codec:?}");
    assert_eq!(listener.heard(), ListenerStats { decoded: 100, ..ListenerStats::default() });
}

#[test]
fn what_comes_stands_where_it_came() {
    check_whole(Codec::Pcmu);
    check_whole(Codec::Pcma);
    check_whole(Codec::G722);
    #[cfg(feature = "opus")]
    check_whole(Codec::Opus);
}

#[test]
fn jitter_and_another_order_move_nothing() {
    let mut sender = Sender::new(Codec::Pcmu, 1);
    let mut listener = Listener::new(&[sender.coding], HZ, BEGAN);
    let mut packets: Vec<_> = (0..50).map(|n| (100 + n * 20 + n * 37 % 90, sender.packet())).collect();
    packets.sort_by_key(|(at, _)| *at);
    let line = hear(&mut listener, &packets);
    assert_eq!(line.heard(), [(100, 1_100)]);
    assert!(sounds(&line, 120, 1_080));
    assert_eq!(listener.heard().left_out, 0);
}

#[test]
fn little_that_is_lost_is_made_up_and_more_is_left_open() {
    let mut sender = Sender::new(Codec::Pcmu, 1);
    let mut listener = Listener::new(&[sender.coding], HZ, BEGAN);
    let lost = |n: &u64| *n == 10 || (20..30).contains(n);
    let packets: Vec<_> = (0..50).map(|n| (n, (n * 20, sender.packet()))).collect();
    let packets: Vec<_> = packets.into_iter().filter(|(n, _)| !lost(n)).map(|(_, packet)| packet).collect();
    let line = hear(&mut listener, &packets);
    assert_eq!(line.heard(), [(0, 400), (600, 1_000)]);
    assert!(sounds(&line, 190, 230), "something stands in the place of the tenth");
}

#[test]
fn another_source_and_another_codec_go_on_where_they_are_heard() {
    let mut first = Sender::new(Codec::Pcmu, 1);
    let mut second = Sender::new(Codec::Pcma, 2);
    second.coding.payload_type = PayloadType(8);
    let mut listener = Listener::new(&[first.coding, second.coding], HZ, BEGAN);
    let mut packets: Vec<_> = (0..20).map(|n| (n * 20, first.packet())).collect();
    packets.extend((0..20).map(|n| (1_000 + n * 20, second.packet())));
    let line = hear(&mut listener, &packets);
    // The first packet of a stranger is believed when another follows.
    assert_eq!(line.heard(), [(0, 400), (1_020, 1_400)]);
    assert_eq!(listener.heard(), ListenerStats { decoded: 39, undecodable: 0, left_out: 1 });
}

#[test]
fn a_sender_whose_timestamps_stand_still_in_a_pause_comes_back_into_step() {
    let mut sender = Sender::new(Codec::Pcmu, 1);
    let mut listener = Listener::new(&[sender.coding], HZ, BEGAN);
    let mut packets: Vec<_> = (0..20).map(|n| (n * 20, sender.packet())).collect();
    packets.extend((0..100).map(|n| (2_400 + n * 20, sender.packet())));
    let heard = hear(&mut listener, &packets).heard();
    // Half a second stands too early, until it is believed that there was a pause.
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[1].0.abs_diff(2_880) <= 20 && heard[1].1.abs_diff(4_400) <= 20, "{heard:?}");
}

#[test]
fn what_is_not_sound_and_what_floods_is_left_out() {
    let mut sender = Sender::new(Codec::Pcmu, 1);
    let events = Coding::new(PayloadType(101), Codec::TelephoneEvent);
    let mut listener = Listener::new(&[sender.coding, events], HZ, BEGAN);
    let mut event = sender.packet();
    event[1] = 101;
    listener.handle_packet(at(0), &event);
    listener.handle_packet(at(0), b"nothing");
    assert!(listener.waiting.is_empty());
    for _ in 0..10_000 {
        listener.handle_packet(at(0), &sender.packet());
    }
    assert_eq!(listener.waiting.len(), WAITING_MAX);
    assert_eq!(listener.heard().left_out, 10_000 - WAITING_MAX as u64);
}
