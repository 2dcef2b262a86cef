//! The search for somebody who answers: stages one after the other, the targets of a stage all at once.
//!
//! ```text
//!  stage ──► targets ring ──► one answers ──────────────► the others are cancelled
//!    ▲            │  one redirects: what the dial plan lets it have rings too
//!    │            └──► all have failed, or rung long enough
//!    └── the cause allows it ──┴── it does not, or no stage is left ──► the best failure is told
//! ```

use crate::alarm::Alarm;
use crate::engine::Calls;
use crate::failure::Failure;
use crate::interface::{Found, Note, Output, QueryId, Wish, WishKind};
use crate::state::{Branch, BranchState, Call, Hunt, Locating, Party, State, Stop};
use smallvec::SmallVec;
use std::time::Duration;
use sx_leg::{Address, Ended, LegCommand, Target};
use sx_route::{Planned, Way};
use sx_types::{Cause, LegId};

/// How the search stands.
#[derive(Debug)]
pub(crate) enum Step {
    /// It goes on.
    Going,
    /// It is over; this is what to tell.
    Failed(Failure),
}

impl Calls {
    /// Begins the next stage that has anything to try. `party` is the one on whose behalf the search is.
    pub(crate) fn hunt_next(&mut self, call: &mut Call, hunt: &mut Hunt, party: &Party) -> Step {
        while let Some(stage) = hunt.stages.pop_front() {
            hunt.failover = stage.failover;
            hunt.stage_failure = None;
            for planned in stage.ways {
                self.try_way(call, hunt, party, planned);
            }
            if hunt.is_busy() {
                self.set_alarm(call, Alarm::Ring, Duration::from_millis(u64::from(stage.ring_ms_max)));
                return Step::Going;
            }
        }
        self.clear_alarm(call, Alarm::Ring);
        let nothing = || Failure::new(Cause::NO_ROUTE, "no target could be tried");
        Step::Failed(hunt.failure.take().unwrap_or_else(nothing))
    }

    pub(crate) fn try_way(&mut self, call: &mut Call, hunt: &mut Hunt, party: &Party, planned: Planned) {
        hunt.asked.push((planned.way.clone(), planned.to.clone()));
        match &planned.way {
            Way::User => {
                let query = QueryId(self.next_query);
                self.next_query += 1;
                self.queries.insert(query, call.key);
                self.out.push_back(Output::Locate { query, address: planned.to.clone() });
                self.set_alarm(call, Alarm::Locate, self.settings.locate_wait);
                hunt.locating.push(Locating { query, planned });
            }
            Way::Trunk(name) => {
                let target = Target::Trunk { trunk: name.clone(), user: planned.to.user.clone() };
                self.ring(call, hunt, party, &planned, target);
            }
            Way::Room(_) | Way::Announcement(_) if party.is_room() => {
                hunt.failed(Failure::new(Cause::NO_ROUTE, "nobody is called where the exchange answers by itself"));
            }
            Way::Room(room) => self.enter(call, hunt, party, &planned, Stop::Room(room.clone())),
            Way::Announcement(told) => {
                let at = Stop::Announcement { told: told.clone(), begun: false };
                self.enter(call, hunt, party, &planned, at);
            }
            Way::Uri(uri) => {
                let target = Target::Uri(uri.clone());
                self.ring(call, hunt, party, &planned, target);
            }
        }
    }

    /// Where a user is, is known.
    pub(crate) fn hunt_located(
        &mut self,
        call: &mut Call,
        hunt: &mut Hunt,
        party: &Party,
        query: QueryId,
        found: Found,
    ) -> Step {
        let Some(index) = hunt.locating.iter().position(|locating| locating.query == query) else {
            return Step::Going;
        };
        let planned = hunt.locating.remove(index).planned;
        self.answered_query(call, hunt);
        match found {
            Found::Unknown => hunt.failed(Failure::new(Cause::UNALLOCATED, "there is no such user")),
            Found::Failed => hunt.failed(Failure::new(Cause::TEMPORARY_FAILURE, "the registrar could not be asked")),
            Found::Contacts(contacts) if contacts.is_empty() => {
                hunt.failed(Failure::new(Cause::ABSENT, "the user is not registered"));
            }
            Found::Contacts(contacts) => {
                for target in contacts {
                    self.ring(call, hunt, party, &planned, target);
                }
            }
        }
        self.hunt_check(call, hunt, party)
    }

    /// A target has said whom to ask instead: it is asked whether it may have them called, as if it had called them itself.
    /// What it may ask for rings with what rings already; a refusal counts as an attempt that has failed.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-26.1.1
    // Whoever answers 3xx could otherwise spend what only others may spend, and have us call any host it likes.
    pub(crate) fn hunt_redirected(&mut self, call: &mut Call, hunt: &mut Hunt, leg: LegId, targets: &[Address]) {
        let Some(index) = hunt.branch(leg) else { return };
        hunt.branches[index].state = BranchState::Redirected;
        if hunt.redirects >= self.settings.redirects_max {
            hunt.failed(Failure::new(Cause::ROUTING_ERROR, "the call was redirected more often than is allowed"));
            return;
        }
        hunt.redirects += 1;
        let Some(source) = hunt.branches[index].party.source.clone() else {
            hunt.failed(Failure::new(Cause(57), "a target outside of the exchange may not redirect a call"));
            return;
        };
        let to: Vec<Address> = targets.iter().take(usize::from(self.settings.targets_max)).cloned().collect();
        if !to.is_empty() {
            self.ask(call, hunt, Wish { leg, source, to, kind: WishKind::Redirection });
        }
    }

    /// A target's leg is over.
    pub(crate) fn hunt_ended(
        &mut self,
        call: &mut Call,
        hunt: &mut Hunt,
        party: &Party,
        leg: LegId,
        ended: &Ended,
    ) -> Step {
        let Some(index) = hunt.branch(leg) else { return Step::Going };
        let branch = hunt.branches.remove(index);
        hunt.early = hunt.early.filter(|early| *early != leg);
        self.gone(call, &branch.party, ended);
        self.note(Note::AttemptFailed { call: call.body.cdr.call, leg, cause: ended.cause, status: ended.status });
        if matches!(branch.state, BranchState::Redirected) {
            return self.hunt_check(call, hunt, party);
        }
        let failure = Failure::of_target(&branch.party, ended);
        if failure.is_global() {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
            // A 6xx ends the search: what rings is cancelled and nothing else is tried.
            self.hunt_cancel(call, hunt, Cause::NORMAL);
            return Step::Failed(failure);
        }
        hunt.failed(failure);
        self.hunt_check(call, hunt, party)
    }

    /// The stage has rung long enough, or a registrar has not answered.
    pub(crate) fn hunt_timeout(&mut self, call: &mut Call, hunt: &mut Hunt, party: &Party, alarm: Alarm) -> Step {
        for locating in std::mem::take(&mut hunt.locating) {
            self.queries.remove(&locating.query);
            hunt.failed(Failure::new(Cause::TEMPORARY_FAILURE, "the registrar has not answered"));
        }
        for asking in std::mem::take(&mut hunt.asking) {
            self.queries.remove(&asking.query);
            hunt.failed(Failure::new(Cause::TEMPORARY_FAILURE, "nobody has said whether the call may go there"));
        }
        if alarm == Alarm::Ring {
            for branch in std::mem::take(&mut hunt.branches) {
                // Somebody who was alerted did not want to answer; where nothing rang, another way may do better.
                let (cause, sentence) = match branch.state {
                    BranchState::Ringing => (Cause::NO_ANSWER, "it rang and nobody answered"),
                    _ => (Cause::TIMER_EXPIRY, "the target has not answered"),
                };
                self.dismiss_branch(call, &branch, cause);
                hunt.failed(Failure::of_timer(cause, sentence));
            }
            hunt.early = None;
            self.announced_long_enough(call, hunt, party);
        }
        self.hunt_check(call, hunt, party)
    }

    /// A port of a target could not be opened: the target is not tried.
    pub(crate) fn hunt_portless(
        &mut self,
        call: &mut Call,
        hunt: &mut Hunt,
        party: &Party,
        (leg, failure): (LegId, &Failure),
    ) -> Step {
        if let Some(index) = hunt.branch(leg) {
            let branch = hunt.branches.remove(index);
            if matches!(branch.state, BranchState::Taking) {
                self.leave(call, &branch.party, LegCommand::Reject(failure.rejection()), failure.cause);
                return self.hunt_check(call, hunt, party);
            }
            self.undialled(call, &branch.party, failure);
            hunt.failed(failure.clone());
        }
        self.hunt_check(call, hunt, party)
    }

    /// One has answered: the search is over, the others are cancelled.
    pub(crate) fn hunt_won(&mut self, call: &mut Call, hunt: &mut Hunt, leg: LegId) -> Option<Party> {
        let index = hunt.branch(leg)?;
        let winner = hunt.branches.remove(index).party;
        self.hunt_cancel(call, hunt, Cause::NON_SELECTED);
        let at = self.now.as_nanos();
        if let Some(attempt) = call.body.attempt(winner.attempt) {
            attempt.answer = Some(at);
        }
        Some(winner)
    }

    /// Ends the search and every leg of it.
    pub(crate) fn hunt_cancel(&mut self, call: &mut Call, hunt: &mut Hunt, cause: Cause) {
        for branch in std::mem::take(&mut hunt.branches) {
            self.dismiss_branch(call, &branch, cause);
        }
        for query in hunt.queries() {
            self.queries.remove(&query);
        }
        if std::mem::take(&mut hunt.enters) {
            self.leave_room(call, cause, 0);
        }
        hunt.locating.clear();
        hunt.asking.clear();
        hunt.stages.clear();
        self.clear_alarm(call, Alarm::Ring);
        self.clear_alarm(call, Alarm::Locate);
    }

    fn dismiss_branch(&mut self, call: &mut Call, branch: &Branch, cause: Cause) {
        if matches!(branch.state, BranchState::Opening { .. }) {
            self.undialled(call, &branch.party, &Failure::new(cause, ""));
        } else {
            self.dismiss(call, &branch.party, cause);
        }
    }

    /// Goes on to the next stage when nothing of this one is left, if the cause allows it.
    pub(crate) fn hunt_check(&mut self, call: &mut Call, hunt: &mut Hunt, party: &Party) -> Step {
        if hunt.is_busy() {
            return Step::Going;
        }
        let next = hunt.stage_failure.as_ref().is_none_or(|failure| hunt.failover.allows(failure.cause));
        if next {
            return self.hunt_next(call, hunt, party);
        }
        hunt.stages.clear();
        self.hunt_next(call, hunt, party)
    }

    /// A question has its answer: when it was the last, nothing is waited for.
    pub(crate) fn answered_query(&mut self, call: &mut Call, hunt: &Hunt) {
        if !hunt.waits_for_answers() {
            self.clear_alarm(call, Alarm::Locate);
        }
    }

    pub(crate) fn located(&mut self, call: &mut Call, query: QueryId, found: Found) {
        self.search(call, |calls, call, hunt, party| calls.hunt_located(call, hunt, party, query, found));
    }

    pub(crate) fn hunt_alarm(&mut self, call: &mut Call, alarm: Alarm) {
        self.search(call, |calls, call, hunt, party| calls.hunt_timeout(call, hunt, party, alarm));
    }

    /// Works on the search that is going on, whatever it is for, and draws the conclusion.
    pub(crate) fn search(
        &mut self,
        call: &mut Call,
        work: impl FnOnce(&mut Self, &mut Call, &mut Hunt, &Party) -> Step,
    ) {
        call.state = match std::mem::replace(&mut call.state, State::Ending) {
            State::Ringing(mut ringing) => {
                let step = work(self, call, &mut ringing.hunt, &ringing.caller);
                self.ringing_on(call, ringing, step)
            }
            State::Inviting(mut inviting) => {
                let step = work(self, call, &mut inviting.hunt, &inviting.host);
                self.inviting_on(call, inviting, step)
            }
            State::Moving(mut moving) => {
                let step = work(self, call, &mut moving.hunt, &moving.remaining);
                self.moving_on(call, moving, step)
            }
            State::Talking(mut talking) => {
                let step = match &mut talking.transfer {
                    Some(transfer) => {
                        let remaining = &talking.parties[1 - transfer.asker];
                        work(self, call, &mut transfer.hunt, remaining)
                    }
                    None => Step::Going,
                };
                self.transfer_on(call, talking, step)
            }
            state => state,
        };
    }
}

impl Hunt {
    fn is_busy(&self) -> bool {
        !self.branches.is_empty() || self.enters || self.waits_for_answers()
    }

    fn waits_for_answers(&self) -> bool {
        !self.locating.is_empty() || !self.asking.is_empty()
    }

    /// The questions that have no answer yet.
    pub(crate) fn queries(&self) -> SmallVec<[QueryId; 2]> {
        let locating = self.locating.iter().map(|locating| locating.query);
        locating.chain(self.asking.iter().map(|asking| asking.query)).collect()
    }

    pub(crate) fn failed(&mut self, failure: Failure) {
        self.stage_failure = Some(Failure::better(self.stage_failure.take(), failure.clone()));
        self.failure = Some(Failure::better(self.failure.take(), failure));
    }
}
