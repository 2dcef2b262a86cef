//! Recordings that are there: verified against their side-car, and decrypted.

use crate::closing::{hash, rename};
use crate::side_car::{SideCar, hex};
use crate::sink::{StoredFile, on_disk};
use crate::track::PART;
use crate::wav::{self, riff_length};
use crate::{FileError, ReadError};
use age::IdentityFile;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A longer side-car is none.
const SIDE_CAR_MAX: u64 = 16 << 20;
/// A longer file of identities is none.
const IDENTITIES_MAX: u64 = 1 << 20;
/// Decrypted at a time: a chunk of age.
const BLOCK: usize = 1 << 16;

/// What a file was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The file.
    pub path: PathBuf,
    /// Its SHA-256 in hexadecimal; `None`: it cannot be read.
    pub sha256: Option<String>,
    /// Does it have the length and the hash that its side-car says?
    pub intact: bool,
    /// Why its recording ended before its call, as its side-car says; `None`: it did not, or nothing says so.
    pub cut_short: Option<String>,
    /// Is there a side-car that says so, or would?
    pub is_told: bool,
}

/// What was decrypted.
#[derive(Debug)]
pub struct Decrypted {
    /// Bytes of what is in the clear.
    pub bytes: u64,
    /// Why that is not all: the file was cut off or changed behind what was decrypted.
    pub cut: Option<io::Error>,
}

/// Holds a file against its side-car, or all files of a recording when the side-car (`.json`) is named. What the side-car
/// itself says is worth as much as the folder it lies in: whoever has witnessed the hash compares that.
///
/// # Errors
/// When there is no side-car, or it cannot be read.
pub fn verify(path: &Path) -> Result<Vec<Verified>, ReadError> {
    let named = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new(""));
    let side_car = if named.ends_with(".json") { read_side_car(path)? } else { find_side_car(folder, named, path)? };
    let wanted = side_car.files.iter().filter(|file| named.ends_with(".json") || file.name == named);
    Ok(wanted
        .map(|file| {
            // The name is a file's in this folder and leads nowhere else.
            let path = folder.join(Path::new(&file.name).file_name().unwrap_or_default());
            match File::open(&path).and_then(|mut file| hash(&mut file)) {
                Ok((bytes, sha256)) => {
                    let sha256 = hex(&sha256);
                    let intact = bytes == file.bytes && sha256 == file.sha256;
                    Verified { path, sha256: Some(sha256), intact, cut_short: side_car.cut_short(), is_told: true }
                }
                Err(_) => {
                    Verified { path, sha256: None, intact: false, cut_short: side_car.cut_short(), is_told: true }
                }
            }
        })
        .collect())
}

/// What a file hashes to, for who knows its hash from elsewhere.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(path: &Path) -> Result<String, ReadError> {
    let hashed = File::open(path).and_then(|mut file| hash(&mut file)).map_err(FileError::at("read", path))?;
    Ok(hex(&hashed.1))
}

/// The side-car that tells of a file: that of the name without `-caller`, `-callee` and the number of a part.
fn find_side_car(folder: &Path, named: &str, path: &Path) -> Result<SideCar, ReadError> {
    let plain = named.strip_suffix(".age").unwrap_or(named);
    let mut stem = plain.rsplit_once('.').map_or(plain, |(stem, _)| stem);
    loop {
        let candidate = folder.join(format!("{stem}.json"));
        if candidate.is_file() {
            let side_car = read_side_car(&candidate)?;
            if side_car.files.iter().any(|file| file.name == named) {
                return Ok(side_car);
            }
        }
        stem = stem.rsplit_once('-').ok_or_else(|| ReadError::NoSideCar(path.to_owned()))?.0;
    }
}

fn read_side_car(path: &Path) -> Result<SideCar, ReadError> {
    let text = read_bounded(path, SIDE_CAR_MAX)?;
    serde_json::from_slice(&text).map_err(|source| ReadError::SideCar { path: path.to_owned(), source })
}

/// Decrypts a file by the identities of age that another one holds, into one that is not there yet. A WAV file gets the
/// right lengths.
///
/// # Errors
/// When nothing can be decrypted, or a file cannot be read or written. What ends early is no error:
/// [`Decrypted::cut`] says so.
pub fn decrypt(path: &Path, identities: &Path, out: &Path) -> Result<Decrypted, ReadError> {
    let no_identity = |_| ReadError::NoIdentity(identities.to_owned());
    let text = read_bounded(identities, IDENTITIES_MAX)?;
    let keys = IdentityFile::from_buffer(&text[..]).map_err(no_identity)?;
    let keys = keys.into_identities().map_err(|_| ReadError::NoIdentity(identities.to_owned()))?;
    if keys.is_empty() {
        return Err(ReadError::NoIdentity(identities.to_owned()));
    }
    let undecryptable = |source| ReadError::Decrypt { path: path.to_owned(), source: Box::new(source) };
    let file = File::open(path).map_err(FileError::at("open", path))?;
    let sealed = age::Decryptor::new_buffered(BufReader::new(file)).map_err(undecryptable)?;
    let mut reader = sealed.decrypt(keys.iter().map(|key| &**key)).map_err(undecryptable)?;

    let mut temporary = out.as_os_str().to_owned();
    temporary.push(PART);
    let temporary = Path::new(&temporary);
    let mut file = on_disk()(temporary).map_err(FileError::at("create", temporary))?;
    let decrypted = copy(&mut reader, &mut *file, temporary).and_then(|decrypted| {
        mend_lengths(temporary, decrypted.bytes).map_err(FileError::at("write", temporary))?;
        rename(temporary, out)?;
        Ok(decrypted)
    });
    if decrypted.is_err() {
        // What is in the clear is not left lying about.
        let _ = std::fs::remove_file(temporary);
    }
    Ok(decrypted?)
}

/// Copies up to the end, or to where what follows cannot be believed.
fn copy(reader: &mut impl Read, file: &mut dyn StoredFile, path: &Path) -> Result<Decrypted, FileError> {
    let mut block = vec![0; BLOCK];
    let mut bytes = 0;
    loop {
        match reader.read(&mut block) {
            Ok(0) => return Ok(Decrypted { bytes, cut: None }),
            Ok(count) => {
                file.append(&block[..count]).map_err(FileError::at("write", path))?;
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(Decrypted { bytes, cut: Some(error) }),
        }
    }
}

/// Puts the lengths of a WAV file, which an encrypted one cannot know, in their place.
fn mend_lengths(path: &Path, bytes: u64) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut header = [0; wav::HEADER];
    if bytes < wav::HEADER as u64 {
        return Ok(());
    }
    file.read_exact_at(&mut header, 0)?;
    let unknown = wav::UNKNOWN.to_le_bytes();
    if header.starts_with(b"RIFF") && header[36..40] == *b"data" && header[40..] == unknown {
        let data = u32::try_from(bytes - wav::HEADER as u64).unwrap_or(wav::UNKNOWN);
        file.write_all_at(&riff_length(data).to_le_bytes(), wav::RIFF_LENGTH_AT)?;
        file.write_all_at(&data.to_le_bytes(), wav::DATA_LENGTH_AT)?;
    }
    file.sync_all()
}

fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileError> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(FileError::at("open", path))?;
    file.take(bytes_max).read_to_end(&mut text).map_err(FileError::at("read", path))?;
    Ok(text)
}
