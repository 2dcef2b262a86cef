//! What the members of a room are told of each other.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The sounds by which a room tells who comes and goes; where there is no name it tells nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSounds {
    /// Everybody hears it when somebody comes in to others.
    pub joined: Option<Arc<str>>,
    /// Those who stay hear it when somebody has gone.
    pub left: Option<Arc<str>>,
    /// Who comes in to nobody, or stays behind alone, hears it.
    pub alone: Option<Arc<str>>,
}

impl RoomSounds {
    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        [&self.joined, &self.left, &self.alone].into_iter().flatten()
    }
}
