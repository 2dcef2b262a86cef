//! That protecting a packet and opening it allocate nothing.

use sx_rtp::srtp::{MasterKey, Protector, SrtpError, Suite, Unprotector};
use sx_testkit::{CountingAllocator, allocations};

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

const RTCP: [u8; 8] = [0x80, 201, 0, 1, 1, 2, 3, 4];

/// A packet of each kind there and back, one that is repeated and one that is forged.
fn pass(protector: &mut Protector, unprotector: &mut Unprotector, sequence: u16) {
    let mut buffer = [0x55; 512];
    let [high, low] = sequence.to_be_bytes();
    buffer[..12].copy_from_slice(&[0x80, 0, high, low, 0, 0, 0, 160, 1, 2, 3, 4]);
    let plain = buffer;
    let len = protector.protect_rtp(&mut buffer, 172).expect("sent once");
    let mut sent = buffer;
    assert_eq!(unprotector.unprotect_rtp(&mut buffer[..len]), Ok(172));
    assert_eq!(buffer[..172], plain[..172]);
    assert_eq!(unprotector.unprotect_rtp(&mut sent[..len]), Err(SrtpError::Replayed));
    sent[2] ^= 1;
    assert_eq!(unprotector.unprotect_rtp(&mut sent[..len]), Err(SrtpError::NotAuthentic));
    buffer[..8].copy_from_slice(&RTCP);
    let len = protector.protect_rtcp(&mut buffer, 8).expect("room");
    assert_eq!(unprotector.unprotect_rtcp(&mut buffer[..len]), Ok(8));
}

#[test]
fn packets_of_a_sender_that_is_known_allocate_nothing() {
    for suite in Suite::ALL {
        let bytes = vec![9; suite.key_bytes() + suite.salt_bytes()];
        let key = MasterKey::from_bytes(suite, &bytes).expect("its length");
        let mut protector = Protector::new(suite, &key).expect("its key");
        let mut unprotector = Unprotector::new(suite, &key).expect("its key");
        // A sender's first packet makes its entry.
        pass(&mut protector, &mut unprotector, 0);
        let before = allocations();
        assert!(before > 0, "the count counts");
        for turn in 1..1000_u16 {
            pass(&mut protector, &mut unprotector, turn.wrapping_mul(512));
        }
        assert_eq!(allocations() - before, 0, "{suite:?}");
    }
}
