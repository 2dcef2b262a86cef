//! What the engine is told once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use sx_media::Suite;
use sx_types::{Codec, Consent, Fingerprint};

/// What the engine is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The number in the ids of its ports, by which events find their way back.
    pub worker: u16,
    /// Where ports may be opened; the first is used where nothing else is said. Never empty.
    pub interfaces: Vec<Interface>,
    /// The suites of SRTP that are offered and accepted, best first.
    pub srtp_suites: Arc<[Suite]>,
    /// What our certificate is known by in handshakes of DTLS; `None`: there are none.
    pub certificate: Option<Fingerprint>,
    /// What is coded anew where a proxy asks for it. Empty: nothing.
    pub codable: Arc<[Codec]>,
    /// What can be played, by name.
    pub sounds: SoundNames,
    /// How calls are recorded; `None`: not at all.
    pub recording: Option<RecordingRules>,
    /// Calls at a time.
    pub calls_max: usize,
    /// Branches of a call at a time.
    pub branches_max: usize,
    /// Streams of a description.
    pub streams_max: usize,
    /// Requests of a call that may wait behind each other.
    pub waiting_max: usize,
    /// How long a request may wait for packet threads.
    pub patience: Duration,
    /// How long an answer is kept for requests that come again.
    pub answers_kept: Duration,
    /// How many answers are kept.
    pub answers_max: usize,
    /// How long the ports of a call stay behind its deletion when the client does not say.
    pub delete_delay: Duration,
    /// A call that nobody has deleted ends when none of its parties has sent anything for this long. `None`: never.
    pub silence_timeout: Option<Duration>,
    /// The same for a call in which nobody is expected to send, as on hold, and for an offer that nobody answers.
    pub idle_timeout: Option<Duration>,
}

/// The names of sounds, with how long each lasts when it is played once, where that is known.
pub type SoundNames = Arc<BTreeMap<Arc<str>, Option<Duration>>>;

/// How calls are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingRules {
    /// On what ground: no proxy says.
    pub consent: Consent,
    /// What can be decoded for it.
    pub codecs: Arc<[Codec]>,
}

/// A media interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: Arc<str>,
    /// It has an IPv4 address.
    pub ipv4: bool,
    /// It has an IPv6 address.
    pub ipv6: bool,
}

impl Default for Settings {
    /// Number 65,535, one interface `default` with IPv4, and bounds that are far above what proxies ask for; nothing to play, and no recordings.
    fn default() -> Self {
        Self {
            worker: u16::MAX,
            interfaces: vec![Interface { name: "default".into(), ipv4: true, ipv6: false }],
            srtp_suites: Suite::ALL.into(),
            certificate: None,
            codable: Arc::from([]),
            sounds: SoundNames::default(),
            recording: None,
            calls_max: 10_000,
            branches_max: 16,
            streams_max: 8,
            waiting_max: 16,
            patience: Duration::from_secs(3),
            answers_kept: Duration::from_secs(10),
            answers_max: 16_384,
            delete_delay: Duration::from_secs(30),
            silence_timeout: Some(Duration::from_secs(60)),
            idle_timeout: Some(Duration::from_secs(3_600)),
        }
    }
}

impl Settings {
    /// The interface of this name; of none, or of one that nobody knows, the first.
    pub(crate) fn interface(&self, name: Option<&[u8]>) -> Interface {
        let named = name.and_then(|name| self.interfaces.iter().find(|known| known.name.as_bytes() == name));
        let nothing = || Interface { name: "default".into(), ipv4: true, ipv6: false };
        named.or(self.interfaces.first()).cloned().unwrap_or_else(nothing)
    }
}
