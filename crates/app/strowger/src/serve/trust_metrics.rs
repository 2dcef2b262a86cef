//! What the layers and the witness log have counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use sx_edge::{LatencyHistogram, Layer};
use sx_engine::Time;
use sx_exchange::LayerCounts;
use sx_http::MetricsText;
use sx_store::{WitnessCounters, WitnessLog};

/// Writes the counters of every worker's layers.
pub fn write_layers(out: &mut MetricsText, workers: &[Arc<LayerCounts>]) {
    let sum = |of: &dyn Fn(&LayerCounts) -> u64| workers.iter().map(|counts| of(counts)).sum::<u64>();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut passed = out.counter("strowger_edge_passed", "", "Requests that a layer let pass.");
    for layer in Layer::ALL {
        passed.sample(&[("layer", layer.as_str())], sum(&|counts| counts.passed(layer)));
    }
    let mut refused = out.counter("strowger_edge_refused", "", "Requests that a layer refused or dropped.");
    for layer in Layer::ALL {
        refused.sample(&[("layer", layer.as_str())], sum(&|counts| counts.refused(layer)));
    }
    let bounds = LatencyHistogram::BOUNDS_NS.map(|nanos| nanos as f64 / 1e9);
    let mut latency = out.histogram(
        "strowger_edge_latency_seconds",
        "seconds",
        "What a layer takes for a request, passed or refused; one in 16 is timed.",
    );
    for layer in Layer::ALL {
        let mut counts = [0; LatencyHistogram::BOUNDS_NS.len() + 1];
        let mut nanos = 0;
        for worker in workers {
            let (at_most, all) = worker.latency(layer).cumulative();
            let mut below = 0;
            for (count, up_to) in counts.iter_mut().zip(at_most.into_iter().chain([all])) {
                *count += up_to.saturating_sub(below);
                below = up_to;
            }
            nanos += worker.latency(layer).sum_ns();
        }
        latency.sample(&[("layer", layer.as_str())], &bounds, &counts, nanos as f64 / 1e9);
    }
    out.gauge("strowger_edge_sources", "", "Sources that are remembered.").sample(&[], sum(&|c| read(&c.sources)));
    out.counter("strowger_edge_sources_evicted", "", "Sources that were forgotten for others.")
        .sample(&[], sum(&|counts| read(&counts.sources_evicted)));
    out.counter("strowger_edge_bans", "", "Sources that were banned.").sample(&[], sum(&|counts| read(&counts.bans)));
    out.counter("strowger_witness_refusals_summed", "", "Refusals that were counted in a record of their sum.")
        .sample(&[], sum(&|counts| read(&counts.summed)));
    let help = "Records that workers gave up because nothing could be written for so long.";
    out.counter("strowger_witness_records_lost", "", help).sample(&[], sum(&|counts| read(&counts.records_lost)));
    let help = "Legs that may not be answered yet, because the record that lets them in is not on the disk.";
    out.gauge("strowger_witness_legs_unwritten", "", help).sample(&[], sum(&|counts| read(&counts.legs_unwritten)));
}

/// Writes the counters of the witness log. Whether it fails is found out here, too: the disk may hold whoever writes.
pub fn write_witness(out: &mut MetricsText, log: &WitnessLog, now: Time) {
    let counters = log.counters();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    type Read = fn(&WitnessCounters) -> &AtomicU64;
    let families: [(&str, &str, Read); 11] = [
        ("strowger_witness_records", "Records taken.", |c| &c.records),
        ("strowger_witness_bytes", "Bytes of records on the disk.", |c| &c.bytes),
        ("strowger_witness_commits", "Writes that have reached the disk.", |c| &c.commits),
        ("strowger_witness_commit_failures", "Writes that the disk refused.", |c| &c.commit_failures),
        ("strowger_witness_checkpoints", "Checkpoints signed.", |c| &c.checkpoints),
        ("strowger_witness_records_refused", "Records that found no room while the disk took nothing.", |c| &c.refused),
        ("strowger_witness_batches_refused", "Times that records found no room: a worker tries again.", |c| {
            &c.batches_refused
        }),
        ("strowger_witness_stalls", "Writes that took so long that the log counted as failing.", |c| &c.stalls),
        ("strowger_witness_room_misses", "Writes that waited for room to be made.", |c| &c.room_misses),
        ("strowger_witness_segments_closed", "Segments that were closed.", |c| &c.segments),
        (
            "strowger_witness_records_retired",
            "Records that were removed because they were kept for long enough.",
            |c| &c.retired,
        ),
    ];
    for (name, help, of) in families {
        out.counter(name, "", help).sample(&[], read(of(&counters)));
    }
    out.counter("strowger_witness_commit_seconds", "seconds", "How long all writes together took.")
        .sample(&[], read(&counters.commit_nanos) as f64 / 1e9);
    out.gauge("strowger_witness_waiting_bytes", "", "Bytes of records that wait to be written.")
        .sample(&[], read(&counters.waiting_bytes));
    out.gauge("strowger_witness_durable_records", "", "Records in the log that are on the disk.")
        .sample(&[], log.durable());
    out.gauge("strowger_witness_failing", "", "1 while the log cannot be written and new calls are refused.")
        .sample(&[], u64::from(log.look(now)));
}
