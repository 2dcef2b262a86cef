//! Copies of signalling for a collector (HEP version 3).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use sx_config::Hep;
use sx_engine::Time;
use sx_types::{Carrier, Destination, Flow, LinkId, Transport};

/// Sends copies. What the collector or the network does with them is of no concern to calls.
pub struct HepExport {
    socket: UdpSocket,
    capture_id: u32,
    password: Option<Box<str>>,
    buffer: Vec<u8>,
    /// Our address on each link: datagram sockets and connections.
    locals: HashMap<LinkId, SocketAddr>,
}

impl HepExport {
    /// A socket towards the configured collector.
    ///
    /// # Errors
    /// When the collector's name cannot be looked up or no socket can be had.
    pub fn open(hep: &Hep) -> std::io::Result<Self> {
        let port = hep.address.port.unwrap_or(9060);
        let address = (&*hep.address.host, port).to_socket_addrs()?.next();
        let address = address.ok_or_else(|| std::io::Error::other("the collector's name has no address"))?;
        let any: SocketAddr =
            if address.is_ipv6() { "[::]:0".parse() } else { "0.0.0.0:0".parse() }.map_err(std::io::Error::other)?;
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        let password = hep.password.as_ref().map(|secret| secret.expose().into());
        Ok(Self {
            socket,
            capture_id: hep.capture_id,
            password,
            buffer: Vec::with_capacity(2_048),
            locals: HashMap::new(),
        })
    }

    /// A link is there, and this is our address on it.
    pub fn opened(&mut self, link: LinkId, local: SocketAddr) {
        self.locals.insert(link, local);
    }

    /// The link is gone.
    pub fn closed(&mut self, link: LinkId) {
        self.locals.remove(&link);
    }

    /// Copies a message that has come.
    pub fn copy_received(&mut self, now: Time, flow: &Flow, message: &[u8]) {
        let local = self.locals.get(&flow.link).copied().unwrap_or_else(|| unknown(flow.remote));
        self.copy(now, flow.transport, flow.remote, local, message);
    }

    /// Copies a message that is sent from `local`, as far as that is known.
    pub fn copy_sent(&mut self, now: Time, to: &Destination, local: Option<SocketAddr>, message: &[u8]) {
        let local = local.unwrap_or_else(|| unknown(to.remote()));
        self.copy(now, to.transport(), local, to.remote(), message);
    }

    fn copy(&mut self, now: Time, transport: Transport, source: SocketAddr, destination: SocketAddr, message: &[u8]) {
        self.buffer.clear();
        let packet = sx_hep::Packet {
            source,
            destination,
            transport: match transport.carrier() {
                Carrier::Datagrams => sx_hep::UDP,
                Carrier::Stream | Carrier::WebSocket => sx_hep::TCP,
            },
            time_nanos: now.as_nanos(),
            capture_id: self.capture_id,
            password: self.password.as_deref(),
            correlation: call_id(message),
            payload: message,
        };
        sx_hep::encode(&packet, &mut self.buffer);
        // A full buffer or a collector that is away loses the copy, nothing else.
        let _ = self.socket.send(&self.buffer);
    }
}

/// An address of the remote one's family that claims nothing: both of a packet must be of one family.
fn unknown(remote: SocketAddr) -> SocketAddr {
    let ip = if remote.is_ipv6() { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
    SocketAddr::new(ip, 0)
}

/// The Call-ID of a message, found without indexing it.
fn call_id(message: &[u8]) -> &str {
    for line in message.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = line[..colon].trim_ascii();
        if name.eq_ignore_ascii_case(b"Call-ID") || name.eq_ignore_ascii_case(b"i") {
            return std::str::from_utf8(line[colon + 1..].trim_ascii()).unwrap_or_default();
        }
    }
    ""
}
