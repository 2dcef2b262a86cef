//! RTCP: compound packets, read and written.

mod compound;
mod sdes;
#[cfg(test)]
mod tests;
mod translation;
mod write;

pub use compound::{
    App, Bye, Compound, CompoundError, Packets, ReceiverReport, ReportBlock, ReportBlocks, RtcpPacket, SenderInfo,
    SenderReport, Ssrcs,
};
pub(crate) use compound::{be16, be32, round_trip_at, split_ssrc};
pub use sdes::{Sdes, SdesItem, SdesItems};
pub use translation::{Translated, translate_rtcp};
pub(crate) use write::write_header;
pub use write::{RtcpWriteError, write_bye, write_receiver_report, write_sdes_cname, write_sender_report};

use sx_engine::Time;

/// Packet types as registered.
pub(crate) mod packet_type {
    pub const SENDER_REPORT: u8 = 200;
    pub const RECEIVER_REPORT: u8 = 201;
    pub const SDES: u8 = 202;
    pub const BYE: u8 = 203;
    pub const APP: u8 = 204;
    //= https://www.rfc-editor.org/rfc/rfc3611#section-2
    pub const EXTENDED_REPORT: u8 = 207;
}

/// The length of a report block in bytes.
pub(crate) const REPORT_BLOCK: usize = 24;
/// The length of a sender's own part of its report in bytes.
pub(crate) const SENDER_INFO: usize = 20;

/// Seconds between the epoch of NTP, 1900, and that of Unix, 1970.
const NTP_UNIX_SECS: u64 = 2_208_988_800;

/// A time as a sender report states it: seconds since 1900 in the upper 32 bits (which wrap in 2036), fractions of
/// 2^-32 s in the lower.
//= https://www.rfc-editor.org/rfc/rfc3550#section-4
pub fn ntp_from_time(time: Time) -> u64 {
    let seconds = time.as_secs().wrapping_add(NTP_UNIX_SECS);
    let nanos = time.as_nanos() % 1_000_000_000;
    (seconds << 32) | ((nanos << 32) / 1_000_000_000)
}
