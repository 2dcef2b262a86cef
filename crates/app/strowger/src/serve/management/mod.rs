//! What the management API asks of the exchange, and how it is done.
//!
//! ```text
//!  request ──► (reads)   ask the workers ──────────────────────────────────────────────► answer
//!         └──► (changes) record "requested" ──durable──► change ──► record its outcome ──► answer
//!                              └── not durable: 503, and nothing is changed
//! ```
//!
//! All of it runs on threads of the API's server, which may wait. Calls and sources belong to the workers, who are asked
//! and told through their mailboxes; the configuration belongs to the main thread, which is asked to read it again.

mod calls;
mod change;
mod policy;
mod refusals;
mod registrations;
mod reload;
mod server;
mod sources;
mod tokens;
mod witness;

pub use reload::{NotReloaded, ReloadRequest, Reloading};
pub use server::start;

use super::asking::{Answered, Asked, NoAnswer, Workers};
use super::clock::Clock;
use super::signals::Signal;
use refusals::Refusals;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sx_exchange::Tables;
use sx_http::{ApiAnswer, ApiProblem, ApiRequest, AuthenticationFailed, Caller, Management};
use sx_store::{Tokens, WitnessLog};
use witness::Searches;
use tracing::warn;

/// How long workers have to answer: far longer than a turn takes, and short enough that the API can still say so.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the main thread changes and operators read.
#[derive(Debug)]
pub struct Live {
    tables: Mutex<Arc<Tables>>,
    /// The process is about to end: calls are not taken again.
    stopping: AtomicBool,
}

/// What operators may ask, and how.
pub struct Operators {
    pub clock: Clock,
    pub name: Arc<str>,
    pub workers: Workers,
    pub live: Arc<Live>,
    pub log: WitnessLog,
    /// Where the witness log's files are.
    pub witness_folder: PathBuf,
    tokens: Mutex<Tokens>,
    searches: Searches,
    refusals: Mutex<Refusals>,
    /// The main thread; `None` where nobody reads the configuration again.
    pub main: Option<Sender<Signal>>,
}

impl Live {
    /// With these tables.
    pub fn new(tables: Arc<Tables>) -> Self {
        Self { tables: Mutex::new(tables), stopping: AtomicBool::new(false) }
    }

    /// The tables in force.
    pub fn tables(&self) -> Arc<Tables> {
        locked(&self.tables).clone()
    }

    /// From now on these are.
    pub fn take(&self, tables: Arc<Tables>) {
        *locked(&self.tables) = tables;
    }

    /// The process is about to end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

impl Management for Operators {
    fn authenticate(&self, token: &str) -> Result<Caller, AuthenticationFailed> {
        self.whose(token)
    }

    fn authentication_failed(&self, peer: IpAddr, failed: &AuthenticationFailed) {
        self.record_failed(peer, failed);
    }

    fn carry_out(&self, caller: &Caller, request: ApiRequest) -> Result<ApiAnswer, ApiProblem> {
        match request {
            ApiRequest::Calls { limit } => self.calls(limit),
            ApiRequest::Call { id } => self.call(&id),
            ApiRequest::Hangup { id, cause } => self.hang_up(caller, &id, cause),
            ApiRequest::Trunks => self.trunks(),
            ApiRequest::Sources { banned_only, limit } => self.sources(banned_only, limit),
            ApiRequest::Source { address } => self.source(address),
            ApiRequest::Ban { address, seconds, reason } => self.ban(caller, address, seconds, &reason),
            ApiRequest::Unban { address } => self.unban(caller, address),
            ApiRequest::Policy => Ok(self.policy()),
            ApiRequest::PolicyExplain { facts } => self.explain(&facts),
            ApiRequest::ReloadConfig => self.reload(caller, Reloading::Configuration),
            ApiRequest::ReloadPolicy => self.reload(caller, Reloading::Policy),
            ApiRequest::Drain => self.drain(caller),
            ApiRequest::Undrain => self.undrain(caller),
            ApiRequest::Registrations { user, limit } => self.registrations(user.as_deref(), limit),
            ApiRequest::Unregister { aor } => self.unregister(caller, &aor),
            ApiRequest::WitnessStatus => Ok(self.witness_status()),
            ApiRequest::WitnessTrace { trace_id, limit } => self.witness_trace(&trace_id, limit),
            ApiRequest::Tokens => self.list_tokens(),
            ApiRequest::CreateToken { name, role, expires_s } => self.create_token(caller, &name, role, expires_s),
            ApiRequest::RevokeToken { id } => self.revoke_token(caller, &id),
            ApiRequest::Version => Ok(self.version()),
        }
    }
}

impl Operators {
    fn version(&self) -> ApiAnswer {
        ApiAnswer::Json(serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "name": &*self.name,
            "workers": self.workers.len(),
            "time": self.clock.now().to_string(),
        }))
    }

    /// What all workers answer.
    fn ask(&self, asked: Asked) -> Result<Vec<(u16, Answered)>, ApiProblem> {
        self.workers.ask(asked, PATIENCE).map_err(late)
    }

    /// Workers were told something: has it been done by now? What was told lies in their mailboxes and will be done in any case.
    fn told(&self) -> ApiAnswer {
        match self.workers.wait(PATIENCE) {
            Ok(()) => ApiAnswer::NoContent,
            Err(error) => {
                warn!(%error, "what an operator wants has yet to be done");
                ApiAnswer::Accepted
            }
        }
    }
}

fn late(late: NoAnswer) -> ApiProblem {
    ApiProblem::unavailable(late.to_string())
}

/// A thread that panics ends the process; what it leaves behind is read by nobody.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
