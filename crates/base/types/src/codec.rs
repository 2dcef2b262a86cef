//! Codecs by name and the payload types that carry them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The seven-bit number that says what an RTP packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PayloadType(pub u8);

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

impl Codec {
    /// The encoding name of an `rtpmap`, as registered.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::G729 => "G729",
            Self::Opus => "opus",
            Self::L16 => "L16",
            Self::TelephoneEvent => "telephone-event",
            Self::ComfortNoise => "CN",
            Self::Vp8 => "VP8",
            Self::H264 => "H264",
        }
    }

    /// The codec with this encoding name, whatever its case.
    pub fn from_name(name: &str) -> Option<Self> {
        const ALL: [Codec; 10] = [
            Codec::Pcmu,
            Codec::Pcma,
            Codec::G722,
            Codec::G729,
            Codec::Opus,
            Codec::L16,
            Codec::TelephoneEvent,
            Codec::ComfortNoise,
            Codec::Vp8,
            Codec::H264,
        ];
        ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The codec a static payload type stands for when no `rtpmap` says otherwise.
    //= https://www.rfc-editor.org/rfc/rfc3551#section-6
    pub fn from_static(payload_type: PayloadType) -> Option<Self> {
        match payload_type.0 {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            9 => Some(Self::G722),
            10 | 11 => Some(Self::L16),
            13 => Some(Self::ComfortNoise),
            18 => Some(Self::G729),
            _ => None,
        }
    }

    /// Ticks of the RTP timestamp a second, as registered.
    pub fn clock_hz(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::L16 => 44_100,
            Self::Vp8 | Self::H264 => 90_000,
            _ => 8_000,
        }
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
        for (number, name) in [(0, "PCMU"), (8, "PCMA"), (9, "G722"), (13, "CN"), (18, "G729")] {
            let codec = Codec::from_static(PayloadType(number)).expect("a static type");
            assert_eq!(codec.name(), name);
            assert_eq!(Codec::from_name(&name.to_lowercase()), Some(codec));
        }
        assert_eq!(Codec::from_static(PayloadType(96)), None);
    }
}
