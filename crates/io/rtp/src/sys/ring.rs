//! Packets by io_uring. A request for each socket stays with the kernel, which puts what comes into a buffer of ours and
//! says which; a buffer is the kernel's again when its packet has been looked at and, if it goes on, has left.
//!
//! ```text
//!   kernel ── packet in buffer 7 of token T ──► batch ── send buffer 7 ──► kernel ── sent ──► kernel's again
//!                                                 └────── not sent on ────────────────────────►
//! ```

use super::batch::{BATCH, Batch, Chosen, Failure, HEAD, Label, PACKET_BYTES_MAX, Sent};
use super::intake::WAKE;
use super::{RawAddress, Wake};
use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use std::collections::VecDeque;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// How many packets wait or are on their way at most; more of them wait in the buffers of their sockets. A power of two.
pub(super) const BUFFERS: usize = 256;

/// How many requests wait for the next call at most; a full queue costs a call more.
const SUBMISSIONS: u32 = 1024;
/// How many answers wait to be read before the kernel has to put them elsewhere.
const COMPLETIONS: u32 = 4096;
/// How many answers are looked at before commands have their turn.
const ANSWERS_PER_TURN: usize = 512;

/// How many sockets are waited for where packets gather: far fewer than there are buffers for packets.
pub(crate) const GATHERED: usize = BUFFERS / 4;

/// How often the kernel is asked to let go of a socket at most.
const TURNS_TO_CANCEL: usize = 256;

/// The number of the one group of buffers.
const GROUP: u16 = 0;
/// Bit of the token of an answer about a packet that was sent; its buffer is below.
const SENT: u64 = 1 << 63;

/// Of the room in front of a packet, what the kernel says of it: the bytes of its source, of control data and of itself,
/// and flags, each a `u32`. The source comes after it.
const ABOUT: usize = 16;

/// An io_uring and what it was lent.
pub(super) struct Ring {
    ring: IoUring,
    offers: Offers,
    /// What the kernel is to tell of a packet. It reads this when a request is submitted.
    header: Box<Header>,
    wake: RawFd,
    is_watching: bool,
    /// How many buffers are the kernel's to fill.
    offered: usize,
    /// Sockets whose request has ended, in the order of their turns: for want of a buffer, mostly.
    ended: VecDeque<(u64, RawFd)>,
    /// Answers that may still be looked at in this turn, and one that was looked at too early.
    left: usize,
    held: Option<cqueue::Entry>,
    /// The token that was given last, how many packets came for it, and whether its request has ended.
    token: u64,
    count: usize,
    has_ended: bool,
    /// What of the batch has not been sent.
    unsent: Chosen,
    /// Where the packet of each buffer goes.
    departures: Box<[Departure; BUFFERS]>,
    failures: Vec<Failure>,
    /// How long packets may wait for others, if they may, and how many have come since the last wait.
    gathering: Option<Duration>,
    taken: usize,
}

#[derive(Clone, Copy, Default)]
struct Departure {
    to: RawAddress,
    bytes: usize,
    /// Whom to tell if it does not get there.
    label: Label,
    under_way: bool,
}

impl Ring {
    /// One that puts packets into the slots of a batch, which is to outlive it.
    pub(super) fn new(batch: &Batch) -> io::Result<Self> {
        // The ring is made by one thread and belongs to the one that enables it.
        let ring = IoUring::builder()
            .setup_r_disabled()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let mut offers = Offers::new()?;
        offers.register(&ring)?;
        for buffer in 0..BUFFERS as u16 {
            offers.offer(batch, buffer);
        }
        Ok(Self {
            ring,
            offers,
            header: Box::new(Header::new()),
            wake: -1,
            is_watching: false,
            offered: BUFFERS,
            ended: VecDeque::new(),
            left: 0,
            held: None,
            token: WAKE,
            count: 0,
            has_ended: false,
            unsent: Chosen::default(),
            departures: Box::new([Departure::default(); BUFFERS]),
            failures: Vec::new(),
            gathering: None,
            taken: 0,
        })
    }

    pub(super) fn begin(&mut self, wake: &Wake) -> io::Result<()> {
        self.ring.submitter().register_enable_rings()?;
        self.wake = wake.as_raw_fd();
        self.watch();
        Ok(())
    }

    /// When it fails, for want of memory, the next wait tries again.
    fn watch(&mut self) {
        let request = opcode::PollAdd::new(Fd(self.wake), libc::POLLIN as u32).multi(true);
        self.is_watching = self.push(&request.build().user_data(WAKE)).is_ok();
    }

    pub(super) fn receive_on(&mut self, socket: &UdpSocket, token: u64) -> io::Result<()> {
        self.request(socket.as_raw_fd(), token)
    }

    fn request(&mut self, socket: RawFd, token: u64) -> io::Result<()> {
        let request = opcode::RecvMsgMulti::new(Fd(socket), &raw const self.header.0, GROUP);
        self.push(&request.build().user_data(token))
    }

    /// Ends the request for a socket, which the kernel would keep open otherwise.
    pub(super) fn cancel(&mut self, token: u64) {
        self.ended.retain(|(ended, _)| *ended != token);
        // A request that the kernel does not have yet cannot be cancelled.
        self.flush();
        // The only error is that the request has ended by itself.
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::user_data(token));
        // The kernel lets go of the socket when it tells that the request has ended, which has its turn behind what else has
        // happened: some of it with each call.
        for _ in 0..TURNS_TO_CANCEL {
            if self.ring.submit().is_err() || !self.ring.submission().taskrun() {
                break;
            }
        }
    }

    /// False: something could not be submitted, and stays in the queue.
    pub(super) fn flush(&mut self) -> bool {
        while !self.ring.submission().is_empty() {
            if self.ring.submit().is_err() {
                return false;
            }
        }
        true
    }

    /// Requests that have ended are made anew, no more of them than there are buffers for: each would end again at once.
    fn renew(&mut self) {
        for _ in 0..self.offered {
            let Some((token, socket)) = self.ended.pop_front() else { return };
            if self.request(socket, token).is_err() {
                self.ended.push_front((token, socket));
                return;
            }
        }
    }

    pub(super) fn gather(&mut self, longest: Option<Duration>) {
        self.gathering = longest;
    }

    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        if !self.is_watching {
            self.watch();
        }
        self.renew();
        self.left = ANSWERS_PER_TURN;
        let (timeout, wanted) = match self.gathering {
            _ if self.held.is_some() => (timeout, 0),
            // What is sent now is answered at once, and is nothing to wait for. The kernel counts sockets on which something
            // has come: few of them may have many packets, which have come together by themselves then.
            Some(longest) if timeout > longest && self.taken < GATHERED => {
                (longest, self.ring.submission().len() + GATHERED)
            }
            _ => (timeout, 1),
        };
        self.taken = 0;
        let time = Timespec::from(timeout);
        match self.ring.submitter().submit_with_args(wanted, &SubmitArgs::new().timespec(&time)) {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // The time is over, a signal has come, or answers are to be read first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    pub(super) fn poll_token(&mut self, batch: &mut Batch) -> Option<u64> {
        self.give_back(batch);
        loop {
            let answer = self.poll_answer()?;
            match answer.user_data() {
                WAKE => {
                    if !cqueue::more(answer.flags()) {
                        self.watch();
                    }
                    return Some(WAKE);
                }
                token if token & SENT != 0 => self.sent(batch, (token & !SENT) as u16, answer.result()),
                token => {
                    self.load(batch, token, &answer);
                    return Some(token);
                }
            }
        }
    }

    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        if std::mem::take(&mut self.has_ended) {
            self.ended.push_back((self.token, socket.as_raw_fd()));
        }
        if self.count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(self.count) }
    }

    pub(super) fn send(
        &mut self,
        batch: &Batch,
        socket: &UdpSocket,
        chosen: Chosen,
        destination: &RawAddress,
        label: Label,
    ) -> Sent {
        let mut sent = Sent::default();
        for index in chosen.indices() {
            let buffer = batch.slots[index];
            let departure = &mut self.departures[usize::from(buffer)];
            if departure.under_way {
                // There is one place for where a packet goes, so that it leaves once.
                sent.errors += 1;
                continue;
            }
            *departure = Departure { to: *destination, bytes: batch.lengths[index], label, under_way: true };
            let request =
                opcode::Send::new(Fd(socket.as_raw_fd()), batch.memory.packet(buffer), batch.lengths[index] as u32)
                    .dest_addr((&raw const departure.to).cast())
                    .dest_addr_len(destination.len())
                    .flags(libc::MSG_DONTWAIT);
            if self.push(&request.build().user_data(SENT | u64::from(buffer))).is_ok() {
                self.unsent.remove(index);
                sent.packets += 1;
                sent.bytes += batch.lengths[index] as u64;
            } else {
                self.departures[usize::from(buffer)].under_way = false;
                sent.errors += 1;
            }
        }
        sent
    }

    pub(super) fn poll_failure(&mut self) -> Option<Failure> {
        self.failures.pop()
    }

    /// What was not sent of the last batch is the kernel's again.
    fn give_back(&mut self, batch: &Batch) {
        for index in std::mem::take(&mut self.unsent).indices() {
            self.offer(batch, batch.slots[index]);
        }
        self.count = 0;
        self.has_ended = false;
    }

    /// A packet has left, or could not.
    fn sent(&mut self, batch: &Batch, buffer: u16, result: i32) {
        let departure = &mut self.departures[usize::from(buffer)];
        departure.under_way = false;
        if result < 0 {
            self.failures.push(Failure { label: departure.label, bytes: departure.bytes as u64 });
        }
        self.offer(batch, buffer);
    }

    fn offer(&mut self, batch: &Batch, buffer: u16) {
        self.offers.offer(batch, buffer);
        self.offered += 1;
    }

    fn poll_answer(&mut self) -> Option<cqueue::Entry> {
        if self.left == 0 {
            return None;
        }
        let answer = self.held.take().or_else(|| self.ring.completion().next())?;
        self.left -= 1;
        Some(answer)
    }

    /// The packets of one socket that came one after the other become the batch.
    fn load(&mut self, batch: &mut Batch, token: u64, first: &cqueue::Entry) {
        self.token = token;
        self.take(batch, first);
        while self.count < BATCH && !self.has_ended {
            let Some(answer) = self.poll_answer() else { return };
            if answer.user_data() != token {
                self.held = Some(answer);
                self.left += 1;
                return;
            }
            self.take(batch, &answer);
        }
    }

    fn take(&mut self, batch: &mut Batch, answer: &cqueue::Entry) {
        self.has_ended |= !cqueue::more(answer.flags());
        let Some(buffer) = cqueue::buffer_select(answer.flags()) else { return };
        self.offered -= 1;
        let slot = batch.memory.slot(buffer);
        // SAFETY: the slot is initialised and longer than that, and the kernel, which has written to it, has let go of it.
        let (about, source) = unsafe {
            let about: [u32; ABOUT / size_of::<u32>()] = ptr::read_unaligned(slot.cast());
            (about, ptr::read_unaligned(slot.add(ABOUT).cast()))
        };
        let [_, _, length, flags] = about;
        let is_whole = answer.result() >= 0 && flags & libc::MSG_TRUNC as u32 == 0;
        let index = self.count;
        batch.slots[index] = buffer;
        batch.sources[index] = source;
        batch.lengths[index] = if is_whole { (length as usize).min(PACKET_BYTES_MAX) } else { 0 };
        self.unsent.add(index);
        self.count += 1;
        self.taken += 1;
    }

    fn push(&mut self, request: &squeue::Entry) -> io::Result<()> {
        // SAFETY: what a request points to lives until it has been answered: the header and the addresses as long as the
        // ring, packets as long as the batch, and no buffer is the kernel's to fill while its packet is under way. Its
        // socket is open when it is submitted: before one is closed there is a `flush`.
        if unsafe { self.ring.submission().push(request) }.is_ok() {
            return Ok(());
        }
        self.ring.submit()?;
        // SAFETY: as above.
        unsafe { self.ring.submission().push(request) }.map_err(|_| io::ErrorKind::OutOfMemory.into())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // The kernel lets go of our memory before that is freed. Nothing may be left to cancel.
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
    }
}

/// What is asked of each packet: its source.
struct Header(libc::msghdr);

// SAFETY: its pointers are null.
unsafe impl Send for Header {}

impl Header {
    fn new() -> Self {
        // SAFETY: a msghdr is integers and pointers, for all of which zero is a value.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_namelen = size_of::<RawAddress>() as libc::socklen_t;
        Self(header)
    }
}

/// The buffers that are the kernel's to fill: a queue that it reads.
struct Offers {
    entries: NonNull<BufRingEntry>,
    tail: u16,
}

// SAFETY: the memory is reached by whoever owns this, and by the kernel.
unsafe impl Send for Offers {}

impl Offers {
    const BYTES: usize = BUFFERS * size_of::<BufRingEntry>();

    fn new() -> io::Result<Self> {
        // SAFETY: new memory, at an address of the kernel's choice.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                Self::BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        let entries = NonNull::new(memory.cast()).filter(|_| memory != libc::MAP_FAILED);
        entries.map(|entries| Self { entries, tail: 0 }).ok_or_else(io::Error::last_os_error)
    }

    fn register(&self, ring: &IoUring) -> io::Result<()> {
        let address = self.entries.as_ptr() as u64;
        // SAFETY: the memory has room for as many entries, begins at a page, and is freed after the ring.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, BUFFERS as u16, GROUP, 0) }
    }

    fn offer(&mut self, batch: &Batch, buffer: u16) {
        let place = usize::from(self.tail) % BUFFERS;
        // SAFETY: the place is within the memory, and the kernel does not read it before the tail is behind it.
        let entry = unsafe { self.entries.add(place).as_mut() };
        entry.set_addr(batch.memory.slot(buffer) as u64);
        entry.set_len((HEAD + PACKET_BYTES_MAX) as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is within the memory, aligned, and is written by nobody else.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Offers {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and used by nobody any more: the ring has been closed.
        unsafe { libc::munmap(self.entries.as_ptr().cast(), Self::BYTES) };
    }
}
