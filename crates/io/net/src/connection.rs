//! One TCP, TLS or WebSocket connection: its stage, its framing, what waits to be sent, and its deadlines.
//!
//! ```text
//! Connecting ──connected──► Handshaking ──TLS and WebSocket done──► Open ──► gone
//!      (we connect)     (TLS or WebSocket)
//! ```

use crate::config::NetLimits;
use crate::event::CloseReason;
use crate::pipe::{Pipe, ReadTurn, SendQueue};
use crate::tls::{PeerCertificate, TlsConfig};
use crate::websocket::{self, WebSocket};
use bytes::Bytes;
use std::sync::Arc;
use sx_engine::{Time, TimerId};
use sx_sip::frame::{self, Framer};
use sx_types::{Carrier, Destination, Flow, Ticket};

pub(crate) struct Connection {
    pub flow: Flow,
    pub origin: Origin,
    pub stage: Stage,
    pub pipe: Pipe,
    pub queue: SendQueue,
    pub timer: TimerId,
    /// When `timer` comes.
    pub timer_at: Time,
    /// It waits in the list of those to be read.
    pub is_listed_to_read: bool,
    /// It waits in the list of those to be written.
    pub is_listed_to_write: bool,
    /// The socket took nothing the last time; an event says when it does again.
    is_blocked: bool,
    /// The peer will send nothing more, as an event said.
    is_read_closed: bool,
    framing: Framing,
    deadlines: Deadlines,
    keep_alives: KeepAlives,
    /// How reading ended; reported when what was read before is handed out.
    end: Option<CloseReason>,
    drained: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The TCP handshake of a connection that we open.
    Connecting,
    /// TLS, WebSocket, or both are being agreed on.
    Handshaking,
    /// Messages may flow.
    Open,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A peer connected.
    Accepted,
    /// We connected, to this name.
    Opened(Option<Arc<str>>),
}

enum Framing {
    Stream(Framer),
    WebSocket(Box<WebSocket>),
}

/// Since when something has been waited for.
struct Deadlines {
    begun: Time,
    received: Time,
    partial: Option<Time>,
    stalled: Option<Time>,
}

/// Counts keep-alives in windows of ten seconds.
#[derive(Default)]
struct KeepAlives {
    window: u64,
    count: u32,
}

/// What a connection's bytes came to.
pub(crate) enum Found {
    /// A whole message: [`Connection::message`].
    Message,
    /// Messages may flow now.
    Opened,
    /// A keep-alive was answered.
    KeepAlive(KeepAlive),
    /// Nothing more for now.
    Nothing,
    /// It is over.
    End(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepAlive {
    Crlf,
    WebSocket,
}

impl Connection {
    pub fn new(flow: Flow, origin: Origin, pipe: Pipe, limits: &NetLimits, now: Time) -> Self {
        let framing = match flow.transport.carrier() {
            Carrier::WebSocket => {
                Framing::WebSocket(Box::new(WebSocket::new(limits.message_bytes_max, limits.fragments_max)))
            }
            Carrier::Datagrams | Carrier::Stream => Framing::Stream(Framer::new(limits.message_bytes_max)),
        };
        let stage = if origin == Origin::Accepted { Stage::Handshaking } else { Stage::Connecting };
        Self {
            flow,
            origin,
            stage,
            pipe,
            queue: SendQueue::default(),
            timer: TimerId::NONE,
            timer_at: Time::from_nanos(u64::MAX),
            is_listed_to_read: false,
            is_listed_to_write: false,
            is_blocked: false,
            is_read_closed: false,
            framing,
            deadlines: Deadlines { begun: now, received: now, partial: None, stalled: None },
            keep_alives: KeepAlives::default(),
            end: None,
            drained: true,
        }
    }

    /// A socket event said that the peer sends nothing more: reading must go on until the end is seen.
    pub fn read_closed(&mut self) {
        self.is_read_closed = true;
    }

    /// The socket takes bytes. True: it did not the last time.
    pub fn unblock(&mut self) -> bool {
        std::mem::take(&mut self.is_blocked)
    }

    /// Has the TCP handshake come to an end, and to which?
    pub fn finish_connecting(&mut self) -> Result<(), CloseReason> {
        match self.pipe.socket.take_error() {
            Ok(Some(error)) | Err(error) => return Err(CloseReason::Broken(error.kind())),
            Ok(None) => {}
        }
        if self.pipe.socket.peer_addr().is_ok() {
            self.stage = Stage::Handshaking;
        }
        Ok(())
    }

    /// Reads what has come and gives it to the framing. True: the connection has just opened.
    pub fn read(&mut self, buffer: &mut [u8], now: Time) -> (usize, bool) {
        let ReadTurn { bytes, drained, end } = self.pipe.read(buffer);
        // An event that said more than there was is forgotten, or reading would never rest.
        self.is_read_closed &= bytes > 0 || !drained;
        self.drained = drained && (!self.is_read_closed || end.is_some());
        self.end = self.end.or(end);
        if bytes > 0 {
            self.deadlines.received = now;
            match &mut self.framing {
                Framing::Stream(framer) => framer.push(&buffer[..bytes]),
                Framing::WebSocket(websocket) => websocket.push(&buffer[..bytes]),
            }
        }
        (bytes, self.try_open())
    }

    /// Opens a connection whose handshakes are done, except for that of WebSocket, which its framing reports.
    pub fn try_open(&mut self) -> bool {
        let opens = self.stage == Stage::Handshaking
            && matches!(self.framing, Framing::Stream(_))
            && !self.pipe.is_handshaking()
            && !matches!(self.end, Some(CloseReason::Tls(_)));
        if opens {
            self.stage = Stage::Open;
        }
        opens
    }

    /// The next thing in what was read. Keep-alives are answered by the way.
    pub fn advance(&mut self, now: Time, limits: &NetLimits) -> Found {
        loop {
            let step = match &mut self.framing {
                Framing::Stream(framer) => match framer.advance() {
                    Ok(Some(frame::Found::Message)) => Step::Found(Found::Message),
                    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
                    // A double CRLF is answered with a single one.
                    Ok(Some(frame::Found::Ping)) => Step::Ping(KeepAlive::Crlf, Bytes::from_static(b"\r\n")),
                    Ok(Some(frame::Found::Pong)) => Step::Pong,
                    Ok(None) => Step::Nothing,
                    Err(error) => Step::Found(Found::End(CloseReason::Malformed(error))),
                },
                Framing::WebSocket(websocket) => match websocket.advance() {
                    Ok(Some(websocket::Found::Message)) => Step::Found(Found::Message),
                    Ok(Some(websocket::Found::Ping(answer))) => Step::Ping(KeepAlive::WebSocket, answer),
                    Ok(Some(websocket::Found::Pong)) => Step::Pong,
                    Ok(Some(websocket::Found::Upgraded(answer))) => {
                        self.stage = Stage::Open;
                        Step::Last(answer, Found::Opened)
                    }
                    Ok(Some(websocket::Found::Close(answer))) => Step::Last(answer, Found::End(CloseReason::Peer)),
                    Ok(None) => Step::Nothing,
                    Err(breach) => Step::Last(breach.reply, Found::End(CloseReason::WebSocket(breach.failure))),
                },
            };
            match step {
                Step::Found(Found::Message) => {
                    self.deadlines.partial = None;
                    return Found::Message;
                }
                Step::Found(found) => return found,
                Step::Last(answer, found) => {
                    self.queue.push(answer, None);
                    return found;
                }
                Step::Ping(..) | Step::Pong if !self.keep_alives.allow(now, limits) => {
                    return Found::End(CloseReason::KeepAliveFlood);
                }
                Step::Ping(kind, answer) => {
                    self.queue.push(answer, None);
                    return Found::KeepAlive(kind);
                }
                Step::Pong => {}
                Step::Nothing => return self.finish_turn(now),
            }
        }
    }

    /// The message that [`advance`](Self::advance) found.
    pub fn message(&self) -> &[u8] {
        match &self.framing {
            Framing::Stream(framer) => framer.message(),
            Framing::WebSocket(websocket) => websocket.message(),
        }
    }

    /// May the socket have more than was read?
    pub fn wants_read(&self) -> bool {
        !self.drained
    }

    fn finish_turn(&mut self, now: Time) -> Found {
        let is_partial = match &self.framing {
            Framing::Stream(framer) => framer.is_partial(),
            Framing::WebSocket(websocket) => websocket.is_partial(),
        };
        self.deadlines.partial = is_partial.then(|| self.deadlines.partial.unwrap_or(now));
        self.end.map_or(Found::Nothing, Found::End)
    }

    /// May messages be queued? Not before a WebSocket has been agreed on: they would get ahead of the agreement.
    pub fn takes_messages(&self) -> bool {
        self.stage == Stage::Open || matches!(self.framing, Framing::Stream(_))
    }

    /// Lets a message wait to be written. False: too much waits already.
    pub fn send(&mut self, bytes: Bytes, message: (Ticket, Destination), limits: &NetLimits) -> bool {
        if self.queue.bytes() + bytes.len() > limits.send_queue_bytes_max {
            return false;
        }
        if let Framing::WebSocket(_) = self.framing {
            self.queue.push(websocket::message_header(&bytes), None);
        }
        self.queue.push(bytes, Some(message));
        true
    }

    /// Writes as much of what waits as the socket takes.
    pub fn flush(&mut self, now: Time, limits: &NetLimits) -> Result<(), CloseReason> {
        // Answers to keep-alives are not refused like messages: a peer that asks and never reads is cut instead.
        if self.queue.bytes() > limits.send_queue_bytes_max.saturating_add(CONTROL_BYTES_SPARE) {
            return Err(CloseReason::SendQueueFull);
        }
        if self.is_blocked || self.stage == Stage::Connecting {
            return Ok(());
        }
        let before = self.queue.bytes();
        self.is_blocked = !self.pipe.write(&mut self.queue)?;
        let progressed = self.queue.bytes() < before;
        self.deadlines.stalled = match self.deadlines.stalled {
            _ if !self.is_blocked => None,
            Some(since) if !progressed => Some(since),
            _ => Some(now),
        };
        Ok(())
    }

    /// Says goodbye, as far as the socket takes it at once.
    pub fn close(&mut self, reason: CloseReason) {
        if matches!(self.framing, Framing::WebSocket(_))
            && self.stage == Stage::Open
            && !matches!(reason, CloseReason::Peer | CloseReason::WebSocket(_) | CloseReason::Broken(_))
        {
            self.queue.push(websocket::going_away(), None);
        }
        if !self.is_blocked && !matches!(reason, CloseReason::Broken(_)) && self.stage != Stage::Connecting {
            // What cannot be written now is reported as not sent.
            let _ = self.pipe.write(&mut self.queue);
        }
        self.pipe.close();
    }

    /// When something must have happened, and why the connection ends if it has not.
    pub fn deadline(&self, limits: &NetLimits) -> (Time, CloseReason) {
        let Deadlines { begun, received, partial, stalled } = self.deadlines;
        if self.stage != Stage::Open {
            return (begun + limits.handshake_timeout, CloseReason::HandshakeTimeout);
        }
        let idle = (received + limits.idle_timeout, CloseReason::Idle);
        let partial = partial.map(|since| (since + limits.partial_message_timeout, CloseReason::SlowSender));
        let stalled = stalled.map(|since| (since + limits.send_stall_timeout, CloseReason::SendStalled));
        [Some(idle), partial, stalled].into_iter().flatten().min_by_key(|(at, _)| *at).unwrap_or(idle)
    }

    /// What the peer has proven to be.
    pub fn peer_certificate(&self, tls: Option<&TlsConfig>) -> Option<PeerCertificate> {
        let proven = self.origin == Origin::Accepted || tls.is_some_and(TlsConfig::verifies_servers);
        let chain = self.pipe.tls.as_ref()?.peer_certificates()?;
        chain.first().filter(|_| proven).and_then(|der| PeerCertificate::parse(der))
    }
}

/// What one look at the framing came to.
enum Step {
    Found(Found),
    /// Something to be sent comes with it.
    Last(Bytes, Found),
    Ping(KeepAlive, Bytes),
    Pong,
    Nothing,
}

impl KeepAlives {
    fn allow(&mut self, now: Time, limits: &NetLimits) -> bool {
        let window = now.as_secs() / 10;
        if window != self.window {
            *self = Self { window, count: 0 };
        }
        self.count += 1;
        self.count <= limits.keep_alives_per_10s_max
    }
}

/// What answers to keep-alives may add to a full send queue.
const CONTROL_BYTES_SPARE: usize = 16 * 1024;
