//! The files of a log: segments and their indexes, named by the number of their first record.

use crate::FileError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use sx_witness::{Hash, IndexEntry, RECORD_BYTES_MAX};

/// The extension of a segment.
pub(crate) const SEGMENT: &str = "jsonl";
/// The extension of its index.
pub(crate) const INDEX: &str = "index";
/// The file of checkpoints.
pub(crate) const CHECKPOINTS: &str = "checkpoints.jsonl";
/// The file of the key that verifies.
pub(crate) const PUBLIC_KEY: &str = "key.pub";
/// Bytes of an entry of an index.
pub(crate) const INDEX_ENTRY_BYTES: usize = 40;

/// One file of the log that is named by a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// The number of its first record.
    pub first: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// The file with this extension whose first record is `first`.
pub(crate) fn path_of(folder: &Path, first: u64, extension: &str) -> PathBuf {
    folder.join(format!("{first:020}.{extension}"))
}

/// The files with this extension, in the order of their records.
pub(crate) fn list(folder: &Path, extension: &str) -> Result<Vec<Numbered>, FileError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(FileError::at("read the folder", folder))? {
        let path = entry.map_err(FileError::at("read the folder", folder))?.path();
        if path.extension().is_some_and(|given| given == extension)
            && let Some(first) = first_of(&path)
        {
            files.push(Numbered { first, path });
        }
    }
    files.sort_by_key(|file| file.first);
    Ok(files)
}

fn first_of(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    (stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit())).then(|| stem.parse().ok())?
}

/// Writes the index of a segment that is closed: whole and on the disk, or not there.
pub(crate) fn write_index(folder: &Path, first: u64, entries: &[IndexEntry]) -> Result<(), FileError> {
    let path = path_of(folder, first, INDEX);
    let mut bytes = Vec::with_capacity(entries.len() * INDEX_ENTRY_BYTES);
    for entry in entries {
        bytes.extend_from_slice(&entry.offset.to_le_bytes());
        bytes.extend_from_slice(&entry.hash.0);
    }
    write_whole(&path, &bytes)
}

/// Opens a regular file to read it: a pipe would hang and a device never end, and who checks a log has not put it there.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// All that a regular file holds.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a small regular file that somebody has named, of so many bytes at most.
///
/// # Errors
/// When it is no regular file, longer, no UTF-8, or cannot be read.
pub fn read_named_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    read_bounded(open(path)?, bytes_max)
}

/// The same of what the caller has opened already, which is read to its end whatever it is.
///
/// # Errors
/// When it is longer, no UTF-8, or cannot be read.
pub fn read_bounded(file: impl io::Read, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    let read = file.take(bytes_max.saturating_add(1)).read_to_string(&mut text)?;
    if read as u64 > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("longer than {bytes_max} bytes")));
    }
    Ok(text)
}

/// The text of a regular file.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// The entries of an index; what is not a whole entry is left out.
pub(crate) fn read_index(path: &Path) -> Result<Vec<IndexEntry>, FileError> {
    let bytes = read(path).map_err(FileError::at("read", path))?;
    Ok(bytes.chunks_exact(INDEX_ENTRY_BYTES).filter_map(entry_of).collect())
}

pub(crate) fn entry_of(bytes: &[u8]) -> Option<IndexEntry> {
    let (offset, hash) = bytes.split_at_checked(8)?;
    Some(IndexEntry { offset: u64::from_le_bytes(offset.try_into().ok()?), hash: Hash(hash.try_into().ok()?) })
}

/// Writes a file under another name, syncs it, and gives it its own: nobody ever sees half of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let unfinished = path.with_extension("tmp");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(FileError::at("write", &unfinished))?;
    fs::rename(&unfinished, path).map_err(FileError::at("rename", &unfinished))?;
    // A bare name has the empty path before it, which no call opens.
    sync_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Makes the names in a folder survive a power failure.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(FileError::at("sync the folder", folder))
}

/// The first line of a segment, without its newline; `None` when no line of a record's length ends there.
pub(crate) fn first_line(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let mut bytes = Vec::new();
    let file = open(path).map_err(FileError::at("read", path))?;
    file.take(RECORD_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(FileError::at("read", path))?;
    let end = memchr::memchr(b'\n', &bytes);
    Ok(end.map(|end| bytes[..end].to_vec()))
}
