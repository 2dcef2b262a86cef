//! Writing a log anew: what somebody can do who may write all files, with or without a key. It uses nothing of the crate's chain,
//! so that it also checks what the chain writes.

use super::{Folder, name};
use serde_json::Value;
use sx_engine::{Rng, Time};
use sx_witness::{Chain, Frontier, Hash, IndexEntry, SigningKey};

/// The records of a log that are still there, with the lines of each segment.
pub struct Records {
    /// The number in the name of each segment, and its records.
    pub segments: Vec<(u64, Vec<Value>)>,
    /// What follows the last line: zeros and what is torn.
    tail: Vec<u8>,
    /// Hashes of the records that are gone.
    gone: Vec<Hash>,
}

impl Records {
    pub fn read(folder: &Folder) -> Self {
        let mut records = Self { segments: Vec::new(), tail: Vec::new(), gone: Vec::new() };
        for first in super::numbers(folder) {
            let Some(bytes) = folder.get(&name(first, "jsonl")) else {
                let entries = folder[&name(first, "index")].chunks_exact(40).filter_map(<[u8]>::first_chunk::<40>);
                records.gone.extend(entries.map(|entry| IndexEntry::from_bytes(entry).hash));
                continue;
            };
            let written = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            let end = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let lines = bytes[..end].split_inclusive(|byte| *byte == b'\n');
            let parsed = lines.map(|line| serde_json::from_slice(line).expect("an honest log is JSON")).collect();
            records.segments.push((first, parsed));
            records.tail = bytes[end..].to_vec();
        }
        records
    }

    pub fn first(&self) -> u64 {
        self.gone.len() as u64
    }

    pub fn record(&mut self, number: u64) -> &mut Value {
        let at = (number - self.first()) as usize;
        self.segments.iter_mut().flat_map(|(_, records)| records).nth(at).expect("it is there")
    }

    /// Names each segment by the record that it begins with now; one that has none goes, but the last. So does what is torn, which
    /// would lie elsewhere in its sectors.
    pub fn renumber(&mut self, folder: &mut Folder) {
        for (first, _) in &self.segments {
            folder.remove(&name(*first, "jsonl"));
            folder.remove(&name(*first, "index"));
        }
        self.tail.clear();
        let last = self.segments.pop();
        self.segments.retain(|(_, records)| !records.is_empty());
        self.segments.extend(last);
        let mut next = self.first();
        for (first, records) in &mut self.segments {
            *first = next;
            next += records.len() as u64;
        }
    }

    /// Writes all segments and indexes anew, with right links. Checkpoints from `from` on are signed by the key if there is
    /// one; else they keep the notes they have.
    pub fn write(&mut self, folder: &mut Folder, from: u64, mut key_at: impl FnMut(u64) -> Option<SigningKey>) {
        let (mut last, mut tree, mut number) = (Hash::ZERO, Frontier::new(), 0);
        for hash in &self.gone {
            (last, number) = (*hash, number + 1);
            tree.push_record(hash);
        }
        let segments = self.segments.len();
        for (place, (first, records)) in self.segments.iter_mut().enumerate() {
            let (mut bytes, mut index) = (Vec::new(), Vec::new());
            for record in records {
                if number >= from
                    && record["kind"] == "checkpoint"
                    && let Some(key) = key_at(number)
                {
                    record["facts"]["note"] = note(number, &tree, last, record, &key).into();
                }
                record["seq"] = number.into();
                record["prev_hash"] = last.to_string().into();
                let mut line = String::new();
                put_canonical(&mut line, record);
                last = Hash::of(line.as_bytes());
                tree.push_record(&last);
                index.extend(IndexEntry { offset: bytes.len() as u64, hash: last }.to_bytes());
                bytes.extend_from_slice(line.as_bytes());
                bytes.push(b'\n');
                number += 1;
            }
            if place + 1 == segments {
                bytes.extend_from_slice(&self.tail);
            } else {
                folder.insert(name(*first, "index"), index);
            }
            folder.insert(name(*first, "jsonl"), bytes);
        }
    }
}

/// Canonical JSON: names in the order of UTF-16, which is not that of their bytes.
fn put_canonical(out: &mut String, value: &Value) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_by_key(|(name, _)| name.encode_utf16().collect::<Vec<u16>>());
            out.push('{');
            for (place, (name, value)) in members.into_iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                put_canonical(out, value);
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (place, value) in values.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                put_canonical(out, value);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

/// The note that this key signs over the tree, at the time of the record.
fn note(size: u64, tree: &Frontier, last: Hash, record: &Value, key: &SigningKey) -> String {
    let time = record["time"].as_str().expect("every record has a time");
    let mut chain = Chain::resume(size, last, tree.clone());
    // The crate makes notes for times only, so the one of this text is looked for.
    let time = time_of(time);
    chain.checkpoint(time, "forger", key, &mut Vec::new(), &mut Vec::new()).note
}

fn time_of(text: &str) -> Time {
    let line =
        format!("{{\"kind\":\"log\",\"node\":\"\",\"prev_hash\":\"{}\",\"seq\":0,\"time\":\"{text}\"}}", Hash::ZERO);
    sx_witness::Line::parse(line.as_bytes()).expect("a good time").time()
}

/// A byte other than the one there.
pub fn change_byte(rng: &mut Rng, byte: &mut u8) {
    *byte = byte.wrapping_add(1 + rng.below(255) as u8);
}
