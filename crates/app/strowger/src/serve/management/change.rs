//! Changes: each is written down before it is made, and so is what came of it.

use super::Operators;
use crate::serve::trust::shortened;
use std::time::Duration;
use sx_http::{ApiAnswer, ApiProblem, Caller};
use sx_types::{CallId, TraceId};
use sx_witness::{Draft, Facts, Kind};
use tracing::error;

/// How long a change waits for its record to be on the disk.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of why it was refused, in a record: a file that was read again may be wrong in any number of ways.
const REASON_CHARS_MAX: usize = 1_024;

/// What somebody wants changed, as it is written down.
pub struct Change<'a> {
    /// Of what.
    pub subject: &'a str,
    /// Why, in the words of whoever wants it; empty when they say nothing.
    pub reason: &'a str,
    /// The call it is about, and its story.
    pub call: Option<(CallId, TraceId)>,
    /// The story, where it is that of no call.
    pub trace: Option<TraceId>,
    /// The command's name, as `hangup`, and what else there is to say.
    pub facts: Facts<'a>,
}

impl<'a> Change<'a> {
    /// A change of the subject by this command.
    pub fn new(command: &'static str, subject: &'a str) -> Self {
        Self { subject, reason: "", call: None, trace: None, facts: Facts::new().with("command", command) }
    }

    /// With one more fact.
    pub fn with(mut self, name: &'static str, value: impl Into<sx_witness::Value<'a>>) -> Self {
        self.facts.push(name, value);
        self
    }
}

impl Operators {
    /// Makes a change that was asked for, once it is on the disk that it was, and writes down what has come of it.
    ///
    /// When the first cannot be written nothing is changed. When only the second cannot, the change stands, the log of
    /// the process says so, and the witness log has at least that it was asked for.
    pub fn change(
        &self,
        caller: &Caller,
        change: &Change<'_>,
        carry_out: impl FnOnce() -> Result<ApiAnswer, ApiProblem>,
    ) -> Result<ApiAnswer, ApiProblem> {
        self.change_telling(caller, change, || carry_out().map(|answer| (answer, Facts::new())))
    }

    /// The same; what has come of it has facts that were not known before.
    pub fn change_telling(
        &self,
        caller: &Caller,
        change: &Change<'_>,
        carry_out: impl FnOnce() -> Result<(ApiAnswer, Facts<'static>), ApiProblem>,
    ) -> Result<ApiAnswer, ApiProblem> {
        let actor = actor(caller);
        if !self.record_change(&actor, change, "requested", change.reason, Facts::new()) {
            let detail = "the witness log cannot be written; nothing is changed that cannot be accounted for";
            return Err(ApiProblem::unavailable(detail));
        }
        let done = carry_out();
        let (done, told) = match done {
            Ok((answer, facts)) => {
                let told = self.record_change(&actor, change, "carried_out", change.reason, facts);
                (Ok(answer), told)
            }
            Err(problem) => {
                let reason = shortened(&problem.detail, REASON_CHARS_MAX);
                let told = self.record_change(&actor, change, "refused", &reason, Facts::new());
                (Err(problem), told)
            }
        };
        if !told {
            let refused = done.is_err();
            error!(refused, "what has come of a command is not in the witness log");
        }
        done
    }

    fn record_change(
        &self,
        actor: &str,
        change: &Change<'_>,
        outcome: &str,
        reason: &str,
        more: Facts<'static>,
    ) -> bool {
        let now = self.clock.now();
        let tables = self.live.tables();
        let draft = Draft {
            actor,
            subject: change.subject,
            outcome,
            reason,
            call: change.call.map(|(call, _)| call),
            trace: change.call.map(|(_, trace)| trace).or(change.trace),
            policy_version: tables.policy.version(),
            facts: change.facts.clone().and(more),
            ..Draft::new(now, Kind::Command)
        };
        self.log.record(&draft, now, PATIENCE)
    }
}

/// Whoever asks, as records name them.
pub fn actor(caller: &Caller) -> String {
    format!("token {} ({})", caller.name, caller.id)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Live;
    use super::*;
    use crate::serve::asking::Workers;
    use crate::serve::bans::Bans;
    use crate::serve::clock::{Clock, wall};
    use crate::serve::mailbox::Mailbox;
    use crate::serve::reload::Reloaded;
    use crate::serve::signals::Signal;
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use sx_config::Config;
    use sx_edge::Prefixes;
    use sx_exchange::Tables;
    use sx_http::Role;
    use sx_store::{DataFolder, WitnessFolder, WitnessLog, WitnessOptions, read_or_make_key};

    /// An exchange without workers.
    pub fn operators(folder: &Path) -> Operators {
        operators_at(folder, Clock::start())
    }

    /// The same, with this clock.
    pub fn operators_at(folder: &Path, clock: Clock) -> Operators {
        let data = DataFolder::open(folder).expect("a folder");
        let key = read_or_make_key(&folder.join("witness.key"), "test", [7; 32], true).expect("a key");
        let (log, _) = WitnessLog::open(&data, key, WitnessOptions::default(), clock.now()).expect("a log");
        let tokens = data.shared().tokens().expect("tokens");
        let events = Arc::new(crate::serve::events::Events::start(log.clone(), tokens, 64).expect("a thread"));
        let tables = Tables::build(&Config::default(), Vec::new(), None).expect("they fit together");
        let bans = Bans::open(&data, Prefixes::default(), 262_144, wall()).expect("bans");
        Operators {
            clock,
            name: "test".into(),
            workers: Workers::at(Vec::new()),
            live: Arc::new(Live::new(Arc::new(tables), bans)),
            log,
            witness_folder: WitnessFolder::of_data(folder),
            tokens: Mutex::new(data.shared().tokens().expect("tokens")),
            votes: Arc::new(Mutex::new(data.shared().votes().expect("votes"))),
            custody: Arc::new(crate::serve::custody::Custody::open(&Config::default(), &data).expect("evidence")),
            ndi: None,
            events,
            telling: Mutex::default(),
            searches: super::super::Searches::default(),
            records: false,
            main: None,
        }
    }

    /// The records of the witness log.
    pub fn records(folder: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(folder.join("witness/00000000000000000000.jsonl")).expect("a segment");
        let lines = text.trim_end_matches('\0').lines();
        lines.map(|line| serde_json::from_str(line).expect("a record")).collect()
    }

    #[test]
    fn what_cannot_be_written_down_is_not_done() {
        let folder = tempfile::tempdir().expect("a folder");
        let operators = operators(folder.path());
        let caller = Caller { name: "anna".into(), role: Role::Operator, id: "0a1b2c3d4e5f".into() };
        let mut done = Vec::new();
        for (subject, expected) in [("open", Ok(ApiAnswer::NoContent)), ("closed", Err(503))] {
            let answer = operators.change(&caller, &Change::new("ban", subject), || {
                done.push(subject);
                Ok(ApiAnswer::NoContent)
            });
            assert_eq!(answer.map_err(|problem| problem.status), expected);
            assert!(operators.log.close(operators.clock.now(), PATIENCE));
        }
        assert_eq!(done, ["open"], "what the log did not take was not done");
    }

    #[test]
    fn a_change_that_takes_long_holds_up_no_ban() {
        let folder = tempfile::tempdir().expect("a folder");
        let operators = operators(folder.path());
        let caller = Caller { name: "anna".into(), role: Role::Operator, id: "0a1b2c3d4e5f".into() };
        let banned = operators.change(&caller, &Change::new("reload_config", "configuration"), || {
            let is_free = operators.telling.try_lock().is_ok();
            is_free.then(|| operators.ban(&caller, [192, 0, 2, 7].into(), 60, "")).expect("nobody holds it")
        });
        assert_eq!(banned, Ok(ApiAnswer::NoContent));
    }

    #[test]
    fn a_reload_that_workers_have_yet_to_take_is_accepted_and_not_done() {
        let folder = tempfile::tempdir().expect("a folder");
        let caller = Caller { name: "anna".into(), role: Role::Administrator, id: "0a1b2c3d4e5f".into() };
        let (main, asked) = std::sync::mpsc::channel();
        let main_thread = std::thread::spawn(move || {
            while let Ok(Signal::Asked(request)) = asked.recv() {
                assert!(request.claim.take());
                let done = Reloaded { changed: Vec::new(), waiting: Vec::new() };
                request.answer.send(Ok(done)).expect("somebody waits");
            }
        });
        let net = sx_net::Net::open(0, &sx_net::NetConfig::default(), sx_engine::Time::ZERO).expect("opens");
        let (mailbox, _inbox) = Mailbox::open(net.waker());
        for (workers, expected) in [(Vec::new(), false), (vec![mailbox], true)] {
            let operators = Operators {
                workers: Workers::at(workers),
                main: Some(main.clone()),
                ..operators(&folder.path().join(expected.to_string()))
            };
            let answer = operators.reload(&caller, super::super::Reloading::Policy).expect("it was taken over");
            assert_eq!(answer == ApiAnswer::Accepted, expected, "{answer:?}");
        }
        drop(main);
        main_thread.join().expect("no panic");
    }

    #[test]
    fn a_reload_that_nobody_can_carry_out_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let operators = operators(folder.path());
        let caller = Caller { name: "anna".into(), role: Role::Administrator, id: "0a1b2c3d4e5f".into() };
        let answer = operators.reload(&caller, super::super::Reloading::Policy);
        assert_eq!(answer.map_err(|problem| problem.status), Err(503));
    }
}
