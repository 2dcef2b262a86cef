//! The packets that wait for their turn, in the order of their numbers, in buffers that are used again.

use super::Content;
use super::timeline::Place;
use crate::Header;
use std::collections::VecDeque;

/// Buffers kept for the next packets.
const SPARE_MAX: usize = 16;

/// Packets by their numbers; so many of them, and so many bytes, at most.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    packets: VecDeque<Packet>,
    spare: Vec<Vec<u8>>,
    bytes: usize,
    packets_max: usize,
    bytes_max: usize,
}

/// One packet.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    /// Its sequence number, counted on beyond 16 bits.
    pub number: u64,
    /// Where it belongs on the sender's time line, in nanoseconds.
    pub position: i64,
    /// It follows what was there before, although its number does not.
    pub begins: bool,
    pub header: Header,
    pub content: Content,
    pub bytes: Vec<u8>,
}

impl Waiting {
    pub fn new(packets_max: usize, bytes_max: usize) -> Self {
        Self { packets: VecDeque::new(), spare: Vec::new(), bytes: 0, packets_max: packets_max.max(1), bytes_max }
    }

    pub fn len(&self) -> usize {
        self.packets.len()
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn is_full(&self) -> bool {
        self.packets.len() > self.packets_max || self.bytes > self.bytes_max
    }

    pub fn first(&self) -> Option<&Packet> {
        self.packets.front()
    }

    pub fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.bytes.len();
        Some(packet)
    }

    /// Puts a packet into its place; `false` when it is there already. Whoever calls takes out what is too much.
    pub fn insert(&mut self, place: Place, header: Header, content: Content, payload: &[u8]) -> bool {
        let Place { number, position, begins, .. } = place;
        // Nearly always it is the newest: look from the end.
        let after = self.packets.iter().rposition(|packet| packet.number <= number);
        if after.is_some_and(|index| self.packets[index].number == number) {
            return false;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(payload);
        self.bytes += bytes.len();
        self.packets
            .insert(after.map_or(0, |index| index + 1), Packet { number, position, begins, header, content, bytes });
        true
    }

    /// Takes the buffer of a packet back. One that is much larger than what waits may need is given up.
    pub fn recycle(&mut self, bytes: Vec<u8>) {
        if self.spare.len() < SPARE_MAX && bytes.capacity() <= self.bytes_max / SPARE_MAX {
            self.spare.push(bytes);
        }
    }
}
