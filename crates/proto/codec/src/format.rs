//! What sound is coded as, and the numbers that go with it.

use crate::Law;
use std::time::Duration;
use sx_types::Codec;

/// The longest sound of one payload: what a receiver should accept.
//= https://www.rfc-editor.org/rfc/rfc3551#section-4.2
pub(crate) const FRAME_MAX: Duration = Duration::from_millis(200);

/// A way to code sound, in one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// G.711, a byte for each sample at 8 kHz.
    G711(Law),
    /// G.722 at 64 kbit/s, a byte for two samples at 16 kHz.
    G722,
    /// Samples as they are, two bytes each, the upper one first.
    L16(L16Rate),
    /// Opus, of which no more is heard and sent than telephones have.
    #[cfg(feature = "opus")]
    Opus(OpusRate),
}

/// Samples a second of [`Format::L16`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum L16Rate {
    /// 8 kHz.
    Hz8000,
    /// 16 kHz.
    Hz16000,
    /// 48 kHz.
    Hz48000,
}

/// Samples a second of what goes into [`Format::Opus`]. What comes out has 16 kHz always.
#[cfg(feature = "opus")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum OpusRate {
    /// 8 kHz: narrowband, where the other side has no more.
    Hz8000,
    /// 16 kHz: wideband.
    #[default]
    Hz16000,
}

#[cfg(feature = "opus")]
impl OpusRate {
    /// Samples a second.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz16000 => 16_000,
        }
    }
}

/// Why samples could not be coded; nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The caller's fault.
    #[error("a frame of {samples} samples is not one that this codec has")]
    FrameLength {
        /// How many samples there were.
        samples: usize,
    },
    /// The fault of the library that codes: the next frame may do.
    #[error("the library has refused a frame")]
    Library,
}

/// Why a payload could not be decoded; nothing was appended. It is the sender's fault, and the frame is one to be
/// concealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It would be more than 200 ms of sound.
    #[error("the payload holds more than 200 ms of sound")]
    TooLong,
    /// The last sample is not whole.
    #[error("the payload ends within a sample")]
    Cut,
    /// It does not follow the rules of the codec.
    #[error("the payload is not well-formed")]
    Malformed,
}

impl L16Rate {
    /// Samples a second.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Hz8000 => 8_000,
            Self::Hz16000 => 16_000,
            Self::Hz48000 => 48_000,
        }
    }
}

impl Format {
    /// What a codec with this clock in its `rtpmap` is, in one channel (for Opus the two that stand there always, whatever
    /// is sent); `None` when it is not coded or decoded here.
    pub fn from_codec(codec: Codec, clock_hz: u32) -> Option<Self> {
        let format = match (codec, clock_hz) {
            (Codec::Pcma, _) => Self::G711(Law::A),
            (Codec::Pcmu, _) => Self::G711(Law::Mu),
            (Codec::G722, _) => Self::G722,
            (Codec::L16, 8_000) => Self::L16(L16Rate::Hz8000),
            (Codec::L16, 16_000) => Self::L16(L16Rate::Hz16000),
            (Codec::L16, 48_000) => Self::L16(L16Rate::Hz48000),
            #[cfg(feature = "opus")]
            (Codec::Opus, _) => Self::Opus(OpusRate::default()),
            _ => return None,
        };
        (format.rtp_clock_hz() == clock_hz).then_some(format)
    }

    /// Samples a second, of what goes in and comes out.
    pub const fn sample_hz(self) -> u32 {
        match self {
            Self::G711(_) => 8_000,
            Self::G722 => 16_000,
            Self::L16(rate) => rate.hz(),
            #[cfg(feature = "opus")]
            Self::Opus(rate) => rate.hz(),
        }
    }

    /// Ticks a second of the RTP timestamp.
    pub const fn rtp_clock_hz(self) -> u32 {
        match self {
            // G.722 is sampled at 16 kHz, but was given 8 kHz in RFC 1890 by mistake, and it stays so.
            //= https://www.rfc-editor.org/rfc/rfc3551#section-4.5.2
            Self::G722 => 8_000,
            // Whatever it is sampled at.
            //= https://www.rfc-editor.org/rfc/rfc7587#section-4.1
            #[cfg(feature = "opus")]
            Self::Opus(_) => 48_000,
            _ => self.sample_hz(),
        }
    }

    /// Ticks by which the RTP timestamp goes on over so many samples.
    pub const fn rtp_ticks(self, samples: usize) -> usize {
        samples * self.rtp_clock_hz() as usize / self.sample_hz() as usize
    }

    /// Samples of a frame that lasts so long.
    pub const fn frame_samples(self, frame: Duration) -> usize {
        (frame.as_micros() * self.sample_hz() as u128 / 1_000_000) as usize
    }

    /// May a frame have so many samples? G.711 and L16 have any number up to 200 ms, G.722 an even one, Opus 10, 20, 40 or
    /// 60 ms.
    pub fn is_frame(self, samples: usize) -> bool {
        match self {
            Self::G711(_) | Self::L16(_) => samples <= self.frame_samples(FRAME_MAX),
            Self::G722 => samples <= self.frame_samples(FRAME_MAX) && samples.is_multiple_of(2),
            #[cfg(feature = "opus")]
            Self::Opus(rate) => matches!(samples * (48_000 / rate.hz() as usize), 480 | 960 | 1_920 | 2_880),
        }
    }

    /// The bytes of a payload of so many samples; for Opus the most that there can be.
    pub fn payload_len(self, samples: usize) -> usize {
        match self {
            Self::G711(_) => samples,
            Self::G722 => samples / 2,
            Self::L16(_) => samples * 2,
            #[cfg(feature = "opus")]
            Self::Opus(_) => crate::opus::PACKET_MAX,
        }
    }

    /// The most bytes of a payload that are decoded: 200 ms, except for Opus, where the payload says how long it is.
    pub(crate) fn payload_max(self) -> usize {
        self.payload_len(self.frame_samples(FRAME_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g722_counts_half_as_many_ticks_as_samples() {
        let twenty = Duration::from_millis(20);
        let check = |format: Format, samples, ticks, bytes| {
            let found = format.frame_samples(twenty);
            assert_eq!(
                (found, format.rtp_ticks(found), format.payload_len(found)),
                (samples, ticks, bytes),
                "{format:?}"
            );
        };
        check(Format::G711(Law::A), 160, 160, 160);
        check(Format::G722, 320, 160, 160);
        check(Format::L16(L16Rate::Hz8000), 160, 160, 320);
        check(Format::L16(L16Rate::Hz48000), 960, 960, 1_920);
    }

    #[test]
    fn formats_are_those_whose_clock_is_right() {
        let check = |codec, clock_hz, expected| assert_eq!(Format::from_codec(codec, clock_hz), expected, "{codec}");
        check(Codec::Pcmu, 8_000, Some(Format::G711(Law::Mu)));
        check(Codec::Pcma, 16_000, None);
        check(Codec::G722, 8_000, Some(Format::G722));
        check(Codec::G722, 16_000, None);
        check(Codec::L16, 16_000, Some(Format::L16(L16Rate::Hz16000)));
        check(Codec::L16, 44_100, None);
        check(Codec::G729, 8_000, None);
        check(Codec::ComfortNoise, 8_000, None);
        #[cfg(feature = "opus")]
        check(Codec::Opus, 48_000, Some(Format::Opus(OpusRate::Hz16000)));
        #[cfg(not(feature = "opus"))]
        check(Codec::Opus, 48_000, None);
    }
}
