//! What a running exchange takes over from outside: another configuration, another policy, other users.

use super::build::{Exchange, build_tables, load_users};
use super::clock;
use super::mailbox::Mail;
use super::tls;
use super::trust;
use std::sync::Arc;
use sx_config::{Change, Config};
use sx_exchange::Tables;
use sx_witness::Kind;
use tracing::{error, info, warn};

/// What a reload has changed, key by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// In force from now on.
    pub changed: Vec<Change>,
    /// Between what is in force and what is wanted: waits for a restart, and is said again by every reload until then.
    pub waiting: Vec<Change>,
}

impl Exchange {
    /// Notices what has changed beside us: users, the wall clock. To be called about once a second.
    pub fn watch(&mut self) {
        self.watch_users();
        let now = self.clock.now();
        if let Some(jump) = self.drift.look(now, clock::wall()) {
            warn!(from_ms = jump.from_ms, to_ms = jump.to_ms, "the wall clock was set; our own time goes on as before");
            if let Err(error) = trust::witness_jump(&self.witness, jump, now) {
                error!(%error, "that the wall clock was set is not in the witness log");
            }
        }
    }

    /// Notices users that were added, changed or removed by another process.
    fn watch_users(&mut self) {
        match self.users.version() {
            Ok(version) if version != self.users_version => match load_users(&self.users) {
                Ok(directory) => {
                    self.users_version = version;
                    info!(users = directory.len(), "the users have changed");
                    let directory = Arc::new(directory);
                    self.mailboxes.iter().for_each(|mailbox| mailbox.post(Mail::Directory(directory.clone())));
                }
                Err(error) => error!(%error, "the users could not be read; the old ones stay"),
            },
            Ok(_) => {}
            Err(error) => warn!(%error, "the users could not be looked at"),
        }
    }

    /// Takes over a new configuration as far as that needs no restart, and says what has changed and what waits. `by` is
    /// who wants it.
    ///
    /// # Errors
    /// When it does not fit together: nothing is changed then.
    pub fn reload(&mut self, wanted: &Config, by: &str) -> anyhow::Result<Reloaded> {
        let config = self.config.reloaded(wanted);
        let tables = Arc::new(build_tables(&config, self.outward, Some(&self.tables))?);
        let tls = tls::build(&config, self.clock.now())?;
        let changed = self.changes(&config, &tables);
        trust::witness_reload(&self.witness, &tables, &changed, by, self.clock.now())?;
        if tables.policy.version() != self.tables.policy.version() {
            trust::write_policy(&self.witness, &tables.policy, "reloaded", by, self.clock.now())?;
        }
        let reloaded = Reloaded { changed, waiting: sx_config::diff(&config, wanted) };
        if let Some(tls) = &tls {
            self.mailboxes.iter().for_each(|mailbox| mailbox.post(Mail::Tls(tls.clone())));
            self.expiry.set(tls);
        }
        self.records.keep(config.cdr.keep);
        self.config = config;
        self.take(tables);
        Ok(reloaded)
    }

    /// Reads the policy again, where the configuration in force says that it is, and with it the database of countries.
    ///
    /// # Errors
    /// When it is wrong: the old one stays then.
    pub fn reload_policy(&mut self, by: &str) -> anyhow::Result<Reloaded> {
        let tables = Arc::new(build_tables(&self.config, self.outward, Some(&self.tables))?);
        let changed = self.changes(&self.config, &tables);
        trust::write_policy(&self.witness, &tables.policy, "reloaded", by, self.clock.now())?;
        self.take(tables);
        Ok(Reloaded { changed, waiting: Vec::new() })
    }

    /// Writes down that a reload was refused, and why.
    pub fn reload_refused(&self, kind: Kind, why: &str, by: &str) {
        let now = self.clock.now();
        if let Err(error) = trust::witness_refused(&self.witness, &self.tables.policy, kind, why, by, now) {
            error!(%error, "that a reload was refused is not in the witness log");
        }
    }

    /// What is another: keys of the configuration, and the policy, whose file may have changed while its name has not.
    fn changes(&self, config: &Config, tables: &Tables) -> Vec<Change> {
        let mut changed = sx_config::diff(&self.config, config);
        let (old, new) = (self.tables.policy.version(), tables.policy.version());
        if old != new {
            changed.push(Change { key: "policy".to_owned(), what: format!("version {old} -> {new}") });
        }
        changed
    }

    fn take(&mut self, tables: Arc<Tables>) {
        self.mailboxes.iter().for_each(|mailbox| mailbox.post(Mail::Tables(tables.clone())));
        self.live.take(tables.clone());
        self.tables = tables;
    }
}
