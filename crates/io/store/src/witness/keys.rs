//! The files of keys: the one that signs for its owner's eyes only, the one that verifies for everybody's.

use super::files::{self, write_whole};
use crate::FileError;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use sx_witness::{SigningKey, VerifyingKey};

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Others may read it.
    #[error("the file of the signing key {} may be read by others than its owner; set its mode to 0600", path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
    },
    /// What stands in the file is no key.
    #[error("{} holds no {what} key of the form {form}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Which.
        what: &'static str,
        /// How it is written.
        form: &'static str,
    },
}

/// Reads a key that signs.
///
/// # Errors
/// When the file cannot be read, others may read it, or it holds no such key.
pub fn read_signing_key(path: &Path) -> Result<SigningKey, KeyError> {
    let mode = fs::metadata(path).map_err(FileError::at("read", path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(KeyError::TooOpen { path: path.to_owned() });
    }
    let text = files::read_text(path).map_err(FileError::at("read", path))?;
    let no_key = |_| KeyError::NoKey { path: path.to_owned(), what: "signing", form: "PRIVATE+KEY+name+hash+base64" };
    SigningKey::parse(text.trim()).map_err(no_key)
}

/// Reads a key that verifies.
///
/// # Errors
/// When the file cannot be read or holds no such key.
pub fn read_verifying_key(path: &Path) -> Result<VerifyingKey, KeyError> {
    let text = files::read_text(path).map_err(FileError::at("read", path))?;
    let no_key = |_| KeyError::NoKey { path: path.to_owned(), what: "verifying", form: "name+hash+base64" };
    VerifyingKey::parse(text.trim()).map_err(no_key)
}

/// Writes a key that signs, for its owner alone. A file that is there already is kept, and is an error.
///
/// # Errors
/// When the file is there or cannot be written.
pub fn write_signing_key(path: &Path, key: &SigningKey) -> Result<(), KeyError> {
    if path.exists() {
        return Err(FileError::at("write", path)(io::ErrorKind::AlreadyExists.into()).into());
    }
    Ok(write_whole(path, format!("{key}\n").as_bytes())?)
}

/// Reads the key at `path`; where there is none and `may_make` says so, makes one of this seed.
///
/// # Errors
/// As of reading and of writing; a missing key that may not be made is one that cannot be read.
pub fn read_or_make_key(path: &Path, name: &str, seed: [u8; 32], may_make: bool) -> Result<SigningKey, KeyError> {
    match path.try_exists() {
        Ok(false) if may_make => {
            let key = SigningKey::from_seed(name, seed).map_err(|_| KeyError::NoKey {
                path: path.to_owned(),
                what: "signing",
                form: "a name without spaces and +",
            })?;
            write_signing_key(path, &key)?;
            Ok(key)
        }
        _ => read_signing_key(path),
    }
}
