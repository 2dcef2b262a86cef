//! What is cut off, or made again, when a log is opened: kept beside it.

use crate::FileError;
use crate::witness::files;
use std::fs;
use std::path::{Path, PathBuf};
use sx_witness::{Tail, lines_end};

/// So many files are kept of one; what is cut off after that is not.
const KEPT_MAX: u32 = 100;

/// What is kept.
pub(super) struct Aside {
    /// The log's sentence about it.
    said: &'static str,
    /// What comes before the extension of the copy: a segment and its index differ in nothing but theirs.
    before: &'static str,
}

/// The rest of a write that power has cut short. Nobody was told that it was written.
pub(super) const TORN: Aside =
    Aside { said: "the witness log ended in an unfinished write, which was cut", before: "" };
/// An index that does not fit its segment.
pub(super) const INDEX: Aside = Aside { said: "a wrong index of the witness log was set aside", before: "index." };

/// Keeps a copy of what is to be cut off, or written over: somebody may want to look at it. What was kept before stays.
pub(super) fn set_aside(path: &Path, what: &Aside, bytes: &[u8]) -> Result<(), FileError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let Some(aside) = free_name(path, what, bytes)? else {
        let path = path.display();
        tracing::warn!(%path, bytes = bytes.len(), "{}, and is not kept: too many are", what.said);
        return Ok(());
    };
    files::write_whole(&aside, bytes)?;
    tracing::warn!(path = %aside.display(), bytes = bytes.len(), "{}", what.said);
    Ok(())
}

/// `NAME.cut`, or `NAME.2.cut` and so on, of an index `NAME.index.cut`: the first that is not there, or that holds just these bytes,
/// because the process died before it came to the cut itself. `None` when all are taken.
fn free_name(path: &Path, what: &Aside, bytes: &[u8]) -> Result<Option<PathBuf>, FileError> {
    let first = std::iter::once("cut".to_owned());
    for extension in first.chain((2..=KEPT_MAX).map(|number| format!("{number}.cut"))) {
        let aside = path.with_extension(format!("{}{extension}", what.before));
        match fs::read(&aside) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Some(aside)),
            Err(error) => return Err(FileError::at("read", &aside)(error)),
            Ok(kept) if kept == bytes => return Ok(Some(aside)),
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
        set_aside(&path, &TORN, &bytes[end..end + torn as usize])?;
        let file = fs::OpenOptions::new().write(true).open(&path).map_err(FileError::at("open", &path))?;
        file.set_len(end as u64).and_then(|()| file.sync_all()).map_err(FileError::at("cut", &path))?;
    }
    Ok(torn)
}
