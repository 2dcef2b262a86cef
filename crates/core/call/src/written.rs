//! An incoming leg is answered when what lets it in is written down, and not before.
//!
//! ```text
//!  target answers, caller's record not on the disk ──► the answer waits ──Written──► Talking
//!                                                          └──too long──► the caller is refused, 503
//! ```
//!
//! What waits is what the target has said, not what the caller is told: until the caller can be told, the call has not been
//! answered, in no record and in no count. The same holds for a leg that takes another one's place.

use crate::QueryId;
use crate::alarm::Alarm;
use crate::engine::Calls;
use crate::failure::Failure;
use crate::hunt::Step;
use crate::state::{Block, Body, BranchState, Call, Ringing, State};
use sx_leg::{LegCommand, LegEvent};
use sx_types::{Cause, LegId};

impl Body {
    /// Is it written down that this leg was let in, as far as that is wanted?
    pub(crate) fn may_answer(&self, leg: LegId) -> bool {
        !self.unwritten.contains(&leg) && self.unwritten_wishes.is_empty()
    }

    /// Is everything written down that somebody may wait for?
    pub(crate) fn is_written(&self) -> bool {
        self.unwritten.is_empty() && self.unwritten_wishes.is_empty()
    }
}

impl Calls {
    /// A new incoming leg, if it has to wait for its record.
    pub(crate) fn unwritten(&self, leg: LegId) -> Option<LegId> {
        self.settings.answer_wait.map(|_| leg)
    }

    /// A leg that has come to take a place has to wait for its record as a caller has.
    pub(crate) fn may_not_answer_yet(&mut self, call: &mut Call, leg: LegId) {
        call.body.unwritten.extend(self.unwritten(leg));
        self.await_record(call);
    }

    /// Keeps an event that leads to an answer until the record is written.
    pub(crate) fn defer_for_record(&mut self, call: &mut Call, leg: LegId, event: LegEvent) {
        Self::defer(call, Block::Record, leg, event);
        self.await_record(call);
    }

    /// Waiting begins once, however often an event is looked at meanwhile.
    pub(crate) fn await_record(&mut self, call: &mut Call) {
        let waits = call.alarms.iter().any(|set| set.alarm == Alarm::Record);
        if let Some(wait) = self.settings.answer_wait.filter(|_| !waits) {
            self.set_alarm(call, Alarm::Record, wait);
        }
    }

    /// What lets this leg in is on the disk.
    pub(crate) fn leg_written(&mut self, leg: LegId) {
        if let Some(key) = self.legs.get(&leg).copied() {
            self.with_call(key, |calls, call| calls.written(call, leg));
        }
    }

    /// Somebody in the call has had a wish granted: nobody is connected before that is on the disk.
    pub(crate) fn await_wish(&mut self, call: &mut Call, query: QueryId) {
        if self.settings.answer_wait.is_some() {
            self.queries.insert(query, call.key);
            call.body.unwritten_wishes.push(query);
        }
    }

    /// That is on the disk.
    pub(crate) fn wish_written(&mut self, query: QueryId) {
        if let Some(key) = self.queries.remove(&query) {
            self.with_call(key, |calls, call| {
                call.body.unwritten_wishes.retain(|waiting| *waiting != query);
                calls.all_written(call);
            });
        }
    }

    fn written(&mut self, call: &mut Call, leg: LegId) {
        call.body.unwritten.retain(|waiting| *waiting != leg);
        self.all_written(call);
    }

    /// What has waited goes on when the call settles.
    fn all_written(&mut self, call: &mut Call) {
        if call.body.is_written() {
            self.clear_alarm(call, Alarm::Record);
        }
        call.state = match std::mem::replace(&mut call.state, State::Ending) {
            State::Ringing(ringing) => match self.pick_up_ready(call, ringing) {
                State::Ringing(ringing) => self.enter_ready(call, ringing),
                state => state,
            },
            state => state,
        };
    }

    /// Nobody could account for who would be answered now.
    pub(crate) fn record_late(&mut self, call: &mut Call) {
        let failure = Failure {
            retry_after_s: self.settings.retry_after_s,
            ..Failure::new(Cause::TEMPORARY_FAILURE, UNACCOUNTED).with_status(503)
        };
        match std::mem::replace(&mut call.state, State::Ending) {
            State::Ringing(ringing) if call.body.may_answer(ringing.caller.leg) => {
                call.state = self.not_taken_unwritten(call, ringing, &failure);
            }
            State::Joining(joining) if !call.body.may_answer(joining.joins.leg) => {
                call.state = self.join_failed(call, joining, &failure);
            }
            State::Ringing(ringing) => {
                call.state = State::Ringing(ringing);
                self.clear(call, &failure);
            }
            state => call.state = state,
        }
    }

    /// Who has come to take the call is refused; what rings rings on.
    fn not_taken_unwritten(&mut self, call: &mut Call, mut ringing: Box<Ringing>, failure: &Failure) -> State {
        let Ringing { caller, hunt } = &mut *ringing;
        let mut step = Step::Going;
        while let Some(index) = hunt
            .branches
            .iter()
            .position(|branch| matches!(branch.state, BranchState::Taking) && !call.body.may_answer(branch.party.leg))
        {
            let branch = hunt.branches.remove(index);
            self.leave(call, &branch.party, LegCommand::Reject(failure.rejection()), failure.cause);
            step = self.hunt_check(call, hunt, caller);
        }
        self.ringing_on(call, ringing, step)
    }
}

/// What whoever is refused is told.
const UNACCOUNTED: &str = "the call could not be written down in time";
