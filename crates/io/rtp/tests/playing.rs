//! Sounds that are played to telephones over real sockets, in place of what is patched there. A telephone that is played to
//! is sent a packet each 20 ms, which gives those here their pace.

mod driver;

use driver::srtp::{Ends, keys};
use driver::voice::{Voice, coding};
use driver::{PATIENCE, Phone, Relay, config, id, numbers, receive, rtp};
use std::sync::Arc;
use std::time::Instant;
use sx_codec::{Format, Law, Tone, hears};
use sx_io_rtp::{Country, Recorded, RtpConfig, Sounds, Totals};
use sx_media::{Attendance, Coding, Keys, Latch, MediaCommand, MediaEvent, Opened, PlayOutcome, Playing, PortId};
use sx_rtp::srtp::Suite;
use sx_rtp::{Header, Packet, Ssrc};
use sx_types::Codec;

const PCMU: Format = Format::G711(Law::Mu);
const PCMA: Format = Format::G711(Law::A);
/// What is in the file, and who speaks.
const MUSIC_HZ: f64 = 1_300.0;
const VOICE_HZ: f64 = 600.0;

/// A relay with two telephones, of which the second is played to.
struct Line {
    relay: Relay,
    ports: [PortId; 2],
    opened: [Opened; 2],
    phones: [Phone; 2],
    voices: [Voice; 2],
    tone: Tone,
    ends: Option<Ends>,
    heard: Vec<i16>,
    headers: Vec<Header>,
}

/// Half a second.
fn music() -> Recorded {
    Recorded { sample_hz: 8_000, samples: Tone::new(MUSIC_HZ, -10.0).take(4_000).collect(), is_cut: false }
}

fn coding_of(format: Format) -> Coding {
    let all = [(0, Codec::Pcmu), (8, Codec::Pcma), (9, Codec::G722)].map(|(number, codec)| coding(number, codec));
    all.into_iter().find(|coding| Format::from_codec(coding.codec, coding.clock_hz) == Some(format)).unwrap()
}

impl Line {
    fn new(formats: [Format; 2]) -> Self {
        Self::with(formats, |_| {})
    }

    fn with(formats: [Format; 2], change: impl FnOnce(&mut RtpConfig)) -> Self {
        let mut sounds = Sounds::new(Country::Germany);
        sounds.insert("music.wav".into(), music());
        let mut config = RtpConfig { sounds: Arc::new(sounds), ..config(numbers(4)) };
        change(&mut config);
        let relay = Relay::start(&config);
        let (ports, phones) = ([id(1, 0), id(1, 1)], [Phone::new(), Phone::new()]);
        let opened = ports.map(|port| relay.open(port));
        ports.iter().zip(&phones).for_each(|(port, phone)| relay.set_remote(*port, phone.remote(Latch::Exact)));
        let voices = formats.map(|format| Voice::new(format, coding_of(format).payload_type.0));
        let (heard, headers) = (Vec::new(), Vec::new());
        let tone = Tone::new(VOICE_HZ, -10.0);
        let line = Self { relay, ports, opened, phones, voices, tone, ends: None, heard, headers };
        line.connect();
        line
    }

    /// Patches both to each other.
    fn connect(&self) {
        let [one, other] = &self.voices;
        if one.format == other.format {
            return self.relay.patch_both(self.ports[0], self.ports[1]);
        }
        let [one, other] = [one, other].map(|voice| [coding_of(voice.format)]);
        self.relay.convert((self.ports[0], &one), (self.ports[1], &other));
    }

    fn set_keys(&mut self) {
        let keys = keys(Suite::AesCm128HmacSha1_80, 1);
        self.ends = Some(Ends::of(&keys));
        let (remote, keys) = (self.phones[1].remote(Latch::Exact), Some(Box::new(Keys::Described(keys))));
        self.relay.threads.send(MediaCommand::SetRemote { port: self.ports[1], remote, keys });
    }

    fn play(&self, sound: &str, repeats: bool, number: u16) {
        let to = vec![coding_of(self.voices[1].format), coding(101, Codec::TelephoneEvent)];
        let playing = Some(Box::new(Playing { sound: sound.into(), repeats, to, ptime_ms: 20, number }));
        self.relay.threads.send(MediaCommand::Play { port: self.ports[1], playing });
        self.relay.settle(&self.ports[1..]);
    }

    fn stop(&self) {
        self.relay.threads.send(MediaCommand::Play { port: self.ports[1], playing: None });
        self.relay.settle(&self.ports[1..]);
    }

    /// The first speaks for 20 ms.
    fn speak(&mut self) {
        let samples: Vec<i16> = self.tone.by_ref().take(160).collect();
        let packet = self.voices[0].says(&samples);
        self.phones[0].rtp.send_to(&packet, self.opened[0].rtp).unwrap();
    }

    /// The second hears a packet.
    fn listen(&mut self) {
        let (packet, from) = receive(&self.phones[1].rtp);
        assert_eq!(from, self.opened[1].rtp);
        let packet = self.ends.as_mut().map_or(packet.clone(), |ends| ends.open(packet));
        self.headers.push(self.voices[1].hears(&packet, &mut self.heard));
    }

    /// Of so many packets, the first of which may still be of before: which of the two is heard?
    fn hears(&mut self, packets: usize, speaks: bool) -> [bool; 2] {
        self.heard.clear();
        for _ in 0..packets {
            if speaks {
                self.speak();
            }
            self.listen();
        }
        let samples = &self.heard[800.min(self.heard.len() / 2)..];
        [hears(samples, VOICE_HZ), hears(samples, MUSIC_HZ)]
    }

    /// What was on its way.
    fn hears_the_rest(&mut self) {
        self.phones[1].rtp.set_nonblocking(true).unwrap();
        let mut rest = [0; 2_000];
        while let Ok(len) = self.phones[1].rtp.recv(&mut rest) {
            let packet = rest[..len].to_vec();
            let packet = self.ends.as_mut().map_or(packet.clone(), |ends| ends.open(packet));
            self.headers.push(Packet::parse(&packet).unwrap().header());
        }
        self.phones[1].rtp.set_nonblocking(false).unwrap();
    }

    /// The packets of one source follow each other without a number that is left out or comes twice.
    fn check_numbers(&self) -> usize {
        let source = self.headers[self.headers.len() - 1].ssrc;
        let own: Vec<_> = self.headers.iter().filter(|header| header.ssrc == source).collect();
        for pair in own.windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1), "{pair:?}");
            let ticks = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert!(ticks == 160 || pair[1].marker && (160..80_000).contains(&ticks), "{pair:?}");
        }
        own.len()
    }

    fn await_totals(&self, is_so: impl Fn(&Totals) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.relay.threads.totals()) {
            assert!(begun.elapsed() < PATIENCE, "{:?}", self.relay.threads.totals());
            std::thread::yield_now();
        }
    }
}

const VOICE: [bool; 2] = [true, false];
const MUSIC: [bool; 2] = [false, true];

#[test]
fn music_takes_the_place_of_a_party_and_gives_it_back() {
    let mut line = Line::new([PCMA, PCMA]);
    assert_eq!(line.hears(20, true), VOICE);
    let before = line.headers.len();
    line.play("music.wav", true, 0);
    assert_eq!(line.hears(60, true), MUSIC, "longer than the file, and the other speaks all the while");
    let music: Vec<_> = line.headers[before..].to_vec();
    assert!(music[0].marker && music[1..].iter().all(|header| !header.marker && header.ssrc == Ssrc(7)));
    assert_eq!(line.check_numbers(), 80, "one stream");
    line.await_totals(|totals| totals.plays == 1 && totals.play_refused == 0);
    line.connect();
    line.relay.settle(&line.ports);
    line.hears_the_rest();
    assert_eq!(line.hears(20, true), VOICE);
    assert!(line.headers.iter().all(|header| header.ssrc == Ssrc(7)), "the source that it has heard first");
    assert!(line.check_numbers() >= 100);
    line.await_totals(|totals| totals.plays == 0);
}

#[test]
fn between_codecs_and_under_srtp_the_numbers_go_on() {
    let mut line = Line::new([PCMA, PCMU]);
    line.set_keys();
    assert_eq!(line.hears(20, true), VOICE);
    for number in 1..=2 {
        line.play("music.wav", true, number);
        assert_eq!(line.hears(30, true), MUSIC);
        line.connect();
        line.relay.settle(&line.ports);
        line.hears_the_rest();
        assert_eq!(line.hears(20, true), VOICE);
    }
    assert!(line.check_numbers() >= 120, "all of one source, since all is coded here");
}

/// Numbers go round twice in it, and the telephone opens all of it: it counts the rounds as the exchange does.
#[test]
fn what_is_relayed_under_srtp_goes_on_behind_music_over_rounds_of_numbers() {
    let mut line = Line::new([PCMA, PCMA]);
    line.set_keys();
    for number in 1..=2 {
        line.voices[0].skip_to(u32::from(number) * 65_536 - 36);
        assert_eq!(line.hears(40, true), VOICE);
        line.play("music.wav", true, number);
        assert_eq!(line.hears(20, true), MUSIC);
        line.connect();
        line.relay.settle(&line.ports);
        line.hears_the_rest();
    }
    assert_eq!(line.hears(20, true), VOICE);
    assert!(line.check_numbers() >= 140);
}

#[test]
fn the_end_of_a_sound_is_told_and_what_is_patched_is_heard_again() {
    let mut line = Line::new([PCMU, PCMU]);
    line.play("music.wav", false, 7);
    assert_eq!(line.hears(25, false), MUSIC);
    assert_eq!(line.relay.event(), MediaEvent::Played { port: line.ports[1], number: 7, heard: PlayOutcome::Whole });
    assert_eq!(line.hears(20, true), VOICE);
}

#[test]
fn a_sound_in_wide_band_is_coded_as_the_peer_takes_it() {
    let mut line = Line::new([Format::G722, Format::G722]);
    line.play("tone:special-information", false, 1);
    line.hears(75, false);
    for (place, hz) in [950.0, 1_400.0, 1_800.0].into_iter().enumerate() {
        assert!(hears(&line.heard[place * 2_640 + 400..place * 2_640 + 2_400], hz), "{hz}");
    }
    assert!(matches!(line.relay.event(), MediaEvent::Played { number: 1, heard: PlayOutcome::Whole, .. }));
}

#[test]
fn what_is_said_again_goes_on_and_what_is_stopped_stops() {
    let mut line = Line::new([PCMU, PCMU]);
    line.play("tone:busy", true, 0);
    // Busy in Germany: 480 ms of tone. In the middle of it nothing begins anew.
    line.hears(12, false);
    line.play("tone:busy", true, 0);
    line.heard.clear();
    (0..24).for_each(|_| line.listen());
    assert!(
        hears(&line.heard[..1_800], 425.0) && !hears(&line.heard[2_080..], 425.0),
        "the pause comes when it should"
    );
    assert_eq!(line.headers.iter().filter(|header| header.marker).count(), 1);
    line.stop();
    line.phones[0].rtp.send_to(&rtp(5), line.opened[0].rtp).unwrap();
    let last = std::iter::from_fn(|| Some(receive(&line.phones[1].rtp).0)).find(|packet| packet[12..] == rtp(5)[12..]);
    assert!(last.is_some(), "nothing stands in the way any more");
    line.await_totals(|totals| totals.plays == 0);
}

#[test]
fn what_cannot_be_played_is_told_and_counted() {
    let line = Line::with([PCMU, PCMU], |config| config.players_max = 0);
    line.relay.threads.send(MediaCommand::Play { port: line.ports[1], playing: Some(Box::new(never("tone:dial", 3))) });
    let refused = |number| MediaEvent::Played { port: line.ports[1], number, heard: PlayOutcome::Nothing };
    assert_eq!(line.relay.event(), refused(3));
    let line = Line::new([PCMU, PCMU]);
    let play =
        |playing| line.relay.threads.send(MediaCommand::Play { port: line.ports[1], playing: Some(Box::new(playing)) });
    play(never("nowhere.wav", 4));
    assert_eq!(line.relay.event(), refused(4));
    play(Playing { to: vec![coding(18, Codec::G729)], ..never("music.wav", 5) });
    assert_eq!(line.relay.event(), refused(5));
    line.await_totals(|totals| totals.play_refused == 2 && totals.plays == 0);
    let codings = vec![coding(0, Codec::Pcmu)];
    let attendance = Attendance {
        room: "8000".into(),
        from: codings.clone(),
        to: codings,
        ptime_ms: 20,
        muted: false,
        keys_in_band: false,
        sounds: Default::default(),
    };
    let attendance = Some(Box::new(attendance));
    line.relay.threads.send(MediaCommand::Attend { port: line.ports[1], attendance });
    play(never("music.wav", 6));
    assert_eq!(line.relay.event(), refused(6), "who is in a room hears the room");
    line.relay.set_remote(line.ports[0], line.phones[0].remote(Latch::Exact));
}

fn never(sound: &str, number: u16) -> Playing {
    Playing { sound: sound.into(), repeats: true, to: vec![coding(0, Codec::Pcmu)], ptime_ms: 20, number }
}

#[test]
fn a_peer_that_does_not_listen_is_sent_nothing_and_a_port_that_closes_ends_its_sound() {
    let mut line = Line::new([PCMU, PCMU]);
    line.play("tone:dial", true, 0);
    line.hears(5, false);
    let held = sx_media::Remote { receives: false, ..line.phones[1].remote(Latch::Exact) };
    line.relay.set_remote(line.ports[1], held);
    line.relay.settle(&line.ports[1..]);
    line.relay.set_remote(line.ports[1], line.phones[1].remote(Latch::Exact));
    line.hears(20, false);
    line.check_numbers();
    line.relay.close(line.ports[1]);
    line.await_totals(|totals| totals.plays == 0);
}

#[test]
fn other_sounds_are_played_once_they_are_there() {
    let mut line = Line::new([PCMU, PCMU]);
    let mut sounds = Sounds::new(Country::France);
    sounds.insert("other.wav".into(), music());
    line.relay.threads.set_sounds(Arc::new(sounds));
    line.play("other.wav", true, 0);
    assert_eq!(line.hears(20, false), MUSIC);
}

#[test]
fn no_key_is_put_into_a_sound() {
    let mut line = Line::new([PCMU, PCMA]);
    let press = |line: &Line| {
        line.relay.threads.send(MediaCommand::Press { port: line.ports[0], key: '5', duration_ms: 5_000 });
        line.relay.settle(&line.ports[..1]);
    };
    press(&line);
    line.listen();
    // The key that sounds gives way, and one that is pressed meanwhile is not heard.
    line.play("music.wav", true, 1);
    press(&line);
    assert_eq!(line.hears(50, false), MUSIC);
    assert!(line.check_numbers() > 45);
    line.await_totals(|totals| totals.keys_dropped == 2);
}
