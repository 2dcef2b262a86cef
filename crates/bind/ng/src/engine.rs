//! Requests and events in, answers and commands out.

use crate::blocking::Blocked;
use crate::call::{Branch, Call, PortState};
use crate::recording::RecordingNote;
use crate::repeated::{Known, Repeated};
use crate::reply::Reply;
use crate::report::Counts;
use crate::settings::{Settings, SoundNames};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use sx_engine::{Engine, Rng, Time, Wheel};
use sx_media::{MediaCommand, MediaEvent, PortId};
use sx_ng::{Answer, Command, Message, Notation, Request};

/// Who sends requests and is sent answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sender {
    /// The socket or connection, as whoever drives the engine counts them.
    pub link: u64,
    /// Its address.
    pub address: SocketAddr,
}

/// What the world did.
#[derive(Debug)]
pub enum Input<'a> {
    /// A message has come.
    Request {
        /// From here.
        from: Sender,
        /// Cookie and dictionary.
        bytes: &'a [u8],
    },
    /// A packet thread has something to tell.
    Media(MediaEvent),
    /// No new calls are to be taken, or new ones again.
    Drain(bool),
    /// These can be played from now on; what is played goes on.
    Sounds(SoundNames),
    /// Every call is to end.
    Clear,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// An answer is to be sent.
    Answer {
        /// To this one.
        to: Sender,
        /// Cookie and dictionary.
        bytes: Bytes,
    },
    /// A packet thread is to do something.
    Media(MediaCommand),
    /// This is to be written down before what comes next.
    Recording(RecordingNote),
}

/// Calls that proxies have asked for.
#[derive(Debug)]
pub struct NgCalls {
    pub(crate) settings: Settings,
    pub(crate) rng: Rng,
    pub(crate) started: Time,
    pub(crate) names: BTreeMap<Box<[u8]>, u64>,
    pub(crate) calls: BTreeMap<u64, Box<Call>>,
    pub(crate) last_unique: u64,
    repeated: Repeated,
    timers: Wheel<(u64, Alarm)>,
    pub(crate) counts: Counts,
    /// No new calls are taken.
    pub(crate) draining: bool,
    /// What tells descriptions that were passed on by this engine.
    pub(crate) mark: String,
    pub(crate) out: VecDeque<Output>,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alarm {
    /// To see who is silent, and which ports are to be closed.
    Look,
    /// A request has waited too long.
    Impatient,
    /// It is a digit's turn.
    Keys,
}

/// A request that waits for its turn, or for packet threads.
#[derive(Debug)]
pub(crate) struct Waiting {
    from: Sender,
    bytes: Bytes,
    /// Its ports have been counted.
    pub(crate) counted: bool,
}

/// What has come of carrying a request out.
pub(crate) enum Progress {
    /// It is answered so.
    Done(Reply),
    /// It is to be tried again when packet threads have done what they were told.
    Waits,
}

impl NgCalls {
    /// An engine without calls.
    pub fn new(now: Time, settings: Settings, mut rng: Rng) -> Self {
        Self {
            names: BTreeMap::new(),
            calls: BTreeMap::new(),
            last_unique: 0,
            repeated: Repeated::new(settings.answers_kept, settings.answers_max),
            timers: Wheel::new(now),
            counts: Counts::default(),
            draining: false,
            mark: format!("strowger-media:{:016x}", rng.u64()),
            out: VecDeque::new(),
            started: now,
            settings,
            rng,
        }
    }

    /// Calls at the moment.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    fn receive(&mut self, now: Time, from: Sender, bytes: &[u8]) {
        // Without a cookie nobody knows what an answer belongs to.
        let Some(cookie) = Message::cookie_of(bytes) else { return };
        let Ok(message) = Message::parse(bytes) else {
            return self.send(from, cookie, Message::notation_of(bytes), Reply::error("Invalid NG data format"));
        };
        let notation = message.notation;
        let request = match Request::read(&message.dictionary) {
            Ok(request) => request,
            Err(error) => return self.send(from, cookie, notation, Reply::error(&error.to_string())),
        };
        if request.command == Command::Ping {
            self.counts.pings += 1;
            let answer = Answer::pong().write(cookie, notation).into();
            return self.out.push_back(Output::Answer { to: from, bytes: answer });
        }
        match self.repeated.begin(now, from, cookie) {
            Some(Known::Answered(bytes)) => return self.out.push_back(Output::Answer { to: from, bytes }),
            Some(Known::Waiting) => return,
            None => {}
        }
        if let Some(reply) = self.without_call(now, &request) {
            return self.answer(from, cookie, notation, reply);
        }
        let Some(unique) = self.unique_for(now, &request) else {
            let full = Reply::full(request.options.supports_load_limit);
            return self.answer(from, cookie, notation, full);
        };
        let Some(mut call) = self.calls.remove(&unique) else { return };
        if call.waiting.len() >= self.settings.waiting_max {
            self.answer(from, cookie, notation, Reply::error("Too many requests wait for this call"));
        } else {
            let is_first = call.waiting.is_empty();
            call.waiting.push_back(Waiting { from, bytes: Bytes::copy_from_slice(bytes), counted: false });
            if is_first {
                self.go_on(now, &mut call);
            }
        }
        self.keep(call);
    }

    /// Carries out what waits, until something has to wait on.
    fn go_on(&mut self, now: Time, call: &mut Call) {
        while let Some(mut waiting) = call.waiting.pop_front() {
            let progress = self.attempt(now, call, &mut waiting);
            match progress {
                Progress::Waits => {
                    call.waiting.push_front(waiting);
                    if call.impatience.is_none() {
                        let at = now + self.settings.patience;
                        call.impatience = Some(self.timers.set(at, (call.unique, Alarm::Impatient)));
                    }
                    return;
                }
                Progress::Done(reply) => self.finish(call, &waiting, reply),
            }
        }
    }

    fn attempt(&mut self, now: Time, call: &mut Call, waiting: &mut Waiting) -> Progress {
        // It was read when it came.
        let bytes = waiting.bytes.clone();
        let Ok(message) = Message::parse(&bytes) else { return Progress::Done(Reply::Ok) };
        let Ok(request) = Request::read(&message.dictionary) else { return Progress::Done(Reply::Ok) };
        match request.command {
            Command::Offer => self.offer(now, call, &request),
            Command::Answer => self.answer_offer(now, call, &request),
            Command::Delete => self.delete(now, call, &request, waiting),
            Command::Query => self.query(call, &request, waiting),
            Command::PlayMedia => self.play_media(now, call, &request),
            Command::StopMedia => self.stop_media(now, call, &request),
            Command::PlayDtmf => self.play_dtmf(now, call, &request),
            Command::BlockDtmf => self.block(now, call, &request, (Blocked::Dtmf, true)),
            Command::UnblockDtmf => self.block(now, call, &request, (Blocked::Dtmf, false)),
            Command::BlockMedia => self.block(now, call, &request, (Blocked::Media, true)),
            Command::UnblockMedia => self.block(now, call, &request, (Blocked::Media, false)),
            Command::SilenceMedia => self.block(now, call, &request, (Blocked::Sound, true)),
            Command::UnsilenceMedia => self.block(now, call, &request, (Blocked::Sound, false)),
            Command::StartRecording | Command::StopRecording | Command::PauseRecording => {
                self.change_recording(now, call, &request)
            }
            // They were answered without a call.
            Command::Ping | Command::List | Command::Statistics | Command::Forwarding | Command::Subscription => {
                Progress::Done(Reply::Ok)
            }
        }
    }

    fn finish(&mut self, call: &mut Call, waiting: &Waiting, reply: Reply) {
        if let Some(timer) = call.impatience.take() {
            self.timers.cancel(timer);
        }
        let Some(cookie) = Message::cookie_of(&waiting.bytes) else { return };
        let notation = Message::parse(&waiting.bytes).map_or(Notation::Bencode, |message| message.notation);
        self.answer(waiting.from, cookie, notation, reply);
    }

    /// Puts a call back, or forgets it when nothing is left of it.
    fn keep(&mut self, mut call: Box<Call>) {
        if call.branches.is_empty() && call.waiting.is_empty() {
            self.names.remove(&call.id);
            let timers = [call.timer.take(), call.impatience.take(), call.keys.timer.take()];
            timers.into_iter().flatten().for_each(|timer| {
                self.timers.cancel(timer);
            });
            return;
        }
        self.calls.insert(call.unique, call);
    }

    fn media(&mut self, now: Time, event: &MediaEvent) {
        let port = port_of(event);
        if let MediaEvent::Closed(closed) = event {
            self.counts.add(&closed.stats);
        }
        let Some(mut call) = self.calls.remove(&(port.0 >> 8 & UNIQUE_MASK)) else { return };
        match event {
            MediaEvent::Opened(opened) => {
                call.ports_mut().filter(|known| known.id == port).for_each(|p| p.state = PortState::Open(*opened));
            }
            MediaEvent::OpenFailed { .. } => {
                call.ports_mut().filter(|known| known.id == port).for_each(|p| p.state = PortState::Failed);
            }
            MediaEvent::Counted(counted) => {
                call.counting = call.counting.saturating_sub(1);
                call.ports_mut().filter(|known| known.id == port).for_each(|p| p.stats = counted.stats);
            }
            MediaEvent::Played { number, heard, .. } => self.played(&mut call, port, *number, *heard),
            MediaEvent::RecordingEnded { recording, .. } => self.recording_ended(&mut call, *recording),
            MediaEvent::Silent { .. }
            | MediaEvent::HandshakeFailed { .. }
            | MediaEvent::KeysLost { .. }
            | MediaEvent::Pressed { .. }
            | MediaEvent::Remembered { .. }
            | MediaEvent::Closed(_) => {}
        }
        if call.counting == 0 && std::mem::take(&mut call.watching) {
            self.judge(now, &mut call);
        }
        if call.counting == 0 && call.ports().all(|port| port.state != PortState::Opening) {
            self.go_on(now, &mut call);
        }
        self.keep(call);
    }

    fn clear(&mut self) {
        for (_, mut call) in std::mem::take(&mut self.calls) {
            while !call.branches.is_empty() {
                self.remove_branch(&mut call, 0);
            }
            while let Some(waiting) = call.waiting.pop_front() {
                self.finish(&mut call, &waiting, Reply::error("This media engine is about to end"));
            }
            self.keep(call);
        }
    }

    /// Has every open port of the call counted.
    pub(crate) fn count(&mut self, call: &mut Call) {
        let open = call.ports().filter(|port| matches!(port.state, PortState::Open(_))).map(|port| port.id);
        let open: Vec<PortId> = open.collect();
        call.counting += open.len();
        self.out.extend(open.into_iter().map(|port| Output::Media(MediaCommand::Count { port })));
    }

    /// The next look at a call is due then.
    pub(crate) fn look_at(&mut self, call: &mut Call, at: Time) {
        if let Some(timer) = call.timer.take() {
            self.timers.cancel(timer);
        }
        call.timer = Some(self.timers.set(at, (call.unique, Alarm::Look)));
    }

    fn alarm(&mut self, now: Time, unique: u64, alarm: Alarm) {
        let Some(mut call) = self.calls.remove(&unique) else { return };
        match alarm {
            Alarm::Look => {
                call.timer = None;
                self.look(now, &mut call);
            }
            Alarm::Impatient => {
                call.impatience = None;
                call.counting = 0;
                if let Some(waiting) = call.waiting.pop_front() {
                    self.finish(&mut call, &waiting, Reply::error("The packet threads do not answer"));
                }
                self.go_on(now, &mut call);
            }
            Alarm::Keys => {
                call.keys.timer = None;
                self.press_due(now, &mut call);
            }
        }
        self.keep(call);
    }

    /// The next digit of a call is due then.
    pub(crate) fn press_at(&mut self, call: &mut Call, at: Option<Time>) {
        if let Some(timer) = call.keys.timer.take() {
            self.timers.cancel(timer);
        }
        call.keys.timer = at.map(|at| self.timers.set(at, (call.unique, Alarm::Keys)));
    }

    pub(crate) fn branches(&self) -> impl Iterator<Item = &Branch> {
        self.calls.values().flat_map(|call| &call.branches)
    }

    pub(crate) fn call_ids(&self) -> impl Iterator<Item = &[u8]> {
        self.names.keys().map(AsRef::as_ref)
    }

    /// Answers, and keeps the answer.
    fn answer(&mut self, to: Sender, cookie: &[u8], notation: Notation, reply: Reply) {
        let bytes = Bytes::from(reply.write(cookie, notation));
        self.repeated.answered(to, cookie, bytes.clone());
        self.out.push_back(Output::Answer { to, bytes });
    }

    fn send(&mut self, to: Sender, cookie: &[u8], notation: Notation, reply: Reply) {
        self.out.push_back(Output::Answer { to, bytes: reply.write(cookie, notation).into() });
    }
}

/// Ports are named `worker (16 bits) | call (40 bits) | index (8 bits)`.
pub(crate) const UNIQUE_MASK: u64 = (1 << 40) - 1;

fn port_of(event: &MediaEvent) -> PortId {
    match event {
        MediaEvent::Opened(opened) => opened.port,
        MediaEvent::OpenFailed { port, .. }
        | MediaEvent::Silent { port }
        | MediaEvent::Pressed { port, .. }
        | MediaEvent::Remembered { port, .. }
        | MediaEvent::KeysLost { port }
        | MediaEvent::Played { port, .. }
        | MediaEvent::HandshakeFailed { port, .. } => *port,
        MediaEvent::Counted(counted) => counted.port,
        MediaEvent::Closed(closed) => closed.port,
        // They are named as ports are.
        MediaEvent::RecordingEnded { recording, .. } => PortId(recording.0),
    }
}

impl Engine for NgCalls {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle_input(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Request { from, bytes } => self.receive(now, from, bytes),
            Input::Media(event) => self.media(now, &event),
            Input::Drain(draining) => self.draining = draining,
            Input::Sounds(sounds) => self.settings.sounds = sounds,
            Input::Clear => self.clear(),
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        while let Some((unique, alarm)) = self.timers.expire(now) {
            self.alarm(now, unique, alarm);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.timers.next_expiry()
    }
}
