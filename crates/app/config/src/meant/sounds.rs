//! What of `[media]` says what can be played.

use std::path::PathBuf;
use sx_audio::Country;

/// What can be played, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundSettings {
    /// The folder that files are in.
    pub folder: Option<PathBuf>,
    /// Whose tones are played.
    pub country: Country,
    /// The longest file, in seconds.
    pub seconds_max: u32,
    /// The memory for all of them.
    pub bytes_max: usize,
    /// How many there may be.
    pub files_max: usize,
    /// How many are played at the same time.
    pub plays_max: usize,
}
