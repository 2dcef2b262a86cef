//! Codecs that a party may neither be offered nor heard in are taken out of every description that comes from it or
//! goes to it; one without a key that it needs counts as one that nothing is left of.

use crate::engine::Calls;
use crate::failure::Failure;
use crate::interface::{NotAdmitted, Note};
use crate::ports::Undeliverable;
use crate::state::{Call, Party};
use crate::talking::UNANSWERED;
use bytes::Bytes;
use sx_leg::{Bounds, Ended, EndedBy, Incoming, LegCommand, LegEvent, Media};
use sx_media::{
    Means, MediaError, Terms, allow_codecs, check_answer, check_codecs, check_keys, check_offer, check_streams,
};
use sx_route::{Access, MediaMode};
use sx_types::{Cause, LegId};

/// Of so many refused changes of one call the log is told.
const REFUSALS_TOLD_MAX: u8 = 16;

/// What a party of this kind may be given of a description, or have said by one.
///
/// # Errors
/// Nothing is left of it, or it cannot be read.
pub(crate) fn allowed(access: &Access, bounds: &Bounds, description: &Bytes) -> Result<Bytes, MediaError> {
    // Of where it comes from an empty list means any codec; of what it is bound to, none.
    let configured = match access.codecs.is_empty() {
        true => description.clone(),
        false => allow_codecs(description, &access.codecs)?,
    };
    match &bounds.codecs {
        None => Ok(configured),
        Some(codecs) => allow_codecs(&configured, codecs),
    }
}

/// On which terms the media of a party of this kind is protected.
pub(crate) fn terms(access: &Access) -> Terms {
    Terms { policy: access.srtp, keying: access.srtp_keying }
}

impl Calls {
    /// What a new caller may offer; it is refused when nothing is left.
    pub(crate) fn allow_incoming(&mut self, leg: LegId, incoming: &mut Incoming) -> bool {
        let access = self.tables.access(&incoming.source);
        let kept = incoming.offer.as_ref().map(|offer| {
            let kept = allowed(access, &incoming.bounds, offer)?;
            if access.mode == MediaMode::Relay {
                check_offer(&kept)?;
                check_keys(&kept, terms(access), &self.settings.means)?;
            }
            Ok(kept)
        });
        match kept {
            None => true,
            Some(Ok(offer)) => {
                incoming.offer = Some(offer);
                true
            }
            // What cannot be read is told as such when it is to be passed on.
            Some(Err(MediaError::Description(_))) => true,
            Some(Err(error)) => {
                let (cause, why) = match error {
                    MediaError::NothingAllowed => (Cause::NOT_IMPLEMENTED, NotAdmitted::NoCodec),
                    MediaError::NoKey { .. } | MediaError::KeyMissing { .. } => {
                        (Cause::INCOMPATIBLE, NotAdmitted::NoKeys)
                    }
                    _ => (Cause::INCOMPATIBLE, NotAdmitted::NoStream),
                };
                let failure = Failure::new(cause, &error.to_string());
                self.not_admitted(leg, incoming, why);
                self.say(leg, LegCommand::Reject(failure.rejection()));
                false
            }
        }
    }

    /// Refuses a change that a party has asked for, for a reason of ours.
    pub(crate) fn refuse_change(&mut self, call: &mut Call, leg: LegId, failure: &Failure) {
        let Failure { cause, sentence, .. } = failure;
        // A party may ask as often as it likes; the log is not to grow with that.
        if call.body.changes_refused < REFUSALS_TOLD_MAX {
            call.body.changes_refused += 1;
            self.note(Note::ChangeRefused { call: call.body.cdr.call, leg, cause: *cause, sentence: sentence.clone() });
        }
        self.say(leg, failure.refused_offer());
    }

    /// An event of a leg, with what its party may say. A change that has nothing left is refused, one's own or another's;
    /// an answer that has is an attempt that failed, and the leg is hung up. What else has nothing left says nothing of
    /// media: an answer without any that comes after early media of the kind is an answer in vain, too.
    pub(crate) fn heard(&mut self, call: &mut Call, leg: LegId, mut event: LegEvent) {
        let Some(party) = call.state.party(leg) else { return self.leg_event(call, leg, event) };
        let offers = matches!(event, LegEvent::OfferAccepted { media: Some(Media::Offer(_)) });
        match take_out(party, &self.settings.means, &mut event) {
            Ok(()) => self.leg_event(call, leg, event),
            Err(failure) => match event {
                LegEvent::Offered { .. } => self.refuse_change(call, leg, &failure),
                LegEvent::Answered(_) => {
                    let cause = failure.cause;
                    // Its channel is in use until it has ended.
                    let trunk = call.state.take_trunk(leg);
                    self.say(leg, LegCommand::Hangup { cause });
                    let ended = Ended { cause, status: 488, by: EndedBy::Exchange };
                    self.leg_event(call, leg, LegEvent::Ended(ended));
                    self.still_leaving(call, leg, trunk);
                }
                // An offer that was asked for: nobody has seen it who could answer.
                LegEvent::OfferAccepted { .. } if offers => {
                    self.clear(call, &Failure::new(Cause::INCOMPATIBLE, UNANSWERED));
                }
                LegEvent::OfferAccepted { .. } => {
                    let Failure { cause, sentence, .. } = failure;
                    let refused = LegEvent::OfferRefused { cause, status: 488, sentence };
                    self.leg_event(call, leg, refused);
                }
                event => self.leg_event(call, leg, event),
            },
        }
    }
}

/// Takes out of an event what its party may not say. An error when nothing is left, or a key is missing or wrong; the event
/// is without media then.
fn take_out(party: &Party, means: &Means, event: &mut LegEvent) -> Result<(), Failure> {
    let change = |description: &mut Bytes, is_offer: bool| {
        match allowed(&party.access, &party.bounds, description) {
            Ok(text) => *description = text,
            Err(error @ MediaError::NothingAllowed) => return Err(not_acceptable(error)),
            Err(_) => return Ok(()),
        }
        // Only what was relayed is remembered as told.
        let checked = match (is_offer, &party.told) {
            (true, _) if party.access.mode == MediaMode::Relay => {
                check_offer(description).and_then(|()| check_keys(description, terms(&party.access), means))
            }
            (false, Some(told)) => check_streams(description)
                .and_then(|()| check_answer(&told.text, description))
                .and_then(|()| check_codecs(&told.text, description)),
            _ => Ok(()),
        };
        checked.or_else(|error| match error {
            MediaError::Description(_) => Ok(()),
            error => Err(not_acceptable(error)),
        })
    };
    let media = match event {
        LegEvent::Offered { media: Some(offer) } => return change(offer, true),
        LegEvent::Progress(progress) => &mut progress.media,
        LegEvent::Answered(answer) => &mut answer.media,
        LegEvent::Confirmed { media } | LegEvent::OfferAccepted { media } | LegEvent::OfferConfirmed { media } => media,
        _ => return Ok(()),
    };
    match media {
        Some(Media::Offer(text)) => change(text, true).inspect_err(|_| *media = None),
        Some(Media::Answer(text)) => change(text, false).inspect_err(|_| *media = None),
        None => Ok(()),
    }
}

/// What is offered or answered has a codec or a key too few.
fn not_acceptable(error: MediaError) -> Failure {
    Failure::from(Undeliverable::from(error)).with_status(488)
}
