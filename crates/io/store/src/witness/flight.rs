//! A write on its way: made ready under the log's lock, handed to the disk without it.
//!
//! To hand a write over may take as long as the disk likes: a file system that is frozen, or whose journal hangs, keeps the
//! thread that asks. No other thread may wait for that one, so it has nothing with it that others need.

use super::blocks::Blocks;
use super::disk::{Disk, Event};
use super::ports::PortState;
use std::fs::File;
use std::io;
use std::sync::Arc;
use sx_engine::Time;
use sx_witness::IndexEntry;

/// What a write adds to the log.
pub(crate) struct Flight {
    /// How many records are durable when it is done.
    pub(crate) size: u64,
    /// What it appends, in the blocks behind the tail.
    pub(crate) bytes: usize,
    pub(crate) index: Vec<IndexEntry>,
    pub(crate) begun: Time,
    /// Who is woken when it is done; `None`: a thread that has gone since.
    pub(crate) port: Option<Arc<PortState>>,
}

/// A write that is ready.
pub(crate) struct Ready {
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) file: Arc<File>,
    pub(crate) blocks: Blocks,
    pub(crate) offset: u64,
    /// Raised when it is done.
    pub(crate) event: Event,
    pub(crate) flight: Flight,
}

/// A write that the disk has, or has refused.
pub(crate) struct HandedOver {
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) flight: Flight,
    pub(crate) result: Result<(), (io::Error, Blocks)>,
}

impl Ready {
    /// Asks the disk. The log's lock must not be held.
    pub(crate) fn hand_over(self) -> HandedOver {
        let Self { mut disk, file, blocks, offset, event, flight } = self;
        let result = disk.begin(&file, blocks, offset, &event);
        HandedOver { disk, flight, result }
    }
}
