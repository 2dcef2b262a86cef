//! A segment's file in pieces of whole lines.

use super::ReadProgress;
use crate::FileError;
use crate::witness::files;
use std::io::{self, Read as _};
use std::path::Path;
use sx_witness::RECORD_BYTES_MAX;

/// So much is read at a time.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// Reads a file in pieces, as they come.
pub(super) fn pieces(path: &Path, progress: &ReadProgress, mut each: impl FnMut(&[u8])) -> Result<(), FileError> {
    let mut file = files::open(path).map_err(FileError::at("open", path))?;
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(bytes) => {
                each(&buffer[..bytes]);
                progress.add(bytes as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::at("read", path)(error)),
        }
    }
}

/// Reads the lines of a segment, many at a time, each with its newline; `each` hears where the first of them begins and
/// says whether to go on. What is behind the last newline is no line, nor is what is longer than any record.
pub(super) fn whole_lines(
    path: &Path,
    progress: &ReadProgress,
    mut each: impl FnMut(u64, &[u8]) -> bool,
) -> Result<(), FileError> {
    let mut file = files::open(path).map_err(FileError::at("open", path))?;
    let mut buffer = vec![0; PIECE_BYTES + RECORD_BYTES_MAX + 1];
    // `buffer[..held]` begins at `offset` in the file, which is the beginning of a line unless `skipping`.
    let (mut offset, mut held, mut skipping) = (0_u64, 0, false);
    loop {
        let bytes = match file.read(&mut buffer[held..]) {
            Ok(0) => return Ok(()),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(FileError::at("read", path)(error)),
        };
        progress.add(bytes as u64);
        held += bytes;
        let mut start = 0;
        if skipping && let Some(end) = memchr::memchr(b'\n', &buffer[..held]) {
            (start, skipping) = (end + 1, false);
        }
        let end = memchr::memrchr(b'\n', &buffer[start..held]).map_or(start, |at| start + at + 1);
        if end > start && !skipping && !each(offset + start as u64, &buffer[start..end]) {
            return Ok(());
        }
        buffer.copy_within(end..held, 0);
        offset += end as u64;
        held -= end;
        // Room that was not written to yet begins here: no line follows.
        if held > 0 && !skipping && buffer[0] == 0 {
            return Ok(());
        }
        if held > RECORD_BYTES_MAX || skipping {
            (offset, held, skipping) = (offset + held as u64, 0, true);
        }
    }
}

/// The lines in a piece, without their newlines, each with its offset in the piece.
pub(super) fn lines_of(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = start + memchr::memchr(b'\n', &bytes[start..])?;
        let line = (start, &bytes[start..end]);
        start = end + 1;
        Some(line)
    })
}
