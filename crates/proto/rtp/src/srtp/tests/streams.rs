//! Streams as they come: out of order, with losses, with several senders, around the wrap of the sequence number.

use super::*;
use crate::packet::{Extension, Extras};

#[test]
fn the_header_its_sources_and_its_extension_stay_in_the_clear() {
    //= https://www.rfc-editor.org/rfc/rfc3711#section-3.1
    //= type=test
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let header =
            Header { marker: true, payload_type: PayloadType(111), sequence: 9, timestamp: 0xdead_beef, ssrc: SSRC };
        let extension = Extension { profile: 0xbede, data: &[0x10, 0xff, 0, 0] };
        let extras = Extras { csrcs: &[Ssrc(1), Ssrc(2), Ssrc(3)], extension: Some(extension), padding: 4 };
        let mut plain = Vec::new();
        header.write_with(&extras, &[0x55; 33], &mut plain).expect("it fits its fields");
        let sealed = protect(&mut protector, &plain).expect("sent once");
        let clear = 12 + 3 * 4 + 8;
        assert_eq!(sealed[..clear], plain[..clear]);
        assert!(sealed[clear..plain.len()].iter().zip(&plain[clear..]).filter(|(a, b)| a == b).count() < 8);
        assert_eq!(sealed.len(), plain.len() + suite.rtp_overhead());
        assert_eq!(unprotect(&mut unprotector, &sealed), Ok(plain));
    }
}

#[test]
fn empty_payloads_are_protected_as_well() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let plain = &rtp(1)[..12];
        let sealed = protect(&mut protector, plain).expect("sent once");
        assert_eq!(unprotect(&mut unprotector, &sealed).as_deref(), Ok(plain));
        let sealed = protect_rtcp(&mut protector, &RTCP).expect("sent once");
        assert_eq!(sealed.len(), RTCP.len() + suite.rtcp_overhead());
        assert_eq!(sealed[..8], RTCP);
        assert_eq!(unprotect_rtcp(&mut unprotector, &sealed).as_deref(), Ok(RTCP.as_slice()));
    }
}

#[test]
fn the_rollover_counter_follows_the_wraps() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let ssrcs = |protector: &Protector, unprotector: &Unprotector| {
            (protector.rollover_counter(SSRC), unprotector.rollover_counter(SSRC))
        };
        assert_eq!(ssrcs(&protector, &unprotector), (None, None));
        for wraps in 0..3 {
            pass(&mut protector, &mut unprotector, [1, 0x4000, 0x8000, 0xc000, 0xffff]);
            assert_eq!(ssrcs(&protector, &unprotector), (Some(wraps), Some(wraps)));
        }
    }
}

#[test]
fn packets_from_both_sides_of_a_wrap_may_change_places() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let sent = [65_533, 65_534, 65_535, 0, 1, 2].map(|n| (n, protect(&mut protector, &rtp(n)).expect("sent once")));
        for place in [0, 4, 2, 3, 1, 5] {
            let (number, packet) = &sent[place];
            assert_eq!(unprotect(&mut unprotector, packet), Ok(rtp(*number)));
        }
        for (_, packet) in &sent {
            assert_eq!(unprotect(&mut unprotector, packet), Err(SrtpError::Replayed));
        }
    }
}

#[test]
fn a_sender_may_hand_in_packets_out_of_order() {
    let (mut protector, mut unprotector) = pair(Suite::AeadAes128Gcm);
    pass(&mut protector, &mut unprotector, [65_530, 65_534, 1, 65_535, 0, 65_533, 2]);
    assert_eq!(protect(&mut protector, &rtp(65_535)), Err(SrtpError::IndexUsed));
    assert_eq!(protect(&mut protector, &rtp(65_000)), Err(SrtpError::IndexUsed));
    assert_eq!(protector.rollover_counter(SSRC), Some(1));
}

#[test]
fn whoever_misses_the_packets_before_the_first_wrap_joins_all_the_same() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        for lost in [65_534, 65_535] {
            protect(&mut protector, &rtp(lost)).expect("sent once");
        }
        pass(&mut protector, &mut unprotector, 0..200);
        assert_eq!(unprotector.rollover_counter(SSRC), Some(1));
    }
}

#[test]
fn a_packet_from_before_the_first_is_neither_sent_nor_taken() {
    let (mut protector, mut unprotector) = pair(Suite::AesCm128HmacSha1_80);
    pass(&mut protector, &mut unprotector, [2]);
    assert_eq!(protect(&mut protector, &rtp(65_535)), Err(SrtpError::IndexUsed));
    // One that counts on from there takes the rollover counter from zero to one, and is understood.
    pass(&mut protector, &mut unprotector, [40_000, 60_000, 1]);
    assert_eq!((protector.rollover_counter(SSRC), unprotector.rollover_counter(SSRC)), (Some(1), Some(1)));
}

#[test]
fn losses_of_up_to_half_a_cycle_are_survived() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let mut sequence = 3_u16;
        for step in [1, 0x7fff, 0x7ffe, 0x4000, 0x7fff, 0x7fff, 0x7fff] {
            sequence = sequence.wrapping_add(step);
            pass(&mut protector, &mut unprotector, [sequence]);
        }
    }
}

#[test]
fn a_packet_behind_the_window_is_told_from_one_that_is_repeated() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let sent: Vec<_> = (0..200).map(|n| protect(&mut protector, &rtp(n)).expect("sent once")).collect();
        for packet in &sent[100..] {
            unprotect(&mut unprotector, packet).expect("not seen yet");
        }
        assert_eq!(unprotect(&mut unprotector, &sent[71]), Err(SrtpError::TooOld));
        assert_eq!(unprotect(&mut unprotector, &sent[72]), Ok(rtp(72)));
        assert_eq!(unprotect(&mut unprotector, &sent[72]), Err(SrtpError::Replayed));
        assert_eq!(unprotect(&mut unprotector, &sent[199]), Err(SrtpError::Replayed));
    }
}

#[test]
fn senders_are_counted_apart_and_so_is_rtcp() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        for sequence in [65_534_u16, 65_535, 0] {
            for ssrc in [1, 2, 3].map(Ssrc) {
                let plain = rtp_of(ssrc, sequence.wrapping_add(ssrc.0 as u16));
                let sealed = protect(&mut protector, &plain).expect("sent once");
                assert_eq!(unprotect(&mut unprotector, &sealed), Ok(plain));
            }
            let sealed = protect_rtcp(&mut protector, &RTCP).expect("room");
            assert_eq!(unprotect_rtcp(&mut unprotector, &sealed).as_deref(), Ok(RTCP.as_slice()));
            assert_eq!(unprotect_rtcp(&mut unprotector, &sealed), Err(SrtpError::Replayed));
        }
        let counters = [1, 2].map(|ssrc| unprotector.rollover_counter(Ssrc(ssrc)));
        assert_eq!(counters, [Some(1), Some(0)], "the second has begun behind the wrap");
    }
}

#[test]
fn an_identifier_of_the_key_is_written_and_passed_over() {
    for suite in Suite::ALL {
        let (protector, unprotector) = pair(suite);
        let mut protector = protector.with_mki(&[7, 8, 9, 10]).expect("its length");
        let mut unprotector = unprotector.with_mki_bytes(4).expect("its length");
        pass(&mut protector, &mut unprotector, [1, 2]);
        let sealed = protect_rtcp(&mut protector, &RTCP).expect("room");
        assert_eq!(sealed.len(), RTCP.len() + suite.rtcp_overhead() + 4);
        assert_eq!(unprotect_rtcp(&mut unprotector, &sealed).as_deref(), Ok(RTCP.as_slice()));

        let gcm = matches!(suite, Suite::AeadAes128Gcm | Suite::AeadAes256Gcm);
        let sealed = protect(&mut protector, &rtp(3)).expect("sent once");
        let behind = if gcm { 0 } else { suite.rtp_overhead() };
        assert!(sealed[..sealed.len() - behind].ends_with(&[7, 8, 9, 10]));
        let (_, mut without) = pair(suite);
        assert_eq!(unprotect(&mut without, &sealed), Err(SrtpError::NotAuthentic));
    }
    for wrong in [0, 129] {
        let (protector, unprotector) = pair(Suite::AeadAes128Gcm);
        assert_eq!(protector.with_mki(&vec![0; wrong]).err(), Some(KeyError::MkiLength));
        assert_eq!(unprotector.with_mki_bytes(wrong).err(), Some(KeyError::MkiLength));
    }
}
