//! What a worker counts. Read by others through relaxed atomics, written only by the worker.

use crate::escalation::Phase;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a request was refused at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the label of a metric")]
pub enum Refusal {
    Malformed,
    Stray,
    Merged,
    Challenged,
    WrongCredentials,
    Replayed,
    Forbidden,
    UnknownUser,
    Registration,
    TooManyHops,
    UnsupportedScheme,
    UnsupportedMedia,
    BadExtension,
    NotAcceptable,
    IntervalTooSmall,
    NotAllowed,
    Draining,
    Overload,
    Banned,
    TooFast,
    Scanner,
    Unwitnessed,
}

/// Every refusal with its metric label.
pub const REFUSALS: [(Refusal, &str); 22] = [
    (Refusal::Malformed, "malformed"),
    (Refusal::Stray, "stray"),
    (Refusal::Merged, "merged"),
    (Refusal::Challenged, "challenged"),
    (Refusal::WrongCredentials, "wrong_credentials"),
    (Refusal::Replayed, "replayed"),
    (Refusal::Forbidden, "forbidden"),
    (Refusal::UnknownUser, "unknown_user"),
    (Refusal::Registration, "registration"),
    (Refusal::TooManyHops, "too_many_hops"),
    (Refusal::UnsupportedScheme, "unsupported_scheme"),
    (Refusal::UnsupportedMedia, "unsupported_media"),
    (Refusal::BadExtension, "bad_extension"),
    (Refusal::NotAcceptable, "not_acceptable"),
    (Refusal::IntervalTooSmall, "interval_too_small"),
    (Refusal::NotAllowed, "method_not_allowed"),
    (Refusal::Draining, "draining"),
    (Refusal::Overload, "overload"),
    (Refusal::Banned, "banned"),
    (Refusal::TooFast, "too_fast"),
    (Refusal::Scanner, "scanner"),
    (Refusal::Unwitnessed, "unwitnessed"),
];

/// One worker's counters, on cache lines of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
#[expect(missing_docs, reason = "each field is the metric of that name")]
pub struct Counts {
    pub messages_received: AtomicU64,
    pub messages_sent: AtomicU64,
    pub messages_passed_on: AtomicU64,
    pub messages_to_workers: AtomicU64,
    pub calls_begun: AtomicU64,
    pub calls_answered: AtomicU64,
    pub calls_ended: AtomicU64,
    pub attempts_failed: AtomicU64,
    pub transfers: AtomicU64,
    pub keys_dropped: AtomicU64,
    pub escalations_held: AtomicU64,
    pub escalations_shared: AtomicU64,
    pub escalations_connected: AtomicU64,
    pub escalations_unanswered: AtomicU64,
    pub escalations_ended: AtomicU64,
    pub escalations_rejected: AtomicU64,
    pub escalations: AtomicU64,
    pub escalations_kept: AtomicU64,
    pub escalation_senders: AtomicU64,
    pub registrations: AtomicU64,
    pub registrations_refused: AtomicU64,
    pub calls: AtomicU64,
    pub legs: AtomicU64,
    pub bindings: AtomicU64,
    pub client_transactions: AtomicU64,
    pub server_transactions: AtomicU64,
    pub requests_retransmitted: AtomicU64,
    pub responses_retransmitted: AtomicU64,
    pub answers_unwanted: AtomicU64,
    pub invites_forgotten: AtomicU64,
    pub trunks_healthy: AtomicU64,
    pub refused: [AtomicU64; REFUSALS.len()],
}

impl Counts {
    /// Counts how an escalation stands now.
    pub(crate) fn count_escalation(&self, phase: &Phase) {
        Self::add(match phase {
            Phase::Held => &self.escalations_held,
            Phase::Shared => &self.escalations_shared,
            Phase::Ringing => return,
            Phase::Connected(_) => &self.escalations_connected,
            Phase::NoExpert => &self.escalations_unanswered,
            Phase::Ended => &self.escalations_ended,
            Phase::Rejected(_) => &self.escalations_rejected,
        });
    }

    pub(crate) fn add(counter: &AtomicU64) {
        // Only this worker writes: no read-modify-write instruction is needed.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    pub(crate) fn set(counter: &AtomicU64, value: usize) {
        counter.store(value as u64, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self, refusal: Refusal) {
        Self::add(&self.refused[refusal as usize]);
    }
}
