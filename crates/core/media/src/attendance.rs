//! Taking part in a room: what a port's peer sends is mixed with what others send, and it hears them and not itself.

use crate::{Coding, Conversion, KeyRules, SoundRule};
use std::sync::Arc;
use sx_types::RoomSounds;

/// How the peer of a port takes part in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attendance {
    /// The room. It is there as long as somebody takes part; its name is unique in the process.
    pub room: Arc<str>,
    /// What the member may send.
    pub from: Vec<Coding>,
    /// What it takes, best first: it is sent the first that can be coded.
    pub to: Vec<Coding>,
    /// Milliseconds of sound in a packet to the member; one that the codec has not becomes 20.
    pub ptime_ms: u16,
    /// Nobody hears it.
    pub muted: bool,
    /// Its sound is listened to for the tones of keys, and silent while one sounds.
    pub keys_in_band: bool,
    /// By which sounds the room tells its members of each other, from now on.
    pub sounds: RoomSounds,
}

impl Attendance {
    /// What packets become between the member and the mixer, as a conversion: from what it sends to what it takes.
    pub fn conversion(&self) -> Conversion {
        let (from, to) = (self.from.clone(), self.to.clone());
        let (keys, sound) = (KeyRules::default(), SoundRule::default());
        Conversion { from, to, ptime_ms: self.ptime_ms, keys, anew: false, sound }
    }
}
