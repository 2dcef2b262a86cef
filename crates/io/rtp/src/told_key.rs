//! A key that the call was told of, and that is not passed on as well.
//!
//! What a call does about a key may be to let the parties hear each other. The end of the key is on its way three times (RFC
//! 4733, section 2.5.1.4), so that the rest of it comes when everything passes.

use crate::sys::{Chosen, Intake};
use sx_rtp::{Header, Packet, Ssrc};
use sx_types::PayloadType;

/// Packets among which its last may be.
const PACKETS_MAX: u8 = 50;

/// An event in a stream: each of its packets has the timestamp of its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToldKey {
    payload_type: PayloadType,
    ssrc: Ssrc,
    timestamp: u32,
    left: u8,
}

impl ToldKey {
    /// That of a packet with this header.
    pub(crate) fn of(header: Header) -> Self {
        let Header { payload_type, ssrc, timestamp, .. } = header;
        Self { payload_type, ssrc, timestamp, left: PACKETS_MAX }
    }

    /// The packets that are not of it, as long as some may come.
    pub(crate) fn without(&mut self, received: &mut Intake, rtp: Chosen) -> Chosen {
        let mut others = Chosen::default();
        for index in rtp.indices() {
            let is_of_it = self.left > 0 && self.has(received.batch().packet(index).1);
            self.left = self.left.saturating_sub(1);
            if !is_of_it {
                others.add(index);
            }
        }
        others
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }

    fn has(&self, packet: &[u8]) -> bool {
        Packet::parse(packet).is_ok_and(|packet| {
            (packet.payload_type(), packet.ssrc(), packet.timestamp()) == (self.payload_type, self.ssrc, self.timestamp)
        })
    }
}
