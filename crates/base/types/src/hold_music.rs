//! Music on hold.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What somebody hears who is put on hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldMusic {
    /// The name of the sound.
    pub sound: Arc<str>,
    /// When.
    pub when: HoldMusicWhen,
}

/// When music of ours is played to somebody who is on hold.
//= https://www.rfc-editor.org/rfc/rfc6337#section-5.3
// Whoever holds by `a=sendonly` may have something to be heard, its own music; by `a=inactive` it says that it has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HoldMusicWhen {
    /// When whoever holds sends nothing: by `a=inactive`, or by an address of zeros. One that says `a=sendonly` is taken at
    /// its word, and what it sends is passed on.
    #[default]
    Inactive,
    /// Whenever whoever holds does not listen. Many telephones hold by `a=sendonly` and send silence, or nothing; their
    /// own music, where they have any, is not heard.
    Always,
}
