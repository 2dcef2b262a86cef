//! The witness: an audit log that can be proved.
//!
//! Each record is one line of canonical JSON (RFC 8785) that names the hash of the record before it. All records are the entries of
//! a Merkle tree (RFC 9162), whose root the log signs again and again, in checkpoints that are records themselves. What
//! was written can so be shown to others, record by record, and nobody can change, remove, double or reorder a record that
//! was signed without being found out. The format stands in `docs/witness-format.md`.
//!
//! ```text
//!  Draft ──Renderer──► Batch ──Chain::append──► lines + index entries ──► files (somebody else's)
//!                                   │ checkpoint                              │
//!                                   └──► signed note                          ▼
//!          Verdict ◄── Verification ◄── in order ── SegmentReport ◄── SegmentCheck, a segment each, on any thread
//! ```
//!
//! It deliberately knows no file, no clock and no network: bytes come in and go out. Nor does it know what calls are; whoever
//! writes a record says what it means.
//!
//! ```
//! use sx_engine::Time;
//! use sx_witness::{Batch, Chain, Draft, Facts, Kind, Renderer, SigningKey};
//!
//! let key = SigningKey::from_seed("exchange.example/log", [7; 32])?;
//! let (mut renderer, mut batch) = (Renderer::new("node-1"), Batch::default());
//! let facts = Facts::new().with("format", 1).with("key", key.verifying_key().to_string());
//! renderer.render(&Draft { outcome: "begun", facts, ..Draft::new(Time::ZERO, Kind::Log) }, &mut batch);
//!
//! let (mut chain, mut out, mut index) = (Chain::new(), Vec::new(), Vec::new());
//! chain.append(&batch, &mut out, &mut index);
//! let checkpoint = chain.checkpoint(Time::ZERO, "node-1", &key, &mut out, &mut index);
//! assert_eq!((checkpoint.size, chain.size()), (1, 2));
//! assert_eq!(checkpoint.verify(&key.verifying_key()), Ok(()));
//! # Ok::<(), sx_witness::KeyError>(())
//! ```

mod base64;
mod canonical;
mod chain;
mod checkpoint;
mod cosigner;
mod hash;
mod key;
mod kind;
mod line;
mod proof;
mod record;
mod render;
mod stamp;
mod tree;
mod verify;

pub use base64::encode as base64;
pub use chain::{Chain, INDEX_ENTRY_BYTES, IndexEntry};
pub use checkpoint::{
    Checkpoint, NOTE_BYTES_MAX, NoteError, SIGNATURES_MAX, SignatureError, cosign, verify_cosignature,
};
pub use cosigner::{ADD_CHECKPOINT_BYTES_MAX, CosignRefused, Seen};
pub use hash::{Hash, NoHash};
pub use key::{KeyError, SigningKey, VerifyingKey};
pub use kind::{Kind, UnknownKind};
pub use line::{Line, Malformed};
pub use proof::{ConsistencyProof, HASHES_MAX, InclusionProof, ProofError};
pub use record::{Draft, Facts, NUMBER_MAX, Value};
pub use render::{Batch, DEPTH_MAX, RECORD_BYTES_MAX, Renderer, TEXT_CHARS_MAX};
pub use tree::{
    Frontier, consistency_proof, consistency_ranges, inclusion_proof, leaf_hash, node_hash, range_split,
    verify_consistency, verify_inclusion,
};
pub use verify::{
    CHECKPOINT_LINE_BYTES_MAX, CHECKPOINTS_APPEND_BYTES_MAX, Cosigner, Cover, FiledFault, KEYS_MAX, Notice, Options,
    PLACES_MAX, Place, Problem, RETIRED_MAX, SegmentCheck, SegmentReport, Tail, Verdict, Verification, checkpoint_line,
    lines_end, parse_checkpoint_line,
};
