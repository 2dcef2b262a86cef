//! Where messages come from and go to, without a socket in sight.

use crate::Transport;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// A listening socket or a connection of one worker's network shell. Used again only after four thousand million others.
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
