//! The parties of a call that is to be recorded are told so, or asked, before anything of them is; and reminded afterwards.
//!
//! ```text
//!            to be recorded, and told            all of it was heard; or each has pressed the key to agree
//!  (unaware) ──────────────────────► is told ─────────────────────────────────────────────────────────────► aware: is recorded
//!                                       └─ the key to refuse, or none in time; nothing can be played ──► not recorded
//! ```
//!
//! While somebody is told, it hears nobody, and nothing that it says is recorded. Whoever comes into the call later is told as
//! well, while the recording goes on without it; who has dialled a room comes in when it was told, and cannot be asked. Who is
//! told follows from who is connected whenever the call settles; a change of the session in between has the announcement go on
//! in another coding.

use crate::alarm::Alarm;
use crate::engine::Calls;
use crate::failure::Failure;
use crate::hold::{Heard, heard};
use crate::interface::Output;
use crate::ports::agreed;
use crate::recording::{RecordingNote, RecordingPhase, RecordingRules, sound_of};
use crate::state::{Body, Call, Negotiation, Party, PortState, State};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;
use sx_media::{MediaCommand, PlayOutcome, Playing, PortId, playing};
use sx_types::{Cause, Consent, LegId};

/// How the parties of a call are told that it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// What they hear who are told on the ground [`Consent::Announced`], or asked on [`Consent::Asked`]; `None`: somebody else
    /// tells them, and nobody can be asked.
    pub announcement: Option<Arc<str>>,
    /// The key to agree.
    pub agree: char,
    /// The key to refuse.
    pub refuse: char,
    /// How long somebody who is asked may take.
    pub answer_wait: Duration,
    /// A tone reminds them so often; `None`: none does.
    pub beep: Option<Duration>,
}

impl Default for Telling {
    fn default() -> Self {
        Self { announcement: None, agree: '1', refuse: '2', answer_wait: Duration::from_secs(30), beep: None }
    }
}

impl Calls {
    /// Has those told who do not know yet. True: all know.
    pub(crate) fn make_aware(&mut self, call: &mut Call) -> bool {
        let Some(consent) = call.body.recording.as_ref().map(|recording| recording.consent) else { return true };
        let asks = consent == Consent::Asked;
        let announcement = self.settings.recording.as_ref().and_then(|rules| rules.telling.announcement.clone());
        // Nobody hears the keys of a member before it is in its room.
        let can_tell = !asks || matches!(call.state, State::Talking(_));
        let Some(sound) = announcement.filter(|_| can_tell && (asks || consent == Consent::Announced)) else {
            let unasked = asks && !call.body.is_aware_of_all(&call.state);
            if unasked {
                self.not_consented(call, "nobody can be asked whether the call may be recorded");
            }
            return !unasked;
        };
        let parties: SmallVec<[Party; 2]> = call.state.answered().into_iter().cloned().collect();
        let is_settled = match &call.state {
            State::Talking(talking) => talking.negotiation == Negotiation::Idle,
            State::Attending(attending) => !attending.owes,
            _ => return true,
        };
        let Some(recording) = &mut call.body.recording else { return true };
        recording.seat(&parties.iter().map(|party| party.leg).collect::<SmallVec<[LegId; 2]>>());
        let aware = recording.aware.clone();
        // Who has no sound has nothing now that could be recorded; what it has agreed to is not known in the middle of a change.
        let has_sound = |party: &Party| self.playing_to(&call.body, party, &sound, asks, TELLING).is_some();
        let unaware: SmallVec<[&Party; 2]> =
            parties.iter().filter(|party| !aware.contains(&party.leg) && (!is_settled || has_sound(party))).collect();
        let Some(recording) = &mut call.body.recording else { return true };
        let begins = !unaware.is_empty() && !std::mem::replace(&mut recording.telling, true);
        if unaware.is_empty() {
            self.stop_telling(call);
            return true;
        }
        if call.alarm_at(Alarm::Consent).is_none() {
            let wait = self.settings.recording.as_ref().filter(|_| asks).map(|rules| rules.telling.answer_wait);
            self.set_alarm(call, Alarm::Consent, wait.unwrap_or(TELLING_MAX));
        }
        match &*parties {
            // Keys are heard here from now on, and go nowhere else.
            [one, other] if begins && asks => self.patch(&call.body, one, other),
            // It is in the room when it has been told.
            [member] if begins => _ = self.attend(&call.body, member),
            _ => {}
        }
        for party in unaware {
            let command = self.playing_to(&call.body, party, &sound, asks, TELLING);
            self.out.extend(command.map(Output::Media));
        }
        false
    }

    /// Nobody is told any more: they hear each other, or what else they would.
    pub(crate) fn stop_telling(&mut self, call: &mut Call) {
        let Some(recording) = call.body.recording.as_mut().filter(|recording| recording.telling) else { return };
        recording.telling = false;
        self.clear_alarm(call, Alarm::Consent);
        match (call.state.connected(), &call.state) {
            (Some((one, other)), _) => self.patch(&call.body, one, other),
            (None, State::Attending(attending)) => _ = self.attend(&call.body, &attending.member),
            (None, _) => {}
        }
    }

    /// Does a member hear first that it is recorded, and then its room?
    pub(crate) fn is_to_be_told(&self, body: &Body, leg: LegId) -> bool {
        let (consent, knows) = match &body.recording {
            Some(recording) if !recording.is_over() => (Some(recording.consent), recording.aware.contains(&leg)),
            // It is about to begin.
            None => (body.bounds.record, false),
            Some(_) => return false,
        };
        let announces = |rules: &RecordingRules| rules.telling.announcement.is_some();
        consent == Some(Consent::Announced) && !knows && self.settings.recording.as_ref().is_some_and(announces)
    }

    /// A sound was played. False: it was none by which a party is told of a recording.
    pub(crate) fn was_told(&mut self, call: &mut Call, port: PortId, number: u16, heard: PlayOutcome) -> bool {
        let leg = call.body.ports.iter().find(|open| open.id == port).map(|open| open.leg);
        let told = call.body.recording.as_mut().filter(|recording| recording.telling && number == TELLING);
        let (Some(leg), Some(recording)) = (leg, told) else { return matches!(number, TELLING | BEEP) };
        match heard {
            PlayOutcome::Whole if !recording.aware.contains(&leg) => {
                recording.aware.push(leg);
                let by = recording.side_of(leg);
                self.note_recording(&call.body, RecordingNote::Told { leg, by });
            }
            PlayOutcome::Whole => {}
            PlayOutcome::Nothing => self.not_consented(call, "the parties cannot be told that the call is recorded"),
        }
        true
    }

    /// A party has pressed a key. True: it was an answer, or nothing that anybody else is to hear now.
    pub(crate) fn answers_by_key(&mut self, body: &mut Body, leg: LegId, key: char) -> bool {
        let Some(telling) = self.settings.recording.as_ref().map(|rules| &rules.telling) else { return false };
        let Some(recording) = body.recording.as_mut().filter(|recording| recording.asks()) else { return false };
        let is_asked = !recording.aware.contains(&leg);
        let by = recording.side_of(leg);
        if is_asked && key == telling.agree {
            recording.aware.push(leg);
            self.note_recording(body, RecordingNote::Agreed { leg, by });
        } else if is_asked && key == telling.refuse {
            // What becomes of the call is seen to when it settles.
            recording.phase = RecordingPhase::Refused;
            self.note_recording(body, RecordingNote::Refused { leg, by });
        }
        true
    }

    /// Nobody has pressed a key in time, or an announcement has not come to its end.
    pub(crate) fn consent_late(&mut self, call: &mut Call) {
        let Some(recording) = call.body.recording.as_ref().filter(|recording| recording.telling) else { return };
        let connected = call.state.connected().map(|(one, other)| SmallVec::from_slice(&[one, other]));
        let legs = connected.unwrap_or_else(|| call.state.answered()).into_iter().map(|party| party.leg);
        let silent: SmallVec<[LegId; 2]> = legs.filter(|leg| !recording.aware.contains(leg)).collect();
        for leg in silent {
            let by = call.body.recording.as_ref().map(|recording| recording.side_of(leg)).unwrap_or_default();
            self.note_recording(&call.body, RecordingNote::Unanswered { leg, by });
        }
        call.body.recording.iter_mut().for_each(|recording| recording.phase = RecordingPhase::Refused);
    }

    /// A recording that somebody has refused is none, and with it ends the call, if it has to be recorded.
    pub(crate) fn heed_refusal(&mut self, call: &mut Call) {
        let refused = |recording: &&mut Box<crate::recording::Recording>| recording.phase == RecordingPhase::Refused;
        let Some(recording) = call.body.recording.as_mut().filter(refused) else { return };
        if std::mem::replace(&mut recording.heeded, true) {
            return;
        }
        self.end_recording_as(&mut call.body, RecordingNote::Ended);
        let required = self.settings.recording.as_ref().is_none_or(|rules| rules.required);
        if required && call.body.bounds.record.is_some() {
            let sentence = "the call has to be recorded, and a party has not agreed";
            return self.clear(call, &Failure::new(Cause::REJECTED, sentence));
        }
        self.stop_telling(call);
    }

    /// Reminds the parties that they are recorded, and again later.
    pub(crate) fn remind(&mut self, call: &mut Call) {
        let Some(beep) = self.settings.recording.as_ref().and_then(|rules| rules.telling.beep) else { return };
        let goes_on = call.body.recording.as_ref().is_some_and(|recording| {
            recording.phase == RecordingPhase::Going && recording.consent != Consent::Law && !recording.telling
        });
        if !goes_on {
            return self.clear_alarm(call, Alarm::Beep);
        }
        if call.alarm_at(Alarm::Beep).is_some() {
            return;
        }
        self.set_alarm(call, Alarm::Beep, beep);
        let Some((one, other)) = call.state.connected() else { return };
        for (party, from) in [(one, other), (other, one)] {
            // Whoever hears music talks to nobody.
            let on_hold = call.body.ports.iter().any(|port| {
                port.leg == party.leg && !matches!(heard(&call.body, from, party, port.stream), Heard::Speaker)
            });
            let beep = self.playing_to(&call.body, party, &REMINDER.into(), false, BEEP).filter(|_| !on_hold);
            self.out.extend(beep.map(Output::Media));
        }
    }

    fn playing_to(
        &self,
        body: &Body,
        party: &Party,
        sound: &Arc<str>,
        repeats: bool,
        number: u16,
    ) -> Option<MediaCommand> {
        let (port, _) = sound_of(&body.ports, party)?;
        let stream = body.ports.iter().find(|open| open.id == port && matches!(open.state, PortState::Open(_)))?.stream;
        let playing = Playing { number, ..playing(sound, repeats, agreed(party)?, stream.into())? };
        Some(MediaCommand::Play { port, playing: Some(Box::new(playing)) })
    }

    fn not_consented(&mut self, call: &mut Call, sentence: &'static str) {
        if call.body.recording.as_ref().is_some_and(|recording| !recording.begun) {
            self.note_recording(&call.body, RecordingNote::Failed);
        }
        self.end_recording(&mut call.body, RecordingPhase::Failed);
        let required = self.settings.recording.as_ref().is_none_or(|rules| rules.required);
        if required && call.body.bounds.record.is_some() {
            return self.clear(call, &Failure::new(Cause::TEMPORARY_FAILURE, sentence));
        }
        self.stop_telling(call);
    }
}

impl Body {
    /// Do all who are connected know of the recording?
    fn is_aware_of_all(&self, state: &State) -> bool {
        let knows =
            |party: &&Party| self.recording.as_ref().is_none_or(|recording| recording.aware.contains(&party.leg));
        state.answered().iter().all(knows)
    }

    /// Are the keys of the parties answers to us, and for nobody else?
    pub(crate) fn asks(&self) -> bool {
        self.recording.as_ref().is_some_and(|recording| recording.asks())
    }
}

/// An announcement takes no longer: files are shorter.
const TELLING_MAX: Duration = Duration::from_secs(610);
/// What reminds them.
const REMINDER: &str = "tone:recorded";
/// By these their ends are known: attempts have lower numbers, and what has none the highest.
const TELLING: u16 = u16::MAX - 1;
const BEEP: u16 = u16::MAX - 2;
