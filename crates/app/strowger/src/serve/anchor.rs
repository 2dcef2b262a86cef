//! Checkpoints of the witness log are shown elsewhere, and others' are cosigned: whoever can write the folder of a log, and
//! has its key, still cannot make those forget it who have seen it.
//!
//! ```text
//!  log ─► last checkpoint ─► a thread for each place ─► proof from what it has seen ─► peer or service
//!                                   │                                                     │
//!   anchors.json ◄── size it has ◄──┴── cosignature ─► checkpoints.jsonl ◄────────────────┘
//! ```

mod counts;
mod objects;
mod place;
#[cfg(test)]
mod set_back_tests;
#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod tests;

pub use counts::{AnchoringCounts, write_anchoring};

use super::clock::Clock;
use super::cosign;
use super::trust;
use counts::PlaceCounts;
use place::{AnchorFault, FaultKind, Place};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use sx_config::Config;
use sx_http::{CosigningServer, Interrupt};
use sx_store::{Anchored, DataFolder, WitnessLog};
use sx_witness::{Draft, Facts, Kind};
use tracing::{info, warn};

/// What shows checkpoints and what cosigns them, until it is dropped.
pub struct Anchoring {
    places: Vec<Running>,
    server: Option<CosigningServer>,
    counts: Arc<AnchoringCounts>,
}

struct Running {
    /// Gone: the thread ends.
    stop: Option<Sender<()>>,
    interrupt: Interrupt,
    thread: Option<JoinHandle<()>>,
}

impl Anchoring {
    /// Starts a thread for each place, and the server that cosigns.
    ///
    /// # Errors
    /// When something that the configuration names cannot be read or had.
    pub fn start(config: &Config, data: &DataFolder, log: &WitnessLog, clock: Clock) -> anyhow::Result<Self> {
        let anchors = &config.witness.anchors;
        let counts = Arc::new(AnchoringCounts::new(anchors.iter().map(|anchor| &*anchor.url)));
        let states = Arc::new(Mutex::new(log.anchor_states()?));
        let grown = Arc::new(Mutex::new(log.grown()));
        let own = trust::own_witness_key(config)?.verifying_key();
        let mut places = Vec::new();
        for (anchor, counts) in anchors.iter().zip(&counts.places) {
            let place = Place::new(anchor, &own, log.clone(), grown.clone(), states.clone())?;
            counts.taken(place.known());
            let showing = Showing { place, counts: counts.clone(), clock, every: anchor.every, said: None };
            places.push(showing.start()?);
        }
        let server = cosign::start(config, data, log, clock, &counts)?;
        Ok(Self { places, server, counts })
    }

    /// What has been counted.
    pub fn counts(&self) -> Arc<AnchoringCounts> {
        self.counts.clone()
    }

    /// Where checkpoints of others are cosigned.
    #[cfg(test)]
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        self.server.as_ref().map(CosigningServer::local_addr)
    }
}

impl Drop for Anchoring {
    fn drop(&mut self) {
        for place in &mut self.places {
            place.stop = None;
            place.interrupt.interrupt();
        }
        for place in &mut self.places {
            if place.thread.take().is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("a thread that shows checkpoints had panicked");
            }
        }
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }
}

/// One place, on its thread.
struct Showing {
    place: Place,
    counts: Arc<PlaceCounts>,
    clock: Clock,
    every: Duration,
    /// What was said last in the log: only what is new is.
    said: Option<Result<(), FaultKind>>,
}

/// After this long what failed is tried again for the first time.
const RETRY: Duration = Duration::from_secs(5);
/// How long the first checkpoint is waited for at a time.
const BEGIN: Duration = Duration::from_secs(1);
/// How long a record about it may take; it is written later if the disk is slow.
const PATIENCE: Duration = Duration::from_secs(5);

impl Showing {
    fn start(self) -> anyhow::Result<Running> {
        let (stop, stopped) = channel();
        let interrupt = self.place.interrupt();
        let thread = std::thread::Builder::new().name("witness-anchor".into()).spawn(move || self.run(&stopped))?;
        Ok(Running { stop: Some(stop), interrupt, thread: Some(thread) })
    }

    fn run(mut self, stopped: &Receiver<()>) {
        let mut failures = 0;
        let mut wait = BEGIN.min(self.every);
        while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            match self.turn() {
                Ok(()) => {
                    failures = 0;
                    wait = if self.place.has_begun() { self.every } else { BEGIN.min(self.every) };
                }
                Err(()) => {
                    wait = RETRY.saturating_mul(1 << failures).min(self.every);
                    failures = (failures + 1).min(16);
                }
            }
        }
    }

    /// Shows what is new, and says what came of it.
    fn turn(&mut self) -> Result<(), ()> {
        match self.place.show(self.clock.now()) {
            Ok(None) => Ok(()),
            Ok(Some(anchored)) => {
                self.counts.anchored.fetch_add(1, Ordering::Relaxed);
                self.counts.taken(Some(anchored));
                self.say(Ok(anchored));
                Ok(())
            }
            // The exchange ends, which says nothing of the place.
            Err(AnchorFault::Interrupted) => Ok(()),
            Err(fault) => {
                self.counts.failures.fetch_add(1, Ordering::Relaxed);
                self.say(Err(&fault));
                Err(())
            }
        }
    }

    /// Writes down what has changed: that it goes well from now on, or that it fails, and in which way.
    fn say(&mut self, outcome: Result<Anchored, &AnchorFault>) {
        let now = self.clock.now();
        let what = outcome.map(|_| ()).map_err(AnchorFault::kind);
        if self.said == Some(what) {
            return;
        }
        let url = self.place.url();
        let size = match outcome {
            Ok(anchored) => anchored.size,
            Err(_) => self.place.known().map_or(0, |known| known.size),
        };
        let facts = Facts::new().with("size", i64::try_from(size).unwrap_or(i64::MAX));
        let draft = Draft { actor: "exchange", subject: &url, facts, ..Draft::new(now, Kind::Log) };
        let written = match outcome {
            Ok(_) => {
                info!(%url, size, "the witness log is anchored");
                let by = self.place.cosigner();
                let facts = by.into_iter().fold(draft.facts.clone(), |facts, by| facts.with("cosigned_by", by));
                self.place.log().record(&Draft { outcome: "anchored", facts, ..draft }, now, PATIENCE)
            }
            Err(fault) => {
                warn!(%url, error = %fault, "the witness log is not anchored");
                let (reason, facts) = (fault.to_string(), fault.add_to(draft.facts.clone()));
                let draft = Draft { outcome: "anchor_failed", reason: &reason, facts, ..draft };
                self.place.log().record(&draft, now, PATIENCE)
            }
        };
        if written {
            self.said = Some(what);
        }
    }
}
