//! The system calls for which the standard library has no safe wrapper: io_uring, epoll, eventfd, `recvmmsg`, `sendmmsg`
//! `sched_setscheduler` and `clock_gettime`. All `unsafe` of this crate is here. Linux only.

mod batch;
mod epoll;
mod intake;
mod ring;
mod written;

pub(crate) use batch::{BATCH, Batch, Chosen, Failure, Label, Sent};
pub(crate) use intake::{Intake, WAKE};
pub(crate) use ring::GATHERED;
pub(crate) use written::{Outlet, Written};

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

/// How much of its processor the calling thread has had.
pub(crate) fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives until the call returns. It cannot fail: the clock is there since Linux 2.6.12.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
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
