//! Whether a human has to decide.

use sx_ifmessage::{IfMessage, Performative};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// A human is rung.
    Escalate,
    /// It is kept until somebody looks at it, or another message says more.
    Hold,
    /// It is told to its receivers.
    Share,
}

/// Why that is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its hazard says that a human is to decide.
    AutoEscalate,
    /// The agent is not sure enough to be left alone with it.
    Unsure,
    /// The agent is sure enough.
    Sure,
    /// The agent is neither.
    Between,
    /// The agent does not say how sure it is, and wants a human to decide.
    Asked,
    /// The agent does not say how sure it is.
    Unsaid,
}

/// A route, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Routed {
    /// What becomes of the message.
    pub route: Route,
    /// Why.
    pub reason: Reason,
}

/// How sure an agent has to be, from 0 to 1.
///
/// ```text
///   0 ────────────── 0.2 ─────── 0.3 ──────────────────── 0.7 ──────────── 1
///      Escalate           Hold             Hold                  Share
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Routing {
    escalate_below: f64,
    share_from: f64,
}

/// Bounds that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{escalate_below} and {share_from} are not in order within 0 to 1")]
pub struct RoutingError {
    escalate_below: f64,
    share_from: f64,
}

impl Default for Routing {
    /// Below 0.2 a human is rung, from 0.7 on it is told.
    fn default() -> Self {
        Self { escalate_below: 0.2, share_from: 0.7 }
    }
}

impl Routing {
    /// Below the first a human is rung, from the second on it is told.
    ///
    /// # Errors
    /// They are not in this order, or not within 0 to 1.
    pub fn new(escalate_below: f64, share_from: f64) -> Result<Self, RoutingError> {
        let is_ordered = 0.0 <= escalate_below && escalate_below <= share_from && share_from <= 1.0;
        if is_ordered {
            Ok(Self { escalate_below, share_from })
        } else {
            Err(RoutingError { escalate_below, share_from })
        }
    }

    /// What becomes of a message.
    pub fn route(&self, message: &IfMessage) -> Routed {
        let routed = |route, reason| Routed { route, reason };
        match message.confidence() {
            _ if message.auto_escalates() => routed(Route::Escalate, Reason::AutoEscalate),
            Some(confidence) if confidence < self.escalate_below => routed(Route::Escalate, Reason::Unsure),
            Some(confidence) if confidence >= self.share_from => routed(Route::Share, Reason::Sure),
            Some(_) => routed(Route::Hold, Reason::Between),
            None if message.performative == Some(Performative::Escalate) => routed(Route::Escalate, Reason::Asked),
            None => routed(Route::Hold, Reason::Unsaid),
        }
    }
}

impl Route {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Escalate => "escalate",
            Self::Hold => "hold",
            Self::Share => "share",
        }
    }
}

impl Reason {
    /// A sentence of it.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::AutoEscalate => "the hazard says that a human is to decide",
            Self::Unsure => "the agent is not sure enough",
            Self::Sure => "the agent is sure enough",
            Self::Between => "the agent is neither sure nor unsure enough",
            Self::Asked => "the agent wants a human to decide",
            Self::Unsaid => "the agent does not say how sure it is",
        }
    }
}
