//! A member is in a room, or hears an announcement: what it asks of its session, the exchange answers.
//!
//! ```text
//!              Offered with an offer: AnswerOffer, and it attends as it has agreed
//!   ┌──────────────────────────────────┐
//!   ▼                                  │        Ended, or somebody ends it
//!  Attending ──────────────────────────┴──────────────────────────────────────► Ending
//!   │  ▲
//!   │  │ Confirmed, OfferConfirmed with the answer
//!   └──┘ Offered without one: AnswerOffer with an offer of the room's, which it owes an answer
//! ```
//!
//! Keys and application information are for nobody. A member is not transferred elsewhere.

use crate::alarm::Alarm;
use crate::engine::{Calls, name};
use crate::failure::Failure;
use crate::interface::{Note, Output};
use crate::passing::{Passing, answer_for, offer_for};
use crate::ports::{Readiness, Undeliverable};
use crate::rooms::no_codec;
use crate::state::{Attending, Block, Body, Call, Party, PortState, State};
use crate::talking::UNANSWERED;
use bytes::Bytes;
use std::sync::Arc;
use sx_leg::{LegCommand, LegEvent, Media};
use sx_media::{
    Attendance, MediaCommand, MediaError, agreed_codec, attendance, room_answer, room_offer, room_offer_again, streams,
};
use sx_types::{Cause, Codec, Dtmf, LegId};

/// What a member that asks for a transfer is told.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.2
// Whoever does not do what a REFER asks declines it.
const DECLINED: u16 = 603;

impl Calls {
    pub(crate) fn attending_event(
        &mut self,
        call: &mut Call,
        mut attending: Box<Attending>,
        leg: LegId,
        event: LegEvent,
    ) -> State {
        if leg != attending.member.leg {
            self.note(Note::Unexpected { leg, event: name(&event) });
            return State::Attending(attending);
        }
        match event {
            LegEvent::Ended(ended) => {
                self.gone(call, &attending.member, &ended);
                return self.finish(call, ended.cause, 200, attending.member.role.ender(ended.by), "");
            }
            LegEvent::Offered { .. } if attending.owes => self.refuse_glare(leg),
            LegEvent::Offered { media: Some(offer) } => self.member_offers(call, &mut attending, offer),
            LegEvent::Offered { media: None } => self.member_asks(call, &mut attending),
            LegEvent::Confirmed { media } | LegEvent::OfferConfirmed { media } if attending.owes => {
                return self.member_answers(call, attending, media);
            }
            LegEvent::OfferAccepted { media } if attending.entry.is_some() => {
                return self.room_accepted(call, attending, media);
            }
            LegEvent::OfferRefused { cause, status, sentence } if attending.entry.is_some() => {
                return self.room_refused(call, attending, (cause, status, &sentence));
            }
            LegEvent::TransferAsked(_) => self.say(leg, LegCommand::TransferProgress { status: DECLINED }),
            LegEvent::Confirmed { .. } | LegEvent::OfferConfirmed { .. } => {}
            LegEvent::Digit { .. } | LegEvent::Info { .. } => {}
            event => self.note(Note::Unexpected { leg, event: name(&event) }),
        }
        State::Attending(attending)
    }

    /// The member changes its session: hold, another codec, another address.
    fn member_offers(&mut self, call: &mut Call, attending: &mut Attending, offer: Bytes) {
        let codecs = codecs_of(&call.body);
        let member = &mut attending.member;
        let told = match self.readiness(call, member, &offer, &codecs) {
            Ok(Readiness::Waiting) => {
                return Self::defer(call, Block::Ports, member.leg, LegEvent::Offered { media: Some(offer) });
            }
            Ok(Readiness::Ready) => answer_of_room(call, member, &offer, &codecs),
            Err(failure) => Err(failure),
        };
        match told {
            Ok(told) => {
                member.said = Some(offer);
                self.close_unattended(&mut call.body, member.leg, &told);
                self.attend(&call.body, member);
                self.say(member.leg, LegCommand::AnswerOffer { media: Media::Answer(told) });
            }
            Err(failure) => self.refuse_change(call, member.leg, &failure),
        }
    }

    /// Opens the port that an offer needs, if there is none: it may want its sound as another stream than before.
    fn readiness(
        &mut self,
        call: &mut Call,
        member: &Party,
        offer: &Bytes,
        codecs: &[Codec],
    ) -> Result<Readiness, Failure> {
        let summaries = room_answer(offer, codecs).and_then(|answer| streams(&answer)).map_err(unmixed)?;
        if summaries.len() > usize::from(self.settings.streams_max) {
            return Err(Undeliverable::TooManyStreams.into());
        }
        Ok(self.open_ports(call, member, &summaries, false))
    }

    /// The member wants an offer made.
    fn member_asks(&mut self, call: &mut Call, attending: &mut Attending) {
        let codecs = codecs_of(&call.body);
        let member = &mut attending.member;
        let offer = match &member.said {
            Some(said) => room_offer_again(said, &codecs),
            None => Ok(room_offer(&codecs)),
        };
        let offer = offer.map_err(Undeliverable::from);
        match offer.and_then(|offer| offer_for(&call.body, member, &offer, &of_room())) {
            Ok(told) => {
                attending.owes = true;
                self.set_alarm(call, Alarm::Offer, self.settings.offer_wait);
                self.say(attending.member.leg, LegCommand::AnswerOffer { media: Media::Offer(told) });
            }
            Err(error) => self.refuse_change(call, attending.member.leg, &error.into()),
        }
    }

    /// The member has answered the room's offer, or has not.
    pub(crate) fn member_answers(
        &mut self,
        call: &mut Call,
        mut attending: Box<Attending>,
        media: Option<Media>,
    ) -> State {
        attending.owes = false;
        self.clear_alarm(call, Alarm::Offer);
        let member = &mut attending.member;
        let Some(answer) = media.map(|media| media.bytes().clone()) else {
            return self.hang_up_member(call, &attending, &Failure::new(Cause::INCOMPATIBLE, UNANSWERED));
        };
        member.said = Some(answer.clone());
        if !self.attend(&call.body, member) {
            return self.hang_up_member(call, &attending, &no_codec());
        }
        if call.body.cdr.codec.is_none() {
            call.body.cdr.codec = agreed_codec(&answer);
        }
        State::Attending(attending)
    }

    /// The member has taken too long over an offer.
    pub(crate) fn member_late(&mut self, call: &mut Call, attending: &Attending) -> State {
        let failure = Failure::of_timer(Cause::TIMER_EXPIRY, "the member of a room has not answered the offer");
        self.hang_up_member(call, attending, &failure)
    }

    pub(crate) fn hang_up_member(&mut self, call: &mut Call, attending: &Attending, failure: &Failure) -> State {
        self.dismiss(call, &attending.member, failure.cause);
        self.finish(call, failure.cause, 200, failure.by, &failure.sentence)
    }

    /// Has a member take part in its room, or hear its announcement, as it has agreed. `false`: it has agreed on no sound.
    pub(crate) fn attend(&mut self, body: &Body, member: &Party) -> bool {
        let (Some(place), Some(told), Some(said)) = (&body.place, &member.told, &member.said) else { return false };
        self.set_remotes(body, member, said);
        let name = place.room().unwrap_or_default();
        let attends = attendance(&told.text, said, &name).ok().flatten();
        let is_agreed = attends.is_some();
        // What is said before an answer is no part of a call that could be recorded.
        let waits = !place.is_early() && self.is_to_be_told(body, member.leg);
        let instead = member.control.sound.is_some() || member.control.held;
        let mut sounds = self.tables.room(&name).map(|room| room.sounds.clone()).unwrap_or_default();
        if let Some(arrival) = &place.arrival {
            sounds.joined = Some(arrival.clone());
        }
        for port in body.ports.iter().filter(|port| port.leg == member.leg && matches!(port.state, PortState::Open(_)))
        {
            let here = attends.as_ref().filter(|(stream, _)| *stream == usize::from(port.stream));
            let keys_in_band = member.access.dtmf == Dtmf::Inband;
            let attendance = here.map(|(_, attendance)| {
                let muted = attendance.muted || place.muted;
                Box::new(Attendance { muted, keys_in_band, sounds: sounds.clone(), ..attendance.clone() })
            });
            let command = match place.announced(attendance.as_deref()) {
                _ if waits => MediaCommand::Attend { port: port.id, attendance: None },
                _ if instead && attendance.is_some() => {
                    let playing = self.in_place_of_room(member, usize::from(port.stream)).map(Box::new);
                    self.out.push_back(Output::Media(MediaCommand::Attend { port: port.id, attendance: None }));
                    MediaCommand::Play { port: port.id, playing }
                }
                Some(playing) => MediaCommand::Play { port: port.id, playing },
                None => MediaCommand::Attend { port: port.id, attendance },
            };
            self.out.push_back(Output::Media(command));
        }
        is_agreed
    }
}

/// What a room says to a caller, as the caller is told it: an answer to its offer, or an offer when it has made none.
pub(crate) fn told_by_room(call: &Call, caller: &mut Party, codecs: &[Codec]) -> Result<Media, Failure> {
    match caller.said.clone() {
        Some(offer) => answer_of_room(call, caller, &offer, codecs).map(Media::Answer),
        None => Ok(offer_for(&call.body, caller, &room_offer(codecs), &of_room()).map(Media::Offer)?),
    }
}

fn answer_of_room(call: &Call, member: &mut Party, offer: &Bytes, codecs: &[Codec]) -> Result<Bytes, Failure> {
    let answer = room_answer(offer, codecs).map_err(unmixed)?;
    Ok(answer_for(&call.body, member, &answer, offer, &of_room())?)
}

/// A room's own descriptions name what can be mixed and nothing else: there is nothing to add.
pub(crate) fn of_room() -> Passing {
    Passing::Relayed(Arc::from([]))
}

fn codecs_of(body: &Body) -> Arc<[Codec]> {
    body.place.as_ref().map_or_else(|| Arc::from([]), |place| place.codecs.clone())
}

pub(crate) fn unmixed(error: MediaError) -> Failure {
    match error {
        MediaError::NothingInCommon => no_codec(),
        error => Undeliverable::from(error).into(),
    }
}
