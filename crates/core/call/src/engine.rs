//! The engine: finds the call an input is about, hands it on, and lets the call settle.

use crate::Ender;
use crate::alarm::{Alarm, Due};
use crate::command::Command;
use crate::interface::{Input, Note, Output, QueryId};
use crate::ports::{any_opening, port_of, unique_of};
use crate::rooms::Rooms;
use crate::settings::Settings;
use crate::slots::{Key, NumberMap, Slots};
use crate::state::{Block, Body, Call, Entry, Port, State};
use crate::summary::{CallSummary, summary_of};
use crate::trunks::Trunks;
use crate::{Attempt, CallRecord};
use std::collections::VecDeque;
use std::sync::Arc;
use sx_engine::{Engine, Rng, Time, Wheel};
use sx_leg::{Address, LegCommand, LegEvent};
use sx_media::MediaEvent;
use sx_route::Tables;
use sx_types::{CallId, Cause, LegId};

/// The calls of one worker.
#[derive(Debug)]
pub struct Calls {
    pub(crate) settings: Settings,
    pub(crate) tables: Arc<Tables>,
    pub(crate) trunks: Trunks,
    pub(crate) rooms: Rooms,
    pub(crate) rng: Rng,
    pub(crate) wheel: Wheel<Due>,
    pub(crate) slots: Slots<Call>,
    /// Every leg that has not ended, and its call.
    pub(crate) legs: NumberMap<LegId, Key>,
    /// The 40 bits in the ids of ports, and their call.
    pub(crate) uniques: NumberMap<u64, Key>,
    pub(crate) queries: NumberMap<QueryId, Key>,
    pub(crate) out: VecDeque<Output>,
    pub(crate) now: Time,
    pub(crate) draining: bool,
    /// When the last record was made.
    pub(crate) recorded_at: Time,
    /// The NAT of a leg that has not come in yet.
    pub(crate) nat: Option<(LegId, std::net::IpAddr)>,
    pub(crate) next_leg: u64,
    pub(crate) next_query: u64,
    pub(crate) next_unique: u64,
}

impl Calls {
    /// An engine without calls. `rng` names calls, draws between weights and starts the counters from which ports
    /// are named.
    pub fn new(settings: Settings, tables: Arc<Tables>, mut rng: Rng, now: Time) -> Self {
        Self {
            trunks: Trunks::new(&tables),
            rooms: Rooms::default(),
            tables,
            wheel: Wheel::new(now),
            slots: Slots::new(),
            legs: NumberMap::default(),
            uniques: NumberMap::default(),
            queries: NumberMap::default(),
            out: VecDeque::new(),
            now,
            draining: false,
            recorded_at: now,
            nat: None,
            next_leg: settings.first_outgoing_leg.0,
            next_query: 0,
            next_unique: rng.u64(),
            rng,
            settings,
        }
    }

    /// How many calls there are, those being cleared included.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Is there no call?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All calls, in no order.
    pub fn list(&self) -> impl Iterator<Item = CallSummary> {
        self.slots.iter().map(summary_of)
    }

    /// One call.
    pub fn summary(&self, call: CallId) -> Option<CallSummary> {
        self.slots.iter().find(|found| found.body.cdr.call == call).map(summary_of)
    }

    /// The call that a leg belongs to, until the leg has ended.
    pub fn call_of(&self, leg: LegId) -> Option<CallId> {
        let key = *self.legs.get(&leg)?;
        self.slots.peek(key).map(|call| call.body.cdr.call)
    }

    pub(crate) fn say(&mut self, leg: LegId, command: LegCommand) {
        self.out.push_back(Output::Leg { leg, command });
    }

    pub(crate) fn note(&mut self, note: Note) {
        self.out.push_back(Output::Note(note));
    }

    /// Works on a call and lets it settle.
    pub(crate) fn with_call(&mut self, key: Key, work: impl FnOnce(&mut Self, &mut Call)) {
        if let Some(mut call) = self.slots.take(key) {
            work(self, &mut call);
            self.settle(call);
        }
    }

    /// Lets events that have waited go on, then forgets the call when nothing is left of it.
    pub(crate) fn settle(&mut self, mut call: Box<Call>) {
        while let Some((leg, event)) = call.waiting.pop_front() {
            call.blocked = None;
            self.deliver(&mut call, leg, event);
            if call.blocked.is_some() {
                break;
            }
        }
        self.keep_recording(&mut call);
        let key = call.key;
        if self.conclude(&mut call) {
            self.uniques.remove(&call.body.unique);
            call.body.unwritten_wishes.iter().for_each(|query| _ = self.queries.remove(query));
            self.slots.release(key);
        } else {
            self.slots.put_back(key, call);
        }
    }

    /// Keeps an event until what it waits for has come.
    pub(crate) fn defer(call: &mut Call, block: Block, leg: LegId, event: LegEvent) {
        call.blocked = Some(block);
        call.waiting.push_front((leg, event));
    }

    pub(crate) fn leg_event(&mut self, call: &mut Call, leg: LegId, event: LegEvent) {
        if matches!(event, LegEvent::Ended(_)) {
            call.waiting.retain(|(waiting, _)| *waiting != leg);
            if call.waiting.is_empty() {
                call.blocked = None;
            }
            if self.leaver_ended(call, leg) {
                return;
            }
        } else if call.body.leaving.iter().any(|leaving| leaving.leg == leg) {
            // It crossed our command to end.
            return;
        } else if let LegEvent::Warned { warnings } = event {
            // What it refuses follows.
            call.state.set_warned(leg, warnings);
            return;
        } else if waits_behind(call.blocked, &event) {
            if call.waiting.len() < usize::from(self.settings.waiting_max) {
                call.waiting.push_back((leg, event));
            } else {
                self.note(Note::Unexpected { leg, event: name(&event) });
            }
            return;
        }
        self.deliver(call, leg, event);
    }

    fn deliver(&mut self, call: &mut Call, leg: LegId, event: LegEvent) {
        call.body.ports.iter_mut().for_each(Port::outdate);
        call.state = match std::mem::replace(&mut call.state, State::Ending) {
            State::Ringing(ringing) => self.ringing_event(call, ringing, leg, event),
            State::Talking(talking) => self.talking_event(call, talking, leg, event),
            State::Moving(moving) => self.moving_event(call, moving, leg, event),
            State::Joining(joining) => self.joining_event(call, joining, leg, event),
            State::Inviting(inviting) => self.inviting_event(call, inviting, leg, event),
            State::Attending(attending) => self.attending_event(call, attending, leg, event),
            State::Ending => State::Ending,
        };
    }

    fn media_event(&mut self, call: &mut Call, event: &MediaEvent) {
        match event {
            MediaEvent::Opened(opened) => {
                self.port_opened(call, *opened);
                self.ports_ready(call);
            }
            MediaEvent::OpenFailed { port, error } => self.port_failed(call, *port, *error),
            MediaEvent::Silent { port } => self.silent(call, *port),
            MediaEvent::HandshakeFailed { port, fault } => self.unprotected(call, *port, &fault.to_string()),
            MediaEvent::KeysLost { port } => self.unprotected(call, *port, KEYS_LOST),
            MediaEvent::Closed(closed) => Self::port_closed(call, closed),
            MediaEvent::Remembered { port, memory } => Self::port_remembered(call, *port, memory),
            MediaEvent::Played { port, number, heard } => self.played(call, *port, *number, *heard),
            MediaEvent::RecordingEnded { recording, .. } => self.recording_ended(call, *recording),
            MediaEvent::Counted(counted) => self.port_counted(call, counted),
            MediaEvent::Pressed { port, key, duration_ms } => self.key_pressed(call, *port, *key, *duration_ms),
        }
    }

    /// What waited for ports, besides events of legs, goes on when they are open.
    pub(crate) fn ports_ready(&mut self, call: &mut Call) {
        call.state = match std::mem::replace(&mut call.state, State::Ending) {
            State::Ringing(mut ringing) => {
                let step = self.dial_ready(call, &mut ringing.hunt, &ringing.caller);
                match self.ringing_on(call, ringing, step) {
                    State::Ringing(ringing) => self.pick_up_ready(call, ringing),
                    state => state,
                }
            }
            State::Inviting(mut inviting) => {
                let step = self.dial_ready(call, &mut inviting.hunt, &inviting.host);
                self.inviting_on(call, inviting, step)
            }
            State::Joining(joining) if !any_opening(&call.body) => self.join_on(call, joining),
            State::Attending(attending) if attending.entry == Some(Entry::Opening) => self.offer_room(call, attending),
            state => state,
        };
    }

    fn alarm(&mut self, call: &mut Call, alarm: Alarm) {
        call.body.ports.iter_mut().for_each(Port::outdate);
        match alarm {
            Alarm::Close => call.body.ports.clear(),
            Alarm::Legs => self.forget_legs(call),
            Alarm::Ports => self.port_late(call),
            Alarm::Record => self.record_late(call),
            Alarm::Talk => self.talked_enough(call),
            Alarm::Consent => self.consent_late(call),
            // It is set anew when the call settles.
            Alarm::Beep => {}
            Alarm::Ring | Alarm::Locate => self.hunt_alarm(call, alarm),
            Alarm::Offer | Alarm::Retry => self.offer_alarm(call, alarm),
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Invite(invite) => self.invite(*invite),
            Command::Originate(originate) => self.originate(*originate),
            Command::Parties { call, who, change } => {
                if let Some(key) = self.key_of(call) {
                    self.with_call(key, |calls, call| calls.change_parties(call, who, change));
                }
            }
            Command::Remember { call } => {
                if let Some(key) = self.key_of(call) {
                    self.with_call(key, Self::ask_ports);
                }
            }
            Command::Count { call } => {
                if let Some(key) = self.key_of(call) {
                    self.with_call(key, Self::count_ports);
                }
            }
            Command::Member { call, change } => {
                if let Some(key) = self.key_of(call) {
                    self.with_call(key, |calls, call| calls.change_member(call, change));
                }
            }
            Command::Record { call, change } => {
                if let Some(key) = self.key_of(call) {
                    self.with_call(key, |calls, call| calls.change_recording(call, change));
                }
            }
            Command::Drain => self.draining = true,
            Command::Undrain => self.draining = false,
            Command::Hangup { call, cause, by } => {
                if let Some(key) = self.key_of(call) {
                    let sentence = match by {
                        Ender::Operator => "an operator has ended the call",
                        Ender::Timer => "nobody has answered for as long as was to be waited",
                        _ => "the call is not wanted any more",
                    };
                    self.with_call(key, |calls, call| calls.clear_call(call, (cause, by), sentence));
                }
            }
            Command::Clear { cause } => {
                let keys: Vec<Key> = self.slots.iter().map(|call| call.key).collect();
                for key in keys {
                    let sentence = "the exchange stops";
                    self.with_call(key, |calls, call| calls.clear_call(call, (cause, Ender::Operator), sentence));
                }
            }
        }
    }
}

impl Engine for Calls {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle_input(&mut self, now: Time, input: Input<'_>) {
        self.now = now;
        match input {
            Input::Leg { leg, event: LegEvent::Incoming(incoming) } => self.admit(leg, *incoming),
            Input::Leg { leg, event } => match self.legs.get(&leg).copied() {
                Some(key) => self.with_call(key, |calls, call| calls.heard(call, leg, event)),
                // The end of a leg that was never admitted is no surprise.
                None if matches!(event, LegEvent::Ended(_)) => {}
                None => self.note(Note::Unexpected { leg, event: name(&event) }),
            },
            Input::Nat { leg, address } => match self.legs.get(&leg).copied() {
                Some(key) => self.with_call(key, |_, call| call.state.set_nat(leg, address)),
                None => self.nat = Some((leg, address)),
            },
            Input::Media(event) => {
                if let Some(key) = self.uniques.get(&unique_of(port_of(&event))).copied() {
                    self.with_call(key, |calls, call| calls.media_event(call, &event));
                }
            }
            Input::Located { query, found } => {
                if let Some(key) = self.queries.remove(&query) {
                    self.with_call(key, |calls, call| calls.located(call, query, found));
                }
            }
            Input::Admitted { query, admissions } => {
                if let Some(key) = self.queries.remove(&query) {
                    self.with_call(key, |calls, call| calls.admitted(call, query, admissions));
                }
            }
            Input::Tables(tables) => {
                self.trunks.swap(&self.tables, &tables);
                self.rooms.swap(&tables);
                self.tables = tables;
            }
            Input::TrunkHealth { trunk, healthy } => self.trunks.health(&self.tables, trunk, healthy),
            Input::Written { leg } => self.leg_written(leg),
            Input::WishWritten { query } => self.wish_written(query),
            Input::Command(command) => self.command(command),
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        while let Some(Due { call, alarm }) = self.wheel.expire(now) {
            self.with_call(call, |calls, call| {
                call.alarms.retain(|set| set.alarm != alarm);
                calls.alarm(call, alarm);
            });
        }
        if self.record_due().is_some_and(|due| due <= now) {
            self.record(CallRecord::Alive { at: now.as_nanos() });
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        [self.wheel.next_expiry(), self.record_due()].into_iter().flatten().min()
    }
}

impl Body {
    /// A target is tried from now on; its place among the record's attempts.
    pub(crate) fn begin_attempt(&mut self, now: Time, target: Arc<str>, routed: Address) -> Option<u16> {
        let at = now.as_nanos();
        // More attempts than a u16 counts would need as many targets, which `targets_max` forbids.
        let place = u16::try_from(self.cdr.attempts.len()).ok();
        self.cdr.attempts.push(Attempt {
            target,
            routed,
            start: at,
            ring: None,
            answer: None,
            end: at,
            cause: Cause::NORMAL,
            status: 0,
        });
        place
    }

    pub(crate) fn attempt(&mut self, index: Option<u16>) -> Option<&mut Attempt> {
        self.cdr.attempts.get_mut(usize::from(index?))
    }
}

/// Must an event wait behind those that wait already? What ends a change of the session must not wait for its end.
fn waits_behind(blocked: Option<Block>, event: &LegEvent) -> bool {
    let ends_negotiation = matches!(
        event,
        LegEvent::OfferAccepted { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::OfferConfirmed { .. }
            | LegEvent::Confirmed { .. }
    );
    match blocked {
        None => false,
        Some(Block::Ports | Block::Record) => true,
        Some(Block::Negotiation) => !ends_negotiation,
    }
}

/// The name of an event, for a note.
pub(crate) fn name(event: &LegEvent) -> &'static str {
    match event {
        LegEvent::Incoming(_) => "Incoming",
        LegEvent::Progress(_) => "Progress",
        LegEvent::Answered(_) => "Answered",
        LegEvent::Confirmed { .. } => "Confirmed",
        LegEvent::Offered { .. } => "Offered",
        LegEvent::OfferAccepted { .. } => "OfferAccepted",
        LegEvent::OfferRefused { .. } => "OfferRefused",
        LegEvent::OfferConfirmed { .. } => "OfferConfirmed",
        LegEvent::TransferAsked(_) => "TransferAsked",
        LegEvent::Digit { .. } => "Digit",
        LegEvent::Info { .. } => "Info",
        LegEvent::Warned { .. } => "Warned",
        LegEvent::Redirected { .. } => "Redirected",
        LegEvent::Ended(_) => "Ended",
    }
}

/// Why a call ends whose keys cannot be gone on with.
const KEYS_LOST: &str = "it is not known how far the keys of its media are used";
