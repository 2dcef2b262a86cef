//! One UDP socket and what waits to be sent through it.

use crate::config::{Listener, NetError, NetLimits};
use crate::event::SendFailure;
use crate::mmsg;
use crate::net::token;
use bytes::Bytes;
use mio::net::UdpSocket;
use mio::{Interest, Registry};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use sx_types::{Destination, LinkId, Ticket};

pub(crate) struct UdpLink {
    pub link: LinkId,
    pub address: SocketAddr,
    pub socket: UdpSocket,
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// The socket took nothing the last time; an event says when it does again.
    blocked: bool,
}

pub(crate) struct Queued {
    pub to: SocketAddr,
    pub bytes: Bytes,
    /// A message of the owner, and how it was addressed; else a keep-alive answer.
    pub message: Option<(Ticket, Destination)>,
}

/// What a flush came to.
#[derive(Default)]
pub(crate) struct Flushed {
    pub datagrams: u64,
    pub bytes: u64,
}

impl UdpLink {
    pub fn open(link: LinkId, listener: &Listener, limits: &NetLimits) -> Result<Self, NetError> {
        let open = || -> io::Result<UdpSocket> {
            let socket = Socket::new(Domain::for_address(listener.address), Type::DGRAM, Some(Protocol::UDP))?;
            if listener.address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.set_reuse_port(true)?;
            // More than the kernel grants is no error; it gives what it allows.
            let _ = socket.set_recv_buffer_size(limits.udp_receive_buffer_bytes);
            socket.set_nonblocking(true)?;
            socket.bind(&listener.address.into())?;
            Ok(UdpSocket::from_std(socket.into()))
        };
        let socket = open().map_err(|error| NetError::listen(listener, error))?;
        let address = socket.local_addr().map_err(|error| NetError::listen(listener, error))?;
        Ok(Self { link, address, socket, queue: VecDeque::new(), queued_bytes: 0, blocked: false })
    }

    /// Why a datagram of this length cannot wait to be sent, if so.
    pub fn refuses(&self, length: usize, queue_bytes_max: usize) -> Option<SendFailure> {
        if length > DATAGRAM_BYTES_MAX {
            return Some(SendFailure::TooLarge);
        }
        (self.queued_bytes + length > queue_bytes_max).then_some(SendFailure::QueueFull)
    }

    /// Lets a datagram wait for the next [`flush`](Self::flush).
    pub fn push(&mut self, datagram: Queued) {
        self.queued_bytes += datagram.bytes.len();
        self.queue.push_back(datagram);
    }

    /// The socket takes datagrams again.
    pub fn unblock(&mut self, registry: &Registry) {
        self.blocked = false;
        self.watch(registry);
    }

    /// Asks to be told of what comes in, and of room to send only while there is none: told always, the loop would
    /// wake for every datagram that has left.
    fn watch(&mut self, registry: &Registry) {
        let interest = if self.blocked { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        if let Err(error) = registry.reregister(&mut self.socket, token(self.link), interest) {
            tracing::error!(%error, address = %self.address, "a UDP socket is no longer watched");
        }
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Sends what waits; those that the system refuses are given to `failed`.
    pub fn flush(&mut self, registry: &Registry, mut failed: impl FnMut(SendFailure, Queued)) -> Flushed {
        let mut flushed = Flushed::default();
        while !self.queue.is_empty() && !self.blocked {
            let datagrams = self.queue.iter().map(|queued| (&queued.to, &queued.bytes));
            match mmsg::send(self.socket.as_raw_fd(), datagrams) {
                Ok(sent) => {
                    for queued in self.queue.drain(..sent) {
                        flushed.datagrams += 1;
                        flushed.bytes += queued.bytes.len() as u64;
                        self.queued_bytes -= queued.bytes.len();
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.blocked = true;
                        self.watch(registry);
                    }
                    io::ErrorKind::Interrupted => {}
                    kind => {
                        let Some(first) = self.queue.pop_front() else { break };
                        self.queued_bytes -= first.bytes.len();
                        let too_large = error.raw_os_error() == Some(libc::EMSGSIZE);
                        failed(if too_large { SendFailure::TooLarge } else { SendFailure::from_io(kind) }, first);
                    }
                },
            }
        }
        flushed
    }
}

/// The payload of the largest IPv4 datagram.
const DATAGRAM_BYTES_MAX: usize = 65_507;
