//! What becomes of a message that tells of a hazard: is it fresh, and does a human have to decide?
//!
//! ```text
//!  IfMessage, its signature found right ──► Freshness::admit ──► Routing::route ──► Escalate, Hold or Share
//!                                                └─ Stale: too old, from the future, out of its order, seen before
//! ```
//!
//! [`redact_message`] blots personal data out of it, and [`Search`] says whom to ring and whom next.
//!
//! This crate deliberately knows no keys and no calls: whose signature it is the guard decides, and who rings and answers comes
//! in from whoever has the calls. Ask [`Freshness`] only about messages whose signature is right, or a stranger uses up the
//! numbers of somebody else.

mod freshness;
mod redaction;
mod routing;
mod search;

pub use freshness::{Freshness, FreshnessLimits, Stale};
pub use redaction::{Redactions, redact_message};
pub use routing::{Reason, Route, Routed, Routing, RoutingError};
pub use search::{Attempt, Candidate, Search};
