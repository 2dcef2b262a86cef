//! Writes that the kernel carries out while the thread goes on: Linux's asynchronous I/O (io_submit(2)), which needs no
//! thread to wait in, and which containers allow where they forbid io_uring.
//!
//! One write at a time. When it is done the kernel adds to an event counter, which a worker waits for as for a socket.

use super::blocks::Blocks;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// The kernel's `struct iocb`, as `linux/aio_abi.h` has it on a little-endian machine.
#[repr(C)]
#[derive(Default)]
struct Iocb {
    data: u64,
    key: u32,
    rw_flags: u32,
    opcode: u16,
    priority: i16,
    file: u32,
    buffer: u64,
    bytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    event: u32,
}

/// The kernel's `struct io_event`.
#[repr(C)]
#[derive(Default)]
struct IoEvent {
    data: u64,
    object: u64,
    result: i64,
    result2: i64,
}

const PWRITE: u16 = 1;
/// `event` of the control block is an event counter.
const WITH_EVENT: u32 = 1;
/// As `O_DSYNC`, for this write.
const DSYNC: u32 = 2;

/// One write at a time of blocks that it owns meanwhile.
pub(crate) struct Aio {
    context: libc::c_ulong,
    /// What the kernel reads from; not touched while `flying`.
    blocks: Blocks,
    flying: bool,
}

impl Aio {
    /// A context for one write.
    pub(crate) fn open() -> io::Result<Self> {
        let mut context: libc::c_ulong = 0;
        // SAFETY: the kernel writes the handle it chooses to the place given, which is valid and zero as it demands.
        let done = unsafe { libc::syscall(libc::SYS_io_setup, 1, &raw mut context) };
        checked(done)?;
        Ok(Self { context, blocks: Blocks::default(), flying: false })
    }

    /// Begins to write the blocks at `offset`; they have reached the disk itself when it is done, and `event` counts
    /// one more then. No other write may be going on.
    pub(crate) fn begin(
        &mut self,
        file: &File,
        blocks: Blocks,
        offset: u64,
        event: BorrowedFd<'_>,
    ) -> Result<(), (io::Error, Blocks)> {
        debug_assert!(!self.flying, "one write at a time");
        self.blocks = blocks;
        let bytes = self.blocks.bytes();
        let mut iocb = Iocb {
            rw_flags: DSYNC,
            opcode: PWRITE,
            file: file.as_raw_fd().cast_unsigned(),
            buffer: bytes.as_ptr() as u64,
            bytes: bytes.len() as u64,
            offset: offset.cast_signed(),
            flags: WITH_EVENT,
            event: event.as_raw_fd().cast_unsigned(),
            ..Iocb::default()
        };
        let list = [&raw mut iocb];
        // SAFETY: the list has one control block, which the kernel copies before it returns. The buffer it names belongs
        // to `self.blocks`, which nobody touches until the write is done, and `Drop` waits for that.
        let submitted = unsafe { libc::syscall(libc::SYS_io_submit, self.context, 1, list.as_ptr()) };
        match checked(submitted) {
            Ok(1) => {
                self.flying = true;
                Ok(())
            }
            Ok(_) => Err((io::ErrorKind::WouldBlock.into(), std::mem::take(&mut self.blocks))),
            Err(error) => Err((error, std::mem::take(&mut self.blocks))),
        }
    }

    /// What has become of the write, and its blocks; `None` while it goes on, or when there is none.
    pub(crate) fn poll(&mut self) -> Option<(io::Result<()>, Blocks)> {
        self.flying.then(|| self.reap(0))?
    }

    fn reap(&mut self, least: libc::c_long) -> Option<(io::Result<()>, Blocks)> {
        let mut event = IoEvent::default();
        let none = std::ptr::null_mut::<libc::timespec>();
        // SAFETY: there is room for the one event that is asked for.
        let came = unsafe { libc::syscall(libc::SYS_io_getevents, self.context, least, 1, &raw mut event, none) };
        if checked(came).ok()? != 1 {
            return None;
        }
        self.flying = false;
        let blocks = std::mem::take(&mut self.blocks);
        let wanted = blocks.bytes().len() as i64;
        let result = match event.result {
            bytes if bytes == wanted => Ok(()),
            // A write that stops in the middle has met the end of the disk; what it has left out is written again.
            bytes if bytes >= 0 => Err(io::ErrorKind::StorageFull.into()),
            error => Err(io::Error::from_raw_os_error(i32::try_from(-error).unwrap_or(libc::EIO))),
        };
        Some((result, blocks))
    }
}

impl Drop for Aio {
    fn drop(&mut self) {
        // The kernel reads the blocks until the write is done.
        while self.flying && self.reap(1).is_none() {}
        // SAFETY: the context is ours and used no more.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.context) };
    }
}

fn checked(returned: libc::c_long) -> io::Result<libc::c_long> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}
