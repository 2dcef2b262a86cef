//! A party asks that the other one be connected elsewhere.
//!
//! ```text
//!  TransferAsked                      target rings             target answers with its offer
//!  ─────────────► Talking + transfer ──────────────► … ──────────────────────────────────────► Joining (join.rs)
//!                     │      │ the transferor hangs up            ▲                               │
//!                     │      └─────────────► Moving ──────────────┘                               ▼
//!                     │ nobody answers         │ nobody answers                    Talking, the transferor gone
//!                     ▼                        ▼
//!              Talking, as it was       the one that stays is hung up
//!
//!  TransferAsked with replaces: no search; the other party of that leg is moved here, and Joining begins at once.
//!  When that leg is another worker's, the place it has there is dialled like the target of a blind transfer.
//! ```
//!
//! The target of a blind transfer is dialled without an offer, so that it makes one of its own, fresh and with every
//! codec it has; that offer goes to the one that stays as a change of its session, and its answer back to confirm the
//! target. No description is ever used in a role or a direction that its author did not give it, whether a party
//! was on hold or not, and relayed and direct media go the same way.

use crate::Ender;
use crate::alarm::Alarm;
use crate::command::Parties;
use crate::engine::{Calls, name};
use crate::failure::Failure;
use crate::hunt::Step;
use crate::interface::{Note, Wish, WishKind};
use crate::passing::answer_for;
use crate::state::{
    Attending, Block, BranchState, Call, Hunt, JoinStep, Joining, Leaver, Moving, Negotiation, Party, Reply, State,
    Talking, Transfer, relayed,
};
use crate::talking::UNANSWERED;
use bytes::Bytes;
use std::collections::VecDeque;
use sx_leg::{
    Address, Answer, Bounds, LegCommand, LegEvent, Media, ProgressKind, Replaced, Source, Target, TransferRequest,
};
use sx_route::{Facts, Plan, Planned, Reason, Way, plan};
use sx_types::{Cause, LegId};

/// What an event of a target comes to.
enum Heard {
    Step(Step),
    Rings,
    Answered(Box<Party>, Bytes),
}

impl Calls {
    pub(crate) fn transfer_asked(
        &mut self,
        call: &mut Call,
        mut talking: Box<Talking>,
        asker: usize,
        request: Box<TransferRequest>,
    ) -> State {
        let leg = talking.parties[asker].leg;
        let Some(source) = talking.parties[asker].source.clone().filter(|_| talking.parties[asker].access.transfers)
        else {
            self.say(leg, LegCommand::TransferProgress { status: 403 });
            return State::Talking(talking);
        };
        if talking.transfer.is_some() {
            self.say(leg, LegCommand::TransferProgress { status: 491 });
            return State::Talking(talking);
        }
        match request.replaces {
            Some(Replaced::Leg(_)) if talking.negotiation != Negotiation::Idle => {
                Self::defer(call, Block::Negotiation, leg, LegEvent::TransferAsked(request));
                return State::Talking(talking);
            }
            Some(Replaced::Leg(replaced)) => return self.join_other(call, talking, asker, replaced),
            Some(Replaced::Elsewhere(place)) => return self.call_place(call, talking, asker, request.to, place),
            None => {}
        }
        let mut hunt = Hunt::new(VecDeque::new(), true);
        self.ask(call, &mut hunt, Wish { leg, source, to: vec![request.to], kind: WishKind::Transfer });
        talking.transfer = Some(Transfer { asker, asked: true, hunt });
        State::Talking(talking)
    }

    /// Attended transfer to a party of a call that another worker has: a leg goes there to take the transferor's place,
    /// as it would to the target of a blind transfer.
    fn call_place(
        &mut self,
        call: &mut Call,
        mut talking: Box<Talking>,
        asker: usize,
        to: Address,
        place: Box<str>,
    ) -> State {
        self.say(talking.parties[asker].leg, LegCommand::TransferProgress { status: 100 });
        let access = self.tables.access(&Source::Exchange).clone();
        let bounds = Bounds::default();
        let planned = Planned { way: Way::User, to, access, reason: Reason::transferred(), bounds };
        let mut hunt = Hunt::new(VecDeque::new(), true);
        let by = talking.parties[asker].source.clone();
        let remaining = &talking.parties[1 - asker];
        self.ring(call, &mut hunt, remaining, &planned, Target::Place { dialog: place, by });
        self.set_alarm(call, Alarm::Ring, self.settings.offer_wait);
        let step = self.hunt_check(call, &mut hunt, remaining);
        talking.transfer = Some(Transfer { asker, asked: true, hunt });
        self.transfer_on(call, talking, step)
    }

    /// Somebody who looks after the call wants one of its parties connected elsewhere.
    pub(crate) fn transfer_party(&mut self, call: &mut Call, who: Parties, to: &Address) {
        call.state = match std::mem::replace(&mut call.state, State::Ending) {
            State::Talking(mut talking) if talking.transfer.is_none() && who != Parties::Both => {
                let stays = who.index(&talking.parties);
                let (hunt, step) = self.search_for(call, &talking.parties[stays], to);
                talking.transfer = Some(Transfer { asker: 1 - stays, asked: false, hunt });
                self.transfer_on(call, talking, step)
            }
            State::Attending(attending) if attending.is_settled() => self.move_on(call, attending.member, to),
            state => state,
        };
    }

    /// Somebody whom the exchange has answered, or called, is connected elsewhere. Who is in a room stays there until then.
    pub(crate) fn move_on(&mut self, call: &mut Call, remaining: Party, to: &Address) -> State {
        let (hunt, step) = self.search_for(call, &remaining, to);
        self.moving_on(call, Box::new(Moving { remaining, hunt }), step)
    }

    /// A search for somebody to talk to a party, by the dial plan of the exchange itself. They make the offer.
    fn search_for(&mut self, call: &mut Call, remaining: &Party, to: &Address) -> (Hunt, Step) {
        let source = Source::Exchange;
        let trunks = self.trunks.facts(&self.tables, self.now);
        let planned = plan(&self.tables, &Facts { source: &source, to, trunks, random: self.rng.u64() });
        let mut hunt = Hunt::new(VecDeque::new(), true);
        let step = match planned {
            Plan::Refuse(refusal) => Step::Failed(Failure::of_plan(refusal.cause, &refusal.sentence)),
            Plan::Ring(route) => {
                hunt.stages = route.stages.into();
                self.hunt_next(call, &mut hunt, remaining)
            }
        };
        (hunt, step)
    }

    /// An event of a leg that is not one of the two: the target of a transfer.
    pub(crate) fn transfer_event(
        &mut self,
        call: &mut Call,
        mut talking: Box<Talking>,
        leg: LegId,
        event: LegEvent,
    ) -> State {
        let Talking { parties, negotiation, transfer } = &mut *talking;
        let Some(Transfer { asker, asked, hunt }) = transfer.as_mut().filter(|t| t.hunt.branch(leg).is_some()) else {
            self.note(Note::Unexpected { leg, event: name(&event) });
            return State::Talking(talking);
        };
        if matches!(event, LegEvent::Answered(_)) && *negotiation != Negotiation::Idle {
            Self::defer(call, Block::Negotiation, leg, event);
            return State::Talking(talking);
        }
        let (asker, asked) = (*asker, *asked);
        match self.target_event(call, hunt, &parties[1 - asker], leg, event) {
            Heard::Step(step) => self.transfer_on(call, talking, step),
            Heard::Rings => {
                if asked {
                    self.say(parties[asker].leg, LegCommand::TransferProgress { status: 180 });
                }
                State::Talking(talking)
            }
            Heard::Answered(joins, offer) => {
                let Talking { parties: [one, other], .. } = *talking;
                let (leaves, remaining) = if asker == 0 { (one, other) } else { (other, one) };
                let leaves = Some(Leaver { party: leaves, asked });
                self.begin_join(call, remaining, *joins, leaves, offer)
            }
        }
    }

    /// The transferor has left before the target has answered. What was being changed between the two is brought to an end:
    /// of one whose offer has no answer nothing could be asked when the target comes.
    pub(crate) fn begin_moving(
        &mut self,
        call: &mut Call,
        left: &Party,
        mut remaining: Party,
        transfer: Transfer,
        negotiation: Negotiation,
    ) -> State {
        let Transfer { asker, mut hunt, .. } = transfer;
        match negotiation {
            Negotiation::Asked { by, .. } if by != asker => self.refuse_glare(remaining.leg),
            // The one that stays was asked for an offer, has made it, and is told what the transferor last had.
            Negotiation::Confirming { by, offer } if by == asker => {
                let passing = self.passing(relayed(left, &remaining));
                let answer = left.said.as_ref().and_then(|said| passing.answer_from(said, &offer).ok());
                let told =
                    answer.and_then(|answer| answer_for(&call.body, &mut remaining, &answer, &offer, &passing).ok());
                let Some(told) = told else {
                    self.hunt_cancel(call, &mut hunt, Cause::NORMAL);
                    self.dismiss(call, &remaining, Cause::INCOMPATIBLE);
                    return self.finish(call, Cause::INCOMPATIBLE, 200, Ender::Exchange, UNANSWERED);
                };
                self.say(remaining.leg, LegCommand::Confirm { media: Media::Answer(told) });
            }
            Negotiation::Idle | Negotiation::Asked { .. } | Negotiation::Confirming { .. } => {}
        }
        State::Moving(Box::new(Moving { remaining, hunt }))
    }

    /// An event while the transferor has left already.
    pub(crate) fn moving_event(
        &mut self,
        call: &mut Call,
        mut moving: Box<Moving>,
        leg: LegId,
        event: LegEvent,
    ) -> State {
        let Moving { remaining, hunt } = &mut *moving;
        if leg == remaining.leg {
            match event {
                LegEvent::Ended(ended) => {
                    self.hunt_cancel(call, hunt, Cause::NORMAL);
                    self.gone(call, remaining, &ended);
                    return self.finish(call, ended.cause, 200, remaining.role.ender(ended.by), "");
                }
                LegEvent::Offered { .. } => self.refuse_glare(leg),
                // The transferor had asked for it, and is not there any more to answer.
                LegEvent::OfferAccepted { media: Some(Media::Offer(_)) } => {
                    self.hunt_cancel(call, hunt, Cause::NORMAL);
                    self.dismiss(call, remaining, Cause::INCOMPATIBLE);
                    return self.finish(call, Cause::INCOMPATIBLE, 200, Ender::Exchange, UNANSWERED);
                }
                // It is being transferred itself.
                LegEvent::TransferAsked(_) => self.say(leg, LegCommand::TransferProgress { status: 491 }),
                event => self.note(Note::Unexpected { leg, event: name(&event) }),
            }
            return State::Moving(moving);
        }
        match self.target_event(call, hunt, remaining, leg, event) {
            Heard::Step(step) => self.moving_on(call, moving, step),
            Heard::Rings => State::Moving(moving),
            Heard::Answered(joins, offer) => self.begin_join(call, moving.remaining, *joins, None, offer),
        }
    }

    fn target_event(
        &mut self,
        call: &mut Call,
        hunt: &mut Hunt,
        remaining: &Party,
        leg: LegId,
        event: LegEvent,
    ) -> Heard {
        match event {
            LegEvent::Progress(progress) if progress.kind == ProgressKind::Ringing => {
                if let Some(index) = hunt.branch(leg) {
                    let at = self.now.as_nanos();
                    hunt.branches[index].state = BranchState::Ringing;
                    if let Some(attempt) = call.body.attempt(hunt.branches[index].party.attempt) {
                        attempt.ring.get_or_insert(at);
                    }
                }
                Heard::Rings
            }
            LegEvent::Answered(Answer { media, .. }) => match (self.hunt_won(call, hunt, leg), media) {
                (Some(joins), Some(Media::Offer(offer))) => Heard::Answered(Box::new(joins), offer),
                (Some(joins), _) => {
                    // It was to make the offer and has not: there is nothing to connect it with.
                    self.dismiss(call, &joins, Cause::INTERWORKING);
                    Heard::Step(Step::Failed(Failure::new(Cause::INTERWORKING, "the target has made no offer")))
                }
                (None, _) => Heard::Step(Step::Going),
            },
            LegEvent::Redirected { targets } => {
                self.hunt_redirected(call, hunt, leg, &targets);
                Heard::Step(Step::Going)
            }
            LegEvent::Ended(ended) => Heard::Step(self.hunt_ended(call, hunt, remaining, leg, &ended)),
            LegEvent::Offered { .. } => {
                self.refuse_glare(leg);
                Heard::Step(Step::Going)
            }
            _ => Heard::Step(Step::Going),
        }
    }

    /// Draws the conclusion from how the search for the target stands.
    pub(crate) fn transfer_on(&mut self, call: &mut Call, mut talking: Box<Talking>, step: Step) -> State {
        match (step, talking.transfer.take()) {
            (Step::Failed(failure), Some(transfer)) => {
                let asker = transfer.asked.then(|| talking.parties[transfer.asker].leg);
                self.transfer_failed(call, talking, asker, failure.status_or_mapped())
            }
            (_, transfer) => {
                talking.transfer = transfer;
                State::Talking(talking)
            }
        }
    }

    pub(crate) fn transfer_failed(
        &mut self,
        call: &Call,
        talking: Box<Talking>,
        asker: Option<LegId>,
        status: u16,
    ) -> State {
        if let Some(asker) = asker {
            self.say(asker, LegCommand::TransferProgress { status });
        }
        self.note(Note::TransferFailed { call: call.body.cdr.call, status });
        State::Talking(talking)
    }

    /// Nobody asked any more: the one that stays has nobody to go back to when the search fails, unless it is in a room.
    pub(crate) fn moving_on(&mut self, call: &mut Call, moving: Box<Moving>, step: Step) -> State {
        match step {
            Step::Going => State::Moving(moving),
            Step::Failed(failure) => {
                self.note(Note::TransferFailed { call: call.body.cdr.call, status: failure.status_or_mapped() });
                if call.body.place.as_ref().is_some_and(|place| place.room().is_some()) {
                    return State::Attending(Box::new(Attending::new(moving.remaining, false)));
                }
                self.dismiss(call, &moving.remaining, failure.cause);
                self.finish(call, failure.cause, 200, failure.by, "the target of the transfer did not answer")
            }
        }
    }

    fn begin_join(
        &mut self,
        call: &mut Call,
        remaining: Party,
        joins: Party,
        leaves: Option<Leaver>,
        offer: Bytes,
    ) -> State {
        let step = JoinStep::Opening { offer };
        let joining = Joining { remaining, joins, leaves, reply: Reply::Confirm, step, glares: 0 };
        self.join_on(call, Box::new(joining))
    }
}
