//! What a room, a member and a source are set to, and what can go wrong with that.

use crate::Rate;
use thiserror::Error;

/// The most members that a room can have.
pub const MEMBERS_MAX: usize = 1_024;
/// The most sources that a room can have.
pub const SOURCES_MAX: usize = 8;
/// The most members that are heard at a time, whatever the settings say.
pub const SPEAKERS_MAX: usize = 96;

/// A member of a room, by a number of the owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// A source in a room, by a number of the owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u64);

/// A factor for samples, from nothing to +24 dB.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Gain(f32);

impl Gain {
    /// As it is.
    pub const UNITY: Self = Self(1.0);
    /// Not at all.
    pub const SILENCE: Self = Self(0.0);
    /// The most, +24 dB.
    pub const MAX: Self = Self(15.848_932);

    /// A gain in dB; what is not a number is unity.
    pub fn from_db(db: f32) -> Self {
        if db.is_nan() { Self::UNITY } else { Self(10f32.powf(db / 20.0).min(Self::MAX.0)) }
    }

    /// The factor.
    pub const fn factor(self) -> f32 {
        self.0
    }

    /// In dB; minus infinity for silence.
    pub fn db(self) -> f32 {
        20.0 * self.0.log10()
    }
}

/// What a room is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoomSettings {
    /// How many members it takes, at most [`MEMBERS_MAX`].
    pub members_max: usize,
    /// How many of those who are above the gate are heard at a time, the loudest; at most [`SPEAKERS_MAX`].
    pub speakers_max: usize,
    /// The level in dBov from which on a member is heard; minus infinity for a room without a gate.
    pub gate_dbov: f32,
    /// Is the constant part of what members say left out?
    pub removes_constant: bool,
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self { members_max: 25, speakers_max: SPEAKERS_MAX, gate_dbov: -50.0, removes_constant: true }
    }
}

/// What a member may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Listens only: is never heard, and costs no measuring.
    Listener,
    /// Speaks and listens.
    #[default]
    Speaker,
    /// A speaker whom louder ones do not displace, and whom [`Room::mute_all`](crate::Room::mute_all) leaves out.
    Moderator,
}

/// How a member comes in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemberSettings {
    /// The rate at which it speaks and listens.
    pub rate: Rate,
    /// What it may.
    pub role: Role,
    /// How loud others hear it.
    pub gain: Gain,
    /// Is it kept from being heard?
    pub muted: bool,
    /// Is it kept from hearing?
    pub deaf: bool,
}

impl MemberSettings {
    /// A speaker at a rate.
    pub const fn new(rate: Rate) -> Self {
        Self { rate, role: Role::Speaker, gain: Gain::UNITY, muted: false, deaf: false }
    }
}

/// Who hears a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeardBy {
    /// Everybody.
    Everybody,
    /// These members, nobody when all of them have left.
    Only(Vec<MemberId>),
    /// The member who is alone in the room.
    Lonely,
}

/// How a source is mixed in.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSettings {
    /// The rate of its frames.
    pub rate: Rate,
    /// How loud it is heard.
    pub gain: Gain,
    /// Who hears it.
    pub heard_by: HeardBy,
}

/// Why nobody, or nothing, came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JoinError {
    /// The room takes no more.
    #[error("the room is full: it takes {0}")]
    Full(usize),
    /// This id is taken.
    #[error("somebody with this id is there already")]
    Taken,
}

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// There is nobody with this id.
    #[error("there is nobody with this id")]
    Absent,
    /// The frame does not last as long as a tick.
    #[error("a frame has {wanted} samples at this rate, not {given}")]
    Length {
        /// How many samples a frame has.
        wanted: usize,
        /// How many it had.
        given: usize,
    },
}

/// There is nobody with this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("there is nobody with this id")]
pub struct Absent;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_decibels_within_bounds() {
        assert_eq!(Gain::from_db(0.0), Gain::UNITY);
        assert!((Gain::from_db(-6.0).factor() - 0.501).abs() < 0.001 && (Gain::from_db(-6.0).db() + 6.0).abs() < 0.001);
        assert_eq!(Gain::from_db(f32::NEG_INFINITY), Gain::SILENCE);
        assert_eq!((Gain::from_db(90.0), Gain::from_db(f32::NAN)), (Gain::MAX, Gain::UNITY));
        assert!((Gain::MAX.db() - 24.0).abs() < 0.001);
    }
}
