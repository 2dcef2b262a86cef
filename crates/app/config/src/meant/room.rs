//! `[[room]]`: where callers hear each other.

use std::sync::Arc;
use sx_types::{Codec, RoomSounds};

/// One room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its name, unique.
    pub name: Arc<str>,
    /// Members at the same time.
    pub members_max: u32,
    /// What it may be spoken to in; never empty.
    pub codecs: Vec<Codec>,
    /// By which sounds its members are told of each other.
    pub sounds: RoomSounds,
}
