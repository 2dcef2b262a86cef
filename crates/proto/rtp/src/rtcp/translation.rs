//! RTCP that is passed on to somebody who knows the streams in it by another source, other numbers and other timestamps.
//!
//! Bytes are changed in place and none is added: what is not known stays as it came, and so does all of a datagram that does
//! not add up to its length.

use crate::packet::Ssrc;
use crate::rtcp::{Compound, REPORT_BLOCK, packet_type};
use crate::rtcp_xr::SUB_BLOCK;
use crate::rtcp_xr::block_type::{
    DLRR, DUPLICATE_RLE, LOSS_RLE, PACKET_RECEIPT_TIMES, STATISTICS_SUMMARY, VOIP_METRICS,
};

/// Under what a stream of one side is known on the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translated {
    /// Its source, as it is sent.
    pub from: Ssrc,
    /// Its source, as it is received.
    pub to: Ssrc,
    /// What its sequence numbers are further on there.
    pub sequence: u16,
    /// What its timestamps are further on there.
    pub timestamp: u32,
}

impl Translated {
    /// Is it the same on both sides?
    pub fn is_identity(&self) -> bool {
        self.from == self.to && self.sequence == 0 && self.timestamp == 0
    }
}

/// Has a compound packet speak as its receiver knows the streams. `sent`: the stream of whoever reports. `heard`: the stream that
/// it hears, as it was sent by the receiver. `counts`: packets and bytes of payload that the receiver was sent of the former.
//= https://www.rfc-editor.org/rfc/rfc3550#section-7.2
// A translator that changes sources, sequence numbers or timestamps makes the same changes in reports, and the inverse ones in
// report blocks.
pub fn translate_rtcp(
    datagram: &mut [u8],
    sent: Option<&Translated>,
    heard: Option<&Translated>,
    counts: Option<(u32, u32)>,
) {
    if Compound::parse(datagram).is_err() {
        return;
    }
    let translation = Translation { sent, heard, counts };
    let mut rest = datagram;
    while let Some((packet_type, words)) = header(rest) {
        let Some((packet, behind)) = rest.split_at_mut_checked((words + 1) * 4) else { return };
        translation.packet(packet_type, packet);
        rest = behind;
    }
}

fn header(bytes: &[u8]) -> Option<(u8, usize)> {
    let &[_, packet_type, high, low] = bytes.first_chunk::<4>()?;
    Some((packet_type, usize::from(u16::from_be_bytes([high, low]))))
}

struct Translation<'t> {
    sent: Option<&'t Translated>,
    heard: Option<&'t Translated>,
    counts: Option<(u32, u32)>,
}

/// Feedback about RTP, and about payloads.
//= https://www.rfc-editor.org/rfc/rfc4585#section-6.1
const RTP_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
/// The format of RTP feedback that names lost packets.
const GENERIC_NACK: u8 = 1;

impl Translation<'_> {
    fn packet(&self, packet_type: u8, packet: &mut [u8]) {
        let count = packet[0] & 0x1f;
        match packet_type {
            packet_type::SENDER_REPORT => self.sender_report(packet),
            packet_type::RECEIVER_REPORT => {
                self.source(packet, 4);
                self.blocks(packet, 8);
            }
            packet_type::SDES => self.chunks(packet, count),
            packet_type::BYE => (0..usize::from(count)).for_each(|place| self.source(packet, 4 + place * 4)),
            packet_type::APP => self.source(packet, 4),
            RTP_FEEDBACK | PAYLOAD_FEEDBACK => {
                self.source(packet, 4);
                let is_heard = self.heard_source(packet, 8);
                if is_heard && (packet_type, count) == (RTP_FEEDBACK, GENERIC_NACK) {
                    (12..packet.len()).step_by(4).for_each(|at| self.heard_number(packet, at));
                }
            }
            packet_type::EXTENDED_REPORT => {
                self.source(packet, 4);
                self.extended(packet.get_mut(8..).unwrap_or_default());
            }
            _ => {}
        }
    }

    fn sender_report(&self, packet: &mut [u8]) {
        if let Some(sent) = self.sent.filter(|sent| word(packet, 4) == Some(sent.from.0)) {
            put(packet, 4, sent.to.0);
            if let Some(timestamp) = word(packet, 16) {
                put(packet, 16, timestamp.wrapping_add(sent.timestamp));
            }
            if let Some((packets, octets)) = self.counts {
                put(packet, 20, packets);
                put(packet, 24, octets);
            }
        }
        self.blocks(packet, 28);
    }

    /// The report blocks from a place on. What is behind them, a profile has its own meaning for.
    fn blocks(&self, packet: &mut [u8], begin: usize) {
        for place in 0..usize::from(packet[0] & 0x1f) {
            let at = begin + place * REPORT_BLOCK;
            if at + REPORT_BLOCK <= packet.len() && self.heard_source(packet, at) {
                let behind = self.heard.map_or(0, |heard| i32::from(heard.sequence.cast_signed()));
                // The upper half counts how often numbers have gone round.
                if let Some(highest) = word(packet, at + 8) {
                    put(packet, at + 8, highest.wrapping_sub(behind.cast_unsigned()));
                }
            }
        }
    }

    /// Chunks of items, each padded to whole words by zeros, of which there is one at least.
    //= https://www.rfc-editor.org/rfc/rfc3550#section-6.5
    fn chunks(&self, packet: &mut [u8], count: u8) {
        let mut at = 4;
        for _ in 0..count {
            self.source(packet, at);
            at += 4;
            loop {
                match (packet.get(at), packet.get(at + 1)) {
                    (Some(0), _) => break,
                    (Some(_), Some(length)) => at += 2 + usize::from(*length),
                    _ => return,
                }
            }
            at = (at + 1).next_multiple_of(4);
        }
    }

    /// The blocks of an extended report.
    //= https://www.rfc-editor.org/rfc/rfc3611#section-4
    fn extended(&self, mut rest: &mut [u8]) {
        while let Some(&[block_type, _, high, low]) = rest.first_chunk::<4>() {
            let length = usize::from(u16::from_be_bytes([high, low])) * 4 + 4;
            let Some((block, behind)) = rest.split_at_mut_checked(length) else { return };
            match block_type {
                LOSS_RLE | DUPLICATE_RLE | PACKET_RECEIPT_TIMES | STATISTICS_SUMMARY => self.stretch(block),
                DLRR => (4..block.len()).step_by(SUB_BLOCK).for_each(|at| _ = self.heard_source(block, at)),
                VOIP_METRICS => _ = self.heard_source(block, 4),
                _ => {}
            }
            rest = behind;
        }
    }

    /// A block about the numbers from one to another.
    fn stretch(&self, block: &mut [u8]) {
        if self.heard_source(block, 4) {
            self.heard_number(block, 8);
            self.heard_number(block, 10);
        }
    }

    fn source(&self, packet: &mut [u8], at: usize) {
        if let Some(sent) = self.sent.filter(|sent| word(packet, at) == Some(sent.from.0)) {
            put(packet, at, sent.to.0);
        }
    }

    /// The source of a stream that is heard becomes that under which its sender knows it. False when it is another.
    fn heard_source(&self, packet: &mut [u8], at: usize) -> bool {
        let heard = self.heard.filter(|heard| word(packet, at) == Some(heard.to.0));
        if let Some(heard) = heard {
            put(packet, at, heard.from.0);
        }
        heard.is_some()
    }

    fn heard_number(&self, packet: &mut [u8], at: usize) {
        if let (Some(heard), Some(bytes)) = (self.heard, packet.get_mut(at..at + 2)) {
            let number = u16::from_be_bytes([bytes[0], bytes[1]]).wrapping_sub(heard.sequence);
            bytes.copy_from_slice(&number.to_be_bytes());
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn put(bytes: &mut [u8], at: usize, word: u32) {
    if let Some(bytes) = bytes.get_mut(at..at + 4) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{ReportBlock, RtcpPacket, SenderInfo, write_bye, write_sdes_cname, write_sender_report};
    use crate::rtcp_xr::{Dlrr, XrBlock, write_extended_report};
    use proptest::prelude::*;

    /// What the reporter sends, and what it hears.
    const SENT: Translated = Translated { from: Ssrc(7), to: Ssrc(70), sequence: 100, timestamp: 5_000 };
    const HEARD: Translated = Translated { from: Ssrc(9), to: Ssrc(90), sequence: 0xffff, timestamp: 3 };

    fn block(ssrc: u32, highest_sequence: u32) -> ReportBlock {
        let last_sr = 5;
        ReportBlock {
            ssrc: Ssrc(ssrc),
            fraction_lost: 1,
            cumulative_lost: 2,
            highest_sequence,
            jitter: 4,
            last_sr,
            delay_since_last_sr: 6,
        }
    }

    #[test]
    fn a_report_speaks_of_the_streams_as_its_receiver_knows_them() {
        let info = SenderInfo { ntp: 77, rtp_timestamp: 1_000, packet_count: 3, octet_count: 480 };
        let mut datagram = Vec::new();
        write_sender_report(Ssrc(7), &info, &[block(8, 20), block(90, 0x1_0000)], &mut datagram).expect("it fits");
        write_sdes_cname(Ssrc(7), "somebody", &mut datagram).expect("it fits");
        let answer = Dlrr { ssrc: Ssrc(90), last_rr: 1, delay_since_last_rr: 2 };
        write_extended_report(Ssrc(7), Some(5), &[answer], &[], &mut datagram).expect("it fits");
        write_bye(&[Ssrc(7), Ssrc(8)], None, &mut datagram).expect("it fits");
        let before = datagram.clone();
        translate_rtcp(&mut datagram, Some(&SENT), Some(&HEARD), Some((50, 8_000)));
        assert_eq!(datagram.len(), before.len());
        let packets: Vec<_> = Compound::parse(&datagram).expect("a compound packet").packets().collect();
        let RtcpPacket::SenderReport(report) = packets[0] else { panic!("{packets:?}") };
        let expected = SenderInfo { ntp: 77, rtp_timestamp: 6_000, packet_count: 50, octet_count: 8_000 };
        assert_eq!((report.ssrc, report.info), (Ssrc(70), expected));
        // The one is of somebody else; of the other the numbers are one lower here, so that they are one higher there.
        assert_eq!(report.blocks.collect::<Vec<_>>(), [block(8, 20), block(9, 0x1_0001)]);
        assert!(matches!(packets[1], RtcpPacket::Sdes(names) if names.cname(Ssrc(70)).is_some()));
        let RtcpPacket::ExtendedReport(mut report) = packets[2] else { panic!("{packets:?}") };
        assert_eq!(report.ssrc, Ssrc(70));
        let Some(XrBlock::Dlrr(mut answers)) = report.blocks.nth(1) else { panic!("{report:?}") };
        assert_eq!(answers.next(), Some(Dlrr { ssrc: Ssrc(9), ..answer }));
        assert!(matches!(packets[3], RtcpPacket::Bye(bye) if bye.ssrcs.eq([Ssrc(70), Ssrc(8)])));
        // What is the same on both sides keeps its bytes.
        let mut same = before.clone();
        let identity = |ssrc| Translated { from: ssrc, to: ssrc, sequence: 0, timestamp: 0 };
        translate_rtcp(&mut same, Some(&identity(Ssrc(7))), Some(&identity(Ssrc(90))), None);
        assert_eq!(same, before);
    }

    #[test]
    fn feedback_and_lists_of_losses_name_the_numbers_of_who_has_sent_them() {
        let mut datagram = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
        datagram.extend([0x81, 205, 0, 3, 0, 0, 0, 7, 0, 0, 0, 90, 0, 10, 0, 3]);
        datagram.extend([0x80, 207, 0, 4, 0, 0, 0, 7, 1, 0, 0, 2, 0, 0, 0, 90, 0, 10, 0, 20]);
        let mut expected = vec![0x80, 201, 0, 1, 0, 0, 0, 70];
        expected.extend([0x81, 205, 0, 3, 0, 0, 0, 70, 0, 0, 0, 9, 0, 11, 0, 3]);
        expected.extend([0x80, 207, 0, 4, 0, 0, 0, 70, 1, 0, 0, 2, 0, 0, 0, 9, 0, 11, 0, 21]);
        translate_rtcp(&mut datagram, Some(&SENT), Some(&HEARD), None);
        assert_eq!(datagram, expected);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_was_a_compound_packet_is_one_still(
            start in prop_oneof![Just(vec![]), Just(vec![0x80, 201, 0, 1, 0, 0, 0, 7])],
            packet_type in 200_u8..208,
            first in 0x80_u8..0xa0,
            body in proptest::collection::vec(prop_oneof![Just(0), Just(7), any::<u8>()], 0..80),
        ) {
            let words = (body.len() / 4) as u8;
            let mut datagram = start;
            datagram.extend([first, packet_type, 0, words]);
            datagram.extend(body);
            let was = Compound::parse(&datagram).is_ok();
            translate_rtcp(&mut datagram, Some(&SENT), Some(&HEARD), Some((1, 2)));
            prop_assert_eq!(Compound::parse(&datagram).is_ok(), was);
        }
    }
}
