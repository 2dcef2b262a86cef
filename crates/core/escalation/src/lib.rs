//! What becomes of a message that tells of a hazard: is it fresh, and does a human have to decide?
//!
//! ```text
//!  IfMessage, its signature found right ──► Freshness::admit ──► Routing::route ──► Escalate, Hold or Share
//!                                                └─ Stale: too old, from the future, out of its order, seen before
//! ```
//!
//! This crate deliberately knows no keys, no experts and no calls: whose signature it is the guard decides, and who is rung
//! whoever reads the [`Routed`]. Ask [`Freshness`] only about messages whose signature is right, or a stranger uses up the
//! numbers of somebody else.

mod freshness;
mod routing;

pub use freshness::{Freshness, FreshnessLimits, Stale};
pub use routing::{Reason, Route, Routed, Routing, RoutingError};
