//! Two parties that did not talk to each other are connected.
//!
//! ```text
//!  attended transfer:   AskingJoins ──its offer──► Opening ──ports open──► Offering ──answer──► Talking
//!  blind transfer, and a new leg with an offer:    Opening ──────────────► Offering ──answer──► Talking
//!  a new leg without an offer:                     AskingRemaining ──its offer──► Talking, Confirming
//! ```
//!
//! Until the last step the party that stays is connected with the one that leaves, and goes back to it when the
//! joining fails. In an attended transfer the transferor's second leg is ended at the first step, since its party
//! is on its way here.

use crate::alarm::Alarm;
use crate::codecs::allowed;
use crate::engine::{Calls, name};
use crate::failure::Failure;
use crate::interface::Note;
use crate::passing::{answer_for, offer_for};
use crate::ports::Readiness;
use crate::state::{
    Block, Call, JoinStep, Joining, Leaver, Negotiation, Party, Reply, Role, State, Stop, Talking, relayed,
};
use bytes::Bytes;
use std::time::Duration;
use sx_leg::{Ended, EndedBy, Incoming, LegCommand, LegEvent, Media, Source};
use sx_types::{Cause, LegId};

/// An offer that met another one is repeated after a second, so many times.
pub(crate) const GLARES_MAX: u8 = 3;
pub(crate) const GLARE_WAIT: Duration = Duration::from_secs(1);

impl Calls {
    /// Attended transfer: the other party of `replaced` comes here and is connected with the one that stays.
    pub(crate) fn join_other(
        &mut self,
        call: &mut Call,
        talking: Box<Talking>,
        asker: usize,
        replaced: LegId,
    ) -> State {
        let leg = talking.parties[asker].leg;
        let source = talking.parties[asker].source.clone();
        let taken = self
            .may_replace(source.as_ref(), replaced)
            .and_then(|()| self.take_talking(replaced).ok_or_else(no_such_place));
        let (other, second) = match taken {
            Ok(taken) => taken,
            Err(failure) => return self.transfer_failed(call, talking, Some(leg), failure.status),
        };
        self.say(leg, LegCommand::TransferProgress { status: 100 });
        let Talking { parties: [one, two], .. } = *talking;
        let (leaves, remaining) = if asker == 0 { (one, two) } else { (two, one) };
        let joins = self.move_party(other, second, replaced, call);
        self.say(joins.leg, LegCommand::Offer { media: None });
        self.set_alarm(call, Alarm::Offer, self.settings.offer_wait);
        State::Joining(Box::new(Joining {
            remaining,
            joins,
            leaves: Some(Leaver { party: leaves, asked: true }),
            reply: Reply::Confirm,
            step: JoinStep::AskingJoins,
            glares: 0,
        }))
    }

    /// May somebody take this leg's place? Only as the same user, or from the same trunk, as the one who has it: the
    /// identifiers of a dialog are no secret that would prove anything.
    //= https://www.rfc-editor.org/rfc/rfc3891#section-3
    // The initiator must be authorised to replace the dialog, as one who has authenticated as the user replaced is.
    fn may_replace(&self, source: Option<&Source>, replaced: LegId) -> Result<(), Failure> {
        let call = self.legs.get(&replaced).and_then(|key| self.slots.peek(*key));
        let party = call.and_then(|call| call.state.party(replaced)).ok_or_else(no_such_place)?;
        if source.is_some() && party.source.as_ref() == source {
            return Ok(());
        }
        Err(Failure::new(Cause(57), "the place in that call is somebody else's").with_status(403))
    }

    /// The call of a leg, when its two parties are connected and nothing is being changed.
    fn take_talking(&mut self, leg: LegId) -> Option<(Box<Call>, Box<Talking>)> {
        let key = self.legs.get(&leg).copied()?;
        // The call that is being worked on is out of its place: a leg is never joined with its own call.
        let mut call = self.slots.take(key)?;
        let settled = |talking: &Talking| {
            talking.negotiation == Negotiation::Idle && talking.transfer.is_none() && talking.index_of(leg).is_some()
        };
        match std::mem::replace(&mut call.state, State::Ending) {
            State::Talking(talking) if settled(&talking) && call.waiting.is_empty() => Some((call, talking)),
            state => {
                call.state = state;
                self.slots.put_back(key, call);
                None
            }
        }
    }

    /// Takes the other party of `replaced` out of its call, which ends.
    fn move_party(&mut self, mut from: Box<Call>, talking: Box<Talking>, replaced: LegId, to: &Call) -> Party {
        let index = talking.index_of(replaced).unwrap_or(0);
        let Talking { parties: [one, two], .. } = *talking;
        let (leaves, mut moves) = if index == 0 { (one, two) } else { (two, one) };
        // What it was bound to goes with it, of its time what is left.
        moves.bounds.add(&from.body.bounds);
        if moves.bounds.talk_max.is_some() {
            moves.bounds.talk_max = from.alarm_at(Alarm::Talk).map(|at| at.since(self.now));
        }
        moves.bounds.add(&to.body.bounds);
        self.close_ports(&mut from.body, moves.leg);
        self.end_attempt(&mut from, &moves, Cause::NORMAL, 200);
        self.dismiss(&mut from, &leaves, Cause::NORMAL);
        self.legs.insert(moves.leg, to.key);
        from.state =
            self.finish(&mut from, Cause::NORMAL, 200, leaves.role.ender(EndedBy::Peer), "the party was transferred");
        self.settle(from);
        moves.attempt = None;
        moves.told = None;
        moves.role = Role::Called;
        moves
    }

    /// A leg comes in to take the place of another one.
    //= https://www.rfc-editor.org/rfc/rfc3891#section-3
    // Whose dialog cannot be replaced is told 481.
    pub(crate) fn take_place(&mut self, leg: LegId, incoming: Incoming, replaced: LegId) {
        let by = incoming.on_behalf_of.as_ref().unwrap_or(&incoming.source);
        let allowed = self.may_replace(Some(by), replaced);
        if allowed.is_ok() && self.rings_as_target(replaced) {
            self.pick_up(leg, &incoming, replaced);
            return;
        }
        let taken = allowed.and_then(|()| self.take_talking(replaced).ok_or_else(no_such_place));
        let (mut call, talking) = match taken {
            Ok(taken) => taken,
            Err(failure) => {
                self.no_place(leg, &incoming, &failure);
                return;
            }
        };
        let index = talking.index_of(replaced).unwrap_or(0);
        let Talking { parties: [one, two], .. } = *talking;
        let (leaves, remaining) = if index == 0 { (one, two) } else { (two, one) };
        self.legs.insert(leg, call.key);
        if let Source::Trunk(name) = &incoming.source {
            // It comes instead of another: for the moment that both are there, a limit is no reason to refuse it.
            self.trunks.occupy(&self.tables, name);
        }
        self.may_not_answer_yet(&mut call, leg);
        let joins = Party { role: leaves.role, ..self.caller(leg, &incoming) };
        let step = match incoming.offer {
            Some(offer) => JoinStep::Opening { offer },
            None => {
                self.say(remaining.leg, LegCommand::Offer { media: None });
                self.set_alarm(&mut call, Alarm::Offer, self.settings.offer_wait);
                JoinStep::AskingRemaining
            }
        };
        let leaves = Some(Leaver { party: leaves, asked: false });
        let joining = Joining { remaining, joins, leaves, reply: Reply::Answer, step, glares: 0 };
        call.state = self.join_on(&mut call, Box::new(joining));
        self.settle(call);
    }

    /// Passes the offer of the one that comes on as soon as the ports for it are open.
    pub(crate) fn join_on(&mut self, call: &mut Call, mut joining: Box<Joining>) -> State {
        let JoinStep::Opening { offer } = &joining.step else { return State::Joining(joining) };
        let offer = offer.clone();
        let relay = relayed(&joining.remaining, &joining.joins);
        let readiness = match relay {
            true => self.prepare(call, &offer, joining.joins.leg, [&joining.joins, &joining.remaining]),
            false => Ok(Readiness::Ready),
        };
        match readiness {
            Ok(Readiness::Waiting) => return State::Joining(joining),
            Ok(Readiness::Ready) => {}
            Err(error) => {
                return self.join_failed(call, joining, &Failure::new(error.cause(), &error.to_string()));
            }
        }
        let told = match offer_for(&call.body, &mut joining.remaining, &offer, &self.passing(relay)) {
            Ok(told) => told,
            Err(error) => {
                let failure = Failure::new(error.cause(), &error.to_string());
                return self.join_failed(call, joining, &failure);
            }
        };
        joining.joins.said = Some(offer.clone());
        joining.step = JoinStep::Offering { offer };
        self.set_alarm(call, Alarm::Offer, self.settings.offer_wait);
        self.say(joining.remaining.leg, LegCommand::Offer { media: Some(told) });
        State::Joining(joining)
    }

    pub(crate) fn joining_event(
        &mut self,
        call: &mut Call,
        mut joining: Box<Joining>,
        leg: LegId,
        event: LegEvent,
    ) -> State {
        match event {
            LegEvent::Offered { .. } => self.refuse_glare(leg),
            LegEvent::TransferAsked(_) => self.say(leg, LegCommand::TransferProgress { status: 491 }),
            LegEvent::OfferAccepted { media } => return self.join_accepted(call, joining, leg, media),
            LegEvent::OfferRefused { cause, status, sentence } => {
                if status == 491 && joining.glares < GLARES_MAX {
                    joining.glares += 1;
                    self.set_alarm(call, Alarm::Retry, GLARE_WAIT);
                } else {
                    let failure = {
                        let said = if sentence.is_empty() { "a party has refused the change" } else { &*sentence };
                        Failure::new(cause, said).with_status(status)
                    };
                    return self.join_failed(call, joining, &failure);
                }
            }
            LegEvent::Ended(ended) => return self.join_left(call, joining, leg, &ended),
            event => self.note(Note::Unexpected { leg, event: name(&event) }),
        }
        State::Joining(joining)
    }

    fn join_accepted(&mut self, call: &mut Call, mut joining: Box<Joining>, leg: LegId, media: Option<Media>) -> State {
        let stays = leg == joining.remaining.leg;
        if !call.body.may_answer(joining.joins.leg) {
            self.defer_for_record(call, leg, LegEvent::OfferAccepted { media });
            return State::Joining(joining);
        }
        match (&joining.step, media) {
            (JoinStep::AskingJoins, Some(Media::Offer(offer))) if leg == joining.joins.leg => {
                self.clear_alarm(call, Alarm::Offer);
                joining.step = JoinStep::Opening { offer };
                self.join_on(call, joining)
            }
            (JoinStep::Offering { offer }, Some(media)) if stays => {
                let offer = offer.clone();
                self.join_answered(call, joining, &offer, media.bytes())
            }
            (JoinStep::AskingRemaining, Some(Media::Offer(offer))) if stays => {
                self.join_offered(call, joining, leg, offer)
            }
            _ => self.join_failed(call, joining, &Failure::new(Cause::INTERWORKING, "a party has made no offer")),
        }
    }

    /// The one that stays has answered the offer of the one that comes.
    fn join_answered(&mut self, call: &mut Call, mut joining: Box<Joining>, offer: &Bytes, answer: &Bytes) -> State {
        let relay = relayed(&joining.remaining, &joining.joins);
        let told = match answer_for(&call.body, &mut joining.joins, answer, offer, &self.passing(relay)) {
            Ok(told) => Media::Answer(told),
            Err(error) => {
                return self.join_failed(call, joining, &Failure::new(Cause::INCOMPATIBLE, &error.to_string()));
            }
        };
        joining.remaining.said = Some(answer.clone());
        joining.release();
        self.connect(&call.body, &joining.remaining, &joining.joins);
        let command = match joining.reply {
            Reply::Confirm => LegCommand::Confirm { media: told },
            Reply::Answer => LegCommand::Answer { media: Some(told), headers: Vec::new() },
        };
        self.say(joining.joins.leg, command);
        self.joined(call, joining, None)
    }

    /// The one that stays has made the offer that the one that comes had not.
    fn join_offered(&mut self, call: &mut Call, mut joining: Box<Joining>, leg: LegId, offer: Bytes) -> State {
        let relay = relayed(&joining.remaining, &joining.joins);
        let readiness = match relay {
            true => self.prepare(call, &offer, joining.remaining.leg, [&joining.remaining, &joining.joins]),
            false => Ok(Readiness::Ready),
        };
        if readiness == Ok(Readiness::Waiting) {
            Self::defer(call, Block::Ports, leg, LegEvent::OfferAccepted { media: Some(Media::Offer(offer)) });
            return State::Joining(joining);
        }
        let told = match offer_for(&call.body, &mut joining.joins, &offer, &self.passing(relay)) {
            Ok(told) => Media::Offer(told),
            Err(error) => {
                return self.join_failed(call, joining, &Failure::new(error.cause(), &error.to_string()));
            }
        };
        joining.remaining.said = Some(offer.clone());
        joining.release();
        self.say(joining.joins.leg, LegCommand::Answer { media: Some(told), headers: Vec::new() });
        self.joined(call, joining, Some(offer))
    }

    /// The two are connected. `owed`: the offer that the one that has come still has to answer.
    fn joined(&mut self, call: &mut Call, joining: Box<Joining>, owed: Option<Bytes>) -> State {
        let Joining { remaining, joins, leaves, .. } = *joining;
        // Of two that the exchange has called nobody was anywhere else before.
        let place = call.body.place.as_ref().map(|place| &place.at);
        let is_transfer = !matches!(place, Some(Stop::Waiting(_)));
        // Who was in a room, or heard that it rings, is there no more.
        self.leave_room(call, Cause::NORMAL, 200);
        if !relayed(&remaining, &joins) {
            // Nothing comes to the ports that it needed there.
            [&remaining, &joins].into_iter().for_each(|party| self.close_ports(&mut call.body, party.leg));
        }
        self.bind(call, &joins.bounds);
        self.clear_alarm(call, Alarm::Retry);
        self.clear_alarm(call, Alarm::Offer);
        if owed.is_some() {
            self.set_alarm(call, Alarm::Offer, self.settings.offer_wait);
        }
        if let Some(Leaver { party, asked }) = leaves {
            if asked {
                self.say(party.leg, LegCommand::TransferProgress { status: 200 });
            }
            self.dismiss(call, &party, Cause::NORMAL);
        }
        if is_transfer {
            self.note(Note::Transferred { call: call.body.cdr.call, stays: remaining.leg, joins: joins.leg });
        }
        let negotiation = owed.map_or(Negotiation::Idle, |offer| Negotiation::Confirming { by: 1, offer });
        State::Talking(Box::new(Talking { parties: [remaining, joins], negotiation, transfer: None }))
    }

    /// The two cannot be connected: the one that stays goes back to the one that was to leave, if that is still there.
    pub(crate) fn join_failed(&mut self, call: &mut Call, joining: Box<Joining>, failure: &Failure) -> State {
        self.refuse_joining(call, &joining, failure);
        self.join_undone(call, joining, failure)
    }

    fn refuse_joining(&mut self, call: &mut Call, joining: &Joining, failure: &Failure) {
        let command = match joining.reply {
            Reply::Answer => LegCommand::Reject(failure.rejection()),
            Reply::Confirm => LegCommand::Hangup { cause: failure.cause },
        };
        self.leave(call, &joining.joins, command, failure.cause);
    }

    /// The one that was to come is gone.
    fn join_undone(&mut self, call: &mut Call, joining: Box<Joining>, failure: &Failure) -> State {
        let Joining { remaining, leaves, .. } = *joining;
        self.clear_alarm(call, Alarm::Retry);
        self.clear_alarm(call, Alarm::Offer);
        let status = failure.status_or_mapped();
        self.note(Note::TransferFailed { call: call.body.cdr.call, status });
        let Some(Leaver { party, asked }) = leaves else {
            self.dismiss(call, &remaining, failure.cause);
            return self.finish(call, failure.cause, 200, failure.by, &failure.sentence);
        };
        if asked {
            self.say(party.leg, LegCommand::TransferProgress { status });
        }
        let parties = [party, remaining];
        State::Talking(Box::new(Talking { parties, negotiation: Negotiation::Idle, transfer: None }))
    }

    fn join_left(&mut self, call: &mut Call, mut joining: Box<Joining>, leg: LegId, ended: &Ended) -> State {
        if leg == joining.remaining.leg {
            self.gone(call, &joining.remaining, ended);
            let by = joining.remaining.role.ender(ended.by);
            let failure = Failure { by, ..Failure::new(ended.cause, "") };
            self.refuse_joining(call, &joining, &failure);
            if let Some(Leaver { party, .. }) = &joining.leaves {
                self.dismiss(call, party, ended.cause);
            }
            return self.finish(call, ended.cause, 200, by, "");
        }
        if leg == joining.joins.leg {
            self.gone(call, &joining.joins, ended);
            let failure = Failure::of(joining.joins.role, ended);
            return self.join_undone(call, joining, &failure);
        }
        if let Some(Leaver { party, .. }) = joining.leaves.take() {
            self.gone(call, &party, ended);
        }
        State::Joining(joining)
    }

    /// The call is ended by somebody else while two parties are being connected.
    pub(crate) fn join_cleared(&mut self, call: &mut Call, joining: &Joining, failure: &Failure) -> State {
        self.refuse_joining(call, joining, failure);
        self.dismiss(call, &joining.remaining, failure.cause);
        if let Some(Leaver { party, .. }) = &joining.leaves {
            self.dismiss(call, party, failure.cause);
        }
        self.finish(call, failure.cause, 200, failure.by, &failure.sentence)
    }

    /// A party has taken too long over an offer, or one that met another offer is to be repeated.
    pub(crate) fn offer_alarm(&mut self, call: &mut Call, alarm: Alarm) {
        call.state = match std::mem::replace(&mut call.state, State::Ending) {
            State::Talking(talking) => self.offer_late(call, talking),
            State::Attending(attending) if alarm == Alarm::Retry => self.offer_room(call, attending),
            State::Attending(attending) => self.member_late(call, &attending),
            State::Joining(joining) if alarm == Alarm::Offer => {
                let failure = Failure::of_timer(Cause::TIMER_EXPIRY, "a party has not answered an offer");
                self.join_failed(call, joining, &failure)
            }
            State::Joining(joining) => {
                self.repeat_offer(&joining);
                State::Joining(joining)
            }
            state => state,
        };
    }

    fn repeat_offer(&mut self, joining: &Joining) {
        match &joining.step {
            JoinStep::AskingJoins => self.say(joining.joins.leg, LegCommand::Offer { media: None }),
            JoinStep::AskingRemaining => self.say(joining.remaining.leg, LegCommand::Offer { media: None }),
            JoinStep::Offering { offer } => {
                let told = joining.remaining.told.as_ref().filter(|told| told.from == *offer);
                let kept = || {
                    allowed(&joining.remaining.access, &joining.remaining.bounds, offer)
                        .unwrap_or_else(|_| offer.clone())
                };
                let media = Some(told.map_or_else(kept, |told| told.text.clone()));
                self.say(joining.remaining.leg, LegCommand::Offer { media });
            }
            JoinStep::Opening { .. } => {}
        }
    }
}

impl Joining {
    fn release(&mut self) {
        self.remaining.control.release();
        self.joins.control.release();
    }
}

fn no_such_place() -> Failure {
    Failure::new(Cause(81), "there is no such call to take a place in").with_status(481)
}
