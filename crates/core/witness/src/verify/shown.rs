//! What others have seen of a log: the cosignatures in `checkpoints.jsonl`, and the places that its records name.

use super::notice::{NOTICES_MAX, Notice};
use super::problem::{Place, Problem};
use super::{Options, Verification};
use crate::checkpoint::cosigner_of;
use std::collections::{BTreeMap, BTreeSet};

/// A witness some of whose cosignatures stand in `checkpoints.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigner {
    /// The name of its key.
    pub name: Box<str>,
    /// Its key was given, so that its cosignatures were verified. Those of others may be by anybody.
    pub is_known: bool,
    /// How many checkpoints have one of its cosignatures.
    pub checkpoints: u64,
    /// How many records the last of them covers.
    pub last: u64,
}

/// The records of a log may name so many places that have taken a checkpoint.
pub const PLACES_MAX: usize = 1_000;

/// What a verification has seen of this.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The sizes of the checkpoints that each witness has cosigned.
    by: BTreeMap<Box<str>, BTreeSet<u64>>,
    /// The largest size in the file, whoever has signed it.
    filed: Option<u64>,
    /// Cosignatures that records tell of, by the numbers of these, while the file is empty.
    lacking: Vec<(u64, Notice)>,
    /// So many more.
    more_lacking: u64,
    /// How many records the last checkpoint covers that a place has taken, as far as records say.
    places: BTreeMap<Box<str>, u64>,
}

impl Shown {
    pub(super) fn note_line(&mut self, size: u64, cosignatures: &[String]) {
        self.filed = self.filed.max(Some(size));
        for name in cosignatures.iter().filter_map(|line| cosigner_of(line)) {
            self.by.entry(name.into()).or_default().insert(size);
        }
    }

    /// A record says that a place has taken a checkpoint, and perhaps whose cosignature came back; gives what is lacking then.
    fn note_record(&mut self, record: u64, place: &str, size: u64, by: Option<&str>) -> Option<Notice> {
        if let Some(known) = self.places.get_mut(place) {
            *known = size.max(*known);
        } else {
            self.places.insert(place.into(), size);
        }
        let by = by.filter(|by| !self.has(by, size))?;
        let missing = Notice::CosignatureMissing { record, size, by: by.into() };
        match self.filed {
            // The file was read after the cosignature must have come, or else it may be younger.
            Some(filed) => (filed > record).then_some(missing),
            None if self.lacking.len() < NOTICES_MAX => {
                self.lacking.push((record, missing));
                None
            }
            None => {
                self.more_lacking += 1;
                None
            }
        }
    }

    /// How many checkpoints have a cosignature.
    pub(super) fn cosigned(&self) -> u64 {
        self.by.values().flatten().collect::<BTreeSet<_>>().len() as u64
    }

    pub(super) fn cosigners(&self, options: &Options) -> Vec<Cosigner> {
        let is_known = |name: &str| options.witnesses.iter().any(|key| key.name() == name);
        let cosigner = |(name, sizes): (&str, &BTreeSet<u64>)| Cosigner {
            name: name.into(),
            is_known: is_known(name),
            checkpoints: sizes.len() as u64,
            last: sizes.last().copied().unwrap_or(0),
        };
        self.by.iter().map(|(name, sizes)| cosigner((name, sizes))).collect()
    }

    pub(super) fn places(&self) -> Vec<(Box<str>, u64)> {
        self.places.iter().map(|(place, size)| (place.clone(), *size)).collect()
    }

    fn has(&self, by: &str, size: u64) -> bool {
        self.by.get(by).is_some_and(|sizes| sizes.contains(&size))
    }
}

impl Verification {
    /// A record says that a place has taken a checkpoint.
    pub(super) fn hear_anchored(&mut self, (record, at): (u64, Place), place: &str, size: u64, by: Option<&str>) {
        if self.shown.places.len() >= PLACES_MAX && !self.shown.places.contains_key(place) {
            return self.push(Problem::TooMany { record, at, what: "place", max: PLACES_MAX as u64 });
        }
        if let Some(missing) = self.shown.note_record(record, place, size, by) {
            self.notices.push(missing);
        }
    }

    /// Is there a checkpoint, and one that others may have been shown? Where something is wrong, that is why.
    pub(super) fn look_for_checkpoints(&mut self) {
        if self.unread.is_some() || self.next == 0 || !self.problems.is_empty() {
            return;
        }
        if self.checkpoints == 0 {
            self.notices.push(Notice::NothingSigned);
        } else if self.shown.filed.is_none() {
            self.notices.push(Notice::NothingFiled);
        }
    }

    /// Which cosignatures are known to have been there. A crash may have lost one, so that this is no accusation.
    pub(super) fn look_for_cosignatures(&mut self) {
        // The log has signed what is behind that record, so that there was time to write the file.
        let signed = self.last_signed.as_ref().map_or(0, |checkpoint| checkpoint.size);
        let lacking = std::mem::take(&mut self.shown.lacking).into_iter().filter(|(record, _)| signed > *record);
        lacking.for_each(|(_, notice)| self.notices.push(notice));
        self.notices.more += self.shown.more_lacking;
        if self.checkpoints > 0 {
            let never = self.options.witnesses.iter().filter(|key| !self.shown.by.contains_key(key.name()));
            never.for_each(|key| self.notices.push(Notice::NeverCosigned { by: key.name().into() }));
        }
    }
}
