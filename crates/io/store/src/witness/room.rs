//! Room ahead in a segment: zeros that are on the disk already, so that a write into them changes nothing but them. The
//! file's length stays, no block is looked for, and the disk has one thing to do instead of three.

use super::blocks::{BLOCK_BYTES, Blocks};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far a segment has room. Grown by one thread, looked at by those that write, who never write beyond it.
#[derive(Debug)]
pub(crate) struct Room {
    end: AtomicU64,
    growing: AtomicBool,
    /// The last attempt to make more has failed.
    failed: AtomicBool,
}

impl Room {
    pub(crate) fn up_to(end: u64) -> Self {
        Self { end: AtomicU64::new(end), growing: AtomicBool::new(false), failed: AtomicBool::new(false) }
    }

    /// Where it ends, in bytes from the beginning of the segment.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Is this the one that is to have it grown? False while that is being done already.
    pub(crate) fn claim_growth(&self) -> bool {
        !self.growing.swap(true, Ordering::AcqRel)
    }

    /// Did the last attempt fail?
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Makes more.
    pub(crate) fn grow(&self, file: &File, to: u64) -> io::Result<()> {
        let made = fill(file, self.end(), to);
        if made.is_ok() {
            self.end.store(to, Ordering::Release);
        }
        self.failed.store(made.is_err(), Ordering::Release);
        self.growing.store(false, Ordering::Release);
        made
    }
}

fn fill(file: &File, from: u64, to: u64) -> io::Result<()> {
    const AT_ONCE: u64 = 1 << 20;
    let zeros = Blocks::zeros(AT_ONCE as usize / BLOCK_BYTES);
    let mut at = from;
    while at < to {
        let bytes = AT_ONCE.min(to - at);
        file.write_all_at(&zeros.bytes()[..bytes as usize], at)?;
        at += bytes;
    }
    file.sync_all()
}
