//! Somebody in a call wants others to be called: by a transfer, or by answering with another address. Whether it may is
//! asked first, of whoever decides about new calls, and only then planned, as if it had called them itself.
//!
//! ```text
//!  TransferAsked, Redirected ──► Output::Admit ──► Input::Admitted ──┬─ granted ──► plan ──► targets ring
//!                                                                    └─ refused ──► an attempt that has failed
//! ```

use crate::alarm::Alarm;
use crate::engine::Calls;
use crate::failure::Failure;
use crate::hunt::Step;
use crate::interface::{Admission, Output, QueryId, Wish, WishKind};
use crate::state::{Asking, BranchState, Call, Hunt, Party};
use std::collections::VecDeque;
use std::time::Duration;
use sx_leg::{Address, LegCommand, Source};
use sx_route::{Facts, Plan, Stage, plan};
use sx_types::Cause;

impl Calls {
    /// Asks whether somebody may have others called.
    pub(crate) fn ask(&mut self, call: &mut Call, hunt: &mut Hunt, wish: Wish) {
        let query = QueryId(self.next_query);
        self.next_query += 1;
        self.queries.insert(query, call.key);
        self.out.push_back(Output::Admit { query, call: call.body.cdr.call, wish: wish.clone() });
        self.set_alarm(call, Alarm::Locate, self.settings.locate_wait);
        hunt.asking.push(Asking { query, wish });
    }

    pub(crate) fn admitted(&mut self, call: &mut Call, query: QueryId, admissions: Vec<Admission>) {
        self.search(call, |calls, call, hunt, party| calls.hunt_admitted(call, hunt, party, query, admissions));
    }

    /// Whether it may is known.
    fn hunt_admitted(
        &mut self,
        call: &mut Call,
        hunt: &mut Hunt,
        party: &Party,
        query: QueryId,
        admissions: Vec<Admission>,
    ) -> Step {
        let Some(index) = hunt.asking.iter().position(|asking| asking.query == query) else { return Step::Going };
        let wish = hunt.asking.remove(index).wish;
        self.answered_query(call, hunt);
        if admissions.iter().any(|admission| matches!(admission, Admission::Granted(_))) {
            self.await_wish(call, query);
        }
        let mut routes = Vec::new();
        for (to, admission) in wish.to.iter().zip(admissions) {
            match self.plan_wish(hunt, &wish, to, admission) {
                Ok(stages) => routes.push(stages),
                Err(failure) => hunt.failed(failure),
            }
        }
        match wish.kind {
            WishKind::Transfer => {
                if !routes.is_empty() && self.legs.contains_key(&wish.leg) {
                    self.say(wish.leg, LegCommand::TransferProgress { status: 100 });
                }
                hunt.stages.extend(routes.into_iter().flatten());
                self.hunt_next(call, hunt, party)
            }
            WishKind::Redirection => {
                self.ring_redirected(call, hunt, party, routes);
                self.hunt_check(call, hunt, party)
            }
        }
    }

    /// Of each address the first stage rings with what rings already; what comes after it, before what was planned.
    fn ring_redirected(&mut self, call: &mut Call, hunt: &mut Hunt, party: &Party, routes: Vec<VecDeque<Stage>>) {
        let (mut first, mut later) = (Vec::new(), VecDeque::new());
        for mut stages in routes {
            first.extend(stages.pop_front());
            later.extend(stages);
        }
        later.append(&mut hunt.stages);
        hunt.stages = later;
        let Some(ring_ms_max) = first.iter().map(|stage| stage.ring_ms_max).max() else { return };
        self.set_alarm(call, Alarm::Ring, Duration::from_millis(u64::from(ring_ms_max)));
        let others = hunt.branches.iter().any(|branch| !matches!(branch.state, BranchState::Redirected));
        if !others && hunt.queries().is_empty() {
            // A stage of its own: what has failed before it says nothing of whether there is another one after it.
            hunt.stage_failure = None;
            hunt.failover = first[0].failover.clone();
        }
        for planned in first.into_iter().flat_map(|stage| stage.ways) {
            self.try_way(call, hunt, party, planned);
        }
    }

    /// What somebody may have tried to reach this address.
    fn plan_wish(
        &mut self,
        hunt: &Hunt,
        wish: &Wish,
        to: &Address,
        admission: Admission,
    ) -> Result<VecDeque<Stage>, Failure> {
        let bounds = match admission {
            Admission::Granted(bounds) => bounds,
            Admission::Refused { status, sentence } => return Err(refused(wish.kind, status, &sentence)),
        };
        let mut stages = self.plan_for(&wish.source, to)?;
        if wish.kind == WishKind::Redirection {
            stages = without_circles(hunt, stages)?;
        }
        stages.iter_mut().flat_map(|stage| &mut stage.ways).for_each(|planned| planned.bounds.add(&bounds));
        Ok(stages.into())
    }

    fn plan_for(&mut self, source: &Source, to: &Address) -> Result<Vec<Stage>, Failure> {
        let facts = Facts { source, to, trunks: self.trunks.facts(&self.tables, self.now), random: self.rng.u64() };
        match plan(&self.tables, &facts) {
            Plan::Refuse(refusal) => Err(Failure::of_plan(refusal.cause, &refusal.sentence)),
            Plan::Ring(route) => Ok(route.stages),
        }
    }
}

/// A redirection that is refused is a failed attempt like any other: the status is for who asked, and is not the caller's.
fn refused(kind: WishKind, status: u16, sentence: &str) -> Failure {
    match kind {
        WishKind::Transfer => Failure::of_plan(Cause::from_sip_status(status), sentence).with_status(status),
        WishKind::Redirection => Failure::of_plan(Cause(57), sentence),
    }
}

/// Without what was tried before.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
// No address is tried twice.
fn without_circles(hunt: &Hunt, mut stages: Vec<Stage>) -> Result<Vec<Stage>, Failure> {
    for stage in &mut stages {
        stage.ways.retain(|planned| !hunt.asked.iter().any(|(way, to)| *way == planned.way && *to == planned.to));
        stage.ways.iter_mut().for_each(|planned| planned.reason = planned.reason.clone().redirected());
    }
    stages.retain(|stage| !stage.ways.is_empty());
    if stages.is_empty() {
        return Err(Failure::new(Cause::ROUTING_ERROR, "the call was redirected in a circle"));
    }
    Ok(stages)
}
