//! One place that checkpoints are shown at: what is sent there, and what the answer means.

use super::objects::Objects;
use crate::serve::clock;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use sx_config::{Anchor, AnchorKind, AnchorMethod, Secret};
use sx_engine::Time;
use sx_http::{
    ClientAnswer, ClientError, ClientLimits, ClientRequest, HttpClient, HttpUrl, Interrupt, SIZE_MEDIA_TYPE, UrlError,
    Verb, client_tls,
};
use sx_store::{AnchorStates, Anchored, GrownLog, ProveError, WitnessLog};
use sx_witness::{Checkpoint, Facts, SIGNATURES_MAX, SignatureError, VerifyingKey, verify_cosignature};
use tracing::warn;

/// A place, and what is sent there.
pub struct Place {
    url: Arc<str>,
    kind: Shown,
    client: HttpClient,
    log: WitnessLog,
    grown: Arc<Mutex<GrownLog>>,
    states: Arc<Mutex<AnchorStates>>,
    /// What it has taken since the start.
    shown: Option<Checkpoint>,
}

enum Shown {
    Peer { url: HttpUrl, key: Box<VerifyingKey> },
    Service { verb: Verb, token: Option<Secret> },
    Objects(Box<Objects>),
}

/// Why a checkpoint is not anchored.
#[derive(Debug, thiserror::Error)]
pub enum AnchorFault {
    /// The exchange ends.
    #[error("interrupted")]
    Interrupted,
    /// Nothing came back.
    #[error(transparent)]
    Unreachable(ClientError),
    /// It answers with a status that says nothing more.
    #[error("it answers with the status {0}")]
    Status(u16),
    /// A store refuses, and names the reason.
    #[error("it answers with the status {0}, {1}")]
    Refused(u16, String),
    /// It answers something that the protocol does not have.
    #[error("its answer cannot be understood: {0}")]
    Answer(&'static str),
    /// What it has cosigned is not the checkpoint, or not with its key.
    #[error("its cosignature does not hold: {0}")]
    Cosignature(SignatureError),
    /// It has cosigned more records than the log has: the end of the log was cut off.
    #[error(
        "it has cosigned {seen} records, and the log has {size}: the end of the log is missing, or it is another log"
    )]
    Ahead {
        /// What it has cosigned.
        seen: u64,
        /// What the log has.
        size: u64,
    },
    /// It has seen another log of this name and key: the history was rewritten.
    #[error("it has another history of the log ({0})")]
    OtherHistory(u16),
    /// The files of the log are not what it has signed.
    #[error(transparent)]
    Own(#[from] ProveError),
    /// The URL cannot be made.
    #[error(transparent)]
    Url(#[from] UrlError),
}

/// What a fault is worth saying anew for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The place cannot be reached, or is not as it should be.
    Place,
    /// The log is not what was signed before.
    Log,
}

impl AnchorFault {
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Ahead { .. } | Self::OtherHistory(_) | Self::Own(_) => FaultKind::Log,
            _ => FaultKind::Place,
        }
    }

    /// What a record says of it for those who read the log: that the place has seen another state of it.
    pub fn add_to<'a>(&self, facts: Facts<'a>) -> Facts<'a> {
        match self {
            Self::Ahead { seen, .. } => facts.with("ahead", i64::try_from(*seen).unwrap_or(i64::MAX)),
            Self::OtherHistory(_) => facts.with("other_history", true),
            _ => facts,
        }
    }
}

impl From<ClientError> for AnchorFault {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Interrupted => Self::Interrupted,
            error => Self::Unreachable(error),
        }
    }
}

/// Where systems keep the authorities they trust.
const SYSTEM_TRUST: &str = "/etc/ssl/certs/ca-certificates.crt";
/// A checkpoint is text.
const NOTE_MEDIA_TYPE: &str = "text/plain; charset=utf-8";
/// How often a peer may name another size to go on from, in one turn.
const REDIRECTIONS_MAX: usize = 1;

impl Place {
    /// The place that the configuration names; `own` is the key of the log.
    ///
    /// # Errors
    /// When the URL is none, or its authorities cannot be read.
    pub fn new(
        anchor: &Anchor,
        own: &VerifyingKey,
        log: WitnessLog,
        grown: Arc<Mutex<GrownLog>>,
        states: Arc<Mutex<AnchorStates>>,
    ) -> anyhow::Result<Self> {
        let url = match &anchor.kind {
            AnchorKind::S3(place) => &place.endpoint,
            AnchorKind::Peer(_) | AnchorKind::Https { .. } => &anchor.url,
        };
        let url = url.replace("{size}", "0").parse::<HttpUrl>();
        let url = url.map_err(|error| anyhow::anyhow!("witness.anchor: {}: {error}", anchor.url))?;
        let tls = if url.is_secure() { Some(trusted(anchor)?) } else { None };
        let kind = match &anchor.kind {
            AnchorKind::Peer(key) => Shown::Peer { url: url.join("add-checkpoint")?, key: Box::new(key.clone()) },
            AnchorKind::Https { method, token } => {
                let verb = match method {
                    AnchorMethod::Put => Verb::Put,
                    AnchorMethod::Post => Verb::Post,
                };
                Shown::Service { verb, token: token.clone() }
            }
            AnchorKind::S3(place) => Shown::Objects(Box::new(Objects::new(place, own)?)),
        };
        let client = HttpClient::new(tls, ClientLimits::default())?;
        Ok(Self { url: anchor.url.clone(), kind, client, log, grown, states, shown: None })
    }

    pub fn url(&self) -> Arc<str> {
        self.url.clone()
    }

    /// Whose cosignatures it gives, if it is a witness.
    pub fn cosigner(&self) -> Option<&str> {
        match &self.kind {
            Shown::Peer { key, .. } => Some(key.name()),
            Shown::Service { .. } | Shown::Objects(_) => None,
        }
    }

    pub fn log(&self) -> &WitnessLog {
        &self.log
    }

    pub fn interrupt(&self) -> Interrupt {
        self.client.interrupt()
    }

    /// What it has taken last.
    pub fn known(&self) -> Option<Anchored> {
        locked(&self.states).of(&self.url)
    }

    /// Is there anything to show since the log was opened?
    pub fn has_begun(&self) -> bool {
        self.log.last_checkpoint().is_some()
    }

    /// Shows the last checkpoint, unless it is known there.
    pub fn show(&mut self, now: Time) -> Result<Option<Anchored>, AnchorFault> {
        let Some(checkpoint) = self.log.last_checkpoint() else { return Ok(None) };
        let known = self.known();
        let signed = checkpoint.time.unwrap_or(now);
        let anchored = Anchored::new(checkpoint.size, signed, now);
        if self.shown.as_ref() == Some(&checkpoint) {
            return Ok(None);
        }
        match &self.kind {
            Shown::Peer { url, key } => {
                let lines = self.cosigned(&checkpoint, known.map_or(0, |known| known.size), url, key)?;
                self.log.note_cosignatures(&checkpoint, &lines.iter().map(String::as_str).collect::<Vec<_>>());
            }
            Shown::Service { verb, token } => self.keep(&checkpoint, *verb, token.as_ref())?,
            // Signatures hold for a quarter of an hour around what the wall clock of the store shows.
            Shown::Objects(objects) => objects.keep(&self.client, &checkpoint, clock::wall())?,
        }
        if let Err(error) = locked(&self.states).set(&self.url, anchored) {
            // The place itself remembers; after a restart it says where to go on.
            warn!(%error, "where the witness log is anchored could not be written down");
        }
        self.shown = Some(checkpoint);
        Ok(Some(anchored))
    }

    /// Has a peer cosign the checkpoint, going on from what it has seen, and gives the lines of its key.
    fn cosigned(
        &self,
        checkpoint: &Checkpoint,
        known: u64,
        url: &HttpUrl,
        key: &VerifyingKey,
    ) -> Result<Vec<String>, AnchorFault> {
        let size = checkpoint.size;
        let mut old = known;
        for redirection in 0..=REDIRECTIONS_MAX {
            if old > size {
                return Err(AnchorFault::Ahead { seen: old, size });
            }
            let body = locked(&self.grown).prove(old, checkpoint)?.to_string();
            let request = ClientRequest {
                verb: Verb::Post,
                url,
                media_type: NOTE_MEDIA_TYPE,
                headers: &[],
                bearer: None,
                body: body.as_bytes(),
            };
            let answer = self.client.send(&request)?;
            match answer.status {
                200 => return cosignatures(checkpoint, &answer, key),
                //= https://c2sp.org/tlog-witness#add-checkpoint
                // In conflict: a size to go on from, or else another root for this size.
                409 => match seen(&answer) {
                    Some(seen) if seen > size => return Err(AnchorFault::Ahead { seen, size }),
                    Some(seen) if seen != old && redirection < REDIRECTIONS_MAX => old = seen,
                    Some(_) => return Err(AnchorFault::Answer("the size to go on from is the one that was given")),
                    None => return Err(AnchorFault::OtherHistory(409)),
                },
                422 => return Err(AnchorFault::OtherHistory(422)),
                status => return Err(AnchorFault::Status(status)),
            }
        }
        Err(AnchorFault::Answer("it names one size after the other to go on from"))
    }

    /// Has a service keep the checkpoint.
    fn keep(&self, checkpoint: &Checkpoint, verb: Verb, token: Option<&Secret>) -> Result<(), AnchorFault> {
        let url: HttpUrl = self.url.replace("{size}", &checkpoint.size.to_string()).parse()?;
        let bearer = token.map(Secret::expose);
        let body = checkpoint.note.as_bytes();
        let request = ClientRequest { verb, url: &url, media_type: NOTE_MEDIA_TYPE, headers: &[], bearer, body };
        let answer = self.client.send(&request)?;
        if answer.is_success() { Ok(()) } else { Err(AnchorFault::Status(answer.status)) }
    }
}

/// The signature lines of this key, all of which hold. Those of others are passed over.
fn cosignatures(
    checkpoint: &Checkpoint,
    answer: &ClientAnswer,
    key: &VerifyingKey,
) -> Result<Vec<String>, AnchorFault> {
    let text = std::str::from_utf8(&answer.body).map_err(|_| AnchorFault::Answer("it is not UTF-8"))?;
    let mut lines = Vec::new();
    //= https://c2sp.org/tlog-witness#add-checkpoint
    // Cosignatures by keys that are not known are ignored.
    for line in text.lines().take(SIGNATURES_MAX) {
        match verify_cosignature(checkpoint, line, key) {
            Ok(_) => lines.push(line.to_owned()),
            Err(SignatureError::OtherKey) => {}
            Err(SignatureError::Form) => return Err(AnchorFault::Answer("a line is no signature")),
            Err(fault @ SignatureError::Wrong) => return Err(AnchorFault::Cosignature(fault)),
        }
    }
    if lines.is_empty() { Err(AnchorFault::Cosignature(SignatureError::OtherKey)) } else { Ok(lines) }
}

/// The size that an answer says to go on from.
fn seen(answer: &ClientAnswer) -> Option<u64> {
    let kind = answer.media_type.as_deref()?.split(';').next()?.trim();
    let digits = std::str::from_utf8(&answer.body).ok()?.strip_suffix('\n')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| plain && kind.eq_ignore_ascii_case(SIZE_MEDIA_TYPE))
}

fn trusted(anchor: &Anchor) -> anyhow::Result<Arc<sx_http::ClientTls>> {
    let path = anchor.trust.as_deref().unwrap_or(Path::new(SYSTEM_TRUST));
    let pem = std::fs::read(path).map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", path.display()))?;
    client_tls(&pem).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panics ends the process.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
