//! From a draft to canonical text.

use crate::hash::DIGITS;
use crate::record::{Draft, Facts, NUMBER_MAX, Value};
use crate::stamp::Stamper;

/// The longest record in bytes, without its newline.
pub const RECORD_BYTES_MAX: usize = 65_536;
/// Texts of more characters are cut, and end in `…` then.
pub const TEXT_CHARS_MAX: usize = 1_024;
/// How deep facts may lie in facts: the facts of a record are at depth 1.
pub const DEPTH_MAX: usize = 8;

/// As many digits as the largest number of a record may have.
const SEQ_DIGITS_MAX: usize = 16;
const CUT: &str = "…";
const NO_HASH: [u8; 64] = [b'0'; 64];

/// Makes records of drafts. What it does not know yet when it writes, their numbers and the hashes between them, is added
/// by [`Chain::append`](crate::Chain::append).
#[derive(Clone, Debug)]
pub struct Renderer {
    /// `"node":"…",`, which is the same in every record.
    node: Vec<u8>,
    stamper: Stamper,
}

/// Rendered records that have no number yet and do not know the record before. They lie in one buffer, so that a
/// batch which is used again and again allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) marks: Vec<Mark>,
}

/// Where a record lies in a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// Behind its newline, from the beginning of the batch.
    pub(crate) end: usize,
    /// Its 64 digits for the hash of the record before, from its own beginning.
    pub(crate) prev_hash: u32,
    /// Where its number is missing, from its own beginning.
    pub(crate) seq: u32,
}

impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// How many bytes they take, without their numbers.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets them all and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.marks.clear();
    }

    /// Moves all records of another batch behind its own.
    pub fn append(&mut self, other: &mut Self) {
        let start = self.bytes.len();
        self.bytes.append(&mut other.bytes);
        self.marks.extend(other.marks.drain(..).map(|mark| Mark { end: mark.end + start, ..mark }));
    }
}

impl Renderer {
    /// For the records of this node.
    pub fn new(node: &str) -> Self {
        let mut member = Vec::new();
        put_member(&mut member, "node", node);
        Self { node: member, stamper: Stamper::new() }
    }

    /// Adds a record to a batch. Texts of more than [`TEXT_CHARS_MAX`] characters are cut; a record that would be longer
    /// than [`RECORD_BYTES_MAX`] has `{"cut":true}` for its facts.
    pub fn render(&mut self, draft: &Draft<'_>, batch: &mut Batch) {
        let start = batch.bytes.len();
        let mut mark = self.put_record(draft, &draft.facts, &mut batch.bytes);
        if batch.bytes.len() - start + SEQ_DIGITS_MAX > RECORD_BYTES_MAX {
            batch.bytes.truncate(start);
            mark = self.put_record(draft, &Facts::new().with("cut", true), &mut batch.bytes);
        }
        batch.marks.push(mark);
    }

    /// Members stand in the order of their names.
    fn put_record(&mut self, draft: &Draft<'_>, facts: &Facts<'_>, out: &mut Vec<u8>) -> Mark {
        let start = out.len();
        out.push(b'{');
        put_member(out, "actor", draft.actor);
        if let Some(call) = draft.call {
            out.extend_from_slice(b"\"call_id\":\"");
            put_uuid(out, call.as_u128());
            out.extend_from_slice(b"\",");
        }
        if !facts.is_empty() {
            out.extend_from_slice(b"\"facts\":");
            put_facts(out, facts, 1);
            out.push(b',');
        }
        put_member(out, "kind", draft.kind.as_str());
        out.extend_from_slice(&self.node);
        put_member(out, "outcome", draft.outcome);
        put_member(out, "policy_version", draft.policy_version);
        out.extend_from_slice(b"\"prev_hash\":\"");
        let prev_hash = out.len() - start;
        out.extend_from_slice(&NO_HASH);
        out.extend_from_slice(b"\",");
        put_member(out, "reason", draft.reason);
        out.extend_from_slice(b"\"seq\":");
        let seq = out.len() - start;
        out.push(b',');
        put_member(out, "subject", draft.subject);
        out.extend_from_slice(b"\"time\":\"");
        out.extend_from_slice(self.stamper.stamp(draft.time));
        out.push(b'"');
        if let Some(trace) = draft.trace {
            out.extend_from_slice(b",\"trace_id\":\"");
            put_hex(out, trace.as_u128(), 32);
            out.push(b'"');
        }
        out.extend_from_slice(b"}\n");
        // Both lie behind facts that may be longer than any record: then the mark is not used.
        Mark { end: out.len(), prev_hash: prev_hash as u32, seq: seq as u32 }
    }
}

/// `"name":"text",`, or nothing when there is no text.
fn put_member(out: &mut Vec<u8>, name: &str, text: &str) {
    if !text.is_empty() {
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        put_text(out, text);
        out.push(b',');
    }
}

/// A text in quotation marks, cut when it is too long.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let long = text.len() > TEXT_CHARS_MAX && text.chars().nth(TEXT_CHARS_MAX).is_some();
    if long {
        let end = text.char_indices().nth(TEXT_CHARS_MAX - 1).map_or(text.len(), |(at, _)| at);
        put_escaped(out, &text[..end]);
        out.extend_from_slice(CUT.as_bytes());
    } else {
        put_escaped(out, text);
    }
    out.push(b'"');
}

/// The characters of a text between quotation marks.
//= https://www.rfc-editor.org/rfc/rfc8785#section-3.2.2.2
pub(crate) fn put_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => {
                out.extend_from_slice(b"\\u00");
                put_hex(out, u128::from(byte), 2);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn put_facts(out: &mut Vec<u8>, facts: &Facts<'_>, depth: usize) {
    out.push(b'{');
    for (place, (name, value)) in facts.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.push(b'"');
        put_escaped(out, name);
        out.extend_from_slice(b"\":");
        put_value(out, value, depth);
    }
    out.push(b'}');
}

/// What lies in facts of this depth.
fn put_value(out: &mut Vec<u8>, value: &Value<'_>, depth: usize) {
    match value {
        Value::Text(text) => put_text(out, text),
        Value::Number(number) if number.unsigned_abs() > NUMBER_MAX.unsigned_abs() => {
            put_text(out, &number.to_string());
        }
        Value::Number(number) => put_number(out, *number),
        Value::Flag(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::List(_) | Value::Facts(_) if depth == DEPTH_MAX => put_text(out, CUT),
        Value::List(values) => {
            out.push(b'[');
            for (place, value) in values.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                put_value(out, value, depth + 1);
            }
            out.push(b']');
        }
        Value::Facts(facts) => put_facts(out, facts, depth + 1),
    }
}

fn put_number(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    put_decimal(out, number.unsigned_abs());
}

pub(crate) fn put_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn put_uuid(out: &mut Vec<u8>, bits: u128) {
    for (shift, digits) in [(96, 8), (80, 4), (64, 4), (48, 4), (0, 12)] {
        if shift < 96 {
            out.push(b'-');
        }
        put_hex(out, bits >> shift, digits);
    }
}

/// The lowest digits of a number.
fn put_hex(out: &mut Vec<u8>, bits: u128, digits: u32) {
    for place in (0..digits).rev() {
        out.push(DIGITS[(bits >> (4 * place) & 15) as usize]);
    }
}
