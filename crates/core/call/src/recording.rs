//! What the parties of a call say is recorded: from its answer to its end, whoever comes and goes meanwhile.
//!
//! Where the parties are to be told or asked, `consent.rs` sees to that before it begins.
//!
//! ```text
//!            answered, and bound to be recorded;
//!            or an operator starts it             all have heard of it, or agreed
//!   (none) ───────────┬──────────────────► Asking ────────────────────────────────► Going ◄──── Resume ──── Paused
//!                     └─────── nobody has to be told ─────────────────────────────────▲ └─────── Pause ───────▲
//!
//!   any of these three ─── Stop, the call ends ─────────────────────────► Stopped ─┐
//!                      ─── a party refuses, or presses no key in time ──► Refused ─┼─ Start: another one
//!                      ─── a fault: the disk is full, and the like ─────► Failed ──┘
//! ```
//!
//! A call that is bound to be recorded has another one without a start, when the one before was stopped.
//!
//! Which ports are heard follows from where the call stands whenever it settles, so that no change of its sessions has to
//! think of it: a party that is on hold, has another codec or address, or is connected elsewhere stays where it was on the
//! recording; one that comes takes the side of the one that has left.

use crate::consent::Telling;
use crate::engine::Calls;
use crate::failure::Failure;
use crate::interface::{Note, Output};
use crate::ports::port_base;
use crate::state::{Body, Call, Party, PortState, State};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use sx_media::{MediaCommand, PortId, RecordingCommand, RecordingId, RecordingSide, RecordingTerms, Tap, tap_changes};
use sx_types::{CallId, Cause, Consent, LegId};

/// How calls are recorded here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingRules {
    /// A call that has to be recorded and cannot be ends; else it goes on without.
    pub required: bool,
    /// How the parties are told.
    pub telling: Telling,
}

/// How the recording of a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordingPhase {
    /// The parties are told of it or asked, and nothing is recorded yet. It is only shown: whoever is told follows from who is
    /// connected, so that what is kept, and goes to another process, is `Going` from the beginning.
    Asking,
    /// What is said is recorded.
    Going,
    /// It is left out.
    Paused,
    /// An operator has ended it.
    Stopped,
    /// It could not be made, or has ended by a fault.
    Failed,
    /// A party has not agreed.
    Refused,
}

/// What an operator may want of the recording of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingChange {
    /// Record it from now on, on this ground.
    Start(Consent),
    /// End the recording. One that the call is bound to is not ended.
    Stop,
    /// Leave out what is said.
    Pause,
    /// Go on.
    Resume,
}

/// Something to be written down of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingNote {
    /// A party has heard all of the announcement.
    Told {
        /// Its leg.
        leg: LegId,
        /// As whose voice it is recorded.
        by: RecordingSide,
    },
    /// A party has pressed the key to agree.
    Agreed {
        /// Its leg.
        leg: LegId,
        /// As whose voice it is recorded.
        by: RecordingSide,
    },
    /// A party has pressed the key to refuse.
    Refused {
        /// Its leg.
        leg: LegId,
        /// As whose voice it would be recorded.
        by: RecordingSide,
    },
    /// A party was asked, and has pressed no key in time.
    Unanswered {
        /// Its leg.
        leg: LegId,
        /// As whose voice it would be recorded.
        by: RecordingSide,
    },
    /// It begins on this ground.
    Begun(Consent),
    /// What is said is left out from now on.
    Paused,
    /// It goes on.
    Resumed,
    /// It is brought to its end.
    Ended,
    /// It could not be made, or has ended by a fault.
    Failed,
}

/// The recording of a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recording {
    pub number: u8,
    pub consent: Consent,
    pub phase: RecordingPhase,
    /// Whose voice is on which side.
    sides: [Option<LegId>; 2],
    /// Who knows of it, by an announcement or a key.
    #[serde(default)]
    pub aware: SmallVec<[LegId; 2]>,
    /// Somebody is being told.
    #[serde(skip)]
    pub telling: bool,
    /// What a refusal means for the call was seen to.
    #[serde(default)]
    pub heeded: bool,
    /// It was begun here, and not where the call comes from.
    #[serde(skip)]
    pub begun: bool,
    /// What the ports were told.
    #[serde(skip)]
    taps: SmallVec<[(PortId, Tap); 2]>,
}

impl Recording {
    fn new(number: u8, consent: Consent) -> Self {
        let phase = RecordingPhase::Going;
        let (sides, aware, taps) = ([None; 2], SmallVec::new(), SmallVec::new());
        Self { number, consent, phase, sides, aware, telling: false, heeded: false, begun: false, taps }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, RecordingPhase::Stopped | RecordingPhase::Failed | RecordingPhase::Refused)
    }

    /// Is it asked for, by keys?
    pub fn asks(&self) -> bool {
        self.telling && self.consent == Consent::Asked && !self.is_over()
    }

    /// How it stands, as others are told.
    pub fn shown(&self) -> RecordingPhase {
        match self.phase {
            RecordingPhase::Going if self.telling && !self.begun => RecordingPhase::Asking,
            phase => phase,
        }
    }

    /// Whoever stays keeps its side, whoever comes takes the one that is free.
    pub fn seat(&mut self, legs: &[LegId]) {
        for side in &mut self.sides {
            *side = side.filter(|leg| legs.contains(leg));
        }
        for leg in legs {
            if !self.sides.contains(&Some(*leg))
                && let Some(free) = self.sides.iter_mut().find(|side| side.is_none())
            {
                *free = Some(*leg);
            }
        }
    }

    pub fn side_of(&self, leg: LegId) -> RecordingSide {
        if self.sides[1] == Some(leg) { RecordingSide::Called } else { RecordingSide::Caller }
    }
}

impl Body {
    /// Which recording of the process it is.
    fn recording_id(&self, worker: u16) -> Option<RecordingId> {
        let number = self.recording.as_ref()?.number;
        Some(RecordingId(port_base(worker, self.unique) | u64::from(number)))
    }
}

impl Calls {
    /// Has recorded what the call is bound to have recorded, as it stands now.
    pub(crate) fn keep_recording(&mut self, call: &mut Call) {
        if call.body.recording.is_none() && call.body.bounds.record.is_none() {
            return;
        }
        call.body.forget_closed_taps();
        match &call.state {
            State::Talking(_) | State::Attending(_) => {}
            // Nobody has answered, or whoever is to come has not; who hears each other meanwhile did so before.
            State::Ringing(_) | State::Inviting(_) | State::Moving(_) | State::Joining(_) => return,
            State::Ending => return self.end_recording(&mut call.body, RecordingPhase::Stopped),
        }
        self.begin_obliged(&mut call.body);
        self.heed_refusal(call);
        if call.body.recording.as_ref().is_some_and(|recording| recording.is_over()) {
            self.stop_telling(call);
            return self.remind(call);
        }
        if self.settings.recording.is_none() {
            // The call was begun elsewhere.
            return self.recording_failed(call);
        }
        // Who comes into a recording that goes on is told, and not heard for it until then.
        let all_know = self.make_aware(call);
        let is_made = |recording: &Recording| !recording.is_over() && (all_know || recording.begun);
        if call.body.recording.as_ref().is_some_and(|recording| is_made(recording)) {
            self.begin_recording(&mut call.body);
            self.tap(call);
            self.remind(call);
        }
    }

    /// A call that is bound to be recorded has one that goes on, unless that has failed.
    fn begin_obliged(&self, body: &mut Body) {
        let Some(consent) = body.bounds.record else { return };
        match &body.recording {
            None => body.recording = Some(Box::new(Recording::new(0, consent))),
            Some(recording) if recording.phase == RecordingPhase::Stopped => {
                let aware = recording.aware.clone();
                let number = recording.number.wrapping_add(1);
                body.recording = Some(Box::new(Recording { aware, ..Recording::new(number, consent) }));
            }
            Some(_) => {}
        }
    }

    fn begin_recording(&mut self, body: &mut Body) {
        let Some(recording) = body.recording.as_mut().filter(|recording| !recording.begun) else { return };
        recording.begun = true;
        let (consent, phase) = (recording.consent, recording.phase);
        let terms = RecordingTerms {
            call: body.cdr.call,
            trace: body.cdr.trace,
            number: recording.number,
            consent,
            caller: body.cdr.caller.to_string().into(),
            dialled: body.cdr.dialled.to_string().into(),
            signalled_as: None,
        };
        self.record_as(body, RecordingCommand::Begin(Box::new(terms)));
        self.note_recording(body, RecordingNote::Begun(consent));
        if phase == RecordingPhase::Paused {
            self.record_as(body, RecordingCommand::Pause);
            self.note_recording(body, RecordingNote::Paused);
        }
    }

    /// Has the parties heard as they are connected now.
    fn tap(&mut self, call: &mut Call) {
        let parties = call.state.answered();
        if parties.is_empty() {
            return;
        }
        let Some(id) = call.body.recording_id(self.settings.worker) else { return };
        let Some(recording) = &mut call.body.recording else { return };
        let legs: SmallVec<[LegId; 2]> = parties.iter().map(|party| party.leg).collect();
        recording.seat(&legs);
        let is_told = recording.telling;
        let knows = |party: &Party| !is_told || recording.aware.contains(&party.leg);
        let heard = parties.iter().filter(|party| knows(party)).filter_map(|party| {
            let (port, from) = sound_of(&call.body.ports, party)?;
            Some((port, Tap { recording: id, side: recording.side_of(party.leg), from }))
        });
        let taps: SmallVec<[(PortId, Tap); 2]> = heard.collect();
        self.out.extend(tap_changes(&recording.taps, &taps).map(Output::Media));
        recording.taps = taps;
    }

    /// Ends the recording, if one goes on.
    pub(crate) fn end_recording(&mut self, body: &mut Body, phase: RecordingPhase) {
        let Some(recording) = body.recording.as_mut().filter(|recording| !recording.is_over()) else { return };
        recording.phase = phase;
        let note = match phase {
            RecordingPhase::Failed => RecordingNote::Failed,
            _ => RecordingNote::Ended,
        };
        self.end_recording_as(body, note);
    }

    /// Has nobody heard any more for a recording that is over.
    pub(crate) fn end_recording_as(&mut self, body: &mut Body, note: RecordingNote) {
        let begun = body.recording.as_ref().is_some_and(|recording| recording.begun);
        body.forget_closed_taps();
        let taps = body.recording.iter_mut().flat_map(|recording| std::mem::take(&mut recording.taps));
        let untaps = taps.map(|(port, _)| Output::Media(MediaCommand::Tap { port, tap: None }));
        self.out.extend(untaps);
        if begun {
            self.record_as(body, RecordingCommand::End);
            self.note_recording(body, note);
        }
    }

    /// The recording is over, though nobody has said that it should be.
    pub(crate) fn recording_ended(&mut self, call: &mut Call, ended: RecordingId) {
        let goes_on = call.body.recording.as_ref().is_some_and(|recording| !recording.is_over());
        if goes_on && call.body.recording_id(self.settings.worker) == Some(ended) {
            self.recording_failed(call);
        }
    }

    fn recording_failed(&mut self, call: &mut Call) {
        self.end_recording(&mut call.body, RecordingPhase::Failed);
        let required = self.settings.recording.as_ref().is_none_or(|rules| rules.required);
        if required && call.body.bounds.record.is_some() {
            let sentence = "the call has to be recorded, and cannot be";
            self.clear(call, &Failure::new(Cause::TEMPORARY_FAILURE, sentence));
        }
    }

    /// An operator wants something of the recording of a call. What cannot be done changes nothing.
    pub(crate) fn change_recording(&mut self, call: &mut Call, change: RecordingChange) {
        let stands = matches!(call.state, State::Talking(_) | State::Attending(_));
        let body = &mut call.body;
        let phase = body.recording.as_ref().map(|recording| recording.phase);
        let may_start = stands && self.settings.recording.is_some();
        match (change, phase) {
            (
                RecordingChange::Start(consent),
                None | Some(RecordingPhase::Stopped | RecordingPhase::Failed | RecordingPhase::Refused),
            ) if may_start => {
                let number = body.recording.as_ref().map_or(0, |recording| recording.number.wrapping_add(1));
                body.recording = Some(Box::new(Recording::new(number, consent)));
            }
            (RecordingChange::Stop, Some(RecordingPhase::Going | RecordingPhase::Paused))
                if body.bounds.record.is_none() =>
            {
                self.end_recording(body, RecordingPhase::Stopped);
            }
            (RecordingChange::Pause, Some(RecordingPhase::Going)) => {
                self.set_recording(body, RecordingPhase::Paused, RecordingCommand::Pause, RecordingNote::Paused);
            }
            (RecordingChange::Resume, Some(RecordingPhase::Paused)) => {
                self.set_recording(body, RecordingPhase::Going, RecordingCommand::Resume, RecordingNote::Resumed);
            }
            _ => {}
        }
    }

    fn set_recording(
        &mut self,
        body: &mut Body,
        phase: RecordingPhase,
        command: RecordingCommand,
        note: RecordingNote,
    ) {
        if let Some(recording) = &mut body.recording {
            recording.phase = phase;
            self.record_as(body, command);
            self.note_recording(body, note);
        }
    }

    fn record_as(&mut self, body: &Body, command: RecordingCommand) {
        if let Some(recording) = body.recording_id(self.settings.worker) {
            self.out.push_back(Output::Media(MediaCommand::Record { recording, command }));
        }
    }

    pub(crate) fn note_recording(&mut self, body: &Body, what: RecordingNote) {
        let number = body.recording.as_ref().map_or(0, |recording| recording.number);
        let call: CallId = body.cdr.call;
        self.note(Note::Recording { call, number, what });
    }
}

impl Body {
    /// A port that has closed is heard no more by itself, and another one may come to have its name.
    fn forget_closed_taps(&mut self) {
        let Self { recording, ports, .. } = self;
        let is_open = |id: PortId| ports.iter().any(|port| port.id == id && matches!(port.state, PortState::Open(_)));
        recording.iter_mut().for_each(|recording| recording.taps.retain(|(port, _)| is_open(*port)));
    }

    /// The call goes on here: what is said from now on is another recording.
    pub(crate) fn resume_recording(&mut self) {
        if let Some(recording) = self.recording.as_mut().filter(|recording| !recording.is_over()) {
            recording.number = recording.number.wrapping_add(1);
        }
    }
}

/// The port that a party's sound comes to, and what it may be coded in.
pub(crate) fn sound_of(ports: &[crate::state::Port], party: &Party) -> Option<(PortId, Vec<sx_media::Coding>)> {
    let open = ports.iter().filter(|port| port.leg == party.leg && matches!(port.state, PortState::Open(_)));
    let open = open.map(|port| (port.id, usize::from(port.stream)));
    sx_media::sound_of(&party.told.as_ref()?.text, party.said.as_ref()?, open)
}
