//! The call detail record: one for every call, with every attempt in it.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use sx_leg::{Address, Source};
use sx_media::PortStats;
use sx_types::{CallId, Cause, Codec, TraceId};

/// What is written of calls while they live, so that a crash loses no call detail record. The records of one call come in
/// this order, each at most once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CallRecord {
    /// The call was admitted. Times of answer and end, the cause and the attempts are not known yet.
    Begun(Box<Cdr>),
    /// The call was answered.
    Answered {
        /// The call.
        call: CallId,
        /// When, in nanoseconds since the Unix epoch.
        at: u64,
        /// By which target, as [`Attempt::target`] names it.
        by: Arc<str>,
    },
    /// The call is over. The record is complete and replaces all before it.
    Ended(Box<Cdr>),
    /// Another process goes on with the call: its record will be made there.
    Moved {
        /// The call.
        call: CallId,
        /// When, in nanoseconds since the Unix epoch.
        at: u64,
    },
    /// A recording of the call has ended, before the call or after it, and this is what there is of it. There is one of each
    /// recording.
    Recorded(Box<CallRecording>),
    /// Of no call: there are calls and nothing to say of them. Whoever finds that the process has died knows that they
    /// lasted until then at least.
    Alive {
        /// When, in nanoseconds since the Unix epoch.
        at: u64,
    },
}

/// One call. Times are nanoseconds since the Unix epoch, in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cdr {
    /// The call; the record's key.
    pub call: CallId,
    /// The story it belongs to.
    pub trace: TraceId,
    /// Where it came from.
    pub source: Source,
    /// Who the caller said it was.
    pub caller: Address,
    /// Whom the caller dialled.
    pub dialled: Address,
    /// When it came.
    pub start: u64,
    /// When the first target rang.
    pub ring: Option<u64>,
    /// When it was answered.
    pub answer: Option<u64>,
    /// When it ended; equals `start` in a record that is not complete.
    pub end: u64,
    /// Why it ended.
    pub cause: Cause,
    /// The protocol's own final status towards the caller; 0 when there was none.
    pub status: u16,
    /// Who ended it.
    pub ended_by: Ender,
    /// Every target that was tried, in the order it was tried in.
    pub attempts: Vec<Attempt>,
    /// The audio codec agreed on, when it was a known one.
    pub codec: Option<Codec>,
    /// What the media port that faced the caller counted, when the media was relayed.
    pub caller_media: Option<PortStats>,
    /// What the media port that faced the called party counted, when the media was relayed.
    pub called_media: Option<PortStats>,
}

/// What there is of a recording of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecording {
    /// The call.
    pub call: CallId,
    /// Which of its recordings it is, from 0.
    pub number: u8,
    /// When it ended, in nanoseconds since the Unix epoch.
    pub at: u64,
    /// It ended because it should, and all of it is there.
    pub complete: bool,
    /// Its files, as they lie on the disk.
    pub files: Vec<RecordingFile>,
}

/// A file of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingFile {
    /// Its name in the folder of recordings.
    pub name: Arc<str>,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ender {
    /// The calling party: it hung up, or gave up before anybody answered.
    Caller,
    /// The called party, or who has come in its place since: it hung up or refused.
    Called,
    /// One of the two. A record that an earlier version has written does not say which.
    Party,
    /// The exchange: the dial plan, a limit, or descriptions that do not go together.
    Exchange,
    /// An operator, who has ended the call or stopped the exchange.
    Operator,
    /// A timer of the exchange: nobody answered in time, a party was silent or owed an answer for too long, or the call
    /// lasted as long as it may.
    Timer,
    /// Nobody: a party could not be reached, or not any more.
    Failure,
    /// Nobody: the call was lost with the process that had it, and ended no earlier than its record says.
    Process,
}

/// One target that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// What was tried: `trunk:NAME`, `contact:URI` or `uri:URI`.
    pub target: Arc<str>,
    /// The address asked for there, after the dial plan.
    pub routed: Address,
    /// When it was tried.
    pub start: u64,
    /// When it rang.
    pub ring: Option<u64>,
    /// When it answered.
    pub answer: Option<u64>,
    /// When it ended.
    pub end: u64,
    /// Why it ended.
    pub cause: Cause,
    /// The protocol's own final status; 0 when there was none.
    pub status: u16,
}
