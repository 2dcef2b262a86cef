//! What both ends hear of a stream that is coded anew: reports of ours in the place of theirs, whose sources and counts
//! are about packets that the other end has never seen.
//!
//! Towards each end the exchange is a party of its own: it reports what it sends there, under the source of its packets, and
//! what it has received from there. What an end reports is used here and goes no further.
//!
//! RFC 3550, section 7.2: a translator that codes anew may not pass sender reports on as they are, and changes the counts of receiver reports.

use crate::sending::{Sent, ticks};
use std::time::Duration;
use sx_engine::{Rng, Time};
use sx_rtp::{
    ReportBlock, SenderInfo, Ssrc, ntp_from_time, write_receiver_report, write_sdes_cname, write_sender_report,
};

/// When an end is told what, in packets for it.
#[derive(Debug)]
pub struct Reporter {
    ssrc: Ssrc,
    cname: String,
    next: Time,
    rng: Rng,
    /// How much had been sent at the last report.
    packets: u32,
}

impl Reporter {
    /// Reports by the source `ssrc`, whose canonical name tells nothing of the machine.
    //= https://www.rfc-editor.org/rfc/rfc7022#section-4.2
    // A name for one session is made of random bits.
    pub fn new(now: Time, ssrc: Ssrc, rng: &mut Rng) -> Self {
        let cname = format!("{:016x}", rng.u64());
        let mut reporter = Self { ssrc, cname, next: now, rng: rng.fork(), packets: 0 };
        reporter.next = now + reporter.interval() / 2;
        reporter
    }

    /// Is a report due?
    pub fn is_due(&self, now: Time) -> bool {
        now >= self.next
    }

    /// Appends a report: what was sent to the end, unless that is nothing since the last, and what was received from it.
    //= https://www.rfc-editor.org/rfc/rfc3550#section-6.4
    // A party that has sent since its last reports but one sends sender reports, else receiver reports.
    pub fn write(&mut self, now: Time, sent: Option<&Sent>, about: Option<ReportBlock>, out: &mut Vec<u8>) {
        self.next = now + self.interval();
        let blocks = about.as_slice();
        // The stream may have begun in the name of another source, which it keeps.
        let ssrc = sent.map_or(self.ssrc, |sent| sent.ssrc);
        let news = sent.filter(|sent| sent.packets != self.packets);
        let written = match news {
            Some(sent) => {
                self.packets = sent.packets;
                write_sender_report(ssrc, &info(now, sent), blocks, out)
            }
            None => write_receiver_report(ssrc, blocks, out),
        };
        debug_assert!(written.is_ok(), "one block fits");
        let name = write_sdes_cname(ssrc, &self.cname, out);
        debug_assert!(name.is_ok(), "so does a name of 16 letters");
    }

    /// Five seconds, and not in step with others.
    //= https://www.rfc-editor.org/rfc/rfc3550#section-6.2
    // The interval is varied between half and one and a half of what is calculated.
    fn interval(&mut self) -> Duration {
        Duration::from_millis(2_500 + self.rng.below(5_000))
    }
}

fn info(now: Time, sent: &Sent) -> SenderInfo {
    SenderInfo {
        ntp: ntp_from_time(now),
        rtp_timestamp: sent.timestamp.wrapping_add(ticks(now, sent.at, sent.clock_hz) as u32),
        packet_count: sent.packets,
        octet_count: sent.octets,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_rtp::{Compound, RtcpPacket};

    const START: Time = Time::from_secs(1_700_000_000);

    #[test]
    fn who_sends_reports_what_it_sent_and_who_does_not_what_it_heard() {
        let mut reporter = Reporter::new(START, Ssrc(7), &mut Rng::from_number(1));
        assert!(!reporter.is_due(START) && reporter.is_due(START + Duration::from_secs(4)));
        let sent =
            Sent { ssrc: Ssrc(7), packets: 3, octets: 480, timestamp: 1_000, at: START, clock_hz: 8_000, sequence: 3 };
        let about = ReportBlock {
            ssrc: Ssrc(9),
            fraction_lost: 1,
            cumulative_lost: 2,
            highest_sequence: 3,
            jitter: 4,
            last_sr: 5,
            delay_since_last_sr: 6,
        };
        let now = START + Duration::from_millis(500);
        let mut datagram = Vec::new();
        reporter.write(now, Some(&sent), Some(about), &mut datagram);
        let packets: Vec<_> = Compound::parse(&datagram).expect("a compound packet").packets().collect();
        let RtcpPacket::SenderReport(report) = packets[0] else { panic!("{packets:?}") };
        let SenderInfo { rtp_timestamp, packet_count, octet_count, .. } = report.info;
        assert_eq!((rtp_timestamp, packet_count, octet_count, report.ssrc), (5_000, 3, 480, Ssrc(7)));
        assert_eq!(report.blocks.collect::<Vec<_>>(), [about]);
        assert!(matches!(packets[1], RtcpPacket::Sdes(names) if names.cname(Ssrc(7)).is_some()));

        datagram.clear();
        reporter.write(now, Some(&sent), None, &mut datagram);
        let packets: Vec<_> = Compound::parse(&datagram).expect("a compound packet").packets().collect();
        assert!(matches!(packets[0], RtcpPacket::ReceiverReport(report) if report.blocks.count() == 0));
    }
}
