//! Tokens that were made, taken back or pushed out, by whatever process: each is written down at least once.
//!
//! The command line gives and takes tokens without the exchange, which looks once a second for what it has not written down
//! yet. What was done while no exchange ran is written down by the next one.

use super::clock::wall;
use super::trust;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use sx_engine::Time;
use sx_store::{OpenDatabaseError, SharedFolder, TokenNews, Tokens, TokensError, WitnessLog};
use sx_types::Role;
use sx_witness::{Draft, Facts, Kind};
use tracing::{error, warn};

/// Looks for news of tokens.
pub struct TokenWatch {
    tokens: Tokens,
    /// Since when it looks, by the wall clock, as tokens have it.
    began: Time,
    /// The state of the database in which everything was written down.
    seen: Option<i64>,
    /// What is in the log and could not be noted as told, since the disk takes the one and not the other.
    written: Vec<TokenNews>,
    failing: bool,
}

impl TokenWatch {
    pub fn open(folder: &SharedFolder) -> Result<Self, OpenDatabaseError> {
        Ok(Self { tokens: folder.tokens()?, began: wall(), seen: None, written: Vec::new(), failing: false })
    }

    /// Writes down what has happened to tokens since it was looked last.
    pub fn look(&mut self, log: &WitnessLog, actors: &TokenActors, now: Time) {
        // Nothing can be written, and to wait for it would keep this thread from its other work.
        if log.is_failing() {
            return;
        }
        match self.write_news(log, actors, now) {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    warn!(%error, "the tokens could not be looked at");
                }
            }
        }
    }

    /// Who has done what the API has not. By whom it was before this process began is not known.
    fn somebody(&self, news: &TokenNews) -> &'static str {
        let at = match news {
            TokenNews::Made(token) => Some(token.created),
            TokenNews::Revoked { since, .. } => Some(*since),
            // It made room for another, and nobody has wanted that.
            TokenNews::Gone { .. } => None,
        };
        if at.is_some_and(|at| at >= self.began) { BY_COMMAND_LINE } else { "" }
    }

    fn write_news(&mut self, log: &WitnessLog, actors: &TokenActors, now: Time) -> Result<(), TokensError> {
        let version = self.tokens.version()?;
        if self.seen == Some(version) {
            return Ok(());
        }
        for news in self.tokens.news()? {
            let actor = actors.actor(&news);
            if !self.written.iter().any(|written| alike(written, &news)) {
                if trust::write(log, &draft(&news, actor.as_deref().unwrap_or_else(|| self.somebody(&news)), now), now)
                    .is_err()
                {
                    error!(
                        token = news.id(),
                        "what has become of a token is not in the witness log; it is tried again"
                    );
                    return Ok(());
                }
                self.written.push(news.clone());
            }
            self.tokens.told(&news)?;
            actors.forget(&news);
            self.written.retain(|written| !alike(written, &news));
        }
        self.seen = Some(version);
        Ok(())
    }
}

/// Whoever uses the command line is somebody on this machine, and no more is known.
const BY_COMMAND_LINE: &str = "operator";

/// Who has made or taken back tokens by the management API, until that is written down.
#[derive(Debug, Default)]
pub struct TokenActors {
    /// By the token's public name: who has made it, who has taken it back. There are no more than there are tokens.
    known: Mutex<BTreeMap<Box<str>, [Option<String>; 2]>>,
}

const MADE: usize = 0;
const REVOKED: usize = 1;

impl TokenActors {
    /// Makes a token, on behalf of this one.
    pub fn making<T, E>(&self, by: &str, make: impl FnOnce() -> Result<(Box<str>, T), E>) -> Result<T, E> {
        self.noting(MADE, by, make)
    }

    /// Takes one back, on behalf of this one.
    pub fn revoking<T, E>(&self, by: &str, revoke: impl FnOnce() -> Result<(Box<str>, T), E>) -> Result<T, E> {
        self.noting(REVOKED, by, revoke)
    }

    /// It is locked until it is noted who it was, so that whoever sees what was done can also learn by whom.
    fn noting<T, E>(&self, what: usize, by: &str, act: impl FnOnce() -> Result<(Box<str>, T), E>) -> Result<T, E> {
        let mut known = self.locked();
        let (id, done) = act()?;
        // What is taken back twice was taken back by the first.
        known.entry(id).or_default()[what].get_or_insert_with(|| by.to_owned());
        Ok(done)
    }

    /// Who has done it, if it was by the API.
    fn actor(&self, news: &TokenNews) -> Option<String> {
        self.locked().get(news.id())?[what(news)?].clone()
    }

    /// It is written down.
    fn forget(&self, news: &TokenNews) {
        let mut known = self.locked();
        let Some(actors) = known.get_mut(news.id()) else { return };
        match what(news) {
            Some(what) => actors[what] = None,
            None => *actors = Default::default(),
        }
        known.retain(|_, actors| actors.iter().any(Option::is_some));
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Box<str>, [Option<String>; 2]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn what(news: &TokenNews) -> Option<usize> {
    match news {
        TokenNews::Made(_) => Some(MADE),
        TokenNews::Revoked { .. } => Some(REVOKED),
        TokenNews::Gone { .. } => None,
    }
}

/// The same of the same token, which may have been used meanwhile.
fn alike(one: &TokenNews, other: &TokenNews) -> bool {
    one.id() == other.id() && std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// The record: never with a secret, of which nobody here knows more than a hash.
fn draft<'a>(news: &'a TokenNews, actor: &'a str, now: Time) -> Draft<'a> {
    let (outcome, facts) = match news {
        TokenNews::Made(token) => {
            let mut facts = Facts::new()
                .with("name", &*token.name)
                .with("role", token.role.map_or("unknown", Role::as_str))
                .with("created", token.created.to_string());
            if let Some(expires) = token.expires {
                facts.push("expires", expires.to_string());
            }
            ("token_made", facts)
        }
        TokenNews::Revoked { since, .. } => ("token_revoked", Facts::new().with("since", since.to_string())),
        TokenNews::Gone { .. } => ("token_removed", Facts::new()),
    };
    Draft { actor, subject: news.id(), outcome, facts, ..Draft::new(now, Kind::Config) }
}
