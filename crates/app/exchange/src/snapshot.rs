//! A call as one value, signalling and all, that another exchange can go on with.

use crate::interface::Output;
use crate::layers::PartySnapshot;
use crate::worker::Worker;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use sx_bind_sip::{LegSnapshot, Rules};
use sx_call::{CallSnapshot, ExportError, ImportError};
use sx_engine::Time;
use sx_media::{MediaCommand, Opened};
use sx_types::CallId;

/// A call and its legs' sessions. Its media ports are opened again with the import, at the numbers its peers know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExchangeSnapshot {
    /// The call.
    pub call: CallSnapshot,
    /// Its legs.
    pub legs: Vec<LegSnapshot>,
    /// What is known of its parties.
    pub parties: Vec<PartySnapshot>,
}

/// A snapshot could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The call engine refuses it.
    #[error(transparent)]
    Call(#[from] ImportError),
}

impl Worker {
    /// A call as a value.
    ///
    /// # Errors
    /// When the call engine does not give it, or one of its sessions is in the middle of a change.
    pub fn export(&self, call: CallId) -> Result<ExchangeSnapshot, ExportError> {
        let snapshot = self.calls.export(call)?;
        let legs: Option<Vec<LegSnapshot>> = snapshot.legs().into_iter().map(|leg| self.legs.snapshot(leg)).collect();
        let parties = self.parties_of(&snapshot.legs());
        Ok(ExchangeSnapshot { call: snapshot, legs: legs.ok_or(ExportError::Changing)?, parties })
    }

    /// Goes on with a call that was exported elsewhere.
    ///
    /// # Errors
    /// When the call engine cannot take it; nothing is changed then.
    pub fn import(&mut self, now: Time, snapshot: ExchangeSnapshot) -> Result<(), RestoreError> {
        let ExchangeSnapshot { call, legs, parties } = snapshot;
        let named = call.legs();
        // Another leg would take the place of one that is here.
        if legs.len() != named.len() || !named.iter().all(|leg| legs.iter().any(|own| own.leg == *leg)) {
            return Err(ImportError::Malformed.into());
        }
        let rules: Vec<Arc<Rules>> = legs.iter().map(|leg| self.rules_of(call.trunk_of(leg.leg))).collect();
        self.calls.import(now, call)?;
        for (leg, rules) in legs.into_iter().zip(rules) {
            self.legs.restore(now, leg, rules);
        }
        parties.iter().for_each(|party| self.restore_party(party));
        self.settle(now);
        Ok(())
    }

    /// Forgets a call that another exchange goes on with: its peers hear nothing of it, its media ports are closed so
    /// that the other one can open them. `false`, and nothing is forgotten, when [`export`](Self::export) would give nothing
    /// either: then no other exchange can have it. So none of its legs still waits for its addresses.
    pub fn forget(&mut self, call: CallId) -> bool {
        let Ok(ExchangeSnapshot { call: snapshot, .. }) = self.export(call) else { return false };
        self.calls.forget(call);
        self.layers.callers.remove(&call);
        for leg in snapshot.legs() {
            self.legs.forget(leg);
            self.parties.remove(&leg);
            self.unheard.remove(&leg);
        }
        let close = |opened: Opened| Output::Media(MediaCommand::Close { port: opened.port });
        self.outputs.extend(snapshot.ports().into_iter().map(close));
        true
    }

    /// What holds for the legs of a trunk, or of users where it is none, or one that is no longer configured.
    fn rules_of(&self, trunk: Option<&Arc<str>>) -> Arc<Rules> {
        let table = trunk.and_then(|name| self.tables.trunks.iter().find(|table| table.config.name == *name));
        table.map_or_else(|| self.tables.users.clone(), |table| table.rules.clone())
    }
}
