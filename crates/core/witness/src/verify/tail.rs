//! What stands behind the last line of a file that is appended to: room, or what a write that was cut short has left.
//!
//! A disk writes sectors, each of them whole or not at all, and in any order. Where one was not written, the room that was there
//! before shows: a hole of zero bytes. No line has a zero byte in it, so the first of them ends what can be relied on.
//!
//! ```text
//!  line ⏎ line ⏎ │ {"fac    0 0 0 0 0 0 0 0    de":"n"} ⏎ {"ki    0 0 0 …
//!                │ begun    a hole             written            room
//!                E                   ▲ a multiple of a sector
//! ```

use super::filed::{CHECKPOINT_LINE_BYTES_MAX, CHECKPOINTS_APPEND_BYTES_MAX};
use crate::render::RECORD_BYTES_MAX;

/// No disk writes less at once.
const SECTOR_BYTES: u64 = 512;

/// Judges the bytes behind the last line, which come in pieces of any size.
///
/// ```
/// use sx_witness::Tail;
///
/// let torn = |bytes: &[u8]| {
///     let mut tail = Tail::new(100, 65_536);
///     tail.feed(bytes);
///     tail.torn_bytes()
/// };
/// assert_eq!(torn(&[0; 5000]), Some(0), "room");
/// assert_eq!(torn(b"{\"actor\0\0\0"), Some(7), "a line that was begun");
/// let hole = [vec![0; 412], b"},".to_vec()].concat();
/// assert_eq!(torn(&hole), Some(414), "a sector that was not written, and one that was");
/// assert_eq!(torn(&hole[1..]), None, "a hole that ends within a sector");
/// ```
#[derive(Clone, Debug)]
pub struct Tail {
    start: u64,
    line_bytes_max: u64,
    bytes_max: u64,
    /// Where the next byte stands.
    at: u64,
    /// So many zero bytes are the last that have come.
    zeros: u64,
    /// How many bytes there are up to the last that is not zero.
    written: u64,
    has_hole: bool,
    fits: bool,
}

impl Tail {
    /// Of a file whose last line ends at this offset. A line has so many bytes at most, without its newline.
    pub fn new(offset: u64, line_bytes_max: usize) -> Self {
        let (line_bytes_max, bytes_max) = (line_bytes_max as u64, u64::MAX);
        Self { start: offset, line_bytes_max, bytes_max, at: offset, zeros: 0, written: 0, has_hole: false, fits: true }
    }

    /// Of `checkpoints.jsonl`, to which so much is appended at once and no more: a hole with more behind it is not of the last write.
    pub fn of_checkpoints(offset: u64) -> Self {
        Self { bytes_max: CHECKPOINTS_APPEND_BYTES_MAX as u64, ..Self::new(offset, CHECKPOINT_LINE_BYTES_MAX) }
    }

    /// Looks at what comes next.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(first) = bytes.first() {
            let run = if *first == 0 {
                let zeros = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
                self.skip(zeros as u64);
                zeros
            } else {
                let written = memchr::memchr(0, bytes).unwrap_or(bytes.len());
                self.take(&bytes[..written]);
                written
            };
            bytes = &bytes[run..];
        }
    }

    /// So many zero bytes come next.
    pub(super) fn skip(&mut self, zeros: u64) {
        self.zeros += zeros;
        self.at += zeros;
    }

    fn take(&mut self, written: &[u8]) {
        if self.zeros > 0 {
            self.has_hole = true;
            self.fits &= is_hole(self.start, self.at - self.zeros, self.at);
            self.zeros = 0;
        }
        self.at += written.len() as u64;
        self.written = self.at - self.start;
        // Up to the first hole it is the beginning of one line.
        if !self.has_hole {
            self.fits &= self.written <= self.line_bytes_max && memchr::memchr(b'\n', written).is_none();
        }
    }

    /// How many bytes a write has left that was cut short, up to the last that is not zero: 0 where there is only room. `None`
    /// when no such write leaves what stands there.
    pub fn torn_bytes(&self) -> Option<u64> {
        (self.fits && self.written <= self.bytes_max).then_some(self.written)
    }
}

/// May zero bytes from here to there be a hole, when something stands behind them and the last line ends at `start`?
pub(super) fn is_hole(start: u64, from: u64, to: u64) -> bool {
    (from == start || from.is_multiple_of(SECTOR_BYTES)) && to.is_multiple_of(SECTOR_BYTES)
}

/// Where the lines of a file end: behind the last newline before the first zero byte.
pub fn lines_end(bytes: &[u8]) -> usize {
    let before = &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())];
    memchr::memrchr(b'\n', before).map_or(0, |at| at + 1)
}

/// Of a segment: behind its lines, which end at this offset.
pub(super) fn of_segment(offset: u64) -> Tail {
    Tail::new(offset, RECORD_BYTES_MAX)
}
