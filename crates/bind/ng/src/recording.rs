//! Recordings of calls, as proxies ask for them.
//!
//! ```text
//!            start                      the first answer
//!   (none) ────────► wanted ─────────────────────────────► going ◄── start ── paused
//!      ▲                │ stop                              │ │ └──── pause ────► │
//!      └────────────────┴───────── stop, the call is deleted, a fault ────────────┘
//! ```
//!
//! Whose ports are heard follows from where the call stands: the two sides of the branch that was answered last. A call that
//! begins again is another recording.

use crate::call::{Call, PortState, Side};
use crate::engine::{NgCalls, Output, Progress};
use crate::reply::Reply;
use sx_engine::Time;
use sx_media::{
    MediaCommand, PortId, RecordingCommand, RecordingId, RecordingSide, RecordingTerms, Tap, sound_of, tap_changes,
};
use sx_ng::{Command, Dictionary, Request, Value};

use sx_types::{CallId, Consent, TraceId};

/// What has become of a recording, to be written down before it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingNote {
    /// The name of the call in recordings.
    pub call: CallId,
    /// Counted up from zero in each call.
    pub number: u8,
    /// What it has become.
    pub what: RecordingState,
}

/// What a recording has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingState {
    /// It begins.
    Begun {
        /// On what ground.
        consent: Consent,
        /// The Call-ID that the proxy has named.
        signalled_as: Box<str>,
    },
    /// What is said now is not in it.
    Paused,
    /// What is said now is in it again.
    Resumed,
    /// Somebody has ended it, or the call is over.
    Ended,
    /// It could not go on.
    Failed,
}

/// What is recorded of a call.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// The name of the call in recordings; it has one from the first on.
    call: Option<CallId>,
    /// How many there were.
    count: u8,
    current: Option<Recording>,
}

/// A recording that was asked for and has not ended.
#[derive(Debug)]
struct Recording {
    number: u8,
    phase: Phase,
    paused: bool,
    /// What the ports were told.
    taps: Vec<(PortId, Tap)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nobody has answered yet.
    Wanted,
    /// It was begun.
    Begun,
}

impl NgCalls {
    /// A call is to be recorded, or not, or not for now.
    pub(crate) fn change_recording(&mut self, now: Time, call: &mut Call, request: &Request<'_>) -> Progress {
        let pauses = request.command == Command::PauseRecording || request.control.pauses;
        let done = match request.command {
            Command::StartRecording => self.start_recording(now, call, request),
            _ if pauses => self.pause_recording(call),
            _ => {
                self.end_recording(call);
                Ok(Reply::Ok)
            }
        };
        call.signalled = now;
        Progress::Done(done.unwrap_or_else(Reply::error))
    }

    fn start_recording(&mut self, now: Time, call: &mut Call, request: &Request<'_>) -> Result<Reply, &'static str> {
        if request.control.output.is_some() {
            return Err("This media engine names its recordings by itself");
        }
        let rules = self.settings.recording.as_ref().ok_or(NOT_RECORDED)?;
        let heard =
            |side: &Side| heard(side).is_some_and(|(_, from)| from.iter().any(|of| rules.codecs.contains(&of.codec)));
        if call.talking_branch().is_some_and(|branch| !branch.sides.iter().any(heard)) {
            return Err("This media engine cannot decode what the participants say");
        }
        self.want_recording(now, call);
        let recorded = &call.recorded;
        let name = recorded.call.zip(recorded.current.as_ref()).map(|(id, current)| format!("{id}-{}", current.number));
        let name = name.map(Value::text).into_iter();
        Ok(Reply::Report(name.fold(Dictionary::default(), |report, name| report.with("recording", name))))
    }

    /// Has the call recorded from now on, or from its answer.
    fn want_recording(&mut self, now: Time, call: &mut Call) {
        let id = self.rng.u64();
        let random = u128::from(id) << 64 | u128::from(self.rng.u64());
        let unix_ms = now.as_nanos() / 1_000_000;
        call.recorded.call.get_or_insert_with(|| CallId::new(unix_ms, random));
        match &mut call.recorded.current {
            Some(current) => {
                let was_paused = std::mem::take(&mut current.paused);
                if was_paused && current.phase == Phase::Begun {
                    self.note(call, RecordingState::Resumed);
                    self.record(call, RecordingCommand::Resume);
                }
            }
            None => {
                let number = call.recorded.count;
                call.recorded.count = number.wrapping_add(1);
                let current = Recording { number, phase: Phase::Wanted, paused: false, taps: Vec::new() };
                call.recorded.current = Some(current);
            }
        }
        self.keep_recording(call);
    }

    /// An offer or an answer may say that the call is to be recorded; who has nowhere to record to passes that over.
    pub(crate) fn record_as_wished(&mut self, now: Time, call: &mut Call, request: &Request<'_>) {
        let is_new = call.recorded.count == 0;
        if request.options.record_call && is_new && self.settings.recording.is_some() {
            self.want_recording(now, call);
        }
    }

    fn pause_recording(&mut self, call: &mut Call) -> Result<Reply, &'static str> {
        if self.settings.recording.is_none() {
            return Err(NOT_RECORDED);
        }
        let current = call.recorded.current.as_mut().ok_or("This call is not recorded")?;
        let was_paused = std::mem::replace(&mut current.paused, true);
        if !was_paused && current.phase == Phase::Begun {
            self.note(call, RecordingState::Paused);
            self.record(call, RecordingCommand::Pause);
        }
        Ok(Reply::Ok)
    }

    /// Has the parties heard as they are connected now; of a call that is over the recording ends.
    pub(crate) fn keep_recording(&mut self, call: &mut Call) {
        if call.recorded.current.is_none() {
            return;
        }
        if call.branches.iter().all(|branch| branch.ends.is_some()) {
            return self.end_recording(call);
        }
        let heard = call.talking_branch().map(|branch| [&branch.sides[0], &branch.sides[1]].map(heard));
        let Some(heard) = heard else { return };
        self.begin_recording(call);
        let Some(recording) = call.recording_id(self.settings.worker) else { return };
        let sides = [RecordingSide::Caller, RecordingSide::Called];
        let taps = heard.into_iter().zip(sides).filter_map(|(heard, side)| {
            let (port, from) = heard?;
            Some((port, Tap { recording, side, from }))
        });
        let taps: Vec<_> = taps.collect();
        let Some(current) = &mut call.recorded.current else { return };
        self.out.extend(tap_changes(&current.taps, &taps).map(Output::Media));
        current.taps = taps;
    }

    fn begin_recording(&mut self, call: &mut Call) {
        let (Some(rules), Some(id)) = (&self.settings.recording, call.recorded.call) else { return };
        let consent = rules.consent;
        let Some(current) = call.recorded.current.as_mut().filter(|current| current.phase == Phase::Wanted) else {
            return;
        };
        current.phase = Phase::Begun;
        let (number, paused) = (current.number, current.paused);
        let terms = RecordingTerms {
            call: id,
            trace: TraceId::from(id),
            number,
            consent,
            caller: "".into(),
            dialled: "".into(),
            signalled_as: Some(String::from_utf8_lossy(&call.id).into()),
        };
        let signalled_as = terms.signalled_as.clone().unwrap_or_default();
        self.note(call, RecordingState::Begun { consent, signalled_as });
        self.record(call, RecordingCommand::Begin(Box::new(terms)));
        if paused {
            self.note(call, RecordingState::Paused);
            self.record(call, RecordingCommand::Pause);
        }
    }

    /// Ends the recording, if one goes on.
    pub(crate) fn end_recording(&mut self, call: &mut Call) {
        if call.recorded.current.as_ref().is_some_and(|current| current.phase == Phase::Begun) {
            self.note(call, RecordingState::Ended);
        }
        self.drop_recording(call);
    }

    fn drop_recording(&mut self, call: &mut Call) {
        let Some(current) = &mut call.recorded.current else { return };
        let taps = std::mem::take(&mut current.taps);
        let untaps = taps.into_iter().map(|(port, _)| Output::Media(MediaCommand::Tap { port, tap: None }));
        self.out.extend(untaps);
        if current.phase == Phase::Begun {
            self.record(call, RecordingCommand::End);
        }
        call.recorded.current = None;
    }

    /// A recording is over; one that nobody has ended has failed.
    pub(crate) fn recording_ended(&mut self, call: &mut Call, ended: RecordingId) {
        if call.recording_id(self.settings.worker) == Some(ended) {
            self.note(call, RecordingState::Failed);
            self.drop_recording(call);
        }
    }

    fn record(&mut self, call: &Call, command: RecordingCommand) {
        if let Some(recording) = call.recording_id(self.settings.worker) {
            self.out.push_back(Output::Media(MediaCommand::Record { recording, command }));
        }
    }

    fn note(&mut self, call: &Call, what: RecordingState) {
        if let (Some(id), Some(current)) = (call.recorded.call, &call.recorded.current) {
            self.out.push_back(Output::Recording(RecordingNote { call: id, number: current.number, what }));
        }
    }
}

impl Call {
    fn recording_id(&self, worker: u16) -> Option<RecordingId> {
        let number = self.recorded.current.as_ref()?.number;
        Some(RecordingId(u64::from(worker) << 48 | self.unique << 8 | u64::from(number)))
    }
}

/// The port that a party's sound comes to, and what it may be coded in.
fn heard(side: &Side) -> Option<(PortId, Vec<sx_media::Coding>)> {
    let open = side.ports.iter().filter(|port| matches!(port.state, PortState::Open(_)));
    sound_of(side.told.as_ref()?, side.said.as_ref()?, open.map(|port| (port.id, port.stream)))
}

const NOT_RECORDED: &str = "This media engine is not configured to record calls: [recording] and ng.recording_consent";
