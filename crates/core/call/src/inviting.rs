//! A room calls somebody: it makes the offer, and whoever answers is a member.
//!
//! ```text
//!  Invite ──► a place is taken, the dial plan asked ──► Inviting ──one answers──► Attending
//!                                                         └─ nobody does ──► Ending
//! ```
//!
//! The room is the calling party of such a call, and has no leg: nobody is told how the search goes, but by the record.

use crate::attending::unmixed;
use crate::command::Invite;
use crate::engine::{Calls, name};
use crate::failure::Failure;
use crate::hunt::Step;
use crate::interface::{NotAdmitted, Note};
use crate::state::{Attending, BranchState, Call, Hunt, Inviting, Party, Place, Role, State, Stop};
use std::collections::VecDeque;
use sx_leg::{Address, Answer, Ended, EndedBy, Incoming, LegCommand, LegEvent, Media, ProgressKind, Source};
use sx_media::{agreed_codec, attendance, room_offer};
use sx_route::{Facts, Plan, plan};
use sx_types::{Cause, LegId};

/// The leg of a room, which has none.
pub(crate) const ROOM_LEG: LegId = LegId(u64::MAX);

/// As many exchanges may pass on what a room begins.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.6
pub(crate) const HOPS: u8 = 70;

impl Party {
    /// Is it a room that calls?
    pub(crate) fn is_room(&self) -> bool {
        self.leg == ROOM_LEG
    }
}

impl Calls {
    /// Has a room call somebody. Where it cannot be begun, nothing but a note says so.
    pub(crate) fn invite(&mut self, invite: Invite) {
        let Invite { call: id, trace, room: room_name, from, to, headers, bounds, arrival } = invite;
        let tables = self.tables.clone();
        let Some(room) = tables.room(&room_name) else {
            return self.not_invited(&to, NotAdmitted::NoPlace { status: 404 });
        };
        if let Err(why) = self.take_room(&Source::Exchange) {
            return self.not_invited(&to, why);
        }
        if !room.members.occupy(room.members_max) {
            return self.not_invited(&to, NotAdmitted::NoPlace { status: 486 });
        }
        let incoming = Incoming {
            from,
            to,
            source: Source::Exchange,
            host: None,
            offer: Some(room_offer(&room.codecs)),
            replaces: None,
            on_behalf_of: None,
            headers,
            hops_left: HOPS,
            takes_info: None,
            bounds,
        };
        let mut call = self.begin((id, trace), ROOM_LEG, &incoming);
        call.body.place = Some(Place {
            at: Stop::Room(room_name),
            codecs: room.codecs.clone(),
            attempt: None,
            muted: false,
            arrival,
        });
        let host = self.caller(ROOM_LEG, &incoming);
        call.body.headers = incoming.headers;
        self.begin_inviting(call, host, &incoming.to, None);
    }

    /// Looks for somebody who answers at an address, as the dial plan of the exchange itself has it.
    pub(crate) fn begin_inviting(&mut self, mut call: Box<Call>, host: Party, to: &Address, onward: Option<Address>) {
        let source = Source::Exchange;
        let trunks = self.trunks.facts(&self.tables, self.now);
        let planned = plan(&self.tables, &Facts { source: &source, to, trunks, random: self.rng.u64() });
        let mut inviting = Box::new(Inviting { host, hunt: Hunt::new(VecDeque::new(), false), onward });
        let step = match planned {
            Plan::Refuse(refusal) => Step::Failed(Failure::of_plan(refusal.cause, &refusal.sentence)),
            Plan::Ring(route) => {
                inviting.hunt.stages = route.stages.into();
                self.hunt_next(&mut call, &mut inviting.hunt, &inviting.host)
            }
        };
        call.state = self.inviting_on(&mut call, inviting, step);
        self.settle(call);
    }

    pub(crate) fn not_invited(&mut self, to: &Address, why: NotAdmitted) {
        let dialled = to.clone();
        self.note(Note::NotAdmitted { leg: ROOM_LEG, source: Source::Exchange, dialled, why });
    }

    pub(crate) fn inviting_event(
        &mut self,
        call: &mut Call,
        mut inviting: Box<Inviting>,
        leg: LegId,
        event: LegEvent,
    ) -> State {
        let Inviting { host, hunt, .. } = &mut *inviting;
        let Some(index) = hunt.branch(leg) else {
            self.note(Note::Unexpected { leg, event: name(&event) });
            return State::Inviting(inviting);
        };
        let step = match event {
            LegEvent::Progress(progress) => {
                let rings = progress.kind == ProgressKind::Ringing;
                // An answer that comes early is the one that holds when it is answered.
                if let Some(Media::Answer(text)) = progress.media {
                    hunt.branches[index].party.said = Some(text);
                }
                if rings {
                    self.invited_rings(call, hunt, index);
                }
                Step::Going
            }
            LegEvent::Answered(answer) => return self.invited_answers(call, inviting, leg, answer),
            LegEvent::Redirected { targets } => {
                self.hunt_redirected(call, hunt, leg, &targets);
                Step::Going
            }
            LegEvent::Ended(ended) => self.hunt_ended(call, hunt, host, leg, &ended),
            LegEvent::Offered { .. } => {
                self.refuse_glare(leg);
                Step::Going
            }
            event => {
                self.note(Note::Unexpected { leg, event: name(&event) });
                Step::Going
            }
        };
        self.inviting_on(call, inviting, step)
    }

    fn invited_rings(&mut self, call: &mut Call, hunt: &mut Hunt, index: usize) {
        let at = self.now.as_nanos();
        let branch = &mut hunt.branches[index];
        if !matches!(branch.state, BranchState::Ringing) {
            self.note(Note::Ringing { call: call.body.cdr.call, leg: branch.party.leg });
        }
        branch.state = BranchState::Ringing;
        call.body.cdr.ring.get_or_insert(at);
        if let Some(attempt) = call.body.attempt(branch.party.attempt) {
            attempt.ring.get_or_insert(at);
        }
    }

    /// Draws the conclusion from how the search stands.
    pub(crate) fn inviting_on(&mut self, call: &mut Call, inviting: Box<Inviting>, step: Step) -> State {
        match step {
            Step::Going => State::Inviting(inviting),
            Step::Failed(failure) => {
                self.finish(call, failure.cause, failure.status_or_mapped(), failure.by, &failure.sentence)
            }
        }
    }

    fn invited_answers(&mut self, call: &mut Call, mut inviting: Box<Inviting>, leg: LegId, answer: Answer) -> State {
        let Inviting { host, hunt, .. } = &mut *inviting;
        let Some(index) = hunt.branch(leg) else { return State::Inviting(inviting) };
        let member = &mut hunt.branches[index].party;
        member.signalling.learn(answer.takes_info);
        if let Some(media) = answer.media {
            member.said = Some(media.bytes().clone());
        }
        if let Err(failure) = can_attend(call, member) {
            let step = self.answered_in_vain(call, hunt, host, leg, &failure);
            return self.inviting_on(call, inviting, step);
        }
        let Some(mut member) = self.hunt_won(call, hunt, leg) else { return State::Inviting(inviting) };
        call.body.bounds.add(&member.bounds);
        if let Some(told) = &member.told {
            self.close_unattended(&mut call.body, member.leg, &told.text.clone());
        }
        call.body.cdr.codec = member.said.as_ref().and_then(|said| agreed_codec(said));
        self.record_answer(call, member.leg, member.attempt);
        self.attend(&call.body, &member);
        let Some(to) = &inviting.onward else { return State::Attending(Box::new(Attending::new(member, false))) };
        // It is who calls, for the record as well.
        member.role = Role::Caller;
        call.body.ports.iter_mut().filter(|port| port.leg == member.leg).for_each(|port| port.role = Role::Caller);
        self.move_on(call, member, to)
    }

    /// Nobody is invited any more.
    pub(crate) fn uninvite(&mut self, call: &mut Call, mut inviting: Box<Inviting>, failure: &Failure) -> State {
        self.hunt_cancel(call, &mut inviting.hunt, Cause::NORMAL);
        self.finish(call, failure.cause, failure.status_or_mapped(), failure.by, &failure.sentence)
    }

    /// What somebody has answered is of no use: it is hung up, and counts as an attempt that has failed.
    pub(crate) fn answered_in_vain(
        &mut self,
        call: &mut Call,
        hunt: &mut Hunt,
        party: &Party,
        leg: LegId,
        failure: &Failure,
    ) -> Step {
        self.say(leg, LegCommand::Hangup { cause: failure.cause });
        let trunk = hunt.branch(leg).and_then(|index| hunt.branches[index].party.trunk.take());
        let ended = Ended { cause: failure.cause, status: 0, by: EndedBy::Exchange };
        let step = self.hunt_ended(call, hunt, party, leg, &ended);
        self.still_leaving(call, leg, trunk);
        step
    }
}

/// Has whoever has answered agreed on sound that the room can mix?
fn can_attend(call: &Call, member: &Party) -> Result<(), Failure> {
    let silent = "the called party answered without saying where its media is";
    let (Some(told), Some(said)) = (&member.told, &member.said) else {
        return Err(Failure::new(Cause::INCOMPATIBLE, silent));
    };
    let name = call.body.place.as_ref().and_then(Place::room).unwrap_or_default();
    let attends = attendance(&told.text, said, &name).map_err(unmixed)?;
    attends.map(|_| ()).ok_or_else(crate::rooms::no_codec)
}
