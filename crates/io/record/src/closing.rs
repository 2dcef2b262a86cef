//! The thread that brings recordings to their end: onto the disk, hashed, under their names, with a side-car.
//!
//! It is apart from the one that writes, because a disk may take seconds to say that it has everything.

use crate::recording::Remains;
use crate::side_car::{Outcome, RecordedFile, SideCar, side_car_path};
use crate::sink::on_disk;
use crate::track::{PART, WrittenPart};
use crate::{FileError, RecordingEnded, RecordingId};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};

/// Read at a time while a file is hashed.
const BLOCK: usize = 1 << 16;

/// A recording to be brought to its end.
pub(crate) struct Closing {
    pub(crate) id: RecordingId,
    pub(crate) remains: Remains,
}

/// Runs until nothing more can come.
pub(crate) fn run(closings: &Receiver<Closing>, ended: &Sender<RecordingEnded>) {
    for Closing { id, remains } in closings {
        let outcome = close(remains);
        // Nobody may be left to be told.
        let _ = ended.send(RecordingEnded { id, outcome });
    }
}

fn close(remains: Remains) -> Outcome {
    let Remains { settings, parts, pauses, late_samples, lost_frames, error } = remains;
    let not_encoded: u64 = parts.iter().map(|part| part.not_encoded).sum();
    let lost_frames = lost_frames.load(Ordering::Relaxed) + not_encoded;
    let mut outcome = Outcome { files: Vec::new(), duration_ms: 0, pauses, lost_frames, late_samples, error };
    let mut tracks = vec![0_u64; settings.tracks.files().len()];
    for part in &parts {
        match settle(part) {
            Ok(file) => {
                tracks[track_of(&settings, part)] += part.millis;
                outcome.files.push(file);
            }
            // The first is the cause.
            Err(error) => outcome.error = outcome.error.or(Some(error)),
        }
    }
    outcome.duration_ms = tracks.into_iter().max().unwrap_or(0);
    if outcome.files.is_empty() {
        return outcome;
    }
    let side_car = SideCar::new(&settings, &outcome);
    let told = serde_json::to_vec_pretty(&side_car).map_err(io::Error::from);
    let path = side_car_path(&settings);
    let written = told.map_err(FileError::at("write", &path)).and_then(|mut text| {
        text.push(b'\n');
        write_whole(&path, &text)
    });
    if let Err(error) = written.and_then(|()| sync_folder(&settings.folder)) {
        outcome.error = outcome.error.or(Some(error));
    }
    outcome
}

/// Which of the tracks a part belongs to.
fn track_of(settings: &crate::RecordingSettings, part: &WrittenPart) -> usize {
    let rest = part.name.strip_prefix(&settings.name).unwrap_or_default();
    settings.tracks.files().iter().position(|(suffix, _)| rest.starts_with(suffix)).unwrap_or(0)
}

/// Waits until the disk has the file, hashes what is there, and gives it its name.
fn settle(part: &WrittenPart) -> Result<RecordedFile, FileError> {
    let temporary = part.folder.join(format!("{}{PART}", part.name));
    let mut file = File::open(&temporary).map_err(FileError::at("open", &temporary))?;
    file.sync_all().map_err(FileError::at("sync", &temporary))?;
    let (bytes, sha256) = hash(&mut file).map_err(FileError::at("read", &temporary))?;
    rename(&temporary, &part.folder.join(&part.name))?;
    Ok(RecordedFile { name: part.name.clone(), bytes, sha256, duration_ms: part.millis })
}

/// The length and SHA-256 of what is read.
pub(crate) fn hash(file: &mut File) -> io::Result<(u64, [u8; 32])> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok((bytes, hash.finalize().into())),
            Ok(count) => {
                hash.update(&block[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes a small file under a temporary name, and renames it when the disk has it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(PART);
    let temporary = Path::new(&temporary);
    let mut file = on_disk()(temporary).map_err(FileError::at("create", temporary))?;
    let written = file.append(bytes).and_then(|()| File::open(temporary)?.sync_all());
    written.map_err(FileError::at("write", temporary)).and_then(|()| rename(temporary, path)).inspect_err(|_| {
        let _ = std::fs::remove_file(temporary);
    })
}

/// Never onto a file that is there.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
        .map_err(|error| FileError::at("rename to", to)(error.into()))
}

/// The names are on the disk only when the folder is.
fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(FileError::at("sync", folder))
}
