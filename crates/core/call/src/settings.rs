//! What the engine is set to.

use crate::recording::RecordingRules;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use sx_media::Means;
use sx_types::{Codec, LegId};

/// What the engine is set to, for its whole life.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The worker, which is the upper 16 bits of the ids of its ports.
    pub worker: u16,
    /// The first id of an outgoing leg; the uppermost bit must be set. Ids go up by one.
    pub first_outgoing_leg: LegId,
    /// Calls at the same time.
    pub calls_max: u32,
    /// After how many seconds a caller who found the exchange full may try again.
    pub retry_after_s: u32,
    /// Targets tried in one call, redirections included.
    pub targets_max: u8,
    /// Redirections followed in one call.
    pub redirects_max: u8,
    /// Streams of one description; one with more is refused.
    pub streams_max: u8,
    /// With what media can be protected.
    pub means: Means,
    /// What is coded anew between two parties that share no codec, best first; empty: nothing is.
    pub transcode: Arc<[Codec]>,
    /// What announcements are made in, best first.
    pub announced_in: Arc<[Codec]>,
    /// How calls are recorded; `None`: none is.
    pub recording: Option<RecordingRules>,
    /// Events that wait for a port or for another change of the session to be over.
    pub waiting_max: u8,
    /// How long a call may last once it is answered.
    pub talk_max: Duration,
    /// How long to wait for a packet thread to open ports.
    pub port_wait: Duration,
    /// No incoming leg is answered before [`Input::Written`](crate::Input::Written) has come for it, and an answer waits so long for that; then it
    /// is refused. `None`: an answer waits for nothing.
    pub answer_wait: Option<Duration>,
    /// How long to wait for an answer to [`Output::Locate`](crate::Output::Locate) or [`Output::Admit`](crate::Output::Admit).
    pub locate_wait: Duration,
    /// How long a party may take to answer an offer.
    pub offer_wait: Duration,
    /// How long the record waits for what the ports have counted.
    pub close_wait: Duration,
    /// How long to wait for the last leg to end before the call is forgotten.
    pub leg_wait: Duration,
    /// While there are calls, something is written down at least so often: by no more than this a record ends too early
    /// of a call whose process has died.
    pub record_interval: Duration,
    /// The host that an address of the legs' protocol leads to, as far as it can be told from the address alone.
    pub host_in: fn(&str) -> Option<IpAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            worker: 0,
            first_outgoing_leg: LegId(1 << 63),
            calls_max: 10_000,
            retry_after_s: 10,
            targets_max: 16,
            redirects_max: 5,
            streams_max: 8,
            means: Means::default(),
            transcode: Arc::from([]),
            announced_in: Arc::from([Codec::Pcma, Codec::Pcmu]),
            recording: None,
            waiting_max: 16,
            talk_max: Duration::from_secs(4 * 3600),
            port_wait: Duration::from_secs(2),
            answer_wait: None,
            locate_wait: Duration::from_secs(5),
            offer_wait: Duration::from_secs(40),
            close_wait: Duration::from_secs(1),
            leg_wait: Duration::from_secs(70),
            record_interval: Duration::from_secs(60),
            host_in: |_| None,
        }
    }
}
