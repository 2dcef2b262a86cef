//! Places that calls have here in what the tables do not know: a trunk or a room of an exchange that a call has come from, or
//! that has left the tables before the call was begun.
//!
//! Nothing counts them, so nothing may be given back for them: should tables with that name come, somebody else's place would
//! be. From then on they are counted like any other.

use std::collections::BTreeMap;
use std::sync::Arc;

/// How many, by the name of the trunk or the room. No more than there are calls.
#[derive(Debug, Default)]
pub(crate) struct Uncounted(BTreeMap<Arc<str>, u32>);

impl Uncounted {
    pub(crate) fn add(&mut self, name: &Arc<str>) {
        *self.0.entry(name.clone()).or_default() += 1;
    }

    /// One of them is free. `false`: there is none, it is counted elsewhere.
    pub(crate) fn take(&mut self, name: &str) -> bool {
        let Some(count) = self.0.get_mut(name) else { return false };
        *count -= 1;
        if *count == 0 {
            self.0.remove(name);
        }
        true
    }

    /// New tables have come. `count` has one place counted, if they know the name.
    pub(crate) fn count_known(&mut self, mut count: impl FnMut(&str) -> bool) {
        self.0.retain(|name, places| !(0..*places).all(|_| count(name)));
    }
}
