//! How connections begin, what is sent through them, and how they end.

use crate::connection::{Connection, Origin, Stage};
use crate::connections::PeerKey;
use crate::event::{CloseReason, SendFailure};
use crate::net::{Event, Net, next_link, token};
use crate::pipe::Pipe;
use crate::udp::Queued;
use bytes::Bytes;
use mio::Interest;
use mio::net::TcpStream;
use rustls_pki_types::ServerName;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use sx_types::{Carrier, Destination, Flow, LinkId, Ticket};

impl Net {
    /// Lets a message wait for the next [`flush`](Self::flush), [`end_turn`](Self::end_turn) or [`wait`](Self::wait).
    ///
    /// `local` names the UDP socket to send from, or the listener whose address a new connection shall have; without
    /// it the first UDP socket of the address family serves. What cannot be sent comes back as
    /// [`SendFailed`](crate::NetEvent::SendFailed), now or later, unless the ticket is zero.
    pub fn send(&mut self, to: &Destination, local: Option<LinkId>, bytes: Bytes, ticket: Ticket) {
        let result = match to {
            Destination::Flow(flow) if flow.worker != self.worker => Err(SendFailure::FlowGone),
            Destination::Flow(flow) => match flow.transport.carrier() {
                Carrier::Datagrams => self.send_udp(Some(flow.link), to, bytes, ticket),
                Carrier::Stream | Carrier::WebSocket => self.send_stream(flow.link, to, bytes, ticket),
            },
            Destination::Address { transport, .. } if !transport.is_reliable() => {
                self.send_udp(local, to, bytes, ticket)
            }
            Destination::Address { transport, remote, name } => {
                // A name means something only where a certificate must carry it.
                let key = (*transport, *remote, name.clone().filter(|_| transport.is_secure()));
                self.connections
                    .to_peer(&key)
                    .map_or_else(|| self.connect(key, local), Ok)
                    .and_then(|link| self.send_stream(link, to, bytes, ticket))
            }
        };
        if let Err(reason) = result {
            self.report_failed(ticket, to.clone(), reason);
        }
    }

    /// Sends what waits, as far as the sockets take it: many datagrams, or a connection's many messages, at once.
    pub fn flush(&mut self) {
        self.list_acks();
        self.end_turn();
    }

    /// Like [`flush`](Self::flush) for somebody who is about to [`wait`](Self::wait): where there is but an ACK without a
    /// body for a connection, it stays for what is to say there in the next turn. When that has nothing either it is
    /// sent by its end, and when nothing has come it is sent by the wait. The 2xx would be repeated half a second later.
    pub fn end_turn(&mut self) {
        for index in 0..self.udp.len() {
            let mut failed = Vec::new();
            let flushed = self.udp[index].flush(self.poll.registry(), |reason, queued| failed.push((reason, queued)));
            self.counters.datagrams_out.add(flushed.datagrams);
            self.counters.bytes_out.add(flushed.bytes);
            for (reason, queued) in failed {
                match queued.message {
                    Some((ticket, to)) => self.report_failed(ticket, to, reason),
                    None => self.counters.dropped_unsendable.one(),
                }
            }
        }
        for link in std::mem::take(&mut self.to_write) {
            let Some(connection) = self.connections.of_mut(link) else { continue };
            connection.is_listed_to_write = false;
            let result = connection.flush(self.now, &self.limits);
            let written = connection.queue.take_written();
            self.counters.stream_messages_out.add(written.messages);
            self.counters.bytes_out.add(written.bytes);
            match result {
                Ok(()) => self.watch_deadline(link),
                Err(reason) => self.close_link(link, reason),
            }
        }
        self.finish_closing();
    }

    fn send_udp(
        &mut self,
        local: Option<LinkId>,
        to: &Destination,
        bytes: Bytes,
        ticket: Ticket,
    ) -> Result<(), SendFailure> {
        let remote = to.remote();
        let serves = |udp: &crate::udp::UdpLink| match local {
            Some(link) => udp.link == link,
            None => udp.address.is_ipv4() == remote.is_ipv4(),
        };
        let udp = self.udp.iter().position(serves).ok_or(SendFailure::NoLocalSocket)?;
        self.send_datagram(udp, remote, bytes, Some((ticket, to.clone())));
        Ok(())
    }

    pub(crate) fn send_datagram(
        &mut self,
        udp: usize,
        to: SocketAddr,
        bytes: Bytes,
        message: Option<(Ticket, Destination)>,
    ) {
        match (self.udp[udp].refuses(bytes.len(), self.limits.send_queue_bytes_max), message) {
            (None, message) => self.udp[udp].push(Queued { to, bytes, message }),
            (Some(reason), Some((ticket, to))) => self.report_failed(ticket, to, reason),
            (Some(_), None) => self.counters.dropped_queue_full.one(),
        }
    }

    fn send_stream(&mut self, link: LinkId, to: &Destination, bytes: Bytes, ticket: Ticket) -> Result<(), SendFailure> {
        let connection = self.connections.of_mut(link).filter(|c| c.takes_messages()).ok_or(SendFailure::FlowGone)?;
        let can_wait = bytes.starts_with(b"ACK ") && bytes.ends_with(b"\r\n\r\n");
        let is_first = connection.queue.is_empty();
        if !connection.send(bytes, (ticket, to.clone()), &self.limits) {
            return Err(SendFailure::QueueFull);
        }
        match (can_wait, is_first) {
            (true, true) => self.acks.push(link),
            // It goes with what is before it.
            (true, false) => {}
            (false, _) => self.list_to_write(link),
        }
        Ok(())
    }

    /// Begins a connection; what is sent meanwhile waits.
    fn connect(&mut self, key: PeerKey, local: Option<LinkId>) -> Result<LinkId, SendFailure> {
        let (transport, remote, name) = key;
        if transport.is_opened_by_peers_only() {
            return Err(SendFailure::WebSocketOutgoing);
        }
        if self.connections.len() >= self.limits.connections_max {
            return Err(SendFailure::TooManyConnections);
        }
        let tls = if transport.is_secure() {
            let tls = self.tls.as_ref().ok_or(SendFailure::NoTls)?;
            Some(Box::new(
                tls.connect(server_name(name.as_deref(), remote)?)
                    .map_err(|failure| SendFailure::Closed(CloseReason::Tls(failure)))?,
            ))
        } else {
            None
        };
        let source =
            local.and_then(|link| self.local.iter().find(|(.., l)| *l == link)).map(|(_, address, _)| *address);
        let socket = begin_connecting(remote, source).map_err(|error| {
            self.counters.connections_failed.one();
            SendFailure::from_io(error.kind())
        })?;
        let flow = Flow { worker: self.worker, link: next_link(), transport, remote };
        let pipe = Pipe { socket, tls };
        let connection = Connection::new(flow, Origin::Opened(name), pipe, &self.limits, self.now);
        self.adopt(connection).map_err(|error| SendFailure::from_io(error.kind()))?;
        Ok(flow.link)
    }

    pub(crate) fn adopt(&mut self, mut connection: Connection) -> io::Result<()> {
        let link = connection.flow.link;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut connection.pipe.socket, token(link), interest)?;
        self.connections.insert(connection);
        self.counters.connections_open.set(self.connections.len());
        self.watch_deadline(link);
        Ok(())
    }

    /// Is the TCP handshake of a connection that we open done? When it failed, the connection is gone.
    pub(crate) fn connected(&mut self, link: LinkId) -> bool {
        let Some(connection) = self.connections.of_mut(link) else { return false };
        match connection.finish_connecting() {
            Err(reason) => self.close_link(link, reason),
            Ok(()) if connection.stage == Stage::Connecting => {}
            Ok(()) => {
                tune(&connection.pipe.socket);
                let opened = connection.try_open();
                self.list_to_write(link);
                if opened {
                    self.report_opened(link);
                }
                return true;
            }
        }
        false
    }

    pub(crate) fn list_to_write(&mut self, link: LinkId) {
        if let Some(connection) = self.connections.of_mut(link)
            && !connection.is_listed_to_write
        {
            connection.is_listed_to_write = true;
            self.to_write.push(link);
        }
    }

    /// The ACKs have waited their turn.
    pub(crate) fn list_acks(&mut self) {
        for link in std::mem::take(&mut self.acks) {
            self.list_to_write(link);
        }
    }

    /// Sees to it that a timer comes no later than the connection's deadline.
    pub(crate) fn watch_deadline(&mut self, link: LinkId) {
        let Some(connection) = self.connections.of_mut(link) else { return };
        let (at, _) = connection.deadline(&self.limits);
        // A timer that comes too early looks again; moving it for every message would cost more.
        if at < connection.timer_at {
            self.timers.cancel(connection.timer);
            connection.timer = self.timers.set(at, link);
            connection.timer_at = at;
        }
    }

    pub(crate) fn expire_deadlines(&mut self) {
        while let Some(link) = self.timers.expire(self.now) {
            let Some(connection) = self.connections.of_mut(link) else {
                if self.listeners.iter().any(|listener| listener.link == link) {
                    self.to_read.push_back(link);
                }
                continue;
            };
            let (at, reason) = connection.deadline(&self.limits);
            if at <= self.now {
                self.close_link(link, reason);
            } else {
                connection.timer = self.timers.set(at, link);
                connection.timer_at = at;
            }
        }
    }

    /// A connection is over: from now on it takes and gives nothing, and [`flush`](Self::flush) writes its last words.
    /// Not here, because what waits to be written may follow from what the owner has not made durable yet.
    pub(crate) fn close_link(&mut self, link: LinkId, reason: CloseReason) {
        let Some(mut connection) = self.connections.remove(link) else { return };
        self.timers.cancel(connection.timer);
        let _ = self.poll.registry().deregister(&mut connection.pipe.socket);
        self.counters.connections_open.set(self.connections.len());
        let was_open = connection.stage == Stage::Open;
        tracing::debug!(transport = %connection.flow.transport, ?link, was_open, %reason, "a connection ended");
        if was_open || connection.origin == Origin::Accepted {
            self.counters.closed(reason);
        } else {
            self.counters.connections_failed.one();
            if let CloseReason::Tls(_) = reason {
                self.counters.closed(reason);
            }
        }
        if was_open {
            self.events.push_back(Event::Closed { flow: connection.flow, reason });
        }
        self.closing.push((connection, reason));
    }

    fn finish_closing(&mut self) {
        for (mut connection, reason) in std::mem::take(&mut self.closing) {
            connection.close(reason);
            let written = connection.queue.take_written();
            self.counters.stream_messages_out.add(written.messages);
            self.counters.bytes_out.add(written.bytes);
            let failure = match (&connection.origin, connection.stage, reason) {
                (Origin::Opened(_), Stage::Connecting, CloseReason::Broken(kind)) => SendFailure::from_io(kind),
                (_, Stage::Connecting | Stage::Handshaking, CloseReason::HandshakeTimeout) => SendFailure::TimedOut,
                _ => SendFailure::Closed(reason),
            };
            for (ticket, to) in connection.queue.drain_messages() {
                self.report_failed(ticket, to, failure);
            }
        }
    }

    pub(crate) fn report_opened(&mut self, link: LinkId) {
        let Some(connection) = self.connections.of(link) else { return };
        let accepted = connection.origin == Origin::Accepted;
        if !accepted {
            self.counters.connections_opened.one();
        }
        let peer = connection.peer_certificate(self.tls.as_deref()).map(Box::new);
        self.events.push_back(Event::Opened { flow: connection.flow, peer, accepted });
        self.watch_deadline(link);
    }

    fn report_failed(&mut self, ticket: Ticket, to: Destination, reason: SendFailure) {
        if reason == SendFailure::QueueFull {
            self.counters.dropped_queue_full.one();
        } else {
            self.counters.dropped_unsendable.one();
        }
        if ticket != Ticket::default() {
            self.events.push_back(Event::SendFailed { ticket, to, reason });
        }
    }
}

/// What the peer's certificate must carry: the name that was looked up, or the address.
fn server_name(name: Option<&str>, remote: SocketAddr) -> Result<ServerName<'static>, SendFailure> {
    let Some(name) = name else { return Ok(ServerName::from(remote.ip())) };
    //= https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2
    // The brackets of an IPv6 address belong to the URI, not to the address.
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    ServerName::try_from(bare.to_owned()).map_err(|_| SendFailure::InvalidName)
}

fn begin_connecting(remote: SocketAddr, source: Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(remote), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(mut source) = source.filter(|s| s.is_ipv4() == remote.is_ipv4() && !s.ip().is_unspecified()) {
        source.set_port(0);
        socket.bind(&source.into())?;
    }
    match socket.connect(&remote.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Small messages go at once, and a peer that vanished without a word is found out.
pub(crate) fn tune(socket: &TcpStream) {
    let socket = SockRef::from(socket);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_KEEP_ALIVE_AFTER));
}

const TCP_KEEP_ALIVE_AFTER: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_in_brackets_is_the_address_that_a_certificate_must_carry() {
        let remote: SocketAddr = "[2001:db8::1]:5061".parse().expect("an address");
        let address = Ok(ServerName::from(remote.ip()));
        assert_eq!(server_name(Some("[2001:db8::1]"), remote), address);
        assert_eq!(server_name(None, remote), address);
        assert_eq!(server_name(Some("no name"), remote), Err(SendFailure::InvalidName));
    }
}
