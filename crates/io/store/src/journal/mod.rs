//! An append-only journal: what must survive `kill -9` without waiting for a database.
//!
//! ```text
//!  append ──► buffer ──commit: one write──► segment 7 ──full──► segment 8 …
//!               ▲                              │
//!               └── stays there when the disk is full; the segment is cut back to its last good record
//! ```

mod frame;
mod segment;
mod sync;
#[cfg(test)]
mod tests;

pub(crate) use frame::{FrameReader, HEADER, append_frame};
pub use frame::{RECORD_BYTES_MAX, ReadError, TornTail};
pub use segment::Replay;
pub(crate) use segment::{SegmentFile, list, path_of, remove, sequence_of, set_aside};
pub use sync::SyncPolicy;

use crate::FileError;
use crate::folder::create_folder;
use segment::Create;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use sync::Syncer;

/// Segments longer than this would not fit the 32 bits that their offsets are published in.
const SEGMENT_BYTES_LIMIT: u64 = 1 << 30;
/// A buffer that has grown beyond this, as it does while a disk is full, is given back after the next commit.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// How a journal behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalOptions {
    /// A segment that has reached this many bytes is closed and another begun. At most 1 GiB.
    pub segment_bytes_max: u64,
    /// How many bytes may wait to be written; records beyond are refused. As many may wait to be synced; until that is
    /// done nothing more is written. At most 1 GiB.
    pub buffer_bytes_max: usize,
    /// When what is written must have reached the disk itself.
    pub sync: SyncPolicy,
}

impl Default for JournalOptions {
    /// Segments of 32 MiB, a buffer of at most 8 MiB, a sync every second.
    fn default() -> Self {
        Self {
            segment_bytes_max: 32 << 20,
            buffer_bytes_max: 8 << 20,
            sync: SyncPolicy::Interval(Duration::from_secs(1)),
        }
    }
}

/// What journals have counted since the process began. Several may share one set.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct JournalCounters {
    /// Records written.
    pub records: AtomicU64,
    /// Bytes written, frames included.
    pub bytes: AtomicU64,
    /// Commits that wrote nothing because the file system refused.
    pub commit_failures: AtomicU64,
    /// Records refused because the buffer was full: these are lost.
    pub refused: AtomicU64,
    /// Torn tails cut off.
    pub torn_tails: AtomicU64,
    /// Records that could not be read back.
    pub damaged: AtomicU64,
    /// Syncs to the disk.
    pub syncs: AtomicU64,
    /// Syncs that the disk refused.
    pub sync_failures: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The caller's record is longer than a record may be.
    #[error("a record of {bytes} bytes is longer than {RECORD_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// So much waits to be written, the disk being full or gone, that this record is lost.
    #[error("{bytes_max} bytes wait to be written already; the record is lost")]
    BufferFull {
        /// The limit.
        bytes_max: usize,
    },
}

/// Why a commit is not done.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing was written. The records wait in the buffer for the next commit.
    #[error(transparent)]
    Write(FileError),
    /// All was written, but has perhaps not reached the disk.
    #[error(transparent)]
    Sync(FileError),
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A segment cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// How far a journal is written, for whoever reads it while it grows.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The segment's sequence number and the offset behind its last good record, 32 bits each.
    position: AtomicU64,
    /// The journal is closed: nothing will be added to the segment.
    closed: AtomicBool,
}

impl Progress {
    fn publish(&self, sequence: u32, offset: u64) {
        self.position.store(u64::from(sequence) << 32 | offset, Ordering::Release);
    }

    /// The segment that is written to and the offset behind its last good record.
    pub(crate) fn position(&self) -> (u32, u64) {
        let position = self.position.load(Ordering::Acquire);
        ((position >> 32) as u32, position & 0xffff_ffff)
    }

    /// Is the journal closed? To be asked before [`position`](Self::position).
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// The segment that is being written.
struct Current {
    file: Arc<dyn SegmentFile>,
    path: PathBuf,
    /// The offset behind the last good record; 0 before the header is written.
    good: u64,
    /// A write has failed, and bytes may stand behind `good`.
    dirty: bool,
}

/// The writing end of a journal. One thread owns it; every turn of its loop appends records and ends in a
/// [`commit`](Self::commit).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = std::env::temp_dir().join(format!("sx-store-doc-journal-{}", std::process::id()));
/// use sx_store::{Journal, JournalOptions};
/// let (mut journal, _) = Journal::open(&dir, &JournalOptions::default(), |_| {})?;
/// journal.append(b"one")?;
/// journal.append(b"two")?;
/// journal.commit()?;
/// drop(journal);
///
/// let mut seen = Vec::new();
/// Journal::open(&dir, &JournalOptions::default(), |record| seen.push(record.to_vec()))?;
/// assert_eq!(seen, [b"one", b"two"]);
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok(())
/// # }
/// ```
pub struct Journal {
    dir: PathBuf,
    options: JournalOptions,
    counters: Arc<JournalCounters>,
    progress: Arc<Progress>,
    syncer: Syncer,
    create: Create,
    sequence: u32,
    current: Option<Current>,
    /// Begins with a segment's header, so that the first write of a segment is one write too.
    buffer: Vec<u8>,
    /// Records in the buffer.
    waiting: u64,
    failing: bool,
}

impl Journal {
    /// Opens the journal in `dir`, which is created if need be, gives every record in it to `each`, in order, and
    /// begins a new segment. A torn tail is cut off and reported, never an error.
    ///
    /// # Errors
    /// When the folder or a segment cannot be read, or a file there is no segment.
    pub fn open(
        dir: &Path,
        options: &JournalOptions,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(Self, Replay), JournalError> {
        create_folder(dir)?;
        let counters = Arc::new(JournalCounters::default());
        let mut replay = Replay::default();
        let segments = list(dir)?;
        for segment in &segments {
            replay.read(&segment.path, &counters, &mut each)?;
        }
        let next = segments.last().map_or(1, |last| last.sequence + 1);
        Ok((Self::begin(dir, next, options, counters)?, replay))
    }

    /// Begins to write at the segment `sequence`, which must not exist.
    pub(crate) fn begin(
        dir: &Path,
        sequence: u32,
        options: &JournalOptions,
        counters: Arc<JournalCounters>,
    ) -> Result<Self, FileError> {
        let progress = Arc::new(Progress::default());
        progress.publish(sequence, 0);
        let syncer = Syncer::new(options.sync, &counters).map_err(FileError::at("start the thread that syncs", dir))?;
        let mut options = options.clone();
        options.segment_bytes_max = options.segment_bytes_max.min(SEGMENT_BYTES_LIMIT);
        options.buffer_bytes_max = options.buffer_bytes_max.min(SEGMENT_BYTES_LIMIT as usize);
        Ok(Self {
            dir: dir.to_owned(),
            options,
            counters,
            progress,
            syncer,
            create: Box::new(segment::create_file),
            sequence,
            current: None,
            buffer: HEADER.to_vec(),
            waiting: 0,
            failing: false,
        })
    }

    /// Appends a record to what the next [`commit`](Self::commit) writes.
    ///
    /// # Errors
    /// When the record is too long, or too much waits already; it is not appended then.
    pub fn append(&mut self, record: &[u8]) -> Result<(), AppendError> {
        self.append_with(|buffer| {
            buffer.extend_from_slice(record);
            Ok::<(), Infallible>(())
        })
        .unwrap_or_else(|never| match never {})
    }

    /// Appends the record that `fill` adds to the buffer. The outer error is `fill`'s.
    pub(crate) fn append_with<E>(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Result<(), AppendError>, E> {
        let start = self.buffer.len();
        let bytes = frame::put(&mut self.buffer, fill)?;
        if bytes > RECORD_BYTES_MAX {
            return Ok(Err(AppendError::TooLong { bytes }));
        }
        let bytes_max = self.options.buffer_bytes_max;
        if self.buffer.len() > bytes_max {
            self.buffer.truncate(start);
            add(&self.counters.refused, 1);
            return Ok(Err(AppendError::BufferFull { bytes_max }));
        }
        self.waiting += 1;
        Ok(Ok(()))
    }

    /// Writes what was appended, in one write; writes nothing when there is nothing.
    ///
    /// # Errors
    /// When the file system refuses, as when the disk is full. What was written before stays as it was; the
    /// records stay in the buffer and the next commit tries again. Also when something that was written before has not
    /// reached the disk when it should have, until it has.
    pub fn commit(&mut self) -> Result<(), CommitError> {
        match if self.waiting == 0 { Ok(()) } else { self.write() } {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(dir = %self.dir.display(), "the journal can be written again");
                }
            }
            Err(error) => {
                add(&self.counters.commit_failures, 1);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(%error, "the journal cannot be written; records wait in memory");
                }
                return Err(CommitError::Write(error));
            }
        }
        let settled = self.syncer.settle(&self.counters);
        settled.map_err(|error| CommitError::Sync(FileError::at("sync a journal in", &self.dir)(error)))
    }

    /// What the journal has counted.
    pub fn counters(&self) -> &Arc<JournalCounters> {
        &self.counters
    }

    /// How many records wait for a [`commit`](Self::commit).
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// How far the journal is written.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    fn write(&mut self) -> Result<(), FileError> {
        self.rotate();
        let current = match &mut self.current {
            Some(current) => current,
            none => none.insert(begin_segment(&self.dir, self.sequence, &mut self.create)?),
        };
        // A segment's first write brings its header along.
        let bytes = if current.good == 0 { &self.buffer[..] } else { &self.buffer[HEADER.len()..] };
        let full = |syncer: &Syncer| {
            let waiting = syncer.waiting_bytes();
            waiting > 0 && waiting + bytes.len() > self.options.buffer_bytes_max
        };
        if full(&self.syncer) {
            self.syncer.settle(&self.counters).map_err(FileError::at("sync", &current.path))?;
            if full(&self.syncer) {
                return Err(FileError::at("sync", &current.path)(io::ErrorKind::TimedOut.into()));
            }
        }
        if current.good == 0 {
            self.syncer.named(&self.dir);
        }
        if let Err(source) = write_all_at(&*current.file, bytes, current.good) {
            // Should the file not be cut either, the next try overwrites what stands there with the same bytes.
            current.dirty = current.file.set_len(current.good).is_err();
            return Err(FileError::at("write", &current.path)(source));
        }
        current.dirty = false;
        self.syncer.wrote(&current.file, current.good, bytes);
        current.good += bytes.len() as u64;
        add(&self.counters.records, self.waiting);
        add(&self.counters.bytes, bytes.len() as u64);
        self.progress.publish(self.sequence, current.good);
        self.waiting = 0;
        self.buffer.truncate(HEADER.len());
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        }
        Ok(())
    }

    /// Closes the current segment when it has no room for what waits. A segment with a failed write behind its
    /// last good record stays: the same records must not stand in two segments.
    fn rotate(&mut self) {
        let Some(current) = &self.current else { return };
        let waiting = self.buffer.len() - HEADER.len();
        let full = current.good + waiting as u64 > self.options.segment_bytes_max;
        if full && current.good > HEADER.len() as u64 && !current.dirty {
            self.current = None;
            self.sequence += 1;
            self.progress.publish(self.sequence, 0);
        }
    }
}

impl Drop for Journal {
    /// Commits what waits, as far as the disk lets it.
    fn drop(&mut self) {
        self.syncer.hasten();
        if let Err(error) = self.commit() {
            tracing::error!(%error, records = self.waiting, "a journal was closed with records not written");
        }
        self.progress.closed.store(true, Ordering::Release);
    }
}

fn begin_segment(dir: &Path, sequence: u32, create: &mut Create) -> Result<Current, FileError> {
    let path = path_of(dir, sequence);
    let file = create(&path).map_err(FileError::at("create", &path))?;
    Ok(Current { file, path, good: 0, dirty: false })
}

fn write_all_at(file: &dyn SegmentFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
