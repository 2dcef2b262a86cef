//! What is shown of a call.

use crate::control::Controls;
use crate::recording::RecordingPhase;
use crate::state::{Call, Place, PortState, State};
use std::sync::Arc;
use sx_leg::{Address, Source};
use sx_types::{CallId, TraceId};

/// What a list of calls shows of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSummary {
    /// The call.
    pub call: CallId,
    /// The story it belongs to.
    pub trace: TraceId,
    /// Where it came from.
    pub source: Source,
    /// Who the caller said it was.
    pub caller: Address,
    /// Whom the caller dialled.
    pub dialled: Address,
    /// When it came, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// When it was answered.
    pub answer: Option<u64>,
    /// Where it stands.
    pub phase: Phase,
    /// The room that somebody is in by it.
    pub room: Option<Arc<str>>,
    /// Who that is; `None` until they have come in.
    pub member: Option<Address>,
    /// Nobody there hears what they say.
    pub muted: bool,
    /// How its recording stands, the last if there were several.
    pub recording: Option<RecordingPhase>,
    /// Which of the call's recordings that is, from 0.
    pub recording_number: u8,
    /// Is it bound to be recorded?
    pub recorded: bool,
    /// Does its media pass through here?
    pub relayed: bool,
    /// What was asked of its parties: of the caller, and of the called one.
    pub controls: [Controls; 2],
}

/// Where a call stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody has answered yet.
    Ringing,
    /// Two parties are connected, or one is in a room.
    Talking,
    /// A party is being connected elsewhere.
    Transferring,
    /// It is being cleared.
    Ending,
}

pub(crate) fn summary_of(call: &Call) -> CallSummary {
    let cdr = &call.body.cdr;
    CallSummary {
        call: cdr.call,
        trace: cdr.trace,
        source: cdr.source.clone(),
        caller: cdr.caller.clone(),
        dialled: cdr.dialled.clone(),
        start: cdr.start,
        answer: cdr.answer,
        phase: call.state.phase(),
        room: call.body.place.as_ref().and_then(Place::room),
        member: call.state.member().map(|member| member.identity.address.clone()),
        muted: call.body.place.as_ref().is_some_and(|place| place.muted),
        recording: call.body.recording.as_ref().map(|recording| recording.shown()),
        recording_number: call.body.recording.as_ref().map_or(0, |recording| recording.number),
        recorded: call.body.bounds.record.is_some(),
        controls: call.state.controls(call.body.place.as_ref()),
        relayed: call.body.ports.iter().any(|port| matches!(port.state, PortState::Open(_))),
    }
}

impl State {
    fn phase(&self) -> Phase {
        match self {
            Self::Ringing(_) | Self::Inviting(_) => Phase::Ringing,
            Self::Talking(talking) if talking.transfer.is_none() => Phase::Talking,
            Self::Attending(_) => Phase::Talking,
            Self::Talking(_) | Self::Moving(_) | Self::Joining(_) => Phase::Transferring,
            Self::Ending => Phase::Ending,
        }
    }
}
