//! Rates of samples, and the frame that everything here is counted in.

/// How long a frame is, in milliseconds: one tick of a room.
pub const FRAME_MS: usize = 20;

/// How long it takes from one gain to another, in milliseconds: too long for a click, too short to cut a syllable.
const RAMP_MS: usize = 5;

/// Rates at which a room is spoken and listened in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rate {
    /// Narrowband: G.711.
    Hz8000,
    /// Wideband: G.722, Opus.
    Hz16000,
    /// Fullband: L16 that is so.
    Hz48000,
}

impl Rate {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hz8000, Self::Hz16000, Self::Hz48000];

    /// Samples a second.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz16000 => 16_000,
            Self::Hz48000 => 48_000,
        }
    }

    /// The rate of so many samples a second.
    pub const fn from_hz(hz: u32) -> Option<Self> {
        match hz {
            8_000 => Some(Self::Hz8000),
            16_000 => Some(Self::Hz16000),
            48_000 => Some(Self::Hz48000),
            _ => None,
        }
    }

    /// Samples in a frame: 160, 320 or 960.
    pub const fn frame_samples(self) -> usize {
        self.hz() as usize / 1_000 * FRAME_MS
    }

    /// Samples over which a gain changes.
    pub(crate) const fn ramp_samples(self) -> usize {
        self.hz() as usize / 1_000 * RAMP_MS
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}
