//! What holds for any stream.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn suites() -> impl Strategy<Value = Suite> {
    proptest::sample::select(Suite::ALL.to_vec())
}

/// A packet with any of the parts that an RTP packet may have.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let sources = proptest::collection::vec(any::<u32>(), 0..=15);
    let words = proptest::option::of(proptest::collection::vec(any::<u32>(), 0..8));
    let payload = proptest::collection::vec(any::<u8>(), 0..300);
    (any::<[u8; 11]>(), sources, words, payload).prop_map(|(fixed, sources, words, payload)| {
        let flags = 0x80 | if words.is_some() { 0x10 } else { 0 } | sources.len() as u8;
        // A payload type that is not one of RTCP's packet types.
        let mut packet = [&[flags], fixed.as_slice()].concat();
        packet[1] &= 0x9f;
        sources.iter().for_each(|source| packet.extend_from_slice(&source.to_be_bytes()));
        if let Some(words) = words {
            packet.extend_from_slice(&[0xbe, 0xde, 0, words.len() as u8]);
            words.iter().for_each(|word| packet.extend_from_slice(&word.to_be_bytes()));
        }
        packet.extend_from_slice(&payload);
        packet
    })
}

proptest! {
    #[test]
    fn what_is_protected_comes_out_as_it_was(suite in suites(), packet in packets(), mki in 0..20_usize) {
        let (mut protector, mut unprotector) = pair(suite);
        if mki > 0 {
            protector = protector.with_mki(&vec![0x5a; mki]).expect("its length");
            unprotector = unprotector.with_mki_bytes(mki).expect("its length");
        }
        let sealed = protect(&mut protector, &packet).expect("sent once");
        prop_assert_eq!(sealed.len(), packet.len() + suite.rtp_overhead() + mki);
        prop_assert_eq!(unprotect(&mut unprotector, &sealed), Ok(packet));
    }

    #[test]
    fn so_does_rtcp(suite in suites(), body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (mut protector, mut unprotector) = pair(suite);
        let packet = [RTCP.as_slice(), &body].concat();
        for _ in 0..3 {
            let sealed = protect_rtcp(&mut protector, &packet).expect("room");
            prop_assert_eq!(unprotect_rtcp(&mut unprotector, &sealed), Ok(packet.clone()));
            prop_assert_eq!(unprotect_rtcp(&mut unprotector, &sealed), Err(SrtpError::Replayed));
        }
    }

    /// A stream that loses, repeats and reorders: each packet comes out once, and never as anything else.
    #[test]
    fn each_packet_comes_out_once_or_is_refused(
        suite in suites(),
        first in prop_oneof![any::<u16>(), 65_500..=65_535_u16],
        steps in proptest::collection::vec((1..0x8000_u16, 0..40_usize, any::<bool>()), 1..60),
        even in any::<bool>(),
    ) {
        let (mut protector, mut unprotector) = pair(suite);
        let mut sequence = first;
        // Where each packet stands when they arrive: in its turn, or up to 40 packets later; some twice.
        let mut arriving = BTreeMap::new();
        for (turn, (step, late, twice)) in steps.into_iter().enumerate() {
            let sealed = protect(&mut protector, &rtp(sequence)).expect("sent once");
            arriving.insert((turn + if even { 0 } else { late % 4 }, turn, 0), (sequence, sealed.clone()));
            if twice {
                arriving.insert((turn + late, turn, 1), (sequence, sealed));
            }
            sequence = sequence.wrapping_add(if even { step } else { step % 8 + 1 });
        }
        let mut came = BTreeMap::new();
        for ((_, turn, _), (sequence, packet)) in &arriving {
            match unprotect(&mut unprotector, packet) {
                Ok(plain) => {
                    prop_assert_eq!(plain, rtp(*sequence));
                    prop_assert_eq!(came.insert(*turn, ()), None);
                }
                Err(error) => {
                    let before = [SrtpError::Replayed, SrtpError::TooOld].contains(&error);
                    prop_assert!(before || error == SrtpError::NotAuthentic, "{}", error);
                    // In order and with gaps of less than half a cycle, nothing but repetitions is refused.
                    prop_assert!(!even || came.contains_key(turn), "{}", error);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_survived_and_refused(
        suite in suites(),
        packet in proptest::collection::vec(any::<u8>(), 0..200),
        flags in any::<(bool, u8)>(),
    ) {
        let (mut protector, mut unprotector) = pair(suite);
        pass(&mut protector, &mut unprotector, [3]);
        let mut packet = packet;
        if let ([first, second, ..], (true, kind)) = (packet.as_mut_slice(), flags) {
            (*first, *second) = (0x80 | *first & 0x1f, kind);
        }
        let before = unprotector.export();
        prop_assert!(unprotect(&mut unprotector, &packet).is_err());
        prop_assert!(unprotect_rtcp(&mut unprotector, &packet).is_err());
        prop_assert_eq!(unprotector.export(), before);
    }
}
