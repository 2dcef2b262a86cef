//! Whether segments are where they were: somebody may remove one, or move its folder away, while the log is being written.

use super::log::{Shared, WitnessLog};
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// A segment that is looked after: the one that was being written at the last look, and those that are missing since then.
pub(crate) struct Watched {
    file: Arc<File>,
    path: PathBuf,
    is_missing: bool,
}

/// So many are looked after at most; the log is failing while a single one of them is missing.
const WATCHED_MAX: usize = 64;

impl WitnessLog {
    /// Looks whether the segment is still where it was, and whether those are back that were not: somebody may have removed them,
    /// or moved their folder away. The log is failing until they are there again, or would have gone by now anyway. To be called
    /// once in a while by a thread that may wait for a disk.
    pub fn look_for_segment(&self) {
        // Nobody who writes takes this lock.
        let mut watched = self.shared.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, path) = {
            let sequencer = self.shared.lock();
            (sequencer.segment.file.clone(), sequencer.segment.path.clone())
        };
        let current = path.clone();
        if watched.len() < WATCHED_MAX && watched.iter().all(|other| other.path != path) {
            watched.push(Watched { file, path, is_missing: false });
        }
        watched.retain_mut(|segment| segment.look(&self.shared) && (segment.is_missing || segment.path == current));
        let misplaced = watched.iter().any(|segment| segment.is_missing);
        if self.shared.misplaced.swap(misplaced, Ordering::AcqRel) != misplaced {
            self.shared.ports.raise_all();
        }
    }
}

impl Watched {
    /// Looks where it is; false when it was kept for long enough, so that nobody misses it.
    fn look(&mut self, shared: &Shared) -> bool {
        let is_missing = !is_at(&self.file, &self.path);
        // It may have been closed, and retired, meanwhile.
        if is_missing && !shared.lock().keeps(&self.path) {
            return false;
        }
        match (self.is_missing, is_missing) {
            (false, true) => {
                tracing::error!(path = %self.path.display(), "a segment of the witness log was moved or removed");
            }
            (true, false) => tracing::info!(path = %self.path.display(), "a segment of the witness log is there again"),
            _ => {}
        }
        self.is_missing = is_missing;
        true
    }
}

/// Is this file the one of that name? It is as long as nobody knows otherwise.
fn is_at(file: &File, path: &Path) -> bool {
    let there = match std::fs::metadata(path) {
        Err(error) => return error.kind() != std::io::ErrorKind::NotFound,
        Ok(there) => there,
    };
    file.metadata().map_or(true, |ours| (ours.dev(), ours.ino()) == (there.dev(), there.ino()))
}
