//! What a port knows of its peer that stands in no description: where it is heard from, and how far the keys are used.
//!
//! It goes with a call that another process carries on. It holds master keys, so it is as secret as those.

use crate::Handshake;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use sx_rtp::srtp::{ProtectorState, UnprotectorState};

/// What a port knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortMemory {
    /// Where the peer's RTP comes from, when any has come.
    pub rtp: Option<SocketAddr>,
    /// Where its RTCP comes from, where that is elsewhere.
    pub rtcp: Option<SocketAddr>,
    /// How far the keys that stand in descriptions are used.
    pub described: DescribedMemory,
    /// How far those of a handshake are, when there was one.
    pub agreed: Option<Box<AgreedMemory>>,
    /// What its peer was sent as one stream by more than one, when it was.
    #[serde(default)]
    pub stream: Option<StreamMemory>,
    /// A handshake is going on, which nobody else can end.
    #[serde(default)]
    pub shaking: bool,
}

/// How far a stream to the peer of a port has come, whose numbers are ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamMemory {
    /// Its source.
    pub ssrc: u32,
    /// The number of the next packet.
    pub sequence: u16,
    /// The timestamp of the last packet of sound, and when that was sent.
    pub timestamp: u32,
    /// In nanoseconds since the epoch.
    pub at_ns: u64,
    /// Ticks a second of the timestamp.
    pub clock_hz: u32,
    /// Packets so far.
    pub packets: u32,
    /// Their payload, in bytes.
    pub octets: u32,
}

/// What is known of keys that stand in descriptions (SDES).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribedMemory {
    /// What opens the peer's packets.
    pub theirs: Option<UnprotectorState>,
    /// What has protected ours, one for each suite there was.
    pub ours: Vec<ProtectorState>,
}

/// What is known of the keys of a handshake (DTLS-SRTP).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreedMemory {
    /// Which handshake it was: no other one is spared.
    pub terms: Handshake,
    /// What opens the peer's RTP, and its RTCP.
    pub theirs: [Option<UnprotectorState>; 2],
    /// What protects ours.
    pub ours: [Option<ProtectorState>; 2],
}
