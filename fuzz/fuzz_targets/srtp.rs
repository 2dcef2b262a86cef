//! Datagrams for an unprotector: none is accepted that its peer has not made, each that it made is accepted once at most,
//! and what is refused changes nothing. The first byte says how: the suite, an identifier, when keys change, what is flipped.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::hash::{DefaultHasher, Hash, Hasher};
use sx_rtp::is_rtcp;
use sx_rtp::srtp::{MasterKey, Protector, ProtectorState, SrtpError, Suite, Unprotector, UnprotectorState};

/// Stands between packets; each comes unprotected, and then as the peer protects it.
const SEPARATOR: u8 = 0x1e;
const MKI: [u8; 3] = [1, 2, 3];

/// A key that each input has for itself: from one that all had, the fuzzer would learn to forge, since it sees what is
/// compared.
fn key(suite: Suite, input: &[u8], number: u64) -> MasterKey {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let seed = hasher.finish().wrapping_add(number).to_be_bytes();
    let bytes: Vec<u8> = seed.into_iter().cycle().take(suite.key_bytes() + suite.salt_bytes()).collect();
    MasterKey::from_bytes(suite, &bytes).expect("its length")
}

struct Sides {
    protector: Protector,
    unprotector: Unprotector,
    /// What was sent, and whether it has come out.
    sent: Vec<(Vec<u8>, Vec<u8>, bool)>,
}

impl Sides {
    fn new(suite: Suite, key: &MasterKey, mki: bool) -> Self {
        let mut protector = Protector::new(suite, key).expect("its key");
        let mut unprotector = Unprotector::new(suite, key).expect("its key");
        if mki {
            protector = protector.with_mki(&MKI).expect("its length");
            unprotector = unprotector.with_mki_bytes(MKI.len()).expect("its length");
        }
        Self { protector, unprotector, sent: Vec::new() }
    }

    fn protect(&mut self, plain: &[u8]) {
        let mut buffer = [plain, &[0; 64]].concat();
        let rtcp = is_rtcp(plain);
        let before = self.protector.export();
        let protected = if rtcp {
            self.protector.protect_rtcp(&mut buffer, plain.len())
        } else {
            self.protector.protect_rtp(&mut buffer, plain.len())
        };
        let Ok(len) = protected else {
            assert_eq!(buffer[..plain.len()], *plain, "what is refused stays as it was");
            return assert_eq!(self.protector.export(), before);
        };
        let overhead = if rtcp { self.protector.rtcp_overhead() } else { self.protector.rtp_overhead() };
        assert_eq!(len, plain.len() + overhead);
        buffer.truncate(len);
        self.sent.push((buffer, plain.to_vec(), false));
    }

    fn receive(&mut self, datagram: &[u8]) {
        let before = self.unprotector.export();
        for rtcp in [false, true] {
            let mut packet = datagram.to_vec();
            let opened = if rtcp {
                self.unprotector.unprotect_rtcp(&mut packet)
            } else {
                self.unprotector.unprotect_rtp(&mut packet)
            };
            match opened {
                Ok(len) => {
                    let suite = self.protector.suite();
                    let mki = self.protector.rtp_overhead() - suite.rtp_overhead();
                    let arrived = without_mki(suite, mki, datagram);
                    let sent = self.sent.iter_mut().find(|(sealed, _, _)| without_mki(suite, mki, sealed) == arrived);
                    let (_, plain, out) = sent.expect("nothing is accepted that the peer has not made");
                    assert_eq!(packet[..len], *plain);
                    assert!(!std::mem::replace(out, true), "nothing is accepted twice");
                    return;
                }
                Err(error) => assert!(!matches!(error, SrtpError::NoRoom | SrtpError::IndexUsed)),
            }
        }
        assert_eq!(self.unprotector.export(), before, "what is refused changes nothing");
    }

    /// Another process goes on.
    fn move_on(&mut self) {
        let text = serde_json::to_string(&(self.protector.export(), self.unprotector.export())).expect("a value");
        let (sending, receiving): (ProtectorState, UnprotectorState) = serde_json::from_str(&text).expect("the same");
        self.protector = Protector::import(&sending).expect("its state");
        self.unprotector = Unprotector::import(&receiving).expect("its state");
    }
}

/// A packet without its identifier, which nobody authenticates: it precedes the tag, or follows that of AES-GCM.
fn without_mki(suite: Suite, mki: usize, packet: &[u8]) -> Vec<u8> {
    let behind = match suite {
        Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => 0,
        Suite::AesCm128HmacSha1_32 if !is_rtcp(packet) => 4,
        Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => 10,
    };
    let end = packet.len() - behind;
    [&packet[..end - mki], &packet[end..]].concat()
}

fuzz_target!(|input: &[u8]| {
    let Some((how, packets)) = input.split_first() else { return };
    let suite = Suite::ALL[usize::from(how & 3)];
    let mut sides = Sides::new(suite, &key(suite, input, u64::MAX), how & 4 != 0);
    for (turn, packet) in packets.split(|byte| *byte == SEPARATOR).take(200).enumerate() {
        sides.receive(packet);
        sides.protect(packet);
        match (how >> 3 ^ turn as u8) & 7 {
            0 => {
                let new = key(suite, input, turn as u64);
                sides.unprotector.rekey(&new).expect("its key");
                sides.protector.rekey(&new).expect("its key");
            }
            1 => sides.move_on(),
            2 | 3 => {
                // A bit is flipped on the way, and then the packet itself comes.
                if let Some((mut sealed, _, _)) = sides.sent.last().cloned() {
                    let place = usize::from(*how) * 7 % sealed.len();
                    sealed[place] ^= 1 << (turn & 7);
                    sides.receive(&sealed);
                }
            }
            _ => {}
        }
        for place in (0..sides.sent.len()).rev().take(3) {
            let sealed = sides.sent[place].0.clone();
            sides.receive(&sealed);
        }
    }
});
