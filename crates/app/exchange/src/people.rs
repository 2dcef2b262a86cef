//! The experts and the guardians an exchange knows, and what is asked of each of late.

use std::collections::BTreeMap;
use std::sync::Arc;
use sx_council::Guardian;
use sx_edge::IdentityLoad;
use sx_expert::{Expert, Standing};

/// All of them, built anew when any changes.
#[derive(Debug, Default)]
pub struct People {
    experts: Vec<Expert>,
    /// For each expert, how often they were rung, and their calls.
    rung: Vec<Arc<IdentityLoad>>,
    guardians: BTreeMap<Box<str>, KnownGuardian>,
}

/// A guardian, and what is kept beside the entry.
#[derive(Clone, Debug)]
pub struct KnownGuardian {
    /// What is written down.
    pub guardian: Guardian,
    /// How they stand.
    pub standing: Standing,
    /// The key that they sign with.
    pub key: Option<[u8; 32]>,
    /// What they ask for, over all workers.
    load: Arc<IdentityLoad>,
}

impl People {
    /// These and no others. Of two guardians of one name the last is known; a registry has no two.
    pub fn new(
        experts: Vec<Expert>,
        guardians: impl IntoIterator<Item = (Guardian, Standing, Option<[u8; 32]>)>,
    ) -> Self {
        let known = |(guardian, standing, key): (Guardian, Standing, Option<[u8; 32]>)| {
            let id = guardian.id.as_str().into();
            (id, KnownGuardian { guardian, standing, key, load: Arc::default() })
        };
        let rung = experts.iter().map(|_| Arc::default()).collect();
        Self { experts, rung, guardians: guardians.into_iter().map(known).collect() }
    }

    /// These instead of `before`, with what was asked of them of late.
    #[must_use]
    pub fn following(mut self, before: &Self) -> Self {
        let then: BTreeMap<&str, &Arc<IdentityLoad>> =
            before.experts.iter().map(|expert| &*expert.id).zip(&before.rung).collect();
        for (expert, rung) in self.experts.iter().zip(&mut self.rung) {
            if let Some(load) = then.get(&*expert.id) {
                *rung = (*load).clone();
            }
        }
        for (id, known) in &mut self.guardians {
            if let Some(then) = before.guardians.get(id) {
                known.load = then.load.clone();
            }
        }
        self
    }

    /// The experts, by no order.
    pub fn experts(&self) -> &[Expert] {
        &self.experts
    }

    /// How often the expert at this place was rung, and their calls.
    pub(crate) fn rung(&self, place: usize) -> &Arc<IdentityLoad> {
        &self.rung[place]
    }

    /// The place of an expert.
    pub(crate) fn place_of(&self, expert: &str) -> Option<usize> {
        self.experts.iter().position(|known| *known.id == *expert)
    }

    /// The guardian of this name.
    pub fn guardian(&self, id: &str) -> Option<&KnownGuardian> {
        self.guardians.get(id)
    }

    /// The guardians, by name.
    pub fn guardians(&self) -> impl Iterator<Item = &KnownGuardian> {
        self.guardians.values()
    }
}

impl KnownGuardian {
    /// What they ask for, over all workers.
    pub(crate) fn load(&self) -> &Arc<IdentityLoad> {
        &self.load
    }
}
