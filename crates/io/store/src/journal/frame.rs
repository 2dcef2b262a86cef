//! How a record lies in a segment: its length, a checksum over length and record, the record.
//!
//! Numbers are 32 bits, little-endian. The length takes part in the checksum, so that a run of zeros, which a
//! file system may leave at the end of a file after a power failure, is not a valid frame.

use crate::FileError;
use crate::crc::crc32c;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// The longest record, in bytes.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// What a segment begins with: a name and the version of the format.
pub(crate) const HEADER: [u8; 8] = *b"sxlog\x01\r\n";
pub(crate) const FRAME_BYTES: usize = 8;

/// Appends a frame around what `fill` writes. When `fill` fails or the record is too long, nothing is appended.
pub(crate) fn put<E>(buffer: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<usize, E> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; FRAME_BYTES]);
    if let Err(error) = fill(buffer) {
        buffer.truncate(start);
        return Err(error);
    }
    let bytes = buffer.len() - start - FRAME_BYTES;
    if bytes > RECORD_BYTES_MAX {
        buffer.truncate(start);
        return Ok(bytes);
    }
    let length = (bytes as u32).to_le_bytes();
    let checksum = crc32c(&length, &buffer[start + FRAME_BYTES..]);
    buffer[start..start + 4].copy_from_slice(&length);
    buffer[start + 4..start + FRAME_BYTES].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

/// A segment's file is not something this version can read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not begin as a segment does: it is somebody else's or of a newer version.
    #[error("{} is no journal segment of this version; move it out of the data folder", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// Where the records of a segment stop being readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment's file.
    pub path: PathBuf,
    /// The offset in bytes behind the last good record.
    pub offset: u64,
    /// How many bytes follow there that are no record.
    pub lost_bytes: u64,
}

/// Reads the frames of one segment from an offset up to a limit.
pub(crate) struct FrameReader {
    path: PathBuf,
    file: BufReader<File>,
    offset: u64,
    limit: u64,
    /// Behind the last good record.
    good: u64,
    /// Unreadable records that good ones have followed.
    damaged: u64,
    record: Vec<u8>,
}

impl FrameReader {
    /// Opens the segment at `path`. Reading begins at `offset`, which is 0 or was given by
    /// [`good_offset`](Self::good_offset), and ends at `limit`, or at the end of the file when that comes first.
    pub(crate) fn open(path: &Path, offset: u64, limit: u64) -> Result<Self, ReadError> {
        let mut file = File::open(path).map_err(FileError::at("open", path))?;
        let length = file.metadata().map_err(FileError::at("read", path))?.len();
        let limit = limit.min(length);
        let mut header = [0; HEADER.len()];
        let present = limit.min(HEADER.len() as u64) as usize;
        file.read_exact(&mut header[..present]).map_err(FileError::at("read", path))?;
        let whole = header == HEADER;
        // A header that was cut short, or never reached the disk, is a torn tail that begins at 0.
        if !whole && header != [0; HEADER.len()] && header[..present] != HEADER[..present] {
            return Err(ReadError::Foreign { path: path.to_owned() });
        }
        let offset = if whole { offset.max(HEADER.len() as u64) } else { 0 };
        file.seek(SeekFrom::Start(offset)).map_err(FileError::at("read", path))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 16, file),
            offset: if whole { offset } else { limit },
            limit,
            good: offset,
            damaged: 0,
            record: Vec::new(),
        })
    }

    /// The next readable record; `None` behind the last one.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, FileError> {
        let mut skipped = 0;
        while let Some(intact) = self.frame().map_err(FileError::at("read", &self.path))? {
            if intact {
                self.damaged += skipped;
                self.good = self.offset;
                return Ok(Some(&self.record));
            }
            // One spoilt record costs only itself as long as its length leads to a good one.
            skipped += 1;
        }
        self.offset = self.limit;
        Ok(None)
    }

    /// The offset behind the record last given.
    pub(crate) fn good_offset(&self) -> u64 {
        self.good
    }

    /// How many records in the midst of others were unreadable so far.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// What is left when [`next`](Self::next) has given `None`.
    pub(crate) fn torn_tail(&self) -> Option<TornTail> {
        let lost_bytes = self.limit - self.good;
        (lost_bytes > 0).then(|| TornTail { path: self.path.clone(), offset: self.good, lost_bytes })
    }

    /// Reads one frame into `record`: is it intact? `None` when there is room for no frame, or its length is none.
    fn frame(&mut self) -> io::Result<Option<bool>> {
        let left = self.limit - self.offset;
        if left < FRAME_BYTES as u64 {
            return Ok(None);
        }
        let mut head = [0; FRAME_BYTES];
        self.file.read_exact(&mut head)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > RECORD_BYTES_MAX || (FRAME_BYTES + length) as u64 > left {
            return Ok(None);
        }
        self.record.resize(length, 0);
        self.file.read_exact(&mut self.record)?;
        self.offset += (FRAME_BYTES + length) as u64;
        Ok(Some(crc32c(&[l0, l1, l2, l3], &self.record) == u32::from_le_bytes([c0, c1, c2, c3])))
    }
}

/// Appends a frame around `record`, which was read from a frame.
pub(crate) fn append_frame(buffer: &mut Vec<u8>, record: &[u8]) {
    let filled = put(buffer, |buffer| {
        buffer.extend_from_slice(record);
        Ok::<(), std::convert::Infallible>(())
    });
    debug_assert!(filled.is_ok_and(|bytes| bytes <= RECORD_BYTES_MAX), "it fitted into a frame before");
}
