//! The files of a journal: `0000002a.log` is the segment with sequence number 42.

use super::frame::{FrameReader, ReadError, TornTail};
use super::{JournalCounters, add};
use crate::FileError;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a journal asks of the file it writes to.
pub(crate) trait SegmentFile: Send + Sync {
    /// As `pwrite(2)`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// As `ftruncate(2)`.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// As `fdatasync(2)`.
    fn sync(&self) -> io::Result<()>;
}

impl SegmentFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }
    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Creates the file of a new segment.
pub(crate) type Create = Box<dyn FnMut(&Path) -> io::Result<Arc<dyn SegmentFile>> + Send>;

/// Creates it on the disk.
pub(crate) fn create_file(path: &Path) -> io::Result<Arc<dyn SegmentFile>> {
    Ok(Arc::new(OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?))
}

/// One segment, on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) sequence: u32,
    pub(crate) path: PathBuf,
}

/// The file of the segment `sequence` in `dir`.
pub(crate) fn path_of(dir: &Path, sequence: u32) -> PathBuf {
    dir.join(format!("{sequence:08x}.log"))
}

/// The sequence number in a file's name, which ends in `.` and `extension`.
pub(crate) fn sequence_of(path: &Path, extension: &str) -> Option<u32> {
    let stem = path.file_stem()?.to_str()?;
    let ours = path.extension()?.to_str()? == extension && stem.len() == 8;
    if ours { u32::from_str_radix(stem, 16).ok() } else { None }
}

/// The segments in `dir`, oldest first.
pub(crate) fn list(dir: &Path) -> Result<Vec<Segment>, FileError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir).map_err(FileError::at("read the folder", dir))? {
        let path = entry.map_err(FileError::at("read the folder", dir))?.path();
        if let Some(sequence) = sequence_of(&path, "log") {
            segments.push(Segment { sequence, path });
        }
    }
    segments.sort_by_key(|segment| segment.sequence);
    Ok(segments)
}

/// What a replay has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Segments read.
    pub segments: u64,
    /// Records given to the caller.
    pub records: u64,
    /// Unreadable records between good ones; they were passed over.
    pub damaged: u64,
    /// Tails that were no records; they have been cut off.
    pub torn: Vec<TornTail>,
}

impl Replay {
    /// Gives every record of a segment to `each` and cuts off its torn tail, if it has one.
    pub(crate) fn read(
        &mut self,
        path: &Path,
        counters: &JournalCounters,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), ReadError> {
        let mut reader = FrameReader::open(path, 0, u64::MAX)?;
        self.segments += 1;
        while let Some(record) = reader.next()? {
            self.records += 1;
            each(record);
        }
        self.damaged += reader.damaged();
        add(&counters.damaged, reader.damaged());
        if let Some(torn) = reader.torn_tail() {
            cut(&torn, counters);
            self.torn.push(torn);
        }
        Ok(())
    }
}

/// Cuts a torn tail off. A file that cannot be cut is as readable as before, so that is no error.
fn cut(torn: &TornTail, counters: &JournalCounters) {
    add(&counters.torn_tails, 1);
    let (path, offset, lost_bytes) = (torn.path.display(), torn.offset, torn.lost_bytes);
    let result = OpenOptions::new().write(true).open(&torn.path).and_then(|file| file.set_len(torn.offset));
    match result {
        Ok(()) => tracing::warn!(%path, offset, lost_bytes, "a journal ended in the middle of a record and was cut"),
        Err(error) => tracing::warn!(%path, offset, lost_bytes, %error, "a journal's torn tail cannot be cut"),
    }
}

/// Keeps a segment that could not be read to its end out of the way of the journal, as `0000002a.damaged`: what is in it
/// may still be of use to somebody who looks.
pub(crate) fn set_aside(path: &Path) -> Result<(), FileError> {
    let aside = path.with_extension("damaged");
    tracing::error!(path = %aside.display(), "a journal segment holds bytes that are no records and was set aside");
    match fs::rename(path, &aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::at("rename", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a file that is no longer needed; it may be gone already.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::at("remove", path)(error)),
        _ => Ok(()),
    }
}
