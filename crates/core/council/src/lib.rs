//! The council: its guardians, what each stands for, and what they may.
//!
//! A guardian is somebody, or an agent, whose word counts: they sign what they say with one key, which is registered for
//! them. [`Guardian`] is what is written down of one; [`EXAMPLES`] are twelve of them, without keys, which every
//! installation makes for itself.
//!
//! This crate deliberately knows no keys, no database and no calls: whether a signature is right and who is in which room
//! comes in as facts.

mod examples;
mod guardian;

pub use examples::EXAMPLES;
pub use guardian::{BANDWIDTH_KBPS, Guardian, GuardianError, TEXT_BYTES_MAX};
