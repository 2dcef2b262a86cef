//! Packets that arrived on one socket together, in memory that the kernel writes into.

use super::RawAddress;
use std::cell::UnsafeCell;
use std::net::SocketAddr;

/// How many packets of one socket are handled together.
pub(crate) const BATCH: usize = 16;

/// The longest packet that is relayed, in bytes: more than an Ethernet frame holds. Longer ones are dropped.
pub(crate) const PACKET_BYTES_MAX: usize = 2048;

/// Room in front of a packet for what the kernel says of it, and behind it for what SRTP adds to it.
pub(super) const HEAD: usize = 48;
const ROOM: usize = 32;
const SLOT: usize = HEAD + PACKET_BYTES_MAX + ROOM;

/// Slots of one packet each. The kernel writes into some of them while others are looked at.
pub(super) struct Memory(Box<[UnsafeCell<u8>]>);

// SAFETY: what is in it is reached through pointers alone, by whoever owns the slot at that time.
unsafe impl Send for Memory {}

impl Memory {
    fn new(slots: usize) -> Self {
        Self(std::iter::repeat_with(|| UnsafeCell::new(0)).take(slots * SLOT).collect())
    }

    /// Where a slot begins: [`HEAD`] bytes, then the packet.
    pub(super) fn slot(&self, slot: u16) -> *mut u8 {
        UnsafeCell::raw_get(self.0[usize::from(slot) * SLOT..][..SLOT].as_ptr())
    }

    /// Where its packet begins.
    pub(super) fn packet(&self, slot: u16) -> *mut u8 {
        self.slot(slot).wrapping_add(HEAD)
    }
}

/// The packets that arrived on one socket together, at most [`BATCH`].
pub(crate) struct Batch {
    pub(super) memory: Memory,
    pub(super) slots: [u16; BATCH],
    pub(super) lengths: [usize; BATCH],
    pub(super) sources: [RawAddress; BATCH],
}

impl Batch {
    /// One whose packets are in so many slots, the first ones until told otherwise.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            memory: Memory::new(slots.max(BATCH)),
            slots: std::array::from_fn(|index| index as u16),
            lengths: [0; BATCH],
            sources: [RawAddress::default(); BATCH],
        }
    }

    /// A packet and where it came from. One that was longer than may be is given as empty.
    pub(crate) fn packet(&mut self, index: usize) -> (Option<SocketAddr>, &mut [u8]) {
        let (source, length) = (self.sources[index].socket_addr(), self.lengths[index]);
        (source, &mut self.with_room(index).0[..length])
    }

    /// The buffer of a packet, and how much of it the packet is.
    pub(crate) fn with_room(&mut self, index: usize) -> (&mut [u8], usize) {
        let packet = self.memory.packet(self.slots[index]);
        // SAFETY: the slot is initialised and of that length. It is the batch's until the batch is filled anew, so that
        // neither the kernel nor anybody else reaches into it, the batch being borrowed.
        (unsafe { std::slice::from_raw_parts_mut(packet, PACKET_BYTES_MAX + ROOM) }, self.lengths[index])
    }

    /// The packet has become longer or shorter in its place.
    pub(crate) fn set_length(&mut self, index: usize, length: usize) {
        self.lengths[index] = length.min(PACKET_BYTES_MAX + ROOM);
    }
}

/// Which packets of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen(u16);

impl Chosen {
    pub(crate) fn add(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    /// This one alone.
    #[cfg(test)]
    pub(super) fn one(index: usize) -> Self {
        Self(1 << index)
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.0 &= !(1 << index);
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

/// Whose packet it is that is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Label {
    /// The id of the port.
    pub(crate) port: u64,
    /// RTP and not RTCP.
    pub(crate) is_rtp: bool,
}

/// A packet that was counted as sent, and was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) label: Label,
    pub(crate) bytes: u64,
}

/// What became of packets that were to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
}
