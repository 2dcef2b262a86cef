//! A call as one value: taken out of one engine, carried on by another.

use crate::alarm::Alarm;
use crate::engine::Calls;
use crate::interface::Output;
use crate::ports::{PORTS_MAX, UNIQUE_MASK, any_opening};
use crate::recording::RecordingPhase;
use crate::slots::Key;
use crate::state::{Body, Call, Hunt, Joining, Negotiation, Party, Port, PortState, Ringing, State, Talking};
use crate::{CallRecord, QueryId};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use sx_engine::Time;
use sx_leg::Warning;
use sx_media::Opened;
use sx_types::{CallId, LegId};

/// A call, all of it: its parties and what they said, what is being tried, its ports, its timers, its record.
/// Whoever restores it must also restore the legs that it names; its ports are asked for with the import.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallSnapshot {
    /// Goes up when the form changes; another one is not restored.
    format: u16,
    body: Body,
    state: State,
    /// When each timer is due, in nanoseconds since the Unix epoch.
    alarms: Vec<(Alarm, u64)>,
}

const FORMAT: u16 = 7;
/// With descriptions as numbers, which are read as well.
const FORMAT_OLDEST: u16 = 6;

/// Why a call gives no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// There is none, or not any more.
    #[error("there is no such call")]
    Unknown,
    /// It is being cleared.
    #[error("the call is over")]
    Ending,
    /// For a moment it waits for something: a port, a record, the end of a change of its session.
    #[error("the call is being changed")]
    Changing,
    /// Its ports have not said what they know, or it has changed since: they are to be asked ([`Command::Remember`]).
    ///
    /// [`Command::Remember`]: crate::Command::Remember
    #[error("the call's media ports have not said what they know")]
    Unasked,
    /// A party and we have no keys yet, which nobody else could agree on.
    #[error("a DTLS handshake of the call's media is going on")]
    Shaking,
}

/// Why a snapshot is not restored. Whoever brings it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It was made by another version.
    #[error("the snapshot has format {0}, this exchange reads formats {FORMAT_OLDEST} to {FORMAT}")]
    Format(u16),
    /// It says what no exchange has written: a party beyond the second, more ports than a call can name, nothing of what a
    /// port knows, legs that are not the call's, or a call that is over.
    #[error("the snapshot says of a call what cannot be")]
    Malformed,
    /// The call, a leg of it or its ports are here already.
    #[error("the call {0} is here already, or one of its legs is")]
    Present(CallId),
    /// There is no room for it.
    #[error("there are as many calls as are allowed")]
    Full,
}

impl CallSnapshot {
    /// The call.
    pub fn call(&self) -> CallId {
        self.body.cdr.call
    }

    /// Are its numbers such as a call has that is not over?
    fn is_sound(&self) -> bool {
        if matches!(self.state, State::Ending) {
            return false;
        }
        let party = match &self.state {
            State::Talking(talking) => {
                let asker = talking.transfer.as_ref().map_or(0, |transfer| transfer.asker);
                match talking.negotiation {
                    Negotiation::Asked { by, .. } | Negotiation::Confirming { by, .. } => asker.max(by),
                    Negotiation::Idle => asker,
                }
            }
            _ => 0,
        };
        let known = self.body.ports.iter().all(Port::is_known);
        // One that faces nobody would be closed by nobody, and two of one name are one.
        let legs = self.legs();
        let is_open = |port: &Port| matches!(port.state, PortState::Open(_));
        let faces = self.body.ports.iter().all(|port| !is_open(port) || legs.contains(&port.leg));
        let names: BTreeSet<u64> = self.body.ports.iter().map(|port| port.id.0 & 0xff).collect();
        let apart = names.len() == self.body.ports.len();
        party < 2 && known && faces && apart && self.body.unique <= UNIQUE_MASK && self.body.ports.len() <= PORTS_MAX
    }

    /// Its legs that have not ended, those that were told to end included.
    pub fn legs(&self) -> Vec<LegId> {
        let mut legs: Vec<LegId> = self.state.parties().iter().map(|party| party.leg).collect();
        legs.extend(self.body.leaving.iter().map(|leaving| leaving.leg));
        legs
    }

    /// The trunk that a leg of it goes through; `None` for a user's.
    pub fn trunk_of(&self, leg: LegId) -> Option<&Arc<str>> {
        let leaving = self.body.leaving.iter().find(|leaving| leaving.leg == leg);
        let parties = self.state.parties();
        let party = parties.iter().find(|party| party.leg == leg);
        party.and_then(|party| party.trunk.as_ref()).or_else(|| leaving?.trunk.as_ref())
    }

    /// Its open media ports.
    pub fn ports(&self) -> Vec<Opened> {
        let ports = self.body.ports.iter();
        ports
            .filter_map(|port| match port.state {
                PortState::Open(opened) => Some(opened),
                PortState::Opening | PortState::Closing => None,
            })
            .collect()
    }
}

impl Calls {
    /// The call as it stands.
    ///
    /// # Errors
    /// There is no such call, or it is over; or it is worth another try. So it is while its ports have not said what they know:
    /// whoever goes on without that might protect packets as others were.
    pub fn export(&self, call: CallId) -> Result<CallSnapshot, ExportError> {
        let call = self.slots.iter().find(|found| found.body.cdr.call == call).ok_or(ExportError::Unknown)?;
        if matches!(call.state, State::Ending) {
            return Err(ExportError::Ending);
        }
        if !call.waiting.is_empty() || !call.body.is_written() || any_opening(&call.body) {
            return Err(ExportError::Changing);
        }
        if !call.body.ports.iter().all(Port::is_known) {
            return Err(ExportError::Unasked);
        }
        if call.body.ports.iter().any(Port::is_shaking) {
            return Err(ExportError::Shaking);
        }
        let alarms = call.alarms.iter().map(|set| (set.alarm, set.at.as_nanos())).collect();
        Ok(CallSnapshot { format: FORMAT, body: call.body.clone(), state: call.state.clone(), alarms })
    }

    /// The place of a call.
    pub(crate) fn key_of(&self, id: CallId) -> Option<Key> {
        self.slots.iter().find(|call| call.body.cdr.call == id).map(|call| call.key)
    }

    /// Forgets a call that another engine carries on: nothing is said to its legs or its ports, and its record will be made
    /// there. `false` when there is none.
    pub fn forget(&mut self, call: CallId) -> bool {
        let Some(mut call) = self.key_of(call).and_then(|key| self.slots.take(key)) else { return false };
        self.clear_alarms(&mut call);
        for party in call.state.parties() {
            self.legs.remove(&party.leg);
            if let Some(trunk) = &party.trunk {
                self.trunks.give_back(&self.tables, trunk);
            }
        }
        if let Some(place) = &call.body.place {
            self.rooms.give_back(&self.tables, place);
        }
        self.end_recording(&mut call.body, RecordingPhase::Stopped);
        self.forget_legs(&mut call);
        if let Some(hunt) = call.state.hunt() {
            hunt.queries().iter().for_each(|query| _ = self.queries.remove(query));
        }
        self.uniques.remove(&call.body.unique);
        self.slots.release(call.key);
        self.record(CallRecord::Moved { call: call.body.cdr.call, at: self.now.as_nanos() });
        true
    }

    /// Carries on a call that another engine has exported. Its media ports are opened at the numbers its peers know and
    /// connected as they were, so the other engine's must be closed, or on another machine. Timers that have passed meanwhile come at once; what was
    /// asked of a registrar is asked again.
    ///
    /// # Errors
    /// The snapshot is of another version or of no call, the call or one of its legs is here already, or there is no room.
    pub fn import(&mut self, now: Time, snapshot: CallSnapshot) -> Result<(), ImportError> {
        if !(FORMAT_OLDEST..=FORMAT).contains(&snapshot.format) {
            return Err(ImportError::Format(snapshot.format));
        }
        if !snapshot.is_sound() {
            return Err(ImportError::Malformed);
        }
        if self.slots.len() >= self.settings.calls_max as usize {
            return Err(ImportError::Full);
        }
        let id = snapshot.call();
        let legs = snapshot.legs();
        let known = legs.iter().any(|leg| self.legs.contains_key(leg));
        if known || self.uniques.contains_key(&snapshot.body.unique) || self.key_of(id).is_some() {
            return Err(ImportError::Present(id));
        }
        self.now = now;
        let key = self.slots.reserve();
        self.uniques.insert(snapshot.body.unique, key);
        legs.into_iter().for_each(|leg| _ = self.legs.insert(leg, key));
        let CallSnapshot { mut body, mut state, alarms, .. } = snapshot;
        let leaving = body.leaving.iter().filter_map(|leaving| leaving.trunk.as_ref());
        for trunk in state.parties().iter().filter_map(|party| party.trunk.as_ref()).chain(leaving) {
            self.trunks.occupy(&self.tables, trunk);
        }
        if let Some(place) = &body.place {
            self.rooms.occupy(&self.tables, place);
        }
        // Of handshakes to come, the certificate is ours.
        state.each_party(|party| party.keys.set_means(self.settings.means.clone()));
        self.begin_record(&body);
        self.ask_again(key, id, &mut state);
        self.reopen_ports(&mut body, &state);
        body.resume_recording();
        let (waiting, alarms_set) = (VecDeque::new(), SmallVec::new());
        let mut call = Box::new(Call { key, body, state, alarms: alarms_set, waiting, blocked: None });
        for (alarm, at) in alarms {
            self.set_alarm_at(&mut call, alarm, Time::from_nanos(at));
        }
        self.keep_recording(&mut call);
        self.slots.put_back(key, call);
        Ok(())
    }

    /// What is written of a call that has come so far here: should this process die, it has a record.
    fn begin_record(&mut self, body: &Body) {
        let cdr = &body.cdr;
        let by = cdr.attempts.iter().find(|attempt| attempt.answer.is_some()).map(|attempt| attempt.target.clone());
        self.record(CallRecord::Begun(Box::new(cdr.clone())));
        if let Some(at) = cdr.answer {
            self.record(CallRecord::Answered { call: cdr.call, at, by: by.unwrap_or_default() });
        }
    }

    fn ask_again(&mut self, key: Key, call: CallId, state: &mut State) {
        let Some(hunt) = state.hunt_mut() else { return };
        for locating in &mut hunt.locating {
            locating.query = QueryId(self.next_query);
            self.next_query += 1;
            self.queries.insert(locating.query, key);
            let address = locating.planned.to.clone();
            self.out.push_back(Output::Locate { query: locating.query, address });
        }
        for asking in &mut hunt.asking {
            asking.query = QueryId(self.next_query);
            self.next_query += 1;
            self.queries.insert(asking.query, key);
            self.out.push_back(Output::Admit { query: asking.query, call, wish: asking.wish.clone() });
        }
    }
}

impl State {
    /// The two parties that hear each other, if any.
    pub(crate) fn connected(&self) -> Option<(&Party, &Party)> {
        match self {
            Self::Ringing(ringing) => {
                let Ringing { caller, hunt } = &**ringing;
                let early = hunt.early.and_then(|leg| hunt.branch(leg))?;
                Some((caller, &hunt.branches[early].party))
            }
            Self::Talking(talking) => Some((&talking.parties[0], &talking.parties[1])),
            Self::Joining(joining) => Some((&joining.remaining, &joining.leaves.as_ref()?.party)),
            Self::Moving(_) | Self::Inviting(_) | Self::Attending(_) | Self::Ending => None,
        }
    }

    /// Those who hear each other since an answer, or the one who was answered by the exchange; else nobody.
    pub(crate) fn answered(&self) -> SmallVec<[&Party; 2]> {
        match self {
            Self::Talking(talking) => talking.parties.iter().collect(),
            Self::Attending(attending) => [&attending.member].into_iter().collect(),
            Self::Ringing(_) | Self::Inviting(_) | Self::Joining(_) | Self::Moving(_) | Self::Ending => SmallVec::new(),
        }
    }

    /// Every party whose leg has neither ended nor been told to.
    pub(crate) fn parties(&self) -> SmallVec<[&Party; 4]> {
        let mut parties: SmallVec<[&Party; 4]> = SmallVec::new();
        match self {
            Self::Ringing(ringing) => parties.push(&ringing.caller),
            Self::Talking(talking) => parties.extend(&talking.parties),
            Self::Moving(moving) => parties.push(&moving.remaining),
            Self::Attending(attending) => parties.push(&attending.member),
            Self::Joining(joining) => {
                let Joining { remaining, joins, leaves, .. } = &**joining;
                parties.extend([remaining, joins]);
                parties.extend(leaves.as_ref().map(|leaver| &leaver.party));
            }
            // The room has no leg.
            Self::Inviting(_) | Self::Ending => {}
        }
        if let Some(hunt) = self.hunt() {
            parties.extend(hunt.branches.iter().map(|branch| &branch.party));
        }
        parties
    }

    fn hunt(&self) -> Option<&Hunt> {
        match self {
            Self::Ringing(ringing) => Some(&ringing.hunt),
            Self::Moving(moving) => Some(&moving.hunt),
            Self::Inviting(inviting) => Some(&inviting.hunt),
            Self::Talking(talking) => talking.transfer.as_ref().map(|transfer| &transfer.hunt),
            Self::Joining(_) | Self::Attending(_) | Self::Ending => None,
        }
    }

    fn hunt_mut(&mut self) -> Option<&mut Hunt> {
        match self {
            Self::Ringing(ringing) => Some(&mut ringing.hunt),
            Self::Moving(moving) => Some(&mut moving.hunt),
            Self::Inviting(inviting) => Some(&mut inviting.hunt),
            Self::Talking(talking) => talking.transfer.as_mut().map(|transfer| &mut transfer.hunt),
            Self::Joining(_) | Self::Attending(_) | Self::Ending => None,
        }
    }

    /// The party of a leg that has not been told to end.
    pub(crate) fn party(&self, leg: LegId) -> Option<&Party> {
        self.parties().into_iter().find(|party| party.leg == leg)
    }

    /// Takes from a target the trunk whose channel it uses: whoever has it now gives the channel back.
    pub(crate) fn take_trunk(&mut self, leg: LegId) -> Option<Arc<str>> {
        let hunt = self.hunt_mut()?;
        let index = hunt.branch(leg)?;
        hunt.branches[index].party.trunk.take()
    }

    /// Keeps what the party of a leg has said of a refusal that follows.
    pub(crate) fn set_warned(&mut self, leg: LegId, warnings: Vec<Warning>) {
        let mut warnings = Some(warnings);
        self.each_party(|party| {
            if party.leg == leg {
                party.warned = warnings.take().unwrap_or_default();
            }
        });
    }

    /// Notes that the party of a leg is behind a NAT.
    pub(crate) fn set_nat(&mut self, leg: LegId, address: IpAddr) {
        self.each_party(|party| {
            if party.leg == leg {
                party.nat = Some(address);
            }
        });
    }

    /// Does something with every party.
    pub(crate) fn each_party(&mut self, mut work: impl FnMut(&mut Party)) {
        if let Some(hunt) = self.hunt_mut() {
            hunt.branches.iter_mut().for_each(|branch| work(&mut branch.party));
        }
        match self {
            Self::Ringing(ringing) => {
                let Ringing { caller, .. } = &mut **ringing;
                work(caller);
            }
            Self::Talking(talking) => {
                let Talking { parties, .. } = &mut **talking;
                parties.iter_mut().for_each(work);
            }
            Self::Moving(moving) => work(&mut moving.remaining),
            Self::Attending(attending) => work(&mut attending.member),
            Self::Joining(joining) => {
                let Joining { remaining, joins, leaves, .. } = &mut **joining;
                [remaining, joins].into_iter().for_each(&mut work);
                leaves.iter_mut().for_each(|leaver| work(&mut leaver.party));
            }
            Self::Inviting(_) | Self::Ending => {}
        }
    }
}
