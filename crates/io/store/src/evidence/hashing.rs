//! SHA-256 of files and of their chunks.

use super::entry::CHUNK_BYTES;
use crate::FileError;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// That of a whole file.
pub(super) fn hash_of(path: &Path) -> Result<[u8; 32], FileError> {
    let mut hash = Sha256::new();
    each_chunk(path, |chunk| hash.update(chunk))?;
    Ok(hash.finalize().into())
}

/// That of each chunk of a file.
pub(super) fn chunk_hashes(path: &Path) -> Result<Vec<[u8; 32]>, FileError> {
    let mut hashes = Vec::new();
    each_chunk(path, |chunk| hashes.push(Sha256::digest(chunk).into()))?;
    Ok(hashes)
}

fn each_chunk(path: &Path, mut see: impl FnMut(&[u8])) -> Result<(), FileError> {
    let mut file = File::open(path).map_err(FileError::at("open", path))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = fill(&mut file, &mut chunk).map_err(FileError::at("read", path))?;
        if count == 0 {
            return Ok(());
        }
        see(&chunk[..count]);
    }
}

/// Fills the buffer, or as much of it as there is.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match file.read(&mut buffer[count..])? {
            0 => break,
            read => count += read,
        }
    }
    Ok(count)
}
