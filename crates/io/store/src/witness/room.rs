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
    /// Nobody writes here any more.
    given_up: AtomicBool,
}

/// So much is made and synced at a time: a write that comes meanwhile does not wait for more.
const STEP_BYTES: u64 = 1 << 20;

impl Room {
    pub(crate) fn up_to(end: u64) -> Self {
        Self {
            end: AtomicU64::new(end),
            growing: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
        }
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

    /// No more is wanted: the segment is closed.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// More could not be made.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.growing.store(false, Ordering::Release);
    }

    /// Makes more, in steps.
    pub(crate) fn grow(&self, file: &File, to: u64) -> io::Result<()> {
        while self.grow_a_step(file, to)? {}
        Ok(())
    }

    /// Makes a step of it; true while there is more to make.
    pub(crate) fn grow_a_step(&self, file: &File, to: u64) -> io::Result<bool> {
        let from = self.end();
        let until = to.min(from + STEP_BYTES);
        if from < until && !self.is_given_up() {
            fill(file, from, until).inspect_err(|_| self.fail())?;
            self.failed.store(false, Ordering::Release);
            self.end.store(until, Ordering::Release);
            if until < to {
                return Ok(true);
            }
        }
        self.growing.store(false, Ordering::Release);
        Ok(false)
    }
}

fn fill(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = Blocks::zeros((to - from).div_ceil(BLOCK_BYTES as u64) as usize);
    file.write_all_at(&zeros.bytes()[..(to - from) as usize], from)?;
    // The file's new length is among the data without which they cannot be read.
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_in_steps_that_count_at_once_and_ends_when_it_is_given_up() {
        let file = tempfile::tempfile().expect("a file");
        let room = Room::up_to(4096);
        let to = 4096 + 5 * STEP_BYTES / 2;
        assert!(room.claim_growth() && !room.claim_growth());
        assert!(room.grow_a_step(&file, to).expect("a step"));
        assert_eq!(room.end(), 4096 + STEP_BYTES, "the first step can be written into");
        room.grow(&file, to).expect("the others");
        assert_eq!((room.end(), file.metadata().expect("a length").len()), (to, to));
        assert!(room.claim_growth(), "and more can be asked for");
        room.give_up();
        assert!(!room.grow_a_step(&file, 2 * to).expect("nothing is made"));
        assert_eq!(room.end(), to);
    }
}
