//! Two parties are connected: what one asks of the session, the other is asked.
//!
//! ```text
//!            Offered from one                     OfferAccepted with the answer
//!   Idle ──────────────────────► Asked ──────────────────────────────────────────► Idle
//!    ▲      (Offer to the other)   │  OfferAccepted with an offer: none was made     ▲
//!    │ OfferRefused, or too late   │  (AnswerOffer with it)                          │ OfferConfirmed, Confirmed
//!    └─────────────────────────────┴──────────────► Confirming ──────────────────────┘ (Confirm to the other)
//! ```
//!
//! Hold is just that. Whoever asks while a change is going on is refused with status 491.

use crate::alarm::Alarm;
use crate::engine::{Calls, name};
use crate::failure::Failure;
use crate::interface::Note;
use crate::passing::{answer_for, offer_for};
use crate::ports::Readiness;
use crate::state::{Block, Call, Negotiation, State, Talking, relayed};
use bytes::Bytes;
use sx_leg::{LegCommand, LegEvent, Media};
use sx_media::agreed_codec;
use sx_types::{Cause, LegId};

impl Calls {
    pub(crate) fn talking_event(
        &mut self,
        call: &mut Call,
        mut talking: Box<Talking>,
        leg: LegId,
        event: LegEvent,
    ) -> State {
        let Some(index) = talking.index_of(leg) else {
            return self.transfer_event(call, talking, leg, event);
        };
        match event {
            LegEvent::Ended(ended) => return self.party_left(call, talking, index, &ended),
            LegEvent::TransferAsked(request) => return self.transfer_asked(call, talking, index, request),
            LegEvent::Offered { media } => self.offered(call, &mut talking, index, media),
            LegEvent::OfferAccepted { media } => {
                if let Err(failure) = self.accepted(call, &mut talking, index, media) {
                    return self.hang_up_both(call, &talking, &failure);
                }
            }
            LegEvent::OfferRefused { cause, status, sentence } => {
                if let Negotiation::Asked { by, .. } = &talking.negotiation
                    && *by != index
                {
                    let asker = talking.parties[*by].leg;
                    let told = std::mem::take(&mut talking.parties[index].warned);
                    self.negotiated(call, &mut talking);
                    let failure =
                        Failure { told, ..Failure::new(cause, &refused(sentence, status)).with_status(status) };
                    match status {
                        // Both have asked at once, which is nobody's fault and is tried again.
                        491 => self.say(asker, failure.refused_offer()),
                        _ => self.refuse_change(call, asker, &failure),
                    }
                }
            }
            LegEvent::Confirmed { media } | LegEvent::OfferConfirmed { media } => {
                if let Negotiation::Confirming { by, .. } = talking.negotiation
                    && by == index
                {
                    return self.confirmed(call, talking, media);
                }
            }
            LegEvent::Digit { digit, duration_ms } => {
                self.key_signalled(call, &mut talking.parties, index, (digit, duration_ms));
            }
            LegEvent::Info { .. } => self.pass_information(talking.parties[1 - index].leg, event),
            event => self.note(Note::Unexpected { leg, event: name(&event) }),
        }
        State::Talking(talking)
    }

    /// One party wants to change the session: the other is asked.
    fn offered(&mut self, call: &mut Call, talking: &mut Talking, by: usize, media: Option<Bytes>) {
        let asker = talking.parties[by].leg;
        if talking.negotiation != Negotiation::Idle {
            self.refuse_glare(asker);
            return;
        }
        let relay = relayed(&talking.parties[0], &talking.parties[1]);
        let told = match &media {
            None => Ok(None),
            Some(offer) => {
                let [one, other] = &talking.parties;
                let readiness = match relay {
                    true => self.prepare(call, offer, asker, [one, other]),
                    false => Ok(Readiness::Ready),
                };
                match readiness {
                    Ok(Readiness::Waiting) => {
                        Self::defer(call, Block::Ports, asker, LegEvent::Offered { media });
                        return;
                    }
                    Ok(Readiness::Ready) => {
                        offer_for(&call.body, &mut talking.parties[1 - by], offer, &self.passing(relay)).map(Some)
                    }
                    Err(error) => Err(error),
                }
            }
        };
        match told {
            Err(error) => self.refuse_change(call, asker, &error.into()),
            Ok(told) => {
                talking.negotiation = Negotiation::Asked { by, offer: media };
                self.set_alarm(call, Alarm::Offer, self.settings.offer_wait);
                self.say(talking.parties[1 - by].leg, LegCommand::Offer { media: told });
            }
        }
    }

    /// The party that was asked has agreed.
    fn accepted(
        &mut self,
        call: &mut Call,
        talking: &mut Talking,
        index: usize,
        media: Option<Media>,
    ) -> Result<(), Failure> {
        let Negotiation::Asked { by, offer } = &talking.negotiation else { return Ok(()) };
        let (by, offer) = (*by, offer.clone());
        if by == index {
            return Ok(());
        }
        let relay = relayed(&talking.parties[0], &talking.parties[1]);
        let asker = talking.parties[by].leg;
        // One that accepts without a word leaves its side as it was.
        let media = media.or_else(|| talking.parties[index].said.clone().map(Media::Answer));
        match (offer, media) {
            (Some(offer), Some(media)) => {
                let answer = media.bytes();
                let Ok(told) = answer_for(&call.body, &mut talking.parties[by], answer, &offer, &self.passing(relay))
                else {
                    self.negotiated(call, talking);
                    self.refuse_change(call, asker, &Failure::new(Cause::INCOMPATIBLE, UNANSWERED));
                    return Ok(());
                };
                talking.parties[by].said = Some(offer);
                talking.parties[index].said = Some(answer.clone());
                let [one, other] = &talking.parties;
                self.connect(&call.body, one, other);
                self.negotiated(call, talking);
                self.say(asker, LegCommand::AnswerOffer { media: Media::Answer(told) });
            }
            (None, Some(Media::Offer(offer))) => {
                let [one, other] = &talking.parties;
                let readiness = match relay {
                    true => self.prepare(call, &offer, talking.parties[index].leg, [one, other]),
                    false => Ok(Readiness::Ready),
                };
                if readiness == Ok(Readiness::Waiting) {
                    let event = LegEvent::OfferAccepted { media: Some(Media::Offer(offer)) };
                    Self::defer(call, Block::Ports, talking.parties[index].leg, event);
                    return Ok(());
                }
                let told = offer_for(&call.body, &mut talking.parties[by], &offer, &self.passing(relay))
                    .map_err(|error| Failure::new(error.cause(), UNANSWERED))?;
                talking.parties[index].said = Some(offer.clone());
                talking.negotiation = Negotiation::Confirming { by, offer };
                self.set_alarm(call, Alarm::Offer, self.settings.offer_wait);
                self.say(asker, LegCommand::AnswerOffer { media: Media::Offer(told) });
            }
            (_, _) => {
                self.negotiated(call, talking);
                self.refuse_change(call, asker, &Failure::new(Cause::INTERWORKING, UNANSWERED));
            }
        }
        Ok(())
    }

    /// The party that had an offer made for it has answered it.
    fn confirmed(&mut self, call: &mut Call, mut talking: Box<Talking>, media: Option<Media>) -> State {
        let Negotiation::Confirming { by, offer } = std::mem::replace(&mut talking.negotiation, Negotiation::Idle)
        else {
            return State::Talking(talking);
        };
        self.negotiated(call, &mut talking);
        let relay = relayed(&talking.parties[0], &talking.parties[1]);
        let told = media.as_ref().and_then(|media| {
            let other = &mut talking.parties[1 - by];
            answer_for(&call.body, other, media.bytes(), &offer, &self.passing(relay)).ok()
        });
        let (Some(media), Some(told)) = (media, told) else {
            let failure = Failure::new(Cause::INCOMPATIBLE, UNANSWERED);
            return self.hang_up_both(call, &talking, &failure);
        };
        talking.parties[by].said = Some(media.bytes().clone());
        let [one, other] = &talking.parties;
        self.connect(&call.body, one, other);
        if call.body.cdr.codec.is_none() {
            call.body.cdr.codec = agreed_codec(media.bytes());
        }
        self.say(talking.parties[1 - by].leg, LegCommand::Confirm { media: Media::Answer(told) });
        State::Talking(talking)
    }

    /// No change of the session is going on any more.
    fn negotiated(&mut self, call: &mut Call, talking: &mut Talking) {
        talking.negotiation = Negotiation::Idle;
        self.clear_alarm(call, Alarm::Offer);
    }

    /// A party has taken too long over an offer.
    pub(crate) fn offer_late(&mut self, call: &mut Call, mut talking: Box<Talking>) -> State {
        match std::mem::replace(&mut talking.negotiation, Negotiation::Idle) {
            Negotiation::Idle => State::Talking(talking),
            Negotiation::Asked { by, .. } => {
                let asker = talking.parties[by].leg;
                let late = Failure::of_timer(Cause::TIMER_EXPIRY, "the other party has not answered the offer in time");
                self.refuse_change(call, asker, &late);
                State::Talking(talking)
            }
            Negotiation::Confirming { .. } => {
                let failure = Failure::of_timer(Cause::TIMER_EXPIRY, "the party has not answered the offer");
                self.hang_up_both(call, &talking, &failure)
            }
        }
    }
}

/// Why a change was refused that a party has asked for.
fn refused(sentence: Box<str>, status: u16) -> Box<str> {
    if sentence.is_empty() { format!("the other party has answered the change with {status}").into() } else { sentence }
}

/// What is said when an offer that came in a 2xx has no answer.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
// The ACK must carry one; without it there is no session.
pub(crate) const UNANSWERED: &str = "what a party has offered in its answer has no answer";
