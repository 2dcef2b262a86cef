//! Keys that a party presses on its telephone (DTMF), and how they reach the other one.
//!
//! ```text
//!  pressed as …                                      heard as …
//!  events in the stream (RFC 4733) ─┐              ┌─► events in the stream, at the receiver's clock
//!  tones in the sound, listened for ├─► a key ─────┼─► tones in the sound
//!  a word of signalling (Press) ────┘              └─► told to the call (Pressed), which says it by signalling
//! ```

use serde::{Deserialize, Serialize};

/// What becomes of the keys in one direction of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRules {
    /// The sender's sound is listened to for the tones of keys. It is decoded for that, and silent while a key sounds.
    pub heard_in_band: bool,
    /// How the receiver is told.
    pub to: KeyWay,
}

/// How somebody is told of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyWay {
    /// By events in the stream (RFC 4733); not at all where it takes none.
    #[default]
    Events,
    /// By whoever has asked for the stream: it is told each key once, when it is over.
    Told,
    /// By tones in the sound.
    Tones,
}

/// Keys that one port takes from its peer in a second, and lets wait for their turn. A hand presses twelve at most, since each
/// lasts for 40 ms and so does what follows it.
pub const KEYS_PER_S_MAX: u16 = 25;
/// See [`KEYS_PER_S_MAX`].
pub const KEYS_WAITING_MAX: usize = 32;
