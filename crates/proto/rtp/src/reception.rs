//! What a receiver knows of one source: which packets were lost and how unevenly the others came.
//!
//! ```text
//!   Probation ──(MIN_SEQUENTIAL in order)──► Valid ──(two in order after a jump)──► Valid, counted anew
//! ```

use crate::packet::Ssrc;
use crate::rtcp::{ReportBlock, SenderInfo};
use crate::step::Step;
use std::time::Duration;
use sx_engine::Time;

/// Packets in order before a source is believed.
const MIN_SEQUENTIAL: u8 = 2;
const SEQ_MOD: u64 = 1 << 16;
const NANOS_PER_SEC: u64 = 1_000_000_000;

/// Receiver statistics for one synchronisation source. Make a new one when the source changes.
#[derive(Clone, Debug)]
pub struct Reception {
    clock_hz: u32,
    state: State,
    transit: Option<u32>,
    /// Interarrival jitter in ticks times sixteen.
    jitter_x16: u64,
    sender_report: Option<(u32, Time)>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing has come.
    Empty,
    /// The next packet should have this number; so many are missing until the source is believed.
    Probation { expected: u16, remaining: u8 },
    /// The source is believed.
    Valid(Counted),
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    /// Highest number seen.
    max: u16,
    /// Wraps of the number, shifted: a multiple of 65,536.
    cycles: u64,
    base: u16,
    /// The number that would, if it came next, prove that the source has restarted.
    bad: Option<u16>,
    received: u64,
    expected_prior: u64,
    received_prior: u64,
}

/// What a packet's sequence number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequencing {
    /// The source is not believed yet; the packet is not counted.
    Probation,
    /// The packet is counted: in order, after a loss, late, or a duplicate.
    Valid,
    /// The number leaps; the packet is not counted unless the next one follows it.
    Leap,
    /// The second packet in order after a leap: the source has restarted and is counted anew.
    Restarted,
}

impl Reception {
    /// Nothing received yet, from a source whose timestamps tick `clock_hz` times a second.
    pub fn new(clock_hz: u32) -> Self {
        Self { clock_hz, state: State::Empty, transit: None, jitter_x16: 0, sender_report: None }
    }

    /// Counts a packet that arrived at `now`.
    pub fn handle_packet(&mut self, now: Time, sequence: u16, timestamp: u32) -> Sequencing {
        let verdict = self.handle_sequence(sequence);
        match verdict {
            Sequencing::Valid => self.update_jitter(now, timestamp),
            Sequencing::Restarted => self.transit = None,
            Sequencing::Probation | Sequencing::Leap => {}
        }
        verdict
    }

    /// Counts a packet whose timestamp says nothing of when it was sent, as the updates of a telephone event do: they
    /// all bear the time at which the event began.
    //= https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1
    pub fn handle_sequence(&mut self, sequence: u16) -> Sequencing {
        match &mut self.state {
            State::Empty => {
                self.state = State::Probation { expected: sequence.wrapping_add(1), remaining: MIN_SEQUENTIAL - 1 };
                Sequencing::Probation
            }
            State::Probation { expected, remaining } => {
                let in_order = sequence == *expected;
                *expected = sequence.wrapping_add(1);
                *remaining = if in_order { *remaining - 1 } else { MIN_SEQUENTIAL - 1 };
                if *remaining > 0 || !in_order {
                    return Sequencing::Probation;
                }
                self.state = State::Valid(Counted::starting_at(sequence));
                Sequencing::Valid
            }
            State::Valid(counted) => counted.update(sequence),
        }
    }

    /// Remembers a sender report of this source, so that the next [`report`](Self::report) lets the sender compute the
    /// round trip.
    pub fn handle_sender_report(&mut self, now: Time, info: &SenderInfo) {
        self.sender_report = Some((info.ntp_middle(), now));
    }

    /// Packets counted since the source was believed.
    pub fn received(&self) -> u64 {
        self.counted().map_or(0, |counted| counted.received)
    }

    /// Packets that the source has sent, by its sequence numbers.
    pub fn expected(&self) -> u64 {
        self.counted().map_or(0, Counted::expected)
    }

    /// Packets lost; negative when duplicates outnumber losses.
    //= https://www.rfc-editor.org/rfc/rfc3550#appendix-A.3
    pub fn lost(&self) -> i64 {
        self.expected().wrapping_sub(self.received()).cast_signed()
    }

    /// Interarrival jitter in ticks of the source's clock.
    pub fn jitter_ticks(&self) -> u32 {
        u32::try_from(self.jitter_x16 >> 4).unwrap_or(u32::MAX)
    }

    /// Interarrival jitter as a time; zero when the clock rate is.
    pub fn jitter(&self) -> Duration {
        let nanos = (self.jitter_x16 >> 4).saturating_mul(NANOS_PER_SEC).checked_div(u64::from(self.clock_hz));
        Duration::from_nanos(nanos.unwrap_or(0))
    }

    /// The report block about this source; begins a new interval for the fraction lost. `None` until the source is
    /// believed.
    //= https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1
    pub fn report(&mut self, now: Time, ssrc: Ssrc) -> Option<ReportBlock> {
        let (lost, jitter) = (self.lost(), self.jitter_ticks());
        let (last_sr, delay_since_last_sr) = match self.sender_report {
            Some((middle, heard)) => (middle, ticks(now.since(heard), 65_536)),
            None => (0, 0),
        };
        let State::Valid(counted) = &mut self.state else { return None };
        Some(ReportBlock {
            ssrc,
            fraction_lost: counted.take_fraction_lost(),
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: counted.extended_max() as u32,
            jitter,
            last_sr,
            delay_since_last_sr,
        })
    }

    fn counted(&self) -> Option<&Counted> {
        match &self.state {
            State::Valid(counted) => Some(counted),
            State::Empty | State::Probation { .. } => None,
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3550#appendix-A.8
    fn update_jitter(&mut self, now: Time, timestamp: u32) {
        let arrival = ticks(now.since(Time::ZERO), self.clock_hz);
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let d = u64::from(transit.wrapping_sub(before).cast_signed().unsigned_abs());
            self.jitter_x16 = self.jitter_x16 + d - ((self.jitter_x16 + 8) >> 4);
        }
    }
}

impl Counted {
    /// Counts from this packet on, which is the second or later in order: the ones before it are not counted.
    fn starting_at(sequence: u16) -> Self {
        Self { max: sequence, cycles: 0, base: sequence, bad: None, received: 1, expected_prior: 0, received_prior: 0 }
    }

    fn update(&mut self, sequence: u16) -> Sequencing {
        match Step::between(self.max, sequence) {
            Step::Ahead(_) => {
                if sequence < self.max {
                    self.cycles += SEQ_MOD;
                }
                self.max = sequence;
            }
            // A duplicate or a packet out of order counts as received.
            Step::Late(_) => {}
            Step::Leap if self.bad == Some(sequence) => {
                // Two packets in order on the other side of the leap: the sender has restarted without telling.
                *self = Self::starting_at(sequence);
                return Sequencing::Restarted;
            }
            Step::Leap => {
                self.bad = Some(sequence.wrapping_add(1));
                return Sequencing::Leap;
            }
        }
        self.received += 1;
        Sequencing::Valid
    }

    fn extended_max(&self) -> u64 {
        self.cycles + u64::from(self.max)
    }

    fn expected(&self) -> u64 {
        self.extended_max() - u64::from(self.base) + 1
    }

    /// The fraction lost since the last call, in 256ths.
    //= https://www.rfc-editor.org/rfc/rfc3550#appendix-A.3
    fn take_fraction_lost(&mut self) -> u8 {
        let expected = self.expected() - self.expected_prior;
        let received = self.received - self.received_prior;
        self.expected_prior = self.expected();
        self.received_prior = self.received;
        let lost = expected.saturating_sub(received);
        (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8
    }
}

/// A duration in ticks of a clock, modulo 2^32. Seconds and the rest are converted apart to stay within 64 bits.
fn ticks(duration: Duration, clock_hz: u32) -> u32 {
    let hz = u64::from(clock_hz);
    let whole = duration.as_secs().wrapping_mul(hz);
    let rest = u64::from(duration.subsec_nanos()) * hz / NANOS_PER_SEC;
    whole.wrapping_add(rest) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Time = Time::from_secs(1_700_000_000);

    fn receive(numbers: impl IntoIterator<Item = u16>) -> Reception {
        let mut reception = Reception::new(8_000);
        for number in numbers {
            reception.handle_sequence(number);
        }
        reception
    }

    #[track_caller]
    fn check(numbers: impl IntoIterator<Item = u16>, expected: u64, received: u64) {
        let reception = receive(numbers);
        assert_eq!((reception.expected(), reception.received()), (expected, received));
        assert_eq!(reception.lost(), expected as i64 - received as i64);
    }

    #[test]
    fn a_source_is_believed_after_two_packets_in_order() {
        let mut reception = Reception::new(8_000);
        assert_eq!(reception.handle_sequence(10), Sequencing::Probation);
        assert_eq!(reception.handle_sequence(12), Sequencing::Probation);
        assert_eq!(reception.report(START, Ssrc(1)), None);
        assert_eq!(reception.handle_sequence(13), Sequencing::Valid);
        assert_eq!((reception.expected(), reception.received()), (1, 1));
    }

    #[test]
    fn losses_duplicates_and_wraps_are_counted() {
        check(0..=10, 10, 10);
        check([0, 1, 2, 5, 6], 6, 4);
        check([0, 1, 2, 2, 2, 3], 3, 5);
        check([0, 1, 3, 2, 4], 4, 4);
        check([65533, 65534, 65535, 0, 1], 4, 4);
        check([65534, 65535, 1, 0], 3, 3);
    }

    #[test]
    fn a_restart_needs_two_packets_in_order() {
        let mut reception = receive(0..100);
        assert_eq!(reception.handle_sequence(20_000), Sequencing::Leap);
        assert_eq!(reception.handle_sequence(100), Sequencing::Valid);
        assert_eq!(reception.handle_sequence(30_000), Sequencing::Leap);
        assert_eq!(reception.handle_sequence(30_001), Sequencing::Restarted);
        assert_eq!((reception.expected(), reception.received()), (1, 1));
    }

    #[test]
    fn the_fraction_lost_is_that_of_the_interval() {
        let mut reception = receive(0..=100);
        assert_eq!(reception.report(START, Ssrc(1)).map(|block| block.fraction_lost), Some(0));
        for number in (101..=200).filter(|number| number % 4 != 0) {
            reception.handle_sequence(number);
        }
        reception.handle_sequence(201);
        let block = reception.report(START, Ssrc(1)).expect("believed");
        assert_eq!((block.cumulative_lost, block.highest_sequence), (25, 201));
        assert_eq!(block.fraction_lost, (25 * 256 / 101) as u8);
        assert_eq!(reception.report(START, Ssrc(1)).map(|block| block.fraction_lost), Some(0));
    }

    #[test]
    fn an_even_stream_has_no_jitter_and_an_uneven_one_approaches_its_mean_difference() {
        let mut even = Reception::new(8_000);
        let mut uneven = Reception::new(8_000);
        for n in 0..2000u16 {
            let sent = START + Duration::from_millis(20) * u32::from(n);
            let timestamp = u32::MAX.wrapping_add(160 * u32::from(n));
            even.handle_packet(sent, n, timestamp);
            // Every other packet comes 5 ms late, so each transit differs from the one before by 40 ticks.
            uneven.handle_packet(sent + Duration::from_millis(5) * u32::from(n % 2), n, timestamp);
        }
        assert_eq!(even.jitter(), Duration::ZERO);
        assert!((39..=40).contains(&uneven.jitter_ticks()), "{}", uneven.jitter_ticks());
        assert!(uneven.jitter() >= Duration::from_micros(4_875) && uneven.jitter() <= Duration::from_millis(5));
    }

    #[test]
    fn a_report_says_how_long_ago_the_sender_report_came() {
        let mut reception = receive(0..10);
        let info = SenderInfo { ntp: 0x1111_2222_3333_4444, rtp_timestamp: 0, packet_count: 0, octet_count: 0 };
        reception.handle_sender_report(START, &info);
        let block = reception.report(START + Duration::from_millis(1500), Ssrc(1)).expect("believed");
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0x2222_3333, 98_304));
    }

    proptest! {
        #[test]
        fn any_numbers_and_times_are_survived(
            clock_hz in any::<u32>(),
            packets in proptest::collection::vec((any::<u64>(), any::<u16>(), any::<u32>()), 0..200),
        ) {
            let mut reception = Reception::new(clock_hz);
            for (now, sequence, timestamp) in packets {
                reception.handle_packet(Time::from_nanos(now), sequence, timestamp);
                reception.report(Time::from_nanos(now), Ssrc(0));
            }
            // It is an average of 32-bit steps of the media clock.
            let most = Duration::from_secs(u64::from(u32::MAX) + 1) / clock_hz.max(1);
            prop_assert!(reception.jitter() <= most);
        }

        #[test]
        fn lost_is_what_was_taken_away(base in any::<u16>(), keep in proptest::collection::vec(any::<bool>(), 100..2000)) {
            // Two packets to be believed, the ones kept, and one at the end to close the range.
            let last = keep.len() as u16 + 2;
            let kept = keep.iter().enumerate().filter(|(_, keep)| **keep).map(|(i, _)| i as u16 + 2);
            let numbers = [0, 1].into_iter().chain(kept).chain([last]).map(|n| base.wrapping_add(n));
            let reception = receive(numbers);
            prop_assert_eq!(reception.lost(), keep.iter().filter(|keep| !**keep).count() as i64);
        }
    }
}
