//! A new key in the middle of a call.

use super::*;

#[test]
fn both_keys_are_taken_until_the_new_one_has_been_in_use_for_a_while() {
    for suite in Suite::ALL {
        let (mut old, mut unprotector) = pair(suite);
        let mut new = Protector::new(suite, &master(suite, 2)).expect("its key");
        pass(&mut old, &mut unprotector, 1..10);
        unprotector.rekey(&master(suite, 2)).expect("its key");
        assert!(unprotector.is_rekeying());
        pass(&mut old, &mut unprotector, 10..20);
        let late = protect(&mut old, &rtp(20)).expect("sent once");
        let repeated = protect(&mut old, &rtp(21)).expect("sent once");
        let rtcp = protect_rtcp(&mut old, &RTCP).expect("room");
        pass(&mut new, &mut unprotector, 21..100);
        assert_eq!(unprotect(&mut unprotector, &late), Ok(rtp(20)));
        assert_eq!(unprotect(&mut unprotector, &late), Err(SrtpError::Replayed));
        assert_eq!(unprotect_rtcp(&mut unprotector, &rtcp).as_deref(), Ok(RTCP.as_slice()));
        assert!(unprotector.is_rekeying());
        pass(&mut new, &mut unprotector, 100..21 + 256);
        assert!(!unprotector.is_rekeying());
        assert_eq!(unprotect(&mut unprotector, &repeated), Err(SrtpError::TooOld));
        let under_old_key = protect(&mut old, &rtp(400)).expect("sent once");
        assert_eq!(unprotect(&mut unprotector, &under_old_key), Err(SrtpError::NotAuthentic));
        pass(&mut new, &mut unprotector, 400..410);
    }
}

#[test]
fn the_rollover_counter_goes_on() {
    //= https://www.rfc-editor.org/rfc/rfc3711#section-3.3.1
    //= type=test
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        pass(&mut protector, &mut unprotector, [1, 30_000, 60_000, 20_000, 50_000, 65_000]);
        protector.rekey(&master(suite, 2)).expect("its key");
        unprotector.rekey(&master(suite, 2)).expect("its key");
        pass(&mut protector, &mut unprotector, [10]);
        assert_eq!((protector.rollover_counter(SSRC), unprotector.rollover_counter(SSRC)), (Some(2), Some(2)));
        let rtcp = protect_rtcp(&mut protector, &RTCP).expect("room");
        assert_eq!(unprotect_rtcp(&mut unprotector, &rtcp).as_deref(), Ok(RTCP.as_slice()));
    }
}

#[test]
fn a_peer_that_counts_anew_under_a_new_key_is_understood() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        pass(&mut protector, &mut unprotector, [1, 30_000, 60_000, 20_000, 50_000, 65_000]);
        unprotector.rekey(&master(suite, 2)).expect("its key");
        let mut anew = Protector::new(suite, &master(suite, 2)).expect("its key");
        pass(&mut anew, &mut unprotector, [65_001, 65_002, 1, 2]);
        assert_eq!(unprotector.rollover_counter(SSRC), Some(1));
        pass(&mut protector, &mut unprotector, [65_003]);
    }
}

#[test]
fn who_is_silent_while_the_key_changes_is_still_known_afterwards() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        pass(&mut protector, &mut unprotector, [1, 30_000, 60_000, 20_000, 50_000]);
        protector.rekey(&master(suite, 2)).expect("its key");
        unprotector.rekey(&master(suite, 2)).expect("its key");
        for sequence in 0..256 {
            let packet = protect(&mut protector, &rtp_of(Ssrc(2), sequence)).expect("sent once");
            unprotect(&mut unprotector, &packet).expect("the new key");
        }
        assert!(!unprotector.is_rekeying());
        assert_eq!(unprotector.rollover_counter(SSRC), Some(1));
        pass(&mut protector, &mut unprotector, [5]);
        assert_eq!(unprotector.rollover_counter(SSRC), Some(2));
    }
}

#[test]
fn of_three_keys_the_first_is_forgotten() {
    for suite in Suite::ALL {
        let (mut first, mut unprotector) = pair(suite);
        let [mut second, mut third] = [2, 3].map(|n| Protector::new(suite, &master(suite, n)).expect("its key"));
        pass(&mut first, &mut unprotector, [1]);
        unprotector.rekey(&master(suite, 2)).expect("its key");
        unprotector.rekey(&master(suite, 3)).expect("its key");
        let packet = protect(&mut first, &rtp(2)).expect("sent once");
        assert_eq!(unprotect(&mut unprotector, &packet), Err(SrtpError::NotAuthentic));
        pass(&mut second, &mut unprotector, [3]);
        pass(&mut third, &mut unprotector, [4]);
        pass(&mut second, &mut unprotector, [5]);
    }
}

#[test]
fn the_same_key_again_opens_no_way_for_repetitions() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        let sent = protect(&mut protector, &rtp(1)).expect("sent once");
        unprotect(&mut unprotector, &sent).expect("not seen yet");
        protector.rekey(&master(suite, 1)).expect("its key");
        unprotector.rekey(&master(suite, 1)).expect("its key");
        assert_eq!(protect(&mut protector, &rtp(1)), Err(SrtpError::IndexUsed));
        assert_eq!(unprotect(&mut unprotector, &sent), Err(SrtpError::Replayed));
        assert!(!unprotector.is_rekeying());

        // To another key and back.
        unprotector.rekey(&master(suite, 2)).expect("its key");
        let mut other = Protector::new(suite, &master(suite, 2)).expect("its key");
        pass(&mut other, &mut unprotector, [2]);
        unprotector.rekey(&master(suite, 1)).expect("its key");
        assert_eq!(unprotect(&mut unprotector, &sent), Err(SrtpError::Replayed));
        pass(&mut other, &mut unprotector, [3]);
        pass(&mut protector, &mut unprotector, 4..4 + 256);
        assert!(!unprotector.is_rekeying());
    }
}

#[test]
fn a_flipped_bit_is_noticed_under_two_keys_too() {
    for suite in Suite::ALL {
        let (mut old, mut unprotector) = pair(suite);
        pass(&mut old, &mut unprotector, [1]);
        unprotector.rekey(&master(suite, 2)).expect("its key");
        let mut new = Protector::new(suite, &master(suite, 2)).expect("its key");
        let before = unprotector.export();
        for packet in [protect(&mut old, &rtp(2)), protect(&mut new, &rtp(3))] {
            let packet = packet.expect("sent once");
            for place in 12..packet.len() {
                let mut flipped = packet.clone();
                flipped[place] ^= 0x80;
                assert_eq!(unprotect(&mut unprotector, &flipped), Err(SrtpError::NotAuthentic));
            }
        }
        assert_eq!(unprotector.export(), before);
    }
}
