//! Rooms: where callers hear each other.

use crate::{Occupancy, Tables};
use std::sync::Arc;
use sx_types::{Codec, RoomSounds};

/// A room that calls may be sent to. Whoever comes is answered by the exchange itself.
#[derive(Clone, Debug)]
pub struct Room {
    /// Its configured name.
    pub name: Arc<str>,
    /// Members at the same time.
    pub members_max: u32,
    /// What it is spoken to in, best first.
    pub codecs: Arc<[Codec]>,
    /// By which sounds its members are told of each other.
    pub sounds: RoomSounds,
    /// The members there are, in all workers.
    pub members: Arc<Occupancy>,
}

impl Tables {
    /// The rooms, in the order of their configuration.
    pub fn rooms(&self) -> &[Room] {
        &self.rooms
    }

    /// The room of this name.
    pub fn room(&self, name: &str) -> Option<&Room> {
        self.rooms.iter().find(|room| *room.name == *name)
    }

    /// The members of a room that is in these tables, or was in those before.
    pub fn members(&self, name: &str) -> Option<&Arc<Occupancy>> {
        self.room(name).map(|room| &room.members).or_else(|| self.rooms_departed.get(name))
    }

    /// Takes over who is in the rooms of the tables before.
    pub(crate) fn follow_rooms(&mut self, before: &Self) {
        for room in &mut self.rooms {
            if let Some(members) = before.members(&room.name) {
                room.members = members.clone();
            }
        }
        // A worker that has the old tables yet may let somebody into any room of theirs.
        let rooms = before.rooms.iter().map(|room| (&room.name, &room.members));
        let departed = before.rooms_departed.iter().filter(|(_, members)| members.count() > 0).chain(rooms);
        let gone = departed.filter(|(name, _)| self.room(name).is_none());
        let gone = gone.map(|(name, members)| (name.clone(), members.clone())).collect();
        self.rooms_departed = gone;
    }
}
