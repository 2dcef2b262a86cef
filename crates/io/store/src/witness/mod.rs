//! The witness log on the disk: written before the effect of what it records, in group commits, and read by auditors.
//!
//! ```text
//!  worker ──append──► waiting ──step: one write──► segment, in room made ahead ──► durable ──► whoever waits goes on
//!                        ▲                             │
//!                        └── stays there, and is written again, when the disk refuses
//! ```
//!
//! No thread waits for the disk: a worker begins the write, goes on with its turn, and is woken by an event when the
//! write is done. While one write is under way, what comes meanwhile gathers for the next.

mod aio;
mod alone;
mod anchors;
mod blocks;
mod chores;
mod disk;
mod failing;
pub(crate) mod files;
mod flight;
mod grown;
mod index;
mod keys;
mod lines;
mod log;
mod missing;
mod next;
mod pace;
mod ports;
mod read;
mod recover;
mod room;
mod rotation;
mod segment;
mod sequencer;
mod tail;
#[cfg(test)]
mod tests;

pub use anchors::{AnchorStates, Anchored};
pub use disk::Event;
pub use files::{read_bounded, read_named_text};
pub use grown::{GrownLog, ProveError};
pub use keys::{KeyError, read_or_make_key, read_signing_key, read_verifying_key, write_signing_key};
pub use log::{AppendError, Opened, WitnessCounters, WitnessLog, WitnessOptions, WitnessStatus};
pub use ports::WitnessPort;
pub use read::{FiledCheckpoint, Found, Leaves, LogPart, ReadError, ReadProgress, RecordId, Search, WitnessFolder};
pub use recover::WitnessError;
pub use tail::{LogTail, TailError};
