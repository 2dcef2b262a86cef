//! One target of a search: its leg, its ports, its place in the record, and the moment it is dialled.

use crate::attending::of_room;
use crate::bounds::bounds_of;
use crate::control::Control;
use crate::engine::Calls;
use crate::failure::Failure;
use crate::hunt::Step;
use crate::interface::Note;
use crate::keys::Signalling;
use crate::passing::offer_for;
use crate::ports::{Readiness, all_open};
use crate::state::{Branch, BranchState, Call, Hunt, Party, Role, relayed};
use std::net::IpAddr;
use std::sync::Arc;
use sx_leg::{Dial, Ended, EndedBy, Identity, LegCommand, Source, Target};
use sx_route::{Access, Planned, Reason};
use sx_types::{Cause, LegId};

impl Calls {
    /// Tries one target, as soon as its ports are open.
    pub(crate) fn ring(&mut self, call: &mut Call, hunt: &mut Hunt, party: &Party, planned: &Planned, target: Target) {
        if hunt.tried >= self.settings.targets_max {
            hunt.failed(Failure::new(Cause::ROUTING_ERROR, "the call has more targets than are allowed"));
            return;
        }
        if let Target::Trunk { trunk, .. } = &target
            && !self.trunks.begin(&self.tables, trunk, self.now)
        {
            // The plan has left out what was full when the call came; another call was faster, maybe in another worker.
            let sentence = format!("trunk {trunk} has all its channels in use, or has begun as many calls as it takes");
            hunt.failed(Failure {
                retry_after_s: self.settings.retry_after_s,
                ..Failure::of_plan(Cause::CONGESTION, &sentence)
            });
            return;
        }
        hunt.tried += 1;
        let mut branch = self.branch(call, planned, &target);
        let readiness = match &party.said {
            Some(offer) if !hunt.offerless && relayed(party, &branch.party) => {
                self.prepare(call, offer, party.leg, [party, &branch.party])
            }
            _ => Ok(Readiness::Ready),
        };
        let dialled = match readiness {
            Ok(Readiness::Ready) => self.dial(call, hunt, party, &mut branch, target, planned.reason.clone()),
            Ok(Readiness::Waiting) => {
                branch.state = BranchState::Opening { target, reason: planned.reason.clone() };
                Ok(())
            }
            Err(error) => Err(Failure::new(error.cause(), &error.to_string())),
        };
        match dialled {
            Ok(()) => hunt.branches.push(branch),
            Err(failure) => {
                self.undialled(call, &branch.party, &failure);
                hunt.failed(failure);
            }
        }
    }

    /// A new outgoing leg with its place in the record. Its channel has been taken.
    fn branch(&mut self, call: &mut Call, planned: &Planned, target: &Target) -> Branch {
        while self.legs.contains_key(&LegId(self.next_leg)) {
            self.next_leg += 1;
        }
        let leg = LegId(self.next_leg);
        self.next_leg += 1;
        self.legs.insert(leg, call.key);
        let (label, source, trunk): (Arc<str>, _, _) = match target {
            Target::Trunk { trunk, .. } => {
                (format!("trunk:{trunk}").into(), Some(Source::Trunk(trunk.clone())), Some(trunk.clone()))
            }
            Target::Contact { uri, .. } => {
                (format!("contact:{uri}").into(), Some(Source::User(planned.to.clone())), None)
            }
            Target::Uri(uri) => (format!("uri:{uri}").into(), None, None),
            Target::Place { dialog, .. } => (format!("place:{dialog}").into(), None, None),
        };
        let attempt = call.body.begin_attempt(self.now, label, planned.to.clone());
        let party = Party {
            leg,
            role: Role::Called,
            source,
            identity: Identity { address: planned.to.clone(), ..Identity::default() },
            access: Access { host: self.host_of(target).or(planned.access.host), ..planned.access.clone() },
            bounds: bounds_of(planned, &call.body),
            nat: None,
            trunk,
            attempt,
            said: None,
            told: None,
            session: self.session(),
            keys: self.keyring(),
            signalling: Signalling::default(),
            warned: Vec::new(),
            control: Control::default(),
        };
        Branch { party, state: BranchState::Dialled }
    }

    fn dial(
        &mut self,
        call: &mut Call,
        hunt: &Hunt,
        party: &Party,
        branch: &mut Branch,
        target: Target,
        reason: Reason,
    ) -> Result<(), Failure> {
        let relay = relayed(party, &branch.party);
        let passing = if party.is_room() { of_room() } else { self.passing(relay) };
        let offer = match &party.said {
            Some(offer) if !hunt.offerless => Some(
                offer_for(&call.body, &mut branch.party, offer, &passing)
                    .map_err(|error| Failure::new(error.cause(), &error.to_string()))?,
            ),
            _ => None,
        };
        self.note(Note::Dialled {
            call: call.body.cdr.call,
            leg: branch.party.leg,
            trunk: branch.party.trunk.clone(),
            reason,
        });
        let dial = Dial {
            target,
            from: party.identity.clone(),
            to: branch.party.identity.address.clone(),
            offer,
            headers: call.body.headers.clone(),
            hops_left: call.body.hops_left,
        };
        branch.state = BranchState::Dialled;
        self.say(branch.party.leg, LegCommand::Dial(Box::new(dial)));
        Ok(())
    }

    /// Dials the targets whose ports are open now.
    pub(crate) fn dial_ready(&mut self, call: &mut Call, hunt: &mut Hunt, party: &Party) -> Step {
        if !all_open(&call.body, party.leg) {
            return Step::Going;
        }
        let mut branches = std::mem::take(&mut hunt.branches);
        branches.retain(|branch| {
            let BranchState::Opening { target, reason } = &branch.state else { return true };
            if !all_open(&call.body, branch.party.leg) {
                return true;
            }
            let (target, reason) = (target.clone(), reason.clone());
            let dialled = self.dial(call, hunt, party, branch, target, reason);
            if let Err(failure) = &dialled {
                self.undialled(call, &branch.party, failure);
                hunt.failed(failure.clone());
            }
            dialled.is_ok()
        });
        hunt.branches = branches;
        self.hunt_check(call, hunt, party)
    }

    /// A leg that was never dialled goes without a word.
    pub(crate) fn undialled(&mut self, call: &mut Call, party: &Party, failure: &Failure) {
        self.gone(call, party, &Ended { cause: failure.cause, status: 0, by: EndedBy::Exchange });
    }

    /// The host that a target's signalling goes to, where that is known before anything is looked up.
    fn host_of(&self, target: &Target) -> Option<IpAddr> {
        match target {
            Target::Contact { flow: Some(flow), .. } => Some(flow.remote.ip()),
            Target::Contact { uri, path, flow: None } => (self.settings.host_in)(path.first().unwrap_or(uri)),
            Target::Uri(uri) => (self.settings.host_in)(uri),
            // That of a trunk is configured with how its media is reached.
            Target::Trunk { .. } | Target::Place { .. } => None,
        }
    }
}
