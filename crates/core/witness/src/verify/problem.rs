//! What can be wrong with a log, each in one sentence that says where.

use super::filed::FiledFault;
use super::words::{also, by_index, counted, cut, ended, held, missing, records, sized, were};
use crate::checkpoint::SignatureError;
use crate::line::Malformed;
use std::fmt;

/// So many problems are named; what is beyond is counted.
pub(super) const PROBLEMS_MAX: usize = 100;

/// A line of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment, by the number in its name.
    pub segment: u64,
    /// The line in it, from 1.
    pub line: u64,
}

/// What covers records that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// A line of `checkpoints.jsonl`, from 1.
    File(u64),
    /// A checkpoint that is known from elsewhere.
    Anchor,
    /// The number of records that is known from elsewhere.
    ExpectedSize,
}

/// Something that an honest log never has. `Display` is one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A record's hash is not the one that the next record names.
    #[error("record {record} ({at}) was changed: its hash is not the one that record {} names", record + 1)]
    Changed {
        /// Its number.
        record: u64,
        /// Where it stands.
        at: Place,
    },
    /// A record names another hash than that of the one before, and the next one does not name its hash.
    #[error(
        "record {record} ({at}) was changed: it does not name the hash of the record before, nor does the next name its hash"
    )]
    ChangedWithLink {
        /// Its number.
        record: u64,
        /// Where it stands.
        at: Place,
    },
    /// A line is no record.
    #[error("record {record} ({at}) was damaged: {fault}")]
    Unreadable {
        /// The number that the record in this place must have.
        record: u64,
        /// Where it stands.
        at: Place,
        /// Why it is none.
        fault: Malformed,
    },
    /// A record in its place has another number.
    #[error("record {record} ({at}) was changed or replaced: it says that it is record {says}")]
    Renumbered {
        /// The number it must have.
        record: u64,
        /// Where it stands.
        at: Place,
        /// The number it has.
        says: u64,
    },
    /// Records are not there.
    #[error("{} removed: {at} has record {} in the place of record {first}", were(*first, *last), last + 1)]
    Missing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
        /// What stands in their place.
        at: Place,
    },
    /// The end of a segment is not there, as its index or its last line has it, or it holds nothing.
    #[error("{}: {} missing", cut(*behind), records(*first, *last))]
    Cut {
        /// The last line that is there; line 0 of a segment without any.
        behind: Place,
        /// The first of the records that it has lost.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// Records are not there, and no index says whose they were.
    #[error(
        "{} missing behind {behind}: that segment was truncated, or {first:020}.jsonl was removed",
        records(*first, *last)
    )]
    Lost {
        /// The last line that is there.
        behind: Place,
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// No segment holds these records.
    #[error("{} missing: {first:020}.jsonl was removed, with any segment behind it up to record {last}", records(*first, *last))]
    SegmentMissing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// Records stand there again.
    #[error("{} there twice: {at} repeats what has been before", records(*first, *last))]
    Doubled {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
        /// Where they stand again.
        at: Place,
    },
    /// Two records have changed places.
    #[error("records {first} and {second} were swapped: record {second} stands in {at}")]
    Swapped {
        /// The one that must come first.
        first: u64,
        /// The one that stands in its place.
        second: u64,
        /// The place.
        at: Place,
    },
    /// A record stands elsewhere than it must.
    #[error("record {record} was moved: {at} is not its place or has another record in its place")]
    Moved {
        /// Its number.
        record: u64,
        /// Where that shows.
        at: Place,
    },
    /// A segment does not begin with the record in its name.
    #[error("segment {segment:020}.jsonl was renamed: it begins with record {first}")]
    Renamed {
        /// The number in its name.
        segment: u64,
        /// The record it begins with.
        first: u64,
    },
    /// A segment holds the records of another.
    #[error(
        "segment {segment:020}.jsonl was exchanged for another: it holds {}, and must begin with record {segment}",
        held(*first, *last)
    )]
    Exchanged {
        /// The number in its name.
        segment: u64,
        /// The first record that it holds.
        first: u64,
        /// The last.
        last: u64,
    },
    /// All records of a segment stand in others before it.
    #[error(
        "{} there twice: all that segment {segment:020}.jsonl holds stands in segments before it, so that it is a copy or they are",
        records(*first, *last)
    )]
    Copied {
        /// The number in its name.
        segment: u64,
        /// The first record that it holds.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A segment says to hold records that another one has held.
    #[error("{} there twice: {before:020}.jsonl holds them, and segment {segment:020}.jsonl is of the same", records(*segment, *last))]
    Overlap {
        /// The number in its name, which is that of the first of them.
        segment: u64,
        /// The last of them.
        last: u64,
        /// The segment that holds them, by the number in its name.
        before: u64,
    },
    /// A file is named as a segment of a part of the log that nothing leads to, and no record is in it.
    #[error(
        "segment {segment:020}.jsonl holds no record and does not begin with record {next}: it is none of the log's, or was emptied and {} missing",
        records(*next, segment - 1)
    )]
    Stray {
        /// The number in its name.
        segment: u64,
        /// The number that a segment must have there.
        next: u64,
    },
    /// A segment that is not the last ends within a line.
    #[error("{at} does not end, and is no record: record {record} was cut off, or that was put behind what was there")]
    Unfinished {
        /// The number that the record must have.
        record: u64,
        /// Where.
        at: Place,
    },
    /// The end of the log is not there.
    #[error(
        "the log was truncated{}: it has {}, and had at least {had} by {cover}{}{}",
        ended(*at),
        counted(*there, "record"),
        also(*more),
        cover.or_copied()
    )]
    Truncated {
        /// What says so.
        cover: Cover,
        /// How many records there were at least.
        had: u64,
        /// How many there are.
        there: u64,
        /// The last line that is there; line 0 of a segment without any.
        at: Option<Place>,
        /// How many other sizes, none of them larger, say the same.
        more: u64,
    },
    /// A record of kind `checkpoint` is none.
    #[error("the checkpoint in record {record} ({at}) is not in its form")]
    CheckpointForm {
        /// The record's number.
        record: u64,
        /// Where it stands.
        at: Place,
    },
    /// A checkpoint covers another number of records than stand before it.
    #[error("the checkpoint in record {record} ({at}) was forged: it covers {}", counted(*says, "record"))]
    CheckpointSize {
        /// The record's number, which it must cover all the records before.
        record: u64,
        /// Where it stands.
        at: Place,
        /// The size it names.
        says: u64,
    },
    /// A checkpoint's root is not that of the records before it.
    #[error(
        "the root in the checkpoint in record {record} ({at}) is not that of the records before it: of them, one from record {since} on was changed{}",
        by_index(*indexed)
    )]
    CheckpointRoot {
        /// The record's number.
        record: u64,
        /// Where it stands.
        at: Place,
        /// The number of records that were covered before.
        since: u64,
        /// The first of these records that is another in the index of its segment.
        indexed: Option<u64>,
    },
    /// A checkpoint is not signed by the key in force.
    #[error("the checkpoint in record {record} ({at}) was forged: {fault}, and the key in force is {key}")]
    CheckpointSignature {
        /// The record's number.
        record: u64,
        /// Where it stands.
        at: Place,
        /// What is wrong.
        fault: SignatureError,
        /// The key in force: its name and its id.
        key: Box<str>,
    },
    /// A line of `checkpoints.jsonl` does not fit the log.
    #[error("line {line} of checkpoints.jsonl{} does not hold: {fault}", sized(*size))]
    Filed {
        /// The line, from 1.
        line: u64,
        /// The size it names, if that can be read.
        size: Option<u64>,
        /// What is wrong.
        fault: FiledFault,
    },
    /// The log is not the one whose checkpoint is known from elsewhere.
    #[error("the first {size} records are not those of the checkpoint known from elsewhere: the log was rewritten")]
    Anchor {
        /// The anchor's size.
        size: u64,
    },
    /// Record 0 does not begin a log of this format.
    #[error("record 0 ({at}) does not begin a log of format 1")]
    Begin {
        /// Where it stands.
        at: Place,
    },
    /// The log is not signed by the key it is verified with. What else is wrong was found with the key that record 0 names.
    #[error("the key given, {given}, is not the one that signed the log: record {record} names {signer}")]
    OtherKey {
        /// The key given: its name and its id.
        given: Box<str>,
        /// The record that names another: record 0, or where that is gone the one that holds the first checkpoint.
        record: u64,
        /// That key: its name and its id.
        signer: Box<str>,
    },
    /// The key given has signed the log, and record 0 names another.
    #[error("record 0 ({at}) names another key than the one that signed the log, {key}")]
    BegunWithAnother {
        /// Where it stands.
        at: Place,
        /// The key that it names: its name and its id.
        key: Box<str>,
    },
    /// A record about the log itself lacks what it must say.
    #[error("record {record} ({at}) about the log itself does not say what it must")]
    Statement {
        /// Its number.
        record: u64,
        /// Where it stands.
        at: Place,
    },
    /// A record says one thing more than any log has to say, and more than is remembered.
    #[error("record {record} ({at}) names one {what} too many: no log has more than {max}")]
    TooMany {
        /// Its number.
        record: u64,
        /// Where it stands.
        at: Place,
        /// What it names.
        what: &'static str,
        /// So many may be named.
        max: u64,
    },
    /// Records are gone that no record has retired.
    #[error("{} not there and no record has retired them: {}", records(*first, *last), missing(*segment, *segments))]
    NotRetired {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
        /// The first segment that is not there, by the number in its name.
        segment: u64,
        /// How many segments hold them.
        segments: u64,
    },
    /// A segment is gone, and its index does not have the records that it held.
    #[error("{} missing: {segment:020}.jsonl is gone, and {segment:020}.index does not have them: it was emptied or truncated", records(*first, *last))]
    NoIndex {
        /// The number in the names of both.
        segment: u64,
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// An index entry is not that of the record.
    #[error("{segment:020}.index was changed: its entry for record {record} does not fit the segment")]
    Index {
        /// The number in its name.
        segment: u64,
        /// The first record whose entry is wrong.
        record: u64,
    },
    /// An index is for no segment that was verified.
    #[error("{segment:020}.index belongs to no segment")]
    IndexAlone {
        /// The number in its name.
        segment: u64,
    },
    /// No checkpoint holds, although nothing else is wrong.
    #[error("nothing in the log is signed by its key: anybody could have written it")]
    Unsigned,
    /// `key.pub` holds none of the log's keys.
    #[error("key.pub holds none of the keys of the log")]
    KeyFile,
}

impl Problem {
    /// The number of the first record it is about; those about no record come last.
    pub fn record(&self) -> u64 {
        match self {
            Self::Changed { record, .. }
            | Self::ChangedWithLink { record, .. }
            | Self::Unreadable { record, .. }
            | Self::Renumbered { record, .. }
            | Self::Moved { record, .. }
            | Self::Unfinished { record, .. }
            | Self::CheckpointForm { record, .. }
            | Self::CheckpointSize { record, .. }
            | Self::CheckpointRoot { record, .. }
            | Self::CheckpointSignature { record, .. }
            | Self::OtherKey { record, .. }
            | Self::Statement { record, .. }
            | Self::TooMany { record, .. }
            | Self::Index { record, .. } => *record,
            Self::Missing { first, .. }
            | Self::SegmentMissing { first, .. }
            | Self::Cut { first, .. }
            | Self::Lost { first, .. }
            | Self::Doubled { first, .. }
            | Self::Copied { first, .. }
            | Self::Swapped { first, .. }
            | Self::NotRetired { first, .. }
            | Self::NoIndex { first, .. } => *first,
            Self::Renamed { segment, .. }
            | Self::Stray { segment, .. }
            | Self::Exchanged { segment, .. }
            | Self::Overlap { segment, .. }
            | Self::IndexAlone { segment } => *segment,
            Self::Truncated { there, .. } => *there,
            Self::Filed { size, .. } => size.unwrap_or(0),
            Self::Anchor { size } => *size,
            Self::Begin { .. } | Self::BegunWithAnother { .. } => 0,
            Self::KeyFile | Self::Unsigned => u64::MAX,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}.jsonl, line {}", self.segment, self.line)
    }
}

impl fmt::Display for Cover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(line) => {
                write!(f, "the checkpoint in line {line} of checkpoints.jsonl, its own record included")
            }
            Self::Anchor => f.write_str("a checkpoint known from elsewhere"),
            Self::ExpectedSize => f.write_str("what is known from elsewhere"),
        }
    }
}
