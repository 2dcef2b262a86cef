//! A sound that the peer of a port is to hear.

use crate::Coding;
use std::sync::Arc;

/// What is played to the peer of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playing {
    /// Its name, among the sounds that the packet threads have.
    pub sound: Arc<str>,
    /// Over and over again, rather than once.
    pub repeats: bool,
    /// What the peer takes, best first: it is sent the first that can be coded.
    pub to: Vec<Coding>,
    /// Milliseconds of sound in a packet; one that the codec has not becomes 20.
    pub ptime_ms: u16,
    /// Given back at its end ([`MediaEvent::Played`](crate::MediaEvent::Played)), so that nobody takes the end of the one for
    /// that of another.
    pub number: u16,
}

/// How much of a sound was played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayOutcome {
    /// All of it.
    Whole,
    /// Nothing: there is no sound of this name, as many are being played as may be, or the peer takes nothing that can be
    /// coded.
    Nothing,
}
