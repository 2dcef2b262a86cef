//! The timers of a call, and the one of all calls together.

use crate::CallRecord;
use crate::engine::Calls;
use crate::interface::Output;
use crate::slots::Key;
use crate::state::Call;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use sx_engine::{Time, TimerId};

/// What a timer of a call is for. A call has at most one of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Alarm {
    /// The targets of this stage have rung long enough.
    Ring,
    /// The registrar has not said where the user is.
    Locate,
    /// The packet threads have not opened the ports.
    Ports,
    /// What must be written down before an answer is not.
    Record,
    /// A party has not answered an offer.
    Offer,
    /// An offer that met one from the other side is to be repeated.
    Retry,
    /// The call has lasted long enough.
    Talk,
    /// A party that is told of a recording has not answered, or has not heard all of it.
    Consent,
    /// The parties are to be reminded that they are recorded.
    Beep,
    /// The ports have not said what they counted.
    Close,
    /// A leg has not ended although it was told to.
    Legs,
}

/// A timer that is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set {
    pub alarm: Alarm,
    pub at: Time,
    id: TimerId,
}

/// What the wheel carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub call: Key,
    pub alarm: Alarm,
}

impl Call {
    /// When a timer is due, if it is set.
    pub(crate) fn alarm_at(&self, alarm: Alarm) -> Option<Time> {
        self.alarms.iter().find(|set| set.alarm == alarm).map(|set| set.at)
    }
}

impl Calls {
    /// Sets a timer of the call, in place of the one of its kind.
    pub(crate) fn set_alarm(&mut self, call: &mut Call, alarm: Alarm, after: Duration) {
        self.set_alarm_at(call, alarm, self.now + after);
    }

    pub(crate) fn set_alarm_at(&mut self, call: &mut Call, alarm: Alarm, at: Time) {
        self.clear_alarm(call, alarm);
        let id = self.wheel.set(at, Due { call: call.key, alarm });
        call.alarms.push(Set { alarm, at, id });
    }

    /// Takes a timer away, whether it is set or not.
    pub(crate) fn clear_alarm(&mut self, call: &mut Call, alarm: Alarm) {
        if let Some(index) = call.alarms.iter().position(|set| set.alarm == alarm) {
            let set = call.alarms.swap_remove(index);
            self.wheel.cancel(set.id);
        }
    }

    pub(crate) fn clear_alarms(&mut self, call: &mut Call) {
        for set in call.alarms.drain(..) {
            self.wheel.cancel(set.id);
        }
    }

    /// Has a record written down.
    pub(crate) fn record(&mut self, record: CallRecord) {
        self.recorded_at = self.now;
        self.out.push_back(Output::Record(record));
    }

    /// When it must be written down that there are calls yet. One time for all of them, since what matters is when the
    /// process has died, which takes them all along.
    pub(crate) fn record_due(&self) -> Option<Time> {
        (!self.is_empty()).then(|| self.recorded_at + self.settings.record_interval)
    }
}
