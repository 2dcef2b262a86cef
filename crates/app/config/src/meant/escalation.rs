//! How hazards are escalated.

use std::sync::Arc;
use std::time::Duration;

/// `[escalation]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// The room that experts are fetched to; `None`: nobody is.
    pub room: Option<Arc<str>>,
    /// What a room hears when an expert comes in for a hazard of this kind; of this kind none: for any other.
    pub announcements: Vec<(Option<Arc<str>>, Arc<str>)>,
    /// Further rooms that a message may ask for.
    pub rooms: Vec<Arc<str>>,
    /// Whom to ring at a time.
    pub order: RingOrder,
    /// How many at a time, where several are.
    pub parallel_max: usize,
    /// How long one rings.
    pub ring_timeout: Duration,
    /// When whoever has answered is rung again.
    pub rering: Rering,
    /// Surer agents than this need nobody, in thousandths.
    pub escalate_below_milli: u32,
    /// Agents as sure as this tell others, in thousandths.
    pub share_from_milli: u32,
    /// Experts who have answered are sent a link to the evidence.
    pub evidence_message: bool,
    /// Experts who have no key are rung as well.
    pub keyless_experts: bool,
    /// How often in a minute an expert is rung.
    pub rings_per_minute: u32,
    /// So many experts are tried at most.
    pub experts_max: usize,
    /// Escalations under way, of one worker.
    pub running_max: usize,
    /// Escalations that are over and still told about, of one worker.
    pub kept_max: usize,
    /// Senders whose messages are told apart, of one worker.
    pub senders_max: usize,
    /// Nonces of a sender.
    pub nonces_max: usize,
}

impl Escalation {
    /// What a room hears when an expert comes in for a hazard of this kind.
    pub fn announcement(&self, hazard: &str) -> Option<&Arc<str>> {
        let of = |kind: Option<&str>| {
            self.announcements.iter().find(|(known, _)| known.as_deref() == kind).map(|(_, sound)| sound)
        };
        of(Some(hazard)).or_else(|| of(None))
    }
}

/// In which order experts are rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingOrder {
    /// One after the other.
    Serial,
    /// Several at a time.
    Parallel,
}

/// When whoever has answered is rung again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rering {
    /// Never.
    Never,
    /// When their call was cut off, and nobody had hung up.
    CutOff,
}
