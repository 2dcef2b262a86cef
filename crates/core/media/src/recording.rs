//! Recording what the parties of a call say: what is recorded, which ports it is heard at, and what becomes of it.

use crate::transcoding::codings;
use crate::{Coding, MediaCommand, PortId, in_the_clear};
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

/// The port that a party's sound comes to, of those that are open, each with the number of its stream; and what it may be coded
/// in, by what the party was told and has said.
pub fn sound_of(
    told: &Bytes,
    said: &Bytes,
    mut open: impl Iterator<Item = (PortId, usize)>,
) -> Option<(PortId, Vec<Coding>)> {
    open.find_map(|(port, stream)| {
        let from = sent_sound(told, said, stream);
        (!from.is_empty()).then_some((port, from))
    })
}

/// What ports are to be told so that they are heard as `after` has them: first those that are heard no more, so that no voice
/// comes to a recording from two of them.
pub fn tap_changes(before: &[(PortId, Tap)], after: &[(PortId, Tap)]) -> impl Iterator<Item = MediaCommand> {
    let gone = before.iter().filter(|(port, _)| !after.iter().any(|(still, _)| still == port));
    let gone = gone.map(|(port, _)| MediaCommand::Tap { port: *port, tap: None });
    let other = after.iter().filter(|tap| !before.contains(tap));
    let other = other.map(|(port, tap)| MediaCommand::Tap { port: *port, tap: Some(Box::new(tap.clone())) });
    gone.chain(other)
}

/// Empty when the stream is no sound that can be read.
fn sent_sound(told: &Bytes, said: &Bytes, stream: usize) -> Vec<Coding> {
    let clear = in_the_clear(told).ok().zip(in_the_clear(said).ok());
    let sent = clear.and_then(|(told, said)| codings(&told, &said, stream));
    sent.map(|(from, _)| from).filter(|from| from.iter().any(Coding::is_sound)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_types::{Codec, PayloadType};

    #[test]
    fn only_what_differs_is_told_and_first_who_is_heard_no_more() {
        let tap = |port: u64, side, codec| {
            let from = vec![Coding::new(PayloadType(96), codec)];
            (PortId(port), Tap { recording: RecordingId(1), side, from })
        };
        let (caller, called) = (RecordingSide::Caller, RecordingSide::Called);
        let before = [tap(1, caller, Codec::Pcmu), tap(2, called, Codec::Pcmu), tap(3, called, Codec::Pcmu)];
        let after = [tap(4, called, Codec::Pcmu), tap(1, caller, Codec::Opus), tap(2, called, Codec::Pcmu)];
        let told: Vec<_> = tap_changes(&before, &after).collect();
        let heard = |(port, tap): &(PortId, Tap)| MediaCommand::Tap { port: *port, tap: Some(Box::new(tap.clone())) };
        let expected = [MediaCommand::Tap { port: PortId(3), tap: None }, heard(&after[0]), heard(&after[1])];
        assert_eq!(told, expected);
        assert_eq!(tap_changes(&after, &after).next(), None);
    }
}
