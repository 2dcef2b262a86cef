//! Tokens that were made, taken back or pushed out, by whatever process: each is written down at least once.
//!
//! The command line gives and takes tokens without the exchange, which looks once a second for what it has not written down
//! yet. What was done while no exchange ran is written down by the next one.

use super::trust;
use sx_engine::Time;
use sx_store::{OpenDatabaseError, SharedFolder, TokenNews, Tokens, TokensError, WitnessLog};
use sx_types::Role;
use sx_witness::{Draft, Facts, Kind};
use tracing::{error, warn};

/// Looks for news of tokens.
pub struct TokenWatch {
    tokens: Tokens,
    /// The state of the database in which everything was written down.
    seen: Option<i64>,
    /// What is in the log and could not be noted as told, since the disk takes the one and not the other.
    written: Vec<TokenNews>,
    failing: bool,
}

impl TokenWatch {
    pub fn open(folder: &SharedFolder) -> Result<Self, OpenDatabaseError> {
        Ok(Self { tokens: folder.tokens()?, seen: None, written: Vec::new(), failing: false })
    }

    /// Writes down what has happened to tokens since it was looked last.
    pub fn look(&mut self, log: &WitnessLog, now: Time) {
        // Nothing can be written, and to wait for it would keep this thread from its other work.
        if log.is_failing() {
            return;
        }
        match self.write_news(log, now) {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    warn!(%error, "the tokens could not be looked at");
                }
            }
        }
    }

    fn write_news(&mut self, log: &WitnessLog, now: Time) -> Result<(), TokensError> {
        let version = self.tokens.version()?;
        if self.seen == Some(version) {
            return Ok(());
        }
        for news in self.tokens.news()? {
            if !self.written.iter().any(|written| alike(written, &news)) {
                if trust::write(log, &draft(&news, now), now).is_err() {
                    error!(
                        token = news.id(),
                        "what has become of a token is not in the witness log; it is tried again"
                    );
                    return Ok(());
                }
                self.written.push(news.clone());
            }
            self.tokens.told(&news)?;
            self.written.retain(|written| !alike(written, &news));
        }
        self.seen = Some(version);
        Ok(())
    }
}

/// The same of the same token, which may have been used meanwhile.
fn alike(one: &TokenNews, other: &TokenNews) -> bool {
    one.id() == other.id() && std::mem::discriminant(one) == std::mem::discriminant(other)
}

/// The record: never with a secret, of which nobody here knows more than a hash.
fn draft(news: &TokenNews, now: Time) -> Draft<'_> {
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
    Draft { subject: news.id(), outcome, facts, ..Draft::new(now, Kind::Config) }
}
