//! Many datagrams in one system call: `recvmmsg` and `sendmmsg`.
//!
//! The only unsafe code of the crate.

use bytes::Bytes;
use socket2::{SockAddr, SockAddrStorage};
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;

/// Datagrams in one system call.
pub(crate) const BATCH: usize = 64;

/// Datagrams as they were received together, in one buffer that is allocated once.
pub(crate) struct ReceiveBatch {
    /// BATCH slots of `slot` bytes. Pages that no datagram reached are never touched.
    buffer: Vec<u8>,
    slot: usize,
    received: [Received; BATCH],
    count: usize,
}

#[derive(Clone, Copy)]
struct Received {
    length: usize,
    from: Option<SocketAddr>,
    truncated: bool,
}

/// A datagram within its batch.
pub(crate) struct Datagram<'a> {
    /// `None` when the kernel named no internet address.
    pub from: Option<SocketAddr>,
    pub bytes: &'a [u8],
    /// It was longer than a slot, and the rest is lost.
    pub truncated: bool,
}

impl ReceiveBatch {
    pub fn new(slot: usize) -> Self {
        let nothing = Received { length: 0, from: None, truncated: false };
        Self { buffer: vec![0; slot * BATCH], slot, received: [nothing; BATCH], count: 0 }
    }

    /// How many datagrams the last call received.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Datagram `index` of the last call; `index` is below [`count`](Self::count).
    pub fn datagram(&self, index: usize) -> Datagram<'_> {
        let Received { length, from, truncated } = self.received[index];
        Datagram { from, bytes: &self.buffer[index * self.slot..][..length], truncated }
    }

    /// Receives what is there, without waiting.
    pub fn receive(&mut self, socket: RawFd) -> io::Result<()> {
        self.count = 0;
        let mut names: [SockAddrStorage; BATCH] = std::array::from_fn(|_| SockAddrStorage::zeroed());
        let mut parts: [libc::iovec; BATCH] = std::array::from_fn(|_| EMPTY_PART);
        let mut headers: [libc::mmsghdr; BATCH] = std::array::from_fn(|_| empty_header());
        let slots = self.buffer.chunks_exact_mut(self.slot);
        for (((header, part), name), slot) in headers.iter_mut().zip(&mut parts).zip(&mut names).zip(slots) {
            *part = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
            header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = name.size_of();
            header.msg_hdr.msg_iov = part;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: every header points to a name, an iovec and a slot of its own, all of which outlive the call, with
        // their true sizes; there are BATCH headers; a null timeout is allowed.
        let received = unsafe {
            libc::recvmmsg(socket, headers.as_mut_ptr(), BATCH as _, libc::MSG_DONTWAIT as _, std::ptr::null_mut())
        };
        // Negative, and only then, when errno says why.
        let count = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for ((header, name), entry) in headers.iter().zip(names).take(count).zip(&mut self.received) {
            // SAFETY: the kernel has written an address of `msg_namelen` bytes into the storage, which was zeroed.
            let name = unsafe { SockAddr::new(name, header.msg_hdr.msg_namelen) };
            *entry = Received {
                length: (header.msg_len as usize).min(self.slot),
                from: name.as_socket(),
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            };
        }
        self.count = count;
        Ok(())
    }
}

/// Sends up to [`BATCH`] datagrams without waiting; how many the kernel took. An error concerns the first of them.
pub(crate) fn send<'a>(
    socket: RawFd,
    datagrams: impl Iterator<Item = (&'a SocketAddr, &'a Bytes)>,
) -> io::Result<usize> {
    let mut names: [Option<SockAddr>; BATCH] = std::array::from_fn(|_| None);
    let mut parts: [libc::iovec; BATCH] = std::array::from_fn(|_| EMPTY_PART);
    let mut headers: [libc::mmsghdr; BATCH] = std::array::from_fn(|_| empty_header());
    let mut count = 0;
    for (((header, part), name), (to, bytes)) in headers.iter_mut().zip(&mut parts).zip(&mut names).zip(datagrams) {
        *part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let name = name.insert(SockAddr::from(*to));
        header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = name.len();
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the first `count` headers each point to a name, an iovec and bytes that outlive the call, with their
    // true sizes; the kernel only reads what they point to.
    let sent =
        unsafe { libc::sendmmsg(socket, headers.as_mut_ptr(), count, (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

const EMPTY_PART: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

fn empty_header() -> libc::mmsghdr {
    // SAFETY: a message header of zeros is one without name, parts and control data.
    unsafe { std::mem::zeroed() }
}
