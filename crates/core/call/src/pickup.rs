//! A party comes in and takes the place of a target that rings: the caller is connected with it at once.
//!
//! ```text
//!  Ringing, Incoming with replaces ──ports open──► Answer to the one that comes, Answer to the caller ──► Talking
//! ```
//!
//! Both have made an offer, and each is answered with the other's, of which only the codecs stay that both have.

use crate::engine::Calls;
use crate::failure::Failure;
use crate::hunt::Step;
use crate::interface::NotAdmitted;
use crate::passing::{Passing, answer_for};
use crate::ports::{Readiness, Undeliverable, all_open};
use crate::state::{Branch, BranchState, Call, Party, Ringing, Role, State, relayed};
use bytes::Bytes;
use sx_leg::{Answer, Incoming, LegCommand, Media, Source};
use sx_media::streams;
use sx_types::{Cause, LegId};

impl Calls {
    /// Does this leg ring as a target of its call?
    pub(crate) fn rings_as_target(&self, leg: LegId) -> bool {
        let call = self.legs.get(&leg).and_then(|key| self.slots.peek(*key));
        matches!(call.map(|call| &call.state), Some(State::Ringing(ringing)) if ringing.hunt.branch(leg).is_some())
    }

    /// A leg comes in to take the place of one that rings.
    //= https://www.rfc-editor.org/rfc/rfc3891#section-3
    // An early dialog that we have initiated is replaced: the new one is accepted, the old one cancelled.
    pub(crate) fn pick_up(&mut self, leg: LegId, incoming: &Incoming, replaced: LegId) {
        let Some(key) = self.legs.get(&replaced).copied() else { return };
        self.with_call(key, |calls, call| {
            call.state = match std::mem::replace(&mut call.state, State::Ending) {
                State::Ringing(ringing) => calls.pick_up_ringing(call, ringing, leg, incoming),
                state => state,
            };
        });
    }

    /// Refuses a leg that has come to take a place.
    pub(crate) fn no_place(&mut self, leg: LegId, incoming: &Incoming, failure: &Failure) {
        self.not_admitted(leg, incoming, NotAdmitted::NoPlace { status: failure.status_or_mapped() });
        self.say(leg, LegCommand::Reject(failure.rejection()));
    }

    fn pick_up_ringing(
        &mut self,
        call: &mut Call,
        mut ringing: Box<Ringing>,
        leg: LegId,
        incoming: &Incoming,
    ) -> State {
        let Ringing { caller, hunt } = &mut *ringing;
        let (Some(_), Some(offer)) = (&caller.said, &incoming.offer) else {
            let failure = Failure::new(Cause::INCOMPATIBLE, "who takes a call must make an offer, as its caller must");
            self.no_place(leg, incoming, &failure);
            return State::Ringing(ringing);
        };
        if hunt.tried >= self.settings.targets_max {
            let failure = Failure::new(Cause::ROUTING_ERROR, "the call has more targets than are allowed");
            self.no_place(leg, incoming, &failure);
            return State::Ringing(ringing);
        }
        hunt.tried += 1;
        self.legs.insert(leg, call.key);
        if let Source::Trunk(name) = &incoming.source {
            // It comes instead of another: for the moment that both are there, a limit is no reason to refuse it.
            self.trunks.occupy(&self.tables, name);
        }
        self.may_not_answer_yet(call, leg);
        let from = &incoming.from.address;
        let attempt = call.body.begin_attempt(self.now, format!("taken by:{from}").into(), from.clone());
        let party = Party { role: Role::Called, attempt, ..self.caller(leg, incoming) };
        let readiness = match relayed(caller, &party) {
            true => self.prepare(call, offer, leg, [caller, &party]),
            false => Ok(Readiness::Ready),
        };
        if let Err(error) = readiness {
            let failure = Failure::new(error.cause(), &error.to_string());
            self.leave(call, &party, LegCommand::Reject(failure.rejection()), failure.cause);
            return State::Ringing(ringing);
        }
        hunt.branches.push(Branch { party, state: BranchState::Taking });
        self.pick_up_ready(call, ringing)
    }

    /// Connects the caller with the one that takes the call, as soon as the ports of both are open.
    pub(crate) fn pick_up_ready(&mut self, call: &mut Call, mut ringing: Box<Ringing>) -> State {
        let Ringing { caller, hunt } = &mut *ringing;
        let is_ready = |branch: &Branch| {
            let both = [branch.party.leg, caller.leg];
            matches!(branch.state, BranchState::Taking)
                && both.iter().all(|leg| all_open(&call.body, *leg) && call.body.may_answer(*leg))
        };
        let Some(index) = hunt.branches.iter().position(is_ready) else { return State::Ringing(ringing) };
        let party = &mut hunt.branches[index].party;
        let passing = self.passing(relayed(caller, party));
        match exchanged(call, caller, party, &passing) {
            Ok((to_party, to_caller)) => {
                let leg = party.leg;
                let media = Some(Media::Answer(to_party));
                self.say(leg, LegCommand::Answer { media, headers: Vec::new() });
                let answer = Answer { media: Some(Media::Answer(to_caller)), headers: Vec::new(), takes_info: None };
                self.answered(call, ringing, leg, answer)
            }
            Err(failure) => {
                let branch = hunt.branches.remove(index);
                self.leave(call, &branch.party, LegCommand::Reject(failure.rejection()), failure.cause);
                // What it was to take may have ended meanwhile.
                let step = self.hunt_check(call, hunt, caller);
                self.ringing_on(call, ringing, step)
            }
        }
    }

    /// The caller's side of a stream has no port, and nobody is to be called who needs it: who has asked for the stream does
    /// not take the call, and what rings rings on.
    pub(crate) fn not_taken(
        &mut self,
        call: &mut Call,
        mut ringing: Box<Ringing>,
        (stream, failure): (u8, &Failure),
    ) -> State {
        let Ringing { caller, hunt } = &mut *ringing;
        let asks = |branch: &&Branch| matches!(branch.state, BranchState::Taking) && describes(&branch.party, stream);
        let mut step = Step::Going;
        while let Some(leg) = hunt.branches.iter().find(asks).map(|branch| branch.party.leg) {
            step = self.hunt_portless(call, hunt, caller, (leg, failure));
        }
        self.ringing_on(call, ringing, step)
    }
}

impl Ringing {
    /// Is there nothing to be told to anybody when the caller's side of a stream has no port? Who takes the call may have
    /// asked for a port that nobody else needs.
    pub(crate) fn is_doomed_without(&self, stream: u8) -> bool {
        let is_to_be_called = |branch: &Branch| matches!(branch.state, BranchState::Opening { .. });
        self.hunt.enters || describes(&self.caller, stream) && self.hunt.branches.iter().any(is_to_be_called)
    }
}

/// Is the stream one of those that the party has described itself, and wants?
fn describes(party: &Party, stream: u8) -> bool {
    let described = party.said.as_ref().and_then(|said| streams(said).ok()).unwrap_or_default();
    described.get(usize::from(stream)).is_some_and(|summary| !summary.rejected)
}

/// The answer to the offer of the one that takes the call, and what it says in answer to the caller's.
fn exchanged(call: &Call, caller: &Party, party: &mut Party, passing: &Passing) -> Result<(Bytes, Bytes), Failure> {
    let nothing = |error: Undeliverable| Failure::new(Cause::INCOMPATIBLE, &error.to_string());
    let (Some(asked), Some(offer)) = (&caller.said, &party.said.clone()) else {
        return Err(Failure::new(Cause::INCOMPATIBLE, "an offer is missing"));
    };
    let to_caller = passing.answer_from(offer, asked).map_err(|error| nothing(error.into()))?;
    let to_party = passing.answer_from(asked, offer).map_err(|error| nothing(error.into()))?;
    let told = answer_for(&call.body, party, &to_party, offer, passing).map_err(nothing)?;
    Ok((told, to_caller))
}
