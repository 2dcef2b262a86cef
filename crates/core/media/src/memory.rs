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
    /// A handshake is going on, which nobody else can end.
    #[serde(default)]
    pub shaking: bool,
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
