//! What the workers have counted of escalations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use sx_exchange::Counts;
use sx_http::MetricsText;

type Of = fn(&Counts) -> &AtomicU64;

/// Writes the counters of every worker.
pub fn write_escalations(out: &mut MetricsText, workers: &[Arc<Counts>]) {
    let sum = |of: Of| workers.iter().map(|counts| of(counts).load(Ordering::Relaxed)).sum::<u64>();
    let help = "Escalations by what has become of them; one that was connected is counted again when it has ended.";
    let mut decided = out.counter("strowger_escalations_decided", "", help);
    let outcomes: [(&str, Of); 6] = [
        ("held", |counts| &counts.escalations_held),
        ("shared", |counts| &counts.escalations_shared),
        ("connected", |counts| &counts.escalations_connected),
        ("no_expert", |counts| &counts.escalations_unanswered),
        ("ended", |counts| &counts.escalations_ended),
        ("rejected", |counts| &counts.escalations_rejected),
    ];
    for (outcome, of) in outcomes {
        decided.sample(&[("outcome", outcome)], sum(of));
    }
    out.gauge("strowger_escalations", "", "Escalations whose experts are rung or in the room.")
        .sample(&[], sum(|counts| &counts.escalations));
    out.gauge("strowger_escalations_kept", "", "Escalations that are over and still told about.")
        .sample(&[], sum(|counts| &counts.escalations_kept));
    out.gauge("strowger_escalation_senders", "", "Senders whose last number is remembered.")
        .sample(&[], sum(|counts| &counts.escalation_senders));
}
