//! The sender reports that have gone to a peer, so that its answers tell the round trip.
//!
//! A relay has no reports of its own: what it sends to a peer are those of the other party, whose clock is not ours. A peer's
//! report names the last one that it has heard by the NTP time in it. When that one left from here is known here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sx_engine::Time;
use sx_rtp::{Compound, ReportBlock, RtcpPacket};

/// The last reports to a peer, the latest first. Written wherever packets for it are sent, at some a minute.
#[derive(Debug, Default)]
pub(crate) struct SentReports(Mutex<[Option<SentReport>; KEPT]>);

#[derive(Clone, Copy, Debug)]
struct SentReport {
    /// The middle 32 bits of the NTP time in it.
    named: u32,
    at: Time,
}

/// Nothing takes longer on its way that anybody talks over: a peer has said what is not so, or has answered what is long past.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// A peer may answer the one before, while the latest is on its way.
const KEPT: usize = 2;

impl SentReports {
    /// A datagram of RTCP, in the clear, is being sent. One that has no sender report changes nothing.
    pub(crate) fn remember(&self, now: Time, datagram: &[u8]) {
        let Ok(compound) = Compound::parse(datagram) else { return };
        let report = compound.packets().find_map(|packet| match packet {
            RtcpPacket::SenderReport(report) => Some(report),
            _ => None,
        });
        if let Some(report) = report {
            let mut kept = self.lock();
            kept.rotate_right(1);
            kept[0] = Some(SentReport { named: report.info.ntp_middle(), at: now });
        }
    }

    /// The round trip, when a block of the peer arrives now. `None` when it names no report that is kept, or says that it held
    /// it for longer than it was away.
    //= https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1
    // The delay is the arrival time less the time of the report less DLSR, which is in 65,536ths of a second.
    pub(crate) fn round_trip(&self, now: Time, block: &ReportBlock) -> Option<Duration> {
        if block.last_sr == 0 {
            return None;
        }
        let sent = self.lock().into_iter().flatten().find(|sent| sent.named == block.last_sr)?;
        let held = Duration::from_nanos(u64::from(block.delay_since_last_sr) * 1_000_000_000 / 65_536);
        now.since(sent.at).checked_sub(held).filter(|round_trip| *round_trip <= ROUND_TRIP_MAX)
    }

    fn lock(&self) -> MutexGuard<'_, [Option<SentReport>; KEPT]> {
        // The reports are whole between any two statements, whoever panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_rtp::{SenderInfo, Ssrc, write_sender_report};

    const START: Time = Time::from_secs(1_800_000_000);

    /// A report of a party whose clock says what it likes.
    fn report(ntp: u64) -> Vec<u8> {
        let mut datagram = Vec::new();
        let info = SenderInfo { ntp, rtp_timestamp: 1, packet_count: 2, octet_count: 3 };
        write_sender_report(Ssrc(7), &info, &[], &mut datagram).expect("it fits");
        datagram
    }

    /// An answer that names a report, which was held for so long.
    fn answer(last_sr: u32, held_ms: u32) -> ReportBlock {
        ReportBlock {
            ssrc: Ssrc(7),
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_sequence: 9,
            jitter: 0,
            last_sr,
            delay_since_last_sr: held_ms * 65_536 / 1_000,
        }
    }

    #[test]
    fn an_answer_tells_how_long_its_report_was_away() {
        let sent = SentReports::default();
        let after = |ms| START + Duration::from_millis(ms);
        let round_trip = |ms, block| sent.round_trip(after(ms), &block).map(|found| found.as_millis());
        assert_eq!(round_trip(0, answer(0, 0)), None);
        sent.remember(after(0), &report(0x1111_2222_3333_4444));
        sent.remember(after(5_000), &report(0x1111_2227_3333_4444));
        // The one before, the latest, one of nobody's, and one that came back before it left.
        assert_eq!(round_trip(5_080, answer(0x2222_3333, 5_000)), Some(80));
        assert_eq!(round_trip(6_120, answer(0x2227_3333, 1_000)), Some(120));
        assert_eq!(round_trip(6_120, answer(0x2228_3333, 1_000)), None);
        assert_eq!(round_trip(6_120, answer(0x2227_3333, 2_000)), None);
        assert_eq!(round_trip(6_120, answer(0, 1_000)), None);
        // What is no report is passed over, and a third displaces the first.
        sent.remember(after(7_000), &report(1)[..20]);
        sent.remember(after(7_000), &[0x80, 201, 0, 1, 0, 0, 0, 4]);
        assert_eq!(round_trip(7_000, answer(0x2222_3333, 0)), Some(7_000));
        sent.remember(after(7_000), &report(0x1111_2229_3333_4444));
        assert_eq!(round_trip(7_000, answer(0x2222_3333, 0)), None);
    }

    #[test]
    fn what_cannot_be_a_round_trip_is_none() {
        let sent = SentReports::default();
        sent.remember(START, &report(0x0000_0001_0000_0000));
        let away = |seconds| sent.round_trip(START + Duration::from_secs(seconds), &answer(0x0001_0000, 0));
        assert_eq!((away(10), away(11)), (Some(ROUND_TRIP_MAX), None));
    }
}
