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
mod escalations;
mod evidence;
mod handover;
mod ndi;
mod parties;
mod policy;
mod quality;
mod refusals;
mod registrations;
mod reload;
mod rooms;
mod server;
mod sources;
mod tokens;
pub mod votes;
mod witness;

pub use evidence::sweep as sweep_evidence;
pub use reload::{NotReloaded, ReloadRequest, Reloading};
pub use server::start;

use super::asking::{Answered, Asked, NoAnswer, Workers};
use super::bans::Bans;
use super::clock::Clock;
use super::custody::Custody;
use super::events::Events;
use super::signals::Signal;
use super::tokens::TokenActors;
use refusals::Refusals;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sx_exchange::{People, Tables};
use sx_http::{
    ApiAnswer, ApiProblem, ApiRefusal, ApiRequest, AuthenticationFailed, Caller, EventSink, EventsWanted, Forbidden,
    Link, LinkRefused, Management, MetricsText,
};
use sx_io_rtp::Sounds;
use sx_net::mdns::Browser;
use sx_store::{Tokens, Votes, WitnessLog};
use tracing::warn;
use witness::Searches;

/// How long workers have to answer: far longer than a turn takes, and short enough that the API can still say so.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the main thread and operators share.
pub struct Live {
    tables: Mutex<Arc<Tables>>,
    people: Mutex<Arc<People>>,
    sounds: Mutex<Arc<Sounds>>,
    pub bans: Bans,
    /// The process is about to end: calls are not taken again. It is held while workers are told either way.
    stopping: Mutex<bool>,
    /// Requests to the API that were refused, in the order of [`ApiRefusal::ALL`].
    refused: [AtomicU64; ApiRefusal::ALL.len()],
    /// What the witness log is told of them.
    refusals: Mutex<Refusals>,
    /// Who has made and taken back which tokens by the API.
    pub token_actors: TokenActors,
}

/// What operators may ask, and how.
pub struct Operators {
    pub clock: Clock,
    pub name: Arc<str>,
    pub workers: Workers,
    pub live: Arc<Live>,
    pub log: WitnessLog,
    /// Can calls be recorded?
    pub records: bool,
    /// Where the witness log's files are.
    pub witness_folder: PathBuf,
    tokens: Mutex<Tokens>,
    votes: Arc<Mutex<Votes>>,
    pub custody: Arc<Custody>,
    pub events: Arc<Events>,
    /// NDI sources; `None`: it is not looked for any.
    pub ndi: Option<Arc<Browser>>,
    /// Held while workers are told what a later word takes back.
    telling: Mutex<()>,
    searches: Searches,
    /// The main thread; `None` where nobody reads the configuration again.
    pub main: Option<Sender<Signal>>,
}

impl Live {
    /// With these tables, and the bans that were kept.
    pub fn new(tables: Arc<Tables>, bans: Bans) -> Self {
        Self {
            tables: Mutex::new(tables),
            people: Mutex::default(),
            sounds: Mutex::default(),
            bans,
            stopping: Mutex::new(false),
            refused: Default::default(),
            refusals: Mutex::default(),
            token_actors: TokenActors::default(),
        }
    }

    /// The tables in force.
    pub fn tables(&self) -> Arc<Tables> {
        locked(&self.tables).clone()
    }

    /// The experts and the guardians who are known.
    pub fn people(&self) -> Arc<People> {
        locked(&self.people).clone()
    }

    /// From now on these are.
    pub fn know(&self, people: Arc<People>) {
        *locked(&self.people) = people;
    }

    /// Can this sound be played?
    pub fn has_sound(&self, name: &str) -> bool {
        locked(&self.sounds).find(name).is_some()
    }

    /// From now on these can be.
    pub fn hear(&self, sounds: Arc<Sounds>) {
        *locked(&self.sounds) = sounds;
    }

    /// From now on these are.
    pub fn take(&self, tables: Arc<Tables>) {
        *locked(&self.tables) = tables;
    }

    /// The process is about to end: `tell` tells the workers so, and nobody tells them otherwise from then on.
    pub fn stop(&self, tell: impl FnOnce()) {
        let mut stopping = locked(&self.stopping);
        *stopping = true;
        tell();
    }

    /// Tells the workers something that holds only while the process is not about to end. False: it is.
    fn unless_stopping(&self, tell: impl FnOnce()) -> bool {
        let stopping = locked(&self.stopping);
        if !*stopping {
            tell();
        }
        !*stopping
    }

    /// What scrapers are told of the API.
    pub fn write(&self, out: &mut MetricsText) {
        let help = "Requests to the management API that were refused before they were looked at.";
        let mut refused = out.counter("strowger_api_refused", "", help);
        for why in ApiRefusal::ALL {
            refused.sample(&[("reason", why.as_str())], self.refused[why as usize].load(Ordering::Relaxed));
        }
    }
}

impl Management for Operators {
    fn authenticate(&self, token: &str) -> Result<Caller, AuthenticationFailed> {
        self.whose(token)
    }

    fn subscribe(&self, caller: &Caller, wanted: &EventsWanted, sink: EventSink) -> Result<(), ApiProblem> {
        self.events.subscribe(caller, wanted, sink)
    }

    fn by_link(&self, link: &Link) -> Result<Caller, LinkRefused> {
        self.link_holder(link)
    }

    fn authentication_failed(&self, peer: IpAddr, failed: &AuthenticationFailed, asked: &sx_http::Asked) {
        self.record_failed(peer, failed, asked);
    }

    fn forbidden(&self, peer: IpAddr, caller: &Caller, forbidden: &Forbidden) {
        self.record_forbidden(peer, caller, forbidden);
    }

    fn refused(&self, why: ApiRefusal) {
        self.live.refused[why as usize].fetch_add(1, Ordering::Relaxed);
        if why == ApiRefusal::Failures {
            self.live.count_guess(self.clock.now());
        }
    }

    fn carry_out(&self, caller: &Caller, request: ApiRequest) -> Result<ApiAnswer, ApiProblem> {
        match request {
            ApiRequest::Calls { limit } => self.calls(limit),
            ApiRequest::Call { id } => self.call(&id),
            ApiRequest::Hangup { id, cause } => self.hang_up(caller, &id, cause),
            ApiRequest::Originate { from, to } => self.originate(caller, &from, &to),
            ApiRequest::ChangeParty { id, party, change } => self.change_party(caller, (&id, party), &change),
            ApiRequest::Record { id, change } => self.record(caller, &id, change),
            ApiRequest::ExportCall { id, release } => self.export_call(caller, &id, release),
            ApiRequest::ImportCall { worker, snapshot } => self.import_call(caller, worker, snapshot),
            ApiRequest::Trunks => self.trunks(),
            ApiRequest::Rooms => Ok(self.rooms()),
            ApiRequest::Invite { room, to } => self.invite(caller, &room, &to),
            ApiRequest::Members { room } => self.members(&room),
            ApiRequest::ChangeMember { room, id, change } => self.change_member(caller, (&room, &id), &change),
            ApiRequest::RemoveMember { room, id } => self.remove_member(caller, (&room, &id)),
            ApiRequest::LockRoom { room } => self.lock_room(caller, &room, true),
            ApiRequest::UnlockRoom { room } => self.lock_room(caller, &room, false),
            ApiRequest::Escalations { limit } => self.escalations(limit),
            ApiRequest::Escalation { id } => self.escalation(&id),
            ApiRequest::Escalate { message, from } => self.escalate(caller, &message, from),
            ApiRequest::EndEscalation { id } => self.end_escalation(caller, &id),
            ApiRequest::AddEvidence { id, upload } => self.add_evidence(caller, &id, &upload),
            ApiRequest::EvidenceOf { id } => self.evidence_of(&id),
            ApiRequest::EvidencePiece { id, piece } => self.evidence_piece(&id, &piece),
            ApiRequest::UploadEvidence { id, piece, chunk } => self.upload(caller, &id, &piece, &chunk),
            ApiRequest::RemoveEvidence { id, piece } => self.remove_evidence(caller, &id, &piece),
            ApiRequest::EvidenceContent { id, piece } => self.hand_out(caller, &id, &piece),
            ApiRequest::AcknowledgeEvidence { id, piece, sha256 } => self.acknowledge(caller, &id, &piece, &sha256),
            ApiRequest::LinkEvidence { id, to, seconds } => self.link_evidence(caller, &id, &to, seconds),
            ApiRequest::OpenVote { id, question, seconds } => self.open_vote(caller, &id, &question, seconds),
            ApiRequest::Votes { limit } => self.list_votes(limit),
            ApiRequest::Vote { id } => self.vote(&id),
            ApiRequest::CastBallot { id, ballot } => self.cast_ballot(caller, &id, &ballot),
            ApiRequest::Experts { limit } => Ok(self.experts(limit)),
            ApiRequest::Guardians { limit } => Ok(self.guardians(limit)),
            ApiRequest::Schema { name } => escalations::schema(&name),
            // Whoever asks for events is given them as they happen.
            ApiRequest::Events(_) => Err(ApiProblem::conflict("events are told as they happen")),
            ApiRequest::Ndi => Ok(self.ndi_sources()),
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

    /// What two operators want at a time is kept, and told to the workers, in one order: else some workers would hear a
    /// ban and then its end, and others the end first.
    fn in_one_order<T>(&self, tell: impl FnOnce() -> T) -> T {
        let _one_at_a_time = locked(&self.telling);
        tell()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use sx_config::Config;
    use sx_edge::Prefixes;
    use sx_engine::Time;
    use sx_store::DataFolder;

    #[test]
    fn the_end_is_the_last_word_whoever_takes_calls_again_meanwhile() {
        let tables = Tables::build(&Config::default(), Vec::new(), None).expect("they fit together");
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::open(folder.path()).expect("a data folder");
        let bans = Bans::open(&data, Prefixes::default(), 262_144, Time::from_secs(1)).expect("none were kept");
        let live = Live::new(Arc::new(tables), bans);
        let (say, said) = channel();
        std::thread::scope(|scope| {
            let took = live.unless_stopping(|| {
                let (begun, begins) = channel();
                let (stopping, live) = (say.clone(), &live);
                scope.spawn(move || {
                    begun.send(()).expect("somebody waits");
                    live.stop(|| stopping.send("drain").expect("somebody listens"));
                });
                begins.recv().expect("it begins");
                let early = said.recv_timeout(Duration::from_millis(200));
                assert!(early.is_err(), "between the question and the answer nobody ends it");
                say.send("undrain").expect("somebody listens");
            });
            assert!(took);
        });
        assert_eq!(said.try_iter().collect::<Vec<_>>(), ["undrain", "drain"]);
        assert!(!live.unless_stopping(|| panic!("it is about to end")));
    }
}
