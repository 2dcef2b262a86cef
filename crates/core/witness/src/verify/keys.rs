//! The keys that a log has had, as far as is known, and whether the one that was given is among them.

use super::Verification;
use super::problem::{PROBLEMS_MAX, Place, Problem};
use crate::checkpoint::{Checkpoint, SignatureError};
use crate::key::{Purpose, VerifyingKey};

/// What is known of a log's keys.
///
/// Where record 0 names another key than the one given, that is one problem, and the checkpoints are held against the key that has
/// signed the first of them: what else is wrong with the log can be said all the same.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The key that was given, if one was.
    given: Option<VerifyingKey>,
    /// Where record 0 stands that names another, and the name and id of that, until it shows which of them has signed.
    named: Option<(Place, Box<str>)>,
    /// The key in force; `None` where none was given and no record has named one.
    in_force: Option<VerifyingKey>,
    /// What a record has named as the key from the next checkpoint on.
    next: Option<VerifyingKey>,
    /// All keys the log has had, as far as is known.
    had: Vec<VerifyingKey>,
    /// Record 0 has named a key.
    is_begun: bool,
    /// The key in force has signed a checkpoint.
    has_signed: bool,
    /// Records are lacking, and the key may have changed in one of them.
    is_lost: bool,
    /// The log is not signed by the key that was given.
    is_other: bool,
    /// Checkpoints by another key than the one given, while nothing else is known of the log's keys.
    strange: Vec<Problem>,
    /// So many more.
    more: u64,
    /// The number of the record with the first of them, and the name and id of the key that it names.
    signer: Option<(u64, Box<str>)>,
}

/// A log may change its key so many times.
pub const KEYS_MAX: usize = 1_000;

impl Keys {
    pub(super) fn new(given: Option<VerifyingKey>) -> Self {
        Self { had: given.iter().cloned().collect(), in_force: given.clone(), given, ..Self::default() }
    }

    /// Records are lacking, so that the key in force is not known any more.
    pub(super) fn lose_track(&mut self) {
        self.is_lost = true;
    }

    /// Has none that is known signed what the log holds?
    pub(super) fn is_other(&self) -> bool {
        self.is_other
    }

    /// Is the text that of a key the log has had, as far as can be told?
    pub(super) fn may_have(&self, text: &str) -> bool {
        let is_unknown = self.given.is_none() || self.is_lost || self.is_other && !self.is_begun;
        is_unknown || text.parse().is_ok_and(|key| self.had.contains(&key))
    }

    /// Has one of them signed it? Where none is known nothing can be said against it.
    pub(super) fn have_signed(&self, checkpoint: &Checkpoint) -> Result<(), SignatureError> {
        let mut outcome = if self.had.is_empty() { Ok(()) } else { Err(SignatureError::OtherKey) };
        for key in &self.had {
            match checkpoint.verify(key) {
                Err(SignatureError::OtherKey) => {}
                other => outcome = other,
            }
        }
        outcome
    }

    /// Has the key in force signed it? It does so once more for the record that names its successor.
    fn judge(&mut self, checkpoint: &Checkpoint) -> Result<(), SignatureError> {
        let mut origin_fits = true;
        if let Some(key) = &self.in_force {
            checkpoint.verify(key)?;
            origin_fits = checkpoint.origin == key.name();
        }
        if let Some(next) = self.next.take() {
            self.in_force = Some(next);
        }
        self.has_signed |= origin_fits;
        if origin_fits { Ok(()) } else { Err(SignatureError::OtherKey) }
    }

    /// Is the first checkpoint signed by the key given?
    fn is_by_given(&self, checkpoint: &Checkpoint) -> bool {
        !self.has_signed && self.given.as_ref().is_some_and(|given| checkpoint.verify(given).is_ok())
    }

    /// May it be that the key given is that of another log? The first record would say so, if it were there.
    fn may_be_of_another(&self) -> bool {
        self.given.is_some() && !self.is_begun && !self.has_signed
    }

    fn note_strange(&mut self, problem: Problem, record: u64, signer: Option<Box<str>>) {
        self.signer = self.signer.take().or_else(|| Some((record, signer?)));
        if self.strange.len() < PROBLEMS_MAX { self.strange.push(problem) } else { self.more += 1 }
    }
}

impl Verification {
    /// Record 0 names this key.
    pub(super) fn hear_begun(&mut self, at: Place, key: Option<&str>) {
        let named = key.and_then(|key| VerifyingKey::parse(key).ok()).filter(|key| key.purpose() == Purpose::Note);
        let Some(named) = named else { return self.push(Problem::Begin { at }) };
        self.keys.is_begun = true;
        if self.keys.in_force.as_ref() == Some(&named) {
            return;
        }
        self.keys.named = self.keys.given.is_some().then(|| (at, named.short()));
        self.keys.had = vec![named.clone()];
        self.keys.in_force = Some(named);
    }

    /// A record names the key that signs from the next checkpoint on.
    pub(super) fn hear_key_changed(&mut self, record: u64, at: Place, key: &str) {
        match VerifyingKey::parse(key) {
            // The key of a witness, which has another purpose, signs no log.
            Ok(_) if self.keys.had.len() > KEYS_MAX => {
                self.push(Problem::TooMany { record, at, what: "key", max: KEYS_MAX as u64 });
            }
            Ok(key) if key.purpose() == Purpose::Note => {
                self.keys.had.push(key.clone());
                self.keys.next = Some(key);
            }
            _ => self.push(Problem::Statement { record, at }),
        }
    }

    /// Is the checkpoint signed as it must be?
    pub(super) fn hear_signature(&mut self, record: u64, at: Place, checkpoint: &Checkpoint) -> bool {
        if self.keys.is_by_given(checkpoint)
            && let Some((at, key)) = self.keys.named.take()
        {
            // It is the log's, and record 0 was changed.
            self.keys.in_force = self.keys.given.clone();
            self.keys.had = self.keys.given.iter().cloned().collect();
            self.push(Problem::BegunWithAnother { at, key });
        }
        let key = self.keys.in_force.as_ref().map(VerifyingKey::short).unwrap_or_default();
        let Err(fault) = self.keys.judge(checkpoint) else {
            // The key given is the log's, so that those before it were forged.
            std::mem::take(&mut self.keys.strange).into_iter().for_each(|problem| self.push(problem));
            self.more += std::mem::take(&mut self.keys.more);
            return true;
        };
        let problem = Problem::CheckpointSignature { record, at, fault, key };
        match fault {
            SignatureError::OtherKey if self.keys.is_lost => {}
            SignatureError::OtherKey if self.keys.may_be_of_another() => {
                self.keys.note_strange(problem, record, checkpoint.signer());
            }
            _ => self.push(problem),
        }
        false
    }

    /// All was read: where no checkpoint is signed by the key given, it is that key which is the wrong one.
    pub(super) fn judge_keys(&mut self) {
        let Some(given) = self.keys.given.as_ref().map(VerifyingKey::short) else { return };
        let named = self.keys.named.take().map(|(_, key)| (0, key));
        let strange = self.keys.signer.take().filter(|_| !self.keys.has_signed);
        if let Some((record, signer)) = named.or(strange) {
            self.keys.is_other = true;
            self.push(Problem::OtherKey { given, record, signer });
        }
    }
}
