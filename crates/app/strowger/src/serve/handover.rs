//! Calls that go to another process, and those that come from one. Asked of a worker, who answers when it gets to it.

use std::sync::mpsc::Sender;
use sx_engine::Time;
use sx_exchange::{ExchangeSnapshot, RestoreError, Worker};
use sx_types::CallId;

/// What a worker is to do, and where its answer goes.
pub enum Handover {
    /// Say what a call is, as soon as its ports have said what they know and nothing of it is under way.
    Export {
        /// The call.
        call: CallId,
        /// Forget it, when it can be told.
        release: bool,
        /// Where the call goes; dropped without a word when it ends before it can be told.
        answer: Sender<Box<ExchangeSnapshot>>,
    },
    /// Go on with a call.
    Import {
        /// The call.
        snapshot: Box<ExchangeSnapshot>,
        /// Where the outcome goes.
        answer: Sender<Result<(), RestoreError>>,
    },
}

impl Handover {
    /// Does it, on the worker's thread. Gives back what is worth another try after the next event.
    pub fn carry_out(self, worker: &mut Worker, now: Time) -> Option<Self> {
        match self {
            Self::Export { call, release, answer } => {
                let Some(snapshot) = worker.export(call) else {
                    let again = worker.call(call).is_some();
                    return again.then_some(Self::Export { call, release, answer });
                };
                // Who is no longer there has not got it.
                let is_told = answer.send(Box::new(snapshot)).is_ok();
                if release && is_told {
                    worker.forget(call);
                }
            }
            // Whoever has waited for too long misses nothing but the answer.
            Self::Import { snapshot, answer } => _ = answer.send(worker.import(now, *snapshot)),
        }
        None
    }
}
