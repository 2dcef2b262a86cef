//! What is counted of checkpoints that are shown and cosigned.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use sx_engine::Time;
use sx_http::MetricsText;
use sx_store::{Anchored, WitnessLog};

/// All of it.
pub struct AnchoringCounts {
    pub places: Vec<Arc<PlaceCounts>>,
    /// Checkpoints of others that were cosigned,
    pub cosigned: AtomicU64,
    /// and that were not.
    pub cosign_refused: AtomicU64,
}

/// What is counted of one place.
pub struct PlaceCounts {
    place: Box<str>,
    pub anchored: AtomicU64,
    pub failures: AtomicU64,
    /// Records that the last checkpoint covers which it has taken,
    size: AtomicU64,
    /// and when that was signed, in seconds since 1970; 0: it has taken none.
    signed_s: AtomicU64,
}

impl AnchoringCounts {
    pub fn new<'a>(places: impl Iterator<Item = &'a str>) -> Self {
        let place = |place: &str| {
            let [anchored, failures, size, signed_s] = [const { AtomicU64::new(0) }; 4];
            Arc::new(PlaceCounts { place: place.into(), anchored, failures, size, signed_s })
        };
        Self { places: places.map(place).collect(), cosigned: AtomicU64::new(0), cosign_refused: AtomicU64::new(0) }
    }
}

impl PlaceCounts {
    /// This is what the place has taken last.
    pub fn taken(&self, anchored: Option<Anchored>) {
        if let Some(Anchored { size, signed_s, .. }) = anchored {
            self.size.store(size, Ordering::Relaxed);
            self.signed_s.store(signed_s, Ordering::Relaxed);
        }
    }
}

/// Writes what was counted.
pub fn write_anchoring(out: &mut MetricsText, counts: &AnchoringCounts, log: &WitnessLog, now: Time) {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut anchored = out.counter("strowger_witness_anchored", "", "Checkpoints that a place has taken.");
    for place in &counts.places {
        anchored.sample(&[("place", &place.place)], read(&place.anchored));
    }
    let mut failures =
        out.counter("strowger_witness_anchored_failures", "", "Attempts to show a checkpoint that failed.");
    for place in &counts.places {
        failures.sample(&[("place", &place.place)], read(&place.failures));
    }
    let mut age = out.gauge(
        "strowger_witness_anchored_age_seconds",
        "seconds",
        "How old the last checkpoint is that a place has taken.",
    );
    for place in counts.places.iter().filter(|place| read(&place.signed_s) > 0) {
        age.sample(&[("place", &place.place)], now.as_secs().saturating_sub(read(&place.signed_s)));
    }
    let mut behind = out.gauge(
        "strowger_witness_unanchored_records",
        "",
        "Records on the disk that no checkpoint covers which a place has taken.",
    );
    for place in &counts.places {
        behind.sample(&[("place", &place.place)], log.durable().saturating_sub(read(&place.size)));
    }
    out.counter("strowger_witness_cosigned", "", "Checkpoints of others that were cosigned.")
        .sample(&[], read(&counts.cosigned));
    out.counter("strowger_witness_cosign_refused", "", "Checkpoints of others that were not cosigned.")
        .sample(&[], read(&counts.cosign_refused));
}
