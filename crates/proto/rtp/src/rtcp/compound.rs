//! The compound packet: validated as a whole, then walked without errors.

use super::{REPORT_BLOCK, SENDER_INFO, Sdes, packet_type};
use crate::packet::Ssrc;
use crate::rtcp_xr::ExtendedReport;
use std::time::Duration;
use thiserror::Error;

const HEADER: usize = 4;

/// A datagram of RTCP packets that has been validated as a whole; borrows the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound<'a> {
    datagram: &'a [u8],
}

/// One packet of a compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// What a source has sent, and what it has received of others.
    SenderReport(SenderReport<'a>),
    /// What a party that sends nothing has received of others.
    ReceiverReport(ReceiverReport<'a>),
    /// Who the sources are.
    Sdes(Sdes<'a>),
    /// Sources that have left.
    Bye(Bye<'a>),
    /// Something private to an application.
    App(App<'a>),
    /// More about what a source has received (RFC 3611).
    ExtendedReport(ExtendedReport<'a>),
}

/// A sender report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    /// What it has sent.
    pub info: SenderInfo,
    /// What it has received, a block a source.
    pub blocks: ReportBlocks<'a>,
}

/// A receiver report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    /// What it has received, a block a source.
    pub blocks: ReportBlocks<'a>,
}

/// What a source has sent, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// When the report was sent: seconds since 1900 in the upper 32 bits, fractions of 2^-32 s in the lower.
    pub ntp: u64,
    /// The same moment in ticks of the media clock.
    pub rtp_timestamp: u32,
    /// Packets sent since the source began.
    pub packet_count: u32,
    /// Their payload in bytes, headers and padding not counted.
    pub octet_count: u32,
}

/// What a party has received of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source that is reported on.
    pub ssrc: Ssrc,
    /// Lost since the report before, in 256ths of what was expected.
    pub fraction_lost: u8,
    /// Packets lost since the source began: 24 bits, negative when duplicates outnumber losses.
    pub cumulative_lost: i32,
    /// The highest sequence number received; its wraps are counted in the upper 16 bits.
    pub highest_sequence: u32,
    /// Interarrival jitter in ticks of the media clock.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report received; 0 when there was none.
    pub last_sr: u32,
    /// How long before this report that one came, in 65,536ths of a second.
    pub delay_since_last_sr: u32,
}

/// The report blocks of a packet, at most 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlocks<'a> {
    rest: &'a [u8],
}

/// Sources that have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bye<'a> {
    /// Which.
    pub ssrcs: Ssrcs<'a>,
    /// Why, in UTF-8 as far as the sender keeps to it.
    pub reason: Option<&'a [u8]>,
}

/// The sources of a BYE, at most 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssrcs<'a> {
    rest: &'a [u8],
}

/// A packet private to an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App<'a> {
    /// The application's own number, 0 to 31.
    pub subtype: u8,
    /// Who sends it.
    pub ssrc: Ssrc,
    /// The application's name.
    pub name: [u8; 4],
    /// What it says.
    pub data: &'a [u8],
}

/// The packets of a compound packet in their order; types that are not known are left out.
#[derive(Clone, Copy, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

/// Why a datagram is not a compound packet. All of it is the sender's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CompoundError {
    /// No packet at all, or less than its header.
    #[error("shorter than an RTCP header")]
    TooShort,
    /// A packet is not version 2.
    #[error("not RTCP version 2")]
    Version,
    /// The first packet is not a report.
    #[error("does not begin with a report")]
    NotAReport,
    /// The lengths of the packets do not add up to that of the datagram.
    #[error("lengths do not add up")]
    Length,
    /// Padding in a packet that is not the last, or more of it than the packet has.
    #[error("misplaced or excessive padding")]
    Padding,
    /// The contents of a packet of this type do not fit its length.
    #[error("malformed RTCP packet of type {0}")]
    Malformed(u8),
}

/// One packet as its header delimits it.
struct Delimited<'a> {
    packet_type: u8,
    count: u8,
    padded: bool,
    body: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Validates a datagram: each version, length, padding and body.
    //= https://www.rfc-editor.org/rfc/rfc3550#appendix-A.2
    // Version 2 throughout, a report without padding first, and lengths that add up to the datagram's.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, CompoundError> {
        let mut rest = datagram;
        let mut first = true;
        loop {
            let packet = delimit(rest)?;
            if first && !matches!(packet.packet_type, packet_type::SENDER_REPORT | packet_type::RECEIVER_REPORT) {
                return Err(CompoundError::NotAReport);
            }
            if packet.padded && (first || !packet.rest.is_empty()) {
                return Err(CompoundError::Padding);
            }
            packet.read()?;
            if packet.rest.is_empty() {
                return Ok(Self { datagram });
            }
            (rest, first) = (packet.rest, false);
        }
    }

    /// Its packets in order; types that are not known are left out.
    pub fn packets(&self) -> Packets<'a> {
        Packets { rest: self.datagram }
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = RtcpPacket<'a>;

    fn next(&mut self) -> Option<RtcpPacket<'a>> {
        while !self.rest.is_empty() {
            // `Compound::parse` has been here, so errors do not occur; were there one, it would end the walk.
            let packet = delimit(self.rest).ok()?;
            self.rest = packet.rest;
            if let Some(known) = packet.read().ok()? {
                return Some(known);
            }
        }
        None
    }
}

//= https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1
// The length counts 32-bit words minus one, the header and any padding included.
fn delimit(bytes: &[u8]) -> Result<Delimited<'_>, CompoundError> {
    let (&[flags, packet_type, high, low], _) = bytes.split_first_chunk::<HEADER>().ok_or(CompoundError::TooShort)?;
    if flags >> 6 != 2 {
        return Err(CompoundError::Version);
    }
    let len = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
    let (packet, rest) = bytes.split_at_checked(len).ok_or(CompoundError::Length)?;
    let mut body = &packet[HEADER..];
    let padded = flags & 0x20 != 0;
    if padded {
        let count = body.last().copied().map_or(0, usize::from);
        if count == 0 || !count.is_multiple_of(4) || count > body.len() {
            return Err(CompoundError::Padding);
        }
        body = &body[..body.len() - count];
    }
    Ok(Delimited { packet_type, count: flags & 0x1f, padded, body, rest })
}

impl<'a> Delimited<'a> {
    /// The packet, or `None` when its type is not known.
    fn read(&self) -> Result<Option<RtcpPacket<'a>>, CompoundError> {
        let (count, body) = (self.count, self.body);
        let packet = match self.packet_type {
            packet_type::SENDER_REPORT => SenderReport::read(count, body).map(RtcpPacket::SenderReport),
            packet_type::RECEIVER_REPORT => ReceiverReport::read(count, body).map(RtcpPacket::ReceiverReport),
            packet_type::SDES => Sdes::read(count, body).map(RtcpPacket::Sdes),
            packet_type::BYE => Bye::read(count, body).map(RtcpPacket::Bye),
            packet_type::APP => App::read(count, body).map(RtcpPacket::App),
            packet_type::EXTENDED_REPORT => ExtendedReport::read(body).map(RtcpPacket::ExtendedReport),
            _ => return Ok(None),
        };
        packet.map(Some).ok_or(CompoundError::Malformed(self.packet_type))
    }
}

impl<'a> SenderReport<'a> {
    fn read(count: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrc, rest) = split_ssrc(body)?;
        let (info, rest) = rest.split_first_chunk::<SENDER_INFO>()?;
        Some(Self { ssrc, info: SenderInfo::from_bytes(info), blocks: ReportBlocks::read(count, rest)? })
    }
}

impl<'a> ReceiverReport<'a> {
    fn read(count: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrc, rest) = split_ssrc(body)?;
        Some(Self { ssrc, blocks: ReportBlocks::read(count, rest)? })
    }
}

impl SenderInfo {
    /// The middle 32 bits of the NTP time, as a report block echoes them.
    pub fn ntp_middle(&self) -> u32 {
        (self.ntp >> 16) as u32
    }

    fn from_bytes(bytes: &[u8; SENDER_INFO]) -> Self {
        Self {
            ntp: u64::from(be32(bytes, 0)) << 32 | u64::from(be32(bytes, 4)),
            rtp_timestamp: be32(bytes, 8),
            packet_count: be32(bytes, 12),
            octet_count: be32(bytes, 16),
        }
    }
}

impl ReportBlock {
    /// The round trip, when this block, about what we send, arrives at the NTP time `now`. `None` when the reporter had
    /// no sender report from us, or when the clocks contradict each other.
    //= https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1
    // The delay is the arrival time less LSR less DLSR, all in 65,536ths of a second.
    pub fn round_trip(&self, now: u64) -> Option<Duration> {
        round_trip_at(now, self.last_sr, self.delay_since_last_sr)
    }

    fn from_bytes(bytes: &[u8; REPORT_BLOCK]) -> Self {
        let lost = be32(bytes, 4);
        Self {
            ssrc: Ssrc(be32(bytes, 0)),
            fraction_lost: (lost >> 24) as u8,
            // Shifted up and down again to extend the sign of the 24 bits.
            cumulative_lost: (lost << 8).cast_signed() >> 8,
            highest_sequence: be32(bytes, 8),
            jitter: be32(bytes, 12),
            last_sr: be32(bytes, 16),
            delay_since_last_sr: be32(bytes, 20),
        }
    }
}

impl<'a> ReportBlocks<'a> {
    /// What stands after the blocks is a profile's own and is passed over.
    fn read(count: u8, bytes: &'a [u8]) -> Option<Self> {
        bytes.get(..usize::from(count) * REPORT_BLOCK).map(|rest| Self { rest })
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.rest.split_first_chunk::<REPORT_BLOCK>()?;
        self.rest = rest;
        Some(ReportBlock::from_bytes(block))
    }
}

impl<'a> Bye<'a> {
    //= https://www.rfc-editor.org/rfc/rfc3550#section-6.6
    fn read(count: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrcs, rest) = body.split_at_checked(usize::from(count) * 4)?;
        let reason = match rest.split_first() {
            Some((len, text)) => Some(text.get(..usize::from(*len))?),
            None => None,
        };
        Some(Self { ssrcs: Ssrcs { rest: ssrcs }, reason })
    }
}

impl Iterator for Ssrcs<'_> {
    type Item = Ssrc;

    fn next(&mut self) -> Option<Ssrc> {
        let (ssrc, rest) = split_ssrc(self.rest)?;
        self.rest = rest;
        Some(ssrc)
    }
}

impl<'a> App<'a> {
    //= https://www.rfc-editor.org/rfc/rfc3550#section-6.7
    fn read(subtype: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrc, rest) = split_ssrc(body)?;
        let (name, data) = rest.split_first_chunk::<4>()?;
        Some(Self { subtype, ssrc, name: *name, data })
    }
}

/// The round trip, when an answer arrives at the NTP time `now` that repeats the middle of an NTP time of ours, or 0, and
/// says for how many 65,536ths of a second it was kept.
pub(crate) fn round_trip_at(now: u64, last: u32, delay_since: u32) -> Option<Duration> {
    if last == 0 {
        return None;
    }
    let units = ((now >> 16) as u32).wrapping_sub(last).wrapping_sub(delay_since);
    let units = u64::try_from(units.cast_signed()).ok()?;
    Some(Duration::from_nanos((units * 1_000_000_000) >> 16))
}

pub(crate) fn split_ssrc(bytes: &[u8]) -> Option<(Ssrc, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((Ssrc(u32::from_be_bytes(*word)), rest))
}

/// The word at a place that the array is known to have.
pub(crate) fn be32<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The half word at a place that the array is known to have.
pub(crate) fn be16<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
