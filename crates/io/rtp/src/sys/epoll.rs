//! Waiting with epoll, receiving and sending with a call for each socket: what every kernel has.

use super::batch::{BATCH, Batch, Chosen, PACKET_BYTES_MAX, Sent};
use super::{RawAddress, check, owned};
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

/// How many ready sockets one wait reports.
const READY_MAX: usize = 256;

/// An epoll instance: level-triggered, for reading.
#[derive(Debug)]
pub(crate) struct Epoll {
    fd: OwnedFd,
    ready: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointer.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        Ok(Self { fd: owned(fd)?, ready: vec![libc::epoll_event { events: 0, u64: 0 }; READY_MAX] })
    }

    /// Reports `token` whenever `source` can be read.
    pub(crate) fn add(&self, source: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: both descriptors are open, being borrowed, and `event` lives until the call returns.
        check(unsafe {
            libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, source.as_raw_fd(), &raw mut event)
        })?;
        Ok(())
    }

    /// Reports `source` no more. One that was never added is no error.
    pub(crate) fn remove(&self, source: &impl AsRawFd) {
        // SAFETY: both descriptors are open, being borrowed; the kernel ignores the event when removing.
        unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_DEL, source.as_raw_fd(), ptr::null_mut()) };
    }

    /// Waits until something can be read or the time is over. Gives how many tokens [`token`](Self::token) has.
    pub(crate) fn wait(&mut self, timeout: Duration) -> io::Result<usize> {
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the kernel writes at most READY_MAX events, and `ready` has that many.
        let count = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), self.ready.as_mut_ptr(), READY_MAX as i32, millis) };
        match check(count) {
            Ok(count) => Ok(count as usize),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// The token of a source that the last wait found ready.
    pub(crate) fn token(&self, index: usize) -> u64 {
        self.ready[index].u64
    }
}

/// Receives what is waiting, at most [`BATCH`] packets, without waiting for any. Gives how many.
pub(super) fn receive(batch: &mut Batch, socket: &UdpSocket) -> io::Result<usize> {
    let mut vectors = vectors(batch);
    let mut headers = empty_headers();
    let first = vectors.as_mut_ptr();
    for (index, (header, source)) in headers.iter_mut().zip(&mut batch.sources).enumerate() {
        header.msg_hdr.msg_name = ptr::from_mut(source).cast();
        header.msg_hdr.msg_namelen = size_of::<RawAddress>() as libc::socklen_t;
        header.msg_hdr.msg_iov = first.wrapping_add(index);
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: each header points to one vector and one source, and each vector to one buffer, of the sizes stated.
    // All of them are initialised, distinct, and outlive the call.
    let count = check(unsafe {
        libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), BATCH as u32, libc::MSG_DONTWAIT as _, ptr::null_mut())
    })? as usize;
    for (length, header) in batch.lengths.iter_mut().zip(&headers).take(count) {
        let whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
        *length = if whole { (header.msg_len as usize).min(PACKET_BYTES_MAX) } else { 0 };
    }
    Ok(count)
}

/// Sends the chosen packets to one address.
pub(super) fn send(batch: &Batch, socket: &UdpSocket, chosen: Chosen, destination: &RawAddress) -> Sent {
    let mut vectors = vectors(batch);
    let mut headers = empty_headers();
    let first = vectors.as_mut_ptr();
    let mut count = 0;
    for (index, header) in chosen.indices().zip(&mut headers) {
        header.msg_hdr.msg_name = ptr::from_ref(destination).cast_mut().cast();
        header.msg_hdr.msg_namelen = destination.len();
        header.msg_hdr.msg_iov = first.wrapping_add(index);
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    for (vector, length) in vectors.iter_mut().zip(batch.lengths) {
        vector.iov_len = length;
    }
    let mut sent = Sent::default();
    let mut done = 0;
    let mut refused = false;
    while done < count {
        let rest = &mut headers[done..count];
        // SAFETY: each header points to one vector and to the destination, which the kernel only reads, and each
        // vector to one buffer and the number of bytes that were received into it. All outlive the call.
        let result = check(unsafe {
            libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, libc::MSG_DONTWAIT as _)
        });
        match result {
            Ok(number) => {
                let number = number as usize;
                sent.packets += number as u64;
                sent.bytes += rest.iter().take(number).map(|header| u64::from(header.msg_len)).sum::<u64>();
                done += number.max(1);
            }
            // An ICMP error about an earlier packet is reported once, in place of sending this one.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && !refused => refused = true,
            Err(_) => {
                sent.errors += 1;
                done += 1;
            }
        }
    }
    sent
}

fn vectors(batch: &Batch) -> [libc::iovec; BATCH] {
    let vector = |slot| libc::iovec { iov_base: batch.memory.packet(slot).cast(), iov_len: PACKET_BYTES_MAX };
    batch.slots.map(vector)
}

fn empty_headers() -> [libc::mmsghdr; BATCH] {
    // SAFETY: an mmsghdr is integers and pointers, for all of which zero is a value.
    unsafe { std::mem::zeroed() }
}
