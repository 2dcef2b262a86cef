//! What went wrong with a file or a database, and what an operator can do about it.

use rusqlite::ErrorCode;
use std::io;
use std::path::{Path, PathBuf};

/// The operating system refused something that was asked of a file or a folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {error}{}", path.display(), remedy(error))]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What was tried, as a verb.
    pub doing: &'static str,
    /// What the operating system said. The message has it, so that it is not said once more as a source.
    pub error: io::Error,
}

/// SQLite refused something.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {error}{}", path.display(), database_remedy(error))]
pub struct DatabaseError {
    /// The database file.
    pub path: PathBuf,
    /// What was tried, as a verb.
    pub doing: &'static str,
    /// What SQLite said, as above.
    pub error: rusqlite::Error,
}

impl FileError {
    /// For `map_err`.
    pub(crate) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { path: path.to_owned(), doing, error }
    }

    /// The same once more, to be said elsewhere.
    pub(crate) fn copy(&self) -> Self {
        let error = self.error.raw_os_error().map_or_else(|| self.error.kind().into(), io::Error::from_raw_os_error);
        Self { path: self.path.clone(), doing: self.doing, error }
    }
}

impl DatabaseError {
    /// For `map_err`.
    pub(crate) fn at(doing: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        move |error| Self { path: path.to_owned(), doing, error }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; give the user that runs this process read and write permission to it",
        io::ErrorKind::ReadOnlyFilesystem => "; mount the file system for writing or configure another data folder",
        io::ErrorKind::StorageFull => "; the disk is full: free space on this file system",
        io::ErrorKind::QuotaExceeded => "; the disk quota is used up: raise it or free space",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "; a file is in the place of a folder: move it away or configure another data folder"
        }
        io::ErrorKind::NotFound => "; the folder above it does not exist: create it",
        _ => "",
    }
}

fn database_remedy(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; the disk is full: free space on this file system",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "; give the user that runs this process read and write permission to the file and its folder"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "; the file is damaged: move it away and restore it from a backup"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "; another process holds the database for long: end it or try again"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_told_where_and_what_to_do() {
        for (kind, remedy) in [
            (io::ErrorKind::PermissionDenied, "permission"),
            (io::ErrorKind::ReadOnlyFilesystem, "mount"),
            (io::ErrorKind::StorageFull, "free space"),
            (io::ErrorKind::QuotaExceeded, "quota"),
            (io::ErrorKind::NotADirectory, "move it away"),
        ] {
            let text = FileError::at("write", "/data/strowger".as_ref())(kind.into()).to_string();
            assert!(text.starts_with("cannot write /data/strowger: ") && text.contains(remedy), "{text}");
        }
        for (code, remedy) in [
            (rusqlite::ffi::SQLITE_FULL, "free space"),
            (rusqlite::ffi::SQLITE_READONLY, "permission"),
            (rusqlite::ffi::SQLITE_CORRUPT, "backup"),
            (rusqlite::ffi::SQLITE_BUSY, "another process"),
        ] {
            let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            let text = DatabaseError::at("read", "/data/cdr.sqlite".as_ref())(error).to_string();
            assert!(text.starts_with("cannot read /data/cdr.sqlite: ") && text.contains(remedy), "{text}");
        }
    }
}
