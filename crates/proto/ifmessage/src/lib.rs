//! IFMessage: what an agent says of a hazard, in the three shapes that are published, and its signature.
//!
//! ```text
//!  bytes ──► JSON without doubles ──► shape ──► fields ──► IfMessage
//!               │                                 │            └─ verify: Ed25519 over the canonical form (RFC 8785)
//!               └ ReadError::Json                 └ ReadError::Fields: everything that is wrong, each with its place
//! ```
//!
//! | shape | by what it is known | schema |
//! | --- | --- | --- |
//! | [`Shape::Plain`] | `source`, `destination`, `payload` alone | `ifmessage-1.0` |
//! | [`Shape::Envelope`] | the same with `performative`, `conversation_id` and so on, or `version` 2.1 | `ifmessage-2.1-envelope` |
//! | [`Shape::SpeechAct`] | `sender`, `receiver`, `content` | `ifmessage-2.1` |
//!
//! This crate deliberately knows no registry, no clock and no policy: whose key it is, how old a message may be, and whether it
//! was seen before is decided by whoever reads it. Nothing that it does not know is passed over: an unknown member is a
//! fault, since whoever wrote it meant something by it.
//!
//! ```
//! use sx_ifmessage::{IfMessage, Shape};
//! let text = br#"{"id": "m-1", "timestamp": "2026-11-23T10:00:00Z", "level": 2, "source": "IF.yologuard",
//!     "destination": "IF.guard", "payload": {"text": "valve 7 is open", "confidence": 0.15}}"#;
//! let message = IfMessage::read(text)?;
//! assert_eq!((message.shape, message.confidence()), (Shape::Plain, Some(0.15)));
//! # Ok::<(), sx_ifmessage::ReadError>(())
//! ```

mod error;
mod json;
mod message;
mod read;
mod schema;
mod shapes;
mod signature;

pub use error::{Fault, Problem, ReadError};
pub use message::{Domain, Hazard, HazardKind, IfMessage, Performative, Priority, Scope, Severity, Shape};
pub use schema::{SCHEMAS, Schema};
pub use signature::{Signature, canonical, verifies_beside};
