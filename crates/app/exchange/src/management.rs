//! What operators may know of a worker, and what they may do to it besides ending calls.
//!
//! The answers are copies, each of at most so many entries as were asked for: whoever asks never holds the worker up for
//! longer than it takes to make them.

use crate::worker::Worker;
use std::net::IpAddr;
use std::sync::Arc;
use sx_call::{CallCounts, CallSummary};
use sx_edge::{SourceReport, Why};
use sx_engine::Time;
use sx_types::{CallId, TraceId};

/// What an operator wants changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Take nothing from a source. A ban that stands already gets this end.
    Ban {
        /// One of its addresses.
        address: IpAddr,
        /// Until then.
        until: Time,
    },
    /// Take traffic from a source again.
    Unban {
        /// One of its addresses.
        address: IpAddr,
    },
    /// End an escalation, and with it the calls to experts. For the worker that has it.
    EndEscalation {
        /// Which.
        id: TraceId,
        /// Who wants it, as records name them.
        by: Box<str>,
    },
    /// Forget where a user is registered. For the worker that keeps it ([`keeper_of`](crate::keeper_of)).
    Unregister {
        /// The address of record, `user@domain`.
        aor: Box<str>,
        /// Who wants it, as records name them.
        by: Box<str>,
    },
}

/// How a trunk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkReport {
    /// Its name.
    pub name: Arc<str>,
    /// Does it answer its probes, or is it not probed?
    pub healthy: bool,
    /// Calls on it, of all workers.
    pub calls: u32,
}

/// A place where a user is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredContact {
    /// The address of record, `user@domain`.
    pub aor: Box<str>,
    /// The contact.
    pub uri: Box<str>,
    /// What leads to it; empty for nothing.
    pub path: Box<str>,
    /// The instance id of the device; empty for none.
    pub instance: Box<str>,
    /// The priority in thousandths.
    pub q_milli: u16,
    /// Seconds it has left.
    pub expires_s: u32,
}

impl Worker {
    /// One call.
    pub fn call(&self, call: CallId) -> Option<CallSummary> {
        self.calls.summary(call)
    }

    /// What the ports of a call have counted; `since`: what they have said before does not count as an answer. They are asked
    /// with [`Command::Count`](sx_call::Command::Count).
    pub fn call_counts(&self, call: CallId, since: Time) -> Option<CallCounts> {
        self.calls.counts(call, since)
    }

    /// The trunks, in the order of their configuration.
    pub fn trunks(&self) -> impl Iterator<Item = TrunkReport> {
        self.trunks.iter().map(|trunk| TrunkReport {
            name: trunk.name().clone(),
            healthy: trunk.is_healthy(),
            calls: self.tables.routes.load(trunk.name()).map_or(0, |load| load.active()),
        })
    }

    /// Sources that traffic came from, a part of them: asked for from place 0 on, it also says where the next part begins.
    pub fn sources(&self, now: Time, from: usize) -> (impl Iterator<Item = SourceReport>, Option<usize>) {
        let next = from.saturating_add(PLACES_PER_TURN);
        let more = (next < self.layers.sources.capacity()).then_some(next);
        (self.layers.sources.known_among(now, from..next), more)
    }

    /// What is known of the source that an address belongs to.
    pub fn source(&self, now: Time, address: IpAddr) -> Option<SourceReport> {
        self.layers.sources.explain(now, self.source_of(address))
    }

    /// Everybody who is registered here, in no order.
    pub fn registrations(&self, now: Time) -> impl Iterator<Item = RegisteredContact> {
        self.registrar.all(now).map(|(aor, contact)| registered(aor, &contact))
    }

    /// The places where a user is registered.
    pub fn registrations_of(&self, now: Time, aor: &str) -> impl Iterator<Item = RegisteredContact> {
        self.registrar.contacts(now, aor).map(move |contact| registered(aor, &contact))
    }

    /// How many places are registered here.
    pub fn bindings(&self) -> usize {
        self.registrar.len()
    }

    /// Does what an operator wants. What was under way of a source that is banned is not ended.
    pub(crate) fn operate(&mut self, now: Time, operation: &Operation) {
        match operation {
            Operation::Ban { address, until } => {
                let source = self.source_of(*address);
                self.layers.sources.ban(now, source, *until, Why::Operator);
            }
            Operation::Unban { address } => {
                let source = self.source_of(*address);
                self.layers.sources.unban(source);
            }
            Operation::EndEscalation { id, by } => self.end_escalation(now, *id, by),
            Operation::Unregister { aor, by } => {
                let removed = self.registrar.remove(aor);
                if removed > 0 {
                    self.witness_removal(now, aor, by, removed);
                }
            }
        }
    }
}

/// So many places of the table of sources are looked at for one answer: calls do not wait for more.
const PLACES_PER_TURN: usize = 4_096;

fn registered(aor: &str, contact: &sx_sip::registrar::ContactView<'_>) -> RegisteredContact {
    RegisteredContact {
        aor: aor.into(),
        uri: contact.uri.into(),
        path: contact.path.into(),
        instance: contact.instance.into(),
        q_milli: contact.q,
        expires_s: contact.expires_s,
    }
}
