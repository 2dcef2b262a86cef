//! A proxy on one side of the engine, packet threads on the other, and time between them.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::time::Duration;
use sx_bind_ng::{Input, NgCalls, Output, RecordingNote, Sender, Settings};
use sx_engine::{Engine, Rng, Time};
use sx_media::{
    Closed, Conversion, Counted, Handshake, Keys, MediaCommand, MediaEvent, OpenError, Opened, PlayOutcome, Playing,
    PortId, PortStats, RecordingCommand, RecordingId, Remote, StreamKeys, Tap,
};
use sx_ng::{Dictionary, Message, Value};

pub const PCMU: &str = "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
pub const KEY: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n";

/// A description of a party at this host.
pub fn sdp(host: &str, media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n{media}")
}

/// What packet threads do with what they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// They obey.
    Obey,
    /// They have no port left.
    Exhausted,
    /// They say nothing.
    Silent,
}

pub struct World {
    pub calls: NgCalls,
    pub now: Time,
    pub threads: Threads,
    pub open: BTreeMap<PortId, (MediaCommand, Opened)>,
    pub remotes: BTreeMap<PortId, (Remote, Option<StreamKeys>)>,
    /// What peers shake hands by.
    pub handshakes: BTreeMap<PortId, Handshake>,
    pub patched: BTreeMap<PortId, PortId>,
    /// What the packets that arrive at a port become.
    pub conversions: BTreeMap<PortId, Conversion>,
    /// What the peers of ports hear in place of what is patched there.
    pub played: BTreeMap<PortId, Playing>,
    /// Digits that were pressed, and when.
    pub pressed: Vec<(Time, PortId, char, u16)>,
    pub taps: BTreeMap<PortId, Tap>,
    pub records: Vec<(RecordingId, RecordingCommand)>,
    /// What was to be written down of recordings.
    pub notes: Vec<RecordingNote>,
    /// What each port has received, as it will be told.
    pub received: BTreeMap<PortId, u64>,
    pub answers: Vec<(Sender, Vec<u8>)>,
    pub opened: usize,
    pub closed: usize,
    next_number: u16,
    next_cookie: u32,
    waiting: Vec<MediaEvent>,
}

pub const PROXY: Sender =
    Sender { link: 1, address: std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9_999) };

impl World {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        let now = Time::from_secs(1_000_000);
        Self {
            calls: NgCalls::new(now, settings, Rng::from_number(7)),
            now,
            threads: Threads::Obey,
            open: BTreeMap::new(),
            remotes: BTreeMap::new(),
            handshakes: BTreeMap::new(),
            patched: BTreeMap::new(),
            conversions: BTreeMap::new(),
            played: BTreeMap::new(),
            pressed: Vec::new(),
            taps: BTreeMap::new(),
            records: Vec::new(),
            notes: Vec::new(),
            received: BTreeMap::new(),
            answers: Vec::new(),
            opened: 0,
            closed: 0,
            next_number: 20_000,
            next_cookie: 0,
            waiting: Vec::new(),
        }
    }

    /// Sends a request and gives what it is answered with.
    pub fn ask(&mut self, command: &str, more: &[(&str, Value<'static>)]) -> Answered {
        self.next_cookie += 1;
        let cookie = format!("c{}", self.next_cookie);
        self.ask_as(&cookie, command, more);
        let (_, bytes) = self.answers.pop().expect("an answer");
        Answered::read(&bytes, &cookie)
    }

    /// Sends a request with this cookie; answers wait in `answers`.
    pub fn ask_as(&mut self, cookie: &str, command: &str, more: &[(&str, Value<'static>)]) {
        let mut text = Dictionary::default().with("command", Value::text(command.to_owned()));
        for (key, value) in more {
            text.set((*key).to_owned(), value.clone());
        }
        self.send(format!("{cookie} {}", json(&Value::Dictionary(text))).as_bytes());
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.calls.handle_input(self.now, Input::Request { from: PROXY, bytes });
        self.carry_out();
    }

    pub fn offer(&mut self, sdp: &str, more: &[(&str, Value<'static>)]) -> Answered {
        let mut all = vec![("call-id", text("x")), ("from-tag", text("a")), ("sdp", text(sdp))];
        all.extend(more.iter().cloned());
        self.ask("offer", &all)
    }

    pub fn answer(&mut self, sdp: &str, more: &[(&str, Value<'static>)]) -> Answered {
        let mut all = vec![("call-id", text("x")), ("from-tag", text("a")), ("to-tag", text("b")), ("sdp", text(sdp))];
        all.extend(more.iter().cloned());
        self.ask("answer", &all)
    }

    /// The answer of one of those whom a forked call has reached.
    pub fn branch_answers(&mut self, sdp: &str, via: &str, tag: &str) -> Answered {
        let tags = [("from-tag", text("a")), ("to-tag", text(tag)), ("via-branch", text(via))];
        let mut all = vec![("call-id", text("x")), ("sdp", text(sdp))];
        all.extend(tags);
        self.ask("answer", &all)
    }

    /// A sound is over.
    pub fn end_of(&mut self, port: PortId, heard: PlayOutcome) {
        let number = self.played.remove(&port).expect("it is played").number;
        self.tell_of(MediaEvent::Played { port, number, heard });
    }

    /// Packet threads tell something.
    pub fn tell_of(&mut self, event: MediaEvent) {
        self.calls.handle_input(self.now, Input::Media(event));
        self.carry_out();
    }

    /// Lets time pass.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.calls.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.calls.handle_timeout(self.now);
            self.carry_out();
        }
        self.now = end;
        self.carry_out();
    }

    /// Lets packet threads say what they have kept to themselves.
    pub fn speak(&mut self) {
        self.threads = Threads::Obey;
        self.tell();
    }

    /// The port that has this number.
    pub fn port(&self, number: u16) -> PortId {
        let mut open = self.open.iter();
        *open.find(|(_, (_, opened))| opened.rtp.port() == number).expect("it is open").0
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.calls.poll_output() {
            match output {
                Output::Answer { to, bytes } => self.answers.push((to, bytes.to_vec())),
                Output::Media(command) => self.obey(command),
                Output::Recording(note) => self.notes.push(note),
            }
        }
        if self.threads != Threads::Silent {
            self.tell();
        }
    }

    fn tell(&mut self) {
        for event in std::mem::take(&mut self.waiting) {
            self.calls.handle_input(self.now, Input::Media(event));
        }
        if self.calls_have_output() {
            self.carry_out();
        }
    }

    fn calls_have_output(&mut self) -> bool {
        let mut outputs = Vec::new();
        while let Some(output) = self.calls.poll_output() {
            outputs.push(output);
        }
        let any = !outputs.is_empty();
        for output in outputs {
            match output {
                Output::Answer { to, bytes } => self.answers.push((to, bytes.to_vec())),
                Output::Media(command) => self.obey(command),
                Output::Recording(note) => self.notes.push(note),
            }
        }
        any
    }

    fn patch(&mut self, from: PortId, to: Option<PortId>, conversion: Option<Conversion>) {
        match conversion {
            Some(conversion) => self.conversions.insert(from, conversion),
            None => self.conversions.remove(&from),
        };
        match to {
            Some(to) => {
                self.patched.insert(from, to);
                // Whatever is patched somewhere ends what is played there.
                self.played.remove(&to);
            }
            None => _ = self.patched.remove(&from),
        }
    }

    fn obey(&mut self, command: MediaCommand) {
        match command.clone() {
            MediaCommand::Open { port, .. } if self.threads == Threads::Exhausted => {
                self.waiting.push(MediaEvent::OpenFailed { port, error: OpenError::PoolExhausted });
            }
            MediaCommand::Open { port, ipv6, .. } => {
                let host = if ipv6 { "[2001:db8::1]" } else { "198.51.100.1" };
                let at = |number: u16| format!("{host}:{number}").parse().expect("an address");
                let opened = Opened { port, rtp: at(self.next_number), rtcp: at(self.next_number + 1) };
                self.next_number += 2;
                self.opened += 1;
                assert!(self.open.insert(port, (command, opened)).is_none(), "{port:?} is opened twice");
                self.waiting.push(MediaEvent::Opened(opened));
            }
            MediaCommand::SetRemote { port, remote, keys } => {
                assert!(self.open.contains_key(&port));
                self.handshakes.remove(&port);
                let keys = keys.and_then(|keys| match *keys {
                    Keys::Described(keys) => Some(keys),
                    Keys::Handshake(handshake) => {
                        self.handshakes.insert(port, handshake);
                        None
                    }
                });
                self.remotes.insert(port, (remote, keys));
            }
            MediaCommand::Count { port } => {
                let packets_received = self.received.get(&port).copied().unwrap_or_default();
                let stats =
                    PortStats { packets_received, bytes_received: packets_received * 172, ..PortStats::default() };
                self.waiting.push(MediaEvent::Counted(Counted { port, stats, peer: None }));
            }
            MediaCommand::Remember { .. } | MediaCommand::Resume { .. } | MediaCommand::Attend { .. } => {
                panic!("proxies' calls are not taken elsewhere, and in no room")
            }
            MediaCommand::Play { port, playing: Some(playing) } => {
                self.played.insert(port, *playing);
            }
            MediaCommand::Play { port, playing: None } => {
                self.played.remove(&port);
            }
            MediaCommand::Tap { port, tap: Some(tap) } => {
                assert!(self.open.contains_key(&port));
                self.taps.insert(port, *tap);
            }
            MediaCommand::Tap { port, tap: None } => {
                self.taps.remove(&port);
            }
            MediaCommand::Record { recording, command } => self.records.push((recording, command)),
            MediaCommand::Close { port } => {
                self.closed += 1;
                self.patched.retain(|from, to| *from != port && *to != port);
                self.remotes.remove(&port);
                self.played.remove(&port);
                self.taps.remove(&port);
                if self.open.remove(&port).is_some() {
                    self.waiting.push(MediaEvent::Closed(Closed { port, stats: PortStats::default() }));
                }
            }
            MediaCommand::Patch { from, to, conversion } => self.patch(from, to, conversion.map(|it| *it)),
            MediaCommand::Press { port, key, duration_ms } => {
                assert!(
                    self.conversions.contains_key(&port),
                    "no key is heard of a port whose packets pass as they are"
                );
                self.pressed.push((self.now, port, key, duration_ms));
            }
        }
    }
}

/// What a request was answered with.
#[derive(Clone, Debug)]
pub struct Answered(pub Vec<u8>);

impl Answered {
    pub fn read(bytes: &[u8], cookie: &str) -> Self {
        let message = Message::parse(bytes).expect("a message");
        assert_eq!(message.cookie, cookie.as_bytes());
        Self(bytes.to_vec())
    }

    pub fn text(&self, key: &str) -> String {
        let message = Message::parse(&self.0).expect("a message");
        let value = message.dictionary.get(key).and_then(Value::as_bytes).unwrap_or_default();
        String::from_utf8_lossy(value).into_owned()
    }

    /// The description of an answer that is well.
    pub fn sdp(&self) -> String {
        assert_eq!(self.text("result"), "ok", "{}", String::from_utf8_lossy(&self.0));
        self.text("sdp")
    }

    /// It was done.
    pub fn ok(&self) {
        assert_eq!(self.text("result"), "ok", "{}", String::from_utf8_lossy(&self.0));
    }

    pub fn integer(&self, key: &str) -> Option<i64> {
        Message::parse(&self.0).expect("a message").dictionary.get(key).and_then(Value::as_integer)
    }

    pub fn error(&self) -> String {
        assert_eq!(self.text("result"), "error", "{}", String::from_utf8_lossy(&self.0));
        self.text("error-reason")
    }

    /// The number that the first `m=` names.
    pub fn number(&self) -> u16 {
        let sdp = self.sdp();
        let line = sdp.lines().find(|line| line.starts_with("m=")).expect("media");
        line.split(' ').nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }
}

pub fn text(text: &str) -> Value<'static> {
    Value::text(text.to_owned())
}

pub fn list(texts: &[&str]) -> Value<'static> {
    Value::List(texts.iter().map(|each| text(each)).collect())
}

/// A value in JSON.
fn json(value: &Value<'_>) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        Value::List(values) => format!("[{}]", values.iter().map(json).collect::<Vec<_>>().join(",")),
        Value::Dictionary(values) => {
            let each = values.iter().map(|(key, value)| format!("{:?}:{}", String::from_utf8_lossy(key), json(value)));
            format!("{{{}}}", each.collect::<Vec<_>>().join(","))
        }
    }
}
