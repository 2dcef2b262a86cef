//! What may be done to the files beside the segments.

use super::super::forge::{Records, change_byte};
use super::super::{Case, LOG, WITNESS, signing_key};
use super::{is_checkpoint, pick};
use sx_engine::Rng;
use sx_witness::{Checkpoint, checkpoint_line, cosign, parse_checkpoint_line};

pub(super) fn key_file_swapped(case: &mut Case, _: &mut Rng) -> bool {
    let key = signing_key(77, LOG).verifying_key();
    case.folder.insert("key.pub".to_owned(), format!("{key}\n").into_bytes());
    true
}

pub(super) fn index_changed(case: &mut Case, rng: &mut Rng) -> bool {
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

pub(super) fn index_truncated(case: &mut Case, rng: &mut Rng) -> bool {
    let indexes: Vec<String> = case.folder.keys().filter(|name| name.ends_with("index")).cloned().collect();
    let Some(place) = pick(rng, 0, indexes.len() as u64) else { return false };
    let bytes = case.folder.get_mut(&indexes[place as usize]).expect("it is there");
    bytes.truncate(rng.below(bytes.len() as u64) as usize);
    true
}

pub(super) fn filed_changed(case: &mut Case, rng: &mut Rng) -> bool {
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
pub(super) fn signature_added(case: &mut Case, rng: &mut Rng) -> bool {
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

pub(super) fn filed_forged(case: &mut Case, rng: &mut Rng) -> bool {
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

pub(super) fn cosignature_changed(case: &mut Case, rng: &mut Rng) -> bool {
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
