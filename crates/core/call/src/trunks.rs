//! What is known of each trunk: its own calls, those of the other workers, whether it answers.

use std::collections::HashMap;
use std::sync::Arc;
use sx_engine::Time;
use sx_route::{Tables, TrunkFacts, TrunkId};

/// Counters by the trunk's place in the tables.
#[derive(Debug, Default)]
pub(crate) struct Trunks {
    counted: Vec<Counted>,
    facts: Vec<TrunkFacts>,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    active: u32,
    active_elsewhere: u32,
    second: u64,
    begun: u32,
    second_elsewhere: u64,
    begun_elsewhere: u32,
    healthy: bool,
}

const IDLE: Counted = Counted {
    active: 0,
    active_elsewhere: 0,
    second: 0,
    begun: 0,
    second_elsewhere: 0,
    begun_elsewhere: 0,
    healthy: true,
};

impl Counted {
    fn begun_in(&self, second: u64) -> u32 {
        let here = if self.second == second { self.begun } else { 0 };
        let elsewhere = if self.second_elsewhere == second { self.begun_elsewhere } else { 0 };
        here.saturating_add(elsewhere)
    }
}

impl Trunks {
    pub(crate) fn new(tables: &Tables) -> Self {
        Self { counted: vec![IDLE; tables.trunks().len()], facts: Vec::new() }
    }

    /// Carries the counters over to new tables, by name.
    pub(crate) fn swap(&mut self, old: &Tables, new: &Tables) {
        let by_name: HashMap<&Arc<str>, Counted> =
            old.trunks().iter().map(|trunk| &trunk.name).zip(self.counted.iter().copied()).collect();
        self.counted = new.trunks().iter().map(|trunk| by_name.get(&trunk.name).copied().unwrap_or(IDLE)).collect();
    }

    /// The facts that routing wants, as of `now`.
    pub(crate) fn facts(&mut self, now: Time) -> &[TrunkFacts] {
        let second = now.as_secs();
        self.facts.clear();
        self.facts.extend(self.counted.iter().map(|trunk| TrunkFacts {
            active: trunk.active.saturating_add(trunk.active_elsewhere),
            begun_this_second: trunk.begun_in(second),
            healthy: trunk.healthy,
        }));
        &self.facts
    }

    /// Calls on a trunk now, everywhere.
    pub(crate) fn active(&self, id: TrunkId) -> u32 {
        self.counted.get(usize::from(id.0)).map_or(0, |trunk| trunk.active.saturating_add(trunk.active_elsewhere))
    }

    /// Calls begun on a trunk in this second, in either direction, everywhere.
    pub(crate) fn begun(&self, id: TrunkId, now: Time) -> u32 {
        self.counted.get(usize::from(id.0)).map_or(0, |trunk| trunk.begun_in(now.as_secs()))
    }

    /// Has the trunk room for one more call? What was known when the call was planned may have changed since.
    pub(crate) fn has_room(&self, tables: &Tables, name: &str, now: Time) -> bool {
        let found = tables.trunk_id(name).and_then(|id| Some((id, tables.trunk(id)?)));
        found.is_none_or(|(id, trunk)| self.active(id) < trunk.calls_max && self.begun(id, now) < trunk.calls_per_s_max)
    }

    /// A call that was begun elsewhere goes on here, and is on the trunk.
    pub(crate) fn occupy(&mut self, tables: &Tables, name: &str) {
        self.with(tables, name, |trunk| trunk.active += 1);
    }

    /// A call is begun to the trunk or by it, and is on it from now on.
    pub(crate) fn begin(&mut self, tables: &Tables, name: &str, now: Time) {
        self.with(tables, name, |trunk| {
            trunk.active += 1;
            let second = now.as_secs();
            trunk.begun = if trunk.second == second { trunk.begun.saturating_add(1) } else { 1 };
            trunk.second = second;
        });
    }

    /// A call of ours gives its channel back.
    pub(crate) fn give_back(&mut self, tables: &Tables, name: &str) {
        self.with(tables, name, |trunk| trunk.active = trunk.active.saturating_sub(1));
    }

    pub(crate) fn health(&mut self, tables: &Tables, name: &str, healthy: bool) {
        self.with(tables, name, |trunk| trunk.healthy = healthy);
    }

    pub(crate) fn elsewhere(&mut self, tables: &Tables, name: &str, active: u32, begun: u32, now: Time) {
        self.with(tables, name, |trunk| {
            trunk.active_elsewhere = active;
            trunk.begun_elsewhere = begun;
            trunk.second_elsewhere = now.as_secs();
        });
    }

    /// A trunk that has left the tables is no longer counted.
    fn with(&mut self, tables: &Tables, name: &str, change: impl FnOnce(&mut Counted)) {
        if let Some(trunk) = tables.trunk_id(name).and_then(|id| self.counted.get_mut(usize::from(id.0))) {
            change(trunk);
        }
    }
}
