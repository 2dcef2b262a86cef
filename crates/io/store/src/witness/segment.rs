//! The segment that is being written.

use super::blocks::{BLOCK_BYTES, Blocks};
use super::disk::{Disk, write_now};
use super::files;
use super::room::Room;
use crate::FileError;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sx_witness::IndexEntry;

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
        Ok(Self { file, path, first, end, tail, index, room: Arc::new(room) })
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

    /// Cuts the room behind the last record off: nothing more is written.
    pub(crate) fn give_room_back(&self) {
        if let Err(error) = self.file.set_len(self.end) {
            tracing::warn!(%error, path = %self.path.display(), "the end of a segment could not be cut");
        }
    }
}
