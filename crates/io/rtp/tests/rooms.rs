//! Rooms over real sockets. A member is sent a packet each 20 ms, which gives those here their pace.

mod driver;

use driver::srtp::{Ends, keys};
use driver::voice::{Voice, coding};
use driver::{Phone, Relay, config, id, numbers, receive};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Instant;
use sx_audio::{Country, Recorded, Sounds};
use sx_codec::{Format, L16Rate, Law, Tone, hears};
use sx_io_rtp::{RtpConfig, Totals};
use sx_media::{Attendance, Coding, Keys, Latch, MediaCommand, MediaEvent, Opened, PortId, Remote, StreamKeys};
use sx_rtp::srtp::Suite;
use sx_rtp::{Header, Ssrc};
use sx_types::{Codec, RoomSounds};

/// Somebody with a telephone.
struct Member {
    port: PortId,
    opened: Opened,
    phone: Phone,
    voice: Voice,
    hz: f64,
    tone: Tone,
    ends: Option<Ends>,
    heard: Vec<i16>,
    headers: Vec<Header>,
}

/// A relay and those who are to be in its rooms.
struct Hall {
    relay: Relay,
    members: Vec<Member>,
}

const PCMU: Format = Format::G711(Law::Mu);
const PCMA: Format = Format::G711(Law::A);
const WIDE: Format = Format::G722;

fn coding_of(format: Format) -> Coding {
    let wide = Coding { clock_hz: 16_000, ..coding(96, Codec::L16) };
    let rest = [(0, Codec::Pcmu), (8, Codec::Pcma), (9, Codec::G722), (111, Codec::Opus)];
    let mut all = rest.into_iter().map(|(number, codec)| coding(number, codec)).chain([wide]);
    all.find(|coding| Format::from_codec(coding.codec, coding.clock_hz) == Some(format)).unwrap()
}

/// What is at 16 kHz.
fn widest() -> Format {
    #[cfg(feature = "opus")]
    return Format::Opus(sx_codec::OpusRate::Hz16000);
    #[cfg(not(feature = "opus"))]
    Format::L16(L16Rate::Hz16000)
}

impl Hall {
    fn new(formats: &[Format]) -> Self {
        Self::with(formats, |_| {})
    }

    /// Ports for telephones of these formats, none of which takes part in anything yet.
    fn with(formats: &[Format], change: impl FnOnce(&mut RtpConfig)) -> Self {
        let mut config = config(numbers(2 * formats.len() as u16));
        change(&mut config);
        let relay = Relay::start(&config);
        let members = formats.iter().zip(1..).map(|(format, number)| {
            let (port, phone) = (id(number, 0), Phone::new());
            let opened = relay.open(port);
            relay.set_remote(port, phone.remote(Latch::Exact));
            let hz = 300.0 + 170.0 * number as f64;
            let voice = Voice::new(*format, coding_of(*format).payload_type.0);
            let tone = Tone::new(hz, -20.0);
            Member { port, opened, phone, voice, hz, tone, ends: None, heard: Vec::new(), headers: Vec::new() }
        });
        let members = members.collect();
        Self { relay, members }
    }

    fn attend(&self, place: usize, room: &str, muted: bool) {
        let Member { port, voice, .. } = &self.members[place];
        let codings = vec![coding_of(voice.format), coding(101, Codec::TelephoneEvent)];
        let attendance = Attendance {
            room: room.into(),
            from: codings.clone(),
            to: codings,
            ptime_ms: 20,
            muted,
            keys_in_band: false,
            sounds: Default::default(),
        };
        self.relay.threads.send(MediaCommand::Attend { port: *port, attendance: Some(Box::new(attendance)) });
    }

    fn attend_told(&self, place: usize, sounds: &RoomSounds) {
        let Member { port, voice, .. } = &self.members[place];
        let codings = vec![coding_of(voice.format)];
        let attendance = Attendance {
            room: "8000".into(),
            from: codings.clone(),
            to: codings,
            ptime_ms: 20,
            keys_in_band: false,
            muted: false,
            sounds: sounds.clone(),
        };
        self.relay.threads.send(MediaCommand::Attend { port: *port, attendance: Some(Box::new(attendance)) });
    }

    /// Which of the prompts each of these hears in the next 1.5 s, in which nobody speaks.
    fn told(&mut self, present: &[usize]) -> Vec<Vec<f64>> {
        self.members.iter_mut().for_each(|member| member.heard.clear());
        self.talk(75, &[], present);
        let told = |place: &usize| {
            let heard = &self.members[*place].heard;
            let is_told = |hz: &f64| heard.chunks(1_600).any(|part| hears(part, *hz));
            [1_800.0, 2_000.0, 2_200.0].into_iter().filter(is_told).collect()
        };
        present.iter().map(told).collect()
    }

    fn attend_all(&self) {
        (0..self.members.len()).for_each(|place| self.attend(place, "8000", false));
    }

    fn leave(&self, place: usize) {
        self.relay.threads.send(MediaCommand::Attend { port: self.members[place].port, attendance: None });
    }

    fn set_keys(&mut self, place: usize, keys: &StreamKeys) {
        let Member { port, phone, ends, .. } = &mut self.members[place];
        *ends = Some(Ends::of(keys));
        let keys = Some(Box::new(Keys::Described(keys.clone())));
        self.relay.threads.send(MediaCommand::SetRemote { port: *port, remote: phone.remote(Latch::Exact), keys });
    }

    /// So many times 20 ms, in which some speak, and those who are present hear.
    fn talk(&mut self, rounds: usize, speaking: &[usize], present: &[usize]) {
        for _ in 0..rounds {
            for place in speaking {
                self.members[*place].speak();
            }
            for place in present {
                self.members[*place].listen();
            }
        }
    }

    /// Forgets what was heard, has some talk for 0.7 s, and checks that those who are present hear these and nobody else.
    fn check(&mut self, speaking: &[usize], present: &[usize], heard: &[usize]) {
        self.members.iter_mut().for_each(|member| member.heard.clear());
        self.talk(35, speaking, present);
        for place in present {
            let samples = &self.members[*place].heard[2_400..];
            for (other, Member { hz, .. }) in self.members.iter().enumerate() {
                let expected = other != *place && heard.contains(&other);
                assert_eq!(hears(samples, *hz), expected, "{place} hears {other}");
            }
        }
    }

    /// What is counted, as soon as it is as it should be.
    fn await_totals(&self, is_so: impl Fn(&Totals) -> bool) -> Totals {
        let begun = Instant::now();
        loop {
            let totals = self.relay.threads.totals();
            if is_so(&totals) {
                return totals;
            }
            assert!(begun.elapsed() < driver::PATIENCE, "{totals:?}");
            std::thread::yield_now();
        }
    }
}

impl Member {
    fn speak(&mut self) {
        let said: Vec<i16> = self.tone.by_ref().take(160).collect();
        let packet = self.voice.says(&said);
        let packet = self.ends.as_mut().map_or(packet.clone(), |ends| ends.protect(&packet));
        self.phone.rtp.send_to(&packet, self.opened.rtp).unwrap();
    }

    fn listen(&mut self) {
        let (packet, from) = receive(&self.phone.rtp);
        assert_eq!(from, self.opened.rtp);
        let packet = self.ends.as_mut().map_or(packet.clone(), |ends| ends.open(packet));
        self.headers.push(self.voice.hears(&packet, &mut self.heard));
    }

    /// Nothing waits for it.
    fn is_sent_nothing(&self) -> bool {
        self.phone.rtp.set_nonblocking(true).unwrap();
        let received = self.phone.rtp.recv_from(&mut [0; 2_048]);
        self.phone.rtp.set_nonblocking(false).unwrap();
        received.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// What it was sent is one stream.
    fn check_stream(&self) {
        let pairs = || self.headers.windows(2);
        assert!(pairs().all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
        assert!(pairs().all(|pair| pair[1].ssrc == pair[0].ssrc && pair[1].ssrc != Ssrc(7)));
        assert!(self.headers[0].marker);
    }
}

#[test]
fn three_who_share_no_codec_hear_each_other_and_not_themselves() {
    let mut hall = Hall::new(&[PCMU, WIDE, Format::L16(L16Rate::Hz16000)]);
    hall.attend_all();
    hall.check(&[0, 1, 2], &[0, 1, 2], &[0, 1, 2]);
    hall.members.iter().for_each(Member::check_stream);
    let totals = hall.relay.threads.totals();
    assert_eq!((totals.rooms, totals.room_members, totals.room_refused), (1, 3, 0));
    let stats = hall.relay.close(hall.members[0].port);
    assert_eq!((stats.packets_received, stats.decode_errors), (35, 0));
    assert!(stats.packets_sent >= 35 && stats.packets_transcoded >= 10, "{stats:?}");
}

#[test]
fn nobody_hears_who_is_muted_and_all_do_when_it_is_so_no_more() {
    let mut hall = Hall::new(&[PCMU, WIDE, PCMA]);
    hall.attend_all();
    hall.attend(1, "8000", true);
    hall.check(&[0, 1], &[0, 1, 2], &[0]);
    hall.attend(1, "8000", false);
    hall.check(&[0, 1], &[0, 1, 2], &[0, 1]);
    hall.members.iter().for_each(Member::check_stream);
}

#[test]
fn who_leaves_is_heard_no_more_and_the_room_goes_with_the_last() {
    let mut hall = Hall::new(&[PCMU, WIDE, PCMA, PCMU]);
    hall.attend_all();
    hall.check(&[0, 1, 2, 3], &[0, 1, 2, 3], &[0, 1, 2, 3]);
    // By leaving, by going elsewhere, and by closing.
    hall.leave(0);
    hall.await_totals(|totals| totals.room_members == 3);
    let stats = hall.relay.count(hall.members[0].port);
    assert!(stats.packets_transcoded >= 10, "what was counted in the room stays with the port: {stats:?}");
    hall.check(&[0, 1, 2], &[1, 2, 3], &[1, 2]);
    hall.relay.patch(hall.members[1].port, Some(hall.members[0].port));
    hall.await_totals(|totals| totals.room_members == 2);
    hall.check(&[1, 2], &[2, 3], &[2]);
    for place in [2, 3] {
        hall.relay.close(hall.members[place].port);
    }
    let totals = hall.await_totals(|totals| totals.rooms == 0);
    assert_eq!(totals.room_members, 0);
}

/// Each kind of news has a tone of its own.
#[test]
fn a_room_tells_who_is_alone_who_has_come_and_who_has_gone() {
    let mut hall = Hall::with(&[PCMU, WIDE], |config| config.sounds = prompts());
    let sounds = RoomSounds { joined: name("joined.wav"), left: name("left.wav"), alone: name("alone.wav") };
    hall.attend_told(0, &sounds);
    assert_eq!(hall.told(&[0]), [vec![2_200.0]]);
    hall.attend_told(1, &sounds);
    hall.await_totals(|totals| totals.room_members == 2);
    assert_eq!(hall.told(&[0, 1]), [vec![1_800.0], vec![1_800.0]]);
    // Who only changes how it takes part is no news.
    hall.attend_told(1, &sounds);
    assert!(hall.told(&[0, 1]).concat().is_empty());
    hall.leave(1);
    hall.await_totals(|totals| totals.room_members == 1);
    assert_eq!(hall.told(&[0]), [vec![2_000.0, 2_200.0]]);
    assert_eq!(hall.relay.threads.totals().play_refused, 0);
}

#[test]
fn a_sound_that_is_not_there_is_counted_and_nothing_is_heard() {
    let mut hall = Hall::new(&[PCMU]);
    hall.attend_told(0, &RoomSounds { alone: name("alone.wav"), ..RoomSounds::default() });
    hall.await_totals(|totals| totals.play_refused == 1);
    assert!(hall.told(&[0]).concat().is_empty());
}

fn name(name: &str) -> Option<Arc<str>> {
    Some(name.into())
}

/// 0.6 s each.
fn prompts() -> Arc<Sounds> {
    let mut sounds = Sounds::new(Country::Germany);
    for (name, hz) in [("joined.wav", 1_800.0), ("left.wav", 2_000.0), ("alone.wav", 2_200.0)] {
        let samples = Tone::new(hz, -20.0).take(4_800).collect();
        sounds.insert(name.into(), Recorded { sample_hz: 8_000, samples, is_cut: false });
    }
    Arc::new(sounds)
}

#[test]
fn two_rooms_do_not_hear_each_other_and_who_changes_is_in_the_other() {
    let mut hall = Hall::new(&[PCMU, PCMA, PCMU, PCMA]);
    let rooms = ["8000", "8000", "8001", "8001"];
    (0..4).for_each(|place| hall.attend(place, rooms[place], false));
    hall.talk(20, &[0, 1, 2, 3], &[0, 1, 2, 3]);
    hall.members.iter_mut().for_each(|member| member.heard.clear());
    hall.talk(30, &[0, 1, 2, 3], &[0, 1, 2, 3]);
    for (place, other) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
        let heard = hall.members.iter().map(|member| hears(&hall.members[place].heard, member.hz));
        assert!(heard.enumerate().all(|(index, heard)| heard == (index == other)), "{place}");
    }
    assert_eq!(hall.relay.threads.totals().rooms, 2);
    hall.attend(2, "8000", false);
    hall.leave(3);
    hall.await_totals(|totals| totals.rooms == 1 && totals.room_members == 3);
    hall.check(&[0, 1, 2], &[0, 1, 2], &[0, 1, 2]);
    hall.members[2].check_stream();
}

/// Keys let no sequence number come again: what a member is sent goes on with its numbers when it comes back.
#[test]
fn a_member_with_srtp_hears_and_is_heard_also_when_it_comes_back() {
    for round in 0..4 {
        let mut hall = Hall::new(&[PCMU, WIDE]);
        let keys = keys(Suite::ALL[round % Suite::ALL.len()], 1);
        hall.set_keys(0, &keys);
        hall.attend_all();
        hall.talk(25, &[0, 1], &[0, 1]);
        assert!(hears(&hall.members[1].heard[1_600..], hall.members[0].hz));
        assert!(hears(&hall.members[0].heard[1_600..], hall.members[1].hz));
        hall.leave(0);
        hall.await_totals(|totals| totals.room_members == 1);
        hall.attend(0, "8000", false);
        hall.await_totals(|totals| totals.room_members == 2);
        hall.talk(3, &[0, 1], &[0, 1]);
        hall.members[0].check_stream();
        assert_eq!(hall.relay.threads.totals().send_errors, 0);
    }
}

#[test]
fn twelve_members_of_whom_some_speak() {
    let formats = [PCMU, WIDE, PCMA, widest()].repeat(3);
    let mut hall = Hall::new(&formats);
    hall.attend_all();
    let all: Vec<_> = (0..12).collect();
    hall.check(&[1, 4, 10], &all, &[1, 4, 10]);
    hall.members.iter().for_each(Member::check_stream);
    let totals = hall.relay.threads.totals();
    assert_eq!((totals.room_members, totals.decode_errors, totals.send_errors), (12, 0, 0));
}

#[test]
fn one_member_beyond_the_limit_hears_nothing_and_so_does_one_room() {
    let mut hall = Hall::with(&[PCMU, PCMA, PCMU, PCMA], |config| {
        (config.rooms_max, config.room_members_max) = (1, 2);
    });
    hall.attend(0, "8000", false);
    hall.attend(1, "8000", false);
    hall.await_totals(|totals| totals.room_members == 2);
    hall.attend(2, "8000", false);
    hall.attend(3, "8001", false);
    hall.await_totals(|totals| totals.room_refused == 2);
    hall.talk(10, &[0, 1, 2, 3], &[0, 1]);
    assert!(hall.members[2].is_sent_nothing() && hall.members[3].is_sent_nothing());
    assert_eq!(hall.relay.threads.totals().rooms, 1);
    // There is a place again for who asks again.
    hall.leave(0);
    hall.await_totals(|totals| totals.room_members == 1);
    hall.attend(2, "8000", false);
    hall.check(&[1, 2], &[1, 2], &[1, 2]);
    hall.leave(1);
    hall.leave(2);
    hall.await_totals(|totals| totals.rooms == 0);
    hall.attend(3, "8001", false);
    hall.talk(2, &[3], &[3]);
}

#[test]
fn what_is_sent_goes_on_from_a_conversion_to_a_room() {
    let mut hall = Hall::new(&[PCMU, WIDE]);
    let [one, two] =
        [0, 1].map(|place: usize| (hall.members[place].port, vec![coding_of(hall.members[place].voice.format)]));
    hall.relay.convert((one.0, &one.1), (two.0, &two.1));
    hall.relay.settle(&[one.0, two.0]);
    for _ in 0..5 {
        hall.members[1].speak();
        hall.members[0].listen();
    }
    hall.attend_all();
    hall.talk(5, &[], &[0]);
    hall.members[0].check_stream();
}

#[test]
fn what_comes_too_late_to_be_mixed_is_felt_in_the_score() {
    let mut hall = Hall::new(&[PCMA, PCMA]);
    let remote = Remote { codec: Some(Codec::Pcma), ..hall.members[0].phone.remote(Latch::Exact) };
    hall.relay.set_remote(hall.members[0].port, remote);
    hall.attend_all();
    let mut waiting = Vec::new();
    for round in 0..120 {
        let member = &mut hall.members[0];
        // One of ten comes 300 ms after its turn.
        waiting.push((if round % 10 == 5 { round + 15 } else { round }, member.voice.says(&[0; 160])));
        for (_, packet) in waiting.extract_if(.., |(due, _)| *due <= round) {
            member.phone.rtp.send_to(&packet, member.opened.rtp).unwrap();
        }
        hall.talk(1, &[], &[1]);
    }
    let stats = hall.relay.close(hall.members[0].port);
    assert!((60..130).contains(&stats.loss_max_permille), "{stats:?}");
    assert!(stats.mos_last_x100 > 0 && stats.mos_last_x100 < 380, "{stats:?}");
}

#[test]
fn a_flood_displaces_its_own_older_packets_alone() {
    let mut hall = Hall::new(&[PCMU, PCMA]);
    hall.attend_all();
    hall.talk(20, &[0, 1], &[0, 1]);
    // As many as come in eight seconds, at once.
    (0..400).for_each(|_| hall.members[0].speak());
    hall.await_totals(|totals| totals.room_packets_dropped > 0);
    hall.check(&[1], &[0], &[1]);
}

#[test]
fn who_is_on_hold_misses_no_number() {
    let mut hall = Hall::new(&[PCMU, PCMA]);
    hall.attend_all();
    hall.talk(5, &[0, 1], &[0, 1]);
    let Member { port, phone, .. } = &hall.members[0];
    let remote = phone.remote(Latch::Exact);
    hall.relay.set_remote(*port, Remote { receives: false, ..remote });
    hall.relay.settle(&[*port]);
    let port = *port;
    // What was on its way before.
    hall.talk(20, &[0, 1], &[1]);
    hall.relay.set_remote(port, remote);
    hall.relay.settle(&[port]);
    hall.talk(5, &[0, 1], &[0, 1]);
    hall.members[0].check_stream();
}

/// A call that goes on in this process again, or in another one, opens them at once.
#[test]
fn the_numbers_of_a_member_are_free_as_soon_as_its_end_is_told() {
    let mut hall = Hall::new(&[PCMU, PCMA]);
    for _ in 0..8 {
        hall.attend_all();
        hall.talk(3, &[0, 1], &[0, 1]);
        let Member { port, opened, phone, .. } = &hall.members[0];
        hall.relay.close(*port);
        let again = hall.relay.open_at(*port, false, Some(opened.rtp.port()));
        assert_eq!(again, MediaEvent::Opened(*opened));
        hall.relay.set_remote(*port, phone.remote(Latch::Exact));
    }
}
