//! Keys of SRTP, and the telephone's side of them.

use sx_media::StreamKeys;
use sx_rtp::srtp::{MasterKey, Protector, Suite, Unprotector};

/// The keys of a stream as the exchange has them.
pub fn keys(suite: Suite, first: u8) -> StreamKeys {
    let key = |first: u8| {
        let bytes: Vec<u8> = (first..).take(suite.key_bytes() + suite.salt_bytes()).collect();
        MasterKey::from_bytes(suite, &bytes).unwrap()
    };
    StreamKeys { suite, ours: key(first), theirs: key(first + 50), mki_bytes: 0 }
}

/// A telephone's side of them.
pub struct Ends {
    pub protector: Protector,
    pub unprotector: Unprotector,
}

impl Ends {
    pub fn of(keys: &StreamKeys) -> Self {
        Self {
            protector: Protector::new(keys.suite, &keys.theirs).unwrap(),
            unprotector: Unprotector::new(keys.suite, &keys.ours).unwrap(),
        }
    }

    pub fn protect(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = [packet, &[0; 40]].concat();
        let len = if sx_rtp::is_rtcp(packet) {
            self.protector.protect_rtcp(&mut buffer, packet.len())
        } else {
            self.protector.protect_rtp(&mut buffer, packet.len())
        };
        buffer.truncate(len.unwrap());
        buffer
    }

    pub fn open(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        let len = if sx_rtp::is_rtcp(&packet) {
            self.unprotector.unprotect_rtcp(&mut packet)
        } else {
            self.unprotector.unprotect_rtp(&mut packet)
        };
        packet.truncate(len.unwrap());
        packet
    }
}
