//! What is refused, and that it leaves nothing behind.

use super::*;

#[test]
fn a_bit_that_is_flipped_anywhere_is_noticed_and_changes_nothing() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        pass(&mut protector, &mut unprotector, [100]);
        let sealed = protect(&mut protector, &rtp(101)).expect("sent once");
        let sealed_rtcp = protect_rtcp(&mut protector, &RTCP).expect("room");
        let before = unprotector.export();
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unprotect(&mut unprotector, &flipped).is_err(), "{suite:?} {bit}");
        }
        for bit in 0..sealed_rtcp.len() * 8 {
            let mut flipped = sealed_rtcp.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unprotect_rtcp(&mut unprotector, &flipped).is_err(), "{suite:?} {bit}");
        }
        assert_eq!(unprotector.export(), before);
        assert_eq!(unprotect(&mut unprotector, &sealed), Ok(rtp(101)));
        assert_eq!(unprotect_rtcp(&mut unprotector, &sealed_rtcp).as_deref(), Ok(RTCP.as_slice()));
    }
}

#[test]
fn forged_senders_are_not_remembered() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let other = master(suite, 99);
        let before = unprotector.export();
        for ssrc in 0..1000 {
            let mut forger = Protector::new(suite, &other).expect("its key");
            let forged = protect(&mut forger, &rtp_of(Ssrc(ssrc), 5)).expect("sent once");
            assert_eq!(unprotect(&mut unprotector, &forged), Err(SrtpError::NotAuthentic));
            let forged = [&[0x80, 201, 0, 1], ssrc.to_be_bytes().as_slice(), &[0x80; 40]].concat();
            assert_eq!(unprotect_rtcp(&mut unprotector, &forged), Err(SrtpError::NotAuthentic));
        }
        assert_eq!(unprotector.export(), before);
        pass(&mut protector, &mut unprotector, [5]);
    }
}

#[test]
fn a_sender_too_many_is_refused_on_both_sides() {
    let (mut protector, mut unprotector) = pair(Suite::AeadAes256Gcm);
    for ssrc in 0..SOURCES_MAX as u32 {
        let sealed = protect(&mut protector, &rtp_of(Ssrc(ssrc), 5)).expect("room");
        unprotect(&mut unprotector, &sealed).expect("room");
    }
    let last = rtp_of(Ssrc(1000), 5);
    assert_eq!(protect(&mut protector, &last), Err(SrtpError::TooManySources));
    assert_eq!(protect_rtcp(&mut protector, &RTCP), Err(SrtpError::TooManySources));
    let (mut other, _) = pair(Suite::AeadAes256Gcm);
    let sealed = protect(&mut other, &last).expect("room");
    assert_eq!(unprotect(&mut unprotector, &sealed), Err(SrtpError::TooManySources));
    let sealed = protect_rtcp(&mut other, &RTCP).expect("room");
    assert_eq!(unprotect_rtcp(&mut unprotector, &sealed), Err(SrtpError::TooManySources));
    // Those that are known go on.
    let sealed = protect(&mut protector, &rtp_of(Ssrc(7), 6)).expect("it is known");
    assert!(unprotect(&mut unprotector, &sealed).is_ok());
}

#[test]
fn what_is_too_short_is_said_to_be() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let sealed = protect(&mut protector, &rtp(1)[..12]).expect("sent once");
        for len in 0..sealed.len() {
            assert_eq!(unprotect(&mut unprotector, &sealed[..len]), Err(SrtpError::TooShort), "{len}");
        }
        let sealed = protect_rtcp(&mut protector, &RTCP).expect("room");
        for len in 0..sealed.len() {
            assert_eq!(unprotect_rtcp(&mut unprotector, &sealed[..len]), Err(SrtpError::TooShort), "{len}");
        }
        assert_eq!(unprotect(&mut unprotector, &sealed), Err(SrtpError::NotRtp));
        assert_eq!(unprotect_rtcp(&mut unprotector, &rtp(1)), Err(SrtpError::NotRtcp));
    }
}

#[test]
fn a_buffer_without_room_stays_as_it_is() {
    for suite in Suite::ALL {
        let (mut protector, _) = pair(suite);
        let before = protector.export();
        for (overhead, packet) in [(suite.rtp_overhead(), rtp(1)), (suite.rtcp_overhead(), RTCP.to_vec())] {
            let mut buffer = [packet.clone(), vec![0; overhead - 1]].concat();
            let protected = match crate::is_rtcp(&packet) {
                true => protector.protect_rtcp(&mut buffer, packet.len()),
                false => protector.protect_rtp(&mut buffer, packet.len()),
            };
            assert_eq!(protected, Err(SrtpError::NoRoom));
            assert_eq!(buffer[..packet.len()], packet);
        }
        assert_eq!(protector.protect_rtp(&mut rtp(1), 1000), Err(SrtpError::NoRoom));
        assert_eq!(protector.protect_rtp(&mut [0x80; 70_000], 65_536), Err(SrtpError::TooLong));
        assert_eq!(protector.protect_rtp(&mut rtp(1), usize::MAX), Err(SrtpError::TooLong));
        assert_eq!(protector.export(), before);
    }
}

#[test]
fn a_number_is_not_used_twice() {
    //= https://www.rfc-editor.org/rfc/rfc3711#section-9.1
    //= type=test
    let (mut protector, _) = pair(Suite::AesCm128HmacSha1_80);
    protect(&mut protector, &rtp(500)).expect("sent once");
    let before = protector.export();
    let mut buffer = [rtp(500), vec![0; 10]].concat();
    assert_eq!(protector.protect_rtp(&mut buffer, 32), Err(SrtpError::IndexUsed));
    assert_eq!(buffer[..32], rtp(500));
    assert_eq!(protect(&mut protector, &rtp(372)), Err(SrtpError::IndexUsed));
    assert_eq!(protector.export(), before);
    assert!(protect(&mut protector, &rtp(373)).is_ok());
}

#[test]
fn a_key_of_another_length_makes_neither_side() {
    let key = master(Suite::AeadAes256Gcm, 1);
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32, Suite::AeadAes128Gcm] {
        assert_eq!(Protector::new(suite, &key).err(), Some(KeyError::Length));
        let (mut protector, mut unprotector) = pair(suite);
        assert_eq!(protector.rekey(&key), Err(KeyError::Length));
        assert_eq!(unprotector.rekey(&key), Err(KeyError::Length));
        pass(&mut protector, &mut unprotector, [1]);
        assert!(!unprotector.is_rekeying());
    }
}
