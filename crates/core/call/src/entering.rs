//! Parties that talk to each other come into a room: each is made an offer of the room's, and has a call of its own then.
//!
//! ```text
//!  Talking ──► ports open ──► Attending, entry Offered ──its answer──► Attending, in the room
//!                                 │  refused with 491: once more after a second
//!                                 └─ refused, or no answer: it is hung up
//! ```
//!
//! The first stays in its call; one that comes along has a new one, with ports of its own. Who does not come is hung up.

use crate::alarm::Alarm;
use crate::attending::of_room;
use crate::command::Parties;
use crate::engine::Calls;
use crate::failure::Failure;
use crate::inviting::HOPS;
use crate::join::{GLARE_WAIT, GLARES_MAX};
use crate::passing::offer_for;
use crate::ports::{Readiness, Undeliverable};
use crate::state::{Attending, Call, Entry, Negotiation, Party, Place, Role, State, Stop, Talking};
use bytes::Bytes;
use std::sync::Arc;
use sx_leg::{Address, Incoming, LegCommand, Media, Source};
use sx_media::{room_offer, room_offer_again, streams};
use sx_route::Room;
use sx_types::{CallId, Cause};

impl Calls {
    /// Brings parties of a call into a room. Where it cannot be done, nothing has changed.
    pub(crate) fn bring_into_room(&mut self, call: &mut Call, who: Parties, room: &str, other: CallId) {
        let tables = self.tables.clone();
        let Some(room) = tables.room(room) else { return };
        let is_settled = |talking: &Talking| talking.negotiation == Negotiation::Idle && talking.transfer.is_none();
        let both = who == Parties::Both;
        let waits = !call.waiting.is_empty() || both && self.slots.len() >= self.settings.calls_max as usize;
        call.state = match std::mem::replace(&mut call.state, State::Ending) {
            State::Talking(talking) if is_settled(&talking) && !waits && self.occupy(room, both) => {
                let stays = who.index(&talking.parties);
                let Talking { parties: [one, two], .. } = *talking;
                let (stays, leaves) = if stays == 0 { (one, two) } else { (two, one) };
                match both {
                    true => self.bring_along(call, leaves, room, other),
                    false => self.dismiss(call, &leaves, Cause::NORMAL),
                }
                self.begin_entry(call, stays, room)
            }
            state => state,
        };
    }

    /// Takes the places of those who come.
    fn occupy(&mut self, room: &Room, both: bool) -> bool {
        if !room.members.occupy(room.members_max) {
            return false;
        }
        if both && !room.members.occupy(room.members_max) {
            room.members.give_back();
            return false;
        }
        true
    }

    /// The second one comes along, in a call of its own.
    fn bring_along(&mut self, from: &mut Call, mut party: Party, room: &Room, id: CallId) {
        party.bounds.add(&from.body.bounds);
        if party.bounds.talk_max.is_some() {
            party.bounds.talk_max = from.alarm_at(Alarm::Talk).map(|at| at.since(self.now));
        }
        self.close_ports(&mut from.body, party.leg);
        self.end_attempt(from, &party, Cause::NORMAL, 200);
        let incoming = Incoming {
            from: party.identity.clone(),
            to: Address::new(&room.name, &from.body.cdr.dialled.domain),
            source: party.source.clone().unwrap_or(Source::Exchange),
            host: None,
            offer: None,
            replaces: None,
            on_behalf_of: None,
            headers: Vec::new(),
            hops_left: HOPS,
            takes_info: None,
            bounds: party.bounds.clone(),
        };
        let mut call = self.begin((id, from.body.cdr.trace), party.leg, &incoming);
        // It was answered long ago.
        call.body.unwritten.clear();
        party.attempt = None;
        party.told = None;
        party.role = Role::Caller;
        let leg = party.leg;
        call.state = self.begin_entry(&mut call, party, room);
        self.record_answer(&mut call, leg, None);
        self.settle(call);
    }

    fn begin_entry(&mut self, call: &mut Call, mut member: Party, room: &Room) -> State {
        member.control.release();
        call.body.place = Some(Place {
            at: Stop::Room(room.name.clone()),
            codecs: room.codecs.clone(),
            attempt: None,
            muted: std::mem::take(&mut member.control.muted),
            arrival: None,
        });
        let wanted = room_says_again(&member, &room.codecs).and_then(|offer| Ok(streams(&offer)?));
        let attending = Attending { member, owes: true, entry: Some(Entry::Opening) };
        match wanted.map(|wanted| self.open_ports(call, &attending.member, &wanted, false)) {
            Ok(Readiness::Waiting) => State::Attending(Box::new(attending)),
            Ok(Readiness::Ready) => self.offer_room(call, Box::new(attending)),
            Err(error) => self.hang_up_member(call, &attending, &error.into()),
        }
    }

    /// Makes the offer of the room, as soon as the ports for it are open, or once more.
    pub(crate) fn offer_room(&mut self, call: &mut Call, mut attending: Box<Attending>) -> State {
        if crate::ports::any_opening(&call.body) {
            return State::Attending(attending);
        }
        let codecs = call.body.place.as_ref().map_or_else(|| Arc::from([]), |place| place.codecs.clone());
        let member = &mut attending.member;
        let told = room_says_again(member, &codecs).and_then(|offer| offer_for(&call.body, member, &offer, &of_room()));
        let told = match told {
            Ok(told) => told,
            Err(error) => return self.hang_up_member(call, &attending, &error.into()),
        };
        let glares = match attending.entry {
            Some(Entry::Offered { glares }) => glares,
            Some(Entry::Opening) | None => 0,
        };
        attending.entry = Some(Entry::Offered { glares });
        self.set_alarm(call, Alarm::Offer, self.settings.offer_wait);
        self.say(attending.member.leg, LegCommand::Offer { media: Some(told) });
        State::Attending(attending)
    }

    /// The member has taken the offer of the room.
    pub(crate) fn room_accepted(
        &mut self,
        call: &mut Call,
        mut attending: Box<Attending>,
        media: Option<Media>,
    ) -> State {
        attending.entry = None;
        self.clear_alarm(call, Alarm::Retry);
        if let Some(told) = &attending.member.told {
            self.close_unattended(&mut call.body, attending.member.leg, &told.text.clone());
        }
        // One that accepts without a word leaves its side as it was.
        let media = media.or_else(|| attending.member.said.clone().map(Media::Answer));
        self.member_answers(call, attending, media)
    }

    pub(crate) fn room_refused(
        &mut self,
        call: &mut Call,
        mut attending: Box<Attending>,
        (cause, status, sentence): (Cause, u16, &str),
    ) -> State {
        match &mut attending.entry {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
            // Whoever was told 491 tries again after a while.
            Some(Entry::Offered { glares }) if status == 491 && *glares < GLARES_MAX => {
                *glares += 1;
                self.set_alarm(call, Alarm::Retry, GLARE_WAIT);
                State::Attending(attending)
            }
            _ => {
                let said = if sentence.is_empty() { "the party does not take the sound of the room" } else { sentence };
                self.hang_up_member(call, &attending, &Failure::new(cause, said).with_status(status))
            }
        }
    }
}

/// What the room offers somebody who has a session already.
fn room_says_again(member: &Party, codecs: &[sx_types::Codec]) -> Result<Bytes, Undeliverable> {
    Ok(match &member.said {
        Some(said) => room_offer_again(said, codecs)?,
        None => room_offer(codecs),
    })
}
