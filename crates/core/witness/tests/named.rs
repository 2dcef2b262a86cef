//! What was done to the files of a log is named: the file, the records from the first to the last, and the deed.

use sx_engine::Time;
use sx_witness::{
    Batch, Chain, Draft, Facts, IndexEntry, Kind, Options, Renderer, SegmentCheck, SigningKey, Verdict, Verification,
    checkpoint_line,
};

const TIME: Time = Time::from_secs(1_795_000_000);
/// The number of the first record of each segment, and how many records there are.
const FIRSTS: [u64; 4] = [0, 7, 13, 19];
const RECORDS: u64 = 25;

/// A segment and its index, as far as they are there.
#[derive(Clone)]
struct Part {
    first: u64,
    lines: Option<Vec<u8>>,
    index: Option<Vec<u8>>,
}

/// Four segments, each of which ends in a checkpoint, the last of them open.
struct Log {
    parts: Vec<Part>,
    filed: String,
}

fn key() -> SigningKey {
    SigningKey::from_seed("exchange.example/log", [1; 32]).expect("a good name")
}

impl Log {
    fn new() -> Self {
        let (mut renderer, mut chain) = (Renderer::new("node-1"), Chain::new());
        let mut log = Self { parts: Vec::new(), filed: String::new() };
        for number in 0..FIRSTS.len() {
            let mut batch = Batch::default();
            if number == 0 {
                let facts = Facts::new().with("format", 1).with("key", key().verifying_key().to_string());
                renderer.render(&Draft { outcome: "begun", facts, ..Draft::new(TIME, Kind::Log) }, &mut batch);
            }
            (0..5).for_each(|_| renderer.render(&Draft::new(TIME, Kind::Invite), &mut batch));
            let (first, mut lines, mut index) = (chain.size(), Vec::new(), Vec::new());
            chain.append(&batch, &mut lines, &mut index);
            let checkpoint = chain.checkpoint(TIME, "node-1", &key(), &mut lines, &mut index);
            log.filed += &format!("{}\n", checkpoint_line(&checkpoint.note, &[]));
            let index = index.into_iter().flat_map(IndexEntry::to_bytes).collect();
            log.parts.push(Part { first, lines: Some(lines), index: (number < 3).then_some(index) });
        }
        assert_eq!((chain.size(), log.parts.iter().map(|part| part.first).collect()), (RECORDS, FIRSTS.to_vec()));
        log
    }

    /// Without its indexes, and with what an edit leaves then.
    fn without_indexes() -> Self {
        let mut log = Self::new();
        log.parts.iter_mut().for_each(|part| part.index = None);
        log
    }

    /// Changes the lines of a segment.
    fn edit(&mut self, part: usize, edit: impl FnOnce(&mut Vec<Vec<u8>>)) {
        let bytes = self.bytes(part);
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        edit(&mut lines);
        self.parts[part].lines = Some(lines.concat());
    }

    fn empty(&mut self, part: usize) {
        self.parts[part].lines = Some(Vec::new());
    }

    fn bytes(&self, part: usize) -> Vec<u8> {
        self.parts[part].lines.clone().expect("it is there")
    }

    fn verify(&self) -> Verdict {
        let mut verification = Verification::new(key().verifying_key(), Options::default());
        verification.checkpoints_file(self.filed.as_bytes());
        let last = self.parts.iter().rposition(|part| part.lines.is_some());
        for (at, Part { first, lines, index }) in self.parts.iter().enumerate() {
            if let Some(lines) = lines {
                let mut check = SegmentCheck::new(*first, Some(at) == last);
                check.feed(lines);
                verification.take(check.finish());
                if let Some(index) = index {
                    verification.index_file(*first, index);
                }
            } else if let Some(index) = index {
                let entries = index.as_chunks::<40>().0;
                let hashes: Vec<_> = entries.iter().map(|entry| IndexEntry::from_bytes(entry).hash).collect();
                verification.missing(*first, index.len().div_ceil(40).max(1) as u64, &hashes);
            }
        }
        verification.finish()
    }
}

/// What is said of the log, `7.jsonl` for the file of that number, and how many records, checkpoints and unsigned records it has.
#[track_caller]
fn said(log: &Log, sentences: &[&str], counts: (u64, u64, u64)) {
    let verdict = log.verify();
    let said: Vec<String> =
        verdict.problems.iter().map(|problem| problem.to_string().replace(&"0".repeat(18), "")).collect();
    assert_eq!(said, sentences);
    assert_eq!((verdict.records, verdict.checkpoints, verdict.unsigned_tail), counts);
}

#[track_caller]
fn accused(edit: impl Fn(&mut Log), sentences: &[&str], counts: (u64, u64, u64)) {
    let mut log = Log::new();
    edit(&mut log);
    said(&log, sentences, counts);
}

#[track_caller]
fn accused_without_indexes(edit: impl Fn(&mut Log), sentences: &[&str], counts: (u64, u64, u64)) {
    let mut log = Log::without_indexes();
    edit(&mut log);
    said(&log, sentences, counts);
}

#[test]
fn the_log_is_honest() {
    said(&Log::new(), &[], (25, 4, 0));
    said(&Log::without_indexes(), &[], (25, 4, 0));
}

#[test]
fn a_segment_that_was_cut_off_is_named() {
    let at_a_line = |log: &mut Log| log.edit(1, |lines| lines.truncate(3));
    accused(at_a_line, &["segment 07.jsonl was truncated behind line 3: records 10 to 12 are missing"], (22, 1, 15));
    // The name of the next one does not tell that from a segment that was removed.
    let either =
        "records 10 to 12 are missing behind 07.jsonl, line 3: that segment was truncated, or 10.jsonl was removed";
    accused_without_indexes(at_a_line, &[either], (22, 1, 15));
    // A line that does not end does, and is said once.
    let within_a_line = |log: &mut Log| log.edit(1, |lines| (lines.truncate(4), lines[3].truncate(20)).0);
    let truncated = "segment 07.jsonl was truncated behind line 3: records 10 to 12 are missing";
    accused(within_a_line, &[truncated], (22, 1, 15));
    accused_without_indexes(within_a_line, &[truncated], (22, 1, 15));
    let and_the_next_removed = |log: &mut Log| {
        at_a_line(log);
        log.parts.remove(2);
    };
    let removed = "records 13 to 18 are missing: 13.jsonl was removed, with any segment behind it up to record 18";
    accused(and_the_next_removed, &[truncated, removed], (16, 1, 9));
}

#[test]
fn a_segment_that_was_emptied_is_named() {
    let emptied = "segment 07.jsonl was emptied: records 7 to 12 are missing";
    for log in [Log::new, Log::without_indexes] {
        let (mut empty, mut zeros, mut first, mut two) = (log(), log(), log(), log());
        empty.empty(1);
        said(&empty, &[emptied], (19, 1, 12));
        zeros.parts[1].lines = Some(vec![0; 4096]);
        said(&zeros, &[emptied], (19, 1, 12));
        first.empty(0);
        said(&first, &["segment 00.jsonl was emptied: records 0 to 6 are missing"], (18, 0, 18));
        two.empty(1);
        two.empty(2);
        let other = "segment 13.jsonl was emptied: records 13 to 18 are missing";
        said(&two, &[emptied, other], (13, 1, 6));
    }
}

#[test]
fn an_end_of_the_log_that_was_emptied_is_named() {
    let had = "and had at least 25 by the checkpoint in line 4 of checkpoints.jsonl, its own record included";
    let copied = "or this is a copy for which checkpoints.jsonl was read after the segments, while they were written";
    let truncated = format!("the log was truncated in 19.jsonl, which is empty: it has 19 records, {had}; {copied}");
    accused(|log| log.empty(3), &[&truncated], (19, 3, 0));
    let truncated = format!("the log was truncated behind 13.jsonl, line 6: it has 19 records, {had}; {copied}");
    accused(|log| drop(log.parts.pop()), &[&truncated], (19, 3, 0));
    let truncated = format!("the log was truncated behind 19.jsonl, line 3: it has 22 records, {had}; {copied}");
    accused(|log| log.edit(3, |lines| lines.truncate(3)), &[&truncated], (22, 3, 3));
    // Its index tells what it had, and that it was closed.
    let with_index = |log: &mut Log| {
        log.empty(3);
        log.parts[3].index = Some(vec![7; 240]);
    };
    accused(with_index, &["segment 19.jsonl was emptied: records 19 to 24 are missing"], (19, 3, 0));
}

#[test]
fn a_segment_that_was_removed_is_named() {
    let removed = "records 7 to 12 are missing: 07.jsonl was removed, with any segment behind it up to record 12";
    accused(|log| drop(log.parts.remove(1)), &[removed], (19, 1, 12));
    let begin = "records 0 to 6 are missing: 00.jsonl was removed, with any segment behind it up to record 6";
    accused(|log| drop(log.parts.remove(0)), &[begin], (18, 0, 18));
    let index_left =
        "records 7 to 12 are not there and no record has retired them: 07.jsonl was removed, and its index is there";
    accused(|log| log.parts[1].lines = None, &[index_left], (25, 3, 0));
}

#[test]
fn an_index_alone_that_was_emptied_is_named_with_its_records() {
    let lacks = |records| {
        format!("{records} are missing: 07.jsonl is gone, and 07.index does not have them: it was emptied or truncated")
    };
    let cut = |log: &mut Log, bytes| {
        log.parts[1].lines = None;
        log.parts[1].index.as_mut().expect("it is there").truncate(bytes);
    };
    accused(|log| cut(log, 0), &[&lacks("records 7 to 12")], (19, 1, 12));
    let retired_by_none =
        "records 7 to 8 are not there and no record has retired them: 07.jsonl was removed, and its index is there";
    for bytes in [80, 100] {
        accused(|log| cut(log, bytes), &[&lacks("records 9 to 12"), retired_by_none], (21, 1, 14));
    }
}

#[test]
fn lines_that_were_removed_are_named() {
    let two = "records 9 to 10 were removed: 07.jsonl, line 3 has record 11 in the place of record 9";
    accused(|log| log.edit(1, |lines| drop(lines.drain(2..4))), &[two], (25, 1, 18));
    let first = "record 7 was removed: 07.jsonl, line 1 has record 8 in the place of record 7";
    accused(|log| log.edit(1, |lines| drop(lines.remove(0))), &[first], (25, 1, 18));
    let last = "segment 07.jsonl was truncated behind line 5: record 12 is missing";
    accused(|log| log.edit(1, |lines| drop(lines.pop())), &[last], (24, 1, 17));
}

/// What stands there twice is said, and all else of the log holds.
#[test]
fn what_was_doubled_is_named_and_counts_once() {
    let repeats = |records, line| format!("{records} there twice: 07.jsonl, line {line} repeats what has been before");
    let whole = |log: &mut Log| log.edit(1, |lines| lines.extend_from_within(..));
    accused(whole, &[&repeats("records 7 to 12 are", 7)], (25, 4, 0));
    let line = |log: &mut Log| log.edit(1, |lines| lines.insert(3, lines[2].clone()));
    accused(line, &[&repeats("record 9 is", 4)], (25, 4, 0));
    let last = |log: &mut Log| log.edit(1, |lines| lines.extend_from_within(5..));
    accused(last, &[&repeats("record 12 is", 7)], (25, 4, 0));
    let previous = |log: &mut Log| log.parts[1].lines = Some([log.bytes(1), log.bytes(0)].concat());
    accused(previous, &[&repeats("records 0 to 6 are", 7)], (25, 4, 0));
    let before = |log: &mut Log| log.parts[1].lines = Some([log.bytes(0), log.bytes(1)].concat());
    accused(before, &[&repeats("records 0 to 6 are", 1)], (25, 4, 0));
}

#[test]
fn a_copy_of_a_segment_is_named_and_counts_for_nothing() {
    let copy = |records, name| {
        format!(
            "{records} are there twice: all that segment {name}.jsonl holds stands in segments before it, so that it is a copy or they are"
        )
    };
    for first in [8, 12, 14, 99] {
        for index in [true, false] {
            let beside = |log: &mut Log| {
                let mut part = Part { first, ..log.parts[1].clone() };
                part.index = part.index.filter(|_| index);
                log.parts.push(part);
                log.parts.sort_by_key(|part| part.first);
            };
            accused(beside, &[&copy("records 7 to 12", format!("{first:02}"))], (25, 4, 0));
        }
    }
    let next_appended = |log: &mut Log| log.parts[1].lines = Some([log.bytes(1), log.bytes(2)].concat());
    accused(next_appended, &[&copy("records 13 to 18", "13".to_owned())], (25, 4, 0));
}

#[test]
fn a_copy_that_differs_in_its_first_stand_is_found_by_what_was_signed() {
    let mut log = Log::new();
    log.edit(1, |lines| {
        let mut forged = lines.clone();
        forged[1] = String::from_utf8_lossy(&forged[1]).replace("node-1", "node-2").into_bytes();
        lines.splice(0..0, forged);
    });
    let said: Vec<String> = log.verify().problems.iter().map(ToString::to_string).collect();
    assert!(
        said.iter().any(|sentence| sentence.starts_with("record 8 (") && sentence.contains("was changed")),
        "{said:?}"
    );
}

#[test]
fn an_index_is_blamed_for_what_is_wrong_with_it_alone() {
    let index = |record| format!("07.index was changed: its entry for record {record} does not fit the segment");
    let change =
        |change: fn(&mut Vec<u8>)| move |log: &mut Log| change(log.parts[1].index.as_mut().expect("it is there"));
    accused(change(Vec::clear), &[&index(7)], (25, 4, 0));
    accused(change(|index| index.truncate(90)), &[&index(9)], (25, 4, 0));
    accused(change(|index| index[100] ^= 1), &[&index(9)], (25, 4, 0));
    accused(change(|index| index.extend([7; 80])), &[&index(13)], (25, 4, 0));
    accused(change(|index| index.extend([7; 8])), &[&index(13)], (25, 4, 0));
    // Where the segment was written anew, its index only tells which record is another.
    let (mut log, other) = (Log::new(), Log::new());
    log.parts[0].index = other.parts[0].index.clone().map(|mut index| {
        index[3 * 40 + 8] ^= 1;
        index
    });
    let forged = String::from_utf8(log.bytes(0)).expect("JSON is UTF-8");
    let root = forged.find("\\n7\\n").or(forged.find("\\n6\\n")).expect("the size") + 4;
    let other = if forged.as_bytes()[root] == b'A' { "B" } else { "A" };
    log.parts[0].lines = Some([&forged[..root], other, &forged[root + 1..]].concat().into_bytes());
    let said: Vec<String> = log.verify().problems.iter().map(ToString::to_string).collect();
    assert!(
        said.iter().all(|sentence| !sentence.contains(".index was changed") || sentence.contains("record 3")),
        "{said:?}"
    );
}

#[test]
fn what_has_no_size_says_none() {
    let line = |number| format!("line {number} of checkpoints.jsonl does not hold: it is not in its form");
    accused(|log| log.filed.insert(0, '\n'), &[&line(1)], (25, 4, 0));
    accused(|log| log.filed = "no note\n".to_owned(), &[&line(1)], (25, 4, 0));
}
