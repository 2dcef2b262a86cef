//! How keys pass between a party and the exchange.

use crate::enumerated::enumerated;
use serde::{Deserialize, Serialize};

enumerated! {
    /// How a party tells the keys that it presses (DTMF), and is told those of others.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Dtmf {
        /// By events in the stream where both sides know them; else by signalling where it is known to take that; else by
        /// tones in the sound.
        #[default]
        Auto,
        /// By events in the stream (RFC 4733), and in no other way. It is always offered them.
        Rfc4733,
        /// By signalling (SIP INFO).
        Info,
        /// By tones in the sound, which is listened to.
        Inband,
    }
}

impl Dtmf {
    /// The words of configuration, in the order of [`ALL`](Self::ALL).
    pub const WORDS: [&'static str; Self::ALL.len()] = ["auto", "rfc4733", "info", "inband"];
}
