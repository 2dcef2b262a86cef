//! Checkpoints as objects of a store that speaks as S3 does: each under its own key, once, with a time until which
//! nobody may remove it.

use super::place::AnchorFault;
use std::time::Duration;
use sx_config::ObjectPlace;
use sx_engine::Time;
use sx_http::{ClientAnswer, HttpClient, ObjectStore, Retention, RetentionMode};
use sx_witness::{Checkpoint, VerifyingKey};

/// Where objects go, and for how long.
pub struct Objects {
    store: ObjectStore,
    prefix: Box<str>,
    mode: RetentionMode,
    keep: Duration,
    /// The key of the log, with which what lies there already is verified.
    own: VerifyingKey,
}

/// The longest name of an error that is told.
const CODE_CHARS_MAX: usize = 64;

impl Objects {
    /// The place that the configuration names.
    ///
    /// # Errors
    /// When its URLs would be none.
    pub fn new(place: &ObjectPlace, own: &VerifyingKey) -> anyhow::Result<Self> {
        let store = ObjectStore {
            endpoint: place.endpoint.parse()?,
            bucket: place.bucket.as_ref().into(),
            path_style: place.path_style,
            region: place.region.as_ref().into(),
            access_key_id: place.access_key_id.as_ref().into(),
            secret_access_key: place.secret_access_key.expose().into(),
        };
        let mode = match place.retention {
            sx_config::Retention::Compliance => RetentionMode::Compliance,
            sx_config::Retention::Governance => RetentionMode::Governance,
        };
        let objects = Self { store, prefix: place.prefix.as_ref().into(), mode, keep: place.keep, own: own.clone() };
        objects.store.url(&objects.key(own.name(), 0))?;
        Ok(objects)
    }

    /// Has the store keep a checkpoint. That it has it already is as good: an answer may have been lost.
    pub fn keep(&self, client: &HttpClient, checkpoint: &Checkpoint, wall: Time) -> Result<(), AnchorFault> {
        let key = self.key(&checkpoint.origin, checkpoint.size);
        let retention = Retention { mode: self.mode, until: wall + self.keep };
        let answer = self.store.put_new(client, &key, &checkpoint.note, retention, wall)?;
        match answer.status {
            200..300 => Ok(()),
            //= https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
            // An object with this key is there: the precondition fails.
            412 => self.is_there(client, &key, checkpoint, wall),
            _ => Err(refused(&answer)),
        }
    }

    /// Is what lies under this key a checkpoint of ours, of the same records?
    fn is_there(&self, client: &HttpClient, key: &str, checkpoint: &Checkpoint, wall: Time) -> Result<(), AnchorFault> {
        let answer = self.store.get(client, key, wall)?;
        if !answer.is_success() {
            return Err(refused(&answer));
        }
        let stranger = || AnchorFault::Answer("an object that this log has not signed lies in the checkpoint's place");
        let text = std::str::from_utf8(&answer.body).map_err(|_| stranger())?;
        let found = Checkpoint::parse(text).map_err(|_| stranger())?;
        if found.size != checkpoint.size || found.verify(&self.own).is_err() {
            return Err(stranger());
        }
        if found.root == checkpoint.root { Ok(()) } else { Err(AnchorFault::OtherHistory(412)) }
    }

    fn key(&self, origin: &str, size: u64) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{}{slash}{origin}/{size:020}.note", self.prefix)
    }
}

/// What a store says against a request, with the name that it has for it.
fn refused(answer: &ClientAnswer) -> AnchorFault {
    let text = String::from_utf8_lossy(&answer.body);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    match code.filter(|code| code.len() <= CODE_CHARS_MAX && code.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        Some(code) => AnchorFault::Refused(answer.status, code.to_owned()),
        None => AnchorFault::Status(answer.status),
    }
}
