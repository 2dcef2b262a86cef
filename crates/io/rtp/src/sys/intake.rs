//! Where a packet thread waits: for packets, and to be woken.
//!
//! With io_uring the kernel receives into buffers of ours by itself, and one call both sends what is to be sent and waits
//! for more. With epoll, which every kernel has, each packet takes two calls.

use super::batch::{BATCH, Batch, Chosen, Failure, Label, Sent};
use super::epoll::{self, Epoll};
use super::ring::{BUFFERS, Ring};
use super::{RawAddress, Wake};
use std::io;
use std::net::UdpSocket;
use std::time::Duration;

/// The token of the wake-up; no socket has it.
pub(crate) const WAKE: u64 = u64::MAX;

/// Where a packet thread waits.
pub(crate) struct Intake {
    // The ring goes before the memory that it was lent.
    way: Way,
    batch: Batch,
}

enum Way {
    Ring(Box<Ring>),
    Epoll { epoll: Epoll, ready: usize, next: usize },
}

impl Intake {
    /// With io_uring where that is wanted and to be had, else with epoll.
    pub(crate) fn new(io_uring: bool) -> io::Result<Self> {
        if !io_uring {
            tracing::info!("packets are waited for with epoll, as configured");
        } else {
            let batch = Batch::new(BUFFERS);
            match Ring::new(&batch) {
                Ok(ring) => return Ok(Self { way: Way::Ring(Box::new(ring)), batch }),
                Err(error) => tracing::info!(%error, "packets are waited for with epoll: io_uring is not to be had"),
            }
        }
        let way = Way::Epoll { epoll: Epoll::new()?, ready: 0, next: 0 };
        Ok(Self { way, batch: Batch::new(BATCH) })
    }

    /// To be called once, by the thread that waits.
    pub(crate) fn begin(&mut self, wake: &Wake) -> io::Result<()> {
        match &mut self.way {
            Way::Ring(ring) => ring.begin(wake),
            Way::Epoll { epoll, .. } => epoll.add(wake, WAKE),
        }
    }

    /// Gives `token`, which is below 2^63, whenever packets have come on a socket.
    pub(crate) fn add(&mut self, socket: &UdpSocket, token: u64) -> io::Result<()> {
        match &mut self.way {
            Way::Ring(ring) => ring.receive_on(socket, token),
            Way::Epoll { epoll, .. } => epoll.add(socket, token),
        }
    }

    /// Gives it no more. A socket that was never added is no error.
    pub(crate) fn remove(&mut self, socket: &UdpSocket, token: u64) {
        match &mut self.way {
            Way::Ring(ring) => ring.cancel(token),
            Way::Epoll { epoll, .. } => epoll.remove(socket),
        }
    }

    /// From now on packets may wait this long for others; `None`: a wait ends with the first. Gives whether they do: with
    /// epoll a wait always ends with the first.
    pub(crate) fn gather(&mut self, longest: Option<Duration>) -> bool {
        match &mut self.way {
            Way::Ring(ring) => {
                ring.gather(longest);
                longest.is_some()
            }
            Way::Epoll { .. } => false,
        }
    }

    /// Sends what is to be sent and waits until something comes or the time is over.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        match &mut self.way {
            Way::Ring(ring) => ring.wait(timeout),
            Way::Epoll { epoll, ready, next } => {
                (*ready, *next) = (epoll.wait(timeout)?, 0);
                Ok(())
            }
        }
    }

    /// The next token for which something has come since the wait; [`WAKE`] when the thread was woken.
    pub(crate) fn poll_token(&mut self) -> Option<u64> {
        match &mut self.way {
            Way::Ring(ring) => ring.poll_token(&mut self.batch),
            Way::Epoll { epoll, ready, next } => {
                let index = *next;
                *next += 1;
                (index < *ready).then(|| epoll.token(index))
            }
        }
    }

    /// What has come on the socket of the last token. Gives how many packets the batch has.
    ///
    /// # Errors
    /// Nothing has come after all, or word that something sent before did not arrive.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        match &mut self.way {
            Way::Ring(ring) => ring.receive(socket),
            Way::Epoll { .. } => epoll::receive(&mut self.batch, socket),
        }
    }

    /// The packets that were received last.
    pub(crate) fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Sends packets of the batch to one address, now or with the next wait: nobody may change them afterwards. Of one that
    /// was counted as sent and could not be, [`poll_failure`](Self::poll_failure) tells.
    pub(crate) fn send(&mut self, socket: &UdpSocket, chosen: Chosen, destination: &RawAddress, label: Label) -> Sent {
        match &mut self.way {
            Way::Ring(ring) => ring.send(&self.batch, socket, chosen, destination, label),
            Way::Epoll { .. } => epoll::send(&self.batch, socket, chosen, destination),
        }
    }

    /// A packet that was counted as sent, and was not.
    pub(crate) fn poll_failure(&mut self) -> Option<Failure> {
        match &mut self.way {
            Way::Ring(ring) => ring.poll_failure(),
            Way::Epoll { .. } => None,
        }
    }

    /// Sends what is to be sent. No socket may be closed before this was true.
    pub(crate) fn flush(&mut self) -> bool {
        match &mut self.way {
            Way::Ring(ring) => ring.flush(),
            Way::Epoll { .. } => true,
        }
    }
}
