//! A call goes on in another process.
//!
//! ```text
//!  POST /calls/{id}/export ──► the worker asks the ports what they know, and says what the call is ──► a value with its keys
//!  POST /calls             ──► the worker that has this number goes on with it
//! ```

use super::change::Change;
use super::{Operators, PATIENCE};
use crate::serve::handover::{Claim, Export, Handover, Import, NotExported};
use crate::serve::mailbox::Mail;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use sx_exchange::ExchangeSnapshot;
use sx_http::{ApiAnswer, ApiProblem, Caller};
use sx_types::{CallId, TraceId};

impl Operators {
    pub(super) fn export_call(&self, caller: &Caller, id: &str, release: bool) -> Result<ApiAnswer, ApiProblem> {
        let found = self.find(id);
        let named = id.parse().ok().map(|call: CallId| (call, TraceId::from(call)));
        let call = found.as_ref().map_or(named, |(_, call)| Some((call.call, call.trace)));
        let change = Change { call, ..Change::new("export_call", id).with("release", release) };
        self.change(caller, &change, || {
            let (worker, text) = match (found, named) {
                (Ok((worker, call)), _) => (worker, self.exported(worker, call.call, release)?),
                // It may have been let go, and that not have been heard.
                (Err(problem), Some((call, _))) if problem.status == 404 && release => self.let_go(call, problem)?,
                (Err(problem), _) => return Err(problem),
            };
            let snapshot: Value = serde_json::from_str(&text).map_err(|_| ApiProblem::internal())?;
            Ok(ApiAnswer::Json(json!({ "worker": worker, "snapshot": snapshot })))
        })
    }

    /// What a call is, as soon as nothing of it is under way.
    fn exported(&self, worker: u16, call: CallId, release: bool) -> Result<Arc<str>, ApiProblem> {
        self.asked_for(worker, call, release).map_err(problem)
    }

    /// A call that was let go a moment ago, whichever worker had it; else this problem.
    fn let_go(&self, call: CallId, problem_else: ApiProblem) -> Result<(u16, Arc<str>), ApiProblem> {
        // Few: as many as there are cores.
        for worker in (0..self.workers.len()).filter_map(|worker| u16::try_from(worker).ok()) {
            match self.asked_for(worker, call, true) {
                Ok(text) => return Ok((worker, text)),
                Err(Unheard::Refused(NotExported::Over)) => {}
                Err(unheard) => return Err(problem(unheard)),
            }
        }
        Err(problem_else)
    }

    fn asked_for(&self, worker: u16, call: CallId, release: bool) -> Result<Arc<str>, Unheard> {
        let ((answer, told), claim) = (channel(), Claim::default());
        let export = Export { call, release, claim: claim.clone(), answer };
        self.workers.tell(worker, Mail::Handover(Handover::Export(export)));
        heard(&told, &claim, PATIENCE)
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
            self.workers
                .tell(worker, Mail::Handover(Handover::Import(Import { snapshot: Box::new(snapshot), answer })));
            match told.recv_timeout(PATIENCE) {
                Ok(Ok(())) => Ok(ApiAnswer::NoContent),
                Ok(Err(error)) => Err(ApiProblem::conflict(error.to_string())),
                Err(_) => Err(ApiProblem::unavailable("the worker has not answered in time")),
            }
        })
    }
}

/// Why there is nothing to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unheard {
    /// The worker says why; the call is where it was.
    Refused(NotExported),
    /// It was asked for in vain, and is not wanted any more.
    Withdrawn,
    /// The worker has taken it up, and has not answered.
    Missing,
}

/// What a worker answers. When it takes too long the question is withdrawn; but what it has taken up by then is waited for.
fn heard(
    told: &Receiver<Result<Arc<str>, NotExported>>,
    claim: &Claim,
    patience: Duration,
) -> Result<Arc<str>, Unheard> {
    let answer = match told.recv_timeout(patience) {
        Err(RecvTimeoutError::Timeout) if claim.take() => return Err(Unheard::Withdrawn),
        Err(RecvTimeoutError::Timeout) => told.recv_timeout(patience),
        answer => answer,
    };
    answer.map_err(|_| Unheard::Missing)?.map_err(Unheard::Refused)
}

fn problem(unheard: Unheard) -> ApiProblem {
    match unheard {
        Unheard::Refused(why @ (NotExported::Over | NotExported::Changing)) => ApiProblem::conflict(why.to_string()),
        Unheard::Refused(why @ (NotExported::Shaking | NotExported::Busy)) => ApiProblem::unavailable(why.to_string()),
        Unheard::Refused(why @ NotExported::TooLarge(_)) => {
            ApiProblem::new(409, "call-too-large", "The call is too large to be taken back", why.to_string())
        }
        Unheard::Withdrawn => ApiProblem::conflict(NotExported::Changing.to_string()),
        Unheard::Missing => {
            ApiProblem::unavailable("the worker has not answered in time; where the call was let go, ask for it again")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_has_taken_up_is_waited_for_and_all_else_withdrawn() {
        let soon = Duration::from_millis(1);
        // Nobody has taken it up.
        let ((answer, told), claim) = (channel(), Claim::default());
        assert_eq!(heard(&told, &claim, soon), Err(Unheard::Withdrawn));
        assert!(!claim.take(), "no worker does it any more");
        // It was taken up before it could be withdrawn, and the answer comes behind that.
        let claim = Claim::default();
        assert!(claim.take());
        let heard_by = std::thread::spawn(move || heard(&told, &claim, Duration::from_secs(2)));
        answer.send(Ok("call".into())).expect("it is waited for");
        assert_eq!(heard_by.join().expect("it does not panic"), Ok("call".into()));
        // It was, and then nothing came.
        let ((_answer, told), claim) = (channel(), Claim::default());
        assert!(claim.take());
        assert_eq!(heard(&told, &claim, soon), Err(Unheard::Missing));
    }
}
