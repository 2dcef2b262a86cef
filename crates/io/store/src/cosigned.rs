//! What this exchange has cosigned of others' logs: a file for each log, with the last checkpoint it has seen.
//!
//! One lock is held from the look at what was seen until the new checkpoint is on the disk, so that of two requests at a time
//! neither leads back behind the other.

use crate::folder::create_folder;
use crate::witness::files::write_whole;
use crate::{DataFolder, FileError};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use sx_engine::Time;
use sx_witness::{Checkpoint, ConsistencyProof, CosignRefused, Hash, Seen, SigningKey, VerifyingKey, cosign};

/// The logs that this exchange is a witness of.
pub struct CosignedLogs {
    folder: PathBuf,
    logs: Vec<VerifyingKey>,
    key: SigningKey,
    seen: Mutex<BTreeMap<String, Seen>>,
}

/// Why nothing was cosigned.
#[derive(Debug, thiserror::Error)]
pub enum CosignError {
    /// Whoever asks, or the log it asks for, is to blame.
    #[error(transparent)]
    Refused(#[from] CosignRefused),
    /// What was to be cosigned could not be remembered, so it was not cosigned.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why it cannot be known what was cosigned. Nothing is cosigned then: a witness that forgets can be led back.
#[derive(Debug, thiserror::Error)]
pub enum CosignedError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not as it was written.
    #[error(
        "{} does not hold the checkpoint that was cosigned last; restore it, or remove it to trust that log anew from its \
         next checkpoint on",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// The name of the folder in the data folder.
const FOLDER: &str = "cosigned";
const EXTENSION: &str = "checkpoint";

impl CosignedLogs {
    /// Reads what was cosigned of these logs; `key` cosigns.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn open(data: &DataFolder, logs: Vec<VerifyingKey>, key: SigningKey) -> Result<Self, CosignedError> {
        let folder = data.path().join(FOLDER);
        create_folder(&folder)?;
        let mut seen = BTreeMap::new();
        for log in &logs {
            if let Some(last) = read(&folder, log.name())? {
                seen.insert(log.name().to_owned(), last);
            }
        }
        Ok(Self { folder, logs, key, seen: Mutex::new(seen) })
    }

    /// The key that its cosignatures are verified with.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.key.verifying_key().as_cosigner()
    }

    /// What was cosigned last of this log.
    pub fn seen(&self, origin: &str) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(origin).copied()
    }

    /// The checkpoint of this log that was cosigned last, with its signatures, as the disk has it.
    pub fn last_note(&self, origin: &str) -> Option<String> {
        fs::read_to_string(path_of(&self.folder, origin)).ok()
    }

    /// Cosigns a checkpoint, when its log has only grown: the signature line, without a newline.
    ///
    /// # Errors
    /// When it has not, or when it could not be remembered.
    pub fn add_checkpoint(&self, request: &ConsistencyProof, now: Time) -> Result<String, CosignError> {
        let checkpoint = &request.checkpoint;
        // A thread that panics while it holds the lock leaves what was remembered before, which is right.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = seen.get(&checkpoint.origin).copied().unwrap_or_else(Seen::nothing);
        last.admit(request, &self.logs)?;
        let cosignature = cosign(checkpoint, &self.key, now);
        let text = format!("{}\n{cosignature}\n", checkpoint.body());
        //= https://c2sp.org/tlog-witness#add-checkpoint
        // It is on the disk before it is answered.
        write_whole(&path_of(&self.folder, &checkpoint.origin), text.as_bytes())?;
        seen.insert(checkpoint.origin.clone(), Seen::of(checkpoint));
        Ok(cosignature)
    }
}

impl std::fmt::Debug for CosignedLogs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CosignedLogs").field("logs", &self.logs).finish_non_exhaustive()
    }
}

/// A log's name may hold what a file's name may not; its hash does not.
fn path_of(folder: &Path, origin: &str) -> PathBuf {
    folder.join(format!("{}.{EXTENSION}", Hash::of(origin.as_bytes())))
}

fn read(folder: &Path, origin: &str) -> Result<Option<Seen>, CosignedError> {
    let path = path_of(folder, origin);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::at("read", &path)(error).into()),
    };
    match Checkpoint::parse(&text) {
        Ok(checkpoint) if checkpoint.origin == origin => Ok(Some(Seen::of(&checkpoint))),
        _ => Err(CosignedError::Damaged { path }),
    }
}

#[cfg(test)]
mod tests;
