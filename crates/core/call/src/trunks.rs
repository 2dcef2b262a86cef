//! What is known of each trunk: the calls on it, whether it answers.

use crate::NotAdmitted;
use crate::uncounted::Uncounted;
use std::collections::BTreeSet;
use std::sync::Arc;
use sx_engine::Time;
use sx_route::{Tables, Trunk, TrunkFacts};

/// Facts by the trunk's place in the tables. The calls on a trunk are counted with it, for all workers together.
#[derive(Debug, Default)]
pub(crate) struct Trunks {
    healthy: Vec<bool>,
    facts: Vec<TrunkFacts>,
    uncounted: Uncounted,
}

impl Trunks {
    pub(crate) fn new(tables: &Tables) -> Self {
        Self { healthy: vec![true; tables.trunks().len()], facts: Vec::new(), uncounted: Uncounted::default() }
    }

    /// Carries what is known over to new tables, by name.
    pub(crate) fn swap(&mut self, old: &Tables, new: &Tables) {
        let known = old.trunks().iter().zip(&self.healthy);
        let unhealthy: BTreeSet<&Arc<str>> =
            known.filter_map(|(trunk, healthy)| (!healthy).then_some(&trunk.name)).collect();
        self.healthy = new.trunks().iter().map(|trunk| !unhealthy.contains(&trunk.name)).collect();
        self.uncounted.count_known(|name| new.load(name).is_some_and(|load| load.occupy(u32::MAX)));
    }

    /// The facts that routing wants, as of `now`.
    pub(crate) fn facts(&mut self, tables: &Tables, now: Time) -> &[TrunkFacts] {
        self.facts.clear();
        self.facts.extend(tables.trunks().iter().zip(&self.healthy).map(|(trunk, healthy)| TrunkFacts {
            active: trunk.load.active(),
            begun_this_second: trunk.load.begun_in(now.as_secs()),
            healthy: *healthy,
        }));
        &self.facts
    }

    pub(crate) fn health(&mut self, tables: &Tables, name: &str, healthy: bool) {
        let place = tables.trunk_id(name).and_then(|id| self.healthy.get_mut(usize::from(id.0)));
        if let Some(known) = place {
            *known = healthy;
        }
    }

    /// A call comes in from the trunk, when its limits allow that, and is on it from now on.
    pub(crate) fn admit(&mut self, tables: &Tables, name: &Arc<str>, now: Time) -> Result<(), NotAdmitted> {
        if self.begin(tables, name, now) {
            return Ok(());
        }
        let full = trunk(tables, name).is_some_and(|trunk| trunk.load.active() >= trunk.calls_max);
        Err(if full { NotAdmitted::TrunkFull } else { NotAdmitted::TrunkTooFast })
    }

    /// A call that was on the trunk elsewhere is here now, whatever the limit.
    pub(crate) fn occupy(&mut self, tables: &Tables, name: &Arc<str>) {
        match tables.load(name) {
            Some(load) => _ = load.occupy(u32::MAX),
            None => self.uncounted.add(name),
        }
    }

    /// A call is begun to the trunk, when its limits allow that, and is on it from now on.
    pub(crate) fn begin(&mut self, tables: &Tables, name: &Arc<str>, now: Time) -> bool {
        match trunk(tables, name) {
            Some(trunk) => trunk.load.begin(trunk.calls_max, trunk.calls_per_s_max, now.as_secs()),
            // A plan that is older than the tables leads to a trunk that has left them, and with it its limits.
            None => {
                self.occupy(tables, name);
                true
            }
        }
    }

    /// A call gives its channel back.
    pub(crate) fn give_back(&mut self, tables: &Tables, name: &str) {
        if !self.uncounted.take(name)
            && let Some(load) = tables.load(name)
        {
            load.give_back();
        }
    }
}

fn trunk<'a>(tables: &'a Tables, name: &str) -> Option<&'a Trunk> {
    tables.trunk_id(name).and_then(|id| tables.trunk(id))
}
