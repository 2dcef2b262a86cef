//! Drives the engine in virtual time and writes down what it says, a line an output.
#![allow(dead_code, unused_imports, reason = "each scenario file uses a part of the driver")]

mod description;
mod line;

pub use description::{alice, answer, bob, carol, offer, print, sdp, shaking, text};

use bytes::Bytes;
use line::{description, leg_name, line};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use sx_call::{
    Admission, CallRecord, CallSnapshot, Calls, Cdr, Command, Found, Input, Note, Output, QueryId, Settings, Wish,
};
use sx_engine::{Engine, Rng, Time};
use sx_leg::{
    Address, Answer, Bounds, Ended, EndedBy, Identity, Incoming, LegCommand, LegEvent, Media, Progress, ProgressKind,
    Source, Target, TransferRequest,
};
use sx_media::{
    Attendance, Closed, Conversion, Keys, MediaCommand, MediaEvent, OpenError, Opened, Playing, PortId, PortMemory,
    PortStats, RecordingCommand, Remote, Tap,
};
use sx_route::{
    Access, Definition, Destination, DestinationKind, DomainFilter, Fork, Match, MediaMode, Room, Rule, SourceFilter,
    Tables, Trunk,
};
use sx_types::{CallId, Cause, Codec, LegId, RoomSounds};

pub const START: Time = Time::from_secs(1_800_000_000);
/// The first two outgoing legs of an engine.
pub const B: LegId = LegId(1 << 63);
pub const C: LegId = LegId((1 << 63) + 1);
pub const D: LegId = LegId((1 << 63) + 2);
pub const A: LegId = LegId(1);

/// What packet threads do when they are asked for a port.
#[derive(Clone, Copy, PartialEq)]
pub enum Threads {
    Open,
    Fail,
    Silent,
}

pub struct World {
    pub calls: Calls,
    /// What it was begun with.
    pub tables: Arc<Tables>,
    pub now: Time,
    pub threads: Threads,
    pub lines: Vec<String>,
    pub records: Vec<CallRecord>,
    pub notes: Vec<Note>,
    /// What refused callers were told besides the status.
    pub warnings: Vec<String>,
    pub queries: Vec<(QueryId, Address)>,
    /// What somebody wanted to have called, and what is said to it.
    pub wishes: Vec<Wish>,
    pub admission: Admission,
    /// It is said at once.
    pub answers_wishes: bool,
    /// And written down at once.
    pub writes_wishes: bool,
    wished: Vec<(QueryId, usize)>,
    unwritten: Vec<QueryId>,
    /// Open ports, in the order they were opened in.
    pub ports: Vec<PortId>,
    /// Every port that was asked for, and whether it was one of IPv6.
    pub asked: Vec<(PortId, bool)>,
    /// The hosts that they were to face.
    pub faced: Vec<Option<IpAddr>>,
    pub patched: BTreeMap<PortId, PortId>,
    /// How the peers of ports take part in rooms.
    pub attending: BTreeMap<PortId, Attendance>,
    /// What the peers of ports hear in place of what is patched there.
    pub playing: BTreeMap<PortId, Playing>,
    /// What is recorded, a line a command.
    pub recorded: Vec<String>,
    /// Which ports are heard for which recording.
    pub tapped: BTreeMap<PortId, Tap>,
    /// Ports that were asked what they have counted.
    pub counting: Vec<PortId>,
    /// Ports that go on with what others have known.
    pub resumed: Vec<PortId>,
    /// What packets become on their way from a port.
    pub conversions: BTreeMap<PortId, Conversion>,
    pub remotes: BTreeMap<PortId, Remote>,
    pub keys: BTreeMap<PortId, Option<Box<Keys>>>,
    /// The last description that each leg was given.
    pub told: BTreeMap<LegId, Bytes>,
    answers: Vec<MediaEvent>,
    /// Ends that were asked for and are owed to the engine.
    pub ending: Vec<(LegId, Ended)>,
    /// Every end there was.
    pub ended: Vec<LegId>,
}

pub fn definition(mode: MediaMode) -> Definition {
    let access = Access { mode, ..Access::default() };
    let trunk = |name: &str| Trunk { access: access.clone(), ring_ms_max: 20_000, ..Trunk::new(name) };
    let to = |name: &str, priority| Destination {
        kind: DestinationKind::Trunk(name.into()),
        priority,
        weight: 1,
        user: None,
    };
    let rule = |name: &str, prefix: &str, fork, destinations| Rule {
        name: name.into(),
        source: SourceFilter::Any,
        domain: DomainFilter::Ours,
        matches: Match::Prefix(prefix.into()),
        strip: 0,
        prepend: "".into(),
        destinations,
        fork,
        ring_ms_max: None,
    };
    let mut definition = Definition {
        domains: vec!["pbx".into()],
        trunks: vec![trunk("one"), trunk("two")],
        rules: vec![
            rule("serial", "1", Fork::Serial, vec![to("one", 1), to("two", 2)]),
            rule("parallel", "2", Fork::Parallel, vec![to("one", 1), to("two", 1)]),
            rule("single", "3", Fork::Serial, vec![to("one", 1)]),
        ],
        ..Definition::default()
    };
    definition.users.access = access;
    definition
}

impl World {
    pub fn new(mode: MediaMode) -> Self {
        Self::with(definition(mode), Settings::default())
    }

    /// Descriptions pass as they are.
    pub fn direct() -> Self {
        Self::new(MediaMode::Direct)
    }

    /// A and B are connected, and descriptions pass as they are.
    pub fn connected() -> Self {
        let mut world = Self::direct();
        world.incoming(A, "300", Some("OA")).answers(B, Some(answer("AB"))).forget_lines();
        world
    }

    pub fn with(definition: Definition, settings: Settings) -> Self {
        let tables = Arc::new(Tables::build(definition).expect("a sound definition"));
        Self {
            calls: Calls::new(settings, tables.clone(), Rng::from_number(7), START),
            tables,
            now: START,
            threads: Threads::Open,
            lines: Vec::new(),
            records: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
            queries: Vec::new(),
            wishes: Vec::new(),
            admission: Admission::Granted(Bounds::default()),
            answers_wishes: true,
            writes_wishes: true,
            wished: Vec::new(),
            unwritten: Vec::new(),
            ports: Vec::new(),
            asked: Vec::new(),
            faced: Vec::new(),
            patched: BTreeMap::new(),
            recorded: Vec::new(),
            tapped: BTreeMap::new(),
            attending: BTreeMap::new(),
            playing: BTreeMap::new(),
            counting: Vec::new(),
            resumed: Vec::new(),
            conversions: BTreeMap::new(),
            remotes: BTreeMap::new(),
            keys: BTreeMap::new(),
            told: BTreeMap::new(),
            answers: Vec::new(),
            ending: Vec::new(),
            ended: Vec::new(),
        }
    }

    pub fn input(&mut self, input: Input<'_>) -> &mut Self {
        self.calls.handle_input(self.now, input);
        self.drain();
        self
    }

    pub fn media(&mut self, event: MediaEvent) -> &mut Self {
        self.input(Input::Media(event))
    }

    /// The packet threads answer when everything else has been carried out.
    fn threads_answer(&mut self) {
        for event in std::mem::take(&mut self.answers) {
            self.media(event);
        }
    }

    pub fn event(&mut self, leg: LegId, event: LegEvent) -> &mut Self {
        if matches!(event, LegEvent::Ended(_)) {
            self.ended.push(leg);
        }
        self.input(Input::Leg { leg, event })
    }

    pub fn incoming(&mut self, leg: LegId, to: &str, offer: Option<&str>) -> &mut Self {
        self.incoming_with(leg, to, offer, |_| {})
    }

    pub fn incoming_with(
        &mut self,
        leg: LegId,
        to: &str,
        offer: Option<&str>,
        change: impl FnOnce(&mut Incoming),
    ) -> &mut Self {
        let alice = Address::new("alice", "pbx");
        let mut incoming = Incoming {
            from: Identity { address: alice.clone(), ..Identity::default() },
            to: Address::new(to, "pbx"),
            source: Source::User(alice),
            host: None,
            offer: offer.map(text),
            replaces: None,
            on_behalf_of: None,
            takes_info: None,
            headers: Vec::new(),
            hops_left: 70,
            bounds: Bounds::default(),
        };
        change(&mut incoming);
        self.event(leg, LegEvent::Incoming(Box::new(incoming)))
    }

    pub fn rings(&mut self, leg: LegId) -> &mut Self {
        self.event(leg, LegEvent::Progress(Progress { kind: ProgressKind::Ringing, media: None }))
    }

    pub fn early(&mut self, leg: LegId, answer: &str) -> &mut Self {
        let media = Some(Media::Answer(text(answer)));
        self.event(leg, LegEvent::Progress(Progress { kind: ProgressKind::SessionProgress, media }))
    }

    pub fn answers(&mut self, leg: LegId, media: Option<Media>) -> &mut Self {
        self.event(leg, LegEvent::Answered(Answer { media, headers: Vec::new(), takes_info: None }))
    }

    pub fn ends(&mut self, leg: LegId, status: u16) -> &mut Self {
        let cause = if status == 0 { Cause::NORMAL } else { Cause::from_sip_status(status) };
        self.event(leg, LegEvent::Ended(Ended { cause, status, by: EndedBy::Peer }))
    }

    /// The call as a value, with what its ports know.
    pub fn export(&mut self) -> Option<CallSnapshot> {
        let call = self.only_call();
        self.command(Command::Remember { call });
        self.calls.export(call).ok()
    }

    pub fn offers(&mut self, leg: LegId, offer: Option<&str>) -> &mut Self {
        self.event(leg, LegEvent::Offered { media: offer.map(text) })
    }

    pub fn accepts(&mut self, leg: LegId, media: Media) -> &mut Self {
        self.event(leg, LegEvent::OfferAccepted { media: Some(media) })
    }

    pub fn transfer(&mut self, leg: LegId, to: &str, replaces: Option<LegId>) -> &mut Self {
        let (to, replaces) = (Address::new(to, "pbx"), replaces.map(sx_leg::Replaced::Leg));
        self.event(leg, LegEvent::TransferAsked(Box::new(TransferRequest { to, replaces, referred_by: None })))
    }

    pub fn found(&mut self, contacts: &[&str]) -> &mut Self {
        let contacts =
            contacts.iter().map(|uri| Target::Contact { uri: (*uri).into(), path: Vec::new(), flow: None }).collect();
        let (query, _) = self.queries.pop().expect("somebody was looked for");
        self.input(Input::Located { query, found: Found::Contacts(contacts) })
    }

    /// Says to everybody who has asked whether what they want may be.
    pub fn admit(&mut self) -> &mut Self {
        for (query, length) in std::mem::take(&mut self.wished) {
            self.input(Input::Admitted { query, admissions: vec![self.admission.clone(); length] });
            self.unwritten.push(query);
        }
        if self.writes_wishes {
            self.write_wishes();
        }
        self
    }

    /// What was admitted is on the disk.
    pub fn write_wishes(&mut self) -> &mut Self {
        for query in std::mem::take(&mut self.unwritten) {
            self.input(Input::WishWritten { query });
        }
        self
    }

    pub fn command(&mut self, command: Command) -> &mut Self {
        self.input(Input::Command(command))
    }

    /// Lets time pass, timers and all.
    pub fn after(&mut self, span: Duration) -> &mut Self {
        let until = self.now + span;
        while let Some(at) = self.calls.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.calls.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
        self.calls.handle_timeout(until);
        self.drain();
        self
    }

    /// The legs that were told to end do.
    pub fn let_end(&mut self) -> &mut Self {
        while !self.ending.is_empty() {
            let (leg, ended) = self.ending.remove(0);
            if !self.ended.contains(&leg) {
                self.event(leg, LegEvent::Ended(ended));
            }
        }
        self
    }

    /// What was said since the last look.
    #[track_caller]
    pub fn expect(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.lines), expected);
        self
    }

    pub fn forget_lines(&mut self) -> &mut Self {
        self.lines.clear();
        self
    }

    pub fn only_call(&self) -> CallId {
        let calls: Vec<_> = self.calls.list().collect();
        assert_eq!(calls.len(), 1, "one call");
        calls[0].call
    }

    /// The one record, complete, after everything has ended: each leg once, each port closed.
    #[track_caller]
    pub fn the_record(&mut self) -> Cdr {
        let mut records = self.all_records();
        assert_eq!(records.len(), 1, "one call");
        records.remove(0)
    }

    #[track_caller]
    pub fn all_records(&mut self) -> Vec<Cdr> {
        self.let_end();
        assert!(self.calls.is_empty(), "nothing is left: {:?}", self.calls.list().collect::<Vec<_>>());
        assert!(self.ports.is_empty(), "every port is closed");
        assert_eq!(self.calls.poll_timeout(), None, "no timer is left");
        let mut ended = self.ended.clone();
        ended.sort();
        ended.dedup();
        assert_eq!(ended.len(), self.ended.len(), "each leg ended once");
        // Whoever goes on with a call begins its record anew.
        let begun = self.records.iter().filter_map(|record| match record {
            CallRecord::Begun(cdr) => Some(cdr.call),
            _ => None,
        });
        let begun = begun.collect::<BTreeSet<_>>().len();
        let complete: Vec<Cdr> = self
            .records
            .iter()
            .filter_map(|record| match record {
                CallRecord::Ended(cdr) => Some((**cdr).clone()),
                _ => None,
            })
            .collect();
        assert_eq!(begun, complete.len(), "each call that began has ended once");
        complete
    }

    /// Carries out what the engine wants.
    pub fn drain(&mut self) {
        while let Some(output) = self.calls.poll_output() {
            match output {
                Output::Leg { leg, command } => self.leg_command(leg, &command),
                Output::Media(command) => self.media_command(&command),
                Output::Locate { query, address } => {
                    self.lines.push(format!("locate {address}"));
                    self.queries.push((query, address));
                }
                Output::Admit { query, wish, .. } => {
                    self.wished.push((query, wish.to.len()));
                    self.wishes.push(wish);
                    if self.answers_wishes {
                        self.admit();
                    }
                }
                Output::Record(record) => self.records.push(record),
                Output::Note(note) => self.notes.push(note),
            }
        }
        if !self.answers.is_empty() {
            self.threads_answer();
        }
    }

    fn leg_command(&mut self, leg: LegId, command: &LegCommand) {
        let end = match command {
            LegCommand::Reject(rejection) => Some((rejection.cause, rejection.status)),
            LegCommand::Hangup { cause } => Some((*cause, 0)),
            _ => None,
        };
        if let Some((cause, status)) = end {
            self.ending.push((leg, Ended { cause, status, by: EndedBy::Exchange }));
        }
        match command {
            LegCommand::Reject(rejection) => self.warnings.push(rejection.warning.to_string()),
            LegCommand::RefuseOffer { warning, .. } => self.warnings.push(warning.to_string()),
            _ => {}
        }
        if let Some(text) = description(command) {
            self.told.insert(leg, text.clone());
        }
        self.lines.push(format!("{} {}", leg_name(leg), line(command)));
    }

    fn play(&mut self, port: PortId, playing: Option<&Playing>) {
        assert!(self.remotes.contains_key(&port), "it is known who listens");
        assert!(playing.is_none() || !self.attending.contains_key(&port), "who is in a room hears the room");
        match playing {
            Some(playing) => _ = self.playing.insert(port, playing.clone()),
            None => _ = self.playing.remove(&port),
        }
    }

    /// Keeps what was asked for.
    fn note(&mut self, command: &MediaCommand) {
        if let MediaCommand::Open { port, ipv6, host, .. } = command {
            self.asked.push((*port, *ipv6));
            self.faced.push(*host);
        }
        if let MediaCommand::Patch { from, conversion, .. } = command {
            match conversion {
                Some(conversion) => _ = self.conversions.insert(*from, (**conversion).clone()),
                None => _ = self.conversions.remove(from),
            }
        }
        if let MediaCommand::SetRemote { port, keys, .. } = command {
            self.keys.insert(*port, keys.clone());
        }
    }

    fn media_command(&mut self, command: &MediaCommand) {
        self.note(command);
        match *command {
            MediaCommand::Open { port, .. } => match self.threads {
                Threads::Open => {
                    self.ports.push(port);
                    let number = 20_000 + 2 * (port.0 & 0xff);
                    let rtp = format!("10.0.0.1:{number}").parse().expect("an address");
                    let rtcp = format!("10.0.0.1:{}", number + 1).parse().expect("an address");
                    self.answers.push(MediaEvent::Opened(Opened { port, rtp, rtcp }));
                }
                Threads::Fail => {
                    let error = OpenError::PoolExhausted;
                    self.answers.push(MediaEvent::OpenFailed { port, error });
                }
                Threads::Silent => {}
            },
            MediaCommand::SetRemote { port, remote, .. } => _ = self.remotes.insert(port, remote),
            MediaCommand::Patch { from, to, .. } => {
                to.iter().for_each(|to| _ = self.playing.remove(to));
                match to {
                    Some(to) => self.patched.insert(from, to),
                    None => self.patched.remove(&from),
                };
            }
            MediaCommand::Attend { port, ref attendance } => {
                assert!(self.remotes.contains_key(&port), "it is known who takes part");
                if attendance.is_some() {
                    self.playing.remove(&port);
                }
                match attendance {
                    Some(attendance) => _ = self.attending.insert(port, (**attendance).clone()),
                    None => _ = self.attending.remove(&port),
                }
            }
            MediaCommand::Press { port, key, .. } => {
                assert!(self.conversions.contains_key(&port), "there is a stream of ours to press it in");
                self.lines.push(format!("press {} {key}", port.0 & 0xff));
            }
            MediaCommand::Play { port, ref playing } => self.play(port, playing.as_deref()),
            MediaCommand::Count { port } => self.counting.push(port),
            MediaCommand::Tap { .. } | MediaCommand::Record { .. } => self.record(command),
            MediaCommand::Remember { port } => {
                let memory = Box::new(PortMemory { rtp: Some(heard_at(port)), ..PortMemory::default() });
                if self.threads != Threads::Silent {
                    self.answers.push(MediaEvent::Remembered { port, memory });
                }
            }
            MediaCommand::Resume { port, ref memory } => {
                assert!(!self.remotes.contains_key(&port), "it resumes before it is said who is there");
                assert_eq!(memory.rtp, Some(heard_at(port)));
                self.resumed.push(port);
            }
            MediaCommand::Close { port } => {
                self.ports.retain(|open| *open != port);
                self.attending.remove(&port);
                self.playing.remove(&port);
                self.tapped.remove(&port);
                self.patched.retain(|from, to| *from != port && *to != port);
                let stats = PortStats { packets_received: 1000 + (port.0 & 0xff), ..PortStats::default() };
                if self.threads != Threads::Silent {
                    self.answers.push(MediaEvent::Closed(Closed { port, stats }));
                }
            }
        }
    }

    fn record(&mut self, command: &MediaCommand) {
        match command {
            MediaCommand::Tap { port, tap } => {
                assert!(self.ports.contains(port), "it is open");
                match tap {
                    Some(tap) => _ = self.tapped.insert(*port, (**tap).clone()),
                    None => _ = self.tapped.remove(port),
                }
            }
            MediaCommand::Record { recording, command } => {
                let what = match command {
                    RecordingCommand::Begin(terms) => format!("begin ({})", terms.consent),
                    RecordingCommand::Pause => "pause".to_owned(),
                    RecordingCommand::Resume => "resume".to_owned(),
                    RecordingCommand::End => "end".to_owned(),
                };
                self.recorded.push(format!("{} {what}", recording.0 & 0xff));
            }
            _ => {}
        }
    }
}

/// Where the peer of a port is heard from.
fn heard_at(port: PortId) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 99], 40_000 + (port.0 & 0xff) as u16))
}

/// 5… leads to a room for three, in PCMU.
pub fn add_council(definition: &mut Definition) {
    let codecs = Arc::from([Codec::Pcmu]);
    let (name, sounds, members) = ("council".into(), RoomSounds::default(), Arc::default());
    definition.rooms.push(Room { name, members_max: 3, codecs, sounds, members });
    let kind = DestinationKind::Room("council".into());
    definition.rules.push(Rule {
        name: "council".into(),
        source: SourceFilter::Any,
        domain: DomainFilter::Ours,
        matches: Match::Prefix("5".into()),
        strip: 0,
        prepend: "".into(),
        destinations: vec![Destination { kind, priority: 1, weight: 1, user: None }],
        fork: Fork::Serial,
        ring_ms_max: None,
    });
}
