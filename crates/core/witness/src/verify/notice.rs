//! What is worth knowing of a log in which nothing need be wrong, each in one sentence.

use super::problem::Place;
use super::words::{counted, records, refusal};

/// Something worth knowing that an honest log may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// The last write was cut short when the power failed, or the process died.
    #[error("the log ends in {bytes} bytes of a write that was torn ({at}): not acknowledged, or lost")]
    TornTail {
        /// Where.
        at: Place,
        /// How many bytes.
        bytes: u64,
    },
    /// `checkpoints.jsonl` ends in a write that was cut short.
    #[error("checkpoints.jsonl ends in {bytes} bytes of a write that was torn, from line {line} on")]
    TornCheckpoints {
        /// The line, from 1.
        line: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// A checkpoint of retired records is signed by a key that nothing present names.
    #[error("line {line} of checkpoints.jsonl is signed by a key that only retired records name")]
    RetiredKey {
        /// The line, from 1.
        line: u64,
    },
    /// Records that were retired are still there.
    #[error("{} still there although a record has retired them", records(*first, *last))]
    StillThere {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// Nothing has signed the end of the log, and a writer that could write would have.
    #[error(
        "the last {records} records, of {seconds} s, are not signed: the disk has refused the writer, or they are not its own"
    )]
    LongTail {
        /// How many records.
        records: u64,
        /// The time from the first of them to the last.
        seconds: u64,
    },
    /// A record tells of a cosignature that is not where it must be.
    #[error(
        "a cosignature is missing: record {record} says that {by} has cosigned the checkpoint of {}, and checkpoints.jsonl does not have it",
        counted(*size, "record")
    )]
    CosignatureMissing {
        /// The record that tells of it.
        record: u64,
        /// How many records the checkpoint covers.
        size: u64,
        /// The name of the witness's key.
        by: Box<str>,
    },
    /// A witness that is known to cosign the log has cosigned nothing that is there.
    #[error("cosignatures are missing: none in checkpoints.jsonl is by the witness {by}")]
    NeverCosigned {
        /// The name of its key.
        by: Box<str>,
    },
    /// A place has refused a checkpoint, since it had seen another state of the log.
    #[error(
        "record {record} says that {by} {}: the log was set back to an older state then, or rewritten, or that place is shown another log as this one",
        refusal(*cosigned)
    )]
    AnchorRefused {
        /// The record that tells of it.
        record: u64,
        /// The place, as the record names it.
        by: Box<str>,
        /// How many records it had cosigned, when that was more than the log had.
        cosigned: Option<u64>,
    },
    /// The log is signed, and `checkpoints.jsonl` has nothing.
    #[error(
        "checkpoints.jsonl has no checkpoint: no witness has cosigned any that is there, and nothing tells whether the end of the log was cut off"
    )]
    NothingFiled,
    /// Nothing is signed yet: the log has no more than its first record.
    #[error("nothing is signed: the log has no checkpoint")]
    NothingSigned,
    /// What retires records is not signed yet.
    #[error("record {record}, which retires others, is not covered by a checkpoint yet")]
    RetiredUnsigned {
        /// Its number.
        record: u64,
    },
}

/// Notices up to a number; what is beyond is counted.
#[derive(Debug, Default)]
pub(super) struct Notices {
    pub(super) kept: Vec<Notice>,
    pub(super) more: u64,
}

/// So many are kept.
pub(super) const NOTICES_MAX: usize = 100;

impl Notices {
    pub(super) fn push(&mut self, notice: Notice) {
        if self.kept.len() < NOTICES_MAX { self.kept.push(notice) } else { self.more += 1 }
    }
}
