//! How long packets take: the fastest, as the measure for all others, and how much longer all but a few of them take.

/// What a step of the histogram covers, in nanoseconds.
const STEP: i64 = 4_000_000;
/// Steps; what takes longer counts as the last.
const STEPS: usize = 48;
/// A packet's weight is so much larger than the one's before: half of all weight is that of the last 700 packets.
const FORGET_SHIFT: u32 = 10;
/// Weights are scaled down when a packet's reaches this; the sum of all is some 2¹⁰ times as much.
const WEIGHT_MAX: u32 = 1 << 20;
const WEIGHT_SCALE: u32 = 8;
/// The weight of the delay that is assumed in the beginning, in packets.
const ASSUMED: u32 = 2;
/// Of so many packets one may take longer than the target.
const LATE_ONE_IN: u64 = 150;

/// The transit times of the fastest packets within the last seconds. The clocks of both ends differ by an unknown amount
/// and drift, so that a transit time says something in comparison only.
#[derive(Clone, Debug)]
pub(super) struct Floor {
    /// The least of each block that is over.
    blocks: [i64; Self::BLOCKS],
    /// The least of the block that goes on, when it began, and how many packets it has.
    least: i64,
    began: i64,
    packets: u32,
    floor: i64,
    /// What rises by more than this has taken another way.
    leap: i64,
}

/// How much longer than the fastest ones packets take; the past is forgotten bit by bit.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    weights: [u32; STEPS],
    total: u64,
    weight: u32,
}

impl Floor {
    const BLOCKS: usize = 8;
    const BLOCK: i64 = 1_000_000_000;
    const BLOCK_PACKETS: u32 = 10;

    /// The first packet, with this transit time.
    pub fn new(now: i64, transit: i64, leap: i64) -> Self {
        Self { blocks: [transit; Self::BLOCKS], least: transit, began: now, packets: 0, floor: transit, leap }
    }

    /// The transit time of the fastest.
    pub fn nanos(&self) -> i64 {
        self.floor
    }

    /// Another packet.
    pub fn update(&mut self, now: i64, transit: i64) {
        self.least = self.least.min(transit);
        self.floor = self.floor.min(transit);
        self.packets += 1;
        if now - self.began < Self::BLOCK || self.packets < Self::BLOCK_PACKETS {
            return;
        }
        if self.least - self.floor > self.leap {
            self.blocks = [self.least; Self::BLOCKS];
        } else {
            self.blocks.rotate_left(1);
            self.blocks[Self::BLOCKS - 1] = self.least;
        }
        self.floor = self.blocks.iter().copied().fold(i64::MAX, i64::min);
        (self.least, self.began, self.packets) = (i64::MAX, now, 0);
    }
}

impl Histogram {
    /// Nothing known; a delay is assumed.
    pub fn new(assumed: i64) -> Self {
        let mut new = Self { weights: [0; STEPS], total: 0, weight: 1 << (FORGET_SHIFT + 1) };
        for _ in 0..ASSUMED {
            new.add(assumed - STEP);
        }
        new
    }

    /// A packet took so much longer than the fastest.
    pub fn add(&mut self, delay: i64) {
        let step = usize::try_from(delay / STEP).unwrap_or(0).min(STEPS - 1);
        self.weights[step] += self.weight;
        self.total += u64::from(self.weight);
        // Instead of making all others lighter, each packet is heavier than the one before.
        self.weight += self.weight >> FORGET_SHIFT;
        if self.weight >= WEIGHT_MAX {
            self.weight >>= WEIGHT_SCALE;
            self.weights.iter_mut().for_each(|weight| *weight >>= WEIGHT_SCALE);
            self.total = self.weights.iter().map(|weight| u64::from(*weight)).sum();
        }
    }

    /// What all but a few packets do not exceed.
    pub fn most(&self) -> i64 {
        let mut beyond = 0;
        for (step, weight) in self.weights.iter().enumerate().rev() {
            beyond += u64::from(*weight);
            if beyond * LATE_ONE_IN > self.total {
                return (step as i64 + 1) * STEP;
            }
        }
        STEP
    }
}
