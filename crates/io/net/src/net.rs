//! The shell: sockets, their events, and the order in which they are served.

use crate::config::{NetConfig, NetError, NetLimits};
use crate::connection::{Connection, Found, KeepAlive, Stage};
use crate::connections::Connections;
use crate::counters::NetCounters;
use crate::event::{CloseReason, NetEvent, SendFailure};
use crate::listen::{StreamListener, ensure_free};
use crate::mmsg::ReceiveBatch;
use crate::pipe::READ_BUFFER_BYTES;
use crate::tls::{PeerCertificate, TlsConfig};
use crate::udp::UdpLink;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use sx_engine::{Time, Wheel};
use sx_types::{Destination, Flow, LinkId, Ticket, Transport};

/// The signalling sockets of one worker. See the [crate's documentation](crate) for the loop.
pub struct Net {
    pub(crate) worker: u16,
    pub(crate) poll: Poll,
    socket_events: Events,
    waker: Arc<Waker>,
    pub(crate) limits: NetLimits,
    pub(crate) tls: Option<Arc<TlsConfig>>,
    pub(crate) now: Time,
    pub(crate) local: Vec<(Transport, SocketAddr, LinkId)>,
    pub(crate) udp: Vec<UdpLink>,
    pub(crate) listeners: Vec<StreamListener>,
    pub(crate) connections: Connections,
    pub(crate) timers: Wheel<LinkId>,
    /// Reported before anything else is read.
    pub(crate) events: VecDeque<Event>,
    /// Connections that have something to write.
    pub(crate) to_write: Vec<LinkId>,
    /// Connections on which an ACK waits for company.
    pub(crate) acks: Vec<LinkId>,
    /// Connections that are over and have their last words to write still, with the reason.
    pub(crate) closing: Vec<(Box<Connection>, CloseReason)>,
    /// Links that may have something to read; each gets one turn between two waits.
    pub(crate) to_read: VecDeque<LinkId>,
    turns: usize,
    reading: Reading,
    batch: ReceiveBatch,
    buffer: Vec<u8>,
    pub(crate) counters: Arc<NetCounters>,
    answer: Vec<u8>,
}

/// An event that borrows nothing.
#[derive(Debug)]
pub(crate) enum Event {
    Opened { flow: Flow, peer: Option<Box<PeerCertificate>>, accepted: bool },
    Closed { flow: Flow, reason: CloseReason },
    SendFailed { ticket: Ticket, to: Destination, reason: SendFailure },
}

/// What is being handed out.
#[derive(Clone, Copy)]
enum Reading {
    Nothing,
    /// The batch came from this UDP socket; `next` is the first datagram not handed out.
    Batch {
        udp: usize,
        next: usize,
    },
    Connection(LinkId),
}

/// What [`Net::poll_event`] hands out next.
enum Next {
    Event(Event),
    Datagram { flow: Flow, index: usize },
    Message { link: LinkId },
}

/// Wakes a [`Net`] that waits, from any thread.
#[derive(Debug)]
pub struct Waker(mio::Waker);

impl Waker {
    /// Makes [`Net::wait`] return. Several calls before it does count as one.
    pub fn wake(&self) {
        if let Err(error) = self.0.wake() {
            tracing::error!(%error, "a worker cannot be woken");
        }
    }
}

impl Net {
    /// Opens every listener of `config` for `worker`; the first worker, which is 0, sees to it that no other process has
    /// one of them. `now` is the time at which the timers begin.
    pub fn open(worker: u16, config: &NetConfig, now: Time) -> Result<Self, NetError> {
        config.limits.validate()?;
        let poll = Poll::new().map_err(NetError::Loop)?;
        let waker = mio::Waker::new(poll.registry(), WAKER).map_err(NetError::Loop)?;
        let mut net = Self {
            worker,
            socket_events: Events::with_capacity(EVENTS_PER_WAIT),
            waker: Arc::new(Waker(waker)),
            limits: config.limits,
            tls: config.tls.clone(),
            now,
            local: Vec::new(),
            udp: Vec::new(),
            listeners: Vec::new(),
            connections: Connections::default(),
            timers: Wheel::new(now),
            events: VecDeque::new(),
            to_write: Vec::new(),
            acks: Vec::new(),
            closing: Vec::new(),
            to_read: VecDeque::new(),
            turns: 0,
            reading: Reading::Nothing,
            batch: ReceiveBatch::new(config.limits.message_bytes_max),
            buffer: vec![0; READ_BUFFER_BYTES],
            counters: Arc::default(),
            answer: Vec::new(),
            poll,
        };
        if worker == 0 {
            config.listeners.iter().try_for_each(ensure_free)?;
        }
        for listener in &config.listeners {
            net.listen(listener)?;
        }
        Ok(net)
    }

    /// The sockets that listen, with the ports that the system chose where 0 was asked for.
    pub fn local_addresses(&self) -> &[(Transport, SocketAddr, LinkId)] {
        &self.local
    }

    /// The local address that messages to this destination leave from and answers come to, as far as there is a socket
    /// for it. An address that was bound without an interface is told as it was bound.
    pub fn local_address_towards(&self, to: &Destination) -> Option<SocketAddr> {
        let link = match to {
            Destination::Flow(flow) => flow.link,
            Destination::Address { transport, remote, .. } if !transport.is_reliable() => {
                self.udp.iter().find(|udp| udp.address.is_ipv4() == remote.is_ipv4())?.link
            }
            Destination::Address { transport, remote, name } => {
                let key = (*transport, *remote, name.clone().filter(|_| transport.is_secure()));
                self.connections.to_peer(&key)?
            }
        };
        match self.connections.of(link) {
            Some(connection) => connection.pipe.socket.local_addr().ok(),
            None => self.local.iter().find(|(.., local)| *local == link).map(|(_, address, _)| *address),
        }
    }

    /// For other threads to make [`wait`](Self::wait) return.
    pub fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// Lets [`wait`](Self::wait) return too each time this becomes readable, as an event counter does that is added to. It
    /// is not read from here, and must stay open as long as this worker waits.
    ///
    /// # Errors
    /// What the operating system says against it.
    pub fn watch(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), WATCHED, Interest::READABLE)
    }

    /// What has been counted, for another thread to read.
    pub fn counters(&self) -> Arc<NetCounters> {
        self.counters.clone()
    }

    /// Certificates and trust for handshakes from now on; connections that are open stay as they are.
    pub fn reload_tls(&mut self, tls: Arc<TlsConfig>) {
        self.tls = Some(tls);
    }

    /// Ends one connection, with the next [`flush`](Self::flush) or [`wait`](Self::wait).
    pub fn close(&mut self, flow: &Flow) {
        self.close_link(flow.link, CloseReason::Us);
    }

    /// Does nothing wait to be sent?
    pub fn is_flushed(&self) -> bool {
        self.udp.iter().all(UdpLink::is_empty)
            && self.connections.iter().all(|c| c.queue.is_empty())
            && self.closing.is_empty()
    }

    /// Sends what waits, an ACK only if nothing has come yet; then waits until a socket or the [`Waker`] says something,
    /// a connection's deadline comes,
    /// or `timeout` has passed (`None`: forever). `now` is the time of the call; the time of the return comes back,
    /// and counts for what [`poll_event`](Self::poll_event) reports until the next call.
    pub fn wait(&mut self, now: Time, timeout: Option<Duration>) -> io::Result<Time> {
        self.now = self.now.max(now);
        self.expire_deadlines();
        self.end_turn();
        let begun = Instant::now();
        if self.polled_for_acks()? {
            self.list_acks();
        } else {
            self.flush();
            let patience = self.patience(timeout);
            self.poll_sockets(patience)?;
            if patience != Some(Duration::ZERO) {
                self.now = self.now + begun.elapsed();
            }
        }
        self.sort_socket_events();
        self.turns = self.to_read.len();
        Ok(self.now)
    }

    /// Has something come already, so that an ACK that waits will have company? Without one it does not look.
    fn polled_for_acks(&mut self) -> io::Result<bool> {
        let connections = &self.connections;
        self.acks.retain(|link| connections.of(*link).is_some_and(|connection| !connection.queue.is_empty()));
        if self.acks.is_empty() {
            return Ok(false);
        }
        self.poll_sockets(Some(Duration::ZERO))?;
        Ok(self.is_busy() || !self.socket_events.is_empty())
    }

    fn poll_sockets(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.socket_events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            // A signal came; its handler wakes whom it wants to.
            Err(_) => self.socket_events.clear(),
            Ok(()) => {}
        }
        Ok(())
    }

    /// The next thing that has happened; `None`: [`wait`](Self::wait) for more.
    pub fn poll_event(&mut self) -> Option<NetEvent<'_>> {
        Some(match self.next()? {
            Next::Event(event) => event.into(),
            Next::Datagram { flow, index } => NetEvent::Message { flow, bytes: self.batch.datagram(index).bytes },
            Next::Message { link } => {
                let connection = self.connections.of(link)?;
                NetEvent::Message { flow: connection.flow, bytes: connection.message() }
            }
        })
    }

    fn next(&mut self) -> Option<Next> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Next::Event(event));
            }
            let next = match self.reading {
                Reading::Batch { udp, next } => self.next_datagram(udp, next),
                Reading::Connection(link) => self.next_message(link),
                Reading::Nothing => {
                    self.turns = self.turns.checked_sub(1)?;
                    let link = self.to_read.pop_front()?;
                    self.begin_reading(link);
                    None
                }
            };
            if next.is_some() {
                return next;
            }
        }
    }

    fn begin_reading(&mut self, link: LinkId) {
        if let Some(udp) = self.udp.iter().position(|udp| udp.link == link) {
            match self.batch.receive(self.udp[udp].socket.as_raw_fd()) {
                Ok(()) => self.reading = Reading::Batch { udp, next: 0 },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An earlier datagram's fate, or a signal: what lies behind it is still to be read.
                Err(_) => self.to_read.push_back(link),
            }
        } else if let Some(index) = self.listeners.iter().position(|listener| listener.link == link) {
            if self.accept(index) {
                self.to_read.push_back(link);
            }
        } else {
            self.read_connection(link);
        }
    }

    fn next_datagram(&mut self, udp: usize, next: usize) -> Option<Next> {
        let count = self.batch.count();
        if next == count {
            self.reading = Reading::Nothing;
            // A full batch says nothing about what is left.
            if count == crate::mmsg::BATCH {
                self.to_read.push_back(self.udp[udp].link);
            }
            return None;
        }
        self.reading = Reading::Batch { udp, next: next + 1 };
        let datagram = self.batch.datagram(next);
        self.counters.datagrams_in.one();
        self.counters.bytes_in.add(datagram.bytes.len() as u64);
        if datagram.truncated {
            self.counters.dropped_too_long.one();
            return None;
        }
        let from = datagram.from.filter(|from| from.port() != 0 && !datagram.bytes.is_empty());
        let Some(from) = from else {
            self.counters.dropped_empty.one();
            return None;
        };
        self.answer.clear();
        if let Some(kind) = keep_alive(datagram.bytes, from, &mut self.answer) {
            match kind {
                DatagramKeepAlive::Crlf => self.counters.keep_alives_crlf.one(),
                DatagramKeepAlive::Stun if self.answer.is_empty() => self.counters.dropped_stun.one(),
                DatagramKeepAlive::Stun => self.counters.keep_alives_stun.one(),
            }
            if !self.answer.is_empty() {
                let answer = bytes::Bytes::copy_from_slice(&self.answer);
                self.send_datagram(udp, from, answer, None);
            }
            return None;
        }
        let flow = Flow { worker: self.worker, link: self.udp[udp].link, transport: Transport::Udp, remote: from };
        Some(Next::Datagram { flow, index: next })
    }

    fn read_connection(&mut self, link: LinkId) {
        let Some(connection) = self.connections.of_mut(link) else { return };
        connection.is_listed_to_read = false;
        if connection.stage == Stage::Connecting && !self.connected(link) {
            return;
        }
        let Some(connection) = self.connections.of_mut(link) else { return };
        let (bytes, opened) = connection.read(&mut self.buffer, self.now);
        self.counters.bytes_in.add(bytes as u64);
        self.reading = Reading::Connection(link);
        // TLS may have to answer, whatever was read.
        if connection.pipe.tls.is_some() {
            self.list_to_write(link);
        }
        if opened {
            self.report_opened(link);
        }
    }

    fn next_message(&mut self, link: LinkId) -> Option<Next> {
        let Some(connection) = self.connections.of_mut(link) else {
            self.reading = Reading::Nothing;
            return None;
        };
        match connection.advance(self.now, &self.limits) {
            Found::Message => {
                self.counters.stream_messages_in.one();
                return Some(Next::Message { link });
            }
            Found::Opened => {
                self.list_to_write(link);
                self.report_opened(link);
            }
            Found::KeepAlive(kind) => {
                match kind {
                    KeepAlive::Crlf => self.counters.keep_alives_crlf.one(),
                    KeepAlive::WebSocket => self.counters.keep_alives_websocket.one(),
                }
                self.list_to_write(link);
            }
            Found::Nothing => {
                self.reading = Reading::Nothing;
                if connection.wants_read() && !connection.is_listed_to_read {
                    connection.is_listed_to_read = true;
                    self.to_read.push_back(link);
                }
                self.watch_deadline(link);
            }
            Found::End(reason) => {
                self.reading = Reading::Nothing;
                self.close_link(link, reason);
            }
        }
        None
    }

    /// Is something left of the last turn?
    fn is_busy(&self) -> bool {
        !self.to_read.is_empty() || !self.events.is_empty() || !matches!(self.reading, Reading::Nothing)
    }

    /// How long a wait may last.
    fn patience(&self, timeout: Option<Duration>) -> Option<Duration> {
        if self.is_busy() {
            return Some(Duration::ZERO);
        }
        // Rounded up: a wait that ends early would have to be repeated at once.
        let deadline = self.timers.next_expiry().map(|at| at.since(self.now).max(Duration::from_millis(1)));
        [timeout, deadline].into_iter().flatten().min()
    }

    fn sort_socket_events(&mut self) {
        for event in &self.socket_events {
            let Ok(link) = u32::try_from(event.token().0).map(LinkId) else { continue };
            if let Some(connection) = self.connections.of_mut(link) {
                // Most events say writable too; only a connection that was blocked has anything to write.
                if event.is_writable() && connection.unblock() && !connection.is_listed_to_write {
                    connection.is_listed_to_write = true;
                    self.to_write.push(link);
                }
                if event.is_read_closed() || event.is_error() {
                    connection.read_closed();
                }
                let must_connect = connection.stage == Stage::Connecting;
                if (event.is_readable() || event.is_read_closed() || event.is_error() || must_connect)
                    && !connection.is_listed_to_read
                {
                    connection.is_listed_to_read = true;
                    self.to_read.push_back(link);
                }
                continue;
            }
            if let Some(udp) = self.udp.iter_mut().find(|udp| udp.link == link)
                && event.is_writable()
            {
                udp.unblock(self.poll.registry());
            }
            let is_listed = self.to_read.contains(&link);
            if event.is_readable() && !is_listed {
                self.to_read.push_back(link);
            }
        }
    }
}

/// A keep-alive that came as a datagram.
enum DatagramKeepAlive {
    Crlf,
    Stun,
}

/// Is it a keep-alive? The answer to it, if any, is written to `answer`.
fn keep_alive(bytes: &[u8], from: SocketAddr, answer: &mut Vec<u8>) -> Option<DatagramKeepAlive> {
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
    // Who serves SIP over UDP answers STUN Binding requests on the same port. Other STUN is dropped in silence.
    if sx_stun::is_stun(bytes) {
        if let Ok(request) = sx_stun::Message::parse(bytes) {
            // Not answered: nothing was written.
            let _ = sx_stun::binding_response(&request, from, answer);
        }
        return Some(DatagramKeepAlive::Stun);
    }
    // Some telephones send a single line end or a zero byte to keep a NAT's mapping alive.
    if bytes.len() <= 4 && bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        if bytes == b"\r\n\r\n" {
            answer.extend_from_slice(b"\r\n");
        }
        return Some(DatagramKeepAlive::Crlf);
    }
    None
}

impl From<Event> for NetEvent<'_> {
    fn from(event: Event) -> Self {
        match event {
            Event::Opened { flow, peer, accepted } => Self::Opened { flow, peer: peer.map(|peer| *peer), accepted },
            Event::Closed { flow, reason } => Self::Closed { flow, reason },
            Event::SendFailed { ticket, to, reason } => Self::SendFailed { ticket, to, reason },
        }
    }
}

/// A name for a socket, unlike any before it in this process.
pub(crate) fn next_link() -> LinkId {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    // After all numbers it begins anew, but no socket is ever taken for another worker.
    loop {
        let link = LinkId(NEXT.fetch_add(1, Ordering::Relaxed));
        if link != LinkId::BETWEEN_WORKERS {
            return link;
        }
    }
}

pub(crate) fn token(link: LinkId) -> Token {
    Token(link.0 as usize)
}

const WAKER: Token = Token(usize::MAX);
/// Of whatever else a worker waits for.
const WATCHED: Token = Token(usize::MAX - 1);
const EVENTS_PER_WAIT: usize = 1_024;
