//! How a port's peer is heard: its losses as they come, and every five seconds what they make of its sound.

use crate::reception::{Reception, SourceReception};
use crate::seat::PlayedOut;
use crate::sent_reports::SentReports;
use std::time::Duration;
use sx_engine::Time;
use sx_media::{
    LegQuality, MeasuredStream, PeerReport, PortStats, QualitySample, QualitySummary, equipment_impairment,
    voip_metrics,
};
use sx_rtp::{BurstTracker, Burstiness, Compound, ReportBlocks, RtcpPacket, Sequencing, VoipMetrics, XrBlock};
use sx_types::{Codec, PayloadType};

/// The quality of a peer that sends sound.
#[derive(Debug)]
pub(crate) struct Quality {
    leg: LegQuality,
    /// What the peer sends, as far as the descriptions tell.
    codec: Codec,
    /// What the peer has said last to have lost since the report before, in 256ths.
    reported: Option<u8>,
}

impl Quality {
    /// `None` when the codec carries no speech.
    pub(crate) fn new(now: Time, codec: Codec) -> Option<Self> {
        LegQuality::new(now, codec).map(|leg| Self { leg, codec, reported: None })
    }

    /// Another codec was agreed on.
    pub(crate) fn set_codec(&mut self, codec: Codec) {
        if equipment_impairment(codec).is_some() {
            self.codec = codec;
        }
    }

    /// A report of the peer. What is no whole compound packet says nothing.
    pub(crate) fn handle_report(&mut self, now: Time, datagram: &[u8], sent: &SentReports) {
        let Ok(compound) = Compound::parse(datagram) else { return };
        for packet in compound.packets() {
            match packet {
                RtcpPacket::SenderReport(report) => self.handle_blocks(now, report.blocks, sent),
                RtcpPacket::ReceiverReport(report) => self.handle_blocks(now, report.blocks, sent),
                RtcpPacket::ExtendedReport(report) => {
                    for block in report.blocks {
                        if let XrBlock::VoipMetrics(metrics) = block {
                            self.leg.handle_voip_metrics(&metrics);
                        }
                    }
                }
                RtcpPacket::Sdes(_) | RtcpPacket::Bye(_) | RtcpPacket::App(_) => {}
            }
        }
    }

    fn handle_blocks(&mut self, now: Time, mut blocks: ReportBlocks<'_>, sent: &SentReports) {
        // An end of a call hears one stream of ours.
        self.reported = blocks.clone().next().map(|block| block.fraction_lost).or(self.reported);
        if let Some(round_trip) = blocks.find_map(|block| sent.round_trip(now, &block)) {
            self.leg.handle_round_trip(round_trip);
        }
    }

    /// How what the peer sends is played out here, before an interval is over.
    pub(crate) fn handle_played_out(&mut self, PlayedOut { missing, held }: PlayedOut) {
        self.leg.handle_discarded(missing);
        self.leg.handle_held(held);
    }

    /// How the peer's sound was, if an interval is over.
    pub(crate) fn poll(&mut self, now: Time, reception: &mut Reception, last: u8) -> Option<QualitySample> {
        if now < self.leg.poll_timeout() {
            return None;
        }
        self.measure(reception, last);
        self.leg.handle_timeout(now)
    }

    /// How it was since the last interval, now that it ends.
    pub(crate) fn end(&mut self, now: Time, reception: &mut Reception, last: u8) -> Option<QualitySample> {
        self.measure(reception, last);
        self.leg.handle_end(now)
    }

    fn measure(&mut self, reception: &mut Reception, last: u8) {
        let counts = reception.counts();
        self.leg.handle_counts(counts.expected, counts.received, reception.jitter());
        self.leg.handle_bursts(&reception.take_losses());
        // A peer may send any codec that was agreed on. Of one with a fixed number it is known which.
        let fixed = Codec::from_static(PayloadType(last)).filter(|codec| equipment_impairment(*codec).is_some());
        self.leg.handle_codec(fixed.unwrap_or(self.codec));
    }

    /// What the peer has said last of what it receives.
    pub(crate) fn peer_report(&self) -> Option<PeerReport> {
        let metrics = self.leg.peer();
        if self.reported.is_none() && metrics.is_none() {
            return None;
        }
        let permille = |share: f64| (share * 1_000.0).round() as u16;
        let times = |value: Option<f64>, factor: f64| value.map(|value| (value * factor).round() as u16);
        let reported = self.reported.map(|fraction| f64::from(fraction) / 256.0);
        Some(PeerReport {
            loss_permille: reported.or(metrics.map(|metrics| metrics.loss)).map(permille),
            r_x10: metrics.and_then(|metrics| times(metrics.r, 10.0)),
            mos_listening_x100: metrics.and_then(|metrics| times(metrics.mos_listening, 100.0)),
            mos_conversational_x100: metrics.and_then(|metrics| times(metrics.mos_conversational, 100.0)),
        })
    }

    /// What a record says of it.
    pub(crate) fn stats(&self, counted: PortStats) -> PortStats {
        let round_trip_us = self.leg.round_trip().map_or(0, microseconds);
        let counted = PortStats { round_trip_us, ..counted };
        let Some(QualitySummary { loss, r, mos_conversational: mos, .. }) = self.leg.summary() else { return counted };
        let times = |value: f64, factor: f64| (value * factor).round() as u16;
        PortStats {
            mos_min_x100: times(mos.min, 100.0),
            mos_mean_x100: times(mos.mean(), 100.0),
            mos_last_x100: times(mos.last, 100.0),
            r_last_x10: times(r.last, 10.0),
            loss_max_permille: times(loss.max, 1_000.0),
            ..counted
        }
    }
}

/// What the peer is told of the sound that it sends, after an interval.
pub(crate) fn metrics(now: Time, sample: &QualitySample, reception: &Reception) -> Option<VoipMetrics> {
    let SourceReception { ssrc, bursts, loss, packet } = reception.heard(now)?;
    let round_trip = sample.round_trip_ms.map(|ms| Duration::from_secs_f64(ms / 1_000.0));
    let scores = Some([sample.r, sample.mos_listening, sample.mos_conversational]);
    Some(voip_metrics(&MeasuredStream { ssrc, bursts, loss, packet, round_trip, scores }))
}

/// As a record has it; what is longer than 71 minutes is that.
pub(crate) fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// Losses by the numbers of packets as they arrive. A packet that is overtaken counts as lost here, though not in
/// [`Reception::counts`]: how losses cluster matters only where there are some.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    tracker: BurstTracker,
    /// Since the source began.
    whole: BurstTracker,
    /// The number of the latest packet.
    highest: u16,
}

impl Losses {
    pub(crate) fn receive(&mut self, sequencing: Sequencing, sequence: u16) {
        let ahead = sequence.wrapping_sub(self.highest);
        match sequencing {
            Sequencing::Probation | Sequencing::Restarted => self.highest = sequence,
            Sequencing::Valid if (1..1 << 15).contains(&ahead) => {
                for tracker in [&mut self.tracker, &mut self.whole] {
                    tracker.handle_lost(u64::from(ahead) - 1);
                    tracker.handle_received(1);
                }
                self.highest = sequence;
            }
            Sequencing::Valid | Sequencing::Leap => {}
        }
    }

    /// Another source goes on in the interval that this one has begun.
    pub(crate) fn of_another(self) -> Self {
        Self { whole: BurstTracker::default(), ..self }
    }

    /// How losses cluster since the source began.
    pub(crate) fn bursts(&self) -> Burstiness {
        self.whole.burstiness()
    }

    /// What was counted since this was last called.
    pub(crate) fn take(&mut self) -> BurstTracker {
        std::mem::take(&mut self.tracker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RtcpXr;
    use crate::port::{Channel, Port, Verdict};
    use sx_media::{Latch, Remote};
    use sx_rtp::{
        Header, ReportBlock, SenderInfo, Ssrc, VoipMetrics, ntp_from_time, write_extended_report,
        write_receiver_report, write_sender_report,
    };

    const START: Time = Time::from_secs(1_800_000_000);
    const PEER: &str = "192.0.2.1:4000";

    /// A port whose peer sends packets of 10 ms.
    struct Peer {
        port: Port,
        remote: Remote,
        payload_type: u8,
        number: u16,
        samples: Vec<QualitySample>,
    }

    impl Peer {
        fn new(codec: Option<Codec>, payload_type: u8) -> Self {
            let (rtp, mut port) = (PEER.parse().expect("an address"), Port::new());
            let latch = Latch::Exact;
            let remote = Remote { rtp, rtcp: rtp, latch, receives: true, sends: true, wants_metrics: false, codec };
            port.set_remote(START, remote);
            Self { port, remote, payload_type, number: 0, samples: Vec::new() }
        }

        /// So many packets, some of which are lost, and a tick for every ten of them.
        fn send(&mut self, packets: u16, ssrc: u32, is_lost: impl Fn(u16) -> bool) {
            for _ in 0..packets {
                let number = self.number;
                self.number += 1;
                if !is_lost(number) {
                    let (payload_type, timestamp) = (PayloadType(self.payload_type), u32::from(number) * 80);
                    let header = Header { marker: false, payload_type, sequence: number, timestamp, ssrc: Ssrc(ssrc) };
                    let mut packet = Vec::new();
                    header.write(&[0xd5; 80], &mut packet);
                    let from = PEER.parse().expect("an address");
                    assert_eq!(self.port.receive(self.now(), Channel::Rtp, from, &mut packet).0, Verdict::Rtp);
                }
                if self.number.is_multiple_of(10) {
                    let now = self.now();
                    self.samples.extend(self.port.poll_quality(now));
                }
            }
        }

        fn now(&self) -> Time {
            START + Duration::from_millis(10) * u32::from(self.number)
        }
    }

    #[test]
    fn a_peer_that_is_heard_in_full_is_as_good_as_a_telephone_is() {
        let mut peer = Peer::new(Some(Codec::Pcma), 8);
        peer.send(1_500, 7, |_| false);
        let stats = peer.port.stats();
        assert_eq!(peer.samples.len(), 3);
        assert_eq!((stats.mos_min_x100, stats.mos_mean_x100, stats.mos_last_x100), (441, 441, 441));
        assert_eq!((stats.r_last_x10, stats.loss_max_permille, stats.round_trip_us), (932, 0, 0));
    }

    /// R is 93.2 - 95 x 5 / (5 + 25.1), which is 77.4 and a score of 3.92.
    #[test]
    fn five_percent_lost_in_an_interval_are_felt_there() {
        let mut peer = Peer::new(Some(Codec::Pcma), 8);
        peer.send(500, 7, |_| false);
        peer.send(500, 7, |number| number % 20 == 10);
        let stats = peer.port.stats();
        assert_eq!((stats.mos_min_x100, stats.mos_last_x100, stats.r_last_x10), (392, 392, 774));
        assert_eq!((stats.mos_mean_x100, stats.loss_max_permille, stats.packets_lost), (417, 50, 25));
        peer.send(500, 7, |_| false);
        let stats = peer.port.stats();
        assert_eq!((stats.mos_min_x100, stats.mos_last_x100, stats.loss_max_permille), (392, 441, 50));
    }

    #[test]
    fn losses_in_a_row_are_worse_than_those_alone() {
        let mut peer = Peer::new(Some(Codec::Pcma), 8);
        peer.send(500, 7, |_| false);
        peer.send(500, 7, |number| number % 100 < 5);
        let stats = peer.port.stats();
        assert_eq!(stats.loss_max_permille, 50);
        assert!((360..385).contains(&stats.mos_last_x100), "{stats:?}");
        // Of how they clustered before nothing is left.
        peer.send(500, 7, |number| number % 20 == 10);
        assert_eq!(peer.port.stats().mos_last_x100, 392);
    }

    #[test]
    fn a_new_source_loses_nothing_of_what_was_counted() {
        let mut peer = Peer::new(Some(Codec::Pcma), 8);
        peer.send(300, 7, |number| (100..125).contains(&number));
        peer.send(200, 8, |_| false);
        let [sample] = peer.samples[..] else { panic!("{:?}", peer.samples) };
        assert!((0.050..0.051).contains(&sample.loss), "{sample:?}");
    }

    #[test]
    fn what_is_sent_tells_more_of_the_codec_than_what_was_agreed_on() {
        let score = |codec, payload_type| {
            let mut peer = Peer::new(codec, payload_type);
            peer.send(500, 7, |_| false);
            peer.port.stats().mos_last_x100
        };
        // G.729 takes off 11.
        assert_eq!(score(Some(Codec::G729), 97), 410);
        assert_eq!(score(Some(Codec::Pcma), 18), 410);
        assert_eq!(score(Some(Codec::G729), 0), 441);
        assert_eq!(score(None, 8), 0, "no sound");
        assert_eq!(score(Some(Codec::H264), 97), 0);
    }

    #[test]
    fn a_call_that_is_shorter_than_an_interval_has_a_score_and_silence_has_none() {
        let mut peer = Peer::new(Some(Codec::Pcma), 8);
        peer.send(90, 7, |_| false);
        let now = peer.now();
        assert_eq!((peer.port.end_quality(now), peer.port.stats().mos_last_x100), (None, 0));
        peer.send(110, 7, |_| false);
        let now = peer.now();
        assert!(peer.port.end_quality(now).is_some());
        assert_eq!(peer.port.stats().mos_last_x100, 441);
        let mut silent = Peer::new(Some(Codec::Pcma), 8);
        silent.send(500, 7, |_| true);
        assert_eq!((silent.samples.len(), silent.port.stats().mos_last_x100), (0, 0));
    }

    /// The report of another party, which went out to the peer, and what the peer says of it.
    #[test]
    fn the_round_trip_is_that_of_a_report_which_went_by() {
        let mut peer = Peer::new(Some(Codec::Pcma), 8);
        let sent = SentReports::default();
        // That party's clock is off by years.
        let ntp = ntp_from_time(Time::from_secs(7));
        let info = SenderInfo { ntp, rtp_timestamp: 1, packet_count: 2, octet_count: 3 };
        let mut report = Vec::new();
        write_sender_report(Ssrc(9), &info, &[], &mut report).expect("it fits");
        sent.remember(START, &report);
        let block = ReportBlock {
            ssrc: Ssrc(9),
            fraction_lost: 64,
            cumulative_lost: 0,
            highest_sequence: 1,
            jitter: 0,
            last_sr: info.ntp_middle(),
            // Half a second.
            delay_since_last_sr: 32_768,
        };
        let mut answer = Vec::new();
        write_receiver_report(Ssrc(7), &[ReportBlock { last_sr: 5, ..block }, block], &mut answer).expect("it fits");
        let arrives = START + Duration::from_millis(900);
        for length in 0..answer.len() {
            peer.port.handle_report(arrives, &answer[..length], &sent);
        }
        assert_eq!((peer.port.stats().round_trip_us, peer.port.peer_report()), (0, None), "cut short");
        peer.port.handle_report(arrives, &answer, &sent);
        assert_eq!(peer.port.stats().round_trip_us, 400_000);
        // 64 of 256.
        assert_eq!(peer.port.peer_report().and_then(|said| said.loss_permille), Some(250));
        // Half of it, and what playing out takes: some 220 ms from mouth to ear.
        peer.send(500, 7, |_| false);
        assert!((420..440).contains(&peer.port.stats().mos_last_x100), "{:?}", peer.port.stats());
    }

    /// Five packets of a thousand were lost in a row, and one alone.
    #[test]
    fn a_peer_that_wants_to_know_is_told_how_its_sound_is_received() {
        let mut peer = Peer::new(Some(Codec::Pcma), 8);
        peer.send(1_000, 7, |number| (300..305).contains(&number) || number == 600);
        let sample = *peer.samples.last().expect("an interval");
        assert_eq!(peer.port.metrics(peer.now(), &sample, RtcpXr::Negotiated), None, "it has not asked");
        assert_eq!(peer.port.metrics(peer.now(), &sample, RtcpXr::Never), None);
        let told = peer.port.metrics(peer.now(), &sample, RtcpXr::Always).expect("everybody is told");
        assert_eq!((told.ssrc, told.loss_rate, told.burst_density, told.gap_density), (Ssrc(7), 1, 255, 0));
        assert_eq!((told.burst_duration_ms, told.round_trip_delay_ms, told.gmin), (50, 0, 16));
        assert_eq!((told.r_factor, told.mos_listening_x10), (Some(sample.r.round() as u8), Some(44)));
        let rtp = PEER.parse().expect("an address");
        let remote = Remote { wants_metrics: true, ..peer.remote };
        assert_eq!(remote.rtp, rtp);
        peer.port.set_remote(peer.now(), remote);
        assert_eq!(peer.port.metrics(peer.now(), &sample, RtcpXr::Negotiated), Some(told));
        // Another source has lost nothing yet.
        peer.send(500, 8, |_| false);
        let told = peer.port.metrics(peer.now(), &sample, RtcpXr::Negotiated).expect("it wants it");
        assert_eq!((told.ssrc, told.loss_rate, told.burst_duration_ms), (Ssrc(8), 0, 0));
    }

    #[test]
    fn what_a_peer_says_of_the_round_trip_counts_where_nobody_has_measured_it() {
        let metrics = |round_trip_delay_ms| VoipMetrics {
            ssrc: Ssrc(9),
            loss_rate: 0,
            discard_rate: 0,
            burst_density: 0,
            gap_density: 0,
            burst_duration_ms: 0,
            gap_duration_ms: 0,
            round_trip_delay_ms,
            end_system_delay_ms: 40,
            signal_level: None,
            noise_level: None,
            residual_echo_return_loss: None,
            gmin: 16,
            r_factor: Some(80),
            external_r_factor: None,
            mos_listening_x10: Some(40),
            mos_conversational_x10: None,
            receiver_configuration: 0,
            jitter_buffer_nominal_ms: 40,
            jitter_buffer_maximum_ms: 80,
            jitter_buffer_absolute_maximum_ms: 150,
        };
        let (mut peer, sent) = (Peer::new(Some(Codec::Pcma), 8), SentReports::default());
        let mut says = |round_trip_ms| {
            let mut datagram = Vec::new();
            write_receiver_report(Ssrc(7), &[], &mut datagram).expect("it fits");
            let metrics = [metrics(round_trip_ms)];
            write_extended_report(Ssrc(7), None, &[], &metrics, &mut datagram).expect("it fits");
            peer.port.handle_report(START, &datagram, &sent);
            peer.port.stats().round_trip_us
        };
        assert_eq!((says(0), says(60)), (0, 60_000));
        // It says what it hears besides.
        let said = PeerReport { loss_permille: Some(0), r_x10: Some(800), ..PeerReport::default() };
        assert_eq!(peer.port.peer_report(), Some(PeerReport { mos_listening_x100: Some(400), ..said }));
    }
}
