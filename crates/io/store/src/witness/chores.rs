//! What a log has done behind its back, so that no worker waits for it: indexes, room ahead, checkpoints for readers, the
//! end of old segments. Each may fail without harm to what is in the log; it is said, and the log goes on.

use super::files;
use super::ports::Ports;
use super::room::Room;
use crate::FileError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use sx_witness::IndexEntry;

/// One of them.
pub(crate) enum Chore {
    /// Write the index of a closed segment, whose file ends here.
    Close { file: Arc<File>, path: PathBuf, first: u64, bytes: u64, entries: Vec<IndexEntry> },
    /// Fill a segment's file with zeros up to here, so that writes find room and never change the file's length.
    MakeRoom { file: Arc<File>, to: u64, room: Arc<Room> },
    /// Append a line to the file of checkpoints.
    Checkpoint { line: Vec<u8> },
    /// Remove a segment that has been kept for long enough.
    Remove { path: PathBuf },
}

/// The thread that does them.
pub(crate) struct Chores {
    jobs: Option<Sender<Chore>>,
    thread: Option<JoinHandle<()>>,
}

impl Chores {
    pub(crate) fn start(folder: &Path, ports: Arc<Ports>) -> io::Result<Self> {
        let (jobs, inbox) = channel();
        let folder = folder.to_owned();
        let thread =
            std::thread::Builder::new().name("witness-chores".into()).spawn(move || work(&folder, &inbox, &ports))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(crate) fn push(&self, chore: Chore) {
        if let Some(jobs) = &self.jobs
            && jobs.send(chore).is_err()
        {
            tracing::error!("the thread that looks after the witness log has ended");
        }
    }
}

impl Drop for Chores {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that looks after the witness log had panicked");
        }
    }
}

fn work(folder: &Path, inbox: &Receiver<Chore>, ports: &Ports) {
    if let Err(error) = rustix::process::nice(STEP_BACK) {
        tracing::debug!(%error, "a background thread keeps the priority of the others");
    }
    for chore in inbox {
        let done = match chore {
            Chore::Close { file, path, first, bytes, entries } => close(folder, &file, &path, first, bytes, &entries),
            Chore::MakeRoom { file, to, room } => {
                let made = room.grow(&file, to);
                ports.raise_all();
                made.map_err(FileError::at("extend a segment in", folder))
            }
            Chore::Checkpoint { line } => append(&folder.join(files::CHECKPOINTS), &line),
            Chore::Remove { path } => fs::remove_file(&path).map_err(FileError::at("remove", &path)),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the witness log goes on without this");
        }
    }
}

/// A ninth of the processor where all of it is wanted.
const STEP_BACK: i32 = 10;

fn close(
    folder: &Path,
    file: &File,
    path: &Path,
    first: u64,
    bytes: u64,
    entries: &[IndexEntry],
) -> Result<(), FileError> {
    file.set_len(bytes).and_then(|()| file.sync_all()).map_err(FileError::at("cut", path))?;
    files::write_index(folder, first, entries)
}

pub(crate) fn append(path: &Path, line: &[u8]) -> Result<(), FileError> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.and_then(|mut file| file.write_all(line)).map_err(FileError::at("write", path))
}
