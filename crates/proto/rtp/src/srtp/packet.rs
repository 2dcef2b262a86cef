//! As much of a packet as can be read while it is enciphered.

use super::SrtpError;
use crate::packet::{Header, Ssrc, is_rtcp};

/// An SRTCP packet's first bytes, which stay in the clear: the first header and the sender's SSRC.
//= https://www.rfc-editor.org/rfc/rfc3711#section-3.4
pub(super) const RTCP_CLEAR: usize = 8;

/// More than fits a datagram is no packet; AES in counter mode may not have more than 2^20 bytes.
pub(super) const PACKET_MAX: usize = u16::MAX as usize;

/// A packet's counter and the sender that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) ssrc: Ssrc,
    /// 48 bits for RTP, rollover counter and sequence number; 31 bits for RTCP.
    pub(super) index: u64,
}

/// What the header of an RTP packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RtpHead {
    pub(super) ssrc: Ssrc,
    pub(super) sequence: u16,
    /// The bytes that stay in the clear: the fixed header, the contributing sources, the header extension.
    pub(super) clear: usize,
}

impl RtpHead {
    //= https://www.rfc-editor.org/rfc/rfc3711#section-3.1
    // The encrypted portion is the payload and its padding, which follow the header extension.
    pub(super) fn read(packet: &[u8]) -> Result<Self, SrtpError> {
        check_length(packet)?;
        let fixed = packet.first_chunk::<{ Header::LEN }>().ok_or(SrtpError::TooShort)?;
        if fixed[0] >> 6 != 2 || is_rtcp(fixed) {
            return Err(SrtpError::NotRtp);
        }
        let mut clear = Header::LEN + usize::from(fixed[0] & 0x0f) * 4;
        if fixed[0] & 0x10 != 0 {
            let extension = packet.get(clear..clear + 4).ok_or(SrtpError::TooShort)?;
            clear += 4 + usize::from(u16::from_be_bytes([extension[2], extension[3]])) * 4;
        }
        if clear > packet.len() {
            return Err(SrtpError::TooShort);
        }
        let ssrc = Ssrc(u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]));
        Ok(Self { ssrc, sequence: u16::from_be_bytes([fixed[2], fixed[3]]), clear })
    }
}

/// The sender of a compound RTCP packet.
pub(super) fn rtcp_sender(packet: &[u8]) -> Result<Ssrc, SrtpError> {
    check_length(packet)?;
    let clear = packet.first_chunk::<RTCP_CLEAR>().ok_or(SrtpError::TooShort)?;
    if !is_rtcp(clear) {
        return Err(SrtpError::NotRtcp);
    }
    Ok(Ssrc(u32::from_be_bytes([clear[4], clear[5], clear[6], clear[7]])))
}

fn check_length(packet: &[u8]) -> Result<(), SrtpError> {
    if packet.len() > PACKET_MAX { Err(SrtpError::TooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Extension, Extras, Header};
    use sx_types::PayloadType;

    #[test]
    fn sources_and_extension_belong_to_the_header() {
        let header =
            Header { marker: true, payload_type: PayloadType(8), sequence: 0xfffe, timestamp: 1, ssrc: Ssrc(0xa1b2) };
        let csrcs = [Ssrc(1), Ssrc(2)];
        let extension = Extension { profile: 0xbede, data: &[7; 8] };
        for (extras, clear) in [
            (Extras::default(), 12),
            (Extras { csrcs: &csrcs, ..Extras::default() }, 20),
            (Extras { extension: Some(extension), ..Extras::default() }, 24),
            (Extras { csrcs: &csrcs, extension: Some(extension), padding: 3 }, 32),
        ] {
            let mut packet = Vec::new();
            header.write_with(&extras, &[0; 20], &mut packet).expect("it fits its fields");
            assert_eq!(RtpHead::read(&packet), Ok(RtpHead { ssrc: header.ssrc, sequence: 0xfffe, clear }));
            assert!(RtpHead::read(&packet[..clear]).is_ok());
            for short in 0..clear {
                assert_eq!(RtpHead::read(&packet[..short]), Err(SrtpError::TooShort));
            }
        }
    }

    #[test]
    fn neither_is_taken_for_the_other() {
        let mut packet = [0; 12];
        for (flags, kind, rtp, rtcp) in [
            (0x80, 0, true, false),
            (0x80, 0x80 | 100, true, false),
            (0x80, 200, false, true),
            (0x40, 0, false, false),
            (0x40, 200, false, false),
            (0x00, 1, false, false),
        ] {
            (packet[0], packet[1]) = (flags, kind);
            assert_eq!(RtpHead::read(&packet).err(), (!rtp).then_some(SrtpError::NotRtp));
            assert_eq!(rtcp_sender(&packet).err(), (!rtcp).then_some(SrtpError::NotRtcp));
        }
        assert_eq!(rtcp_sender(&[0x80, 200, 0, 1, 0, 0, 0]), Err(SrtpError::TooShort));
        assert_eq!(RtpHead::read(&[0x80; PACKET_MAX + 1]), Err(SrtpError::TooLong));
    }
}
