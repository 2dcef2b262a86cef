//! What a [`Net`](crate::Net) listens on and what it allows its peers.

use crate::tls::TlsConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use sx_types::Transport;

/// What one worker's network shell opens.
#[derive(Clone, Debug, Default)]
pub struct NetConfig {
    /// The sockets to listen on.
    pub listeners: Vec<Listener>,
    /// Certificates and trust; needed when a listener or a destination is TLS or secure WebSocket.
    pub tls: Option<Arc<TlsConfig>>,
    /// What peers may do.
    pub limits: NetLimits,
}

/// One socket to listen on. Each worker opens its own with SO_REUSEPORT and the kernel spreads the peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// How messages travel there.
    pub transport: Transport,
    /// Where; port 0 lets the system choose. IPv6 sockets take no IPv4.
    pub address: SocketAddr,
}

/// The bounds within which peers are served. All are per worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetLimits {
    /// Connections open at once, in both directions.
    pub connections_max: usize,
    /// Connections accepted from one address at once. An IPv6 /64 counts as one address.
    pub connections_per_address_max: usize,
    /// Bytes of one message, headers and body, at most 65,535.
    pub message_bytes_max: usize,
    /// A connection on which nothing was received for so long is closed.
    pub idle_timeout: Duration,
    /// Connecting, the TLS handshake and the WebSocket handshake together may take so long.
    pub handshake_timeout: Duration,
    /// A message that has begun must be whole after so long, however fast its bytes trickle.
    pub partial_message_timeout: Duration,
    /// A peer that takes nothing of what waits for it for so long is cut.
    pub send_stall_timeout: Duration,
    /// Bytes that may wait to be sent on one connection or one UDP socket.
    pub send_queue_bytes_max: usize,
    /// Keep-alives and other control frames of one connection in ten seconds.
    pub keep_alives_per_10s_max: u32,
    /// Frames that one WebSocket message may be made of.
    pub fragments_max: u32,
    /// SO_RCVBUF of each UDP socket. The kernel may grant less (net.core.rmem_max).
    pub udp_receive_buffer_bytes: usize,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_address_max: 1_000,
            message_bytes_max: 65_535,
            idle_timeout: Duration::from_secs(600),
            handshake_timeout: Duration::from_secs(10),
            partial_message_timeout: Duration::from_secs(10),
            send_stall_timeout: Duration::from_secs(10),
            send_queue_bytes_max: 1 << 20,
            keep_alives_per_10s_max: 100,
            fragments_max: 64,
            udp_receive_buffer_bytes: 8 << 20,
        }
    }
}

/// Why a [`Net`](crate::Net) could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Somebody else listens there.
    #[error("{transport} {address} is in use: stop the program that listens there, or choose another port")]
    AddressInUse {
        /// The transport asked for.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
    },
    /// The system does not let this process listen there.
    #[error(
        "{transport} {address} is not permitted: a port below 1024 needs CAP_NET_BIND_SERVICE \
         (AmbientCapabilities in the systemd unit), or choose a higher port"
    )]
    NotPermitted {
        /// The transport asked for.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
    },
    /// The host does not have the address.
    #[error(
        "{transport} {address}: this host has no such address; choose one that `ip address` shows, or 0.0.0.0 or [::]"
    )]
    NoSuchAddress {
        /// The transport asked for.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
    },
    /// A secure listener without a certificate.
    #[error("{transport} {address} needs a certificate and a key, and none is configured")]
    TlsMissing {
        /// The transport asked for.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
    },
    /// A limit that allows nothing or more than a transport can carry.
    #[error("{name} is {value}, allowed is {min} to {max}")]
    LimitOutOfRange {
        /// The field of [`NetLimits`].
        name: &'static str,
        /// Its value.
        value: usize,
        /// The least allowed.
        min: usize,
        /// The most allowed.
        max: usize,
    },
    /// The system refused for another reason.
    #[error("{transport} {address}: {source}")]
    Listen {
        /// The transport asked for.
        transport: Transport,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// epoll or eventfd could not be had.
    #[error("the event loop could not be set up (is the limit of open files, `ulimit -n`, too low?): {0}")]
    Loop(#[source] io::Error),
}

impl NetError {
    pub(crate) fn listen(listener: &Listener, source: io::Error) -> Self {
        let Listener { transport, address } = *listener;
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { transport, address },
            io::ErrorKind::PermissionDenied => Self::NotPermitted { transport, address },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { transport, address },
            _ => Self::Listen { transport, address, source },
        }
    }
}

impl NetLimits {
    pub(crate) fn validate(&self) -> Result<(), NetError> {
        let check = |name, value, min, max| {
            if (min..=max).contains(&value) { Ok(()) } else { Err(NetError::LimitOutOfRange { name, value, min, max }) }
        };
        check("message_bytes_max", self.message_bytes_max, 1_000, 65_535)?;
        check("connections_max", self.connections_max, 1, 1 << 24)?;
        check("connections_per_address_max", self.connections_per_address_max, 1, 1 << 24)?;
        check("send_queue_bytes_max", self.send_queue_bytes_max, self.message_bytes_max, 1 << 30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_allow_nothing_are_named() {
        assert!(NetLimits::default().validate().is_ok());
        let error = NetLimits { connections_max: 0, ..NetLimits::default() }.validate().expect_err("zero");
        assert_eq!(error.to_string(), "connections_max is 0, allowed is 1 to 16777216");
    }
}
