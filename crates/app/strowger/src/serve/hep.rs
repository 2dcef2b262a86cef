//! Copies of signalling for a collector (HEP version 3).

use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use sx_config::Hep;
use sx_engine::Time;
use sx_types::Transport;

/// Sends copies. What the collector or the network does with them is of no concern to calls.
pub struct HepExport {
    socket: UdpSocket,
    capture_id: u32,
    password: Option<Box<str>>,
    buffer: Vec<u8>,
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
        Ok(Self { socket, capture_id: hep.capture_id, password, buffer: Vec::with_capacity(2_048) })
    }

    /// Copies one message.
    pub fn copy(
        &mut self,
        now: Time,
        transport: Transport,
        source: SocketAddr,
        destination: SocketAddr,
        message: &[u8],
    ) {
        self.buffer.clear();
        let packet = sx_hep::Packet {
            source,
            destination,
            transport: if transport == Transport::Udp { 17 } else { 6 },
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
