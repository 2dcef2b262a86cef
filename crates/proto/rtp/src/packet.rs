//! The RTP packet: parsing that borrows, writing that appends, and telling RTP from RTCP.

use std::fmt;
use sx_types::PayloadType;
use thiserror::Error;

/// The protocol version in the two upper bits of each RTP and RTCP packet.
const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const MARKER: u8 = 0x80;

/// More contributing sources than this do not fit the four-bit count.
const CSRCS_MAX: usize = 15;

/// The number that names one source of packets within a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ssrc(pub u32);

/// An RTP packet that has been validated; borrows the datagram and copies nothing but the fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    header: Header,
    csrcs: &'a [u8],
    extension: Option<Extension<'a>>,
    payload: &'a [u8],
    padding: u8,
}

/// The fields of the fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the payload format says; for audio, the first packet after silence (RFC 3551, section 4.1).
    pub marker: bool,
    /// What the packet carries; only the lower seven bits are sent.
    pub payload_type: PayloadType,
    /// Goes up by one with each packet and wraps.
    pub sequence: u16,
    /// When the first byte of the payload was sampled, in ticks of the payload's clock; wraps.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: Ssrc,
}

/// The header extension of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// What the profile makes of it; 0xbede is the one-byte form of RFC 8285.
    pub profile: u16,
    /// The words after the length: a multiple of four bytes.
    pub data: &'a [u8],
}

/// What a packet may carry besides its fixed header and its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras<'a> {
    /// The sources that were mixed into the payload, at most 15.
    pub csrcs: &'a [Ssrc],
    /// The header extension.
    pub extension: Option<Extension<'a>>,
    /// Bytes of padding after the payload, its own count included; 0 for none.
    pub padding: u8,
}

/// Why a datagram is not an RTP packet. All of it is the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PacketError {
    /// Shorter than the fixed header.
    #[error("shorter than an RTP header")]
    TooShort,
    /// Not version 2.
    #[error("not RTP version 2")]
    Version,
    /// The second byte is that of an RTCP packet.
    #[error("an RTCP packet")]
    Rtcp,
    /// The contributing sources do not fit the datagram.
    #[error("contributing sources exceed the packet")]
    Csrcs,
    /// The header extension does not fit the datagram.
    #[error("header extension exceeds the packet")]
    Extension,
    /// The padding count is zero or larger than what follows the header.
    #[error("padding exceeds the packet")]
    Padding,
}

/// Why a packet could not be written. All of it is the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// More than 15 contributing sources.
    #[error("more than 15 contributing sources")]
    Csrcs,
    /// The extension is not a multiple of four bytes or longer than 65,535 words.
    #[error("header extension is not 0 to 65,535 whole words")]
    Extension,
}

/// Is this datagram RTCP rather than RTP, where both share a port? Looks at two bytes; anything that is neither is
/// told apart by the parsers.
//= https://www.rfc-editor.org/rfc/rfc5761#section-4
// Packet types 192 to 223 are RTCP; RTP payload types 64 to 95 with the marker set would collide and are not used.
#[inline]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [first, 192..=223, ..] if first >> 6 == VERSION)
}

impl<'a> Packet<'a> {
    /// Validates a datagram as far as its bytes can tell: version, counts and lengths.
    //= https://www.rfc-editor.org/rfc/rfc3550#section-5.1
    //= https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1
    // Version, payload type, padding and extension lengths must be plausible before a packet is believed.
    #[inline]
    pub fn parse(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let (fixed, rest) = datagram.split_first_chunk::<{ Header::LEN }>().ok_or(PacketError::TooShort)?;
        let flags = fixed[0];
        if flags >> 6 != VERSION {
            return Err(PacketError::Version);
        }
        if is_rtcp(fixed) {
            return Err(PacketError::Rtcp);
        }
        let csrc_len = usize::from(flags & 0x0f) * 4;
        let (csrcs, rest) = rest.split_at_checked(csrc_len).ok_or(PacketError::Csrcs)?;
        let (extension, rest) = match flags & EXTENSION {
            0 => (None, rest),
            _ => split_extension(rest).ok_or(PacketError::Extension)?,
        };
        let padding = match flags & PADDING {
            0 => 0,
            _ => padding_count(rest).ok_or(PacketError::Padding)?,
        };
        let payload = &rest[..rest.len() - usize::from(padding)];
        Ok(Self { header: Header::from_bytes(*fixed), csrcs, extension, payload, padding })
    }

    /// The fixed header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Who sends.
    pub fn ssrc(&self) -> Ssrc {
        self.header.ssrc
    }

    /// The sequence number.
    pub fn sequence(&self) -> u16 {
        self.header.sequence
    }

    /// The timestamp in ticks of the payload's clock.
    pub fn timestamp(&self) -> u32 {
        self.header.timestamp
    }

    /// What the packet carries.
    pub fn payload_type(&self) -> PayloadType {
        self.header.payload_type
    }

    /// The marker bit.
    pub fn marker(&self) -> bool {
        self.header.marker
    }

    /// The sources that were mixed into the payload, at most 15.
    pub fn csrcs(&self) -> impl Iterator<Item = Ssrc> + use<'a> {
        self.csrcs.as_chunks().0.iter().map(|word| Ssrc(u32::from_be_bytes(*word)))
    }

    /// The header extension.
    pub fn extension(&self) -> Option<Extension<'a>> {
        self.extension
    }

    /// The payload without its padding; may be empty.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Bytes of padding after the payload, its own count included.
    pub fn padding(&self) -> u8 {
        self.padding
    }
}

impl Header {
    /// How long it is, in bytes, without contributing sources and extension.
    pub const LEN: usize = 12;

    /// The bytes of a header without contributing sources, extension and padding.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0] = VERSION << 6;
        bytes[1] = self.payload_type.0 & 0x7f | if self.marker { MARKER } else { 0 };
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..].copy_from_slice(&self.ssrc.0.to_be_bytes());
        bytes
    }

    /// Writes it over the header of a packet that is there, which keeps its version and says of padding, extension and
    /// contributing sources what it said. Nothing is written over what is shorter than a header.
    pub fn write_over(self, packet: &mut [u8]) {
        let Some(bytes) = packet.first_chunk_mut::<{ Self::LEN }>() else { return };
        let first = bytes[0];
        *bytes = self.to_bytes();
        bytes[0] = first;
    }

    /// Appends a whole packet to `out`.
    pub fn write(self, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
        out.extend_from_slice(payload);
    }

    /// Appends a whole packet with contributing sources, extension or padding to `out`; on an error, nothing.
    pub fn write_with(self, extras: &Extras<'_>, payload: &[u8], out: &mut Vec<u8>) -> Result<(), WriteError> {
        if extras.csrcs.len() > CSRCS_MAX {
            return Err(WriteError::Csrcs);
        }
        let extension = extras.extension.map(extension_words).transpose()?;
        let mut fixed = self.to_bytes();
        fixed[0] |= extras.csrcs.len() as u8;
        fixed[0] |= if extension.is_some() { EXTENSION } else { 0 };
        fixed[0] |= if extras.padding > 0 { PADDING } else { 0 };
        out.extend_from_slice(&fixed);
        for csrc in extras.csrcs {
            out.extend_from_slice(&csrc.0.to_be_bytes());
        }
        if let Some((profile, words, data)) = extension {
            out.extend_from_slice(&profile.to_be_bytes());
            out.extend_from_slice(&words.to_be_bytes());
            out.extend_from_slice(data);
        }
        out.extend_from_slice(payload);
        if extras.padding > 0 {
            out.resize(out.len() + usize::from(extras.padding) - 1, 0);
            out.push(extras.padding);
        }
        Ok(())
    }

    fn from_bytes(b: [u8; Header::LEN]) -> Self {
        Self {
            marker: b[1] & MARKER != 0,
            payload_type: PayloadType(b[1] & 0x7f),
            sequence: u16::from_be_bytes([b[2], b[3]]),
            timestamp: u32::from_be_bytes([b[4], b[5], b[6], b[7]]),
            ssrc: Ssrc(u32::from_be_bytes([b[8], b[9], b[10], b[11]])),
        }
    }
}

fn extension_words(extension: Extension<'_>) -> Result<(u16, u16, &[u8]), WriteError> {
    if !extension.data.len().is_multiple_of(4) {
        return Err(WriteError::Extension);
    }
    let words = u16::try_from(extension.data.len() / 4).map_err(|_| WriteError::Extension)?;
    Ok((extension.profile, words, extension.data))
}

//= https://www.rfc-editor.org/rfc/rfc3550#section-5.3.1
// The length counts 32-bit words and excludes the four bytes of the extension's own header.
fn split_extension(rest: &[u8]) -> Option<(Option<Extension<'_>>, &[u8])> {
    let (&[profile_high, profile_low, words_high, words_low], rest) = rest.split_first_chunk::<4>()?;
    let len = usize::from(u16::from_be_bytes([words_high, words_low])) * 4;
    let (data, rest) = rest.split_at_checked(len)?;
    Some((Some(Extension { profile: u16::from_be_bytes([profile_high, profile_low]), data }), rest))
}

fn padding_count(rest: &[u8]) -> Option<u8> {
    rest.last().copied().filter(|count| *count > 0 && usize::from(*count) <= rest.len())
}

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            marker: true,
            payload_type: PayloadType(8),
            sequence: 0xfffe,
            timestamp: 0x0102_0304,
            ssrc: Ssrc(0xdead_beef),
        }
    }

    #[track_caller]
    fn refused(datagram: &[u8], expected: PacketError) {
        assert_eq!(Packet::parse(datagram), Err(expected));
    }

    #[test]
    fn a_header_is_written_over_another_and_what_belongs_to_it_stays() {
        // One that has a contributing source.
        let mut packet = [[0x81, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3].as_slice(), &[0, 0, 0, 9], b"ab"].concat();
        header().write_over(&mut packet);
        assert_eq!(packet, [&[0x81], &header().to_bytes()[1..], &[0, 0, 0, 9], b"ab"].concat());
        let mut short = [7; 11];
        header().write_over(&mut short);
        assert_eq!(short, [7; 11]);
    }

    #[test]
    fn the_fixed_header_stands_where_the_rfc_draws_it() {
        let mut out = Vec::new();
        header().write(b"ab", &mut out);
        assert_eq!(out, [0x80, 0x88, 0xff, 0xfe, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef, b'a', b'b']);
        assert_eq!(Packet::parse(&out).map(|packet| packet.header()), Ok(header()));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let fixed = header().to_bytes();
        let with = |first: u8, tail: &[u8]| {
            let mut bytes = fixed.to_vec();
            bytes[0] = first;
            bytes.extend_from_slice(tail);
            bytes
        };
        refused(&[], PacketError::TooShort);
        refused(&fixed[..11], PacketError::TooShort);
        refused(&with(0x40, &[]), PacketError::Version);
        refused(&with(0x81, &[0; 3]), PacketError::Csrcs);
        refused(&with(0x90, &[0; 3]), PacketError::Extension);
        refused(&with(0x90, &[0, 0, 0, 1, 9, 9, 9]), PacketError::Extension);
        refused(&with(0xa0, &[]), PacketError::Padding);
        refused(&with(0xa0, &[0]), PacketError::Padding);
        refused(&with(0xa0, &[0, 3]), PacketError::Padding);
        assert!(Packet::parse(&with(0xa0, &[0, 2])).is_ok_and(|packet| packet.payload().is_empty()));
    }

    #[test]
    fn rtcp_packet_types_are_told_from_payload_types() {
        for packet_type in 0..=255u8 {
            let mut bytes = header().to_bytes();
            bytes[1] = packet_type;
            let rtcp = (192..=223).contains(&packet_type);
            assert_eq!(is_rtcp(&bytes), rtcp);
            assert_eq!(Packet::parse(&bytes) == Err(PacketError::Rtcp), rtcp);
        }
        assert!(!is_rtcp(&[0x80]));
        assert!(!is_rtcp(&[0x00, 200]), "version 0 is STUN's");
    }

    #[test]
    fn extras_beyond_their_fields_are_not_written() {
        let mut out = Vec::new();
        let csrcs = [Ssrc(1); 16];
        let many = Extras { csrcs: &csrcs, ..Extras::default() };
        assert_eq!(header().write_with(&many, &[], &mut out), Err(WriteError::Csrcs));
        let uneven = Extras { extension: Some(Extension { profile: 0, data: &[1] }), ..Extras::default() };
        assert_eq!(header().write_with(&uneven, &[], &mut out), Err(WriteError::Extension));
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..96), first in any::<u8>()) {
            let mut bytes = bytes;
            let _ = Packet::parse(&bytes);
            if let Some(byte) = bytes.first_mut() {
                *byte = 0x80 | first >> 2;
                let _ = Packet::parse(&bytes);
            }
        }

        #[test]
        fn what_is_written_is_read(
            (marker, payload_type, sequence, timestamp, ssrc) in
                (any::<bool>(), 0..64u8, any::<u16>(), any::<u32>(), any::<u32>()),
            csrcs in proptest::collection::vec(any::<u32>().prop_map(Ssrc), 0..=15),
            extension in proptest::option::of((any::<u16>(), proptest::collection::vec(any::<[u8; 4]>(), 0..8))),
            padding in any::<u8>(),
            payload in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let header = Header {
                marker, payload_type: PayloadType(payload_type), sequence, timestamp, ssrc: Ssrc(ssrc),
            };
            let data = extension.as_ref().map(|(_, words)| words.concat()).unwrap_or_default();
            let extension = extension.map(|(profile, _)| Extension { profile, data: &data });
            let extras = Extras { csrcs: &csrcs, extension, padding };
            let mut out = Vec::new();
            header.write_with(&extras, &payload, &mut out).expect("within limits");
            let packet = Packet::parse(&out).expect("own packet");
            prop_assert_eq!(packet.header(), header);
            prop_assert!(packet.csrcs().eq(csrcs.iter().copied()));
            prop_assert_eq!(packet.extension(), extension);
            prop_assert_eq!(packet.padding(), padding);
            prop_assert_eq!(packet.payload(), &payload[..]);
        }
    }
}
