//! What a call is bound to: it stands in the call for whoever comes, and with each party for what it says and is told.

use crate::alarm::Alarm;
use crate::engine::Calls;
use crate::state::{Body, Call};
use sx_leg::Bounds;
use sx_route::Planned;
use sx_types::LegId;

impl Calls {
    /// What is known of the call of a leg.
    pub(crate) fn body_of(&self, leg: LegId) -> Option<&Body> {
        let key = *self.legs.get(&leg)?;
        self.slots.peek(key).map(|call| &call.body)
    }

    /// The call is bound to what somebody who has joined it is: it may have less time left than before.
    pub(crate) fn bind(&mut self, call: &mut Call, bounds: &Bounds) {
        call.body.bounds.add(bounds);
        let Some(until) = bounds.talk_max.map(|talk_max| self.now + talk_max) else { return };
        if call.alarm_at(Alarm::Talk).is_some_and(|at| at > until) {
            self.set_alarm_at(call, Alarm::Talk, until);
        }
    }
}

/// What whoever is called is bound to: what its call is, and what it may be called under.
pub(crate) fn bounds_of(planned: &Planned, body: &Body) -> Bounds {
    let mut bounds = planned.bounds.clone();
    bounds.add(&body.bounds);
    bounds
}
