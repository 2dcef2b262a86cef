//! What others have seen of a log: the cosignatures in `checkpoints.jsonl`, and the places that its records name.

use super::notice::Notice;
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

/// What a verification has seen of this.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The sizes of the checkpoints that each witness has cosigned.
    by: BTreeMap<Box<str>, BTreeSet<u64>>,
    /// The largest size in the file, whoever has signed it.
    filed: Option<u64>,
    /// What records say that a witness has cosigned.
    taken: Vec<Taken>,
    /// How many records the last checkpoint covers that a place has taken, as far as records say.
    places: BTreeMap<Box<str>, u64>,
}

#[derive(Debug)]
struct Taken {
    record: u64,
    size: u64,
    by: Box<str>,
}

impl Shown {
    pub(super) fn note_line(&mut self, size: u64, cosignatures: &[String]) {
        self.filed = self.filed.max(Some(size));
        for name in cosignatures.iter().filter_map(|line| cosigner_of(line)) {
            self.by.entry(name.into()).or_default().insert(size);
        }
    }

    /// A record says that a place has taken a checkpoint, and perhaps whose cosignature came back.
    pub(super) fn note_record(&mut self, record: u64, place: &str, size: u64, by: Option<&str>) {
        let known = self.places.entry(place.into()).or_default();
        *known = size.max(*known);
        self.taken.extend(by.map(|by| Taken { record, size, by: by.into() }));
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

    /// Was the file read after the cosignature must have come that this record tells of? Where the file is empty, the log has signed
    /// what is behind that record.
    fn is_due(&self, record: u64, signed: u64) -> bool {
        self.filed.map_or(signed > record, |filed| filed > record)
    }
}

impl Verification {
    /// Which cosignatures are known to have been there. A crash may have lost one, so that this is no accusation.
    pub(super) fn look_for_cosignatures(&mut self) {
        let signed = self.last_signed.as_ref().map_or(0, |checkpoint| checkpoint.size);
        let (shown, notices) = (&self.shown, &mut self.notices);
        let lacking = shown.taken.iter().filter(|taken| !shown.has(&taken.by, taken.size));
        let lacking = lacking.filter(|taken| shown.is_due(taken.record, signed));
        notices.extend(lacking.map(|Taken { record, size, by }| Notice::CosignatureMissing {
            record: *record,
            size: *size,
            by: by.clone(),
        }));
        if self.checkpoints > 0 {
            let never = self.options.witnesses.iter().filter(|key| !shown.by.contains_key(key.name()));
            notices.extend(never.map(|key| Notice::NeverCosigned { by: key.name().into() }));
        }
    }
}
