//! Whether RTP is protected.

use crate::enumerated::enumerated;
use serde::{Deserialize, Serialize};

enumerated! {
    /// Whether a party's RTP is protected (SRTP).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum SrtpPolicy {
        /// Never: a stream that is offered with keys only is refused.
        Off,
        /// When the party offers keys. It is offered none.
        #[default]
        Accept,
        /// When the party knows how: it is offered keys with a stream that it may also take in the clear (RFC 8643).
        Optional,
        /// Always: a stream without keys is refused.
        Required,
    }
}

impl SrtpPolicy {
    /// The words of configuration, in the order of [`ALL`](Self::ALL).
    pub const WORDS: [&'static str; Self::ALL.len()] = ["off", "accept", "optional", "required"];
}
