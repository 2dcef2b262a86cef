//! Parts of the process that decide who is let in, and write down what was decided: policy, countries, witness log.

use super::build::{Fault, StartError};
use super::clock::Jump;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use sx_config::{Change, Config};
use sx_engine::Time;
use sx_exchange::{About, Countries, Directory, Doubt, Tables};
use sx_guard::Policy;
use sx_store::{DataFolder, UserChanges, WitnessLog, WitnessOptions, read_or_make_key, read_signing_key};
use sx_witness::{Draft, Facts, Kind, SigningKey};
use tracing::warn;

/// The policy that the configuration names, or the built-in one.
pub fn policy(config: &Config) -> Result<Arc<Policy>, StartError> {
    let policy = policy_in_file(config)?;
    doubts(config, policy.as_deref()).iter().for_each(|doubt| warn!("{doubt}"));
    Ok(policy.unwrap_or_default())
}

fn policy_in_file(config: &Config) -> Result<Option<Arc<Policy>>, StartError> {
    let Some(path) = &config.policy.file else { return Ok(None) };
    let (definition, hash) = sx_config::read_policy(path)
        .map_err(|errors| StartError::Policy(errors.into_iter().map(Fault::Said).collect()))?;
    let policy = Policy::build(definition, hash)
        .map_err(|errors| StartError::Policy(errors.into_iter().map(Fault::Policy).collect()))?;
    Ok(Some(Arc::new(policy)))
}

/// What is hardly meant in a configuration and its policy.
pub fn doubts(config: &Config, policy: Option<&Policy>) -> Vec<Doubt> {
    let of_policy = |policy| {
        let own = sx_exchange::doubts_of_policy(policy, sx_exchange::Recordings::of(config)).into_iter();
        own.chain(sx_exchange::doubts_between(config, policy))
    };
    let own = sx_exchange::doubts_of(config).into_iter().chain(doubt_of_sounds(config));
    own.chain(policy.into_iter().flat_map(of_policy)).collect()
}

/// The folder of sounds cannot be read, and no file of it is named, which would be an error.
fn doubt_of_sounds(config: &Config) -> Option<Doubt> {
    let folder = config.media.sounds.folder.as_ref()?;
    let error = std::fs::read_dir(folder).err()?;
    let sentence = format!("{} cannot be read: {error}", folder.display());
    Some(Doubt { about: About::Configuration, key: "media.sounds".to_owned(), sentence })
}

/// The database of countries, when there is one.
pub fn countries(config: &Config) -> Result<Option<Arc<Countries>>, StartError> {
    let Some(path) = &config.edge.geoip_database else { return Ok(None) };
    let wrong = |error: String| StartError::Countries(path.display().to_string(), error);
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let countries = Countries::from_bytes(bytes, &config.edge.countries_blocked, &config.edge.countries_allowed)
        .map_err(|error| wrong(error.to_string()))?;
    Ok(Some(Arc::new(countries)))
}

/// Where the key that signs the witness log is, when the configuration does not say.
pub fn usual_key_path(config: &Config) -> PathBuf {
    config.witness.key.clone().unwrap_or_else(|| config.exchange.data.join(KEY))
}

const KEY: &str = "witness.key";

/// The key that signs the witness log. One in the data folder is made when there is none; one that the configuration
/// names must be there.
pub fn witness_key(config: &Config, data: &DataFolder, seed: [u8; 32]) -> anyhow::Result<SigningKey> {
    Ok(match &config.witness.key {
        Some(path) => read_signing_key(path)?,
        None => read_or_make_key(&data.path().join(KEY), &config.witness.name, seed, true)?,
    })
}

/// The same key once more, for cosignatures: it is there since the log was opened.
pub fn own_witness_key(config: &Config) -> anyhow::Result<SigningKey> {
    Ok(read_signing_key(&usual_key_path(config))?)
}

/// How the witness log behaves.
pub fn witness_options(config: &Config) -> WitnessOptions {
    let witness = &config.witness;
    WitnessOptions {
        node: config.exchange.name.as_ref().into(),
        segment_bytes_max: witness.segment_bytes_max,
        buffer_bytes_max: witness.buffer_bytes_max,
        gather: witness.gather,
        delay_max: witness.delay,
        checkpoint_records: witness.checkpoint_records,
        checkpoint_interval: witness.checkpoint_interval,
        keep: witness.keep,
        keep_bytes: witness.keep_bytes.unwrap_or(u64::MAX),
        stall: witness.patience,
        ..WitnessOptions::default()
    }
}

/// Writes down what holds from the start.
pub fn witness_start(log: &WitnessLog, config: &Config, tables: &Tables, now: Time) -> Result<(), Unwitnessed> {
    let facts = Facts::new()
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("workers", config.exchange.workers as i64)
        .with("trunks", tables.trunks.len() as i64)
        .with("policy", tables.policy.full_hash());
    write(log, &Draft { actor: "exchange", outcome: "started", facts, ..Draft::new(now, Kind::Config) }, now)?;
    write_policy(log, &tables.policy, "started", "exchange", now)
}

/// Writes down which policy is in force from now on.
pub fn write_policy(log: &WitnessLog, policy: &Policy, outcome: &str, by: &str, now: Time) -> Result<(), Unwitnessed> {
    let facts = Facts::new().with("hash", policy.full_hash());
    let draft = Draft { actor: by, outcome, policy_version: policy.version(), facts, ..Draft::new(now, Kind::Policy) };
    write(log, &draft, now)
}

/// Writes down that what was read again is wrong, so that what was in force stays: `kind` is what was to change. The first fault
/// is the reason; all of them, within bounds, are among the facts.
pub fn witness_refused(
    log: &WitnessLog,
    policy: &Policy,
    kind: Kind,
    (faults, unnamed): (&[impl ToString], usize),
    by: &str,
    now: Time,
) -> Result<(), Unwitnessed> {
    let told: Vec<String> =
        faults.iter().take(FAULTS_MAX).map(|fault| shortened(&fault.to_string(), FAULT_CHARS_MAX)).collect();
    let reason = told.first().cloned().unwrap_or_default();
    let mut facts = Facts::new().with("hash", policy.full_hash()).with("faults", told);
    let more = faults.len().saturating_sub(FAULTS_MAX) + unnamed;
    if more > 0 {
        facts.push("faults_more", i64::try_from(more).unwrap_or(i64::MAX));
    }
    let version = policy.version();
    let draft = Draft { reason: &reason, policy_version: version, facts, ..Draft::new(now, kind) };
    write(log, &Draft { actor: by, outcome: "refused", ..draft }, now)
}

/// Faults in one record, and characters of each: a record has at most 65,536 bytes.
const FAULTS_MAX: usize = 32;
const FAULT_CHARS_MAX: usize = 300;

/// A text that may be long, as a record has it.
pub fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// That the exchange takes no new calls and ends, because it was sent a signal.
#[derive(Clone, Copy, Debug)]
pub struct Drain<'a> {
    /// Who wants it.
    pub by: &'a str,
    /// The signal's name.
    pub signal: &'static str,
    /// `requested`, or `carried_out`.
    pub outcome: &'a str,
    /// Why calls were hung up; empty when none was.
    pub reason: &'a str,
    /// How many calls are hung up in the end.
    pub hung_up: Option<u64>,
}

/// Writes down that the exchange ends, in the words of one that is drained by the management API.
pub fn witness_drain(log: &WitnessLog, policy: &Policy, drain: &Drain<'_>, now: Time) -> Result<(), Unwitnessed> {
    let mut facts = Facts::new().with("command", "drain").with("signal", drain.signal);
    if let Some(calls) = drain.hung_up {
        facts.push("hung_up", calls);
    }
    let draft = Draft {
        actor: drain.by,
        subject: "exchange",
        outcome: drain.outcome,
        reason: drain.reason,
        policy_version: policy.version(),
        facts,
        ..Draft::new(now, Kind::Command)
    };
    if log.record(&draft, now, DRAIN_PATIENCE) { Ok(()) } else { Err(Unwitnessed) }
}

/// How long a drain waits for its record: calls come in meanwhile.
const DRAIN_PATIENCE: Duration = Duration::from_secs(1);

/// Writes down what a reload changes, before it changes it; `by` is who has asked for it.
pub fn witness_reload(
    log: &WitnessLog,
    tables: &Tables,
    changed: &[Change],
    by: &str,
    now: Time,
) -> Result<(), Unwitnessed> {
    let keys: Vec<&str> = changed.iter().map(|change| change.key.as_str()).collect();
    let facts = Facts::new().with("changed", keys).with("policy", tables.policy.full_hash());
    let version = tables.policy.version();
    let draft =
        Draft { actor: by, outcome: "reloaded", policy_version: version, facts, ..Draft::new(now, Kind::Config) };
    write(log, &draft, now)
}

/// Writes down that the wall clock was set, which changes nothing of our own time.
pub fn witness_jump(log: &WitnessLog, jump: Jump, now: Time) -> Result<(), Unwitnessed> {
    let facts = Facts::new().with("from", jump.from_ms).with("to", jump.to_ms);
    write(log, &Draft { outcome: "clock_jumped", facts, ..Draft::new(now, Kind::Log) }, now)
}

/// The users that another process has changed, by their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserNames {
    added: Vec<String>,
    changed: Vec<String>,
    /// Removed as well.
    disabled: Vec<String>,
}

impl UserNames {
    /// Those of these changes, `before` having been in force.
    pub fn of(changes: &UserChanges, before: &Directory) -> Self {
        let address = |name: &str, domain: &str| format!("{name}@{domain}");
        let given = changes.changed.iter().map(|user| address(&user.name, &user.domain));
        let (changed, added) = given.partition(|user| before.find(user).is_some());
        let disabled = changes.removed.iter().map(|(name, domain)| address(name, domain)).collect();
        Self { added, changed, disabled }
    }
}

/// Names in one record.
const NAMES_MAX: usize = 50;

/// Writes down which users were changed by another process, and nothing of their passwords.
pub fn witness_users(log: &WitnessLog, names: &UserNames, now: Time) -> Result<(), Unwitnessed> {
    for (what, names) in [("added", &names.added), ("changed", &names.changed), ("disabled", &names.disabled)] {
        for names in names.chunks(NAMES_MAX) {
            let listed: Vec<&str> = names.iter().map(String::as_str).collect();
            let facts = Facts::new().with(what, listed);
            let draft = Draft {
                actor: "operator",
                subject: "users",
                outcome: "users_changed",
                facts,
                ..Draft::new(now, Kind::Config)
            };
            write(log, &draft, now)?;
        }
    }
    Ok(())
}

/// Writes down which experts and guardians were changed by another process, and how they stand.
pub fn witness_people(log: &WitnessLog, changed: &[String], now: Time) -> Result<(), Unwitnessed> {
    for names in changed.chunks(NAMES_MAX) {
        let listed: Vec<&str> = names.iter().map(String::as_str).collect();
        let facts = Facts::new().with("changed", listed);
        let draft = Draft {
            actor: "operator",
            subject: "registry",
            outcome: "registry_changed",
            facts,
            ..Draft::new(now, Kind::Config)
        };
        write(log, &draft, now)?;
    }
    Ok(())
}

/// What was to be done cannot be accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the witness log cannot be written; nothing is changed that cannot be accounted for")]
pub struct Unwitnessed;

/// Writes one record, and waits until it is on the disk.
pub fn write(log: &WitnessLog, draft: &Draft<'_>, now: Time) -> Result<(), Unwitnessed> {
    if log.record(draft, now, PATIENCE) { Ok(()) } else { Err(Unwitnessed) }
}

/// How long a change waits for its record: less than those wait who have asked for it.
const PATIENCE: Duration = Duration::from_secs(5);
