//! RTCP extended reports (RFC 3611): VoIP metrics, and the round trip of those who only receive.
//!
//! Other blocks, and known ones whose length does not fit, are passed over. Where blocks do not add up to the length of
//! their packet, the walk ends: the reports beside it are as good as ever.

use crate::packet::Ssrc;
use crate::rtcp::{RtcpWriteError, be16, be32, packet_type, round_trip_at, split_ssrc, write_header};
use std::time::Duration;

/// Block types as registered.
pub(crate) mod block_type {
    pub(crate) const LOSS_RLE: u8 = 1;
    pub(crate) const DUPLICATE_RLE: u8 = 2;
    pub(crate) const PACKET_RECEIPT_TIMES: u8 = 3;
    pub(crate) const RECEIVER_REFERENCE_TIME: u8 = 4;
    pub(crate) const DLRR: u8 = 5;
    pub(crate) const STATISTICS_SUMMARY: u8 = 6;
    pub(crate) const VOIP_METRICS: u8 = 7;
}

const BLOCK_HEADER: usize = 4;
const REFERENCE_TIME: usize = 8;
pub(crate) const SUB_BLOCK: usize = 12;
const VOIP_METRICS: usize = 32;
/// More of them in one packet than this are not written: with the rest they stay within a datagram.
const SUB_BLOCKS_MAX: usize = 31;
const VOIP_METRICS_MAX: usize = 31;

/// An extended report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedReport<'a> {
    /// Who reports.
    pub ssrc: Ssrc,
    /// What it reports.
    pub blocks: XrBlocks<'a>,
}

/// The blocks of an extended report in their order; those that are not known are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XrBlocks<'a> {
    rest: &'a [u8],
}

/// A block of an extended report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XrBlock<'a> {
    /// When the report was sent, by a party that sends no sender reports: seconds since 1900 in the upper 32 bits,
    /// fractions of 2^-32 s in the lower.
    ReceiverReferenceTime(u64),
    /// The answer to that, for each receiver.
    Dlrr(DlrrSubBlocks<'a>),
    /// How a stream of speech is received.
    VoipMetrics(VoipMetrics),
}

/// The sub-blocks of a DLRR block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DlrrSubBlocks<'a> {
    rest: &'a [u8],
}

/// When the last reference time of a receiver came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dlrr {
    /// The receiver.
    pub ssrc: Ssrc,
    /// The middle 32 bits of its last reference time; 0 when there was none.
    pub last_rr: u32,
    /// How long before this report that one came, in 65,536ths of a second.
    pub delay_since_last_rr: u32,
}

/// How a stream of speech is received. `None` is what the report does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoipMetrics {
    /// The stream.
    pub ssrc: Ssrc,
    /// Lost on the way since reception began, in 256ths of the packets.
    pub loss_rate: u8,
    /// Thrown away because it came too late or too early, likewise.
    pub discard_rate: u8,
    /// Lost or thrown away within bursts, in 256ths of the packets in bursts.
    pub burst_density: u8,
    /// Lost or thrown away outside of bursts, in 256ths of the packets outside.
    pub gap_density: u8,
    /// The mean length of bursts in milliseconds.
    pub burst_duration_ms: u16,
    /// The mean length of gaps in milliseconds.
    pub gap_duration_ms: u16,
    /// The round trip between both RTP interfaces in milliseconds; 0 when it is not known.
    pub round_trip_delay_ms: u16,
    /// What the reporting system adds to it, in milliseconds: its jitter buffer, coding and decoding, both ways.
    pub end_system_delay_ms: u16,
    /// The level of speech in dBm0.
    pub signal_level: Option<i8>,
    /// The level of noise in dBm0.
    pub noise_level: Option<i8>,
    /// How much quieter the echo is that comes back, in dB.
    pub residual_echo_return_loss: Option<u8>,
    /// Packets in order that end a burst; 16 unless somebody has reason for another number.
    pub gmin: u8,
    /// The R factor, 0 to 100.
    pub r_factor: Option<u8>,
    /// The R factor of a network that the stream comes from.
    pub external_r_factor: Option<u8>,
    /// The mean opinion score of listening, in tenths: 10 to 50.
    pub mos_listening_x10: Option<u8>,
    /// That of conversing, likewise.
    pub mos_conversational_x10: Option<u8>,
    /// Kind of loss concealment, and of the jitter buffer, as the bits of section 4.7.6.
    pub receiver_configuration: u8,
    /// What the jitter buffer holds of packets that come in time, in milliseconds.
    pub jitter_buffer_nominal_ms: u16,
    /// The most it holds now.
    pub jitter_buffer_maximum_ms: u16,
    /// The most it can ever hold.
    pub jitter_buffer_absolute_maximum_ms: u16,
}

/// What is not said, where a byte cannot be left out.
const UNAVAILABLE: u8 = 127;

impl<'a> ExtendedReport<'a> {
    //= https://www.rfc-editor.org/rfc/rfc3611#section-2
    pub(crate) fn read(body: &'a [u8]) -> Option<Self> {
        let (ssrc, rest) = split_ssrc(body)?;
        Some(Self { ssrc, blocks: XrBlocks { rest } })
    }
}

impl<'a> Iterator for XrBlocks<'a> {
    type Item = XrBlock<'a>;

    fn next(&mut self) -> Option<XrBlock<'a>> {
        while !self.rest.is_empty() {
            let (block_type, contents, rest) = split_block(self.rest)?;
            self.rest = rest;
            if let Some(known) = XrBlock::read(block_type, contents) {
                return Some(known);
            }
        }
        None
    }
}

//= https://www.rfc-editor.org/rfc/rfc3611#section-3
// The length of a block counts 32-bit words minus one, its header included.
fn split_block(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[block_type, _, high, low], rest) = bytes.split_first_chunk::<BLOCK_HEADER>()?;
    let (contents, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])) * 4)?;
    Some((block_type, contents, rest))
}

impl<'a> XrBlock<'a> {
    /// `None` when the type is not known or the length is not the type's.
    fn read(block_type: u8, contents: &'a [u8]) -> Option<Self> {
        match block_type {
            block_type::RECEIVER_REFERENCE_TIME => {
                contents.try_into().ok().map(u64::from_be_bytes).map(Self::ReceiverReferenceTime)
            }
            block_type::DLRR => {
                contents.len().is_multiple_of(SUB_BLOCK).then_some(Self::Dlrr(DlrrSubBlocks { rest: contents }))
            }
            block_type::VOIP_METRICS => {
                contents.try_into().ok().map(|bytes| Self::VoipMetrics(VoipMetrics::from_bytes(bytes)))
            }
            _ => None,
        }
    }
}

impl Iterator for DlrrSubBlocks<'_> {
    type Item = Dlrr;

    //= https://www.rfc-editor.org/rfc/rfc3611#section-4.5
    fn next(&mut self) -> Option<Dlrr> {
        let (bytes, rest) = self.rest.split_first_chunk::<SUB_BLOCK>()?;
        self.rest = rest;
        Some(Dlrr { ssrc: Ssrc(be32(bytes, 0)), last_rr: be32(bytes, 4), delay_since_last_rr: be32(bytes, 8) })
    }
}

impl Dlrr {
    /// The round trip, when this sub-block, about a reference time of ours, arrives at the NTP time `now`. `None` when the
    /// reporter had none from us, or when the clocks contradict each other.
    pub fn round_trip(&self, now: u64) -> Option<Duration> {
        round_trip_at(now, self.last_rr, self.delay_since_last_rr)
    }
}

impl VoipMetrics {
    //= https://www.rfc-editor.org/rfc/rfc3611#section-4.7
    fn from_bytes(bytes: &[u8; VOIP_METRICS]) -> Self {
        let said = |at: usize| Some(bytes[at]).filter(|byte| *byte != UNAVAILABLE);
        Self {
            ssrc: Ssrc(be32(bytes, 0)),
            loss_rate: bytes[4],
            discard_rate: bytes[5],
            burst_density: bytes[6],
            gap_density: bytes[7],
            burst_duration_ms: be16(bytes, 8),
            gap_duration_ms: be16(bytes, 10),
            round_trip_delay_ms: be16(bytes, 12),
            end_system_delay_ms: be16(bytes, 14),
            signal_level: said(16).map(u8::cast_signed),
            noise_level: said(17).map(u8::cast_signed),
            residual_echo_return_loss: said(18),
            gmin: bytes[19],
            r_factor: said(20),
            external_r_factor: said(21),
            mos_listening_x10: said(22),
            mos_conversational_x10: said(23),
            receiver_configuration: bytes[24],
            jitter_buffer_nominal_ms: be16(bytes, 26),
            jitter_buffer_maximum_ms: be16(bytes, 28),
            jitter_buffer_absolute_maximum_ms: be16(bytes, 30),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let level = |level: Option<i8>| level.map_or(UNAVAILABLE, i8::cast_unsigned);
        let said = |value: Option<u8>| value.unwrap_or(UNAVAILABLE);
        out.extend_from_slice(&self.ssrc.0.to_be_bytes());
        out.extend_from_slice(&[self.loss_rate, self.discard_rate, self.burst_density, self.gap_density]);
        let durations = [self.burst_duration_ms, self.gap_duration_ms];
        for millis in [durations, [self.round_trip_delay_ms, self.end_system_delay_ms]].concat() {
            out.extend_from_slice(&millis.to_be_bytes());
        }
        out.extend_from_slice(&[level(self.signal_level), level(self.noise_level)]);
        out.extend_from_slice(&[said(self.residual_echo_return_loss), self.gmin]);
        out.extend_from_slice(&[said(self.r_factor), said(self.external_r_factor)]);
        out.extend_from_slice(&[said(self.mos_listening_x10), said(self.mos_conversational_x10)]);
        out.extend_from_slice(&[self.receiver_configuration, 0]);
        out.extend_from_slice(&self.jitter_buffer_nominal_ms.to_be_bytes());
        out.extend_from_slice(&self.jitter_buffer_maximum_ms.to_be_bytes());
        out.extend_from_slice(&self.jitter_buffer_absolute_maximum_ms.to_be_bytes());
    }
}

/// Appends an extended report: a reference time in NTP format if one is given, and at most 31 each of the others. What is
/// empty is left out.
//= https://www.rfc-editor.org/rfc/rfc3611#section-2
pub fn write_extended_report(
    ssrc: Ssrc,
    reference_time: Option<u64>,
    dlrr: &[Dlrr],
    metrics: &[VoipMetrics],
    out: &mut Vec<u8>,
) -> Result<(), RtcpWriteError> {
    if dlrr.len() > SUB_BLOCKS_MAX || metrics.len() > VOIP_METRICS_MAX {
        return Err(RtcpWriteError::TooMany);
    }
    let reference = reference_time.map_or(0, |_| BLOCK_HEADER + REFERENCE_TIME);
    let answers = if dlrr.is_empty() { 0 } else { BLOCK_HEADER + dlrr.len() * SUB_BLOCK };
    write_header(
        packet_type::EXTENDED_REPORT,
        0,
        4 + reference + answers + metrics.len() * (BLOCK_HEADER + VOIP_METRICS),
        out,
    );
    out.extend_from_slice(&ssrc.0.to_be_bytes());
    if let Some(ntp) = reference_time {
        write_block_header(block_type::RECEIVER_REFERENCE_TIME, REFERENCE_TIME, out);
        out.extend_from_slice(&ntp.to_be_bytes());
    }
    if !dlrr.is_empty() {
        write_block_header(block_type::DLRR, dlrr.len() * SUB_BLOCK, out);
    }
    for answer in dlrr {
        for word in [answer.ssrc.0, answer.last_rr, answer.delay_since_last_rr] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
    for metrics in metrics {
        write_block_header(block_type::VOIP_METRICS, VOIP_METRICS, out);
        metrics.write(out);
    }
    Ok(())
}

/// `contents` is the length behind the header in bytes: whole words, and by the limits above far below 2^18.
fn write_block_header(block_type: u8, contents: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&[block_type, 0]);
    out.extend_from_slice(&((contents / 4) as u16).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{Compound, CompoundError, RtcpPacket, write_receiver_report};
    use proptest::prelude::*;

    const METRICS: VoipMetrics = VoipMetrics {
        ssrc: Ssrc(0x0a0b_0c0d),
        loss_rate: 5,
        discard_rate: 2,
        burst_density: 128,
        gap_density: 1,
        burst_duration_ms: 300,
        gap_duration_ms: 9_000,
        round_trip_delay_ms: 80,
        end_system_delay_ms: 60,
        signal_level: Some(-19),
        noise_level: Some(-70),
        residual_echo_return_loss: None,
        gmin: 16,
        r_factor: Some(87),
        external_r_factor: None,
        mos_listening_x10: Some(42),
        mos_conversational_x10: None,
        receiver_configuration: 0xb0,
        jitter_buffer_nominal_ms: 40,
        jitter_buffer_maximum_ms: 120,
        jitter_buffer_absolute_maximum_ms: 400,
    };

    /// The packet of RFC 3611, figures 2, 4.4, 4.5 and 4.7, with these values in it.
    #[rustfmt::skip]
    const BYTES: [u8; 76] = [
        0x80, 207, 0, 18, 0, 0, 0, 7,
        4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8,
        5, 0, 0, 3, 0, 0, 0, 9, 0x12, 0x34, 0x56, 0x78, 0, 1, 0, 0,
        7, 0, 0, 8, 0x0a, 0x0b, 0x0c, 0x0d, 5, 2, 128, 1, 0x01, 0x2c, 0x23, 0x28, 0, 80, 0, 60,
        0xed, 0xba, 127, 16, 87, 127, 42, 127, 0xb0, 0, 0, 40, 0, 120, 0x01, 0x90,
        // A block of a type that nobody knows.
        99, 0, 0, 0,
    ];

    /// An extended report may not come first.
    fn compound(packet: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::new();
        write_receiver_report(Ssrc(7), &[], &mut datagram).expect("no blocks");
        datagram.extend_from_slice(packet);
        datagram
    }

    fn check(packet: &[u8], expected: Result<Vec<XrBlock<'_>>, CompoundError>) {
        let datagram = compound(packet);
        let found = Compound::parse(&datagram).map(|compound| match compound.packets().nth(1) {
            Some(RtcpPacket::ExtendedReport(report)) => report.blocks.map(|block| format!("{block:?}")).collect(),
            other => panic!("{other:?}"),
        });
        let expected = expected.map(|blocks| blocks.iter().map(|block| format!("{block:?}")).collect::<Vec<_>>());
        assert_eq!(found, expected);
    }

    #[test]
    fn each_block_is_read_from_its_bytes_and_unknown_ones_are_passed_over() {
        let answers = DlrrSubBlocks { rest: &BYTES[24..36] };
        let blocks = [
            XrBlock::ReceiverReferenceTime(0x0102_0304_0506_0708),
            XrBlock::Dlrr(answers),
            XrBlock::VoipMetrics(METRICS),
        ];
        check(&BYTES, Ok(blocks.to_vec()));
        let answer = Dlrr { ssrc: Ssrc(9), last_rr: 0x1234_5678, delay_since_last_rr: 0x1_0000 };
        assert!(answers.eq([answer]));
        // Two and a half seconds after the middle of the reference time, of which one was the other's.
        assert_eq!(answer.round_trip(0x1236_d678 << 16), Some(Duration::from_millis(1_500)));
        assert_eq!(Dlrr { last_rr: 0, ..answer }.round_trip(0), None);
    }

    #[test]
    fn what_is_written_has_those_bytes() {
        let mut out = Vec::new();
        let answer = Dlrr { ssrc: Ssrc(9), last_rr: 0x1234_5678, delay_since_last_rr: 0x1_0000 };
        write_extended_report(Ssrc(7), Some(0x0102_0304_0506_0708), &[answer], &[METRICS], &mut out)
            .expect("within limits");
        assert_eq!((out.len(), &out[4..], out[3]), (72, &BYTES[4..72], 17));
        let many = vec![answer; 32];
        assert_eq!(write_extended_report(Ssrc(7), None, &many, &[], &mut out), Err(RtcpWriteError::TooMany));
        assert_eq!(out.len(), 72);
    }

    #[test]
    fn a_known_block_of_another_length_is_passed_over() {
        for block in [&[4, 0, 0, 1, 0, 0, 0, 0][..], &[5, 0, 0, 1, 0, 0, 0, 0], &[7, 0, 0, 1, 0, 0, 0, 0]] {
            check(&[&[0x80, 207, 0, 3, 0, 0, 0, 7][..], block].concat(), Ok(Vec::new()));
        }
        // Without blocks there is nothing to be said.
        check(&[0x80, 207, 0, 1, 0, 0, 0, 7], Ok(Vec::new()));
    }

    #[test]
    fn blocks_that_do_not_add_up_end_the_walk_and_leave_the_rest_of_the_datagram() {
        let reference = XrBlock::ReceiverReferenceTime(1);
        let begin = [0x80, 207, 0, 5, 0, 0, 0, 7, 4, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1];
        check(&[&begin[..], &[99, 0, 0, 1]].concat(), Ok(vec![reference]));
        check(&[&begin[..], &[7, 0, 0xff, 0xff]].concat(), Ok(vec![reference]));
        check(&[0x80, 207, 0, 0], Err(CompoundError::Malformed(207)));
    }

    proptest! {
        #[test]
        fn any_metrics_are_read_as_they_were_written(bytes in any::<[u8; VOIP_METRICS]>()) {
            let metrics = VoipMetrics::from_bytes(&bytes);
            let mut out = Vec::new();
            metrics.write(&mut out);
            let again: [u8; VOIP_METRICS] = out[..].try_into().expect("as long as it is");
            prop_assert_eq!(VoipMetrics::from_bytes(&again), metrics);
            // The reserved byte alone is not kept.
            prop_assert!(again.iter().zip(bytes).enumerate().all(|(at, (new, old))| *new == old || at == 25));
        }
    }
}
