//! Packets that are written here rather than received, and what they have in common with those.

use super::batch::{BATCH, Batch, Chosen, Label, PACKET_BYTES_MAX, Sent};
use super::{Intake, RawAddress, epoll};
use std::net::UdpSocket;

/// Packets in places, from which they are sent.
pub(crate) trait Outlet {
    /// The packets.
    fn batch(&mut self) -> &mut Batch;

    /// Sends some of them to one address: nobody may change them afterwards.
    fn send(&mut self, socket: &UdpSocket, chosen: Chosen, destination: &RawAddress, label: Label) -> Sent;
}

impl Outlet for Intake {
    fn batch(&mut self) -> &mut Batch {
        Self::batch(self)
    }

    fn send(&mut self, socket: &UdpSocket, chosen: Chosen, destination: &RawAddress, label: Label) -> Sent {
        Self::send(self, socket, chosen, destination, label)
    }
}

/// Packets that were written here. They are sent at once, whatever way others are received, so that their places are free again.
pub(crate) struct Written(Batch);

impl Written {
    pub(crate) fn new() -> Self {
        Self(Batch::new(BATCH))
    }

    /// Writes a packet into a place; one that is too long for it is left empty.
    pub(crate) fn put(&mut self, index: usize, packet: &[u8]) {
        let length = if packet.len() <= PACKET_BYTES_MAX { packet.len() } else { 0 };
        self.0.with_room(index).0[..length].copy_from_slice(&packet[..length]);
        self.0.set_length(index, length);
    }
}

impl Outlet for Written {
    fn batch(&mut self) -> &mut Batch {
        &mut self.0
    }

    fn send(&mut self, socket: &UdpSocket, chosen: Chosen, destination: &RawAddress, _: Label) -> Sent {
        epoll::send(&self.0, socket, chosen, destination)
    }
}
