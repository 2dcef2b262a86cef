//! Digits and media of a party that are held back, or made silence, until a proxy lets them pass again.

use crate::call::{Branch, Call};
use crate::engine::{NgCalls, Progress};
use crate::parties::Parties;
use crate::reply::Reply;
use sx_engine::Time;
use sx_media::{MediaKind, SoundRule, streams};
use sx_ng::Request;

/// What of somebody does not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) dtmf: bool,
    pub(crate) media: bool,
    pub(crate) sound: bool,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// Telephone events.
    Dtmf,
    /// All else.
    Media,
    /// Sound, in whose place there is silence.
    Sound,
}

impl Blocks {
    pub(crate) fn any(&self) -> bool {
        self.dtmf || self.media || self.sound
    }

    /// What does not pass by the one or by the other.
    pub(crate) fn with(self, other: Self) -> Self {
        Self { dtmf: self.dtmf || other.dtmf, media: self.media || other.media, sound: self.sound || other.sound }
    }

    /// What is heard of the sound.
    pub(crate) fn sound(self) -> SoundRule {
        match self {
            Self { media: true, .. } => SoundRule::Withheld,
            Self { sound: true, .. } => SoundRule::Silent,
            _ => SoundRule::Heard,
        }
    }

    fn set(&mut self, what: Blocked, blocks: bool) {
        match what {
            Blocked::Dtmf => self.dtmf = blocks,
            Blocked::Media => self.media = blocks,
            Blocked::Sound => self.sound = blocks,
        }
    }
}

impl NgCalls {
    /// Something of a party, or of everybody, is not to pass, or to pass again.
    pub(crate) fn block(
        &mut self,
        now: Time,
        call: &mut Call,
        request: &Request<'_>,
        (what, blocks): (Blocked, bool),
    ) -> Progress {
        let meant = match call.parties(request) {
            Ok(meant) => meant,
            Err(reason) => return Progress::Done(Reply::error(reason)),
        };
        if blocks && let Err(reason) = self.can_block(call, &meant, what) {
            return Progress::Done(Reply::error(reason));
        }
        call.signalled = now;
        match &meant {
            Parties::Call => call.blocks.set(what, blocks),
            Parties::All => {
                call.blocks.set(what, blocks);
                // Who was meant alone before is let go with all others.
                let sides = call.branches.iter_mut().flat_map(|branch| &mut branch.sides);
                sides.filter(|_| !blocks).for_each(|side| side.blocks.set(what, false));
            }
            Parties::One(places) => {
                places.iter().for_each(|(place, side)| call.branches[*place].sides[*side].blocks.set(what, blocks));
            }
        }
        let everybody = call.blocks;
        for branch in call.branches.iter_mut().filter(|branch| branch.answered) {
            self.patch(everybody, branch);
            self.play_on(branch);
        }
        Progress::Done(Reply::Ok)
    }

    /// Can that be held back, of all who are meant, as they have agreed by now?
    fn can_block(&self, call: &Call, meant: &Parties, what: Blocked) -> Result<(), &'static str> {
        let is_meant = |place: usize, side: usize| match meant {
            Parties::Call | Parties::All => true,
            Parties::One(places) => places.contains(&(place, side)),
        };
        let talking = call.branches.iter().enumerate().filter(|(_, branch)| branch.talks());
        for (place, branch) in talking {
            for side in (0..2).filter(|side| is_meant(place, *side)) {
                self.can_block_in(branch, side, what)?;
            }
        }
        Ok(())
    }

    fn can_block_in(&self, branch: &Branch, side: usize, what: Blocked) -> Result<(), &'static str> {
        let said = branch.sides[side].said.as_ref().and_then(|said| streams(said).ok()).unwrap_or_default();
        for port in &branch.sides[side].ports {
            let is_sound = said.get(port.stream).is_some_and(|stream| stream.kind == MediaKind::Audio);
            let ways = is_sound.then(|| self.governed(&branch.sides, port.stream));
            match (what, ways) {
                (Blocked::Media, _) | (_, None) => {}
                (_, Some(None)) => return Err("This media engine cannot look into the sound of that participant"),
                (Blocked::Sound, Some(Some(ways))) if !self.codes(&ways[side]) => {
                    return Err("This media engine cannot code silence for the other participant");
                }
                (_, Some(Some(_))) => {}
            }
        }
        Ok(())
    }
}
