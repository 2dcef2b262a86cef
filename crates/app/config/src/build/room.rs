//! `[[room]]`.

use super::refuse_same_names;
use super::sounds::sound;
use crate::keys::CODED;
use crate::meant::{Room, SoundSettings};
use crate::reader::Reader;
use std::sync::Arc;
use sx_types::RoomSounds;

pub(crate) fn rooms(top: &Reader<'_>, settings: &SoundSettings) -> Vec<Arc<Room>> {
    let entries = top.entries("room");
    refuse_same_names(&entries);
    entries.iter().map(|entry| Arc::new(room(entry, settings))).collect()
}

fn room(entry: &Reader<'_>, settings: &SoundSettings) -> Room {
    let room = Room {
        name: entry.text("name"),
        members_max: entry.number("members_max"),
        codecs: entry.choices_in_order("codecs"),
        sounds: RoomSounds {
            joined: sound(entry, "join_sound", settings),
            left: sound(entry, "leave_sound", settings),
            alone: sound(entry, "alone_sound", settings),
        },
    };
    if room.codecs.is_empty() {
        entry.conflict(&["codecs"], "at least one codec is needed");
    }
    let unmixed = room.codecs.iter().find(|codec| !CODED.contains(&codec.name()));
    if let Some(codec) = unmixed {
        entry.conflict(&["codecs"], &format!("{} is not coded here, so that it cannot be mixed", codec.name()));
    }
    room
}
