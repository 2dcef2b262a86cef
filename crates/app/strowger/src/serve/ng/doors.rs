//! The sockets on which requests come, and along which answers go back.

use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use sx_bind_ng::Sender;
use sx_config::Ng;
use sx_ng::{Frame, MESSAGE_BYTES_MAX, Message};
use sx_types::Network;

/// A message that has come.
pub struct Came {
    /// Who sent it.
    pub from: Sender,
    /// What.
    pub bytes: Vec<u8>,
}

/// The sockets.
pub struct Doors {
    poll: Poll,
    events: Events,
    waker: Arc<mio::Waker>,
    udp: Option<UdpSocket>,
    tcp: Option<TcpListener>,
    connections: HashMap<u64, Connection>,
    last_link: u64,
    allow: Vec<Network>,
    came: VecDeque<Came>,
    buffer: Vec<u8>,
    refused: u64,
    /// Datagrams may be left of the turn before.
    more: bool,
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    received: Vec<u8>,
    to_send: Vec<u8>,
}

const WAKE: Token = Token(0);
const UDP: Token = Token(1);
const LISTENER: Token = Token(2);
/// Links of connections are numbered from here; the socket for datagrams is the one before.
const FIRST_LINK: u64 = 3;
/// Proxies keep a connection for each of their processes.
const CONNECTIONS_MAX: usize = 1_024;
/// A proxy that reads no answers is let go.
const UNSENT_MAX: usize = 1 << 20;
/// Datagrams of one turn, so that packet threads are heard as well.
const DATAGRAMS_PER_TURN: usize = 256;

impl Doors {
    /// Opens what is configured.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub fn open(config: &Ng) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let bound = |address: SocketAddr, error: io::Error| anyhow::anyhow!("[ng] cannot listen at {address}: {error}");
        let udp = config.listen_udp.map(|at| UdpSocket::bind(at).map_err(|error| bound(at, error))).transpose()?;
        let tcp = config.listen_tcp.map(|at| TcpListener::bind(at).map_err(|error| bound(at, error))).transpose()?;
        let mut doors = Self {
            waker: Arc::new(mio::Waker::new(poll.registry(), WAKE)?),
            poll,
            events: Events::with_capacity(256),
            udp,
            tcp,
            connections: HashMap::new(),
            last_link: FIRST_LINK,
            allow: config.allow.clone(),
            came: VecDeque::new(),
            buffer: vec![0; MESSAGE_BYTES_MAX],
            refused: 0,
            more: false,
        };
        if let Some(udp) = &mut doors.udp {
            doors.poll.registry().register(udp, UDP, Interest::READABLE)?;
        }
        if let Some(tcp) = &mut doors.tcp {
            doors.poll.registry().register(tcp, LISTENER, Interest::READABLE)?;
        }
        Ok(doors)
    }

    /// What ends a wait.
    pub fn waker(&self) -> Arc<mio::Waker> {
        self.waker.clone()
    }

    /// Where it listens: UDP, TCP.
    pub fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let udp = self.udp.as_ref().and_then(|socket| socket.local_addr().ok());
        (udp, self.tcp.as_ref().and_then(|listener| listener.local_addr().ok()))
    }

    /// Messages and connections from where nobody may send.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Waits for something, and reads what has come.
    ///
    /// # Errors
    /// The operating system does not let us wait.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        // Sockets tell once that there is something.
        let timeout = if self.more { Duration::ZERO } else { timeout };
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        let ready: Vec<Token> = self.events.iter().map(mio::event::Event::token).collect();
        if std::mem::take(&mut self.more) && !ready.contains(&UDP) {
            self.receive();
        }
        for token in ready {
            match token {
                WAKE => {}
                UDP => self.receive(),
                LISTENER => self.accept(),
                Token(link) => self.serve(link as u64),
            }
        }
        Ok(())
    }

    /// The next message.
    pub fn next(&mut self) -> Option<Came> {
        self.came.pop_front()
    }

    /// Sends an answer back along the way that its request came.
    pub fn send(&mut self, to: Sender, bytes: &[u8]) {
        if to.link == UDP.0 as u64 {
            let sent = self.udp.as_ref().map(|udp| udp.send_to(bytes, to.address));
            if let Some(Err(error)) = sent {
                // The client asks again, and is given the same answer.
                tracing::debug!(peer = %to.address, %error, "an answer of the NG protocol could not be sent");
            }
            return;
        }
        // Whoever has hung up misses the answer.
        let Some(connection) = self.connections.get_mut(&to.link) else { return };
        connection.to_send.extend(bytes);
        if connection.flush().is_err() || connection.to_send.len() > UNSENT_MAX {
            self.connections.remove(&to.link);
        }
    }

    fn is_allowed(&mut self, ip: IpAddr) -> bool {
        let allowed = self.allow.iter().any(|network| network.contains(ip.to_canonical()));
        self.refused += u64::from(!allowed);
        allowed
    }

    fn receive(&mut self) {
        for _ in 0..DATAGRAMS_PER_TURN {
            let Some(udp) = &self.udp else { return };
            match udp.recv_from(&mut self.buffer) {
                Ok((length, address)) => {
                    if self.is_allowed(address.ip()) {
                        let bytes = self.buffer[..length].to_vec();
                        self.came.push_back(Came { from: Sender { link: UDP.0 as u64, address }, bytes });
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // What an answer to somebody who is gone comes back as.
                Err(error) => tracing::debug!(%error, "a request of the NG protocol could not be received"),
            }
        }
        self.more = true;
    }

    fn accept(&mut self) {
        loop {
            let Some(listener) = &self.tcp else { return };
            let (mut stream, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::warn!(%error, "a connection for the NG protocol could not be accepted");
                    return;
                }
            };
            if !self.is_allowed(peer.ip()) || self.connections.len() >= CONNECTIONS_MAX {
                continue;
            }
            self.last_link += 1;
            let (link, interest) = (self.last_link, Interest::READABLE | Interest::WRITABLE);
            let Ok(token) = usize::try_from(link).map(Token) else { return };
            if self.poll.registry().register(&mut stream, token, interest).is_ok() {
                let _ = stream.set_nodelay(true);
                let connection = Connection { stream, peer, received: Vec::new(), to_send: Vec::new() };
                self.connections.insert(link, connection);
            }
        }
    }

    fn serve(&mut self, link: u64) {
        let Some(connection) = self.connections.get_mut(&link) else { return };
        let from = Sender { link, address: connection.peer };
        let stays = connection.flush().and_then(|()| {
            connection.read(&mut self.buffer, |bytes| {
                self.came.push_back(Came { from, bytes: bytes.to_vec() });
            })
        });
        if !matches!(stays, Ok(true)) {
            self.connections.remove(&link);
        }
    }
}

impl Connection {
    /// Reads what there is. False when the peer has hung up.
    fn read(&mut self, buffer: &mut [u8], mut message: impl FnMut(&[u8])) -> io::Result<bool> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => self.received.extend(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            loop {
                match Message::length_in(&self.received) {
                    Ok(Frame::Whole(length)) => {
                        message(&self.received[..length]);
                        self.received.drain(..length);
                    }
                    Ok(Frame::Incomplete) => break,
                    // Where the next message begins is not known any more.
                    Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
                }
            }
        }
    }

    /// Sends what waits, as far as the peer takes it.
    fn flush(&mut self) -> io::Result<()> {
        while !self.to_send.is_empty() {
            match self.stream.write(&self.to_send) {
                Ok(sent) => drop(self.to_send.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
