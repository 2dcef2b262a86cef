//! A call goes on in another process.
//!
//! ```text
//!  POST /calls/{id}/export ──► the ports say what they know ──► the worker says what the call is ──► a value with its keys
//!  POST /calls             ──► the worker that has this number goes on with it
//! ```

use super::change::Change;
use super::{Operators, PATIENCE};
use crate::serve::handover::Handover;
use crate::serve::mailbox::Mail;
use serde_json::{Value, json};
use std::sync::mpsc::{RecvTimeoutError, channel};
use sx_call::Command;
use sx_exchange::ExchangeSnapshot;
use sx_http::{ApiAnswer, ApiProblem, Caller};
use sx_types::{CallId, TraceId};

impl Operators {
    pub(super) fn export_call(&self, caller: &Caller, id: &str, release: bool) -> Result<ApiAnswer, ApiProblem> {
        let found = self.find(id);
        let call = found.as_ref().ok().map(|(_, call)| (call.call, call.trace));
        let change = Change { call, ..Change::new("export_call", id).with("release", release) };
        self.change(caller, &change, || {
            let (worker, call) = found?;
            self.workers.tell(worker, Mail::Command(Command::Remember { call: call.call }));
            let snapshot = self.exported(worker, call.call, release)?;
            Ok(ApiAnswer::Json(json!({ "worker": worker, "snapshot": snapshot })))
        })
    }

    /// What a call is, as soon as nothing of it is under way.
    fn exported(&self, worker: u16, call: CallId, release: bool) -> Result<Box<ExchangeSnapshot>, ApiProblem> {
        let (answer, told) = channel();
        self.workers.tell(worker, Mail::Handover(Handover::Export { call, release, answer }));
        told.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Disconnected => ApiProblem::conflict("the call is over"),
            RecvTimeoutError::Timeout => ApiProblem::conflict("the call is being changed"),
        })
    }

    pub(super) fn import_call(&self, caller: &Caller, worker: u16, snapshot: Value) -> Result<ApiAnswer, ApiProblem> {
        let snapshot: Result<ExchangeSnapshot, _> = serde_json::from_value(snapshot);
        let call = snapshot.as_ref().ok().map(|snapshot| snapshot.call.call());
        let subject = call.map(|call| call.to_string()).unwrap_or_default();
        let traced = call.map(|call| (call, TraceId::from(call)));
        let change = Change { call: traced, ..Change::new("import_call", &subject).with("worker", i64::from(worker)) };
        self.change(caller, &change, || {
            let snapshot =
                snapshot.map_err(|error| ApiProblem::conflict(format!("this is no snapshot of a call: {error}")))?;
            if usize::from(worker) >= self.workers.len() {
                return Err(ApiProblem::conflict(
                    "this exchange has fewer workers than the one that the call comes from",
                ));
            }
            let (answer, told) = channel();
            self.workers.tell(worker, Mail::Handover(Handover::Import { snapshot: Box::new(snapshot), answer }));
            match told.recv_timeout(PATIENCE) {
                Ok(Ok(())) => Ok(ApiAnswer::NoContent),
                Ok(Err(error)) => Err(ApiProblem::conflict(error.to_string())),
                Err(_) => Err(ApiProblem::unavailable("the worker has not answered in time")),
            }
        })
    }
}
