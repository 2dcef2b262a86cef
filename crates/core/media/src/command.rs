//! What the packet threads are told, and what they tell.

use crate::{
    Attendance, Conversion, HandshakeFault, Keys, PlayOutcome, Playing, PortMemory, RecordingCommand, RecordingId, Tap,
};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use sx_types::Codec;

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
    /// Say where the peer of a port is, which packets to believe, and how they are protected.
    SetRemote {
        /// The port.
        port: PortId,
        /// The peer.
        remote: Remote,
        /// The keys of both sides, or the handshake that yields them; `None`: RTP in the clear. A handshake that the port has
        /// had already is not had again.
        keys: Option<Box<Keys>>,
    },
    /// Send what arrives on `from` out of `to`, or nowhere. One direction only.
    Patch {
        /// Where packets arrive.
        from: PortId,
        /// Where they leave.
        to: Option<PortId>,
        /// What they become on the way; `None` leaves every byte as it came. One that is as it was goes on with what it
        /// remembers of the stream.
        conversion: Option<Box<Conversion>>,
    },
    /// Have the peer of a port take part in a room, in place of where its packets went; said again it changes how it does.
    /// `None`: it leaves. It leaves too when its port is patched elsewhere, or closed.
    Attend {
        /// The port.
        port: PortId,
        /// How it takes part.
        attendance: Option<Box<Attendance>>,
    },
    /// Have the peer of the port that this one is patched to hear a key as if the peer of this port had pressed it in the stream.
    /// A patch without a conversion hears of none.
    Press {
        /// The port of whoever has pressed it.
        port: PortId,
        /// One of `0`-`9`, `*`, `#`, `A`-`D`.
        key: char,
        /// For how long, in milliseconds.
        duration_ms: u16,
    },
    /// Have the peer of a port hear a sound in place of what is patched there, until its end, or until something is patched
    /// there anew; answered by [`MediaEvent::Played`] at the end, and by nothing when it is stopped. What is said again goes
    /// on. `None`: it stops.
    Play {
        /// The port.
        port: PortId,
        /// The sound.
        playing: Option<Box<Playing>>,
    },
    /// Have what the peer of a port sends heard for a recording that was begun, besides all else that becomes of it; said
    /// again it changes how. `None`: no more. It ends too when the port closes.
    Tap {
        /// The port.
        port: PortId,
        /// How it is heard.
        tap: Option<Box<Tap>>,
    },
    /// Begin a recording, or say what is to become of it; [`MediaEvent::RecordingEnded`] tells of its end.
    Record {
        /// The recording.
        recording: RecordingId,
        /// What is to become of it.
        command: RecordingCommand,
    },
    /// Say what a port has counted so far; answered by [`MediaEvent::Counted`].
    Count {
        /// The port.
        port: PortId,
    },
    /// Say what a port knows of its peer, for whoever may have to go on with it; answered by [`MediaEvent::Remembered`].
    Remember {
        /// The port.
        port: PortId,
    },
    /// Go on with what a port of another process has known. Between opening the port and saying where its peer is.
    Resume {
        /// The port.
        port: PortId,
        /// What the other one has known.
        memory: Box<PortMemory>,
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
    /// It wants to be told how its sound is received, by VoIP metrics (RFC 3611, section 5).
    #[serde(default)]
    pub wants_metrics: bool,
    /// What its sound is likely coded in, by which its quality is reckoned; `None`: no sound, or nobody knows.
    #[serde(default)]
    pub codec: Option<Codec>,
}

/// Which source address a port believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Latch {
    /// Only the negotiated address and port.
    Exact,
    /// The negotiated IP address from any port; the first valid RTP packet fixes the port.
    Port,
    /// The negotiated IP address from any port, and nothing is learnt: the peer sends from elsewhere than it receives.
    Host,
    /// The peer is behind a NAT: believed are the negotiated IP address and this one, where its signalling comes from,
    /// each from any port. The first valid RTP packet from either fixes the address and the port.
    Nat(IpAddr),
}

impl Latch {
    /// The latch of a peer that wants its media at `said` while its signalling comes from `signalling`: behind a NAT
    /// when it has said an address that means nothing outside of its own network, else by the address it has said.
    pub fn towards(said: IpAddr, signalling: Option<IpAddr>) -> Self {
        let signalling = signalling.map(|ip| ip.to_canonical()).filter(|ip| *ip != said.to_canonical());
        match signalling {
            Some(host) if is_private(said) => Self::Nat(host),
            _ => Self::Port,
        }
    }
}

/// Is this an address that other networks have as well, so that packets from there come from another one?
//= https://www.rfc-editor.org/rfc/rfc1918#section-3
//= https://www.rfc-editor.org/rfc/rfc6598#section-7
//= https://www.rfc-editor.org/rfc/rfc4193#section-3.1
// Nor does a link, or the machine itself, tell more of its addresses to others.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || is_shared || v4.is_link_local() || v4.is_loopback()
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
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
    /// The peer of a port has pressed a key, which goes no further in the stream. Told once for each, when it is over.
    Pressed {
        /// The port.
        port: PortId,
        /// One of `0`-`9`, `*`, `#`, `A`-`D`.
        key: char,
        /// For how long, in milliseconds.
        duration_ms: u16,
    },
    /// What a port has counted so far. It stays open.
    Counted(Counted),
    /// A sound has been played to its end, or will not be.
    Played {
        /// The port.
        port: PortId,
        /// The number of what was to be played.
        number: u16,
        /// How much of it.
        heard: PlayOutcome,
    },
    /// What a port knows of its peer.
    Remembered {
        /// The port.
        port: PortId,
        /// What it knows.
        memory: Box<PortMemory>,
    },
    /// The peer of a port and we have no keys, and it will not be heard. Told once for each handshake.
    HandshakeFailed {
        /// The port.
        port: PortId,
        /// Why.
        fault: HandshakeFault,
    },
    /// What was to be gone on with says nothing that can be of how far the keys of a port are used: they are not used again,
    /// and nothing passes.
    KeysLost {
        /// The port.
        port: PortId,
    },
    /// A recording has ended, as it was told to or by a fault; each that was begun ends once.
    RecordingEnded {
        /// The recording.
        recording: RecordingId,
        /// Is all of it there?
        complete: bool,
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

/// A port that was asked, and what it has counted so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The port.
    pub port: PortId,
    /// What it has counted.
    pub stats: PortStats,
    /// What its peer has said last of what it receives; `None` when it has said nothing.
    pub peer: Option<PeerReport>,
}

/// What the peer of a port says of what it receives: in the report blocks of RFC 3550, section 6.4.1, and in the VoIP metrics of
/// RFC 3611, section 4.7.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerReport {
    /// The share of packets that was lost on the way to it, per mille: of those since the report before.
    pub loss_permille: Option<u16>,
    /// The R factor in tenths: 0 to 1000.
    pub r_x10: Option<u16>,
    /// The mean opinion score of listening, in hundredths: 100 to 500.
    pub mos_listening_x100: Option<u16>,
    /// That of conversing, likewise.
    pub mos_conversational_x100: Option<u16>,
}

/// A port that is closed, and what it counted.
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
    /// Packets dropped because they were neither RTP nor RTCP, or not protected with the peer's key.
    pub rejected_format: u64,
    /// Packets that could not be sent.
    pub send_errors: u64,
    /// Payload type of the last RTP packet received; 255 when there was none.
    pub last_payload_type: u8,
    /// RTP packets from the peer whose sound was coded anew for the other side.
    #[serde(default)]
    pub packets_transcoded: u64,
    /// Those among the received whose payload could not be decoded, and was made up instead.
    #[serde(default)]
    pub decode_errors: u64,
    /// The round trip to the peer and back in microseconds, as last measured (RFC 3550, section 6.4.1); 0 when it is not known.
    #[serde(default)]
    pub round_trip_us: u32,
    /// The least mean opinion score of conversing (ITU-T G.107) of any five seconds, in hundredths: 100 to 450; 0 when none was
    /// measured.
    #[serde(default)]
    pub mos_min_x100: u16,
    /// The mean over all of them, likewise.
    #[serde(default)]
    pub mos_mean_x100: u16,
    /// That of the last ones, likewise.
    #[serde(default)]
    pub mos_last_x100: u16,
    /// The R factor of the last ones in tenths: 0 to 932. It says something only where a score was measured.
    #[serde(default)]
    pub r_last_x10: u16,
    /// The share of packets that was lost in the worst of them, per mille: 0 to 1000. Likewise.
    #[serde(default)]
    pub loss_max_permille: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, signalling: Option<&str>, expected: Option<&str>) {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let expected = expected.map_or(Latch::Port, |host| Latch::Nat(ip(host)));
        assert_eq!(Latch::towards(ip(said), signalling.map(ip)), expected, "{said} by {signalling:?}");
    }

    #[test]
    fn a_private_address_that_signalling_does_not_come_from_lies_behind_a_nat() {
        let outside = "203.0.113.9";
        for said in ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.20", "100.64.0.1", "100.127.255.255"] {
            check(said, Some(outside), Some(outside));
        }
        for said in ["169.254.7.7", "127.0.0.1", "fd12::1", "fc00::1", "fe80::1", "::1", "::ffff:192.168.1.20"] {
            check(said, Some(outside), Some(outside));
        }
        check("192.168.1.20", Some("192.168.1.1"), Some("192.168.1.1"));
        check("192.168.1.20", Some("::ffff:203.0.113.9"), Some(outside));
    }

    #[test]
    fn any_other_address_is_believed_as_it_was_said() {
        for said in ["192.0.2.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2001:db8::1", "0.0.0.0"] {
            check(said, Some("203.0.113.9"), None);
        }
        check("192.168.1.20", Some("192.168.1.20"), None);
        check("192.168.1.20", Some("::ffff:192.168.1.20"), None);
        check("192.168.1.20", None, None);
    }
}
