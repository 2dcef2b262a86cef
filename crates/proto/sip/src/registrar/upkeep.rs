//! What happens between requests: time passes, connections end, changes are kept and come back.

use super::binding::Reach;
use super::{BindingRecord, Change, Moment, Record, Registrar, SWEEP_INTERVAL, SWEEP_STEPS, USER};
use sx_engine::Time;
use sx_types::LinkId;

impl Registrar {
    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest; `None` while nobody is registered.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.sweep_at
    }

    /// Looks at a part of the users for bindings whose time is over. That they are not told to anybody does not hang on
    /// it; their memory does.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.sweep_at.is_none_or(|at| now < at) {
            return;
        }
        let moment = Moment::new(now);
        let slots = self.table.slots();
        for _ in 0..slots.div_ceil(SWEEP_STEPS) {
            self.sweep_next = if self.sweep_next + 1 < slots { self.sweep_next + 1 } else { 0 };
            if self.expire(self.sweep_next, moment) {
                self.settle(self.sweep_next);
            }
        }
        self.sweep_at = (!self.is_empty()).then(|| now + SWEEP_INTERVAL);
    }

    /// A connection has ended. Contacts that only it reached are gone; others are reached by their URIs from now on.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-6
    pub fn handle_flow_closed(&mut self, link: LinkId) {
        while let Some(slot) = self.table.pop_on_link(link) {
            let lost = self.table.unbind(slot, |b| b.reach != Reach::Flow || b.connection() != Some(link));
            self.counters.disconnected += lost as u64;
            let bindings = self.table.get(slot).map_or(0, |entry| entry.bindings.len());
            for position in 0..bindings {
                self.table.rebind(slot, position, |binding| {
                    if binding.connection() == Some(link) {
                        binding.reach = Reach::Uri;
                    }
                });
            }
            if lost > 0 {
                self.settle(slot);
            }
        }
    }

    /// Removes all bindings of a user, because an operator says so. How many there were.
    pub fn remove(&mut self, aor: &str) -> usize {
        let hash = self.keys.hash(USER, aor.as_bytes());
        let Some(slot) = self.table.find(hash, aor) else { return 0 };
        let removed = self.table.unbind(slot, |_| false);
        self.counters.removed += removed as u64;
        self.settle(slot);
        removed
    }

    /// The next change to be kept. Drain it after every input: deletions are gathered until then.
    pub fn poll_change(&mut self) -> Option<Change> {
        if let Some(aor) = self.deleted.pop_front() {
            return Some(Change::Delete { aor });
        }
        while let Some(slot) = self.changed.pop_front() {
            // The slot may have been left since, and taken by another user, who then stands behind it as well.
            let Some(entry) = self.table.get_mut(slot).filter(|entry| entry.changed) else { continue };
            entry.changed = false;
            let aor = entry.aor.clone();
            let mut bindings: Vec<&_> = entry.bindings.iter().collect();
            bindings.sort_by_key(|binding| std::cmp::Reverse(self.updates.wrapping_sub(binding.updated)));
            let record = Record(bindings.into_iter().filter_map(BindingRecord::of).collect());
            return Some(if record.0.is_empty() { Change::Delete { aor } } else { Change::Put { aor, record } });
        }
        None
    }

    /// Takes back what was kept of a user, but for what has expired meanwhile. A user who has bindings already keeps
    /// those. Of a user of whom nothing comes back it is reported that there is nothing to keep any more.
    pub fn restore(&mut self, now: Time, aor: &str, record: &Record) {
        let moment = Moment::new(now);
        let hash = self.keys.hash(USER, aor.as_bytes());
        if self.table.find(hash, aor).is_some() {
            return;
        }
        let mut slot = None;
        for kept in record.0.iter().filter(|kept| kept.expires > moment.at) {
            self.updates = self.updates.wrapping_add(1);
            let Some(binding) = kept.restore(self.updates) else { continue };
            let slot = *slot.get_or_insert_with(|| self.table.insert(hash, aor));
            self.table.bind(slot, binding);
        }
        if slot.is_none() {
            self.deleted.push_back(aor.into());
        }
        if !self.is_empty() {
            self.sweep_at.get_or_insert(now + SWEEP_INTERVAL);
        }
    }
}
