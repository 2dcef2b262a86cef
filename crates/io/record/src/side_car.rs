//! The side-car `NAME.json`: what a recording is, which files it has, and what they must hash to.

use crate::{Party, RecordingSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use sx_engine::Time;

/// How a recording ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its files, as they lie on the disk.
    pub files: Vec<RecordedFile>,
    /// How long the recorded time is, in milliseconds, pauses not counted: that of the longest track.
    pub duration_ms: u64,
    /// What was left out of it.
    pub pauses: Vec<Pause>,
    /// Frames that found no room in the queue, or could not be encoded; silence stands in their place.
    pub lost_frames: u64,
    /// Samples that came when their time had been written, or twice; they were left out.
    pub late_samples: u64,
    /// Why it ended early, or could not be brought to its end. What was written before can be read.
    pub error: Option<crate::FileError>,
}

/// A file of a recording, as it lies on the disk: encrypted when it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedFile {
    /// Its name in the folder.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// Milliseconds of sound in it.
    pub duration_ms: u64,
}

/// A time that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Where in the recorded time it was cut out, in milliseconds, over all parts of a track.
    pub offset_ms: u64,
    /// The wall time at which it began.
    pub began: Time,
    /// The wall time at which it ended; `None`: not before the recording.
    pub ended: Option<Time>,
    /// Why.
    pub reason: String,
    /// What refers to a consent that was given or taken back.
    pub consent: Option<String>,
}

/// The side-car as it is written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SideCar {
    version: u32,
    name: String,
    began: String,
    container: String,
    tracks: String,
    sample_hz: u32,
    /// Which party the first channel or track has, and which the second.
    parties: [String; 2],
    recipients: Vec<String>,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    duration_ms: u64,
    pub(crate) files: Vec<SideCarFile>,
    pauses: Vec<SideCarPause>,
    lost_frames: u64,
    late_samples: u64,
    facts: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SideCarFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    duration_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct SideCarPause {
    offset_ms: u64,
    began: String,
    ended: Option<String>,
    reason: String,
    consent: Option<String>,
}

impl SideCar {
    /// Why the recording ended before its call.
    pub(crate) fn cut_short(&self) -> Option<String> {
        (!self.complete).then(|| self.error.clone().unwrap_or_default())
    }

    pub(crate) fn new(settings: &RecordingSettings, outcome: &Outcome) -> Self {
        let party = |party: Party| format!("{party:?}").to_lowercase();
        Self {
            version: 1,
            name: settings.name.clone(),
            began: settings.began.to_string(),
            container: settings.container.extension().to_owned(),
            tracks: settings.tracks.word().to_owned(),
            sample_hz: settings.rate.hz(),
            parties: [party(Party::Caller), party(Party::Callee)],
            recipients: settings.recipients.iter().map(ToString::to_string).collect(),
            complete: outcome.error.is_none(),
            error: outcome.error.as_ref().map(ToString::to_string),
            duration_ms: outcome.duration_ms,
            files: outcome.files.iter().map(SideCarFile::new).collect(),
            pauses: outcome.pauses.iter().map(SideCarPause::new).collect(),
            lost_frames: outcome.lost_frames,
            late_samples: outcome.late_samples,
            facts: settings.facts.clone(),
        }
    }
}

impl SideCarFile {
    fn new(file: &RecordedFile) -> Self {
        let (name, sha256) = (file.name.clone(), hex(&file.sha256));
        Self { name, bytes: file.bytes, sha256, duration_ms: file.duration_ms }
    }
}

impl SideCarPause {
    fn new(pause: &Pause) -> Self {
        Self {
            offset_ms: pause.offset_ms,
            began: pause.began.to_string(),
            ended: pause.ended.map(|ended| ended.to_string()),
            reason: pause.reason.clone(),
            consent: pause.consent.clone(),
        }
    }
}

/// Where the side-car of a recording stands.
pub(crate) fn side_car_path(settings: &RecordingSettings) -> PathBuf {
    settings.folder.join(format!("{}.json", settings.name))
}

/// As `sha256sum` prints it.
pub fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
