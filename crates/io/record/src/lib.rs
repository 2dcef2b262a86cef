//! Recordings of calls: samples of two parties in, files out that others can open, verify and, if they may, decrypt.
//!
//! A [`Recorder`] has threads that write recordings, and one that brings them to their end: onto the disk, hashed,
//! under their names, with a side-car. A [`RecordingHandle`] belongs to the thread that has the sound and never waits:
//! what finds no room in the queue is counted, and silence stands in its place. A disk that is full ends one recording,
//! what was written of it can be read, and [`RecordingsEnded`] says so once.
//!
//! This crate deliberately knows no call, no packet and no policy: somebody else decides what is recorded, and asks for
//! consent. It reads no clock: the time of a recording is the number of samples since it began.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//! use sx_engine::Time;
//! use sx_record::{Container, Layout, Party, Recorder, RecorderLimits, RecordingSettings, SampleRate, Tracks, verify};
//!
//! # let folder = tempfile::tempdir()?;
//! let (mut recorder, ended) = Recorder::start(RecorderLimits::default())?;
//! let mut recording = recorder.open(RecordingSettings {
//!     folder: folder.path().to_owned(),
//!     name: "call-7".to_owned(),
//!     tracks: Tracks::Together(Layout::Stereo),
//!     container: Container::Wav,
//!     rate: SampleRate::Hz8000,
//!     recipients: Vec::new(),
//!     began: Time::from_secs(1_800_000_000),
//!     facts: BTreeMap::new(),
//! })?;
//! for frame in 0..50 {
//!     recording.push(Party::Caller, frame * 160, &[1_000; 160]);
//!     recording.push(Party::Callee, frame * 160, &[-1_000; 160]);
//! }
//! recording.close();
//!
//! let outcome = ended.wait(Duration::from_secs(10)).ok_or("it ends")?.outcome;
//! assert!(outcome.error.is_none() && outcome.duration_ms == 1_000);
//! assert_eq!((outcome.files[0].name.as_str(), outcome.files[0].bytes), ("call-7.wav", 44 + 32_000));
//! assert!(verify(&folder.path().join("call-7.wav"))?[0].intact);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod closing;
mod error;
#[cfg(feature = "opus")]
mod ogg_opus;
mod recorder;
mod recording;
mod settings;
mod side_car;
mod sink;
mod stored;
#[cfg(test)]
mod tests;
mod timeline;
mod track;
mod wav;

pub use error::{FileError, PauseError, ReadError, RecipientError, StartError};
pub use recorder::{Handed, Recorder, RecordingEnded, RecordingHandle, RecordingId, RecordingsEnded};
pub use settings::{Container, Layout, Party, Recipient, RecorderLimits, RecordingSettings, SampleRate, Tracks};
pub use side_car::{Outcome, Pause, RecordedFile, hex};
pub use stored::{Decrypted, Verified, decrypt, sha256, verify};
