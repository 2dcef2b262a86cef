//! Where messages come from and go to, without a socket in sight.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

/// How a signalling message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A byte stream.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// WebSocket over TLS.
    Wss,
}

/// A listening socket or a connection of one worker's network shell. Never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkId(pub u32);

impl LinkId {
    /// No socket at all: the way from one worker of a process to another.
    pub const BETWEEN_WORKERS: Self = Self(0);
}

/// The path a message came along, good for sending the answer back the same way:
/// the link it arrived on and the peer's address there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// The worker whose network shell owns the link.
    pub worker: u16,
    /// The listening socket (UDP) or the connection (everything else).
    pub link: LinkId,
    /// How it travels.
    pub transport: Transport,
    /// The peer.
    pub remote: SocketAddr,
}

/// Where to send a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// Back along a path that is known; fails when a connection is gone.
    Flow(Flow),
    /// To an address; a connection to it is reused or opened.
    Address {
        /// How to travel.
        transport: Transport,
        /// The peer.
        remote: SocketAddr,
        /// The name its certificate must carry (TLS and secure WebSocket), also sent as SNI.
        name: Option<Arc<str>>,
    },
}

/// What the sender of a message gives, to be named again when the message could not be sent. Zero: nobody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Ticket(pub u64);

/// The text names no transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTransport;

impl Transport {
    /// Is the path encrypted?
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Does the transport itself deliver in order and without loss?
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// The token of a Via header: `UDP`, `TCP`, `TLS`, `WS`, `WSS`.
    pub fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The value of a URI's `transport` parameter: `udp`, `tcp`, `tls`, `ws`, `wss`.
    pub fn uri_token(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// The port when none is given: 5060, or 5061 over TLS, 80 and 443 for WebSocket.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

impl FromStr for Transport {
    type Err = UnknownTransport;

    fn from_str(text: &str) -> Result<Self, UnknownTransport> {
        [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss]
            .into_iter()
            .find(|t| t.uri_token().eq_ignore_ascii_case(text))
            .ok_or(UnknownTransport)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri_token())
    }
}

impl fmt::Display for UnknownTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not one of udp, tcp, tls, ws, wss")
    }
}

impl std::error::Error for UnknownTransport {}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.remote)
    }
}

impl Destination {
    /// How the message will travel.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Flow(flow) => flow.transport,
            Self::Address { transport, .. } => *transport,
        }
    }

    /// The peer's address.
    pub fn remote(&self) -> SocketAddr {
        match self {
            Self::Flow(flow) => flow.remote,
            Self::Address { remote, .. } => *remote,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transport_reads_back_its_own_token() {
        for token in ["udp", "TCP", "tls", "ws", "WSS"] {
            let transport: Transport = token.parse().expect("a known token");
            assert!(transport.uri_token().eq_ignore_ascii_case(token));
            assert_eq!(transport.via_token(), token.to_ascii_uppercase());
        }
        assert_eq!("sctp".parse::<Transport>(), Err(UnknownTransport));
    }
}
