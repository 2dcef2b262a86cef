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
    /// A clock for the latency of each layer, in nanoseconds from anywhere. An engine has none of its own; one that stands
    /// still measures nothing.
    pub nanos: fn() -> u64,
}

impl Default for LayerSettings {
    fn default() -> Self {
        // More than five failures are too many: the sixth.
        let sources = SourceLimits { failures_max: 6, ..SourceLimits::default() };
        Self { sources, records: RecordLimits::default(), nanos: || 0 }
    }
}

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
    /// Commands that had to wait for a record to be on the disk,
    pub parked: AtomicU64,
    /// and those of them that wait.
    pub parked_now: AtomicU64,
}

#[derive(Debug, Default)]
struct OneLayer {
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

    /// How long it takes.
    pub fn latency(&self, layer: Layer) -> &LatencyHistogram {
        &self.of(layer).latency
    }

    fn of(&self, layer: Layer) -> &OneLayer {
        &self.layers[layer as usize - 1]
    }

    pub(crate) fn pass(&self, layer: Layer, nanos: u64) {
        let of = self.of(layer);
        add(&of.passed);
        of.latency.observe(nanos);
    }

    /// Lets pass, and takes a time only when there is one.
    pub(crate) fn pass_timed(&self, layer: Layer, nanos: Option<u64>) {
        let of = self.of(layer);
        add(&of.passed);
        if let Some(nanos) = nanos {
            of.latency.observe(nanos);
        }
    }

    pub(crate) fn refuse(&self, layer: Layer) {
        add(&self.of(layer).refused);
    }
}

pub(crate) fn add(counter: &AtomicU64) {
    // Only this worker writes: no read-modify-write instruction is needed.
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
