//! Others' checkpoints are cosigned, and what speaks against their logs is written down in this one.

use super::anchor::AnchoringCounts;
use super::clock::Clock;
use super::trust;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use sx_config::{Config, Identity};
use sx_engine::Time;
use sx_http::{Cosigner, CosigningConfig, CosigningServer, NotCosigned, api_tls};
use sx_store::{CosignError, CosignedLogs, DataFolder, WitnessLog};
use sx_witness::{Checkpoint, ConsistencyProof, CosignRefused, Draft, Facts, Kind};
use tracing::{error, info, warn};

/// Starts the server, when there is anybody to cosign for.
///
/// # Errors
/// When what was cosigned cannot be read, or the address cannot be listened at.
pub fn start(
    config: &Config,
    data: &DataFolder,
    log: &WitnessLog,
    clock: Clock,
    counts: &Arc<AnchoringCounts>,
) -> anyhow::Result<Option<CosigningServer>> {
    let Some(cosigning) = &config.witness.cosigning else { return Ok(None) };
    let key = trust::own_witness_key(config)?;
    let logs = CosignedLogs::open(data, cosigning.logs.clone(), key)?;
    let verified_with = logs.verifying_key();
    let witness = Witness {
        logs,
        log: log.clone(),
        clock,
        counts: counts.clone(),
        said: Mutex::default(),
        unproved: Mutex::default(),
    };
    let mut serving = CosigningConfig::new(cosigning.listen);
    serving.requests_per_minute = cosigning.requests_per_minute;
    if let Some(Identity { certificate, key }) = &cosigning.identity {
        serving.tls = Some(api_tls(&read(certificate)?, &read(key)?, None)?);
    }
    let server = CosigningServer::start(serving, Arc::new(witness))?;
    info!(key = %verified_with, "checkpoints of others are cosigned with this key");
    Ok(Some(server))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", path.display()))
}

/// A witness of others' logs.
struct Witness {
    logs: CosignedLogs,
    log: WitnessLog,
    clock: Clock,
    counts: Arc<AnchoringCounts>,
    /// What was written down last of each log that is known: only what is new is.
    said: Mutex<BTreeMap<String, Option<CosignRefused>>>,
    /// When it was written down last of each log that somebody has asked without a proof, and how many have since.
    unproved: Mutex<BTreeMap<String, (Time, u64)>>,
}

/// That somebody asks without a proof is written down so often of a log; others in between are counted. Anybody can ask.
const UNPROVED: Duration = Duration::from_secs(600);

/// How long a record about it may take; it is written later if the disk is slow.
const PATIENCE: Duration = Duration::from_secs(5);

impl Cosigner for Witness {
    fn add_checkpoint(&self, request: &str) -> Result<String, NotCosigned> {
        let outcome = self.cosign(request);
        let count = if outcome.is_ok() { &self.counts.cosigned } else { &self.counts.cosign_refused };
        count.fetch_add(1, Ordering::Relaxed);
        outcome
    }
}

impl Witness {
    fn cosign(&self, request: &str) -> Result<String, NotCosigned> {
        let request = ConsistencyProof::parse(request).map_err(CosignRefused::from)?;
        match self.logs.add_checkpoint(&request, self.clock.now()) {
            Ok(line) => {
                self.say(&request, None);
                Ok(line)
            }
            Err(CosignError::Refused(refused)) => {
                // Its log has signed this, and is known: so there are no more of these than logs are configured.
                if refused.is_accusation() {
                    self.say(&request, Some(refused));
                } else if refused == CosignRefused::Inconsistent {
                    self.say_unproved(&request, refused);
                }
                Err(refused.into())
            }
            Err(CosignError::File(error)) => {
                error!(%error, "what was to be cosigned cannot be remembered, and is not cosigned");
                Err(NotCosigned::Unavailable)
            }
        }
    }

    /// Writes down that a log is cosigned from now on, or that it has shown something else than before.
    fn say(&self, request: &ConsistencyProof, refused: Option<CosignRefused>) {
        let Checkpoint { origin, size, .. } = &request.checkpoint;
        let said = || self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said().get(origin) == Some(&refused) {
            return;
        }
        let now = self.clock.now();
        // Only with what it contradicts is it a proof, wherever the record is read.
        let of_this_size = |note: &String| Checkpoint::parse(note).is_ok_and(|cosigned| cosigned.size == *size);
        let cosigned = refused.and_then(|_| self.logs.last_note(origin)).filter(of_this_size);
        let mut facts = facts_of(request);
        if let Some(cosigned) = &cosigned {
            facts.push("cosigned", cosigned.as_str());
        }
        let draft = Draft { actor: origin, subject: origin, facts, ..Draft::new(now, Kind::Log) };
        let written = match refused {
            None => {
                info!(origin, size, "a log is cosigned");
                self.log.record(&Draft { outcome: "cosigned", ..draft }, now, PATIENCE)
            }
            Some(refused) => {
                warn!(origin, size, reason = %refused, "a log is not what it was when it was cosigned");
                let reason = refused.to_string();
                self.log.record(&Draft { outcome: "cosign_refused", reason: &reason, ..draft }, now, PATIENCE)
            }
        };
        // What could not be written is said again when it is shown again.
        if written {
            said().insert(origin.clone(), refused);
        }
    }

    /// Writes down that somebody has asked for a log without showing that it only grew, which says nothing of the log.
    fn say_unproved(&self, request: &ConsistencyProof, refused: CosignRefused) {
        let Checkpoint { origin, size, .. } = &request.checkpoint;
        let now = self.clock.now();
        let others = {
            let mut unproved = self.unproved.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = unproved.entry(origin.clone());
            match entry {
                Entry::Occupied(mut said) if now.since(said.get().0) < UNPROVED => {
                    said.get_mut().1 += 1;
                    return;
                }
                Entry::Occupied(mut said) => said.insert((now, 0)).1,
                Entry::Vacant(place) => place.insert((now, 0)).1,
            }
        };
        warn!(origin, size, others, "a cosignature was asked for without a proof that the log only grew");
        let facts = facts_of(request).with("others", others);
        let reason = refused.to_string();
        let draft = Draft { subject: origin, facts, ..Draft::new(now, Kind::Log) };
        self.log.record(&Draft { outcome: "cosign_unproved", reason: &reason, ..draft }, now, PATIENCE);
    }
}

/// What a request has said.
fn facts_of(request: &ConsistencyProof) -> Facts<'_> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    Facts::new()
        .with("note", request.checkpoint.note.as_str())
        .with("old", number(request.old))
        .with("root", request.checkpoint.root.to_string())
        .with("size", number(request.checkpoint.size))
}
