//! Reading the configuration or the policy again: the main thread does it, and whoever asked waits for it.

use super::Operators;
use super::change::{Change, actor};
use crate::serve::build::{Fault, in_one_line};
use crate::serve::reload::Reloaded;
use crate::serve::signals::Signal;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use sx_http::{ApiAnswer, ApiProblem, Caller, FieldProblem, Place};

/// How long the main thread has to begin.
const BEGIN: Duration = Duration::from_secs(1);
/// How long it has to end, once it has begun. It reads files, and waits for a record to be on the disk.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloading {
    /// The whole configuration, and with it the policy.
    Configuration,
    /// The policy, where the configuration in force says that it is.
    Policy,
}

/// What the main thread is asked.
#[derive(Debug)]
pub struct ReloadRequest {
    /// What is to be read again.
    pub what: Reloading,
    /// Who asks, as records name them.
    pub by: String,
    /// Where the answer goes.
    pub answer: SyncSender<Result<Reloaded, NotReloaded>>,
    /// Whose it is to say what becomes of it.
    pub claim: Claim,
}

/// A request that one thread makes and another takes up: the first of them to claim it decides whether it is done, so that
/// nothing is done which its asker has been told was not.
#[derive(Clone, Debug, Default)]
pub struct Claim(Arc<AtomicBool>);

impl Claim {
    /// Is it ours? The other one hears that it is not theirs from then on.
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// Why nothing was taken over; what was in force stays so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReloaded {
    /// What was read is wrong: all that is.
    #[error("{}", in_one_line(.0))]
    Wrong(Vec<Fault>),
    /// That it is to be taken over cannot be written down.
    #[error("the witness log cannot be written; nothing is changed that cannot be accounted for")]
    Unwitnessed,
    /// Something else is in the way.
    #[error("{0}")]
    Failed(String),
}

impl Operators {
    pub(super) fn reload(&self, caller: &Caller, what: Reloading) -> Result<ApiAnswer, ApiProblem> {
        let (command, subject) = match what {
            Reloading::Configuration => ("reload_config", "configuration"),
            Reloading::Policy => ("reload_policy", "policy"),
        };
        self.change(caller, &Change::new(command, subject), || {
            let nobody = || ApiProblem::unavailable("the exchange takes no new configuration at the moment");
            let main = self.main.as_ref().ok_or_else(nobody)?;
            let (answer, answers) = sync_channel(1);
            let claim = Claim::default();
            let request = ReloadRequest { what, by: actor(caller), answer, claim: claim.clone() };
            main.send(Signal::Asked(request)).map_err(|_| nobody())?;
            let done = match answers.recv_timeout(BEGIN) {
                Err(RecvTimeoutError::Timeout) if claim.take() => return Err(nobody()),
                Err(RecvTimeoutError::Timeout) => answers.recv_timeout(PATIENCE),
                answered => answered,
            };
            let done = match done {
                Ok(done) => done,
                Err(RecvTimeoutError::Timeout) => return Ok(ApiAnswer::Accepted),
                Err(RecvTimeoutError::Disconnected) => return Err(nobody()),
            };
            let Reloaded { changed, waiting } = done.map_err(|why| problem(what, &why))?;
            // It lies in the workers' mailboxes; that it holds is said when it does.
            if self.told() == ApiAnswer::Accepted {
                return Ok(ApiAnswer::Accepted);
            }
            let in_words =
                |changes: Vec<sx_config::Change>| changes.iter().map(ToString::to_string).collect::<Vec<_>>();
            let (changed, waiting) = (in_words(changed), in_words(waiting));
            let version = self.live.tables().policy.version().to_owned();
            let shown = json!({ "changed": changed, "waiting_for_restart": waiting, "policy_version": version });
            Ok(ApiAnswer::Json(shown))
        })
    }
}

fn problem(what: Reloading, why: &NotReloaded) -> ApiProblem {
    let (kind, title) = match what {
        Reloading::Configuration => ("wrong-configuration", "The configuration is wrong; the old one stays"),
        Reloading::Policy => ("wrong-policy", "The policy is wrong; the old one stays"),
    };
    match why {
        NotReloaded::Wrong(faults) => {
            let fields = faults.iter().map(fault).collect();
            ApiProblem { fields, ..ApiProblem::new(422, kind, title, why.to_string()) }
        }
        NotReloaded::Unwitnessed => ApiProblem::unavailable(why.to_string()),
        NotReloaded::Failed(_) => ApiProblem::new(422, kind, title, why.to_string()),
    }
}

/// What is wrong, and where as far as that is known.
fn fault(fault: &Fault) -> FieldProblem {
    let (field, detail) = match fault {
        Fault::Said(error) => (error.place(), error.fault()),
        Fault::Policy(error) => (error.place.to_string(), error.problem.to_string()),
        Fault::Sound(error) => (String::new(), error.clone()),
        Fault::Tables(error) => (String::new(), error.to_string()),
    };
    FieldProblem { field, place: Place::File, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sx_config::{ConfigError, Problem};
    use sx_guard::{PolicyError, PolicyProblem};

    #[test]
    fn what_its_asker_has_given_up_is_not_done_and_what_is_done_is_not_given_up() {
        let claim = Claim::default();
        let other = claim.clone();
        assert_eq!((claim.take(), other.take(), claim.take()), (true, false, false));
    }

    #[test]
    fn a_fault_names_its_place_whatever_stands_in_it() {
        let said = |file: &str| ConfigError {
            file: file.to_owned(),
            line: 3,
            key: "rule[1].then".to_owned(),
            value: "\"perhaps: not\"".to_owned(),
            problem: Problem::Conflict("unknown word".to_owned()),
        };
        let of_file = fault(&Fault::Said(said("a: b.toml")));
        assert_eq!((&*of_file.field, of_file.place), ("a: b.toml:3", Place::File));
        assert_eq!(of_file.detail, "rule[1].then = \"perhaps: not\": unknown word");
        let problem = PolicyProblem::Contradicts("a: b".into());
        let of_policy = fault(&Fault::Policy(PolicyError { place: sx_guard::Place::Rule(2), key: "when", problem }));
        assert_eq!(
            (&*of_policy.field, &*of_policy.detail),
            ("rule 3", "the same conditions as rule a: b, and another outcome")
        );
    }
}
