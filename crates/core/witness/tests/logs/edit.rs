//! What somebody may do to a log. Each edit changes something that a checkpoint vouches for, so that it must be found.

mod files;

use super::forge::{Records, change_byte};
use super::{Case, LOG, SECTOR, name, numbers, signing_key};
use files::{
    cosignature_changed, filed_changed, filed_forged, index_changed, index_truncated, key_file_swapped, signature_added,
};
use sx_engine::Rng;
use sx_witness::SigningKey;

type Edit = fn(&mut Case, &mut Rng) -> bool;

/// Every kind of edit. It says whether it could be done to this log.
pub const EDITS: [(&str, Edit); 28] = [
    ("a byte of a record changed", byte_changed),
    ("a record removed", removed),
    ("a record doubled", doubled),
    ("two records swapped", swapped),
    ("two neighbours swapped", neighbours_swapped),
    ("the log truncated at a line", truncated_at_a_line),
    ("the log truncated within a line", truncated_within_a_line),
    ("a line inserted", inserted),
    ("a checkpoint forged with another key", checkpoint_forged),
    ("all checkpoints signed by another key", checkpoints_signed_by_another),
    ("the key of record 0 swapped", key_swapped),
    ("key.pub swapped", key_file_swapped),
    ("a segment removed", segment_removed),
    ("a segment's lines removed, its index left", lines_removed),
    ("a segment renamed", segment_renamed),
    ("a segment truncated", segment_truncated),
    ("an index changed", index_changed),
    ("an index truncated", index_truncated),
    ("a record changed and all hashes made anew", rewritten),
    ("a record removed and all hashes made anew", removed_and_rewritten),
    ("checkpoints.jsonl changed", filed_changed),
    ("a forged line in checkpoints.jsonl", filed_forged),
    ("the log rewritten with its own key", rewritten_with_the_key),
    ("a cosignature changed", cosignature_changed),
    ("a signature added to a filed checkpoint", signature_added),
    ("a hole in what was signed", hole_made),
    ("a hole in a closed segment", hole_in_closed_segment),
    ("rewritten without the key, no checkpoint", rewritten_without_checkpoints),
];

/// Does one of the edits to the log, chosen by chance.
pub fn tamper(case: &mut Case, rng: &mut Rng) {
    while case.edit.is_none() {
        let (name, edit) = EDITS[rng.below(EDITS.len() as u64) as usize];
        if edit(case, rng) {
            case.edit = Some(name);
        }
    }
}

/// A number in `from..to`; `None` when there is none.
fn pick(rng: &mut Rng, from: u64, to: u64) -> Option<u64> {
    (from < to).then(|| from + rng.below(to - from))
}

/// The segments whose lines are there.
fn segments(case: &Case) -> Vec<u64> {
    let there = |first: &u64| case.folder.contains_key(&name(*first, "jsonl"));
    numbers(&case.folder).into_iter().filter(there).collect()
}

/// The segment that holds a record and where its line lies in it.
fn place_of(case: &Case, record: u64) -> (String, std::ops::Range<usize>) {
    let first = segments(case).into_iter().rfind(|first| *first <= record).expect("it is there");
    let file = name(first, "jsonl");
    let lines = case.folder[&file].split_inclusive(|byte| *byte == b'\n');
    let mut start = 0;
    for (number, line) in (first..).zip(lines) {
        if number == record {
            return (file, start..start + line.len());
        }
        start += line.len();
    }
    panic!("record {record} is not in {file}");
}

fn line_of(case: &Case, record: u64) -> Vec<u8> {
    let (file, range) = place_of(case, record);
    case.folder[&file][range].to_vec()
}

fn splice(case: &mut Case, record: u64, bytes: Vec<u8>) {
    let (file, range) = place_of(case, record);
    case.folder.get_mut(&file).expect("it is there").splice(range, bytes);
}

fn byte_changed(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(record) = pick(rng, case.first, case.signed) else { return false };
    let mut line = line_of(case, record);
    let at = rng.below(line.len() as u64) as usize;
    change_byte(rng, &mut line[at]);
    splice(case, record, line);
    true
}

fn removed(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(record) = pick(rng, case.first, case.signed) else { return false };
    splice(case, record, Vec::new());
    true
}

fn doubled(case: &mut Case, rng: &mut Rng) -> bool {
    let (Some(record), Some(before)) = (pick(rng, case.first, case.records), pick(rng, case.first, case.records))
    else {
        return false;
    };
    let lines = [line_of(case, record), line_of(case, before)].concat();
    splice(case, before, lines);
    true
}

fn swap(case: &mut Case, a: u64, b: u64) {
    let (line_a, line_b) = (line_of(case, a), line_of(case, b));
    splice(case, b, line_a);
    splice(case, a, line_b);
}

fn swapped(case: &mut Case, rng: &mut Rng) -> bool {
    let (Some(a), Some(b)) = (pick(rng, case.first, case.records), pick(rng, case.first, case.records)) else {
        return false;
    };
    if a != b {
        swap(case, a.min(b), a.max(b));
    }
    a != b
}

fn neighbours_swapped(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(a) = pick(rng, case.first, case.records.saturating_sub(1)) else { return false };
    swap(case, a, a + 1);
    true
}

/// Cuts the log behind so many bytes of a record, which the file of checkpoints says was there.
fn truncate(case: &mut Case, record: u64, keep: impl FnOnce(usize) -> usize) {
    let (file, range) = place_of(case, record);
    let kept = range.start + keep(range.len());
    case.folder.get_mut(&file).expect("it is there").truncate(kept);
    case.folder.retain(|name, _| !name.starts_with(|c: char| c.is_ascii_digit()) || name.as_str() <= file.as_str());
    case.folder.remove(&file.replace("jsonl", "index"));
}

fn truncated_at_a_line(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(record) = pick(rng, case.first, case.filed + 1) else { return false };
    truncate(case, record, |_| 0);
    true
}

fn truncated_within_a_line(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(record) = pick(rng, case.first, case.filed + 1) else { return false };
    truncate(case, record, |bytes| rng.below(bytes as u64) as usize);
    true
}

fn inserted(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(record) = pick(rng, case.first, case.signed) else { return false };
    let bytes: &[u8] = [b"\n".as_slice(), b"{}\n", b"\0\0\n", b"null\n"][rng.below(4) as usize];
    // Zero bytes may look like a hole, and a torn log is all that an auditor sees who was shown no checkpoint of what was in it.
    if bytes.starts_with(b"\0") && record > case.filed {
        return false;
    }
    let lines = [bytes, &line_of(case, record)].concat();
    splice(case, record, lines);
    true
}

/// Makes a hole that a torn write may have left, from a line's beginning or a sector's to the end of a sector.
fn punch(bytes: &mut [u8], line: usize, rng: &mut Rng) {
    let from = if rng.below(2) == 0 { line } else { line - line % SECTOR };
    let to = (from / SECTOR + 1 + rng.below(3) as usize) * SECTOR;
    let end = bytes.len();
    bytes[from..to.min(end)].fill(0);
}

/// Made in the last segment, in what a checkpoint covers that others were shown.
fn hole_made(case: &mut Case, rng: &mut Rng) -> bool {
    let last = segments(case).pop().expect("there is one");
    let Some(record) = pick(rng, last, case.filed + 1) else { return false };
    let (file, range) = place_of(case, record);
    punch(case.folder.get_mut(&file).expect("it is there"), range.start, rng);
    true
}

fn hole_in_closed_segment(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(first) = inner_segment(case, rng) else { return false };
    let bytes = case.folder.get_mut(&name(first, "jsonl")).expect("it is there");
    let line = memchr::memchr_iter(b'\n', bytes).nth(rng.below(3) as usize).map_or(0, |at| at + 1);
    if line < bytes.len() {
        punch(bytes, line, rng);
    }
    line < bytes.len()
}

fn no_key(_: u64) -> Option<SigningKey> {
    None
}

fn is_checkpoint(records: &mut Records, record: u64) -> bool {
    records.record(record)["kind"] == "checkpoint"
}

fn checkpoint_forged(case: &mut Case, rng: &mut Rng) -> bool {
    let mut records = Records::read(&case.folder);
    let numbers: Vec<u64> = (case.first..=case.signed).filter(|n| is_checkpoint(&mut records, *n)).collect();
    let forged = numbers[rng.below(numbers.len() as u64) as usize];
    records.write(&mut case.folder, forged, |number| (number == forged).then(|| signing_key(77, LOG)));
    true
}

fn checkpoints_signed_by_another(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(from) = pick(rng, case.first, case.signed + 1) else { return false };
    Records::read(&case.folder).write(&mut case.folder, from, |_| Some(signing_key(77, LOG)));
    true
}

fn key_swapped(case: &mut Case, _: &mut Rng) -> bool {
    if case.first > 0 {
        return false;
    }
    let mut records = Records::read(&case.folder);
    records.record(0)["facts"]["key"] = signing_key(77, LOG).verifying_key().to_string().into();
    records.write(&mut case.folder, 0, |_| Some(signing_key(77, LOG)));
    case.folder.remove("checkpoints.jsonl");
    case.anchor = None;
    true
}

/// A segment that is not the last.
fn inner_segment(case: &Case, rng: &mut Rng) -> Option<u64> {
    let segments = segments(case);
    let place = pick(rng, 0, segments.len().saturating_sub(1) as u64)?;
    Some(segments[place as usize])
}

fn segment_removed(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(first) = inner_segment(case, rng) else { return false };
    case.folder.remove(&name(first, "jsonl"));
    case.folder.remove(&name(first, "index"));
    true
}

fn lines_removed(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(first) = inner_segment(case, rng) else { return false };
    case.folder.remove(&name(first, "jsonl"));
    true
}

fn segment_renamed(case: &mut Case, rng: &mut Rng) -> bool {
    let segments = segments(case);
    let first = segments[rng.below(segments.len() as u64) as usize];
    let other = rng.below(case.records + 10);
    // A last segment without lines has no number of its own.
    let has_lines = case.folder[&name(first, "jsonl")].contains(&b'\n');
    if case.folder.contains_key(&name(other, "jsonl")) || !has_lines {
        return false;
    }
    for extension in ["jsonl", "index"] {
        if let Some(bytes) = case.folder.remove(&name(first, extension)) {
            case.folder.insert(name(other, extension), bytes);
        }
    }
    true
}

fn segment_truncated(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(first) = inner_segment(case, rng) else { return false };
    let bytes = case.folder.get_mut(&name(first, "jsonl")).expect("it is there");
    bytes.truncate(rng.below(bytes.len() as u64) as usize);
    true
}

fn rewritten(case: &mut Case, rng: &mut Rng) -> bool {
    let mut records = Records::read(&case.folder);
    let Some(record) = pick(rng, case.first, case.signed) else { return false };
    records.record(record)["reason"] = "because".into();
    records.write(&mut case.folder, 0, no_key);
    true
}

fn removed_and_rewritten(case: &mut Case, rng: &mut Rng) -> bool {
    let mut records = Records::read(&case.folder);
    let segments: Vec<usize> = (0..records.segments.len()).filter(|at| records.segments[*at].1.len() > 1).collect();
    let Some(place) = pick(rng, 0, segments.len() as u64) else { return false };
    let segment = segments[place as usize];
    let first = records.segments[segment].0;
    let len = records.segments[segment].1.len() as u64;
    let Some(at) = pick(rng, 0, len.min(case.signed.saturating_sub(first))) else { return false };
    records.segments[segment].1.remove(at as usize);
    let moved: Vec<u64> = records.segments[segment + 1..].iter().map(|(first, _)| *first).collect();
    for first in moved {
        case.folder.remove(&name(first, "jsonl"));
        case.folder.remove(&name(first, "index"));
    }
    records.segments[segment + 1..].iter_mut().for_each(|(first, _)| *first -= 1);
    records.write(&mut case.folder, 0, no_key);
    true
}

fn rewritten_with_the_key(case: &mut Case, rng: &mut Rng) -> bool {
    let Some(covered) = case.anchor.as_ref().map(|anchor| anchor.size) else { return false };
    let Some(record) = pick(rng, case.first, covered) else { return false };
    let mut records = Records::read(&case.folder);
    let changed = (case.first..case.records).any(|number| records.record(number)["outcome"] == "key_changed");
    if changed || case.key != signing_key(1, LOG).verifying_key() {
        return false;
    }
    records.record(record)["reason"] = "because".into();
    records.write(&mut case.folder, 0, |_| Some(signing_key(1, LOG)));
    case.folder.remove("checkpoints.jsonl");
    true
}

/// Leaves nothing that the key has signed, and nothing that says that there was anything: all hashes and links are right.
fn rewritten_without_checkpoints(case: &mut Case, rng: &mut Rng) -> bool {
    let mut records = Records::read(&case.folder);
    records.segments.iter_mut().for_each(|(_, records)| records.retain(|record| record["kind"] != "checkpoint"));
    let left: u64 = records.segments.iter().map(|(_, records)| records.len() as u64).sum();
    // One record alone is what a first write leaves that was torn.
    if records.first() + left < 2 {
        return false;
    }
    if let Some(changed) = pick(rng, records.first().max(1), records.first() + left) {
        records.record(changed)["reason"] = "because".into();
    }
    records.renumber(&mut case.folder);
    records.write(&mut case.folder, 0, no_key);
    case.folder.remove("checkpoints.jsonl");
    case.anchor = None;
    true
}
