//! How losses cluster: bursts and gaps (RFC 3611, section 4.7.2), and the burst ratio of the E-model (ITU-T G.107).
//!
//! ```text
//!   received  ....X..........................X.X..X......................X....
//!             |-------------- gap -----------|burst-|---------- gap ----------|
//! ```
//!
//! A burst begins and ends with a loss, and nowhere within it are `gmin` packets received in a row. A loss alone, with so
//! many received on both sides, belongs to the gap around it.

/// Packets received in a row that end a burst, unless told otherwise.
//= https://www.rfc-editor.org/rfc/rfc3611#section-4.7.2
pub const GMIN: u8 = 16;

/// Counts packets as they are played out: received, or not there when they were needed.
#[derive(Clone, Debug)]
pub struct BurstTracker {
    gmin: u64,
    bursts: Stretch,
    gaps: Stretch,
    /// Losses that nothing but what was lost separates.
    loss_runs: u64,
    /// From the first loss of what may become a burst to its last.
    open: Option<Open>,
    /// Packets received in a row.
    received: u64,
}

/// Stretches of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stretch {
    count: u64,
    packets: u64,
    lost: u64,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    packets: u64,
    lost: u64,
    /// The gap that lasts until now goes on if the loss stays alone.
    gap_before: bool,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burstiness {
    /// Packets, received and lost.
    pub packets: u64,
    /// Those lost or thrown away.
    pub lost: u64,
    /// The share of packets lost in bursts, 0 to 1.
    pub burst_density: f64,
    /// That in gaps, 0 to 1.
    pub gap_density: f64,
    /// The mean length of bursts in packets; 0 when there was none.
    pub burst_packets: f64,
    /// The mean length of gaps in packets.
    pub gap_packets: f64,
    /// The mean length of losses in a row over that of losses which know nothing of each other: 1 when they are random, more
    /// when they cluster. 1 when nothing was lost.
    pub burst_ratio: f64,
}

impl Default for BurstTracker {
    fn default() -> Self {
        Self::new(GMIN)
    }
}

impl BurstTracker {
    /// Nothing counted yet; `gmin` packets received in a row end a burst, at least one.
    pub fn new(gmin: u8) -> Self {
        let gmin = u64::from(gmin.max(1));
        let (bursts, gaps) = (Stretch::default(), Stretch::default());
        Self { gmin, bursts, gaps, loss_runs: 0, open: None, received: 0 }
    }

    /// Counts packets in a row that were received in time.
    pub fn handle_received(&mut self, packets: u64) {
        self.received = self.received.saturating_add(packets);
    }

    /// Counts packets in a row that were lost, or thrown away because they came too late or too early.
    pub fn handle_lost(&mut self, packets: u64) {
        if packets == 0 {
            return;
        }
        self.loss_runs += u64::from(self.received > 0 || self.open.is_none());
        match &mut self.open {
            Some(open) if self.received < self.gmin => {
                open.packets = open.packets.saturating_add(self.received).saturating_add(packets);
                open.lost = open.lost.saturating_add(packets);
            }
            _ => {
                let gap_before = self.close();
                self.open = Some(Open { packets, lost: packets, gap_before });
            }
        }
        self.received = 0;
    }

    /// What was counted so far, as if the stream ended here.
    pub fn burstiness(&self) -> Burstiness {
        let mut ended = self.clone();
        ended.close();
        let (bursts, gaps) = (ended.bursts, ended.gaps);
        let packets = bursts.packets.saturating_add(gaps.packets);
        let lost = bursts.lost.saturating_add(gaps.lost);
        // Losses at random with probability p come in rows of 1 / (1 - p).
        let burst_ratio = share(lost, self.loss_runs) * (1.0 - share(lost, packets));
        Burstiness {
            packets,
            lost,
            burst_density: share(bursts.lost, bursts.packets),
            gap_density: share(gaps.lost, gaps.packets),
            burst_packets: share(bursts.packets, bursts.count),
            gap_packets: share(gaps.packets, gaps.count),
            // Nothing received tells nothing of how losses cluster.
            burst_ratio: if lost == 0 || lost == packets { 1.0 } else { burst_ratio },
        }
    }

    /// Adds what is open, and what was received since, to where they belong. Without anything open, nothing came before. Does
    /// a gap last until now?
    fn close(&mut self) -> bool {
        let mut in_gap = false;
        if let Some(open) = self.open.take() {
            in_gap = if open.lost > 1 {
                self.bursts.add(open.packets, open.lost);
                false
            } else {
                self.gaps.extend(open.gap_before, open.packets, open.lost);
                true
            };
        }
        if self.received > 0 {
            self.gaps.extend(in_gap, self.received, 0);
            in_gap = true;
        }
        in_gap
    }
}

impl Stretch {
    fn add(&mut self, packets: u64, lost: u64) {
        self.extend(false, packets, lost);
    }

    /// Makes the latest longer, or begins another.
    fn extend(&mut self, latest: bool, packets: u64, lost: u64) {
        self.count += u64::from(!latest);
        self.packets = self.packets.saturating_add(packets);
        self.lost = self.lost.saturating_add(lost);
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn track(fates: impl IntoIterator<Item = bool>) -> BurstTracker {
        let mut tracker = BurstTracker::default();
        for received in fates {
            if received { tracker.handle_received(1) } else { tracker.handle_lost(1) }
        }
        tracker
    }

    /// So many received for each number, and a loss between them.
    fn lost_between(received: &[usize]) -> Vec<bool> {
        let mut fates = Vec::new();
        for (number, count) in received.iter().enumerate() {
            if number > 0 {
                fates.push(false);
            }
            fates.extend(std::iter::repeat_n(true, *count));
        }
        fates
    }

    #[track_caller]
    fn check(received: &[usize], burst: (f64, f64), gap: (f64, f64)) {
        let found = track(lost_between(received)).burstiness();
        assert_eq!((found.burst_packets, found.burst_density), burst, "{found:?}");
        assert_eq!((found.gap_packets, found.gap_density), gap, "{found:?}");
    }

    #[test]
    fn a_loss_alone_belongs_to_the_gap() {
        check(&[100], (0.0, 0.0), (100.0, 0.0));
        check(&[20, 79], (0.0, 0.0), (100.0, 0.01));
        check(&[20, 16, 62], (0.0, 0.0), (100.0, 0.02));
    }

    #[test]
    fn losses_with_less_than_gmin_between_them_are_a_burst() {
        check(&[20, 15, 20], (17.0, 2.0 / 17.0), (20.0, 0.0));
        check(&[20, 0, 0, 0, 60], (4.0, 1.0), (40.0, 0.0));
        // The example above: a loss alone, and a burst of three.
        check(&[4, 26, 1, 2, 22, 4], (6.0, 0.5), ((31.0 + 27.0) / 2.0, 2.0 / 58.0));
        // Two bursts with a gap between them and none around.
        check(&[0, 0, 30, 0, 0], (2.0, 1.0), (30.0, 0.0));
    }

    #[test]
    fn losses_in_a_row_may_be_told_at_once() {
        let (mut at_once, fates) = (BurstTracker::default(), lost_between(&[50, 0, 0, 3, 40]));
        at_once.handle_received(50);
        at_once.handle_lost(3);
        at_once.handle_lost(0);
        at_once.handle_received(3);
        at_once.handle_lost(1);
        at_once.handle_received(40);
        assert_eq!(at_once.burstiness(), track(fates).burstiness());
    }

    #[test]
    fn the_burst_ratio_is_one_of_random_losses_and_more_when_they_cluster() {
        // One of ten, alone each time, is less clustered than chance would have it: rows of 1 where chance has 1.11.
        let alone = track((0..1_000).map(|number| number % 10 != 0)).burstiness();
        assert!((alone.burst_ratio - 0.9).abs() < 1e-9, "{alone:?}");
        let fives = track((0..1_000).map(|number| number % 50 >= 5)).burstiness();
        assert!((fives.burst_ratio - 4.5).abs() < 1e-9, "{fives:?}");
        assert_eq!(track([true; 9]).burstiness().burst_ratio, 1.0);
        assert_eq!(track([false; 9]).burstiness().burst_ratio, 1.0);
        // A generator of Lehmer's that loses one of twenty.
        let mut state = 42_u64;
        let random = track((0..200_000).map(|_| {
            state = state * 48_271 % 0x7fff_ffff;
            !state.is_multiple_of(20)
        }));
        assert!((random.burstiness().burst_ratio - 1.0).abs() < 0.02, "{:?}", random.burstiness());
    }

    #[test]
    fn nothing_counted_says_nothing() {
        let found = BurstTracker::default().burstiness();
        assert_eq!((found.packets, found.gap_packets, found.burst_ratio), (0, 0.0, 1.0));
    }

    proptest! {
        #[test]
        fn each_packet_is_in_a_burst_or_a_gap(fates in prop::collection::vec(prop::bool::weighted(0.8), 0..400)) {
            let found = track(fates.iter().copied()).burstiness();
            prop_assert_eq!(found.packets, fates.len() as u64);
            prop_assert_eq!(found.lost, fates.iter().filter(|received| !**received).count() as u64);
            for density in [found.burst_density, found.gap_density] {
                prop_assert!((0.0..=1.0).contains(&density));
            }
            // Two losses at least in a burst, with at most fifteen packets after each but the last.
            prop_assert!(found.burst_packets == 0.0 || found.burst_density > 1.0 / 16.0);
        }
    }
}
