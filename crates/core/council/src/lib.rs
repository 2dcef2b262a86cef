//! The council: its guardians, what each stands for, and what they may.
//!
//! A guardian is somebody, or an agent, whose word counts: they sign what they say with one key, which is registered for
//! them. [`Guardian`] is what is written down of one; [`EXAMPLES`] are twelve of them, without keys, which every
//! installation makes for itself.
//!
//! A [`Vote`] says who may cast a ballot, what is counted, and what comes of it.
//!
//! This crate deliberately knows no keys, no database and no calls: whether a signature is right and who is in which room
//! comes in as facts.
//!
//! ```
//! let text = r#"{"id": "carol", "role": "contrarian", "veto": true, "bandwith_kbps": 10}"#;
//! let error = serde_json::from_str::<sx_council::Guardian>(text).expect_err("a member is misspelt");
//! assert!(error.to_string().contains("bandwith_kbps"));
//! ```

mod examples;
mod guardian;
mod vote;

pub use examples::EXAMPLES;
pub use guardian::{BANDWIDTH_KBPS, Guardian, GuardianError, TEXT_BYTES_MAX};
pub use vote::{COOLING_OFF, CastError, Choice, Elector, Outcome, Tally, Vote};
