//! The segment that is being written.

use super::blocks::{BLOCK_BYTES, Blocks};
use super::disk::{Disk, write_now};
use super::files;
use super::next::Blank;
use super::room::Room;
use crate::FileError;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sx_engine::Time;
use sx_witness::{IndexEntry, Line};

pub(crate) struct Segment {
    pub(crate) file: Arc<File>,
    pub(crate) path: PathBuf,
    /// The number of its first record.
    pub(crate) first: u64,
    /// Bytes that are durable.
    pub(crate) end: u64,
    /// Those of them behind the last whole block: they are written again with what follows.
    pub(crate) tail: Vec<u8>,
    /// Of the records that are durable.
    pub(crate) index: Vec<IndexEntry>,
    pub(crate) room: Arc<Room>,
    /// When its first record was written; `None` while there is none.
    pub(crate) begun: Option<Time>,
}

/// A segment that is closed.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    pub(crate) first: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) at: Time,
    pub(crate) path: PathBuf,
}

/// The room a segment begins with.
pub(crate) const FIRST_ROOM: u64 = 1 << 20;

impl Segment {
    /// Goes on with a segment that holds these records, `tail` being what is behind its last whole block.
    pub(crate) fn open(
        disk: &mut dyn Disk,
        folder: &Path,
        first: u64,
        end: u64,
        tail: Vec<u8>,
        index: Vec<IndexEntry>,
    ) -> Result<Self, FileError> {
        let path = files::path_of(folder, first, files::SEGMENT);
        let file = disk.open(&path).map_err(FileError::at("open", &path))?;
        // What is behind the last record was never acknowledged: it becomes room, which is zeros. The block that the
        // last record ends in is written over with itself, never cut: nothing of it is gone at any moment.
        let mut whole = end - tail.len() as u64;
        if !tail.is_empty() {
            let mut blocks = Blocks::default();
            blocks.fill(&[&tail]);
            write_now(disk, &file, blocks, whole).map_err(FileError::at("write", &path))?;
            whole += BLOCK_BYTES as u64;
        }
        file.set_len(whole).map_err(FileError::at("cut", &path))?;
        let room = Room::up_to(whole);
        room.grow(&file, whole + FIRST_ROOM).map_err(FileError::at("extend", &path))?;
        files::sync_folder(folder)?;
        let begun = first_time(&path)?.filter(|_| !index.is_empty());
        Ok(Self { file, path, first, end, tail, index, room: Arc::new(room), begun })
    }

    /// Begins with this file, which has its name on the disk.
    pub(crate) fn begin(blank: Blank, path: PathBuf, first: u64) -> Self {
        let Blank { file, room } = blank;
        Self { file, path, first, end: 0, tail: Vec::new(), index: Vec::new(), room, begun: None }
    }

    /// The number of the record behind its last.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.index.len() as u64
    }

    /// Where a write that appends begins.
    pub(crate) fn write_at(&self) -> u64 {
        self.end - self.tail.len() as u64
    }

    /// Is there room for so many more bytes?
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let blocks = (self.tail.len() + bytes).div_ceil(BLOCK_BYTES) as u64;
        self.write_at() + blocks * BLOCK_BYTES as u64 <= self.room.end()
    }

    /// These bytes, which were appended behind the tail, are durable.
    pub(crate) fn written(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        let behind = (self.end % BLOCK_BYTES as u64) as usize;
        if behind <= bytes.len() {
            self.tail.clear();
            self.tail.extend_from_slice(&bytes[bytes.len() - behind..]);
        } else {
            self.tail.extend_from_slice(bytes);
        }
    }

    /// Nothing more is written: the file, its name, and where it ends.
    pub(crate) fn cut_at(&self) -> (Arc<File>, PathBuf, u64) {
        self.room.give_up();
        (self.file.clone(), self.path.clone(), self.end)
    }
}

/// What the first record of a segment says about when it was written.
fn first_time(path: &Path) -> Result<Option<Time>, FileError> {
    let line = files::first_line(path)?;
    Ok(line.and_then(|line| Line::parse(&line).ok().map(|line| line.time())))
}
