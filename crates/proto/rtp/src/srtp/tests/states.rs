//! Both sides go on in another process.

use super::*;
use serde_json::{Value, json};

/// Through text, as another process reads it.
fn moved(protector: &Protector, unprotector: &Unprotector) -> (Protector, Unprotector) {
    let text = serde_json::to_string(&(protector.export(), unprotector.export())).expect("a value");
    let (sending, receiving): (ProtectorState, UnprotectorState) = serde_json::from_str(&text).expect("the same value");
    let moved = (Protector::import(&sending).expect("its state"), Unprotector::import(&receiving).expect("its state"));
    assert_eq!((moved.0.export(), moved.1.export()), (protector.export(), unprotector.export()));
    moved
}

#[test]
fn a_stream_goes_on_elsewhere_in_the_middle_of_a_rollover() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = pair(suite);
        pass(&mut protector, &mut unprotector, [1, 30_000, 60_000, 65_530, 65_534]);
        let rtcp = protect_rtcp(&mut protector, &RTCP).expect("room");
        unprotect_rtcp(&mut unprotector, &rtcp).expect("not seen yet");
        let late = protect(&mut protector, &rtp(65_533)).expect("sent once");
        let repeated = protect(&mut protector, &rtp(0)).expect("sent once");
        assert_eq!(unprotect(&mut unprotector, &repeated), Ok(rtp(0)));

        let (mut protector, mut unprotector) = moved(&protector, &unprotector);
        assert_eq!(unprotect(&mut unprotector, &repeated), Err(SrtpError::Replayed));
        assert_eq!(protect(&mut protector, &rtp(0)), Err(SrtpError::IndexUsed));
        assert_eq!(unprotect_rtcp(&mut unprotector, &rtcp), Err(SrtpError::Replayed));
        assert_eq!(unprotect(&mut unprotector, &late), Ok(rtp(65_533)));
        pass(&mut protector, &mut unprotector, [65_535, 1, 2]);
        assert_eq!((protector.rollover_counter(SSRC), unprotector.rollover_counter(SSRC)), (Some(1), Some(1)));
        let rtcp = protect_rtcp(&mut protector, &RTCP).expect("room");
        assert_eq!(unprotect_rtcp(&mut unprotector, &rtcp).as_deref(), Ok(RTCP.as_slice()));
    }
}

#[test]
fn two_keys_and_an_identifier_go_along() {
    for suite in Suite::ALL {
        let (protector, unprotector) = pair(suite);
        let mut protector = protector.with_mki(&[1, 2]).expect("its length");
        let mut unprotector = unprotector.with_mki_bytes(2).expect("its length");
        pass(&mut protector, &mut unprotector, [1, 40_000, 5]);
        let (mut old, _) = moved(&protector, &unprotector);
        protector.rekey(&master(suite, 2)).expect("its key");
        unprotector.rekey(&master(suite, 2)).expect("its key");
        let (mut protector, mut unprotector) = moved(&protector, &unprotector);
        assert!(unprotector.is_rekeying());
        pass(&mut protector, &mut unprotector, [6, 7]);
        pass(&mut old, &mut unprotector, [8]);
        let (_, mut unprotector) = moved(&protector, &unprotector);
        pass(&mut protector, &mut unprotector, (9..300).filter(|n| n % 8 > 0));
        assert_eq!(protector.rtp_overhead(), suite.rtp_overhead() + 2);
        assert!(!unprotector.is_rekeying());
    }
}

#[test]
fn indexes_of_rtcp_that_may_have_been_used_are_left_out() {
    let (mut protector, mut unprotector) = pair(Suite::AeadAes128Gcm);
    protect_rtcp(&mut protector, &RTCP).expect("room");
    let mut state = protector.export();
    let since: Vec<_> = (0..5).map(|_| protect_rtcp(&mut protector, &RTCP).expect("room")).collect();
    state.skip_rtcp(5);
    let mut protector = Protector::import(&state).expect("its state");
    for packet in since.into_iter().chain([protect_rtcp(&mut protector, &RTCP).expect("room")]) {
        assert_eq!(unprotect_rtcp(&mut unprotector, &packet).as_deref(), Ok(RTCP.as_slice()));
    }
}

/// The index of a protected packet of RTCP.
fn rtcp_index(packet: &[u8]) -> u32 {
    let index = packet.last_chunk().map(|index| u32::from_be_bytes(*index));
    index.expect("it ends with its index") & 0x7fff_ffff
}

/// It may have begun since, or have lost its place here: a key stream is never used twice.
#[test]
fn a_sender_that_is_not_known_begins_behind_all_that_may_have_been_used() {
    let suite = Suite::AeadAes128Gcm;
    let (mut protector, _) = pair(suite);
    let report = |ssrc: u32| [&RTCP[..4], &ssrc.to_be_bytes(), &RTCP[8..]].concat();
    for _ in 0..3 {
        protect_rtcp(&mut protector, &report(1)).expect("room");
    }
    let mut state = protector.export();
    state.skip_rtcp(100);
    let (mut protector, _) = moved(&Protector::import(&state).expect("its state"), &pair(suite).1);
    let mut sent = |ssrc| rtcp_index(&protect_rtcp(&mut protector, &report(ssrc)).expect("room"));
    assert_eq!((sent(2), sent(2)), (103, 104));
    // All places are taken, also that of the first one, which has sent nothing here.
    (3..=SOURCES_MAX as u32 + 1).for_each(|ssrc| _ = sent(ssrc));
    assert!(protect_rtcp(&mut protector, &report(1)).is_err());
    // A second time, and then with another key.
    let mut state = protector.export();
    state.skip_rtcp(100);
    let mut protector = Protector::import(&state).expect("its state");
    let index = rtcp_index(&protect_rtcp(&mut protector, &report(1)).expect("a place of one that has sent nothing"));
    assert_eq!(index, 205);
    protector.rekey(&master(suite, 2)).expect("its key");
    assert_eq!(rtcp_index(&protect_rtcp(&mut protector, &report(999)).expect("room")), 0);
}

#[test]
fn what_is_left_out_makes_no_index_of_one_that_cannot_be() {
    let (mut protector, _) = pair(Suite::AeadAes128Gcm);
    protect_rtcp(&mut protector, &RTCP).expect("room");
    let mut state = serde_json::to_value(protector.export()).expect("a value");
    state["sources"][0]["rtcp"] = json!({ "highest": u64::MAX });
    let mut state: ProtectorState = serde_json::from_value(state).expect("the same fields");
    state.skip_rtcp(4096);
    assert_eq!(Protector::import(&state).err(), Some(StateError::Index));
}

/// The state of a protector that has sent a packet of each kind, with other numbers in it.
fn edited(edit: impl FnOnce(&mut Value)) -> Result<Protector, StateError> {
    let (mut protector, _) = pair(Suite::AeadAes128Gcm);
    protect(&mut protector, &rtp(7)).expect("sent once");
    protect_rtcp(&mut protector, &RTCP).expect("room");
    let mut state = serde_json::to_value(protector.export()).expect("a value");
    edit(&mut state);
    Protector::import(&serde_json::from_value(state).expect("the same fields"))
}

#[test]
fn a_key_is_not_used_beyond_its_life() {
    //= https://www.rfc-editor.org/rfc/rfc3711#section-9.2
    //= type=test
    let mut protector = edited(|state| state["rtp_packets"] = json!((1_u64 << 48) - 1)).expect("a state");
    assert!(protect(&mut protector, &rtp(8)).is_ok());
    assert_eq!(protect(&mut protector, &rtp(9)), Err(SrtpError::KeyExhausted));
    assert!(protect_rtcp(&mut protector, &RTCP).is_ok());
    protector.rekey(&master(Suite::AeadAes128Gcm, 2)).expect("its key");
    assert!(protect(&mut protector, &rtp(9)).is_ok());

    let mut protector = edited(|state| state["rtcp_packets"] = json!((1_u64 << 31) - 1)).expect("a state");
    assert!(protect_rtcp(&mut protector, &RTCP).is_ok());
    assert_eq!(protect_rtcp(&mut protector, &RTCP), Err(SrtpError::KeyExhausted));
}

#[test]
fn a_sender_does_not_count_beyond_its_bits() {
    let highest = (1_u64 << 48) - 1;
    let mut protector = edited(|state| state["sources"][0]["rtp"]["highest"] = json!(highest)).expect("a state");
    assert_eq!(protect(&mut protector, &rtp(0)), Err(SrtpError::KeyExhausted));
    assert!(protect(&mut protector, &rtp(65_530)).is_ok());
    let highest = (1_u64 << 31) - 1;
    let mut protector = edited(|state| state["sources"][0]["rtcp"]["highest"] = json!(highest)).expect("a state");
    assert_eq!(protect_rtcp(&mut protector, &RTCP), Err(SrtpError::KeyExhausted));
}

#[test]
fn a_state_that_cannot_be_is_refused() {
    assert!(edited(|_| {}).is_ok());
    let refused = |edit: fn(&mut Value), expected| assert_eq!(edited(edit).err(), Some(expected));
    refused(|state| state["suite"] = json!("AES_CM_128_HMAC_SHA1_80"), StateError::Key(KeyError::Length));
    refused(|state| state["mki"] = json!(vec![0; 129]), StateError::Key(KeyError::MkiLength));
    refused(|state| state["sources"][0]["rtp"]["highest"] = json!(1_u64 << 48), StateError::Index);
    refused(|state| state["sources"][0]["rtcp"]["highest"] = json!(1_u64 << 31), StateError::Index);
    refused(|state| state["sources"][0]["rtp"]["window"] = json!([2, 0]), StateError::Index);
    refused(|state| state["sources"] = json!([state["sources"][0], state["sources"][0]]), StateError::Sources);
    refused(|state| state["sources"] = (0..65).map(|ssrc| json!({ "ssrc": ssrc })).collect(), StateError::Sources);
    for wrong in ["", "AAAA", "not base 64", "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSo"] {
        assert!(serde_json::from_value::<MasterKey>(json!(wrong)).is_err(), "{wrong}");
    }
    assert!(serde_json::from_value::<Suite>(json!("AES_CM")).is_err());
}
