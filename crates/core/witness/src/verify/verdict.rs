//! What a verification says at the end.

use super::{Cosigner, Notice, Problem};
use crate::checkpoint::Checkpoint;

/// What has become of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many records it has, those included that were retired, and without those that are missing between others.
    pub records: u64,
    /// How many checkpoints in it hold.
    pub checkpoints: u64,
    /// The number of the first record that is still there.
    pub first: u64,
    /// The last checkpoint that holds. Kept somewhere else, it is the anchor of the next verification.
    pub last_signed: Option<Checkpoint>,
    /// How many records stand behind the last checkpoint that holds: nothing vouches for these yet.
    pub unsigned_tail: u64,
    /// How many bytes stand behind the last record that a torn write has left. What was in them was never acknowledged, or it is
    /// lost: no reader can tell.
    pub torn_bytes: u64,
    /// How many checkpoints have a cosignature in `checkpoints.jsonl`, and the witnesses they are by.
    pub cosigned: u64,
    /// These witnesses, by name.
    pub cosigners: Vec<Cosigner>,
    /// The places that took a checkpoint, as far as records say, each with the size of the last of these.
    pub anchored: Vec<(Box<str>, u64)>,
    /// What is wrong, in the order of the records; empty for an honest log. At most 100.
    pub problems: Vec<Problem>,
    /// How many problems there are beyond these.
    pub more_problems: u64,
    /// What is worth knowing, in no order. At most 100.
    pub notices: Vec<Notice>,
    /// How many notices there are beyond these.
    pub more_notices: u64,
}

impl Verdict {
    /// Is nothing wrong? The last write may be torn.
    pub fn is_honest(&self) -> bool {
        self.problems.is_empty() && self.more_problems == 0
    }

    /// Is nothing wrong but that the last write was torn, or may have been made to look so?
    pub fn is_torn(&self) -> bool {
        self.is_honest() && self.torn_bytes > 0
    }
}
