//! One media port of a call, and what it knows of its peer when it is asked.

use crate::state::Role;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use sx_engine::Time;
use sx_media::{Counted, Opened, PortId, PortMemory, TrafficClass};
use sx_types::LegId;

/// A media port of the call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Port {
    pub id: PortId,
    /// The leg it faces.
    pub leg: LegId,
    /// Which stream of the leg's description.
    pub stream: u8,
    /// Whose statistics it keeps.
    pub role: Role,
    /// The media interface it is on, and how its packets are marked: whoever carries the call on opens it alike.
    pub interface: Arc<str>,
    pub class: TrafficClass,
    pub state: PortState,
    /// What it knew of its peer when it was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Box<PortMemory>>,
    /// So many times it was asked and has not answered.
    #[serde(skip)]
    pub asked: u8,
    /// The call has changed since it was asked last: what it answers may not hold any more.
    #[serde(skip)]
    pub outdated: bool,
    /// What it has counted, when it said so last.
    #[serde(skip)]
    pub counted: Option<Box<(Time, Counted)>>,
}

impl Port {
    /// Has it said what it knows of its peer, as far as it has one?
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.state, PortState::Open(_)) || self.memory.is_some()
    }

    /// Is it in the middle of a DTLS handshake?
    pub(crate) fn is_shaking(&self) -> bool {
        self.memory.as_ref().is_some_and(|memory| memory.shaking)
    }

    /// It was asked what it knows.
    pub(crate) fn ask(&mut self) {
        self.memory = None;
        self.asked = self.asked.saturating_add(1);
        self.outdated = false;
    }

    /// It has said what it knows: it counts if nobody has asked again since, and the call is as it was.
    pub(crate) fn remembered(&mut self, memory: &PortMemory) {
        self.asked = self.asked.saturating_sub(1);
        if self.asked == 0 && !self.outdated {
            self.memory = Some(Box::new(memory.clone()));
        }
    }

    /// The call changes: with other keys, what it knew would be too little.
    pub(crate) fn outdate(&mut self) {
        self.memory = None;
        self.outdated = true;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PortState {
    Opening,
    Open(Opened),
    Closing,
}
