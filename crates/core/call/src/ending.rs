//! Legs and calls end: each leg once, the record once.

use crate::alarm::Alarm;
use crate::engine::Calls;
use crate::failure::Failure;
use crate::interface::{Note, Output};
use crate::state::{Call, Leaving, Party, PortState, State, Talking};
use crate::{CallRecord, Ender};
use std::sync::Arc;
use sx_engine::Time;
use sx_leg::{Ended, LegCommand, LegEvent};
use sx_media::{MediaCommand, OpenError, PortId};
use sx_types::{Cause, LegId};

impl Calls {
    /// Hangs a party up and closes its ports.
    pub(crate) fn dismiss(&mut self, call: &mut Call, party: &Party, cause: Cause) {
        self.leave(call, party, LegCommand::Hangup { cause }, cause);
    }

    /// Ends a party's leg with this command and closes its ports.
    pub(crate) fn leave(&mut self, call: &mut Call, party: &Party, command: LegCommand, cause: Cause) {
        self.say(party.leg, command);
        call.body.leaving.push(Leaving { leg: party.leg, trunk: party.trunk.clone() });
        call.waiting.retain(|(leg, _)| *leg != party.leg);
        call.body.unwritten.retain(|leg| *leg != party.leg);
        self.close_ports(&mut call.body, party.leg);
        self.end_attempt(call, party, cause, 0);
    }

    /// A party's leg has ended by itself.
    pub(crate) fn gone(&mut self, call: &mut Call, party: &Party, ended: &Ended) {
        self.legs.remove(&party.leg);
        call.body.unwritten.retain(|leg| *leg != party.leg);
        if let Some(trunk) = &party.trunk {
            self.trunks.give_back(&self.tables, trunk);
        }
        self.close_ports(&mut call.body, party.leg);
        self.end_attempt(call, party, ended.cause, ended.status);
    }

    /// A leg that counts as gone has still to say that it ended.
    pub(crate) fn still_leaving(&mut self, call: &mut Call, leg: LegId, trunk: Option<Arc<str>>) {
        self.legs.insert(leg, call.key);
        call.body.leaving.push(Leaving { leg, trunk });
    }

    pub(crate) fn end_attempt(&mut self, call: &mut Call, party: &Party, cause: Cause, status: u16) {
        self.end_attempt_at(call, party.attempt, cause, status);
    }

    /// The attempt at this place among the record's ends.
    pub(crate) fn end_attempt_at(&mut self, call: &mut Call, place: Option<u16>, cause: Cause, status: u16) {
        let at = self.now.as_nanos();
        if let Some(attempt) = call.body.attempt(place) {
            attempt.end = at;
            attempt.cause = cause;
            attempt.status = if attempt.answer.is_some() { 200 } else { status };
        }
    }

    /// A leg that was told to end has ended; `false` when it was not told to.
    pub(crate) fn leaver_ended(&mut self, call: &mut Call, leg: LegId) -> bool {
        let Some(index) = call.body.leaving.iter().position(|leaving| leaving.leg == leg) else { return false };
        let leaving = call.body.leaving.remove(index);
        self.legs.remove(&leg);
        if let Some(trunk) = &leaving.trunk {
            self.trunks.give_back(&self.tables, trunk);
        }
        true
    }

    /// Legs that never said that they ended are forgotten.
    pub(crate) fn forget_legs(&mut self, call: &mut Call) {
        while let Some(leg) = call.body.leaving.first().map(|leaving| leaving.leg) {
            self.leaver_ended(call, leg);
        }
    }

    /// Ends the call, whose legs have ended or were told to.
    pub(crate) fn finish(&mut self, call: &mut Call, cause: Cause, status: u16, by: Ender, sentence: &str) -> State {
        self.clear_alarms(call);
        self.leave_room(call, cause, status);
        call.waiting.clear();
        call.blocked = None;
        let cdr = &mut call.body.cdr;
        cdr.end = self.now.as_nanos();
        cdr.cause = cause;
        cdr.status = if cdr.answer.is_some() { 200 } else { status };
        cdr.ended_by = by;
        let talked = cdr.answer.map_or(std::time::Duration::ZERO, |at| self.now.since(Time::from_nanos(at)));
        let (id, status) = (cdr.call, cdr.status);
        self.note(Note::Ended { call: id, cause, status, by, sentence: sentence.into(), talked });
        if !call.body.ports.is_empty() {
            self.set_alarm(call, Alarm::Close, self.settings.close_wait);
        }
        self.set_alarm(call, Alarm::Legs, self.settings.leg_wait);
        State::Ending
    }

    /// Hangs up both parties, and whatever rings for a transfer.
    pub(crate) fn hang_up_both(&mut self, call: &mut Call, talking: &Talking, failure: &Failure) -> State {
        let Failure { cause, by, sentence, .. } = failure;
        if let Some(transfer) = &talking.transfer {
            self.hunt_cancel(call, &mut transfer.hunt.clone(), Cause::NORMAL);
        }
        for party in &talking.parties {
            self.dismiss(call, party, *cause);
        }
        self.finish(call, *cause, 200, *by, sentence)
    }

    /// A connected party's leg has ended.
    pub(crate) fn party_left(&mut self, call: &mut Call, talking: Box<Talking>, index: usize, ended: &Ended) -> State {
        let Talking { parties: [one, other], transfer, negotiation } = *talking;
        let (left, stays) = if index == 0 { (one, other) } else { (other, one) };
        self.gone(call, &left, ended);
        self.clear_alarm(call, Alarm::Offer);
        match transfer {
            // The transferor need not wait for the target.
            Some(transfer) if transfer.asker == index => self.begin_moving(call, &left, stays, transfer, negotiation),
            transfer => {
                if let Some(mut transfer) = transfer {
                    self.hunt_cancel(call, &mut transfer.hunt, Cause::NORMAL);
                    if transfer.asked {
                        self.say(stays.leg, LegCommand::TransferProgress { status: 487 });
                    }
                }
                self.dismiss(call, &stays, ended.cause);
                self.finish(call, ended.cause, 200, left.role.ender(ended.by), "")
            }
        }
    }

    /// An operator ends the call, wherever it stands.
    pub(crate) fn clear_call(&mut self, call: &mut Call, (cause, by): (Cause, Ender), sentence: &str) {
        self.clear(call, &Failure { by, ..Failure::new(cause, sentence) });
    }

    pub(crate) fn talked_enough(&mut self, call: &mut Call) {
        self.clear(call, &Failure::of_timer(Cause::TIMER_EXPIRY, "the call has lasted as long as it may"));
    }

    /// A party that should be sending is not heard.
    pub(crate) fn silent(&mut self, call: &mut Call, port: PortId) {
        let open = call.body.ports.iter().any(|p| p.id == port && p.state != PortState::Closing);
        if open && matches!(call.state, State::Talking(_) | State::Attending(_)) {
            let sentence = "no media has come from a party for too long";
            self.clear(call, &Failure::of_timer(Cause::TEMPORARY_FAILURE, sentence));
        }
    }

    /// There will be no keys for the media of a party: it is not heard and hears nobody, or is somebody else.
    pub(crate) fn unprotected(&mut self, call: &mut Call, port: PortId, why: &str) {
        if call.body.ports.iter().any(|p| p.id == port && p.state != PortState::Closing) {
            let failure = Failure::new(Cause::INCOMPATIBLE, why);
            self.clear(call, &Failure { by: Ender::Failure, ..failure });
        }
    }

    pub(crate) fn clear(&mut self, call: &mut Call, failure: &Failure) {
        let cause = failure.cause;
        call.state = match std::mem::replace(&mut call.state, State::Ending) {
            State::Ringing(mut ringing) => {
                self.hunt_cancel(call, &mut ringing.hunt, Cause::NORMAL);
                self.reject(call, &ringing.caller, failure)
            }
            State::Talking(talking) => {
                if let Some(mut transfer) = talking.transfer {
                    self.hunt_cancel(call, &mut transfer.hunt, Cause::NORMAL);
                }
                talking.parties.iter().for_each(|party| self.dismiss(call, party, cause));
                self.finish(call, cause, 200, failure.by, &failure.sentence)
            }
            State::Moving(mut moving) => {
                self.hunt_cancel(call, &mut moving.hunt, Cause::NORMAL);
                self.dismiss(call, &moving.remaining, cause);
                self.finish(call, cause, 200, failure.by, &failure.sentence)
            }
            State::Inviting(inviting) => self.uninvite(call, inviting, failure),
            State::Joining(joining) => self.join_cleared(call, &joining, failure),
            State::Attending(attending) => self.hang_up_member(call, &attending, failure),
            State::Ending => State::Ending,
        };
    }

    /// A port could not be opened: whatever needed it fails.
    pub(crate) fn port_failed(&mut self, call: &mut Call, port: PortId, error: OpenError) {
        let Some(index) = call.body.ports.iter().position(|p| p.id == port) else { return };
        let failed = call.body.ports.remove(index);
        match failed.state {
            PortState::Opening => self.port_missed(call, failed.leg, failed.stream, error),
            // The call goes on from elsewhere, and its peer sends to numbers that are not to be had here.
            PortState::Open(_) => self.clear(call, &Failure::portless(error)),
            // It was given up before, and there is nothing that could still close.
            PortState::Closing => {}
        }
    }

    /// The packet threads have not opened a port in time. Should they do so yet, it is to be closed at once.
    pub(crate) fn port_late(&mut self, call: &mut Call) {
        let mut late = call.body.ports.iter_mut().filter(|port| port.state == PortState::Opening);
        let Some(port) = late.next() else { return };
        port.state = PortState::Closing;
        let (id, leg, stream) = (port.id, port.leg, port.stream);
        self.out.push_back(Output::Media(MediaCommand::Close { port: id }));
        self.port_missed(call, leg, stream, OpenError::System);
        if crate::ports::any_opening(&call.body) {
            self.port_late(call);
        }
    }

    fn port_missed(&mut self, call: &mut Call, leg: LegId, stream: u8, error: OpenError) {
        let failure = Failure::portless(error);
        if !crate::ports::any_opening(&call.body) {
            self.clear_alarm(call, Alarm::Ports);
        }
        if let Some((leg, event)) = call.waiting.pop_front() {
            call.blocked = None;
            self.without_port(call, leg, &event, &failure);
            return;
        }
        match std::mem::replace(&mut call.state, State::Ending) {
            State::Ringing(mut ringing) if leg == ringing.caller.leg && ringing.is_doomed_without(stream) => {
                self.hunt_cancel(call, &mut ringing.hunt, Cause::NORMAL);
                call.state = self.reject(call, &ringing.caller, &failure);
            }
            State::Ringing(ringing) if leg == ringing.caller.leg => {
                call.state = self.not_taken(call, ringing, (stream, &failure));
                self.ports_ready(call);
            }
            State::Joining(joining) => call.state = self.join_failed(call, joining, &failure),
            state => {
                call.state = state;
                self.search(call, |calls, call, hunt, party| calls.hunt_portless(call, hunt, party, (leg, &failure)));
            }
        }
    }

    /// An event that waited for a port that cannot be had.
    fn without_port(&mut self, call: &mut Call, leg: LegId, event: &LegEvent, failure: &Failure) {
        match event {
            LegEvent::Offered { .. } => self.refuse_change(call, leg, failure),
            // An answer, or an accepted offer, that cannot be passed on leaves nothing to go back to.
            _ => self.clear(call, failure),
        }
    }

    /// Writes the record when the ports have said what they counted; `true` when nothing of the call is left.
    pub(crate) fn conclude(&mut self, call: &mut Call) -> bool {
        if !matches!(call.state, State::Ending) {
            return false;
        }
        if !call.body.ports.is_empty() {
            return false;
        }
        if !call.body.recorded {
            call.body.recorded = true;
            self.clear_alarm(call, Alarm::Close);
            self.record(CallRecord::Ended(Box::new(call.body.cdr.clone())));
        }
        let over = call.body.leaving.is_empty();
        if over {
            self.clear_alarms(call);
        }
        over
    }
}
