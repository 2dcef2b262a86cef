//! The folder all durable state lives in, and who may write there.

use crate::FileError;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LOCK: &str = "lock";
const PROBE: &str = "writable.tmp";

/// The data folder, owned by this process: nobody else can open it until this value is dropped or the process
/// ends, however it ends. Others may still [attach](SharedFolder::attach) to it.
#[derive(Debug)]
pub struct DataFolder {
    shared: SharedFolder,
    /// Holds the lock for as long as it is open; what writes into the folder shares it.
    lock: Arc<File>,
}

/// The data folder as other processes see it while a server may be running: the databases, not the journals.
#[derive(Clone, Debug)]
pub struct SharedFolder {
    path: PathBuf,
}

/// Why the data folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error(
        "the data folder {} is in use by process {holder}; stop that process or configure another folder",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The other process's id as it wrote it down, or `unknown`.
        holder: String,
    },
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

impl DataFolder {
    /// Creates the folder if need be (mode 0700), locks it and sees whether it can be written to.
    ///
    /// # Errors
    /// [`FolderError::InUse`] when another process has opened it; [`FolderError::File`] when it cannot be created
    /// or written.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let shared = SharedFolder::attach(path)?;
        let lock_path = path.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(FileError::at("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FolderError::InUse { path: path.to_owned(), holder: holder(&lock) });
            }
            Err(TryLockError::Error(source)) => return Err(FileError::at("lock", &lock_path)(source).into()),
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(FileError::at("write", &lock_path))?;
        probe(&path.join(PROBE))?;
        Ok(Self { shared, lock: Arc::new(lock) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Keeps the folder locked for as long as the part that asks lives.
    pub(crate) fn lock(&self) -> Arc<File> {
        Arc::clone(&self.lock)
    }

    /// What may be done without owning the folder.
    pub fn shared(&self) -> &SharedFolder {
        &self.shared
    }
}

impl SharedFolder {
    /// Attaches to the folder without locking it, creating it (mode 0700) when it is not there yet, so that users
    /// can be added before the first start.
    ///
    /// # Errors
    /// When it does not exist and cannot be created.
    pub fn attach(path: &Path) -> Result<Self, FileError> {
        create_folder(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Creates a folder and those above it, for the owner's eyes only.
pub(crate) fn create_folder(path: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FileError::at("create the folder", path))
}

/// The process id that the holder of the lock wrote into it.
fn holder(lock: &File) -> String {
    let mut text = String::new();
    match lock.take(20).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// A full disk lets files be created but not filled, so the probe writes a block.
fn probe(path: &Path) -> Result<(), FileError> {
    let written = fs::write(path, [0; 4096]);
    let removed = fs::remove_file(path);
    written.and(removed).map_err(FileError::at("write", path))
}
