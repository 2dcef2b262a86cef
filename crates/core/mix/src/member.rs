//! A member, a source, and what is left of a member who has gone.

use crate::Rate;
use crate::dominance::Activity;
use crate::level::{Loudness, SILENCE_DBOV};
use crate::settings::{Gain, HeardBy, MemberId, MemberSettings, Role, SourceId, SourceSettings};
use crate::stream::{Part, Stream};

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) role: Role,
    pub(crate) gain: Gain,
    pub(crate) muted: bool,
    /// Does it hear in this tick, and did it hear in the last one?
    pub(crate) hears: bool,
    pub(crate) heard: bool,
    pub(crate) stream: Stream,
    pub(crate) audience: Audience,
    pub(crate) loudness: Loudness,
    pub(crate) activity: Activity,
    /// Is it among those who are heard?
    pub(crate) chosen: bool,
    /// Was it last told to be speaking?
    pub(crate) told: bool,
    /// What it brings into this tick, and its place among all that bring something.
    pub(crate) part: Option<Part>,
    pub(crate) place: Option<usize>,
    /// The mix that it heard in the last tick.
    pub(crate) mix: usize,
}

impl Member {
    pub(crate) fn new(id: MemberId, settings: &MemberSettings) -> Self {
        Self {
            id,
            role: settings.role,
            gain: settings.gain,
            muted: settings.muted,
            hears: !settings.deaf,
            heard: false,
            stream: Stream::new(settings.rate),
            audience: Audience::new(HeardBy::Everybody),
            loudness: Loudness::new(),
            activity: Activity::new(),
            chosen: false,
            told: false,
            part: None,
            place: None,
            mix: 0,
        }
    }

    pub(crate) fn rate(&self) -> Rate {
        self.stream.rate()
    }

    /// Takes note of the level of this tick's frame.
    pub(crate) fn listen(&mut self, gate_dbov: f32) {
        if self.role == Role::Listener {
            return;
        }
        self.loudness.advance(self.stream.fresh(), gate_dbov);
        if self.muted {
            self.loudness.hush();
            self.activity.advance(SILENCE_DBOV);
        } else {
            self.activity.advance(self.loudness.frame_dbov());
        }
    }

    /// Is there something of it to be heard, if it is chosen?
    pub(crate) fn wants_to_be_heard(&self) -> bool {
        self.role != Role::Listener && self.loudness.open() && self.stream.fresh().is_some()
    }

    pub(crate) fn end_tick(&mut self) {
        self.stream.end_tick(self.part.take());
        self.audience.end_tick();
        self.heard = self.hears;
    }
}

#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) id: SourceId,
    pub(crate) gain: Gain,
    pub(crate) stream: Stream,
    pub(crate) audience: Audience,
    pub(crate) part: Option<Part>,
}

impl Source {
    pub(crate) fn new(id: SourceId, settings: SourceSettings) -> Self {
        let audience = Audience::new(settings.heard_by);
        Self { id, gain: settings.gain, stream: Stream::new(settings.rate), audience, part: None }
    }

    pub(crate) fn end_tick(&mut self) {
        self.stream.end_tick(self.part.take());
        self.audience.end_tick();
    }
}

/// What is still to be heard of somebody who has gone: a stream that dies away in the next tick.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) stream: Stream,
    pub(crate) audience: Audience,
}

impl Leaving {
    pub(crate) fn new(mut stream: Stream, mut audience: Audience) -> Self {
        stream.end();
        audience.now.clone_from(&audience.before);
        Self { stream, audience }
    }
}

/// Who may hear a stream in this tick, and who could in the last one.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) now: HeardBy,
    pub(crate) before: HeardBy,
}

impl Audience {
    fn new(heard_by: HeardBy) -> Self {
        Self { before: heard_by.clone(), now: heard_by }
    }

    pub(crate) fn forget(&mut self, id: MemberId) {
        if let HeardBy::Only(members) = &mut self.now {
            members.retain(|member| *member != id);
        }
    }

    pub(crate) fn end_tick(&mut self) {
        if self.before != self.now {
            self.before.clone_from(&self.now);
        }
    }
}

/// Is this member among those who may hear it by name?
pub(crate) fn names(heard_by: &HeardBy, id: MemberId) -> bool {
    matches!(heard_by, HeardBy::Only(members) if members.contains(&id))
}
