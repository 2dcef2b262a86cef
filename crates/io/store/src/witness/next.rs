//! The file of the next segment: made ahead under a name that means nothing, and given its own when its first record is
//! known. Both is done by the thread of chores; nothing is written into it before its name is on the disk.
//!
//! ```text
//!   Unmade ──► Making ──► Made ──► Naming ──► Named ──► (it is the segment)
//!     ▲          │          ▲         │
//!     └─ failed ─┘          └─ failed ┘
//! ```

use super::disk::Opener;
use super::files;
use super::room::Room;
use super::segment::FIRST_ROOM;
use crate::FileError;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file with room, which holds nothing yet.
#[derive(Debug)]
pub(crate) struct Blank {
    pub(crate) file: Arc<File>,
    pub(crate) room: Arc<Room>,
}

/// How far it is.
#[derive(Debug, Default)]
pub(crate) enum Stage {
    #[default]
    Unmade,
    Making,
    Made(Blank),
    Naming(Blank),
    /// This is the name that it has.
    Named(Blank, PathBuf),
    MakingFailed(FileError),
    NamingFailed(Blank, FileError),
}

/// What the log and the thread of chores know of it.
#[derive(Debug, Default)]
pub(crate) struct Next(Mutex<Stage>);

/// Its name before it has one.
const UNNAMED: &str = "next.tmp";

impl Next {
    pub(crate) fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the file; one that an earlier run has left is used again. What fails leaves none.
    pub(crate) fn make(&self, folder: &Path, opener: &Opener) {
        let path = folder.join(UNNAMED);
        let made = make(&path, opener).map_err(FileError::at("prepare the next segment", &path));
        *self.stage() = match made {
            Ok(blank) => Stage::Made(blank),
            Err(error) => {
                // There may be none.
                let _ = fs::remove_file(&path);
                Stage::MakingFailed(error)
            }
        };
    }

    /// Gives it the name of a segment. Asked again after a failure, it goes on where it was.
    pub(crate) fn name(&self, folder: &Path, path: PathBuf) {
        let unnamed = folder.join(UNNAMED);
        let named = match fs::rename(&unnamed, &path) {
            // It has the name already, if perhaps not on the disk.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.exists() => Ok(()),
            renamed => renamed.map_err(FileError::at("rename", &unnamed)),
        };
        let named = named.and_then(|()| files::sync_folder(folder));
        let mut stage = self.stage();
        *stage = match (std::mem::take(&mut *stage), named) {
            (Stage::Naming(blank), Ok(())) => Stage::Named(blank, path),
            (Stage::Naming(blank), Err(error)) => Stage::NamingFailed(blank, error),
            (other, _) => other,
        };
    }
}

fn make(path: &Path, opener: &Opener) -> std::io::Result<Blank> {
    // Whatever an earlier run has left there: no file keeps a byte of it.
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = opener(path)?;
    let room = Room::up_to(0);
    room.grow(&file, FIRST_ROOM)?;
    file.sync_all()?;
    Ok(Blank { file: Arc::new(file), room: Arc::new(room) })
}
