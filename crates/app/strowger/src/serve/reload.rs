//! What a running exchange takes over when somebody says so: another configuration, another policy.

use super::build::Exchange;
use super::mailbox::Mail;
use super::parts::build_tables;
use super::sounds::tables_and_sounds;
use super::tls;
use super::trust::{self, Drain};
use std::sync::Arc;
use sx_config::{Change, Config};
use sx_exchange::Tables;
use sx_witness::Kind;
use tracing::error;

/// What a reload has changed, key by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// In force from now on.
    pub changed: Vec<Change>,
    /// Between what is in force and what is wanted: waits for a restart, and is said again by every reload until then.
    pub waiting: Vec<Change>,
}

impl Exchange {
    /// Takes over a new configuration as far as that needs no restart, and says what has changed and what waits. `by` is
    /// who wants it.
    ///
    /// # Errors
    /// When it does not fit together: nothing is changed then.
    pub fn reload(&mut self, wanted: &Config, by: &str) -> anyhow::Result<Reloaded> {
        let config = self.config.reloaded(wanted);
        let (tables, sounds) = tables_and_sounds(&config, self.outward, Some(&self.tables))?;
        let tables = Arc::new(tables);
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
        // Before anybody is led to one of them.
        self.rtp.set_sounds(sounds.clone());
        self.live.hear(sounds.clone());
        self.ng.iter().for_each(|ng| ng.set_sounds(&sounds));
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

    /// Writes down that a reload was refused, and what is wrong: these faults, and so many that nobody has named.
    pub fn reload_refused(&self, kind: Kind, faults: (&[impl ToString], usize), by: &str) {
        let now = self.clock.now();
        if let Err(error) = trust::witness_refused(&self.witness, &self.tables.policy, kind, faults, by, now) {
            error!(%error, "that a reload was refused is not in the witness log");
        }
    }

    /// Writes down that the exchange is about to end.
    pub fn witness_drain(&self, drain: &Drain<'_>) {
        if let Err(error) = trust::witness_drain(&self.witness, &self.tables.policy, drain, self.clock.now()) {
            error!(%error, outcome = drain.outcome, "that the exchange is about to end is not in the witness log");
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
