//! What the layers count, and what they are told once.

use super::RecordLimits;
use std::sync::atomic::{AtomicU64, Ordering};
use sx_edge::{LatencyHistogram, Layer, SourceLimits};

/// What the layers of a worker are told once.
#[derive(Clone, Copy, Debug)]
pub struct LayerSettings {
    /// What sources may do.
    pub sources: SourceLimits,
    /// How many refusals are recorded one by one.
    pub records: RecordLimits,
    /// A clock for the latency of each layer, in nanoseconds from anywhere. An engine has none of its own, and its `Time`
    /// stands still while it looks at a message; nothing but these measurements may depend on what this one says. One that
    /// stands still measures nothing.
    pub nanos: fn() -> u64,
}

impl Default for LayerSettings {
    fn default() -> Self {
        // More than five failures are too many: the sixth.
        let sources = SourceLimits { failures_max: 6, ..SourceLimits::default() };
        Self { sources, records: RecordLimits::default(), nanos: || 0 }
    }
}

/// Of one request in so many each layer has its time taken: to ask the clock costs as much as most layers do.
const TIMED: u64 = 16;

/// One worker's counters of the layers.
#[derive(Debug, Default)]
pub struct LayerCounts {
    layers: [OneLayer; Layer::ALL.len()],
    /// Sources that are remembered.
    pub sources: AtomicU64,
    /// Sources that were forgotten for others.
    pub sources_evicted: AtomicU64,
    /// Bans that have begun.
    pub bans: AtomicU64,
    /// Refusals that were summed up instead of being recorded one by one.
    pub summed: AtomicU64,
    /// Records that were given up because nothing could be written for so long.
    pub records_lost: AtomicU64,
    /// Legs that may not be answered yet: the record that lets them in is not on the disk.
    pub legs_unwritten: AtomicU64,
}

#[derive(Debug, Default)]
struct OneLayer {
    begun: AtomicU64,
    passed: AtomicU64,
    refused: AtomicU64,
    latency: LatencyHistogram,
}

impl LayerCounts {
    /// Requests that the layer let pass.
    pub fn passed(&self, layer: Layer) -> u64 {
        self.of(layer).passed.load(Ordering::Relaxed)
    }

    /// Requests that it refused.
    pub fn refused(&self, layer: Layer) -> u64 {
        self.of(layer).refused.load(Ordering::Relaxed)
    }

    /// How long it takes, of one request in 16, whether it passes or is refused.
    pub fn latency(&self, layer: Layer) -> &LatencyHistogram {
        &self.of(layer).latency
    }

    fn of(&self, layer: Layer) -> &OneLayer {
        &self.layers[layer.index()]
    }

    pub(crate) fn pass(&self, layer: Layer) {
        add(&self.of(layer).passed);
    }

    /// Is the time taken that the layer needs for the next request?
    pub(crate) fn times_next(&self, layer: Layer) -> bool {
        let of = self.of(layer);
        let begun = of.begun.load(Ordering::Relaxed);
        add(&of.begun);
        begun.is_multiple_of(TIMED)
    }

    pub(crate) fn observe(&self, layer: Layer, nanos: u64) {
        self.of(layer).latency.observe(nanos);
    }

    pub(crate) fn refuse(&self, layer: Layer) {
        add(&self.of(layer).refused);
    }
}

pub(crate) fn add(counter: &AtomicU64) {
    // Only this worker writes: no read-modify-write instruction is needed.
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
