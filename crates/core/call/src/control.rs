//! What somebody who looks after calls wants of their parties, besides what these want themselves.
//!
//! ```text
//!            the party                              the other one
//!  Hold      hears music of ours, or silence        hears silence
//!  Mute      hears the other one                    hears silence
//!  Play      hears a sound once                     hears the party
//! ```
//!
//! It stands with the party and follows wherever its ports are patched, so that a change of the session or of the other party
//! takes none of it back. A member of a room hears its music or its sound in place of the room, and is not heard there.

use crate::command::{MemberChange, Parties, PartyChange};
use crate::engine::Calls;
use crate::hold::held_sound;
use crate::ports::agreed;
use crate::state::{Attending, Body, Call, Party, Place, Role, State, Talking, relayed};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use sx_media::{Playing, PortId, playing};

/// What was asked of a party, as others are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// It is on hold.
    pub held: bool,
    /// Nobody hears what it says.
    pub muted: bool,
    /// It hears a sound.
    pub played_to: bool,
}

/// What was asked of a party.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Control {
    pub held: bool,
    pub muted: bool,
    pub sound: Option<Arc<str>>,
    /// Which of the sounds it has been played that is.
    pub number: u16,
}

/// What is heard of whoever may not be heard: packets go on, so that nobody takes the silence for a fault.
pub(crate) const SILENCE: &str = "tone:silence";

/// Sounds are numbered from here: attempts have lower numbers, and what tells of recordings the highest.
const PLAYED: u16 = 0x8000;
const PLAYED_MASK: u16 = 0x3fff;

impl Control {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// It is connected with somebody else: whoever was on hold for that is back.
    pub(crate) fn release(&mut self) {
        self.held = false;
        self.sound = None;
    }

    /// The sound that the party hears once in this stream.
    pub(crate) fn playing_to(&self, party: &Party, stream: usize) -> Option<Playing> {
        let playing = playing(self.sound.as_ref()?, false, agreed(party)?, stream)?;
        Some(Playing { number: self.played(), ..playing })
    }

    fn played(&self) -> u16 {
        PLAYED | self.number & PLAYED_MASK
    }

    fn shown(&self) -> Controls {
        Controls { held: self.held, muted: self.muted, played_to: self.sound.is_some() }
    }
}

impl Parties {
    /// Which of the two it is; of both, the caller.
    pub(crate) fn index(self, parties: &[Party; 2]) -> usize {
        let caller = parties.iter().position(|party| party.role == Role::Caller).unwrap_or(0);
        if self == Self::Called { 1 - caller } else { caller }
    }

    /// Those of the two that are meant.
    fn of(self, parties: &mut [Party; 2]) -> impl Iterator<Item = &mut Party> {
        let index = self.index(parties);
        parties.iter_mut().enumerate().filter(move |(at, _)| self == Self::Both || *at == index).map(|(_, party)| party)
    }
}

impl Calls {
    /// Changes parties of a call. Where it cannot be done, nothing has changed.
    pub(crate) fn change_parties(&mut self, call: &mut Call, who: Parties, change: PartyChange) {
        match change {
            PartyChange::Hold(held) => self.control(call, who, |control| control.held = held),
            PartyChange::Mute(muted) if call.body.place.is_some() => {
                self.change_member(call, MemberChange::Mute(muted));
            }
            PartyChange::Mute(muted) => self.control(call, who, |control| control.muted = muted),
            PartyChange::Play(sound) => self.control(call, who, |control| {
                control.number = control.number.wrapping_add(1);
                control.sound.clone_from(&sound);
            }),
            PartyChange::Transfer(to) => self.transfer_party(call, who, &to),
            PartyChange::Enter { room, other } => self.bring_into_room(call, who, &room, other),
        }
    }

    fn control(&mut self, call: &mut Call, who: Parties, set: impl Fn(&mut Control)) {
        match &mut call.state {
            State::Talking(talking) => {
                who.of(&mut talking.parties).for_each(|party| set(&mut party.control));
                self.patch_again(&call.body, talking);
            }
            State::Attending(attending) if attending.is_settled() => {
                set(&mut attending.member.control);
                self.attend(&call.body, &attending.member);
            }
            _ => {}
        }
    }

    /// Has the two hear what they are to hear now. Of whom it is not known yet where it hears, they are connected when that is.
    fn patch_again(&mut self, body: &Body, talking: &Talking) {
        let [one, other] = &talking.parties;
        if relayed(one, other) && one.said.is_some() && other.said.is_some() {
            self.patch(body, one, other);
        }
    }

    /// A sound was played. False: it was none that somebody has asked for.
    pub(crate) fn was_played(&mut self, call: &mut Call, port: PortId, number: u16) -> bool {
        if !(PLAYED..=PLAYED | PLAYED_MASK).contains(&number) {
            return false;
        }
        let leg = call.body.ports.iter().find(|open| open.id == port).map(|open| open.leg);
        let over = |party: &Party| Some(party.leg) == leg && party.control.played() == number;
        match &mut call.state {
            State::Talking(talking) => {
                if let Some(party) = talking.parties.iter_mut().find(|party| over(party)) {
                    party.control.sound = None;
                    self.patch_again(&call.body, talking);
                }
            }
            State::Attending(attending) if over(&attending.member) => {
                attending.member.control.sound = None;
                self.attend(&call.body, &attending.member);
            }
            state => state.each_party(|party| {
                if over(party) {
                    party.control.sound = None;
                }
            }),
        }
        true
    }

    /// What a member hears in place of its room.
    pub(crate) fn in_place_of_room(&self, member: &Party, stream: usize) -> Option<Playing> {
        let sound = member.control.playing_to(member, stream);
        sound.or_else(|| playing(&held_sound(member), true, agreed(member)?, stream))
    }
}

impl Attending {
    /// Is nothing of its session being changed?
    pub(crate) fn is_settled(&self) -> bool {
        !self.owes && self.entry.is_none()
    }
}

impl State {
    /// What was asked of the caller, and of the called party.
    pub(crate) fn controls(&self, place: Option<&Place>) -> [Controls; 2] {
        match self {
            Self::Talking(talking) => {
                let of = |who: Parties| talking.parties[who.index(&talking.parties)].control.shown();
                [of(Parties::Caller), of(Parties::Called)]
            }
            Self::Attending(attending) => {
                let muted = place.is_some_and(|place| place.muted);
                let own = Controls { muted, ..attending.member.control.shown() };
                match attending.member.role {
                    Role::Caller => [own, Controls::default()],
                    Role::Called => [Controls::default(), own],
                }
            }
            _ => Default::default(),
        }
    }
}
