//! Codecs: one row each, and the payload types that carry them.

use crate::enumerated::enumerated;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The seven-bit number that says what an RTP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PayloadType(pub u8);

enumerated! {
    /// A media encoding the exchange knows by name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum Codec {
        /// G.711 µ-law.
        Pcmu,
        /// G.711 A-law.
        Pcma,
        /// G.722, whose RTP clock runs at half its sampling rate (RFC 3551).
        G722,
        /// G.729 and its annex A.
        G729,
        /// Opus (RFC 7587).
        Opus,
        /// Linear 16-bit samples.
        L16,
        /// Named telephone events (RFC 4733).
        TelephoneEvent,
        /// Comfort noise (RFC 3389).
        ComfortNoise,
        /// VP8 (RFC 7741).
        Vp8,
        /// H.264 (RFC 6184).
        H264,
    }
}

/// What a codec is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Something that goes beside the sound of a stream and never alone: digits, comfort noise.
    BesideAudio,
    /// Pictures.
    Video,
}

struct Row {
    /// As it is registered for `rtpmap`.
    name: &'static str,
    clock_hz: u32,
    /// How many channels `rtpmap` names; one is not written.
    channels: u8,
    kind: Kind,
    /// The payload types that mean it without an `rtpmap`.
    payload_types: &'static [u8],
}

impl Codec {
    /// Their names, in the order of [`ALL`](Self::ALL).
    pub const NAMES: [&'static str; Self::ALL.len()] = {
        let mut names = [""; Self::ALL.len()];
        let mut place = 0;
        while place < names.len() {
            names[place] = Self::ALL[place].name();
            place += 1;
        }
        names
    };

    /// The table. A new codec is a new line here.
    //= https://www.rfc-editor.org/rfc/rfc3551#section-6
    #[rustfmt::skip]
    const fn row(self) -> Row {
        use Kind::{Audio, BesideAudio, Video};
        match self {
            Self::Pcmu           => Row { name: "PCMU",            clock_hz: 8_000,  channels: 1, kind: Audio,       payload_types: &[0] },
            Self::Pcma           => Row { name: "PCMA",            clock_hz: 8_000,  channels: 1, kind: Audio,       payload_types: &[8] },
            Self::G722           => Row { name: "G722",            clock_hz: 8_000,  channels: 1, kind: Audio,       payload_types: &[9] },
            Self::G729           => Row { name: "G729",            clock_hz: 8_000,  channels: 1, kind: Audio,       payload_types: &[18] },
            // Always mapped as 48 kHz in two channels, whatever is sent (RFC 7587, section 4.1).
            Self::Opus           => Row { name: "opus",            clock_hz: 48_000, channels: 2, kind: Audio,       payload_types: &[] },
            Self::L16            => Row { name: "L16",             clock_hz: 44_100, channels: 1, kind: Audio,       payload_types: &[10, 11] },
            Self::TelephoneEvent => Row { name: "telephone-event", clock_hz: 8_000,  channels: 1, kind: BesideAudio, payload_types: &[] },
            Self::ComfortNoise   => Row { name: "CN",              clock_hz: 8_000,  channels: 1, kind: BesideAudio, payload_types: &[13] },
            Self::Vp8            => Row { name: "VP8",             clock_hz: 90_000, channels: 1, kind: Video,       payload_types: &[] },
            Self::H264           => Row { name: "H264",            clock_hz: 90_000, channels: 1, kind: Video,       payload_types: &[] },
        }
    }

    /// The encoding name of an `rtpmap`, as registered.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// What it is for.
    pub const fn kind(self) -> Kind {
        self.row().kind
    }

    /// Ticks of the RTP timestamp a second, as registered.
    pub const fn clock_hz(self) -> u32 {
        self.row().clock_hz
    }

    /// How many channels its `rtpmap` names.
    pub const fn channels(self) -> u8 {
        self.row().channels
    }

    /// The codec with this encoding name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The codec a static payload type stands for when no `rtpmap` says otherwise.
    pub fn from_static(payload_type: PayloadType) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.row().payload_types.contains(&payload_type.0))
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_payload_types_have_their_registered_names() {
        for (number, name) in [(0, "PCMU"), (8, "PCMA"), (9, "G722"), (11, "L16"), (13, "CN"), (18, "G729")] {
            let codec = Codec::from_static(PayloadType(number)).expect("a static type");
            assert_eq!(codec.name(), name);
        }
        assert_eq!(Codec::from_static(PayloadType(96)), None);
    }

    #[test]
    fn every_codec_is_found_by_its_name() {
        for (codec, name) in Codec::ALL.into_iter().zip(Codec::NAMES) {
            assert_eq!(Codec::from_name(&name.to_lowercase()), Some(codec));
        }
    }
}
