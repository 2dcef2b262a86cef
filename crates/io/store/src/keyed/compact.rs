//! Snapshots: `0000002a.snap` holds what the segments up to number 42 come to.

use super::{DELETE, END, PUT, parse};
use crate::FileError;
use crate::journal::{
    FrameReader, HEADER, JournalCounters, JournalError, Progress, ReadError, Replay, append_frame, list, remove,
    sequence_of,
};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rewrites closed segments into snapshots, seeing nothing but the files.
pub(super) struct Compaction {
    dir: PathBuf,
    progress: Arc<Progress>,
    /// Less than this is not worth a snapshot.
    bytes_min: u64,
    /// The last try failed, and that has been logged.
    pub(super) failing: bool,
}

impl Compaction {
    pub(super) fn new(dir: &Path, progress: Arc<Progress>, bytes_min: u64) -> Self {
        Self { dir: dir.to_owned(), progress, bytes_min, failing: false }
    }

    /// Writes a snapshot if there is enough for one. True: it did.
    pub(super) fn turn(&mut self, however_small: bool) -> Result<bool, JournalError> {
        let (current, _) = self.progress.position();
        let mut closed = list(&self.dir)?;
        closed.retain(|segment| segment.sequence < current);
        let Some(last) = closed.last().map(|segment| segment.sequence) else { return Ok(false) };
        let snapshot = latest(&self.dir)?;
        let bytes: u64 = closed.iter().map(|segment| length(&segment.path)).sum();
        let worth_it = self.bytes_min.max(snapshot.as_deref().map_or(0, length));
        if bytes < worth_it && !however_small {
            return Ok(false);
        }
        let sources: Vec<PathBuf> =
            snapshot.into_iter().chain(closed.into_iter().map(|segment| segment.path)).collect();
        let temporary = self.dir.join("snapshot.tmp");
        if let Err(error) = write(&temporary, &sources) {
            // On a disk that is full the journal needs the space more. Should this fail, the next try overwrites.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        let path = self.dir.join(format!("{last:08x}.snap"));
        fs::rename(&temporary, &path).map_err(FileError::at("rename a snapshot to", &path))?;
        sync_folder(&self.dir)?;
        // From here on the snapshot counts. What it replaces is removed now, or at the next start.
        for source in sources.iter().filter(|&source| *source != path) {
            remove(source)?;
        }
        Ok(true)
    }
}

/// Gives the records in `dir` to `each`, oldest first, and removes what a crash has left over. Returns the
/// sequence number of the next segment.
pub(super) fn replay(
    dir: &Path,
    counters: &JournalCounters,
    replay: &mut Replay,
    mut each: impl FnMut(&[u8]),
) -> Result<u32, JournalError> {
    remove(&dir.join("snapshot.tmp"))?;
    let mut covered = 0;
    if let Some(snapshot) = latest(dir)? {
        covered = sequence_of(&snapshot, "snap").unwrap_or(0);
        let mut complete = false;
        replay.read(&snapshot, counters, |record| {
            complete = record == [END];
            each(record);
        })?;
        if !complete {
            tracing::error!(path = %snapshot.display(), "a snapshot is damaged; entries behind the damage are lost");
        }
        for older in snapshots(dir)?.into_iter().filter(|path| *path != snapshot) {
            remove(&older)?;
        }
    }
    let mut next = covered + 1;
    for segment in list(dir)? {
        if segment.sequence <= covered {
            remove(&segment.path)?;
        } else {
            replay.read(&segment.path, counters, &mut each)?;
            next = segment.sequence + 1;
        }
    }
    Ok(next)
}

fn snapshots(dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(FileError::at("read the folder", dir))? {
        let path = entry.map_err(FileError::at("read the folder", dir))?.path();
        if sequence_of(&path, "snap").is_some() {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The snapshot that holds the most. Snapshots get their name when they are whole, so it is complete.
fn latest(dir: &Path) -> Result<Option<PathBuf>, FileError> {
    Ok(snapshots(dir)?.into_iter().max_by_key(|path| sequence_of(path, "snap")))
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Writes what `sources`, oldest first, come to. The sources are read twice, so that only keys are in memory.
fn write(path: &Path, sources: &[PathBuf]) -> Result<(), JournalError> {
    let last = last_puts(sources)?;
    let at = || FileError::at("write", path);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(at())?;
    let mut output = BufWriter::with_capacity(1 << 18, file);
    output.write_all(&HEADER).map_err(at())?;
    let mut frame = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let mut reader = FrameReader::open(source, 0, u64::MAX)?;
        while let Some((record, offset)) = next(&mut reader)? {
            if let Some((PUT, key, _)) = parse(record)
                && last.get(key) == Some(&(index, offset))
            {
                append_frame(&mut frame, record);
                output.write_all(&frame).map_err(at())?;
                frame.clear();
            }
        }
    }
    append_frame(&mut frame, &[END]);
    output.write_all(&frame).map_err(at())?;
    let file = output.into_inner().map_err(|error| at()(error.into_error()))?;
    Ok(file.sync_all().map_err(at())?)
}

/// For each key that is there, the source and the offset of the record that counts.
fn last_puts(sources: &[PathBuf]) -> Result<HashMap<Box<str>, (usize, u64)>, ReadError> {
    let mut last = HashMap::<Box<str>, _>::new();
    for (index, source) in sources.iter().enumerate() {
        let mut reader = FrameReader::open(source, 0, u64::MAX)?;
        while let Some((record, offset)) = next(&mut reader)? {
            match parse(record) {
                Some((PUT, key, _)) => match last.get_mut(key) {
                    Some(place) => *place = (index, offset),
                    None => drop(last.insert(key.into(), (index, offset))),
                },
                Some((DELETE, key, _)) => drop(last.remove(key)),
                _ => {}
            }
        }
    }
    Ok(last)
}

/// The next record and the offset behind the one before it.
fn next(reader: &mut FrameReader) -> Result<Option<(&[u8], u64)>, FileError> {
    let offset = reader.good_offset();
    Ok(reader.next()?.map(|record| (record, offset)))
}

fn sync_folder(dir: &Path) -> Result<(), FileError> {
    File::open(dir).and_then(|folder| folder.sync_all()).map_err(FileError::at("sync", dir))
}
