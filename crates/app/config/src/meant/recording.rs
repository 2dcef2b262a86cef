//! Recordings of calls.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `[recording]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Where the files are.
    pub folder: PathBuf,
    /// What they are.
    pub container: RecordingContainer,
    /// Which there are of each recording.
    pub tracks: RecordingTracks,
    /// How much of the sound they have.
    pub bandwidth: RecordingBandwidth,
    /// Who can read them: public keys of age; nobody: they are in the clear.
    pub recipients: Vec<Arc<str>>,
    /// Recordings at a time.
    pub calls_max: usize,
    /// Threads that write; `None`: as many as there are processors, up to four.
    pub threads: Option<NonZero<usize>>,
    /// A call that has to be recorded and cannot be ends.
    pub required: bool,
    /// What the parties hear who are told of it, or asked.
    pub announcement: Option<Arc<str>>,
    /// The keys to agree and to refuse; not the same.
    pub agree_key: char,
    /// See [`agree_key`](Self::agree_key).
    pub refuse_key: char,
    /// How long somebody who is asked may take.
    pub answer_wait: Duration,
    /// A tone reminds the parties so often.
    pub beep: Option<Duration>,
}

/// What the files of recordings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingContainer {
    /// WAV with 16-bit samples.
    Wav,
    /// Ogg/Opus.
    Opus,
}

/// Which files a recording has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingTracks {
    /// One, a party a channel.
    Stereo,
    /// One, both parties in one channel.
    Mixed,
    /// One for each party.
    PerLeg,
}

/// How much of the sound a recording has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingBandwidth {
    /// 8,000 samples a second.
    Narrowband,
    /// 16,000.
    Wideband,
    /// 48,000.
    Fullband,
}
