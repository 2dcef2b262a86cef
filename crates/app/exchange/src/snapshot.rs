//! A call as one value, signalling and all, that another exchange can go on with.

use crate::worker::Worker;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use sx_bind_sip::{LegSnapshot, Rules};
use sx_call::{CallSnapshot, ImportError};
use sx_engine::Time;
use sx_types::CallId;

/// A call and its legs' sessions. The media ports it names are told by [`CallSnapshot::ports`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExchangeSnapshot {
    /// The call.
    pub call: CallSnapshot,
    /// Its legs.
    pub legs: Vec<LegSnapshot>,
}

/// A snapshot could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The call engine refuses it.
    #[error(transparent)]
    Call(#[from] ImportError),
}

impl Worker {
    /// A call as a value; `None` when there is no such call, or it is in the middle of a change of one of its sessions.
    pub fn export(&self, call: CallId) -> Option<ExchangeSnapshot> {
        let snapshot = self.calls.export(call)?;
        let legs: Option<Vec<LegSnapshot>> = snapshot.legs().into_iter().map(|leg| self.legs.snapshot(leg)).collect();
        Some(ExchangeSnapshot { call: snapshot, legs: legs? })
    }

    /// Goes on with a call that was exported elsewhere.
    ///
    /// # Errors
    /// When the call engine cannot take it; nothing is changed then.
    pub fn import(&mut self, now: Time, snapshot: ExchangeSnapshot) -> Result<(), RestoreError> {
        self.calls.import(now, snapshot.call)?;
        for leg in snapshot.legs {
            let rules: Arc<Rules> = self.tables.users.clone();
            self.legs.restore(now, leg, rules);
        }
        Ok(())
    }
}
