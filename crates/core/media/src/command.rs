//! What the packet threads are told, and what they tell.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A media port: the pair of sockets (RTP and RTCP) that faces one stream of one leg.
/// Unique in the process: the worker's number is in its upper 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortId(pub u64);

/// What a packet thread is to do. Commands about a port that is not open are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaCommand {
    /// Open a port; answered by [`MediaEvent::Opened`] or [`MediaEvent::OpenFailed`].
    Open {
        /// Its id from now on.
        port: PortId,
        /// The configured media interface to open it on.
        interface: Arc<str>,
        /// An IPv6 address of the interface rather than an IPv4 one.
        ipv6: bool,
        /// How its packets are marked.
        class: TrafficClass,
        /// The host of the peer, as far as it is known: on an interface that has every address of the machine, the peer
        /// is told the one that faces there.
        host: Option<IpAddr>,
        /// The number its peer was told for RTP, when the call goes on from elsewhere; the next one is for RTCP.
        /// `None` takes a free pair.
        number: Option<u16>,
    },
    /// Say where the peer of a port is, and which packets to believe.
    SetRemote {
        /// The port.
        port: PortId,
        /// The peer.
        remote: Remote,
    },
    /// Send what arrives on `from` out of `to`, or nowhere. One direction only.
    Patch {
        /// Where packets arrive.
        from: PortId,
        /// Where they leave.
        to: Option<PortId>,
    },
    /// Close a port; answered by [`MediaEvent::Closed`].
    Close {
        /// The port.
        port: PortId,
    },
}

/// The peer of a port, as negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Where its RTP goes.
    pub rtp: SocketAddr,
    /// Where its RTCP goes; the same as `rtp` when both share a port (RFC 5761).
    pub rtcp: SocketAddr,
    /// Which source addresses to believe.
    pub latch: Latch,
    /// The peer expects to receive: not on hold.
    pub receives: bool,
    /// The peer is expected to send: silence is a fault.
    pub sends: bool,
}

/// Which source address a port believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Latch {
    /// Only the negotiated address and port.
    Exact,
    /// The negotiated IP address from any port; the first valid RTP packet fixes the port.
    Port,
    /// The peer is known to be behind a NAT: the first valid RTP packet from this address (where its signalling comes
    /// from) fixes the port, whatever address it claims in its description.
    Nat(IpAddr),
}

/// How packets are marked (DSCP).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrafficClass {
    /// Voice: EF by default.
    Audio,
    /// Video: AF41 by default.
    Video,
}

/// What a packet thread tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// A port is open.
    Opened(Opened),
    /// A port could not be opened.
    OpenFailed {
        /// The port asked for.
        port: PortId,
        /// Why.
        error: OpenError,
    },
    /// A port whose peer should send has heard nothing for the configured time. Told once per silence.
    Silent {
        /// The port.
        port: PortId,
    },
    /// A port is closed and its numbers are in quarantine.
    Closed(Closed),
}

/// An open port and the addresses to put into a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The port.
    pub port: PortId,
    /// The address that the peer is told for RTP (the advertised one, where that differs from the bound one).
    pub rtp: SocketAddr,
    /// The address that the peer is told for RTCP.
    pub rtcp: SocketAddr,
}

/// Why a port could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpenError {
    /// Every pair of the range is in use or in quarantine.
    PoolExhausted,
    /// The numbers asked for are in use, or outside of the range.
    NumberTaken,
    /// No media interface has this name, or it has no address of this family.
    NoInterface,
    /// The operating system refused, as when it is out of file descriptors.
    System,
}

/// A closed port and what it counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The port.
    pub port: PortId,
    /// What it counted.
    pub stats: PortStats,
}

/// What a port counted, seen from the exchange: received from its peer, sent to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStats {
    /// RTP packets received from the peer and believed.
    pub packets_received: u64,
    /// Their payload and header bytes, UDP and IP not counted.
    pub bytes_received: u64,
    /// RTP packets sent to the peer.
    pub packets_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// RTCP packets received from the peer and believed.
    pub rtcp_received: u64,
    /// Packets the peer's sequence numbers say were lost on their way here (RFC 3550, appendix A.3).
    pub packets_lost: u64,
    /// Interarrival jitter of the peer's stream (RFC 3550, appendix A.8), in microseconds.
    pub jitter_us: u32,
    /// Packets dropped because they came from an address that was not negotiated.
    pub rejected_source: u64,
    /// Packets dropped because they were neither RTP nor RTCP.
    pub rejected_format: u64,
    /// Packets that could not be sent.
    pub send_errors: u64,
    /// Payload type of the last RTP packet received; 255 when there was none.
    pub last_payload_type: u8,
}
