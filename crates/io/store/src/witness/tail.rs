//! Records as they are written, one after the other, from any record on.

use super::files::{self, Numbered};
use crate::FileError;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use sx_witness::RECORD_BYTES_MAX;

/// Reads a log that is written at the same time, and remembers how far it is.
#[derive(Debug)]
pub struct LogTail {
    folder: PathBuf,
    next: u64,
    open: Option<Segment>,
}

/// The segment that is read.
#[derive(Debug)]
struct Segment {
    file: File,
    path: PathBuf,
    /// The number of the record whose line begins at `offset`.
    at: u64,
    offset: u64,
}

/// Why nothing is read any more.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record is kept no longer, or was never written.
    #[error("record {record} is not in the witness log any more")]
    Gone {
        /// The record.
        record: u64,
    },
}

/// As much is read of a file at a time.
const READ_BYTES: usize = 256 * 1024;

impl LogTail {
    /// Reads the log in this folder from this record on.
    pub fn from(folder: &Path, record: u64) -> Self {
        Self { folder: folder.to_owned(), next: record, open: None }
    }

    /// The number of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Tells of the records before `until`, so many at most, each with its number and its line without a newline. Which records
    /// are written, whoever has the log says: what is behind them is not looked at.
    ///
    /// # Errors
    /// When the next one is not there.
    pub fn read(&mut self, until: u64, records_max: usize, mut tell: impl FnMut(u64, &str)) -> Result<(), TailError> {
        let mut left = records_max;
        while self.next < until && left > 0 {
            if self.open.is_none() {
                self.open = Some(self.find()?);
            }
            let Some(segment) = &mut self.open else { return Ok(()) };
            let lines = segment.lines().map_err(FileError::at("read", &segment.path))?;
            if lines.is_empty() {
                // The next one begins the next segment, or cannot be seen yet.
                let read = segment.path.clone();
                let found = self.find()?;
                if found.path == read {
                    return Ok(());
                }
                self.open = Some(found);
                continue;
            }
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                if self.next >= until || left == 0 {
                    break;
                }
                if segment.at == self.next {
                    tell(self.next, std::str::from_utf8(&line[..line.len() - 1]).unwrap_or_default());
                    self.next += 1;
                    left -= 1;
                }
                segment.at += 1;
                segment.offset += line.len() as u64;
            }
        }
        Ok(())
    }

    /// The segment that has the next record, at its beginning.
    fn find(&self) -> Result<Segment, TailError> {
        let gone = TailError::Gone { record: self.next };
        let all = files::list(&self.folder, files::SEGMENT)?;
        let Some(Numbered { first, path }) = all.into_iter().rfind(|segment| segment.first <= self.next) else {
            return Err(gone);
        };
        let file = match files::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(gone),
            Err(error) => return Err(FileError::at("read", &path)(error).into()),
        };
        Ok(Segment { file, path, at: first, offset: 0 })
    }
}

impl Segment {
    /// Whole lines from where it is; none: nothing more is written here.
    fn lines(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; READ_BYTES];
        loop {
            let mut count = 0;
            while count < bytes.len() {
                match self.file.read_at(&mut bytes[count..], self.offset + count as u64) {
                    Ok(0) => break,
                    Ok(read) => count += read,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            // Behind what is written there is room for more, which is zeros.
            let written = memchr::memchr(0, &bytes[..count]).unwrap_or(count);
            match memchr::memrchr(b'\n', &bytes[..written]) {
                Some(end) => {
                    bytes.truncate(end + 1);
                    return Ok(bytes);
                }
                // A line that is longer than what is read at a time.
                None if written == bytes.len() && written <= RECORD_BYTES_MAX => {
                    bytes.resize(RECORD_BYTES_MAX + 1, 0);
                }
                None => return Ok(Vec::new()),
            }
        }
    }
}
