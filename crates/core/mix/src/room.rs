//! A room: who is in it and what they may.

use crate::dominance::{Activity, DECISION_FRAMES};
use crate::level::Loudness;
use crate::limiter::Limiter;
use crate::member::{Leaving, Member, Source};
use crate::mixing::Work;
use crate::settings::{
    Absent, FrameError, Gain, HeardBy, JoinError, MEMBERS_MAX, MemberId, MemberSettings, Role, RoomSettings,
    SOURCES_MAX, SPEAKERS_MAX, SourceId, SourceSettings,
};
use crate::tick::{RoomEvent, Tick};
use crate::{Rate, stream::Stream};

/// Members who hear each other and not themselves.
///
/// Whatever comes or goes, is changed or breaks off, does so over 5 ms, so that it does not click.
#[derive(Debug)]
pub struct Room {
    pub(crate) settings: RoomSettings,
    /// In the order of their ids.
    pub(crate) members: Vec<Member>,
    pub(crate) sources: Vec<Source>,
    pub(crate) leaving: Vec<Leaving>,
    /// How many listen at each rate.
    pub(crate) listened: [usize; Rate::ALL.len()],
    pub(crate) limiter: Limiter,
    pub(crate) dominant: Option<MemberId>,
    pub(crate) frames_to_decision: u32,
    /// Was there one member in the last tick?
    pub(crate) was_lonely: bool,
    pub(crate) events: Vec<RoomEvent>,
    pub(crate) work: Work,
}

impl Room {
    /// A room without anybody in it. Limits beyond [`MEMBERS_MAX`] and [`SPEAKERS_MAX`] are these.
    pub fn new(settings: RoomSettings) -> Self {
        let members_max = settings.members_max.min(MEMBERS_MAX);
        let speakers_max = settings.speakers_max.min(SPEAKERS_MAX);
        Self {
            settings: RoomSettings { members_max, speakers_max, ..settings },
            members: Vec::new(),
            sources: Vec::new(),
            leaving: Vec::new(),
            listened: [0; Rate::ALL.len()],
            limiter: Limiter::new(),
            dominant: None,
            frames_to_decision: DECISION_FRAMES,
            was_lonely: false,
            events: Vec::new(),
            work: Work::default(),
        }
    }

    /// Somebody comes in.
    ///
    /// # Errors
    ///
    /// When the room is full, or somebody with this id is there.
    pub fn join(&mut self, id: MemberId, settings: &MemberSettings) -> Result<(), JoinError> {
        let Err(place) = self.find(id) else { return Err(JoinError::Taken) };
        if self.members.len() >= self.settings.members_max {
            return Err(JoinError::Full(self.settings.members_max));
        }
        self.members.insert(place, Member::new(id, settings));
        self.listened[settings.rate.index()] += 1;
        self.tune();
        Ok(())
    }

    /// Somebody goes. What it whispered is still whispered while it dies away.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub fn leave(&mut self, id: MemberId) -> Result<(), Absent> {
        let place = self.find(id).map_err(|_| Absent)?;
        let gone = self.members.remove(place);
        self.listened[gone.rate().index()] -= 1;
        if gone.stream.sounds() {
            self.leaving.push(Leaving::new(gone.stream, gone.audience));
        }
        // Another one with this id must not hear what was meant for this one.
        let members = self.members.iter_mut().map(|member| &mut member.audience);
        let sources = self.sources.iter_mut().map(|source| &mut source.audience);
        let leaving = self.leaving.iter_mut().map(|leaving| &mut leaving.audience);
        members.chain(sources).chain(leaving).for_each(|audience| audience.forget(id));
        self.tune();
        Ok(())
    }

    /// A frame of a member for the next tick. When none comes, the member is silent in it; when a second one comes, it
    /// takes the place of the first.
    ///
    /// # Errors
    ///
    /// When the member is not there, or the frame does not have [`Rate::frame_samples`] samples.
    pub fn handle_frame(&mut self, id: MemberId, frame: &[i16]) -> Result<(), FrameError> {
        let place = self.find(id).map_err(|_| FrameError::Absent)?;
        let member = &mut self.members[place];
        check(&member.stream, frame)?;
        if member.role != Role::Listener {
            member.stream.handle_frame(frame, self.settings.removes_constant);
        }
        Ok(())
    }

    /// Mixes what came since the last tick: to be called each [`FRAME_MS`](crate::FRAME_MS).
    pub fn mix(&mut self) -> Tick<'_> {
        self.events.clear();
        self.members.iter_mut().for_each(|member| member.listen(self.settings.gate_dbov));
        self.choose();
        self.tell();
        self.mix_down();
        Tick::new(&self.work, &self.members, &self.events)
    }

    /// How loud others hear a member.
    ///
    /// # Errors
    ///
    /// When it is not there; so with all that follow.
    pub fn set_gain(&mut self, id: MemberId, gain: Gain) -> Result<(), Absent> {
        self.change(id, |member| member.gain = gain)
    }

    /// Is a member kept from being heard?
    pub fn set_muted(&mut self, id: MemberId, muted: bool) -> Result<(), Absent> {
        self.change(id, |member| member.muted = muted)
    }

    /// Mutes all who are no moderators.
    pub fn mute_all(&mut self) {
        self.members.iter_mut().filter(|member| member.role != Role::Moderator).for_each(|member| member.muted = true);
    }

    /// Is a member kept from hearing?
    pub fn set_deaf(&mut self, id: MemberId, deaf: bool) -> Result<(), Absent> {
        self.change(id, |member| member.hears = !deaf)
    }

    /// What a member may from now on.
    pub fn set_role(&mut self, id: MemberId, role: Role) -> Result<(), Absent> {
        self.change(id, |member| {
            member.role = role;
            if role == Role::Listener {
                (member.loudness, member.activity) = (Loudness::new(), Activity::new());
            }
        })
    }

    /// From now on a member is heard by these only, by nobody when all of them have left. It goes on hearing the room.
    pub fn whisper(&mut self, id: MemberId, to: &[MemberId]) -> Result<(), Absent> {
        // Only who is there: whoever comes in later with such an id is somebody else.
        let present = to.iter().copied().filter(|member| self.find(*member).is_ok()).collect();
        self.change(id, |member| member.audience.now = HeardBy::Only(present))
    }

    /// From now on a member is heard by all again.
    pub fn end_whisper(&mut self, id: MemberId) -> Result<(), Absent> {
        self.change(id, |member| member.audience.now = HeardBy::Everybody)
    }

    /// Something that is no member is to be heard: a prompt, or music for whoever is alone.
    ///
    /// # Errors
    ///
    /// When there are [`SOURCES_MAX`] already, or one with this id.
    pub fn add_source(&mut self, id: SourceId, mut settings: SourceSettings) -> Result<(), JoinError> {
        if self.sources.iter().any(|source| source.id == id) {
            return Err(JoinError::Taken);
        }
        if self.sources.len() >= SOURCES_MAX {
            return Err(JoinError::Full(SOURCES_MAX));
        }
        if let HeardBy::Only(members) = &mut settings.heard_by {
            members.retain(|member| self.find(*member).is_ok());
        }
        self.sources.push(Source::new(id, settings));
        self.tune();
        Ok(())
    }

    /// A source has come to its end.
    ///
    /// # Errors
    ///
    /// When there is none with this id.
    pub fn remove_source(&mut self, id: SourceId) -> Result<(), Absent> {
        let place = self.sources.iter().position(|source| source.id == id).ok_or(Absent)?;
        let gone = self.sources.remove(place);
        if gone.stream.sounds() {
            self.leaving.push(Leaving::new(gone.stream, gone.audience));
        }
        Ok(())
    }

    /// A frame of a source for the next tick, as with [`handle_frame`](Self::handle_frame).
    ///
    /// # Errors
    ///
    /// When there is none with this id, or the frame does not have [`Rate::frame_samples`] samples.
    pub fn handle_source_frame(&mut self, id: SourceId, frame: &[i16]) -> Result<(), FrameError> {
        let source = self.sources.iter_mut().find(|source| source.id == id).ok_or(FrameError::Absent)?;
        check(&source.stream, frame)?;
        source.stream.handle_frame(frame, false);
        Ok(())
    }

    /// How loud a source is heard.
    ///
    /// # Errors
    ///
    /// When there is none with this id.
    pub fn set_source_gain(&mut self, id: SourceId, gain: Gain) -> Result<(), Absent> {
        let source = self.sources.iter_mut().find(|source| source.id == id).ok_or(Absent)?;
        source.gain = gain;
        Ok(())
    }

    /// The members, in the order of their ids.
    pub fn members(&self) -> impl ExactSizeIterator<Item = MemberId> {
        self.members.iter().map(|member| member.id)
    }

    /// What a member says for a meter, in dBov: [`SILENCE_DBOV`](crate::SILENCE_DBOV) to 0, without its gain. It goes up
    /// within 40 ms and down within 200.
    pub fn level_dbov(&self, id: MemberId) -> Option<f32> {
        self.find(id).ok().map(|place| self.members[place].loudness.meter_dbov())
    }

    /// Is a member speaking?
    pub fn speaking(&self, id: MemberId) -> bool {
        self.find(id).is_ok_and(|place| self.members[place].loudness.speaking())
    }

    /// The member in front, if anybody has spoken.
    pub const fn dominant(&self) -> Option<MemberId> {
        self.dominant
    }

    pub(crate) fn find(&self, id: MemberId) -> Result<usize, usize> {
        self.members.binary_search_by_key(&id, |member| member.id)
    }

    fn change(&mut self, id: MemberId, change: impl FnOnce(&mut Member)) -> Result<(), Absent> {
        let place = self.find(id).map_err(|_| Absent)?;
        change(&mut self.members[place]);
        Ok(())
    }

    /// Has the streams made ready for the rates that are listened at, and room for what a tick needs.
    fn tune(&mut self) {
        let listened = self.listened.map(|members| members > 0);
        let members = self.members.iter_mut().map(|member| &mut member.stream);
        let sources = self.sources.iter_mut().map(|source| &mut source.stream);
        // Who has gone has lanes for whoever heard it; they are gone in a tick.
        members.chain(sources).for_each(|stream| stream.tune(listened));
        self.events.reserve(self.members.len() + 1);
        self.work.reserve(self.members.len(), self.sources.len(), self.listened);
    }
}

fn check(stream: &Stream, frame: &[i16]) -> Result<(), FrameError> {
    let (wanted, given) = (stream.rate().frame_samples(), frame.len());
    if wanted == given { Ok(()) } else { Err(FrameError::Length { wanted, given }) }
}
