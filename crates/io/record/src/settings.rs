//! What is recorded, how, and where to.

use crate::{RecipientError, StartError};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;
use sx_engine::Time;

/// The longest name of a recording, and the longest text of a fact about it, in bytes.
const NAME_MAX: usize = 128;
const FACTS_MAX: usize = 64;
pub(crate) const TEXT_MAX: usize = 1_024;
const RECIPIENTS_MAX: usize = 16;

/// One of the two who speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The party that the call comes from; the left channel.
    Caller,
    /// The party that it goes to; the right channel.
    Callee,
}

/// How two parties share a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The sum of both in one channel.
    Mixed,
    /// One party a channel.
    Stereo,
}

/// Which files a recording has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracks {
    /// One for each party: `NAME-caller` and `NAME-callee`, equally long.
    PerLeg,
    /// One for both.
    Together(Layout),
}

/// What the sound is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// WAV with 16-bit samples.
    Wav,
    /// Ogg/Opus (RFC 7845).
    #[cfg(feature = "opus")]
    OggOpus {
        /// Bits a second in each channel, 6,000 to 64,000.
        bit_rate: u32,
        /// From 0 to 10: the more, the better it sounds and the longer it takes. At 0 a channel takes about 0.47 % of a core
        /// and a recording of two channels 0.94 %, so that each of a recorder's threads keeps up with about a hundred such
        /// recordings if it has a core to itself; at 5 with about half as many.
        complexity: u8,
    },
}

/// Samples a second of what is handed in, and of a WAV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleRate {
    /// 8,000.
    Hz8000,
    /// 16,000.
    Hz16000,
    /// 48,000.
    Hz48000,
}

/// Who can read an encrypted recording: a public key of age (`age1…`, X25519).
#[derive(Clone)]
pub struct Recipient {
    pub(crate) key: age::x25519::Recipient,
}

/// A recording to be made.
#[derive(Clone, Debug)]
pub struct RecordingSettings {
    /// The folder, which is there already.
    pub folder: PathBuf,
    /// What the files are named after: 1 to 128 letters, digits, `-`, `_` and `.`, of which `.` is not the first.
    pub name: String,
    /// Which files there are.
    pub tracks: Tracks,
    /// What they are written as.
    pub container: Container,
    /// The rate of the samples.
    pub rate: SampleRate,
    /// Who can read the files; nobody: they are in the clear. At most 16.
    pub recipients: Vec<Recipient>,
    /// The wall time of sample 0.
    pub began: Time,
    /// What else the side-car is to say, such as the call's identifier: at most 64 texts of 1,024 bytes.
    pub facts: BTreeMap<String, String>,
}

/// Bounds of a recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecorderLimits {
    /// Recordings at once, those counted whose end was not taken note of. 256 unless told otherwise.
    pub recordings_max: usize,
    /// Samples that may wait for the thread, of all recordings: 8,000,000, which is 16 MB and 5 seconds of a hundred calls
    /// at 8 kHz, unless told otherwise.
    pub queue_samples_max: usize,
    /// Threads that write; a recording stays with one of them. 1 unless told otherwise.
    pub threads: NonZero<usize>,
    /// Bytes of a WAV file, after which another one is begun: just below 4 GiB, which its lengths cannot exceed, unless
    /// told otherwise.
    pub part_bytes_max: u32,
}

impl Default for RecorderLimits {
    fn default() -> Self {
        Self {
            recordings_max: 256,
            queue_samples_max: 8_000_000,
            threads: NonZero::<usize>::MIN,
            part_bytes_max: u32::MAX - 65_535,
        }
    }
}

impl SampleRate {
    /// In Hz.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz16000 => 16_000,
            Self::Hz48000 => 48_000,
        }
    }

    /// How long so many samples last, in milliseconds.
    pub(crate) const fn millis(self, samples: u64) -> u64 {
        // Seconds and the rest apart, so that nothing overflows.
        let hz = self.hz() as u64;
        (samples / hz).saturating_mul(1_000).saturating_add(samples % hz * 1_000 / hz)
    }
}

impl Tracks {
    /// What the names of the files have behind the recording's, and their channels.
    pub(crate) const fn files(self) -> &'static [(&'static str, u16)] {
        match self {
            Self::PerLeg => &[("-caller", 1), ("-callee", 1)],
            Self::Together(Layout::Mixed) => &[("", 1)],
            Self::Together(Layout::Stereo) => &[("", 2)],
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::PerLeg => "per-leg",
            Self::Together(Layout::Mixed) => "mixed",
            Self::Together(Layout::Stereo) => "stereo",
        }
    }
}

impl Container {
    /// The ending of a file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            #[cfg(feature = "opus")]
            Self::OggOpus { .. } => "opus",
        }
    }
}

impl RecordingSettings {
    pub(crate) fn check(&self) -> Result<(), StartError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = &self.name;
        if name.is_empty() || name.len() > NAME_MAX || name.starts_with('.') || !name.chars().all(allowed) {
            return Err(StartError::Name(name.clone()));
        }
        let too_long = |(key, text): (&String, &String)| key.len() > TEXT_MAX || text.len() > TEXT_MAX;
        if self.facts.len() > FACTS_MAX || self.facts.iter().any(too_long) || self.recipients.len() > RECIPIENTS_MAX {
            return Err(StartError::TooMuchSaid);
        }
        Ok(())
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        text.trim().parse().map(|key| Self { key }).map_err(RecipientError)
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.key.fmt(f)
    }
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recipient({})", self.key)
    }
}
