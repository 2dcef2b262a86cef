//! A disk that is full.

use super::{check_files, mixed, push_frames, read_wav, record_on, runs, side_car};
use crate::sink::{Create, StoredFile, on_disk};
use crate::{Recipient, RecorderLimits, RecordingSettings, decrypt};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

struct SmallFile {
    file: Box<dyn StoredFile>,
    left: Arc<AtomicUsize>,
}

/// A disk with room for so many bytes, which takes what it can of a write before it refuses the rest.
pub(super) fn small_disk(bytes: usize) -> Create {
    let (left, create) = (Arc::new(AtomicUsize::new(bytes)), on_disk());
    Arc::new(move |path| Ok(Box::new(SmallFile { file: create(path)?, left: Arc::clone(&left) })))
}

impl StoredFile for SmallFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = bytes.len().min(self.left.load(Ordering::Relaxed));
        self.left.fetch_sub(fits, Ordering::Relaxed);
        self.file.append(&bytes[..fits])?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.overwrite(offset, bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}

fn record_on_small(bytes: usize, settings: RecordingSettings) -> crate::Outcome {
    // Five seconds, and frames for a recording that has failed already.
    record_on(&small_disk(bytes), RecorderLimits::default(), settings, |handle| push_frames(handle, 0..250, 3, 1))
}

fn check_full(folder: &Path, outcome: &crate::Outcome) {
    let error = outcome.error.as_ref().expect("the disk is full");
    assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(side_car(folder)["complete"], false);
    check_files(folder, outcome);
}

#[test]
fn a_full_disk_leaves_what_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = record_on_small(40_000, mixed(folder.path()));
    assert_eq!(outcome.duration_ms, 2_000);
    assert_eq!(runs(&read_wav(&folder.path().join("call.wav")).2), [(4, 16_000)]);
    check_full(folder.path(), &outcome);
}

#[test]
fn a_disk_that_was_full_before_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = record_on_small(20, mixed(folder.path()));
    assert!(outcome.error.is_some() && outcome.files.is_empty());
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0);
}

#[cfg(feature = "opus")]
#[test]
fn a_full_disk_leaves_whole_pages() {
    use crate::{Container, Layout, Tracks};
    let folder = tempfile::tempdir().expect("a folder");
    let container = Container::OggOpus { bit_rate: 24_000, complexity: 5 };
    let settings = super::settings(folder.path(), Tracks::Together(Layout::Mixed), container);
    let outcome = record_on_small(1_000, settings);
    let pages = super::ogg_files::read_pages(&fs::read(folder.path().join("call.opus")).expect("it is there"));
    assert!(pages.len() > 2 && pages[0].begins && !pages[pages.len() - 1].ends, "{}", pages.len());
    check_full(folder.path(), &outcome);
}

#[test]
fn a_full_disk_leaves_whole_chunks_of_what_is_encrypted() {
    let (folder, identity) = (tempfile::tempdir().expect("a folder"), age::x25519::Identity::generate());
    let recipients = vec![Recipient { key: identity.to_public() }];
    let outcome = record_on_small(70_000, RecordingSettings { recipients, ..mixed(folder.path()) });
    check_full(folder.path(), &outcome);
    let keys = folder.path().join("keys");
    fs::write(&keys, age::secrecy::ExposeSecret::expose_secret(&identity.to_string())).expect("room");
    let plain = folder.path().join("plain.wav");
    let decrypted = decrypt(&folder.path().join("call.wav.age"), &keys, &plain).expect("its identity");
    assert!(decrypted.cut.is_some() && decrypted.bytes == 65_536, "{decrypted:?}");
    assert_eq!(runs(&read_wav(&plain).2), [(4, (65_536 - 44) / 2)]);
}
