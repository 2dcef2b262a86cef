//! Recording what the parties of a call say: what is recorded, which ports it is heard at, and what becomes of it.

use crate::transcoding::codings;
use crate::{Coding, in_the_clear};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sx_types::{CallId, Consent, TraceId};

/// A recording of a call. Named as its ports are, `worker (16 bits) | call (40 bits) | number (8 bits)`: so it is unique
/// in the process among those that go on, and what becomes of it is told to its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordingId(pub u64);

/// Whose voice it is, of the two that a recording has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordingSide {
    /// The party that the call comes from, or who has come in its place.
    #[default]
    Caller,
    /// The party that it goes to, or who has come in its place.
    Called,
}

/// What is recorded, for whoever writes it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingTerms {
    /// The call.
    pub call: CallId,
    /// The story it belongs to.
    pub trace: TraceId,
    /// Which of the call's recordings it is, from 0.
    pub number: u8,
    /// The ground on which it is made.
    pub consent: Consent,
    /// Who the caller said it was.
    pub caller: Box<str>,
    /// Whom the caller dialled.
    pub dialled: Box<str>,
    /// What the call is named in the signalling of another system that has asked for it.
    pub signalled_as: Option<Box<str>>,
}

/// What is to become of a recording. Commands about one that is not going on are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordingCommand {
    /// Begin it. Until somebody is heard for it, it has silence.
    Begin(Box<RecordingTerms>),
    /// Leave out what is said from now on.
    Pause,
    /// Go on with what is said from now on.
    Resume,
    /// End it.
    End,
}

/// What a port's peer sends is heard for a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Which.
    pub recording: RecordingId,
    /// As whose voice.
    pub side: RecordingSide,
    /// What the peer may send.
    pub from: Vec<Coding>,
}

/// What a party may send on one of its streams, by what it was told and has said; empty when the stream is no sound that can
/// be read.
pub fn sent_sound(told: &Bytes, said: &Bytes, stream: usize) -> Vec<Coding> {
    let clear = in_the_clear(told).ok().zip(in_the_clear(said).ok());
    let sent = clear.and_then(|(told, said)| codings(&told, &said, stream));
    sent.map(|(from, _)| from).filter(|from| from.iter().any(Coding::is_sound)).unwrap_or_default()
}
