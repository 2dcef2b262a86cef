//! What goes wrong with recordings, and whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

/// A recording could not be begun. All of it is the caller's fault but for a recorder that has stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The name is not one of a file in the folder.
    #[error("{0:?} cannot name a recording: 1 to 128 letters, digits, '-', '_' and '.', and no '.' in front")]
    Name(String),
    /// More recipients or facts, or longer ones, than a side-car takes.
    #[error("more than 16 recipients or 64 facts, or a fact of more than 1,024 bytes")]
    TooMuchSaid,
    /// As many recordings as are allowed go on.
    #[error("{0} recordings go on, and no more are allowed at once")]
    TooMany(usize),
    /// The recorder has stopped.
    #[error("the recorder has stopped")]
    Stopped,
}

/// A pause could not be begun or ended. All of it is the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PauseError {
    /// It is paused already, or is not.
    #[error("the recording is in that state already")]
    AsBefore,
    /// More pauses than a side-car takes.
    #[error("more than {0} pauses in one recording")]
    TooMany(usize),
    /// The reason or the reference of the consent is too long.
    #[error("a reason or a consent of more than 1,024 bytes")]
    TextTooLong,
}

/// The text is no public key of age with X25519. The fault of whoever configured it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a recipient of age (age1…): {0}")]
pub struct RecipientError(pub(crate) &'static str);

/// The operating system refused something that was asked of a file. The recording ends with what was written before.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {source}{}", path.display(), remedy(source))]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What was tried, as a verb.
    pub doing: &'static str,
    /// What the operating system said.
    #[source]
    pub source: io::Error,
}

/// A recording that is there could not be verified or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no side-car that tells of the file.
    #[error("no side-car beside {} tells of it", .0.display())]
    NoSideCar(PathBuf),
    /// The side-car is none.
    #[error("{} is not the side-car of a recording: {source}", path.display())]
    SideCar {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The file with identities has none of age with X25519.
    #[error("{} has no identity of age (AGE-SECRET-KEY-1…)", .0.display())]
    NoIdentity(PathBuf),
    /// The file is not encrypted, for somebody else, or its header was changed.
    #[error("cannot decrypt {}: {source}", path.display())]
    Decrypt {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        #[source]
        source: Box<age::DecryptError>,
    },
}

impl FileError {
    /// For `map_err`.
    pub(crate) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { path: path.to_owned(), doing, source }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; give the user that runs this process permission to it",
        io::ErrorKind::StorageFull => "; the disk is full: free space on this file system",
        io::ErrorKind::QuotaExceeded => "; the disk quota is used up: raise it or free space",
        io::ErrorKind::AlreadyExists => "; nothing is overwritten: another recording has this name",
        io::ErrorKind::NotFound => "; it is not there",
        _ => "",
    }
}
