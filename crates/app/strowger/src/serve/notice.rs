//! What changes beside us: users and tokens, in another process, and the wall clock. It is written down first and holds then.
//!
//! ```text
//!  look ─► something has changed ─► its record is written, on a thread of its own ─► it holds
//!    ▲                                     └── it cannot be ──┐
//!    └──────────── a second later ◄──────────────────────────┘
//! ```
//!
//! What has to wait for a disk or a database to be looked at is looked at by a thread of its own, the [`Lookout`].

use super::build::Exchange;
use super::clock::{self, Clock, Jump};
use super::custody::Custody;
use super::mailbox::Mail;
use super::management::{self, Live, votes};
use super::parts::load_users;
use super::tokens::TokenWatch;
use super::trust::{self, UserNames};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use sx_engine::Time;
use sx_exchange::{Directory, People};
use sx_store::{Votes, WitnessLog};
use tracing::{error, info, warn};

/// Something that was noticed, while its record is being written.
pub struct Noticed {
    what: What,
    /// Says whether the record is on the disk.
    written: Receiver<bool>,
}

enum What {
    Clock(Jump),
    Users { directory: Arc<Directory>, version: u64 },
    People { people: Arc<People>, version: u64, until: u64 },
}

impl Exchange {
    /// Notices what has changed beside us. To be called about once a second; it does not wait for a disk that is slow.
    pub fn watch(&mut self) {
        let noticed = self.noticed.take().or_else(|| self.notice_clock()).or_else(|| self.notice_users());
        let noticed = noticed.or_else(|| self.notice_people());
        let Some(Noticed { what, written }) = noticed else { return };
        match written.recv_timeout(PROMPT) {
            Ok(true) => self.hold(what),
            Err(RecvTimeoutError::Timeout) => self.noticed = Some(Noticed { what, written }),
            Ok(false) | Err(RecvTimeoutError::Disconnected) => {
                error!("what has changed beside us is not in the witness log, and does not hold until it is");
            }
        }
    }

    fn notice_clock(&self) -> Option<Noticed> {
        let now = self.clock.now();
        let jump = self.drift.look(now, clock::wall())?;
        warn!(from_ms = jump.from_ms, to_ms = jump.to_ms, "the wall clock was set; our own time goes on as before");
        write_down(&self.witness, What::Clock(jump), move |log| trust::witness_jump(log, jump, now).is_ok())
    }

    fn notice_users(&self) -> Option<Noticed> {
        let changes = match self.users.changed_since(self.users_version) {
            Ok(changes) => changes?,
            Err(error) => {
                warn!(%error, "the users could not be looked at");
                return None;
            }
        };
        let version = changes.version;
        let directory = match load_users(&self.users) {
            Ok(directory) => Arc::new(directory.following(&self.directory)),
            Err(error) => {
                error!(%error, "the users could not be read; the old ones stay");
                return None;
            }
        };
        if self.users.version().ok() != Some(version) {
            // Somebody goes on changing them, and the directory has more than the list.
            return None;
        }
        let names = UserNames::of(&changes, &self.directory);
        let now = self.clock.now();
        let what = What::Users { directory, version };
        write_down(&self.witness, what, move |log| trust::witness_users(log, &names, now).is_ok())
    }

    fn notice_people(&self) -> Option<Noticed> {
        let version = match self.registries.version() {
            Ok(version) if version == self.registries_version => return None,
            Ok(version) => version,
            Err(error) => {
                warn!(%error, "the experts and guardians could not be looked at");
                return None;
            }
        };
        let people = match self.registries.load(self.config.escalation.keyless_experts) {
            Ok(people) => Arc::new(people.following(&self.live.people())),
            Err(error) => {
                error!(%error, "the experts and guardians could not be read; the old ones stay");
                return None;
            }
        };
        let now = self.clock.now();
        let (changed, until) = match self.registries.changed_since(self.registries_until) {
            Ok(found) => found,
            Err(error) => {
                error!(%error, "the experts and guardians could not be read; the old ones stay");
                return None;
            }
        };
        let what = What::People { people, version, until };
        write_down(&self.witness, what, move |log| trust::witness_people(log, &changed, now).is_ok())
    }

    /// What was written down holds from now on.
    fn hold(&mut self, what: What) {
        match what {
            What::Clock(jump) => {
                self.drift.told(jump);
                let ahead_ms = self.drift.ahead_ms();
                self.mailboxes.iter().for_each(|mailbox| mailbox.post(Mail::WallClock { ahead_ms }));
            }
            What::Users { directory, version } => {
                info!(users = directory.len(), "the users have changed");
                self.users_version = version;
                self.mailboxes.iter().for_each(|mailbox| mailbox.post(Mail::Directory(directory.clone())));
                self.directory = directory;
            }
            What::People { people, version, until } => {
                let (experts, guardians) = (people.experts().len(), people.guardians().count());
                info!(experts, guardians, "the experts and guardians have changed");
                (self.registries_version, self.registries_until) = (version, until);
                self.live.know(people.clone());
                self.mailboxes.iter().for_each(|mailbox| mailbox.post(Mail::People(people.clone())));
            }
        }
    }
}

/// Looks, once a second, for what may have to wait for a disk: the main thread has signals to hear. It ends when it is dropped;
/// should a disk hold it, nobody waits for it any longer.
pub struct Lookout {
    /// Both are there until it is told to end, which it hears by the sender's end.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Hears the end of the thread.
    ended: Receiver<()>,
    patience: Duration,
}

impl Lookout {
    /// Looks whether the witness log's segment is where it was, whether bans have yet to be written, for news of tokens,
    /// whether a minute of refusals is over, what has come of votes,
    /// and what evidence is old.
    pub fn over(
        live: Arc<Live>,
        (log, votes, custody): (WitnessLog, Arc<Mutex<Votes>>, Arc<Custody>),
        mut tokens: TokenWatch,
        clock: Clock,
    ) -> std::io::Result<Self> {
        Self::start(LOOK_EVERY, LOOK_PATIENCE, move || {
            log.look_for_segment();
            live.bans.catch_up();
            tokens.look(&log, &live.token_actors, clock.now());
            live.sum_refusals(&log, clock.now(), false);
            votes::look(&votes, &log, clock.now());
            management::sweep_evidence(&custody, &log, clock.now());
        })
    }

    fn start(every: Duration, patience: Duration, mut look: impl FnMut() + Send + 'static) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let (end, ended) = channel();
        let work = move || {
            let _end: Sender<()> = end;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
                look();
            }
            // For what was done since.
            look();
        };
        let thread = Builder::new().name("lookout".into()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread), ended, patience })
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.stop = None;
        if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(self.patience) {
            warn!("a disk does not answer; what has yet to be written of bans and tokens waits for the next start");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the thread that looks for what has changed had panicked");
        }
    }
}

/// How often the lookout looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it may take to end.
const LOOK_PATIENCE: Duration = Duration::from_secs(5);

/// A disk that is well has written a record by then.
const PROMPT: Duration = Duration::from_millis(200);

/// The log may have to wait for its disk, and the main thread has signals to hear.
fn write_down(
    log: &WitnessLog,
    what: What,
    write: impl FnOnce(&WitnessLog) -> bool + Send + 'static,
) -> Option<Noticed> {
    let log = log.clone();
    let (tell, written) = channel();
    let work = move || {
        // Whoever does not listen any more is about to end.
        let _ = tell.send(write(&log));
    };
    match Builder::new().name("witness-notice".into()).spawn(work) {
        Ok(_) => Some(Noticed { what, written }),
        Err(error) => {
            error!(%error, "there is no thread to write down what has changed");
            None
        }
    }
}

/// Was the clock set back while nobody ran? Then the log's last record is of a time to come.
pub fn set_back(last: Option<Time>, now: Time) -> Option<Jump> {
    let last = last.filter(|last| last.since(now) > clock::STEP)?;
    Some(Jump { from_ms: last.as_millis(), to_ms: now.as_millis(), ahead_ms: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookout_that_is_held_keeps_nobody_from_ending() {
        let (looks, looked) = channel();
        let (let_go, held) = channel::<()>();
        let look = move || {
            // Whoever let go may be gone.
            let _ = (looks.send(()), held.recv());
        };
        let lookout = Lookout::start(Duration::ZERO, Duration::from_millis(1), look).expect("a thread");
        looked.recv().expect("it looks");
        drop(lookout);
        drop(let_go);
        while looked.recv().is_ok() {}
    }

    #[test]
    fn a_lookout_that_has_ended_looks_no_more() {
        let (looks, looked) = channel();
        let look = move || {
            // Whoever has seen enough may be gone.
            let _ = looks.send(());
        };
        let lookout = Lookout::start(Duration::ZERO, LOOK_PATIENCE, look).expect("a thread");
        looked.recv().expect("it looks");
        drop(lookout);
        looked.try_iter().for_each(drop);
        assert_eq!(looked.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
    }
}
