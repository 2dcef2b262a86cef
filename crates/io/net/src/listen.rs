//! The sockets that listen, and who is let in through them.

use crate::config::{Listener, NetError};
use crate::connection::{Connection, Origin};
use crate::event::CloseReason;
use crate::link::tune;
use crate::net::{Net, next_link, token};
use crate::pipe::Pipe;
use crate::udp::UdpLink;
use mio::Interest;
use mio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use sx_types::{Carrier, Flow, LinkId, Transport};

/// Is the address free? The sockets of the workers share it, which the kernel allows any other process of the same user
/// as well: a second exchange would take half of the first one's messages. A socket that shares with nobody tells.
pub(crate) fn ensure_free(listener: &Listener) -> Result<(), NetError> {
    let Listener { transport, address } = *listener;
    let bind = || -> io::Result<()> {
        let (kind, protocol) = match transport.carrier() {
            Carrier::Datagrams => (Type::DGRAM, Protocol::UDP),
            Carrier::Stream | Carrier::WebSocket => (Type::STREAM, Protocol::TCP),
        };
        let datagrams = kind == Type::DGRAM;
        let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Connections of a process that has ended are no reason to wait.
        socket.set_reuse_address(!datagrams)?;
        socket.bind(&address.into())?;
        if datagrams { Ok(()) } else { socket.listen(1) }
    };
    bind().map_err(|error| NetError::listen(listener, error))
}

/// A socket that accepts connections.
pub(crate) struct StreamListener {
    pub link: LinkId,
    pub transport: Transport,
    pub socket: TcpListener,
}

impl Net {
    pub(crate) fn listen(&mut self, listener: &Listener) -> Result<(), NetError> {
        let Listener { transport, address } = *listener;
        let link = next_link();
        if transport.is_secure() && !self.tls.as_ref().is_some_and(|tls| tls.has_identity()) {
            return Err(NetError::TlsMissing { transport, address });
        }
        if !transport.is_reliable() {
            let mut udp = UdpLink::open(link, listener, &self.limits)?;
            self.poll.registry().register(&mut udp.socket, token(link), Interest::READABLE).map_err(NetError::Loop)?;
            self.local.push((transport, udp.address, link));
            self.udp.push(udp);
            return Ok(());
        }
        let open = || -> io::Result<TcpListener> {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            if address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(true)?;
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG as i32)?;
            Ok(TcpListener::from_std(socket.into()))
        };
        let mut socket = open().map_err(|error| NetError::listen(listener, error))?;
        let bound = socket.local_addr().map_err(|error| NetError::listen(listener, error))?;
        self.poll.registry().register(&mut socket, token(link), Interest::READABLE).map_err(NetError::Loop)?;
        self.local.push((transport, bound, link));
        self.listeners.push(StreamListener { link, transport, socket });
        Ok(())
    }

    /// Accepts who waits. True: some may still wait.
    pub(crate) fn accept(&mut self, index: usize) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            let listener = &self.listeners[index];
            let (socket, remote) = match listener.socket.accept() {
                Ok(accepted) => accepted,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return false,
                    // The one that gave up while it waited is not the last one.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => continue,
                    _ => {
                        self.counters.accept_errors.one();
                        tracing::warn!(%error, "a connection could not be accepted");
                        // Most likely no file descriptor is left. No event will come for who waits, so look again.
                        self.timers.set(self.now + ACCEPT_RETRY, listener.link);
                        return false;
                    }
                },
            };
            let transport = listener.transport;
            if self.connections.len() >= self.limits.connections_max {
                self.counters.refused_total.one();
                continue;
            }
            if self.connections.accepted_from(remote) >= self.limits.connections_per_address_max {
                self.counters.refused_per_address.one();
                continue;
            }
            self.begin_serving(socket, transport, remote);
        }
        true
    }

    fn begin_serving(&mut self, socket: TcpStream, transport: Transport, remote: SocketAddr) {
        let tls = match self.tls.as_ref().filter(|_| transport.is_secure()).map(|tls| tls.accept()) {
            None => None,
            Some(Ok(tls)) => Some(Box::new(tls)),
            Some(Err(failure)) => return self.counters.closed(CloseReason::Tls(failure)),
        };
        tune(&socket);
        let flow = Flow { worker: self.worker, link: next_link(), transport, remote };
        let pipe = Pipe { socket, tls };
        let mut connection = Connection::new(flow, Origin::Accepted, pipe, &self.limits, self.now);
        let opened = connection.try_open();
        match self.adopt(connection) {
            Ok(()) => self.counters.connections_accepted.one(),
            Err(_) => return self.counters.accept_errors.one(),
        }
        if opened {
            self.report_opened(flow.link);
        }
    }
}

const BACKLOG: usize = 1_024;
const ACCEPTS_PER_TURN: usize = 64;
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
