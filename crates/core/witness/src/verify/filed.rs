//! `checkpoints.jsonl`: the checkpoints once more, with the cosignatures that came later.

use super::notice::Notice;
use super::problem::{Cover, Problem};
use super::tail::{Tail, lines_end};
use super::{Options, Verification};
use crate::checkpoint::{Checkpoint, NoteError, SignatureError, is_signature_line, verify_cosignature};
use serde_json::Value;
use std::fmt::Write as _;

/// A line of the file whose checkpoint is compared with the log at the end.
#[derive(Debug)]
pub(super) struct Filed {
    line: u64,
    checkpoint: Checkpoint,
}

/// No line of the file has more bytes, its newline not counted.
pub const CHECKPOINT_LINE_BYTES_MAX: usize = 1 << 20;
/// No writer appends more at once: a line of the largest size with its newline, or more lines that are not longer together.
pub const CHECKPOINTS_APPEND_BYTES_MAX: usize = CHECKPOINT_LINE_BYTES_MAX + 1;

/// What is wrong with a line of `checkpoints.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FiledFault {
    /// Not canonical JSON with a note and cosignatures.
    #[error("it is not in its form")]
    Form,
    /// The note is none.
    #[error("its note is no checkpoint: {0}")]
    Note(NoteError),
    /// The note is a checkpoint, but none that a log of this format signs: it has other lines, or signatures by others.
    #[error("its note is not in the form that a record has it in")]
    OfNoRecord,
    /// The log has signed another one of the same size, or says so.
    #[error("it is not the checkpoint that the log has recorded at this size")]
    Differs,
    /// The record that must hold it is another one.
    #[error("the log has recorded no checkpoint at this size")]
    NotRecorded,
    /// The root is not that of the records.
    #[error("its root is not that of the records")]
    Root,
    /// The log has signed it, and the indexes of the retired records give another root.
    #[error("it is signed, but the indexes of the retired records have another root: they were changed")]
    RetiredRoot,
    /// The signature does not hold.
    #[error("{0}")]
    Signature(SignatureError),
    /// A cosignature of a known witness does not hold.
    #[error("the cosignature of a known witness on it is wrong")]
    Cosignature,
}

/// A checkpoint and the cosignatures that witnesses have given it: a line of `checkpoints.jsonl`, without its newline.
pub fn checkpoint_line(note: &str, cosignatures: &[String]) -> String {
    let mut line = "{\"cosignatures\":[".to_owned();
    for (place, cosignature) in cosignatures.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let _infallible = write!(line, "{comma}{}", Value::from(cosignature.as_str()));
    }
    let _infallible = write!(line, "],\"note\":{}}}", Value::from(note));
    line
}

/// The note and the cosignatures of a line of `checkpoints.jsonl`; `None` when it is not exactly of that form, or too long.
pub fn parse_checkpoint_line(line: &str) -> Option<(String, Vec<String>)> {
    if line.len() > CHECKPOINT_LINE_BYTES_MAX {
        return None;
    }
    let value: Value = serde_json::from_str(line).ok()?;
    let note = value.get("note")?.as_str()?.to_owned();
    let texts = value.get("cosignatures")?.as_array()?.iter().map(|text| text.as_str().map(str::to_owned));
    let cosignatures: Vec<String> = texts.collect::<Option<_>>()?;
    let well_formed = cosignatures.iter().all(|line| is_signature_line(line));
    // What is not written again as it stands there was not canonical.
    (well_formed && checkpoint_line(&note, &cosignatures) == line).then_some((note, cosignatures))
}

impl Cover {
    /// What an honest log looks like that was copied in the wrong order.
    pub(super) fn or_copied(self) -> &'static str {
        match self {
            Self::File(_) => {
                "; or this is a copy for which checkpoints.jsonl was read after the segments, while they were written"
            }
            Self::Anchor | Self::ExpectedSize => "",
        }
    }
}

impl Verification {
    /// Reads `checkpoints.jsonl`. This comes before the first segment, since the roots that it names are compared on the way.
    pub fn checkpoints_file(&mut self, bytes: &[u8]) {
        let end = lines_end(bytes);
        let mut tail = Tail::of_checkpoints(end as u64);
        tail.feed(&bytes[end..]);
        let mut lines = 0;
        for text in bytes[..end].split_inclusive(|byte| *byte == b'\n') {
            lines += 1;
            match read_line(&text[..text.len() - 1], &self.options) {
                Ok((checkpoint, cosignatures)) => {
                    self.shown.note_line(checkpoint.size, &cosignatures);
                    self.wanted.insert(checkpoint.size);
                    self.filed.push(Filed { line: lines, checkpoint });
                }
                Err((fault, size)) => self.push(Problem::Filed { line: lines, size, fault }),
            }
        }
        match tail.torn_bytes() {
            Some(0) => {}
            Some(bytes) => self.notices.push(Notice::TornCheckpoints { line: lines + 1, bytes }),
            None => self.push(Problem::Filed { line: lines + 1, size: None, fault: FiledFault::Form }),
        }
    }

    /// Compares the file with the log, which was read to its end.
    pub(super) fn judge_filed(&mut self) {
        for filed in std::mem::take(&mut self.filed) {
            let (line, size) = (filed.line, filed.checkpoint.size);
            match self.judge_line(&filed.checkpoint) {
                Ok(()) => {}
                // What the log has signed and no longer has.
                Err(None) if size >= self.next => {
                    self.cut.entry(size.saturating_add(1)).or_insert(Cover::File(line));
                }
                Err(None) => self.notices.push(Notice::RetiredKey { line }),
                // That the key is another one is named already.
                Err(Some(FiledFault::Signature(SignatureError::OtherKey))) if self.keys.is_other() => {}
                Err(Some(fault)) => self.push(Problem::Filed { line, size: Some(size), fault }),
            }
        }
    }

    fn judge_line(&self, checkpoint: &Checkpoint) -> Result<(), Option<FiledFault>> {
        let size = checkpoint.size;
        if let Some(recorded) = self.recorded.get(&size) {
            // The signature of this very text was checked in its record.
            return if *recorded == note_hash(checkpoint) { Ok(()) } else { Err(Some(FiledFault::Differs)) };
        }
        let signed = self.keys.have_signed(checkpoint);
        if size >= self.next {
            return Err(signed.err().map(FiledFault::Signature));
        }
        if !self.is_absent(size) {
            // A record that was damaged is named already.
            return if size >= self.sound { Ok(()) } else { Err(Some(FiledFault::NotRecorded)) };
        }
        if self.roots.get(&size).is_some_and(|root| *root != checkpoint.root) {
            return Err(Some(if signed.is_ok() { FiledFault::RetiredRoot } else { FiledFault::Root }));
        }
        match signed {
            Ok(()) => Ok(()),
            Err(SignatureError::OtherKey) => Err(None),
            Err(fault) => Err(Some(FiledFault::Signature(fault))),
        }
    }
}

/// A checkpoint's text as it is remembered.
pub(super) fn note_hash(checkpoint: &Checkpoint) -> crate::Hash {
    crate::Hash::of(checkpoint.note.as_bytes())
}

fn read_line(line: &[u8], options: &Options) -> Result<(Checkpoint, Vec<String>), (FiledFault, Option<u64>)> {
    let text = std::str::from_utf8(line).map_err(|_| (FiledFault::Form, None))?;
    let (note, cosignatures) = parse_checkpoint_line(text).ok_or((FiledFault::Form, None))?;
    let checkpoint = Checkpoint::parse(&note).map_err(|error| (FiledFault::Note(error), None))?;
    // The record that held it may be gone, and then nothing else says what it must look like.
    if !checkpoint.is_of_a_record() {
        return Err((FiledFault::OfNoRecord, Some(checkpoint.size)));
    }
    for (cosignature, witness) in cosignatures.iter().flat_map(|line| options.witnesses.iter().map(move |w| (line, w)))
    {
        match verify_cosignature(&checkpoint, cosignature, witness) {
            // Somebody else's, of which nothing is known here.
            Ok(_) | Err(SignatureError::OtherKey) => {}
            Err(_) => return Err((FiledFault::Cosignature, Some(checkpoint.size))),
        }
    }
    Ok((checkpoint, cosignatures))
}
