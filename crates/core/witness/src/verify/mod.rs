//! Verifying a whole log.
//!
//! ```text
//!  each segment, on any thread:  SegmentCheck::feed … finish ──► SegmentReport ─┐
//!  in order of their numbers:    Verification::checkpoints_file, then  take, missing, index_file … finish ──► Verdict
//! ```

mod ending;
mod exchanged;
mod filed;
mod judge;
mod keys;
mod notice;
mod order;
mod parts;
mod problem;
mod segment;
mod shown;
mod tail;
mod verdict;
mod words;

pub use filed::{
    CHECKPOINT_LINE_BYTES_MAX, CHECKPOINTS_APPEND_BYTES_MAX, FiledFault, checkpoint_line, parse_checkpoint_line,
};
pub use judge::RETIRED_MAX;
pub use keys::KEYS_MAX;
pub use notice::Notice;
pub use problem::{Cover, Place, Problem};
pub use segment::{SegmentCheck, SegmentReport};
pub use shown::Cosigner;
pub use shown::PLACES_MAX;
pub use tail::{Tail, lines_end};
pub use verdict::Verdict;

use crate::chain::{INDEX_ENTRY_BYTES, IndexEntry};
use crate::checkpoint::Checkpoint;
use crate::hash::Hash;
use crate::key::VerifyingKey;
use crate::tree::Frontier;
use ending::{Ending, Stray};
use filed::Filed;
use keys::Keys;
use notice::Notices;
use order::Order;
use problem::PROBLEMS_MAX;
use segment::Break;
use sha2::{Digest as _, Sha256};
use shown::Shown;
use std::collections::{BTreeMap, BTreeSet};
use sx_engine::Time;

/// What an auditor knows besides the log's key.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Checkpoints that were seen before, which the log must still contain. Their roots are compared; whoever kept them has
    /// checked their signatures then.
    pub anchors: Vec<Checkpoint>,
    /// How many records there are at least.
    pub expect_size: Option<u64>,
    /// The keys of witnesses whose cosignatures must hold where they stand.
    pub witnesses: Vec<VerifyingKey>,
}

/// Puts the reports of a log's segments together. Its memory grows with the number of segments and of checkpoints, not of
/// records; of what these say there are limits ([`KEYS_MAX`], [`RETIRED_MAX`], [`PLACES_MAX`]), beyond which it is an accusation.
///
/// The key is the one that the log was begun with; when the record that changed it has been retired, it is the key
/// in force after that.
#[derive(Debug)]
pub struct Verification {
    options: Options,
    keys: Keys,
    /// The number of the next record.
    next: u64,
    first_present: Option<u64>,
    /// The hash of the last record, if it was one.
    last: Option<Hash>,
    last_place: Place,
    pending: Option<Break>,
    tree: Frontier,
    /// Records from here on cannot be what was signed, so that roots above are not compared.
    sound: u64,
    /// Sizes at which the root is to be remembered, and the roots.
    wanted: BTreeSet<u64>,
    roots: BTreeMap<u64, Hash>,
    /// The hash of the note of each checkpoint that a record holds, by its size.
    recorded: BTreeMap<u64, Hash>,
    filed: Vec<Filed>,
    absent: Vec<(u64, u64)>,
    /// A segment that begins with a later record than its name says.
    held: Option<Box<SegmentReport>>,
    /// The segment taken last has the records of another: how many are lacking shows in the name of the next.
    is_gap_open: bool,
    /// The part that was taken last.
    ending: Ending,
    /// Segments without a record that stand behind it.
    strays: Vec<Stray>,
    /// The segments that are gone, by the numbers in their names.
    gone: BTreeSet<u64>,
    /// Only some segments are read: of the others, those in these ranges, only the hashes are known.
    unread: Option<Vec<(u64, u64)>>,
    /// Ranges that records have retired, and the numbers of these records.
    retired: Vec<(u64, u64, u64)>,
    indexes: BTreeMap<u64, Indexed>,
    /// The last segment taken, for an index that does not agree.
    entries: Vec<IndexEntry>,
    entries_of: u64,
    /// Indexes that disagree, and the first record for which they do.
    index_faults: Vec<(u64, u64)>,
    /// Sizes that the log must have had and has not, and what says so.
    cut: BTreeMap<u64, Cover>,
    /// So many records are missing, as the names of segments have it; so many of them before the last checkpoint that holds.
    lacking: u64,
    lacking_signed: u64,
    checkpoints: u64,
    last_signed: Option<Checkpoint>,
    /// When the first record behind that was made, and when the last of all.
    unsigned_since: Option<Time>,
    last_time: Option<Time>,
    key_file: Option<String>,
    shown: Shown,
    torn_bytes: u64,
    problems: Vec<Problem>,
    more: u64,
    notices: Notices,
}

/// What the index of a segment must be.
#[derive(Debug)]
struct Indexed {
    hash: Hash,
    /// Something is wrong with the segment itself, so that its index says nothing more.
    in_doubt: bool,
}

impl Verification {
    /// Of the log that this key signs for.
    pub fn new(key: VerifyingKey, options: Options) -> Self {
        Self::of_keys(Keys::new(Some(key)), options)
    }

    /// Of a log whose key nobody has: its checkpoints are held against the key that it names itself, if the record is there that does.
    /// This finds damage, and no forgery.
    pub fn without_key(options: Options) -> Self {
        Self::of_keys(Keys::new(None), options)
    }

    fn of_keys(keys: Keys, options: Options) -> Self {
        let wanted: BTreeSet<u64> = options.anchors.iter().map(|anchor| anchor.size).collect();
        Self {
            keys,
            next: 0,
            first_present: None,
            last: Some(Hash::ZERO),
            last_place: Place { segment: 0, line: 0 },
            pending: None,
            tree: Frontier::new(),
            sound: u64::MAX,
            roots: wanted.contains(&0).then(|| (0, Frontier::new().root())).into_iter().collect(),
            wanted,
            recorded: BTreeMap::new(),
            filed: Vec::new(),
            absent: Vec::new(),
            held: None,
            is_gap_open: false,
            ending: Ending::Unknown,
            strays: Vec::new(),
            gone: BTreeSet::new(),
            unread: None,
            retired: Vec::new(),
            indexes: BTreeMap::new(),
            entries: Vec::new(),
            entries_of: u64::MAX,
            index_faults: Vec::new(),
            cut: BTreeMap::new(),
            lacking: 0,
            lacking_signed: 0,
            checkpoints: 0,
            last_signed: None,
            unsigned_since: None,
            last_time: None,
            key_file: None,
            shown: Shown::default(),
            torn_bytes: 0,
            problems: Vec::new(),
            more: 0,
            notices: Notices::default(),
            options,
        }
    }

    /// Takes the report of the next segment, in the order of their names.
    pub fn take(&mut self, report: SegmentReport) {
        self.arrive(Some(report.first));
        if report.first > self.next && report.runs.iter().all(|run| run.seq.is_none()) {
            return self.keep_stray(report);
        }
        self.place_strays();
        if let Some(report) = self.take_copy(report).and_then(|report| self.take_exchanged(report)) {
            self.place(report);
        }
    }

    /// Takes a segment that stands where it belongs, or of which that must be said.
    fn place(&mut self, mut report: SegmentReport) {
        self.more += report.more;
        if let Some(notice) = report.notice.take() {
            self.notices.push(notice);
        }
        self.torn_bytes = report.torn_bytes;
        let renamed = self.find_place(&report);
        let start = self.next;
        let order = Order::judge(&report.runs, report.first, start);
        let (ordered, next, repeats) = (order.problems.is_empty() && !renamed, order.next, order.repeats());
        if !order.is_complete() {
            let in_order = report.runs.first().filter(|run| run.seq == Some(start)).map_or(0, |run| run.len);
            self.sound = self.sound.min(start.saturating_add(in_order));
        }
        for problem in report.problems.drain(..).chain(order.problems) {
            self.push(problem);
        }
        self.first_present.get_or_insert(start);
        if let Some((first, last)) = report.times {
            self.unsigned_since.get_or_insert(first);
            self.last_time = Some(last);
        }
        if !report.hashes.is_empty() {
            self.judge_links(&report, start);
            self.read_records(&report, start, &repeats);
            self.next = next;
            let readable = report.runs.last().is_some_and(|run| run.seq.is_some());
            let last = repeats.last_but(report.hashes.len());
            self.last = last.and_then(|line| report.hashes.get(line)).copied().filter(|_| readable);
            self.last_place = report.place(last.map_or(0, |line| line as u64 + 1));
        }
        self.ending = Ending::of(&report);
        self.expect_index(&report, ordered && self.sound >= self.next);
    }

    /// Compares the index of a segment that was taken. What is wrong is named to the record when the segment is the one taken last.
    pub fn index_file(&mut self, first: u64, bytes: &[u8]) {
        let count = (bytes.len() / INDEX_ENTRY_BYTES) as u64;
        if self.is_of_stray(first, count) {
            return;
        }
        let Some(indexed) = self.indexes.get(&first) else {
            return self.push(Problem::IndexAlone { segment: first });
        };
        let (is_equal, in_doubt) = (indexed.hash == Hash::of(bytes), indexed.in_doubt);
        let entries = if self.entries_of == first { self.entries.as_slice() } else { &[] };
        let mut chunks = bytes.chunks(INDEX_ENTRY_BYTES);
        let equal = entries.iter().take_while(|entry| chunks.next() == Some(entry.to_bytes().as_slice())).count();
        let is_longer = equal == entries.len() && count > equal as u64;
        if let Ending::Segment { segment, lines, indexed, is_index_longer } = &mut self.ending
            && *segment == first
            && (is_equal || is_longer || in_doubt && count > *lines)
        {
            *indexed = Some(first.saturating_add(count));
            *is_index_longer = !(is_equal || in_doubt);
        } else if !(is_equal || in_doubt) {
            self.index_faults.push((first, first.saturating_add(equal as u64)));
        }
    }

    /// Compares `key.pub`, which holds one of the log's keys.
    pub fn key_file(&mut self, text: &str) {
        self.key_file = Some(text.trim_end_matches('\n').to_owned());
    }

    /// All was read: what has become of the log?
    pub fn finish(mut self) -> Verdict {
        self.arrive(None);
        self.judge_strays();
        self.settle_pending();
        self.judge_keys();
        self.judge_indexes();
        self.judge_filed();
        self.judge_anchors();
        self.judge_cut();
        self.judge_retired();
        if self.key_file.as_ref().is_some_and(|text| !self.keys.may_have(text)) {
            self.push(Problem::KeyFile);
        }
        self.judge_unsigned();
        self.look_at_tail();
        self.look_for_checkpoints();
        self.look_for_cosignatures();
        // That records are gone may follow from what became of the record that retired them, so it is said last.
        self.problems.sort_by_key(|problem| (matches!(problem, Problem::NotRetired { .. }), problem.record()));
        if self.keys.is_other() {
            // What holds against the key that the log names itself is signed by nobody the auditor knows.
            (self.checkpoints, self.lacking_signed, self.last_signed) = (0, 0, None);
        }
        Verdict {
            records: self.next.saturating_sub(self.lacking),
            checkpoints: self.checkpoints,
            first: self.first_present.unwrap_or(self.next),
            unsigned_tail: self.unsigned_tail(),
            last_signed: self.last_signed,
            torn_bytes: self.torn_bytes,
            cosigned: self.shown.cosigned(),
            cosigners: self.shown.cosigners(&self.options),
            anchored: self.shown.places(),
            problems: self.problems,
            more_problems: self.more,
            notices: self.notices.kept,
            more_notices: self.notices.more,
        }
    }

    fn unsigned_tail(&self) -> u64 {
        let signed = self.last_signed.as_ref().map_or(0, |checkpoint| checkpoint.size + 1);
        self.next.saturating_sub(signed).saturating_sub(self.lacking - self.lacking_signed)
    }

    /// Does the segment begin where the last one ended? True when it was renamed.
    fn find_place(&mut self, report: &SegmentReport) -> bool {
        let begins = report.runs.first().and_then(|run| run.seq).unwrap_or(report.first);
        let rest_follows = report.runs.len() == 1;
        let renamed = begins != report.first && rest_follows && (begins == self.next || report.first != self.next);
        if renamed {
            self.push(Problem::Renamed { segment: report.first, first: begins });
        }
        self.stand_at(if renamed { begins } else { report.first });
        renamed
    }

    /// What comes next says to begin with this record.
    fn stand_at(&mut self, first: u64) {
        if first > self.next {
            self.lack(first);
        } else if first < self.next {
            let before = self.ending.place().map_or(0, |place| place.segment);
            self.push(Problem::Overlap { segment: first, last: self.next - 1, before });
            self.last = None;
        } else {
            self.judge_ending();
        }
        self.next = first;
    }

    /// Adds a record to the tree as long as it is the one that was signed.
    fn grow(&mut self, hash: &Hash) {
        if self.tree.size() >= self.sound {
            return;
        }
        self.tree.push_record(hash);
        let size = self.tree.size();
        if self.wanted.contains(&size) {
            self.roots.insert(size, self.tree.root());
        }
    }

    fn expect_index(&mut self, report: &SegmentReport, sound: bool) {
        let entries = report.offsets.iter().zip(&report.hashes);
        self.entries.clear();
        self.entries.extend(entries.map(|(offset, hash)| IndexEntry { offset: *offset, hash: *hash }));
        self.entries_of = report.first;
        let mut hasher = Sha256::new();
        self.entries.iter().for_each(|entry| hasher.update(entry.to_bytes()));
        let indexed = Indexed { hash: Hash(hasher.finalize().into()), in_doubt: !sound };
        self.indexes.insert(report.first, indexed);
    }

    fn is_absent(&self, record: u64) -> bool {
        let unread = self.unread.iter().flatten();
        self.absent.iter().chain(unread).any(|(first, last)| (*first..=*last).contains(&record))
    }

    fn push(&mut self, problem: Problem) {
        // A problem of a checkpoint or a file does not make the records before it others than they are.
        let spoils = !matches!(
            problem,
            Problem::CheckpointForm { .. }
                | Problem::CheckpointSize { .. }
                | Problem::CheckpointSignature { .. }
                | Problem::Filed { .. }
                | Problem::Index { .. }
                | Problem::IndexAlone { .. }
                | Problem::Statement { .. }
                | Problem::TooMany { .. }
                | Problem::Begin { .. }
                | Problem::OtherKey { .. }
                | Problem::BegunWithAnother { .. }
                | Problem::Truncated { .. }
                | Problem::Doubled { .. }
                | Problem::Copied { .. }
                | Problem::Stray { .. }
                | Problem::KeyFile
                | Problem::Unsigned
        );
        if spoils {
            self.sound = self.sound.min(problem.record());
        }
        if self.problems.len() < PROBLEMS_MAX { self.problems.push(problem) } else { self.more += 1 }
    }
}
