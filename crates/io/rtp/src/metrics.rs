//! What the peer of a port is to be told of the sound that it sends: measured by the port's own thread, sent by whoever reports.

use std::sync::{Mutex, MutexGuard, PoisonError};
use sx_media::Playout;
use sx_rtp::{Compound, RtcpPacket, Ssrc, VoipMetrics, write_extended_report};

/// The latest metrics, until they are sent. Locked some times a minute.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Option<VoipMetrics>>);

impl Metrics {
    /// An interval is over.
    pub(crate) fn set(&self, metrics: VoipMetrics) {
        *self.lock() = Some(metrics);
    }

    /// Appends them to a report, if there are any that were not sent yet. `playout`: what plays the sound out.
    pub(crate) fn append(&self, playout: Option<Playout>, report: &mut Vec<u8>) {
        let Some(metrics) = self.lock().take() else { return };
        let metrics = playout.map_or(metrics, |playout| playout.tell(metrics));
        if let Some(ssrc) = reporter(report) {
            // One block is within the limits.
            let written = write_extended_report(ssrc, None, &[], &[metrics], report);
            debug_assert!(written.is_ok(), "one block fits");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<VoipMetrics>> {
        // The metrics are whole between any two statements, whoever panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In whose name a report is.
fn reporter(report: &[u8]) -> Option<Ssrc> {
    Compound::parse(report).ok()?.packets().find_map(|packet| match packet {
        RtcpPacket::SenderReport(report) => Some(report.ssrc),
        RtcpPacket::ReceiverReport(report) => Some(report.ssrc),
        _ => None,
    })
}
