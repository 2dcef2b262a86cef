//! A caller hears an announcement: before an answer, after which the search goes on, or in place of a called party.
//!
//! ```text
//!  Ringing, a way is an announcement ──ports open──► Progress, Play ──Played──► the next way, or a refusal
//!       └──it answers: ports open, record written──► Answer, Play: Attending ──Played──► Ending
//! ```

use crate::attending::{told_by_room, unmixed};
use crate::engine::Calls;
use crate::failure::Failure;
use crate::interface::Output;
use crate::rooms::no_codec;
use crate::state::{Call, Hunt, Party, Place, PortState, Ringing, State, Stop};
use std::sync::Arc;
use sx_leg::{LegCommand, ProgressKind};
use sx_media::{Attendance, MediaCommand, PlayOutcome, Playing, PortId, streams};
use sx_route::Announcement;
use sx_types::{Cause, Codec};

impl Calls {
    /// Has ports opened for a caller that is to hear an announcement.
    pub(crate) fn prepare_to_announce(
        &mut self,
        call: &mut Call,
        party: &Party,
        told: &Announcement,
    ) -> Result<Arc<[Codec]>, Failure> {
        if !told.answers && party.said.is_none() {
            let sentence = "a caller that has made no offer hears no announcement before an answer";
            return Err(Failure::new(Cause::INCOMPATIBLE, sentence).with_status(488));
        }
        let codecs = self.settings.announced_in.clone();
        let wanted = streams(&self.room_says(party, &codecs)?).map_err(unmixed)?;
        self.open_ports(call, party, &wanted, false);
        Ok(codecs)
    }

    /// Has a caller hear an announcement that is not an answer, now that it can.
    pub(crate) fn announce(&mut self, call: &mut Call, mut ringing: Box<Ringing>, place: &Place) -> State {
        if place.has_begun() {
            return State::Ringing(ringing);
        }
        let caller = &mut ringing.caller;
        let told = told_by_room(call, caller, &place.codecs).and_then(|media| {
            let begun = self.attend(&call.body, caller);
            if begun { Ok(media) } else { Err(no_codec()) }
        });
        match told {
            Ok(media) => {
                if let Some(place) = &mut call.body.place {
                    place.begin();
                }
                ringing.hunt.told = Some((ProgressKind::SessionProgress, ringing.caller.leg));
                let progress = LegCommand::Progress { kind: ProgressKind::SessionProgress, media: Some(media) };
                self.say(ringing.caller.leg, progress);
                State::Ringing(ringing)
            }
            Err(failure) => self.announced(call, ringing, failure),
        }
    }

    /// A sound has been played to a party.
    pub(crate) fn played(&mut self, call: &mut Call, port: PortId, number: u16, heard: PlayOutcome) {
        if self.was_told(call, port, number, heard) || self.was_played(call, port, number) {
            return;
        }
        let known = call.body.ports.iter().any(|open| open.id == port && matches!(open.state, PortState::Open(_)));
        let place = call.body.place.as_ref().filter(|place| known && place.number() == number);
        let Some(Stop::Announcement { told, begun }) = place.map(|place| place.at.clone()) else { return };
        let failure = match heard {
            PlayOutcome::Whole => Failure::new(told.cause, "an announcement was made to the caller"),
            PlayOutcome::Nothing => Failure::new(Cause::NO_RESOURCE, "an announcement cannot be made").with_status(503),
        };
        call.state = match std::mem::replace(&mut call.state, State::Ending) {
            State::Ringing(ringing) if ringing.hunt.enters && begun => self.announced(call, ringing, failure),
            State::Attending(attending) => {
                let ends = if heard == PlayOutcome::Whole { Failure::new(Cause::NORMAL, "") } else { failure };
                self.hang_up_member(call, &attending, &ends)
            }
            state => state,
        };
    }

    /// An announcement is over, or was not to be made: the search goes on.
    fn announced(&mut self, call: &mut Call, mut ringing: Box<Ringing>, failure: Failure) -> State {
        let Ringing { caller, hunt } = &mut *ringing;
        hunt.enters = false;
        self.leave_room(call, failure.cause, failure.status_or_mapped());
        self.not_entered(call, hunt, caller, failure);
        let step = self.hunt_check(call, hunt, caller);
        self.ringing_on(call, ringing, step)
    }

    /// The stage of an announcement has lasted long enough.
    pub(crate) fn announced_long_enough(&mut self, call: &mut Call, hunt: &mut Hunt, party: &Party) {
        if !hunt.enters || !call.body.place.as_ref().is_some_and(Place::is_early) {
            return;
        }
        hunt.enters = false;
        for port in call.body.ports.iter().filter(|port| port.leg == party.leg) {
            self.out.push_back(Output::Media(MediaCommand::Play { port: port.id, playing: None }));
        }
        let failure = Failure::of_timer(Cause::TIMER_EXPIRY, "an announcement has lasted too long");
        self.leave_room(call, failure.cause, failure.status_or_mapped());
        hunt.failed(failure);
    }
}

impl Stop {
    /// What stands in the record.
    pub(crate) fn target(&self) -> Arc<str> {
        match self {
            Self::Room(name) => format!("room:{name}").into(),
            Self::Announcement { told, .. } => format!("announcement:{}", told.sound).into(),
            Self::Waiting(sound) => format!("announcement:{sound}").into(),
        }
    }
}

impl Place {
    /// The room that it is in.
    pub(crate) fn room(&self) -> Option<Arc<str>> {
        match &self.at {
            Stop::Room(name) => Some(name.clone()),
            Stop::Announcement { .. } | Stop::Waiting(_) => None,
        }
    }

    /// What is played to who has agreed to take part so; `None` where nothing is, in a room.
    #[expect(clippy::option_option, reason = "no stream of an announcement but one has any sound")]
    pub(crate) fn announced(&self, attendance: Option<&Attendance>) -> Option<Option<Box<Playing>>> {
        let (sound, repeats) = match &self.at {
            Stop::Room(_) => return None,
            Stop::Announcement { told, .. } => (&told.sound, false),
            Stop::Waiting(sound) => (sound, true),
        };
        Some(attendance.map(|attendance| {
            let Attendance { to, ptime_ms, .. } = attendance.clone();
            Box::new(Playing { sound: sound.clone(), repeats, to, ptime_ms, number: self.number() })
        }))
    }

    /// An announcement that is not an answer?
    pub(crate) fn is_early(&self) -> bool {
        matches!(&self.at, Stop::Announcement { told, .. } if !told.answers)
    }

    /// Does its party hear it?
    pub(crate) fn has_begun(&self) -> bool {
        matches!(self.at, Stop::Announcement { begun: true, .. })
    }

    fn begin(&mut self) {
        if let Stop::Announcement { begun, .. } = &mut self.at {
            *begun = true;
        }
    }

    /// Of all that a call has played, each announcement has its own: by this its end is known.
    fn number(&self) -> u16 {
        self.attempt.map_or(u16::MAX, |attempt| attempt)
    }
}
