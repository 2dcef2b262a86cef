//! What is cut off when a log is opened, kept beside it.

use crate::FileError;
use crate::witness::files;
use std::fs;
use std::path::{Path, PathBuf};
use sx_witness::{Tail, lines_end};

/// So many files are kept of one; what is cut off after that is not.
const KEPT_MAX: u32 = 100;

/// Keeps a copy of what is to be cut off. Nobody was told that it was written; somebody may want to look at it nevertheless. What was
/// kept before stays.
pub(super) fn set_aside(path: &Path, torn: &[u8]) -> Result<(), FileError> {
    if torn.is_empty() {
        return Ok(());
    }
    let bytes = torn.len();
    let Some(aside) = free_name(path, torn)? else {
        tracing::warn!(path = %path.display(), bytes, "the witness log ended in an unfinished write, which was cut and not kept: too many are");
        return Ok(());
    };
    files::write_whole(&aside, torn)?;
    tracing::warn!(path = %aside.display(), bytes, "the witness log ended in an unfinished write, which was cut");
    Ok(())
}

/// `NAME.cut`, or `NAME.2.cut` and so on: the first that is not there, or that holds just these bytes, because the process died
/// before it came to the cut itself. `None` when all are taken.
fn free_name(path: &Path, torn: &[u8]) -> Result<Option<PathBuf>, FileError> {
    let first = std::iter::once("cut".to_owned());
    for extension in first.chain((2..=KEPT_MAX).map(|number| format!("{number}.cut"))) {
        let aside = path.with_extension(extension);
        match fs::read(&aside) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Some(aside)),
            Err(error) => return Err(FileError::at("read", &aside)(error)),
            Ok(kept) if kept == torn => return Ok(Some(aside)),
            Ok(_) => {}
        }
    }
    Ok(None)
}

/// Cuts off what a crash has left of the last lines of the file of checkpoints, lest the next one is appended to it. How many bytes
/// that were, up to the last that is not zero.
pub(super) fn mend_checkpoints(folder: &Path) -> Result<u64, FileError> {
    let path = folder.join(files::CHECKPOINTS);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(FileError::at("read", &path)(error)),
    };
    let end = lines_end(&bytes);
    let mut tail = Tail::of_checkpoints(end as u64);
    tail.feed(&bytes[end..]);
    let Some(torn) = tail.torn_bytes() else {
        tracing::error!(path = %path.display(), "the file of checkpoints was changed; `strowger witness verify` says more");
        return Ok(0);
    };
    if end < bytes.len() {
        set_aside(&path, &bytes[end..end + torn as usize])?;
        let file = fs::OpenOptions::new().write(true).open(&path).map_err(FileError::at("open", &path))?;
        file.set_len(end as u64).and_then(|()| file.sync_all()).map_err(FileError::at("cut", &path))?;
    }
    Ok(torn)
}
