//! Recordings, from samples to files and back.

#[cfg(feature = "opus")]
mod ogg_files;
mod queue;
mod sealed;
mod small_disk;
mod wav_files;

use crate::sink::{Create, on_disk};
use crate::{
    Container, Layout, Outcome, Party, Recorder, RecorderLimits, RecordingEnded, RecordingHandle, RecordingSettings,
    RecordingsEnded, SampleRate, Tracks,
};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use sx_engine::Time;

const BEGAN: Time = Time::from_secs(1_800_000_000);
/// 20 ms at 8 kHz.
const FRAME: u64 = 160;

fn settings(folder: &Path, tracks: Tracks, container: Container) -> RecordingSettings {
    RecordingSettings {
        folder: folder.to_owned(),
        name: "call".to_owned(),
        tracks,
        container,
        rate: SampleRate::Hz8000,
        recipients: Vec::new(),
        began: BEGAN,
        facts: BTreeMap::new(),
    }
}

fn mixed(folder: &Path) -> RecordingSettings {
    settings(folder, Tracks::Together(Layout::Mixed), Container::Wav)
}

/// Waits for an end that must come; the time is for machines that stand still.
fn ended(ends: &RecordingsEnded) -> RecordingEnded {
    ends.wait(Duration::from_secs(120)).expect("a recording that was closed ends")
}

fn record_on(
    create: &Create,
    limits: RecorderLimits,
    settings: RecordingSettings,
    act: impl FnOnce(&mut RecordingHandle),
) -> Outcome {
    let (mut recorder, ends) = Recorder::start_on(limits, create).expect("threads");
    let mut handle = recorder.open(settings).expect("settings that fit together");
    act(&mut handle);
    handle.close();
    let outcome = ended(&ends).outcome;
    assert!(ends.poll().is_none(), "a recording ends once");
    outcome
}

fn record(settings: RecordingSettings, act: impl FnOnce(&mut RecordingHandle)) -> Outcome {
    record_on(&on_disk(), RecorderLimits::default(), settings, act)
}

/// Frames with these numbers, each of one value a party.
fn push_frames(handle: &mut RecordingHandle, frames: std::ops::Range<u64>, a: i16, b: i16) {
    for frame in frames {
        handle.push(Party::Caller, frame * FRAME, &[a; FRAME as usize]);
        handle.push(Party::Callee, frame * FRAME, &[b; FRAME as usize]);
    }
}

/// What another's reader finds in a WAV file: channels, rate, samples.
fn read_wav(path: &Path) -> (u16, u32, Vec<i16>) {
    let mut reader = hound::WavReader::open(path).expect("a WAV file");
    let spec = reader.spec();
    (spec.channels, spec.sample_rate, reader.samples().map(|sample| sample.expect("a sample")).collect())
}

/// Each value and how often it stands there in a row.
fn runs(samples: &[i16]) -> Vec<(i16, usize)> {
    samples.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect()
}

/// The hashes are those of the files as they lie there, and nothing lies beside them under a temporary name.
fn check_files(folder: &Path, outcome: &Outcome) {
    for file in &outcome.files {
        let bytes = std::fs::read(folder.join(&file.name)).expect("it is there");
        assert_eq!(bytes.len() as u64, file.bytes, "{}", file.name);
        assert_eq!(<[u8; 32]>::from(Sha256::digest(&bytes)), file.sha256, "{}", file.name);
    }
    for entry in std::fs::read_dir(folder).expect("it is there") {
        let name = entry.expect("an entry").file_name();
        assert!(!name.to_string_lossy().ends_with(".part"), "{name:?}");
    }
}

fn side_car(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(folder.join("call.json")).expect("a side-car")).expect("JSON")
}
