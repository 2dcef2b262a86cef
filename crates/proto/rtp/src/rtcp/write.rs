//! Writing RTCP packets. A compound packet is written one packet after the other: a report first, then the rest.

use super::{REPORT_BLOCK, ReportBlock, SENDER_INFO, SdesItem, SenderInfo, packet_type};
use crate::packet::Ssrc;
use thiserror::Error;

/// More blocks or sources than this do not fit the five-bit count.
const COUNT_MAX: usize = 31;
/// More text than this does not fit the length byte.
const TEXT_MAX: usize = 255;

/// Why an RTCP packet could not be written. All of it is the caller's fault; nothing has been appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RtcpWriteError {
    /// More than 31 report blocks or sources; the rest belongs into another packet.
    #[error("more than 31 report blocks or sources")]
    TooMany,
    /// A text of more than 255 bytes.
    #[error("text longer than 255 bytes")]
    TextTooLong,
}

/// Appends a sender report with at most 31 blocks.
//= https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1
pub fn write_sender_report(
    ssrc: Ssrc,
    info: &SenderInfo,
    blocks: &[ReportBlock],
    out: &mut Vec<u8>,
) -> Result<(), RtcpWriteError> {
    let count = checked_count(blocks.len())?;
    write_header(packet_type::SENDER_REPORT, count, 4 + SENDER_INFO + blocks.len() * REPORT_BLOCK, out);
    out.extend_from_slice(&ssrc.0.to_be_bytes());
    out.extend_from_slice(&info.ntp.to_be_bytes());
    out.extend_from_slice(&info.rtp_timestamp.to_be_bytes());
    out.extend_from_slice(&info.packet_count.to_be_bytes());
    out.extend_from_slice(&info.octet_count.to_be_bytes());
    blocks.iter().for_each(|block| write_block(block, out));
    Ok(())
}

/// Appends a receiver report with at most 31 blocks; with none, it says only that somebody is there.
//= https://www.rfc-editor.org/rfc/rfc3550#section-6.4.2
pub fn write_receiver_report(ssrc: Ssrc, blocks: &[ReportBlock], out: &mut Vec<u8>) -> Result<(), RtcpWriteError> {
    let count = checked_count(blocks.len())?;
    write_header(packet_type::RECEIVER_REPORT, count, 4 + blocks.len() * REPORT_BLOCK, out);
    out.extend_from_slice(&ssrc.0.to_be_bytes());
    blocks.iter().for_each(|block| write_block(block, out));
    Ok(())
}

/// Appends a source description that gives one canonical name of at most 255 bytes.
//= https://www.rfc-editor.org/rfc/rfc3550#section-6.5.1
// Each compound packet carries the CNAME, which stays the same when the SSRC changes.
pub fn write_sdes_cname(ssrc: Ssrc, cname: &str, out: &mut Vec<u8>) -> Result<(), RtcpWriteError> {
    let len = checked_text(cname)?;
    // At least one null ends the items; more fill up the word.
    let items = (2 + cname.len() + 1).next_multiple_of(4);
    write_header(packet_type::SDES, 1, 4 + items, out);
    out.extend_from_slice(&ssrc.0.to_be_bytes());
    let end = out.len() + items;
    out.extend_from_slice(&[SdesItem::CNAME, len]);
    out.extend_from_slice(cname.as_bytes());
    out.resize(end, 0);
    Ok(())
}

/// Appends a BYE for at most 31 sources, with a reason of at most 255 bytes.
//= https://www.rfc-editor.org/rfc/rfc3550#section-6.6
pub fn write_bye(ssrcs: &[Ssrc], reason: Option<&str>, out: &mut Vec<u8>) -> Result<(), RtcpWriteError> {
    let count = checked_count(ssrcs.len())?;
    let len = reason.map(checked_text).transpose()?;
    let text = reason.map_or(0, |reason| (1 + reason.len()).next_multiple_of(4));
    write_header(packet_type::BYE, count, ssrcs.len() * 4 + text, out);
    for ssrc in ssrcs {
        out.extend_from_slice(&ssrc.0.to_be_bytes());
    }
    let end = out.len() + text;
    out.extend(len);
    out.extend_from_slice(reason.unwrap_or_default().as_bytes());
    out.resize(end, 0);
    Ok(())
}

fn checked_count(count: usize) -> Result<u8, RtcpWriteError> {
    if count > COUNT_MAX { Err(RtcpWriteError::TooMany) } else { Ok(count as u8) }
}

fn checked_text(text: &str) -> Result<u8, RtcpWriteError> {
    if text.len() > TEXT_MAX { Err(RtcpWriteError::TextTooLong) } else { Ok(text.len() as u8) }
}

/// `body` is the length after the header in bytes: whole words, and by the limits above far below 2^18.
pub(crate) fn write_header(packet_type: u8, count: u8, body: usize, out: &mut Vec<u8>) {
    let words = (body / 4) as u16;
    out.extend_from_slice(&[0x80 | count, packet_type]);
    out.extend_from_slice(&words.to_be_bytes());
}

fn write_block(block: &ReportBlock, out: &mut Vec<u8>) {
    let lost = u32::from(block.fraction_lost) << 24 | block.cumulative_lost.cast_unsigned() & 0xff_ffff;
    for word in [block.ssrc.0, lost, block.highest_sequence, block.jitter, block.last_sr, block.delay_since_last_sr] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}
