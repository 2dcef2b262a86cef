//! The system calls for which the standard library has no safe wrapper: epoll, eventfd, `recvmmsg`, `sendmmsg` and
//! `sched_setscheduler`. All `unsafe` of this crate is here. Linux only.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many packets are received or sent with one system call.
pub(crate) const BATCH: usize = 16;

/// The longest packet that is relayed, in bytes: more than an Ethernet frame holds. Longer ones are dropped.
pub(crate) const PACKET_BYTES_MAX: usize = 2048;
/// Room behind a packet for what SRTP adds to it.
const ROOM: usize = 32;

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

/// What other threads wake a packet thread with.
#[derive(Debug)]
pub(crate) struct Wake {
    counter: File,
    /// Signalled and not yet heard: a second signal would cost a system call for nothing.
    pending: AtomicBool,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointer.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        Ok(Self { counter: File::from(owned(fd)?), pending: AtomicBool::new(false) })
    }

    /// Wakes the thread. To be called after what it is woken for has been queued.
    pub(crate) fn signal(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            // The only error is that the counter would overflow, and then the thread is awake already.
            let _ = (&self.counter).write(&1_u64.to_ne_bytes());
        }
    }

    /// The thread has woken. To be called before it looks at its queue.
    pub(crate) fn heard(&self) {
        // The only error is that nobody has signalled.
        let _ = (&self.counter).read(&mut [0; 8]);
        // Reading what a signal wrote makes all that was queued before that signal visible here.
        self.pending.swap(false, Ordering::AcqRel);
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> i32 {
        self.counter.as_raw_fd()
    }
}

/// A socket address as the kernel lays it out (`sockaddr_in`, `sockaddr_in6`); all zeros is no address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(8))]
pub(crate) struct RawAddress([u8; 32]);

impl RawAddress {
    pub(crate) fn from_words(words: [u64; 4]) -> Self {
        let mut raw = [0; 32];
        for (bytes, word) in raw.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        Self(raw)
    }

    pub(crate) fn words(&self) -> [u64; 4] {
        std::array::from_fn(|index| u64::from_ne_bytes(self.field(index * 8)))
    }

    pub(crate) fn socket_addr(&self) -> Option<SocketAddr> {
        let port = u16::from_be_bytes(self.field(2));
        match self.family() {
            libc::AF_INET => Some(SocketAddrV4::new(Ipv4Addr::from(self.field::<4>(4)), port).into()),
            libc::AF_INET6 => {
                let scope = u32::from_ne_bytes(self.field(24));
                Some(SocketAddrV6::new(Ipv6Addr::from(self.field::<16>(8)), port, 0, scope).into())
            }
            _ => None,
        }
    }

    fn family(&self) -> i32 {
        i32::from(u16::from_ne_bytes(self.field(0)))
    }

    /// How many bytes the kernel is to read.
    fn len(&self) -> libc::socklen_t {
        match self.family() {
            libc::AF_INET => 16,
            libc::AF_INET6 => 28,
            _ => 0,
        }
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|index| self.0[at + index])
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> Self {
        let mut raw = [0; 32];
        raw[2..4].copy_from_slice(&address.port().to_be_bytes());
        let family = match address.ip() {
            IpAddr::V4(ip) => {
                raw[4..8].copy_from_slice(&ip.octets());
                libc::AF_INET
            }
            IpAddr::V6(ip) => {
                raw[8..24].copy_from_slice(&ip.octets());
                libc::AF_INET6
            }
        };
        if let SocketAddr::V6(address) = address {
            raw[24..28].copy_from_slice(&address.scope_id().to_ne_bytes());
        }
        raw[..2].copy_from_slice(&(family as u16).to_ne_bytes());
        Self(raw)
    }
}

/// The packets received with one call, in buffers that are used again for the next.
pub(crate) struct Batch {
    buffers: Box<[[u8; PACKET_BYTES_MAX + ROOM]; BATCH]>,
    lengths: [usize; BATCH],
    sources: [RawAddress; BATCH],
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self {
            buffers: Box::new([[0; PACKET_BYTES_MAX + ROOM]; BATCH]),
            lengths: [0; BATCH],
            sources: [RawAddress::default(); BATCH],
        }
    }

    /// Receives what is waiting, at most [`BATCH`] packets, without waiting for any. Gives how many.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let mut vectors = self.vectors();
        let mut headers = empty_headers();
        let first = vectors.as_mut_ptr();
        for (index, (header, source)) in headers.iter_mut().zip(&mut self.sources).enumerate() {
            header.msg_hdr.msg_name = ptr::from_mut(source).cast();
            header.msg_hdr.msg_namelen = size_of::<RawAddress>() as libc::socklen_t;
            header.msg_hdr.msg_iov = first.wrapping_add(index);
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each header points to one vector and one source, and each vector to one buffer, of the sizes stated.
        // All of them are initialised, distinct, and outlive the call.
        let count = check(unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        })? as usize;
        for (length, header) in self.lengths.iter_mut().zip(&headers).take(count) {
            let whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            *length = if whole { (header.msg_len as usize).min(PACKET_BYTES_MAX) } else { 0 };
        }
        Ok(count)
    }

    /// A packet of the last [`receive`](Self::receive). One that was longer than its buffer is given as empty.
    pub(crate) fn packet(&mut self, index: usize) -> (Option<SocketAddr>, &mut [u8]) {
        (self.sources[index].socket_addr(), &mut self.buffers[index][..self.lengths[index]])
    }

    /// The buffer of a packet, and how much of it the packet is.
    pub(crate) fn with_room(&mut self, index: usize) -> (&mut [u8], usize) {
        (&mut self.buffers[index], self.lengths[index])
    }

    /// The packet has become longer or shorter in its place.
    pub(crate) fn set_length(&mut self, index: usize, length: usize) {
        self.lengths[index] = length.min(PACKET_BYTES_MAX + ROOM);
    }

    /// Sends the chosen packets of the last [`receive`](Self::receive) to one address.
    pub(crate) fn send(&mut self, socket: &UdpSocket, chosen: Chosen, destination: &RawAddress) -> Sent {
        let mut vectors = self.vectors();
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
        for (vector, length) in vectors.iter_mut().zip(self.lengths) {
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

    fn vectors(&mut self) -> [libc::iovec; BATCH] {
        let mut buffers = self.buffers.iter_mut();
        std::array::from_fn(|_| match buffers.next() {
            Some(buffer) => libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: PACKET_BYTES_MAX },
            None => libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 },
        })
    }
}

/// Which packets of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen(u16);

impl Chosen {
    pub(crate) fn add(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn count(self) -> u64 {
        u64::from(self.0.count_ones())
    }

    pub(crate) fn indices(self) -> impl Iterator<Item = usize> {
        (0..BATCH).filter(move |index| self.0 >> index & 1 == 1)
    }
}

/// What became of the packets of one [`Batch::send`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
}

/// Lets the calling thread go before every ordinary one, and in turn with others like it (`SCHED_RR`, lowest priority).
///
/// # Errors
///
/// `EPERM` without `CAP_SYS_NICE` or a limit (`RLIMIT_RTPRIO`) that allows it; the thread goes on as it was.
pub(crate) fn real_time() -> io::Result<()> {
    // SAFETY: a sched_param is integers, for which zero is a value; on some systems it has more than the priority.
    let mut parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    parameter.sched_priority = 1;
    // SAFETY: `parameter` lives until the call returns; 0 is the calling thread.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const parameter) })?;
    Ok(())
}

fn empty_headers() -> [libc::mmsghdr; BATCH] {
    // SAFETY: an mmsghdr is integers and pointers, for all of which zero is a value.
    unsafe { std::mem::zeroed() }
}

fn owned(fd: i32) -> io::Result<OwnedFd> {
    let fd = check(fd)?;
    // SAFETY: the descriptor has just been created and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests;
