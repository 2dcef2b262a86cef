//! A caller comes into a room: the exchange answers by itself, and there is no second leg.
//!
//! ```text
//!  Ringing, a way is a room ──ports open, record written──► Answer ──► Attending
//!       │ it is full, gone, or has no codec of the caller's
//!       └──► an attempt that has failed: the next way, or a refusal
//! ```

use crate::alarm::Alarm;
use crate::attending::{told_by_room, unmixed};
use crate::codecs::terms;
use crate::engine::Calls;
use crate::failure::Failure;
use crate::interface::{Note, Output};
use crate::ports::{Undeliverable, all_open};
use crate::state::{Attending, Body, Call, Hunt, Party, Place, PortState, Ringing, State, Stop};
use crate::uncounted::Uncounted;
use bytes::Bytes;
use std::sync::Arc;
use sx_leg::{LegCommand, Media};
use sx_media::{MediaCommand, agreed_codec, check_keys, room_answer, room_offer, streams};
use sx_route::{MediaMode, Planned, Tables};
use sx_types::{Cause, Codec, LegId};

impl Calls {
    /// Has a caller come into a room, or hear an announcement, as soon as its ports are open and it may be answered. `party`:
    /// the caller.
    pub(crate) fn enter(&mut self, call: &mut Call, hunt: &mut Hunt, party: &Party, planned: &Planned, at: Stop) {
        if hunt.enters || hunt.tried >= self.settings.targets_max {
            hunt.failed(Failure::new(Cause::ROUTING_ERROR, "the call has more targets than are allowed"));
            return;
        }
        hunt.tried += 1;
        let attempt = call.body.begin_attempt(self.now, at.target(), planned.to.clone());
        let reason = planned.reason.clone();
        self.note(Note::Dialled { call: call.body.cdr.call, leg: party.leg, trunk: None, reason });
        match self.take_stop(call, party, &at) {
            Ok(codecs) => {
                call.body.place = Some(Place { at, codecs, attempt, muted: false, arrival: None });
                hunt.enters = true;
            }
            Err(failure) => {
                self.end_attempt_at(call, attempt, failure.cause, failure.status_or_mapped());
                self.not_entered(call, hunt, party, failure);
            }
        }
    }

    /// Takes the place, and has ports opened for the caller.
    fn take_stop(&mut self, call: &mut Call, party: &Party, at: &Stop) -> Result<Arc<[Codec]>, Failure> {
        if call.body.cdr.answer.is_some() {
            let sentence = "nobody is transferred into a room, or to an announcement: it has to be dialled";
            return Err(Failure::new(Cause::INCOMPATIBLE, sentence).with_status(488));
        }
        let name = match at {
            Stop::Room(name) => name,
            Stop::Announcement { told, .. } => return self.prepare_to_announce(call, party, told),
            // It is dialled by nobody.
            Stop::Waiting(_) => return Ok(self.settings.announced_in.clone()),
        };
        let tables = self.tables.clone();
        let gone = || Failure::of_plan(Cause::NO_ROUTE, &format!("there is no room {name} any more"));
        let room = tables.room(name).ok_or_else(gone)?;
        let wanted = streams(&self.room_says(party, &room.codecs)?).map_err(unmixed)?;
        if room.members.is_locked() {
            return Err(Failure::new(Cause::REJECTED, "the room is locked").with_status(403));
        }
        if !room.members.occupy(room.members_max) {
            return Err(Failure::new(Cause::USER_BUSY, "the room is full").with_status(486));
        }
        // Those that are open already are found again when the caller is answered.
        self.open_ports(call, party, &wanted, false);
        Ok(room.codecs.clone())
    }

    /// What the room says to this caller: an answer to what it has offered, or an offer.
    pub(crate) fn room_says(&self, party: &Party, codecs: &[Codec]) -> Result<Bytes, Failure> {
        let Some(offer) = &party.said else { return Ok(room_offer(codecs)) };
        let answer = room_answer(offer, codecs).map_err(unmixed)?;
        let summaries = streams(offer).map_err(unmixed)?;
        if summaries.len() > usize::from(self.settings.streams_max) {
            return Err(Undeliverable::TooManyStreams.into());
        }
        if party.access.mode != MediaMode::Relay {
            // Of a party whose media passes us by it turns out only now.
            check_keys(offer, terms(&party.access), &self.settings.means).map_err(unmixed)?;
        }
        Ok(answer)
    }

    pub(crate) fn not_entered(&mut self, call: &mut Call, hunt: &mut Hunt, party: &Party, failure: Failure) {
        let (cause, status) = (failure.cause, failure.status_or_mapped());
        self.note(Note::AttemptFailed { call: call.body.cdr.call, leg: party.leg, cause, status });
        hunt.failed(failure);
    }

    /// Answers a caller who is to come into a room, when it can be.
    pub(crate) fn enter_ready(&mut self, call: &mut Call, mut ringing: Box<Ringing>) -> State {
        let leg = ringing.caller.leg;
        let Some(place) = call.body.place.clone().filter(|_| ringing.hunt.enters && all_open(&call.body, leg)) else {
            return State::Ringing(ringing);
        };
        if place.is_early() {
            return self.announce(call, ringing, &place);
        }
        if !call.body.may_answer(leg) {
            self.await_record(call);
            return State::Ringing(ringing);
        }
        let Ringing { caller, hunt } = &mut *ringing;
        match told_by_room(call, caller, &place.codecs) {
            Ok(media) => {
                hunt.enters = false;
                self.hunt_cancel(call, hunt, Cause::NON_SELECTED);
                self.entered(call, ringing.caller, &place, media)
            }
            Err(failure) => {
                hunt.enters = false;
                self.leave_room(call, failure.cause, failure.status_or_mapped());
                self.not_entered(call, hunt, caller, failure);
                let step = self.hunt_check(call, hunt, caller);
                self.ringing_on(call, ringing, step)
            }
        }
    }

    fn entered(&mut self, call: &mut Call, member: Party, place: &Place, media: Media) -> State {
        let owes = media.is_offer();
        self.close_unattended(&mut call.body, member.leg, media.bytes());
        if owes {
            self.set_alarm(call, Alarm::Offer, self.settings.offer_wait);
        } else {
            self.attend(&call.body, &member);
            call.body.cdr.codec = agreed_codec(media.bytes());
        }
        let at = self.now.as_nanos();
        if let Some(attempt) = call.body.attempt(place.attempt) {
            attempt.answer = Some(at);
        }
        self.record_answer(call, member.leg, place.attempt);
        self.say(member.leg, LegCommand::Answer { media: Some(media), headers: Vec::new() });
        State::Attending(Box::new(Attending::new(member, owes)))
    }

    /// Closes the ports of a member that what it is told has no use for: other ways have needed them, or its sound was another
    /// stream before. Nothing comes to them any more, and their silence would be taken for the member's.
    pub(crate) fn close_unattended(&mut self, body: &mut Body, leg: LegId, told: &Bytes) {
        let summaries = streams(told).unwrap_or_default();
        let is_taken = |stream: u8| summaries.get(usize::from(stream)).is_some_and(|summary| !summary.rejected);
        let of_member = body.ports.iter_mut().filter(|port| port.leg == leg && !is_taken(port.stream));
        for port in of_member.filter(|port| matches!(port.state, PortState::Open(_))) {
            port.state = PortState::Closing;
            self.out.push_back(Output::Media(MediaCommand::Close { port: port.id }));
        }
    }

    /// Gives a place in a room back, if there is one. The attempt that led there ends so.
    pub(crate) fn leave_room(&mut self, call: &mut Call, cause: Cause, status: u16) {
        if let Some(place) = call.body.place.take() {
            self.rooms.give_back(&self.tables, &place);
            self.end_attempt_at(call, place.attempt, cause, status);
        }
    }
}

/// What is known of rooms beside their tables.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    uncounted: Uncounted,
}

impl Rooms {
    /// Members of a room that only these tables know are counted from now on.
    pub(crate) fn swap(&mut self, new: &Tables) {
        self.uncounted.count_known(|name| new.members(name).is_some_and(|members| members.occupy(u32::MAX)));
    }

    /// A member that was in a room elsewhere is in it here now, whatever the limit.
    pub(crate) fn occupy(&mut self, tables: &Tables, place: &Place) {
        let Some(room) = place.room() else { return };
        match tables.members(&room) {
            Some(members) => _ = members.occupy(u32::MAX),
            None => self.uncounted.add(&room),
        }
    }

    /// A member is in a room here no more.
    pub(crate) fn give_back(&mut self, tables: &Tables, place: &Place) {
        let Some(room) = place.room() else { return };
        if !self.uncounted.take(&room)
            && let Some(members) = tables.members(&room)
        {
            members.give_back();
        }
    }
}

/// What is offered to a room cannot be mixed.
pub(crate) fn no_codec() -> Failure {
    Failure::new(Cause::INCOMPATIBLE, "no codec is offered that the room can be spoken to in").with_status(488)
}
