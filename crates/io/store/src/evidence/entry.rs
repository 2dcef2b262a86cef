//! What is known of a piece of evidence, and how that is written down.

use serde_json::{Value, json};
use sx_engine::Time;
use sx_types::TraceId;

/// Chunks have so many bytes, but for the last.
pub const CHUNK_BYTES: usize = 65_536;

/// A piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceEntry {
    /// The escalation it is given with.
    pub escalation: TraceId,
    /// What it is called.
    pub id: TraceId,
    /// The name of the file.
    pub name: Box<str>,
    /// Its type, as HTTP has types.
    pub media_type: Box<str>,
    /// Its bytes, as they were announced.
    pub length: u64,
    /// Its SHA-256, where that was announced.
    pub announced: Option<[u8; 32]>,
    /// Who gives it.
    pub by: Box<str>,
    /// When it was announced.
    pub created: Time,
    /// So many bytes have come.
    pub offset: u64,
    /// What it is, when all of it has come.
    pub whole: Option<Whole>,
}

/// What is known of a piece when all of it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// The SHA-256 of what has come.
    pub sha256: [u8; 32],
    /// That of what is kept, and handed out: another where something was blotted out.
    pub kept_sha256: [u8; 32],
    /// The bytes of what is kept.
    pub bytes: u64,
    /// How much that it says about persons was blotted out.
    pub redacted: u32,
    /// The SHA-256 of each chunk of [`CHUNK_BYTES`] of what is kept.
    pub chunks: Vec<[u8; 32]>,
    /// When it was whole.
    pub finished: Time,
}

pub(super) fn to_json(entry: &EvidenceEntry) -> Vec<u8> {
    let whole = entry.whole.as_ref().map(|whole| {
        json!({
            "sha256": hex(&whole.sha256),
            "kept_sha256": hex(&whole.kept_sha256),
            "bytes": whole.bytes,
            "redacted": whole.redacted,
            "chunks": whole.chunks.iter().map(hex).collect::<Vec<_>>(),
            "finished_ns": whole.finished.as_nanos(),
        })
    });
    let value = json!({
        "escalation": entry.escalation.to_string(),
        "id": entry.id.to_string(),
        "name": &*entry.name,
        "media_type": &*entry.media_type,
        "length": entry.length,
        "announced_sha256": entry.announced.as_ref().map(hex),
        "by": &*entry.by,
        "created_ns": entry.created.as_nanos(),
        "whole": whole,
    });
    value.to_string().into_bytes()
}

/// How much of it has come the entry does not say.
pub(super) fn from_json(text: &[u8]) -> Option<EvidenceEntry> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let text = |name: &str| value[name].as_str();
    let whole = match &value["whole"] {
        Value::Null => None,
        whole => Some(Whole {
            sha256: from_hex(whole["sha256"].as_str()?)?,
            kept_sha256: from_hex(whole["kept_sha256"].as_str()?)?,
            bytes: whole["bytes"].as_u64()?,
            redacted: u32::try_from(whole["redacted"].as_u64()?).ok()?,
            chunks: whole["chunks"].as_array()?.iter().map(|hash| from_hex(hash.as_str()?)).collect::<Option<_>>()?,
            finished: Time::from_nanos(whole["finished_ns"].as_u64()?),
        }),
    };
    Some(EvidenceEntry {
        escalation: text("escalation")?.parse().ok()?,
        id: text("id")?.parse().ok()?,
        name: text("name")?.into(),
        media_type: text("media_type")?.into(),
        length: value["length"].as_u64()?,
        announced: match &value["announced_sha256"] {
            Value::Null => None,
            hash => Some(from_hex(hash.as_str()?)?),
        },
        by: text("by")?.into(),
        created: Time::from_nanos(value["created_ns"].as_u64()?),
        offset: 0,
        whole,
    })
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
