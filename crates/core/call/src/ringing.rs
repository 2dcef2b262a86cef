//! A caller waits, targets ring: progress and early media are passed on in the order they come, the first answer wins.

use crate::CallRecord;
use crate::alarm::Alarm;
use crate::engine::{Calls, name};
use crate::failure::Failure;
use crate::hunt::Step;
use crate::interface::{Note, Output};
use crate::passing::{Passing, answer_for, offer_for};
use crate::ports::Readiness;
use crate::state::{Block, BranchState, Call, Negotiation, Party, Place, Ringing, Role, State, Talking, relayed};
use bytes::Bytes;
use sx_engine::Time;
use sx_leg::{Answer, LegCommand, LegEvent, Media, Progress, ProgressKind, Source};
use sx_media::agreed_codec;
use sx_types::{Cause, LegId};

impl Calls {
    pub(crate) fn ringing_event(
        &mut self,
        call: &mut Call,
        mut ringing: Box<Ringing>,
        leg: LegId,
        event: LegEvent,
    ) -> State {
        if leg == ringing.caller.leg {
            return self.waiting_caller_event(call, ringing, event);
        }
        if ringing.hunt.branch(leg).is_none() {
            self.note(Note::Unexpected { leg, event: name(&event) });
            return State::Ringing(ringing);
        }
        match event {
            LegEvent::Progress(progress) => self.pass_progress(call, &mut ringing, leg, &progress),
            // Who has come by itself to take the call answers nothing.
            LegEvent::Answered(answer) if !ringing.hunt.is_taking(leg) => {
                return self.answered(call, ringing, leg, answer);
            }
            LegEvent::Redirected { targets } => {
                self.hunt_redirected(call, &mut ringing.hunt, leg, &targets);
            }
            LegEvent::Ended(ended) => {
                let Ringing { caller, hunt } = &mut *ringing;
                let step = self.hunt_ended(call, hunt, caller, leg, &ended);
                return self.ringing_on(call, ringing, step);
            }
            LegEvent::Offered { .. } => self.refuse_glare(leg),
            LegEvent::Digit { .. } | LegEvent::Info { .. } if ringing.hunt.early == Some(leg) => {
                self.pass_information(ringing.caller.leg, event);
            }
            event => self.note(Note::Unexpected { leg, event: name(&event) }),
        }
        State::Ringing(ringing)
    }

    fn waiting_caller_event(&mut self, call: &mut Call, mut ringing: Box<Ringing>, event: LegEvent) -> State {
        let leg = ringing.caller.leg;
        match event {
            LegEvent::Ended(ended) => {
                // Why the caller gave up is why the targets stop ringing: one of them may have been called elsewhere as well.
                self.hunt_cancel(call, &mut ringing.hunt, ended.cause);
                self.gone(call, &ringing.caller, &ended);
                let status = if ended.status == 0 { 487 } else { ended.status };
                return self.finish(call, ended.cause, status, Role::Caller.ender(ended.by), "");
            }
            LegEvent::Offered { .. } => self.refuse_glare(leg),
            LegEvent::Digit { .. } | LegEvent::Info { .. } => match ringing.hunt.early {
                Some(early) => self.pass_information(early, event),
                None => self.note(Note::Unexpected { leg, event: name(&event) }),
            },
            event => self.note(Note::Unexpected { leg, event: name(&event) }),
        }
        State::Ringing(ringing)
    }

    /// Draws the conclusion from how the search stands.
    pub(crate) fn ringing_on(&mut self, call: &mut Call, ringing: Box<Ringing>, step: Step) -> State {
        match step {
            Step::Going => self.enter_ready(call, ringing),
            Step::Failed(failure) => self.reject(call, &ringing.caller, &failure),
        }
    }

    /// Refuses the caller and ends the call.
    pub(crate) fn reject(&mut self, call: &mut Call, caller: &Party, failure: &Failure) -> State {
        let mut rejection = failure.rejection();
        // How we are set up is for the log and the record: a stranger is told what kind of failure it is and no more.
        if matches!(caller.source, Some(Source::Trunk(_))) && failure.internal {
            rejection.warning = failure.cause.text().into();
        }
        self.leave(call, caller, LegCommand::Reject(rejection), failure.cause);
        self.finish(call, failure.cause, failure.status_or_mapped(), failure.by, &failure.sentence)
    }

    fn pass_progress(&mut self, call: &mut Call, ringing: &mut Ringing, leg: LegId, progress: &Progress) {
        let Ringing { caller, hunt } = ringing;
        let Some(index) = hunt.branch(leg) else { return };
        let at = self.now.as_nanos();
        let branch = &mut hunt.branches[index];
        if progress.kind == ProgressKind::Ringing {
            if !matches!(branch.state, BranchState::Ringing) {
                self.out.push_back(Output::Note(Note::Ringing { call: call.body.cdr.call, leg }));
            }
            branch.state = BranchState::Ringing;
            call.body.cdr.ring.get_or_insert(at);
            if let Some(attempt) = call.body.attempt(branch.party.attempt) {
                attempt.ring.get_or_insert(at);
            }
        }
        let news = match &progress.media {
            Some(Media::Answer(text)) if branch.party.said.as_ref() != Some(text) => {
                branch.party.said = Some(text.clone());
                true
            }
            _ => false,
        };
        // The caller can hear one at a time: the first that has something to say.
        let audible = progress.media.as_ref().filter(|_| hunt.early.is_none_or(|early| early == leg));
        let media = audible.filter(|media| !media.is_offer()).and_then(|media| {
            let offer = caller.said.clone()?;
            let relay = relayed(caller, &branch.party);
            let told = answer_for(&call.body, caller, media.bytes(), &offer, &self.passing(relay)).ok()?;
            if news {
                self.connect(&call.body, caller, &branch.party);
            }
            hunt.early = Some(leg);
            Some(Media::Answer(told))
        });
        // Ten telephones ring once for the caller; one that repeats itself keeps the caller's side alive.
        let repeated = media.is_none() && matches!(hunt.told, Some((kind, of)) if kind == progress.kind && of != leg);
        if !repeated {
            hunt.told = Some((progress.kind, leg));
            self.say(caller.leg, LegCommand::Progress { kind: progress.kind, media });
        }
    }

    pub(crate) fn answered(&mut self, call: &mut Call, mut ringing: Box<Ringing>, leg: LegId, answer: Answer) -> State {
        let Ringing { caller, hunt } = &mut *ringing;
        let Some(index) = hunt.branch(leg) else { return State::Ringing(ringing) };
        if !call.body.may_answer(caller.leg) {
            // It counts when the caller can be told: who was never connected has not been answered.
            self.defer_for_record(call, leg, LegEvent::Answered(answer));
            return State::Ringing(ringing);
        }
        let callee = &mut hunt.branches[index].party;
        let was_early = callee.said.clone().filter(|_| hunt.early == Some(leg));
        let was_known = callee.signalling;
        callee.signalling.learn(answer.takes_info);
        let relay = relayed(caller, callee);
        let told = match (&answer.media, &caller.said) {
            (Some(Media::Offer(offer)), None) => {
                let readiness = match relay {
                    true => self.prepare(call, offer, leg, [caller, callee]),
                    false => Ok(Readiness::Ready),
                };
                if readiness == Ok(Readiness::Waiting) {
                    Self::defer(call, Block::Ports, leg, LegEvent::Answered(answer));
                    return State::Ringing(ringing);
                }
                callee.said = Some(offer.clone());
                match readiness {
                    Ok(_) => deliver_offer(call, caller, offer, &self.passing(relay)),
                    Err(error) => Err(Failure::new(error.cause(), &error.to_string())),
                }
            }
            (media, said) => {
                if let Some(media) = media {
                    callee.said = Some(media.bytes().clone());
                }
                let said = said.clone();
                deliver_answer(call, caller, callee, said.as_ref(), &self.passing(relay))
            }
        };
        let media = match told {
            Ok(media) => media,
            Err(failure) => {
                let step = self.answered_in_vain(call, &mut ringing.hunt, &ringing.caller, leg, &failure);
                return self.ringing_on(call, ringing, step);
            }
        };
        let Some(callee) = self.hunt_won(call, &mut ringing.hunt, leg) else { return State::Ringing(ringing) };
        call.body.bounds.add(&callee.bounds);
        let caller = ringing.caller;
        let negotiation = match (&media, &callee.said) {
            (Some(Media::Offer(_)), Some(offer)) => Negotiation::Confirming { by: 0, offer: offer.clone() },
            _ => Negotiation::Idle,
        };
        let is_news = callee.said != was_early || callee.signalling != was_known;
        if negotiation == Negotiation::Idle && is_news {
            self.connect(&call.body, &caller, &callee);
        }
        if negotiation == Negotiation::Idle {
            call.body.cdr.codec = callee.said.as_ref().and_then(|said| agreed_codec(said));
        } else {
            self.set_alarm(call, Alarm::Offer, self.settings.offer_wait);
        }
        // What is said of an answer stands before the answer, so that it is on the disk first.
        self.record_answer(call, callee.leg, callee.attempt);
        self.say(caller.leg, LegCommand::Answer { media, headers: answer.headers });
        State::Talking(Box::new(Talking { parties: [caller, callee], negotiation, transfer: None }))
    }

    /// The call is answered by this leg, to which that attempt has led.
    pub(crate) fn record_answer(&mut self, call: &mut Call, leg: LegId, attempt: Option<u16>) {
        let at = self.now.as_nanos();
        call.body.headers = Vec::new();
        call.body.cdr.answer = Some(at);
        let id = call.body.cdr.call;
        let by = call.body.attempt(attempt).map_or_else(|| "".into(), |attempt| attempt.target.clone());
        self.record(CallRecord::Answered { call: id, at, by });
        let after = self.now.since(Time::from_nanos(call.body.cdr.start));
        let room = call.body.place.as_ref().and_then(Place::room);
        self.note(Note::Answered { call: id, leg, after, room });
        let talk_max = call.body.bounds.talk_max.map_or(self.settings.talk_max, |own| own.min(self.settings.talk_max));
        self.set_alarm(call, Alarm::Talk, talk_max);
    }

    /// A change of the session cannot be asked for now.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
    // An offer that crosses one of ours is refused with 491.
    pub(crate) fn refuse_glare(&mut self, leg: LegId) {
        self.say(leg, Failure::new(Cause(31), "").with_status(491).refused_offer());
    }

    /// Passes keys and application information on to the other leg.
    pub(crate) fn pass_information(&mut self, to: LegId, event: LegEvent) {
        match event {
            LegEvent::Digit { digit, duration_ms } => self.say(to, LegCommand::Digit { digit, duration_ms }),
            LegEvent::Info { content_type, body } => self.say(to, LegCommand::Info { content_type, body }),
            _ => {}
        }
    }
}

fn deliver_offer(call: &Call, caller: &mut Party, offer: &Bytes, passing: &Passing) -> Result<Option<Media>, Failure> {
    let text = offer_for(&call.body, caller, offer, passing)
        .map_err(|error| Failure::new(error.cause(), &error.to_string()))?;
    Ok(Some(Media::Offer(text)))
}

/// The called party's description, as it came with the answer or before it.
fn deliver_answer(
    call: &Call,
    caller: &mut Party,
    callee: &Party,
    offer: Option<&Bytes>,
    passing: &Passing,
) -> Result<Option<Media>, Failure> {
    let Some(said) = &callee.said else {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
        // The answer MUST be in the 2xx, or in a reliable response before it.
        let silent = "the called party answered without saying where its media is";
        return offer.map_or(Ok(None), |_| Err(Failure::new(Cause::INCOMPATIBLE, silent)));
    };
    let text = match offer {
        Some(offer) => answer_for(&call.body, caller, said, offer, passing),
        None => offer_for(&call.body, caller, said, passing),
    };
    text.map(|text| Some(Media::Answer(text))).map_err(|error| Failure::new(Cause::INCOMPATIBLE, &error.to_string()))
}
