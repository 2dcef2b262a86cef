//! What becomes of a segment that is full: it is cut and gets its index, and when it was kept for long enough it goes. The
//! index stays, for the tree cannot be computed without it.

use super::files::{self, INDEX_ENTRY_BYTES};
use crate::FileError;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use sx_witness::{Hash, IndexEntry};

/// Cuts the room behind the last record off, and writes the index.
pub(crate) fn close(
    folder: &Path,
    path: &Path,
    first: u64,
    bytes: u64,
    entries: &[IndexEntry],
) -> Result<(), FileError> {
    let opened = OpenOptions::new().write(true).open(path);
    match opened.and_then(|file| file.set_len(bytes).and_then(|()| file.sync_all())) {
        // Its time was over before this could be done, or somebody took it away, which is noticed elsewhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        cut => cut.map_err(FileError::at("cut", path))?,
    }
    files::write_index(folder, first, entries)
}

/// Removes a segment, but not before its index is whole.
pub(crate) fn remove(folder: &Path, path: &Path, first: u64, records: u64) -> Result<(), FileError> {
    let index = files::path_of(folder, first, files::INDEX);
    if fs::metadata(&index).map_or(0, |about| about.len()) != records * INDEX_ENTRY_BYTES as u64 {
        let bytes = fs::read(path).map_err(FileError::at("read", path))?;
        let entries = entries_of(&bytes);
        if entries.len() as u64 != records {
            return Err(FileError::at("find all records of", path)(io::ErrorKind::InvalidData.into()));
        }
        files::write_index(folder, first, &entries)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(FileError::at("remove", path)),
    }
}

/// An entry for each line.
fn entries_of(bytes: &[u8]) -> Vec<IndexEntry> {
    let mut at = 0;
    let entry = |line: &[u8]| {
        let entry = IndexEntry { offset: at, hash: Hash::of(&line[..line.len() - 1]) };
        at += line.len() as u64;
        entry
    };
    bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_goes_only_when_its_index_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = files::path_of(dir.path(), 7, files::SEGMENT);
        let index = files::path_of(dir.path(), 7, files::INDEX);
        let lines = b"one\ntwo\nthree\n";
        let hashes = [Hash::of(b"one"), Hash::of(b"two"), Hash::of(b"three")];
        // There is none, or half of one, or one that another segment might have had.
        for found in [None, Some(60), Some(80), Some(200)] {
            fs::write(&path, [&lines[..], &[0; 4096]].concat()).expect("a segment with room");
            match found {
                Some(bytes) => fs::write(&index, vec![1; bytes]).expect("an index"),
                None => drop(fs::remove_file(&index)),
            }
            remove(dir.path(), &path, 7, 3).expect("it goes");
            assert!(!path.exists());
            let entries = files::read_index(&index).expect("an index");
            assert_eq!(entries.iter().map(|entry| entry.hash).collect::<Vec<_>>(), hashes, "{found:?}");
            assert_eq!(entries.iter().map(|entry| entry.offset).collect::<Vec<_>>(), [0, 4, 8]);
        }
        fs::remove_file(&index).expect("removed");
        fs::write(&path, lines).expect("a segment");
        assert!(remove(dir.path(), &path, 7, 4).is_err(), "a record is missing");
        assert!(path.exists() && !index.exists());
    }
}
