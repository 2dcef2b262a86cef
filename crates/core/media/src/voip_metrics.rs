//! How a stream of speech is received, as whoever sends it is told: the VoIP metrics of RFC 3611, section 4.7.

use std::time::Duration;
use sx_rtp::{Burstiness, GMIN, Ssrc, VoipMetrics};

/// What is known of a stream that is received.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasuredStream {
    /// Its source.
    pub ssrc: Ssrc,
    /// How losses cluster since it began.
    pub bursts: Burstiness,
    /// The share of packets that was lost on the way since it began, 0 to 1.
    pub loss: f64,
    /// What a packet holds.
    pub packet: Duration,
    /// The round trip; `None`: nobody knows.
    pub round_trip: Option<Duration>,
    /// The R factor of conversing, and the mean opinion scores of listening and of conversing; `None` when none was measured.
    pub scores: Option<[f64; 3]>,
}

/// What plays the stream out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Playout {
    /// Packets that came in.
    pub received: u64,
    /// Those of them that were thrown away because they came too late or too early.
    pub discarded: u64,
    /// Those that came twice.
    pub duplicates: u64,
    /// What the jitter buffer holds, and the most that it may.
    pub delay: Duration,
    /// See `delay`.
    pub delay_max: Duration,
}

impl Playout {
    /// Metrics of a stream that is played out so.
    pub fn tell(&self, metrics: VoipMetrics) -> VoipMetrics {
        let held = millis(self.delay);
        let held_max = millis(self.delay_max).max(held);
        VoipMetrics {
            discard_rate: share(self.discarded as f64 / self.received.max(1) as f64),
            end_system_delay_ms: metrics.end_system_delay_ms.saturating_add(held),
            receiver_configuration: metrics.receiver_configuration | ADAPTS,
            jitter_buffer_nominal_ms: held,
            jitter_buffer_maximum_ms: held_max,
            jitter_buffer_absolute_maximum_ms: held_max,
            ..metrics
        }
    }
}

/// The bits for standard concealment of losses, and for a jitter buffer that adapts itself.
//= https://www.rfc-editor.org/rfc/rfc3611#section-4.7.6
const CONCEALS: u8 = 0b1100_0000;
const ADAPTS: u8 = 0b0011_0000;

/// The block about a stream that is decoded here, packets as they come.
//= https://www.rfc-editor.org/rfc/rfc3611#section-4.7
pub fn voip_metrics(stream: &MeasuredStream) -> VoipMetrics {
    let packets = |packets: f64| millis(stream.packet.mul_f64(packets.clamp(0.0, LONGEST_PACKETS)));
    let [r, listening, conversational] = match stream.scores {
        Some([r, listening, conversational]) => {
            [(r, 100), (listening * 10.0, 50), (conversational * 10.0, 50)].map(|(value, max)| Some(whole(value, max)))
        }
        None => [None; 3],
    };
    VoipMetrics {
        ssrc: stream.ssrc,
        loss_rate: share(stream.loss),
        discard_rate: 0,
        burst_density: share(stream.bursts.burst_density),
        gap_density: share(stream.bursts.gap_density),
        burst_duration_ms: packets(stream.bursts.burst_packets),
        gap_duration_ms: packets(stream.bursts.gap_packets),
        round_trip_delay_ms: stream.round_trip.map_or(0, millis),
        end_system_delay_ms: millis(stream.packet),
        // Levels of sound are not measured.
        signal_level: None,
        noise_level: None,
        residual_echo_return_loss: None,
        gmin: GMIN,
        r_factor: r,
        external_r_factor: None,
        mos_listening_x10: listening,
        mos_conversational_x10: conversational,
        receiver_configuration: CONCEALS,
        jitter_buffer_nominal_ms: 0,
        jitter_buffer_maximum_ms: 0,
        jitter_buffer_absolute_maximum_ms: 0,
    }
}

/// In 256ths, of which there are never all: what is written has a byte.
//= https://www.rfc-editor.org/rfc/rfc3611#section-4.7.1
// The loss rate is the fraction of packets, multiplied by 256, with the maximum of 255 enforced.
fn share(share: f64) -> u8 {
    (share * 256.0).clamp(0.0, 255.0) as u8
}

fn whole(value: f64, max: u8) -> u8 {
    value.round().clamp(0.0, f64::from(max)) as u8
}

fn millis(duration: Duration) -> u16 {
    u16::try_from(duration.as_millis()).unwrap_or(u16::MAX)
}

/// More packets in a row than this last longer than can be said.
const LONGEST_PACKETS: f64 = 65_536.0;

#[cfg(test)]
mod tests {
    use super::*;
    use sx_rtp::{BurstTracker, write_extended_report};

    fn measured() -> MeasuredStream {
        let mut bursts = BurstTracker::default();
        bursts.handle_received(200);
        bursts.handle_lost(4);
        bursts.handle_received(4);
        bursts.handle_lost(2);
        bursts.handle_received(90);
        MeasuredStream {
            ssrc: Ssrc(7),
            bursts: bursts.burstiness(),
            loss: 6.0 / 300.0,
            packet: Duration::from_millis(20),
            round_trip: Some(Duration::from_millis(81)),
            scores: Some([77.4, 3.96, 3.92]),
        }
    }

    /// As tshark decodes it: fraction lost 5 of 256, burst density 153, 200 ms of burst, gaps of 2,900 ms.
    #[test]
    fn a_stream_is_told_in_the_units_of_the_report() {
        let (delay, delay_max) = (Duration::from_millis(40), Duration::from_millis(150));
        let playout = Playout { received: 300, discarded: 150, duplicates: 3, delay, delay_max };
        let mut out = Vec::new();
        write_extended_report(Ssrc(9), None, &[], &[playout.tell(voip_metrics(&measured()))], &mut out)
            .expect("it fits");
        #[rustfmt::skip]
        let expected = [
            0x80, 207, 0, 10, 0, 0, 0, 9,
            7, 0, 0, 8, 0, 0, 0, 7, 5, 128, 153, 0, 0, 200, 0x0b, 0x54, 0, 81, 0, 60,
            127, 127, 127, 16, 77, 127, 40, 39, 0xf0, 0, 0, 40, 0, 150, 0, 150,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let nothing = MeasuredStream {
            bursts: BurstTracker::default().burstiness(),
            loss: 1.0,
            round_trip: None,
            scores: None,
            ..measured()
        };
        let said = voip_metrics(&nothing);
        assert_eq!(
            (said.loss_rate, said.r_factor, said.mos_listening_x10, said.mos_conversational_x10),
            (255, None, None, None)
        );
        assert_eq!((said.round_trip_delay_ms, said.burst_duration_ms, said.jitter_buffer_nominal_ms), (0, 0, 0));
        assert_eq!((said.receiver_configuration, said.end_system_delay_ms), (0xc0, 20));
        let long = MeasuredStream { round_trip: Some(Duration::from_secs(100)), ..measured() };
        assert_eq!(voip_metrics(&long).round_trip_delay_ms, u16::MAX);
    }
}
