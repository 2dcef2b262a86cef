//! What peers of ports say is heard for recordings, over real sockets. Nothing sleeps: whoever sends waits until the recording has
//! heard it.

mod driver;

use driver::srtp::{Ends, keys};
use driver::voice::{Voice, coding};
use driver::{PATIENCE, Phone, Relay, config, id, numbers, receive};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use sx_codec::{Format, Law, Tone, hears};
use sx_io_rtp::{RecordingSink, Recordings};
use sx_media::{
    Attendance, Coding, Keys, Latch, MediaCommand, MediaEvent, Opened, PortId, RecordingCommand, RecordingId,
    RecordingSide, RecordingTerms, StreamKeys, Tap,
};
use sx_rtp::srtp::Suite;
use sx_types::{CallId, Codec, Consent, TraceId};

/// What a recording is told.
enum Told {
    Heard(RecordingSide, u64, Vec<i16>),
    Paused,
    Resumed,
    Ended,
}

/// Makes recordings out of nothing but what the test wants to know.
struct Studio {
    told: Mutex<Sender<Told>>,
    is_full: bool,
}

struct Reel(Sender<Told>);

impl Recordings for Studio {
    fn begin(&self, _: RecordingId, _: &RecordingTerms) -> Option<Box<dyn RecordingSink>> {
        let told = self.told.lock().unwrap().clone();
        (!self.is_full).then(|| Box::new(Reel(told)) as Box<dyn RecordingSink>)
    }
}

impl RecordingSink for Reel {
    fn sample_hz(&self) -> u32 {
        8_000
    }

    fn push(&mut self, side: RecordingSide, at: u64, samples: &[i16]) {
        let _ = self.0.send(Told::Heard(side, at, samples.to_vec()));
    }

    fn pause(&mut self, _: u64) {
        let _ = self.0.send(Told::Paused);
    }

    fn resume(&mut self, _: u64) {
        let _ = self.0.send(Told::Resumed);
    }
}

impl Drop for Reel {
    fn drop(&mut self) {
        let _ = self.0.send(Told::Ended);
    }
}

struct Party {
    port: PortId,
    opened: Opened,
    phone: Phone,
    voice: Voice,
    tone: Tone,
    hz: f64,
    ends: Option<Ends>,
}

/// Two who talk, and what is recorded of them.
struct Booth {
    relay: Relay,
    parties: [Party; 2],
    told: Receiver<Told>,
    /// What was heard of each, in its place.
    lines: [Vec<i16>; 2],
    /// Samples of each that were handed on.
    heard: [usize; 2],
}

const SIDES: [RecordingSide; 2] = [RecordingSide::Caller, RecordingSide::Called];
const PCMU: (Format, u8, Codec) = (Format::G711(Law::Mu), 0, Codec::Pcmu);
const G722: (Format, u8, Codec) = (Format::G722, 9, Codec::G722);
/// 20 ms.
const FRAME: usize = 160;
/// What is sent before the recording is waited for: an inbox has room for it.
const ROUND: u32 = 20;

fn recording() -> RecordingId {
    RecordingId(id(1, 0).0)
}

fn terms() -> RecordingTerms {
    let call = CallId::new(1, 2);
    let (caller, dialled) = ("alice".into(), "bob".into());
    RecordingTerms {
        call,
        trace: TraceId::from(call),
        number: 0,
        consent: Consent::Law,
        caller,
        dialled,
        signalled_as: None,
    }
}

impl Booth {
    fn new(formats: [(Format, u8, Codec); 2]) -> Self {
        Self::with(formats, false)
    }

    fn with(formats: [(Format, u8, Codec); 2], is_full: bool) -> Self {
        let (told, heard) = channel();
        let studio = Arc::new(Studio { told: Mutex::new(told), is_full });
        let relay = Relay::start_recording(&config(numbers(4)), Some(studio));
        let mut place = 0;
        let parties = formats.map(|(format, number, _)| {
            let (port, phone, hz) = (id(1, place), Phone::new(), 500.0 + 400.0 * place as f64);
            place += 1;
            let opened = relay.open(port);
            relay.set_remote(port, phone.remote(Latch::Exact));
            Party { port, opened, phone, voice: Voice::new(format, number), tone: Tone::new(hz, -20.0), hz, ends: None }
        });
        Self { relay, parties, told: heard, lines: [Vec::new(), Vec::new()], heard: [0; 2] }
    }

    fn command(&self, command: RecordingCommand) {
        self.relay.threads.send(MediaCommand::Record { recording: recording(), command });
    }

    fn begin(&self) {
        self.command(RecordingCommand::Begin(Box::new(terms())));
    }

    fn tap(&self, party: usize, from: &[Coding]) {
        let tap = Tap { recording: recording(), side: SIDES[party], from: from.to_vec() };
        let port = self.parties[party].port;
        self.relay.threads.send(MediaCommand::Tap { port, tap: Some(Box::new(tap)) });
    }

    fn tap_both(&self, codecs: [(Format, u8, Codec); 2]) {
        for (party, (_, number, codec)) in codecs.into_iter().enumerate() {
            self.tap(party, &[coding(number, codec), coding(101, Codec::TelephoneEvent)]);
        }
        self.settle();
    }

    fn settle(&self) {
        self.relay.settle(&[self.parties[0].port]);
    }

    fn set_keys(&mut self, party: usize, keys: &StreamKeys) {
        let Party { port, phone, ends, .. } = &mut self.parties[party];
        *ends = Some(Ends::of(keys));
        let keys = Some(Box::new(Keys::Described(keys.clone())));
        self.relay.threads.send(MediaCommand::SetRemote { port: *port, remote: phone.remote(Latch::Exact), keys });
    }

    /// Both say so many packets of their tones; those for which `loses` says so do not arrive.
    fn talk(&mut self, packets: u32, loses: impl Fn(u32) -> bool) {
        for party in &mut self.parties {
            let to = party.opened.rtp;
            for number in 0..packets {
                let samples: Vec<i16> = party.tone.by_ref().take(FRAME).collect();
                let packet = party.voice.says(&samples);
                let packet = match &mut party.ends {
                    Some(ends) => ends.protect(&packet),
                    None => packet,
                };
                if !loses(number) {
                    party.phone.rtp.send_to(&packet, to).unwrap();
                }
            }
        }
    }

    /// Notes what the recording is told, until `enough`.
    fn listen(&mut self, enough: impl Fn(&Self, &Told) -> bool) {
        loop {
            let told = self.told.recv_timeout(PATIENCE).expect("the recording is told something");
            if let Told::Heard(side, at, samples) = &told {
                let (line, at) = (&mut self.lines[*side as usize], *at as usize);
                assert!(at >= line.len(), "nothing stands twice in one place");
                line.resize(at, 0);
                line.extend_from_slice(samples);
                self.heard[*side as usize] += samples.len();
            }
            if enough(self, &told) {
                return;
            }
        }
    }

    /// So many rounds of talk, each of which is heard but for what is lost behind its last packet.
    fn rounds(&mut self, rounds: u32, loses: impl Fn(u32) -> bool) {
        for round in 1..=rounds {
            self.talk(ROUND, &loses);
            let least = (round * ROUND - 1) as usize * FRAME - FRAME;
            self.listen(|booth, _| booth.heard.iter().all(|heard| *heard >= least));
        }
    }

    /// Does each line have the tone of its party, and not the other's?
    fn check(&self) {
        for (line, (own, other)) in self.lines.iter().zip([(0, 1), (1, 0)]) {
            let begin = line.iter().position(|sample| *sample != 0).expect("something was heard");
            let middle = &line[begin + 2 * FRAME..line.len() - 2 * FRAME];
            assert!(hears(middle, self.parties[own].hz), "{own} is heard");
            assert!(!hears(middle, self.parties[other].hz), "{other} is not");
        }
    }
}

#[test]
fn both_parties_are_heard_each_on_its_side_whatever_is_lost() {
    let mut booth = Booth::new([PCMU, G722]);
    booth.begin();
    booth.tap_both([PCMU, G722]);
    booth.rounds(5, |number| number % 7 == 3);
    booth.command(RecordingCommand::End);
    booth.listen(|_, told| matches!(told, Told::Ended));
    booth.check();
    for heard in booth.heard {
        assert!(heard.abs_diff(100 * FRAME) <= 2 * FRAME, "what was lost is made up: {heard}");
    }
    let totals = booth.relay.threads.totals();
    assert_eq!((totals.recording_packets_dropped, totals.recording_undecodable, totals.recordings), (0, 0, 0));
    assert_eq!(totals.recording_decoded, 2 * 5 * 17);
}

#[test]
fn what_is_protected_is_heard_opened_and_passes_all_the_same() {
    let mut booth = Booth::new([PCMU, PCMU]);
    let both = [keys(Suite::AesCm128HmacSha1_80, 1), keys(Suite::AeadAes256Gcm, 90)];
    (0..2).for_each(|party| booth.set_keys(party, &both[party]));
    let ports = [booth.parties[0].port, booth.parties[1].port];
    booth.relay.patch_both(ports[0], ports[1]);
    booth.begin();
    booth.tap_both([PCMU, PCMU]);
    booth.rounds(2, |_| false);
    booth.check();
    for party in &mut booth.parties {
        let ends = party.ends.as_mut().unwrap();
        for _ in 0..2 * ROUND {
            let packet = ends.open(receive(&party.phone.rtp).0);
            assert_eq!(packet.len(), 12 + FRAME);
        }
    }
}

#[test]
fn a_member_of_a_room_is_heard_by_what_it_says() {
    let mut booth = Booth::new([PCMU, PCMU]);
    let codings = vec![coding(0, Codec::Pcmu)];
    for party in 0..2 {
        let (from, to) = (codings.clone(), codings.clone());
        let attendance = Attendance {
            room: "8000".into(),
            from,
            to,
            ptime_ms: 20,
            muted: false,
            keys_in_band: false,
            sounds: Default::default(),
        };
        let port = booth.parties[party].port;
        booth.relay.threads.send(MediaCommand::Attend { port, attendance: Some(Box::new(attendance)) });
    }
    booth.begin();
    booth.tap_both([PCMU, PCMU]);
    booth.rounds(3, |_| false);
    booth.check();
}

#[test]
fn a_party_that_changes_its_codec_and_one_that_has_another_port_are_heard_on() {
    let mut booth = Booth::new([PCMU, PCMU]);
    booth.begin();
    booth.tap_both([PCMU, PCMU]);
    booth.rounds(1, |_| false);
    let mut voice = Voice::new(Format::G711(Law::A), 8);
    std::mem::swap(&mut voice, &mut booth.parties[0].voice);
    booth.tap(0, &[coding(8, Codec::Pcma)]);
    booth.settle();
    // Its timestamps begin anew: the first packet is believed when another follows.
    booth.heard[0] += FRAME;
    booth.rounds(2, |_| false);
    booth.check();
}

#[test]
fn nothing_is_heard_of_a_port_that_is_tapped_no_more_or_has_closed() {
    let mut booth = Booth::new([PCMU, PCMU]);
    booth.begin();
    booth.tap_both([PCMU, PCMU]);
    booth.rounds(1, |_| false);
    let [first, second] = [booth.parties[0].port, booth.parties[1].port];
    booth.relay.threads.send(MediaCommand::Tap { port: first, tap: None });
    booth.settle();
    let before = booth.heard[0];
    booth.talk(ROUND, |_| false);
    booth.listen(|booth, _| booth.heard[1] >= 2 * ROUND as usize * FRAME - FRAME);
    booth.relay.close(second);
    booth.command(RecordingCommand::End);
    booth.listen(|_, told| matches!(told, Told::Ended));
    assert!(booth.heard[0] - before <= ROUND as usize * FRAME - before.min(FRAME), "no more than was waiting");
    assert_eq!(booth.heard[1], 2 * ROUND as usize * FRAME);
}

#[test]
fn a_recording_is_told_of_pauses_and_ends_with_the_threads() {
    let mut booth = Booth::new([PCMU, PCMU]);
    booth.begin();
    booth.tap_both([PCMU, PCMU]);
    booth.talk(5, |_| false);
    booth.command(RecordingCommand::Pause);
    booth.listen(|_, told| matches!(told, Told::Paused));
    booth.command(RecordingCommand::Resume);
    booth.listen(|_, told| matches!(told, Told::Resumed));
    let Booth { relay, told, .. } = booth;
    relay.threads.stop();
    assert!(told.iter().any(|told| matches!(told, Told::Ended)));
}

#[test]
fn a_recording_that_cannot_be_made_is_told_and_costs_nobody_a_packet() {
    for is_full in [true, false] {
        let mut booth = Booth::with([PCMU, PCMU], is_full);
        let ports = [booth.parties[0].port, booth.parties[1].port];
        booth.relay.patch_both(ports[0], ports[1]);
        if is_full {
            booth.begin();
            let recording = recording();
            assert_eq!(booth.relay.event(), MediaEvent::RecordingEnded { recording, complete: false });
            assert_eq!(booth.relay.threads.totals().recordings_refused, 1);
        }
        // It is heard for nobody.
        booth.tap_both([PCMU, PCMU]);
        booth.talk(30, |_| false);
        for party in &booth.parties {
            (0..30).for_each(|_| drop(receive(&party.phone.rtp)));
        }
        assert_eq!(booth.relay.threads.totals().recording_packets_dropped, 0);
    }
}

/// Ten packets of each of two hundred parties, in rounds that an inbox has room for. Others may have some of the numbers.
#[test]
fn a_hundred_recordings_at_once_lose_nothing() {
    let (told, heard) = channel();
    let studio = Arc::new(Studio { told: Mutex::new(told), is_full: false });
    let relay = Relay::start_recording(&config(numbers(480)), Some(studio));
    let parties: Vec<_> = (0..200_u64)
        .map(|number| {
            let (port, phone) = (id(number / 2, number % 2), Phone::new());
            let opened = relay.open(port);
            relay.set_remote(port, phone.remote(Latch::Exact));
            let recording = RecordingId(port.0 & !0xff);
            if number % 2 == 0 {
                let terms = terms();
                let command = RecordingCommand::Begin(Box::new(terms));
                relay.threads.send(MediaCommand::Record { recording, command });
            }
            let tap = Tap { recording, side: SIDES[number as usize % 2], from: vec![coding(0, Codec::Pcmu)] };
            relay.threads.send(MediaCommand::Tap { port, tap: Some(Box::new(tap)) });
            (phone, opened.rtp, Voice::new(PCMU.0, PCMU.1))
        })
        .collect();
    // The last of each thread are tapped when both have obeyed.
    relay.settle(&[id(98, 0), id(99, 0)]);
    let mut samples = 0;
    let mut parties = parties;
    for round in 1..=5 {
        for (phone, to, voice) in &mut parties {
            for _ in 0..10 {
                phone.rtp.send_to(&voice.says(&[1_000; FRAME]), *to).unwrap();
            }
        }
        while samples < round * 200 * 10 * FRAME {
            if let Told::Heard(_, _, heard) = heard.recv_timeout(PATIENCE).expect("all of it is heard") {
                samples += heard.len();
            }
        }
    }
    // What has been heard is counted a moment later.
    let begun = std::time::Instant::now();
    while relay.threads.totals().recording_decoded < 5 * 200 * 10 && begun.elapsed() < PATIENCE {
        std::thread::yield_now();
    }
    let totals = relay.threads.totals();
    assert_eq!((totals.recordings, totals.recording_packets_dropped, totals.recording_left_out), (100, 0, 0));
    assert_eq!(totals.recording_decoded, 5 * 200 * 10);
}
