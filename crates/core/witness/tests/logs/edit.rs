//! What somebody may do to a log. Each edit changes something that a checkpoint vouches for, so that it must be found.

use super::forge::{Records, change_byte};
use super::{Case, LOG, WITNESS, name, numbers, signing_key};
use sx_engine::Rng;
use sx_witness::{Checkpoint, SigningKey, checkpoint_line, cosign, parse_checkpoint_line};

type Edit = fn(&mut Case, &mut Rng) -> bool;

/// Every kind of edit. It says whether it could be done to this log.
pub const EDITS: [(&str, Edit); 25] = [
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
    let lines = [bytes, &line_of(case, record)].concat();
    splice(case, record, lines);
    true
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

fn key_file_swapped(case: &mut Case, _: &mut Rng) -> bool {
    let key = signing_key(77, LOG).verifying_key();
    case.folder.insert("key.pub".to_owned(), format!("{key}\n").into_bytes());
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

fn index_changed(case: &mut Case, rng: &mut Rng) -> bool {
    let indexes: Vec<String> = case.folder.keys().filter(|name| name.ends_with("index")).cloned().collect();
    let Some(place) = pick(rng, 0, indexes.len() as u64) else { return false };
    let file = &indexes[place as usize];
    let gone = !case.folder.contains_key(&file.replace("index", "jsonl"));
    let bytes = case.folder.get_mut(file).expect("it is there");
    let at = rng.below(bytes.len() as u64) as usize;
    // Where lines lay that are gone, nobody can say and nobody asks.
    if gone && at % 40 < 8 {
        return false;
    }
    change_byte(rng, &mut bytes[at]);
    true
}

fn index_truncated(case: &mut Case, rng: &mut Rng) -> bool {
    let indexes: Vec<String> = case.folder.keys().filter(|name| name.ends_with("index")).cloned().collect();
    let Some(place) = pick(rng, 0, indexes.len() as u64) else { return false };
    let bytes = case.folder.get_mut(&indexes[place as usize]).expect("it is there");
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

fn filed_changed(case: &mut Case, rng: &mut Rng) -> bool {
    let bytes = case.folder.get_mut("checkpoints.jsonl").expect("it is there");
    let Some((start, end)) = pick_filed(bytes, rng) else { return false };
    // A checkpoint that is gone may be signed by a key that is gone as well: with another id it is taken for such a one.
    if read_filed(&bytes[start..]).0.size < case.first {
        return false;
    }
    // From the note on: a cosignature that names another key is one of a witness that nobody knows.
    let note = memchr::memmem::find(&bytes[start..end], b"\"note\":\"").expect("it has a note");
    let at = start + note + rng.below((end - start - note) as u64) as usize;
    change_byte(rng, &mut bytes[at]);
    true
}

/// The checkpoint and the cosignatures in the first of these lines of `checkpoints.jsonl`.
fn read_filed(lines: &[u8]) -> (Checkpoint, Vec<String>) {
    let line = String::from_utf8_lossy(lines.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    let (note, cosignatures) = parse_checkpoint_line(&line).expect("an honest line");
    (Checkpoint::parse(&note).expect("an honest note"), cosignatures)
}

/// What belongs into `cosignatures` stands below the log's own signature; whether the checkpoint's record is gone or not.
fn signature_added(case: &mut Case, rng: &mut Rng) -> bool {
    let bytes = case.folder.get_mut("checkpoints.jsonl").expect("it is there");
    let Some((start, end)) = pick_filed(bytes, rng) else { return false };
    let (checkpoint, cosignatures) = read_filed(&bytes[start..]);
    let time = checkpoint.time.expect("an honest checkpoint has its time");
    let note = format!("{}{}\n", checkpoint.note, cosign(&checkpoint, &signing_key(9, WITNESS), time));
    bytes.splice(start..end, checkpoint_line(&note, &cosignatures).into_bytes());
    true
}

/// Where one of the lines of `checkpoints.jsonl` lies, without its newline.
fn pick_filed(bytes: &[u8], rng: &mut Rng) -> Option<(usize, usize)> {
    let ends: Vec<usize> = memchr::memchr_iter(b'\n', bytes).collect();
    let place = pick(rng, 0, ends.len() as u64)? as usize;
    let start = place.checked_sub(1).map_or(0, |before| ends[before] + 1);
    Some((start, ends[place]))
}

fn filed_forged(case: &mut Case, rng: &mut Rng) -> bool {
    let mut records = Records::read(&case.folder);
    let mut copy = case.folder.clone();
    let Some(forged) = (case.first..=case.signed).rev().find(|number| is_checkpoint(&mut records, *number)) else {
        return false;
    };
    records.write(&mut copy, forged, |_| Some(signing_key(77, LOG)));
    let note = records.record(forged)["facts"]["note"].as_str().expect("a note").to_owned();
    let file = case.folder.get_mut("checkpoints.jsonl").expect("it is there");
    let end = file.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = format!("{}\n", checkpoint_line(&note, &[]));
    let at = if rng.below(2) == 0 { 0 } else { end };
    file.splice(at..at, line.into_bytes());
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

fn cosignature_changed(case: &mut Case, rng: &mut Rng) -> bool {
    let bytes = case.folder.get_mut("checkpoints.jsonl").expect("it is there");
    let text = String::from_utf8_lossy(bytes).into_owned();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Some(place) = pick(rng, 0, lines.len() as u64) else { return false };
    let line = lines[place as usize];
    let Some(start) = line.find("w1 ").filter(|_| line.ends_with('\n')) else { return false };
    // Behind the number of the key and the time, where no digit is what it was.
    let at =
        lines[..place as usize].iter().map(|line| line.len()).sum::<usize>() + start + 3 + 20 + rng.below(60) as usize;
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    true
}
