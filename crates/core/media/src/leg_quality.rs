//! How a leg's call is, every five seconds and in the end.
//!
//! What is received from the leg is measured: loss, jitter and, with the round trip, the R factor and the scores of the
//! [E-model](crate::r_factor). What the leg itself reports of what it receives (RFC 3611) is passed on beside that.
//!
//! ```
//! use std::time::Duration;
//! use sx_engine::Time;
//! use sx_media::LegQuality;
//! use sx_rtp::Reception;
//! use sx_types::Codec;
//!
//! let (mut reception, start) = (Reception::new(8_000), Time::from_secs(1_800_000_000));
//! let mut quality = LegQuality::new(start, Codec::Pcma).ok_or("it carries speech")?;
//! for number in 0..250_u16 {
//!     let now = start + Duration::from_millis(20) * u32::from(number);
//!     reception.handle_packet(now, number, u32::from(number) * 160);
//! }
//! quality.handle_reception(&reception);
//! let sample = quality.handle_timeout(start + LegQuality::INTERVAL).ok_or("five seconds are over")?;
//! assert!(sample.loss == 0.0 && sample.r == 93.2 && (4.40..4.42).contains(&sample.mos_listening));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::quality::{EquipmentImpairment, PacketLoss, equipment_impairment, mean_opinion_score, r_factor};
use std::time::Duration;
use sx_engine::Time;
use sx_rtp::{BurstTracker, Reception, VoipMetrics};
use sx_types::Codec;

/// What a packet holds.
const PACKET: Duration = Duration::from_millis(20);

/// An interval that is cut short says something from here on.
const SHORTEST: Duration = Duration::from_secs(1);

/// Sums up what is known of a leg. Times are those of whoever drives it.
#[derive(Clone, Debug)]
pub struct LegQuality {
    equipment: EquipmentImpairment,
    due: Time,
    counted: Counted,
    /// What had been counted when the interval began.
    before: Counted,
    jitter: Duration,
    burst_ratio: f64,
    round_trip: Option<Duration>,
    /// What the jitter buffer holds, when somebody knows.
    held: Option<Duration>,
    peer: Option<PeerQuality>,
    summary: Option<QualitySummary>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    expected: u64,
    received: u64,
    discarded: u64,
}

/// How a leg was over an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualitySample {
    /// The end of the interval.
    pub at: Time,
    /// The share of packets that were lost or came too late, 0 to 1.
    pub loss: f64,
    /// Interarrival jitter (RFC 3550) in milliseconds.
    pub jitter_ms: f64,
    /// The round trip to the leg and back, in milliseconds; `None` when nobody has said it yet.
    pub round_trip_ms: Option<f64>,
    /// What the jitter buffer held at its end, in milliseconds; `None` where packets are passed on as they come.
    pub held_ms: Option<f64>,
    /// The R factor of conversing, 0 to 93.2.
    pub r: f64,
    /// The mean opinion score of listening, 1 to 4.5: without delay.
    pub mos_listening: f64,
    /// That of conversing.
    pub mos_conversational: f64,
    /// What the leg says of what it receives of us.
    pub peer: Option<PeerQuality>,
}

/// What a leg says of what it receives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerQuality {
    /// The share of packets that were lost or came too late, 0 to 1.
    pub loss: f64,
    /// The R factor, 0 to 100.
    pub r: Option<f64>,
    /// The mean opinion score of listening, 1 to 5.
    pub mos_listening: Option<f64>,
    /// That of conversing.
    pub mos_conversational: Option<f64>,
}

/// A value over all intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The latest.
    pub last: f64,
    sum: f64,
    count: u32,
}

/// How a leg was over all intervals in which packets came or should have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QualitySummary {
    /// As in [`QualitySample`].
    pub loss: Spread,
    /// Likewise.
    pub jitter_ms: Spread,
    /// Likewise; `None` when nobody has said it.
    pub round_trip_ms: Option<Spread>,
    /// Likewise.
    pub r: Spread,
    /// Likewise.
    pub mos_listening: Spread,
    /// Likewise.
    pub mos_conversational: Spread,
}

impl LegQuality {
    /// How long an interval is.
    pub const INTERVAL: Duration = Duration::from_secs(5);

    /// A leg that sends with this codec from now on; `None` when the codec carries no speech.
    pub fn new(now: Time, codec: Codec) -> Option<Self> {
        Some(Self {
            equipment: equipment_impairment(codec)?,
            due: now + Self::INTERVAL,
            counted: Counted::default(),
            before: Counted::default(),
            jitter: Duration::ZERO,
            burst_ratio: 1.0,
            round_trip: None,
            held: None,
            peer: None,
            summary: None,
        })
    }

    /// The leg sends with another codec; what carries no speech changes nothing.
    pub fn handle_codec(&mut self, codec: Codec) {
        self.equipment = equipment_impairment(codec).unwrap_or(self.equipment);
    }

    /// What was received from the leg so far.
    pub fn handle_reception(&mut self, reception: &Reception) {
        self.handle_counts(reception.expected(), reception.received(), reception.jitter());
    }

    /// Likewise: the packets that the leg has sent by their numbers, those that were received, and their jitter.
    pub fn handle_counts(&mut self, expected: u64, received: u64, jitter: Duration) {
        let counted = Counted { expected, received, ..self.counted };
        if counted.expected < self.counted.expected {
            // The source has restarted and is counted anew: what it had before stays in this interval no longer.
            self.before = Counted { discarded: self.before.discarded, ..Counted::default() };
        }
        self.counted = counted;
        self.jitter = jitter;
    }

    /// Packets that were not played out, of all that were received so far: they came too late, or twice.
    pub fn handle_discarded(&mut self, packets: u64) {
        self.counted.discarded = packets;
        self.before.discarded = self.before.discarded.min(packets);
    }

    /// How losses cluster, since whenever the tracker was new: over the whole call, or the interval alone.
    pub fn handle_bursts(&mut self, bursts: &BurstTracker) {
        self.burst_ratio = bursts.burstiness().burst_ratio;
    }

    /// The round trip to the leg and back, measured by whoever sends it the reports of others.
    pub fn handle_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = Some(round_trip);
    }

    /// What the leg says of what it receives of us.
    pub fn handle_voip_metrics(&mut self, metrics: &VoipMetrics) {
        let tenths = |score: Option<u8>| score.map(|score| f64::from(score) / 10.0);
        let lost = u16::from(metrics.loss_rate) + u16::from(metrics.discard_rate);
        self.peer = Some(PeerQuality {
            loss: (f64::from(lost) / 256.0).min(1.0),
            r: metrics.r_factor.map(f64::from),
            mos_listening: tenths(metrics.mos_listening_x10),
            mos_conversational: tenths(metrics.mos_conversational_x10),
        });
        // A report block is exact to the microsecond, this to the millisecond, and 0 when it is not known.
        let said = Duration::from_millis(metrics.round_trip_delay_ms.into());
        self.round_trip = self.round_trip.or(Some(said).filter(|said| !said.is_zero()));
    }

    /// What the jitter buffer holds. As long as nobody knows (`None`), it is taken for twice the jitter, which one that adapts
    /// itself holds about.
    pub fn handle_held(&mut self, held: Option<Duration>) {
        self.held = held;
    }

    /// When the interval ends.
    pub fn poll_timeout(&self) -> Time {
        self.due
    }

    /// How the leg was, when the interval is over; `None` also when nothing should have come in it, as on hold.
    pub fn handle_timeout(&mut self, now: Time) -> Option<QualitySample> {
        if now < self.due {
            return None;
        }
        self.end_interval(now)
    }

    /// The leg is gone: how it was since the last interval, if that has lasted a second. A call may be shorter than an interval.
    pub fn handle_end(&mut self, now: Time) -> Option<QualitySample> {
        let begun = self.due - Self::INTERVAL;
        if now.since(begun) < SHORTEST { None } else { self.end_interval(now) }
    }

    fn end_interval(&mut self, now: Time) -> Option<QualitySample> {
        // Intervals that were slept through are one.
        self.due = now + Self::INTERVAL;
        let (now_counted, before) = (self.counted, std::mem::replace(&mut self.before, self.counted));
        let expected = now_counted.expected.saturating_sub(before.expected);
        if expected == 0 {
            return None;
        }
        let received = now_counted.received.saturating_sub(before.received);
        let discarded = now_counted.discarded.saturating_sub(before.discarded);
        // One that came twice was received twice, and is among those that were not played out.
        let missing = expected.saturating_add(discarded).saturating_sub(received).min(expected);
        let sample = self.sample(now, missing as f64 / expected as f64);
        match &mut self.summary {
            Some(summary) => summary.add(&sample),
            None => self.summary = Some(QualitySummary::of(&sample)),
        }
        Some(sample)
    }

    /// The round trip to the leg and back, as last heard of.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// What the leg has said last of what it receives (RFC 3611).
    pub fn peer(&self) -> Option<PeerQuality> {
        self.peer
    }

    /// How the leg was so far; `None` before the first sample.
    pub fn summary(&self) -> Option<QualitySummary> {
        self.summary
    }

    fn sample(&self, at: Time, loss: f64) -> QualitySample {
        let lost = PacketLoss { share: loss, burst_ratio: self.burst_ratio };
        let listening = r_factor(self.equipment, lost, Duration::ZERO);
        let r = r_factor(self.equipment, lost, self.one_way());
        QualitySample {
            at,
            loss,
            jitter_ms: millis(self.jitter),
            round_trip_ms: self.round_trip.map(millis),
            held_ms: self.held.map(millis),
            r,
            mos_listening: mean_opinion_score(listening),
            mos_conversational: mean_opinion_score(r),
            peer: self.peer,
        }
    }

    /// From mouth to ear, as far as it is known: both ways are taken for equally long.
    fn one_way(&self) -> Duration {
        let held = self.held.unwrap_or(self.jitter.saturating_mul(2));
        PACKET.saturating_add(held).saturating_add(self.round_trip.unwrap_or_default() / 2)
    }
}

impl Spread {
    fn of(value: f64) -> Self {
        Self { min: value, max: value, last: value, sum: value, count: 1 }
    }

    fn add(&mut self, value: f64) {
        *self = Self {
            min: self.min.min(value),
            max: self.max.max(value),
            last: value,
            sum: self.sum + value,
            count: self.count.saturating_add(1),
        };
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }
}

impl QualitySummary {
    fn of(sample: &QualitySample) -> Self {
        Self {
            loss: Spread::of(sample.loss),
            jitter_ms: Spread::of(sample.jitter_ms),
            round_trip_ms: sample.round_trip_ms.map(Spread::of),
            r: Spread::of(sample.r),
            mos_listening: Spread::of(sample.mos_listening),
            mos_conversational: Spread::of(sample.mos_conversational),
        }
    }

    fn add(&mut self, sample: &QualitySample) {
        self.loss.add(sample.loss);
        self.jitter_ms.add(sample.jitter_ms);
        self.r.add(sample.r);
        self.mos_listening.add(sample.mos_listening);
        self.mos_conversational.add(sample.mos_conversational);
        match (&mut self.round_trip_ms, sample.round_trip_ms) {
            (Some(spread), Some(value)) => spread.add(value),
            (none, value) => *none = none.or(value.map(Spread::of)),
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_800_000_000);

    /// A leg that sends packets of 20 ms, some of which are lost, each later by its turn of these.
    struct Leg {
        reception: Reception,
        bursts: BurstTracker,
        quality: LegQuality,
        number: u16,
        late_ms: &'static [u64],
    }

    impl Leg {
        fn new(codec: Codec) -> Self {
            let quality = LegQuality::new(START, codec).expect("it carries speech");
            let (reception, bursts) = (Reception::new(8_000), BurstTracker::default());
            Self { reception, bursts, quality, number: 0, late_ms: &[0] }
        }

        /// Five seconds, of which these are lost, and the sample at their end.
        fn interval(&mut self, is_lost: impl Fn(u16) -> bool) -> Option<QualitySample> {
            for _ in 0..250 {
                let late = self.late_ms[usize::from(self.number) % self.late_ms.len()];
                let now = START + Duration::from_millis(u64::from(self.number) * 20 + late);
                if is_lost(self.number % 250) {
                    self.bursts.handle_lost(1);
                } else {
                    self.reception.handle_packet(now, self.number, u32::from(self.number) * 160);
                    self.bursts.handle_received(1);
                }
                self.number += 1;
            }
            self.quality.handle_reception(&self.reception);
            self.quality.handle_bursts(&self.bursts);
            self.quality.handle_timeout(START + Duration::from_millis(u64::from(self.number) * 20))
        }
    }

    #[track_caller]
    fn close(found: f64, expected: f64, by: f64) {
        assert!((found - expected).abs() <= by, "{found} is not {expected}");
    }

    #[test]
    fn a_clean_call_has_the_best_there_is() {
        let sample = Leg::new(Codec::Pcma).interval(|_| false).expect("an interval");
        assert_eq!((sample.loss, sample.jitter_ms, sample.round_trip_ms, sample.r), (0.0, 0.0, None, 93.2));
        close(sample.mos_conversational, 4.41, 0.005);
    }

    #[test]
    fn loss_is_that_of_the_interval_and_bursts_make_it_worse() {
        let (mut random, mut clustered) = (Leg::new(Codec::Pcma), Leg::new(Codec::Pcma));
        assert_eq!(random.interval(|_| false).map(|sample| sample.loss), Some(0.0));
        assert_eq!(clustered.interval(|_| false).map(|sample| sample.loss), Some(0.0));
        let alone = random.interval(|number| number % 20 == 7).expect("an interval");
        let together = clustered.interval(|number| (100..112).contains(&number)).expect("an interval");
        close(alone.loss, 13.0 / 250.0, 1e-9);
        close(together.loss, 12.0 / 250.0, 1e-9);
        // 93.2 - 95 x 5.2 / (5.2 + 25.1)
        close(alone.r, 76.9, 0.05);
        assert!(together.r < alone.r - 1.0, "{} {}", together.r, alone.r);
        assert_eq!(alone.mos_listening, alone.mos_conversational);
    }

    #[test]
    fn packets_that_come_too_late_are_as_good_as_lost() {
        let mut leg = Leg::new(Codec::Pcma);
        leg.quality.handle_discarded(25);
        close(leg.interval(|_| false).expect("an interval").loss, 25.0 / 249.0, 1e-9);
        assert_eq!(leg.interval(|_| false).map(|sample| sample.loss), Some(0.0));
    }

    #[test]
    fn a_long_way_is_felt_in_conversing_and_not_in_listening() {
        let mut leg = Leg::new(Codec::Pcma);
        leg.quality.handle_round_trip(Duration::from_millis(400));
        let sample = leg.interval(|_| false).expect("an interval");
        close(sample.round_trip_ms.expect("it was said"), 400.0, 0.1);
        close(sample.r, 93.2 - crate::quality::delay_impairment(Duration::from_millis(220)), 0.01);
        assert!(sample.mos_listening > sample.mos_conversational);
    }

    #[test]
    fn jitter_delays_what_is_played_out() {
        let mut leg = Leg::new(Codec::Pcma);
        leg.late_ms = &[0, 120];
        let sample = leg.interval(|_| false).expect("an interval");
        close(sample.jitter_ms, 120.0, 5.0);
        close(sample.r, 93.2 - crate::quality::delay_impairment(Duration::from_millis(260)), 1.5);
    }

    #[test]
    fn what_the_jitter_buffer_holds_is_felt_as_long_as_it_is_known() {
        let mut leg = Leg::new(Codec::Pcma);
        leg.late_ms = &[0, 120];
        for (held, one_way) in [(Some(400), 420), (Some(0), 20), (None, 260)] {
            leg.quality.handle_held(held.map(Duration::from_millis));
            let sample = leg.interval(|_| false).expect("an interval");
            close(sample.r, 93.2 - crate::quality::delay_impairment(Duration::from_millis(one_way)), 1.5);
        }
    }

    #[test]
    fn what_comes_twice_makes_up_for_nothing_that_came_too_late() {
        let mut leg = Leg::new(Codec::Pcma);
        leg.interval(|_| false);
        leg.quality.handle_counts(500, 510, Duration::ZERO);
        leg.quality.handle_discarded(15);
        close(
            leg.quality.handle_timeout(START + Duration::from_secs(10)).expect("an interval").loss,
            5.0 / 251.0,
            1e-3,
        );
    }

    #[test]
    fn what_the_leg_says_is_passed_on() {
        let mut leg = Leg::new(Codec::Opus);
        leg.quality.handle_voip_metrics(&metrics());
        let sample = leg.interval(|_| false).expect("an interval");
        let expected = PeerQuality { loss: 0.25, r: Some(70.0), mos_listening: Some(3.6), mos_conversational: None };
        assert_eq!((sample.peer, sample.round_trip_ms), (Some(expected), Some(90.0)));
        // Twice as much as there is.
        leg.quality.handle_voip_metrics(&VoipMetrics { loss_rate: 255, discard_rate: 255, ..metrics() });
        assert_eq!(leg.interval(|_| false).and_then(|sample| sample.peer).map(|peer| peer.loss), Some(1.0));
    }

    fn metrics() -> VoipMetrics {
        VoipMetrics {
            ssrc: sx_rtp::Ssrc(1),
            loss_rate: 60,
            discard_rate: 4,
            burst_density: 0,
            gap_density: 0,
            burst_duration_ms: 0,
            gap_duration_ms: 0,
            round_trip_delay_ms: 90,
            end_system_delay_ms: 40,
            signal_level: None,
            noise_level: None,
            residual_echo_return_loss: None,
            gmin: 16,
            r_factor: Some(70),
            external_r_factor: None,
            mos_listening_x10: Some(36),
            mos_conversational_x10: None,
            receiver_configuration: 0,
            jitter_buffer_nominal_ms: 0,
            jitter_buffer_maximum_ms: 0,
            jitter_buffer_absolute_maximum_ms: 0,
        }
    }

    #[test]
    fn the_summary_has_the_least_the_mean_and_the_last() {
        let mut leg = Leg::new(Codec::Pcma);
        assert_eq!(leg.quality.summary(), None);
        leg.interval(|_| false);
        leg.interval(|number| number % 5 == 2);
        let last = leg.interval(|number| number % 10 == 2).expect("an interval");
        let summary = leg.quality.summary().expect("three intervals");
        assert_eq!((summary.loss.min, summary.loss.max, summary.loss.last), (0.0, 0.2, 0.1));
        close(summary.loss.mean(), 0.1, 1e-9);
        assert!(summary.r.min < summary.r.mean() && summary.r.last == last.r && summary.r.max == 93.2);
        assert_eq!(summary.round_trip_ms, None);
    }

    #[test]
    fn an_interval_in_which_nothing_should_have_come_has_no_sample() {
        let mut leg = Leg::new(Codec::Pcma);
        assert_eq!(leg.quality.poll_timeout(), START + LegQuality::INTERVAL);
        assert_eq!(leg.quality.handle_timeout(START + Duration::from_secs(4)), None);
        assert_eq!(leg.quality.handle_timeout(START + Duration::from_secs(5)), None);
        assert_eq!(leg.quality.summary(), None);
    }

    #[test]
    fn a_source_that_restarts_is_counted_anew() {
        let mut leg = Leg::new(Codec::Pcma);
        leg.interval(|_| false);
        leg.interval(|_| false);
        leg.reception = Reception::new(8_000);
        let sample = leg.interval(|number| number == 100).expect("an interval");
        close(sample.loss, 1.0 / 249.0, 1e-9);
    }

    #[test]
    fn another_codec_conceals_otherwise() {
        assert!(LegQuality::new(START, Codec::H264).is_none());
        let (mut narrow, mut changed) = (Leg::new(Codec::Pcma), Leg::new(Codec::Pcma));
        changed.quality.handle_codec(Codec::G729);
        changed.quality.handle_codec(Codec::TelephoneEvent);
        let lost = |number: u16| number % 20 == 7;
        let (before, after) = (narrow.interval(lost), changed.interval(lost));
        assert!(before.expect("an interval").r > after.expect("an interval").r + 5.0);
    }
}
